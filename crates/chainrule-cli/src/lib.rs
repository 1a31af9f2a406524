//! The `chainrule` command: it converts, calls and reports; the mathematics is the library's.
//!
//! Data goes to standard output, everything else to standard error. [`failure`] says what the exit status means,
//! [`output`] how a file is written whole or not at all.

pub mod commands;
pub mod failure;
pub mod input;
pub mod interrupt;
pub mod output;
pub mod progress;
mod text;
mod trial;

use clap::{Parser, Subcommand};
use failure::Failure;
use std::ffi::OsString;
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "chainrule",
    version,
    about = "Feed-forward neural networks you can see through",
    after_help = "Examples:\n  \
        chainrule fit houses.csv --target price            train, score, save a model\n  \
        chainrule predict houses.safetensors new.csv       predict new rows\n  \
        chainrule evaluate houses.safetensors test.csv     score the model\n  \
        chainrule inspect houses.safetensors               what the model file holds\n  \
        chainrule explain gradient houses.safetensors houses.csv --row 1 --weight 2:3,2\n  \
        chainrule export houses.safetensors --to onnx      the same for another program\n  \
        chainrule doctor houses.safetensors houses.csv     what ails the training, and what was measured to help\n  \
        chainrule report houses.safetensors houses.csv     all that is known of a model, on a page\n  \
        chainrule tutorial                                 how a network works, by hand\n  \
        chainrule playground                               the same in a page to play with\n\n\
        `chainrule COMMAND --help` shows a command's options and examples."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Fit(commands::fit::Options),
    Predict(commands::predict::Options),
    Evaluate(commands::evaluate::Options),
    Inspect(commands::inspect::Options),
    Explain(commands::explain::Options),
    Export(commands::export::Options),
    Import(commands::import::Options),
    Doctor(commands::doctor::Options),
    Report(commands::report::Options),
    Tutorial(commands::tutorial::Options),
    Playground(commands::playground::Options),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os()))
}

/// Runs the command with these arguments, the first the program's name; what may go wrong comes out as one line and the
/// exit status that is returned.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    failure::report(failure::contained(|| {
        let cli = Cli::try_parse_from(arguments).map_err(Failure::Usage)?;
        match cli.command {
            Command::Fit(options) => commands::fit::run(&options),
            Command::Predict(options) => commands::predict::run(&options),
            Command::Evaluate(options) => commands::evaluate::run(&options),
            Command::Inspect(options) => commands::inspect::run(&options),
            Command::Explain(options) => commands::explain::run(&options),
            Command::Export(options) => commands::export::run(&options),
            Command::Import(options) => commands::import::run(&options),
            Command::Doctor(options) => commands::doctor::run(&options),
            Command::Report(options) => commands::report::run(&options),
            Command::Tutorial(options) => commands::tutorial::run(&options),
            Command::Playground(options) => commands::playground::run(&options),
        }
    }))
}
