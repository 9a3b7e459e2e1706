//! The lines of a file that may be larger than memory.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use sequela_core::{Limits, Location};

use crate::Error;
use crate::bounded::{GZIP_MAGIC, RATIO, open_sized};

/// The lines of a file, plain or gzip, one at a time: the file may be larger than memory.
///
/// A gzip file may unpack to 100 times its size and a mebibyte, a plain one is read to its end.
pub struct LineReader {
    stream: Box<dyn BufRead>,
    location: Location,
    line: u64,
    longest: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for LineReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineReader").field("line", &self.line).finish_non_exhaustive()
    }
}

impl LineReader {
    /// Opens a file.
    ///
    /// # Errors
    /// As [`read`](crate::bounded::read), without a limit of its size.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let (file, size) = open_sized(path)?;
        let mut file = BufReader::with_capacity(PIECE, file);
        let first = file.fill_buf().map_err(|source| Error::reading(path, source))?;
        let stream: Box<dyn BufRead> = if first.starts_with(&GZIP_MAGIC) {
            let most = size.saturating_mul(RATIO).saturating_add(1 << 20);
            let unpacked = flate2::bufread::MultiGzDecoder::new(file);
            Box::new(BufReader::with_capacity(PIECE, Capped { stream: unpacked, left: most }))
        } else {
            Box::new(file)
        };
        let location = Location::file(path);
        Ok(Self { stream, location, line: 0, longest: limits.line_bytes, buffer: Vec::new() })
    }

    /// The next line, without its end (`\n` or `\r\n`) and without a byte order mark; `None` at
    /// the end.
    ///
    /// # Errors
    /// [`Error::Limit`] for a line over `limits.line_bytes`; [`Error::Malformed`] for text that
    /// is not UTF-8 and damaged gzip; [`Error::Unsupported`] for gzip that unpacks to too much;
    /// [`Error::Io`].
    pub fn next_line(&mut self) -> Result<Option<&str>, Error> {
        self.buffer.clear();
        let mut ended = false;
        while !ended {
            let piece = match self.stream.fill_buf() {
                Ok(piece) => piece,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.refused(error)),
            };
            if piece.is_empty() {
                if self.buffer.is_empty() {
                    return Ok(None);
                }
                break;
            }
            let end = piece.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(piece.len(), |at| at + 1);
            self.buffer.extend_from_slice(piece.get(..taken).unwrap_or_default());
            self.stream.consume(taken);
            ended = end.is_some();
            if self.buffer.len() as u64 > self.longest.saturating_add(1) {
                return Err(Error::Limit {
                    location: self.location.clone().line(self.line + 1).into(),
                    what: "the line (in bytes)".to_owned(),
                    limit: self.longest,
                });
            }
        }
        self.line += 1;
        let mut line = self.buffer.as_slice();
        line = line.strip_suffix(b"\n").unwrap_or(line);
        line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.line == 1 {
            if line.starts_with(&[0xFF, 0xFE]) || line.starts_with(&[0xFE, 0xFF]) {
                let place = self.location.clone();
                return Err(Error::malformed(place, "the text is UTF-16", "save it as UTF-8"));
            }
            line = line.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(line);
        }
        std::str::from_utf8(line).map(Some).map_err(|_| {
            let place = self.location.clone().line(self.line);
            Error::malformed(place, "the text is not UTF-8", "save it as UTF-8")
        })
    }

    /// The number of the line that was given last, from 1.
    pub fn line(&self) -> u64 {
        self.line
    }

    fn refused(&self, error: io::Error) -> Error {
        let place = self.location.clone().line(self.line + 1);
        match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => Error::malformed(
                place,
                "the gzip data are damaged or cut short",
                "fetch the file again",
            ),
            io::ErrorKind::FileTooLarge => Error::unsupported(
                place,
                format!("the unpacked content is over {RATIO} times the packed one"),
                "unpack it yourself if this is meant",
            ),
            _ => Error::reading(self.location.path().unwrap_or(Path::new("input")), error),
        }
    }
}

/// A stream that fails where it would give more than it may.
struct Capped<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

/// Bytes read from a file at a time.
const PIECE: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::write_atomic;
    use std::io::Write as _;

    fn lines(bytes: &[u8], limits: &Limits) -> Result<Vec<String>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        write_atomic(&path, bytes).unwrap();
        let mut reader = LineReader::open(&path, limits)?;
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line()? {
            lines.push(line.to_owned());
        }
        assert_eq!(reader.line(), lines.len() as u64);
        Ok(lines)
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    #[test]
    fn lines_are_the_same_packed_and_plain() {
        let text = "\u{FEFF}a,b\r\n\nc\n".as_bytes();
        let limits = Limits::default();
        assert_eq!(lines(text, &limits).unwrap(), ["a,b", "", "c"]);
        assert_eq!(lines(&packed(text), &limits).unwrap(), ["a,b", "", "c"]);
        assert_eq!(lines(b"a\nb", &limits).unwrap(), ["a", "b"]);
        let packed = packed(text);
        for cut in 1..packed.len() {
            let result = lines(&packed[..cut], &limits);
            assert!(cut == 1 || result.is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn long_lines_bombs_and_other_texts_are_refused() {
        let short = Limits { line_bytes: 10, ..Limits::default() };
        assert!(lines(b"0123456789\n1", &short).is_ok());
        let error = lines(b"1\n01234567890\n", &short).unwrap_err();
        assert!(error.to_string().contains("lines:2: the line (in bytes)"), "{error}");
        let bomb = packed(&b"1\n".repeat(16 << 20));
        let error = lines(&bomb, &Limits::default()).unwrap_err();
        assert!(error.to_string().contains("over 100 times"), "{error}");
        assert!(lines(&[0xFF, 0xFE, b'a', 0], &short).unwrap_err().to_string().contains("UTF-16"));
        let error = lines(b"a\n\xFF\n", &short).unwrap_err().to_string();
        assert!(error.contains("lines:2: the text is not UTF-8"), "{error}");
    }
}
