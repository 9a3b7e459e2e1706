//! Recorded signals to sequences: EDF and BDF files, WFDB records.
//!
//! ```text
//! signals, each with its own rate --every_seconds--> one step for each interval, the mean of each signal
//! signals of one rate             -----------------> one step for each sample
//! ```

mod assembler;
mod edf;
mod summary;
mod wfdb;

use std::path::Path;

use sequela_core::{Channel, Location};
use sequela_formats::units;
use serde::{Deserialize, Serialize};

use crate::Error;

pub use edf::edf;
pub use summary::{ChannelSummary, SignalSummary, signal_summary};
pub use wfdb::wfdb_signals;

/// Which signals become channels, and what a step is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SignalOptions {
    /// The signals by name, in the order of the channels; an empty unit takes that of the first
    /// recording. All signals of the first recording where this is empty.
    pub channels: Vec<Channel>,
    /// Seconds of a step, which is the mean of the samples in it; without it each sample is a step,
    /// and the signals must have one rate.
    pub every_seconds: Option<f64>,
    /// Whose recordings they are.
    pub owners: Owners,
}

/// Whose recordings EDF files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owners {
    /// Files with the same patient identification are one subject's, who is called like the first
    /// of them; a file whose identification is blank or unknown (`X X X X`) is its own.
    #[default]
    Patients,
    /// Every file is a subject's of its own.
    Files,
}

/// One signal of a recording, as far as the channels are concerned.
struct Known<'a> {
    name: &'a str,
    unit: &'a str,
    frequency: f64,
}

/// The channels of all recordings, once the first is known.
fn agreed(channels: &mut Vec<Channel>, signals: &[Known<'_>], path: &Path) -> Result<(), Error> {
    if channels.is_empty() {
        channels.extend(
            signals
                .iter()
                .map(|signal| Channel { name: signal.name.into(), unit: signal.unit.into() }),
        );
        let first = |at: usize| channels.iter().position(|other| other.name == channels[at].name);
        if let Some(twice) = (0..channels.len()).find(|&at| first(at) != Some(at)) {
            return Err(Error::unfit(
                Location::file(path).field(channels[twice].name.as_str()),
                "two signals have this name",
                "name the channels that are meant",
            ));
        }
    }
    for (channel, signal) in channels.iter_mut().zip(signals) {
        if channel.unit.is_empty() {
            signal.unit.clone_into(&mut channel.unit);
        }
        if !units::same(&channel.unit, signal.unit) {
            return Err(Error::unfit(
                Location::file(path).field(signal.name),
                format!("its unit is {}, not {}", named(signal.unit), named(&channel.unit)),
                "convert it, or leave this recording out",
            ));
        }
    }
    Ok(())
}

fn named(unit: &str) -> &str {
    if unit.is_empty() { "not told" } else { unit }
}

/// Refuses signals of several rates where every sample is to be a step.
fn one_rate(every: Option<f64>, signals: &[Known<'_>], path: &Path) -> Result<(), Error> {
    let Some(first) = signals.first().filter(|_| every.is_none()) else { return Ok(()) };
    let other = signals.iter().find(|signal| (signal.frequency - first.frequency).abs() > 0.0);
    other.map_or(Ok(()), |other| {
        Err(Error::unfit(
            Location::file(path).field(other.name),
            format!("it has {} Hz, and {} has {} Hz", other.frequency, first.name, first.frequency),
            "give the seconds of a step (every_seconds), or choose signals of one rate",
        ))
    })
}
