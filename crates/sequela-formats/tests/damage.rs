//! Every format cut at every byte and with every bit flipped: an answer or an error, no panic.

use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::archive::Archive;
use sequela_formats::csv::{
    LongColumns, SeriesColumns, TimeColumn, TimeFormat, ValueColumn, parse_series, read_long,
    sniff_bytes, sniff_long,
};
use sequela_formats::durable::write_atomic;
use sequela_formats::{bounded, npy, physionet, wfdb};

fn limits() -> Limits {
    Limits { file_bytes: 1 << 20, steps: 1000, channels: 64, subjects: 10, line_bytes: 200 }
}

fn testdata(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/formats").join(part)
}

/// Calls `check` with each damaged form of `sample`.
fn damaged(sample: &[u8], check: &mut dyn FnMut(&[u8], Damage)) {
    for cut in 0..sample.len() {
        check(&sample[..cut], Damage::Cut);
    }
    let mut bytes = sample.to_vec();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            check(&bytes, Damage::Flip);
            bytes[at] ^= 1 << bit;
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Damage {
    Cut,
    Flip,
}

#[test]
fn tables() {
    let sample = b"id,minutes,hr\n\"a\",0,70\na,1,NaN\nb,0,-80.5e0\n";
    let columns = SeriesColumns::values([("hr", "bpm")])
        .with_subject("id")
        .with_time("minutes", TimeFormat::Minutes);
    damaged(sample, &mut |bytes, _| {
        if let Ok(table) = parse_series(bytes, "t".as_ref(), &columns, &limits()) {
            assert!(table.series.iter().all(|s| s.values.iter().all(|v| !v.is_infinite())));
        }
        let _ = sniff_bytes(bytes, "t".as_ref(), &limits());
    });
    let sample = b"when,v\n2024-05-01T08:00:00Z,1\n2024-05-01T08:00:30+00:00,2\n";
    let columns = SeriesColumns::values([("v", "")]).with_time("when", TimeFormat::DateTime);
    damaged(sample, &mut |bytes, _| {
        let _ = parse_series(bytes, "t".as_ref(), &columns, &limits());
    });
}

#[test]
fn parquet_tables() {
    let columns = SeriesColumns::values([("hr", "bpm")])
        .with_subject("id")
        .with_time("t", TimeFormat::Minutes);
    for name in ["small", "small_v2"] {
        let path = testdata("../tables/parquet").join(name).with_extension("parquet");
        let sample = bounded::read(&path, &limits()).unwrap();
        let whole = parse_series(&sample, "t".as_ref(), &columns, &limits()).unwrap();
        assert_eq!((whole.series.len(), whole.series[0].missing), (2, 1));
        damaged(&sample, &mut |bytes, damage| {
            let result = parse_series(bytes, "t".as_ref(), &columns, &limits());
            assert!(damage == Damage::Flip || result.is_err(), "{name}: a cut table was read");
            if let Ok(table) = result {
                assert!(table.series.iter().all(|s| s.values.iter().all(|v| !v.is_infinite())));
            }
            let _ = sniff_bytes(bytes, "t".as_ref(), &limits());
        });
    }
}

#[test]
fn long_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("long.csv");
    let column = |name: &str, unit: &str| ValueColumn { name: name.into(), unit: unit.into() };
    let columns = LongColumns {
        subject: "subject".into(),
        time: TimeColumn { name: "hours".into(), format: TimeFormat::Hours },
        name: "test".into(),
        value: "v".into(),
        unit: Some("unit".into()),
        channels: vec![column("K", "mmol/L")],
    };
    let sample = b"subject,hours,test,v,unit\n\"a\",1,K,4.5,mmol/l\na,0,Na,1,\n";
    damaged(sample, &mut |bytes, _| {
        write_atomic(&path, bytes).unwrap();
        if let Ok(table) = read_long(&path, &columns, &limits()) {
            let readings = table.series.iter().flat_map(|series| &series.readings);
            assert!(readings.clone().all(|reading| reading.value.is_finite()));
        }
        let _ = sniff_long(&path, &limits());
    });
    write_atomic(&path, sample).unwrap();
    let table = read_long(&path, &columns, &limits()).unwrap();
    assert_eq!((table.series[0].readings.len(), table.others), (1, 1));
    let sniffed = sniff_long(&path, &limits()).unwrap().unwrap();
    assert_eq!(sniffed.columns.channels.len(), 2);
}

#[test]
fn arrays() {
    for name in ["npy/matrix.npy", "npy/version_3.npy", "npy/big_i8.npy"] {
        let sample = bounded::read(&testdata(name), &limits()).unwrap();
        assert!(npy::parse_array(&sample, "a".as_ref(), &limits()).is_ok());
        damaged(&sample, &mut |bytes, damage| {
            let result = npy::parse_array(bytes, "a".as_ref(), &limits());
            assert!(damage == Damage::Flip || result.is_err(), "a cut array was read");
        });
    }
}

#[test]
fn stays_and_hours() {
    let sample =
        b"Time,Parameter,Value\n00:00,RecordID,7\n00:00,Age,54\n01:07,HR,73\n02:00,pH,7.35\n";
    let parse = |bytes: &[u8]| physionet::parse_stay(bytes, "7", "7.txt".as_ref(), &limits());
    assert_eq!(parse(sample).unwrap().measurements.len(), 3);
    damaged(sample, &mut |bytes, damage| {
        let result = parse(bytes);
        let whole_lines = bytes.ends_with(b"\n") && bytes.len() >= 38;
        assert!(damage == Damage::Flip || result.is_ok() == whole_lines, "a cut stay was read");
    });
    let names: Vec<&str> = physionet::COLUMNS.iter().map(|(name, _)| *name).collect();
    let nothing = "NaN|".repeat(38);
    let header = format!("{}|SepsisLabel\n", names.join("|"));
    let sample = format!("{header}71|{nothing}1|0\n-0.5|{nothing}2|1\n");
    let wide = Limits { line_bytes: 1000, ..limits() };
    let parse = |bytes: &[u8]| physionet::parse_hours(bytes, "p1", "p1.psv".as_ref(), &wide);
    assert_eq!(parse(sample.as_bytes()).unwrap().times, [1.0, 2.0]);
    damaged(sample.as_bytes(), &mut |bytes, damage| {
        let result = parse(bytes);
        let whole_lines = bytes.ends_with(b"\n") && bytes.len() > header.len();
        assert!(damage == Damage::Flip || result.is_ok() == whole_lines, "cut hours were read");
    });
}

#[test]
fn headers_and_annotations() {
    let header = b"100 2 360 650000\n100.dat 212x2:3+4 200(1024)/mV 11 1024 995 -2 0 MLII\n\
                   100.dat 212 200 11 1024 1011 20052 0 V5\n# 69 M\n";
    assert!(wfdb::parse_header(header, "h".as_ref(), &limits()).is_ok());
    damaged(header, &mut |bytes, _| {
        let _ = wfdb::parse_header(bytes, "h".as_ref(), &limits());
    });
    let words: [u16; 13] = [
        0x0412,
        0xFC03,
        0x4128,
        0x0046,
        59 << 10,
        1,
        0,
        0x143B,
        (60 << 10) | 2,
        (61 << 10) | 1,
        (62 << 10) | 1,
        0x0450,
        0,
    ];
    let sample: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert!(wfdb::parse_annotations(&sample, "a".as_ref(), &limits()).is_ok());
    damaged(&sample, &mut |bytes, damage| {
        let result = wfdb::parse_annotations(bytes, "a".as_ref(), &limits());
        assert!(damage == Damage::Flip || result.is_err(), "cut annotations were read");
        if let Ok(annotations) = result {
            assert!(annotations.list.windows(2).all(|pair| pair[0].sample <= pair[1].sample));
        }
    });
}

#[test]
fn archives() {
    let read_all = |bytes: &[u8]| {
        let stream = Box::new(std::io::Cursor::new(bytes.to_vec()));
        let mut archive = Archive::of_stream(stream, "damaged".as_ref(), &limits())?;
        while archive.next_file()?.is_some() {
            archive.content(1 << 16)?;
        }
        Ok::<(), sequela_formats::Error>(())
    };
    for name in ["archive/records.tar.gz", "archive/records.tar.xz"] {
        let sample = bounded::read(&testdata(name), &limits()).unwrap();
        read_all(&sample).unwrap();
        damaged(&sample, &mut |bytes, damage| {
            let result = read_all(bytes);
            assert!(damage == Damage::Flip || result.is_err(), "{name}: a cut archive was read");
        });
    }
    // The headers of a plain archive; its content cannot be damaged.
    let sample = bounded::read(&testdata("archive/records.pax.tar"), &limits()).unwrap();
    for at in (0..sample.len()).step_by(3) {
        let mut bytes = sample.clone();
        bytes[at] ^= 1 << (at % 8);
        let _ = read_all(&bytes);
    }
}
