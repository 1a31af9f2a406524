//! `predict`: a table's rows with the model's predictions beside them.

use super::fit::processor;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use chainrule_table::encoder::Surprises;
use chainrule_table::{Model, Predictions, Rows, Source, Stream, Table};
use serde_json::json;
use std::collections::HashSet;
use std::io::{self, Read, Write};
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
/// CSV goes through block by block: memory does not grow with the file, and its rows come out as they stand in it.
///
/// # Errors
/// If the model or the table is at fault; then no file is written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let output = Output::explicit(&options.output, options.force)?;
    let model = input::predictor(&options.model)?;
    let name = input::name(&options.data);
    let told = match input::source(&options.data)? {
        Source::Csv(source) if !options.json => {
            let stream = Stream::new(source, &name)?;
            let mut told = Vec::new();
            output.write(|out| {
                told = rows_through(&model, stream, options.threads, out)?;
                Ok(())
            })?;
            told
        }
        source => {
            let table = source.read(&name, input::threads())?;
            let (predictions, notes) = model.predict(&table, None, &processor(options.threads)?)?;
            let mut told: Vec<String> = notes.iter().map(ToString::to_string).collect();
            let text = if options.json {
                let columns = columns(&model, &predictions);
                let columns: serde_json::Map<String, serde_json::Value> =
                    columns.into_iter().map(|(name, cells)| (name, cells.into())).collect();
                format!("{}\n", json!({"rows": table.rows(), "predictions": columns, "notes": told}))
            } else {
                csv_text(&model, &table, &predictions, &mut told)?
            };
            output.write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
            told
        }
    };
    if !options.quiet && !options.json {
        for note in &told {
            let _ = writeln!(io::stderr(), "note: {note}");
        }
    }
    Ok(())
}

/// Writes every row of the stream with its predictions, and gives the notes.
fn rows_through(
    model: &Model,
    stream: Stream<Box<dyn Read + Send>>,
    threads: Option<usize>,
    out: &mut dyn Write,
) -> Result<Vec<String>, Failure> {
    // Blocks are shared out to threads, so each network runs on one.
    let workers = threads.unwrap_or_else(input::threads);
    processor(threads)?;
    let one = processor(Some(1))?;
    let header = stream.header().clone();
    let separator = header.dialect.separator;
    let encoder = &model.encoder;
    let inputs: HashSet<&str> = encoder.inputs().collect();
    let names = || header.names.iter().map(String::as_str);
    let mut told: Vec<String> = encoder.unknown_columns(names()).iter().map(ToString::to_string).collect();
    let ours = names_of(model);
    let mut line = header.text.clone();
    for name in free_names(&header.names, &ours, &mut told) {
        push_cell(&mut line, &name, separator);
    }
    let mut line = Some(line);
    let mut surprises = Surprises::default();
    let work = |rows: Rows| -> Result<(String, Surprises), Failure> {
        let (predictions, _) = model.predict(&rows.table, None, &one)?;
        let every: Vec<usize> = (0..rows.table.rows()).collect();
        let surprises = encoder.surprises(&rows.table, &every)?;
        let mut text = String::new();
        for (i, row) in rows.texts().enumerate() {
            text.push_str(row);
            push_prediction(&mut text, model, &predictions, i, separator);
            text.push('\n');
        }
        Ok((text, surprises))
    };
    let take = |result: Result<(String, Surprises), Failure>| {
        let (text, more) = result?;
        surprises.add(more);
        if let Some(line) = line.take() {
            writeln!(out, "{line}").map_err(Failure::Write)?;
        }
        out.write_all(text.as_bytes()).map_err(Failure::Write)
    };
    stream.for_each(|name| inputs.contains(name), workers, work, take)?;
    told.extend(surprises.notes(encoder).iter().map(ToString::to_string));
    Ok(told)
}

/// The names of the columns that a prediction adds.
fn names_of(model: &Model) -> Vec<String> {
    let mut targets = model.target.columns();
    let mut names: Vec<String> = match (targets.next(), targets.next()) {
        (_, None) => vec!["prediction".to_owned()],
        _ => model.target.columns().map(|target| format!("prediction_{target}")).collect(),
    };
    names.extend(model.quantile_levels().iter().map(|level| format!("quantile_{level}")));
    names.extend(model.target.labels().iter().map(|label| format!("probability_{label}")));
    names
}

/// `ours`, but those that the table has already with a number behind; told in a note.
fn free_names(table: &[String], ours: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut taken: HashSet<String> = table.iter().cloned().collect();
    let mut names = Vec::with_capacity(ours.len());
    for name in ours {
        let mut free = name.clone();
        let mut number = 2;
        while !taken.insert(free.clone()) {
            free = format!("{name}_{number}");
            number += 1;
        }
        if free != *name {
            notes.push(format!("the table has a column {name}: ours is {free}"));
        }
        names.push(free);
    }
    names
}

/// A separator and row `i`'s predictions.
fn push_prediction(text: &mut String, model: &Model, predictions: &Predictions, i: usize, separator: char) {
    let number = |text: &mut String, x: f64| {
        text.push(separator);
        text.push_str(&json!(x).to_string());
    };
    match predictions {
        Predictions::Numbers { values, quantiles, others } => {
            number(text, values[i]);
            others.iter().for_each(|values| number(text, values[i]));
            quantiles.iter().for_each(|(_, values)| number(text, values[i]));
        }
        Predictions::Probabilities(p) => {
            push_cell(text, &model.target.labels()[likeliest(p.row(i))], separator);
            p.row(i).iter().for_each(|&p| number(text, p));
        }
    }
}

/// The first of the greatest.
fn likeliest(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
}

/// A separator and a cell, quoted where that is needed.
fn push_cell(text: &mut String, cell: &str, separator: char) {
    text.push(separator);
    if cell.contains([separator, '"', '\n', '\r']) {
        text.push('"');
        text.push_str(&cell.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(cell);
    }
}

/// Names and cells of the columns that a prediction adds.
fn columns(model: &Model, predictions: &Predictions) -> Vec<(String, Vec<serde_json::Value>)> {
    let numbers = |values: &[f64]| values.iter().map(|&x| json!(x)).collect::<Vec<_>>();
    let cells: Vec<Vec<serde_json::Value>> = match predictions {
        Predictions::Numbers { values, quantiles, others } => {
            let all = std::iter::once(values).chain(others).chain(quantiles.iter().map(|(_, values)| values));
            all.map(|values| numbers(values)).collect()
        }
        Predictions::Probabilities(p) => {
            let labels = model.target.labels();
            let likeliest = (0..p.rows()).map(|i| json!(labels[likeliest(p.row(i))])).collect();
            let of = |k: usize| (0..p.rows()).map(|i| json!(p[(i, k)])).collect();
            std::iter::once(likeliest).chain((0..labels.len()).map(of)).collect()
        }
    };
    names_of(model).into_iter().zip(cells).collect()
}

/// The table as CSV with its predictions, for a table that did not come as text.
fn csv_text(
    model: &Model,
    table: &Table,
    predictions: &Predictions,
    notes: &mut Vec<String>,
) -> Result<String, Failure> {
    let names: Vec<String> = table.columns().iter().map(|column| column.name().to_owned()).collect();
    let ours = free_names(&names, &names_of(model), notes);
    let mut line = String::new();
    names.iter().chain(&ours).for_each(|name| push_cell(&mut line, name, ','));
    // Each line starts with a separator too many.
    let mut text = format!("{}\n", &line[1..]);
    for row in 0..table.rows() {
        line.clear();
        (0..names.len()).for_each(|column| push_cell(&mut line, &table.spelling(row, column), ','));
        push_prediction(&mut line, model, predictions, row, ',');
        text.push_str(&line[1..]);
        text.push('\n');
    }
    Ok(text)
}
