//! What is written is read back: random tables and arrays.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use sequela_core::{Limits, Random};
use sequela_formats::csv::{Cell, SeriesColumns, TimeFormat, parse_series, sniff_bytes, to_csv};
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
