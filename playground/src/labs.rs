//! The chapters that the tutorial leaves open, as short experiments: each claim is computed when it is read.

use crate::{Fault, processor};
use chainrule::backprop::loss_and_gradient;
use chainrule::explain::{Trace, number};
use chainrule::kernels::{Lanes, sum_of_squares};
use chainrule::network::Role;
use chainrule::random::default_rng;
use chainrule::train::{Event, Options, train};
use chainrule::{Activation, Data, Initialiser, Layer, Loss, Matrix, Mode, Network, Optimizer, Workspace};
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// What a lab shows: lines, and claims with what was measured.
#[derive(Default)]
struct Shown {
    charts: Vec<Value>,
    claims: Vec<(bool, String)>,
}

type Points = Vec<(f64, f64)>;

impl Shown {
    fn chart(&mut self, title: &str, across: &str, log: bool, series: Vec<(&str, Points)>) {
        let series: Vec<Value> =
            series.into_iter().map(|(name, points)| json!({"name": name, "points": points})).collect();
        self.charts.push(json!({"title": title, "across": across, "log": log, "series": series}));
    }

    fn claim(&mut self, holds: bool, text: String) {
        self.claims.push((holds, text));
    }
}

/// Runs a lab.
pub(crate) fn lab(id: &str) -> Result<Value, Fault> {
    let shown = match id {
        "activation" => activation()?,
        "initialisation" => initialisation()?,
        "vanishing" => vanishing()?,
        "dropout" => dropout()?,
        "decay" => decay()?,
        "stopping" => stopping()?,
        "norm" => norm()?,
        other => return Err(Fault(format!("there is no lab {other}"))),
    };
    let claims: Vec<Value> = shown.claims.iter().map(|(holds, text)| json!({"holds": holds, "text": text})).collect();
    Ok(json!({"charts": shown.charts, "claims": claims}))
}

fn activation() -> Result<Shown, Fault> {
    let set = processor().instruction_set();
    let z: Vec<f64> = (0..=160).map(|i| f64::from(i) / 20.0 - 4.0).collect();
    let names = ["relu", "leaky_relu", "tanh", "logistic", "gelu", "mish"];
    let (mut values, mut slopes) = (Vec::new(), Vec::new());
    let mut steepest = Vec::new();
    for name in names {
        let activation: Activation = name.parse()?;
        let (mut x, mut slope) = (z.clone(), vec![1.0; z.len()]);
        activation.activate(set, &z, &mut x);
        activation.differentiate(set, &z, &x, &mut slope);
        steepest.push(slope.iter().fold(f64::MIN, |max, s| max.max(*s)));
        let pairs = |y: &[f64]| z.iter().copied().zip(y.iter().copied()).collect::<Points>();
        values.push((name, pairs(&x)));
        slopes.push((name, pairs(&slope)));
    }
    let mut shown = Shown::default();
    shown.chart("a(z)", "z", false, values);
    shown.chart("a′(z)", "z", false, slopes);
    shown.claim(steepest[3] <= 0.25, format!("The logistic function's slope is never above ¼ (largest here: {}); through ten such layers a derivative shrinks at least 4¹⁰ ≈ a million times, but for the weights.", number(steepest[3], 6)));
    shown.claim(
        steepest[2] > 0.999 && steepest[2] <= 1.0,
        format!(
            "tanh's slope reaches 1 at 0 ({}) and falls off at both sides: saturated neurons learn slowly.",
            number(steepest[2], 6)
        ),
    );
    // f(x + d) + f(x − d) − 2f(x) is 0 where f is straight.
    let bend = |activation: &Activation| -> Result<f64, Fault> {
        let network = Network::<f64>::mlp(2, &[8, 8], 1, activation, None, 1)?;
        let rows = Matrix::from_rows(&[[0.4, 0.9], [-0.6, -0.3], [-0.1, 0.3]]);
        let y = network.forward(rows.view(), processor())?;
        Ok((y[(0, 0)] + y[(1, 0)] - 2.0 * y[(2, 0)]).abs())
    };
    let (straight, bent) = (bend(&Activation::Identity)?, bend(&Activation::Tanh)?);
    shown.claim(straight < 1e-12 && bent > 1e-4, format!("Without a bend in the activation three layers are worth one: f(x + d) + f(x − d) − 2f(x) is {} with the identity, {} with tanh.", number(straight, 2), number(bent, 2)));
    Ok(shown)
}

/// Normal rows.
fn normal_rows(rows: usize, columns: usize, seed: u64) -> Result<Matrix<f64>, Fault> {
    let mut data = vec![0.0; rows * columns];
    default_rng(seed).fill_normal(0.0, 1.0, &mut data)?;
    Ok(Matrix::from_vec(rows, columns, data)?)
}

/// The root mean square of what each layer's neurons send.
fn sizes(network: &Network<f64>, x: &Matrix<f64>) -> Result<Points, Fault> {
    let trace = Trace::forward(network, &Loss::SquaredError, x.view(), processor())?;
    let hidden = (0..network.layers().len()).filter(|k| matches!(network.layers()[*k], Layer::Activation(_)));
    let size = |k: usize| {
        let output = trace.output(k + 1).as_slice();
        (sum_of_squares(processor().instruction_set(), output) / output.len() as f64).sqrt()
    };
    Ok(hidden.zip(1..).map(|(k, l)| (f64::from(l), size(k))).collect())
}

fn initialisation() -> Result<Shown, Fault> {
    let x = normal_rows(200, 50, 1)?;
    let of = |init: Initialiser| -> Result<Points, Fault> {
        sizes(&Network::mlp(50, &[50; 10], 1, &Activation::Relu, Some(init), 1)?, &x)
    };
    let [tiny, glorot, he] =
        [of(Initialiser::Normal(0.001))?, of(Initialiser::GlorotNormal)?, of(Initialiser::HeNormal)?];
    let ratio = |points: &Points| points[9].1 / points[0].1;
    let (lost, halved, kept) = (ratio(&tiny), ratio(&glorot), ratio(&he));
    let mut shown = Shown::default();
    shown.chart(
        "Size of the signal, layer by layer",
        "layer",
        true,
        vec![("normal:0.001", tiny), ("glorot_normal", glorot), ("he_normal", he)],
    );
    shown.claim(lost < 1e-15, format!("From N(0, 0.001²), the tutorial's start, the signal dies: the tenth layer sends {} of what the first sends.", number(lost, 2)));
    shown.claim(
        (0.3..3.0).contains(&kept),
        format!(
            "he_normal, N(0, 2/n), keeps its size through relu layers: the tenth layer sends {} of the first.",
            number(kept, 3)
        ),
    );
    shown.claim(
        halved < 0.2,
        format!(
            "glorot_normal is made for tanh; through relu each layer halves the square: {} is left.",
            number(halved, 2)
        ),
    );
    let mut network = Network::mlp(2, &[4], 1, &Activation::Tanh, Some(Initialiser::Constant(0.3)), 1)?;
    let (x, y) = bowl(40, 1)?;
    learn(&mut network, (&x, &y), None, &Options { epochs: 50, batch_size: None, ..quick() })?;
    let weights = network.weights(0);
    let spread = (1..4)
        .flat_map(|j| (0..2).map(move |i| (i, j)))
        .map(|(i, j)| (weights.row(i)[j] - weights.row(i)[0]).abs())
        .fold(0.0, f64::max);
    shown.claim(
        spread == 0.0,
        format!(
            "Equal weights stay equal for ever: after 50 steps from a constant start the four neurons differ by {}.",
            number(spread, 2)
        ),
    );
    Ok(shown)
}

/// ‖∂J/∂W⁽ˡ⁾‖ of every layer.
fn gradient_sizes(network: &Network<f64>, x: &Matrix<f64>, y: &Matrix<f64>) -> Points {
    let mut gradient = vec![0.0; network.parameters().len()];
    let mut workspace = Workspace::new(network, x.rows(), 1);
    let data = Data::new(x.view(), y.view());
    loss_and_gradient(
        network,
        &Loss::SquaredError,
        &data,
        None,
        Mode::Evaluation,
        &mut workspace,
        processor(),
        &mut gradient,
    );
    let weights = network.layout().segments().iter().filter(|segment| segment.role == Role::Weights);
    weights
        .zip(1..)
        .map(|(segment, l)| {
            (f64::from(l), sum_of_squares(processor().instruction_set(), &gradient[segment.range.clone()]).sqrt())
        })
        .collect()
}

fn vanishing() -> Result<Shown, Fault> {
    let x = normal_rows(100, 20, 2)?;
    let mut y = Matrix::zeros(100, 1);
    (0..100).for_each(|i| y[(i, 0)] = x[(i, 0)] - x[(i, 1)]);
    let of = |activation: Activation, init: Initialiser| -> Result<Points, Fault> {
        Ok(gradient_sizes(&Network::mlp(20, &[20; 9], 1, &activation, Some(init), 1)?, &x, &y))
    };
    let logistic = of(Activation::Logistic, Initialiser::GlorotNormal)?;
    let relu = of(Activation::Relu, Initialiser::HeNormal)?;
    let large = of(Activation::Relu, Initialiser::Normal(0.8))?;
    let ratio = |points: &Points| points[0].1 / points[9].1;
    let (vanished, steady, exploded) = (ratio(&logistic), ratio(&relu), large[0].1 / relu[0].1);
    let mut shown = Shown::default();
    shown.chart(
        "Length of ∂J/∂W, layer by layer",
        "layer",
        true,
        vec![("logistic, glorot", logistic), ("relu, he", relu), ("relu, N(0, 0.8²)", large)],
    );
    shown.claim(vanished < 1e-4, format!("Vanishing: with logistic neurons the first layer's gradient is {} of the last's. Each layer on the way back multiplies by a slope of at most ¼.", number(vanished, 2)));
    shown.claim(
        (0.01..100.0).contains(&steady),
        format!("With relu and he's start it is {} of it: all layers learn.", number(steady, 2)),
    );
    shown.claim(exploded > 1e3, format!("Exploding: from N(0, 0.8²) the first layer's gradient is {} times what it is from he's start. A step along it would throw the weights far away.", number(exploded, 2)));
    Ok(shown)
}

/// x in [−1, 1]² and y = sin 3x₁ + x₂² with noise of deviation 0.3.
fn bowl(rows: usize, seed: u64) -> Result<(Matrix<f64>, Matrix<f64>), Fault> {
    let mut rng = default_rng(seed);
    let mut x = vec![0.0; 2 * rows];
    rng.fill_uniform(-1.0, 1.0, &mut x)?;
    let mut y = Vec::new();
    for row in x.chunks(2) {
        y.push(Lanes::sin(3.0 * row[0]) + row[1] * row[1] + rng.normal(0.0, 0.3)?);
    }
    Ok((Matrix::from_vec(rows, 2, x)?, Matrix::from_vec(rows, 1, y)?))
}

fn quick() -> Options {
    Options {
        optimizer: Optimizer::Adam(Default::default()),
        learning_rate: Some(0.01),
        epochs: 300,
        batch_size: None,
        seed: 1,
        ..Options::default()
    }
}

type Pair<'a> = (&'a Matrix<f64>, &'a Matrix<f64>);

/// Trains: the loss on the rows as they are learnt from, and on the held-back ones, epoch by epoch.
fn learn(
    network: &mut Network<f64>,
    rows: Pair<'_>,
    held: Option<Pair<'_>>,
    options: &Options,
) -> Result<(Points, Points), Fault> {
    let data = Data::new(rows.0.view(), rows.1.view());
    let held = held.map(|(x, y)| Data::new(x.view(), y.view()));
    let (mut training, mut validation) = (Vec::new(), Vec::new());
    let mut watch = |event: Event<'_>| {
        if let Event::Epoch(epoch) = event {
            training.push((epoch.epoch as f64, epoch.loss));
            validation.extend(epoch.validation_loss.map(|loss| (epoch.epoch as f64, loss)));
        }
        ControlFlow::Continue(())
    };
    train(network, &data, held.as_ref(), options, processor(), &mut watch)?;
    Ok((training, validation))
}

fn last(points: &Points) -> f64 {
    points.last().map_or(f64::NAN, |(_, y)| *y)
}

fn dropout() -> Result<Shown, Fault> {
    let ((x, y), (hx, hy)) = (bowl(40, 3)?, bowl(100, 4)?);
    let of = |rate: f64| -> Result<(Points, Points), Fault> {
        let mut layers = vec![Layer::Dense { outputs: 64 }, Layer::Activation(Activation::Relu)];
        if rate > 0.0 {
            layers.push(Layer::Dropout { rate });
        }
        layers.push(Layer::Dense { outputs: 1 });
        let mut network = Network::new(2, layers, None, 1)?;
        learn(&mut network, (&x, &y), Some((&hx, &hy)), &Options { epochs: 800, ..quick() })
    };
    let ((plain, plain_held), (dropped, dropped_held)) = (of(0.0)?, of(0.3)?);
    let (a, b, c, d) = (last(&plain), last(&plain_held), last(&dropped), last(&dropped_held));
    let mut shown = Shown::default();
    shown.chart(
        "Loss on 100 rows that are not learnt from",
        "epoch",
        false,
        vec![("without dropout", thin(plain_held)), ("dropout 0.3", thin(dropped_held))],
    );
    shown.chart(
        "Loss on the 40 rows that are",
        "epoch",
        true,
        vec![("without dropout", thin(plain)), ("dropout 0.3", thin(dropped))],
    );
    shown.claim(c > a, format!("Dropping 30 % of the neurons at random makes learning by heart harder: at the end J on the rows learnt from is {} instead of {}.", number(c, 3), number(a, 3)));
    shown
        .claim(d < b, format!("On rows that were not learnt from it is {} instead of {}.", number(d, 3), number(b, 3)));
    Ok(shown)
}

fn decay() -> Result<Shown, Fault> {
    let ((x, y), (hx, hy)) = (bowl(40, 3)?, bowl(100, 4)?);
    let (mut lines, mut sizes, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (l2, name) in [(0.0, "λ = 0"), (0.001, "λ = 0.001"), (0.01, "λ = 0.01"), (0.1, "λ = 0.1")] {
        let mut network = Network::mlp(2, &[16, 16], 1, &Activation::Tanh, None, 1)?;
        // Without validation the network keeps its last weights, whose size is to be measured.
        let mut last_held = Vec::new();
        let mut epoch = 0;
        while epoch < 800 {
            let (_, held) =
                learn(&mut network.clone(), (&x, &y), Some((&hx, &hy)), &Options { epochs: 1, l2, ..quick() })?;
            last_held.push((f64::from(epoch), last(&held)));
            learn(&mut network, (&x, &y), None, &Options { epochs: 40, l2, ..quick() })?;
            epoch += 40;
        }
        let weights = network.layout().segments().iter().filter(|segment| segment.role == Role::Weights);
        let size = weights
            .map(|s| sum_of_squares(processor().instruction_set(), &network.parameters()[s.range.clone()]))
            .sum::<f64>()
            .sqrt();
        sizes.push(size);
        ends.push(last(&last_held));
        lines.push((name, last_held));
    }
    let mut shown = Shown::default();
    shown.chart("Loss on 100 rows that are not learnt from", "epoch", false, lines);
    let falls = sizes.windows(2).all(|pair| pair[1] < pair[0]);
    let list = |values: &[f64]| values.iter().map(|x| number(*x, 3)).collect::<Vec<_>>().join(", ");
    shown.claim(falls, format!("The larger λ, the shorter the weights: ‖W‖ at the end is {}.", list(&sizes)));
    let best = (0..4).min_by(|a, b| ends[*a].total_cmp(&ends[*b])).unwrap_or(0);
    shown.claim(
        best == 1 || best == 2,
        format!("A little helps and much hurts: the held-back loss at the end is {}.", list(&ends)),
    );
    Ok(shown)
}

fn stopping() -> Result<Shown, Fault> {
    let ((x, y), (hx, hy)) = (bowl(30, 3)?, bowl(100, 4)?);
    let mut network = Network::mlp(2, &[32, 32], 1, &Activation::Relu, None, 1)?;
    let (training, held) = learn(&mut network, (&x, &y), Some((&hx, &hy)), &Options { epochs: 400, ..quick() })?;
    let best = held.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let kept = network.loss(&Loss::SquaredError, &Data::new(hx.view(), hy.view()), processor())?;
    let mut shown = Shown::default();
    let (falling, end) = (last(&training), last(&held));
    shown.chart(
        "Loss",
        "epoch",
        true,
        vec![("30 rows learnt from", thin(training)), ("100 rows held back", thin(held))],
    );
    shown.claim(best.0 < 300.0 && end > 1.05 * best.1, format!("The held-back loss is lowest after epoch {} ({}) and then rises to {}, while the training loss goes on falling, to {}.", best.0, number(best.1, 3), number(end, 3), number(falling, 2)));
    shown.claim(
        (kept - best.1).abs() <= 1e-12,
        format!("Early stopping keeps that epoch's weights: the network it returns has {}.", number(kept, 3)),
    );
    Ok(shown)
}

fn norm() -> Result<Shown, Fault> {
    // Columns of very different sizes, as tables have them.
    let (x, y) = bowl(100, 5)?;
    let mut raw = x.clone();
    (0..100).for_each(|i| {
        raw[(i, 0)] = 300.0 * x[(i, 0)] + 1000.0;
        raw[(i, 1)] = 0.01 * x[(i, 1)];
    });
    let of = |norm: bool| -> Result<Points, Fault> {
        let mut layers = Vec::new();
        if norm {
            layers.push(Layer::BATCH_NORM);
        }
        for _ in 0..4 {
            layers.push(Layer::Dense { outputs: 16 });
            if norm {
                layers.push(Layer::BATCH_NORM);
            }
            layers.push(Layer::Activation(Activation::Relu));
        }
        layers.push(Layer::Dense { outputs: 1 });
        let mut network = Network::new(2, layers, Some(Initialiser::HeNormal), 1)?;
        Ok(learn(&mut network, (&raw, &y), None, &Options { epochs: 100, batch_size: Some(50), ..quick() })?.0)
    };
    let (plain, normed) = (of(false)?, of(true)?);
    let (a, b) = (last(&plain), last(&normed));
    let mut shown = Shown::default();
    shown.chart("Loss on inputs of size 1000 and 0.01", "epoch", true, vec![("plain", plain), ("batch norm", normed)]);
    shown.claim(b < 0.5 * a, format!("Bringing every column and receptor to mean 0 and deviation 1 within its batch lets the same network learn: J is {} after 100 epochs, {} without.", number(b, 3), number(a, 3)));
    Ok(shown)
}

/// Enough points for a line.
fn thin(points: Points) -> Points {
    let every = points.len().div_ceil(300).max(1);
    let end = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(i, _)| i % every == 0 || *i == end).map(|(_, point)| point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_claim_of_every_lab_holds() {
        for id in ["activation", "initialisation", "vanishing", "dropout", "decay", "stopping", "norm"] {
            let shown = lab(id).unwrap();
            let claims = shown["claims"].as_array().unwrap();
            assert!(!claims.is_empty() && !shown["charts"].as_array().unwrap().is_empty());
            for claim in claims {
                assert_eq!(claim["holds"], true, "{id}: {}", claim["text"]);
            }
        }
    }
}
