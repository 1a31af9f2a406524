//! The training doctor: what is wrong with a run, the evidence, and a remedy whose worth was measured.
//!
//! In three steps, so that a healthy run is left in peace:
//! 1. A [`Course`] is written while a run trains: what every layer gave at the start and after each epoch.
//! 2. [`suspicions`] reads it, beside a [`Checkup`] of the trained network. Its thresholds say where theory expects harm.
//! 3. [`confirm`] trains again, shortly, with each remedy. A suspicion becomes a [`Finding`] only if a remedy lowers the loss
//!    by a tenth and by more than two standard errors; a symptom that the same remedy cures is told as its consequence.
//!
//! [`examine`] does all three for a network and matrices; the crate of tables does them for a table with its own options.

mod course;
mod examine;
mod suspicion;

pub use course::{Checkup, Course, Record};
pub use examine::{Examination, examine};
pub use suspicion::{Finding, Measured, Replayed, Suspicion, confirm, suspicions};

use crate::activation::Activation;
use std::fmt;

/// What may be wrong with a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A number became infinite or undefined.
    NotFinite,
    /// σ falls through the layers: behind them rows look alike.
    VanishingSignal,
    /// σ grows through the layers.
    ExplodingSignal,
    /// Input columns are far from size 1, or far from each other's.
    UnscaledInputs,
    /// Steps jump about.
    LearningRateTooLarge,
    /// The weights have hardly moved.
    LearningRateTooSmall,
    /// A batch norm's statistics come from a handful of rows.
    SmallBatches,
    /// Many units give the same number whatever the row.
    DeadUnits,
    /// Many units stand where their activation is flat.
    Saturation,
    /// The prediction is the same for every row.
    ConstantPrediction,
    /// The loss is low on the rows that were learnt from, and high on others.
    Overfitting,
}

impl Fault {
    /// All, in the order in which one explains the next.
    pub const ALL: [Self; 11] = [
        Self::NotFinite,
        Self::VanishingSignal,
        Self::ExplodingSignal,
        Self::UnscaledInputs,
        Self::LearningRateTooLarge,
        Self::LearningRateTooSmall,
        Self::SmallBatches,
        Self::DeadUnits,
        Self::Saturation,
        Self::ConstantPrediction,
        Self::Overfitting,
    ];

    /// The name for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFinite => "not_finite",
            Self::VanishingSignal => "vanishing_signal",
            Self::ExplodingSignal => "exploding_signal",
            Self::UnscaledInputs => "unscaled_inputs",
            Self::LearningRateTooLarge => "learning_rate_too_large",
            Self::LearningRateTooSmall => "learning_rate_too_small",
            Self::SmallBatches => "small_batches",
            Self::DeadUnits => "dead_units",
            Self::Saturation => "saturation",
            Self::ConstantPrediction => "constant_prediction",
            Self::Overfitting => "overfitting",
        }
    }

    /// What is told to a person.
    pub fn title(self) -> &'static str {
        match self {
            Self::NotFinite => "the loss became infinite or undefined",
            Self::VanishingSignal => "the signal vanishes on its way through the layers",
            Self::ExplodingSignal => "the signal grows from layer to layer",
            Self::UnscaledInputs => "the input columns are not on one scale",
            Self::LearningRateTooLarge => "the learning rate is too large",
            Self::LearningRateTooSmall => "the learning rate is too small",
            Self::SmallBatches => "the batches are too small for batch norm",
            Self::DeadUnits => "units are dead",
            Self::Saturation => "units are saturated",
            Self::ConstantPrediction => "the network predicts one number for every row",
            Self::Overfitting => "the network learns its rows by heart",
        }
    }

    /// Whether it is more often an effect than a cause.
    fn is_symptom(self) -> bool {
        matches!(self, Self::NotFinite | Self::DeadUnits | Self::Saturation | Self::ConstantPrediction)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// What may help.
#[derive(Clone, Debug, PartialEq)]
pub enum Remedy {
    /// This learning rate.
    LearningRate(f64),
    /// Weights that start as is usual before their activations ([`Initialiser::default_for`](crate::Initialiser::default_for)).
    UsualStart,
    /// Input columns of mean 0 and deviation 1.
    ScaleInputs,
    /// This activation in place of the hidden ones.
    Activation(Activation),
    /// Batches of so many rows.
    BatchSize(usize),
    /// Layer norms in place of batch norms.
    LayerNorm,
    /// Dropout of this rate after every hidden activation.
    Dropout(f64),
    /// This decoupled weight decay.
    WeightDecay(f64),
    /// Rows that are not learnt from decide when to stop.
    EarlyStopping,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LearningRate(rate) => write!(f, "a learning rate of {rate}"),
            Self::UsualStart => f.write_str("the usual start of the weights"),
            Self::ScaleInputs => f.write_str("standardised inputs"),
            Self::Activation(activation) => write!(f, "the activation {activation}"),
            Self::BatchSize(rows) => write!(f, "batches of {rows} rows"),
            Self::LayerNorm => f.write_str("layer norm"),
            Self::Dropout(rate) => write!(f, "dropout of {rate}"),
            Self::WeightDecay(decay) => write!(f, "a weight decay of {decay}"),
            Self::EarlyStopping => f.write_str("rows held back that decide when to stop"),
        }
    }
}
