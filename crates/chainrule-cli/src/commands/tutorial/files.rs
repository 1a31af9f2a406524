//! What `--write` leaves: the data, the hand-worked network, and the commands.

use super::example::{data, figure_8};
use crate::failure::Failure;
use crate::output::Output;
use chainrule::model_file::Tensor;
use chainrule::network::Role;
use chainrule::{Layer, ModelFile};
use serde_json::{Value, json};
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// Writes the three files: all of them, or none that was not there before.
pub(super) fn write(folder: &Path, force: bool) -> Result<(), Failure> {
    let files = [
        ("tutorial.csv", table().into_bytes()),
        ("figure8.safetensors", model()?.write_bytes()?),
        ("commands.txt", COMMANDS.as_bytes().to_vec()),
    ];
    let made = !folder.exists();
    fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    let mut new = Vec::new();
    let written = (|| {
        let mut outputs = Vec::new();
        for (name, content) in &files {
            let path = folder.join(name);
            outputs.push((Output::explicit(&path, force)?, fs::symlink_metadata(&path).is_err(), path, content));
        }
        for (output, is_new, path, content) in &outputs {
            output.write(|out| out.write_all(content).map_err(Failure::Write))?;
            if *is_new {
                new.push(path.clone());
            }
        }
        Ok(())
    })();
    if written.is_err() {
        // What cannot be removed now could not be explained in one line either.
        new.iter().for_each(|path| drop(fs::remove_file(path)));
        if made {
            let _ = fs::remove_dir(folder);
        }
        return written;
    }
    for (name, _) in &files {
        // Standard error may be closed; the files are written all the same.
        let _ = writeln!(io::stderr(), "wrote {}", crate::failure::printable(&folder.join(name).display().to_string()));
    }
    Ok(())
}

/// The data as CSV, with the names x1, x2 and y.
fn table() -> String {
    let (x, y) = data();
    let rows = (0..x.rows()).map(|i| format!("{},{},{}\n", x[(i, 0)], x[(i, 1)], y[(i, 0)]));
    format!("x1,x2,y\n{}", rows.collect::<String>())
}

/// Figure 8's network as a model that predicts y from x1 and x2.
pub(super) fn model() -> Result<ModelFile, chainrule::Error> {
    let network = figure_8();
    let mut file = ModelFile::default();
    for segment in network.layout().segments() {
        let numbers = &network.parameters()[segment.range.clone()];
        let [rows, cols] = segment.shape;
        let tensor = match segment.role {
            // [n_in, n_out] here, [n_out, n_in] in the file.
            Role::Weights => {
                let transposed: Vec<f64> =
                    (0..cols).flat_map(|j| (0..rows).map(move |i| numbers[i * cols + j])).collect();
                Tensor::new(&[cols, rows], &transposed)?
            }
            _ => Tensor::new(&[cols], numbers)?,
        };
        file.tensors.insert(segment.name.clone(), tensor);
    }
    let layers: Vec<String> = network.layers().iter().map(Layer::to_string).collect();
    let Value::Object(facts) = facts(network.inputs(), &layers) else { unreachable!("written as an object") };
    file.metadata = facts;
    Ok(file)
}

/// What the file tells beside the tensors: numbers come and go as they are.
fn facts(inputs: usize, layers: &[String]) -> Value {
    let (x, _) = data();
    let as_it_is = json!({"mean": 0.0, "scale": 1.0});
    let median = |j: usize| {
        let mut column: Vec<f64> = (0..x.rows()).map(|i| x[(i, j)]).collect();
        column.sort_by(f64::total_cmp);
        (column[4] + column[5]) / 2.0
    };
    let column = |j: usize| {
        let numeric = json!({"affine": as_it_is, "median": median(j), "missing": false});
        json!({"name": format!("x{}", j + 1), "encoding": {"numeric": numeric}})
    };
    json!({
        "architecture": {"inputs": inputs, "layers": layers, "precision": "f64"},
        "encoder": {"inputs": [column(0), column(1)], "others": ["y"]},
        "loss": "squared_error",
        "target": {"affine": as_it_is, "column": "y", "task": "regression"},
    })
}

/// Every command of the tutorial, to be run in the folder.
pub(super) const COMMANDS: &str = "\
# The tutorial's commands, to be run in this folder.

# The four sections, and the answers to the exercises
chainrule tutorial forward
chainrule tutorial matrices
chainrule tutorial backpropagation
chainrule tutorial backpropagation --answers
chainrule tutorial training

# The network of Figure 8: what its file holds, and its ten predictions (X⁽³⁾ of section 2)
chainrule inspect figure8.safetensors
chainrule predict figure8.safetensors tutorial.csv
chainrule evaluate figure8.safetensors tutorial.csv

# Section 4: the run that learns only the mean, and the runs that learn
chainrule fit tutorial.csv --target y --preset plain --hidden 3,2 --learning-rate 0.001 --seed 1 --epochs 1000
chainrule fit tutorial.csv --target y --preset plain --hidden 16,8 --learning-rate 0.002 --seed 3 --epochs 1001 \\
    --scale standard --init normal:0.001
chainrule fit tutorial.csv --target y --preset plain --hidden 16,8 --learning-rate 0.002 --seed 3 --epochs 1001 \\
    --scale standard --init he_normal
";
