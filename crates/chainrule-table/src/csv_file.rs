//! CSV text to columns, block by block.
//!
//! One thread cuts the source into blocks that end with a row; others split blocks into cells and read numbers; the blocks'
//! columns are joined in order. So a file needs memory for its columns only, and the result does not depend on the number
//! of threads. (A quote opens a field only at its start: where blocks may be cut is known after a look at the quotes.)

use crate::error::TableError;
use crate::in_order::in_order;
use crate::numbers::{Numbers, Spelled};
use crate::table::{Column, Table, check_names, is_missing};
use crate::texts::Coder;
use memchr::{memchr, memchr_iter, memrchr};
use std::io::Read;
use std::mem;
use std::ops::Range;

/// The most bytes of a field.
const MAX_FIELD: usize = 16 << 20;
/// The most bytes of a row.
const MAX_ROW: usize = 256 << 20;
/// The most rows: codes of texts are 32-bit numbers.
const MAX_ROWS: usize = u32::MAX as usize - 1;
/// Bytes of the first block and of the others. What the first one shows of the columns serves the others.
const BLOCKS: [usize; 2] = [1 << 18, 1 << 20];

/// How a file marks cells and decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Between cells: comma, semicolon, tab or bar.
    pub separator: char,
    /// In numbers: a point; a comma where cells are separated by semicolons and the file's start has one between digits.
    pub decimal: char,
}

/// The first line of a file.
#[derive(Clone, Debug)]
pub struct Header {
    /// The columns' names.
    pub names: Vec<String>,
    /// How the file marks cells and decimals.
    pub dialect: Dialect,
    /// The line as it stands in the file.
    pub text: String,
}

/// Where the rows of a table stand: line `line` for row `row` and, one a line, for the rows up to the next entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines(Vec<(usize, usize)>);

impl Lines {
    /// The line, from 1, where a row starts.
    pub(crate) fn of(&self, row: usize) -> usize {
        let after = self.0.partition_point(|(first, _)| *first <= row);
        let (first, line) = self.0[after.saturating_sub(1)];
        line + (row - first)
    }

    fn push(&mut self, row: usize, line: usize) {
        if self.0.last().is_none_or(|(first, at)| at + (row - first) != line) {
            self.0.push((row, line));
        }
    }
}

/// Where a row ends in `bytes`, which start with a row.
struct Cut {
    /// Behind the last row that certainly ends here.
    end: usize,
    /// How long the quoted field is that is open at the end.
    open: usize,
}

fn cut(bytes: &[u8], separator: u8) -> Cut {
    let mut end = 0;
    let mut outside = 0; // where the present stretch without quoted fields begins
    let mut at = 0;
    loop {
        let quote = memchr(b'"', &bytes[at..]).map(|i| at + i);
        let opens = |i: usize| i == 0 || matches!(bytes[i - 1], b'\n' | b'\r') || bytes[i - 1] == separator;
        let stretch = outside..quote.unwrap_or(bytes.len());
        if quote.is_none_or(opens)
            && let Some(i) = row_end(&bytes[stretch.clone()], quote.is_some())
        {
            end = stretch.start + i;
        }
        let Some(quote) = quote else { return Cut { end, open: 0 } };
        if !opens(quote) {
            at = quote + 1;
            continue;
        }
        // Inside: to the quote that is not followed by another one.
        at = quote + 1;
        loop {
            match memchr(b'"', &bytes[at..]) {
                None => return Cut { end, open: bytes.len() - quote },
                Some(i) if bytes.get(at + i + 1) == Some(&b'"') => at += i + 2,
                Some(i) => {
                    at += i + 1;
                    break;
                }
            }
        }
        outside = at;
    }
}

/// Behind the last line end of a stretch outside quotes. A CR at the very end of the bytes may have its LF to come.
fn row_end(stretch: &[u8], more_follows: bool) -> Option<usize> {
    if let Some(i) = memrchr(b'\n', stretch) {
        return Some(i + 1);
    }
    let known = if more_follows { stretch } else { &stretch[..stretch.len().saturating_sub(1)] };
    memrchr(b'\r', known).map(|i| i + 1)
}

/// Whole rows of a file; the first stands at line `line`.
struct Block {
    bytes: Vec<u8>,
    line: usize,
}

/// Cuts a source into blocks.
struct Blocks<R> {
    source: R,
    name: String,
    /// Read, but not yet given out; starts with a row, at line `line`.
    rest: Vec<u8>,
    line: usize,
    ended: bool,
    /// Bytes of the next block, and of those after it.
    sizes: [usize; 2],
    separator: u8,
}

impl<R: Read> Blocks<R> {
    /// Reads the header.
    fn new(source: R, name: &str, sizes: [usize; 2]) -> Result<(Self, Header), TableError> {
        let mut blocks =
            Self { source, name: name.to_owned(), rest: Vec::new(), line: 1, ended: false, sizes, separator: b',' };
        blocks.fill(sizes[0].max(3))?;
        let mark = if blocks.rest.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
        let empty = blocks.rest[mark..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        blocks.line += line_ends(&blocks.rest[mark..mark + empty]);
        blocks.rest.drain(..mark + empty);
        blocks.separator = separator(&blocks.rest);
        let dialect = Dialect {
            separator: char::from(blocks.separator),
            decimal: if blocks.separator == b';' && has_decimal_comma(&blocks.rest) { ',' } else { '.' },
        };
        let Some(first) = blocks.next()? else { return Err(TableError::Empty { file: name.to_owned() }) };
        let line = first.line;
        let mut text = decode(first, name)?;
        let (mut names, mut at, mut ends, mut scratch) = (Vec::new(), 0, line, String::new());
        loop {
            let open = |_| TableError::OpenQuote { file: name.to_owned(), line };
            let (cell, end) = field(&text, at, blocks.separator, &mut scratch, &mut ends).map_err(open)?;
            check_length(cell, name, line, names.len())?;
            names.push(cell.trim().to_owned());
            at = end + 1;
            if text.as_bytes()[end] != blocks.separator {
                at = line_end(text.as_bytes(), end);
                break;
            }
        }
        check_names(names.iter().map(String::as_str), name)?;
        // What follows the header goes back.
        blocks.line = ends + 1;
        let mut rows = text.split_off(at).into_bytes();
        rows.append(&mut blocks.rest);
        blocks.rest = rows;
        blocks.sizes = sizes;
        text.truncate(text.trim_end_matches(['\n', '\r']).len());
        Ok((blocks, Header { names, dialect, text }))
    }

    /// Reads until there are `wanted` bytes, or the source ends.
    fn fill(&mut self, wanted: usize) -> Result<(), TableError> {
        while !self.ended && self.rest.len() < wanted {
            let missing = (wanted - self.rest.len()) as u64;
            match self.source.by_ref().take(missing).read_to_end(&mut self.rest) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => return Err(TableError::io(&self.name, &error)),
            }
        }
        Ok(())
    }

    /// The next block; none at the end.
    fn next(&mut self) -> Result<Option<Block>, TableError> {
        let mut wanted = self.sizes[0];
        self.sizes[0] = self.sizes[1];
        loop {
            self.rest.reserve(wanted.saturating_sub(self.rest.len()));
            self.fill(wanted)?;
            if self.rest.is_empty() {
                return Ok(None);
            }
            let Cut { end, open } =
                if self.ended { Cut { end: self.rest.len(), open: 0 } } else { cut(&self.rest, self.separator) };
            if end > 0 {
                let rest = self.rest.split_off(end);
                let bytes = mem::replace(&mut self.rest, rest);
                let line = self.line;
                self.line += line_ends(&bytes);
                return Ok(Some(Block { bytes, line }));
            }
            let file = || self.name.clone();
            if open > MAX_FIELD {
                return Err(TableError::OpenQuote { file: file(), line: self.line });
            }
            if self.rest.len() > MAX_ROW {
                let (what, got) = ("bytes in one row", self.rest.len());
                return Err(TableError::TooMany { file: file(), what, limit: MAX_ROW, got });
            }
            wanted = 2 * self.rest.len();
        }
    }
}

/// The separator that the first line has most of; a comma if it has none.
fn separator(bytes: &[u8]) -> u8 {
    const SEPARATORS: [u8; 4] = *b",;\t|";
    let (mut counts, mut quoted) = ([0; 4], false);
    for byte in bytes {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' | b'\r' if !quoted => break,
            byte if !quoted => {
                if let Some(i) = SEPARATORS.iter().position(|separator| separator == byte) {
                    counts[i] += 1;
                }
            }
            _ => {}
        }
    }
    SEPARATORS[(1..4).fold(0, |best, i| if counts[i] > counts[best] { i } else { best })]
}

/// Whether there is a comma between two digits.
fn has_decimal_comma(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|three| matches!(three, [b'0'..=b'9', b',', b'0'..=b'9']))
}

/// How many lines end in the bytes. LF, CR LF and CR each end one.
fn line_ends(bytes: &[u8]) -> usize {
    let feeds = memchr_iter(b'\n', bytes).count();
    let lone = |&i: &usize| bytes.get(i + 1) != Some(&b'\n');
    feeds + if memchr(b'\r', bytes).is_some() { memchr_iter(b'\r', bytes).filter(lone).count() } else { 0 }
}

/// Behind the line end at `at`.
#[inline]
fn line_end(bytes: &[u8], at: usize) -> usize {
    if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') { at + 2 } else { at + 1 }
}

/// A block's bytes as text that ends with a line end.
fn decode(block: Block, name: &str) -> Result<String, TableError> {
    let Block { bytes, line } = block;
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        TableError::NotUtf8 { file: name.to_owned(), line: line + line_ends(before) }
    })?;
    if let Some(at) = memchr(0, text.as_bytes()) {
        return Err(TableError::Nul { file: name.to_owned(), line: line + line_ends(&text.as_bytes()[..at]) });
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// A quote that nothing closes.
struct Open;

/// The field that starts at `at` in text that ends with a line end: what it holds, and where it ends (at a separator or a
/// line end). `line` counts the line ends inside quotes.
#[inline]
fn field<'a>(
    text: &'a str,
    at: usize,
    separator: u8,
    scratch: &'a mut String,
    line: &mut usize,
) -> Result<(&'a str, usize), Open> {
    let bytes = text.as_bytes();
    let to_end = |from: usize| {
        from + bytes[from..].iter().take_while(|byte| **byte != separator && !matches!(byte, b'\n' | b'\r')).count()
    };
    if bytes[at] != b'"' {
        let end = to_end(at);
        return Ok((&text[at..end], end));
    }
    scratch.clear();
    let mut start = at + 1;
    loop {
        let quote = start + memchr(b'"', &bytes[start..]).ok_or(Open)?;
        *line += line_ends(&bytes[start..quote]);
        if bytes.get(quote + 1) == Some(&b'"') {
            scratch.push_str(&text[start..=quote]);
            start = quote + 2;
            continue;
        }
        let end = to_end(quote + 1);
        if scratch.is_empty() && end == quote + 1 {
            return Ok((&text[start..quote], end));
        }
        scratch.push_str(&text[start..quote]);
        // Some programs write on behind a quote; nothing is lost.
        scratch.push_str(&text[quote + 1..end]);
        return Ok((scratch, end));
    }
}

fn check_length(cell: &str, name: &str, line: usize, column: usize) -> Result<(), TableError> {
    if cell.len() <= MAX_FIELD {
        return Ok(());
    }
    Err(TableError::LongField { file: name.to_owned(), line, column: column + 1, limit: MAX_FIELD, got: cell.len() })
}

/// The state of a column while rows come in.
enum Building {
    /// So far every cell is a number or missing.
    Numbers(Numbers),
    Texts(Coder),
    /// A text came after a number, whose spelling is gone: to be read again.
    Again,
    /// Nobody wants the column.
    Skipped,
}

/// What is known of all blocks of a file.
struct Layout<'a> {
    name: &'a str,
    columns: usize,
    separator: u8,
    decimal: u8,
    /// For each column whether the first block has texts in it, so that numbers in later blocks keep their spelling.
    texts: Vec<bool>,
    /// For each column whether it is wanted.
    wanted: Vec<bool>,
}

/// A block's columns.
struct Parsed {
    text: String,
    columns: Vec<Building>,
    /// Each row as it stands in the text, without its line end.
    rows: Vec<Range<usize>>,
    lines: Lines,
}

fn parse(block: Block, layout: &Layout<'_>) -> Result<Parsed, TableError> {
    let mut line = block.line;
    let text = decode(block, layout.name)?;
    let bytes = text.as_bytes();
    let file = || layout.name.to_owned();
    let (separator, decimal) = (layout.separator, layout.decimal);
    let ends = |byte: u8| byte == separator || byte == b'\n' || byte == b'\r';
    let start = |i: usize| match (layout.wanted[i], layout.texts[i]) {
        (false, _) => Building::Skipped,
        (true, true) => Building::Texts(Coder::default()),
        (true, false) => Building::Numbers(Numbers::default()),
    };
    let mut columns: Vec<Building> = (0..layout.columns).map(start).collect();
    let (mut rows, mut lines, mut scratch) = (Vec::new(), Lines::default(), String::new());
    let mut at = 0;
    while at < bytes.len() {
        if matches!(bytes[at], b'\n' | b'\r') {
            at = line_end(bytes, at);
            line += 1;
            continue;
        }
        let (row_start, first_line) = (at, line);
        lines.push(rows.len(), first_line);
        let mut column = 0;
        loop {
            let building = columns.get_mut(column);
            let plain = match building {
                // The plain forms, without a look for the end of the field.
                Some(Building::Numbers(numbers)) if ends(bytes[at]) => {
                    numbers.push_missing();
                    Some(at)
                }
                Some(Building::Numbers(numbers)) => match Spelled::prefix(&bytes[at..], decimal) {
                    Some((number, length)) if !number.zero_in_front && ends(bytes[at + length]) => {
                        numbers.push_spelled(number);
                        Some(at + length)
                    }
                    _ => None,
                },
                _ => None,
            };
            at = match plain {
                Some(end) => end,
                None => {
                    let open = |_| TableError::OpenQuote { file: file(), line: first_line };
                    let (cell, end) = field(&text, at, separator, &mut scratch, &mut line).map_err(open)?;
                    check_length(cell, layout.name, first_line, column)?;
                    if let Some(building) = columns.get_mut(column) {
                        building.push(cell, decimal);
                    }
                    end
                }
            };
            column += 1;
            if bytes[at] != separator {
                break;
            }
            at += 1;
        }
        if column != layout.columns {
            let (line, expected, got) = (first_line, layout.columns, column);
            return Err(TableError::Ragged { file: file(), line, expected, got });
        }
        rows.push(row_start..at);
        at = line_end(bytes, at);
        line += 1;
    }
    read_again(&text, separator, &rows, &mut columns);
    Ok(Parsed { columns, rows, lines, text })
}

impl Building {
    fn push(&mut self, cell: &str, decimal: u8) {
        match self {
            Self::Again | Self::Skipped => {}
            Self::Texts(coder) => coder.push(cell),
            Self::Numbers(numbers) => match Spelled::read(cell, decimal) {
                _ if is_missing(cell.trim()) => numbers.push_missing(),
                Some(number) if !number.zero_in_front => numbers.push_spelled(number),
                _ if numbers.all_missing() => {
                    let mut coder = Coder::with_missing(numbers.len());
                    coder.push(cell);
                    *self = Self::Texts(coder);
                }
                _ => *self = Self::Again,
            },
        }
    }

    /// Adds the cells of the next block.
    fn append(&mut self, next: Self) {
        match (&mut *self, next) {
            (Self::Numbers(numbers), Self::Numbers(more)) => numbers.append(&more),
            (Self::Texts(coder), Self::Texts(more)) => coder.append(&more.finish()),
            (Self::Texts(coder), Self::Numbers(more)) => {
                (0..more.len()).for_each(|row| coder.push(&more.spelling(row)));
            }
            (Self::Numbers(numbers), next @ Self::Texts(_)) => {
                let mut coder = Coder::default();
                (0..numbers.len()).for_each(|row| coder.push(&numbers.spelling(row)));
                *self = Self::Texts(coder);
                self.append(next);
            }
            _ => {}
        }
    }

    fn finish(self, name: &str, decimal: u8) -> Column {
        match self {
            Self::Numbers(mut numbers) => {
                numbers.shrink();
                Column::of_numbers(name, numbers)
            }
            Self::Texts(coder) => Column::of_texts(name, coder.finish(), decimal),
            Self::Again | Self::Skipped => Column::of_numbers(name, Numbers::default()),
        }
    }
}

/// Fills the columns that are to be read again, in one more pass over the rows.
fn read_again(text: &str, separator: u8, rows: &[Range<usize>], columns: &mut [Building]) {
    let again = |(i, building): (usize, &Building)| matches!(building, Building::Again).then(|| (i, Coder::default()));
    let mut coders: Vec<(usize, Coder)> = columns.iter().enumerate().filter_map(again).collect();
    if coders.is_empty() {
        return;
    }
    let mut scratch = String::new();
    for row in rows {
        let (mut at, mut next, mut column) = (row.start, 0, 0);
        while next < coders.len() {
            let Ok((cell, end)) = field(text, at, separator, &mut scratch, &mut 0) else { break };
            if coders[next].0 == column {
                coders[next].1.push(cell);
                next += 1;
            }
            (at, column) = (end + 1, column + 1);
        }
    }
    for (i, coder) in coders {
        columns[i] = Building::Texts(coder);
    }
}

/// All columns of a file, where its rows stand, and how it marks cells.
pub(crate) fn read(source: impl Read, name: &str, threads: usize) -> Result<(Vec<Column>, Lines, Dialect), TableError> {
    read_in_blocks(source, name, threads, BLOCKS)
}

fn read_in_blocks(
    source: impl Read,
    name: &str,
    threads: usize,
    sizes: [usize; 2],
) -> Result<(Vec<Column>, Lines, Dialect), TableError> {
    let (mut blocks, header) = Blocks::new(source, name, sizes)?;
    let mut layout = Layout::new(name, &header, vec![true; header.names.len()]);
    let no_rows = || TableError::NoRows { file: name.to_owned() };
    let first = parse(blocks.next()?.ok_or_else(no_rows)?, &layout)?;
    layout.texts = first.texts();
    let (mut rows, mut lines, mut columns) = (first.rows.len(), first.lines, first.columns);
    let take = |parsed: Result<Parsed, TableError>| {
        let parsed = parsed?;
        for (column, next) in columns.iter_mut().zip(parsed.columns) {
            column.append(next);
        }
        parsed.lines.0.iter().for_each(|(row, line)| lines.push(rows + row, *line));
        rows += parsed.rows.len();
        if rows > MAX_ROWS {
            return Err(TableError::TooMany { file: name.to_owned(), what: "rows", limit: MAX_ROWS, got: rows });
        }
        Ok(())
    };
    in_order(threads, || blocks.next(), |block| parse(block, &layout), take)?;
    if rows == 0 {
        return Err(no_rows());
    }
    let finish = |(column, name): (Building, &String)| column.finish(name, layout.decimal);
    Ok((columns.into_iter().zip(&header.names).map(finish).collect(), lines, header.dialect))
}

/// Some rows of a file on their way through: a table of the wanted columns, and each row as it stands in the file.
#[derive(Debug)]
pub struct Rows {
    /// The wanted columns of these rows.
    pub table: Table,
    text: String,
    rows: Vec<Range<usize>>,
}

impl Rows {
    /// The rows as they stand in the file, without their line ends.
    pub fn texts(&self) -> impl ExactSizeIterator<Item = &str> {
        self.rows.iter().map(|row| &self.text[row.clone()])
    }
}

/// A file that is read row by row, so that its size does not matter.
pub struct Stream<R> {
    blocks: Blocks<R>,
    header: Header,
}

impl<R: Read> Stream<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// As [`Table::read_csv`].
    pub fn new(source: R, name: &str) -> Result<Self, TableError> {
        let (blocks, header) = Blocks::new(source, name, BLOCKS)?;
        Ok(Self { blocks, header })
    }

    /// The first line.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Takes what `work` makes of the rows, a block at a time and in order; `work` runs on `threads` threads. The
    /// columns whose names `wanted` does not take are not read.
    ///
    /// # Errors
    /// As [`Table::read_csv`], and the first error of `take`.
    pub fn for_each<W: Send, E: From<TableError>>(
        mut self,
        wanted: impl Fn(&str) -> bool,
        threads: usize,
        work: impl Fn(Rows) -> W + Sync,
        mut take: impl FnMut(W) -> Result<(), E>,
    ) -> Result<(), E> {
        let wanted: Vec<bool> = self.header.names.iter().map(|name| wanted(name)).collect();
        let name = self.blocks.name.clone();
        let mut layout = Layout::new(&name, &self.header, wanted);
        let names: Vec<&String> = self.header.names.iter().collect();
        let rows = |parsed: Parsed, layout: &Layout<'_>| -> Rows {
            let columns = parsed.columns.into_iter().zip(&names).zip(&layout.wanted).filter(|(_, wanted)| **wanted);
            let columns = columns.map(|((column, name), _)| column.finish(name, layout.decimal)).collect();
            let table = Table::of_rows(&name, parsed.rows.len(), columns, parsed.lines);
            Rows { table, text: parsed.text, rows: parsed.rows }
        };
        let no_rows = || TableError::NoRows { file: name.clone() };
        let first = parse(self.blocks.next()?.ok_or_else(no_rows)?, &layout)?;
        layout.texts = first.texts();
        let mut count = first.rows.len();
        if count > 0 {
            take(work(rows(first, &layout)))?;
        }
        let work = |block| -> Result<(usize, Option<W>), TableError> {
            let parsed = parse(block, &layout)?;
            let count = parsed.rows.len();
            Ok((count, (count > 0).then(|| work(rows(parsed, &layout)))))
        };
        let next = || Ok(self.blocks.next()?);
        in_order(threads, next, work, |result| {
            let (rows, result) = result?;
            count += rows;
            result.map_or(Ok(()), &mut take)
        })?;
        if count == 0 { Err(no_rows().into()) } else { Ok(()) }
    }
}

impl<'a> Layout<'a> {
    fn new(name: &'a str, header: &Header, wanted: Vec<bool>) -> Self {
        let Dialect { separator, decimal } = header.dialect;
        let columns = header.names.len();
        Self { name, columns, separator: separator as u8, decimal: decimal as u8, texts: vec![false; columns], wanted }
    }
}

impl Parsed {
    /// For each column whether it has texts.
    fn texts(&self) -> Vec<bool> {
        self.columns.iter().map(|column| matches!(column, Building::Texts(_))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Cells;

    /// SplitMix64 (Steele, Lea & Flood 2014): a seeded stream of test cases.
    struct Random(u64);

    impl Random {
        fn below(&mut self, n: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) % n as u64) as usize
        }
    }

    type Told = Result<(Vec<Vec<String>>, Vec<usize>), TableError>;

    /// The cells of each row and its line, cells spelled.
    fn told(bytes: &[u8], threads: usize, sizes: [usize; 2]) -> Told {
        let (columns, lines, _) = read_in_blocks(bytes, "t.csv", threads, sizes)?;
        let rows = columns[0].cells().len();
        let spelled = |row| {
            let cell = |column: &Column| match column.cells() {
                Cells::Numbers(numbers) => numbers.spelling(row),
                Cells::Texts(texts) => texts.get(row).unwrap_or_default().to_owned(),
            };
            columns.iter().map(cell).collect()
        };
        Ok(((0..rows).map(spelled).collect(), (0..rows).map(|row| lines.of(row)).collect()))
    }

    #[test]
    fn every_file_is_read_as_the_csv_crate_reads_it() {
        // Cells without blanks around them, none of them missing or a number: they come back as they are.
        let pieces = ["a", "b", "\"", "\"\"", "\n", "\r\n", "\r", ",", ",", ",x,", "y\n", "\"z\"", "\"z,\n\","];
        let mut random = Random(1);
        let mut good = 0;
        for _ in 0..30_000 {
            let mut text = "p,q\nx,x\n".to_owned();
            (0..random.below(12)).for_each(|_| text += pieces[random.below(pieces.len())]);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
            let records: Vec<Vec<String>> =
                reader.records().skip(1).map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect();
            let ours = told(text.as_bytes(), 1, BLOCKS);
            match &ours {
                Ok((rows, _)) => {
                    good += 1;
                    let trimmed: Vec<Vec<&str>> = records
                        .iter()
                        .map(|row| row.iter().map(|c| if c.trim().is_empty() { "" } else { c.as_str() }).collect())
                        .collect();
                    assert_eq!(rows, &trimmed, "{text:?}");
                }
                Err(TableError::Ragged { .. }) => assert!(records.iter().any(|row| row.len() != 2), "{text:?}"),
                Err(TableError::OpenQuote { .. }) => {
                    // What follows is swallowed.
                    let longer = text.clone() + "\nw,w\n";
                    let mut reader =
                        csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(longer.as_bytes());
                    assert!(reader.records().all(|row| row.unwrap() != ["w", "w"][..]), "{text:?}");
                }
                Err(other) => panic!("{other} for {text:?}"),
            }
        }
        assert!(good > 3000, "{good}");
    }

    #[test]
    fn blocks_and_threads_change_nothing() {
        let cells = ["1", "2.5", "x", "007", "", "-3", "\"a\nb\"", "\"c\"\"d\"", "\"e\r\n,f\"", "g\"h", "1.25", "12"];
        let ends = ["\n", "\r\n", "\n", "\n\n", "\r"];
        let mut random = Random(2);
        for _ in 0..3_000 {
            // One row in twenty is broken.
            let mut text = "p,q,r\n".to_owned();
            let few = 1 + random.below(cells.len());
            for _ in 0..random.below(30) {
                let count = if random.below(20) == 0 { 1 + random.below(4) } else { 3 };
                let row: Vec<&str> = (0..count).map(|_| cells[random.below(few)]).collect();
                text += &row.join(",");
                text += ends[random.below(ends.len())];
            }
            let whole = told(text.as_bytes(), 1, [1 << 20, 1 << 20]);
            // With the same first block; it decides what later blocks keep of a number's spelling.
            for sizes in [[1 << 20, 1], [1 << 20, 7], [1 << 20, 40]] {
                for threads in [1, 2, 3] {
                    assert_eq!(told(text.as_bytes(), threads, sizes), whole, "{text:?} {sizes:?} {threads}");
                }
            }
            for sizes in [[1, 1], [10, 7], [60, 30]] {
                let one = told(text.as_bytes(), 1, sizes);
                assert_eq!(told(text.as_bytes(), 3, sizes), one, "{text:?} {sizes:?}");
                match (&one, &whole) {
                    (Ok((rows, lines)), Ok((whole_rows, whole_lines))) => {
                        assert_eq!((rows.len(), lines), (whole_rows.len(), whole_lines), "{text:?} {sizes:?}");
                        for (cell, whole) in rows.iter().flatten().zip(whole_rows.iter().flatten()) {
                            // Spelled otherwise at most, where a column turned to texts after the first block.
                            let value = |cell: &str| Spelled::read(cell, b'.').map(Spelled::value);
                            assert!(cell == whole || value(cell) == value(whole), "{text:?} {sizes:?}: {cell} {whole}");
                        }
                    }
                    (one, whole) => assert_eq!(one, whole, "{text:?} {sizes:?}"),
                }
            }
        }
    }
}
