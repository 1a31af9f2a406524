//! A model as steps that any language can print, and their definition: [`Program::run`].
//!
//! columns → encoded numbers (f64) → one or more chains of steps (f32 or f64, as the networks are) → link → mean of a
//! chain's members → weighted mean of the chains (f64) → range or temperature → numbers or labels.
//!
//! All numbers stand as f64, which holds an f32 exactly. What is constant is computed here once, in the chain's precision.

use crate::encoder::Encoder;
use crate::export::ExportError;
use crate::model::{AnyNetwork, Intervals, Model};
use crate::scale::Affine;
use crate::target::Target;
use chainrule::activation::{Activation, SELU_ALPHA, SELU_LAMBDA};
use chainrule::kernels::{Lanes, naive};
use chainrule::loss::{Link, Loss};
use chainrule::{Layer, Network, Scalar};

/// A model that only predicts.
#[derive(Clone, Debug)]
pub struct Program {
    /// The table's columns, in the order in which their numbers follow each other.
    pub columns: Vec<RawColumn>,
    /// The target's name, or several.
    pub target: String,
    /// The networks.
    pub chains: Vec<Chain>,
    /// How their outputs become predictions.
    pub link: Link,
    /// Each chain's share in the mean; none if there is but one chain, whose prediction it is.
    pub shares: Option<Vec<f64>>,
    /// What numbers are cut to.
    pub range: Option<[f64; 2]>,
    /// p becomes p^(1/temperature), brought back to sum 1.
    pub temperature: f64,
    /// What the outputs mean.
    pub answer: Answer,
}

/// A column of a table and the numbers that its cell becomes.
#[derive(Clone, Debug)]
pub struct RawColumn {
    /// Its name.
    pub name: String,
    /// How many numbers a cell becomes.
    pub width: usize,
    /// How.
    pub cell: Cell,
}

/// How a cell becomes numbers, all 0 but for what is put.
#[derive(Clone, Debug)]
pub enum Cell {
    /// A number.
    Number {
        /// Stands for a missing one.
        median: f64,
        /// The first number is (x − mean)/scale; none: only the gap counts.
        affine: Option<Affine>,
        /// Whether z/√(1 + (z/3)²) follows.
        bent: bool,
        /// What a missing cell puts.
        gap: Option<Put>,
    },
    /// A text: at most one number differs from 0.
    Text {
        /// What each known text puts.
        spellings: Vec<(String, Put)>,
        /// What any other text puts.
        unseen: Option<Put>,
        /// What a missing cell puts.
        gap: Option<Put>,
    },
}

/// A number in its place among a column's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Put {
    /// From 0.
    pub place: usize,
    /// −1 or 1.
    pub value: f64,
}

/// Some rows' cells of one column.
#[derive(Clone, Debug)]
pub enum RawCells {
    /// NaN where missing.
    Numbers(Vec<f64>),
    /// None where missing.
    Texts(Vec<Option<String>>),
}

/// A network.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Whether its numbers are f32; else f64.
    pub single: bool,
    /// Networks in one that share weights; their predictions' mean is the chain's.
    pub members: usize,
    /// Outputs of each.
    pub outputs: usize,
    /// Its layers.
    pub steps: Vec<Step>,
}

/// A layer at prediction.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its position in the network's layer list.
    pub layer: usize,
    /// Members before and after it.
    pub members: [usize; 2],
    /// Numbers of each member before and after it.
    pub widths: [usize; 2],
    /// What it does.
    pub op: Op,
}

/// What a layer does to a member's row x. Matrices are row-major.
#[derive(Clone, Debug)]
pub enum Op {
    /// xW + b with W \[n_in, n_out\]: one chain of fused multiply-adds from b, in increasing inner index. With heads each
    /// member has its own, one behind another.
    Dense {
        /// W.
        weights: Vec<f64>,
        /// b.
        biases: Vec<f64>,
        /// Whether each member has its own.
        heads: bool,
    },
    /// γₘ∘x + βₘ for each of the members that follow.
    Members {
        /// γ \[members, n\].
        scale: Vec<f64>,
        /// β \[members, n\].
        shift: Vec<f64>,
    },
    /// For each of the columns x·line + (f·slopeₜ + knotₜ), t the bin of x and f its place there; then the other columns.
    Piecewise {
        /// Bins of a column.
        bins: usize,
        /// Numbers that it becomes.
        width: usize,
        /// Which columns.
        columns: Vec<usize>,
        /// \[columns, bins + 1\].
        edges: Vec<f64>,
        /// \[columns, width\].
        line: Vec<f64>,
        /// \[columns, bins, width\].
        slopes: Vec<f64>,
        /// \[columns, bins, width\].
        knots: Vec<f64>,
        /// The last bin of each column that is not empty: no x stands beyond it.
        last: Vec<usize>,
    },
    /// γ(x − μ)/√(σ² + ε) + β with fixed μ and σ².
    BatchNorm {
        /// ε.
        epsilon: f64,
        /// How much of a batch's statistics entered the running ones.
        momentum: f64,
        /// μ, σ², γ, β.
        rows: [Vec<f64>; 4],
    },
    /// γ(x − μ)·(1/√(σ² + ε)) + β with the row's own μ and σ².
    LayerNorm {
        /// ε.
        epsilon: f64,
        /// γ, β.
        rows: [Vec<f64>; 2],
    },
    /// a(x).
    Activation(Activation),
    /// Nothing, at prediction.
    Dropout {
        /// What training drops.
        rate: f64,
    },
}

/// What the outputs mean.
#[derive(Clone, Debug)]
pub enum Answer {
    /// mean + scale · output.
    Number {
        /// The scale of each target.
        affines: Vec<Affine>,
        /// The output that is the first one's prediction.
        output: usize,
        /// What comes beside it.
        quantiles: Quantiles,
    },
    /// The label of the largest probability.
    Label(Vec<String>),
}

/// Quantiles beside a predicted number.
#[derive(Clone, Debug)]
pub enum Quantiles {
    /// None.
    None,
    /// Each output is one, of these levels.
    Outputs(Vec<f64>),
    /// By offsets from the prediction.
    Around(Intervals),
}

/// What a program gives for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Before the target's scale, or −ln p: where an error is measured.
    pub raw: Vec<f64>,
    /// The prediction, then the quantiles; or the probabilities.
    pub numbers: Vec<f64>,
    /// The label's index; 0 for numbers.
    pub label: usize,
}

/// How products are summed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// With one rounding for multiply and add, as this library does.
    Fused,
    /// With two, as others may.
    Plain,
}

impl Program {
    /// The program of a model.
    ///
    /// # Errors
    /// If something in the model cannot leave: a column of dates, somebody's own function.
    pub fn new(model: &Model) -> Result<Self, ExportError> {
        let columns =
            Encoder::cells(&model.encoder).map_err(|column| ExportError::Date { column: column.to_owned() })?;
        let mut chains = Vec::new();
        for network in model.networks() {
            chains.push(match network {
                AnyNetwork::F32(network) => chain(network)?,
                AnyNetwork::F64(network) => chain(network)?,
            });
        }
        let answer = match &model.target {
            Target::Classification(target) => Answer::Label(target.labels().to_vec()),
            Target::Regression(target) => {
                let levels: &[f64] = if let Loss::Quantile { levels } = &model.loss { levels } else { &[] };
                let middle =
                    (0..levels.len()).min_by(|&a, &b| (levels[a] - 0.5).abs().total_cmp(&(levels[b] - 0.5).abs()));
                let quantiles = match &model.output.intervals {
                    Some(intervals) => Quantiles::Around(intervals.clone()),
                    None if levels.is_empty() => Quantiles::None,
                    None => Quantiles::Outputs(levels.to_vec()),
                };
                let affines = target.numbers().map(|target| target.affine()).collect();
                Answer::Number { affines, output: middle.unwrap_or(0), quantiles }
            }
        };
        Ok(Self {
            columns,
            target: model.target.columns().collect::<Vec<_>>().join(", "),
            shares: (chains.len() > 1).then(|| model.output.shares.clone()),
            chains,
            link: model.loss.link(),
            range: model.output.range,
            temperature: model.output.temperature,
            answer,
        })
    }

    /// How many numbers a row becomes.
    pub fn width(&self) -> usize {
        self.columns.iter().map(|column| column.width).sum()
    }

    /// Outputs of each chain.
    pub fn outputs(&self) -> usize {
        self.chains[0].outputs
    }

    /// How many numbers a row's answer has.
    pub fn answers(&self) -> usize {
        match &self.answer {
            Answer::Label(labels) => labels.len(),
            Answer::Number { affines, quantiles, .. } => affines.len() + quantiles.levels().len(),
        }
    }

    /// The answer for row `i` of the cells.
    pub fn run(&self, cells: &[RawCells], i: usize, arithmetic: Arithmetic) -> Answered {
        let x = self.encode(cells, i);
        let mut predictions = self.chains.iter().map(|chain| match chain.single {
            true => chain.predict::<f32>(&x, self.link, arithmetic),
            false => chain.predict::<f64>(&x, self.link, arithmetic),
        });
        let outputs = match &self.shares {
            None => predictions.next().expect("a chain"),
            Some(shares) => {
                let mut mean = vec![0.0; self.outputs()];
                for (prediction, share) in predictions.zip(shares) {
                    mean.iter_mut().zip(prediction).for_each(|(sum, x)| *sum += share * x);
                }
                mean
            }
        };
        self.answer(outputs)
    }

    /// A row's encoded numbers.
    fn encode(&self, cells: &[RawCells], i: usize) -> Vec<f64> {
        let mut x = vec![0.0; self.width()];
        let mut first = 0;
        for (column, cells) in self.columns.iter().zip(cells) {
            let mut put = |put: Option<Put>| put.into_iter().for_each(|put| x[first + put.place] = put.value);
            match (&column.cell, cells) {
                (Cell::Number { median, affine, bent, gap }, RawCells::Numbers(numbers)) => {
                    let missing = numbers[i].is_nan();
                    if let Some(affine) = affine {
                        let z = affine.to_input(if missing { *median } else { numbers[i] });
                        let z = if *bent { z / (1.0 + (z / 3.0) * (z / 3.0)).sqrt() } else { z };
                        put(Some(Put { place: 0, value: z }));
                    }
                    put(gap.filter(|_| missing));
                }
                (Cell::Text { spellings, unseen, gap }, RawCells::Texts(texts)) => put(match &texts[i] {
                    None => *gap,
                    Some(text) => {
                        spellings.iter().find(|(known, _)| known == text).map_or(*unseen, |(_, put)| Some(*put))
                    }
                }),
                _ => unreachable!("cells of the columns"),
            }
            first += column.width;
        }
        x
    }

    /// From the chains' mean to the answer.
    fn answer(&self, mut z: Vec<f64>) -> Answered {
        if let Some([low, high]) = self.range {
            z.iter_mut().for_each(|z| *z = z.clamp(low, high));
        }
        let power = |p: f64| Lanes::exp(Lanes::ln(p.max(1e-300)) / self.temperature);
        let heated = self.temperature != 1.0;
        match (&self.answer, self.link) {
            (Answer::Number { affines, output, quantiles }, _) => {
                let affine = affines[0];
                let mut numbers: Vec<f64> =
                    affines.iter().zip(&z[*output..]).map(|(affine, z)| affine.to_raw(*z)).collect();
                match quantiles {
                    Quantiles::None => {}
                    Quantiles::Outputs(_) => numbers.extend(z.iter().map(|&z| affine.to_raw(z))),
                    Quantiles::Around(intervals) => {
                        numbers.extend(intervals.at(z[0]).iter().map(|offset| affine.to_raw(z[0] + offset)));
                    }
                }
                Answered { raw: z, numbers, label: 0 }
            }
            (Answer::Label(_), Link::Logistic) => {
                if heated {
                    let (no, yes) = (power(1.0 - z[0]), power(z[0]));
                    z[0] = yes / (no + yes);
                }
                Answered::probabilities(vec![1.0 - z[0], z[0]])
            }
            (Answer::Label(_), _) => {
                if heated {
                    z.iter_mut().for_each(|p| *p = power(*p));
                    let sum: f64 = z.iter().sum();
                    z.iter_mut().for_each(|p| *p /= sum);
                }
                Answered::probabilities(z)
            }
        }
    }
}

impl Quantiles {
    /// Their levels.
    pub fn levels(&self) -> &[f64] {
        match self {
            Self::None => &[],
            Self::Outputs(levels) => levels,
            Self::Around(intervals) => &intervals.levels,
        }
    }
}

impl Answered {
    /// Of probabilities: the label is the first of the largest.
    pub fn probabilities(p: Vec<f64>) -> Self {
        let label = (1..p.len()).fold(0, |best, k| if p[k] > p[best] { k } else { best });
        Self { raw: p.iter().map(|p| -Lanes::ln(p.max(LEAST))).collect(), numbers: p, label }
    }
}

/// Probabilities below are not told from each other: f32 has none that is much smaller.
const LEAST: f64 = 1e-35;

/// The steps of a network.
fn chain<T: Scalar>(network: &Network<T>) -> Result<Chain, ExportError> {
    let wide = |numbers: &[T]| numbers.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
    let running = network.running_segments();
    let statistics = |k: usize, name: &str| {
        let name = format!("{k}.{name}");
        let found = running.iter().find(|(known, _)| *known == name);
        found.map_or(&[][..], |(_, range)| &network.running()[range.clone()])
    };
    let (mut steps, mut members, mut width) = (Vec::new(), 1, network.inputs());
    for (k, layer) in network.layers().iter().enumerate() {
        let (first, second) = (network.weights(k), network.biases(k));
        let (first, second) = (first.as_slice(), second);
        let op = match layer {
            Layer::Dense { .. } | Layer::Heads { .. } => {
                let heads = matches!(layer, Layer::Heads { .. });
                Op::Dense { weights: wide(first), biases: wide(second), heads }
            }
            Layer::Members { .. } => Op::Members { scale: wide(first), shift: wide(second) },
            Layer::Piecewise { bins, width, columns } => {
                let edges = statistics(k, "edges");
                let (mut line, mut slopes, mut knots, mut last) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
                for c in 0..columns.len() {
                    let weights = &first[c * (bins + 1) * width..(c + 1) * (bins + 1) * width];
                    line.extend_from_slice(&weights[..*width]);
                    slopes.extend_from_slice(&weights[*width..]);
                    let mut knot = second[c * width..(c + 1) * width].to_vec();
                    for t in 0..*bins {
                        knots.extend_from_slice(&knot);
                        let slope = &weights[(t + 1) * width..(t + 2) * width];
                        knot.iter_mut().zip(slope).for_each(|(knot, &slope)| *knot += slope);
                    }
                    let edges = &edges[c * (bins + 1)..(c + 1) * (bins + 1)];
                    last.push(edges[..*bins].partition_point(|edge| *edge < edges[*bins]).saturating_sub(1));
                }
                Op::Piecewise {
                    bins: *bins,
                    width: *width,
                    columns: columns.clone(),
                    edges: wide(edges),
                    line: wide(&line),
                    slopes: wide(&slopes),
                    knots: wide(&knots),
                    last,
                }
            }
            Layer::BatchNorm { epsilon, momentum } => {
                let (mean, variance) = (statistics(k, "running_mean"), statistics(k, "running_var"));
                Op::BatchNorm {
                    epsilon: *epsilon,
                    momentum: *momentum,
                    rows: [mean, variance, first, second].map(wide),
                }
            }
            Layer::LayerNorm { epsilon } => Op::LayerNorm { epsilon: *epsilon, rows: [first, second].map(wide) },
            Layer::Activation(activation) if activation.is_own() => {
                return Err(ExportError::Own { layer: k, name: activation.to_string() });
            }
            Layer::Activation(activation) => Op::Activation(activation.clone()),
            Layer::Dropout { rate } => Op::Dropout { rate: *rate },
        };
        let after = network.members_at(k);
        let width_after = network.width(k) / after;
        steps.push(Step { layer: k, members: [members, after], widths: [width, width_after], op });
        (members, width) = (after, width_after);
    }
    Ok(Chain { single: T::BYTES == 4, members, outputs: width, steps })
}

impl Chain {
    /// The mean of the members' predictions.
    fn predict<T: Scalar>(&self, x: &[f64], link: Link, arithmetic: Arithmetic) -> Vec<f64> {
        let mut x: Vec<T> = x.iter().map(|&x| T::from_f64(x)).collect();
        for step in &self.steps {
            x = step.run(&x, arithmetic);
        }
        let mut mean = vec![T::ZERO; self.outputs];
        for z in x.chunks_exact_mut(self.outputs) {
            match link {
                Link::Identity => {}
                Link::Logistic => z.iter_mut().for_each(|z| *z = z.logistic()),
                Link::Exponential => z.iter_mut().for_each(|z| *z = z.exp()),
                Link::Softmax => {
                    let max = z.iter().skip(1).fold(z[0], |max, &z| Lanes::max(max, z));
                    z.iter_mut().for_each(|z| *z = (*z - max).exp());
                    let sum = naive::sum(z);
                    z.iter_mut().for_each(|z| *z = *z / sum);
                }
            }
            mean.iter_mut().zip(z).for_each(|(sum, &mut z)| *sum = if self.members > 1 { *sum + z } else { z });
        }
        let count = T::from_f64(self.members as f64);
        mean.into_iter().map(|sum| if self.members > 1 { (sum / count).to_f64() } else { sum.to_f64() }).collect()
    }
}

/// What is done to a member's row: its number, x, y.
type Each<'a, T> = &'a dyn Fn(usize, &[T], &mut [T]);

impl Step {
    /// All members' rows through the step.
    fn run<T: Scalar>(&self, x: &[T], arithmetic: Arithmetic) -> Vec<T> {
        let fma = |a: T, b: T, c: T| if arithmetic == Arithmetic::Fused { a.fma(b, c) } else { a * b + c };
        let t = T::from_f64;
        let [n, outputs] = self.widths;
        let mut y = vec![T::ZERO; self.members[1] * outputs];
        let rows = |y: &mut [T], f: Each<'_, T>| {
            let pairs = x.chunks_exact(n).zip(y.chunks_exact_mut(outputs));
            pairs.enumerate().for_each(|(m, (x, y))| f(m, x, y));
        };
        match &self.op {
            Op::Dense { weights, biases, heads } => rows(&mut y, &|m, x, y| {
                let m = if *heads { m } else { 0 };
                let (weights, biases) = (&weights[m * n * outputs..], &biases[m * outputs..]);
                for j in 0..outputs {
                    y[j] = (0..n).fold(t(biases[j]), |sum, k| fma(x[k], t(weights[k * outputs + j]), sum));
                }
            }),
            Op::Members { scale, shift } => {
                for (k, y) in y.iter_mut().enumerate() {
                    *y = fma(t(scale[k]), x[k % n], t(shift[k]));
                }
            }
            Op::Piecewise { bins, width, columns, edges, line, slopes, knots, last } => {
                for (c, &column) in columns.iter().enumerate() {
                    let edges = &edges[c * (bins + 1)..(c + 1) * (bins + 1)];
                    let x = x[column];
                    let t_of_x = edges[1..*bins].partition_point(|&edge| t(edge) <= x).min(last[c]);
                    let span = t(edges[t_of_x + 1]) - t(edges[t_of_x]);
                    let f = if span > T::ZERO { (x - t(edges[t_of_x])) / span } else { T::ZERO };
                    let f = Lanes::min(Lanes::max(f, T::ZERO), T::ONE);
                    for k in 0..*width {
                        let at = (c * bins + t_of_x) * width + k;
                        y[c * width + k] = fma(x, t(line[c * width + k]), fma(f, t(slopes[at]), t(knots[at])));
                    }
                }
                let others = (0..n).filter(|column| !columns.contains(column));
                y[columns.len() * width..].iter_mut().zip(others).for_each(|(y, column)| *y = x[column]);
            }
            Op::BatchNorm { epsilon, rows: [mean, variance, scale, shift], .. } => rows(&mut y, &|_, x, y| {
                for k in 0..n {
                    let normal = (x[k] - t(mean[k])) / (t(variance[k]) + t(*epsilon)).sqrt();
                    y[k] = fma(t(scale[k]), normal, t(shift[k]));
                }
            }),
            Op::LayerNorm { epsilon, rows: [scale, shift] } => rows(&mut y, &|_, x, y| {
                let count = t(n as f64);
                let mean = naive::sum(x) / count;
                let squares = naive::reduce(n, |k, sum| fma(x[k] - mean, x[k] - mean, sum));
                let s = T::ONE / (squares / count + t(*epsilon)).sqrt();
                for k in 0..n {
                    y[k] = fma(t(scale[k]), (x[k] - mean) * s, t(shift[k]));
                }
            }),
            Op::Activation(activation) => {
                activation.activate(chainrule::kernels::InstructionSet::NAIVE, x, &mut y);
            }
            Op::Dropout { .. } => y.copy_from_slice(x),
        }
        y
    }
}

/// An activation as one of few formulas with numbers, each rounded to the chain's precision.
pub(crate) fn formula(activation: &Activation) -> (&'static str, Vec<f64>) {
    match activation {
        Activation::Identity | Activation::Own(_) => ("identity", vec![]),
        Activation::Relu => ("relu", vec![]),
        Activation::LeakyRelu { slope } => ("leaky_relu", vec![*slope]),
        Activation::Elu { alpha } => ("elu", vec![*alpha, 1.0]),
        Activation::Selu => ("elu", vec![SELU_LAMBDA * SELU_ALPHA, SELU_LAMBDA]),
        Activation::Gelu => ("gelu", vec![]),
        Activation::Silu => ("silu", vec![]),
        Activation::Mish => ("mish", vec![]),
        Activation::Softplus => ("softplus", vec![]),
        Activation::Tanh => ("tanh", vec![]),
        Activation::Logistic => ("logistic", vec![]),
    }
}
