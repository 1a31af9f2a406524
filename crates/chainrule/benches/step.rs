//! A whole training step: gather a shuffled batch, forward, loss, backward, update.
//!
//! `cargo bench -p chainrule --bench step -- [case] [threads]`
//!
//! FLOPs are two for each multiply-add of the products: forward, ∂W, and ∂X except in the first layer. Stretches of steps
//! and measurements of one thread's peak alternate, for the clock of a shared machine wanders; figures are medians over
//! them, the share against as many peaks as threads. `best` is the best stretch against the best peak.
#![allow(missing_docs, clippy::print_stdout)]

mod peak;

use chainrule::random::default_rng;
use chainrule::train::{Event, Options, train};
use chainrule::{Activation, Data, Loss, Matrix, Network, Optimizer, Processor, Scalar};
use peak::peak;
use std::ops::ControlFlow;
use std::time::Instant;

/// A stretch of steps and a measurement of the peak alternate so often, each so long.
const STRETCHES: usize = 60;
const SECONDS: f64 = 0.004;

struct Case {
    name: &'static str,
    sizes: &'static [usize],
    batch: usize,
    optimizer: Optimizer,
    loss: Loss,
}

impl Case {
    /// Multiply-adds count twice.
    fn operations_per_row(&self) -> f64 {
        let products = self.sizes.windows(2).map(|pair| 2.0 * (pair[0] * pair[1]) as f64);
        3.0 * products.sum::<f64>() - 2.0 * (self.sizes[0] * self.sizes[1]) as f64
    }

    /// Seconds of each step but the first of every run.
    fn run<T: Scalar>(&self, threads: usize) {
        let (inputs, outputs) = (self.sizes[0], *self.sizes.last().unwrap());
        let hidden = &self.sizes[1..self.sizes.len() - 1];
        let start = Network::<T>::mlp(inputs, hidden, outputs, &Activation::Relu, None, 1).unwrap();
        // Enough batches that rows are gathered from all over, as in real data.
        let rows = 16 * self.batch;
        let mut x = Matrix::zeros(rows, inputs);
        default_rng(2).fill_normal(0.0, 1.0, x.as_mut_slice()).unwrap();
        let columns = self.loss.target_columns(outputs).unwrap();
        let y =
            (0..rows * columns).map(|i| T::from_f64((i * 7 % 10) as f64 * if columns < outputs { 1.0 } else { 0.1 }));
        let y = Matrix::from_vec(rows, columns, y.collect()).unwrap();
        let data = Data::new(x.view(), y.view());
        let processor = Processor::new(threads);
        let operations = self.operations_per_row() * self.batch as f64;
        let options = Options {
            loss: self.loss.clone(),
            optimizer: self.optimizer,
            learning_rate: Some(1e-4),
            batch_size: Some(self.batch),
            epochs: usize::MAX,
            ..Options::default()
        };
        let (mut rates, mut peaks, mut shares) = (Vec::new(), Vec::new(), Vec::new());
        let (mut began, mut steps) = (None, 0_usize);
        // To look at the clock takes a twentieth of the smallest network's step.
        let looks = if self.sizes.iter().sum::<usize>() < 64 { 16 } else { 1 };
        let mut watch = |event: Event<'_>| {
            let Event::Step { .. } = event else { return ControlFlow::Continue(()) };
            let start = *began.get_or_insert_with(Instant::now);
            if !steps.is_multiple_of(looks) {
                steps += 1;
                return ControlFlow::Continue(());
            }
            let seconds = start.elapsed().as_secs_f64();
            if steps > 0 && seconds > SECONDS {
                let rate = operations * steps as f64 / seconds / 1e9;
                let peak = peak::<T>(processor.instruction_set()) * threads as f64;
                rates.push(rate);
                peaks.push(peak);
                shares.push(rate / peak);
                // The first step after a peak is left out: it finds its caches as the peak left them.
                (began, steps) = (None, 0);
            } else {
                steps += 1;
            }
            if rates.len() > STRETCHES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let mut network = start.clone();
        let sharing = train(&mut network, &data, None, &options, &processor, &mut watch).unwrap().threads;
        let sorted = |mut figures: Vec<f64>| {
            figures.remove(0);
            figures.sort_by(f64::total_cmp);
            figures
        };
        let [rates, peaks, shares] = [rates, peaks, shares].map(sorted);
        let (rate, share) = (rates[STRETCHES / 2], shares[STRETCHES / 2]);
        let best = rates[STRETCHES - 1] / peaks[STRETCHES - 1];
        let speed = rate * 1e9 / operations * self.batch as f64;
        let (name, sizes, step) = (self.name, format!("{:?}", self.sizes), 1e6 * self.batch as f64 / speed);
        println!(
            "{name} {sizes:28} batch {:3} {} threads {threads} (sharing {sharing}) {step:9.2} µs/step {speed:12.0} rows/s \
             {rate:7.2} GFLOP/s {:5.1} %, best {:5.1} %",
            self.batch,
            T::NAME,
            100.0 * share,
            100.0 * best,
        );
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let only = arguments.iter().find(|a| a.parse::<usize>().is_err()).cloned().unwrap_or_default();
    let given = arguments.iter().find_map(|a| a.parse().ok());
    let adam = || Optimizer::Adam(Default::default());
    let squared = || Loss::SquaredError;
    let classes = || Loss::CrossEntropy { smoothing: 0.0 };
    let case = |name, sizes, batch, optimizer, loss| Case { name, sizes, batch, optimizer, loss };
    let cases = [
        case("T", &[2, 3, 2, 1], 10, Optimizer::GradientDescent, squared()),
        case("S", &[20, 64, 64, 1], 32, adam(), squared()),
        case("R", &[100, 256, 256, 256, 1], 256, adam(), squared()),
        case("M", &[784, 256, 128, 10], 128, adam(), classes()),
        case("L", &[512, 1024, 1024, 512, 10], 512, adam(), classes()),
    ];
    for case in cases.iter().filter(|case| only.is_empty() || case.name == only) {
        for threads in given.map_or(vec![1, 2], |threads| vec![threads]) {
            if case.name == "T" { case.run::<f64>(threads) } else { case.run::<f32>(threads) }
        }
    }
}
