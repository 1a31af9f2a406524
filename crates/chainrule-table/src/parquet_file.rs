//! Parquet files to columns, through the column readers of the `parquet` crate (without Arrow, whose build takes a minute).
//!
//! The columns are those that a CSV file of the same data gives: whole numbers, doubles and decimals as numbers; single
//! precision as the shortest decimal that names it (0.1, not 0.10000000149011612); truth as `true` and `false`; dates as
//! `2024-05-01`, times as `12:30:05`, both as `2024-05-01 12:30:05`, and without the time if that is midnight everywhere.
//!
//! The crate's readers may panic on damaged files (its maintainers count that among acceptable ends): a panic in here
//! comes out as an error.

use crate::calendar;
use crate::error::TableError;
use crate::in_order::in_order;
use crate::numbers::Numbers;
use crate::table::{Column, MAX_COLUMNS};
use crate::texts::Coder;
use bytes::Bytes;
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray, Int96};
use parquet::errors::{ParquetError, Result as Parquet};
use parquet::file::reader::{ChunkReader, FileReader, Length, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

/// Rows read at a time.
const BATCH: usize = 8192;

/// Where the bytes are.
#[derive(Clone)]
pub(crate) enum Storage {
    Bytes(Bytes),
    /// Every reader seeks before it reads: all share the file's position.
    File(Arc<Mutex<File>>, u64),
}

impl Storage {
    pub(crate) fn bytes(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }

    pub(crate) fn file(file: File, length: u64) -> Self {
        Self::File(Arc::new(Mutex::new(file)), length)
    }
}

impl Length for Storage {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, length) => *length,
        }
    }
}

/// Reads from a place of its own.
pub(crate) struct Window {
    storage: Storage,
    at: u64,
}

impl Read for Window {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = match &self.storage {
            Storage::Bytes(bytes) => bytes.get(self.at as usize..).unwrap_or_default().read(to)?,
            Storage::File(file, _) => {
                let mut file = file.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                file.seek(SeekFrom::Start(self.at))?;
                file.read(to)?
            }
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl ChunkReader for Storage {
    type T = BufReader<Window>;

    fn get_read(&self, start: u64) -> Parquet<Self::T> {
        Ok(BufReader::new(Window { storage: self.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> Parquet<Bytes> {
        let end = start.checked_add(length as u64).filter(|end| *end <= self.len());
        let end = end.ok_or_else(|| ParquetError::EOF(format!("{length} bytes from {start} on are not there")))?;
        if let Self::Bytes(bytes) = self {
            return Ok(bytes.slice(start as usize..end as usize));
        }
        let mut bytes = vec![0; length];
        Window { storage: self.clone(), at: start }.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

/// All columns of a file; columns are shared out to threads.
pub(crate) fn columns(storage: Storage, name: &str, threads: usize) -> Result<Vec<Column>, TableError> {
    let damaged = |reason: String| TableError::Parquet { file: name.to_owned(), reason };
    catch_unwind(AssertUnwindSafe(|| {
        let reader = SerializedFileReader::new(storage).map_err(|error| damaged(error.to_string()))?;
        let schema = reader.metadata().file_metadata().schema_descr();
        let count = schema.num_columns();
        if count > MAX_COLUMNS {
            let file = name.to_owned();
            return Err(TableError::TooMany { file, what: "columns", limit: MAX_COLUMNS, got: count });
        }
        let (mut next, mut columns) = (0..count, Vec::new());
        let take = |column: Result<Column, TableError>| {
            columns.push(column?);
            Ok(())
        };
        in_order(threads.min(count), || Ok(next.next()), |i| column(&reader, i, name), take)?;
        Ok(columns)
    }))
    .unwrap_or_else(|_| Err(damaged("its contents make no sense".to_owned())))
}

/// What a column's values stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Meaning {
    Plain,
    Unsigned,
    Text,
    Half,
    /// Value / 10^scale.
    Decimal(i32),
    Date,
    /// So many a second.
    Time(i64),
    Timestamp(i64),
}

fn meaning(column: &ColumnDescriptor) -> Option<Meaning> {
    let per_second = |unit: &TimeUnit| match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    };
    Some(match column.logical_type_ref() {
        Some(LogicalType::Integer(int)) if int.is_signed => Meaning::Plain,
        Some(LogicalType::Integer(_)) => Meaning::Unsigned,
        Some(LogicalType::String | LogicalType::Enum | LogicalType::Json) => Meaning::Text,
        Some(LogicalType::Decimal(decimal)) => Meaning::Decimal(decimal.scale),
        Some(LogicalType::Date) => Meaning::Date,
        Some(LogicalType::Time(time)) => Meaning::Time(per_second(&time.unit)),
        Some(LogicalType::Timestamp(time)) => Meaning::Timestamp(per_second(&time.unit)),
        Some(LogicalType::Float16) => Meaning::Half,
        Some(LogicalType::Unknown) => Meaning::Plain,
        Some(_) => return None,
        None => match column.converted_type() {
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64 => {
                Meaning::Unsigned
            }
            ConvertedType::DECIMAL => Meaning::Decimal(column.type_scale()),
            ConvertedType::DATE => Meaning::Date,
            ConvertedType::TIME_MILLIS => Meaning::Time(1_000),
            ConvertedType::TIME_MICROS => Meaning::Time(1_000_000),
            ConvertedType::TIMESTAMP_MILLIS => Meaning::Timestamp(1_000),
            ConvertedType::TIMESTAMP_MICROS => Meaning::Timestamp(1_000_000),
            ConvertedType::BSON | ConvertedType::INTERVAL => return None,
            _ if column.physical_type() == Type::BYTE_ARRAY => Meaning::Text,
            _ => Meaning::Plain,
        },
    })
}

/// A column as it grows.
enum Growing {
    Numbers(Numbers),
    Texts(Coder),
    /// Microseconds since 1970; written out at the end, when it is known whether all are midnights.
    Moments(Vec<Option<i64>>),
}

fn column(reader: &SerializedFileReader<Storage>, i: usize, name: &str) -> Result<Column, TableError> {
    let descriptor = reader.metadata().file_metadata().schema_descr().column(i);
    let title = descriptor.path().parts().join(".");
    let unsupported =
        |what: &str| TableError::ParquetColumn { file: name.to_owned(), column: title.clone(), what: what.to_owned() };
    if descriptor.max_rep_level() > 0 {
        return Err(unsupported("lists"));
    }
    let meaning = meaning(&descriptor).ok_or_else(|| unsupported("values of a type that no table holds"))?;
    use Meaning::{Date, Decimal, Half, Plain, Text, Time, Timestamp, Unsigned};
    let mut growing = match (descriptor.physical_type(), meaning) {
        (Type::INT64, Timestamp(_)) | (Type::INT96, Plain) => Growing::Moments(Vec::new()),
        (Type::INT32, Plain | Unsigned | Decimal(_)) | (Type::INT64, Plain | Unsigned | Decimal(_)) => {
            Growing::Numbers(Numbers::default())
        }
        (Type::FLOAT | Type::DOUBLE, Plain) | (Type::BYTE_ARRAY, Decimal(_)) => Growing::Numbers(Numbers::default()),
        (Type::FIXED_LEN_BYTE_ARRAY, Decimal(_) | Half) => Growing::Numbers(Numbers::default()),
        (Type::BOOLEAN, Plain) | (Type::INT32, Date | Time(_)) | (Type::INT64, Time(_)) | (Type::BYTE_ARRAY, Text) => {
            Growing::Texts(Coder::default())
        }
        _ => return Err(unsupported("bytes that are no text")),
    };
    let broken = |error: ParquetError| TableError::Parquet { file: name.to_owned(), reason: error.to_string() };
    let levels = descriptor.max_def_level();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).map_err(broken)?;
        match (group.get_column_reader(i).map_err(broken)?, &mut growing) {
            (ColumnReader::BoolColumnReader(r), Growing::Texts(coder)) => {
                each(r, levels, |x: Option<&bool>| coder.push(x.map_or("", |x| if *x { "true" } else { "false" })))
            }
            (ColumnReader::Int32ColumnReader(r), Growing::Texts(coder)) => each(r, levels, |x: Option<&i32>| {
                coder.push(&x.map_or(String::new(), |x| match meaning {
                    Time(per_second) => calendar::write_time(i64::from(*x), per_second),
                    _ => calendar::write_date(i64::from(*x)),
                }));
            }),
            (ColumnReader::Int64ColumnReader(r), Growing::Texts(coder)) => each(r, levels, |x: Option<&i64>| {
                let per_second = if let Time(per_second) = meaning { per_second } else { 1 };
                coder.push(&x.map_or(String::new(), |x| calendar::write_time(*x, per_second)));
            }),
            (ColumnReader::Int32ColumnReader(r), Growing::Numbers(numbers)) => each(r, levels, |x: Option<&i32>| {
                let wide = |x: i32| if meaning == Unsigned { i64::from(x as u32) } else { i64::from(x) };
                push_integer(numbers, x.map(|x| wide(*x)), meaning);
            }),
            (ColumnReader::Int64ColumnReader(r), Growing::Numbers(numbers)) if meaning == Unsigned => {
                each(r, levels, |x: Option<&i64>| numbers.push(x.map_or(f64::NAN, |x| *x as u64 as f64)))
            }
            (ColumnReader::Int64ColumnReader(r), Growing::Numbers(numbers)) => {
                each(r, levels, |x: Option<&i64>| push_integer(numbers, x.copied(), meaning))
            }
            (ColumnReader::Int64ColumnReader(r), Growing::Moments(moments)) => {
                let per_second = if let Timestamp(per_second) = meaning { per_second } else { 1 };
                each(r, levels, |x: Option<&i64>| moments.push(x.map(|x| microseconds(*x, per_second))))
            }
            (ColumnReader::Int96ColumnReader(r), Growing::Moments(moments)) => each(r, levels, |x: Option<&Int96>| {
                moments.push(x.map(Int96::to_micros));
            }),
            (ColumnReader::FloatColumnReader(r), Growing::Numbers(numbers)) => {
                each(r, levels, |x: Option<&f32>| numbers.push(x.map_or(f64::NAN, |x| shortest(*x))))
            }
            (ColumnReader::DoubleColumnReader(r), Growing::Numbers(numbers)) => {
                each(r, levels, |x: Option<&f64>| numbers.push(x.copied().unwrap_or(f64::NAN)))
            }
            (ColumnReader::ByteArrayColumnReader(r), Growing::Numbers(numbers)) => {
                each(r, levels, |x: Option<&ByteArray>| push_bytes(numbers, x.map(ByteArray::data), meaning))
            }
            (ColumnReader::FixedLenByteArrayColumnReader(r), Growing::Numbers(numbers)) => {
                each(r, levels, |x: Option<&FixedLenByteArray>| push_bytes(numbers, x.map(|x| x.data()), meaning))
            }
            (ColumnReader::ByteArrayColumnReader(r), Growing::Texts(coder)) => {
                let mut text = true;
                let result = each(r, levels, |x: Option<&ByteArray>| match x.map(|x| std::str::from_utf8(x.data())) {
                    Some(Ok(cell)) => coder.push(cell),
                    Some(Err(_)) => text = false,
                    None => coder.push(""),
                });
                if !text {
                    return Err(unsupported("bytes that are no text"));
                }
                result
            }
            _ => return Err(unsupported("values of another type than it says")),
        }
        .map_err(broken)?;
    }
    Ok(match growing {
        Growing::Numbers(mut numbers) => {
            numbers.shrink();
            Column::of_numbers(&title, numbers)
        }
        Growing::Texts(coder) => Column::of_texts(&title, coder.finish(), b'.'),
        Growing::Moments(moments) => {
            const DAY: i64 = 86_400_000_000;
            let midnights = moments.iter().flatten().all(|moment| moment % DAY == 0);
            let mut coder = Coder::default();
            for moment in moments {
                coder.push(&moment.map_or(String::new(), |moment| match midnights {
                    true => calendar::write_date(moment.div_euclid(DAY)),
                    false => calendar::write_moment(moment),
                }));
            }
            Column::of_texts(&title, coder.finish(), b'.')
        }
    })
}

/// Calls `take` for every value of a column, with none where it is null.
fn each<D: DataType>(
    mut reader: ColumnReaderImpl<D>,
    max_level: i16,
    mut take: impl FnMut(Option<&D::T>),
) -> Parquet<()> {
    let (mut levels, mut values) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    loop {
        levels.clear();
        values.clear();
        let (records, ..) = reader.read_records(BATCH, (max_level > 0).then_some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Ok(());
        }
        if max_level == 0 {
            values.iter().for_each(|value| take(Some(value)));
            continue;
        }
        let mut values = values.iter();
        for level in &levels {
            take(if *level == max_level { values.next() } else { None });
        }
    }
}

fn microseconds(value: i64, per_second: i64) -> i64 {
    match per_second {
        1_000_000_000 => value.div_euclid(1000),
        per_second => value.saturating_mul(1_000_000 / per_second),
    }
}

fn push_integer(numbers: &mut Numbers, value: Option<i64>, meaning: Meaning) {
    match (value, meaning) {
        (None, _) => numbers.push(f64::NAN),
        (Some(value), Meaning::Decimal(scale)) => numbers.push(scaled(i128::from(value), scale)),
        (Some(value), _) => numbers.push(value as f64),
    }
}

/// value / 10^scale, correctly rounded.
fn scaled(value: i128, scale: i32) -> f64 {
    format!("{value}e{}", scale.saturating_neg()).parse().unwrap_or(f64::NAN)
}

fn push_bytes(numbers: &mut Numbers, bytes: Option<&[u8]>, meaning: Meaning) {
    numbers.push(match (bytes, meaning) {
        (Some([low, high]), Meaning::Half) => shortest_half(u16::from_le_bytes([*low, *high])),
        (Some(bytes), Meaning::Decimal(scale)) if bytes.len() <= 16 => {
            // Two's complement, the highest byte first.
            let start = if bytes.first().is_some_and(|byte| *byte >= 128) { -1 } else { 0 };
            scaled(bytes.iter().fold(start, |value, byte| value << 8 | i128::from(*byte)), scale)
        }
        _ => f64::NAN,
    });
}

/// The number that the shortest decimal of a single-precision number names.
fn shortest(x: f32) -> f64 {
    if x == x.trunc() || !x.is_finite() {
        return f64::from(x);
    }
    // Few places: one product and one quotient tell.
    let mut power = 10.0;
    for _ in 0..4 {
        let digits = (f64::from(x) * power).round();
        if digits.abs() < 1e6 && (digits / power) as f32 == x {
            return digits / power;
        }
        power *= 10.0;
    }
    x.to_string().parse().unwrap_or(f64::NAN)
}

/// A half-precision number; it has at most 11 bits, so that its exact value is short enough.
fn shortest_half(bits: u16) -> f64 {
    let (sign, exponent, fraction) = (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let power = |e: i32| f64::from_bits(((1023 + e) as u64) << 52);
    let size = match exponent {
        0 => fraction * power(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        exponent => (1024.0 + fraction) * power(exponent - 25),
    };
    if sign == 1 { -size } else { size }
}
