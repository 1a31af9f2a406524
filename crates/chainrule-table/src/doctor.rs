//! The training doctor for tables: [`chainrule::doctor`] on a run of the recipe, and what only a table can have.
//!
//! While [`fit`](recipe::fit) runs, [`Courses`] writes down what its networks did. [`examine`] then reads the first one's course,
//! and looks at the columns. Nothing is told on suspicion alone: each remedy is an option of `fit`, and is tried in a short run
//! of the same recipe, on up to 2,000 of the rows, scored on up to 1,000 others (on the same rows where there are fewer than
//! 40). What does not lower the loss by a tenth, and by more than two standard errors, is not told.
//!
//! | fault of a table | seen by | measured by |
//! |---|---|---|
//! | `leak` | columns that alone leave less than 1 % of the target's variance on rows held back | without them, at least four times the loss is left |
//! | `identifier_column` | a column of numbers that are whole, all different and nearly without gaps: it counts the rows | a run without it |
//! | `imbalance` | a class of less than a tenth of the rows, of which the model finds less than a tenth | balanced weights find a tenth more of the classes on average |

use crate::error::TableError;
use crate::explain::Seen;
use crate::model::{Model, Predictions};
use crate::recipe::{self, FitError, Fitted, Norm, Options, Plan, Preset, Start, Tables};
use crate::scale::Scale;
use crate::schema::{Kind, Schema, Task};
use crate::split::hold_back;
use crate::table::Table;
use crate::target::Target;
use chainrule::doctor::{self, Checkup, Course, Fault, Remedy, Replayed, Suspicion};
use chainrule::random::default_rng;
use chainrule::train::Event;
use chainrule::{Activation, Error, Initialiser, Loss, Processor};
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// What the networks of a run did, written down as it trains.
#[derive(Clone, Debug, Default)]
pub struct Courses {
    each: usize,
    /// By the network's number, from 0.
    pub networks: BTreeMap<usize, Course>,
    /// What was known before the training.
    pub start: Option<Start>,
}

impl Courses {
    /// To be called by `started` of [`fit`](recipe::fit).
    pub fn begin(&mut self, start: &Start) {
        (self.each, self.networks, self.start) = (start.each.max(1), BTreeMap::new(), Some(start.clone()));
    }

    /// To be called by `watch` of [`fit`](recipe::fit).
    pub fn see(&mut self, event: &Event<'_>) {
        if let Event::Epoch(epoch) = event {
            let network = (epoch.epoch - 1) / self.each.max(1);
            let mut own = **epoch;
            own.epoch -= network * self.each;
            self.networks.entry(network).or_default().see(&Event::Epoch(&own));
        }
    }
}

/// A fault, and what was measured of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Its name for programs.
    pub fault: &'static str,
    /// What it is.
    pub title: String,
    /// What was seen, with its numbers.
    pub evidence: String,
    /// The position in the layer list, from 0, where it is seen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<usize>,
    /// Symptoms that the same remedy cures.
    pub leads_to: Vec<Symptom>,
    /// Options of `fit` that help: name and value.
    pub options: Vec<(&'static str, String)>,
    /// What a person should do, where no option does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// A short run with the options, and one without.
    pub measured: Option<Measured>,
}

/// What follows from a fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Symptom {
    /// Its name for programs.
    pub fault: &'static str,
    /// What it is.
    pub title: &'static str,
    /// What was seen, with its numbers.
    pub evidence: String,
}

/// The score of two short runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// `rmse`, `log_loss` or `balanced_accuracy`.
    pub metric: &'static str,
    /// Without the options; none where the run fails.
    pub without: Option<f64>,
    /// With them.
    pub with: f64,
    /// Over how many rows.
    pub rows: usize,
}

/// What came of an examination.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Examination {
    /// What is wrong, the gravest first. None: the run is healthy.
    pub findings: Vec<Finding>,
    /// What was looked at, and what could not be.
    pub notes: Vec<String>,
    /// How many short runs were made.
    pub replays: usize,
}

/// Says what is wrong with a run of [`fit`](recipe::fit), which came to `outcome` while `courses` was written.
///
/// # Errors
/// If the table or an option is at fault.
pub fn examine(
    tables: &Tables<'_>,
    options: &Options,
    courses: &Courses,
    outcome: Result<&Fitted, &FitError>,
    processor: &Processor,
) -> Result<Examination, FitError> {
    let plan = Plan::new(options)?;
    let schema = Schema::infer(tables.table, &plan.schema)?;
    let failure = match outcome {
        Err(FitError::Engine(error @ Error::NotFinite { .. })) => Some(error),
        Err(FitError::Engine(error)) => return Err(error.clone().into()),
        Err(FitError::Table(error)) => return Err(TableError::clone(error).into()),
        Ok(_) => None,
    };
    let mut bench = Bench::new(tables, options, &plan, &schema, courses, processor)?;
    let mut examination = Examination::default();

    // The run.
    let layers = match (outcome, &courses.start) {
        (Ok(fitted), _) => fitted.model.network.layers().to_vec(),
        (Err(_), Some(start)) => start.layers.clone(),
        (Err(_), None) => Vec::new(),
    };
    let loss = outcome.map_or(Loss::SquaredError, |fitted| fitted.model.loss.clone());
    let learnt = courses.start.as_ref().map_or(schema.rows.len(), |start| start.rows.training);
    let run = plan.training(&loss, learnt, false);
    let checkup = match outcome {
        Ok(fitted) => check_up(&fitted.model, tables.table, processor)?,
        Err(_) => None,
    };
    let nothing = Course::default();
    let course = courses.networks.get(&0).unwrap_or(&nothing);
    let mut suspected = doctor::suspicions(course, checkup.as_ref(), &run, &layers, failure);
    if let (Some(checkup), Ok(fitted)) = (&checkup, outcome) {
        for suspicion in suspected.iter_mut().filter(|suspicion| suspicion.fault == Fault::UnscaledInputs) {
            suspicion.evidence = sizes(checkup, &fitted.model).unwrap_or(std::mem::take(&mut suspicion.evidence));
        }
    }
    // Choosing rows stop a run in time; without them learning by heart shows on rows held back alone.
    let chooses = plan.preset == Preset::Default || plan.validation_fraction > 0.0 || tables.validation.is_some();
    if !chooses
        && bench.test.is_some()
        && failure.is_none()
        && let Some(run) = bench.baseline()
        && let (Some(held), Some(own)) = (mean(&run.losses), mean(&run.training))
        && held > 2.0 * own
    {
        let (held, own) = (show(bench.in_units(held)), show(bench.in_units(own)));
        let metric = bench.metric();
        suspected.push(Suspicion {
            fault: Fault::Overfitting,
            layer: None,
            evidence: format!(
                "{metric} {held} on rows not learnt from, {own} on the others; no row decides when to stop"
            ),
            remedies: vec![Remedy::EarlyStopping, Remedy::Dropout(0.2)],
            certain: false,
        });
    }
    let rate = run.learning_rate.unwrap_or_else(|| run.optimizer.default_learning_rate());
    let found = doctor::confirm(suspected, rate, |remedy| {
        Ok::<_, FitError>(match remedy {
            None => {
                Some(bench.baseline().map_or(Replayed { losses: None }, |run| Replayed { losses: Some(run.losses) }))
            }
            Some(remedy) => match changes(remedy, &plan) {
                None => None,
                Some(changes) => bench
                    .replay(&changes)?
                    .map(|run| Replayed { losses: (!run.losses.is_empty()).then_some(run.losses) }),
            },
        })
    })?;

    // The table.
    examination.findings.extend(leak(&mut bench, &schema)?);
    for finding in found {
        let options = finding.remedy.as_ref().and_then(|(remedy, _)| changes(remedy, &plan)).unwrap_or_default();
        let measured = finding.remedy.map(|(_, measured)| Measured {
            metric: bench.metric(),
            without: measured.without.is_finite().then(|| bench.in_units(measured.without)),
            with: bench.in_units(measured.with),
            rows: measured.rows,
        });
        let symptom =
            |(fault, evidence): (Fault, String)| Symptom { fault: fault.name(), title: fault.title(), evidence };
        let advice = (measured.is_none()).then(|| match finding.fault {
            Fault::ConstantPrediction => {
                "nothing that was tried helps: perhaps the columns say nothing of the target".into()
            }
            _ => "nothing that was tried helps: look for enormous numbers in the table".into(),
        });
        examination.findings.push(Finding {
            fault: finding.fault.name(),
            title: finding.fault.title().into(),
            evidence: finding.evidence,
            layer: finding.layer,
            leads_to: finding.leads_to.into_iter().map(symptom).collect(),
            options,
            advice,
            measured,
        });
    }
    examination.findings.extend(identifiers(&mut bench, &schema)?);
    examination.findings.extend(imbalance(&mut bench, &schema, &plan)?);
    for (position, kind) in schema.kinds.iter().enumerate() {
        if matches!(kind, Kind::Constant | Kind::Identifier | Kind::Text | Kind::Duplicate) {
            let (name, reason) = (tables.table.columns()[position].name(), &schema.reasons[position]);
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            examination.notes.push(format!("{name} is left out by itself ({}{reason})", kind.name()));
        }
    }
    examination.notes.append(&mut bench.notes);
    examination.replays = bench.replays;
    Ok(examination)
}

/// The first network on rows of the table.
fn check_up(model: &Model, table: &Table, processor: &Processor) -> Result<Option<Checkup>, FitError> {
    let (rows, _) = model.target.rows(table)?;
    let most = Checkup::MOST_ROWS.min(rows.len());
    let rows: Vec<usize> = (0..most).map(|i| rows[i * rows.len() / most]).collect();
    let seen = Seen::with_targets(model, &model.network, table, Some(&rows))?;
    let checkup = Checkup::new(&model.network.widened(), &seen.data(), &model.loss, processor)?;
    Ok(checkup.loss.is_finite().then_some(checkup))
}

/// The smallest and the largest column of numbers, by name.
fn sizes(checkup: &Checkup, model: &Model) -> Option<String> {
    let columns = model.encoder.columns();
    let of = checkup.columns.iter().enumerate().filter(|(_, (size, several))| *several && *size > 0.0);
    let mut of: Vec<(usize, f64)> = of.map(|(c, (size, _))| (c, *size)).collect();
    of.sort_by(|a, b| a.1.total_cmp(&b.1));
    let ((small, least), (large, most)) = (of.first()?, of.last()?);
    let name = |c: &usize| columns.get(*c).map_or_else(String::new, |column| column.name.clone());
    Some(format!("as inputs, {} is of size {}, {} of {}", name(small), show(*least), name(large), show(*most)))
}

/// The options of `fit` that a remedy is; none where it is no change.
fn changes(remedy: &Remedy, plan: &Plan) -> Option<Vec<(&'static str, String)>> {
    let hidden = plan.activations.first();
    Some(match remedy {
        Remedy::LearningRate(rate) => vec![("learning-rate", rate.to_string())],
        Remedy::UsualStart => {
            let usual = Initialiser::default_for(hidden.unwrap_or(&Activation::Identity));
            (plan.init.is_some() && plan.init != Some(usual)).then(|| vec![("init", usual.to_string())])?
        }
        Remedy::ScaleInputs => (plan.scale == Scale::None).then(|| vec![("scale", "standard".into())])?,
        Remedy::Activation(activation) => hidden.map(|_| vec![("activation", activation.to_string())])?,
        Remedy::BatchSize(rows) => vec![("batch-size", rows.to_string())],
        Remedy::LayerNorm => (plan.norm == Norm::Batch).then(|| vec![("norm", "layer".into())])?,
        Remedy::Dropout(rate) => hidden.filter(|_| plan.dropout == 0.0).map(|_| vec![("dropout", rate.to_string())])?,
        Remedy::WeightDecay(decay) => vec![("weight-decay", decay.to_string())],
        Remedy::EarlyStopping => vec![("validation-fraction", "0.2".into()), ("patience", "20".into())],
    })
}

fn mean(losses: &[f64]) -> Option<f64> {
    (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
}

fn show(x: f64) -> String {
    chainrule::explain::number(x, 3)
}

/// What a short run came to.
#[derive(Clone, Debug, Default)]
struct Run {
    /// Each scored row's loss; none if the run failed.
    losses: Vec<f64>,
    /// Each training row's, of up to as many.
    training: Vec<f64>,
    /// For each class the share of its scored rows that is found.
    recall: Vec<f64>,
}

/// Short runs of a recipe.
struct Bench<'a> {
    train: Table,
    /// None: the training rows are scored.
    test: Option<Table>,
    validation: Option<&'a Table>,
    start: Option<&'a Model>,
    options: Options,
    task: Task,
    processor: &'a Processor,
    baseline: Option<Option<Run>>,
    replays: usize,
    notes: Vec<String>,
}

/// A short run learns from at most so many rows,
const TRAINING_ROWS: usize = 2000;
/// is scored on at most so many others,
const SCORED_ROWS: usize = 1000;
/// and takes about this many multiply-adds forward: seconds.
const WORK: f64 = 1e10;
/// With fewer rows than these, the training rows are scored: a quarter of them would tell nothing.
const FEW_ROWS: usize = 40;

impl<'a> Bench<'a> {
    fn new(
        tables: &Tables<'a>,
        options: &Options,
        plan: &Plan,
        schema: &Schema,
        courses: &Courses,
        processor: &'a Processor,
    ) -> Result<Self, FitError> {
        let table = tables.table;
        let target = Target::fit(table, schema, &schema.rows, Scale::None)?;
        let split = |rows: &[usize], fraction: f64, purpose: u64| {
            let permutation = default_rng([plan.seed, 4, purpose]).permutation(rows.len());
            let classes = match &target {
                Target::Classification(target) => Some(target.classes(table, rows)?),
                Target::Regression(_) => None,
            };
            Ok::<_, FitError>(hold_back(rows, fraction, classes.as_deref(), &permutation)?)
        };
        let mut rows = schema.rows.clone();
        let most = TRAINING_ROWS + SCORED_ROWS;
        if rows.len() > most {
            rows = split(&rows, most as f64 / rows.len() as f64, 0)?.held;
        }
        let (train, test) = match rows.len() {
            n if n < FEW_ROWS => (rows, None),
            _ => {
                let split = split(&rows, SCORED_ROWS as f64 / most as f64, 1)?;
                (split.training, Some(split.held))
            }
        };
        // What says how rows are held back or how the score is made has no say here.
        let mut options = options.without(&["cv", "test-fraction", "quantiles", "folds"]);
        let plain = plan.preset == Preset::Plain;
        if !plain {
            options.set("folds", "1")?;
        }
        options.set("test-fraction", "0")?;
        let own = Plan::new(&options)?;
        let parameters = courses.start.as_ref().map_or(0, |start| start.parameters / start.rows.folds.max(1));
        let affordable = (WORK / (train.len() as f64 * parameters.max(1) as f64)) as usize;
        let passes = own.passes(train.len());
        let mut notes = Vec::new();
        if affordable.max(3) < passes {
            options.set("epochs", &affordable.max(3).to_string())?;
            notes.push(format!("short runs take {} epochs where the recipe takes {passes}", affordable.max(3)));
        }
        Ok(Self {
            train: table.select(&train),
            test: test.map(|rows| table.select(&rows)),
            validation: tables.validation,
            start: tables.start,
            options,
            task: schema.task,
            processor,
            baseline: None,
            replays: 0,
            notes,
        })
    }

    fn metric(&self) -> &'static str {
        if self.task == Task::Regression { "rmse" } else { "log_loss" }
    }

    /// The metric of a mean loss.
    fn in_units(&self, loss: f64) -> f64 {
        if self.task == Task::Regression { loss.sqrt() } else { loss }
    }

    /// A run as it was.
    fn baseline(&mut self) -> Option<Run> {
        if self.baseline.is_none() {
            let run = match self.replay(&[]) {
                Ok(run) => run,
                Err(error) => {
                    self.notes.push(format!("no short run could be made: {error}"));
                    None
                }
            };
            self.baseline = Some(run.filter(|run| !run.losses.is_empty()));
        }
        self.baseline.clone().flatten()
    }

    /// A run with changed options. None: they cannot act here. A run that fails has no losses.
    fn replay(&mut self, changes: &[(&'static str, String)]) -> Result<Option<Run>, FitError> {
        let mut options = self.options.clone();
        for (name, value) in changes {
            options.set(name, value)?;
        }
        let (table, scored) = (&self.train, self.test.as_ref().unwrap_or(&self.train));
        let tables = Tables { table, test: None, validation: self.validation, start: self.start };
        self.replays += 1;
        let mut go_on = |_: Event<'_>| ControlFlow::Continue(());
        let fitted = match recipe::fit(&tables, &options, self.processor, &mut |_| (), &mut go_on) {
            Ok(fitted) => fitted,
            Err(FitError::Engine(Error::NotFinite { .. })) => return Ok(Some(Run::default())),
            Err(error) if changes.is_empty() => return Err(error),
            Err(_) => return Ok(None),
        };
        let model = &fitted.model;
        let losses = |table: &Table| -> Result<(Vec<f64>, Vec<f64>), FitError> {
            let (rows, _) = model.target.rows(table)?;
            let (predictions, _) = model.predict(table, Some(&rows), self.processor)?;
            let losses = model.losses(table, &rows, &predictions)?;
            Ok((losses, recall(model, table, &rows, &predictions)?))
        };
        let (held, recall) = losses(scored)?;
        let training = if self.test.is_some() { losses(&self.train)?.0 } else { Vec::new() };
        if !held.iter().all(|loss| loss.is_finite()) {
            return Ok(Some(Run::default()));
        }
        Ok(Some(Run { losses: held, training, recall }))
    }
}

/// For each class that occurs, the share of its rows that are called so.
fn recall(model: &Model, table: &Table, rows: &[usize], predictions: &Predictions) -> Result<Vec<f64>, FitError> {
    let (Target::Classification(target), Predictions::Probabilities(p)) = (&model.target, predictions) else {
        return Ok(Vec::new());
    };
    let mut counts = vec![(0.0, 0.0); p.cols()];
    for (i, class) in target.classes(table, rows)?.into_iter().enumerate() {
        let p = p.row(i);
        let likeliest = (1..p.len()).fold(0, |best, k| if p[k] > p[best] { k } else { best });
        let (of, found) = &mut counts[class as usize];
        *of += 1.0;
        *found += f64::from(u8::from(likeliest == class as usize));
    }
    Ok(counts.into_iter().map(|(of, found)| if of > 0.0 { found / of } else { f64::NAN }).collect())
}

/// Columns that alone predict the target as nothing honest does.
fn leak(bench: &mut Bench<'_>, schema: &Schema) -> Result<Option<Finding>, FitError> {
    /// So much of the target's variance is left by a column that gives it away.
    const LEFT: f64 = 0.01;
    /// And the others leave so many times the loss.
    const TIMES: f64 = 4.0;
    let Some(test) = &bench.test else { return Ok(None) };
    let alone = |position: usize| left_by(&bench.train, test, schema, position);
    let shares: Vec<(usize, f64)> =
        schema.inputs().map(|position| Ok((position, alone(position)?))).collect::<Result<_, FitError>>()?;
    let giving: Vec<(usize, f64)> = shares.iter().copied().filter(|(_, left)| *left < LEFT).collect();
    if giving.is_empty() || giving.len() == shares.len() {
        return Ok(None);
    }
    let names: Vec<String> =
        giving.iter().map(|(position, _)| bench.train.columns()[*position].name().to_owned()).collect();
    let options = ignoring(bench, &names);
    let Some(with) = bench.baseline().and_then(|run| mean(&run.losses)) else { return Ok(None) };
    let Some(without) = bench.replay(&options)?.and_then(|run| mean(&run.losses)) else { return Ok(None) };
    if without < TIMES * with {
        return Ok(None);
    }
    let rows = bench.test.as_ref().map_or(0, Table::rows);
    let left: Vec<String> = giving
        .iter()
        .zip(&names)
        .map(|((_, left), name)| format!("{name} alone leaves {} % of the target's variance", show(100.0 * left)))
        .collect();
    let measured = Some(Measured {
        metric: bench.metric(),
        without: Some(bench.in_units(with)),
        with: bench.in_units(without),
        rows,
    });
    Ok(Some(Finding {
        fault: "leak",
        title: format!("{} may give the target away", names.join(", ")),
        evidence: format!("on rows held back {}", left.join("; ")),
        layer: None,
        leads_to: Vec::new(),
        options,
        advice: Some("is it known when a prediction is wanted? If not, the score without it is the honest one".into()),
        measured,
    }))
}

/// `--ignore` with these columns besides those that are ignored already.
fn ignoring(bench: &Bench<'_>, names: &[String]) -> Vec<(&'static str, String)> {
    let given = bench.options.get("ignore").filter(|given| !given.trim().is_empty()).map(str::to_owned);
    vec![("ignore", given.into_iter().chain(names.iter().cloned()).collect::<Vec<_>>().join(","))]
}

/// The share of the target's variance (of classes: of their indicators', summed) that a column alone leaves on the rows of
/// `test`: a prediction is the mean of the training rows with that text or number, of numbers between two the straight line.
fn left_by(train: &Table, test: &Table, schema: &Schema, position: usize) -> Result<f64, FitError> {
    let truth = |table: &Table| -> Result<Vec<Vec<f64>>, FitError> {
        let rows: Vec<usize> = (0..table.rows()).collect();
        Ok(if schema.labels.is_empty() {
            table.numbers(schema.target, &rows)?.into_iter().map(|y| vec![y]).collect()
        } else {
            let texts = &table.texts(&[schema.target])[0];
            let class =
                |row: usize| schema.labels.iter().position(|label| texts.get(row).map(str::trim) == Some(label));
            let indicator =
                |row| (0..schema.labels.len()).map(|k| f64::from(u8::from(class(row) == Some(k)))).collect();
            rows.into_iter().map(indicator).collect()
        })
    };
    let (learnt, scored) = (truth(train)?, truth(test)?);
    let outputs = learnt.first().map_or(1, Vec::len);
    let mean: Vec<f64> = (0..outputs).map(|k| learnt.iter().map(|y| y[k]).sum::<f64>() / learnt.len() as f64).collect();
    let average = |sums: (Vec<f64>, f64)| -> Vec<f64> { sums.0.into_iter().map(|sum| sum / sums.1).collect() };
    let add = |(sums, n): &mut (Vec<f64>, f64), y: &[f64]| {
        sums.iter_mut().zip(y).for_each(|(sum, y)| *sum += y);
        *n += 1.0;
    };
    let empty = || (vec![0.0; outputs], 0.0);
    let numeric = schema.kinds[position] == Kind::Numeric;
    let mut range: Option<(f64, f64, Vec<f64>)> = None;
    let predictions: Vec<Vec<f64>> = if numeric {
        let numbers = |table: &Table| table.numbers(position, &(0..table.rows()).collect::<Vec<_>>());
        let (x, at) = (numbers(train)?, numbers(test)?);
        let mut order: Vec<usize> = (0..x.len()).filter(|&i| !x[i].is_nan()).collect();
        order.sort_by(|&a, &b| x[a].total_cmp(&x[b]));
        let mut missing = empty();
        (0..x.len()).filter(|&i| x[i].is_nan()).for_each(|i| add(&mut missing, &learnt[i]));
        let missing = if missing.1 > 0.0 { average(missing) } else { mean.clone() };
        let mut knots: Vec<(f64, Vec<f64>)> = Vec::new();
        for group in order.chunk_by(|&a, &b| x[a] == x[b]) {
            let mut sums = empty();
            group.iter().for_each(|&i| add(&mut sums, &learnt[i]));
            knots.push((x[group[0]], average(sums)));
        }
        let predict = |x: &f64| {
            if x.is_nan() || knots.is_empty() {
                return missing.clone();
            }
            let next = knots.partition_point(|(knot, _)| knot < x);
            match (next.checked_sub(1).map(|before| &knots[before]), knots.get(next)) {
                (Some((a, low)), Some((b, high))) => {
                    let share = (x - a) / (b - a);
                    low.iter().zip(high).map(|(low, high)| low + share * (high - low)).collect()
                }
                (Some((_, y)), None) | (None, Some((_, y))) => y.clone(),
                (None, None) => mean.clone(),
            }
        };
        let predictions = at.iter().map(predict).collect();
        if let (Some((low, _)), Some((high, _))) = (knots.first(), knots.last()) {
            range = Some((*low, *high, at));
        }
        predictions
    } else {
        let (own, other) = (train.texts(&[position]), test.texts(&[position]));
        let mut levels: std::collections::HashMap<Option<&str>, (Vec<f64>, f64)> = std::collections::HashMap::new();
        for (i, y) in learnt.iter().enumerate() {
            add(levels.entry(own[0].get(i)).or_insert_with(empty), y);
        }
        let predict = |i| levels.get(&other[0].get(i)).map_or_else(|| mean.clone(), |sums| average(sums.clone()));
        (0..test.rows()).map(predict).collect()
    };
    let n = scored.len() as f64;
    let centre: Vec<f64> = (0..outputs).map(|k| scored.iter().map(|y| y[k]).sum::<f64>() / n).collect();
    let distance = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
    // A number beyond those of training tells of extrapolation, not of the column: such rows are left out.
    let known =
        |i: usize| range.as_ref().is_none_or(|(low, high, at)| at[i].is_nan() || (*low..=*high).contains(&at[i]));
    let rows = || (0..scored.len()).filter(|&i| known(i));
    let left: f64 = rows().map(|i| distance(&scored[i], &predictions[i])).sum();
    let whole: f64 = rows().map(|i| distance(&scored[i], &centre)).sum();
    Ok(if whole > 0.0 { left / whole } else { 1.0 })
}

/// Numbers that count the rows.
fn identifiers(bench: &mut Bench<'_>, schema: &Schema) -> Result<Vec<Finding>, FitError> {
    let Some(test) = &bench.test else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    let numeric = schema.inputs().filter(|&position| schema.kinds[position] == Kind::Numeric);
    for position in numeric.collect::<Vec<_>>() {
        let cells = |table: &Table| table.numbers(position, &(0..table.rows()).collect::<Vec<_>>());
        let mut numbers = [cells(&bench.train)?, cells(test)?].concat();
        numbers.sort_by(f64::total_cmp);
        let distinct = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        let whole = numbers.iter().all(|x| x.is_finite() && x.fract() == 0.0);
        // Of a whole table nearly every number occurs; of a part of n rows, one in rows/n.
        let span = numbers.last().zip(numbers.first()).map_or(f64::INFINITY, |(last, first)| last - first + 1.0);
        if distinct && whole && span < 1.5 * schema.rows.len() as f64 {
            found.push(bench.train.columns()[position].name().to_owned());
        }
    }
    let inputs = schema.inputs().count();
    let mut findings = Vec::new();
    for name in found.into_iter().filter(|_| inputs > 1) {
        let options = ignoring(bench, std::slice::from_ref(&name));
        let (Some(with), Some(without)) = (
            bench.baseline().and_then(|run| mean(&run.losses)),
            bench.replay(&options)?.and_then(|run| mean(&run.losses)),
        ) else {
            continue;
        };
        let advice = if without > 1.1 * with {
            "the order of the rows tells of the target: ask why, before you trust the score"
        } else {
            "a new row's number says nothing of it; leave it out"
        };
        findings.push(Finding {
            fault: "identifier_column",
            title: format!("{name} counts the rows"),
            evidence: format!(
                "its numbers are whole, all different, and nearly without gaps in {} rows",
                schema.rows.len()
            ),
            layer: None,
            leads_to: Vec::new(),
            options,
            advice: Some(advice.into()),
            measured: Some(Measured {
                metric: bench.metric(),
                without: Some(bench.in_units(with)),
                with: bench.in_units(without),
                rows: bench.test.as_ref().map_or(0, Table::rows),
            }),
        });
    }
    Ok(findings)
}

/// A rare class that the model hardly ever finds.
fn imbalance(bench: &mut Bench<'_>, schema: &Schema, plan: &Plan) -> Result<Option<Finding>, FitError> {
    /// A class is rare below this share, and passed over below this recall.
    const TENTH: f64 = 0.1;
    /// Of fewer rows a recall is no measurement.
    const ROWS: usize = 10;
    if schema.task != Task::Classification || plan.balanced || bench.test.is_none() {
        return Ok(None);
    }
    let Some(test) = &bench.test else { return Ok(None) };
    let texts = &test.texts(&[schema.target])[0];
    let count = |label: &String| (0..test.rows()).filter(|&row| texts.get(row).map(str::trim) == Some(label)).count();
    let counts: Vec<usize> = schema.labels.iter().map(count).collect();
    let rows = test.rows();
    let rare = |k: &usize| counts[*k] >= ROWS && (counts[*k] as f64) < TENTH * rows as f64;
    if !(0..counts.len()).any(|k| rare(&k)) {
        return Ok(None);
    }
    let Some(run) = bench.baseline() else { return Ok(None) };
    let passed_over: Vec<usize> =
        (0..counts.len().min(run.recall.len())).filter(|k| rare(k) && run.recall[*k] < TENTH).collect();
    if passed_over.is_empty() {
        return Ok(None);
    }
    let options = vec![("class-weight", "balanced".to_owned())];
    let average = |recall: &[f64]| {
        let known: Vec<f64> = recall.iter().copied().filter(|share| !share.is_nan()).collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    };
    let Some(balanced) = bench.replay(&options)?.filter(|run| !run.recall.is_empty()) else { return Ok(None) };
    let (without, with) = (average(&run.recall), average(&balanced.recall));
    if with < without + TENTH {
        return Ok(None);
    }
    let name = |&k: &usize| {
        let (share, found) = (100.0 * counts[k] as f64 / rows as f64, 100.0 * run.recall[k]);
        format!("{} has {} % of the rows, and {} % of these are found", schema.labels[k], show(share), show(found))
    };
    Ok(Some(Finding {
        fault: "imbalance",
        title: "a rare class is passed over".into(),
        evidence: passed_over.iter().map(name).collect::<Vec<_>>().join("; "),
        layer: None,
        leads_to: Vec::new(),
        options,
        advice: Some(
            "probabilities are right as they are; balance them only if each class is worth the same to you".into(),
        ),
        measured: Some(Measured { metric: "balanced_accuracy", without: Some(without), with, rows }),
    }))
}
