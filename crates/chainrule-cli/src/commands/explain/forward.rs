//! `explain forward`: Z⁽ˡ⁾ and X⁽ˡ⁾ of a row, layer by layer, and any sum written out.

use super::subject::{Subject, step, step_json};
use super::{Common, Format, Written, latex, print, tell};
use crate::failure::Failure;
use crate::text::{aligned, cut, number, product, side_by_side, sum};
use chainrule::explain::{Letter, Symbol, Trace};
use chainrule::{Activation, Error, Layer};
use chainrule_table::{Predictions, Target};
use serde_json::{Value, json};

/// The options of `explain forward`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Show every number of the forward pass",
    after_help = "Neurons are addressed LAYER:NEURON, from 1.\n\nExamples:\n  \
        chainrule explain forward figure8.safetensors tutorial.csv --row 1\n  \
        chainrule explain forward figure8.safetensors tutorial.csv --row 1 --neuron 1:2\n  \
        chainrule explain forward figure8.safetensors tutorial.csv --all-rows\n  \
        chainrule explain forward figure8.safetensors tutorial.csv --row 1 --format latex"
)]
pub(super) struct Options {
    #[command(flatten)]
    common: Common,
    /// The data row, from 1
    #[arg(long, value_name = "I", default_value_t = 1)]
    row: usize,
    /// The matrices of all rows
    #[arg(long, conflicts_with_all = ["row", "neuron"])]
    all_rows: bool,
    /// Write the sum of this neuron out, term by term
    #[arg(long, value_name = "LAYER:NEURON")]
    neuron: Option<String>,
    /// Of an ensemble: network M, or member K of those that share network M's weights as M.K
    #[arg(long, value_name = "M")]
    member: Option<String>,
    /// Neurons of a layer and terms of a sum that are listed at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    most: usize,
    #[command(flatten)]
    written: Written,
}

/// Prints the pass.
pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let mut subject = Subject::new(&options.common, options.member.as_deref())?;
    let most = options.most.max(1);
    let text = if options.all_rows {
        let seen = subject.inputs(None)?;
        let trace = Trace::forward(&subject.network, &subject.model.loss, seen.x.view(), &subject.processor)?;
        match options.written.format() {
            Format::Text => matrices(&subject, &trace, most),
            Format::Json => format!("{}\n", as_json(&subject, &trace, &seen.rows, None)),
            Format::Latex => latex::matrices(&subject, &trace, most),
        }
    } else {
        let row = subject.row(options.row)?;
        let with_target = subject.has_targets(row);
        let seen =
            if with_target { subject.with_targets(Some(&[row]), None)? } else { subject.inputs(Some(&[row]))? };
        let (network, loss) = (&subject.network, &subject.model.loss);
        let trace = match with_target {
            true => Trace::new(network, loss, &seen.data(), &subject.processor)?,
            false => Trace::forward(network, loss, seen.x.view(), &subject.processor)?,
        };
        let neuron = options.neuron.as_deref().map(|text| neuron(&subject, text)).transpose()?;
        match (options.written.format(), neuron) {
            (Format::Json, neuron) => format!("{}\n", as_json(&subject, &trace, &seen.rows, neuron)),
            (Format::Latex, neuron) => latex::forward(&subject, &trace, row, neuron, most),
            (Format::Text, Some((k, i))) => subject.title() + &written_out(&subject, &trace, k, i, most, true),
            (Format::Text, None) => pass(&subject, &trace, row, most)?,
        }
    };
    if options.written.format() != Format::Json {
        tell(&subject.notes);
    }
    print(&text)
}

/// The position of the dense layer and the number in its output (with the member's) of `L:K`.
fn neuron(subject: &Subject, text: &str) -> Result<(usize, usize), Failure> {
    let refuse = |expected: String| Error::Value { what: "neuron", expected, got: text.to_owned() };
    let address = text.split_once(':').and_then(|(l, j)| Some((l.parse().ok()?, j.parse().ok()?)));
    let (l, j): (usize, usize) = address.ok_or_else(|| refuse("LAYER:NEURON, as 1:2".into()))?;
    let last = subject.stages.last_layer();
    let k = subject.stages.dense(l).ok_or_else(|| refuse(format!("a layer from 1 to {last}")))?;
    let stage = subject.stages.stage(k + 1);
    if !(1..=stage.width).contains(&j) {
        return Err(refuse(format!("{l}:K with K from 1 to {}", stage.width)).into());
    }
    let member = if stage.members > 1 { subject.inner.map_or(0, |m| m - 1) } else { 0 };
    Ok((k, member * stage.width + j - 1))
}

/// One term w·x of a sum.
pub(super) struct Term {
    pub(super) weight: Symbol,
    pub(super) from: Symbol,
    pub(super) w: f64,
    pub(super) x: f64,
    /// Where x is an input: its column.
    pub(super) column: Option<String>,
}

/// The sum z = Σ w·x + b of number `i` behind dense layer `k`: its terms and the bias.
pub(super) fn terms(subject: &Subject, trace: &Trace, k: usize, i: usize) -> (Vec<Term>, Symbol, f64) {
    let (network, stages) = (&subject.network, trace.stages());
    let (input, output) = (stages.stage(k), stages.stage(k + 1));
    let (member, j) = (i / output.width, i % output.width);
    let own = matches!(network.layers()[k], Layer::Heads { .. }) && output.members > 1;
    let weights = network.weights(k);
    let first = if input.members > 1 { member * input.width } else { 0 };
    let shown = own.then_some(member + 1);
    let terms = (0..input.width).map(|r| Term {
        weight: Symbol::new(Letter::Weight, output.layer, shown, &[r + 1, j + 1]),
        from: input.symbol(first + r),
        w: weights.row(if own { first + r } else { r })[j],
        x: trace.output(k).row(0)[first + r],
        column: subject.column(k, first + r),
    });
    let bias = network.biases(k)[if own { i } else { j }];
    (terms.collect(), Symbol::new(Letter::Bias, output.layer, shown, &[j + 1]), bias)
}

/// A sum in symbols, in numbers and done; a table of its terms where it is long.
fn written_out(subject: &Subject, trace: &Trace, k: usize, i: usize, most: usize, columns: bool) -> String {
    let stages = trace.stages();
    let (terms, bias, b) = terms(subject, trace, k, i);
    let z = stages.stage(k + 1).symbol(i).to_string();
    let value = trace.output(k + 1).row(0)[i];
    let mut text = String::new();
    if terms.len() <= 4 {
        let mut symbols: Vec<String> = terms.iter().map(|term| format!("{} {}", term.weight, term.from)).collect();
        let mut numbers: Vec<String> = terms.iter().map(|term| product(&[term.w, term.x])).collect();
        let mut products: Vec<String> = terms.iter().map(|term| number(term.w * term.x)).collect();
        symbols.push(bias.to_string());
        numbers.push(number(b));
        products.push(number(b));
        let indent = " ".repeat(z.chars().count());
        text += &format!("  {z} = {}\n", sum(&symbols));
        for line in [sum(&numbers), sum(&products), number(value)] {
            text += &format!("  {indent} = {line}\n");
        }
    } else {
        let mut order: Vec<usize> = (0..terms.len()).collect();
        order.sort_by(|&a, &b| (terms[b].w * terms[b].x).abs().total_cmp(&(terms[a].w * terms[a].x).abs()));
        let (listed, rest) = order.split_at(most.min(order.len()));
        text += &format!("  {z} = Σ w·x + b, the largest terms first\n");
        let digits = |x: f64| number(super::subject::round(x));
        let line = |a: &str, w: &str, x: &str, wx: &str, name: &str| {
            format!("  {a:<18} {w:>12} {x:>12} {wx:>13}  {}", cut(name, 18)).trim_end().to_owned() + "\n"
        };
        text += &line("w x", "w", "x", "w·x", "");
        for &at in listed {
            let term = &terms[at];
            let name = if columns { term.column.as_deref().unwrap_or("") } else { "" };
            let symbols = format!("{} {}", term.weight, term.from);
            text += &line(&symbols, &digits(term.w), &digits(term.x), &digits(term.w * term.x), name);
        }
        if !rest.is_empty() {
            let others = rest.iter().map(|&at| terms[at].w * terms[at].x).sum::<f64>();
            text += &line(&format!("{} more", rest.len()), "", "", &digits(others), "");
        }
        text += &line(&bias.to_string(), "", "", &digits(b), "");
        text += &line(&z, "", "", &digits(value), "");
    }
    for stage in k + 2..stages.all().len() {
        let (input, output) = (stages.stage(stage - 1), stages.stage(stage));
        if output.letter == Letter::Z {
            break;
        }
        if output.same || output.members != input.members {
            continue;
        }
        let name = operation(&subject.network.layers()[stage - 1]);
        let (x, value) = (output.symbol(i), trace.output(stage).row(0)[i]);
        text += &format!("  {x} = {name}({}) = {}\n", input.symbol(i), number(value));
    }
    text
}

/// `relu`, `batch_norm`: without its numbers.
pub(super) fn operation(layer: &Layer) -> String {
    layer.to_string().split(':').next().unwrap_or_default().to_owned()
}

/// How a layer's stages follow from each other: `X⁽¹⁾ = relu(Z⁽¹⁾)`.
fn equation(subject: &Subject, k: usize) -> Option<String> {
    let stages = &subject.stages;
    let (input, output) = (stages.stage(k).matrix(), stages.stage(k + 1).matrix());
    Some(match &subject.network.layers()[k] {
        Layer::Dense { .. } | Layer::Heads { .. } => {
            let up = output.trim_start_matches(|c: char| c.is_alphabetic());
            format!("{output} = {input}W{up} + 1b{up}ᵀ")
        }
        Layer::Dropout { .. } => return None,
        Layer::Activation(Activation::Identity) => format!("{output} = {input}"),
        Layer::Members { .. } => "each member: γ∘· + β".into(),
        layer => format!("{output} = {}({input})", operation(layer)),
    })
}

/// One row through the network.
fn pass(subject: &Subject, trace: &Trace, row: usize, most: usize) -> Result<String, Failure> {
    let (network, stages) = (&subject.network, trace.stages());
    let mut text = subject.title();
    text += &format!("row {}\n\nLayer 0, the input\n\n", row + 1);
    let steps = subject.model.encoder.steps(&subject.table, row)?;
    for (i, each) in steps.iter().enumerate().take(most) {
        let value = number(super::subject::round(trace.output(0).row(0)[i]));
        text += &format!("  {:<7} = {value:<12} {}\n", stages.stage(0).symbol(i).to_string(), step(each));
    }
    if steps.len() > most {
        text += &format!("  … {} more; --most {} lists all\n", steps.len() - most, steps.len());
    }
    let widest = stages.all().iter().map(|stage| stage.width * stage.members).max().unwrap_or(0);
    let small = widest <= 4;
    let mut k = 0;
    while k < network.layers().len() {
        // The stages of one layer and one width stand in one table.
        let mut last = k + 1;
        let together = |k: usize| {
            let (a, b) = (stages.stage(k), stages.stage(k + 1));
            a.layer == b.layer && a.width == b.width && b.letter != Letter::Z
        };
        while last < network.layers().len() && together(last) {
            last += 1;
        }
        let layer = stages.stage(k + 1).layer;
        let equations: Vec<String> = (k..last).filter_map(|k| equation(subject, k)).collect();
        text += &format!("\nLayer {layer}  {}\n\n", equations.join(", "));
        if small && stages.stage(k + 1).letter == Letter::Z {
            for i in 0..stages.stage(k + 1).width {
                text += &written_out(subject, trace, k, i, most, false);
            }
        } else {
            text += &table(trace, k + 1, last, most);
        }
        k = last;
    }
    text += "\n";
    text += &outcome(subject, trace, row)?;
    Ok(text)
}

/// The numbers of stages `first` to `last`, a line a neuron.
fn table(trace: &Trace, first: usize, last: usize, most: usize) -> String {
    let stages = trace.stages();
    let shown: Vec<usize> = (first..=last).filter(|&k| k == first || !stages.stage(k).same).collect();
    let (width, members) = (stages.stage(last).width, stages.stage(last).members);
    let mut text = String::new();
    for i in (0..width * members).take(most) {
        for &k in &shown {
            let stage = stages.stage(k);
            let at = if stage.members > 1 { i } else { i % width };
            let value = number(super::subject::round(trace.output(k).row(0)[at]));
            text += &format!("  {:<9} = {value:<13}", stage.symbol(at).to_string());
        }
        text.truncate(text.trim_end().len());
        text += "\n";
    }
    if width * members > most {
        text += &format!("  … {} more; --most {} lists all\n", width * members - most, width * members);
    }
    text
}

/// What comes out: the prediction in the target's words, the target and J.
fn outcome(subject: &Subject, trace: &Trace, row: usize) -> Result<String, Failure> {
    let mut text = String::new();
    let target = &subject.model.target;
    let members = subject.network.members();
    let outputs = subject.network.outputs();
    let mean =
        |k: usize| (0..members).map(|m| trace.prediction().row(0)[m * outputs + k]).sum::<f64>() / members as f64;
    let of = if members > 1 { format!(", the mean of {members} members") } else { String::new() };
    match target {
        Target::Regression(number_target) => {
            let several = number_target.numbers().count() > 1;
            for (k, one) in number_target.numbers().enumerate() {
                let (x, affine) = (mean(k), one.affine());
                let back = if affine.mean() == 0.0 && affine.scale() == 1.0 {
                    String::new()
                } else {
                    let (mean, scale) = (super::subject::round(affine.mean()), super::subject::round(affine.scale()));
                    format!(" = {} + {}·({})", number(mean), number(scale), number(super::subject::round(x)))
                };
                let name =
                    if several { format!("{} = ", crate::failure::printable(one.column())) } else { String::new() };
                text += &format!("prediction  {name}{}{back}{of}\n", number(one.decode(x)));
            }
        }
        Target::Classification(_) => {
            let labels = target.labels();
            let p: Vec<f64> = match outputs {
                1 => vec![1.0 - mean(0), mean(0)],
                _ => (0..outputs).map(mean).collect(),
            };
            let mut order: Vec<usize> = (0..p.len()).collect();
            order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
            let some = order.iter().take(6);
            let shown: Vec<String> = some
                .map(|&k| format!("{} {}", crate::failure::printable(&labels[k]), number(super::subject::round(p[k]))))
                .collect();
            text += &format!("probability {}{of}\n", shown.join(", "));
        }
    }
    if let Some(loss) = trace.loss() {
        for column in target.columns() {
            let position = subject.table.position(column);
            let truth = position.map_or(String::new(), |position| subject.table.spelling(row, position));
            text += &format!("target      {} = {}\n", crate::failure::printable(column), truth);
        }
        text += &format!("J           {}  ({})\n", number(loss), subject.model.loss);
    }
    if subject.model.others.is_empty() {
        return Ok(text);
    }
    let (predictions, _) = subject.model.predict(&subject.table, Some(&[row]), &subject.processor)?;
    let all = match predictions {
        Predictions::Numbers { values, others, .. } => {
            let all: Vec<String> = std::iter::once(&values).chain(&others).map(|values| number(values[0])).collect();
            all.join(", ")
        }
        Predictions::Probabilities(p) => {
            let likeliest = (1..p.cols()).fold(0, |best, k| if p[(0, k)] > p[(0, best)] { k } else { best });
            format!("{} {}", target.labels()[likeliest], number(super::subject::round(p[(0, likeliest)])))
        }
    };
    Ok(text + &format!("ensemble    {all}, of all {} networks\n", subject.model.others.len() + 1))
}

/// All rows: the matrices of every layer side by side, as the tutorial's Example 2.
fn matrices(subject: &Subject, trace: &Trace, most: usize) -> String {
    let (network, stages) = (&subject.network, trace.stages());
    let rows = trace.rows().min(most);
    let n = trace.rows();
    let mut text = subject.title();
    text += &format!("{n} row{}\n", if n == 1 { "" } else { "s" });
    let numbers: Vec<String> = (1..=rows).map(|i| format!("{i:>3}")).collect();
    let block = |k: usize| {
        let stage = stages.stage(k);
        let width = stage.width * stage.members;
        // As many columns as a third of the line has room for.
        let columns = if width > 4 { 3 } else { 4 };
        let shown: Vec<Vec<f64>> = (0..rows)
            .map(|i| trace.output(k).row(i).iter().take(columns).map(|x| super::subject::round(*x)).collect())
            .collect();
        let dots = if width > columns { format!(" … {width}") } else { String::new() };
        (format!("{}{dots}", stage.matrix()), aligned(&shown))
    };
    for k in 0..network.layers().len() {
        let Some(equation) = equation(subject, k) else { continue };
        text += &format!("\n{equation}\n\n");
        text += &side_by_side(&[("row".into(), numbers.clone()), block(k), block(k + 1)]);
    }
    if n > rows {
        text += &format!("\n… {} more rows; --most {n} lists all\n", n - rows);
    }
    text
}

/// Everything as one object.
fn as_json(subject: &Subject, trace: &Trace, rows: &[usize], neuron: Option<(usize, usize)>) -> Value {
    let stages = trace.stages();
    let mut object = subject.facts();
    object["rows"] = rows.iter().map(|row| row + 1).collect::<Vec<_>>().into();
    object["columns"] = match rows {
        [row] => subject
            .model
            .encoder
            .steps(&subject.table, *row)
            .map_or(Value::Null, |steps| steps.iter().map(step_json).collect::<Vec<_>>().into()),
        _ => subject.model.encoder.columns().into_iter().map(|column| column.name).collect::<Vec<_>>().into(),
    };
    let matrix = |matrix: &chainrule::Matrix<f64>| -> Value {
        (0..matrix.rows()).map(|i| matrix.row(i).to_vec()).collect::<Vec<_>>().into()
    };
    let stage = |k: usize| {
        let stage = stages.stage(k);
        json!({
            "name": stage.matrix(),
            "layer": stage.layer,
            "width": stage.width,
            "members": stage.members,
            "from": (k > 0).then(|| subject.network.layers()[k - 1].to_string()),
            "values": matrix(trace.output(k)),
        })
    };
    object["stages"] = (0..stages.all().len()).map(stage).collect::<Vec<_>>().into();
    object["prediction"] = matrix(trace.prediction());
    object["J"] = json!(trace.loss());
    if let Some((k, i)) = neuron {
        let (terms, bias, b) = terms(subject, trace, k, i);
        let term = |term: &Term| {
            json!({
                "weight": term.weight.to_string(), "from": term.from.to_string(), "column": term.column,
                "w": term.w, "x": term.x, "wx": term.w * term.x,
            })
        };
        object["neuron"] = json!({
            "name": stages.stage(k + 1).symbol(i).to_string(),
            "terms": terms.iter().map(term).collect::<Vec<_>>(),
            "bias": {"name": bias.to_string(), "b": b},
            "z": trace.output(k + 1).row(0)[i],
        });
    }
    object["notes"] = subject.notes.clone().into();
    object
}
