//! What a kind of layer does to the derivative: its Jacobian ∂y/∂x for one row, and ∂y/∂θ of its parameters, each entry
//! a named factor.
//!
//! A new kind of layer has an arm in [`Local::new`], [`Local::term`] and [`sources`]; all explanations follow.

use super::symbol::{Letter, Symbol, Written};
use super::trace::{Stage, Stages};
use crate::activation::Activation;
use crate::kernels::InstructionSet;
use crate::layer::Layer;
use crate::matrix::MatrixRef;
use crate::network::{Network, Role, Segment};

/// ∂y/∂x of one layer for one row, without its zeros.
pub(crate) enum Local<'a> {
    /// yⱼ depends on xⱼ alone.
    Diagonal(Vec<f64>),
    /// Yₘ = XₘW + b for each member, W shared or each one's own.
    Dense { weights: MatrixRef<'a, f64>, members: usize, own: bool },
    /// Member m's yₘ = γₘ∘x + βₘ.
    Members { scale: &'a [f64], width: usize },
    /// Every y depends on every x of the row.
    LayerNorm { scale: &'a [f64], normal: Vec<f64>, s: f64 },
    /// A column becomes `width` numbers; the others follow as they are.
    Piecewise { slopes: Vec<f64>, width: usize, columns: &'a [usize], others: Vec<usize>, inputs: usize },
}

impl<'a> Local<'a> {
    /// The Jacobian of layer `k` at the row's input `x` and output `y`.
    pub(crate) fn new(network: &'a Network<f64>, k: usize, x: &[f64], y: &[f64], set: InstructionSet) -> Self {
        let slot = &network.slots[k];
        let first = &network.parameters[slot.first.clone()];
        match &network.layers()[k] {
            Layer::Dense { .. } => Self::Dense { weights: network.weights(k), members: slot.members, own: false },
            Layer::Heads { .. } => Self::Dense { weights: network.weights(k), members: slot.members, own: true },
            Layer::Activation(activation) => {
                let mut derivative = vec![1.0; x.len()];
                activation.differentiate(set, x, y, &mut derivative);
                Self::Diagonal(derivative)
            }
            // As at prediction.
            Layer::Dropout { .. } => Self::Diagonal(vec![1.0; x.len()]),
            Layer::BatchNorm { epsilon, .. } => {
                let variance = &network.running[slot.running_variance.clone()];
                Self::Diagonal(first.iter().zip(variance).map(|(scale, v)| scale / (v + epsilon).sqrt()).collect())
            }
            Layer::LayerNorm { epsilon } => {
                let (normal, s) = normalised(x, *epsilon);
                Self::LayerNorm { scale: first, normal, s }
            }
            Layer::Members { .. } => Self::Members { scale: first, width: x.len() },
            Layer::Piecewise { bins, width, columns } => {
                let edges = &network.running[slot.edges.clone()];
                let mut slopes = Vec::with_capacity(columns.len() * width);
                for (c, &column) in columns.iter().enumerate() {
                    let edges = &edges[c * (bins + 1)..(c + 1) * (bins + 1)];
                    let weights = &first[c * (bins + 1) * width..(c + 1) * (bins + 1) * width];
                    // The bin in which x stands; none beyond the edges, where the broken line is flat.
                    let bin = (0..*bins).find(|&t| edges[t] <= x[column] && x[column] < edges[t + 1]);
                    for q in 0..*width {
                        let broken = bin.map_or(0.0, |t| weights[(t + 1) * width + q] / (edges[t + 1] - edges[t]));
                        slopes.push(weights[q] + broken);
                    }
                }
                let others = (0..x.len()).filter(|column| !columns.contains(column)).collect();
                Self::Piecewise { slopes, width: *width, columns, others, inputs: x.len() }
            }
        }
    }

    /// The outputs that depend on input `i`, each with its derivative.
    pub(crate) fn outputs_of(&self, i: usize) -> Box<dyn Iterator<Item = (usize, f64)> + '_> {
        match self {
            Self::Diagonal(d) => Box::new(std::iter::once((i, d[i]))),
            Self::Dense { weights, members, own } => {
                let inputs = if *own { weights.rows() / members } else { weights.rows() };
                let member = i / inputs;
                let row = weights.row(if *own { i } else { i % inputs });
                Box::new(row.iter().enumerate().map(move |(j, &w)| (member * row.len() + j, w)))
            }
            Self::Members { scale, width } => {
                Box::new(scale.iter().enumerate().skip(i).step_by(*width).map(|(j, &scale)| (j, scale)))
            }
            Self::LayerNorm { scale, .. } => Box::new((0..scale.len()).map(move |j| (j, self.normed(i, j)))),
            Self::Piecewise { slopes, width, columns, others, .. } => match columns.binary_search(&i) {
                Ok(c) => Box::new((c * width..(c + 1) * width).map(|j| (j, slopes[j]))),
                Err(_) => {
                    let position = others.partition_point(|&other| other < i);
                    Box::new(std::iter::once((slopes.len() + position, 1.0)))
                }
            },
        }
    }

    /// ∂yⱼ/∂xᵢ of a layer norm: s·γⱼ·([i = j] − (1 + x̂ᵢx̂ⱼ)/n).
    fn normed(&self, i: usize, j: usize) -> f64 {
        let Self::LayerNorm { scale, normal, s } = self else { unreachable!("a layer norm") };
        let n = normal.len() as f64;
        s * scale[j] * (f64::from(u8::from(i == j)) - (1.0 + normal[i] * normal[j]) / n)
    }

    /// How many inputs there are.
    pub(crate) fn inputs(&self) -> usize {
        match self {
            Self::Diagonal(d) => d.len(),
            Self::Dense { weights, members, own } => weights.rows() * if *own { 1 } else { *members },
            Self::Members { width, .. } => *width,
            Self::LayerNorm { scale, .. } => scale.len(),
            Self::Piecewise { inputs, .. } => *inputs,
        }
    }

    /// ∂J/∂x from ∂J/∂y: each entry the sum over the outputs that depend on it ([`Local::outputs_of`]).
    pub(crate) fn pull_back(&self, delta: &[f64]) -> Vec<f64> {
        match self {
            Self::Diagonal(d) => d.iter().zip(delta).map(|(d, delta)| d * delta).collect(),
            Self::Dense { weights, members, own } => {
                let outputs = weights.cols();
                let inputs = if *own { weights.rows() / members } else { weights.rows() };
                let input = |i: usize| {
                    let member = i / inputs * outputs;
                    dot(weights.row(if *own { i } else { i % inputs }), &delta[member..member + outputs])
                };
                (0..inputs * members).map(input).collect()
            }
            Self::Members { scale, width } => {
                let mut sums = vec![0.0; *width];
                for (scale, delta) in scale.chunks_exact(*width).zip(delta.chunks_exact(*width)) {
                    sums.iter_mut()
                        .zip(scale.iter().zip(delta))
                        .for_each(|(sum, (scale, delta))| *sum += scale * delta);
                }
                sums
            }
            Self::LayerNorm { scale, normal, s } => {
                let n = scale.len() as f64;
                let scaled: Vec<f64> = scale.iter().zip(delta).map(|(scale, delta)| scale * delta).collect();
                let (mean, slope) = (scaled.iter().sum::<f64>() / n, dot(&scaled, normal) / n);
                scaled.iter().zip(normal).map(|(g, x)| s * (g - mean - x * slope)).collect()
            }
            Self::Piecewise { slopes, width, columns, others, inputs } => {
                let mut x = vec![0.0; *inputs];
                for (c, &column) in columns.iter().enumerate() {
                    x[column] = dot(&slopes[c * width..(c + 1) * width], &delta[c * width..(c + 1) * width]);
                }
                others.iter().zip(&delta[slopes.len()..]).for_each(|(&other, delta)| x[other] = *delta);
                x
            }
        }
    }

    /// The term that ∂yⱼ/∂xᵢ is, as a person writes it.
    pub(crate) fn term(&self, network: &Network<f64>, stages: &Stages, k: usize, i: usize, j: usize) -> Written {
        let (input, output) = (stages.stage(k), stages.stage(k + 1));
        let by_output = |letter| Written::symbol(&output.parameter(letter, j, &[j % output.width + 1]));
        match (&network.layers()[k], self) {
            (Layer::Dense { .. }, _) => {
                let indices = [i % input.width + 1, j % output.width + 1];
                Written::symbol(&Symbol::new(Letter::Weight, output.layer, None, &indices))
            }
            (Layer::Heads { .. }, _) => {
                Written::symbol(&output.parameter(Letter::Weight, j, &[i % input.width + 1, j % output.width + 1]))
            }
            (Layer::Activation(activation), _) => activation_term(activation, &input.symbol(i)),
            (Layer::BatchNorm { .. }, _) => {
                let scale = by_output(Letter::Scale);
                Written::new(
                    format!("{}/√(σ² + ε)", scale.plain),
                    format!("{}/\\sqrt{{\\sigma^2+\\varepsilon}}", scale.latex),
                )
            }
            (Layer::LayerNorm { .. }, _) => {
                let scale = by_output(Letter::Scale);
                let same = if i == j { "1 − " } else { "−" };
                Written::new(
                    format!("{}·s·({same}(1 + x̂ᵢx̂ⱼ)/n)", scale.plain),
                    format!(
                        "{}\\,s\\,({}(1+\\hat x_i\\hat x_j)/n)",
                        scale.latex,
                        same.replace("− ", "-").replace('−', "-")
                    ),
                )
            }
            (Layer::Members { .. }, _) => by_output(Letter::Scale),
            (Layer::Piecewise { .. }, Self::Piecewise { slopes, .. }) if j < slopes.len() => {
                let x = Written::symbol(&input.symbol(i));
                Written::new(format!("slope of e at {}", x.plain), format!("e'({})", x.latex))
            }
            _ => Written::new("1", "1"),
        }
    }
}

/// Σ aᵢbᵢ in eight partial sums, so that it need not wait for each addition.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 8];
    for (a, b) in a.zip(b) {
        (0..8).for_each(|i| sums[i] += a[i] * b[i]);
    }
    rest + sums.iter().sum::<f64>()
}

/// a′(z), with the activation's name.
fn activation_term(activation: &Activation, z: &Symbol) -> Written {
    if *activation == Activation::Identity {
        return Written::new("1", "1");
    }
    let name = activation.to_string();
    let name = name.split(':').next().unwrap_or_default();
    let latex = name.replace('\\', "").replace('_', "\\_").replace(['{', '}', '$', '&', '#', '%', '^', '~'], "");
    Written::new(format!("{name}′({z})"), format!("\\mathrm{{{latex}}}'({})", z.latex()))
}

/// x̂ and s of a layer norm's row.
pub(crate) fn normalised(x: &[f64], epsilon: f64) -> (Vec<f64>, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let s = 1.0 / (x.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n + epsilon).sqrt();
    (x.iter().map(|x| (x - mean) * s).collect(), s)
}

/// Where a parameter acts: the output of its layer that it moves, how much, and the term that this is.
pub(crate) struct Source {
    pub(crate) unit: usize,
    pub(crate) value: f64,
    pub(crate) term: Written,
}

/// ∂y/∂θ of the parameter in row `r`, column `c` of `segment`, at the row's input `x`.
pub(crate) fn sources(
    network: &Network<f64>,
    stages: &Stages,
    segment: &Segment,
    [r, c]: [usize; 2],
    x: &[f64],
) -> Vec<Source> {
    let k = segment.layer;
    let slot = &network.slots[k];
    let input: &Stage = stages.stage(k);
    let one = || Written::new("1", "1");
    let source = |unit, value, term| Source { unit, value, term };
    let read = |i: usize| Written::symbol(&input.symbol(i));
    match (&network.layers()[k], segment.role) {
        (Layer::Dense { outputs }, Role::Weights) => {
            let inputs = slot.inputs / slot.members;
            let member = |m: usize| source(m * outputs + c, x[m * inputs + r], read(m * inputs + r));
            (0..slot.members).map(member).collect()
        }
        (Layer::Dense { outputs }, _) => (0..slot.members).map(|m| source(m * outputs + c, 1.0, one())).collect(),
        (Layer::Heads { outputs }, Role::Weights) => {
            let member = r / (slot.inputs / slot.members);
            vec![source(member * outputs + c, x[r], read(r))]
        }
        (Layer::Heads { outputs }, _) => vec![source(r * outputs + c, 1.0, one())],
        (Layer::BatchNorm { epsilon, .. }, Role::Scale) => {
            let (mean, variance) =
                (&network.running[slot.running_mean.clone()], &network.running[slot.running_variance.clone()]);
            let value = (x[c] - mean[c]) / (variance[c] + epsilon).sqrt();
            let z = read(c);
            vec![source(
                c,
                value,
                Written::new(
                    format!("({} − μ)/√(σ² + ε)", z.plain),
                    format!("({}-\\mu)/\\sqrt{{\\sigma^2+\\varepsilon}}", z.latex),
                ),
            )]
        }
        (Layer::LayerNorm { epsilon }, Role::Scale) => {
            let z = read(c);
            let (normal, _) = normalised(x, *epsilon);
            vec![source(c, normal[c], Written::new(format!("({} − μ)·s", z.plain), format!("({}-\\mu)\\,s", z.latex)))]
        }
        (Layer::Members { .. }, Role::Scale) => vec![source(r * slot.inputs + c, x[c], read(c))],
        (Layer::Members { .. }, _) => vec![source(r * slot.inputs + c, 1.0, one())],
        (Layer::Piecewise { bins, width, columns }, Role::Weights) => {
            let (column, row) = (r / (bins + 1), r % (bins + 1));
            let edges = &network.running[slot.edges.clone()][column * (bins + 1)..(column + 1) * (bins + 1)];
            let x_c = x[columns[column]];
            let z = read(columns[column]);
            let (value, term) = if row == 0 {
                (x_c, z)
            } else {
                let t = row - 1;
                let span = edges[t + 1] - edges[t];
                let share = if span > 0.0 { ((x_c - edges[t]) / span).clamp(0.0, 1.0) } else { 0.0 };
                (
                    share,
                    Written::new(format!("share of bin {row} below {}", z.plain), format!("c_{{{row}}}({})", z.latex)),
                )
            };
            vec![source(column * width + c, value, term)]
        }
        (Layer::Piecewise { width, .. }, _) => vec![source(r * width + c, 1.0, one())],
        (Layer::BatchNorm { .. } | Layer::LayerNorm { .. }, _) => vec![source(c, 1.0, one())],
        (Layer::Activation(_) | Layer::Dropout { .. }, _) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activation::Activation;
    use crate::explain::Trace;
    use crate::kernels::Processor;
    use crate::loss::Loss;
    use crate::matrix::Matrix;

    /// Every kind of layer: what is pulled back is the sum over the outputs that depend on an input.
    #[test]
    fn a_delta_pulled_back_is_the_sum_over_the_outputs_that_depend_on_an_input() {
        let norms = vec![
            Layer::Dense { outputs: 11 },
            Layer::LayerNorm { epsilon: 1e-5 },
            Layer::Activation(Activation::Tanh),
            Layer::Dense { outputs: 9 },
            Layer::BatchNorm { momentum: 0.1, epsilon: 1e-5 },
            Layer::Dropout { rate: 0.5 },
        ];
        let members = vec![
            Layer::Piecewise { bins: 3, width: 2, columns: vec![0, 2] },
            Layer::Members { count: 2 },
            Layer::Dense { outputs: 11 },
            Layer::Heads { outputs: 2 },
        ];
        let x = Matrix::from_rows(&[[0.1, 0.9, -0.3, 2.0], [0.6, -0.2, 0.8, 1.0], [-0.9, 0.4, 0.2, 0.3]]);
        for layers in [norms, members] {
            let mut network = Network::<f64>::new(4, layers, None, 1).expect("a valid network");
            network.start_from(x.view()).expect("edges from the rows");
            for (i, parameter) in network.parameters_mut().iter_mut().enumerate() {
                *parameter += ((i * 7919 % 1009) as f64) / 504.5 - 1.0;
            }
            agrees(&network, &x);
        }
    }

    fn agrees(network: &Network<f64>, x: &Matrix<f64>) {
        let processor = Processor::new(1);
        let trace = Trace::forward(network, &Loss::SquaredError, x.view(), &processor).expect("the rows fit");
        for (k, local) in trace.locals(network, 1, &processor).iter().enumerate() {
            let delta: Vec<f64> =
                (0..trace.output(k + 1).cols()).map(|j| ((j * 7919 % 13) as f64) / 6.5 - 1.0).collect();
            let pulled = local.pull_back(&delta);
            assert_eq!(pulled.len(), trace.output(k).cols());
            for (i, pulled) in pulled.iter().enumerate() {
                let sum: f64 = local.outputs_of(i).map(|(j, d)| d * delta[j]).sum();
                assert!((pulled - sum).abs() < 1e-13 * (1.0 + sum.abs()), "layer {k}, input {i}: {pulled}, not {sum}");
            }
        }
    }
}
