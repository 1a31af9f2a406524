//! The forward pass alone: predictions, and the loss of rows that are not learnt from.

use super::pass::{Pass, Targets};
use super::{Data, Mode, Workspace, run, weight};
use crate::error::Error;
use crate::kernels::{FloatEnvironment, InstructionSet, Processor};
use crate::loss::Loss;
use crate::matrix::{Matrix, MatrixRef};
use crate::network::Network;
use crate::scalar::Scalar;

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
    forward_laid_out(network, x, batch, false, workspace, processor);
}

/// [`forward`] where the weights have not changed since they were laid out; `in_place` as in a [`Pass`].
pub(super) fn forward_laid_out<T: Scalar>(
    network: &Network<T>,
    x: MatrixRef<'_, T>,
    batch: Option<&[usize]>,
    in_place: bool,
    workspace: &mut Workspace<T>,
    processor: &Processor,
) {
    assert_eq!(x.cols(), network.inputs(), "input columns");
    let _environment = FloatEnvironment::ieee();
    let set = processor.instruction_set();
    let pass = Pass { network, x, batch, targets: None, mode: Mode::Evaluation, set, in_place, first: 0 };
    workspace.share_out(batch.map_or(x.rows(), <[usize]>::len), 0);
    run(&pass, workspace, processor, &mut []);
}

/// ŷ of the last pass's rows: the mean of the members' predictions, [n, outputs].
pub(super) fn mean_prediction<T: Scalar>(
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
pub(super) fn mean_of_members<T: Scalar>(all: MatrixRef<'_, T>, members: usize) -> Matrix<T> {
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

/// J over all rows of checked `data` as at prediction, summed in f64, rows in order. X⁽⁰⁾ does not come into the workspace.
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
            forward_laid_out(network, data.x.rows_range(rows.clone()), None, true, workspace, processor);
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
            in_place: true,
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
        forward_laid_out(network, x.rows_range(rows.clone()), None, true, &mut workspace, processor);
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
