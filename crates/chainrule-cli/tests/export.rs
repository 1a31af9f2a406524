//! `export` and `import` as a user runs them.
#![allow(clippy::print_stderr, clippy::print_stdout)] // what is left out is said

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chainrule-hand-over-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
        command.args(arguments.split_whitespace()).current_dir(&self.0).output().unwrap()
    }

    /// Standard output of a run that went well.
    fn done(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The one line of an error, with exit status 1 and nothing left behind but what was there.
    fn error(&self, arguments: &str) -> String {
        let before = self.names();
        let output = self.run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert_eq!(self.names(), before, "something was written");
        assert_eq!(text.lines().count(), 1, "{text}");
        text.trim_end().to_owned()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
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

/// 90 rows of two numbers, a category with gaps and a class.
fn small(name: &str, options: &str) -> Folder {
    let folder = Folder::new(name);
    let mut text = String::from("a,b,kind,class\n");
    for i in 0..90 {
        let (a, b) = (f64::from(i * 37 % 101) / 10.0, f64::from(i * 53 % 89) / 10.0);
        let kind = ["x", "y", ""][i as usize % 3];
        text += &format!("{a},{b},{kind},{}\n", if a > b { "more" } else { "less" });
    }
    folder.write("small.csv", text.as_bytes());
    folder.done(&format!("fit small.csv --target class {options} --epochs 3 -o small.safetensors --quiet"));
    folder
}

const PLAIN: &str = "--folds 1 --members 1 --embedding none --hidden 6";

#[test]
fn every_format_leaves_its_file_and_the_check_beside_it() {
    let folder = small("formats", PLAIN);
    for (format, file) in [("c", "small.c"), ("rust", "small.rs"), ("onnx", "small.onnx"), ("pytorch", "small.py")] {
        let output = folder.run(&format!("export small.safetensors small.csv --to {format}"));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{text}");
        assert!(text.contains(&format!("file      {file}")) && text.contains("check     90 rows"), "{text}");
        let check: Value = serde_json::from_slice(&folder.read(&format!("{file}.check.json"))).unwrap();
        assert_eq!(
            (&check["format"], &check["rows"], &check["labels_changed"]),
            (&format.into(), &90.into(), &0.into())
        );
        assert!(check["largest_ulp"].as_f64().unwrap() <= check["bound_ulp"].as_f64().unwrap());
        assert!(!folder.read(file).is_empty());
        // Cargo has a rustc; the others may not be there.
        if format == "rust" {
            assert!(text.contains("run       16 rows, all equal to the last bit; compiled by rustc 1."), "{text}");
            assert_eq!((&check["run"]["rows"], &check["run"]["largest_ulp"]), (&16.into(), &0.0.into()));
        }
    }
    assert!(!folder.read("small.weights.safetensors").is_empty());
    assert!(String::from_utf8(folder.read("small.py")).unwrap().contains("nn.Linear("));
    // The name is taken: the next one is told.
    let json: Value = serde_json::from_str(&folder.done("export small.safetensors --to c --json")).unwrap();
    assert_eq!((&json["file"], &json["check"]["rows"]), (&"small-2.c".into(), &256.into()));
    assert!(folder.names().contains(&"small-2.c.check.json".to_owned()));
}

#[test]
fn an_export_goes_to_standard_output_whole() {
    let folder = small("stdout", PLAIN);
    let before = folder.names();
    let text = folder.done("export small.safetensors --to rust -o -");
    assert!(text.starts_with("//! A model of class") && text.ends_with("}\n"));
    assert_eq!(folder.names(), before);
    let error = folder.error("export small.safetensors --to pytorch -o -");
    assert!(error.contains("has its weights beside it"), "{error}");
}

#[test]
fn mistakes_are_one_line_and_leave_nothing() {
    let folder = small("mistakes", PLAIN);
    let error = folder.error("export small.safetensors --to onxx");
    assert_eq!(error, "error: unknown format `onxx`; did you mean `onnx`?");
    folder.write("there.c", b"mine");
    assert_eq!(
        folder.error("export small.safetensors --to c -o there.c"),
        "error: there.c exists already; --force replaces it"
    );
    assert_eq!(folder.read("there.c"), b"mine");
    // A check that is there already is as good a reason.
    folder.write("other.c.check.json", b"{}");
    assert!(folder.error("export small.safetensors --to c -o other.c").contains("exists already"));
    folder.write("wrong.csv", b"a,kind\n1,x\n");
    assert!(folder.error("export small.safetensors wrong.csv --to c").contains('b'));
    let model = folder.read("small.safetensors");
    for (name, bytes) in [("cut", &model[..model.len() / 2]), ("empty", &[]), ("text", b"a,b\n1,2\n")] {
        folder.write(name, bytes);
        folder.error(&format!("export {name} --to onnx"));
    }
    for at in (8..model.len()).step_by(model.len() / 40) {
        let mut altered = model.clone();
        altered[at] ^= 4;
        folder.write("altered", &altered);
        folder.error("export altered --to c");
    }
}

/// `chainrule` with nothing but `tools`, scripts for sh by name, on the PATH; it must leave no temporary file.
#[cfg(unix)]
fn with_tools(folder: &Folder, tools: &[(&str, &str)], arguments: &str) -> (Option<i32>, String) {
    use std::os::unix::fs::PermissionsExt;
    let [path, temporary] = ["tools", "temporary"].map(|name| folder.0.join(name));
    for fresh in [&path, &temporary] {
        let _ = std::fs::remove_dir_all(fresh);
        std::fs::create_dir(fresh).unwrap();
    }
    for (name, text) in tools {
        folder.write(&format!("tools/{name}"), format!("#!/bin/sh\nPATH=/bin:/usr/bin\n{text}\n").as_bytes());
        std::fs::set_permissions(path.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let before = folder.names();
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    command.args(arguments.split_whitespace()).current_dir(&folder.0).env("PATH", &path).env("TMPDIR", &temporary);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        assert_eq!(folder.names(), before, "something was written: {text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "a temporary file is left");
    (output.status.code(), text)
}

/// What compiles to a program that prints `lines`.
#[cfg(unix)]
fn compiler_of(lines: &str) -> String {
    format!(
        "if [ \"$1\" = --version ]; then echo 'tiny 0.1'; exit; fi\nprintf '#!/bin/sh\\n{lines}\\n' > check\nchmod +x check"
    )
}

#[cfg(unix)]
#[test]
fn a_compiler_that_fails_or_lies_is_named_and_leaves_no_file() {
    let folder = small("compilers", PLAIN);
    let export = "export small.safetensors small.csv --to c -o out.c";
    let last = "no file was left (--no-run leaves this out)";
    let error = |tools: &[(&str, &str)], arguments: &str| {
        let (status, text) = with_tools(&folder, tools, arguments);
        assert_eq!(status, Some(1), "{text}");
        assert!(text.ends_with(&format!("{last}\n")), "{text}");
        text
    };
    let text = error(&[("cc", "echo 'cc: out of ideas' >&2; exit 3")], export);
    assert!(text.starts_with("error: cc: ended with exit status: 3 and said: cc: out of ideas; "), "{text}");
    let text = error(&[("cc", "true")], export);
    assert!(text.starts_with("error: cc: the program that it made cannot be started: "), "{text}");
    // Too few rows; no numbers; numbers of another model.
    let by = "error: the exported model, compiled by cc tiny 0.1 and run, is not the model: ";
    let text = error(&[("cc", &compiler_of("echo 0 0.5 0.5"))], export);
    assert!(text.starts_with(&format!("{by}expected 16 lines with an answer each, got 1; ")), "{text}");
    let sixteen = |line: &str| compiler_of(&format!("for i in 1 2 3 4 5 6 7 8 9 a b c d e f g; do echo {line}; done"));
    let text = error(&[("cc", &sixteen("0 half half"))], export);
    assert!(text.starts_with(&format!("{by}row 1: expected a label")), "{text}");
    let text = error(&[("cc", &sixteen("0 0.5 0.5"))], export);
    assert!(
        text.starts_with(&format!("{by}16 rows, largest difference ")) && text.contains("labels changed"),
        "{text}"
    );
    let text = error(&[("python3", "echo 0 0.5 0.5")], "export small.safetensors small.csv --to onnx");
    assert!(text.contains("run by python3, is not the model: expected 90 lines"), "{text}");
    // The model's own chances are right; what lies 0.00001 beside them is not.
    let told: Value = serde_json::from_str(&folder.done("predict small.safetensors small.csv --json")).unwrap();
    let chances = told["predictions"]["probability_more"].as_array().unwrap();
    for (off, status) in [(0.0, 0), (1e-5, 1)] {
        let line = |p: &Value| {
            let p = p.as_f64().unwrap();
            format!("{} {:?} {:?}\n", u8::from(p > 0.5), 1.0 - p - off, p + off)
        };
        folder.write("answers", chances.iter().map(line).collect::<String>().as_bytes());
        let cat = format!("cat {}", folder.0.join("answers").display());
        let (got, text) = with_tools(&folder, &[("python3", &cat)], "export small.safetensors small.csv --to onnx");
        assert_eq!(got, Some(status), "{text}");
        assert!(
            text.contains(if status == 0 { "; run by python3" } else { "ULP of f32 (bound 64), 0 labels" }),
            "{text}"
        );
    }
    // One that hangs, with what it has started, is ended.
    let started = std::time::Instant::now();
    let text = error(&[("cc", "sleep 600 & sleep 600")], &format!("{export} --time-limit 1"));
    assert!(text.starts_with("error: cc: it was not done after 1 seconds; "), "{text}");
    assert!(started.elapsed().as_secs() < 60);
    // The option names another compiler; one that is not there is no reason to leave it out.
    let text = error(&[("mine", "exit 1")], &format!("{export} --tool mine"));
    assert!(text.starts_with("error: mine: ended with exit status: 1"), "{text}");
    let text = error(&[], &format!("{export} --tool mine"));
    assert!(text.starts_with("error: mine: it cannot be started"), "{text}");
}

#[cfg(unix)]
#[test]
fn a_tool_that_is_not_there_or_not_wanted_is_said_here_and_in_the_file_beside() {
    let folder = small("toolless", PLAIN);
    let lacking = "echo \"No module named 'torch'\" >&2; exit 77";
    for (format, more, tool, why) in [
        ("c", "", ("other", ""), "there is no `cc` on the PATH"),
        ("rust", "", ("other", ""), "there is no `rustc` on the PATH"),
        ("onnx", "", ("other", ""), "there is no `python3` on the PATH"),
        ("pytorch", "", ("python3", lacking), "python3: No module named 'torch'"),
        ("c", " --no-run", ("cc", "exit 1"), "--no-run"),
    ] {
        let (status, text) = with_tools(
            &folder,
            &[tool],
            &format!("export small.safetensors small.csv --to {format} -o out --force{more}"),
        );
        assert_eq!(status, Some(0), "{text}");
        assert!(text.ends_with(&format!("run       left out: {why}\n")), "{text}");
        let check: Value = serde_json::from_slice(&folder.read("out.check.json")).unwrap();
        assert_eq!(check["run"]["left_out"], why);
    }
    assert_eq!(folder.run("export small.safetensors --to c --no-run --tool cc").status.code(), Some(2));
}

/// Python with what a file in `tests/` says it needs, in an environment of its own; none where there is no network.
fn python(name: &str, packages: &[&str]) -> Option<PathBuf> {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let python = home.join("bin/python");
    let works = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
    if !works(Command::new(&python).args(["-c", "import onnx, onnxruntime"])) {
        let made = works(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))
            && works(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(packages));
        if !made {
            eprintln!("left out: {} cannot be installed here", packages.join(", "));
            return None;
        }
    }
    Some(python)
}

/// The default preset, in its fast form, on real tables.
fn real(folder: &Folder, name: &str, target: &str) -> String {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../testdata/tables/{name}.csv.gz"));
    let table = table.display().to_string();
    folder.done(&format!("fit {table} --target {target} --effort fast --quiet -o {name}.safetensors"));
    folder
        .write(&format!("{name}.json"), folder.done(&format!("predict {name}.safetensors {table} --json")).as_bytes());
    table
}

#[test]
fn onnx_runtime_predicts_what_the_model_does() {
    let Some(python) = python("onnx", &["onnx>=1.17", "onnxruntime>=1.19"]) else { return };
    plain_is_run_by(python.to_str().unwrap(), "onnx", "onnxruntime ");
    let folder = Folder::new("onnx");
    let tables =
        [("wine", "target"), ("diabetes", "target"), ("german_credit", "creditability"), ("ames", "Sale_Price")];
    for (name, target) in tables {
        let table = real(&folder, name, target);
        folder.done(&format!("export {name}.safetensors {table} --to onnx --tool {}", python.display()));
        let check: Value = serde_json::from_slice(&folder.read(&format!("{name}.onnx.check.json"))).unwrap();
        assert!(check["run"]["by"].as_str().unwrap().starts_with("onnxruntime "), "{check}");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx_check.py");
        let mut command = Command::new(&python);
        command.arg(script).args([&format!("{name}.onnx"), &table, &format!("{name}.json")]);
        let output = command.current_dir(&folder.0).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        println!("{name} {report}");
        assert_eq!(report["labels_changed"], 0, "{name}");
        assert!(report["largest_ulp"].as_f64().unwrap() <= 64.0, "{name}: {report}");
    }
}

/// Doubles, all rows a batch, an activation whose function no runtime has in doubles; the file of `format` is run by `tool`.
fn plain_is_run_by(tool: &str, format: &str, by: &str) {
    let folder = small(&format!("plain-{format}"), "--preset plain --activation gelu");
    folder.done(&format!("export small.safetensors small.csv --to {format} --tool {tool} -o out.py"));
    let check: Value = serde_json::from_slice(&folder.read("out.py.check.json")).unwrap();
    assert!(check["run"]["by"].as_str().unwrap().starts_with(by) && check["ulp_of"] == "f64", "{check}");
}

/// A safetensors file of another program: tensors of f32 by name.
fn state_dict(tensors: &[(&str, &[usize], &[f32])]) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, shape, numbers) in tensors {
        let from = data.len();
        data.extend(numbers.iter().flat_map(|x| x.to_le_bytes()));
        let entry = serde_json::json!({"dtype": "F32", "shape": shape, "data_offsets": [from, data.len()]});
        header.insert((*name).to_owned(), entry);
    }
    let header = Value::Object(header).to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// 2 → 2 → 1 with relu between: y = 2·max(0, a − b) − max(0, a + b − 1) + 0.5.
fn two_two_one() -> Vec<u8> {
    state_dict(&[
        ("body.0.weight", &[2, 2], &[1.0, -1.0, 1.0, 1.0]),
        ("body.0.bias", &[2], &[0.0, -1.0]),
        ("body.10.weight", &[1, 2], &[2.0, -1.0]),
        ("body.10.bias", &[1], &[0.5]),
    ])
}

#[test]
fn a_state_dict_predicts_as_its_formula_says() {
    let folder = Folder::new("import");
    folder.write("net.safetensors", &two_two_one());
    folder.write("new.csv", b"b,a\n1,3\n2,0\n");
    folder.done("import net.safetensors --layers linear,relu,linear --columns a,b --target y -o m.safetensors");
    // a = 3, b = 1: 2·2 − 3 + 0.5; a = 0, b = 2: 0 − 1 + 0.5.
    assert_eq!(folder.done("predict m.safetensors new.csv"), "b,a,prediction\n1,3,1.5\n2,0,-0.5\n");
    // And out again, to the last bit.
    folder.done("export m.safetensors new.csv --to c");
    let names = "import net.safetensors --layers linear,relu,linear --loss binary_cross_entropy --labels no,yes -o p.safetensors";
    folder.done(names);
    folder.write("x.csv", b"x1,x2\n3,1\n");
    assert!(folder.done("predict p.safetensors x.csv").contains("3,1,yes,0.18"));
}

#[test]
fn a_batch_norm_comes_with_its_running_statistics() {
    let folder = Folder::new("norm");
    let file = state_dict(&[
        ("0.weight", &[1, 1], &[2.0]),
        ("1.weight", &[1], &[3.0]),
        ("1.bias", &[1], &[1.0]),
        ("1.running_mean", &[1], &[4.0]),
        ("1.running_var", &[1], &[0.24]),
        ("1.num_batches_tracked", &[1], &[7.0]),
    ]);
    folder.write("net.safetensors", &file);
    folder.write("x.csv", b"x1\n3\n");
    folder.done("import net.safetensors --layers linear,batch_norm:0.1:0.01 -o m.safetensors");
    // Without a bias: 2·3 = 6; (6 − 4)/√(0.24 + 0.01) = 4; 3·4 + 1.
    assert_eq!(folder.done("predict m.safetensors x.csv"), "x1,prediction\n3,13.0\n");
}

#[test]
fn what_does_not_fit_a_state_dict_is_said_in_one_line() {
    let folder = Folder::new("misfits");
    folder.write("net.safetensors", &two_two_one());
    for (layers, expected) in [
        ("linear", "has 2 tensors that the layers do not use, for body.10"),
        ("linear,relu,linear,linear", "asks for more at `linear`, its layer 4; its layers are body.0, body.10"),
        ("linear,batch_norm", "which is none of `batch_norm`, layer 2"),
        ("linear,relu,linear --columns a", "columns: expected 2, which the first layer takes, got 1"),
        ("linear,relu,linear --loss cross_entropy", "cross_entropy"),
        ("linear,relu,linear --labels a,b", "which have none"),
        ("linear,rleu,linear", "did you mean `elu`?"),
        ("linear,relu,linear --target a,b", "gives 1 numbers"),
    ] {
        let error = folder.error(&format!("import net.safetensors --layers {layers} -o m.safetensors"));
        assert!(error.starts_with("error: ") && error.contains(expected), "{layers}: {error}");
    }
}

#[test]
fn no_state_dict_from_a_stranger_does_harm() {
    let folder = Folder::new("strangers");
    let good = two_two_one();
    let command = "import net.safetensors --layers linear,relu,linear -o m.safetensors";
    let header = |text: &str| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &[0; 16]].concat();
    let huge = r#"{"0.weight":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,16]}}"#;
    let beyond = r#"{"0.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[8,18446744073709551615]}}"#;
    let backwards = r#"{"0.weight":{"dtype":"F32","shape":[1,2],"data_offsets":[8,0]}}"#;
    let half = r#"{"0.weight":{"dtype":"F16","shape":[1,2],"data_offsets":[0,4]}}"#;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for bytes in [&b""[..], b"PK\x03\x04", &u64::MAX.to_le_bytes(), &good[..40], &good[..good.len() - 4]]
        .map(<[u8]>::to_vec)
        .into_iter()
        .chain([huge, beyond, backwards, half, &deep, "[]", "{}", "{\"0.weight\":3}"].map(header))
    {
        folder.write("net.safetensors", &bytes);
        let error = folder.error(command);
        assert!(error.starts_with("error: net.safetensors: ") && !error.contains("mistake"), "{error}");
    }
    let nan = state_dict(&[("0.weight", &[1, 1], &[f32::NAN])]);
    folder.write("net.safetensors", &nan);
    assert!(folder.error("import net.safetensors --layers linear").contains("finite"));
}

/// `CHAINRULE_TORCH=PYTHON cargo test -p chainrule-cli --test export`: PYTHON has torch and safetensors.
#[test]
fn torch_predicts_what_the_model_does() {
    let Ok(python) = std::env::var("CHAINRULE_TORCH") else {
        eprintln!("left out: CHAINRULE_TORCH names no Python with torch");
        return;
    };
    plain_is_run_by(&python, "pytorch", "torch ");
    let folder = Folder::new("torch");
    for (name, target) in [("wine", "target"), ("diabetes", "target"), ("german_credit", "creditability")] {
        let table = real(&folder, name, target);
        folder.done(&format!("export {name}.safetensors {table} --to pytorch --tool {python}"));
        let check: Value = serde_json::from_slice(&folder.read(&format!("{name}.py.check.json"))).unwrap();
        assert!(check["run"]["by"].as_str().unwrap().starts_with("torch "), "{check}");
        let unpacked = Command::new("gzip").args(["-dc", &table]).output().unwrap().stdout;
        folder.write("table.csv", &unpacked);
        let script = format!("{name}.py");
        let output = Command::new(&python).args([&script, "table.csv"]).current_dir(&folder.0).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let ours: Value = serde_json::from_slice(&folder.read(&format!("{name}.json"))).unwrap();
        let ours = ours["predictions"]["prediction"].as_array().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), ours.len(), "{name}");
        for (line, ours) in text.lines().zip(ours) {
            let theirs = line.split(',').next().unwrap();
            match ours.as_str() {
                Some(label) => assert_eq!(theirs, label, "{name}"),
                None => {
                    let (a, b) = (theirs.parse::<f64>().unwrap(), ours.as_f64().unwrap());
                    assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{name}: {a} is not {b}");
                }
            }
        }
    }
}
