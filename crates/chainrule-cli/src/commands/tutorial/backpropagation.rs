//! Section 3: the chain rule, weight by weight, then all at once.

use super::example::{LAST, Pass, data};
use crate::text::{aligned, number, product, rough, side_by_side, symbol};
use chainrule::network::Role;
use chainrule::{Data, Error, Loss, Processor};

/// What a person who has not asked for the answers sees in their place.
pub(super) const BLANK: &str = "……";

/// The weights to practise on, after those of exercises 2 to 4: (layer, from, to).
const PRACTICE: [(usize, usize, usize); 8] =
    [(2, 1, 1), (2, 1, 2), (2, 2, 2), (2, 3, 1), (1, 1, 1), (1, 1, 3), (1, 2, 2), (1, 2, 3)];

pub(super) fn section(answers: bool) -> Result<String, Error> {
    let (row, all) = (Pass::over(1), Pass::over(10));
    let mut text = format!(
        "\
3  Backpropagation: the chain rule, backwards through the network

How wrong the network is, the cost says, a mean over the n rows:

  J = 1/(2n) Σᵢ (ŷᵢ − yᵢ)²                       (3)     here J = {} over all ten rows

To lower it, each weight is moved against its derivative, w := w − η ∂J/∂w: we need all derivatives.
From here to the exercises' end only row 1 counts (n = 1): J = ½ ({} − {})² = {}.

From J back to a weight leads a path. Each step of it is one of four factors, and the derivative is
their product; where there are several paths, it is the sum over them:

  ∂J/∂x⁽³⁾₁      = x⁽³⁾₁ − y₁                 (5)   the cost
  ∂x⁽ˡ⁾ₖ/∂z⁽ˡ⁾ₖ   = a′(z⁽ˡ⁾ₖ)                       through a neuron: relu gives 1 if z > 0, else 0
                                                (6)   the output, a(z) = z, always gives 1
  ∂z⁽ˡ⁾ₖ/∂x⁽ˡ⁻¹⁾ⱼ = w⁽ˡ⁾ⱼₖ                     from a receptor to a neuron before it
  ∂z⁽ˡ⁾ₖ/∂w⁽ˡ⁾ⱼₖ  = x⁽ˡ⁻¹⁾ⱼ                    from a receptor to a weight: the end of the path

Worked: w⁽³⁾₁₁

  ∂J/∂w⁽³⁾₁₁ = ∂J/∂x⁽³⁾₁ · ∂x⁽³⁾₁/∂z⁽³⁾₁ · ∂z⁽³⁾₁/∂w⁽³⁾₁₁         (4)
             = (x⁽³⁾₁ − y₁) × 1 × x⁽²⁾₁                           (7)

",
        number(all.loss),
        number(row.x(LAST)[0][0]),
        number(row.y[0]),
        number(row.loss),
    );
    text += &derivative(&row, (3, 1, 1), true);
    text += "\nNo signal left neuron x⁽²⁾₁ for this row, so its weight had no part in the error.\n";
    if !answers {
        text += "\nNow you: fill in the blanks with a pencil. To see what belongs there:\n\n";
        text += "  chainrule tutorial backpropagation --answers\n";
    }
    for (exercise, weight, hint) in [
        (2, (3, 2, 1), "the same path but for its last step"),
        (3, (2, 2, 1), "one layer further back: the path grows by two factors"),
        (4, (1, 1, 2), "two paths, through z⁽²⁾₁ and through z⁽²⁾₂"),
    ] {
        text += &format!("\nExercise {exercise}: {}, {hint}\n\n", name("w", weight));
        text += &derivative(&row, weight, answers);
    }
    text += "\nTo practise: eight more weights of row 1\n\n";
    for weight in PRACTICE {
        text += &practice(&row, weight, answers);
    }
    text += "
All at once: δ⁽ˡ⁾ₖ = ∂J/∂z⁽ˡ⁾ₖ

All paths share their beginnings. So a receptor's derivative, δ, is found once and passed on:

  δ⁽ᴸ⁾ₖ = ∂J/∂x⁽ᴸ⁾ₖ · a′(z⁽ᴸ⁾ₖ)                           (8)     at the output
  δ⁽ˡ⁾ₖ = (Σₘ δ⁽ˡ⁺¹⁾ₘ w⁽ˡ⁺¹⁾ₖₘ) · a′(z⁽ˡ⁾ₖ)                (9)     one layer back
  ∂J/∂w⁽ˡ⁾ᵢₖ = δ⁽ˡ⁾ₖ x⁽ˡ⁻¹⁾ᵢ                              (10)    the weights
  ∂J/∂b⁽ˡ⁾ₖ = δ⁽ˡ⁾ₖ                                      (11)    the biases

";
    if answers {
        text += "Row 1\n\n";
        text += &gradients(&row);
    } else {
        text += "Row 1: shown with --answers, since it would give the exercises away.\n\n";
    }
    text += "Averaged over the ten rows (each δ holds the 1/n, so that ∂J/∂W and ∂J/∂b are plain sums)\n\n";
    text += &gradients(&all);
    text += &check(&all)?;
    text += "\nNext: chainrule tutorial training\n";
    Ok(text)
}

/// w⁽²⁾₂₁ for ("w", (2, 2, 1)).
fn name(letter: &str, (layer, from, to): (usize, usize, usize)) -> String {
    symbol(letter, layer, &[from, to])
}

/// One step of a path.
struct Factor {
    symbol: String,
    rule: String,
    value: f64,
}

/// The paths from J to a weight, each as the neurons that it passes, from the output back to the weight's own.
fn paths(pass: &Pass, (layer, _, to): (usize, usize, usize)) -> Vec<Vec<usize>> {
    let mut paths = vec![vec![1]];
    for l in (layer..LAST).rev() {
        let through = if l == layer { to..=to } else { 1..=pass.x(l)[0].len() };
        let longer = |path: &Vec<usize>| through.clone().map(|k| [&path[..], &[k]].concat()).collect::<Vec<_>>();
        paths = paths.iter().flat_map(longer).collect();
    }
    paths
}

/// The factors along a path, from J to the weight.
fn factors(pass: &Pass, weight: (usize, usize, usize), path: &[usize]) -> Vec<Factor> {
    let (layer, from, to) = weight;
    let factor = |symbol, rule, value| Factor { symbol, rule, value };
    let output = symbol("x", LAST, &[1]);
    let mut factors = vec![factor(format!("∂J/∂{output}"), format!("{output} − y₁"), pass.x(LAST)[0][0] - pass.y[0])];
    for (step, &k) in path.iter().enumerate() {
        let l = LAST - step;
        let (x, z) = (symbol("x", l, &[k]), symbol("z", l, &[k]));
        if step > 0 {
            let after = path[step - 1];
            let rule = symbol("w", l + 1, &[k, after]);
            let above = symbol("z", l + 1, &[after]);
            factors.push(factor(format!("∂{above}/∂{x}"), rule, pass.weight(l + 1, k, after)));
        }
        factors.push(factor(format!("∂{x}/∂{z}"), format!("a′({z})"), pass.slope(l, k)));
    }
    let receptor = symbol("z", layer, &[to]);
    let input = symbol("x", layer - 1, &[from]);
    factors.push(factor(format!("∂{receptor}/∂{}", name("w", weight)), input, pass.x(layer - 1)[0][from - 1]));
    factors
}

/// The derivative with respect to one weight, path by path and factor by factor.
fn derivative(pass: &Pass, weight: (usize, usize, usize), answers: bool) -> String {
    let paths = paths(pass, weight);
    let several = paths.len() > 1;
    let mut text = String::new();
    let mut products = Vec::new();
    for path in &paths {
        if several {
            text += &format!("  the path through {}\n", symbol("z", 2, &[path[1]]));
        }
        let factors = factors(pass, weight, path);
        for Factor { symbol, rule, value } in &factors {
            let value = if answers { number(*value) } else { BLANK.into() };
            let rule = if answers { format!("= {rule:<12} ") } else { String::new() };
            text += &format!("  {}{symbol:<15} {rule}= {value}\n", if several { "  " } else { "" });
        }
        products.push(product(&factors.iter().map(|factor| factor.value).collect::<Vec<_>>()));
    }
    let symbol = format!("∂J/∂{}", name("w", weight));
    if !answers {
        return text + &format!("  {symbol} = {BLANK}\n");
    }
    let indent = " ".repeat(symbol.chars().count());
    text += &format!("  {symbol} = {}\n", products.join(&format!("\n  {indent} + ")));
    text + &format!("  {indent} = {}\n", number(gradient(pass, weight)))
}

/// The derivative with respect to one weight, in a line or one for each path.
fn practice(pass: &Pass, weight: (usize, usize, usize), answers: bool) -> String {
    let symbol = format!("  ∂J/∂{}", name("w", weight));
    if !answers {
        return format!("{symbol} = {BLANK}\n");
    }
    let along =
        |path: &Vec<usize>| product(&factors(pass, weight, path).iter().map(|factor| factor.value).collect::<Vec<_>>());
    let sum: Vec<String> = paths(pass, weight).iter().map(along).collect();
    let indent = " ".repeat(symbol.chars().count());
    format!("{symbol} = {}\n{indent} = {}\n", sum.join(&format!("\n{indent} + ")), number(gradient(pass, weight)))
}

/// The sum over the paths of the product of their factors.
#[cfg(test)]
pub(super) fn by_the_chain_rule(pass: &Pass, weight: (usize, usize, usize)) -> f64 {
    let product = |path: &Vec<usize>| factors(pass, weight, path).iter().map(|factor| factor.value).product::<f64>();
    paths(pass, weight).iter().map(product).sum()
}

fn gradient(pass: &Pass, (layer, from, to): (usize, usize, usize)) -> f64 {
    pass.weight_gradient(layer, from, to)
}

/// δ of all layers, then ∂J/∂W and ∂J/∂b, from the last layer to the first.
fn gradients(pass: &Pass) -> String {
    let row_numbers = (1..=pass.y.len()).map(|i| format!("{i:>3}")).collect();
    let mut blocks = vec![("row".to_owned(), row_numbers)];
    blocks.extend((1..=LAST).rev().map(|layer| (symbol("δ", layer, &[]), aligned(pass.delta(layer)))));
    let mut text = side_by_side(&blocks) + "\n";
    for layer in (1..=LAST).rev() {
        let segments = &pass.network.layout().segments()[2 * (layer - 1)..2 * layer];
        let block = |letter: &str, k: usize| {
            let numbers = pass.gradient[segments[k].range.clone()].chunks(segments[k].shape[1]);
            (format!("∂J/∂{}", symbol(letter, layer, &[])), aligned(&numbers.map(<[f64]>::to_vec).collect::<Vec<_>>()))
        };
        text += &side_by_side(&[block("W", 0), block("b", 1)]);
        text += "\n";
    }
    text
}

/// How far each parameter is moved to either side. J is a parabola in each as long as no receptor changes its sign,
/// so that a central difference is exact but for rounding; the receptor nearest to 0 is −0.015.
const STEP: f64 = 1e-4;

/// Every derivative beside the quotient that needs no calculus.
fn check(pass: &Pass) -> Result<String, Error> {
    let (x, y) = data();
    let data = Data::new(x.view(), y.view());
    let mut text = format!(
        "\
Is it true? A check that needs no calculus

Move one parameter by h = {STEP} to either side, and look at J: ∂J/∂w ≈ (J(w + h) − J(w − h)) / 2h.

  parameter    backpropagation   difference quotient   apart by
",
    );
    let mut most = 0.0_f64;
    for layer in 1..=LAST {
        for segment in &pass.network.layout().segments()[2 * (layer - 1)..2 * layer] {
            for (at, position) in segment.range.clone().enumerate() {
                let cost_at = |shift: f64| {
                    let mut network = pass.network.clone();
                    network.parameters_mut()[position] += shift;
                    network.loss(&Loss::SquaredError, &data, &Processor::new(1))
                };
                let quotient = (cost_at(STEP)? - cost_at(-STEP)?) / (2.0 * STEP);
                let (i, j) = (at / segment.shape[1] + 1, at % segment.shape[1] + 1);
                let parameter = match segment.role {
                    Role::Biases => symbol("b", layer, &[j]),
                    _ => symbol("w", layer, &[i, j]),
                };
                let apart = (quotient - pass.gradient[position]).abs();
                most = most.max(apart);
                let exact = number(pass.gradient[position]);
                let quotient = format!("{quotient:.7}").replace('-', "−");
                text += &format!("  {parameter:<10} {exact:>17}   {quotient:>19}   {:>8}\n", rough(apart));
            }
        }
    }
    text += &format!("\nThey agree to {}, which is rounding.\n", rough(most));
    Ok(text)
}
