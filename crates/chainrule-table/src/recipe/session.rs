//! A plain run in the hands of somebody who watches it, step by step: the page.
//!
//! It prepares what [`fit`](super::fit) prepares with `--preset plain` and the same options, and takes the same steps, so after e
//! epochs its model's fingerprint is that of `fit … --epochs e`; after its parameters were set, that of `fit --start`.

use super::{FitError, Options, Part, Plan, Preset, Rows, encoded};
use crate::encoder::Encoder;
use crate::metrics::Metrics;
use crate::model::{AnyNetwork, Model, Output, outputs_for};
use crate::scale::Scale;
use crate::schema::{Schema, Task};
use crate::split::hold_back;
use crate::table::Table;
use crate::target::Target;
use chainrule::random::default_rng;
use chainrule::train::{self, Stepped, Steps};
use chainrule::{Data, Error, Loss, Matrix, Network, Processor};
use serde_json::{Map, Value};

/// A run on a table that waits between its steps.
///
/// ```
/// use chainrule::Processor;
/// use chainrule_table::recipe::{Options, session::Session};
/// use chainrule_table::Table;
/// let table = Table::read_csv("x,y\n1,2\n2,4\n3,7\n".as_bytes(), "points.csv")?;
/// let mut options = Options::default();
/// for (name, value) in [("target", "y"), ("preset", "plain"), ("hidden", "4"), ("learning-rate", "0.01")] {
///     options.set(name, value)?;
/// }
/// let processor = Processor::new(1);
/// let mut session = Session::new(table, &options, &processor)?;
/// let first = session.step()?.loss;
/// assert!(session.step()?.loss < first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Session<'p> {
    table: Table,
    schema: Schema,
    options: Options,
    encoder: Encoder,
    target: Target,
    run: train::Options,
    training: Rows<f64>,
    scoring: Option<Rows<f64>>,
    rows: [Vec<usize>; 2],
    network: Network<f64>,
    steps: Steps<f64>,
    notes: Vec<String>,
    processor: &'p Processor,
}

impl<'p> Session<'p> {
    /// A run at its beginning, its weights drawn from the options' seed.
    ///
    /// # Errors
    /// As [`fit`](super::fit)'s; if the preset is not plain, or an option needs rows that choose.
    pub fn new(table: Table, options: &Options, processor: &'p Processor) -> Result<Self, FitError> {
        let plan = Plan::new(options)?;
        let folds = [("folds", plan.folds.is_some()), ("group", plan.group.is_some()), ("time", plan.time.is_some())];
        let refused = folds.into_iter().chain([
            ("quantiles", !plan.quantiles.is_empty()),
            ("validation-fraction", plan.validation_fraction > 0.0),
            ("class-weight", plan.balanced),
            ("preset", plan.preset != Preset::Plain),
            ("precision", !plan.double),
        ]);
        if let Some((what, _)) = refused.into_iter().find(|(_, given)| *given) {
            let expected = "what --preset plain has".into();
            return Err(Error::Value { what, expected, got: options.get(what).unwrap_or("default").into() }.into());
        }
        let schema = Schema::infer(&table, &plan.schema)?;
        let mut notes: Vec<String> = schema.notes.iter().map(ToString::to_string).collect();
        let loss = plan.loss(schema.task, schema.labels.len())?;
        let classes = match Target::fit(&table, &schema, &schema.rows, Scale::None)? {
            Target::Classification(target) => Some(target.classes(&table, &schema.rows)?),
            Target::Regression(_) => None,
        };
        let permutation = default_rng([plan.seed, 2, 0]).permutation(schema.rows.len());
        let split = hold_back(&schema.rows, plan.test_fraction, classes.as_deref(), &permutation)?;
        let (encoder, more) = Encoder::fit(&table, &schema, &split.training, plan.scale)?;
        notes.extend(more.iter().map(ToString::to_string));
        let target = Target::fit(&table, &schema, &split.training, plan.target_scale.unwrap_or(Scale::None))?;
        let rows = |rows: &[usize]| {
            let weights = schema.weights.as_ref().map(|weights| rows.iter().map(|&row| weights[row]).collect());
            encoded::<f64>(&encoder, &target, &loss, &Part { table: &table, rows: rows.to_vec(), weights })
        };
        let (training, more) = rows(&split.training)?;
        notes.extend(more.iter().map(ToString::to_string));
        let scoring = if split.held.is_empty() { None } else { Some(rows(&split.held)?.0) };
        let layers = plan.layers(outputs_for(&loss, &target), &encoder);
        let mut network = Network::new(encoder.width(), layers, plan.init, plan.seed)?;
        network.start_from(training.x.view())?;
        let run = plan.training(&loss, split.training.len(), false);
        let steps = Steps::new(&network, &training.data(), &run, processor)?;
        let (options, rows) = (options.clone(), [split.training, split.held]);
        Ok(Self {
            table,
            schema,
            options,
            encoder,
            target,
            run,
            training,
            scoring,
            rows,
            network,
            steps,
            notes,
            processor,
        })
    }

    /// Puts other parameters in the network's place and begins anew from them, as `fit --start` does.
    ///
    /// # Errors
    /// If they are not as many, or one is not finite.
    pub fn start_at(&mut self, parameters: &[f64]) -> Result<(), Error> {
        let expected = self.network.parameters().len();
        if parameters.len() != expected {
            return Err(Error::Length { what: "parameters", expected, got: parameters.len() });
        }
        if let Some(bad) = parameters.iter().find(|x| !x.is_finite()) {
            return Err(Error::Value { what: "a parameter", expected: "a finite number".into(), got: bad.to_string() });
        }
        self.network.parameters_mut().copy_from_slice(parameters);
        self.steps = Steps::new(&self.network, &self.training.data(), &self.run, self.processor)?;
        Ok(())
    }

    /// Takes a step: one mini-batch.
    ///
    /// # Errors
    /// If the loss becomes infinite or undefined.
    pub fn step(&mut self) -> Result<Stepped, Error> {
        self.steps.step(&mut self.network, &self.training.data(), self.processor)
    }

    /// The steps so far.
    pub fn steps(&self) -> &Steps<f64> {
        &self.steps
    }

    /// ‖∂J/∂θ‖ of each segment in the last step.
    pub fn gradient_norms(&mut self) -> Vec<f64> {
        self.steps.measure(&self.network, self.processor).0.to_vec()
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// What its columns are.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// From columns to inputs.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// From outputs to numbers or labels.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The network as it is.
    pub fn network(&self) -> &Network<f64> {
        &self.network
    }

    /// How it is trained.
    pub fn training_options(&self) -> &train::Options {
        &self.run
    }

    /// What is minimised.
    pub fn loss(&self) -> &Loss {
        &self.run.loss
    }

    /// The encoded rows that are learnt from.
    pub fn training(&self) -> Data<'_, f64> {
        self.training.data()
    }

    /// The encoded rows that are not, if some are held back.
    pub fn scoring(&self) -> Option<Data<'_, f64>> {
        self.scoring.as_ref().map(Rows::data)
    }

    /// The table's rows that are learnt from, and those that are not.
    pub fn rows(&self) -> [&[usize]; 2] {
        [&self.rows[0], &self.rows[1]]
    }

    /// What a person should know about the data.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The score on the rows that are not learnt from.
    ///
    /// # Errors
    /// If a prediction is not finite.
    pub fn score(&self) -> Result<Option<Metrics>, FitError> {
        let weights: Option<Vec<f64>> = self.scoring.as_ref().and_then(|rows| rows.weights.clone());
        match self.rows[1].is_empty() {
            true => Ok(None),
            false => {
                let scored =
                    self.model().evaluate(&self.table, Some(&self.rows[1]), weights.as_deref(), self.processor)?;
                Ok(Some(scored.0))
            }
        }
    }

    /// What the network says of encoded rows, as a person reads it: a number in the target's units, or chances.
    ///
    /// # Errors
    /// If `x` has not the network's columns.
    pub fn predict(&self, x: &Matrix<f64>) -> Result<Matrix<f64>, Error> {
        let mut predictions = self.network.predict(x.view(), self.loss(), self.processor)?;
        if let (Target::Regression(number), Task::Regression) = (&self.target, self.schema.task) {
            predictions.as_mut_slice().iter_mut().for_each(|z| *z = number.decode(*z));
        }
        Ok(predictions)
    }

    /// The model as it is: its file serves `predict`, `explain` and `fit --start`.
    pub fn model(&self) -> Model {
        let given: Map<String, Value> =
            self.options.given.iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
        Model {
            encoder: self.encoder.clone(),
            target: self.target.clone(),
            loss: self.run.loss.clone(),
            network: AnyNetwork::F64(self.network.clone()),
            others: Vec::new(),
            output: Output::single(),
            facts: Map::from_iter([("options".to_owned(), Value::Object(given))]),
        }
    }
}
