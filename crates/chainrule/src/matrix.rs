//! Row-major matrices: one owner and two views, with the shapes checked where they are made.

use crate::error::Error;
use crate::scalar::Scalar;
use std::ops::{Index, IndexMut, Range};

/// A row-major matrix that owns its numbers: element (i, j) stands at `i · cols + j`.
///
/// ```
/// # use chainrule::Matrix;
/// let x = Matrix::from_rows(&[[6.1, 8.7], [3.9, 8.7]]);
/// assert_eq!((x.rows(), x.cols()), (2, 2));
/// assert_eq!(x[(0, 1)], 8.7);
/// ```
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Matrix<T> {
    data: Vec<T>,
    rows: usize,
    cols: usize,
}

impl<T: Scalar> Matrix<T> {
    /// `rows` × `cols` zeros.
    pub fn zeros(rows: usize, cols: usize) -> Self {
        Self { data: vec![T::ZERO; rows * cols], rows, cols }
    }

    /// A matrix of the numbers in `data`, row after row.
    ///
    /// # Errors
    /// If `data` has not `rows · cols` elements.
    pub fn from_vec(rows: usize, cols: usize, data: Vec<T>) -> Result<Self, Error> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(Error::Length {
                what: "a matrix's data",
                expected: rows.saturating_mul(cols),
                got: data.len(),
            });
        }
        Ok(Self { data, rows, cols })
    }

    /// A matrix written out row by row.
    pub fn from_rows<const COLS: usize>(rows: &[[T; COLS]]) -> Self {
        Self { data: rows.as_flattened().to_vec(), rows: rows.len(), cols: COLS }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All elements, row after row.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// All elements, row after row.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.data
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &[T] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// Row `i`.
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The rows in `range`.
    pub fn rows_range(&self, range: Range<usize>) -> MatrixRef<'_, T> {
        let data = &self.data[range.start * self.cols..range.end * self.cols];
        MatrixRef { data, rows: range.len(), cols: self.cols }
    }

    /// The rows in `range`, for writing.
    pub fn rows_range_mut(&mut self, range: Range<usize>) -> MatrixMut<'_, T> {
        let data = &mut self.data[range.start * self.cols..range.end * self.cols];
        MatrixMut { data, rows: range.len(), cols: self.cols }
    }

    /// The whole matrix as a view.
    pub fn view(&self) -> MatrixRef<'_, T> {
        MatrixRef { data: &self.data, rows: self.rows, cols: self.cols }
    }

    /// The whole matrix as a mutable view.
    pub fn view_mut(&mut self) -> MatrixMut<'_, T> {
        MatrixMut { data: &mut self.data, rows: self.rows, cols: self.cols }
    }

    /// Sets the number of rows, keeping the allocation; new elements are zero, old ones keep their place.
    pub fn resize_rows(&mut self, rows: usize) {
        self.data.resize(rows * self.cols, T::ZERO);
        self.rows = rows;
    }

    /// Every element through f64: exact when widening, rounded to nearest when narrowing.
    pub fn cast<U: Scalar>(&self) -> Matrix<U> {
        Matrix { data: self.data.iter().map(|x| U::from_f64(x.to_f64())).collect(), rows: self.rows, cols: self.cols }
    }
}

impl<T: Scalar> Index<(usize, usize)> for Matrix<T> {
    type Output = T;
    fn index(&self, (i, j): (usize, usize)) -> &T {
        &self.row(i)[j]
    }
}

impl<T: Scalar> IndexMut<(usize, usize)> for Matrix<T> {
    fn index_mut(&mut self, (i, j): (usize, usize)) -> &mut T {
        &mut self.row_mut(i)[j]
    }
}

/// A row-major matrix that somebody else owns, its rows without gaps.
#[derive(Clone, Copy, Debug)]
pub struct MatrixRef<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
}

impl<'a, T: Scalar> MatrixRef<'a, T> {
    /// A view of `data` as `rows` × `cols`.
    ///
    /// # Errors
    /// If `data` has not `rows · cols` elements.
    pub fn new(rows: usize, cols: usize, data: &'a [T]) -> Result<Self, Error> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(Error::Length {
                what: "a matrix's data",
                expected: rows.saturating_mul(cols),
                got: data.len(),
            });
        }
        Ok(Self { data, rows, cols })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All elements, row after row.
    pub fn as_slice(&self) -> &'a [T] {
        self.data
    }

    /// Row `i`.
    pub fn row(&self, i: usize) -> &'a [T] {
        &self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The rows in `range`.
    pub fn rows_range(&self, range: Range<usize>) -> MatrixRef<'a, T> {
        let data = &self.data[range.start * self.cols..range.end * self.cols];
        MatrixRef { data, rows: range.len(), cols: self.cols }
    }

    /// The same numbers with each row cut into `parts` rows: [rows, cols] as [rows·parts, cols / parts].
    ///
    /// # Panics
    /// If `parts` does not divide the columns.
    pub fn cut_rows(self, parts: usize) -> Self {
        assert!(self.cols.is_multiple_of(parts), "{} columns in {parts} parts", self.cols);
        Self { rows: self.rows * parts, cols: self.cols / parts, ..self }
    }

    /// A copy that owns its numbers.
    pub fn to_owned(&self) -> Matrix<T> {
        Matrix { data: self.data.to_vec(), rows: self.rows, cols: self.cols }
    }
}

/// A row-major matrix that somebody else owns and we may write.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    data: &'a mut [T],
    rows: usize,
    cols: usize,
}

impl<'a, T: Scalar> MatrixMut<'a, T> {
    /// A view of `data` as `rows` × `cols`.
    ///
    /// # Errors
    /// If `data` has not `rows · cols` elements.
    pub fn new(rows: usize, cols: usize, data: &'a mut [T]) -> Result<Self, Error> {
        if rows.checked_mul(cols) != Some(data.len()) {
            return Err(Error::Length {
                what: "a matrix's data",
                expected: rows.saturating_mul(cols),
                got: data.len(),
            });
        }
        Ok(Self { data, rows, cols })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All elements, row after row.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        self.data
    }

    /// Row `i`.
    pub fn row_mut(&mut self, i: usize) -> &mut [T] {
        &mut self.data[i * self.cols..(i + 1) * self.cols]
    }

    /// The same numbers with each row cut into `parts` rows: [rows, cols] as [rows·parts, cols / parts].
    ///
    /// # Panics
    /// If `parts` does not divide the columns.
    pub fn cut_rows(self, parts: usize) -> Self {
        assert!(self.cols.is_multiple_of(parts), "{} columns in {parts} parts", self.cols);
        Self { rows: self.rows * parts, cols: self.cols / parts, ..self }
    }

    /// All elements, for as long as the view was given.
    pub fn into_mut_slice(self) -> &'a mut [T] {
        self.data
    }

    /// The same view for a shorter time.
    pub fn reborrow(&mut self) -> MatrixMut<'_, T> {
        MatrixMut { data: self.data, rows: self.rows, cols: self.cols }
    }

    /// The view for reading.
    pub fn as_ref(&self) -> MatrixRef<'_, T> {
        MatrixRef { data: self.data, rows: self.rows, cols: self.cols }
    }
}
