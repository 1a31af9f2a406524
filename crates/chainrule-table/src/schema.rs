//! What each column of a training table is, and which rows serve.
//!
//! # The rules for columns
//! Looked at are the rows that serve: those with a target and, where there are weights, a weight above 0. In this order:
//!
//! 1. **constant**, left out: every row has the same value, or none has any. (One value and some gaps is information.)
//! 2. **categorical** if named by `--categorical`.
//! 3. Every cell that is not missing is a number. **numeric**, unless all are whole and the column's name, split into words
//!    (`ZipCode`, `zip_code`), ends with one that says that its numbers only name something:
//!    - id, uuid, guid, or a first column `index` or `Unnamed: 0`: **identifier**, left out, if no two rows have the same;
//!    - id, code, zip, zipcode, postcode, plz: **categorical** if values repeat, on average in two rows.
//!
//!    Digits of one width, some with a zero in front (`02134`), are texts: codes.
//! 4. **date**: every cell that is not missing is a date, a time of day or both, in the forms of `2024-05-01`, `05/01/2024`,
//!    `01.05.2024`, `1 May 2024`, with `12:30`, `12:30:05`, `9:05 pm` behind it or alone. In `03/04/2024` the month is first,
//!    unless a cell of the column shows otherwise.
//! 5. **boolean**: every text says yes or no, and both occur: true/false, yes/no, t/f, y/n, on/off, ja/nein, oui/non, si/no,
//!    wahr/falsch, vrai/faux, and among these 1/0; in any case.
//! 6. An error: at least 200 cells have a value, and at least 95 % of them are numbers. That is a column of numbers with
//!    some cells to mend, not a category of thousands of values.
//! 7. **text**, left out: more than 100 different texts, more than half as many as cells with a value, and of three words or
//!    more on average. **identifier**, left out: the same with fewer words.
//! 8. **categorical**: the rest.
//!
//! A column that has the same cells as one before it is a **duplicate**, left out.
//!
//! # The rule for the task
//! Texts are classes. Numbers are classes if they are just 0 and 1, or if they are at most 10 different whole numbers,
//! each in at least two rows and in 10 rows on average. All other numbers are regression. `--task` overrides.
//! Classes keep the spelling that the file gives them first; classes that are all numbers are in the order of the numbers,
//! other ones in the order of their bytes.

use crate::calendar;
use crate::error::{Plain, Quoted, TableError, first_few};
use crate::levels;
use crate::note::{Note, counted};
use crate::table::{Cells, Table, Texts, are_codes, number};
use chainrule::Error;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::str::FromStr;

/// The most classes of a target.
pub const MAX_CLASSES: usize = 1000;
/// From this many cells with a value on, a column of almost only numbers is taken for one with mistakes.
const MIXED_CELLS: usize = 200;
/// For how many columns a note names the text among the numbers.
const MIXTURES_NOTED: usize = 4;
/// From this many texts on, a column may be an identifier.
const IDENTIFIER_LEVELS: usize = 100;
/// How many rows' cells are looked at before columns are compared.
const DIGESTED: usize = 1000;
/// From this many words a text on, texts are prose.
const PROSE_WORDS: usize = 3;
/// The most different whole numbers that are taken for classes.
const WHOLE_CLASSES: usize = 10;

/// What is predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// A number.
    Regression,
    /// One of several classes.
    Classification,
}

impl Task {
    /// The name that a user types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::Classification => "classification",
        }
    }
}

impl FromStr for Task {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "regression" => Ok(Self::Regression),
            "classification" => Ok(Self::Classification),
            _ => Err(Error::unknown_name("task", name, &["regression", "classification"])),
        }
    }
}

/// What a person says about the columns.
#[derive(Clone, Debug, Default)]
pub struct SchemaOptions {
    /// The column to predict; several numbers separated by commas.
    pub target: String,
    /// What it is; inferred where none is given.
    pub task: Option<Task>,
    /// Columns that are categories even if they look like numbers, dates or identifiers.
    pub categorical: Vec<String>,
    /// Columns that are not used.
    pub ignore: Vec<String>,
    /// The column of sample weights.
    pub sample_weight: Option<String>,
}

/// What a column is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// An input of numbers.
    Numeric,
    /// An input of two words for yes and no.
    Boolean,
    /// An input of categories.
    Categorical,
    /// What is predicted.
    Target,
    /// The weight of each row.
    Weight,
    /// Left out by the person.
    Ignored,
    /// Left out: the same in every row.
    Constant,
    /// An input of dates or times.
    Date,
    /// Left out: names of single rows.
    Identifier,
    /// Left out: prose.
    Text,
    /// Left out: the same as another column.
    Duplicate,
}

impl Kind {
    /// The word that a user reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numeric => "numeric",
            Self::Boolean => "boolean",
            Self::Categorical => "categorical",
            Self::Target => "target",
            Self::Weight => "weight",
            Self::Ignored => "ignored",
            Self::Constant => "constant",
            Self::Date => "date",
            Self::Identifier => "identifier",
            Self::Text => "text",
            Self::Duplicate => "duplicate",
        }
    }

    /// Whether the network sees the column.
    pub fn is_input(self) -> bool {
        matches!(self, Self::Numeric | Self::Boolean | Self::Categorical | Self::Date)
    }
}

/// What was found out about a training table.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The kind of each column of the table.
    pub kinds: Vec<Kind>,
    /// Why each column is of its kind.
    pub reasons: Vec<String>,
    /// The target's position among the columns.
    pub target: usize,
    /// Those of further numbers to predict.
    pub other_targets: Vec<usize>,
    /// What is predicted.
    pub task: Task,
    /// The classes; none for regression.
    pub labels: Vec<String>,
    /// The rows that serve, in order.
    pub rows: Vec<usize>,
    /// The weight of each row of the table, if there are weights.
    pub weights: Option<Vec<f64>>,
    /// What the person should know.
    pub notes: Vec<Note>,
}

impl Schema {
    /// Finds out what the columns of a training table are, by the rules of this module.
    ///
    /// # Errors
    /// If an option names no column or one column is named twice; if weights are missing, negative or all 0; if fewer than
    /// two rows serve, the target is constant, too large, or has a class of one row; if a column mixes numbers and texts by
    /// mistake, or holds an infinite number; if no input is left.
    pub fn infer(table: &Table, options: &SchemaOptions) -> Result<Self, TableError> {
        let kinds = named_kinds(table, options)?;
        let find = |kind| kinds.iter().position(|k| *k == Some(kind));
        let weight = find(Kind::Weight);
        // In the order in which they are named.
        let positions = table.positions();
        let mut targets = target_names(table, options).into_iter().filter_map(|name| positions.get(&name[..]).copied());
        let target = targets.next().unwrap_or_default();
        let other_targets: Vec<usize> = targets.collect();
        let all_targets = [&[target], &other_targets[..]].concat();

        let mut notes = Vec::new();
        let all: Vec<usize> = (0..table.rows()).collect();
        let weights = weight.map(|column| sample_weights(table, column, &all)).transpose()?;
        let (rows, dropped) = rows_with_target(table, &all_targets, weights.as_deref());
        notes.extend(dropped);
        let name = table.columns()[target].name();
        if rows.len() < 2 {
            let (file, target, got) = (table.name().to_owned(), name.to_owned(), rows.len());
            return Err(TableError::TooFewRows { file, target, expected: 2, got });
        }
        let task = match (options.task, &other_targets[..]) {
            (task, []) => task,
            (None | Some(Task::Regression), _) => Some(Task::Regression),
            (Some(Task::Classification), [other, ..]) => {
                let other = table.columns()[*other].name().to_owned();
                return Err(TableError::SeveralClasses { first: name.to_owned(), second: other });
            }
        };
        let (task, labels) = target_kind(table, target, task, &rows, &mut notes)?;
        for &other in &other_targets {
            target_kind(table, other, Some(Task::Regression), &rows, &mut notes)?;
        }

        let (kinds, reasons) = column_kinds(table, &kinds, &rows)?;
        if !kinds.iter().any(|kind| kind.is_input()) {
            let why = kinds.iter().zip(table.columns()).filter(|(kind, _)| **kind != Kind::Target);
            let left_out: Vec<String> = why.map(|(kind, c)| format!("{} ({})", c.name(), kind.name())).collect();
            let (file, target) = (table.name().to_owned(), name.to_owned());
            return Err(TableError::NoInputs { file, target, left_out: first_few(&left_out) });
        }
        let of_kind = |kind| -> Vec<&str> {
            kinds.iter().zip(table.columns()).filter(|(k, _)| **k == kind).map(|(_, column)| column.name()).collect()
        };
        notes.extend(Note::columns("left out, the same in every row", &of_kind(Kind::Constant)));
        let fate = "left out, texts that differ from row to row (--categorical NAME keeps one)";
        notes.extend(Note::columns(fate, &[of_kind(Kind::Identifier), of_kind(Kind::Text)].concat()));
        let duplicates = (0..kinds.len()).filter(|&p| kinds[p] == Kind::Duplicate);
        let duplicates: Vec<String> =
            duplicates.map(|p| format!("{} ({})", table.columns()[p].name(), reasons[p])).collect();
        notes.extend(Note::columns("left out", &duplicates));
        // For the first few columns only.
        let by_default = |name| !options.categorical.iter().any(|forced| forced == name);
        let mixtures = (0..kinds.len())
            .filter(|&p| {
                matches!(kinds[p], Kind::Categorical | Kind::Identifier) && by_default(table.columns()[p].name())
            })
            .filter_map(|p| mixture(table, p, &rows).map(|mixture| (p, mixture)))
            .filter(|(_, mixture)| 2 * mixture.numbers > mixture.cells);
        for (position, Mixture { numbers, cells, row, text }) in mixtures.take(MIXTURES_NOTED) {
            let (place, text) = (table.place(row, position), Quoted(&text));
            notes.push(Note::new(format!(
                "{place}: {text} makes texts of a column with {numbers} numbers in {cells} cells"
            )));
        }
        Ok(Self { kinds, reasons, target, other_targets, task, labels, rows, weights, notes })
    }

    /// The kind of each column of a table of which nothing is said, and why.
    ///
    /// # Errors
    /// If a column mixes numbers and texts by mistake, or holds an infinite number.
    pub fn columns(table: &Table) -> Result<(Vec<Kind>, Vec<String>), TableError> {
        let rows: Vec<usize> = (0..table.rows()).collect();
        column_kinds(table, &vec![None; table.columns().len()], &rows)
    }

    /// The positions of the inputs among the table's columns.
    pub fn inputs(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.kinds.len()).filter(|&position| self.kinds[position].is_input())
    }
}

/// The names of the columns to predict: the option as it stands where a column has that name, else its parts.
fn target_names(table: &Table, options: &SchemaOptions) -> Vec<String> {
    let whole = options.target.clone();
    if table.position(&whole).is_some() || !whole.contains(',') {
        return vec![whole];
    }
    let mut names: Vec<String> = Vec::new();
    for name in whole.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The kinds that the options name; [`Kind::Categorical`] means "named by --categorical".
fn named_kinds(table: &Table, options: &SchemaOptions) -> Result<Vec<Option<Kind>>, TableError> {
    let positions = table.positions();
    let mut kinds: Vec<Option<(Kind, &'static str)>> = vec![None; table.columns().len()];
    let named = |(option, kind): (&'static str, Kind), names: &[String]| -> Vec<(&'static str, Kind, String)> {
        names.iter().map(|name| (option, kind, name.clone())).collect()
    };
    let weight: Vec<String> = options.sample_weight.iter().cloned().collect();
    let mut all = named(("--target", Kind::Target), &target_names(table, options));
    all.extend(named(("--sample-weight", Kind::Weight), &weight));
    all.extend(named(("--ignore", Kind::Ignored), &options.ignore));
    all.extend(named(("--categorical", Kind::Categorical), &options.categorical));
    for (option, kind, name) in all {
        let Some(&position) = positions.get(name.as_str()) else {
            let known = table.columns().iter().map(|column| column.name());
            return Err(TableError::unknown_column(table.name(), option, &name, known));
        };
        match kinds[position] {
            Some((_, first)) if first != option => {
                return Err(TableError::Conflict { column: name, first, second: option });
            }
            _ => kinds[position] = Some((kind, option)),
        }
    }
    Ok(kinds.into_iter().map(|kind| kind.map(|(kind, _)| kind)).collect())
}

/// The sample weights in the given rows, in their order.
///
/// # Errors
/// If one is missing, no number, negative, or too large; if all are 0.
pub fn sample_weights(table: &Table, position: usize, rows: &[usize]) -> Result<Vec<f64>, TableError> {
    let weights = table.numbers(position, rows)?;
    for (&row, &weight) in rows.iter().zip(&weights) {
        if weight.is_nan() {
            return Err(TableError::MissingCell { place: table.place(row, position) });
        }
        if weight < 0.0 {
            return Err(TableError::NegativeWeight { place: table.place(row, position), got: weight });
        }
    }
    if weights.iter().all(|&weight| weight == 0.0) {
        let column = table.columns()[position].name().to_owned();
        return Err(TableError::NoWeight { file: table.name().to_owned(), column });
    }
    Ok(weights)
}

/// The rows that have every target and a weight above 0 (each row of the table has its entry in `weights`), and what to say
/// of the others.
pub(crate) fn rows_with_target(table: &Table, targets: &[usize], weights: Option<&[f64]>) -> (Vec<usize>, Vec<Note>) {
    let mut notes = Vec::new();
    let weighted: Vec<usize> = (0..table.rows()).filter(|&row| weights.is_none_or(|w| w[row] > 0.0)).collect();
    if weighted.len() < table.rows() {
        notes.push(Note::new(format!("{} of weight 0 left out", counted(table.rows() - weighted.len(), "row"))));
    }
    let mut rows = weighted;
    for column in targets.iter().map(|&target| &table.columns()[target]) {
        let before = rows.len();
        rows.retain(|&row| !column.cells().is_missing(row));
        if rows.len() < before {
            let dropped = counted(before - rows.len(), "row");
            notes.push(Note::new(format!("{dropped} without a value in {} left out", Quoted(column.name()))));
        }
    }
    (rows, notes)
}

/// The task and the classes.
fn target_kind(
    table: &Table,
    target: usize,
    task: Option<Task>,
    rows: &[usize],
    notes: &mut Vec<Note>,
) -> Result<(Task, Vec<String>), TableError> {
    let column = &table.columns()[target];
    let texts = mixture(table, target, rows);
    let numeric = texts.is_none();
    // A text in a column of numbers: said before classes are made of the numbers.
    if let Some(mixture) = texts
        && (task == Some(Task::Regression) || (task.is_none() && 2 * mixture.numbers > mixture.cells))
    {
        return Err(mixture.error(table, target, "use --task classification".to_owned()));
    }
    let values = if numeric { Some(table.numbers(target, rows)?) } else { None };
    let constant = match (&values, column.cells()) {
        (Some(values), _) => values.iter().all(|value| *value == values[0]),
        (None, Cells::Texts(texts)) => rows.iter().all(|&row| texts.code(row) == texts.code(rows[0])),
        (None, Cells::Numbers(_)) => false,
    };
    if constant {
        let (file, target_name) = (table.name().to_owned(), column.name().to_owned());
        let value = table.spelling(rows[0], target);
        return Err(TableError::ConstantTarget { file, target: target_name, value });
    }
    let whole = values.as_deref().and_then(whole_classes);
    let inferred = if numeric && whole.is_none() { Task::Regression } else { Task::Classification };
    let task = task.unwrap_or_else(|| {
        let name = Quoted(column.name());
        let text = match (inferred, whole) {
            (Task::Regression, _) => format!("{name} is numeric: regression (--task classification overrides)"),
            (_, Some(n)) => {
                format!("{name} has {n} different whole numbers: classification (--task regression overrides)")
            }
            (_, None) => format!("{name} holds texts: classification"),
        };
        notes.push(Note::new(text));
        inferred
    });
    let labels = match task {
        Task::Regression => Vec::new(),
        Task::Classification => classes(table, target, rows, values.as_deref())?,
    };
    Ok((task, labels))
}

/// How many classes the numbers are, if they are to be taken for classes.
fn whole_classes(values: &[f64]) -> Option<usize> {
    let mut counts: Vec<(f64, usize)> = Vec::new();
    for &value in values {
        match counts.iter().position(|(v, _)| *v == value) {
            Some(i) => counts[i].1 += 1,
            None if counts.len() == WHOLE_CLASSES || value != value.trunc() => return None,
            None => counts.push((value, 1)),
        }
    }
    let zero_and_one = counts.len() == 2 && counts.iter().all(|(v, _)| *v == 0.0 || *v == 1.0);
    let often = counts.iter().all(|(_, count)| *count >= 2) && values.len() >= 10 * counts.len();
    (zero_and_one || often).then_some(counts.len())
}

/// The classes, sorted; each has at least two rows. `values` are the rows' numbers where the target is numeric: there `1`
/// and `1.0` are one class.
fn classes(table: &Table, target: usize, rows: &[usize], values: Option<&[f64]>) -> Result<Vec<String>, TableError> {
    let column = &table.columns()[target];
    let texts = &table.texts(&[target])[0];
    let numeric = values.is_some();
    // For each class the code of its first spelling, its first row, and its number of rows.
    let mut seen: HashMap<u64, (usize, usize, usize)> = HashMap::new();
    for (i, &row) in rows.iter().enumerate() {
        let Some(code) = texts.code(row) else { continue };
        let class = values.map_or(code as u64, |values| (values[i] + 0.0).to_bits());
        seen.entry(class).or_insert((code, row, 0)).2 += 1;
    }
    if let Some(&(code, row, _)) = seen.values().filter(|(_, _, count)| *count == 1).min_by_key(|(_, row, _)| *row) {
        let label = texts.level(code).to_owned();
        return Err(TableError::LoneClass { place: table.place(row, target), label, numeric });
    }
    if seen.len() > MAX_CLASSES {
        let (file, target, got) = (table.name().to_owned(), column.name().to_owned(), seen.len());
        return Err(TableError::ManyClasses { file, target, limit: MAX_CLASSES, got, numeric });
    }
    let mut labels: Vec<String> = seen.values().map(|(code, _, _)| texts.level(*code).to_owned()).collect();
    levels::sort(&mut labels);
    Ok(labels)
}

/// The kind of each column, and why; of some the options say it.
fn column_kinds(table: &Table, named: &[Option<Kind>], rows: &[usize]) -> Result<(Vec<Kind>, Vec<String>), TableError> {
    let (mut kinds, mut reasons) = (Vec::new(), Vec::new());
    for (position, named) in named.iter().enumerate() {
        let forced = *named == Some(Kind::Categorical);
        let (kind, reason) = match named {
            Some(kind) if !forced => (*kind, "named by an option".to_owned()),
            _ => column_kind(table, position, rows, forced)?,
        };
        kinds.push(kind);
        reasons.push(reason);
    }
    // Columns of one digest are compared cell by cell.
    let mut seen: HashMap<u64, Vec<usize>> = HashMap::new();
    for position in (0..kinds.len()).filter(|&position| named[position].is_none()) {
        if !kinds[position].is_input() {
            continue;
        }
        let alike = seen.entry(digest(table, position, rows)).or_default();
        match alike.iter().find(|&&other| same_cells(table, position, other, rows)) {
            None => alike.push(position),
            Some(&other) => {
                kinds[position] = Kind::Duplicate;
                reasons[position] = format!("the same as {}", table.columns()[other].name());
            }
        }
    }
    Ok((kinds, reasons))
}

/// A number that columns of the same cells share.
fn digest(table: &Table, position: usize, rows: &[usize]) -> u64 {
    let mix = |state: u64, value: u64| (state ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let cells = table.columns()[position].cells();
    rows.iter().take(DIGESTED).fold(0, |state, &row| match cells {
        Cells::Numbers(numbers) => mix(state, numbers.get(row).to_bits()),
        Cells::Texts(texts) => texts
            .get(row)
            .map_or(mix(state, 0), |text| text.bytes().fold(state, |state, byte| mix(state, u64::from(byte)))),
    })
}

fn same_cells(table: &Table, a: usize, b: usize, rows: &[usize]) -> bool {
    match (table.columns()[a].cells(), table.columns()[b].cells()) {
        (Cells::Numbers(a), Cells::Numbers(b)) => rows.iter().all(|&row| a.get(row).to_bits() == b.get(row).to_bits()),
        (Cells::Texts(a), Cells::Texts(b)) => rows.iter().all(|&row| a.get(row) == b.get(row)),
        _ => false,
    }
}

/// Rules 1 to 8.
fn column_kind(table: &Table, position: usize, rows: &[usize], forced: bool) -> Result<(Kind, String), TableError> {
    let said = |kind, reason: &str| Ok((kind, reason.to_owned()));
    let texts = match table.columns()[position].cells() {
        Cells::Numbers(values) => {
            let first = rows.first().map_or(f64::NAN, |&row| values.get(row));
            let same = |x: f64| x == first || (x.is_nan() && first.is_nan());
            if rows.iter().all(|&row| same(values.get(row))) {
                return said(Kind::Constant, if first.is_nan() { "no value at all" } else { "one value" });
            }
            if forced {
                return said(Kind::Categorical, "named by --categorical");
            }
            return numeric_kind(table, position, rows);
        }
        Cells::Texts(texts) => texts,
    };
    if rows.iter().all(|&row| texts.code(row) == texts.code(rows[0])) {
        return said(Kind::Constant, "one value");
    }
    if forced {
        return said(Kind::Categorical, "named by --categorical");
    }
    let counts = level_counts(texts, rows);
    let cells: usize = counts.iter().sum();
    let levels: Vec<&str> = counts.iter().zip(texts.levels()).filter(|(n, _)| **n > 0).map(|(_, l)| l).collect();
    let codes = are_codes(levels.iter().copied());
    if !codes && levels.iter().all(|level| number(level).is_some()) {
        // The texts are all in rows that do not serve.
        return numeric_kind(table, position, rows);
    }
    if let Some(order) = calendar::order(levels.iter().copied()) {
        let day_first = if order == calendar::Order::DayFirst { ", the day first" } else { "" };
        return Ok((Kind::Date, format!("dates or times{day_first}")));
    }
    if levels.iter().all(|level| truth(level).is_some()) && levels.iter().any(|level| truth(level) != truth(levels[0]))
    {
        return said(Kind::Boolean, "every text says yes or no");
    }
    if !codes
        && let Some(mixture) = mixture(table, position, rows)
        && cells >= MIXED_CELLS
        && 100 * mixture.numbers >= 95 * cells
    {
        let name = table.columns()[position].name();
        let instead = format!("use --categorical {name} or --ignore {name}", name = Plain(name));
        return Err(mixture.error(table, position, instead));
    }
    let many = format!("{} different texts in {cells} cells", levels.len());
    if levels.len() > IDENTIFIER_LEVELS && 2 * levels.len() > cells {
        let words: usize = levels.iter().map(|level| level.split_whitespace().count()).sum();
        return Ok(match words >= PROSE_WORDS * levels.len() {
            true => (Kind::Text, format!("prose: {many}")),
            false => (Kind::Identifier, many),
        });
    }
    Ok((Kind::Categorical, if codes { format!("codes with a zero in front: {many}") } else { many }))
}

/// Rule 3.
fn numeric_kind(table: &Table, position: usize, rows: &[usize]) -> Result<(Kind, String), TableError> {
    let column = &table.columns()[position];
    let values = table.numbers(position, rows)?;
    let words = words(column.name());
    let last = words.last().map_or("", String::as_str);
    let row_name = position == 0 && (words == ["index"] || words == ["unnamed", "0"]);
    let (identifies, codes) = (
        row_name || matches!(last, "id" | "uuid" | "guid"),
        matches!(last, "id" | "code" | "zip" | "zipcode" | "postcode" | "plz"),
    );
    if identifies || codes {
        let mut present: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
        let whole = present.iter().all(|x| *x == x.trunc());
        present.sort_by(f64::total_cmp);
        let cells = present.len();
        present.dedup();
        if whole && identifies && present.len() == cells && cells == rows.len() {
            return Ok((Kind::Identifier, "whole numbers that name single rows".to_owned()));
        }
        if whole && codes && 2 * present.len() <= cells {
            let levels = present.len();
            return Ok((
                Kind::Categorical,
                format!("named as a code, {levels} different whole numbers in {cells} cells"),
            ));
        }
    }
    Ok((Kind::Numeric, "every value is a number".to_owned()))
}

/// The words of a column's name, in small letters: `zipCode_2` is zip, code, 2.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut small = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (small && c.is_uppercase()) {
            words.push(String::new());
        }
        small = c.is_lowercase();
        if c.is_alphanumeric() {
            words.last_mut().into_iter().for_each(|word| word.extend(c.to_lowercase()));
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// How many of the rows have each level.
pub(crate) fn level_counts(texts: &Texts, rows: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; texts.levels().len()];
    for &row in rows {
        if let Some(code) = texts.code(row) {
            counts[code] += 1;
        }
    }
    counts
}

/// Whether a text says yes or no.
pub(crate) fn truth(text: &str) -> Option<bool> {
    const YES: [&str; 13] = ["true", "yes", "t", "y", "on", "ja", "oui", "si", "sí", "wahr", "vrai", "1", "1.0"];
    const NO: [&str; 11] = ["false", "no", "f", "n", "off", "nein", "non", "falsch", "faux", "0", "0.0"];
    let text = text.trim().to_lowercase();
    let said = |words: &[&str]| words.contains(&text.as_str());
    said(&YES).then_some(true).or(said(&NO).then_some(false))
}

/// Numbers and texts in one column.
struct Mixture {
    numbers: usize,
    cells: usize,
    /// The first row with a text.
    row: usize,
    text: String,
}

impl Mixture {
    fn error(self, table: &Table, position: usize, instead: String) -> TableError {
        let place = table.place(self.row, position);
        TableError::Mixed { place, got: self.text, numbers: self.numbers, cells: self.cells, instead }
    }
}

/// How far the column mixes numbers and texts in these rows; none if it has no text there.
fn mixture(table: &Table, position: usize, rows: &[usize]) -> Option<Mixture> {
    let Cells::Texts(texts) = table.columns()[position].cells() else { return None };
    let counts = level_counts(texts, rows);
    let is_number: Vec<bool> = texts.levels().map(|level| number(level).is_some()).collect();
    let numbers = counts.iter().zip(&is_number).filter(|(_, n)| **n).map(|(count, _)| count).sum();
    let row = *rows.iter().find(|&&row| texts.code(row).is_some_and(|code| !is_number[code]))?;
    Some(Mixture { numbers, cells: counts.iter().sum(), row, text: texts.get(row)?.to_owned() })
}
