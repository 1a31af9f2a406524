//! Where the arithmetic happens: the crate's only module with `unsafe` operations.
//!
//! [`naive`] says what is right, one scalar at a time; the fast paths give the same bits. Formulas are written once
//! over [`Lanes`]; an architecture's file holds only its instructions. The instruction set is chosen in one place,
//! [`InstructionSet::detect`].
#![allow(unsafe_code)]

pub(crate) mod elementary;
pub(crate) mod elementwise;
mod environment;
mod lanes;
pub mod naive;
#[cfg(test)]
mod numbers;
mod processor;
mod product;
mod single_lane;
pub(crate) mod small;
mod team;
mod vector;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

pub use elementary::constants;
pub use environment::FloatEnvironment;
pub use lanes::{Kernel, Lanes};
pub use processor::Processor;
pub(crate) use product::strips;
pub use product::{Packed, Scratch, Start, Strided, StridedMut, product, product_packed};
pub use vector::{dot, sum, sum_of_squares, sum_rows};
pub(crate) use vector::{multiply, prefetch, reduce};

/// The instructions that the kernels may use; a value proves that the processor has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstructionSet(pub(crate) Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Set {
    Naive,
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
}

impl InstructionSet {
    /// One scalar at a time, on any processor.
    pub const NAIVE: Self = Self(Set::Naive);

    /// The widest that this processor has.
    pub fn detect() -> Self {
        Self::available().pop().unwrap_or(Self::NAIVE)
    }

    /// All that this processor has, narrowest first.
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), allow(unused_mut))]
        let mut sets = vec![Self::NAIVE];
        #[cfg(target_arch = "x86_64")]
        {
            sets.extend(x86::Avx2::detect().map(|token| Self(Set::Avx2(token))));
            sets.extend(x86::Avx512::detect().map(|token| Self(Set::Avx512(token))));
        }
        sets
    }

    /// `naive`, `avx2` or `avx512`.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Naive => "naive",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512(_) => "avx512",
        }
    }
}
