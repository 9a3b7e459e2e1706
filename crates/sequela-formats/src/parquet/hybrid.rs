//! Runs of equal small numbers and packed small numbers, one after the other.
//!
//! **Source** the encoding RLE of Apache Parquet.

use super::broken::Broken;

/// A place in a stretch of runs; the bytes are given anew with each call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hybrid {
    at: usize,
    end: usize,
    /// Bits of a number, at most 32.
    width: u32,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    /// So many more of one number.
    Same { value: u32, left: u64 },
    /// So many more packed ones, the next at this bit.
    Packed { bit: u64, left: u64 },
}

impl Hybrid {
    /// Runs of numbers of `width` bits in `at..end`.
    pub(super) fn new(at: usize, end: usize, width: u32) -> Result<Self, Broken> {
        if width > 32 {
            return Err(Broken::Malformed("numbers of more than 32 bits"));
        }
        Ok(Self { at, end, width, run: Run::Same { value: 0, left: 0 } })
    }

    /// How many of the next `most` numbers are one and the same, and which.
    pub(super) fn same(&mut self, page: &[u8], most: u64) -> Result<Option<(u32, u64)>, Broken> {
        self.refill(page)?;
        match &mut self.run {
            Run::Same { value, left } => {
                let taken = most.min(*left);
                *left -= taken;
                Ok(Some((*value, taken)))
            }
            Run::Packed { .. } => Ok(None),
        }
    }

    /// Appends the next `count` numbers.
    pub(super) fn read(
        &mut self,
        page: &[u8],
        mut count: usize,
        into: &mut Vec<u32>,
    ) -> Result<(), Broken> {
        while count > 0 {
            self.refill(page)?;
            let (at, end, width) = (self.at, self.end, self.width);
            let taken = match &mut self.run {
                Run::Same { value, left } => {
                    let taken = count.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    into.resize(into.len() + taken, *value);
                    *left -= taken as u64;
                    taken
                }
                Run::Packed { bit, left } => {
                    let taken = count.min(usize::try_from(*left).unwrap_or(usize::MAX));
                    unpack(page.get(..end).unwrap_or_default(), (*bit, width), taken, into)?;
                    *bit += taken as u64 * u64::from(width);
                    *left -= taken as u64;
                    taken
                }
            };
            debug_assert!(at <= end);
            count -= taken;
        }
        Ok(())
    }

    /// Reads the next run's header where the last run is used up.
    fn refill(&mut self, page: &[u8]) -> Result<(), Broken> {
        loop {
            match self.run {
                Run::Same { left: 0, .. } | Run::Packed { left: 0, .. } => {}
                _ => return Ok(()),
            }
            let mut header = 0_u64;
            let mut shift = 0;
            loop {
                let byte = self.byte(page)?;
                header |= u64::from(byte & 0x7F) << shift;
                shift += 7;
                if byte & 0x80 == 0 {
                    break;
                }
                if shift > 35 {
                    return Err(Broken::Malformed("a run has no end"));
                }
            }
            if header & 1 == 1 {
                let left = (header >> 1) * 8;
                let bit = self.at as u64 * 8;
                // The last run may be cut behind its last number.
                let bytes = usize::try_from((header >> 1).saturating_mul(u64::from(self.width)));
                self.at = self.at.saturating_add(bytes.unwrap_or(usize::MAX)).min(self.end);
                self.run = Run::Packed { bit, left };
            } else {
                let mut value = 0_u32;
                for byte in 0..self.width.div_ceil(8) {
                    value |= u32::from(self.byte(page)?) << (8 * byte);
                }
                if self.width < 32 && value >> self.width != 0 {
                    return Err(Broken::Malformed("a run holds a number of too many bits"));
                }
                self.run = Run::Same { value, left: header >> 1 };
            }
        }
    }

    fn byte(&mut self, page: &[u8]) -> Result<u8, Broken> {
        let byte = page.get(..self.end).and_then(|page| page.get(self.at)).ok_or(Broken::Cut)?;
        self.at += 1;
        Ok(*byte)
    }
}

/// Appends `count` numbers of `width` bits, the first at bit `bit`.
pub(super) fn unpack(
    bytes: &[u8],
    (bit, width): (u64, u32),
    count: usize,
    into: &mut Vec<u32>,
) -> Result<(), Broken> {
    let bits = count as u64 * u64::from(width);
    if bit + bits > bytes.len() as u64 * 8 {
        return Err(Broken::Cut);
    }
    if width == 0 {
        into.resize(into.len() + count, 0);
        return Ok(());
    }
    let mask = (1_u64 << width) - 1;
    let mut bit = usize::try_from(bit).map_err(|_| Broken::Cut)?;
    let width = width as usize;
    into.extend((0..count).map(|_| {
        let word = word_at(bytes, bit / 8);
        let value = (word >> (bit % 8)) & mask;
        bit += width;
        #[allow(clippy::cast_possible_truncation, reason = "at most 32 bits are kept")]
        let narrow = value as u32;
        narrow
    }));
    Ok(())
}

/// Eight bytes from `at`, with zeros behind the end.
pub(super) fn word_at(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.get(at..).unwrap_or_default();
    if let Some(word) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*word);
    }
    rest.iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_packed_numbers_follow_each_other() {
        // Five sevens, then eight packed numbers 0..8 of three bits (the example of the format).
        let page = [10, 7, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010];
        let mut hybrid = Hybrid::new(0, page.len(), 3).unwrap();
        let mut read = Vec::new();
        hybrid.read(&page, 3, &mut read).unwrap();
        hybrid.read(&page, 10, &mut read).unwrap();
        assert_eq!(read, [7, 7, 7, 7, 7, 0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(hybrid.read(&page, 1, &mut read), Err(Broken::Cut));
        for cut in 0..page.len() {
            let mut hybrid = Hybrid::new(0, cut, 3).unwrap();
            assert_eq!(hybrid.read(&page, 13, &mut Vec::new()), Err(Broken::Cut), "{cut}");
        }
    }

    #[test]
    fn all_widths_survive() {
        let random = sequela_core::Random::new(3, 1);
        for width in 1..=32_u32 {
            let mask = u32::MAX >> (32 - width);
            let numbers: Vec<u32> = (0..40)
                .map(|at| u32::try_from(random.below(at, 1 << 32)).unwrap() & mask)
                .collect();
            let mut bytes = vec![0_u8; 40 * width as usize / 8];
            for (at, number) in numbers.iter().enumerate() {
                for bit in 0..width as usize {
                    let to = at * width as usize + bit;
                    bytes[to / 8] |= u8::from(number >> bit & 1 == 1) << (to % 8);
                }
            }
            let mut read = Vec::new();
            unpack(&bytes, (0, width), 40, &mut read).unwrap();
            assert_eq!(read, numbers, "{width}");
        }
        assert!(Hybrid::new(0, 0, 33).is_err());
    }

    #[test]
    fn a_run_of_numbers_that_are_too_wide_is_refused() {
        let mut hybrid = Hybrid::new(0, 2, 3).unwrap();
        assert!(hybrid.read(&[2, 8], 1, &mut Vec::new()).is_err());
        // Endless empty runs end with the bytes.
        let mut hybrid = Hybrid::new(0, 4, 8).unwrap();
        assert_eq!(hybrid.read(&[0, 1, 0, 1], 1, &mut Vec::new()), Err(Broken::Cut));
    }
}
