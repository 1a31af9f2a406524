//! `evaluate`: a model's score on a table.

use super::fit::{metrics_text, processor, significant};
use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use chainrule_table::data_fingerprint;
use chainrule_table::metrics::Metrics;
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The options of `evaluate`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Score a model on a table",
    after_help = "Examples:\n  \
        chainrule evaluate houses.safetensors test.csv\n  \
        chainrule evaluate houses.safetensors test.csv --json"
)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// The table, with the target's column; `-` is standard input
    data: PathBuf,
    /// Threads; the result is the same for any number
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Scores and prints.
///
/// # Errors
/// If the model or the table is at fault.
pub fn run(options: &Options) -> Result<(), Failure> {
    let model = input::predictor(&options.model)?;
    let table = input::table(&options.data)?;
    let weights = match model.facts.get("sample_weight").and_then(Value::as_str).and_then(|name| table.position(name)) {
        None => None,
        Some(position) => {
            let (rows, _) = model.target.rows(&table)?;
            Some(chainrule_table::schema::sample_weights(&table, position, &rows)?)
        }
    };
    let (metrics, rows, notes) = model.evaluate(&table, None, weights.as_deref(), &processor(options.threads)?)?;
    let mut notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    if model.facts.get("data_fingerprint").and_then(Value::as_str) == Some(&data_fingerprint(&table)) {
        notes.push("this is the table that the model was trained on: the score flatters it".into());
    }
    let metrics = serde_json::to_value(&metrics).unwrap_or_default();
    let text = if options.json {
        format!("{}\n", json!({"rows": rows, "metrics": metrics, "notes": notes}))
    } else {
        for note in &notes {
            let _ = writeln!(io::stderr(), "note: {note}");
        }
        let lines = metrics.as_object().into_iter().flatten();
        lines.fold(format!("rows      {rows}\n"), |text, (name, value)| match value.as_f64() {
            Some(x) => text + &format!("{name:<9} {}\n", significant(x)),
            // Of several targets each has its own.
            None => match serde_json::from_value(value.clone()) {
                Ok(scores) => text + &format!("{name:<9} {}\n", metrics_text(&Metrics::Regression(scores))),
                Err(_) => text,
            },
        })
    };
    Output::stdout().write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
    Ok(())
}
