//! A vector times a matrix: products with one row, or with one column (an output layer's), where a tile of several rows
//! would be mostly empty.

use super::pack::{self, Buffer};
use super::{Origin, Start, Strided, StridedMut, blocks};
use crate::kernels::elementwise::each;
use crate::kernels::{InstructionSet, Kernel, Lanes, naive};
use crate::scalar::Scalar;

/// out ← start + xᵀM: x \[k\] is the one row of a matrix, M \[k, n\], out \[n\]; `start` as a product's with one row.
pub(super) fn vector_product<T: Scalar>(
    set: InstructionSet,
    copy: &mut Buffer<T>,
    start: Start<'_, T>,
    x: Strided<'_, T>,
    m: Strided<'_, T>,
    out: &mut [T],
) {
    if m.col_stride == 1 {
        T::dispatch(set, Rows { start, x, m, out });
    } else if m.row_stride == 1 && out.len() >= 8 {
        T::dispatch(set, Columns { copy, start, x, m, out });
    } else {
        let n = out.len();
        naive::product(start, x, m, StridedMut::new(out, 1, n, n));
    }
}

/// C ← start + a·b: a column times a row \[n\] without gaps, each chain of one step.
pub(super) struct Outer<'s, 'a, T> {
    pub(super) start: Start<'s, T>,
    pub(super) a: Strided<'a, T>,
    pub(super) b: &'a [T],
    pub(super) c: StridedMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Outer<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { start, a, b, c } = self;
        for i in 0..a.rows {
            let (a, c) = (v.splat(a.get(i, 0)), &mut c.data[i * c.row_stride..][..b.len()]);
            match start {
                Start::Zero => each(v, [b], [c], |[b], [_]| [a.fma(b, v)]),
                Start::Bias(bias) => each(v, [b, bias], [c], |[b, bias], [_]| [a.fma(b, bias)]),
                Start::Stored => each(v, [b], [c], |[b], [c]| [a.fma(b, c)]),
            }
        }
    }
}

/// How many vectors' chains run side by side: as many as hide the latency of a multiply-add on two units.
const SIDE: usize = 8;

/// M's rows have no gaps: each is added, times its element of x, to as much of `out` as registers hold.
struct Rows<'s, 'a, T> {
    start: Start<'s, T>,
    x: Strided<'a, T>,
    m: Strided<'a, T>,
    out: &'s mut [T],
}

impl<T: Scalar> Kernel<T> for Rows<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { start, x, m, out } = self;
        let n = out.len();
        let mut j = 0;
        while j < n {
            let cols = (n - j).min(SIDE * V::LANES);
            // SAFETY: columns j .. j + cols of M and `out`, and all of x.
            unsafe {
                let stretch = Stretch {
                    x: x.data.as_ptr(),
                    x_step: x.col_stride,
                    m: m.data.as_ptr().add(j),
                    m_row: m.row_stride,
                    k: m.rows,
                    out: out.as_mut_ptr().add(j),
                    cols,
                    origin: match start {
                        Start::Zero => Origin::Zero,
                        Start::Bias(bias) => Origin::Bias(bias[j..].as_ptr()),
                        Start::Stored => Origin::Stored,
                    },
                };
                match cols.div_ceil(V::LANES) {
                    1 => stretch.run::<V, 1>(v),
                    2 => stretch.run::<V, 2>(v),
                    3 | 4 => stretch.run::<V, 4>(v),
                    _ => stretch.run::<V, SIDE>(v),
                }
            }
            j += cols;
        }
    }
}

/// Some columns of M and `out`.
struct Stretch<T> {
    x: *const T,
    x_step: usize,
    m: *const T,
    m_row: usize,
    k: usize,
    out: *mut T,
    cols: usize,
    origin: Origin<T>,
}

impl<T: Scalar> Stretch<T> {
    /// Computes the columns in `N` vectors, the last of them cut short.
    ///
    /// # Safety
    /// All elements must be valid: x's, M's and the bias's for reads, those of `out` for reads and writes. The columns
    /// are at most `N` vectors.
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const N: usize>(&self, v: V) {
        let mut sum = [v.splat(T::ZERO); N];
        // SAFETY: what the caller promises.
        unsafe {
            match self.origin {
                Origin::Zero => {}
                Origin::Bias(bias) => sum = self.load(v, bias),
                Origin::Stored => sum = self.load(v, self.out),
            }
            if self.cols == N * V::LANES {
                for p in 0..self.k {
                    let (x, row) = (v.splat(*self.x.add(p * self.x_step)), self.m.add(p * self.m_row));
                    for j in 0..N {
                        sum[j] = x.fma(v.load_pointer(row.add(j * V::LANES)), sum[j]);
                    }
                }
            } else {
                for p in 0..self.k {
                    let x = v.splat(*self.x.add(p * self.x_step));
                    let row: [V; N] = self.load(v, self.m.add(p * self.m_row));
                    for j in 0..N {
                        sum[j] = x.fma(row[j], sum[j]);
                    }
                }
            }
            for j in 0..N {
                let n = self.cols.saturating_sub(j * V::LANES).min(V::LANES);
                sum[j].store_first(self.out.wrapping_add(j * V::LANES), n);
            }
        }
    }

    /// The first `cols` elements of a row in `N` vectors.
    ///
    /// # Safety
    /// They must be valid for reads.
    #[inline(always)]
    unsafe fn load<V: Lanes<Scalar = T>, const N: usize>(&self, v: V, row: *const T) -> [V; N] {
        let mut vectors = [v; N];
        for j in 0..N {
            let n = self.cols.saturating_sub(j * V::LANES).min(V::LANES);
            // SAFETY: the vector ends at column `cols`, cut short if need be, to nothing beyond it.
            vectors[j] = unsafe { v.load_first(row.wrapping_add(j * V::LANES), n) };
        }
        vectors
    }
}

/// M's columns have no gaps (the inner index runs along them): parts of M are turned into rows, as much as the first-level
/// cache holds at a time.
struct Columns<'s, 'a, T> {
    copy: &'s mut Buffer<T>,
    start: Start<'s, T>,
    x: Strided<'a, T>,
    m: Strided<'a, T>,
    out: &'s mut [T],
}

/// The sides of a part.
const PART: (usize, usize) = (64, 64);

impl<T: Scalar> Kernel<T> for Columns<'_, '_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { copy, start, x, m, out } = self;
        for (jc, nc) in blocks(out.len(), PART.1) {
            for (pc, kc) in blocks(m.rows, PART.0) {
                let part = copy.room(PART.0 * PART.1);
                // SAFETY: kc × nc elements of M from (pc, jc) on, and room for kc rows of the longest block.
                unsafe { pack::copy(v, kc, nc, m.at(pc, jc), (1, m.col_stride), part.as_mut_ptr(), PART.1) };
                let start = match start {
                    _ if pc > 0 => Start::Stored,
                    Start::Bias(bias) => Start::Bias(&bias[jc..jc + nc]),
                    start => start,
                };
                let x = Strided { data: &x.data[pc * x.col_stride..], cols: kc, ..x };
                let m = Strided::new(part, kc, nc, PART.1, 1);
                Rows { start, x, m, out: &mut out[jc..jc + nc] }.run(v);
            }
        }
    }
}
