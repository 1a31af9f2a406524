//! The recipe: from a table to a model with an honest score. Every shell calls it; none has its own.
//!
//! Rows have one of three roles: *scoring* rows enter no choice, *choosing* rows stop the training early, *training*
//! rows are learnt from (encoder and target scale are fitted on them alone). Scoring rows are drawn by
//! `default_rng([seed, 2, 0]).permutation(n)`, choosing rows of the rest by `default_rng([seed, 2, 1])`.

mod choices;
mod options;
mod parts;
mod plan;
mod scores;
pub mod session;

use self::choices::{Choices, Trained};
pub use self::options::{Effort, Norm, OPTIONS, Options, Preset};
use self::parts::{Part, Parts};
pub use self::plan::{Plan, Trial};
use self::scores::{Linear, score};
use crate::cross_validation::{CrossValidation, Turn, cross_validate};
use crate::encoder::Encoder;
pub use crate::ensemble::Threshold;
use crate::ensemble::{self, Chosen, Job, Rows};
use crate::error::TableError;
use crate::fingerprint::data_fingerprint;
use crate::metrics::Metrics;
use crate::model::{AnyNetwork, Model, Precision, outputs_for};
use crate::note::Note;
use crate::scale::Scale;
use crate::schema::{Schema, Task};
use crate::table::Table;
use crate::target::Target;
use chainrule::train::{self, Ended, Event, Report};
use chainrule::{Error, Layer, Loss, Matrix, Network, Processor, Scalar};
use serde_json::{Map, Value, json};
use std::fmt;
use std::ops::ControlFlow;

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

impl FitError {
    /// The same where row i of what was learnt from is row `rows[i]` of the table.
    pub(crate) fn at_rows(mut self, rows: &[usize]) -> Self {
        if let Self::Engine(Error::NotFinite { rows: at, .. }) = &mut self {
            at.iter_mut().for_each(|row| *row = rows.get(*row).copied().unwrap_or(*row));
        }
        self
    }
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
    /// The rows that were scored, of the table or of that of scoring rows.
    pub scored: Vec<usize>,
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
    /// Epochs of each network, at most: network m (from 0) tells of its epoch e as epoch m·each + e.
    pub each: usize,
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
    let fit = if plan.double { fit_in::<f64> } else { fit_in::<f32> };
    fit(tables, options, plan, turn, processor, started, watch)
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

/// Roles, encoding, training, choices, score.
fn fit_in<T: Precision>(
    tables: &Tables<'_>,
    options: &Options,
    plan: &Plan,
    turn: Option<Turn>,
    processor: &Processor,
    started: &mut dyn FnMut(&Start),
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Fitted, FitError> {
    let table = tables.table;
    let schema = Schema::infer(table, &plan.schema)?;
    let mut notes = schema.notes.clone();
    let everyone = Target::fit(table, &schema, &schema.rows, Scale::None)?;
    let parts = Parts::new(tables, plan, turn, &schema, &everyone, &mut notes)?;
    let (training, roles) = (&parts.training, parts.roles());

    let (loss, target_scale) = plan.loss_and_scale(&schema, &everyone)?;
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
    let (train_data, more) = encoded::<T>(&encoder, &target, &loss, training)?;
    notes.extend(more);
    let choose_data = match &parts.choosing {
        none if none.rows.is_empty() => None,
        some => Some(encoded::<T>(&encoder, &target, &loss, some)?.0),
    };
    let outputs = outputs_for(&loss, &target);
    let layers = plan.layers(outputs, &encoder);
    let network = match tables.start {
        None => Network::<T>::new(encoder.width(), layers, plan.init, plan.seed)?,
        Some(start) => network_of(start, &layers, &loss)?,
    };
    let learning = roles.training - roles.training / roles.folds * usize::from(roles.folds > 1);
    let run = plan.training(&loss, learning, choose_data.is_some() || roles.folds > 1);
    let mut notes: Vec<String> = notes.iter().map(Note::to_string).collect();
    if let Some(Some(batch)) = plan.batch_size
        && batch > learning
    {
        notes.push(format!("the batch size {batch} is more than the {learning} training rows: all rows are one batch"));
    }
    started(&Start {
        rows: roles,
        inputs: encoder.width(),
        layers: network.layers().to_vec(),
        parameters: network.parameters().len() * roles.folds,
        epochs: run.epochs * roles.folds,
        each: run.epochs,
        task: schema.task,
        notes: notes.clone(),
    });

    let jobs = if roles.folds > 1 {
        let job = |m: usize| {
            let seed = plan.seed.wrapping_add((m as u64) << 32);
            let mut learnt = parts.learnt(m);
            learnt.sort_unstable();
            Ok(Job {
                network: Network::<T>::new(encoder.width(), network.layers().to_vec(), plan.init, seed)?,
                fresh: true,
                training: Chosen::At(&train_data, learnt),
                choosing: Some(Chosen::At(&train_data, parts.dealt[m].clone())),
                options: train::Options { seed, ..run.clone() },
            })
        };
        (0..roles.folds).map(job).collect::<Result<Vec<_>, Error>>()?
    } else {
        let choosing = choose_data.as_ref().map(Chosen::All);
        let training = Chosen::All(&train_data);
        vec![Job { network, fresh: tables.start.is_none(), training, choosing, options: run.clone() }]
    };
    let members = ensemble::train_all(jobs, processor, watch).map_err(|error| error.at_rows(&training.rows))?;

    let linear_loss = match schema.task {
        Task::Regression => Loss::SquaredError,
        Task::Classification if schema.labels.len() == 2 => Loss::BinaryCrossEntropy,
        Task::Classification => Loss::CrossEntropy { smoothing: 0.0 },
    };
    let trained = Trained {
        plan,
        parts: &parts,
        loss: &loss,
        linear_loss: &linear_loss,
        outputs,
        fresh: tables.start.is_none(),
        members: &members,
        training: &train_data,
        choosing: choose_data.as_ref(),
        processor,
    };
    let linear_rows = || encoded::<f64>(&encoder, &target, &linear_loss, training).map(|(rows, _)| rows);
    let Choices { output, linear, threshold, report } = trained.choose(linear_rows)?;
    if report.ended == Ended::Stopped {
        notes.push("stopped early on request; the best parameters so far are kept".into());
    }

    let mut networks = members.into_iter().map(|member| T::wrap(member.network));
    let network = networks.next().expect("at least one fold");
    let mut others: Vec<AnyNetwork> = networks.collect();
    if output.shares.len() > roles.folds {
        others.extend(linear.clone().map(AnyNetwork::F64));
    }
    let facts = facts(options, plan, &run, &report, roles, threshold.map(|of| (of, &target.labels()[of.class])), table);
    let mut model = Model { encoder, target, loss, network, others, output, facts };
    let scores = if parts.scoring.rows.is_empty() {
        None
    } else {
        let linear = Linear { loss: linear_loss, network: linear };
        Some(score(&mut model, &parts, train_data, linear, plan.seed, &mut notes, processor)?)
    };
    Ok(Fitted {
        model,
        report,
        rows: roles,
        scored: parts.scoring.rows,
        standard_error: scores.as_ref().and_then(|of| of.standard_error),
        coverage: scores.as_ref().and_then(|of| of.coverage),
        baseline: scores.as_ref().map(|of| of.baseline.clone()),
        score: scores.map(|of| of.score),
        threshold,
        cross_validation: None,
        notes,
    })
}

/// The network of a model to start from, if it is of these layers and this loss.
fn network_of<T: Precision>(start: &Model, layers: &[Layer], loss: &Loss) -> Result<Network<T>, Error> {
    let list = |layers: &[Layer]| layers.iter().map(Layer::to_string).collect::<Vec<_>>().join(", ");
    let same = start.network.layers() == layers && start.loss.link() == loss.link();
    T::unwrap(&start.network).filter(|_| same).cloned().ok_or_else(|| Error::Value {
        what: "start",
        expected: format!("a {} network of layers {}", T::NAME, list(layers)),
        got: format!("{} of {}", start.network.precision(), list(start.network.layers())),
    })
}

/// What a model file tells of its run.
fn facts(
    options: &Options,
    plan: &Plan,
    run: &train::Options,
    report: &Report,
    rows: Roles,
    threshold: Option<(Threshold, &String)>,
    table: &Table,
) -> Map<String, Value> {
    let given: Map<String, Value> =
        options.given.iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
    let training = json!({
        "optimizer": run.optimizer.to_string(),
        "learning_rate": run.learning_rate.unwrap_or_else(|| run.optimizer.default_learning_rate()),
        "schedule": run.schedule.to_string(),
        "planned_epochs": run.epochs,
        "batch_size": run.batch_size,
        "weight_decay": run.weight_decay.unwrap_or_else(|| run.optimizer.default_weight_decay()),
        "l1": run.l1, "l2": run.l2, "clip_norm": run.clip_norm, "patience": run.patience, "seed": plan.seed,
        "epochs": report.epochs, "best_epoch": report.best_epoch, "steps": report.steps,
        "loss": report.loss, "validation_loss": report.validation_loss,
    });
    let Roles { training: learnt, choosing, scoring, folds } = rows;
    let mut facts = Map::new();
    facts.insert("options".into(), given.into());
    facts.insert("training".into(), training);
    facts.insert("data_fingerprint".into(), data_fingerprint(table).into());
    facts.insert("sample_weight".into(), plan.schema.sample_weight.as_deref().into());
    facts.insert("rows".into(), json!({"training": learnt, "choosing": choosing, "scoring": scoring, "folds": folds}));
    if let Some((Threshold { at, f1, f1_at_half, .. }, class)) = threshold {
        facts.insert("threshold".into(), json!({"class": class, "at": at, "f1": f1, "f1_at_half": f1_at_half}));
    }
    facts
}

/// The metric that decides: [`Metrics::main`].
pub fn main_metric(metrics: &Metrics) -> (&'static str, f64) {
    metrics.main()
}
