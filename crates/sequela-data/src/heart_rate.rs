//! From beats to a heart rate: one step for each interval between two beats.
//!
//! Step `i` is the interval that ends at beat `i + 1`; its time is that of this beat, its value
//! `60 / RR` in bpm. An interval outside the physiological range (0.2 s to 3 s: 300 to 20 bpm)
//! is a missing value and is counted: a missed beat, a double detection, or a gap in the record.
//!
//! **Ectopic beats.** By default every beat counts: the rate jumps at a premature beat and drops
//! at the pause after it, as on a monitor, and a forecaster has to live with that. With
//! [`Ectopic::Mask`] an interval that begins or ends at a beat that is not normal (not
//! `N L R B`) is missing, which leaves the NN intervals of heart-rate-variability work.
//!
//! **Source** Task Force of the ESC and NASPE, "Heart rate variability: standards of
//! measurement, physiological interpretation and clinical use", Circulation 93 (1996) 1043.

use sequela_core::{Channel, Schema, Sequence, SubjectId};
use serde::{Deserialize, Serialize};

use crate::Error;

/// What to do with intervals beside beats that are not normal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ectopic {
    /// They count as any other.
    #[default]
    Keep,
    /// They are missing: only NN intervals stay.
    Mask,
}

/// How beats become a heart rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BeatOptions {
    /// Shorter intervals are missing, in seconds.
    pub shortest_seconds: f64,
    /// Longer intervals are missing, in seconds.
    pub longest_seconds: f64,
    /// What happens beside ectopic beats.
    pub ectopic: Ectopic,
}

impl Default for BeatOptions {
    fn default() -> Self {
        Self { shortest_seconds: 0.2, longest_seconds: 3.0, ectopic: Ectopic::Keep }
    }
}

/// One heart beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beat {
    /// Seconds from the start of the record.
    pub seconds: f64,
    /// Whether it is a normal beat.
    pub normal: bool,
}

/// How many intervals are missing, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BeatCounts {
    /// All intervals.
    pub intervals: u64,
    /// Missing because their length is outside the range.
    pub out_of_range: u64,
    /// Missing because they stand beside an ectopic beat.
    pub masked: u64,
}

impl BeatCounts {
    /// The counts of two sets together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            intervals: self.intervals + other.intervals,
            out_of_range: self.out_of_range + other.out_of_range,
            masked: self.masked + other.masked,
        }
    }

    /// One line about them.
    pub fn note(self, options: &BeatOptions) -> String {
        format!(
            "of {} intervals between beats {} are missing because they are outside {} to {} s, \
             {} because they stand beside an ectopic beat",
            self.intervals,
            self.out_of_range,
            options.shortest_seconds,
            options.longest_seconds,
            self.masked
        )
    }
}

/// The schema of a heart rate: one channel, `heart_rate` in `bpm`.
pub fn schema() -> Schema {
    Schema::new(vec![Channel { name: "heart_rate".to_owned(), unit: "bpm".to_owned() }])
}

/// The heart rate of a record, with the counts of its missing intervals.
///
/// **Units** bpm, times in hours from the start of the record. **Missing data** see the module.
/// **Cost** linear in the beats.
///
/// # Errors
/// [`Error::Sequence`] where the beats go backwards.
///
/// # Example
/// ```
/// use sequela_core::{SubjectId, Steps};
/// use sequela_data::heart_rate::{Beat, BeatOptions, from_beats};
/// let beats: Vec<Beat> =
///     [0.0, 1.0, 1.5, 9.0].map(|seconds| Beat { seconds, normal: true }).into();
/// let (sequence, counts) =
///     from_beats("r1", SubjectId::new("p1"), &beats, &BeatOptions::default())?;
/// let Steps::Numeric { values, observed, .. } = &sequence.steps else { unreachable!() };
/// assert_eq!((&values[..2], &observed[..]), (&[60.0, 120.0][..], &[true, true, false][..]));
/// assert_eq!(counts.out_of_range, 1);
/// # Ok::<(), sequela_data::Error>(())
/// ```
pub fn from_beats(
    id: impl Into<String>,
    subject: SubjectId,
    beats: &[Beat],
    options: &BeatOptions,
) -> Result<(Sequence, BeatCounts), Error> {
    let intervals = beats.windows(2).map(|pair| Interval {
        seconds: pair[1].seconds - pair[0].seconds,
        end: pair[1].seconds,
        normal: pair[0].normal && pair[1].normal,
    });
    sequence(id.into(), subject, intervals, options)
}

/// The heart rate of a list of intervals in milliseconds, the first beat being at time 0.
///
/// An interval that is not a positive number is missing and takes no time.
///
/// # Errors
/// As [`from_beats`].
pub fn from_intervals(
    id: impl Into<String>,
    subject: SubjectId,
    milliseconds: &[f64],
    options: &BeatOptions,
) -> Result<(Sequence, BeatCounts), Error> {
    let mut elapsed = 0.0;
    let intervals = milliseconds.iter().map(|&interval| {
        elapsed += if interval > 0.0 && interval.is_finite() { interval } else { 0.0 };
        Interval { seconds: interval / 1000.0, end: elapsed / 1000.0, normal: true }
    });
    sequence(id.into(), subject, intervals, options)
}

struct Interval {
    seconds: f64,
    end: f64,
    normal: bool,
}

fn sequence(
    id: String,
    subject: SubjectId,
    intervals: impl Iterator<Item = Interval>,
    options: &BeatOptions,
) -> Result<(Sequence, BeatCounts), Error> {
    let mut counts = BeatCounts::default();
    let (mut rates, mut times) = (Vec::new(), Vec::new());
    for interval in intervals {
        counts.intervals += 1;
        // NaN is in no range.
        let in_range =
            (options.shortest_seconds..=options.longest_seconds).contains(&interval.seconds);
        let kept = interval.normal || options.ectopic == Ectopic::Keep;
        counts.out_of_range += u64::from(!in_range);
        counts.masked += u64::from(in_range && !kept);
        #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
        let rate = (60.0 / interval.seconds) as f32;
        rates.push(if in_range && kept { rate } else { f32::NAN });
        times.push(interval.end / 3600.0);
    }
    Ok((Sequence::numeric(id, subject, 1, &rates)?.with_times(times)?, counts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Steps;

    #[test]
    fn intervals_beside_ectopic_beats_can_be_masked() {
        let beats: Vec<Beat> = [(0.0, true), (1.0, true), (1.6, false), (3.0, true), (4.0, true)]
            .map(|(seconds, normal)| Beat { seconds, normal })
            .into();
        let keep = BeatOptions::default();
        let mask = BeatOptions { ectopic: Ectopic::Mask, ..keep };
        let (all, _) = from_beats("a", SubjectId::new("p"), &beats, &keep).unwrap();
        let (normal, counts) = from_beats("a", SubjectId::new("p"), &beats, &mask).unwrap();
        assert_eq!((all.missing(), normal.missing(), counts.masked), (0, 2, 2));
        assert!(counts.note(&mask).contains("of 4 intervals"));
    }

    #[test]
    fn intervals_give_times_and_rates() {
        let milliseconds = [1000.0, 500.0, f64::NAN, -3.0, 1000.0];
        let options = BeatOptions::default();
        let (sequence, counts) =
            from_intervals("a", SubjectId::new("p"), &milliseconds, &options).unwrap();
        let Steps::Numeric { values, .. } = &sequence.steps else { unreachable!() };
        assert_eq!(*values, [60.0, 120.0, 0.0, 0.0, 60.0]);
        assert_eq!((sequence.missing(), counts.out_of_range), (2, 2));
        assert_eq!(sequence.times.unwrap()[4].to_bits(), (2.5_f64 / 3600.0).to_bits());
    }
}
