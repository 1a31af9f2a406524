//! Training: the loop around [`loss_and_gradient`].

use crate::backprop::{
    Data, Mode, Stretch, Workspace, evaluate, gradient_phase, loss_and_deltas, loss_and_gradient, update_phase,
};
use crate::error::Error;
use crate::kernels::elementwise::each;
use crate::kernels::{FloatEnvironment, InstructionSet, Kernel, Lanes, Processor, dot};
use crate::layer::{Layer, batch_norm};
use crate::loss::Loss;
use crate::matrix::Matrix;
use crate::network::{Network, Role};
use crate::optimizer::lbfgs::{Lbfgs, Step};
use crate::optimizer::{Optimizer, Powers, Update};
use crate::random::default_rng;
use crate::scalar::Scalar;
use crate::schedule::Schedule;
use std::ops::ControlFlow;

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
    /// For each layer, the share of its units that gave the same number for every row of the last batch: for an
    /// activation, dead units.
    pub dead: &'a [f64],
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
const WORTH_SHARING: usize = 1 << 19;

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
    let parameters = network.parameters().len();
    for (k, memory) in progress.memories.iter_mut().enumerate() {
        let expected = if options.optimizer.memories() > k { parameters } else { 0 };
        if progress.steps == 0 && memory.is_empty() {
            memory.resize(expected, T::ZERO);
        } else if memory.len() != expected {
            return Err(Error::Length { what: "the optimizer's memory", expected, got: memory.len() });
        }
    }
    let _environment = FloatEnvironment::ieee();
    Trainer::new(network, data, options, progress, processor).run(epochs, network, data, validation, watch)
}

/// The state of a run: all that a step writes besides the parameters.
struct Trainer<'a, T> {
    options: &'a Options,
    processor: &'a Processor,
    workspace: Workspace<T>,
    gradient: Vec<T>,
    progress: &'a mut Progress<T>,
    /// Whether the weights are laid out for the products of the next step.
    laid_out: bool,
    order: Vec<usize>,
    /// The first row of every batch within the order, and its end.
    cuts: Vec<usize>,
    lbfgs: Option<Lbfgs<T>>,
    /// L-BFGS: the loss and the objective (with the penalty) where the parameters are, if known, and how many were
    /// computed.
    known: Option<(f64, f64)>,
    evaluations: usize,
    gradient_norms: Vec<f64>,
    dead: Vec<f64>,
    /// For each unit of a layer, whether it gave the same number for every row.
    same: Vec<bool>,
}

impl<'a, T: Scalar> Trainer<'a, T> {
    fn new(
        network: &Network<T>,
        data: &Data<'_, T>,
        options: &'a Options,
        progress: &'a mut Progress<T>,
        processor: &'a Processor,
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
            options,
            processor,
            workspace: Workspace::new(network, most_rows, shares),
            gradient: vec![T::ZERO; parameters],
            progress,
            laid_out: false,
            order: (0..n).collect(),
            cuts,
            known: None,
            evaluations: 0,
            lbfgs: match options.optimizer {
                Optimizer::Lbfgs { memory } => Some(Lbfgs::new(memory as usize)),
                _ => None,
            },
            gradient_norms: vec![0.0; network.layout().segments().len()],
            dead: vec![0.0; network.layers().len()],
            same: Vec::new(),
        }
    }

    fn run(
        mut self,
        epochs: usize,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        validation: Option<&Data<'_, T>>,
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
        let (mut lowest_watched, mut watched_for) = (f64::INFINITY, 0);
        let mut failure = None;
        let start = self.progress.epochs;
        for epoch in start..start + epochs {
            let result = match self.lbfgs.take() {
                None => self.epoch(epoch, network, data, watch),
                Some(mut lbfgs) => {
                    let result = self.iteration(epoch, &mut lbfgs, network, data, watch);
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
                        evaluation.get_or_insert_with(|| Workspace::for_rows(network, rows.x.rows(), self.processor));
                    Some(evaluate(network, &self.options.loss, rows, workspace, self.processor))
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
            self.measure(network);
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
            if let Schedule::Plateau { factor, patience } = self.options.schedule {
                let watched = validation_loss.unwrap_or(loss);
                watched_for = if watched < lowest_watched { 0 } else { watched_for + 1 };
                lowest_watched = lowest_watched.min(watched);
                if watched_for as f64 > patience {
                    self.progress.plateau *= factor;
                    watched_for = 0;
                }
            }
        }
        if failure.is_some() || (report.epochs > start && validation.is_some()) {
            network.parameters.copy_from_slice(&best.1);
            network.running.copy_from_slice(&best.2);
        }
        failure.map_or(Ok(report), Err)
    }

    /// One pass over the data in mini-batches: the mean loss, the mean penalty, the last η, and whether the watcher
    /// stopped it.
    fn epoch(
        &mut self,
        epoch: usize,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(f64, f64, f64, Option<Ended>), Error> {
        let batches = self.cuts.len() - 1;
        if batches > 1 && self.options.shuffle {
            for (i, row) in self.order.iter_mut().enumerate() {
                *row = i;
            }
            default_rng([self.options.seed, 1, epoch as u64]).shuffle(&mut self.order);
        }
        let base = self.options.learning_rate.unwrap_or_else(|| self.options.optimizer.default_learning_rate());
        let (mut sum, mut penalties, mut rows, mut learning_rate) = (0.0, 0.0, 0.0, 0.0);
        let steps = self.options.epochs * batches;
        for batch in 0..batches {
            let cut = self.cuts[batch]..self.cuts[batch + 1];
            let step = self.progress.steps.min(steps);
            learning_rate = base * self.progress.plateau * self.options.schedule.factor(step, steps, epoch);
            let (loss, penalty) = self.one_step(epoch, cut.clone(), learning_rate, network, data)?;
            sum += loss * cut.len() as f64;
            penalties += penalty * cut.len() as f64;
            rows += cut.len() as f64;
            let event = Event::Step { epoch: epoch + 1, step: self.progress.steps, loss, learning_rate };
            if watch(event).is_break() {
                return Ok((sum / rows, penalties / rows, learning_rate, Some(Ended::Stopped)));
            }
        }
        Ok((sum / rows, penalties / rows, learning_rate, None))
    }

    /// Gradient, penalties, clipping, update: J and ½α‖W‖²/Σw before the step.
    fn one_step(
        &mut self,
        epoch: usize,
        cut: std::ops::Range<usize>,
        learning_rate: f64,
        network: &mut Network<T>,
        data: &Data<'_, T>,
    ) -> Result<(f64, f64), Error> {
        let batch = &self.order[cut];
        let mode = Mode::Training { seed: self.options.seed, step: self.progress.steps as u64 };
        let (options, processor, workspace) = (self.options, self.processor, &mut self.workspace);
        let (laid_out, gradient) = (std::mem::replace(&mut self.laid_out, true), &mut self.gradient[..]);
        let loss =
            loss_and_deltas(network, &options.loss, data, Some(batch), mode, workspace, processor, gradient, laid_out);
        self.progress.steps += 1;
        if !loss.is_finite() {
            let (layer, rows) = workspace.first_not_finite(5);
            let rows = rows.into_iter().map(|row| batch[row]).collect();
            return Err(Error::NotFinite {
                what: "the loss",
                epoch: epoch + 1,
                step: self.progress.steps,
                layer,
                rows,
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
        match options.clip_norm {
            None => {
                gradient_phase(plan, workspace, processor, [parameters, gradient, first, second], |mut stretch| {
                    rule.penalise(&mut stretch);
                    rule.update(stretch);
                });
            }
            Some(limit) => {
                // The norm must be known before anything changes.
                let numbers = [&mut *parameters, &mut *gradient, &mut [], &mut []];
                gradient_phase(plan, workspace, processor, numbers, |mut stretch| rule.penalise(&mut stretch));
                let norm = dot(rule.set, gradient, gradient).to_f64().sqrt();
                let rule = Rule { shorten: (norm > limit).then(|| limit / norm), ..rule };
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
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(f64, f64, f64, Option<Ended>), Error> {
        let (options, processor, limits) = (self.options, self.processor, self.options.limits);
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
            let step = self.progress.steps + 1;
            return Err(Error::NotFinite { what: "the loss", epoch: epoch + 1, step, layer, rows });
        }
        let stepped = lbfgs.step(&mut network.parameters, &mut self.gradient, start, &mut evaluate);
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

    /// Gradient norms and dead units of the last step.
    fn measure(&mut self, network: &Network<T>) {
        let set = self.processor.instruction_set();
        for (norm, segment) in self.gradient_norms.iter_mut().zip(network.layout().segments()) {
            let g = &self.gradient[segment.range.clone()];
            *norm = dot(set, g, g).to_f64().sqrt();
        }
        for (k, dead) in self.dead.iter_mut().enumerate() {
            let mut rows = self.workspace.output(k + 1);
            let Some(first) = rows.next() else { continue };
            self.same.clear();
            self.same.resize(first.len(), true);
            for row in rows {
                for ((same, x), first) in self.same.iter_mut().zip(row).zip(first) {
                    *same &= x == first;
                }
            }
            *dead = self.same.iter().filter(|same| **same).count() as f64 / first.len() as f64;
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
