//! EDF and BDF: what `EDFlib` wrote, value for value; damage; hostile headers.
//!
//! The files and the numbers are in `testdata/edf`, made by `make_edf.py` there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what is wrong")]
#![allow(clippy::print_stdout, reason = "a test that skips says so")]

use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::edf::{
    Layout, Reader, Recording, parse_header, parse_recording, read_recording,
};
use sequela_formats::{Error, bounded, wfdb};
use sha2::{Digest as _, Sha256};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/edf").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    bounded::read(&testdata(name), &Limits::default()).unwrap()
}

fn parse(bytes: &[u8]) -> Result<Recording, Error> {
    parse_recording(bytes, "n.edf".as_ref(), &[], &Limits::default())
}

fn digest(bytes: impl IntoIterator<Item = u8>) -> String {
    let bytes: Vec<u8> = bytes.into_iter().collect();
    Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The numbers of every signal that has samples.
fn numbers(name: &str) -> Vec<Vec<i32>> {
    let mut reader = Reader::open(&testdata(name), &Limits::default()).unwrap();
    let signals = &reader.header().signals;
    let meant: Vec<usize> = (0..signals.len()).filter(|&at| !signals[at].is_annotations).collect();
    let (mut all, mut some) = (vec![Vec::new(); meant.len()], Vec::new());
    while let Some(record) = reader.next_record().unwrap() {
        for (all, &at) in all.iter_mut().zip(&meant) {
            record.digital(at, &mut some);
            all.extend_from_slice(&some);
        }
    }
    all
}

#[test]
fn every_value_and_note_is_that_of_edflib() {
    let table = include_str!("../../../testdata/edf/expected.csv");
    let mut seen = 0;
    for name in ["plain.edf", "night.edf", "ecg.bdf", "old.bdf", "half.edf"] {
        let recording = read_recording(&testdata(name), &[], &Limits::default()).unwrap();
        assert!(recording.notes.is_empty(), "{:?}", recording.notes);
        let mut found = Vec::new();
        for (channel, numbers) in recording.channels.iter().zip(numbers(name)) {
            found.push(format!(
                "signal,{name},{},{},{},{},{},{}",
                channel.name,
                channel.unit,
                channel.frequency,
                channel.values.len(),
                digest(numbers.iter().flat_map(|number| number.to_le_bytes())),
                digest(channel.values.iter().flat_map(|value| value.to_le_bytes())),
            ));
        }
        for note in &recording.annotations {
            let duration = note.duration.unwrap_or(-1.0);
            found.push(format!("note,{name},{:.4},{duration},{},,,", note.onset, note.text));
        }
        let expected: Vec<&str> =
            table.lines().filter(|line| line.split(',').nth(1) == Some(name)).collect();
        assert_eq!(found, expected, "{name}");
        seen += found.len();
    }
    assert_eq!(seen, table.lines().count() - 1);
}

#[test]
fn headers_say_what_was_written() {
    let recording = read_recording(&testdata("night.edf"), &[], &Limits::default()).unwrap();
    let header = &recording.header;
    assert_eq!((header.format(), header.records, header.bytes()), ("EDF+C", Some(6), 1280));
    let who = &header.identification;
    assert_eq!(who.start.as_deref(), Some("2002-03-02T22:15:00"));
    assert!(who.patient.contains("Haagse_Harry") && who.recording.contains("MAR-2002"));
    let eeg = &header.signals[0];
    assert_eq!((eeg.physical, eeg.digital, eeg.samples), ((-440.0, 510.5), (-2048, 2047), 100));
    assert_eq!((eeg.transducer.as_str(), eeg.unit.as_str()), ("AgAgCl cup electrodes", "uV"));
    assert_eq!(eeg.filter, "HP:0.1Hz LP:75Hz N:50Hz");
    // A negative gain: the lowest number is the highest value.
    let flow = &recording.channels[1].values;
    assert!((flow[0] - 50.0).abs() < 1e-9 && (flow[1] + 50.0).abs() < 1e-9);
    assert!(header.signals[3].is_annotations && recording.channels.len() == 3);
    for shown in [format!("{recording:?}"), format!("{header:?}")] {
        for word in ["Haagse", "0234567", "MAR-2002", "2002-03", "ward"] {
            assert!(!shown.contains(word), "{word} is shown");
        }
    }
}

#[test]
fn gaps_are_kept() {
    let whole = read_recording(&testdata("night.edf"), &[], &Limits::default()).unwrap();
    let gaps = read_recording(&testdata("gaps.edf"), &[], &Limits::default()).unwrap();
    assert_eq!(gaps.header.layout, Layout::Discontinuous);
    let shown: Vec<_> = gaps.segments.iter().map(|s| (s.onset, s.records.clone())).collect();
    assert_eq!(shown, [(0.0, 0..3), (103.0, 3..6)]);
    assert_eq!(gaps.channels, whole.channels);
    assert_eq!(whole.segments.len(), 1);
    // The same times in a file that says that it has no gaps.
    let mut bytes = bytes("gaps.edf");
    bytes[196] = b'C';
    let odd = parse(&bytes).unwrap();
    assert_eq!(odd.segments.len(), 1);
    assert!(
        odd.notes[0].starts_with("3 data records say that they do not follow"),
        "{:?}",
        odd.notes
    );
    // Back in time, and without a time.
    let at = bytes.windows(6).position(|part| part == b"+104\x14\x14").unwrap();
    bytes[196] = b'D';
    bytes[at + 1] = b'0';
    let told = parse(&bytes).unwrap_err().to_string();
    assert!(told.contains("begins before the one before it ends"), "{told}");
    bytes[at..at + 7].fill(0);
    let told = parse(&bytes).unwrap_err().to_string();
    assert!(told.contains("does not say when it begins"), "{told}");
}

#[test]
fn signals_are_chosen_by_their_label() {
    let path = testdata("night.edf");
    let some = read_recording(&path, &["SpO2", "Flow"], &Limits::default()).unwrap();
    let names: Vec<&str> = some.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["SpO2", "Flow"]);
    let told = read_recording(&path, &["ECG"], &Limits::default()).unwrap_err().to_string();
    assert!(told.ends_with("no such column; its signals are EEG Fpz-Cz, Flow, SpO2"), "{told}");
    let few = Limits { steps: 100, ..Limits::default() };
    let told = read_recording(&path, &["Flow"], &few).unwrap_err().to_string();
    assert!(told.contains("the number of samples of a signal"), "{told}");
}

#[test]
fn files_of_wfdb_pythons_sample_data() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("SEQUELA_DATA")
        .map_or_else(|| root.join("../shared/data"), PathBuf::from)
        .join("wfdb_formats/sample-data");
    if !data.is_dir() {
        println!("skipped: wfdb-python's sample data are not at {}", data.display());
        return;
    }
    let limits = Limits::default();
    // Annotations alone; pyEDFlib counts 856.
    let notes = read_recording(&data.join("test_edfann.edf"), &[], &limits).unwrap();
    assert_eq!((notes.annotations.len(), notes.channels.len()), (856, 0));
    // A recording and the record of WFDB that was made of it, number for number. Two units are a degree sign.
    let path = data.join("test_generator_2.edf");
    let generator = read_recording(&path, &[], &limits).unwrap();
    let record = wfdb::read_samples(&data.join("test_generator_2.hea"), &limits).unwrap();
    let mut reader = Reader::open(&path, &limits).unwrap();
    let mut numbers = vec![Vec::new(); generator.channels.len()];
    let mut some = Vec::new();
    while let Some(one) = reader.next_record().unwrap() {
        for (at, all) in numbers.iter_mut().enumerate() {
            one.digital(at, &mut some);
            all.extend_from_slice(&some);
        }
    }
    for ((at, channel), numbers) in generator.channels.iter().enumerate().zip(&numbers) {
        let signal = &record.header.signals[at];
        assert_eq!(channel.name, signal.description);
        assert!(*numbers == record.signals[at].values, "{}", channel.name);
        assert_eq!(channel.unit, signal.unit);
    }
    assert_eq!((numbers.len(), numbers[0].len()), (11, 120_000));
}

/// The file with other bytes at a place.
fn with(name: &str, at: usize, text: &str) -> Vec<u8> {
    let mut bytes = bytes(name);
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    bytes
}

#[test]
fn an_unknown_number_of_records_is_what_the_file_holds() {
    let name = "plain.edf";
    let mut open = with(name, 236, "-1");
    assert_eq!(parse(&open).unwrap().channels, parse(&bytes(name)).unwrap().channels);
    open.truncate(open.len() - 1);
    let cut = parse(&open).unwrap();
    assert_eq!((cut.channels[0].values.len(), cut.segments[0].records.end), (600, 6));
    assert_eq!(cut.notes, ["201 bytes after the last data record are not read"]);
    open.truncate(256 * 3);
    let none = parse(&open).unwrap();
    assert_eq!((none.channels[0].values.len(), none.segments.len()), (0, 0));
    let fewer = parse(&with(name, 236, "5")).unwrap();
    assert_eq!(fewer.notes, ["404 bytes after the last data record are not read"]);
}

#[test]
fn a_start_between_two_seconds_is_kept() {
    let mut bytes = bytes("night.edf");
    let at = bytes.windows(5).position(|part| part == b"+0\x14\x14\0").unwrap();
    let rest = bytes[at + 5..at + 40].to_vec();
    bytes[at..at + 8].copy_from_slice(b"+0.25\x14\x14\0");
    bytes[at + 8..at + 43].copy_from_slice(&rest);
    let moved = parse(&bytes).unwrap();
    assert!((moved.segments[0].onset - 0.25).abs() < 1e-12);
    // The other records say another time by a quarter of a second, which is many samples.
    assert!(moved.notes[0].starts_with("5 data records say"), "{:?}", moved.notes);
}

#[test]
fn annotations_may_be_all_there_is() {
    let lists = b"+0\x14\x14\0+12\x1530\x14Sleep stage W\x14\0+42\x1530\x14Sleep stage 1\x14\0";
    let mut bytes = bytes("plain.edf");
    bytes.truncate(512);
    for (at, text) in [
        (184, "512  "),
        (192, "EDF+C"),
        (236, "1       "),
        (244, "0       "),
        (252, "1   "),
        (256, "EDF Annotations "),
        (472, "60      "),
    ] {
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    }
    for (at, text) in [(352, ""), (360, "-1"), (368, "1"), (376, "-32768"), (384, "32767")] {
        bytes[at..at + 8].copy_from_slice(format!("{text:8}").as_bytes());
    }
    bytes.extend_from_slice(lists);
    bytes.resize(512 + 120, 0);
    let recording = parse(&bytes).unwrap();
    assert!(recording.channels.is_empty());
    let shown: Vec<_> =
        recording.annotations.iter().map(|note| (note.onset, note.duration)).collect();
    assert_eq!(shown, [(12.0, Some(30.0)), (42.0, Some(30.0))]);
}

#[test]
fn broken_fields_are_told_by_byte_and_field() {
    // Fields of the two signals: those of one kind stand beside each other.
    let field = |part: usize, signal: usize, width: usize| 256 + 2 * part + signal * width;
    let cases: [(usize, &str, &str); 24] = [
        (0, "1       ", "at byte 0, field version: it does not begin as EDF or BDF do"),
        (184, "1000    ", "at byte 184, field bytes of the header: it is not 768, which 2 signals"),
        (184, "        ", "at byte 184, field bytes of the header: the field is blank"),
        (
            236,
            "8       ",
            "at byte 236, field number of data records: 8 are declared, and the file holds 7",
        ),
        (236, "99999999", "99999999 are declared, and the file holds 7"),
        (236, "-2      ", "it is not a whole number from -1 to"),
        (236, "7.5     ", "it is not a whole number from -1 to"),
        (236, "abc     ", "field number of data records: the field is not a number"),
        (244, "-1      ", "at byte 244, field seconds of a data record: it is negative"),
        (244, "0       ", "it is not positive, and there are signals"),
        (244, "0,5     ", "the number is written with a comma; write a point"),
        (244, "inf     ", "field seconds of a data record: the field is not a number"),
        (244, "1e999   ", "field seconds of a data record: the field is not a number"),
        (244, "\u{e9}\u{e9}", "field seconds of a data record: the field is not a number"),
        (252, "9999", "it is not 2560000, which 9999 signals take"),
        (252, "-1  ", "at byte 252, field number of signals: it is not a whole number from 1"),
        (252, "    ", "at byte 252, field number of signals: the field is blank"),
        (252, "0   ", "at byte 252, field number of signals: it is not a whole number from 1"),
        (field(104, 1, 8), "1,5", "at byte 472, field physical minimum of signal 2: the number is"),
        (
            field(112, 0, 8),
            "none    ",
            "field physical maximum of signal 1: the field is not a number",
        ),
        (
            field(104, 0, 8),
            "510.5   ",
            "field physical minimum: the physical minimum and maximum are",
        ),
        (field(120, 0, 8), "2047    ", "field digital minimum: the digital minimum is not below"),
        (
            field(216, 1, 8),
            "0       ",
            "field samples of a record of signal 2: it is not a whole number",
        ),
        (field(216, 1, 8), "99999999", "7 are declared, and the file holds 0"),
    ];
    for (at, text, expected) in cases {
        let told = parse(&with("plain.edf", at, text)).unwrap_err().to_string();
        assert!(told.contains(expected), "{at} {text:?}: {told}");
        assert!(!told.contains("Haagse") && !told.contains('\n'), "{told}");
    }
    // One signal without a range leaves the others readable.
    let broken = with("plain.edf", field(104, 0, 8), "510.5   ");
    let name = Path::new("n.edf");
    let other = parse_recording(&broken, name, &["SpO2"], &Limits::default()).unwrap();
    assert_eq!(other.channels[0].values.len(), 7);
    let few = Limits { channels: 1, ..Limits::default() };
    let told = parse_header(&bytes("plain.edf"), name, &few).unwrap_err().to_string();
    assert!(told.contains("the number of signals is over the limit of 1"), "{told}");
    let unit = parse(&with("plain.edf", field(96, 0, 8), "\u{b5}V")).unwrap();
    assert_eq!(unit.channels[0].unit, "\u{b5}V");
}

#[test]
fn cut_and_damaged_files_are_refused_or_read_and_never_quoted() {
    for name in ["plain.edf", "night.edf", "gaps.edf", "ecg.bdf"] {
        let whole = bytes(name);
        for cut in 0..whole.len() {
            assert!(parse(&whole[..cut]).is_err(), "{name}: cut at {cut} it was read");
        }
        let mut bytes = whole.clone();
        for at in 0..bytes.len() {
            for flip in [1, 0x80, 0xFF, whole[at], whole[at] ^ b','] {
                bytes[at] ^= flip;
                if let Err(error) = parse(&bytes) {
                    let told = error.to_string();
                    assert!(!told.contains("Haagse") && !told.contains("Apnoea"), "{told}");
                }
                bytes[at] = whole[at];
            }
        }
    }
}
