//! What the training part looked like, and whether another sequence lies within it.
//!
//! For each channel: where the middle (median) of a sequence lay, how often it was measured, and
//! how many sequences had none of it; for all together how long sequences were and how far their
//! steps lay apart. Where windows are forecast from, all this is of windows; where each step is
//! answered, it is also of what sequences looked like so far. A unit that was
//! mistaken, a rate that was mislabelled or a channel that was lost moves these far, however the
//! model's own answer looks.
//!
//! Ends are the 0.1st and 99.9th percentile over the training sequences, not the extremes: a few
//! artefacts must not widen them. They are values of people all the same: where few training sequences have a channel, the ends are
//! those of one of them, without a name. This is no test for new
//! diseases or new people: a score of such strangeness is not promised, because published ones are
//! not reliable on records of patients (arXiv 2109.14885).
//!
//! **Missing data** is what half of it is about; nothing observed is always outside.

mod look;
mod placing;
mod rolling;
mod so_far;

use std::ops::Range;

use sequela_core::{Sequence, quantile};
use serde::{Deserialize, Serialize};

use crate::Cohort;
use crate::cohort::slice;

use self::look::Look;

pub use self::placing::{Outside, Placing};
pub use self::rolling::{Rolling, RollingMemory};

/// What the sequences of a training part looked like.
///
/// # Example
/// ```
/// use sequela_core::{Channel, Schema, Sequence, SubjectId};
/// use sequela_data::{Cohort, envelope::Envelope};
/// let schema = Schema::new(vec![Channel { name: "temperature".into(), unit: "C".into() }]);
/// let of = |who: &str, degrees: f32| Sequence::numeric(who, SubjectId::new(who), 1, &[degrees; 4]);
/// let train = Cohort::new(schema, vec![of("a", 36.4)?, of("b", 38.9)?], "by hand")?;
/// let envelope = Envelope::of(&train);
/// assert!(envelope.place(&of("c", 37.2)?).is_inside());
/// let fahrenheit = envelope.place(&of("d", 99.0)?);
/// assert_eq!(fahrenheit.outside[0].channel.as_deref(), Some("temperature"));
/// # Ok::<(), sequela_data::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Sequences that it was measured on.
    pub sequences: usize,
    /// Ends of the number of steps.
    pub steps: [f64; 2],
    /// Ends of the share of cells that are missing.
    pub missing: [f64; 2],
    /// Ends of the middle time between two steps, in hours, where there are times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_hours: Option<[f64; 2]>,
    /// One for each channel, in the order of the schema.
    pub channels: Vec<ChannelEnvelope>,
    /// What sequences looked like up to one of their first steps, where each step is answered:
    /// after 1 step, 2 to 3, 4 to 7 and so on, the last of them for all that come later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub so_far: Vec<Envelope>,
}

/// What one channel looked like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChannelEnvelope {
    /// Its name.
    pub name: String,
    /// Its unit; empty where it is not known.
    pub unit: String,
    /// Ends of the middle value of a sequence, in the unit; none where it was never observed.
    pub middle: Option<[f64; 2]>,
    /// Ends of the share of steps at which it was observed, of sequences that have it.
    pub observed: [f64; 2],
    /// Share of sequences that have none of it.
    pub absent: f64,
    /// Share of all cells that are missing.
    pub missing: f64,
}

impl Envelope {
    /// The envelope of a training part.
    ///
    /// **Cost** a sort of the values of each sequence and channel.
    pub fn of(train: &Cohort) -> Self {
        Self::of_looks(train, &train.sequences().iter().filter_map(Look::of).collect::<Vec<_>>())
    }

    /// The envelope of windows of so many steps, side by side in a training part; of a longer part
    /// every n-th, so that [`MOST_WINDOWS`] are looked at and no more. Sequences that are shorter
    /// have none.
    ///
    /// **Cost** a sort of the values of each window and channel.
    pub fn of_windows(train: &Cohort, length: usize) -> Self {
        let length = length.max(1);
        let all: usize = train.sequences().iter().map(|sequence| sequence.len() / length).sum();
        let stride = length * all.div_ceil(MOST_WINDOWS).max(1);
        let looks = train.sequences().iter().flat_map(|sequence| {
            let starts = (0..(sequence.len() + 1).saturating_sub(length)).step_by(stride);
            starts.filter_map(|start| Look::of(&slice(sequence, start..start + length)))
        });
        Self::of_looks(train, &looks.collect::<Vec<_>>())
    }

    fn of_looks(train: &Cohort, looks: &[Look]) -> Self {
        let ends_of = |values: Vec<f64>| ends(values).unwrap_or([0.0, 0.0]);
        let channels = train.schema().channels().iter().enumerate().map(|(at, channel)| {
            let of_channel = || looks.iter().filter_map(move |look| look.channels.get(at));
            let present = || of_channel().filter(|look| look.count > 0);
            let cells: usize = looks.iter().map(|look| look.steps).sum();
            let seen: usize = of_channel().map(|look| look.count).sum();
            let all = looks.len().max(1) as f64;
            ChannelEnvelope {
                name: channel.name.clone(),
                unit: channel.unit.clone(),
                middle: ends(present().map(|look| look.middle).collect()),
                observed: ends_of(present().map(|look| look.share).collect()),
                absent: 1.0 - present().count() as f64 / all,
                missing: 1.0 - seen as f64 / cells.max(1) as f64,
            }
        });
        Self {
            sequences: looks.len(),
            steps: ends_of(looks.iter().map(|look| look.steps as f64).collect()),
            missing: ends_of(looks.iter().map(|look| look.missing).collect()),
            interval_hours: ends(looks.iter().filter_map(|look| look.interval).collect()),
            channels: channels.collect(),
            so_far: Vec::new(),
        }
    }

    /// Where one window of a sequence lies, by an envelope of windows.
    ///
    /// **Missing data** as [`Envelope::place`].
    pub fn place_window(&self, sequence: &Sequence, window: Range<usize>) -> Placing {
        let end = window.end.min(sequence.len());
        self.place(&slice(sequence, window.start.min(end)..end))
    }

    /// Where a sequence of the same channels lies.
    ///
    /// **Missing data** a sequence with nothing observed is outside, and so is one without a
    /// channel that fewer than one in a hundred training sequences lack.
    pub fn place(&self, sequence: &Sequence) -> Placing {
        let Some(look) = Look::of(sequence) else {
            let why = "it has no step".to_owned();
            return Placing { missing: 1.0, outside: vec![Outside { channel: None, why }] };
        };
        self.judge(&look)
    }

    /// Whether the numbers of a file can be used, for channels of these names.
    pub fn is_sound(&self, names: &[String]) -> bool {
        let ordered = |ends: &[f64; 2]| ends[0] <= ends[1];
        self.channels.len() == names.len()
            && self.channels.iter().zip(names).all(|(channel, name)| {
                channel.name == *name
                    && channel.middle.as_ref().is_none_or(ordered)
                    && ordered(&channel.observed)
                    && (0.0..=1.0).contains(&channel.absent)
                    && (0.0..=1.0).contains(&channel.missing)
            })
            && ordered(&self.steps)
            && ordered(&self.missing)
            && self.interval_hours.as_ref().is_none_or(ordered)
            && self.so_far.len() <= so_far::MOST_BANDS
            && self.so_far.iter().all(|band| band.so_far.is_empty() && band.is_sound(names))
    }
}

/// Windows of a training part that are looked at, and of one number of steps so far the sequences.
pub const MOST_WINDOWS: usize = 20_000;

/// The 0.1st and 99.9th percentile.
fn ends(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_unstable_by(f64::total_cmp);
    Some([quantile(&values, TAIL)?, quantile(&values, 1.0 - TAIL)?])
}

/// Share of sequences beyond each end.
const TAIL: f64 = 0.001;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Channel, Schema, SubjectId};

    fn ward() -> (Cohort, Envelope) {
        let units = [("temperature", "C"), ("glucose", "mg/dL"), ("lactate", "mmol/L")];
        let channels = units.map(|(name, unit)| Channel { name: name.into(), unit: unit.into() });
        let sequences = (0..200_u16).map(|n| stay(n, |row| row)).collect();
        let cohort = Cohort::new(Schema::new(channels.to_vec()), sequences, "made").unwrap();
        let envelope = Envelope::of(&cohort);
        (cohort, envelope)
    }

    /// Twelve hours; lactate in every fourth stay only.
    fn stay(n: u16, change: impl Fn([f32; 3]) -> [f32; 3]) -> Sequence {
        let spread = f32::from(n % 40) / 10.0;
        let lactate = if n.is_multiple_of(4) { 1.0 + spread } else { f32::NAN };
        let rows: Vec<f32> = (0..12_u8)
            .flat_map(|hour| {
                let wave = f32::from(hour % 3) / 10.0;
                change([35.5 + spread + wave, 80.0 + 30.0 * spread + wave, lactate])
            })
            .collect();
        let sequence =
            Sequence::numeric(format!("s{n}"), SubjectId::new(format!("p{n}")), 3, &rows).unwrap();
        let hours = (0..12).map(f64::from).collect();
        sequence.with_times(hours).unwrap()
    }

    fn why(envelope: &Envelope, sequence: &Sequence) -> String {
        envelope.place(sequence).why()
    }

    #[test]
    fn mistaken_units_are_outside_and_the_training_part_is_inside() {
        let (cohort, envelope) = ward();
        let inside = cohort.sequences().iter().filter(|s| envelope.place(s).is_inside()).count();
        assert!(inside >= 196, "{inside}");
        let fahrenheit = stay(7, |[t, g, l]| [t * 1.8 + 32.0, g, l]);
        assert!(
            why(&envelope, &fahrenheit)
                .starts_with("temperature: higher than in training (35.6 to")
        );
        let mmol = stay(7, |[t, g, l]| [t, g / 18.0, l]);
        assert!(why(&envelope, &mmol).starts_with("glucose: lower than in training (80.1 to"));
        assert!(why(&envelope, &mmol).ends_with("mg/dL)"));
    }

    #[test]
    fn lost_channels_times_and_lengths_are_told() {
        let (_, envelope) = ward();
        let lost = stay(8, |[t, _, l]| [t, f32::NAN, l]);
        let text = why(&envelope, &lost);
        assert!(text.contains("glucose: not observed, as in 0.0 % of training"), "{text}");
        let nothing = stay(8, |_| [f32::NAN; 3]);
        assert_eq!(why(&envelope, &nothing), "nothing was observed");
        assert!((envelope.place(&nothing).missing - 1.0).abs() < 1e-12);
        let half = stay(8, |row| row).with_times((0..12).map(|k| f64::from(k) / 2.0).collect());
        let text = why(&envelope, &half.unwrap());
        assert_eq!(text, "steps lie less far apart than in training (1 to 1 h)");
        let two = Sequence::numeric("x", SubjectId::new("x"), 3, &[37.0, 110.0, 2.0].repeat(30));
        assert!(
            why(&envelope, &two.unwrap()).starts_with("more steps than in training (12 to 12)")
        );
    }

    #[test]
    fn numbers_of_a_changed_file_are_looked_at() {
        let (cohort, envelope) = ward();
        let names: Vec<String> =
            cohort.schema().channels().iter().map(|channel| channel.name.clone()).collect();
        assert!(envelope.is_sound(&names) && !envelope.is_sound(&names[1..]));
        let mut bad = envelope.clone();
        bad.steps = [3.0, 2.0];
        assert!(!bad.is_sound(&names));
        bad = envelope;
        bad.channels[1].middle = Some([f64::NAN, 2.0]);
        assert!(!bad.is_sound(&names));
    }
}
