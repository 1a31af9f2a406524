//! `explain columns`: how much worse the model is when a column is shuffled.

use super::subject::round;
use super::{Common, print, tell};
use crate::commands::fit::processor;
use crate::failure::{Failure, printable};
use crate::input;
use crate::interrupt;
use crate::text::{cut, number};
use chainrule::Error;
use chainrule_table::explain::{Importance, importances};
use serde_json::json;
use std::io::{self, IsTerminal, Write as _};

/// The options of `explain columns`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Rank columns by how much worse the model is without them",
    after_help = "Each column is shuffled over the rows, a few times; the score's increase is its importance. Of two columns\n\
        that say the same, each seems to matter little. On the training table the figures flatter.\n\nExamples:\n  \
        chainrule explain columns houses.safetensors test.csv\n  \
        chainrule explain columns houses.safetensors houses.csv --repeats 20 --json"
)]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// How often each column is shuffled
    #[arg(long, value_name = "N", default_value_t = 5)]
    repeats: usize,
    /// How many rows are scored at most, drawn by the seed
    #[arg(long, value_name = "N", default_value_t = 2000)]
    rows: usize,
    /// The shuffles' seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Columns that are listed at most
    #[arg(long, value_name = "N", default_value_t = 30)]
    most: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Prints the ranking.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    for (what, got, least) in [("repeats", options.repeats, 1), ("rows", options.rows, 2)] {
        if !(least..=1_000_000_000).contains(&got) {
            let expected = format!("a number from {least}");
            return Err(Error::Value { what, expected, got: got.to_string() }.into());
        }
    }
    let processor = processor(options.common.threads)?;
    let model = input::predictor(&options.common.model)?;
    let table = input::table(&options.common.data)?;
    interrupt::watch();
    let terminal = io::stderr().is_terminal();
    let all = model.encoder.inputs().count();
    let mut watch = |done: usize| {
        if terminal {
            let _ = write!(io::stderr(), "\r{done} of {all} columns{}", if done == all { "\r\u{1b}[K" } else { "" });
        }
        !interrupt::interrupted()
    };
    let found = importances(&model, &table, options.repeats, options.rows, options.seed, &processor, &mut watch)?;
    let Some(found) = found else { return Err(Failure::Interrupted) };
    let notes: Vec<String> = found.notes.iter().map(ToString::to_string).collect();
    if options.json {
        let column = |of: &Importance| json!({"column": of.column, "mean": of.mean, "deviation": of.deviation, "increases": of.increases});
        let columns: Vec<_> = found.columns.iter().map(column).collect();
        let object = json!({
            "metric": found.metric, "score": found.score, "rows": found.rows, "repeats": options.repeats,
            "columns": columns, "notes": notes,
        });
        return print(&format!("{object}\n"));
    }
    tell(&notes);
    let digits = |x: f64| number(round(x));
    let (rows, repeats) = (found.rows, options.repeats);
    let mut text =
        format!("{} {} on {rows} rows; its increase when a column is shuffled\n\n", found.metric, digits(found.score));
    let most = found.columns.first().map_or(0.0, |first| first.mean).max(f64::MIN_POSITIVE);
    for of in found.columns.iter().take(options.most.max(1)) {
        let bar = "█".repeat((20.0 * of.mean.max(0.0) / most).round() as usize);
        let short = |x: f64| number(format!("{x:.3e}").parse().unwrap_or(x));
        let line = format!(
            "  {:<28} {:>11} ± {:<11} {bar}",
            cut(&printable(&of.column), 28),
            short(of.mean),
            short(of.deviation)
        );
        text += line.trim_end();
        text += "\n";
    }
    if found.columns.len() > options.most.max(1) {
        let more = found.columns.len() - options.most.max(1);
        text += &format!("  … {more} more; --most {} lists all\n", found.columns.len());
    }
    text += &format!("\nmean ± standard deviation over {repeats} shuffle{}\n", if repeats == 1 { "" } else { "s" });
    print(&text)
}
