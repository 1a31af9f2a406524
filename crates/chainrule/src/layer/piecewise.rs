//! Piecewise: a number becomes several, each a straight line plus a broken one with kinks at quantiles.
//!
//! Written as the sum over bins, e = b + x·w₀ + Σₜ cₜ(x)·wₜ, x in bin t costs t + 1 terms. As a broken line it costs two:
//! with the *knots* v₀ = b, vₜ₊₁ = vₜ + wₜ and the place f in \[0, 1\] within bin t,
//!
//! e = x·w₀ + (vₜ + f·wₜ).
//!
//! Backwards the same way: a row gives f·δ to wₜ and δ to every wₛ before it, which is (1 − f)·δ to a sum that is handed
//! down from bin to bin. So a cell costs the same for any number of bins.

use crate::kernels::elementwise::each;
use crate::kernels::{InstructionSet, Kernel, Lanes};
use crate::matrix::{Matrix, MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// The layer's numbers: which columns, edges \[columns, bins + 1\], weights \[columns·(bins + 1), width\], each column's
/// first row being w₀.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a, T> {
    pub(crate) columns: &'a [usize],
    pub(crate) bins: usize,
    pub(crate) width: usize,
    pub(crate) edges: &'a [T],
    pub(crate) weights: &'a [T],
    pub(crate) biases: &'a [T],
}

impl<'a, T: Scalar> Shape<'a, T> {
    fn edges(&self, c: usize) -> &'a [T] {
        &self.edges[c * (self.bins + 1)..(c + 1) * (self.bins + 1)]
    }

    /// Row `row` of column `c`'s weights: 0 is the line's, t + 1 bin t's.
    fn weights(&self, c: usize, row: usize) -> &'a [T] {
        &self.weights[(c * (self.bins + 1) + row) * self.width..][..self.width]
    }
}

/// Quantiles of the columns at 0, 1/bins, …, 1 (the value at rank ⌊q(n − 1)⌋), each value once: where fewer differ, the
/// last one is repeated and the bins between are empty.
pub(crate) fn edges<T: Scalar>(x: MatrixRef<'_, T>, columns: &[usize], bins: usize) -> Vec<T> {
    let mut edges = Vec::with_capacity(columns.len() * (bins + 1));
    for &column in columns {
        let mut values: Vec<T> = (0..x.rows()).map(|i| x.row(i)[column]).collect();
        values.sort_unstable_by(|a, b| a.to_f64().total_cmp(&b.to_f64()));
        let mut distinct: Vec<T> = Vec::new();
        for t in 0..=bins {
            if let Some(&value) = values.get(t * values.len().saturating_sub(1) / bins)
                && distinct.last() != Some(&value)
            {
                distinct.push(value);
            }
        }
        distinct.resize(bins + 1, distinct.last().copied().unwrap_or(T::ZERO));
        edges.extend(distinct);
    }
    edges
}

/// The bin t where x stands, and its place f in it, cut to \[0, 1\].
fn place<T: Scalar>(edges: &[T], x: T) -> (usize, T) {
    let bins = edges.len() - 1;
    // Edges up to x; the repeated last ones are no bin's start.
    let above = edges[1..bins].partition_point(|edge| *edge <= x);
    let last = edges[..bins].partition_point(|edge| *edge < edges[bins]).saturating_sub(1);
    let t = above.min(last);
    let span = edges[t + 1] - edges[t];
    if span > T::ZERO {
        let f = (x - edges[t]) / span;
        (t, Lanes::min(Lanes::max(f, T::ZERO), T::ONE))
    } else {
        (t, T::ZERO)
    }
}

/// y ← \[e(x₁), e(x₂), …, the other columns\]; `knots` \[columns·bins, width\] is written, `kept` \[n, 2·columns\] keeps
/// t and f for the backward pass.
pub(crate) fn forward<T: Scalar>(
    set: InstructionSet,
    shape: Shape<'_, T>,
    x: MatrixRef<'_, T>,
    y: MatrixMut<'_, T>,
    kept: &mut Matrix<T>,
    knots: &mut [T],
) {
    T::dispatch(set, Forward { shape, x, y, kept, knots });
}

struct Forward<'a, T> {
    shape: Shape<'a, T>,
    x: MatrixRef<'a, T>,
    y: MatrixMut<'a, T>,
    kept: &'a mut Matrix<T>,
    knots: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Forward<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let Shape { columns, bins, width, biases, .. } = self.shape;
        for c in 0..columns.len() {
            let knots = &mut self.knots[c * bins * width..(c + 1) * bins * width];
            knots[..width].copy_from_slice(&biases[c * width..(c + 1) * width]);
            for t in 1..bins {
                let (before, knot) = knots.split_at_mut(t * width);
                let before = &before[(t - 1) * width..];
                let slope = self.shape.weights(c, t);
                each(v, [before, slope], [&mut knot[..width]], |[before, slope], [_]| [before + slope]);
            }
        }
        for i in 0..self.x.rows() {
            let (x, y, kept) = (self.x.row(i), self.y.row_mut(i), self.kept.row_mut(i));
            let (embedded, others) = y.split_at_mut(columns.len() * width);
            for (c, (&column, y)) in columns.iter().zip(embedded.chunks_exact_mut(width)).enumerate() {
                let (t, f) = place(self.shape.edges(c), x[column]);
                (kept[2 * c], kept[2 * c + 1]) = (T::from_f64(t as f64), f);
                let (x, f) = (v.splat(x[column]), v.splat(f));
                let knot = &self.knots[(c * bins + t) * width..][..width];
                let read = [self.shape.weights(c, 0), self.shape.weights(c, t + 1), knot];
                each(v, read, [y], |[line, slope, knot], [_]| [x.fma(line, f.fma(slope, knot))]);
            }
            for (y, column) in others.iter_mut().zip(others_of(columns, x.len())) {
                *y = x[column];
            }
        }
    }
}

/// The columns that are not embedded, in order.
fn others_of(columns: &[usize], all: usize) -> impl Iterator<Item = usize> + '_ {
    let mut next = columns.iter().copied().peekable();
    (0..all).filter(move |column| next.next_if_eq(column).is_none())
}

/// δ_in ← δ·(w₀ + wₜ/(width of bin t)) for an embedded column, 0 instead of wₜ beyond the edges; δ for the others.
pub(crate) fn backward<T: Scalar>(
    shape: Shape<'_, T>,
    x: MatrixRef<'_, T>,
    kept: &Matrix<T>,
    delta: MatrixRef<'_, T>,
    mut delta_in: MatrixMut<'_, T>,
) {
    let width = shape.width;
    for i in 0..delta.rows() {
        let (delta, delta_in) = (delta.row(i), delta_in.row_mut(i));
        for (c, &column) in shape.columns.iter().enumerate() {
            let (edges, t) = (shape.edges(c), kept[(i, 2 * c)].to_f64() as usize);
            let x = x.row(i)[column];
            let inside = edges[t] < edges[t + 1] && edges[t] <= x && x < edges[t + 1];
            let mut sum = T::ZERO;
            for (k, &delta) in delta[c * width..(c + 1) * width].iter().enumerate() {
                let mut slope = shape.weights(c, 0)[k];
                if inside {
                    slope += shape.weights(c, t + 1)[k] / (edges[t + 1] - edges[t]);
                }
                sum = delta.fma(slope, sum);
            }
            delta_in[column] = sum;
        }
        let others = others_of(shape.columns, delta_in.len());
        for (column, &delta) in others.zip(&delta[shape.columns.len() * width..]) {
            delta_in[column] = delta;
        }
    }
}

/// ∂J/∂w of the columns `of`, for the rows of one block: ∂J/∂w₀ = Σ x·δ and, in bin t's row, Σ f·δ over rows in it plus
/// Σ (1 − f)·δ over rows in the next; after the last block every bin's row takes its successor's, from the last on. `shape` are
/// columns, bins and width.
pub(crate) fn weights_gradient<T: Scalar>(
    set: InstructionSet,
    shape: (&[usize], usize, usize),
    x: MatrixRef<'_, T>,
    kept: &Matrix<T>,
    delta: MatrixRef<'_, T>,
    of: Range<usize>,
    blocks: (bool, bool),
    gradient: &mut [T],
) {
    if blocks.0 {
        gradient.fill(T::ZERO);
    }
    T::dispatch(set, Gradient { shape, x, kept, delta, of, last: blocks.1, gradient });
}

struct Gradient<'a, T> {
    shape: (&'a [usize], usize, usize),
    x: MatrixRef<'a, T>,
    kept: &'a Matrix<T>,
    delta: MatrixRef<'a, T>,
    of: Range<usize>,
    last: bool,
    gradient: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Gradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let (columns, bins, width) = self.shape;
        for (c, gradient) in self.of.zip(self.gradient.chunks_exact_mut((bins + 1) * width)) {
            for i in 0..self.x.rows() {
                let delta = &self.delta.row(i)[c * width..(c + 1) * width];
                let (x, t, f) = (self.x.row(i)[columns[c]], self.kept[(i, 2 * c)], self.kept[(i, 2 * c + 1)]);
                let (line, broken) = gradient.split_at_mut(width);
                let add = |factor: T, sums: &mut [T]| {
                    let factor = v.splat(factor);
                    each(v, [delta], [sums], |[delta], [sum]| [factor.fma(delta, sum)]);
                };
                add(x, line);
                let t = t.to_f64() as usize;
                add(f, &mut broken[t * width..(t + 1) * width]);
                if t > 0 {
                    add(T::ONE - f, &mut broken[(t - 1) * width..t * width]);
                }
            }
            if self.last {
                for t in (1..bins).rev() {
                    let (earlier, later) = gradient.split_at_mut((t + 1) * width);
                    let sums = &mut earlier[t * width..];
                    each(v, [&later[..width]], [sums], |[later], [sum]| [sum + later]);
                }
            }
        }
    }
}
