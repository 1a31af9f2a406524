//! Dense: the receptors, Z = XW + 1bᵀ.

use crate::kernels::elementwise::each;
use crate::kernels::{InstructionSet, Kernel, Lanes, Scratch, Start, Strided, StridedMut, product};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// Z ← XW + 1bᵀ (equation 1), each element one chain over the inputs, started from its bias.
pub(crate) fn forward<T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    weights: MatrixRef<'_, T>,
    biases: &[T],
    x: MatrixRef<'_, T>,
    z: MatrixMut<'_, T>,
) {
    product(set, scratch, Start::Bias(biases), x, weights, z);
}

/// ∂J/∂X ← δWᵀ: the sum in equation 9, each element one chain over the neurons of this layer.
pub(crate) fn backward<T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    weights: MatrixRef<'_, T>,
    delta: MatrixRef<'_, T>,
    delta_in: MatrixMut<'_, T>,
) {
    product(set, scratch, Start::Zero, delta, Strided::from(weights).transposed(), delta_in);
}

/// Rows `inputs` of ∂J/∂W ← Xᵀδ (equation 10, summed over rows), for the rows of one block.
///
/// Each element is one chain over the batch's rows in order: the first block starts it from 0, the next go on.
pub(crate) fn weights_gradient<T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    x: MatrixRef<'_, T>,
    delta: MatrixRef<'_, T>,
    inputs: Range<usize>,
    first_block: bool,
    gradient: &mut [T],
) {
    let start = if first_block { Start::Zero } else { Start::Stored };
    if x.rows() == 0 {
        if first_block {
            gradient.fill(T::ZERO);
        }
        return;
    }
    // Columns `inputs` of X, transposed.
    let columns = Strided::new(&x.as_slice()[inputs.start..], x.rows(), inputs.len(), x.cols(), 1);
    let gradient = StridedMut::new(gradient, inputs.len(), delta.cols(), delta.cols());
    product(set, scratch, start, columns.transposed(), delta, gradient);
}

/// Columns `columns` of ∂J/∂b ← the sum of δ over rows in order (equation 11), for the rows of one block.
pub(crate) fn column_sums<T: Scalar>(
    set: InstructionSet,
    delta: MatrixRef<'_, T>,
    columns: Range<usize>,
    first_block: bool,
    sums: &mut [T],
) {
    if first_block {
        sums.fill(T::ZERO);
    }
    T::dispatch(set, ColumnSums { delta, columns, sums });
}

struct ColumnSums<'a, T> {
    delta: MatrixRef<'a, T>,
    columns: Range<usize>,
    sums: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for ColumnSums<'_, T> {
    type Output = ();
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, v: V) {
        for i in 0..self.delta.rows() {
            let row = &self.delta.row(i)[self.columns.clone()];
            each(v, [row], [&mut *self.sums], |[delta], [sum]| [sum + delta]);
        }
    }
}
