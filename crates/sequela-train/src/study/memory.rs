//! An amount of memory, as one writes it: "2GiB".

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes.
///
/// # Example
/// ```
/// use sequela_train::Memory;
/// let memory = Memory::try_from("1.5 GiB".to_owned())?;
/// assert_eq!(memory.bytes(), 3 << 29);
/// assert_eq!(memory.to_string(), "1536MiB");
/// assert!(Memory::try_from("a lot".to_owned()).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory(u64);

/// Units with their bytes, largest first among powers of 2.
const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1000),
    ("B", 1),
];

impl Memory {
    /// So many bytes.
    pub fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The next amount of whole MiB that is no less.
    #[must_use]
    pub fn rounded_up(self) -> Self {
        Self(self.0.div_ceil(1 << 20).saturating_mul(1 << 20))
    }
}

impl TryFrom<String> for Memory {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refusal = || {
            format!("\"{text}\" is no amount of memory; write a number and a unit, as in \"2GiB\"")
        };
        let trimmed = text.trim();
        let unit = UNITS.iter().find(|(unit, _)| trimmed.ends_with(unit));
        let (unit, size) = unit.ok_or_else(refusal)?;
        let number = trimmed[..trimmed.len() - unit.len()].trim_end();
        let number: f64 = number.parse().map_err(|_| refusal())?;
        let bytes = number * *size as f64;
        // Up to here a number of bytes is a whole number in f64.
        if !(1.0..=9e15).contains(&bytes) {
            return Err(refusal());
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 1 and 9e15"
        )]
        let bytes = bytes as u64;
        Ok(Self(bytes))
    }
}

impl From<Memory> for String {
    fn from(memory: Memory) -> Self {
        memory.to_string()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(_, size): &&(&str, u64)| self.0 > 0 && self.0.is_multiple_of(*size);
        let binary = UNITS[..4].iter().find(fits);
        let (unit, size) = binary.copied().unwrap_or(("B", 1));
        write!(f, "{}{unit}", self.0 / size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (text, bytes) in [
            ("2GiB", 2 << 30),
            ("512 MiB", 512 << 20),
            ("1 GB", 1_000_000_000),
            ("64kB", 64_000),
            ("123B", 123),
            ("0.5TiB", 1 << 39),
        ] {
            let memory = Memory::try_from(text.to_owned()).unwrap();
            assert_eq!(memory.bytes(), bytes, "{text}");
            assert_eq!(Memory::try_from(memory.to_string()).unwrap(), memory);
        }
        assert_eq!(Memory::of(1).rounded_up().to_string(), "1MiB");
        for text in ["", "2", "GiB", "-1GiB", "0B", "nanGiB", "infB", "1e30B", "2gib", "1 XB"] {
            assert!(Memory::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
