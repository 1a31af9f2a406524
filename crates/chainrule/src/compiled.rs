//! What is compiled in this crate, once for each scalar.
//!
//! Generic code is compiled anew in every crate that calls it, and the passes with all their kernels are most of the
//! library. So the entry points that reach them are methods of the scalar.

use crate::backprop::{self, Data, Mode, Workspace};
use crate::error::Error;
use crate::kernels::{InstructionSet, Processor};
use crate::loss::Loss;
use crate::matrix::{Matrix, MatrixMut, MatrixRef};
use crate::network::Network;
use crate::train::{self, Event, Options, Progress, Report, Stepped, Steps};
use std::ops::ControlFlow;

macro_rules! compiled {
    ($($(#[$test:meta])? $t:ty),*; $(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $body:path;)*) => {
        /// The generic functions of the same names, for one scalar.
        pub trait Compiled: Sized {
            $(
                #[doc(hidden)]
                fn $name($($argument: $type),*) $(-> $result)?;
            )*
        }
        compiled!(@each [$($(#[$test])? $t),*] {$(fn $name($($argument: $type),*) $(-> $result)? = $body;)*});
    };
    (@each [$($(#[$test:meta])? $t:ty),*] $methods:tt) => {
        $(compiled!(@one $(#[$test])? $t, $methods);)*
    };
    (@one $(#[$test:meta])? $t:ty, {$(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $body:path;)*}) => {
        $(#[$test])?
        impl Compiled for $t {
            $(
                fn $name($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
            )*
        }
    };
}
compiled! {
    f32, f64, #[cfg(test)] crate::dual::Dual;
    fn train(
        network: &mut Network<Self>,
        data: &Data<'_, Self>,
        validation: Option<&Data<'_, Self>>,
        options: &Options,
        progress: &mut Progress<Self>,
        epochs: usize,
        processor: &Processor,
        watch: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>
    ) -> Result<Report, Error> = train::run;
    fn step(
        steps: &mut Steps<Self>,
        network: &mut Network<Self>,
        data: &Data<'_, Self>,
        processor: &Processor
    ) -> Result<Stepped, Error> = train::step;
    fn loss_and_gradient(
        network: &Network<Self>,
        loss: &Loss,
        data: &Data<'_, Self>,
        batch: Option<&[usize]>,
        mode: Mode,
        workspace: &mut Workspace<Self>,
        processor: &Processor,
        gradient: &mut [Self]
    ) -> f64 = backprop::run_loss_and_gradient;
    fn forward(
        network: &Network<Self>,
        x: MatrixRef<'_, Self>,
        batch: Option<&[usize]>,
        workspace: &mut Workspace<Self>,
        processor: &Processor
    ) -> () = backprop::run_forward;
    fn outputs(network: &Network<Self>, x: MatrixRef<'_, Self>, processor: &Processor) -> Matrix<Self> = backprop::outputs;
    fn evaluate(
        network: &Network<Self>,
        loss: &Loss,
        data: &Data<'_, Self>,
        workspace: &mut Workspace<Self>,
        processor: &Processor
    ) -> f64 = backprop::evaluate;
    fn value_and_delta(
        loss: &Loss,
        set: InstructionSet,
        z: MatrixRef<'_, Self>,
        y: MatrixRef<'_, Self>,
        shares: &[Self],
        losses: &mut [Self],
        delta: MatrixMut<'_, Self>
    ) -> () = Loss::run_value_and_delta;
    fn predict(loss: &Loss, set: InstructionSet, z: MatrixMut<'_, Self>) -> () = Loss::run_predict;
}
