//! The processor's peak, measured: fused multiply-adds that stay in registers.

use chainrule::Scalar;
use chainrule::kernels::{InstructionSet, Kernel, Lanes};
use std::hint::black_box;
use std::time::Instant;

/// Twelve chains of `steps` multiply-adds in registers: enough to hide a latency of four on two units.
struct Peak<T> {
    steps: usize,
    factor: T,
}

impl<T: Scalar> Kernel<T> for Peak<T> {
    type Output = f64;

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) -> f64 {
        let factor = v.splat(self.factor);
        let mut sums = [v.splat(T::ONE); 12];
        for _ in 0..self.steps {
            for sum in &mut sums {
                *sum = sum.fma(factor, factor);
            }
        }
        let mut lanes = [T::ZERO; 16];
        for sum in sums {
            sum.store(&mut lanes);
            black_box(&lanes);
        }
        (2 * 12 * V::LANES * self.steps) as f64
    }
}

/// GFLOP/s of one thread.
pub(crate) fn peak<T: Scalar>(set: InstructionSet) -> f64 {
    let start = Instant::now();
    let operations = T::dispatch(set, Peak { steps: 60_000, factor: black_box(T::from_f64(0.5)) });
    operations / start.elapsed().as_secs_f64() / 1e9
}
