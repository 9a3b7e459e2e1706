//! A search comes to the same settings whatever runs at once and wherever it is stopped, looks at
//! nobody it must not, and refuses what could not be compared.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may fail loudly")]

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{SMALL, assert_same_files, files, text};
use sequela_train::{
    Error, Options, SearchEvent, SearchOutcome, SearchReport, Study, resume_search, search,
};

const SPACE: &str = r#"
[search]
trials = 7
reduce = 2
[search.space]
"train.rate" = { from = 1e-3, to = 1e-1, scale = "log" }
"train.batch" = { from = 8, to = 32 }
"model.cell" = ["gru", "lstm"]
"#;

fn study(more: &str) -> Result<Study, Error> {
    Study::parse(&format!("{SMALL}{more}"), Path::new("small.toml"), &[])
}

fn searched(study: &Study, folder: &Path, threads: usize) -> SearchReport {
    let options = Options { threads, ..Options::default() };
    match search(study, folder, &options, &mut |_| {}).unwrap() {
        SearchOutcome::Finished(report) => *report,
        other => panic!("{other:?}"),
    }
}

/// All files of a search folder and its trials.
fn assert_same_search(one: &Path, other: &Path) {
    let shallow = |folder: &Path| -> std::collections::BTreeMap<String, Vec<u8>> {
        ["best.toml", "search.md", "search.json", "search.svg"]
            .iter()
            .map(|name| ((*name).to_owned(), text(&folder.join(name)).into_bytes()))
            .collect()
    };
    assert_eq!(shallow(one), shallow(other));
    for trial in 1..=7 {
        let name = format!("trials/{trial:03}");
        assert_same_files(&one.join(&name), &other.join(&name));
    }
}

#[test]
fn the_same_whatever_runs_at_once_and_the_best_is_what_a_run_of_it_comes_to() {
    let study = study(SPACE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let report = searched(&study, &one, 1);
    searched(&study, &two, 3);
    assert_same_search(&one, &two);
    let rounds: Vec<usize> = report.trials.iter().map(|trial| trial.rounds).collect();
    assert_eq!(rounds, [3, 2, 2, 1, 1, 1, 1]);
    assert!(report.trials.iter().any(|trial| trial.number == 1));
    // Nothing of the test part is in a trial's folder.
    assert!(files(&one.join("trials/001")).keys().all(|name| {
        ["study.toml", "metrics.jsonl", "checkpoint.safetensors"].contains(&name.as_str())
    }));
    let best = Study::load(&report.best, &[]).unwrap();
    assert!(best.search.is_none());
    let run = common::finish(&best, &folder.path().join("run"));
    assert_eq!(run.tune_loss, report.trials[0].best.map(|best| best.0));
}

#[test]
fn stopped_anywhere_it_goes_on_to_the_same_end() {
    let study = study(SPACE).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    searched(&study, &whole, 2);
    for (at, threads) in [(0, 2), (1, 1), (4, 2), (8, 1), (10, 3)] {
        let path = folder.path().join(at.to_string());
        let stop = AtomicBool::new(at == 0);
        let options = Options { threads, stop: Some(&stop), ..Options::default() };
        let mut epochs = 0;
        let outcome = search(&study, &path, &options, &mut |event| {
            if let SearchEvent::Epoch = event {
                epochs += 1;
                if epochs == at {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        assert!(matches!(outcome.unwrap(), SearchOutcome::Stopped(_)), "{at}");
        assert!(!path.join("best.toml").exists());
        let outcome = resume_search(&path, &Options::default(), &mut |_| {}).unwrap();
        assert!(matches!(outcome, SearchOutcome::Finished(_)));
        assert_same_search(&whole, &path);
    }
}

#[test]
fn a_trial_that_explodes_comes_last_and_the_others_go_on() {
    let more = SPACE
        .replace("{ from = 1e-3, to = 1e-1, scale = \"log\" }", "[1e-3, 1e30]")
        .replace("trials = 7", "trials = 4\nmethod = \"random\"");
    let study = study(&format!("{more}\"train.optimiser\" = [{{ kind = \"sgd\" }}]")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let report = searched(&study, &folder.path().join("s"), 2);
    let lost = report.trials.iter().filter(|trial| trial.best.is_none()).count();
    assert!(lost > 0 && report.trials[0].best.is_some(), "{:?}", report.trials);
    assert!(report.trials.last().unwrap().best.is_none());
}

#[test]
fn what_could_not_be_compared_or_run_is_refused_before_anything_is_made() {
    let refused = |line: &str| {
        let more = format!("[search.space]\n{line}\n");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let error = match study(&more) {
            Ok(study) => search(&study, &path, &Options::default(), &mut |_| {}).unwrap_err(),
            Err(error) => error,
        };
        assert!(!path.exists(), "{line}");
        error.to_string()
    };
    for (line, said) in [
        ("\"train.rat\" = [1e-3]", "did you mean \"rate\"?"),
        ("\"train.loss\" = [\"mae\"]", "could not be compared"),
        ("\"window.horizons\" = [[1], [2]]", "could not be compared"),
        ("\"split.by\" = [\"time\"]", "could not be compared"),
        ("\"train.epochs\" = [3, 4]", "the search sets it itself"),
        ("\"model.hidden\" = []", "the list is empty"),
        ("\"model.hidden\" = [0]", "it is 0"),
        ("\"model.cell\" = [\"gru\", \"gro\"]", "did you mean \"gru\"?"),
        ("\"train.rate\" = { from = 1e-2, to = 1e-3 }", "from is not below to"),
        ("\"train.rate\" = { from = 0, to = 1, scale = \"log\" }", "starts above 0"),
        ("\"train.rate\" = { from = 1e-3, till = 1 }", "there are from, to, scale"),
        ("\"train.rate\" = 3", "a list of values, or { from = ..., to = ... }"),
        ("", "there is no field to search"),
    ] {
        let error = refused(line);
        assert!(error.contains(said), "{line}: {error}");
    }
    let nobody = format!("{}{SPACE}", SMALL.replace("tune = 0.2", "tune = 0.0"));
    let error = Study::parse(&nobody, Path::new("small.toml"), &[]).unwrap_err();
    assert!(error.to_string().contains("nobody to tune on"), "{error}");
}
