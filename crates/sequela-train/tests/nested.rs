//! A search inside each fold: everyone is judged by settings that were chosen without them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::ward::{WARD, put, text, write_ward};
use common::{files, finish};
use sequela_core::Limits;
use sequela_train::{
    Event, FoldEvaluation, Judged, Model, Options, Override, SearchEvent, SearchOutcome, Study,
    resume, resume_search, search, train,
};

const SPACE: &str = r#"
[search]
trials = 4
reduce = 2
[search.space]
"train.rate" = { from = 1e-3, to = 3e-2, scale = "log" }
"model.cell" = ["gru", "elman"]
"#;

const FOLDS: [&str; 4] = [
    "split.folds=2",
    "split.fractions={ tune = 0.25 }",
    "train.epochs=4",
    "evaluate.replicates=100",
];

fn study(folder: &Path, changes: &[&str]) -> Study {
    let changes: Vec<Override> =
        changes.iter().map(|change| Override::parse(change).unwrap()).collect();
    Study::parse(&format!("{WARD}{SPACE}"), &folder.join("ward.toml"), &changes).unwrap()
}

fn judged(study: &Study, folder: &Path, threads: usize) -> FoldEvaluation {
    let options = Options { threads, ..Options::default() };
    match search(study, folder, &options, &mut |_| {}).unwrap() {
        SearchOutcome::Judged(report) => of(report.evaluation),
        other => panic!("{other:?}"),
    }
}

fn of(evaluation: Judged) -> FoldEvaluation {
    match evaluation {
        Judged::Folds(evaluation) => evaluation,
        other => panic!("{other:?}"),
    }
}

/// Every file of a folder and of the folders in it but clocks.
fn all_files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let inside = all_files(&entry.path());
            found.extend(inside.into_iter().map(|(file, bytes)| (format!("{name}/{file}"), bytes)));
        } else if name != "timing.jsonl" {
            #[allow(clippy::disallowed_methods, reason = "a test compares small files")]
            found.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (all_files(one), all_files(other));
    assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
    let differ: Vec<&String> =
        one.iter().filter(|(name, bytes)| *bytes != &other[*name]).map(|(name, _)| name).collect();
    assert!(differ.is_empty(), "{differ:?} differ");
}

#[test]
fn each_fold_chooses_for_itself_and_is_the_run_of_what_it_chose() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let study = study(folder.path(), &FOLDS);
    let run = folder.path().join("run");
    let evaluation = judged(&study, &run, 2);
    assert_eq!((evaluation.pooled.subjects, evaluation.folds.len()), (60, 2));
    assert_eq!(evaluation.chosen.len(), 2);
    let notes = evaluation.pooled.notes.join("; ");
    assert!(notes.contains("each fold chose its settings"), "{notes}");
    for (fold, chosen) in (1..).zip(&evaluation.chosen) {
        let inside = run.join(format!("fold-{fold}"));
        assert_eq!((chosen.fold, chosen.trials, chosen.values.len()), (fold, 4, 2));
        // What it chose is what the search of that fold alone chooses, and what was trained.
        let of_fold = format!("split.fold={fold}");
        let fields = [&FOLDS[..], &[&of_fold]].concat();
        let one = self::study(folder.path(), &fields);
        let alone = folder.path().join(format!("alone-{fold}"));
        let outcome = search(&one, &alone, &Options::default(), &mut |_| {}).unwrap();
        let SearchOutcome::Finished(report) = outcome else { panic!("{outcome:?}") };
        assert_eq!(report.trials[0].number as u64, chosen.trial);
        assert_eq!(report.trials[0].best.map(|best| best.0), chosen.tune_loss);
        let best = Study::load(&report.best, &[]).unwrap();
        let trained = folder.path().join(format!("trained-{fold}"));
        finish(&best, &trained);
        for (name, bytes) in files(&trained) {
            assert_eq!(bytes, all_files(&inside)[&name], "{name}");
        }
    }
    let page = text(&run.join("evaluation.md"));
    assert!(page.contains("## Settings") && page.contains("model.cell"), "{page}");
    assert!(text(&run.join("README.md")).contains("sequela search --resume ."));
    let json: serde_json::Value =
        serde_json::from_str(&text(&run.join("evaluation.json"))).unwrap();
    assert_eq!(json["settings"].as_array().unwrap().len(), 2);
    assert!(json["settings"][0]["values"]["train.rate"].is_string());

    // Finished, it is read again; another way to go on is refused.
    let again = resume_search(&run, &Options::default(), &mut |event| {
        assert!(!matches!(event, SearchEvent::Epoch | SearchEvent::Round { .. }));
    });
    let SearchOutcome::Judged(report) = again.unwrap() else { panic!("it was not judged") };
    assert_eq!(of(report.evaluation), evaluation);
    let error = resume(&run, &Options::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("search for their settings"), "{error}");
    // With another patient folds would be dealt anew: what was searched is not that of these data.
    let (ward, outcomes) = (folder.path().join("ward.csv"), folder.path().join("outcomes.csv"));
    let before = (text(&ward), text(&outcomes));
    let others: Vec<String> = before
        .0
        .lines()
        .filter(|line| line.starts_with("p03,") || line.starts_with("p003,"))
        .map(|line| format!("new,{}", line.split_once(',').unwrap().1))
        .collect();
    assert!(!others.is_empty());
    put(&ward, format!("{}{}\n", before.0, others.join("\n")));
    put(&outcomes, format!("{}new,worse\n", before.1));
    let error = resume_search(&run, &Options::default(), &mut |_| {}).unwrap_err().to_string();
    put(&ward, &before.0);
    put(&outcomes, &before.1);
    assert!(error.contains("the search of this fold was of other data"), "{error}");
    let plain = folder.path().join("plain");
    train(&study, &plain, &Options::default(), &mut |_| {}).unwrap();
    let error = resume_search(&plain, &Options::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("trained without a search"), "{error}");
}

#[test]
fn stopped_in_a_search_or_in_a_training_it_goes_on_to_the_same_end() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let study = study(folder.path(), &FOLDS);
    let whole = folder.path().join("whole");
    judged(&study, &whole, 1);
    for (place, at) in [("search", 3), ("search", 14), ("train", 2), ("train", 6)] {
        let parts = folder.path().join(format!("{place}-{at}"));
        let stop = AtomicBool::new(false);
        let options = Options { threads: 1, stop: Some(&stop), ..Options::default() };
        let mut epochs = 0;
        let outcome = search(&study, &parts, &options, &mut |event| {
            let counts = match event {
                SearchEvent::Epoch => place == "search",
                SearchEvent::Run(Event::Epoch { .. }) => place == "train",
                _ => false,
            };
            epochs += usize::from(counts);
            if counts && epochs == at {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert!(matches!(outcome.unwrap(), SearchOutcome::Stopped(_)), "{place} {at}");
        assert!(!parts.join("evaluation.json").exists());
        let outcome = resume_search(&parts, &Options::default(), &mut |_| {}).unwrap();
        assert!(matches!(outcome, SearchOutcome::Judged(_)));
        assert_same(&whole, &parts);
    }
}

/// Writes a ward with the site of each patient, of two; `turned` turns the outcomes of one site
/// among its patients.
fn write_sites(folder: &Path, turned: Option<usize>) {
    write_ward(folder, 60, 2);
    let mut rows = String::new();
    for (at, line) in text(&folder.join("ward.csv")).lines().enumerate() {
        let who = line.split(',').next().unwrap_or_default();
        let number: usize = who.trim_start_matches('p').parse().unwrap_or(0);
        let site = if at == 0 { "site".to_owned() } else { (number % 2).to_string() };
        let _ = writeln!(rows, "{line},{site}");
    }
    put(&folder.join("ward.csv"), rows);
    let table = text(&folder.join("outcomes.csv"));
    let words: Vec<(&str, &str)> =
        table.lines().skip(1).filter_map(|line| line.split_once(',')).collect();
    let site = |who: &str| who.trim_start_matches('p').parse::<usize>().unwrap_or(0) % 2;
    let mut outcomes = String::from("patient,outcome\n");
    let mut of_site: Vec<&str> =
        words.iter().filter(|(who, _)| Some(site(who)) == turned).map(|(_, word)| *word).collect();
    let move_by = 7.min(of_site.len());
    of_site.rotate_left(move_by);
    let mut next = of_site.into_iter();
    for (who, word) in words {
        let word = if Some(site(who)) == turned { next.next().unwrap_or(word) } else { word };
        let _ = writeln!(outcomes, "{who},{word}");
    }
    put(&folder.join("outcomes.csv"), outcomes);
}

#[test]
fn the_outcomes_of_those_who_are_tested_choose_nothing() {
    let values =
        "data.values=[{ name = \"heart_rate\" }, { name = \"lactate\" }, { name = \"site\" }]";
    let by_site = ["split.by=\"group\"", "split.group=\"site\"", values];
    let changes = [&FOLDS[..], &by_site, &["audit.allow=[\"site\"]"]].concat();
    let outcome = |turned: Option<usize>| {
        let folder = tempfile::tempdir().unwrap();
        write_sites(folder.path(), turned);
        let run = folder.path().join("run");
        let evaluation = judged(&study(folder.path(), &changes), &run, 2);
        let fold = |fold: usize| {
            let model = run.join(format!("fold-{fold}/model.safetensors"));
            let model = Model::load(&model, &Limits::default()).unwrap();
            let weights: Vec<Vec<u32>> = (model.parameters().tensors().iter())
                .map(|tensor| tensor.values.iter().map(|value| value.to_bits()).collect())
                .collect();
            let trials = text(&run.join(format!("fold-{fold}/search/search.json")));
            (evaluation.chosen[fold - 1].clone(), trials, weights)
        };
        ([fold(1), fold(2)], evaluation.folds.clone())
    };
    let (as_they_are, figures) = outcome(None);
    for site in 0..2 {
        let (turned, other) = outcome(Some(site));
        // The fold that tests the site is the same to the last bit; the one that trains on it not.
        assert_eq!(turned[site], as_they_are[site]);
        assert_ne!(turned[1 - site], as_they_are[1 - site]);
        assert_ne!(other[site], figures[site]);
    }
}
