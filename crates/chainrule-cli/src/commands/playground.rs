//! `playground`: the page that the binary carries, opened in a browser or written to a file.

use crate::failure::Failure;
use crate::output::Output;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The options of `playground`.
#[derive(clap::Args, Debug)]
#[command(
    about = "Play with a network in a page, and learn how it works",
    after_help = "Examples:\n  \
        chainrule playground                  opens the page in the browser\n  \
        chainrule playground -o page.html     writes it: one file that works from disk, without a network"
)]
pub struct Options {
    /// Write the page here instead of opening it; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing file
    #[arg(long, requires = "output")]
    force: bool,
}

#[cfg(feature = "playground")]
const PAGE: Option<&str> = Some(include_str!(env!("CHAINRULE_PAGE")));
#[cfg(not(feature = "playground"))]
const PAGE: Option<&str> = None;

/// Writes the page, or opens it.
///
/// # Errors
/// If this build carries no page, or it cannot be written.
pub fn run(options: &Options) -> Result<(), Failure> {
    let Some(page) = PAGE else {
        return Err(Failure::Fault(
            "this build carries no page: run playground/build, then cargo build --release --features playground".into(),
        ));
    };
    let write = |output: &Output| output.write(|out| out.write_all(page.as_bytes()).map_err(Failure::Write));
    if let Some(path) = &options.output {
        write(&Output::explicit(path, options.force)?)?;
        return Ok(());
    }
    let path = std::env::temp_dir().join("chainrule-playground.html");
    write(&Output::explicit(&path, true)?)?;
    let said = if opens(&path) { "opened" } else { "open this file in a browser:" };
    // Standard error may be closed; the page is there all the same.
    let _ = writeln!(io::stderr(), "{said} {}", path.display());
    Ok(())
}

/// Asks the system to open a file.
fn opens(path: &Path) -> bool {
    let opener = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    Command::new(opener).arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
}
