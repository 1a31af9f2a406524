//! How far training is, on standard error.
//!
//! On a terminal: one line that is written over, at most ten times a second, and gone at the end; it has no colours, so
//! `NO_COLOR` has nothing to forbid. Elsewhere (a log): a line each time another tenth of the epochs is done and ten
//! seconds have passed since the last, so a short run is silent and a long one leaves at most ten lines.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// What is known at the end of an epoch.
#[derive(Clone, Copy, Debug)]
pub struct Epoch {
    /// How many epochs are done.
    pub done: usize,
    /// How many there will be at most.
    pub of: usize,
    /// The loss on the training rows.
    pub training_loss: f64,
    /// The loss on the choosing rows, if there are any.
    pub validation_loss: Option<f64>,
}

/// A progress line on standard error.
#[derive(Debug)]
pub struct Progress {
    terminal: bool,
    started: Instant,
    last: Instant,
    last_tenth: usize,
    shown: bool,
}

impl Progress {
    /// The run starts now.
    #[expect(clippy::new_without_default, reason = "it reads the clock")]
    pub fn new() -> Self {
        let now = Instant::now();
        Self { terminal: io::stderr().is_terminal(), started: now, last: now, last_tenth: 0, shown: false }
    }

    /// Shows `epoch`, if it is time to.
    pub fn show(&mut self, epoch: Epoch) {
        let now = Instant::now();
        let tenth = epoch.done * 10 / epoch.of.max(1);
        let pause = now - self.last;
        let due = match self.terminal {
            true => pause >= Duration::from_millis(100),
            false => tenth > self.last_tenth && pause >= Duration::from_secs(10),
        };
        if due {
            let line = line(&epoch, now - self.started);
            // Nobody is left to be told if this fails.
            let _ = match self.terminal {
                true => write!(io::stderr(), "\r{line:<WIDTH$}"),
                false => writeln!(io::stderr(), "{line}"),
            };
            (self.last, self.last_tenth, self.shown) = (now, tenth, true);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.terminal && self.shown {
            let _ = write!(io::stderr(), "\r{:WIDTH$}\r", "");
        }
    }
}

/// A line that is longer than the terminal is wide cannot be written over; the narrowest in use have 80 columns.
const WIDTH: usize = 79;

/// The line for `epoch` after `elapsed`: at most 79 characters, the remaining time by the rule of three.
fn line(epoch: &Epoch, elapsed: Duration) -> String {
    let Epoch { done, of, training_loss, validation_loss } = *epoch;
    let validation = validation_loss.map(|loss| format!(", validation {}", short(loss))).unwrap_or_default();
    let left = elapsed.as_secs_f64() * of.saturating_sub(done) as f64 / done.max(1) as f64;
    let (elapsed, left) = (clock(elapsed.as_secs()), clock(left as u64));
    let line = format!("epoch {done}/{of}: loss {}{validation}; {elapsed}, {left} left", short(training_loss));
    line.chars().take(WIDTH).collect()
}

/// Four significant digits.
fn short(x: f64) -> String {
    let scientific = format!("{x:.3e}");
    match scientific.split_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()) {
        Some(exponent @ -4..=3) => format!("{x:.*}", (3 - exponent) as usize),
        Some(_) => scientific,
        None => x.to_string(),
    }
}

/// `1:05`, or `1:01:05` from an hour on.
fn clock(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_the_epoch_the_losses_and_the_times() {
        let mut epoch = Epoch { done: 40, of: 200, training_loss: 0.0123449, validation_loss: Some(12345.678) };
        // 40 of 200 epochs took 13 s, so the other 160 take 4 · 13 = 52 s.
        let after = |epoch: &Epoch, seconds| line(epoch, Duration::from_secs(seconds));
        assert_eq!(after(&epoch, 13), "epoch 40/200: loss 0.01234, validation 1.235e4; 0:13, 0:52 left");
        epoch.validation_loss = None;
        assert_eq!(after(&epoch, 3661), "epoch 40/200: loss 0.01234; 1:01:01, 4:04:04 left");
        epoch.done = 200;
        assert_eq!(after(&epoch, 65), "epoch 200/200: loss 0.01234; 1:05, 0:00 left");
    }

    #[test]
    fn no_line_is_wider_than_79_columns() {
        let extreme = Epoch { done: 1, of: usize::MAX, training_loss: -1.0e-300, validation_loss: Some(f64::NAN) };
        let line = line(&extreme, Duration::MAX);
        assert!(line.chars().count() <= 79, "{line}");
    }

    #[test]
    fn a_number_has_four_digits() {
        let numbers = [0.0, 1.0, 9.99995, 0.00012345, 0.000012345, 1234.5, -0.5, f64::INFINITY, f64::NAN];
        let shown = ["0.000", "1.000", "10.00", "0.0001234", "1.234e-5", "1234", "-0.5000", "inf", "NaN"];
        assert_eq!(numbers.map(short), shown);
    }
}
