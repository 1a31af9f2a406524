//! The micro-kernel: a tile of C that stays in registers while the inner index runs.

use crate::kernels::Lanes;
use crate::scalar::Scalar;

/// How many vectors a tile is wide.
pub(super) const VECTORS: usize = 2;

/// How many rows a tile has at most: as many as leave registers for two vectors of B and one element of A.
pub(super) const fn most_rows<V: Lanes>() -> usize {
    if V::REGISTERS >= 32 { 14 } else { 6 }
}

/// How many steps of the inner index ahead B is asked for: it streams from the second level, whose latency the
/// processor's own window does not cover (252 × 256 × 256 in `f32`: 86 % of the peak without, 90 % with).
const AHEAD: usize = 8;

/// What a tile's chains start from.
#[derive(Clone, Copy)]
pub(super) enum Origin<T> {
    Zero,
    Bias(*const T),
    Stored,
}

/// One tile: C \[rows, cols\] ← origin + A \[rows, k\] · B \[k, cols\], each pointer at its matrix's first element.
#[derive(Clone, Copy)]
pub(super) struct Tile<T> {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) k: usize,
    pub(super) a: *const T,
    pub(super) a_row: usize,
    pub(super) a_col: usize,
    pub(super) b: *const T,
    pub(super) b_row: usize,
    pub(super) c: *mut T,
    pub(super) c_row: usize,
    pub(super) origin: Origin<T>,
}

impl<T: Scalar> Tile<T> {
    /// Computes the tile with the micro-kernel of its size.
    ///
    /// # Safety
    /// All elements must be valid: A's and B's and the bias's for reads, C's for reads and writes. There are at least
    /// one and at most [`most_rows`] rows, and at least one and at most [`VECTORS`] · [`Lanes::LANES`] columns.
    #[inline(always)]
    pub(super) unsafe fn run<V: Lanes<Scalar = T>>(&self, v: V) {
        macro_rules! by_rows {
            ($vectors:literal, $partial:literal: $($rows:literal)*) => {
                match self.rows {
                    // SAFETY: what the caller promises.
                    $($rows if $rows <= most_rows::<V>() => unsafe { self.micro_kernel::<V, $rows, $vectors, $partial>(v) },)*
                    rows => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        if self.cols == 2 * V::LANES {
            by_rows!(2, false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        } else if self.cols > V::LANES {
            by_rows!(2, true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        } else {
            by_rows!(1, true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        }
    }

    /// The outer products of A's columns with B's rows, added up in registers: one chain per element of C.
    ///
    /// # Safety
    /// As [`Tile::run`], for a tile of `ROWS` rows and `N` vectors, of which the last is whole unless `PARTIAL`.
    #[inline(always)]
    unsafe fn micro_kernel<V: Lanes<Scalar = T>, const ROWS: usize, const N: usize, const PARTIAL: bool>(&self, v: V) {
        let mut sum = [[v.splat(T::ZERO); N]; ROWS];
        match self.origin {
            Origin::Zero => {}
            // SAFETY: the bias has as many elements as the tile has columns.
            Origin::Bias(bias) => sum = [unsafe { self.load::<V, N, PARTIAL>(v, bias) }; ROWS],
            Origin::Stored => {
                for i in 0..ROWS {
                    // SAFETY: row i < rows of C.
                    sum[i] = unsafe { self.load::<V, N, PARTIAL>(v, self.c.add(i * self.c_row)) };
                }
            }
        }
        for p in 0..self.k {
            // SAFETY: p < k, so column p of A and row p of B are valid.
            let (column, b) = unsafe {
                let row = self.b.add(p * self.b_row);
                for j in 0..N {
                    v.prefetch(row.wrapping_add(AHEAD * self.b_row + j * V::LANES));
                }
                (self.a.add(p * self.a_col), self.load::<V, N, PARTIAL>(v, row))
            };
            for i in 0..ROWS {
                // SAFETY: row i < rows of A.
                let a = v.splat(unsafe { *column.add(i * self.a_row) });
                for j in 0..N {
                    sum[i][j] = a.fma(b[j], sum[i][j]);
                }
            }
        }
        for i in 0..ROWS {
            for j in 0..N {
                // SAFETY: row i < rows of C; the vector ends at column `cols`, cut short if need be.
                unsafe {
                    let to = self.c.add(i * self.c_row + j * V::LANES);
                    if PARTIAL && j == N - 1 {
                        sum[i][j].store_first(to, self.cols - j * V::LANES);
                    } else {
                        sum[i][j].store_pointer(to);
                    }
                }
            }
        }
    }

    /// The first `cols` elements of a row in `N` vectors.
    ///
    /// # Safety
    /// They must be valid for reads.
    #[inline(always)]
    unsafe fn load<V: Lanes<Scalar = T>, const N: usize, const PARTIAL: bool>(&self, v: V, row: *const T) -> [V; N] {
        let mut vectors = [v; N];
        for j in 0..N {
            // SAFETY: the vector ends at column `cols`, cut short if need be.
            unsafe {
                let from = row.add(j * V::LANES);
                vectors[j] = if PARTIAL && j == N - 1 {
                    v.load_first(from, self.cols - j * V::LANES)
                } else {
                    v.load_pointer(from)
                };
            }
        }
        vectors
    }
}
