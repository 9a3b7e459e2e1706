//! Workbooks against the same tables as text; bombs and lies.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use sequela_core::Limits;
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
