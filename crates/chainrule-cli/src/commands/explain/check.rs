//! `explain check`: backpropagation against differences of J; or somebody's own gradient against ours.

use super::subject::Subject;
use super::{Common, print, tell};
use crate::failure::{Failure, printable};
use chainrule::explain::{Candidate, Check, Checked, Diagnosis, check_gradient, diagnose_gradient, number};
use chainrule::{Error, Network};
use serde_json::{Map, Value, json};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The options of `explain check`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Check the gradient against differences of the loss, or your own gradient against ours",
    after_help = "A gradient of your own is one JSON object: each parameter tensor by its name, weights as [n_in, n_out].\n\n\
        Examples:\n  \
        chainrule explain check figure8.safetensors tutorial.csv\n  \
        chainrule explain check houses.safetensors houses.csv --parameters 500 --rows 50\n  \
        chainrule explain check figure8.safetensors tutorial.csv --gradient mine.json"
)]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// Of an ensemble: network M alone [default: every network]
    #[arg(long, value_name = "M")]
    member: Option<String>,
    /// How many parameters of a network are checked at most, spread evenly
    #[arg(long, value_name = "N", default_value_t = 1000)]
    parameters: usize,
    /// How many rows J is averaged over at most, spread evenly
    #[arg(long, value_name = "N", default_value_t = 100)]
    rows: usize,
    /// A JSON file with your gradient: what is wrong with it?
    #[arg(long, value_name = "FILE")]
    gradient: Option<PathBuf>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Checks and prints; a gradient that fails is a failure.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    if let Some(path) = &options.gradient {
        return judge(options, path);
    }
    let mut subject = Subject::new(&options.common, options.member.as_deref())?;
    let members = match &options.member {
        Some(_) => subject.member..subject.member + 1,
        None => {
            // All are checked, so that the first is said of none.
            subject.notes.clear();
            1..subject.model.others.len() + 2
        }
    };
    let mut checks = Vec::new();
    for m in members {
        subject.member = m;
        subject.network = subject.model.member(m)?.widened();
        let seen = subject.with_targets(None, None)?.thinned(options.rows.max(1));
        let check = check_gradient(
            &subject.network,
            &subject.model.loss,
            &seen.data(),
            options.parameters,
            &subject.processor,
        )?;
        checks.push((m, check));
    }
    subject.notes.sort();
    subject.notes.dedup();
    let passes = checks.iter().all(|(_, check)| check.passes());
    if options.json {
        let all: Vec<Value> = checks.iter().map(|(m, check)| as_json(*m, check)).collect();
        print(&format!("{}\n", json!({"passes": passes, "checks": all, "notes": subject.notes})))?;
    } else {
        tell(&subject.notes);
        let several = checks.len() > 1;
        let texts: Vec<String> = checks.iter().map(|(m, check)| as_text(several.then_some(*m), check)).collect();
        print(&texts.join("\n"))?;
    }
    if passes {
        return Ok(());
    }
    let message =
        "the gradient is not the derivative of J; if the network has no activation of your own, please report this";
    Err(Failure::Fault(message.into()))
}

fn as_text(member: Option<usize>, check: &Check) -> String {
    let mut text = member.map_or(String::new(), |m| format!("network {m}\n"));
    let which = match check.compared + check.kinks == check.parameters {
        true => format!("all {} parameters", check.parameters),
        false => format!("{} of {} parameters, spread evenly", check.compared + check.kinks, check.parameters),
    };
    text += &format!("checked   {which}; J over {} rows\n", check.rows);
    if check.kinks > 0 {
        text += &format!("left out  {} whose step crosses a kink of an activation or of the loss\n", check.kinks);
    }
    text += &format!("largest   {} relative, to pass {}\n\n", number(check.error(), 2), number(check.tolerance, 2));
    let worst = &check.worst[..check.worst.len().min(5)];
    let length =
        |of: &dyn Fn(&Checked) -> &str| worst.iter().map(|checked| of(checked).chars().count()).max().unwrap_or(0);
    let (first, second) = (length(&|checked| &checked.symbol), length(&|checked| &checked.name));
    let line = |symbol: &str, name: &str, gradient: &str, difference: &str, error: &str| {
        format!("  {symbol:<first$} {name:<second$} {gradient:>17} {difference:>17} {error:>8}\n")
    };
    text += &line("", "", "backpropagation", "difference", "error");
    for checked in worst {
        let (gradient, difference) = (number(checked.gradient, 9), number(checked.difference, 9));
        text += &line(&checked.symbol, &checked.name, &gradient, &difference, &number(checked.error, 2));
    }
    text + if check.passes() { "\npasses\n" } else { "\nfails\n" }
}

fn as_json(member: usize, check: &Check) -> Value {
    let worst: Vec<Value> = check
        .worst
        .iter()
        .map(|checked| {
            json!({
                "name": checked.name, "symbol": checked.symbol, "gradient": checked.gradient,
                "difference": checked.difference, "error": checked.error,
            })
        })
        .collect();
    json!({
        "member": member, "passes": check.passes(), "compared": check.compared, "parameters": check.parameters,
        "kinks": check.kinks, "rows": check.rows, "error": check.error(), "tolerance": check.tolerance, "worst": worst,
    })
}

/// Says which term of which layer of somebody's gradient is wrong.
fn judge(options: &Options, path: &Path) -> Result<(), Failure> {
    let mut subject = Subject::new(&options.common, options.member.as_deref())?;
    let candidate = candidate(&subject.network, path)?;
    let seen = subject.with_targets(None, None)?;
    let diagnosis =
        diagnose_gradient(&subject.network, &subject.model.loss, &seen.data(), &candidate, &subject.processor)?;
    if options.json {
        print(&format!("{}\n", diagnosis_json(&diagnosis, &subject.notes)))?;
    } else {
        tell(&subject.notes);
        let mut text = format!("J over {} rows\n\n", seen.rows.len());
        text += &format!("  {:<20} {:>9}   where it is largest\n", "", "error");
        for part in &diagnosis.compared {
            text += &format!("  {:<20} {:>9}", printable(&part.name), number(part.error, 2));
            if part.error > 0.0 {
                let (got, expected) = (number(part.got, 8), number(part.expected, 8));
                text += &format!("   [{},{}]: {got}, expected {expected}", part.worst[0], part.worst[1]);
            }
            text += "\n";
        }
        print(&format!("{text}\n{diagnosis}\n"))?;
    }
    match diagnosis.findings.len() {
        0 => Ok(()),
        n => Err(Failure::Fault(format!("{}: {n} mistake{} found", path.display(), if n == 1 { "" } else { "s" }))),
    }
}

fn diagnosis_json(diagnosis: &Diagnosis, notes: &[String]) -> Value {
    let compared = diagnosis.compared.iter().map(|part| {
        json!({
            "name": part.name, "layer": part.layer, "error": part.error, "worst": part.worst,
            "expected": part.expected, "got": part.got,
        })
    });
    let findings = diagnosis.findings.iter().map(|finding| {
        json!({
            "layer": finding.layer, "term": finding.term, "fault": format!("{:?}", finding.fault), "text": finding.text,
            "error": finding.error, "error_with": finding.error_with,
        })
    });
    json!({
        "right": diagnosis.findings.is_empty(),
        "compared": compared.collect::<Vec<_>>(),
        "findings": findings.collect::<Vec<_>>(),
        "notes": notes,
    })
}

/// No larger file is read.
const MOST_BYTES: u64 = 1 << 30;

/// A gradient in a JSON file.
fn candidate(network: &Network<f64>, path: &Path) -> Result<Candidate, Failure> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| Failure::file(path, &error))?;
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(|error| Failure::file(path, &error))?;
    let at = |reason: String| Failure::Fault(format!("{}: {reason}", path.display()));
    let parts: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
        at(format!("expected a JSON object of tensors by name, as {{\"0.weight\": [[…]]}} ({error})"))
    })?;
    let mut candidate = Candidate::default();
    for (name, value) in &parts {
        let mut numbers = Vec::new();
        flatten(value, &mut numbers).ok_or_else(|| at(format!("{name}: expected numbers or lists of them")))?;
        candidate = candidate.segment(network, name, numbers).map_err(|error: Error| at(format!("{name}: {error}")))?;
    }
    match parts.is_empty() {
        true => Err(at("it holds no tensor".into())),
        false => Ok(candidate),
    }
}

/// The numbers of nested lists, in order.
fn flatten(value: &Value, numbers: &mut Vec<f64>) -> Option<()> {
    match value {
        Value::Array(values) => values.iter().try_for_each(|value| flatten(value, numbers)),
        value => {
            numbers.push(value.as_f64()?);
            Some(())
        }
    }
}
