//! `report`: all that is known of a model on one page of HTML.

use super::doctor::Again;
use super::fit::processor;
use crate::failure::{Failure, printable};
use crate::input;
use crate::output::Output;
use chainrule::{ModelFile, Processor};
use chainrule_table::report::{Report, Run};
use chainrule_table::{Model, Table, data_fingerprint};
use serde_json::Value;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The options of `report`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Write a page of HTML on a model: curves, layers, predictions, columns, findings, options",
    after_help = "With the table that the model was trained on, the training is repeated and watched (its bits are the same); \
        with another table the page has no curves.\n\n\
        Examples:\n  \
        chainrule report houses.safetensors houses.csv\n  \
        chainrule report houses.safetensors test.csv -o test.html\n  \
        chainrule fit houses.csv --target price --report houses.html"
)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// The table it was trained on, or another one with the target's column
    data: PathBuf,
    /// The page [default: the model's name with .html, -2, -3, … if taken]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing output
    #[arg(long)]
    force: bool,
    /// Threads; the result is the same for any number [default: the machine's]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// Trains again where that is the same run, and writes the page.
///
/// # Errors
/// If the model or the table is at fault, or somebody interrupts.
pub fn run(options: &Options) -> Result<(), Failure> {
    let output = match &options.output {
        Some(path) => Output::explicit(path, options.force)?,
        None => {
            let name = options.model.file_name().filter(|_| options.model != Path::new("-"));
            Output::default_name(&PathBuf::from(name.unwrap_or("model".as_ref())).with_extension("html"))
        }
    };
    let model = input::predictor(&options.model)?;
    let table = input::table(&options.data)?;
    let processor = processor(options.threads)?;
    let name = options.model.display().to_string();
    let fingerprint = fingerprint(&model)?;
    let known = model.facts.get("data_fingerprint").and_then(Value::as_str) == Some(&*data_fingerprint(&table));
    let again = match known {
        true => Some(Again::new(&model, &table, !options.quiet, &processor)?),
        false => None,
    };
    // Rows for the score or a start from other files are in no model file: then the run is another one.
    let fitted = again.as_ref().and_then(|again| again.outcome.as_ref().ok());
    let same = match fitted {
        Some(fitted) => self::fingerprint(&fitted.model)? == fingerprint,
        None => false,
    };
    if known && !same {
        let line = "note      the run used other files, too, and cannot be repeated: the page has no curves\n";
        let _ = io::stderr().write_all(line.as_bytes());
    }
    let html = match (&again, fitted) {
        (Some(again), Some(fitted)) if same => {
            let examination = again.examine(&table, &processor)?;
            let run = Run { fitted, courses: &again.courses, examination: &examination };
            html(&name, &model, &fingerprint, &table, &table, Some(run), &processor)?
        }
        _ => html(&name, &model, &fingerprint, &table, &table, None, &processor)?,
    };
    if let Some(path) = output.write(|out| out.write_all(html.as_bytes()).map_err(Failure::Write))? {
        let _ = writeln!(io::stderr(), "wrote {}", printable(&path.display().to_string()));
    }
    Ok(())
}

fn fingerprint(model: &Model) -> Result<Value, Failure> {
    let bytes = model.to_file()?.write_bytes()?;
    Ok(ModelFile::read_bytes(&bytes)?.metadata["fingerprint"].clone())
}

/// The page. Where a run held rows of `scored` back, these are scored; else all of it.
pub(crate) fn html(
    name: &str,
    model: &Model,
    fingerprint: &Value,
    table: &Table,
    scored: &Table,
    run: Option<Run<'_>>,
    processor: &Processor,
) -> Result<String, Failure> {
    let held: &[usize] = run.map_or(&[], |run| &run.fitted.scored);
    let own = model.facts.get("data_fingerprint").and_then(Value::as_str) == Some(&*data_fingerprint(scored));
    let all;
    let (rows, honest) = match held {
        [] => {
            all = model.target.rows(scored)?.0;
            (&all[..], !own)
        }
        held => (held, true),
    };
    let fingerprint = fingerprint.as_str().unwrap_or_default();
    Ok(Report { name, model, fingerprint, table, scored: (scored, rows), honest, run }.html(processor)?)
}
