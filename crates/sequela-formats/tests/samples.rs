//! Files written by other programs: `NumPy` arrays of every type, archives of Python's tarfile.

use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::archive::Archive;
use sequela_formats::{Error, bounded, npy, wfdb};

fn testdata(part: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/formats").join(part)
}

#[test]
fn arrays_are_what_numpy_says() {
    let folder = testdata("npy");
    let limits = Limits::default();
    let expected = bounded::read(&folder.join("expected.csv"), &limits).unwrap();
    let expected = bounded::text(&expected, "expected.csv".as_ref()).unwrap();
    let mut seen = 0;
    for line in expected.lines().skip(1) {
        let mut cells = line.split(',');
        let (file, shape, values) =
            (cells.next().unwrap(), cells.next().unwrap(), cells.next().unwrap());
        let array = npy::read_array(&folder.join(file), &limits).unwrap();
        let shape: Vec<usize> = shape.split(' ').map(|n| n.parse().unwrap()).collect();
        let bits = |values: &[f64]| -> Vec<u64> {
            values.iter().map(|v| if v.is_nan() { 1 } else { v.to_bits() }).collect()
        };
        let values: Vec<f64> = values.split_whitespace().map(|n| n.parse().unwrap()).collect();
        assert_eq!(array.shape, shape, "{file}");
        assert_eq!(bits(&array.values), bits(&values), "{file}");
        seen += 1;
    }
    assert_eq!(seen, 31);
}

#[test]
fn archives_of_every_packing_give_the_same_files() {
    let mut listings = Vec::new();
    for name in ["records.gnu.tar", "records.pax.tar", "records.tar.gz", "records.tar.xz"] {
        let path = testdata("archive").join(name);
        let mut archive = Archive::open(&path, &Limits::default()).unwrap();
        let mut listing = Vec::new();
        while let Some(entry) = archive.next_file().unwrap() {
            // Every other file is skipped, to see that skipping and reading agree.
            let content =
                if listing.len() % 2 == 0 { archive.content(4096).unwrap() } else { vec![] };
            listing.push((entry.name, entry.size, content));
        }
        listings.push(listing);
    }
    let names: Vec<&str> = listings[0].iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names[0], "data/r1.hea");
    assert_eq!(names[3], "../../climb.txt");
    assert_eq!((names[4].len(), names[5]), (189, "empty.txt"));
    assert_eq!(listings[0][0].2, b"r1 0 250 1000\n");
    assert!(listings.iter().all(|listing| *listing == listings[0]));
}

#[test]
fn records_are_found_in_archives_and_folders() {
    let limits = Limits::default();
    for name in ["records.pax.tar", "records.tar.xz"] {
        let records = wfdb::read_records(&testdata("archive").join(name), "atr", &limits).unwrap();
        assert_eq!((records.len(), records[0].name.as_str()), (1, "r1"));
        assert_eq!(records[0].annotations.as_ref().unwrap().list.len(), 3);
    }
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        sequela_formats::durable::write_atomic(&folder.path().join(name), bytes).unwrap();
    };
    assert!(wfdb::read_records(folder.path(), "atr", &limits).is_err());
    write("b.hea", b"b 0 360\n");
    write("a.hea", b"a 0 360\n");
    write("a.atr", &[0x12, 0x04, 0, 0]);
    write("other.txt", b"");
    let records = wfdb::read_records(folder.path(), "atr", &limits).unwrap();
    let names: Vec<&str> = records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(records[1].annotations.is_none());
    write("c.atr", &[0, 0]);
    let error = wfdb::read_records(folder.path(), "atr", &limits).unwrap_err();
    assert!(error.to_string().contains("field c.atr: the annotations have no header"), "{error}");
}

#[test]
fn what_an_archive_unpacks_to_is_capped() {
    let path = testdata("archive/records.tar.xz");
    let limits = Limits { file_bytes: 4096, ..Limits::default() };
    let mut archive = Archive::open(&path, &limits).unwrap();
    let error = loop {
        match archive.next_file() {
            Ok(Some(_)) => {}
            Ok(None) => unreachable!("the cap was not met"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Limit { limit: 4096, .. }), "{error}");
    let mut archive = Archive::open(&path, &Limits::default()).unwrap();
    archive.next_file().unwrap();
    assert!(matches!(archive.content(3), Err(Error::Limit { limit: 3, .. })));
}
