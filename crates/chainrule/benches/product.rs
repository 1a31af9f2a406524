//! How near the matrix products come to the processor's peak, on one thread.
//!
//! `cargo bench -p chainrule --bench product -- [avx2|avx512] [f32|f64] [part of a case's name]`
//!
//! The peak is measured, not looked up: fused multiply-adds that stay in registers, run right before each repetition
//! of each product, since the clock of a shared machine wanders. A figure is the median of the repetitions.
#![allow(missing_docs, clippy::print_stdout)]

mod peak;

use chainrule::Scalar;
use chainrule::kernels::{InstructionSet, Packed, Scratch, Start, Strided, StridedMut, product, product_packed};
use peak::peak;
use std::time::Instant;

const REPETITIONS: usize = 31;
const SECONDS: f64 = 0.002;

/// The medians of GFLOP/s and of the share of the peak, and the best repetition as a share of the best peak.
fn measure<T: Scalar>(set: InstructionSet, operations: f64, mut work: impl FnMut()) -> (f64, f64, f64) {
    work();
    let start = Instant::now();
    work();
    let times = (SECONDS / start.elapsed().as_secs_f64().max(1e-8)).ceil() as usize;
    let mut highest = 0.0_f64;
    let (mut rates, mut shares): (Vec<f64>, Vec<f64>) = (0..REPETITIONS)
        .map(|_| {
            let peak = peak::<T>(set);
            highest = highest.max(peak);
            let start = Instant::now();
            for _ in 0..times {
                work();
            }
            let rate = operations * times as f64 / start.elapsed().as_secs_f64() / 1e9;
            (rate, rate / peak)
        })
        .unzip();
    rates.sort_by(f64::total_cmp);
    shares.sort_by(f64::total_cmp);
    (rates[REPETITIONS / 2], shares[REPETITIONS / 2], rates[REPETITIONS - 1] / highest)
}

fn numbers<T: Scalar>(n: usize) -> Vec<T> {
    (0..n).map(|i| T::from_f64((i * 7919 % 1009) as f64 / 1009.0 - 0.5)).collect()
}

/// The products of one layer on a batch: forward Z = XW + b, ∂W = Xᵀδ, ∂X = δWᵀ; W packed beforehand counts no packing.
fn layer<T: Scalar>(set: InstructionSet, only: &str, [batch, inputs, outputs]: [usize; 3]) {
    let (x, w, delta) = (numbers::<T>(batch * inputs), numbers::<T>(inputs * outputs), numbers::<T>(batch * outputs));
    let bias = numbers::<T>(outputs);
    let (mut z, mut dw, mut dx) =
        (vec![T::ZERO; batch * outputs], vec![T::ZERO; inputs * outputs], vec![T::ZERO; batch * inputs]);
    let x = Strided::new(&x, batch, inputs, inputs, 1);
    let w = Strided::new(&w, inputs, outputs, outputs, 1);
    let delta = Strided::new(&delta, batch, outputs, outputs, 1);
    let operations = 2.0 * (batch * inputs * outputs) as f64;
    let mut scratch = Scratch::new();
    let mut packed = Packed::new();
    let case = format!("{batch} x {inputs} x {outputs}");
    for form in ["forward", "forward packed", "dW", "dX", "dX packed"] {
        let name = format!("{:6} {} {case:18} {form:14}", set.name(), T::NAME);
        if !name.contains(only) {
            continue;
        }
        let (rate, share, best) = match form {
            "forward" => measure::<T>(set, operations, || {
                let z = StridedMut::new(&mut z, batch, outputs, outputs);
                product(set, &mut scratch, Start::Bias(&bias), x, w, z);
            }),
            "forward packed" => {
                packed.pack(set, w);
                measure::<T>(set, operations, || {
                    let z = StridedMut::new(&mut z, batch, outputs, outputs);
                    product_packed(&mut scratch, Start::Bias(&bias), x, &packed, z);
                })
            }
            "dW" => measure::<T>(set, operations, || {
                let dw = StridedMut::new(&mut dw, inputs, outputs, outputs);
                product(set, &mut scratch, Start::Zero, x.transposed(), delta, dw);
            }),
            "dX" => measure::<T>(set, operations, || {
                let dx = StridedMut::new(&mut dx, batch, inputs, inputs);
                product(set, &mut scratch, Start::Zero, delta, w.transposed(), dx);
            }),
            _ => {
                packed.pack(set, w.transposed());
                measure::<T>(set, operations, || {
                    let dx = StridedMut::new(&mut dx, batch, inputs, inputs);
                    product_packed(&mut scratch, Start::Zero, delta, &packed, dx);
                })
            }
        };
        println!("{name} {rate:7.1} GFLOP/s  {:5.1} %, best {:5.1} %", 100.0 * share, 100.0 * best);
    }
}

fn cases<T: Scalar>(set: InstructionSet, only: &str) {
    println!("{:6} {} peak {:.1} GFLOP/s", set.name(), T::NAME, peak::<T>(set));
    let networks: [(usize, &[usize]); 5] = [
        (10, &[2, 3, 2, 1]),
        (32, &[20, 64, 64, 1]),
        (256, &[100, 256, 256, 256, 1]),
        (128, &[784, 256, 128, 10]),
        (512, &[512, 1024, 1024, 512, 10]),
    ];
    for (batch, sizes) in networks {
        println!("{sizes:?}, batch {batch}");
        let mut seen = Vec::new();
        for pair in sizes.windows(2) {
            if !seen.contains(&pair) {
                layer::<T>(set, only, [batch, pair[0], pair[1]]);
                seen.push(pair);
            }
        }
    }
    println!("others");
    for shape in [[256, 64, 64], [1, 64, 64], [1, 784, 256], [1, 1024, 1024], [1000, 100, 1]] {
        layer::<T>(set, only, shape);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let given = |word: &str| arguments.iter().any(|a| a == word);
    let only = arguments.iter().find(|a| !["avx2", "avx512", "f32", "f64"].contains(&a.as_str()));
    let only = only.map_or("", String::as_str);
    for set in InstructionSet::available().into_iter().skip(1) {
        if given(set.name()) || !(given("avx2") || given("avx512")) {
            if given("f32") || !given("f64") {
                cases::<f32>(set, only);
            }
            if given("f64") || !given("f32") {
                cases::<f64>(set, only);
            }
        }
    }
}
