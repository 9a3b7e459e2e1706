//! CSV series to cohorts.

use std::path::Path;

use sequela_core::{Channel, Limits, Schema, Sequence, SubjectId};
use sequela_formats::csv::{SeriesColumns, SeriesTable, read_series};

use crate::{Cohort, Error};

/// The cohort of a CSV file (plain or gzip), one sequence for each subject.
///
/// A table without a subject column is one subject, called like the file.
///
/// **Missing data** missing cells are masked and counted in a note.
///
/// # Errors
/// Those of [`read_series`].
pub fn series(path: &Path, columns: &SeriesColumns, limits: &Limits) -> Result<Cohort, Error> {
    series_of(read_series(path, columns, limits)?, path)
}

/// The cohort of a table that was read already; `name` stands for its file.
///
/// # Errors
/// [`Error::Sequence`] where a series breaks the rules of sequences.
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_formats::csv::{SeriesColumns, parse_series};
/// let columns = SeriesColumns::values([("hr", "bpm")]).with_subject("who");
/// let table =
///     parse_series(b"who,hr\na,70\nb,80\na,71\n", "w.csv".as_ref(), &columns, &Limits::default())?;
/// let cohort = sequela_data::load::series_of(table, "w.csv".as_ref())?;
/// assert_eq!((cohort.len(), cohort.steps()), (2, 3));
/// # Ok::<(), sequela_data::Error>(())
/// ```
pub fn series_of(table: SeriesTable, name: &Path) -> Result<Cohort, Error> {
    let channels: Vec<Channel> = table
        .columns
        .into_iter()
        .map(|column| Channel { name: column.name, unit: column.unit })
        .collect();
    let features = channels.len();
    let stem = name.file_stem().map_or_else(|| "series".into(), |stem| stem.to_string_lossy());
    let mut missing = 0;
    let mut sequences = Vec::with_capacity(table.series.len());
    for series in table.series {
        let id = series.subject.unwrap_or_else(|| stem.to_string());
        missing += series.missing;
        let sequence = Sequence::numeric(&id, SubjectId::new(&id), features, &series.values)?;
        sequences.push(match series.times {
            Some(times) => sequence.with_times(times)?,
            None => sequence,
        });
    }
    let cohort = Cohort::new(Schema::new(channels), sequences, name.display().to_string())?;
    Ok(if missing > 0 { cohort.with_note(format!("{missing} cells are missing")) } else { cohort })
}
