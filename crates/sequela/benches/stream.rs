//! Steps of many subjects in a second: through the library, through lines, through the program
//! with a pipe at either end.
//!
//! `cargo bench -p sequela --bench stream -- [THREADS]` prints one JSON object a line. The model
//! is an LSTM of 64 units on one channel; 10,000 subjects take turns. The times of the program are
//! of its whole run, from its start to its last answer.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::format_push_string,
    clippy::naive_bytecount,
    missing_docs,
    reason = "a benchmark prints, and stops at the first thing that is wrong"
)]

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use sequela::core::Limits;
use sequela::train::{
    Dialogue, DialogueOptions, Model, Options, Outcome, Override, StreamOptions, Streams, Study,
    train,
};
use serde_json::json;

const STUDY: &str = r#"
[study]
name = "stream"
seed = 1
[data]
kind = "simulated"
subjects = 6
hours = 0.06
[window]
length = 12
horizons = [1, 5]
target = "change"
[split]
by = "subject"
fractions = { tune = 0.2, test = 0.3 }
[model]
kind = "sequence"
cell = "lstm"
hidden = 64
[train]
epochs = 1
batch = 16
rate = 5e-3
"#;
const SUBJECTS: usize = 10_000;

fn model(folder: &Path, name: &str, changes: &[&str]) -> (PathBuf, Model) {
    let changes: Vec<Override> = changes.iter().map(|c| Override::parse(c).unwrap()).collect();
    let study = Study::parse(STUDY, Path::new("stream.toml"), &changes).unwrap();
    let run = folder.join(name);
    let trained = train(&study, &run, &Options::default(), &mut |_| {}).unwrap();
    let Outcome::Finished(report) = trained else { return model(folder, name, &[]) };
    let loaded = Model::load(&report.model, &Limits::default()).unwrap();
    (report.model, loaded)
}

fn value(subject: usize, round: usize) -> f32 {
    60.0 + ((subject * 7 + round * 13) % 400) as f32 / 10.0
}

fn tell(case: &str, engine: &str, threads: usize, steps: usize, seconds: f64) {
    let rate = steps as f64 / seconds;
    println!(
        "{}",
        json!({ "bench": "stream", "case": case, "model": engine, "hidden": 64,
            "subjects": SUBJECTS, "threads": threads, "steps": steps, "seconds": (seconds * 1e4).round() / 1e4,
            "steps_per_second": rate.round(), "us_per_step": (1e8 / rate).round() / 100.0 })
    );
}

/// Best of three, after a turn that makes the subjects.
fn best(mut turn: impl FnMut()) -> f64 {
    turn();
    let times = (0..3).map(|_| {
        let start = Instant::now();
        turn();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::MAX, f64::min)
}

fn library(model: &Model, engine: &str, threads: usize, rounds: usize) {
    let names: Vec<String> = (0..SUBJECTS).map(|subject| format!("patient{subject:05}")).collect();
    let options = StreamOptions { threads, ..StreamOptions::default() };
    let mut streams = Streams::new(model, &options).unwrap();
    let mut round = 0;
    let seconds = best(|| {
        for _ in 0..rounds {
            round += 1;
            for (subject, name) in names.iter().enumerate() {
                streams.push(name, Some(round as f64), &[value(subject, round)]).unwrap();
            }
            streams.run().unwrap();
            streams.clear().unwrap();
        }
    });
    tell("library", engine, threads, rounds * SUBJECTS, seconds);
    let mut one = Streams::new(model, &options).unwrap();
    let seconds = best(|| {
        for round in 0..2000 {
            one.push("alone", None, &[value(1, round)]).unwrap();
            one.run().unwrap();
            one.clear().unwrap();
        }
    });
    tell("library, one subject, step by step", engine, threads, 2000, seconds);
}

/// The lines of some rounds, and what the dialogue says before them.
fn lines(form: &str, rounds: std::ops::Range<usize>) -> String {
    let mut text = String::new();
    for round in rounds {
        for subject in 0..SUBJECTS {
            let value = value(subject, round);
            text.push_str(&if form == "csv" {
                format!("patient{subject:05},{round},{value}\n")
            } else {
                format!("{{\"patient\":\"patient{subject:05}\",\"seconds\":{round},\"heart_rate\":{value}}}\n")
            });
        }
    }
    text
}

fn header(form: &str) -> &'static str {
    if form == "csv" { "patient,seconds,heart_rate\n" } else { "" }
}

fn dialogue(model: &Model, engine: &str, threads: usize, rounds: usize) {
    for form in ["csv", "json"] {
        let streams = StreamOptions { threads, ..StreamOptions::default() };
        let options = DialogueOptions { streams, ..DialogueOptions::default() };
        let mut dialogue = Dialogue::new(model, Path::new("bench"), options).unwrap();
        let mut answers = Vec::new();
        dialogue.hear(header(form).as_bytes(), &mut answers).unwrap();
        let mut round = 0;
        let mut texts: Vec<String> =
            (0..4).map(|at| lines(form, at * rounds..(at + 1) * rounds)).collect();
        texts.reverse();
        let seconds = best(|| {
            round += 1;
            for piece in texts.pop().unwrap().as_bytes().chunks(128 << 10) {
                answers.clear();
                dialogue.hear(piece, &mut answers).unwrap();
            }
        });
        tell(&format!("lines of {form}"), engine, threads, rounds * SUBJECTS, seconds);
    }
}

fn process(model: &Path, engine: &str, threads: usize, rounds: usize) {
    for form in ["csv", "json"] {
        let text = lines(form, 0..rounds);
        let mut seconds = f64::MAX;
        for _ in 0..3 {
            let mut child = Command::new(env!("CARGO_BIN_EXE_sequela"))
                .args(["predict", model.to_str().unwrap(), "-", "--stream", "--quiet", "--threads"])
                .arg(threads.to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            let start = Instant::now();
            std::thread::scope(|scope| {
                let text = &text;
                scope.spawn(move || {
                    to.write_all(header(form).as_bytes()).unwrap();
                    to.write_all(text.as_bytes()).unwrap();
                });
                let (mut answers, mut chunk) = (0, vec![0; 64 << 10]);
                loop {
                    let read = from.read(&mut chunk).unwrap();
                    if read == 0 {
                        break;
                    }
                    answers += chunk[..read].iter().filter(|&&byte| byte == b'\n').count();
                }
                assert_eq!(answers, rounds * SUBJECTS + usize::from(form == "csv"));
            });
            seconds = seconds.min(start.elapsed().as_secs_f64());
            assert!(child.wait().unwrap().success());
        }
        tell(
            &format!("program, {form} through pipes"),
            engine,
            threads,
            rounds * SUBJECTS,
            seconds,
        );
    }
}

fn main() {
    let chosen = std::env::args().find_map(|word| word.parse().ok());
    let folder = tempfile::tempdir().unwrap();
    let carried = ["model.pooling=\"none\"", "train.truncate=16"];
    for (engine, changes, rounds) in
        [("carried state", &carried[..], 30), ("windows of 12 steps", &[][..], 48)]
    {
        let (path, model) = model(folder.path(), &engine.replace(' ', "-"), changes);
        for threads in [1, 2] {
            if chosen.is_none_or(|chosen: usize| chosen == threads) {
                library(&model, engine, threads, rounds / 3);
                dialogue(&model, engine, threads, rounds / 3);
                process(&path, engine, threads, rounds);
            }
        }
    }
}
