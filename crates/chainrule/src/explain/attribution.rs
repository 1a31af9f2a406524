//! What each input contributes to an output: integrated gradients.

use super::local::Local;
use super::trace::Trace;
use crate::error::Error;
use crate::kernels::Processor;
use crate::loss::Loss;
use crate::matrix::Matrix;
use crate::network::Network;

/// The contributions of one row's inputs to one output z⁽ᴸ⁾ₖ, the mean over members where there are several.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribution {
    /// For each input (xᵢ − x̄ᵢ)·∫₀¹ ∂zₖ/∂xᵢ(x̄ + t(x − x̄)) dt (Sundararajan et al. 2017).
    pub contributions: Vec<f64>,
    /// zₖ(x̄).
    pub baseline: f64,
    /// zₖ(x).
    pub output: f64,
    /// zₖ(x) − zₖ(x̄) − Σ contributions: 0 if the integral were exact.
    pub residual: f64,
    /// At how many places the gradient was taken.
    pub places: usize,
}

/// Integrated gradients of output `k` for the row `x` against the row `baseline`.
///
/// The integral is a composite Gauss–Legendre rule of three points, its pieces halved until the residual is below
/// `tolerance` relative to |z(x) − z(x̄)| + 10⁻³·(|z(x)| + |z(x̄)|), or 2¹² pieces are reached. A piecewise linear network
/// has jumps in its gradient along the way, which no rule meets exactly.
///
/// # Errors
/// If a length or `k` does not fit the network.
pub fn integrated_gradients(
    network: &Network<f64>,
    loss: &Loss,
    x: &[f64],
    baseline: &[f64],
    k: usize,
    tolerance: f64,
    processor: &Processor,
) -> Result<Attribution, Error> {
    let inputs = network.inputs();
    for (what, row) in [("input columns", x), ("baseline columns", baseline)] {
        if row.len() != inputs {
            return Err(Error::Length { what, expected: inputs, got: row.len() });
        }
    }
    if k >= network.outputs() {
        let expected = format!("an output from 1 to {}", network.outputs());
        return Err(Error::Value { what: "output", expected, got: (k + 1).to_string() });
    }
    let ends = Matrix::from_vec(2, inputs, [x, baseline].concat())?;
    let trace = Trace::forward(network, loss, ends.view(), processor)?;
    let z = trace.output(network.layers().len());
    let (members, outputs) = (network.members(), network.outputs());
    let mean = |i: usize| (0..members).map(|m| z[(i, m * outputs + k)]).sum::<f64>() / members as f64;
    let (output, base) = (mean(0), mean(1));
    let mut pieces = 8;
    loop {
        let contributions = integrate(network, loss, x, baseline, k, pieces, processor)?;
        let residual = output - base - contributions.iter().sum::<f64>();
        let scale = (output - base).abs() + 1e-3 * (output.abs() + base.abs());
        if residual.abs() <= tolerance * scale || pieces >= 1 << 12 || !residual.is_finite() {
            return Ok(Attribution { contributions, baseline: base, output, residual, places: 3 * pieces });
        }
        pieces *= 4;
    }
}

/// Nodes and weights of the rule on [0, 1].
const GAUSS: [(f64, f64); 3] =
    [(0.112_701_665_379_258_3, 5.0 / 18.0), (0.5, 8.0 / 18.0), (0.887_298_334_620_741_7, 5.0 / 18.0)];

fn integrate(
    network: &Network<f64>,
    loss: &Loss,
    x: &[f64],
    baseline: &[f64],
    k: usize,
    pieces: usize,
    processor: &Processor,
) -> Result<Vec<f64>, Error> {
    let mut sums = vec![0.0; x.len()];
    // So many pieces at a time that no network needs much room.
    for first in (0..pieces).step_by(64) {
        let some = first..pieces.min(first + 64);
        let places: Vec<(f64, f64)> = some
            .flat_map(|piece| {
                GAUSS.map(|(node, weight)| ((piece as f64 + node) / pieces as f64, weight / pieces as f64))
            })
            .collect();
        let mut points = Matrix::zeros(places.len(), x.len());
        for (i, (t, _)) in places.iter().enumerate() {
            let between = x.iter().zip(baseline).map(|(x, base)| base + t * (x - base));
            points.row_mut(i).iter_mut().zip(between).for_each(|(point, x)| *point = x);
        }
        let trace = Trace::forward(network, loss, points.view(), processor)?;
        for (i, (_, weight)) in places.iter().enumerate() {
            let gradient = input_gradient(&trace.locals(network, i, processor), network, k);
            sums.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += weight * g);
        }
    }
    Ok(sums.iter().zip(x.iter().zip(baseline)).map(|(sum, (x, base))| sum * (x - base)).collect())
}

/// ∂zₖ/∂x⁽⁰⁾, the mean over members.
fn input_gradient(locals: &[Local<'_>], network: &Network<f64>, k: usize) -> Vec<f64> {
    let (members, outputs) = (network.members(), network.outputs());
    let mut delta = vec![0.0; members * outputs];
    delta.iter_mut().skip(k).step_by(outputs).for_each(|d| *d = 1.0 / members as f64);
    locals.iter().rev().fold(delta, |delta, local| local.pull_back(&delta))
}
