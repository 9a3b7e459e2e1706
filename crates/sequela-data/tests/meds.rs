//! MEDS: folders written here are read back, and a case never sees what came after its time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a test stops at the first thing that is wrong"
)]

use std::path::{Path, PathBuf};

use sequela_core::{Channel, Limits, Schema, Sequence, Steps, SubjectId, Target};
use sequela_data::Cohort;
use sequela_data::export::{write_coded, write_meds};
use sequela_data::load::{
    COUNT, MedsOptions, frequent_codes, meds, meds_summary, meds_values, published_split,
};
use sequela_formats::durable::{create_dir, write_atomic};
use sequela_formats::meds::{NewEvent, read_shard, write_labels, write_shard, write_splits};

const HOUR: i64 = 3_600_000_000;

fn channel(name: &str, unit: &str) -> Channel {
    Channel { name: name.into(), unit: unit.into() }
}

fn options(channels: Vec<Channel>, labels: Option<PathBuf>) -> MedsOptions {
    let classes = vec!["false".into(), "true".into()];
    MedsOptions { channels, every_hours: None, hours: None, labels, classes, threads: 2 }
}

/// Writes a folder of one shard and labels.
fn folder(events: Vec<NewEvent<'_>>, labels: &[(i64, i64, bool)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for inner in ["data", "metadata"] {
        create_dir(&folder.path().join(inner)).unwrap();
    }
    write_atomic(&folder.path().join("data/0.parquet"), &write_shard(events)).unwrap();
    write_atomic(&folder.path().join("labels.parquet"), &write_labels(labels)).unwrap();
    let splits = [(1, "train"), (2, "train"), (3, "held_out")];
    let path = folder.path().join("metadata/subject_splits.parquet");
    write_atomic(&path, &write_splits(&splits)).unwrap();
    folder
}

fn event(subject: i64, hours: Option<i64>, code: &str, value: f32) -> NewEvent<'_> {
    NewEvent { subject, time: hours.map(|hours| hours * HOUR), code, value }
}

fn rows(sequence: &Sequence) -> Vec<Vec<Option<f32>>> {
    let Steps::Numeric { values, observed, features } = &sequence.steps else { panic!() };
    let row = |(values, there): (&[f32], &[bool])| {
        values.iter().zip(there).map(|(value, there)| there.then_some(*value)).collect()
    };
    values.chunks(*features).zip(observed.chunks(*features)).map(row).collect()
}

#[test]
fn a_case_sees_its_prediction_time_and_nothing_after() {
    let nothing = f32::NAN;
    let folder = folder(
        vec![
            event(1, None, "male", nothing),
            event(1, Some(1), "HR", 70.0),
            event(1, Some(2), "HR", 80.0),
            event(1, Some(2), "visit", nothing),
            event(1, Some(2), "visit", nothing),
            event(1, Some(3), "HR", 90.0),
            event(2, Some(5), "HR", 60.0),
            event(3, Some(5), "other", 1.0),
        ],
        &[(1, 2 * HOUR, true), (1, 3 * HOUR, false), (2, 4 * HOUR, true), (9, HOUR, true)],
    );
    let channels = vec![channel("HR", ""), channel("visit", COUNT), channel("male", COUNT)];
    let labels = Some(folder.path().join("labels.parquet"));
    let cohort =
        meds(folder.path(), &options(channels.clone(), labels.clone()), &Limits::default())
            .unwrap();
    let [first, second] = cohort.sequences() else { panic!("{cohort:?}") };
    assert_eq!((first.target.clone(), second.target.clone()), (Target::Class(1), Target::Class(0)));
    assert_eq!((first.subject.as_str(), second.subject.as_str()), ("1", "1"));
    assert_ne!(first.id, second.id);
    let at_two = vec![vec![Some(70.0), None, Some(1.0)], vec![Some(80.0), Some(2.0), None]];
    assert_eq!(rows(first), at_two);
    assert_eq!(rows(second), [at_two, vec![vec![Some(90.0), None, None]]].concat());
    assert_eq!(second.times.as_deref(), Some(&[1.0, 2.0, 3.0][..]));
    let notes = cohort.notes().join("; ");
    assert!(notes.contains("1 cases have no event of these codes"), "{notes}");
    assert!(notes.contains("1 subjects have a label but no event"), "{notes}");
    // On a grid of two hours that ends at the prediction time, which belongs to its last step.
    let grid =
        MedsOptions { every_hours: Some(1.0), hours: Some(2.0), ..options(channels, labels) };
    let cohort = meds(folder.path(), &grid, &Limits::default()).unwrap();
    assert_eq!(rows(&cohort.sequences()[0]).len(), 2);
    assert_eq!(rows(&cohort.sequences()[1])[0][0], Some(70.0));
    // The means of two values: those of hours 1 and 2, and of 2 and 3.
    assert_eq!(rows(&cohort.sequences()[0])[1], [Some(75.0), Some(2.0), None]);
    assert_eq!(rows(&cohort.sequences()[1])[1][0], Some(85.0));
}

#[test]
fn codes_are_counted_in_training_subjects_alone() {
    let folder = folder(
        vec![
            event(1, Some(1), "HR", 70.0),
            event(1, Some(2), "visit", f32::NAN),
            event(2, Some(1), "HR", 70.0),
            event(3, Some(1), "test_only", 1.0),
        ],
        &[(1, HOUR, true)],
    );
    let codes = frequent_codes(folder.path(), 5, 1, &Limits::default()).unwrap();
    assert_eq!(codes, [channel("HR", ""), channel("visit", COUNT)]);
    let cohort = meds(folder.path(), &options(codes, None), &Limits::default()).unwrap();
    let lists = published_split(folder.path(), &cohort, &Limits::default()).unwrap();
    assert_eq!((lists.train, lists.test), (vec!["1".into(), "2".into()], vec![]));
}

#[test]
fn what_is_written_is_read_back() {
    let sequences: Vec<Sequence> = (0..7_u8)
        .map(|at| {
            let id = format!("p{at}");
            let values = [f32::from(at), f32::NAN, 2.0, 3.0];
            let mut sequence = Sequence::numeric(&id, SubjectId::new(id.as_str()), 2, &values)
                .unwrap()
                .with_times(vec![0.0, 1.5])
                .unwrap();
            sequence.target = Target::Class(u32::from(at % 2));
            sequence
        })
        .collect();
    let schema = Schema::new(vec![channel("Na", "mmol/L"), channel("HR", "bpm")]);
    let cohort = Cohort::new(schema.clone(), sequences, "made up").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("meds");
    let written = write_meds(&cohort, &out, Some(48.0), 1).unwrap();
    assert_eq!((written.subjects, written.events, written.labels), (7, 21, 7));
    assert!(written.are_numbered && write_meds(&cohort, &out, None, 1).is_err());
    let labels = Some(out.join("labels/labels.parquet"));
    let read =
        meds(&out, &options(schema.channels().to_vec(), labels), &Limits::default()).unwrap();
    let mut read: Vec<Sequence> = read.sequences().to_vec();
    read.sort_by(|a, b| a.subject.cmp(&b.subject));
    assert_eq!(read.len(), 7);
    for (read, wanted) in read.iter().zip(cohort.sequences()) {
        assert_eq!(rows(read), rows(wanted));
        assert_eq!((&read.times, &read.target), (&wanted.times, &wanted.target));
    }
    let summary = meds_summary(&out, 2, &Limits::default()).unwrap();
    assert_eq!((summary.subjects, summary.events), (7, 21));
    assert_eq!(summary.codes["Na"].description, "mmol/L");
    assert_eq!(summary.codes["Na"].values, 14);
    assert_eq!(summary.codes["Na"].unit("Na"), "mmol/L");
}

#[test]
fn a_summary_has_labels_events_and_values() {
    let events = vec![
        event(1, None, "GENDER//F", f32::NAN),
        event(1, Some(1), "LAB//Na//mmol/L", 140.0),
        event(2, Some(3), "LAB//Na//mmol/L", 130.0),
    ];
    let folder = folder(events, &[(1, HOUR, true), (1, 2 * HOUR, false), (2, HOUR, true)]);
    create_dir(&folder.path().join("labels")).unwrap();
    write_atomic(&folder.path().join("labels/odd.parquet"), b"PAR1 nothing PAR1").unwrap();
    let summary = meds_summary(folder.path(), 1, &Limits::default()).unwrap();
    assert_eq!(summary.events_of_subjects, [1, 2]);
    let labels = &summary.labels["labels"];
    assert_eq!((labels.cases, labels.subjects, labels.counts["true"]), (3, 2, 2));
    // A file of labels that cannot be read is told of, and where it is from the folder on.
    assert!(summary.label_faults[0].starts_with("labels/odd.parquet"), "{summary:?}");
    let unit = |name: &str| summary.codes[name].unit(name);
    assert_eq!((unit("LAB//Na//mmol/L"), unit("GENDER//F")), ("mmol/L", ""));
    let codes = ["LAB//Na//mmol/L".to_owned(), "GENDER//F".to_owned()];
    let values = meds_values(folder.path(), &codes, 1, &Limits::default()).unwrap();
    assert_eq!(values.values, [vec![130.0, 140.0], vec![]]);
    assert_eq!(values.times, [3.6e9, 1.08e10]);
}

#[test]
fn faults_name_row_column_and_remedy_but_no_subject() {
    let folder = folder(vec![event(1, Some(1), "HR", 70.0)], &[(1, HOUR, true)]);
    let data = folder.path().join("data");
    // The same subject in a second shard.
    let more = write_shard(vec![event(1, Some(2), "HR", 70.0)]);
    write_atomic(&data.join("1.parquet"), &more).unwrap();
    let all = options(vec![channel("HR", "")], None);
    let message = meds(folder.path(), &all, &Limits::default()).unwrap_err().to_string();
    assert!(
        message.contains("1.parquet, field subject_id: a subject of this shard is in"),
        "{message}"
    );
    let labels = folder.path().join("labels.parquet");
    let message = read_shard(&labels, &Limits::default()).unwrap_err().to_string();
    assert!(message.contains("field time: there is no such column; "), "{message}");
    let other = MedsOptions {
        classes: vec!["no".into(), "yes".into()],
        ..options(vec![channel("HR", "")], Some(labels))
    };
    write_atomic(&data.join("1.parquet"), &write_shard(vec![event(4, Some(2), "HR", 1.0)]))
        .unwrap();
    let message = meds(folder.path(), &other, &Limits::default()).unwrap_err().to_string();
    assert!(message.contains("a label is not among the classes"), "{message}");
    let nothing = meds(folder.path(), &options(vec![channel("x", "")], None), &Limits::default());
    assert!(nothing.unwrap_err().to_string().contains("no case has an event"));
}

#[test]
fn converted_omop_is_read_back_and_is_the_same_for_the_same_seed() {
    let people = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/omop/people");
    let coded = sequela_formats::omop::read_omop(&people, &Limits::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| folder.path().join(name));
    let written = write_coded(&coded, &first, 7).unwrap();
    assert_eq!((written.subjects, written.events, written.labels), (3, 22, 0));
    assert_eq!(write_coded(&coded, &second, 7).unwrap(), written);
    let shard = |root: &Path, part: &str| {
        let path = root.join("data").join(part).join("0.parquet");
        sequela_formats::bounded::read(&path, &Limits::default()).unwrap()
    };
    for part in ["train", "tuning", "held_out"] {
        assert_eq!(shard(&first, part), shard(&second, part));
    }
    let summary = meds_summary(&first, 2, &Limits::default()).unwrap();
    assert_eq!((summary.shards, summary.subjects, summary.events), (3, 3, 22));
    assert_eq!(summary.splits.values().collect::<Vec<_>>(), [&1, &1, &1]);
    let (weight, glucose) = ("LOINC//29463-7", "LOINC//2345-7//mg/dL");
    assert_eq!(summary.codes[weight].description, "Body weight");
    assert_eq!(summary.codes[weight].unit(weight), "kg");
    assert_eq!(summary.codes[glucose].unit(glucose), "mg/dL");
    let message = write_coded(&coded, &first, 7).unwrap_err().to_string();
    assert!(message.contains("there is something of this name already"), "{message}");
}

#[test]
fn the_sample_of_meds_transforms() {
    let root = std::env::var_os("SEQUELA_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = root.join("meds_sample");
    if !folder.exists() {
        eprintln!("skipped: {} is not here", folder.display());
        return;
    }
    let summary = meds_summary(&folder, 2, &Limits::default()).unwrap();
    // 30 + 14, 7 and 11 events, as its README has it.
    assert_eq!((summary.shards, summary.subjects, summary.events), (4, 6, 62));
    assert_eq!(summary.splits.values().sum::<usize>(), 6);
    assert_eq!(summary.codes["HR"].description, "Heart Rate");
    let channels = frequent_codes(&folder, 3, 2, &Limits::default()).unwrap();
    let cohort = meds(&folder, &options(channels, None), &Limits::default()).unwrap();
    assert_eq!(cohort.len(), 6);
}
