//! Forward and backward: the tutorial's equations 1–2 and 8–11 for a batch of rows.
//!
//! The rows of a batch are shared out in *blocks*, one a worker, for the forward pass and the deltas (equations 1, 2, 8
//! and 9); the parameters are shared out in *ranges* for the gradient (10 and 11), each worker reading all blocks in
//! order. So no chain of operations is ever split, and the number of threads cannot change a bit. A batch norm's
//! statistics cross rows: they are phases of their own between.

mod pass;
mod predict;
mod small;
mod workspace;

use self::pass::{Back, Pass, Targets};
pub use self::predict::forward;
pub(crate) use self::predict::{evaluate, outputs, run_forward};
pub(crate) use self::small::Small;
pub use self::workspace::Workspace;
use self::workspace::{Block, Norm, Owner, first_with_parameters};
use crate::error::Error;
use crate::kernels::{FloatEnvironment, InstructionSet, Processor};
use crate::layer::{Layer, batch_norm, dense, heads, layer_norm, members, piecewise};
use crate::loss::Loss;
use crate::matrix::MatrixRef;
use crate::network::{Network, ParameterLayout, Plan, Role, Segment};
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

/// A stretch of one segment with its numbers of every kind: parameters θ and what the optimizer keeps (all empty where
/// nothing is learnt), and the gradient.
pub(crate) struct Stretch<'a, T> {
    pub(crate) segment: &'a Segment,
    pub(crate) parameters: &'a mut [T],
    pub(crate) gradient: &'a mut [T],
    pub(crate) memories: [&'a mut [T]; 2],
}

impl<'a, T> Stretch<'a, T> {
    /// Whole segments side by side, named after the first: `numbers` are all parameters, the gradient, and what the optimizer
    /// keeps.
    pub(crate) fn of(segments: &'a [Segment], numbers: &'a mut [&mut [T]; 4]) -> Self {
        let range = segments[0].range.start..segments[segments.len() - 1].range.end;
        let [parameters, gradient, first, second] = numbers.each_mut().map(|slice| part(slice, range.clone()));
        Self { segment: &segments[0], parameters, gradient, memories: [first, second] }
    }

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
                // A layer norm's, too, where one block is the whole batch.
                (_, Layer::LayerNorm { .. }) if !blocks[b].sums[k].is_empty() => {
                    let from = if role == Role::Scale { 0 } else { out.len() };
                    out.copy_from_slice(&blocks[b].sums[k][from..][..out.len()]);
                }
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
        in_place: false,
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
