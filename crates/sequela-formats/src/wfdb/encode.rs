//! Samples to bytes: what [`Format::decode`](super::codec::Format) reads.

use super::codec::Format;

impl Format {
    /// Lowest and highest number that is written (of differences: lowest and highest difference); `None` of
    /// FLAC.
    pub(super) fn range(self) -> Option<(i32, i32)> {
        let bits = match self {
            Self::Differences | Self::Offset8 => 8,
            Self::Sixteen | Self::SixteenSwapped | Self::Offset16 => 16,
            Self::TwentyFour => 24,
            Self::ThirtyTwo => 32,
            Self::Packed12 => 12,
            Self::Packed10 | Self::Packed10Straight => 10,
            Self::Flac { .. } => return None,
        };
        let lowest = i32::MIN >> (32 - bits);
        Some((lowest, !lowest))
    }

    /// Adds the bytes of samples in the order of the file; of differences `signals` is the number of samples in a
    /// frame, whose first is taken for the initial value. All samples have to be within [`Format::range`].
    pub(super) fn encode(self, samples: &[i32], signals: usize, out: &mut Vec<u8>) {
        let low = |sample: &i32| sample.to_le_bytes();
        match self {
            Self::Differences => {
                let before = samples.iter().take(signals).chain(samples);
                let steps =
                    samples.iter().zip(before).map(|(now, before)| now.wrapping_sub(*before));
                out.extend(steps.map(|step| low(&step)[0]));
            }
            Self::Offset8 => out.extend(samples.iter().map(|s| low(s)[0] ^ 0x80)),
            Self::Sixteen => out.extend(samples.iter().flat_map(|s| [low(s)[0], low(s)[1]])),
            Self::SixteenSwapped => out.extend(samples.iter().flat_map(|s| [low(s)[1], low(s)[0]])),
            Self::Offset16 => {
                out.extend(samples.iter().flat_map(|s| [low(s)[0], low(s)[1] ^ 0x80]));
            }
            Self::TwentyFour => {
                out.extend(samples.iter().flat_map(|s| low(s).into_iter().take(3)));
            }
            Self::ThirtyTwo => out.extend(samples.iter().flat_map(low)),
            Self::Packed12 => packed_12(samples, out),
            Self::Packed10 => {
                packed_10(samples, derived, |count| if count == 1 { 2 } else { 4 }, out);
            }
            Self::Packed10Straight => packed_10(samples, straight, |count| count + 1, out),
            Self::Flac { .. } => {}
        }
    }
}

fn packed_12(samples: &[i32], out: &mut Vec<u8>) {
    let (pairs, rest) = samples.as_chunks::<2>();
    let both = |&[a, b]: &[i32; 2]| {
        let ([a, high, ..], [b, higher, ..]) = (a.to_le_bytes(), b.to_le_bytes());
        [a, high & 15 | higher << 4, b]
    };
    out.extend(pairs.iter().flat_map(both));
    if let [last] = rest {
        out.extend(both(&[*last, 0]).into_iter().take(2));
    }
}

/// Three samples in four bytes; of the last that are no three as many bytes as they need.
fn packed_10(
    samples: &[i32],
    pack: fn([u32; 3]) -> u32,
    bytes: fn(usize) -> usize,
    out: &mut Vec<u8>,
) {
    let ten = |sample: i32| sample.cast_unsigned() & 0x3FF;
    let (threes, rest) = samples.as_chunks::<3>();
    out.extend(threes.iter().flat_map(|three| pack(three.map(ten)).to_le_bytes()));
    if !rest.is_empty() {
        let mut last = [0; 3];
        last.iter_mut().zip(rest).for_each(|(to, &sample)| *to = ten(sample));
        out.extend(pack(last).to_le_bytes().into_iter().take(bytes(rest.len())));
    }
}

fn derived([a, b, c]: [u32; 3]) -> u32 {
    (a << 1 | (c & 31) << 11) | (b << 1 | (c >> 5) << 11) << 16
}

fn straight([a, b, c]: [u32; 3]) -> u32 {
    a | b << 10 | c << 20
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Random;

    #[test]
    fn what_is_written_is_decoded_again() {
        for format in [8, 16, 24, 32, 61, 80, 160, 212, 310, 311] {
            let format = Format::of(format).unwrap();
            let (low, high) = format.range().unwrap();
            for count in [0_u64, 1, 2, 3, 4, 5, 6, 7, 100, 1000] {
                let random = Random::new(count, 9);
                let span = u64::from(high.abs_diff(low)) + 1;
                let mut samples: Vec<i32> = (0..count)
                    .map(|at| i64::from(low) + i64::try_from(random.below(at, span)).unwrap())
                    .map(|sample| i32::try_from(sample).unwrap())
                    .collect();
                if format == Format::Differences {
                    // Sums of such steps.
                    let sum = |sum: &mut i32, step: &i32| {
                        *sum = sum.wrapping_add(*step);
                        Some(*sum)
                    };
                    samples = samples.iter().scan(0, sum).collect();
                }
                let (mut bytes, mut read) = (Vec::new(), Vec::new());
                format.encode(&samples, 1, &mut bytes);
                format.decode(&bytes, &samples[..samples.len().min(1)], &mut read);
                read.truncate(samples.len());
                assert_eq!(read, samples, "{format:?}");
            }
        }
    }
}
