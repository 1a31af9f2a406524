//! The standard normal distribution by the ziggurat method.
//!
//! 256 layers of equal area cover the right half of e^(−x²/2). A draw picks a layer, a sign and a magnitude m, and
//! x = m · W\[layer\]:
//! 1. m < K\[layer\]: x lies under the curve whatever its height; done, in 98.5 % of the draws.
//! 2. Layer 0, else: x is drawn from the tail beyond R.
//! 3. Any other layer: a random height in the layer decides whether (x, height) lies under the curve; if not, all over.
//!
//! Source: G. Marsaglia, W. W. Tsang, "The Ziggurat Method for Generating Random Variables", 2000; the tail after
//! G. Marsaglia, "Generating a Variable from the Tail of the Normal Distribution", 1964. Which bits are used for what,
//! and what is evaluated in which precision, is NumPy's.
//!
//! `log1p` is a parameter because the tail's values are the one thing that depends on how it rounds. `exp` is not: it
//! only decides case 3, where the last bit of it matters once in 10¹⁶.

use super::Generator;
use super::ziggurat::{F32, F64, K32, K64, W32, W64};

/// Where the tail begins, and 1/R as a number of its own (not the rounded quotient).
pub(super) const R: f64 = 3.654_152_885_361_009;
pub(super) const INVERSE_R: f64 = 0.273_661_237_329_758_3;
pub(super) const R_F32: f32 = R as f32;
pub(super) const INVERSE_R_F32: f32 = INVERSE_R as f32;

pub(super) fn standard_f64(rng: &mut Generator, log1p: impl Fn(f64) -> f64) -> f64 {
    loop {
        // From the lowest bit: 8 for the layer, 1 for the sign, 52 for the magnitude.
        let bits = rng.next_u64();
        let layer = (bits & 0xff) as usize;
        let magnitude = (bits >> 9) & 0x000f_ffff_ffff_ffff;
        let x = magnitude as f64 * W64[layer];
        let x = if bits >> 8 & 1 == 1 { -x } else { x };
        if magnitude < K64[layer] {
            return x;
        }
        if layer == 0 {
            loop {
                let x = -INVERSE_R * log1p(-rng.random_f64());
                let y = -log1p(-rng.random_f64());
                if y + y > x * x {
                    return if magnitude >> 8 & 1 == 1 { -(R + x) } else { R + x };
                }
            }
        }
        if (F64[layer - 1] - F64[layer]) * rng.random_f64() + F64[layer] < pxfm::f_exp(-0.5 * x * x) {
            return x;
        }
    }
}

pub(super) fn standard_f32(rng: &mut Generator, log1p: impl Fn(f32) -> f32) -> f32 {
    loop {
        // From the lowest bit: 8 for the layer, 1 for the sign, 23 for the magnitude.
        let bits = rng.next_u32();
        let layer = (bits & 0xff) as usize;
        let magnitude = bits >> 9;
        let x = magnitude as f32 * W32[layer];
        let x = if bits >> 8 & 1 == 1 { -x } else { x };
        if magnitude < K32[layer] {
            return x;
        }
        if layer == 0 {
            loop {
                let x = -INVERSE_R_F32 * log1p(-rng.random_f32());
                let y = -log1p(-rng.random_f32());
                if y + y > x * x {
                    return if magnitude >> 8 & 1 == 1 { -(R_F32 + x) } else { R_F32 + x };
                }
            }
        }
        let height = (F32[layer - 1] - F32[layer]) * rng.random_f32() + F32[layer];
        let x64 = f64::from(x);
        if f64::from(height) < pxfm::f_exp(-0.5 * x64 * x64) {
            return x;
        }
    }
}
