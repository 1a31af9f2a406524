//! Seeing through a network: every number of the forward pass, every factor of every path of the chain rule, and a
//! second opinion on somebody's own gradient.
//!
//! Everything here computes in f64 (a network of single precision is widened, which is exact), as at prediction: dropout
//! does nothing, batch norms take their running statistics. In reading order: [`symbol`] (how things are written),
//! [`trace`] (the forward pass), `local` (what each kind of layer does to a derivative), [`ledger`] (paths), [`check`]
//! (differences), [`diagnose`] (which term of which layer is wrong), [`attribution`] (what each input contributes), [`diagram`]
//! (the tutorial's figures for any network), [`example`] (the tutorial's data and first network).

pub mod attribution;
pub mod check;
pub mod diagnose;
pub mod diagram;
pub mod example;
pub mod ledger;
mod local;
pub mod symbol;
pub mod trace;

pub use attribution::{Attribution, integrated_gradients};
pub use check::{Check, Checked, check_claim, check_gradient};
pub use diagnose::{Candidate, Diagnosis, Fault, Finding, diagnose_gradient};
pub use diagram::{Diagram, Figure, Line, Theme};
pub use ledger::{Factor, Ledger, Parameter, Path, Term, largest_gradients};
pub use symbol::{Letter, Symbol, Written, latex_number, number};
pub use trace::{Stage, Stages, Trace, origin};
