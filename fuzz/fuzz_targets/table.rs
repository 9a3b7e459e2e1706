//! Any bytes as a table, wide and long: refused, or finite values.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sequela_core::Limits;
use sequela_formats::csv::{
    LongColumns, SeriesColumns, TimeColumn, TimeFormat, ValueColumn, parse_labels, parse_long,
    parse_series, sniff_bytes,
};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { steps: 1 << 20, channels: 256, ..Limits::default() };
    let name = "fuzz".as_ref();
    for value in ["v", "hr", "temp", "t"] {
        if let Ok(table) = parse_series(bytes, name, &SeriesColumns::values([(value, "")]), &limits) {
            let mut values = table.series.iter().flat_map(|series| &series.values);
            assert!(values.all(|value| !value.is_infinite()));
        }
    }
    let columns = LongColumns {
        subject: "id".into(),
        time: TimeColumn { name: "t".into(), format: TimeFormat::Minutes },
        name: "id".into(),
        value: "hr".into(),
        unit: None,
        channels: vec![ValueColumn { name: "a".into(), unit: String::new() }],
    };
    if let Ok(table) = parse_long(bytes, name, &columns, &limits) {
        assert!(table.series.iter().flat_map(|s| &s.readings).all(|r| r.value.is_finite()));
    }
    let _ = parse_labels(bytes, name, ("id", "id"), &limits);
    let _ = sniff_bytes(bytes, name, &limits);
});
