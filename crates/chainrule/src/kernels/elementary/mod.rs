//! The elementary functions, each written once for any number of lanes of either scalar.
//!
//! The formulas are straight lines of fused multiply-adds and selects: no branch on data, no table, so every
//! instruction set gives the same bits. What differs between `f32` and `f64` are the constants ([`Constants`]) alone.
//!
//! The exponential's argument is reduced as W. J. Cody and W. Waite do it ("Software Manual for the Elementary
//! Functions", 1980), with the remainder's low part carried along; results are put together from a large part and a
//! small one as in P. T. P. Tang's functions (ACM TOMS 15, 1989; 16, 1990; 18, 1992). The background is J.-M.
//! Muller's "Elementary Functions" (3rd ed., 2016). The polynomials are ours: `coefficients.py` derives them.
//!
//! Largest errors over all 2³² inputs of `f32`, in ULP of the true value (`CHAINRULE_EXHAUSTIVE=1 cargo test --release -p
//! chainrule elementary`): exp 0.844, exp_m1 0.890, ln 0.915, ln_1p 0.916, logistic 0.764, erf 0.917, Φ 1.595, cos 0.782;
//! composed of them: silu 1.494, gelu 2.375, mish 3.689, elu 1.344. Of the others, and of `f64`, samples and the joints are
//! tested against the bounds in `tests.rs`.

mod double;
mod single;
#[cfg(test)]
mod tests;

use super::lanes::Lanes;
use crate::scalar::Scalar;

/// The elementary methods of [`Lanes`].
macro_rules! elementary_methods {
    () => {
        super::elementary::elementary_methods!(exp exp_m1 ln ln_1p tanh logistic erf normal_cdf sin cos silu gelu mish);
        #[inline(always)]
        fn gelu_and_derivative(self) -> (Self, Self) {
            crate::kernels::elementary::gelu_and_derivative(self)
        }
    };
    ($($name:ident)*) => {$(
        #[inline(always)]
        fn $name(self) -> Self {
            crate::kernels::elementary::$name(self)
        }
    )*};
}
pub(crate) use elementary_methods;

/// What the formulas must know of a scalar. A polynomial's coefficients stand lowest first.
pub(crate) trait Constants: Scalar {
    /// The smallest positive normal number.
    const MIN_POSITIVE: Self;
    /// p, the bits behind the binary point of a number in [1, 2).
    const MANTISSA_BITS: Self;
    /// 2ᵖ.
    const TWO_TO_MANTISSA_BITS: Self;
    /// 1.5 · 2ᵖ: adding it to a number and taking it away again rounds the number to an integer.
    const ROUNDER: Self;
    /// Below this, x stands for every function that is x + O(x²).
    const TINY: Self;

    /// 1 / ln 2.
    const LOG2_E: Self;
    /// ln 2 in two parts, the first so short that its products with exponents are exact.
    const LN_2: [Self; 2];
    /// e^r = 1 + r + r² P(r), |r| ≤ ½ ln 2.
    const EXP: &[Self];
    /// Below this, eˣ rounds to 0.
    const EXP_LOW: Self;
    /// Above this, eˣ rounds to ∞.
    const EXP_HIGH: Self;
    /// From this x on, 1 − e⁻ˣ and (1 − e⁻ˣ) / (1 + e⁻ˣ) round to 1.
    const ONE_FROM: Self;
    /// ln(1 + f) = f + f² P(f), ¾ ≤ 1 + f ≤ 1½.
    const LN: &[Self];

    /// erf x = x + x P(x²), |x| ≤ ⅞.
    const ERF: &[Self];
    /// From this x on, erf x rounds to 1.
    const ERF_ONE_FROM: Self;
    /// Φ(−a) e^(a²/2) = P(v) / (a + 5/4), v = (c − a) / (c + a), c = [`Self::TAIL_POLE`].
    const TAIL: &[Self];
    /// c of [`Self::TAIL`].
    const TAIL_POLE: Self;
    /// From this a on, Φ(−a) rounds to 0.
    const TAIL_END: Self;

    /// 2 / π.
    const FRAC_2_PI: Self;
    /// π / 2 in three parts.
    const PI_2: [Self; 3];
    /// sin r = r + r³ P(r²), |r| ≤ ¼π and a little.
    const SIN: &[Self];
    /// cos r = 1 − ½r² + r⁴ P(r²).
    const COS: &[Self];
    /// Up to this |x|, three parts of π/2 reduce x.
    const PERIODIC_LIMIT: Self;
    /// sin x of any x.
    fn sin_of_large(x: Self) -> Self;
    /// cos x of any x.
    fn cos_of_large(x: Self) -> Self;
}

/// The constants of `T`'s functions by name, a polynomial's lowest first: whoever prints the functions in another language
/// takes them from here.
pub fn constants<T: Scalar>() -> Vec<(&'static str, Vec<f64>)> {
    if T::BYTES == f32::BYTES { named_constants::<f32>() } else { named_constants::<f64>() }
}

fn named_constants<T: Constants>() -> Vec<(&'static str, Vec<f64>)> {
    let one = |x: T| vec![x.to_f64()];
    let many = |c: &[T]| c.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
    vec![
        ("MIN_POSITIVE", one(T::MIN_POSITIVE)),
        ("MANTISSA_BITS", one(T::MANTISSA_BITS)),
        ("TWO_TO_MANTISSA_BITS", one(T::TWO_TO_MANTISSA_BITS)),
        ("ROUNDER", one(T::ROUNDER)),
        ("TINY", one(T::TINY)),
        ("LOG2_E", one(T::LOG2_E)),
        ("LN_2", many(&T::LN_2)),
        ("EXP", many(T::EXP)),
        ("EXP_LOW", one(T::EXP_LOW)),
        ("EXP_HIGH", one(T::EXP_HIGH)),
        ("ONE_FROM", one(T::ONE_FROM)),
        ("LN", many(T::LN)),
        ("TAIL", many(T::TAIL)),
        ("TAIL_POLE", one(T::TAIL_POLE)),
        ("TAIL_END", one(T::TAIL_END)),
    ]
}

/// The constants of the lanes' scalar.
type Of<V> = <V as Lanes>::Scalar;

/// Σ c[k] xᵏ by Horner's rule.
#[inline(always)]
fn polynomial<V: Lanes>(x: V, c: &[V::Scalar]) -> V {
    let (last, rest) = c.split_last().expect("a coefficient");
    let mut sum = x.splat(*last);
    for c in rest.iter().rev() {
        sum = sum.fma(x, x.splat(*c));
    }
    sum
}

/// x rounded to the nearest integer, for small x.
#[inline(always)]
fn rounded<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let rounder = x.splat(Of::<V>::ROUNDER);
    (x + rounder) - rounder
}

/// (s, e) with s + e = a + b exactly, s rounded, where |a| ≥ |b| or a = 0 (T. J. Dekker, 1971).
#[inline(always)]
fn fast_two_sum<V: Lanes>(a: V, b: V) -> (V, V) {
    let s = a + b;
    (s, (a - s) + b)
}

/// (s, e) with s + e = a + b exactly, s rounded (D. E. Knuth).
#[inline(always)]
fn two_sum<V: Lanes>(a: V, b: V) -> (V, V) {
    let s = a + b;
    let t = s - a;
    (s, (a - (s - t)) + (b - t))
}

/// (n, r, c) with x = n ln 2 + r + c, n an integer, |r + c| ≤ ½ ln 2; r is exact and c small.
#[inline(always)]
fn reduce_exp<V: Lanes<Scalar: Constants>>(x: V) -> (V, V, V) {
    let rounder = x.splat(Of::<V>::ROUNDER);
    let n = x.fma(x.splat(Of::<V>::LOG2_E), rounder) - rounder;
    let [high, low] = Of::<V>::LN_2.map(|part| x.splat(part));
    (n, n.fma(-high, x), n * -low)
}

/// (h, l) with e^(r + c) = 1 + h + l, l the part of the sum that h has no room for.
#[inline(always)]
fn exp_of_reduced<V: Lanes<Scalar: Constants>>(r: V, c: V) -> (V, V) {
    let s = r + c;
    let curved = (s * s).fma(polynomial(s, Of::<V>::EXP), c);
    fast_two_sum(r, curved)
}

#[inline(always)]
pub(crate) fn exp<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let x = x.max(x.splat(Of::<V>::EXP_LOW)).min(x.splat(Of::<V>::EXP_HIGH));
    let (n, r, c) = reduce_exp(x);
    let (h, _) = exp_of_reduced(r, c);
    (x.of(1.0) + h).scale(n)
}

#[inline(always)]
pub(crate) fn exp_m1<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let (half, tiny) = (x.of(0.5), x.abs().lt(x.splat(Of::<V>::TINY)));
    let (n, r, c) = reduce_exp(x.max(x.splat(-Of::<V>::ONE_FROM)).min(x.splat(Of::<V>::EXP_HIGH)));
    let (h, l) = exp_of_reduced(r, c);
    // Half of 2ⁿ(1 + h + l) − 1, for 2ⁿ itself may overflow: (k − ½) + kh is rounded once and its error kept.
    let k = (n - x.of(1.0)).pow2();
    let (u, u_low) = two_sum(k, -half);
    let high = k.fma(h, u);
    let low = k.fma(h, u - high) + k.fma(l, u_low);
    let y = high + low;
    V::select(tiny, x, y + y)
}

/// e ln 2 + ln(1 + f), ¾ ≤ 1 + f ≤ 1½.
#[inline(always)]
fn ln_of_parts<V: Lanes<Scalar: Constants>>(e: V, f: V) -> V {
    let [high, low] = Of::<V>::LN_2.map(|part| e.splat(part));
    let curved = (f * f).fma(polynomial(f, Of::<V>::LN), e * low);
    let (sum, rest) = fast_two_sum(e * high, f);
    sum + (rest + curved)
}

/// `y` where x is positive and finite, and elsewhere the logarithm's value: ∞ at ∞, −∞ at 0, else NaN.
#[inline(always)]
fn on_the_domain_of_ln<V: Lanes>(x: V, y: V) -> V {
    let zero = x.of(0.0);
    let y = V::select(x.lt(x.of(f64::INFINITY)), y, x);
    let outside = V::select(x.lt(zero), x.of(f64::NAN), x.of(f64::NEG_INFINITY));
    V::select(x.le(zero), outside, y)
}

#[inline(always)]
pub(crate) fn ln<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let subnormal = x.lt(x.splat(Of::<V>::MIN_POSITIVE));
    let lifted = V::select(subnormal, x * x.splat(Of::<V>::TWO_TO_MANTISSA_BITS), x);
    let (e, m) = lifted.split_exponent();
    let e = e - V::select(subnormal, x.splat(Of::<V>::MANTISSA_BITS), x.of(0.0));
    on_the_domain_of_ln(x, ln_of_parts(e, m - x.of(1.0)))
}

#[inline(always)]
pub(crate) fn ln_1p<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let one = x.of(1.0);
    let sum = one + x;
    let (e, _) = sum.split_exponent();
    // (1 + x) 2⁻ᵉ − 1 from x itself, which still has what 1 + x lost: exact for 1 + x in [¾, 1½) · 2ᵉ (P. H. Sterbenz).
    // By quarters, since 2⁻ᵉ may be subnormal.
    let scale = (x.of(2.0) - e).pow2();
    let f = scale.fma(x * x.of(0.25), scale.fma(x.of(0.25), -one));
    let y = on_the_domain_of_ln(sum, ln_of_parts(e, f));
    V::select(x.abs().lt(x.splat(Of::<V>::TINY)), x, y)
}

#[inline(always)]
pub(crate) fn tanh<V: Lanes<Scalar: Constants>>(x: V) -> V {
    // With t = e^(−2|x|) − 1: tanh |x| = −t / (2 + t), and 2 + t loses nothing.
    let (one, two) = (x.of(1.0), x.of(2.0));
    let (n, r, c) = reduce_exp((x.abs() * -two).max(x.splat(-Of::<V>::ONE_FROM)));
    let (h, l) = exp_of_reduced(r, c);
    let k = n.pow2();
    let (u, u_low) = fast_two_sum(-one, k);
    let t = k.fma(h, u);
    let t_low = k.fma(h, u - t) + k.fma(l, u_low);
    let (d, d_low) = fast_two_sum(two, t);
    divide(t, t_low, d, d_low + t_low).copysign(x)
}

/// (a + a_low) / (b + b_low), to little more than its own rounding.
#[inline(always)]
fn divide<V: Lanes>(a: V, a_low: V, b: V, b_low: V) -> V {
    let reciprocal = b.of(1.0) / b;
    let q = a * reciprocal;
    let left = (-q).fma(b, a) + (-q).fma(b_low, a_low);
    left.fma(reciprocal, q)
}

/// (q, n) with logistic x = q · 2ⁿ.
#[inline(always)]
fn logistic_parts<V: Lanes<Scalar: Constants>>(x: V) -> (V, V) {
    // e = e^(−|x|): then 1 / (1 + e), or for negative x e / (1 + e), whose 2ⁿ is left out as it may underflow.
    let (zero, one) = (x.of(0.0), x.of(1.0));
    let (n, r, c) = reduce_exp((-x.abs()).max(x.splat(Of::<V>::EXP_LOW)));
    let (h, l) = exp_of_reduced(r, c);
    let (m, m_low) = fast_two_sum(one, h);
    let m_low = m_low + l;
    // Beside 1 it does not matter how small e is.
    let k = n.max(x.of(-100.0)).pow2();
    let (d, d_low) = fast_two_sum(one, m * k);
    let d_low = m_low.fma(k, d_low);
    let negative = x.lt(zero);
    let (a, a_low) = (V::select(negative, m, one), V::select(negative, m_low, zero));
    (divide(a, a_low, d, d_low), V::select(negative, n, zero))
}

#[inline(always)]
pub(crate) fn logistic<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let (q, n) = logistic_parts(x);
    q.scale(n)
}

#[inline(always)]
pub(crate) fn silu<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let x = x.max(x.splat(Of::<V>::EXP_LOW));
    let (q, n) = logistic_parts(x);
    (x * q).scale(n)
}

#[inline(always)]
pub(crate) fn mish<V: Lanes<Scalar: Constants>>(x: V) -> V {
    // tanh ln(1 + eˣ) = eˣ(eˣ + 2) / (eˣ(eˣ + 2) + 2). With e = e^(−|x|) that is 1 − 2e² / (1 + 2e + 2e²), and for negative
    // x e · (1 − (e² + e) / (e² + 2e + 2)): the quotient takes away 2/5 at most, and its error counts no more than that.
    let (zero, one, two) = (x.of(0.0), x.of(1.0), x.of(2.0));
    let x = x.max(x.splat(Of::<V>::EXP_LOW));
    let (n, r, c) = reduce_exp((-x.abs()).max(x.splat(Of::<V>::EXP_LOW)));
    let (h, l) = exp_of_reduced(r, c);
    let (m, m_low) = fast_two_sum(one, h);
    let e = m * n.max(x.of(-100.0)).pow2();
    let negative = x.lt(zero);
    let over = e * V::select(negative, e + one, e + e);
    let under = V::select(negative, e.fma(e + two, two), over + e.fma(two, one));
    let (a, a_low) = (V::select(negative, m, one), V::select(negative, m_low + l, zero));
    let y = a + (-a).fma(over / under, a_low);
    (x * y).scale(V::select(negative, n, zero))
}

/// (m, h, n) with Φ(−a) = m · 2ⁿ and e^(−a²/2) = (1 + h) · 2ⁿ, for 0 ≤ a ≤ [`Constants::TAIL_END`] and −½a² = high + low.
#[inline(always)]
fn normal_tail<V: Lanes<Scalar: Constants>>(a: V, high: V, low: V) -> (V, V, V) {
    let (n, r, c) = reduce_exp(high);
    let (h, l) = exp_of_reduced(r, c + low);
    // One division for the reciprocals of a + 5/4 and a + c; what they lost is added to first order.
    let (one, pole) = (a.of(1.0), a.splat(Of::<V>::TAIL_POLE));
    let (near, near_low) = two_sum(a, a.of(1.25));
    let far = a + pole;
    let both = one / (near * far);
    let v = (pole - a) * (both * near);
    let reciprocal = both * far;
    let lost = (-reciprocal).fma(near_low, (-reciprocal).fma(near, one));
    let (first, others) = Of::<V>::TAIL.split_first().expect("a coefficient");
    let (p, p_low) = fast_two_sum(a.splat(*first), v * polynomial(v, others));
    let g = p * reciprocal;
    let g_low = p_low.fma(reciprocal, p.fma(reciprocal, -g));
    let g_low = g.fma(lost, g_low);
    (g + g.fma(h + l, g_low.fma(h, g_low)), h, n)
}

#[inline(always)]
pub(crate) fn erf<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let one = x.of(1.0);
    let near = x.fma(polynomial(x * x, Of::<V>::ERF), x);
    // erf x = 1 − 2 Φ(−x√2).
    let a = x.abs().min(x.splat(Of::<V>::ERF_ONE_FROM));
    let square = a * a;
    let (m, _, n) = normal_tail(a * a.of(std::f64::consts::SQRT_2), -square, (-a).fma(a, square));
    let far = (n + one).pow2().fma(-m, one).copysign(x);
    V::select(x.abs().lt(x.of(0.875)), near, far)
}

/// (m, h, n) with Φ(−|x|) = m · 2ⁿ and e^(−x²/2) = (1 + h) · 2ⁿ.
#[inline(always)]
fn normal_tail_of<V: Lanes<Scalar: Constants>>(x: V) -> (V, V, V) {
    let half = x.of(-0.5);
    let a = x.abs().min(x.splat(Of::<V>::TAIL_END));
    let square = a * a;
    normal_tail(a, square * half, a.fma(a, -square) * half)
}

#[inline(always)]
pub(crate) fn normal_cdf<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let (m, _, n) = normal_tail_of(x);
    let tail = m.scale(n);
    V::select(x.lt(x.of(0.0)), tail, x.of(1.0) - tail)
}

/// 1/√(2π), the standard normal's density at 0.
const NORMAL_DENSITY_AT_0: f64 = 0.398_942_280_401_432_7;

/// xΦ(x) from what [`normal_tail_of`] gives for x, 2ⁿ in two [`Lanes::powers`], and Φ(−|x|).
#[inline(always)]
fn gelu_of_tail<V: Lanes<Scalar: Constants>>(x: V, m: V, [p, q]: [V; 2], tail: V) -> V {
    // For negative x the product comes before the scaling: xΦ(x) is still normal where Φ(x) no longer is.
    let x = x.max(x.splat(-Of::<V>::TAIL_END));
    V::select(x.lt(x.of(0.0)), x * m * p * q, x * (x.of(1.0) - tail))
}

#[inline(always)]
pub(crate) fn gelu<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let (m, _, n) = normal_tail_of(x);
    let [p, q] = n.powers();
    gelu_of_tail(x, m, [p, q], m * p * q)
}

/// xΦ(x) and its derivative Φ(x) + xφ(x), φ(x) = e^(−x²/2)/√(2π): most of the work is the same.
#[inline(always)]
pub(crate) fn gelu_and_derivative<V: Lanes<Scalar: Constants>>(x: V) -> (V, V) {
    let (m, h, n) = normal_tail_of(x);
    let [p, q] = n.powers();
    let (zero, one, tail) = (x.of(0.0), x.of(1.0), m * p * q);
    let density = x.of(NORMAL_DENSITY_AT_0) * ((one + h) * p * q);
    let cdf = V::select(x.lt(zero), tail, one - tail);
    // NaN stays NaN in Φ.
    let seen = x.abs().lt(x.splat(Of::<V>::TAIL_END));
    (gelu_of_tail(x, m, [p, q], tail), x.fma(V::select(seen, density, zero), cdf))
}

/// (n, r, l) with x = n ½π + r + l, |r| ≤ ¼π and a little, l the part that r has no room for.
#[inline(always)]
fn reduce_periodic<V: Lanes<Scalar: Constants>>(x: V) -> (V, V, V) {
    let rounder = x.splat(Of::<V>::ROUNDER);
    let n = x.fma(x.splat(Of::<V>::FRAC_2_PI), rounder) - rounder;
    let [first, second, third] = Of::<V>::PI_2.map(|part| x.splat(part));
    // x − n · first is exact: no bit of it lies below the last one of x or of `first`, and it is less than 1.
    let product = n * second;
    let (r, sum_low) = two_sum(n.fma(-first, x), -product);
    (n, r, n.fma(-third, sum_low - n.fma(second, -product)))
}

/// sin of x + n ½π where x = n ½π + r + l.
#[inline(always)]
fn sin_of_reduced<V: Lanes<Scalar: Constants>>(n: V, r: V, l: V) -> V {
    let one = r.of(1.0);
    let z = r * r;
    let halved = z * r.of(0.5);
    let (c, c_low) = fast_two_sum(one, -halved);
    let sin = r + (r * z).fma(polynomial(z, Of::<V>::SIN), l * c);
    let cos = c + (z * z).fma(polynomial(z, Of::<V>::COS), (-r).fma(l, c_low));
    // n = 2j + odd; the sign is that of (−1)ʲ.
    let j = rounded(n.fma(r.of(0.5), r.of(-0.25)));
    let odd = j.fma(r.of(-2.0), n);
    let quarter_turns = j * r.of(0.5);
    let off = (quarter_turns - rounded(quarter_turns)).abs();
    V::select(r.of(0.5).lt(odd), cos, sin) * off.fma(r.of(-4.0), one)
}

#[inline(always)]
pub(crate) fn sin<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let (n, r, l) = reduce_periodic(x);
    let y = V::select(x.abs().lt(x.splat(Of::<V>::TINY)), x, sin_of_reduced(n, r, l));
    with_large(x, y, Of::<V>::sin_of_large)
}

#[inline(always)]
pub(crate) fn cos<V: Lanes<Scalar: Constants>>(x: V) -> V {
    let (n, r, l) = reduce_periodic(x);
    with_large(x, sin_of_reduced(n + x.of(1.0), r, l), Of::<V>::cos_of_large)
}

/// `y`, and f(x) in the lanes where |x| is beyond the reduction.
#[inline(always)]
fn with_large<V: Lanes<Scalar: Constants>>(x: V, y: V, f: fn(V::Scalar) -> V::Scalar) -> V {
    if !V::any(x.splat(Of::<V>::PERIODIC_LIMIT).lt(x.abs())) {
        return y;
    }
    let (mut from, mut to) = ([V::Scalar::ZERO; 16], [V::Scalar::ZERO; 16]);
    x.store(&mut from);
    y.store(&mut to);
    replace_large(&from, &mut to, f);
    y.load(&to)
}

#[cold]
#[inline(never)]
fn replace_large<T: Constants>(x: &[T; 16], y: &mut [T; 16], f: fn(T) -> T) {
    for (x, y) in x.iter().zip(y) {
        if T::PERIODIC_LIMIT < Lanes::abs(*x) {
            *y = f(*x);
        }
    }
}
