//! Labels of cases, and the split that a data set comes with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use super::shard::parquet_files;
use super::table::{Kind, SchemaFile, integers, numbers, words};
use crate::Error;

/// One case: what is to be foretold of a subject at a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// The subject.
    pub subject: i64,
    /// Microseconds since 1970; events up to and including it may be used.
    pub time: i64,
    /// What is true of it, in words: `true` or `false`, a whole number, a number, a category.
    pub value: String,
}

/// The files of labels that lie in a folder of MEDS, with the name of their task:
/// `labels.parquet`, and what is in `labels`, where a folder is a task.
///
/// # Errors
/// [`Error::Io`] where a folder cannot be read.
///
/// # Example
/// ```
/// let folder = tempfile::tempdir()?;
/// assert!(sequela_formats::meds::label_files(folder.path())?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn label_files(folder: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let mut files = Vec::new();
    let single = folder.join("labels.parquet");
    if crate::durable::exists(&single)? {
        files.push(("labels".to_owned(), single));
    }
    let inner = folder.join("labels");
    if !inner.is_dir() {
        return Ok(files);
    }
    for path in parquet_files(&inner)? {
        let below = path.strip_prefix(&inner).unwrap_or(&path);
        let first = below.components().next().map(|part| Path::new(part.as_os_str()));
        let task = first.and_then(Path::file_stem).unwrap_or_default();
        files.push((task.to_string_lossy().into_owned(), path));
    }
    Ok(files)
}

/// Reads a file of the label schema, in the order of its rows; of several columns of labels the
/// first of `boolean_value`, `integer_value`, `categorical_value`, `float_value`.
///
/// # Errors
/// Those of Parquet; [`Error::MissingColumn`]; [`Error::Malformed`] with row and column for a
/// missing cell, another type, a case that comes twice, a file without a case; [`Error::Limit`]
/// over `limits.subjects` cases.
pub fn read_labels(path: &Path, limits: &Limits) -> Result<Vec<Label>, Error> {
    let file = SchemaFile::open(path, limits)?;
    let time = file.required("prediction_time", Kind::Instant)?;
    let mut wanted = vec![file.required("subject_id", Kind::Integer)?, time];
    let kinds = [
        ("boolean_value", Kind::Flag),
        ("integer_value", Kind::Integer),
        ("categorical_value", Kind::Text),
        ("float_value", Kind::Number),
    ];
    let mut value = None;
    for (name, kind) in kinds {
        if value.is_none() {
            value = file.optional(name, kind)?.map(|at| (at, name, kind));
        }
    }
    let Some((at, name, kind)) = value else {
        return Err(Error::MissingColumn {
            location: Location::file(path).field("boolean_value").into(),
            hint: "labels are boolean_value, integer_value, categorical_value or float_value"
                .into(),
        });
    };
    wanted.push(at);
    let microseconds = file.microseconds(time);
    let mut batches = file.read(&wanted)?;
    let mut labels: Vec<Label> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    while let Some(rows) = batches.next_rows()? {
        for row in 0..rows {
            let place = |field: &str| file.place(batches.row(row), field);
            for (slot, field) in [(0, "subject_id"), (1, "prediction_time"), (2, name)] {
                if !batches.column(slot).is_some_and(|batch| batch.has(row)) {
                    let hint = "every case has a subject, a time and a label";
                    return Err(Error::malformed(place(field), "the cell is missing", hint));
                }
            }
            let whole = |slot: usize| integers(batches.column(slot)).get(row).copied().unwrap_or(0);
            let value = match kind {
                Kind::Flag => (whole(2) != 0).to_string(),
                Kind::Text => {
                    let word = words(batches.column(2)).get(row).zip(batches.words(2));
                    word.map_or("", |(word, (texts, _))| texts.get(*word)).to_owned()
                }
                Kind::Number => {
                    numbers(batches.column(2)).get(row).copied().unwrap_or(0.0).to_string()
                }
                _ => whole(2).to_string(),
            };
            let label = Label { subject: whole(0), time: microseconds(whole(1)), value };
            if labels.len() as u64 >= limits.subjects {
                return Err(Error::Limit {
                    location: place("subject_id").into(),
                    what: "the number of cases".to_owned(),
                    limit: limits.subjects,
                });
            }
            if !seen.insert((label.subject, label.time)) {
                return Err(Error::malformed(
                    place("prediction_time"),
                    "there is a label of this subject and time further up",
                    "give each case one label",
                ));
            }
            labels.push(label);
        }
    }
    if labels.is_empty() {
        let hint = "give it at least one row";
        return Err(Error::malformed(Location::file(path), "there is no case", hint));
    }
    Ok(labels)
}

/// The part of each subject by `metadata/subject_splits.parquet`: `train`, `tuning`, `held_out`
/// or another word; `None` where there is no such file.
///
/// # Errors
/// Those of Parquet; [`Error::MissingColumn`]; [`Error::Malformed`] for a missing cell and for a
/// subject in two parts.
pub fn read_splits(folder: &Path, limits: &Limits) -> Result<Option<BTreeMap<i64, String>>, Error> {
    let path = folder.join("metadata").join("subject_splits.parquet");
    if !crate::durable::exists(&path)? {
        return Ok(None);
    }
    let file = SchemaFile::open(&path, limits)?;
    let wanted = [file.required("subject_id", Kind::Integer)?, file.required("split", Kind::Text)?];
    let mut batches = file.read(&wanted)?;
    let mut splits = BTreeMap::new();
    while let Some(rows) = batches.next_rows()? {
        for row in 0..rows {
            let there = (0..2).all(|at| batches.column(at).is_some_and(|batch| batch.has(row)));
            let subject = integers(batches.column(0)).get(row).copied().unwrap_or(0);
            let word = words(batches.column(1)).get(row).zip(batches.words(1));
            let word = word.map_or("", |(word, (texts, _))| texts.get(*word));
            let known = splits.insert(subject, word.to_owned());
            if !there || known.is_some_and(|known| known != word) {
                return Err(Error::malformed(
                    file.place(batches.row(row), "split"),
                    "a cell is missing, or the subject is in two parts",
                    "give each subject one part",
                ));
            }
        }
    }
    Ok(Some(splits))
}

/// What `metadata/codes.parquet` says of each code; nothing where there is no such file.
///
/// # Errors
/// Those of Parquet; [`Error::MissingColumn`] for no column of codes.
pub fn read_codes(folder: &Path, limits: &Limits) -> Result<BTreeMap<String, String>, Error> {
    of_codes(folder, "description", limits)
}

/// The units that the column `unit` of `metadata/codes.parquet` gives, which is not one of the schema.
///
/// # Errors
/// As [`read_codes`].
pub fn read_units(folder: &Path, limits: &Limits) -> Result<BTreeMap<String, String>, Error> {
    of_codes(folder, "unit", limits)
}

fn of_codes(
    folder: &Path,
    column: &str,
    limits: &Limits,
) -> Result<BTreeMap<String, String>, Error> {
    let path = folder.join("metadata").join("codes.parquet");
    let mut codes = BTreeMap::new();
    if !crate::durable::exists(&path)? {
        return Ok(codes);
    }
    let file = SchemaFile::open(&path, limits)?;
    let mut wanted = vec![file.required("code", Kind::Text)?];
    wanted.extend(file.optional(column, Kind::Text)?);
    let mut batches = file.read(&wanted)?;
    while let Some(rows) = batches.next_rows()? {
        for row in 0..rows {
            let text = |slot: usize| {
                let batch = batches.column(slot).filter(|batch| batch.has(row));
                let word = words(batch).get(row).zip(batches.words(slot));
                word.map_or("", |(word, (texts, _))| texts.get(*word)).to_owned()
            };
            codes.insert(text(0), text(1));
        }
    }
    Ok(codes)
}
