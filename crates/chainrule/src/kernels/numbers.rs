//! Numbers for the tests of the kernels.

use crate::scalar::Scalar;

/// A small generator of test data (xorshift64*, Vigna 2016).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() >> 32) as usize % n
    }

    /// Of either sign and of magnitudes between 2⁻⁸ and 2⁸, so that another order of additions rounds otherwise.
    pub(crate) fn number<T: Scalar>(&mut self) -> T {
        let fraction = 1.0 + (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let scale = (1 << self.below(16)) as f64 / 256.0;
        T::from_f64(if self.below(2) == 0 { fraction * scale } else { -fraction * scale })
    }

    pub(crate) fn numbers<T: Scalar>(&mut self, n: usize) -> Vec<T> {
        (0..n).map(|_| self.number()).collect()
    }
}
