//! The training loop: what changes nothing, what ends it, and what it leaves behind.

use super::*;
use crate::kernels::InstructionSet;

fn numbers<T: Scalar>(rows: usize, cols: usize, seed: u64) -> Matrix<T> {
    let mut data = vec![T::ZERO; rows * cols];
    default_rng(seed).fill_normal(0.0, 1.0, &mut data).unwrap();
    Matrix::from_vec(rows, cols, data).unwrap()
}

fn network<T: Scalar>(inputs: usize, layers: &str) -> Network<T> {
    let layers = layers.split(' ').map(|layer| layer.parse().unwrap()).collect();
    Network::new(inputs, layers, None, 5).unwrap()
}

fn silent(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// All bits of a network after training and of the report, on every instruction set and with one to eight threads.
fn trained_alike<T: Scalar>(inputs: usize, layers: &str, rows: usize, batch: usize, expect_sharing: bool) {
    let start = network::<T>(inputs, layers);
    let (x, y) = (numbers::<T>(rows, inputs, 1), numbers::<T>(rows, start.outputs(), 2));
    let (v, w) = (numbers::<T>(37, inputs, 3), numbers::<T>(37, start.outputs(), 4));
    let weights: Vec<T> = (0..rows).map(|i| T::from_f64((i % 5) as f64)).collect();
    let data = Data { x: x.view(), y: y.view(), weights: Some(&weights) };
    let validation = Data::new(v.view(), w.view());
    let options = Options {
        epochs: 2,
        batch_size: Some(batch),
        clip_norm: Some(0.5),
        l1: 1e-4,
        l2: 1e-4,
        seed: 3,
        ..Options::default()
    };
    let mut first: Option<(Vec<u64>, u64)> = None;
    for set in InstructionSet::available() {
        for threads in [1, 2, 3, 4, 5, 8] {
            let mut network = start.clone();
            let processor = Processor::with_instruction_set(threads, set);
            let report = train(&mut network, &data, Some(&validation), &options, &processor, &mut silent).unwrap();
            assert_eq!(report.threads, if expect_sharing { processor.threads() } else { 1 }, "{layers}");
            let bits = network.parameters().iter().chain(network.running()).map(|p| p.bits()).collect();
            let result = (bits, report.validation_loss.unwrap().to_bits());
            let same = first.as_ref().is_none_or(|first| *first == result);
            assert!(same, "{layers} in {} with {} on {threads} threads", T::NAME, set.name());
            first.get_or_insert(result);
        }
    }
}

#[test]
fn threads_and_instructions_change_no_bit_of_training() {
    let small = "batch_norm dense:13 batch_norm gelu dropout:0.3 dense:7 layer_norm tanh dense:3";
    trained_alike::<f64>(5, small, 101, 23, false);
    trained_alike::<f32>(5, small, 101, 23, false);
    let large = "dense:131 batch_norm relu dropout:0.2 dense:67 layer_norm mish dense:33 batch_norm elu dense:3";
    trained_alike::<f64>(29, large, 391, 193, true);
    trained_alike::<f32>(29, large, 391, 193, true);
}

#[test]
fn a_row_s_output_is_the_same_alone_and_among_others() {
    fn check<T: Scalar>() {
        let network = network::<T>(29, "dense:131 batch_norm gelu dropout:0.2 dense:67 layer_norm mish dense:3");
        let x = numbers::<T>(1000, 29, 8);
        for set in InstructionSet::available() {
            for threads in [1, 3] {
                let processor = Processor::with_instruction_set(threads, set);
                let all = network.forward(x.view(), &processor).unwrap();
                for start in (0..1000 - 7).step_by(61) {
                    let seven = network.forward(x.rows_range(start..start + 7), &processor).unwrap();
                    let alone = network.forward(x.rows_range(start..start + 1), &processor).unwrap();
                    assert_eq!(seven.as_slice(), all.rows_range(start..start + 7).as_slice());
                    assert_eq!(alone.as_slice(), all.row(start));
                }
            }
        }
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn the_best_epoch_s_parameters_are_restored_and_patience_ends_the_run() {
    // One weight w for y = wx at x = 1, target 1 in training, 0.5 in validation: w rises from 0 by 0.2(1 − w) a step to
    // 0.2, 0.36, 0.488, 0.5904, 0.67232, …; 0.488 is nearest to 0.5, so epoch 3 is best, and patience 2 ends epoch 5.
    // The rows (1, 1) and (−1, −1) leave the bias at 0.
    let mut network = Network::<f64>::zeros(1, vec!["dense:1".parse().unwrap()]).unwrap();
    let (x, y) = (Matrix::from_rows(&[[1.0], [-1.0]]), Matrix::from_rows(&[[1.0], [-1.0]]));
    let half = Matrix::from_rows(&[[0.5], [-0.5]]);
    let (data, validation) = (Data::new(x.view(), y.view()), Data::new(x.view(), half.view()));
    let options = Options {
        optimizer: Optimizer::GradientDescent,
        learning_rate: Some(0.2),
        batch_size: None,
        patience: Some(2),
        ..Options::default()
    };
    let report = train(&mut network, &data, Some(&validation), &options, &Processor::new(1), &mut silent).unwrap();
    assert_eq!((report.ended, report.epochs, report.best_epoch), (Ended::Patience, 5, 3));
    assert!((network.parameters()[0] - 0.488).abs() < 1e-15 && network.parameters()[1] == 0.0);
    // ½(0.488 − 0.5)² = 0.000072
    assert!((report.validation_loss.unwrap() - 0.000_072).abs() < 1e-15);
}

#[test]
fn a_run_that_explodes_says_where_and_keeps_finite_parameters() {
    let mut network = network::<f64>(3, "dense:8 relu dense:1");
    let (x, y) = (numbers(20, 3, 1), numbers(20, 1, 2));
    let options = Options {
        optimizer: Optimizer::GradientDescent,
        learning_rate: Some(1e10),
        batch_size: Some(5),
        ..Options::default()
    };
    let data = Data::new(x.view(), y.view());
    let error = train(&mut network, &data, None, &options, &Processor::new(1), &mut silent).unwrap_err();
    let Error::NotFinite { what: "the loss", epoch, step, layer, rows, operands } = error else { panic!("{error}") };
    let operands = operands.unwrap();
    assert!(operands.neuron < 8 && !operands.value.is_finite() && !operands.terms.is_empty(), "{operands:?}");
    assert!(epoch >= 1 && step.div_ceil(4) == epoch, "epoch {epoch}, step {step}");
    assert!(layer.is_none_or(|layer| layer < 3));
    assert!(!rows.is_empty() && rows.len() <= 5 && rows.iter().all(|&row| row < 20), "{rows:?}");
    assert!(network.parameters().iter().all(|p| p.is_finite()));
}

#[test]
fn a_plateau_lowers_the_rate_when_patience_is_over() {
    // Targets are met from the start: the loss is 0 in every epoch, first seen in epoch 1 and never bettered.
    // With patience 1 the rate falls after two epochs without improvement: for epochs 4 and 5, then 6 and 7.
    let mut network = Network::<f64>::zeros(1, vec!["dense:1".parse().unwrap()]).unwrap();
    let (x, y) = (Matrix::from_rows(&[[1.0], [2.0]]), Matrix::from_rows(&[[0.0], [0.0]]));
    let options = Options {
        optimizer: Optimizer::GradientDescent,
        learning_rate: Some(0.5),
        schedule: Schedule::Plateau { factor: 0.5, patience: 1.0 },
        batch_size: None,
        epochs: 7,
        ..Options::default()
    };
    let mut rates = Vec::new();
    let mut watch = |event: Event<'_>| {
        if let Event::Epoch(epoch) = event {
            rates.push(epoch.learning_rate);
        }
        ControlFlow::Continue(())
    };
    train(&mut network, &Data::new(x.view(), y.view()), None, &options, &Processor::new(1), &mut watch).unwrap();
    assert_eq!(rates, [0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]);
}

#[test]
fn n_calls_of_one_epoch_are_one_call_of_n() {
    let (x, y) = (numbers::<f64>(50, 4, 1), numbers::<f64>(50, 2, 2));
    let data = Data::new(x.view(), y.view());
    for optimizer in ["gradient_descent", "nesterov", "adam_hat", "adamw"] {
        let options = Options {
            optimizer: optimizer.parse().unwrap(),
            schedule: "inverse_scaling".parse().unwrap(),
            epochs: 4,
            batch_size: Some(8),
            alpha: 0.1,
            seed: 3,
            ..Options::default()
        };
        let start = network::<f64>(4, "dense:5 tanh dropout:0.3 dense:2");
        let (mut whole, mut piecewise) = (start.clone(), start);
        let processor = Processor::new(1);
        train(&mut whole, &data, None, &options, &processor, &mut silent).unwrap();
        let mut progress = Progress::new();
        for epoch in 1..=4 {
            let call = resume(&mut piecewise, &data, None, &options, &mut progress, 1, &processor, &mut silent);
            assert_eq!(call.unwrap().epochs, epoch);
        }
        assert_eq!((progress.epochs, progress.steps), (4, 28));
        assert_eq!(whole.parameters(), piecewise.parameters(), "{optimizer}");
    }
}

#[test]
fn another_optimizer_s_progress_is_refused() {
    let (x, y) = (numbers::<f64>(9, 3, 1), numbers::<f64>(9, 1, 2));
    let data = Data::new(x.view(), y.view());
    let mut network = network::<f64>(3, "dense:1");
    let mut progress = Progress::new();
    let adam = Options::default();
    let plain = Options { optimizer: Optimizer::GradientDescent, ..Options::default() };
    let processor = Processor::new(1);
    resume(&mut network, &data, None, &adam, &mut progress, 1, &processor, &mut silent).unwrap();
    let error = resume(&mut network, &data, None, &plain, &mut progress, 1, &processor, &mut silent).unwrap_err();
    assert_eq!(error.to_string(), "the optimizer's memory: expected 0, got 4");
}

#[test]
fn alpha_is_an_l2_penalty_divided_by_the_batch_s_weight() {
    // Nine rows in batches of 3: α/3 in every step, so α = 0.6 is l2 = 0.2 to the last bit.
    let (x, y) = (numbers::<f64>(9, 3, 1), numbers::<f64>(9, 1, 2));
    let data = Data::new(x.view(), y.view());
    let run = |alpha, l2| {
        let mut network = network::<f64>(3, "dense:1");
        let options = Options { alpha, l2, batch_size: Some(3), epochs: 2, shuffle: false, ..Options::default() };
        let mut penalties = Vec::new();
        let mut watch = |event: Event<'_>| {
            if let Event::Epoch(epoch) = event {
                penalties.push(epoch.penalty);
            }
            ControlFlow::Continue(())
        };
        train(&mut network, &data, None, &options, &Processor::new(1), &mut watch).unwrap();
        (network.parameters().to_vec(), penalties)
    };
    let (divided, penalties) = run(0.6, 0.0);
    assert_eq!(divided, run(0.0, 0.6 / 3.0).0);
    assert!(penalties.iter().all(|&penalty| penalty > 0.0));
    // One step: ½α‖W‖²/Σw of the start.
    let w = network::<f64>(3, "dense:1").weights(0).as_slice().to_vec();
    let mut first = network::<f64>(3, "dense:1");
    let options = Options { alpha: 0.6, batch_size: None, epochs: 1, ..Options::default() };
    let mut watch = |event: Event<'_>| {
        if let Event::Epoch(epoch) = event {
            let expected = 0.5 * 0.6 / 9.0 * w.iter().map(|w| w * w).sum::<f64>();
            assert!((epoch.penalty - expected).abs() <= 1e-15 * expected, "{} is not {expected}", epoch.penalty);
        }
        ControlFlow::Continue(())
    };
    train(&mut first, &data, None, &options, &Processor::new(1), &mut watch).unwrap();
}

#[test]
fn without_shuffling_every_epoch_has_the_rows_order() {
    // Gradient descent over batches of one row, by hand: θ ← θ − η(θx − y)x, rows 0, 1, 2 and again.
    let x = Matrix::from_rows(&[[1.0], [2.0], [-1.0]]);
    let y = Matrix::from_rows(&[[0.5], [-1.0], [2.0]]);
    let mut network = Network::<f64>::zeros(1, vec!["dense:1".parse().unwrap()]).unwrap();
    let options = Options {
        optimizer: Optimizer::GradientDescent,
        learning_rate: Some(0.25),
        batch_size: Some(1),
        epochs: 2,
        shuffle: false,
        ..Options::default()
    };
    train(&mut network, &Data::new(x.view(), y.view()), None, &options, &Processor::new(1), &mut silent).unwrap();
    let (mut w, mut b) = (0.0_f64, 0.0_f64);
    for i in [0, 1, 2, 0, 1, 2] {
        let delta = w * x[(i, 0)] + b - y[(i, 0)];
        (w, b) = (w - 0.25 * delta * x[(i, 0)], b - 0.25 * delta);
    }
    assert!((network.parameters()[0] - w).abs() < 1e-15 && (network.parameters()[1] - b).abs() < 1e-15);
}

#[test]
fn lbfgs_ends_at_its_limits() {
    let (x, y) = (numbers::<f64>(60, 3, 1), numbers::<f64>(60, 1, 2));
    let data = Data::new(x.view(), y.view());
    let run = |limits| {
        let options = Options {
            optimizer: Optimizer::Lbfgs { memory: 10.0 },
            epochs: 500,
            batch_size: None,
            limits,
            ..Options::default()
        };
        let mut network = network::<f64>(3, "dense:6 tanh dense:1");
        train(&mut network, &data, None, &options, &Processor::new(1), &mut silent).unwrap()
    };
    let near = run(Limits { gradient: 1e-3, ..Limits::default() });
    assert_eq!(near.ended, Ended::Converged);
    let nearer = run(Limits { decrease: 1e-6, ..Limits::default() });
    assert_eq!(nearer.ended, Ended::Converged);
    assert!(near.epochs < nearer.epochs, "{} and {}", near.epochs, nearer.epochs);
    let spent = run(Limits { evaluations: Some(5), ..Limits::default() });
    assert_eq!(spent.ended, Ended::Spent);
    assert!(spent.epochs <= 5);
    let mut network = network::<f64>(3, "dense:1");
    let options = Options { limits: Limits { gradient: 1.0, ..Limits::default() }, ..Options::default() };
    let error = train(&mut network, &data, None, &options, &Processor::new(1), &mut silent).unwrap_err();
    assert_eq!(error.to_string(), "limits: expected lbfgs, whose limits they are, got adam");
}

#[test]
fn a_run_may_be_stopped_in_its_first_step() {
    let mut network = network::<f64>(3, "dense:8 relu dense:1");
    let (x, y) = (numbers(20, 3, 1), numbers(20, 1, 2));
    let options = Options { batch_size: Some(5), ..Options::default() };
    let data = Data::new(x.view(), y.view());
    let stop = &mut |_: Event<'_>| ControlFlow::Break(());
    let report = train(&mut network, &data, None, &options, &Processor::new(1), stop).unwrap();
    assert_eq!((report.ended, report.steps), (Ended::Stopped, 1));
}

/// Everything that a run tells and leaves, with the steps of a small network or without.
fn told<T: Scalar>(
    small: bool,
    set: InstructionSet,
    start: &Network<T>,
    data: &Data<'_, T>,
    options: &Options,
) -> String {
    let processor = Processor::with_instruction_set(1, set);
    let mut network = start.clone();
    let mut progress = Progress::new();
    progress.fit(&network, options).unwrap();
    let mut trainer = Trainer::new(&network, data, options, progress, &processor);
    assert!(trainer.small.is_some(), "a small network");
    if !small {
        trainer.small = None;
    }
    let mut told = Vec::new();
    let mut watch = |event: Event<'_>| {
        told.push(format!("{event:?}"));
        ControlFlow::Continue(())
    };
    let report = trainer.run(options.epochs, &mut network, data, None, &processor, &mut watch);
    let bits: Vec<u64> = network.parameters().iter().map(|p| p.bits()).collect();
    // After a failure nobody asks for the gradient.
    let gradient: Vec<u64> = trainer.gradient.iter().filter(|_| report.is_ok()).map(|g| g.bits()).collect();
    format!("{told:#?} {report:?} {bits:?} {gradient:?}")
}

fn small_alike<T: Scalar>() {
    let squared = || Loss::SquaredError;
    let classes = || Loss::CrossEntropy { smoothing: 0.1 };
    let cases = [
        ("dense:3 tanh dense:2 relu dense:1", 2, 10, 10, squared(), Options::default()),
        ("dense:3 tanh dense:2 relu dense:1", 2, 10, 1, squared(), Options { l1: 1e-3, ..Options::default() }),
        ("dense:1", 7, 37, 8, squared(), Options { clip_norm: Some(0.1), ..Options::default() }),
        (
            "dense:17 mish dense:9 dense:5",
            3,
            41,
            20,
            classes(),
            Options { clip_value: Some(0.01), ..Options::default() },
        ),
        (
            "dense:33 gelu dense:4",
            1,
            70,
            40,
            classes(),
            Options { l2: 0.1, weight_decay: Some(0.1), ..Options::default() },
        ),
        ("dense:8 logistic dense:8 elu dense:2", 5, 23, 11, squared(), Options { alpha: 0.01, ..Options::default() }),
    ];
    for (layers, inputs, rows, batch, loss, options) in cases {
        let start = network::<T>(inputs, layers);
        let columns = loss.target_columns(start.outputs()).unwrap();
        let y: Vec<T> = (0..rows * columns).map(|i| T::from_f64((i % start.outputs().max(2)) as f64)).collect();
        let (x, y) = (numbers::<T>(rows, inputs, 1), Matrix::from_vec(rows, columns, y).unwrap());
        let weights: Vec<T> = (0..rows).map(|i| T::from_f64((i % 3) as f64 + 0.25)).collect();
        for optimizer in ["sgd", "adam", "adamw"] {
            let optimizer = optimizer.parse().unwrap();
            let options =
                Options { loss: loss.clone(), optimizer, epochs: 3, batch_size: Some(batch), ..options.clone() };
            for weights in [None, Some(&weights[..])] {
                let data = Data { x: x.view(), y: y.view(), weights };
                let expected = told(false, InstructionSet::NAIVE, &start, &data, &options);
                for set in InstructionSet::available() {
                    let got = told(true, set, &start, &data, &options);
                    assert!(got == expected, "{layers} in {} with {}:\n{got}\n{expected}", T::NAME, set.name());
                }
            }
        }
    }
}

#[test]
fn a_small_network_s_steps_have_the_bits_of_a_pass() {
    small_alike::<f32>();
    small_alike::<f64>();
}

#[test]
fn a_small_network_that_explodes_says_where() {
    let start = network::<f64>(1, "dense:2 relu dense:1");
    let (x, y) = (numbers::<f64>(5, 1, 1), numbers::<f64>(5, 1, 2));
    let options = Options { learning_rate: Some(1e200), optimizer: Optimizer::GradientDescent, ..Options::default() };
    let data = Data::new(x.view(), y.view());
    let set = InstructionSet::detect();
    let explosion = |small| told(small, set, &start, &data, &options);
    assert!(explosion(true).contains("NotFinite") && explosion(true) == explosion(false), "{}", explosion(true));
}
