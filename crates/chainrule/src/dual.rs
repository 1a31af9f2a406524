//! Dual numbers, for tests: a value with its derivative along one direction, carried through the very same formulas.
//!
//! An independent proof of the backward pass: the forward pass on duals gives ∂J/∂θ by the rules of single functions,
//! to the last bits and without a step size.

use crate::kernels::{InstructionSet, Kernel, Lanes};
use crate::scalar::Scalar;
use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

/// a + a′·ε with ε² = 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Dual {
    pub(crate) value: f64,
    pub(crate) derivative: f64,
}

impl Dual {
    /// f(self) by the chain rule: f(a) and f′(a)·a′.
    fn through(self, value: f64, slope: f64) -> Self {
        Self { value, derivative: slope * self.derivative }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, b: Self) -> Self {
        Self { value: self.value + b.value, derivative: self.derivative + b.derivative }
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, b: Self) -> Self {
        Self { value: self.value - b.value, derivative: self.derivative - b.derivative }
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, b: Self) -> Self {
        Self { value: self.value * b.value, derivative: self.derivative * b.value + self.value * b.derivative }
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, b: Self) -> Self {
        let value = self.value / b.value;
        Self { value, derivative: (self.derivative - value * b.derivative) / b.value }
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, derivative: -self.derivative }
    }
}

impl AddAssign for Dual {
    fn add_assign(&mut self, b: Self) {
        *self = *self + b;
    }
}

impl PartialOrd for Dual {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl fmt::Display for Dual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {}ε", self.value, self.derivative)
    }
}

impl fmt::LowerExp for Dual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:e} + {:e}ε", self.value, self.derivative)
    }
}

impl Scalar for Dual {
    const ZERO: Self = Self { value: 0.0, derivative: 0.0 };
    const ONE: Self = Self { value: 1.0, derivative: 0.0 };
    const NAME: &'static str = "dual";
    const BYTES: usize = size_of::<Self>();

    /// A constant.
    fn from_f64(value: f64) -> Self {
        Self { value, derivative: 0.0 }
    }
    fn to_f64(self) -> f64 {
        self.value
    }
    fn is_finite(self) -> bool {
        self.value.is_finite() && self.derivative.is_finite()
    }
    fn bits(self) -> u64 {
        unreachable!("duals are not stored")
    }
    fn from_bits(_: u64) -> Self {
        unreachable!("duals are not stored")
    }
    fn dispatch<K: Kernel<Self>>(_: InstructionSet, kernel: K) -> K::Output {
        kernel.run(Self::ZERO)
    }
}

const NAIVE_ONLY: &str = "the naive product needs none of these";

// The trait's pointer methods are unsafe to call.
#[allow(unsafe_code)]
impl Lanes for Dual {
    type Scalar = Self;
    type Mask = bool;
    const LANES: usize = 1;
    const REGISTERS: usize = 16;
    const SQUARE: usize = 1;

    fn splat(self, x: Self) -> Self {
        x
    }
    fn load(self, from: &[Self]) -> Self {
        from[0]
    }
    fn store(self, to: &mut [Self]) {
        to[0] = self;
    }
    unsafe fn load_pointer(self, from: *const Self) -> Self {
        // SAFETY: the caller promises a readable element.
        unsafe { *from }
    }
    unsafe fn store_pointer(self, to: *mut Self) {
        // SAFETY: the caller promises a writable element.
        unsafe { *to = self };
    }
    unsafe fn load_first(self, _: *const Self, _: usize) -> Self {
        unreachable!("{NAIVE_ONLY}")
    }
    unsafe fn store_first(self, _: *mut Self, _: usize) {
        unreachable!("{NAIVE_ONLY}")
    }
    fn load_partial(self, from: &[Self]) -> Self {
        from.first().copied().unwrap_or(Self::ZERO)
    }
    fn store_partial(self, to: &mut [Self]) {
        to.iter_mut().take(1).for_each(|to| *to = self);
    }
    unsafe fn transpose(self, _: *const Self, _: usize, _: *mut Self, _: usize) {
        unreachable!("{NAIVE_ONLY}")
    }

    fn fma(self, b: Self, c: Self) -> Self {
        Self {
            value: self.value.mul_add(b.value, c.value),
            derivative: self.derivative * b.value + self.value * b.derivative + c.derivative,
        }
    }
    fn sqrt(self) -> Self {
        let root = self.value.sqrt();
        self.through(root, 0.5 / root)
    }
    fn abs(self) -> Self {
        self.through(self.value.abs(), 1.0_f64.copysign(self.value))
    }
    fn copysign(self, sign: Self) -> Self {
        self.through(self.value.copysign(sign.value), 1.0_f64.copysign(self.value) * 1.0_f64.copysign(sign.value))
    }
    fn round(self) -> Self {
        self.through(self.value.round_ties_even(), 0.0)
    }
    fn lt(self, other: Self) -> bool {
        self.value < other.value
    }
    fn le(self, other: Self) -> bool {
        self.value <= other.value
    }
    fn select(mask: bool, yes: Self, no: Self) -> Self {
        if mask { yes } else { no }
    }
    fn pow2(self) -> Self {
        unreachable!("a part of the elementary functions, which have rules of their own here")
    }
    fn split_exponent(self) -> (Self, Self) {
        unreachable!("a part of the elementary functions, which have rules of their own here")
    }

    fn exp(self) -> Self {
        let e = Lanes::exp(self.value);
        self.through(e, e)
    }
    fn exp_m1(self) -> Self {
        self.through(Lanes::exp_m1(self.value), Lanes::exp(self.value))
    }
    fn ln(self) -> Self {
        self.through(Lanes::ln(self.value), 1.0 / self.value)
    }
    fn ln_1p(self) -> Self {
        self.through(Lanes::ln_1p(self.value), 1.0 / (1.0 + self.value))
    }
    fn tanh(self) -> Self {
        // 1/cosh² = (2/(eˣ + e⁻ˣ))², which does not cancel.
        let sech = 2.0 / (Lanes::exp(self.value) + Lanes::exp(-self.value));
        self.through(Lanes::tanh(self.value), sech * sech)
    }
    fn logistic(self) -> Self {
        self.through(Lanes::logistic(self.value), Lanes::logistic(self.value) * Lanes::logistic(-self.value))
    }
    fn erf(self) -> Self {
        self.through(Lanes::erf(self.value), std::f64::consts::FRAC_2_SQRT_PI * Lanes::exp(-self.value * self.value))
    }
    fn any(mask: bool) -> bool {
        mask
    }
    fn silu(self) -> Self {
        self * self.logistic()
    }
    fn gelu(self) -> Self {
        self * self.normal_cdf()
    }
    fn mish(self) -> Self {
        let softplus = Lanes::max(self, self.of(0.0)) + (-Lanes::abs(self)).exp().ln_1p();
        self * softplus.tanh()
    }
    fn normal_cdf(self) -> Self {
        let density = Lanes::exp(-0.5 * self.value * self.value) / (2.0 * std::f64::consts::PI).sqrt();
        self.through(Lanes::normal_cdf(self.value), density)
    }
    fn gelu_and_derivative(self) -> (Self, Self) {
        let density = Lanes::exp(-0.5 * self.value * self.value) / (2.0 * std::f64::consts::PI).sqrt();
        let density = self.through(density, -self.value * density);
        (self.gelu(), self.normal_cdf() + self * density)
    }
    fn sin(self) -> Self {
        self.through(Lanes::sin(self.value), Lanes::cos(self.value))
    }
    fn cos(self) -> Self {
        self.through(Lanes::cos(self.value), -Lanes::sin(self.value))
    }
}
