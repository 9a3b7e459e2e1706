//! The files of a folder, of an archive, or of the archives in a folder, one after another.
//!
//! Data sets of many small files come packed or unpacked; readers of such sets see no
//! difference.

use std::path::Path;

use sequela_core::{Limits, Location};

use crate::archive::Archive;
use crate::{Error, bounded};

/// Which files are wanted, and how they are looked for.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    /// Whether a file is wanted, by the last part of its name.
    pub name: &'a dyn Fn(&str) -> bool,
    /// Bytes of the largest file.
    pub file_bytes: u64,
    /// Folders within folders that are looked into: 0 for none.
    pub depth: usize,
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wanted").field("depth", &self.depth).finish_non_exhaustive()
    }
}

/// A wanted file.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// The last part of its name.
    pub name: &'a str,
    /// Its path, behind that of its archive where it is in one; for messages.
    pub place: &'a Path,
    /// Its content.
    pub bytes: &'a [u8],
}

/// Calls `visit` with every wanted file and gives their number.
///
/// An archive (tar, plain, gzip or xz) is read in its own order, whatever folders are in it. Of a
/// folder its wanted files are read, sorted by name; one without any is looked through for
/// archives and, down to `wanted.depth`, for folders, sorted by name too.
///
/// **Cost** linear in the bytes; one file at a time is in memory.
///
/// # Errors
/// Those of reading and of `visit`; [`Error::Limit`] for a file over `wanted.file_bytes`, and
/// where there are more files than `limits.subjects`.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::collection::{Wanted, visit};
/// let folder = tempfile::tempdir().unwrap();
/// sequela_formats::durable::write_atomic(&folder.path().join("a.psv"), b"HR\n71\n").unwrap();
/// let wanted = Wanted { name: &|name| name.ends_with(".psv"), file_bytes: 1 << 20, depth: 0 };
/// let mut bytes = 0;
/// let files = visit(folder.path(), wanted, &Limits::default(), &mut |file| {
///     bytes += file.bytes.len();
///     Ok(())
/// })?;
/// assert_eq!((files, bytes), (1, 6));
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn visit(
    path: &Path,
    wanted: Wanted<'_>,
    limits: &Limits,
    visit: &mut dyn FnMut(File<'_>) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut walk = Walk { wanted, limits, visit, files: 0 };
    if path.is_dir() {
        walk.folder(path, wanted.depth)?;
    } else if is_archive(&path.to_string_lossy()) {
        walk.archive(path)?;
    } else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        walk.file(&name, path)?;
    }
    Ok(walk.files)
}

/// Whether a name is that of an archive.
pub fn is_archive(name: &str) -> bool {
    let name = name.to_lowercase();
    ARCHIVES.iter().any(|end| name.ends_with(end))
}

/// The names in a folder, sorted.
///
/// # Errors
/// [`Error::Io`] where it cannot be read.
pub fn names_in(folder: &Path) -> Result<Vec<String>, Error> {
    let fail = |source| Error::reading(folder, source);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        names.push(entry.map_err(fail)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

struct Walk<'a> {
    wanted: Wanted<'a>,
    limits: &'a Limits,
    visit: &'a mut dyn FnMut(File<'_>) -> Result<(), Error>,
    files: u64,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), Error> {
        let names = names_in(folder)?;
        let files: Vec<&String> = names.iter().filter(|name| (self.wanted.name)(name)).collect();
        if !files.is_empty() {
            return files.into_iter().try_for_each(|name| self.file(name, &folder.join(name)));
        }
        for name in names.iter().filter(|name| is_archive(name)) {
            self.archive(&folder.join(name))?;
        }
        if depth > 0 {
            for inner in names.iter().map(|name| folder.join(name)).filter(|path| path.is_dir()) {
                self.folder(&inner, depth - 1)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str, path: &Path) -> Result<(), Error> {
        let file_bytes = self.wanted.file_bytes.min(self.limits.file_bytes);
        let bytes = bounded::read(path, &Limits { file_bytes, ..*self.limits })?;
        self.give(name, path, &bytes)
    }

    fn archive(&mut self, path: &Path) -> Result<(), Error> {
        let mut archive = Archive::open(path, self.limits)?;
        while let Some(entry) = archive.next_file()? {
            let name = entry.name.rsplit('/').next().unwrap_or_default();
            if (self.wanted.name)(name) {
                let bytes = archive.content(self.wanted.file_bytes.min(self.limits.file_bytes))?;
                self.give(name, &path.join(&entry.name), &bytes)?;
            }
        }
        Ok(())
    }

    fn give(&mut self, name: &str, place: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.files += 1;
        if self.files > self.limits.subjects {
            return Err(Error::Limit {
                location: Location::file(place).into(),
                what: "the number of files".to_owned(),
                limit: self.limits.subjects,
            });
        }
        (self.visit)(File { name, place, bytes })
    }
}

/// How the names of archives end.
const ARCHIVES: [&str; 5] = [".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz"];
