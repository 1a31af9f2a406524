//! Layer norm: each row to mean 0 and variance 1, then scale γ and shift β per column.

use crate::kernels::elementwise::each;
use crate::kernels::{InstructionSet, Kernel, Lanes, naive};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// y ← γx̂ + β with x̂ = (x − μ)·s, s = 1/√(σ² + ε), μ and σ² the row's, in two passes, summed as a [`reduce`](naive::reduce);
/// `statistics` \[n, 2\] keeps μ and s for the backward pass.
pub(crate) struct Forward<'a, T> {
    pub(crate) epsilon: f64,
    pub(crate) scale: &'a [T],
    pub(crate) shift: &'a [T],
    pub(crate) x: MatrixRef<'a, T>,
    pub(crate) y: MatrixMut<'a, T>,
    pub(crate) statistics: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let n = T::from_f64(self.x.cols() as f64);
        for i in 0..self.x.rows() {
            let x = self.x.row(i);
            let mean = naive::sum(x) / n;
            let squares = naive::reduce(x.len(), |k, sum| (x[k] - mean).fma(x[k] - mean, sum));
            let s = T::ONE / (squares / n + T::from_f64(self.epsilon)).sqrt();
            self.statistics[2 * i..2 * i + 2].copy_from_slice(&[mean, s]);
            let (mean, s) = (v.splat(mean), v.splat(s));
            each(v, [x, self.scale, self.shift], [self.y.row_mut(i)], |[x, scale, shift], [_]| {
                [scale.fma((x - mean) * s, shift)]
            });
        }
    }
}

/// δ_in ← s·(g − mean(g) − x̂·mean(g∘x̂)) with g = γ∘δ: the row's Jacobian applied to δ.
pub(crate) struct Backward<'a, T> {
    pub(crate) scale: &'a [T],
    pub(crate) x: MatrixRef<'a, T>,
    pub(crate) statistics: &'a [T],
    pub(crate) delta: MatrixRef<'a, T>,
    pub(crate) delta_in: MatrixMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let n = T::from_f64(self.x.cols() as f64);
        for i in 0..self.x.rows() {
            let (x, delta) = (self.x.row(i), self.delta.row(i));
            let (mean, s) = (self.statistics[2 * i], self.statistics[2 * i + 1]);
            let g = |k: usize| self.scale[k] * delta[k];
            let sum_g = naive::reduce(x.len(), |k, sum: T| sum + g(k));
            let sum_gx = naive::reduce(x.len(), |k, sum: T| g(k).fma((x[k] - mean) * s, sum));
            let (mean_g, mean_gx) = (v.splat(sum_g / n), v.splat(sum_gx / n));
            let (mean, s) = (v.splat(mean), v.splat(s));
            each(v, [x, self.scale, delta], [self.delta_in.row_mut(i)], |[x, scale, delta], [_]| {
                let normal = (x - mean) * s;
                [s * ((scale * delta - mean_g) - normal * mean_gx)]
            });
        }
    }
}

/// Columns of ∂J/∂γ ← Σ δ∘x̂ over rows in order, for the rows of one block.
pub(crate) fn scale_gradient<T: Scalar>(
    set: InstructionSet,
    x: MatrixRef<'_, T>,
    statistics: &[T],
    delta: MatrixRef<'_, T>,
    columns: Range<usize>,
    first_block: bool,
    gradient: &mut [T],
) {
    if first_block {
        gradient.fill(T::ZERO);
    }
    T::dispatch(set, ScaleGradient { x, statistics, delta, columns, gradient });
}

struct ScaleGradient<'a, T> {
    x: MatrixRef<'a, T>,
    statistics: &'a [T],
    delta: MatrixRef<'a, T>,
    columns: Range<usize>,
    gradient: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for ScaleGradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        for i in 0..self.x.rows() {
            let (mean, s) = (v.splat(self.statistics[2 * i]), v.splat(self.statistics[2 * i + 1]));
            let rows = [&self.x.row(i)[self.columns.clone()], &self.delta.row(i)[self.columns.clone()]];
            each(v, rows, [&mut *self.gradient], |[x, delta], [sum]| [delta.fma((x - mean) * s, sum)]);
        }
    }
}
