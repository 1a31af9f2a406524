//! Exported models are the model: every layer, activation and loss, in both precisions, compiled and run.
#![allow(clippy::print_stderr, clippy::print_stdout)] // what is left out is said

use chainrule::loss::Link;
use chainrule::{Activation, Layer, Loss, Network, Scalar};
use chainrule_table::export::{ExportError, Format, export};
use chainrule_table::{AnyNetwork, Encoder, Intervals, Model, Output, Scale, Schema, SchemaOptions, Table, Target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Numbers with and without gaps, yes and no, two categories, many with gaps.
fn table(target: &str) -> Table {
    let mut text =
        String::from("a,b\"c\" /* */,gaps,says,two,kind,count,sort\n").replace("b\"c\" /* */", "\"b\"\"c\"\" /* */\"");
    for i in 0..80_usize {
        let gap = |k: usize, cell: String| if i % k == 3 { String::new() } else { cell };
        text += &format!(
            "{},{},{},{},{},{},{},{}\n",
            (i * 37 % 101) as f64 / 7.0,
            (i * 53 % 89) as f64 * 1e3,
            gap(9, format!("{}", i * i % 17)),
            gap(11, ["yes", "no"][i * 7 % 5 % 2].to_owned()),
            ["lo", "hi?"][i * 3 % 7 % 2],
            gap(13, ["größe", "back\\slash", "\"\"\"quoted\"\"\"", "x"][i * 5 % 11 % 4].to_owned()),
            i * 31 % 13,
            ["p", "q", "r"][i * 17 % 19 % 3],
        );
    }
    assert!(target.split(',').all(|name| text.contains(name)));
    Table::read_csv(text.as_bytes(), "mixed.csv").unwrap()
}

/// All activations, both norms, dropout, and, if asked for, an embedding, members and heads.
fn layers(outputs: usize, members: bool) -> Vec<Layer> {
    let mut layers = Vec::new();
    if members {
        layers.push(Layer::Piecewise { bins: 5, width: 3, columns: vec![0, 2] });
    }
    for (k, activation) in Activation::all().into_iter().enumerate() {
        layers.push(Layer::Dense { outputs: 5 + k % 3 });
        match k % 4 {
            0 => layers.push(Layer::BatchNorm { momentum: 0.1, epsilon: 1e-5 }),
            1 => layers.push(Layer::LayerNorm { epsilon: 1e-5 }),
            2 => layers.push(Layer::Dropout { rate: 0.25 }),
            _ => {}
        }
        layers.push(Layer::Activation(activation));
    }
    if members {
        layers.extend([Layer::Members { count: 3 }, Layer::Activation(Activation::Mish), Layer::Dense { outputs: 4 }]);
        layers.push(Layer::Heads { outputs });
    } else {
        layers.push(Layer::Dense { outputs });
    }
    layers
}

/// A network with nothing left at 0 or 1.
fn network<T: Scalar>(inputs: usize, layers: Vec<Layer>, x: &chainrule::Matrix<T>, seed: u64) -> Network<T> {
    let mut network = Network::<T>::new(inputs, layers, None, seed).unwrap();
    network.start_from(x.view()).unwrap();
    let mut generator = chainrule::random::default_rng(seed + 100);
    let mut noise = vec![T::ZERO; network.parameters().len()];
    generator.fill_normal(0.0, 0.3, &mut noise).unwrap();
    network.parameters_mut().iter_mut().zip(noise).for_each(|(p, noise)| *p += noise);
    for (name, range) in network.running_segments() {
        if name.ends_with("running_var") {
            network.running_mut()[range]
                .iter_mut()
                .enumerate()
                .for_each(|(k, v)| *v = T::from_f64(0.5 + k as f64 / 8.0));
        }
    }
    network
}

/// A model of a loss: one network, or an ensemble of both precisions with all that comes after.
fn model(loss: &Loss, double: bool, ensemble: bool) -> (Model, Table) {
    model_of(loss, double, ensemble, 1)
}

/// The same for one number or two.
fn model_of(loss: &Loss, double: bool, ensemble: bool, targets: usize) -> (Model, Table) {
    let classes = matches!(loss.link(), Link::Logistic | Link::Softmax);
    let target = match loss.link() {
        Link::Logistic => "two",
        Link::Softmax => "sort",
        _ if targets == 2 => "count,a",
        _ => "count",
    };
    let table = table(target);
    let schema = Schema::infer(&table, &SchemaOptions { target: target.into(), ..SchemaOptions::default() }).unwrap();
    let scale = if ensemble { Scale::Robust } else { Scale::Standard };
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, scale).unwrap();
    let scale = if loss.link() == Link::Exponential { Scale::None } else { scale };
    let target = Target::fit(&table, &schema, &schema.rows, scale).unwrap();
    let outputs = match loss {
        Loss::CrossEntropy { .. } => 3,
        Loss::Quantile { levels } => levels.len(),
        _ => targets,
    };
    let single = |members, seed| {
        let (x, _) = encoder.encode::<f32>(&table, None).unwrap();
        AnyNetwork::F32(network(encoder.width(), layers(outputs, members), &x, seed))
    };
    let wide = |members, seed| {
        let (x, _) = encoder.encode::<f64>(&table, None).unwrap();
        AnyNetwork::F64(network(encoder.width(), layers(outputs, members), &x, seed))
    };
    let first = if double { wide(ensemble, 1) } else { single(ensemble, 1) };
    let mut output = Output::single();
    let mut others = Vec::new();
    if ensemble {
        others = vec![single(false, 2), wide(true, 3)];
        output.shares = vec![0.5, 0.3, 0.2];
        if classes {
            output.temperature = 1.25;
        } else {
            output.range = Some(if loss.link() == Link::Exponential { [0.01, 1e6] } else { [-1.0, 2.5] });
            if loss == &Loss::SquaredError && targets == 1 {
                output.intervals = Some(Intervals {
                    levels: vec![0.1, 0.9],
                    edges: vec![0.0],
                    offsets: vec![vec![-0.5, 0.25], vec![-1.5, 0.75]],
                });
            }
        }
    }
    let facts = serde_json::Map::new();
    (Model { encoder, target, loss: loss.clone(), network: first, others, output, facts }, table)
}

/// Every loss, in both precisions, alone and in an ensemble.
fn models() -> Vec<(String, Model, Table)> {
    let mut all = Vec::new();
    let mut losses = Loss::all().to_vec();
    losses.push("quantile:0.1:0.5:0.9".parse().unwrap());
    for (k, loss) in losses.iter().enumerate() {
        for (double, ensemble) in [(false, false), (true, false), (k % 2 == 0, true)] {
            let (model, table) = model(loss, double, ensemble);
            let name = format!("m{k}_{}_{}", if double { "f64" } else { "f32" }, if ensemble { "many" } else { "one" });
            all.push((name, model, table));
        }
    }
    for ensemble in [false, true] {
        let (model, table) = model_of(&Loss::SquaredError, false, ensemble, 2);
        all.push((format!("two_{}", if ensemble { "many" } else { "one" }), model, table));
    }
    all
}

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chainrule-export-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Runs a program there, and gives what it printed if it went well.
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).current_dir(&self.0).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {out} {}",
            err.chars().take(2000).collect::<String>()
        );
        assert_eq!(err, "", "{program} {arguments:?}");
        out
    }

    fn own(&self, name: &str) -> String {
        self.run(self.0.join(name).to_str().unwrap(), &[])
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn rustc() -> String {
    std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into())
}

fn there_is(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

const C: [&str; 6] = ["-std=c99", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"];

#[test]
fn c_compiled_by_gcc_gives_the_model_s_bits() {
    if !there_is("gcc") {
        eprintln!("left out: gcc is not installed here");
        return;
    }
    let folder = Folder::new("c");
    for (name, model, table) in models() {
        let exported = export(&model, Format::C, &name, Some(&table), 80).unwrap();
        folder.write(&format!("{name}.c"), &exported.file);
        let (define, source) = (format!("-D{}_MAIN", name.to_uppercase()), format!("{name}.c"));
        folder.run("gcc", &[&C[..], &["-pedantic", &define, &source, "-o", "check"]].concat());
        assert_eq!(folder.own("check"), "16 rows, 0 not equal to the last bit\n", "{name}");
    }
}

#[test]
fn rust_compiled_by_rustc_gives_the_model_s_bits() {
    let folder = Folder::new("rust");
    for (k, (name, model, table)) in models().into_iter().enumerate() {
        let exported = export(&model, Format::Rust, &name, Some(&table), 80).unwrap();
        folder.write(&format!("{name}.rs"), &exported.file);
        let (cfg, source) = (format!("{name}_main"), format!("{name}.rs"));
        // Every other one with the processor's own multiply-add, where it has one.
        let target = if k % 2 == 0 { "target-cpu=generic" } else { "target-cpu=native" };
        folder.run(&rustc(), &["-O", "--edition", "2021", "-C", target, "--cfg", &cfg, &source, "-o", "check"]);
        assert_eq!(folder.own("check"), "16 rows, 0 not equal to the last bit\n", "{name}");
    }
}

#[test]
fn the_source_is_a_library_without_warnings_where_nobody_checks_it() {
    let folder = Folder::new("library");
    let (model, _) = model(&Loss::SquaredError, false, true);
    let exported = export(&model, Format::Rust, "m", None, 40).unwrap();
    folder.write("m.rs", &exported.file);
    folder.run(&rustc(), &["-O", "--edition", "2021", "-D", "warnings", "--crate-type", "lib", "m.rs"]);
    if there_is("gcc") {
        folder.write("m.c", &export(&model, Format::C, "m", None, 40).unwrap().file);
        folder.run("gcc", &[&C[..], &["-ffreestanding", "-c", "m.c"]].concat());
        // Neither memory nor a library's function is asked for.
        if there_is("nm") {
            let undefined = folder.run("nm", &["-u", "m.o"]);
            let known =
                |line: &str| ["memset", "memcpy", "_GLOBAL_OFFSET_TABLE_"].iter().any(|name| line.ends_with(name));
            assert!(undefined.lines().all(known), "{undefined}");
        }
    }
}

/// Bit patterns of all sizes, and pairs that nearly cancel.
const TRIPLES: &str = r"
    let mut state = 88172645463325252_u64;
    let mut next = || { state ^= state << 13; state ^= state >> 7; state ^= state << 17; state };
    for i in 0..2_000_000_u64 {
        let (a, b, mut c) = (f64::from_bits(next()), f64::from_bits(next()), f64::from_bits(next()));
        if i % 3 == 0 { c = -a * b * (1.0 + (next() % 5) as f64 * f64::EPSILON); }
        if a.mul_add(b, c).to_bits() != fma_f64(a, b, c).to_bits() && !a.mul_add(b, c).is_nan() {
            panic!(\x22fma_f64({a:e}, {b:e}, {c:e})\x22);
        }
        let (a, b, mut c) = (f32::from_bits(next() as u32), f32::from_bits(next() as u32), f32::from_bits(next() as u32));
        if i % 3 == 0 { c = -a * b * (1.0 + (next() % 5) as f32 * f32::EPSILON); }
        if a.mul_add(b, c).to_bits() != fma_f32(a, b, c).to_bits() && !a.mul_add(b, c).is_nan() {
            panic!(\x22fma_f32({a:e}, {b:e}, {c:e})\x22);
        }
        let (x, y) = (f64::from_bits(next() >> 1), f32::from_bits(next() as u32 >> 1));
        if x.sqrt().to_bits() != sqrt_f64(x).to_bits() && !x.is_nan() { panic!(\x22sqrt_f64({x:e})\x22); }
        if y.sqrt().to_bits() != sqrt_f32(y).to_bits() && !y.is_nan() { panic!(\x22sqrt_f32({y:e})\x22); }
    }
";

#[test]
fn the_printed_multiply_add_and_root_are_correctly_rounded() {
    let folder = Folder::new("fma");
    let (model, table) = model(&Loss::BinaryCrossEntropy, false, true);
    let exported = export(&model, Format::Rust, "m", Some(&table), 20).unwrap();
    let triples = TRIPLES.replace("\\x22", "\"");
    let source = format!("{}\nfn main() {{{triples}}}\n", String::from_utf8(exported.file).unwrap());
    folder.write("fma.rs", source.as_bytes());
    folder.run(&rustc(), &["-O", "--edition", "2021", "-A", "warnings", "fma.rs", "-o", "fma"]);
    folder.own("fma");
    if there_is("gcc") {
        let exported = export(&model, Format::C, "m", Some(&table), 20).unwrap();
        let main = r#"
            #include <math.h>
            #include <stdlib.h>
            static uint64_t state = 88172645463325252u;
            static uint64_t next(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
            int main(void) {
                int i;
                for (i = 0; i < 2000000; ++i) {
                    double a = from_bits_f64(next()), b = from_bits_f64(next()), c = from_bits_f64(next());
                    float d = from_bits_f32((uint32_t)next()), e = from_bits_f32((uint32_t)next()), f = from_bits_f32((uint32_t)next());
                    if (i % 3 == 0) { c = -a * b * (1.0 + (double)(next() % 5) * DBL_EPSILON); f = -d * e * (1.0f + (float)(next() % 5) * FLT_EPSILON); }
                    if (fma(a, b, c) == fma(a, b, c) && to_bits_f64(fma(a, b, c)) != to_bits_f64(fma_f64(a, b, c))) return 1;
                    if (fmaf(d, e, f) == fmaf(d, e, f) && to_bits_f32(fmaf(d, e, f)) != to_bits_f32(fma_f32(d, e, f))) return 2;
                    a = from_bits_f64(next() >> 1);
                    if (a == a && to_bits_f64(sqrt(a)) != to_bits_f64(sqrt_f64(a))) return 3;
                }
                return 0;
            }"#;
        folder.write("fma.c", &[&exported.file[..], main.as_bytes()].concat());
        folder.run("gcc", &["-O2", "-ffp-contract=off", "fma.c", "-lm", "-o", "fma_c"]);
        folder.own("fma_c");
    }
}

#[test]
fn onnx_and_pytorch_stay_within_the_bound_for_every_layer_and_loss() {
    for (name, model, table) in models() {
        for format in [Format::Onnx, Format::Pytorch] {
            let exported = export(&model, format, &name, Some(&table), 80);
            let exported = exported.unwrap_or_else(|error| panic!("{name} to {format}: {error}"));
            assert!(exported.report.holds());
            let report = exported.report.to_json();
            assert_eq!((&report["rows"], &report["labels_changed"]), (&80.into(), &0.into()));
            assert_eq!(exported.weights.is_some(), format == Format::Pytorch);
        }
    }
}

#[test]
fn the_models_of_these_tests_tell_rows_apart() {
    for (name, model, table) in models() {
        let (predictions, _) = model.predict(&table, None, &chainrule::Processor::new(1)).unwrap();
        let numbers = match predictions {
            chainrule_table::Predictions::Numbers { values, .. } => values,
            chainrule_table::Predictions::Probabilities(p) => (0..p.rows()).map(|i| p[(i, 0)]).collect(),
        };
        let different: std::collections::HashSet<u64> = numbers.iter().map(|x| x.to_bits()).collect();
        assert!(different.len() > 20, "{name}: {} answers", different.len());
    }
}

#[test]
fn drawn_rows_check_a_model_without_a_table() {
    let (model, _) = model(&Loss::CrossEntropy { smoothing: 0.0 }, false, true);
    for format in Format::NAMES {
        let exported = export(&model, format.parse().unwrap(), "m", None, 100).unwrap();
        assert_eq!(exported.report.to_json()["rows"], 100);
    }
}

#[test]
fn the_same_model_gives_the_same_file() {
    let (model, table) = model(&Loss::SquaredError, false, true);
    for format in Format::NAMES {
        let once = export(&model, format.parse().unwrap(), "m", Some(&table), 30).unwrap();
        let again = export(&model, format.parse().unwrap(), "m", Some(&table), 30).unwrap();
        assert_eq!(once.file, again.file);
        assert_eq!(once.weights, again.weights);
    }
}

#[test]
fn a_column_of_dates_does_not_leave_and_the_message_says_what_to_do() {
    let mut text = String::from("when,y\n");
    (0..60).for_each(|i| text += &format!("2024-{:02}-{:02},{i}\n", 1 + i / 28, 1 + i % 28));
    let table = Table::read_csv(text.as_bytes(), "dates.csv").unwrap();
    let schema = Schema::infer(&table, &SchemaOptions { target: "y".into(), ..SchemaOptions::default() }).unwrap();
    let (encoder, _) = Encoder::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    let target = Target::fit(&table, &schema, &schema.rows, Scale::Standard).unwrap();
    let network = Network::<f32>::new(encoder.width(), vec![Layer::Dense { outputs: 1 }], None, 1).unwrap();
    let model = Model {
        encoder,
        target,
        loss: Loss::SquaredError,
        network: AnyNetwork::F32(network),
        others: Vec::new(),
        output: Output::single(),
        facts: serde_json::Map::new(),
    };
    let error = export(&model, Format::C, "m", Some(&table), 10).unwrap_err();
    assert!(matches!(&error, ExportError::Date { column } if column == "when"));
    assert!(error.to_string().contains("replace it by numbers"), "{error}");
}

#[test]
fn a_script_for_pytorch_is_python() {
    if !there_is("python3") {
        eprintln!("left out: python3 is not installed here");
        return;
    }
    let folder = Folder::new("python");
    for (name, model, table) in models() {
        let exported = export(&model, Format::Pytorch, &name, Some(&table), 5).unwrap();
        folder.write(&format!("{name}.py"), &exported.file);
        // An argument's default does not know the other arguments.
        let text = String::from_utf8(exported.file).unwrap();
        assert!(text.contains("batch=None):") && text.contains("\n    batch = batch or len(x)\n"), "{name}");
    }
    folder.run("python3", &["-W", "error", "-m", "compileall", "-q", "."]);
    assert!(Path::new(&folder.0).join("m0_f32_one.py").exists());
}
