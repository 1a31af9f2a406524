//! The definition: what every fast kernel must reproduce to the last bit.
//!
//! Only what needs an order of operations stands here. A formula without one (an activation, an optimizer's update)
//! is written once over [`Lanes`](super::Lanes) and is its own definition with one lane.

use super::product::{Start, Strided, StridedMut};
use crate::scalar::Scalar;

/// C ← start + A·B: every element is ONE chain of fused multiply-adds in increasing inner index.
///
/// cᵢⱼ = fma(aᵢ,ₖ₋₁, bₖ₋₁,ⱼ, … fma(aᵢ₁, b₁ⱼ, fma(aᵢ₀, b₀ⱼ, startᵢⱼ)))
pub fn product<T: Scalar>(start: Start<'_, T>, a: Strided<'_, T>, b: Strided<'_, T>, mut c: StridedMut<'_, T>) {
    for i in 0..c.rows() {
        for j in 0..c.cols() {
            let mut sum = match start {
                Start::Zero => T::ZERO,
                Start::Bias(bias) => bias[j],
                Start::Stored => c.get(i, j),
            };
            for k in 0..a.cols() {
                sum = a.get(i, k).fma(b.get(k, j), sum);
            }
            c.set(i, j, sum);
        }
    }
}

/// How many interleaved partial sums a reduction along a vector has.
pub const LANES: usize = 16;
/// How many elements one set of partial sums takes.
pub const BLOCK: usize = 4096;

/// Σ f(xᵢ, sum): 16 interleaved partial sums (element i into lane i mod 16) in blocks of 4,096 elements, the lanes
/// joined by a fixed binary tree ([`join`]), the blocks in order.
///
/// `step(i, sum)` returns the lane's sum with element `i` added.
pub fn reduce<T: Scalar>(n: usize, step: impl Fn(usize, T) -> T) -> T {
    let mut total = T::ZERO;
    for block in (0..n).step_by(BLOCK) {
        let mut lanes = [T::ZERO; LANES];
        for i in block..n.min(block + BLOCK) {
            let lane = (i - block) % LANES;
            lanes[lane] = step(i, lanes[lane]);
        }
        total += join(lanes);
    }
    total
}

/// The partial sums joined by a binary tree: lane j with lane j + 8, then + 4, + 2, + 1.
pub fn join<T: Scalar>(mut lanes: [T; LANES]) -> T {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

/// Σ xᵢ in the order of [`reduce`].
pub fn sum<T: Scalar>(x: &[T]) -> T {
    reduce(x.len(), |i, sum| sum + x[i])
}

/// Σ xᵢyᵢ in the order of [`reduce`], each step fused.
pub fn dot<T: Scalar>(x: &[T], y: &[T]) -> T {
    assert_eq!(x.len(), y.len());
    reduce(x.len(), |i, sum| x[i].fma(y[i], sum))
}

/// outⱼ ← startⱼ + Σᵢ xᵢⱼ: one chain of additions over the rows in order.
pub fn sum_rows<T: Scalar>(start: Start<'_, T>, x: Strided<'_, T>, out: &mut [T]) {
    for (j, out) in out.iter_mut().enumerate() {
        let mut sum = match start {
            Start::Zero => T::ZERO,
            Start::Bias(bias) => bias[j],
            Start::Stored => *out,
        };
        for i in 0..x.rows() {
            sum += x.get(i, j);
        }
        *out = sum;
    }
}
