//! Where the bytes of a file are: on a disk or in memory.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use sequela_core::Location;

use super::broken::Broken;
use crate::Error;
use crate::bounded::{open_sized, take};

/// Bytes that are read by their place.
#[derive(Debug)]
pub(super) enum Source {
    Disk(File, u64),
    Memory(Vec<u8>),
}

impl Source {
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self::Memory(bytes.to_vec())
    }

    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let (file, size) = open_sized(path)?;
        Ok(Self::Disk(file, size))
    }

    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Disk(_, size) => *size,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// These bytes; the caller has held them against the size of the file.
    pub(super) fn read(&self, start: u64, length: u64, name: &Path) -> Result<Vec<u8>, Error> {
        let place = Location::file(name);
        match self {
            Self::Memory(bytes) => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
                bytes.get(start..end).map(<[u8]>::to_vec).ok_or_else(|| Broken::Cut.at(place))
            }
            Self::Disk(file, _) => {
                let mut file = file;
                file.seek(SeekFrom::Start(start)).map_err(|error| Error::reading(name, error))?;
                let mut piece = std::io::Read::take(file, length);
                let read = take(&mut piece, length, length, &place)?;
                // The file was cut while it was read.
                if read.len() as u64 == length { Ok(read) } else { Err(Broken::Cut.at(place)) }
            }
        }
    }
}
