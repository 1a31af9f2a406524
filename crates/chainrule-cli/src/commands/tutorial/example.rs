//! The example: ten rows, the network of Figure 8, and what the library makes of them.

use chainrule::backprop::loss_and_gradient;
use chainrule::{Data, Layer, Loss, Mode, Network, Processor, Workspace};

pub(super) use chainrule::explain::example::{data, figure_8};

/// The last layer's index, L.
pub(super) const LAST: usize = 3;

/// All numbers of one pass forward and back.
pub(super) struct Pass {
    pub(super) network: Network<f64>,
    /// Z⁽ˡ⁾ for l = 1, 2, 3; row after row.
    z: [Vec<Vec<f64>>; LAST],
    /// X⁽ˡ⁾ for l = 0, 1, 2, 3.
    x: [Vec<Vec<f64>>; LAST + 1],
    /// ∂J/∂Z⁽ˡ⁾ for l = 1, 2, 3.
    delta: [Vec<Vec<f64>>; LAST],
    /// y of the rows.
    pub(super) y: Vec<f64>,
    /// J over the rows.
    pub(super) loss: f64,
    /// ∂J/∂θ, in the order of the parameters.
    pub(super) gradient: Vec<f64>,
}

impl Pass {
    /// A pass of Figure 8's network over the first `rows` rows of the data.
    pub(super) fn over(rows: usize) -> Self {
        let (x, y) = data();
        let data = Data::new(x.rows_range(0..rows), y.rows_range(0..rows));
        let network = figure_8();
        let mut workspace = Workspace::new(&network, rows, 1);
        let mut gradient = vec![0.0; network.parameters().len()];
        let loss = loss_and_gradient(
            &network,
            &Loss::SquaredError,
            &data,
            None,
            Mode::Evaluation,
            &mut workspace,
            &Processor::new(1),
            &mut gradient,
        );
        // The workspace counts dense layers and activations: X⁽⁰⁾, Z⁽¹⁾, X⁽¹⁾, Z⁽²⁾, X⁽²⁾, Z⁽³⁾ = X⁽³⁾.
        let output = |k: usize| workspace.output(k).map(<[f64]>::to_vec).collect();
        let delta = |k: usize| workspace.delta(k).map(<[f64]>::to_vec).collect();
        Self {
            z: [output(1), output(3), output(5)],
            x: [output(0), output(2), output(4), output(5)],
            delta: [delta(1), delta(3), delta(5)],
            y: data.y.as_slice().to_vec(),
            network,
            loss,
            gradient,
        }
    }

    /// Z⁽ˡ⁾, a row for each row of the data.
    pub(super) fn z(&self, layer: usize) -> &[Vec<f64>] {
        &self.z[layer - 1]
    }

    /// X⁽ˡ⁾.
    pub(super) fn x(&self, layer: usize) -> &[Vec<f64>] {
        &self.x[layer]
    }

    /// ∂J/∂Z⁽ˡ⁾, which holds the 1/n of the average.
    pub(super) fn delta(&self, layer: usize) -> &[Vec<f64>] {
        &self.delta[layer - 1]
    }

    /// w⁽ˡ⁾ᵢⱼ, counted from 1.
    pub(super) fn weight(&self, layer: usize, i: usize, j: usize) -> f64 {
        self.network.parameters()[self.position(layer, i, j)]
    }

    /// ∂J/∂w⁽ˡ⁾ᵢⱼ.
    pub(super) fn weight_gradient(&self, layer: usize, i: usize, j: usize) -> f64 {
        self.gradient[self.position(layer, i, j)]
    }

    fn position(&self, layer: usize, i: usize, j: usize) -> usize {
        let segment = &self.network.layout().segments()[2 * (layer - 1)];
        segment.range.start + (i - 1) * segment.shape[1] + j - 1
    }

    /// b⁽ˡ⁾ⱼ.
    pub(super) fn bias(&self, layer: usize, j: usize) -> f64 {
        self.network.biases(2 * (layer - 1))[j - 1]
    }

    /// a′(z⁽ˡ⁾ₖ) of the first row.
    pub(super) fn slope(&self, layer: usize, k: usize) -> f64 {
        let (z, x) = (self.z(layer)[0][k - 1], self.x(layer)[0][k - 1]);
        let mut slope = [1.0];
        if let Some(Layer::Activation(activation)) = self.network.layers().get(2 * layer - 1) {
            activation.differentiate(Processor::new(1).instruction_set(), &[z], &[x], &mut slope);
        }
        slope[0]
    }
}
