//! `predict`: a table's rows with the model's predictions beside them.

use super::fit::processor;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use chainrule_table::{Model, Predictions, Table};
use serde_json::json;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The options of `predict`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Predict the rows of a table",
    after_help = "The output is the table's rows in order with a column `prediction`, and for classes a column\n\
        `probability_LABEL` for each.\n\nExamples:\n  \
        chainrule predict houses.safetensors new.csv -o out.csv\n  \
        chainrule predict houses.safetensors - < new.csv | head"
)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// The table; `-` is standard input
    data: PathBuf,
    /// Where the predictions go; `-` is standard output
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Threads; the result is the same for any number
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object with the predictions instead of the table
    #[arg(long)]
    json: bool,
    /// Print no notes
    #[arg(long)]
    quiet: bool,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
}

/// Predicts and writes.
///
/// # Errors
/// If the model or the table is at fault; then nothing is written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let output = Output::explicit(&options.output, options.force)?;
    let model = input::predictor(&options.model)?;
    let table = input::table(&options.data)?;
    let (predictions, notes) = model.predict(&table, None, &processor(options.threads)?)?;
    let columns = columns(&model, &predictions);
    let mut told: Vec<String> = notes.iter().map(ToString::to_string).collect();
    let text = if options.json {
        let columns: serde_json::Map<String, serde_json::Value> =
            columns.into_iter().map(|(name, cells)| (name, cells.into())).collect();
        format!("{}\n", json!({"rows": table.rows(), "predictions": columns, "notes": told}))
    } else {
        csv_text(&table, columns, &mut told)?
    };
    if !options.quiet && !options.json {
        for note in &told {
            let _ = writeln!(io::stderr(), "note: {note}");
        }
    }
    output.write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
    Ok(())
}

/// Names and cells of the columns that a prediction adds.
fn columns(model: &Model, predictions: &Predictions) -> Vec<(String, Vec<serde_json::Value>)> {
    let numbers = |values: &[f64]| values.iter().map(|&x| json!(x)).collect::<Vec<_>>();
    match predictions {
        Predictions::Numbers { values, quantiles } => {
            let mut all = vec![("prediction".to_owned(), numbers(values))];
            all.extend(quantiles.iter().map(|(level, values)| (format!("quantile_{level}"), numbers(values))));
            all
        }
        Predictions::Probabilities(p) => {
            let labels = model.target.labels();
            let likeliest = |row: &[f64]| (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best });
            let mut all =
                vec![("prediction".to_owned(), (0..p.rows()).map(|i| json!(labels[likeliest(p.row(i))])).collect())];
            for (k, label) in labels.iter().enumerate() {
                all.push((format!("probability_{label}"), (0..p.rows()).map(|i| json!(p[(i, k)])).collect()));
            }
            all
        }
    }
}

fn csv_text(
    table: &Table,
    columns: Vec<(String, Vec<serde_json::Value>)>,
    notes: &mut Vec<String>,
) -> Result<String, Failure> {
    let mut taken: Vec<String> = table.columns().iter().map(|column| column.name().to_owned()).collect();
    let own = taken.len();
    for (name, _) in &columns {
        let mut free = name.clone();
        let mut number = 2;
        while taken.contains(&free) {
            free = format!("{name}_{number}");
            number += 1;
        }
        if free != *name {
            notes.push(format!("the table has a column {name}: ours is {free}"));
        }
        taken.push(free);
    }
    let broken = |error: csv::Error| Failure::Fault(format!("the table cannot be written as CSV: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&taken).map_err(broken)?;
    // All cells as the file spells them, in one pass over it.
    let cells = table.texts(&(0..own).collect::<Vec<usize>>());
    for row in 0..table.rows() {
        let before = cells.iter().map(|column| column.get(row).unwrap_or_default().to_owned());
        let after = columns.iter().map(|(_, cells)| match &cells[row] {
            serde_json::Value::String(text) => text.clone(),
            number => number.to_string(),
        });
        writer.write_record(before.chain(after)).map_err(broken)?;
    }
    let bytes = writer.into_inner().map_err(|error| Failure::Fault(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Failure::Fault(error.to_string()))
}
