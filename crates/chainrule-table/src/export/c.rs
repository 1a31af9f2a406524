//! A C99 source file: the model as one function, with the arithmetic in it.

use super::program::{Answer, Cell, Chain, Op, Program, Put, Quantiles, RawCells, formula};
use super::source::{Vectors, functions, identifiers, literal, numbers, quoted};
use crate::scale::Affine;
use chainrule::loss::Link;
use std::fmt::Write as _;

/// The arithmetic's functions, each behind a line `//[name: what it needs]`.
const ARITHMETIC: &str = include_str!("arithmetic.c");

/// The source file. `name` is an identifier, `about` the lines of the comment at the top.
pub(super) fn print(program: &Program, name: &str, about: &[String], vectors: &Vectors) -> String {
    let mut text = String::from("/*\n");
    about.iter().for_each(|line| text += &format!(" * {line}\n"));
    let upper = name.to_uppercase();
    text += &format!(
        " *\n * `{name}_predict` gives a row's prediction: no allocation, no library, no state.\n \
         * Compile with -ffp-contract=off: then the bits are the model's own.\n \
         * Check: cc -O2 -ffp-contract=off -D{upper}_MAIN {name}.c -o check && ./check\n */\n\
         #include <float.h>\n#include <stddef.h>\n#include <stdint.h>\n\n\
         #if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0\n\
         #error \"floats are evaluated in another precision here; with gcc add -msse2 -mfpmath=sse\"\n#endif\n\n"
    );
    let fields = identifiers(program.columns.iter().map(|column| column.name.as_str()));
    text += &format!(
        "/* A row of the table. A missing number is NaN ({upper}_MISSING), a missing text NULL or \"\". Texts are UTF-8. */\n\
         #define {upper}_MISSING (0.0 / 0.0)\ntypedef struct {{\n"
    );
    for (column, field) in program.columns.iter().zip(&fields) {
        let (kind, what) = match &column.cell {
            Cell::Number { .. } => ("double ", String::new()),
            Cell::Text { spellings, .. } => ("const char *", format!(": {} known texts", spellings.len())),
        };
        let _ = writeln!(text, "    {kind}{field}; /* {}{what} */", comment(&column.name));
    }
    let _ = writeln!(text, "}} {name}_row;\n");
    let answers = program.answers();
    let _ = writeln!(text, "#define {upper}_OUTPUTS {answers}");
    match &program.answer {
        Answer::Label(labels) => {
            let labels: Vec<String> = labels.iter().map(|label| quoted(label)).collect();
            let _ = writeln!(text, "/* The labels of {}. */", comment(&program.target));
            let _ = writeln!(text, "extern const char *const {name}_labels[{answers}];");
            let _ = writeln!(text, "const char *const {name}_labels[{answers}] = {{{}}};", labels.join(", "));
            text += "/* Gives the index of the likeliest label; out has each label's probability. */\n";
        }
        Answer::Number { quantiles, .. } => {
            let levels: Vec<String> = quantiles.levels().iter().map(f64::to_string).collect();
            let beside =
                if levels.is_empty() { String::new() } else { format!(", then the quantiles {}", levels.join(", ")) };
            let _ = writeln!(text, "/* Gives 0; out has the prediction of {}{beside}. */", comment(&program.target));
        }
    }
    let _ = writeln!(text, "int {name}_predict(const {name}_row *row, double *out);\n");
    text += &functions(ARITHMETIC, program, "c");
    for (m, chain) in program.chains.iter().enumerate() {
        print_chain(&mut text, program, chain, m);
    }
    texts(&mut text, program);
    predict(&mut text, program, name, &fields);
    main(&mut text, program, name, &upper, &fields, vectors);
    text
}

/// A name inside a comment.
fn comment(name: &str) -> String {
    name.replace("*/", "* /").replace("/*", "/ *").replace(char::is_control, " ")
}

fn print_chain(text: &mut String, program: &Program, chain: &Chain, m: usize) {
    let (real, suffix) = if chain.single { ("float", "f32") } else { ("double", "f64") };
    let array = |values: &[f64]| numbers(values, chain.single, if chain.single { "f" } else { "" });
    let widest = chain.steps.iter().map(|step| step.members[1] * step.widths[1]).max().unwrap_or(1);
    let mut body = String::new();
    let mut at = ["x".to_owned(), "a".to_owned(), "b".to_owned()];
    for step in &chain.steps {
        let mut data = |what: &str, values: &[f64]| {
            let name = format!("n{m}_{}_{what}", step.layer);
            let _ = writeln!(text, "static const {real} {name}[{}] = {{{}}};", values.len(), array(values));
            name
        };
        let (from, to) = (at[0].clone(), at[1].clone());
        let (members, [n, outputs]) = (step.members[0], step.widths);
        let all = step.members[1] * outputs;
        let number = |x: f64| literal(x, chain.single, if chain.single { "f" } else { "" });
        let call = match &step.op {
            Op::Dropout { .. } => continue,
            Op::Dense { weights, biases, heads } => {
                let (w, b) = (data("weights", weights), data("biases", biases));
                let (next_w, next_b) = if *heads { (n * outputs, outputs) } else { (0, 0) };
                format!("dense_{suffix}({w}, {b}, {next_w}, {next_b}, {members}, {n}, {outputs}, {from}, {to});")
            }
            Op::Members { scale, shift } => {
                let (scale, shift) = (data("scale", scale), data("shift", shift));
                format!("members_{suffix}({scale}, {shift}, {}, {n}, {from}, {to});", step.members[1])
            }
            Op::Piecewise { bins, width, columns, edges, line, slopes, knots, last } => {
                let mut call = String::new();
                let [edges, line, slopes, knots] =
                    [("edges", edges), ("line", line), ("slopes", slopes), ("knots", knots)]
                        .map(|(what, v)| data(what, v));
                for (c, column) in columns.iter().enumerate() {
                    let _ = writeln!(
                        call,
                        "piecewise_{suffix}({edges} + {}, {line} + {}, {slopes} + {}, {knots} + {}, {}, {width}, {from}[{column}], {to} + {});",
                        c * (bins + 1),
                        c * width,
                        c * bins * width,
                        c * bins * width,
                        last[c],
                        c * width
                    );
                }
                let others = (0..n).filter(|column| !columns.contains(column));
                for (k, column) in others.enumerate() {
                    let _ = writeln!(call, "{to}[{}] = {from}[{column}];", columns.len() * width + k);
                }
                call.trim_end().to_owned()
            }
            Op::BatchNorm { epsilon, rows, .. } => {
                let names = ["mean", "variance", "scale", "shift"];
                let arrays: Vec<String> = names.iter().zip(rows).map(|(what, values)| data(what, values)).collect();
                format!("batch_norm_{suffix}({}, {}, {n}, {from}, {to});", arrays.join(", "), number(*epsilon))
            }
            Op::LayerNorm { epsilon, rows: [scale, shift] } => {
                let (scale, shift) = (data("scale", scale), data("shift", shift));
                format!("layer_norm_{suffix}({scale}, {shift}, {}, {n}, {from}, {to});", number(*epsilon))
            }
            Op::Activation(activation) => {
                let z = format!("{from}[k]");
                let (function, constants) = formula(activation);
                let value = match (function, &constants[..]) {
                    ("identity", _) => z,
                    ("relu", _) => format!("{z} <= 0 ? 0 : {z}"),
                    ("leaky_relu", [slope]) => format!("{z} <= 0 ? {} * {z} : {z}", number(*slope)),
                    ("elu", [alpha, lambda]) => {
                        format!("{z} <= 0 ? {} * exp_m1_{suffix}({z}) : {} * {z}", number(*alpha), number(*lambda))
                    }
                    (function, _) => format!("{function}_{suffix}({z})"),
                };
                format!("for (k = 0; k < {all}; ++k) {to}[k] = {value};")
            }
        };
        call.lines().for_each(|line| body += &format!("    {line}\n"));
        at = match at[0].as_str() {
            "x" | "b" => ["a".into(), "b".into(), "a".into()],
            _ => ["b".into(), "a".into(), "b".into()],
        };
    }
    // The outputs stand in the buffer of the last step.
    let (z, outputs) = (&at[0], chain.outputs);
    let _ = writeln!(
        text,
        "static void network_{m}(const double *in, double *out) {{\n    {real} x[{}], a[{widest}], b[{widest}];\n    int k, m;",
        program.width()
    );
    let _ = writeln!(text, "    for (k = 0; k < {}; ++k) x[k] = ({real})in[k];", program.width());
    *text += &body;
    let link = match program.link {
        Link::Identity => String::new(),
        Link::Logistic => format!("        for (k = 0; k < {outputs}; ++k) z[k] = logistic_{suffix}(z[k]);\n"),
        Link::Exponential => format!("        for (k = 0; k < {outputs}; ++k) z[k] = exp_{suffix}(z[k]);\n"),
        Link::Softmax => format!("        softmax_{suffix}(z, {outputs});\n"),
    };
    if chain.members == 1 {
        let link =
            link.replace("        ", "    ").replace("z[k]", &format!("{z}[k]")).replace("(z,", &format!("({z},"));
        let _ = writeln!(
            text,
            "{link}    for (k = 0; k < {outputs}; ++k) out[k] = {z}[k];\n    (void)b;\n    (void)m;\n}}\n"
        );
    } else {
        let members = chain.members;
        let _ = writeln!(
            text,
            "    {{\n        {real} mean[{outputs}];\n        for (k = 0; k < {outputs}; ++k) mean[k] = 0;\n        \
             for (m = 0; m < {members}; ++m) {{\n            {real} *z = {z} + m * {outputs};\n    {}            \
             for (k = 0; k < {outputs}; ++k) mean[k] += z[k];\n        }}\n        \
             for (k = 0; k < {outputs}; ++k) out[k] = mean[k] / ({real}){members};\n    }}\n    (void)b;\n}}\n",
            if link.is_empty() { "\n".to_owned() } else { link }
        );
    }
}

/// The known texts of every column, and how one is found.
fn texts(text: &mut String, program: &Program) {
    if !program.columns.iter().any(|column| matches!(column.cell, Cell::Text { .. })) {
        return;
    }
    *text += "typedef struct { const char *text; int place; double value; } known_text;\n\
              static int same_text(const char *a, const char *b) {\n    \
              while (*a && *a == *b) { ++a; ++b; }\n    return *a == *b;\n}\n\
              /* Puts the text's number among a column's; a missing text's and an unknown one's come last in the list. */\n\
              static void put_text(const known_text *known, int n, const char *text, double *x) {\n    int k = n;\n    \
              if (text && *text) {\n        \
              for (k = 0; k < n && !same_text(known[k].text, text); ++k) {}\n        if (k == n) ++k;\n    }\n    \
              if (known[k].place >= 0) x[known[k].place] = known[k].value;\n}\n";
    for (c, column) in program.columns.iter().enumerate() {
        if let Cell::Text { spellings, unseen, gap } = &column.cell {
            let put = |put: &Option<Put>| put.map_or("-1, 0".to_owned(), |put| format!("{}, {}", put.place, put.value));
            let mut rows: Vec<String> = spellings
                .iter()
                .map(|(known, each)| format!("    {{{}, {}}}", quoted(known), put(&Some(*each))))
                .collect();
            rows.push(format!("    {{NULL, {}}}", put(gap)));
            rows.push(format!("    {{NULL, {}}}", put(unseen)));
            let _ = writeln!(text, "static const known_text texts_{c}[{}] = {{\n{}\n}};", rows.len(), rows.join(",\n"));
        }
    }
    text.push('\n');
}

fn predict(text: &mut String, program: &Program, name: &str, fields: &[String]) {
    let (width, outputs) = (program.width(), program.outputs());
    let number = |x: f64| literal(x, false, "");
    let _ = writeln!(text, "int {name}_predict(const {name}_row *row, double *out) {{");
    let _ = writeln!(
        text,
        "    double x[{width}], z[{outputs}];\n    int k, label = 0;\n    for (k = 0; k < {width}; ++k) x[k] = 0;"
    );
    let mut first = 0;
    for (c, (column, field)) in program.columns.iter().zip(fields).enumerate() {
        match &column.cell {
            Cell::Number { median, affine, bent, gap } => {
                *text += "    {\n";
                let _ = writeln!(text, "        double v = row->{field};");
                if let Some(Put { place, value }) = gap {
                    let _ = writeln!(text, "        if (v != v) x[{}] = {value};", first + place);
                }
                if let Some(affine) = affine {
                    let _ = writeln!(text, "        if (v != v) v = {};", number(*median));
                    let _ = writeln!(text, "        v = (v - {}) / {};", number(affine.mean()), number(affine.scale()));
                    if *bent {
                        *text += "        v = v / sqrt_f64(1.0 + v / 3.0 * (v / 3.0));\n";
                    }
                    let _ = writeln!(text, "        x[{first}] = v;");
                }
                *text += "    }\n";
            }
            Cell::Text { spellings, .. } => {
                let _ = writeln!(text, "    put_text(texts_{c}, {}, row->{field}, x + {first});", spellings.len());
            }
        }
        first += column.width;
    }
    match &program.shares {
        None => *text += "    network_0(x, z);\n",
        Some(shares) => {
            let _ = writeln!(text, "    for (k = 0; k < {outputs}; ++k) z[k] = 0;");
            for (m, share) in shares.iter().enumerate() {
                let _ = writeln!(
                    text,
                    "    {{\n        double one[{outputs}];\n        network_{m}(x, one);\n        \
                     for (k = 0; k < {outputs}; ++k) z[k] += {} * one[k];\n    }}",
                    number(*share)
                );
            }
        }
    }
    if let Some([low, high]) = program.range {
        let (low, high) = (number(low), number(high));
        let _ = writeln!(
            text,
            "    for (k = 0; k < {outputs}; ++k) z[k] = z[k] < {low} ? {low} : z[k] > {high} ? {high} : z[k];"
        );
    }
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
                    let _ = writeln!(text, "    for (k = 0; k < {outputs}; ++k) out[1 + k] = {};", raw("z[k]"));
                }
                Quantiles::Around(intervals) => {
                    let (edges, levels) = (&intervals.edges, intervals.levels.len());
                    let padded: Vec<f64> = if edges.is_empty() { vec![0.0] } else { edges.clone() };
                    let offsets = intervals.offsets.concat();
                    let _ = writeln!(
                        text,
                        "    {{\n        static const double edges[{}] = {{{}}};\n        \
                         static const double offsets[{}] = {{{}}};\n        int bin = 0;\n        \
                         while (bin < {} && edges[bin] <= z[0]) ++bin;\n        \
                         for (k = 0; k < {levels}; ++k) out[1 + k] = {};\n    }}",
                        padded.len(),
                        numbers(&padded, false, ""),
                        offsets.len(),
                        numbers(&offsets, false, ""),
                        edges.len(),
                        raw(&format!("z[0] + offsets[bin * {levels} + k]"))
                    );
                }
            }
        }
        (Answer::Label(_), Link::Logistic) => {
            if heated {
                let _ = writeln!(
                    text,
                    "    {{\n        double no = {}, yes = {};\n        z[0] = yes / (no + yes);\n    }}",
                    power("1.0 - z[0]"),
                    power("z[0]")
                );
            }
            *text += "    out[0] = 1.0 - z[0];\n    out[1] = z[0];\n";
        }
        (Answer::Label(_), _) => {
            if heated {
                let _ = writeln!(
                    text,
                    "    {{\n        double sum = 0;\n        \
                     for (k = 0; k < {outputs}; ++k) {{ z[k] = {}; sum += z[k]; }}\n        \
                     for (k = 0; k < {outputs}; ++k) z[k] /= sum;\n    }}",
                    power("z[k]")
                );
            }
            let _ = writeln!(text, "    for (k = 0; k < {outputs}; ++k) out[k] = z[k];");
        }
    }
    if matches!(program.answer, Answer::Label(_)) {
        let _ = writeln!(text, "    for (k = 1; k < {}; ++k) if (out[k] > out[label]) label = k;", program.answers());
    }
    *text += "    return label;\n}\n\n";
}

/// Rows with the model's own answers, and a `main` that compares bits; with an argument it prints its answers.
fn main(text: &mut String, program: &Program, name: &str, upper: &str, fields: &[String], vectors: &Vectors) {
    let n = vectors.answers.len();
    let _ = writeln!(text, "#ifdef {upper}_MAIN\n#include <stdio.h>\nstatic const {name}_row rows[{n}] = {{");
    for i in 0..n {
        let cells: Vec<String> = vectors
            .cells
            .iter()
            .map(|cells| match cells {
                RawCells::Numbers(numbers) if numbers[i].is_nan() => format!("{upper}_MISSING"),
                RawCells::Numbers(numbers) => literal(numbers[i], false, ""),
                RawCells::Texts(texts) => texts[i].as_ref().map_or("NULL".into(), |text| quoted(text)),
            })
            .collect();
        let _ = writeln!(text, "    {{{}}},", cells.join(", "));
    }
    debug_assert_eq!(fields.len(), vectors.cells.len());
    let answers = program.answers();
    let _ = writeln!(text, "}};\nstatic const double expected[{n}][{answers}] = {{");
    for answer in &vectors.answers {
        let _ = writeln!(text, "    {{{}}},", numbers(&answer.numbers, false, ""));
    }
    let labels: Vec<String> = vectors.answers.iter().map(|answer| answer.label.to_string()).collect();
    let _ = writeln!(
        text,
        "}};\nstatic const int labels[{n}] = {{{}}};\nint main(int argc, char **argv) {{\n    int i, k, wrong = 0;\n    \
         (void)argv;\n    for (i = 0; i < {n}; ++i) {{\n        double out[{answers}];\n        \
         int label = {name}_predict(&rows[i], out), same = label == labels[i];\n        \
         if (argc > 1) printf(\"%d\", label);\n        for (k = 0; k < {answers}; ++k) {{\n            \
         union {{ double x; uint64_t bits; }} got, want;\n            got.x = out[k];\n            \
         want.x = expected[i][k];\n            same = same && got.bits == want.bits;\n            \
         if (argc > 1) printf(\" %.17g\", out[k]);\n        }}\n        if (argc > 1) printf(\"\\n\");\n        \
         wrong += !same;\n    }}\n    if (argc > 1) return 0;\n    printf(\"%d rows, %d not equal to the last bit\\n\", i, wrong);\n    \
         return wrong != 0;\n}}\n#endif",
        labels.join(", ")
    );
}
