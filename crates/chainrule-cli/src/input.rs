//! Reading what a command is given; `-` is standard input.

use crate::failure::Failure;
use chainrule::Error;
use chainrule::model_file::{FileFault, ModelFile};
use chainrule_table::{Model, Table};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// The table in the CSV file `path`.
///
/// # Errors
/// If it cannot be read, or is no table.
pub fn table(path: &Path) -> Result<Table, Failure> {
    if path == Path::new("-") {
        return Ok(Table::read_csv(io::stdin(), "standard input")?);
    }
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Failure::file(path, &io::ErrorKind::IsADirectory.into()));
    }
    Ok(Table::read_csv(file, &path.display().to_string())?)
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
