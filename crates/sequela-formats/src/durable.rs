//! The only place that writes files, so that a crash, a kill or a full disk leaves each file as
//! it was or as it should be, never in between.
//!
//! - [`write_atomic`] replaces a whole file: a temporary file `NAME.tmp-PID-N` beside it, opened
//!   exclusively and locked, written, synced, renamed over it, and the folder synced.
//! - [`sweep`] removes temporary files that dead processes left behind.
//! - [`AppendLog`](crate::log::AppendLog), [`RunLock`](crate::lock::RunLock) and
//!   [`PartFile`](crate::part::PartFile), which grows under another name, stand on the
//!   same promises.
//!
//! The promise needs a file system whose rename is atomic and whose `fsync` is honest: local
//! disks, not every network share.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
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
    let missing: Vec<&Path> = path.ancestors().take_while(|part| !part.exists()).collect();
    std::fs::create_dir_all(path).map_err(|source| Error::writing(path, source))?;
    for part in missing {
        sync_folder(folder_of(part)).map_err(|source| Error::writing(path, source))?;
    }
    Ok(())
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
    let fail = |source| Error::reading(folder, source);
    let mut removed = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        if !is_temporary(&entry.file_name()) || !entry.file_type().map_err(fail)?.is_file() {
            continue;
        }
        let path = entry.path();
        let owned = OpenOptions::new().write(true).open(&path);
        if owned.is_ok_and(|file| file.try_lock().is_ok()) {
            std::fs::remove_file(&path).map_err(|source| Error::writing(&path, source))?;
            removed.push(path);
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
                let _ = file.try_lock();
                return Ok((file, path));
            }
            // A dead process with the same number may have left the name behind.
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists && tries < 1000 => {
                tries += 1;
            }
            Err(source) => return Err(source),
        }
    }
}

/// Whether a name has the form `NAME.tmp-PID-N`.
fn is_temporary(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let Some((stem, tail)) = name.rsplit_once(".tmp-") else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    !stem.is_empty()
        && tail.split_once('-').is_some_and(|(pid, count)| digits(pid) && digits(count))
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
    fn folders_are_made_with_those_above() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b/c");
        create_dir(&deep).unwrap();
        create_dir(&deep).unwrap();
        assert!(deep.is_dir());
        remove(&deep.join("nothing")).unwrap();
    }
}
