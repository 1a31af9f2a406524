//! Layer norm: each row to mean 0 and variance 1, then scale γ and shift β per column.

use crate::kernels::elementwise::{ByColumns, Columns, by_columns, each};
use crate::kernels::{InstructionSet, Kernel, Lanes, reduce};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// y ← γx̂ + β with x̂ = (x − μ)·s, s = 1/√(σ² + ε), μ and σ² the row's, in two passes, summed as a [`reduce`](crate::kernels::naive::reduce);
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
            let mean = reduce::<V, 1, false>(v, [x], |[x], sum| sum + x) / n;
            let at = v.splat(mean);
            let squares = reduce::<V, 1, true>(v, [x], |[x], sum| (x - at).fma(x - at, sum));
            let s = T::ONE / (squares / n + T::from_f64(self.epsilon)).sqrt();
            self.statistics[2 * i..2 * i + 2].copy_from_slice(&[mean, s]);
            let (mean, s) = (v.splat(mean), v.splat(s));
            each(v, [x, self.scale, self.shift], [self.y.row_mut(i)], |[x, scale, shift], [_]| {
                [scale.fma((x - mean) * s, shift)]
            });
        }
    }
}

/// δ_in ← s·(g − mean(g) − x̂·mean(g∘x̂)) with g = γ∘δ: the row's Jacobian applied to δ; ∂J/∂γ += δ∘x̂ and ∂J/∂β += δ, row after
/// row, while they are in the cache.
pub(crate) struct Backward<'a, T> {
    pub(crate) scale: &'a [T],
    pub(crate) x: MatrixRef<'a, T>,
    pub(crate) statistics: &'a [T],
    pub(crate) delta: MatrixRef<'a, T>,
    pub(crate) delta_in: MatrixMut<'a, T>,
    /// ∂J/∂γ, then ∂J/∂β; empty if these are not all rows.
    pub(crate) sums: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let n = T::from_f64(self.x.cols() as f64);
        for i in 0..self.x.rows() {
            let (x, delta) = (self.x.row(i), self.delta.row(i));
            let (mean, s) = (self.statistics[2 * i], self.statistics[2 * i + 1]);
            let (mean, s) = (v.splat(mean), v.splat(s));
            let sum_g = reduce::<V, 2, false>(v, [self.scale, delta], |[scale, delta], sum| sum + scale * delta);
            let sum_gx = reduce::<V, 3, true>(v, [x, self.scale, delta], |[x, scale, delta], sum| {
                (scale * delta).fma((x - mean) * s, sum)
            });
            let (mean_g, mean_gx) = (v.splat(sum_g / n), v.splat(sum_gx / n));
            let delta_in = self.delta_in.row_mut(i);
            let backward = |normal: V, scale: V, delta: V| s * ((scale * delta - mean_g) - normal * mean_gx);
            if self.sums.is_empty() {
                each(v, [x, self.scale, delta], [delta_in], |[x, scale, delta], _| {
                    [backward((x - mean) * s, scale, delta)]
                });
            } else {
                let (scales, shifts) = self.sums.split_at_mut(x.len());
                each(
                    v,
                    [x, self.scale, delta],
                    [delta_in, scales, shifts],
                    |[x, scale, delta], [_, d_scale, d_shift]| {
                        let normal = (x - mean) * s;
                        [backward(normal, scale, delta), delta.fma(normal, d_scale), d_shift + delta]
                    },
                );
            }
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
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        by_columns(v, self.columns.len(), &mut self);
    }
}

impl<V: Lanes> ByColumns<V> for ScaleGradient<'_, V::Scalar> {
    #[inline(always)]
    fn run<const N: usize>(&mut self, v: V, columns: Columns<N>) {
        let mut sums = columns.of(v, self.gradient);
        for i in 0..self.x.rows() {
            let (mean, s) = (v.splat(self.statistics[2 * i]), v.splat(self.statistics[2 * i + 1]));
            let x = columns.of(v, &self.x.row(i)[self.columns.clone()]);
            let delta = columns.of(v, &self.delta.row(i)[self.columns.clone()]);
            for j in 0..N {
                sums[j] = delta[j].fma((x[j] - mean) * s, sums[j]);
            }
        }
        columns.put(sums, self.gradient);
    }
}
