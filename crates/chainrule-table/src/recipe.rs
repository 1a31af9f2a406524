//! The recipe: from a table to a model with an honest score. Every shell calls it; none has its own.
//!
//! Rows have one of three roles: *scoring* rows enter no choice, *choosing* rows stop the training early, *training*
//! rows are learnt from (encoder and target scale are fitted on them alone). Scoring rows are drawn by
//! `default_rng([seed, 2, 0]).permutation(n)`, choosing rows of the rest by `default_rng([seed, 2, 1])`.

use crate::cross_validation::{CrossValidation, Turn, cross_validate};
pub mod session;

use crate::encoder::{EncodedColumn, Encoder};
pub use crate::ensemble::Threshold;
use crate::ensemble::{self, Chosen, Held, Job, Rows, deal};
use crate::error::TableError;
use crate::fingerprint::data_fingerprint;
use crate::metrics::{self, Metrics};
use crate::model::{AnyNetwork, Model, Output, Predictions, outputs_for};
use crate::note::Note;
use crate::scale::Scale;
use crate::schema::{Schema, SchemaOptions, Task, sample_weights};
use crate::split::{hold_back, hold_back_groups};
use crate::table::{Cells, Table};
use crate::target::Target;
use chainrule::loss::Link;
use chainrule::optimizer::Moments;
use chainrule::random::default_rng;
use chainrule::train::{self, Ended, Event, Report};
use chainrule::{Activation, Error, Initialiser, Layer, Loss, Matrix, Network, Optimizer, Processor, Scalar, Schedule};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::str::FromStr;

/// What can go wrong between a table and a model.
#[derive(Debug)]
pub enum FitError {
    /// The table or its columns are at fault.
    Table(TableError),
    /// An option, the network or the run is at fault.
    Engine(Error),
}

impl fmt::Display for FitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(error) => error.fmt(f),
            Self::Engine(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for FitError {}

/// Where the options that nobody gave come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// A sound modern start: standardised columns, He's weights, AdamW with a cosine, dropout, early stopping.
    Default,
    /// The tutorial's method to the letter: no scaling, no rows held back, relu, N(0, 0.001²), full batch gradient
    /// descent, f64.
    Plain,
}

/// How much work goes into a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// About a fifth of the default's.
    Fast,
    /// In the time of gradient boosting with its defaults.
    Default,
    /// Some times the default's.
    Best,
}

/// The norm after each hidden dense layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// None.
    None,
    /// Batch norm.
    Batch,
    /// Layer norm.
    Layer,
}

/// The options that shape a model, by the names that the command line, a configuration file and a model file use.
/// What is `None` is chosen by the preset and the data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    given: Vec<(&'static str, String)>,
}

/// Every option: name, and what it takes.
pub const OPTIONS: [(&str, &str); 37] = [
    ("target", "the column to predict; several numbers: a,b"),
    ("preset", "default, or plain: the tutorial's method to the letter"),
    ("effort", "fast, default or best: how many members, and how long they are trained"),
    ("task", "regression or classification [inferred]"),
    ("ignore", "columns not to use, separated by commas"),
    ("categorical", "columns that are categories even if they look like numbers"),
    ("sample-weight", "the column of row weights"),
    ("class-weight", "balanced: each class weighs the same in training; or none [none]"),
    ("group", "column whose equal values stay together: all learnt from, or all held back"),
    ("time", "column to split by: the latest rows are held back, the latest of the rest choose"),
    ("test-fraction", "share of the rows held back for the score [0.1]"),
    ("cv", "cross-validation: K models, each scored on another K-th of the rows, then one of all rows; or none [none]"),
    ("folds", "ensemble: each fold of the rest decides when one member's training stops [by the number of rows]"),
    ("validation-fraction", "with one fold: share of the rest that decides when to stop [0.15]"),
    ("scale", "standard, robust or none: what is done with columns of numbers [robust]"),
    ("target-scale", "standard, robust or none: what is done with a numeric target [standard]"),
    ("hidden", "widths of the hidden layers: 64,64, or none for a linear model [128,64]"),
    ("embedding", "of columns of numbers: piecewise:BINS:WIDTH, or none [piecewise:96:16]"),
    ("members", "networks that share the weights of each fold's [8]"),
    ("activation", "one for all hidden layers, or one each: relu,tanh [mish]"),
    ("init", "he, glorot, lecun, normal:0.001, uniform:0.1, zeros, … [by activation]"),
    ("dropout", "share of hidden neurons dropped in training, 0 to below 1 [0]"),
    ("norm", "none, batch or layer [none]"),
    ("quantiles", "levels to predict beside the number, as 0.05,0.5,0.95; measured on rows not learnt from"),
    ("loss", "squared_error, absolute_error, huber, quantile:0.1:0.9, poisson, … [by task]"),
    ("optimizer", "gradient_descent, momentum, nesterov, rmsprop, adam, adamw, lbfgs [adamw:0.9:0.95]"),
    ("learning-rate", "base learning rate [0.003 for the default optimizer]"),
    ("schedule", "constant, step, exponential, cosine, one_cycle, cos_log, plateau, … [cos_log]"),
    ("epochs", "passes over the training rows, at most [16, more of few rows, fewer of many]"),
    ("batch-size", "rows of a mini-batch, or all [32, more of many rows]"),
    ("weight-decay", "decoupled weight decay [0.01 for adamw]"),
    ("l1", "penalty on the sum of absolute weights [0]"),
    ("l2", "penalty on half the sum of squared weights [0]"),
    ("clip-norm", "largest norm of the gradient [none]"),
    ("patience", "epochs without improvement before stopping [20]"),
    ("seed", "seed of weights, row order, dropout and splits [0]"),
    ("precision", "f32 or f64 [f32]"),
];

impl Options {
    /// Sets an option by its name. Whether the value makes sense is checked by [`fit`].
    ///
    /// # Errors
    /// If there is no such option.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        let names = OPTIONS.map(|(name, _)| name);
        let Some(&name) = names.iter().find(|known| **known == name) else {
            return Err(Error::unknown_name("option", name, &names));
        };
        self.given.retain(|(given, _)| *given != name);
        self.given.push((name, value.to_owned()));
        Ok(())
    }

    /// What was given for an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    fn parse<P: FromStr>(
        &self,
        name: &'static str,
        expected: &str,
        allowed: impl Fn(&P) -> bool,
    ) -> Result<Option<P>, Error> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.trim().parse().ok().filter(allowed) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::Value { what: name, expected: expected.into(), got: text.into() }),
        }
    }

    /// As [`parse`](Self::parse) for the library's own names, whose errors say more.
    fn name<P: FromStr<Err = Error>>(&self, name: &'static str) -> Result<Option<P>, Error> {
        self.get(name).map(str::parse).transpose()
    }

    fn list(&self, name: &str) -> Vec<String> {
        let parts = self.get(name).unwrap_or_default().split(',').map(|part| part.trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect()
    }
}

/// All choices made: what a run really does. Written into the model file, so that the run can be repeated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of which the rest is filled in.
    pub preset: Preset,
    schema: SchemaOptions,
    test_fraction: f64,
    cv: Option<usize>,
    validation_fraction: f64,
    choosing_given: bool,
    scale: Scale,
    target_scale: Option<Scale>,
    effort: Effort,
    balanced: bool,
    group: Option<String>,
    time: Option<String>,
    quantiles: Vec<f64>,
    folds: Option<usize>,
    embedding: Option<(usize, usize)>,
    members: usize,
    hidden: Vec<usize>,
    activations: Vec<Activation>,
    init: Option<Initialiser>,
    dropout: f64,
    norm: Norm,
    loss: Option<Loss>,
    optimizer: Optimizer,
    learning_rate: Option<f64>,
    schedule: Schedule,
    epochs: Option<usize>,
    /// `Some(None)`: all rows.
    batch_size: Option<Option<usize>>,
    weight_decay: Option<f64>,
    l1: f64,
    l2: f64,
    clip_norm: Option<f64>,
    patience: Option<usize>,
    seed: u64,
    double: bool,
}

const PLENTY: usize = 100_000_000;
/// Above so many rows a network needs no linear model beside it.
const LINEAR_ROWS: usize = 20_000;
/// The baseline is fitted on at most so many of the training rows: a linear model has learnt what it can long before.
const BASELINE_ROWS: usize = 200_000;

impl Plan {
    /// Fills in what the preset says.
    ///
    /// # Errors
    /// If a value makes no sense.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let preset = match options.get("preset") {
            None | Some("default") => Preset::Default,
            Some("plain") => Preset::Plain,
            Some(other) => return Err(Error::unknown_name("preset", other, &["default", "plain"])),
        };
        let plain = preset == Preset::Plain;
        let share = |name, default| {
            let share = options.parse(name, "a share from 0 to below 1", |x: &f64| (0.0..1.0).contains(x))?;
            Ok::<f64, Error>(share.unwrap_or(default))
        };
        let positive = |name| options.parse(name, "a number above 0", |x: &f64| *x > 0.0 && x.is_finite());
        let not_negative = |name| options.parse(name, "a number from 0", |x: &f64| *x >= 0.0 && x.is_finite());
        let count = |name| options.parse(name, "a whole number from 1", |x: &usize| (1..=PLENTY).contains(x));
        let hidden = match options.get("hidden") {
            None if plain => vec![3, 2],
            None => vec![128, 64],
            Some("none") => Vec::new(),
            Some(text) => {
                let widths: Option<Vec<usize>> = text
                    .split(',')
                    .map(|width| width.trim().parse().ok().filter(|w| (1..=PLENTY).contains(w)))
                    .collect();
                widths.ok_or_else(|| Error::Value {
                    what: "hidden",
                    expected: "widths from 1, as 64,64, or none".into(),
                    got: text.into(),
                })?
            }
        };
        let mut activations: Vec<Activation> = options
            .get("activation")
            .unwrap_or(if plain { "relu" } else { "mish" })
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        if activations.len() == 1 {
            activations = vec![activations[0].clone(); hidden.len()];
        }
        if activations.len() != hidden.len() {
            return Err(Error::Length { what: "activations", expected: hidden.len(), got: activations.len() });
        }
        let norm = match options.get("norm") {
            None | Some("none") => Norm::None,
            Some("batch") => Norm::Batch,
            Some("layer") => Norm::Layer,
            Some(other) => return Err(Error::unknown_name("norm", other, &["none", "batch", "layer"])),
        };
        let optimizer = options.name("optimizer")?.unwrap_or(match plain {
            true => Optimizer::GradientDescent,
            false => Optimizer::AdamW(Moments { beta2: 0.95, ..Moments::default() }),
        });
        let lbfgs = matches!(optimizer, Optimizer::Lbfgs { .. });
        let batch_size = match options.get("batch-size") {
            None if plain || lbfgs => Some(None),
            None => None,
            Some("all") => Some(None),
            Some(_) => Some(count("batch-size")?),
        };
        let double = match options.get("precision") {
            None => plain,
            Some("f32") => false,
            Some("f64") => true,
            Some(other) => return Err(Error::unknown_name("precision", other, &["f32", "f64"])),
        };
        let init = options.name("init")?;
        let simple = plain || lbfgs || hidden.is_empty();
        if hidden.is_empty() && options.get("members").is_some_and(|members| members.trim() != "1") {
            let expected = "1 with --hidden none: a linear model has nothing to share".into();
            let got = options.get("members").unwrap_or_default().into();
            return Err(Error::Value { what: "members", expected, got });
        }
        let embedding = match options.get("embedding") {
            None if simple => None,
            None => Some((96, 16)),
            Some("none") => None,
            Some(text) => match format!("{text}:0").parse() {
                Ok(Layer::Piecewise { bins, width, columns }) if columns.len() == 1 => Some((bins, width)),
                _ => {
                    let expected = "piecewise:BINS:WIDTH, as piecewise:96:16, or none".into();
                    return Err(Error::Value { what: "embedding", expected, got: text.into() });
                }
            },
        };
        let effort = match options.get("effort") {
            None | Some("default") => Effort::Default,
            Some("fast") => Effort::Fast,
            Some("best") => Effort::Best,
            Some(other) => return Err(Error::unknown_name("effort", other, &["fast", "default", "best"])),
        };
        let column = |name| options.get(name).map(str::to_owned);
        let (group, time) = (column("group"), column("time"));
        if group.is_some() && time.is_some() {
            let expected = "not together with --time: rows are held back by one of them".into();
            return Err(Error::Value { what: "group", expected, got: group.unwrap_or_default() });
        }
        let mut ignore = options.list("ignore");
        // A group's or moment's name says nothing about rows to come.
        ignore.extend(group.iter().chain(&time).filter(|name| !options.list("ignore").contains(name)).cloned());
        let cv = match options.get("cv") {
            None | Some("none") => None,
            Some(_) => options.parse("cv", "a number of folds from 2 to 100, or none", |x| (2..=100).contains(x))?,
        };
        if cv.is_some() && time.is_some() {
            let expected = "none with --time: only the latest rows may score".into();
            return Err(Error::Value { what: "cv", expected, got: options.get("cv").unwrap_or_default().into() });
        }
        if cv.is_some() && options.get("test-fraction").is_some() {
            let expected = "none with --cv, which scores every row".into();
            let got = options.get("test-fraction").unwrap_or_default().into();
            return Err(Error::Value { what: "test-fraction", expected, got });
        }
        let mut quantiles = Vec::new();
        for text in options.list("quantiles") {
            let level = text.parse().ok().filter(|level: &f64| *level > 0.0 && *level < 1.0);
            quantiles.push(level.ok_or_else(|| Error::Value {
                what: "quantiles",
                expected: "levels between 0 and 1, as 0.05,0.5,0.95".into(),
                got: text,
            })?);
        }
        quantiles.sort_by(f64::total_cmp);
        quantiles.dedup();
        Ok(Self {
            effort,
            balanced: match options.get("class-weight") {
                None | Some("none") => false,
                Some("balanced") => true,
                Some(other) => return Err(Error::unknown_name("class-weight", other, &["balanced", "none"])),
            },
            group,
            time,
            quantiles,
            folds: options.parse("folds", "a whole number from 1 to 100", |x: &usize| (1..=100).contains(x))?,
            embedding,
            members: match options
                .parse("members", "a whole number from 1 to 1000", |x: &usize| (1..=1000).contains(x))?
            {
                None if simple || norm != Norm::None => 1,
                None => 8,
                Some(members) => members,
            },
            preset,
            schema: SchemaOptions {
                target: options.get("target").unwrap_or_default().into(),
                task: options.name("task")?,
                categorical: options.list("categorical"),
                ignore,
                sample_weight: options.get("sample-weight").map(str::to_owned),
            },
            test_fraction: share("test-fraction", if plain { 0.0 } else { 0.1 })?,
            cv,
            validation_fraction: share("validation-fraction", if plain { 0.0 } else { 0.15 })?,
            choosing_given: options.get("validation-fraction").is_some(),
            scale: options.name("scale")?.unwrap_or(if plain { Scale::None } else { Scale::Robust }),
            target_scale: options.name("target-scale")?.or(plain.then_some(Scale::None)),
            dropout: share("dropout", 0.0)?,
            hidden,
            activations,
            init: init.or(plain.then_some(Initialiser::Normal(0.001))),
            norm,
            loss: options.name("loss")?,
            learning_rate: positive("learning-rate")?
                .or((!plain && options.get("optimizer").is_none()).then_some(0.003)),
            schedule: options.name("schedule")?.unwrap_or(match plain || lbfgs {
                true => Schedule::Constant,
                false => Schedule::CosLog { cycles: 4.0 },
            }),
            optimizer,
            epochs: count("epochs")?,
            batch_size,
            weight_decay: not_negative("weight-decay")?,
            l1: not_negative("l1")?.unwrap_or(0.0),
            l2: not_negative("l2")?.unwrap_or(0.0),
            clip_norm: positive("clip-norm")?,
            patience: count("patience")?,
            seed: options.parse("seed", "a whole number from 0", |_: &u64| true)?.unwrap_or(0),
            double,
        })
    }

    /// The loss for a target, and whether its scale stays.
    fn loss(&self, task: Task, classes: usize) -> Result<Loss, Error> {
        let loss = self.loss.clone().unwrap_or(match task {
            Task::Regression => Loss::SquaredError,
            Task::Classification if classes == 2 => Loss::BinaryCrossEntropy,
            Task::Classification => Loss::CrossEntropy { smoothing: 0.0 },
        });
        let fits = match (task, loss.link()) {
            (Task::Regression, link) => matches!(link, Link::Identity | Link::Exponential),
            (Task::Classification, Link::Softmax) => true,
            (Task::Classification, link) => link == Link::Logistic && classes == 2,
        };
        if fits {
            return Ok(loss);
        }
        let expected = match task {
            Task::Regression => "squared_error, absolute_error, huber, quantile or poisson for a number",
            Task::Classification if classes == 2 => "binary_cross_entropy or cross_entropy for two classes",
            Task::Classification => "cross_entropy for several classes",
        };
        Err(Error::Value { what: "loss", expected: expected.into(), got: loss.to_string() })
    }

    fn layers(&self, outputs: usize, encoder: &Encoder) -> Vec<Layer> {
        let mut layers = Vec::new();
        if let Some((bins, width)) = self.embedding {
            let is_number = |(_, column): &(usize, EncodedColumn)| column.name == column.source;
            let columns: Vec<usize> =
                encoder.columns().into_iter().enumerate().filter(is_number).map(|(at, _)| at).collect();
            if !columns.is_empty() {
                layers.push(Layer::Piecewise { bins, width, columns });
            }
        }
        for (k, (&width, activation)) in self.hidden.iter().zip(&self.activations).enumerate() {
            layers.push(Layer::Dense { outputs: width });
            // After the first layer, which all members share: it is by far the widest.
            if k == 0 && self.members > 1 {
                layers.push(Layer::Members { count: self.members });
            }
            match self.norm {
                Norm::None => {}
                Norm::Batch => layers.push(Layer::BATCH_NORM),
                Norm::Layer => layers.push(Layer::LAYER_NORM),
            }
            layers.push(Layer::Activation(activation.clone()));
            if self.dropout > 0.0 {
                layers.push(Layer::Dropout { rate: self.dropout });
            }
        }
        layers.push(if self.members > 1 { Layer::Heads { outputs } } else { Layer::Dense { outputs } });
        layers
    }

    /// Whether choosing rows are held back by themselves.
    fn one_fold(&self, tables: &Tables<'_>) -> bool {
        self.preset == Preset::Plain
            || tables.validation.is_some()
            || tables.start.is_some()
            || self.time.is_some()
            || (self.choosing_given && self.folds.is_none())
    }

    /// Members over folds for so many rows.
    fn folds(&self, rows: usize, tables: &Tables<'_>) -> usize {
        if self.one_fold(tables) {
            return 1;
        }
        // Each member has its own copy of its rows, so of very many rows there is one.
        let folds = match (self.effort, rows) {
            (_, 200_000..) => 1,
            // One network of eight members was 5 % better than two of half the rows, in less time.
            (Effort::Fast, _) => 1,
            (Effort::Default, 0..20_000) => 6,
            (Effort::Default, _) => 4,
            (Effort::Best, 0..20_000) => 16,
            (Effort::Best, _) => 10,
        };
        self.folds.unwrap_or(folds).min(rows / 2).max(1)
    }

    /// The options that fit a budget of seconds: as many folds as there is time for, and of one fold as many epochs.
    /// They are ordinary options, `folds` and `epochs`, so a run with them repeats without a clock.
    ///
    /// # Errors
    /// If an option makes no sense.
    pub fn within(options: &Options, tables: &Tables<'_>, seconds: f64, trial: &Trial) -> Result<Options, Error> {
        let plan = Self::new(options)?;
        let rows = trial.rows as f64;
        let epoch = |share: f64| trial.epoch_seconds * share * rows / trial.learnt;
        let learnt = |folds: usize| if folds == 1 { 1.0 - plan.validation_fraction } else { 1.0 - 1.0 / folds as f64 };
        let cost = |folds: usize| {
            let rows = (rows * learnt(folds)) as usize;
            folds.div_ceil(trial.threads) as f64 * plan.passes(rows) as f64 * epoch(learnt(folds))
        };
        let mut chosen = options.clone();
        let one = plan.one_fold(tables) || plan.folds.is_some();
        let fitting = [32, 24, 16, 12, 8, 6, 4, 3, 2].into_iter().find(|&folds| !one && cost(folds) <= seconds);
        if let Some(folds) = fitting {
            chosen.set("folds", &folds.to_string())?;
            return Ok(chosen);
        }
        let folds = if plan.one_fold(tables) { 1 } else { plan.folds.unwrap_or(1) };
        if !plan.one_fold(tables) {
            chosen.set("folds", &folds.to_string())?;
        }
        if plan.epochs.is_none() && cost(folds) > seconds {
            let epochs = seconds / (folds.div_ceil(trial.threads) as f64 * epoch(learnt(folds)));
            chosen.set("epochs", &(epochs as usize).max(1).to_string())?;
        }
        Ok(chosen)
    }

    /// Rows of a mini-batch for so many training rows; `None`: all.
    fn batch(&self, rows: usize) -> Option<usize> {
        // A batch of 32 rows is one of 256 for the eight members that share weights.
        self.batch_size.unwrap_or(Some(match rows {
            0..20_000 => 32,
            20_000..100_000 => 64,
            100_000..1_000_000 => 256,
            _ => 1024,
        }))
    }

    /// Passes over the data: 16 (fast: 12), so many more that there are 200 steps, or so few that 3.2 million rows pass; at
    /// least 3.
    fn passes(&self, rows: usize) -> usize {
        let most = 3_200_000 / rows.max(1);
        let passes = match (self.preset, self.batch(rows)) {
            (Preset::Plain, _) => 1000,
            (_, None) => 300,
            (_, Some(batch)) => {
                let few = if self.effort == Effort::Fast { 12 } else { 16 };
                few.max((200 * batch).div_ceil(rows.max(1)).min(100)).min(most).max(3)
            }
        };
        self.epochs.unwrap_or(passes)
    }

    fn training(&self, loss: &Loss, rows: usize, choosing: bool) -> train::Options {
        train::Options {
            loss: loss.clone(),
            optimizer: self.optimizer,
            learning_rate: self.learning_rate,
            schedule: self.schedule,
            epochs: self.passes(rows),
            batch_size: self.batch(rows).map(|batch| batch.min(rows)),
            weight_decay: self.weight_decay,
            l1: self.l1,
            l2: self.l2,
            clip_norm: self.clip_norm,
            clip_value: None,
            patience: if choosing { Some(self.patience.unwrap_or(20)) } else { self.patience },
            seed: self.seed,
        }
    }
}

/// What a short run on all threads told of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Rows that are not held back for the score.
    pub rows: usize,
    /// Rows that a member learnt from.
    pub learnt: f64,
    /// Seconds that an epoch took of each of the members that were trained side by side.
    pub epoch_seconds: f64,
    /// Threads, of which each trains a member.
    pub threads: usize,
}

/// The tables of a run.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// Training rows, and choosing and scoring rows where no other table has them.
    pub table: &'a Table,
    /// Scoring rows.
    pub test: Option<&'a Table>,
    /// Choosing rows.
    pub validation: Option<&'a Table>,
    /// A model whose encoding and parameters are the start.
    pub start: Option<&'a Model>,
}

/// How many rows have which role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Learnt from.
    pub training: usize,
    /// Deciding when to stop: in several folds the training rows, each for the member that has not learnt from it.
    pub choosing: usize,
    /// Scored.
    pub scoring: usize,
    /// Folds, one member each; 1 where choosing rows are held back.
    pub folds: usize,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// How the training went.
    pub report: Report,
    /// Who had which role.
    pub rows: Roles,
    /// The model's score on the scoring rows.
    pub score: Option<Metrics>,
    /// The standard error of the score's main metric, from the spread of the rows' losses.
    pub standard_error: Option<f64>,
    /// With quantiles: the share of scoring rows that should lie between the outermost two, and the share that does.
    pub coverage: Option<(f64, f64)>,
    /// The linear model's on the same rows, and that of the mean or the class shares.
    pub baseline: Option<(Metrics, Metrics)>,
    /// Of two classes: from which probability on a row is best called one of the rarer, by rows not learnt from.
    pub threshold: Option<Threshold>,
    /// With `cv`: the folds' scores, by models like this one, which has learnt from all rows and has no score of its own.
    pub cross_validation: Option<CrossValidation>,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// What is known before training starts.
#[derive(Clone, Debug)]
pub struct Start {
    /// Who has which role.
    pub rows: Roles,
    /// Encoded columns.
    pub inputs: usize,
    /// Layers.
    pub layers: Vec<Layer>,
    /// Parameters.
    pub parameters: usize,
    /// Epochs at most.
    pub epochs: usize,
    /// Regression or classification.
    pub task: Task,
    /// What the person should know.
    pub notes: Vec<String>,
}

/// Fits a model by the options.
///
/// # Errors
/// If the data, an option or the run is at fault.
pub fn fit(
    tables: &Tables<'_>,
    options: &Options,
    processor: &Processor,
    started: &mut dyn FnMut(&Start),
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Fitted, FitError> {
    let plan = Plan::new(options)?;
    let Some(folds) = plan.cv else { return fit_once(tables, options, &plan, None, processor, started, watch) };
    let given = [("test", tables.test.is_some()), ("start", tables.start.is_some())];
    if let Some((what, _)) = given.into_iter().find(|(_, given)| *given) {
        let expected = format!(
            "none with --cv: {}",
            match what {
                "test" => "every row of the table scores",
                _ => "it may have learnt from the rows that score",
            }
        );
        return Err(Error::Value { what, expected, got: "a file".into() }.into());
    }
    let fit = |turn, started: &mut dyn FnMut(&Start), watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>| {
        fit_once(tables, options, &plan, Some(turn), processor, started, watch)
    };
    cross_validate(folds, fit, started, watch)
}

fn fit_once(
    tables: &Tables<'_>,
    options: &Options,
    plan: &Plan,
    turn: Option<Turn>,
    processor: &Processor,
    started: &mut dyn FnMut(&Start),
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Fitted, FitError> {
    if plan.double {
        fit_in::<f64>(
            tables,
            options,
            plan,
            turn,
            processor,
            started,
            watch,
            AnyNetwork::F64,
            |network| match network {
                AnyNetwork::F64(network) => Some(network.clone()),
                AnyNetwork::F32(_) => None,
            },
        )
    } else {
        fit_in::<f32>(
            tables,
            options,
            plan,
            turn,
            processor,
            started,
            watch,
            AnyNetwork::F32,
            |network| match network {
                AnyNetwork::F32(network) => Some(network.clone()),
                AnyNetwork::F64(_) => None,
            },
        )
    }
}

/// The encoded rows of a table.
fn encoded<T: Scalar>(
    encoder: &Encoder,
    target: &Target,
    loss: &Loss,
    part: &Part<'_>,
) -> Result<(Rows<T>, Vec<Note>), FitError> {
    let Part { table, rows, weights } = part;
    let (x, notes) = encoder.encode::<T>(table, Some(rows))?;
    let y = match target {
        Target::Regression(number) => number.encode::<T>(table, rows)?,
        Target::Classification(classes) => {
            let classes = classes.classes(table, rows)?.into_iter().map(|class| T::from_f64(f64::from(class)));
            Matrix::from_vec(rows.len(), 1, classes.collect())?
        }
    };
    if *loss == Loss::Poisson && y.as_slice().iter().any(|y| *y < T::ZERO) {
        let expected = "a target of counts, 0 or more, for poisson".into();
        return Err(Error::Value { what: "target", expected, got: "a negative number".into() }.into());
    }
    let weights = weights.as_ref().map(|weights| weights.iter().map(|&w| T::from_f64(w)).collect());
    Ok((Rows { x, y, weights }, notes))
}

/// A table's rows with a role, and their weights.
struct Part<'a> {
    table: &'a Table,
    rows: Vec<usize>,
    weights: Option<Vec<f64>>,
}

impl Part<'_> {
    /// Multiplies each row's weight so that every class weighs n / classes.
    fn balance(&mut self, target: &Target) -> Result<(), FitError> {
        let Target::Classification(classes) = target else {
            let expected = "none for a number: only classes are balanced".into();
            return Err(Error::Value { what: "class-weight", expected, got: "balanced".into() }.into());
        };
        let classes = classes.classes(self.table, &self.rows)?;
        let mut weights = self.weights.take().unwrap_or_else(|| vec![1.0; self.rows.len()]);
        let mut totals = vec![0.0; target.labels().len()];
        classes.iter().zip(&weights).for_each(|(&class, weight)| totals[class as usize] += weight);
        let mean = weights.iter().sum::<f64>() / totals.len() as f64;
        classes.iter().zip(&mut weights).for_each(|(&class, weight)| *weight *= mean / totals[class as usize]);
        self.weights = Some(weights);
        Ok(())
    }
}

/// For each row of a table a number that is equal for equal cells of a column and increases with them: numbers by value,
/// texts (dates as 2024-05-31 too) by their bytes, missing ones first.
fn codes(table: &Table, name: &str) -> Result<Vec<u32>, FitError> {
    let position = table.position(name).ok_or_else(|| {
        let names = vec![name.to_owned()];
        TableError::MissingColumns { file: table.name().to_owned(), names, got: 1 }
    })?;
    let cells = match table.columns()[position].cells() {
        Cells::Numbers(numbers) => {
            let values: Vec<f64> = numbers.iter().collect();
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
            let mut codes = vec![0; values.len()];
            let mut code = 0;
            for pair in order.windows(2) {
                code += u32::from(values[pair[0]].to_bits() != values[pair[1]].to_bits());
                codes[pair[1]] = code;
            }
            codes
        }
        Cells::Texts(texts) => {
            let mut levels: Vec<(&str, usize)> = texts.levels().zip(0..).collect();
            levels.sort_unstable();
            let mut rank = vec![0; levels.len()];
            levels.iter().zip(1..).for_each(|((_, level), place)| rank[*level] = place);
            (0..table.rows()).map(|row| texts.code(row).map_or(0, |code| rank[code])).collect()
        }
    };
    Ok(cells)
}

/// The rows of a table of its own, for choosing or scoring.
fn whole<'a>(
    table: &'a Table,
    target: &Target,
    weight: Option<&str>,
    notes: &mut Vec<Note>,
) -> Result<Part<'a>, FitError> {
    let (mut rows, more) = target.rows(table)?;
    notes.extend(more);
    let weights = match weight.and_then(|name| table.position(name)) {
        None => None,
        Some(position) => {
            let weights = sample_weights(table, position, &rows)?;
            let kept: Vec<usize> = (0..rows.len()).filter(|&i| weights[i] > 0.0).collect();
            let weights = kept.iter().map(|&i| weights[i]).collect();
            rows = kept.iter().map(|&i| rows[i]).collect();
            Some(weights)
        }
    };
    Ok(Part { table, rows, weights })
}

fn fit_in<T: Scalar>(
    tables: &Tables<'_>,
    options: &Options,
    plan: &Plan,
    turn: Option<Turn>,
    processor: &Processor,
    started: &mut dyn FnMut(&Start),
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    wrap: impl Fn(Network<T>) -> AnyNetwork,
    unwrap: impl FnOnce(&AnyNetwork) -> Option<Network<T>>,
) -> Result<Fitted, FitError> {
    let table = tables.table;
    let schema = Schema::infer(table, &plan.schema)?;
    let mut notes = schema.notes.clone();
    let everyone = Target::fit(table, &schema, &schema.rows, Scale::None)?;
    let weight_name = plan.schema.sample_weight.as_deref();

    // Roles.
    let permuted = |purpose: u64, n: usize| default_rng([plan.seed, 2, purpose]).permutation(n);
    let groups = plan.group.as_deref().map(|name| codes(table, name)).transpose()?;
    let moments = plan.time.as_deref().map(|name| codes(table, name)).transpose()?;
    let split = |rows: &[usize], fraction: f64, purpose: u64| {
        let permutation = permuted(purpose, rows.len());
        if let Some(moments) = &moments {
            // The latest rows first.
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|&i| std::cmp::Reverse(moments[rows[i]]));
            let split = hold_back(rows, fraction, None, &order)?;
            return Ok((split.training, split.held));
        }
        if let Some(groups) = &groups {
            let groups: Vec<u32> = rows.iter().map(|&row| groups[row]).collect();
            let split = hold_back_groups(rows, fraction, &groups, &permutation);
            return Ok((split.training, split.held));
        }
        let classes = match &everyone {
            Target::Classification(target) => Some(target.classes(table, rows)?),
            Target::Regression(_) => None,
        };
        let split = hold_back(rows, fraction, classes.as_deref(), &permutation)?;
        Ok::<_, FitError>((split.training, split.held))
    };
    let dealt_of = |rows: &[usize], folds: usize, purpose: u64| {
        let permutation = permuted(purpose, rows.len());
        if let Some(groups) = &groups {
            let groups: Vec<u32> = rows.iter().map(|&row| groups[row]).collect();
            return Ok(ensemble::deal_groups(folds, &groups, &permutation));
        }
        let classes = match &everyone {
            Target::Classification(target) => Some(target.classes(table, rows)?),
            Target::Regression(_) => None,
        };
        Ok::<_, FitError>(deal(folds, classes.as_deref(), &permutation))
    };
    let (rest, scoring) = match (tables.test, turn) {
        (Some(_), _) | (_, Some(Turn { this: None, .. })) => (schema.rows.clone(), Vec::new()),
        (None, Some(Turn { this: Some(this), of })) => {
            let dealt = dealt_of(&schema.rows, of, 0)?;
            let Some(fold) = dealt.get(this).filter(|fold| !fold.is_empty() && dealt.len() == of) else {
                let expected =
                    format!("at most {} folds, one for each row or group", dealt.len().min(schema.rows.len()));
                return Err(Error::Value { what: "cv", expected, got: of.to_string() }.into());
            };
            let mut scores = vec![false; schema.rows.len()];
            fold.iter().for_each(|&i| scores[i] = true);
            let of =
                |scoring: bool| (0..scores.len()).filter(|&i| scores[i] == scoring).map(|i| schema.rows[i]).collect();
            (of(false), of(true))
        }
        (None, None) => split(&schema.rows, plan.test_fraction, 0)?,
    };
    let folds = plan.folds(rest.len(), tables);
    let (training, choosing) = match tables.validation {
        Some(_) => (rest, Vec::new()),
        None if folds > 1 => (rest, Vec::new()),
        None => split(&rest, plan.validation_fraction, 1)?,
    };
    let part = |rows: Vec<usize>| {
        let weights = schema.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row]).collect());
        Part { table, rows, weights }
    };
    let mut training = part(training);
    if plan.balanced {
        training.balance(&everyone)?;
    }
    let training = training;
    let choosing = match tables.validation {
        Some(table) => whole(table, &everyone, weight_name, &mut notes)?,
        None => part(choosing),
    };
    let scoring = match tables.test {
        Some(table) => whole(table, &everyone, weight_name, &mut notes)?,
        None => part(scoring),
    };

    // Encoding and network.
    let loss = plan.loss(schema.task, schema.labels.len())?;
    if !plan.quantiles.is_empty() && (schema.task != Task::Regression || loss.link() != Link::Identity) {
        let expected = "a number to predict, with a loss like squared_error".into();
        return Err(Error::Value { what: "quantiles", expected, got: format!("the loss {loss}") }.into());
    }
    let several = everyone.columns().count() > 1;
    if several && (!plan.quantiles.is_empty() || matches!(loss, Loss::Quantile { .. })) {
        let expected = "one target for quantiles".into();
        return Err(Error::Value { what: "quantiles", expected, got: plan.schema.target.clone() }.into());
    }
    if !plan.quantiles.is_empty() && matches!(loss, Loss::Quantile { .. }) {
        let expected = "either --quantiles or the quantile loss".into();
        return Err(Error::Value { what: "quantiles", expected, got: "both".into() }.into());
    }
    let target_scale = match (plan.target_scale, loss.link()) {
        (Some(Scale::Standard | Scale::Robust), Link::Exponential) => {
            let expected = "none with the poisson loss, which needs counts".into();
            return Err(Error::Value { what: "target-scale", expected, got: "a scale".into() }.into());
        }
        (None, Link::Exponential) => Scale::None,
        (scale, _) => scale.unwrap_or_default(),
    };
    let (encoder, target) = match tables.start {
        Some(start) => {
            if !start.target.columns().eq(everyone.columns()) || start.target.labels() != everyone.labels() {
                let expected = format!("a start for the same target, {}", everyone.column());
                let got = format!("one for {}", start.target.column());
                return Err(Error::Value { what: "start", expected, got }.into());
            }
            (start.encoder.clone(), start.target.clone())
        }
        None => {
            let (encoder, more) = Encoder::fit(table, &schema, &training.rows, plan.scale)?;
            notes.extend(more);
            (encoder, Target::fit(table, &schema, &training.rows, target_scale)?)
        }
    };
    let encode = |part: &Part<'_>| encoded::<T>(&encoder, &target, &loss, part);
    let (train_data, more) = encode(&training)?;
    notes.extend(more);
    let choose_data = if choosing.rows.is_empty() { None } else { Some(encode(&choosing)?.0) };
    let outputs = outputs_for(&loss, &target);
    let layers = plan.layers(outputs, &encoder);
    let network = match tables.start {
        None => Network::<T>::new(encoder.width(), layers, plan.init, plan.seed)?,
        Some(start) => {
            let same = start.network.layers() == layers && start.loss.link() == loss.link();
            unwrap(&start.network).filter(|_| same).ok_or_else(|| Error::Value {
                what: "start",
                expected: format!(
                    "a {} network of layers {}",
                    T::NAME,
                    layers.iter().map(Layer::to_string).collect::<Vec<_>>().join(", ")
                ),
                got: format!(
                    "{} of {}",
                    start.network.precision(),
                    start.network.layers().iter().map(Layer::to_string).collect::<Vec<_>>().join(", ")
                ),
            })?
        }
    };
    let (dealt, folds) = if folds > 1 {
        let dealt = dealt_of(&training.rows, folds, 1)?;
        let folds = dealt.len();
        (dealt, folds)
    } else {
        (Vec::new(), 1)
    };
    let learning = training.rows.len() - training.rows.len() / folds * usize::from(folds > 1);
    let run = plan.training(&loss, learning, choose_data.is_some() || folds > 1);
    let mut notes: Vec<String> = notes.iter().map(Note::to_string).collect();
    if let Some(Some(batch)) = plan.batch_size
        && batch > learning
    {
        notes.push(format!(
            "the batch size {batch} is more than the {} training rows: all rows are one batch",
            learning
        ));
    }
    let rows = Roles {
        training: training.rows.len(),
        choosing: if folds > 1 { training.rows.len() } else { choosing.rows.len() },
        scoring: scoring.rows.len(),
        folds,
    };
    started(&Start {
        rows,
        inputs: encoder.width(),
        layers: network.layers().to_vec(),
        parameters: network.parameters().len() * folds,
        epochs: run.epochs * folds,
        task: schema.task,
        notes: notes.clone(),
    });

    // Training.
    let linear_loss = match schema.task {
        Task::Regression => Loss::SquaredError,
        Task::Classification if schema.labels.len() == 2 => Loss::BinaryCrossEntropy,
        Task::Classification => Loss::CrossEntropy { smoothing: 0.0 },
    };
    let linear_data = || encoded::<f64>(&encoder, &target, &linear_loss, &training).map(|(rows, _)| rows);
    let jobs = if folds > 1 {
        let jobs = dealt.iter().enumerate().map(|(m, fold)| {
            let others = dealt.iter().enumerate().filter(|(f, _)| *f != m);
            let mut learnt: Vec<usize> = others.flat_map(|(_, rows)| rows).copied().collect();
            learnt.sort_unstable();
            let seed = plan.seed.wrapping_add((m as u64) << 32);
            Ok(Job {
                network: Network::<T>::new(encoder.width(), network.layers().to_vec(), plan.init, seed)?,
                fresh: true,
                training: Chosen::At(&train_data, learnt),
                choosing: Some(Chosen::At(&train_data, fold.clone())),
                options: train::Options { seed, ..run.clone() },
            })
        });
        jobs.collect::<Result<Vec<_>, Error>>()?
    } else {
        let choosing = choose_data.as_ref().map(Chosen::All);
        let training = Chosen::All(&train_data);
        vec![Job { network, fresh: tables.start.is_none(), training, choosing, options: run.clone() }]
    };
    let members = ensemble::train_all(jobs, processor, watch)?;

    // From the members to the model, on choosing rows.
    let mut output = Output { shares: vec![1.0 / folds as f64; folds], ..Output::single() };
    let is_linear = members[0].network.layers().len() == 1;
    let (mut linear, mut threshold) = (None, None);
    let reports: Vec<Report> = members.iter().map(|member| member.report).collect();
    let mut report = reports[0];
    if plan.preset == Preset::Default
        && let Some(predictions) = members.iter().map(|member| member.predictions.as_ref()).collect::<Option<Vec<_>>>()
    {
        let held_rows = |m: usize| match &choose_data {
            Some(rows) => Cow::Borrowed(rows),
            None => Cow::Owned(train_data.at(&dealt[m])),
        };
        let parts: Vec<_> = predictions.iter().enumerate().map(|(m, p)| (held_rows(m), *p)).collect();
        let held = Held::new(&parts);
        let mut mean = held.predictions.clone();
        if loss == linear_loss && !is_linear && training.rows.len() <= LINEAR_ROWS {
            let rows = linear_data()?;
            let whole = ensemble::linear(&rows, &linear_loss, outputs, processor)?;
            let mut data = Vec::new();
            for (m, (held, _)) in parts.iter().enumerate() {
                let fold;
                let network = if folds > 1 {
                    let others = dealt.iter().enumerate().filter(|(f, _)| *f != m);
                    let learnt: Vec<usize> = others.flat_map(|(_, rows)| rows).copied().collect();
                    fold = ensemble::linear(&rows.at(&learnt), &linear_loss, outputs, processor)?;
                    &fold
                } else {
                    &whole
                };
                let x = held.x.cast::<f64>();
                data.extend_from_slice(network.predict(x.view(), &linear_loss, processor)?.as_slice());
            }
            let predictions = Matrix::from_vec(mean.rows(), mean.cols(), data)?;
            let share = held.share_of(loss.link(), &predictions);
            if share > 0.0 {
                mean = Output { shares: vec![1.0 - share, share], ..Output::single() }.mean(&[mean, predictions]);
                output.shares.iter_mut().for_each(|of| *of *= 1.0 - share);
                output.shares.push(share);
            }
            linear = Some(whole);
        }
        if matches!(loss.link(), Link::Softmax | Link::Logistic) {
            output.temperature = held.temperature(loss.link(), &mean);
        }
        if loss == Loss::SquaredError && tables.start.is_none() {
            let y = train_data.y.as_slice().iter().map(|y| y.to_f64());
            output.range = Some([y.clone().fold(f64::INFINITY, f64::min), y.fold(f64::NEG_INFINITY, f64::max)]);
        }
        output.adjust(loss.link(), &mut mean);
        threshold = held.threshold(loss.link(), &mean);
        if !plan.quantiles.is_empty() {
            output.intervals = Some(held.intervals(&plan.quantiles, &mean));
        }
        if folds > 1 {
            report = ensemble::joint_report(&reports, held.loss(loss.link(), &mean), processor);
        }
    }
    if !plan.quantiles.is_empty() && output.intervals.is_none() {
        let expected = "rows that choose, which plain training has not: leave the quantiles out".into();
        return Err(Error::Value { what: "quantiles", expected, got: "none".into() }.into());
    }
    let mut networks = members.into_iter().map(|member| member.network);
    let network = networks.next().expect("at least one fold");
    let mut others: Vec<AnyNetwork> = networks.map(&wrap).collect();
    if output.shares.len() > folds {
        others.extend(linear.clone().map(AnyNetwork::F64));
    }
    if report.ended == Ended::Stopped {
        notes.push("stopped early on request; the best parameters so far are kept".into());
    }
    let mut facts = Map::new();
    let given: Map<String, Value> =
        options.given.iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
    facts.insert("options".into(), given.into());
    facts.insert(
        "training".into(),
        json!({
            "optimizer": run.optimizer.to_string(),
            "learning_rate": run.learning_rate.unwrap_or_else(|| run.optimizer.default_learning_rate()),
            "schedule": run.schedule.to_string(),
            "planned_epochs": run.epochs,
            "batch_size": run.batch_size,
            "weight_decay": run.weight_decay.unwrap_or_else(|| run.optimizer.default_weight_decay()),
            "l1": run.l1, "l2": run.l2, "clip_norm": run.clip_norm, "patience": run.patience, "seed": plan.seed,
            "epochs": report.epochs, "best_epoch": report.best_epoch, "steps": report.steps,
            "loss": report.loss, "validation_loss": report.validation_loss,
        }),
    );
    facts.insert("data_fingerprint".into(), data_fingerprint(table).into());
    facts.insert("sample_weight".into(), weight_name.into());
    facts.insert(
        "rows".into(),
        json!({"training": rows.training, "choosing": rows.choosing, "scoring": rows.scoring, "folds": folds}),
    );
    if let Some(Threshold { class, at, f1, f1_at_half }) = threshold {
        let class = &target.labels()[class];
        facts.insert("threshold".into(), json!({"class": class, "at": at, "f1": f1, "f1_at_half": f1_at_half}));
    }
    let mut model = Model { encoder, target, loss, network: wrap(network), others, output, facts };

    // Scores.
    let (mut score, mut baseline, mut standard_error, mut coverage) = (None, None, None, None);
    if !scoring.rows.is_empty() {
        let (predictions, more) = model.predict(scoring.table, Some(&scoring.rows), processor)?;
        let metrics = model.score(scoring.table, &scoring.rows, &predictions, scoring.weights.as_deref())?;
        let losses = model.losses(scoring.table, &scoring.rows, &predictions)?;
        let error = metrics::standard_error(&losses, scoring.weights.as_deref());
        // Of a root r = √m the error is that of m over 2r.
        standard_error = match &metrics {
            Metrics::Regression(scores) if scores.rmse > 0.0 => Some(error / (2.0 * scores.rmse)),
            Metrics::Regression(_) | Metrics::Several(_) => None,
            Metrics::Classification(_) => Some(error),
        };
        coverage = covered(&model.target, &scoring, &predictions)?;
        let copies = copies(&train_data, &encoded::<T>(&model.encoder, &model.target, &model.loss, &scoring)?.0);
        if copies > 0 {
            notes.push(format!(
                "{copies} of the {} scored rows are equal to a training row: the score flatters",
                scoring.rows.len()
            ));
        }
        notes.extend(more.iter().map(Note::to_string).filter(|note| !notes.contains(note)).collect::<Vec<_>>());
        let outputs = outputs_for(&linear_loss, &model.target);
        let linear = match linear {
            Some(linear) => AnyNetwork::F64(linear),
            None => {
                drop(train_data); // nobody needs it any more, and a large one stands in the way
                let mut kept = permuted(2, training.rows.len());
                kept.truncate(BASELINE_ROWS);
                kept.sort_unstable();
                let rows = kept.iter().map(|&i| training.rows[i]).collect();
                let weights = training.weights.as_ref().map(|weights| kept.iter().map(|&i| weights[i]).collect());
                let some = Part { table, rows, weights };
                let rows = encoded::<f64>(&model.encoder, &model.target, &linear_loss, &some)?.0;
                AnyNetwork::F64(ensemble::linear(&rows, &linear_loss, outputs, processor)?)
            }
        };
        let linear = linear_baseline(&model, linear, linear_loss, &scoring, processor)?;
        let constant = constant_baseline(&model, &training, &scoring)?;
        model.facts.insert("score".into(), serde_json::to_value(&metrics).expect("numbers"));
        if let Some((nominal, measured)) = coverage {
            model.facts.insert("coverage".into(), json!({"nominal": nominal, "measured": measured}));
        }
        model.facts.insert("baseline".into(), serde_json::to_value(&linear).expect("numbers"));
        score = Some(metrics);
        baseline = Some((linear, constant));
    }
    Ok(Fitted {
        model,
        report,
        rows,
        score,
        standard_error,
        coverage,
        baseline,
        threshold,
        cross_validation: None,
        notes,
    })
}

/// The share of rows between the outermost of two quantiles or more, beside what it should be.
fn covered(target: &Target, part: &Part<'_>, predictions: &Predictions) -> Result<Option<(f64, f64)>, FitError> {
    let (Target::Regression(target), Predictions::Numbers { quantiles, .. }) = (target, predictions) else {
        return Ok(None);
    };
    let [(low, lows), .., (high, highs)] = &quantiles[..] else { return Ok(None) };
    let truth = target.values(part.table, &part.rows)?;
    let within = truth.iter().zip(lows.iter().zip(highs)).filter(|(y, (low, high))| *low <= *y && *y <= *high).count();
    Ok(Some((high - low, within as f64 / truth.len() as f64)))
}

/// How many of the scored rows are equal to a row that was learnt from, in every input and the target.
fn copies<T: Scalar>(learnt: &Rows<T>, scored: &Rows<T>) -> usize {
    let key = |rows: &Rows<T>, i: usize| {
        let mut hasher = DefaultHasher::new();
        rows.x.row(i).iter().chain(rows.y.row(i)).for_each(|x| x.bits().hash(&mut hasher));
        hasher.finish()
    };
    let known: HashSet<u64> = (0..scored.x.rows()).map(|i| key(scored, i)).collect();
    let twice: HashSet<u64> = (0..learnt.x.rows()).map(|i| key(learnt, i)).filter(|of| known.contains(of)).collect();
    (0..scored.x.rows()).filter(|&i| twice.contains(&key(scored, i))).count()
}

/// The score of a linear model that was fitted on the same training rows.
fn linear_baseline(
    model: &Model,
    network: AnyNetwork,
    loss: Loss,
    scoring: &Part<'_>,
    processor: &Processor,
) -> Result<Metrics, FitError> {
    let linear = Model {
        encoder: model.encoder.clone(),
        target: model.target.clone(),
        loss,
        network,
        others: Vec::new(),
        output: Output::single(),
        facts: Map::new(),
    };
    Ok(linear.evaluate(scoring.table, Some(&scoring.rows), scoring.weights.as_deref(), processor)?.0)
}

/// The score of the training rows' mean, or of the shares of their classes.
fn constant_baseline(model: &Model, training: &Part<'_>, scoring: &Part<'_>) -> Result<Metrics, FitError> {
    let weight = |i: usize| training.weights.as_ref().map_or(1.0, |weights| weights[i]);
    let total: f64 = (0..training.rows.len()).map(weight).sum();
    let predictions = match &model.target {
        Target::Regression(target) => {
            let values = target.values(training.table, &training.rows)?;
            let mean = |values: Vec<f64>| {
                let mean = values.iter().enumerate().map(|(i, y)| weight(i) * y).sum::<f64>() / total;
                vec![mean; scoring.rows.len()]
            };
            let others =
                target.numbers().skip(1).map(|target| Ok(mean(target.values(training.table, &training.rows)?)));
            let others = others.collect::<Result<_, FitError>>()?;
            Predictions::Numbers { values: mean(values), quantiles: Vec::new(), others }
        }
        Target::Classification(target) => {
            let mut shares = vec![0.0; target.labels().len()];
            for (i, class) in target.classes(training.table, &training.rows)?.into_iter().enumerate() {
                shares[class as usize] += weight(i) / total;
            }
            let data = std::iter::repeat_n(shares.clone(), scoring.rows.len()).flatten().collect();
            Predictions::Probabilities(Matrix::from_vec(scoring.rows.len(), shares.len(), data)?)
        }
    };
    model.score(scoring.table, &scoring.rows, &predictions, scoring.weights.as_deref())
}

/// The metric that decides: [`Metrics::main`].
pub fn main_metric(metrics: &Metrics) -> (&'static str, f64) {
    metrics.main()
}
