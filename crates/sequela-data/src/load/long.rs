//! Long tables to cohorts.

use std::path::Path;

use sequela_core::{Channel, Limits, Schema};
use sequela_formats::csv::{LongColumns, LongTable, read_long};

use super::events::{Event, Maker, Timing};
use crate::gaps::check_hours;
use crate::{Cohort, Error};

/// The cohort of a long table (one row for each measurement, plain or gzip), one sequence for each
/// subject; a step is a time at which anything was measured or, with `every_hours`, a step of a
/// grid from the first of them.
///
/// **Missing data** what was not measured at a step. Values of one channel and time become their
/// mean, and are counted in a note, as are rows that measure something else. **Cost** beside the
/// measurements (16 bytes each) the dense values, 5 bytes for each channel and step: with many
/// channels and times of their own give a grid.
///
/// # Errors
/// Those of [`read_long`]; [`Error::Unfit`] where a grid would have more than `limits.steps`
/// steps; [`Error::Request`] for a step that is not positive.
pub fn long(
    path: &Path,
    columns: &LongColumns,
    every_hours: Option<f64>,
    limits: &Limits,
) -> Result<Cohort, Error> {
    if let Some(every) = every_hours {
        check_hours("data.every_seconds", every)?;
    }
    let LongTable { series, units, others, missing } = read_long(path, columns, limits)?;
    let mut maker = Maker::new(columns.channels.len(), Timing { every_hours, origin: None });
    let mut sequences = Vec::with_capacity(series.len());
    let mut events = Vec::new();
    for series in series {
        events.clear();
        events.extend(series.readings.iter().map(|reading| Event {
            hours: reading.hours,
            channel: reading.channel as usize,
            value: f64::from(reading.value),
        }));
        sequences.push(maker.sequence(&series.subject, &events, limits)?);
    }
    let names = columns.channels.iter().map(|channel| channel.name.clone());
    let channels = names.zip(units).map(|(name, unit)| Channel { name, unit });
    let cohort =
        Cohort::new(Schema::new(channels.collect()), sequences, path.display().to_string())?;
    let notes = [
        (others, "rows measure something else"),
        (missing, "rows have no result"),
        (if every_hours.is_none() { maker.together } else { 0 }, "values of one time became means"),
    ];
    let counted = notes.into_iter().filter(|(count, _)| *count > 0);
    Ok(counted.fold(cohort, |cohort, (count, what)| cohort.with_note(format!("{count} {what}"))))
}
