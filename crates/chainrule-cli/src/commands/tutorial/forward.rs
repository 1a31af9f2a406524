//! Sections 1 and 2: the forward pass by hand and in matrices.

use super::example::{LAST, Pass};
use crate::text::{aligned, number, product, side_by_side, sum, symbol};

pub(super) fn by_hand() -> String {
    let pass = Pass::over(1);
    let inputs = &pass.x(0)[0];
    let mut text = format!(
        "\
1  The forward pass, by hand

A row goes in at the left, a prediction comes out at the right. Ours is x = ({}, {}), for which
y = {} was observed. The network is that of Figure 8, all its biases are 0.

In front of every neuron sits a receptor z (elsewhere: pre-activation), which adds up what arrives:

  z⁽ˡ⁾ₖ = Σⱼ w⁽ˡ⁾ⱼₖ x⁽ˡ⁻¹⁾ⱼ + b⁽ˡ⁾ₖ       w⁽ˡ⁾ⱼₖ leads from neuron j of layer l−1 to k of layer l

The neuron x passes it on through its activation function a:

  x⁽ˡ⁾ₖ = a(z⁽ˡ⁾ₖ)                       hidden layers: a(z) = max{{0, z}} (relu); output: a(z) = z

Layer 0, the input

",
        number(inputs[0]),
        number(inputs[1]),
        number(pass.y[0])
    );
    for (j, &x) in inputs.iter().enumerate() {
        text += &format!("  {} = {}\n", symbol("x", 0, &[j + 1]), number(x));
    }
    for layer in 1..=LAST {
        text += &format!("\nLayer {layer}{}\n\n", if layer == LAST { ", the output" } else { "" });
        for k in 1..=pass.z(layer)[0].len() {
            text += &receptor(&pass, layer, k);
        }
    }
    let output = pass.x(LAST)[0][0];
    text += &format!(
        "
The network predicts {} where {} was observed: its weights have learned nothing yet.

Next: chainrule tutorial matrices\n",
        number(output),
        number(pass.y[0])
    );
    text
}

/// The sum of one receptor, in symbols, in numbers and done; then its neuron.
fn receptor(pass: &Pass, layer: usize, k: usize) -> String {
    let before = &pass.x(layer - 1)[0];
    let (z, x) = (symbol("z", layer, &[k]), symbol("x", layer, &[k]));
    let bias = pass.bias(layer, k);
    let mut symbols = Vec::new();
    let (mut numbers, mut terms) = (Vec::new(), Vec::new());
    for (j, &from) in before.iter().enumerate() {
        let weight = pass.weight(layer, j + 1, k);
        symbols.push(format!("{} {}", symbol("w", layer, &[j + 1, k]), symbol("x", layer - 1, &[j + 1])));
        numbers.push(product(&[weight, from]));
        terms.push(number(weight * from));
    }
    symbols.push(symbol("b", layer, &[k]));
    numbers.push(number(bias));
    terms.push(number(bias));
    let value = number(pass.z(layer)[0][k - 1]);
    let neuron = if layer == LAST { z.clone() } else { format!("max{{0, {value}}}") };
    format!(
        "  {z} = {}\n        = {}\n        = {}\n        = {value}\n  {x} = {neuron} = {}\n",
        sum(&symbols),
        sum(&numbers),
        sum(&terms),
        number(pass.x(layer)[0][k - 1])
    )
}

pub(super) fn matrices() -> String {
    let pass = Pass::over(10);
    let mut text = String::from(
        "\
2  The forward pass, in matrices

All ten rows at once: a row of X⁽ˡ⁾ and Z⁽ˡ⁾ is a row of the data, a column is a neuron and its
receptor. Row j of W⁽ˡ⁾ holds the weights that leave neuron j of layer l−1, column k those that
arrive at neuron k of layer l.

  Z⁽ˡ⁾ = X⁽ˡ⁻¹⁾ W⁽ˡ⁾ + 1 b⁽ˡ⁾ᵀ     (1)     1: a column of ten ones: every row gets the same biases
  X⁽ˡ⁾ = a(Z⁽ˡ⁾)                   (2)     a is applied to every number
",
    );
    let rows: Vec<String> = (1..=pass.y.len()).map(|i| format!("{i:>3}")).collect();
    for layer in 1..=LAST {
        let weights = pass.network.weights(2 * (layer - 1));
        let weights: Vec<Vec<f64>> = (0..weights.rows()).map(|i| weights.row(i).to_vec()).collect();
        text += &format!("\nLayer {layer}: {}\n\n", shapes(&pass, layer));
        let block = |letter: &str, l: usize, numbers: &[Vec<f64>]| (symbol(letter, l, &[]), aligned(numbers));
        let mut blocks = vec![
            ("row".into(), rows.clone()),
            block("X", layer - 1, pass.x(layer - 1)),
            block("W", layer, &weights),
            block("Z", layer, pass.z(layer)),
            block("X", layer, pass.x(layer)),
        ];
        if layer == LAST {
            blocks.push(("y".into(), aligned(&pass.y.iter().map(|&y| vec![y]).collect::<Vec<_>>())));
        }
        text += &side_by_side(&blocks);
    }
    text += &format!(
        "
b⁽¹⁾, b⁽²⁾ and b⁽³⁾ are 0. Relu turns every negative receptor into a neuron of 0. Row 1 is
the row of section 1. The predictions X⁽³⁾ are far from y; how far, one number says: the cost,
J = {} here.

Next: chainrule tutorial backpropagation\n",
        number(pass.loss)
    );
    text
}

/// "Z⁽¹⁾ [10, 3] = X⁽⁰⁾ [10, 2] W⁽¹⁾ [2, 3]".
fn shapes(pass: &Pass, layer: usize) -> String {
    let (n, from, to) = (pass.y.len(), pass.x(layer - 1)[0].len(), pass.z(layer)[0].len());
    let z = symbol("Z", layer, &[]);
    let (x, w) = (symbol("X", layer - 1, &[]), symbol("W", layer, &[]));
    format!("{z} [{n}, {to}] = {x} [{n}, {from}] {w} [{from}, {to}] + 1 {}ᵀ", symbol("b", layer, &[]))
}
