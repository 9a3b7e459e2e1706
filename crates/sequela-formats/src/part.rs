//! A file that arrives piece by piece: it is `NAME.part` until it is whole.
//!
//! What was written stays there when a transfer breaks off, so that the next one goes on behind
//! it; the final name is given by one rename, after a sync.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use sequela_core::Location;

use crate::Error;
use crate::durable::{folder_of, sync_folder};

/// A file on its way.
///
/// # Example
/// ```
/// use sequela_formats::part::PartFile;
/// let folder = tempfile::tempdir().unwrap();
/// let whole = folder.path().join("set-a.tar.gz");
/// let mut part = PartFile::open(&whole)?;
/// part.append(b"half ")?;
/// drop(part); // the line broke
/// let mut part = PartFile::open(&whole)?;
/// assert_eq!(part.length(), 5);
/// part.append(b"whole")?;
/// assert!(!whole.exists());
/// part.finish()?;
/// assert_eq!(std::fs::metadata(&whole).unwrap().len(), 10);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
#[derive(Debug)]
pub struct PartFile {
    file: File,
    path: PathBuf,
    whole: PathBuf,
    length: u64,
}

impl PartFile {
    /// Opens `NAME.part` beside the file `whole`, which is still to come, behind what it has.
    ///
    /// # Errors
    /// [`Error::Locked`] where another process writes to it; [`Error::Io`] where it cannot be
    /// opened.
    pub fn open(whole: &Path) -> Result<Self, Error> {
        let mut name = whole.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = whole.with_file_name(name);
        let fail = |source| Error::writing(&path, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fail)?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::Locked {
                location: Location::file(&path).into(),
                holder: "another process fetches this file".into(),
                hint: "wait until it ends".into(),
            });
        }
        let length = file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(Self { file, whole: whole.to_owned(), path, length })
    }

    /// Bytes that are there.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`Error::Io`], for example where the disk is full; what was there before stays.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|source| Error::writing(&self.path, source))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what is there.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be cut.
    pub fn restart(&mut self) -> Result<(), Error> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|source| Error::writing(&self.path, source))?;
        self.length = 0;
        Ok(())
    }

    /// Calls `visit` with everything that is there, piece by piece.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read.
    pub fn read_back(&mut self, visit: &mut dyn FnMut(&[u8])) -> Result<(), Error> {
        let fail = |source| Error::reading(&self.path, source);
        self.file.rewind().map_err(fail)?;
        let mut piece = vec![0; PIECE];
        loop {
            let read = self.file.read(&mut piece).map_err(fail)?;
            if read == 0 {
                break;
            }
            visit(piece.get(..read).unwrap_or_default());
        }
        self.file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(())
    }

    /// Gives the file its name, once all of it is on the disk.
    ///
    /// # Errors
    /// [`Error::Io`] where that fails; the part stays.
    #[allow(clippy::disallowed_methods, reason = "this module renames files as durable does")]
    pub fn finish(self) -> Result<(), Error> {
        self.file
            .sync_all()
            .and_then(|()| std::fs::rename(&self.path, &self.whole))
            .and_then(|()| sync_folder(folder_of(&self.whole)))
            .map_err(|source| Error::writing(&self.whole, source))
    }

    /// Removes what is there.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be removed.
    pub fn discard(self) -> Result<(), Error> {
        std::fs::remove_file(&self.path).map_err(|source| Error::writing(&self.path, source))
    }
}

const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_one_writer_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("a");
        let mut part = PartFile::open(&whole).unwrap();
        part.append(&vec![7; 100_000]).unwrap();
        let error = PartFile::open(&whole).unwrap_err();
        assert!(error.to_string().contains("another process fetches this file"), "{error}");
        let mut seen = 0;
        part.read_back(&mut |bytes| seen += bytes.len()).unwrap();
        assert_eq!(seen, 100_000);
        part.append(b"x").unwrap();
        assert_eq!(part.length(), 100_001);
        part.restart().unwrap();
        assert_eq!(part.length(), 0);
        part.append(b"new").unwrap();
        part.finish().unwrap();
        assert_eq!(crate::bounded::read(&whole, &sequela_core::Limits::default()).unwrap(), b"new");
        let part = PartFile::open(&whole).unwrap();
        part.discard().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
