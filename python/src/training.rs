//! Training some epochs, from where a dictionary says the run stands.

use crate::arrays::{Number, by_type, matrix, vector, view};
use crate::callbacks::{Signals, Trouble};
use crate::network::{Parts, network};
use crate::options::options;
use crate::processors::processor;
use crate::refused;
use chainrule::train::{Ended, Epoch, Event, Progress, resume};
use chainrule::{Data, Error};
use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyFloatingPointError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use std::ops::ControlFlow;

/// Trains `epochs` more epochs; the network's numbers and `progress` are changed in place.
///
/// Returns what the last epoch was like, with "ended" and the loss of the `validation` rows afterwards. A loss that is not finite is a `FloatingPointError`; an exception
/// of a signal's handler (Ctrl-C) is returned as "raised" after the parameters have been written.
#[pyfunction]
#[pyo3(signature = (net, data, validation, given, progress, epochs, threads, watch=None))]
pub(crate) fn train<'py>(
    py: Python<'py>,
    net: Parts<'py>,
    data: Arrays<'py>,
    validation: Option<Arrays<'py>>,
    given: &Bound<'py, PyDict>,
    progress: &Bound<'py, PyDict>,
    epochs: usize,
    threads: usize,
    watch: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    by_type!(&net.2, T => {
        train_in::<T>(
            py, net, data, validation, given, progress, epochs, threads, watch,
        )
    })
}

/// X, y and sample weights, if there are any.
type Arrays<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Option<Bound<'py, PyAny>>);

/// The arrays of some rows, kept while they are read.
struct Rows<'py, T: Number> {
    x: numpy::PyReadonlyArray2<'py, T>,
    y: numpy::PyReadonlyArray2<'py, T>,
    weights: Option<numpy::PyReadonlyArray1<'py, T>>,
}

impl<'py, T: Number> Rows<'py, T> {
    fn new((x, y, weights): Arrays<'py>) -> PyResult<Self> {
        let weights = weights.map(|weights| vector("sample_weight", &weights)).transpose()?;
        Ok(Self { x: matrix("X", &x)?, y: matrix("y", &y)?, weights })
    }

    fn data(&self) -> PyResult<Data<'_, T>> {
        let weights = self.weights.as_ref().map(|weights| weights.as_slice()).transpose()?;
        Ok(Data { x: view("X", &self.x)?, y: view("y", &self.y)?, weights })
    }
}

fn train_in<'py, T: Number>(
    py: Python<'py>,
    net: Parts<'py>,
    data: Arrays<'py>,
    validation: Option<Arrays<'py>>,
    given: &Bound<'py, PyDict>,
    kept: &Bound<'py, PyDict>,
    epochs: usize,
    threads: usize,
    watch: Option<Py<PyAny>>,
) -> PyResult<Bound<'py, PyDict>> {
    let trouble = Trouble::default();
    let mut network = network::<T>(&net, &trouble)?;
    let options = options(given, &trouble)?;
    let mut progress = read_progress::<T>(kept)?;
    let rows = Rows::new(data)?;
    let validation = validation.map(Rows::new).transpose()?;
    let data = rows.data()?;
    let choosing = validation.as_ref().map(Rows::data).transpose()?;

    let facts = PyDict::new(py);
    let last = facts.clone().unbind();
    let mut signals = Signals::new();
    let trained = py.detach(|| {
        let processor = processor(threads);
        let mut each = |event: Event<'_>| {
            if let Event::Epoch(epoch) = event {
                let stop = Python::attach(|py| {
                    tell(last.bind(py), epoch)?;
                    watch.as_ref().map_or(Ok(false), |watch| watch.bind(py).call1((last.bind(py),))?.is_truthy())
                });
                match stop {
                    Ok(true) => return ControlFlow::Break(()),
                    Ok(false) => {}
                    Err(error) => {
                        trouble.keep(error);
                        return ControlFlow::Break(());
                    }
                }
            }
            if signals.look() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let report = resume(&mut network, &data, None, &options, &mut progress, epochs, &processor, &mut each)?;
        let loss = choosing.map(|rows| network.loss(&options.loss, &rows, &processor)).transpose()?;
        Ok::<_, Error>((report, loss))
    });
    // In place: whoever holds the arrays sees the new numbers.
    let (parameters, running) = (&net.2, &net.3);
    parameters.cast::<PyArray1<T>>()?.try_readwrite()?.as_slice_mut()?.copy_from_slice(network.parameters());
    running.cast::<PyArray1<T>>()?.try_readwrite()?.as_slice_mut()?.copy_from_slice(network.running());
    write_progress(py, kept, progress)?;
    trouble.check()?;
    let (report, validation_loss) = trained.map_err(|error| match error {
        Error::NotFinite { .. } => PyFloatingPointError::new_err(error.to_string()),
        error => refused(error),
    })?;
    let ended = match report.ended {
        Ended::Completed => "completed",
        Ended::Patience => "patience",
        Ended::Stopped => "stopped",
        Ended::Converged => "converged",
        Ended::Spent => "spent",
    };
    facts.set_item("ended", ended)?;
    facts.set_item("validation_loss", validation_loss)?;
    facts.set_item("raised", signals.raised)?;
    Ok(facts)
}

fn tell(facts: &Bound<'_, PyDict>, epoch: &Epoch<'_>) -> PyResult<()> {
    facts.set_item("epoch", epoch.epoch)?;
    facts.set_item("steps", epoch.steps)?;
    facts.set_item("loss", epoch.loss)?;
    facts.set_item("penalty", epoch.penalty)?;
    facts.set_item("learning_rate", epoch.learning_rate)?;
    facts.set_item("gradient_norms", epoch.gradient_norms)?;
    facts.set_item("dead", epoch.dead)
}

fn read_progress<T: Number>(kept: &Bound<'_, PyDict>) -> PyResult<Progress<T>> {
    if kept.is_empty() {
        return Ok(Progress::new());
    }
    let item = |name: &str| kept.as_any().get_item(name);
    let memory = |name| Ok::<_, PyErr>(vector::<T>("the optimizer's memory", &item(name)?)?.as_slice()?.to_vec());
    Ok(Progress {
        epochs: item("epochs")?.extract()?,
        steps: item("steps")?.extract()?,
        memories: [memory("first")?, memory("second")?],
        plateau: item("plateau")?.extract()?,
        powers: item("powers")?.extract()?,
    })
}

fn write_progress<T: Number>(py: Python<'_>, kept: &Bound<'_, PyDict>, progress: Progress<T>) -> PyResult<()> {
    let [first, second] = progress.memories;
    kept.set_item("epochs", progress.epochs)?;
    kept.set_item("steps", progress.steps)?;
    kept.set_item("plateau", progress.plateau)?;
    kept.set_item("powers", (progress.powers[0], progress.powers[1]))?;
    kept.set_item("first", PyArray1::from_vec(py, first))?;
    kept.set_item("second", PyArray1::from_vec(py, second))
}
