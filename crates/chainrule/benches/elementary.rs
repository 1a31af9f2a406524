//! Nanoseconds per element of every elementary function, beside the standard library's:
//! `cargo bench -p chainrule --bench elementary`.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use chainrule::Scalar;
use chainrule::kernels::{InstructionSet, Kernel, Lanes};
use std::hint::black_box;
use std::time::Instant;

const ELEMENTS: usize = 4096;
const REPEATS: usize = 200;

/// The least of several runs' time per element: what disturbs a run only ever adds to it.
fn nanoseconds(runs: usize, mut run: impl FnMut()) -> f64 {
    let least = (0..runs).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed()
    });
    least.min().expect("a run").as_secs_f64() * 1e9 / ELEMENTS as f64
}

macro_rules! functions {
    ($($name:ident, $low:expr, $high:expr, $std:expr;)*) => {
        $(
            #[allow(non_camel_case_types)]
            struct $name<'a, T>(&'a [T], &'a mut [T]);
            impl<T: Scalar> Kernel<T> for $name<'_, T> {
                type Output = ();
                #[inline(always)]
                fn run<V: Lanes<Scalar = T>>(self, v: V) {
                    for (x, y) in self.0.chunks_exact(V::LANES).zip(self.1.chunks_exact_mut(V::LANES)) {
                        v.load(x).$name().store(y);
                    }
                }
            }
        )*
        functions!(@scalar f32 measure_f32 $($name, $low, $high, $std;)*);
        functions!(@scalar f64 measure_f64 $($name, $low, $high, $std;)*);
    };
    (@scalar $t:ident $measure:ident $($name:ident, $low:expr, $high:expr, $std:expr;)*) => {
        fn $measure() {
            print!("{:12}", stringify!($t));
            for set in InstructionSet::available() {
                print!("{:>10}", set.name());
            }
            println!("{:>10}", "std");
            $(
                let step = ($high - $low) / ELEMENTS as f64;
                let x: Vec<$t> = (0..ELEMENTS).map(|i| ($low + step * (i * 1237 % ELEMENTS) as f64) as $t).collect();
                let mut y = vec![0.0; ELEMENTS];
                print!("{:12}", stringify!($name));
                for set in InstructionSet::available() {
                    let ns = nanoseconds(REPEATS, || $t::dispatch(set, $name(black_box(&x), black_box(&mut y))));
                    print!("{ns:10.2}");
                }
                let std: Option<fn($t) -> $t> = $std;
                match std {
                    Some(f) => {
                        let ns = nanoseconds(REPEATS, || {
                            for (x, y) in black_box(&x).iter().zip(black_box(&mut y)) {
                                *y = f(*x);
                            }
                        });
                        println!("{ns:10.2}");
                    }
                    None => println!("{:>10}", "-"),
                }
            )*
        }
    };
}

functions! {
    exp, -10.0, 10.0, Some(|x| x.exp());
    exp_m1, -10.0, 10.0, Some(|x| x.exp_m1());
    ln, 0.001, 100.0, Some(|x| x.ln());
    ln_1p, -0.9, 10.0, Some(|x| x.ln_1p());
    tanh, -6.0, 6.0, Some(|x| x.tanh());
    logistic, -10.0, 10.0, Some(|x| 1.0 / (1.0 + (-x).exp()));
    erf, -4.0, 4.0, None;
    normal_cdf, -6.0, 6.0, None;
    sin, -30.0, 30.0, Some(|x| x.sin());
    cos, -30.0, 30.0, Some(|x| x.cos());
    silu, -10.0, 10.0, Some(|x| x / (1.0 + (-x).exp()));
    gelu, -6.0, 6.0, None;
    mish, -10.0, 10.0, Some(|x| x * x.exp().ln_1p().tanh());
}

fn main() {
    measure_f32();
    println!();
    measure_f64();
}
