//! What a pass computes and keeps: blocks of rows for the workers, ranges of parameters for the same.

use crate::error::Operands;
use crate::kernels::{InstructionSet, Processor, Scratch};
use crate::layer::Layer;
use crate::layer::dense::Panels;
use crate::matrix::{Matrix, MatrixRef};
use crate::network::{Network, Role, Segment};
use crate::scalar::Scalar;
use std::ops::Range;

/// The rows of a batch that one worker passes through the network, with all that the backward pass needs of them.
#[derive(Debug)]
pub(super) struct Block<T> {
    /// Which rows of the batch.
    pub(super) rows: Range<usize>,
    /// `outputs[0]` = X⁽⁰⁾; `outputs[k + 1]` = the output of layer k.
    pub(super) outputs: Vec<Matrix<T>>,
    /// `deltas[delta_of[k]]` = ∂J/∂outputs[k].
    pub(super) deltas: Vec<Matrix<T>>,
    /// What layer k keeps for its backward pass: dropout's mask, a long formula's derivative, layer norm's statistics, an
    /// embedding's places.
    pub(super) kept: Vec<Matrix<T>>,
    /// The knots of an embedding at layer k.
    pub(super) knots: Vec<Vec<T>>,
    /// ∂J/∂γ and ∂J/∂β of a layer norm at layer k, added up on the way back: where the block is the whole batch.
    pub(super) sums: Vec<Vec<T>>,
    /// Targets, shares wᵢ / Σw and losses: one for each member of each row.
    pub(super) y: Matrix<T>,
    pub(super) shares: Vec<T>,
    pub(super) losses: Vec<T>,
    pub(super) scratch: Scratch<T>,
}

/// A batch norm's statistics of the batch: means, population variances, and the bounds of the workers' columns.
#[derive(Debug)]
pub(super) struct Norm<T> {
    pub(super) mean: Vec<T>,
    pub(super) variance: Vec<T>,
    pub(super) bounds: Vec<usize>,
}

/// What the worker keeps to whom a range of the parameters belongs.
#[derive(Debug)]
pub(super) struct Owner<T> {
    pub(super) scratch: Scratch<T>,
    /// For each layer, the rows of W in the range, if it is a dense one: all workers read them.
    pub(super) panels: Vec<Option<Panels<T>>>,
}

impl<T: Scalar> Owner<T> {
    /// Lays out the weights in `range` for the products of a batch.
    pub(super) fn lay_out(&mut self, network: &Network<T>, range: Range<usize>, set: InstructionSet, backward: bool) {
        let first = first_with_parameters(network);
        for segment in network.layout().segments().iter().filter(|segment| has_panels(network.layers(), segment)) {
            let part = segment.range.start.max(range.start)..segment.range.end.min(range.end);
            if part.is_empty() {
                continue;
            }
            let row = |at: usize| (at - segment.range.start) / segment.shape[1];
            let inputs = row(part.start)..row(part.end);
            let weights = MatrixRef::new(inputs.len(), segment.shape[1], &network.parameters()[part]);
            self.panels[segment.layer].get_or_insert_with(|| Panels::new(inputs)).fill(
                set,
                weights.expect("whole rows of W"),
                backward && segment.layer > first,
            );
        }
    }
}

/// Whether a segment is the weights of a dense layer that tiles are worth laying out for.
pub(super) fn has_panels(layers: &[Layer], segment: &Segment) -> bool {
    segment.role == Role::Weights
        && matches!(layers[segment.layer], Layer::Dense { .. })
        && segment.shape.iter().all(|&n| n > 1)
}

/// The first layer with parameters: no delta is needed before it.
pub(super) fn first_with_parameters<T: Scalar>(network: &Network<T>) -> usize {
    network.layout().segments().first().map_or(0, |segment| segment.layer)
}

/// All that passes write: activations, deltas, statistics. Made once for a network and a largest batch; a pass through
/// it allocates nothing.
#[derive(Debug)]
pub struct Workspace<T> {
    pub(super) blocks: Vec<Block<T>>,
    /// Where ∂J/∂outputs[k] stands among a block's deltas: an activation's and a dropout's input and output share one.
    pub(super) delta_of: Vec<usize>,
    /// For each layer, the batch's statistics if it is a batch norm.
    pub(super) norms: Vec<Norm<T>>,
    /// The layers between which a training pass needs no barrier: every span but the first starts with a batch norm.
    pub(super) spans: Vec<Range<usize>>,
    /// The ranges of the parameters, and their owners.
    pub(super) bounds: Vec<usize>,
    pub(super) owners: Vec<Owner<T>>,
    pub(super) most_rows: usize,
    pub(super) rows: usize,
    pub(super) members: usize,
}

/// Blocks start at multiples of so many rows, as the product's kernels like them.
pub(super) const ROWS_TOGETHER: usize = 8;
/// And columns of a batch norm.
pub(super) const COLUMNS_TOGETHER: usize = 16;
/// From so many rows on, weights are laid out for a batch's products: fewer read them where they stand.
pub(super) const WORTH_LAYING_OUT: usize = 4;
/// How many rows a worker passes forward at a time where all that counts is the output: few, so that layers find them in the
/// cache; more where the largest weights, which every such pass reads anew, are large. (Zen 3, of the time with 256 rows:
/// 20-64-64-1 0.93, 784-256-128-10 0.97, 300-1000-300-7 0.94, 512-1024-1024-512-10 0.98.)
fn rows_at_a_time<T: Scalar>(network: &Network<T>) -> usize {
    let largest = network.slots.iter().map(|slot| slot.first.len() * T::BYTES).max().unwrap_or(0);
    (largest / (10 * 1024)).clamp(96, 512).next_multiple_of(12)
}

impl<T: Scalar> Workspace<T> {
    /// Room for batches of up to `most_rows` rows, shared out among `shares` workers.
    pub fn new(network: &Network<T>, most_rows: usize, shares: usize) -> Self {
        let shares = if network.layers().iter().any(|layer| matches!(layer, Layer::Activation(a) if a.is_own())) {
            // Somebody's own function may not like several threads; it gets whole matrices.
            1
        } else {
            shares.clamp(1, most_rows.div_ceil(ROWS_TOGETHER).max(1))
        };
        let widths: Vec<usize> =
            std::iter::once(network.inputs()).chain(network.slots.iter().map(|slot| slot.outputs)).collect();
        let mut delta_of = vec![0; widths.len()];
        let mut delta_widths = Vec::new();
        for k in (0..widths.len()).rev() {
            let shared = k < network.layers().len()
                && matches!(network.layers()[k], Layer::Activation(_) | Layer::Dropout { .. });
            if shared {
                delta_of[k] = delta_of[k + 1];
            } else {
                delta_of[k] = delta_widths.len();
                delta_widths.push(widths[k]);
            }
        }
        let members = network.members();
        let block_rows = most_rows.div_ceil(shares).next_multiple_of(ROWS_TOGETHER).min(most_rows.max(1));
        let blocks = (0..shares)
            .map(|_| {
                let matrices = |widths: &mut dyn Iterator<Item = usize>| -> Vec<Matrix<T>> {
                    widths.map(|width| Matrix::zeros(block_rows, width)).collect()
                };
                let kept = &mut network.layers().iter().zip(&network.slots).map(|(layer, slot)| match layer {
                    Layer::Dropout { .. } => slot.outputs,
                    Layer::Activation(activation) if activation.keeps_derivative() => slot.outputs,
                    Layer::LayerNorm { .. } => 2,
                    Layer::Piecewise { columns, .. } => 2 * columns.len(),
                    _ => 0,
                });
                let knots = network.layers().iter().map(|layer| match layer {
                    Layer::Piecewise { bins, width, columns } => vec![T::ZERO; columns.len() * bins * width],
                    _ => Vec::new(),
                });
                let sums = network.layers().iter().zip(&network.slots).map(|(layer, slot)| match layer {
                    Layer::LayerNorm { .. } if shares == 1 => vec![T::ZERO; slot.first.len() + slot.second.len()],
                    _ => Vec::new(),
                });
                Block {
                    rows: 0..0,
                    outputs: matrices(&mut widths.iter().copied()),
                    deltas: matrices(&mut delta_widths.iter().copied()),
                    kept: matrices(kept),
                    knots: knots.collect(),
                    sums: sums.collect(),
                    y: Matrix::zeros(0, 0),
                    shares: Vec::with_capacity(block_rows * members),
                    losses: vec![T::ZERO; block_rows * members],
                    scratch: Scratch::new(),
                }
            })
            .collect();
        let is_norm = |k: usize| matches!(network.layers()[k], Layer::BatchNorm { .. });
        let norms = (0..network.layers().len())
            .map(|k| {
                let columns = if is_norm(k) { network.width(k) } else { 0 };
                let each = columns.div_ceil(shares).next_multiple_of(COLUMNS_TOGETHER);
                Norm {
                    mean: vec![T::ZERO; columns],
                    variance: vec![T::ZERO; columns],
                    bounds: (0..=shares).map(|share| (share * each).min(columns)).collect(),
                }
            })
            .collect();
        let n = network.layers().len();
        let mut cuts: Vec<usize> = (1..n).filter(|&k| is_norm(k)).collect();
        cuts.insert(0, 0);
        cuts.push(n);
        let spans = cuts.windows(2).map(|cut| cut[0]..cut[1]).collect();
        let bounds = parameter_bounds(network, shares);
        let owners = (0..shares).map(|_| Owner { scratch: Scratch::new(), panels: (0..n).map(|_| None).collect() });
        Self { blocks, delta_of, norms, spans, bounds, owners: owners.collect(), most_rows, rows: 0, members }
    }

    /// Room to pass `rows` rows forward, some at a time.
    pub(crate) fn for_rows(network: &Network<T>, rows: usize, processor: &Processor) -> Self {
        let at_a_time = (rows_at_a_time(network).div_ceil(network.members()) * processor.threads()).min(rows.max(1));
        Self::new(network, at_a_time, processor.threads())
    }

    /// `rows` rows in pieces that there is room for.
    pub(super) fn pieces(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<T> {
        let most = self.most_rows;
        (0..rows).step_by(most).map(move |start| start..rows.min(start + most))
    }

    /// The number of rows of the last pass.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many workers share a pass.
    pub fn shares(&self) -> usize {
        self.blocks.len()
    }

    /// Lays out the weights for the products of batches, where batches have rows enough to make up for it.
    pub(super) fn lay_out_weights(&mut self, network: &Network<T>, processor: &Processor, backward: bool) {
        if self.most_rows * self.members >= WORTH_LAYING_OUT {
            let (set, bounds) = (processor.instruction_set(), &self.bounds);
            processor.team.each(&mut self.owners, |share, owner| {
                owner.lay_out(network, bounds[share]..bounds[share + 1], set, backward);
            });
        }
    }

    /// The output of layer `k` − 1 in the last pass, X⁽⁰⁾ for k = 0, by rows of the batch.
    pub fn output(&self, k: usize) -> impl Iterator<Item = &[T]> + Clone {
        self.blocks.iter().flat_map(move |block| (0..block.outputs[k].rows()).map(move |i| block.outputs[k].row(i)))
    }

    /// ∂J/∂(output of layer k − 1) of the last backward pass, by rows of the batch.
    ///
    /// For an activation's or dropout's output this is the value after its own factor was multiplied in: the δ of
    /// the pre-activation.
    pub fn delta(&self, k: usize) -> impl Iterator<Item = &[T]> {
        let d = self.delta_of[k];
        self.blocks.iter().flat_map(move |block| (0..block.deltas[d].rows()).map(move |i| block.deltas[d].row(i)))
    }

    /// Each row's ℓ in the last pass: the mean of its members'.
    pub fn losses(&self) -> impl Iterator<Item = T> + '_ {
        let members = self.members;
        let mean = move |losses: &[T]| match losses {
            [loss] => *loss,
            _ => losses.iter().fold(T::ZERO, |sum, &loss| sum + loss) / T::from_f64(members as f64),
        };
        self.blocks.iter().flat_map(move |block| block.losses.chunks_exact(members).map(mean))
    }

    /// A batch norm's batch mean and population variance in the last training pass.
    pub(crate) fn batch_statistics(&self, layer: usize) -> (&[T], &[T]) {
        (&self.norms[layer].mean, &self.norms[layer].variance)
    }

    /// The layer in whose output the first number that is not finite stands, and up to `most` rows of the batch that
    /// hold one.
    pub(crate) fn first_not_finite(&self, most: usize) -> (Option<usize>, Vec<usize>) {
        for k in 1..self.blocks[0].outputs.len() {
            let bad = |row: &[T]| row.iter().any(|x| !x.is_finite());
            let rows: Vec<usize> =
                self.output(k).enumerate().filter(|(_, row)| bad(row)).map(|(i, _)| i).take(most).collect();
            if !rows.is_empty() {
                return (Some(k - 1), rows);
            }
        }
        let rows: Vec<usize> =
            self.losses().enumerate().filter(|(_, loss)| !loss.is_finite()).map(|(i, _)| i).take(most).collect();
        if rows.is_empty() {
            // Each loss is a number, their sum is none: the largest is to blame.
            let largest = self.losses().enumerate().max_by(|a, b| a.1.to_f64().total_cmp(&b.1.to_f64()));
            return (None, largest.map(|(i, _)| i).into_iter().collect());
        }
        (None, rows)
    }

    /// How the first number that is not finite in the output of `layer` (`None`: in the loss) came about in row `row` of the
    /// batch.
    pub(crate) fn operands(
        &self,
        network: &Network<T>,
        layer: Option<usize>,
        row: Option<usize>,
    ) -> Option<Box<Operands>> {
        /// So many terms are named.
        const MOST: usize = 3;
        let row = row?;
        let k = layer.map_or(network.layers().len(), |layer| layer);
        let x = self.output(k).nth(row)?;
        let Some(layer) = layer else {
            let largest = (0..x.len()).max_by(|&a, &b| x[a].to_f64().abs().total_cmp(&x[b].to_f64().abs()))?;
            let block = self.blocks.iter().find(|block| block.rows.contains(&row))?;
            let y = block.y.row((row - block.rows.start) * self.members);
            let y = y[if y.len() > 1 { largest % y.len() } else { 0 }].to_f64();
            let value = self.losses().nth(row)?.to_f64();
            let terms = vec![(largest, x[largest].to_f64(), y)];
            return Some(Box::new(Operands { neuron: largest, value, bias: None, terms, of: x.len() }));
        };
        let output = self.output(layer + 1).nth(row)?;
        let neuron = output.iter().position(|x| !x.is_finite())?;
        let value = output[neuron].to_f64();
        let width = network.width(layer) / network.members_at(layer);
        let (member, j) = (neuron / width, neuron % width);
        let (first, bias) = match network.layers()[layer] {
            // Of members each has its own inputs; of heads its own weights, too.
            Layer::Dense { .. } => (0, j),
            Layer::Heads { .. } => (member * (x.len() / network.members_at(layer)), neuron),
            _ => {
                let from = x.get(neuron).or(x.iter().find(|x| !x.is_finite())).or(x.first())?.to_f64();
                return Some(Box::new(Operands { neuron, value, bias: None, terms: vec![(neuron, from, 1.0)], of: 1 }));
            }
        };
        let each = x.len() / network.members_at(layer);
        let weights = network.weights(layer);
        let x = &x[member * each..(member + 1) * each];
        let mut terms: Vec<(usize, f64, f64)> =
            x.iter().enumerate().map(|(i, x)| (i, x.to_f64(), weights.row(first + i)[j].to_f64())).collect();
        let size = |&(_, x, w): &(usize, f64, f64)| if (x * w).is_finite() { (x * w).abs() } else { f64::INFINITY };
        terms.sort_by(|a, b| size(b).total_cmp(&size(a)));
        terms.truncate(MOST);
        let bias = network.biases(layer).get(bias).map(|b| b.to_f64());
        Some(Box::new(Operands { neuron, value, bias, terms, of: each }))
    }

    /// Cuts the batch's rows into blocks.
    pub(super) fn share_out(&mut self, rows: usize, target_columns: usize) {
        assert!(rows <= self.most_rows, "a batch of {rows} rows in a workspace for {}", self.most_rows);
        let each = rows.div_ceil(self.blocks.len()).next_multiple_of(ROWS_TOGETHER);
        for (b, block) in self.blocks.iter_mut().enumerate() {
            block.rows = (b * each).min(rows)..((b + 1) * each).min(rows);
            let n = block.rows.len();
            for matrix in block.outputs.iter_mut().chain(&mut block.deltas).chain(&mut block.kept) {
                matrix.resize_rows(n);
            }
            if block.y.cols() != target_columns {
                block.y = Matrix::zeros(self.most_rows.min(each) * self.members, target_columns);
            }
            block.y.resize_rows(n * self.members);
            block.shares.resize(n * self.members, T::ZERO);
            block.losses.resize(n * self.members, T::ZERO);
        }
        self.rows = rows;
    }
}

/// Cuts the parameters into `shares` ranges of about equal size; weights are cut between rows only, heads between
/// members and embeddings between columns.
pub(super) fn parameter_bounds<T: Scalar>(network: &Network<T>, shares: usize) -> Vec<usize> {
    let layout = network.layout();
    let mut bounds = vec![0];
    for share in 1..shares {
        let ideal = layout.len() * share / shares;
        let segment = layout.segments().iter().find(|segment| segment.range.contains(&ideal));
        let cut = segment.map_or(ideal, |segment| {
            let row = match (&network.layers()[segment.layer], segment.role) {
                (Layer::Piecewise { bins, width, .. }, Role::Weights) => (bins + 1) * width,
                (Layer::Heads { .. }, Role::Weights) => segment.range.len() / network.slots[segment.layer].members,
                (_, Role::Weights) => segment.shape[1],
                _ => 1,
            };
            segment.range.start + (ideal - segment.range.start) / row * row
        });
        bounds.push(cut);
    }
    bounds.push(layout.len());
    bounds
}
