//! A training step allocates nothing but the seed of a dropout's stream, an epoch only that of its shuffle.
// A global allocator is unsafe to write; this one counts and hands everything on to the system's.
#![allow(unsafe_code)]

use chainrule::random::default_rng;
use chainrule::train::{Options, train};
use chainrule::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's, with the caller's arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn numbers(rows: usize, cols: usize, seed: u64) -> Matrix<f32> {
    let mut data = vec![0.0; rows * cols];
    default_rng(seed).fill_normal(0.0, 1.0, &mut data).unwrap();
    Matrix::from_vec(rows, cols, data).unwrap()
}

/// How often a run of so many epochs allocates.
fn allocations(layers: &[&str], options: &Options, threads: usize, epochs: usize) -> usize {
    let layers = layers.iter().map(|layer| layer.parse().unwrap()).collect();
    let mut network = Network::<f32>::new(20, layers, None, 1).unwrap();
    let (x, y, v, w) = (numbers(1000, 20, 1), numbers(1000, 1, 2), numbers(300, 20, 3), numbers(300, 1, 4));
    let (data, validation) = (Data::new(x.view(), y.view()), Data::new(v.view(), w.view()));
    let processor = Processor::new(threads);
    let options = Options { epochs, ..options.clone() };
    // Threads allocate as they start, whenever that is: let all of them have worked.
    for _ in 0..100 {
        network.forward(x.view(), &processor).unwrap();
    }
    let before = ALLOCATIONS.load(Relaxed);
    let watch = &mut |_: train::Event<'_>| ControlFlow::Continue(());
    let report = train(&mut network, &data, Some(&validation), &options, &processor, watch).unwrap();
    let after = ALLOCATIONS.load(Relaxed);
    assert_eq!(report.steps, epochs * 1000_usize.div_ceil(options.batch_size.unwrap()));
    assert_eq!(report.threads, threads);
    after - before
}

#[test]
fn a_step_allocates_nothing_but_a_dropout_s_seed() {
    let plain = ["dense:128", "relu", "dense:64", "tanh", "dense:1"];
    let full =
        ["batch_norm", "dense:128", "batch_norm", "gelu", "dropout:0.2", "dense:64", "layer_norm", "mish", "dense:1"];
    let options = Options { batch_size: Some(64), ..Options::default() };
    let penalised = Options { l1: 1e-4, l2: 1e-4, clip_norm: Some(1.0), clip_value: Some(0.5), ..options.clone() };
    for (layers, options) in [(&plain[..], &options), (&full[..], &penalised)] {
        for threads in [1, 2] {
            // The test harness's own thread may allocate meanwhile: the least of five runs is the training's.
            let least = |epochs| (0..5).map(|_| allocations(layers, options, threads, epochs)).min().unwrap();
            let [short, long] = [2, 6].map(least);
            // 4 seeds of shuffles, and what the system's threads may take: far from one a step. A dropout layer's stream
            // copies its seed's words on every thread in every step, the one allocation that a step makes.
            let dropouts = layers.iter().filter(|layer| layer.starts_with("dropout")).count();
            let more = long - short;
            assert!(
                more <= 8 + 64 * dropouts * threads,
                "{more} for 64 more steps in 4 more epochs of {layers:?} on {threads} threads"
            );
        }
    }
}
