//! Explanations as a LaTeX document: it needs nothing but amsmath.

use super::forward::{operation, terms};
use super::subject::{Subject, round};
use chainrule::explain::{Factor, Ledger, Letter, Symbol, Trace, latex_number};
use chainrule::{Activation, Layer, Matrix};
use chainrule_table::explain::Seen;

/// Significant digits.
const DIGITS: usize = 10;
/// Factors that stand in one line of a formula.
const IN_A_LINE: usize = 4;

fn document(body: &str) -> String {
    format!(
        "% Written by chainrule {}.\n\\documentclass{{article}}\n\\usepackage{{amsmath}}\n\\setcounter{{MaxMatrixCols}}{{30}}\n\
         \\allowdisplaybreaks\n\\begin{{document}}\n{body}\\end{{document}}\n",
        env!("CARGO_PKG_VERSION")
    )
}

/// A text where LaTeX's signs mean themselves; what its standard fonts have not becomes `?`.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out += "\\textbackslash{}",
            '{' | '}' | '$' | '&' | '#' | '%' | '_' => out.extend(['\\', c]),
            '^' => out += "\\^{}",
            '~' => out += "\\~{}",
            '<' | '>' | '|' => out += &format!("${c}$"),
            ' '..='~' => out.push(c),
            // LaTeX reads UTF-8 letters of Western Europe without another package.
            'À'..='ÿ' if c != '×' && c != '÷' => out.push(c),
            _ => out.push('?'),
        }
    }
    out
}

fn number(x: f64) -> String {
    latex_number(x, DIGITS)
}

/// A number that follows another sign.
fn inner(x: f64) -> String {
    let text = number(x);
    if text.starts_with('-') { format!("({text})") } else { text }
}

/// The forward pass of one row, or one neuron's sum.
pub(super) fn forward(
    subject: &Subject,
    trace: &Trace,
    row: usize,
    neuron: Option<(usize, usize)>,
    most: usize,
) -> String {
    let stages = trace.stages();
    let mut body = format!("\\section*{{Row {}}}\n", row + 1);
    if let Some((k, i)) = neuron {
        return document(&(body + &sum(subject, trace, k, i, most)));
    }
    body += "Layer 0, the input:\n\\begin{align*}\n";
    let input = stages.stage(0);
    let mut lines: Vec<String> = (0..input.width.min(most))
        .map(|i| {
            let name = subject.column(0, i).unwrap_or_default();
            let x = number(trace.output(0).row(0)[i]);
            format!("{} &= {x} && \\text{{{}}}", input.symbol(i).latex(), escaped(&name))
        })
        .collect();
    if input.width > most {
        lines.push(format!("&\\;\\;\\vdots && \\text{{{} more}}", input.width - most));
    }
    body += &format!("{}\n\\end{{align*}}\n", lines.join(" \\\\\n"));
    for k in 0..subject.network.layers().len() {
        let stage = stages.stage(k + 1);
        if stage.letter != Letter::Z {
            continue;
        }
        body += &format!("Layer {}:\n", stage.layer);
        for i in 0..(stage.width * stage.members).min(most) {
            body += &sum(subject, trace, k, i, 8);
        }
        if stage.width * stage.members > most {
            body += &format!("and {} more neurons.\n\n", stage.width * stage.members - most);
        }
    }
    document(&body)
}

/// z = Σ w·x + b of one neuron in symbols and in numbers, and what follows from it within the layer.
fn sum(subject: &Subject, trace: &Trace, k: usize, i: usize, most: usize) -> String {
    let stages = trace.stages();
    let (terms, bias, b) = terms(subject, trace, k, i);
    let z = stages.stage(k + 1).symbol(i);
    let mut order: Vec<usize> = (0..terms.len()).collect();
    if terms.len() > most {
        order.sort_by(|&a, &b| (terms[b].w * terms[b].x).abs().total_cmp(&(terms[a].w * terms[a].x).abs()));
    }
    let (listed, rest) = order.split_at(most.min(order.len()));
    let mut symbols: Vec<String> =
        listed.iter().map(|&at| format!("{} {}", terms[at].weight.latex(), terms[at].from.latex())).collect();
    let mut numbers: Vec<String> =
        listed.iter().map(|&at| format!("{}\\cdot {}", inner(terms[at].w), inner(terms[at].x))).collect();
    if !rest.is_empty() {
        symbols.push(format!("\\cdots\\text{{ ({} more)}}", rest.len()));
        numbers.push(inner(rest.iter().map(|&at| terms[at].w * terms[at].x).sum()));
    }
    symbols.push(bias.latex());
    numbers.push(inner(b));
    let broken = |parts: &[String]| {
        let lines: Vec<String> = parts.chunks(IN_A_LINE).map(|line| line.join(" + ")).collect();
        lines.join(" \\\\\n&\\quad + ")
    };
    let mut lines = vec![
        format!("{} &= {}", z.latex(), broken(&symbols)),
        format!("&= {}", broken(&numbers)),
        format!("&= {}", number(trace.output(k + 1).row(0)[i])),
    ];
    for stage in k + 2..stages.all().len() {
        let (input, output) = (stages.stage(stage - 1), stages.stage(stage));
        if output.letter == Letter::Z {
            break;
        }
        if output.same || output.members != input.members {
            continue;
        }
        let layer = &subject.network.layers()[stage - 1];
        let value = number(trace.output(stage).row(0)[i]);
        let of = input.symbol(i).latex();
        let function = match layer {
            Layer::Activation(Activation::Identity) => of,
            layer => format!("\\mathrm{{{}}}({of})", escaped(&operation(layer))),
        };
        lines.push(format!("{} &= {function} = {value}", output.symbol(i).latex()));
    }
    format!("\\begin{{align*}}\n{}\n\\end{{align*}}\n", lines.join(" \\\\\n"))
}

/// The matrices of all rows.
pub(super) fn matrices(subject: &Subject, trace: &Trace, most: usize) -> String {
    let stages = trace.stages();
    let name = |k: usize| {
        let stage = stages.stage(k);
        // X^{(1)}: the letter of a whole matrix is a capital one.
        let symbol = Symbol::new(stage.letter, stage.layer, None, &[]).latex();
        symbol.replacen('x', "X", 1).replacen('z', "Z", 1).replacen('e', "E", 1)
    };
    let mut body = String::new();
    for k in 0..subject.network.layers().len() {
        let layer = &subject.network.layers()[k];
        let (from, to) = (name(k), name(k + 1));
        let l = stages.stage(k + 1).layer;
        let right = match layer {
            Layer::Dropout { .. } => continue,
            Layer::Dense { .. } => {
                let weights = matrix(&subject.network.weights(k).to_owned(), most);
                format!("{from}W^{{({l})}}+\\mathbf 1 b^{{({l})\\top}} \\\\\nW^{{({l})}} &= {weights} \\\\\n{to} &")
            }
            layer => format!("\\mathrm{{{}}}({from}) \\\\\n&", escaped(&operation(layer))),
        };
        body +=
            &format!("\\begin{{align*}}\n{to} &= {right}= {}\n\\end{{align*}}\n", matrix(trace.output(k + 1), most));
    }
    document(&body)
}

fn matrix(of: &Matrix<f64>, most: usize) -> String {
    let columns = of.cols().min(8);
    let rows: Vec<String> = (0..of.rows().min(most))
        .map(|i| {
            let cells: Vec<String> = of.row(i)[..columns].iter().map(|x| number(round(*x))).collect();
            cells.join(" & ") + if of.cols() > columns { " & \\cdots" } else { "" }
        })
        .collect();
    let more = if of.rows() > most { " \\\\\n\\vdots" } else { "" };
    format!("\\begin{{pmatrix}}\n{}{more}\n\\end{{pmatrix}}", rows.join(" \\\\\n"))
}

/// A ledger.
pub(super) fn gradient(subject: &Subject, seen: &Seen, ledger: &Ledger) -> String {
    let symbol = &ledger.symbol.latex;
    let derivative = format!("\\frac{{\\partial J}}{{\\partial {symbol}}}");
    let mut body = match seen.rows[..] {
        [row] => format!("\\section*{{Row {}}}\n", row + 1),
        _ => format!("\\section*{{Mean over {} rows}}\n", seen.rows.len()),
    };
    body += &format!(
        "$J = {}$ (\\texttt{{{}}}), ${symbol} = {}$ (\\texttt{{{}}}).\n",
        number(ledger.loss),
        escaped(&subject.model.loss.to_string()),
        number(ledger.value),
        escaped(&ledger.name)
    );
    for (n, path) in ledger.paths.iter().enumerate() {
        let broken = |of: &dyn Fn(&Factor) -> String, sign: &str| {
            let factors: Vec<String> = path.factors.iter().map(of).collect();
            let lines: Vec<String> = factors.chunks(IN_A_LINE).map(|line| line.join(sign)).collect();
            lines.join(&format!(" \\\\\n&\\quad {sign}"))
        };
        let bracketed = |term: &str| match term.contains(['+', '-']) {
            true => format!("({term})"),
            false => term.to_owned(),
        };
        body += &format!("Path {} of {}:\n\\begin{{align*}}\n", n + 1, ledger.path_count);
        body += &format!("&{} \\\\\n", broken(&|factor| factor.derivative.latex.clone(), "\\,"));
        body += &format!("&= {} \\\\\n", broken(&|factor| bracketed(&factor.term.latex), "\\cdot "));
        body += &format!("&= {} \\\\\n", broken(&|factor| inner(factor.value), "\\cdot "));
        body += &format!("&= {}\n\\end{{align*}}\n", number(path.value));
    }
    if ledger.rows == 1 {
        let listed: Vec<String> = ledger.paths.iter().map(|path| inner(path.value)).collect();
        let mut sum: Vec<String> = listed.chunks(6).map(|line| line.join(" + ")).collect();
        let others = ledger.path_count - ledger.paths.len() as u128;
        if others > 0 {
            let rest = inner(ledger.remainder);
            sum.push(format!("\\underbrace{{{rest}}}_{{\\text{{the other {others} paths, through }}\\delta}}"));
        }
        if sum.is_empty() {
            sum.push("0".into());
        }
        body += "Their sum:\n\\begin{align*}\n";
        body += &format!("{derivative} &= {} \\\\\n", sum.join(" \\\\\n&\\quad + "));
        body += &format!("&= {}\n\\end{{align*}}\n", number(ledger.by_paths()));
    }
    body += "By $\\delta$:\n\\begin{align*}\n";
    let terms: Vec<String> = ledger
        .terms
        .iter()
        .take(8)
        .map(|term| format!("{}\\cdot {}", inner(term.delta.value), inner(term.source.value)))
        .collect();
    let mut terms: Vec<String> = terms.chunks(2).map(|line| line.join(" + ")).collect();
    if ledger.term_count > 8 {
        terms.push(format!("\\cdots \\text{{ ({} terms)}}", ledger.term_count));
    }
    let source = ledger.terms.first().map_or("0".to_owned(), |term| {
        let sum = if ledger.term_count > 1 { "\\sum " } else { "" };
        format!("{sum}{}\\,{}", term.delta.derivative.latex, term.source.derivative.latex)
    });
    body += &format!("{derivative} &= {source} \\\\\n&= {} \\\\\n", terms.join(" \\\\\n&\\quad + "));
    body += &format!("&= {}\n\\end{{align*}}\n", number(ledger.by_delta));
    body += &format!(
        "Backpropagation gives ${}$, a central difference with a step of ${}$ gives ${}$.\n",
        number(ledger.backpropagation),
        latex_number(ledger.step, 2),
        number(ledger.difference)
    );
    document(&body)
}
