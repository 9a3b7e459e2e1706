//! Intervals between beats, and beat annotations, to heart rates.

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location, Sequence, SubjectId};
use sequela_formats::npy::read_array;
use sequela_formats::wfdb::{Record, read_records};
use serde::{Deserialize, Serialize};

use super::Subjects;
use crate::heart_rate::{self, Beat, BeatCounts, BeatOptions};
use crate::{Cohort, Error};

/// The heart rate of one subject from an `.npy` array of intervals in milliseconds.
///
/// **Shapes** the array is `(T)` or `(T, 1)`. **Units** bpm, hours from the first beat.
///
/// # Errors
/// Those of reading; [`Error::Unfit`] for several columns, no interval, or intervals that are
/// seconds by their size.
pub fn intervals(path: &Path, options: &BeatOptions, limits: &Limits) -> Result<Cohort, Error> {
    let array = read_array(path, limits)?;
    let place = || Location::file(path);
    if array.shape.get(1).is_some_and(|&columns| columns != 1) {
        return Err(Error::unfit(
            place(),
            "the array has several columns",
            "save the intervals as one column",
        ));
    }
    let mut sorted: Vec<f64> = array.values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    match sorted.get(sorted.len() / 2) {
        None => Err(Error::unfit(place(), "there is no interval", "give it at least one")),
        Some(&median) if (0.0..10.0).contains(&median) => Err(Error::unfit(
            place(),
            "the intervals are seconds by their size",
            "save them in milliseconds",
        )),
        Some(_) => {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let subject = SubjectId::new(stem.as_ref());
            let (sequence, counts) =
                heart_rate::from_intervals(stem.as_ref(), subject, &array.values, options)?;
            let source = path.display().to_string();
            Ok(Cohort::new(heart_rate::schema(), vec![sequence], source)?
                .with_note(counts.note(options)))
        }
    }
}

/// How annotated records become heart rates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnnotatedBeats {
    /// Extension of the annotation files.
    pub annotator: String,
    /// Whose records they are.
    pub subjects: Subjects,
    /// How beats become rates.
    pub beats: BeatOptions,
}

impl Default for AnnotatedBeats {
    fn default() -> Self {
        Self {
            annotator: "atr".to_owned(),
            subjects: Subjects::Records,
            beats: BeatOptions::default(),
        }
    }
}

/// The heart rates of the annotated records in these folders or archives, one sequence for each
/// record, sorted by name within each path.
///
/// Beats are the beat annotations of the WFDB table, see
/// [`Code::is_beat`](sequela_formats::wfdb::Code::is_beat). Records without annotations or with
/// fewer than two beats are left out, with a note.
///
/// **Units** bpm, hours from the start of each record. **Missing data** see [`heart_rate`].
///
/// # Errors
/// Those of reading; [`Error::Unfit`] where no record has two beats.
pub fn annotated_beats(
    paths: &[PathBuf],
    options: &AnnotatedBeats,
    limits: &Limits,
) -> Result<Cohort, Error> {
    let mut sequences = Vec::new();
    let mut total = BeatCounts::default();
    let mut left_out = 0_usize;
    for path in paths {
        for record in read_records(path, &options.annotator, limits)? {
            match heart_rate_of(&record, options)? {
                Some((sequence, counts)) => {
                    total = total.plus(counts);
                    sequences.push(sequence);
                }
                None => left_out += 1,
            }
        }
    }
    let source = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
    if sequences.is_empty() {
        return Err(Error::unfit(
            paths.first().map_or_else(Location::default, Location::file),
            format!("no record has two beats annotated by {}", options.annotator),
            "name the extension of its annotation files",
        ));
    }
    let cohort =
        Cohort::new(heart_rate::schema(), sequences, source)?.with_note(total.note(&options.beats));
    Ok(if left_out > 0 {
        cohort.with_note(format!("{left_out} records have fewer than two annotated beats"))
    } else {
        cohort
    })
}

fn heart_rate_of(
    record: &Record,
    options: &AnnotatedBeats,
) -> Result<Option<(Sequence, BeatCounts)>, Error> {
    let Some(annotations) = &record.annotations else { return Ok(None) };
    let ticks = annotations.time_resolution.unwrap_or(record.header.sampling_frequency);
    let beats: Vec<Beat> = annotations
        .list
        .iter()
        .filter(|annotation| annotation.code.is_beat())
        .map(|annotation| Beat {
            seconds: annotation.sample as f64 / ticks,
            normal: annotation.code.is_normal_beat(),
        })
        .collect();
    if beats.len() < 2 {
        return Ok(None);
    }
    let subject = options.subjects.of(&record.name);
    heart_rate::from_beats(&record.name, subject, &beats, &options.beats).map(Some)
}
