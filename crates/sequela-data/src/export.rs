//! Cohorts as folders in the layout of MEDS.

mod coded;

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::{Location, Steps, SubjectId, Target};
use sequela_formats::csv::{Cell, to_csv};
use sequela_formats::durable::{create_dir, exists, write_atomic};
use sequela_formats::meds::{NewEvent, write_codes, write_labels, write_shard, write_splits};

use crate::split::{Fractions, by_subject};
use crate::{Cohort, Error};

pub use self::coded::write_coded;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MedsWritten {
    /// Number of subjects.
    pub subjects: usize,
    /// Number of events.
    pub events: usize,
    /// Number of labels.
    pub labels: usize,
    /// Whether subjects were numbered, because some are not called by a whole number.
    pub are_numbered: bool,
}

/// Writes a cohort as a new folder in the layout of MEDS: each observed value is an event, whose
/// code is its channel.
///
/// `data/{train,tuning,held_out}/N.parquet`, `metadata/{codes,subject_splits}.parquet`,
/// `metadata/dataset.json`, and, where the cohort has classes, `labels/labels.parquet`: of a class
/// of a sequence at the time `label_hours` or at its last step, of classes of steps at each of
/// them. Subjects that are not called by a whole number are numbered from 1 in the order of their
/// names; `metadata/subjects.csv` says who is who. **Units** times are hours since 1970 of the
/// cohort, so that hours since admission become a stay that begins in 1970; they are rounded to
/// microseconds. The split is drawn by subject: 10 % tuning, 10 % held out.
///
/// **Determinism** the same cohort and seed give the same bytes.
///
/// # Errors
/// [`Error::Request`] where the folder is there already; [`Error::Unfit`] for sequences without
/// times; those of writing, and of splitting fewer than three subjects.
pub fn write_meds(
    cohort: &Cohort,
    folder: &Path,
    label_hours: Option<f64>,
    seed: u64,
) -> Result<MedsWritten, Error> {
    refuse_existing(folder)?;
    let subjects = cohort.subjects();
    let (ids, are_numbered) = numbers(&subjects);
    let mut written =
        MedsWritten { subjects: subjects.len(), are_numbered, ..MedsWritten::default() };
    let split = by_subject(cohort, Fractions { tune: 0.1, test: 0.1 }, seed)?;
    let channels = cohort.schema().channels();
    let parts = [("train", &split.train), ("tuning", &split.tune), ("held_out", &split.test)];
    let mut labels = Vec::new();
    let mut splits = Vec::new();
    create_dir(&folder.join("metadata"))?;
    for (part, positions) in parts {
        let mut positions = positions.clone();
        positions.sort_by_key(|at| ids[&cohort.sequences()[*at].subject]);
        let inner = folder.join("data").join(part);
        create_dir(&inner)?;
        // Sequences of one subject stand together, and no shard ends between them.
        let of = |at: &usize| ids[&cohort.sequences()[*at].subject];
        let groups: Vec<&[usize]> = positions.chunk_by(|a, b| of(a) == of(b)).collect();
        splits.extend(groups.iter().map(|group| (of(&group[0]), part)));
        for (number, groups) in groups.chunks(SUBJECTS).enumerate() {
            let mut events = Vec::new();
            for &at in groups.iter().flat_map(|group| group.iter()) {
                let sequence = &cohort.sequences()[at];
                let Some(times) = &sequence.times else { return Err(no_times(cohort)) };
                let id = ids[&sequence.subject];
                let times: Vec<i64> = times.iter().map(|hours| microseconds(*hours)).collect();
                if let Steps::Numeric { values, observed, features } = &sequence.steps {
                    let rows = values.chunks(*features).zip(observed.chunks(*features));
                    for (&time, (values, observed)) in times.iter().zip(rows) {
                        let cells = channels.iter().zip(values).zip(observed);
                        for ((channel, &value), _) in cells.filter(|(_, there)| **there) {
                            let code = channel.name.as_str();
                            events.push(NewEvent { subject: id, time: Some(time), code, value });
                        }
                    }
                }
                let last = times.last().copied().unwrap_or(0);
                match &sequence.target {
                    Target::Class(class) => {
                        labels.push((id, label_hours.map_or(last, microseconds), *class == 1));
                    }
                    Target::PerStep(classes) => {
                        let steps = times.iter().zip(classes);
                        labels.extend(
                            steps.filter_map(|(time, class)| Some((id, *time, (*class)? == 1))),
                        );
                    }
                    _ => {}
                }
            }
            written.events += events.len();
            write_atomic(&inner.join(format!("{number}.parquet")), &write_shard(events))?;
        }
    }
    splits.sort_unstable();
    labels.sort_unstable();
    written.labels = labels.len();
    let metadata = folder.join("metadata");
    write_atomic(&metadata.join("subject_splits.parquet"), &write_splits(&splits))?;
    let codes: Vec<(&str, &str)> =
        channels.iter().map(|channel| (channel.name.as_str(), channel.unit.as_str())).collect();
    write_atomic(&metadata.join("codes.parquet"), &write_codes(&codes))?;
    if are_numbered {
        let row = |(subject, id): (&SubjectId, &i64)| {
            vec![Cell::Integer(*id), Cell::Text(subject.as_str().to_owned())]
        };
        let rows: Vec<Vec<Cell>> = ids.iter().map(row).collect();
        write_atomic(&metadata.join("subjects.csv"), &to_csv(&["subject_id", "subject"], &rows))?;
    }
    if !labels.is_empty() {
        create_dir(&folder.join("labels"))?;
        write_atomic(&folder.join("labels").join("labels.parquet"), &write_labels(&labels))?;
    }
    // Last: a folder that has it is whole.
    write_atomic(&metadata.join("dataset.json"), DATASET.as_bytes())?;
    Ok(written)
}

fn refuse_existing(folder: &Path) -> Result<(), Error> {
    if exists(folder)? {
        return Err(Error::request(
            "OUT",
            "there is something of this name already",
            "name a folder that is not there yet",
        ));
    }
    Ok(())
}

/// The whole numbers that subjects are called by, or new ones.
fn numbers(subjects: &[SubjectId]) -> (BTreeMap<SubjectId, i64>, bool) {
    let own: Option<BTreeMap<SubjectId, i64>> = subjects
        .iter()
        .map(|subject| {
            // `007` and `7` would be one.
            let id: i64 = subject.as_str().parse().ok()?;
            (id.to_string() == subject.as_str()).then(|| (subject.clone(), id))
        })
        .collect();
    match own {
        Some(ids) => (ids, false),
        None => (subjects.iter().cloned().zip(1..).collect(), true),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "saturates, far beyond any date")]
fn microseconds(hours: f64) -> i64 {
    (hours * 3.6e9).round() as i64
}

fn no_times(cohort: &Cohort) -> Error {
    Error::unfit(
        Location::file(cohort.source()),
        "the series have no times, and every event of MEDS has one",
        "give the table a column of times",
    )
}

/// Subjects of a shard at most.
const SUBJECTS: usize = 5000;
const DATASET: &str = concat!(
    "{\"etl_name\": \"sequela\", \"etl_version\": \"",
    env!("CARGO_PKG_VERSION"),
    "\", \"meds_version\": \"0.4.1\"}\n"
);
