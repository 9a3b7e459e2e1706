//! A run that was stopped or killed anywhere and goes on ends with the same bytes in every file
//! as one that never stopped.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers and tables of tests")]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{SMALL, assert_same_files, files, finish, finish_with, small};
use sequela_train::{Error, Event, Options, Outcome, Study, resume, train};

/// Trains until `steps` steps were made and stops; whether it did.
fn train_until(study: &Study, folder: &Path, steps: u64, threads: usize) -> bool {
    let stop = AtomicBool::new(steps == 0);
    let made = AtomicU64::new(0);
    let options = Options { threads, stop: Some(&stop), ..Options::default() };
    // With a checkpoint after every step each step is told.
    let outcome = train(study, folder, &options, &mut |event| {
        if matches!(event, Event::Checkpoint { .. })
            && made.fetch_add(1, Ordering::Relaxed) >= steps
        {
            stop.store(true, Ordering::Relaxed);
        }
    });
    matches!(outcome.unwrap(), Outcome::Stopped(_))
}

fn go_on(folder: &Path, threads: usize) {
    let options = Options { threads, ..Options::default() };
    let mut resumed = false;
    let outcome = resume(folder, &options, &mut |event| {
        resumed |= matches!(event, Event::Resumed { .. });
    });
    assert!(matches!(outcome.unwrap(), Outcome::Finished(_)));
    assert!(resumed);
}

#[test]
fn stopped_anywhere_and_resumed_on_other_threads() {
    let study = small(&["train.checkpoint.steps=1"]);
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    finish(&study, &whole);
    let mut stopped = 0;
    for steps in [0, 1, 2, 5, 7, 8, 9, 12, 16, 20, 23, 24] {
        let path = folder.path().join(steps.to_string());
        let threads = usize::try_from(steps).unwrap() % 3 + 1;
        if train_until(&study, &path, steps, threads) {
            stopped += 1;
            assert!(!path.join("model.safetensors").exists());
            go_on(&path, 3 - threads.min(2));
        }
        assert_same_files(&whole, &path);
    }
    assert!(stopped > 8, "only {stopped} runs were stopped");
}

#[test]
fn stopped_again_and_again() {
    let study = small(&["train.checkpoint.steps=1", "train.optimiser.kind=\"rmsprop\""]);
    let folder = tempfile::tempdir().unwrap();
    let (whole, path) = (folder.path().join("whole"), folder.path().join("pieces"));
    finish(&study, &whole);
    assert!(train_until(&study, &path, 0, 1));
    let stop = AtomicBool::new(true);
    let options = Options { stop: Some(&stop), ..Options::default() };
    let mut last = (0, 0);
    // One step at a time, and then with nothing left to train but the baseline.
    for _ in 0..40 {
        let Outcome::Stopped(stopped) = resume(&path, &options, &mut |_| {}).unwrap() else {
            panic!("a stop was not heard");
        };
        assert!((stopped.epoch, stopped.step) >= last);
        last = (stopped.epoch, stopped.step);
    }
    assert_eq!(last.0, 3);
    resume(&path, &Options::default(), &mut |_| {}).unwrap();
    assert_same_files(&whole, &path);
}

#[test]
fn killed_between_log_and_checkpoint() {
    let study = small(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let mut epochs = 0;
    // What a kill would leave behind: the files as they are after the line of the second epoch
    // was written and before its checkpoint is.
    finish_with(&study, &whole, &Options::default(), &mut |event| {
        epochs += u32::from(matches!(event, Event::Epoch { .. }));
        if epochs == 2 && matches!(event, Event::Epoch { .. }) {
            copy(&whole, &killed);
        }
    });
    assert!(killed.join("checkpoint.safetensors").exists());
    append(&killed.join("metrics.jsonl"), "{\"epoch\":9,\"tra");
    go_on(&killed, 1);
    assert_same_files(&whole, &killed);
    // The second epoch was made and timed twice; it has one time.
    let timing = common::text(&killed.join("timing.jsonl"));
    let epochs: Vec<&str> =
        timing.lines().filter_map(|line| line.split([':', ',']).nth(1)).collect();
    assert_eq!(epochs, ["1", "2", "3"], "{timing}");
}

#[test]
fn times_that_a_power_loss_spoilt_are_left_off() {
    let study = small(&["train.checkpoint.steps=1"]);
    let folder = tempfile::tempdir().unwrap();
    let (whole, spoilt) = (folder.path().join("whole"), folder.path().join("spoilt"));
    finish(&study, &whole);
    assert!(train_until(&study, &spoilt, 20, 1));
    put(&spoilt.join("timing.jsonl"), b"{\"epoch\":1,\"seconds\":0.1}\n\0\0\0\xFF\n\0");
    go_on(&spoilt, 1);
    assert_same_files(&whole, &spoilt);
}

#[test]
fn a_panic_on_the_way_leaves_a_run_that_goes_on() {
    let study = small(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (whole, broken) = (folder.path().join("whole"), folder.path().join("broken"));
    finish(&study, &whole);
    let trained = std::panic::catch_unwind(|| {
        let break_down = &mut |event: &Event<'_>| {
            assert!(!matches!(event, Event::Epoch { epoch: 2, .. }), "on purpose");
        };
        train(&study, &broken, &Options::default(), break_down)
    });
    assert!(trained.is_err());
    let left: Vec<String> = files(&broken).into_keys().collect();
    assert_eq!(left, ["checkpoint.safetensors", "metrics.jsonl", "study.toml"]);
    go_on(&broken, 1);
    assert_same_files(&whole, &broken);
}

#[test]
fn killed_before_the_first_checkpoint() {
    let study = small(&[]);
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    finish_with(&study, &whole, &Options::default(), &mut |event| {
        if matches!(event, Event::Prepared { .. }) {
            copy(&whole, &killed);
        }
    });
    assert!(!killed.join("checkpoint.safetensors").exists());
    resume(&killed, &Options::default(), &mut |_| {}).unwrap();
    assert_same_files(&whole, &killed);
}

#[test]
fn carried_state_goes_on_too() {
    let changes = ["train.truncate=10", "model.pooling=\"none\"", "train.checkpoint.steps=1"];
    let changes = [&changes[..], &["train.batch=2", "window.longest_gap_hours=0.01"]].concat();
    let study = small(&changes);
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    finish(&study, &whole);
    for steps in [1, 30, 47, 60] {
        let path = folder.path().join(steps.to_string());
        assert!(train_until(&study, &path, steps, 1));
        resume(&path, &Options::default(), &mut |_| {}).unwrap();
        assert_same_files(&whole, &path);
    }
}

#[test]
fn a_finished_run_can_be_resumed_and_stays_as_it_is() {
    let study = small(&["train.patience=1", "train.epochs=30", "train.rate=0.2"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let report = finish(&study, &path);
    assert!(report.epochs < 30 && report.best_epoch < report.epochs, "{report:?}");
    let before = files(&path);
    resume(&path, &Options::default(), &mut |_| {}).unwrap();
    assert!(before == files(&path));
}

#[test]
fn another_study_or_other_data_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let text = SMALL.replace("hours = 0.06", "hours = 0.05");
    let changed = Study::parse(&text, Path::new("small.toml"), &[]).unwrap();
    assert!(train_until(&small(&["train.checkpoint.steps=1"]), &path, 2, 1));
    put(&path.join("study.toml"), changed.to_toml());
    let error = resume(&path, &Options::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("made by another study"), "{error}");
    assert_eq!(error.class().exit_code(), 4);
}

#[test]
fn damaged_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    assert!(train_until(&small(&["train.checkpoint.steps=1"]), &path, 2, 1));
    let file = path.join("checkpoint.safetensors");
    let mut bytes = files(&path).remove("checkpoint.safetensors").unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    put(&file, &bytes);
    let error = resume(&path, &Options::default(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Integrity { .. }), "{error}");
    assert!(error.to_string().contains("checkpoint.safetensors, field sha256"), "{error}");
}

#[test]
fn a_checkpoint_that_cannot_be_written_leaves_the_run_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let study = small(&[]);
    let block = path.join("checkpoint.safetensors");
    let mut saved = Vec::new();
    let error = train(&study, &path, &Options::default(), &mut |event| {
        // The disk refuses from the second checkpoint on.
        if matches!(event, Event::Checkpoint { epoch: 1, .. }) {
            saved = files(&path).remove("checkpoint.safetensors").unwrap();
            std::fs::remove_file(&block).unwrap();
            std::fs::create_dir(&block).unwrap();
        }
    })
    .unwrap_err();
    assert_eq!(error.class().exit_code(), 4, "{error}");
    assert!(error.to_string().contains("checkpoint.safetensors"), "{error}");
    std::fs::remove_dir(&block).unwrap();
    let left = files(&path);
    assert_eq!(left.keys().collect::<Vec<_>>(), ["metrics.jsonl", "study.toml"]);
    // With the earlier checkpoint back, the run goes on as if nothing had happened.
    put(&block, &saved);
    go_on(&path, 1);
    let whole = folder.path().join("whole");
    finish(&study, &whole);
    assert_same_files(&whole, &path);
}

#[allow(clippy::disallowed_methods, reason = "a test damages files on purpose")]
fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    std::fs::write(path, bytes).unwrap();
}

fn append(path: &Path, text: &str) {
    use std::io::Write as _;
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "run.lock" {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
