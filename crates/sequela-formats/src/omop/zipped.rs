//! Tables that came in a zip archive.

use std::io::Cursor;
use std::path::Path;

use sequela_core::{Limits, Location};

use crate::{Error, bounded};

/// A zip archive in memory.
pub(super) struct Zipped {
    archive: zip::ZipArchive<Cursor<Vec<u8>>>,
    /// Bytes that its files may still unpack to.
    left: u64,
}

impl Zipped {
    /// Opens an archive.
    ///
    /// # Errors
    /// Those of reading; [`Error::Limit`] for over 10,000 files; [`Error::Malformed`].
    pub(super) fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let bytes = bounded::read(path, limits)?;
        // A file of no bytes takes hundreds in the list of files, so they are counted before.
        if bytes.windows(4).filter(|four| *four == ENTRY).count() > MOST {
            let what = "the number of files of a zip archive".to_owned();
            return Err(Error::Limit {
                location: Location::file(path).into(),
                what,
                limit: MOST as u64,
            });
        }
        let most = (bytes.len() as u64).saturating_mul(bounded::RATIO).saturating_add(1 << 20);
        let archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| damaged(path))?;
        Ok(Self { archive, left: most.min(limits.file_bytes) })
    }

    /// The names of its files, sorted; not what a Mac adds.
    pub(super) fn names(&self) -> Vec<String> {
        let is_own = |name: &&str| !name.starts_with("__MACOSX/") && !name.ends_with('/');
        let mut names: Vec<String> =
            self.archive.file_names().filter(is_own).map(str::to_owned).collect();
        names.sort_unstable();
        names
    }

    /// The content of one of them.
    ///
    /// # Errors
    /// [`Error::Limit`] where all that was read unpacks to over 100 times the bytes of the archive, or to over the
    /// limit of a file; [`Error::Malformed`]; [`Error::Unsupported`] for a password.
    pub(super) fn content(&mut self, name: &str, place: &Path) -> Result<Vec<u8>, Error> {
        let mut file = self.archive.by_name(name).map_err(|error| match error {
            zip::result::ZipError::UnsupportedArchive(_) => Error::unsupported(
                Location::file(place),
                "it is packed in a way that is not read here, or with a password",
                "unpack it, and name the folder",
            ),
            _ => damaged(place),
        })?;
        // The sizes that the file declares may be wrong: what counts is what comes out.
        let bytes = bounded::take(&mut file, 0, self.left, &Location::file(place));
        let bytes = bytes.map_err(|error| match error {
            Error::Io { .. } => damaged(place),
            other => other,
        })?;
        self.left = self.left.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }
}

fn damaged(path: &Path) -> Error {
    let what = "the zip archive is damaged or cut short";
    Error::malformed(Location::file(path), what, "fetch it again")
}

/// What each file begins with in the list of files.
const ENTRY: &[u8] = b"PK\x01\x02";
const MOST: usize = 10_000;
