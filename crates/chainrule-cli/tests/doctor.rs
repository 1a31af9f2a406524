//! `fit --doctor` and `doctor` as a user runs them: what was planted is named first, healthy runs have no finding.

use chainrule::kernels::Lanes;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// A folder with the tables that the tests plant their faults in.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("doctor");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/tutorial.csv");
    fs::copy(examples, folder.join("tutorial.csv")).unwrap();
    let mut state = 7_u64;
    // Marsaglia's xorshift, and a sum of twelve for a bell curve.
    let mut uniform = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut normal = move || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let mut waves = "a,b,c,y\n".to_owned();
    let (mut scaled, mut leak, mut counted, mut rare) =
        (waves.clone(), "a,b,tax,y\n".to_owned(), "nr,a,b,y\n".to_owned(), "a,b,y\n".to_owned());
    for i in 0..600 {
        let (a, b) = (normal(), normal());
        let street = ["elm", "oak", "ash"][i % 3];
        let y = Lanes::sin(2.0 * a) + a * b + [0.0, 0.5, -1.0][i % 3] + 0.3 * normal();
        waves += &format!("{a:.4},{b:.4},{street},{y:.4}\n");
        scaled += &format!("{:.1},{:.7},{street},{y:.4}\n", 1000.0 * a + 5000.0, b / 1000.0);
        let tame = a + 0.7 * normal();
        leak += &format!("{a:.4},{b:.4},{:.3},{tame:.4}\n", 3.0 * tame + 0.01 * normal());
        counted += &format!("{},{a:.4},{b:.4},{y:.4}\n", 4001 + i);
    }
    // About one in twenty, which the columns tell, but not for sure.
    for _ in 0..1500 {
        let a = normal();
        rare += &format!("{a:.4},{:.4},{}\n", normal(), if a + 1.2 * normal() > 2.6 { "yes" } else { "no" });
    }
    let mut noisy = "a,b,c,y\n".to_owned();
    for _ in 0..200 {
        let a = normal();
        noisy += &format!("{a:.4},{:.4},{:.4},{:.4}\n", normal(), normal(), a + normal());
    }
    let tables =
        [("waves", waves), ("scaled", scaled), ("leak", leak), ("counted", counted), ("rare", rare), ("noisy", noisy)];
    for (name, text) in tables {
        fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
    folder
});

fn run(arguments: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    command.args(arguments.split_whitespace()).current_dir(&*FOLDER).stdin(Stdio::null()).output().unwrap()
}

/// What the doctor says of `fit TABLE …`.
fn examined(name: &str, table: &str, options: &str) -> Value {
    let output = run(&format!("fit {table}.csv --target y {options} --doctor --json --force -o {name}.safetensors"));
    let text = String::from_utf8(output.stdout).unwrap();
    let Ok(value) = serde_json::from_str::<Value>(&text) else {
        panic!("{name}: {}", String::from_utf8_lossy(&output.stderr))
    };
    value["doctor"].clone()
}

/// The first finding is the planted fault.
fn names(planted: &str, table: &str, options: &str) -> Value {
    let doctor = examined(planted, table, options);
    let first = doctor["findings"][0].clone();
    assert_eq!(first["fault"], planted, "{doctor:#}");
    first
}

/// An option of `fit`.
fn tries(finding: &Value) -> (&str, &str) {
    (finding["options"][0][0].as_str().unwrap(), finding["options"][0][1].as_str().unwrap())
}

const PLAIN: &str = "--preset plain --test-fraction 0.3 --scale standard --batch-size 32 --epochs 60";

#[test]
fn the_tutorials_start_on_a_deep_network_is_named_first() {
    let found = names("vanishing_signal", "waves", &format!("{PLAIN} --hidden 32,32,32 --learning-rate 0.05"));
    assert_eq!(tries(&found), ("init", "he_normal"));
    let measured = &found["measured"];
    assert!(measured["with"].as_f64().unwrap() < 0.6 * measured["without"].as_f64().unwrap(), "{found:#}");
}

/// Its loss stays at 317.30, ½ of the target's variance and more: the number that it predicts is 0 and not even the mean.
#[test]
fn the_tutorials_class_on_its_standardised_data_predicts_one_number() {
    let options = "--preset plain --hidden 3,2 --learning-rate 0.001 --scale standard --seed 1";
    let found = names("vanishing_signal", "tutorial", options);
    let symptoms = found["leads_to"].as_array().unwrap();
    let constant = symptoms.iter().find(|symptom| symptom["fault"] == "constant_prediction").expect("a symptom");
    assert!(constant["evidence"].as_str().unwrap().contains("best single number is 317.3"), "{found:#}");
}

#[test]
fn weights_of_size_one_on_a_deep_network_are_named_first() {
    let options = "--hidden 64,64,64,64 --init normal:1 --optimizer adam --learning-rate 0.001";
    names("exploding_signal", "waves", &format!("{PLAIN} {options}"));
}

#[test]
fn columns_of_thousands_and_thousandths_are_named_first() {
    let options = "--preset plain --test-fraction 0.3 --batch-size 32 --epochs 60 --hidden 32 --init he";
    let found = names("unscaled_inputs", "scaled", &format!("{options} --optimizer adam --learning-rate 0.003"));
    assert_eq!(tries(&found), ("scale", "standard"));
    assert!(found["evidence"].as_str().unwrap().starts_with("as inputs, b is of size 0.00"), "{found:#}");
}

#[test]
fn a_rate_of_one_for_adam_is_named_first() {
    let options = "--hidden 32,16 --init he --optimizer adam --learning-rate 1";
    names("learning_rate_too_large", "waves", &format!("{PLAIN} {options}"));
}

#[test]
fn a_rate_of_ten_millionths_is_named_first() {
    names("learning_rate_too_small", "waves", "--learning-rate 1e-7");
}

#[test]
fn a_tanh_with_weights_of_size_fifty_is_named_first() {
    let options = "--hidden 32 --activation tanh --init normal:50 --optimizer adam --learning-rate 0.003";
    names("saturation", "waves", &format!("{PLAIN} {options}"));
}

#[test]
fn learning_by_heart_is_named_first() {
    let options =
        "--preset plain --test-fraction 0.3 --hidden 200,200 --init he --optimizer adam --learning-rate 0.003";
    let found = names("overfitting", "noisy", &format!("{options} --epochs 200 --batch-size 32 --scale standard"));
    assert!(found["evidence"].as_str().unwrap().ends_with("no row decides when to stop"), "{found:#}");
}

#[test]
fn batches_of_two_under_batch_norm_are_named_first() {
    names("small_batches", "waves", "--norm batch --batch-size 2 --epochs 8");
}

#[test]
fn a_column_that_gives_the_target_away_is_named_first() {
    let found = names("leak", "leak", "--effort fast");
    assert_eq!(tries(&found), ("ignore", "tax"));
    assert!(found["measured"]["with"].as_f64().unwrap() > 2.0 * found["measured"]["without"].as_f64().unwrap());
}

#[test]
fn a_column_that_counts_the_rows_is_named_first() {
    let found = names("identifier_column", "counted", "--effort fast");
    assert_eq!(tries(&found), ("ignore", "nr"));
}

#[test]
fn a_rare_class_that_is_passed_over_is_named_first() {
    let found = names("imbalance", "rare", "--effort fast");
    assert_eq!(tries(&found), ("class-weight", "balanced"));
    assert_eq!(found["measured"]["metric"], "balanced_accuracy");
}

#[test]
fn a_loss_that_becomes_infinite_ends_with_its_place_and_what_helps() {
    let options = format!("{PLAIN} --hidden 32,16 --init he --learning-rate 1e6");
    let found = names("not_finite", "waves", &options);
    assert_eq!(tries(&found).0, "learning-rate");
    let output = run(&format!("fit waves.csv --target y {options} --doctor -o never.safetensors"));
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    let error = error.lines().last().unwrap();
    for part in
        ["error: the loss became infinite or undefined in epoch 1, step ", ", in training row ", ": neuron ", " × "]
    {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\ndoctor    1 finding\n  1. The loss became infinite or undefined.\n"), "{text}");
    assert!(!FOLDER.join("never.safetensors").exists());
}

/// False alarms are defects.
#[test]
fn real_tables_with_default_options_have_no_finding() {
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tables");
    for (name, target) in [("wine", "target"), ("diabetes", "target"), ("german_credit", "creditability")] {
        let table = tables.join(format!("{name}.csv.gz"));
        let table = table.to_str().unwrap();
        let arguments = ["fit", table, "--target", target, "--doctor", "--json", "--force", "-o", "real.safetensors"];
        let output =
            Command::new(env!("CARGO_BIN_EXE_chainrule")).args(arguments).current_dir(&*FOLDER).output().unwrap();
        let value: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{name}: {}", String::from_utf8_lossy(&output.stderr)));
        assert_eq!(value["doctor"]["findings"], Value::Array(Vec::new()), "{name}: {:#}", value["doctor"]);
    }
}

#[test]
fn the_command_says_of_a_model_what_fit_said_and_every_line_fits() {
    let fit = run("fit leak.csv --target y --effort fast --doctor --quiet --json -o said.safetensors");
    let fit: Value = serde_json::from_slice(&fit.stdout).unwrap();
    let again = run("doctor said.safetensors leak.csv --json --quiet");
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again, fit["doctor"]);
    assert_eq!(again["healthy"], false);
    let text = String::from_utf8(run("doctor said.safetensors leak.csv --quiet").stdout).unwrap();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    let start = "doctor    1 finding\n  1. tax may give the target away.\n     seen      on rows held back tax alone leaves 0.00";
    assert!(text.starts_with(start), "{text}");
    assert!(text.contains("\n     try       --ignore tax\n     measured  in short runs rmse 0."), "{text}");
}
