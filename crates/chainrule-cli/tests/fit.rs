//! `fit`, `predict` and `evaluate` as a user runs them.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chainrule-fit-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    fn run(&self, arguments: &str) -> Output {
        self.run_with(arguments, &[])
    }

    fn run_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_chainrule"))
            .args(arguments.split_whitespace())
            .envs(variables.iter().copied())
            .current_dir(&self.0)
            .output()
            .unwrap()
    }

    fn json(&self, arguments: &str) -> Value {
        let output = self.run(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The one line of an error, with exit status 1 and nothing left behind but what was there.
    fn error(&self, arguments: &str) -> String {
        let before = self.names();
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(self.names(), before, "something was written");
        let text = String::from_utf8(output.stderr).unwrap();
        let line = text.lines().find(|line| line.starts_with("error: ")).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(text.lines().filter(|line| line.starts_with("error")).count(), 1, "{text}");
        line.to_owned()
    }

    fn names(&self) -> Vec<PathBuf> {
        let mut names: Vec<PathBuf> = std::fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).display().to_string()
}

/// 120 rows: y = 3a − 2b with a category that adds 5, and a class.
fn small_table() -> String {
    let mut text = String::from("a,b,kind,y,class\n");
    for i in 0..120 {
        let (a, b) = (f64::from(i * 37 % 101) / 10.0, f64::from(i * 53 % 89) / 10.0);
        let kind = ["x", "y", "z"][i as usize % 3];
        let y = 3.0 * a - 2.0 * b + if kind == "z" { 5.0 } else { 0.0 };
        text += &format!("{a},{b},{kind},{y},{}\n", if a > b { "more" } else { "less" });
    }
    text
}

#[test]
fn the_plain_preset_prints_the_tutorial_s_lines() {
    let folder = Folder::new("plain");
    let table = example("tutorial.csv");
    let output = folder.run(&format!(
        "fit {table} --target y --preset plain --hidden 3,2 --learning-rate 0.001 --seed 1 --epochs 1000"
    ));
    let text = String::from_utf8(output.stdout).unwrap();
    let golden: Value = serde_json::from_str(include_str!("../../../testdata/tutorial.json")).unwrap();
    let expected: Vec<&str> =
        golden["training"][0]["printed"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    let printed: Vec<&str> = text.lines().filter(|line| line.starts_with("Iteration")).collect();
    assert_eq!(printed, expected);
    assert!(text.contains("next      chainrule predict tutorial.safetensors"), "{text}");
}

#[test]
fn all_four_golden_runs_come_out_of_fit() {
    let folder = Folder::new("golden");
    let table = example("tutorial.csv");
    let golden: Value = serde_json::from_str(include_str!("../../../testdata/tutorial.json")).unwrap();
    for run in golden["training"].as_array().unwrap() {
        let dims: Vec<String> = run["layers_dims"].as_array().unwrap().iter().map(Value::to_string).collect();
        let activation = match &run["hidden"] {
            Value::String(name) => name.clone(),
            names => names.as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect::<Vec<_>>().join(","),
        };
        let scale = if run["standardise"].as_bool().unwrap() { "standard" } else { "none" };
        let output = folder.run(&format!(
            "fit {table} --target y --preset plain --hidden {} --activation {activation} --scale {scale} \
             --learning-rate {} --seed {} --epochs {} -o run.safetensors --force",
            dims[1..dims.len() - 1].join(","),
            run["learning_rate"],
            run["seed"],
            run["n_it"]
        ));
        let text = String::from_utf8(output.stdout).unwrap();
        let printed: Vec<&str> = text.lines().filter(|line| line.starts_with("Iteration")).collect();
        let expected: Vec<&str> = run["printed"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
        assert_eq!(printed, expected, "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_real_table_beats_its_linear_baseline_and_the_model_predicts_its_rows() {
    let folder = Folder::new("ames");
    let table = example("ames.csv");
    let summary = folder.json(&format!("fit {table} --target Sale_Price --json"));
    let rmse = |part: &str| summary[part]["rmse"].as_f64().unwrap();
    assert!(rmse("score") < rmse("baseline"), "{summary}");
    assert_eq!(summary["rows"]["scoring"], 293);
    let output = folder.run(&format!("predict ames.safetensors {table} --quiet"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 2931);
    assert!(text.lines().next().unwrap().ends_with(",Sale_Price,prediction"));
    let scored = folder.json(&format!("evaluate ames.safetensors {table} --json"));
    assert_eq!(scored["rows"], 2930);
    let note = "this is the table that the model was trained on: the score flatters it";
    assert!(scored["notes"].as_array().unwrap().iter().any(|n| n == note), "{scored}");
}

#[test]
fn threads_and_instruction_sets_do_not_change_a_bit() {
    let folder = Folder::new("bits");
    folder.write("t.csv", &small_table());
    for (target, precision, more) in [
        ("y", "f32", "--norm batch --dropout 0.2 --hidden 300,200"),
        ("y", "f64", "--norm layer --hidden 300,200 --activation gelu,mish"),
        ("class", "f32", "--hidden 300,200 --clip-norm 0.5 --activation tanh,selu"),
    ] {
        let run = |threads: usize, set: Option<&str>| {
            let variables: Vec<(&str, &str)> = set.iter().map(|set| ("CHAINRULE_INSTRUCTIONS", *set)).collect();
            let output = folder.run_with(
                &format!("fit t.csv --target {target} --ignore y,class --precision {precision} {more} --epochs 6 --threads {threads} --json")
                    .replace("--ignore y,class", if target == "y" { "--ignore class" } else { "--ignore y" }),
                &variables,
            );
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
            (summary["fingerprint"].as_str().unwrap().to_owned(), summary["threads"].as_u64().unwrap())
        };
        let (expected, _) = run(1, None);
        for threads in 2..=4 {
            let (fingerprint, used) = run(threads, None);
            assert_eq!(fingerprint, expected, "{threads} threads");
            assert!(used > 1, "the work was not shared");
        }
        for set in chainrule::kernels::InstructionSet::available() {
            assert_eq!(run(2, Some(set.name())).0, expected, "{}", set.name());
        }
    }
}

#[test]
fn classes_get_probabilities_and_columns_are_found_by_name() {
    let folder = Folder::new("classes");
    folder.write("t.csv", &small_table());
    folder.json("fit t.csv --target class --ignore y --epochs 20 --json -o m.safetensors");
    folder.write("new.csv", "extra,kind,b,a\n1,x,2.0,9.0\n2,new,,1.0\n");
    let output = folder.run("predict m.safetensors new.csv");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().next(), Some("extra,kind,b,a,prediction,probability_less,probability_more"));
    assert!(text.lines().nth(1).unwrap().starts_with("1,x,2.0,9.0,more,"), "{text}");
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(notes.contains("extra"), "{notes}");
    folder.write("short.csv", "kind,b\nx,1\n");
    assert!(folder.error("predict m.safetensors short.csv").contains("`a`"));
}

#[test]
fn the_same_run_writes_the_same_file() {
    let folder = Folder::new("same");
    folder.write("t.csv", &small_table());
    for name in ["1", "2"] {
        folder.json(&format!("fit t.csv --target y --ignore class --epochs 3 --json -o {name}.safetensors"));
    }
    let bytes = |name: &str| std::fs::read(folder.0.join(name)).unwrap();
    assert_eq!(bytes("1.safetensors"), bytes("2.safetensors"));
}

#[test]
fn a_start_goes_on_from_a_model_and_refuses_another_architecture() {
    let folder = Folder::new("start");
    folder.write("t.csv", &small_table());
    let fit = "fit t.csv --target y --ignore class --json";
    let first = folder.json(&format!("{fit} --epochs 3 -o a.safetensors"));
    let second = folder.json(&format!("{fit} --epochs 3 --start a.safetensors -o b.safetensors"));
    assert_ne!(first["fingerprint"], second["fingerprint"]);
    assert!(folder.error(&format!("{fit} --hidden 7 --start a.safetensors -o c.safetensors")).contains("dense:128"));
}

#[test]
fn a_budget_becomes_folds_and_epochs_that_repeat_without_a_clock() {
    let folder = Folder::new("budget");
    folder.write("t.csv", &small_table());
    let fit = "fit t.csv --target y --ignore class --json";
    let bought = folder.json(&format!("{fit} --budget 2s -o a.safetensors"));
    let facts = folder.json("inspect a.safetensors --json");
    let options = facts["metadata"]["options"].as_object().unwrap();
    let given = |name: &str| options.get(name).map(|value| format!("--{name} {}", value.as_str().unwrap()));
    let again = [given("folds"), given("epochs")].into_iter().flatten().collect::<Vec<_>>().join(" ");
    assert!(again.contains("--folds"), "{facts}");
    let same = folder.json(&format!("{fit} {again} -o b.safetensors"));
    assert_eq!(bought["fingerprint"], same["fingerprint"]);
    for budget in ["0", "-1s", "soon", "1d", "infs"] {
        assert!(folder.error(&format!("{fit} --budget={budget} -o c.safetensors")).contains("budget"), "{budget}");
    }
}

#[test]
fn quantiles_are_columns_and_their_coverage_is_told() {
    let folder = Folder::new("quantiles");
    folder.write("t.csv", &small_table());
    let summary =
        folder.json("fit t.csv --target y --ignore class --quantiles 0.05,0.95 --epochs 3 --json -o m.safetensors");
    assert!(summary["coverage"]["measured"].is_number() && summary["standard_error"].is_number(), "{summary}");
    let text = String::from_utf8(folder.run("predict m.safetensors t.csv").stdout).unwrap();
    assert!(text.lines().next().unwrap().ends_with("class,prediction,quantile_0.05,quantile_0.95"), "{text}");
    for line in text.lines().skip(1) {
        let ends: Vec<f64> = line.split(',').rev().take(2).map(|cell| cell.parse().unwrap()).collect();
        assert!(ends[1] <= ends[0], "{line}");
    }
}

#[test]
fn cross_validation_prints_mean_and_spread_and_keeps_a_model_of_all_rows() {
    let folder = Folder::new("cv");
    folder.write("t.csv", &small_table());
    let fit = "fit t.csv --target class --ignore y --effort fast --epochs 3 --cv 3 --force -o m.safetensors";
    let output = folder.run(fit);
    let text = String::from_utf8(output.stdout).unwrap();
    let score = text.lines().find(|line| line.starts_with("score ")).unwrap();
    assert!(score.contains("accuracy 0.") && score.matches(" ± ").count() == 3, "{text}");
    assert!(text.contains("over 3 folds") && text.contains("kept      a model of all 102 rows"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("threshold `")), "{text}");
    let summary = folder.json(&format!("{fit} --json"));
    let found = &summary["cross_validation"];
    assert_eq!(found["scores"].as_array().unwrap().len(), 3);
    assert!(found["score"]["standard_deviation"]["log_loss"].as_f64().unwrap() > 0.0);
    assert!(summary["score"].is_null() && summary["threshold"]["at"].is_number(), "{summary}");
    assert!(folder.error(&format!("{fit} --test t.csv")).contains("every row of the table scores"));
}

#[test]
fn two_targets_get_a_column_each_and_every_command_knows_them() {
    let folder = Folder::new("targets");
    folder.write("t.csv", &small_table());
    let output = folder.run("fit t.csv --target y,a --ignore class --folds 2 --epochs 3 -o m.safetensors");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().skip_while(|line| !line.starts_with("score ")).collect();
    assert!(lines[0].contains("rmse") && lines[1].starts_with("          mae") && lines[1].contains("rmse"), "{text}");
    let text = String::from_utf8(folder.run("predict m.safetensors t.csv").stdout).unwrap();
    assert!(text.lines().next().unwrap().ends_with("class,prediction_y,prediction_a"), "{text}");
    let metrics = &folder.json("evaluate m.safetensors t.csv --json")["metrics"];
    assert!(metrics["y"]["rmse"].is_number() && metrics["a"]["r2"].is_number(), "{metrics}");
    let text = String::from_utf8(folder.run("evaluate m.safetensors t.csv").stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("a         mae ")), "{text}");
    let text = String::from_utf8(folder.run("explain forward m.safetensors t.csv --row 2").stdout).unwrap();
    assert!(text.contains("prediction  a = ") && text.contains("target      y = "), "{text}");
    let text = String::from_utf8(folder.run("explain gradient m.safetensors t.csv --row 2 --weight 1:1,1").stdout);
    assert!(text.unwrap().contains("y₂  = (a − "));
    let of = |output: &str| folder.run(&format!("explain prediction m.safetensors t.csv --row 2 --output {output}"));
    let text = String::from_utf8(of("a").stdout).unwrap();
    assert!(text.starts_with("row 2, a\n"), "{text}");
    let none = "explain prediction m.safetensors t.csv --row 2 --output z";
    assert!(folder.error(none).contains("one of the targets y, a"));
    let ranking = folder.json("explain columns m.safetensors t.csv --repeats 2 --json");
    assert_eq!(ranking["metric"], "mean_1_minus_r2");
}

#[test]
fn a_packed_table_gives_its_model_the_plain_name() {
    let folder = Folder::new("packed");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, small_table().as_bytes()).unwrap();
    std::fs::write(folder.0.join("houses.csv.gz"), packer.finish().unwrap()).unwrap();
    let summary = folder.json("fit houses.csv.gz --target y --effort fast --epochs 1 --json");
    assert_eq!(summary["model"], "houses.safetensors");
}

#[test]
fn a_configuration_file_has_the_same_names_and_the_command_line_wins() {
    let folder = Folder::new("config");
    folder.write("c.toml", "target = \"y\"\nhidden = [8, 4]\nepochs = 2\nignore = \"class\"\n");
    folder.write("t.csv", &small_table());
    let output = folder.run("fit t.csv --config c.toml --epochs 5 --print-config");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("hidden = \"8,4\"") && text.contains("epochs = 5"), "{text}");
    // Two in each of six folds.
    assert_eq!(folder.json("fit t.csv --config c.toml --json")["epochs"], 12);
    folder.write("bad.toml", "hiden = 3\n");
    assert!(folder.error("fit t.csv --config bad.toml").contains("did you mean `hidden`?"));
}

#[test]
fn bad_input_gets_one_line_and_leaves_nothing() {
    let folder = Folder::new("bad");
    folder.write("t.csv", &small_table());
    folder.write("empty.csv", "");
    folder.write("header.csv", "a,b,y\n");
    folder.write("one.csv", "a,b,y\n1,2,3\n");
    folder.write("ragged.csv", "a,b,y\n1,2,3\n1,2\n");
    folder.write("twice.csv", "a,a,y\n1,2,3\n4,5,6\n");
    folder.write("constant.csv", "a,y\n1,2\n2,2\n3,2\n");
    folder.write("huge.csv", "a,y\n1,1e300\n2,2\n3,4\n");
    folder.write("infinite.csv", "a,y\n1,inf\n2,2\n3,4\n");
    folder.write("single.csv", "a,y\n1,x\n2,x\n3,z\n4,x\n");
    folder.write("not-a-model.safetensors", "hello, I am a text");
    std::fs::write(folder.0.join("latin.csv"), b"a,y\n\xe9,2\n3,4\n").unwrap();
    for (arguments, expected) in [
        ("fit none.csv --target y", "none.csv: there is no such file"),
        ("fit empty.csv --target y", "empty"),
        ("fit header.csv --target y", "row"),
        ("fit one.csv --target y", "row"),
        ("fit ragged.csv --target y", "3"),
        ("fit latin.csv --target y", "UTF-8"),
        ("fit twice.csv --target y", "`a`"),
        ("fit constant.csv --target y", "y"),
        ("fit huge.csv --target y", "1e300"),
        ("fit infinite.csv --target y", "inf"),
        ("fit single.csv --target y", "z"),
        ("fit t.csv --target yy", "did you mean `y`"),
        ("fit t.csv", "--target"),
        ("fit t.csv --target y --hidden 0", "hidden"),
        ("fit t.csv --target y --activation rellu", "did you mean `relu`?"),
        ("fit t.csv --target y --optimizer adamm", "did you mean `adam`?"),
        ("fit t.csv --target y --loss cross_entropy", "squared_error"),
        ("fit t.csv --target y --hidden 100000000,100000000", "parameters"),
        ("fit t.csv --target y --learning-rate 0", "learning-rate"),
        ("fit t.csv --target y --threads 0", "threads"),
        ("fit t.csv --target y --optimizer gradient_descent --learning-rate 1e30", "epoch 1"),
        ("predict not-a-model.safetensors t.csv", "not-a-model.safetensors"),
        ("predict t.csv t.csv", "t.csv"),
        ("fit t.csv --target y -o t.csv", "--force"),
        ("fit t.csv --target y -o nowhere/m.safetensors", "nowhere"),
    ] {
        let line = folder.error(arguments);
        assert!(line.contains(expected), "{arguments}: {line}");
    }
}

#[test]
fn an_interrupted_reader_of_predictions_is_no_error() {
    let folder = Folder::new("closed");
    folder.write("t.csv", &small_table());
    folder.json("fit t.csv --target y --ignore class --epochs 1 --json -o m.safetensors");
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("{} predict m.safetensors t.csv --quiet | head -1", env!("CARGO_BIN_EXE_chainrule")))
        .current_dir(&folder.0)
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
