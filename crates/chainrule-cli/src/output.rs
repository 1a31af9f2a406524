//! Writing a file whole or not at all.
//!
//! The content goes to a temporary file in the same folder, is forced to the disk, and only then takes its name; at
//! last the folder is forced too. Whoever looks sees the old file or the new one, after a crash or a power cut as well.
//! (A write to the final name, or a rename without the two fsyncs, loses files at power cuts; a failed fsync is never
//! tried again, since Linux may have dropped the data: Rebello et al., "Can Applications Recover from fsync Failures?",
//! USENIX ATC 2020.)

use crate::failure::Failure;
use crate::interrupt;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Where a result goes.
#[derive(Debug)]
pub struct Output(Target);

#[derive(Debug)]
enum Target {
    Stdout,
    /// A device or a pipe, which has no content to lose and must not be replaced.
    Device(PathBuf),
    File(PathBuf, Existing),
}

/// What becomes of a file that has the name already.
#[derive(Clone, Copy, Debug)]
enum Existing {
    Refuse,
    Replace,
    /// It stays, and ours is called -2, -3, ….
    Number,
}

impl Output {
    /// Standard output.
    pub fn stdout() -> Self {
        Self(Target::Stdout)
    }

    /// The file that the user named (`-` is standard output). To be called before anything is read, so that nobody
    /// waits for a result that cannot be kept.
    ///
    /// # Errors
    /// If a file of that name exists and `force` is false, or if there is no such folder.
    pub fn explicit(path: &Path, force: bool) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::stdout());
        }
        let exists = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Failure::file(path, &io::ErrorKind::IsADirectory.into()));
            }
            Ok(metadata) if !metadata.is_file() => return Ok(Self(Target::Device(path.into()))),
            Ok(_) => true,
            // Also a link that leads nowhere has the name.
            Err(_) => fs::symlink_metadata(path).is_ok(),
        };
        if exists && !force {
            return Err(exists_already(path));
        }
        if !folder(path).is_dir() {
            return Err(Failure::Fault(format!("{}: there is no such folder; make it first", folder(path).display())));
        }
        if !exists {
            return Ok(Self(Target::File(path.into(), Existing::Refuse)));
        }
        // A link stays a link: what it leads to is replaced.
        let file = if path.is_symlink() { fs::canonicalize(path) } else { Ok(path.into()) };
        file.map(|file| Self(Target::File(file, Existing::Replace))).map_err(|error| Failure::file(path, &error))
    }

    /// A name that the user did not choose: if it is taken, `houses.safetensors` becomes `houses-2.safetensors`, ….
    pub fn default_name(path: &Path) -> Self {
        Self(Target::File(path.into(), Existing::Number))
    }

    /// Writes what `content` writes, and gives the file's name if it has one.
    ///
    /// # Errors
    /// If `content` fails, if writing fails, or at a Ctrl-C meanwhile: then the folder is as it was before.
    pub fn write(
        &self,
        content: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
    ) -> Result<Option<PathBuf>, Failure> {
        match &self.0 {
            Target::Stdout => {
                let name = Path::new("standard output");
                stream(io::stdout().lock(), content).map_err(|failure| at(name, failure))?;
                Ok(None)
            }
            Target::Device(path) => {
                let device = OpenOptions::new().write(true).open(path).map_err(Failure::Write);
                device.and_then(|device| stream(device, content)).map_err(|failure| at(path, failure))?;
                Ok(None)
            }
            Target::File(path, existing) => {
                whole(path, *existing, content).map(Some).map_err(|failure| at(path, failure))
            }
        }
    }
}

/// Gives a failed write its place.
fn at(path: &Path, failure: Failure) -> Failure {
    match failure {
        Failure::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Failure::Closed,
        Failure::Write(error) if error.kind() == io::ErrorKind::AlreadyExists => exists_already(path),
        Failure::Write(error) => Failure::file(path, &error),
        other => other,
    }
}

fn exists_already(path: &Path) -> Failure {
    Failure::Fault(format!("{} exists already; --force replaces it", path.display()))
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn stream(to: impl Write, content: impl FnOnce(&mut dyn Write) -> Result<(), Failure>) -> Result<(), Failure> {
    let mut to = BufWriter::with_capacity(1 << 16, to);
    content(&mut to)?;
    to.flush().map_err(Failure::Write)
}

fn whole(
    path: &Path,
    existing: Existing,
    content: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Result<PathBuf, Failure> {
    // Somebody who has asked for the end before gets the file: it is what the end is about.
    interrupt::watch();
    let asked_before = interrupt::interrupted();
    let temporary = Temporary::beside(path).map_err(Failure::Write)?;
    let result = temporary.create().map_err(Failure::Write).and_then(|file| {
        if let (Existing::Replace, Ok(old)) = (existing, fs::metadata(path)) {
            file.set_permissions(old.permissions()).map_err(Failure::Write)?;
        }
        stream(Interruptible { file: &file, asked_before }, content)?;
        file.sync_all().map_err(Failure::Write)
    });
    if !asked_before && interrupt::interrupted() {
        return Err(Failure::Interrupted);
    }
    result?;
    let name = temporary.publish(path, existing).map_err(Failure::Write)?;
    sync_folder(folder(path)).map_err(Failure::Write)?;
    Ok(name)
}

/// A file that stops taking bytes once the user wants no more of it.
struct Interruptible<'a> {
    file: &'a File,
    asked_before: bool,
}

impl Write for Interruptible<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.asked_before && interrupt::interrupted() {
            return Err(io::Error::other("interrupted")); // not of kind Interrupted, which means: try again
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name of a temporary file, which goes when this does.
struct Temporary(PathBuf);

impl Temporary {
    /// `.<name>.tmp-<process>-<random>` in the same folder, so that renaming it is one step.
    fn beside(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
        let random = RandomState::new().hash_one(0);
        // Cut, so that a name of the greatest length leaves room for the rest.
        Ok(Self(folder(path).join(format!(".{name:.40}.tmp-{}-{random:016x}", std::process::id()))))
    }

    fn create(&self) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(&self.0)
    }

    /// Gives the file its name, says which, and takes the temporary one away.
    fn publish(self, path: &Path, existing: Existing) -> io::Result<PathBuf> {
        match existing {
            Existing::Replace => fs::rename(&self.0, path)?,
            Existing::Refuse => self.take_free(path)?,
            Existing::Number => {
                for number in 1_u64.. {
                    let name = numbered(path, number);
                    match self.take_free(&name) {
                        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
                        result => return result.map(|()| name),
                    }
                }
            }
        }
        Ok(path.into())
    }

    /// Takes `name` unless something has it: of several processes that want it, one gets it.
    fn take_free(&self, name: &Path) -> io::Result<()> {
        match fs::hard_link(&self.0, name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
            // Not every file system has links; there somebody could come between the look and the rename.
            Err(_) if fs::symlink_metadata(name).is_ok() => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => fs::rename(&self.0, name),
            Ok(()) => Ok(()),
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = fs::remove_file(&self.0);
    }
}

/// `houses-2.safetensors` for `houses.safetensors` and 2; the name itself for 1.
fn numbered(path: &Path, number: u64) -> PathBuf {
    if number == 1 {
        return path.into();
    }
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Forces the folder's list of names to the disk, where a folder can be opened.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network file systems cannot; they keep names in their own way.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        result => result,
    }
}
