//! The parts of a workbook, unpacked once and counted before anything is read of them.
//!
//! The reader of workbooks keeps all shared texts, makes room for as many as the file says there
//! are, and keeps what stands between two tags. So these are held against what the file has:
//!
//! - all parts together unpack to the limit of a file at most, and to 100 times its bytes and a
//!   mebibyte;
//! - shared texts take 12 MiB and twice its bytes at most, and are as many as the part has room
//!   for;
//! - between two tags, and in a tag, is a line at most.

use std::io::{Cursor, Read};

use sequela_core::{Limits, Location};

use super::workbook::broken;
use crate::{Error, bounded};

/// Refuses a file whose parts take more than its bytes give reason for.
pub(super) fn check(bytes: &[u8], place: &Location, limits: &Limits) -> Result<(), Error> {
    let over = |what: &str, limit: u64| Error::Limit {
        location: place.clone().into(),
        what: what.to_owned(),
        limit,
    };
    // A part of no bytes takes hundreds in the list of parts, so they are counted before.
    if bytes.windows(4).filter(|four| *four == ENTRY).count() > MOST_PARTS {
        return Err(over("the number of parts of a workbook", MOST_PARTS as u64));
    }
    let mut archive =
        zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken(place, &error))?;
    let size = bytes.len() as u64;
    let most = size.saturating_mul(bounded::RATIO).saturating_add(1 << 20).min(limits.file_bytes);
    let mut left = most;
    let mut buffer = vec![0; 1 << 16];
    for number in 0..archive.len() {
        let mut part = archive.by_index(number).map_err(|error| broken(place, &error))?;
        let mut scan = Scan::default();
        loop {
            // The sizes that the file declares may be wrong: what counts is what comes out.
            let count = part.read(&mut buffer).map_err(|error| broken(place, &error))?;
            if count == 0 {
                break;
            }
            left = left
                .checked_sub(count as u64)
                .ok_or_else(|| over("the bytes of a workbook, unpacked", most))?;
            scan.take(buffer.get(..count).unwrap_or_default());
        }
        scan.finish();
        let name = part.name().to_ascii_lowercase();
        let is_text = [".xml", ".rels"].iter().any(|end| name.ends_with(end));
        if is_text && scan.longest > limits.line_bytes {
            return Err(over("what stands between two tags (in bytes)", limits.line_bytes));
        }
        if is_text && scan.is_wide {
            return Err(Error::unsupported(
                place.clone(),
                "a part of the workbook is UTF-16",
                "save it as .xlsx again, or as CSV",
            ));
        }
        if name.ends_with(SHARED) {
            if scan.claimed > scan.bytes {
                return Err(Error::malformed(
                    place.clone(),
                    "the workbook says that it has more shared texts than bytes of them",
                    "save it again",
                ));
            }
            let most = size.saturating_mul(2).saturating_add(12 << 20);
            if scan.held() > most {
                return Err(over("the shared texts of a workbook (in bytes)", most));
            }
        }
    }
    Ok(())
}

/// What is counted of a part while it is unpacked.
#[derive(Debug, Default)]
struct Scan {
    bytes: u64,
    /// The most bytes from one `<` to the next, and those since the last.
    longest: u64,
    since: u64,
    /// Texts that there may be.
    texts: u64,
    /// Texts that the part says there are.
    claimed: u64,
    is_wide: bool,
    /// The last bytes of the piece before.
    kept: Vec<u8>,
}

impl Scan {
    fn take(&mut self, piece: &[u8]) {
        if self.bytes == 0 {
            // A mark of byte order, or zeros between the letters.
            let start = piece.get(..2).unwrap_or(piece);
            self.is_wide = matches!(start, [0xFF, 0xFE] | [0xFE, 0xFF]) || start.contains(&0);
        }
        self.bytes += piece.len() as u64;
        for byte in piece {
            self.since = if *byte == b'<' { 0 } else { self.since + 1 };
            self.longest = self.longest.max(self.since);
        }
        self.kept.extend_from_slice(piece);
        // What may go on in the next piece is looked at with it.
        let end = self.kept.len().saturating_sub(REACH);
        self.look(end);
        self.kept.drain(..end);
    }

    fn finish(&mut self) {
        self.look(self.kept.len());
    }

    /// Looks for what begins before `end`.
    fn look(&mut self, end: usize) {
        for at in 0..end {
            let Some(rest) = self.kept.get(at..) else { return };
            match rest {
                [b'/' | b':', b's', b'i', ..] | [b's', b'i', b'/', ..] => {
                    self.texts += 1;
                }
                [b'u', ..] if rest.starts_with(CLAIM) => {
                    self.claimed = self.claimed.max(number(rest.get(CLAIM.len()..)));
                }
                _ => {}
            }
        }
    }

    /// Bytes that the texts take: theirs, and a pointer, a length and a capacity for each, three times
    /// while room for them grows.
    fn held(&self) -> u64 {
        let growth = if self.claimed >= self.texts { 1 } else { 3 };
        let texts = self.texts.max(self.claimed);
        self.bytes.saturating_add(texts.saturating_mul(24 * growth))
    }
}

/// The number in quotes that an attribute has; one whose end is not in reach is endless.
fn number(value: Option<&[u8]>) -> u64 {
    let mut rest = value.unwrap_or_default().iter().filter(|byte| !byte.is_ascii_whitespace());
    match rest.next() {
        Some(b'=') => {}
        Some(_) => return 0,
        None => return u64::MAX,
    }
    let mut number = 0_u64;
    for byte in rest.skip(1) {
        if !byte.is_ascii_digit() {
            return number;
        }
        number = number.saturating_mul(10).saturating_add(u64::from(byte.wrapping_sub(b'0')));
    }
    u64::MAX
}

/// How the entry of a part in the list of parts begins.
const ENTRY: &[u8] = b"PK\x01\x02";
/// Parts of a workbook at most.
const MOST_PARTS: usize = 10_000;
/// The end of the name of the part with the shared texts.
const SHARED: &str = "sharedstrings.xml";
const CLAIM: &[u8] = b"uniqueCount";
/// Bytes in which a claim and its number are, with room for spaces.
const REACH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_do_not_depend_on_the_pieces() {
        let part = b"<sst uniqueCount = '12345'><si><t>a</t></si><x:si/><si/></sst>";
        for size in [1, 2, 3, 7, 1000] {
            let mut scan = Scan::default();
            part.chunks(size).for_each(|piece| scan.take(piece));
            scan.finish();
            assert_eq!((scan.claimed, scan.bytes), (12345, part.len() as u64));
            assert_eq!((scan.texts, scan.longest), (4, 26), "{size}");
        }
    }
}
