//! The section about what the model sees and what it is asked.

use serde::{Deserialize, Serialize};

/// What the model sees and what it is asked.
///
/// A forecast needs `length` and `horizons`. For a class everything has a default: the whole
/// series is read, and of the other fields only `missing`, `indicators`, `summaries` and `clip` are
/// heard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Window {
    /// Steps that a forecast is made from; steps at the end of a series that a class is told
    /// from, 0 for all of them (shorter series are read whole).
    pub length: usize,
    /// Steps ahead that are forecast.
    pub horizons: Vec<usize>,
    /// Steps between two windows of training.
    pub stride: usize,
    /// A longer time without a step ends a stretch that windows lie in, in hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_gap_hours: Option<f64>,
    /// What the network's output is.
    pub target: TargetKind,
    /// What the network's inputs are.
    pub inputs: InputKind,
    /// What stands in for a missing value.
    pub missing: Missing,
    /// Windows with a larger share of missing values are left out; subjects to be classified
    /// never are.
    pub most_missing: f64,
    /// What the network is told beside the values.
    pub indicators: Vec<Indicator>,
    /// What the network is told, at each step, of all values of a channel up to this step; for
    /// classes only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub summaries: Vec<Summary>,
    /// Channels that do not change, which the network is told once for each series, beside what it
    /// makes of the steps; for one class of each subject only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub statics: Vec<String>,
    /// Scaled values further from their centre than this are taken for this far: one slip of a
    /// pen must not drown the rest. For classes only; without it they stay as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            length: 0,
            horizons: Vec::new(),
            stride: 1,
            longest_gap_hours: None,
            target: TargetKind::default(),
            inputs: InputKind::default(),
            missing: Missing::default(),
            most_missing: 0.5,
            indicators: Vec::new(),
            summaries: Vec::new(),
            statics: Vec::new(),
            clip: None,
        }
    }
}

/// What the network's output is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// The future value.
    #[default]
    Value,
    /// How far the future value is from the last one seen.
    Change,
    /// How far the future value is from the mean of the window.
    Level,
}

/// What the network's inputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Values, scaled.
    #[default]
    Values,
    /// Values less what outputs are counted from (the last value, or the mean of the window): the
    /// network cannot tell people by their level.
    Relative,
}

/// What stands in for a missing value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// The last value seen in the window, else the centre of training.
    #[default]
    Carry,
    /// The centre of training.
    Centre,
}

/// What the network can be told beside the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Indicator {
    /// Whether each channel was observed, 0 or 1.
    Observed,
    /// Steps since each channel was last observed, as `ln(1 + steps)`.
    Gap,
    /// Steps since each channel was last observed before this step, 0 at the first: the time gap
    /// of GRU-D (Che 2018, equation 3), in steps of the series.
    Since,
}

/// What the network can be told of the values of a channel so far, as a running number: a step sees
/// nothing after it. 0, the centre, before the first value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Summary {
    /// Their mean.
    Mean,
    /// The lowest.
    Lowest,
    /// The highest.
    Highest,
    /// The first.
    First,
    /// At what share of the steps so far the channel was observed.
    Share,
}
