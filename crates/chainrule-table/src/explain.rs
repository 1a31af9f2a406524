//! Explanations in a table's words: the rows of a table as a network of the model sees them, what each column contributes
//! to a prediction, and how much worse the model is without a column.

use crate::encoder::Encoder;
use crate::in_order::in_order;
use crate::metrics::Metrics;
use crate::model::{AnyNetwork, Inputs, Model};
use crate::note::Note;
use crate::recipe::FitError;
use crate::schema::sample_weights;
use crate::table::Table;
use crate::target::Target;
use chainrule::explain::{Attribution, integrated_gradients};
use chainrule::loss::Link;
use chainrule::random::default_rng;
use chainrule::{Data, Error, Matrix, Network, Processor};
use serde_json::Value;

impl AnyNetwork {
    /// The network in double precision: the same numbers.
    pub fn widened(&self) -> Network<f64> {
        match self {
            Self::F32(network) => network.cast(),
            Self::F64(network) => network.clone(),
        }
    }
}

impl Model {
    /// Network `m` (from 1) of an ensemble.
    ///
    /// # Errors
    /// If there is no such network.
    pub fn member(&self, m: usize) -> Result<&AnyNetwork, Error> {
        m.checked_sub(1).and_then(|m| self.networks().nth(m)).ok_or_else(|| {
            let expected = match self.others.len() + 1 {
                1 => "1: the model is one network".into(),
                n => format!("a network from 1 to {n}"),
            };
            Error::Value { what: "member", expected, got: m.to_string() }
        })
    }
}

/// Rows of a table as a network sees them, in f64.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The inputs, \[rows, n⁽⁰⁾\].
    pub x: Matrix<f64>,
    /// The targets as the network learns them; none if they were not asked for.
    pub y: Option<Matrix<f64>>,
    /// The rows' weights, if the model was trained with some.
    pub weights: Option<Vec<f64>>,
    /// Which rows of the table these are, from 0.
    pub rows: Vec<usize>,
    /// What a person should know.
    pub notes: Vec<Note>,
}

impl Seen {
    /// The inputs of the given rows of a table, or all; exactly what `network` sees, widened.
    ///
    /// # Errors
    /// If the table does not fit the encoder.
    pub fn inputs(
        model: &Model,
        network: &AnyNetwork,
        table: &Table,
        rows: Option<&[usize]>,
    ) -> Result<Self, FitError> {
        let (x, notes) = match network {
            AnyNetwork::F32(_) => {
                let (x, notes) = model.encoder.encode::<f32>(table, rows)?;
                (x.cast(), notes)
            }
            AnyNetwork::F64(_) => model.encoder.encode::<f64>(table, rows)?,
        };
        let rows = rows.map_or_else(|| (0..table.rows()).collect(), <[usize]>::to_vec);
        Ok(Self { x, y: None, weights: None, rows, notes })
    }

    /// Inputs and targets of the given rows, or of all that have a target.
    ///
    /// # Errors
    /// If the table does not fit the model, or a given row has no target.
    pub fn with_targets(
        model: &Model,
        network: &AnyNetwork,
        table: &Table,
        rows: Option<&[usize]>,
    ) -> Result<Self, FitError> {
        let (rows, mut notes) = match rows {
            Some(rows) => (rows.to_vec(), Vec::new()),
            None => model.target.rows(table)?,
        };
        let mut seen = Self::inputs(model, network, table, Some(&rows))?;
        notes.append(&mut seen.notes);
        seen.notes = notes;
        seen.y = Some(match &model.target {
            Target::Regression(target) => target.encode(table, &rows)?,
            Target::Classification(target) => {
                let classes = target.classes(table, &rows)?.into_iter().map(f64::from).collect();
                Matrix::from_vec(rows.len(), 1, classes)?
            }
        });
        let weight = model.facts.get("sample_weight").and_then(Value::as_str).and_then(|name| table.position(name));
        if let Some(position) = weight.filter(|_| rows.len() > 1) {
            seen.weights = Some(sample_weights(table, position, &rows)?);
        }
        Ok(seen)
    }

    /// Gives every row the target that `text` is: a number or a label.
    ///
    /// # Errors
    /// If it is none.
    pub fn set_target(&mut self, model: &Model, text: &str) -> Result<(), Error> {
        let refuse = |expected: String| Error::Value { what: "target-value", expected, got: text.to_owned() };
        let y: Vec<f64> = match &model.target {
            Target::Regression(target) => {
                let number = |text: &str| text.trim().parse().ok().filter(|y: &f64| y.is_finite());
                let given: Option<Vec<f64>> = text.split(',').map(number).collect();
                let count = target.numbers().count();
                let expected = || match count {
                    1 => "a number".into(),
                    count => format!("{count} numbers separated by commas"),
                };
                let given = given.filter(|given| given.len() == count).ok_or_else(|| refuse(expected()))?;
                target.numbers().zip(given).map(|(target, y)| target.affine().to_input(y)).collect()
            }
            Target::Classification(target) => {
                let labels = target.labels();
                let class = labels.iter().position(|label| label == text);
                let known = || format!("one of {}", labels.iter().take(8).cloned().collect::<Vec<_>>().join(", "));
                vec![class.ok_or_else(|| refuse(known()))? as f64]
            }
        };
        self.y = Some(Matrix::from_vec(self.rows.len(), y.len(), y.repeat(self.rows.len()))?);
        Ok(())
    }

    /// For the library.
    ///
    /// # Panics
    /// If there are no targets.
    pub fn data(&self) -> Data<'_, f64> {
        let y = self.y.as_ref().expect("targets were asked for");
        Data { x: self.x.view(), y: y.view(), weights: self.weights.as_deref() }
    }

    /// About `most` of the rows, spread evenly.
    #[must_use]
    pub fn thinned(self, most: usize) -> Self {
        let n = self.rows.len();
        if n <= most {
            return self;
        }
        let at: Vec<usize> = (0..most).map(|i| i * n / most).collect();
        let take = |matrix: &Matrix<f64>| {
            let data = at.iter().flat_map(|&i| matrix.row(i)).copied().collect();
            Matrix::from_vec(at.len(), matrix.cols(), data).expect("whole rows")
        };
        Self {
            x: take(&self.x),
            y: self.y.as_ref().map(take),
            weights: self.weights.map(|weights| at.iter().map(|&i| weights[i]).collect()),
            rows: at.iter().map(|&i| self.rows[i]).collect(),
            notes: self.notes,
        }
    }
}

/// What the output of a network, before the loss's link, is of a model's prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputScale {
    /// The predicted number, in the target's units.
    Number,
    /// ln of the predicted number.
    Logarithm,
    /// ln(p/(1 − p)) of the second of two classes.
    Logit,
    /// A class's score, whose exponential its probability is proportional to.
    Score,
}

impl OutputScale {
    /// What `model` has.
    pub fn of(model: &Model) -> Self {
        match model.loss.link() {
            Link::Exponential => Self::Logarithm,
            Link::Logistic => Self::Logit,
            Link::Softmax => Self::Score,
            _ => Self::Number,
        }
    }
}

/// What each column of a table contributes to the prediction for one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Contributions {
    /// The row, from 0.
    pub row: usize,
    /// For each input column of the table, in the encoder's order: its contribution.
    pub columns: Vec<f64>,
    /// The output for the mean row.
    pub baseline: f64,
    /// The output for this row.
    pub output: f64,
    /// output − baseline − Σ contributions.
    pub residual: f64,
    /// At how many places between the two rows the gradient was taken, over all networks.
    pub places: usize,
}

/// The mean of a table's rows as the encoder encodes them.
///
/// # Errors
/// If the table does not fit the encoder.
pub fn mean_row(encoder: &Encoder, table: &Table) -> Result<Vec<f64>, FitError> {
    let mut sums = vec![0.0; encoder.width()];
    let all: Vec<usize> = (0..table.rows()).collect();
    // Some at a time: the encoded table may be much larger than the table.
    for rows in all.chunks(4096) {
        let (x, _) = encoder.encode::<f64>(table, Some(rows))?;
        (0..x.rows()).for_each(|i| sums.iter_mut().zip(x.row(i)).for_each(|(sum, x)| *sum += x));
    }
    sums.iter_mut().for_each(|sum| *sum /= table.rows() as f64);
    Ok(sums)
}

/// What each column contributes to output `k` (from 0) for each of the given rows, before the loss's link: integrated
/// gradients against the row `baseline` ([`mean_row`]), summed over the numbers that a column is encoded as. Of an
/// ensemble, the weighted mean of its networks' outputs is explained, or network `member` (from 1) alone.
///
/// # Errors
/// If the table does not fit the encoder, or there is no such output or network.
pub fn contributions(
    model: &Model,
    table: &Table,
    rows: &[usize],
    baseline: &[f64],
    k: usize,
    member: Option<usize>,
    processor: &Processor,
) -> Result<Vec<Contributions>, FitError> {
    let networks: Vec<(&AnyNetwork, f64)> = match member {
        Some(m) => vec![(model.member(m)?, 1.0)],
        None if model.others.is_empty() => vec![(&model.network, 1.0)],
        None => model.networks().zip(model.output.shares.iter().copied()).collect(),
    };
    // A number comes back to the target's units.
    let (unit, zero) = match &model.target {
        Target::Regression(target) if OutputScale::of(model) == OutputScale::Number => {
            let affine = target.numbers().nth(k).unwrap_or(target).affine();
            (affine.scale(), affine.mean())
        }
        _ => (1.0, 0.0),
    };
    let sources = sources(&model.encoder);
    let count = model.encoder.inputs().count();
    let mut all: Vec<Contributions> = rows
        .iter()
        .map(|&row| {
            let columns = vec![0.0; count];
            Contributions { row, columns, baseline: zero, output: zero, residual: 0.0, places: 0 }
        })
        .collect();
    for (network, share) in networks {
        let seen = Seen::inputs(model, network, table, Some(rows))?;
        let network = network.widened();
        let mut sums = all.iter_mut().enumerate();
        let explained = |(i, sum): (usize, _)| {
            let alone = Processor::with_instruction_set(1, processor.instruction_set());
            let x = seen.x.row(i);
            (sum, integrated_gradients(&network, &model.loss, x, baseline, k, TOLERANCE, &alone))
        };
        let take = |(sum, of): (&mut Contributions, Result<Attribution, _>)| {
            let of = of?;
            let times = unit * share;
            of.contributions.iter().zip(&sources).for_each(|(c, &source)| sum.columns[source] += times * c);
            sum.baseline += times * of.baseline;
            sum.output += times * of.output;
            sum.residual += times * of.residual;
            sum.places += of.places;
            Ok(())
        };
        in_order(processor.threads(), || Ok::<_, Error>(sums.next()), explained, take)?;
    }
    Ok(all)
}

/// The residual of a network's contributions, relative to the change of its output.
const TOLERANCE: f64 = 1e-3;

/// For each encoded column the position of its source among the encoder's inputs.
fn sources(encoder: &Encoder) -> Vec<usize> {
    let inputs: Vec<&str> = encoder.inputs().collect();
    let position = |source: &str| inputs.iter().position(|input| *input == source).expect("an input of the encoder");
    let mut last = (String::new(), 0);
    let columns = encoder.columns().into_iter().map(|column| {
        if last.0 != column.source {
            last = (column.source.clone(), position(&column.source));
        }
        last.1
    });
    columns.collect()
}

/// How much worse a model's score is without a column.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// The column.
    pub column: String,
    /// The mean increase of the score over the shuffles.
    pub mean: f64,
    /// The standard deviation of the increases (n − 1).
    pub deviation: f64,
    /// The increase in each shuffle.
    pub increases: Vec<f64>,
}

/// Permutation importance of every column.
#[derive(Clone, Debug, PartialEq)]
pub struct Importances {
    /// The score's name, `rmse` or `log_loss`: smaller is better.
    pub metric: &'static str,
    /// The score with every column in place.
    pub score: f64,
    /// How many rows were scored.
    pub rows: usize,
    /// Every column, the most important first.
    pub columns: Vec<Importance>,
    /// What a person should know.
    pub notes: Vec<Note>,
}

/// Shuffles one column at a time over the rows (at most `most_rows` of those that have a target), `repeats` times, and
/// tells how much worse the model predicts (Breiman 2001; Fisher, Rudin & Dominici 2019). All numbers that a column is
/// encoded as move together. Shuffle r of column c is `default_rng([seed, 3, c, r])`'s permutation. `watch` is told how many
/// columns are done, and may end it.
///
/// # Errors
/// If the table does not fit the model, or `watch` has ended it (then `None`).
pub fn importances(
    model: &Model,
    table: &Table,
    repeats: usize,
    most_rows: usize,
    seed: u64,
    processor: &Processor,
    watch: &mut dyn FnMut(usize) -> bool,
) -> Result<Option<Importances>, FitError> {
    let (mut rows, mut notes) = model.target.rows(table)?;
    if rows.len() > most_rows {
        let chosen = default_rng([seed, 3]).permutation(rows.len());
        let mut some: Vec<usize> = chosen.into_iter().take(most_rows).map(|i| rows[i]).collect();
        some.sort_unstable();
        notes.push(Note::new(format!("{} of {} rows were scored", some.len(), rows.len())));
        rows = some;
    }
    let weight = model.facts.get("sample_weight").and_then(Value::as_str).and_then(|name| table.position(name));
    let weights = weight.map(|position| sample_weights(table, position, &rows)).transpose()?;
    let mut inputs = Inputs::new(model, table, Some(&rows))?;
    notes.append(&mut inputs.notes);
    let score = |inputs: &Inputs| -> Result<(&'static str, f64), FitError> {
        let predictions = model.predict_inputs(inputs, processor)?;
        Ok(match model.score(table, &rows, &predictions, weights.as_deref())? {
            Metrics::Regression(metrics) => ("rmse", metrics.rmse),
            Metrics::Classification(metrics) => ("log_loss", metrics.log_loss),
            several @ Metrics::Several(_) => ("mean_1_minus_r2", several.main().1),
        })
    };
    let (metric, whole) = score(&inputs)?;
    let sources = sources(&model.encoder);
    let mut columns = Vec::new();
    for (c, column) in model.encoder.inputs().enumerate() {
        let own: Vec<usize> = (0..sources.len()).filter(|&at| sources[at] == c).collect();
        let mut increases = Vec::with_capacity(repeats);
        let mut shuffled = Inputs { single: inputs.single.clone(), double: inputs.double.clone(), notes: Vec::new() };
        for r in 0..repeats {
            let order = default_rng([seed, 3, c as u64, r as u64]).permutation(rows.len());
            for &at in &own {
                if let (Some(to), Some(from)) = (&mut shuffled.single, &inputs.single) {
                    order.iter().enumerate().for_each(|(i, &j)| to[(i, at)] = from[(j, at)]);
                }
                if let (Some(to), Some(from)) = (&mut shuffled.double, &inputs.double) {
                    order.iter().enumerate().for_each(|(i, &j)| to[(i, at)] = from[(j, at)]);
                }
            }
            increases.push(score(&shuffled)?.1 - whole);
        }
        let mean = increases.iter().sum::<f64>() / repeats as f64;
        let squares = increases.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>();
        let deviation = if repeats > 1 { (squares / (repeats - 1) as f64).sqrt() } else { 0.0 };
        columns.push(Importance { column: column.to_owned(), mean, deviation, increases });
        if !watch(c + 1) {
            return Ok(None);
        }
    }
    columns.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    Ok(Some(Importances { metric, score: whole, rows: rows.len(), columns, notes }))
}
