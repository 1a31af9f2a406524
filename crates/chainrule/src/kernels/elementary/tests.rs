//! Every function against correctly rounded scalar ones, and every instruction set against one lane.

use super::Constants;
use crate::kernels::{InstructionSet, Kernel, Lanes};

/// A function of one number, written over lanes.
trait Function: Copy {
    fn of<V: Lanes<Scalar: Constants>>(self, x: V) -> V;
}

macro_rules! functions {
    ($($name:ident($x:ident) $body:expr;)*) => {$(
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        struct $name;
        impl Function for $name {
            #[inline(always)]
            fn of<V: Lanes<Scalar: Constants>>(self, $x: V) -> V {
                $body
            }
        }
    )*};
}
functions! {
    exp(x) x.exp();
    exp_m1(x) x.exp_m1();
    ln(x) x.ln();
    ln_1p(x) x.ln_1p();
    tanh(x) x.tanh();
    logistic(x) x.logistic();
    erf(x) x.erf();
    normal_cdf(x) x.normal_cdf();
    sin(x) x.sin();
    cos(x) x.cos();
    gelu(x) x.gelu();
    silu(x) x.silu();
    softplus(x) x.max(x.of(0.0)) + (-x.abs()).exp().ln_1p();
    mish(x) x.mish();
    elu(x) V::select(x.lt(x.of(0.0)), x.exp_m1() * x.of(1.25), x);
}

/// y[i] = f(x[i]).
struct Map<'a, T, F>(F, &'a [T], &'a mut [T]);

impl<T: Constants, F: Function> Kernel<T> for Map<'_, T, F> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self(f, x, y) = self;
        for (x, y) in x.chunks(V::LANES).zip(y.chunks_mut(V::LANES)) {
            f.of(v.load_partial(x)).store_partial(y);
        }
    }
}

fn map<T: Constants>(set: InstructionSet, f: impl Function, x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    T::dispatch(set, Map(f, x, &mut y));
    y
}

/// An unevaluated sum of two `f64`, about 100 bits (T. J. Dekker, 1971).
#[derive(Clone, Copy, Debug)]
struct Double(f64, f64);

impl Double {
    const ONE: Self = Self(1.0, 0.0);
    fn sum(a: f64, b: f64) -> Self {
        let s = a + b;
        let t = s - a;
        Self(s, (a - (s - t)) + (b - t))
    }
    fn plus(self, b: Self) -> Self {
        let (s, t) = (Self::sum(self.0, b.0), Self::sum(self.1, b.1));
        let s = Self::sum(s.0, s.1 + t.0);
        Self::sum(s.0, s.1 + t.1)
    }
    fn times(self, b: Self) -> Self {
        let p = self.0 * b.0;
        Self::sum(p, self.0.mul_add(b.0, -p) + (self.0 * b.1 + self.1 * b.0))
    }
    fn over(self, b: Self) -> Self {
        let q = self.0 / b.0;
        let left = self.plus(b.times(Self(-q, 0.0)));
        Self::sum(q, left.0 / b.0)
    }
    fn negative(self) -> Self {
        Self(-self.0, -self.1)
    }
    fn scaled(self, n: i32) -> Self {
        Self(ldexp(self.0, n), ldexp(self.1, n))
    }
    /// (e^r − 1, n) with x = n ln 2 + r.
    fn exp_m1_parts(x: f64) -> (Self, i32) {
        // ln 2 in three parts, the first two of 32 bits, so that their products with n are exact.
        const LN_2: [f64; 3] = [0.6931471803691238, 1.9082149292705877e-10, -2.2165766119299894e-26];
        let n = (x * std::f64::consts::LOG2_E).round();
        let r = Self::sum(n.mul_add(-LN_2[0], x), -n * LN_2[1]).plus(Self(-n * LN_2[2], 0.0));
        // Taylor's series at r / 256, then t ← (1 + t)² − 1 = t(2 + t) eight times.
        let s = r.scaled(-8);
        let mut t = Self(0.0, 0.0);
        for k in (1..=11).rev() {
            t = s.times(t.plus(Self::ONE)).over(Self(k as f64, 0.0));
        }
        for _ in 0..8 {
            t = t.times(t.plus(Self(2.0, 0.0)));
        }
        (t, n as i32)
    }
    fn exp_m1(x: f64) -> Self {
        let (t, n) = Self::exp_m1_parts(x);
        t.scaled(n).plus(Self::sum(ldexp(1.0, n), -1.0))
    }
}

/// x · 2ⁿ, in steps that neither overflow nor underflow before the result does.
fn ldexp(x: f64, n: i32) -> f64 {
    let power = |n: i32| f64::from_bits(((1023 + n) as u64) << 52);
    let quarter = n / 4;
    x * power(quarter) * power(quarter) * power(quarter) * power(n - 3 * quarter)
}

/// A true value, m · 2ⁿ.
struct True(Double, i32);

impl From<f64> for True {
    fn from(x: f64) -> Self {
        Self(Double(x, 0.0), 0)
    }
}

/// |y − t| in ULP of t (those of the smallest normal number below it); an infinite y counts as the power of two
/// beyond the largest number.
fn error<T: Constants>(y: T, t: &True) -> f64 {
    let True(Double(high, low), n) = *t;
    let y = y.to_f64();
    if high.is_nan() || y.is_nan() {
        return if high.is_nan() && y.is_nan() { 0.0 } else { f64::INFINITY };
    }
    let smallest = exponent(T::MIN_POSITIVE.to_f64());
    let beyond = |y: f64, n: i32| if y.is_infinite() { ldexp(y.signum(), 2 - smallest - n) } else { ldexp(y, -n) };
    if high.is_infinite() {
        return if y == high { 0.0 } else { f64::INFINITY };
    }
    let ulp = (exponent(high) + n).max(smallest) - T::MANTISSA_BITS.to_f64() as i32 - n;
    let outside = exponent(high) + n > 1 - smallest;
    let (high, low) = if outside { (beyond(f64::INFINITY.copysign(high), n), 0.0) } else { (high, low) };
    ((beyond(y, n) - high) - low).abs() / ldexp(1.0, ulp.min(1 - smallest - T::MANTISSA_BITS.to_f64() as i32 - n))
}

fn exponent(x: f64) -> i32 {
    ((x.abs().to_bits() >> 52) as i32 - 1023).max(-1022)
}

mod oracle {
    use super::{Double, True};

    fn parts(x: f64) -> (Double, i32) {
        let (t, n) = Double::exp_m1_parts(x.clamp(-2000.0, 800.0));
        (t.plus(Double::ONE), n)
    }
    /// e^(−|x|) where it counts beside 1.
    fn small_exp(x: f64) -> Double {
        let (m, n) = parts(-x.abs().min(200.0));
        m.scaled(n)
    }
    pub(super) fn exp(x: f64) -> True {
        if x.is_nan() {
            return x.into();
        }
        let (m, n) = parts(x);
        True(m, n)
    }
    pub(super) fn exp_m1(x: f64) -> True {
        if x.abs() < 1e-100 || x.is_nan() || x > 700.0 {
            return if x > 700.0 { exp(x) } else { x.into() };
        }
        True(Double::exp_m1(x.max(-200.0)), 0)
    }
    /// One step of Newton's method from y for the equation e^y = x.
    pub(super) fn ln(x: f64) -> True {
        let y = pxfm::f_log(x);
        if !(y.is_finite() && y != 0.0) {
            return y.into();
        }
        let correction = if y.abs() < 0.5 {
            Double::sum(x, -1.0).plus(Double::exp_m1(y).negative())
        } else {
            let (m, n) = parts(-y);
            let e = super::exponent(x);
            m.times(Double(super::ldexp(x, -e), 0.0)).scaled(n + e).plus(Double(-1.0, 0.0))
        };
        True(Double::sum(y, correction.0), 0)
    }
    pub(super) fn ln_1p(x: f64) -> True {
        let y = pxfm::f_log1p(x);
        if !y.is_finite() || x.abs() < 1e-100 {
            return y.into();
        }
        if x > 1e40 {
            return ln(x);
        }
        let t = Double::exp_m1(y);
        let correction = Double(x, 0.0).plus(t.negative()).over(t.plus(Double::ONE));
        True(Double::sum(y, correction.0), 0)
    }
    pub(super) fn tanh(x: f64) -> True {
        if x.abs() < 1e-100 || x.is_nan() {
            return x.into();
        }
        let t = Double::exp_m1(-2.0 * x.abs().min(50.0));
        let y = t.over(t.plus(Double(2.0, 0.0)));
        True(if x < 0.0 { y } else { y.negative() }, 0)
    }
    pub(super) fn logistic(x: f64) -> True {
        if x.is_nan() {
            return x.into();
        }
        let d = small_exp(x).plus(Double::ONE);
        if x < 0.0 {
            let (m, n) = parts(x);
            True(m.over(d), n)
        } else {
            True(Double::ONE.over(d), 0)
        }
    }
    pub(super) fn erf(x: f64) -> True {
        pxfm::f_erf(x).into()
    }
    /// ½ erfc(z) for z = −x/√2, corrected to first order for what z lost: erfc′(z) = −2/√π e^(−z²).
    pub(super) fn normal_cdf(x: f64) -> True {
        const ROOT_HALF_LOW: f64 = -4.833646656726457e-17;
        let x = x.clamp(-50.0, 50.0);
        let z = -x * std::f64::consts::FRAC_1_SQRT_2;
        let low = (-x).mul_add(std::f64::consts::FRAC_1_SQRT_2, -z) - x * ROOT_HALF_LOW;
        if x > -30.0 {
            return True(Double(pxfm::f_erfc(z), -std::f64::consts::FRAC_2_SQRT_PI * pxfm::f_exp(-z * z) * low), -1);
        }
        // Where erfc becomes subnormal: e^(−½x²) · ½ erfcx(z), with erfcx′(z) = 2z erfcx(z) − 2/√π.
        let square = x * x;
        let (m, n) = parts(-0.5 * square);
        let m = m.plus(m.times(Double(-0.5 * x.mul_add(x, -square), 0.0)));
        let y = pxfm::f_erfcx(z);
        True(m.times(Double(y, (2.0 * z * y - std::f64::consts::FRAC_2_SQRT_PI) * low)), n - 1)
    }
    pub(super) fn sin(x: f64) -> True {
        pxfm::f_sin(x).into()
    }
    pub(super) fn cos(x: f64) -> True {
        pxfm::f_cos(x).into()
    }

    fn times(x: f64, True(m, n): True) -> True {
        // The product stays in range: the factor x moves into the exponent.
        let e = if x == 0.0 { 0 } else { super::exponent(x) };
        True(m.times(Double(super::ldexp(x, -e), 0.0)), n + e)
    }
    pub(super) fn silu(x: f64) -> True {
        let x = x.clamp(-800.0, f64::MAX);
        times(x, logistic(x))
    }
    pub(super) fn gelu(x: f64) -> True {
        let x = x.clamp(-50.0, f64::MAX);
        times(x, normal_cdf(x))
    }
    pub(super) fn mish(x: f64) -> True {
        if x.is_nan() {
            return x.into();
        }
        let x = x.clamp(-800.0, f64::MAX);
        let e = small_exp(x);
        let two = Double(2.0, 0.0);
        if x < 0.0 {
            let (m, n) = parts(x);
            let f = e.plus(two);
            times(x, True(m.times(f).over(e.times(f).plus(two)), n))
        } else {
            let above = e.times(two).plus(Double::ONE);
            times(x, True(above.over(above.plus(e.times(e).times(two))), 0))
        }
    }
    pub(super) fn softplus(x: f64) -> True {
        if !x.is_finite() {
            return if x < 0.0 { 0.0 } else { x }.into();
        }
        let True(m, n) = exp(-x.abs());
        let True(l, n) = if n > -60 {
            // ln(1 + e) with one step of Newton's method, (1 + e)/e^y − 1.
            let e = m.scaled(n);
            let y = pxfm::f_log1p(e.0);
            let t = Double::exp_m1(y);
            True(Double::sum(y, e.plus(t.negative()).over(t.plus(Double::ONE)).0), 0)
        } else {
            True(m, n)
        };
        if x > 0.0 { True(Double(x, 0.0).plus(l.scaled(n)), 0) } else { True(l, n) }
    }
    pub(super) fn elu(x: f64) -> True {
        if x < 0.0 { times(1.25, exp_m1(x)) } else { x.into() }
    }
}

/// SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, 2014).
struct Random(u64);
impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn f64(&mut self) -> f64 {
        let bits = self.bits();
        // One in four is any bit pattern; the exponents of the others lie where functions do something.
        if self.bits().is_multiple_of(4) {
            return f64::from_bits(bits);
        }
        let exponent = 1023 - 20 + self.bits() % 30;
        f64::from_bits(bits & !(0x7ff << 52) | exponent << 52)
    }
}

/// Where formulas change, saturate, overflow or underflow, in either scalar.
#[rustfmt::skip]
const JOINTS: [f64; 35] = [
    0.0, 1e-45, 1.2e-38, 5e-324, 2.3e-308, 2e-8, 5e-17, 0.0625, 0.25, 0.34657359027997264, 0.375, 0.5, 0.75, 0.875,
    1.0, 1.0397207708399179, 1.5, 3.0, 4.5, 6.5, 9.010913, 10.0, 14.17, 14.5,
    17.33, 20.0, 38.48, 42.0, 87.336544, 88.72284, 103.97, 65536.0, 708.3964, 709.782712893384, 745.1332191019412,
];

/// Every bit pattern within `width` of a joint or of its negative.
fn around_joints<T: Constants>(width: u64, of_bits: impl Fn(u64) -> T, bits: impl Fn(T) -> u64) -> Vec<T> {
    use std::f64::consts::{FRAC_PI_2, PI};
    let joints = JOINTS.into_iter().chain([FRAC_PI_2, PI, 1_073_741_824.0, f32::MAX.into(), f64::MAX]);
    let numbers = joints.flat_map(|joint| {
        let middle = bits(T::from_f64(joint));
        (middle.saturating_sub(width)..=middle + width).map(&of_bits).collect::<Vec<T>>()
    });
    numbers.flat_map(|x| [x, -x]).collect()
}

/// The largest error of `f` and where it is.
fn worst<T: Constants>(f: impl Function, x: &[T], truth: impl Fn(f64) -> True) -> (f64, T) {
    let y = map(InstructionSet::detect(), f, x);
    let mut worst = (0.0, T::ZERO);
    for (&x, y) in x.iter().zip(y) {
        let error = error(y, &truth(x.to_f64()));
        if error > worst.0 {
            worst = (error, x);
        }
    }
    worst
}

/// Every 251st bit pattern and the joints; with the environment variable CHAINRULE_EXHAUSTIVE all 2³² (minutes).
fn single(name: &str, f: impl Function, limit: f64, truth: fn(f64) -> f64) {
    let exhaustive = std::env::var_os("CHAINRULE_EXHAUSTIVE").is_some();
    let step = if exhaustive { 1 } else { 251 };
    let mut largest =
        worst(f, &around_joints(2000, |b| f32::from_bits(b as u32), |x| x.to_bits().into()), |x| truth(x).into());
    for chunk in 0..(1_u64 << 32) / (step << 12) + 1 {
        let x: Vec<f32> = (0..1 << 12).map(|i| f32::from_bits(((chunk << 12 | i) * step) as u32)).collect();
        let here = worst(f, &x, |x| truth(x).into());
        if here.0 > largest.0 {
            largest = here;
        }
    }
    report(exhaustive, name, largest);
    assert!(largest.0 <= limit, "{name}: {} ULP at {:e}", largest.0, largest.1);
}

/// Random numbers and the joints: 10⁵ of them, or 10⁷.
fn double(name: &str, f: impl Function, limit: f64, truth: fn(f64) -> True) {
    let exhaustive = std::env::var_os("CHAINRULE_EXHAUSTIVE").is_some();
    let mut largest = worst(f, &around_joints(500, f64::from_bits, f64::to_bits), truth);
    let mut random = Random(1);
    for _ in 0..if exhaustive { 2500 } else { 25 } {
        let x: Vec<f64> = (0..1 << 12).map(|_| random.f64()).collect();
        let here = worst(f, &x, truth);
        if here.0 > largest.0 {
            largest = here;
        }
    }
    report(exhaustive, name, largest);
    assert!(largest.0 <= limit, "{name}: {} ULP at {:e}", largest.0, largest.1);
}

#[allow(clippy::print_stderr)]
fn report<T: Constants>(exhaustive: bool, name: &str, largest: (f64, T)) {
    if exhaustive {
        eprintln!("{} {name}: {:.3} at {:e}", T::NAME, largest.0, largest.1);
    }
}

/// For each function its bounds in ULP (f32, f64) and its truth in `f64`.
macro_rules! within {
    ($($name:ident $single:literal $double:literal $truth:expr;)*) => {
        mod f32_is_within_its_bounds {$(
            #[test]
            fn $name() {
                super::single(stringify!($name), super::$name, $single, $truth);
            }
        )*}
        mod f64_is_within_its_bounds {$(
            #[test]
            fn $name() {
                super::double(stringify!($name), super::$name, $double, super::oracle::$name);
            }
        )*}
    };
}
// The bounds that the library promises are 1 and 2 ULP, 2 and 3 for Φ, and 4 for activations. Here stands what was
// reached, rounded up. In f64 the truths of erf, sin and cos are rounded, which adds half an ULP.
within! {
    exp 0.9 1.0 pxfm::f_exp;
    exp_m1 0.9 1.3 pxfm::f_expm1;
    ln 0.92 1.0 pxfm::f_log;
    ln_1p 0.95 1.0 pxfm::f_log1p;
    tanh 0.9 1.0 pxfm::f_tanh;
    logistic 0.9 1.0 |x| 1.0 / (1.0 + pxfm::f_exp(-x));
    erf 0.95 1.0 pxfm::f_erf;
    normal_cdf 1.6 2.0 |x| 0.5 * pxfm::f_erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    sin 0.9 1.0 pxfm::f_sin;
    cos 0.9 1.0 pxfm::f_cos;
    silu 1.6 1.6 |x| x.max(-800.0) / (1.0 + pxfm::f_exp(-x));
    gelu 2.5 3.0 |x| x.max(-50.0) * 0.5 * pxfm::f_erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    mish 3.7 3.7 |x| {
        let e = pxfm::f_exp(-x.abs());
        let (over, under) = if x < 0.0 { (e * (e + 2.0), e * (e + 2.0) + 2.0) } else { (1.0 + 2.0 * e, 1.0 + 2.0 * e * (1.0 + e)) };
        x.max(-800.0) * (over / under)
    };
    softplus 1.6 1.6 |x| x.max(0.0) + pxfm::f_log1p(pxfm::f_exp(-x.abs()));
    elu 1.6 1.6 |x| if x < 0.0 { 1.25 * pxfm::f_expm1(x) } else { x };
}

/// Bits, all NaN being one.
fn bits<T: Constants>(x: T) -> u64 {
    if x.to_f64().is_nan() { u64::MAX } else { x.to_f64().to_bits() }
}

macro_rules! for_all_functions {
    ($check:ident!($($arguments:tt)*)) => {
        $check!(($($arguments)*) exp exp_m1 ln ln_1p tanh logistic erf normal_cdf sin cos silu gelu mish softplus elu)
    };
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    fn check<T: Constants>(x: &[T]) {
        macro_rules! equal {
            (() $($f:ident)*) => {$(
                let expected = map(InstructionSet::NAIVE, $f, x);
                for set in InstructionSet::available() {
                    for ((x, expected), y) in x.iter().zip(&expected).zip(map(set, $f, x)) {
                        let name = stringify!($f);
                        assert_eq!(bits(*expected), bits(y), "{name} {x:e} on {}: {expected:e}, {y:e}", set.name());
                    }
                }
            )*};
        }
        for_all_functions!(equal!());
    }
    let mut random = Random(2);
    let mut single: Vec<f32> = (0..40_000).map(|_| f32::from_bits(random.bits() as u32)).collect();
    single.extend((0..20_001).map(|_| random.f64() as f32));
    single.extend(around_joints(20, |b| f32::from_bits(b as u32), |x| x.to_bits().into()));
    check(&single);
    let mut double: Vec<f64> = (0..40_000).map(|_| f64::from_bits(random.bits())).collect();
    double.extend((0..20_001).map(|_| random.f64()));
    double.extend(around_joints(20, f64::from_bits, f64::to_bits));
    check(&double);
}

#[test]
fn special_values_are_those_of_the_limits() {
    const INF: f64 = f64::INFINITY;
    fn check<T: Constants>() {
        macro_rules! value {
            ($f:ident: $($x:expr => $y:expr),*) => {$(
                for set in InstructionSet::available() {
                    let (x, y) = (T::from_f64($x), T::from_f64($y));
                    let result = map(set, $f, &[x])[0];
                    assert_eq!(bits(result), bits(y), "{} {x:e}: {result:e} on {}", stringify!($f), set.name());
                }
            )*};
        }
        value!(exp: 0.0 => 1.0, -0.0 => 1.0, INF => INF, -INF => 0.0, 1e4 => INF, -1e4 => 0.0);
        value!(exp_m1: 0.0 => 0.0, -0.0 => -0.0, INF => INF, -INF => -1.0, 1e4 => INF, -1e4 => -1.0);
        value!(ln: 1.0 => 0.0, 0.0 => -INF, -0.0 => -INF, INF => INF, -1.0 => f64::NAN, -1e-310 => if T::BYTES == 4 { -INF } else { f64::NAN }, -INF => f64::NAN);
        value!(ln_1p: 0.0 => 0.0, -0.0 => -0.0, -1.0 => -INF, INF => INF, -2.0 => f64::NAN, -INF => f64::NAN);
        value!(tanh: 0.0 => 0.0, -0.0 => -0.0, INF => 1.0, -INF => -1.0, 50.0 => 1.0, -1e30 => -1.0);
        value!(logistic: 0.0 => 0.5, -0.0 => 0.5, INF => 1.0, -INF => 0.0, 1e4 => 1.0, -1e4 => 0.0);
        value!(erf: 0.0 => 0.0, -0.0 => -0.0, INF => 1.0, -INF => -1.0, 50.0 => 1.0, -1e30 => -1.0);
        value!(normal_cdf: 0.0 => 0.5, -0.0 => 0.5, INF => 1.0, -INF => 0.0, 1e4 => 1.0, -1e4 => 0.0);
        value!(sin: 0.0 => 0.0, -0.0 => -0.0, INF => f64::NAN, -INF => f64::NAN);
        value!(cos: 0.0 => 1.0, -0.0 => 1.0, INF => f64::NAN, -INF => f64::NAN);
        value!(silu: 0.0 => 0.0, -0.0 => -0.0, INF => INF, -INF => -0.0, -1e4 => -0.0);
        value!(gelu: 0.0 => 0.0, -0.0 => -0.0, INF => INF, -INF => -0.0, -1e4 => -0.0);
        value!(mish: 0.0 => 0.0, -0.0 => -0.0, INF => INF, -INF => -0.0, -1e4 => -0.0);
        macro_rules! nan {
            (() $($f:ident)*) => {$(
                value!($f: f64::NAN => f64::NAN);
            )*};
        }
        nan!(() exp exp_m1 ln ln_1p tanh logistic erf normal_cdf sin cos silu gelu mish);
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn bounded_functions_stay_in_their_range() {
    fn check<T: Constants>() {
        let x: Vec<T> = (-200_000..200_000).map(|i| T::from_f64(i as f64 / 4096.0)).collect();
        macro_rules! bounded {
            ($($f:ident $low:literal;)*) => {$(
                let y = map(InstructionSet::detect(), $f, &x);
                assert!(y.iter().all(|y| ($low..=1.0).contains(&y.to_f64())), stringify!($f));
            )*};
        }
        bounded!(tanh -1.0; erf -1.0; logistic 0.0; normal_cdf 0.0; sin -1.0; cos -1.0;);
    }
    check::<f32>();
    check::<f64>();
}

#[test]
fn large_arguments_of_sin_and_cos_are_reduced_exactly() {
    // sin and cos of 10²², known from M. Payne and R. Hanek's problem; W. Kahan's hardest f64, 6381956970095103 · 2⁷⁹⁷,
    // is 4.687e−19 from a multiple of π/2, so that its cosine is that small.
    assert_eq!(map(InstructionSet::detect(), sin, &[1e22])[0], -0.8522008497671888);
    assert_eq!(map(InstructionSet::detect(), cos, &[1e22])[0], 0.523214785395139);
    let hardest = ldexp(6381956970095103.0, 797);
    assert_eq!(map(InstructionSet::detect(), cos, &[hardest])[0], -4.687165924254628e-19);
}
