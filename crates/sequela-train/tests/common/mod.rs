//! A study small enough to be trained many times.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

pub(crate) mod ward;

use std::collections::BTreeMap;
use std::path::Path;

use sequela_train::{Observer, Options, Outcome, Override, Report, Study, train};

/// Six simulated people for some minutes, a GRU of 8.
pub(crate) const SMALL: &str = r#"
[study]
name = "small"
seed = 3

[data]
kind = "simulated"
subjects = 6
hours = 0.06

[window]
length = 12
horizons = [1, 4]
stride = 5
target = "change"

[split]
by = "subject"
fractions = { tune = 0.2, test = 0.3 }

[model]
kind = "sequence"
cell = "gru"
hidden = 8
layers = 2
dropout = 0.2

[train]
epochs = 3
batch = 16
rate = 5e-3
clip = { norm = 1.0 }
schedule = { kind = "cosine", floor = 0.1, warmup = 3 }

[evaluate]
replicates = 50
stride = 3
baselines = { autoregression = 4, feed_forward = { hidden = [4] } }
"#;

/// The small study after some changes.
pub(crate) fn small(changes: &[&str]) -> Study {
    let changes: Vec<Override> =
        changes.iter().map(|change| Override::parse(change).unwrap()).collect();
    Study::parse(SMALL, Path::new("small.toml"), &changes).unwrap()
}

/// Trains to the end.
pub(crate) fn finish(study: &Study, folder: &Path) -> Box<Report> {
    finish_with(study, folder, &Options::default(), &mut |_| {})
}

/// Trains to the end under options.
pub(crate) fn finish_with(
    study: &Study,
    folder: &Path,
    options: &Options<'_>,
    observer: &mut Observer<'_>,
) -> Box<Report> {
    match train(study, folder, options, observer).unwrap() {
        Outcome::Finished(report) => report,
        Outcome::Stopped(stopped) => panic!("stopped: {stopped:?}"),
    }
}

/// Name and bytes of every file of a run but `timing.jsonl`.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name() != "timing.jsonl")
        .map(|entry| {
            #[allow(clippy::disallowed_methods, reason = "a test compares small files")]
            let bytes = std::fs::read(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), bytes)
        })
        .collect()
}

/// The text of a small file.
pub(crate) fn text(path: &Path) -> String {
    #[allow(clippy::disallowed_methods, reason = "a test reads a small file")]
    let text = std::fs::read_to_string(path);
    text.unwrap()
}

/// Fails with the name of the first file that differs.
pub(crate) fn assert_same_files(one: &Path, other: &Path) {
    let (one, other) = (files(one), files(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let differ: Vec<&String> =
        one.iter().filter(|(name, bytes)| *bytes != &other[*name]).map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "{differ:?} differ");
    for (name, bytes) in &one {
        assert!(bytes == &other[name], "{name} differs");
    }
}
