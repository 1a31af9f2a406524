//! Ctrl-C: the first asks for an orderly end, the second ends the process with status 130.

use std::io::{self, IsTerminal, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// From now on the first Ctrl-C only sets the flag of [`interrupted`]: for work that asks for it now and then.
pub fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Where no handler can be set, Ctrl-C ends the process as it does by default.
        let _ = ctrlc::set_handler(|| {
            if INTERRUPTED.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            if io::stderr().is_terminal() {
                let _ = writeln!(io::stderr(), "\nstopping; Ctrl-C again stops at once");
            }
        });
    });
}

/// Whether the user has pressed Ctrl-C since [`watch`].
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    const CHILD: &str = "CHAINRULE_TEST_INTERRUPT_CHILD";

    /// This test starts itself again as the process that is interrupted.
    #[test]
    fn the_first_ctrl_c_sets_the_flag_and_the_second_ends_with_130() {
        if std::env::var_os(CHILD).is_some() {
            watch();
            let start = Instant::now();
            let mut told = false;
            let _ = writeln!(io::stderr(), "watching");
            while start.elapsed() < Duration::from_secs(20) {
                if interrupted() && !told {
                    told = true;
                    let _ = writeln!(io::stderr(), "interrupted");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            return;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "interrupt::tests::the_first_ctrl_c_sets_the_flag_and_the_second_ends_with_130"])
            .arg("--nocapture")
            .env(CHILD, "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = io::BufRead::lines(io::BufReader::new(child.stderr.take().unwrap()));
        for expected in ["watching", "interrupted"] {
            assert_eq!(lines.next().unwrap().unwrap(), expected);
            assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        }
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}
