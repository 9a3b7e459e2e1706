//! The only place that writes files, so that a crash, a kill or a full disk leaves each file as
//! it was or as it should be, never in between.
//!
//! - [`write_atomic`] replaces a whole file: a temporary file `NAME.tmp-PID-N` beside it, opened
//!   exclusively and locked, written, synced, renamed over it, and the folder synced.
//! - [`sweep`] removes temporary files that dead processes left behind in a folder,
//!   [`sweep_beside`] those of one file.
//! - [`AppendLog`](crate::log::AppendLog), [`RunLock`](crate::lock::RunLock) and
//!   [`PartFile`](crate::part::PartFile), which grows under another name, stand on the
//!   same promises.
//!
//! The promise needs a file system whose rename is atomic and whose `fsync` is honest: local
//! disks, not every network share.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;

/// Replaces the file at `path` by `bytes`, wholly or not at all.
///
/// **Cost** one write of the bytes and two syncs.
///
/// # Errors
/// [`Error::Io`] naming `path`, with a hint (disk full, no such folder, read-only ...); the
/// earlier file is whole and no temporary file stays behind.
///
/// # Example
/// ```
/// use sequela_formats::durable::write_atomic;
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("metrics.csv");
/// write_atomic(&path, b"epoch,loss\n")?;
/// write_atomic(&path, b"epoch,loss\n1,0.5\n")?;
/// assert_eq!(std::fs::metadata(&path).unwrap().len(), 17);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
#[allow(clippy::disallowed_methods, reason = "this is the one place that renames files")]
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let fail = |source| Error::writing(path, source);
    let name = path.file_name().ok_or_else(|| fail(io::ErrorKind::InvalidInput.into()))?;
    let folder = folder_of(path);
    let (mut file, temporary) = open_temporary(folder, name).map_err(fail)?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path));
    if let Err(source) = written {
        // The first failure is the one to report; a leftover is swept at the next start.
        let _ = std::fs::remove_file(&temporary);
        return Err(fail(source));
    }
    sync_folder(folder).map_err(fail)
}

/// Makes a folder and those above it, and syncs their entries. An existing folder is no error.
///
/// # Errors
/// [`Error::Io`] naming the folder.
pub fn create_dir(path: &Path) -> Result<(), Error> {
    let parts = path.ancestors().filter(|part| !part.as_os_str().is_empty());
    let missing: Vec<&Path> = parts.take_while(|part| !part.exists()).collect();
    std::fs::create_dir_all(path).map_err(|source| Error::writing(path, source))?;
    for part in missing {
        sync_folder(folder_of(part)).map_err(|source| Error::writing(path, source))?;
    }
    Ok(())
}

/// Whether there is something of this name. What cannot be told is an error, not an absence: who
/// takes a file for absent may write over it.
///
/// # Errors
/// [`Error::Io`] naming the path.
pub fn exists(path: &Path) -> Result<bool, Error> {
    path.try_exists().map_err(|source| Error::reading(path, source))
}

/// Removes a file, and syncs its folder. A file that is not there is no error.
///
/// # Errors
/// [`Error::Io`] naming the file.
pub fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(Error::writing(path, source))
        }
        _ => sync_folder(folder_of(path)).map_err(|source| Error::writing(path, source)),
    }
}

/// Removes the temporary files that dead processes left in `folder`; returns their paths, sorted.
///
/// A file whose writer still lives is locked and stays. Only names of the form
/// `NAME.tmp-PID-N` are touched, and only regular files.
///
/// # Errors
/// [`Error::Io`] where the folder cannot be listed or a leftover cannot be removed.
pub fn sweep(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    sweep_where(folder, &|_| true)
}

/// Removes the temporary files of `path` alone that dead processes left; returns their paths,
/// sorted. For results in folders that are the user's own, where [`sweep`] would reach too far.
///
/// # Errors
/// As [`sweep`]; none where the folder is not there, which writing will tell.
pub fn sweep_beside(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let folder = folder_of(path);
    let Some(name) = path.file_name().filter(|_| folder.is_dir()) else { return Ok(Vec::new()) };
    sweep_where(folder, &|stem| name == stem)
}

/// Removes the temporary files of the dead whose final name is wanted.
fn sweep_where(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<PathBuf>, Error> {
    let fail = |source| Error::reading(folder, source);
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let is_wanted = final_name(&entry.file_name()).is_some_and(wanted);
        if !is_wanted || !entry.file_type().map_err(fail)?.is_file() {
            continue;
        }
        let path = entry.path();
        let Ok(file) = OpenOptions::new().write(true).open(&path) else { continue };
        // Held until it is removed: a writer that has just made it sees that it is taken.
        if file.try_lock().is_err() {
            continue;
        }
        match std::fs::remove_file(&path) {
            Ok(()) => removed.push(path),
            // Another sweep was faster.
            Err(source) if source.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::writing(&path, source)),
        }
    }
    removed.sort();
    Ok(removed)
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix lets a folder be opened and synced; elsewhere the rename itself has to do.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The folder that holds `path`.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|part| !part.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A fresh locked file beside the one to be replaced.
fn open_temporary(folder: &Path, name: &OsStr) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut tries = 0;
    loop {
        let mut temporary = OsString::from(name);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        temporary.push(format!(".tmp-{}-{count}", std::process::id()));
        let path = folder.join(temporary);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => {
                // The lock tells a sweep that the writer lives. Not every file system has locks.
                let taken = matches!(file.try_lock(), Err(TryLockError::WouldBlock));
                // A sweep may have come between making and locking it, and have taken it away.
                match is_the_file_at(&file, &path) {
                    Ok(true) if !taken => return Ok((file, path)),
                    Ok(_) => {}
                    Err(source) => {
                        let _ = std::fs::remove_file(&path);
                        return Err(source);
                    }
                }
            }
            // A dead process with the same number may have left the name behind.
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists && tries < 1000 => {
                tries += 1;
            }
            Err(source) => return Err(source),
        }
    }
}

/// The `NAME` of a name of the form `NAME.tmp-PID-N`.
fn final_name(name: &OsStr) -> Option<&str> {
    let (stem, tail) = name.to_str()?.rsplit_once(".tmp-")?;
    let (pid, count) = tail.split_once('-')?;
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (!stem.is_empty() && digits(pid) && digits(count)).then_some(stem)
}

/// Whether the open file is still the one that has the name.
#[cfg(unix)]
pub(crate) fn is_the_file_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let held = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((held.dev(), held.ino()) == (named.dev(), named.ino())),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(source),
    }
}

/// Whether the open file is still the one that has the name; elsewhere an open file keeps it.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "the same signature as on Unix")]
pub(crate) fn is_the_file_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Class, Limits};

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_the_whole_file_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write_atomic(&path, b"old and longer").unwrap();
        write_atomic(&path, b"new").unwrap();
        assert_eq!(crate::bounded::read(&path, &Limits::default()).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[test]
    fn a_refused_rename_leaves_what_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        let error = write_atomic(&path, b"x").unwrap_err();
        assert_eq!(error.class(), Class::Io);
        assert!(error.to_string().contains("taken: writing failed"), "{error}");
        assert_eq!(names(folder.path()), ["taken"]);
        let error = write_atomic(&folder.path().join("no/such"), b"x").unwrap_err();
        assert!(error.to_string().ends_with("make the folder first"), "{error}");
    }

    #[test]
    fn sweeping_takes_leftovers_of_the_dead_only() {
        let folder = tempfile::tempdir().unwrap();
        let (live, _path) = open_temporary(folder.path(), OsStr::new("model")).unwrap();
        for name in ["model.tmp-1-0", "model.tmp-x-0", ".tmp-1-1", "keep.txt"] {
            write_atomic(&folder.path().join(name), b"").unwrap();
        }
        let removed = sweep(folder.path()).unwrap();
        assert_eq!(removed, [folder.path().join("model.tmp-1-0")]);
        assert_eq!(names(folder.path()).len(), 4);
        drop(live);
        assert_eq!(sweep(folder.path()).unwrap().len(), 1);
    }

    #[test]
    fn sweeping_beside_a_file_spares_the_leftovers_of_others() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["f.csv.tmp-1-0", "g.csv.tmp-1-0"] {
            write_atomic(&folder.path().join(name), b"").unwrap();
        }
        let path = folder.path().join("f.csv");
        assert_eq!(sweep_beside(&path).unwrap(), [folder.path().join("f.csv.tmp-1-0")]);
        assert_eq!(names(folder.path()), ["g.csv.tmp-1-0"]);
        assert!(sweep_beside(&folder.path().join("no/such")).unwrap().is_empty());
    }

    #[test]
    fn writers_and_sweepers_at_once_do_not_disturb_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.csv");
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..2)
                .map(|_| scope.spawn(|| (0..200).for_each(|_| write_atomic(&path, b"x").unwrap())))
                .collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                sweep_beside(&path).unwrap();
            }
        });
        assert_eq!(names(folder.path()), ["f.csv"]);
    }

    #[test]
    fn folders_are_made_with_those_above() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        create_dir(&deep).unwrap();
        create_dir(&deep).unwrap();
        assert!(deep.is_dir());
        remove(&deep.join("nothing")).unwrap();
    }
}
