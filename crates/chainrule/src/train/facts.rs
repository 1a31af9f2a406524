//! What a layer's output is like over the rows of a batch.

use crate::activation::Activation;
use crate::backprop::Workspace;
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
    /// For each unit, over rows: whether all are equal, Σd, Σd² with d the difference to the first row, so that nothing
    /// cancels.
    units: Vec<(bool, f64, f64)>,
}

impl Sums {
    /// The facts of the input and of every layer's output in the workspace's last pass.
    pub(crate) fn of<T: Scalar>(&mut self, layers: &[Layer], workspace: &Workspace<T>, facts: &mut Vec<LayerFacts>) {
        facts.clear();
        for k in 0..=layers.len() {
            let layer = k.checked_sub(1).map(|k| &layers[k]);
            facts.push(self.layer(layer, workspace.output(k).take(LayerFacts::MOST_ROWS)));
        }
    }

    fn layer<'a, T: Scalar>(&mut self, layer: Option<&Layer>, rows: impl Iterator<Item = &'a [T]>) -> LayerFacts {
        let flat: &dyn Fn(f64) -> bool = match layer {
            // a′ = 1 − x², largest 1; a′ = x(1 − x), largest ¼.
            Some(Layer::Activation(Activation::Tanh)) => &|x| 1.0 - x * x < 0.05,
            Some(Layer::Activation(Activation::Logistic)) => &|x| x * (1.0 - x) < 0.0125,
            _ => &|_| false,
        };
        let (mut n, mut squares, mut saturated) = (0_usize, 0.0, 0_usize);
        let mut first: &[T] = &[];
        for row in rows {
            if n == 0 {
                first = row;
                self.units.clear();
                self.units.resize(row.len(), (true, 0.0, 0.0));
            }
            for ((unit, x), first) in self.units.iter_mut().zip(row).zip(first) {
                let (x, d) = (x.to_f64(), x.to_f64() - first.to_f64());
                unit.0 &= d == 0.0;
                unit.1 += d;
                unit.2 += d * d;
                squares += x * x;
                saturated += usize::from(flat(x));
            }
            n += 1;
        }
        let (rows, units) = (n as f64, first.len() as f64);
        let numbers = rows * units;
        if numbers == 0.0 {
            return LayerFacts::default();
        }
        let variance = self.units.iter().map(|&(_, sum, square)| (square - sum * sum / rows).max(0.0) / rows);
        let dead = if n > 1 { self.units.iter().filter(|unit| unit.0).count() } else { 0 };
        LayerFacts {
            size: (squares / numbers).sqrt(),
            sigma: (variance.sum::<f64>() / units).sqrt(),
            dead: dead as f64 / units,
            saturated: saturated as f64 / numbers,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sigma_is_what_tells_rows_apart() {
        // Unit 1: 5 in both rows, dead. Unit 2: 1 and 3, variance 1. σ = √((0 + 1)/2); size √((25 + 1 + 25 + 9)/4).
        let rows: [&[f64]; 2] = [&[5.0, 1.0], &[5.0, 3.0]];
        let facts = Sums::default().layer(None, rows.into_iter());
        assert_eq!(facts, LayerFacts { size: 15.0_f64.sqrt(), sigma: 0.5_f64.sqrt(), dead: 0.5, saturated: 0.0 });
    }

    #[test]
    fn the_flat_part_of_a_tanh_is_where_its_derivative_is_below_a_twentieth() {
        // 1 − 0.97² = 0.059, 1 − 0.98² = 0.0396.
        let tanh = Layer::Activation(Activation::Tanh);
        let rows: [&[f64]; 2] = [&[0.97, -0.98], &[0.0, 0.98]];
        assert_eq!(Sums::default().layer(Some(&tanh), rows.into_iter()).saturated, 0.5);
        assert_eq!(Sums::default().layer(None, rows.into_iter()).saturated, 0.0);
    }
}
