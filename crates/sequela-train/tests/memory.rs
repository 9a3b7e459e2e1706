//! A study trained within a budget of memory ends with the same weights.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers and tables of tests")]

mod common;

use common::{files, finish, small};
use sequela_core::Limits;
use sequela_train::{Memory, Model, Options, Study, train};

/// Windows of 500 steps, so that a batch is many pieces.
const LONG: [&str; 9] = [
    "model.hidden=32",
    "data.hours=0.3",
    "window.length=500",
    "window.stride=150",
    "train.batch=8",
    "train.epochs=2",
    "evaluate.stride=100",
    "evaluate.replicates=0",
    "model.layers=1",
];

fn study(changes: &[&str]) -> Study {
    small(&[&LONG[..], changes].concat())
}

#[test]
fn the_weights_and_the_log_do_not_depend_on_the_budget() {
    // Budgets of about half of what everything takes.
    for (kind, memory) in [
        (&[][..], "train.memory=\"2MiB\""),
        (&["model.pooling=\"none\""], "train.memory=\"3MiB\""),
        (&["model.directions=\"both\""], "train.memory=\"6MiB\""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, memory: &[&str]| {
            let path = folder.path().join(name);
            finish(&study(&[kind, memory].concat()), &path);
            let model = Model::load(&path.join("model.safetensors"), &Limits::default()).unwrap();
            let log = files(&path).remove("metrics.jsonl").unwrap();
            (model.parameters().flat().to_vec(), log)
        };
        let whole = run("whole", &[]);
        let within = run("within", &[memory]);
        assert!(whole == within, "{kind:?}");
    }
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |changes: &[&str]| {
        let study = study(changes);
        let path = folder.path().join(changes.len().to_string());
        let error = train(&study, &path, &Options::default(), &mut |_| {});
        let error = error.unwrap_err();
        assert_eq!(error.class().exit_code(), 2);
        error.to_string()
    };
    let message = refuse(&["train.memory=\"64KiB\""]);
    assert!(
        message.contains("field train.memory: 64KiB is too little; write memory = \""),
        "{message}"
    );
    let message = refuse(&["train.memory=\"64KiB\"", "model.directions=\"both\""]);
    assert!(message.contains("only gates can be recomputed"), "{message}");
}

#[test]
fn an_amount_without_a_unit_is_refused_where_it_stands() {
    let text = common::SMALL.replace("batch = 16", "batch = 16\nmemory = \"lots\"");
    let error = Study::parse(&text, std::path::Path::new("s.toml"), &[]).unwrap_err().to_string();
    let wanted = "field train.memory: \"lots\" is no amount of memory; write a number and a unit, as in \"2GiB\"";
    assert!(error.contains(wanted), "{error}");
    assert_eq!(small(&["train.memory=\"2 GiB\""]).train.memory, Some(Memory::of(2 << 30)));
}
