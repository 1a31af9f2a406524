//! From options to choices: all that a run does, filled in by the preset and the data.

use super::{Effort, Norm, Options, Preset, Tables};
use crate::encoder::{EncodedColumn, Encoder};
use crate::scale::Scale;
use crate::schema::{Schema, SchemaOptions, Task};
use crate::target::Target;
use chainrule::loss::Link;
use chainrule::optimizer::Moments;
use chainrule::train;
use chainrule::{Activation, Error, Initialiser, Layer, Loss, Optimizer, Schedule};

/// All choices made: what a run really does. Written into the model file, so that the run can be repeated.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Of which the rest is filled in.
    pub preset: Preset,
    pub(crate) schema: SchemaOptions,
    pub(super) test_fraction: f64,
    pub(super) cv: Option<usize>,
    pub(crate) validation_fraction: f64,
    pub(super) choosing_given: bool,
    pub(crate) scale: Scale,
    pub(super) target_scale: Option<Scale>,
    pub(super) effort: Effort,
    pub(crate) balanced: bool,
    pub(super) group: Option<String>,
    pub(super) time: Option<String>,
    pub(super) quantiles: Vec<f64>,
    pub(crate) folds: Option<usize>,
    pub(super) embedding: Option<(usize, usize)>,
    pub(super) members: usize,
    pub(crate) hidden: Vec<usize>,
    pub(crate) activations: Vec<Activation>,
    pub(crate) init: Option<Initialiser>,
    pub(crate) dropout: f64,
    pub(crate) norm: Norm,
    pub(super) loss: Option<Loss>,
    pub(crate) optimizer: Optimizer,
    pub(super) learning_rate: Option<f64>,
    pub(super) schedule: Schedule,
    pub(super) epochs: Option<usize>,
    /// `Some(None)`: all rows.
    pub(super) batch_size: Option<Option<usize>>,
    pub(super) weight_decay: Option<f64>,
    pub(super) l1: f64,
    pub(super) l2: f64,
    pub(super) clip_norm: Option<f64>,
    pub(super) patience: Option<usize>,
    pub(crate) seed: u64,
    pub(super) double: bool,
}

const PLENTY: usize = 100_000_000;

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
    pub(super) fn loss(&self, task: Task, classes: usize) -> Result<Loss, Error> {
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

    /// The loss, and the scale of the target, if the options fit the target and each other.
    pub(super) fn loss_and_scale(&self, schema: &Schema, target: &Target) -> Result<(Loss, Scale), Error> {
        let loss = self.loss(schema.task, schema.labels.len())?;
        let refuse = |what, expected: &str, got: String| Err(Error::Value { what, expected: expected.into(), got });
        let asked = !self.quantiles.is_empty();
        let quantile_loss = matches!(loss, Loss::Quantile { .. });
        if asked && (schema.task != Task::Regression || loss.link() != Link::Identity) {
            let got = format!("the loss {loss}");
            return refuse("quantiles", "a number to predict, with a loss like squared_error", got);
        }
        if target.columns().count() > 1 && (asked || quantile_loss) {
            return refuse("quantiles", "one target for quantiles", self.schema.target.clone());
        }
        if asked && quantile_loss {
            return refuse("quantiles", "either --quantiles or the quantile loss", "both".into());
        }
        match (self.target_scale, loss.link()) {
            (Some(Scale::Standard | Scale::Robust), Link::Exponential) => {
                refuse("target-scale", "none with the poisson loss, which needs counts", "a scale".into())
            }
            (None, Link::Exponential) => Ok((loss, Scale::None)),
            (scale, _) => Ok((loss, scale.unwrap_or_default())),
        }
    }

    pub(super) fn layers(&self, outputs: usize, encoder: &Encoder) -> Vec<Layer> {
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
    pub(super) fn folds(&self, rows: usize, tables: &Tables<'_>) -> usize {
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
    pub(crate) fn passes(&self, rows: usize) -> usize {
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

    /// How a network is trained on so many rows.
    pub(crate) fn training(&self, loss: &Loss, rows: usize, choosing: bool) -> train::Options {
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
            ..train::Options::default()
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
