//! The same data from CSV, packed CSV and Parquet.

use chainrule_table::{Source, Table, TableError, data_fingerprint};
use flate2::{Compression, write::GzEncoder};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::{Cursor, Write};
use std::sync::Arc;

fn read(bytes: Vec<u8>) -> Result<Table, TableError> {
    Source::stream(Cursor::new(bytes)).unwrap().read("t", 2)
}

const CSV: &str = "i,big,f,d,s,b,day,at\n\
    1,9007199254740993,0.1,1.5,a,true,2024-05-01,2024-05-01 12:30:00\n\
    -2,,2.25,,,false,1969-12-31,2024-05-01 00:00:00.250000\n\
    3,7,,1e-300,\"x, y\",,,\n";

fn parquet_file() -> Vec<u8> {
    let schema = "message m { required int32 i; optional int64 big; optional float f; optional double d;
        optional binary s (UTF8); optional boolean b; optional int32 day (DATE); optional int64 at (TIMESTAMP(MICROS,true)); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let compression = parquet::basic::Compression::SNAPPY;
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    macro_rules! column {
        ($kind:ty, $levels:expr, $values:expr) => {
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<$kind>().write_batch($values, $levels, None).unwrap();
            column.close().unwrap();
        };
    }
    column!(Int32Type, None, &[1, -2, 3]);
    column!(Int64Type, Some(&[1, 0, 1]), &[9_007_199_254_740_993, 7]);
    column!(FloatType, Some(&[1, 1, 0]), &[0.1, 2.25]);
    column!(DoubleType, Some(&[1, 0, 1]), &[1.5, 1e-300]);
    column!(ByteArrayType, Some(&[1, 0, 1]), &[ByteArray::from("a"), ByteArray::from("x, y")]);
    column!(BoolType, Some(&[1, 1, 0]), &[true, false]);
    column!(Int32Type, Some(&[1, 1, 0]), &[19_844, -1]);
    let first = 19_844 * 86_400_000_000_i64;
    column!(Int64Type, Some(&[1, 1, 0]), &[first + 45_000_000_000, first + 250_000]);
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn the_fingerprint_does_not_depend_on_the_format() {
    let csv = data_fingerprint(&read(CSV.into()).unwrap());
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(CSV.as_bytes()).unwrap();
    assert_eq!(data_fingerprint(&read(gzip.finish().unwrap()).unwrap()), csv);
    assert_eq!(data_fingerprint(&read(zstd::encode_all(CSV.as_bytes(), 1).unwrap()).unwrap()), csv);
    let parquet = read(parquet_file()).unwrap();
    let texts: Vec<String> = (0..8).map(|column| parquet.spelling(1, column)).collect();
    assert_eq!(texts, ["-2", "", "2.25", "", "", "false", "1969-12-31", "2024-05-01 00:00:00.250000"]);
    assert_eq!(data_fingerprint(&parquet), csv);
}

#[test]
fn a_damaged_file_gives_an_error_or_a_table() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {})); // the crate's own panics are contained
    let good = parquet_file();
    let (mut fine, mut refused) = (0, 0);
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        match read(bytes) {
            Ok(_) => fine += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().contains(|c: char| c.is_control()), "{error:?}");
            }
        }
    }
    for length in 4..good.len() {
        assert!(read(good[..length].to_vec()).is_err());
    }
    std::panic::set_hook(hook);
    assert!(fine > 10 && refused > 10, "{fine} {refused}");
}

#[test]
fn a_packed_file_cut_short_is_an_error() {
    let packed = zstd::encode_all(CSV.repeat(100_000).as_bytes(), 1).unwrap();
    let cut = packed[..packed.len() - 3].to_vec();
    let result = Source::stream(Cursor::new(cut)).map(|source| source.read("t", 2).map(|table| table.rows()));
    assert!(!matches!(result, Ok(Ok(_))), "{result:?}");
}
