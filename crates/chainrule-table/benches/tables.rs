//! The default recipe on the eight open tables, beside the systems of `testdata/tables/baselines.csv`.
//!
//! ```text
//! cargo bench -p chainrule-table --bench tables -- [--seeds 0,1,2] [--tables ames,churn] [--threads 2] [--inner] [--OPTION VALUE]…
//! ```
//! `--blind` shows the loss on choosing rows only, `--inner` holds a fifth of each training part back and scores on that instead of on the test rows: choices about the
//! recipe are made there, and the test rows are looked at rarely. Any option of `fit` may follow.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program whose output is a table of means")]

use chainrule::Processor;
use chainrule_table::metrics::Metrics;
use chainrule_table::recipe::{self, Options, Tables};
use chainrule_table::{Cells, Predictions, Table, Target};
use flate2::read::GzDecoder;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Name and target of each table.
const TABLES: [(&str, &str); 8] = [
    ("wine", "target"),
    ("diabetes", "target"),
    ("german_credit", "creditability"),
    ("ames", "Sale_Price"),
    ("churn", "churn"),
    ("satellite", "classes"),
    ("california", "MedHouseVal"),
    ("diamonds", "price"),
];
/// The systems that ours is measured against.
const OTHERS: [&str; 6] = ["catboost", "lightgbm", "realmlp_td", "mlp_sklearn", "linear", "best"];

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tables").join(name)
}

/// The rows of a table that `of` names, as a table of their own.
fn part(records: &[csv::ByteRecord], name: &str, of: impl Fn(usize) -> bool) -> Table {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_byte_record(&records[0]).unwrap();
    for (row, record) in records[1..].iter().enumerate().filter(|(row, _)| of(*row)) {
        assert_eq!(record.len(), records[0].len(), "row {row}");
        writer.write_byte_record(record).unwrap();
    }
    Table::read_csv(&writer.into_inner().unwrap()[..], name).unwrap()
}

/// Training and scoring rows of a table.
fn split(name: &str, inner: bool) -> (Table, Table) {
    let reader = GzDecoder::new(File::open(path(&format!("{name}.csv.gz"))).unwrap());
    let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(reader);
    let records: Vec<csv::ByteRecord> = reader.into_byte_records().collect::<Result<_, _>>().unwrap();
    let folds = Table::read_csv(File::open(path(&format!("splits/{name}.csv"))).unwrap(), "split").unwrap();
    let Cells::Texts(folds) = folds.columns()[1].cells() else { panic!("folds are texts") };
    let mut train: Vec<bool> = (0..records.len() - 1).map(|row| folds.get(row) == Some("train")).collect();
    let mut test: Vec<bool> = train.iter().map(|train| !train).collect();
    if inner {
        let rows: Vec<usize> = (0..train.len()).filter(|&row| train[row]).collect();
        test.fill(false);
        for place in chainrule::random::default_rng(20_251_125).permutation(rows.len()).into_iter().take(rows.len() / 5)
        {
            (train[rows[place]], test[rows[place]]) = (false, true);
        }
    }
    (part(&records, name, |row| train[row]), part(&records, name, |row| test[row]))
}

/// The mean score of a system on a table over its seeds, and its seconds of CPU.
fn other(name: &str, method: &str) -> Option<(f64, f64)> {
    let text = std::fs::read_to_string(path("baselines.csv")).unwrap();
    let mut scores = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        if cells[0] == name && cells[4] == method {
            let score = if cells[1] == "regression" { cells[9] } else { cells[7] };
            scores.push((score.parse::<f64>().unwrap(), cells[12].parse::<f64>().unwrap()));
        }
    }
    let n = scores.len() as f64;
    let sum = scores.iter().fold((0.0, 0.0), |sum, score| (sum.0 + score.0, sum.1 + score.1));
    (n > 0.0).then_some((sum.0 / n, sum.1 / n))
}

/// The best of all systems on a table.
fn best(name: &str) -> Option<(f64, f64)> {
    let text = std::fs::read_to_string(path("baselines.csv")).unwrap();
    let mut methods: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split(',').nth(4)).collect();
    methods.sort_unstable();
    methods.dedup();
    methods.iter().filter_map(|method| other(name, method)).min_by(|a, b| a.0.total_cmp(&b.0))
}

struct Arguments {
    seeds: Vec<u64>,
    tables: Vec<String>,
    threads: usize,
    inner: bool,
    blind: bool,
    options: Vec<(String, String)>,
}

fn arguments() -> Arguments {
    let mut all = Arguments {
        seeds: vec![0],
        tables: TABLES.iter().map(|table| table.0.to_owned()).collect(),
        threads: 2,
        inner: false,
        blind: false,
        options: Vec::new(),
    };
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--inner" => all.inner = true,
            "--blind" => all.blind = true,
            "--seeds" => all.seeds = value().split(',').map(|seed| seed.parse().unwrap()).collect(),
            "--tables" => all.tables = value().split(',').map(str::to_owned).collect(),
            "--threads" => all.threads = value().parse().unwrap(),
            _ => all.options.push((word.trim_start_matches("--").to_owned(), value())),
        }
    }
    all
}

fn main() {
    let arguments = arguments();
    let processor = Processor::new(arguments.threads);
    println!(
        "{:14} {:>9} {:>7} {:>7} {:>10}{}  ece     notes",
        "table",
        "choosing",
        "cpu s",
        "wall s",
        "score",
        OTHERS.map(|o| format!("{o:>11}")).join("")
    );
    let mut ratios: Vec<Vec<f64>> = vec![Vec::new(); OTHERS.len()];
    let (mut seconds_of_all, mut wall_of_all, mut logs) = (0.0, 0.0, Vec::new());
    for (name, target) in TABLES.iter().filter(|table| arguments.tables.iter().any(|name| name == table.0)) {
        let (train, test) = split(name, arguments.inner);
        let (mut scores, mut seconds, mut eces, mut words) = (Vec::new(), 0.0, Vec::new(), String::new());
        let (mut wall, mut choosing) = (0.0, 0.0);
        for &seed in &arguments.seeds {
            let mut options = Options::default();
            options.set("target", target).unwrap();
            options.set("seed", &seed.to_string()).unwrap();
            for (name, value) in &arguments.options {
                options.set(name, value).unwrap();
            }
            let tables = Tables { table: &train, test: Some(&test), validation: None, start: None };
            let (started, cpu) = (Instant::now(), cpu_seconds());
            let mut watch = |_: chainrule::train::Event<'_>| ControlFlow::Continue(());
            let fitted = recipe::fit(&tables, &options, &processor, &mut |_| {}, &mut watch).unwrap();
            wall += started.elapsed().as_secs_f64();
            seconds += cpu_seconds() - cpu;
            let score = recipe::main_metric(fitted.score.as_ref().unwrap()).1;
            scores.push(score);
            let (linear, _) = fitted.baseline.unwrap();
            let report = fitted.report;
            let squared = matches!(fitted.model.target, Target::Regression(_));
            let loss = report.validation_loss.unwrap_or(f64::NAN);
            choosing += if squared { (2.0 * loss).sqrt() } else { loss };
            words = format!(
                "{} epochs, best {}; T {:.2}; linear's share {:.2}; {:.3} of it",
                report.epochs,
                report.best_epoch,
                fitted.model.output.temperature,
                fitted.model.output.shares.get(fitted.rows.folds).unwrap_or(&0.0),
                if arguments.blind { f64::NAN } else { score / recipe::main_metric(&linear).1 },
            );
            if let (Target::Classification(classes), Metrics::Classification(_)) = (&fitted.model.target, linear) {
                let (rows, _) = fitted.model.target.rows(&test).unwrap();
                let truth = classes.classes(&test, &rows).unwrap();
                let (predictions, _) = fitted.model.predict(&test, Some(&rows), &processor).unwrap();
                let Predictions::Probabilities(p) = predictions else { panic!("probabilities") };
                eces.push(chainrule_table::metrics::expected_calibration_error(&truth, p.view()));
            }
        }
        let n = scores.len() as f64;
        let score = scores.iter().sum::<f64>() / n;
        seconds /= n;
        seconds_of_all += seconds;
        let (wall, choosing) = (wall / n, choosing / n);
        logs.push(choosing.ln());
        wall_of_all += wall;
        let mut line = format!("{name:14} {choosing:9.5} {seconds:7.2} {wall:7.2}");
        if arguments.blind {
            println!("{line}  {words}");
            continue;
        }
        line += &format!(" {score:10.5}");
        for (ratios, method) in ratios.iter_mut().zip(OTHERS) {
            let other = if method == "best" { best(name) } else { other(name, method) };
            match other {
                Some((theirs, _)) => {
                    line += &format!("{:11.4}", score / theirs);
                    if *name != "wine" {
                        ratios.push(score / theirs);
                    }
                }
                None => line += &format!("{:>11}", "-"),
            }
        }
        let ece = eces.iter().sum::<f64>() / n;
        println!("{line}  {}  {words}", if eces.is_empty() { "-     ".into() } else { format!("{ece:.4}") });
    }
    let mean = |ratios: &Vec<f64>| (ratios.iter().map(|r| r.ln()).sum::<f64>() / ratios.len() as f64).exp();
    let means: Vec<String> = ratios.iter().map(|ratios| format!("{:11.4}", mean(ratios))).collect();
    let own = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
    let means = if arguments.blind { String::new() } else { means.join("") };
    println!("{:14} {own:9.5} {seconds_of_all:7.2} {wall_of_all:7.2} {:10}{means}  ratios without wine", "all", "");
}

/// Seconds of processor time that this process has used, on Linux; 0 elsewhere.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: Vec<f64> = stat
        .rsplit(')')
        .next()
        .unwrap_or("")
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|t| t.parse().unwrap_or(0.0))
        .collect();
    ticks.iter().sum::<f64>() / 100.0
}
