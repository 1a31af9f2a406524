//! What the choosing rows decide of trained networks: shares, temperature, threshold, intervals.

use super::parts::Parts;
use super::{FitError, Plan, Preset, Threshold};
use crate::ensemble::{self, Held, Member, Rows};
use crate::model::Output;
use chainrule::loss::Link;
use chainrule::train::Report;
use chainrule::{Error, Loss, Matrix, Network, Processor, Scalar};
use std::borrow::Cow;

/// Above so many rows a network needs no linear model beside it.
const LINEAR_ROWS: usize = 20_000;

/// Trained networks and the rows that they were trained on.
pub(super) struct Trained<'a, T> {
    pub(super) plan: &'a Plan,
    pub(super) parts: &'a Parts<'a>,
    pub(super) loss: &'a Loss,
    /// The linear model's.
    pub(super) linear_loss: &'a Loss,
    pub(super) outputs: usize,
    /// Whether the networks did not start from a model of before.
    pub(super) fresh: bool,
    pub(super) members: &'a [Member<T>],
    pub(super) training: &'a Rows<T>,
    pub(super) choosing: Option<&'a Rows<T>>,
    pub(super) processor: &'a Processor,
}

/// What was chosen.
pub(super) struct Choices {
    pub(super) output: Output,
    /// The linear model of all training rows, where it was asked.
    pub(super) linear: Option<Network<f64>>,
    pub(super) threshold: Option<Threshold>,
    /// How the training of all members went.
    pub(super) report: Report,
}

impl<T: Scalar> Trained<'_, T> {
    /// Chooses; `linear_rows` are the training rows as the linear model needs them.
    pub(super) fn choose(&self, linear_rows: impl Fn() -> Result<Rows<f64>, FitError>) -> Result<Choices, FitError> {
        let (plan, link, folds) = (self.plan, self.loss.link(), self.members.len());
        let output = Output { shares: vec![1.0 / folds as f64; folds], ..Output::single() };
        let reports: Vec<Report> = self.members.iter().map(|member| member.report).collect();
        let mut choices = Choices { output, linear: None, threshold: None, report: reports[0] };
        let predictions = self.members.iter().map(|member| member.predictions.as_ref()).collect::<Option<Vec<_>>>();
        let Some(predictions) = predictions.filter(|_| plan.preset == Preset::Default) else {
            if plan.quantiles.is_empty() {
                return Ok(choices);
            }
            let expected = "rows that choose, which plain training has not: leave the quantiles out".into();
            return Err(Error::Value { what: "quantiles", expected, got: "none".into() }.into());
        };
        let held_rows = |m: usize| match self.choosing {
            Some(rows) => Cow::Borrowed(rows),
            None => Cow::Owned(self.training.at(&self.parts.dealt[m])),
        };
        let held_parts: Vec<_> = predictions.iter().enumerate().map(|(m, p)| (held_rows(m), *p)).collect();
        let held = Held::new(&held_parts);
        let (mut mean, output) = (held.predictions.clone(), &mut choices.output);
        let is_linear = self.members[0].network.layers().len() == 1;
        if self.loss == self.linear_loss && !is_linear && self.training.x.rows() <= LINEAR_ROWS {
            let held_x = held_parts.iter().map(|(rows, _)| rows.x.cast::<f64>());
            let (linear, predictions) = self.linear(&linear_rows()?, held_x)?;
            let predictions = Matrix::from_vec(mean.rows(), mean.cols(), predictions)?;
            let share = held.share_of(link, &predictions);
            if share > 0.0 {
                mean = Output { shares: vec![1.0 - share, share], ..Output::single() }.mean(&[mean, predictions]);
                output.shares.iter_mut().for_each(|of| *of *= 1.0 - share);
                output.shares.push(share);
            }
            choices.linear = Some(linear);
        }
        if matches!(link, Link::Softmax | Link::Logistic) {
            output.temperature = held.temperature(link, &mean);
        }
        if *self.loss == Loss::SquaredError && self.fresh {
            let y = self.training.y.as_slice().iter().map(|y| y.to_f64());
            output.range = Some([y.clone().fold(f64::INFINITY, f64::min), y.fold(f64::NEG_INFINITY, f64::max)]);
        }
        output.adjust(link, &mut mean);
        choices.threshold = held.threshold(link, &mean);
        if !plan.quantiles.is_empty() {
            output.intervals = Some(held.intervals(&plan.quantiles, &mean));
        }
        if folds > 1 {
            choices.report = ensemble::joint_report(&reports, held.loss(link, &mean), self.processor);
        }
        Ok(choices)
    }

    /// The linear model of all rows, and for each member's held rows what a linear model predicts that has learnt from the
    /// same rows as the member.
    fn linear(
        &self,
        rows: &Rows<f64>,
        held: impl Iterator<Item = Matrix<f64>>,
    ) -> Result<(Network<f64>, Vec<f64>), FitError> {
        let fit = |rows: &Rows<f64>| ensemble::linear(rows, self.linear_loss, self.outputs, self.processor);
        let (whole, folds) = (fit(rows)?, self.members.len());
        let mut predictions = Vec::new();
        for (m, x) in held.enumerate() {
            let fold = if folds > 1 { Some(fit(&rows.at(&self.parts.learnt(m)))?) } else { None };
            let network = fold.as_ref().unwrap_or(&whole);
            let predicted = network.predict(x.view(), self.linear_loss, self.processor)?;
            predictions.extend_from_slice(predicted.as_slice());
        }
        Ok((whole, predictions))
    }
}
