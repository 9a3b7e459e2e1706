//! Long silences in a record, and how long ago each channel was seen.

use sequela_core::{Location, Sequence};

use crate::cohort::slice;
use crate::scaling::numeric;
use crate::{Cohort, Error};

/// The unbroken stretches of a sequence, as ranges of steps: two steps belong to one stretch
/// where not more than `longest_hours` lie between them. A sequence without times is one stretch.
///
/// # Example
/// ```
/// use sequela_core::{Sequence, SubjectId};
/// use sequela_data::gaps::stretches;
/// let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[1.0, 2.0, 3.0])?
///     .with_times(vec![0.0, 0.1, 5.0])?;
/// assert_eq!(stretches(&sequence, 1.0), [0..2, 2..3]);
/// # Ok::<(), sequela_core::Error>(())
/// ```
pub fn stretches(sequence: &Sequence, longest_hours: f64) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    if let Some(times) = &sequence.times {
        for (index, pair) in times.windows(2).enumerate() {
            if pair[1] - pair[0] > longest_hours {
                ranges.push(start..index + 1);
                start = index + 1;
            }
        }
    }
    if start < sequence.len() {
        ranges.push(start..sequence.len());
    }
    ranges
}

/// The cohort with every sequence cut where more than `longest_hours` pass without a step.
///
/// The pieces of a sequence `a` are called `a#1`, `a#2` ... and keep their subject; a sequence
/// without such a gap keeps its name.
///
/// # Errors
/// [`Error::Request`] where `longest_hours` is not positive.
pub fn cut_at_gaps(cohort: &Cohort, longest_hours: f64) -> Result<Cohort, Error> {
    check_hours("longest_gap_hours", longest_hours)?;
    let mut sequences = Vec::new();
    for sequence in cohort.sequences() {
        let ranges = stretches(sequence, longest_hours);
        if ranges.len() < 2 {
            sequences.push(sequence.clone());
            continue;
        }
        for (index, range) in ranges.into_iter().enumerate() {
            let mut piece = slice(sequence, range);
            piece.id = format!("{}#{}", sequence.id, index + 1);
            sequences.push(piece);
        }
    }
    Cohort::new(cohort.schema().clone(), sequences, cohort.source())
        .map(|cut| cohort.notes().iter().fold(cut, |cut, note| cut.with_note(note.as_str())))
}

/// Hours since each channel was last observed before each step, `(T, F)` row by row: the "time
/// gap" of models that let old values fade.
///
/// At the first step 0; a channel never seen before counts from the first step. Without times
/// every step counts as one hour.
///
/// **Source** Che et al., "Recurrent neural networks for multivariate time series with missing
/// values", Scientific Reports 8 (2018) 6085, equation 3.
///
/// # Errors
/// [`Error::Unfit`] where the sequence is not numeric.
pub fn hours_since_observed(sequence: &Sequence) -> Result<Vec<f32>, Error> {
    let Some((_, observed, features)) = numeric(sequence) else {
        return Err(Error::unfit(
            Location::default().field(sequence.id.as_str()),
            "the sequence holds symbols, not numbers",
            "take time gaps of numeric sequences only",
        ));
    };
    let mut since = vec![0.0_f64; features];
    let mut gaps = Vec::with_capacity(observed.len());
    for step in 0..sequence.len() {
        for (channel, since) in since.iter_mut().enumerate() {
            if step > 0 {
                let passed = sequence.times.as_ref().map_or(1.0, |t| t[step] - t[step - 1]);
                let seen_before = observed[(step - 1) * features + channel];
                *since = if seen_before { passed } else { *since + passed };
            }
            #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
            gaps.push(*since as f32);
        }
    }
    Ok(gaps)
}

pub(crate) fn check_hours(field: &'static str, hours: f64) -> Result<(), Error> {
    if hours > 0.0 && hours.is_finite() {
        Ok(())
    } else {
        Err(Error::request(field, "the duration is not a positive number", "give it in hours"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Channel, Schema, SubjectId};

    fn sequence() -> Sequence {
        let nan = f32::NAN;
        Sequence::numeric("a", SubjectId::new("p"), 2, &[1.0, nan, nan, 2.0, nan, nan, 3.0, nan])
            .unwrap()
            .with_times(vec![0.0, 0.5, 2.0, 9.0])
            .unwrap()
    }

    #[test]
    fn pieces_keep_subject_and_values() {
        let channel = |name: &str| Channel { name: name.into(), unit: String::new() };
        let schema = Schema::new(vec![channel("x"), channel("y")]);
        let cohort = Cohort::new(schema, vec![sequence()], "t").unwrap();
        let cut = cut_at_gaps(&cohort, 2.0).unwrap();
        let names: Vec<&str> = cut.sequences().iter().map(|s| s.id.as_str()).collect();
        assert_eq!(names, ["a#1", "a#2"]);
        assert_eq!((cut.steps(), cut.subjects().len()), (4, 1));
        assert_eq!(cut_at_gaps(&cohort, 24.0).unwrap().sequences()[0].id, "a");
        assert!(cut_at_gaps(&cohort, 0.0).is_err());
        assert!(cut_at_gaps(&cohort, f64::NAN).is_err());
    }

    #[test]
    fn time_gaps_grow_until_a_channel_is_seen() {
        let gaps = hours_since_observed(&sequence()).unwrap();
        assert_eq!(gaps, [0.0, 0.0, 0.5, 0.5, 2.0, 1.5, 9.0, 8.5]);
    }
}
