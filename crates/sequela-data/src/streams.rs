//! What each random number of this crate is for: the streams of the counter-based generator.

/// Splits of subjects.
pub(crate) const SPLIT: u64 = 0x6461_0001 << 32;
/// Simulated subjects; their number is added.
pub(crate) const SIMULATION: u64 = 0x6461_0003 << 32;
