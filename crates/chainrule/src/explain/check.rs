//! Backpropagation against differences of J.

use super::ledger::{Parameter, gradient};
use super::trace::Trace;
use crate::activation::Activation;
use crate::backprop::{self, Data, Workspace};
use crate::error::Error;
use crate::kernels::{FloatEnvironment, Processor};
use crate::layer::Layer;
use crate::loss::Loss;
use crate::matrix::Matrix;
use crate::network::Network;

/// ε^⅔ of f64: how near a central difference comes at its best step.
const EPSILON_TO_TWO_THIRDS: f64 = 3.666_852_862_501_6e-11;

/// J as a function of one parameter: the network is copied once, and moved.
pub(crate) struct Objective<'a> {
    network: std::cell::RefCell<Network<f64>>,
    workspace: std::cell::RefCell<Workspace<f64>>,
    loss: &'a Loss,
    x: crate::MatrixRef<'a, f64>,
    targets: Matrix<f64>,
    shares: Vec<f64>,
    processor: &'a Processor,
}

/// A central difference.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) value: f64,
    pub(crate) step: f64,
    pub(crate) kink: bool,
}

impl<'a> Objective<'a> {
    pub(crate) fn new(
        network: &Network<f64>,
        loss: &'a Loss,
        data: &Data<'a, f64>,
        processor: &'a Processor,
    ) -> Result<Self, Error> {
        data.check(network, loss)?;
        let members = network.members();
        let n = data.x.rows();
        let weight = |i: usize| data.weights.map_or(1.0, |weights| weights[i]);
        let total: f64 = (0..n).map(weight).sum();
        let mut targets = Matrix::zeros(n * members, data.y.cols());
        (0..n * members).for_each(|i| targets.row_mut(i).copy_from_slice(data.y.row(i / members)));
        Ok(Self {
            workspace: Workspace::new(network, n, 1).into(),
            network: network.clone().into(),
            loss,
            x: data.x,
            targets,
            shares: (0..n * members).map(|i| weight(i / members) / (total * members as f64)).collect(),
            processor,
        })
    }

    /// J with parameter `index` at `value`, and on which side of their kinks all pre-activations are.
    fn at(&self, index: usize, value: f64) -> (f64, Vec<bool>) {
        let mut network = self.network.borrow_mut();
        let mut workspace = self.workspace.borrow_mut();
        let _environment = FloatEnvironment::ieee();
        let before = std::mem::replace(&mut network.parameters_mut()[index], value);
        backprop::forward(&network, self.x, None, &mut workspace, self.processor);
        network.parameters_mut()[index] = before;
        let (last, members) = (network.layers().len(), network.members());
        let mut z = Matrix::zeros(self.x.rows(), members * network.outputs());
        workspace.output(last).enumerate().for_each(|(i, row)| z.row_mut(i).copy_from_slice(row));
        let mut losses = vec![0.0; self.shares.len()];
        let mut delta = z.clone();
        let delta = delta.view_mut().cut_rows(members);
        let set = self.processor.instruction_set();
        let view = z.view().cut_rows(members);
        self.loss.value_and_delta(set, view, self.targets.view(), &self.shares, &mut losses, delta);
        let mut sides: Vec<bool> = Vec::new();
        for (k, layer) in network.layers().iter().enumerate() {
            if has_kink(layer) {
                sides.extend(workspace.output(k).flat_map(|row| row.iter().map(|z| *z > 0.0)));
            }
        }
        if has_kinks(self.loss) {
            let (columns, per_target) = (view.cols(), self.targets.cols());
            let side = |(i, z): (usize, &f64)| {
                let (row, k) = (i / columns, i % columns);
                let d = z - self.targets.row(row)[k.min(per_target - 1)];
                if let Loss::Huber { delta } = self.loss { d.abs() > *delta } else { d > 0.0 }
            };
            sides.extend(view.as_slice().iter().enumerate().map(side));
        }
        (losses.iter().zip(&self.shares).map(|(loss, share)| loss * share).sum(), sides)
    }

    /// (J(θ + h) − J(θ − h))/2h, with h shortened while a kink lies between the ends.
    pub(crate) fn difference(&self, index: usize) -> Difference {
        let theta = self.network.borrow().parameters()[index];
        // ∛ε balances the truncation, h², against the rounding, ε/h.
        let mut step = f64::EPSILON.cbrt() * theta.abs().max(1.0);
        let mut kink = true;
        let mut value = 0.0;
        for _ in 0..6 {
            let (up, down) = (theta + step, theta - step);
            let ((above, sides), (below, others)) = (self.at(index, up), self.at(index, down));
            value = (above - below) / (up - down);
            kink = sides != others;
            if !kink {
                break;
            }
            step /= 4.0;
        }
        Difference { value, step, kink }
    }
}

fn has_kink(layer: &Layer) -> bool {
    use Activation::{Elu, LeakyRelu, Relu, Selu};
    matches!(layer, Layer::Activation(Relu | LeakyRelu { .. } | Elu { .. } | Selu))
}

fn has_kinks(loss: &Loss) -> bool {
    matches!(loss, Loss::AbsoluteError | Loss::Quantile { .. } | Loss::Huber { .. })
}

/// One parameter's gradient both ways.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The parameter.
    pub parameter: Parameter,
    /// Its name: `0.weight[1,2]`.
    pub name: String,
    /// Its symbol: w⁽¹⁾₁₂.
    pub symbol: String,
    /// ∂J/∂θ as it is claimed.
    pub gradient: f64,
    /// ∂J/∂θ by a central difference.
    pub difference: f64,
    /// |gradient − difference| relative to the larger of them and to [`Check::scale`].
    pub error: f64,
}

/// What a gradient check found.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Parameters that were compared.
    pub compared: usize,
    /// Parameters of the network.
    pub parameters: usize,
    /// Parameters left out since a kink of an activation or of the loss lies within the smallest step.
    pub kinks: usize,
    /// Rows that J was averaged over.
    pub rows: usize,
    /// What small gradients are compared to: 10⁻³ of the largest gradient, or of what rounding leaves of J.
    pub scale: f64,
    /// The largest errors, largest first, a few.
    pub worst: Vec<Checked>,
    /// The largest error that passes.
    pub tolerance: f64,
}

impl Check {
    /// Whether all errors are below the tolerance.
    pub fn passes(&self) -> bool {
        self.worst.iter().all(|checked| checked.error <= self.tolerance)
    }

    /// The largest error.
    pub fn error(&self) -> f64 {
        self.worst.first().map_or(0.0, |checked| checked.error)
    }
}

/// The largest relative error of a sound gradient: the difference itself is only so good.
pub const TOLERANCE: f64 = 1e-5;

/// Compares backpropagation with central differences for up to `most` parameters, spread evenly over all.
///
/// # Errors
/// If the data do not fit the network and the loss.
pub fn check_gradient(
    network: &Network<f64>,
    loss: &Loss,
    data: &Data<'_, f64>,
    most: usize,
    processor: &Processor,
) -> Result<Check, Error> {
    data.check(network, loss)?;
    let gradient = gradient(network, loss, data, processor);
    check_claim(network, loss, data, &gradient, most, processor)
}

/// The same for a gradient that somebody claims, laid out as the parameters.
///
/// # Errors
/// If the data do not fit, or the gradient is not as long as the parameters.
pub fn check_claim(
    network: &Network<f64>,
    loss: &Loss,
    data: &Data<'_, f64>,
    gradient: &[f64],
    most: usize,
    processor: &Processor,
) -> Result<Check, Error> {
    let parameters = network.parameters().len();
    if gradient.len() != parameters {
        return Err(Error::Length { what: "gradient", expected: parameters, got: gradient.len() });
    }
    let objective = Objective::new(network, loss, data, processor)?;
    let stages = Trace::forward(network, loss, data.x.rows_range(0..1), processor)?.stages().clone();
    let largest = gradient.iter().fold(0.0_f64, |max, g| max.max(g.abs()));
    // J itself is known to ε; its difference over 2h to ε·J/h.
    let (j, _) = objective.at(0, network.parameters()[0]);
    let scale = (1e-3 * largest).max(j.abs() * EPSILON_TO_TWO_THIRDS * 1e3).max(f64::MIN_POSITIVE);
    let most = most.clamp(1, parameters);
    let (mut worst, mut kinks, mut compared): (Vec<Checked>, _, _) = (Vec::new(), 0, 0);
    for n in 0..most {
        let index = (n as u128 * parameters as u128 / most as u128) as usize;
        let difference = objective.difference(index);
        if difference.kink {
            kinks += 1;
            continue;
        }
        compared += 1;
        let (g, d) = (gradient[index], difference.value);
        let error = (g - d).abs() / g.abs().max(d.abs()).max(scale);
        // NaN is the worst of all.
        let error = if error.is_nan() { f64::INFINITY } else { error };
        let parameter = Parameter::at(network, index).expect("within the parameters");
        worst.push(Checked {
            parameter,
            name: parameter.name(network),
            symbol: parameter.symbol(network, &stages).to_string(),
            gradient: g,
            difference: d,
            error,
        });
        if worst.len() > 64 {
            sort_worst(&mut worst);
        }
    }
    sort_worst(&mut worst);
    Ok(Check { compared, parameters, kinks, rows: data.x.rows(), scale, worst, tolerance: TOLERANCE })
}

fn sort_worst(worst: &mut Vec<Checked>) {
    worst.sort_by(|a, b| b.error.total_cmp(&a.error));
    worst.truncate(8);
}
