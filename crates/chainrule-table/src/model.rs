//! A model: encoder, network, and the way back from outputs to what a person reads.

use crate::encoder::Encoder;
use crate::error::TableError;
use crate::metrics::{self, Metrics};
use crate::note::Note;
use crate::recipe::FitError;
use crate::table::Table;
use crate::target::Target;
use chainrule::loss::Link;
use chainrule::model_file::{FileFault, Tensor};
use chainrule::{Layer, Loss, Matrix, ModelFile, Network, Processor, Scalar};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A network of either precision.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyNetwork {
    /// Single precision.
    F32(Network<f32>),
    /// Double precision.
    F64(Network<f64>),
}

impl AnyNetwork {
    /// The number of parameters.
    pub fn parameters(&self) -> usize {
        match self {
            Self::F32(network) => network.parameters().len(),
            Self::F64(network) => network.parameters().len(),
        }
    }

    /// The layers.
    pub fn layers(&self) -> &[Layer] {
        match self {
            Self::F32(network) => network.layers(),
            Self::F64(network) => network.layers(),
        }
    }

    /// `f32` or `f64`.
    pub fn precision(&self) -> &'static str {
        match self {
            Self::F32(_) => f32::NAME,
            Self::F64(_) => f64::NAME,
        }
    }

    /// The number of inputs.
    pub fn inputs(&self) -> usize {
        match self {
            Self::F32(network) => network.inputs(),
            Self::F64(network) => network.inputs(),
        }
    }
}

/// All that predicts from a raw table.
#[derive(Clone, Debug)]
pub struct Model {
    /// From columns to inputs.
    pub encoder: Encoder,
    /// From outputs to numbers or labels.
    pub target: Target,
    /// What was minimised; its link turns outputs into predictions.
    pub loss: Loss,
    /// The network.
    pub network: AnyNetwork,
    /// What is told about the training: options, rows, scores, fingerprints.
    pub facts: Map<String, Value>,
}

/// Predictions for the rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictions {
    /// A number a row; with a quantile loss also each level's number.
    Numbers {
        /// The prediction.
        values: Vec<f64>,
        /// (level, numbers), for a quantile loss.
        quantiles: Vec<(f64, Vec<f64>)>,
    },
    /// Each class's probability, [rows, classes].
    Probabilities(Matrix<f64>),
}

impl Model {
    /// Predictions for the given rows of a table, or all.
    ///
    /// # Errors
    /// If the table does not fit the encoder.
    pub fn predict(
        &self,
        table: &Table,
        rows: Option<&[usize]>,
        processor: &Processor,
    ) -> Result<(Predictions, Vec<Note>), FitError> {
        match &self.network {
            AnyNetwork::F32(network) => self.predict_with(network, table, rows, processor),
            AnyNetwork::F64(network) => self.predict_with(network, table, rows, processor),
        }
    }

    fn predict_with<T: Scalar>(
        &self,
        network: &Network<T>,
        table: &Table,
        rows: Option<&[usize]>,
        processor: &Processor,
    ) -> Result<(Predictions, Vec<Note>), FitError> {
        let (x, notes) = self.encoder.encode::<T>(table, rows)?;
        let outputs = network.predict(x.view(), &self.loss, processor)?.cast::<f64>();
        Ok((self.read(&outputs), notes))
    }

    /// What outputs (through the loss's link) mean.
    pub(crate) fn read(&self, outputs: &Matrix<f64>) -> Predictions {
        match &self.target {
            Target::Regression(target) => {
                let column =
                    |k: usize| (0..outputs.rows()).map(|i| target.decode(outputs[(i, k)])).collect::<Vec<f64>>();
                let levels: &[f64] = if let Loss::Quantile { levels } = &self.loss { levels } else { &[] };
                let quantiles: Vec<(f64, Vec<f64>)> =
                    levels.iter().enumerate().map(|(k, &level)| (level, column(k))).collect();
                let median =
                    (0..levels.len()).min_by(|&a, &b| (levels[a] - 0.5).abs().total_cmp(&(levels[b] - 0.5).abs()));
                Predictions::Numbers { values: column(median.unwrap_or(0)), quantiles }
            }
            Target::Classification(_) if self.loss.link() == Link::Logistic => {
                let data = outputs.as_slice().iter().flat_map(|&p| [1.0 - p, p]).collect();
                Predictions::Probabilities(Matrix::from_vec(outputs.rows(), 2, data).expect("two classes"))
            }
            Target::Classification(_) => Predictions::Probabilities(outputs.clone()),
        }
    }

    /// The scores of the model on those of the given rows (or all) that have a target, and how many these are.
    ///
    /// # Errors
    /// If the table does not fit the model or has no row with a target.
    pub fn evaluate(
        &self,
        table: &Table,
        rows: Option<&[usize]>,
        weights: Option<&[f64]>,
        processor: &Processor,
    ) -> Result<(Metrics, usize, Vec<Note>), FitError> {
        let (with_target, mut notes) = self.target.rows(table)?;
        let rows = rows.map_or(with_target, <[usize]>::to_vec);
        let (predictions, more) = self.predict(table, Some(&rows), processor)?;
        notes.extend(more);
        Ok((self.score(table, &rows, &predictions, weights)?, rows.len(), notes))
    }

    /// The scores of predictions for the given rows.
    pub(crate) fn score(
        &self,
        table: &Table,
        rows: &[usize],
        predictions: &Predictions,
        weights: Option<&[f64]>,
    ) -> Result<Metrics, FitError> {
        Ok(match (&self.target, predictions) {
            (Target::Regression(target), Predictions::Numbers { values, .. }) => {
                Metrics::Regression(metrics::regression(&target.values(table, rows)?, values, weights)?)
            }
            (Target::Classification(target), Predictions::Probabilities(p)) => {
                Metrics::Classification(metrics::classification(&target.classes(table, rows)?, p.view(), weights)?)
            }
            _ => unreachable!("predictions are of the target's kind"),
        })
    }

    /// The model as a file.
    ///
    /// # Errors
    /// If a number of it is not finite, which no model file holds.
    pub fn to_file(&self) -> Result<ModelFile, FitError> {
        let tensors = match &self.network {
            AnyNetwork::F32(network) => tensors(network)?,
            AnyNetwork::F64(network) => tensors(network)?,
        };
        let mut metadata = self.facts.clone();
        let layers: Vec<String> = self.network.layers().iter().map(Layer::to_string).collect();
        metadata.insert(
            "architecture".into(),
            json!({"inputs": self.network.inputs(), "layers": layers, "precision": self.network.precision()}),
        );
        metadata.insert("loss".into(), self.loss.to_string().into());
        metadata.insert("encoder".into(), serde_json::to_value(&self.encoder).expect("strings as keys"));
        metadata.insert("target".into(), serde_json::to_value(&self.target).expect("strings as keys"));
        Ok(ModelFile { tensors, metadata: metadata.into_iter().collect() })
    }

    /// The model in a file.
    ///
    /// # Errors
    /// If the file holds something else, or parts that do not fit together.
    pub fn from_file(file: &ModelFile) -> Result<Self, FitError> {
        let mut facts: Map<String, Value> = file.metadata.clone().into_iter().collect();
        let architecture = facts.remove("architecture").unwrap_or_default();
        let inputs = architecture["inputs"].as_u64().and_then(|n| usize::try_from(n).ok());
        let layers: Option<Vec<Layer>> = architecture["layers"]
            .as_array()
            .and_then(|layers| layers.iter().map(|layer| layer.as_str().and_then(|text| text.parse().ok())).collect());
        let (Some(inputs), Some(layers)) = (inputs, layers) else {
            return Err(damaged("its architecture makes no sense"));
        };
        let network = match architecture["precision"].as_str() {
            Some("f32") => AnyNetwork::F32(network(inputs, layers, file)?),
            Some("f64") => AnyNetwork::F64(network(inputs, layers, file)?),
            _ => return Err(damaged("its precision is none of f32 and f64")),
        };
        let loss: Option<Loss> = facts.remove("loss").and_then(|loss| loss.as_str().and_then(|text| text.parse().ok()));
        let model = Self {
            encoder: part(&mut facts, "encoder")?,
            target: part(&mut facts, "target")?,
            loss: loss.ok_or_else(|| damaged("its loss makes no sense"))?,
            network,
            facts,
        };
        if model.encoder.width() != model.network.inputs() {
            return Err(damaged("its encoder and its network do not fit together"));
        }
        let outputs = model.network.layers().iter().rev().find_map(|layer| match layer {
            Layer::Dense { outputs } => Some(*outputs),
            _ => None,
        });
        let expected = outputs_for(&model.loss, model.target.labels().len());
        if outputs != Some(expected) {
            return Err(damaged("its target and its network do not fit together"));
        }
        Ok(model)
    }
}

/// The number of outputs that a loss needs for so many classes (0: a number is predicted).
pub(crate) fn outputs_for(loss: &Loss, classes: usize) -> usize {
    match loss {
        Loss::Quantile { levels } => levels.len(),
        Loss::CrossEntropy { .. } => classes,
        _ => 1,
    }
}

fn damaged(reason: &str) -> FitError {
    FitError::Engine(FileFault::contents(reason).into())
}

fn part<P: DeserializeOwned>(facts: &mut Map<String, Value>, key: &'static str) -> Result<P, FitError> {
    let value = facts.remove(key).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| damaged(&format!("its {key} makes no sense ({error})")))
}

/// Weights are kept as PyTorch does, [n_out, n_in].
fn tensors<T: Scalar>(network: &Network<T>) -> Result<BTreeMap<String, Tensor>, FitError> {
    let mut tensors = BTreeMap::new();
    for segment in network.layout().segments() {
        let values = &network.parameters()[segment.range.clone()];
        let [rows, cols] = segment.shape;
        let tensor = if segment.role == chainrule::network::Role::Weights {
            Tensor::new(&[cols, rows], &transposed(values, rows, cols))?
        } else {
            Tensor::new(&[cols], values)?
        };
        tensors.insert(segment.name.clone(), tensor);
    }
    for (name, range) in network.running_segments() {
        tensors.insert(name, Tensor::new(&[range.len()], &network.running()[range.clone()])?);
    }
    Ok(tensors)
}

/// [rows, cols] as [cols, rows].
fn transposed<T: Scalar>(values: &[T], rows: usize, cols: usize) -> Vec<T> {
    (0..cols).flat_map(|j| (0..rows).map(move |i| values[i * cols + j])).collect()
}

fn network<T: Scalar>(inputs: usize, layers: Vec<Layer>, file: &ModelFile) -> Result<Network<T>, FitError> {
    // The file's tensors are as large as the bytes that came; a network that promises more is refused before it is made.
    let present: usize = file.tensors.values().map(Tensor::len).sum();
    let mut width = inputs;
    let mut wanted = 0_usize;
    for layer in &layers {
        if let Layer::Dense { outputs } = layer {
            wanted = wanted.saturating_add(width.saturating_mul(*outputs));
            width = *outputs;
        }
    }
    if wanted > present || inputs > present || layers.len() > 10_000 {
        return Err(damaged("its architecture does not fit its tensors"));
    }
    let mut network = Network::<T>::zeros(inputs, layers)?;
    let get = |name: &str, shape: &[usize]| {
        let tensor = file.tensors.get(name).filter(|tensor| tensor.shape() == shape);
        let tensor = tensor.ok_or_else(|| damaged(&format!("its tensor {name} is missing or has another shape")))?;
        tensor.values::<T>().map_err(FitError::Engine)
    };
    for segment in network.layout().clone().segments() {
        let [rows, cols] = segment.shape;
        let values = if segment.role == chainrule::network::Role::Weights {
            transposed(&get(&segment.name, &[cols, rows])?, cols, rows)
        } else {
            get(&segment.name, &[cols])?
        };
        network.parameters_mut()[segment.range.clone()].copy_from_slice(&values);
    }
    for (name, range) in network.running_segments() {
        let values = get(&name, &[range.len()])?;
        network.running_mut()[range].copy_from_slice(&values);
    }
    Ok(network)
}

impl From<TableError> for FitError {
    fn from(error: TableError) -> Self {
        Self::Table(error)
    }
}

impl From<chainrule::Error> for FitError {
    fn from(error: chainrule::Error) -> Self {
        Self::Engine(error)
    }
}
