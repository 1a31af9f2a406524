//! What a layer's output is like over the rows of a batch.

use crate::activation::Activation;
use crate::backprop::Workspace;
use crate::kernels::{InstructionSet, Kernel, Lanes};
use crate::layer::Layer;
use crate::scalar::Scalar;

/// A layer's output over the rows of a batch (at most [`LayerFacts::MOST_ROWS`] of them).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LayerFacts {
    /// √(mean of x²) over rows and units.
    pub size: f64,
    /// σ: √(mean over units of the variance over rows). How far rows are told apart: what a signal is here. A layer whose
    /// units are large but the same for every row has σ = 0.
    pub sigma: f64,
    /// The share of units that gave the same number for every row; 0 for a single row.
    pub dead: f64,
    /// The share of numbers in the flat part of a tanh or logistic, where a′(z) is below a twentieth of its largest; 0 for
    /// other layers.
    pub saturated: f64,
}

impl LayerFacts {
    /// More rows of a batch are not looked at: the facts are estimates, and these are enough for two digits.
    pub const MOST_ROWS: usize = 1024;
}

/// Room for the sums over rows.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// For each unit Σd over rows, d the difference to the first row, so that nothing cancels.
    differences: Vec<f64>,
    /// For each unit Σd²: 0 where all rows are equal.
    squares: Vec<f64>,
}

impl Sums {
    /// The facts of the input and of every layer's output in the workspace's last pass.
    pub(crate) fn of<T: Scalar>(
        &mut self,
        set: InstructionSet,
        layers: &[Layer],
        workspace: &Workspace<T>,
        facts: &mut Vec<LayerFacts>,
    ) {
        facts.clear();
        for k in 0..=layers.len() {
            let layer = k.checked_sub(1).map(|k| &layers[k]);
            facts.push(self.layer(set, layer, workspace.output(k).take(LayerFacts::MOST_ROWS)));
        }
    }

    fn layer<'a, T: Scalar>(
        &mut self,
        set: InstructionSet,
        layer: Option<&Layer>,
        mut rows: impl Iterator<Item = &'a [T]> + Clone,
    ) -> LayerFacts {
        let all = rows.clone();
        let Some(first) = rows.next().filter(|first| !first.is_empty()) else { return LayerFacts::default() };
        for sums in [&mut self.differences, &mut self.squares] {
            sums.clear();
            sums.resize(first.len(), 0.0);
        }
        let n = 1 + T::dispatch(set, Differences { first, rows, sums: self });
        let (rows, units) = (f64::from(n), first.len() as f64);
        let (mut size, mut variance, mut dead) = (0.0, 0.0, 0);
        for (first, (sum, square)) in first.iter().zip(self.differences.iter().zip(&self.squares)) {
            let first = first.to_f64();
            // Σx² = Σ(x₁ + d)².
            size += (rows * first * first + 2.0 * first * sum + square).max(0.0);
            variance += (square - sum * sum / rows).max(0.0) / rows;
            dead += usize::from(n > 1 && *square == 0.0);
        }
        LayerFacts {
            size: (size / (rows * units)).sqrt(),
            sigma: (variance / units).sqrt(),
            dead: dead as f64 / units,
            saturated: flat(layer, all) as f64 / (rows * units),
        }
    }
}

/// Adds rows' differences to the first up, and returns the number of rows.
struct Differences<'s, 'a, T, I> {
    first: &'a [T],
    rows: I,
    sums: &'s mut Sums,
}

impl<'a, T: Scalar, I: Iterator<Item = &'a [T]>> Kernel<T> for Differences<'_, 'a, T, I> {
    type Output = u32;
    #[inline(always)]
    fn run<V: Lanes<Scalar = T>>(self, _: V) -> u32 {
        let mut n = 0;
        for row in self.rows {
            // Arrays side by side and nothing else in the loop: it becomes vectors of f64.
            let sums = self.sums.differences.iter_mut().zip(&mut self.sums.squares);
            for ((x, first), (difference, square)) in row.iter().zip(self.first).zip(sums) {
                let d = x.to_f64() - first.to_f64();
                *difference += d;
                *square += d * d;
            }
            n += 1;
        }
        n
    }
}

/// ‖Δθ‖/‖θ‖, 0 where θ was 0: in f64, for squares may leave `f32`, and in partial sums that become vectors.
pub(crate) fn update<T: Scalar>(before: &[T], now: &[T]) -> f64 {
    const SUMS: usize = 8;
    let (mut moved, mut size) = ([0.0; SUMS], [0.0; SUMS]);
    for (before, now) in before.chunks(SUMS).zip(now.chunks(SUMS)) {
        for (i, (before, now)) in before.iter().zip(now).enumerate() {
            let (before, now) = (before.to_f64(), now.to_f64());
            moved[i] += (now - before) * (now - before);
            size[i] += before * before;
        }
    }
    let (moved, size): (f64, f64) = (moved.iter().sum(), size.iter().sum());
    if size > 0.0 { (moved / size).sqrt() } else { 0.0 }
}

/// How many numbers are in the flat part of a tanh or logistic.
fn flat<'a, T: Scalar>(layer: Option<&Layer>, rows: impl Iterator<Item = &'a [T]>) -> usize {
    let count = |flat: fn(f64) -> bool| rows.flatten().filter(|x| flat(x.to_f64())).count();
    match layer {
        // a′ = 1 − x², largest 1; a′ = x(1 − x), largest ¼.
        Some(Layer::Activation(Activation::Tanh)) => count(|x| 1.0 - x * x < 0.05),
        Some(Layer::Activation(Activation::Logistic)) => count(|x| x * (1.0 - x) < 0.0125),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigma_is_what_tells_rows_apart() {
        // Unit 1: 5 in both rows, dead. Unit 2: 1 and 3, variance 1. σ = √((0 + 1)/2); size √((25 + 1 + 25 + 9)/4).
        let rows: [&[f64]; 2] = [&[5.0, 1.0], &[5.0, 3.0]];
        let facts = Sums::default().layer(InstructionSet::detect(), None, rows.into_iter());
        assert_eq!(facts, LayerFacts { size: 15.0_f64.sqrt(), sigma: 0.5_f64.sqrt(), dead: 0.5, saturated: 0.0 });
    }

    #[test]
    fn an_update_is_measured_where_squares_leave_single_precision() {
        for scale in [1.0, 1e30, 1e-30] {
            let before: Vec<f32> = (1..=19).map(|i| i as f32 * scale).collect();
            let now: Vec<f32> = before.iter().map(|x| x * 1.5).collect();
            assert!((update(&before, &now) - 0.5).abs() < 1e-6, "{scale:e}");
        }
        assert_eq!(update(&[0.0; 3], &[1.0; 3]), 0.0);
    }

    #[test]
    fn the_flat_part_of_a_tanh_is_where_its_derivative_is_below_a_twentieth() {
        // 1 − 0.97² = 0.059, 1 − 0.98² = 0.0396.
        let tanh = Layer::Activation(Activation::Tanh);
        let rows: [&[f64]; 2] = [&[0.97, -0.98], &[0.0, 0.98]];
        assert_eq!(Sums::default().layer(InstructionSet::detect(), Some(&tanh), rows.into_iter()).saturated, 0.5);
        assert_eq!(Sums::default().layer(InstructionSet::detect(), None, rows.into_iter()).saturated, 0.0);
    }
}
