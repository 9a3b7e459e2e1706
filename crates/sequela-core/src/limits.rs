//! Upper bounds on what is read, checked before anything is allocated.

/// Bounds on sizes that come from files. The defaults fit a laptop; raise them knowingly.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// let limits = Limits { file_bytes: 64 << 20, ..Limits::default() };
/// assert!(limits.steps >= 1_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes read from one file, after decompression.
    pub file_bytes: u64,
    /// Steps of one sequence.
    pub steps: u64,
    /// Channels of one sequence, columns of one table.
    pub channels: u64,
    /// Subjects of one data set.
    pub subjects: u64,
    /// Bytes of one line of text.
    pub line_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes: 2 << 30,
            steps: 100_000_000,
            channels: 65_536,
            subjects: 10_000_000,
            line_bytes: 1 << 20,
        }
    }
}
