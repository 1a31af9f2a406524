//! Random numbers: NumPy's `default_rng` bit for bit, and streams whose k-th element is known without the others.
//!
//! [`default_rng`] seeds a [`Generator`]. Its numbers are those of NumPy 2.x (as of 2.4), so data and initial weights
//! made in a notebook come out of this library equal to the last bit. The tutorial's inputs, for example, are
//! `np.round(rng.uniform(3, 9, (10, 2)), 1)`:
//!
//! ```
//! use chainrule::random::default_rng;
//!
//! let mut rng = default_rng(1);
//! let mut x = [0.0_f64; 20];
//! rng.fill_uniform(3.0, 9.0, &mut x)?;
//! let x = x.map(|x| (x * 10.0).round_ties_even() / 10.0); // NumPy's round to one decimal
//! assert_eq!(x[..4], [6.1, 8.7, 3.9, 8.7]);
//! # Ok::<(), chainrule::Error>(())
//! ```
//!
//! A seed may be a list; the rows of epoch e are shuffled so:
//!
//! ```
//! use chainrule::random::default_rng;
//!
//! let (seed, e) = (1, 0);
//! assert_eq!(default_rng([seed, 1, e]).permutation(6), [1, 4, 0, 3, 2, 5]);
//! ```
//!
//! One kind of draw cannot be equal on every machine: about one normal in 3,900 lies in the curve's tail and takes a
//! logarithm, which NumPy asks of the platform's C library. Ours is correctly rounded, the same everywhere; beside
//! NumPy on Linux about 1.3 of 10⁶ normals differ (of 10⁸ drawn: 128 in `f64`, 115 in `f32`), each by one unit in the last place.
//!
//! [`Stream`] gives element k of the stream (seed, purpose, step) directly. Dropout's masks are drawn from it: they do
//! not depend on who computes which rows.
//!
//! Nothing here is for secrets.

mod generator;
mod normal;
mod philox;
mod seed;
mod stream;
#[cfg(test)]
mod tests;
mod ziggurat;

pub use generator::{Generator, GeneratorState, default_rng};
pub use philox::Philox;
pub use seed::SeedSequence;
pub use stream::{Purpose, Stream};
