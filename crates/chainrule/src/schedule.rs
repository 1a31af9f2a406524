//! Schedules: the learning rate over a run.

use crate::error::Error;
use crate::kernels::Lanes;
use crate::names::{Spelled, spell};
use std::f64::consts::PI;
use std::fmt;
use std::str::FromStr;

/// How the learning rate η moves from its base over a run. t in \[0, 1) is the share of all steps that are done, e the
/// number of epochs that are.
///
/// Parsed from and written as the name in parentheses with its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schedule {
    /// (`constant`) η.
    Constant,
    /// (`step:every:factor`, 30 and 0.1) η · factor^⌊e / every⌋.
    Step {
        /// Epochs between the steps.
        every: f64,
        /// What each multiplies η by.
        factor: f64,
    },
    /// (`exponential:factor`, 0.95) η · factorᵉ.
    Exponential {
        /// What each epoch multiplies η by.
        factor: f64,
    },
    /// (`inverse_scaling:power`, 0.5) η / (1 + e)^power.
    InverseScaling {
        /// The power.
        power: f64,
    },
    /// (`cosine:warmup`, 0) a straight rise over the share `warmup` of the run, then η · ½(1 + cos πu), u the share of
    /// the rest (Loshchilov & Hutter 2017).
    Cosine {
        /// The share of the run in which η rises from 0.
        warmup: f64,
    },
    /// (`one_cycle:warmup:start:end`, 0.3, 25 and 10000) from η/start up to η over the share `warmup`, then down to
    /// η/(start · end), both along a cosine (Smith & Topin 2018; numbers as PyTorch).
    OneCycle {
        /// The share of the run in which η rises.
        warmup: f64,
        /// What η is divided by at the start.
        start: f64,
        /// What the start is divided by at the end.
        end: f64,
    },
    /// (`cos_log:cycles`, 4) η · ½(1 − cos(2π·log₂(1 + (2^cycles − 1)t))): cycles, each twice as long as the one before
    /// (Holzmüller et al. 2024).
    CosLog {
        /// The number of cycles.
        cycles: f64,
    },
    /// (`plateau:factor:patience`, 0.1 and 10) η · factor each time the watched loss has not improved for more than
    /// `patience` epochs.
    Plateau {
        /// What a plateau multiplies η by.
        factor: f64,
        /// Epochs without improvement before that.
        patience: f64,
    },
}

const NAMES: [&str; 8] =
    ["constant", "step", "exponential", "inverse_scaling", "cosine", "one_cycle", "cos_log", "plateau"];

impl Schedule {
    /// What the base learning rate is multiplied by in step `step` of `steps`, in epoch `epoch` (both from 0). A plateau's
    /// own factor depends on the losses and is the training loop's.
    pub fn factor(&self, step: usize, steps: usize, epoch: usize) -> f64 {
        let t = step as f64 / steps.max(1) as f64;
        let e = epoch as f64;
        let falling = |u: f64| 0.5 * (1.0 + Lanes::cos(PI * u));
        match *self {
            Self::Constant | Self::Plateau { .. } => 1.0,
            Self::Step { every, factor } => power(factor, (e / every).floor()),
            Self::Exponential { factor } => power(factor, e),
            Self::InverseScaling { power: p } => power(1.0 + e, -p),
            Self::Cosine { warmup } if t < warmup => (step + 1) as f64 / (warmup * steps as f64).max(1.0),
            Self::Cosine { warmup } => falling((t - warmup) / (1.0 - warmup)),
            Self::OneCycle { warmup, start, .. } if t < warmup => {
                1.0 / start + (1.0 - 1.0 / start) * falling(1.0 - t / warmup)
            }
            Self::OneCycle { warmup, start, end } => {
                let last = 1.0 / (start * end);
                last + (1.0 - last) * falling((t - warmup) / (1.0 - warmup))
            }
            Self::CosLog { cycles } => {
                let turns = Lanes::ln(1.0 + (power(2.0, cycles) - 1.0) * t) / std::f64::consts::LN_2;
                0.5 * (1.0 - Lanes::cos(2.0 * PI * turns))
            }
        }
    }
}

/// base^exponent by our own exp and ln, base > 0.
fn power(base: f64, exponent: f64) -> f64 {
    Lanes::exp(exponent * Lanes::ln(base))
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let spelled = Spelled::parse("schedule", text)?;
        let factor = |default| spelled.number(0, default, "a factor above 0, at most 1", |x| x > 0.0 && x <= 1.0);
        let share = |x: f64| (0.0..1.0).contains(&x);
        let (schedule, numbers) = match spelled.name {
            "constant" => (Self::Constant, 0),
            "step" => {
                let every = spelled.number(0, 30.0, "a number of epochs ≥ 1", |x| x >= 1.0)?;
                let factor = spelled.number(1, 0.1, "a factor above 0, at most 1", |x| x > 0.0 && x <= 1.0)?;
                (Self::Step { every, factor }, 2)
            }
            "exponential" => (Self::Exponential { factor: factor(0.95)? }, 1),
            "inverse_scaling" => {
                (Self::InverseScaling { power: spelled.number(0, 0.5, "a power ≥ 0", |x| x >= 0.0)? }, 1)
            }
            "cosine" => {
                (Self::Cosine { warmup: spelled.number(0, 0.0, "a warm-up share from 0 to below 1", share)? }, 1)
            }
            "one_cycle" => {
                let warmup = spelled.number(0, 0.3, "a warm-up share from 0 to below 1", share)?;
                let start = spelled.number(1, 25.0, "a start divisor ≥ 1", |x| x >= 1.0)?;
                (
                    Self::OneCycle {
                        warmup, start, end: spelled.number(2, 1e4, "an end divisor ≥ 1", |x| x >= 1.0)?
                    },
                    3,
                )
            }
            "cos_log" => {
                let cycles = |x: f64| (1.0..=16.0).contains(&x) && x.trunc() == x;
                (Self::CosLog { cycles: spelled.number(0, 4.0, "1 to 16 cycles", cycles)? }, 1)
            }
            "plateau" => (
                Self::Plateau {
                    factor: factor(0.1)?,
                    patience: spelled.number(1, 10.0, "a patience ≥ 0", |x| x >= 0.0)?,
                },
                2,
            ),
            _ => return Err(spelled.unknown(&NAMES)),
        };
        spelled.at_most(numbers)?;
        Ok(schedule)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Constant => f.write_str("constant"),
            Self::Step { every, factor } => spell(f, "step", &[(every, 30.0), (factor, 0.1)]),
            Self::Exponential { factor } => spell(f, "exponential", &[(factor, 0.95)]),
            Self::InverseScaling { power } => spell(f, "inverse_scaling", &[(power, 0.5)]),
            Self::Cosine { warmup } => spell(f, "cosine", &[(warmup, 0.0)]),
            Self::OneCycle { warmup, start, end } => spell(f, "one_cycle", &[(warmup, 0.3), (start, 25.0), (end, 1e4)]),
            Self::CosLog { cycles } => spell(f, "cos_log", &[(cycles, 4.0)]),
            Self::Plateau { factor, patience } => spell(f, "plateau", &[(factor, 0.1), (patience, 10.0)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn cos_log_has_zeros_at_0_1_3_7_fifteenths() {
        let schedule: Schedule = "cos_log".parse().unwrap();
        for zero in [0, 1, 3, 7] {
            close(schedule.factor(zero, 15, 0), 0.0);
        }
        // log₂(1 + 15t) = ½ at t = (√2 − 1)/15: the first crest.
        close(schedule.factor(41_421_356_237, 1_500_000_000_000, 0), 1.0);
    }

    #[test]
    fn one_cycle_starts_at_a_25th_peaks_at_the_warm_up_and_ends_tiny() {
        let schedule: Schedule = "one_cycle".parse().unwrap();
        close(schedule.factor(0, 100, 0), 0.04);
        close(schedule.factor(30, 100, 0), 1.0);
        close(schedule.factor(100, 100, 0), 4e-6);
    }

    #[test]
    fn a_warm_up_rises_in_a_line_and_the_cosine_falls_to_half_in_the_middle() {
        let schedule: Schedule = "cosine:0.2".parse().unwrap();
        close(schedule.factor(0, 100, 0), 0.05);
        close(schedule.factor(19, 100, 0), 1.0);
        close(schedule.factor(60, 100, 0), 0.5);
    }

    #[test]
    fn decays_by_the_epoch_follow_their_formulas() {
        close("step:10:0.5".parse::<Schedule>().unwrap().factor(0, 1, 25), 0.25);
        close("exponential:0.9".parse::<Schedule>().unwrap().factor(0, 1, 2), 0.81);
        close("inverse_scaling".parse::<Schedule>().unwrap().factor(0, 1, 3), 0.5);
    }

    #[test]
    fn a_schedule_is_written_as_it_is_read() {
        for text in ["constant", "step:10:0.5", "cosine:0.05", "one_cycle", "cos_log:3", "plateau:0.5", "exponential"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
    }
}
