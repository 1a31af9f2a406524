//! Matrix products, in the loops of Goto and van de Geijn ("Anatomy of High-Performance Matrix Multiplication", 2008)
//! as BLIS arranges them (Van Zee and van de Geijn, 2015).
//!
//! ```text
//! LOOP 5  jc: the columns of B and C, NC at a time
//! LOOP 4    pc: the inner index, KC at a time       every element of C continues the chain that it stored
//! LOOP 3      ic: the rows of A and C, MC at a time      A's block is copied if it stands badly in the cache
//! LOOP 2        ir: the rows of a tile                   its part of A stays in the first-level cache
//! LOOP 1          jr: the columns of a tile              B streams from the second level (tile.rs, from here on)
//! LOOP 0            p: the inner index                   the tile of C stays in registers
//! ```
//! The papers have C's rows where vectors are, so their loops 1 and 2 stand the other way round and keep a part of B.
//!
//! No choice of blocks changes a bit: an element is always the one chain of [`naive::product`].

mod pack;
mod strips;
#[cfg(test)]
mod tests;
mod tile;
mod vector;

pub use pack::Packed;
pub(crate) use strips::strips;

use self::pack::Buffer;
use self::tile::{Order, Origin, Tiles, VECTORS, most_rows};
use self::vector::{Outer, vector_product};
use super::{InstructionSet, Kernel, Lanes, Set, naive};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;

/// What a product's chains start from.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, T> {
    /// 0.
    Zero,
    /// The bias of the column, b⁽ˡ⁾ⱼ.
    Bias(&'a [T]),
    /// The value that stands in C: the product is accumulated.
    Stored,
}

/// A matrix for reading whose element (i, j) stands at `i · row_stride + j · col_stride`: transposes cost nothing.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<'a, T: Scalar> Strided<'a, T> {
    /// A view into `data`.
    ///
    /// # Panics
    /// If the last element lies outside `data`.
    pub fn new(data: &'a [T], rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Self {
        if rows > 0 && cols > 0 {
            let last = (rows - 1)
                .checked_mul(row_stride)
                .and_then(|row| row.checked_add((cols - 1).checked_mul(col_stride)?))
                .unwrap_or(usize::MAX);
            assert!(last < data.len(), "a strided view beyond its data");
        }
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// Aᵀ.
    pub fn transposed(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride, ..self }
    }

    /// The number of rows.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(self) -> usize {
        self.cols
    }

    /// A pointer to element (i, j), which must be one.
    #[inline(always)]
    fn at(&self, i: usize, j: usize) -> *const T {
        self.data[i * self.row_stride + j * self.col_stride..].as_ptr()
    }

    /// Row `i`, if its elements stand without gaps.
    #[inline(always)]
    pub(super) fn row(&self, i: usize) -> Option<&'a [T]> {
        (self.col_stride == 1)
            .then(|| if self.cols == 0 { &[] } else { &self.data[i * self.row_stride..][..self.cols] })
    }

    /// Element (i, j).
    #[inline(always)]
    pub fn get(self, i: usize, j: usize) -> T {
        self.data[i * self.row_stride + j * self.col_stride]
    }
}

impl<'a, T: Scalar> From<MatrixRef<'a, T>> for Strided<'a, T> {
    fn from(m: MatrixRef<'a, T>) -> Self {
        Self::new(m.as_slice(), m.rows(), m.cols(), m.cols(), 1)
    }
}

/// A matrix for writing whose rows stand `row_stride` apart.
#[derive(Debug)]
pub struct StridedMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
}

impl<'a, T: Scalar> StridedMut<'a, T> {
    /// A view into `data`.
    ///
    /// # Panics
    /// If rows overlap or the last element lies outside `data`.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize, row_stride: usize) -> Self {
        if rows > 0 && cols > 0 {
            assert!(rows == 1 || cols <= row_stride, "rows overlap");
            let end = (rows - 1).checked_mul(row_stride).and_then(|row| row.checked_add(cols)).unwrap_or(usize::MAX);
            assert!(end <= data.len(), "a strided view beyond its data");
        }
        Self { data, rows, cols, row_stride }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Element (i, j).
    #[inline(always)]
    pub fn get(&self, i: usize, j: usize) -> T {
        self.data[i * self.row_stride + j]
    }

    /// Sets element (i, j).
    #[inline(always)]
    pub fn set(&mut self, i: usize, j: usize, x: T) {
        self.data[i * self.row_stride + j] = x;
    }
}

impl<'a, T: Scalar> From<MatrixMut<'a, T>> for StridedMut<'a, T> {
    fn from(m: MatrixMut<'a, T>) -> Self {
        let (rows, cols) = (m.rows(), m.cols());
        Self::new(m.into_mut_slice(), rows, cols, cols)
    }
}

/// Room for copies of A and B, kept between products so that a training step allocates nothing.
#[derive(Debug)]
pub struct Scratch<T> {
    a: Buffer<T>,
    b: Packed<T>,
}

impl<T: Scalar> Default for Scratch<T> {
    fn default() -> Self {
        Self { a: Buffer::default(), b: Packed::new() }
    }
}

impl<T: Scalar> Scratch<T> {
    /// Empty; it grows with the first products.
    pub fn new() -> Self {
        Self::default()
    }
}

/// C ← start + A·B, bit for bit as [`naive::product`].
///
/// Shapes: A \[m, k\], B \[k, n\], C \[m, n\], bias \[n\].
///
/// # Panics
/// If the shapes do not fit.
pub fn product<'a, T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    start: Start<'_, T>,
    a: impl Into<Strided<'a, T>>,
    b: impl Into<Strided<'a, T>>,
    c: impl Into<StridedMut<'a, T>>,
) {
    let (a, b, c) = (a.into(), b.into(), c.into());
    check_shapes(&start, a, (b.rows, b.cols), &c);
    if set.0 == Set::Naive || a.cols == 0 {
        naive::product(start, a, b, c);
    } else if c.rows <= FEW {
        for i in 0..c.rows {
            let row = Strided { data: &a.data[i * a.row_stride..], rows: 1, ..a };
            vector_product(set, &mut scratch.a, start, row, b, &mut c.data[i * c.row_stride..][..b.cols]);
        }
    } else if c.cols == 1 && c.row_stride == 1 {
        // cᵀ ← start + bᵀAᵀ: C's rows become the lanes.
        let out = &mut c.data[..a.rows];
        let start = match start {
            Start::Bias(bias) => {
                out.fill(bias[0]);
                Start::Stored
            }
            start => start,
        };
        vector_product(set, &mut scratch.a, start, b.transposed(), a.transposed(), out);
    } else if a.cols == 1 {
        let copy = scratch.a.room(b.cols);
        let b = b.row(0).unwrap_or_else(|| {
            for (j, to) in copy[..b.cols].iter_mut().enumerate() {
                *to = b.get(0, j);
            }
            &copy[..b.cols]
        });
        T::dispatch(set, Outer { start, a, b, c });
    } else {
        let Scratch { a: copy, b: packed } = scratch;
        packed.pack(set, b);
        T::dispatch(set, Product { copy, start, a, b: packed, c });
    }
}

/// C ← start + A·B as [`product`], with the instructions for which B was packed.
///
/// # Panics
/// If the shapes do not fit.
pub fn product_packed<'a, T: Scalar>(
    scratch: &mut Scratch<T>,
    start: Start<'_, T>,
    a: impl Into<Strided<'a, T>>,
    b: &Packed<T>,
    c: impl Into<StridedMut<'a, T>>,
) {
    let (a, c) = (a.into(), c.into());
    check_shapes(&start, a, (b.rows(), b.cols()), &c);
    let set = b.set();
    if set.0 == Set::Naive || a.cols == 0 {
        naive::product(start, a, Strided::new(b.panels(), b.rows(), b.cols(), 1, b.rows()), c);
    } else {
        T::dispatch(set, Product { copy: &mut scratch.a, start, a, b, c });
    }
}

fn check_shapes<T: Scalar>(start: &Start<'_, T>, a: Strided<'_, T>, b: (usize, usize), c: &StridedMut<'_, T>) {
    assert_eq!((a.rows, a.cols, b.1), (c.rows, b.0, c.cols), "a product's shapes");
    if let Start::Bias(bias) = start {
        assert_eq!(bias.len(), c.cols, "a product's bias");
    }
}

/// So few rows are multiplied one by one: laying B out would take longer.
const FEW: usize = 3;
/// MC, as many rows of A as its block has at most.
const MC: usize = 512;

/// NC and KC, the columns and rows of the part of B that stays in the second-level cache while the rows of A pass.
///
/// With AVX-512, measured with a second level of 1.25 MB, the part has three quarters of a megabyte, and 14 rows of KC are half of
/// a first level. With AVX2 the second level may be 512 kB: there 64 columns × 512 take 0.96 of the time that 512 × 384 take
/// (512-1024-1024-512-10, Zen 3; its predictions 0.93), and the same where B is small.
const fn part_of_b<V: Lanes>() -> (usize, usize) {
    if V::REGISTERS >= 32 { (16 * VECTORS * V::LANES, 384) } else { (64, 512) }
}

struct Product<'s, 'a, T> {
    copy: &'s mut Buffer<T>,
    start: Start<'s, T>,
    a: Strided<'a, T>,
    b: &'s Packed<T>,
    c: StridedMut<'a, T>,
}

impl<T: Scalar> Kernel<T> for Product<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { copy, start, a, b, c } = self;
        let (set, m, k, n) = (b.set(), a.rows, a.cols, c.cols);
        let c_data = c.data.as_mut_ptr();
        let width = VECTORS * V::LANES;
        let (mut most_columns, most_steps) = part_of_b::<V>();
        if a.col_stride != 1 {
            // A is copied for each part.
            most_columns = most_columns.max(16 * width);
        }
        for jc in (0..n).step_by(most_columns) {
            let end = n.min(jc + most_columns);
            for (pc, kc) in blocks(k, most_steps) {
                for (ic, mc) in blocks(m, MC) {
                    let a = ABlock::new(v, copy, a, (ic, mc), (pc, kc), end - jc);
                    let origin = match start {
                        _ if pc > 0 => Origin::Stored,
                        Start::Zero => Origin::Zero,
                        Start::Bias(bias) => Origin::Bias(bias[jc..].as_ptr()),
                        Start::Stored => Origin::Stored,
                    };
                    for (ir, rows) in blocks(mc, most_rows::<V>()) {
                        // SAFETY: rows below m, columns below n and inner indices below k lie inside the views
                        // (`Strided::new` and `StridedMut::new` checked them, and `check_shapes` that they agree);
                        // a packed panel has k · width elements. C is borrowed for writing.
                        unsafe {
                            Tiles {
                                rows,
                                down: 1,
                                cols: end - jc,
                                k: kc,
                                a: a.first.add(ir * a.tile_row),
                                order: a.order,
                                a_tile: 0,
                                b: b.panel(v, pc, jc),
                                b_panel: k * width,
                                c: c_data.add((ic + ir) * c.row_stride + jc),
                                c_row: c.row_stride,
                                origin,
                                far: false,
                            }
                            .run(set);
                        }
                    }
                }
            }
        }
    }
}

/// A block of A as the loops see it: where it stood, or a copy.
struct ABlock<T> {
    first: *const T,
    /// From one row to the next, where tiles begin.
    tile_row: usize,
    order: Order,
}

impl<T: Scalar> ABlock<T> {
    #[inline(always)]
    fn new<V: Lanes<Scalar = T>>(
        v: V,
        copy: &mut Buffer<T>,
        a: Strided<'_, T>,
        (ic, mc): (usize, usize),
        (pc, kc): (usize, usize),
        nc: usize,
    ) -> Self {
        let first = a.at(ic, pc);
        if a.col_stride == 1 {
            // Rows a multiple of 4 KiB apart share one set of the first-level cache, of 8 lines or little more.
            let crowded = (a.row_stride * T::BYTES).is_multiple_of(4096) && most_rows::<V>() > 8;
            if !(crowded && nc > 4 * VECTORS * V::LANES) {
                return Self { first, tile_row: a.row_stride, order: Order::Rows(a.row_stride) };
            }
            // One line more than the rows need, lest they compete for the same sets of the cache.
            let row = kc.next_multiple_of(16) + 16;
            let to = copy.room(mc * row).as_mut_ptr();
            // SAFETY: mc × kc elements of `a` from (ic, pc) on, and room for mc rows.
            unsafe { pack::copy(v, mc, kc, first, (a.row_stride, 1), to, row) };
            return Self { first: to, tile_row: row, order: Order::Rows(row) };
        }
        // Each step of the inner index is another line, of which a tile uses less than one.
        let to = copy.room(mc * kc).as_mut_ptr();
        let columns = if a.row_stride == 1 { pack::AT_A_TIME } else { kc };
        for p in (0..kc).step_by(columns) {
            for (ir, rows) in blocks(mc, most_rows::<V>()) {
                // SAFETY: `rows` rows of `a` from ic + ir on, up to `columns` columns from pc + p on; as many
                // elements of room, beyond those of the tiles and columns before.
                unsafe {
                    let from = first.add(ir * a.row_stride + p * a.col_stride);
                    let to = to.add(ir * kc + p * rows);
                    pack::copy(v, columns.min(kc - p), rows, from, (a.col_stride, a.row_stride), to, rows);
                }
            }
        }
        Self { first: to, tile_row: kc, order: Order::Columns }
    }
}

/// (start, length) of as few blocks of at most `most` as cover 0 .. n, with lengths as equal as they can be.
#[inline(always)]
fn blocks(n: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = if n <= most { n.min(1) } else { n.div_ceil(most) };
    let (length, longer) = if count <= 1 { (n, 0) } else { (n / count, n % count) };
    (0..count).map(move |i| (i * length + i.min(longer), length + usize::from(i < longer)))
}
