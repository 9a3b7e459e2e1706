//! A disk that takes no more bytes: old files stay whole, logs keep whole lines.
//!
//! The full disk is a limit on the size of files, set for a child process that runs the ignored
//! tests below.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::Path;
use std::process::Command;

use sequela_core::{Class, Limits};
use sequela_formats::bounded;
use sequela_formats::durable::write_atomic;
use sequela_formats::log::{AppendLog, read_lines};

/// Runs an ignored test of this file where no file may grow over 1 KiB (or 512 bytes).
fn run_limited(test: &str, folder: &Path) {
    // Without the trap the signal for the limit would end the process.
    let script = "trap '' XFSZ; ulimit -f 1; exec \"$0\" --ignored --exact \"$1\"";
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env("SEQUELA_TEST_FOLDER", folder)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.status.success() && text.contains("1 passed"), "{text}");
}

fn folder() -> std::path::PathBuf {
    std::env::var_os("SEQUELA_TEST_FOLDER").unwrap().into()
}

#[test]
fn an_old_file_survives_a_failed_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    write_atomic(&path, b"old").unwrap();
    run_limited("limited_write", folder.path());
    assert_eq!(bounded::read(&path, &Limits::default()).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a leftover stayed");
}

#[test]
#[ignore = "run by an_old_file_survives_a_failed_write"]
fn limited_write() {
    let error = write_atomic(&folder().join("model"), &vec![0; 100_000]).unwrap_err();
    assert_eq!(error.class(), Class::Io);
    let text = error.to_string();
    assert!(text.contains("model: writing failed") && text.contains("earlier files are whole"));
}

#[test]
fn a_log_keeps_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    run_limited("limited_log", folder.path());
    let read = read_lines(&folder.path().join("log"), &Limits::default()).unwrap();
    assert!(!read.lines.is_empty() && read.lines.iter().all(|line| line.len() == 100));
    assert_eq!(read.unfinished, 0);
}

#[test]
#[ignore = "run by a_log_keeps_whole_lines"]
fn limited_log() {
    let mut log = AppendLog::open(&folder().join("log")).unwrap();
    let line = "x".repeat(100);
    let failed = (0..1000).find_map(|_| log.append_line(&line).err()).unwrap();
    assert_eq!(failed.class(), Class::Io);
    let length = log.len();
    assert!(length > 0 && length.is_multiple_of(101));
}
