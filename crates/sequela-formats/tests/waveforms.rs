//! wfdb-python's own sample data, value for value, where they are.
//!
//! The numbers are in `testdata/wfdb/waveforms.csv`, made by `make_waveforms.py` beside it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what is wrong")]
#![allow(clippy::print_stdout, reason = "a test that skips says so")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::wfdb::{Waveform, read_samples, read_waveforms};
use sha2::{Digest as _, Sha256};

/// The folder, or none and a message.
fn sample_data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("SEQUELA_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join("wfdb_formats/sample-data");
    if data.is_dir() {
        return Some(data);
    }
    println!("skipped: wfdb-python's sample data are not at {}", data.display());
    None
}

fn digest(bytes: impl IntoIterator<Item = u8>) -> String {
    let bytes: Vec<u8> = bytes.into_iter().collect();
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// A record, its first frame and the one after the last, and the line of each signal.
type Expected = BTreeMap<(String, String, u64, u64), Vec<(String, usize, String)>>;

fn expected() -> Expected {
    let text = include_str!("../../../testdata/wfdb/waveforms.csv");
    let mut all = Expected::new();
    for line in text.lines().skip(1) {
        // Names of signals may have commas: the last two fields are the count and the digest.
        let (rest, digest) = line.rsplit_once(',').unwrap();
        let (rest, count) = rest.rsplit_once(',').unwrap();
        let fields: Vec<&str> = rest.splitn(6, ',').collect();
        let number = |at: usize| fields[at].parse().unwrap();
        let key = (fields[0].to_owned(), fields[1].to_owned(), number(2), number(3));
        let signal = (fields[5].to_owned(), count.parse().unwrap(), digest.to_owned());
        all.entry(key).or_default().push(signal);
    }
    all
}

#[test]
fn every_sample_is_that_of_wfdb_python() {
    let Some(folder) = sample_data() else { return };
    let (limits, mut wrong) = (Limits::default(), Vec::new());
    let mut count = 0;
    for ((kind, record, first, last), signals) in expected() {
        let path = folder.join(format!("{record}.hea"));
        let found: Vec<(String, usize, String)> = if kind == "d" {
            let samples = read_samples(&path, &limits).unwrap();
            let each = samples.header.signals.iter().zip(&samples.signals);
            each.map(|(signal, found)| {
                let bytes = found.values.iter().flat_map(|value| value.to_le_bytes());
                (signal.description.clone(), found.values.len(), digest(bytes))
            })
            .collect()
        } else {
            let waveforms = read_waveforms(&path, Some(first..last), &limits).unwrap();
            waveforms.signals.iter().map(physical).collect()
        };
        count += found.len();
        for (found, expected) in found.iter().zip(&signals) {
            if found != expected {
                wrong.push(format!("{kind} {record} {first}..{last} {found:?} {expected:?}"));
            }
        }
        assert_eq!(found.len(), signals.len(), "{record}");
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    println!("{count} signals, value for value");
}

fn physical(found: &Waveform) -> (String, usize, String) {
    let value = |value: &f64| if value.is_nan() { -0.0 } else { *value };
    let bytes = found.values.iter().flat_map(|v| value(v).to_le_bytes());
    (found.name.clone(), found.values.len(), digest(bytes))
}

#[test]
fn what_is_not_there_is_told_by_its_file() {
    let Some(folder) = sample_data() else { return };
    let limits = Limits::default();
    let refusal = |record: &str| {
        let path = folder.join(format!("{record}.hea"));
        read_waveforms(&path, None, &limits).unwrap_err().to_string()
    };
    assert!(refusal("n16").contains("n16.dat"), "{}", refusal("n16"));
    // The ninth of its segments was not stored.
    let told = refusal("multi-segment/s00001/s00001-2896-10-10-00-31");
    assert!(told.contains("3975656_0009.dat"), "{told}");
}

/// A record of two signals in three frames, in a folder of its own.
fn small(header: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    put(&folder.path().join("r.dat"), bytes);
    let path = folder.path().join("r.hea");
    put(&path, header.as_bytes());
    (folder, path)
}

#[allow(clippy::disallowed_methods, reason = "a test writes its own small files")]
fn put(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
}

const BYTES: [u8; 12] = [1, 0, 10, 0, 2, 0, 20, 0, 3, 0, 0, 0x80];
const HEADER: &str = "r 2 100 2\nr.dat 16 10/mV 16 0 1 3 0 I\nr.dat 16:1 2/C 16 0 10 31 0 T\n";

#[test]
fn skew_gaps_and_checksums() {
    let (_folder, path) = small(HEADER, &BYTES);
    let limits = Limits::default();
    let samples = read_samples(&path, &limits).unwrap();
    assert_eq!(samples.signals[0].values, [1, 2]);
    assert_eq!(samples.signals[1].values, [20, -0x8000]);
    assert_eq!(samples.signals[0].other_checksum, None);
    // 10 + 20 as they are stored, and 31 is declared.
    assert_eq!(samples.signals[1].other_checksum, Some(30));
    let waveforms = read_waveforms(&path, Some(0..2), &limits).unwrap();
    assert_eq!(waveforms.signals[0].values, [0.1, 0.2]);
    assert!((waveforms.signals[1].values[0] - 10.0).abs() < 1e-12);
    assert!(waveforms.signals[1].values[1].is_nan());
    assert_eq!(waveforms.notes, ["r: the checksum of T is not the declared one"]);
}

#[test]
fn what_cannot_be_read_is_told_with_place_and_remedy() {
    let limits = Limits::default();
    let told = |header: &str, bytes: &[u8]| {
        let (_folder, path) = small(header, bytes);
        read_waveforms(&path, None, &limits).unwrap_err().to_string()
    };
    for cut in 0..8 {
        let told = told(HEADER, &BYTES[..cut]);
        let expected = format!("r.dat: it holds {} samples of each signal, and 2", cut / 4);
        assert!(told.contains(&expected), "{told}");
    }
    let cases = [
        (HEADER.replace(" 16 10", " 17 10"), "there is no storage format 17"),
        (HEADER.replace("r.dat", "../r.dat"), "does not lie beside its header"),
        (HEADER.replace("r.dat 16 10", "r.dat 16x0 10"), "it is not between 1 and 100000"),
        (HEADER.replace("16:1 2", "212 2"), "different formats or offsets"),
        (HEADER.replace(" 2\n", " 99999999999999\n"), "99999999999999 are declared"),
        (HEADER.replace(" 16 10", " 516 10").replace("16:1", "516"), "FLAC stream is broken"),
        ("r/2 2 100 3\n~ 1\n~ 2\n".to_owned(), "all segments are gaps"),
        ("r/1 2 100 3\n../r 3\n".to_owned(), "the name of a segment"),
    ];
    for (header, expected) in cases {
        let told = told(&header, &BYTES);
        assert!(told.contains(expected), "{header}: {told}");
    }
    let (_folder, path) = small(HEADER, &BYTES);
    let few = Limits { steps: 1, ..limits };
    assert!(read_samples(&path, &few).unwrap_err().to_string().contains("number of samples"));
    let beyond = read_waveforms(&path, Some(1..4), &limits).unwrap_err().to_string();
    assert!(beyond.contains("there are 2 frames, and 1 to 4 are asked for"), "{beyond}");
}

#[test]
fn a_few_lines_that_declare_much_take_no_memory() {
    let limits = Limits::default();
    let line =
        |line: &str| (0..20_000).map(|at| format!("{line} s{at}\n")).collect::<Vec<_>>().concat();
    let many = line("r.dat 16x100000 1 16 0 0 0 0");
    let (folder, path) = small(&format!("r 20000 100\n{many}"), &BYTES);
    let read = read_samples(&path, &limits).unwrap();
    assert_eq!((read.frames, read.signals.len()), (0, 20_000));
    let layout = line("~ 0 1 16 0 0 0 0");
    put(&folder.path().join("l.hea"), format!("l 20000 100 0\n{layout}").as_bytes());
    put(&folder.path().join("m.hea"), b"m/2 20000 100 90000000\nl 0\n~ 90000000\n");
    let path = folder.path().join("m.hea");
    let told = read_waveforms(&path, None, &limits).unwrap_err().to_string();
    assert!(told.contains("the number of samples of all signals"), "{told}");
    assert_eq!(read_waveforms(&path, Some(5..9), &limits).unwrap().signals.len(), 20_000);
}

#[test]
fn segments_are_joined_by_the_names_of_their_signals() {
    let (folder, _) = small(HEADER, &BYTES);
    let file = |name: &str, text: &str| put(&folder.path().join(name), text.as_bytes());
    file("l.hea", "l 2 100 0\n~ 0 1/mV 16 0 0 0 0 II\n~ 0 10/mV 16 0 0 0 0 I\n");
    file("a.hea", "a 2 100 3\nr.dat 16 10/mV 16 0 1 6 0 I\nr.dat 16 1/mV 16 0 0 0 0 II\n");
    file("m.hea", "m/4 2 100 5\nl 0\n~ 1\na 3\n~ 1\n");
    let path = folder.path().join("m.hea");
    let limits = Limits::default();
    let all = read_waveforms(&path, None, &limits).unwrap();
    let names: Vec<&str> = all.signals.iter().map(|signal| signal.name.as_str()).collect();
    assert_eq!(names, ["II", "I"]);
    let shown = |values: &[f64]| format!("{values:?}");
    assert_eq!(shown(&all.signals[0].values), "[NaN, 10.0, 20.0, NaN, NaN]");
    assert_eq!(shown(&all.signals[1].values), "[NaN, 0.1, 0.2, 0.3, NaN]");
    let part = read_waveforms(&path, Some(2..4), &limits).unwrap();
    assert_eq!(shown(&part.signals[1].values), "[0.2, 0.3]");
    file("a.hea", "a 2 100 3\nr.dat 16 10/V 16 0 1 6 0 I\nr.dat 16 1/mV 16 0 0 0 0 II\n");
    let told = read_waveforms(&path, None, &limits).unwrap_err().to_string();
    assert!(told.contains("signal 1 is not one of the record's"), "{told}");
    file("a.hea", "a 2 100 2\nr.dat 16 10/mV 16 0 1 6 0 I\nr.dat 16 1/mV 16 0 0 0 0 II\n");
    let told = read_waveforms(&path, None, &limits).unwrap_err().to_string();
    assert!(told.contains("segment 3: 3 samples are declared, and it has 2"), "{told}");
}
