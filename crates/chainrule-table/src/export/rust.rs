//! A Rust source file: the model as one function, with the arithmetic in it; it needs `core` alone.

use super::program::{Answer, Cell, Chain, Op, Program, Put, Quantiles, RawCells, formula};
use super::source::{Vectors, functions, identifiers, literal, numbers};
use crate::scale::Affine;
use chainrule::loss::Link;
use std::fmt::Write as _;

/// The arithmetic's functions, each behind a line `//[name: what it needs]`.
const ARITHMETIC: &str = include_str!("arithmetic.rs.txt");

/// The source file. `name` is an identifier, `about` the lines of the comment at the top.
pub(super) fn print(program: &Program, name: &str, about: &[String], vectors: &Vectors) -> String {
    let mut text = String::new();
    about.iter().for_each(|line| text += &format!("//! {line}\n"));
    text += &format!(
        "//!\n//! `predict` gives a row's prediction: no allocation, no dependency, no state; the bits are the model's own.\n\
         //! Check: rustc -O --cfg {name}_main {name}.rs -o check && ./check\n\
         #![allow(unknown_lints, unexpected_cfgs, non_snake_case, non_upper_case_globals, clippy::all)]\n\
         #![cfg_attr({name}_main, allow(dead_code))]\n\n"
    );
    let fields = identifiers(program.columns.iter().map(|column| column.name.as_str()));
    let texts = program.columns.iter().any(|column| matches!(column.cell, Cell::Text { .. }));
    let lifetime = if texts { "<'a>" } else { "" };
    text += "/// A row of the table. A missing number is NaN, a missing text `None`.\n#[derive(Clone, Copy, Debug)]\n";
    let _ = writeln!(text, "pub struct Row{lifetime} {{");
    for (column, field) in program.columns.iter().zip(&fields) {
        let (kind, what) = match &column.cell {
            Cell::Number { .. } => ("f64", String::new()),
            Cell::Text { spellings, .. } => ("Option<&'a str>", format!(": {} known texts", spellings.len())),
        };
        let _ = writeln!(text, "    /// {}{what}.\n    pub {field}: {kind},", plain(&column.name));
    }
    text += "}\n\n";
    let answers = program.answers();
    match &program.answer {
        Answer::Label(labels) => {
            let _ = writeln!(text, "/// The labels of {}.", plain(&program.target));
            let _ = writeln!(text, "pub const LABELS: [&str; {answers}] = {labels:?};\n");
        }
        Answer::Number { quantiles, .. } if !quantiles.levels().is_empty() => {
            let levels = numbers(quantiles.levels(), false, "");
            let _ = writeln!(
                text,
                "/// The levels of the quantiles.\npub const LEVELS: [f64; {}] = [{levels}];\n",
                answers - 1
            );
        }
        Answer::Number { .. } => {}
    }
    text += &functions(ARITHMETIC, program, "rust");
    for (m, chain) in program.chains.iter().enumerate() {
        print_chain(&mut text, program, chain, m);
    }
    known_texts(&mut text, program);
    predict(&mut text, program, &fields);
    main(&mut text, program, name, &fields, vectors);
    text
}

/// A name inside a comment.
fn plain(name: &str) -> String {
    name.replace(char::is_control, " ")
}

fn print_chain(text: &mut String, program: &Program, chain: &Chain, m: usize) {
    let real = if chain.single { "f32" } else { "f64" };
    let widest = chain.steps.iter().map(|step| step.members[1] * step.widths[1]).max().unwrap_or(1);
    let mut body = String::new();
    let mut at = ["x", "a", "b"];
    for step in &chain.steps {
        let mut data = |what: &str, values: &[f64]| {
            let name = format!("N{m}_{}_{what}", step.layer);
            let _ =
                writeln!(text, "static {name}: [{real}; {}] = [{}];", values.len(), numbers(values, chain.single, ""));
            format!("&{name}")
        };
        let (from, to) = (at[0], at[1]);
        let (members, [n, outputs]) = (step.members[0], step.widths);
        let (before, all) = (members * n, step.members[1] * outputs);
        let number = |x: f64| literal(x, chain.single, "");
        let call = match &step.op {
            Op::Dropout { .. } => continue,
            Op::Dense { weights, biases, heads } => {
                let (w, b) = (data("WEIGHTS", weights), data("BIASES", biases));
                let next = if *heads { [n * outputs, outputs] } else { [0, 0] };
                format!("dense_{real}({w}, {b}, {next:?}, {members}, {n}, {outputs}, &{from}, &mut {to});")
            }
            Op::Members { scale, shift } => {
                let (scale, shift) = (data("SCALE", scale), data("SHIFT", shift));
                format!("members_{real}({scale}, {shift}, {n}, &{from}, &mut {to});")
            }
            Op::Piecewise { bins, width, columns, edges, line, slopes, knots, last } => {
                let [edges, line, slopes, knots] =
                    [("EDGES", edges), ("LINE", line), ("SLOPES", slopes), ("KNOTS", knots)]
                        .map(|(what, v)| data(what, v));
                let mut call = String::new();
                for (c, column) in columns.iter().enumerate() {
                    let (slope, line_at) = (c * bins * width, c * width);
                    let _ = writeln!(
                        call,
                        "piecewise_{real}({edges}[{}..], {line}[{line_at}..], {slopes}[{slope}..], {knots}[{slope}..], {}, \
                         {from}[{column}], &mut {to}[{line_at}..{}]);",
                        c * (bins + 1),
                        last[c],
                        line_at + width
                    );
                }
                let others = (0..n).filter(|column| !columns.contains(column));
                for (k, column) in others.enumerate() {
                    let _ = writeln!(call, "{to}[{}] = {from}[{column}];", columns.len() * width + k);
                }
                call.trim_end().to_owned()
            }
            Op::BatchNorm { epsilon, rows, .. } => {
                let names = ["MEAN", "VARIANCE", "SCALE", "SHIFT"];
                let arrays: Vec<String> = names.iter().zip(rows).map(|(what, values)| data(what, values)).collect();
                format!("batch_norm_{real}({}, {}, &{from}, &mut {to});", arrays.join(", "), number(*epsilon))
            }
            Op::LayerNorm { epsilon, rows: [scale, shift] } => {
                let (scale, shift) = (data("SCALE", scale), data("SHIFT", shift));
                format!("layer_norm_{real}({scale}, {shift}, {}, &{from}, &mut {to});", number(*epsilon))
            }
            Op::Activation(activation) => {
                let (function, constants) = formula(activation);
                let value = match (function, &constants[..]) {
                    ("identity", _) => "*z".to_owned(),
                    ("relu", _) => "if *z <= 0.0 { 0.0 } else { *z }".to_owned(),
                    ("leaky_relu", [slope]) => format!("if *z <= 0.0 {{ {} * *z }} else {{ *z }}", number(*slope)),
                    ("elu", [alpha, lambda]) => format!(
                        "if *z <= 0.0 {{ {} * exp_m1_{real}(*z) }} else {{ {} * *z }}",
                        number(*alpha),
                        number(*lambda)
                    ),
                    (function, _) => format!("{function}_{real}(*z)"),
                };
                format!("{to}[..{all}].iter_mut().zip(&{from}[..{before}]).for_each(|(x, z)| *x = {value});")
            }
        };
        call.lines().for_each(|line| body += &format!("    {line}\n"));
        at = if at[0] == "a" { ["b", "a", "b"] } else { ["a", "b", "a"] };
    }
    let (z, outputs, members, width) = (at[0], chain.outputs, chain.members, program.width());
    let _ = writeln!(text, "fn network_{m}(inputs: &[f64; {width}]) -> [f64; {outputs}] {{");
    let _ = writeln!(text, "    let mut x = [0.0 as {real}; {width}];\n    let mut a = [0.0 as {real}; {widest}];");
    if body.contains("mut b") || body.contains("b[") || z == "b" {
        let _ = writeln!(text, "    let mut b = [0.0 as {real}; {widest}];");
    }
    let _ = writeln!(text, "    x.iter_mut().zip(inputs).for_each(|(x, input)| *x = *input as {real});");
    *text += &body;
    let link = match program.link {
        Link::Identity => String::new(),
        Link::Logistic => format!("        z.iter_mut().for_each(|z| *z = logistic_{real}(*z));\n"),
        Link::Exponential => format!("        z.iter_mut().for_each(|z| *z = exp_{real}(*z));\n"),
        Link::Softmax => format!("        softmax_{real}(z);\n"),
    };
    let mean = if members > 1 { format!("mean[k] / {members} as {real}") } else { "mean[k]".into() };
    let add = if members > 1 { "*sum += *z" } else { "*sum = *z" };
    let widen = if chain.single { format!("f64::from({mean})") } else { mean };
    let _ = writeln!(
        text,
        "    let mut mean = [0.0 as {real}; {outputs}];\n    for z in {z}[..{}].chunks_exact_mut({outputs}) {{\n{link}        \
         mean.iter_mut().zip(z.iter()).for_each(|(sum, z)| {add});\n    }}\n    \
         let mut out = [0.0; {outputs}];\n    for k in 0..{outputs} {{\n        out[k] = {widen};\n    }}\n    out\n}}\n",
        members * outputs
    );
}

/// The known texts of every column, and how one is found.
fn known_texts(text: &mut String, program: &Program) {
    if !program.columns.iter().any(|column| matches!(column.cell, Cell::Text { .. })) {
        return;
    }
    *text += "/// A text's number and its place among its column's.\ntype Put = Option<(usize, f64)>;\n\
              fn put_text(known: &[(&str, usize, f64)], unseen: Put, gap: Put, text: Option<&str>, x: &mut [f64]) {\n    \
              let put = match text {\n        None | Some(\"\") => gap,\n        Some(text) => {\n            \
              let found = known.iter().find(|known| known.0 == text);\n            \
              found.map(|known| (known.1, known.2)).or(unseen)\n        }\n    };\n    \
              if let Some((place, value)) = put {\n        x[place] = value;\n    }\n}\n";
    for (c, column) in program.columns.iter().enumerate() {
        if let Cell::Text { spellings, .. } = &column.cell {
            let rows: Vec<String> = spellings
                .iter()
                .map(|(known, put)| format!("    ({known:?}, {}, {:?}),\n", put.place, put.value))
                .collect();
            let _ = writeln!(text, "static TEXTS_{c}: [(&str, usize, f64); {}] = [\n{}];", rows.len(), rows.concat());
        }
    }
    text.push('\n');
}

fn predict(text: &mut String, program: &Program, fields: &[String]) {
    let (width, outputs, answers) = (program.width(), program.outputs(), program.answers());
    let number = |x: f64| literal(x, false, "");
    let lifetime =
        if program.columns.iter().any(|column| matches!(column.cell, Cell::Text { .. })) { "<'_>" } else { "" };
    *text += match &program.answer {
        Answer::Label(_) => "/// Each label's probability, and the index of the likeliest.\n",
        Answer::Number { .. } => "/// The prediction and then its quantiles, if it has some; and 0.\n",
    };
    let _ = writeln!(
        text,
        "pub fn predict(row: &Row{lifetime}) -> ([f64; {answers}], usize) {{\n    let mut x = [0.0; {width}];"
    );
    let mut first = 0;
    for (c, (column, field)) in program.columns.iter().zip(fields).enumerate() {
        match &column.cell {
            Cell::Number { median, affine, bent, gap } => {
                if let Some(Put { place, value }) = gap {
                    let _ = writeln!(
                        text,
                        "    if row.{field}.is_nan() {{\n        x[{}] = {value:?};\n    }}",
                        first + place
                    );
                }
                if let Some(affine) = affine {
                    let (median, mean, scale) = (number(*median), number(affine.mean()), number(affine.scale()));
                    let _ = writeln!(
                        text,
                        "    let v = ((if row.{field}.is_nan() {{ {median} }} else {{ row.{field} }}) - {mean}) / {scale};"
                    );
                    let bend = if *bent { "v / sqrt_f64(1.0 + v / 3.0 * (v / 3.0))" } else { "v" };
                    let _ = writeln!(text, "    x[{first}] = {bend};");
                }
            }
            Cell::Text { unseen, gap, .. } => {
                let put = |put: &Option<Put>| {
                    put.map_or("None".into(), |put| format!("Some(({}, {:?}))", put.place, put.value))
                };
                let _ = writeln!(
                    text,
                    "    put_text(&TEXTS_{c}, {}, {}, row.{field}, &mut x[{first}..{}]);",
                    put(unseen),
                    put(gap),
                    first + column.width
                );
            }
        }
        first += column.width;
    }
    match &program.shares {
        None => *text += "    let mut z = network_0(&x);\n",
        Some(shares) => {
            let _ = writeln!(text, "    let mut z = [0.0; {outputs}];");
            for (m, share) in shares.iter().enumerate() {
                let _ = writeln!(
                    text,
                    "    z.iter_mut().zip(network_{m}(&x)).for_each(|(sum, z)| *sum += {} * z);",
                    number(*share)
                );
            }
        }
    }
    if let Some([low, high]) = program.range {
        let (low, high) = (number(low), number(high));
        let _ = writeln!(
            text,
            "    z.iter_mut().for_each(|z| *z = if *z < {low} {{ {low} }} else if *z > {high} {{ {high} }} else {{ *z }});"
        );
    }
    let _ = writeln!(text, "    let mut out = [0.0; {answers}];");
    let heated = program.temperature != 1.0;
    let power = |p: &str| format!("exp_f64(ln_f64(max_f64({p}, 1e-300)) / {})", number(program.temperature));
    match (&program.answer, program.link) {
        (Answer::Number { affines, output, quantiles }, _) => {
            let raw_of =
                |affine: &Affine, z: &str| format!("{} + {} * ({z})", number(affine.mean()), number(affine.scale()));
            let raw = |z: &str| raw_of(&affines[0], z);
            for (k, affine) in affines.iter().enumerate() {
                let _ = writeln!(text, "    out[{k}] = {};", raw_of(affine, &format!("z[{}]", output + k)));
            }
            match quantiles {
                Quantiles::None => {}
                Quantiles::Outputs(_) => {
                    let _ = writeln!(text, "    out[1..].iter_mut().zip(z).for_each(|(out, z)| *out = {});", raw("z"));
                }
                Quantiles::Around(intervals) => {
                    let bins: Vec<String> = intervals
                        .offsets
                        .iter()
                        .map(|bin| format!("        [{}],\n", numbers(bin, false, "")))
                        .collect();
                    let _ = writeln!(
                        text,
                        "    const EDGES: [f64; {}] = [{}];\n    const OFFSETS: [[f64; {}]; {}] = [\n{}    ];\n    \
                         let bin = EDGES.iter().take_while(|edge| **edge <= z[0]).count();\n    \
                         out[1..].iter_mut().zip(OFFSETS[bin]).for_each(|(out, offset)| *out = {});",
                        intervals.edges.len(),
                        numbers(&intervals.edges, false, ""),
                        intervals.levels.len(),
                        bins.len(),
                        bins.concat(),
                        raw("z[0] + offset")
                    );
                }
            }
        }
        (Answer::Label(_), Link::Logistic) => {
            if heated {
                let (no, yes) = (power("1.0 - z[0]"), power("z[0]"));
                let _ = writeln!(text, "    let (no, yes) = ({no}, {yes});\n    z[0] = yes / (no + yes);");
            }
            *text += "    out[0] = 1.0 - z[0];\n    out[1] = z[0];\n";
        }
        (Answer::Label(_), _) => {
            if heated {
                let _ = writeln!(
                    text,
                    "    let mut sum = 0.0;\n    for z in &mut z {{\n        *z = {};\n        sum += *z;\n    }}\n    \
                     z.iter_mut().for_each(|z| *z /= sum);",
                    power("*z")
                );
            }
            *text += "    out.copy_from_slice(&z);\n";
        }
    }
    if matches!(program.answer, Answer::Label(_)) {
        let _ = writeln!(
            text,
            "    let label = (1..{answers}).fold(0, |best, k| if out[k] > out[best] {{ k }} else {{ best }});"
        );
        *text += "    (out, label)\n}\n\n";
    } else {
        *text += "    (out, 0)\n}\n\n";
    }
    // Not every answer changes z.
    if !heated && program.range.is_none() && program.shares.is_none() {
        *text = text.replacen("    let mut z = network_0(&x);", "    let z = network_0(&x);", 1);
    }
}

/// Rows with the model's own answers, and a `main` that compares bits; with an argument it prints its answers.
fn main(text: &mut String, program: &Program, name: &str, fields: &[String], vectors: &Vectors) {
    let (n, answers) = (vectors.answers.len(), program.answers());
    let _ =
        writeln!(text, "#[cfg({name}_main)]\nfn main() {{\n    let rows: [(Row, [f64; {answers}], usize); {n}] = [");
    for (i, answer) in vectors.answers.iter().enumerate() {
        let cells: Vec<String> = vectors
            .cells
            .iter()
            .zip(fields)
            .map(|(cells, field)| match cells {
                RawCells::Numbers(numbers) if numbers[i].is_nan() => format!("{field}: f64::NAN"),
                RawCells::Numbers(numbers) => format!("{field}: {}", literal(numbers[i], false, "")),
                RawCells::Texts(texts) => format!("{field}: {:?}", texts[i]),
            })
            .collect();
        let expected = numbers(&answer.numbers, false, "");
        let _ = writeln!(text, "        (Row {{ {} }}, [{expected}], {}),", cells.join(", "), answer.label);
    }
    *text += "    ];\n    if std::env::args().len() > 1 {\n        for (row, ..) in &rows {\n            \
              let (numbers, label) = predict(row);\n            \
              let numbers: Vec<String> = numbers.iter().map(|x| format!(\"{x:?}\")).collect();\n            \
              println!(\"{label} {}\", numbers.join(\" \"));\n        }\n        return;\n    }\n    let wrong = rows.iter().filter(|(row, expected, label)| {\n        \
              let (got, likeliest) = predict(row);\n        \
              likeliest != *label || got.iter().zip(expected).any(|(got, expected)| got.to_bits() != expected.to_bits())\n    \
              });\n    let wrong = wrong.count();\n    \
              println!(\"{} rows, {wrong} not equal to the last bit\", rows.len());\n    \
              std::process::exit(i32::from(wrong > 0));\n}\n";
}
