//! The two scalars, `f32` and `f64`, behind one sealed trait.

use crate::compiled::Compiled;
use crate::kernels::{InstructionSet, Kernel, Lanes};
use std::fmt::{Debug, Display, LowerExp};
use std::ops::AddAssign;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
    #[cfg(test)]
    impl Sealed for crate::dual::Dual {}
}

/// A number that networks are made of: `f32` or `f64`.
///
/// A scalar is one lane of [`Lanes`], so every formula of the library runs on it as on a vector.
pub trait Scalar:
    sealed::Sealed
    + Compiled
    + Lanes<Scalar = Self>
    + PartialOrd
    + AddAssign
    + Default
    + Debug
    + Display
    + LowerExp
    + Send
    + Sync
    + 'static
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// The name in files and on the command line: `f32` or `f64`.
    const NAME: &'static str;
    /// Bytes of one number.
    const BYTES: usize;

    /// `x` rounded to nearest.
    fn from_f64(x: f64) -> Self;
    /// The value, exactly.
    fn to_f64(self) -> f64;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The IEEE-754 bit pattern, in the low [`Self::BYTES`] bytes.
    fn bits(self) -> u64;
    /// The number of that bit pattern; higher bytes are ignored.
    fn from_bits(bits: u64) -> Self;
    /// Runs `kernel` with the lanes of `set`.
    fn dispatch<K: Kernel<Self>>(set: InstructionSet, kernel: K) -> K::Output;
}

macro_rules! scalar {
    ($t:ident, $avx2:path, $avx512:path) => {
        impl Scalar for $t {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const NAME: &'static str = stringify!($t);
            const BYTES: usize = size_of::<$t>();
            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $t::is_finite(self)
            }
            #[inline(always)]
            fn bits(self) -> u64 {
                self.to_bits().into()
            }
            #[inline(always)]
            fn from_bits(bits: u64) -> Self {
                $t::from_bits(bits as _)
            }
            #[inline]
            fn dispatch<K: Kernel<Self>>(set: InstructionSet, kernel: K) -> K::Output {
                match set.0 {
                    crate::kernels::Set::Naive => kernel.run($t::ZERO),
                    #[cfg(target_arch = "x86_64")]
                    crate::kernels::Set::Avx2(token) => $avx2(token, kernel),
                    #[cfg(target_arch = "x86_64")]
                    crate::kernels::Set::Avx512(token) => $avx512(token, kernel),
                }
            }
        }
    };
}
scalar!(f32, crate::kernels::x86::avx2_f32, crate::kernels::x86::avx512_f32);
scalar!(f64, crate::kernels::x86::avx2_f64, crate::kernels::x86::avx512_f64);
