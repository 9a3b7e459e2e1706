//! Writing MEDS.

use crate::parquet::{ColumnData, write_table};

/// An event that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent<'a> {
    /// The subject.
    pub subject: i64,
    /// Microseconds since 1970; `None` for what does not change.
    pub time: Option<i64>,
    /// The code.
    pub code: &'a str,
    /// The value, finite; NaN where there is none.
    pub value: f32,
}

/// The bytes of a shard: its events by subject, those of a subject in the order of their times,
/// those without a time first, those of one time as they came.
///
/// **Determinism** the same events give the same bytes.
///
/// # Example
/// ```
/// use sequela_formats::meds::{NewEvent, STATIC, read_shard, write_shard};
/// let event = |time, code, value| NewEvent { subject: 7, time, code, value };
/// let bytes = write_shard(vec![event(Some(60_000_000), "HR", 71.5), event(None, "male", f32::NAN)]);
/// let folder = tempfile::tempdir().unwrap();
/// let path = folder.path().join("0.parquet");
/// sequela_formats::durable::write_atomic(&path, &bytes)?;
/// let shard = read_shard(&path, &Default::default())?;
/// assert_eq!((shard.times.as_slice(), shard.values[1]), (&[STATIC, 60_000_000][..], 71.5));
/// assert_eq!(shard.names, ["male", "HR"]);
/// # Ok::<(), sequela_formats::Error>(())
/// ```
pub fn write_shard(mut events: Vec<NewEvent<'_>>) -> Vec<u8> {
    events.sort_by_key(|event| (event.subject, event.time));
    let value = |event: &NewEvent<'_>| Some(event.value).filter(|value| value.is_finite());
    write_table(&[
        ("subject_id", ColumnData::Integers(events.iter().map(|e| Some(e.subject)).collect())),
        ("time", ColumnData::Instants(events.iter().map(|e| e.time).collect())),
        ("code", ColumnData::Texts(events.iter().map(|e| Some(e.code)).collect())),
        ("numeric_value", ColumnData::Numbers(events.iter().map(value).collect())),
    ])
}

/// The bytes of `metadata/subject_splits.parquet`: subjects, each with its part.
pub fn write_splits(splits: &[(i64, &str)]) -> Vec<u8> {
    write_table(&[
        ("subject_id", ColumnData::Integers(splits.iter().map(|(id, _)| Some(*id)).collect())),
        ("split", ColumnData::Texts(splits.iter().map(|(_, part)| Some(*part)).collect())),
    ])
}

/// The bytes of a file of the label schema: subject, time up to which events may be used
/// (microseconds since 1970), and what is true of it.
pub fn write_labels(labels: &[(i64, i64, bool)]) -> Vec<u8> {
    let subjects = labels.iter().map(|(subject, ..)| Some(*subject)).collect();
    let times = labels.iter().map(|(_, time, _)| Some(*time)).collect();
    let values = labels.iter().map(|(.., value)| Some(*value)).collect();
    write_table(&[
        ("subject_id", ColumnData::Integers(subjects)),
        ("prediction_time", ColumnData::Instants(times)),
        ("boolean_value", ColumnData::Flags(values)),
    ])
}

/// The bytes of `metadata/codes.parquet`: codes, each with its unit for a description.
pub fn write_codes(codes: &[(&str, &str)]) -> Vec<u8> {
    let units = codes.iter().map(|(_, unit)| Some(*unit).filter(|unit| !unit.is_empty()));
    write_table(&[
        ("code", ColumnData::Texts(codes.iter().map(|(code, _)| Some(*code)).collect())),
        ("description", ColumnData::Texts(units.collect())),
    ])
}
