//! The vector trait: formulas are written once over [`Lanes`] and run on one scalar or sixteen.
//!
//! A value of a SIMD type exists only where its instructions do: the dispatcher makes the first one after asking
//! the processor, and every other is made from a value (`v.splat(x)` uses `v` as its witness). So the operators are
//! safe for every caller, and a formula reads as it stands in the book.

use crate::scalar::Scalar;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// One or more scalars on which every operation works lane by lane.
///
/// Each operation is IEEE-754's (round to nearest, ties to even), so a formula gives the same bits for any number
/// of lanes. No operation crosses lanes.
pub trait Lanes:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// The type of one lane.
    type Scalar: Scalar;
    /// A truth value per lane.
    type Mask: Copy;
    /// How many lanes there are.
    const LANES: usize;
    /// How many such vectors the processor holds in registers.
    const REGISTERS: usize;
    /// The side of the square that [`Lanes::transpose`] turns.
    const SQUARE: usize;

    /// `x` in every lane.
    fn splat(self, x: Self::Scalar) -> Self;

    /// The constant `x`, rounded to the scalar, in every lane.
    #[inline(always)]
    fn of(self, x: f64) -> Self {
        self.splat(Self::Scalar::from_f64(x))
    }

    /// The first [`Self::LANES`] elements of `from`.
    ///
    /// # Panics
    /// If `from` is shorter.
    fn load(self, from: &[Self::Scalar]) -> Self;

    /// Writes the lanes to the first [`Self::LANES`] elements of `to`.
    ///
    /// # Panics
    /// If `to` is shorter.
    fn store(self, to: &mut [Self::Scalar]);

    /// The elements of `from`, and zero in the lanes beyond its end (at most [`Self::LANES`] are read).
    #[inline(always)]
    #[allow(unsafe_code)]
    fn load_partial(self, from: &[Self::Scalar]) -> Self {
        // SAFETY: no more elements than `from` has.
        unsafe { self.load_first(from.as_ptr(), from.len().min(Self::LANES)) }
    }

    /// Writes as many lanes as `to` has elements (at most [`Self::LANES`]).
    #[inline(always)]
    #[allow(unsafe_code)]
    fn store_partial(self, to: &mut [Self::Scalar]) {
        // SAFETY: no more elements than `to` has.
        unsafe { self.store_first(to.as_mut_ptr(), to.len().min(Self::LANES)) }
    }

    /// [`Self::LANES`] elements from `from` on, for kernels that have checked their bounds once outside the loop.
    ///
    /// # Safety
    /// `from` must be valid for reads of [`Self::LANES`] elements; it need not be aligned.
    #[allow(unsafe_code)]
    unsafe fn load_pointer(self, from: *const Self::Scalar) -> Self;

    /// Writes the lanes from `to` on.
    ///
    /// # Safety
    /// `to` must be valid for writes of [`Self::LANES`] elements; it need not be aligned.
    #[allow(unsafe_code)]
    unsafe fn store_pointer(self, to: *mut Self::Scalar);

    /// The first `n` ≤ [`Self::LANES`] elements from `from` on, and zero in the other lanes, whose memory is not touched.
    ///
    /// # Safety
    /// `from` must be valid for reads of `n` elements.
    #[allow(unsafe_code)]
    unsafe fn load_first(self, from: *const Self::Scalar, n: usize) -> Self;

    /// Writes the first `n` ≤ [`Self::LANES`] lanes from `to` on and leaves the memory beyond untouched.
    ///
    /// # Safety
    /// `to` must be valid for writes of `n` elements.
    #[allow(unsafe_code)]
    unsafe fn store_first(self, to: *mut Self::Scalar, n: usize);

    /// Asks for the cache line at `at`, which need not be a valid address; it changes no number.
    #[inline(always)]
    fn prefetch(self, _at: *const Self::Scalar) {}

    /// toᵢⱼ ← fromⱼᵢ for a square of [`Self::SQUARE`] rows that stand `from_row` and `to_row` elements apart.
    ///
    /// # Safety
    /// `from` must be valid for reads, and `to` for writes, of such a square.
    #[allow(unsafe_code)]
    unsafe fn transpose(self, from: *const Self::Scalar, from_row: usize, to: *mut Self::Scalar, to_row: usize);

    /// self · b + c with one rounding.
    fn fma(self, b: Self, c: Self) -> Self;
    /// √self, correctly rounded.
    fn sqrt(self) -> Self;
    /// |self|.
    fn abs(self) -> Self;
    /// |self| with the sign of `sign`.
    fn copysign(self, sign: Self) -> Self;
    /// The nearest integer, ties to even.
    fn round(self) -> Self;

    /// self < other; false where either is NaN.
    fn lt(self, other: Self) -> Self::Mask;
    /// self ≤ other; false where either is NaN.
    fn le(self, other: Self) -> Self::Mask;
    /// `yes` where the mask holds, else `no`.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// +0 where the mask holds, else `self`. (With AVX2 by a bitwise and: of a select between 0 and what stands in memory
    /// already LLVM makes a masked store, which takes AMD's processors tens of cycles.)
    #[inline(always)]
    fn zero_where(self, mask: Self::Mask) -> Self {
        Self::select(mask, self.of(0.0), self)
    }

    /// Whether the mask holds in any lane.
    fn any(mask: Self::Mask) -> bool;

    /// The first `n` lanes of `self`, and the others of `rest`.
    #[inline(always)]
    fn first(self, n: usize, rest: Self) -> Self {
        const MOST: usize = 16;
        let (mut lanes, mut first) = ([Self::Scalar::ZERO; MOST], [Self::Scalar::ZERO; MOST]);
        rest.store(&mut lanes);
        self.store(&mut first);
        let n = n.min(Self::LANES);
        lanes[..n].copy_from_slice(&first[..n]);
        self.load(&lanes)
    }

    /// The larger of the two; `self` where either is NaN.
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        Self::select(self.lt(other), other, self)
    }

    /// The smaller of the two; `self` where either is NaN.
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        Self::select(other.lt(self), other, self)
    }

    /// 2ⁿ for an integer-valued `self` = n whose power is a normal number.
    fn pow2(self) -> Self;

    /// self · 2ⁿ with one rounding, for an integer-valued n and |self| in [½, 2]; |n| ≤ 252 (f32), 2,044 (f64).
    #[inline(always)]
    fn scale(self, n: Self) -> Self {
        let [p, q] = n.powers();
        self * p * q
    }

    /// (2ᵏ, 2ⁿ⁻ᵏ) with k near ½n, for [`Lanes::scale`] by n = `self`: their product may be no normal number.
    #[inline(always)]
    fn powers(self) -> [Self; 2] {
        let half = (self * self.of(0.5)).round();
        [half.pow2(), (self - half).pow2()]
    }

    /// (e, m) with self = m · 2ᵉ, m in [¾, 1½), for a positive normal `self`.
    fn split_exponent(self) -> (Self, Self);

    /// eˣ.
    fn exp(self) -> Self;
    /// eˣ − 1, accurate near 0.
    fn exp_m1(self) -> Self;
    /// The natural logarithm.
    fn ln(self) -> Self;
    /// ln(1 + x), accurate near 0.
    fn ln_1p(self) -> Self;
    /// The hyperbolic tangent.
    fn tanh(self) -> Self;
    /// 1 / (1 + e⁻ˣ).
    fn logistic(self) -> Self;
    /// The error function 2/√π ∫₀ˣ e^(−t²) dt.
    fn erf(self) -> Self;
    /// Φ(x) = ½ erfc(−x/√2), the standard normal's distribution function, accurate in its left tail.
    fn normal_cdf(self) -> Self;
    /// sin x, x in radians.
    fn sin(self) -> Self;
    /// cos x, x in radians.
    fn cos(self) -> Self;

    // Products that are still normal numbers where their second factor no longer is, so that composing them from the
    // functions above would lose their last bits (x · logistic(x) in f32: 52 ULP at −104).

    /// x · logistic(x).
    fn silu(self) -> Self;
    /// x · Φ(x).
    fn gelu(self) -> Self;
    /// x · tanh(ln(1 + eˣ)).
    fn mish(self) -> Self;

    /// x · Φ(x) and its derivative Φ(x) + x · φ(x).
    fn gelu_and_derivative(self) -> (Self, Self);
}

/// Work that is written once over [`Lanes`] and run with the widest lanes that are asked for.
///
/// Implementations mark `run` `#[inline(always)]`: it is compiled anew inside a function for each instruction set.
pub trait Kernel<T: Scalar> {
    /// What the work returns.
    type Output;
    /// Does the work. `v` is a witness that the lanes' instructions exist, and zero.
    fn run<V: Lanes<Scalar = T>>(self, v: V) -> Self::Output;
}
