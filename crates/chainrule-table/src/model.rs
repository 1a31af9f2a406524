//! A model: encoder, network, and the way back from outputs to what a person reads.

use crate::encoder::Encoder;
use crate::error::TableError;
use crate::metrics::{self, Metrics};
use crate::note::Note;
use crate::recipe::FitError;
use crate::table::Table;
use crate::target::{NumberTarget, Target};
use chainrule::kernels::Lanes;
use chainrule::loss::Link;
use chainrule::model_file::{FileFault, Tensor};
use chainrule::network::Role;
use chainrule::{Layer, Loss, Matrix, ModelFile, Network, Processor, Scalar};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
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

/// A scalar whose networks a model holds.
pub(crate) trait Precision: Scalar {
    /// The network as a model holds it.
    fn wrap(network: Network<Self>) -> AnyNetwork;
    /// The network, if it is of this precision.
    fn unwrap(network: &AnyNetwork) -> Option<&Network<Self>>;
}

macro_rules! precision {
    ($scalar:ty, $name:ident) => {
        impl Precision for $scalar {
            fn wrap(network: Network<Self>) -> AnyNetwork {
                AnyNetwork::$name(network)
            }
            fn unwrap(network: &AnyNetwork) -> Option<&Network<Self>> {
                if let AnyNetwork::$name(network) = network { Some(network) } else { None }
            }
        }
    };
}
precision!(f32, F32);
precision!(f64, F64);

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

    /// The number of outputs.
    pub fn outputs(&self) -> usize {
        match self {
            Self::F32(network) => network.outputs(),
            Self::F64(network) => network.outputs(),
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
    /// The network; of an ensemble, its first member.
    pub network: AnyNetwork,
    /// The other members of an ensemble.
    pub others: Vec<AnyNetwork>,
    /// From the members' predictions to the ensemble's.
    pub output: Output,
    /// What is told about the training: options, rows, scores, fingerprints.
    pub facts: Map<String, Value>,
}

/// From the members' predictions, each through the loss's link, to the ensemble's: their weighted mean, then the
/// temperature. All of it was chosen on choosing rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Each member's share in the mean; they sum to 1.
    pub shares: Vec<f64>,
    /// Probabilities p become p^(1/temperature), brought back to sum 1.
    pub temperature: f64,
    /// Outputs of a regression are cut to this range (before the target's scale): no training row lay outside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// Quantiles of a regression around its prediction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intervals: Option<Intervals>,
}

/// Offsets from a prediction to its quantiles, before the target's scale, by where the prediction stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Intervals {
    /// The quantiles' levels, increasing.
    pub levels: Vec<f64>,
    /// Bin b holds predictions from edge b − 1 (−∞ for the first) to below edge b.
    pub edges: Vec<f64>,
    /// Each bin's offset for each level.
    pub offsets: Vec<Vec<f64>>,
}

impl Intervals {
    fn fits(&self) -> bool {
        let finite = |numbers: &[f64]| numbers.iter().all(|x| x.is_finite());
        let levels = self.levels.iter().all(|level| *level > 0.0 && *level < 1.0);
        levels
            && self.levels.is_sorted()
            && self.edges.is_sorted()
            && finite(&self.edges)
            && self.offsets.len() == self.edges.len() + 1
            && self.offsets.iter().all(|bin| bin.len() == self.levels.len() && finite(bin))
    }

    /// The offsets for a prediction.
    pub(crate) fn at(&self, prediction: f64) -> &[f64] {
        &self.offsets[self.edges.partition_point(|edge| *edge <= prediction)]
    }
}

impl Output {
    /// One network's own predictions.
    pub fn single() -> Self {
        Self { shares: vec![1.0], temperature: 1.0, range: None, intervals: None }
    }

    /// Whether this many members can be meant.
    fn fits(&self, members: usize) -> bool {
        self.shares.len() == members
            && self.shares.iter().all(|share| share.is_finite() && *share >= 0.0)
            && (1e-3..=1e3).contains(&self.temperature)
            && self.range.is_none_or(|[low, high]| low <= high)
            && self.intervals.as_ref().is_none_or(Intervals::fits)
    }

    /// The weighted mean of the members' predictions.
    pub(crate) fn mean(&self, members: &[Matrix<f64>]) -> Matrix<f64> {
        let mut mean = Matrix::zeros(members[0].rows(), members[0].cols());
        for (member, share) in members.iter().zip(&self.shares) {
            mean.as_mut_slice().iter_mut().zip(member.as_slice()).for_each(|(sum, x)| *sum += share * x);
        }
        mean
    }

    /// Temperature or range on the mean.
    pub(crate) fn adjust(&self, link: Link, mean: &mut Matrix<f64>) {
        if let Some([low, high]) = self.range {
            mean.as_mut_slice().iter_mut().for_each(|z| *z = z.clamp(low, high));
        }
        if self.temperature != 1.0 {
            let power = |p: f64| Lanes::exp(Lanes::ln(p.max(1e-300)) / self.temperature);
            for i in 0..mean.rows() {
                let row = mean.row_mut(i);
                match link {
                    Link::Logistic => {
                        let (no, yes) = (power(1.0 - row[0]), power(row[0]));
                        row[0] = yes / (no + yes);
                    }
                    Link::Softmax => {
                        row.iter_mut().for_each(|p| *p = power(*p));
                        let sum: f64 = row.iter().sum();
                        row.iter_mut().for_each(|p| *p /= sum);
                    }
                    _ => {}
                }
            }
        }
    }
}

/// Predictions for the rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Predictions {
    /// A number a row; with a quantile loss also each level's number.
    Numbers {
        /// The prediction.
        values: Vec<f64>,
        /// (level, numbers), for a quantile loss or where intervals were asked for.
        quantiles: Vec<(f64, Vec<f64>)>,
        /// Those of the other targets, where there are several.
        others: Vec<Vec<f64>>,
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
        let inputs = Inputs::new(self, table, rows)?;
        let predictions = self.predict_inputs(&inputs, processor)?;
        Ok((predictions, inputs.notes))
    }

    /// Predictions for rows that are encoded already.
    pub(crate) fn predict_inputs(&self, inputs: &Inputs, processor: &Processor) -> Result<Predictions, FitError> {
        Ok(self.read(&self.outputs(inputs, processor)?))
    }

    /// The members' mean through the loss's link, with temperature or range, before the target's scale.
    pub(crate) fn outputs(&self, inputs: &Inputs, processor: &Processor) -> Result<Matrix<f64>, FitError> {
        let mut predictions = Vec::with_capacity(1 + self.others.len());
        for network in self.networks() {
            predictions.push(match (network, &inputs.single, &inputs.double) {
                (AnyNetwork::F32(network), Some(x), _) => {
                    network.predict(x.view(), &self.loss, processor)?.cast::<f64>()
                }
                (AnyNetwork::F64(network), _, Some(x)) => network.predict(x.view(), &self.loss, processor)?,
                _ => unreachable!("inputs of every precision that a network has"),
            });
        }
        let mut mean = if self.others.is_empty() { predictions.remove(0) } else { self.output.mean(&predictions) };
        self.output.adjust(self.loss.link(), &mut mean);
        Ok(mean)
    }

    /// All members.
    pub fn networks(&self) -> impl Iterator<Item = &AnyNetwork> {
        std::iter::once(&self.network).chain(&self.others)
    }

    /// The levels of the quantiles that [`predict`](Self::predict) gives, those of `--quantiles` or of the quantile loss.
    pub fn quantile_levels(&self) -> &[f64] {
        match (&self.target, &self.output.intervals, &self.loss) {
            (Target::Classification(_), ..) => &[],
            (_, Some(intervals), _) => &intervals.levels,
            (_, None, Loss::Quantile { levels }) => levels,
            _ => &[],
        }
    }

    /// The parameters of all members.
    pub fn parameters(&self) -> usize {
        self.networks().map(AnyNetwork::parameters).sum()
    }

    /// What outputs (through the loss's link) mean.
    pub(crate) fn read(&self, outputs: &Matrix<f64>) -> Predictions {
        match &self.target {
            Target::Regression(target) => {
                let column =
                    |k: usize| (0..outputs.rows()).map(|i| target.decode(outputs[(i, k)])).collect::<Vec<f64>>();
                let levels: &[f64] = if let Loss::Quantile { levels } = &self.loss { levels } else { &[] };
                let mut quantiles: Vec<(f64, Vec<f64>)> =
                    levels.iter().enumerate().map(|(k, &level)| (level, column(k))).collect();
                if let Some(intervals) = &self.output.intervals {
                    let quantile = |k: usize| {
                        let z = (0..outputs.rows()).map(|i| outputs[(i, 0)] + intervals.at(outputs[(i, 0)])[k]);
                        z.map(|z| target.decode(z)).collect::<Vec<f64>>()
                    };
                    quantiles = intervals.levels.iter().enumerate().map(|(k, &level)| (level, quantile(k))).collect();
                }
                let median =
                    (0..levels.len()).min_by(|&a, &b| (levels[a] - 0.5).abs().total_cmp(&(levels[b] - 0.5).abs()));
                let other = |(k, target): (usize, &NumberTarget)| {
                    (0..outputs.rows()).map(|i| target.decode(outputs[(i, k)])).collect::<Vec<f64>>()
                };
                let others = target.numbers().enumerate().skip(1).map(other).collect();
                Predictions::Numbers { values: column(median.unwrap_or(0)), quantiles, others }
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
            (Target::Regression(target), Predictions::Numbers { values, others, .. }) => {
                let score = |(target, values): (&NumberTarget, &Vec<f64>)| {
                    let score = metrics::regression(&target.values(table, rows)?, values, weights)?;
                    Ok::<_, FitError>((target.column().to_owned(), score))
                };
                if others.is_empty() {
                    Metrics::Regression(score((target, values))?.1)
                } else {
                    let all = target.numbers().zip(std::iter::once(values).chain(others));
                    Metrics::Several(all.map(score).collect::<Result<_, _>>()?)
                }
            }
            (Target::Classification(target), Predictions::Probabilities(p)) => {
                Metrics::Classification(metrics::classification(&target.classes(table, rows)?, p.view(), weights)?)
            }
            _ => unreachable!("predictions are of the target's kind"),
        })
    }

    /// Each row's loss: the squared error, or −ln of the true class's probability (brought into ε … 1 − ε).
    pub(crate) fn losses(
        &self,
        table: &Table,
        rows: &[usize],
        predictions: &Predictions,
    ) -> Result<Vec<f64>, FitError> {
        Ok(match (&self.target, predictions) {
            (Target::Regression(target), Predictions::Numbers { values, .. }) => {
                let truth = target.values(table, rows)?;
                truth.iter().zip(values).map(|(y, prediction)| (prediction - y) * (prediction - y)).collect()
            }
            (Target::Classification(target), Predictions::Probabilities(p)) => {
                let loss = |(i, class): (usize, u32)| {
                    -Lanes::ln(p[(i, class as usize)].clamp(f64::EPSILON, 1.0 - f64::EPSILON))
                };
                target.classes(table, rows)?.into_iter().enumerate().map(loss).collect()
            }
            _ => unreachable!("predictions are of the target's kind"),
        })
    }

    /// The model as a file.
    ///
    /// # Errors
    /// If a number of it is not finite, which no model file holds.
    pub fn to_file(&self) -> Result<ModelFile, FitError> {
        let mut tensors = BTreeMap::new();
        let mut metadata = self.facts.clone();
        let mut architectures = Vec::new();
        let single = self.others.is_empty();
        for (m, network) in self.networks().enumerate() {
            let prefix = if single { String::new() } else { format!("members.{m}.") };
            match network {
                AnyNetwork::F32(network) => add_tensors(&prefix, network, &mut tensors)?,
                AnyNetwork::F64(network) => add_tensors(&prefix, network, &mut tensors)?,
            }
            let layers: Vec<String> = network.layers().iter().map(Layer::to_string).collect();
            architectures.push(json!({"inputs": network.inputs(), "layers": layers, "precision": network.precision()}));
        }
        if single {
            metadata.insert("architecture".into(), architectures.remove(0));
        } else {
            metadata.insert("members".into(), architectures.into());
        }
        if self.output != Output::single() {
            metadata.insert("output".into(), serde_json::to_value(&self.output).expect("numbers"));
        }
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
        let mut networks = match facts.remove("members") {
            None => vec![any_network("", &facts.remove("architecture").unwrap_or_default(), file)?],
            Some(Value::Array(members)) if (1..=MOST_MEMBERS).contains(&members.len()) => {
                let read = |(m, member): (usize, &Value)| any_network(&format!("members.{m}."), member, file);
                members.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?
            }
            Some(_) => return Err(damaged("its members make no sense")),
        };
        let output = match facts.contains_key("output") {
            true => part(&mut facts, "output")?,
            false => Output::single(),
        };
        if !output.fits(networks.len()) {
            return Err(damaged("its output and its members do not fit together"));
        }
        let network = networks.remove(0);
        let loss: Option<Loss> = facts.remove("loss").and_then(|loss| loss.as_str().and_then(|text| text.parse().ok()));
        let model = Self {
            encoder: part(&mut facts, "encoder")?,
            target: part(&mut facts, "target")?,
            loss: loss.ok_or_else(|| damaged("its loss makes no sense"))?,
            network,
            others: networks,
            output,
            facts,
        };
        let expected = outputs_for(&model.loss, &model.target);
        let several = model.target.columns().count() > 1;
        if several && (model.output.intervals.is_some() || matches!(model.loss, Loss::Quantile { .. })) {
            return Err(damaged("its quantiles are of one number, and it has several"));
        }
        for network in model.networks() {
            if model.encoder.width() != network.inputs() {
                return Err(damaged("its encoder and its network do not fit together"));
            }
            if network.outputs() != expected {
                return Err(damaged("its target and its network do not fit together"));
            }
        }
        Ok(model)
    }
}

/// The number of outputs that a loss needs for a target.
pub(crate) fn outputs_for(loss: &Loss, target: &Target) -> usize {
    match loss {
        Loss::Quantile { levels } => levels.len(),
        Loss::CrossEntropy { .. } => target.labels().len(),
        _ => target.columns().count(),
    }
}

fn damaged(reason: &str) -> FitError {
    FitError::Engine(FileFault::contents(reason).into())
}

fn part<P: DeserializeOwned>(facts: &mut Map<String, Value>, key: &'static str) -> Result<P, FitError> {
    let value = facts.remove(key).unwrap_or_default();
    serde_json::from_value(value).map_err(|error| damaged(&format!("its {key} makes no sense ({error})")))
}

/// Encoded rows in every precision that a network of the model has.
pub(crate) struct Inputs {
    pub(crate) single: Option<Matrix<f32>>,
    pub(crate) double: Option<Matrix<f64>>,
    pub(crate) notes: Vec<Note>,
}

impl Inputs {
    /// Encodes the given rows of a table, or all.
    pub(crate) fn new(model: &Model, table: &Table, rows: Option<&[usize]>) -> Result<Self, FitError> {
        let mut inputs = Self { single: None, double: None, notes: Vec::new() };
        if model.networks().any(|network| matches!(network, AnyNetwork::F32(_))) {
            let (x, notes) = model.encoder.encode::<f32>(table, rows)?;
            (inputs.single, inputs.notes) = (Some(x), notes);
        }
        if model.networks().any(|network| matches!(network, AnyNetwork::F64(_))) {
            let (x, notes) = model.encoder.encode::<f64>(table, rows)?;
            inputs.double = Some(x);
            notes.into_iter().for_each(|note| {
                if !inputs.notes.contains(&note) {
                    inputs.notes.push(note);
                }
            });
        }
        Ok(inputs)
    }
}

/// A network's numbers as a model file keeps them: weights as PyTorch does, [n_out, n_in].
///
/// # Errors
/// If one of them is not finite.
pub fn tensors<T: Scalar>(network: &Network<T>) -> Result<BTreeMap<String, Tensor>, FitError> {
    let mut tensors = BTreeMap::new();
    add_tensors("", network, &mut tensors)?;
    Ok(tensors)
}

/// The same among others, each name behind a prefix.
fn add_tensors<T: Scalar>(
    prefix: &str,
    network: &Network<T>,
    tensors: &mut BTreeMap<String, Tensor>,
) -> Result<(), FitError> {
    for segment in network.layout().segments() {
        let values = &network.parameters()[segment.range.clone()];
        let [rows, cols] = segment.shape;
        let tensor = match segment.role {
            Role::Weights => Tensor::new(&[cols, rows], &transposed(values, rows, cols))?,
            _ if rows == 1 => Tensor::new(&[cols], values)?,
            _ => Tensor::new(&[rows, cols], values)?,
        };
        tensors.insert(format!("{prefix}{}", segment.name), tensor);
    }
    for (name, range) in network.running_segments() {
        tensors.insert(format!("{prefix}{name}"), Tensor::new(&[range.len()], &network.running()[range.clone()])?);
    }
    Ok(())
}

/// [rows, cols] as [cols, rows].
fn transposed<T: Scalar>(values: &[T], rows: usize, cols: usize) -> Vec<T> {
    (0..cols).flat_map(|j| (0..rows).map(move |i| values[i * cols + j])).collect()
}

/// No file has more members.
const MOST_MEMBERS: usize = 1000;

fn any_network(prefix: &str, architecture: &Value, file: &ModelFile) -> Result<AnyNetwork, FitError> {
    let inputs = architecture["inputs"].as_u64().and_then(|n| usize::try_from(n).ok());
    let layers: Option<Vec<Layer>> = architecture["layers"]
        .as_array()
        .and_then(|layers| layers.iter().map(|layer| layer.as_str().and_then(|text| text.parse().ok())).collect());
    let (Some(inputs), Some(layers)) = (inputs, layers) else {
        return Err(damaged("its architecture makes no sense"));
    };
    Ok(match architecture["precision"].as_str() {
        Some("f32") => AnyNetwork::F32(network(prefix, inputs, layers, file)?),
        Some("f64") => AnyNetwork::F64(network(prefix, inputs, layers, file)?),
        _ => return Err(damaged("its precision is none of f32 and f64")),
    })
}

fn network<T: Scalar>(
    prefix: &str,
    inputs: usize,
    layers: Vec<Layer>,
    file: &ModelFile,
) -> Result<Network<T>, FitError> {
    // The file's tensors are as large as the bytes that came; a network that promises more is refused before it is made.
    let present: usize = file.tensors.values().map(Tensor::len).sum();
    if layers.len() > 10_000 || inputs > present || Network::<T>::size(inputs, &layers)? > present {
        return Err(damaged("its architecture does not fit its tensors"));
    }
    let mut network = Network::<T>::zeros(inputs, layers)?;
    let get = |name: &str, shape: &[usize]| {
        let name = format!("{prefix}{name}");
        let tensor = file.tensors.get(&name).filter(|tensor| tensor.shape() == shape);
        let tensor = tensor.ok_or_else(|| damaged(&format!("its tensor {name} is missing or has another shape")))?;
        tensor.values::<T>().map_err(FitError::Engine)
    };
    for segment in network.layout().clone().segments() {
        let [rows, cols] = segment.shape;
        let values = match segment.role {
            Role::Weights => transposed(&get(&segment.name, &[cols, rows])?, cols, rows),
            _ if rows == 1 => get(&segment.name, &[cols])?,
            _ => get(&segment.name, &[rows, cols])?,
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
