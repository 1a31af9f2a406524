//! Training: the loop around [`loss_and_gradient`].

use crate::backprop::{
    Data, Mode, Small, Stretch, Workspace, evaluate, gradient_phase, loss_and_deltas, loss_and_gradient, update_phase,
};
use crate::error::Error;
use crate::kernels::elementwise::each;
use crate::kernels::{FloatEnvironment, InstructionSet, Kernel, Lanes, Processor, dot};
use crate::layer::{Layer, batch_norm};
use crate::loss::Loss;
use crate::matrix::Matrix;
use crate::network::{Network, ParameterLayout, Role, Segment};
use crate::optimizer::lbfgs::{Lbfgs, Step};
use crate::optimizer::{Optimizer, Powers, Update};
use crate::random::default_rng;
use crate::scalar::Scalar;
use crate::schedule::Schedule;
use std::ops::ControlFlow;

mod facts;

pub use facts::LayerFacts;
pub(crate) use facts::Sums;

/// How to train. The defaults are a sound start, not a tuned one.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// What is minimised.
    pub loss: Loss,
    /// How the gradient changes the parameters.
    pub optimizer: Optimizer,
    /// The base learning rate η; `None`: the optimizer's usual one.
    pub learning_rate: Option<f64>,
    /// How η moves over the run.
    pub schedule: Schedule,
    /// Passes over the data.
    pub epochs: usize,
    /// Rows of a mini-batch; `None`: all rows, in their order.
    pub batch_size: Option<usize>,
    /// Decoupled weight decay λ; `None`: the optimizer's usual one.
    pub weight_decay: Option<f64>,
    /// λ of λ‖W‖₁, added to the objective.
    pub l1: f64,
    /// λ of ½λ‖W‖², added to the objective.
    pub l2: f64,
    /// α of ½α‖W‖²/Σw, added to a batch's objective, Σw the weight of its rows: scikit-learn's `alpha`.
    pub alpha: f64,
    /// The gradient is shortened to this Euclidean norm where it is longer.
    pub clip_norm: Option<f64>,
    /// Every entry of the gradient is cut to ± this.
    pub clip_value: Option<f64>,
    /// Epochs without a better validation loss before training stops; needs validation rows.
    pub patience: Option<usize>,
    /// Whether mini-batches are drawn anew in every epoch; else rows stay in their order.
    pub shuffle: bool,
    /// The seed of the rows' order and of dropout.
    pub seed: u64,
    /// When L-BFGS is content.
    pub limits: Limits,
}

/// Where L-BFGS ends before all epochs are done. The defaults set no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// No entry of the gradient is larger than this.
    pub gradient: f64,
    /// An iteration lowered the objective J by no more than this share of max(1, |J|).
    pub decrease: f64,
    /// So many values of the objective were computed (the line search that is under way is finished).
    pub evaluations: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            loss: Loss::SquaredError,
            optimizer: Optimizer::Adam(Default::default()),
            learning_rate: None,
            schedule: Schedule::Constant,
            epochs: 100,
            batch_size: Some(256),
            weight_decay: None,
            l1: 0.0,
            l2: 0.0,
            alpha: 0.0,
            clip_norm: None,
            clip_value: None,
            patience: None,
            shuffle: true,
            seed: 0,
            limits: Limits::default(),
        }
    }
}

impl Options {
    fn check(&self, network: &Network<impl Scalar>, validation: bool) -> Result<(), Error> {
        let at_least = |what, x: f64, least: f64, strict: bool| {
            if x.is_finite() && (x > least || (!strict && x == least)) {
                return Ok(());
            }
            let expected = format!("a number {} {least}", if strict { "above" } else { "from" });
            Err(Error::Value { what, expected, got: x.to_string() })
        };
        at_least("learning rate", self.learning_rate.unwrap_or(1.0), 0.0, true)?;
        at_least("weight decay", self.weight_decay.unwrap_or(0.0), 0.0, false)?;
        at_least("l1", self.l1, 0.0, false)?;
        at_least("l2", self.l2, 0.0, false)?;
        at_least("alpha", self.alpha, 0.0, false)?;
        at_least("limit of the gradient", self.limits.gradient, 0.0, false)?;
        at_least("limit of the decrease", self.limits.decrease, 0.0, false)?;
        at_least("clip norm", self.clip_norm.unwrap_or(1.0), 0.0, true)?;
        at_least("clip value", self.clip_value.unwrap_or(1.0), 0.0, true)?;
        let refuse =
            |what, expected: &str, got: &str| Err(Error::Value { what, expected: expected.into(), got: got.into() });
        if self.batch_size == Some(0) {
            return refuse("batch size", "at least one row", "0");
        }
        if self.patience.is_some() && !validation {
            return refuse("patience", "validation rows to watch", "none");
        }
        if let Optimizer::Lbfgs { .. } = self.optimizer {
            if network.layers().iter().any(|layer| matches!(layer, Layer::Dropout { .. } | Layer::BatchNorm { .. })) {
                return refuse(
                    "lbfgs",
                    "a network without dropout and batch norm",
                    "one that changes between its steps",
                );
            }
            if self.batch_size.is_some() {
                return refuse("lbfgs", "the full batch (batch size: all)", "mini-batches");
            }
            if self.weight_decay.is_some() || self.l1 > 0.0 || self.clip_norm.is_some() || self.clip_value.is_some() {
                return refuse("lbfgs", "l2 as the only penalty, and no clipping", "weight decay, l1 or clipping");
            }
            if self.schedule != Schedule::Constant || self.learning_rate.is_some() {
                return refuse("lbfgs", "no learning rate and no schedule (its line search finds the step)", "one");
            }
        } else if self.limits != Limits::default() {
            return refuse("limits", "lbfgs, whose limits they are", &self.optimizer.to_string());
        }
        Ok(())
    }
}

/// What happens in training, as it happens.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A step was taken.
    Step {
        /// The epoch, from 1.
        epoch: usize,
        /// The step within the run, from 1.
        step: usize,
        /// J of the batch before the step, averaged over its rows, without penalties.
        loss: f64,
        /// η of the step.
        learning_rate: f64,
    },
    /// An epoch ended.
    Epoch(&'a Epoch<'a>),
}

/// The facts of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Epoch<'a> {
    /// The epoch, from 1.
    pub epoch: usize,
    /// Steps taken in the whole run.
    pub steps: usize,
    /// J averaged over the epoch's rows, each as its batch saw it before the step.
    pub loss: f64,
    /// ½α‖W‖²/Σw averaged as the loss is.
    pub penalty: f64,
    /// J over the validation rows, as at prediction.
    pub validation_loss: Option<f64>,
    /// Whether the validation loss is the lowest so far.
    pub best: bool,
    /// η of the last step.
    pub learning_rate: f64,
    /// ‖∂J/∂θ‖ of the last step for each segment of the parameters, in the layout's order.
    pub gradient_norms: &'a [f64],
    /// For each layer, the share of its units that gave the same number for every row of the last batch (of the one before,
    /// if the last is less than half as large as the first): for an activation, dead units.
    pub dead: &'a [f64],
    /// ‖Δθ‖/‖θ‖ of the last step for each segment of the parameters, in the layout's order; 0 where θ was 0.
    pub updates: &'a [f64],
    /// The input and every layer's output in that batch: one more than there are layers.
    pub layers: &'a [LayerFacts],
    /// The same in the run's first step, before anything was learnt.
    pub start: &'a [LayerFacts],
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All epochs were done.
    Completed,
    /// The validation loss had not improved for `patience` epochs.
    Patience,
    /// Whoever watched asked for it.
    Stopped,
    /// L-BFGS found nothing lower, or reached a [limit](Limits) that says it is near enough.
    Converged,
    /// L-BFGS computed the objective as often as it may.
    Spent,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report {
    /// How it ended.
    pub ended: Ended,
    /// Epochs that were done.
    pub epochs: usize,
    /// Steps that were taken.
    pub steps: usize,
    /// The epoch whose parameters the network has, from 1.
    pub best_epoch: usize,
    /// The training loss of the last epoch.
    pub loss: f64,
    /// The validation loss of the best epoch.
    pub validation_loss: Option<f64>,
    /// Threads that shared a step.
    pub threads: usize,
}

/// Below so many multiply-adds a step, two barriers cost more than a second thread saves.
const WORTH_SHARING: usize = 1 << 20;

/// Trains `network` on `data`.
///
/// With `validation` rows the best epoch's parameters are restored, however the run ends. `watch` sees every event and
/// may stop the run. The same arguments give the same bits for any processor.
///
/// # Errors
/// If data or options do not fit, or a number becomes infinite or undefined (the network then keeps the best, or
/// last finite, parameters).
pub fn train<T: Scalar>(
    network: &mut Network<T>,
    data: &Data<'_, T>,
    validation: Option<&Data<'_, T>>,
    options: &Options,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Report, Error> {
    T::train(network, data, validation, options, &mut Progress::new(), options.epochs, processor, watch)
}

/// What a run keeps from one epoch to the next besides the network: with it, n calls of one epoch are one of n.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress<T> {
    /// Epochs that are done: the next one's order and masks are drawn by its number.
    pub epochs: usize,
    /// Steps that are done.
    pub steps: usize,
    /// What the optimizer keeps for every parameter, in the parameters' layout; empty where it keeps less.
    pub memories: [Vec<T>; 2],
    /// What plateaus have made of the learning rate.
    pub plateau: f64,
    /// β₁ᵗ and β₂ᵗ.
    pub powers: [f64; 2],
}

impl<T: Scalar> Progress<T> {
    /// Before the first step.
    pub fn new() -> Self {
        Self { epochs: 0, steps: 0, memories: [Vec::new(), Vec::new()], plateau: 1.0, powers: [1.0, 1.0] }
    }

    /// Makes room for what the optimizer keeps, before the first step.
    ///
    /// # Errors
    /// If it is another network's or optimizer's progress.
    fn fit(&mut self, network: &Network<T>, options: &Options) -> Result<(), Error> {
        let parameters = network.parameters().len();
        for (k, memory) in self.memories.iter_mut().enumerate() {
            let expected = if options.optimizer.memories() > k { parameters } else { 0 };
            if self.steps == 0 && memory.is_empty() {
                memory.resize(expected, T::ZERO);
            } else if memory.len() != expected {
                return Err(Error::Length { what: "the optimizer's memory", expected, got: memory.len() });
            }
        }
        Ok(())
    }
}

impl<T: Scalar> Default for Progress<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// As [`train`], `epochs` more of them, from where `progress` stands; a schedule moves as over `options.epochs`.
///
/// The best epoch's parameters are those of this call's epochs. L-BFGS forgets its steps between calls.
///
/// # Errors
/// As [`train`], and if `progress` is another network's or optimizer's.
pub fn resume<T: Scalar>(
    network: &mut Network<T>,
    data: &Data<'_, T>,
    validation: Option<&Data<'_, T>>,
    options: &Options,
    progress: &mut Progress<T>,
    epochs: usize,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Report, Error> {
    T::train(network, data, validation, options, progress, epochs, processor, watch)
}

/// [`resume`], compiled in this crate.
pub(crate) fn run<T: Scalar>(
    network: &mut Network<T>,
    data: &Data<'_, T>,
    validation: Option<&Data<'_, T>>,
    options: &Options,
    progress: &mut Progress<T>,
    epochs: usize,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Report, Error> {
    options.check(network, validation.is_some())?;
    data.check(network, &options.loss)?;
    if let Some(validation) = validation {
        validation.check(network, &options.loss)?;
    }
    progress.fit(network, options)?;
    let _environment = FloatEnvironment::ieee();
    let mut trainer = Trainer::new(network, data, options, std::mem::take(progress), processor);
    let report = trainer.run(epochs, network, data, validation, processor, watch);
    *progress = trainer.progress;
    report
}

/// [`train`]'s steps, taken one at a time by somebody who has other things to do in between: a page that draws.
///
/// ```
/// use chainrule::train::{Options, Steps, train};
/// use chainrule::{Activation, Data, Matrix, Network, Processor};
/// use std::ops::ControlFlow;
/// let (x, y) = (Matrix::from_rows(&[[1.0], [2.0], [3.0]]), Matrix::from_rows(&[[2.0], [4.0], [6.0]]));
/// let (data, processor) = (Data::new(x.view(), y.view()), Processor::new(1));
/// let options = Options { epochs: 3, batch_size: Some(2), ..Options::default() };
/// let start = Network::<f64>::mlp(1, &[4], 1, &Activation::Tanh, None, 1)?;
/// let (mut whole, mut stepped) = (start.clone(), start);
/// train(&mut whole, &data, None, &options, &processor, &mut |_| ControlFlow::Continue(()))?;
/// let mut steps = Steps::new(&stepped, &data, &options, &processor)?;
/// while steps.epochs() < 3 {
///     steps.step(&mut stepped, &data, &processor)?;
/// }
/// assert_eq!(whole.parameters(), stepped.parameters());
/// # Ok::<(), chainrule::Error>(())
/// ```
pub struct Steps<T> {
    trainer: Trainer<T>,
    batch: usize,
    /// Σ loss·rows and Σ rows of the epoch's batches so far.
    sum: [f64; 2],
}

/// What a step of [`Steps`] came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stepped {
    /// The step within the run, from 1.
    pub step: usize,
    /// J of the batch before the step.
    pub loss: f64,
    /// η of the step.
    pub learning_rate: f64,
    /// J over the epoch's rows, each as its batch saw it, if the step was the last of an epoch.
    pub epoch_loss: Option<f64>,
    /// Whether L-BFGS found nothing lower.
    pub converged: bool,
}

impl<T: Scalar> Steps<T> {
    /// A run at its beginning. Its data and network must stay of the same size, its schedule plans `options.epochs`.
    ///
    /// # Errors
    /// As [`train`]'s; patience has nothing to watch here.
    pub fn new(
        network: &Network<T>,
        data: &Data<'_, T>,
        options: &Options,
        processor: &Processor,
    ) -> Result<Self, Error> {
        options.check(network, false)?;
        data.check(network, &options.loss)?;
        let mut progress = Progress::new();
        progress.fit(network, options)?;
        Ok(Self { trainer: Trainer::new(network, data, options, progress, processor), batch: 0, sum: [0.0; 2] })
    }

    /// Takes the next step.
    ///
    /// # Errors
    /// If the loss becomes infinite or undefined.
    pub fn step(
        &mut self,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        processor: &Processor,
    ) -> Result<Stepped, Error> {
        T::step(self, network, data, processor)
    }

    /// Epochs that are done.
    pub fn epochs(&self) -> usize {
        self.trainer.progress.epochs
    }

    /// Steps that are done.
    pub fn steps(&self) -> usize {
        self.trainer.progress.steps
    }

    /// ‖∂J/∂θ‖ of the last step for each segment, and for each layer the share of units that gave the same number for
    /// every row of the last batch.
    pub fn measure(&mut self, network: &Network<T>, processor: &Processor) -> (&[f64], &[f64]) {
        let Trainer { sums, workspace, layers, .. } = &mut self.trainer;
        sums.of(processor.instruction_set(), network.layers(), workspace, layers);
        self.trainer.measure(network, processor);
        (&self.trainer.gradient_norms, &self.trainer.dead)
    }
}

/// [`Steps::step`], compiled in this crate.
pub(crate) fn step<T: Scalar>(
    steps: &mut Steps<T>,
    network: &mut Network<T>,
    data: &Data<'_, T>,
    processor: &Processor,
) -> Result<Stepped, Error> {
    let _environment = FloatEnvironment::ieee();
    let Steps { trainer, batch, sum } = steps;
    let epoch = trainer.progress.epochs;
    if let Some(mut lbfgs) = trainer.lbfgs.take() {
        let iteration =
            trainer.iteration(epoch, &mut lbfgs, network, data, processor, &mut |_| ControlFlow::Continue(()));
        trainer.lbfgs = Some(lbfgs);
        let (loss, _, learning_rate, ended) = iteration?;
        trainer.progress.epochs += 1;
        let converged = ended == Some(Ended::Converged);
        return Ok(Stepped { step: trainer.progress.steps, loss, learning_rate, epoch_loss: Some(loss), converged });
    }
    if *batch == 0 {
        trainer.shuffle(epoch);
    }
    let (loss, _, learning_rate) = trainer.batch(epoch, *batch, network, data, processor)?;
    let rows = (trainer.cuts[*batch + 1] - trainer.cuts[*batch]) as f64;
    *sum = [sum[0] + loss * rows, sum[1] + rows];
    *batch += 1;
    let mut epoch_loss = None;
    if *batch == trainer.cuts.len() - 1 {
        let mean = sum[0] / sum[1];
        trainer.progress.plateau *= trainer.plateau.watch(&trainer.options.schedule, mean);
        (epoch_loss, *batch, *sum) = (Some(mean), 0, [0.0; 2]);
        trainer.progress.epochs += 1;
    }
    Ok(Stepped { step: trainer.progress.steps, loss, learning_rate, epoch_loss, converged: false })
}

/// What a plateau is seen by.
struct Plateau {
    lowest: f64,
    /// Epochs without a lower loss.
    since: usize,
}

impl Plateau {
    const START: Self = Self { lowest: f64::INFINITY, since: 0 };

    /// What the learning rate is multiplied by after an epoch of this loss.
    fn watch(&mut self, schedule: &Schedule, loss: f64) -> f64 {
        let Schedule::Plateau { factor, patience } = *schedule else { return 1.0 };
        self.since = if loss < self.lowest { 0 } else { self.since + 1 };
        self.lowest = self.lowest.min(loss);
        if self.since as f64 > patience {
            self.since = 0;
            return factor;
        }
        1.0
    }
}

/// The state of a run: all that a step writes besides the parameters.
struct Trainer<T> {
    options: Options,
    workspace: Workspace<T>,
    /// What the mini-batch steps of a small network on one thread are taken in instead.
    small: Option<Small<T>>,
    gradient: Vec<T>,
    progress: Progress<T>,
    /// Whether the weights are laid out for the products of the next step.
    laid_out: bool,
    order: Vec<usize>,
    /// The first row of every batch within the order, and its end.
    cuts: Vec<usize>,
    plateau: Plateau,
    lbfgs: Option<Lbfgs<T>>,
    /// L-BFGS: the loss and the objective (with the penalty) where the parameters are, if known, and how many were
    /// computed.
    known: Option<(f64, f64)>,
    evaluations: usize,
    gradient_norms: Vec<f64>,
    dead: Vec<f64>,
    updates: Vec<f64>,
    layers: Vec<LayerFacts>,
    start: Vec<LayerFacts>,
    sums: Sums,
    /// The parameters before an epoch's last step.
    before: Vec<T>,
}

impl<T: Scalar> Trainer<T> {
    fn new(
        network: &Network<T>,
        data: &Data<'_, T>,
        options: &Options,
        progress: Progress<T>,
        processor: &Processor,
    ) -> Self {
        let n = data.x.rows();
        let batch = options.batch_size.unwrap_or(n).min(n);
        let mut cuts: Vec<usize> = (0..n).step_by(batch).chain([n]).collect();
        let norms = network.layers().iter().any(|layer| matches!(layer, Layer::BatchNorm { .. }));
        if norms && n % batch == 1 && cuts.len() > 2 {
            // A single row has no variance: it joins the batch before.
            cuts.remove(cuts.len() - 2);
        }
        let most_rows = cuts.windows(2).map(|cut| cut[1] - cut[0]).max().unwrap_or(n);
        let parameters = network.parameters().len();
        let shares =
            if most_rows * parameters * network.members() * 3 < WORTH_SHARING { 1 } else { processor.threads() };
        processor.team.expect(most_rows * parameters * network.members());
        Self {
            options: options.clone(),
            workspace: Workspace::new(network, most_rows, shares),
            small: (shares == 1 && !matches!(options.optimizer, Optimizer::Lbfgs { .. }))
                .then(|| Small::new(network, &options.loss, most_rows))
                .flatten(),
            gradient: vec![T::ZERO; parameters],
            progress,
            laid_out: false,
            order: (0..n).collect(),
            cuts,
            plateau: Plateau::START,
            known: None,
            evaluations: 0,
            lbfgs: match options.optimizer {
                Optimizer::Lbfgs { memory } => Some(Lbfgs::new(memory as usize)),
                _ => None,
            },
            gradient_norms: vec![0.0; network.layout().segments().len()],
            dead: vec![0.0; network.layers().len()],
            updates: vec![0.0; network.layout().segments().len()],
            layers: Vec::with_capacity(network.layers().len() + 1),
            start: Vec::with_capacity(network.layers().len() + 1),
            sums: Sums::default(),
            before: vec![T::ZERO; parameters],
        }
    }

    fn run(
        &mut self,
        epochs: usize,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        validation: Option<&Data<'_, T>>,
        processor: &Processor,
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Report, Error> {
        let shares = self.workspace.shares();
        let mut report = Report {
            ended: Ended::Completed,
            epochs: 0,
            steps: 0,
            best_epoch: self.progress.epochs,
            loss: f64::NAN,
            validation_loss: None,
            threads: shares,
        };
        let mut best = (f64::INFINITY, network.parameters.clone(), network.running.clone());
        let mut evaluation = None;
        let mut failure = None;
        let start = self.progress.epochs;
        for epoch in start..start + epochs {
            let result = match self.lbfgs.take() {
                None => self.epoch(epoch, network, data, processor, watch),
                Some(mut lbfgs) => {
                    let result = self.iteration(epoch, &mut lbfgs, network, data, processor, watch);
                    self.lbfgs = Some(lbfgs);
                    result
                }
            };
            let (loss, penalty, learning_rate, ended) = match result {
                Ok(epoch) => epoch,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            self.progress.epochs = epoch + 1;
            (report.epochs, report.steps, report.loss) = (epoch + 1, self.progress.steps, loss);
            let validation_loss = match validation {
                Some(rows) => {
                    let workspace =
                        evaluation.get_or_insert_with(|| Workspace::for_rows(network, rows.x.rows(), processor));
                    Some(evaluate(network, &self.options.loss, rows, workspace, processor))
                }
                None => None,
            };
            let better = validation_loss.is_none_or(|loss| loss < best.0);
            if better {
                best.0 = validation_loss.unwrap_or(loss);
                best.1.copy_from_slice(&network.parameters);
                best.2.copy_from_slice(&network.running);
                (report.best_epoch, report.validation_loss) = (epoch + 1, validation_loss);
            }
            self.measure(network, processor);
            let facts = Epoch {
                epoch: epoch + 1,
                steps: self.progress.steps,
                loss,
                penalty,
                validation_loss,
                best: better,
                learning_rate,
                gradient_norms: &self.gradient_norms,
                dead: &self.dead,
                updates: &self.updates,
                layers: &self.layers,
                start: &self.start,
            };
            let stop = ended != Some(Ended::Stopped) && watch(Event::Epoch(&facts)).is_break();
            if let Some(ended) = ended {
                report.ended = ended;
            } else if stop {
                report.ended = Ended::Stopped;
            } else if self.options.patience.is_some_and(|patience| epoch + 1 - report.best_epoch >= patience.max(1)) {
                report.ended = Ended::Patience;
            }
            if report.ended != Ended::Completed {
                break;
            }
            self.progress.plateau *= self.plateau.watch(&self.options.schedule, validation_loss.unwrap_or(loss));
        }
        if failure.is_some() || (report.epochs > start && validation.is_some()) {
            network.parameters.copy_from_slice(&best.1);
            network.running.copy_from_slice(&best.2);
        }
        failure.map_or(Ok(report), Err)
    }

    /// The rows in the order of an epoch.
    fn shuffle(&mut self, epoch: usize) {
        if self.cuts.len() > 2 && self.options.shuffle {
            for (i, row) in self.order.iter_mut().enumerate() {
                *row = i;
            }
            default_rng([self.options.seed, 1, epoch as u64]).shuffle(&mut self.order);
        }
    }

    /// One mini-batch: its loss and penalty, and η.
    fn batch(
        &mut self,
        epoch: usize,
        batch: usize,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        processor: &Processor,
    ) -> Result<(f64, f64, f64), Error> {
        let steps = self.options.epochs.saturating_mul(self.cuts.len() - 1);
        let base = self.options.learning_rate.unwrap_or_else(|| self.options.optimizer.default_learning_rate());
        let factor = self.options.schedule.factor(self.progress.steps.min(steps), steps, epoch);
        let learning_rate = base * self.progress.plateau * factor;
        let cut = self.cuts[batch]..self.cuts[batch + 1];
        let (loss, penalty) = self.one_step(epoch, cut, learning_rate, network, data, processor)?;
        Ok((loss, penalty, learning_rate))
    }

    /// One pass over the data in mini-batches: the mean loss, the mean penalty, the last η, and whether the watcher
    /// stopped it.
    fn epoch(
        &mut self,
        epoch: usize,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        processor: &Processor,
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(f64, f64, f64, Option<Ended>), Error> {
        self.shuffle(epoch);
        let (mut sum, mut penalties, mut rows, mut rate) = (0.0, 0.0, 0.0, 0.0);
        let batches = self.cuts.len() - 1;
        // A last batch of a few rows tells little of the layers.
        let size = |batch: usize| self.cuts[batch + 1] - self.cuts[batch];
        let watched = batches - if batches > 1 && 2 * size(batches - 1) < size(0) { 2 } else { 1 };
        for batch in 0..batches {
            if batch + 1 == batches {
                self.before.copy_from_slice(&network.parameters);
            }
            let (loss, penalty, learning_rate) = self.batch(epoch, batch, network, data, processor)?;
            if self.start.is_empty() || batch == watched {
                self.show();
            }
            if self.start.is_empty() {
                self.sums.of(processor.instruction_set(), network.layers(), &self.workspace, &mut self.start);
            }
            if batch == watched {
                self.sums.of(processor.instruction_set(), network.layers(), &self.workspace, &mut self.layers);
            }
            let count = (self.cuts[batch + 1] - self.cuts[batch]) as f64;
            (sum, penalties, rows) = (sum + loss * count, penalties + penalty * count, rows + count);
            rate = learning_rate;
            let event = Event::Step { epoch: epoch + 1, step: self.progress.steps, loss, learning_rate };
            if watch(event).is_break() {
                return Ok((sum / rows, penalties / rows, rate, Some(Ended::Stopped)));
            }
        }
        Ok((sum / rows, penalties / rows, rate, None))
    }

    /// Gradient, penalties, clipping, update: J and ½α‖W‖²/Σw before the step.
    fn one_step(
        &mut self,
        epoch: usize,
        cut: std::ops::Range<usize>,
        learning_rate: f64,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        processor: &Processor,
    ) -> Result<(f64, f64), Error> {
        let batch = &self.order[cut];
        let mode = Mode::Training { seed: self.options.seed, step: self.progress.steps as u64 };
        let (options, workspace) = (&self.options, &mut self.workspace);
        let gradient = &mut self.gradient[..];
        let small = self.small.is_some();
        let loss = match &mut self.small {
            Some(small) => {
                let set = processor.instruction_set();
                small.loss_and_gradient(network, &options.loss, data, batch, set, gradient)
            }
            None => {
                let laid_out = std::mem::replace(&mut self.laid_out, true);
                let loss = &options.loss;
                loss_and_deltas(network, loss, data, Some(batch), mode, workspace, processor, gradient, laid_out)
            }
        };
        self.progress.steps += 1;
        if !loss.is_finite() {
            self.small.iter().for_each(|small| small.show(workspace));
            let (layer, rows) = workspace.first_not_finite(5);
            let operands = workspace.operands(network, layer, rows.first().copied());
            let rows = rows.into_iter().map(|row| batch[row]).collect();
            return Err(Error::NotFinite {
                what: "the loss",
                epoch: epoch + 1,
                step: self.progress.steps,
                layer,
                rows,
                operands,
            });
        }
        let alpha = match options.alpha {
            0.0 => 0.0,
            alpha => alpha / data.weight(batch),
        };
        let penalty = half_squares(network, alpha, processor.instruction_set());
        for k in 0..network.layers().len() {
            let Layer::BatchNorm { momentum, .. } = network.layers()[k] else { continue };
            let slot = &network.slots[k];
            let (mean, variance) = network.running[slot.running_mean.start..slot.running_variance.end]
                .split_at_mut(slot.running_mean.len());
            batch_norm::update_running(momentum, workspace.rows(), workspace.batch_statistics(k), (mean, variance));
        }
        let [first, second] = self.progress.powers;
        let powers = Powers(first, second).next(&options.optimizer);
        self.progress.powers = [powers.0, powers.1];
        let rule = Rule {
            options,
            learning_rate,
            decay: options.weight_decay.unwrap_or_else(|| options.optimizer.default_weight_decay()),
            l2: options.l2 + alpha,
            powers,
            shorten: None,
            set: processor.instruction_set(),
        };
        let (plan, parameters) = network.plan_and_parameters_mut();
        let [first, second] = &mut self.progress.memories;
        let numbers = [parameters, gradient, first, second];
        match options.clip_norm {
            _ if small => rule.finish(plan.layout, numbers),
            None => {
                gradient_phase(plan, workspace, processor, numbers, |mut stretch| {
                    rule.penalise(&mut stretch);
                    rule.update(stretch);
                });
            }
            Some(limit) => {
                // The norm must be known before anything changes.
                let [parameters, gradient, first, second] = numbers;
                let numbers = [&mut *parameters, &mut *gradient, &mut [], &mut []];
                gradient_phase(plan, workspace, processor, numbers, |mut stretch| rule.penalise(&mut stretch));
                let rule = rule.shortened(limit, gradient);
                let numbers = [parameters, gradient, first, second];
                update_phase(plan.layout, workspace, processor, numbers, |stretch| rule.update(stretch));
            }
        }
        Ok((loss, penalty))
    }

    /// One iteration of L-BFGS on all rows; the loss and gradient include the L2 penalty, the loss that is told does not.
    fn iteration(
        &mut self,
        epoch: usize,
        lbfgs: &mut Lbfgs<T>,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        processor: &Processor,
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(f64, f64, f64, Option<Ended>), Error> {
        let (options, limits) = (&self.options, self.options.limits);
        let l2 = match options.alpha {
            0.0 => options.l2,
            alpha => options.l2 + alpha / data.weight(&self.order),
        };
        let mode = Mode::Training { seed: options.seed, step: 0 };
        let (workspace, evaluations) = (&mut self.workspace, &mut self.evaluations);
        let mut at = network.clone();
        let plain = std::cell::Cell::new(f64::NAN);
        let mut evaluate = |theta: &[T], gradient: &mut [T]| {
            *evaluations += 1;
            at.parameters.copy_from_slice(theta);
            let loss = loss_and_gradient(&at, &options.loss, data, None, mode, workspace, processor, gradient);
            plain.set(loss);
            for segment in at.layout().segments().iter().filter(|segment| segment.role == Role::Weights) {
                let w = &at.parameters[segment.range.clone()];
                for (g, &w) in gradient[segment.range.clone()].iter_mut().zip(w) {
                    *g = T::from_f64(l2).fma(w, *g);
                }
            }
            loss + half_squares(&at, l2, processor.instruction_set())
        };
        // The step before left the gradient at the parameters.
        let (before, start) = match self.known {
            Some(known) => known,
            None => {
                let start = evaluate(&network.parameters, &mut self.gradient);
                (plain.get(), start)
            }
        };
        if !start.is_finite() {
            let (layer, rows) = self.workspace.first_not_finite(5);
            let operands = self.workspace.operands(network, layer, rows.first().copied());
            let step = self.progress.steps + 1;
            return Err(Error::NotFinite { what: "the loss", epoch: epoch + 1, step, layer, rows, operands });
        }
        self.before.copy_from_slice(&network.parameters);
        let stepped = lbfgs.step(&mut network.parameters, &mut self.gradient, start, &mut evaluate);
        if self.start.is_empty() {
            self.sums.of(processor.instruction_set(), network.layers(), &self.workspace, &mut self.start);
        }
        self.sums.of(processor.instruction_set(), network.layers(), &self.workspace, &mut self.layers);
        let ended = match stepped {
            Step::Converged => Some(Ended::Converged),
            Step::Moved(objective) => {
                self.known = Some((if objective == start { before } else { plain.get() }, objective));
                let size = objective.abs().max(start.abs()).max(1.0);
                let largest = self.gradient.iter().fold(0.0, |most: f64, g| f64::max(most, g.to_f64().abs()));
                let limited = limits != Limits::default() && objective < start;
                if limits.evaluations.is_some_and(|most| self.evaluations >= most) {
                    Some(Ended::Spent)
                } else if limited && (largest <= limits.gradient || start - objective <= limits.decrease * size) {
                    Some(Ended::Converged)
                } else {
                    None
                }
            }
        };
        self.progress.steps += 1;
        let event = Event::Step { epoch: epoch + 1, step: self.progress.steps, loss: before, learning_rate: 1.0 };
        let stopped = watch(event).is_break().then_some(Ended::Stopped);
        Ok((before, start - before, 1.0, ended.or(stopped)))
    }

    /// Leaves the last step's activations in the workspace, if they are not there.
    fn show(&mut self) {
        if let Some(small) = &self.small {
            small.show(&mut self.workspace);
        }
    }

    /// Gradient norms and updates of the last step, dead units.
    fn measure(&mut self, network: &Network<T>, processor: &Processor) {
        let set = processor.instruction_set();
        let segments = network.layout().segments();
        for ((norm, update), segment) in self.gradient_norms.iter_mut().zip(&mut self.updates).zip(segments) {
            let g = &self.gradient[segment.range.clone()];
            *norm = dot(set, g, g).to_f64().sqrt();
            *update = facts::update(&self.before[segment.range.clone()], &network.parameters[segment.range.clone()]);
        }
        if self.layers.is_empty() {
            // Stopped before the first epoch had come so far.
            self.show();
            self.sums.of(processor.instruction_set(), network.layers(), &self.workspace, &mut self.layers);
        }
        for (dead, facts) in self.dead.iter_mut().zip(&self.layers[1..]) {
            *dead = facts.dead;
        }
    }
}

/// ½λ‖W‖², segment by segment.
fn half_squares<T: Scalar>(network: &Network<T>, l2: f64, set: InstructionSet) -> f64 {
    if l2 == 0.0 {
        return 0.0;
    }
    let weights = network.layout().segments().iter().filter(|segment| segment.role == Role::Weights);
    let parameters = network.parameters();
    weights.fold(0.0, |sum, segment| {
        let w = &parameters[segment.range.clone()];
        sum + 0.5 * l2 * dot(set, w, w).to_f64()
    })
}

/// What a step does with every stretch of the gradient.
struct Rule<'a> {
    options: &'a Options,
    learning_rate: f64,
    /// λ of the whole L2 penalty of this step.
    l2: f64,
    /// λ of the decoupled weight decay.
    decay: f64,
    powers: Powers,
    /// What the gradient is multiplied by, where its norm is too large.
    shorten: Option<f64>,
    set: InstructionSet,
}

impl Rule<'_> {
    /// Adds the penalties' derivatives, λw and λ·sign(w), to the gradient, and cuts it to the largest value.
    fn penalise<T: Scalar>(&self, stretch: &mut Stretch<'_, T>) {
        let Options { l1, clip_value, .. } = *self.options;
        let l2 = self.l2;
        let factor = stretch.segment.decay_factor;
        if (l1 != 0.0 || l2 != 0.0) && factor != 0.0 {
            let penalty = Penalty { l1: l1 * factor, l2: l2 * factor, w: stretch.parameters, g: stretch.gradient };
            T::dispatch(self.set, penalty);
        }
        if let Some(limit) = clip_value {
            T::dispatch(self.set, Cut { limit, g: stretch.gradient });
        }
    }

    /// The rule for a gradient that is to be at most `limit` long.
    fn shortened<T: Scalar>(mut self, limit: f64, gradient: &[T]) -> Self {
        let norm = dot(self.set, gradient, gradient).to_f64().sqrt();
        self.shorten = (norm > limit).then(|| limit / norm);
        self
    }

    /// Penalties, clipping and update at once where the whole gradient is there: `numbers` are the parameters, the gradient,
    /// and what the optimizer keeps. Segments that are treated alike are one stretch.
    fn finish<T: Scalar>(self, layout: &ParameterLayout, mut numbers: [&mut [T]; 4]) {
        let segments = layout.segments();
        if self.options.l1 != 0.0 || self.l2 != 0.0 || self.options.clip_value.is_some() {
            for k in 0..segments.len() {
                self.penalise(&mut Stretch::of(&segments[k..=k], &mut numbers));
            }
        }
        let rule = match self.options.clip_norm {
            Some(limit) => self.shortened(limit, numbers[1]),
            None => self,
        };
        let treated = |segment: &Segment| (segment.learning_rate_factor, rule.decay * segment.decay_factor);
        for alike in segments.chunk_by(|a, b| treated(a) == treated(b)) {
            rule.update(Stretch::of(alike, &mut numbers));
        }
    }

    /// The optimizer's step.
    fn update<T: Scalar>(&self, stretch: Stretch<'_, T>) {
        let Stretch { segment, parameters, gradient, memories } = stretch;
        if let Some(factor) = self.shorten {
            T::dispatch(self.set, Shorten { factor, g: gradient });
        }
        let learning_rate = self.learning_rate * segment.learning_rate_factor;
        let kernel = Update {
            optimizer: &self.options.optimizer,
            learning_rate,
            decay: learning_rate * self.decay * segment.decay_factor,
            powers: self.powers,
            parameters,
            gradient,
            memories,
        };
        T::dispatch(self.set, kernel);
    }
}

/// g ← g + l2·w + l1·sign(w).
struct Penalty<'a, T> {
    l1: f64,
    l2: f64,
    w: &'a [T],
    g: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Penalty<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let (l1, l2) = (v.of(self.l1), v.of(self.l2));
        each(v, [self.w], [self.g], |[w], [g]| {
            let sign = V::select(v.lt(w), l1, V::select(w.lt(v), -l1, v));
            [l2.fma(w, g) + sign]
        });
    }
}

/// g ← g cut to ± limit.
struct Cut<'a, T> {
    limit: f64,
    g: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Cut<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let limit = v.of(self.limit);
        each(v, [], [self.g], |[], [g]| [g.max(-limit).min(limit)]);
    }
}

/// g ← factor·g.
struct Shorten<'a, T> {
    factor: f64,
    g: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Shorten<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let factor = v.of(self.factor);
        each(v, [], [self.g], |[], [g]| [factor * g]);
    }
}

/// Standardised columns: mean 0 and population standard deviation 1, statistics in f64, two passes, rows in order.
/// A column without spread is only centred. Returns the matrix with each column's mean and deviation.
pub fn standardise<T: Scalar>(x: &Matrix<T>) -> (Matrix<T>, Vec<(f64, f64)>) {
    let n = x.rows() as f64;
    let columns: Vec<(f64, f64)> = (0..x.cols())
        .map(|j| {
            let mean = (0..x.rows()).map(|i| x[(i, j)].to_f64()).sum::<f64>() / n;
            let squares = (0..x.rows()).map(|i| (x[(i, j)].to_f64() - mean) * (x[(i, j)].to_f64() - mean)).sum::<f64>();
            let deviation = (squares / n).sqrt();
            (mean, if deviation > 0.0 { deviation } else { 1.0 })
        })
        .collect();
    let mut scaled = x.clone();
    for i in 0..x.rows() {
        for (x, (mean, deviation)) in scaled.row_mut(i).iter_mut().zip(&columns) {
            *x = T::from_f64((x.to_f64() - mean) / deviation);
        }
    }
    (scaled, columns)
}

#[cfg(test)]
mod tests;
