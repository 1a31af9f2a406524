//! Forward and backward: the tutorial's equations 1–2 and 8–11 for a batch of rows.
//!
//! The rows of a batch are shared out in *blocks*, one a worker, for the forward pass and the deltas (equations 1, 2, 8
//! and 9); the parameters are shared out in *ranges* for the gradient (10 and 11), each worker reading all blocks in
//! order. So no chain of operations is ever split, and the number of threads cannot change a bit. A batch norm's
//! statistics cross rows: they are phases of their own between.

use crate::error::{Error, Operands};
use crate::kernels::{FloatEnvironment, InstructionSet, Processor, Scratch, prefetch};
use crate::layer::dense::Panels;
use crate::layer::{Layer, batch_norm, dense, dropout, heads, layer_norm, members, piecewise};
use crate::loss::Loss;
use crate::matrix::{Matrix, MatrixRef};
use crate::network::{Network, ParameterLayout, Plan, Role, Segment};
use crate::random::{Purpose, Stream};
use crate::scalar::Scalar;
use std::ops::Range;

/// Rows to learn from: inputs x, targets y, sample weights.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a, T> {
    /// Inputs \[n, n⁽⁰⁾\].
    pub x: MatrixRef<'a, T>,
    /// Targets \[n, target columns of the loss\].
    pub y: MatrixRef<'a, T>,
    /// A weight ≥ 0 for each row; weight 2 is as the row twice. `None`: all 1.
    pub weights: Option<&'a [T]>,
}

impl<'a, T: Scalar> Data<'a, T> {
    /// Rows without sample weights.
    pub fn new(x: MatrixRef<'a, T>, y: MatrixRef<'a, T>) -> Self {
        Self { x, y, weights: None }
    }

    /// Refuses data that do not fit the network and the loss.
    ///
    /// # Errors
    /// If sizes differ, a target is none for the loss, or a weight is negative, not finite, or all are 0.
    pub fn check(&self, network: &Network<T>, loss: &Loss) -> Result<(), Error> {
        let n = self.x.rows();
        let same =
            |what, expected, got| if expected == got { Ok(()) } else { Err(Error::Length { what, expected, got }) };
        same("input columns", network.inputs(), self.x.cols())?;
        same("target rows", n, self.y.rows())?;
        if n == 0 {
            return Err(Error::Value { what: "rows", expected: "at least one".into(), got: "none".into() });
        }
        loss.check_targets(self.y, network.outputs())?;
        if let Some(weights) = self.weights {
            same("sample weights", n, weights.len())?;
            let mut total = 0.0;
            for (i, w) in weights.iter().enumerate() {
                if !(*w >= T::ZERO && w.is_finite()) {
                    let expected = format!("a finite number ≥ 0 in row {}", i + 1);
                    return Err(Error::Value { what: "sample weight", expected, got: w.to_string() });
                }
                total += w.to_f64();
            }
            if total <= 0.0 || !total.is_finite() {
                let expected = "a positive finite sum".into();
                return Err(Error::Value { what: "sample weights", expected, got: total.to_string() });
            }
        }
        Ok(())
    }

    /// Σw over the rows of a batch.
    pub(crate) fn weight(&self, batch: &[usize]) -> f64 {
        match self.weights {
            None => batch.len() as f64,
            Some(weights) => batch.iter().map(|&i| weights[i].to_f64()).sum(),
        }
    }
}

/// How a pass treats dropout and batch norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Dropout drops, by the streams of (seed, step); batch norms take the batch's statistics.
    Training {
        /// The run's seed.
        seed: u64,
        /// The step within the run, from 0.
        step: u64,
    },
    /// As at prediction: dropout does nothing, batch norms take the running statistics.
    Evaluation,
}

/// The rows of a batch that one worker passes through the network, with all that the backward pass needs of them.
#[derive(Debug)]
struct Block<T> {
    /// Which rows of the batch.
    rows: Range<usize>,
    /// `outputs[0]` = X⁽⁰⁾; `outputs[k + 1]` = the output of layer k.
    outputs: Vec<Matrix<T>>,
    /// `deltas[delta_of[k]]` = ∂J/∂outputs[k].
    deltas: Vec<Matrix<T>>,
    /// What layer k keeps for its backward pass: dropout's mask, layer norm's statistics, an embedding's places.
    kept: Vec<Matrix<T>>,
    /// The knots of an embedding at layer k.
    knots: Vec<Vec<T>>,
    /// Targets, shares wᵢ / Σw and losses: one for each member of each row.
    y: Matrix<T>,
    shares: Vec<T>,
    losses: Vec<T>,
    scratch: Scratch<T>,
}

/// A batch norm's statistics of the batch: means, population variances, and the bounds of the workers' columns.
#[derive(Debug)]
struct Norm<T> {
    mean: Vec<T>,
    variance: Vec<T>,
    bounds: Vec<usize>,
}

/// What the worker keeps to whom a range of the parameters belongs.
#[derive(Debug)]
struct Owner<T> {
    scratch: Scratch<T>,
    /// For each layer, the rows of W in the range, if it is a dense one: all workers read them.
    panels: Vec<Option<Panels<T>>>,
}

impl<T: Scalar> Owner<T> {
    /// Lays out the weights in `range` for the products of a batch.
    fn lay_out(&mut self, network: &Network<T>, range: Range<usize>, set: InstructionSet, backward: bool) {
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
fn has_panels(layers: &[Layer], segment: &Segment) -> bool {
    segment.role == Role::Weights
        && matches!(layers[segment.layer], Layer::Dense { .. })
        && segment.shape.iter().all(|&n| n > 1)
}

/// The first layer with parameters: no delta is needed before it.
fn first_with_parameters<T: Scalar>(network: &Network<T>) -> usize {
    network.layout().segments().first().map_or(0, |segment| segment.layer)
}

/// All that passes write: activations, deltas, statistics. Made once for a network and a largest batch; a pass through
/// it allocates nothing.
#[derive(Debug)]
pub struct Workspace<T> {
    blocks: Vec<Block<T>>,
    /// Where ∂J/∂outputs[k] stands among a block's deltas: an activation's and a dropout's input and output share one.
    delta_of: Vec<usize>,
    /// For each layer, the batch's statistics if it is a batch norm.
    norms: Vec<Norm<T>>,
    /// The layers between which a training pass needs no barrier: every span but the first starts with a batch norm.
    spans: Vec<Range<usize>>,
    /// The ranges of the parameters, and their owners.
    bounds: Vec<usize>,
    owners: Vec<Owner<T>>,
    most_rows: usize,
    rows: usize,
    members: usize,
}

/// Blocks start at multiples of so many rows, as the product's kernels like them.
const ROWS_TOGETHER: usize = 8;
/// And columns of a batch norm.
const COLUMNS_TOGETHER: usize = 16;
/// From so many rows on, weights are laid out for a batch's products.
const WORTH_LAYING_OUT: usize = 24;
/// So many rows pass a dense layer and the layers behind it before the next ones do, so that those find them in the
/// cache: some tiles' rows.
const ROWS_AT_ONCE: usize = 56;
/// Unless the layer's weights are more than this: they would be read anew too often.
const WEIGHTS_AT_ONCE: usize = 512 * 1024;

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
                    Layer::LayerNorm { .. } => 2,
                    Layer::Piecewise { columns, .. } => 2 * columns.len(),
                    _ => 0,
                });
                let knots = network.layers().iter().map(|layer| match layer {
                    Layer::Piecewise { bins, width, columns } => vec![T::ZERO; columns.len() * bins * width],
                    _ => Vec::new(),
                });
                Block {
                    rows: 0..0,
                    outputs: matrices(&mut widths.iter().copied()),
                    deltas: matrices(&mut delta_widths.iter().copied()),
                    kept: matrices(kept),
                    knots: knots.collect(),
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
        let at_a_time = (ROWS_AT_A_TIME.div_ceil(network.members()) * processor.threads()).min(rows.max(1));
        Self::new(network, at_a_time, processor.threads())
    }

    /// `rows` rows in pieces that there is room for.
    fn pieces(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<T> {
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
    fn lay_out_weights(&mut self, network: &Network<T>, processor: &Processor, backward: bool) {
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
    fn share_out(&mut self, rows: usize, target_columns: usize) {
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
fn parameter_bounds<T: Scalar>(network: &Network<T>, shares: usize) -> Vec<usize> {
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

/// One pass of a batch: what all phases read.
struct Pass<'a, T> {
    network: &'a Network<T>,
    x: MatrixRef<'a, T>,
    /// The batch's rows of x and y; `None`: all.
    batch: Option<&'a [usize]>,
    targets: Option<Targets<'a, T>>,
    mode: Mode,
    set: InstructionSet,
    /// The first layer with parameters: no delta is needed before it.
    first: usize,
}

#[derive(Clone, Copy)]
struct Targets<'a, T> {
    loss: &'a Loss,
    y: MatrixRef<'a, T>,
    weights: Option<&'a [T]>,
    /// Σw over the batch.
    total: f64,
}

/// How many rows of a shuffled batch ahead memory is asked for: each stands somewhere else, and memory takes its time.
const ROWS_AHEAD: usize = 12;

impl<'a, T: Scalar> Pass<'a, T> {
    fn training(&self) -> bool {
        matches!(self.mode, Mode::Training { .. })
    }

    /// Row `i` of the batch as a row of the data.
    fn row(&self, i: usize) -> usize {
        self.batch.map_or(i, |batch| batch[i])
    }

    fn gather(&self, block: &mut Block<T>) {
        let end = block.rows.end;
        for i in 0..block.rows.len() {
            let row = self.row(block.rows.start + i);
            if let Some(&soon) = self.batch.and_then(|batch| batch[..end].get(block.rows.start + i + ROWS_AHEAD)) {
                // Of a long row the beginning: the processor itself sees that the rest follows.
                let row = self.x.row(soon);
                prefetch(&row[..row.len().min(64)]);
                self.targets.iter().for_each(|targets| prefetch(targets.y.row(soon)));
            }
            block.outputs[0].row_mut(i).copy_from_slice(self.x.row(row));
            if let Some(targets) = self.targets {
                let members = self.network.members();
                let weight = targets.weights.map_or(1.0, |weights| weights[row].to_f64());
                for m in i * members..(i + 1) * members {
                    block.y.row_mut(m).copy_from_slice(targets.y.row(row));
                    block.shares[m] = T::from_f64(weight / (targets.total * members as f64));
                }
            }
        }
    }

    /// Whether layer `k` takes each row for itself, element by element or nearly so.
    fn takes_rows(&self, k: usize) -> bool {
        match &self.network.layers()[k] {
            Layer::Activation(activation) => !activation.is_own(),
            layer => matches!(layer, Layer::Dropout { .. } | Layer::LayerNorm { .. }),
        }
    }

    /// How many of a block's rows pass layer `k` before the next ones do.
    fn rows_at_once(&self, k: usize, rows: usize) -> usize {
        let slot = &self.network.slots[k];
        match self.network.layers()[k] {
            Layer::Dense { .. } if slot.first.len() * T::BYTES <= WEIGHTS_AT_ONCE => {
                (ROWS_AT_ONCE / slot.members).max(1)
            }
            _ => rows.max(1),
        }
    }

    /// Activations through `layers` (equations 1 and 2).
    fn forward(&self, block: &mut Block<T>, layers: Range<usize>, norms: &[Norm<T>], owners: &[Owner<T>]) {
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
    fn forward_layer(
        &self,
        block: &mut Block<T>,
        k: usize,
        rows: Range<usize>,
        norms: &[Norm<T>],
        owners: &[Owner<T>],
    ) {
        let slot = &self.network.slots[k];
        let (before, after) = block.outputs.split_at_mut(k + 1);
        let (x, mut y) = (before[k].rows_range(rows.clone()), after[0].rows_range_mut(rows.clone()));
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
            Layer::Activation(activation) => activation.activate(self.set, x.as_slice(), y.as_mut_slice()),
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
    fn embedding(&self, k: usize) -> piecewise::Shape<'_, T> {
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
    fn normalisers<'s>(&'s self, k: usize, norms: &'s [Norm<T>]) -> (&'s [T], &'s [T]) {
        let slot = &self.network.slots[k];
        if self.training() {
            (&norms[k].mean, &norms[k].variance)
        } else {
            let running = &self.network.running;
            (&running[slot.running_mean.clone()], &running[slot.running_variance.clone()])
        }
    }

    /// Each row's loss, and δ⁽ᴸ⁾ (equation 8).
    fn losses(&self, block: &mut Block<T>, delta_of: &[usize]) {
        let Some(Targets { loss, .. }) = self.targets else { return };
        let last = self.network.layers().len();
        let members = self.network.members();
        let delta = block.deltas[delta_of[last]].view_mut().cut_rows(members);
        let z = block.outputs[last].view().cut_rows(members);
        loss.value_and_delta(self.set, z, block.y.view(), &block.shares, &mut block.losses, delta);
    }

    /// Deltas through `layers`, last first (equation 9).
    fn backward(&self, block: &mut Block<T>, layers: Range<usize>, back: &Back<'_, T>) {
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
    fn backward_layer(&self, block: &mut Block<T>, k: usize, rows: Range<usize>, back: &Back<'_, T>) {
        let Back { delta_of, norms, owners, gradient, batch_rows } = *back;
        let slot = &self.network.slots[k];
        let scale = &self.network.parameters[slot.first.clone()];
        let (d_out, d_in) = (delta_of[k + 1], delta_of[k]);
        let x = block.outputs[k].rows_range(rows.clone());
        match &self.network.layers()[k] {
            Layer::Activation(activation) => {
                let y = block.outputs[k + 1].rows_range(rows.clone());
                let mut delta = block.deltas[d_out].rows_range_mut(rows);
                activation.differentiate(self.set, x.as_slice(), y.as_slice(), delta.as_mut_slice());
            }
            Layer::Dropout { .. } => {
                if let Mode::Training { .. } = self.mode {
                    let mask = block.kept[k].rows_range(rows.clone());
                    let mut delta = block.deltas[d_out].rows_range_mut(rows);
                    T::dispatch(self.set, dropout::Backward { mask: mask.as_slice(), delta: delta.as_mut_slice() });
                }
            }
            _ if k == self.first => {}
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
                        let statistics = block.kept[k].rows_range(rows);
                        let statistics = statistics.as_slice();
                        T::dispatch(self.set, layer_norm::Backward { scale, x, statistics, delta, delta_in });
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
struct Back<'a, T> {
    delta_of: &'a [usize],
    norms: &'a [Norm<T>],
    owners: &'a [Owner<T>],
    /// Holds the sums of batch norms.
    gradient: &'a [T],
    batch_rows: usize,
}

/// A stretch of one segment with its numbers of every kind: parameters θ and what the optimizer keeps (all empty where
/// nothing is learnt), and the gradient.
pub(crate) struct Stretch<'a, T> {
    pub(crate) segment: &'a Segment,
    pub(crate) parameters: &'a mut [T],
    pub(crate) gradient: &'a mut [T],
    pub(crate) memories: [&'a mut [T]; 2],
}

impl<T> Stretch<'_, T> {
    /// The numbers in `range`.
    pub(crate) fn part(&mut self, range: Range<usize>) -> Stretch<'_, T> {
        let [first, second] = &mut self.memories;
        Stretch {
            segment: self.segment,
            parameters: part(self.parameters, range.clone()),
            gradient: part(self.gradient, range.clone()),
            memories: [part(first, range.clone()), part(second, range)],
        }
    }
}

/// The numbers in `range` of a slice that may be empty.
fn part<T>(slice: &mut [T], range: Range<usize>) -> &mut [T] {
    if slice.is_empty() { slice } else { &mut slice[range] }
}

/// The gradient of the owner's range (equations 10 and 11), which begins at `start`: over all blocks, in order. `finish`
/// sees every stretch of it once, while it is in the cache, and may change its parameters.
fn gradient<T: Scalar>(
    plan: Plan<'_>,
    set: InstructionSet,
    (blocks, delta_of): (&[Block<T>], &[usize]),
    owner: &mut Owner<T>,
    start: usize,
    [parameters, gradient, first, second]: [&mut [T]; 4],
    finish: &(impl Fn(Stretch<'_, T>) + Sync),
) {
    let Plan { layers, slots, layout } = plan;
    let range = start..start + gradient.len();
    for segment in layout.segments() {
        let start = segment.range.start.max(range.start);
        let end = segment.range.end.min(range.end);
        if start >= end {
            continue;
        }
        let (k, role) = (segment.layer, segment.role);
        let (cut, out) =
            (start - segment.range.start..end - segment.range.start, start - range.start..end - range.start);
        let memories = [part(first, out.clone()), part(second, out.clone())];
        let parameters = part(parameters, out.clone());
        let mut stretch = Stretch { segment, parameters, gradient: &mut gradient[out], memories };
        let members = slots[k].members;
        let rows = |of: usize| cut.start / of..cut.end / of;
        let x = |block: usize| blocks[block].outputs[k].view();
        let delta = |block: usize| blocks[block].deltas[delta_of[k + 1]].view();
        if let (Role::Weights, Layer::Dense { .. }) = (role, &layers[k]) {
            let Stretch { parameters, gradient, memories: [first, second], .. } = stretch;
            let (x, delta) = (|b: usize| x(b).cut_rows(members), |b: usize| delta(b).cut_rows(members));
            let width = segment.shape[1];
            let (inputs, mut filled) = (rows(width), 0);
            let Owner { scratch, panels } = owner;
            dense::weights_gradient(set, scratch, blocks.len(), x, delta, inputs, gradient, |rows, strip| {
                let here = rows.start * width..rows.end * width;
                let memories = [part(first, here.clone()), part(second, here.clone())];
                finish(Stretch { segment, parameters: part(parameters, here.clone()), gradient: strip, memories });
                if let (Some(panels), false) = (&mut panels[k], parameters.is_empty()) {
                    panels.fill_up_to(rows.end, parameters, &mut filled);
                }
            });
            continue;
        }
        for b in 0..blocks.len() {
            let (first, out) = (b == 0, &mut *stretch.gradient);
            let (x, delta) = (x(b), delta(b));
            match (role, &layers[k]) {
                (Role::Weights, Layer::Piecewise { bins, width, columns }) => {
                    let (of, ends) = (rows((bins + 1) * width), (first, b + 1 == blocks.len()));
                    let shape = (&columns[..], *bins, *width);
                    piecewise::weights_gradient(set, shape, x, &blocks[b].kept[k], delta, of, ends, out);
                }
                (Role::Weights, _) => {
                    let of = rows(segment.range.len() / members);
                    heads::weights_gradient(set, &mut owner.scratch, members, x, delta, of, first, out);
                }
                (Role::Scale, Layer::Members { .. }) => {
                    members::scale_gradient(set, x, delta, cut.clone(), first, out);
                }
                // A batch norm's were sums on the way back.
                (_, Layer::BatchNorm { .. }) => {}
                (Role::Scale, _) => {
                    let statistics = blocks[b].kept[k].as_slice();
                    layer_norm::scale_gradient(set, x, statistics, delta, cut.clone(), first, out);
                }
                (Role::Biases, Layer::Dense { .. }) => {
                    dense::column_sums(set, delta.cut_rows(members), cut.clone(), first, out);
                }
                // Of an embedding's columns those that pass through have none.
                (Role::Biases | Role::Shift, _) => dense::column_sums(set, delta, cut.clone(), first, out),
            }
        }
        let everything = 0..cut.len();
        finish(stretch.part(everything));
    }
}

/// Passes the batch through the layers: its activations stand in the workspace afterwards, its deltas and losses too
/// where there are targets, and the sums of batch norms in `gradient`.
fn run<T: Scalar>(pass: &Pass<'_, T>, workspace: &mut Workspace<T>, processor: &Processor, gradient: &mut [T]) {
    let team = &processor.team;
    let Workspace { blocks, delta_of, norms, spans, owners, rows, .. } = workspace;
    let (delta_of, owners, batch_rows) = (&*delta_of, &*owners, *rows);
    let whole = 0..pass.network.layers().len();
    let spans = if pass.training() { &spans[..] } else { std::slice::from_ref(&whole) };
    let last = spans.len() - 1;
    for (s, span) in spans.iter().enumerate() {
        if s > 0 {
            batch_statistics(pass, span.start, blocks, norms, batch_rows, processor);
        }
        let back = Back { delta_of, norms, owners, gradient, batch_rows };
        team.each(blocks, |_, block| {
            if s == 0 {
                pass.gather(block);
            }
            pass.forward(block, span.clone(), back.norms, owners);
            if s == last && pass.targets.is_some() {
                pass.losses(block, delta_of);
                pass.backward(block, span.start + usize::from(s > 0)..span.end, &back);
            }
        });
    }
    if pass.targets.is_none() {
        return;
    }
    for s in (0..last).rev() {
        let norm = spans[s + 1].start;
        batch_norm_sums(pass, norm, blocks, delta_of, norms, gradient, processor);
        let back = Back { delta_of, norms, owners, gradient, batch_rows };
        team.each(blocks, |_, block| {
            pass.backward(block, spans[s].start + usize::from(s > 0)..norm + 1, &back);
        });
    }
    for k in 0..norms.len() {
        // Where no phase needed the sums on the way: running statistics, or a batch norm before all else.
        if matches!(pass.network.layers()[k], Layer::BatchNorm { .. })
            && (!pass.training() || k == 0)
            && k >= pass.first
        {
            batch_norm_sums(pass, k, blocks, delta_of, norms, gradient, processor);
        }
    }
}

/// One for each worker, for phases in which workers keep nothing; vectors of nothing take no memory.
fn nothing(bounds: &[usize]) -> Vec<()> {
    vec![(); bounds.len() - 1]
}

/// The batch's means and variances for the batch norm at layer `k`, shared out over columns.
fn batch_statistics<T: Scalar>(
    pass: &Pass<'_, T>,
    k: usize,
    blocks: &[Block<T>],
    norms: &mut [Norm<T>],
    rows: usize,
    processor: &Processor,
) {
    let Norm { mean, variance, bounds } = &mut norms[k];
    let bounds = &*bounds;
    processor.team.each_range(bounds, &mut nothing(bounds), [mean, variance], |share, _, [mean, variance]| {
        let columns = bounds[share]..bounds[share + 1];
        let x = |block: usize| blocks[block].outputs[k].view();
        T::dispatch(pass.set, batch_norm::Statistics { blocks: blocks.len(), x, rows, columns, mean, variance });
    });
}

/// ∂J/∂γ and ∂J/∂β of the batch norm at layer `k` into the gradient, shared out over columns.
fn batch_norm_sums<T: Scalar>(
    pass: &Pass<'_, T>,
    k: usize,
    blocks: &[Block<T>],
    delta_of: &[usize],
    norms: &[Norm<T>],
    gradient: &mut [T],
    processor: &Processor,
) {
    let Layer::BatchNorm { epsilon, .. } = pass.network.layers()[k] else { return };
    let slot = &pass.network.slots[k];
    let (mean, variance) = pass.normalisers(k, norms);
    let (scale, shift) = gradient[slot.first.start..slot.second.end].split_at_mut(slot.first.len());
    let bounds = &norms[k].bounds;
    let each = |share: usize, _: &mut (), [scale_gradient, shift_gradient]: [&mut [T]; 2]| {
        let columns = bounds[share]..bounds[share + 1];
        let x = |block: usize| blocks[block].outputs[k].view();
        let delta = |block: usize| blocks[block].deltas[delta_of[k + 1]].view();
        let blocks = blocks.len();
        let kernel =
            batch_norm::Sums { blocks, x, delta, columns, epsilon, mean, variance, scale_gradient, shift_gradient };
        T::dispatch(pass.set, kernel);
    };
    processor.team.each_range(bounds, &mut nothing(bounds), [scale, shift], each);
}

/// J and ∂J/∂θ for a batch: the heart.
///
/// Passes rows `batch` of `data` (all, if `None`) through `network` and back, leaves their activations and deltas in
/// `workspace`, writes the gradient of every parameter to `gradient` (laid out as the parameters), and returns
/// J = Σ wᵢℓᵢ/Σw, summed in f64, rows in order. Penalties are not included.
///
/// # Panics
/// If the data were not [checked](Data::check), the batch is empty or larger than the workspace, or `gradient` is not
/// as long as the parameters.
pub fn loss_and_gradient<T: Scalar>(
    network: &Network<T>,
    loss: &Loss,
    data: &Data<'_, T>,
    batch: Option<&[usize]>,
    mode: Mode,
    workspace: &mut Workspace<T>,
    processor: &Processor,
    gradient: &mut [T],
) -> f64 {
    T::loss_and_gradient(network, loss, data, batch, mode, workspace, processor, gradient)
}

/// [`loss_and_gradient`], compiled in this crate.
pub(crate) fn run_loss_and_gradient<T: Scalar>(
    network: &Network<T>,
    loss: &Loss,
    data: &Data<'_, T>,
    batch: Option<&[usize]>,
    mode: Mode,
    workspace: &mut Workspace<T>,
    processor: &Processor,
    gradient: &mut [T],
) -> f64 {
    assert_eq!(gradient.len(), network.parameters().len(), "a gradient as long as the parameters");
    let _environment = FloatEnvironment::ieee();
    let value = loss_and_deltas(network, loss, data, batch, mode, workspace, processor, gradient, false);
    let numbers = [&mut [][..], gradient, &mut [], &mut []];
    gradient_phase(network.plan(), workspace, processor, numbers, |_| {});
    value
}

/// The first phases of a step: activations, J, deltas and the sums of batch norms. `laid_out`: the weights have not
/// changed since they were laid out.
pub(crate) fn loss_and_deltas<T: Scalar>(
    network: &Network<T>,
    loss: &Loss,
    data: &Data<'_, T>,
    batch: Option<&[usize]>,
    mode: Mode,
    workspace: &mut Workspace<T>,
    processor: &Processor,
    gradient: &mut [T],
    laid_out: bool,
) -> f64 {
    let n = batch.map_or(data.x.rows(), <[usize]>::len);
    assert!(n > 0, "an empty batch");
    let total = (0..n).map(|i| weight(data, batch, i)).sum();
    let pass = Pass {
        network,
        x: data.x,
        batch,
        targets: Some(Targets { loss, y: data.y, weights: data.weights, total }),
        mode,
        set: processor.instruction_set(),
        first: first_with_parameters(network),
    };
    workspace.share_out(n, data.y.cols());
    if !laid_out {
        workspace.lay_out_weights(network, processor, true);
    }
    run(&pass, workspace, processor, gradient);
    let weighted = workspace.losses().enumerate().map(|(i, loss)| weight(data, batch, i) * loss.to_f64());
    weighted.sum::<f64>() / total
}

/// The last phase of a step: the gradient, with `finish` for every stretch of it. `numbers` are the parameters (none if they
/// stay as they are), the gradient, and what the optimizer keeps.
pub(crate) fn gradient_phase<T: Scalar>(
    plan: Plan<'_>,
    workspace: &mut Workspace<T>,
    processor: &Processor,
    numbers: [&mut [T]; 4],
    finish: impl Fn(Stretch<'_, T>) + Sync,
) {
    let Workspace { blocks, delta_of, bounds, owners, .. } = workspace;
    let (set, blocks, bounds) = (processor.instruction_set(), (&**blocks, &**delta_of), &*bounds);
    processor.team.each_range(bounds, owners, numbers, |share, owner, numbers| {
        gradient(plan, set, blocks, owner, bounds[share], numbers, &finish);
    });
}

/// A phase of its own for what [`gradient_phase`] could not finish: every segment's stretches, and the changed weights laid
/// out again.
pub(crate) fn update_phase<T: Scalar>(
    layout: &ParameterLayout,
    workspace: &mut Workspace<T>,
    processor: &Processor,
    numbers: [&mut [T]; 4],
    finish: impl Fn(Stretch<'_, T>) + Sync,
) {
    let Workspace { bounds, owners, .. } = workspace;
    let bounds = &*bounds;
    processor.team.each_range(bounds, owners, numbers, |share, owner, [parameters, gradient, first, second]| {
        for segment in layout.segments() {
            let start = segment.range.start.max(bounds[share]);
            let end = segment.range.end.min(bounds[share + 1]);
            if start < end {
                let range = start - bounds[share]..end - bounds[share];
                let memories = [part(first, range.clone()), part(second, range.clone())];
                let gradient = part(gradient, range.clone());
                finish(Stretch { segment, parameters: part(parameters, range.clone()), gradient, memories });
                if let (Role::Weights, Some(panels)) = (segment.role, &mut owner.panels[segment.layer]) {
                    panels.fill_up_to(range.len() / segment.shape[1], &parameters[range], &mut 0);
                }
            }
        }
    });
}

/// The sample weight of the batch's row `i`.
fn weight<T: Scalar>(data: &Data<'_, T>, batch: Option<&[usize]>, i: usize) -> f64 {
    data.weights.map_or(1.0, |weights| weights[batch.map_or(i, |batch| batch[i])].to_f64())
}

/// Passes rows `batch` of `x` (all, if `None`) forward as at prediction; the outputs of every layer stand in
/// `workspace` afterwards.
///
/// # Panics
/// If x has not the network's columns, or the batch is larger than the workspace.
pub fn forward<T: Scalar>(
    network: &Network<T>,
    x: MatrixRef<'_, T>,
    batch: Option<&[usize]>,
    workspace: &mut Workspace<T>,
    processor: &Processor,
) {
    T::forward(network, x, batch, workspace, processor);
}

/// [`forward`], compiled in this crate.
pub(crate) fn run_forward<T: Scalar>(
    network: &Network<T>,
    x: MatrixRef<'_, T>,
    batch: Option<&[usize]>,
    workspace: &mut Workspace<T>,
    processor: &Processor,
) {
    workspace.lay_out_weights(network, processor, false);
    forward_laid_out(network, x, batch, workspace, processor);
}

/// [`forward`] where the weights have not changed since they were laid out.
fn forward_laid_out<T: Scalar>(
    network: &Network<T>,
    x: MatrixRef<'_, T>,
    batch: Option<&[usize]>,
    workspace: &mut Workspace<T>,
    processor: &Processor,
) {
    assert_eq!(x.cols(), network.inputs(), "input columns");
    let _environment = FloatEnvironment::ieee();
    let set = processor.instruction_set();
    let pass = Pass { network, x, batch, targets: None, mode: Mode::Evaluation, set, first: 0 };
    workspace.share_out(batch.map_or(x.rows(), <[usize]>::len), 0);
    run(&pass, workspace, processor, &mut []);
}

/// ŷ of the last pass's rows: the mean of the members' predictions, [n, outputs].
fn mean_prediction<T: Scalar>(
    network: &Network<T>,
    loss: &Loss,
    workspace: &Workspace<T>,
    rows: usize,
    set: InstructionSet,
) -> Matrix<T> {
    let mut outputs = Matrix::zeros(rows, network.members() * network.outputs());
    for (i, output) in workspace.output(network.layers().len()).enumerate() {
        outputs.row_mut(i).copy_from_slice(output);
    }
    loss.predict(set, outputs.view_mut().cut_rows(network.members()));
    mean_of_members(outputs.view(), network.members())
}

/// [n, members·outputs] → [n, outputs], members in order.
fn mean_of_members<T: Scalar>(all: MatrixRef<'_, T>, members: usize) -> Matrix<T> {
    let outputs = all.cols() / members;
    let mut mean = Matrix::zeros(all.rows(), outputs);
    let count = T::from_f64(members as f64);
    for i in 0..all.rows() {
        let mean = mean.row_mut(i);
        for member in all.row(i).chunks_exact(outputs) {
            mean.iter_mut().zip(member).for_each(|(sum, &x)| *sum += x);
        }
        mean.iter_mut().for_each(|sum| *sum = *sum / count);
    }
    mean
}

/// How many rows a worker passes forward at a time where all that counts is the output.
const ROWS_AT_A_TIME: usize = 256;

/// J over all rows of checked `data` as at prediction, summed in f64, rows in order.
pub(crate) fn evaluate<T: Scalar>(
    network: &Network<T>,
    loss: &Loss,
    data: &Data<'_, T>,
    workspace: &mut Workspace<T>,
    processor: &Processor,
) -> f64 {
    let _environment = FloatEnvironment::ieee();
    let (mut sum, mut total) = (0.0, 0.0);
    let set = processor.instruction_set();
    workspace.lay_out_weights(network, processor, false);
    for rows in workspace.pieces(data.x.rows()) {
        if network.members() > 1 {
            // The loss of the members' mean, which is what predicts.
            forward_laid_out(network, data.x.rows_range(rows.clone()), None, workspace, processor);
            let mut z = mean_prediction(network, loss, workspace, rows.len(), set);
            loss.pre_activate(z.view_mut());
            let (n, mut delta) = (rows.len(), z.clone());
            let (shares, mut losses) = (vec![T::ONE; n], vec![T::ZERO; n]);
            let y = data.y.rows_range(rows.clone());
            loss.value_and_delta(set, z.view(), y, &shares, &mut losses, delta.view_mut());
            for (i, loss) in rows.zip(losses) {
                let weight = weight(data, None, i);
                sum += weight * loss.to_f64();
                total += weight;
            }
            continue;
        }
        let targets = Targets { loss, y: data.y.rows_range(rows.clone()), weights: None, total: 1.0 };
        let pass = Pass {
            network,
            x: data.x.rows_range(rows.clone()),
            batch: None,
            targets: Some(targets),
            mode: Mode::Evaluation,
            set,
            // No delta is needed at all.
            first: network.layers().len(),
        };
        workspace.share_out(rows.len(), data.y.cols());
        run(&pass, workspace, processor, &mut []);
        for (i, loss) in rows.zip(workspace.losses()) {
            let weight = weight(data, None, i);
            sum += weight * loss.to_f64();
            total += weight;
        }
    }
    sum / total
}

/// [`Network::forward`], compiled in this crate; x has the network's columns.
pub(crate) fn outputs<T: Scalar>(network: &Network<T>, x: MatrixRef<'_, T>, processor: &Processor) -> Matrix<T> {
    let mut outputs = Matrix::zeros(x.rows(), network.members() * network.outputs());
    let mut workspace = Workspace::for_rows(network, x.rows(), processor);
    workspace.lay_out_weights(network, processor, false);
    for rows in workspace.pieces(x.rows()) {
        forward_laid_out(network, x.rows_range(rows.clone()), None, &mut workspace, processor);
        for (i, output) in rows.zip(workspace.output(network.layers().len())) {
            outputs.row_mut(i).copy_from_slice(output);
        }
    }
    outputs
}

impl<T: Scalar> Network<T> {
    /// The network's outputs for the rows of `x`: pre-activations for the loss, \[n, members·outputs\].
    ///
    /// A row's output does not depend on the other rows, nor on threads or instructions.
    ///
    /// # Errors
    /// If `x` has not the network's number of columns.
    pub fn forward(&self, x: MatrixRef<'_, T>, processor: &Processor) -> Result<Matrix<T>, Error> {
        if x.cols() != self.inputs() {
            return Err(Error::Length { what: "input columns", expected: self.inputs(), got: x.cols() });
        }
        Ok(T::outputs(self, x, processor))
    }

    /// Predictions ŷ for the rows of `x`, \[n, outputs\]: the outputs through the loss's [`Link`](crate::loss::Link), the
    /// mean of the members' where there are several.
    ///
    /// # Errors
    /// If `x` has not the network's number of columns.
    pub fn predict(&self, x: MatrixRef<'_, T>, loss: &Loss, processor: &Processor) -> Result<Matrix<T>, Error> {
        let mut outputs = self.forward(x, processor)?;
        let _environment = FloatEnvironment::ieee();
        loss.predict(processor.instruction_set(), outputs.view_mut().cut_rows(self.members()));
        Ok(if self.members() > 1 { mean_of_members(outputs.view(), self.members()) } else { outputs })
    }

    /// J over all rows of `data` as at prediction, without penalties.
    ///
    /// # Errors
    /// If the data do not fit the network and the loss.
    pub fn loss(&self, loss: &Loss, data: &Data<'_, T>, processor: &Processor) -> Result<f64, Error> {
        data.check(self, loss)?;
        let mut workspace = Workspace::for_rows(self, data.x.rows(), processor);
        Ok(T::evaluate(self, loss, data, &mut workspace, processor))
    }
}
