//! How fast tables are read, as ratios within one run.
//!
//! `cargo bench -p chainrule-table --bench reading [-- FILE.csv]` compares [`Table::read_csv_with`] on one and two threads with
//! the `csv` crate whose cells go through std's number parser, on a generated table (100,000 × 20) or a file of yours.

#![allow(missing_docs, clippy::print_stdout)]

use chainrule_table::Table;
use std::hint::black_box;
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

fn csv_and_std(bytes: &[u8]) -> usize {
    let mut reader = csv::ReaderBuilder::new().from_reader(bytes);
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); reader.headers().unwrap().len()];
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).unwrap() {
        for (column, cell) in columns.iter_mut().zip(&record) {
            column.push(cell.parse().unwrap_or(f64::NAN));
        }
    }
    black_box(columns)[0].len()
}

fn main() {
    let file = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    let bytes = file.map_or_else(generated, |path| std::fs::read(path).expect("a file that can be read"));
    let time = |work: &dyn Fn() -> usize| {
        let started = Instant::now();
        black_box(work());
        started.elapsed()
    };
    let ours = |threads: usize| Table::read_csv_with(bytes.as_slice(), "bench", threads).unwrap().rows();
    let mut rounds: Vec<[Duration; 3]> =
        (0..7).map(|_| [time(&|| csv_and_std(&bytes)), time(&|| ours(1)), time(&|| ours(2))]).collect();
    let mut median = |i: usize| {
        rounds.sort_by_key(|round| round[i]);
        rounds[rounds.len() / 2][i].as_secs_f64()
    };
    let (rival, one, two) = (median(0), median(1), median(2));
    let rate = |seconds: f64| bytes.len() as f64 / 1e6 / seconds;
    println!("{:.1} MB, medians of 7 rounds", bytes.len() as f64 / 1e6);
    println!("csv crate + std's numbers   {:8.1} ms  {:7.0} MB/s", 1e3 * rival, rate(rival));
    println!("ours, 1 thread              {:8.1} ms  {:7.0} MB/s  {:.2} of it", 1e3 * one, rate(one), one / rival);
    println!("ours, 2 threads             {:8.1} ms  {:7.0} MB/s  {:.2} of it", 1e3 * two, rate(two), two / rival);
}
