//! `explain prediction`: what each column contributes, by integrated gradients.

use super::subject::round;
use super::{Common, print, tell};
use crate::commands::fit::processor;
use crate::failure::{Failure, printable};
use crate::input;
use crate::text::{cut, number};
use chainrule::Error;
use chainrule_table::explain::{Contributions, OutputScale, contributions, mean_row};
use chainrule_table::{Model, Predictions, Table};
use serde_json::{Value, json};
use std::path::PathBuf;

/// The options of `explain prediction`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Show what each column contributes to a prediction",
    after_help = "Contributions are integrated gradients (Sundararajan et al. 2017) from the mean row to the row; they add up to\n\
        the difference of the two outputs. They say what the model did, not what would happen if a value changed.\n\n\
        Examples:\n  \
        chainrule explain prediction houses.safetensors houses.csv --row 1\n  \
        chainrule explain prediction houses.safetensors new.csv --baseline houses.csv --row 3 --json\n  \
        chainrule explain prediction houses.safetensors houses.csv --rows 20"
)]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// The data row, from 1
    #[arg(long, value_name = "I", default_value_t = 1)]
    row: usize,
    /// A table of the contributions for the first N rows
    #[arg(long, value_name = "N", conflicts_with = "row")]
    rows: Option<usize>,
    /// The class whose score is explained [default: the predicted one]
    #[arg(long, value_name = "LABEL")]
    output: Option<String>,
    /// The table whose mean row is compared with [default: DATA]
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Of an ensemble: network M alone
    #[arg(long, value_name = "M")]
    member: Option<usize>,
    /// Columns that are listed at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    most: usize,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Prints the contributions.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let processor = processor(options.common.threads)?;
    let model = input::predictor(&options.common.model)?;
    let table = input::table(&options.common.data)?;
    let rows: Vec<usize> = match options.rows {
        Some(n) => (0..n.min(table.rows())).collect(),
        None => vec![options.row.checked_sub(1).filter(|&row| row < table.rows()).ok_or_else(|| {
            let expected = format!("a row from 1 to {}", table.rows());
            Error::Value { what: "row", expected, got: options.row.to_string() }
        })?],
    };
    let (against, mean) = match &options.baseline {
        None => (table.name().to_owned(), mean_row(&model.encoder, &table)?),
        Some(path) => {
            let baseline = input::table(path)?;
            (baseline.name().to_owned(), mean_row(&model.encoder, &baseline)?)
        }
    };
    let (predictions, notes) = model.predict(&table, Some(&rows), &processor)?;
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    let k = output(&model, options.output.as_deref(), &predictions)?;
    let all = contributions(&model, &table, &rows, &mean, k, options.member, &processor)?;
    let view = View { model: &model, table: &table, against: &against, k, most: options.most.max(1) };
    if options.json {
        return print(&format!("{}\n", view.as_json(&all, &notes)));
    }
    tell(&notes);
    print(&if options.rows.is_some() { view.many(&all) } else { view.one(&all[0], &predictions, options.member) })
}

/// The output to explain, from 0.
fn output(model: &Model, label: Option<&str>, predictions: &Predictions) -> Result<usize, Failure> {
    let targets: Vec<&str> = model.target.columns().collect();
    if let Some(name) = label.filter(|_| targets.len() > 1) {
        return targets.iter().position(|target| *target == name).ok_or_else(|| {
            let expected = format!("one of the targets {}", targets.join(", "));
            Error::Value { what: "output", expected, got: name.to_owned() }.into()
        });
    }
    let labels = model.target.labels();
    let kind = OutputScale::of(model);
    let class = match label {
        None => match predictions {
            Predictions::Probabilities(p) if kind == OutputScale::Score => {
                let row = p.row(0);
                (1..row.len()).fold(0, |best, k| if row[k] > row[best] { k } else { best })
            }
            _ => return Ok(0),
        },
        Some(label) => labels.iter().position(|known| known == label).ok_or_else(|| {
            let expected = match labels.len() {
                0 => "no label: a number is predicted".into(),
                _ => format!("one of {}", labels.iter().take(8).cloned().collect::<Vec<_>>().join(", ")),
            };
            Error::Value { what: "output", expected, got: label.to_owned() }
        })?,
    };
    match kind {
        OutputScale::Score => Ok(class),
        OutputScale::Logit if class == 0 => {
            let expected = format!("{}: the other label's logit is the same with the other sign", labels[1]);
            Err(Error::Value { what: "output", expected, got: labels[0].clone() }.into())
        }
        _ => Ok(0),
    }
}

struct View<'a> {
    model: &'a Model,
    table: &'a Table,
    against: &'a str,
    k: usize,
    most: usize,
}

impl View<'_> {
    /// What is explained, in words.
    fn what(&self) -> String {
        let target = printable(self.model.target.columns().nth(self.k).unwrap_or_else(|| self.model.target.column()));
        let labels = self.model.target.labels();
        match OutputScale::of(self.model) {
            OutputScale::Number => target,
            OutputScale::Logarithm => format!("ln {target}"),
            OutputScale::Logit => format!("ln(p/(1 − p)), p: probability of {target} = {}", printable(&labels[1])),
            OutputScale::Score => format!("score of {target} = {} (before softmax)", printable(&labels[self.k])),
        }
    }

    fn one(&self, of: &Contributions, predictions: &Predictions, member: Option<usize>) -> String {
        let networks = self.model.others.len() + 1;
        let mut text = format!("row {}, {}\n", of.row + 1, self.what());
        match member {
            Some(m) => text += &format!("network {m} of {networks} alone\n"),
            None if networks > 1 => text += &format!("the weighted mean of {networks} networks\n"),
            None => {}
        }
        let digits = |x: f64| number(round(x));
        let line = |a: &str, b: &str, c: &str| format!("  {a:<34} {b:<20} {c:>14}\n");
        text += "\n";
        text += &line("column", "value", "contribution");
        let what = cut(&format!("the mean row of {}", printable(self.against)), 34);
        text += &line(&what, "", &digits(of.baseline));
        let names: Vec<&str> = self.model.encoder.inputs().collect();
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|&a, &b| of.columns[b].abs().total_cmp(&of.columns[a].abs()).then(a.cmp(&b)));
        let (listed, rest) = order.split_at(self.most.min(order.len()));
        for &c in listed {
            let cell = self.table.position(names[c]).map_or(String::new(), |at| self.table.spelling(of.row, at));
            let cell = if cell.is_empty() { "missing".into() } else { printable(&cell) };
            text += &line(&cut(&printable(names[c]), 34), &cut(&cell, 20), &digits(of.columns[c]));
        }
        if !rest.is_empty() {
            let others = rest.iter().map(|&c| of.columns[c]).sum();
            text += &line(&format!("{} other columns", rest.len()), "", &digits(others));
        }
        text += &line("residual of the integral", "", &digits(of.residual));
        text += &line("this row", "", &digits(of.output));
        text += &match predictions {
            Predictions::Numbers { values, others, .. } => {
                let value = if self.k == 0 { values[0] } else { others[self.k - 1][0] };
                let bent = member.is_none() && (value - of.output).abs() > 1e-3 * of.output.abs();
                let text = format!("\nprediction {} (the model cuts or bends the mean)\n", digits(value));
                if bent { text } else { String::new() }
            }
            Predictions::Probabilities(p) => {
                let class = if OutputScale::of(self.model) == OutputScale::Logit { 1 } else { self.k };
                let label = printable(&self.model.target.labels()[class]);
                format!("\nprobability of {label} {}\n", digits(p[(0, class)]))
            }
        };
        text
    }

    /// A line a row: the largest columns over all rows.
    fn many(&self, all: &[Contributions]) -> String {
        let names: Vec<&str> = self.model.encoder.inputs().collect();
        let weight = |c: usize| all.iter().map(|of| of.columns[c].abs()).sum::<f64>();
        let mut order: Vec<usize> = (0..names.len()).collect();
        order.sort_by(|&a, &b| weight(b).total_cmp(&weight(a)).then(a.cmp(&b)));
        let shown = &order[..order.len().min(4)];
        let digits = |x: f64| number(format!("{x:.3e}").parse().unwrap_or(x));
        let mut text = format!("{}\n\n{:>6}", self.what(), "row");
        shown.iter().for_each(|&c| text += &format!(" {:>12}", cut(&printable(names[c]), 12)));
        text += &format!(" {:>10} {:>10}\n", "others", "output");
        for of in all {
            text += &format!("{:>6}", of.row + 1);
            shown.iter().for_each(|&c| text += &format!(" {:>12}", digits(of.columns[c])));
            let others: f64 = order[shown.len()..].iter().map(|&c| of.columns[c]).sum();
            text += &format!(" {:>10} {:>10}\n", digits(others), digits(of.output));
        }
        let worst = all.iter().fold(0.0_f64, |max, of| max.max(of.residual.abs()));
        let first = all.first().map_or(0.0, |of| of.baseline);
        text + &format!("\nmean row {}; largest residual {}\n", digits(first), digits(worst))
    }

    fn as_json(&self, all: &[Contributions], notes: &[String]) -> Value {
        let names: Vec<&str> = self.model.encoder.inputs().collect();
        let row = |of: &Contributions| {
            let columns: serde_json::Map<String, Value> =
                names.iter().zip(&of.columns).map(|(name, x)| ((*name).to_owned(), json!(x))).collect();
            json!({
                "row": of.row + 1, "contributions": columns, "baseline": of.baseline, "output": of.output,
                "residual": of.residual, "places": of.places,
            })
        };
        json!({
            "output": self.what(), "against": self.against, "rows": all.iter().map(row).collect::<Vec<_>>(),
            "notes": notes,
        })
    }
}
