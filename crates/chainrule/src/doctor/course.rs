//! What is written down of a run, and what a trained network looks like.

use crate::backprop::{self, Data, Workspace, evaluate};
use crate::error::Error;
use crate::kernels::Processor;
use crate::layer::Layer;
use crate::loss::{Link, Loss};
use crate::matrix::{Matrix, MatrixRef};
use crate::network::{Network, Role};
use crate::optimizer::Optimizer;
use crate::scalar::Scalar;
use crate::train::{Epoch, Event, LayerFacts, Options, Sums, train};
use std::ops::ControlFlow;

/// An epoch of a [`Course`]: the facts of [`Epoch`], kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps taken in the whole run.
    pub steps: usize,
    /// J averaged over the epoch's rows, each as its batch saw it.
    pub loss: f64,
    /// J over the validation rows.
    pub validation_loss: Option<f64>,
    /// η of the last step.
    pub learning_rate: f64,
    /// ‖∂J/∂θ‖ of each segment in the last step.
    pub gradient_norms: Vec<f64>,
    /// ‖Δθ‖/‖θ‖ of each segment in the last step.
    pub updates: Vec<f64>,
    /// The input and each layer's output in the last step.
    pub layers: Vec<LayerFacts>,
}

/// What is written down of a run while it trains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Course {
    /// The input and each layer's output in the first step.
    pub start: Vec<LayerFacts>,
    /// The epochs, in order.
    pub epochs: Vec<Record>,
}

impl Course {
    /// Writes an event down.
    pub fn see(&mut self, event: &Event<'_>) {
        if let Event::Epoch(epoch) = event {
            self.epoch(epoch);
        }
    }

    fn epoch(&mut self, epoch: &Epoch<'_>) {
        if self.start.is_empty() {
            self.start = epoch.start.to_vec();
        }
        self.epochs.push(Record {
            epoch: epoch.epoch,
            steps: epoch.steps,
            loss: epoch.loss,
            validation_loss: epoch.validation_loss,
            learning_rate: epoch.learning_rate,
            gradient_norms: epoch.gradient_norms.to_vec(),
            updates: epoch.updates.to_vec(),
            layers: epoch.layers.to_vec(),
        });
    }
}

/// A trained network on rows that it has learnt from.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkup {
    /// The layers.
    pub layers: Vec<Layer>,
    /// For each segment of the parameters, whether it is weights of a dense layer.
    pub weights: Vec<bool>,
    /// The input and each layer's output, as at prediction.
    pub facts: Vec<LayerFacts>,
    /// For each input column √(mean of x²), and whether it has more than two different values: is no 0 or 1.
    pub columns: Vec<(f64, bool)>,
    /// J.
    pub loss: f64,
    /// J of the best single prediction for every row.
    pub constant: f64,
    /// The spread of the predictions, the largest over outputs, where the loss's link is the identity in deviations of the
    /// target; else of the outputs before it, where 1 is a factor e in the odds.
    pub spread: f64,
    /// How many rows were looked at.
    pub rows: usize,
}

impl Checkup {
    /// More rows are not looked at.
    pub const MOST_ROWS: usize = 1024;

    /// Looks at `network` on up to [`MOST_ROWS`](Self::MOST_ROWS) of the rows, spread evenly.
    ///
    /// # Errors
    /// If the data do not fit the network and the loss.
    pub fn new<T: Scalar>(
        network: &Network<T>,
        data: &Data<'_, T>,
        loss: &Loss,
        processor: &Processor,
    ) -> Result<Self, Error> {
        data.check(network, loss)?;
        let (x, y) = (thinned(data.x, Self::MOST_ROWS), thinned(data.y, Self::MOST_ROWS));
        let data = Data::new(x.view(), y.view());
        let n = x.rows();
        let mut workspace = Workspace::new(network, n, 1);
        let j = evaluate(network, loss, &data, &mut workspace, processor);
        // Again for the facts, which the inputs belong to.
        backprop::forward(network, data.x, None, &mut workspace, processor);
        let mut facts = Vec::new();
        Sums::default().of(processor.instruction_set(), network.layers(), &workspace, &mut facts);
        let columns = (0..x.cols()).map(|c| {
            let numbers = (0..n).map(|i| x[(i, c)].to_f64());
            let first = x[(0, c)];
            let second = (0..n).map(|i| x[(i, c)]).find(|x| *x != first);
            let several = (0..n).any(|i| x[(i, c)] != first && Some(x[(i, c)]) != second);
            ((numbers.map(|x| x * x).sum::<f64>() / n as f64).sqrt(), several)
        });
        let columns = columns.collect();
        let deviation = |matrix: &Matrix<T>, c: usize| {
            let mean = (0..n).map(|i| matrix[(i, c)].to_f64()).sum::<f64>() / n as f64;
            let squares = (0..n).map(|i| (matrix[(i, c)].to_f64() - mean) * (matrix[(i, c)].to_f64() - mean));
            (squares.sum::<f64>() / n as f64).sqrt()
        };
        let outputs = workspace.output(network.layers().len());
        let width = network.outputs() * network.members();
        let z = Matrix::from_vec(n, width, outputs.flatten().copied().collect())?;
        let unit = match loss.link() {
            Link::Identity => (0..y.cols()).map(|c| deviation(&y, c)).fold(0.0, f64::max),
            _ => 1.0,
        };
        let spread = (0..width).map(|c| deviation(&z, c)).fold(0.0, f64::max);
        Ok(Self {
            layers: network.layers().to_vec(),
            weights: network.layout().segments().iter().map(|segment| segment.role == Role::Weights).collect(),
            facts,
            columns,
            loss: j,
            constant: constant(loss, y.view(), network.outputs(), processor)?,
            spread: if unit > 0.0 { spread / unit } else { f64::INFINITY },
            rows: n,
        })
    }
}

/// Each row's J, as at prediction.
pub(super) fn network_losses<T: Scalar>(
    network: &Network<T>,
    loss: &Loss,
    data: &Data<'_, T>,
    processor: &Processor,
) -> Result<Vec<f64>, Error> {
    data.check(network, loss)?;
    let mut workspace = Workspace::new(network, 1, 1);
    let one = |i: usize| {
        let row = Data::new(data.x.rows_range(i..i + 1), data.y.rows_range(i..i + 1));
        evaluate(network, loss, &row, &mut workspace, processor)
    };
    Ok((0..data.x.rows()).map(one).collect())
}

/// About `most` of the rows, spread evenly.
pub(super) fn thinned<T: Scalar>(matrix: MatrixRef<'_, T>, most: usize) -> Matrix<T> {
    let n = matrix.rows();
    if n <= most {
        return matrix.to_owned();
    }
    let data = (0..most).flat_map(|i| matrix.row(i * n / most)).copied().collect();
    Matrix::from_vec(most, matrix.cols(), data).expect("whole rows")
}

/// J of the best single prediction: a network of biases only, brought to its minimum.
fn constant<T: Scalar>(loss: &Loss, y: MatrixRef<'_, T>, outputs: usize, processor: &Processor) -> Result<f64, Error> {
    let y = y.to_owned().cast::<f64>();
    let mut network = Network::<f64>::zeros(1, vec![Layer::Dense { outputs }])?;
    let x = Matrix::<f64>::zeros(y.rows(), 1);
    let data = Data::new(x.view(), y.view());
    let options = Options {
        loss: loss.clone(),
        optimizer: Optimizer::Lbfgs { memory: 10.0 },
        epochs: 60,
        batch_size: None,
        ..Options::default()
    };
    train(&mut network, &data, None, &options, processor, &mut |_| ControlFlow::Continue(()))?;
    Ok(evaluate(&network, loss, &data, &mut Workspace::new(&network, y.rows(), 1), processor))
}
