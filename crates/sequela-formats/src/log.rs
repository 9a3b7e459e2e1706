//! Logs that grow by whole lines and survive a crash: `metrics.jsonl`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use crate::durable::{folder_of, sync_folder};
use crate::{Error, bounded};

/// A text file to which whole lines are appended.
///
/// A checkpoint stores [`AppendLog::len`]; a resumed run cuts the log back to it and so writes
/// the same bytes as a run that never stopped.
///
/// # Example
/// ```
/// use sequela_formats::log::{AppendLog, read_lines};
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("metrics.jsonl");
/// let mut log = AppendLog::open(&path)?;
/// log.append_line("{\"epoch\":1}")?;
/// let checkpoint = log.len();
/// log.append_line("{\"epoch\":2}")?;
/// let log = AppendLog::resume(&path, checkpoint)?;
/// assert_eq!(log.len(), checkpoint);
/// assert_eq!(read_lines(&path, &sequela_core::Limits::default())?.lines, ["{\"epoch\":1}"]);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
#[derive(Debug)]
pub struct AppendLog {
    file: File,
    path: PathBuf,
    length: u64,
    line: Vec<u8>,
}

impl AppendLog {
    /// Opens or makes the log; an unfinished last line, left by a crash, is cut off.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let fail = |source| Error::writing(path, source);
        let mut file = open_file(path).map_err(fail)?;
        let length = whole_lines(&mut file).map_err(fail)?;
        Self::cut(file, path, length)
    }

    /// Opens the log cut back to `length` bytes, as a checkpoint has it.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the file is shorter than that, or `length` does not end a
    /// line; [`Error::Io`] where it cannot be opened or cut.
    pub fn resume(path: &Path, length: u64) -> Result<Self, Error> {
        let fail = |source| Error::writing(path, source);
        let mut file = open_file(path).map_err(fail)?;
        let found = file.metadata().map_err(fail)?.len();
        let ends_a_line = length == 0
            || (length <= found && byte_at(&mut file, length - 1).map_err(fail)? == b'\n');
        if !ends_a_line {
            return Err(Error::malformed(
                Location::file(path).byte(length),
                format!("the log of {found} bytes has no line that ends where the checkpoint does"),
                "restore the log that belongs to the checkpoint, or start the run afresh",
            ));
        }
        Self::cut(file, path, length)
    }

    /// Appends one line; after an error the log is as it was before.
    ///
    /// # Errors
    /// [`Error::Io`] where writing fails; [`Error::Malformed`] where `line` has a line break.
    pub fn append_line(&mut self, line: &str) -> Result<(), Error> {
        if line.contains(['\n', '\r']) {
            return Err(Error::malformed(
                Location::file(&self.path),
                "a line of a log may not have a line break in it",
                "write it as several lines",
            ));
        }
        self.line.clear();
        self.line.extend_from_slice(line.as_bytes());
        self.line.push(b'\n');
        if let Err(source) = self.file.write_all(&self.line) {
            // Best effort: what stays is an unfinished line, which the next opening cuts off.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(Error::writing(&self.path, source));
        }
        self.length += self.line.len() as u64;
        Ok(())
    }

    /// Makes all lines so far durable.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|source| Error::writing(&self.path, source))
    }

    /// Bytes of all lines so far.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether there is no line yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    fn cut(mut file: File, path: &Path, length: u64) -> Result<Self, Error> {
        file.set_len(length)
            .and_then(|()| file.seek(SeekFrom::Start(length)))
            .and_then(|_| file.sync_all())
            .and_then(|()| sync_folder(folder_of(path)))
            .map_err(|source| Error::writing(path, source))?;
        Ok(Self { file, path: path.to_owned(), length, line: Vec::new() })
    }
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLines {
    /// The finished lines, without their line breaks.
    pub lines: Vec<String>,
    /// Bytes of the finished lines.
    pub length: u64,
    /// Bytes of an unfinished line after them, left by a crash; not in `lines`.
    pub unfinished: u64,
}

/// Reads the finished lines of a log.
///
/// # Errors
/// As [`bounded::read`], and [`Error::Malformed`] where the finished lines are not UTF-8.
pub fn read_lines(path: &Path, limits: &Limits) -> Result<LogLines, Error> {
    let bytes = bounded::read(path, limits)?;
    let length = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
    let (finished, unfinished) = bytes.split_at(length);
    let lines = bounded::text(finished, path)?.lines().map(str::to_owned).collect();
    Ok(LogLines { lines, length: length as u64, unfinished: unfinished.len() as u64 })
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn byte_at(file: &mut File, at: u64) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(&mut byte)?;
    let [byte] = byte;
    Ok(byte)
}

/// Length up to the last line break, searched from the end in blocks.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    const BLOCK: u64 = 4096;
    let mut end = file.metadata()?.len();
    let mut block = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        block.resize(usize::try_from(end - start).unwrap_or(0), 0);
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(&mut block)?;
        if let Some(last) = block.iter().rposition(|&byte| byte == b'\n') {
            return Ok(start + last as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::write_atomic;

    #[test]
    fn an_unfinished_line_is_not_read_and_is_cut_off_on_opening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        for tail in ["", "{\"half", &"x".repeat(10_000)] {
            write_atomic(&path, format!("one\ntwo\n{tail}").as_bytes()).unwrap();
            let read = read_lines(&path, &Limits::default()).unwrap();
            assert_eq!(read.lines, ["one", "two"]);
            assert_eq!((read.length, read.unfinished), (8, tail.len() as u64));
            let mut log = AppendLog::open(&path).unwrap();
            assert_eq!(log.len(), 8);
            log.append_line("three").unwrap();
            log.sync().unwrap();
            let read = read_lines(&path, &Limits::default()).unwrap();
            assert_eq!(read.lines, ["one", "two", "three"]);
        }
    }

    #[test]
    fn resuming_cuts_back_and_refuses_what_does_not_fit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        write_atomic(&path, b"one\ntwo\nthree\n").unwrap();
        assert!(AppendLog::resume(&path, 6).is_err());
        assert!(AppendLog::resume(&path, 99).is_err());
        let mut log = AppendLog::resume(&path, 4).unwrap();
        log.append_line("zwei").unwrap();
        assert_eq!(read_lines(&path, &Limits::default()).unwrap().lines, ["one", "zwei"]);
        assert!(log.append_line("a\nb").is_err());
    }
}
