//! The processor as training and prediction see it: instructions and threads.

use super::InstructionSet;
use super::team::Team;

/// Instructions and threads to compute with. Neither changes a bit of any result.
#[derive(Debug)]
pub struct Processor {
    set: InstructionSet,
    pub(crate) team: Team,
}

impl Processor {
    /// The widest instructions of this machine on `threads` threads (at least one).
    pub fn new(threads: usize) -> Self {
        Self::with_instruction_set(threads, InstructionSet::detect())
    }

    /// The instructions in `set` on `threads` threads: for tests that compare them.
    pub fn with_instruction_set(threads: usize, set: InstructionSet) -> Self {
        Self { set, team: Team::new(threads.max(1)) }
    }

    /// The instructions in use.
    pub fn instruction_set(&self) -> InstructionSet {
        self.set
    }

    /// The number of threads in use: fewer than asked for where the system gave none.
    pub fn threads(&self) -> usize {
        self.team.threads()
    }
}
