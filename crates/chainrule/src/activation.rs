//! Activation functions: x = a(z), each with its derivative beside it.
//!
//! A formula is written once over [`Lanes`] and is its own definition. Adding an activation is one arm in each of
//! `activate`, `derive` and the two lists of names.

use crate::error::Error;
use crate::kernels::elementwise::each;
use crate::kernels::{Kernel, Lanes};
use crate::names::{Spelled, spell};
use crate::scalar::Scalar;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How a neuron processes the signal of its receptor: x⁽ˡ⁾ = a(z⁽ˡ⁾), element by element.
///
/// Parsed from and written as the name in parentheses; a number stands after a colon: `leaky_relu:0.2`.
#[derive(Clone, Debug, PartialEq)]
pub enum Activation {
    /// (`identity`) a(z) = z.
    Identity,
    /// (`relu`) a(z) = max(0, z); a′(0) = 0 by convention.
    Relu,
    /// (`leaky_relu:slope`, slope 0.01) a(z) = z for z > 0, slope · z otherwise (Maas et al. 2013).
    LeakyRelu {
        /// The slope for z ≤ 0.
        slope: f64,
    },
    /// (`elu:alpha`, alpha 1) a(z) = z for z > 0, α(eᶻ − 1) otherwise (Clevert et al. 2016).
    Elu {
        /// Minus the value at −∞.
        alpha: f64,
    },
    /// (`selu`) λ·elu(z, α) with the constants that keep mean 0 and variance 1 (Klambauer et al. 2017).
    Selu,
    /// (`gelu`) a(z) = z·Φ(z), Φ the standard normal's distribution function; not its tanh approximation
    /// (Hendrycks & Gimpel 2016).
    Gelu,
    /// (`silu`) a(z) = z·σ(z), also called swish (Elfwing et al. 2018).
    Silu,
    /// (`mish`) a(z) = z·tanh(ln(1 + eᶻ)) (Misra 2019).
    Mish,
    /// (`softplus`) a(z) = ln(1 + eᶻ).
    Softplus,
    /// (`tanh`) a(z) = tanh z.
    Tanh,
    /// (`logistic`, also `sigmoid`) a(z) = σ(z) = 1/(1 + e⁻ᶻ).
    Logistic,
    /// Somebody's own function with its derivative.
    Own(Own),
}

/// An activation of somebody's own, as the tutorial's dictionary of a function and its derivative.
///
/// ```
/// # use chainrule::activation::{Activation, Own, OwnActivation};
/// #[derive(Debug)]
/// struct Cube;
/// impl OwnActivation for Cube {
///     fn name(&self) -> &str { "cube" }
///     fn activate(&self, z: &[f64], x: &mut [f64]) {
///         for (x, z) in x.iter_mut().zip(z) { *x = z * z * z; }
///     }
///     fn derivative(&self, z: &[f64], derivative: &mut [f64]) {
///         for (d, z) in derivative.iter_mut().zip(z) { *d = 3.0 * z * z; }
///     }
/// }
/// let activation = Activation::Own(Own::new(Cube));
/// assert_eq!(activation.to_string(), "cube");
/// ```
pub trait OwnActivation: fmt::Debug + Send + Sync {
    /// The name for files and messages.
    fn name(&self) -> &str;
    /// x ← a(z), element by element.
    fn activate(&self, z: &[f64], x: &mut [f64]);
    /// derivative ← a′(z), element by element.
    fn derivative(&self, z: &[f64], derivative: &mut [f64]);
}

/// A shared [`OwnActivation`].
#[derive(Clone, Debug)]
pub struct Own(Arc<dyn OwnActivation>);

impl Own {
    /// Takes the function.
    pub fn new(function: impl OwnActivation + 'static) -> Self {
        Self(Arc::new(function))
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// SELU's λ (Klambauer et al. 2017, equation 14), to f64.
pub const SELU_LAMBDA: f64 = 1.050_700_987_355_480_5;
/// SELU's α, to f64.
pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

const NAMES: [&str; 11] =
    ["identity", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus", "tanh", "logistic"];

impl Activation {
    /// All activations with their default numbers.
    pub fn all() -> [Self; 11] {
        NAMES.map(|name| name.parse().expect("its own name"))
    }

    /// x ← a(z).
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn activate<T: Scalar>(&self, set: crate::kernels::InstructionSet, z: &[T], x: &mut [T]) {
        match self {
            Self::Own(own) => through_f64(z, x, |z, x| own.0.activate(z, x)),
            _ => T::dispatch(set, Activate { activation: self, z, x }),
        }
    }

    /// x ← a(z) and derivative ← a′(z), bit for bit as [`activate`](Self::activate) and
    /// [`differentiate`](Self::differentiate) of ones, where one evaluation gives both for the price of little more than one.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(crate) fn activate_and_derive<T: Scalar>(
        &self,
        set: crate::kernels::InstructionSet,
        z: &[T],
        x: &mut [T],
        derivative: &mut [T],
    ) {
        T::dispatch(set, ActivateAndDerive { activation: self, z, x, derivative });
    }

    /// Whether the derivative is so long a formula that a forward pass should [give it too](Self::activate_and_derive).
    pub(crate) fn keeps_derivative(&self) -> bool {
        matches!(self, Self::Gelu | Self::Mish)
    }

    /// δ ← δ ∘ a′(z), the last factor of equation 9; x = a(z) from the forward pass.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn differentiate<T: Scalar>(&self, set: crate::kernels::InstructionSet, z: &[T], x: &[T], delta: &mut [T]) {
        match self {
            Self::Own(own) => {
                let mut derivative = vec![T::ZERO; z.len()];
                through_f64(z, &mut derivative, |z, d| own.0.derivative(z, d));
                for (delta, d) in delta.iter_mut().zip(derivative) {
                    *delta = *delta * d;
                }
            }
            _ => T::dispatch(set, Differentiate { activation: self, z, x, delta }),
        }
    }

    /// Whether the function is somebody's own, which neither a file nor another thread's instructions can hold.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own(_))
    }
}

fn through_f64<T: Scalar>(from: &[T], to: &mut [T], f: impl FnOnce(&[f64], &mut [f64])) {
    let wide: Vec<f64> = from.iter().map(|x| x.to_f64()).collect();
    let mut result = vec![0.0; to.len()];
    f(&wide, &mut result);
    for (to, x) in to.iter_mut().zip(result) {
        *to = T::from_f64(x);
    }
}

struct Activate<'a, T> {
    activation: &'a Activation,
    z: &'a [T],
    x: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Activate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        macro_rules! map {
            ($formula:expr) => {
                each(v, [self.z], [self.x], |[z], [_]| [$formula(z)])
            };
        }
        match *self.activation {
            Activation::Identity | Activation::Own(_) => map!(|z| z),
            Activation::Relu => map!(|z: V| V::select(z.le(v), v, z)),
            Activation::LeakyRelu { slope } => map!(|z: V| V::select(z.le(v), v.of(slope) * z, z)),
            Activation::Elu { alpha } => map!(|z: V| V::select(z.le(v), v.of(alpha) * z.exp_m1(), z)),
            Activation::Selu => {
                map!(|z: V| V::select(z.le(v), v.of(SELU_LAMBDA * SELU_ALPHA) * z.exp_m1(), v.of(SELU_LAMBDA) * z))
            }
            Activation::Gelu => map!(|z: V| z.gelu()),
            Activation::Silu => map!(|z: V| z.silu()),
            Activation::Mish => map!(|z: V| z.mish()),
            Activation::Softplus => map!(softplus),
            Activation::Tanh => map!(|z: V| z.tanh()),
            Activation::Logistic => map!(|z: V| z.logistic()),
        }
    }
}

struct ActivateAndDerive<'a, T> {
    activation: &'a Activation,
    z: &'a [T],
    x: &'a mut [T],
    derivative: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for ActivateAndDerive<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { activation, z, x, derivative } = self;
        match activation {
            Activation::Gelu => each(v, [z], [x, derivative], |[z], _| z.gelu_and_derivative().into()),
            Activation::Mish => each(v, [z], [x, derivative], |[z], _| [z.mish(), mish_derivative(z)]),
            _ => unreachable!("a derivative that is not kept"),
        }
    }
}

/// (z·n/(n + 2))′ = (n + 4z·e(e + 1)/(n + 2))/(n + 2) with e = eᶻ, n = e(e + 2); 1 to the last bit beyond z = 25.
#[inline(always)]
fn mish_derivative<V: Lanes>(z: V) -> V {
    let z = z.min(z.of(25.0));
    let e = z.exp();
    let n = e * (e + z.of(2.0));
    let r = z.of(1.0) / (n + z.of(2.0));
    let slope = z.of(4.0) * z * (e * (e + z.of(1.0)));
    slope.fma(r, n) * r
}

struct Differentiate<'a, T> {
    activation: &'a Activation,
    z: &'a [T],
    x: &'a [T],
    delta: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Differentiate<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let (zero, one) = (v, v.of(1.0));
        // From z, or from the output x where that is exact.
        macro_rules! from_z {
            ($formula:expr) => {
                each(v, [self.z], [self.delta], |[z], [delta]| [delta * $formula(z)])
            };
        }
        macro_rules! from_x {
            ($formula:expr) => {
                each(v, [self.x], [self.delta], |[x], [delta]| [delta * $formula(x)])
            };
        }
        match *self.activation {
            Activation::Identity | Activation::Own(_) => {}
            Activation::Relu => each(v, [self.z], [self.delta], |[z], [delta]| [delta.zero_where(z.le(zero))]),
            Activation::LeakyRelu { slope } => from_z!(|z: V| V::select(z.le(zero), v.of(slope), one)),
            // α·eᶻ rather than x + α, which cancels for large −z.
            Activation::Elu { alpha } => from_z!(|z: V| V::select(z.le(zero), v.of(alpha) * z.exp(), one)),
            Activation::Selu => {
                from_z!(|z: V| V::select(z.le(zero), v.of(SELU_LAMBDA * SELU_ALPHA) * z.exp(), v.of(SELU_LAMBDA)))
            }
            Activation::Gelu => from_z!(|z: V| z.gelu_and_derivative().1),
            // (z·σ)′ = σ·(1 + z·(1 − σ)), σ and 1 − σ from one e^(−|z|) so that neither cancels
            Activation::Silu => from_z!(|z: V| {
                let e = (-z.abs()).exp();
                let large = one / (one + e);
                let small = e * large;
                let negative = z.lt(zero);
                let (s, rest) = (V::select(negative, small, large), V::select(negative, large, small));
                s * z.fma(rest, one)
            }),
            Activation::Mish => from_z!(mish_derivative),
            Activation::Softplus => from_z!(|z: V| z.logistic()),
            Activation::Tanh => from_x!(|x: V| (-x).fma(x, one)),
            Activation::Logistic => from_x!(|x: V| x * (one - x)),
        }
    }
}

/// ln(1 + eᶻ) = max(z, 0) + ln(1 + e^−|z|).
#[inline(always)]
fn softplus<V: Lanes>(z: V) -> V {
    z.max(z.of(0.0)) + (-z.abs()).exp().ln_1p()
}

impl FromStr for Activation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let spelled = Spelled::parse("activation", text)?;
        let (activation, numbers) = match spelled.name {
            "identity" => (Self::Identity, 0),
            "relu" => (Self::Relu, 0),
            "leaky_relu" => (Self::LeakyRelu { slope: spelled.number(0, 0.01, "a slope", |_| true)? }, 1),
            "elu" => (Self::Elu { alpha: spelled.number(0, 1.0, "alpha > 0", |x| x > 0.0)? }, 1),
            "selu" => (Self::Selu, 0),
            "gelu" => (Self::Gelu, 0),
            "silu" => (Self::Silu, 0),
            "mish" => (Self::Mish, 0),
            "softplus" => (Self::Softplus, 0),
            "tanh" => (Self::Tanh, 0),
            "logistic" | "sigmoid" => (Self::Logistic, 0),
            _ => return Err(spelled.unknown(&NAMES)),
        };
        spelled.at_most(numbers)?;
        Ok(activation)
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identity => f.write_str("identity"),
            Self::Relu => f.write_str("relu"),
            Self::LeakyRelu { slope } => spell(f, "leaky_relu", &[(*slope, 0.01)]),
            Self::Elu { alpha } => spell(f, "elu", &[(*alpha, 1.0)]),
            Self::Selu => f.write_str("selu"),
            Self::Gelu => f.write_str("gelu"),
            Self::Silu => f.write_str("silu"),
            Self::Mish => f.write_str("mish"),
            Self::Softplus => f.write_str("softplus"),
            Self::Tanh => f.write_str("tanh"),
            Self::Logistic => f.write_str("logistic"),
            Self::Own(own) => f.write_str(own.0.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::InstructionSet;

    /// a′ in f64 from its parts as the book has them.
    fn derivative(name: &str, z: f64) -> f64 {
        let sigma = Lanes::logistic(z);
        match name {
            "gelu" => {
                let density = Lanes::exp(-0.5 * z * z) / (2.0 * std::f64::consts::PI).sqrt();
                Lanes::normal_cdf(z) + z * density
            }
            "silu" => sigma + z * sigma * Lanes::logistic(-z),
            _ => {
                // t = tanh s, s = ln(1 + eᶻ): 1 − t = 2/(e²ˢ + 1), which does not cancel.
                let s = Lanes::ln_1p(Lanes::exp(-z.abs())) + z.max(0.0);
                let t = Lanes::tanh(s);
                t + z * sigma * (2.0 / (Lanes::exp(2.0 * s) + 1.0)) * (1.0 + t)
            }
        }
    }

    fn kept_derivatives<T: Scalar>() {
        let z: Vec<T> = (-2000..2000).map(|i| T::from_f64(f64::from(i) * 0.0101)).collect();
        for set in InstructionSet::available() {
            for activation in Activation::all().into_iter().filter(Activation::keeps_derivative) {
                let (mut x, mut delta) = (vec![T::ZERO; z.len()], vec![T::ONE; z.len()]);
                activation.activate(set, &z, &mut x);
                activation.differentiate(set, &z, &x, &mut delta);
                let (mut both, mut derivative) = (vec![T::ZERO; z.len()], vec![T::ZERO; z.len()]);
                activation.activate_and_derive(set, &z, &mut both, &mut derivative);
                for i in 0..z.len() {
                    assert_eq!(both[i].bits(), x[i].bits(), "{activation}({}) {}", z[i], set.name());
                    assert_eq!(derivative[i].bits(), delta[i].bits(), "{activation}′({}) {}", z[i], set.name());
                }
            }
        }
    }

    #[test]
    fn a_derivative_that_is_kept_has_the_bits_of_one_that_is_not() {
        kept_derivatives::<f32>();
        kept_derivatives::<f64>();
    }

    #[test]
    fn derivatives_that_share_an_exponential_are_those_of_the_book() {
        for name in ["gelu", "silu", "mish"] {
            let activation: Activation = name.parse().expect("a known name");
            let z: Vec<f64> = (-4000..=4000).map(|i| f64::from(i) / 100.0).collect();
            let single: Vec<f32> = z.iter().map(|&z| z as f32).collect();
            for set in InstructionSet::available() {
                let (mut double, mut delta) = (vec![1.0; z.len()], vec![1.0_f32; z.len()]);
                activation.differentiate(set, &z, &z, &mut double);
                activation.differentiate(set, &single, &single, &mut delta);
                for (i, &z) in z.iter().enumerate() {
                    // The terms cancel near the minimum: the bound is relative to the larger of them.
                    let expected = derivative(name, z);
                    let size = expected.abs().max(if z < -1.0 { z.abs() * Lanes::exp(z) } else { 1.0 });
                    assert!(
                        (double[i] - expected).abs() <= 2e-15 * size,
                        "{name}′({z}): {}, not {expected}",
                        double[i]
                    );
                    let expected = derivative(name, f64::from(single[i]));
                    let error = (f64::from(delta[i]) - expected).abs();
                    assert!(error <= 6e-7 * size + 1e-44, "{name}′({z}) in f32: {}, not {expected}", delta[i]);
                }
            }
        }
    }

    #[test]
    fn derivatives_of_far_arguments_are_their_limits() {
        for name in ["gelu", "silu", "mish"] {
            let activation: Activation = name.parse().expect("a known name");
            let z = [1e30, -1e30, 0.0];
            let mut delta = [1.0; 3];
            activation.differentiate(InstructionSet::detect(), &z, &z, &mut delta);
            assert_eq!((delta[0], delta[1]), (1.0, 0.0), "{name}");
            assert!((delta[2] - if name == "mish" { 0.6 } else { 0.5 }).abs() < 1e-15, "{name}′(0) = {}", delta[2]);
        }
    }
}
