//! L-BFGS: the quasi-Newton method that remembers a few steps, with a line search that keeps the strong Wolfe
//! conditions (Nocedal & Wright, Numerical Optimization, 2nd edition, chapters 3 and 7).

use crate::kernels::naive::dot;
use crate::scalar::Scalar;
use std::collections::VecDeque;

/// Sufficient decrease and curvature, Nocedal & Wright's choice for quasi-Newton methods.
const C1: f64 = 1e-4;
const C2: f64 = 0.9;
/// Function values that one line search may take.
const TRIALS: usize = 25;

/// The remembered steps s = θ′ − θ and changes of the gradient y = g′ − g, newest last.
#[derive(Debug)]
pub(crate) struct Lbfgs<T> {
    memory: usize,
    pairs: VecDeque<(Vec<T>, Vec<T>, f64)>,
}

/// What one iteration came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    /// The parameters moved; the loss there.
    Moved(f64),
    /// No descent is left: the gradient vanishes or the line search finds nothing lower.
    Converged,
}

impl<T: Scalar> Lbfgs<T> {
    pub(crate) fn new(memory: usize) -> Self {
        Self { memory, pairs: VecDeque::new() }
    }

    /// −H·g by the two-loop recursion (algorithm 7.4).
    fn direction(&self, gradient: &[T]) -> Vec<T> {
        let mut q: Vec<T> = gradient.iter().map(|&g| -g).collect();
        let mut alphas = Vec::with_capacity(self.pairs.len());
        for (s, y, rho) in self.pairs.iter().rev() {
            let alpha = rho * dot(s, &q).to_f64();
            add_scaled(&mut q, T::from_f64(-alpha), y);
            alphas.push(alpha);
        }
        if let Some((s, y, _)) = self.pairs.back() {
            let gamma = T::from_f64(dot(s, y).to_f64() / dot(y, y).to_f64());
            q.iter_mut().for_each(|q| *q = gamma * *q);
        }
        for ((s, y, rho), alpha) in self.pairs.iter().zip(alphas.into_iter().rev()) {
            let beta = rho * dot(y, &q).to_f64();
            add_scaled(&mut q, T::from_f64(alpha - beta), s);
        }
        q
    }

    /// One iteration from `parameters`, where the loss is `loss` and its gradient `gradient`; both vectors are moved on.
    ///
    /// `evaluate(θ, g)` returns J(θ) and sets g to its gradient.
    pub(crate) fn step(
        &mut self,
        parameters: &mut [T],
        gradient: &mut [T],
        loss: f64,
        mut evaluate: impl FnMut(&[T], &mut [T]) -> f64,
    ) -> Step {
        let start = parameters.to_vec();
        let start_gradient = gradient.to_vec();
        let mut direction = self.direction(gradient);
        let mut slope = dot(&direction, gradient).to_f64();
        if !(slope.is_finite() && slope < 0.0) {
            // The memory misleads: begin anew with steepest descent.
            self.pairs.clear();
            direction = gradient.iter().map(|&g| -g).collect();
            slope = dot(&direction, gradient).to_f64();
        }
        if slope == 0.0 || !slope.is_finite() {
            return Step::Converged;
        }
        // Steepest descent has no scale: start with a step of length at most 1.
        let first = if self.pairs.is_empty() { (1.0 / (-slope).sqrt()).min(1.0) } else { 1.0 };
        let last = std::cell::Cell::new(f64::NAN);
        let mut at = |alpha: f64| {
            last.set(alpha);
            let alpha = T::from_f64(alpha);
            for ((theta, &start), &d) in parameters.iter_mut().zip(&start).zip(&direction) {
                *theta = alpha.fma(d, start);
            }
            let loss = evaluate(parameters, gradient);
            (loss, dot(gradient, &direction).to_f64())
        };
        let found = line_search(loss, slope, first, &mut at);
        let Some((alpha, found_loss)) = found else {
            parameters.copy_from_slice(&start);
            gradient.copy_from_slice(&start_gradient);
            // Once more from steepest descent before giving up.
            if self.pairs.is_empty() {
                return Step::Converged;
            }
            self.pairs.clear();
            return Step::Moved(loss);
        };
        if last.get() != alpha {
            at(alpha);
        }
        let s: Vec<T> = parameters.iter().zip(&start).map(|(&new, &old)| new - old).collect();
        let y: Vec<T> = gradient.iter().zip(&start_gradient).map(|(&new, &old)| new - old).collect();
        let curvature = dot(&s, &y).to_f64();
        if curvature > 1e-10 * dot(&y, &y).to_f64() {
            if self.pairs.len() == self.memory {
                self.pairs.pop_front();
            }
            self.pairs.push_back((s, y, 1.0 / curvature));
        }
        Step::Moved(found_loss)
    }
}

fn add_scaled<T: Scalar>(x: &mut [T], scale: T, y: &[T]) {
    for (x, &y) in x.iter_mut().zip(y) {
        *x = scale.fma(y, *x);
    }
}

/// A step length that keeps the strong Wolfe conditions, or at least lowers the loss: bracket (algorithm 3.5), then
/// zoom (3.6) by cubic interpolation with bisection as its guard. Returns the length and the loss there.
fn line_search(loss: f64, slope: f64, first: f64, at: &mut impl FnMut(f64) -> (f64, f64)) -> Option<(f64, f64)> {
    let enough = |alpha: f64, value: f64| value <= loss + C1 * alpha * slope;
    let flat = |derivative: f64| derivative.abs() <= -C2 * slope;
    let mut before = (0.0, loss, slope);
    let mut alpha = first;
    let mut bracket = None;
    let mut trials = 0;
    while trials < TRIALS {
        trials += 1;
        let (value, derivative) = at(alpha);
        let here = (alpha, value, derivative);
        if !value.is_finite() {
            // Beyond where the loss exists: halve the way.
            alpha = 0.5 * (before.0 + alpha);
            continue;
        }
        if !enough(alpha, value) || (trials > 1 && value >= before.1) {
            bracket = Some((before, here));
            break;
        }
        if flat(derivative) {
            return Some((alpha, value));
        }
        if derivative >= 0.0 {
            bracket = Some((here, before));
            break;
        }
        before = here;
        alpha *= 2.0;
    }
    let (mut low, mut high) = bracket.unwrap_or((before, before));
    while trials < TRIALS && (high.0 - low.0).abs() > 1e-12 * low.0.abs().max(1e-300) {
        trials += 1;
        let alpha = interpolate(low, high);
        let (value, derivative) = at(alpha);
        let here = (alpha, value, derivative);
        if !value.is_finite() || !enough(alpha, value) || value >= low.1 {
            high = (alpha, if value.is_finite() { value } else { f64::MAX }, derivative);
            continue;
        }
        if flat(derivative) {
            return Some((alpha, value));
        }
        if derivative * (high.0 - low.0) >= 0.0 {
            high = low;
        }
        low = here;
    }
    (low.0 > 0.0 && low.1 < loss).then_some((low.0, low.1))
}

/// The minimiser of the cubic through two values and slopes (equation 3.59), kept off the ends; the middle where it
/// is of no use.
fn interpolate(a: (f64, f64, f64), b: (f64, f64, f64)) -> f64 {
    let d1 = a.2 + b.2 - 3.0 * (a.1 - b.1) / (a.0 - b.0);
    let d2 = (b.0 - a.0).signum() * (d1 * d1 - a.2 * b.2).sqrt();
    let alpha = b.0 - (b.0 - a.0) * (b.2 + d2 - d1) / (b.2 - a.2 + 2.0 * d2);
    let (low, high) = (a.0.min(b.0), a.0.max(b.0));
    let margin = 0.1 * (high - low);
    if alpha.is_finite() && alpha > low + margin && alpha < high - margin { alpha } else { 0.5 * (low + high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rosenbrock_s_valley_is_walked_to_its_end() {
        // f = (1 − x)² + 100(y − x²)², minimum 0 at (1, 1), from the classic start (−1.2, 1).
        let f = |p: &[f64], g: &mut [f64]| {
            let (x, y) = (p[0], p[1]);
            g[0] = -2.0 * (1.0 - x) - 400.0 * x * (y - x * x);
            g[1] = 200.0 * (y - x * x);
            (1.0 - x) * (1.0 - x) + 100.0 * (y - x * x) * (y - x * x)
        };
        let (mut p, mut g) = ([-1.2, 1.0], [0.0; 2]);
        let mut loss = f(&p, &mut g);
        let mut lbfgs = Lbfgs::new(10);
        for _ in 0..60 {
            match lbfgs.step(&mut p, &mut g, loss, f) {
                Step::Moved(next) => loss = next,
                Step::Converged => break,
            }
        }
        assert!(loss < 1e-20, "{loss}");
        assert!((p[0] - 1.0).abs() < 1e-9 && (p[1] - 1.0).abs() < 1e-9, "{p:?}");
    }
}
