//! Batch norm: each column to mean 0 and variance 1 over the batch, then scale γ and shift β.
//!
//! The statistics cross rows, so they are phases of their own, shared out over columns: every worker reads all
//! blocks in order, for its columns.

use crate::kernels::elementwise::each;
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
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let n = v.of(self.rows as f64);
        self.mean.fill(T::ZERO);
        for block in 0..self.blocks {
            let x = (self.x)(block);
            for i in 0..x.rows() {
                each(v, [&x.row(i)[self.columns.clone()]], [&mut *self.mean], |[x], [sum]| [sum + x]);
            }
        }
        each(v, [], [&mut *self.mean], |[], [sum]| [sum / n]);
        self.variance.fill(T::ZERO);
        for block in 0..self.blocks {
            let x = (self.x)(block);
            for i in 0..x.rows() {
                let row = [&x.row(i)[self.columns.clone()], &*self.mean];
                each(v, row, [&mut *self.variance], |[x, mean], [sum]| [(x - mean).fma(x - mean, sum)]);
            }
        }
        each(v, [], [&mut *self.variance], |[], [sum]| [sum / n]);
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
        let epsilon = v.of(self.epsilon);
        for i in 0..self.x.rows() {
            each(
                v,
                [self.x.row(i), self.mean, self.variance, self.scale, self.shift],
                [self.y.row_mut(i)],
                |[x, mean, variance, scale, shift], [_]| [scale.fma(normalise(x, mean, variance, epsilon), shift)],
            );
        }
    }
}

/// x̂ = (x − μ)/√(σ² + ε).
#[inline(always)]
fn normalise<V: Lanes>(x: V, mean: V, variance: V, epsilon: V) -> V {
    (x - mean) / (variance + epsilon).sqrt()
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
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let epsilon = v.of(self.epsilon);
        self.scale_gradient.fill(T::ZERO);
        self.shift_gradient.fill(T::ZERO);
        for block in 0..self.blocks {
            let (x, delta) = ((self.x)(block), (self.delta)(block));
            for i in 0..x.rows() {
                each(
                    v,
                    [
                        &x.row(i)[self.columns.clone()],
                        &delta.row(i)[self.columns.clone()],
                        &self.mean[self.columns.clone()],
                        &self.variance[self.columns.clone()],
                    ],
                    [&mut *self.scale_gradient, &mut *self.shift_gradient],
                    |[x, delta, mean, variance], [scale, shift]| {
                        [delta.fma(normalise(x, mean, variance, epsilon), scale), shift + delta]
                    },
                );
            }
        }
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
        let epsilon = v.of(self.epsilon);
        for i in 0..self.x.rows() {
            let (x, delta, delta_in) = (self.x.row(i), self.delta.row(i), self.delta_in.row_mut(i));
            match self.sums {
                None => each(v, [delta, self.variance, self.scale], [delta_in], |[delta, variance, scale], [_]| {
                    [scale / (variance + epsilon).sqrt() * delta]
                }),
                Some((rows, scale_gradient, shift_gradient)) => {
                    let n = v.of(rows as f64);
                    each(
                        v,
                        [x, delta, self.mean, self.variance, self.scale, scale_gradient, shift_gradient],
                        [delta_in],
                        |[x, delta, mean, variance, scale, d_scale, d_shift], [_]| {
                            let normal = normalise(x, mean, variance, epsilon);
                            let centred = (delta - d_shift / n) - normal * (d_scale / n);
                            [scale / (variance + epsilon).sqrt() * centred]
                        },
                    );
                }
            }
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
