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
    /// The gradient is shortened to this Euclidean norm where it is longer.
    pub clip_norm: Option<f64>,
    /// Every entry of the gradient is cut to ± this.
    pub clip_value: Option<f64>,
    /// Epochs without a better validation loss before training stops; needs validation rows.
    pub patience: Option<usize>,
    /// The seed of the rows' order and of dropout.
    pub seed: u64,
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
            clip_norm: None,
            clip_value: None,
            patience: None,
            seed: 0,
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
    /// L-BFGS found nothing lower.
    Converged,
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
    T::train(network, data, validation, options, processor, watch)
}

/// [`train`], compiled in this crate.
pub(crate) fn run<T: Scalar>(
    network: &mut Network<T>,
    data: &Data<'_, T>,
    validation: Option<&Data<'_, T>>,
    options: &Options,
    processor: &Processor,
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Report, Error> {
    options.check(network, validation.is_some())?;
    data.check(network, &options.loss)?;
    if let Some(validation) = validation {
        validation.check(network, &options.loss)?;
    }
    let _environment = FloatEnvironment::ieee();
    Trainer::new(network, data, options, processor).run(network, data, validation, watch)
}

/// The state of a run: all that a step writes besides the parameters.
struct Trainer<'a, T> {
    options: &'a Options,
    processor: &'a Processor,
    workspace: Workspace<T>,
    gradient: Vec<T>,
    memories: [Vec<T>; 2],
    powers: Powers,
    order: Vec<usize>,
    /// The first row of every batch within the order, and its end.
    cuts: Vec<usize>,
    step: usize,
    /// What plateaus have made of the learning rate.
    plateau: f64,
    lbfgs: Option<Lbfgs<T>>,
    gradient_norms: Vec<f64>,
    dead: Vec<f64>,
    updates: Vec<f64>,
    layers: Vec<LayerFacts>,
    start: Vec<LayerFacts>,
    sums: Sums,
    /// The parameters before an epoch's last step.
    before: Vec<T>,
}

impl<'a, T: Scalar> Trainer<'a, T> {
    fn new(network: &Network<T>, data: &Data<'_, T>, options: &'a Options, processor: &'a Processor) -> Self {
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
        let memory = |k: usize| vec![T::ZERO; if options.optimizer.memories() > k { parameters } else { 0 }];
        Self {
            options,
            processor,
            workspace: Workspace::new(network, most_rows, shares),
            gradient: vec![T::ZERO; parameters],
            memories: [memory(0), memory(1)],
            powers: Powers::START,
            order: (0..n).collect(),
            cuts,
            step: 0,
            plateau: 1.0,
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
        mut self,
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
            best_epoch: 0,
            loss: f64::NAN,
            validation_loss: None,
            threads: shares,
        };
        let mut best = (f64::INFINITY, network.parameters.clone(), network.running.clone());
        let mut evaluation = None;
        let (mut lowest_watched, mut watched_for) = (f64::INFINITY, 0);
        let mut failure = None;
        for epoch in 0..self.options.epochs {
            let result = match self.lbfgs.take() {
                None => self.epoch(epoch, network, data, watch),
                Some(mut lbfgs) => {
                    let result = self.iteration(epoch, &mut lbfgs, network, data, watch);
                    self.lbfgs = Some(lbfgs);
                    result
                }
            };
            let (loss, learning_rate, ended) = match result {
                Ok(epoch) => epoch,
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            };
            (report.epochs, report.steps, report.loss) = (epoch + 1, self.step, loss);
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
                steps: self.step,
                loss,
                validation_loss,
                best: better,
                learning_rate,
                gradient_norms: &self.gradient_norms,
                dead: &self.dead,
                updates: &self.updates,
                layers: &self.layers,
                start: &self.start,
            };
            if let Some(ended) = ended {
                report.ended = ended;
            } else if watch(Event::Epoch(&facts)).is_break() {
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
                    self.plateau *= factor;
                    watched_for = 0;
                }
            }
        }
        if report.epochs > 0 && (validation.is_some() || failure.is_some()) {
            network.parameters.copy_from_slice(&best.1);
            network.running.copy_from_slice(&best.2);
        }
        failure.map_or(Ok(report), Err)
    }

    /// One pass over the data in mini-batches: the mean loss, the last η, and whether the watcher stopped it.
    fn epoch(
        &mut self,
        epoch: usize,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(f64, f64, Option<Ended>), Error> {
        let batches = self.cuts.len() - 1;
        if batches > 1 {
            for (i, row) in self.order.iter_mut().enumerate() {
                *row = i;
            }
            default_rng([self.options.seed, 1, epoch as u64]).shuffle(&mut self.order);
        }
        let base = self.options.learning_rate.unwrap_or_else(|| self.options.optimizer.default_learning_rate());
        let (mut sum, mut rows, mut learning_rate) = (0.0, 0.0, 0.0);
        // A last batch of a few rows tells little of the layers.
        let size = |batch: usize| self.cuts[batch + 1] - self.cuts[batch];
        let watched = batches - if batches > 1 && 2 * size(batches - 1) < size(0) { 2 } else { 1 };
        for batch in 0..batches {
            let cut = self.cuts[batch]..self.cuts[batch + 1];
            learning_rate =
                base * self.plateau * self.options.schedule.factor(self.step, self.options.epochs * batches, epoch);
            if batch + 1 == batches {
                self.before.copy_from_slice(&network.parameters);
            }
            let loss = self.one_step(epoch, cut.clone(), learning_rate, network, data)?;
            if self.start.is_empty() {
                self.sums.of(network.layers(), &self.workspace, &mut self.start);
            }
            if batch == watched {
                self.sums.of(network.layers(), &self.workspace, &mut self.layers);
            }
            sum += loss * cut.len() as f64;
            rows += cut.len() as f64;
            let event = Event::Step { epoch: epoch + 1, step: self.step, loss, learning_rate };
            if watch(event).is_break() {
                return Ok((sum / rows, learning_rate, Some(Ended::Stopped)));
            }
        }
        Ok((sum / rows, learning_rate, None))
    }

    /// Gradient, penalties, clipping, update: J before the step.
    fn one_step(
        &mut self,
        epoch: usize,
        cut: std::ops::Range<usize>,
        learning_rate: f64,
        network: &mut Network<T>,
        data: &Data<'_, T>,
    ) -> Result<f64, Error> {
        let batch = &self.order[cut];
        let mode = Mode::Training { seed: self.options.seed, step: self.step as u64 };
        let (options, processor, workspace) = (self.options, self.processor, &mut self.workspace);
        let (laid_out, gradient) = (self.step > 0, &mut self.gradient[..]);
        let loss =
            loss_and_deltas(network, &options.loss, data, Some(batch), mode, workspace, processor, gradient, laid_out);
        self.step += 1;
        if !loss.is_finite() {
            let (layer, rows) = workspace.first_not_finite(5);
            let operands = workspace.operands(network, layer, rows.first().copied());
            let rows = rows.into_iter().map(|row| batch[row]).collect();
            return Err(Error::NotFinite {
                what: "the loss",
                epoch: epoch + 1,
                step: self.step,
                layer,
                rows,
                operands,
            });
        }
        for k in 0..network.layers().len() {
            let Layer::BatchNorm { momentum, .. } = network.layers()[k] else { continue };
            let slot = &network.slots[k];
            let (mean, variance) = network.running[slot.running_mean.start..slot.running_variance.end]
                .split_at_mut(slot.running_mean.len());
            batch_norm::update_running(momentum, workspace.rows(), workspace.batch_statistics(k), (mean, variance));
        }
        self.powers = self.powers.next(&options.optimizer);
        let rule = Rule {
            options,
            learning_rate,
            decay: options.weight_decay.unwrap_or_else(|| options.optimizer.default_weight_decay()),
            powers: self.powers,
            shorten: None,
            set: processor.instruction_set(),
        };
        let (plan, parameters) = network.plan_and_parameters_mut();
        let [first, second] = &mut self.memories;
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
        Ok(loss)
    }

    /// One iteration of L-BFGS on all rows; the loss and gradient include the L2 penalty, the loss that is told does not.
    fn iteration(
        &mut self,
        epoch: usize,
        lbfgs: &mut Lbfgs<T>,
        network: &mut Network<T>,
        data: &Data<'_, T>,
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<(f64, f64, Option<Ended>), Error> {
        let (options, processor, l2) = (self.options, self.processor, self.options.l2);
        let mode = Mode::Training { seed: options.seed, step: 0 };
        let workspace = &mut self.workspace;
        let mut at = network.clone();
        let penalty = |network: &Network<T>, gradient: Option<&mut [T]>| {
            let mut sum = 0.0;
            let mut gradient = gradient;
            for segment in network.layout().segments().iter().filter(|segment| segment.role == Role::Weights) {
                let w = &network.parameters[segment.range.clone()];
                sum += 0.5 * l2 * dot(processor.instruction_set(), w, w).to_f64();
                if let Some(gradient) = gradient.as_deref_mut() {
                    for (g, &w) in gradient[segment.range.clone()].iter_mut().zip(w) {
                        *g = T::from_f64(l2).fma(w, *g);
                    }
                }
            }
            sum
        };
        let mut evaluate = |theta: &[T], gradient: &mut [T]| {
            at.parameters.copy_from_slice(theta);
            let loss = loss_and_gradient(&at, &options.loss, data, None, mode, workspace, processor, gradient);
            loss + penalty(&at, Some(gradient))
        };
        let start = evaluate(&network.parameters.clone(), &mut self.gradient);
        let plain = start - penalty(network, None);
        if !start.is_finite() {
            let (layer, rows) = self.workspace.first_not_finite(5);
            let operands = self.workspace.operands(network, layer, rows.first().copied());
            let step = self.step + 1;
            return Err(Error::NotFinite { what: "the loss", epoch: epoch + 1, step, layer, rows, operands });
        }
        self.before.copy_from_slice(&network.parameters);
        let stepped = lbfgs.step(&mut network.parameters, &mut self.gradient, start, evaluate);
        self.step += 1;
        if self.start.is_empty() {
            self.sums.of(network.layers(), &self.workspace, &mut self.start);
        }
        self.sums.of(network.layers(), &self.workspace, &mut self.layers);
        let ended = match stepped {
            Step::Moved(_) => None,
            Step::Converged => Some(Ended::Converged),
        };
        let event = Event::Step { epoch: epoch + 1, step: self.step, loss: plain, learning_rate: 1.0 };
        Ok((plain, 1.0, ended.or(watch(event).is_break().then_some(Ended::Stopped))))
    }

    /// Gradient norms and updates of the last step, dead units.
    fn measure(&mut self, network: &Network<T>) {
        let set = self.processor.instruction_set();
        let segments = network.layout().segments();
        for ((norm, update), segment) in self.gradient_norms.iter_mut().zip(&mut self.updates).zip(segments) {
            let g = &self.gradient[segment.range.clone()];
            *norm = dot(set, g, g).to_f64().sqrt();
            let (mut moved, mut size) = (0.0, 0.0);
            for (now, before) in
                network.parameters[segment.range.clone()].iter().zip(&self.before[segment.range.clone()])
            {
                let (now, before) = (now.to_f64(), before.to_f64());
                moved += (now - before) * (now - before);
                size += before * before;
            }
            *update = if size > 0.0 { (moved / size).sqrt() } else { 0.0 };
        }
        if self.layers.is_empty() {
            // Stopped before the first epoch had come so far.
            self.sums.of(network.layers(), &self.workspace, &mut self.layers);
        }
        for (dead, facts) in self.dead.iter_mut().zip(&self.layers[1..]) {
            *dead = facts.dead;
        }
    }
}

/// What a step does with every stretch of the gradient.
struct Rule<'a> {
    options: &'a Options,
    learning_rate: f64,
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
        let Options { l1, l2, clip_value, .. } = *self.options;
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
