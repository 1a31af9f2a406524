//! How fast tables are read from files that the system has at hand, as ratios within one run.
//!
//! `cargo bench -p chainrule-table --bench reading [-- FILE.csv]` compares [`Source::read`] on one and two threads with the `csv` crate whose cells go through std's number parser, and with the same numbers in Parquet (`double`, Snappy), on a
//! generated table (100,000 × 20) or a file of yours.

#![allow(missing_docs, clippy::print_stdout)]

use chainrule_table::Source;
use parquet::data_type::DoubleType;
use parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// 100,000 × 20 decimals of up to six digits, by a seeded generator.
fn generated() -> Vec<u8> {
    let mut state = 1_u64;
    let mut text: String = (0..20).map(|i| format!("x{i},")).collect();
    text.pop();
    for i in 0..2_000_000 {
        text.push(if i % 20 == 0 { '\n' } else { ',' });
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text += &format!("{}", ((state >> 40) as f64 - 8_388_608.0) / 1e6);
    }
    text.into_bytes()
}

fn csv_and_std(path: &Path) -> Vec<Vec<f64>> {
    let mut reader = csv::Reader::from_path(path).unwrap();
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); reader.headers().unwrap().len()];
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).unwrap() {
        for (column, cell) in columns.iter_mut().zip(&record) {
            column.push(cell.parse().unwrap_or(f64::NAN));
        }
    }
    columns
}

/// The columns as required doubles in one row group.
fn parquet_file(columns: &[Vec<f64>]) -> Vec<u8> {
    let fields: String = (0..columns.len()).map(|i| format!("required double x{i}; ")).collect();
    let schema = Arc::new(parse_message_type(&format!("message m {{ {fields}}}")).unwrap());
    let snappy = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(snappy)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    for values in columns {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

fn main() {
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let here = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (csv, parquet) = (file.map_or(here.join("reading.csv"), Into::into), here.join("reading.parquet"));
    if csv.starts_with(here) {
        std::fs::write(&csv, generated()).unwrap();
    }
    std::fs::write(&parquet, parquet_file(&csv_and_std(&csv))).unwrap();
    let time = |work: &dyn Fn() -> usize| {
        let started = Instant::now();
        black_box(work());
        started.elapsed()
    };
    let ours = |path: &Path, threads| Source::open(path).unwrap().read("bench", threads).unwrap().rows();
    let works: [(&str, &dyn Fn() -> usize); 5] = [
        ("csv crate + std's numbers", &|| csv_and_std(&csv)[0].len()),
        ("CSV, 1 thread", &|| ours(&csv, 1)),
        ("CSV, 2 threads", &|| ours(&csv, 2)),
        ("Parquet, 1 thread", &|| ours(&parquet, 1)),
        ("Parquet, 2 threads", &|| ours(&parquet, 2)),
    ];
    let rounds: Vec<[Duration; 5]> = (0..7).map(|_| works.map(|(_, work)| time(work))).collect();
    let median = |i: usize| {
        let mut times: Vec<Duration> = rounds.iter().map(|round| round[i]).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    let size = |path: &Path| path.metadata().unwrap().len() as f64 / 1e6;
    println!("{:.1} MB of CSV, {:.1} MB of Parquet, medians of 7 rounds", size(&csv), size(&parquet));
    for (i, (name, _)) in works.iter().enumerate() {
        println!("{name:<26} {:8.1} ms  {:.2} of the first", 1e3 * median(i), median(i) / median(0));
    }
}
