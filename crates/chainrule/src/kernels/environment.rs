//! The floating-point control register: IEEE defaults on entry, the caller's setting back on exit.
//!
//! Libraries built with fast-math leave flush-to-zero on in the thread that loaded them; without this guard the same
//! training would give other bits there.

/// Holds the calling thread's floating-point control at IEEE defaults while it lives: round to nearest, subnormals
/// kept, no traps.
#[derive(Debug)]
pub struct FloatEnvironment {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    saved: u64,
    /// The register is the thread's own.
    _not_send: std::marker::PhantomData<*const ()>,
}

#[cfg(target_arch = "x86_64")]
fn read() -> u64 {
    let mut register = 0_u32;
    // SAFETY: stores MXCSR to a live u32.
    unsafe { std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut register, options(nostack, preserves_flags)) };
    u64::from(register)
}

#[cfg(target_arch = "x86_64")]
fn write(register: u64) {
    let register = register as u32;
    // SAFETY: loads MXCSR with IEEE defaults or a value that was read from it: no reserved bit is set.
    unsafe {
        std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const register, options(nostack, preserves_flags, readonly))
    };
}

/// All exceptions masked, round to nearest, no flush-to-zero, no denormals-are-zero.
#[cfg(target_arch = "x86_64")]
const IEEE: u64 = 0x1f80;

#[cfg(target_arch = "aarch64")]
fn read() -> u64 {
    let register: u64;
    // SAFETY: reads FPCR.
    unsafe { std::arch::asm!("mrs {}, fpcr", out(reg) register, options(nomem, nostack, preserves_flags)) };
    register
}

#[cfg(target_arch = "aarch64")]
fn write(register: u64) {
    // SAFETY: writes FPCR with IEEE defaults or a value that was read from it.
    unsafe { std::arch::asm!("msr fpcr, {}", in(reg) register, options(nomem, nostack, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
const IEEE: u64 = 0;

impl FloatEnvironment {
    /// Sets IEEE defaults until the value is dropped.
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    pub fn ieee() -> Self {
        let saved = read();
        // The exception flags (x86's low six bits) are no setting.
        if saved & !0x3f != IEEE {
            write(IEEE);
        }
        Self { saved, _not_send: std::marker::PhantomData }
    }

    /// Nothing to set: this machine knows IEEE defaults only.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub fn ieee() -> Self {
        Self { _not_send: std::marker::PhantomData }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
impl Drop for FloatEnvironment {
    fn drop(&mut self) {
        if self.saved & !0x3f != IEEE {
            write(self.saved);
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use std::hint::black_box;

    #[test]
    fn subnormals_survive_a_thread_that_flushes_them_and_its_setting_comes_back() {
        let halved = || black_box(f64::MIN_POSITIVE) * black_box(0.5);
        let original = read();
        write(0x9fc0);
        assert_eq!(halved(), 0.0);
        {
            let _guard = FloatEnvironment::ieee();
            assert_eq!(halved(), f64::MIN_POSITIVE / 2.0);
        }
        assert_eq!(read() & 0x8040, 0x8040);
        write(original);
    }

    #[test]
    fn training_keeps_subnormals_in_a_thread_that_flushes_them() {
        use crate::train::{Options, train};
        use crate::{Data, Matrix, Network, Optimizer, Processor};
        use std::ops::ControlFlow;
        // ∂J/∂w = x(wx + b − y) = −x in the first step, subnormal: w is subnormal or, flushed, 0.
        let x = Matrix::from_rows(&[[f64::MIN_POSITIVE / 4.0], [f64::MIN_POSITIVE / 8.0]]);
        let y = Matrix::from_rows(&[[1.0], [1.0]]);
        let options = Options { optimizer: Optimizer::GradientDescent, epochs: 3, ..Options::default() };
        let trained = || {
            let mut network = Network::zeros(1, vec!["dense:1".parse().unwrap()]).unwrap();
            let (data, processor) = (Data::new(x.view(), y.view()), Processor::new(2));
            let watch = &mut |_: crate::train::Event<'_>| ControlFlow::Continue(());
            train(&mut network, &data, Some(&data), &options, &processor, watch).unwrap();
            network.parameters().iter().map(|p| p.to_bits()).collect::<Vec<u64>>()
        };
        let expected = trained();
        let w = f64::from_bits(expected[0]);
        assert!(w > 0.0 && w < f64::MIN_POSITIVE, "{w:e}");
        let original = read();
        write(0x9fc0);
        let flushed = trained();
        write(original);
        assert_eq!(expected, flushed);
    }
}
