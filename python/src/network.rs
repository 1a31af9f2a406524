//! Networks: layers by name and flat arrays of numbers.

use crate::arrays::{Number, by_type, matrix, vector, view};
use crate::callbacks::{Pair, Trouble};
use crate::options::loss;
use crate::processors::processor;
use crate::refused;
use chainrule::activation::Own;
use chainrule::backprop::loss_and_gradient;
use chainrule::loss::Link;
use chainrule::model_file::Tensor;
use chainrule::network::Role;
use chainrule::{Activation, Data, Initialiser, Layer, Loss, Matrix, Mode, ModelFile, Network, Workspace};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

/// Layers: each a name, or the tuple (name, function, derivative) of somebody's own activation.
pub(crate) fn layers(list: &Bound<'_, PyAny>, inputs: usize, trouble: &Trouble) -> PyResult<Vec<Layer>> {
    let mut width = inputs;
    let mut layers = Vec::new();
    for item in list.try_iter()? {
        let item = item?;
        let layer = match item.cast::<PyTuple>() {
            Ok(own) => {
                let (name, function, derivative) = own.extract()?;
                let pair = Pair { name, function, derivative, trouble: trouble.clone(), width };
                Layer::Activation(Activation::Own(Own::new(pair)))
            }
            Err(_) => item.extract::<String>()?.parse().map_err(refused)?,
        };
        if let Layer::Dense { outputs } = layer {
            width = outputs;
        }
        layers.push(layer);
    }
    Ok(layers)
}

/// What makes a network: the tuple (layers, inputs, parameters, running statistics).
#[derive(FromPyObject)]
pub(crate) struct Parts<'py>(Bound<'py, PyAny>, usize, pub(crate) Bound<'py, PyAny>, pub(crate) Bound<'py, PyAny>);

/// The network of these layers and numbers.
pub(crate) fn network<T: Number>(parts: &Parts<'_>, trouble: &Trouble) -> PyResult<Network<T>> {
    let Parts(list, inputs, parameters, running) = parts;
    let mut network = Network::zeros(*inputs, layers(list, *inputs, trouble)?).map_err(refused)?;
    let fill = |what, array: &Bound<'_, PyAny>, to: &mut [T]| {
        let from = vector::<T>(what, array)?;
        let from = from.as_slice()?;
        if from.len() != to.len() {
            let message = format!("{what}: expected {} numbers, got {}", to.len(), from.len());
            return Err(PyValueError::new_err(message));
        }
        to.copy_from_slice(from);
        Ok(())
    };
    fill("parameters", parameters, network.parameters_mut())?;
    fill("running statistics", running, network.running_mut())?;
    Ok(network)
}

/// A matrix as an array.
pub(crate) fn array<T: Number>(py: Python<'_>, matrix: Matrix<T>) -> PyResult<Bound<'_, PyArray2<T>>> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    matrix.as_slice().to_vec().into_pyarray(py).reshape([rows, cols])
}

/// A segment of the parameters: its layer's position, role, rows and columns.
type Segment = (usize, &'static str, usize, usize);

/// The segments of the parameters, and the count of running statistics.
#[pyfunction]
pub(crate) fn layout(list: &Bound<'_, PyAny>, inputs: usize) -> PyResult<(Vec<Segment>, usize)> {
    let network = Network::<f32>::zeros(inputs, layers(list, inputs, &Trouble::default())?).map_err(refused)?;
    let segments = network.layout().segments().iter().map(|segment| {
        let role = match segment.role {
            Role::Weights => "weights",
            Role::Biases => "biases",
            Role::Scale => "scale",
            Role::Shift => "shift",
        };
        (segment.layer, role, segment.shape[0], segment.shape[1])
    });
    Ok((segments.collect(), network.running().len()))
}

type Doubles<'py> = Bound<'py, PyArray1<f64>>;

/// The parameters and running statistics that a network starts with.
#[pyfunction]
pub(crate) fn initial<'py>(
    py: Python<'py>,
    list: &Bound<'py, PyAny>,
    inputs: usize,
    init: Option<&str>,
    seed: u64,
) -> PyResult<(Doubles<'py>, Doubles<'py>)> {
    let init: Option<Initialiser> = init.map(str::parse).transpose().map_err(refused)?;
    let layers = layers(list, inputs, &Trouble::default())?;
    let network = Network::<f64>::new(inputs, layers, init, seed).map_err(refused)?;
    Ok((PyArray1::from_slice(py, network.parameters()), PyArray1::from_slice(py, network.running())))
}

/// Below so many multiply-adds one thread is as fast as several.
const WORTH_A_THREAD: usize = 1 << 22;

/// Predictions for the rows of `x`: the last layer's outputs, through the loss's link if one is named.
#[pyfunction]
#[pyo3(signature = (net, x, loss_name, threads))]
pub(crate) fn predict<'py>(
    py: Python<'py>,
    net: Parts<'py>,
    x: &Bound<'py, PyAny>,
    loss_name: Option<&str>,
    threads: usize,
) -> PyResult<Bound<'py, PyAny>> {
    by_type!(&net.2, T => {
        let trouble = Trouble::default();
        let network = network::<T>(&net, &trouble)?;
        let loss: Option<Loss> = loss_name.map(str::parse).transpose().map_err(refused)?;
        let x = matrix::<T>("X", x)?;
        let x = view("X", &x)?;
        let result = py.detach(|| {
            let small = x.rows() * network.parameters().len() < WORTH_A_THREAD;
            let processor = processor(if small { 1 } else { threads });
            match &loss {
                Some(loss) => network.predict(x, loss, &processor),
                None => network.forward(x, &processor),
            }
        });
        trouble.check()?;
        Ok(array(py, result.map_err(refused)?)?.into_any())
    })
}

/// Forward and backward: the loss, every layer's output and δ, and the gradient, for all rows.
#[pyfunction]
#[pyo3(signature = (net, x, y, weights, loss_of, step=None))]
pub(crate) fn passes<'py>(
    py: Python<'py>,
    net: Parts<'py>,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    weights: Option<&Bound<'py, PyAny>>,
    loss_of: &Bound<'py, PyAny>,
    step: Option<(u64, u64)>,
) -> PyResult<Bound<'py, PyDict>> {
    by_type!(&net.2, T => {
        let trouble = Trouble::default();
        let network = network::<T>(&net, &trouble)?;
        let loss = loss(loss_of, &trouble)?;
        let (x, y) = (matrix::<T>("X", x)?, matrix::<T>("Y", y)?);
        let weights = weights.map(|weights| vector::<T>("sample_weight", weights)).transpose()?;
        let weights = weights.as_ref().map(|weights| weights.as_slice()).transpose()?;
        let data = Data { x: view("X", &x)?, y: view("Y", &y)?, weights };
        data.check(&network, &loss).map_err(refused)?;
        let mode = step.map_or(Mode::Evaluation, |(seed, step)| Mode::Training { seed, step });
        let mut gradient = vec![T::default(); network.parameters().len()];
        let mut workspace = Workspace::new(&network, data.x.rows(), 1);
        let value = py.detach(|| {
            let processor = processor(1);
            loss_and_gradient(&network, &loss, &data, None, mode, &mut workspace, &processor, &mut gradient)
        });
        trouble.check()?;
        let rows = |of: Vec<&[T]>| {
            let cols = of.first().map_or(0, |row| row.len());
            PyArray1::from_vec(py, of.concat()).reshape([of.len(), cols])
        };
        let (outputs, deltas) = (PyList::empty(py), PyList::empty(py));
        for k in 0..=network.layers().len() {
            outputs.append(rows(workspace.output(k).collect())?)?;
            deltas.append(rows(workspace.delta(k).collect())?)?;
        }
        let result = PyDict::new(py);
        result.set_item("loss", value)?;
        result.set_item("outputs", outputs)?;
        result.set_item("deltas", deltas)?;
        result.set_item("gradient", gradient.into_pyarray(py))?;
        Ok(result)
    })
}

/// The SHA-256 that names the weights: that of a model file which holds them.
#[pyfunction]
pub(crate) fn fingerprint(net: Parts<'_>) -> PyResult<String> {
    by_type!(&net.2, T => {
        let network = network::<T>(&net, &Trouble::default())?;
        let tensors = chainrule_table::model::tensors(&network).map_err(refused)?;
        Ok(chainrule::model_file::fingerprint(&tensors))
    })
}

/// Named arrays and a text as the bytes of a model file: versioned, with a checksum.
#[pyfunction]
pub(crate) fn pack<'py>(py: Python<'py>, arrays: &Bound<'py, PyDict>, text: &str) -> PyResult<Bound<'py, PyBytes>> {
    let mut file = ModelFile::default();
    for (name, array) in arrays.iter() {
        let tensor = by_type!(&array, T => {
            let numbers = vector::<T>("array", &array)?;
            let numbers = numbers.as_slice()?;
            Tensor::new(&[numbers.len()], numbers).map_err(refused)?
        });
        file.tensors.insert(name.extract()?, tensor);
    }
    file.metadata.insert("python".into(), text.into());
    Ok(PyBytes::new(py, &file.write_bytes().map_err(refused)?))
}

/// What [`pack`] packed.
#[pyfunction]
pub(crate) fn unpack<'py>(py: Python<'py>, bytes: &[u8]) -> PyResult<(Bound<'py, PyDict>, String)> {
    let file = ModelFile::read_bytes(bytes).map_err(refused)?;
    let arrays = PyDict::new(py);
    for (name, tensor) in &file.tensors {
        match tensor.values::<f64>() {
            Ok(numbers) => arrays.set_item(name, numbers.into_pyarray(py))?,
            Err(_) => arrays.set_item(name, tensor.values::<f32>().map_err(refused)?.into_pyarray(py))?,
        }
    }
    let text = file.metadata.get("python").and_then(|text| text.as_str());
    Ok((arrays, text.ok_or_else(|| PyTypeError::new_err("not packed by this package"))?.to_owned()))
}

/// The output activation that a loss fuses, and the target columns of a network with so many outputs.
#[pyfunction]
pub(crate) fn link(loss_name: &str, outputs: usize) -> PyResult<(&'static str, usize)> {
    let loss: Loss = loss_name.parse().map_err(refused)?;
    let link = match loss.link() {
        Link::Identity => "identity",
        Link::Logistic => "logistic",
        Link::Softmax => "softmax",
        Link::Exponential => "exp",
    };
    Ok((link, loss.target_columns(outputs).map_err(refused)?))
}
