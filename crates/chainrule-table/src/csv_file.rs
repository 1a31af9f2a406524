//! CSV text to columns. The text is split once; a second pass spells numbers out again where that is wanted.

use crate::error::TableError;
use crate::table::{Cells, Coder, Column, MAX_COLUMNS, Texts, check_names, number};
use csv::StringRecord;

/// The most bytes of a field.
const MAX_FIELD: usize = 16 << 20;
/// The most rows: codes of texts are 32-bit numbers.
const MAX_ROWS: usize = u32::MAX as usize - 1;

/// The bytes as text, without a byte order mark.
pub(crate) fn decode(bytes: Vec<u8>, name: &str) -> Result<String, TableError> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let line = line_at(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        TableError::NotUtf8 { file: name.to_owned(), line }
    })?;
    if let Some(at) = text.bytes().position(|byte| byte == 0) {
        return Err(TableError::Nul { file: name.to_owned(), line: line_at(&text.as_bytes()[..at]) });
    }
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    text.shrink_to_fit();
    Ok(text)
}

/// The number, from 1, of the line that follows `before`. LF, CR LF and CR each end a line.
fn line_at(before: &[u8]) -> usize {
    let after_return = |i: usize| i > 0 && before[i - 1] == b'\r';
    1 + before.iter().enumerate().filter(|&(i, &b)| b == b'\r' || (b == b'\n' && !after_return(i))).count()
}

/// The records of a text one after the other, the header first.
struct Records<'a> {
    text: &'a str,
    reader: csv::Reader<&'a [u8]>,
    record: StringRecord,
}

impl<'a> Records<'a> {
    fn new(text: &'a str) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(1 << 16)
            .from_reader(text.as_bytes());
        Self { text, reader, record: StringRecord::new() }
    }

    /// The next record; none at the end. (Its reader can fail on input and on encoding; this text is in memory and UTF-8.)
    fn next(&mut self) -> Option<&StringRecord> {
        matches!(self.reader.read_record(&mut self.record), Ok(true)).then_some(&self.record)
    }

    /// Where the present record starts, empty lines before it left out.
    fn start(&self) -> usize {
        let from = self.record.position().map_or(0, |position| position.byte() as usize);
        let rest = &self.text.as_bytes()[from..];
        from + rest.iter().take_while(|&&byte| byte == b'\n' || byte == b'\r').count()
    }

    fn line(&self) -> usize {
        line_at(&self.text.as_bytes()[..self.start()])
    }
}

/// Whether the record at the start of `text` ends inside quotes: its reader takes the rest of the file for the field.
fn quote_left_open(text: &str) -> bool {
    let mut bytes = text.bytes().peekable();
    loop {
        // A field starts. Only here a quote opens.
        if bytes.peek() == Some(&b'"') {
            bytes.next();
            loop {
                match bytes.next() {
                    None => return true,
                    Some(b'"') if bytes.peek() == Some(&b'"') => drop(bytes.next()),
                    Some(b'"') => break,
                    Some(_) => {}
                }
            }
        }
        loop {
            match bytes.next() {
                None | Some(b'\n' | b'\r') => return false,
                Some(b',') => break,
                Some(_) => {}
            }
        }
    }
}

/// The state of a column while rows come in.
enum Building {
    /// So far every cell is a number or missing.
    Numbers(Vec<f64>),
    /// A text came before any number.
    Texts(Coder),
    /// A text came after a number, whose spelling is gone: to be read again.
    Again,
}

/// All columns of the text.
pub(crate) fn columns(text: &str, name: &str) -> Result<Vec<Column>, TableError> {
    let file = || name.to_owned();
    let mut records = Records::new(text);
    let Some(header) = records.next() else { return Err(TableError::Empty { file: file() }) };
    if header.len() > MAX_COLUMNS {
        return Err(TableError::TooMany { file: file(), what: "columns", limit: MAX_COLUMNS, got: header.len() });
    }
    let names: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
    check_field_lengths(&records, name)?;
    check_names(names.iter().map(String::as_str), name)?;
    if let [only] = names.as_slice()
        && let Some(found) = only.chars().find(|c| matches!(c, ';' | '\t'))
    {
        return Err(TableError::Separator { file: file(), found });
    }

    let mut building: Vec<Building> = names.iter().map(|_| Building::Numbers(Vec::new())).collect();
    let mut rows = 0;
    let mut last = records.start();
    while let Some(record) = records.next() {
        if record.len() != names.len() {
            let (line, expected, got) = (records.line(), names.len(), records.record.len());
            return Err(match quote_left_open(&text[records.start()..]) {
                true => TableError::OpenQuote { file: file(), line },
                false => TableError::Ragged { file: file(), line, expected, got },
            });
        }
        if record.as_slice().len() > MAX_FIELD {
            check_field_lengths(&records, name)?;
        }
        if rows == MAX_ROWS {
            return Err(TableError::TooMany { file: file(), what: "rows", limit: MAX_ROWS, got: rows + 1 });
        }
        for (column, cell) in building.iter_mut().zip(&records.record) {
            match column {
                Building::Again => {}
                Building::Texts(coder) => coder.push(cell),
                Building::Numbers(values) => match number(cell) {
                    Some(value) => values.push(value),
                    None if values.iter().all(|value| value.is_nan()) => {
                        let mut coder = Coder::with_missing(values.len());
                        coder.push(cell);
                        *column = Building::Texts(coder);
                    }
                    None => *column = Building::Again,
                },
            }
        }
        rows += 1;
        last = records.start();
    }
    // A quote left open in the last column makes no row ragged: it swallows the rest of the file in silence.
    if quote_left_open(&text[last..]) {
        return Err(TableError::OpenQuote { file: file(), line: line_at(&text.as_bytes()[..last]) });
    }
    if rows == 0 {
        return Err(TableError::NoRows { file: file() });
    }

    let again: Vec<usize> =
        building.iter().enumerate().filter(|(_, b)| matches!(b, Building::Again)).map(|(i, _)| i).collect();
    let mut read_again = if again.is_empty() { Vec::new() } else { texts(text, &again) }.into_iter();
    let cells = building.into_iter().map(|column| match column {
        Building::Numbers(mut values) => {
            values.shrink_to_fit();
            Cells::Numbers(values)
        }
        Building::Texts(coder) => Cells::Texts(coder.finish()),
        Building::Again => Cells::Texts(read_again.next().unwrap_or_default()),
    });
    Ok(names.into_iter().zip(cells).map(|(name, cells)| Column::new(name, cells)).collect())
}

fn check_field_lengths(records: &Records<'_>, name: &str) -> Result<(), TableError> {
    match records.record.iter().enumerate().find(|(_, field)| field.len() > MAX_FIELD) {
        None => Ok(()),
        Some((i, field)) => Err(TableError::LongField {
            file: name.to_owned(),
            line: records.line(),
            column: i + 1,
            limit: MAX_FIELD,
            got: field.len(),
        }),
    }
}

/// The columns at `positions` of a text that [`columns`] has accepted, in that order, as texts.
pub(crate) fn texts(text: &str, positions: &[usize]) -> Vec<Texts> {
    let mut coders: Vec<Coder> = positions.iter().map(|_| Coder::default()).collect();
    let mut records = Records::new(text);
    records.next();
    while let Some(record) = records.next() {
        for (coder, &position) in coders.iter_mut().zip(positions) {
            coder.push(&record[position]);
        }
    }
    coders.into_iter().map(Coder::finish).collect()
}

/// The line, from 1, where a data row starts, and the cell of a column in it.
pub(crate) fn locate(text: &str, row: usize, position: usize) -> (usize, String) {
    let mut records = Records::new(text);
    for _ in 0..row + 1 {
        records.next();
    }
    let cell = records.next().and_then(|record| record.get(position)).unwrap_or_default().to_owned();
    (records.line(), cell)
}
