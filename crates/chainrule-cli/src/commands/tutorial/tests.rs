use super::*;
use crate::text;
use chainrule::{Initialiser, ModelFile};
use serde_json::Value;

/// The tutorial's numbers, computed with NumPy.
fn golden() -> Value {
    serde_json::from_str(include_str!("../../../../../testdata/tutorial.json")).unwrap()
}

fn section(section: Section, answers: bool) -> String {
    text(Some(section), answers).unwrap()
}

#[track_caller]
fn assert_lines(text: &str, lines: &[&str]) {
    for line in lines {
        assert!(text.lines().any(|got| got.trim() == *line), "{line:?} is no line of\n{text}");
    }
}

#[test]
fn the_forward_pass_shows_every_sum_and_neuron_of_row_1() {
    let text = section(Section::Forward, false);
    assert_lines(
        &text,
        &[
            "z⁽¹⁾₁ = w⁽¹⁾₁₁ x⁽⁰⁾₁ + w⁽¹⁾₂₁ x⁽⁰⁾₂ + b⁽¹⁾₁",
            "= −0.08 × 6.1 + 0.02 × 8.7 + 0",
            "= −0.488 + 0.174 + 0",
            "= −0.314",
            "= 0.06 × 6.1 − 0.09 × 8.7 + 0",
            "= 0.818",
            "= −0.417",
            "= −0.07362",
            "= 0.02454",
            "= 0.0017178",
            "x⁽¹⁾₁ = max{0, −0.314} = 0",
            "x⁽¹⁾₂ = max{0, 0.818} = 0.818",
            "x⁽²⁾₂ = max{0, 0.02454} = 0.02454",
            "x⁽³⁾₁ = z⁽³⁾₁ = 0.0017178",
        ],
    );
}

#[test]
fn the_matrices_hold_all_ten_rows() {
    let text = section(Section::Matrices, false);
    assert_lines(
        &text,
        &[
            "1   6.1  8.7   −0.08  0.02   0.06   −0.314  0.818  −0.417   0  0.818  0",
            "5   6.3  3.2                        −0.44   0.382   0.09    0  0.382  0.09",
            "10   0  0.452  0                     −0.04068  0.01356   0  0.01356",
            "10   0  0.01356           0.0009492   0.0009492    39",
            "J = 2837.703928 here.",
        ],
    );
}

#[test]
fn the_worked_derivative_is_shown_and_the_answers_only_on_request() {
    let (asked, answered) = (section(Section::Backpropagation, false), section(Section::Backpropagation, true));
    for text in [&asked, &answered] {
        assert_lines(text, &["∂z⁽³⁾₁/∂w⁽³⁾₁₁  = x⁽²⁾₁        = 0", "∂J/∂w⁽³⁾₁₁ = −112.9982822 × 1 × 0"]);
    }
    for answer in ["−2.772977845", "−1.447507995", "−6.470281639", "−2.064478616", "−7.909879754", "0.02454"]
    {
        assert!(!asked.contains(answer), "{answer}");
        assert!(answered.contains(answer), "{answer}");
    }
    assert_lines(&asked, &["∂J/∂w⁽³⁾₂₁ = ……", "∂J/∂w⁽²⁾₂₁ = ……", "∂J/∂w⁽¹⁾₁₂ = ……", "∂J/∂w⁽¹⁾₂₃ = ……"]);
    assert!(!answered.contains(backpropagation::BLANK));
    let after = |weight: &str| {
        let lines: Vec<&str> = answered.lines().collect();
        let start = lines.iter().position(|line| line.trim().starts_with(&format!("∂J/∂{weight} = −"))).unwrap();
        let sums = lines[start + 1..].iter().find(|line| line.trim().starts_with('=')).unwrap();
        sums.trim().to_owned()
    };
    let expected = [
        ("w⁽³⁾₂₁", "= −2.772977845"), // −112.9982822 × 1 × 0.02454
        ("w⁽²⁾₂₁", "= 0"),
        ("w⁽¹⁾₁₂", "= −1.447507995"),
        ("w⁽²⁾₁₁", "= 0"),
        ("w⁽²⁾₁₂", "= 0"),
        ("w⁽²⁾₂₂", "= −6.470281639"),
        ("w⁽²⁾₃₁", "= 0"),
        ("w⁽¹⁾₁₁", "= 0"),
        ("w⁽¹⁾₁₃", "= 0"),
        ("w⁽¹⁾₂₂", "= −2.064478616"),
        ("w⁽¹⁾₂₃", "= 0"),
    ];
    for (weight, answer) in expected {
        assert_eq!(after(weight), answer, "{weight}");
    }
}

#[test]
fn the_product_of_the_factors_is_the_gradient_of_the_library() {
    let pass = example::Pass::over(1);
    for (layer, from, to) in [(3, 1, 1), (3, 2, 1), (2, 2, 2), (2, 3, 2), (1, 1, 2), (1, 2, 2), (1, 2, 1)] {
        let by_hand = backpropagation::by_the_chain_rule(&pass, (layer, from, to));
        let error = (by_hand - pass.weight_gradient(layer, from, to)).abs();
        assert!(error < 1e-14, "w{layer}:{from},{to} is {error:e} off");
    }
}

#[test]
fn the_numbers_of_the_averaged_pass_are_numpy_s() {
    let (pass, golden) = (example::Pass::over(10), golden());
    let expected = &golden["hand_worked"]["grad_all_rows_mean"];
    for layer in 1..=example::LAST {
        let rows = expected[format!("dW{layer}")].as_array().unwrap();
        for (i, row) in rows.iter().enumerate() {
            for (j, expected) in row.as_array().unwrap().iter().enumerate() {
                let error = (pass.weight_gradient(layer, i + 1, j + 1) - expected.as_f64().unwrap()).abs();
                assert!(error < 1e-14, "w{layer}:{},{} is {error:e} off", i + 1, j + 1);
            }
        }
    }
}

#[test]
fn the_tutorial_s_run_prints_its_lines() {
    let text = section(Section::Training, false);
    let printed = &golden()["training"][0]["printed"];
    for line in printed.as_array().unwrap() {
        assert_lines(&text, &[line.as_str().unwrap()]);
    }
    assert!(text.contains("2837.800000") && text.contains("44.89362484") && text.contains("317.3:"));
}

#[test]
fn the_tutorial_s_run_is_dead_after_one_update() {
    let run = training::Run::of_the_tutorial(1000).unwrap();
    assert!(run.norms[0][..5].iter().all(|norm| *norm > 0.0));
    for norms in &run.norms[1..] {
        assert!(norms[..5].iter().all(|norm| *norm == 0.0) && norms[5] > 0.0);
    }
    assert!(run.predictions.iter().all(|prediction| *prediction == run.predictions[0]));
    let start = training::Run::of_the_tutorial(0).unwrap().network;
    assert!(start.weights(4).as_slice().iter().all(|w| *w < 0.0), "why: what follows layer 2 is negative");
    // The largest receptors of layer 2 before the first update and after it.
    assert_lines(
        &section(Section::Training, false),
        &["largest z⁽²⁾₁    0.0000049   −0.000047", "largest z⁽²⁾₂     0.000007  −0.0000046"],
    );
}

#[test]
fn sixteen_and_eight_neurons_learn_from_the_tutorial_s_start_and_better_from_he_s() {
    let tiny = training::Run::that_learns(training::TINY).unwrap();
    let he = training::Run::that_learns(Initialiser::HeNormal).unwrap();
    assert_eq!(format!("{:.2}", tiny.losses[800]), "4.93");
    assert_eq!(format!("{:.2}", he.losses[800]), "0.65");
    assert!(tiny.norms.iter().flatten().all(|norm| *norm > 0.0), "no layer is ever dead");
}

#[test]
fn no_line_is_wider_than_100_characters() {
    for text in [OVERVIEW.to_owned(), section(Section::All, false), section(Section::All, true)] {
        for line in text.lines() {
            assert!(line.chars().count() <= 100, "{} characters: {line}", line.chars().count());
            assert_eq!(line, line.trim_end());
        }
    }
}

#[test]
fn numbers_are_the_shortest_that_ten_digits_tell() {
    let cases = [
        (-0.07361999999999999, "−0.07362"),
        (-0.0, "0"),
        (113.0, "113"),
        (2837.7039283601166, "2837.703928"),
        (-2.7729778451879996, "−2.772977845"),
        (1.5e-9, "1.5e−9"),
    ];
    for (x, expected) in cases {
        assert_eq!(text::number(x), expected);
    }
}

#[test]
fn the_model_file_holds_figure_8_as_pytorch_would() {
    let file = ModelFile::read_bytes(&files::model().unwrap().write_bytes().unwrap()).unwrap();
    // W⁽¹⁾ is [2, 3], the tensor its transpose.
    assert_eq!(file.tensors["0.weight"].shape(), [3, 2]);
    assert_eq!(file.tensors["0.weight"].values::<f64>().unwrap(), [-0.08, 0.02, 0.02, 0.08, 0.06, -0.09]);
    assert_eq!(file.tensors["4.weight"].values::<f64>().unwrap(), [-0.05, 0.07]);
    assert_eq!(file.tensors["2.bias"].values::<f64>().unwrap(), [0.0, 0.0]);
    assert_eq!(file.metadata["architecture"]["layers"][1], "relu");
}
