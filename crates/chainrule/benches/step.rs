//! A whole training step: gather a shuffled batch, forward, loss, backward, update.
//!
//! `cargo bench -p chainrule --bench step -- [case]`
//!
//! FLOPs are two for each multiply-add of the products: forward, ∂W, and ∂X except in the first layer. The peak is that of
//! one thread, measured between repetitions; figures are medians, the share against as many peaks as threads.
#![allow(missing_docs, clippy::print_stdout)]

mod peak;

use chainrule::random::default_rng;
use chainrule::train::{Event, Options, train};
use chainrule::{Activation, Data, Loss, Matrix, Network, Optimizer, Processor, Scalar};
use peak::peak;
use std::ops::ControlFlow;
use std::time::Instant;

const REPETITIONS: usize = 9;
const SECONDS: f64 = 0.1;

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
        let (mut speeds, mut rates, mut shares, mut sharing) = (Vec::new(), Vec::new(), Vec::new(), 1);
        for _ in 0..REPETITIONS {
            let peak = peak::<T>(processor.instruction_set());
            let mut network = start.clone();
            let (mut began, mut steps) = (None, 0_usize);
            let mut seconds = 0.0;
            let options = Options {
                loss: self.loss.clone(),
                optimizer: self.optimizer,
                learning_rate: Some(1e-4),
                batch_size: Some(self.batch),
                epochs: usize::MAX,
                ..Options::default()
            };
            let mut watch = |event: Event<'_>| {
                let Event::Step { .. } = event else { return ControlFlow::Continue(()) };
                let began = began.get_or_insert_with(Instant::now);
                seconds = began.elapsed().as_secs_f64();
                steps += 1;
                if seconds > SECONDS && steps > 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            sharing = train(&mut network, &data, None, &options, &processor, &mut watch).unwrap().threads;
            let step = seconds / (steps - 1) as f64;
            let rate = operations / step / 1e9;
            speeds.push(self.batch as f64 / step);
            rates.push(rate);
            shares.push(rate / (peak * threads as f64));
        }
        let [speed, rate, share] = [speeds, rates, shares].map(|mut figures: Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            figures[REPETITIONS / 2]
        });
        let (name, sizes, step) = (self.name, format!("{:?}", self.sizes), 1e6 * self.batch as f64 / speed);
        println!(
            "{name} {sizes:28} batch {:3} {} threads {threads} (sharing {sharing}) {step:9.2} µs/step {speed:12.0} rows/s \
             {rate:7.2} GFLOP/s {:5.1} %",
            self.batch,
            T::NAME,
            100.0 * share
        );
    }
}

fn main() {
    let only = std::env::args().skip(1).find(|a| !a.starts_with("--")).unwrap_or_default();
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
        for threads in [1, 2] {
            if case.name == "T" { case.run::<f64>(threads) } else { case.run::<f32>(threads) }
        }
    }
}
