//! Whole numbers as differences, each packed into as many bits as its neighbours need.
//!
//! **Source** the encoding `DELTA_BINARY_PACKED` of Apache Parquet.

use super::broken::Broken;
use super::hybrid::word_at;

/// A place in a stretch of differences; the bytes are given anew with each call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delta {
    at: usize,
    end: usize,
    /// Numbers that are still to come.
    left: u64,
    last: i64,
    is_first: bool,
    /// Numbers of a small block, and small blocks of a block.
    small: u64,
    smalls: usize,
    /// In the present block: the least difference, where the widths stand, which small block.
    least: i64,
    widths: usize,
    index: usize,
    /// In the present small block: bits of a number, the next bit, numbers to come.
    width: u32,
    bit: usize,
    small_left: u64,
}

impl Delta {
    /// The differences from `at` on, at most `most` of them.
    pub(super) fn new(page: &[u8], at: usize, end: usize, most: u64) -> Result<Self, Broken> {
        let mut delta = Self {
            at,
            end,
            left: 0,
            last: 0,
            is_first: true,
            small: 0,
            smalls: 0,
            least: 0,
            widths: 0,
            index: 0,
            width: 0,
            bit: 0,
            small_left: 0,
        };
        let block = delta.varint(page)?;
        let smalls = delta.varint(page)?;
        let left = delta.varint(page)?;
        let first = delta.varint(page)?;
        if block == 0 || block > BLOCK || smalls == 0 || smalls > 512 || block % (8 * smalls) != 0 {
            return Err(Broken::Malformed("a block of differences has an impossible size"));
        }
        if left > most {
            return Err(Broken::Malformed("there are more differences than cells"));
        }
        delta.small = block / smalls;
        delta.smalls = usize::try_from(smalls).unwrap_or(1);
        delta.index = delta.smalls;
        delta.left = left;
        delta.last = zigzag(first);
        Ok(delta)
    }

    /// The next number.
    pub(super) fn next(&mut self, page: &[u8]) -> Result<i64, Broken> {
        self.left = self.left.checked_sub(1).ok_or(Broken::Cut)?;
        if self.is_first {
            self.is_first = false;
            return Ok(self.last);
        }
        if self.small_left == 0 {
            self.next_small(page)?;
        }
        let difference = bits(page, self.bit, self.width);
        self.bit += self.width as usize;
        self.small_left -= 1;
        self.last = self.last.wrapping_add(self.least).wrapping_add(difference.cast_signed());
        Ok(self.last)
    }

    /// Where the bytes behind the differences begin.
    pub(super) fn behind(mut self, page: &[u8]) -> Result<usize, Broken> {
        while self.left > 0 {
            self.next(page)?;
        }
        Ok(self.at)
    }

    fn next_small(&mut self, page: &[u8]) -> Result<(), Broken> {
        self.index += 1;
        if self.index >= self.smalls {
            self.least = zigzag(self.varint(page)?);
            self.widths = self.at;
            self.at = self.at.checked_add(self.smalls).ok_or(Broken::Cut)?;
            self.index = 0;
        }
        let width = page.get(..self.end).and_then(|page| page.get(self.widths + self.index));
        self.width = u32::from(*width.ok_or(Broken::Cut)?);
        if self.width > 64 {
            return Err(Broken::Malformed("a difference of more than 64 bits"));
        }
        self.bit = self.at * 8;
        let bytes = usize::try_from(self.small * u64::from(self.width) / 8);
        self.at = self.at.saturating_add(bytes.unwrap_or(usize::MAX));
        if self.at > self.end {
            return Err(Broken::Cut);
        }
        self.small_left = self.small;
        Ok(())
    }

    fn varint(&mut self, page: &[u8]) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = *page.get(..self.end).and_then(|p| p.get(self.at)).ok_or(Broken::Cut)?;
            self.at += 1;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Broken::Malformed("a number has no end"))
    }
}

/// Up to 64 bits from a bit on.
fn bits(page: &[u8], bit: usize, width: u32) -> u64 {
    if width == 0 {
        return 0;
    }
    let (at, shift) = (bit / 8, bit % 8);
    let mut word = word_at(page, at) >> shift;
    if shift > 0 {
        let more = page.get(at + 8).copied().unwrap_or(0);
        word |= u64::from(more) << (64 - shift);
    }
    word & (u64::MAX >> (64 - width))
}

fn zigzag(bits: u64) -> i64 {
    (bits >> 1).cast_signed() ^ -((bits & 1).cast_signed())
}

/// Numbers of a block at most; writers use 128 or so.
const BLOCK: u64 = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_format() {
        // 1, 2, 3, 4, 5: one block of 128 in 4, least difference 1, no bits.
        let page = [0x80, 0x01, 4, 5, 2, 2, 0, 0, 0, 0];
        let mut delta = Delta::new(&page, 0, page.len(), 5).unwrap();
        let read: Vec<i64> = (0..5).map(|_| delta.next(&page).unwrap()).collect();
        assert_eq!(read, [1, 2, 3, 4, 5]);
        assert_eq!(delta.next(&page), Err(Broken::Cut));
        assert_eq!(delta.behind(&page), Ok(10));
        for cut in 0..page.len() - 3 {
            let read = Delta::new(&page, 0, cut, 5).and_then(|delta| delta.behind(&page));
            assert!(read.is_err(), "{cut}");
        }
    }

    #[test]
    fn sizes_that_a_file_claims_are_not_believed() {
        // A block of 2^31 numbers, and a thousand million numbers.
        for page in [
            &[0x80, 0x80, 0x80, 0x80, 0x08, 1, 5, 2][..],
            &[0x80, 0x01, 4, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 2][..],
            &[0x80, 0x01, 0, 5, 2][..],
            &[0x80, 0x01, 3, 5, 2][..],
        ] {
            assert!(Delta::new(page, 0, page.len(), 1000).is_err());
        }
    }
}
