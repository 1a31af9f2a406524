//! The library's explanations, for a network of double precision.

use crate::arrays::{matrix, vector, view};
use crate::callbacks::Trouble;
use crate::network::{Parts, network};
use crate::options::loss;
use crate::refused;
use chainrule::explain::{Candidate, Diagram, Figure, Ledger, Parameter, Theme, Trace, diagnose_gradient};
use chainrule::{Data, Processor};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// What is wrong with somebody's gradient: (text, findings, comparisons).
///
/// `claimed` holds segments by name (`0.weight`) as flat arrays, `deltas` δ⁽ˡ⁾ by layer.
#[pyfunction]
pub(crate) fn diagnose<'py>(
    py: Python<'py>,
    net: Parts<'py>,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    loss_of: &Bound<'py, PyAny>,
    claimed: &Bound<'py, PyDict>,
    deltas: &Bound<'py, PyDict>,
) -> PyResult<(String, Bound<'py, PyList>, Bound<'py, PyList>)> {
    let trouble = Trouble::default();
    let network = network::<f64>(&net, &trouble)?;
    let loss = loss(loss_of, &trouble)?;
    let (x, y) = (matrix::<f64>("X", x)?, matrix::<f64>("Y", y)?);
    let data = Data::new(view("X", &x)?, view("Y", &y)?);
    data.check(&network, &loss).map_err(refused)?;
    let mut candidate = Candidate::default();
    for (name, numbers) in claimed.iter() {
        let (name, numbers) = (name.extract::<String>()?, vector::<f64>("gradient", &numbers)?);
        candidate = candidate.segment(&network, &name, numbers.as_slice()?.to_vec()).map_err(refused)?;
    }
    for (layer, delta) in deltas.iter() {
        let delta = matrix::<f64>("delta", &delta)?;
        let delta = view("delta", &delta)?.to_owned();
        candidate = candidate.delta(&network, layer.extract()?, delta).map_err(refused)?;
    }
    let diagnosis = diagnose_gradient(&network, &loss, &data, &candidate, &Processor::new(1)).map_err(refused)?;
    trouble.check()?;
    let (findings, compared) = (PyList::empty(py), PyList::empty(py));
    for finding in &diagnosis.findings {
        let item = PyDict::new(py);
        item.set_item("layer", finding.layer)?;
        item.set_item("term", &finding.term)?;
        item.set_item("fault", format!("{:?}", finding.fault))?;
        item.set_item("text", &finding.text)?;
        item.set_item("error", finding.error)?;
        item.set_item("error_with", finding.error_with)?;
        findings.append(item)?;
    }
    for part in &diagnosis.compared {
        let item = PyDict::new(py);
        item.set_item("name", &part.name)?;
        item.set_item("layer", part.layer)?;
        item.set_item("error", part.error)?;
        item.set_item("worst", part.worst)?;
        item.set_item("expected", part.expected)?;
        item.set_item("got", part.got)?;
        compared.append(item)?;
    }
    Ok((diagnosis.to_string(), findings, compared))
}

/// ∂J/∂θ of one parameter (`1:1,2` for w⁽¹⁾₁₂, or `0.weight[1,2]`), unfolded.
#[pyfunction]
pub(crate) fn ledger<'py>(
    py: Python<'py>,
    net: Parts<'py>,
    x: &Bound<'py, PyAny>,
    y: &Bound<'py, PyAny>,
    loss_of: &Bound<'py, PyAny>,
    weight: (usize, usize, usize),
    most: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let trouble = Trouble::default();
    let network = network::<f64>(&net, &trouble)?;
    let loss = loss(loss_of, &trouble)?;
    let (x, y) = (matrix::<f64>("X", x)?, matrix::<f64>("Y", y)?);
    let data = Data::new(view("X", &x)?, view("Y", &y)?);
    data.check(&network, &loss).map_err(refused)?;
    let (layer, from, to) = weight;
    let parameter = match from {
        0 => Parameter::bias(&network, layer, to, None),
        from => Parameter::weight(&network, layer, from, to, None),
    };
    let ledger = Ledger::new(&network, &loss, &data, parameter.map_err(refused)?, most, &Processor::new(1));
    trouble.check()?;
    let ledger = ledger.map_err(refused)?;
    let paths = PyList::empty(py);
    for path in &ledger.paths {
        let factors: Vec<(&str, &str, f64)> = path
            .factors
            .iter()
            .map(|factor| (factor.derivative.plain.as_str(), factor.term.plain.as_str(), factor.value))
            .collect();
        paths.append((factors, path.value))?;
    }
    let result = PyDict::new(py);
    result.set_item("symbol", &ledger.symbol.plain)?;
    result.set_item("name", &ledger.name)?;
    result.set_item("value", ledger.value)?;
    result.set_item("loss", ledger.loss)?;
    result.set_item("paths", paths)?;
    result.set_item("path_count", ledger.path_count)?;
    result.set_item("by_paths", if ledger.rows == 1 { Some(ledger.by_paths()) } else { None })?;
    result.set_item("by_delta", ledger.by_delta)?;
    result.set_item("backpropagation", ledger.backpropagation)?;
    result.set_item("difference", ledger.difference)?;
    Ok(result)
}

/// The network drawn as SVG: receptors and weights, or with a row of `x` its numbers.
#[pyfunction]
#[pyo3(signature = (net, loss_of, columns, x=None, row=0))]
pub(crate) fn diagram(
    net: Parts<'_>,
    loss_of: &Bound<'_, PyAny>,
    columns: Vec<String>,
    x: Option<&Bound<'_, PyAny>>,
    row: usize,
) -> PyResult<String> {
    let trouble = Trouble::default();
    let network = network::<f64>(&net, &trouble)?;
    let loss = loss(loss_of, &trouble)?;
    let x = x.map(|x| matrix::<f64>("X", x)).transpose()?;
    let trace = match &x {
        None => None,
        Some(x) => {
            let x = view("X", x)?;
            if row >= x.rows() {
                return Err(refused(format!("row: expected 0 to {}, got {row}", x.rows().saturating_sub(1))));
            }
            Some(Trace::forward(&network, &loss, x, &Processor::new(1)).map_err(refused)?)
        }
    };
    let diagram = Diagram {
        network: &network,
        loss: &loss,
        columns: &columns,
        trace: trace.as_ref().map(|trace| (trace, row)),
        member: 0,
        figure: if trace.is_some() { Figure::Values } else { Figure::Receptors },
        theme: Theme::Light,
        most: 10,
    };
    let svg = diagram.svg().map_err(refused)?;
    trouble.check()?;
    Ok(svg)
}
