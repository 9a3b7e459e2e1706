//! Files inside a tar archive, plain, gzip or xz, read one after another.
//!
//! Nothing is ever written to disk, so that the names inside an archive cannot lead anywhere;
//! links, folders and devices are passed over. What is not asked for is skipped without being
//! kept.
//!
//! **Source** POSIX.1-2017 `pax` (ustar and extended headers), the GNU long names, and the .xz
//! file format 1.1.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use crate::{Error, bounded};

/// A tar archive that is read from front to back.
///
/// # Example
/// ```no_run
/// use sequela_core::Limits;
/// use sequela_formats::archive::Archive;
/// let mut archive = Archive::open("records.tar.xz".as_ref(), &Limits::default())?;
/// while let Some(entry) = archive.next_file()? {
///     if entry.name.ends_with(".hea") {
///         let bytes = archive.content(1 << 20)?;
///     }
/// }
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub struct Archive {
    stream: Box<dyn Read>,
    path: PathBuf,
    /// Bytes that may still be unpacked, and the cap they started from.
    budget: u64,
    cap: u64,
    /// Bytes of the present file that were not read yet, and the padding after them.
    unread: u64,
    padding: u64,
    entry: String,
}

/// One regular file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path as the archive has it, with `/` between parts; invalid UTF-8 replaced.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Archive {
    /// Opens an archive; what it is packed with is told from its first bytes.
    ///
    /// # Errors
    /// As [`bounded::read`]. `limits.file_bytes` caps the packed file and all that is unpacked
    /// from it.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let (file, size) = bounded::open_sized(path)?;
        if size > limits.file_bytes {
            let what = "the file (in bytes)".to_owned();
            let location = Location::file(path).into();
            return Err(Error::Limit { location, what, limit: limits.file_bytes });
        }
        Self::of_stream(Box::new(file.take(size)), path, limits)
    }

    /// The archive that a stream holds; `name` stands for it in messages.
    ///
    /// # Errors
    /// [`Error::Io`] where the first bytes cannot be read.
    pub fn of_stream(
        mut stream: Box<dyn Read>,
        name: &Path,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let first = bounded::take(&mut stream.by_ref().take(6), 6, 6, &Location::file(name))?;
        let is_xz = first == XZ_MAGIC;
        let is_gzip = first.starts_with(&[0x1F, 0x8B]);
        let packed = BufReader::new(io::Cursor::new(first).chain(stream));
        let stream: Box<dyn Read> = if is_xz {
            Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY_KIB))
        } else if is_gzip {
            Box::new(flate2::bufread::MultiGzDecoder::new(packed))
        } else {
            Box::new(packed)
        };
        Ok(Self {
            stream,
            path: name.to_owned(),
            budget: limits.file_bytes,
            cap: limits.file_bytes,
            unread: 0,
            padding: 0,
            entry: String::new(),
        })
    }

    /// The next regular file; `None` at the end of the archive.
    ///
    /// # Errors
    /// [`Error::Malformed`] where the archive is damaged or cut short, [`Error::Limit`] where it
    /// unpacks to more than its cap, [`Error::Unsupported`] for sparse files.
    pub fn next_file(&mut self) -> Result<Option<Entry>, Error> {
        self.skip_rest()?;
        let mut long: Extended = Extended::default();
        loop {
            let mut block = [0_u8; BLOCK];
            self.fill(&mut block)?;
            if block.iter().all(|&byte| byte == 0) {
                // Read to the end, so that the checks of the packing are made too.
                while self.read_some(&mut block)? > 0 {}
                return Ok(None);
            }
            let head = Head::parse(&block).ok_or_else(|| self.damaged("a header is damaged"))?;
            self.unread = long.size.take().unwrap_or(head.size);
            self.padding = (BLOCK as u64 - self.unread % BLOCK as u64) % BLOCK as u64;
            match head.kind {
                b'0' | 0 | b'7' => {
                    let name = long.name.take().unwrap_or(head.name);
                    self.entry.clone_from(&name);
                    return Ok(Some(Entry { name, size: self.unread }));
                }
                b'L' => {
                    let text = self.content(LONGEST_EXTENSION)?;
                    let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
                    long.name = text.get(..end).map(lossy);
                }
                b'x' => {
                    let text = self.content(LONGEST_EXTENSION)?;
                    long = Extended::parse(&text)
                        .ok_or_else(|| self.damaged("an extended header is damaged"))?;
                }
                b'S' => {
                    return Err(Error::unsupported(
                        Location::file(&self.path),
                        "the archive holds a sparse file",
                        "make it again without --sparse",
                    ));
                }
                // Folders, links, devices and global headers.
                _ => long = Extended::default(),
            }
            self.skip_rest()?;
        }
    }

    /// The content of the file that [`Archive::next_file`] gave last, of at most `cap` bytes.
    ///
    /// # Errors
    /// [`Error::Limit`] where it is larger; else as [`Archive::next_file`].
    pub fn content(&mut self, cap: u64) -> Result<Vec<u8>, Error> {
        if self.unread > cap {
            let location = Location::file(&self.path).field(self.entry.as_str()).into();
            return Err(Error::Limit { location, what: "the file (in bytes)".into(), limit: cap });
        }
        let mut bytes = Vec::new();
        let mut block = [0_u8; 8192];
        while self.unread > 0 {
            let wanted = usize::try_from(self.unread).unwrap_or(usize::MAX).min(block.len());
            let part = block.get_mut(..wanted).unwrap_or_default();
            let read = self.read_some(part)?;
            if read == 0 {
                return Err(self.damaged("the archive is cut short"));
            }
            bytes.extend_from_slice(block.get(..read).unwrap_or_default());
            self.unread -= read as u64;
        }
        Ok(bytes)
    }

    fn skip_rest(&mut self) -> Result<(), Error> {
        let mut left = self.unread.saturating_add(self.padding);
        let mut block = [0_u8; 8192];
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            let read = self.read_some(block.get_mut(..wanted).unwrap_or_default())?;
            if read == 0 {
                return Err(self.damaged("the archive is cut short"));
            }
            left -= read as u64;
        }
        (self.unread, self.padding) = (0, 0);
        Ok(())
    }

    fn fill(&mut self, block: &mut [u8]) -> Result<(), Error> {
        let mut filled = 0;
        while filled < block.len() {
            let read = self.read_some(block.get_mut(filled..).unwrap_or_default())?;
            if read == 0 {
                return Err(self.damaged("the archive is cut short"));
            }
            filled += read;
        }
        Ok(())
    }

    fn read_some(&mut self, block: &mut [u8]) -> Result<usize, Error> {
        let read = loop {
            match self.stream.read(block) {
                Ok(read) => break read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.refused(error)),
            }
        };
        self.budget = self.budget.checked_sub(read as u64).ok_or_else(|| Error::Limit {
            location: Location::file(&self.path).into(),
            what: "the unpacked content (in bytes)".to_owned(),
            limit: self.cap,
        })?;
        Ok(read)
    }

    fn refused(&self, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof => {
                self.damaged("the packed data are damaged or cut short")
            }
            io::ErrorKind::OutOfMemory => Error::Limit {
                location: Location::file(&self.path).into(),
                what: "the memory that unpacking asks for (in KiB)".to_owned(),
                limit: u64::from(XZ_MEMORY_KIB),
            },
            io::ErrorKind::Unsupported => Error::unsupported(
                Location::file(&self.path),
                "the packing uses a filter that is not read here",
                "pack it again with xz or gzip and their defaults",
            ),
            _ => Error::reading(&self.path, error),
        }
    }

    fn damaged(&self, what: &str) -> Error {
        let mut location = Location::file(&self.path);
        if !self.entry.is_empty() {
            location = location.field(self.entry.as_str());
        }
        Error::malformed(location, what, "fetch the archive again")
    }
}

/// What a header block says.
#[derive(Debug)]
struct Head {
    name: String,
    size: u64,
    kind: u8,
}

impl Head {
    /// `None` where the checksum or a number is wrong.
    fn parse(block: &[u8; BLOCK]) -> Option<Self> {
        let sum: u64 = block
            .iter()
            .enumerate()
            // The checksum is taken as if its own field held spaces.
            .map(|(at, &byte)| if (148..156).contains(&at) { 32 } else { u64::from(byte) })
            .sum();
        if number(block.get(148..156)?)? != sum {
            return None;
        }
        let text = |from: usize, to: usize| {
            let field = block.get(from..to).unwrap_or_default();
            let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
            lossy(field.get(..end).unwrap_or_default())
        };
        let mut name = text(0, 100);
        // Only POSIX headers have a prefix; GNU ones keep times there.
        if block.get(257..263) == Some(b"ustar\0") {
            let prefix = text(345, 500);
            if !prefix.is_empty() {
                name = format!("{prefix}/{name}");
            }
        }
        Some(Self { name, size: number(block.get(124..136)?)?, kind: *block.get(156)? })
    }
}

/// What an extended header overrides in the next header.
#[derive(Debug, Default)]
struct Extended {
    name: Option<String>,
    size: Option<u64>,
}

impl Extended {
    /// Records of the form `LENGTH KEY=VALUE\n`, the length counting the whole record.
    fn parse(mut text: &[u8]) -> Option<Self> {
        let mut extended = Self::default();
        while !text.is_empty() {
            let space = text.iter().position(|&byte| byte == b' ')?;
            let length: usize = std::str::from_utf8(text.get(..space)?).ok()?.parse().ok()?;
            let record = text.get(space + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
            match key {
                b"path" => extended.name = Some(lossy(value)),
                b"size" => extended.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                _ => {}
            }
            text = text.get(length..)?;
        }
        Some(extended)
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A number in octal digits, or in base 256 where the first bit is set (GNU).
fn number(field: &[u8]) -> Option<u64> {
    if let Some((&first, rest)) = field.split_first()
        && first & 0x80 != 0
    {
        return rest.iter().try_fold(u64::from(first & 0x7F), |sum, &byte| {
            sum.checked_mul(256)?.checked_add(u64::from(byte))
        });
    }
    let text = std::str::from_utf8(field).ok()?;
    let digits = text.trim_matches(['\0', ' ']);
    if digits.is_empty() { Some(0) } else { u64::from_str_radix(digits, 8).ok() }
}

const BLOCK: usize = 512;
const XZ_MAGIC: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];
/// `xz -9` asks for 65 MiB; more is not needed by archives of small files.
const XZ_MEMORY_KIB: u32 = 80 << 10;
/// Bytes of the longest name or extended header that is kept.
const LONGEST_EXTENSION: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_headers() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   12 \0"), Some(10));
        assert_eq!(number(b"\x80\0\0\0\0\0\0\0\0\0\x01\0"), Some(256));
        assert_eq!(number(b"9"), None);
        assert_eq!(number(&[0xFF; 12]), None);
    }

    #[test]
    fn extended_headers() {
        let extended = Extended::parse(b"12 path=a/b\n10 size=7\n").unwrap();
        assert_eq!((extended.name.as_deref(), extended.size), (Some("a/b"), Some(7)));
        for broken in [&b"99 path=a\n"[..], b"x path=a\n", b"10 size=x\n", b"3 a", b"0 a=b\n"] {
            assert!(Extended::parse(broken).is_none(), "{broken:?}");
        }
    }
}
