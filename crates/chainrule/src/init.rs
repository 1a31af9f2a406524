//! Initialisers: how the weights start. Biases start at 0.

use crate::activation::Activation;
use crate::error::Error;
use crate::names::{Spelled, spell};
use crate::random::Generator;
use crate::scalar::Scalar;
use std::fmt;
use std::str::FromStr;

/// The distribution of a layer's initial weights, from its n_in inputs and n_out outputs.
///
/// Every layer draws its weights in the order of W⁽ˡ⁾ \[n_in, n_out\], row after row, as `f64` from NumPy's
/// `default_rng(seed)`, whatever the network's scalar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialiser {
    /// (`zeros`) 0.
    Zeros,
    /// (`constant:c`) c.
    Constant(f64),
    /// (`normal:sigma`, sigma 0.001) N(0, σ²), the tutorial's start.
    Normal(f64),
    /// (`uniform:limit`, limit 0.1) U[−limit, limit).
    Uniform(f64),
    /// (`glorot_uniform`, also `glorot`) U[−√(6/(n_in + n_out)), …) (Glorot & Bengio 2010, equation 16).
    GlorotUniform,
    /// (`glorot_normal`) N(0, 2/(n_in + n_out)).
    GlorotNormal,
    /// (`he_uniform`) U[−√(6/n_in), …).
    HeUniform,
    /// (`he_normal`, also `he`) N(0, 2/n_in) (He et al. 2015, equation 10).
    HeNormal,
    /// (`lecun_uniform`) U[−√(3/n_in), …).
    LecunUniform,
    /// (`lecun_normal`, also `lecun`) N(0, 1/n_in) (LeCun et al. 1998, equation 16).
    LecunNormal,
}

const NAMES: [&str; 10] = [
    "zeros",
    "constant",
    "normal",
    "uniform",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
];

impl Initialiser {
    /// The usual start before an activation: He's for the relu family, LeCun's for selu, Glorot's otherwise.
    pub fn default_for(activation: &Activation) -> Self {
        match activation {
            Activation::Relu
            | Activation::LeakyRelu { .. }
            | Activation::Elu { .. }
            | Activation::Gelu
            | Activation::Silu
            | Activation::Mish
            | Activation::Softplus => Self::HeNormal,
            Activation::Selu => Self::LecunNormal,
            Activation::Identity | Activation::Tanh | Activation::Logistic | Activation::Own(_) => Self::GlorotUniform,
        }
    }

    /// Fills the weights \[n_in, n_out\] of one layer.
    pub(crate) fn fill<T: Scalar>(self, generator: &mut Generator, n_in: usize, n_out: usize, weights: &mut [T]) {
        let (n_in, n_out) = (n_in as f64, n_out as f64);
        let filled = match self {
            Self::Zeros => return weights.fill(T::ZERO),
            Self::Constant(c) => return weights.fill(T::from_f64(c)),
            Self::Normal(sigma) => generator.fill_normal(0.0, sigma, weights),
            Self::GlorotNormal => generator.fill_normal(0.0, (2.0 / (n_in + n_out)).sqrt(), weights),
            Self::HeNormal => generator.fill_normal(0.0, (2.0 / n_in).sqrt(), weights),
            Self::LecunNormal => generator.fill_normal(0.0, (1.0 / n_in).sqrt(), weights),
            Self::Uniform(limit) => generator.fill_uniform(-limit, limit, weights),
            Self::GlorotUniform => symmetric(generator, 6.0 / (n_in + n_out), weights),
            Self::HeUniform => symmetric(generator, 6.0 / n_in, weights),
            Self::LecunUniform => symmetric(generator, 3.0 / n_in, weights),
        };
        filled.expect("finite numbers: parsed as such");
    }
}

/// U[−√square, √square).
fn symmetric<T: Scalar>(generator: &mut Generator, square: f64, weights: &mut [T]) -> Result<(), Error> {
    generator.fill_uniform(-square.sqrt(), square.sqrt(), weights)
}

impl FromStr for Initialiser {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let spelled = Spelled::parse("initialiser", text)?;
        let (initialiser, numbers) = match spelled.name {
            "zeros" => (Self::Zeros, 0),
            "constant" => {
                (Self::Constant(spelled.number(0, f64::NAN, "a number: constant:0.1", |x| x.is_finite())?), 1)
            }
            "normal" => (Self::Normal(spelled.number(0, 0.001, "sigma ≥ 0", |x| x >= 0.0)?), 1),
            "uniform" => (Self::Uniform(spelled.number(0, 0.1, "limit ≥ 0", |x| x >= 0.0)?), 1),
            "glorot_uniform" | "glorot" => (Self::GlorotUniform, 0),
            "glorot_normal" => (Self::GlorotNormal, 0),
            "he_uniform" => (Self::HeUniform, 0),
            "he_normal" | "he" => (Self::HeNormal, 0),
            "lecun_uniform" => (Self::LecunUniform, 0),
            "lecun_normal" | "lecun" => (Self::LecunNormal, 0),
            _ => return Err(spelled.unknown(&NAMES)),
        };
        spelled.at_most(numbers)?;
        Ok(initialiser)
    }
}

impl fmt::Display for Initialiser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros => f.write_str("zeros"),
            Self::Constant(c) => spell(f, "constant", &[(*c, f64::NAN)]),
            Self::Normal(sigma) => spell(f, "normal", &[(*sigma, 0.001)]),
            Self::Uniform(limit) => spell(f, "uniform", &[(*limit, 0.1)]),
            Self::GlorotUniform => f.write_str("glorot_uniform"),
            Self::GlorotNormal => f.write_str("glorot_normal"),
            Self::HeUniform => f.write_str("he_uniform"),
            Self::HeNormal => f.write_str("he_normal"),
            Self::LecunUniform => f.write_str("lecun_uniform"),
            Self::LecunNormal => f.write_str("lecun_normal"),
        }
    }
}
