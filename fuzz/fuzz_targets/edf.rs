//! Any bytes as a recording of EDF or BDF: refused, or written and read again to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sequela_core::Limits;
use sequela_formats::edf::{Reader, RecordToWrite, parse_recording, to_edf};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { steps: 1 << 20, channels: 256, ..Limits::default() };
    let name = "fuzz".as_ref();
    let Ok(read) = parse_recording(bytes, name, &[], &limits) else { return };
    let Ok(mut reader) = Reader::of_stream(Box::new(bytes), bytes.len() as u64, name, &limits)
    else {
        panic!("read whole, and not record by record");
    };
    let mut records = Vec::new();
    while let Ok(Some(record)) = reader.next_record() {
        let samples = (0..read.header.signals.len()).map(|at| {
            let mut numbers = Vec::new();
            record.digital(at, &mut numbers);
            numbers
        });
        let (samples, annotations) = (samples.collect(), record.annotations.to_vec());
        records.push(RecordToWrite { samples, onset: record.onset, annotations });
    }
    // Texts in Latin-1 become longer, onsets get their list: not all that is read has room.
    let Ok(written) = to_edf(&read.header, &records, name) else { return };
    let again = parse_recording(&written, name, &[], &limits).expect("what is written is read");
    assert!(read.annotations == again.annotations && read.segments == again.segments);
    assert!(read.channels == again.channels);
    assert!(read.header.identification == again.header.identification);
});
