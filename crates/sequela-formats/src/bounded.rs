//! The only place that reads files: every read is capped before anything is allocated.
//!
//! Readers of formats take bytes; this module fetches those bytes from a file, a stream or a
//! gzip member, never more than [`Limits::file_bytes`] of them, and says in one line why it
//! could not. A model or a table is read whole into memory, so that what is checked is what is
//! used, whatever happens to the file meanwhile.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sequela_core::{Limits, Location};

use crate::Error;

/// The whole content of a regular file.
///
/// # Errors
/// [`Error::Io`] where there is no such file, it is a folder or may not be read;
/// [`Error::Limit`] where it is over `limits.file_bytes`; [`Error::Unsupported`] for pipes and
/// devices.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::bounded;
/// let error = bounded::read("nowhere.csv".as_ref(), &Limits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "nowhere.csv: there is no such file; check the path");
/// ```
pub fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let (file, size) = open_sized(path)?;
    let location = Location::file(path);
    if size > limits.file_bytes {
        return Err(too_large(location, "the file", limits.file_bytes));
    }
    take(&mut &file, size, limits.file_bytes, &location)
}

/// The whole content of a file, unpacked if it is gzip; the cap holds for the unpacked bytes.
///
/// # Errors
/// As [`read`], and [`Error::Malformed`] where the gzip stream is damaged or cut short.
pub fn read_unpacked(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let bytes = read(path, limits)?;
    if bytes.starts_with(&GZIP_MAGIC) { gunzip(&bytes, path, limits) } else { Ok(bytes) }
}

/// The bytes of a stream such as standard input; `name` stands for it in messages.
///
/// # Errors
/// [`Error::Io`] where reading fails, [`Error::Limit`] over `limits.file_bytes`.
pub fn read_stream(stream: &mut dyn Read, name: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    take(stream, 0, limits.file_bytes, &Location::file(name))
}

/// The content of a gzip file (all its members); `name` stands for it in messages.
///
/// # Errors
/// [`Error::Malformed`] where it is damaged or cut short, [`Error::Limit`] where it unpacks to
/// more than `limits.file_bytes`; [`Error::Unsupported`] where it is over 100 times its own bytes and a
/// mebibyte.
pub fn gunzip(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let location = Location::file(name);
    let most = (bytes.len() as u64).saturating_mul(RATIO).saturating_add(1 << 20);
    let cap = limits.file_bytes.min(most);
    take(&mut flate2::read::MultiGzDecoder::new(bytes), 0, cap, &location).map_err(|error| {
        match error {
            Error::Io { .. } => Error::malformed(
                location.clone(),
                "the gzip data are damaged or cut short",
                "fetch the file again",
            ),
            Error::Limit { .. } if most < limits.file_bytes => Error::unsupported(
                location.clone(),
                format!("the unpacked content is over {RATIO} times the packed one"),
                "unpack it yourself if this is meant",
            ),
            other => other,
        }
    })
}

/// The bytes as text, without a byte order mark.
///
/// # Errors
/// [`Error::Malformed`] with line and byte of the first fault where they are not UTF-8.
pub fn text<'a>(bytes: &'a [u8], name: &Path) -> Result<&'a str, Error> {
    let location = Location::file(name);
    if bytes.starts_with(&[0xFF, 0xFE]) || bytes.starts_with(&[0xFE, 0xFF]) {
        return Err(Error::malformed(location, "the text is UTF-16", "save it as UTF-8"));
    }
    let body = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    std::str::from_utf8(body).map_err(|error| {
        let good = body.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.split(|&byte| byte == b'\n').count() as u64;
        let skipped = bytes.len() - body.len();
        Error::malformed(
            location.line(line).byte((skipped + good.len()) as u64),
            "the text is not UTF-8",
            "save it as UTF-8",
        )
    })
}

/// The first bytes of a file, eight at most, by which it tells what it is.
pub(crate) fn head(path: &Path) -> Result<Vec<u8>, Error> {
    let (file, _) = open_sized(path)?;
    take(&mut (&file).take(8), 8, 8, &Location::file(path))
}

/// An open regular file and its size in bytes.
pub(crate) fn open_sized(path: &Path) -> Result<(File, u64), Error> {
    // Asked before opening: opening a pipe would wait for its writer.
    let kind = std::fs::metadata(path).map_err(|source| Error::reading(path, source))?;
    if kind.is_dir() {
        return Err(Error::reading(path, io::ErrorKind::IsADirectory.into()));
    }
    if !kind.is_file() {
        return Err(Error::unsupported(
            Location::file(path),
            "this is not a regular file",
            "name a file on a disk",
        ));
    }
    let file = File::open(path).map_err(|source| Error::reading(path, source))?;
    let size = file.metadata().map_err(|source| Error::reading(path, source))?.len();
    Ok((file, size))
}

/// At most `cap` bytes of a stream; `expected` only sizes the first allocation.
#[allow(clippy::disallowed_methods, reason = "the one capped read that all others go through")]
pub(crate) fn take(
    stream: &mut dyn Read,
    expected: u64,
    cap: u64,
    location: &Location,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let reserve = usize::try_from(expected.min(cap)).unwrap_or(0);
    let path = location.path().unwrap_or(Path::new("input"));
    bytes
        .try_reserve_exact(reserve.saturating_add(1))
        .map_err(|_| Error::reading(path, io::ErrorKind::OutOfMemory.into()))?;
    stream
        .take(cap.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| Error::reading(path, source))?;
    if bytes.len() as u64 > cap {
        return Err(too_large(location.clone(), "the content", cap));
    }
    Ok(bytes)
}

/// Adds `count` bytes of a stream to `bytes`, or those that are left.
///
/// Memory grows with what comes, not with what was asked for.
pub(crate) fn fill(
    stream: &mut dyn Read,
    count: u64,
    bytes: &mut Vec<u8>,
    location: &Location,
) -> Result<(), Error> {
    let path = location.path().unwrap_or(Path::new("input"));
    let mut left = usize::try_from(count).unwrap_or(usize::MAX);
    while left > 0 {
        let start = bytes.len();
        let part = left.min(1 << 20);
        bytes.resize(start + part, 0);
        let to = bytes.get_mut(start..).unwrap_or_default();
        let read = match stream.read(to) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                bytes.truncate(start);
                continue;
            }
            Err(source) => return Err(Error::reading(path, source)),
        };
        bytes.truncate(start + read);
        left -= read;
        if read == 0 {
            break;
        }
    }
    Ok(())
}

fn too_large(location: Location, what: &str, limit: u64) -> Error {
    Error::Limit { location: location.into(), what: format!("{what} (in bytes)"), limit }
}

/// How many times its own size a gzip file may unpack to, beside a mebibyte.
pub(crate) const RATIO: u64 = 100;
pub(crate) const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::durable::write_atomic;
    use std::io::Write;

    fn small(file_bytes: u64) -> Limits {
        Limits { file_bytes, ..Limits::default() }
    }

    #[test]
    fn a_file_over_the_limit_is_refused_and_one_at_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        write_atomic(&path, &[7; 100]).unwrap();
        assert_eq!(read(&path, &small(100)).unwrap(), [7; 100]);
        let error = read(&path, &small(99)).unwrap_err();
        assert!(matches!(error, Error::Limit { limit: 99, .. }), "{error}");
        assert!(error.to_string().contains("a.bin"), "{error}");
    }

    #[test]
    fn streams_are_capped_though_endless() {
        let error = read_stream(&mut io::repeat(1), "stdin".as_ref(), &small(1000)).unwrap_err();
        assert!(matches!(error, Error::Limit { limit: 1000, .. }), "{error}");
    }

    #[test]
    fn opening_says_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path(), &Limits::default()).unwrap_err();
        assert!(error.to_string().ends_with("this is a folder; name a file"), "{error}");
        assert_eq!(error.class(), sequela_core::Class::Io);
        #[cfg(target_os = "linux")]
        assert!(matches!(
            read("/dev/zero".as_ref(), &Limits::default()),
            Err(Error::Unsupported { .. })
        ));
    }

    #[test]
    fn gzip_is_unpacked_under_the_cap_and_cuts_are_named() {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        packer.write_all(&vec![b'a'; 1 << 20]).unwrap();
        let packed = packer.finish().unwrap();
        assert!(packed.len() < 4096);
        let name = Path::new("a.gz");
        assert_eq!(gunzip(&packed, name, &small(1 << 20)).unwrap().len(), 1 << 20);
        assert!(matches!(gunzip(&packed, name, &small(1 << 19)), Err(Error::Limit { .. })));
        for cut in 0..packed.len() {
            let result = gunzip(&packed[..cut], name, &small(1 << 21));
            assert!(cut == 0 || matches!(result, Err(Error::Malformed { .. })), "cut at {cut}");
        }
    }

    #[test]
    fn text_that_is_not_utf8_is_placed() {
        let error = text(b"a\nb\n\xFFc", "t.csv".as_ref()).unwrap_err();
        assert!(error.to_string().starts_with("t.csv:3 at byte 4: the text is not UTF-8"));
        assert_eq!(text(b"\xEF\xBB\xBFab", "t".as_ref()).unwrap(), "ab");
        assert!(text(b"\xFF\xFEa\0", "t".as_ref()).unwrap_err().to_string().contains("UTF-16"));
    }
}
