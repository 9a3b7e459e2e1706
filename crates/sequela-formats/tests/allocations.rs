//! What reading holds in memory at most: 16 MiB and four times the bytes of the file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "../../sequela-kernels/tests/support/counting.rs"]
mod counting;

use std::path::Path;

use sequela_core::Limits;
use sequela_formats::csv::{SeriesColumns, parse_series, read_series};
use sequela_formats::{bounded, edf, physionet};

/// Reads with `read` and holds its peak against the bound for a file of `bytes` bytes.
fn within(name: &str, bytes: usize, read: impl FnOnce()) {
    let _turn = counting::turn();
    let ((), peak) = counting::peak(read);
    let bound = (16 << 20) + 4 * bytes;
    assert!(peak <= bound, "{name}: {peak} bytes at once, {bound} are promised");
}

#[test]
fn stays_and_hours() {
    let mut stay = b"Time,Parameter,Value\n00:00,RecordID,7\n".to_vec();
    for _ in 0..400_000 {
        stay.extend_from_slice(b"1:1,K,1\n");
    }
    within("a long stay", stay.len(), || {
        let result = physionet::parse_stay(&stay, "7", Path::new("7.txt"), &Limits::default());
        assert_eq!(result.unwrap().measurements.len(), 400_000);
    });
    let header = physionet::COLUMNS.map(|(name, _)| name).join("|");
    let mut hours = format!("{header}\n");
    for hour in 0..20_000 {
        hours.push_str(&"1|".repeat(39));
        hours.push_str(&hour.to_string());
        hours.push('\n');
    }
    within("many hours", hours.len(), || {
        let result =
            physionet::parse_hours(hours.as_bytes(), "p", Path::new("p.psv"), &Limits::default());
        assert_eq!(result.unwrap().times.len(), 20_000);
    });
}

#[test]
fn hostile_tables() {
    let columns = SeriesColumns::values([("v", "")]);
    let read = |name: &str, bytes: &[u8]| {
        within(name, bytes.len(), || {
            assert!(parse_series(bytes, Path::new(name), &columns, &Limits::default()).is_err());
        });
    };
    read("a million columns", "v,".repeat(1_000_000).as_bytes());
    read("an open quote", format!("\"v\n{}", "1\n".repeat(1_000_000)).as_bytes());
    read("utf-16", &[&[0xFF, 0xFE][..], &[b'v', 0, b'\n', 0].repeat(500_000)].concat());
    read("one long line", format!("v\n{}", "1".repeat(4_000_000)).as_bytes());
}

#[test]
fn hostile_parquet() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tables/hostile");
    let columns = SeriesColumns::values([("v", "")]);
    let limits = Limits { channels: 2000, ..Limits::default() };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = usize::try_from(path.metadata().unwrap().len()).unwrap();
        let started = std::time::Instant::now();
        let mut result = None;
        within(&name, bytes, || result = Some(read_series(&path, &columns, &limits)));
        assert!(started.elapsed().as_secs() < 10, "{name}");
        if name == "a_good_one" {
            assert_eq!(result.unwrap().unwrap().series[0].values, [1.0, 2.0, 3.0]);
            continue;
        }
        seen += 1;
        let message = result.unwrap().unwrap_err().to_string();
        let wanted = EXPECTED.iter().find(|(known, _)| *known == name);
        let wanted = wanted.unwrap_or_else(|| panic!("{name} is not expected: {message}")).1;
        assert!(message.contains(wanted) && !message.contains('\n'), "{name}: {message}");
    }
    assert_eq!(seen, EXPECTED.len());
}

/// What is said of each of the files that `testdata/tables/hostile.py` writes.
const EXPECTED: [(&str, &str); 42] = [
    ("list_of_schema", "at byte 4: the Parquet data are damaged: a list says it is longer"),
    ("list_of_groups", "at byte 4: the Parquet data are damaged: a list says it is longer"),
    ("list_of_unknown", "a list says it is longer than what holds it"),
    ("footer_past_file", "the footer says it is longer than the file"),
    ("footer_4_gib", "the footer says it is longer than the file"),
    ("column_past_file", "a column lies outside the file"),
    ("column_before_file", "a column lies outside the file"),
    ("column_negative", "a size is negative"),
    ("column_cut", ", row 1, field v: the Parquet data are cut short"),
    ("page_2_gib", ", row 1, field v: its pages unpack to more than 8 MiB"),
    ("page_2_gib_snappy", "its pages unpack to more than 8 MiB"),
    ("page_2_gib_gzip", "its pages unpack to more than 8 MiB"),
    ("page_2_gib_zstd", "its pages unpack to more than 8 MiB"),
    ("page_lies_snappy", "a page does not unpack to the size that it says"),
    ("page_lies_gzip", "a page does not unpack to the size that it says"),
    ("page_lies_zstd", "a page does not unpack to the size that it says"),
    ("zstd_window", "a page does not unpack to the size that it says"),
    ("page_packed_2_gib", "are cut short"),
    (
        "bomb_gzip",
        "its pages unpack to more than 8 MiB and twice the file; write it with smaller pages",
    ),
    ("index_out_of_range", "a cell points outside its dictionary"),
    ("dictionary_of_2_g_entries", "a dictionary has more entries than bytes for them"),
    ("no_dictionary", "a cell points outside its dictionary"),
    ("width_255", "numbers of more than 32 bits"),
    ("rows_2_30", "there are more rows than a file of this size can hold"),
    ("rows_2_60", "there are more rows than a file of this size can hold"),
    ("rows_negative", "a size is negative"),
    ("rows_differ", "the row groups have not the rows of the file"),
    ("cells_missing", "a column has fewer cells than rows"),
    ("cells_cut", "are cut short"),
    ("schema_5000_deep", "the schema has lists or structures over 32 deep; write flat columns"),
    ("structures_deep", "structures lie too deep within each other"),
    ("schema_of_nothing", "the schema has fewer parts than it says"),
    ("schema_too_long", "the schema has more parts than it says"),
    ("schema_of_many_children", "the schema has fewer parts than it says"),
    ("schema_unknown_type", "a column has no known type"),
    ("columns_3000", "the number of columns is over the limit of 2000"),
    ("differences_2_g", "there are more differences than cells"),
    ("differences_block_2_g", "a block of differences has an impossible size"),
    ("differences_width_255", "a difference of more than 64 bits"),
    ("texts_that_share", "most of which they share; write the column with a dictionary"),
    ("codec_unknown", "packed with a codec that is not read here; write the file with zstd"),
    ("encoding_unknown", "has an encoding that is not read here"),
];

/// A header of EDF of so many signals, whose fields are set by their place.
fn edf_header(signals: usize, set: &[(usize, &str)]) -> Vec<u8> {
    let mut bytes = vec![b' '; 256 * (signals + 1)];
    let mut put = |at: usize, text: &str| {
        bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, "0");
    put(184, &(256 * (signals + 1)).to_string());
    put(236, "1");
    put(244, "1");
    put(252, &signals.to_string());
    for signal in 0..signals {
        for (part, text) in [(104, "-1"), (112, "1"), (120, "-9"), (128, "9"), (216, "1")] {
            put(256 + signals * part + 8 * signal, text);
        }
    }
    for (at, text) in set {
        put(*at, text);
    }
    bytes
}

#[test]
fn hostile_recordings() {
    let limits = Limits::default();
    let many = 256 + 9999 * 216;
    let samples: String = "99999999".repeat(9999);
    let cases: [(&str, Vec<u8>, &str); 9] = [
        ("a good one", [edf_header(2, &[]), vec![0; 4]].concat(), ""),
        (
            "9999 signals and no more",
            edf_header(9999, &[])[..256].to_vec(),
            "the header is cut short",
        ),
        ("9999 signals", edf_header(9999, &[]), "1 are declared, and the file holds 0"),
        (
            "all sizes at their highest",
            edf_header(9999, &[(236, "99999999"), (many, &samples)]),
            "99999999 are declared, and the file holds 0",
        ),
        ("all sizes, records unknown", edf_header(9999, &[(236, "-1"), (many, &samples)]), ""),
        ("records for nothing", edf_header(1, &[(236, "99999999")]), "99999999 are declared"),
        ("seconds at their highest", [edf_header(1, &[(244, "1e308")]), vec![0; 2]].concat(), ""),
        ("signals in letters", edf_header(1, &[(252, "many")]), "field number of signals"),
        ("signals in letters that are none", edf_header(1, &[(252, "\u{e9}\u{e9}")]), "of signals"),
    ];
    for (name, bytes, expected) in cases {
        let mut result = None;
        within(name, bytes.len(), || {
            result = Some(edf::parse_recording(&bytes, Path::new("h.edf"), &[], &limits));
        });
        match result.unwrap() {
            Ok(_) => assert_eq!(expected, "", "{name} was read"),
            Err(error) => {
                let told = error.to_string();
                assert!(!expected.is_empty() && told.contains(expected), "{name}: {told}");
            }
        }
    }
    // A long recording takes what is promised of it: eight bytes for each sample of two.
    let long = [edf_header(1, &[(236, "4000000 ")]), vec![7; 8_000_000]].concat();
    within("a long recording", long.len(), || {
        let read = edf::parse_recording(&long, Path::new("l.edf"), &[], &limits).unwrap();
        assert_eq!(read.channels[0].values.len(), 4_000_000);
    });
}

#[test]
fn a_bomb_of_gzip() {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packer.write_all(&vec![b'1'; 1 << 20]).unwrap();
    }
    let packed = packer.finish().unwrap();
    within("a bomb", packed.len(), || {
        let result = bounded::gunzip(&packed, Path::new("b.gz"), &Limits::default());
        let message = result.unwrap_err().to_string();
        assert!(message.starts_with("b.gz: the unpacked content"), "{message}");
    });
}
