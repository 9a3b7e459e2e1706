//! Processes killed in the middle: files are old or new, locks of the dead are free.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sequela_core::{Limits, Random};
use sequela_formats::bounded;
use sequela_formats::durable::{sweep, write_atomic};
use sequela_formats::lock::RunLock;
use sequela_formats::log::{AppendLog, read_lines};

/// Starts an ignored test of this file as a process of its own.
fn start(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .env("SEQUELA_TEST_FOLDER", folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn folder() -> PathBuf {
    std::env::var_os("SEQUELA_TEST_FOLDER").unwrap().into()
}

fn wait_for(path: &Path) {
    for _ in 0..2000 {
        if path.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    unreachable!("{} did not appear", path.display());
}

fn content(of: u8) -> Vec<u8> {
    vec![of; 100_000 + 1000 * usize::from(of)]
}

#[test]
fn a_killed_writer_leaves_whole_files_and_a_held_lock_is_freed() {
    let folder = tempfile::tempdir().unwrap();
    let (model, log) = (folder.path().join("model"), folder.path().join("log"));
    let random = Random::new(1, 1);
    for round in 0..12 {
        let mut child = start("write_until_killed", folder.path());
        wait_for(&log);
        wait_for(&model);
        std::thread::sleep(Duration::from_micros(random.below(round, 40_000)));
        if child.try_wait().unwrap().is_none() {
            assert!(round > 0 || RunLock::acquire(folder.path()).is_err());
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let bytes = bounded::read(&model, &Limits::default()).unwrap();
        let first = bytes[0];
        assert_eq!(bytes, content(first), "round {round}: a file is torn");
        let lines = read_lines(&log, &Limits::default()).unwrap();
        assert!(lines.lines.iter().all(|line| line == "{\"loss\":0.125}"), "round {round}");
        sweep(folder.path()).unwrap();
        let lock = RunLock::acquire(folder.path()).unwrap();
        drop(lock);
        let mut names: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["log", "model"], "round {round}: a leftover stayed");
    }
}

#[test]
#[ignore = "killed by a_killed_writer_leaves_whole_files_and_a_held_lock_is_freed"]
fn write_until_killed() {
    let _lock = RunLock::acquire(&folder()).unwrap();
    let mut log = AppendLog::open(&folder().join("log")).unwrap();
    for round in 0..u32::MAX {
        let of = u8::try_from(round % 200).unwrap();
        write_atomic(&folder().join("model"), &content(of)).unwrap();
        log.append_line("{\"loss\":0.125}").unwrap();
    }
}
