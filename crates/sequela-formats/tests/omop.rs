//! Tables of OMOP: every event of a few made-up people, the public tables of 28 people against counts made with
//! Python, and hostile tables, whose faults are told without a cell.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a test stops at the first thing that is wrong"
)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::durable::{create_dir, write_atomic};
use sequela_formats::meds::Coded;
use sequela_formats::omop::{is_omop, read_omop};
use sequela_formats::{Layout, detect, instant_text};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/omop")
}

/// The events as lines: subject, time, code, value, text, unit.
fn lines(coded: &Coded) -> Vec<String> {
    let word = |at: Option<u32>| at.map_or("", |at| coded.words[at as usize].as_str());
    let line = |event: &sequela_formats::meds::CodedEvent| {
        let time = event.time.map_or(String::new(), instant_text);
        let code = &coded.codes[event.code as usize].name;
        let value = if event.value.is_nan() { String::new() } else { event.value.to_string() };
        let (text, unit) = (word(event.text), word(event.unit));
        let line = format!("{} {time} {code} {value} {text} {unit}", event.subject);
        line.trim_end().to_owned()
    };
    coded.events.iter().map(line).collect()
}

#[test]
fn every_event_of_a_few_people() {
    let folder = testdata().join("people");
    let limits = Limits::default();
    assert_eq!(detect(&folder, &limits).unwrap(), Layout::Omop);
    let coded = read_omop(&folder, &limits).unwrap();
    let wanted = [
        "11  Gender//M",
        "11  Ethnicity//Not Hispanic",
        "11 1950-04-09T00:00:00Z MEDS_BIRTH",
        // Of dates alone: what happened on that day, before the visit that begins in its morning.
        "11 2020-01-02T00:00:00Z SNOMED//44054006",
        "11 2020-01-02T00:00:00Z RxNorm//6809",
        "11 2020-01-02T08:30:00Z Visit//IP",
        "11 2020-01-02T09:00:00Z LOINC//2345-7//mg/dL 148.5  mg/dL",
        "11 2020-01-03T00:00:00Z OMOP//3009999  Positive",
        "11 2020-01-04T00:00:00Z OMOP//3009999  not detected",
        "11 2020-01-05T00:00:00Z MEDS_DEATH",
        "11 2020-01-05T16:00:00Z VISIT_END//Visit//IP",
        "12  Gender//F",
        "12  OMOP//8527",
        "12 1971-01-01T00:00:00Z MEDS_BIRTH",
        "12 2020-03-01T00:00:00Z Visit//OP",
        "12 2020-03-01T00:00:00Z ICD10CM//E11.9",
        "12 2020-03-01T00:00:00Z LOINC//2345-7//mmol/L 6.1  mmol/L",
        "12 2020-03-01T00:00:00Z LOINC//2345-7",
        "12 2020-03-01T00:00:00Z LOINC//29463-7 71  kg",
        "12 2020-03-01T00:00:00Z VISIT_END//Visit//OP",
        "12 2021-03-01T00:00:00Z OMOP//VISIT_OCCURRENCE//0",
        "13 1980-12-31T00:00:00Z MEDS_BIRTH",
    ];
    assert_eq!(lines(&coded), wanted);
    assert_eq!(coded.subjects, [11, 12, 13]);
    let code = |name: &str| coded.codes.iter().find(|code| code.name == name).unwrap();
    assert_eq!(
        (code("LOINC//29463-7").unit.as_str(), code("LOINC//2345-7").unit.as_str()),
        ("kg", "")
    );
    assert_eq!(code("LOINC//2345-7//mg/dL").unit, "mg/dL");
    assert_eq!(code("SNOMED//44054006").description, "Type 2 diabetes mellitus");
    let notes = coded.notes.join("\n");
    assert!(notes.contains("1 rows of CONDITION_OCCURRENCE are of people"), "{notes}");
    assert!(notes.contains("2 concepts are not in CONCEPT"), "{notes}");
    assert!(notes.contains("1 codes have values in more than one unit"), "{notes}");
    let counts: Vec<(&str, u64, u64)> =
        coded.counts.iter().map(|c| (c.source.as_str(), c.rows, c.events)).collect();
    assert_eq!(
        counts[..3],
        [("PERSON", 3, 7), ("VISIT_OCCURRENCE", 3, 5), ("CONDITION_OCCURRENCE", 3, 2),]
    );
}

#[test]
fn a_zip_archive_gives_what_its_folder_gives() {
    let people = testdata().join("people");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.zip");
    let bytes = zipped(&people);
    write_atomic(&path, &bytes).unwrap();
    let limits = Limits::default();
    assert_eq!(detect(&path, &limits).unwrap(), Layout::Omop);
    let (packed, plain) =
        (read_omop(&path, &limits).unwrap(), read_omop(&people, &limits).unwrap());
    assert_eq!((lines(&packed), &packed.codes), (lines(&plain), &plain.codes));
    // Cut short and damaged anywhere, it is refused or gives what it gave; nothing panics.
    for at in (0..bytes.len()).step_by(31) {
        write_atomic(&path, &bytes[..at]).unwrap();
        assert!(read_omop(&path, &limits).is_err(), "cut at {at}");
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x55;
        write_atomic(&path, &damaged).unwrap();
        if let Err(error) = read_omop(&path, &limits) {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
    }
    // What unpacks to far more than it is.
    let bomb = tempfile::tempdir().unwrap();
    let empty = [&b"person_id\n"[..], &vec![b'\n'; 8 << 20]].concat();
    write_atomic(&bomb.path().join("PERSON.csv"), &empty).unwrap();
    write_atomic(&path, &zipped(bomb.path())).unwrap();
    let error = read_omop(&path, &limits).unwrap_err().to_string();
    assert!(error.contains("over the limit"), "{error}");
}

fn zipped(folder: &Path) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in sequela_formats::collection::names_in(folder).unwrap() {
        let bytes =
            sequela_formats::bounded::read(&folder.join(&name), &Limits::default()).unwrap();
        archive.start_file(format!("cdm/{name}"), options).unwrap();
        archive.write_all(&bytes).unwrap();
        archive.start_file(format!("__MACOSX/cdm/._{name}"), options).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Reads a person and one other table.
fn refusal(person: &str, table: &str, text: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    create_dir(folder.path()).unwrap();
    write_atomic(&folder.path().join("PERSON.csv"), person.as_bytes()).unwrap();
    write_atomic(&folder.path().join(format!("{table}.csv")), text.as_bytes()).unwrap();
    let error = read_omop(folder.path(), &Limits::default()).unwrap_err().to_string();
    // Cells of the tables below, none of which may be told.
    for cell in ["7731", "canary", "2020", "Smith"] {
        assert!(!error.contains(cell), "{error}");
    }
    assert!(!error.contains('\n'), "{error}");
    let start = error.rfind('/').map_or(0, |at| at + 1);
    error[start..].to_owned()
}

#[test]
fn faults_name_file_line_and_column_and_no_cell() {
    let person = "person_id,gender_concept_id,year_of_birth,birth_datetime\n7731,8507,1950,\n";
    let drugs = "person_id,drug_concept_id,drug_exposure_start_date\n";
    for (table, text, wanted) in [
        ("DRUG_EXPOSURE", format!("{drugs}canary,1,2020-01-01\n"), "DRUG_EXPOSURE.csv:2, field person_id: the text is not a whole number"),
        ("DRUG_EXPOSURE", format!("{drugs},1,2020-01-01\n"), "DRUG_EXPOSURE.csv:2, field person_id: the person is missing"),
        ("DRUG_EXPOSURE", format!("{drugs}7731,Smith,2020-01-01\n"), "DRUG_EXPOSURE.csv:2, field drug_concept_id: the text is not"),
        ("DRUG_EXPOSURE", format!("{drugs}7731,1,\n"), "DRUG_EXPOSURE.csv:2, field drug_exposure_start_date: the date is missing"),
        ("DRUG_EXPOSURE", format!("{drugs}7731,1,2020-13-01\n"), "DRUG_EXPOSURE.csv:2, field drug_exposure_start_date: the time is not a date"),
        ("DRUG_EXPOSURE", format!("{drugs}7731,1,99999999999999999999-01-01\n"), "field drug_exposure_start_date: the time is not a date"),
        ("DRUG_EXPOSURE", format!("{drugs}7731,1\n"), "DRUG_EXPOSURE.csv:2: the row has 2 cells, not 3"),
        ("DRUG_EXPOSURE", format!("{drugs}7731,\"1,2020-01-01\n"), "DRUG_EXPOSURE.csv:2: a quote is opened"),
        ("DRUG_EXPOSURE", "person_id,drug_exposure_start_date\n".into(), "field drug_concept_id: there is no such column"),
        ("DRUG_EXPOSURE", "person_id,drug_concept_id\n".into(), "field drug_exposure_start_date: there is no such column"),
        ("DRUG_EXPOSURE", "person_id,Person_ID,drug_concept_id\n".into(), "field person_id: two columns have this name"),
        ("DRUG_EXPOSURE", String::new(), "DRUG_EXPOSURE.csv: the file is empty"),
        (
            "MEASUREMENT",
            "person_id,measurement_concept_id,measurement_date,value_as_number\n7731,1,2020-01-01,canary\n".into(),
            "MEASUREMENT.csv:2, field value_as_number: the text is not a number",
        ),
        (
            "MEASUREMENT",
            "person_id,measurement_concept_id,measurement_date,value_as_number\n7731,1,2020-01-01,7.731e99\n".into(),
            "MEASUREMENT.csv:2, field value_as_number: the number is too large",
        ),
        ("DEATH", "person_id,death_date\n7731,Smith\n".into(), "DEATH.csv:2, field death_date: the time is not"),
        ("CONCEPT", "concept_id,concept_name\n".into(), "field vocabulary_id: there is no such column"),
    ] {
        let found = refusal(person, table, &text);
        assert!(found.contains(wanted), "{found}\nwanted {wanted}");
    }
    let twice = format!("{person}7731,8507,1950,\n");
    let found = refusal(&twice, "DEATH", "person_id,death_date\n");
    assert!(
        found.contains("PERSON.csv:3, field person_id: this person stands further up"),
        "{found}"
    );
    let found = refusal(&person.replace("1950", "77310"), "DEATH", "person_id,death_date\n");
    assert!(
        found.contains("field year_of_birth: year, month and day of birth are no date"),
        "{found}"
    );
    let folder = tempfile::tempdir().unwrap();
    assert!(!is_omop(folder.path(), &Limits::default()).unwrap());
    let found = read_omop(folder.path(), &Limits::default()).unwrap_err().to_string();
    assert!(found.contains("there is no table PERSON"), "{found}");
    let few = Limits { subjects: 2, ..Limits::default() };
    let found = read_omop(&testdata().join("people"), &few).unwrap_err().to_string();
    assert!(found.contains("the number of people is over the limit of 2"), "{found}");
}

#[test]
fn the_public_tables_have_the_counts_of_python() {
    let root = std::env::var_os("SEQUELA_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = root.join("omop_synthea27nj").join("Synthea27Nj_5.4.zip");
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
        return;
    }
    let coded = read_omop(&path, &Limits::default()).unwrap();
    let mut found: Vec<String> = coded
        .counts
        .iter()
        .map(|count| format!("table,{},{},{}", count.source, count.rows, count.events))
        .collect();
    let (mut units, mut codes) =
        (BTreeMap::<&str, u32>::new(), BTreeMap::<&str, (u32, f64)>::new());
    for event in &coded.events {
        let code = codes.entry(&coded.codes[event.code as usize].name).or_default();
        code.0 += 1;
        if event.value.is_finite() {
            code.1 += f64::from(event.value);
            if let Some(unit) = event.unit {
                *units.entry(&coded.words[unit as usize]).or_default() += 1;
            }
        }
    }
    found.extend(units.iter().map(|(name, count)| format!("unit,{name},{count},")));
    let oracle = testdata().join("synthea27nj.csv");
    let oracle = sequela_formats::bounded::read(&oracle, &Limits::default()).unwrap();
    let oracle = String::from_utf8(oracle).unwrap();
    let (counts, sums): (Vec<&str>, Vec<&str>) =
        oracle.lines().skip(1).partition(|line| !line.starts_with("code,"));
    assert_eq!(found, counts);
    assert_eq!(sums.len(), codes.len());
    for (line, (name, (count, sum))) in sums.iter().zip(codes) {
        let cells: Vec<&str> = line.rsplitn(3, ',').collect();
        let wanted: f64 = cells[0].parse().unwrap();
        assert_eq!(
            (cells[2], cells[1]),
            (format!("code,{name}").as_str(), count.to_string().as_str())
        );
        assert!((sum - wanted).abs() <= 1e-5 * wanted.abs() + 0.01, "{line}: {sum}");
    }
    assert!(coded.notes.iter().all(|note| !note.contains("left out")), "{:?}", coded.notes);
}
