//! Coded events as folders in the layout of MEDS.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_formats::durable::{create_dir, write_atomic};
use sequela_formats::meds::{Coded, CodedEvent, write_splits};

use super::{DATASET, MedsWritten, SUBJECTS, refuse_existing};
use crate::Error;
use crate::split::shuffled_tenths;

/// Writes coded events as a new folder in the layout of MEDS.
///
/// `data/{train,tuning,held_out}/N.parquet`, whose events have `text` and `unit` beside the columns that a model
/// reads, `metadata/codes.parquet` with descriptions and units, `metadata/subject_splits.parquet` and
/// `metadata/dataset.json`. The split is drawn by subject: 10 % tuning, 10 % held out; fewer than three subjects are
/// all for training. No label is made up.
///
/// **Determinism** the same events and seed give the same bytes.
///
/// # Errors
/// [`Error::Request`] where the folder is there already; those of writing.
///
/// # Example
/// ```
/// use sequela_data::export::write_coded;
/// use sequela_formats::meds::Coded;
/// let folder = tempfile::tempdir().unwrap();
/// let written = write_coded(&Coded::default(), &folder.path().join("meds"), 42)?;
/// assert_eq!((written.subjects, written.events), (0, 0));
/// # Ok::<(), sequela_data::Error>(())
/// ```
pub fn write_coded(coded: &Coded, folder: &Path, seed: u64) -> Result<MedsWritten, Error> {
    refuse_existing(folder)?;
    let groups: BTreeMap<i64, &[CodedEvent]> = coded
        .events
        .chunk_by(|a, b| a.subject == b.subject)
        .filter_map(|group| Some((group.first()?.subject, group)))
        .collect();
    let (test, tune, subjects) = shuffled_tenths(coded.subjects.clone(), seed);
    let part_of = |rank: usize| match rank {
        rank if rank < test => "held_out",
        rank if rank < test + tune => "tuning",
        _ => "train",
    };
    let mut splits: Vec<(i64, &str)> =
        subjects.iter().enumerate().map(|(rank, id)| (*id, part_of(rank))).collect();
    splits.sort_unstable();
    create_dir(&folder.join("metadata"))?;
    for part in ["train", "tuning", "held_out"] {
        let inner = folder.join("data").join(part);
        create_dir(&inner)?;
        let of_part = splits.iter().filter(|(_, other)| *other == part);
        let groups: Vec<&[CodedEvent]> =
            of_part.filter_map(|(id, _)| groups.get(id).copied()).collect();
        for (number, groups) in groups.chunks(SUBJECTS).enumerate() {
            let bytes = coded.shard(&groups.concat());
            write_atomic(&inner.join(format!("{number}.parquet")), &bytes)?;
        }
    }
    let metadata = folder.join("metadata");
    write_atomic(&metadata.join("subject_splits.parquet"), &write_splits(&splits))?;
    write_atomic(&metadata.join("codes.parquet"), &coded.code_table())?;
    // Last: a folder that has it is whole.
    write_atomic(&metadata.join("dataset.json"), DATASET.as_bytes())?;
    let (subjects, events) = (coded.subjects.len(), coded.events.len());
    Ok(MedsWritten { subjects, events, ..MedsWritten::default() })
}
