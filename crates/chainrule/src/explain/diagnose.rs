//! Somebody's own gradient: which term of which layer is wrong?
//!
//! From the loss back to the input, every number that the candidate shows (∂J/∂W, ∂J/∂b, δ) is compared with ours. Where
//! they differ, the usual mistakes are made on purpose, one at a time, and the one that reproduces the candidate's numbers
//! is the answer. The walk goes on from the mistaken δ, so a second mistake further down is found as well, and numbers that
//! are only wrong because an earlier one is are not blamed.

use super::local::{Local, sources};
use super::trace::{Stages, Trace};
use crate::backprop::Data;
use crate::error::Error;
use crate::kernels::Processor;
use crate::layer::Layer;
use crate::loss::{Link, Loss};
use crate::matrix::Matrix;
use crate::network::{Network, Role};
use std::fmt;

/// A gradient to be judged: any part of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Candidate {
    /// For each segment of the layout its numbers, row-major; `None` where it is not told.
    segments: Vec<Option<Vec<f64>>>,
    /// δ⁽ˡ⁾ = ∂J/∂Z⁽ˡ⁾ by the layer l, \[rows, members·width\].
    deltas: Vec<(usize, Matrix<f64>)>,
}

impl Candidate {
    /// All of it, laid out as the parameters.
    ///
    /// # Errors
    /// If it is not as long as the parameters.
    pub fn whole(network: &Network<f64>, gradient: &[f64]) -> Result<Self, Error> {
        let expected = network.parameters().len();
        if gradient.len() != expected {
            return Err(Error::Length { what: "gradient", expected, got: gradient.len() });
        }
        let cut = |segment: &crate::network::Segment| Some(gradient[segment.range.clone()].to_vec());
        Ok(Self { segments: network.layout().segments().iter().map(cut).collect(), deltas: Vec::new() })
    }

    /// Adds the part of the segment `name`, as `0.weight`, [n_in, n_out] row after row.
    ///
    /// # Errors
    /// If there is no such segment, or it has another size.
    pub fn segment(mut self, network: &Network<f64>, name: &str, gradient: Vec<f64>) -> Result<Self, Error> {
        let segments = network.layout().segments();
        let Some(position) = segments.iter().position(|segment| segment.name == name) else {
            let names: Vec<&str> = segments.iter().map(|segment| segment.name.as_str()).collect();
            let expected = format!("one of {}", names.join(", "));
            return Err(Error::Value { what: "segment", expected, got: name.to_owned() });
        };
        let expected = segments[position].range.len();
        if gradient.len() != expected {
            return Err(Error::Length { what: "a segment's gradient", expected, got: gradient.len() });
        }
        self.segments.resize(segments.len(), None);
        self.segments[position] = Some(gradient);
        Ok(self)
    }

    /// Adds δ⁽ˡ⁾ of dense layer `l`, [rows, neurons].
    ///
    /// # Errors
    /// If there is no such layer, or it has another width.
    pub fn delta(mut self, network: &Network<f64>, l: usize, delta: Matrix<f64>) -> Result<Self, Error> {
        let stages = Stages::new(network);
        let Some(k) = stages.dense(l) else {
            let expected = format!("a layer from 1 to {}", stages.last_layer());
            return Err(Error::Value { what: "delta", expected, got: l.to_string() });
        };
        if delta.cols() != network.width(k) {
            return Err(Error::Length { what: "columns of a delta", expected: network.width(k), got: delta.cols() });
        }
        self.deltas.push((l, delta));
        Ok(self)
    }
}

/// A mistake in a gradient.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// ∂J/∂x⁽ᴸ⁾ is not divided by the number of rows.
    MissingShare,
    /// A sum over rows is divided by the number of rows once more.
    DividedTwice,
    /// One gradient is a sum over rows where the others are means.
    SumForMean,
    /// ∂J/∂x⁽ᴸ⁾ is divided by the number of outputs too.
    MeanOverOutputs,
    /// The other sign.
    Sign,
    /// y − x for x − y, or the like, is right, but the derivative of the output's own function is multiplied in once more.
    LinkTwice,
    /// W where Wᵀ belongs (or the gradient of W is told transposed).
    TransposedWeights,
    /// The gradient of W is told as [n_out, n_in].
    TransposedGradient,
    /// a′(x) for a′(z).
    DerivativeAtX,
    /// The factor a′(z) is missing.
    MissingDerivative,
    /// The gradient of the biases is missing: all 0.
    BiasForgotten,
    /// Another gradient is missing: all 0.
    Missing,
    /// The path through a neuron (from 1) of the next layer is left out of the sum.
    PathLeftOut(usize),
    /// Only the path through one neuron (from 1) of the next layer is in the sum.
    OnePathOnly(usize),
    /// z where x belongs.
    ZForX,
    /// Rows of x and of δ do not belong together: x is shifted by so many.
    RowsShifted(usize),
    /// δ is right (as the biases' gradient shows), but X is another one: of an earlier pass or another batch.
    StaleActivation,
    /// A factor that nothing else explains.
    Factor(f64),
    /// None of the usual mistakes.
    Unknown,
}

/// A mistake and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The layer l, from 1.
    pub layer: usize,
    /// The term: `δ⁽²⁾`, `∂J/∂W⁽²⁾`, `∂J/∂b⁽²⁾`, `∂J/∂X⁽³⁾`.
    pub term: String,
    /// What is wrong with it.
    pub fault: Fault,
    /// In a sentence, with what is right.
    pub text: String,
    /// The largest relative error before the mistake was assumed.
    pub error: f64,
    /// And after: how well it explains the numbers.
    pub error_with: f64,
    /// Other mistakes that explain the numbers as well.
    pub or: Vec<Fault>,
}

/// How a part of the candidate compares with ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// `0.weight`, or `δ⁽²⁾`.
    pub name: String,
    /// The layer l.
    pub layer: usize,
    /// The largest difference relative to the part's largest number.
    pub error: f64,
    /// Where it is, row and column from 1.
    pub worst: [usize; 2],
    /// What was expected there.
    pub expected: f64,
    /// What came.
    pub got: f64,
}

/// What [`diagnose_gradient`] found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Diagnosis {
    /// Every part that was told.
    pub compared: Vec<Compared>,
    /// The mistakes, from the loss back to the input; none if all is right.
    pub findings: Vec<Finding>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.findings.is_empty() {
            let error = self.compared.iter().fold(0.0_f64, |max, part| max.max(part.error));
            return write!(
                f,
                "the gradient is right: {} parts, largest relative error {error:.1e}",
                self.compared.len()
            );
        }
        for (n, finding) in self.findings.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            write!(f, "layer {}, {}: {}", finding.layer, finding.term, finding.text)?;
        }
        Ok(())
    }
}

/// Relative to the part's largest number; a candidate in f32 is as good as that.
const TOLERANCE: f64 = 1e-5;

/// The largest |a − b| relative to the largest |b|, and where.
fn error(got: &[f64], expected: &[f64]) -> (f64, usize) {
    let scale = expected.iter().chain(got).fold(0.0_f64, |max, x| max.max(x.abs())).max(f64::MIN_POSITIVE);
    let mut worst = (0.0, 0);
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        let difference = (got - expected).abs() / scale;
        if difference > worst.0 || difference.is_nan() {
            worst = (if difference.is_nan() { f64::INFINITY } else { difference }, i);
        }
    }
    worst
}

/// Compares `candidate` with the gradient of J over the rows of `data`, as at prediction, and names what is wrong.
///
/// # Errors
/// If the data do not fit the network and the loss.
pub fn diagnose_gradient(
    network: &Network<f64>,
    loss: &Loss,
    data: &Data<'_, f64>,
    candidate: &Candidate,
    processor: &Processor,
) -> Result<Diagnosis, Error> {
    let trace = Trace::new(network, loss, data, processor)?;
    let rows = trace.rows();
    if let Some((_, delta)) = candidate.deltas.iter().find(|(_, delta)| delta.rows() != rows) {
        return Err(Error::Length { what: "rows of a delta", expected: rows, got: delta.rows() });
    }
    let locals = (0..rows).map(|i| trace.locals(network, i, processor)).collect();
    let judge = Judge { network, loss, trace: &trace, locals, processor };
    Ok(judge.judge(candidate))
}

struct Judge<'a> {
    network: &'a Network<f64>,
    loss: &'a Loss,
    trace: &'a Trace,
    /// By row, then layer.
    locals: Vec<Vec<Local<'a>>>,
    processor: &'a Processor,
}

/// A δ that could be the candidate's, and the mistake that leads to it.
struct Hypothesis {
    fault: Option<(Fault, usize)>,
    delta: Matrix<f64>,
}

/// A segment of a layer as the candidate told it: position, name, role, numbers.
type Told<'c> = Vec<(usize, &'c [f64])>;

impl Judge<'_> {
    fn judge(&self, candidate: &Candidate) -> Diagnosis {
        let layers = self.network.layers().len();
        let mut diagnosis = Diagnosis::default();
        self.compare(candidate, &mut diagnosis);
        let mut state = self.trace.last_delta().clone();
        // Stages since the last number that was told, from which a mistake may come.
        let mut hypotheses = self.at_the_loss(&state);
        for k in (0..layers).rev() {
            let told: Told<'_> = self
                .segments_of(k)
                .into_iter()
                .filter_map(|s| Some((s, candidate.segments.get(s)?.as_deref()?)))
                .collect();
            let layer = self.trace.stages().stage(k + 1).layer;
            let is_receptor = self.trace.stages().dense(layer) == Some(k);
            let delta = candidate.deltas.iter().find(|(l, _)| is_receptor && *l == layer).map(|(_, delta)| delta);
            if delta.is_some() || !told.is_empty() {
                state = self.decide(k, &hypotheses, delta, &told, &mut diagnosis);
                hypotheses = vec![Hypothesis { fault: None, delta: state.clone() }];
            }
            if k > 0 {
                hypotheses = self.through(k, hypotheses);
            }
        }
        diagnosis
    }

    fn segments_of(&self, k: usize) -> Vec<usize> {
        let segments = self.network.layout().segments();
        (0..segments.len()).filter(|&s| segments[s].layer == k).collect()
    }

    /// Every told part beside ours.
    fn compare(&self, candidate: &Candidate, diagnosis: &mut Diagnosis) {
        let mut delta = self.trace.last_delta().clone();
        for k in (0..self.network.layers().len()).rev() {
            let layer = self.trace.stages().stage(k + 1).layer;
            let mut push = |name: String, got: &[f64], expected: &[f64], cols: usize| {
                let (error, at) = error(got, expected);
                let worst = [at / cols + 1, at % cols + 1];
                diagnosis.compared.push(Compared { name, layer, error, worst, expected: expected[at], got: got[at] });
            };
            if self.trace.stages().dense(layer) == Some(k)
                && let Some((_, got)) = candidate.deltas.iter().find(|(l, _)| *l == layer)
            {
                push(format!("δ of layer {layer}"), got.as_slice(), delta.as_slice(), delta.cols());
            }
            for s in self.segments_of(k) {
                if let Some(Some(got)) = candidate.segments.get(s) {
                    let segment = &self.network.layout().segments()[s];
                    push(segment.name.clone(), got, &self.gradient(s, &delta, self.trace.output(k)), segment.shape[1]);
                }
            }
            delta = self.pull_back(k, &delta);
        }
    }

    /// ∂J/∂θ of segment `s` from δ behind its layer and x before it, the sum over rows.
    fn gradient(&self, s: usize, delta: &Matrix<f64>, x: &Matrix<f64>) -> Vec<f64> {
        let segment = &self.network.layout().segments()[s];
        let [rows, cols] = segment.shape;
        let mut gradient = vec![0.0; rows * cols];
        if let (Layer::Dense { outputs }, Role::Weights, 1) =
            (&self.network.layers()[segment.layer], segment.role, self.network.members_at(segment.layer))
        {
            for i in 0..delta.rows() {
                for (r, x) in x.row(i).iter().enumerate() {
                    let sums = &mut gradient[r * outputs..(r + 1) * outputs];
                    sums.iter_mut().zip(delta.row(i)).for_each(|(sum, delta)| *sum += x * delta);
                }
            }
            return gradient;
        }
        for i in 0..delta.rows() {
            for at in 0..rows * cols {
                let place = [at / cols, at % cols];
                let sources = sources(self.network, self.trace.stages(), segment, place, x.row(i));
                gradient[at] += sources.iter().map(|source| source.value * delta[(i, source.unit)]).sum::<f64>();
            }
        }
        gradient
    }

    fn pull_back(&self, k: usize, delta: &Matrix<f64>) -> Matrix<f64> {
        let mut before = Matrix::zeros(delta.rows(), self.locals[0][k].inputs());
        for i in 0..delta.rows() {
            before.row_mut(i).copy_from_slice(&self.locals[i][k].pull_back(delta.row(i)));
        }
        before
    }

    /// δ⁽ᴸ⁾ right, and with the mistakes that are made there.
    fn at_the_loss(&self, delta: &Matrix<f64>) -> Vec<Hypothesis> {
        let last = self.network.layers().len();
        let times = |fault, factor: f64| Hypothesis { fault: Some((fault, last)), delta: scaled(delta, factor) };
        let (n, outputs) = (delta.rows() as f64, self.network.outputs() as f64);
        let mut all = vec![Hypothesis { fault: None, delta: delta.clone() }];
        all.push(times(Fault::Sign, -1.0));
        if n > 1.0 {
            all.push(times(Fault::MissingShare, n));
            all.push(times(Fault::DividedTwice, 1.0 / n));
        }
        if outputs > 1.0 {
            all.push(times(Fault::MeanOverOutputs, 1.0 / outputs));
        }
        if self.loss.link() == Link::Logistic {
            let mut twice = delta.clone();
            let p = self.trace.prediction().as_slice();
            twice.as_mut_slice().iter_mut().zip(p).for_each(|(delta, p)| *delta *= p * (1.0 - p));
            all.push(Hypothesis { fault: Some((Fault::LinkTwice, last)), delta: twice });
        }
        all
    }

    /// All hypotheses through layer `k`, and those that are made in it from the right one.
    fn through(&self, k: usize, hypotheses: Vec<Hypothesis>) -> Vec<Hypothesis> {
        let right = hypotheses[0].delta.clone();
        let mut all: Vec<Hypothesis> = hypotheses
            .into_iter()
            .map(|Hypothesis { fault, delta }| Hypothesis { fault, delta: self.pull_back(k, &delta) })
            .collect();
        let before = all[0].delta.clone();
        let mut push = |fault, delta| all.push(Hypothesis { fault: Some((fault, k)), delta });
        match &self.network.layers()[k] {
            Layer::Activation(activation) => {
                push(Fault::MissingDerivative, right.clone());
                let (x, set) = (self.trace.output(k + 1), self.processor.instruction_set());
                let mut at_x = right.clone();
                let mut a = x.clone();
                activation.activate(set, x.as_slice(), a.as_mut_slice());
                activation.differentiate(set, x.as_slice(), a.as_slice(), at_x.as_mut_slice());
                push(Fault::DerivativeAtX, at_x);
                push(Fault::Sign, scaled(&before, -1.0));
            }
            Layer::Dense { outputs } if self.network.members_at(k) == 1 => {
                push(Fault::Sign, scaled(&before, -1.0));
                let weights = self.network.weights(k);
                let inputs = weights.rows();
                // W where Wᵀ belongs: for a square W as it is, else its numbers in the other shape.
                let mut transposed = Matrix::zeros(right.rows(), inputs);
                for i in 0..right.rows() {
                    for r in 0..inputs {
                        let product = |c: usize| right[(i, c)] * weights.as_slice()[c * inputs + r];
                        transposed[(i, r)] = (0..*outputs).map(product).sum();
                    }
                }
                push(Fault::TransposedWeights, transposed);
                if (2..=MOST_PATHS).contains(outputs) {
                    for c in 0..*outputs {
                        let part = |keep: &dyn Fn(usize) -> bool| {
                            let mut part = right.clone();
                            for i in 0..part.rows() {
                                part.row_mut(i)
                                    .iter_mut()
                                    .enumerate()
                                    .filter(|(j, _)| !keep(*j))
                                    .for_each(|(_, d)| *d = 0.0);
                            }
                            self.pull_back(k, &part)
                        };
                        push(Fault::PathLeftOut(c + 1), part(&|j| j != c));
                        if *outputs > 2 {
                            push(Fault::OnePathOnly(c + 1), part(&|j| j == c));
                        }
                    }
                }
            }
            _ => {}
        }
        all
    }

    /// Takes the hypothesis that explains best what layer `k` shows, and gives its δ behind the layer.
    fn decide(
        &self,
        k: usize,
        hypotheses: &[Hypothesis],
        delta: Option<&Matrix<f64>>,
        told: &Told<'_>,
        diagnosis: &mut Diagnosis,
    ) -> Matrix<f64> {
        let layer = self.trace.stages().stage(k + 1).layer;
        let x = self.trace.output(k);
        // How badly a δ explains δ itself and each segment.
        let errors = |hypothesis: &Hypothesis| -> Vec<f64> {
            let of_delta = delta.map(|delta| error(delta.as_slice(), hypothesis.delta.as_slice()).0);
            let segments = told.iter().map(|(s, got)| error(got, &self.gradient(*s, &hypothesis.delta, x)).0);
            of_delta.into_iter().chain(segments).collect()
        };
        let all: Vec<Vec<f64>> = hypotheses.iter().map(errors).collect();
        let worst = |errors: &Vec<f64>| errors.iter().fold(0.0_f64, |max, e| max.max(*e));
        let unexplained = worst(&all[0]);
        if unexplained <= TOLERANCE {
            return hypotheses[0].delta.clone();
        }
        // Nothing but zeros tells nothing of where they come from.
        if delta.is_none() && told.iter().all(|(_, got)| got.iter().all(|g| *g == 0.0)) {
            for (s, got) in told {
                let (error, _) = error(got, &self.gradient(*s, &hypotheses[0].delta, x));
                if error > TOLERANCE {
                    let biases = self.network.layout().segments()[*s].role == Role::Biases;
                    let fault = if biases { Fault::BiasForgotten } else { Fault::Missing };
                    diagnosis.findings.push(self.segment_finding(layer, *s, fault, error, 0.0));
                }
            }
            return hypotheses[0].delta.clone();
        }
        // A mistake on the way here explains everything that is shown.
        let explaining: Vec<usize> = (1..all.len()).filter(|&h| worst(&all[h]) <= TOLERANCE).collect();
        if let Some(&best) = explaining.iter().min_by(|&&a, &&b| worst(&all[a]).total_cmp(&worst(&all[b]))) {
            let (fault, stage) = hypotheses[best].fault.clone().expect("a mistake");
            let or = explaining.iter().filter(|&&h| h != best).filter_map(|&h| hypotheses[h].fault.clone());
            let or = or.map(|(fault, _)| fault).filter(|other| *other != fault).collect();
            diagnosis.findings.push(self.finding(fault, stage, unexplained, worst(&all[best]), or));
            return hypotheses[best].delta.clone();
        }
        // Else the mistake is in a segment itself: δ is the one that explains the most of the others.
        let explained = |h: &usize| all[*h].iter().filter(|e| **e <= TOLERANCE).count();
        let best = (0..all.len()).max_by_key(|h| (explained(h), usize::from(*h == 0))).unwrap_or(0);
        if let Some((fault, stage)) = hypotheses[best].fault.clone() {
            diagnosis.findings.push(self.finding(fault, stage, unexplained, 0.0, Vec::new()));
        }
        let state = &hypotheses[best].delta;
        let delta_wrong = delta.is_some() && all[best][0] > TOLERANCE;
        if delta_wrong {
            let stage = (k + 1).min(self.network.layers().len());
            diagnosis.findings.push(self.finding(Fault::Unknown, stage, all[best][0], all[best][0], Vec::new()));
            // What it leads to is judged by itself.
            return delta.cloned().unwrap_or_else(|| state.clone());
        }
        let delta_shown = delta.is_some()
            || told.iter().zip(&all[best][usize::from(delta.is_some())..]).any(|((s, _), error)| {
                self.network.layout().segments()[*s].role != Role::Weights && *error <= TOLERANCE
            });
        for (s, got) in told {
            let expected = self.gradient(*s, state, x);
            let (error, _) = error(got, &expected);
            if error > TOLERANCE {
                let (fault, with) = self.in_segment(*s, got, &expected, state, delta_shown);
                diagnosis.findings.push(self.segment_finding(layer, *s, fault, error, with));
            }
        }
        state.clone()
    }

    /// The mistake in one segment's gradient, δ being right.
    fn in_segment(
        &self,
        s: usize,
        got: &[f64],
        expected: &[f64],
        delta: &Matrix<f64>,
        delta_shown: bool,
    ) -> (Fault, f64) {
        let segment = &self.network.layout().segments()[s];
        let k = segment.layer;
        let n = delta.rows();
        let mut tries: Vec<(Fault, Vec<f64>)> = Vec::new();
        let times = |factor: f64| expected.iter().map(|x| x * factor).collect::<Vec<f64>>();
        if segment.role == Role::Biases && got.iter().all(|g| *g == 0.0) {
            return (Fault::BiasForgotten, 0.0);
        }
        tries.push((Fault::Sign, times(-1.0)));
        if n > 1 {
            tries.push((Fault::SumForMean, times(n as f64)));
            tries.push((Fault::DividedTwice, times(1.0 / n as f64)));
        }
        if segment.role == Role::Weights {
            let [rows, cols] = segment.shape;
            let transposed = (0..cols).flat_map(|c| (0..rows).map(move |r| expected[r * cols + c])).collect();
            tries.push((Fault::TransposedGradient, transposed));
            let x = self.trace.output(k);
            if let Some(z) = k.checked_sub(1).map(|before| self.trace.output(before)).filter(|z| z.cols() == x.cols()) {
                tries.push((Fault::ZForX, self.gradient(s, delta, z)));
            }
            for by in (1..n.min(MOST_SHIFTS)).chain((n > MOST_SHIFTS).then_some(n - 1)) {
                let mut shifted = x.clone();
                (0..n).for_each(|i| shifted.row_mut(i).copy_from_slice(x.row((i + by) % n)));
                tries.push((Fault::RowsShifted(by), self.gradient(s, delta, &shifted)));
            }
        }
        let judged = tries.into_iter().map(|(fault, numbers)| (fault, error(got, &numbers).0));
        if let Some((fault, with)) = judged.min_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, with)| *with <= TOLERANCE) {
            return (fault, with);
        }
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let factor = dot(got, expected) / dot(expected, expected);
        let (with, _) = error(got, &times(factor));
        if with <= TOLERANCE && factor.is_finite() {
            return (Fault::Factor(factor), with);
        }
        if delta_shown && segment.role == Role::Weights && got.iter().all(|g| g.is_finite()) {
            return (Fault::StaleActivation, f64::NAN);
        }
        (Fault::Unknown, f64::NAN)
    }

    fn segment_finding(&self, layer: usize, s: usize, fault: Fault, error: f64, error_with: f64) -> Finding {
        let segment = &self.network.layout().segments()[s];
        let letter = match segment.role {
            Role::Weights => "W",
            Role::Biases => "b",
            Role::Scale => "γ",
            Role::Shift => "β",
        };
        let up = raised(layer);
        let before = raised(self.trace.stages().stage(segment.layer).layer);
        let right = match segment.role {
            Role::Weights => format!("∂J/∂W{up} = X{before}ᵀδ{up}"),
            Role::Biases => format!("∂J/∂b{up} = Σ δ{up} over the rows"),
            _ => format!("∂J/∂{letter}{up} is a sum over the rows"),
        };
        let what = match &fault {
            Fault::Sign => "has the wrong sign".into(),
            Fault::SumForMean => {
                format!(
                    "is {} times too large: δ already holds the 1/n, or the sum over rows was not divided by n",
                    self.trace.rows()
                )
            }
            Fault::DividedTwice => {
                format!("is divided by the {} rows once too often: δ already holds the 1/n", self.trace.rows())
            }
            Fault::TransposedGradient => "is told transposed, as [n_out, n_in]".into(),
            Fault::BiasForgotten | Fault::Missing => "is missing: all 0".into(),
            Fault::ZForX => format!("is computed with the pre-activations Z{before} in place of X{before}"),
            Fault::RowsShifted(by) => format!("pairs rows that do not belong together: X{before} is shifted by {by}"),
            Fault::StaleActivation => format!(
                "has a right δ{up} but another X{before}: an activation of an earlier pass, or of another batch"
            ),
            Fault::Factor(factor) => format!("is {} times what it should be", super::symbol::number(*factor, 6)),
            _ => "is wrong in a way that none of the usual mistakes explains".into(),
        };
        let text = format!("{what}; right is {right}");
        Finding { layer, term: format!("∂J/∂{letter}{up}"), fault, text, error, error_with, or: Vec::new() }
    }

    /// A mistake in δ on its way through layer `k` (at the loss, for k = all).
    fn finding(&self, fault: Fault, k: usize, error: f64, error_with: f64, or: Vec<Fault>) -> Finding {
        let stages = self.trace.stages();
        let at_the_loss = k == self.network.layers().len();
        let layer = if at_the_loss { stages.last_layer() } else { stages.stage(k).layer.max(1) };
        let (up, next) = (raised(layer), raised(layer + 1));
        let n = self.trace.rows();
        let (term, text) = if at_the_loss {
            let term = format!("∂J/∂X{up}");
            let text = match &fault {
                Fault::MissingShare => format!("is not divided by the {n} rows; J is a mean, so its derivative has the 1/n"),
                Fault::DividedTwice => format!("is divided by the {n} rows twice"),
                Fault::MeanOverOutputs => format!(
                    "is divided by the {} outputs too; J is a mean over rows and a sum over outputs",
                    self.network.outputs()
                ),
                Fault::Sign => "has the wrong sign; right is prediction − target".into(),
                Fault::LinkTwice => {
                    "holds the derivative of the output's function once too often: with this loss δ = prediction − target".into()
                }
                _ => "is wrong in a way that none of the usual mistakes explains".into(),
            };
            (term, text)
        } else {
            let term = format!("δ{up}");
            let right = format!("right is δ{up} = (δ{next}W{next}ᵀ) ∘ a′(Z{up})");
            let text = match &fault {
                Fault::MissingDerivative => format!("lacks the factor a′(Z{up}), the activation's derivative; {right}"),
                Fault::DerivativeAtX => format!("takes the activation's derivative at X{up}, not at Z{up}; {right}"),
                Fault::TransposedWeights => format!("uses W{next} where its transpose belongs; {right}"),
                Fault::PathLeftOut(c) => {
                    format!("leaves out the path through neuron {c} of layer {}; {right}", layer + 1)
                }
                Fault::OnePathOnly(c) => {
                    format!(
                        "follows only the path through neuron {c} of layer {}; all must be summed: {right}",
                        layer + 1
                    )
                }
                Fault::Sign => format!("has the wrong sign; {right}"),
                _ => format!("is wrong in a way that none of the usual mistakes explains; {right}"),
            };
            (term, text)
        };
        Finding { layer, term, fault, text, error, error_with, or }
    }
}

/// Paths that are left out one at a time, at most.
const MOST_PATHS: usize = 128;
/// Shifts of rows that are tried.
const MOST_SHIFTS: usize = 8;

fn scaled(matrix: &Matrix<f64>, factor: f64) -> Matrix<f64> {
    let mut scaled = matrix.clone();
    scaled.as_mut_slice().iter_mut().for_each(|x| *x *= factor);
    scaled
}

/// ⁽²⁾.
fn raised(layer: usize) -> String {
    let digits: String =
        layer.to_string().bytes().map(|d| super::symbol::SUPERSCRIPTS[usize::from(d - b'0')]).collect();
    format!("⁽{digits}⁾")
}
