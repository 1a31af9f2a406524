//! What can be wrong with a table: file, line, column, what was expected, what came, and the next step, in one line.

use std::fmt;
use std::io;

/// A cell of a table, as a person finds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The table's name: a file's path, or `-`.
    pub file: String,
    /// The line of the file, from 1, where the row starts; none where a table has no lines (it did not come as text).
    pub line: Option<usize>,
    /// The data row, from 0.
    pub row: usize,
    /// The column's name.
    pub column: String,
}

/// An error of this crate.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TableError {
    /// The system could not deliver the bytes.
    Io {
        /// The table's name.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// No byte at all, or nothing but line ends.
    Empty {
        /// The table's name.
        file: String,
    },
    /// Column names, but no row.
    NoRows {
        /// The table's name.
        file: String,
    },
    /// A byte that is no UTF-8.
    NotUtf8 {
        /// The table's name.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// A zero byte, which no text has.
    Nul {
        /// The table's name.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// A Parquet file that cannot be read.
    Parquet {
        /// The table's name.
        file: String,
        /// What its reader said.
        reason: String,
    },
    /// A column of a Parquet file that no table holds.
    ParquetColumn {
        /// The table's name.
        file: String,
        /// The column's name.
        column: String,
        /// What it holds.
        what: String,
    },
    /// More than this crate takes on.
    TooMany {
        /// The table's name.
        file: String,
        /// What there is too much of.
        what: &'static str,
        /// The most that is taken.
        limit: usize,
        /// How many there are.
        got: usize,
    },
    /// A field longer than this crate takes on.
    LongField {
        /// The table's name.
        file: String,
        /// The line, from 1, where the row starts.
        line: usize,
        /// The column's position, from 1.
        column: usize,
        /// The most bytes that are taken.
        limit: usize,
        /// How many there are.
        got: usize,
    },
    /// A row with more or fewer fields than there are column names.
    Ragged {
        /// The table's name.
        file: String,
        /// The line, from 1, where the row starts.
        line: usize,
        /// How many column names there are.
        expected: usize,
        /// How many fields the row has.
        got: usize,
    },
    /// A quoted field that swallows the rest of the file.
    OpenQuote {
        /// The table's name.
        file: String,
        /// The line, from 1, where the row starts.
        line: usize,
    },
    /// A column without a name.
    Unnamed {
        /// The table's name.
        file: String,
        /// The column's position, from 1.
        column: usize,
    },
    /// Two columns of one name.
    Duplicate {
        /// The table's name.
        file: String,
        /// The name.
        name: String,
        /// The first one's position, from 1.
        first: usize,
        /// The second one's position, from 1.
        second: usize,
    },
    /// Two columns of a table in memory that have different lengths.
    Lengths {
        /// The table's name.
        file: String,
        /// The column's name.
        column: String,
        /// How many rows the first column has.
        expected: usize,
        /// How many this one has.
        got: usize,
    },
    /// A name that no column has.
    UnknownColumn {
        /// The table's name.
        file: String,
        /// The option that named it.
        option: &'static str,
        /// The name.
        name: String,
        /// The column that it resembles, if it resembles one.
        nearest: Option<String>,
        /// The columns there are (the first few).
        known: Vec<String>,
    },
    /// One column named for two purposes.
    Conflict {
        /// The column's name.
        column: String,
        /// One option that names it.
        first: &'static str,
        /// The other option.
        second: &'static str,
    },
    /// A column of numbers that holds a text.
    Mixed {
        /// The first text.
        place: Box<Place>,
        /// The text.
        got: String,
        /// How many cells are numbers.
        numbers: usize,
        /// How many cells have a value.
        cells: usize,
        /// What the person can do other than mend the cell.
        instead: String,
    },
    /// A cell that must be a number and is none.
    NotANumber {
        /// Where.
        place: Box<Place>,
        /// The text.
        got: String,
    },
    /// An infinite number, or one too large to be squared and summed.
    TooLarge {
        /// Where.
        place: Box<Place>,
        /// The number as it stands in the file.
        got: String,
        /// The largest size that is taken.
        limit: f64,
    },
    /// A number that the precision of the network cannot hold once it is encoded.
    Unrepresentable {
        /// Where.
        place: Box<Place>,
        /// The number as it stands in the file.
        got: String,
        /// The precision, `f32` or `f64`.
        precision: &'static str,
    },
    /// A cell that must have a value and has none.
    MissingCell {
        /// Where.
        place: Box<Place>,
    },
    /// A sample weight below zero.
    NegativeWeight {
        /// Where.
        place: Box<Place>,
        /// The weight.
        got: f64,
    },
    /// Sample weights that leave no row.
    NoWeight {
        /// The table's name.
        file: String,
        /// The column's name.
        column: String,
    },
    /// Too few rows with a target (and a weight).
    TooFewRows {
        /// The table's name.
        file: String,
        /// The target's name.
        target: String,
        /// The least number that is needed.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// Several targets of which one is to be a class.
    SeveralClasses {
        /// The first target's name.
        first: String,
        /// Another one's.
        second: String,
    },
    /// A target that is the same in every row.
    ConstantTarget {
        /// The table's name.
        file: String,
        /// The target's name.
        target: String,
        /// Its value.
        value: String,
    },
    /// A class that only one row has.
    LoneClass {
        /// The row.
        place: Box<Place>,
        /// The class.
        label: String,
        /// Whether the target is numeric, so that regression is a way out.
        numeric: bool,
    },
    /// More classes than this crate takes on.
    ManyClasses {
        /// The table's name.
        file: String,
        /// The target's name.
        target: String,
        /// The most that are taken.
        limit: usize,
        /// How many there are.
        got: usize,
        /// Whether the target is numeric, so that regression is a way out.
        numeric: bool,
    },
    /// A class that the model does not know.
    UnknownLabel {
        /// Where.
        place: Box<Place>,
        /// The label.
        got: String,
        /// The model's classes (the first few).
        known: Vec<String>,
    },
    /// No column is left that a network could learn from.
    NoInputs {
        /// The table's name.
        file: String,
        /// The target's name.
        target: String,
        /// The other columns (the first few) and what they are.
        left_out: Vec<String>,
    },
    /// Columns that the model needs and the table has not.
    MissingColumns {
        /// The table's name.
        file: String,
        /// The columns (the first few).
        names: Vec<String>,
        /// How many there are.
        got: usize,
    },
    /// A matrix of inputs larger than this crate makes.
    TooWide {
        /// The table's name.
        file: String,
        /// Its rows.
        rows: usize,
        /// Its columns once encoded.
        columns: usize,
        /// The column that makes most of them.
        widest: String,
    },
}

/// How many names a message lists.
const LISTED: usize = 8;

impl TableError {
    /// The error for a file that cannot be opened or read.
    pub fn io(file: &str, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "no such file; check the path".to_owned(),
            io::ErrorKind::PermissionDenied => "permission denied; check who may read it".to_owned(),
            io::ErrorKind::IsADirectory => "a directory; name a file in it".to_owned(),
            _ => format!("cannot be read: {error}"),
        };
        Self::Io { file: file.to_owned(), reason }
    }

    pub(crate) fn unknown_column<'a>(
        file: &str,
        option: &'static str,
        name: &str,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<&str> = known.collect();
        let nearest = chainrule::error::nearest(name, &known).map(str::to_owned);
        Self::UnknownColumn { file: file.to_owned(), option, name: name.to_owned(), nearest, known: first_few(&known) }
    }
}

/// The first names, and a word on how many more there are.
pub(crate) fn first_few<S: AsRef<str>>(names: &[S]) -> Vec<String> {
    let mut few: Vec<String> = names.iter().take(LISTED).map(|name| name.as_ref().to_owned()).collect();
    if names.len() > LISTED {
        few.push(format!("… ({} more)", names.len() - LISTED));
    }
    few
}

/// A text from a file, made fit for one line: control characters escaped, at most 60 characters.
#[derive(Clone, Copy)]
pub(crate) struct Plain<'a>(pub(crate) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 60;
        for (i, c) in self.0.chars().enumerate() {
            if i == SHOWN {
                return f.write_str("…");
            }
            // U+2028 and U+2029 end a line too, and the marks for text direction would reorder the message.
            if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}

/// A text from a file between backticks.
#[derive(Clone, Copy)]
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", Plain(self.0))
    }
}

/// Names between backticks, with commas; a closing "… (n more)" stays as it is.
pub(crate) struct List<'a>(pub(crate) &'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            match i < LISTED {
                true => write!(f, "{comma}{}", Quoted(name))?,
                false => write!(f, "{comma}{name}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (file, column) = (Plain(&self.file), Quoted(&self.column));
        match self.line {
            Some(line) => write!(f, "{file}: line {line}, column {column}"),
            None => write!(f, "{file}: row {}, column {column}", self.row + 1),
        }
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { file, reason } => write!(f, "{}: {}", Plain(file), Plain(reason)),
            Self::Empty { file } => {
                write!(f, "{}: the file is empty; expected column names in line 1 and rows below", Plain(file))
            }
            Self::NoRows { file } => {
                write!(f, "{}: column names but no rows; expected at least one row below line 1", Plain(file))
            }
            Self::NotUtf8 { file, line } => {
                write!(f, "{}: line {line}: not UTF-8 text; save the table as CSV in UTF-8", Plain(file))
            }
            Self::Nul { file, line } => {
                write!(f, "{}: line {line}: a zero byte, which no text has; is this a CSV file?", Plain(file))
            }
            Self::Parquet { file, reason } => {
                write!(f, "{}: a damaged Parquet file ({}); write it again", Plain(file), Plain(reason))
            }
            Self::ParquetColumn { file, column, what } => {
                write!(f, "{}: column {} holds {what}; write the file without it", Plain(file), Quoted(column))
            }
            Self::TooMany { file, what, limit, got } => {
                write!(f, "{}: {got} {what}; at most {limit} are taken", Plain(file))
            }
            Self::LongField { file, line, column, limit, got } => write!(
                f,
                "{}: line {line}, column {column}: a field of {got} bytes; at most {limit} are taken (a quote left open?)",
                Plain(file)
            ),
            Self::Ragged { file, line, expected, got } => write!(
                f,
                "{}: line {line}: expected {expected} fields as in line 1, got {got}; a comma inside a field needs quotes around it",
                Plain(file)
            ),
            Self::OpenQuote { file, line } => write!(
                f,
                "{}: line {line}: a quoted field never ends; close its quote, and double quotes inside it",
                Plain(file)
            ),
            Self::Unnamed { file, column } => write!(
                f,
                "{}: line 1: column {column} has no name; name it or remove it (a data frame's index?)",
                Plain(file)
            ),
            Self::Duplicate { file, name, first, second } => write!(
                f,
                "{}: line 1: columns {first} and {second} are both named {}; rename one",
                Plain(file),
                Quoted(name)
            ),
            Self::Lengths { file, column, expected, got } => {
                write!(f, "{}: column {} has {got} rows, expected {expected}", Plain(file), Quoted(column))
            }
            Self::UnknownColumn { file, option, name, nearest, known } => {
                write!(f, "{}: no column {} (named by {option}); ", Plain(file), Quoted(name))?;
                match nearest {
                    Some(nearest) => write!(f, "did you mean {}?", Quoted(nearest)),
                    None => write!(f, "columns: {}", List(known)),
                }
            }
            Self::Conflict { column, first, second } => {
                write!(f, "column {} is named by both {first} and {second}; drop one of them", Quoted(column))
            }
            Self::Mixed { place, got, numbers, cells, instead } => write!(
                f,
                "{place}: expected a number as in {numbers} of {cells} cells, got {}; mend the cell, or {instead}",
                Quoted(got)
            ),
            Self::NotANumber { place, got } => {
                write!(f, "{place}: expected a number, got {}; mend the cell or leave it empty", Quoted(got))
            }
            Self::TooLarge { place, got, limit } => write!(
                f,
                "{place}: expected a number between -{limit:e} and {limit:e}, got {}; mend the cell or leave it empty",
                Quoted(got)
            ),
            Self::Unrepresentable { place, got, precision } => write!(
                f,
                "{place}: expected a number that {precision} can hold once encoded, got {}; mend the cell or leave it empty",
                Quoted(got)
            ),
            Self::MissingCell { place } => {
                write!(f, "{place}: expected a value, got none; fill the cell or remove the row")
            }
            Self::NegativeWeight { place, got } => {
                write!(f, "{place}: expected a weight of 0 or more, got {got}; 0 leaves a row out")
            }
            Self::NoWeight { file, column } => {
                write!(f, "{}: column {}: every weight is 0; give some row a weight", Plain(file), Quoted(column))
            }
            Self::TooFewRows { file, target, expected, got } => write!(
                f,
                "{}: expected at least {expected} rows with a value in {}, got {got}; add rows",
                Plain(file),
                Quoted(target)
            ),
            Self::SeveralClasses { first, second } => write!(
                f,
                "--target {},{}: several targets are numbers; classes are predicted one column at a time",
                Plain(first),
                Plain(second)
            ),
            Self::ConstantTarget { file, target, value } => write!(
                f,
                "{}: the target {} is {} in every row, so there is nothing to learn; name another with --target",
                Plain(file),
                Quoted(target),
                Quoted(value)
            ),
            Self::LoneClass { place, label, numeric } => write!(
                f,
                "{place}: class {} has one row, expected at least 2; add rows, remove this one{}",
                Quoted(label),
                if *numeric { ", or use --task regression" } else { " or merge the class with another" }
            ),
            Self::ManyClasses { file, target, limit, got, numeric } => write!(
                f,
                "{}: the target {} has {got} classes, at most {limit} are taken; {}",
                Plain(file),
                Quoted(target),
                if *numeric { "use --task regression" } else { "merge some, or name another with --target" }
            ),
            Self::UnknownLabel { place, got, known } => {
                write!(f, "{place}: class {} is none of the model's: {}", Quoted(got), List(known))
            }
            Self::NoInputs { file, target, left_out } => {
                write!(f, "{}: no column to predict {} from", Plain(file), Quoted(target))?;
                match left_out.is_empty() {
                    true => write!(f, "; add columns"),
                    false => write!(f, "; left out: {}", List(left_out)),
                }
            }
            Self::MissingColumns { file, names, got } => write!(
                f,
                "{}: the model needs {got} column{} that the table has not: {}",
                Plain(file),
                if *got == 1 { "" } else { "s" },
                List(names)
            ),
            Self::TooWide { file, rows, columns, widest } => write!(
                f,
                "{}: {rows} rows by {columns} encoded columns do not fit; {} makes the most of them: --ignore it",
                Plain(file),
                Quoted(widest)
            ),
        }
    }
}

impl std::error::Error for TableError {}
