//! The events of the subjects of one shard.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Location};

use super::table::{Kind, SchemaFile, integers, numbers, words};
use crate::Error;
use crate::collection::names_in;

/// The time of an event that has none: what does not change, such as the sex.
pub const STATIC: i64 = i64::MIN;

/// The events of one shard, row by row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shard {
    /// Whose they are, in the order of the rows.
    pub subjects: Vec<SubjectRows>,
    /// Microseconds since 1970, never going backwards within a subject; [`STATIC`] where there is
    /// none.
    pub times: Vec<i64>,
    /// Positions among `names`.
    pub codes: Vec<u32>,
    /// Numeric values, finite or NaN; NaN is missing.
    pub values: Vec<f32>,
    /// The codes, in the order of first appearance.
    pub names: Vec<String>,
    /// Values that were infinite or beyond f32 and became missing.
    pub disbelieved: u64,
}

/// The rows of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRows {
    /// The subject.
    pub id: i64,
    /// Its rows.
    pub rows: Range<usize>,
}

/// The shards of a folder in the layout of MEDS: the Parquet files in `data`, sorted by name.
///
/// # Errors
/// [`Error::Io`] where a folder cannot be read; [`Error::Malformed`] where there is no shard;
/// [`Error::Limit`] for over 100,000.
pub fn shards(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let found = parquet_files(&folder.join("data"))?;
    if found.is_empty() {
        return Err(Error::malformed(
            Location::file(folder),
            "there is no Parquet file in its folder data",
            "name the folder that holds data and metadata",
        ));
    }
    Ok(found)
}

/// The Parquet files in a folder and those within it, sorted by name.
pub(super) fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((inner, depth)) = folders.pop() {
        for name in names_in(&inner)? {
            let path = inner.join(&name);
            if path.is_dir() && depth < DEPTH {
                folders.push((path, depth + 1));
            } else if path.extension().is_some_and(|end| end.eq_ignore_ascii_case("parquet")) {
                found.push(path);
            }
        }
        if found.len() > SHARDS {
            let location = Location::file(folder).into();
            let what = "the number of Parquet files".to_owned();
            return Err(Error::Limit { location, what, limit: SHARDS as u64 });
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads a shard. Columns beyond those of the schema are left alone.
///
/// **Units** microseconds since 1970, whatever the unit of the column. **Missing data** a missing
/// value is NaN, a missing time [`STATIC`]. **Cost** linear in the bytes; 16 bytes for each event
/// beside what reading Parquet holds.
///
/// # Errors
/// Those of opening and of Parquet; [`Error::MissingColumn`]; [`Error::Malformed`] with row and
/// column for another type, a missing subject or code, rows of a subject that are not together,
/// and times that go backwards; [`Error::Limit`] over `limits.subjects`, `limits.steps` events of
/// one subject, and a million codes.
pub fn read_shard(path: &Path, limits: &Limits) -> Result<Shard, Error> {
    let file = SchemaFile::open(path, limits)?;
    let time = file.required("time", Kind::Instant)?;
    let mut wanted =
        vec![file.required("subject_id", Kind::Integer)?, time, file.required("code", Kind::Text)?];
    wanted.extend(file.optional("numeric_value", Kind::Number)?);
    let microseconds = file.microseconds(time);
    let mut batches = file.read(&wanted)?;
    let mut shard = Shard::default();
    // Growing step by step would copy millions of events; what cannot be had now is asked for then.
    let rows = file.expected_rows();
    let _ = shard.times.try_reserve_exact(rows);
    let _ = shard.codes.try_reserve_exact(rows);
    let _ = shard.values.try_reserve_exact(rows);
    let mut reading = Reading { limits, seen: HashSet::new(), known: BTreeMap::new() };
    let mut numbers_of_words = Vec::new();
    let mut group = usize::MAX;
    while let Some(rows) = batches.next_rows()? {
        let place = |at: usize, field: &str| file.place(batches.row(at), field);
        for (slot, field) in [(0, "subject_id"), (2, "code")] {
            let present = batches.column(slot).map_or(&[][..], |batch| &batch.present);
            if let Some(at) = present.iter().position(|there| !there) {
                let hint = "every event has a subject and a code";
                return Err(Error::malformed(place(at, field), "the cell is missing", hint));
            }
        }
        // Times, as they are checked subject by subject.
        let start = shard.times.len();
        let batch = batches.column(1);
        shard.times.extend(integers(batch).iter().map(|time| microseconds(*time)));
        if let Some(present) = batch.map(|batch| &batch.present)
            && !present.is_empty()
        {
            let times = shard.times.get_mut(start..).unwrap_or_default();
            for (time, _) in times.iter_mut().zip(present).filter(|(_, there)| !**there) {
                *time = STATIC;
            }
        }
        reading
            .subjects(integers(batches.column(0)), start, &mut shard)
            .map_err(|fault| fault.at(&place))?;
        // Codes: each word of a dictionary is looked up once in a row group.
        if group != batches.group() {
            group = batches.group();
            numbers_of_words.clear();
        }
        if let Some((texts, lasting)) = batches.words(2) {
            numbers_of_words.resize(lasting, u32::MAX);
            for word in words(batches.column(2)) {
                let kept = numbers_of_words.get_mut(*word as usize);
                let number = match kept {
                    Some(number) if *number != u32::MAX => *number,
                    kept => {
                        let number = reading.code(texts.get(*word), &mut shard.names);
                        let Some(number) = number else { return Err(too_many_codes(path)) };
                        if let Some(kept) = kept {
                            *kept = number;
                        }
                        number
                    }
                };
                shard.codes.push(number);
            }
        }
        values(&mut shard, batches.column(3), rows);
    }
    Ok(shard)
}

/// Calls `visit` with each shard of a folder, in the order of [`shards`]; up to `threads` of them
/// are read at the same time, and as many are in memory.
///
/// **Determinism** the same for any number of threads.
///
/// # Errors
/// As [`read_shard`], and those of `visit`; [`Error::Malformed`] for a subject in two shards.
pub fn read_shards(
    folder: &Path,
    threads: usize,
    limits: &Limits,
    visit: &mut dyn FnMut(&Path, Shard) -> Result<(), Error>,
) -> Result<(), Error> {
    let paths = shards(folder)?;
    let mut seen = HashSet::new();
    for some in paths.chunks(threads.clamp(1, 64)) {
        let read: Vec<Result<Shard, Error>> = std::thread::scope(|scope| {
            let others: Vec<_> = some
                .iter()
                .skip(1)
                .map(|path| scope.spawn(move || read_shard(path, limits)))
                .collect();
            let first = some.first().map(|path| read_shard(path, limits));
            let others = others.into_iter().map(|thread| {
                // A thread that panicked goes on panicking here.
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            });
            first.into_iter().chain(others).collect()
        });
        for (path, shard) in some.iter().zip(read) {
            let shard = shard?;
            if !shard.subjects.iter().all(|subject| seen.insert(subject.id)) {
                return Err(Error::malformed(
                    Location::file(path).field("subject_id"),
                    "a subject of this shard is in another one, too",
                    "write all events of a subject into one shard",
                ));
            }
            visit(path, shard)?;
        }
    }
    Ok(())
}

/// What is known while a shard is read.
struct Reading<'a> {
    limits: &'a Limits,
    seen: HashSet<i64>,
    known: BTreeMap<String, u32>,
}

/// A fault of one row of a batch.
enum Fault {
    Apart(usize),
    Backwards(usize),
    Subjects(usize, u64),
    Events(usize, u64),
}

impl Fault {
    fn at(self, place: &dyn Fn(usize, &str) -> Location) -> Error {
        let limit = |location: Location, what: &str, limit| Error::Limit {
            location: location.into(),
            what: what.to_owned(),
            limit,
        };
        match self {
            Self::Apart(at) => Error::malformed(
                place(at, "subject_id"),
                "rows of this subject stand further up, too",
                "sort the shard by subject_id and time",
            ),
            Self::Backwards(at) => Error::malformed(
                place(at, "time"),
                "the time goes backwards",
                "sort the shard by subject_id and time",
            ),
            Self::Subjects(at, most) => {
                limit(place(at, "subject_id"), "the number of subjects", most)
            }
            Self::Events(at, most) => {
                limit(place(at, "subject_id"), "the number of events of one subject", most)
            }
        }
    }
}

impl Reading<'_> {
    /// Parts rows by subject; their times begin at `start` of the shard.
    fn subjects(&mut self, ids: &[i64], start: usize, shard: &mut Shard) -> Result<(), Fault> {
        let mut before = 0;
        for run in ids.chunk_by(|a, b| a == b) {
            let Some(&id) = run.first() else { continue };
            let rows = start + before..start + before + run.len();
            match shard.subjects.last_mut() {
                Some(subject) if subject.id == id => subject.rows.end = rows.end,
                _ => {
                    if !self.seen.insert(id) {
                        return Err(Fault::Apart(before));
                    }
                    if shard.subjects.len() as u64 >= self.limits.subjects {
                        return Err(Fault::Subjects(before, self.limits.subjects));
                    }
                    shard.subjects.push(SubjectRows { id, rows: rows.clone() });
                }
            }
            let whole = shard.subjects.last().map_or(rows.clone(), |subject| subject.rows.clone());
            if whole.len() as u64 > self.limits.steps {
                return Err(Fault::Events(before, self.limits.steps));
            }
            // From the last row of the batch before on, where that is the same subject's.
            let from = rows.start.saturating_sub(1).max(whole.start);
            let times = shard.times.get(from..rows.end).unwrap_or_default();
            if !times.is_sorted() && !sorted_without_statics(shard, &whole) {
                return Err(Fault::Backwards(before));
            }
            before += run.len();
        }
        Ok(())
    }

    /// The number of a code; `None` where there are too many.
    fn code(&mut self, name: &str, names: &mut Vec<String>) -> Option<u32> {
        if let Some(number) = self.known.get(name) {
            return Some(*number);
        }
        let number = u32::try_from(names.len()).ok().filter(|number| *number < CODES)?;
        self.known.insert(name.to_owned(), number);
        names.push(name.to_owned());
        Some(number)
    }
}

/// Whether times are in order but for events without one, which may stand anywhere.
fn sorted_without_statics(shard: &Shard, rows: &Range<usize>) -> bool {
    let times = shard.times.get(rows.clone()).unwrap_or_default();
    times.iter().filter(|time| **time != STATIC).is_sorted()
}

/// Appends the values of a batch; NaN where there is none.
fn values(shard: &mut Shard, batch: Option<&crate::parquet::Batch>, rows: usize) {
    let before = shard.values.len();
    let Some(batch) = batch else {
        shard.values.resize(before + rows, f32::NAN);
        return;
    };
    #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
    let narrow = |value: &f64| *value as f32;
    shard.values.extend(numbers(Some(batch)).iter().map(narrow));
    let mut disbelieved = 0;
    for value in shard.values.get_mut(before..).unwrap_or_default() {
        if value.is_infinite() {
            *value = f32::NAN;
            disbelieved += 1;
        }
    }
    if !batch.present.is_empty() {
        let values = shard.values.get_mut(before..).unwrap_or_default();
        for (value, _) in values.iter_mut().zip(&batch.present).filter(|(_, there)| !**there) {
            *value = f32::NAN;
        }
    }
    shard.disbelieved += disbelieved;
}

fn too_many_codes(path: &Path) -> Error {
    let location = Location::file(path).field("code").into();
    Error::Limit { location, what: "the number of codes".to_owned(), limit: u64::from(CODES) }
}

/// Folders within `data` that are looked into.
const DEPTH: usize = 4;
const SHARDS: usize = 100_000;
const CODES: u32 = 1_000_000;
