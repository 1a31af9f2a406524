//! Products of small layers, with the batch's rows across the lanes: X, Z and δ stand column by column, each column
//! `stride` elements after the one before. No element waits for another and nothing is laid out: of a product of a few
//! hundred multiply-adds the multiply-adds are the least. Every element is the chain of [`naive::product`](super::naive).

use super::{InstructionSet, Kernel, Lanes};
use crate::scalar::Scalar;

/// Columns that are sums of columns: outⱼ ← startⱼ (or 0) + Σᵢ inᵢ·w(i, j), each element one chain over i.
///
/// Z ← XW + 1bᵀ (equation 1) and ∂J/∂X ← δWᵀ (in equation 9), for `rows` rows.
pub(crate) struct Columns<'a, T> {
    pub(crate) rows: usize,
    /// From one column to the next: whole vectors, at least `rows`.
    pub(crate) stride: usize,
    pub(crate) columns: &'a [T],
    /// W, and how far it is from one i and from one j to the next.
    pub(crate) weights: &'a [T],
    pub(crate) steps: (usize, usize),
    pub(crate) start: Option<&'a [T]>,
    pub(crate) out: &'a mut [T],
    /// How many columns come in, and go out.
    pub(crate) shape: (usize, usize),
}

impl<T: Scalar> Columns<'_, T> {
    pub(crate) fn run(self, set: InstructionSet) {
        T::dispatch(set, self);
    }

    /// `N` vectors of every column, from row `first` on.
    ///
    /// # Safety
    /// What [`Kernel::run`] asserts, and `first` + `N` vectors are at most the rows, rounded up to whole vectors.
    #[inline(always)]
    unsafe fn some<V: Lanes<Scalar = T>, const N: usize>(&mut self, v: V, first: usize) {
        // Copies: what is written could be anywhere, for all that the compiler knows.
        let (start, stride, (inputs, outputs), (step_in, step_out)) = (self.start, self.stride, self.shape, self.steps);
        let (columns, weights) = (self.columns.as_ptr().wrapping_add(first), self.weights.as_ptr());
        let mut out = self.out.as_mut_ptr().wrapping_add(first);
        for j in 0..outputs {
            let mut sums = [start.map_or(v, |start| v.splat(start[j])); N];
            let (mut x, mut w) = (columns, weights.wrapping_add(j * step_out));
            for _ in 0..inputs {
                // SAFETY: w(i, j), and vectors of column i.
                unsafe {
                    let w = v.splat(*w);
                    for n in 0..N {
                        sums[n] = v.load_pointer(x.add(n * V::LANES)).fma(w, sums[n]);
                    }
                }
                (x, w) = (x.wrapping_add(stride), w.wrapping_add(step_in));
            }
            for n in 0..N {
                // SAFETY: vectors of column j.
                unsafe { sums[n].store_pointer(out.add(n * V::LANES)) };
            }
            out = out.wrapping_add(stride);
        }
    }
}

impl<T: Scalar> Kernel<T> for Columns<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let (inputs, outputs) = self.shape;
        assert!(self.rows.next_multiple_of(V::LANES) <= self.stride, "columns of whole vectors");
        assert!(inputs * self.stride <= self.columns.len() && outputs * self.stride <= self.out.len(), "all columns");
        let last = inputs.saturating_sub(1) * self.steps.0 + outputs.saturating_sub(1) * self.steps.1;
        assert!(inputs * outputs == 0 || last < self.weights.len(), "all weights");
        let mut first = 0;
        while first < self.rows {
            let vectors = (self.rows - first).div_ceil(V::LANES).min(4);
            // SAFETY: asserted above.
            unsafe {
                match vectors {
                    1 => self.some::<V, 1>(v, first),
                    2 => self.some::<V, 2>(v, first),
                    3 => self.some::<V, 3>(v, first),
                    _ => self.some::<V, 4>(v, first),
                }
            }
            first += vectors * V::LANES;
        }
    }
}

/// ∂J/∂W ← Xᵀδ and ∂J/∂b ← Σδ (equations 10 and 11 over rows): each element one chain over `rows` rows in order.
///
/// X stands column by column as above; δ \[rows, outputs\] row by row, with a vector of room behind its end.
pub(crate) struct Gradient<'a, T> {
    pub(crate) rows: usize,
    pub(crate) stride: usize,
    pub(crate) x: &'a [T],
    pub(crate) delta: &'a [T],
    pub(crate) weights: &'a mut [T],
    pub(crate) biases: &'a mut [T],
}

impl<T: Scalar> Gradient<'_, T> {
    pub(crate) fn run(self, set: InstructionSet) {
        T::dispatch(set, self);
    }

    /// A vector of columns of δ, from column `j` on, with columns `first` to `first` + `N` of X.
    ///
    /// # Safety
    /// What [`Kernel::run`] asserts; columns `first` to `first` + `N` and `j` exist.
    #[inline(always)]
    unsafe fn some<V: Lanes<Scalar = T>, const N: usize>(&mut self, v: V, j: usize, first: usize) {
        let (rows, stride, outputs) = (self.rows, self.stride, self.biases.len());
        let (mut x, mut delta) = (self.x[first * stride..].as_ptr(), self.delta[j..].as_ptr());
        let mut sums = [v; N];
        for _ in 0..rows {
            // SAFETY: a vector from a row on, of which the last ends at most a vector behind δ's last row; that row of N columns.
            unsafe {
                let d = v.load_pointer(delta);
                for n in 0..N {
                    sums[n] = v.splat(*x.add(n * stride)).fma(d, sums[n]);
                }
            }
            (x, delta) = (x.wrapping_add(1), delta.wrapping_add(outputs));
        }
        for n in 0..N {
            sums[n].store_partial(&mut self.weights[(first + n) * outputs..][j..outputs]);
        }
    }
}

impl<T: Scalar> Kernel<T> for Gradient<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(mut self, v: V) {
        let (rows, outputs) = (self.rows, self.biases.len());
        let inputs = self.weights.len() / outputs;
        assert!(rows <= self.stride && inputs * self.stride <= self.x.len(), "all of X");
        assert!(rows * outputs + V::LANES <= self.delta.len(), "all of δ, and a vector");
        assert_eq!(inputs * outputs, self.weights.len(), "all of W");
        for j in (0..outputs).step_by(V::LANES) {
            let (mut sum, mut delta) = (v, self.delta[j..].as_ptr());
            for _ in 0..rows {
                // SAFETY: as in `some`.
                sum = sum + unsafe { v.load_pointer(delta) };
                delta = delta.wrapping_add(outputs);
            }
            sum.store_partial(&mut self.biases[j..]);
            let mut first = 0;
            while first < inputs {
                let count = (inputs - first).min(4);
                // SAFETY: asserted above.
                unsafe {
                    match count {
                        1 => self.some::<V, 1>(v, j, first),
                        2 => self.some::<V, 2>(v, j, first),
                        3 => self.some::<V, 3>(v, j, first),
                        _ => self.some::<V, 4>(v, j, first),
                    }
                }
                first += count;
            }
        }
    }
}
