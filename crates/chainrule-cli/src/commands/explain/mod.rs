//! `explain`: every number of the forward pass, every factor of the chain rule, checks, and what columns are worth.

mod check;
mod columns;
mod diagram;
mod forward;
mod gradient;
mod latex;
mod prediction;
mod subject;

use crate::failure::{Failure, printable};
use crate::output::Output;
use std::io::{self, Write as _};
use std::path::PathBuf;

/// The options of `explain`.
#[derive(clap::Args, Debug)]
#[command(
    about = "See through a model: its sums, its derivatives, what columns contribute",
    after_help = "Examples:\n  \
        chainrule explain forward figure8.safetensors tutorial.csv --row 1\n  \
        chainrule explain gradient figure8.safetensors tutorial.csv --row 1 --weight 1:1,2\n  \
        chainrule explain check figure8.safetensors tutorial.csv\n  \
        chainrule explain diagram figure8.safetensors tutorial.csv --row 1 --weight 1:1,2 -o paths.svg\n  \
        chainrule explain prediction houses.safetensors houses.csv --row 1\n  \
        chainrule explain columns houses.safetensors houses.csv\n\n\
        `chainrule tutorial --write lesson` leaves figure8.safetensors and tutorial.csv in the folder lesson.\n\
        `chainrule explain COMMAND --help` shows the options of each."
)]
pub struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand, Debug)]
enum What {
    Forward(forward::Options),
    Gradient(gradient::Options),
    Check(check::Options),
    Diagram(diagram::Options),
    Prediction(prediction::Options),
    Columns(columns::Options),
}

/// Explains and prints.
///
/// # Errors
/// If the model or the table is at fault, or an address leads nowhere.
pub fn run(options: &Options) -> Result<(), Failure> {
    match &options.what {
        What::Forward(options) => forward::run(options),
        What::Gradient(options) => gradient::run(options),
        What::Check(options) => check::run(options),
        What::Diagram(options) => diagram::run(options),
        What::Prediction(options) => prediction::run(options),
        What::Columns(options) => columns::run(options),
    }
}

/// What all explanations are asked for.
#[derive(clap::Args, Debug)]
struct Common {
    /// The model file
    model: PathBuf,
    /// The table; `-` is standard input
    data: PathBuf,
    /// Threads; the result is the same for any number
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// How an explanation is written.
#[derive(clap::Args, Clone, Copy, Debug)]
struct Written {
    /// text, json or latex
    #[arg(long, value_enum, default_value = "text", hide_possible_values = true, value_name = "FORMAT")]
    format: Format,
    /// Print one JSON object instead of text: --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Latex,
}

impl Written {
    fn format(self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// Prints an explanation on standard output.
fn print(text: &str) -> Result<(), Failure> {
    Output::stdout().write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
    Ok(())
}

/// Prints notes on standard error.
fn tell(notes: &[String]) {
    for note in notes {
        let _ = writeln!(io::stderr(), "note: {}", printable(note));
    }
}
