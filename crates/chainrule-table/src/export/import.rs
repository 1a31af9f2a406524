//! A PyTorch network taken in: a state dict in a safetensors file, and the list of its layers.
//!
//! The file names the parameters of linear layers and norms by their position in an `nn.Sequential`; it does not say what
//! stands between them. So the person gives the whole list, as [`Layer`] spells it: `linear,relu,linear`.

use crate::model::{AnyNetwork, Model, Output};
use crate::recipe::FitError;
use crate::scale::Scale;
use crate::schema::{Schema, SchemaOptions};
use crate::table::{Column, Table};
use crate::{Encoder, Target};
use chainrule::loss::Link;
use chainrule::model_file::{FileFault, fingerprint};
use chainrule::network::Role;
use chainrule::{Error, Layer, Loss, Network, Scalar};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// No header of a state dict is longer.
const MAX_HEADER: usize = 16 << 20;

/// A network from elsewhere and what its columns are.
#[derive(Clone, Debug)]
pub struct Import {
    /// The layers in order: `linear` (also `dense`), `batch_norm`, `layer_norm`, an activation, `dropout`.
    pub layers: Vec<String>,
    /// What its outputs were trained by; it says how they become predictions.
    pub loss: Loss,
    /// The names of the columns that go in, in order; none: `x1`, `x2`, ….
    pub columns: Vec<String>,
    /// The target's name.
    pub target: String,
    /// The labels in the order of the outputs, for a loss of classes; none: `0`, `1`, ….
    pub labels: Vec<String>,
}

/// A tensor of the state dict.
struct Foreign<'a> {
    double: bool,
    shape: Vec<usize>,
    bytes: &'a [u8],
}

fn fault(reason: impl Into<String>) -> FitError {
    FitError::Engine(Error::ModelFile(FileFault::Import { reason: reason.into() }))
}
