//! Python's own activations and losses inside the library, and Ctrl-C.

use chainrule::activation::OwnActivation;
use chainrule::loss::OwnLoss;
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArrayDyn};
use pyo3::prelude::*;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The first error of somebody's function: the numbers become NaN, and the call ends with the error.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<PyErr>>>);

impl Trouble {
    pub(crate) fn keep(&self, error: PyErr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    /// The error, if there was one.
    pub(crate) fn check(&self) -> PyResult<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }
}

/// A function and its derivative, as in the tutorial's dictionaries.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) function: Py<PyAny>,
    pub(crate) derivative: Py<PyAny>,
    pub(crate) trouble: Trouble,
    /// Columns of the matrices that the function sees.
    pub(crate) width: usize,
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Pair {
    /// The numbers of `function(matrices…)`, as many as `out` has.
    fn call(&self, function: &Py<PyAny>, matrices: &[&[f64]], out: &mut [f64]) {
        Python::attach(|py| {
            let mut call = || {
                let arrays = matrices.iter().map(|z| {
                    let rows = z.len().checked_div(self.width).unwrap_or(1);
                    PyArray1::from_slice(py, z).reshape([rows, z.len() / rows.max(1)])
                });
                let arrays = arrays.collect::<PyResult<Vec<_>>>()?;
                let result = match &arrays[..] {
                    [z] => function.bind(py).call1((z,))?,
                    [z, y] => function.bind(py).call1((z, y))?,
                    _ => unreachable!("one matrix or two"),
                };
                let numpy = py.import("numpy")?;
                let result = numpy.call_method1("asarray", (result, "float64"))?;
                let result = numpy.call_method1("ascontiguousarray", (result,))?;
                let result: PyReadonlyArrayDyn<'_, f64> = result.extract()?;
                let numbers = result.as_slice()?;
                if numbers.len() != out.len() {
                    let message = format!("{}: expected {} numbers, got {}", self.name, out.len(), numbers.len());
                    return Err(pyo3::exceptions::PyValueError::new_err(message));
                }
                out.copy_from_slice(numbers);
                Ok(())
            };
            if let Err(error) = call() {
                self.trouble.keep(error);
                out.fill(f64::NAN);
            }
        });
    }
}

impl OwnActivation for Pair {
    fn name(&self) -> &str {
        &self.name
    }

    fn activate(&self, z: &[f64], x: &mut [f64]) {
        self.call(&self.function, &[z], x);
    }

    fn derivative(&self, z: &[f64], derivative: &mut [f64]) {
        self.call(&self.derivative, &[z], derivative);
    }
}

/// A loss is called a row at a time: a mean over one row is the row's.
impl OwnLoss for Pair {
    fn name(&self) -> &str {
        &self.name
    }

    fn row(&self, z: &[f64], y: &[f64], derivative: &mut [f64]) -> f64 {
        let mut loss = [0.0];
        self.call(&self.function, &[z, y], &mut loss);
        self.call(&self.derivative, &[z, y], derivative);
        loss[0]
    }
}

/// Looks for a signal now and then.
pub(crate) struct Signals {
    looked: Instant,
    /// The exception that a signal's handler raised; Ctrl-C's is `KeyboardInterrupt`.
    pub(crate) raised: Option<PyErr>,
}

impl Signals {
    pub(crate) fn new() -> Self {
        Self { looked: Instant::now(), raised: None }
    }

    /// Whether a handler has raised something.
    pub(crate) fn look(&mut self) -> bool {
        if self.raised.is_none() && self.looked.elapsed() > Duration::from_millis(25) {
            self.looked = Instant::now();
            self.raised = Python::attach(|py| py.check_signals()).err();
        }
        self.raised.is_some()
    }
}
