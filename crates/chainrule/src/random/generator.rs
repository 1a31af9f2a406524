//! NumPy's `Generator` on its default bit generator, PCG64.

use super::SeedSequence;
use super::normal;
use crate::{Error, Scalar};

/// The multiplier of the 128-bit linear congruential generator.
const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

/// NumPy's `np.random.default_rng(seed)`; the seed is a `u64`, a list of them or a [`SeedSequence`].
///
/// ```
/// let mut rng = chainrule::random::default_rng(42);
/// assert_eq!(rng.random_f64(), 0.7739560485559633);
/// assert_eq!(rng.permutation(5), [3, 2, 0, 4, 1]);
/// ```
pub fn default_rng(seed: impl Into<SeedSequence>) -> Generator {
    let [state, state_low, increment, increment_low] = seed.into().generate_state_u64().map(u128::from);
    let increment = (increment << 64 | increment_low) << 1 | 1;
    // The first step from 0 gives the increment.
    let state = increment.wrapping_add(state << 64 | state_low);
    let mut rng = Generator { state: GeneratorState { state, increment, buffered: None } };
    rng.step();
    rng
}

/// The default generator of NumPy 2.x: PCG64 (XSL-RR 128/64) and the draws that are made from it.
///
/// Draws are filled into arrays in C order, one after another. The 32-bit draws take a 64-bit number in two halves and
/// keep the other half for the next 32-bit draw, of whatever method:
///
/// | method | takes |
/// |---|---|
/// | `random_f64`, `uniform`, `standard_normal_f64`, `normal` | 64 bits |
/// | `random_f32`, `standard_normal_f32`, `permutation`, `shuffle` | 32 bits |
/// | `integers` | 32 bits, or 64 where the range is wider than that |
///
/// Source: M. E. O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for Random Number
/// Generation", 2014; the draws as in NumPy 2.4, `numpy/random/src/distributions/distributions.c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generator {
    state: GeneratorState,
}

/// Where a [`Generator`] stands, for checkpoints: NumPy's `rng.bit_generator.state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratorState {
    /// `state["state"]["state"]`.
    pub state: u128,
    /// `state["state"]["inc"]`; odd.
    pub increment: u128,
    /// The half that the next 32-bit draw takes: `state["uinteger"]`, where `state["has_uint32"]` is 1.
    pub buffered: Option<u32>,
}

impl Generator {
    /// Where the generator stands.
    pub fn state(&self) -> GeneratorState {
        self.state
    }

    /// The generator that stands there.
    ///
    /// # Errors
    /// [`Error::Value`] if the increment is even: no generator has such a state, and its numbers would soon repeat.
    pub fn from_state(state: GeneratorState) -> Result<Self, Error> {
        if state.increment.is_multiple_of(2) {
            return Err(value("a random generator's increment", "an odd number", state.increment));
        }
        Ok(Self { state })
    }

    fn step(&mut self) {
        self.state.state = self.state.state.wrapping_mul(MULTIPLIER).wrapping_add(self.state.increment);
    }

    /// 64 random bits; leaves a buffered half alone.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.step();
        let state = self.state.state;
        ((state >> 64) as u64 ^ state as u64).rotate_right((state >> 122) as u32)
    }

    /// 32 random bits: the half left over by the last such draw, else the low half of a new number.
    #[inline]
    pub fn next_u32(&mut self) -> u32 {
        self.state.buffered.take().unwrap_or_else(|| {
            let bits = self.next_u64();
            self.state.buffered = Some((bits >> 32) as u32);
            bits as u32
        })
    }

    /// A multiple of 2⁻⁵³ in [0, 1), each equally likely; NumPy's `random()`.
    #[inline]
    pub fn random_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A multiple of 2⁻²⁴ in [0, 1), each equally likely; NumPy's `random(dtype=np.float32)`.
    #[inline]
    pub fn random_f32(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 / (1_u32 << 24) as f32
    }

    /// low + (high − low) · u with u from [`random_f64`](Self::random_f64); NumPy's `uniform(low, high)`.
    ///
    /// # Errors
    /// [`Error::Value`] unless high − low is finite and at least 0; nothing is drawn then.
    pub fn uniform(&mut self, low: f64, high: f64) -> Result<f64, Error> {
        let mut x = [0.0];
        self.fill_uniform(low, high, &mut x)?;
        Ok(x[0])
    }

    /// Draws of [`uniform`](Self::uniform), rounded to `T`, into the elements in order.
    ///
    /// # Errors
    /// As [`uniform`](Self::uniform)'s.
    pub fn fill_uniform<T: Scalar>(&mut self, low: f64, high: f64, out: &mut [T]) -> Result<(), Error> {
        let range = high - low;
        if !(range.is_finite() && range >= 0.0) {
            let got = format!("{low} to {high}");
            return Err(value("the range of uniform numbers", "low ≤ high, and high − low finite", got));
        }
        // Two roundings, as in NumPy; a fused multiply-add would change the last bit of many.
        out.iter_mut().for_each(|x| *x = T::from_f64(low + range * self.random_f64()));
        Ok(())
    }

    /// A draw from the standard normal distribution; NumPy's `standard_normal()`.
    #[inline]
    pub fn standard_normal_f64(&mut self) -> f64 {
        normal::standard_f64(self, pxfm::f_log1p)
    }

    /// A single-precision draw, of its own tables and bits; NumPy's `standard_normal(dtype=np.float32)`.
    #[inline]
    pub fn standard_normal_f32(&mut self) -> f32 {
        normal::standard_f32(self, pxfm::f_log1pf)
    }

    /// mean + deviation · z with z from [`standard_normal_f64`](Self::standard_normal_f64); NumPy's `normal(loc, scale)`.
    ///
    /// # Errors
    /// [`Error::Value`] unless both are finite and the deviation at least 0; nothing is drawn then.
    pub fn normal(&mut self, mean: f64, deviation: f64) -> Result<f64, Error> {
        let mut x = [0.0];
        self.fill_normal(mean, deviation, &mut x)?;
        Ok(x[0])
    }

    /// Draws of [`normal`](Self::normal), rounded to `T`, into the elements in order.
    ///
    /// # Errors
    /// As [`normal`](Self::normal)'s.
    pub fn fill_normal<T: Scalar>(&mut self, mean: f64, deviation: f64, out: &mut [T]) -> Result<(), Error> {
        if !(mean.is_finite() && deviation.is_finite() && deviation >= 0.0) {
            let got = format!("mean {mean}, deviation {deviation}");
            return Err(value("normal numbers", "a finite mean and a finite standard deviation ≥ 0", got));
        }
        // Two roundings, as in NumPy.
        out.iter_mut().for_each(|x| *x = T::from_f64(mean + deviation * self.standard_normal_f64()));
        Ok(())
    }

    /// An integer in [low, high), each equally likely; NumPy's `integers(low, high)`.
    ///
    /// # Errors
    /// [`Error::Value`] if the range is empty; nothing is drawn then.
    pub fn integers(&mut self, low: i64, high: i64) -> Result<i64, Error> {
        if low >= high {
            return Err(value("a range of integers", "low < high", format!("{low} to {high}")));
        }
        // The offset from low fits, as high − low does, into 64 bits without a sign.
        let count = high.wrapping_sub(low) as u64;
        Ok(low.wrapping_add(self.below(count) as i64))
    }

    /// An integer in [0, count) by a multiplication and few rejections, from 32 bits where `count` ≤ 2³².
    ///
    /// u · count / 2³² falls on each integer for nearly as many u as on any other; where it falls on more, the low half
    /// of the product tells which u are too many (2³² mod `count` of all). Source: D. Lemire, "Fast Random Integer
    /// Generation in an Interval", 2019.
    fn below(&mut self, count: u64) -> u64 {
        const ALL: u64 = 1 << 32;
        if count == 1 {
            return 0;
        }
        if count <= ALL {
            let too_many = ALL % count;
            loop {
                let product = u64::from(self.next_u32()) * count;
                if product % ALL >= too_many {
                    return product >> 32;
                }
            }
        }
        let too_many = count.wrapping_neg() % count; // 2⁶⁴ mod count
        loop {
            let product = u128::from(self.next_u64()) * u128::from(count);
            if product as u64 >= too_many {
                return (product >> 64) as u64;
            }
        }
    }

    /// 0, 1, …, n − 1 in random order; NumPy's `permutation(n)`.
    pub fn permutation(&mut self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..n).collect();
        self.shuffle(&mut order);
        order
    }

    /// Puts the items into random order, each order equally likely; NumPy's `shuffle`.
    ///
    /// Source: R. Durstenfeld, "Algorithm 235: Random Permutation", 1964 (the Fisher–Yates shuffle).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.up_to(last as u64) as usize);
        }
    }

    /// An integer in [0, max], max > 0: bits under the smallest mask that covers `max`, until they are not beyond it.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        let mask = u64::MAX >> max.leading_zeros();
        loop {
            let bits = if max <= u32::MAX.into() { self.next_u32().into() } else { self.next_u64() };
            if bits & mask <= max {
                return bits & mask;
            }
        }
    }
}

fn value(what: &'static str, expected: &str, got: impl ToString) -> Error {
    Error::Value { what, expected: expected.to_owned(), got: got.to_string() }
}
