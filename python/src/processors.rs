//! Teams of threads that wait between calls: an epoch of a small network takes less time than starting a thread.

use chainrule::Processor;
use std::ops::Deref;
use std::sync::Mutex;

struct Idle {
    /// A fork leaves a child without the threads of its parent.
    process: u32,
    threads: usize,
    processor: Box<Processor>,
}

static IDLE: Mutex<Vec<Idle>> = Mutex::new(Vec::new());

/// A processor of so many threads, which waits for the next call when it is dropped.
pub(crate) struct Borrowed(Option<Idle>);

pub(crate) fn processor(threads: usize) -> Borrowed {
    let process = std::process::id();
    // Not to be had where another thread had it at the moment of a fork: then a new one is made.
    let waiting = IDLE.try_lock().ok().and_then(|mut idle| {
        for gone in idle.extract_if(.., |idle| idle.process != process) {
            // Its threads are the parent's: nobody is there to be joined.
            std::mem::forget(gone.processor);
        }
        let position = idle.iter().position(|idle| idle.threads == threads)?;
        Some(idle.swap_remove(position))
    });
    Borrowed(Some(waiting.unwrap_or_else(|| {
        let processor = Box::new(Processor::new(threads));
        Idle { process, threads, processor }
    })))
}

impl Deref for Borrowed {
    type Target = Processor;

    fn deref(&self) -> &Processor {
        &self.0.as_ref().expect("until it is dropped").processor
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let Some(idle) = self.0.take() else { return };
        if idle.process != std::process::id() {
            std::mem::forget(idle.processor);
        } else if let Ok(mut waiting) = IDLE.try_lock()
            && waiting.len() < 4
        {
            waiting.push(idle);
        }
    }
}
