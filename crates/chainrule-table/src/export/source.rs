//! What C and Rust have in common: numbers and names as text, and the arithmetic that a program needs.

use super::program::{Answered, Cell, Op, Program, RawCells, formula};
use chainrule::kernels::constants;
use chainrule::loss::Link;
use std::collections::{BTreeSet, HashSet};

/// Rows with the model's answers.
#[derive(Clone, Debug)]
pub(super) struct Vectors {
    /// The columns' cells.
    pub(super) cells: Vec<RawCells>,
    /// One answer a row.
    pub(super) answers: Vec<Answered>,
}

/// The shortest decimal that reads back to the same bits.
pub(super) fn literal(x: f64, single: bool, suffix: &str) -> String {
    if single { format!("{:?}{suffix}", x as f32) } else { format!("{x:?}{suffix}") }
}

/// Numbers with commas between, in lines of some hundred letters.
pub(super) fn numbers(values: &[f64], single: bool, suffix: &str) -> String {
    let (mut text, mut line) = (String::new(), 0);
    for (k, &x) in values.iter().enumerate() {
        let number = literal(x, single, suffix);
        if line + number.len() > 110 {
            text += ",\n    ";
            line = 0;
        } else if k > 0 {
            text += ", ";
        }
        line += number.len() + 2;
        text += &number;
    }
    text
}

/// A text as a C string literal.
pub(super) fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | b'?' => literal.extend(['\\', char::from(byte)]),
            b' '..=b'~' => literal.push(char::from(byte)),
            _ => literal += &format!("\\{byte:03o}"),
        }
    }
    literal + "\""
}

/// Words that C or Rust keep for themselves.
const KEYWORDS: &str = " abstract as async auto await become bool box break case char const continue crate default do double dyn \
    else enum extern false final float fn for gen goto if impl in inline int let long loop macro match mod move mut override priv pub \
    ref register restrict return self short signed sizeof static struct super switch trait true try type typedef typeof union \
    unsafe unsigned unsized use virtual void volatile where while yield ";

/// Names as identifiers of C and Rust, all different.
pub(super) fn identifiers<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut taken = HashSet::new();
    let identifier = |name: &str| {
        let mut text: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
        if !text.starts_with(|c: char| c.is_ascii_lowercase()) {
            text.insert_str(0, "column_");
        }
        if KEYWORDS.contains(&format!(" {text} ")) {
            text.push('_');
        }
        let mut free = text.clone();
        let mut number = 2;
        while !taken.insert(free.clone()) {
            free = format!("{text}_{number}");
            number += 1;
        }
        free
    };
    names.map(identifier).collect()
}

/// A section of the arithmetic: its name, what it needs, its text.
struct Section<'a> {
    name: &'a str,
    needs: Vec<&'a str>,
    text: &'a str,
}

/// The functions that the program needs, with their constants, in the file's order.
pub(super) fn functions(arithmetic: &str, program: &Program, language: &str) -> String {
    let sections: Vec<Section<'_>> = arithmetic
        .split("//[")
        .skip(1)
        .filter_map(|section| {
            let (head, text) = section.split_once("]\n")?;
            let (name, needs) = head.split_once(": ").unwrap_or((head, ""));
            Some(Section { name, needs: needs.split_whitespace().collect(), text })
        })
        .collect();
    // Names with their precision: `exp_f64`.
    let mut wanted = BTreeSet::new();
    let mut open: Vec<String> = needed(program);
    while let Some(name) = open.pop() {
        if !wanted.insert(name.clone()) {
            continue;
        }
        let (general, precision) = name.split_at(name.len() - 4);
        // A section of one precision, or one of both.
        let section = sections.iter().find(|section| section.name == name || section.name == general);
        for need in section.map_or(&[][..], |section| &section.needs) {
            open.push(if need.ends_with("_f64") { (*need).to_owned() } else { format!("{need}{precision}") });
        }
    }
    let mut text = String::new();
    for precision in ["f64", "f32"] {
        let single = precision == "f32";
        let mut body = String::new();
        for section in &sections {
            if wanted.contains(section.name) && section.name.ends_with(precision)
                || wanted.contains(&format!("{}_{precision}", section.name))
            {
                body += &spelled(section.text, language, single);
            }
        }
        let values = if single { constants::<f32>() } else { constants::<f64>() };
        for (name, values) in values {
            let name = format!("{name}_{precision}");
            let used = body
                .match_indices(&name)
                .any(|(at, _)| !body[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'));
            if used {
                text += &constant(&name, &values, language, single);
            }
        }
        text += &body;
    }
    text + "\n"
}

/// A section in one precision.
fn spelled(text: &str, language: &str, single: bool) -> String {
    let (real, suffix, bias, shift) = if single { ("f32", "_f32", "127", "23") } else { ("f64", "_f64", "1023", "52") };
    let (real, uint, int) = match (language, single) {
        ("c", true) => ("float", "uint32_t", "int32_t"),
        ("c", false) => ("double", "uint64_t", "int64_t"),
        (_, true) => (real, "u32", "i32"),
        _ => (real, "u64", "i64"),
    };
    let words = [("REAL", real), ("UINT", uint), ("INT", int), ("BIAS", bias), ("SHIFT", shift), ("_R", suffix)];
    words.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

fn constant(name: &str, values: &[f64], language: &str, single: bool) -> String {
    let n = values.len();
    let (c_type, rust_type, suffix) = if single { ("float", "f32", "f") } else { ("double", "f64", "") };
    match (language, values) {
        ("c", [x]) => format!("static const {c_type} {name} = {};\n", literal(*x, single, suffix)),
        ("c", _) => format!("static const {c_type} {name}[{n}] = {{{}}};\n", numbers(values, single, suffix)),
        (_, [x]) => format!("const {name}: {rust_type} = {};\n", literal(*x, single, "")),
        _ => format!("const {name}: [{rust_type}; {n}] = [{}];\n", numbers(values, single, "")),
    }
}

/// The functions that a program calls.
fn needed(program: &Program) -> Vec<String> {
    let mut names = Vec::new();
    for chain in &program.chains {
        let suffix = if chain.single { "_f32" } else { "_f64" };
        let mut need = |name: &str| names.push(format!("{name}{suffix}"));
        for step in &chain.steps {
            match &step.op {
                Op::Dense { .. } => need("dense"),
                Op::Members { .. } => need("members"),
                Op::Piecewise { .. } => need("piecewise"),
                Op::BatchNorm { .. } => need("batch_norm"),
                Op::LayerNorm { .. } => need("layer_norm"),
                Op::Activation(activation) => match formula(activation).0 {
                    "identity" | "relu" | "leaky_relu" => {}
                    "elu" => need("exp_m1"),
                    name => need(name),
                },
                Op::Dropout { .. } => {}
            }
        }
        match program.link {
            Link::Identity => {}
            Link::Logistic => need("logistic"),
            Link::Exponential => need("exp"),
            Link::Softmax => need("softmax"),
        }
    }
    if program.columns.iter().any(|column| matches!(column.cell, Cell::Number { bent: true, affine: Some(_), .. })) {
        names.push("sqrt_f64".into());
    }
    if program.temperature != 1.0 {
        names.extend(["exp_f64", "ln_f64", "max_f64"].map(str::to_owned));
    }
    names
}
