//! The micro-kernel: a tile of C that stays in registers while the inner index runs.

use crate::kernels::Lanes;
use crate::scalar::Scalar;

/// How many vectors a tile is wide.
pub(super) const VECTORS: usize = 2;

/// How many rows a tile has at most: as many as leave registers for two vectors of B and one element of A.
pub(super) const fn most_rows<V: Lanes>() -> usize {
    if V::REGISTERS >= 32 { 14 } else { 6 }
}

/// How many steps of the inner index one turn of the loop takes. A neighbour on the same core (simultaneous
/// multithreading) takes half of the instructions that can be issued, and a fused multiply-add needs company: one step a
/// turn with strides in registers took 31 instructions for 12 multiply-adds, four with constant strides take 22 where A
/// stands row by row, 21 where column by column. (256 × 256 × 256 in `f32`, AVX2, busy neighbour: 59 % of the peak before,
/// 84 and 88 % after; alone on the core all reach 93 %. Eight steps are no faster.)
const STEPS: usize = 4;

/// How many steps of the inner index ahead B is asked for, where a vector is a whole cache line: it streams from the second
/// level, whose latency the processor's own window does not cover (252 × 256 × 256 in `f32`, AVX-512: 86 % of the peak
/// without, 90 % with; AVX2 on Zen 3: nothing but instructions).
const AHEAD: usize = 8;

/// What a tile's chains start from.
#[derive(Clone, Copy)]
pub(super) enum Origin<T> {
    Zero,
    Bias(*const T),
    Stored,
}

/// How the tile's part of A stands in memory.
#[derive(Clone, Copy)]
pub(super) enum Order {
    /// Row after row, so far from one to the next.
    Rows(usize),
    /// Column after column, each of as many elements as the tile has rows.
    Columns,
}

/// One tile: C \[rows, cols\] ← origin + A \[rows, k\] · B \[k, cols\], each pointer at its matrix's first element.
///
/// B's rows have [`VECTORS`] whole vectors, whatever `cols` is.
#[derive(Clone, Copy)]
pub(super) struct Tile<T> {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) k: usize,
    pub(super) a: *const T,
    pub(super) order: Order,
    pub(super) b: *const T,
    pub(super) c: *mut T,
    pub(super) c_row: usize,
    pub(super) origin: Origin<T>,
}

impl<T: Scalar> Tile<T> {
    /// Computes the tile with the micro-kernel of its size.
    ///
    /// # Safety
    /// All elements must be valid: A's, B's (rows of whole vectors) and the bias's for reads, C's for reads and writes. There
    /// are at least one and at most [`most_rows`] rows, and at least one and at most [`VECTORS`] · [`Lanes::LANES`] columns.
    #[inline(always)]
    pub(super) unsafe fn run<V: Lanes<Scalar = T>>(&self, v: V) {
        macro_rules! by_rows {
            ($vectors:literal, $columns:literal: $($rows:literal)*) => {
                match self.rows {
                    // SAFETY: what the caller promises.
                    $($rows if $rows <= most_rows::<V>() => unsafe { self.micro_kernel::<V, $rows, $vectors, $columns>(v) },)*
                    rows => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        match (self.cols > V::LANES, self.order) {
            (true, Order::Rows(_)) => by_rows!(2, false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            (true, Order::Columns) => by_rows!(2, true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            (false, Order::Rows(_)) => by_rows!(1, false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            (false, Order::Columns) => by_rows!(1, true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        }
    }

    /// The outer products of A's columns with B's rows, added up in registers: one chain per element of C.
    ///
    /// # Safety
    /// As [`Tile::run`], for a tile of `ROWS` rows and `N` vectors, A standing in columns if `COLUMNS`.
    #[inline(always)]
    unsafe fn micro_kernel<V: Lanes<Scalar = T>, const ROWS: usize, const N: usize, const COLUMNS: bool>(&self, v: V) {
        let (a_row, a_col) = match self.order {
            Order::Rows(stride) if !COLUMNS => (stride, 1),
            _ => (1, ROWS),
        };
        let b_row = VECTORS * V::LANES;
        let mut sum = [[v.splat(T::ZERO); N]; ROWS];
        match self.origin {
            Origin::Zero => {}
            // SAFETY: the bias has as many elements as the tile has columns.
            Origin::Bias(bias) => sum = [unsafe { self.load::<V, N>(v, bias) }; ROWS],
            Origin::Stored => {
                for i in 0..ROWS {
                    // SAFETY: row i < rows of C.
                    sum[i] = unsafe { self.load::<V, N>(v, self.c.add(i * self.c_row)) };
                }
            }
        }
        let (mut a, mut b) = (self.a, self.b);
        macro_rules! steps {
            ($steps:expr) => {
                for p in 0..$steps {
                    // SAFETY: as many steps of the inner index are left: columns of A, rows of B.
                    unsafe {
                        let (column, row) = (a.add(p * a_col), b.add(p * b_row));
                        let mut vectors = [v; N];
                        for j in 0..N {
                            vectors[j] = v.load_pointer(row.add(j * V::LANES));
                            if V::LANES * T::BYTES == 64 {
                                v.prefetch(row.wrapping_add(AHEAD * b_row + j * V::LANES));
                            }
                        }
                        for i in 0..ROWS {
                            let a = v.splat(*column.add(i * a_row));
                            for j in 0..N {
                                sum[i][j] = a.fma(vectors[j], sum[i][j]);
                            }
                        }
                    }
                }
                (a, b) = (a.wrapping_add($steps * a_col), b.wrapping_add($steps * b_row));
            };
        }
        for _ in 0..self.k / STEPS {
            steps!(STEPS);
        }
        for _ in 0..self.k % STEPS {
            steps!(1);
        }
        for i in 0..ROWS {
            for j in 0..N {
                // SAFETY: row i < rows of C; the vector ends at column `cols`, cut short if need be.
                unsafe {
                    let to = self.c.add(i * self.c_row + j * V::LANES);
                    if self.cols < (j + 1) * V::LANES {
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
    unsafe fn load<V: Lanes<Scalar = T>, const N: usize>(&self, v: V, row: *const T) -> [V; N] {
        let mut vectors = [v; N];
        for j in 0..N {
            // SAFETY: the vector ends at column `cols`, cut short if need be.
            unsafe {
                let from = row.add(j * V::LANES);
                vectors[j] = if self.cols < (j + 1) * V::LANES {
                    v.load_first(from, self.cols - j * V::LANES)
                } else {
                    v.load_pointer(from)
                };
            }
        }
        vectors
    }
}
