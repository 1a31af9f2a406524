//! One file a command: its options, what it calls and what it prints.

pub mod doctor;
pub mod evaluate;
pub mod explain;
pub mod fit;
pub mod inspect;
pub mod predict;
pub mod report;
pub mod tutorial;
