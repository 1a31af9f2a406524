//! The tutorial's worked example: ten rows and the network of Figure 8.
//!
//! After "Feed Forward Neural Network" by Rodolfo Lourenzutti (docs/sources.md).

use crate::activation::Activation;
use crate::matrix::Matrix;
use crate::network::Network;
use crate::random::default_rng;

/// W⁽¹⁾, W⁽²⁾ and W⁽³⁾ of Figure 8, each [n⁽ˡ⁻¹⁾, n⁽ˡ⁾] row after row; all biases are 0.
const FIGURE_8: [&[f64]; 3] =
    [&[-0.08, 0.02, 0.06, 0.02, 0.08, -0.09], &[0.01, -0.01, -0.09, 0.03, 0.07, 0.02], &[-0.05, 0.07]];

/// The data: x₁ and x₂ uniform in [3, 9), to one decimal, and y = x₁² + x₂² + noise of deviation 3, to a whole number.
pub fn data() -> (Matrix<f64>, Matrix<f64>) {
    let mut rng = default_rng(1);
    let x: Vec<f64> =
        (0..20).map(|_| (rng.uniform(3.0, 9.0).expect("3 < 9") * 10.0).round_ties_even() / 10.0).collect();
    let noise = |row: &[f64]| row[0] * row[0] + row[1] * row[1] + rng.normal(0.0, 3.0).expect("3 ≥ 0");
    let y = x.chunks(2).map(noise).map(f64::round_ties_even).collect();
    (Matrix::from_vec(10, 2, x).expect("ten rows of two"), Matrix::from_vec(10, 1, y).expect("ten rows"))
}

/// The network 2-3-2-1 with the weights of Figure 8.
pub fn figure_8() -> Network<f64> {
    let mut network = Network::mlp(2, &[3, 2], 1, &Activation::Relu, None, 0).expect("a sound architecture");
    network.parameters_mut().fill(0.0);
    for (l, weights) in FIGURE_8.iter().enumerate() {
        let range = network.layout().segments()[2 * l].range.clone();
        network.parameters_mut()[range].copy_from_slice(weights);
    }
    network
}
