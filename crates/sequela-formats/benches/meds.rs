//! Seconds to read a folder of MEDS: `cargo bench -p sequela-formats --bench meds -- FOLDER THREADS`.
//!
//! `benches/meds.py` writes such folders, and times pyarrow on them.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::time::Instant;

use sequela_core::Limits;
use sequela_formats::meds::read_shards;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    let [folder, threads] = &arguments[..] else {
        println!("give a folder of MEDS, and the number of threads");
        return;
    };
    let threads = threads.parse().unwrap();
    let mut seconds: Vec<f64> = Vec::new();
    let mut events = 0;
    for _ in 0..7 {
        let started = Instant::now();
        events = 0;
        read_shards(Path::new(folder), threads, &Limits::default(), &mut |_, shard| {
            events += shard.times.len();
            Ok(())
        })
        .unwrap();
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_unstable_by(f64::total_cmp);
    println!(
        "sequela {folder} {threads} threads: {events} events, median {:.3} s, least {:.3} s",
        seconds[3], seconds[0]
    );
}
