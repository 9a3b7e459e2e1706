//! Tables of time series: what is read, and one line for everything that is wrong.

use sequela_core::Limits;
use sequela_formats::Error;
use sequela_formats::csv::{SeriesColumns, SeriesTable, TimeFormat, parse_series, sniff_bytes};

fn columns() -> SeriesColumns {
    SeriesColumns::values([("hr", "bpm")])
        .with_subject("id")
        .with_time("minutes", TimeFormat::Minutes)
}

fn parse(text: &[u8]) -> Result<SeriesTable, Error> {
    parse_series(text, "ward.csv".as_ref(), &columns(), &Limits::default())
}

#[test]
fn every_fault_is_one_line_with_place_and_remedy() {
    let cases: &[(&str, &[u8], &str)] = &[
        ("empty", b"", "ward.csv: the file is empty; give it a header and rows"),
        ("blank", b"\n \n", "ward.csv: the file is empty; give it a header and rows"),
        (
            "no row",
            b"id,minutes,hr\n",
            "ward.csv: the table has a header but no row; give it at least one row",
        ),
        (
            "nearly the column",
            b"id,minutes,HR\na,0,70\n",
            "ward.csv:1, field hr: there is no such column; did you mean \"HR\"?",
        ),
        (
            "no such column",
            b"id,minutes,pressure\na,0,70\n",
            "ward.csv:1, field hr: there is no such column; the columns are id, minutes, pressure",
        ),
        (
            "no header",
            b"1,0,70\n1,1,71\n",
            "ward.csv:1, field id: there is no such column; \
             the first line has numbers: give the table a header",
        ),
        (
            "text in a number",
            b"id,minutes,hr\na,0,70\na,1,high\n",
            "ward.csv:3, field hr: the text is not a number; \
             correct it, or leave the cell empty if the value is not known",
        ),
        (
            "decimal comma",
            b"id,minutes,hr\na,0,\"72,5\"\n",
            "ward.csv:2, field hr: the number is written with a decimal comma; \
             write a decimal point",
        ),
        (
            "infinite",
            b"id,minutes,hr\na,0,inf\n",
            "ward.csv:2, field hr: the value is infinite; \
             leave the cell empty if the value is not known",
        ),
        (
            "backwards",
            b"id,minutes,hr\na,5,70\nb,1,80\na,4,70\n",
            "ward.csv:4, field minutes: the time goes backwards; \
             sort the rows of each subject by time",
        ),
        (
            "no time",
            b"id,minutes,hr\na,,70\n",
            "ward.csv:2, field minutes: the time is missing; give each row a time",
        ),
        (
            "a date for a number",
            b"id,minutes,hr\na,2024-05-01T08:00:00,70\n",
            "ward.csv:2, field minutes: the time is a date, not a number; \
             declare the time column as date_time",
        ),
        (
            "no subject",
            b"id,minutes,hr\n,0,70\n",
            "ward.csv:2, field id: the subject is missing; say whose row this is",
        ),
        (
            "two equal names",
            b"id,minutes,hr,hr\na,0,70,71\n",
            "ward.csv:1, field hr: two columns have this name; rename one of them",
        ),
        (
            "too few cells",
            b"id,minutes,hr\na,0\n",
            "ward.csv:2: the row has 2 cells, not 3; \
             quote cells that hold the separator, or correct the row",
        ),
        (
            "decimal comma unquoted",
            b"id,minutes,hr\na,0,72,5\n",
            "ward.csv:2: the row has 4 cells, not 3; \
             quote cells that hold the separator, or correct the row",
        ),
        (
            "unclosed quote",
            b"id,minutes,hr\na,0,70\n\"b,0,70\nb,1,70\n",
            "ward.csv:3: the quote that opens here is never closed; close it, or remove it",
        ),
        (
            "not UTF-8",
            b"id,minutes,hr\na\xE9,0,70\n",
            "ward.csv:2 at byte 15: the text is not UTF-8; save it as UTF-8",
        ),
        ("UTF-16", b"\xFF\xFEi\0d\0", "ward.csv: the text is UTF-16; save it as UTF-8"),
    ];
    for (name, text, wanted) in cases {
        let error = parse(text).unwrap_err();
        assert_eq!(error.to_string(), *wanted, "{name}");
        assert_eq!(error.class().exit_code(), 3, "{name}");
    }
}

#[test]
fn subjects_may_be_interleaved_and_cells_missing() {
    let table = parse(b"\xEF\xBB\xBFid;minutes;hr;x\r\na;0;70;u\r\nb;0;90;v\r\n\r\na;30; NA ;\r\n")
        .unwrap();
    assert_eq!(table.series.len(), 2);
    let a = &table.series[0];
    assert_eq!(a.subject.as_deref(), Some("a"));
    assert_eq!(a.times.as_deref(), Some(&[0.0, 0.5][..]));
    assert!((a.values[0] - 70.0).abs() < f32::EPSILON && a.values[1].is_nan());
    assert_eq!((a.missing, a.first_line, table.series[1].first_line), (1, 2, 3));
}

#[test]
fn without_subject_and_time_all_rows_are_one_series() {
    let columns = SeriesColumns::values([("y", ""), ("x", "")]);
    let table =
        parse_series(b"x,y\n1,2\n3,4\n", "a".as_ref(), &columns, &Limits::default()).unwrap();
    assert_eq!(table.series.len(), 1);
    assert_eq!(table.series[0].values, [2.0, 1.0, 4.0, 3.0]);
    assert_eq!((&table.series[0].times, &table.series[0].subject), (&None, &None));
}

#[test]
fn a_column_has_one_part_only() {
    let columns = SeriesColumns::values([("a", "")]).with_subject("a");
    let error = parse_series(b"a\n1\n", "t".as_ref(), &columns, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("asked for twice"), "{error}");
    let none = SeriesColumns::default();
    assert!(parse_series(b"a\n1\n", "t".as_ref(), &none, &Limits::default()).is_err());
}

#[test]
fn every_limit_is_kept() {
    let text = b"id,minutes,hr\na,0,70\na,1,71\nb,0,80\n";
    let with = |change: fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        parse_series(text, "t".as_ref(), &columns(), &limits)
    };
    let changes: [fn(&mut Limits); 4] =
        [|l| l.steps = 1, |l| l.subjects = 1, |l| l.channels = 2, |l| l.line_bytes = 8];
    for change in changes {
        let error = with(change).unwrap_err();
        assert!(matches!(error, Error::Limit { .. }), "{error}");
    }
    assert!(with(|_| ()).is_ok());
}

#[test]
fn gzip_files_are_read_and_folders_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv.gz");
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packer, b"id,minutes,hr\na,0,70\n").unwrap();
    sequela_formats::durable::write_atomic(&path, &packer.finish().unwrap()).unwrap();
    let limits = Limits::default();
    let table = sequela_formats::csv::read_series(&path, &columns(), &limits).unwrap();
    assert_eq!(table.series[0].values, [70.0]);
    assert!(sequela_formats::csv::read_series(folder.path(), &columns(), &limits).is_err());
}

#[test]
fn columns_of_unknown_tables_are_guessed() {
    let sniff = |text: &str| sniff_bytes(text.as_bytes(), "t".as_ref(), &Limits::default());
    let guess = sniff(
        "subject_id,charttime,heart_rate,temp (C),note\n\
         a,2024-01-01 08:00,70,36.5,x\na,2024-01-01 09:00,,36.6,y\nb,2023-01-01 08:00,80,,\n",
    )
    .unwrap();
    assert_eq!(guess.columns.subject.as_deref(), Some("subject_id"));
    let time = guess.columns.time.unwrap();
    assert_eq!((time.name.as_str(), time.format), ("charttime", TimeFormat::DateTime));
    let values: Vec<_> =
        guess.columns.values.iter().map(|v| (v.name.as_str(), v.unit.as_str())).collect();
    assert_eq!(values, [("heart_rate", "bpm"), ("temp (C)", "C")]);
    assert_eq!(guess.left_out, [("note".to_owned(), "it holds text".to_owned())]);

    // A column called like a time that goes backwards is a value, not the time.
    let guess = sniff("time,v\n2,1\n1,2\n").unwrap();
    assert_eq!((guess.columns.time, guess.columns.values.len()), (None, 2));
    // A heart rate called hr is not a time in hours.
    let guess = sniff("hr\n70\n71\n").unwrap();
    assert_eq!(guess.columns.values[0].unit, "bpm");
    assert!(sniff("a,b\nx,y\n").unwrap_err().to_string().contains("no column of numbers"));
}

#[test]
fn what_is_guessed_is_read() {
    let text = b"id,t_min,hr\na,0,70\na,1,\nb,0,80\n";
    let limits = Limits::default();
    let guess = sniff_bytes(text, "t".as_ref(), &limits).unwrap();
    let table = parse_series(text, "t".as_ref(), &guess.columns, &limits).unwrap();
    assert_eq!((table.series.len(), table.time_format), (2, Some(TimeFormat::Minutes)));
}

#[test]
fn a_slip_of_the_pen_does_not_lose_a_column() {
    let text = b"patient,time_s,hr\na,0,70\na,1,71\na,2,seventy\na,3,72\na,4,73\n";
    let limits = Limits::default();
    let guess = sniff_bytes(text, "slip.csv".as_ref(), &limits).unwrap();
    assert_eq!(guess.columns.values[0].name, "hr");
    let error =
        parse_series(text, "slip.csv".as_ref(), &guess.columns, &limits).unwrap_err().to_string();
    assert!(error.starts_with("slip.csv:4, field hr: the text is not a number"), "{error}");
}
