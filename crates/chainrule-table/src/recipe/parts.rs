//! Who has which role: rows to learn from, rows that choose, rows that score, and the folds of the first.

use super::{FitError, Plan, Roles, Tables};
use crate::cross_validation::Turn;
use crate::ensemble::{deal, deal_groups};
use crate::error::TableError;
use crate::note::Note;
use crate::schema::{Schema, sample_weights};
use crate::split::{hold_back, hold_back_groups};
use crate::table::{Cells, Table};
use crate::target::Target;
use chainrule::Error;
use chainrule::random::default_rng;
use std::cmp::Reverse;

/// A table's rows with a role, and their weights.
pub(super) struct Part<'a> {
    pub(super) table: &'a Table,
    pub(super) rows: Vec<usize>,
    pub(super) weights: Option<Vec<f64>>,
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

/// The rows of a run by role.
pub(super) struct Parts<'a> {
    pub(super) training: Part<'a>,
    pub(super) choosing: Part<'a>,
    pub(super) scoring: Part<'a>,
    /// The folds of the training rows, by position; none where choosing rows are held back.
    pub(super) dealt: Vec<Vec<usize>>,
}

impl<'a> Parts<'a> {
    /// Deals the roles out: `everyone` is the target of all rows.
    pub(super) fn new(
        tables: &Tables<'a>,
        plan: &Plan,
        turn: Option<Turn>,
        schema: &Schema,
        everyone: &Target,
        notes: &mut Vec<Note>,
    ) -> Result<Self, FitError> {
        let table = tables.table;
        let codes_of = |name: &Option<String>| name.as_deref().map(|name| codes(table, name)).transpose();
        let (groups, moments) = (codes_of(&plan.group)?, codes_of(&plan.time)?);
        let dealer = Dealer { table, seed: plan.seed, everyone, groups, moments };
        let (rest, scoring) = match (tables.test, turn) {
            (Some(_), _) | (_, Some(Turn { this: None, .. })) => (schema.rows.clone(), Vec::new()),
            (None, Some(Turn { this: Some(this), of })) => dealer.turn(&schema.rows, this, of)?,
            (None, None) => dealer.split(&schema.rows, plan.test_fraction, 0)?,
        };
        let folds = plan.folds(rest.len(), tables);
        let (training, choosing) = match tables.validation {
            Some(_) => (rest, Vec::new()),
            None if folds > 1 => (rest, Vec::new()),
            None => dealer.split(&rest, plan.validation_fraction, 1)?,
        };
        let dealt = if folds > 1 { dealer.deal(&training, folds, 1)? } else { Vec::new() };
        let part = |rows: Vec<usize>| {
            let weights = schema.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row]).collect());
            Part { table, rows, weights }
        };
        let mut training = part(training);
        if plan.balanced {
            training.balance(everyone)?;
        }
        let weight = plan.schema.sample_weight.as_deref();
        let mut of = |other: Option<&'a Table>, rows| match other {
            Some(table) => whole(table, everyone, weight, notes),
            None => Ok(part(rows)),
        };
        let (choosing, scoring) = (of(tables.validation, choosing)?, of(tables.test, scoring)?);
        Ok(Self { training, choosing, scoring, dealt })
    }

    /// How many networks are trained: one a fold.
    pub(super) fn folds(&self) -> usize {
        self.dealt.len().max(1)
    }

    /// The positions of the training rows that fold `m`'s network learns from: those of all other folds, fold by fold.
    pub(super) fn learnt(&self, m: usize) -> Vec<usize> {
        let others = self.dealt.iter().enumerate().filter(|(f, _)| *f != m);
        others.flat_map(|(_, rows)| rows).copied().collect()
    }

    /// How many rows have which role.
    pub(super) fn roles(&self) -> Roles {
        let (training, folds) = (self.training.rows.len(), self.folds());
        let choosing = if folds > 1 { training } else { self.choosing.rows.len() };
        Roles { training, choosing, scoring: self.scoring.rows.len(), folds }
    }
}

/// Random numbers of purpose `purpose` in the order of n rows.
pub(super) fn permutation(seed: u64, purpose: u64, n: usize) -> Vec<usize> {
    default_rng([seed, 2, purpose]).permutation(n)
}

/// Holds rows back: the latest, or whole groups, or of each class the same share.
struct Dealer<'a> {
    table: &'a Table,
    seed: u64,
    everyone: &'a Target,
    /// The group of each row of the table, and its moment.
    groups: Option<Vec<u32>>,
    moments: Option<Vec<u32>>,
}

impl Dealer<'_> {
    /// The rows that stay, and the share of them that is held back.
    fn split(&self, rows: &[usize], fraction: f64, purpose: u64) -> Result<(Vec<usize>, Vec<usize>), FitError> {
        let permutation = permutation(self.seed, purpose, rows.len());
        let split = if let Some(moments) = &self.moments {
            // The latest rows first.
            let mut order: Vec<usize> = (0..rows.len()).collect();
            order.sort_by_key(|&i| Reverse(moments[rows[i]]));
            hold_back(rows, fraction, None, &order)?
        } else if let Some(groups) = self.groups(rows) {
            hold_back_groups(rows, fraction, &groups, &permutation)
        } else {
            hold_back(rows, fraction, self.classes(rows)?.as_deref(), &permutation)?
        };
        Ok((split.training, split.held))
    }

    /// The folds of the rows, by position.
    fn deal(&self, rows: &[usize], folds: usize, purpose: u64) -> Result<Vec<Vec<usize>>, FitError> {
        let permutation = permutation(self.seed, purpose, rows.len());
        Ok(match self.groups(rows) {
            Some(groups) => deal_groups(folds, &groups, &permutation),
            None => deal(folds, self.classes(rows)?.as_deref(), &permutation),
        })
    }

    /// The rows of a cross-validation's turn: those of all folds but one, and those of that one.
    fn turn(&self, rows: &[usize], this: usize, of: usize) -> Result<(Vec<usize>, Vec<usize>), FitError> {
        let dealt = self.deal(rows, of, 0)?;
        let Some(fold) = dealt.get(this).filter(|fold| !fold.is_empty() && dealt.len() == of) else {
            let expected = format!("at most {} folds, one for each row or group", dealt.len().min(rows.len()));
            return Err(Error::Value { what: "cv", expected, got: of.to_string() }.into());
        };
        let mut scores = vec![false; rows.len()];
        fold.iter().for_each(|&i| scores[i] = true);
        let of = |scoring: bool| (0..rows.len()).filter(|&i| scores[i] == scoring).map(|i| rows[i]).collect();
        Ok((of(false), of(true)))
    }

    fn groups(&self, rows: &[usize]) -> Option<Vec<u32>> {
        self.groups.as_ref().map(|groups| rows.iter().map(|&row| groups[row]).collect())
    }

    fn classes(&self, rows: &[usize]) -> Result<Option<Vec<u32>>, FitError> {
        match self.everyone {
            Target::Classification(target) => Ok(Some(target.classes(self.table, rows)?)),
            Target::Regression(_) => Ok(None),
        }
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
