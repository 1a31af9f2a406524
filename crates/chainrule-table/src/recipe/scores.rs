//! The honest score: of rows that entered no choice, beside a linear model and the mean.

use super::parts::{Part, Parts, permutation};
use super::{FitError, encoded};
use crate::ensemble::{self, Rows};
use crate::metrics::{self, Metrics};
use crate::model::{AnyNetwork, Model, Output, Predictions, outputs_for};
use crate::target::Target;
use chainrule::{Loss, Matrix, Network, Processor, Scalar};
use serde_json::{Map, json};
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The baseline is fitted on at most so many of the training rows: a linear model has learnt what it can long before.
const BASELINE_ROWS: usize = 200_000;

/// A model's score on the scoring rows, as [`Fitted`](super::Fitted) tells it.
pub(super) struct Scores {
    pub(super) score: Metrics,
    pub(super) standard_error: Option<f64>,
    pub(super) coverage: Option<(f64, f64)>,
    pub(super) baseline: (Metrics, Metrics),
}

/// The linear model beside a network.
pub(super) struct Linear {
    pub(super) loss: Loss,
    /// Where it is fitted already.
    pub(super) network: Option<Network<f64>>,
}

/// Scores a model and its baselines, and writes the scores into its facts. `training` are the encoded training rows.
pub(super) fn score<T: Scalar>(
    model: &mut Model,
    parts: &Parts<'_>,
    training: Rows<T>,
    linear: Linear,
    seed: u64,
    notes: &mut Vec<String>,
    processor: &Processor,
) -> Result<Scores, FitError> {
    let scoring = &parts.scoring;
    let (predictions, more) = model.predict(scoring.table, Some(&scoring.rows), processor)?;
    let score = model.score(scoring.table, &scoring.rows, &predictions, scoring.weights.as_deref())?;
    let losses = model.losses(scoring.table, &scoring.rows, &predictions)?;
    let error = metrics::standard_error(&losses, scoring.weights.as_deref());
    // Of a root r = √m the error is that of m over 2r.
    let standard_error = match &score {
        Metrics::Regression(scores) if scores.rmse > 0.0 => Some(error / (2.0 * scores.rmse)),
        Metrics::Regression(_) | Metrics::Several(_) => None,
        Metrics::Classification(_) => Some(error),
    };
    let coverage = covered(&model.target, scoring, &predictions)?;
    let copies = copies(&training, &encoded::<T>(&model.encoder, &model.target, &model.loss, scoring)?.0);
    drop(training); // nobody needs it any more, and a large one stands in the way
    if copies > 0 {
        let scored = scoring.rows.len();
        notes.push(format!("{copies} of the {scored} scored rows are equal to a training row: the score flatters"));
    }
    for note in more.iter().map(ToString::to_string) {
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    let network = match linear.network {
        Some(network) => network,
        None => baseline_network(model, &parts.training, &linear.loss, seed, processor)?,
    };
    let linear = linear_baseline(model, network, linear.loss, scoring, processor)?;
    let constant = constant_baseline(model, &parts.training, scoring)?;
    model.facts.insert("score".into(), serde_json::to_value(&score).expect("numbers"));
    if let Some((nominal, measured)) = coverage {
        model.facts.insert("coverage".into(), json!({"nominal": nominal, "measured": measured}));
    }
    model.facts.insert("baseline".into(), serde_json::to_value(&linear).expect("numbers"));
    Ok(Scores { score, standard_error, coverage, baseline: (linear, constant) })
}

/// A linear model of the training rows, of very many of them some.
fn baseline_network(
    model: &Model,
    training: &Part<'_>,
    loss: &Loss,
    seed: u64,
    processor: &Processor,
) -> Result<Network<f64>, FitError> {
    let mut kept = permutation(seed, 2, training.rows.len());
    kept.truncate(BASELINE_ROWS);
    kept.sort_unstable();
    let rows = kept.iter().map(|&i| training.rows[i]).collect();
    let weights = training.weights.as_ref().map(|weights| kept.iter().map(|&i| weights[i]).collect());
    let some = Part { table: training.table, rows, weights };
    let rows = encoded::<f64>(&model.encoder, &model.target, loss, &some)?.0;
    Ok(ensemble::linear(&rows, loss, outputs_for(loss, &model.target), processor)?)
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
    network: Network<f64>,
    loss: Loss,
    scoring: &Part<'_>,
    processor: &Processor,
) -> Result<Metrics, FitError> {
    let linear = Model {
        encoder: model.encoder.clone(),
        target: model.target.clone(),
        loss,
        network: AnyNetwork::F64(network),
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
