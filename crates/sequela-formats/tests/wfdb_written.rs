//! What is written as WFDB: records and annotations that wfdb-python reads, and that are read back here.
//!
//! `testdata/wfdb/check_written.py` made `written.csv`: it read the files that this test leaves in the folder
//! `SEQUELA_WRITTEN` with wfdb-python, held every value against the formulas below, and noted their digests.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test stops at what is wrong")]

use std::path::Path;

use sequela_core::{Limits, Random};
use sequela_formats::durable::write_atomic;
use sequela_formats::wfdb::{
    Annotation, Annotations, Code, Definition, Header, RecordFiles, parse_annotations,
    parse_header, read_samples, read_waveforms, read_waveforms_into, to_annotations, to_record,
};
use sha2::{Digest as _, Sha256};

const FORMATS: [(u16, u32); 10] = [
    (8, 8),
    (16, 16),
    (24, 24),
    (32, 32),
    (61, 16),
    (80, 8),
    (160, 16),
    (212, 12),
    (310, 10),
    (311, 10),
];

/// Sample `at` of a signal of so many bits: never the lowest number, which stands for a missing sample.
fn sample(format: u16, bits: u32, signal: u64, at: u64) -> i32 {
    if format == 8 {
        // Steps of -100 to 100 and back.
        return i32::try_from((at * 37 + signal * 11) % 101).unwrap();
    }
    let span = (1_u64 << bits) - 1;
    let value = (at * at * 2_654_435 + at * 7919 + signal * 104_729) % span;
    i32::try_from(i64::try_from(value).unwrap() - (1_i64 << (bits - 1)) + 1).unwrap()
}

fn record(format: u16, bits: u32, frames: u64) -> (Header, Vec<Vec<i32>>) {
    // Two signals in one file; of format 16 the second has three samples in each frame.
    let each = if format == 16 { 3 } else { 1 };
    let text = format!(
        "w{format} 2 250.5 {frames}\nw{format}.dat {format} 200.25(-3)/mV {bits} 0 0 0 0 lead II\n\
         w{format}.dat {format}x{each} 50/mmHg {bits} 1 0 0 0 ABP\n# written by a test\n"
    );
    let header = parse_header(text.as_bytes(), "w.hea".as_ref(), &Limits::default()).unwrap();
    let list =
        |signal: u64, count: u64| (0..count).map(|at| sample(format, bits, signal, at)).collect();
    (header, vec![list(0, frames), list(1, each * frames)])
}

fn annotations() -> Annotations {
    let one = |at: u64| Annotation {
        sample: at * at * 331,
        code: Code([1, 5, 28, 14, 8][usize::try_from(at % 5).unwrap()]),
        subtype: [0, 0, 1, -1, 0][usize::try_from(at % 5).unwrap()],
        channel: u8::try_from(at / 7 % 2).unwrap(),
        number: i8::try_from(at / 11 % 3).unwrap(),
        aux: if at % 5 == 2 { format!("(AFIB{at}") } else { String::new() },
    };
    Annotations { list: (1..60).map(one).collect(), ..Annotations::default() }
}

fn keep(folder: &Path, name: &str, files: &RecordFiles) {
    write_atomic(&folder.join(format!("{name}.hea")), &files.header).unwrap();
    for (name, bytes) in &files.signals {
        write_atomic(&folder.join(name), bytes).unwrap();
    }
}

#[test]
fn what_is_written_is_what_wfdb_python_reads() {
    let folder = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("SEQUELA_WRITTEN").map_or(folder.path().to_owned(), Into::into);
    let digest = |bytes: &[u8]| {
        Sha256::digest(bytes).iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    };
    let mut found = Vec::new();
    for (format, bits) in FORMATS {
        let (header, samples) = record(format, bits, 301);
        let name = header.record.clone();
        let files = to_record(&header, &samples, name.as_ref()).unwrap();
        keep(&folder, &name, &files);
        found.push(format!("{name}.hea,{}", digest(&files.header)));
        found.push(format!("{name}.dat,{}", digest(&files.signals[0].1)));
        // Back again.
        let path = folder.join(format!("{name}.hea"));
        let read = read_samples(&path, &Limits::default()).unwrap();
        assert_eq!(read.header.samples, Some(301));
        for (signal, samples) in read.signals.iter().zip(&samples) {
            assert_eq!((&signal.values, signal.other_checksum), (samples, None), "{format}");
        }
        // In f32 the same values, rounded.
        let whole = read_waveforms(&path, None, &Limits::default()).unwrap();
        let mut narrow = vec![vec![7.0; 5]; 3];
        let (_, notes) = read_waveforms_into(&path, &mut narrow, &Limits::default()).unwrap();
        assert!(notes.is_empty() && narrow.len() == 2);
        for (signal, narrow) in whole.signals.iter().zip(&narrow) {
            #[allow(clippy::cast_possible_truncation, reason = "f32 is what is compared")]
            let same = signal.values.iter().map(|&v| (v as f32).to_bits());
            assert!(same.eq(narrow.iter().map(|v| v.to_bits())), "{format}");
        }
    }
    let bytes = to_annotations(&annotations(), "w.atr".as_ref()).unwrap();
    write_atomic(&folder.join("w16.atr"), &bytes).unwrap();
    found.push(format!("w16.atr,{}", digest(&bytes)));
    let expected: Vec<&str> =
        include_str!("../../../testdata/wfdb/written.csv").lines().skip(1).collect();
    assert_eq!(found, expected);
}

#[test]
fn wrong_checksums_and_missing_samples_are_seen_block_by_block_too() {
    let folder = tempfile::tempdir().unwrap();
    // Four signals: two triples in a frame; more frames than are read at once.
    let line = |at| format!("b.dat 212 {}/mV 12 0 0 0 0 s{at}\n", 100 + at);
    let lines = [0, 1, 2, 3].map(line).concat();
    let text = format!("b 4 100 20000\n{lines}");
    let mut header = parse_header(text.as_bytes(), "b.hea".as_ref(), &Limits::default()).unwrap();
    let samples: Vec<Vec<i32>> = (0..4)
        .map(|signal| {
            (0..20_000).map(|at| sample(212, 12, signal, at) - i32::from(at == 5)).collect()
        })
        .map(|mut list: Vec<i32>| {
            list[7] = -2048;
            list
        })
        .collect();
    let files = to_record(&header, &samples, "b".as_ref()).unwrap();
    keep(folder.path(), "b", &files);
    let path = folder.path().join("b.hea");
    let whole = read_waveforms(&path, None, &Limits::default()).unwrap();
    let mut narrow = Vec::new();
    let (_, notes) = read_waveforms_into(&path, &mut narrow, &Limits::default()).unwrap();
    assert!(notes.is_empty() && whole.notes.is_empty(), "{notes:?}");
    for (signal, narrow) in whole.signals.iter().zip(&narrow) {
        assert!(narrow[7].is_nan() && narrow.len() == 20_000);
        #[allow(clippy::cast_possible_truncation, reason = "f32 is what is compared")]
        let same = signal.values.iter().map(|&v| (v as f32).to_bits());
        assert!(same.eq(narrow.iter().map(|v| v.to_bits())));
    }
    // Another checksum, a shorter file, more frames than there are.
    header = parse_header(&files.header, "b.hea".as_ref(), &Limits::default()).unwrap();
    let sum = header.signals[2].checksum.unwrap();
    let odd = String::from_utf8(files.header).unwrap();
    let odd = odd.replace(&format!(" {sum} 0 s2"), &format!(" {} 0 s2", sum + 1));
    write_atomic(&path, odd.as_bytes()).unwrap();
    let (_, notes) = read_waveforms_into(&path, &mut narrow, &Limits::default()).unwrap();
    assert_eq!(notes, ["b: the checksum of s2 is not the declared one"]);
    write_atomic(&path, odd.replace("20000\n", "20001\n").as_bytes()).unwrap();
    let told = read_waveforms_into(&path, &mut narrow, &Limits::default()).unwrap_err().to_string();
    assert!(told.contains("b.dat: it holds 20000 samples of each signal, and 20001"), "{told}");
}

/// Spoils a record.
type Change<'a> = &'a dyn Fn(&mut Header, &mut Vec<Vec<i32>>);

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let (header, samples) = record(212, 12, 4);
    let told = |change: Change<'_>| {
        let (mut header, mut samples) = (header.clone(), samples.clone());
        change(&mut header, &mut samples);
        to_record(&header, &samples, "r.hea".as_ref()).unwrap_err().to_string()
    };
    let cases: [(&str, Change<'_>); 9] = [
        ("field lead II: a sample does not fit into the bits", &|_, s| s[0][1] = 2048),
        ("field ABP: it has another number of frames", &|_, s| s[1].truncate(3)),
        ("there is not one list of samples", &|_, s| s.truncate(1)),
        ("there is no sample", &|_, s| s.iter_mut().for_each(Vec::clear)),
        ("format 516 is not written", &|h, _| h.signals.iter_mut().for_each(|s| s.format = 516)),
        ("its gain is no number but 0", &|h, _| h.signals[0].gain = f64::NAN),
        ("a part of its line is no word", &|h, _| h.signals[0].unit = "m V".into()),
        ("it is not one line", &|h, _| h.comments[0] = "a\nb".into()),
        ("need one format, and no skew", &|h, _| h.signals[1].skew = 1),
    ];
    for (expected, change) in cases {
        let told = told(change);
        assert!(told.contains(expected), "{told}");
    }
    let refused = |change: &dyn Fn(&mut Annotation)| {
        let mut all = annotations();
        change(&mut all.list[3]);
        to_annotations(&all, "r.atr".as_ref()).unwrap_err().to_string()
    };
    assert!(refused(&|a| a.sample = 1).contains("annotation 4: the samples go backwards"));
    assert!(refused(&|a| a.code = Code(50)).contains("its code is not between 1 and 49"));
    assert!(refused(&|a| a.aux = "x".repeat(256)).contains("its text has over 255 bytes"));
}

#[test]
fn annotations_of_every_kind_come_back() {
    for seed in 0..200 {
        let random = Random::new(seed, 3);
        let draw = |at: u64, most: u64| random.below(at, most);
        let mut at = 0;
        let list: Vec<Annotation> = (0..draw(0, 40))
            .map(|number| {
                let word = 10 * number;
                at += [0, 1, 1023, 1024, 70_000, 3 << 31]
                    [usize::try_from(draw(word + 1, 6)).unwrap()];
                Annotation {
                    sample: at,
                    code: Code(u8::try_from(1 + draw(word + 2, 21)).unwrap()),
                    subtype: i8::try_from(draw(word + 3, 3)).unwrap() - 1,
                    channel: u8::try_from(draw(word + 4, 3)).unwrap(),
                    number: i8::try_from(draw(word + 5, 3)).unwrap() - 1,
                    aux: "\u{e9}x(".repeat(usize::try_from(draw(word + 6, 9)).unwrap()),
                }
            })
            .collect();
        let definition =
            Definition { code: Code(42), symbol: "w".into(), description: "my wave".into() };
        let all = Annotations {
            list,
            time_resolution: (seed % 2 == 0).then_some(999.56),
            definitions: if seed % 3 == 0 { vec![definition] } else { Vec::new() },
            notes: if seed % 4 == 0 { vec!["made by hand".into()] } else { Vec::new() },
        };
        let bytes = to_annotations(&all, "a".as_ref()).unwrap();
        let read = parse_annotations(&bytes, "a".as_ref(), &Limits::default()).unwrap();
        assert_eq!(read, all, "{seed}");
    }
}
