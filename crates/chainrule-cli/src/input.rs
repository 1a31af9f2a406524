//! Reading what a command is given; `-` is standard input.

use crate::failure::Failure;
use chainrule::Error;
use chainrule::model_file::{FileFault, ModelFile};
use chainrule_table::{Model, Source, Table};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The table in the file `path`: CSV, also packed by gzip or zstd, or Parquet.
///
/// # Errors
/// If it cannot be read, or is no table.
pub fn table(path: &Path) -> Result<Table, Failure> {
    Ok(source(path)?.read(&name(path), threads())?)
}

/// The source of a table, opened.
///
/// # Errors
/// If it cannot be opened.
pub fn source(path: &Path) -> Result<Source, Failure> {
    let source = if path == Path::new("-") { Source::stream(io::stdin()) } else { Source::open(path) };
    source.map_err(|error| Failure::file(Path::new(&name(path)), &error))
}

/// What messages call a file.
pub fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

/// Threads for reading; what is read does not depend on them.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The model in the file `path`, ready to predict.
///
/// # Errors
/// If it cannot be read, or is not a model of ours, whole and unaltered.
pub fn predictor(path: &Path) -> Result<Model, Failure> {
    let file = model(path)?;
    Model::from_file(&file).map_err(|error| Failure::Fault(format!("{}: {error}", path.display())))
}

/// The contents of the model file `path`.
///
/// # Errors
/// If it cannot be read, or is not a model of ours, whole and unaltered.
pub fn model(path: &Path) -> Result<ModelFile, Failure> {
    let (name, mut source): (&Path, Box<dyn Read>) = match path.to_str() {
        Some("-") => (Path::new("standard input"), Box::new(io::stdin())),
        _ => (path, Box::new(File::open(path).map_err(|error| Failure::file(path, &error))?)),
    };
    let unreadable = |error| Failure::file(name, &error);
    let mut bytes = Vec::new();
    // Nine bytes tell a model from a table of ten gigabytes, or from a device that never ends.
    source.by_ref().take(9).read_to_end(&mut bytes).map_err(unreadable)?;
    if let Err(Error::ModelFile(FileFault::CutShort { .. })) = ModelFile::read_bytes(&bytes) {
        source.read_to_end(&mut bytes).map_err(unreadable)?;
    }
    ModelFile::read_bytes(&bytes).map_err(|error| Failure::Fault(format!("{}: {error}", name.display())))
}
