//! One file a command: its options, what it calls and what it prints.

pub mod doctor;
pub mod evaluate;
pub mod explain;
pub mod export;
pub mod fit;
pub mod import;
pub mod inspect;
pub mod playground;
pub mod predict;
pub mod report;
pub mod tutorial;
