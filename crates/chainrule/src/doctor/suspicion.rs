//! From what was seen to what is told.

use super::course::{Checkup, Course};
use super::{Fault, Remedy};
use crate::activation::Activation;
use crate::error::Error;
use crate::explain::number;
use crate::layer::Layer;
use crate::train::Options;

/// A thing that theory expects harm from.
#[derive(Clone, Debug, PartialEq)]
pub struct Suspicion {
    /// What it is.
    pub fault: Fault,
    /// The position in the layer list, from 0, where it is seen first.
    pub layer: Option<usize>,
    /// What was seen, with its numbers.
    pub evidence: String,
    /// What may help: each is tried.
    pub remedies: Vec<Remedy>,
    /// Whether it is a fault even if no remedy helps.
    pub certain: bool,
}

/// σ behind the hidden layers below this share of the input's. The usual starts keep σ within a factor of ten over tens of
/// layers; and the path back multiplies by the same factors, so the first layer's gradient is a hundredth, too.
const VANISHED: f64 = 1e-2;
/// And its inverse.
const EXPLODED: f64 = 1e2;
/// A gradient step of one size serves columns of sizes a and b at rates that differ by (a/b)²: at ten, by a hundred. The same
/// holds for a single column of size ten against the bias.
const UNSCALED: f64 = 10.0;
/// Weights that have moved by less than this share of themselves, had all steps gone one way, are still the random start.
const UNMOVED: f64 = 0.1;
/// The deviation of a variance from n rows is √(2/(n − 1)) of itself: half of it at nine.
const FEW_ROWS: usize = 8;
/// Half of a layer's units doing nothing is half of what was paid for.
const HALF: f64 = 0.5;
/// Predictions that differ by less than a thousandth of what the target does are one number.
const CONSTANT: f64 = 1e-3;

/// What a run's course and its network look ill from. `failure` is the error that ended the run, if one did; then there may be
/// no checkup.
pub fn suspicions(
    course: &Course,
    checkup: Option<&Checkup>,
    options: &Options,
    layers: &[Layer],
    failure: Option<&Error>,
) -> Vec<Suspicion> {
    let mut all = Vec::new();
    let mut suspect = |fault, layer, evidence: String, remedies: Vec<Remedy>| {
        let certain = matches!(fault, Fault::ConstantPrediction | Fault::NotFinite);
        all.push(Suspicion { fault, layer, evidence, remedies, certain });
    };
    let rate = options.learning_rate.unwrap_or_else(|| options.optimizer.default_learning_rate());
    let times = |factor: f64| Remedy::LearningRate(round(rate * factor));
    let lower = || vec![times(0.1), times(0.01)];
    let hidden = last_hidden(layers);

    if let Some(failure) = failure {
        let mut remedies = vec![Remedy::ScaleInputs, Remedy::UsualStart];
        remedies.extend([0.1, 0.01, 1e-3, 1e-4, 1e-6, 1e-8].map(times));
        suspect(Fault::NotFinite, None, failure.to_string(), remedies);
    }

    // The signal on its way, before anything was learnt.
    let sigma = |facts: &[crate::train::LayerFacts]| {
        let shown: Vec<String> = facts.iter().map(|facts| number(facts.sigma, 2)).collect();
        shown.join(" → ")
    };
    if let (Some(hidden), Some(input)) = (hidden, course.start.first()) {
        let start = &course.start;
        let ratio = start[hidden + 1].sigma / input.sigma;
        let dead = (0..=hidden).find(|&k| start[k + 1].dead > 0.99);
        if let Some(k) = dead.filter(|_| input.sigma > 0.0) {
            let share = number(100.0 * start[k + 1].dead, 3);
            let evidence = format!("at the start {share} % of the units of layer {k} ({}) give one number", layers[k]);
            suspect(Fault::DeadUnits, Some(k), evidence, vec![Remedy::UsualStart, leaky(), Remedy::ScaleInputs]);
        } else if ratio < VANISHED {
            let at = (0..=hidden).find(|&k| start[k + 1].sigma < VANISHED * input.sigma);
            let evidence = format!("σ of input and layers at the start: {}", sigma(start));
            suspect(Fault::VanishingSignal, at, evidence, vec![Remedy::UsualStart]);
        } else if ratio > EXPLODED {
            let at = (0..=hidden).find(|&k| start[k + 1].sigma > EXPLODED * input.sigma);
            let evidence = format!("σ of input and layers at the start: {}", sigma(start));
            suspect(Fault::ExplodingSignal, at, evidence, vec![Remedy::UsualStart]);
        }
    }

    // Steps.
    if let (Some(last), Some(checkup)) = (course.epochs.last(), checkup) {
        let update = |record: &super::Record| {
            let weights = record.updates.iter().zip(&checkup.weights).filter(|(_, is_weights)| **is_weights);
            weights.map(|(update, _)| *update).fold(0.0, f64::max)
        };
        let lowest = course.epochs.iter().map(|record| record.loss).fold(f64::INFINITY, f64::min);
        let per_epoch = last.steps as f64 / course.epochs.len() as f64;
        let largest = course.epochs.iter().map(&update).fold(0.0, f64::max);
        let mut moved = 0.0;
        let mut before = 0;
        for record in &course.epochs {
            moved += update(record) * (record.steps - before) as f64;
            before = record.steps;
        }
        let searches = matches!(options.optimizer, crate::Optimizer::Lbfgs { .. });
        let signs = [
            (
                last.loss > 1.5 * lowest,
                format!("the training loss rose from {} to {}", number(lowest, 3), number(last.loss, 3)),
            ),
            (
                checkup.loss > 1.05 * checkup.constant,
                format!(
                    "the loss is {}, above the {} of one number for every row",
                    number(checkup.loss, 4),
                    number(checkup.constant, 4)
                ),
            ),
            // Steps of relative size r in random directions make weights anew in 1/r² of them.
            (
                largest * largest * per_epoch > 1.0,
                format!("a step changes a layer's weights by {} % of their size", number(100.0 * largest, 2)),
            ),
        ];
        let signs: Vec<String> = signs.into_iter().filter(|(is, _)| *is).map(|(_, text)| text).collect();
        if !signs.is_empty() && !searches {
            suspect(Fault::LearningRateTooLarge, None, signs.join("; "), lower());
        }
        if moved < UNMOVED && !searches && failure.is_none() {
            let evidence = format!(
                "all {} steps together moved the weights by at most {} % of their size; the loss is {}",
                last.steps,
                number(100.0 * moved, 2),
                number(checkup.loss, 4)
            );
            suspect(Fault::LearningRateTooSmall, None, evidence, vec![times(10.0), times(100.0), times(1000.0)]);
        }
        let best = course.epochs.iter().filter_map(|record| record.validation_loss).fold(f64::INFINITY, f64::min);
        if let Some(validation) = last.validation_loss
            && validation > 1.2 * best
            && last.loss < 0.5 * validation
        {
            let evidence = format!(
                "the loss ends at {} on training rows and {} on others, where its lowest was {}",
                number(last.loss, 3),
                number(validation, 3),
                number(best, 3)
            );
            suspect(Fault::Overfitting, None, evidence, vec![Remedy::Dropout(0.2), Remedy::WeightDecay(0.1)]);
        }
    }

    // Batch norm.
    let normed = layers.iter().position(|layer| matches!(layer, Layer::BatchNorm { .. }));
    if let (Some(k), Some(batch)) = (normed, options.batch_size)
        && batch <= FEW_ROWS
    {
        let noise = number(100.0 * (2.0 / (batch.max(2) as f64 - 1.0)).sqrt(), 2);
        let evidence = format!("a variance of {batch} rows is off by {noise} % of itself on average");
        suspect(Fault::SmallBatches, Some(k), evidence, vec![Remedy::BatchSize(32), Remedy::LayerNorm]);
    }

    let Some(checkup) = checkup else { return all };
    // Columns.
    let sizes = checkup.columns.iter().enumerate().filter(|(_, (size, several))| *several && *size > 0.0);
    let sizes: Vec<(usize, f64)> = sizes.map(|(c, (size, _))| (c, *size)).collect();
    let largest = sizes.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    let smallest = sizes.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1));
    if let (Some((large, most)), Some((small, least))) = (largest, smallest)
        && (most > UNSCALED || most / least > UNSCALED * UNSCALED)
    {
        let evidence = format!(
            "inputs are of size {} (column {}) to {} (column {})",
            number(least, 2),
            small + 1,
            number(most, 2),
            large + 1
        );
        suspect(Fault::UnscaledInputs, None, evidence, vec![Remedy::ScaleInputs]);
    }
    // Units.
    for (k, layer) in layers.iter().enumerate() {
        let facts = checkup.facts[k + 1];
        if !matches!(layer, Layer::Activation(_)) || checkup.rows < 10 {
            continue;
        }
        if facts.dead >= HALF {
            let share = number(100.0 * facts.dead, 3);
            let evidence =
                format!("{share} % of the units of layer {k} ({layer}) give one number for {} rows", checkup.rows);
            suspect(Fault::DeadUnits, Some(k), evidence, vec![leaky(), times(0.1), Remedy::UsualStart]);
            break;
        }
        if facts.saturated >= HALF {
            let share = number(100.0 * facts.saturated, 3);
            let evidence = format!("{share} % of the numbers of layer {k} ({layer}) lie where it is flat");
            suspect(Fault::Saturation, Some(k), evidence, vec![Remedy::UsualStart, Remedy::ScaleInputs, times(0.1)]);
            break;
        }
    }
    if checkup.spread < CONSTANT {
        let evidence = format!(
            "the loss is {}; that of the best single number is {}",
            number(checkup.loss, 5),
            number(checkup.constant, 5)
        );
        let mut remedies = vec![Remedy::UsualStart, Remedy::ScaleInputs];
        remedies.extend([100.0, 10.0, 0.1, 0.01, 1e-3].map(times));
        if options.weight_decay.is_some_and(|decay| decay > 0.0) {
            remedies.push(Remedy::WeightDecay(0.0));
        }
        suspect(Fault::ConstantPrediction, None, evidence, remedies);
    }
    all
}

fn leaky() -> Remedy {
    Remedy::Activation(Activation::LeakyRelu { slope: 0.01 })
}

/// The last layer in front of the last dense one.
fn last_hidden(layers: &[Layer]) -> Option<usize> {
    let dense = layers.iter().rposition(|layer| matches!(layer, Layer::Dense { .. } | Layer::Heads { .. }))?;
    dense.checked_sub(1)
}

/// A rate as a person would write it.
fn round(x: f64) -> f64 {
    format!("{x:.1e}").parse().unwrap_or(x)
}

/// What a short run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Replayed {
    /// Each row's loss on rows that are the same in every replay; `None` if the run failed.
    pub losses: Option<Vec<f64>>,
}

impl Replayed {
    fn mean(&self) -> f64 {
        let losses = self.losses.as_deref().unwrap_or_default();
        if losses.is_empty() { f64::INFINITY } else { losses.iter().sum::<f64>() / losses.len() as f64 }
    }
}

/// The loss of a short run with a remedy and of the same run without.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The mean loss without; infinite where the run fails.
    pub without: f64,
    /// The mean loss with.
    pub with: f64,
    /// The standard error of their difference, from the rows' differences.
    pub error: f64,
    /// Over how many rows.
    pub rows: usize,
}

/// The lowering that counts, as a share of the loss without.
const WORTH: f64 = 0.1;

/// A remedy that leaves so many times the loss of the best one is not told beside it.
const FAR: f64 = 2.0;

impl Measured {
    fn new(without: &Replayed, with: &Replayed) -> Self {
        let (a, b) = (without.mean(), with.mean());
        let rows = with.losses.as_deref().unwrap_or_default();
        let n = rows.len() as f64;
        let error = match &without.losses {
            Some(before) if n > 1.0 => {
                let squares = before.iter().zip(rows).map(|(a0, b0)| (a0 - b0 - (a - b)) * (a0 - b0 - (a - b)));
                (squares.sum::<f64>() / (n * (n - 1.0))).sqrt()
            }
            _ => 0.0,
        };
        Self { without: a, with: b, error, rows: rows.len() }
    }

    /// Whether the remedy lowers the loss by a tenth, and by more than two standard errors.
    pub fn helps(&self) -> bool {
        self.with.is_finite()
            && (self.without.is_infinite()
                || (self.without - self.with > WORTH * self.without && self.without - self.with > 2.0 * self.error))
    }
}

/// A fault, and what was measured of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// What it is.
    pub fault: Fault,
    /// The position in the layer list, from 0, where it is seen first.
    pub layer: Option<usize>,
    /// What was seen, with its numbers.
    pub evidence: String,
    /// Symptoms that the remedy cures too, with what was seen of them.
    pub leads_to: Vec<(Fault, String)>,
    /// What helped most, and by how much; none where nothing did.
    pub remedy: Option<(Remedy, Measured)>,
}

impl Finding {
    /// A symptom that another learning rate cures best comes from the learning rate.
    fn by_its_remedy(self, rate: f64) -> Self {
        let fault = match &self.remedy {
            Some((Remedy::LearningRate(better), _)) if self.fault.is_symptom() && self.fault != Fault::NotFinite => {
                if *better < rate {
                    Fault::LearningRateTooLarge
                } else {
                    Fault::LearningRateTooSmall
                }
            }
            _ => return self,
        };
        let evidence = format!("the learning rate is {}", number(rate, 3));
        Self { fault, layer: None, evidence, leads_to: vec![(self.fault, self.evidence)], remedy: self.remedy }
    }
}

/// Tries every remedy of the suspicions and keeps those that help, the one that helps most first. `replay` runs shortly with a
/// remedy, or as it was; a remedy that cannot act in the set-up gives `None`.
///
/// `rate` is the learning rate of the run.
///
/// # Errors
/// What `replay` gives.
pub fn confirm<E>(
    suspicions: Vec<Suspicion>,
    rate: f64,
    mut replay: impl FnMut(Option<&Remedy>) -> Result<Option<Replayed>, E>,
) -> Result<Vec<Finding>, E> {
    if suspicions.is_empty() {
        return Ok(Vec::new());
    }
    let Some(without) = replay(None)? else { return Ok(Vec::new()) };
    // Several suspicions may have one remedy: it is run once.
    let mut run: Vec<(Remedy, Option<Measured>)> = Vec::new();
    let mut findings = Vec::new();
    for suspicion in suspicions {
        let mut best: Option<(Remedy, Measured)> = None;
        for remedy in &suspicion.remedies {
            let known = run.iter().find(|(known, _)| known == remedy).map(|(_, measured)| *measured);
            let measured = match known {
                Some(measured) => measured,
                None => {
                    let measured = replay(Some(remedy))?.map(|with| Measured::new(&without, &with));
                    run.push((remedy.clone(), measured));
                    measured
                }
            };
            if let Some(measured) = measured.filter(Measured::helps)
                && best.as_ref().is_none_or(|(_, best)| measured.with < best.with)
            {
                best = Some((remedy.clone(), measured));
            }
        }
        if best.is_some() || suspicion.certain {
            let Suspicion { fault, layer, evidence, .. } = suspicion;
            let finding = Finding { fault, layer, evidence, leads_to: Vec::new(), remedy: best };
            findings.push(finding.by_its_remedy(rate));
        }
    }
    // The remedy that leaves the least loss comes first; where a cause's leaves nearly as little as a symptom's, the cause.
    let loss = |finding: &Finding| finding.remedy.as_ref().map_or(f64::INFINITY, |(_, measured)| measured.with);
    let rank = |finding: &Finding| loss(finding) * if finding.fault.is_symptom() { 1.0 + WORTH } else { 1.0 };
    findings.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
    let mut told: Vec<Finding> = Vec::new();
    for finding in findings {
        if let Some(same) = told.iter_mut().find(|same| same.fault == finding.fault) {
            same.leads_to.extend(finding.leads_to);
            continue;
        }
        // What helps far less than the first remedy may help only while that fault is there: it is not told beside it.
        let far = told.first().is_some_and(|first| first.remedy.is_some() && loss(&finding) > FAR * loss(first));
        // What stands before it has a remedy that leaves no more loss, or nearly: it cures the symptom, too.
        let cause = told.iter_mut().find(|cause| cause.remedy.is_some() && finding.fault.is_symptom());
        match cause {
            _ if far && !finding.fault.is_symptom() => {}
            Some(cause) => cause.leads_to.push((finding.fault, finding.evidence)),
            None => told.push(finding),
        }
    }
    Ok(told)
}
