//! A network: its layers, and all its parameters in one flat buffer.

use crate::activation::Activation;
use crate::error::Error;
use crate::init::Initialiser;
use crate::layer::{Layer, piecewise};
use crate::matrix::MatrixRef;
use crate::random::default_rng;
use crate::scalar::Scalar;
use std::ops::Range;

/// What a segment of the parameters is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// W of a dense layer, \[n_in, n_out\]: the only parameters that decay.
    Weights,
    /// b of a dense layer, \[1, n_out\].
    Biases,
    /// γ of a norm, \[1, n\], or of members, \[count, n\].
    Scale,
    /// β of a norm, \[1, n\], or of members, \[count, n\].
    Shift,
}

/// A named stretch of the flat buffer.
#[derive(Clone, Debug, PartialEq)]
pub struct Segment {
    /// The name as PyTorch gives it: `<position in the layer list>.weight` or `.bias`.
    pub name: String,
    /// The layer's position in the layer list, from 0.
    pub layer: usize,
    /// What it is for.
    pub role: Role,
    /// Its rows and columns, row-major.
    pub shape: [usize; 2],
    /// Where it stands in the flat buffer.
    pub range: Range<usize>,
    /// The learning rate is multiplied by it.
    pub learning_rate_factor: f64,
    /// Weight decay and penalties are multiplied by it.
    pub decay_factor: f64,
}

/// How the flat buffer is cut into segments. Parameters, gradient and an optimizer's moments all have this layout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParameterLayout {
    segments: Vec<Segment>,
    len: usize,
}

impl ParameterLayout {
    /// The segments, in the order of the buffer, without gaps.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The number of parameters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn push(&mut self, name: &str, layer: usize, role: Role, shape: [usize; 2]) -> Range<usize> {
        let range = self.len..self.len + shape[0] * shape[1];
        self.len = range.end;
        self.segments.push(Segment {
            name: format!("{layer}.{name}"),
            layer,
            role,
            shape,
            range: range.clone(),
            learning_rate_factor: 1.0,
            decay_factor: if role == Role::Weights { 1.0 } else { 0.0 },
        });
        range
    }
}

/// Where a layer's numbers stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slot {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Weights or scale.
    pub(crate) first: Range<usize>,
    /// Biases or shift.
    pub(crate) second: Range<usize>,
    /// A batch norm's running statistics, in `running`: means, then variances.
    pub(crate) running_mean: Range<usize>,
    pub(crate) running_variance: Range<usize>,
    /// A piecewise embedding's edges, in `running`.
    pub(crate) edges: Range<usize>,
    /// Members of the output: its width counts all of them.
    pub(crate) members: usize,
}

/// A network without its numbers.
#[derive(Clone, Copy)]
pub(crate) struct Plan<'a> {
    pub(crate) layers: &'a [Layer],
    pub(crate) slots: &'a [Slot],
    pub(crate) layout: &'a ParameterLayout,
}

/// A feed-forward network: layers and their parameters. It holds no batch: see [`Workspace`](crate::Workspace).
///
/// ```
/// use chainrule::{Activation, Layer, Matrix, Network, Processor};
/// // The tutorial's 2-3-2-1: relu in the hidden layers, identity at the output.
/// let network = Network::<f64>::mlp(2, &[3, 2], 1, &Activation::Relu, None, 1)?;
/// assert_eq!(network.layers().len(), 5);
/// assert_eq!(network.parameters().len(), 2 * 3 + 3 + 3 * 2 + 2 + 2 * 1 + 1);
/// let predictions = network.forward(Matrix::from_rows(&[[6.1, 8.7]]).view(), &Processor::new(1))?;
/// assert_eq!((predictions.rows(), predictions.cols()), (1, 1));
/// # Ok::<(), chainrule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Network<T> {
    inputs: usize,
    layers: Vec<Layer>,
    pub(crate) slots: Vec<Slot>,
    layout: ParameterLayout,
    pub(crate) parameters: Vec<T>,
    /// What training does not learn by gradient: batch norms' running means and variances, embeddings' edges.
    pub(crate) running: Vec<T>,
}

/// No network with more parameters is made: the reader of a hostile file and a slip of the keyboard meet it first.
pub const MOST_PARAMETERS: usize = 1 << 28;

impl<T: Scalar> Network<T> {
    /// A network of `layers` for `inputs` columns, its weights drawn from `default_rng(seed)` layer by layer.
    ///
    /// Without an `initialiser` each dense layer takes the usual one before its activation
    /// ([`Initialiser::default_for`]).
    ///
    /// # Errors
    /// If there are no inputs, no dense layer, or too many parameters.
    pub fn new(inputs: usize, layers: Vec<Layer>, initialiser: Option<Initialiser>, seed: u64) -> Result<Self, Error> {
        let mut network = Self::zeros(inputs, layers)?;
        let mut generator = default_rng(seed);
        let is_dense = |layer: &Layer| matches!(layer, Layer::Dense { .. } | Layer::Heads { .. });
        for (k, slot) in network.slots.iter().enumerate() {
            let weights = &mut network.parameters[slot.first.clone()];
            match network.layers[k] {
                Layer::Dense { .. } | Layer::Heads { .. } => {
                    let initialiser = initialiser.unwrap_or_else(|| {
                        let next = network.layers[k + 1..].iter().take_while(|layer| !is_dense(layer));
                        let activation = next.filter_map(|layer| match layer {
                            Layer::Activation(activation) => Some(activation),
                            _ => None,
                        });
                        Initialiser::default_for(activation.last().unwrap_or(&Activation::Identity))
                    });
                    initialiser.fill(&mut generator, slot.inputs / slot.members, slot.outputs / slot.members, weights);
                }
                // Members differ from the start by their scales alone.
                Layer::Members { .. } => generator.fill_normal(0.0, 1.0, weights)?,
                Layer::Piecewise { bins, width, .. } => {
                    for column in weights.chunks_exact_mut((bins + 1) * width) {
                        generator.fill_uniform(-1.0, 1.0, &mut column[..width])?;
                    }
                    let biases = &mut network.parameters[slot.second.clone()];
                    generator.fill_uniform(-1.0, 1.0, biases)?;
                }
                _ => {}
            }
        }
        Ok(network)
    }

    /// The same with all weights 0 (norms start at scale 1), to be set from elsewhere.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn zeros(inputs: usize, layers: Vec<Layer>) -> Result<Self, Error> {
        let (slots, layout, running) = lay_out(inputs, &layers)?;
        let mut parameters = vec![T::ZERO; layout.len()];
        for segment in layout.segments().iter().filter(|segment| segment.role == Role::Scale) {
            parameters[segment.range.clone()].fill(T::ONE);
        }
        let mut running = vec![T::ZERO; running];
        for slot in &slots {
            running[slot.running_variance.clone()].fill(T::ONE);
        }
        Ok(Self { inputs, layers, slots, layout, parameters, running })
    }

    /// The tutorial's kind: dense layers with one activation after each hidden one, and none after the last.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn mlp(
        inputs: usize,
        hidden: &[usize],
        outputs: usize,
        activation: &Activation,
        initialiser: Option<Initialiser>,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut layers = Vec::new();
        for &width in hidden {
            layers.extend([Layer::Dense { outputs: width }, Layer::Activation(activation.clone())]);
        }
        layers.push(Layer::Dense { outputs });
        Self::new(inputs, layers, initialiser, seed)
    }

    /// The number of input columns, n⁽⁰⁾.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many numbers a network of these layers holds, parameters and others: known before any is allocated.
    ///
    /// # Errors
    /// As [`Network::new`].
    pub fn size(inputs: usize, layers: &[Layer]) -> Result<usize, Error> {
        lay_out(inputs, layers).map(|(_, layout, running)| layout.len() + running)
    }

    /// The number of outputs of each member, n⁽ᴸ⁾.
    pub fn outputs(&self) -> usize {
        self.slots.last().map_or(self.inputs, |slot| slot.outputs / slot.members)
    }

    /// How many members predict, each with [`outputs`](Self::outputs) outputs: 1 unless there is a layer of
    /// [members](Layer::Members).
    pub fn members(&self) -> usize {
        self.slots.last().map_or(1, |slot| slot.members)
    }

    /// The members among the numbers that layer `k` gives for a row.
    pub fn members_at(&self, k: usize) -> usize {
        self.slots[k].members
    }

    /// Sets what is taken from the training rows `x` before training starts: the edges of a piecewise embedding that is
    /// the first layer, quantiles of its columns.
    ///
    /// # Errors
    /// If `x` has not the network's columns.
    pub fn start_from(&mut self, x: MatrixRef<'_, T>) -> Result<(), Error> {
        if x.cols() != self.inputs {
            return Err(Error::Length { what: "input columns", expected: self.inputs, got: x.cols() });
        }
        if let Some(Layer::Piecewise { bins, columns, .. }) = self.layers.first() {
            let edges = piecewise::edges(x, columns, *bins);
            self.running[self.slots[0].edges.clone()].copy_from_slice(&edges);
        }
        Ok(())
    }

    /// The layers, in order.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The number of numbers that layer `k` gives for a row, all members' together.
    pub fn width(&self, k: usize) -> usize {
        self.slots[k].outputs
    }

    /// How the parameters are laid out.
    pub fn layout(&self) -> &ParameterLayout {
        &self.layout
    }

    /// All parameters, flat.
    pub fn parameters(&self) -> &[T] {
        &self.parameters
    }

    /// All parameters, flat.
    pub fn parameters_mut(&mut self) -> &mut [T] {
        &mut self.parameters
    }

    /// What describes the network.
    pub(crate) fn plan(&self) -> Plan<'_> {
        Plan { layers: &self.layers, slots: &self.slots, layout: &self.layout }
    }

    /// The same, and the parameters for writing.
    pub(crate) fn plan_and_parameters_mut(&mut self) -> (Plan<'_>, &mut [T]) {
        (Plan { layers: &self.layers, slots: &self.slots, layout: &self.layout }, &mut self.parameters)
    }

    /// All running statistics of batch norms, flat: for each its means, then its variances.
    pub fn running(&self) -> &[T] {
        &self.running
    }

    /// All running statistics of batch norms, flat.
    pub fn running_mut(&mut self) -> &mut [T] {
        &mut self.running
    }

    /// The running statistics with their names: (`<k>.running_mean`, `<k>.running_var` or `<k>.edges`, where in
    /// `running`).
    pub fn running_segments(&self) -> Vec<(String, Range<usize>)> {
        let all = self.slots.iter().enumerate().flat_map(|(k, slot)| {
            [
                (format!("{k}.running_mean"), slot.running_mean.clone()),
                (format!("{k}.running_var"), slot.running_variance.clone()),
                (format!("{k}.edges"), slot.edges.clone()),
            ]
        });
        all.filter(|(_, range)| !range.is_empty()).collect()
    }

    /// W \[n_in, n_out\] of the dense layer at position `k` (of heads \[members·n_in, n_out\]), or γ \[1, n\] of a norm;
    /// all in one row for other layers.
    pub fn weights(&self, k: usize) -> MatrixRef<'_, T> {
        let slot = &self.slots[k];
        let rows = match self.layers[k] {
            Layer::Dense { .. } => slot.inputs / slot.members,
            Layer::Heads { .. } => slot.inputs,
            _ => 1,
        };
        let cols = slot.first.len() / rows;
        MatrixRef::new(rows, cols, &self.parameters[slot.first.clone()]).expect("a segment's shape")
    }

    /// b \[n_out\] of the dense layer at position `k`, or β of a norm; empty for other layers.
    pub fn biases(&self, k: usize) -> &[T] {
        &self.parameters[self.slots[k].second.clone()]
    }

    /// The network with every number as a `U`: exact when widening, rounded to nearest when narrowing.
    pub fn cast<U: Scalar>(&self) -> Network<U> {
        let cast = |numbers: &[T]| numbers.iter().map(|x| U::from_f64(x.to_f64())).collect();
        Network {
            inputs: self.inputs,
            layers: self.layers.clone(),
            slots: self.slots.clone(),
            layout: self.layout.clone(),
            parameters: cast(&self.parameters),
            running: cast(&self.running),
        }
    }
}

/// Where the numbers of a network of these layers stand: slots, layout, and how many others than parameters there are.
fn lay_out(inputs: usize, layers: &[Layer]) -> Result<(Vec<Slot>, ParameterLayout, usize), Error> {
    let refuse = |what, expected: &str, got: String| Err(Error::Value { what, expected: expected.into(), got });
    if inputs == 0 {
        return refuse("inputs", "at least one", "0".into());
    }
    if !layers.iter().any(|layer| matches!(layer, Layer::Dense { .. } | Layer::Heads { .. })) {
        return refuse("layers", "at least one dense layer", "none".into());
    }
    let mut layout = ParameterLayout::default();
    let (mut slots, mut running, mut width, mut members, mut total) = (Vec::new(), 0, inputs, 1, 0_usize);
    for (k, layer) in layers.iter().enumerate() {
        match layer {
            Layer::Dense { outputs: 0 } | Layer::Heads { outputs: 0 } => {
                return refuse("dense", "at least one neuron", "0".into());
            }
            Layer::Members { count: 0 } => return refuse("members", "at least one", "0".into()),
            Layer::Members { .. } if members > 1 => return refuse("members", "one such layer", "two".into()),
            Layer::BatchNorm { .. } | Layer::LayerNorm { .. } if members > 1 => {
                return refuse("layers", "norms before the members", format!("{layer} after them"));
            }
            Layer::Piecewise { bins, width: each, columns } => {
                if *bins == 0 || *each == 0 {
                    return refuse("piecewise", "at least one bin and a width of 1", layer.to_string());
                }
                if columns.last().is_none_or(|&last| last >= width) || members > 1 {
                    let expected = format!("columns below {width}, and to stand before the members");
                    return refuse("piecewise", &expected, format!("{layer}"));
                }
            }
            _ => {}
        }
        let product = |numbers: &[usize]| numbers.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        // The width after the layer, and its numbers.
        let (outputs, numbers) = match layer {
            Layer::Dense { outputs } => {
                (product(&[members, *outputs]), (width / members).checked_add(1).and_then(|n| n.checked_mul(*outputs)))
            }
            Layer::Heads { outputs } => {
                (product(&[members, *outputs]), width.checked_add(members).and_then(|n| n.checked_mul(*outputs)))
            }
            Layer::Members { count } => (product(&[width, *count]), product(&[2, width, *count])),
            Layer::Piecewise { bins, width: each, columns } => {
                let embedded = product(&[columns.len(), *each]);
                let outputs = embedded.and_then(|embedded| embedded.checked_add(width - columns.len()));
                (outputs, bins.checked_add(2).and_then(|n| product(&[n, columns.len(), *each])))
            }
            _ => (Some(width), width.checked_mul(2)),
        };
        let more = numbers.and_then(|numbers| total.checked_add(numbers));
        let outputs = match (outputs, more) {
            (Some(outputs), Some(more)) if more <= MOST_PARAMETERS && outputs <= MOST_PARAMETERS => {
                total = more;
                outputs
            }
            _ => return refuse("layers", "at most 2²⁸ parameters", format!("more, in layer {k} ({layer})")),
        };
        let mut slot = Slot { inputs: width, outputs, members, ..Slot::default() };
        match layer {
            Layer::Dense { outputs } => {
                slot.first = layout.push("weight", k, Role::Weights, [width / members, *outputs]);
                slot.second = layout.push("bias", k, Role::Biases, [1, *outputs]);
            }
            Layer::Heads { outputs } => {
                slot.first = layout.push("weight", k, Role::Weights, [width, *outputs]);
                slot.second = layout.push("bias", k, Role::Biases, [members, *outputs]);
            }
            Layer::BatchNorm { .. } | Layer::LayerNorm { .. } => {
                slot.first = layout.push("weight", k, Role::Scale, [1, outputs]);
                slot.second = layout.push("bias", k, Role::Shift, [1, outputs]);
            }
            Layer::Members { count } => {
                members = *count;
                slot.members = members;
                slot.first = layout.push("weight", k, Role::Scale, [members, width]);
                slot.second = layout.push("bias", k, Role::Shift, [members, width]);
            }
            Layer::Piecewise { bins, width, columns } => {
                slot.first = layout.push("weight", k, Role::Weights, [columns.len() * (bins + 1), *width]);
                slot.second = layout.push("bias", k, Role::Biases, [columns.len(), *width]);
                slot.edges = running..running + columns.len() * (bins + 1);
                running = slot.edges.end;
            }
            Layer::Activation(_) | Layer::Dropout { .. } => {}
        }
        if let Layer::BatchNorm { .. } = layer {
            slot.running_mean = running..running + outputs;
            slot.running_variance = running + outputs..running + 2 * outputs;
            running += 2 * outputs;
        }
        width = outputs;
        slots.push(slot);
    }
    Ok((slots, layout, running))
}
