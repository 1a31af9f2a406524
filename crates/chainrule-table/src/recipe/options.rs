//! The options of a run by name, as the command line, a configuration file and a model file spell them.

use crate::model::Model;
use chainrule::Error;
use serde_json::Value;
use std::str::FromStr;

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
    pub(super) given: Vec<(&'static str, String)>,
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
    /// Sets an option by its name. Whether the value makes sense is checked by [`fit`](super::fit).
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

    /// The same without some of the options.
    #[must_use]
    pub(crate) fn without(&self, names: &[&str]) -> Self {
        let given = self.given.iter().filter(|(name, _)| !names.contains(name));
        Self { given: given.cloned().collect() }
    }

    /// The options that a model file records.
    ///
    /// # Errors
    /// If one of them is none of ours.
    pub fn of_model(model: &Model) -> Result<Self, Error> {
        let mut options = Self::default();
        if let Some(given) = model.facts.get("options").and_then(Value::as_object) {
            for (name, value) in given {
                options.set(name, value.as_str().unwrap_or_default())?;
            }
        }
        Ok(options)
    }

    /// What was given for an option.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn parse<P: FromStr>(
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
    pub(super) fn name<P: FromStr<Err = Error>>(&self, name: &'static str) -> Result<Option<P>, Error> {
        self.get(name).map(str::parse).transpose()
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let parts = self.get(name).unwrap_or_default().split(',').map(|part| part.trim().to_owned());
        parts.filter(|part| !part.is_empty()).collect()
    }
}
