//! One writer for each run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use sequela_core::Location;

use crate::Error;
use crate::durable::is_the_file_at;

/// The right to write into a run folder, held until dropped or until the process ends.
///
/// The file `run.lock` names process and start time for people to read; the lock itself is the
/// operating system's, so one left by a dead process is simply taken over.
///
/// # Example
/// ```
/// use sequela_formats::lock::RunLock;
/// let folder = tempfile::tempdir().unwrap();
/// let held = RunLock::acquire(folder.path())?;
/// let refused = RunLock::acquire(folder.path()).unwrap_err();
/// assert_eq!(refused.class(), sequela_core::Class::Io);
/// drop(held);
/// assert!(RunLock::acquire(folder.path()).is_ok());
/// # Ok::<(), sequela_formats::Error>(())
/// ```
#[derive(Debug)]
pub struct RunLock {
    file: File,
    path: PathBuf,
}

impl RunLock {
    /// Takes the lock of `folder`, which must exist.
    ///
    /// # Errors
    /// [`Error::Locked`] where another run holds it, with its process and start time;
    /// [`Error::Io`] where the lock file cannot be made.
    pub fn acquire(folder: &Path) -> Result<Self, Error> {
        Self::at(folder.join("run.lock"))
    }

    /// Takes the lock of one file, which need not exist: `NAME.lock` beside it.
    ///
    /// # Errors
    /// As [`RunLock::acquire`].
    pub fn beside(file: &Path) -> Result<Self, Error> {
        let mut name = file.file_name().unwrap_or_default().to_owned();
        name.push(".lock");
        Self::at(file.with_file_name(name))
    }

    fn at(path: PathBuf) -> Result<Self, Error> {
        let fail = |source| Error::writing(&path, source);
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(fail)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(held_by_another(&path, &mut file)),
                Err(TryLockError::Error(source)) => return Err(fail(source)),
            }
            // Its last holder may have removed the file between our opening and locking it.
            if !is_the_file_at(&file, &path).map_err(fail)? {
                continue;
            }
            // Held from here on, so that a failure to write takes the file away again.
            let mut held = Self { file, path };
            let started = jiff::Timestamp::now();
            let text = format!("process {}, started {started:.0}\n", std::process::id());
            let written = held.file.set_len(0).and_then(|()| held.file.write_all(text.as_bytes()));
            return match written {
                Ok(()) => Ok(held),
                Err(source) => Err(Error::writing(&held.path, source)),
            };
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Removed while still locked, so that nobody else's lock file is taken away. What cannot
        // be removed is harmless: the next run takes it over.
        if cfg!(unix) {
            let _ = std::fs::remove_file(&self.path);
        }
        let _ = self.file.unlock();
    }
}

fn held_by_another(path: &Path, file: &mut File) -> Error {
    let mut text = [0; 200];
    let read = file.rewind().and_then(|()| file.read(&mut text)).unwrap_or(0);
    let holder = String::from_utf8_lossy(text.get(..read).unwrap_or_default());
    let line = holder.lines().next().unwrap_or_default().trim();
    Error::Locked {
        location: Location::file(path).into(),
        holder: if line.is_empty() { "an unknown process".into() } else { line.into() },
        hint: "wait until it ends, or choose another folder".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::write_atomic;

    #[test]
    fn the_refusal_names_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let held = RunLock::acquire(folder.path()).unwrap();
        let text = RunLock::acquire(folder.path()).unwrap_err().to_string();
        assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
        assert!(text.contains("started 20") && text.contains('Z'), "{text}");
        drop(held);
        assert!(!folder.path().join("run.lock").exists());
    }

    #[test]
    fn a_file_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ward.state");
        let held = RunLock::beside(&file).unwrap();
        assert!(folder.path().join("ward.state.lock").is_file());
        let error = RunLock::beside(&file).unwrap_err();
        assert!(error.to_string().contains("ward.state.lock"), "{error}");
        assert!(RunLock::beside(&folder.path().join("other.state")).is_ok());
        drop(held);
        assert!(RunLock::beside(&file).is_ok());
    }

    #[test]
    fn a_stale_lock_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        write_atomic(&folder.path().join("run.lock"), b"process 1, started long ago\n").unwrap();
        assert!(RunLock::acquire(folder.path()).is_ok());
    }
}
