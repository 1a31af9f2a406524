//! The training doctor: it names what was planted first, and leaves healthy runs in peace.

#![allow(clippy::disallowed_methods)] // its numbers need no certain bits

use chainrule::doctor::{Examination, Fault, Measured, Remedy, Replayed, Suspicion, confirm, examine};
use chainrule::kernels::Lanes;
use chainrule::random::default_rng;
use chainrule::train::Options;
use chainrule::{Activation, Data, Error, Initialiser, Layer, Loss, Matrix, Network, Optimizer, Processor};
use std::convert::Infallible;

/// y = sin 2x₁ + x₁x₂ with a little noise, x from N(0, 1).
fn waves(rows: usize, seed: u64) -> (Matrix<f64>, Matrix<f64>) {
    let mut generator = default_rng(seed);
    let mut numbers = vec![0.0; rows * 3];
    generator.fill_normal(0.0, 1.0, &mut numbers).unwrap();
    let x: Vec<f64> = numbers[..2 * rows].to_vec();
    let y = (0..rows).map(|i| Lanes::sin(2.0 * x[2 * i]) + x[2 * i] * x[2 * i + 1] + 0.1 * numbers[2 * rows + i]);
    (Matrix::from_vec(rows, 2, x.clone()).unwrap(), Matrix::from_vec(rows, 1, y.collect()).unwrap())
}

fn mlp(hidden: &[usize], activation: Activation, start: Option<Initialiser>) -> Network<f64> {
    Network::mlp(2, hidden, 1, &activation, start, 1).unwrap()
}

fn adam(learning_rate: f64, epochs: usize) -> Options {
    Options {
        optimizer: Optimizer::Adam(Default::default()),
        learning_rate: Some(learning_rate),
        epochs,
        batch_size: Some(32),
        ..Options::default()
    }
}

fn examined(network: &Network<f64>, options: &Options) -> Examination<f64> {
    let ((x, y), (hx, hy)) = (waves(300, 5), waves(150, 6));
    let (data, held) = (Data::new(x.view(), y.view()), Data::new(hx.view(), hy.view()));
    examine(network, &data, Some(&held), options, &Processor::new(1)).unwrap()
}

/// The first finding is the planted fault, and its remedy was measured to help.
fn names(examination: &Examination<f64>, planted: Fault) {
    let Some(first) = examination.findings.first() else { panic!("{planted:?} was not found") };
    assert_eq!(first.fault, planted, "{:#?}", examination.findings);
    let (_, measured) = first.remedy.as_ref().unwrap();
    assert!(measured.helps() && measured.rows == 150, "{measured:?}");
}

#[test]
fn the_tutorials_start_on_a_deep_network_is_a_vanishing_signal() {
    let network = mlp(&[32, 32, 32, 32], Activation::Relu, Some(Initialiser::Normal(0.001)));
    let options = Options { optimizer: Optimizer::GradientDescent, learning_rate: Some(0.05), ..adam(0.05, 40) };
    let examination = examined(&network, &options);
    names(&examination, Fault::VanishingSignal);
    let first = &examination.findings[0];
    assert_eq!(first.remedy.as_ref().unwrap().0, Remedy::UsualStart);
    assert!(first.leads_to.iter().any(|(fault, _)| *fault == Fault::ConstantPrediction), "{first:?}");
    assert!(first.evidence.starts_with("σ of input and layers at the start: 0.82 → 0.00097 → "), "{}", first.evidence);
}

#[test]
fn weights_of_size_one_on_a_deep_network_are_an_exploding_signal() {
    let network = mlp(&[64, 64, 64, 64, 64], Activation::Relu, Some(Initialiser::Normal(1.0)));
    names(&examined(&network, &adam(0.001, 20)), Fault::ExplodingSignal);
}

#[test]
fn biases_that_switch_every_relu_off_are_dead_units() {
    let mut network = mlp(&[32, 16], Activation::Relu, None);
    let first = network.layout().segments()[1].range.clone();
    network.parameters_mut()[first].fill(-20.0);
    let examination = examined(&network, &adam(0.003, 30));
    names(&examination, Fault::DeadUnits);
    assert_eq!(examination.findings[0].layer, Some(1));
}

#[test]
fn a_tanh_with_weights_of_size_thirty_is_saturated() {
    let network = mlp(&[32, 32], Activation::Tanh, Some(Initialiser::Normal(30.0)));
    names(&examined(&network, &adam(0.003, 30)), Fault::Saturation);
}

#[test]
fn columns_of_size_a_thousand_are_unscaled_inputs() {
    let (mut x, y) = waves(300, 5);
    for i in 0..300 {
        let row = x.row_mut(i);
        row[0] = 5000.0 + 1000.0 * row[0];
    }
    let (hx, hy) = (x.rows_range(200..300).to_owned(), y.rows_range(200..300).to_owned());
    let (x, y) = (x.rows_range(0..200).to_owned(), y.rows_range(0..200).to_owned());
    let (data, held) = (Data::new(x.view(), y.view()), Data::new(hx.view(), hy.view()));
    let network = mlp(&[32, 32], Activation::Relu, None);
    let examination = examine(&network, &data, Some(&held), &adam(0.003, 40), &Processor::new(1)).unwrap();
    let first = &examination.findings[0];
    assert_eq!(first.fault, Fault::UnscaledInputs, "{:#?}", examination.findings);
    assert_eq!(first.evidence, "inputs are of size 0.98 (column 2) to 5000 (column 1)");
}

#[test]
fn steps_that_jump_about_are_too_large() {
    let examination = examined(&mlp(&[32, 32], Activation::Tanh, None), &adam(1.0, 30));
    names(&examination, Fault::LearningRateTooLarge);
    // Seen by its effect: what a lower rate cures comes from the rate.
    assert!(examination.findings[0].leads_to.iter().any(|(fault, _)| *fault == Fault::Saturation));
}

#[test]
fn weights_that_do_not_move_have_too_small_a_rate() {
    let examination = examined(&mlp(&[32, 32], Activation::Relu, None), &adam(1e-6, 30));
    names(&examination, Fault::LearningRateTooSmall);
    let evidence = &examination.findings[0].evidence;
    assert!(evidence.starts_with("all 300 steps together moved the weights by at most 0."), "{evidence}");
}

#[test]
fn a_batch_norm_of_two_rows_has_too_small_batches() {
    let layers = ["dense:32", "batch_norm", "relu", "dense:32", "batch_norm", "relu", "dense:1"];
    let layers: Vec<Layer> = layers.iter().map(|name| name.parse().unwrap()).collect();
    let network = Network::<f64>::new(2, layers, None, 1).unwrap();
    names(&examined(&network, &Options { batch_size: Some(2), ..adam(0.003, 20) }), Fault::SmallBatches);
}

#[test]
fn weights_that_decay_to_nothing_predict_one_number() {
    let network = mlp(&[32], Activation::Tanh, None);
    let options =
        Options { optimizer: Optimizer::AdamW(Default::default()), weight_decay: Some(300.0), ..adam(0.003, 60) };
    let examination = examined(&network, &options);
    names(&examination, Fault::ConstantPrediction);
    assert_eq!(examination.findings[0].remedy.as_ref().unwrap().0, Remedy::WeightDecay(0.0));
}

#[test]
fn a_loss_that_becomes_infinite_is_told_with_its_operands() {
    let network = mlp(&[8, 8], Activation::Relu, None);
    let options = Options { optimizer: Optimizer::GradientDescent, learning_rate: Some(1e6), ..adam(1.0, 20) };
    let examination = examined(&network, &options);
    let Err(Error::NotFinite { step, rows, operands: Some(operands), .. }) = &examination.report else {
        panic!("{:?}", examination.report)
    };
    assert!(*step > 1 && !rows.is_empty() && !operands.terms.is_empty());
    let first = &examination.findings[0];
    assert_eq!(first.fault, Fault::NotFinite);
    assert!(first.evidence.contains(&format!("step {step}")) && first.evidence.contains("neuron "), "{first:?}");
    assert!(matches!(first.remedy, Some((Remedy::LearningRate(_), Measured { without, .. })) if without.is_infinite()));
}

/// False alarms are defects.
#[test]
fn healthy_runs_have_no_finding() {
    let batch_norm = ["dense:32", "batch_norm", "relu", "dense:1"].map(|name| name.parse().unwrap());
    let networks = [
        ("relu", mlp(&[32, 32], Activation::Relu, None), adam(0.003, 40)),
        ("tanh", mlp(&[64], Activation::Tanh, None), adam(0.01, 40)),
        ("mish", mlp(&[32, 16], Activation::Mish, None), adam(0.003, 60)),
        ("ten layers", mlp(&[24; 10], Activation::Relu, None), adam(0.001, 40)),
        ("logistic", mlp(&[32], Activation::Logistic, None), adam(0.03, 60)),
        ("linear", mlp(&[], Activation::Relu, None), adam(0.01, 40)),
        ("batch norm", Network::new(2, batch_norm.to_vec(), None, 1).unwrap(), adam(0.003, 40)),
        (
            "gradient descent",
            mlp(&[32, 32], Activation::Relu, None),
            Options { optimizer: Optimizer::GradientDescent, ..adam(0.05, 100) },
        ),
        (
            "lbfgs",
            mlp(&[16], Activation::Tanh, None),
            Options {
                optimizer: Optimizer::Lbfgs { memory: 10.0 },
                learning_rate: None,
                batch_size: None,
                ..adam(1.0, 60)
            },
        ),
    ];
    for (name, network, options) in networks {
        let examination = examined(&network, &options);
        assert!(examination.findings.is_empty(), "{name}: {:#?}", examination.findings);
    }
}

#[test]
fn a_target_of_noise_is_no_fault_of_the_run() {
    let (x, _) = waves(200, 7);
    let mut y = Matrix::zeros(200, 1);
    default_rng(8).fill_normal(0.0, 1.0, y.as_mut_slice()).unwrap();
    let (data, held) = (
        Data { x: x.rows_range(0..150), y: y.rows_range(0..150), weights: None },
        Data { x: x.rows_range(150..200), y: y.rows_range(150..200), weights: None },
    );
    let network = mlp(&[32], Activation::Relu, None);
    let examination = examine(&network, &data, Some(&held), &adam(0.003, 60), &Processor::new(1)).unwrap();
    assert!(examination.findings.is_empty(), "{:#?}", examination.findings);
}

#[test]
fn classes_are_examined_as_numbers_are() {
    let (x, y) = waves(300, 5);
    let classes: Vec<f64> = y.as_slice().iter().map(|y| f64::from(u8::from(*y > 0.0))).collect();
    let y = Matrix::from_vec(300, 1, classes).unwrap();
    let data = Data::new(x.view(), y.view());
    let options = Options { loss: Loss::BinaryCrossEntropy, ..adam(0.01, 40) };
    let processor = Processor::new(1);
    let healthy = examine(&mlp(&[32], Activation::Relu, None), &data, None, &options, &processor).unwrap();
    assert!(healthy.findings.is_empty(), "{:#?}", healthy.findings);
    // The entropy of the classes' shares, brought to its minimum by a network of a bias alone.
    let share = y.as_slice().iter().sum::<f64>() / 300.0;
    let entropy = -share * Lanes::ln(share) - (1.0 - share) * Lanes::ln(1.0 - share);
    assert!((healthy.checkup.unwrap().constant - entropy).abs() < 1e-9);
    let tiny = mlp(&[32, 32, 32], Activation::Relu, Some(Initialiser::Normal(0.001)));
    let options = Options { optimizer: Optimizer::GradientDescent, learning_rate: Some(0.1), ..options };
    let ill = examine(&tiny, &data, None, &options, &processor).unwrap();
    assert_eq!(ill.findings[0].fault, Fault::VanishingSignal, "{:#?}", ill.findings);
}

fn told(remedies: &[(Fault, Remedy)], losses: impl Fn(Option<&Remedy>) -> f64) -> Vec<Fault> {
    let suspicion = |(fault, remedy): &(Fault, Remedy)| Suspicion {
        fault: *fault,
        layer: None,
        evidence: String::new(),
        remedies: vec![remedy.clone()],
        certain: false,
    };
    let replay = |remedy: Option<&Remedy>| {
        Ok::<_, Infallible>(Some(Replayed { losses: Some(vec![losses(remedy), losses(remedy)]) }))
    };
    let findings = confirm(remedies.iter().map(suspicion).collect(), 1.0, replay).unwrap();
    findings.iter().map(|finding| finding.fault).collect()
}

#[test]
fn a_suspicion_is_told_only_if_its_remedy_lowers_the_loss_by_a_tenth() {
    let rate = |rate| (Fault::LearningRateTooLarge, Remedy::LearningRate(rate));
    let with = |loss: f64| told(&[rate(0.1)], |remedy| remedy.map_or(1.0, |_| loss));
    assert_eq!(with(0.92), []);
    assert_eq!(with(0.88), [Fault::LearningRateTooLarge]);
}

#[test]
fn a_symptom_that_the_causes_remedy_cures_is_not_told_by_itself() {
    let both = [(Fault::DeadUnits, Remedy::Dropout(0.1)), (Fault::LearningRateTooLarge, Remedy::LearningRate(0.1))];
    // The cause's remedy is nearly as good: it comes first and takes the symptom along.
    let losses = |cause: f64, symptom: f64| {
        move |remedy: Option<&Remedy>| match remedy {
            None => 1.0,
            Some(Remedy::LearningRate(_)) => cause,
            Some(_) => symptom,
        }
    };
    assert_eq!(told(&both, losses(0.52, 0.5)), [Fault::LearningRateTooLarge]);
    // The symptom's is twice as good: it stands by itself.
    assert_eq!(told(&both, losses(0.5, 0.25)), [Fault::DeadUnits, Fault::LearningRateTooLarge]);
}

#[test]
fn a_difference_within_the_rows_noise_does_not_count() {
    // Differences 3, −2.6, …: their mean 0.2 of a loss of 1 is less than two standard errors.
    let without = vec![4.0, 0.4, 4.0, 0.4, 0.0, 0.0];
    let with = [1.0, 3.0, 1.0, 3.0, 0.0, 0.0];
    let suspicion = Suspicion {
        fault: Fault::Overfitting,
        layer: None,
        evidence: String::new(),
        remedies: vec![Remedy::Dropout(0.2)],
        certain: false,
    };
    let replay = |remedy: Option<&Remedy>| {
        let losses = if remedy.is_some() { with.iter().map(|x| x - 0.15).collect() } else { without.clone() };
        Ok::<_, Infallible>(Some(Replayed { losses: Some(losses) }))
    };
    assert_eq!(confirm(vec![suspicion], 1.0, replay).unwrap(), []);
}
