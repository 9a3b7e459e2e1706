//! How samples are packed into bytes: the storage formats of signal files.
//!
//! ```text
//! 212   aaaaaaaa bbbbaaaa bbbbbbbb              two of 12 bits in three bytes, high bits in the middle
//! 310   aaaaaaax cccccaaa bbbbbbbx cccccbbb     three of 10 bits in four bytes, x unused
//! 311   aaaaaaaa bbbbbbaa ccccbbbb xxcccccc     the same, one after the other
//! ```
//!
//! **Source** WFDB Applications Guide, `signal(5)`; RFC 9639 for FLAC (508, 516, 524).

use std::io::Cursor;

use claxon::FlacReader;

/// A storage format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// 8: differences of 8 bits.
    Differences,
    /// 16: 16 bits, low byte first.
    Sixteen,
    /// 24: 24 bits, low byte first.
    TwentyFour,
    /// 32: 32 bits, low byte first.
    ThirtyTwo,
    /// 61: 16 bits, high byte first.
    SixteenSwapped,
    /// 80: 8 bits above -128.
    Offset8,
    /// 160: 16 bits above -32768, low byte first.
    Offset16,
    /// 212: two samples of 12 bits in three bytes.
    Packed12,
    /// 310: three samples of 10 bits in four bytes.
    Packed10,
    /// 311: the same in another order.
    Packed10Straight,
    /// 508, 516, 524: FLAC of so many bits, a channel for each signal.
    Flac {
        /// Bits of a sample: 8, 16 or 24.
        bits: u32,
    },
}

impl Format {
    /// The format of this number; `None` for one that the format does not have.
    pub fn of(number: u16) -> Option<Self> {
        Some(match number {
            8 => Self::Differences,
            16 => Self::Sixteen,
            24 => Self::TwentyFour,
            32 => Self::ThirtyTwo,
            61 => Self::SixteenSwapped,
            80 => Self::Offset8,
            160 => Self::Offset16,
            212 => Self::Packed12,
            310 => Self::Packed10,
            311 => Self::Packed10Straight,
            508 => Self::Flac { bits: 8 },
            516 => Self::Flac { bits: 16 },
            524 => Self::Flac { bits: 24 },
            _ => return None,
        })
    }

    /// The value that stands for a missing sample: the lowest of the format.
    pub fn missing(self) -> i32 {
        match self {
            Self::Sixteen | Self::SixteenSwapped | Self::Offset16 => -0x8000,
            Self::TwentyFour => -0x80_0000,
            // Differences have none; no sum of theirs comes down to this.
            Self::ThirtyTwo | Self::Differences => i32::MIN,
            Self::Offset8 => -0x80,
            Self::Packed12 => -0x800,
            Self::Packed10 | Self::Packed10Straight => -0x200,
            Self::Flac { bits } => -(1 << (bits - 1)),
        }
    }

    /// Whole samples in so many bytes; of FLAC only a bound below is known, which is 0.
    pub(super) fn samples_in(self, bytes: usize) -> usize {
        match self {
            Self::Differences | Self::Offset8 => bytes,
            Self::Sixteen | Self::SixteenSwapped | Self::Offset16 => bytes / 2,
            Self::TwentyFour => bytes / 3,
            Self::ThirtyTwo => bytes / 4,
            Self::Packed12 => bytes / 3 * 2 + usize::from(bytes % 3 == 2),
            Self::Packed10 => bytes / 4 * 3 + usize::from(bytes % 4 >= 2),
            // The second sample ends in the third byte.
            Self::Packed10Straight => bytes / 4 * 3 + (bytes % 4).saturating_sub(1),
            Self::Flac { .. } => 0,
        }
    }

    /// Bytes of six samples, the least that end with a byte in every format; 0 of FLAC.
    pub(super) fn bytes_of_six(self) -> usize {
        match self {
            Self::Differences | Self::Offset8 => 6,
            Self::Sixteen | Self::SixteenSwapped | Self::Offset16 => 12,
            Self::TwentyFour => 18,
            Self::ThirtyTwo => 24,
            Self::Packed12 => 9,
            Self::Packed10 | Self::Packed10Straight => 8,
            Self::Flac { .. } => 0,
        }
    }

    /// Lowest value and number of values, where they are few.
    pub(super) fn few_values(self) -> Option<(i32, usize)> {
        match self {
            Self::Offset8 | Self::Packed12 | Self::Packed10 | Self::Packed10Straight => {
                let lowest = self.missing();
                Some((lowest, 2 * lowest.unsigned_abs() as usize))
            }
            _ => None,
        }
    }

    /// Writes the samples of these bytes to `out`, as they come: frame by frame, signal by signal.
    ///
    /// Of differences (8) each sample is what is added to the one a frame before; `initial` has
    /// the value before the first of each place in a frame. FLAC is for [`flac`].
    pub(super) fn decode(self, bytes: &[u8], initial: &[i32], out: &mut Vec<i32>) {
        let count = self.samples_in(bytes.len());
        out.clear();
        match self {
            Self::Differences => differences(bytes, initial, out),
            Self::Offset8 => out.extend(bytes.iter().map(|&byte| i32::from(byte) - 0x80)),
            Self::Sixteen => {
                out.extend(pairs(bytes).map(|pair| i32::from(i16::from_le_bytes(pair))));
            }
            Self::SixteenSwapped => {
                out.extend(pairs(bytes).map(|pair| i32::from(i16::from_be_bytes(pair))));
            }
            Self::Offset16 => {
                let value = |pair| i32::from(u16::from_le_bytes(pair)) - 0x8000;
                out.extend(pairs(bytes).map(value));
            }
            Self::TwentyFour => {
                let (triples, _) = bytes.as_chunks::<3>();
                let value = |&[a, b, c]: &[u8; 3]| i32::from_le_bytes([0, a, b, c]) >> 8;
                out.extend(triples.iter().map(value));
            }
            Self::ThirtyTwo => {
                let (words, _) = bytes.as_chunks::<4>();
                out.extend(words.iter().map(|&word| i32::from_le_bytes(word)));
            }
            Self::Packed12 => packed_12(bytes, out),
            Self::Packed10 => packed_10(bytes, derived, out),
            Self::Packed10Straight => packed_10(bytes, straight, out),
            Self::Flac { .. } => {}
        }
        out.truncate(count);
    }
}

fn pairs(bytes: &[u8]) -> impl Iterator<Item = [u8; 2]> {
    bytes.as_chunks::<2>().0.iter().copied()
}

fn differences(bytes: &[u8], initial: &[i32], out: &mut Vec<i32>) {
    let mut last = initial.to_vec();
    for frame in bytes.chunks(initial.len().max(1)) {
        for (last, &byte) in last.iter_mut().zip(frame) {
            *last = last.wrapping_add(i32::from(i8::from_le_bytes([byte])));
            out.push(*last);
        }
    }
}

fn packed_12(bytes: &[u8], out: &mut Vec<i32>) {
    let signed = |low: u8, high: u8| i32::from(i16::from_le_bytes([low, high]) << 4 >> 4);
    let (triples, rest) = bytes.as_chunks::<3>();
    out.resize(2 * triples.len(), 0);
    for (both, &[a, middle, b]) in out.as_chunks_mut().0.iter_mut().zip(triples) {
        *both = [signed(a, middle & 15), signed(b, middle >> 4)];
    }
    if let &[a, middle] = rest {
        out.push(signed(a, middle & 15));
    }
}

/// Groups of four bytes, the last filled up with zeros.
fn packed_10(bytes: &[u8], unpack: fn([u8; 4]) -> [i32; 3], out: &mut Vec<i32>) {
    let (words, rest) = bytes.as_chunks::<4>();
    out.resize(3 * words.len(), 0);
    for (three, &word) in out.as_chunks_mut().0.iter_mut().zip(words) {
        *three = unpack(word);
    }
    let mut last = [0; 4];
    last.iter_mut().zip(rest).for_each(|(to, &byte)| *to = byte);
    out.extend(unpack(last));
}

fn derived([a, b, c, d]: [u8; 4]) -> [i32; 3] {
    let words = [u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d])];
    [words[0] >> 1 & 0x3ff, words[1] >> 1 & 0x3ff, words[0] >> 11 | words[1] >> 11 << 5]
        .map(ten_bits)
}

fn straight(word: [u8; 4]) -> [i32; 3] {
    let word = u32::from_le_bytes(word);
    [word, word >> 10, word >> 20].map(|bits| ten_bits((bits & 0x3ff) as u16))
}

fn ten_bits(bits: u16) -> i32 {
    i32::from(i16::from_le_bytes((bits << 6).to_le_bytes()) >> 6)
}

/// What is wrong with a stream of FLAC.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FlacFault {
    /// It cannot be decoded; as far as it could, so many samples of each channel.
    Broken(usize),
    /// It has so many channels.
    Channels(u32),
    /// It has so many bits.
    Bits(u32),
}

/// The samples of each of `channels` channels of a FLAC stream, at most `most` of each.
pub(super) fn flac(
    bytes: &[u8],
    bits: u32,
    channels: usize,
    most: usize,
) -> Result<Vec<Vec<i32>>, FlacFault> {
    let mut reader = FlacReader::new(Cursor::new(bytes)).map_err(|_| FlacFault::Broken(0))?;
    let info = reader.streaminfo();
    if info.channels as usize != channels {
        return Err(FlacFault::Channels(info.channels));
    }
    if info.bits_per_sample != bits {
        return Err(FlacFault::Bits(info.bits_per_sample));
    }
    let mut out = vec![Vec::new(); channels];
    let (mut blocks, mut buffer) = (reader.blocks(), Vec::new());
    while out.first().is_some_and(|one| one.len() < most) {
        let block = match blocks.read_next_or_eof(buffer) {
            Ok(Some(block)) => block,
            Ok(None) => break,
            Err(_) => return Err(FlacFault::Broken(out.first().map_or(0, Vec::len))),
        };
        if block.channels() as usize != channels {
            return Err(FlacFault::Channels(block.channels()));
        }
        for (to, channel) in out.iter_mut().zip(0..block.channels()) {
            let left = most - to.len();
            to.extend(block.channel(channel).iter().take(left));
        }
        buffer = block.into_buffer();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(format: Format, bytes: &[u8], initial: &[i32]) -> Vec<i32> {
        let mut out = Vec::new();
        format.decode(bytes, initial, &mut out);
        out
    }

    #[test]
    fn every_number_is_unpacked_as_the_manual_draws_it() {
        let all = |format: Format, bytes: &[u8]| decoded(format, bytes, &[5]);
        assert_eq!(all(Format::Packed12, &[0xE3, 0x33, 0xF3]), [995, 1011]);
        assert_eq!(all(Format::Packed12, &[0xFF, 0xFF, 0xFF, 0x01, 0x08]), [-1, -1, -2047]);
        assert_eq!(all(Format::Sixteen, &[0x01, 0x80, 7]), [-32767]);
        assert_eq!(all(Format::SixteenSwapped, &[0x80, 0x01]), [-32767]);
        assert_eq!(all(Format::Offset8, &[0, 128, 255]), [-128, 0, 127]);
        assert_eq!(all(Format::Offset16, &[0, 0, 0, 0x80]), [-32768, 0]);
        assert_eq!(all(Format::TwentyFour, &[0xFE, 0xFF, 0xFF]), [-2]);
        assert_eq!(all(Format::ThirtyTwo, &[0, 0, 0, 0x80]), [i32::MIN]);
        assert_eq!(all(Format::Differences, &[1, 0xFF, 3]), [6, 5, 8]);
        // 1, -1 and -512: the third lies in the high bits of both words.
        assert_eq!(all(Format::Packed10, &[0x02, 0x00, 0xFE, 0x87]), [1, -1, -512]);
        assert_eq!(all(Format::Packed10Straight, &[0x01, 0xFC, 0x0F, 0x20]), [1, -1, -512]);
    }

    #[test]
    fn parts_of_a_group_hold_whole_samples_only() {
        let counts = |format: Format| [0, 1, 2, 3, 4, 5].map(|bytes| format.samples_in(bytes));
        assert_eq!(counts(Format::Packed12), [0, 0, 1, 2, 2, 3]);
        assert_eq!(counts(Format::Packed10), [0, 0, 1, 1, 3, 3]);
        assert_eq!(counts(Format::Packed10Straight), [0, 0, 1, 2, 3, 3]);
        for format in [Format::Packed12, Format::Packed10, Format::Packed10Straight] {
            assert_eq!(format.samples_in(format.bytes_of_six()), 6);
            for bytes in 0..9 {
                let samples = decoded(format, &vec![0x55; bytes], &[]);
                assert_eq!(samples.len(), format.samples_in(bytes));
            }
        }
    }

    #[test]
    fn what_is_no_flac_is_told() {
        assert_eq!(flac(b"fLaC", 8, 1, 10), Err(FlacFault::Broken(0)));
        assert_eq!(flac(&[], 8, 1, 10), Err(FlacFault::Broken(0)));
    }
}
