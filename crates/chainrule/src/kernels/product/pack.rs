//! Copies of A and B in the order in which the micro-kernel reads them.

use super::Strided;
use super::tile::VECTORS;
use crate::kernels::{InstructionSet, Kernel, Lanes, Set};
use crate::scalar::Scalar;

/// Sixteen elements on a boundary of 64 bytes, so that no vector of a panel straddles two cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Line<T>([T; 16]);

/// A buffer that grows and never shrinks.
#[derive(Clone, Debug)]
pub(super) struct Buffer<T>(Vec<Line<T>>);

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Scalar> Buffer<T> {
    /// Room for at least `n` elements; what they are is left over from the last use.
    pub(super) fn room(&mut self, n: usize) -> &mut [T] {
        let lines = n.div_ceil(16);
        if self.0.len() < lines {
            self.0.resize(lines, Line([T::ZERO; 16]));
        }
        // SAFETY: a `Line` is sixteen elements without padding, for 64 divides the size of sixteen `f32` or `f64`.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * 16) }
    }

    pub(super) fn as_slice(&self) -> &[T] {
        // SAFETY: as in `room`.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * 16) }
    }
}

/// A matrix B, laid out once for many products: panels of as many columns as a tile is wide, and within a panel row after
/// row. What stands in the last panel beyond B's columns enters no number.
#[derive(Clone, Debug)]
pub struct Packed<T> {
    panels: Buffer<T>,
    set: InstructionSet,
    rows: usize,
    cols: usize,
    width: usize,
}

impl<T: Scalar> Default for Packed<T> {
    fn default() -> Self {
        Self { panels: Buffer::default(), set: InstructionSet::NAIVE, rows: 0, cols: 0, width: 1 }
    }
}

impl<T: Scalar> Packed<T> {
    /// Of no matrix yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays out `b` for products with the instructions of `set`. A matrix of the same shape needs no new memory.
    pub fn pack<'b>(&mut self, set: InstructionSet, b: impl Into<Strided<'b, T>>) {
        let b = b.into();
        self.shape(set, b.rows, b.cols);
        self.fill(0, 0, b);
    }

    /// Makes room for a matrix of that shape, whose elements are then [filled](Self::fill) in.
    pub(crate) fn shape(&mut self, set: InstructionSet, rows: usize, cols: usize) {
        let width = if set.0 == Set::Naive { 1 } else { T::dispatch(set, Width) };
        self.shape_for(set, width, rows, cols);
    }

    pub(super) fn shape_for(&mut self, set: InstructionSet, width: usize, rows: usize, cols: usize) {
        // A stride of 0 can make a matrix larger than memory.
        let size = rows.checked_mul(cols.next_multiple_of(width)).expect("a packed matrix beyond memory");
        self.panels.room(size);
        *self = Self { panels: std::mem::take(&mut self.panels), set, rows, cols, width };
    }

    /// Lays `b` out as the part that begins in row `row` and column `col`, where a panel begins.
    ///
    /// # Panics
    /// If no panel begins there, or `b` does not fit.
    pub(crate) fn fill(&mut self, row: usize, col: usize, b: Strided<'_, T>) {
        if self.set.0 == Set::Naive {
            self.check(row, col, b);
            let (rows, columns) = (self.rows, self.panels.room(0));
            for j in 0..b.cols {
                for p in 0..b.rows {
                    columns[(col + j) * rows + row + p] = b.get(p, j);
                }
            }
        } else {
            T::dispatch(self.set, Fill { packed: self, row, col, b });
        }
    }

    fn check(&self, row: usize, col: usize, b: Strided<'_, T>) {
        assert!(col.is_multiple_of(self.width), "a part of a packed matrix begins with a panel");
        assert!(row + b.rows <= self.rows && col + b.cols <= self.cols, "a part of a packed matrix");
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    pub(super) fn set(&self) -> InstructionSet {
        self.set
    }

    /// The columns of a panel.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// The panels, each of `rows · width` elements.
    pub(super) fn panels(&self) -> &[T] {
        self.panels.as_slice()
    }

    /// The panel that begins in column `col`, from row `row` on.
    #[inline(always)]
    pub(super) fn panel<V: Lanes<Scalar = T>>(&self, _: V, row: usize, col: usize) -> *const T {
        assert_eq!(self.width, VECTORS * V::LANES, "panels of another instruction set");
        self.panels()[col * self.rows + row * self.width..].as_ptr()
    }
}

/// How many rows of B (or columns of A) go to all their panels before the next ones do, where they have no gaps: a panel
/// at a time would jump by a whole row after each part of one. (128 × 784 × 256 with packing: 75 % of peak before, 77 to 81 % after.)
pub(super) const AT_A_TIME: usize = 16;

/// The width of a panel.
struct Width;

impl<T: Scalar> Kernel<T> for Width {
    type Output = usize;
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, _: V) -> usize {
        VECTORS * V::LANES
    }
}

/// [`Packed::fill`].
pub(super) struct Fill<'a, 'b, T> {
    pub(super) packed: &'a mut Packed<T>,
    pub(super) row: usize,
    pub(super) col: usize,
    pub(super) b: Strided<'b, T>,
}

impl<T: Scalar> Kernel<T> for Fill<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        let Self { packed, row, col, b } = self;
        packed.check(row, col, b);
        let width = VECTORS * V::LANES;
        assert_eq!(packed.width, width, "panels of another instruction set");
        let size = packed.rows * width;
        let panels = packed.panels.room(0);
        let at_a_time = if b.col_stride == 1 { AT_A_TIME } else { b.rows.max(1) };
        for i in (0..b.rows).step_by(at_a_time) {
            let rows = at_a_time.min(b.rows - i);
            for jr in (0..b.cols).step_by(width) {
                let to = panels[(col + jr) / width * size + (row + i) * width..][..rows * width].as_mut_ptr();
                // SAFETY: `rows` rows of `b` from i on, of the columns from jr on that it has, at most width; `to` has
                // rows × width elements.
                unsafe {
                    copy(v, rows, width.min(b.cols - jr), b.at(i, jr), (b.row_stride, b.col_stride), to, width);
                }
            }
        }
    }
}

/// to \[rows, cols\] ← from, the rows of `to` without gaps and those of `from` so far apart: a tile's part of A, column after
/// column. Rows are written in whole vectors, each over what the one before left behind its end.
///
/// # Safety
/// All elements must be valid, of `from` for reads and of `to` for writes, there with a vector behind the last.
#[inline(always)]
pub(super) unsafe fn columns<V: Lanes>(
    v: V,
    rows: usize,
    cols: usize,
    from: *const V::Scalar,
    from_row: usize,
    to: *mut V::Scalar,
) {
    let whole = cols - cols % V::LANES;
    for i in 0..rows {
        // SAFETY: row i < rows; vectors of `from` end at or before column `cols`, those of `to` within a vector of it.
        unsafe {
            let (from, to) = (from.add(i * from_row), to.add(i * cols));
            for j in (0..whole).step_by(V::LANES) {
                v.load_pointer(from.add(j)).store_pointer(to.add(j));
            }
            if whole < cols {
                v.load_first(from.add(whole), cols - whole).store_pointer(to.add(whole));
            }
        }
    }
}

/// to \[rows, cols\] ← from, the rows of `to` standing `to_row` apart and those of `from` as its strides say.
///
/// # Safety
/// All elements must be valid, of `from` for reads and of `to` for writes.
#[inline(always)]
pub(super) unsafe fn copy<V: Lanes>(
    v: V,
    rows: usize,
    cols: usize,
    from: *const V::Scalar,
    (from_row, from_col): (usize, usize),
    to: *mut V::Scalar,
    to_row: usize,
) {
    if from_col == 1 {
        for i in 0..rows {
            // SAFETY: row i < rows; each vector ends at or before column `cols`, the last one cut short.
            unsafe {
                let (from, to) = (from.add(i * from_row), to.add(i * to_row));
                if cols == VECTORS * V::LANES {
                    for j in 0..VECTORS {
                        v.load_pointer(from.add(j * V::LANES)).store_pointer(to.add(j * V::LANES));
                    }
                    continue;
                }
                let whole = cols - cols % V::LANES;
                for j in (0..whole).step_by(V::LANES) {
                    v.load_pointer(from.add(j)).store_pointer(to.add(j));
                }
                if whole < cols {
                    v.load_first(from.add(whole), cols - whole).store_first(to.add(whole), cols - whole);
                }
            }
        }
        return;
    }
    let mut whole = (0, 0);
    if from_row == 1 {
        whole = (rows - rows % V::SQUARE, cols - cols % V::SQUARE);
        for i in (0..whole.0).step_by(V::SQUARE) {
            for j in (0..whole.1).step_by(V::SQUARE) {
                // SAFETY: the square ends at or before row `rows` and column `cols`.
                unsafe { v.transpose(from.add(i + j * from_col), from_col, to.add(i * to_row + j), to_row) };
            }
        }
    }
    // What the squares leave over.
    for i in 0..rows {
        for j in if i < whole.0 { whole.1 } else { 0 }..cols {
            // SAFETY: row i < rows, column j < cols.
            unsafe { *to.add(i * to_row + j) = *from.add(i * from_row + j * from_col) };
        }
    }
}
