//! Members: the row is given to each of several networks that share what follows, each through its own scale and shift.

use crate::kernels::elementwise::each;
use crate::kernels::{InstructionSet, Kernel, Lanes};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// yᵢₘ ← γₘ∘xᵢ + βₘ: x \[n, w\], y \[n, members·w\], γ and β \[members, w\].
pub(crate) struct Forward<'a, T> {
    pub(crate) scale: &'a [T],
    pub(crate) shift: &'a [T],
    pub(crate) x: MatrixRef<'a, T>,
    pub(crate) y: MatrixMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let w = self.x.cols();
        for i in 0..self.x.rows() {
            let x = self.x.row(i);
            let members = self.scale.chunks_exact(w).zip(self.shift.chunks_exact(w));
            for ((scale, shift), y) in members.zip(self.y.row_mut(i).chunks_exact_mut(w)) {
                each(v, [x, scale, shift], [y], |[x, scale, shift], [_]| [scale.fma(x, shift)]);
            }
        }
    }
}

/// δ_in,ᵢ ← Σₘ γₘ∘δᵢₘ, members in order.
pub(crate) struct Backward<'a, T> {
    pub(crate) scale: &'a [T],
    pub(crate) delta: MatrixRef<'a, T>,
    pub(crate) delta_in: MatrixMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let w = self.delta_in.cols();
        for i in 0..self.delta.rows() {
            let delta_in = self.delta_in.row_mut(i);
            delta_in.fill(T::ZERO);
            for (scale, delta) in self.scale.chunks_exact(w).zip(self.delta.row(i).chunks_exact(w)) {
                each(v, [scale, delta], [&mut *delta_in], |[scale, delta], [sum]| [scale.fma(delta, sum)]);
            }
        }
    }
}

/// Entries `entries` of ∂J/∂γ ← Σᵢ xᵢ∘δᵢₘ over rows in order, for the rows of one block.
pub(crate) fn scale_gradient<T: Scalar>(
    set: InstructionSet,
    x: MatrixRef<'_, T>,
    delta: MatrixRef<'_, T>,
    entries: Range<usize>,
    first_block: bool,
    gradient: &mut [T],
) {
    if first_block {
        gradient.fill(T::ZERO);
    }
    T::dispatch(set, ScaleGradient { x, delta, entries, gradient });
}

struct ScaleGradient<'a, T> {
    x: MatrixRef<'a, T>,
    delta: MatrixRef<'a, T>,
    entries: Range<usize>,
    gradient: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for ScaleGradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let w = self.x.cols();
        for i in 0..self.x.rows() {
            let (x, delta) = (self.x.row(i), self.delta.row(i));
            let mut at = self.entries.start;
            while at < self.entries.end {
                let end = self.entries.end.min((at / w + 1) * w);
                let sums = &mut self.gradient[at - self.entries.start..end - self.entries.start];
                let x = &x[at % w..][..end - at];
                each(v, [x, &delta[at..end]], [sums], |[x, delta], [sum]| [x.fma(delta, sum)]);
                at = end;
            }
        }
    }
}
