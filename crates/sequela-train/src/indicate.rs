//! What a network is told of how long ago a channel was seen.

use crate::encode::narrow;
use crate::study::Indicator;

/// How many steps ago a channel was seen, as of a step.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gaps {
    /// With this step: 0 where it is seen now.
    pub(crate) now: Option<u64>,
    /// Before this step.
    pub(crate) before: Option<u64>,
}

/// What is told of a channel that was seen so long ago, or in none of `steps` steps.
pub(crate) fn indicate(indicator: Indicator, gaps: Gaps, steps: u64) -> f32 {
    match indicator {
        Indicator::Observed => f32::from(u8::from(gaps.now == Some(0))),
        Indicator::Gap => narrow(libm::log1p(gaps.now.unwrap_or(steps) as f64)),
        // One that was never seen counts from the first step.
        Indicator::Since => narrow(gaps.before.unwrap_or(steps.saturating_sub(1)) as f64),
    }
}
