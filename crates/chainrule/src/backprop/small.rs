//! A small network's step: the same numbers as a [`Pass`](super::pass), without its fixed price (2-3-2-1 with ten rows: 6,900
//! instructions a step instead of 23,000). Rows stand across the lanes, so a layer of three neurons fills vectors as well as
//! one of a hundred, and a layer is one call.

use super::Data;
use super::workspace::Workspace;
use crate::kernels::InstructionSet;
use crate::kernels::small::{Columns, Gradient};
use crate::layer::Layer;
use crate::loss::Loss;
use crate::matrix::{MatrixMut, MatrixRef};
use crate::network::Network;
use crate::scalar::Scalar;

/// A step of more multiply-adds forward is better off with tiles (2-8-8-1, 32 rows: 3.0 against 6.4 µs; 10-32-1: 7.0 against
/// 6.5).
const MOST: usize = 8192;
/// Columns begin at multiples of so many elements: a vector of any instruction set.
const TOGETHER: usize = 16;

/// What a small network's step writes: matrices column by column, one column `stride` elements after the other.
#[derive(Debug)]
pub(crate) struct Small<T> {
    stride: usize,
    rows: usize,
    target_columns: usize,
    /// `outputs[0]` = X⁽⁰⁾; `outputs[k + 1]` = the output of layer k.
    outputs: Vec<Vec<T>>,
    /// `deltas[k]` = ∂J/∂outputs[k] where layer k − 1 is dense, after an activation's factor.
    deltas: Vec<Vec<T>>,
    /// Row by row: targets, shares wᵢ/Σw, losses; the last layer's output and any δ.
    y: Vec<T>,
    shares: Vec<T>,
    losses: Vec<T>,
    z: Vec<T>,
    delta: Vec<T>,
}

impl<T: Scalar> Small<T> {
    /// Room for batches of up to `most_rows` rows, if the network is small and has dense layers and activations only.
    pub(crate) fn new(network: &Network<T>, loss: &Loss, most_rows: usize) -> Option<Self> {
        let plain = |(k, layer): (usize, &Layer)| match layer {
            Layer::Dense { .. } => true,
            Layer::Activation(activation) => {
                k > 0 && !activation.is_own() && matches!(network.layers()[k - 1], Layer::Dense { .. })
            }
            _ => false,
        };
        let last = matches!(network.layers().last(), Some(Layer::Dense { .. }));
        let work = most_rows.saturating_mul(network.parameters().len());
        if !last || work > MOST || !network.layers().iter().enumerate().all(plain) {
            return None;
        }
        let stride = most_rows.next_multiple_of(TOGETHER);
        let widths = || std::iter::once(network.inputs()).chain(network.slots.iter().map(|slot| slot.outputs));
        let columns = || widths().map(|width| vec![T::ZERO; width * stride]).collect();
        let widest = widths().max().unwrap_or(0);
        let target_columns = loss.target_columns(network.outputs()).ok()?;
        Some(Self {
            stride,
            rows: 0,
            target_columns,
            outputs: columns(),
            deltas: columns(),
            y: vec![T::ZERO; most_rows * target_columns],
            shares: vec![T::ZERO; most_rows],
            losses: vec![T::ZERO; most_rows],
            z: vec![T::ZERO; most_rows * network.outputs()],
            delta: vec![T::ZERO; most_rows * widest + TOGETHER],
        })
    }

    /// J and ∂J/∂θ for rows `batch`: [`loss_and_gradient`](super::loss_and_gradient).
    pub(crate) fn loss_and_gradient(
        &mut self,
        network: &Network<T>,
        loss: &Loss,
        data: &Data<'_, T>,
        batch: &[usize],
        set: InstructionSet,
        gradient: &mut [T],
    ) -> f64 {
        let total = data.weight(batch);
        self.gather(data, batch, total);
        self.forward(network, set);
        self.losses(network, loss, set);
        self.backward(network, set, gradient);
        let losses = self.losses[..self.rows].iter().map(|loss| loss.to_f64());
        let weighted: f64 = match data.weights {
            None => losses.sum(),
            Some(weights) => losses.zip(batch).map(|(loss, &row)| weights[row].to_f64() * loss).sum(),
        };
        weighted / total
    }

    fn gather(&mut self, data: &Data<'_, T>, batch: &[usize], total: f64) {
        self.rows = batch.len();
        let (inputs, x) = (data.x.cols(), data.x.as_slice());
        for (i, column) in self.outputs[0].chunks_exact_mut(self.stride).enumerate() {
            pick(x, (i, inputs), batch, column);
        }
        let (columns, y) = (self.target_columns, data.y.as_slice());
        if columns == 1 {
            pick(y, (0, 1), batch, &mut self.y);
        } else {
            for (to, &row) in self.y.chunks_exact_mut(columns).zip(batch) {
                to.copy_from_slice(&y[row * columns..][..columns]);
            }
        }
        match data.weights {
            None => self.shares.fill(T::from_f64(1.0 / total)),
            Some(weights) => {
                for (share, &row) in self.shares.iter_mut().zip(batch) {
                    *share = T::from_f64(weights[row].to_f64() / total);
                }
            }
        }
    }

    /// Equations 1 and 2.
    fn forward(&mut self, network: &Network<T>, set: InstructionSet) {
        let (rows, stride) = (self.rows, self.stride);
        for (k, (layer, slot)) in network.layers().iter().zip(&network.slots).enumerate() {
            let (before, after) = self.outputs.split_at_mut(k + 1);
            let (columns, out) = (&before[k][..], &mut after[0][..]);
            if let Layer::Activation(activation) = layer {
                activation.activate(set, columns, out);
                continue;
            }
            let weights = &network.parameters[slot.first.clone()];
            let start = Some(&network.parameters[slot.second.clone()]);
            let (steps, shape) = ((slot.outputs, 1), (slot.inputs, slot.outputs));
            Columns { rows, stride, columns, weights, steps, start, out, shape }.run(set);
        }
    }

    /// Each row's loss, and δ⁽ᴸ⁾ (equation 8), row by row.
    fn losses(&mut self, network: &Network<T>, loss: &Loss, set: InstructionSet) {
        let (rows, width, columns) = (self.rows, network.outputs(), self.target_columns);
        let z = &self.outputs[network.layers().len()];
        turn(z, self.stride, rows, width, &mut self.z);
        let z = MatrixRef::new(rows, width, &self.z[..rows * width]).expect("a batch's z");
        let y = MatrixRef::new(rows, columns, &self.y[..rows * columns]).expect("a batch's y");
        let delta = MatrixMut::new(rows, width, &mut self.delta[..rows * width]).expect("a batch's δ");
        loss.value_and_delta(set, z, y, &self.shares[..rows], &mut self.losses[..rows], delta);
    }

    /// Equations 9 to 11, the last layer first: its δ stands row by row.
    fn backward(&mut self, network: &Network<T>, set: InstructionSet, gradient: &mut [T]) {
        let (rows, stride, last) = (self.rows, self.stride, network.layers().len());
        turn_back(&self.delta, stride, rows, network.outputs(), &mut self.deltas[last]);
        for k in (0..last).rev() {
            let slot = &network.slots[k];
            if let Layer::Activation(activation) = &network.layers()[k] {
                let (before, after) = self.deltas.split_at_mut(k + 1);
                // The dense layer before reads it as its own output's.
                std::mem::swap(&mut before[k], &mut after[0]);
                activation.differentiate(set, &self.outputs[k], &self.outputs[k + 1], &mut before[k]);
                continue;
            }
            if k + 1 < last {
                turn(&self.deltas[k + 1], stride, rows, slot.outputs, &mut self.delta);
            }
            let (weights, biases) = gradient[slot.first.start..slot.second.end].split_at_mut(slot.first.len());
            Gradient { rows, stride, x: &self.outputs[k], delta: &self.delta, weights, biases }.run(set);
            if k > 0 {
                let weights = &network.parameters[slot.first.clone()];
                let (before, after) = self.deltas.split_at_mut(k + 1);
                let (columns, out) = (&after[0][..], &mut before[k][..]);
                let (steps, shape) = ((1, slot.outputs), (slot.outputs, slot.inputs));
                Columns { rows, stride, columns, weights, steps, start: None, out, shape }.run(set);
            }
        }
    }

    /// Leaves the last step's activations and losses where a pass leaves them.
    pub(crate) fn show(&self, workspace: &mut Workspace<T>) {
        workspace.share_out(self.rows, self.target_columns);
        let block = &mut workspace.blocks[0];
        for (matrix, columns) in block.outputs.iter_mut().zip(&self.outputs) {
            let width = matrix.cols();
            turn(columns, self.stride, self.rows, width, matrix.as_mut_slice());
        }
        block.y.as_mut_slice().copy_from_slice(&self.y[..self.rows * self.target_columns]);
        block.losses.copy_from_slice(&self.losses[..self.rows]);
    }
}

/// to ← element `place.0` of the rows `batch` of `from`, each of `place.1` elements.
fn pick<T: Scalar>(from: &[T], place: (usize, usize), batch: &[usize], to: &mut [T]) {
    let (column, width) = place;
    for (to, &row) in to.iter_mut().zip(batch) {
        *to = from[row * width + column];
    }
}

/// to \[rows, width\] row by row ← columns.
fn turn<T: Scalar>(columns: &[T], stride: usize, rows: usize, width: usize, to: &mut [T]) {
    if width == 1 {
        return to[..rows].copy_from_slice(&columns[..rows]);
    }
    for (j, column) in columns.chunks_exact(stride).enumerate() {
        for (row, &x) in to.chunks_exact_mut(width).zip(&column[..rows]) {
            row[j] = x;
        }
    }
}

/// to ← columns of `from` \[rows, width\], which stands row by row.
fn turn_back<T: Scalar>(from: &[T], stride: usize, rows: usize, width: usize, to: &mut [T]) {
    if width == 1 {
        return to[..rows].copy_from_slice(&from[..rows]);
    }
    for (j, column) in to.chunks_exact_mut(stride).enumerate() {
        for (x, row) in column[..rows].iter_mut().zip(from.chunks_exact(width)) {
            *x = row[j];
        }
    }
}
