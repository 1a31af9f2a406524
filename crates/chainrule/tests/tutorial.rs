//! The tutorial's numbers, computed with NumPy from its own class and data (testdata/tutorial.json), come out.

use chainrule::backprop::{self, loss_and_gradient};
use chainrule::random::default_rng;
use chainrule::train::{Event, Options, standardise, train};
use chainrule::*;
use serde_json::Value;
use std::ops::ControlFlow;

fn golden() -> Value {
    serde_json::from_str(include_str!("../../../testdata/tutorial.json")).unwrap()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect())
        .collect()
}

fn matrix(value: &Value) -> Matrix<f64> {
    let rows = rows(value);
    Matrix::from_vec(rows.len(), rows[0].len(), rows.concat()).unwrap()
}

/// The document's network: layer l's W and b as the golden file names them.
fn network(params: &Value, hidden: &[Activation]) -> Network<f64> {
    let weights: Vec<Matrix<f64>> = (1..=hidden.len() + 1).map(|l| matrix(&params[format!("W{l}")])).collect();
    let mut layers = Vec::new();
    for (w, activation) in weights.iter().zip(hidden) {
        layers.extend([Layer::Dense { outputs: w.cols() }, Layer::Activation(activation.clone())]);
    }
    layers.push(Layer::Dense { outputs: weights.last().unwrap().cols() });
    let mut network = Network::zeros(weights[0].rows(), layers).unwrap();
    let flat: Vec<f64> = weights
        .iter()
        .enumerate()
        .flat_map(|(l, w)| {
            w.as_slice().iter().copied().chain(rows(&params[format!("b{}", l + 1)]).concat()).collect::<Vec<_>>()
        })
        .collect();
    network.parameters_mut().copy_from_slice(&flat);
    network
}

fn assert_near(got: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (got - expected).abs();
    assert!(error <= tolerance || error <= tolerance * expected.abs(), "{what}: {got} is not {expected}");
}

fn assert_rows<'a>(got: impl Iterator<Item = &'a [f64]>, expected: &Value, what: &str) {
    let (got, expected): (Vec<&[f64]>, _) = (got.collect(), rows(expected));
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
        for (j, (got, expected)) in got.iter().zip(expected).enumerate() {
            assert_near(*got, *expected, 1e-14, &format!("{what}[{i}, {j}]"));
        }
    }
}

#[test]
fn every_z_and_x_of_the_worked_example_is_the_tutorial_s() {
    let golden = &golden()["hand_worked"];
    let network = network(&golden["params"], &[Activation::Relu, Activation::Relu]);
    let x = matrix(&golden["X"]);
    let mut workspace = Workspace::new(&network, x.rows(), 1);
    backprop::forward(&network, x.view(), None, &mut workspace, &Processor::new(1));
    // Outputs: X⁽⁰⁾, Z⁽¹⁾, X⁽¹⁾, Z⁽²⁾, X⁽²⁾, Z⁽³⁾.
    for (k, name) in ["X", "Z1", "X1", "Z2", "X2", "Z3"].into_iter().enumerate() {
        assert_rows(workspace.output(k), &golden[name], name);
    }
    assert_rows(workspace.output(5), &golden["X3"], "X3");
}

#[test]
fn every_delta_and_gradient_of_the_worked_example_is_the_tutorial_s() {
    let golden = &golden()["hand_worked"];
    let network = network(&golden["params"], &[Activation::Relu, Activation::Relu]);
    let (x, y) = (matrix(&golden["X"]), matrix(&golden["Y"]));
    let data = Data::new(x.view(), y.view());
    for (batch, expected) in [(Some(&[0_usize][..]), &golden["grad_first_row"]), (None, &golden["grad_all_rows_mean"])]
    {
        let mut workspace = Workspace::new(&network, x.rows(), 1);
        let mut gradient = vec![0.0; network.parameters().len()];
        let loss = loss_and_gradient(
            &network,
            &Loss::SquaredError,
            &data,
            batch,
            Mode::Evaluation,
            &mut workspace,
            &Processor::new(1),
            &mut gradient,
        );
        if batch.is_none() {
            assert_near(loss, golden["loss_full"].as_f64().unwrap(), 1e-14, "J");
        }
        for (k, name) in [(1, "dZ1"), (3, "dZ2"), (5, "dZ3")] {
            assert_rows(workspace.delta(k), &expected[name], name);
        }
        for (segment, name) in network.layout().segments().iter().zip(["dW1", "db1", "dW2", "db2", "dW3", "db3"]) {
            let part = &gradient[segment.range.clone()];
            assert_rows(part.chunks(segment.shape[1]), &expected[name], name);
        }
    }
}

#[test]
fn the_four_training_runs_print_the_tutorial_s_lines_and_end_at_its_parameters() {
    let golden = golden();
    let x = matrix(&golden["hand_worked"]["X"]);
    let y = matrix(&golden["hand_worked"]["Y"]);
    for run in golden["training"].as_array().unwrap() {
        let dims: Vec<usize> =
            run["layers_dims"].as_array().unwrap().iter().map(|d| d.as_u64().unwrap() as usize).collect();
        let hidden: Vec<Activation> = match &run["hidden"] {
            Value::String(name) => vec![name.parse().unwrap(); dims.len() - 2],
            names => names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().parse().unwrap()).collect(),
        };
        let layers = network(&run["initial"], &hidden).layers().to_vec();
        let seed = run["seed"].as_u64().unwrap();
        let mut network_ = Network::new(dims[0], layers, Some("normal".parse().unwrap()), seed).unwrap();
        assert_eq!(network_, network(&run["initial"], &hidden), "the start is bit-equal");
        let x = if run["standardise"].as_bool().unwrap() { standardise(&x).0 } else { x.clone() };
        let options = Options {
            optimizer: Optimizer::GradientDescent,
            learning_rate: run["learning_rate"].as_f64(),
            epochs: run["n_it"].as_u64().unwrap() as usize,
            batch_size: None,
            ..Options::default()
        };
        let mut printed = Vec::new();
        let mut watch = |event: Event<'_>| {
            if let Event::Step { step, loss, .. } = event
                && (step - 1) % 100 == 0
            {
                printed.push(format!("Iteration {}: Loss = {loss:.6}", step - 1));
            }
            ControlFlow::Continue(())
        };
        let data = Data::new(x.view(), y.view());
        train(&mut network_, &data, None, &options, &Processor::new(1), &mut watch).unwrap();
        let expected: Vec<&str> =
            run["printed"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
        assert_eq!(printed, expected);
        for (got, expected) in network_.parameters().iter().zip(network(&run["final"], &hidden).parameters()) {
            assert_near(*got, *expected, 1e-9, "a final parameter");
        }
    }
}

#[test]
fn the_tutorial_s_data_come_from_seed_1() {
    let golden = &golden()["hand_worked"];
    let mut rng = default_rng(1);
    let x: Vec<f64> = (0..20).map(|_| (rng.uniform(3.0, 9.0).unwrap() * 10.0).round_ties_even() / 10.0).collect();
    assert_eq!(x, matrix(&golden["X"]).as_slice());
    let y: Vec<f64> = x
        .chunks(2)
        .map(|row| (row[0] * row[0] + row[1] * row[1] + rng.normal(0.0, 3.0).unwrap()).round_ties_even())
        .collect();
    assert_eq!(y, matrix(&golden["Y"]).as_slice());
}
