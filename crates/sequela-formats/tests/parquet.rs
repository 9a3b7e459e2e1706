//! Parquet tables against the same tables as text: `testdata/tables/make.py` wrote both.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is wrong"
)]

use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::csv::{
    LongColumns, LongTable, SeriesColumns, SeriesTable, TimeColumn, TimeFormat, ValueColumn,
    read_labels, read_long, read_series, sniff, sniff_long,
};
use sequela_formats::durable::write_atomic;

fn tables() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/tables")
}

fn parquet(name: &str) -> PathBuf {
    tables().join("parquet").join(name).with_extension("parquet")
}

const FILES: [&str; 20] = [
    "none",
    "snappy",
    "gzip",
    "zstd",
    "zstd_19",
    "pages_v2",
    "plain",
    "plain_v2",
    "groups",
    "pages",
    "checksums",
    "instants_us",
    "instants_ns",
    "instants_96",
    "dictionaries",
    "decimals",
    "differences",
    "split",
    "required",
    "lists",
];

fn wide() -> SeriesColumns {
    let names = ["hr", "temp", "spo2", "small", "large", "negative", "ventilated", "empty"];
    SeriesColumns::values(names.map(|name| (name, "")))
        .with_subject("patient")
        .with_time("charted", TimeFormat::DateTime)
}

fn same(found: &SeriesTable, wanted: &SeriesTable, name: &str) {
    assert_eq!(found.series.len(), wanted.series.len(), "{name}");
    for (found, wanted) in found.series.iter().zip(&wanted.series) {
        assert_eq!((&found.subject, found.missing), (&wanted.subject, wanted.missing), "{name}");
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found.values), bits(&wanted.values), "{name}");
        let times = found.times.as_ref().unwrap().iter().zip(wanted.times.as_ref().unwrap());
        for (found, wanted) in times {
            assert!((found - wanted).abs() < 1e-9, "{name}: {found} {wanted}");
        }
    }
}

#[test]
fn every_encoding_and_codec_has_the_values_of_the_text() {
    let wanted = read_series(&tables().join("wide.csv"), &wide(), &Limits::default()).unwrap();
    for name in FILES {
        let found = read_series(&parquet(name), &wide(), &Limits::default());
        same(&found.unwrap_or_else(|error| panic!("{name}: {error}")), &wanted, name);
    }
}

#[test]
fn days_decimals_and_whole_subjects() {
    let columns = SeriesColumns::values([("dose", "mg")])
        .with_subject("key")
        .with_time("day", TimeFormat::DateTime);
    let wanted = read_series(&tables().join("wide.csv"), &columns, &Limits::default()).unwrap();
    let found = read_series(&parquet("decimals"), &columns, &Limits::default()).unwrap();
    same(&found, &wanted, "decimals");
    assert_eq!(found.series[2].subject.as_deref(), Some("1000000000000002"));
    let labels = read_labels(&parquet("groups"), ("key", "patient"), &Limits::default()).unwrap();
    assert_eq!(labels.words["1000000000000001"], "p01");
}

fn by_ward() -> LongColumns {
    let channel = |name: &str| ValueColumn { name: name.into(), unit: String::new() };
    LongColumns {
        subject: "patient".into(),
        time: TimeColumn { name: "minute".into(), format: TimeFormat::Minutes },
        name: "ward".into(),
        value: "temp".into(),
        unit: None,
        channels: ["A", "B", "Überwachung"].map(channel).into(),
    }
}

fn labs() -> LongColumns {
    let channel = |name: &str, unit: &str| ValueColumn { name: name.into(), unit: unit.into() };
    LongColumns {
        subject: "stay".into(),
        time: TimeColumn { name: "offset".into(), format: TimeFormat::Minutes },
        name: "labname".into(),
        value: "labresult".into(),
        unit: Some("unit".into()),
        channels: vec![channel("potassium", "mmol/L"), channel("ph", "")],
    }
}

#[test]
fn texts_and_long_tables_are_those_of_the_text() {
    let limits = Limits::default();
    let text = |columns: &LongColumns, name: &str| -> LongTable {
        read_long(&tables().join(name).with_extension("csv"), columns, &limits).unwrap()
    };
    let wanted = text(&by_ward(), "wide");
    for name in FILES {
        assert_eq!(read_long(&parquet(name), &by_ward(), &limits).unwrap(), wanted, "{name}");
    }
    let found = read_long(&parquet("long"), &labs(), &limits).unwrap();
    assert_eq!(found, text(&labs(), "long"));
    assert!(found.missing > 0 && found.others > 0);
}

#[test]
fn columns_are_guessed_as_of_text() {
    let limits = Limits::default();
    let wanted = sniff(&tables().join("wide.csv"), &limits).unwrap();
    let found = sniff(&parquet("decimals"), &limits).unwrap();
    assert_eq!(found.columns, wanted.columns);
    assert_eq!(found.rows, wanted.rows);
    let lists = sniff(&parquet("lists"), &limits).unwrap();
    let reasons: Vec<&str> = lists.left_out.iter().map(|(_, reason)| reason.as_str()).collect();
    assert!(reasons.contains(&"it holds lists or structures"), "{reasons:?}");
    let long = sniff_long(&parquet("long"), &limits).unwrap();
    assert_eq!(long, sniff_long(&tables().join("long.csv"), &limits).unwrap());
}

#[test]
fn refusals_name_file_column_row_and_remedy() {
    let limits = Limits::default();
    let refused = |name: &str, columns: &SeriesColumns| {
        let message = read_series(&parquet(name), columns, &limits).unwrap_err().to_string();
        message.rsplit_once("parquet/").map(|(_, end)| end.to_owned()).unwrap()
    };
    let values = |name: &str| SeriesColumns::values([(name, "")]);
    for (name, columns, wanted) in [
        ("none", values("hrr"), "none.parquet, field hrr: there is no such column; did you mean"),
        (
            "none",
            values("dose"),
            "none.parquet, field dose: the column holds decimals of bytes, which are not read; \
             write it as numbers, text or times",
        ),
        ("none", values("charted"), "none.parquet, row 1, field charted: the cell is a time, not"),
        ("none", values("ward"), "none.parquet, row 1, field ward: the text is not a number"),
        (
            "none",
            values("hr").with_time("charted", TimeFormat::Minutes),
            "none.parquet, row 1, field charted: the time is a date, not a number; declare",
        ),
        (
            "groups",
            values("hr").with_time("minute", TimeFormat::Minutes),
            "groups.parquet, row 61, field minute: the time goes backwards; sort the rows",
        ),
        (
            "none",
            values("hr").with_subject("ward"),
            "field ward: the subject is missing; say whose row this is",
        ),
    ] {
        let message = refused(name, &columns);
        assert!(message.contains(wanted), "{message}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    for (bytes, wanted) in [
        (
            &b"a,b\n1,2\n3,4\n5,6\n"[..],
            "a.parquet: this is no Parquet file: it does not begin with",
        ),
        (&b"PAR1"[..], "a.parquet: the Parquet data are cut short; fetch or write the file again"),
        (&b"PAR1\0\0\0\0PARE"[..], "a.parquet: the file is encrypted"),
        (&b"PAR1\xFF\xFF\xFF\x7FPAR1"[..], "the footer says it is longer than the file"),
    ] {
        write_atomic(&path, bytes).unwrap();
        let message = read_series(&path, &values("a"), &limits).unwrap_err().to_string();
        assert!(message.contains(wanted), "{message}");
    }
}
