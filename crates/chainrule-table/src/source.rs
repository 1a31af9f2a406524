//! Where tables come from: a file or a stream; CSV, also packed by gzip or zstd, or Parquet. The first bytes tell which.

use crate::error::TableError;
use crate::parquet_file;
use crate::table::Table;
use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

/// A source of a table, opened.
pub enum Source {
    /// CSV text, unpacked.
    Csv(Box<dyn Read + Send>),
    /// A Parquet file.
    Parquet(ParquetSource),
}

/// A Parquet file, or all its bytes.
pub struct ParquetSource(pub(crate) parquet_file::Storage);

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const PARQUET: &[u8] = b"PAR1";

impl Source {
    /// Opens a file.
    ///
    /// # Errors
    /// If it cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.is_file() {
            let mut start = Vec::new();
            file.by_ref().take(4).read_to_end(&mut start)?;
            if start == PARQUET {
                return Ok(Self::Parquet(ParquetSource(parquet_file::Storage::file(file, metadata.len()))));
            }
            return Self::stream(Cursor::new(start).chain(file));
        }
        Self::stream(file)
    }

    /// Takes a stream, as standard input.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn stream(source: impl Read + Send + 'static) -> io::Result<Self> {
        Self::unpacked(Box::new(source), 0)
    }

    /// Unpacks what is packed, also twice.
    fn unpacked(mut source: Box<dyn Read + Send>, layers: u32) -> io::Result<Self> {
        let mut start = Vec::new();
        source.by_ref().take(4).read_to_end(&mut start)?;
        let packed = |magic: &[u8]| layers < 2 && start.starts_with(magic);
        let (gzip, zstd, parquet) = (packed(GZIP), packed(ZSTD), start == PARQUET);
        let mut whole: Box<dyn Read + Send> = Box::new(Cursor::new(start).chain(source));
        if parquet {
            // Its directory stands at the end.
            let mut bytes = Vec::new();
            whole.read_to_end(&mut bytes)?;
            return Ok(Self::Parquet(ParquetSource(parquet_file::Storage::bytes(bytes))));
        }
        if gzip {
            let unpacked = flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(1 << 16, whole));
            return Self::unpacked(Box::new(unpacked), layers + 1);
        }
        if zstd {
            return Self::unpacked(Box::new(zstd::Decoder::new(whole)?), layers + 1);
        }
        Ok(Self::Csv(whole))
    }

    /// The whole table, read on so many threads; `name` is what messages call it.
    ///
    /// # Errors
    /// As [`Table::read_csv`]; for Parquet if the file is damaged or has columns that no table holds.
    pub fn read(self, name: &str, threads: usize) -> Result<Table, TableError> {
        match self {
            Self::Csv(source) => Table::read_csv_with(source, name, threads),
            Self::Parquet(ParquetSource(storage)) => Table::new(name, parquet_file::columns(storage, name, threads)?),
        }
    }
}
