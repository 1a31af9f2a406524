//! `doctor`: what is wrong with a training run, the evidence, and what was measured to help.

use super::fit::{processor, significant};
use crate::failure::{Failure, printable};
use crate::input;
use crate::interrupt;
use crate::output::Output;
use crate::progress::{self, Progress};
use chainrule::train::Event;
use chainrule_table::doctor::{Courses, Examination, Finding, Measured, examine};
use chainrule_table::recipe::{self, Start, Tables};
use chainrule_table::{FitError, Model, Table, data_fingerprint};
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::path::PathBuf;

/// The options of `doctor`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Say what is wrong with the training of a model, and measure what helps",
    after_help = "Trains again on the table, by the options that the model file records, and watches. What looks ill is told \
        only if a short run with a remedy has a loss that is a tenth lower.\n\n\
        Examples:\n  \
        chainrule doctor houses.safetensors houses.csv\n  \
        chainrule doctor houses.safetensors houses.csv --json\n  \
        chainrule fit houses.csv --target price --doctor"
)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// The table it was trained on
    data: PathBuf,
    /// Threads; the result is the same for any number [default: the machine's]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Print nothing but the findings
    #[arg(long)]
    quiet: bool,
}

/// Trains again, examines and prints.
///
/// # Errors
/// If the model or the table is at fault, or somebody interrupts. Findings are no failure.
pub fn run(options: &Options) -> Result<(), Failure> {
    let model = input::predictor(&options.model)?;
    let table = input::table(&options.data)?;
    let processor = processor(options.threads)?;
    let again = Again::new(&model, &table, !options.quiet, &processor)?;
    let examination = again.examine(&table, &processor)?;
    let text = match options.json {
        true => format!("{}\n", as_json(&examination)),
        false => as_text(&examination),
    };
    Output::stdout().write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write)).map(drop)
}

/// A run that is made again from what its model file records.
pub(crate) struct Again {
    pub(crate) options: recipe::Options,
    pub(crate) courses: Courses,
    pub(crate) outcome: Result<recipe::Fitted, FitError>,
}

impl Again {
    /// Trains on `table` by the options in the model's file.
    pub(crate) fn new(
        model: &Model,
        table: &Table,
        told: bool,
        processor: &chainrule::Processor,
    ) -> Result<Self, Failure> {
        let options = recipe::Options::of_model(model)?;
        if told && model.facts.get("data_fingerprint").and_then(Value::as_str) != Some(&*data_fingerprint(table)) {
            let line =
                "note      this is not the table that the model was trained on; the run is made on it all the same\n";
            let _ = io::stderr().write_all(line.as_bytes());
        }
        interrupt::watch();
        let mut courses = Courses::default();
        let courses_cell = std::cell::RefCell::new(&mut courses);
        let mut progress = told.then(Progress::new);
        let (of, mut done) = (std::cell::Cell::new(0), 0);
        let mut begin = |start: &Start| {
            of.set(start.epochs);
            courses_cell.borrow_mut().begin(start);
        };
        let mut watch = |event: Event<'_>| {
            courses_cell.borrow_mut().see(&event);
            if let (Event::Epoch(epoch), Some(progress)) = (event, &mut progress) {
                done += 1;
                progress.show(progress::Epoch {
                    done,
                    of: of.get(),
                    training_loss: epoch.loss,
                    validation_loss: epoch.validation_loss,
                });
            }
            if interrupt::interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let tables = Tables { table, test: None, validation: None, start: None };
        let outcome = recipe::fit(&tables, &options, processor, &mut begin, &mut watch);
        drop(progress);
        if interrupt::interrupted() {
            return Err(Failure::Interrupted);
        }
        Ok(Self { options, courses, outcome })
    }

    /// What is wrong with it.
    pub(crate) fn examine(&self, table: &Table, processor: &chainrule::Processor) -> Result<Examination, Failure> {
        let tables = Tables { table, test: None, validation: None, start: None };
        Ok(examine(&tables, &self.options, &self.courses, self.outcome.as_ref(), processor)?)
    }
}

/// The findings as JSON.
pub(crate) fn as_json(examination: &Examination) -> Value {
    json!({
        "healthy": examination.findings.is_empty(),
        "findings": examination.findings,
        "notes": examination.notes,
        "replays": examination.replays,
    })
}

/// The findings in 80 columns.
pub(crate) fn as_text(examination: &Examination) -> String {
    let mut text = match examination.findings.len() {
        0 => "doctor    no finding\n".to_owned(),
        1 => "doctor    1 finding\n".to_owned(),
        n => format!("doctor    {n} findings\n"),
    };
    for (n, finding) in examination.findings.iter().enumerate() {
        let mut title = capital(&finding.title);
        for symptom in &finding.leads_to {
            title += &format!("; so {}", symptom.title);
        }
        text += &wrapped(&format!("{:>3}. ", n + 1), 5, &format!("{title}."));
        text += &wrapped("     seen      ", 15, &finding.evidence);
        for symptom in &finding.leads_to {
            text += &wrapped("               ", 15, &symptom.evidence);
        }
        if !finding.options.is_empty() {
            text += &wrapped("     try       ", 15, &remedy(finding));
        }
        if let Some(measured) = &finding.measured {
            text += &wrapped("     measured  ", 15, &measured_text(measured));
        }
        if let Some(advice) = &finding.advice {
            text += &wrapped("     think of  ", 15, advice);
        }
    }
    for note in &examination.notes {
        text += &wrapped("note      ", 10, note);
    }
    text
}

/// `--init he_normal --learning-rate 0.01`.
pub(crate) fn remedy(finding: &Finding) -> String {
    let quoted = |value: &str| match value.contains([' ', '"', '\'', '$', '&', ';', '(', ')', '*', '<', '>', '|', '`'])
    {
        true => format!("'{}'", value.replace('\'', "'\\''")),
        false => value.to_owned(),
    };
    let options: Vec<String> =
        finding.options.iter().map(|(name, value)| format!("--{name} {}", quoted(value))).collect();
    options.join(" ")
}

/// `rmse 3.1 with it, 25.2 without, over 300 rows of short runs`.
pub(crate) fn measured_text(measured: &Measured) -> String {
    let without = measured.without.map_or("no number".into(), significant);
    let metric = measured.metric.replace('_', " ");
    format!(
        "in short runs {metric} {} with it, {without} without (on {} rows)",
        significant(measured.with),
        measured.rows
    )
}

fn capital(text: &str) -> String {
    // A column's name stays as it is.
    match text.strip_prefix("the ") {
        Some(rest) => format!("The {rest}"),
        None => text.to_owned(),
    }
}

/// `text` behind `label`, broken at blanks into lines of at most 80 characters, the others indented.
fn wrapped(label: &str, indent: usize, text: &str) -> String {
    let mut lines = String::new();
    let mut line = label.to_owned();
    let mut empty = true;
    for word in printable(text).split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > 80 {
            lines += line.trim_end();
            lines += "\n";
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line += " ";
        }
        line += word;
        empty = false;
    }
    lines + line.trim_end() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_at_blanks() {
        let text = wrapped("     seen      ", 15, &"word ".repeat(30));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.lines().nth(1).unwrap().find('w'), Some(15));
    }

    #[test]
    fn a_value_that_a_shell_would_split_is_quoted() {
        let finding = Finding {
            fault: "leak",
            title: String::new(),
            evidence: String::new(),
            layer: None,
            leads_to: Vec::new(),
            options: vec![("ignore", "it's a column,b".into()), ("learning-rate", "0.1".into())],
            advice: None,
            measured: None,
        };
        assert_eq!(remedy(&finding), "--ignore 'it'\\''s a column,b' --learning-rate 0.1");
    }
}
