//! Does an exported model do what the model does? Rows through both, and the largest difference.

use super::program::{Answer, Answered, Cell, Program};
use super::{ExportError, Format};
use crate::model::{Model, Predictions};
use crate::table::{Column, Table};
use chainrule::Processor;
use chainrule::random::default_rng;
use serde_json::{Value, json};
use std::fmt;

/// How an exported model compares with the model.
#[derive(Clone, Debug)]
pub struct Report {
    format: Format,
    fingerprint: String,
    rows: usize,
    /// Rows whose answer is another one in its bits.
    changed: usize,
    /// The largest difference before the final exponential or the target's scale, in units of the last place of the row's
    /// largest such number.
    ulp: f64,
    /// Rows with another label.
    labels: usize,
    precision: &'static str,
    /// The row (from 1) of the largest difference.
    worst: Option<usize>,
}

impl Report {
    /// Compares answers.
    pub(super) fn new(
        model: &Model,
        program: &Program,
        format: Format,
        expected: &[Answered],
        got: &[Answered],
    ) -> Self {
        let single = program.chains.iter().any(|chain| chain.single);
        let mut report = Self {
            format,
            fingerprint: super::fingerprint(model).to_owned(),
            rows: expected.len(),
            changed: 0,
            ulp: 0.0,
            labels: 0,
            precision: if single { "f32" } else { "f64" },
            worst: None,
        };
        let number = matches!(program.answer, Answer::Number { .. });
        let bits = |answered: &Answered| answered.numbers.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
        for (i, (expected, got)) in expected.iter().zip(got).enumerate() {
            report.changed += usize::from(bits(expected) != bits(got));
            report.labels += usize::from(expected.label != got.label);
            // A number near 0 is a sum of larger ones: one spread of the target is the least unit.
            let floor = if number { 1.0 } else { 0.0 };
            let largest = expected.raw.iter().fold(floor, |largest: f64, x| largest.max(x.abs()));
            let unit = unit_in_the_last_place(largest, single);
            for (expected, got) in expected.raw.iter().zip(&got.raw) {
                let ulp = (expected - got).abs() / unit;
                // NaN is the largest difference of all.
                let ulp = if ulp.is_nan() { f64::INFINITY } else { ulp };
                if ulp > report.ulp {
                    (report.ulp, report.worst) = (ulp, Some(i + 1));
                }
            }
        }
        report
    }

    /// What the format promises, in units of the last place; 0: equal bits.
    pub fn bound(&self) -> f64 {
        match self.format {
            Format::C | Format::Rust => 0.0,
            Format::Onnx | Format::Pytorch => 64.0,
        }
    }

    /// Whether the promise is kept.
    pub fn holds(&self) -> bool {
        self.labels == 0 && self.ulp <= self.bound() && (self.bound() > 0.0 || self.changed == 0)
    }

    /// For a file beside the exported one.
    pub fn to_json(&self) -> Value {
        json!({
            "format": self.format.to_string(),
            "weights": self.fingerprint,
            "rows": self.rows,
            "largest_ulp": self.ulp,
            "bound_ulp": self.bound(),
            "ulp_of": self.precision,
            "rows_not_equal_in_every_bit": self.changed,
            "labels_changed": self.labels,
            "row_of_the_largest": self.worst,
            "library_version": env!("CARGO_PKG_VERSION"),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rows, ulp, labels, precision, .. } = self;
        if self.changed == 0 {
            return write!(f, "{rows} rows, all equal to the last bit");
        }
        write!(
            f,
            "{rows} rows, largest difference {ulp:.1} ULP of {precision} (bound {}), {labels} labels changed",
            self.bound()
        )?;
        self.worst.map_or(Ok(()), |row| write!(f, ", row {row}"))
    }
}

/// The distance of numbers of x's size.
fn unit_in_the_last_place(x: f64, single: bool) -> f64 {
    if single {
        let x = x as f32;
        f64::from(f32::from_bits(x.to_bits() + 1)) - f64::from(x)
    } else {
        f64::from_bits(x.to_bits() + 1) - x
    }
}

/// The model's own answers.
pub(super) fn expected(model: &Model, table: &Table, rows: &[usize]) -> Result<Vec<Answered>, ExportError> {
    let one = Processor::new(1);
    let outputs = model.outputs(&crate::model::Inputs::new(model, table, Some(rows))?, &one)?;
    let answers = match model.read(&outputs) {
        Predictions::Numbers { values, quantiles, others } => {
            let row = |i: usize| {
                let all = std::iter::once(&values).chain(&others).chain(quantiles.iter().map(|(_, values)| values));
                let numbers = all.map(|values| values[i]).collect();
                Answered { raw: outputs.row(i).to_vec(), numbers, label: 0 }
            };
            (0..rows.len()).map(row).collect()
        }
        Predictions::Probabilities(p) => (0..rows.len()).map(|i| Answered::probabilities(p.row(i).to_vec())).collect(),
    };
    Ok(answers)
}

/// A table of drawn rows: numbers around their columns' middle, every known text in turn, gaps and unknown texts.
pub(super) fn drawn(program: &Program, rows: usize) -> Result<Table, ExportError> {
    let mut generator = default_rng(0);
    let mut columns = Vec::with_capacity(program.columns.len());
    for column in &program.columns {
        let mut noise = vec![0.0_f64; rows];
        generator.fill_normal(0.0, 1.5, &mut noise).map_err(crate::FitError::Engine)?;
        let gap = |i: usize| i % 17 == 5;
        columns.push(match &column.cell {
            Cell::Number { median, affine, .. } => {
                let number = |(i, z): (usize, f64)| match affine {
                    _ if gap(i) => f64::NAN,
                    Some(affine) => affine.to_raw(z),
                    None => *median,
                };
                Column::numbers(&column.name, noise.into_iter().enumerate().map(number).collect())
            }
            Cell::Text { spellings, .. } => {
                let text = |i: usize| match (gap(i), i % 19) {
                    (true, _) => None,
                    (_, 7) => Some("a text that no row of training has"),
                    _ => Some(spellings[(noise[i].to_bits() >> 8) as usize % spellings.len()].0.as_str()),
                };
                Column::texts(&column.name, (0..rows).map(text))
            }
        });
    }
    Ok(Table::new("drawn rows", columns)?)
}
