//! MEDS with faults and damage: what is said names file, row and column, and no subject, code or
//! value; what is held stays within 16 MiB and four times the file.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly")]

#[path = "../../sequela-kernels/tests/support/counting.rs"]
mod counting;

use std::path::Path;

use sequela_core::Limits;
use sequela_formats::durable::{create_dir, write_atomic};
use sequela_formats::meds::{
    NewEvent, read_codes, read_labels, read_shard, read_shards, read_splits, write_codes,
    write_labels, write_shard, write_splits,
};

/// Digits that stand in every subject, time and value.
const CANARY: &str = "7731";
const SUBJECT: i64 = 7_731_001;
const HOUR: i64 = 3_600_000_000;

fn event(subject: i64, hour: i64, code: &str) -> NewEvent<'_> {
    NewEvent { subject, time: Some(7731 * HOUR + hour * HOUR), code, value: 7731.5 }
}

fn shard(subjects: &[i64]) -> Vec<u8> {
    let of = |subject| {
        (0..3).map(move |hour| {
            event(subject, hour, if hour == 1 { "canary//a" } else { "canary//b" })
        })
    };
    write_shard(subjects.iter().flat_map(|subject| of(*subject)).collect())
}

fn holds_no_secret(message: &str, file: &str) {
    assert!(message.contains(file) && !message.contains('\n'), "{message}");
    assert!(!message.contains("canary") && !message.contains(CANARY), "{message}");
}

/// Reads one damaged file in its own way; gives the message where it is refused.
fn told(name: &str, bytes: &[u8], folder: &Path) -> Option<String> {
    let limits = Limits::default();
    let path = folder.join(name);
    write_atomic(&path, bytes).unwrap();
    let (result, peak) = counting::peak(|| match name {
        "metadata/subject_splits.parquet" => read_splits(folder, &limits).map(drop),
        "metadata/codes.parquet" => read_codes(folder, &limits).map(drop),
        "labels.parquet" => read_labels(&path, &limits).map(drop),
        _ => read_shard(&path, &limits).map(drop),
    });
    let bound = (16 << 20) + 4 * bytes.len();
    assert!(peak <= bound, "{name}: {peak} bytes at once, {bound} are promised");
    result.err().map(|error| error.to_string())
}

#[test]
fn damage_is_refused_without_a_word_of_the_content() {
    let _turn = counting::turn();
    let folder = tempfile::tempdir().unwrap();
    for inner in ["data", "metadata"] {
        create_dir(&folder.path().join(inner)).unwrap();
    }
    let samples = [
        ("data/0.parquet", shard(&[SUBJECT, SUBJECT + 1])),
        ("labels.parquet", write_labels(&[(SUBJECT, 7731, true), (SUBJECT + 1, 7731, false)])),
        ("metadata/codes.parquet", write_codes(&[("canary//a", "canary 7731")])),
        ("metadata/subject_splits.parquet", write_splits(&[(SUBJECT, "canary")])),
    ];
    for (name, good) in samples {
        assert_eq!(told(name, &good, folder.path()), None, "{name}");
        for cut in 0..good.len() {
            let message = told(name, &good[..cut], folder.path());
            holds_no_secret(&message.unwrap(), name);
        }
        let mut bytes = good;
        for at in 0..bytes.len() {
            for bit in [1, 8, 128] {
                bytes[at] ^= bit;
                if let Some(message) = told(name, &bytes, folder.path()) {
                    holds_no_secret(&message, name);
                }
                bytes[at] ^= bit;
            }
        }
    }
}

#[test]
fn faults_of_content_name_file_row_and_column() {
    let _turn = counting::turn();
    let folder = tempfile::tempdir().unwrap();
    create_dir(&folder.path().join("data")).unwrap();
    let at = |name: &str| folder.path().join(name);
    let limits = Limits::default();
    // The same subject in two shards.
    write_atomic(&at("data/0.parquet"), &shard(&[SUBJECT])).unwrap();
    write_atomic(&at("data/1.parquet"), &shard(&[SUBJECT])).unwrap();
    let both = read_shards(folder.path(), 2, &limits, &mut |_, _| Ok(()));
    let message = both.unwrap_err().to_string();
    holds_no_secret(&message, "1.parquet, field subject_id: a subject of this shard is in another");
    // More than the limits.
    let few = Limits { steps: 2, ..limits };
    let message = read_shard(&at("data/0.parquet"), &few).unwrap_err().to_string();
    holds_no_secret(&message, "0.parquet, row 1, field subject_id: the number of events of one");
    let one = Limits { subjects: 1, ..limits };
    write_atomic(&at("data/0.parquet"), &shard(&[SUBJECT, SUBJECT + 1])).unwrap();
    let message = read_shard(&at("data/0.parquet"), &one).unwrap_err().to_string();
    holds_no_secret(&message, "0.parquet, row 4, field subject_id: the number of subjects");
    // A case twice, a subject in two parts, files that are not what their names say.
    let twice = write_labels(&[(SUBJECT, 7731, true), (SUBJECT, 7731, false)]);
    let message = told("labels.parquet", &twice, folder.path()).unwrap();
    holds_no_secret(&message, "labels.parquet, row 2, field prediction_time: there is a label");
    create_dir(&at("metadata")).unwrap();
    let parts = write_splits(&[(SUBJECT, "canary1"), (SUBJECT, "canary2")]);
    let message = told("metadata/subject_splits.parquet", &parts, folder.path()).unwrap();
    holds_no_secret(&message, "subject_splits.parquet, row 2, field split: ");
    let message = told("labels.parquet", &shard(&[SUBJECT]), folder.path()).unwrap();
    holds_no_secret(&message, "labels.parquet, field prediction_time: there is no such column");
    let message = told("data/2.parquet", &twice, folder.path()).unwrap();
    holds_no_secret(&message, "2.parquet, field time: there is no such column");
}
