//! The ledger closes, the check passes and fails as it must, and a planted mistake is named.

use chainrule::explain::*;
use chainrule::kernels::Lanes;
use chainrule::random::default_rng;
use chainrule::train::{Options, train};
use chainrule::*;
use serde_json::Value;
use std::ops::ControlFlow;

fn golden() -> Value {
    let golden: Value = serde_json::from_str(include_str!("../../../testdata/tutorial.json")).unwrap();
    golden["hand_worked"].clone()
}

fn matrix(value: &Value) -> Matrix<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Matrix::from_vec(rows.len(), rows[0].len(), rows.concat()).unwrap()
}

/// The tutorial's 2-3-2-1 of Figure 8.
fn figure_8() -> Network<f64> {
    let mut network = Network::mlp(2, &[3, 2], 1, &Activation::Relu, None, 0).unwrap();
    let numbers: Vec<f64> = ["W1", "b1", "W2", "b2", "W3", "b3"]
        .iter()
        .flat_map(|name| matrix(&golden()["params"][*name]).as_slice().to_vec())
        .collect();
    network.parameters_mut().copy_from_slice(&numbers);
    network
}

/// Rows of normals, and a target that depends on them.
fn rows(n: usize, inputs: usize, outputs: usize) -> (Matrix<f64>, Matrix<f64>) {
    let mut generator = default_rng(5);
    let mut x = vec![0.0; n * inputs];
    generator.fill_normal(0.0, 1.0, &mut x).unwrap();
    let y = x.chunks(inputs).flat_map(|row| (0..outputs).map(move |k| row[k % inputs] * 1.5 - row[0] * row[1] + 0.3));
    let y: Vec<f64> = y.collect();
    (Matrix::from_vec(n, inputs, x).unwrap(), Matrix::from_vec(n, outputs, y).unwrap())
}

fn network(inputs: usize, layers: &str, x: &Matrix<f64>) -> Network<f64> {
    let layers = layers.split(' ').map(|layer| layer.parse().unwrap()).collect();
    let mut network = Network::new(inputs, layers, None, 3).unwrap();
    network.start_from(x.view()).unwrap();
    // Biases, shifts and running statistics that matter.
    let mut generator = default_rng(9);
    let mut noise = vec![0.0; network.parameters().len()];
    generator.fill_normal(0.0, 0.1, &mut noise).unwrap();
    network.parameters_mut().iter_mut().zip(noise).for_each(|(p, e)| *p += e);
    for (name, range) in network.running_segments() {
        if name.contains("running") {
            network.running_mut()[range].iter_mut().enumerate().for_each(|(i, r)| *r = 0.5 + 0.1 * i as f64);
        }
    }
    network
}

/// One network of every kind of layer, and some of several.
const NETWORKS: [&str; 9] = [
    "dense:5 tanh dense:2",
    "dense:6 relu dropout:0.3 dense:4 relu dense:2",
    "dense:5 batch_norm tanh dense:4 batch_norm relu dense:2",
    "dense:5 layer_norm gelu dropout dense:4 layer_norm dense:2",
    "piecewise:3:4:0:2 dense:5 relu dense:2",
    "dense:5 tanh members:3 dense:4 relu dense:2",
    "members:3 dense:5 silu heads:2",
    "piecewise:3:2:0:1:2 members:4 dense:6 relu dropout dense:5 relu heads:2",
    "tanh dense:3 dense:4 elu dense:2 logistic",
];

#[test]
fn every_number_of_the_figures_is_the_tutorial_s() {
    let (network, golden) = (figure_8(), golden());
    let (x, y) = (matrix(&golden["X"]), matrix(&golden["Y"]));
    let (data, processor) = (Data::new(x.view(), y.view()), Processor::new(1));
    // Figures 9 and 11 to 13: all ten rows.
    let trace = Trace::new(&network, &Loss::SquaredError, &data, &processor).unwrap();
    let near = |name: &str, got: &Matrix<f64>| {
        let expected = matrix(&golden[name]);
        assert_eq!((got.rows(), got.cols()), (expected.rows(), expected.cols()), "{name}");
        for (got, expected) in got.as_slice().iter().zip(expected.as_slice()) {
            assert!((got - expected).abs() <= 1e-16, "{name}: {got}, expected {expected}");
        }
    };
    ["X", "Z1", "X1", "Z2", "X2", "Z3"].iter().enumerate().for_each(|(k, name)| near(name, trace.output(k)));
    near("X3", trace.prediction());
    let loss = golden["loss_full"].as_f64().unwrap();
    assert!((trace.loss().unwrap() - loss).abs() < 1e-12 * loss);
    // Figures 15 to 19 and the exercises: every derivative of row 1 and of the mean over rows, by paths and by δ.
    for (rows, name) in [(0..1, "grad_first_row"), (0..10, "grad_all_rows_mean")] {
        let data = Data::new(x.rows_range(rows.clone()), y.rows_range(rows));
        for (segment, part) in ["dW1", "db1", "dW2", "db2", "dW3", "db3"].iter().enumerate() {
            let expected = matrix(&golden[name][*part]);
            for (row, col) in (0..expected.rows()).flat_map(|r| (0..expected.cols()).map(move |c| (r, c))) {
                let parameter = Parameter { segment, row, col };
                let ledger = Ledger::new(&network, &Loss::SquaredError, &data, parameter, 20, &processor).unwrap();
                let expected = expected[(row, col)];
                let close = |x: f64| (x - expected).abs() <= 1e-13 * expected.abs();
                assert!(close(ledger.by_delta), "{name}: {part}: {} is not {expected}", ledger.by_delta);
                assert!(ledger.rows > 1 || close(ledger.by_paths()), "{name}: {part}: {}", ledger.by_paths());
                assert!((ledger.difference - expected).abs() < 1e-6 * expected.abs().max(1.0), "{name}: {part}");
            }
        }
    }
}

#[test]
fn the_weight_of_exercise_4_has_its_two_paths() {
    let (network, golden) = (figure_8(), golden());
    let (x, y) = (matrix(&golden["X"]), matrix(&golden["Y"]));
    let data = Data::new(x.rows_range(0..1), y.rows_range(0..1));
    let processor = Processor::new(1);
    let ledger = |l, i, j| {
        let weight = Parameter::weight(&network, l, i, j, None).unwrap();
        Ledger::new(&network, &Loss::SquaredError, &data, weight, 20, &processor).unwrap()
    };
    let exercise_4 = ledger(1, 1, 2);
    assert_eq!((exercise_4.path_count, exercise_4.paths.len()), (2, 2));
    assert!((exercise_4.by_paths() + 1.447_507_994_982).abs() < 1e-12, "{}", exercise_4.by_paths());
    let names: Vec<&str> = exercise_4.paths[0].factors.iter().map(|factor| factor.derivative.plain.as_str()).collect();
    let expected = [
        "∂J/∂x⁽³⁾₁",
        "∂x⁽³⁾₁/∂z⁽³⁾₁",
        "∂z⁽³⁾₁/∂x⁽²⁾₂",
        "∂x⁽²⁾₂/∂z⁽²⁾₂",
        "∂z⁽²⁾₂/∂x⁽¹⁾₂",
        "∂x⁽¹⁾₂/∂z⁽¹⁾₂",
        "∂z⁽¹⁾₂/∂w⁽¹⁾₁₂",
    ];
    assert_eq!(names, expected);
    let terms: Vec<&str> = exercise_4.paths[0].factors.iter().map(|factor| factor.term.plain.as_str()).collect();
    assert_eq!(terms, ["x⁽³⁾₁ − y₁", "1", "w⁽³⁾₂₁", "relu′(z⁽²⁾₂)", "w⁽²⁾₂₂", "relu′(z⁽¹⁾₂)", "x⁽⁰⁾₁"]);
    assert_eq!(exercise_4.paths[1].value, 0.0, "the receptor z⁽²⁾₁ is negative");
    // Exercises 2 and 3, and further weights of row 1.
    for ((l, i, j), expected) in [
        ((3, 2, 1), -2.772_977_845),
        ((2, 2, 1), 0.0),
        ((2, 2, 2), -6.470_281_638_772),
        ((1, 2, 2), -2.064_478_615_794),
    ] {
        let ledger = ledger(l, i, j);
        assert!((ledger.by_paths() - expected).abs() < 1e-9, "w{l}_{i}{j}: {}", ledger.by_paths());
        assert!((ledger.difference - expected).abs() < 1e-6, "w{l}_{i}{j}: {}", ledger.difference);
    }
}

#[test]
fn the_ledger_of_a_trained_20_64_64_1_closes_to_12_digits() {
    let (x, y) = rows(256, 20, 1);
    let mut network = Network::<f64>::mlp(20, &[64, 64], 1, &Activation::Relu, None, 1).unwrap();
    let options = Options { epochs: 30, batch_size: Some(32), ..Options::default() };
    let processor = Processor::new(1);
    let data = Data::new(x.view(), y.view());
    train(&mut network, &data, None, &options, &processor, &mut |_| ControlFlow::Continue(())).unwrap();
    let row = Data::new(x.rows_range(7..8), y.rows_range(7..8));
    let mut largest = 0.0_f64;
    for (parameter, _) in largest_gradients(&network, &Loss::SquaredError, &row, 40, &processor).unwrap() {
        let ledger = Ledger::new(&network, &Loss::SquaredError, &row, parameter, 20, &processor).unwrap();
        largest = largest.max(ledger.gap());
        assert!(ledger.gap() < 1e-12, "{}: {}", ledger.name, ledger.gap());
        assert!(ledger.paths.is_sorted_by(|a, b| a.value.abs() >= b.value.abs()));
    }
    let first = Parameter::weight(&network, 1, 3, 10, None).unwrap();
    let ledger = Ledger::new(&network, &Loss::SquaredError, &row, first, 20, &processor).unwrap();
    assert_eq!((ledger.path_count, ledger.paths.len()), (64, 20));
}

#[test]
fn the_largest_paths_are_those_of_the_whole_list() {
    let (x, y) = rows(1, 4, 2);
    let processor = Processor::new(1);
    for layers in ["dense:6 tanh dense:5 tanh dense:2", "dense:5 layer_norm tanh dense:2", NETWORKS[7]] {
        let network = network(4, layers, &rows(30, 4, 2).0);
        let data = Data::new(x.view(), y.view());
        for index in (0..network.parameters().len()).step_by(7) {
            let parameter = Parameter::at(&network, index).unwrap();
            let ledger = |most| Ledger::new(&network, &Loss::SquaredError, &data, parameter, most, &processor).unwrap();
            let (few, all) = (ledger(5), ledger(100_000));
            assert_eq!(all.paths.len() as u128, all.path_count, "{layers}: {}", all.name);
            assert_eq!(all.remainder, 0.0);
            for (few, all) in few.paths.iter().zip(&all.paths) {
                assert_eq!(few.value.abs(), all.value.abs(), "{layers}");
            }
            let product = |path: &Path| path.factors.iter().map(|factor| factor.value).product::<f64>();
            for path in &all.paths {
                assert!((product(path) - path.value).abs() <= 1e-12 * path.value.abs().max(1e-9), "{layers}");
            }
        }
    }
}

#[test]
fn every_kind_of_layer_closes_and_passes_the_check() {
    let (x, y) = rows(6, 4, 2);
    let processor = Processor::new(1);
    for layers in NETWORKS {
        let network = network(4, layers, &x);
        let data = Data::new(x.view(), y.view());
        let check = check_gradient(&network, &Loss::SquaredError, &data, usize::MAX, &processor).unwrap();
        assert!(check.passes() && check.compared + check.kinks == check.parameters, "{layers}: {:?}", check.worst[0]);
        assert!(check.kinks * 10 <= check.parameters, "{layers}: {} kinks", check.kinks);
        for rows in [3..4, 0..6] {
            let data = Data::new(x.rows_range(rows.clone()), y.rows_range(rows));
            for index in 0..network.parameters().len() {
                let parameter = Parameter::at(&network, index).unwrap();
                let ledger = Ledger::new(&network, &Loss::SquaredError, &data, parameter, 3, &processor).unwrap();
                let scale = ledger.backpropagation.abs().max(1e-3);
                assert!(ledger.gap() * ledger.backpropagation.abs() <= 1e-12 * scale, "{layers}, {}", ledger.name);
            }
        }
    }
}

#[test]
fn every_loss_closes_and_passes_the_check() {
    let (x, _) = rows(6, 4, 1);
    let processor = Processor::new(1);
    for (loss, outputs) in [
        ("squared_error", 3),
        ("absolute_error", 2),
        ("huber:0.5", 2),
        ("quantile:0.1:0.9", 2),
        ("binary_cross_entropy", 1),
        ("cross_entropy:0.1", 3),
        ("poisson", 1),
    ] {
        let loss: Loss = loss.parse().unwrap();
        let columns = loss.target_columns(outputs).unwrap();
        let y = Matrix::from_vec(6, columns, (0..6 * columns).map(|i| (i % 2) as f64).collect()).unwrap();
        let network = network(4, &format!("dense:5 tanh members:2 dense:{outputs}"), &x);
        let data = Data::new(x.view(), y.view());
        let check = check_gradient(&network, &loss, &data, usize::MAX, &processor).unwrap();
        assert!(check.passes(), "{loss}: {:?}", check.worst[0]);
        let row = Data::new(x.rows_range(0..1), y.rows_range(0..1));
        for index in 0..network.parameters().len() {
            let ledger =
                Ledger::new(&network, &loss, &row, Parameter::at(&network, index).unwrap(), 50, &processor).unwrap();
            assert!(ledger.gap() * ledger.backpropagation.abs() < 1e-13, "{loss}, {}: {}", ledger.name, ledger.gap());
        }
    }
}

/// A gradient by hand for dense-activation networks, with one mistake.
#[derive(Clone, Copy, Default)]
struct Mistakes {
    missing_share: bool,
    sum_for_mean: bool,
    over_outputs: bool,
    transposed: bool,
    at_x: bool,
    no_derivative: bool,
    no_bias: bool,
    path_left_out: bool,
    sign: bool,
    stale: bool,
}

/// 4-3-3-2, tanh: layers 1 and 2 hidden. Mistakes are made in layer 2.
fn wrong(network: &Network<f64>, data: &Data<'_, f64>, m: Mistakes, stale: &Trace) -> Vec<f64> {
    let trace = Trace::new(network, &Loss::SquaredError, data, &Processor::new(1)).unwrap();
    let n = trace.rows();
    let mut gradient = vec![0.0; network.parameters().len()];
    let mut delta = trace.last_delta().clone();
    let factor = if m.missing_share { n as f64 } else { 1.0 } / if m.over_outputs { 2.0 } else { 1.0 };
    delta.as_mut_slice().iter_mut().for_each(|d| *d *= factor);
    for (layer, k) in [(3, 4), (2, 2), (1, 0)] {
        let weights = network.weights(k);
        let x = if m.stale && layer == 2 { stale.output(k) } else { trace.output(k) };
        let segments: Vec<_> = network.layout().segments().iter().filter(|s| s.layer == k).collect();
        for i in 0..n {
            for c in 0..weights.cols() {
                for r in 0..weights.rows() {
                    gradient[segments[0].range.start + r * weights.cols() + c] += x[(i, r)] * delta[(i, c)];
                }
                let times = if m.sum_for_mean && layer == 2 { n as f64 } else { 1.0 };
                gradient[segments[1].range.start + c] += if m.no_bias { 0.0 } else { times * delta[(i, c)] };
            }
        }
        if k == 0 {
            break;
        }
        let (z, x) = (trace.output(k - 1), trace.output(k));
        let mut before = Matrix::zeros(n, weights.rows());
        // δ⁽²⁾ from layer 3, δ⁽¹⁾ from layer 2: mistakes that need a square matrix in the latter.
        let at = |of: usize| layer == of;
        for i in 0..n {
            for r in 0..weights.rows() {
                let from = if m.path_left_out && at(3) { 1 } else { 0 };
                for c in from..weights.cols() {
                    let w = if m.transposed && at(2) { weights.row(c)[r] } else { weights.row(r)[c] };
                    before[(i, r)] += delta[(i, c)] * w;
                }
                let t = if m.at_x && at(3) { Lanes::tanh(x[(i, r)]) } else { Lanes::tanh(z[(i, r)]) };
                before[(i, r)] *= if m.no_derivative && at(3) { 1.0 } else { 1.0 - t * t };
                before[(i, r)] *= if m.sign && at(3) { -1.0 } else { 1.0 };
            }
        }
        delta = before;
    }
    gradient
}

#[test]
fn each_of_ten_planted_mistakes_is_caught_and_named() {
    let (x, y) = rows(5, 4, 2);
    let network = network(4, "dense:3 tanh dense:3 tanh dense:2", &x);
    let data = Data::new(x.view(), y.view());
    let processor = Processor::new(1);
    // An earlier pass: other parameters.
    let mut earlier = network.clone();
    earlier.parameters_mut().iter_mut().for_each(|p| *p *= 0.9);
    let stale = Trace::new(&earlier, &Loss::SquaredError, &data, &processor).unwrap();
    let diagnose = |mistakes| {
        let gradient = wrong(&network, &data, mistakes, &stale);
        let check = check_claim(&network, &Loss::SquaredError, &data, &gradient, usize::MAX, &processor).unwrap();
        let candidate = Candidate::whole(&network, &gradient).unwrap();
        (check, diagnose_gradient(&network, &Loss::SquaredError, &data, &candidate, &processor).unwrap())
    };
    let (check, right) = diagnose(Mistakes::default());
    assert!(check.passes() && right.findings.is_empty(), "{right}");
    let none = Mistakes::default();
    let cases = [
        (Mistakes { missing_share: true, ..none }, Fault::MissingShare, 3, "∂J/∂X⁽³⁾"),
        (Mistakes { sum_for_mean: true, ..none }, Fault::SumForMean, 2, "∂J/∂b⁽²⁾"),
        (Mistakes { over_outputs: true, ..none }, Fault::MeanOverOutputs, 3, "∂J/∂X⁽³⁾"),
        (Mistakes { transposed: true, ..none }, Fault::TransposedWeights, 1, "δ⁽¹⁾"),
        (Mistakes { at_x: true, ..none }, Fault::DerivativeAtX, 2, "δ⁽²⁾"),
        (Mistakes { no_derivative: true, ..none }, Fault::MissingDerivative, 2, "δ⁽²⁾"),
        (Mistakes { no_bias: true, ..none }, Fault::BiasForgotten, 3, "∂J/∂b⁽³⁾"),
        (Mistakes { path_left_out: true, ..none }, Fault::PathLeftOut(1), 2, "δ⁽²⁾"),
        (Mistakes { sign: true, ..none }, Fault::Sign, 2, "δ⁽²⁾"),
        (Mistakes { stale: true, ..none }, Fault::StaleActivation, 2, "∂J/∂W⁽²⁾"),
    ];
    for (mistakes, fault, layer, term) in cases {
        let (check, diagnosis) = diagnose(mistakes);
        assert!(!check.passes(), "{fault:?} passes the check");
        let first = &diagnosis.findings[0];
        assert_eq!((&first.fault, first.layer, first.term.as_str()), (&fault, layer, term), "{diagnosis}");
        let expected = if fault == Fault::BiasForgotten { 3 } else { 1 };
        assert_eq!(diagnosis.findings.len(), expected, "{diagnosis}");
    }
}

#[test]
fn two_mistakes_are_both_named_and_a_part_is_enough() {
    let (x, y) = rows(5, 4, 2);
    let network = network(4, "dense:3 tanh dense:3 tanh dense:2", &x);
    let data = Data::new(x.view(), y.view());
    let processor = Processor::new(1);
    let stale = Trace::new(&network, &Loss::SquaredError, &data, &processor).unwrap();
    let mistakes = Mistakes { missing_share: true, no_derivative: true, ..Mistakes::default() };
    let gradient = wrong(&network, &data, mistakes, &stale);
    let candidate = Candidate::whole(&network, &gradient).unwrap();
    let diagnosis = diagnose_gradient(&network, &Loss::SquaredError, &data, &candidate, &processor).unwrap();
    let faults: Vec<&Fault> = diagnosis.findings.iter().map(|finding| &finding.fault).collect();
    assert_eq!(faults, [&Fault::MissingShare, &Fault::MissingDerivative], "{diagnosis}");
    // Zeros tell nothing of a mistake further up.
    let zeros = Candidate::default().segment(&network, "0.weight", vec![0.0; 12]).unwrap();
    let diagnosis = diagnose_gradient(&network, &Loss::SquaredError, &data, &zeros, &processor).unwrap();
    assert_eq!(diagnosis.to_string(), "layer 1, ∂J/∂W⁽¹⁾: is missing: all 0; right is ∂J/∂W⁽¹⁾ = X⁽⁰⁾ᵀδ⁽¹⁾");
    // Only W of layer 1, from a gradient whose layer 2 went wrong.
    let gradient = wrong(&network, &data, Mistakes { no_derivative: true, ..Mistakes::default() }, &stale);
    let part = gradient[network.layout().segments()[0].range.clone()].to_vec();
    let candidate = Candidate::default().segment(&network, "0.weight", part).unwrap();
    let diagnosis = diagnose_gradient(&network, &Loss::SquaredError, &data, &candidate, &processor).unwrap();
    assert_eq!(
        (&diagnosis.findings[0].fault, diagnosis.findings[0].layer),
        (&Fault::MissingDerivative, 2),
        "{diagnosis}"
    );
}

#[test]
fn contributions_add_up_to_the_change_of_the_output() {
    let (x, _) = rows(6, 4, 2);
    let processor = Processor::new(1);
    for layers in NETWORKS {
        let network = network(4, layers, &x);
        for i in 1..6 {
            let of = |k| integrated_gradients(&network, &Loss::SquaredError, x.row(i), x.row(0), k, 1e-4, &processor);
            let attribution = of(1).unwrap();
            let change = attribution.output - attribution.baseline;
            assert!(attribution.residual.abs() < 1e-3 * change.abs().max(0.1), "{layers}: {attribution:?}");
        }
    }
}

#[test]
fn what_does_not_exist_is_refused_with_what_does() {
    let network = figure_8();
    let message = |result: Result<Parameter, Error>| result.unwrap_err().to_string();
    let expected = "weight: expected 1:FROM,TO with FROM from 1 to 2 and TO from 1 to 3, got 1:3,1";
    assert_eq!(message(Parameter::weight(&network, 1, 3, 1, None)), expected);
    assert_eq!(message(Parameter::weight(&network, 4, 1, 1, None)), "weight: expected a layer from 1 to 3, got 4:1,1");
    assert_eq!(message(Parameter::bias(&network, 0, 1, None)), "bias: expected a layer from 1 to 3, got 0:1");
    assert_eq!(
        message(Parameter::named(&network, "1.weight[1,1]")).split(", got").next().unwrap(),
        "parameter: expected one of 0.weight, 0.bias, 2.weight, 2.bias, 4.weight, 4.bias"
    );
    assert_eq!(
        Parameter::named(&network, "2.weight[3,2]").unwrap(),
        Parameter::weight(&network, 2, 3, 2, None).unwrap()
    );
}
