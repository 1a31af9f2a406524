//! Rows of a table to rows of numbers that a network can take, and back to what each number stands for.
//!
//! Fitted on the training rows only. A column that is the same in every training row is left out: no gradient would reach
//! its weights, and the first other value at predict time would meet weights that were never trained.
//!
//! | column | encoded columns | missing | not seen in training |
//! |---|---|---|---|
//! | numeric | `NAME` = (x − mean) / scale, population standard deviation | the training median | |
//! | … with gaps in training | and `NAME is missing`, 0 or 1 | 1 | |
//! | two categories, no gap in training | `NAME=SECOND`, −1 or +1 | 0 | 0 |
//! | other categories | `NAME=LEVEL` for each level, 0 or 1 | all 0 | all 0 |
//! | … with gaps in training | and `NAME is missing`, 0 or 1 | 1 | |
//!
//! Levels are sorted (numbers by value, texts by bytes); of more than [`MAX_LEVELS`] the most frequent ones have a column.
//! The second of two booleans is the one that says yes. Mean and deviation are those of the column with its gaps filled;
//! sample weights do not enter them.

use crate::error::{Quoted, TableError, first_few};
use crate::levels::{self, Levels};
use crate::note::{Note, counted};
use crate::scale::{Affine, Scale};
use crate::schema::{Kind, Schema, level_counts, truth};
use crate::table::{MAX_COLUMNS, MAX_NUMBER, Table, Texts};
use chainrule::{Matrix, Scalar};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The most levels of a category that have a column of their own.
pub const MAX_LEVELS: usize = 1000;
/// The most numbers of an encoded table: 8 GiB in f32. A table of a few megabytes can ask for more than any memory.
const MAX_ENCODED: usize = 1 << 31;

/// The map from a table's columns to a network's inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Encoder {
    inputs: Vec<Input>,
    /// The training table's other columns: no surprise where they turn up again.
    others: Vec<String>,
}

/// An input column and how it is encoded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Input {
    name: String,
    encoding: Encoding,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    Numeric {
        /// Stands for a missing number.
        median: f64,
        /// None if the column is the same in all training rows but for its gaps.
        affine: Option<Affine>,
        /// Whether there is a column for gaps.
        missing: bool,
    },
    /// The two categories that stand for −1 and +1.
    Binary([String; 2]),
    Categories {
        levels: Vec<String>,
        /// Whether there is a column for gaps.
        missing: bool,
    },
}

/// One number of an encoded row.
#[derive(Clone, Debug, PartialEq)]
pub struct EncodedColumn {
    /// `Lot_Frontage`, `Lot_Frontage is missing`, `Street=Pave`.
    pub name: String,
    /// The name of the table's column that it comes from.
    pub source: String,
    /// The map from the raw number (for a category, its code) to the encoded one.
    pub affine: Affine,
}

impl Encoding {
    fn width(&self) -> usize {
        match self {
            Self::Numeric { affine, missing, .. } => usize::from(affine.is_some()) + usize::from(*missing),
            Self::Binary(_) => 1,
            Self::Categories { levels, missing } => levels.len() + usize::from(*missing),
        }
    }

    fn is_numeric(&self) -> bool {
        matches!(self, Self::Numeric { .. })
    }
}

impl Encoder {
    /// Fits the encoding of the schema's inputs on the given training rows.
    ///
    /// # Errors
    /// If a number is infinite or too large, no column differs between the rows, or the encoded table would be too large.
    pub fn fit(table: &Table, schema: &Schema, rows: &[usize], scale: Scale) -> Result<(Self, Vec<Note>), TableError> {
        let is_numeric = |position: &usize| schema.kinds[*position] == Kind::Numeric;
        let categorical: Vec<usize> = schema.inputs().filter(|position| !is_numeric(position)).collect();
        let mut texts = table.texts(&categorical).into_iter();
        let (mut inputs, mut same, mut rare) = (Vec::new(), Vec::new(), Vec::new());
        for position in schema.inputs() {
            let name = table.columns()[position].name();
            let encoding = if is_numeric(&position) {
                fit_numbers(&table.numbers(position, rows)?, scale)
            } else {
                let texts = texts.next().unwrap_or_default();
                let counts = level_counts(&texts, rows);
                let seen = counts.into_iter().zip(texts.levels()).filter(|(count, _)| *count > 0);
                let seen: Vec<(usize, &String)> = seen.collect();
                if seen.len() > MAX_LEVELS {
                    rare.push(name);
                }
                let missing = rows.iter().any(|&row| texts.code(row).is_none());
                fit_categories(seen, missing, schema.kinds[position] == Kind::Boolean)
            };
            match encoding.width() {
                0 => same.push(name),
                _ => inputs.push(Input { name: name.to_owned(), encoding }),
            }
        }
        let mut notes = Vec::new();
        notes.extend(Note::columns("left out, the same in every training row", &same));
        notes.extend(Note::columns(&format!("only the {MAX_LEVELS} most frequent texts are told apart"), &rare));
        if inputs.is_empty() {
            let target = table.columns()[schema.target].name().to_owned();
            let left_out: Vec<String> = same.iter().map(|name| format!("{name} (constant)")).collect();
            return Err(TableError::NoInputs { file: table.name().to_owned(), target, left_out: first_few(&left_out) });
        }
        let used: HashSet<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
        let others = table.columns().iter().map(|column| column.name()).filter(|name| !used.contains(name));
        let encoder = Self { others: others.map(str::to_owned).collect(), inputs };
        encoder.check_size(table.name(), table.rows())?;
        Ok((encoder, notes))
    }

    /// The number of encoded columns.
    pub fn width(&self) -> usize {
        self.inputs.iter().map(|input| input.encoding.width()).sum()
    }

    /// The names of the table columns that are encoded, in order.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|input| input.name.as_str())
    }

    /// What each encoded column stands for.
    pub fn columns(&self) -> Vec<EncodedColumn> {
        let mut columns = Vec::with_capacity(self.width());
        for Input { name: source, encoding } in &self.inputs {
            let mut push = |name, affine| columns.push(EncodedColumn { name, source: source.clone(), affine });
            let level = |level: &String| format!("{source}={level}");
            let has_gaps = match encoding {
                Encoding::Numeric { affine, missing, .. } => {
                    affine.iter().for_each(|affine| push(source.clone(), *affine));
                    *missing
                }
                Encoding::Binary([_, second]) => {
                    push(level(second), Affine::IDENTITY);
                    false
                }
                Encoding::Categories { levels, missing } => {
                    levels.iter().for_each(|each| push(level(each), Affine::IDENTITY));
                    *missing
                }
            };
            if has_gaps {
                push(format!("{source} is missing"), Affine::IDENTITY);
            }
        }
        columns
    }

    /// The given rows, or all, as a matrix [rows, width]. Columns are found by name, whatever their order; columns that the
    /// training table had not are noted, as are gaps and categories that the training rows had not.
    ///
    /// # Errors
    /// If a column is missing; if one of numbers holds a text, or a number that is infinite, too large, or so far from the
    /// training rows that `T` cannot hold its encoded value; if the matrix would be too large.
    ///
    /// # Panics
    /// If the table has no such row.
    pub fn encode<T: Scalar>(
        &self,
        table: &Table,
        rows: Option<&[usize]>,
    ) -> Result<(Matrix<T>, Vec<Note>), TableError> {
        let every: Vec<usize>;
        let rows = match rows {
            Some(rows) => rows,
            None => {
                every = (0..table.rows()).collect();
                &every
            }
        };
        let positions = self.positions(table)?;
        let mut notes = Vec::new();
        notes.extend(Note::columns("ignored, unknown to the model", &self.unknown_columns(table)));
        let width = self.check_size(table.name(), rows.len())?;
        let mut data = Vec::new();
        data.try_reserve_exact(rows.len() * width).map_err(|_| self.too_wide(table.name(), rows.len()))?;
        data.resize(rows.len() * width, T::ZERO);

        let pairs = || self.inputs.iter().zip(&positions);
        let categorical: Vec<usize> = pairs().filter(|(input, _)| !input.encoding.is_numeric()).map(|p| *p.1).collect();
        let mut texts = table.texts(&categorical).into_iter();
        // Encoded columns `first`… belong to the present input.
        let mut first = 0;
        for (Input { name, encoding }, &position) in pairs() {
            let mut surprises = Surprises::default();
            match encoding {
                Encoding::Numeric { median, affine, missing } => {
                    for (i, x) in table.numbers(position, rows)?.into_iter().enumerate() {
                        let cells = &mut data[i * width + first..];
                        if let Some(affine) = affine {
                            cells[0] = T::from_f64(affine.to_input(if x.is_nan() { *median } else { x }));
                            if !cells[0].is_finite() {
                                let (place, got) = (table.place(rows[i], position), table.spelling(rows[i], position));
                                return Err(TableError::Unrepresentable { place, got, precision: T::NAME });
                            }
                        }
                        match (x.is_nan(), missing) {
                            (true, true) => cells[usize::from(affine.is_some())] = T::ONE,
                            (true, false) => surprises.gaps += 1,
                            (false, _) => {}
                        }
                    }
                }
                Encoding::Binary(levels) => {
                    let texts = texts.next().unwrap_or_default();
                    for (i, category) in categories(levels, &texts, rows).enumerate() {
                        match category {
                            Category::Known(level) => data[i * width + first] = T::from_f64([-1.0, 1.0][level]),
                            Category::Missing => surprises.gaps += 1,
                            Category::Unseen => surprises.unseen(texts.get(rows[i])),
                        }
                    }
                }
                Encoding::Categories { levels, missing } => {
                    let texts = texts.next().unwrap_or_default();
                    for (i, category) in categories(levels, &texts, rows).enumerate() {
                        match category {
                            Category::Known(level) => data[i * width + first + level] = T::ONE,
                            Category::Missing if *missing => data[i * width + first + levels.len()] = T::ONE,
                            Category::Missing => surprises.gaps += 1,
                            Category::Unseen => surprises.unseen(texts.get(rows[i])),
                        }
                    }
                }
            }
            notes.extend(surprises.notes(name, encoding));
            first += encoding.width();
        }
        let matrix = Matrix::from_vec(rows.len(), width, data).expect("resized to rows times width");
        Ok((matrix, notes))
    }

    /// Where the inputs stand in a table.
    fn positions(&self, table: &Table) -> Result<Vec<usize>, TableError> {
        let positions = table.positions();
        let find = |input: &Input| positions.get(input.name.as_str()).copied();
        let absent: Vec<&str> = self.inputs.iter().filter(|i| find(i).is_none()).map(|i| i.name.as_str()).collect();
        if !absent.is_empty() {
            let (file, names, got) = (table.name().to_owned(), first_few(&absent), absent.len());
            return Err(TableError::MissingColumns { file, names, got });
        }
        Ok(self.inputs.iter().filter_map(find).collect())
    }

    /// The table's columns that the training table had not.
    fn unknown_columns<'t>(&self, table: &'t Table) -> Vec<&'t str> {
        let known: HashSet<&str> = self.inputs().chain(self.others.iter().map(String::as_str)).collect();
        table.columns().iter().map(|column| column.name()).filter(|name| !known.contains(name)).collect()
    }

    /// The width, if a table of that many rows is not too large once encoded.
    fn check_size(&self, file: &str, rows: usize) -> Result<usize, TableError> {
        let width = self.width();
        match rows.checked_mul(width) {
            Some(size) if size <= MAX_ENCODED => Ok(width),
            _ => Err(self.too_wide(file, rows)),
        }
    }

    fn too_wide(&self, file: &str, rows: usize) -> TableError {
        let widest = self.inputs.iter().max_by_key(|input| input.encoding.width());
        let widest = widest.map(|input| input.name.clone()).unwrap_or_default();
        TableError::TooWide { file: file.to_owned(), rows, columns: self.width(), widest }
    }
}

/// The encoding of training numbers, NaN where missing; of width 0 if they are all the same.
fn fit_numbers(values: &[f64], scale: Scale) -> Encoding {
    let mut present: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
    let missing = present.len() < values.len() && !present.is_empty();
    let differ = present.iter().any(|x| *x != present[0]);
    let median = match present.len() {
        0 => 0.0,
        n => {
            let (below, &mut middle, _) = present.select_nth_unstable_by(n / 2, f64::total_cmp);
            match below.iter().copied().max_by(f64::total_cmp) {
                Some(other) if n % 2 == 0 => other + (middle - other) / 2.0,
                _ => middle,
            }
        }
    };
    let filled: Vec<f64> = values.iter().map(|x| if x.is_nan() { median } else { *x }).collect();
    Encoding::Numeric { median, affine: differ.then(|| Affine::fit(scale, &filled)), missing }
}

/// The encoding of the texts seen in training, with their counts; of width 0 if all training rows are the same.
fn fit_categories(mut seen: Vec<(usize, &String)>, missing: bool, boolean: bool) -> Encoding {
    let differ = seen.len() + usize::from(missing) > 1;
    // The most frequent first; of equally frequent ones, the first by its bytes.
    seen.sort_by(|(count_a, a), (count_b, b)| count_b.cmp(count_a).then_with(|| a.cmp(b)));
    seen.truncate(if differ { MAX_LEVELS } else { 0 });
    let mut levels: Vec<String> = seen.into_iter().map(|(_, level)| level.clone()).collect();
    levels::sort(&mut levels);
    match <[String; 2]>::try_from(levels) {
        Ok([a, b]) if !missing => {
            let a_says_yes = boolean && truth(&a).is_some_and(|(_, yes)| yes);
            Encoding::Binary(if a_says_yes { [b, a] } else { [a, b] })
        }
        Ok(pair) => Encoding::Categories { levels: pair.into(), missing },
        Err(levels) => Encoding::Categories { levels, missing: missing && differ },
    }
}

/// A cell of a category.
enum Category {
    /// The position of its level.
    Known(usize),
    Missing,
    Unseen,
}

fn categories<'a>(levels: &[String], texts: &'a Texts, rows: &'a [usize]) -> impl Iterator<Item = Category> + 'a {
    let index = Levels::new(levels);
    let known: Vec<Option<usize>> = texts.levels().iter().map(|text| index.find(text)).collect();
    rows.iter().map(move |&row| match texts.code(row) {
        None => Category::Missing,
        Some(code) => known[code].map_or(Category::Unseen, Category::Known),
    })
}

/// What a column has that the training rows had not.
#[derive(Default)]
struct Surprises {
    gaps: usize,
    unseen: usize,
    example: Option<String>,
}

impl Surprises {
    fn unseen(&mut self, text: Option<&str>) {
        self.unseen += 1;
        self.example = self.example.take().or_else(|| text.map(str::to_owned));
    }

    fn notes(&self, name: &str, encoding: &Encoding) -> Vec<Note> {
        let mut notes = Vec::new();
        let name = Quoted(name);
        if self.gaps > 0 {
            let gaps = counted(self.gaps, "gap");
            notes.push(Note::new(match encoding {
                Encoding::Numeric { median, .. } => {
                    format!("{gaps} in {name}, which had none in training: taken as its median {median}")
                }
                _ => format!("{gaps} in {name}, which had none in training: taken as no category"),
            }));
        }
        if let Some(example) = &self.example {
            let (cells, example) = (counted(self.unseen, "cell"), Quoted(example));
            notes.push(Note::new(format!(
                "{cells} of {name} taken as no category: not among those learnt, as {example}"
            )));
        }
        notes
    }
}

/// An [`Encoder`] in a file, which anybody may have written.
#[derive(Deserialize)]
struct Stored {
    inputs: Vec<Input>,
    others: Vec<String>,
}

impl TryFrom<Stored> for Encoder {
    type Error = String;

    fn try_from(Stored { inputs, others }: Stored) -> Result<Self, String> {
        if inputs.is_empty() || inputs.len() > MAX_COLUMNS {
            return Err(format!("an encoding of {} columns: expected 1 to {MAX_COLUMNS}", inputs.len()));
        }
        let mut names = HashSet::new();
        for Input { name, encoding } in &inputs {
            let sound = match encoding {
                Encoding::Numeric { median, .. } => median.abs() <= MAX_NUMBER,
                Encoding::Binary([a, b]) => a != b,
                Encoding::Categories { levels, .. } => {
                    levels.len() <= MAX_LEVELS && levels.iter().collect::<HashSet<_>>().len() == levels.len()
                }
            };
            if !sound || encoding.width() == 0 || !names.insert(name) {
                return Err(format!("the encoding of column {}: not one that a table gives", Quoted(name)));
            }
        }
        Ok(Self { inputs, others })
    }
}
