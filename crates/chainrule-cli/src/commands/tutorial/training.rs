//! Section 4: a run that learns only the mean, why, and two that learn.

use super::example::data;
use crate::text::{number, rough, symbol};
use chainrule::backprop::forward;
use chainrule::train::{Event, Options, standardise, train};
use chainrule::{Activation, Data, Error, Initialiser, Matrix, Network, Optimizer, Processor, Workspace};
use std::ops::ControlFlow;

/// The tutorial's start.
pub(super) const TINY: Initialiser = Initialiser::Normal(0.001);

/// A run of plain gradient descent over all rows.
pub(super) struct Run {
    pub(super) network: Network<f64>,
    /// J before each iteration's update.
    pub(super) losses: Vec<f64>,
    /// For each iteration ‖∂J/∂W⁽¹⁾‖, ‖∂J/∂b⁽¹⁾‖, ‖∂J/∂W⁽²⁾‖, ….
    pub(super) norms: Vec<Vec<f64>>,
    /// What the trained network says for each row.
    pub(super) predictions: Vec<f64>,
}

impl Run {
    /// The tutorial's: 2-3-2-1, weights N(0, 0.001²) from seed 1, η = 0.001.
    pub(super) fn of_the_tutorial(iterations: usize) -> Result<Self, Error> {
        Self::new(&data().0, &[3, 2], TINY, 1, 0.001, iterations)
    }

    /// One that learns: 2-16-8-1, seed 3, standardised inputs, η = 0.002.
    pub(super) fn that_learns(start: Initialiser) -> Result<Self, Error> {
        Self::new(&standardise(&data().0).0, &[16, 8], start, 3, 0.002, 1001)
    }

    fn new(
        x: &Matrix<f64>,
        hidden: &[usize],
        start: Initialiser,
        seed: u64,
        rate: f64,
        iterations: usize,
    ) -> Result<Self, Error> {
        let (_, y) = data();
        let mut network = Network::mlp(x.cols(), hidden, 1, &Activation::Relu, Some(start), seed)?;
        let options = Options {
            optimizer: Optimizer::GradientDescent,
            learning_rate: Some(rate),
            epochs: iterations,
            batch_size: None,
            ..Options::default()
        };
        let (mut losses, mut norms) = (Vec::new(), Vec::new());
        let mut watch = |event: Event<'_>| {
            match event {
                Event::Step { loss, .. } => losses.push(loss),
                Event::Epoch(epoch) => norms.push(epoch.gradient_norms.to_vec()),
            }
            ControlFlow::Continue(())
        };
        let processor = Processor::new(1);
        train(&mut network, &Data::new(x.view(), y.view()), None, &options, &processor, &mut watch)?;
        let predictions = network.forward(x.view(), &processor)?.as_slice().to_vec();
        Ok(Self { network, losses, norms, predictions })
    }
}

/// The largest number that each receptor of layer 2 has in any of the ten rows.
fn largest_receptors(network: &Network<f64>) -> Vec<f64> {
    let (x, _) = data();
    let mut workspace = Workspace::new(network, x.rows(), 1);
    forward(network, x.view(), None, &mut workspace, &Processor::new(1));
    // Z⁽²⁾ is what the layer list's third layer gives.
    let largest = |k: usize| workspace.output(3).map(|row| row[k]).fold(f64::NEG_INFINITY, f64::max);
    (0..network.width(2)).map(largest).collect()
}

pub(super) fn section() -> Result<String, Error> {
    let y = data().1.as_slice().to_vec();
    let plain = Run::of_the_tutorial(1000)?;
    let mean = y.iter().sum::<f64>() / y.len() as f64;
    let cost_of_the_mean = y.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>() / (2.0 * y.len() as f64);
    let mut text = String::from(
        "\
4  Training: gradient descent

Forward, backward, update, again and again:  w := w − η ∂J/∂w,  b := b − η ∂J/∂b.

The tutorial's run: 2-3-2-1, weights drawn from N(0, 0.001²) with seed 1, η = 0.001, 1000 iterations
over all ten rows. The loss is J before the iteration's update.

",
    );
    for (iteration, loss) in plain.losses.iter().enumerate().step_by(100) {
        text += &format!("  Iteration {iteration}: Loss = {loss:.6}\n");
    }
    text += &format!(
        "
It falls, and yet nothing about x is learned: the network now says {} for every row.
Only b⁽³⁾ moves, on its way to the mean of y, {}, where J would be {}: the best constant.

{}",
        number(plain.predictions[0]),
        number(mean),
        number(cost_of_the_mean),
        why(&plain)?
    );
    Ok(text + &runs_that_learn(&y)?)
}

/// What the first update does to the second layer.
fn why(plain: &Run) -> Result<String, Error> {
    let mut text = String::from(
        "\
Why? Look at the first two iterations: the lengths of the gradients, and the largest number that
each receptor of layer 2 has in any row.

",
    );
    let mut rows = vec![vec!["iteration".to_owned(), "0".into(), "1".into()]];
    for k in 0..plain.norms[0].len() {
        let parameter = symbol(if k % 2 == 0 { "W" } else { "b" }, k / 2 + 1, &[]);
        rows.push(vec![format!("‖∂J/∂{parameter}‖"), rough(plain.norms[0][k]), rough(plain.norms[1][k])]);
    }
    let (start, after) = (Run::of_the_tutorial(0)?.network, Run::of_the_tutorial(1)?.network);
    for (k, (before, after)) in largest_receptors(&start).into_iter().zip(largest_receptors(&after)).enumerate() {
        rows.push(vec![format!("largest {}", symbol("z", 2, &[k + 1])), rough(before), rough(after)]);
    }
    for row in rows {
        text += &format!("  {:<14} {:>11} {:>11}\n", row[0], row[1], row[2]);
    }
    let last = start.weights(4);
    text += &format!(
        "
Products of weights of about 0.001 leave the receptors of layer 2 a hair above 0. Both weights that
follow, W⁽³⁾ = ({}, {}), are negative, and the predictions are too low:
so the first update pushes b⁽²⁾ down, by little, but by more than that hair. From then on both
receptors are negative for every row, relu passes neither signal nor blame, and every gradient but
b⁽³⁾'s is 0, for ever: the neurons of layer 2 are dead.
",
        number(last.row(0)[0]),
        number(last.row(1)[0]),
    );
    Ok(text)
}

/// The same task with more neurons, from the same start and from a better one.
fn runs_that_learn(y: &[f64]) -> Result<String, Error> {
    let (tiny, he) = (Run::that_learns(TINY)?, Run::that_learns(Initialiser::HeNormal)?);
    let mut text = String::from(
        "
Runs that learn: 2-16-8-1, seed 3, η = 0.002, inputs standardised (each column's mean 0 and
deviation 1). Among eight weights in W⁽³⁾ some are positive, and their neurons live. One run starts
from N(0, 0.001²) as before, one from N(0, 2/n⁽ˡ⁻¹⁾) (he_normal), where a signal keeps its size
through relu layers.

  Iteration   Loss, 0.001   Loss, he_normal
",
    );
    for (iteration, (tiny, he)) in tiny.losses.iter().zip(&he.losses).enumerate().step_by(100) {
        text += &format!("  {iteration:>9}   {tiny:>11.6}   {he:>15.6}\n");
    }
    text += "\nTheir predictions at the end:\n\n  row   x⁽⁰⁾₁   x⁽⁰⁾₂     y   from 0.001   from he_normal\n";
    let (x, _) = data();
    for (i, y) in y.iter().enumerate() {
        text += &format!(
            "  {:>3}   {:>5.1}   {:>5.1}   {:>3}   {:>10.2}   {:>14.2}\n",
            i + 1,
            x[(i, 0)],
            x[(i, 1)],
            number(*y),
            tiny.predictions[i],
            he.predictions[i]
        );
    }
    text += "
Ten rows are few: such a network learns them by heart. Whether it has understood, only rows that it
has not seen can tell.

To go on: chainrule tutorial --write lesson\n";
    Ok(text)
}
