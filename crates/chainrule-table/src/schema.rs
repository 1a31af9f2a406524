//! What each column of a training table is, and which rows serve.
//!
//! # The rules for columns
//! Looked at are the rows that serve: those with a target and, where there are weights, a weight above 0. In this order:
//!
//! 1. **constant**, left out: every row has the same value, or none has any. (One value and some gaps is information.)
//! 2. **categorical** if named by `--categorical`.
//! 3. **numeric**: every cell that is not missing is a number.
//! 4. **date**, left out: every cell that is not missing is an ISO 8601 date (`2024-05-01`), or date and time.
//! 5. **boolean**: two texts among true/false, yes/no, t/f, y/n, in any case; treated as a category of two.
//! 6. An error: at least 200 cells have a value, and at least 95 % of them are numbers. That is a column of numbers with
//!    some cells to mend, not a category of thousands of values.
//! 7. **identifier**, left out: more than 100 different texts, and more than half as many as cells with a value.
//! 8. **categorical**: the rest.
//!
//! # The rule for the task
//! Texts are classes. Numbers are classes if they are just 0 and 1, or if they are at most 10 different whole numbers,
//! each in at least two rows and in 10 rows on average. All other numbers are regression. `--task` overrides.
//! Classes keep the spelling that the file gives them first; classes that are all numbers are in the order of the numbers,
//! other ones in the order of their bytes.

use crate::error::{Plain, Quoted, TableError, first_few};
use crate::levels;
use crate::note::{Note, counted};
use crate::table::{Cells, Table, Texts, number};
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
    /// The column to predict.
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
    /// Left out: dates.
    Date,
    /// Left out: texts that differ from row to row.
    Identifier,
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
        }
    }

    /// Whether the network sees the column.
    pub fn is_input(self) -> bool {
        matches!(self, Self::Numeric | Self::Boolean | Self::Categorical)
    }
}

/// What was found out about a training table.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The kind of each column of the table.
    pub kinds: Vec<Kind>,
    /// The target's position among the columns.
    pub target: usize,
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
        let mut kinds = named_kinds(table, options)?;
        let find = |kind| kinds.iter().position(|k| *k == Some(kind));
        let (target, weight) = (find(Kind::Target).unwrap_or_default(), find(Kind::Weight));

        let mut notes = Vec::new();
        let all: Vec<usize> = (0..table.rows()).collect();
        let weights = weight.map(|column| sample_weights(table, column, &all)).transpose()?;
        let (rows, dropped) = rows_with_target(table, target, weights.as_deref());
        notes.extend(dropped);
        let name = table.columns()[target].name();
        if rows.len() < 2 {
            let (file, target, got) = (table.name().to_owned(), name.to_owned(), rows.len());
            return Err(TableError::TooFewRows { file, target, expected: 2, got });
        }
        let (task, labels) = target_kind(table, target, options.task, &rows, &mut notes)?;

        for (position, kind) in kinds.iter_mut().enumerate() {
            let forced = *kind == Some(Kind::Categorical);
            if kind.is_none() || forced {
                *kind = Some(column_kind(table, position, &rows, forced)?);
            }
        }
        let kinds: Vec<Kind> = kinds.into_iter().map(|kind| kind.unwrap_or(Kind::Ignored)).collect();
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
        notes.extend(Note::columns("left out, dates (numbers made of them would serve)", &of_kind(Kind::Date)));
        let fate = "left out, texts that differ from row to row (--categorical NAME keeps one)";
        notes.extend(Note::columns(fate, &of_kind(Kind::Identifier)));
        // Finding the line of a cell reads the file: for the first few columns only.
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
        Ok(Self { kinds, target, task, labels, rows, weights, notes })
    }

    /// The positions of the inputs among the table's columns.
    pub fn inputs(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.kinds.len()).filter(|&position| self.kinds[position].is_input())
    }
}

/// The kinds that the options name; [`Kind::Categorical`] means "named by --categorical".
fn named_kinds(table: &Table, options: &SchemaOptions) -> Result<Vec<Option<Kind>>, TableError> {
    let positions = table.positions();
    let mut kinds: Vec<Option<(Kind, &'static str)>> = vec![None; table.columns().len()];
    let named = |(option, kind): (&'static str, Kind), names: &[String]| -> Vec<(&'static str, Kind, String)> {
        names.iter().map(|name| (option, kind, name.clone())).collect()
    };
    let weight: Vec<String> = options.sample_weight.iter().cloned().collect();
    let mut all = named(("--target", Kind::Target), std::slice::from_ref(&options.target));
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

/// The rows that have a target and a weight above 0 (each row of the table has its entry in `weights`), and what to say
/// of the others.
pub(crate) fn rows_with_target(table: &Table, target: usize, weights: Option<&[f64]>) -> (Vec<usize>, Vec<Note>) {
    let column = &table.columns()[target];
    let mut notes = Vec::new();
    let weighted: Vec<usize> = (0..table.rows()).filter(|&row| weights.is_none_or(|w| w[row] > 0.0)).collect();
    if weighted.len() < table.rows() {
        notes.push(Note::new(format!("{} of weight 0 left out", counted(table.rows() - weighted.len(), "row"))));
    }
    let rows: Vec<usize> = weighted.iter().copied().filter(|&row| !column.cells().is_missing(row)).collect();
    if rows.len() < weighted.len() {
        let dropped = counted(weighted.len() - rows.len(), "row");
        notes.push(Note::new(format!("{dropped} without a value in {} left out", Quoted(column.name()))));
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
        let label = texts.levels()[code].clone();
        return Err(TableError::LoneClass { place: table.place(row, target), label, numeric });
    }
    if seen.len() > MAX_CLASSES {
        let (file, target, got) = (table.name().to_owned(), column.name().to_owned(), seen.len());
        return Err(TableError::ManyClasses { file, target, limit: MAX_CLASSES, got, numeric });
    }
    let mut labels: Vec<String> = seen.values().map(|(code, _, _)| texts.levels()[*code].clone()).collect();
    levels::sort(&mut labels);
    Ok(labels)
}

/// Rules 1 to 8.
fn column_kind(table: &Table, position: usize, rows: &[usize], forced: bool) -> Result<Kind, TableError> {
    let texts = match table.columns()[position].cells() {
        Cells::Numbers(values) => {
            let same = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan());
            if rows.iter().all(|&row| same(values[row], values[rows[0]])) {
                return Ok(Kind::Constant);
            }
            if forced {
                return Ok(Kind::Categorical);
            }
            table.numbers(position, rows)?;
            return Ok(Kind::Numeric);
        }
        Cells::Texts(texts) => texts,
    };
    if rows.iter().all(|&row| texts.code(row) == texts.code(rows[0])) {
        return Ok(Kind::Constant);
    }
    if forced {
        return Ok(Kind::Categorical);
    }
    let counts = level_counts(texts, rows);
    let cells: usize = counts.iter().sum();
    let levels: Vec<&str> =
        counts.iter().zip(texts.levels()).filter(|(n, _)| **n > 0).map(|(_, l)| l.as_str()).collect();
    if levels.iter().all(|level| number(level).is_some()) {
        // The texts are all in rows that do not serve.
        table.numbers(position, rows)?;
        return Ok(Kind::Numeric);
    }
    if levels.iter().all(|level| is_date(level)) {
        return Ok(Kind::Date);
    }
    if let [a, b] = levels.as_slice()
        && truth(a).zip(truth(b)).is_some_and(|((word_a, a), (word_b, b))| word_a == word_b && a != b)
    {
        return Ok(Kind::Boolean);
    }
    if let Some(mixture) = mixture(table, position, rows)
        && cells >= MIXED_CELLS
        && 100 * mixture.numbers >= 95 * cells
    {
        let name = table.columns()[position].name();
        let instead = format!("use --categorical {name} or --ignore {name}", name = Plain(name));
        return Err(mixture.error(table, position, instead));
    }
    if levels.len() > IDENTIFIER_LEVELS && 2 * levels.len() > cells {
        return Ok(Kind::Identifier);
    }
    Ok(Kind::Categorical)
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

/// Which pair of words for yes and no a text belongs to, and which of the two it is.
pub(crate) fn truth(text: &str) -> Option<(&'static str, bool)> {
    const WORDS: [(&str, &str); 4] = [("true", "false"), ("yes", "no"), ("t", "f"), ("y", "n")];
    let text = text.trim();
    WORDS.iter().find_map(|(yes, no)| {
        let truth = text.eq_ignore_ascii_case(yes);
        (truth || text.eq_ignore_ascii_case(no)).then_some((*yes, truth))
    })
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
    let is_number: Vec<bool> = texts.levels().iter().map(|level| number(level).is_some()).collect();
    let numbers = counts.iter().zip(&is_number).filter(|(_, n)| **n).map(|(count, _)| count).sum();
    let row = *rows.iter().find(|&&row| texts.code(row).is_some_and(|code| !is_number[code]))?;
    Some(Mixture { numbers, cells: counts.iter().sum(), row, text: texts.get(row)?.to_owned() })
}

/// `2024-05-01`, or with a time after `T` or a blank: `2024-05-01T12:30`, `… 12:30:05.25Z`, `…+02:00`.
fn is_date(text: &str) -> bool {
    let text = text.trim().as_bytes();
    let Some((date, rest)) = text.split_at_checked(10) else { return false };
    if date[4] != b'-' || date[7] != b'-' {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (digits(&date[..4]), digits(&date[5..7]), digits(&date[8..])) else {
        return false;
    };
    let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=days).contains(&day) && (rest.is_empty() || (matches!(rest[0], b'T' | b't' | b' ') && is_time(&rest[1..])))
}

fn is_time(text: &[u8]) -> bool {
    let Some(mut rest) = clock(text) else { return false };
    if let Some((b':', seconds)) = rest.split_first().map(|(c, rest)| (*c, rest)) {
        if seconds.len() < 2 || digits(&seconds[..2]).is_none_or(|s| s > 60) {
            return false;
        }
        rest = &seconds[2..];
        if let Some((b'.' | b',', fraction)) = rest.split_first().map(|(c, rest)| (*c, rest)) {
            let length = fraction.iter().take_while(|c| c.is_ascii_digit()).count();
            if length == 0 {
                return false;
            }
            rest = &fraction[length..];
        }
    }
    match rest {
        b"" | b"Z" | b"z" => true,
        [b'+' | b'-', hour @ ..] if hour.len() == 2 => digits(hour).is_some_and(|h| h < 24),
        [b'+' | b'-', h1, h2, m1, m2] => clock(&[*h1, *h2, b':', *m1, *m2]).is_some(),
        [b'+' | b'-', offset @ ..] => clock(offset).is_some_and(<[u8]>::is_empty),
        _ => false,
    }
}

/// What follows `HH:MM`.
fn clock(text: &[u8]) -> Option<&[u8]> {
    let (clock, rest) = text.split_at_checked(5)?;
    let good = digits(&clock[..2])? < 24 && clock[2] == b':' && digits(&clock[3..])? < 60;
    good.then_some(rest)
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0, |value, c| c.is_ascii_digit().then(|| 10 * value + u32::from(c - b'0')))
}
