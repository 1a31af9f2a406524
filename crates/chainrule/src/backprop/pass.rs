//! A block of rows through the layers and back: each kind of layer has an arm in the forward and in the backward pass.

use super::Mode;
use super::workspace::{Block, Norm, Owner};
use crate::kernels::{InstructionSet, multiply, prefetch};
use crate::layer::{Layer, batch_norm, dense, dropout, heads, layer_norm, members, piecewise};
use crate::loss::Loss;
use crate::matrix::MatrixRef;
use crate::network::Network;
use crate::random::{Purpose, Stream};
use crate::scalar::Scalar;
use std::ops::Range;

/// So many rows pass a dense layer and the layers behind it before the next ones do, so that those find them in the
/// cache: some tiles' rows.
pub(super) const ROWS_AT_ONCE: usize = 56;
/// Unless the layer's weights are more than this: they would be read anew too often.
pub(super) const WEIGHTS_AT_ONCE: usize = 512 * 1024;

/// One pass of a batch: what all phases read.
pub(super) struct Pass<'a, T> {
    pub(super) network: &'a Network<T>,
    pub(super) x: MatrixRef<'a, T>,
    /// The batch's rows of x and y; `None`: all.
    pub(super) batch: Option<&'a [usize]>,
    pub(super) targets: Option<Targets<'a, T>>,
    pub(super) mode: Mode,
    pub(super) set: InstructionSet,
    /// Whether the first layer reads all rows where they stand, for nobody asks the workspace for X⁽⁰⁾ afterwards.
    pub(super) in_place: bool,
    /// The first layer with parameters: no delta is needed before it.
    pub(super) first: usize,
}

#[derive(Clone, Copy)]
pub(super) struct Targets<'a, T> {
    pub(super) loss: &'a Loss,
    pub(super) y: MatrixRef<'a, T>,
    pub(super) weights: Option<&'a [T]>,
    /// Σw over the batch.
    pub(super) total: f64,
}

/// How many rows of a shuffled batch ahead memory is asked for: each stands somewhere else, and memory takes its time.
pub(super) const ROWS_AHEAD: usize = 12;

impl<'a, T: Scalar> Pass<'a, T> {
    pub(super) fn training(&self) -> bool {
        matches!(self.mode, Mode::Training { .. })
    }

    /// Row `i` of the batch as a row of the data.
    pub(super) fn row(&self, i: usize) -> usize {
        self.batch.map_or(i, |batch| batch[i])
    }

    /// Whether deltas pass layer `k` on their way back.
    fn goes_back_through(&self, k: usize) -> bool {
        self.targets.is_some() && k >= self.first
    }

    pub(super) fn gather(&self, block: &mut Block<T>) {
        let Range { start, end } = block.rows;
        let batch = self.batch.map(|batch| &batch[..end]);
        for i in start..end {
            if let Some(&soon) = batch.and_then(|batch| batch.get(i + ROWS_AHEAD)) {
                // Of a long row the beginning: the processor itself sees that the rest follows.
                let row = self.x.row(soon);
                prefetch(&row[..row.len().min(64)]);
                self.targets.iter().for_each(|targets| prefetch(targets.y.row(soon)));
            }
            if !self.in_place {
                block.outputs[0].row_mut(i - start).copy_from_slice(self.x.row(self.row(i)));
            }
        }
        let Some(Targets { y, weights, total, .. }) = self.targets else { return };
        let members = self.network.members();
        let share = |weight: f64| T::from_f64(weight / (total * members as f64));
        let equal = share(1.0);
        for i in start..end {
            let (row, of_row) = (self.row(i), (i - start) * members..(i - start + 1) * members);
            block.shares[of_row.clone()].fill(weights.map_or(equal, |weights| share(weights[row].to_f64())));
            for m in of_row {
                match (block.y.row_mut(m), y.row(row)) {
                    // Not worth a call.
                    ([to], [from]) => *to = *from,
                    (to, from) => to.copy_from_slice(from),
                }
            }
        }
    }

    /// Whether layer `k` takes each row for itself, element by element or nearly so.
    pub(super) fn takes_rows(&self, k: usize) -> bool {
        match &self.network.layers()[k] {
            Layer::Activation(activation) => !activation.is_own(),
            layer => matches!(layer, Layer::Dropout { .. } | Layer::LayerNorm { .. }),
        }
    }

    /// How many of a block's rows pass layer `k` before the next ones do.
    pub(super) fn rows_at_once(&self, k: usize, rows: usize) -> usize {
        let slot = &self.network.slots[k];
        match self.network.layers()[k] {
            Layer::Dense { .. } if slot.first.len() * T::BYTES <= WEIGHTS_AT_ONCE => {
                (ROWS_AT_ONCE / slot.members).max(1)
            }
            _ => rows.max(1),
        }
    }

    /// Activations through `layers` (equations 1 and 2).
    pub(super) fn forward(&self, block: &mut Block<T>, layers: Range<usize>, norms: &[Norm<T>], owners: &[Owner<T>]) {
        let (mut k, n) = (layers.start, block.rows.len());
        while k < layers.end {
            let dense = matches!(self.network.layers()[k], Layer::Dense { .. });
            let together = 1 + (k + 1..layers.end).take_while(|&next| dense && self.takes_rows(next)).count();
            let at_once = self.rows_at_once(k, n);
            for start in (0..n).step_by(at_once) {
                for layer in k..k + together {
                    self.forward_layer(block, layer, start..n.min(start + at_once), norms, owners);
                }
            }
            k += together;
        }
    }

    /// Rows `rows` of the block through layer `k`.
    pub(super) fn forward_layer(
        &self,
        block: &mut Block<T>,
        k: usize,
        rows: Range<usize>,
        norms: &[Norm<T>],
        owners: &[Owner<T>],
    ) {
        let slot = &self.network.slots[k];
        let (before, after) = block.outputs.split_at_mut(k + 1);
        let x = if k == 0 && self.in_place {
            self.x.rows_range(block.rows.start + rows.start..block.rows.start + rows.end)
        } else {
            before[k].rows_range(rows.clone())
        };
        let mut y = after[0].rows_range_mut(rows.clone());
        let second = &self.network.parameters[slot.second.clone()];
        match &self.network.layers()[k] {
            Layer::Dense { .. } => {
                let weights = self.network.weights(k);
                let panels = owners.iter().filter_map(|owner| owner.panels[k].as_ref());
                let (x, y) = (x.cut_rows(slot.members), y.cut_rows(slot.members));
                dense::forward(self.set, &mut block.scratch, weights, panels, second, x, y);
            }
            Layer::Heads { .. } => {
                let (weights, scratch) = (self.network.weights(k), &mut block.scratch);
                heads::forward(self.set, scratch, slot.members, weights, second, x, y);
            }
            Layer::Members { .. } => {
                let scale = &self.network.parameters[slot.first.clone()];
                T::dispatch(self.set, members::Forward { scale, shift: second, x, y });
            }
            Layer::Piecewise { .. } => {
                let shape = self.embedding(k);
                let (kept, knots) = (&mut block.kept[k], &mut block.knots[k][..]);
                piecewise::forward(self.set, shape, x, y, kept, knots);
            }
            Layer::Activation(activation) => {
                let (x, y) = (x.as_slice(), y.as_mut_slice());
                if activation.keeps_derivative() && self.goes_back_through(k) {
                    let derivative = block.kept[k].rows_range_mut(rows).into_mut_slice();
                    activation.activate_and_derive(self.set, x, y, derivative);
                } else {
                    activation.activate(self.set, x, y);
                }
            }
            Layer::Dropout { rate } => match self.mode {
                Mode::Evaluation => y.as_mut_slice().copy_from_slice(x.as_slice()),
                Mode::Training { seed, step } => {
                    let stream = Stream::new(seed, Purpose::Dropout { layer: k }, step);
                    let first = ((block.rows.start + rows.start) * slot.outputs) as u64;
                    let mut mask = block.kept[k].rows_range_mut(rows);
                    let (x, y, mask) = (x.as_slice(), y.as_mut_slice(), mask.as_mut_slice());
                    T::dispatch(self.set, dropout::Forward { rate: *rate, stream: &stream, first, x, mask, y });
                }
            },
            Layer::BatchNorm { epsilon, .. } => {
                let (mean, variance) = self.normalisers(k, norms);
                let scale = &self.network.parameters[slot.first.clone()];
                let kernel = batch_norm::Forward { epsilon: *epsilon, scale, shift: second, mean, variance, x, y };
                T::dispatch(self.set, kernel);
            }
            Layer::LayerNorm { epsilon } => {
                let scale = &self.network.parameters[slot.first.clone()];
                let mut statistics = block.kept[k].rows_range_mut(rows);
                let statistics = statistics.as_mut_slice();
                let kernel = layer_norm::Forward { epsilon: *epsilon, scale, shift: second, x, y, statistics };
                T::dispatch(self.set, kernel);
            }
        }
    }

    /// The numbers of the embedding at layer `k`.
    pub(super) fn embedding(&self, k: usize) -> piecewise::Shape<'_, T> {
        let Layer::Piecewise { bins, width, columns } = &self.network.layers()[k] else {
            unreachable!("layer {k} is an embedding")
        };
        let slot = &self.network.slots[k];
        piecewise::Shape {
            columns,
            bins: *bins,
            width: *width,
            edges: &self.network.running[slot.edges.clone()],
            weights: &self.network.parameters[slot.first.clone()],
            biases: &self.network.parameters[slot.second.clone()],
        }
    }

    /// A batch norm's means and variances: the batch's in training, else the running ones.
    pub(super) fn normalisers<'s>(&'s self, k: usize, norms: &'s [Norm<T>]) -> (&'s [T], &'s [T]) {
        let slot = &self.network.slots[k];
        if self.training() {
            (&norms[k].mean, &norms[k].variance)
        } else {
            let running = &self.network.running;
            (&running[slot.running_mean.clone()], &running[slot.running_variance.clone()])
        }
    }

    /// Each row's loss, and δ⁽ᴸ⁾ (equation 8).
    pub(super) fn losses(&self, block: &mut Block<T>, delta_of: &[usize]) {
        let Some(Targets { loss, .. }) = self.targets else { return };
        let last = self.network.layers().len();
        let members = self.network.members();
        let delta = block.deltas[delta_of[last]].view_mut().cut_rows(members);
        let z = block.outputs[last].view().cut_rows(members);
        loss.value_and_delta(self.set, z, block.y.view(), &block.shares, &mut block.losses, delta);
    }

    /// Deltas through `layers`, last first (equation 9).
    pub(super) fn backward(&self, block: &mut Block<T>, layers: Range<usize>, back: &Back<'_, T>) {
        let (start, mut end, n) = (layers.start.max(self.first), layers.end, block.rows.len());
        while end > start {
            let k = end - 1;
            let dense = matches!(self.network.layers()[k], Layer::Dense { .. });
            let together = (start..k).rev().take_while(|&before| dense && self.takes_rows(before)).count();
            let at_once = self.rows_at_once(k, n);
            for first in (0..n).step_by(at_once) {
                for layer in (k - together..=k).rev() {
                    self.backward_layer(block, layer, first..n.min(first + at_once), back);
                }
            }
            end = k - together;
        }
    }

    /// The deltas of rows `rows` through layer `k`.
    pub(super) fn backward_layer(&self, block: &mut Block<T>, k: usize, rows: Range<usize>, back: &Back<'_, T>) {
        let Back { delta_of, norms, owners, gradient, batch_rows } = *back;
        let slot = &self.network.slots[k];
        let scale = &self.network.parameters[slot.first.clone()];
        let (d_out, d_in) = (delta_of[k + 1], delta_of[k]);
        let x = block.outputs[k].rows_range(rows.clone());
        match &self.network.layers()[k] {
            Layer::Activation(activation) if activation.keeps_derivative() => {
                let derivative = block.kept[k].rows_range(rows.clone());
                let mut delta = block.deltas[d_out].rows_range_mut(rows);
                multiply(self.set, delta.as_mut_slice(), derivative.as_slice());
            }
            Layer::Activation(activation) => {
                let y = block.outputs[k + 1].rows_range(rows.clone());
                let mut delta = block.deltas[d_out].rows_range_mut(rows);
                activation.differentiate(self.set, x.as_slice(), y.as_slice(), delta.as_mut_slice());
            }
            Layer::Dropout { .. } => {
                if let Mode::Training { .. } = self.mode {
                    let mask = block.kept[k].rows_range(rows.clone());
                    let mut delta = block.deltas[d_out].rows_range_mut(rows);
                    multiply(self.set, delta.as_mut_slice(), mask.as_slice());
                }
            }
            // A layer norm's way back adds up its gradient.
            layer if k == self.first && !matches!(layer, Layer::LayerNorm { .. }) => {}
            layer => {
                // Later buffers belong to earlier layers.
                let (later, earlier) = block.deltas.split_at_mut(d_in);
                let (delta, delta_in) =
                    (later[d_out].rows_range(rows.clone()), earlier[0].rows_range_mut(rows.clone()));
                match layer {
                    Layer::BatchNorm { epsilon, .. } => {
                        let (mean, variance) = self.normalisers(k, norms);
                        let sums = self
                            .training()
                            .then(|| (batch_rows, &gradient[slot.first.clone()], &gradient[slot.second.clone()]));
                        let epsilon = *epsilon;
                        let kernel = batch_norm::Backward { epsilon, scale, mean, variance, sums, x, delta, delta_in };
                        T::dispatch(self.set, kernel);
                    }
                    Layer::LayerNorm { .. } => {
                        let statistics = block.kept[k].rows_range(rows.clone());
                        let (statistics, sums) = (statistics.as_slice(), &mut block.sums[k][..]);
                        if rows.start == 0 {
                            sums.fill(T::ZERO);
                        }
                        T::dispatch(self.set, layer_norm::Backward { scale, x, statistics, delta, delta_in, sums });
                    }
                    Layer::Members { .. } => {
                        T::dispatch(self.set, members::Backward { scale, delta, delta_in });
                    }
                    Layer::Piecewise { .. } => {
                        piecewise::backward(self.embedding(k), x, &block.kept[k], delta, delta_in);
                    }
                    Layer::Heads { .. } => {
                        let (weights, scratch) = (self.network.weights(k), &mut block.scratch);
                        heads::backward(self.set, scratch, slot.members, weights, delta, delta_in);
                    }
                    _ => {
                        let weights = self.network.weights(k);
                        let panels = owners.iter().filter_map(|owner| owner.panels[k].as_ref());
                        let (delta, delta_in) = (delta.cut_rows(slot.members), delta_in.cut_rows(slot.members));
                        dense::backward(self.set, &mut block.scratch, weights, panels, delta, delta_in);
                    }
                }
            }
        }
    }
}

/// What the backward pass reads besides a block.
#[derive(Clone, Copy)]
pub(super) struct Back<'a, T> {
    pub(super) delta_of: &'a [usize],
    pub(super) norms: &'a [Norm<T>],
    pub(super) owners: &'a [Owner<T>],
    /// Holds the sums of batch norms.
    pub(super) gradient: &'a [T],
    pub(super) batch_rows: usize,
}
