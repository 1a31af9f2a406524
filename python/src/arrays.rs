//! NumPy arrays of either precision, as slices.

use chainrule::{MatrixRef, Scalar};
use numpy::{PyArray1, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

/// A scalar of the library that NumPy has, too.
pub(crate) trait Number: Scalar + numpy::Element {}
impl Number for f32 {}
impl Number for f64 {}

/// Whether an array holds f64 (else f32): the parameters' type is that of a whole call.
pub(crate) fn is_double(array: &Bound<'_, PyAny>) -> PyResult<bool> {
    if array.cast::<PyArray1<f64>>().is_ok() {
        Ok(true)
    } else if array.cast::<PyArray1<f32>>().is_ok() {
        Ok(false)
    } else {
        Err(PyTypeError::new_err("expected the parameters as a one-dimensional array of float32 or float64"))
    }
}

/// Calls `$body` with the type `$t` that `$array` has.
macro_rules! by_type {
    ($array:expr, $t:ident => $body:expr) => {
        if $crate::arrays::is_double($array)? {
            type $t = f64;
            $body
        } else {
            type $t = f32;
            $body
        }
    };
}
pub(crate) use by_type;

pub(crate) fn vector<'py, T: Number>(what: &str, array: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray1<'py, T>> {
    array
        .extract()
        .map_err(|_| PyTypeError::new_err(format!("{what}: expected a one-dimensional array of {}", T::NAME)))
}

pub(crate) fn matrix<'py, T: Number>(what: &str, array: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray2<'py, T>> {
    array
        .extract()
        .map_err(|_| PyTypeError::new_err(format!("{what}: expected a two-dimensional array of {}", T::NAME)))
}

/// The rows of a C-contiguous array.
pub(crate) fn view<'a, T: Number>(what: &str, array: &'a PyReadonlyArray2<'_, T>) -> PyResult<MatrixRef<'a, T>> {
    let [rows, cols] = [array.shape()[0], array.shape()[1]];
    let slice =
        array.as_slice().map_err(|_| PyValueError::new_err(format!("{what}: expected a C-contiguous array")))?;
    MatrixRef::new(rows, cols, slice).map_err(crate::refused)
}
