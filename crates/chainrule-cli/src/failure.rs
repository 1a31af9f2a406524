//! How a command ends: the exit status and the one line that goes with it.
//!
//! | status | meaning |
//! |---|---|
//! | 0 | done, or whoever read our output wanted no more of it |
//! | 1 | the data, the model or the run is at fault: one line `error: …` |
//! | 2 | wrong usage |
//! | 130 | interrupted |

use std::any::Any;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Mutex;

/// Why a command did not end well.
#[derive(Debug)]
pub enum Failure {
    /// The data, the model or the run is at fault: what, where, and the next step, in one line.
    Fault(String),
    /// The command line makes no sense; also `--help` and `--version`, which clap ends the same way.
    Usage(clap::Error),
    /// Writing failed: [`Output::write`](crate::output::Output::write) turns it into one of the others, with the name.
    Write(io::Error),
    /// Whoever read our standard output has closed it.
    Closed,
    /// The user pressed Ctrl-C.
    Interrupted,
    /// We have made a mistake: its message and place.
    Bug(String),
}

impl Failure {
    /// What the operating system has against the file `path`.
    pub fn file(path: &Path, error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => "there is no such file; check the name and the folder".into(),
            io::ErrorKind::PermissionDenied => "permission denied; check who may read and write it".into(),
            io::ErrorKind::IsADirectory => "this is a folder; give a file".into(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                "no space left to write it; free some and run this again".into()
            }
            _ => error.to_string(),
        };
        Self::Fault(format!("{}: {reason}", path.display()))
    }
}

impl From<chainrule::Error> for Failure {
    fn from(error: chainrule::Error) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<chainrule_table::FitError> for Failure {
    fn from(error: chainrule_table::FitError) -> Self {
        Self::Fault(error.to_string())
    }
}

impl From<chainrule_table::TableError> for Failure {
    fn from(error: chainrule_table::TableError) -> Self {
        Self::Fault(error.to_string())
    }
}

/// Where and why the last panic of any thread happened.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Runs `command`; a panic in it becomes a [`Failure::Bug`], and no panic of this process prints anything by itself
/// (a reader may contain those of a foreign library).
pub fn contained(command: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!(" at {at}")).unwrap_or_default();
        let line = format!("{}{place}", message(info.payload()));
        *PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(line);
    }));
    panic::catch_unwind(AssertUnwindSafe(command)).unwrap_or_else(|payload| {
        let recorded = PANIC.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        Err(Failure::Bug(recorded.unwrap_or_else(|| message(&*payload).into())))
    })
}

fn message(payload: &dyn Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("panic")
}

/// Says what went wrong, if anything did, and gives the exit status.
pub fn report(result: Result<(), Failure>) -> u8 {
    let (status, line) = match result {
        Ok(()) | Err(Failure::Closed) => return 0,
        Err(Failure::Usage(error)) => {
            // Nobody is left to be told if this fails.
            let _ = error.print();
            return error.exit_code() as u8;
        }
        Err(Failure::Fault(line)) => (1, line),
        Err(Failure::Write(error)) => (1, format!("writing failed: {error}")),
        Err(Failure::Bug(line)) => {
            (1, format!("chainrule made a mistake ({line}); please report this line and the command that led to it"))
        }
        Err(Failure::Interrupted) => (130, "interrupted".into()),
    };
    // Standard error may be closed, which `eprintln!` would answer with a panic.
    let _ = writeln!(io::stderr(), "error: {}", printable(&line));
    status
}

/// `text` in one line: characters that would move a terminal's cursor or turn its writing direction are escaped.
pub fn printable(text: &str) -> String {
    let turns = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = |c: char| if c.is_control() || turns(c) { c.escape_debug().collect() } else { String::from(c) };
    text.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_strangers_cannot_move_the_cursor() {
        assert_eq!(printable("größe\n\u{1b}[2J\u{9b}\u{202e}\t\"x\""), "größe\\n\\u{1b}[2J\\u{9b}\\u{202e}\\t\"x\"");
    }
}
