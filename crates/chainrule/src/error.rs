//! What can go wrong, with the numbers: expected, got, where.

use crate::model_file::FileFault;
use std::fmt;

/// An error of the library. Every message says what was expected, what came, and where.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// Two sizes that must agree do not.
    Length {
        /// What has the wrong size.
        what: &'static str,
        /// The size it must have.
        expected: usize,
        /// The size it has.
        got: usize,
    },
    /// An option or argument has a value that makes no sense.
    Value {
        /// The option, in the words a user types.
        what: &'static str,
        /// What would make sense.
        expected: String,
        /// What came.
        got: String,
    },
    /// A name that is none of ours.
    Name {
        /// What kind of name: "activation", "loss", …
        kind: &'static str,
        /// What came.
        got: String,
        /// The name that it resembles, if it resembles one.
        nearest: Option<&'static str>,
        /// All names of that kind.
        known: Vec<&'static str>,
    },
    /// A number became infinite or undefined in training.
    NotFinite {
        /// What became so: "the loss", "the gradient", …
        what: &'static str,
        /// The epoch, from 1.
        epoch: usize,
        /// The step within the whole run, from 1.
        step: usize,
        /// The position in the layer list, from 0, of the first layer whose output is not finite.
        layer: Option<usize>,
        /// The first few rows of the training data, from 0, on which it happened.
        rows: Vec<usize>,
        /// The neuron in the first of these rows, and what it was computed from.
        operands: Option<Box<Operands>>,
    },
    /// A model file that is not whole, not ours, or from the future.
    ModelFile(FileFault),
}

/// How the first number that was not finite came about.
#[derive(Clone, Debug, PartialEq)]
pub struct Operands {
    /// The neuron, from 0 (all members' counted); for the loss, the output.
    pub neuron: usize,
    /// What came out.
    pub value: f64,
    /// For a dense layer its bias.
    pub bias: Option<f64>,
    /// For a dense layer (input, x, w) of the largest terms x·w, those that are not finite first; for the loss (output, z, y);
    /// for other layers (neuron, what came in, 1).
    pub terms: Vec<(usize, f64, f64)>,
    /// How many terms there are in all.
    pub of: usize,
}

impl fmt::Display for Operands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use crate::explain::number;
        write!(f, "neuron {}: ", self.neuron + 1)?;
        let bracket = |x: f64| if x < 0.0 { format!("({})", number(x, 4)) } else { number(x, 4) };
        match self.bias {
            Some(bias) => {
                for (n, (input, x, w)) in self.terms.iter().enumerate() {
                    let plus = if n > 0 { " + " } else { "" };
                    write!(f, "{plus}{} × {} (input {})", bracket(*x), bracket(*w), input + 1)?;
                }
                if self.of > self.terms.len() {
                    write!(f, " + … ({} terms)", self.of)?;
                }
                write!(f, " + {}", bracket(bias))?;
            }
            None => {
                let terms = self.terms.iter().map(|(_, a, b)| {
                    if *b == 1.0 { number(*a, 4) } else { format!("{}, {}", number(*a, 4), number(*b, 4)) }
                });
                write!(f, "from {}", terms.collect::<Vec<_>>().join("; "))?;
            }
        }
        write!(f, " = {}", number(self.value, 4))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Self::Value { what, expected, got } => write!(f, "{what}: expected {expected}, got {got}"),
            Self::Name { kind, got, nearest, known } => {
                write!(f, "unknown {kind} `{got}`")?;
                match nearest {
                    Some(name) => write!(f, "; did you mean `{name}`?"),
                    None => write!(f, "; known: {}", known.join(", ")),
                }
            }
            Self::NotFinite { what, epoch, step, layer, rows, operands } => {
                write!(f, "{what} became infinite or undefined in epoch {epoch}, step {step}")?;
                if let Some(layer) = layer {
                    write!(f, ", first at the output of layer {layer}")?;
                }
                if !rows.is_empty() {
                    let rows: Vec<String> = rows.iter().map(|row| (row + 1).to_string()).collect();
                    write!(f, ", in training row {}", rows.join(", "))?;
                }
                if let Some(operands) = operands {
                    write!(f, ": {operands}")?;
                }
                write!(f, "; a smaller learning rate or scaled data usually helps")
            }
            Self::ModelFile(fault) => write!(f, "not a usable model file: {fault}"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// An unknown name with the nearest of the known ones (at most two edits, or a third of the name, away).
    pub fn unknown_name(kind: &'static str, got: &str, known: &[&'static str]) -> Self {
        Self::Name { kind, got: got.to_owned(), nearest: nearest(got, known), known: known.to_vec() }
    }
}

/// The known name with the fewest edits (Levenshtein) to `got`, if it is near: at most two edits, or a third of the
/// name, away. Upper and lower case count as equal; only the first 64 characters are looked at.
pub fn nearest<'a>(got: &str, known: &[&'a str]) -> Option<&'a str> {
    let characters = |name: &str| name.chars().take(64).flat_map(char::to_lowercase).collect::<Vec<char>>();
    let got = characters(got);
    let distance = |name: &str| {
        let mut row: Vec<usize> = (0..=got.len()).collect();
        for (i, a) in characters(name).into_iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, b) in got.iter().enumerate() {
                let substitute = diagonal + usize::from(a != *b);
                diagonal = row[j + 1];
                row[j + 1] = substitute.min(row[j] + 1).min(row[j + 1] + 1);
            }
        }
        row[got.len()]
    };
    known.iter().map(|name| (distance(name), *name)).min().filter(|(d, _)| *d <= 2.max(got.len() / 3)).map(|(_, n)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_gets_the_nearest_one() {
        let known = ["relu", "leaky_relu", "tanh"];
        let error = Error::unknown_name("activation", "rellu", &known);
        assert_eq!(error.to_string(), "unknown activation `rellu`; did you mean `relu`?");
        let error = Error::unknown_name("activation", "quadratic", &known);
        assert_eq!(error.to_string(), "unknown activation `quadratic`; known: relu, leaky_relu, tanh");
    }
}
