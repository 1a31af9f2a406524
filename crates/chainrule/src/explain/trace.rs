//! The forward pass with everything it computed, and the names of it all.

use super::local::Local;
use super::symbol::{Letter, Symbol, Written};
use crate::backprop::{self, Data, Workspace};
use crate::error::Error;
use crate::kernels::{FloatEnvironment, Processor};
use crate::layer::Layer;
use crate::loss::{Link, Loss};
use crate::matrix::{Matrix, MatrixRef};
use crate::network::Network;

/// What stands between two layers of the list: X⁽⁰⁾, Z⁽¹⁾, X⁽¹⁾, ….
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// What its numbers are called.
    pub letter: Letter,
    /// The layer l that it belongs to: 0 up to the first dense layer.
    pub layer: usize,
    /// Numbers of each member.
    pub width: usize,
    /// How many members there are.
    pub members: usize,
    /// Whether the layer before left the numbers as they were (dropout at prediction).
    pub same: bool,
}

impl Stage {
    /// The symbol of number `i` (from 0, all members').
    pub fn symbol(&self, i: usize) -> Symbol {
        self.parameter(self.letter, i, &[i % self.width + 1])
    }

    /// A parameter's symbol of this layer, of the member that number `i` is of.
    pub(crate) fn parameter(&self, letter: Letter, i: usize, indices: &[usize]) -> Symbol {
        let member = (self.members > 1).then(|| i / self.width + 1);
        Symbol::new(letter, self.layer, member, indices)
    }

    /// The whole matrix's symbol: Z⁽¹⁾.
    pub fn matrix(&self) -> String {
        let layer: String =
            self.layer.to_string().bytes().map(|d| super::symbol::SUPERSCRIPTS[usize::from(d - b'0')]).collect();
        format!("{}⁽{layer}⁾", self.letter.plain().to_uppercase())
    }
}

/// The stages of a network, one more than there are layers.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages(Vec<Stage>);

impl Stages {
    /// Names what the layers of `network` compute.
    pub fn new<T: crate::Scalar>(network: &Network<T>) -> Self {
        let mut stages =
            vec![Stage { letter: Letter::X(0), layer: 0, width: network.inputs(), members: 1, same: false }];
        let (mut layer, mut seen_x, mut seen_normed) = (0, 1, 0);
        for (k, kind) in network.layers().iter().enumerate() {
            let members = network.members_at(k);
            let mut same = false;
            let letter = match kind {
                Layer::Dense { .. } | Layer::Heads { .. } => {
                    layer += 1;
                    (seen_x, seen_normed) = (0, 0);
                    Letter::Z
                }
                Layer::Activation(_) => {
                    seen_x += 1;
                    Letter::X(seen_x - 1)
                }
                Layer::BatchNorm { .. } | Layer::LayerNorm { .. } => {
                    seen_normed += 1;
                    Letter::Normed(seen_normed - 1)
                }
                Layer::Piecewise { .. } => Letter::Embedded,
                // The same neuron, as each member sees it.
                Layer::Members { .. } => stages[k].letter,
                Layer::Dropout { .. } => {
                    same = true;
                    stages[k].letter
                }
            };
            stages.push(Stage { letter, layer, width: network.width(k) / members, members, same });
        }
        Self(stages)
    }

    /// What stands before layer `k` of the list (behind all, for k = the number of layers).
    pub fn stage(&self, k: usize) -> &Stage {
        &self.0[k]
    }

    /// All, in order.
    pub fn all(&self) -> &[Stage] {
        &self.0
    }

    /// L, the last layer.
    pub fn last_layer(&self) -> usize {
        self.0.last().map_or(0, |stage| stage.layer)
    }

    /// The position in the layer list of the dense layer (or heads) that is layer `l`.
    pub fn dense(&self, l: usize) -> Option<usize> {
        (1..self.0.len())
            .find(|&k| self.0[k].layer == l && self.0[k].letter == Letter::Z)
            .map(|k| k - 1)
            .filter(|_| l > 0)
    }
}

/// The input column that number `i` of stage `k` is made of alone, in front of the first dense layer.
pub fn origin<T: crate::Scalar>(network: &Network<T>, k: usize, i: usize) -> Option<usize> {
    (0..k).rev().try_fold(i, |i, k| match &network.layers()[k] {
        Layer::Dense { .. } | Layer::Heads { .. } | Layer::LayerNorm { .. } => None,
        Layer::Activation(_) | Layer::Dropout { .. } | Layer::BatchNorm { .. } => Some(i),
        Layer::Members { count } => Some(i % (network.width(k) / count)),
        Layer::Piecewise { width, columns, .. } => match i / width {
            c if c < columns.len() => Some(columns[c]),
            // The others follow in their order.
            _ => (0..).filter(|column| columns.binary_search(column).is_err()).nth(i - columns.len() * width),
        },
    })
}

/// A pass of some rows: every number that the network computed, as at prediction, in f64.
///
/// ```
/// use chainrule::explain::Trace;
/// use chainrule::{Activation, Data, Loss, Matrix, Network, Processor};
/// let network = Network::<f64>::mlp(2, &[3], 1, &Activation::Relu, None, 1)?;
/// let (x, y) = (Matrix::from_rows(&[[6.1, 8.7]]), Matrix::from_rows(&[[113.0]]));
/// let trace = Trace::new(&network, &Loss::SquaredError, &Data::new(x.view(), y.view()), &Processor::new(1))?;
/// assert_eq!(trace.output(0).row(0), [6.1, 8.7]);
/// assert_eq!(trace.stages().stage(1).symbol(2).to_string(), "z⁽¹⁾₃");
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trace {
    stages: Stages,
    outputs: Vec<Matrix<f64>>,
    prediction: Matrix<f64>,
    losses: Vec<f64>,
    shares: Vec<f64>,
    targets: Matrix<f64>,
    delta: Matrix<f64>,
}

impl Trace {
    /// Passes the rows of `data` through the network as at prediction; the last pre-activations also through the loss.
    ///
    /// # Errors
    /// If the data do not fit the network and the loss.
    pub fn new(
        network: &Network<f64>,
        loss: &Loss,
        data: &Data<'_, f64>,
        processor: &Processor,
    ) -> Result<Self, Error> {
        data.check(network, loss)?;
        let mut trace = Self::forward(network, loss, data.x, processor)?;
        let _environment = FloatEnvironment::ieee();
        let (n, members, last) = (data.x.rows(), network.members(), network.layers().len());
        let weight = |i: usize| data.weights.map_or(1.0, |weights| weights[i]);
        let total: f64 = (0..n).map(weight).sum();
        trace.shares = (0..n * members).map(|i| weight(i / members) / (total * members as f64)).collect();
        trace.targets = Matrix::zeros(n * members, data.y.cols());
        for i in 0..n * members {
            trace.targets.row_mut(i).copy_from_slice(data.y.row(i / members));
        }
        let z = trace.outputs[last].view().cut_rows(members);
        let mut losses = vec![0.0; n * members];
        trace.delta = trace.outputs[last].clone();
        let delta = trace.delta.view_mut().cut_rows(members);
        loss.value_and_delta(processor.instruction_set(), z, trace.targets.view(), &trace.shares, &mut losses, delta);
        trace.losses = losses;
        Ok(trace)
    }

    /// The same without targets: nothing is known of the loss.
    ///
    /// # Errors
    /// If `x` has not the network's columns.
    pub fn forward(
        network: &Network<f64>,
        loss: &Loss,
        x: MatrixRef<'_, f64>,
        processor: &Processor,
    ) -> Result<Self, Error> {
        if x.cols() != network.inputs() {
            return Err(Error::Length { what: "input columns", expected: network.inputs(), got: x.cols() });
        }
        let mut workspace = Workspace::new(network, x.rows(), 1);
        backprop::forward(network, x, None, &mut workspace, processor);
        let stages = Stages::new(network);
        let outputs: Vec<Matrix<f64>> = (0..stages.all().len())
            .map(|k| {
                let mut matrix = Matrix::zeros(x.rows(), stages.stage(k).width * stages.stage(k).members);
                workspace.output(k).enumerate().for_each(|(i, row)| matrix.row_mut(i).copy_from_slice(row));
                matrix
            })
            .collect();
        let mut prediction = outputs[network.layers().len()].clone();
        loss.predict(processor.instruction_set(), prediction.view_mut().cut_rows(network.members()));
        let (losses, shares) = (Vec::new(), Vec::new());
        let (targets, delta) = (Matrix::zeros(0, 0), Matrix::zeros(0, 0));
        Ok(Self { stages, outputs, prediction, losses, shares, targets, delta })
    }

    /// The names of everything.
    pub fn stages(&self) -> &Stages {
        &self.stages
    }

    /// The numbers of stage `k`, \[rows, members·width\].
    pub fn output(&self, k: usize) -> &Matrix<f64> {
        &self.outputs[k]
    }

    /// X⁽ᴸ⁾, the last pre-activations through the loss's link, \[rows, members·outputs\].
    pub fn prediction(&self) -> &Matrix<f64> {
        &self.prediction
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.outputs[0].rows()
    }

    /// J over the rows, if there were targets: Σ sᵢℓᵢ with the members' mean within a row.
    pub fn loss(&self) -> Option<f64> {
        (!self.losses.is_empty()).then(|| self.losses.iter().zip(&self.shares).map(|(loss, share)| loss * share).sum())
    }

    /// The target row of row `i`.
    pub fn target(&self, i: usize) -> &[f64] {
        self.targets.row(i * (self.targets.rows() / self.rows()))
    }

    /// The share wᵢ/Σw of row `i` in J, over the members.
    pub fn share(&self, i: usize) -> f64 {
        self.shares[i * (self.shares.len() / self.rows())]
    }

    /// ∂J/∂Z⁽ᴸ⁾, \[rows, members·outputs\] (equation 8); empty without targets.
    pub fn last_delta(&self) -> &Matrix<f64> {
        &self.delta
    }

    /// The Jacobians of all layers for row `i`.
    pub(crate) fn locals<'n>(&self, network: &'n Network<f64>, i: usize, processor: &Processor) -> Vec<Local<'n>> {
        let set = processor.instruction_set();
        let local = |k: usize| Local::new(network, k, self.outputs[k].row(i), self.outputs[k + 1].row(i), set);
        (0..network.layers().len()).map(local).collect()
    }

    /// ∂J/∂(stage k) for row `i` and every k, by the chain rule from the Jacobians of the layers.
    pub(crate) fn deltas(&self, locals: &[Local<'_>], i: usize) -> Vec<Vec<f64>> {
        let mut deltas = vec![self.delta.row(i).to_vec()];
        for local in locals.iter().rev() {
            deltas.push(local.pull_back(deltas.last().expect("the last delta")));
        }
        deltas.reverse();
        deltas
    }
}

/// The first factors of every path, ∂J/∂x⁽ᴸ⁾ₖ and ∂x⁽ᴸ⁾ₖ/∂z⁽ᴸ⁾ₖ, or both in one where the loss fuses them.
pub(crate) fn loss_factors(loss: &Loss, trace: &Trace, row: usize, unit: usize) -> Vec<super::ledger::Factor> {
    use super::ledger::Factor;
    let stages = &trace.stages;
    let last = stages.stage(stages.all().len() - 1);
    let z = Written::symbol(&last.symbol(unit));
    // Where an activation comes last, the prediction is the next x.
    let predicted = if let Letter::X(n) = last.letter { Letter::X(n + 1) } else { Letter::X(0) };
    let x = Written::symbol(&last.parameter(predicted, unit, &[unit % last.width + 1]));
    let j = Written::new("J", "J");
    let y = match loss {
        Loss::Quantile { .. } => Written::new("y", "y"),
        _ => Written::symbol(&Symbol::new(Letter::Target, 0, None, &[unit % last.width + 1])),
    };
    let value = trace.delta.row(row)[unit];
    // The row's share 1/n, if it is not 1, and the members'.
    let share = trace.share(row);
    let times = |term: Written| match share {
        1.0 => term,
        share => {
            let (plain, latex) = (super::symbol::number(share, 6), super::symbol::latex_number(share, 6));
            Written::new(format!("{plain}·({})", term.plain), format!("{latex}\\,({})", term.latex))
        }
    };
    let difference = Written::new(format!("{} − {}", x.plain, y.plain), format!("{}-{}", x.latex, y.latex));
    if loss.link() == Link::Identity {
        let term = match loss {
            Loss::SquaredError => difference,
            other => {
                let name = other.to_string();
                let name = name.split(':').next().unwrap_or_default().to_owned();
                let latex = name.replace('_', "\\_");
                Written::new(
                    format!("{name}′({}, {})", x.plain, y.plain),
                    format!("\\mathrm{{{latex}}}'({},{})", x.latex, y.latex),
                )
            }
        };
        return vec![
            Factor { derivative: Written::derivative(&j, &x), term: times(term), value },
            Factor { derivative: Written::derivative(&x, &z), term: Written::new("1", "1"), value: 1.0 },
        ];
    }
    let term = match loss {
        // The class's indicator, mixed with the uniform distribution where labels are smoothed.
        Loss::CrossEntropy { smoothing } => {
            let class = trace.target(row)[0] as usize == unit % last.width;
            let k = last.width as f64;
            let q = f64::from(u8::from(class)) * (1.0 - smoothing) + smoothing / k;
            let q = super::symbol::number(q, 6);
            Written::new(format!("{} − {q}", x.plain), format!("{}-{q}", x.latex))
        }
        _ => difference,
    };
    vec![Factor { derivative: Written::derivative(&j, &z), term: times(term), value }]
}
