//! Our side of `bench/peers`: one case, timed whenever a line arrives on standard input.
//!
//! `peer step SIZES BATCH OPTIMIZER LOSS PRECISION THREADS [WITH]` answers each line with the microseconds of a training step and
//! the peak in GFLOP/s of one thread measured after it; `peer predict SIZES ROWS THREADS` with those of a prediction.
//! `WITH` changes the plain relu network: gelu, dropout, batch_norm, clip, …
#![allow(missing_docs, clippy::print_stdout)]

mod peak;

use chainrule::random::default_rng;
use chainrule::train::{Event, Options, train};
use chainrule::{Activation, Data, Layer, Loss, Matrix, Network, Optimizer, Processor, Scalar};
use peak::peak;
use std::io::BufRead;
use std::ops::ControlFlow;
use std::time::Instant;

/// One answer's time.
const SECONDS: f64 = 0.25;

/// Waits for a line. `false`: there is none any more.
fn asked() -> bool {
    let mut line = String::new();
    matches!(std::io::stdin().lock().read_line(&mut line), Ok(read) if read > 0)
}

fn network<T: Scalar>(sizes: &[usize], with: &str) -> Network<T> {
    let mut layers = Vec::new();
    let (inputs, outputs) = (sizes[0], sizes[sizes.len() - 1]);
    for &outputs in &sizes[1..sizes.len() - 1] {
        layers.push(Layer::Dense { outputs });
        match with {
            "batch_norm" => layers.push(Layer::BATCH_NORM),
            "layer_norm" => layers.push(Layer::LAYER_NORM),
            _ => {}
        }
        layers.push(Layer::Activation(match with {
            "gelu" | "mish" | "tanh" => with.parse().unwrap(),
            _ => Activation::Relu,
        }));
        if with == "dropout" {
            layers.push(Layer::Dropout { rate: 0.1 });
        }
    }
    layers.push(Layer::Dense { outputs });
    Network::new(inputs, layers, None, 1).unwrap()
}

fn step<T: Scalar>(sizes: &[usize], batch: usize, optimizer: Optimizer, loss: Loss, threads: usize, with: &str) {
    let (inputs, outputs) = (sizes[0], sizes[sizes.len() - 1]);
    // Enough batches that rows are gathered from all over, as in real data.
    let rows = 16 * batch;
    let mut x = Matrix::zeros(rows, inputs);
    default_rng(2).fill_normal(0.0, 1.0, x.as_mut_slice()).unwrap();
    let columns = loss.target_columns(outputs).unwrap();
    let target = |i: usize| if columns < outputs { (i * 7 % outputs) as f64 } else { (i * 7 % 10) as f64 * 0.1 };
    let y = Matrix::from_vec(rows, columns, (0..rows * columns).map(|i| T::from_f64(target(i))).collect()).unwrap();
    let processor = Processor::new(threads);
    let options = Options {
        loss,
        optimizer,
        learning_rate: Some(1e-4),
        batch_size: Some(batch),
        epochs: usize::MAX,
        clip_norm: (with == "clip").then_some(1.0),
        ..Options::default()
    };
    let (mut began, mut steps) = (None, 0_usize);
    // To look at the clock takes a twentieth of the smallest network's step.
    let looks = if sizes.iter().sum::<usize>() < 64 { 16 } else { 1 };
    let mut watch = |event: Event<'_>| {
        let Event::Step { .. } = event else { return ControlFlow::Continue(()) };
        let Some(start) = began else {
            // The first step after a wait finds its caches cold: it is left out.
            if steps == 0 && !asked() {
                return ControlFlow::Break(());
            }
            steps += 1;
            if steps > 1 {
                (began, steps) = (Some(Instant::now()), 0);
            }
            return ControlFlow::Continue(());
        };
        steps += 1;
        if !steps.is_multiple_of(looks) {
            return ControlFlow::Continue(());
        }
        let seconds = start.elapsed().as_secs_f64();
        if seconds > SECONDS {
            println!("{} {}", 1e6 * seconds / steps as f64, peak::<T>(processor.instruction_set()));
            (began, steps) = (None, 0);
        }
        ControlFlow::Continue(())
    };
    train(&mut network::<T>(sizes, with), &Data::new(x.view(), y.view()), None, &options, &processor, &mut watch)
        .unwrap();
}

fn predict(sizes: &[usize], rows: usize, threads: usize) {
    let network = network::<f32>(sizes, "");
    let mut x = Matrix::zeros(rows, sizes[0]);
    default_rng(2).fill_normal(0.0, 1.0, x.as_mut_slice()).unwrap();
    let processor = Processor::new(threads);
    while asked() {
        let _ = network.predict(x.view(), &Loss::SquaredError, &processor).unwrap();
        let (start, mut times) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < SECONDS {
            std::hint::black_box(network.predict(x.view(), &Loss::SquaredError, &processor).unwrap());
            times += 1;
        }
        let seconds = start.elapsed().as_secs_f64();
        println!("{} {}", 1e6 * seconds / f64::from(times), peak::<f32>(processor.instruction_set()));
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let given: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let sizes = |text: &str| text.split('-').map(|size| size.parse().unwrap()).collect::<Vec<usize>>();
    match given[..] {
        ["step", shape, batch, optimizer, loss, precision, threads, ref rest @ ..] => {
            let (shape, batch, threads) = (sizes(shape), batch.parse().unwrap(), threads.parse().unwrap());
            let (optimizer, loss) = (optimizer.parse().unwrap(), loss.parse().unwrap());
            let with = rest.first().copied().unwrap_or("");
            match precision {
                "f64" => step::<f64>(&shape, batch, optimizer, loss, threads, with),
                _ => step::<f32>(&shape, batch, optimizer, loss, threads, with),
            }
        }
        ["predict", shape, rows, threads] => predict(&sizes(shape), rows.parse().unwrap(), threads.parse().unwrap()),
        _ => println!("this is run by bench/peers/run"),
    }
}
