//! Running an exported file: a compiler or Python is started in a folder of its own, for a limited time.

use crate::failure::Failure;
use crate::interrupt;
use chainrule_table::export::Exported;
use chainrule_table::export::trial::Trial;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Has `exported` run by the usual tool on the PATH, or by `tool`, and puts what came of it into its report.
///
/// # Errors
/// If the tool is there and fails, takes longer than `limit`, or gives other answers than the model; if `tool` is not there.
pub(crate) fn run(exported: &mut Exported, tool: Option<&Path>, limit: Duration) -> Result<(), Failure> {
    let trial = exported.trial();
    let name = tool.unwrap_or(Path::new(trial.tool)).display().to_string();
    // A path stays what it is from where we stand. Links stay, too: a Python finds its packages beside the link.
    let program = match tool {
        Some(path) if path.components().count() > 1 => std::path::absolute(path).map_err(Failure::Write)?,
        _ => PathBuf::from(&name),
    };
    let temporary = std::env::temp_dir();
    let folder = Folder::within(&temporary).map_err(|error| Failure::file(&temporary, &error))?;
    for (name, content) in &trial.files {
        fs::write(folder.0.join(name), content).map_err(|error| Failure::file(&temporary, &error))?;
    }
    let deadline = Instant::now() + limit;
    let start = |program: &OsStr, arguments: &[String]| folder.run(program, arguments, deadline);
    let said = |what: String| Failure::Fault(format!("{name}: {what}; no file was left (--no-run leaves this out)"));
    let finished = |end: End| match end {
        End::Done(status, out, _) if status.success() => Ok(out),
        End::Done(status, out, err) => {
            let text = [out, err].concat();
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            // A compiler's first error; the last line of Python's traceback.
            let first = trial.program.and_then(|_| lines.clone().find(|line| line.contains("error")));
            let line = first.or_else(|| lines.next_back()).unwrap_or("nothing");
            Err(said(format!("ended with {status} and said: {line}")))
        }
        End::Late => Err(said(format!("it was not done after {} seconds", limit.as_secs()))),
    };
    let printed = match start(program.as_os_str(), &trial.arguments) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && tool.is_none() => {
            exported.left_out(format!("there is no `{name}` on the PATH"));
            return Ok(());
        }
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(Failure::Interrupted),
        Err(error) => return Err(said(format!("it cannot be started: {error}"))),
        Ok(End::Done(status, _, err)) if status.code() == Some(Trial::ABSENT) => {
            exported.left_out(format!("{name}: {}", err.trim().lines().last().unwrap_or("something is not installed")));
            return Ok(());
        }
        Ok(end) => finished(end)?,
    };
    let fault = |error: chainrule_table::export::ExportError| Failure::Fault(error.to_string());
    let Some(compiled) = trial.program else { return exported.ran(&format!("run by {name}"), &printed).map_err(fault) };
    let version = match start(program.as_os_str(), &["--version".into()]) {
        Ok(End::Done(status, out, _)) if status.success() => out.lines().next().unwrap_or_default().trim().to_owned(),
        _ => String::new(),
    };
    let short = program.file_name().unwrap_or_default().to_string_lossy();
    let by = if version.contains(&*short) { version } else { format!("{name} {version}").trim_end().to_owned() };
    let compiled = folder.0.join(compiled);
    match start(compiled.as_os_str(), &["answers".into()]) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(Failure::Interrupted),
        // A folder for temporary files from which nothing may be started.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            exported.left_out(format!("{by} compiled it, but no program may be started in {}", folder.0.display()));
            Ok(())
        }
        Err(error) => Err(said(format!("the program that it made cannot be started: {error}"))),
        Ok(end) => exported.ran(&format!("compiled by {by} and run"), &finished(end)?).map_err(fault),
    }
}

/// How a program ended.
enum End {
    /// Its status, standard output and standard error.
    Done(ExitStatus, String, String),
    /// Not before the deadline; it has been killed.
    Late,
}

/// A folder for temporary files that nobody else may enter; it goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn within(temporary: &Path) -> io::Result<Self> {
        let name = format!("chainrule-{}-{:016x}", std::process::id(), RandomState::new().hash_one(0));
        let path = temporary.join(name);
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }

    /// Runs a program here. What it prints goes through files: a pipe would be held open by what it has started, too.
    fn run(&self, program: &OsStr, arguments: &[String], deadline: Instant) -> io::Result<End> {
        interrupt::watch();
        let [out, err] = ["stdout", "stderr"].map(|name| self.0.join(format!("{name}.txt")));
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&self.0).stdin(Stdio::null());
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        // A group, so that what it starts ends with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut running = Running(Some(command.spawn()?));
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = running.look()? {
                break status;
            }
            if interrupt::interrupted() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            if Instant::now() >= deadline {
                return Ok(End::Late);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(50));
        };
        let read = |path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(End::Done(status, read(out)?, read(err)?))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A child that is killed with all that it has started unless it has been seen to end.
struct Running(Option<Child>);

impl Running {
    fn look(&mut self) -> io::Result<Option<ExitStatus>> {
        let status = self.0.as_mut().map_or(Ok(None), Child::try_wait)?;
        if status.is_some() {
            self.0 = None;
        }
        Ok(status)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            #[cfg(unix)]
            if let Ok(id) = i32::try_from(child.id()) {
                let _ = nix::sys::signal::killpg(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGKILL);
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
