//! The native half of the Python package: it converts, calls and reports; the mathematics is the library's.
//!
//! Its functions keep nothing between calls: numbers come and go as NumPy arrays, which the Python half owns.

// What Python sees is documented in `_native.pyi`.
#![allow(missing_docs, clippy::needless_pass_by_value)]

mod arrays;
mod callbacks;
mod explain;
mod network;
mod options;
mod processors;
mod table;
mod training;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use std::ffi::OsString;

/// An error of the library as a `ValueError`.
fn refused(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Runs the `chainrule` command with these arguments (the first is the program's name); returns the exit status.
#[pyfunction]
fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| chainrule_cli::run(arguments))
}

/// How many threads this process may use: what the affinity mask and the container's quota leave.
#[pyfunction]
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[pymodule]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add("__version__", env!("CARGO_PKG_VERSION"))?;
    m.add_class::<table::Table>()?;
    m.add_class::<table::Model>()?;
    macro_rules! functions {
        ($($function:path),* $(,)?) => { $( m.add_function(wrap_pyfunction!($function, m)?)?; )* };
    }
    functions![
        command,
        threads,
        network::layout,
        network::initial,
        network::predict,
        network::passes,
        network::fingerprint,
        network::pack,
        network::unpack,
        network::link,
        training::train,
        explain::diagnose,
        explain::ledger,
        explain::diagram,
    ];
    m.add("activations", PyTuple::new(m.py(), chainrule::Activation::all().map(|a| a.to_string()))?)?;
    m.add("losses", PyTuple::new(m.py(), chainrule::Loss::all().map(|l| l.to_string()))?)
}
