//! Losses: value and δ together, on pre-activations.
//!
//! J = Σᵢ wᵢ ℓᵢ / Σ wᵢ over the batch's rows, ℓᵢ a sum over outputs; δᵢ = (wᵢ/Σw) · ∂ℓᵢ/∂z. The output activation that
//! belongs to a loss (its link) is fused into it, so it is stable for pre-activations of ±10⁴.

use crate::error::Error;
use crate::kernels::elementwise::each;
use crate::kernels::{InstructionSet, Kernel, Lanes, reduce};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::names::{Spelled, spell};
use crate::scalar::Scalar;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// What training minimises. z is a row of the network's last pre-activations, y the row's target, ŷ the prediction.
///
/// Parsed from and written as the name in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub enum Loss {
    /// (`squared_error`) ℓ = ½ Σₖ (zₖ − yₖ)², equation 3; ∂ℓ/∂z = z − y, equation 5. ŷ = z.
    SquaredError,
    /// (`absolute_error`) ℓ = Σₖ |zₖ − yₖ|; the derivative at 0 is 0. ŷ = z.
    AbsoluteError,
    /// (`huber:delta`, delta 1) ½d² where |d| ≤ δ, else δ(|d| − ½δ), with d = z − y (Huber 1964). ŷ = z.
    Huber {
        /// Where the square turns into a line.
        delta: f64,
    },
    /// (`quantile:τ₁:τ₂…`) Σₖ max(τₖ·d, (τₖ − 1)·d), d = y − zₖ: output k predicts the τₖ-quantile of the one
    /// target (Koenker & Bassett 1978). ŷ = z.
    Quantile {
        /// One level in (0, 1) for each output.
        levels: Vec<f64>,
    },
    /// (`binary_cross_entropy`) ℓ = Σₖ max(zₖ, 0) − zₖyₖ + ln(1 + e^−|zₖ|), y in \[0, 1\]; ∂ℓ/∂z = σ(z) − y. ŷ = σ(z).
    BinaryCrossEntropy,
    /// (`cross_entropy:smoothing`, smoothing 0) ℓ = ln Σₖ eᶻᵏ − Σₖ qₖzₖ, q the target class's indicator mixed with the
    /// share ε of the uniform distribution; the target column holds the class's index. ŷ = softmax(z).
    CrossEntropy {
        /// Label smoothing ε in \[0, 1).
        smoothing: f64,
    },
    /// (`poisson`) ℓ = Σₖ e^zₖ − yₖzₖ: counts with mean ŷ = eᶻ, without the constant ln y!.
    Poisson,
    /// Somebody's own loss with its derivative.
    Own(Own),
}

/// A loss of somebody's own: value and derivative, a row at a time.
pub trait OwnLoss: fmt::Debug + Send + Sync {
    /// The name for files and messages.
    fn name(&self) -> &str;
    /// Returns ℓ for one row and sets `derivative` to ∂ℓ/∂z (not divided by the number of rows).
    fn row(&self, z: &[f64], y: &[f64], derivative: &mut [f64]) -> f64;
}

/// A shared [`OwnLoss`].
#[derive(Clone, Debug)]
pub struct Own(Arc<dyn OwnLoss>);

impl Own {
    /// Takes the loss.
    pub fn new(loss: impl OwnLoss + 'static) -> Self {
        Self(Arc::new(loss))
    }
}

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The output activation that a loss fuses: how a pre-activation becomes a prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// ŷ = z.
    Identity,
    /// ŷ = σ(z).
    Logistic,
    /// ŷ = softmax(z) over the row.
    Softmax,
    /// ŷ = eᶻ.
    Exponential,
}

const NAMES: [&str; 7] =
    ["squared_error", "absolute_error", "huber", "quantile", "binary_cross_entropy", "cross_entropy", "poisson"];

impl Loss {
    /// All losses with their default numbers; the quantiles are those of one output, the median.
    pub fn all() -> [Self; 7] {
        NAMES.map(|name| name.parse().expect("its own name"))
    }

    /// How the network's last pre-activations become predictions.
    pub fn link(&self) -> Link {
        match self {
            Self::BinaryCrossEntropy => Link::Logistic,
            Self::CrossEntropy { .. } => Link::Softmax,
            Self::Poisson => Link::Exponential,
            _ => Link::Identity,
        }
    }

    /// The number of target columns for a network with `outputs` outputs.
    ///
    /// # Errors
    /// If no network with so many outputs can have this loss.
    pub fn target_columns(&self, outputs: usize) -> Result<usize, Error> {
        match self {
            Self::Quantile { levels } if levels.len() != outputs => Err(Error::Length {
                what: "outputs for the quantile loss's levels",
                expected: levels.len(),
                got: outputs,
            }),
            Self::CrossEntropy { .. } if outputs < 2 => Err(Error::Value {
                what: "cross_entropy",
                expected: "a network with an output for each of two classes or more".into(),
                got: outputs.to_string(),
            }),
            Self::Quantile { .. } | Self::CrossEntropy { .. } => Ok(1),
            _ => Ok(outputs),
        }
    }

    /// Refuses targets that the loss is not defined for.
    ///
    /// # Errors
    /// With the first such target and its row.
    pub fn check_targets<T: Scalar>(&self, y: MatrixRef<'_, T>, outputs: usize) -> Result<(), Error> {
        let columns = self.target_columns(outputs)?;
        if y.cols() != columns {
            return Err(Error::Length { what: "target columns", expected: columns, got: y.cols() });
        }
        let (expected, allowed): (String, Box<dyn Fn(f64) -> bool>) = match self {
            Self::BinaryCrossEntropy => ("a target between 0 and 1".into(), Box::new(|y| (0.0..=1.0).contains(&y))),
            Self::CrossEntropy { .. } => (
                format!("a class index from 0 to {}", outputs - 1),
                Box::new(move |y| y >= 0.0 && y < outputs as f64 && y.trunc() == y),
            ),
            Self::Poisson => ("a target of 0 or more".into(), Box::new(|y| y >= 0.0 && y.is_finite())),
            _ => ("a finite target".into(), Box::new(f64::is_finite)),
        };
        match y.as_slice().iter().position(|y| !allowed(y.to_f64())) {
            None => Ok(()),
            Some(i) => Err(Error::Value {
                what: "target",
                expected: format!("{expected} for {self} in row {}", i / columns + 1),
                got: y.as_slice()[i].to_string(),
            }),
        }
    }

    /// Each row's ℓ into `losses` and (wᵢ/Σw) · ∂ℓᵢ/∂z into `delta`.
    ///
    /// z and δ \[n, outputs\], y \[n, target columns\], `shares` wᵢ/Σw \[n\], `losses` \[n\].
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn value_and_delta<T: Scalar>(
        &self,
        set: InstructionSet,
        z: MatrixRef<'_, T>,
        y: MatrixRef<'_, T>,
        shares: &[T],
        losses: &mut [T],
        delta: MatrixMut<'_, T>,
    ) {
        T::value_and_delta(self, set, z, y, shares, losses, delta);
    }

    /// [`value_and_delta`](Self::value_and_delta), compiled in this crate.
    pub(crate) fn run_value_and_delta<T: Scalar>(
        &self,
        set: InstructionSet,
        z: MatrixRef<'_, T>,
        y: MatrixRef<'_, T>,
        shares: &[T],
        losses: &mut [T],
        delta: MatrixMut<'_, T>,
    ) {
        assert_eq!((z.rows(), z.cols()), (delta.rows(), delta.cols()), "δ as z");
        assert_eq!((z.rows(), z.rows(), z.rows()), (y.rows(), shares.len(), losses.len()), "rows of a batch");
        match self {
            Self::Own(own) => own_value_and_delta(own, z, y, shares, losses, delta),
            _ => T::dispatch(set, ValueAndDelta { loss: self, z, y, shares, losses, delta }),
        }
    }

    /// Turns pre-activations into predictions, in place, by the loss's [`Link`].
    pub fn predict<T: Scalar>(&self, set: InstructionSet, z: MatrixMut<'_, T>) {
        T::predict(self, set, z);
    }

    /// [`predict`](Self::predict), compiled in this crate.
    pub(crate) fn run_predict<T: Scalar>(&self, set: InstructionSet, z: MatrixMut<'_, T>) {
        match self.link() {
            Link::Identity => {}
            link => T::dispatch(set, Predict { link, z }),
        }
    }
}

/// The least probability that is told from 0.
const LEAST: f64 = 1e-30;

impl Loss {
    /// Turns predictions back into pre-activations that predict them, in place: the inverse of
    /// [`predict`](Self::predict). Probabilities of 0 and 1 become the nearest that are not.
    pub(crate) fn pre_activate<T: Scalar>(&self, mut predictions: MatrixMut<'_, T>) {
        let link = self.link();
        if link == Link::Identity {
            return;
        }
        let least = T::from_f64(LEAST);
        for p in predictions.as_mut_slice() {
            let ln = Lanes::ln(Lanes::max(*p, least));
            *p = match link {
                Link::Logistic => ln - Lanes::ln(Lanes::max(T::ONE - *p, least)),
                _ => ln,
            };
        }
    }
}

/// A loss of one output: ℓ and ∂ℓ/∂z from z and y.
///
/// A type for each loss, where a closure that asks which one it is would be too long for the compiler to inline: its every
/// vector instruction became a call.
trait Formula: Copy {
    fn at<V: Lanes>(self, z: V, y: V) -> (V, V);
}

#[derive(Clone, Copy)]
struct Squared;
#[derive(Clone, Copy)]
struct Absolute;
#[derive(Clone, Copy)]
struct Huber(f64);
#[derive(Clone, Copy)]
struct Quantile(f64);
#[derive(Clone, Copy)]
struct BinaryCrossEntropy;
#[derive(Clone, Copy)]
struct Poisson;

impl Formula for Squared {
    #[inline(always)]
    fn at<V: Lanes>(self, z: V, y: V) -> (V, V) {
        let d = z - y;
        (z.of(0.5) * d * d, d)
    }
}

impl Formula for Absolute {
    #[inline(always)]
    fn at<V: Lanes>(self, z: V, y: V) -> (V, V) {
        let (d, zero, one) = (z - y, z.of(0.0), z.of(1.0));
        (d.abs(), V::select(d.lt(zero), -one, V::select(zero.lt(d), one, zero)))
    }
}

impl Formula for Huber {
    #[inline(always)]
    fn at<V: Lanes>(self, z: V, y: V) -> (V, V) {
        let (d, c) = (z - y, z.of(self.0));
        let near = d.abs().le(c);
        let value = V::select(near, z.of(0.5) * d * d, c * (d.abs() - z.of(0.5) * c));
        (value, V::select(near, d, c.copysign(d)))
    }
}

impl Formula for Quantile {
    #[inline(always)]
    fn at<V: Lanes>(self, z: V, y: V) -> (V, V) {
        let (d, tau, zero, one) = (y - z, z.of(self.0), z.of(0.0), z.of(1.0));
        let value = (tau * d).max((tau - one) * d);
        (value, V::select(zero.lt(d), -tau, V::select(d.lt(zero), one - tau, zero)))
    }
}

impl Formula for BinaryCrossEntropy {
    #[inline(always)]
    fn at<V: Lanes>(self, z: V, y: V) -> (V, V) {
        (z.max(z.of(0.0)) - z * y + (-z.abs()).exp().ln_1p(), z.logistic() - y)
    }
}

impl Formula for Poisson {
    #[inline(always)]
    fn at<V: Lanes>(self, z: V, y: V) -> (V, V) {
        let mean = z.exp();
        (mean - y * z, mean - y)
    }
}

struct ValueAndDelta<'a, T> {
    loss: &'a Loss,
    z: MatrixRef<'a, T>,
    y: MatrixRef<'a, T>,
    shares: &'a [T],
    losses: &'a mut [T],
    delta: MatrixMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for ValueAndDelta<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        match self.loss {
            Loss::CrossEntropy { smoothing } => {
                for i in 0..self.z.rows() {
                    let (z, delta) = (self.z.row(i), self.delta.row_mut(i));
                    let class = self.y.row(i)[0].to_f64() as usize;
                    self.losses[i] = cross_entropy_row(v, z, class, *smoothing, self.shares[i], delta);
                }
            }
            Loss::SquaredError => self.outputs(v, |_| Squared),
            Loss::AbsoluteError => self.outputs(v, |_| Absolute),
            Loss::Huber { delta } => self.outputs(v, |_| Huber(*delta)),
            Loss::Quantile { levels } => self.outputs(v, |k| Quantile(levels[k])),
            Loss::BinaryCrossEntropy => self.outputs(v, |_| BinaryCrossEntropy),
            Loss::Poisson => self.outputs(v, |_| Poisson),
            Loss::Own(_) => unreachable!("a loss of somebody's own"),
        }
    }
}

impl<T: Scalar> ValueAndDelta<'_, T> {
    /// ℓ as a sum over outputs; `formula(k)` is output k's.
    #[inline(always)]
    fn outputs<V: Lanes<Scalar = T>, F: Formula>(mut self, v: V, formula: impl Fn(usize) -> F) {
        if self.z.cols() == 1 {
            // One column: rows are lanes.
            let (formula, delta) = (formula(0), self.delta.as_mut_slice());
            let (z, y) = (self.z.as_slice(), self.y.as_slice());
            return each(v, [z, y, self.shares], [self.losses, delta], |[z, y, share], _| {
                let (value, derivative) = formula.at(z, y);
                [value, share * derivative]
            });
        }
        for i in 0..self.z.rows() {
            let (z, y, delta) = (self.z.row(i), self.y.row(i), self.delta.row_mut(i));
            let mut sum = T::ZERO;
            for k in 0..z.len() {
                // Quantiles are all of one target.
                let (value, derivative) = formula(k).at(z[k], y[k.min(y.len() - 1)]);
                sum += value;
                delta[k] = self.shares[i] * derivative;
            }
            self.losses[i] = sum;
        }
    }
}

/// ℓ = ln Σ eᶻ − Σ qₖzₖ with q = (1 − ε)·[k = class] + ε/K; ∂ℓ/∂zₖ = softmax(z)ₖ − qₖ.
#[inline(always)]
fn cross_entropy_row<V: Lanes>(
    v: V,
    z: &[V::Scalar],
    class: usize,
    smoothing: f64,
    share: V::Scalar,
    delta: &mut [V::Scalar],
) -> V::Scalar {
    let k = V::Scalar::from_f64(1.0 / z.len() as f64);
    let epsilon = V::Scalar::from_f64(smoothing);
    delta.copy_from_slice(z);
    let (max, sum) = softmax_row(v, delta);
    // Relative to the maximum, so that no large number is subtracted from another.
    let log_sum = sum.ln();
    let mut value = log_sum - (z[class] - max);
    if smoothing > 0.0 {
        let mut mean = V::Scalar::ZERO;
        for &z in z {
            mean = (log_sum - (z - max)).fma(k, mean);
        }
        value = (V::Scalar::ONE - epsilon) * value + epsilon * mean;
    }
    let (uniform, share_v) = (v.splat(epsilon * k), v.splat(share));
    let at_class = share * (delta[class] - epsilon * k - (V::Scalar::ONE - epsilon));
    each(v, [], [&mut *delta], |[], [p]| [share_v * (p - uniform)]);
    delta[class] = at_class;
    value
}

/// z ← softmax(z); returns the maximum of z and Σ e^(z − max).
#[inline(always)]
fn softmax_row<V: Lanes>(v: V, z: &mut [V::Scalar]) -> (V::Scalar, V::Scalar) {
    let mut max = z[0];
    for &z in z.iter() {
        max = Lanes::max(max, z);
    }
    let shift = v.splat(max);
    // Not by `each`: two kernels call this, and its closure would be inlined in neither.
    for i in (0..z.len()).step_by(V::LANES) {
        (v.load_partial(&z[i..]) - shift).exp().store_partial(&mut z[i..]);
    }
    let sum = reduce::<V, 1, false>(v, [z], |[x], sum| sum + x);
    let total = v.splat(sum);
    each(v, [], [z], |[], [p]| [p / total]);
    (max, sum)
}

struct Predict<'a, T> {
    link: Link,
    z: MatrixMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Predict<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        match self.link {
            Link::Identity => {}
            Link::Logistic => each(v, [], [self.z.as_mut_slice()], |[], [z]| [z.logistic()]),
            Link::Exponential => each(v, [], [self.z.as_mut_slice()], |[], [z]| [z.exp()]),
            Link::Softmax => {
                for i in 0..self.z.rows() {
                    softmax_row(v, self.z.row_mut(i));
                }
            }
        }
    }
}

fn own_value_and_delta<T: Scalar>(
    own: &Own,
    z: MatrixRef<'_, T>,
    y: MatrixRef<'_, T>,
    shares: &[T],
    losses: &mut [T],
    mut delta: MatrixMut<'_, T>,
) {
    let wide = |row: &[T]| row.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
    for i in 0..z.rows() {
        let mut derivative = vec![0.0; z.cols()];
        losses[i] = T::from_f64(own.0.row(&wide(z.row(i)), &wide(y.row(i)), &mut derivative));
        for (delta, d) in delta.row_mut(i).iter_mut().zip(derivative) {
            *delta = shares[i] * T::from_f64(d);
        }
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let spelled = Spelled::parse("loss", text)?;
        let (loss, numbers) = match spelled.name {
            "squared_error" => (Self::SquaredError, 0),
            "absolute_error" => (Self::AbsoluteError, 0),
            "huber" => (Self::Huber { delta: spelled.number(0, 1.0, "delta > 0", |x| x > 0.0)? }, 1),
            "quantile" => {
                let count = spelled.count().max(1);
                let level = |k| spelled.number(k, 0.5, "levels between 0 and 1", |x| x > 0.0 && x < 1.0);
                (Self::Quantile { levels: (0..count).map(level).collect::<Result<_, _>>()? }, count)
            }
            "binary_cross_entropy" => (Self::BinaryCrossEntropy, 0),
            "cross_entropy" => {
                let smoothing = spelled.number(0, 0.0, "smoothing from 0 to below 1", |x| (0.0..1.0).contains(&x))?;
                (Self::CrossEntropy { smoothing }, 1)
            }
            "poisson" => (Self::Poisson, 0),
            _ => return Err(spelled.unknown(&NAMES)),
        };
        spelled.at_most(numbers)?;
        Ok(loss)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SquaredError => f.write_str("squared_error"),
            Self::AbsoluteError => f.write_str("absolute_error"),
            Self::Huber { delta } => spell(f, "huber", &[(*delta, 1.0)]),
            Self::Quantile { levels } => {
                let levels: Vec<(f64, f64)> = levels.iter().map(|&level| (level, f64::NAN)).collect();
                spell(f, "quantile", &levels)
            }
            Self::BinaryCrossEntropy => f.write_str("binary_cross_entropy"),
            Self::CrossEntropy { smoothing } => spell(f, "cross_entropy", &[(*smoothing, 0.0)]),
            Self::Poisson => f.write_str("poisson"),
            Self::Own(own) => f.write_str(own.0.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row's ℓ and δ against those expected, with every instruction set; the row's share wᵢ/Σw is ½.
    fn check(loss: &str, z: [f64; 2], y: &[f64], value: f64, delta: [f64; 2]) {
        let loss: Loss = loss.parse().expect("a known name");
        for set in InstructionSet::available() {
            let (mut losses, mut got) = ([f64::NAN], [f64::NAN; 2]);
            let z = MatrixRef::new(1, 2, &z).expect("a row");
            let y = MatrixRef::new(1, y.len(), y).expect("a row");
            loss.value_and_delta(set, z, y, &[0.5], &mut losses, MatrixMut::new(1, 2, &mut got).expect("a row"));
            let errors = [losses[0] - value, got[0] - delta[0], got[1] - delta[1]];
            assert!(errors.iter().all(|e| e.abs() < 1e-15), "{loss} with {}: {losses:?}, {got:?}", set.name());
        }
    }

    #[test]
    fn a_loss_of_two_outputs_is_the_sum_of_theirs() {
        // ½(1 − 0)² + ½(2 − 4)² = 0.5 + 2, and 1, −2 times the share.
        check("squared_error", [1.0, 2.0], &[0.0, 4.0], 2.5, [0.5, -1.0]);
        check("absolute_error", [1.0, 2.0], &[0.0, 4.0], 3.0, [0.5, -0.5]);
        // ½ · 1² + 1 · (2 − ½).
        check("huber:1", [1.0, 2.0], &[0.0, 4.0], 2.0, [0.5, -0.5]);
        // One target, 3: 0.25 · (3 − 1) + 0.75 · (3 − 2).
        check("quantile:0.25:0.75", [1.0, 2.0], &[3.0], 1.25, [-0.125, -0.375]);
        // ln(1 + e⁰) twice, σ(0) − y = ∓½.
        let ln_2 = std::f64::consts::LN_2;
        check("binary_cross_entropy", [0.0, 0.0], &[1.0, 0.0], 2.0 * ln_2, [-0.25, 0.25]);
        // e⁰ − 0 twice, 1 − 1 and 1 − 3.
        check("poisson", [0.0, 0.0], &[1.0, 3.0], 2.0, [0.0, -1.0]);
        // Class 1 of two alike: −ln ½.
        check("cross_entropy", [0.0, 0.0], &[1.0], ln_2, [0.25, -0.25]);
    }
}
