//! `export`: a model for another program, with proof that it is the same.

use crate::failure::Failure;
use crate::input;
use crate::output::Output;
use crate::trial;
use chainrule_table::export::{Exported, Format, export, weights_name};
use serde_json::json;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The options of `export`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Hand a model to another program: PyTorch, ONNX, C or Rust",
    after_help = "Raw columns go in and predictions come out: what is done to the columns is part of the file.\n\
        The result is run on rows of the table (or on drawn ones) and compared with the model: as it is read, and\n\
        by cc, rustc, or a python3 with torch or onnxruntime, where one is on the PATH. The largest difference\n\
        stands beside it in NAME.check.json. Beyond the format's bound no file is left.\n\n\
        Examples:\n  \
        chainrule export houses.safetensors --to onnx houses.csv\n  \
        chainrule export houses.safetensors --to c -o houses.c        one file, no allocation, no library\n  \
        chainrule export houses.safetensors --to rust -o - > houses.rs\n  \
        chainrule export houses.safetensors --to c --tool clang       compiled and run by clang\n  \
        chainrule export houses.safetensors --to pytorch"
)]
pub struct Options {
    /// The model file
    model: PathBuf,
    /// A table whose rows check the result; without one they are drawn
    data: Option<PathBuf>,
    /// The format: pytorch, onnx, c or rust
    #[arg(long, value_name = "FORMAT")]
    to: String,
    /// The file to write; `-` is standard output [default: the model's name with the format's ending]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// At most so many rows check the result
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rows: u32,
    /// The compiler or the Python that runs the result [default: cc, rustc or python3, if it is there]
    #[arg(long, value_name = "PROGRAM", conflicts_with = "no_run")]
    tool: Option<PathBuf>,
    /// Start no compiler and no Python
    #[arg(long)]
    no_run: bool,
    /// Seconds that running it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400), conflicts_with = "no_run")]
    time_limit: u64,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// Exports, checks, writes.
///
/// # Errors
/// If the model cannot leave, the table does not fit it, or the result is not the model; then no file is left.
pub fn run(options: &Options) -> Result<(), Failure> {
    let format: Format = options.to.parse()?;
    let file = options.output.clone().unwrap_or_else(|| default_name(&options.model, format));
    let stdout = file == Path::new("-");
    if stdout && format == Format::Pytorch {
        let reason = "a script for PyTorch has its weights beside it, so it needs a file: give one with -o";
        return Err(Failure::Fault(reason.into()));
    }
    let (output, report) = match (&options.output, stdout) {
        (_, true) => (Output::stdout(), None),
        (Some(file), _) => {
            (Output::explicit(file, options.force)?, Some(Output::explicit(&beside(file), options.force)?))
        }
        (None, _) => (Output::default_name(&file), None),
    };
    let name = identifier(if stdout { &options.model } else { &file });
    // A script names its weights' file, so that one takes no number.
    let weights_file = file.with_file_name(weights_name(&name));
    let weights_output = match format {
        Format::Pytorch => Some(Output::explicit(&weights_file, options.force)?),
        _ => None,
    };
    let model = input::predictor(&options.model)?;
    let table = options.data.as_deref().map(input::table).transpose()?;
    let exported = export(&model, format, &name, table.as_ref(), options.rows as usize);
    let mut exported = exported.map_err(|error| Failure::Fault(format!("{}: {error}", options.model.display())))?;
    if options.no_run {
        exported.left_out("--no-run".into());
    } else {
        trial::run(&mut exported, options.tool.as_deref(), Duration::from_secs(options.time_limit))?;
    }
    let Exported { file: bytes, weights, report: checked, .. } = exported;
    let mut left = Left(Vec::new());
    if let (Some(output), Some(weights)) = (weights_output, weights) {
        left.write(&output, &weights)?;
    }
    let written = left.write(&output, &bytes)?;
    if let Some(written) = &written {
        let report = report.unwrap_or_else(|| Output::default_name(&beside(written)));
        left.write(&report, format!("{:#}\n", checked.to_json()).as_bytes())?;
    }
    left.0.clear();
    let shown = written.as_deref().unwrap_or(Path::new("standard output")).display().to_string();
    if options.json && !stdout {
        let line = format!("{}\n", json!({"file": shown, "bytes": bytes.len(), "check": checked.to_json()}));
        Output::stdout().write(|out| out.write_all(line.as_bytes()).map_err(Failure::Write))?;
    } else {
        let _ = writeln!(
            io::stderr(),
            "file      {shown}  ({} bytes)\ncheck     {checked}\nrun       {}",
            bytes.len(),
            checked.run()
        );
    }
    Ok(())
}

/// Files that have been written; if not all are, none is left.
struct Left(Vec<PathBuf>);

impl Left {
    fn write(&mut self, output: &Output, bytes: &[u8]) -> Result<Option<PathBuf>, Failure> {
        let written = output.write(|out| out.write_all(bytes).map_err(Failure::Write))?;
        self.0.extend(written.clone());
        Ok(written)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        for file in &self.0 {
            let _ = std::fs::remove_file(file);
        }
    }
}

/// `houses.safetensors` → `houses.onnx`.
fn default_name(model: &Path, format: Format) -> PathBuf {
    let stem = model.file_stem().filter(|_| model != Path::new("-"));
    PathBuf::from(stem.unwrap_or("model".as_ref())).with_extension(format.ending())
}

/// `houses.onnx` → `houses.onnx.check.json`.
fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".check.json");
    name.into()
}

/// A file's name as an identifier.
fn identifier(file: &Path) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let mut name: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        name.insert_str(0, "model_");
    }
    name
}
