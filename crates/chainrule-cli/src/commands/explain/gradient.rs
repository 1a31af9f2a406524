//! `explain gradient`: ∂J/∂θ as the sum over its paths, by δ, by backpropagation and by a difference.

use super::subject::{Subject, round, step, step_json};
use super::{Common, Format, Written, latex, print, tell};
use crate::failure::{Failure, printable};
use crate::text::{cut, number as short};
use chainrule::explain::{Factor, Ledger, Letter, Parameter, Path, largest_gradients, number, origin};
use chainrule::network::Role;
use chainrule_table::Target;
use chainrule_table::explain::Seen;
use serde_json::{Value, json};

/// The options of `explain gradient`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Unfold the derivative of the loss by a weight into its paths",
    after_help = "A weight is addressed LAYER:FROM,TO: 2:3,2 leads from neuron 3 of layer 1 to neuron 2 of layer 2. Without a\n\
        row the mean over all rows is taken; without an address the largest derivatives are listed.\n\nExamples:\n  \
        chainrule explain gradient figure8.safetensors tutorial.csv --row 1 --weight 1:1,2\n  \
        chainrule explain gradient figure8.safetensors tutorial.csv --row 1 --bias 2:1\n  \
        chainrule explain gradient figure8.safetensors tutorial.csv\n  \
        chainrule explain gradient figure8.safetensors tutorial.csv --row 1 --weight 1:1,2 --format latex"
)]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// The data row, from 1 [default: the mean over all rows]
    #[arg(long, value_name = "I")]
    row: Option<usize>,
    /// The weight; for layer 1 FROM may be a column
    #[arg(long, value_name = "LAYER:FROM,TO", group = "address")]
    weight: Option<String>,
    /// The bias
    #[arg(long, value_name = "LAYER:NEURON", group = "address")]
    bias: Option<String>,
    /// Any parameter by its name in the file: 3.weight[2,1]
    #[arg(long, value_name = "NAME[I,J]", group = "address")]
    parameter: Option<String>,
    /// Of an ensemble: network M, or member K of those that share network M's weights as M.K
    #[arg(long, value_name = "M")]
    member: Option<String>,
    /// How many of the largest paths (or rows, or derivatives) are listed
    #[arg(long, value_name = "K", default_value_t = 20)]
    paths: usize,
    /// The target of rows that have none
    #[arg(long, value_name = "VALUE")]
    target_value: Option<String>,
    #[command(flatten)]
    written: Written,
}

/// Prints the ledger.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut subject = Subject::new(&options.common, options.member.as_deref())?;
    let parameter =
        subject.parameter(options.weight.as_deref(), options.bias.as_deref(), options.parameter.as_deref())?;
    let row = options.row.map(|row| subject.row(row)).transpose()?;
    if let Some(row) = row.filter(|&row| options.target_value.is_none() && !subject.has_targets(row)) {
        let column = printable(subject.model.target.column());
        let message = format!("row {} has no value in {column}: --target-value VALUE gives it one", row + 1);
        return Err(Failure::Fault(message));
    }
    let seen = subject.with_targets(row.as_ref().map(std::slice::from_ref), options.target_value.as_deref())?;
    let most = options.paths.clamp(1, MOST_PATHS);
    let (network, loss, processor) = (&subject.network, &subject.model.loss, &subject.processor);
    let format = options.written.format();
    let text = match parameter {
        None => {
            let largest = largest_gradients(network, loss, &seen.data(), most, processor)?;
            match format {
                Format::Json => format!("{}\n", list_json(&subject, &seen, &largest)),
                Format::Text => list(&subject, &seen, &largest),
                Format::Latex => {
                    let message = "--format latex writes one derivative: say which by --weight, --bias or --parameter";
                    return Err(Failure::Fault(message.into()));
                }
            }
        }
        Some(parameter) => {
            let ledger = Ledger::new(network, loss, &seen.data(), parameter, most, processor)?;
            let about = About::new(&subject, &seen, &ledger)?;
            match format {
                Format::Json => format!("{}\n", about.as_json()),
                Format::Text => about.as_text(),
                Format::Latex => latex::gradient(&subject, &seen, &ledger),
            }
        }
    };
    if format != Format::Json {
        tell(&subject.notes);
    }
    print(&text)
}

/// No more paths are listed: each has a dozen factors.
const MOST_PATHS: usize = 100_000;

fn rows_text(seen: &Seen) -> String {
    match seen.rows[..] {
        [row] => format!("row {}", row + 1),
        _ => format!("mean over {} rows", seen.rows.len()),
    }
}

/// The largest derivatives.
fn list(subject: &Subject, seen: &Seen, largest: &[(Parameter, f64)]) -> String {
    let mut text = subject.title();
    text += &format!("{}, the {} largest derivatives\n\n", rows_text(seen), largest.len());
    text += &format!("  {:<15} {:<22} {:>16}  {}\n", "", "name", "∂J/∂θ", "from column");
    for &(parameter, gradient) in largest {
        let symbol = parameter.symbol(&subject.network, &subject.stages).to_string();
        let column = column_of(subject, parameter).unwrap_or_default();
        let name = parameter.name(&subject.network);
        let line = format!("  {symbol:<15} {name:<22} {:>16}  {}", short(gradient), cut(&column, 18));
        text += line.trim_end();
        text += "\n";
    }
    text
}

fn list_json(subject: &Subject, seen: &Seen, largest: &[(Parameter, f64)]) -> Value {
    let mut object = subject.facts();
    object["rows"] = seen.rows.iter().map(|row| row + 1).collect::<Vec<_>>().into();
    let entry = |&(parameter, gradient): &(Parameter, f64)| {
        json!({
            "name": parameter.name(&subject.network),
            "symbol": parameter.symbol(&subject.network, &subject.stages).to_string(),
            "column": column_of(subject, parameter),
            "value": subject.network.parameters()[parameter.index(&subject.network)],
            "gradient": gradient,
        })
    };
    object["gradients"] = largest.iter().map(entry).collect::<Vec<_>>().into();
    object["notes"] = subject.notes.clone().into();
    object
}

/// The encoded column that a weight reads.
fn column_of(subject: &Subject, parameter: Parameter) -> Option<String> {
    let column = origin_of(subject, parameter)?;
    subject.model.encoder.columns().get(column).map(|column| printable(&column.name))
}

fn origin_of(subject: &Subject, parameter: Parameter) -> Option<usize> {
    let segment = &subject.network.layout().segments()[parameter.segment];
    if segment.role != Role::Weights {
        return None;
    }
    match &subject.network.layers()[segment.layer] {
        chainrule::Layer::Piecewise { bins, columns, .. } => {
            origin(&subject.network, segment.layer, columns[parameter.row / (bins + 1)])
        }
        _ => origin(&subject.network, segment.layer, parameter.row),
    }
}

/// A ledger and what its symbols stand for.
struct About<'a> {
    subject: &'a Subject,
    seen: &'a Seen,
    ledger: &'a Ledger,
    /// For one row: how the input that the weight reads follows from its cell.
    input: Option<chainrule_table::Step>,
}

impl<'a> About<'a> {
    fn new(subject: &'a Subject, seen: &'a Seen, ledger: &'a Ledger) -> Result<Self, Failure> {
        let input = match (&seen.rows[..], origin_of(subject, ledger.parameter)) {
            ([row], Some(column)) => {
                let steps = subject.model.encoder.steps(&subject.table, *row)?;
                steps.into_iter().nth(column)
            }
            _ => None,
        };
        Ok(Self { subject, seen, ledger, input })
    }

    fn as_text(&self) -> String {
        let (ledger, subject) = (self.ledger, self.subject);
        let symbol = &ledger.symbol.plain;
        let mut text = subject.title();
        text += &format!("{}  J = {}  ({})\n", rows_text(self.seen), number(ledger.loss, DIGITS), subject.model.loss);
        text += &format!("{symbol}  = {}, {} in the file\n", number(ledger.value, DIGITS), ledger.name);
        text += &self.units();
        match ledger.rows {
            1 => text += &self.paths(),
            _ => text += &self.terms(),
        }
        let line = |name: &str, x: f64| format!("  {name:<22} {}\n", number(x, DIGITS));
        text += &format!("\n∂J/∂{symbol}\n");
        if ledger.rows == 1 {
            text += &line("by its paths", ledger.by_paths());
        }
        text += &line("by δ (equations 8–11)", ledger.by_delta);
        text += &line("by backpropagation", ledger.backpropagation);
        let kink = match ledger.kink {
            true => "  not to be trusted: an activation has a kink within the step",
            false => "",
        };
        text += line("by a difference", ledger.difference).trim_end();
        text += &format!("  (J at ±{}){kink}\n", number(ledger.step, 2));
        text += &format!("  the first three agree to {} of it\n", number(ledger.gap(), 2));
        text
    }

    /// Where the weight's input and the target come from, with their units.
    fn units(&self) -> String {
        let mut text = String::new();
        if let Some(input) = &self.input {
            let column = origin_of(self.subject, self.ledger.parameter).unwrap_or(0);
            let x = self.subject.stages.stage(0).symbol(column);
            text += &format!("{x}  = {}   {}\n", short(round(input.value)), step(input));
            if let Some(scaled) = input.scaled.filter(|scaled| scaled.slope != 1.0) {
                let name = cut(&printable(&input.source), 28);
                text += &format!("∂{x}/∂{name} = {} for each unit of it\n", short(round(scaled.slope)));
            }
        }
        if let Target::Regression(target) = &self.subject.model.target {
            for (k, target) in target.numbers().enumerate().filter(|(_, target)| target.affine().scale() != 1.0) {
                let (affine, name) = (target.affine(), cut(&printable(target.column()), 28));
                let (mean, scale) = (short(round(affine.mean())), short(round(affine.scale())));
                let y = format!("y{}", crate::text::subscript(k + 1));
                text += &format!("{y}  = ({name} − {mean})/{scale}: J counts in those units\n");
            }
        }
        text
    }

    fn paths(&self) -> String {
        let ledger = self.ledger;
        let (listed, all) = (ledger.paths.len() as u128, ledger.path_count);
        let mut text = match (listed, all) {
            (_, 0) => "\nNo path leads from it to the loss\n".into(),
            (1, 1) => "\nOne path\n".into(),
            (0, all) => format!("\n{all} paths, every one of them 0\n"),
            (listed, all) if listed == all => format!("\n{all} paths, the largest first\n"),
            (listed, all) => format!("\n{all} paths, the {listed} largest first\n"),
        };
        let in_full = if ledger.paths.len() <= 4 { ledger.paths.len() } else { 1 };
        for (n, path) in ledger.paths.iter().enumerate().take(in_full) {
            text += &format!("\n  path {}\n", n + 1);
            text += &factors(&path.factors);
            text += &format!("{}\n", number(path.value, DIGITS));
        }
        if in_full < ledger.paths.len() {
            text += "\n";
            for (n, path) in ledger.paths.iter().enumerate().skip(in_full) {
                let room = 80 - 6 - 24;
                text += format!("  {:<4} {:<22} {}", n + 1, number(path.value, DIGITS), cut(&self.route(path), room))
                    .trim_end();
                text += "\n";
            }
        }
        if (1..all).contains(&listed) {
            text += &format!(
                "\n  {:<36} {}\n",
                "the paths listed",
                number(ledger.paths.iter().map(|p| p.value).sum(), DIGITS)
            );
            let others = format!("the other {}, through δ", all - listed);
            text += &format!("  {others:<36} {}\n", number(ledger.remainder, DIGITS));
        }
        text
    }

    /// The neurons that a path goes through.
    fn route(&self, path: &Path) -> String {
        let stages = &self.subject.stages;
        let neuron = |&&(stage, _): &&(usize, usize)| matches!(stages.stage(stage).letter, Letter::X(_));
        let mut seen: Vec<String> = path
            .units
            .iter()
            .filter(neuron)
            .map(|&(stage, unit)| stages.stage(stage).symbol(unit).to_string())
            .collect();
        seen.dedup();
        if seen.is_empty() {
            seen = path.units.iter().map(|&(stage, unit)| stages.stage(stage).symbol(unit).to_string()).collect();
        }
        seen.join(" → ")
    }

    /// Over several rows: the largest terms δ·x.
    fn terms(&self) -> String {
        let ledger = self.ledger;
        let mut text = format!("\nΣ over rows of δ·∂z/∂{}, the largest first\n\n", ledger.symbol.plain);
        let head = ledger.terms.first();
        let of = |of: Option<&str>| of.unwrap_or_default().to_owned();
        let delta = of(head.map(|term| term.delta.derivative.plain.as_str()));
        text += &format!("  {:>8} {:>20} {:>18} {:>20}\n", "row", delta, "∂z/∂θ", "product");
        let shown: f64 = ledger.terms.iter().map(|term| term.value).sum();
        for term in &ledger.terms {
            let row = self.seen.rows[term.row] + 1;
            let cell = |x: f64| number(x, 9);
            text += &format!(
                "  {row:>8} {:>20} {:>18} {:>20}\n",
                cell(term.delta.value),
                cell(term.source.value),
                cell(term.value)
            );
        }
        if ledger.terms.len() < ledger.term_count {
            let others = format!("{} more", ledger.term_count - ledger.terms.len());
            text += &format!("  {others:>8} {:>20} {:>18} {:>20}\n", "", "", number(ledger.by_delta - shown, 9));
        }
        text
    }

    fn as_json(&self) -> Value {
        let (ledger, subject) = (self.ledger, self.subject);
        let factor = |factor: &Factor| json!({"derivative": factor.derivative.plain, "term": factor.term.plain, "value": factor.value});
        let path = |path: &Path| {
            let units = path.units.iter().map(|&(stage, unit)| subject.stages.stage(stage).symbol(unit).to_string());
            json!({
                "factors": path.factors.iter().map(factor).collect::<Vec<_>>(),
                "through": units.collect::<Vec<_>>(),
                "value": path.value,
            })
        };
        let mut object = subject.facts();
        object["rows"] = self.seen.rows.iter().map(|row| row + 1).collect::<Vec<_>>().into();
        object["name"] = ledger.name.clone().into();
        object["symbol"] = ledger.symbol.plain.clone().into();
        object["value"] = json!(ledger.value);
        object["J"] = json!(ledger.loss);
        if ledger.rows == 1 {
            object["path_count"] = match u64::try_from(ledger.path_count) {
                Ok(count) => json!(count),
                Err(_) => json!(ledger.path_count as f64),
            };
            object["paths"] = ledger.paths.iter().map(path).collect::<Vec<_>>().into();
            object["remainder"] = json!(ledger.remainder);
            object["by_paths"] = json!(ledger.by_paths());
        }
        let term = |term: &chainrule::explain::Term| {
            json!({
                "row": self.seen.rows[term.row] + 1, "delta": term.delta.value, "source": term.source.value,
                "term": term.source.term.plain, "value": term.value,
            })
        };
        object["terms"] = ledger.terms.iter().map(term).collect::<Vec<_>>().into();
        object["by_delta"] = json!(ledger.by_delta);
        object["backpropagation"] = json!(ledger.backpropagation);
        object["difference"] = json!({"value": ledger.difference, "step": ledger.step, "kink": ledger.kink});
        object["input"] = self.input.as_ref().map(step_json).into();
        object["notes"] = subject.notes.clone().into();
        object
    }
}

/// Significant digits of what must be seen to agree.
const DIGITS: usize = 13;

/// A line for each factor: what is derived by what, what that is, its value.
fn factors(factors: &[Factor]) -> String {
    let longest = |of: &dyn Fn(&Factor) -> &str| {
        let length = |factor: &Factor| of(factor).chars().count();
        factors.iter().map(length).max().unwrap_or(0)
    };
    let first = longest(&|factor| &factor.derivative.plain).max(15);
    let second = longest(&|factor| &factor.term.plain).clamp(18, 76 - first - 16);
    let lines = factors.iter().map(|factor| {
        let (derivative, term) = (&factor.derivative.plain, &factor.term.plain);
        format!("  {derivative:<first$} {:<second$} {}\n", cut(term, second), number(factor.value, DIGITS))
    });
    lines.chain([format!("  {:<width$} ", "product", width = first + second + 1)]).collect()
}
