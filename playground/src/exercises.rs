//! The tutorial's eleven exercises and eight practice weights: what is asked, and what is wrong with an answer.
//!
//! On the tutorial's numbers many factors are 0 and all biases are, so a wrong formula may give a right number. Every formula
//! is therefore tried on a hidden network too, where nothing is 0. A wrong gradient is judged by the library's
//! [`diagnose_gradient`]; other wrong answers are compared with the usual mistakes, made on purpose.

use crate::numpy::{Array, Value, evaluate, has_names, shape_of};
use crate::{Fault, processor};
use chainrule::explain::{Candidate, Ledger, Parameter, Trace, diagnose_gradient, example, number};
use chainrule::random::{Generator, default_rng};
use chainrule::train::{Options, Steps};
use chainrule::{Activation, Data, Initialiser, Loss, Matrix, Network, Optimizer};
use serde_json::{Map, Value as Json, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

type Names = BTreeMap<String, Value>;

/// A blank: what stands before it, what belongs there, and what people put there instead.
struct Blank {
    id: &'static str,
    before: &'static str,
    solution: &'static str,
    /// Usual mistakes: an expression and what to say about it.
    mistakes: &'static [(&'static str, &'static str)],
}

/// An exercise whose blanks are lines of code.
struct Coded {
    id: &'static str,
    title: &'static str,
    task: &'static str,
    /// Lines, in which `{id}` alone stands for a blank's line.
    code: &'static str,
    blanks: &'static [Blank],
    hints: &'static [&'static str],
}

/// The weights of exercises 2 to 4 and of the practice: (id, layer, from, to).
const WEIGHTS: [(&str, usize, usize, usize); 11] = [
    ("2", 3, 2, 1),
    ("3", 2, 2, 1),
    ("4", 1, 1, 2),
    ("w2_11", 2, 1, 1),
    ("w2_12", 2, 1, 2),
    ("w2_22", 2, 2, 2),
    ("w2_31", 2, 3, 1),
    ("w1_11", 1, 1, 1),
    ("w1_13", 1, 1, 3),
    ("w1_22", 1, 2, 2),
    ("w1_23", 1, 2, 3),
];

const FORWARD_LINES: [Blank; 6] = [
    Blank {
        id: "Z1",
        before: "Z1 = ",
        solution: "X @ W1 + b1",
        mistakes: &[
            (
                "X @ W1",
                "The bias is missing. It is 0 in the tutorial's network, so the number is right there; on another network it is not: Z = X W + b.",
            ),
            ("X @ W1 - b1", "The bias is added, not subtracted."),
            ("np.fmax(0, X @ W1 + b1)", "That is X1 already: the receptor Z1 comes before the activation."),
        ],
    },
    Blank {
        id: "X1",
        before: "X1 = ",
        solution: "np.fmax(0, Z1)",
        mistakes: &[
            ("Z1", "The activation is missing: a hidden neuron passes its receptor through relu."),
            ("np.fmin(0, Z1)", "That keeps what is below 0; relu keeps what is above: np.fmax."),
            ("Z1 > 0", "That is relu's derivative, 0 or 1; the neuron sends Z1 itself where it is above 0."),
            ("np.fmax(0, X)", "That is relu of the inputs; the neuron's own receptor is Z1."),
            ("np.abs(Z1)", "That folds negative numbers up; relu sets them to 0."),
        ],
    },
    Blank {
        id: "Z2",
        before: "Z2 = ",
        solution: "X1 @ W2 + b2",
        mistakes: &[
            (
                "X1 @ W2",
                "The bias is missing. It is 0 in the tutorial's network, so the number is right there; on another network it is not.",
            ),
            ("Z1 @ W2 + b2", "That passes on the receptors Z1. What neurons send is X1, after the activation."),
            ("X1 @ W2 - b2", "The bias is added, not subtracted."),
        ],
    },
    Blank {
        id: "X2",
        before: "X2 = ",
        solution: "np.fmax(0, Z2)",
        mistakes: &[
            ("Z2", "The activation is missing: layer 2 is hidden, its neurons have relu."),
            ("np.fmin(0, Z2)", "That keeps what is below 0; relu keeps what is above: np.fmax."),
            ("Z2 > 0", "That is relu's derivative; the neuron sends Z2 itself where it is above 0."),
        ],
    },
    Blank {
        id: "Z3",
        before: "Z3 = ",
        solution: "X2 @ W3 + b3",
        mistakes: &[
            (
                "X2 @ W3",
                "The bias is missing. It is 0 in the tutorial's network, so the number is right there; on another network it is not.",
            ),
            ("Z2 @ W3 + b3", "That passes on the receptors Z2. What neurons send is X2, after the activation."),
        ],
    },
    Blank {
        id: "X3",
        before: "X3 = ",
        solution: "Z3",
        mistakes: &[
            (
                "np.fmax(0, Z3)",
                "The output has the identity, not relu: with relu the network could never predict a number below 0. On the tutorial's rows both give the same.",
            ),
            ("X2", "The output neuron's own receptor is Z3."),
        ],
    },
];

const CODED: [Coded; 8] = [
    Coded {
        id: "1",
        title: "The forward pass",
        task: "Six lines carry all rows through the network at once. X, W1, b1, … are known, and every line may use those above it.",
        code: "{Z1}\n{X1}\n{Z2}\n{X2}\n{Z3}\n{X3}",
        blanks: &FORWARD_LINES,
        hints: &[
            "A layer is one line for its receptors, Z = X W + b, and one for its neurons, X = a(Z).",
            "@ multiplies matrices: the rows of X meet the columns of W. b has one row; + repeats it for every row of Z.",
            "The hidden layers take np.fmax(0, Z); the output takes Z as it is.",
        ],
    },
    Coded {
        id: "5",
        title: "relu and its derivative",
        task: "z is an array of any shape; so must the answer be.",
        code: "def relu(z):\n    {relu}\n\ndef relu_derivative(z):\n    {slope}",
        blanks: &[
            Blank {
                id: "relu",
                before: "return ",
                solution: "np.maximum(0, z)",
                mistakes: &[
                    ("z", "That is the identity: negative numbers must become 0."),
                    ("np.minimum(0, z)", "That keeps the negative numbers; relu keeps the positive ones."),
                    ("z > 0", "That is the derivative, 0 or 1. relu itself gives z where it is positive."),
                    ("np.abs(z)", "That folds negative numbers up; relu sets them to 0."),
                    ("np.maximum(1, z)", "The lower bound is 0, not 1."),
                ],
            },
            Blank {
                id: "slope",
                before: "return ",
                solution: "(z > 0).astype(float)",
                mistakes: &[
                    ("z >= 0", "Only z = 0 is told apart: there the derivative is set to 0, by convention."),
                    ("np.maximum(0, z)", "That is relu itself. Its slope is 1 where z is positive, whatever z is."),
                    ("z < 0", "The other way round: the slope is 1 where z is above 0."),
                    ("np.ones_like(z)", "That is the identity's derivative; relu is flat where z ≤ 0."),
                    ("np.zeros_like(z)", "That lets nothing pass; the slope is 1 where z is above 0."),
                    ("np.sign(z)", "Below 0 relu is flat: slope 0, not −1."),
                ],
            },
        ],
        hints: &[
            "np.maximum compares element by element.",
            "The slope is 1 where z > 0 and 0 elsewhere. A comparison of an array is an array of truths.",
        ],
    },
    Coded {
        id: "6",
        title: "The output's activation",
        task: "For a regression the output passes its receptor on unchanged.",
        code: "def identity(z):\n    {identity}\n\ndef identity_derivative(z):\n    {slope}",
        blanks: &[
            Blank {
                id: "identity",
                before: "return ",
                solution: "z",
                mistakes: &[
                    ("np.maximum(0, z)", "That is relu; the identity leaves negative numbers alone."),
                    ("np.ones_like(z)", "That is the derivative; the function gives z back."),
                    ("-z", "The sign is turned round."),
                    ("np.zeros_like(z)", "That forgets z."),
                ],
            },
            Blank {
                id: "slope",
                before: "return ",
                solution: "np.ones_like(z)",
                mistakes: &[
                    ("z", "That is the function; its slope is the same everywhere."),
                    (
                        "1 + 0 * z.sum()",
                        "The number is right, but the answer must have z's shape: an array of ones, np.ones_like(z).",
                    ),
                    ("np.zeros_like(z)", "A constant has the slope 0; the identity rises by 1 for every 1."),
                    ("z > 0", "That is relu's derivative; the identity rises below 0 as well."),
                ],
            },
        ],
        hints: &["Return what came.", "np.ones_like(z) is an array of ones of z's shape."],
    },
    Coded {
        id: "7",
        title: "The cost and its derivative",
        task: "a holds the predictions, Y the truth; both have one row for each of the n samples.",
        code: "def MSE(a, Y):\n    {mse}\n\ndef MSE_derivative(a, Y):\n    {slope}",
        blanks: &[
            Blank {
                id: "mse",
                before: "return ",
                solution: "np.mean((a - Y) ** 2) / 2",
                mistakes: &[
                    (
                        "np.mean((a - Y) ** 2)",
                        "The ½ is missing: J = 1/(2n) Σ (ŷ − y)². It is there so that the derivative has no 2.",
                    ),
                    ("np.sum((a - Y) ** 2) / 2", "That is a sum over the rows; J is a mean: divide by n."),
                    ("np.sum((a - Y) ** 2)", "That is a plain sum; J is half a mean: 1/(2n) Σ (ŷ − y)²."),
                    ("np.mean(a - Y) / 2", "The differences are not squared: errors up and down would cancel."),
                    ("np.mean(np.abs(a - Y)) / 2", "That is half the mean absolute error; J squares the differences."),
                    ("(a - Y) ** 2 / 2", "That is each row's own cost; J is one number, their mean."),
                    (
                        "np.mean((a - Y)) ** 2 / 2",
                        "The mean is taken before the square: errors up and down cancel. Square first.",
                    ),
                ],
            },
            Blank {
                id: "slope",
                before: "return ",
                solution: "(a - Y) / Y.shape[0]",
                mistakes: &[
                    ("2 * (a - Y) / Y.shape[0]", "There is a 2 too many: the ½ of J cancels it."),
                    ("np.mean(a - Y)", "That is one number for all; each prediction has its own derivative."),
                    ("(a - Y) ** 2 / Y.shape[0]", "The square is gone once the derivative is taken: d(½e²)/de = e."),
                ],
            },
        ],
        hints: &[
            "Square each difference, take the mean, halve it.",
            "½(ŷ − y)² has the derivative ŷ − y; the mean over n rows leaves a 1/n, and n is Y.shape[0].",
        ],
    },
    Coded {
        id: "8",
        title: "The first weights",
        task: "layers_dims lists the neurons of every layer, self.L = len(layers_dims), and rng is NumPy's generator.",
        code: "for l in {range}\n    {W}\n    {b}",
        blanks: &[
            Blank {
                id: "range",
                before: "for l in ",
                solution: "range(1, self.L)",
                mistakes: &[
                    ("range(self.L)", "Layer 0 is the input: no weights arrive at it. Begin at 1."),
                    (
                        "range(1, self.L - 1)",
                        "The output layer is left out: range already ends before its second number.",
                    ),
                    ("range(1, self.L + 1)", "One layer too many: layers_dims has no element self.L."),
                    (
                        "range(0, self.L - 1)",
                        "Layer 0 has no weights, and the output layer is left out: 1 to self.L − 1.",
                    ),
                ],
            },
            Blank {
                id: "W",
                before: "self.params[f'W{l}'] = ",
                solution: "rng.normal(scale=0.001, size=(layers_dims[l - 1], layers_dims[l]))",
                mistakes: &[
                    (
                        "rng.normal(scale=0.001, size=(layers_dims[l], layers_dims[l - 1]))",
                        "The shape is turned round: a row for each neuron of the layer before, a column for each of this one.",
                    ),
                    (
                        "rng.normal(size=(layers_dims[l - 1], layers_dims[l]))",
                        "The scale is missing: without it the deviation is 1, a thousand times too much.",
                    ),
                    (
                        "rng.normal(0.001, size=(layers_dims[l - 1], layers_dims[l]))",
                        "The first argument is the mean; the deviation is `scale=0.001`.",
                    ),
                    (
                        "rng.normal(scale=0.001 ** 2, size=(layers_dims[l - 1], layers_dims[l]))",
                        "scale is the deviation σ, not the variance σ².",
                    ),
                    (
                        "np.zeros((layers_dims[l - 1], layers_dims[l]))",
                        "With all weights equal, all neurons of a layer stay equal for ever. Draw them.",
                    ),
                    (
                        "rng.uniform(0, 0.001, size=(layers_dims[l - 1], layers_dims[l]))",
                        "The weights are drawn from a normal distribution: rng.normal.",
                    ),
                ],
            },
            Blank {
                id: "b",
                before: "self.params[f'b{l}'] = ",
                solution: "np.zeros((1, layers_dims[l]))",
                mistakes: &[
                    (
                        "np.zeros((layers_dims[l], 1))",
                        "A bias vector is one row here, (1, n): so it is repeated for every row of Z.",
                    ),
                    (
                        "np.zeros((1, layers_dims[l - 1]))",
                        "There is a bias for each neuron of this layer, not of the one before.",
                    ),
                    (
                        "np.zeros(layers_dims[l])",
                        "The numbers are right, but give it the shape (1, n), so that it is a row and its gradient has the same shape.",
                    ),
                    ("np.ones((1, layers_dims[l]))", "Biases begin at 0."),
                    ("0", "One 0 would do for one neuron; there is a bias for each: np.zeros((1, layers_dims[l]))."),
                ],
            },
        ],
        hints: &[
            "Layers 1 to L − 1 have weights, and range(a, b) ends before b.",
            "W⁽ˡ⁾ has as many rows as layer l − 1 has neurons, and as many columns as layer l has.",
            "rng.normal takes scale= (the deviation) and size=; np.zeros takes a shape in brackets of its own.",
        ],
    },
    Coded {
        id: "9",
        title: "The forward pass of the class",
        task: "One loop for any number of layers. self.params holds W1, b1, …; self.a[l]['activation'] is layer l's function; outputs['x0'] is X.",
        code: "outputs = {'x0': X}\nfor l in range(1, self.L):\n    {z}\n    {x}",
        blanks: &[
            Blank {
                id: "z",
                before: "outputs[f'z{l}'] = ",
                solution: "outputs[f'x{l-1}'] @ self.params[f'W{l}'] + self.params[f'b{l}']",
                mistakes: &[
                    ("outputs[f'x{l-1}'] @ self.params[f'W{l}']", "The bias is missing: + self.params[f'b{l}']."),
                    (
                        "X @ self.params[f'W{l}'] + self.params[f'b{l}']",
                        "X is the input of layer 1 only; layer l takes what layer l − 1 sends: outputs[f'x{l-1}'].",
                    ),
                    (
                        "outputs[f'z{l-1}'] @ self.params[f'W{l}'] + self.params[f'b{l}']",
                        "What a neuron sends is x, after its activation, not its receptor z.",
                    ),
                    (
                        "self.a[l]['activation'](outputs[f'x{l-1}'] @ self.params[f'W{l}'] + self.params[f'b{l}'])",
                        "That is x already: the receptor comes before the activation.",
                    ),
                    ("outputs[f'x{l-1}'] @ self.params[f'W{l}'] - self.params[f'b{l}']", "The bias is added."),
                ],
            },
            Blank {
                id: "x",
                before: "outputs[f'x{l}'] = ",
                solution: "self.a[l]['activation'](outputs[f'z{l}'])",
                mistakes: &[
                    ("outputs[f'z{l}']", "The activation is missing: self.a[l]['activation']( … )."),
                    (
                        "self.a[l]['derivative'](outputs[f'z{l}'])",
                        "That is the derivative; the forward pass needs the function itself.",
                    ),
                    (
                        "np.maximum(0, outputs[f'z{l}'])",
                        "relu is only one activation: each layer has its own in self.a[l].",
                    ),
                    (
                        "self.a[l]['activation'](outputs[f'x{l-1}'])",
                        "The activation takes layer l's own receptor, outputs[f'z{l}'].",
                    ),
                ],
            },
        ],
        hints: &[
            "Z⁽ˡ⁾ = X⁽ˡ⁻¹⁾W⁽ˡ⁾ + b⁽ˡ⁾, and f'x{l-1}' is the key of X⁽ˡ⁻¹⁾.",
            "X⁽ˡ⁾ = a⁽ˡ⁾(Z⁽ˡ⁾): call the function that self.a[l]['activation'] holds.",
        ],
    },
    Coded {
        id: "10",
        title: "The backward pass of the class",
        task: "The output layer is done, the hidden ones are yours. coef holds x0, z1, x1, …; derivatives holds what has been found so far.",
        code: "for l in range(self.L - 2, 0, -1):\n    {dZ}\n    {dW}\n    {db}",
        blanks: &[
            Blank {
                id: "dZ",
                before: "derivatives[f'dZ{l}'] = ",
                solution: "derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T * self.a[l]['derivative'](coef[f'z{l}'])",
                mistakes: &[],
            },
            Blank {
                id: "dW",
                before: "derivatives[f'dW{l}'] = ",
                solution: "coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']",
                mistakes: &[],
            },
            Blank {
                id: "db",
                before: "derivatives[f'db{l}'] = ",
                solution: "np.sum(derivatives[f'dZ{l}'], axis=0, keepdims=True)",
                mistakes: &[
                    (
                        "np.sum(derivatives[f'dZ{l}'])",
                        "That adds up everything to one number; each neuron has its own bias: axis=0 sums over the rows.",
                    ),
                    (
                        "np.sum(derivatives[f'dZ{l}'], axis=1, keepdims=True)",
                        "axis=1 sums over the neurons; the rows are axis 0.",
                    ),
                    ("derivatives[f'dZ{l}']", "There is a row for each sample still: sum over the rows."),
                ],
            },
        ],
        hints: &[
            "δ⁽ˡ⁾ = (δ⁽ˡ⁺¹⁾ W⁽ˡ⁺¹⁾ᵀ) ∘ a′(Z⁽ˡ⁾): a matrix product with the transpose, then element by element.",
            "∂J/∂W⁽ˡ⁾ = X⁽ˡ⁻¹⁾ᵀ δ⁽ˡ⁾, and ∂J/∂b⁽ˡ⁾ is δ⁽ˡ⁾ summed over the rows, kept as one row.",
            "The 1/n is in the cost's derivative already: no more dividing.",
        ],
    },
    Coded {
        id: "11",
        title: "The training loop",
        task: "Forward, backward, update. Your loop runs three times here, and its weights are compared with the library's.",
        code: "for i in range(n_it):\n    {coef}\n    {derivatives}\n    for l in range(1, self.L):\n        {W}\n        {b}",
        blanks: &[
            Blank {
                id: "coef",
                before: "coef = ",
                solution: "self.forward_pass(X, training=True)",
                mistakes: &[(
                    "self.forward_pass(X)",
                    "Without training=True only the predictions come back; the backward pass needs every z and x.",
                )],
            },
            Blank {
                id: "derivatives",
                before: "derivatives = ",
                solution: "self.backward_pass(X, Y, coef)",
                mistakes: &[],
            },
            Blank {
                id: "W",
                before: "self.params[f'W{l}'] -= ",
                solution: "learning_rate * derivatives[f'dW{l}']",
                mistakes: &[
                    ("derivatives[f'dW{l}']", "The learning rate is missing: the step would be far too long."),
                    (
                        "-learning_rate * derivatives[f'dW{l}']",
                        "-= subtracts already: with another minus the weights climb, and J grows.",
                    ),
                    (
                        "learning_rate * self.params[f'W{l}']",
                        "That shrinks the weights; the step goes along the gradient, derivatives[f'dW{l}'].",
                    ),
                    (
                        "learning_rate * derivatives[f'dW{l}'] / X.shape[0]",
                        "The 1/n is in the derivative already: the step is n times too short.",
                    ),
                    (
                        "self.params[f'W{l}'] - learning_rate * derivatives[f'dW{l}']",
                        "-= subtracts already: write only what is subtracted.",
                    ),
                ],
            },
            Blank {
                id: "b",
                before: "self.params[f'b{l}'] -= ",
                solution: "learning_rate * derivatives[f'db{l}']",
                mistakes: &[
                    ("derivatives[f'db{l}']", "The learning rate is missing."),
                    (
                        "-learning_rate * derivatives[f'db{l}']",
                        "-= subtracts already: with another minus the biases climb.",
                    ),
                    ("0", "The biases learn too: learning_rate * derivatives[f'db{l}']."),
                    (
                        "learning_rate * derivatives[f'dW{l}']",
                        "That is the weights' gradient; the biases have their own, derivatives[f'db{l}'].",
                    ),
                ],
            },
        ],
        hints: &[
            "self.forward_pass(X, training=True) gives every z and x, self.backward_pass(X, Y, coef) every derivative.",
            "w := w − η ∂J/∂w: -= already holds the minus.",
        ],
    },
];

/// What an exercise asks.
pub(crate) fn exercise(id: &str) -> Result<Json, Fault> {
    if let Some((_, l, from, to)) = WEIGHTS.iter().find(|(known, ..)| *known == id).copied() {
        let by_hand = ByHand::new(l, from, to)?;
        let mut fields: Vec<Json> = (by_hand.factors.iter().enumerate())
            .map(|(n, factor)| json!({"id": format!("f{n}"), "label": factor.derivative, "solution": factor.formula}))
            .collect();
        fields.push(
            json!({"id": "result", "label": format!("∂J/∂{}", by_hand.symbol), "solution": by_hand.result_formula()}),
        );
        let hints = [
            "Each factor is one of three kinds: ∂x/∂z is the activation's slope, ∂z/∂w the neuron that the weight multiplies, ∂z/∂x the weight in between. The first is x⁽³⁾₁ − y₁.".to_owned(),
            format!("In symbols they are, in order: {}.", by_hand.factors.iter().map(|factor| factor.term.clone()).collect::<Vec<_>>().join(", ")),
            if by_hand.paths.len() > 1 { "There are two ways, so the result is a sum of two products; what both share stands outside.".to_owned() } else { "One way, one product.".to_owned() },
        ];
        return Ok(json!({
            "id": id, "kind": "hand", "title": format!("The derivative by {}", by_hand.symbol), "fields": fields, "hints": hints,
            "task": format!("Row 1 only. Enter a number, or a formula with X, Y, Z1, X1, W1 and so on (Z2[0, 1] is {} of row 1).", "z⁽²⁾₂"),
        }));
    }
    if id == "1n" {
        let fields: Vec<Json> = forward_numbers()?
            .into_iter()
            .map(|(symbol, _, formula, _)| json!({"id": symbol, "label": symbol, "solution": formula}))
            .collect();
        return Ok(json!({
            "id": id, "kind": "hand", "title": "Row 1 by hand", "fields": fields,
            "task": "x = (6.1, 8.7). Take the weights from Figure 8; all biases are 0. Numbers or formulas, as 0.06*6.1.",
            "hints": ["The two signals that arrive at z⁽¹⁾₂ are w⁽¹⁾₁₂ x₁ and w⁽¹⁾₂₂ x₂; the receptor is their sum.", "A hidden neuron is max{0, z}; the output neuron is z itself.", "Layer 2 takes the neurons x⁽¹⁾ of layer 1, not its receptors."],
        }));
    }
    let coded = CODED.iter().find(|coded| coded.id == id).ok_or_else(|| Fault(format!("there is no exercise {id}")))?;
    let fields: Vec<Json> = coded
        .blanks
        .iter()
        .map(|blank| json!({"id": blank.id, "label": blank.before, "solution": blank.solution}))
        .collect();
    Ok(json!({
        "id": id, "kind": "code", "title": coded.title, "task": coded.task, "code": coded.code, "fields": fields, "hints": coded.hints,
    }))
}

/// What is said about a field: `good`, `bad`, `unsure` (right, but by luck) or `empty`.
struct Said(&'static str, String);

/// Judges answers, a text for each field.
pub(crate) fn check(id: &str, answers: &Json) -> Result<Json, Fault> {
    let answer = |field: &str| answers[field].as_str().unwrap_or_default().trim().to_owned();
    let (said, verdict) = if let Some((_, l, from, to)) = WEIGHTS.iter().find(|(known, ..)| *known == id).copied() {
        (check_by_hand(&ByHand::new(l, from, to)?, &answer)?, None)
    } else if id == "1n" {
        (check_numbers(&answer)?, None)
    } else {
        let coded =
            CODED.iter().find(|coded| coded.id == id).ok_or_else(|| Fault(format!("there is no exercise {id}")))?;
        match id {
            "1" => (check_forward(coded, &answer)?, None),
            "5" => check_relu(coded, &answer)?,
            "6" => (check_functions(coded, &answer, &[trial()]), None),
            "7" => check_cost(coded, &answer)?,
            "8" => (check_start(coded, &answer)?, None),
            "9" => (check_class_forward(coded, &answer)?, None),
            "10" => check_backward(coded, &answer)?,
            _ => (check_training(coded, &answer)?, None),
        }
    };
    let passed = said.iter().all(|(_, Said(state, _))| *state == "good");
    let fields: Map<String, Json> =
        said.into_iter().map(|(id, Said(state, text))| (id, json!({"state": state, "text": text}))).collect();
    Ok(json!({"passed": passed, "fields": fields, "verdict": verdict}))
}

// Networks

/// A matrix of numbers.
fn value(matrix: &Matrix<f64>) -> Value {
    Value::Array(Array::matrix(matrix.rows(), matrix.cols(), matrix.as_slice().to_vec()))
}

/// A hidden network on which every factor counts, and its rows: weights and biases from `default_rng`.
fn hidden(
    widths: [usize; 4],
    rows: usize,
    activation: &Activation,
    seed: u64,
) -> (Network<f64>, Matrix<f64>, Matrix<f64>) {
    let mut rng = default_rng(seed);
    let mut draw =
        |n: usize, low: f64, high: f64| -> Vec<f64> { (0..n).map(|_| low + (high - low) * rng.random_f64()).collect() };
    let mut network =
        Network::mlp(widths[0], &widths[1..3], widths[3], activation, None, seed).expect("a sound architecture");
    let parameters = draw(network.parameters().len(), -0.9, 0.9);
    network.parameters_mut().copy_from_slice(&parameters);
    let x = Matrix::from_vec(rows, widths[0], draw(rows * widths[0], -1.5, 1.5)).expect("its size");
    let y = Matrix::from_vec(rows, widths[3], draw(rows * widths[3], -1.0, 1.0)).expect("its size");
    (network, x, y)
}

/// The tutorial's shape with other numbers: every receptor of row 1 above 0, no factor 0, no two alike.
fn open_network() -> (Network<f64>, Matrix<f64>, Matrix<f64>) {
    let (mut network, _, _) = hidden([2, 3, 2, 1], 2, &Activation::Relu, 5);
    let numbers = [
        0.31, 0.47, 0.59, 0.23, 0.67, 0.41, 0.07, 0.11, 0.05, 0.37, 0.53, 0.71, 0.29, 0.43, 0.61, 0.13, 0.17, 0.83,
        0.73, 0.19,
    ];
    network.parameters_mut().copy_from_slice(&numbers);
    (network, Matrix::from_rows(&[[1.3, 0.9], [0.7, 1.1]]), Matrix::from_rows(&[[5.2], [1.7]]))
}

/// Where a formula by hand must be right as well: a network on which every neuron is open, and one on which all hidden
/// ones are shut, so that z is not x.
fn others() -> Result<[Names; 2], Fault> {
    let (open, x, y) = open_network();
    let mut shut = open.clone();
    for segment in &open.layout().segments()[..4] {
        if segment.name != "2.weight" {
            shut.parameters_mut()[segment.range.clone()].iter_mut().for_each(|w| *w = -*w);
        }
    }
    Ok([names_of(&open, &x, &y)?, names_of(&shut, &x, &y)?])
}

/// X, Y, W1, b1, Z1, X1, … of a network over rows.
fn names_of(network: &Network<f64>, x: &Matrix<f64>, y: &Matrix<f64>) -> Result<Names, Fault> {
    let trace = Trace::forward(network, &Loss::SquaredError, x.view(), processor())?;
    let mut names = Names::from([("X".into(), value(x)), ("Y".into(), value(y)), ("X0".into(), value(x))]);
    let last = network.layers().len().div_ceil(2);
    for l in 1..=last {
        let k = 2 * (l - 1);
        names.insert(format!("W{l}"), value(&network.weights(k).to_owned()));
        let b = network.biases(k);
        names.insert(format!("b{l}"), Value::Array(Array::matrix(1, b.len(), b.to_vec())));
        names.insert(format!("Z{l}"), value(trace.output(k + 1)));
        names.insert(format!("X{l}"), value(trace.output((k + 2).min(network.layers().len()))));
    }
    Ok(names)
}

// Comparing

/// Equal to a person: relative to the largest number.
fn close(got: &Array, expected: &Array, tolerance: f64) -> bool {
    let scale = expected.data.iter().fold(1e-12_f64, |max, x| max.max(x.abs()));
    got.shape == expected.shape && got.data.iter().zip(&expected.data).all(|(a, b)| (a - b).abs() <= tolerance * scale)
}

/// Judges an expression among sets of names: it must equal the solution in each.
fn judge(blank: &Blank, text: &str, all: &[Names]) -> Said {
    if text.is_empty() {
        return Said("empty", String::new());
    }
    let mut right = 0;
    for names in all {
        let got = match evaluate(text, names).and_then(|value| value.array()) {
            Ok(got) => got,
            Err(error) => return Said("bad", format!("{}.", capital(&error))),
        };
        let expected = evaluate(blank.solution, names).and_then(|value| value.array()).expect("a solution");
        if close(&got, &expected, 1e-9) {
            right += 1;
            continue;
        }
        let is = |mistake: &str| {
            evaluate(mistake, names).and_then(|value| value.array()).is_ok_and(|wrong| close(&got, &wrong, 1e-9))
        };
        if let Some((_, text)) = blank.mistakes.iter().find(|(mistake, _)| is(mistake)) {
            return Said(if right > 0 { "unsure" } else { "bad" }, (*text).to_owned());
        }
        if got.shape != expected.shape {
            return Said("bad", format!("The shape is {}, expected {}.", got.shape_text(), expected.shape_text()));
        }
        if right > 0 {
            return Said(
                "unsure",
                "Right for the tutorial's numbers, but only there: on another network it differs.".into(),
            );
        }
        return Said("bad", nearest(&got, &expected));
    }
    Said("good", String::new())
}

/// A hint from the numbers alone.
fn nearest(got: &Array, expected: &Array) -> String {
    let at =
        got.data.iter().zip(&expected.data).position(|(a, b)| (a - b).abs() > 1e-9 * b.abs().max(1e-9)).unwrap_or(0);
    let (a, b) = (got.data[at], expected.data[at]);
    let ratio = a / b;
    let place = if expected.shape.is_empty() { String::new() } else { format!(" (first at element {})", at + 1) };
    let same = got.data.iter().zip(&expected.data).all(|(a, b)| (a - ratio * b).abs() <= 1e-9 * b.abs().max(1e-9));
    match same && ratio.is_finite() && b != 0.0 {
        true if (ratio + 1.0).abs() < 1e-9 => "The sign is turned round.".into(),
        true => format!("It is {} times what it should be{place}.", number(ratio, 5)),
        false => format!("The shape is right, the numbers are not{place}."),
    }
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + characters.as_str())
}

// Exercises 2 to 4 and the practice

struct Part {
    derivative: String,
    term: String,
    /// In the learner's names.
    formula: String,
    value: f64,
    mistakes: Vec<(String, String)>,
}

struct ByHand {
    symbol: String,
    factors: Vec<Part>,
    /// For each path the positions of its factors.
    paths: Vec<Vec<usize>>,
    value: f64,
}

/// Subscripts and superscripts of a symbol: w⁽²⁾₃₂ is (w, 2, [3, 2]).
fn parts_of(symbol: &str) -> (char, usize, Vec<usize>) {
    let digit = |c: char, all: &str| all.chars().position(|d| d == c);
    let mut letter = ' ';
    let (mut layer, mut indices) = (0, Vec::new());
    for c in symbol.chars() {
        if let Some(d) = digit(c, "⁰¹²³⁴⁵⁶⁷⁸⁹") {
            layer = layer * 10 + d;
        } else if let Some(d) = digit(c, "₀₁₂₃₄₅₆₇₈₉") {
            indices.push(d);
        } else if c.is_alphabetic() && letter == ' ' {
            letter = c;
        }
    }
    (letter, layer, indices)
}

impl ByHand {
    fn new(l: usize, from: usize, to: usize) -> Result<Self, Fault> {
        let network = example::figure_8();
        let (x, y) = example::data();
        let data = Data::new(x.rows_range(0..1), y.rows_range(0..1));
        let parameter = Parameter::weight(&network, l, from, to, None)?;
        let ledger = Ledger::new(&network, &Loss::SquaredError, &data, parameter, 50, processor())?;
        let mut factors: Vec<Part> = Vec::new();
        let mut paths = Vec::new();
        // The path through the first neuron first, as the tutorial has it.
        let mut ordered = ledger.paths.clone();
        ordered.sort_by(|a, b| a.units.cmp(&b.units));
        for path in &ordered {
            let mut positions = Vec::new();
            for factor in &path.factors {
                let derivative = factor.derivative.plain.clone();
                let at = factors.iter().position(|known| known.derivative == derivative).unwrap_or_else(|| {
                    factors.push(part(&derivative, &factor.term.plain, factor.value));
                    factors.len() - 1
                });
                positions.push(at);
            }
            paths.push(positions);
        }
        Ok(Self { symbol: ledger.symbol.plain, factors, paths, value: ledger.backpropagation })
    }

    fn result_formula(&self) -> String {
        let product =
            |path: &Vec<usize>| path.iter().map(|at| self.factors[*at].formula.clone()).collect::<Vec<_>>().join(" * ");
        self.paths.iter().map(product).collect::<Vec<_>>().join(" + ")
    }
}

/// A factor in the learner's names, and the usual mistakes about it.
fn part(derivative: &str, term: &str, value: f64) -> Part {
    let (above, below) = derivative.split_once('/').unwrap_or((derivative, ""));
    let (a, b) = (parts_of(above), parts_of(below));
    let cell = |letter: char, l: usize, i: usize| {
        let name = match (letter, l) {
            ('x', 0) => "X".to_owned(),
            (letter, l) => format!("{}{l}", letter.to_uppercase()),
        };
        format!("{name}[0, {}]", i - 1)
    };
    let widths = [2, 3, 2, 1];
    let (formula, mistakes) = match (a.0, b.0) {
        ('J', _) => (
            "(X3[0, 0] - Y[0, 0])".to_owned(),
            vec![
                (
                    "Y[0, 0] - X3[0, 0]".into(),
                    "The sign is turned round: J = ½(x⁽³⁾₁ − y₁)² has the derivative x⁽³⁾₁ − y₁.".into(),
                ),
                ("2 * (X3[0, 0] - Y[0, 0])".into(), "There is a 2 too many: the ½ of J cancels it.".into()),
                ("(X3[0, 0] - Y[0, 0]) ** 2 / 2".into(), "That is J itself, not its derivative.".into()),
                ("(X3[0, 0] - Y[0, 0]) ** 2".into(), "The square is gone once the derivative is taken.".into()),
                ("X3[0, 0]".into(), "That is the prediction; subtract the truth y₁.".into()),
                ("-Y[0, 0]".into(), "The prediction is small but not 0: x⁽³⁾₁ − y₁.".into()),
            ],
        ),
        ('x', 'z') => {
            let (l, k) = (a.1, a.2[0]);
            let slope = if l == 3 { "1".to_owned() } else { format!("({} > 0)", cell('z', l, k)) };
            let mut mistakes = Vec::new();
            if l == 3 {
                mistakes.push(("0".to_owned(), "The output has the identity, whose slope is 1 everywhere.".to_owned()));
                mistakes.push((cell('z', l, k), "That is the receptor; the slope of the identity is 1.".into()));
            } else {
                mistakes.push((
                    format!("1 - ({} > 0)", cell('z', l, k)),
                    format!("relu's slope is 1 where z is above 0, else 0. Look at z⁽{}⁾ of this neuron.", raised(l)),
                ));
                mistakes.push((cell('x', l, k), "That is the neuron's value, a(z); the slope a′(z) is 0 or 1.".into()));
                mistakes.push((cell('z', l, k), "That is the receptor z; the slope a′(z) is 0 or 1.".into()));
            }
            (slope, mistakes)
        }
        ('z', 'x') => {
            let (l, to, from) = (a.1, a.2[0], b.2[0]);
            let w = |i: usize, j: usize| format!("W{l}[{}, {}]", i - 1, j - 1);
            let mut mistakes =
                vec![(cell('x', l - 1, from), "That is the neuron; ∂z/∂x is the weight between them.".to_owned())];
            for i in 1..=widths[l - 1] {
                for j in 1..=widths[l] {
                    if (i, j) == (to, from) && (i, j) != (from, to) {
                        mistakes.push((w(i, j), format!("That is w⁽{}⁾ with its indices the other way round: first the neuron that sends, then the one that receives.", raised(l))));
                    } else if (i, j) != (from, to) {
                        mistakes.push((w(i, j), format!("That is another weight of layer {l}: the line from neuron {from} of layer {} to neuron {to} of layer {l} is meant.", l - 1)));
                    }
                }
            }
            (w(from, to), mistakes)
        }
        _ => {
            let (l, from) = (b.1, b.2[0]);
            let mut mistakes = vec![(
                format!("W{l}[{}, {}]", from - 1, b.2[1] - 1),
                "That is the weight itself; z changes by the neuron that the weight multiplies.".to_owned(),
            )];
            for i in (1..=widths[l - 1]).filter(|i| *i != from) {
                mistakes.push((
                    cell('x', l - 1, i),
                    format!("That is another neuron of layer {}: the weight starts at neuron {from}.", l - 1),
                ));
            }
            if l > 1 {
                mistakes.push((
                    cell('z', l - 1, from),
                    format!(
                        "That is the receptor z⁽{}⁾; the weight multiplies the neuron x, after the activation.",
                        raised(l - 1)
                    ),
                ));
            }
            let other = cell('x', l, b.2[1]);
            mistakes.push((other, format!("That is a neuron of layer {l}; the weight starts in layer {}.", l - 1)));
            (cell('x', l - 1, from), mistakes)
        }
    };
    Part { derivative: derivative.into(), term: term.into(), formula, value, mistakes }
}

fn raised(l: usize) -> char {
    "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(l).unwrap_or('?')
}

fn check_by_hand(by_hand: &ByHand, answer: &dyn Fn(&str) -> String) -> Result<Vec<(String, Said)>, Fault> {
    let (x, y) = example::data();
    let first = names_of(&example::figure_8(), &x, &y)?;
    let other = others()?;
    let mut said = Vec::new();
    for (n, part) in by_hand.factors.iter().enumerate() {
        let id = format!("f{n}");
        let judged = judge_number(&answer(&id), &part.formula, part.value, &part.mistakes, &first, &other);
        said.push((id, judged));
    }
    let text = answer("result");
    let all_right = said.iter().all(|(_, Said(state, _))| *state == "good");
    let mut mistakes: Vec<(String, String)> = Vec::new();
    if by_hand.paths.len() > 1 {
        for (n, path) in by_hand.paths.iter().enumerate() {
            let product = path.iter().map(|at| by_hand.factors[*at].formula.clone()).collect::<Vec<_>>().join(" * ");
            mistakes.push((
                product,
                format!("That is the path number {} alone; the derivative is the sum over both.", n + 1),
            ));
        }
    }
    mistakes.push((format!("-({})", by_hand.result_formula()), "The sign is turned round.".into()));
    mistakes.push((
        format!("({}) / 10", by_hand.result_formula()),
        "Only row 1 counts here: nothing is divided by the ten rows.".into(),
    ));
    let mut judged = judge_number(&text, &by_hand.result_formula(), by_hand.value, &mistakes, &first, &other);
    if judged.0 == "bad" && all_right && judged.1.starts_with("That is not") {
        judged.1 = if by_hand.paths.len() > 1 {
            "Your factors are right, but this is not the sum of their two products.".into()
        } else {
            "Your factors are right, but this is not their product.".into()
        };
    }
    said.push(("result".into(), judged));
    Ok(said)
}

/// Judges a number, or a formula for it.
fn judge_number(
    text: &str,
    formula: &str,
    expected: f64,
    mistakes: &[(String, String)],
    first: &Names,
    others: &[Names; 2],
) -> Said {
    if text.is_empty() {
        return Said("empty", String::new());
    }
    let single = |text: &str, names: &Names| match evaluate(text, names).and_then(|value| value.array()) {
        Ok(array) if array.data.len() == 1 => Ok(array.data[0]),
        Ok(array) => Err(format!("that is an array of shape {}; one number belongs here", array.shape_text())),
        Err(error) => Err(error),
    };
    let got = match single(text, first) {
        Ok(got) => got,
        Err(error) => return Said("bad", format!("{}.", capital(&error))),
    };
    // A pencil rounds: three digits are enough.
    let near = |a: f64, b: f64, tolerance: f64| (a - b).abs() <= tolerance * b.abs().max(1e-9);
    let formula_given = has_names(text);
    let find = |got: f64, names: &Names| {
        let is = |mistake: &str| single(mistake, names).is_ok_and(|wrong| near(got, wrong, 2e-3));
        mistakes.iter().find(|(mistake, _)| is(mistake)).map(|(_, text)| text.clone())
    };
    if !near(got, expected, 2e-3) {
        // A formula says more on the other network, where no two numbers are alike.
        let seen =
            if formula_given { single(text, &others[0]).ok().and_then(|got| find(got, &others[0])) } else { None };
        let text = seen.or_else(|| find(got, first)).unwrap_or_else(|| match near(got, expected, 0.03) {
            true => format!("Nearly: give one digit more than {}.", number(got, 6)),
            false => "That is not it.".into(),
        });
        return Said("bad", text);
    }
    for other in others.iter().filter(|_| formula_given) {
        if let (Ok(got), Ok(right)) = (single(text, other), single(formula, other))
            && !near(got, right, 1e-9)
        {
            let text = find(got, other).unwrap_or_else(|| "The formula is another one.".into());
            return Said("unsure", format!("The number is right, but by luck: on another network it differs. {text}"));
        }
    }
    Said("good", String::new())
}

// Exercise 1

/// Symbol, value, formula and mistakes of each number of row 1.
type Numbered = (String, f64, String, Vec<(String, String)>);

fn forward_numbers() -> Result<Vec<Numbered>, Fault> {
    let (x, y) = example::data();
    let names = names_of(&example::figure_8(), &x, &y)?;
    let mut all: Vec<Numbered> = Vec::new();
    let mut push = |symbol: String, formula: String, mistakes: Vec<(String, String)>| -> Result<(), Fault> {
        let value = evaluate(&formula, &names).and_then(|value| value.array()).map_err(Fault)?.data[0];
        all.push((symbol, value, formula, mistakes));
        Ok(())
    };
    for i in 1..=2 {
        push(
            format!("w⁽¹⁾{}₂ x⁽⁰⁾{}", low(i), low(i)),
            format!("W1[{}, 1] * X[0, {}]", i - 1, i - 1),
            vec![
                (format!("W1[{}, 1]", i - 1), "That is the weight; multiply it by the signal.".into()),
                (format!("W1[1, {}] * X[0, {}]", i - 1, i - 1), "That is another weight: the first index is the neuron that sends, the second the one that receives.".into()),
            ],
        )?;
    }
    for (l, width) in [(1, 3), (2, 2), (3, 1)] {
        let before = if l == 1 { "X".to_owned() } else { format!("X{}", l - 1) };
        for j in 1..=width {
            let up = raised(l);
            let mut mistakes = vec![
                (format!("-({before}[0] @ W{l}[:, {}])", j - 1), "The sign is turned round.".to_owned()),
                (
                    format!("{before}[0, 0] * W{l}[0, {}]", j - 1),
                    "That is the first signal alone; add the others.".into(),
                ),
                (format!("{before}[1] @ W{l}[:, {}]", j - 1), "Those are the numbers of row 2; row 1 is meant.".into()),
            ];
            if l > 1 {
                mistakes.push((
                    format!("Z{}[0] @ W{l}[:, {}]", l - 1, j - 1),
                    "That adds up receptors; what neurons send is x, after the activation.".into(),
                ));
            }
            push(
                format!("z⁽{up}⁾{}", low(j)),
                format!("{before}[0] @ W{l}[:, {}] + b{l}[0, {}]", j - 1, j - 1),
                mistakes,
            )?;
        }
        for j in 1..=width {
            let (up, z) = (raised(l), format!("Z{l}[0, {}]", j - 1));
            let formula = if l == 3 { z.clone() } else { format!("np.fmax(0, {z})") };
            let mistakes = if l == 3 {
                vec![("0".into(), "The output passes its receptor on as it is.".into())]
            } else {
                vec![
                    (z.clone(), "The activation is missing: max{0, z}.".into()),
                    ("0".into(), "This receptor is above 0, so the neuron sends it on.".into()),
                    (
                        format!("({z} > 0)"),
                        "That is relu's slope; the neuron sends z itself where it is above 0.".into(),
                    ),
                ]
            };
            push(format!("x⁽{up}⁾{}", low(j)), formula, mistakes)?;
        }
    }
    Ok(all)
}

fn low(i: usize) -> char {
    "₀₁₂₃₄₅₆₇₈₉".chars().nth(i).unwrap_or('?')
}

fn check_numbers(answer: &dyn Fn(&str) -> String) -> Result<Vec<(String, Said)>, Fault> {
    let (x, y) = example::data();
    let first = names_of(&example::figure_8(), &x, &y)?;
    let other = others()?;
    let judged = forward_numbers()?.into_iter().map(|(symbol, value, formula, mistakes)| {
        let said = judge_number(&answer(&symbol), &formula, value, &mistakes, &first, &other);
        (symbol, said)
    });
    Ok(judged.collect())
}

fn check_forward(coded: &Coded, answer: &dyn Fn(&str) -> String) -> Result<Vec<(String, Said)>, Fault> {
    let (x, y) = example::data();
    let (network, hx, hy) = hidden([3, 4, 3, 2], 5, &Activation::Relu, 11);
    let all = [names_of(&example::figure_8(), &x, &y)?, names_of(&network, &hx, &hy)?];
    // A line sees what the lines above it should have given.
    let line = |(n, blank): (usize, &Blank)| {
        let later: Vec<&str> = coded.blanks[n..].iter().map(|blank| blank.id).collect();
        let cut = |names: &Names| {
            let mut names = names.clone();
            names.retain(|name, _| !later.contains(&name.as_str()) && name != "Y" && name != "X0");
            names
        };
        (blank.id.to_owned(), judge(blank, &answer(blank.id), &[cut(&all[0]), cut(&all[1])]))
    };
    Ok(coded.blanks.iter().enumerate().map(line).collect())
}

// Exercises 5 to 7

/// Numbers of both signs, and 0.
fn trial() -> Names {
    let z = Array::matrix(2, 4, vec![-2.5, -0.4, 0.0, 0.7, 1.9, -1.2, 0.3, 3.1]);
    Names::from([("z".into(), Value::Array(z))])
}

fn check_functions(coded: &Coded, answer: &dyn Fn(&str) -> String, all: &[Names]) -> Vec<(String, Said)> {
    coded.blanks.iter().map(|blank| (blank.id.to_owned(), judge(blank, &answer(blank.id), all))).collect()
}

type Judged = (Vec<(String, Said)>, Option<String>);

/// What `diagnose_gradient` says of a gradient that was computed with somebody's formulas.
fn diagnosis(network: &Network<f64>, x: &Matrix<f64>, y: &Matrix<f64>, found: &Found) -> Result<Option<String>, Fault> {
    let data = Data::new(x.view(), y.view());
    let mut candidate = Candidate::default();
    for (l, delta, weights, biases) in found {
        let k = 2 * (l - 1);
        let same = |array: &Array, rows: usize, cols: usize| array.shape == [rows, cols];
        let shape = network.weights(k);
        if same(delta, x.rows(), shape.cols()) {
            candidate = candidate.delta(network, *l, Matrix::from_vec(x.rows(), shape.cols(), delta.data.clone())?)?;
        }
        if same(weights, shape.rows(), shape.cols()) || weights.data.len() == shape.as_slice().len() {
            candidate = candidate.segment(network, &format!("{k}.weight"), weights.data.clone())?;
        }
        if biases.data.len() == shape.cols() {
            candidate = candidate.segment(network, &format!("{k}.bias"), biases.data.clone())?;
        }
    }
    let diagnosis = diagnose_gradient(network, &Loss::SquaredError, &data, &candidate, processor())?;
    Ok((!diagnosis.findings.is_empty()).then(|| diagnosis.to_string()))
}

/// Layer, dZ, dW and db.
type Found = Vec<(usize, Array, Array, Array)>;

fn check_relu(coded: &Coded, answer: &dyn Fn(&str) -> String) -> Result<Judged, Fault> {
    let said = check_functions(coded, answer, &[trial()]);
    let mut verdict = None;
    // The slope at work: the backward pass of a hidden relu network.
    if said.iter().any(|(id, Said(state, _))| id == "slope" && *state == "bad") {
        let (network, x, y) = hidden([3, 4, 3, 2], 5, &Activation::Relu, 11);
        let slope = answer("slope");
        let function = Value::function("relu_derivative", move |given, _| {
            let z = given.first().cloned().ok_or("of what?")?;
            evaluate(&slope, &Names::from([("z".into(), z)]))
        });
        if let Ok(found) = backward(&network, &x, &y, &BACKWARD, Some(&function)) {
            verdict = diagnosis(&network, &x, &y, &found)?
                .map(|text| format!("In a backward pass it would show like this. {}.", capital(&text)));
        }
    }
    Ok((said, verdict))
}

fn check_cost(coded: &Coded, answer: &dyn Fn(&str) -> String) -> Result<Judged, Fault> {
    let names = |n: usize, m: usize, seed: u64| {
        let mut rng = default_rng(seed);
        let mut draw = || Value::Array(Array::matrix(n, m, (0..n * m).map(|_| rng.random_f64() * 4.0 - 2.0).collect()));
        Names::from([("a".into(), draw()), ("Y".into(), draw())])
    };
    let [one, two] = [names(6, 1, 3), names(5, 2, 4)];
    let text = answer("mse");
    // With several outputs the tutorial's mean over all elements and the sum over outputs both have their friends.
    let sum = Blank { solution: "np.sum((a - Y) ** 2) / (2 * Y.shape[0])", ..coded.blanks[0] };
    let first = judge(&coded.blanks[0], &text, &[one.clone(), two.clone()]);
    let second = judge(&sum, &text, &[one.clone(), two.clone()]);
    let mse = match (first.0, second.0) {
        ("good", _) | (_, "good") => Said("good", String::new()),
        _ => first,
    };
    let mut verdict = None;
    let mut slope = judge(&coded.blanks[1], &answer("slope"), &[one, two]);
    if slope.0 != "good" && slope.0 != "empty" {
        let (network, x, y) = hidden([3, 4, 3, 2], 5, &Activation::Tanh, 7);
        let trace = Trace::forward(&network, &Loss::SquaredError, x.view(), processor())?;
        let mut names = names_of(&network, &x, &y)?;
        names.insert("a".into(), value(trace.prediction()));
        if let Ok(delta) = evaluate(&answer("slope"), &names).and_then(|value| value.array())
            && delta.shape == [x.rows(), 2]
        {
            let found = from_delta(&network, &names, delta)?;
            verdict = diagnosis(&network, &x, &y, &found)?.map(|text| capital(&text));
            if let (Some(text), "It is" | "The shape" | "Right for") =
                (&verdict, slope.1.split(' ').take(2).collect::<Vec<_>>().join(" ").as_str())
            {
                slope = Said(slope.0, text.clone());
                verdict = None;
            }
        }
    }
    if text.contains("mean") && mse.0 == "good" && slope.0 == "good" {
        verdict = Some("Both are right for one output. With m outputs np.mean divides by n·m, the derivative by n: then the gradient is m times that of the printed cost. The library sums over outputs in both.".into());
    }
    Ok((vec![("mse".into(), mse), ("slope".into(), slope)], verdict))
}

/// The gradient from δ⁽ᴸ⁾ on, rightly.
fn from_delta(network: &Network<f64>, names: &Names, delta: Array) -> Result<Found, Fault> {
    let last = network.layers().len().div_ceil(2);
    let mut names = names.clone();
    names.insert("d".into(), Value::Array(delta));
    let mut found = Found::new();
    for l in (1..=last).rev() {
        let get = |text: &str, names: &Names| evaluate(text, names).and_then(|value| value.array()).map_err(Fault);
        let delta = get("d", &names)?;
        found.push((
            l,
            delta,
            get(&format!("X{}.T @ d", l - 1), &names)?,
            get("np.sum(d, axis=0, keepdims=True)", &names)?,
        ));
        if l > 1 {
            // tanh′ = 1 − tanh².
            let next = get(&format!("d @ W{l}.T * (1 - X{} ** 2)", l - 1), &names)?;
            names.insert("d".into(), Value::Array(next));
        }
    }
    Ok(found)
}

// Exercises 8 to 11: the class

/// NumPy's generator for an expression.
fn generator(seed: u64) -> (Value, Rc<RefCell<Generator>>) {
    let rng = Rc::new(RefCell::new(default_rng(seed)));
    let drawing = |uniform: bool| {
        let rng = Rc::clone(&rng);
        Value::function(if uniform { "rng.uniform" } else { "rng.normal" }, move |given, named| {
            let names = if uniform { ["low", "high"] } else { ["loc", "scale"] };
            if let Some((key, _)) = named.iter().find(|(key, _)| !names.contains(&key.as_str()) && key != "size") {
                return Err(format!("rng takes {}, {} and size, not `{key}`", names[0], names[1]));
            }
            let argument = |name: &str, place: usize| {
                named.iter().find(|(key, _)| key == name).map(|(_, v)| v).or_else(|| given.get(place))
            };
            let number = |name: &str, place: usize, usual: f64| match argument(name, place) {
                Some(value) => value.array().map(|array| array.data[0]),
                None => Ok(usual),
            };
            let (a, b) = (number(names[0], 0, 0.0)?, number(names[1], 1, 1.0)?);
            let shape = argument("size", 2).map(shape_of).transpose()?.unwrap_or_default();
            let mut data = vec![0.0; shape.iter().product()];
            let mut rng = rng.borrow_mut();
            let filled = if uniform { rng.fill_uniform(a, b, &mut data) } else { rng.fill_normal(a, b, &mut data) };
            filled.map_err(|error| error.to_string())?;
            Ok(Value::Array(Array { shape, data, truth: false }))
        })
    };
    let names = BTreeMap::from([("normal".into(), drawing(false)), ("uniform".into(), drawing(true))]);
    (Value::Named(names), rng)
}

fn check_start(coded: &Coded, answer: &dyn Fn(&str) -> String) -> Result<Vec<(String, Said)>, Fault> {
    let dims = [3_usize, 4, 5, 2];
    let list = Value::Tuple(dims.iter().map(|n| Value::number(*n as f64)).collect());
    let object = Value::Named(BTreeMap::from([("L".into(), Value::number(4.0))]));
    let names = |l: usize| {
        // Each layer from a generator that has drawn the layers before.
        let (rng, state) = generator(1);
        for k in 1..l {
            let mut drawn = vec![0.0; dims[k - 1] * dims[k]];
            let _ = state.borrow_mut().fill_normal(0.0, 0.001, &mut drawn);
        }
        Names::from([
            ("layers_dims".into(), list.clone()),
            ("self".into(), object.clone()),
            ("l".into(), Value::number(l as f64)),
            ("rng".into(), rng),
        ])
    };
    let network = Network::<f64>::mlp(3, &[4, 5], 2, &Activation::Relu, Some(Initialiser::Normal(0.001)), 1)?;
    let judge_all = |blank: &Blank| {
        for l in 1..=3 {
            // Names anew for every expression: each draws from the generator's beginning.
            let text = answer(blank.id);
            let said = judge_fresh(blank, &text, &|| names(l));
            if said.0 != "good" {
                return said;
            }
            if blank.id == "W" {
                let got = evaluate(&text, &names(l)).and_then(|value| value.array());
                let library = network.weights(2 * (l - 1));
                if got.is_ok_and(|got| got.data != library.as_slice()) {
                    return Said("bad", "Other numbers than the library draws from the same seed: use rng.normal with scale= and size=.".into());
                }
            }
        }
        Said("good", String::new())
    };
    Ok(coded.blanks.iter().map(|blank| (blank.id.to_owned(), judge_all(blank))).collect())
}

/// As [`judge`], with names that evaluation changes.
fn judge_fresh(blank: &Blank, text: &str, names: &dyn Fn() -> Names) -> Said {
    if text.is_empty() {
        return Said("empty", String::new());
    }
    let array = |text: &str| evaluate(text, &names()).and_then(|value| value.array());
    let got = match array(text) {
        Ok(got) => got,
        Err(error) => return Said("bad", format!("{}.", capital(&error))),
    };
    let expected = array(blank.solution).expect("a solution");
    if got == expected || close(&got, &expected, 1e-12) {
        return Said("good", String::new());
    }
    let is = |mistake: &str| array(mistake).is_ok_and(|wrong| close(&got, &wrong, 1e-9));
    match blank.mistakes.iter().find(|(mistake, _)| is(mistake)) {
        Some((_, text)) => Said("bad", (*text).to_owned()),
        None if got.shape != expected.shape => {
            Said("bad", format!("The shape is {}, expected {}.", got.shape_text(), expected.shape_text()))
        }
        None => Said("bad", nearest(&got, &expected)),
    }
}

/// `self` of a network: its parameters, its functions, and its methods.
fn object(network: &Network<f64>, slope: Option<&Value>) -> BTreeMap<String, Value> {
    let last = network.layers().len().div_ceil(2);
    let mut params = BTreeMap::new();
    for l in 1..=last {
        let k = 2 * (l - 1);
        params.insert(format!("W{l}"), value(&network.weights(k).to_owned()));
        params.insert(format!("b{l}"), Value::Array(Array::matrix(1, network.width(k), network.biases(k).to_vec())));
    }
    let apply = |activation: Activation, derivative: bool| {
        Value::function("activation", move |given, _| {
            let [z] = given else { return Err("an activation takes one array".into()) };
            let z = z.array()?;
            let (set, mut x) = (processor().instruction_set(), z.clone());
            x.truth = false;
            activation.activate(set, &z.data, &mut x.data);
            if derivative {
                let mut slope = vec![1.0; z.data.len()];
                activation.differentiate(set, &z.data, &x.data, &mut slope);
                x.data = slope;
            }
            Ok(Value::Array(x))
        })
    };
    let mut functions = vec![Value::None];
    for l in 1..=last {
        let activation = match network.layers().get(2 * l - 1) {
            Some(chainrule::Layer::Activation(activation)) => activation.clone(),
            _ => Activation::Identity,
        };
        let derivative = match slope {
            Some(slope) if l < last => slope.clone(),
            _ => apply(activation.clone(), true),
        };
        functions.push(Value::Named(BTreeMap::from([
            ("activation".into(), apply(activation, false)),
            ("derivative".into(), derivative),
        ])));
    }
    let loss = BTreeMap::from([(
        "derivative".to_owned(),
        Value::function("derivative", |given, _| match given {
            [a, y] => {
                let names = Names::from([("a".into(), a.clone()), ("Y".into(), y.clone())]);
                evaluate("(a - Y) / Y.shape[0]", &names)
            }
            _ => Err("it takes predictions and truth".into()),
        }),
    )]);
    BTreeMap::from([
        ("params".into(), Value::Named(params)),
        ("a".into(), Value::Tuple(functions)),
        ("L".into(), Value::number((last + 1) as f64)),
        ("loss_function".into(), Value::Named(loss)),
    ])
}

/// x0, z1, x1, … of a network, as `forward_pass` gives them.
fn coefficients(network: &Network<f64>, x: &Matrix<f64>) -> Result<BTreeMap<String, Value>, Fault> {
    let names = names_of(network, x, &Matrix::zeros(x.rows(), network.outputs()))?;
    let kept = names.into_iter().filter(|(name, _)| name.starts_with(['X', 'Z']) && name != "X");
    Ok(kept.map(|(name, value)| (name.to_lowercase(), value)).collect())
}

fn check_class_forward(coded: &Coded, answer: &dyn Fn(&str) -> String) -> Result<Vec<(String, Said)>, Fault> {
    let (network, x, _) = hidden([3, 4, 3, 2], 5, &Activation::Tanh, 7);
    let all = coefficients(&network, &x)?;
    let names = |l: usize, with_z: bool| {
        let known = all.iter().filter(|(name, _)| {
            let layer: usize = name[1..].parse().unwrap_or(0);
            layer < l || (with_z && **name == format!("z{l}"))
        });
        let outputs = known.map(|(name, value)| (name.clone(), value.clone())).collect();
        Names::from([
            ("X".into(), value(&x)),
            ("l".into(), Value::number(l as f64)),
            ("self".into(), Value::Named(object(&network, None))),
            ("outputs".into(), Value::Named(outputs)),
        ])
    };
    // Deeper layers first: there the mistakes differ, layer 1 forgives some.
    let judge_all = |blank: &Blank| {
        let sets: Vec<Names> = [2, 3, 1].iter().map(|l| names(*l, blank.id == "x")).collect();
        let said = judge(blank, &answer(blank.id), &sets);
        if said.0 == "unsure" { Said("bad", said.1) } else { said }
    };
    Ok(coded.blanks.iter().map(|blank| (blank.id.to_owned(), judge_all(blank))).collect())
}

const BACKWARD: [&str; 3] = [
    "derivatives[f'dZ{l+1}'] @ self.params[f'W{l+1}'].T * self.a[l]['derivative'](coef[f'z{l}'])",
    "coef[f'x{l-1}'].T @ derivatives[f'dZ{l}']",
    "np.sum(derivatives[f'dZ{l}'], axis=0, keepdims=True)",
];

/// The backward pass with three formulas for the hidden layers; the error names the formula at fault.
fn backward(
    network: &Network<f64>,
    x: &Matrix<f64>,
    y: &Matrix<f64>,
    formulas: &[&str; 3],
    slope: Option<&Value>,
) -> Result<Found, (usize, String)> {
    let coef = coefficients(network, x).map_err(|fault| (0, fault.0))?;
    let last = network.layers().len().div_ceil(2);
    let mut names = Names::from([
        ("self".into(), Value::Named(object(network, slope))),
        ("coef".into(), Value::Named(coef)),
        ("X".into(), value(x)),
        ("Y".into(), value(y)),
    ]);
    let mut derivatives = BTreeMap::new();
    let mut found = Found::new();
    for l in (1..=last).rev() {
        names.insert("l".into(), Value::number(l as f64));
        let output = ["self.loss_function['derivative'](coef[f'x{l}'], Y)", BACKWARD[1], BACKWARD[2]];
        let mut three = Vec::new();
        for (n, name) in ["dZ", "dW", "db"].iter().enumerate() {
            names.insert("derivatives".into(), Value::Named(derivatives.clone()));
            let formula = if l == last { output[n] } else { formulas[n] };
            let array = evaluate(formula, &names).and_then(|value| value.array()).map_err(|error| (n, error))?;
            derivatives.insert(format!("{name}{l}"), Value::Array(array.clone()));
            three.push(array);
        }
        let [z, w, b] = <[Array; 3]>::try_from(three).expect("three");
        found.push((l, z, w, b));
    }
    Ok(found)
}

fn check_backward(coded: &Coded, answer: &dyn Fn(&str) -> String) -> Result<Judged, Fault> {
    let (network, x, y) = hidden([3, 4, 3, 2], 5, &Activation::Tanh, 7);
    let texts: Vec<String> = coded.blanks.iter().map(|blank| answer(blank.id)).collect();
    let right = backward(&network, &x, &y, &BACKWARD, None).map_err(|(_, error)| Fault(error))?;
    // Each line by itself, the others being right; then all together through the diagnosis.
    let mut said = Vec::new();
    let mut verdicts = Vec::new();
    for (n, blank) in coded.blanks.iter().enumerate() {
        let text = &texts[n];
        if text.is_empty() {
            said.push((blank.id.to_owned(), Said("empty", String::new())));
            continue;
        }
        let mut formulas = BACKWARD;
        formulas[n] = text;
        let judged = match backward(&network, &x, &y, &formulas, None) {
            Err((_, error)) => Said("bad", format!("{}.", capital(&error))),
            Ok(found) => {
                let part =
                    |one: &(usize, Array, Array, Array)| [one.1.clone(), one.2.clone(), one.3.clone()][n].clone();
                let hidden_right = found.iter().zip(&right).all(|(got, right)| close(&part(got), &part(right), 1e-9));
                let shapes = found.iter().zip(&right).find(|(got, right)| part(got).shape != part(right).shape);
                if hidden_right {
                    Said("good", String::new())
                } else {
                    let known = blank.mistakes.iter().find(|(mistake, _)| {
                        let mut formulas = BACKWARD;
                        formulas[n] = mistake;
                        backward(&network, &x, &y, &formulas, None).is_ok_and(|wrong| {
                            wrong.iter().zip(&found).all(|(wrong, got)| close(&part(wrong), &part(got), 1e-9))
                        })
                    });
                    match (known, shapes) {
                        (Some((_, text)), _) => Said("bad", (*text).to_owned()),
                        (None, Some((got, right))) if n == 2 && part(got).data.len() == part(right).data.len() => Said(
                            "bad",
                            format!(
                                "The numbers are summed rightly, but the shape is {}, expected {}: keepdims=True keeps the row.",
                                part(got).shape_text(),
                                part(right).shape_text()
                            ),
                        ),
                        (None, shapes) => match (diagnosis(&network, &x, &y, &found)?, shapes) {
                            (Some(text), _) => Said("bad", capital(&text)),
                            (None, Some((got, right))) => Said(
                                "bad",
                                format!(
                                    "The shape is {}, expected {}.",
                                    part(got).shape_text(),
                                    part(right).shape_text()
                                ),
                            ),
                            (None, None) => Said("bad", "The numbers differ from the library's.".into()),
                        },
                    }
                }
            }
        };
        if judged.0 == "bad" {
            verdicts.push(blank.id);
        }
        said.push((blank.id.to_owned(), judged));
    }
    let verdict = match verdicts.len() {
        0 if said.iter().all(|(_, Said(state, _))| *state == "good") => Some(
            "Your backward pass gives the library's gradient on a hidden network: tanh, two outputs, five rows."
                .to_owned(),
        ),
        0 => None,
        _ => Some(
            "Tried on a hidden network (3-4-3-2, tanh, five rows), each line by itself with the others right."
                .to_owned(),
        ),
    };
    Ok((said, verdict))
}

/// Three rounds of a training loop with these formulas: the parameters, or the blank at fault.
fn looped(formulas: &[String; 4]) -> Result<Vec<f64>, (usize, String)> {
    let (mut network, x, y) = hidden([3, 4, 3, 2], 5, &Activation::Tanh, 7);
    let rate = RATE;
    let last = network.layers().len().div_ceil(2);
    for _ in 0..3 {
        let mut own = object(&network, None);
        let (now, rows) = (network.clone(), x.clone());
        own.insert(
            "forward_pass".into(),
            Value::function("self.forward_pass", move |given, named| {
                let Some(Value::Array(of)) = given.first() else { return Err("forward_pass takes X".into()) };
                if of.data != rows.as_slice() {
                    return Err("forward_pass takes X here".into());
                }
                let training = named.iter().find(|(key, _)| key == "training").map(|(_, v)| v).or_else(|| given.get(1));
                let training =
                    training.map(|value| value.array()).transpose()?.is_some_and(|array| array.data[0] != 0.0);
                let all = coefficients(&now, &rows).map_err(|fault| fault.0)?;
                Ok(if training { Value::Named(all) } else { all["x3"].clone() })
            }),
        );
        let (now, rows, truth) = (network.clone(), x.clone(), y.clone());
        own.insert(
            "backward_pass".into(),
            Value::function("self.backward_pass", move |given, _| match given {
                [Value::Array(a), Value::Array(b), Value::Named(_)] if a.data == rows.as_slice() && b.data == truth.as_slice() => {
                    let found = backward(&now, &rows, &truth, &BACKWARD, None).map_err(|(_, error)| error)?;
                    let named = found.into_iter().flat_map(|(l, z, w, b)| {
                        [(format!("dZ{l}"), z), (format!("dW{l}"), w), (format!("db{l}"), b)].map(|(name, array)| (name, Value::Array(array)))
                    });
                    Ok(Value::Named(named.collect()))
                }
                [Value::Array(a), Value::Array(b), Value::Array(_)] if a.data == rows.as_slice() && b.data == truth.as_slice() => Err("backward_pass needs every z and x, but coef holds only predictions: training=True in the forward pass".into()),
                [_, _, _] => Err("backward_pass takes X, Y and coef, in this order".into()),
                given => Err(format!("backward_pass takes X, Y and coef; {} came", given.len())),
            }),
        );
        let mut names = Names::from([
            ("self".into(), Value::Named(own)),
            ("X".into(), value(&x)),
            ("Y".into(), value(&y)),
            ("learning_rate".into(), Value::number(rate)),
        ]);
        for (n, name) in [(0, "coef"), (1, "derivatives")] {
            let value = evaluate(&formulas[n], &names).map_err(|error| (n, error))?;
            if n == 0 && !matches!(value, Value::Named(_)) {
                return Err((
                    0,
                    "without training=True only the predictions come back; the backward pass needs every z and x"
                        .into(),
                ));
            }
            names.insert(name.into(), value);
        }
        for l in 1..=last {
            names.insert("l".into(), Value::number(l as f64));
            for (n, segment) in [(2, 2 * (l - 1)), (3, 2 * (l - 1) + 1)] {
                let change =
                    evaluate(&formulas[n], &names).and_then(|value| value.array()).map_err(|error| (n, error))?;
                let range = network.layout().segments()[segment].range.clone();
                let numbers = &mut network.parameters_mut()[range];
                if change.data.len() != numbers.len() && change.data.len() != 1 {
                    let (whose, key) = if n == 2 { ("weights", "dW") } else { ("biases", "db") };
                    let shape = change.shape_text();
                    return Err((
                        n,
                        format!("{shape} is not the {whose}' shape; their gradient is derivatives[f'{key}{{l}}']"),
                    ));
                }
                numbers.iter_mut().enumerate().for_each(|(i, w)| *w -= change.data[i % change.data.len()]);
            }
        }
    }
    Ok(network.parameters().to_vec())
}

const RATE: f64 = 0.05;

fn check_training(coded: &Coded, answer: &dyn Fn(&str) -> String) -> Result<Vec<(String, Said)>, Fault> {
    let right: [String; 4] = std::array::from_fn(|n| coded.blanks[n].solution.to_owned());
    let (mut network, x, y) = hidden([3, 4, 3, 2], 5, &Activation::Tanh, 7);
    let options = Options {
        optimizer: Optimizer::GradientDescent,
        learning_rate: Some(RATE),
        batch_size: None,
        ..Options::default()
    };
    let data = Data::new(x.view(), y.view());
    let mut steps = Steps::new(&network, &data, &options, processor())?;
    for _ in 0..3 {
        steps.step(&mut network, &data, processor())?;
    }
    let expected = Array { shape: Vec::new(), data: network.parameters().to_vec(), truth: false };
    let flat = |data: Vec<f64>| Array { shape: Vec::new(), data, truth: false };
    let mut said = Vec::new();
    for (n, blank) in coded.blanks.iter().enumerate() {
        let text = answer(blank.id);
        if text.is_empty() {
            said.push((blank.id.to_owned(), Said("empty", String::new())));
            continue;
        }
        let mut formulas = right.clone();
        formulas[n] = text;
        let judged = match looped(&formulas) {
            Err((_, error)) => Said("bad", format!("{}.", capital(&error))),
            Ok(parameters) => {
                let got = flat(parameters);
                let known = blank.mistakes.iter().find(|(mistake, _)| {
                    let mut formulas = right.clone();
                    formulas[n] = (*mistake).to_owned();
                    looped(&formulas).is_ok_and(|wrong| close(&got, &flat(wrong), 1e-9))
                });
                match (close(&got, &expected, 1e-12), known) {
                    (true, _) => Said("good", String::new()),
                    (false, Some((_, text))) => Said("bad", (*text).to_owned()),
                    (false, None) => Said("bad", "After three rounds the weights differ from the library's.".into()),
                }
            }
        };
        said.push((blank.id.to_owned(), judged));
    }
    Ok(said)
}

#[cfg(test)]
mod tests;
