//! The built command: `inspect`, and how every command ends.

use chainrule::model_file::{ModelFile, Tensor};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn chainrule(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chainrule")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Runs `script` in a shell, `$0` being the command and `$1` the file.
#[cfg(unix)]
fn shell(script: &str, file: &Path) -> Output {
    Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_chainrule")]).arg(file).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Status 1, nothing on standard output, and one line on standard error, which this gives.
fn refusal(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(text(&output.stdout), "");
    let line = text(&output.stderr).strip_suffix('\n').unwrap();
    assert!(!line.contains('\n'), "{line}");
    line
}

fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The network 2-3-1 of the tutorial with a batch norm, and eleven layers to show their order.
fn houses() -> ModelFile {
    let mut model = ModelFile::default();
    let mut tensor = |name: &str, shape: &[usize]| {
        let numbers = vec![0.5_f32; shape.iter().product()];
        model.tensors.insert(name.into(), Tensor::new(shape, &numbers).unwrap());
    };
    tensor("0.weight", &[3, 2]);
    tensor("0.bias", &[3]);
    tensor("2.running_mean", &[3]);
    tensor("10.weight", &[1, 3]);
    tensor("10.bias", &[1]);
    let columns = json!([
        {"name": "area", "kind": "number", "mean": 101.25, "standard_deviation": 30.5, "missing": "refused"},
        {"name": "city\u{1b}[2J", "kind": "category", "labels": ["Aarhus", "Berlin"], "missing": "own_label"},
    ]);
    model.metadata.insert("columns".into(), columns);
    model.metadata.insert("loss".into(), "squared_error".into());
    model.metadata.insert("history".into(), (0..50).map(|i| f64::from(i) + 0.125).collect::<Vec<_>>().into());
    model
}

#[test]
fn inspect_shows_what_the_file_holds() {
    let path = file("houses.safetensors", &houses().write_bytes().unwrap());
    let output = chainrule(&["inspect", path.to_str().unwrap()]);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    let expected = r#"chainrule model, format 1, written by chainrule VERSION
fingerprint 604d78e1733d16b34e81f5cdeeeb734532a95197bbaaeaac108bc4be191baf5a
parameters 13

tensor          type  shape
0.bias          f32   [3]
0.weight        f32   [3, 2]
2.running_mean  f32   [3]
10.bias         f32   [1]
10.weight       f32   [1, 3]

columns:
  1: {"kind":"number","mean":101.25,"missing":"refused","name":"area","standard_deviation":30.5}
  2: {"kind":"category","labels":["Aarhus","Berlin"],"missing":"own_label","name":"city\u001b[2J"}
history: [0.125,1.125,2.125,3.125,4.125,5.125,6.125,7.125,8.125,9.125,10.125, … 50 in all]
loss: squared_error
"#;
    assert_eq!(text(&output.stdout), expected.replace("VERSION", env!("CARGO_PKG_VERSION")));
}

#[test]
fn inspect_gives_one_json_object() {
    let model = houses();
    let path = file("houses-json.safetensors", &model.write_bytes().unwrap());
    let output = chainrule(&["inspect", "--json", path.to_str().unwrap()]);
    assert_eq!(text(&output.stderr), "");
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    // 3 · 2 + 3 + 1 · 3 + 1; the running mean is no parameter.
    assert_eq!(object["parameters"], 13);
    assert_eq!(object["format_version"], 1);
    assert_eq!(object["library_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(object["fingerprint"], chainrule::model_file::fingerprint(&model.tensors));
    assert_eq!(object["tensors"][0], json!({"name": "0.bias", "dtype": "f32", "shape": [3]}));
    assert_eq!(object["tensors"][4], json!({"name": "10.weight", "dtype": "f32", "shape": [1, 3]}));
    assert_eq!(object["metadata"], Value::from(model.metadata));
}

#[cfg(unix)]
#[test]
fn inspect_reads_standard_input() {
    let path = file("houses-stdin.safetensors", &houses().write_bytes().unwrap());
    let piped = shell(r#"cat "$1" | "$0" inspect -"#, &path);
    assert_eq!(piped.stdout, shell(r#""$0" inspect "$1""#, &path).stdout);
    assert_eq!(piped.status.code(), Some(0));
}

#[test]
fn what_is_no_model_is_refused_in_one_line() {
    assert_eq!(
        refusal(&chainrule(&["inspect", "no/such.safetensors"])),
        "error: no/such.safetensors: there is no such file; check the name and the folder"
    );
    let path = file("text.safetensors", b"area,city,price\n100,Aarhus,1\n");
    assert_eq!(
        refusal(&chainrule(&["inspect", path.to_str().unwrap()])),
        format!(
            "error: {}: not a usable model file: this is no safetensors file; give a file that chainrule has written",
            path.display()
        )
    );
    let bytes = houses().write_bytes().unwrap();
    let path = file("half.safetensors", &bytes[..bytes.len() - 1]);
    assert_eq!(
        refusal(&chainrule(&["inspect", path.to_str().unwrap()])),
        format!(
            "error: {}: not a usable model file: cut short: {} bytes where at least {} belong; copy it again",
            path.display(),
            bytes.len() - 1,
            bytes.len()
        )
    );
}

#[cfg(target_os = "linux")]
#[test]
fn folders_and_endless_devices_are_refused() {
    assert_eq!(refusal(&chainrule(&["inspect", "/"])), "error: /: this is a folder; give a file");
    assert!(refusal(&chainrule(&["inspect", "/dev/zero"])).contains("this is no safetensors file"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_lying_header_allocates_nothing() {
    let file =
        |name: &str, header: &str, length: u64| file(name, &[&length.to_le_bytes()[..], header.as_bytes()].concat());
    let entry = r#"{"w":{"dtype":"F32","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]},"__metadata__":{"chainrule":"{\"format_version\":1}"}}"#;
    for path in [
        file("long-header.safetensors", "{}", u64::MAX),
        file("missing-header.safetensors", "{}", 16 << 20),
        file("huge-tensor.safetensors", entry, entry.len() as u64),
        file("huge-offset.safetensors", &entry.replace("0,4]", "0,4611686018427387904]"), entry.len() as u64 + 18),
    ] {
        // 64 MiB of address space, the command itself included.
        let output = shell(r#"ulimit -v 65536; exec "$0" inspect "$1""#, &path);
        assert!(refusal(&output).contains("not a usable model file"), "{output:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_table_s_columns_are_shown_with_what_they_are_taken_for_and_why() {
    let path = file("table.csv", b"when,ok,zip\n2024-05-01,yes,02134\n2024-05-02,no,10001\n");
    let shown = chainrule(&["inspect", path.to_str().unwrap()]);
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    let lines: Vec<&str> = text(&shown.stdout).lines().collect();
    assert_eq!(lines[0], "2 rows, 3 columns");
    for (column, kind) in [("when", "date"), ("ok", "boolean"), ("zip", "categorical")] {
        let line = lines.iter().find(|line| line.starts_with(column)).unwrap();
        assert_eq!(line.split_whitespace().nth(1), Some(kind), "{line}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_none() {
    let path = file("houses-pipe.safetensors", &houses().write_bytes().unwrap());
    let full = shell(r#""$0" inspect "$1" > /dev/full"#, &path);
    assert_eq!(refusal(&full), "error: standard output: no space left to write it; free some and run this again");
    let closed = shell(r#"("$0" inspect "$1"; echo "status $?" >&2) | true"#, &path);
    assert_eq!(text(&closed.stderr), "status 0\n");
    // Neither a closed standard output nor a closed standard error makes it panic.
    assert_eq!(shell(r#""$0" inspect no-such-file 2>&-"#, &path).status.code(), Some(1));
    let closed = shell(r#""$0" inspect "$1" >&-"#, &path);
    assert!(!text(&closed.stderr).contains("mistake"), "{closed:?}");
}

#[test]
fn the_version_and_the_help_end_with_0_and_wrong_usage_with_2() {
    let version = chainrule(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(text(&version.stdout), concat!("chainrule ", env!("CARGO_PKG_VERSION"), "\n"));
    for (arguments, first_example) in [
        (&["--help"][..], "Examples:\n  chainrule fit houses.csv --target price "),
        (&["inspect", "--help"], "Examples:\n  chainrule inspect houses.csv\n"),
    ] {
        let help = chainrule(arguments);
        assert_eq!(help.status.code(), Some(0));
        assert!(text(&help.stdout).contains(first_example), "{help:?}");
    }
    for (arguments, expected) in [
        (&[][..], "Usage: chainrule <COMMAND>"),
        (&["inspekt"], "a similar subcommand exists: 'inspect'"),
        (&["inspect"], "<FILE>"),
        (&["inspect", "--jsn", "m"], "a similar argument exists: '--json'"),
    ] {
        let usage = chainrule(arguments);
        assert_eq!(usage.status.code(), Some(2), "{usage:?}");
        assert_eq!(text(&usage.stdout), "");
        assert!(text(&usage.stderr).contains(expected), "{usage:?}");
    }
}
