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
        let mut text = String::new();
        for outside in &self.outside {
            if !text.is_empty() {
                text.push_str("; ");
            }
            if let Some(channel) = &outside.channel {
                text.push_str(channel);
                text.push_str(": ");
            }
            text.push_str(&outside.why);
        }
        text
    }
}

/// One thing that lies outside, before it is put into words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    Nothing,
    Steps(End),
    MoreMissing,
    Distance(End),
    /// Of a channel, by its place.
    Channel(usize, ChannelReason),
}

/// What is the matter with a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChannelReason {
    Absent,
    Unknown,
    Value(End),
    Often,
}

impl Envelope {
    /// Where what was looked at lies.
    pub(super) fn judge(&self, look: &Look) -> Placing {
        let mut outside = Vec::new();
        self.reasons(look, |reason| outside.push(self.tell(reason)));
        Placing { missing: look.missing, outside }
    }

    /// Says each reason why what was looked at lies outside.
    pub(super) fn reasons(&self, look: &Look, mut say: impl FnMut(Reason)) {
        let nothing = look.channels.iter().all(|channel| channel.count == 0);
        if nothing {
            say(Reason::Nothing);
        }
        if let Some(end) = beyond(look.steps as f64, self.steps) {
            say(Reason::Steps(end));
        }
        if !nothing && look.missing > self.missing[1] + SLACK {
            say(Reason::MoreMissing);
        }
        if let (Some(found), Some(ends)) = (look.interval, self.interval_hours)
            && let Some(end) = beyond(found, ends)
        {
            say(Reason::Distance(end));
        }
        for (at, (found, known)) in look.channels.iter().zip(&self.channels).enumerate() {
            let mut say = |reason| say(Reason::Channel(at, reason));
            if found.count == 0 {
                if known.absent < RARELY && known.middle.is_some() && !nothing {
                    say(ChannelReason::Absent);
                }
                continue;
            }
            let Some(middle) = known.middle else {
                say(ChannelReason::Unknown);
                continue;
            };
            if let Some(end) = beyond(found.middle, middle) {
                say(ChannelReason::Value(end));
            }
            // One or two observations of a short sequence are no rate.
            if found.count > 2 && found.share > known.observed[1] + SLACK {
                say(ChannelReason::Often);
            }
        }
    }

    /// A reason in words, without a value of the sequence.
    pub(super) fn tell(&self, reason: Reason) -> Outside {
        let why = match reason {
            Reason::Nothing => "nothing was observed".to_owned(),
            Reason::Steps(end) => {
                let [low, high] = self.steps;
                format!("{} steps than in training ({low:.0} to {high:.0})", end.of_count())
            }
            Reason::MoreMissing => {
                let most = 100.0 * self.missing[1];
                format!("more is missing than in training (up to {most:.1} %)")
            }
            Reason::Distance(end) => {
                let [low, high] = self.interval_hours.unwrap_or_default().map(short);
                let apart = end.of_distance();
                format!("steps lie {apart} apart than in training ({low} to {high} h)")
            }
            Reason::Channel(at, reason) => {
                let known = &self.channels[at];
                return Outside { channel: Some(known.name.clone()), why: known.tell(reason) };
            }
        };
        Outside { channel: None, why }
    }
}

impl ChannelEnvelope {
    fn tell(&self, reason: ChannelReason) -> String {
        match reason {
            ChannelReason::Absent => {
                format!("not observed, as in {:.1} % of training", 100.0 * self.absent)
            }
            ChannelReason::Unknown => "never observed in training".to_owned(),
            ChannelReason::Value(end) => {
                let [low, high] = self.middle.unwrap_or_default().map(short);
                let unit = if self.unit.is_empty() { "" } else { &format!(" {}", self.unit) };
                format!("{} than in training ({low} to {high}{unit})", end.of_value())
            }
            ChannelReason::Often => {
                let most = 100.0 * self.observed[1];
                format!("observed more often than in training (up to {most:.1} % of steps)")
            }
        }
    }
}

/// Which end a number lies beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
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
