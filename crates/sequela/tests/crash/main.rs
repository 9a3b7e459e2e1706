//! Crash safety: the program is killed, failed and interrupted at its system calls, and has to
//! leave whole files and go on to the same bytes.
//!
//! As a test it tries a few points in some seconds. `-- --full` tries every one, in minutes, and
//! prints the tables of `docs/reliability.md`; with `TMPDIR=/dev/shm` it takes a third of the time,
//! as syncs cost nothing there. `-- --sample 5` tries five times as many as the test. Needs Linux and strace; says so where they are not
//! there.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a harness that tells its counts")]

mod case;
#[path = "../common/mod.rs"]
mod common;
mod folder;
mod matrix;
mod others;
mod replay;
mod strace;
mod tally;

use std::process::ExitCode;
use std::time::Instant;

use case::{Case, finished_run};
use common::Bench;
use folder::{Files, load, store};
use matrix::Share;
use tally::Tally;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|word| word == "--list") {
        return ExitCode::SUCCESS;
    }
    let full = words.iter().any(|word| word == "--full");
    let sample = words.iter().skip_while(|word| *word != "--sample").nth(1);
    let times: usize = sample.map_or(1, |word| word.parse().unwrap());
    let bench = Bench::with_inputs();
    if let Some(obstacle) = strace::obstacle(&bench.path("")) {
        println!("crash: 0 points tried; skipped: {obstacle}");
        println!("crash: install the package strace, and allow ptrace, to have it tried");
        // Who asks for the whole matrix wants it.
        return if full { ExitCode::from(4) } else { ExitCode::SUCCESS };
    }
    let start = Instant::now();
    let mut tally = Tally::default();
    let cases = cases(&bench);
    for case in &cases {
        let share = |points| if full { Share::All } else { Share::About(points * times) };
        matrix::kills(case, share(6), &mut tally);
        matrix::failures(case, share(4), &mut tally);
        matrix::lasting_failures(case, share(1), &mut tally);
        matrix::signals(case, share(1), &mut tally);
        matrix::power_losses(case, share(4), &mut tally);
        if full {
            for name in ["openat", "fsync", "rename"] {
                matrix::kills_in_a_row(case, name, &mut tally);
            }
            eprintln!(
                "{}: {} points, {:.0} s",
                case.name,
                tally.points(),
                start.elapsed().as_secs_f64()
            );
        }
    }
    for case in &cases {
        concurrent(case, full, &mut tally);
    }
    if full || sample.is_some() {
        println!("{}\n{}", tally.summary(), tally.table());
    }
    println!(
        "crash: {} points tried, {} torn or different, {:.1} s",
        tally.points(),
        tally.faults.len(),
        start.elapsed().as_secs_f64()
    );
    if tally.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// What is not one call of one process.
fn concurrent(case: &Case<'_>, full: bool, tally: &mut Tally) {
    let times = if full { 20 } else { 1 };
    match case.name {
        "train" => {
            let renames: &[usize] = if full { &[1, 2, 5, 9, 12, 15, 18] } else { &[5] };
            others::second_writers(case, renames, tally);
            others::late_writer(case, tally);
            others::races(case, times, tally);
            others::kills_by_chance(case, if full { 200 } else { 3 }, tally);
            if full {
                others::out_of_memory(case, tally);
                if !others::full_disks(case, tally) {
                    println!(
                        "crash: full disks were not tried: no file system can be mounted here"
                    );
                }
            }
        }
        "resume" => {
            others::races(case, times, tally);
            others::kills_by_chance(case, if full { 200 } else { 3 }, tally);
            others::no_thread(case, tally);
        }
        _ => {}
    }
}

/// The cases, each run once undisturbed.
fn cases(bench: &Bench) -> Vec<Case<'_>> {
    let finished = finished_run(bench, &bench.path("run"), &TRAIN);
    let stopped = stopped_run(bench);
    bench.write("other.toml", {
        let study = String::from_utf8(bench.read("ward.toml")).unwrap();
        study.replace("hidden = 8", "hidden = 5")
    });
    let over: Files = [("f.csv".to_owned(), b"an older forecast\n".to_vec())].into();
    store(&bench.path("run"), Some(&finished));
    let mut other = TRAIN;
    other[1] = "other.toml";
    vec![
        Case::new(bench, "predict", "out", Some(over), [&PREDICT; 2]),
        Case::new(bench, "train over a run", "run", Some(finished), [&other; 2]),
        Case::new(bench, "resume", "run", Some(stopped), [&RESUME; 2]),
        Case::new(bench, "train", "run", None, [&TRAIN, &RESUME]),
    ]
}

/// What a run killed in its second epoch leaves: a checkpoint, later lines in the logs, an
/// unfinished one, a temporary file and the lock of a dead process.
fn stopped_run(bench: &Bench) -> Files {
    store(&bench.path("run"), None);
    let log = bench.path("strace.log");
    let command = {
        let mut command = bench.command();
        command.args(TRAIN);
        command
    };
    // The seventh rename is that of a checkpoint within the second epoch.
    let ended = strace::inject(&command, &log, ("rename", "7"), "signal=SIGKILL");
    assert_eq!(ended.signal, Some(9), "{}", ended.err);
    let mut files = load(&bench.path("run")).unwrap();
    files.get_mut("metrics.jsonl").unwrap().extend(b"{\"epoch\":9}\n{\"epo");
    files.get_mut("timing.jsonl").unwrap().extend(b"{\"epoch\":2,\"seconds\":1.5}\n{\"ep");
    assert!(files.contains_key("run.lock") && files.contains_key("checkpoint.safetensors"));
    files
}

const TRAIN: [&str; 8] = [
    "train",
    "ward.toml",
    "--out",
    "run",
    "--quiet",
    "--threads=1",
    "--set",
    "train.checkpoint.steps=7",
];
const RESUME: [&str; 5] = ["train", "--resume", "run", "--quiet", "--threads=2"];
const PREDICT: [&str; 6] =
    ["predict", "run/model.safetensors", "ward.csv", "--out", "out/f.csv", "--quiet"];
