//! Real records against what wfdb-python and `NumPy` say of them.
#![allow(clippy::unwrap_used, reason = "tests, run without the usual harness")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use sequela_core::{Limits, Sequence, Steps, Target};
use sequela_data::Cohort;
use sequela_data::heart_rate::{BeatOptions, Ectopic};
use sequela_data::load::{
    AnnotatedBeats, Stays, Subjects, annotated_beats, intervals, long, physionet2012, physionet2019,
};
use sequela_data::plausible::check_units;
use sequela_data::testing::DataSetTests;
use sequela_formats::archive::Archive;
use sequela_formats::wfdb::{Annotations, read_annotations, read_header, read_records};
use sequela_formats::{bounded, csv, durable};

fn main() -> ExitCode {
    let mut tests = DataSetTests::new();
    tests.run("mitbih", "annotations of all records agree with wfdb-python", mitbih_annotations);
    tests.run("mitbih", "heart rates of all records have the right beats", mitbih_heart_rates);
    tests.run("mitbih", "the publisher's layout reads as the archives do", publishers_layout);
    tests.run("wfdb_formats", "annotations of all annotators agree", sample_annotations);
    tests.run("wfdb_formats", "every sample header is read", sample_headers);
    tests.run("heart_rate", "intervals give the mean rate that NumPy gives", interval_files);
    tests.run("moleculenet", "a foreign table in gzip is refused in one line", foreign_table);
    tests.run("icu_open_demos", "a long table is found, read, and its units checked", labs);
    tests.run("physionet2012", "stays are those that the publisher counts", stays);
    tests.run("physionet2019", "hours and labels are those that the publisher counts", hours);
    tests.finish()
}

/// Published: 4000 stays in each set, 554 and 568 deaths. The heart rates of set A were counted by
/// `awk -F, '$1 != "48:00" && $2 == "HR" && $3 > 0 { n[FILENAME $1] } END { print length(n) }'`.
fn stays(folder: &Path) {
    let hourly = Stays { every_hours: Some(1.0), ..Stays::default() };
    let limits = Limits::default();
    let all = physionet2012(folder, &hourly, &limits).unwrap();
    let died = |cohort: &Cohort| {
        cohort.sequences().iter().filter(|stay| stay.target == Target::Class(1)).count()
    };
    assert_eq!((all.len(), all.subjects().len(), died(&all)), (8000, 8000, 554 + 568));
    let a = physionet2012(&folder.join("set-a.tar.gz"), &hourly, &limits).unwrap();
    assert_eq!((a.len(), died(&a)), (4000, 554));
    assert!(a.sequences().iter().all(|stay| stay.len() <= 48));
    let native = Stays::default();
    let native = physionet2012(&folder.join("set-a.tar.gz"), &native, &limits).unwrap();
    let rate = native.schema().position("HR").unwrap();
    let observed: usize = native
        .sequences()
        .iter()
        .map(|stay| {
            let Steps::Numeric { observed, features, .. } = &stay.steps else { unreachable!() };
            observed.iter().skip(rate).step_by(*features).filter(|seen| **seen).count()
        })
        .sum();
    assert_eq!(observed, 228_467);
}

/// The laboratory table of the eICU demo, long and in gzip. Its potassium results were counted by
/// `zcat lab.csv.gz | awk -F, '$5 == "potassium" && $6 != ""' | wc -l`; its temperatures are in
/// Celsius and Fahrenheit under one name, without a unit.
fn labs(folder: &Path) {
    let path = folder.join("eicu_demo/lab.csv.gz");
    let limits = Limits::default();
    let sniffed = csv::sniff_long(&path, &limits).unwrap().unwrap();
    let columns = sniffed.columns;
    assert_eq!(
        (columns.subject.as_str(), columns.name.as_str(), columns.value.as_str()),
        ("patientunitstayid", "labname", "labresult")
    );
    assert_eq!(columns.time.format, csv::TimeFormat::Minutes);
    let table = csv::read_long(&path, &columns, &limits).unwrap();
    let potassium = columns.channels.iter().position(|channel| channel.name == "potassium");
    let readings = table.series.iter().flat_map(|series| &series.readings);
    let count = readings.filter(|reading| Some(reading.channel as usize) == potassium).count();
    assert_eq!(count, 1_167);
    let cohort = long(&path, &columns, None, &limits).unwrap();
    let findings: Vec<String> = check_units(&cohort).into_iter().map(|f| f.channel).collect();
    assert_eq!(findings, ["Temperature", "ionized calcium"]);
}

/// Published: 10,000 patients, 378,417 hours, 550 patients with sepsis, 5,201 positive hours.
fn hours(folder: &Path) {
    let cohort = physionet2019(folder, &Limits::default()).unwrap();
    assert_eq!((cohort.len(), cohort.steps()), (10_000, 378_417));
    let positive = |sequence: &Sequence| match &sequence.target {
        Target::PerStep(labels) => labels.iter().filter(|label| **label == Some(1)).count(),
        _ => unreachable!("every hour has a label"),
    };
    let counts: Vec<usize> = cohort.sequences().iter().map(positive).collect();
    assert_eq!(counts.iter().sum::<usize>(), 5201);
    assert_eq!(counts.iter().filter(|count| **count > 0).count(), 550);
}

/// The rows of an expectation file, by the name in their first column.
fn expected(file: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/formats").join(file);
    let bytes = bounded::read(&path, &Limits::default()).unwrap();
    let text = bounded::text(&bytes, &path).unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    lines
        .map(|line| {
            let row: BTreeMap<String, String> = header
                .iter()
                .zip(line.split(','))
                .map(|(name, cell)| ((*name).to_owned(), cell.to_owned()))
                .collect();
            (row["name"].clone(), row)
        })
        .collect()
}

/// What the script that made the expectations computes, from what was read here.
fn summary(annotations: &Annotations, frequency: f64) -> BTreeMap<String, String> {
    let list = &annotations.list;
    let beats: Vec<u64> = list.iter().filter(|a| a.code.is_beat()).map(|a| a.sample).collect();
    let intervals: Vec<u64> = beats.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let ticks = annotations.time_resolution.unwrap_or(frequency);
    let in_range = |&&interval: &&u64| (0.2..=3.0).contains(&(interval as f64 / ticks));
    let mut counts = BTreeMap::new();
    for annotation in list.iter().filter(|a| !a.code.symbol().is_empty()) {
        *counts.entry(annotation.code.symbol()).or_insert(0) += 1;
    }
    let name = |symbol| if symbol == "\"" { "note" } else { symbol };
    let symbols: Vec<String> = counts.iter().map(|(s, c)| format!("{}:{c}", name(*s))).collect();
    let mut fields = 0_i128;
    for a in list {
        for number in [
            i128::from(a.sample),
            i128::from(a.code.0),
            i128::from(a.subtype),
            i128::from(a.channel),
            i128::from(a.number),
        ] {
            fields = (fields * 31 + number + 1000).rem_euclid((1 << 31) - 1);
        }
    }
    let optional = |beat: Option<&u64>| beat.map_or_else(String::new, ToString::to_string);
    [
        ("annotations", list.len().to_string()),
        ("beats", beats.len().to_string()),
        ("first_beat", optional(beats.first())),
        ("last_beat", optional(beats.last())),
        ("rr_sum", intervals.iter().sum::<u64>().to_string()),
        ("rr_in_range", intervals.iter().filter(in_range).count().to_string()),
        ("symbols", symbols.join(" ")),
        ("fields", fields.to_string()),
        ("aux_bytes", list.iter().map(|a| a.aux.chars().count()).sum::<usize>().to_string()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

fn agree(name: &str, ours: &BTreeMap<String, String>, theirs: &BTreeMap<String, String>) {
    for (field, value) in ours {
        assert_eq!(value, &theirs[field], "{name}: {field}");
    }
}

fn archives(folder: &Path) -> Vec<PathBuf> {
    ["mitbih_ds1.tar.xz", "mitbih_paced.tar.xz"].map(|name| folder.join(name)).into()
}

fn mitbih_annotations(folder: &Path) {
    let expected = expected("wfdb_mitbih.csv");
    let records = read_records(folder, "atr", &Limits::default()).unwrap();
    assert_eq!(records.len(), 26);
    for record in records {
        let header = &record.header;
        let mut ours = summary(record.annotations.as_ref().unwrap(), header.sampling_frequency);
        ours.insert("frequency".into(), header.sampling_frequency.to_string());
        ours.insert("header_samples".into(), header.samples.unwrap().to_string());
        ours.insert("signals".into(), header.signals.len().to_string());
        agree(&record.name, &ours, &expected[&record.name]);
    }
}

fn mitbih_heart_rates(folder: &Path) {
    let expected = expected("wfdb_mitbih.csv");
    let options = AnnotatedBeats { subjects: Subjects::Mitbih, ..AnnotatedBeats::default() };
    let cohort = annotated_beats(&archives(folder), &options, &Limits::default()).unwrap();
    assert_eq!((cohort.len(), cohort.subjects().len()), (26, 26));
    for sequence in cohort.sequences() {
        let theirs = &expected[&sequence.id];
        let number = |field: &str| theirs[field].parse::<usize>().unwrap();
        assert_eq!(sequence.len(), number("beats") - 1, "{}", sequence.id);
        assert_eq!(sequence.len() - sequence.missing(), number("rr_in_range"), "{}", sequence.id);
        let last = *sequence.times.as_ref().unwrap().last().unwrap();
        assert!((last * 3600.0 * 360.0 - number("last_beat") as f64).abs() < 1e-6);
    }
    let beats = BeatOptions { ectopic: Ectopic::Mask, ..BeatOptions::default() };
    let masked = AnnotatedBeats { beats, ..options };
    let normal = annotated_beats(&archives(folder), &masked, &Limits::default()).unwrap();
    assert!(normal.missing() > cohort.missing() + 10_000);
    assert_ne!(normal.fingerprint(), cohort.fingerprint());
}

/// Single files, as PhysioNet has them and `data get` leaves them, against our archives of them.
fn publishers_layout(folder: &Path) {
    let limits = Limits::default();
    let files = tempfile::tempdir().unwrap();
    for path in archives(folder) {
        let mut archive = Archive::open(&path, &limits).unwrap();
        while let Some(entry) = archive.next_file().unwrap() {
            let name = entry.name.rsplit('/').next().unwrap();
            if Path::new(&name).extension().is_none_or(|end| end != "dat") {
                let bytes = archive.content(limits.file_bytes).unwrap();
                durable::write_atomic(&files.path().join(name), &bytes).unwrap();
            }
        }
    }
    let options = AnnotatedBeats { subjects: Subjects::Mitbih, ..AnnotatedBeats::default() };
    let cohort = |path: &Path| annotated_beats(&[path.to_owned()], &options, &limits).unwrap();
    assert_eq!(cohort(files.path()).fingerprint(), cohort(folder).fingerprint());
}

fn sample_annotations(folder: &Path) {
    for (name, theirs) in expected("wfdb_samples.csv") {
        let path = folder.join("sample-data").join(&name);
        let annotations = read_annotations(&path, &Limits::default()).unwrap();
        let header = path.with_extension("hea");
        let frequency = if header.exists() {
            read_header(&header, &Limits::default()).unwrap().sampling_frequency
        } else {
            250.0
        };
        agree(&name, &summary(&annotations, frequency), &theirs);
    }
}

fn sample_headers(folder: &Path) {
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.join("sample-data")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "hea") {
            let header = read_header(&path, &Limits::default()).unwrap();
            assert!(!header.signals.is_empty(), "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 30, "{seen} headers");
}

fn interval_files(folder: &Path) {
    // numpy: a = numpy.load(file); len(a), (60000 / a).mean(), a.sum()
    for (file, count, mean, total) in [
        ("pyhrv_nni_long.npy", 4684, 78.989_957_297_498_25, 3_599_365.0),
        ("pyhrv_nni_short.npy", 337, 68.215_347_182_136_36, 299_578.0),
    ] {
        let path = folder.join(file);
        let cohort = intervals(&path, &BeatOptions::default(), &Limits::default()).unwrap();
        let sequence = &cohort.sequences()[0];
        let Steps::Numeric { values, .. } = &sequence.steps else { unreachable!() };
        assert_eq!((values.len(), sequence.missing()), (count, 0));
        let found = values.iter().map(|&v| f64::from(v)).sum::<f64>() / values.len() as f64;
        assert!((found - mean).abs() < 1e-5, "{file}: {found}");
        let last = *sequence.times.as_ref().unwrap().last().unwrap();
        assert!((last * 3_600_000.0 - total).abs() < 1e-3, "{file}: {last}");
    }
}

fn foreign_table(folder: &Path) {
    let columns = csv::SeriesColumns::values([("logSolubility", "")]);
    let path = folder.join("delaney.csv.gz");
    let error = csv::read_series(&path, &columns, &Limits::default()).unwrap_err();
    assert!(!error.to_string().contains('\n'));
    assert!(error.to_string().contains("there is no such column"), "{error}");
}
