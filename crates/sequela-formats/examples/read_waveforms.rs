//! Reads the signals of a WFDB record and shows what they are.
//!
//! ```text
//! cargo run --release -p sequela-formats --example read_waveforms -- 100.hea
//! cargo run --release -p sequela-formats --example read_waveforms -- 100.hea 20    the best time of 20
//! ```
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::path::Path;
use std::time::Instant;

use sequela_core::Limits;
use sequela_formats::wfdb::{Waveform, read_waveforms, read_waveforms_into};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let path = Path::new(words.first().ok_or("name a header (.hea)")?);
    let repeats: u32 = words.get(1).map_or(Ok(1), |word| word.parse())?;
    let limits = Limits::default();
    let record = read_waveforms(path, None, &limits)?;
    println!("{}: {} frames at {} Hz", record.record, record.frames.end, record.frequency);
    for signal in &record.signals {
        let (low, high, missing) = span(signal);
        let Waveform { name, unit, values, .. } = signal;
        println!("  {name}: {} values, {low} to {high} {unit}, {missing} missing", values.len());
    }
    for note in &record.notes {
        println!("  {note}");
    }
    if repeats > 1 {
        let time = |_| {
            let start = Instant::now();
            read_waveforms(path, None, &limits).map(|_| start.elapsed().as_secs_f64())
        };
        let times = (0..repeats).map(time).collect::<Result<Vec<f64>, _>>()?;
        println!("  {:.3} ms in f64, the best of {repeats}", best(&times));
        let mut values = Vec::new();
        let mut narrow = |is_new: bool| {
            let start = Instant::now();
            if is_new {
                values = Vec::new();
            }
            read_waveforms_into(path, &mut values, &limits).map(|_| start.elapsed().as_secs_f64())
        };
        let fresh = (0..repeats).map(|_| narrow(true)).collect::<Result<Vec<f64>, _>>()?;
        let again = (0..repeats).map(|_| narrow(false)).collect::<Result<Vec<f64>, _>>()?;
        println!("  {:.3} ms in f32", best(&fresh));
        println!("  {:.3} ms in f32, in a buffer that is used again", best(&again));
    }
    Ok(())
}

/// The shortest time, in milliseconds.
fn best(times: &[f64]) -> f64 {
    1e3 * times.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Lowest and highest value, and how many are missing.
fn span(signal: &Waveform) -> (f64, f64, usize) {
    let seen = || signal.values.iter().filter(|value| !value.is_nan());
    let low = seen().copied().fold(f64::INFINITY, f64::min);
    let high = seen().copied().fold(f64::NEG_INFINITY, f64::max);
    (low, high, signal.values.len() - seen().count())
}
