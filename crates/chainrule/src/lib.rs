//! Feed-forward neural networks you can see through.
//!
//! A network of receptors z = Wx + b and neurons x = a(z), its forward pass, and backpropagation as the chain rule:
//! δ⁽ᴸ⁾ = ∂J/∂z⁽ᴸ⁾, δ⁽ˡ⁾ = (δ⁽ˡ⁺¹⁾W⁽ˡ⁺¹⁾ᵀ) ∘ a′(z⁽ˡ⁾), ∂J/∂W⁽ˡ⁾ = X⁽ˡ⁻¹⁾ᵀδ⁽ˡ⁾, ∂J/∂b⁽ˡ⁾ = Σδ⁽ˡ⁾. Every number has a written order of
//! operations, so the same data, options and seed give the same bits for any number of threads and any SIMD width.
//!
//! ```
//! use chainrule::train::{Options, train};
//! use chainrule::{Activation, Data, Matrix, Network, Processor};
//! use std::ops::ControlFlow;
//!
//! // Exclusive or: no straight line tells the two kinds apart, a hidden layer does.
//! let x = Matrix::from_rows(&[[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]);
//! let y = Matrix::from_rows(&[[0.0], [1.0], [1.0], [0.0]]);
//! let mut network = Network::<f64>::mlp(2, &[8], 1, &Activation::Tanh, None, 1)?;
//! let options = Options { epochs: 2000, batch_size: None, learning_rate: Some(0.01), ..Options::default() };
//! let processor = Processor::new(1);
//! let data = Data::new(x.view(), y.view());
//! let report = train(&mut network, &data, None, &options, &processor, &mut |_| ControlFlow::Continue(()))?;
//! assert!(report.loss < 1e-3);
//! # Ok::<(), chainrule::Error>(())
//! ```
//!
//! | idea | symbol | in code | PyTorch |
//! |---|---|---|---|
//! | input, activation of layer l | X⁽ˡ⁾ | `x`, `activation` | |
//! | pre-activation ("receptor") | Z⁽ˡ⁾ = X⁽ˡ⁻¹⁾W⁽ˡ⁾ + 1b⁽ˡ⁾ᵀ | `z` | |
//! | weights \[n_in, n_out\] | W⁽ˡ⁾ | `weights` | `<k>.weight`ᵀ |
//! | biases | b⁽ˡ⁾ | `biases` | `<k>.bias` |
//! | ∂J/∂Z⁽ˡ⁾ | δ⁽ˡ⁾ | `delta` | |
//! | cost of a batch | J | `loss` | |
//!
//! What it will not do: tensors of rank n, general automatic differentiation, convolutions, attention, GPUs.

pub mod activation;
pub mod backprop;
mod compiled;
pub mod doctor;
#[cfg(test)]
mod dual;
pub mod error;
pub mod explain;
#[cfg(test)]
mod gradient_tests;
pub mod init;
pub mod kernels;
pub mod layer;
pub mod loss;
pub mod matrix;
pub mod model_file;
mod names;
pub mod network;
pub mod optimizer;
pub mod random;
pub mod scalar;
pub mod schedule;
pub mod train;

pub use activation::Activation;
pub use backprop::{Data, Mode, Workspace};
pub use error::Error;
pub use init::Initialiser;
pub use kernels::Processor;
pub use layer::Layer;
pub use loss::Loss;
pub use matrix::{Matrix, MatrixMut, MatrixRef};
pub use model_file::ModelFile;
pub use network::Network;
pub use optimizer::Optimizer;
pub use scalar::Scalar;
pub use schedule::Schedule;
pub use train::train;

/// The README's examples run as tests.
#[doc = include_str!("../../../README.md")]
#[cfg(doctest)]
struct Readme;
