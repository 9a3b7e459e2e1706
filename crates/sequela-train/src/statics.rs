//! Channels that do not change: what is known of somebody, beside what was measured of them.
//!
//! A static is taken out of the steps and fed once for each series, beside what the network makes of
//! its steps: its first observed value, scaled as ever, and whether there was one (1 or 0). One that
//! was never observed is 0, the middle of those trained on. Which channels are statics is said by the
//! study (`window.statics`); that they do not change is looked at where the encoder is fitted.

use std::ops::Range;

use sequela_core::{Location, Steps};
use sequela_data::Cohort;

use crate::Error;
use crate::encode::Encoder;
use crate::series::Series;
use crate::study::{Study, TargetKind, nearest};

/// Numbers that are fed of each static: its value, and whether there is one.
pub(crate) const EACH: usize = 2;

/// The positions of a study's statics among the channels of its training part.
///
/// # Errors
/// [`Error::Study`] for a name that is no channel, one that changes within a series, and where no
/// channel is left for the steps.
pub(crate) fn positions(study: &Study, train: &Cohort) -> Result<Vec<usize>, Error> {
    let wanted = &study.window.statics;
    let names: Vec<&str> = train.schema().channels().iter().map(|c| c.name.as_str()).collect();
    let refuse = |at: usize, what: String, hint: String| Error::Study {
        location: Location::file("study").field(format!("window.statics[{at}]")).into(),
        what,
        hint,
    };
    let mut found = Vec::with_capacity(wanted.len());
    for (at, name) in wanted.iter().enumerate() {
        let Some(channel) = names.iter().position(|known| known == name) else {
            let what = format!("there is no channel {name}");
            return Err(refuse(at, what, nearest::hint(name, &names)));
        };
        let changing = train.sequences().iter().filter(|s| changes(&s.steps, channel)).count();
        if changing > 0 {
            return Err(refuse(
                at,
                format!(
                    "{name} changes within {changing} of {} series of the training part",
                    train.len()
                ),
                "leave it out: it belongs to the steps".into(),
            ));
        }
        found.push(channel);
    }
    if !found.is_empty() && found.len() == names.len() {
        return Err(refuse(
            0,
            "no channel is left that changes".into(),
            "name only what does not change".into(),
        ));
    }
    Ok(found)
}

/// Whether a channel has two different values.
fn changes(steps: &Steps, channel: usize) -> bool {
    let Steps::Numeric { values, observed, features } = steps else { return false };
    let column = values.iter().zip(observed).skip(channel).step_by(*features);
    let mut seen = column.filter(|(_, seen)| **seen).map(|(value, _)| value.to_bits());
    let first = seen.next();
    seen.any(|value| Some(value) != first)
}

impl Encoder {
    /// Numbers that are fed once for each series.
    pub(crate) fn static_width(&self) -> usize {
        EACH * self.statics.len()
    }

    /// Channels that are fed at each step.
    pub(crate) fn moving(&self) -> usize {
        self.scaler.channels.len().saturating_sub(self.statics.len())
    }

    /// Whether a channel is fed at each step.
    pub(crate) fn moves(&self, channel: usize) -> bool {
        !self.statics.contains(&channel)
    }

    /// Appends what is fed once of a series, of which these steps are looked at.
    pub(crate) fn still(&self, series: &Series, steps: Range<usize>, out: &mut Vec<f32>) {
        for &channel in &self.statics {
            let seen = steps
                .clone()
                .find(|step| series.seen[step * series.features + channel] as usize == *step);
            let value = seen.map(|step| series.scaled[step * series.features + channel]);
            out.push(value.map_or(0.0, |value| self.believed(value)));
            out.push(f32::from(u8::from(value.is_some())));
        }
    }

    /// What is wrong with an encoder that was read from a file with its study.
    pub(crate) fn fault(&self, study: &Study) -> Option<&'static str> {
        let window = &study.window;
        let same = self.length == window.length
            && self.horizons == window.horizons
            && self.output == window.target
            && self.inputs == window.inputs
            && self.missing == window.missing
            && self.indicators == study.indicators()
            && self.summaries == window.summaries
            && self.clip == window.clip
            && self.statics.len() == window.statics.len()
            && self.longest_gap_hours == window.longest_gap_hours;
        let sound = |value: f64| value.is_finite() && value > 0.0;
        let changes = if self.output == TargetKind::Value { 0 } else { self.horizons.len() };
        if !same {
            Some("its encoder is not that of its study")
        } else if self.changes.len() != changes || !self.changes.iter().all(|&c| sound(c)) {
            Some("there is not one change for each horizon")
        } else {
            self.static_fault()
        }
    }

    /// What is wrong with its statics.
    pub(crate) fn static_fault(&self) -> Option<&'static str> {
        let channels = self.scaler.channels.len();
        let twice = |at: usize| self.statics[..at].contains(&self.statics[at]);
        let strange = |at: usize| self.statics[at] >= channels || twice(at);
        let all = !self.statics.is_empty() && self.statics.len() >= channels;
        (all || (0..self.statics.len()).any(strange)).then_some("its statics are no channels of it")
    }
}
