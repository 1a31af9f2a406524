//! A table in memory: named columns of numbers or of texts, and the way back to the file for messages.
//!
//! # Missing cells
//! A cell is missing if, without surrounding blanks, it is empty or one of `NA`, `N/A`, `#N/A`, `<NA>`, `NaN`, `nan`, `NaT`,
//! `null`, `NULL`, `None` and `?`. This is the one rule, for numbers, categories, targets and weights alike.
//!
//! # Numbers
//! A cell is a number if, without surrounding blanks, it is one to Rust's `f64` parser: `12`, `-0.5`, `.5`, `1e-3`, and
//! `inf` or `1e999`, which are infinite and an error where the column is used. Thousands separators, units and hexadecimal
//! digits make a text; so does a decimal comma, but in a file whose cells are separated by semicolons (there a point does). A column is one of
//! numbers if all its cells are numbers or missing, unless they are codes: digits of one width, some with a zero in front
//! (`02134`, `10001`).
//!
//! # Spelling
//! Where a number is wanted as a text (labels, `--categorical`), it appears as it stands in the file if all cells of its
//! column share a style (`1`, `2.5`; `1.0`, `2.5`; `1.00`, `2.50`), else as its shortest decimal.

use crate::csv_file::{self, Dialect, Lines};
use crate::error::{Place, TableError};
use crate::numbers::Spelled;
use crate::texts::Coder;
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

pub use crate::numbers::Numbers;
pub(crate) use crate::numbers::number;
pub use crate::texts::Texts;

/// The most columns a table may have.
pub const MAX_COLUMNS: usize = 100_000;
/// The largest size of a number that is used: its square, summed over any table, stays far from infinity.
pub const MAX_NUMBER: f64 = 1e100;

/// Named columns of one length.
///
/// ```
/// # use chainrule_table::{Cells, Table};
/// let csv = "rooms,street\n3,Elm\n,Oak\n";
/// let table = Table::read_csv(csv.as_bytes(), "houses.csv")?;
/// assert_eq!((table.rows(), table.columns().len()), (2, 2));
/// let Cells::Numbers(rooms) = table.columns()[0].cells() else { unreachable!() };
/// assert!(rooms.get(0) == 3.0 && rooms.get(1).is_nan());
/// # Ok::<(), chainrule_table::TableError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    rows: usize,
    columns: Vec<Column>,
    /// Where the rows stand in the text that they came from.
    lines: Option<Lines>,
    dialect: Option<Dialect>,
}

/// A column: its name and a cell for each row.
#[derive(Clone, Debug)]
pub struct Column {
    name: String,
    cells: Cells,
}

/// The cells of a column.
#[derive(Clone, Debug)]
pub enum Cells {
    /// Numbers; NaN where missing.
    Numbers(Numbers),
    /// Texts, at least one of which is no number.
    Texts(Texts),
}

impl Table {
    /// Reads CSV (RFC 4180: quotes, `""` for a quote; UTF-8 with or without a byte order mark; lines end with LF, CR LF or
    /// CR). Line 1 holds the column names, which lose surrounding blanks; the cells' separator is the one of comma,
    /// semicolon, tab and bar that this line has most of. Lines with nothing on them are skipped; a last line without a
    /// line end is data. `name` is what messages call the table.
    ///
    /// Takes memory for the columns, not for the text: 4 bytes for a decimal of up to 9 digits, 8 for another number, and 4
    /// bytes per text plus each distinct text once.
    ///
    /// # Errors
    /// If the bytes cannot be read, are no UTF-8 or hold a zero byte; if there are no names or no rows; if a name is empty
    /// or comes twice; if a row has too many or too few fields, a quote is left open, or a limit is passed.
    pub fn read_csv(source: impl Read, name: &str) -> Result<Self, TableError> {
        Self::read_csv_with(source, name, 1)
    }

    /// As [`Self::read_csv`], on so many threads; the table does not depend on their number.
    ///
    /// # Errors
    /// As [`Self::read_csv`].
    pub fn read_csv_with(source: impl Read, name: &str, threads: usize) -> Result<Self, TableError> {
        let (columns, lines, dialect) = csv_file::read(source, name, threads)?;
        let rows = columns.first().map_or(0, |column| column.cells.len());
        Ok(Self { name: name.to_owned(), rows, columns, lines: Some(lines), dialect: Some(dialect) })
    }

    /// Some rows of a file.
    pub(crate) fn of_rows(name: &str, rows: usize, columns: Vec<Column>, lines: Lines) -> Self {
        Self { name: name.to_owned(), rows, columns, lines: Some(lines), dialect: None }
    }

    /// A table of columns from elsewhere.
    ///
    /// # Errors
    /// If a name is empty or comes twice, the lengths differ, or there is no row.
    pub fn new(name: &str, columns: Vec<Column>) -> Result<Self, TableError> {
        check_names(columns.iter().map(|column| column.name.as_str()), name)?;
        let rows = columns.first().map_or(0, |column| column.cells.len());
        if let Some(other) = columns.iter().find(|column| column.cells.len() != rows) {
            let (column, got) = (other.name.clone(), other.cells.len());
            return Err(TableError::Lengths { file: name.to_owned(), column, expected: rows, got });
        }
        if rows == 0 {
            return Err(TableError::NoRows { file: name.to_owned() });
        }
        Ok(Self { name: name.to_owned(), rows, columns, lines: None, dialect: None })
    }

    /// The given rows as a table of their own, in their order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        let select = |column: &Column| {
            let cells = match &column.cells {
                Cells::Numbers(numbers) => Cells::Numbers(numbers.gather(rows).into_iter().collect()),
                Cells::Texts(texts) => {
                    let mut coder = Coder::default();
                    rows.iter().for_each(|&row| coder.push(texts.get(row).unwrap_or_default()));
                    Cells::Texts(coder.finish())
                }
            };
            Column { name: column.name.clone(), cells }
        };
        let columns = self.columns.iter().map(select).collect();
        Self { name: self.name.clone(), rows: rows.len(), columns, lines: None, dialect: self.dialect }
    }

    /// What messages call the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of data rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns in the file's order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The position of the column of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The position of every column, by name.
    pub fn positions(&self) -> HashMap<&str, usize> {
        self.columns.iter().enumerate().map(|(position, column)| (column.name.as_str(), position)).collect()
    }

    /// How the file marked cells and decimals, if the table came from CSV.
    pub fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }

    /// The columns at `positions` as texts; of numbers, their spelling.
    pub fn texts(&self, positions: &[usize]) -> Vec<Cow<'_, Texts>> {
        let texts = |&position: &usize| match &self.columns[position].cells {
            Cells::Texts(texts) => Cow::Borrowed(texts),
            Cells::Numbers(numbers) => {
                let mut coder = Coder::default();
                (0..numbers.len()).for_each(|row| coder.push(&numbers.spelling(row)));
                Cow::Owned(coder.finish())
            }
        };
        positions.iter().map(texts).collect()
    }

    /// The cell as a text; of a number, its spelling. Empty where missing.
    pub fn spelling(&self, row: usize, position: usize) -> String {
        match &self.columns[position].cells {
            Cells::Numbers(numbers) => numbers.spelling(row),
            Cells::Texts(texts) => texts.get(row).unwrap_or_default().to_owned(),
        }
    }

    /// Where a cell stands, for a message.
    pub fn place(&self, row: usize, position: usize) -> Box<Place> {
        let line = self.lines.as_ref().map(|lines| lines.of(row));
        Box::new(Place { file: self.name.clone(), line, row, column: self.columns[position].name.clone() })
    }

    /// The numbers of the column at `position` in the given rows, in their order; NaN where missing.
    ///
    /// # Errors
    /// At the first cell that is a text, or larger than [`MAX_NUMBER`] in size.
    pub fn numbers(&self, position: usize, rows: &[usize]) -> Result<Vec<f64>, TableError> {
        let numbers: Vec<f64> = match &self.columns[position].cells {
            Cells::Numbers(values) => values.gather(rows),
            Cells::Texts(texts) => {
                let levels: Vec<Option<f64>> = texts.levels().map(number).collect();
                let value = |&row: &usize| match texts.code(row) {
                    None => Ok(f64::NAN),
                    Some(code) => levels[code].ok_or_else(|| TableError::NotANumber {
                        place: self.place(row, position),
                        got: texts.level(code).to_owned(),
                    }),
                };
                rows.iter().map(value).collect::<Result<_, _>>()?
            }
        };
        match numbers.iter().position(|x| x.abs() > MAX_NUMBER) {
            None => Ok(numbers),
            Some(i) => Err(self.too_large(rows[i], position, MAX_NUMBER)),
        }
    }

    pub(crate) fn too_large(&self, row: usize, position: usize, limit: f64) -> TableError {
        TableError::TooLarge { place: self.place(row, position), got: self.spelling(row, position), limit }
    }
}

impl Column {
    /// A column of numbers; NaN where missing.
    pub fn numbers(name: &str, values: Vec<f64>) -> Self {
        Self::of_numbers(name, values.into_iter().collect())
    }

    /// A column of texts; `None`, or a text that the rule of this module calls missing, where missing. It becomes one of
    /// numbers if all its texts are numbers, as it would in a file.
    pub fn texts<'a>(name: &str, cells: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut coder = Coder::default();
        for cell in cells {
            coder.push(cell.unwrap_or_default());
        }
        Self::of_texts(name, coder.finish(), b'.')
    }

    pub(crate) fn of_numbers(name: &str, numbers: Numbers) -> Self {
        Self { name: name.to_owned(), cells: Cells::Numbers(numbers) }
    }

    /// A column of numbers if all texts are numbers and they are no codes.
    pub(crate) fn of_texts(name: &str, texts: Texts, point: u8) -> Self {
        let levels: Option<Vec<Spelled>> = match are_codes(texts.levels()) {
            true => None,
            false => texts.levels().map(|level| Spelled::read(level, point)).collect(),
        };
        let cells = match levels {
            None => Cells::Texts(texts),
            Some(levels) => {
                let mut numbers = Numbers::default();
                for row in 0..texts.len() {
                    match texts.code(row) {
                        None => numbers.push_missing(),
                        Some(code) => numbers.push_spelled(levels[code]),
                    }
                }
                Cells::Numbers(numbers)
            }
        };
        Self { name: name.to_owned(), cells }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cells.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }
}

/// Digits of one width, two or more, some with a zero in front.
pub(crate) fn are_codes<'a>(mut texts: impl Iterator<Item = &'a str> + Clone) -> bool {
    let width = texts.clone().next().map_or(0, str::len);
    width > 1
        && texts.clone().all(|text| text.len() == width && text.bytes().all(|byte| byte.is_ascii_digit()))
        && texts.any(|text| text.starts_with('0'))
}

impl Cells {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(texts) => texts.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the cell of that row is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) => values.get(row).is_nan(),
            Self::Texts(texts) => texts.code(row).is_none(),
        }
    }
}

/// The rule for missing cells, on a text without surrounding blanks.
pub(crate) fn is_missing(trimmed: &str) -> bool {
    matches!(trimmed, "" | "NA" | "N/A" | "#N/A" | "<NA>" | "NaN" | "nan" | "NaT" | "null" | "NULL" | "None" | "?")
}

/// Every column has a name, and its own.
pub(crate) fn check_names<'a>(names: impl ExactSizeIterator<Item = &'a str>, file: &str) -> Result<(), TableError> {
    if names.len() > MAX_COLUMNS {
        let (file, got) = (file.to_owned(), names.len());
        return Err(TableError::TooMany { file, what: "columns", limit: MAX_COLUMNS, got });
    }
    let mut seen = HashMap::new();
    for (i, name) in names.enumerate() {
        if name.is_empty() {
            return Err(TableError::Unnamed { file: file.to_owned(), column: i + 1 });
        }
        if let Some(first) = seen.insert(name, i) {
            let (file, name) = (file.to_owned(), name.to_owned());
            return Err(TableError::Duplicate { file, name, first: first + 1, second: i + 1 });
        }
    }
    Ok(())
}
