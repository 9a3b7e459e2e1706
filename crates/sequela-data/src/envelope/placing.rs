//! Where a look lies by an envelope, and how that is said.

use super::look::Look;
use super::{ChannelEnvelope, Envelope};

/// Where a sequence lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Placing {
    /// Share of its cells that are missing.
    pub missing: f64,
    /// What lies outside; nothing where all is inside.
    pub outside: Vec<Outside>,
}

/// One thing that lies outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The channel; none for the sequence as a whole.
    pub channel: Option<String>,
    /// What is the matter with it, without a value of the sequence.
    pub why: String,
}

impl Placing {
    /// The columns of tables that tell it: share of cells that are missing, [`Placing::word`] and
    /// [`Placing::why`].
    pub const COLUMNS: [&'static str; 3] = ["missing", "envelope", "outside"];

    /// Whether nothing lies outside.
    pub fn is_inside(&self) -> bool {
        self.outside.is_empty()
    }

    /// `inside` or `outside`.
    pub fn word(&self) -> &'static str {
        if self.is_inside() { "inside" } else { "outside" }
    }

    /// All that lies outside, in words; empty where nothing does.
    pub fn why(&self) -> String {
        let each = self.outside.iter().map(|outside| match &outside.channel {
            Some(channel) => format!("{channel}: {}", outside.why),
            None => outside.why.clone(),
        });
        each.collect::<Vec<_>>().join("; ")
    }
}

impl Envelope {
    /// Where what was looked at lies.
    pub(super) fn judge(&self, look: &Look) -> Placing {
        let mut outside = Vec::new();
        let mut say = |channel: Option<&ChannelEnvelope>, why: String| {
            outside.push(Outside { channel: channel.map(|channel| channel.name.clone()), why });
        };
        let nothing = look.channels.iter().all(|channel| channel.count == 0);
        if nothing {
            say(None, "nothing was observed".to_owned());
        }
        if let Some(end) = beyond(look.steps as f64, self.steps) {
            let [low, high] = self.steps;
            say(None, format!("{} steps than in training ({low:.0} to {high:.0})", end.of_count()));
        }
        if !nothing && look.missing > self.missing[1] + SLACK {
            let most = 100.0 * self.missing[1];
            say(None, format!("more is missing than in training (up to {most:.1} %)"));
        }
        if let (Some(found), Some(ends)) = (look.interval, self.interval_hours)
            && let Some(end) = beyond(found, ends)
        {
            let [low, high] = ends.map(short);
            say(
                None,
                format!(
                    "steps lie {} apart than in training ({low} to {high} h)",
                    end.of_distance()
                ),
            );
        }
        for (found, known) in look.channels.iter().zip(&self.channels) {
            if found.count == 0 {
                if known.absent < RARELY && known.middle.is_some() && !nothing {
                    let absent = 100.0 * known.absent;
                    say(Some(known), format!("not observed, as in {absent:.1} % of training"));
                }
                continue;
            }
            let Some(middle) = known.middle else {
                say(Some(known), "never observed in training".to_owned());
                continue;
            };
            if let Some(end) = beyond(found.middle, middle) {
                let [low, high] = middle.map(short);
                let unit = if known.unit.is_empty() { "" } else { &format!(" {}", known.unit) };
                say(
                    Some(known),
                    format!("{} than in training ({low} to {high}{unit})", end.of_value()),
                );
            }
            // One or two observations of a short sequence are no rate.
            if found.count > 2 && found.share > known.observed[1] + SLACK {
                let most = 100.0 * known.observed[1];
                say(
                    Some(known),
                    format!("observed more often than in training (up to {most:.1} % of steps)"),
                );
            }
        }
        Placing { missing: look.missing, outside }
    }
}

/// Which end a number lies beyond.
#[derive(Clone, Copy)]
enum End {
    Low,
    High,
}

impl End {
    fn of_value(self) -> &'static str {
        match self {
            Self::Low => "lower",
            Self::High => "higher",
        }
    }

    fn of_count(self) -> &'static str {
        match self {
            Self::Low => "fewer",
            Self::High => "more",
        }
    }

    fn of_distance(self) -> &'static str {
        match self {
            Self::Low => "less far",
            Self::High => "farther",
        }
    }
}

/// The end that a number lies beyond, but for a hundredth of what lies between the ends.
fn beyond(value: f64, ends: [f64; 2]) -> Option<End> {
    let [low, high] = limits(ends);
    if value < low {
        Some(End::Low)
    } else if value > high {
        Some(End::High)
    } else {
        None
    }
}

/// The lowest and the highest number that do not lie beyond.
pub(super) fn limits([low, high]: [f64; 2]) -> [f64; 2] {
    let room = 0.01 * (high - low) + 1e-6 * high.abs().max(low.abs());
    [low - room, high + room]
}

/// Four significant digits at most.
fn short(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A channel that so few lack is asked for.
pub(super) const RARELY: f64 = 0.01;
/// What a share may lie above its end.
pub(super) const SLACK: f64 = 0.005;
