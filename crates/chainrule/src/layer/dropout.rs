//! Dropout: in training, some numbers are 0 and the rest grow, so that the mean stays.

use crate::kernels::elementwise::each;
use crate::kernels::{Kernel, Lanes};
use crate::random::Stream;
use crate::scalar::Scalar;

/// mask ← 0 with probability `rate`, else 1/(1 − rate); y ← x∘mask.
///
/// Element k of the batch's matrix takes number k of the stream, whoever computes it: `first` is the block's first.
pub(crate) struct Forward<'a, T> {
    pub(crate) rate: f64,
    pub(crate) stream: &'a Stream,
    pub(crate) first: u64,
    pub(crate) x: &'a [T],
    pub(crate) mask: &'a mut [T],
    pub(crate) y: &'a mut [T],
}

/// How many random numbers are drawn at a time.
const CHUNK: usize = 256;

impl<T: Scalar> Kernel<T> for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let keep = T::from_f64(1.0 / (1.0 - self.rate));
        // A 32-bit number below the threshold drops: the rate is met to 2⁻³².
        let threshold = (self.rate * 4_294_967_296.0).round() as u64;
        // The largest that drops; there is none below the threshold 0.
        let (any, last) = (threshold > 0, (threshold.saturating_sub(1)) as u32);
        let mut numbers = [0_u32; CHUNK];
        let chunks = self.mask.chunks_mut(CHUNK).zip(self.x.chunks(CHUNK).zip(self.y.chunks_mut(CHUNK)));
        for (i, (mask, (x, y))) in chunks.enumerate() {
            let numbers = &mut numbers[..mask.len()];
            self.stream.fill(self.first + (i * CHUNK) as u64, numbers);
            for (mask, &number) in mask.iter_mut().zip(&*numbers) {
                *mask = if any & (number <= last) { T::ZERO } else { keep };
            }
            each(v, [x, mask], [y], |[x, mask], [_]| [x * mask]);
        }
    }
}
