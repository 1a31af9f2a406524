//! `tutorial`: the worked example of the tutorial that this project grew from, every number computed by the library.
//!
//! Follows "Feed Forward Neural Network" by Rodolfo Lourenzutti: its data, its weights (Figure 8), its equations and
//! exercises by their numbers; the words are ours.

mod backpropagation;
mod example;
mod files;
mod forward;
mod training;

use crate::failure::Failure;
use crate::output::Output;
use clap::ValueEnum;
use std::path::PathBuf;

/// The options of `tutorial`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Learn how a network works, every number by hand",
    after_help = "Examples:\n  \
        chainrule tutorial                               what there is to learn\n  \
        chainrule tutorial forward                       the first section; `tutorial 1` is the same\n  \
        chainrule tutorial backpropagation --answers     with the answers to the exercises\n  \
        chainrule tutorial --write lesson                the data, the network and the commands as files"
)]
pub struct Options {
    /// forward, matrices, backpropagation or training, also 1 to 4, or all; without it, the list of them
    #[arg(value_enum, hide_possible_values = true, value_name = "SECTION")]
    section: Option<Section>,
    /// Print the answers to the exercises too
    #[arg(long, requires = "section")]
    answers: bool,
    /// Write tutorial.csv, figure8.safetensors and commands.txt into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    /// Replace existing files
    #[arg(long, requires = "write")]
    force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Section {
    #[value(alias = "1")]
    Forward,
    #[value(alias = "2")]
    Matrices,
    #[value(aliases = ["3", "chain-rule"])]
    Backpropagation,
    #[value(alias = "4")]
    Training,
    All,
}

/// Prints a section or the list of them, and writes the files if asked.
///
/// # Errors
/// If `--answers` meets a section without exercises, or a file cannot be written.
pub fn run(options: &Options) -> Result<(), Failure> {
    if options.answers && !matches!(options.section, Some(Section::Backpropagation | Section::All)) {
        let message = "--answers belongs to the section with exercises: chainrule tutorial backpropagation --answers\n";
        return Err(Failure::Usage(clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message)));
    }
    if let Some(folder) = &options.write {
        files::write(folder, options.force)?;
        if options.section.is_none() {
            return Ok(());
        }
    }
    let text = text(options.section, options.answers)?;
    Output::stdout().write(|out| out.write_all(text.as_bytes()).map_err(Failure::Write))?;
    Ok(())
}

fn text(section: Option<Section>, answers: bool) -> Result<String, chainrule::Error> {
    Ok(match section {
        None => OVERVIEW.into(),
        Some(Section::Forward) => forward::by_hand(),
        Some(Section::Matrices) => forward::matrices(),
        Some(Section::Backpropagation) => backpropagation::section(answers)?,
        Some(Section::Training) => training::section()?,
        Some(Section::All) => {
            let parts =
                [forward::by_hand(), forward::matrices(), backpropagation::section(answers)?, training::section()?];
            parts.join("\n\n")
        }
    })
}

const OVERVIEW: &str = "\
How a feed-forward network works, in four sections of numbers that you can check with a pencil:

  1  chainrule tutorial forward            from one row to a prediction, sum by sum
  2  chainrule tutorial matrices           the same for ten rows at once
  3  chainrule tutorial backpropagation    each weight's blame by the chain rule; exercises
  4  chainrule tutorial training           how weights learn, and a start from which they do not

The answers to the exercises:

     chainrule tutorial backpropagation --answers

To go on with the same data and network in the other commands:

     chainrule tutorial --write lesson     leaves tutorial.csv, figure8.safetensors and commands.txt

The network is 2-3-2-1: two inputs, hidden layers of three and of two neurons, one output.
After \"Feed Forward Neural Network\" by Rodolfo Lourenzutti, whose numbers the equations, figures and
exercises bear.
";

#[cfg(test)]
mod tests;
