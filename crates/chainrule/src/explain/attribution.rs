//! What each input contributes to an output: integrated gradients.

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
/// The way from the baseline to the row is cut into pieces, each integrated by Gauss–Legendre's rule of three points. A
/// piece's residual, the change of zₖ over it less its integral, is known; the pieces with the largest are halved until
/// the residual of all is below `tolerance` relative to |z(x) − z(x̄)| + 10⁻³·(|z(x)| + |z(x̄)|) and their absolute sum
/// below ten times as much, or the gradient was taken at 12,000 places. A piecewise linear network has jumps in its
/// gradient along the way, which no rule meets exactly: there the pieces become small.
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
    let way = Way { network, loss, x, baseline, k, processor };
    let ends = way.outputs(&way.forward(&[0.0, 1.0])?);
    let (base, output) = (ends[0], ends[1]);
    let bound = tolerance * ((output - base).abs() + 1e-3 * (output.abs() + base.abs()));
    let mut pieces = way.halves(&[Piece { from: 0.0, to: 1.0, outputs: [base, output], ..Piece::default() }])?;
    let mut places = GAUSS.len() * pieces.len();
    loop {
        let residual: f64 = pieces.iter().map(|piece| piece.residual).sum();
        let absolute: f64 = pieces.iter().map(|piece| piece.residual.abs()).sum();
        let enough = residual.abs() <= bound && absolute <= 10.0 * bound;
        if enough || places >= MOST_PLACES || !absolute.is_finite() {
            let contribution =
                |i: usize| pieces.iter().map(|piece| piece.integral[i]).sum::<f64>() * (x[i] - baseline[i]);
            let contributions: Vec<f64> = (0..inputs).map(contribution).collect();
            let residual = output - base - contributions.iter().sum::<f64>();
            return Ok(Attribution { contributions, baseline: base, output, residual, places });
        }
        // The worst third, so many at a time that no network needs much room.
        pieces.sort_by(|a, b| b.residual.abs().total_cmp(&a.residual.abs()).then(a.from.total_cmp(&b.from)));
        let worst: Vec<Piece> = pieces.drain(..pieces.len().div_ceil(3).min(32)).collect();
        let halves = way.halves(&worst)?;
        places += GAUSS.len() * halves.len();
        pieces.extend(halves);
    }
}

/// At how many places the gradient is taken at most, nearly.
const MOST_PLACES: usize = 12_000;

/// The straight way from the baseline, t = 0, to the row, t = 1.
struct Way<'a> {
    network: &'a Network<f64>,
    loss: &'a Loss,
    x: &'a [f64],
    baseline: &'a [f64],
    k: usize,
    processor: &'a Processor,
}

/// A piece of the way.
#[derive(Clone, Default)]
struct Piece {
    from: f64,
    to: f64,
    /// zₖ at both ends.
    outputs: [f64; 2],
    /// ∫ ∂zₖ/∂x dt over the piece.
    integral: Vec<f64>,
    /// What the integral leaves of the change of zₖ.
    residual: f64,
}

impl Way<'_> {
    fn forward(&self, places: &[f64]) -> Result<Trace, Error> {
        let mut points = Matrix::zeros(places.len(), self.x.len());
        for (i, t) in places.iter().enumerate() {
            let between = self.x.iter().zip(self.baseline).map(|(x, base)| base + t * (x - base));
            points.row_mut(i).iter_mut().zip(between).for_each(|(point, x)| *point = x);
        }
        Trace::forward(self.network, self.loss, points.view(), self.processor)
    }

    /// zₖ in each row, the mean over members.
    fn outputs(&self, trace: &Trace) -> Vec<f64> {
        let z = trace.output(self.network.layers().len());
        let (members, outputs) = (self.network.members(), self.network.outputs());
        let mean = |i: usize| (0..members).map(|m| z[(i, m * outputs + self.k)]).sum::<f64>() / members as f64;
        (0..z.rows()).map(mean).collect()
    }

    /// Both halves of each piece, integrated.
    fn halves(&self, pieces: &[Piece]) -> Result<Vec<Piece>, Error> {
        let middles: Vec<f64> = pieces.iter().map(|piece| 0.5 * (piece.from + piece.to)).collect();
        let halves = pieces.iter().zip(&middles).flat_map(|(piece, &t)| [(piece.from, t), (t, piece.to)]);
        let nodes = halves.flat_map(|(from, to)| GAUSS.map(|(node, _)| from + node * (to - from)));
        let trace = self.forward(&middles.iter().copied().chain(nodes).collect::<Vec<f64>>())?;
        let z = self.outputs(&trace);
        let mut halves = Vec::with_capacity(2 * pieces.len());
        for (p, piece) in pieces.iter().enumerate() {
            let ends = [(piece.from, piece.outputs[0]), (middles[p], z[p]), (piece.to, piece.outputs[1])];
            for (half, ends) in ends.windows(2).enumerate() {
                let [(from, before), (to, after)] = [ends[0], ends[1]];
                let mut integral = vec![0.0; self.x.len()];
                for (node, (_, weight)) in GAUSS.iter().enumerate() {
                    let gradient = self.gradient(&trace, pieces.len() + GAUSS.len() * (2 * p + half) + node);
                    integral.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += weight * (to - from) * g);
                }
                let way = self.x.iter().zip(self.baseline).map(|(x, base)| x - base);
                let change: f64 = integral.iter().zip(way).map(|(g, way)| g * way).sum();
                halves.push(Piece { from, to, outputs: [before, after], integral, residual: after - before - change });
            }
        }
        Ok(halves)
    }

    /// ∂zₖ/∂x⁽⁰⁾ in row `i`, the mean over members.
    fn gradient(&self, trace: &Trace, i: usize) -> Vec<f64> {
        let (members, outputs) = (self.network.members(), self.network.outputs());
        let mut delta = vec![0.0; members * outputs];
        delta.iter_mut().skip(self.k).step_by(outputs).for_each(|d| *d = 1.0 / members as f64);
        trace.locals(self.network, i, self.processor).iter().rev().fold(delta, |delta, local| local.pull_back(&delta))
    }
}

/// Nodes and weights of the rule on [0, 1].
const GAUSS: [(f64, f64); 3] =
    [(0.112_701_665_379_258_3, 5.0 / 18.0), (0.5, 8.0 / 18.0), (0.887_298_334_620_741_7, 5.0 / 18.0)];
