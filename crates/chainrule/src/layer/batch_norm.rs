//! Batch norm: each column to mean 0 and variance 1 over the batch, then scale γ and shift β.
//!
//! The statistics cross rows, so they are phases of their own, shared out over columns: every worker reads all
//! blocks in order, for its columns.

use crate::kernels::elementwise::{ByColumns, Columns, by_columns};
use crate::kernels::{Kernel, Lanes};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// μ and σ² of the batch for `columns`: two passes in T, rows in order.
pub(crate) struct Statistics<'a, T, X> {
    /// The number of blocks, and the matrix of each that is normalised.
    pub(crate) blocks: usize,
    pub(crate) x: X,
    /// The batch's rows.
    pub(crate) rows: usize,
    pub(crate) columns: Range<usize>,
    pub(crate) mean: &'a mut [T],
    pub(crate) variance: &'a mut [T],
}

impl<'m, T: Scalar, X: Fn(usize) -> MatrixRef<'m, T>> Kernel<T> for Statistics<'_, T, X> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        by_columns(v, self.columns.len(), &mut self);
    }
}

impl<'m, V: Lanes, X: Fn(usize) -> MatrixRef<'m, V::Scalar>> ByColumns<V> for Statistics<'_, V::Scalar, X> {
    #[inline(always)]
    fn run<const N: usize>(&mut self, v: V, columns: Columns<N>) {
        let n = v.of(self.rows as f64);
        let mut mean = [v; N];
        for block in 0..self.blocks {
            let x = (self.x)(block);
            for i in 0..x.rows() {
                let x = columns.of(v, &x.row(i)[self.columns.clone()]);
                for j in 0..N {
                    mean[j] = mean[j] + x[j];
                }
            }
        }
        for j in 0..N {
            mean[j] = mean[j] / n;
        }
        let mut variance = [v; N];
        for block in 0..self.blocks {
            let x = (self.x)(block);
            for i in 0..x.rows() {
                let x = columns.of(v, &x.row(i)[self.columns.clone()]);
                for j in 0..N {
                    variance[j] = (x[j] - mean[j]).fma(x[j] - mean[j], variance[j]);
                }
            }
        }
        for j in 0..N {
            variance[j] = variance[j] / n;
        }
        columns.put(mean, self.mean);
        columns.put(variance, self.variance);
    }
}

/// y ← γx̂ + β with x̂ = (x − μ)/√(σ² + ε).
pub(crate) struct Forward<'a, T> {
    pub(crate) epsilon: f64,
    pub(crate) scale: &'a [T],
    pub(crate) shift: &'a [T],
    pub(crate) mean: &'a [T],
    pub(crate) variance: &'a [T],
    pub(crate) x: MatrixRef<'a, T>,
    pub(crate) y: MatrixMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        by_columns(v, self.x.cols(), &mut self);
    }
}

impl<V: Lanes> ByColumns<V> for Forward<'_, V::Scalar> {
    #[inline(always)]
    fn run<const N: usize>(&mut self, v: V, columns: Columns<N>) {
        let deviation = deviations(v, columns, self.variance, self.epsilon);
        let (mean, scale, shift) = (columns.of(v, self.mean), columns.of(v, self.scale), columns.of(v, self.shift));
        for i in 0..self.x.rows() {
            let mut x = columns.of(v, self.x.row(i));
            for j in 0..N {
                x[j] = scale[j].fma((x[j] - mean[j]) / deviation[j], shift[j]);
            }
            columns.put(x, self.y.row_mut(i));
        }
    }
}

/// √(σ² + ε). (A loop, for the closure of an array's `map` is not inlined.)
#[inline(always)]
fn deviations<V: Lanes, const N: usize>(v: V, columns: Columns<N>, variance: &[V::Scalar], epsilon: f64) -> [V; N] {
    let mut deviations = columns.of(v, variance);
    for j in 0..N {
        deviations[j] = (deviations[j] + v.of(epsilon)).sqrt();
    }
    deviations
}

/// ∂J/∂γ ← Σ δ∘x̂ and ∂J/∂β ← Σ δ over the batch's rows in order, for `columns`.
pub(crate) struct Sums<'a, T, X, D> {
    pub(crate) blocks: usize,
    pub(crate) x: X,
    pub(crate) delta: D,
    pub(crate) columns: Range<usize>,
    pub(crate) epsilon: f64,
    pub(crate) mean: &'a [T],
    pub(crate) variance: &'a [T],
    pub(crate) scale_gradient: &'a mut [T],
    pub(crate) shift_gradient: &'a mut [T],
}

impl<'m, T, X, D> Kernel<T> for Sums<'_, T, X, D>
where
    T: Scalar,
    X: Fn(usize) -> MatrixRef<'m, T>,
    D: Fn(usize) -> MatrixRef<'m, T>,
{
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        by_columns(v, self.columns.len(), &mut self);
    }
}

impl<'m, V, X, D> ByColumns<V> for Sums<'_, V::Scalar, X, D>
where
    V: Lanes,
    X: Fn(usize) -> MatrixRef<'m, V::Scalar>,
    D: Fn(usize) -> MatrixRef<'m, V::Scalar>,
{
    #[inline(always)]
    fn run<const N: usize>(&mut self, v: V, columns: Columns<N>) {
        let deviation = deviations(v, columns, &self.variance[self.columns.clone()], self.epsilon);
        let mean = columns.of(v, &self.mean[self.columns.clone()]);
        let (mut scale, mut shift) = ([v; N], [v; N]);
        for block in 0..self.blocks {
            let (x, delta) = ((self.x)(block), (self.delta)(block));
            for i in 0..x.rows() {
                let x = columns.of(v, &x.row(i)[self.columns.clone()]);
                let delta = columns.of(v, &delta.row(i)[self.columns.clone()]);
                for j in 0..N {
                    scale[j] = delta[j].fma((x[j] - mean[j]) / deviation[j], scale[j]);
                    shift[j] = shift[j] + delta[j];
                }
            }
        }
        columns.put(scale, self.scale_gradient);
        columns.put(shift, self.shift_gradient);
    }
}

/// δ_in ← γ/√(σ² + ε) · (δ − ∂J/∂β/n − x̂·∂J/∂γ/n); with running statistics, which are constants, only the first term.
pub(crate) struct Backward<'a, T> {
    pub(crate) epsilon: f64,
    pub(crate) scale: &'a [T],
    pub(crate) mean: &'a [T],
    pub(crate) variance: &'a [T],
    /// The batch's rows, ∂J/∂γ and ∂J/∂β where the statistics are the batch's.
    pub(crate) sums: Option<(usize, &'a [T], &'a [T])>,
    pub(crate) x: MatrixRef<'a, T>,
    pub(crate) delta: MatrixRef<'a, T>,
    pub(crate) delta_in: MatrixMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Backward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        by_columns(v, self.x.cols(), &mut self);
    }
}

impl<V: Lanes> ByColumns<V> for Backward<'_, V::Scalar> {
    #[inline(always)]
    fn run<const N: usize>(&mut self, v: V, columns: Columns<N>) {
        let deviation = deviations(v, columns, self.variance, self.epsilon);
        let mut factor = columns.of(v, self.scale);
        for j in 0..N {
            factor[j] = factor[j] / deviation[j];
        }
        let Some((rows, d_scale, d_shift)) = self.sums else {
            for i in 0..self.x.rows() {
                let mut delta = columns.of(v, self.delta.row(i));
                for j in 0..N {
                    delta[j] = factor[j] * delta[j];
                }
                columns.put(delta, self.delta_in.row_mut(i));
            }
            return;
        };
        let n = v.of(rows as f64);
        let mean = columns.of(v, self.mean);
        let (mut d_scale, mut d_shift) = (columns.of(v, d_scale), columns.of(v, d_shift));
        for j in 0..N {
            (d_scale[j], d_shift[j]) = (d_scale[j] / n, d_shift[j] / n);
        }
        for i in 0..self.x.rows() {
            let (x, mut delta) = (columns.of(v, self.x.row(i)), columns.of(v, self.delta.row(i)));
            for j in 0..N {
                let normal = (x[j] - mean[j]) / deviation[j];
                delta[j] = factor[j] * ((delta[j] - d_shift[j]) - normal * d_scale[j]);
            }
            columns.put(delta, self.delta_in.row_mut(i));
        }
    }
}

/// running ← (1 − momentum)·running + momentum·batch; the variance's estimate divides by n − 1.
pub(crate) fn update_running<T: Scalar>(
    momentum: f64,
    rows: usize,
    batch: (&[T], &[T]),
    running: (&mut [T], &mut [T]),
) {
    let (keep, take) = (T::from_f64(1.0 - momentum), T::from_f64(momentum));
    let unbiased = T::from_f64(rows as f64 / (rows as f64 - 1.0).max(1.0));
    for (running, &batch) in running.0.iter_mut().zip(batch.0) {
        *running = keep * *running + take * batch;
    }
    for (running, &batch) in running.1.iter_mut().zip(batch.1) {
        *running = keep * *running + take * (batch * unbiased);
    }
}
