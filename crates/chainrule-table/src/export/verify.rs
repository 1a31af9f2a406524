//! Does an exported model do what the model does? Rows through both, and the largest difference.

use super::program::{Answer, Answered, Cell, Program};
use super::{ExportError, Format};
use crate::model::{Model, Predictions};
use crate::table::{Column, Table};
use chainrule::Processor;
use chainrule::kernels::Lanes;
use chainrule::loss::Link;
use chainrule::random::default_rng;
use serde_json::{Value, json};
use std::fmt;

/// How an exported model compares with the model.
#[derive(Clone, Debug)]
pub struct Report {
    format: Format,
    fingerprint: String,
    precision: &'static str,
    /// Through the program's own interpretation.
    check: Difference,
    /// By what the file was run, and the difference; or why it was not.
    pub(super) run: Result<(String, Difference), String>,
}

/// How answers differ from the model's.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    rows: usize,
    /// Rows whose answer is another one in its bits.
    changed: usize,
    /// The largest difference before the final exponential or the target's scale, in units of the last place of the row's
    /// largest such number.
    ulp: f64,
    /// Rows with another label.
    labels: usize,
    /// The row (from 1) of the largest difference.
    worst: Option<usize>,
}

impl Difference {
    /// Compares answers; of `scaled` ones the numbers before the target's scale are known only through those behind it.
    pub(super) fn new(program: &Program, expected: &[Answered], got: &[Answered], scaled: bool) -> Self {
        let single = single(program);
        let mut difference = Self { rows: expected.len(), changed: 0, ulp: 0.0, labels: 0, worst: None };
        let bits = |answered: &Answered| answered.numbers.iter().map(|x| x.to_bits()).collect::<Vec<u64>>();
        for (i, (expected, got)) in expected.iter().zip(got).enumerate() {
            difference.labels += usize::from(expected.label != got.label);
            if bits(expected) == bits(got) {
                continue;
            }
            difference.changed += 1;
            // A number near 0 is a sum of larger ones: one spread of the target is the least unit.
            let number = matches!(program.answer, Answer::Number { .. });
            let floor = if number { 1.0 } else { 0.0 };
            let largest = expected.raw.iter().fold(floor, |largest: f64, x| largest.max(x.abs()));
            let unit = unit_in_the_last_place(largest, single);
            for (k, (&a, &b)) in expected.raw.iter().zip(&got.raw).enumerate() {
                let (mut a, mut b, mut unit) = (a, b, unit);
                match &program.answer {
                    Answer::Number { affines, .. } if scaled => {
                        let affine = affines.get(k).unwrap_or(&affines[0]);
                        unit = unit.max(unit_in_the_last_place(affine.to_raw(a).abs(), false) / affine.scale());
                    }
                    Answer::Label(_) if program.link == Link::Logistic => {
                        // Of two classes p₀ = 1 − y, heated to q = p₀^(1/T): an ULP ε of y is ε/(T·p₀) in −ln q, and
                        // what is below ε/2 is told from 0 by nobody.
                        let (t, epsilon) = (program.temperature, unit_in_the_last_place(1.0, single));
                        let most = -Lanes::ln(epsilon / 2.0) / t;
                        (a, b) = (a.min(most), b.min(most));
                        unit = unit.max(epsilon / t * Lanes::exp(a.min(b) * t));
                    }
                    _ => {}
                }
                let ulp = (a - b).abs() / unit;
                // NaN is the largest difference of all.
                let ulp = if ulp.is_nan() { f64::INFINITY } else { ulp };
                if ulp > difference.ulp {
                    (difference.ulp, difference.worst) = (ulp, Some(i + 1));
                }
            }
        }
        difference
    }

    /// Whether it is at most `bound` units; 0: equal bits.
    pub(super) fn within(&self, bound: f64) -> bool {
        self.labels == 0 && self.ulp <= bound && (bound > 0.0 || self.changed == 0)
    }

    fn to_json(&self) -> Value {
        json!({
            "rows": self.rows,
            "largest_ulp": self.ulp,
            "rows_not_equal_in_every_bit": self.changed,
            "labels_changed": self.labels,
            "row_of_the_largest": self.worst,
        })
    }
}

impl Report {
    pub(super) fn new(model: &Model, program: &Program, format: Format, check: Difference) -> Self {
        let fingerprint = super::fingerprint(model).to_owned();
        let precision = if single(program) { "f32" } else { "f64" };
        Self { format, fingerprint, precision, check, run: Err("nobody asked for it".into()) }
    }

    pub(super) fn format(&self) -> Format {
        self.format
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
        self.check.within(self.bound())
    }

    /// For a file beside the exported one.
    pub fn to_json(&self) -> Value {
        let mut all = json!({
            "format": self.format.to_string(),
            "weights": self.fingerprint,
            "bound_ulp": self.bound(),
            "ulp_of": self.precision,
            "library_version": env!("CARGO_PKG_VERSION"),
        });
        let check = self.check.to_json();
        if let (Value::Object(all), Value::Object(check)) = (&mut all, check) {
            all.extend(check);
        }
        all["run"] = match &self.run {
            Err(why) => json!({"left_out": why}),
            Ok((by, run)) => {
                let mut run = run.to_json();
                run["by"] = json!(by);
                run
            }
        };
        all
    }

    /// What came of running the file.
    pub fn run(&self) -> String {
        match &self.run {
            Ok((by, run)) => format!("{}; {by}", self.shown(run)),
            Err(why) => format!("left out: {why}"),
        }
    }

    /// A difference in words.
    pub(super) fn shown(&self, difference: &Difference) -> String {
        let Difference { rows, ulp, labels, changed, worst } = difference;
        if *changed == 0 && *labels == 0 {
            return format!("{rows} rows, all equal to the last bit");
        }
        let (precision, bound) = (self.precision, self.bound());
        let row = worst.map_or(String::new(), |row| format!(", row {row}"));
        format!(
            "{rows} rows, largest difference {ulp:.1} ULP of {precision} (bound {bound}), {labels} labels changed{row}"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown(&self.check))
    }
}

/// Whether a network counts in f32.
fn single(program: &Program) -> bool {
    program.chains.iter().any(|chain| chain.single)
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
