//! Hostile tables of text: a case for each line of the list of hostile files, and thousands that
//! are drawn from a seed. Each is read or refused in one line that names the file and quotes no
//! cell, and none takes more than 16 MiB and four times its bytes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "../../sequela-kernels/tests/support/counting.rs"]
mod counting;

use std::io::Write as _;
use std::path::Path;

use sequela_core::{Limits, Random};
use sequela_formats::csv::{
    LongColumns, SeriesColumns, TimeColumn, TimeFormat, ValueColumn, parse_labels, parse_long,
    parse_series, sniff_bytes,
};
use sequela_formats::{bounded, durable};

const NAME: &str = "ward.csv";

fn wide() -> SeriesColumns {
    SeriesColumns::values([("hr", "bpm"), ("temp", "C")])
        .with_subject("id")
        .with_time("minutes", TimeFormat::Minutes)
}

fn long() -> LongColumns {
    LongColumns {
        subject: "id".into(),
        time: TimeColumn { name: "minutes".into(), format: TimeFormat::Minutes },
        name: "ward".into(),
        value: "hr".into(),
        unit: None,
        channels: vec![ValueColumn { name: "north".into(), unit: String::new() }],
    }
}

/// Reads in every way and gives what was refused, after holding memory, values and messages
/// against what is promised.
fn refusals(bytes: &[u8], case: &str) -> Vec<String> {
    let limits = Limits::default();
    let name = Path::new(NAME);
    let ways: [&dyn Fn() -> Result<bool, sequela_formats::Error>; 4] = [
        &|| {
            let table = parse_series(bytes, name, &wide(), &limits)?;
            Ok(table.series.iter().flat_map(|s| &s.values).all(|v| !v.is_infinite())
                && table.series.iter().all(|s| s.times.as_ref().is_none_or(|t| t.is_sorted())))
        },
        &|| {
            let table = parse_long(bytes, name, &long(), &limits)?;
            Ok(table.series.iter().flat_map(|s| &s.readings).all(|r| r.value.is_finite()))
        },
        &|| parse_labels(bytes, name, ("id", "ward"), &limits).map(|_| true),
        &|| sniff_bytes(bytes, name, &limits).map(|_| true),
    ];
    let mut messages = Vec::new();
    for (number, way) in ways.into_iter().enumerate() {
        let (result, peak) = counting::peak(way);
        let bound = (16 << 20) + 4 * bytes.len();
        assert!(peak <= bound, "{case}, way {number}: {peak} bytes, {bound} are promised");
        match result {
            Ok(is_sound) => assert!(is_sound, "{case}, way {number}"),
            Err(error) => {
                let message = error.to_string();
                assert!(message.starts_with(NAME), "{case}, way {number}: {message}");
                let is_line = !message.contains(['\n', '\r', '\0']) && message.len() < 2000;
                assert!(is_line, "{case}, way {number}: {message}");
                for cell in ["canary", "7731"] {
                    assert!(!message.contains(cell), "{case}, way {number}: {message}");
                }
                messages.push(message);
            }
        }
    }
    messages
}

/// Each line of the list, the first message, and how many of the four ways refuse it at least.
#[test]
fn each_line_of_the_list_is_refused_with_its_place() {
    let _turn = counting::turn();
    let head = "id,minutes,hr,temp,ward\n";
    let good = "canary1,0,70,36.5,north\n";
    let table = |rows: &str| format!("{head}{good}{rows}").into_bytes();
    let utf16 = |text: &str| -> Vec<u8> {
        [0xFEFF_u16].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    let far = "7".repeat(900_000);
    let cases: [(&str, Vec<u8>, &str); 27] = [
        (
            "a quote at byte 1",
            format!("\"{head}{good}").into_bytes(),
            ":1: the quote that opens here is never closed",
        ),
        (
            "a quote in a row",
            table("\"canary2,1,70,36,north\n"),
            ":3: the quote that opens here is never closed",
        ),
        ("a million columns", "v,".repeat(1_000_000).into_bytes(), "is over the limit of"),
        ("UTF-16", utf16(&format!("{head}{good}")), "the text is UTF-16"),
        ("UTF-16 without a mark", utf16(&format!("{head}{good}"))[2..].to_vec(), ""),
        (
            "Latin-1",
            [&table("")[..], b"canary\xE9,1,70,36,north\n"].concat(),
            ":3 at byte 54: the text is not UTF-8",
        ),
        (
            "a decimal comma",
            table("canary2,1,\"77,31\",36,north\n"),
            ":3, field hr: the number is written with a decimal comma",
        ),
        (
            "two columns of a name",
            format!("id,minutes,hr,hr,ward\n{good}").into_bytes(),
            ":1, field hr: two columns have this name",
        ),
        ("a short row", table("canary2,1\n"), ":3: the row has 2 cells, not 5"),
        ("a long row", table("canary2,1,70,36,north,canary\n"), ":3: the row has 6 cells, not 5"),
        ("a word", table("canary2,1,canary,36,north\n"), ":3, field hr: the text is not a number"),
        (
            "a formula",
            table("canary2,1,=7731+1,36,north\n"),
            ":3, field hr: the text is not a number",
        ),
        (
            "a NUL in a number",
            table("canary2,1,7\u{0}731,36,north\n"),
            ":3, field hr: the text is not a number",
        ),
        (
            "a mark in the middle",
            table("canary2,1,\u{FEFF}7731,36,north\n"),
            ":3, field hr: the text is not a number",
        ),
        (
            "hexadecimal",
            table("canary2,1,0x7731,36,north\n"),
            ":3, field hr: the text is not a number",
        ),
        (
            "other digits",
            table("canary2,1,\u{0667}\u{0667},36,north\n"),
            ":3, field hr: the text is not a number",
        ),
        ("a number beyond f32", table("canary2,1,1e39,36,north\n"), ":3, field hr: "),
        ("a number beyond f64", table("canary2,1,1e7731,36,north\n"), ":3, field hr: "),
        ("900,000 digits", table(&format!("canary2,1,{far},36,north\n")), ":3, field hr: "),
        ("a line of 4 MB", table(&format!("canary2,1,{},36,north\n", far.repeat(4))), ":3"),
        ("a name of 4 MB", table(&format!("{},1,70,36,north\n", "canary".repeat(700_000))), ":3"),
        ("a header of 4 MB", format!("{}\n1\n", "canary".repeat(700_000)).into_bytes(), ""),
        (
            "time backwards",
            table("canary1,-1,70,36,north\n"),
            ":3, field minutes: the time goes backwards",
        ),
        ("time NaN", table("canary1,nan,70,36,north\n"), ":3, field minutes: "),
        ("time without end", table("canary1,inf,70,36,north\n"), ":3, field minutes: "),
        ("no subject", table(",1,70,36,north\n"), ":3, field id: the subject is missing"),
        ("nothing", Vec::new(), ": the file is empty"),
    ];
    for (name, bytes, wanted) in cases {
        let messages = refusals(&bytes, name);
        assert!(!messages.is_empty(), "{name} was read in every way");
        let first = &messages[0];
        assert!(first.strip_prefix(NAME).unwrap().contains(wanted), "{name}: {first}");
        assert!(
            wanted.starts_with("is over")
                || first.starts_with(&format!("{NAME}{wanted}"))
                || wanted == "the text is UTF-16",
            "{name}: {first}"
        );
        // A remedy follows.
        assert!(first.contains("; "), "{name}: {first}");
    }
}

#[test]
fn a_sound_table_is_cut_at_every_byte() {
    let _turn = counting::turn();
    let text = "\u{FEFF}id,minutes,hr,temp,ward\r\n\"canary\"\"1\",0,70,36.5,\"north, 1\"\r\n\
                canary2,1,,NA,\n";
    for cut in 0..text.len() {
        refusals(&text.as_bytes()[..cut], &format!("cut at {cut}"));
    }
}

/// Draws that follow each other.
struct Draws(Random, u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.1 += 1;
        self.0.below(self.1, bound as u64) as usize
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

/// Pieces from which cells are drawn: sound, odd and hostile.
const CELLS: [&str; 44] = [
    "canary1",
    "canary2",
    "7731",
    "0",
    "1",
    "2.5",
    "-0",
    "1e3",
    "1e-320",
    "1e39",
    "-1e999",
    "nan",
    "inf",
    "NULL",
    "NA",
    "",
    " ",
    "\"\"",
    "\"",
    "\"\"\"",
    "a\"b",
    "\"a,b\"",
    "\"a\nb\"",
    "\"a\r\nb",
    "36,6",
    "\"36,6\"",
    "1,234.5",
    "1.234,5",
    "0x1F",
    "1_000",
    "=1+1",
    "@cmd",
    "\0",
    "\u{FEFF}",
    "\u{202E}7731",
    "\u{0667}",
    "2024-05-01T08:00:00Z",
    "2024-13-41",
    "9999-12-31",
    "12:34",
    "99999999999999999999999999999999999999999",
    "0.00000000000000000000000000000000000001",
    "north",
    "#N/A",
];
const ENDS: [&str; 5] = ["\n", "\r\n", "\r", "\n\n", "\0\n"];
const BETWEEN: [&str; 5] = [",", ";", "\t", "|", " "];
const STARTS: [&str; 4] = ["", "\u{FEFF}", "sep=,\n", "# ward\n"];
const NAMES: [&str; 8] = ["id", "minutes", "hr", "temp", "ward", "hr", "", "\"hr\""];

/// A table of which most is sound, so that faults of all depths are reached.
fn drawn(seed: u64) -> Vec<u8> {
    let mut draws = Draws(Random::new(seed, 5), 0);
    let mut text = String::new();
    let (usual_end, usual_between) = (ENDS[draws.below(3)], BETWEEN[draws.below(4)]);
    let is_rare = |draws: &mut Draws| draws.below(40) == 0;
    text.push_str(if draws.below(4) == 0 { draws.of(&STARTS) } else { "" });
    let columns = if draws.below(8) == 0 { 2 + draws.below(8) } else { 5 };
    for row in 0..2 + draws.below(30) {
        // The first line is one of names: names may be quoted.
        let cells = if row > 0 && is_rare(&mut draws) { draws.below(12) } else { columns };
        for column in 0..cells {
            if column > 0 {
                text.push_str(if is_rare(&mut draws) { draws.of(&BETWEEN) } else { usual_between });
            }
            let odd = draws.below(30) == 0;
            if row == 0 {
                text.push_str(if odd { draws.of(&NAMES) } else { NAMES[column % 5] });
            } else if odd {
                text.push_str(draws.of(&CELLS));
            } else {
                match column {
                    0 => text.push_str(["canary1", "canary2"][usize::from(row > 12)]),
                    1 => text.push_str(&row.to_string()),
                    4 => text.push_str("north"),
                    _ => text.push_str(draws.of(&["70", "36.6", "", "7731", "-1e2"])),
                }
            }
        }
        if is_rare(&mut draws) && row > 0 {
            // The same row again.
            let last = text.rfind('\n').map_or(0, |at| at + 1);
            let again = text[last..].to_owned();
            text.push_str(usual_end);
            text.push_str(&again);
        }
        text.push_str(if is_rare(&mut draws) { draws.of(&ENDS) } else { usual_end });
    }
    let mut bytes = text.into_bytes();
    if draws.below(3) == 0 {
        for _ in 0..=draws.below(3) {
            let at = draws.below(bytes.len());
            bytes[at] = [0, 0xFF, 0xC3, b'"', b'\n', b',', bytes[at] ^ 1][draws.below(7)];
        }
    }
    if draws.below(6) == 0 {
        bytes.truncate(draws.below(bytes.len()));
    }
    bytes
}

#[test]
fn ten_thousand_drawn_tables_are_read_or_refused() {
    let _turn = counting::turn();
    let mut refused = [0; 5];
    for seed in 0..10_000 {
        refused[refusals(&drawn(seed), &format!("seed {seed}")).len()] += 1;
    }
    // Of every kind there are many: the draws reach deep.
    assert!(refused[..4].iter().all(|count| *count > 100), "{refused:?}");
}

#[test]
fn packed_tables_keep_the_bound_too() {
    let _turn = counting::turn();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ward.csv.gz");
    for seed in 0..300 {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packer.write_all(&drawn(seed)).unwrap();
        let mut bytes = packer.finish().unwrap();
        let mut draws = Draws(Random::new(seed, 6), 0);
        if seed % 2 == 1 {
            let at = draws.below(bytes.len());
            bytes[at] ^= 1 << draws.below(8);
        }
        durable::write_atomic(&path, &bytes).unwrap();
        let read = || bounded::read_unpacked(&path, &Limits::default());
        let (result, peak) = counting::peak(read);
        assert!(peak <= (16 << 20) + 4 * bytes.len(), "seed {seed}: {peak}");
        if let Err(error) = result {
            assert!(error.to_string().contains("ward.csv.gz: "), "{error}");
        }
    }
}
