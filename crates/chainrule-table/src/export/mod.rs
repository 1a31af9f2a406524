//! A model handed to the rest of the world: PyTorch, ONNX, C, Rust; and a PyTorch network taken in.
//!
//! [`program`] says what a model does at prediction, in steps; every target prints those, so that a new layer is added in
//! one place a target. [`verify`] compares what was printed with the model, [`trial`] what a compiler or a runtime makes of it.

pub mod import;
pub mod program;
pub mod trial;
pub mod verify;

mod c;
mod onnx;
mod pytorch;
mod rust;
mod source;

use crate::model::Model;
use crate::recipe::FitError;
use crate::table::Table;
use chainrule::Error;
use program::{Answered, Arithmetic, Program, RawCells};
use source::Vectors;
use std::fmt;
use std::str::FromStr;
use verify::{Difference, Report};

/// Where a model can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A script for PyTorch, with weights beside it.
    Pytorch,
    /// ONNX, operator set 17.
    Onnx,
    /// C99 in one file.
    C,
    /// Rust in one file.
    Rust,
}

impl Format {
    /// The names as a user types them.
    pub const NAMES: [&str; 4] = ["pytorch", "onnx", "c", "rust"];

    /// The ending of a file's name.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Pytorch => "py",
            Self::Onnx => "onnx",
            Self::C => "c",
            Self::Rust => "rs",
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "pytorch" => Ok(Self::Pytorch),
            "onnx" => Ok(Self::Onnx),
            "c" => Ok(Self::C),
            "rust" => Ok(Self::Rust),
            _ => Err(Error::unknown_name("format", name, &Self::NAMES)),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pytorch => "pytorch",
            Self::Onnx => "onnx",
            Self::C => "c",
            Self::Rust => "rust",
        })
    }
}

/// Why a model cannot leave or come in.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExportError {
    /// A column of dates is among the inputs.
    Date {
        /// The column.
        column: String,
    },
    /// A layer is somebody's own function.
    Own {
        /// Its position.
        layer: usize,
        /// Its name.
        name: String,
    },
    /// What was printed does not do what the model does.
    Differs {
        /// By how much.
        report: Box<Report>,
    },
    /// What was printed does not run, or does something else when it runs.
    Ran {
        /// By what it was compiled or run.
        by: String,
        /// What happened.
        what: String,
    },
    /// What comes in is no state dict that fits the layers.
    Import {
        /// Why.
        reason: String,
    },
    /// What was printed cannot be read back.
    Unreadable,
    /// The table does not fit the model.
    Model(FitError),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date { column } => write!(
                f,
                "the column `{column}` holds dates, whose spellings no exported model reads; \
                 replace it by numbers (a year, days since a day) and train again"
            ),
            Self::Own { layer, name } => {
                write!(f, "layer {layer} is somebody's own function `{name}`, which has no formula to export")
            }
            Self::Differs { report } => write!(f, "the exported model is not the model: {report}; no file was left"),
            Self::Ran { by, what } => {
                write!(
                    f,
                    "the exported model, {by}, is not the model: {what}; no file was left (--no-run leaves this out)"
                )
            }
            Self::Import { reason } => f.write_str(reason),
            Self::Unreadable => {
                write!(
                    f,
                    "the exported file cannot be read back, a mistake of chainrule's: please report it; no file was left"
                )
            }
            Self::Model(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ExportError {}

impl<E: Into<FitError>> From<E> for ExportError {
    fn from(error: E) -> Self {
        Self::Model(error.into())
    }
}

/// A file of an exported model.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The file itself.
    pub file: Vec<u8>,
    /// The weights beside a script, in a file of the name that [`weights_name`] gives.
    pub weights: Option<Vec<u8>>,
    /// How it was checked.
    pub report: Report,
    name: String,
    program: Program,
    cells: Vec<RawCells>,
    expected: Vec<Answered>,
}

/// The name of the weights' file beside a script for the model `name`.
pub fn weights_name(name: &str) -> String {
    format!("{name}.weights.safetensors")
}

/// How many rows a source file holds for its own check.
const VECTORS: usize = 16;

/// A model in a format, checked on up to `rows` rows of `table`, or on drawn ones. `name` is an identifier.
///
/// # Errors
/// If the model cannot leave, the table does not fit, or the result differs from the model by more than the format's bound.
pub fn export(
    model: &Model,
    format: Format,
    name: &str,
    table: Option<&Table>,
    rows: usize,
) -> Result<Exported, ExportError> {
    let program = Program::new(model)?;
    let drawn;
    let table = match table {
        Some(table) => table,
        None => {
            drawn = verify::drawn(&program, rows)?;
            &drawn
        }
    };
    let rows: Vec<usize> = (0..table.rows().min(rows)).collect();
    let cells = model.encoder.raw(table, &rows)?;
    let expected = verify::expected(model, table, &rows)?;
    let (file, weights, got) = match format {
        Format::Pytorch => {
            let weights = pytorch::weights(&program)?;
            // As the script does: other orders of sums, two roundings for multiply and add.
            let restored = pytorch::restored(&program, &weights).ok_or(ExportError::Unreadable)?;
            let got = rows.iter().map(|&i| restored.run(&cells, i, Arithmetic::Plain)).collect();
            let mut about = about(model, &program, rows.len());
            about.pop();
            (pytorch::print(model, &program, &about, &weights_name(name)).into_bytes(), Some(weights), got)
        }
        Format::Onnx => {
            let emitted = onnx::print(&program, &[("weights", fingerprint(model)), ("target", &program.target)]);
            let got = emitted.run(&program, &cells, rows.len()).ok_or(ExportError::Unreadable)?;
            (emitted.file, None, got)
        }
        Format::C | Format::Rust => {
            let vectors =
                Vectors { cells: first(&cells, VECTORS), answers: expected[..rows.len().min(VECTORS)].to_vec() };
            let about = about(model, &program, rows.len());
            let text = match format {
                Format::C => c::print(&program, name, &about, &vectors),
                _ => rust::print(&program, name, &about, &vectors),
            };
            let got = rows.iter().map(|&i| program.run(&cells, i, Arithmetic::Fused)).collect::<Vec<_>>();
            (text.into_bytes(), None, got)
        }
    };
    let report = Report::new(model, &program, format, Difference::new(&program, &expected, &got, false));
    if !report.holds() {
        return Err(ExportError::Differs { report: Box::new(report) });
    }
    Ok(Exported { file, weights, report, name: name.to_owned(), program, cells, expected })
}

/// The first rows of cells.
fn first(cells: &[RawCells], n: usize) -> Vec<RawCells> {
    let cut = |cells: &RawCells| match cells {
        RawCells::Numbers(numbers) => RawCells::Numbers(numbers.iter().copied().take(n).collect()),
        RawCells::Texts(texts) => RawCells::Texts(texts.iter().take(n).cloned().collect()),
    };
    cells.iter().map(cut).collect()
}

/// The fingerprint of the model's weights.
fn fingerprint(model: &Model) -> &str {
    model.facts.get("fingerprint").and_then(|text| text.as_str()).unwrap_or("")
}

/// The lines at the top of a source file.
fn about(model: &Model, program: &Program, rows: usize) -> Vec<String> {
    vec![
        format!(
            "A model of {}, exported by chainrule {}.",
            program.target.replace(char::is_control, " ").replace("*/", "* /").replace("/*", "/ *"),
            env!("CARGO_PKG_VERSION")
        ),
        format!("Weights {}.", fingerprint(model)),
        format!("Checked on {rows} rows: equal to the model to the last bit."),
    ]
}
