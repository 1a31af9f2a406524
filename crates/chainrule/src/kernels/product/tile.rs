//! Rows of tiles, and the micro-kernel: a tile of C that stays in registers while the inner index runs.

use crate::kernels::{InstructionSet, Kernel, Lanes};
use crate::scalar::Scalar;

/// How many vectors a tile is wide.
pub(super) const VECTORS: usize = 2;

/// How many rows a tile has at most: as many as leave registers for two vectors of B and one element of A.
pub(super) const fn most_rows<V: Lanes>() -> usize {
    if V::REGISTERS >= 32 { 14 } else { 6 }
}

/// How many steps of the inner index one turn of the loop takes. A neighbour on the same core (simultaneous
/// multithreading) takes half of the instructions that can be issued, and a fused multiply-add needs company: one step a
/// turn with strides in registers took 31 instructions for 12 multiply-adds, four with constant strides take 21. (256 × 256 × 256
/// in `f32`, AVX2, busy neighbour: 59 % of the peak before, 88 % after; alone on the core both reach 93 %. Eight steps are no
/// faster, nor are multiply-adds that read B from memory, 17 instructions: their loads are more than a core's two a cycle.)
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

/// Tiles of one height: C \[down · rows, cols\] ← origin + A \[down · rows, k\] · B \[k, cols\], each pointer at its matrix's first
/// element.
#[derive(Clone, Copy)]
pub(super) struct Tiles<T> {
    /// Of a tile.
    pub(super) rows: usize,
    /// How many tiles stand one below another.
    pub(super) down: usize,
    pub(super) cols: usize,
    pub(super) k: usize,
    pub(super) a: *const T,
    pub(super) order: Order,
    /// From a tile's part of A to that of the tile below.
    pub(super) a_tile: usize,
    /// In panels of [`VECTORS`] whole vectors, whatever `cols` is.
    pub(super) b: *const T,
    /// From one panel to the next.
    pub(super) b_panel: usize,
    pub(super) c: *mut T,
    pub(super) c_row: usize,
    pub(super) origin: Origin<T>,
    /// Whether C is not in the nearest caches: the tile to the right is asked for before it is written.
    pub(super) far: bool,
}

/// Tiles whose elements are valid. They are a kernel of their own, compiled once for all products.
struct Promised<T>(Tiles<T>);

impl<T: Scalar> Kernel<T> for Promised<T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self(tiles) = self;
        macro_rules! by_rows {
            ($columns:literal: $($rows:literal)*) => {
                match tiles.rows {
                    // SAFETY: what the caller of `Tiles::run` promised.
                    $($rows if $rows <= most_rows::<V>() => unsafe { tiles.of_height::<V, $rows, $columns>(v) },)*
                    rows => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        match tiles.order {
            Order::Rows(_) => by_rows!(false: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
            Order::Columns => by_rows!(true: 1 2 3 4 5 6 7 8 9 10 11 12 13 14),
        }
    }
}

impl<T: Scalar> Tiles<T> {
    /// Computes the tiles, panel after panel and in each from top to bottom, with the micro-kernel of their height.
    ///
    /// # Safety
    /// All elements must be valid: A's, B's (rows of whole vectors) and the bias's for reads, C's for reads and writes. There
    /// are at least one and at most [`most_rows`] rows to a tile.
    pub(super) unsafe fn run(self, set: InstructionSet) {
        T::dispatch(set, Promised(self));
    }

    /// # Safety
    /// As [`Tiles::run`], for tiles of `ROWS` rows, A standing in columns if `COLUMNS`.
    #[inline(always)]
    unsafe fn of_height<V: Lanes<Scalar = T>, const ROWS: usize, const COLUMNS: bool>(&self, v: V) {
        let width = VECTORS * V::LANES;
        let a_row = if let Order::Rows(stride) = self.order { stride } else { 1 };
        // An address can be a pointer and 1, 2, 4 or 8 times a register. Left alone, the compiler steps from row to row in
        // every turn of the inner loop.
        let odd = [std::hint::black_box(3 * a_row), std::hint::black_box(5 * a_row)];
        let mut panel = *self;
        macro_rules! panel {
            ($vectors:literal, $whole:literal) => {
                for tile in 0..self.down {
                    let mut tiles = panel;
                    tiles.a = panel.a.wrapping_add(tile * self.a_tile);
                    tiles.c = panel.c.wrapping_add(tile * ROWS * self.c_row);
                    // SAFETY: what the caller promises, for a part of the columns and a tile's rows.
                    unsafe { tiles.micro_kernel::<V, ROWS, $vectors, COLUMNS, $whole>(v, odd) };
                }
            };
        }
        for _ in 0..self.cols / width {
            panel!(2, true);
            panel.b = panel.b.wrapping_add(self.b_panel);
            panel.c = panel.c.wrapping_add(width);
            if let Origin::Bias(bias) = &mut panel.origin {
                *bias = bias.wrapping_add(width);
            }
        }
        panel.cols = self.cols % width;
        if panel.cols > V::LANES {
            panel!(2, false);
        } else if panel.cols > 0 {
            panel!(1, false);
        }
    }

    /// The first tile: the outer products of A's columns with B's rows, added up in registers, one chain per element of C.
    ///
    /// # Safety
    /// As [`Tiles::run`], for a tile of `ROWS` rows and `N` vectors, all of them `WHOLE` or the last cut short, A standing in
    /// columns if `COLUMNS`.
    #[inline(always)]
    unsafe fn micro_kernel<
        V: Lanes<Scalar = T>,
        const ROWS: usize,
        const N: usize,
        const COLUMNS: bool,
        const WHOLE: bool,
    >(
        &self,
        v: V,
        odd: [usize; 2],
    ) {
        if self.far {
            for i in 0..ROWS {
                v.prefetch(self.c.wrapping_add(i * self.c_row + N * V::LANES));
            }
        }
        let (a_row, a_col) = match self.order {
            Order::Rows(stride) if !COLUMNS => (stride, 1),
            _ => (1, ROWS),
        };
        let b_row = VECTORS * V::LANES;
        let a_at = |i: usize| match i {
            3 if !COLUMNS && ROWS <= 6 => odd[0],
            5 if !COLUMNS && ROWS <= 6 => odd[1],
            i => i * a_row,
        };
        let mut sum = [[v.splat(T::ZERO); N]; ROWS];
        match self.origin {
            Origin::Zero => {}
            // SAFETY: the bias has as many elements as the tile has columns.
            Origin::Bias(bias) => sum = [unsafe { self.load::<V, N, WHOLE>(v, bias) }; ROWS],
            Origin::Stored => {
                for i in 0..ROWS {
                    // SAFETY: row i < rows of C.
                    sum[i] = unsafe { self.load::<V, N, WHOLE>(v, self.c.add(i * self.c_row)) };
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
                            let a = v.splat(*column.add(a_at(i)));
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
                    if !WHOLE && self.cols < (j + 1) * V::LANES {
                        sum[i][j].store_first(to, self.cols - j * V::LANES);
                    } else {
                        sum[i][j].store_pointer(to);
                    }
                }
            }
        }
    }

    /// The first `cols` elements of a row in `N` vectors, or that many whole ones.
    ///
    /// # Safety
    /// They must be valid for reads.
    #[inline(always)]
    unsafe fn load<V: Lanes<Scalar = T>, const N: usize, const WHOLE: bool>(&self, v: V, row: *const T) -> [V; N] {
        let mut vectors = [v; N];
        for j in 0..N {
            // SAFETY: the vector ends at column `cols`, cut short if need be.
            unsafe {
                let from = row.add(j * V::LANES);
                vectors[j] = if !WHOLE && self.cols < (j + 1) * V::LANES {
                    v.load_first(from, self.cols - j * V::LANES)
                } else {
                    v.load_pointer(from)
                };
            }
        }
        vectors
    }
}
