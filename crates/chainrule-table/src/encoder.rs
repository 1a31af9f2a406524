//! Rows of a table to rows of numbers that a network can take, and back to what each number stands for.
//!
//! Fitted on the training rows only. A column that is the same in every training row is left out: no gradient would reach
//! its weights, and the first other value at predict time would meet weights that were never trained.
//!
//! | column | encoded columns | missing | not seen in training |
//! |---|---|---|---|
//! | numeric | `NAME` = (x − mean) / scale, population standard deviation | the training median | |
//! | … by a robust scale | z / √(1 + (z/3)²), z = (x − median) / quartile distance: within ±3 | the same | |
//! | … with gaps in training | and `NAME is missing`, 0 or 1 | 1 | |
//! | boolean | `NAME=YES`, −1 or +1; and `NAME is missing` if there were gaps | 0 | 0 |
//! | two categories, no gap in training | `NAME=SECOND`, −1 or +1 | 0 | 0 |
//! | other categories | `NAME=LEVEL` for each level, 0 or 1 | all 0 | all 0 |
//! | … of more than 50 levels | levels of fewer than 5 rows, and those behind the 1,000 most frequent, share `NAME is rare` | all 0 | rare |
//! | … with gaps in training | and `NAME is missing`, 0 or 1 | 1 | |
//! | date | `NAME`: days since 1970 as a numeric column; sine and cosine of 2π times the place in the year, if the training rows span a year, in the week, if they span two, and in the day, if times differ | the median, both 0 | missing |
//! | … with gaps in training | and `NAME is missing`, 0 or 1 | 1 | 1 |
//!
//! Levels are sorted (numbers by value, texts by bytes). Mean and deviation are those of the column with its gaps filled;
//! sample weights do not enter them. Beside the numbers, [`Encoder::codes`] gives the categories' codes.

use crate::calendar::{self, Moment, Order};
use crate::error::{Quoted, TableError, first_few};
use crate::export::program::{Cell, Put, RawCells, RawColumn};
use crate::levels::{self, Levels};
use crate::note::{Note, counted};
use crate::scale::{Affine, Scale};
use crate::schema::{Kind, NO, Schema, YES, level_counts, truth};
use crate::table::{MAX_COLUMNS, MAX_NUMBER, Table, Texts};
use chainrule::{Matrix, Scalar};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::f64::consts::TAU;

/// The most levels of a category that have a column of their own.
pub const MAX_LEVELS: usize = 1000;
/// With more levels than these, rare ones share a column.
const MANY_LEVELS: usize = 50;
/// A level of fewer rows is rare: too few to learn a column's weights from.
const RARE_ROWS: usize = 5;
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
    Numeric(NumericEncoding),
    /// A column that says yes or no.
    Truth {
        /// How training spells yes most often.
        yes: String,
        /// Whether there is a column for gaps.
        missing: bool,
    },
    /// The two categories that stand for −1 and +1.
    Binary([String; 2]),
    Categories {
        levels: Vec<String>,
        /// Whether there is a column for gaps.
        missing: bool,
        /// Whether there is a column for rare levels, unseen ones among them.
        #[serde(default, skip_serializing_if = "is_false")]
        rare: bool,
    },
    Date {
        /// What `03/04/2024` means.
        order: Order,
        /// Days since 1970.
        days: NumericEncoding,
        /// The circles whose sine and cosine have a column each.
        circles: Vec<Circle>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct NumericEncoding {
    /// Stands for a missing number.
    median: f64,
    /// None if the column is the same in all training rows but for its gaps.
    affine: Option<Affine>,
    /// Whether there is a column for gaps.
    missing: bool,
    /// Whether z is bent to stay within ±3.
    #[serde(default, skip_serializing_if = "is_false")]
    clip: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A cycle of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Circle {
    Year,
    Week,
    Day,
}

impl Circle {
    fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Week => "week",
            Self::Day => "day",
        }
    }

    /// The angle of a moment: 0 on the first of January, on Monday, at midnight.
    fn angle(self, moment: Moment) -> f64 {
        let day = moment.seconds / 86_400.0;
        let days = moment.days.unwrap_or(0);
        TAU * match self {
            Self::Year => {
                let first = calendar::days(calendar::date(days).0, 1, 1);
                ((days - first) as f64 + day) / 365.25
            }
            Self::Week => ((days + 3).rem_euclid(7) as f64 + day) / 7.0,
            Self::Day => day,
        }
    }
}

/// A moment as a number of days.
fn in_days(moment: Moment) -> f64 {
    moment.days.map_or(0.0, |days| days as f64 + moment.seconds / 86_400.0)
}

impl NumericEncoding {
    fn width(&self) -> usize {
        usize::from(self.affine.is_some()) + usize::from(self.missing)
    }

    /// The encoded number, if the column differs between rows.
    fn encode(&self, x: f64) -> Option<f64> {
        let z = self.affine?.to_input(if x.is_nan() { self.median } else { x });
        Some(if self.clip { z / (1.0 + (z / 3.0) * (z / 3.0)).sqrt() } else { z })
    }
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

/// How an encoded number of a row follows from its cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The encoded column's name.
    pub name: String,
    /// The table's column.
    pub source: String,
    /// The cell as it is spelled; empty where missing.
    pub cell: String,
    /// The encoded number x.
    pub value: f64,
    /// Where a number (or a moment, in days since 1970) is brought to scale: how.
    pub scaled: Option<Scaled>,
}

/// x = (raw − mean)/scale, perhaps bent to stay within ±3.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaled {
    /// The raw number; the training median where the cell is missing.
    pub raw: f64,
    /// The straight part of the way.
    pub affine: Affine,
    /// Whether z/√(1 + (z/3)²) follows.
    pub bent: bool,
    /// ∂x/∂raw, per unit of the column: 1/scale, times (1 + (z/3)²)^(−3/2) where bent.
    pub slope: f64,
}

impl Encoding {
    /// How its numbers are brought to scale, if it has numbers.
    fn numeric(&self) -> Option<&NumericEncoding> {
        match self {
            Self::Numeric(numeric) | Self::Date { days: numeric, .. } => Some(numeric),
            _ => None,
        }
    }

    fn width(&self) -> usize {
        match self {
            Self::Numeric(numeric) => numeric.width(),
            Self::Truth { missing, .. } => 1 + usize::from(*missing),
            Self::Binary(_) => 1,
            Self::Categories { levels, missing, rare } => levels.len() + usize::from(*missing) + usize::from(*rare),
            Self::Date { days, circles, .. } => days.width() + 2 * circles.len(),
        }
    }
}

impl Encoder {
    /// Fits the encoding of the schema's inputs on the given training rows.
    ///
    /// # Errors
    /// If a number is infinite or too large, no column differs between the rows, or the encoded table would be too large.
    pub fn fit(table: &Table, schema: &Schema, rows: &[usize], scale: Scale) -> Result<(Self, Vec<Note>), TableError> {
        let (mut inputs, mut same, mut rare) = (Vec::new(), Vec::new(), Vec::new());
        for position in schema.inputs() {
            let name = table.columns()[position].name();
            let kind = schema.kinds[position];
            let encoding = if kind == Kind::Numeric {
                Encoding::Numeric(fit_numbers(&table.numbers(position, rows)?, scale))
            } else {
                let texts = &table.texts(&[position])[0];
                let counts = level_counts(texts, rows);
                let seen: Vec<(usize, &str)> =
                    counts.into_iter().zip(texts.levels()).filter(|(count, _)| *count > 0).collect();
                let missing = rows.iter().any(|&row| texts.code(row).is_none());
                match kind {
                    Kind::Date => fit_dates(texts, rows, scale),
                    Kind::Boolean => fit_truth(&seen, missing),
                    _ => fit_categories(seen, missing),
                }
            };
            if let Encoding::Categories { levels, rare: true, .. } = &encoding {
                rare.push(format!("{name} (beside {})", counted(levels.len(), "frequent one")));
            }
            match encoding.width() {
                0 => same.push(name),
                _ => inputs.push(Input { name: name.to_owned(), encoding }),
            }
        }
        let mut notes = Vec::new();
        notes.extend(Note::columns("left out, the same in every training row", &same));
        notes.extend(Note::columns("rare texts are not told apart", &rare));
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
                Encoding::Numeric(numeric) => {
                    numeric.affine.iter().for_each(|affine| push(source.clone(), *affine));
                    numeric.missing
                }
                Encoding::Truth { yes, missing } => {
                    push(level(yes), Affine::IDENTITY);
                    *missing
                }
                Encoding::Binary([_, second]) => {
                    push(level(second), Affine::IDENTITY);
                    false
                }
                Encoding::Categories { levels, missing, rare } => {
                    levels.iter().for_each(|each| push(level(each), Affine::IDENTITY));
                    if *rare {
                        push(format!("{source} is rare"), Affine::IDENTITY);
                    }
                    *missing
                }
                Encoding::Date { days, circles, .. } => {
                    days.affine.iter().for_each(|affine| push(source.clone(), *affine));
                    for circle in circles {
                        for wave in ["sine", "cosine"] {
                            push(format!("{source} in the {}, {wave}", circle.name()), Affine::IDENTITY);
                        }
                    }
                    days.missing
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
        let width = self.check_size(table.name(), rows.len())?;
        let mut data = Vec::new();
        data.try_reserve_exact(rows.len() * width).map_err(|_| self.too_wide(table.name(), rows.len()))?;
        data.resize(rows.len() * width, T::ZERO);

        // Encoded columns `first`… belong to the present input.
        let mut first = 0;
        for (Input { encoding, .. }, &position) in self.inputs.iter().zip(&positions) {
            let texts = || table.texts(&[position]).swap_remove(0);
            let mut put = |i: usize, column: usize, value: T| data[i * width + first + column] = value;
            let last = encoding.width() - 1; // where gaps have a column, it is the last
            match encoding {
                Encoding::Numeric(numeric) => {
                    for (i, x) in table.numbers(position, rows)?.into_iter().enumerate() {
                        if let Some(z) = numeric.encode(x) {
                            let z = T::from_f64(z);
                            if !z.is_finite() {
                                let (place, got) = (table.place(rows[i], position), table.spelling(rows[i], position));
                                return Err(TableError::Unrepresentable { place, got, precision: T::NAME });
                            }
                            put(i, 0, z);
                        }
                        if x.is_nan() && numeric.missing {
                            put(i, last, T::ONE);
                        }
                    }
                }
                Encoding::Truth { missing, .. } => {
                    let texts = texts();
                    let truths: Vec<Option<bool>> = texts.levels().map(truth).collect();
                    for (i, &row) in rows.iter().enumerate() {
                        match texts.code(row).map(|code| truths[code]) {
                            Some(Some(yes)) => put(i, 0, T::from_f64(if yes { 1.0 } else { -1.0 })),
                            None if *missing => put(i, last, T::ONE),
                            _ => {}
                        }
                    }
                }
                Encoding::Binary(levels) => {
                    for (i, category) in categories(levels, &texts(), rows).enumerate() {
                        if let Category::Known(level) = category {
                            put(i, 0, T::from_f64([-1.0, 1.0][level]));
                        }
                    }
                }
                Encoding::Categories { levels, missing, rare } => {
                    for (i, category) in categories(levels, &texts(), rows).enumerate() {
                        match category {
                            Category::Known(level) => put(i, level, T::ONE),
                            Category::Unseen if *rare => put(i, levels.len(), T::ONE),
                            Category::Missing if *missing => put(i, last, T::ONE),
                            Category::Missing | Category::Unseen => {}
                        }
                    }
                }
                Encoding::Date { order, days, circles } => {
                    let texts = texts();
                    let start = usize::from(days.affine.is_some());
                    // Each different text once.
                    let encoded: Vec<Option<Vec<f64>>> = texts
                        .levels()
                        .map(|text| {
                            let moment = calendar::parse(text, *order)?;
                            let waves = circles.iter().flat_map(|circle| {
                                let angle = circle.angle(moment);
                                [pxfm::f_sin(angle), pxfm::f_cos(angle)]
                            });
                            Some(days.encode(in_days(moment)).into_iter().chain(waves).collect())
                        })
                        .collect();
                    for (i, &row) in rows.iter().enumerate() {
                        match texts.code(row).and_then(|code| encoded[code].as_ref()) {
                            Some(values) => {
                                values.iter().enumerate().for_each(|(k, &value)| put(i, k, T::from_f64(value)));
                            }
                            None => {
                                if start > 0 {
                                    put(i, 0, T::from_f64(days.encode(f64::NAN).unwrap_or(0.0)));
                                }
                                if days.missing {
                                    put(i, last, T::ONE);
                                }
                            }
                        }
                    }
                }
            }
            first += encoding.width();
        }
        let matrix = Matrix::from_vec(rows.len(), width, data).expect("resized to rows times width");
        let mut notes = self.unknown_columns(table.columns().iter().map(|column| column.name()));
        notes.extend(self.surprises(table, rows)?.notes(self));
        Ok((matrix, notes))
    }

    /// How every encoded number of one row follows from its cells.
    ///
    /// # Errors
    /// As [`Self::encode`].
    ///
    /// # Panics
    /// If the table has no such row.
    pub fn steps(&self, table: &Table, row: usize) -> Result<Vec<Step>, TableError> {
        let (x, _) = self.encode::<f64>(table, Some(&[row]))?;
        let (columns, positions) = (self.columns(), self.positions(table)?);
        let mut steps = Vec::with_capacity(columns.len());
        for (Input { encoding, .. }, &position) in self.inputs.iter().zip(&positions) {
            let cell = table.spelling(row, position);
            for k in 0..encoding.width() {
                let number = encoding.numeric().and_then(|numeric| Some((numeric, numeric.affine?))).filter(|_| k == 0);
                let scaled = match number {
                    None => None,
                    Some((numeric, affine)) => {
                        let raw = match encoding {
                            Encoding::Date { order, .. } => {
                                calendar::parse(&cell, *order).map_or(numeric.median, in_days)
                            }
                            _ => Some(table.numbers(position, &[row])?[0])
                                .filter(|x| !x.is_nan())
                                .unwrap_or(numeric.median),
                        };
                        let third = affine.to_input(raw) / 3.0;
                        let root = (1.0 + third * third).sqrt();
                        let bend = if numeric.clip { 1.0 / (root * root * root) } else { 1.0 };
                        Some(Scaled { raw, affine, bent: numeric.clip, slope: bend / affine.scale() })
                    }
                };
                let at = steps.len();
                let EncodedColumn { name, source, .. } = columns[at].clone();
                steps.push(Step { name, source, cell: cell.clone(), value: x[(0, at)], scaled });
            }
        }
        Ok(steps)
    }

    /// What these rows have that the training rows had not: gaps and categories.
    ///
    /// # Errors
    /// As [`Self::encode`], but for the sizes.
    ///
    /// # Panics
    /// If the table has no such row.
    pub fn surprises(&self, table: &Table, rows: &[usize]) -> Result<Surprises, TableError> {
        let positions = self.positions(table)?;
        let mut all = Vec::with_capacity(self.inputs.len());
        for (Input { encoding, .. }, &position) in self.inputs.iter().zip(&positions) {
            let mut surprise = Surprise::default();
            let cells = table.columns()[position].cells();
            let gaps = || rows.iter().filter(|&&row| cells.is_missing(row)).count();
            let mut unseen = |known: &dyn Fn(&str) -> bool| {
                let texts = &table.texts(&[position])[0];
                let known: Vec<bool> = texts.levels().map(known).collect();
                if known.iter().any(|known| !known) {
                    for &row in rows {
                        if let Some(code) = texts.code(row).filter(|&code| !known[code]) {
                            surprise.unseen(texts.level(code));
                        }
                    }
                }
            };
            let missing = match encoding {
                Encoding::Numeric(numeric) => numeric.missing,
                Encoding::Truth { missing, .. } => {
                    unseen(&|text| truth(text).is_some());
                    *missing
                }
                Encoding::Binary(levels) => {
                    let index = Levels::new(levels);
                    unseen(&|text| index.find(text).is_some());
                    false
                }
                Encoding::Categories { levels, missing, rare } => {
                    if !rare {
                        let index = Levels::new(levels);
                        unseen(&|text| index.find(text).is_some());
                    }
                    *missing
                }
                Encoding::Date { order, days, .. } => {
                    unseen(&|text| calendar::parse(text, *order).is_some());
                    days.missing
                }
            };
            if !missing {
                surprise.gaps = gaps();
            }
            all.push(surprise);
        }
        Ok(Surprises(all))
    }

    /// The columns of categories that have levels, with the number of their levels.
    pub fn categories(&self) -> impl Iterator<Item = (&str, usize)> {
        self.inputs.iter().filter_map(|Input { name, encoding }| match encoding {
            Encoding::Categories { levels, .. } => Some((name.as_str(), levels.len())),
            _ => None,
        })
    }

    /// For each of [`Self::categories`] the code of every row: k for its level k, from 1, and 0 for a gap or a text without
    /// a level. Learnt embeddings take these instead of the columns of 0 and 1.
    ///
    /// # Errors
    /// If a column is missing.
    ///
    /// # Panics
    /// If the table has no such row.
    pub fn codes(&self, table: &Table, rows: &[usize]) -> Result<Vec<Vec<u32>>, TableError> {
        let positions = self.positions(table)?;
        let codes = self.inputs.iter().zip(&positions).filter_map(|(Input { encoding, .. }, &position)| {
            let Encoding::Categories { levels, .. } = encoding else { return None };
            let code = |category| if let Category::Known(level) = category { level as u32 + 1 } else { 0 };
            Some(categories(levels, &table.texts(&[position])[0], rows).map(code).collect())
        });
        Ok(codes.collect())
    }

    /// The encoding as steps that another language can print.
    ///
    /// # Errors
    /// With the name of a column of dates: how they are spelled is beyond what is printed.
    pub(crate) fn cells(&self) -> Result<Vec<RawColumn>, &str> {
        let one = |place: usize| Some(Put { place, value: 1.0 });
        let mut columns = Vec::with_capacity(self.inputs.len());
        for Input { name, encoding } in &self.inputs {
            let width = encoding.width();
            let gap = |missing: bool| if missing { one(width - 1) } else { None };
            let cell = match encoding {
                Encoding::Numeric(NumericEncoding { median, affine, missing, clip }) => {
                    Cell::Number { median: *median, affine: *affine, bent: *clip, gap: gap(*missing) }
                }
                Encoding::Truth { missing, .. } => {
                    let words = YES.iter().map(|word| (word, 1.0)).chain(NO.iter().map(|word| (word, -1.0)));
                    let mut spellings: Vec<(String, Put)> = Vec::new();
                    for (word, value) in words {
                        let capital: String = word.chars().take(1).flat_map(char::to_uppercase).collect();
                        let rest: String = word.chars().skip(1).collect();
                        for spelling in [(*word).to_owned(), capital + &rest, word.to_uppercase()] {
                            if spellings.iter().all(|(known, _)| *known != spelling) {
                                spellings.push((spelling, Put { place: 0, value }));
                            }
                        }
                    }
                    Cell::Text { spellings, unseen: None, gap: gap(*missing) }
                }
                Encoding::Binary([first, second]) => {
                    let put = |level: &String, value| (level.clone(), Put { place: 0, value });
                    Cell::Text { spellings: vec![put(first, -1.0), put(second, 1.0)], unseen: None, gap: None }
                }
                Encoding::Categories { levels, missing, rare } => {
                    let put = |(place, level): (usize, &String)| (level.clone(), Put { place, value: 1.0 });
                    let unseen = if *rare { one(levels.len()) } else { None };
                    Cell::Text { spellings: levels.iter().enumerate().map(put).collect(), unseen, gap: gap(*missing) }
                }
                Encoding::Date { .. } => return Err(name),
            };
            columns.push(RawColumn { name: name.clone(), width, cell });
        }
        Ok(columns)
    }

    /// The cells of the given rows as [`Self::cells`] takes them: a category by its own spelling, whatever the table's.
    ///
    /// # Errors
    /// As [`Self::encode`].
    pub(crate) fn raw(&self, table: &Table, rows: &[usize]) -> Result<Vec<RawCells>, TableError> {
        let positions = self.positions(table)?;
        let column = |(Input { encoding, .. }, &position): (&Input, &usize)| {
            let levels: &[String] = match encoding {
                Encoding::Numeric(_) => return Ok(RawCells::Numbers(table.numbers(position, rows)?)),
                Encoding::Truth { .. } | Encoding::Date { .. } => &[],
                Encoding::Binary(levels) => levels,
                Encoding::Categories { levels, .. } => levels,
            };
            let (texts, index) = (table.texts(&[position]).swap_remove(0), Levels::new(levels));
            let text = |&row: &usize| {
                let text = texts.get(row)?;
                Some(match (encoding, index.find(text)) {
                    (Encoding::Truth { .. }, _) => text.trim().to_lowercase(),
                    (_, Some(level)) => levels[level].clone(),
                    _ => text.to_owned(),
                })
            };
            Ok(RawCells::Texts(rows.iter().map(text).collect()))
        };
        self.inputs.iter().zip(&positions).map(column).collect()
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

    /// A note on the columns that the training table had not, if there are any.
    pub fn unknown_columns<'t>(&self, names: impl Iterator<Item = &'t str>) -> Vec<Note> {
        let known: HashSet<&str> = self.inputs().chain(self.others.iter().map(String::as_str)).collect();
        let unknown: Vec<&str> = names.filter(|name| !known.contains(name)).collect();
        Note::columns("ignored, unknown to the model", &unknown).into_iter().collect()
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
fn fit_numbers(values: &[f64], scale: Scale) -> NumericEncoding {
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
    let affine = differ.then(|| Affine::fit(scale, &filled));
    NumericEncoding { median, affine, missing, clip: scale == Scale::Robust }
}

/// The encoding of dates.
fn fit_dates(texts: &Texts, rows: &[usize], scale: Scale) -> Encoding {
    let order = calendar::order(texts.levels()).unwrap_or(Order::MonthFirst);
    let moments: Vec<Option<Moment>> = texts.levels().map(|text| calendar::parse(text, order)).collect();
    let of = |&row: &usize| texts.code(row).and_then(|code| moments[code]);
    let days: Vec<f64> = rows.iter().map(|row| of(row).map_or(f64::NAN, in_days)).collect();
    let present = || days.iter().copied().filter(|day| !day.is_nan());
    let span = present().fold(f64::NEG_INFINITY, f64::max) - present().fold(f64::INFINITY, f64::min);
    let mut seconds = rows.iter().filter_map(of).map(|moment| moment.seconds);
    let first = seconds.next();
    let circles = [
        (span >= 365.0, Circle::Year),
        (span >= 13.0, Circle::Week),
        (seconds.any(|other| Some(other) != first), Circle::Day),
    ];
    let circles: Vec<Circle> = circles.into_iter().filter_map(|(wanted, circle)| wanted.then_some(circle)).collect();
    Encoding::Date { order, days: fit_numbers(&days, scale), circles }
}

/// The encoding of a column that says yes or no; of width 0 if it always says the same.
fn fit_truth(seen: &[(usize, &str)], missing: bool) -> Encoding {
    let most = |wanted: bool| {
        let of = seen.iter().filter(|(_, level)| truth(level) == Some(wanted));
        of.max_by(|(a, x), (b, y)| a.cmp(b).then_with(|| y.cmp(x))).map(|(_, level)| (*level).to_owned())
    };
    match (most(true), most(false)) {
        (Some(yes), Some(_)) => Encoding::Truth { yes, missing },
        (Some(only), None) | (None, Some(only)) if missing => {
            Encoding::Categories { levels: vec![only], missing, rare: false }
        }
        _ => Encoding::Categories { levels: Vec::new(), missing: false, rare: false },
    }
}

/// The encoding of the texts seen in training, with their counts; of width 0 if all training rows are the same.
fn fit_categories(mut seen: Vec<(usize, &str)>, missing: bool) -> Encoding {
    let differ = seen.len() + usize::from(missing) > 1;
    // The most frequent first; of equally frequent ones, the first by its bytes.
    seen.sort_by(|(count_a, a), (count_b, b)| count_b.cmp(count_a).then_with(|| a.cmp(b)));
    let all = seen.len();
    if all > MANY_LEVELS {
        seen.retain(|(count, _)| *count >= RARE_ROWS);
        seen.truncate(MAX_LEVELS);
    }
    // A column of rare texts alone is the same in every row.
    let rare = seen.len() < all && (!seen.is_empty() || missing);
    if !differ {
        seen.clear();
    }
    let mut levels: Vec<String> = seen.into_iter().map(|(_, level)| level.to_owned()).collect();
    levels::sort(&mut levels);
    match <[String; 2]>::try_from(levels) {
        Ok(pair) if !missing && !rare => Encoding::Binary(pair),
        Ok(pair) => Encoding::Categories { levels: pair.into(), missing, rare },
        Err(levels) => {
            Encoding::Categories { missing: missing && differ && (rare || !levels.is_empty()), levels, rare }
        }
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
    let known: Vec<Option<usize>> = texts.levels().map(|text| index.find(text)).collect();
    rows.iter().map(move |&row| match texts.code(row) {
        None => Category::Missing,
        Some(code) => known[code].map_or(Category::Unseen, Category::Known),
    })
}

/// What rows have that the training rows had not.
#[derive(Clone, Debug, Default)]
pub struct Surprises(Vec<Surprise>);

impl Surprises {
    /// Adds those of further rows.
    pub fn add(&mut self, more: Self) {
        if self.0.is_empty() {
            return *self = more;
        }
        for (all, more) in self.0.iter_mut().zip(more.0) {
            all.gaps += more.gaps;
            all.unseen += more.unseen;
            all.example = all.example.take().or(more.example);
        }
    }

    /// What a person should know of them.
    pub fn notes(&self, encoder: &Encoder) -> Vec<Note> {
        let pairs = self.0.iter().zip(&encoder.inputs);
        pairs.flat_map(|(surprise, Input { name, encoding })| surprise.notes(name, encoding)).collect()
    }
}

/// What a column has that the training rows had not.
#[derive(Clone, Debug, Default)]
struct Surprise {
    gaps: usize,
    unseen: usize,
    example: Option<String>,
}

impl Surprise {
    fn unseen(&mut self, text: &str) {
        self.unseen += 1;
        self.example.get_or_insert_with(|| text.to_owned());
    }

    fn notes(&self, name: &str, encoding: &Encoding) -> Vec<Note> {
        let mut notes = Vec::new();
        let name = Quoted(name);
        if self.gaps > 0 {
            let gaps = counted(self.gaps, "gap");
            notes.push(Note::new(match encoding {
                Encoding::Numeric(NumericEncoding { median, .. }) => {
                    format!("{gaps} in {name}, which had none in training: taken as its median {median}")
                }
                Encoding::Date { .. } => {
                    format!("{gaps} in {name}, which had none in training: taken as its median date")
                }
                _ => format!("{gaps} in {name}, which had none in training: taken as no category"),
            }));
        }
        if let Some(example) = &self.example {
            let (cells, example) = (counted(self.unseen, "cell"), Quoted(example));
            notes.push(Note::new(match encoding {
                Encoding::Date { .. } => format!("{cells} of {name} taken as missing: no date, as {example}"),
                _ => format!("{cells} of {name} taken as no category: not among those learnt, as {example}"),
            }));
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
                Encoding::Numeric(numeric) => numeric.median.abs() <= MAX_NUMBER,
                Encoding::Date { days, circles, .. } => days.median.abs() <= MAX_NUMBER && circles.len() <= 3,
                Encoding::Truth { .. } => true,
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
