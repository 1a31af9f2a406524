//! Dense: the receptors, Z = XW + 1bᵀ.

use crate::kernels::{
    InstructionSet, Packed, Scratch, Start, Strided, StridedMut, product, product_packed, strips, sum_rows,
};
use crate::matrix::{MatrixMut, MatrixRef};
use crate::scalar::Scalar;
use std::ops::Range;

/// Some rows of W, laid out for the products of a batch: W for XW, and Wᵀ for δWᵀ.
#[derive(Debug)]
pub(crate) struct Panels<T> {
    /// Which rows of W, its inputs.
    inputs: Range<usize>,
    forward: Packed<T>,
    /// Where δ is needed before the layer.
    backward: Option<Packed<T>>,
}

impl<T: Scalar> Panels<T> {
    /// For rows `inputs` of W.
    pub(crate) fn new(inputs: Range<usize>) -> Self {
        Self { inputs, forward: Packed::new(), backward: None }
    }

    /// Lays out `weights`, the rows of W that these panels are for; transposed too if `backward`.
    pub(crate) fn fill(&mut self, set: InstructionSet, weights: MatrixRef<'_, T>, backward: bool) {
        let (rows, cols) = (weights.rows(), weights.cols());
        self.forward.shape(set, rows, cols);
        if backward && self.backward.is_none() {
            self.backward = Some(Packed::new());
        }
        if let Some(backward) = &mut self.backward {
            backward.shape(set, cols, rows);
        }
        self.fill_up_to(rows, weights.as_slice(), &mut 0);
    }

    /// Lays out what is complete when the rows before `end` have their final values: `weights` are all rows of these
    /// panels, of which the first `filled` are laid out already.
    pub(crate) fn fill_up_to(&mut self, end: usize, weights: &[T], filled: &mut usize) {
        let (rows, cols) = (self.forward.rows(), self.forward.cols());
        let width = self.backward.as_ref().map_or(1, Packed::width);
        let end = if end == rows { end } else { end / width * width };
        if end > *filled {
            let part = Strided::new(&weights[*filled * cols..end * cols], end - *filled, cols, cols, 1);
            self.forward.fill(*filled, 0, part);
            if let Some(backward) = &mut self.backward {
                backward.fill(0, *filled, part.transposed());
            }
            *filled = end;
        }
    }
}

/// Z ← XW + 1bᵀ (equation 1), each element one chain over the inputs, started from its bias.
///
/// `panels` cover W's rows in order; without any, the products read W itself.
pub(crate) fn forward<'p, T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    weights: MatrixRef<'_, T>,
    panels: impl Iterator<Item = &'p Panels<T>>,
    biases: &[T],
    x: MatrixRef<'_, T>,
    mut z: MatrixMut<'_, T>,
) {
    let mut start = Start::Bias(biases);
    for panels in panels {
        let x = columns(x, &panels.inputs);
        product_packed(scratch, start, x, &panels.forward, z.reborrow());
        start = Start::Stored;
    }
    if let Start::Bias(_) = start {
        product(set, scratch, start, x, weights, z);
    }
}

/// ∂J/∂X ← δWᵀ: the sum in equation 9, each element one chain over the neurons of this layer.
pub(crate) fn backward<'p, T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    weights: MatrixRef<'_, T>,
    panels: impl Iterator<Item = &'p Panels<T>>,
    delta: MatrixRef<'_, T>,
    mut delta_in: MatrixMut<'_, T>,
) {
    let (rows, stride) = (delta_in.rows(), delta_in.cols());
    let mut packed = false;
    for (inputs, backward) in panels.filter_map(|panels| Some((&panels.inputs, panels.backward.as_ref()?))) {
        packed = true;
        let columns = &mut delta_in.as_mut_slice()[if rows == 0 { 0 } else { inputs.start }..];
        product_packed(scratch, Start::Zero, delta, backward, StridedMut::new(columns, rows, inputs.len(), stride));
    }
    if !packed {
        product(set, scratch, Start::Zero, delta, Strided::from(weights).transposed(), delta_in);
    }
}

/// Columns `inputs` of a matrix.
fn columns<'a, T: Scalar>(x: MatrixRef<'a, T>, inputs: &Range<usize>) -> Strided<'a, T> {
    let from = if x.rows() == 0 { 0 } else { inputs.start };
    Strided::new(&x.as_slice()[from..], x.rows(), inputs.len(), x.cols(), 1)
}

/// Rows `inputs` of ∂J/∂W ← Xᵀδ (equation 10, summed over rows), strip by strip.
///
/// Each element is one chain over the batch's rows in order: x(0) and delta(0) are those of the first block, and so on.
/// `done(rows, strip)` is called for each strip right after it is complete.
pub(crate) fn weights_gradient<'m, T: Scalar>(
    set: InstructionSet,
    scratch: &mut Scratch<T>,
    blocks: usize,
    x: impl Fn(usize) -> MatrixRef<'m, T>,
    delta: impl Fn(usize) -> MatrixRef<'m, T>,
    inputs: Range<usize>,
    gradient: &mut [T],
    done: impl FnMut(Range<usize>, &mut [T]),
) {
    let x = |block: usize| columns(x(block), &inputs);
    strips(set, scratch, blocks, x, |block| delta(block).into(), gradient, done);
}

/// Columns `columns` of ∂J/∂b ← the sum of δ over rows in order (equation 11), for the rows of one block.
pub(crate) fn column_sums<T: Scalar>(
    set: InstructionSet,
    delta: MatrixRef<'_, T>,
    columns: Range<usize>,
    first_block: bool,
    sums: &mut [T],
) {
    let start = if first_block { Start::Zero } else { Start::Stored };
    sum_rows(set, start, self::columns(delta, &columns), sums);
}
