//! What the program says, word for word: each file of `testdata/cli/*.txt` is a session.
//!
//! ```text
//! # a remark
//! $ sequela data describe ward.csv
//! a line of standard output
//! ! a line of standard error
//! ? 3                               the exit code, where it is not 0
//! ```
//!
//! `> FILE` at the end of a command keeps standard output in a file; `[..]` in a line stands for
//! anything. `SEQUELA_GOLDEN=write cargo test -p sequela --test golden` writes the files anew:
//! read the difference before committing it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

mod common;

use common::{Bench, ran, testdata};

#[test]
fn sessions_go_as_written() {
    let mut files: Vec<_> = std::fs::read_dir(testdata())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let faults: Vec<String> = files.iter().filter_map(|file| session(file).err()).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn session(file: &std::path::Path) -> Result<(), String> {
    let golden = std::fs::read_to_string(file).unwrap();
    let bench = Bench::with_inputs();
    let mut wanted = golden.lines().peekable();
    let mut found: Vec<String> = Vec::new();
    while let Some(line) = wanted.next() {
        found.push(line.to_owned());
        let Some(command) = line.strip_prefix("$ ") else { continue };
        let mut expected = Vec::new();
        while let Some(line) =
            wanted.next_if(|line| !line.starts_with("$ ") && !line.starts_with("# "))
        {
            expected.push(line);
        }
        let mut got = answer(&bench, command).into_iter();
        for (at, line) in got.by_ref().enumerate() {
            // A line with a gap stays as it is while it fits.
            let kept = expected.get(at).filter(|pattern| fits(pattern, &line));
            found.push(kept.map_or(line, |pattern| (*pattern).to_owned()));
        }
    }
    let found = found.join("\n") + "\n";
    if std::env::var_os("SEQUELA_GOLDEN").is_some() {
        std::fs::write(file, &found).unwrap();
    }
    let differs = found.lines().zip(golden.lines()).find(|(found, wanted)| found != wanted);
    match differs {
        Some((found, wanted)) => {
            Err(format!("{}:\n  wanted {wanted}\n  found  {found}", file.display()))
        }
        None if found.lines().count() != golden.lines().count() => {
            Err(format!("{}: some lines are missing or too many:\n{found}", file.display()))
        }
        None => Ok(()),
    }
}

/// Runs a command and gives the lines of its answer.
fn answer(bench: &Bench, command: &str) -> Vec<String> {
    let (command, kept) = match command.split_once(" > ") {
        Some((command, file)) => (command, Some(file)),
        None => (command, None),
    };
    let mut words = command.split_whitespace();
    assert_eq!(words.next(), Some("sequela"), "{command}");
    let ran = ran(bench.command().args(words));
    let mut lines: Vec<String> = Vec::new();
    match kept {
        Some(file) => bench.write(file, &ran.out),
        None => lines.extend(ran.out.lines().map(|line| line.trim_end().to_owned())),
    }
    lines
        .extend(ran.err.lines().map(|line| format!("! {}", line.trim_end()).trim_end().to_owned()));
    if ran.code != 0 {
        lines.push(format!("? {}", ran.code));
    }
    lines.push(String::new());
    lines
}

/// Whether a line is as the pattern says, where `[..]` stands for anything.
fn fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("[..]");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn gaps_stand_for_anything() {
    assert!(fits("a[..]c", "abbc"));
    assert!(fits("in [..] s, [..]", "in 3 s, x"));
    assert!(!fits("a[..]c", "abcd"));
    assert!(!fits("a", "ab"));
}
