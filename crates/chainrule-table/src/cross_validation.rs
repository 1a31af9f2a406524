//! K-fold cross-validation: a score of all rows, and a model of all rows.
//!
//! The rows are dealt into K folds, class by class or group by group. K models are fitted by the whole recipe, each without
//! one fold, and scored there; so every row scores once, by a model that has made no choice with it. Then one model is fitted
//! with no row held back: it is the one that is kept, and the K scores tell what to expect of it, or a little better.

use crate::metrics::Metrics;
use crate::recipe::{FitError, Fitted, Start};
use chainrule::Error;
use chainrule::train::{Ended, Epoch, Event};
use serde_json::{Map, Value, json};
use std::ops::ControlFlow;

/// Which fold scores: `this` of `of`, from 0. `None`: the last turn, in which none does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) this: Option<usize>,
    pub(crate) of: usize,
}

/// The scores of a cross-validation.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossValidation {
    /// Each fold's.
    pub scores: Vec<Metrics>,
    /// The linear model's on the same rows.
    pub baselines: Vec<Metrics>,
}

impl CrossValidation {
    /// Mean and standard deviation (of a sample, n − 1) over the folds of each metric that every fold has.
    pub fn summary(scores: &[Metrics]) -> Vec<(String, f64, f64)> {
        let maps: Vec<Map<String, Value>> = scores
            .iter()
            .filter_map(|score| match serde_json::to_value(score) {
                Ok(Value::Object(map)) => Some(map),
                _ => None,
            })
            .collect();
        let Some(first) = maps.first() else { return Vec::new() };
        let of = |name: &String| {
            let values: Vec<f64> = maps.iter().map(|map| map.get(name)?.as_f64()).collect::<Option<_>>()?;
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let squares: f64 = values.iter().map(|x| (x - mean) * (x - mean)).sum();
            Some((name.clone(), mean, (squares / (n - 1.0).max(1.0)).sqrt()))
        };
        first.keys().filter_map(of).collect()
    }

    /// What a model file and `--json` hold: folds, mean and spread by metric, each fold's scores, the linear model's.
    pub fn facts(&self) -> Value {
        let of = |scores: &[Metrics]| {
            let summary = Self::summary(scores);
            let mean: Map<String, Value> = summary.iter().map(|(name, mean, _)| (name.clone(), json!(mean))).collect();
            let spread: Map<String, Value> = summary.into_iter().map(|(name, _, sd)| (name, json!(sd))).collect();
            json!({"mean": mean, "standard_deviation": spread})
        };
        json!({
            "folds": self.scores.len(),
            "score": of(&self.scores),
            "baseline": of(&self.baselines),
            "scores": self.scores,
        })
    }
}

/// K + 1 turns of `fit`.
///
/// A request to stop ends the turns. The model is then that of the turn in hand, with its own fold's score, and a note.
///
/// # Errors
/// If the data, an option or a run is at fault.
pub(crate) fn cross_validate(
    folds: usize,
    mut fit: impl FnMut(
        Turn,
        &mut dyn FnMut(&Start),
        &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Fitted, FitError>,
    started: &mut dyn FnMut(&Start),
    watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Fitted, FitError> {
    let mut found = CrossValidation { scores: Vec::new(), baselines: Vec::new() };
    let mut notes: Vec<String> = Vec::new();
    let (mut epochs, mut told) = (0, 0);
    for turn in 0..=folds {
        let mut begin = |start: &Start| {
            epochs = start.epochs;
            if turn == 0 {
                // The last turn learns from more rows, in as many epochs or nearly so.
                let mut all = Start { epochs: start.epochs * (folds + 1), ..start.clone() };
                let turns =
                    format!("cross-validation: {folds} models, each scored on another fold, then one of all rows");
                all.notes.push(format!("{turns}; the figures below are the first's"));
                started(&all);
            }
        };
        let (mut stopped, mut last) = (false, 0);
        let mut listen = |event: Event<'_>| {
            let flow = match event {
                Event::Epoch(epoch) => {
                    last = last.max(epoch.epoch);
                    watch(Event::Epoch(&Epoch { epoch: told + epoch.epoch, ..*epoch }))
                }
                step => watch(step),
            };
            stopped |= flow.is_break();
            flow
        };
        let this = (turn < folds).then_some(turn);
        let mut fitted = fit(Turn { this, of: folds }, &mut begin, &mut listen)?;
        told += epochs.max(last);
        if stopped || fitted.report.ended == Ended::Stopped {
            let what = match this {
                Some(turn) => format!("the model learnt without fold {} of {folds}, which scores it", turn + 1),
                None => "the last model, of all rows, is what it had become".into(),
            };
            fitted.notes.push(format!("the cross-validation was stopped: {what}"));
            if found.scores.len() == folds {
                keep(&mut fitted, found);
            }
            return Ok(fitted);
        }
        notes.extend(
            std::mem::take(&mut fitted.notes).into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>(),
        );
        match (fitted.score.take(), fitted.baseline.take()) {
            (Some(score), Some((linear, _))) if this.is_some() => {
                found.scores.push(score);
                found.baselines.push(linear);
            }
            _ if this.is_some() => {
                let expected = format!("rows that have a target in each of {folds} folds: take fewer");
                return Err(Error::Value { what: "cv", expected, got: "a fold without".into() }.into());
            }
            _ => {
                fitted.notes = notes;
                keep(&mut fitted, found);
                return Ok(fitted);
            }
        }
    }
    unreachable!("the last turn returns")
}

fn keep(fitted: &mut Fitted, found: CrossValidation) {
    fitted.model.facts.insert("cross_validation".into(), found.facts());
    fitted.cross_validation = Some(found);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::RegressionMetrics;

    #[test]
    fn the_summary_is_mean_and_sample_deviation() {
        // 1, 2 and 6: mean 3, deviation √((4 + 1 + 9)/2) = √7.
        let score = |rmse| Metrics::Regression(RegressionMetrics { rmse, mae: 1.0, r2: Some(0.5) });
        let summary = CrossValidation::summary(&[1.0, 2.0, 6.0].map(score));
        assert_eq!(summary.iter().find(|(name, ..)| name == "rmse"), Some(&("rmse".into(), 3.0, 7.0_f64.sqrt())));
    }

    #[test]
    fn a_metric_that_one_fold_lacks_is_left_out() {
        let score = |r2| Metrics::Regression(RegressionMetrics { rmse: 1.0, mae: 1.0, r2 });
        let names: Vec<String> =
            CrossValidation::summary(&[score(Some(0.5)), score(None)]).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["mae", "rmse"]);
    }
}
