//! The kinds of layer, one file each: its forward and its backward.
//!
//! A block's usual order is dense, norm, activation, dropout. A layer's functions work on the rows of one worker;
//! what crosses rows (a batch norm's statistics) is a phase of its own.

pub(crate) mod batch_norm;
pub(crate) mod dense;
pub(crate) mod dropout;
pub(crate) mod heads;
pub(crate) mod layer_norm;
pub(crate) mod members;
pub(crate) mod piecewise;

use crate::activation::Activation;
use crate::error::Error;
use crate::names::{Spelled, spell};
use std::fmt;
use std::str::FromStr;

/// One layer of a network, described. Parsed from and written as the name in parentheses; an activation's name alone
/// is a layer too.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// (`dense:outputs`) Z = XW + 1bᵀ, equation 1; W \[n_in, outputs\], b \[outputs\].
    Dense {
        /// The number of neurons.
        outputs: usize,
    },
    /// X = a(Z), equation 2.
    Activation(Activation),
    /// (`dropout:rate`) In training each number is 0 with probability `rate`, else divided by 1 − rate (inverted
    /// dropout, Srivastava et al. 2014); at prediction nothing happens.
    Dropout {
        /// The share that is dropped, in \[0, 1).
        rate: f64,
    },
    /// (`batch_norm:momentum:epsilon`, 0.1 and 1e-5) γ(z − μ)/√(σ² + ε) + β per column, with the batch's mean and
    /// population variance in training and running ones at prediction; running ← (1 − momentum)·running + momentum·batch,
    /// the variance there divided by n − 1 (Ioffe & Szegedy 2015, conventions as PyTorch).
    BatchNorm {
        /// How much of the batch's statistics enters the running ones.
        momentum: f64,
        /// ε, added to the variance.
        epsilon: f64,
    },
    /// (`layer_norm:epsilon`, 1e-5) γ(z − μ)/√(σ² + ε) + β with each row's mean and population variance
    /// (Ba et al. 2016).
    LayerNorm {
        /// ε, added to the variance.
        epsilon: f64,
    },
    /// (`piecewise:bins:width:column:column…`) Each of the columns, a number x, becomes `width` numbers, a straight line
    /// and beside it a broken one: e = b + x·w₀ + Σₜ cₜ(x)·wₜ, cₜ the share of bin t that lies below x (0 or 1 but for the
    /// bin where x stands). The embeddings come first, then the other columns as they are (Gorishniy et al. 2022, "On
    /// embeddings for numerical features", in TabM's form: the broken line starts at 0). Bins have fixed edges, quantiles
    /// of the training rows ([`Network::start_from`](crate::Network::start_from)); w \[columns·(bins + 1), width\].
    Piecewise {
        /// Bins of each column.
        bins: usize,
        /// Numbers that a column becomes.
        width: usize,
        /// The columns, from 0, increasing.
        columns: Vec<usize>,
    },
    /// (`members:count`) From here on the network is `count` networks that share their weights: member m sees
    /// γₘ∘x + βₘ. Activations then have rows × members rows, member innermost; each member has its own loss, and the
    /// prediction is the mean of theirs (TabM-mini: Gorishniy et al. 2025). γ, β \[count, n\].
    Members {
        /// How many.
        count: usize,
    },
    /// (`heads:outputs`) A dense layer whose weights are each member's own: Zₘ = XₘWₘ + 1bₘᵀ;
    /// W \[members·n_in, outputs\], b \[members, outputs\].
    Heads {
        /// The number of neurons of each member.
        outputs: usize,
    },
}

impl Layer {
    /// A batch norm with PyTorch's defaults.
    pub const BATCH_NORM: Self = Self::BatchNorm { momentum: 0.1, epsilon: 1e-5 };
    /// A layer norm with PyTorch's default.
    pub const LAYER_NORM: Self = Self::LayerNorm { epsilon: 1e-5 };
}

const NAMES: [&str; 18] = [
    "dense",
    "dropout",
    "batch_norm",
    "layer_norm",
    "piecewise",
    "members",
    "heads",
    "identity",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "mish",
    "softplus",
    "tanh",
    "logistic",
];

impl FromStr for Layer {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let spelled = Spelled::parse("layer", text)?;
        let positive = |x: f64| x > 0.0;
        let whole = |least: f64| move |x: f64| x >= least && x.trunc() == x && x <= f64::from(u32::MAX);
        let (layer, numbers) = match spelled.name {
            "dense" => {
                (Self::Dense { outputs: spelled.number(0, 0.0, "a number of neurons ≥ 1", whole(1.0))? as usize }, 1)
            }
            "heads" => {
                (Self::Heads { outputs: spelled.number(0, 0.0, "a number of neurons ≥ 1", whole(1.0))? as usize }, 1)
            }
            "members" => {
                (Self::Members { count: spelled.number(0, 0.0, "a number of members ≥ 1", whole(1.0))? as usize }, 1)
            }
            "piecewise" => {
                let count = |position| spelled.number(position, 0.0, "bins and a width ≥ 1, then columns", whole(1.0));
                let (bins, width) = (count(0)? as usize, count(1)? as usize);
                let column = |k| spelled.number(k, 0.0, "columns from 0", whole(0.0)).map(|column| column as usize);
                let columns = (2..spelled.count()).map(column).collect::<Result<Vec<_>, _>>()?;
                if columns.is_empty() || !columns.is_sorted_by(|a, b| a < b) {
                    let expected = "piecewise with increasing columns after bins and width".into();
                    return Err(Error::Value { what: "layer", expected, got: text.into() });
                }
                (Self::Piecewise { bins, width, columns }, spelled.count())
            }
            "dropout" => (
                Self::Dropout {
                    rate: spelled.number(0, 0.5, "a rate from 0 to below 1", |x| (0.0..1.0).contains(&x))?,
                },
                1,
            ),
            "batch_norm" => {
                let momentum = spelled.number(0, 0.1, "a momentum from 0 to 1", |x| (0.0..=1.0).contains(&x))?;
                (Self::BatchNorm { momentum, epsilon: spelled.number(1, 1e-5, "epsilon > 0", positive)? }, 2)
            }
            "layer_norm" => (Self::LayerNorm { epsilon: spelled.number(0, 1e-5, "epsilon > 0", positive)? }, 1),
            name => {
                return match text.parse() {
                    Err(Error::Name { .. }) => Err(Error::unknown_name("layer", name, &NAMES)),
                    activation => activation.map(Self::Activation),
                };
            }
        };
        spelled.at_most(numbers)?;
        Ok(layer)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dense { outputs } => write!(f, "dense:{outputs}"),
            Self::Heads { outputs } => write!(f, "heads:{outputs}"),
            Self::Members { count } => write!(f, "members:{count}"),
            Self::Piecewise { bins, width, columns } => {
                write!(f, "piecewise:{bins}:{width}")?;
                columns.iter().try_for_each(|column| write!(f, ":{column}"))
            }
            Self::Activation(activation) => activation.fmt(f),
            Self::Dropout { rate } => spell(f, "dropout", &[(*rate, f64::NAN)]),
            Self::BatchNorm { momentum, epsilon } => spell(f, "batch_norm", &[(*momentum, 0.1), (*epsilon, 1e-5)]),
            Self::LayerNorm { epsilon } => spell(f, "layer_norm", &[(*epsilon, 1e-5)]),
        }
    }
}
