//! Studies with `cell = "gru_d"`: that word alone, the same bits after a stop, and what contradicts it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};

use common::ward::{ward_study, write_ward};
use common::{assert_same_files, finish};
use sequela_core::Limits;
use sequela_eval::classify::Figure;
use sequela_train::{
    Event, Model, Options, Outcome, Override, Study, classify, read_input, resume, train,
};

const FADING: [&str; 3] = ["model.cell=gru_d", "window.indicators=[]", "train.epochs=6"];

#[test]
fn the_word_alone_trains_judges_and_predicts() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 150, 2);
    let report = finish(&ward_study(folder.path(), &FADING), &folder.path().join("run"));
    let evaluation = report.evaluation.classes().unwrap();
    assert_eq!(evaluation.classifiers[0].name, "GRU-D");
    let scores = &evaluation.classifiers[0].scores;
    let auroc = scores.iter().find(|s| s.figure == Figure::Auroc).unwrap();
    assert!(auroc.estimate.unwrap().value > 0.85, "{}", evaluation.text());

    let model = Model::load(&report.model, &Limits::default()).unwrap();
    let names: Vec<String> = model.parameters().tensors().into_iter().map(|t| t.name).collect();
    for name in ["rnn.decay_x.weight", "rnn.decay_h.bias", "rnn.weight_hh_l0", "rnn.weight_hh_l1"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
    let series = read_input(&folder.path().join("ward.csv"), &model, &Limits::default()).unwrap();
    let all = classify(&model, &series, &Options::default()).unwrap();
    let one = classify(&model, &series[7..8], &Options::default()).unwrap();
    assert_eq!(one.rows[0], all.rows[7], "alone or among others");
    let again = Model::parse(&model.to_bytes(), &report.model);
    assert_eq!(again.unwrap().to_bytes(), model.to_bytes());
}

#[test]
fn what_is_told_beside_goes_to_the_layer_and_threads_and_budgets_change_no_bit() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let more = [FADING[0], "train.epochs=2", "window.summaries=[\"mean\", \"share\"]"];
    let study = ward_study(folder.path(), &more);
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    finish(&study, &one);
    let options = Options { threads: 3, ..Options::default() };
    common::finish_with(&study, &other, &options, &mut |_| {});
    assert_same_files(&one, &other);
    let model = Model::load(&one.join("model.safetensors"), &Limits::default()).unwrap();
    let tensors = model.parameters().tensors();
    let shape = |name: &str| &tensors.iter().find(|tensor| tensor.name == name).unwrap().shape;
    // Values, observed, gap, and two summaries of two channels; the steps since steer the decays.
    assert_eq!(*shape("rnn.weight_ih_l0"), [24, 10]);
    assert_eq!(*shape("rnn.decay_h.weight"), [8, 2]);
}

#[test]
fn a_run_that_was_stopped_goes_on_with_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    for reset in ["after_product", "before_product"] {
        let reset_word = format!("model.reset={reset}");
        let study = ward_study(folder.path(), &[FADING[0], FADING[1], FADING[2], &reset_word]);
        let whole = folder.path().join(format!("whole-{reset}"));
        let parts = folder.path().join(format!("parts-{reset}"));
        finish(&study, &whole);
        let stop = AtomicBool::new(false);
        let options = Options { stop: Some(&stop), ..Options::default() };
        let outcome = train(&study, &parts, &options, &mut |event| {
            if matches!(event, Event::Epoch { epoch: 3, .. }) {
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert!(matches!(outcome.unwrap(), Outcome::Stopped(_)));
        let outcome = resume(&parts, &Options::default(), &mut |_| {}).unwrap();
        assert!(matches!(outcome, Outcome::Finished(_)));
        assert_same_files(&whole, &parts);
    }
}

#[test]
fn folds_have_it_too() {
    let folder = tempfile::tempdir().unwrap();
    write_ward(folder.path(), 60, 2);
    let folds = ["split.folds=3", "split.fractions={ tune = 0.2 }", "split.fold=2"];
    let changes: Vec<&str> = [FADING[0], "train.epochs=1"].into_iter().chain(folds).collect();
    finish(&ward_study(folder.path(), &changes), &folder.path().join("run"));
}

#[test]
fn what_contradicts_it_is_refused_with_the_field_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    for (change, field, remedy) in [
        ("window.missing=centre", "window.missing", "missing = \"carry\""),
        ("scale.kind=identity", "scale.kind", "kind = \"standard\""),
        ("model.directions=both", "model.directions", "directions = \"forward\""),
    ] {
        let changes = ["model.cell=gru_d", change].map(|change| Override::parse(change).unwrap());
        let path = folder.path().join("ward.toml");
        let error = Study::parse(common::ward::WARD, &path, &changes).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains(field) && text.contains(&remedy.replace('"', "\\\"")), "{text}");
    }
}
