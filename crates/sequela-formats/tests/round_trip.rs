//! What is written is read back: random tables and arrays.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use sequela_core::{Limits, Random};
use sequela_formats::csv::{Cell, SeriesColumns, TimeFormat, parse_series, sniff_bytes, to_csv};
use sequela_formats::edf;
use sequela_formats::npy::{parse_array, to_npy};

/// Numbers of every size, as bits of the generator.
fn number(random: &Random, index: u64) -> f64 {
    let value = f64::from_bits(random.word(index));
    if value.is_finite() { value } else { 0.0 }
}

#[test]
fn arrays() {
    for seed in 0..50 {
        let random = Random::new(seed, 1);
        let shape = [random.below(0, 20), random.below(1, 6)].map(|n| usize::try_from(n).unwrap());
        let values: Vec<f64> =
            (0..shape[0] * shape[1]).map(|i| number(&random, 2 + i as u64)).collect();
        let array =
            parse_array(&to_npy(&shape, &values), "a".as_ref(), &Limits::default()).unwrap();
        assert_eq!(array.shape, shape);
        let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&array.values), bits(&values));
    }
}

#[test]
fn tables() {
    const NAMES: [&str; 5] = ["a", "b,c", "d \"e\"", "f\ng", "\u{e9}\u{4e2d}"];
    for seed in 0..50 {
        let random = Random::new(seed, 2);
        let rows: Vec<(usize, f64, Option<f32>)> = (0..random.below(0, 60))
            .map(|i| {
                let subject = usize::try_from(random.below(3 * i + 1, 5)).unwrap();
                #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
                let value = random.normal(3 * i + 2) as f32;
                (subject, i as f64 * 0.1, (random.below(3 * i + 3, 4) > 0).then_some(value))
            })
            .collect();
        let cells: Vec<Vec<Cell>> = rows
            .iter()
            .map(|(subject, time, value)| {
                let value = value.map_or(Cell::Missing, |v| Cell::Number(f64::from(v)));
                vec![Cell::Text(NAMES[*subject].to_owned()), Cell::Number(*time), value]
            })
            .collect();
        let bytes = to_csv(&["id", "hours", "hr"], &cells);
        let columns = SeriesColumns::values([("hr", "bpm")])
            .with_subject("id")
            .with_time("hours", TimeFormat::Hours);
        let Ok(table) = parse_series(&bytes, "t".as_ref(), &columns, &Limits::default()) else {
            assert!(rows.is_empty());
            continue;
        };
        for series in &table.series {
            let own = || rows.iter().filter(|row| Some(NAMES[row.0]) == series.subject.as_deref());
            let values: Vec<u32> = own().map(|row| row.2.unwrap_or(f32::NAN).to_bits()).collect();
            assert_eq!(series.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), values);
            let times: Vec<f64> = own().map(|row| row.1).collect();
            assert_eq!(series.times.as_ref().unwrap(), &times);
        }
        let total: usize = table.series.iter().map(|series| series.values.len()).sum();
        assert_eq!(total, rows.len());
        // All cells of so short a table may be missing, and then there is nothing to guess.
        if let Ok(guess) = sniff_bytes(&bytes, "t".as_ref(), &Limits::default()) {
            assert_eq!(guess.columns.time, columns.time);
        }
    }
}

/// A header and records of a shape that is drawn.
fn recording(random: &Random) -> (edf::Header, Vec<edf::RecordToWrite>) {
    let draw = |at: u64, most: u64| random.below(at, most);
    let width = [edf::Width::Edf, edf::Width::Bdf][usize::try_from(draw(0, 2)).unwrap()];
    let half = 1_i32 << (8 * width.bytes() - 1);
    let layouts = [edf::Layout::Plain, edf::Layout::Continuous, edf::Layout::Discontinuous];
    let layout = layouts[usize::try_from(draw(1, 3)).unwrap()];
    let mut signals: Vec<edf::Signal> = (0..=draw(2, 4))
        .map(|at| edf::Signal {
            label: format!("S {at}"),
            unit: ["uV", "", "\u{b5}V", "L/min"][usize::try_from(draw(10 + at, 4)).unwrap()].into(),
            physical: [(-1.5, 2.25), (1e5, -1e5), (0.001, 1e-7)]
                [usize::try_from(draw(20 + at, 3)).unwrap()],
            digital: (-half, half - 1),
            filter: "HP:0.1Hz".into(),
            samples: u32::try_from(1 + draw(30 + at, 50)).unwrap(),
            ..edf::Signal::default()
        })
        .collect();
    let notes = edf::Signal {
        label: "EDF Annotations".into(),
        physical: (-1.0, 1.0),
        digital: (-32768, 32767),
        samples: 60,
        is_annotations: true,
        ..edf::Signal::default()
    };
    if layout != edf::Layout::Plain {
        signals.insert(usize::try_from(draw(3, signals.len() as u64)).unwrap(), notes);
    }
    let mut header =
        edf::Header::new([1.0, 0.25, 30.0][usize::try_from(draw(4, 3)).unwrap()], signals);
    (header.width, header.layout) = (width, layout);
    header.identification = edf::Identification {
        patient: "MCH-0234567 F 02-MAY-1951 Haagse_Harry".into(),
        recording: "Startdate 02-MAR-2002".into(),
        start: Some("2002-03-02T22:15:00".into()),
    };
    let records = (0..draw(5, 5)).map(|number| {
        let gap = if layout == edf::Layout::Discontinuous { 10.0 } else { 0.0 };
        let onset = number as f64 * (header.record_seconds + gap);
        let list = |(at, signal): (usize, &edf::Signal)| {
            let count = if signal.is_annotations { 0 } else { u64::from(signal.samples) };
            let word = 1000 * (1 + number) + 100 * at as u64;
            let span = 2 * u64::from(half.unsigned_abs());
            (0..count)
                .map(|n| i32::try_from(draw(word + n, span)).unwrap() - half)
                .collect::<Vec<i32>>()
        };
        let note = |at: u64| edf::Annotation {
            onset: onset + at as f64 / 8.0,
            duration: (at > 0).then_some(0.5),
            text: ["W", "", "Schlaf \u{e4}"]
                [usize::try_from(draw(900 + 3 * number + at, 3)).unwrap()]
            .into(),
        };
        let count = if layout == edf::Layout::Plain { 0 } else { draw(800 + number, 3) };
        edf::RecordToWrite {
            samples: header.signals.iter().enumerate().map(list).collect(),
            onset,
            annotations: (0..count).map(note).collect(),
        }
    });
    let records = records.collect();
    (header, records)
}

#[test]
fn recordings() {
    let (name, limits) = ("r.edf".as_ref(), Limits::default());
    for seed in 0..200 {
        let (header, records) = recording(&Random::new(seed, 3));
        let bytes = edf::to_edf(&header, &records, name).unwrap();
        let stream = Box::new(bytes.as_slice());
        let mut reader = edf::Reader::of_stream(stream, bytes.len() as u64, name, &limits).unwrap();
        let mut read = reader.header().clone();
        assert_eq!(read.records, Some(records.len() as u64));
        // What is read knows where its fields are.
        read.records = None;
        let again = edf::to_edf(&read, &records, name).unwrap();
        assert!(again == bytes, "{seed}");
        assert_eq!(read.identification, header.identification);
        let (mut count, mut numbers) = (0, Vec::new());
        while let Some(record) = reader.next_record().unwrap() {
            let wanted = &records[count];
            assert_eq!(
                (record.onset.to_bits(), record.annotations),
                (wanted.onset.to_bits(), &*wanted.annotations)
            );
            assert_eq!(record.after_gap, count > 0 && header.layout == edf::Layout::Discontinuous);
            for (at, signal) in header.signals.iter().enumerate().filter(|(_, s)| !s.is_annotations)
            {
                record.digital(at, &mut numbers);
                assert_eq!(numbers, wanted.samples[at], "{}", signal.label);
            }
            count += 1;
        }
        assert_eq!((count, reader.notes().len()), (records.len(), 0));
    }
}

#[test]
fn recordings_that_do_not_fit_are_not_written() {
    let (mut header, records) = recording(&Random::new(1, 3));
    let told = |header: &edf::Header, records: &[edf::RecordToWrite]| {
        edf::to_edf(header, records, "r.edf".as_ref()).unwrap_err().to_string()
    };
    let mut more = records.clone();
    more.push(edf::RecordToWrite::default());
    assert!(told(&header, &more).contains("a record has another number of samples"));
    header.signals[0].label = "a label of seventeen".into();
    assert!(told(&header, &records).contains("field label: the text does not fit"));
    header.signals[0].label = "ok".into();
    header.signals[0].physical = (0.1 + 0.2, 1.0);
    assert!(told(&header, &records).contains("the number has more than eight characters"));
}
