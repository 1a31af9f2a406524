//! Heads: a dense layer for each member.

use crate::kernels::{InstructionSet, Scratch, Start, Strided, StridedMut, product};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// The columns of member `m` in a matrix [n, members·width].
fn of_member<T: Scalar>(matrix: MatrixRef<'_, T>, width: usize, m: usize) -> Strided<'_, T> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    Strided::new(&matrix.as_slice()[(m * width).min(rows * cols)..], rows, width, cols, 1)
}

/// The same for writing.
fn of_member_mut<'a, T: Scalar>(matrix: &'a mut MatrixMut<'_, T>, width: usize, m: usize) -> StridedMut<'a, T> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    StridedMut::new(&mut matrix.as_mut_slice()[(m * width).min(rows * cols)..], rows, width, cols)
}

/// Zₘ ← XₘWₘ + 1bₘᵀ: weights \[members·n_in, outputs\], biases \[members·outputs\].
pub(crate) fn forward<T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    members: usize,
    weights: MatrixRef<'_, T>,
    biases: &[T],
    x: MatrixRef<'_, T>,
    mut z: MatrixMut<'_, T>,
) {
    let (inputs, outputs) = (x.cols() / members, weights.cols());
    for m in 0..members {
        let weights = weights.rows_range(m * inputs..(m + 1) * inputs);
        let biases = &biases[m * outputs..(m + 1) * outputs];
        let z = of_member_mut(&mut z, outputs, m);
        product(set, scratch, Start::Bias(biases), of_member(x, inputs, m), weights, z);
    }
}

/// ∂J/∂Xₘ ← δₘWₘᵀ.
pub(crate) fn backward<T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    members: usize,
    weights: MatrixRef<'_, T>,
    delta: MatrixRef<'_, T>,
    mut delta_in: MatrixMut<'_, T>,
) {
    let (inputs, outputs) = (delta_in.cols() / members, weights.cols());
    for m in 0..members {
        let weights = Strided::from(weights.rows_range(m * inputs..(m + 1) * inputs)).transposed();
        let delta_in = of_member_mut(&mut delta_in, inputs, m);
        product(set, scratch, Start::Zero, of_member(delta, outputs, m), weights, delta_in);
    }
}

/// ∂J/∂Wₘ ← Xₘᵀδₘ for the members `of`, for the rows of one block; chains as a dense layer's.
pub(crate) fn weights_gradient<T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    members: usize,
    x: MatrixRef<'_, T>,
    delta: MatrixRef<'_, T>,
    of: Range<usize>,
    first_block: bool,
    gradient: &mut [T],
) {
    let (inputs, outputs) = (x.cols() / members, delta.cols() / members);
    if x.rows() == 0 {
        if first_block {
            gradient.fill(T::ZERO);
        }
        return;
    }
    let start = || if first_block { Start::Zero } else { Start::Stored };
    for (m, gradient) in of.zip(gradient.chunks_exact_mut(inputs * outputs)) {
        let gradient = StridedMut::new(gradient, inputs, outputs, outputs);
        let (x, delta) = (of_member(x, inputs, m).transposed(), of_member(delta, outputs, m));
        product(set, scratch, start(), x, delta, gradient);
    }
}
