//! The doctor for a network and matrices.

use super::Remedy;
use super::course::{Checkup, Course, network_losses, thinned};
use super::suspicion::{Finding, Replayed, confirm, suspicions};
use crate::backprop::Data;
use crate::error::Error;
use crate::kernels::Processor;
use crate::layer::Layer;
use crate::matrix::Matrix;
use crate::network::Network;
use crate::scalar::Scalar;
use crate::train::{Options, Report, train};
use std::ops::ControlFlow;

/// What came of an examination.
#[derive(Clone, Debug)]
pub struct Examination<T> {
    /// The course of the run.
    pub course: Course,
    /// The network as it became; as it was before the failed step, if one failed.
    pub network: Network<T>,
    /// How the run ended.
    pub report: Result<Report, Error>,
    /// The trained network on its rows.
    pub checkup: Option<Checkup>,
    /// What is wrong, the gravest first. None: the run is healthy.
    pub findings: Vec<Finding>,
}

/// Trains a copy of `network` and says what is wrong with the run. Every remedy that theory proposes is a run of its own, of
/// the same length: give the doctor a short one. Losses are those of the validation rows, if there are some.
///
/// ```
/// use chainrule::doctor::{Fault, examine};
/// use chainrule::train::Options;
/// use chainrule::{Activation, Data, Initialiser, Matrix, Network, Optimizer, Processor};
/// // y = x² on 40 rows; a deep network whose weights start at N(0, 0.001²).
/// let x = Matrix::from_vec(40, 1, (0..40).map(|i| f64::from(i) / 20.0 - 1.0).collect())?;
/// let y = Matrix::from_vec(40, 1, x.as_slice().iter().map(|x| x * x).collect())?;
/// let tiny = Some(Initialiser::Normal(0.001));
/// let network = Network::mlp(1, &[16, 16, 16], 1, &Activation::Relu, tiny, 1)?;
/// let options = Options { batch_size: Some(8), epochs: 60, optimizer: Optimizer::GradientDescent,
///     learning_rate: Some(0.05), ..Options::default() };
/// let data = Data::new(x.view(), y.view());
/// let examination = examine(&network, &data, None, &options, &Processor::new(1))?;
/// assert_eq!(examination.findings[0].fault, Fault::VanishingSignal);
/// # Ok::<(), chainrule::Error>(())
/// ```
///
/// # Errors
/// If data or options do not fit. A run that fails is no error: it is a finding.
pub fn examine<T: Scalar>(
    network: &Network<T>,
    data: &Data<'_, T>,
    validation: Option<&Data<'_, T>>,
    options: &Options,
    processor: &Processor,
) -> Result<Examination<T>, Error> {
    let mut trained = network.clone();
    let mut course = Course::default();
    let report = train(&mut trained, data, validation, options, processor, &mut |event| {
        course.see(&event);
        ControlFlow::Continue(())
    });
    if let Err(error) = &report
        && !matches!(error, Error::NotFinite { .. })
    {
        return Err(error.clone());
    }
    let checkup = Checkup::new(&trained, data, &options.loss, processor);
    let checkup = checkup.ok().filter(|checkup| checkup.loss.is_finite());
    let suspected = suspicions(&course, checkup.as_ref(), options, network.layers(), report.as_ref().err());
    let rate = options.learning_rate.unwrap_or_else(|| options.optimizer.default_learning_rate());
    let findings = confirm(suspected, rate, |remedy| replay(network, data, validation, options, processor, remedy))?;
    Ok(Examination { course, network: trained, report, checkup, findings })
}

/// More rows are not scored.
const MOST_ROWS: usize = 1024;

fn replay<T: Scalar>(
    network: &Network<T>,
    data: &Data<'_, T>,
    validation: Option<&Data<'_, T>>,
    options: &Options,
    processor: &Processor,
    remedy: Option<&Remedy>,
) -> Result<Option<Replayed>, Error> {
    let (mut network, mut options) = (network.clone(), options.clone());
    let scaler = (remedy == Some(&Remedy::ScaleInputs)).then(|| Scaler::new(data));
    match remedy {
        None | Some(Remedy::ScaleInputs) => {}
        Some(Remedy::LearningRate(rate)) => options.learning_rate = Some(*rate),
        Some(Remedy::UsualStart) => {
            let mut usual = Network::new(network.inputs(), network.layers().to_vec(), None, options.seed)?;
            usual.running_mut().copy_from_slice(network.running());
            network = usual;
        }
        Some(Remedy::Activation(activation)) => {
            network = with_layers(&network, |layer| match layer {
                Layer::Activation(_) => vec![Layer::Activation(activation.clone())],
                other => vec![other.clone()],
            })?;
        }
        Some(Remedy::LayerNorm) => {
            network = with_layers(&network, |layer| match layer {
                Layer::BatchNorm { .. } => vec![Layer::LAYER_NORM],
                other => vec![other.clone()],
            })?;
        }
        Some(Remedy::Dropout(rate)) => {
            network = with_layers(&network, |layer| match layer {
                Layer::Activation(_) => vec![layer.clone(), Layer::Dropout { rate: *rate }],
                Layer::Dropout { .. } => Vec::new(),
                other => vec![other.clone()],
            })?;
        }
        Some(Remedy::BatchSize(rows)) => options.batch_size = Some(*rows),
        Some(Remedy::WeightDecay(decay)) => options.weight_decay = Some(*decay),
        // Where there are validation rows the best epoch is restored as it is.
        Some(Remedy::EarlyStopping) => return Ok(None),
    }
    let x = scaler.as_ref().map(|scaler| scaler.apply(data));
    let learnt = Data { x: x.as_ref().map_or(data.x, Matrix::view), ..*data };
    let held_x = validation.and_then(|held| scaler.as_ref().map(|scaler| scaler.apply(held)));
    let held = validation.map(|held| Data { x: held_x.as_ref().map_or(held.x, Matrix::view), ..*held });
    match train(&mut network, &learnt, held.as_ref(), &options, processor, &mut |_| ControlFlow::Continue(())) {
        Ok(_) => {}
        Err(Error::NotFinite { .. }) => return Ok(Some(Replayed { losses: None })),
        // The remedy cannot act here.
        Err(Error::Value { .. } | Error::Length { .. }) if remedy.is_some() => return Ok(None),
        Err(error) => return Err(error),
    }
    let scored = held.as_ref().unwrap_or(&learnt);
    let (x, y) = (thinned(scored.x, MOST_ROWS), thinned(scored.y, MOST_ROWS));
    let losses = network_losses(&network, &options.loss, &Data::new(x.view(), y.view()), processor)?;
    let finite = losses.iter().all(|loss| loss.is_finite());
    Ok(Some(Replayed { losses: finite.then_some(losses) }))
}

/// The same parameters under other layers, each of which has as many.
fn with_layers<T: Scalar>(network: &Network<T>, of: impl Fn(&Layer) -> Vec<Layer>) -> Result<Network<T>, Error> {
    let layers = network.layers().iter().flat_map(of).collect();
    let mut other = Network::zeros(network.inputs(), layers)?;
    other.parameters_mut().copy_from_slice(network.parameters());
    if other.running().len() == network.running().len() {
        other.running_mut().copy_from_slice(network.running());
    }
    Ok(other)
}

/// Mean and deviation of each column.
struct Scaler(Vec<(f64, f64)>);

impl Scaler {
    fn new<T: Scalar>(data: &Data<'_, T>) -> Self {
        Self(crate::train::standardise(&data.x.to_owned()).1)
    }

    fn apply<T: Scalar>(&self, data: &Data<'_, T>) -> Matrix<T> {
        let mut x = data.x.to_owned();
        for i in 0..x.rows() {
            for (x, (mean, deviation)) in x.row_mut(i).iter_mut().zip(&self.0) {
                *x = T::from_f64((x.to_f64() - mean) / deviation);
            }
        }
        x
    }
}
