//! A table in memory: named columns of numbers or of texts, and the way back to the file for messages.
//!
//! # Missing cells
//! A cell is missing if, without surrounding blanks, it is empty or one of `NA`, `N/A`, `NaN`, `nan`, `null`, `NULL`,
//! `None` and `?`. This is the one rule, for numbers, categories, targets and weights alike.
//!
//! # Numbers
//! A cell is a number if, without surrounding blanks, it is one to Rust's `f64` parser: `12`, `-0.5`, `.5`, `1e-3`, and
//! `inf` or `1e999`, which are infinite and an error where the column is used. Thousands separators, decimal commas,
//! units and hexadecimal digits make a text. A column is one of numbers if all its cells are numbers or missing.

use crate::csv_file;
use crate::error::{Place, TableError};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;

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
/// assert!(rooms[0] == 3.0 && rooms[1].is_nan());
/// # Ok::<(), chainrule_table::TableError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    name: String,
    rows: usize,
    columns: Vec<Column>,
    /// The CSV text that the table came from. Numbers do not keep their spelling (`007`, `1.50`), and rows do not keep
    /// their line: both are needed rarely (labels, `--categorical`, messages), and reading again is cheap and exact.
    text: Option<String>,
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
    Numbers(Vec<f64>),
    /// Texts, at least one of which is no number.
    Texts(Texts),
}

/// A column of texts: the distinct texts ("levels") in order of first appearance, and for each row its level.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts {
    levels: Vec<String>,
    codes: Vec<u32>,
}

/// The code of a missing text.
const MISSING: u32 = u32::MAX;

impl Table {
    /// Reads CSV (RFC 4180: commas, quotes, `""` for a quote; UTF-8 with or without a byte order mark; lines end with LF,
    /// CR LF or CR). Line 1 holds the column names, which lose surrounding blanks; lines with nothing on them are skipped;
    /// a last line without a line end is data. `name` is what messages call the table.
    ///
    /// Takes memory for the text, 8 bytes per number, and 4 bytes per text plus each distinct text once.
    ///
    /// # Errors
    /// If the bytes cannot be read, are no UTF-8 or hold a zero byte; if there are no names or no rows; if a name is empty
    /// or comes twice; if a row has too many or too few fields, a quote is left open, or a limit is passed.
    pub fn read_csv(mut source: impl Read, name: &str) -> Result<Self, TableError> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes).map_err(|error| TableError::io(name, &error))?;
        let text = csv_file::decode(bytes, name)?;
        let columns = csv_file::columns(&text, name)?;
        let rows = columns.first().map_or(0, |column| column.cells.len());
        Ok(Self { name: name.to_owned(), rows, columns, text: Some(text) })
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
        Ok(Self { name: name.to_owned(), rows, columns, text: None })
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

    /// The columns at `positions` as texts. Numbers appear as they are spelled in the file, or as their shortest decimal
    /// if the table came from no text.
    pub fn texts(&self, positions: &[usize]) -> Vec<Cow<'_, Texts>> {
        let numeric: Vec<usize> =
            positions.iter().copied().filter(|&p| matches!(self.columns[p].cells, Cells::Numbers(_))).collect();
        let mut spelled = match &self.text {
            Some(text) if !numeric.is_empty() => csv_file::texts(text, &numeric),
            _ => numeric.iter().map(|&position| self.decimals(position)).collect(),
        }
        .into_iter();
        positions
            .iter()
            .map(|&position| match &self.columns[position].cells {
                Cells::Texts(texts) => Cow::Borrowed(texts),
                Cells::Numbers(_) => Cow::Owned(spelled.next().unwrap_or_default()),
            })
            .collect()
    }

    fn decimals(&self, position: usize) -> Texts {
        match &self.columns[position].cells {
            Cells::Texts(texts) => texts.clone(),
            Cells::Numbers(values) => {
                let mut coder = Coder::default();
                for value in values {
                    coder.push(&value.to_string()); // NaN is spelled `NaN`: missing.
                }
                coder.finish()
            }
        }
    }

    /// The cell as it stands in the file.
    pub fn spelling(&self, row: usize, position: usize) -> String {
        if let Some(text) = &self.text {
            return csv_file::locate(text, row, position).1;
        }
        match &self.columns[position].cells {
            Cells::Numbers(values) => values[row].to_string(),
            Cells::Texts(texts) => texts.get(row).unwrap_or_default().to_owned(),
        }
    }

    /// Where a cell stands, for a message.
    pub fn place(&self, row: usize, position: usize) -> Box<Place> {
        let line = self.text.as_ref().map(|text| csv_file::locate(text, row, position).0);
        Box::new(Place { file: self.name.clone(), line, row, column: self.columns[position].name.clone() })
    }

    /// The numbers of the column at `position` in the given rows, in their order; NaN where missing.
    ///
    /// # Errors
    /// At the first cell that is a text, or larger than [`MAX_NUMBER`] in size.
    pub fn numbers(&self, position: usize, rows: &[usize]) -> Result<Vec<f64>, TableError> {
        let numbers: Vec<f64> = match &self.columns[position].cells {
            Cells::Numbers(values) => rows.iter().map(|&row| values[row]).collect(),
            Cells::Texts(texts) => {
                let levels: Vec<Option<f64>> = texts.levels.iter().map(|level| number(level)).collect();
                let value = |&row: &usize| match texts.code(row) {
                    None => Ok(f64::NAN),
                    Some(code) => levels[code].ok_or_else(|| TableError::NotANumber {
                        place: self.place(row, position),
                        got: texts.levels[code].clone(),
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
        Self { name: name.to_owned(), cells: Cells::Numbers(values) }
    }

    /// A column of texts; `None`, or a text that the rule of this module calls missing, where missing. It becomes one of
    /// numbers if all its texts are numbers, as it would in a file.
    pub fn texts<'a>(name: &str, cells: impl IntoIterator<Item = Option<&'a str>>) -> Self {
        let mut coder = Coder::default();
        for cell in cells {
            coder.push(cell.unwrap_or_default());
        }
        let texts = coder.finish();
        let numbers: Option<Vec<f64>> = texts.levels.iter().map(|level| number(level)).collect();
        let cells = match numbers {
            Some(levels) => Cells::Numbers(
                (0..texts.codes.len()).map(|row| texts.code(row).map_or(f64::NAN, |code| levels[code])).collect(),
            ),
            None => Cells::Texts(texts),
        };
        Self { name: name.to_owned(), cells }
    }

    pub(crate) fn new(name: String, cells: Cells) -> Self {
        Self { name, cells }
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

impl Cells {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Texts(texts) => texts.codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the cell of that row is missing.
    pub fn is_missing(&self, row: usize) -> bool {
        match self {
            Self::Numbers(values) => values[row].is_nan(),
            Self::Texts(texts) => texts.codes[row] == MISSING,
        }
    }
}

impl Texts {
    /// The distinct texts, in order of first appearance.
    pub fn levels(&self) -> &[String] {
        &self.levels
    }

    /// The position in [`Self::levels`] of the text in that row; none where missing.
    pub fn code(&self, row: usize) -> Option<usize> {
        let code = self.codes[row];
        (code != MISSING).then_some(code as usize)
    }

    /// The text in that row; none where missing.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.code(row).map(|code| self.levels[code].as_str())
    }
}

/// Collects texts and gives each distinct one its code.
#[derive(Default)]
pub(crate) struct Coder {
    /// Owns each distinct text once; the list of levels is made of them at the end.
    codes_of: HashMap<Box<str>, u32>,
    codes: Vec<u32>,
}

impl Coder {
    pub(crate) fn with_missing(rows: usize) -> Self {
        Self { codes_of: HashMap::new(), codes: vec![MISSING; rows] }
    }

    pub(crate) fn push(&mut self, text: &str) {
        let code = if is_missing(text.trim()) {
            MISSING
        } else if let Some(&code) = self.codes_of.get(text) {
            code
        } else {
            let code = self.codes_of.len() as u32; // The reader stops before 2³² rows.
            self.codes_of.insert(text.into(), code);
            code
        };
        self.codes.push(code);
    }

    pub(crate) fn finish(self) -> Texts {
        let mut levels = vec![String::new(); self.codes_of.len()];
        for (level, code) in self.codes_of {
            levels[code as usize] = level.into_string();
        }
        Texts { levels, codes: self.codes }
    }
}

/// The rule for missing cells, on a text without surrounding blanks.
fn is_missing(trimmed: &str) -> bool {
    matches!(trimmed, "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "NULL" | "None" | "?")
}

/// The number that a cell holds; NaN if it is missing, `None` if it is another text.
pub(crate) fn number(cell: &str) -> Option<f64> {
    let trimmed = cell.trim();
    if is_missing(trimmed) {
        return Some(f64::NAN);
    }
    // The parser also takes other spellings of "not a number" (`-NAN`): those are texts here.
    trimmed.parse().ok().filter(|x: &f64| !x.is_nan())
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
