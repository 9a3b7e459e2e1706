//! Workbooks against the same tables as text; bombs and lies.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

#[path = "../../sequela-kernels/tests/support/counting.rs"]
mod counting;

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use sequela_core::{Limits, Random};
use sequela_formats::csv::{
    LongColumns, SeriesColumns, SeriesTable, TimeColumn, TimeFormat, ValueColumn, parse_series,
    read_long, read_series, sniff,
};
use zip::write::SimpleFileOptions;

fn tables() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tables")
}

fn workbook(name: &str) -> PathBuf {
    tables().join("workbooks").join(name).with_extension("xlsx")
}

fn wide() -> SeriesColumns {
    let names = ["hr", "temp", "spo2", "small", "large", "negative", "ventilated", "empty", "dose"];
    SeriesColumns::values(names.map(|name| (name, "")))
        .with_subject("patient")
        .with_time("charted", TimeFormat::DateTime)
}

fn same(found: &SeriesTable, wanted: &SeriesTable) {
    assert_eq!(found.series.len(), wanted.series.len());
    for (found, wanted) in found.series.iter().zip(&wanted.series) {
        assert_eq!((&found.subject, found.missing), (&wanted.subject, wanted.missing));
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found.values), bits(&wanted.values));
        let times = found.times.as_ref().unwrap().iter().zip(wanted.times.as_ref().unwrap());
        for (found, wanted) in times {
            // A workbook keeps milliseconds.
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }
}

#[test]
fn a_sheet_has_the_values_of_the_text() {
    let limits = Limits::default();
    let wanted = read_series(&tables().join("wide.csv"), &wide(), &limits).unwrap();
    for name in ["wide", "notes"] {
        same(&read_series(&workbook(name), &wide(), &limits).unwrap(), &wanted);
    }
    let text = sniff(&tables().join("wide.csv"), &limits).unwrap();
    let found = sniff(&workbook("wide"), &limits).unwrap();
    assert_eq!((found.columns, found.rows), (text.columns, text.rows));
}

#[test]
fn a_long_sheet_is_that_of_the_text() {
    let channel = |name: &str, unit: &str| ValueColumn { name: name.into(), unit: unit.into() };
    let columns = LongColumns {
        subject: "stay".into(),
        time: TimeColumn { name: "offset".into(), format: TimeFormat::Minutes },
        name: "labname".into(),
        value: "labresult".into(),
        unit: Some("unit".into()),
        channels: vec![channel("potassium", "mmol/L"), channel("ph", "")],
    };
    let limits = Limits::default();
    let wanted = read_long(&tables().join("long.csv"), &columns, &limits).unwrap();
    assert_eq!(read_long(&workbook("long"), &columns, &limits).unwrap(), wanted);
}

fn minutes() -> SeriesColumns {
    SeriesColumns::values([("hr", "")])
        .with_subject("patient")
        .with_time("minute", TimeFormat::Minutes)
}

#[test]
fn a_word_among_numbers_is_told_with_its_cell() {
    let told = read_series(&workbook("words"), &minutes(), &Limits::default()).unwrap_err();
    let told = told.to_string();
    assert!(told.contains("words.xlsx, row 4, field hr: "), "{told}");
}

/// A workbook whose first sheet has these rows, as XML.
fn written(rows: &str) -> Vec<u8> {
    written_with(rows, "<sst/>")
}

/// A workbook with these rows and this part of shared texts.
fn written_with(rows: &str, shared: &str) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    let relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let parts = [
        (
            "[Content_Types].xml",
            "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"
                .into(),
        ),
        (
            "_rels/.rels",
            format!(
                "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
                 <Relationship Id=\"r0\" Type=\"{relations}/officeDocument\" \
                 Target=\"xl/workbook.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/workbook.xml",
            format!(
                "<workbook xmlns=\"{main}\" xmlns:r=\"{relations}\"><sheets>\
                 <sheet name=\"s\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>"
            ),
        ),
        (
            "xl/_rels/workbook.xml.rels",
            format!(
                "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
                 <Relationship Id=\"r1\" Type=\"{relations}/worksheet\" \
                 Target=\"worksheets/sheet1.xml\"/></Relationships>"
            ),
        ),
        (
            "xl/worksheets/sheet1.xml",
            format!("<worksheet xmlns=\"{main}\"><sheetData>{rows}</sheetData></worksheet>"),
        ),
        ("xl/sharedStrings.xml", shared.to_owned()),
    ];
    for (name, text) in parts {
        archive.start_file(name, SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

const ROWS: &str = "<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>patient</t></is></c>\
                    <c r=\"B1\" t=\"inlineStr\"><is><t>minute</t></is></c>\
                    <c r=\"C1\" t=\"inlineStr\"><is><t>hr</t></is></c></row>\
                    <row r=\"2\"><c r=\"A2\"><v>7</v></c><c r=\"B2\"><v>0</v></c><c r=\"C2\"><v>71</v></c></row>";

fn told(bytes: &[u8], limits: &Limits) -> String {
    parse_series(bytes, "t.xlsx".as_ref(), &minutes(), limits).unwrap_err().to_string()
}

#[test]
fn what_lies_far_away_takes_no_memory() {
    let table = parse_series(&written(ROWS), "t.xlsx".as_ref(), &minutes(), &Limits::default());
    assert_eq!(table.unwrap().series[0].values, [71.0]);
    // The last cell that a sheet can have, beside the table: no column of it.
    let far = format!("{ROWS}<row r=\"1048576\"><c r=\"XFD1048576\"><v>1</v></c></row>");
    let table = parse_series(&written(&far), "t.xlsx".as_ref(), &minutes(), &Limits::default());
    assert_eq!(table.unwrap().series[0].values, [71.0]);
    let below = far.replace("XFD1048576", "C1048576");
    let missing = told(&written(&below), &Limits::default());
    assert!(missing.contains("t.xlsx, row 1048576, field patient: "), "{missing}");
    let wide = ROWS.replace("r=\"C1\"", "r=\"XFD1\"");
    let narrow = Limits { channels: 100, ..Limits::default() };
    assert!(told(&written(&wide), &narrow).contains("the number of columns"));
    let few = Limits { steps: 1, ..Limits::default() };
    assert!(told(&written(ROWS), &few).contains("the number of rows"));
}

#[test]
fn bombs_damage_and_backward_rows_are_refused() {
    let bomb = written(&" ".repeat(8 << 20));
    assert!(bomb.len() < 64 << 10, "{}", bomb.len());
    let limits = Limits { file_bytes: 1 << 20, ..Limits::default() };
    let refused = told(&bomb, &limits);
    assert!(refused.contains("the bytes of a workbook, unpacked"), "{refused}");
    let backward = format!("{ROWS}<row r=\"1\"><c r=\"A1\"><v>1</v></c></row>");
    assert!(told(&written(&backward), &limits).contains("the rows go backwards"));
    let sample = written(ROWS);
    for cut in 0..sample.len() {
        let _ = parse_series(&sample[..cut], "t.xlsx".as_ref(), &minutes(), &limits);
    }
    let mut bytes = sample;
    for at in 0..bytes.len() {
        for bit in [1, 16, 128] {
            bytes[at] ^= bit;
            let _ = parse_series(&bytes, "t.xlsx".as_ref(), &minutes(), &limits);
            bytes[at] ^= bit;
        }
    }
    assert!(told(b"PK\x03\x04 nothing", &limits).contains("no workbook that can be read"));
}

/// Random letters and digits, which do not pack well.
fn noise(count: u64, at: u64) -> String {
    let random = Random::new(7, at);
    let drawn = |at| random.below(at, 16) as usize;
    (0..count).map(|at| char::from(b"0123456789abcdef"[drawn(at)])).collect()
}

#[test]
fn hostile_workbooks_take_no_more_memory_than_their_bytes_give_reason_for() {
    let _turn = counting::turn();
    let texts = |count: u64| -> String {
        let texts = (0..count).map(|at| format!("<si><t>{}</t></si>", noise(4, at)));
        texts.collect::<Vec<_>>().concat()
    };
    let claim = |claim: &str| written_with(ROWS, &format!("<sst {claim}><si><t>a</t></si></sst>"));
    let spaces = " ".repeat(70_000);
    let cell = format!("<c r=\"A1\" t=\"inlineStr\"><is><t>{}</t></is></c>", noise(30_000, 1));
    let wide = format!("<row r=\"1\">{}</row>{ROWS}", cell.repeat(40));
    let few = [b"PK\x03\x04".to_vec(), b"PK\x01\x02".repeat(20_000)].concat();
    let more = "more shared texts than bytes of them";
    let cases: [(&str, Vec<u8>, &str); 11] = [
        ("2^60 texts", claim("uniqueCount=\"1152921504606846976\""), more),
        ("10^30 texts", claim(&format!("uniqueCount='{}'", "9".repeat(30))), more),
        ("texts far away", claim(&format!("uniqueCount={spaces}\"99999999999\"")), more),
        (
            "texts behind zeros",
            claim(&format!("uniqueCount=\"{}99999999999\"", "0".repeat(70_000))),
            more,
        ),
        (
            "many small texts",
            written_with(ROWS, &format!("<sst>{}</sst>", texts(400_000))),
            "the shared texts of a workbook",
        ),
        ("spaces", written(&" ".repeat(64 << 20)), "the bytes of a workbook, unpacked"),
        ("a long text", written(&noise(3 << 20, 2)), "what stands between two tags"),
        (
            "a long tag",
            written(&format!("<row a=\"{}\"/>", noise(3 << 20, 3))),
            "what stands between two tags",
        ),
        ("a wide row", written(&wide), "the texts of a row"),
        ("20,000 parts", few, "the number of parts"),
        ("utf-16", written_with(ROWS, "\u{0}<\u{0}s"), "UTF-16"),
    ];
    for (name, bytes, wanted) in cases {
        let (result, peak) = counting::peak(|| {
            parse_series(&bytes, "t.xlsx".as_ref(), &minutes(), &Limits::default())
        });
        let message = result.unwrap_err().to_string();
        assert!(message.contains(wanted) && message.starts_with("t.xlsx"), "{name}: {message}");
        let bound = (16 << 20) + 4 * bytes.len();
        assert!(peak <= bound, "{name}: {peak} bytes at once, {bound} are promised");
    }
    // A sound one with many texts of its own.
    let texts: Vec<String> = (0..100_000).map(|at| format!("<si><t>{at:06}</t></si>")).collect();
    let texts = texts.concat();
    let sound = written_with(ROWS, &format!("<sst uniqueCount=\"100000\">{texts}</sst>"));
    let (result, peak) =
        counting::peak(|| parse_series(&sound, "t.xlsx".as_ref(), &minutes(), &Limits::default()));
    assert_eq!(result.unwrap().series[0].values, [71.0]);
    assert!(peak <= (16 << 20) + 4 * sound.len(), "{peak}");
}

#[test]
fn no_message_quotes_a_cell() {
    // A column of words where numbers are wanted, and words where times are; in all three writings.
    let files =
        [tables().join("wide.csv"), tables().join("parquet/groups.parquet"), workbook("wide")];
    let patient = |columns: SeriesColumns| columns.with_subject("patient");
    let wrong = [
        patient(SeriesColumns::values([("ward", "")])).with_time("minute", TimeFormat::Minutes),
        patient(SeriesColumns::values([("hr", "")])).with_time("ward", TimeFormat::Minutes),
        SeriesColumns::values([("hr", "")])
            .with_subject("hr")
            .with_time("charted", TimeFormat::DateTime),
    ];
    for file in files {
        for columns in &wrong {
            let error = read_series(&file, columns, &Limits::default()).unwrap_err();
            let told = error.to_string();
            for cell in ["p00", "p01", "\u{dc}berwachung", "2024", "71.", "\"A\"", "\"B\""] {
                assert!(!told.contains(cell), "{told}");
            }
        }
    }
}
