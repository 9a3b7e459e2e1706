//! Any bytes as a header and as annotations of WFDB: refused, or written and read again to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sequela_core::Limits;
use sequela_formats::wfdb::{parse_annotations, parse_header, to_annotations, to_record};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { steps: 1 << 20, channels: 256, ..Limits::default() };
    let name = "fuzz".as_ref();
    if let Ok(read) = parse_annotations(bytes, name, &limits)
        && let Ok(written) = to_annotations(&read, name)
    {
        let again = parse_annotations(&written, name, &limits).expect("what is written is read");
        assert!(read == again);
    }
    let Ok(header) = parse_header(bytes, name, &limits) else { return };
    let frame = |each: u32| (0..each.min(64)).map(|at| at as i32 % 100).collect();
    let samples: Vec<Vec<i32>> =
        header.signals.iter().map(|signal| frame(signal.samples_per_frame)).collect();
    let Ok(written) = to_record(&header, &samples, name) else { return };
    let mut again = parse_header(&written.header, name, &limits).expect("what is written is read");
    for (again, signal) in again.signals.iter_mut().zip(&header.signals) {
        (again.initial_value, again.checksum) = (signal.initial_value, signal.checksum);
    }
    again.samples = header.samples;
    assert!(header == again);
});
