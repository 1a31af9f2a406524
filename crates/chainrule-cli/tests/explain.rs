//! The built command: `explain`, on the tutorial's network and on a default model.

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

fn chainrule(arguments: &[&str], folder: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chainrule"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A folder with figure8.safetensors and tutorial.csv.
static LESSON: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let made = chainrule(&["tutorial", "--write", "."], &folder);
    assert!(made.status.success(), "{made:?}");
    fs::write(folder.join("new.csv"), "x1,x2\n6.1,8.7\n").unwrap();
    folder
});

/// `explain` on the tutorial's network and data.
fn explain(what: &str, more: &[&str]) -> Output {
    chainrule(&[&["explain", what, "figure8.safetensors", "tutorial.csv"], more].concat(), &LESSON)
}

/// What it prints, every line of at most 80 characters.
fn shown(what: &str, more: &[&str]) -> String {
    let output = explain(what, more);
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{output:?}");
    let text = text(&output.stdout).to_owned();
    text.lines().for_each(|line| assert!(line.chars().count() <= 80, "{line}"));
    text
}

fn object(what: &str, more: &[&str]) -> Value {
    let output = explain(what, &[more, &["--json"]].concat());
    assert_eq!(text(&output.stderr), "");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let line = text(&output.stderr).lines().last().unwrap();
    line.strip_prefix("error: ").unwrap().to_owned()
}

#[test]
fn forward_writes_every_sum_of_example_1_out() {
    let expected = "\
network  2-3-2-1, relu
row 1

Layer 0, the input

  x⁽⁰⁾₁   = 6.1          x1 = 6.1
  x⁽⁰⁾₂   = 8.7          x2 = 8.7

Layer 1  Z⁽¹⁾ = X⁽⁰⁾W⁽¹⁾ + 1b⁽¹⁾ᵀ, X⁽¹⁾ = relu(Z⁽¹⁾)

  z⁽¹⁾₁ = w⁽¹⁾₁₁ x⁽⁰⁾₁ + w⁽¹⁾₂₁ x⁽⁰⁾₂ + b⁽¹⁾₁
        = −0.08 × 6.1 + 0.02 × 8.7 + 0
        = −0.488 + 0.174 + 0
        = −0.314
  x⁽¹⁾₁ = relu(z⁽¹⁾₁) = 0
  z⁽¹⁾₂ = w⁽¹⁾₁₂ x⁽⁰⁾₁ + w⁽¹⁾₂₂ x⁽⁰⁾₂ + b⁽¹⁾₂
        = 0.02 × 6.1 + 0.08 × 8.7 + 0
        = 0.122 + 0.696 + 0
        = 0.818
  x⁽¹⁾₂ = relu(z⁽¹⁾₂) = 0.818
  z⁽¹⁾₃ = w⁽¹⁾₁₃ x⁽⁰⁾₁ + w⁽¹⁾₂₃ x⁽⁰⁾₂ + b⁽¹⁾₃
        = 0.06 × 6.1 − 0.09 × 8.7 + 0
        = 0.366 − 0.783 + 0
        = −0.417
  x⁽¹⁾₃ = relu(z⁽¹⁾₃) = 0

Layer 2  Z⁽²⁾ = X⁽¹⁾W⁽²⁾ + 1b⁽²⁾ᵀ, X⁽²⁾ = relu(Z⁽²⁾)

  z⁽²⁾₁ = w⁽²⁾₁₁ x⁽¹⁾₁ + w⁽²⁾₂₁ x⁽¹⁾₂ + w⁽²⁾₃₁ x⁽¹⁾₃ + b⁽²⁾₁
        = 0.01 × 0 − 0.09 × 0.818 + 0.07 × 0 + 0
        = 0 − 0.07362 + 0 + 0
        = −0.07362
  x⁽²⁾₁ = relu(z⁽²⁾₁) = 0
  z⁽²⁾₂ = w⁽²⁾₁₂ x⁽¹⁾₁ + w⁽²⁾₂₂ x⁽¹⁾₂ + w⁽²⁾₃₂ x⁽¹⁾₃ + b⁽²⁾₂
        = −0.01 × 0 + 0.03 × 0.818 + 0.02 × 0 + 0
        = 0 + 0.02454 + 0 + 0
        = 0.02454
  x⁽²⁾₂ = relu(z⁽²⁾₂) = 0.02454

Layer 3  Z⁽³⁾ = X⁽²⁾W⁽³⁾ + 1b⁽³⁾ᵀ

  z⁽³⁾₁ = w⁽³⁾₁₁ x⁽²⁾₁ + w⁽³⁾₂₁ x⁽²⁾₂ + b⁽³⁾₁
        = −0.05 × 0 + 0.07 × 0.02454 + 0
        = 0 + 0.0017178 + 0
        = 0.0017178

prediction  0.0017178
target      y = 113
J           6384.30589  (squared_error)
";
    assert_eq!(shown("forward", &["--row", "1"]), expected);
    let neuron = shown("forward", &["--row", "1", "--neuron", "1:2"]);
    assert!(neuron.ends_with("        = 0.818\n  x⁽¹⁾₂ = relu(z⁽¹⁾₂) = 0.818\n"), "{neuron}");
}

#[test]
fn forward_shows_the_matrices_of_example_2() {
    let text = shown("forward", &["--all-rows"]);
    let rows = [
        "    1   6.1  8.7   −0.314  0.818  −0.417",
        "    5   −0.44   0.382   0.09    0  0.382  0.09",
        "    1   0  0.818  0      −0.07362  0.02454",
        "   10   −0.04068  0.01356   0  0.01356",
        "    1   0  0.02454   0.0017178",
    ];
    rows.iter().for_each(|row| assert!(text.lines().any(|line| line == *row), "{row} is no line of\n{text}"));
    let object = object("forward", &["--all-rows"]);
    assert_eq!(object["stages"][1]["name"], "Z⁽¹⁾");
    assert_eq!(object["stages"][1]["values"].as_array().unwrap().len(), 10);
    assert_eq!(object["stages"][2]["values"][4], json!([0.0, 0.382, 0.09]));
}

#[test]
fn gradient_unfolds_exercise_4_into_its_two_paths() {
    let expected = "\
network  2-3-2-1, relu
row 1  J = 6384.305890075  (squared_error)
w⁽¹⁾₁₂  = 0.02, 0.weight[1,2] in the file
x⁽⁰⁾₁  = 6.1   x1 = 6.1

2 paths, the largest first

  path 1
  ∂J/∂x⁽³⁾₁       x⁽³⁾₁ − y₁         −112.9982822
  ∂x⁽³⁾₁/∂z⁽³⁾₁   1                  1
  ∂z⁽³⁾₁/∂x⁽²⁾₂   w⁽³⁾₂₁             0.07
  ∂x⁽²⁾₂/∂z⁽²⁾₂   relu′(z⁽²⁾₂)       1
  ∂z⁽²⁾₂/∂x⁽¹⁾₂   w⁽²⁾₂₂             0.03
  ∂x⁽¹⁾₂/∂z⁽¹⁾₂   relu′(z⁽¹⁾₂)       1
  ∂z⁽¹⁾₂/∂w⁽¹⁾₁₂  x⁽⁰⁾₁              6.1
  product                            −1.447507994982

  path 2
  ∂J/∂x⁽³⁾₁       x⁽³⁾₁ − y₁         −112.9982822
  ∂x⁽³⁾₁/∂z⁽³⁾₁   1                  1
  ∂z⁽³⁾₁/∂x⁽²⁾₁   w⁽³⁾₁₁             −0.05
  ∂x⁽²⁾₁/∂z⁽²⁾₁   relu′(z⁽²⁾₁)       0
  ∂z⁽²⁾₁/∂x⁽¹⁾₂   w⁽²⁾₂₁             −0.09
  ∂x⁽¹⁾₂/∂z⁽¹⁾₂   relu′(z⁽¹⁾₂)       1
  ∂z⁽¹⁾₂/∂w⁽¹⁾₁₂  x⁽⁰⁾₁              6.1
  product                            0

∂J/∂w⁽¹⁾₁₂
  by its paths           −1.447507994982
  by δ (equations 8–11)  −1.447507994982
  by backpropagation     −1.447507994982
  by a difference        −1.447507939681  (J at ±6.1e−6)
  the first three agree to 0 of it
";
    assert_eq!(shown("gradient", &["--row", "1", "--weight", "1:1,2"]), expected);
    assert_eq!(shown("gradient", &["--row", "1", "--parameter", "0.weight[1,2]"]), expected);
    assert_eq!(shown("gradient", &["--row", "1", "--weight", "1:x1,2"]), expected);
    for (weight, value) in
        [("3:2,1", -2.772_977_845), ("2:2,1", 0.0), ("2:2,2", -6.470_281_638_772), ("1:2,2", -2.064_478_615_794)]
    {
        let object = object("gradient", &["--row", "1", "--weight", weight]);
        for way in ["by_paths", "by_delta", "backpropagation"] {
            assert!((object[way].as_f64().unwrap() - value).abs() < 1e-9, "{weight}, {way}: {object}");
        }
    }
    // Fewer paths than there are: the remainder closes the sum.
    let object = object("gradient", &["--row", "1", "--weight", "1:1,2", "--paths", "1"]);
    assert_eq!((&object["path_count"], object["paths"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(object["by_paths"], object["backpropagation"]);
}

#[test]
fn gradient_over_all_rows_and_for_a_row_without_a_target() {
    let list = shown("gradient", &[]);
    assert!(list.contains("  w⁽²⁾₂₂          2.weight[2,2]              −3.184720382\n"), "{list}");
    let bias = shown("gradient", &["--bias", "2:2"]);
    assert!(bias.contains("  by δ (equations 8–11)  −4.9699111238\n"), "{bias}");
    let new = |more: &[&str]| {
        let command = ["explain", "gradient", "figure8.safetensors", "new.csv", "--row", "1", "--weight", "1:1,2"];
        chainrule(&[&command[..], more].concat(), &LESSON)
    };
    assert_eq!(refusal(&new(&[])), "row 1 has no value in y: --target-value VALUE gives it one");
    let given = new(&["--target-value", "113"]);
    assert!(text(&given.stdout).contains("by its paths           −1.447507994982\n"), "{given:?}");
}

#[test]
fn the_check_passes_and_somebody_s_gradient_is_judged() {
    let text_of_check = shown("check", &[]);
    assert!(text_of_check.starts_with("checked   all 20 parameters; J over 10 rows\n"), "{text_of_check}");
    assert!(text_of_check.ends_with("\npasses\n"));
    assert_eq!(object("check", &[])["passes"], true);
    let zeros = |rows: usize, cols: usize| vec![vec![0.0; cols]; rows];
    let gradient = json!({
        "4.weight": [[0.0], [-1.372_439_996_672_4]], "4.bias": [-70.998_730_34],
        "2.weight": zeros(3, 2), "2.bias": [0.0, 4.969_911_123_8],
    });
    fs::write(LESSON.join("mine.json"), gradient.to_string()).unwrap();
    let judged = explain("check", &["--gradient", "mine.json"]);
    assert_eq!(judged.status.code(), Some(1));
    let told = text(&judged.stdout);
    assert!(told.contains("layer 2, ∂J/∂W⁽²⁾"), "{told}");
    fs::write(LESSON.join("list.json"), "[1, 2]").unwrap();
    assert!(refusal(&explain("check", &["--gradient", "list.json"])).starts_with("list.json: expected a JSON object"));
    fs::write(LESSON.join("short.json"), r#"{"0.weight": [1]}"#).unwrap();
    assert_eq!(
        refusal(&explain("check", &["--gradient", "short.json"])),
        "short.json: 0.weight: a segment's gradient: expected 6, got 1"
    );
}

#[test]
fn addresses_that_lead_nowhere_are_refused_with_what_there_is() {
    for (what, arguments, expected) in [
        ("gradient", &["--row", "11", "--weight", "1:1,2"][..], "row: expected a row from 1 to 10, got 11"),
        ("gradient", &["--row", "0", "--weight", "1:1,2"], "row: expected a row from 1 to 10, got 0"),
        (
            "gradient",
            &["--weight", "1:3,1"],
            "weight: expected 1:FROM,TO with FROM from 1 to 2 and TO from 1 to 3, got 1:3,1",
        ),
        ("gradient", &["--weight", "1:x3,1"], "weight: expected a number or an encoded column, as x1, x2, got 1:x3,1"),
        ("gradient", &["--bias", "2"], "bias: expected LAYER:NEURON, as 2:1, got 2"),
        ("gradient", &["--member", "2"], "member: expected 1: the model is one network, got 2"),
        ("gradient", &["--member", "1.2"], "member: expected 1: no members share the weights of network 1, got 1.2"),
        ("forward", &["--neuron", "2:3"], "neuron: expected 2:K with K from 1 to 2, got 2:3"),
        ("prediction", &["--row", "11"], "row: expected a row from 1 to 10, got 11"),
        ("columns", &["--repeats", "0"], "repeats: expected a number from 1, got 0"),
        ("diagram", &["--figure", "shape", "--layer", "9"], "diagram: expected a layer from 1 to 3, got 9"),
        ("diagram", &["--figure", "paths"], "this figure is of one weight: say which, as --weight 1:1,2"),
        ("diagram", &["--column", "1"], "--matrix-row and --column belong to --figure matrices"),
    ] {
        assert_eq!(refusal(&explain(what, arguments)), expected, "{arguments:?}");
    }
}

#[test]
fn diagrams_are_written_whole_and_an_existing_file_is_refused() {
    let write = |more: &[&str]| explain("diagram", &[&["--row", "1", "-o", "net.svg"], more].concat());
    let _ = fs::remove_file(LESSON.join("net.svg"));
    assert_eq!(write(&[]).status.code(), Some(0));
    let svg = fs::read_to_string(LESSON.join("net.svg")).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for value in [">−0.31<", ">0.82<", ">−0.42<", ">−0.07<", ">0.02<", ">0.002<"] {
        assert!(svg.contains(value), "{value}");
    }
    assert_eq!(refusal(&write(&[])), "net.svg exists already; --force replaces it");
    assert_eq!(write(&["--force", "--weight", "1:1,2", "--dark"]).status.code(), Some(0));
    assert_ne!(fs::read_to_string(LESSON.join("net.svg")).unwrap(), svg);
    let alone = chainrule(&["explain", "diagram", "figure8.safetensors"], &LESSON);
    assert!(text(&alone.stdout).starts_with("<svg "));
}

/// The pictures in docs/images are what the present code draws.
#[test]
fn the_pictures_of_the_documentation_are_up_to_date() {
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/images");
    for (name, arguments) in [
        ("values", &["--row", "1"][..]),
        ("paths", &["--row", "1", "--weight", "1:1,2"]),
        ("paths-dark", &["--row", "1", "--weight", "1:1,2", "--dark"]),
        ("equations", &["--figure", "equations", "--layer", "1"]),
    ] {
        let drawn = explain("diagram", arguments);
        let kept = fs::read_to_string(images.join(name).with_extension("svg")).unwrap();
        assert_eq!(text(&drawn.stdout), kept, "{name}.svg: run docs/images/make");
    }
}

#[test]
fn latex_compiles_or_is_balanced() {
    for (name, what, arguments) in [
        ("forward", "forward", &["--row", "1"][..]),
        ("neuron", "forward", &["--row", "1", "--neuron", "2:1"]),
        ("matrices", "forward", &["--all-rows"]),
        ("gradient", "gradient", &["--row", "1", "--weight", "1:1,2"]),
        ("mean", "gradient", &["--weight", "1:1,2"]),
    ] {
        let output = explain(what, &[arguments, &["--format", "latex"]].concat());
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""), "{output:?}");
        let latex = text(&output.stdout);
        is_balanced(latex);
        let file = LESSON.join(format!("{name}.tex"));
        fs::write(&file, latex).unwrap();
        let compiled = Command::new("pdflatex")
            .args(["-interaction=nonstopmode", "-halt-on-error"])
            .arg(&file)
            .current_dir(&*LESSON)
            .stdin(Stdio::null())
            .output();
        if let Ok(compiled) = compiled {
            assert!(compiled.status.success(), "{name}: {}", String::from_utf8_lossy(&compiled.stdout));
        }
    }
}

/// Every brace and environment that is opened is closed, in order, and all is ASCII but letters of names.
fn is_balanced(latex: &str) {
    let mut open = Vec::new();
    let mut rest = latex;
    while let Some(at) = rest.find(['{', '}', '\\']) {
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("\\begin{") {
            let (name, after) = after.split_once('}').unwrap();
            open.push(name.to_owned());
            rest = after;
        } else if let Some(after) = rest.strip_prefix("\\end{") {
            let (name, after) = after.split_once('}').unwrap();
            assert_eq!(open.pop().as_deref(), Some(name), "{latex}");
            rest = after;
        } else if rest.starts_with('\\') {
            rest = &rest[1 + rest[1..].chars().next().map_or(0, char::len_utf8)..];
        } else {
            match rest.starts_with('{') {
                true => open.push("{".into()),
                false => assert_eq!(open.pop().as_deref(), Some("{"), "{latex}"),
            }
            rest = &rest[1..];
        }
    }
    assert!(open.is_empty(), "{open:?} left open in {latex}");
    assert!(latex.is_ascii(), "{latex}");
}

/// A default model: piecewise embeddings, members that share weights, folds and scaling.
#[test]
fn an_ensemble_with_embeddings_is_explained_and_closes() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("explain-ensemble");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let mut table = String::from("size,rooms,street,price\n");
    for i in 0..120_u32 {
        let (size, rooms, street) = (40 + (i * 37) % 160, 1 + (i * 13) % 6, ["Elm", "Oak", "Ash"][(i % 3) as usize]);
        let noise = (i * 7919) % 11;
        let gap = if i % 17 == 3 { String::new() } else { size.to_string() };
        table += &format!("{gap},{rooms},{street},{}\n", 1000 * size + 5000 * rooms + 900 * (i % 3) + 100 * noise);
    }
    fs::write(folder.join("houses.csv"), table).unwrap();
    let fit = chainrule(
        &["fit", "houses.csv", "--target", "price", "--folds", "2", "--members", "4", "--epochs", "4", "--quiet"],
        &folder,
    );
    assert!(fit.status.success(), "{fit:?}");
    let explain = |what: &str, more: &[&str]| {
        chainrule(&[&["explain", what, "houses.safetensors", "houses.csv"], more].concat(), &folder)
    };
    let object = |what: &str, more: &[&str]| -> Value {
        let output = explain(what, &[more, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let networks = object("gradient", &[])["networks"].as_u64().unwrap();
    assert!(networks > 1);
    for member in ["1", "2"] {
        let largest = object("gradient", &["--row", "2", "--member", member, "--paths", "4"]);
        for entry in largest["gradients"].as_array().unwrap() {
            let name = entry["name"].as_str().unwrap();
            let ledger = object("gradient", &["--row", "2", "--member", member, "--parameter", name]);
            let of = |key: &str| ledger[key].as_f64().unwrap();
            for way in ["by_paths", "by_delta"] {
                assert!((of(way) - of("backpropagation")).abs() < 1e-12 * of("backpropagation").abs(), "{ledger}");
            }
        }
    }
    // The step from the raw value, in the file's units.
    let weight = explain("gradient", &["--row", "1", "--weight", "1:1,1"]);
    assert!(text(&weight.stdout).contains("for each unit of it\n"), "{weight:?}");
    let several = refusal(&explain("gradient", &["--weight", "1:size,1"]));
    assert!(several.starts_with("weight: expected a number: size enters layer 1 as "), "{several}");
    assert!(refusal(&explain("gradient", &["--member", "1.99"])).starts_with("member: expected 1.K with K from 1 to "));
    for what in ["forward", "gradient", "prediction"] {
        let output = explain(what, &["--row", "3"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout).lines().for_each(|line| assert!(line.chars().count() <= 80, "{line}"));
    }
    let checked = object("check", &["--parameters", "60", "--rows", "30"]);
    assert_eq!((&checked["passes"], checked["checks"].as_array().unwrap().len() as u64), (&json!(true), networks));
    // Contributions add up to the difference of the outputs, to 10⁻³ of the range of the predictions.
    let all = object("prediction", &["--rows", "40"]);
    let rows = all["rows"].as_array().unwrap();
    let of = |row: &Value, key: &str| row[key].as_f64().unwrap();
    let outputs: Vec<f64> = rows.iter().map(|row| of(row, "output")).collect();
    let range = outputs.iter().fold(f64::MIN, |a, b| a.max(*b)) - outputs.iter().fold(f64::MAX, |a, b| a.min(*b));
    for row in rows {
        let sum: f64 = row["contributions"].as_object().unwrap().values().map(|x| x.as_f64().unwrap()).sum();
        let gap = of(row, "output") - of(row, "baseline") - sum;
        assert!((gap - of(row, "residual")).abs() < 1e-9 * range && gap.abs() < 1e-3 * range, "{row}");
    }
    // The column that the price follows is the first of the ranking.
    let ranking = object("columns", &["--repeats", "3"]);
    assert_eq!(ranking["columns"][0]["column"], "size", "{ranking}");
    assert_eq!(object("columns", &["--repeats", "3"]), ranking);
    for figure in ["network", "matrices", "values", "paths"] {
        let drawn = explain("diagram", &["--figure", figure, "--row", "1", "--weight", "2:1,1"]);
        assert!(text(&drawn.stdout).ends_with("</svg>\n"), "{drawn:?}");
    }
}
