//! Texts, one behind the other.

use super::broken::Broken;

/// Texts, each with its number.
#[derive(Debug, Default)]
pub(crate) struct Words {
    text: String,
    ends: Vec<u32>,
}

impl Words {
    /// A text; empty past the last.
    pub(crate) fn get(&self, number: u32) -> &str {
        let number = number as usize;
        let start = number.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied());
        let range = start.zip(self.ends.get(number).copied());
        range
            .and_then(|(start, end)| self.text.get(start as usize..end as usize))
            .unwrap_or_default()
    }

    /// Bytes of all texts.
    pub(super) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Keeps the first `count` texts.
    pub(super) fn truncate(&mut self, count: usize) {
        self.ends.truncate(count);
        self.text.truncate(self.ends.last().map_or(0, |end| *end as usize));
    }

    /// Appends a text and gives its number.
    pub(super) fn push(&mut self, word: &[u8]) -> Result<u32, Broken> {
        let end = u32::try_from(self.text.len() + word.len()).ok().filter(|end| *end <= MOST);
        let Some(end) = end else {
            return Err(MANY);
        };
        let word = std::str::from_utf8(word);
        self.text.push_str(word.map_err(|_| Broken::Malformed("a text is not UTF-8"))?);
        self.ends.push(end);
        u32::try_from(self.ends.len() - 1).map_err(|_| MANY)
    }
}

/// Bytes of the texts of a dictionary and of a batch at most.
const MOST: u32 = 1 << 28;
const MANY: Broken = Broken::Unsupported(
    "the texts of a dictionary or of a few thousand rows are over 256 MiB",
    "leave the column out, or write smaller row groups",
);
