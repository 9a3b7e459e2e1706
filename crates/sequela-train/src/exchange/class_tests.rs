//! ONNX Runtime tells the same classes from an export as sequela: `classes_*` in
//! `testdata/exchange`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

use std::fmt::Write as _;
use std::path::Path;

use sequela_core::{Limits, Random, Sequence, SubjectId};

use super::tests::{close, dump, files, folder, lengths, numbers};
use super::{export_onnx, import_model};
use crate::model::Model;
use crate::tensors::Numbers;
use crate::{Options, Override, Study, classify, train};

/// Models whose graphs are dumped: name and changes of a small study.
const EXPORTS: [(&str, &[&str]); 5] = [
    ("two", &["train.loss={ kind = \"binary_cross_entropy\" }", "train.class_weights=balanced"]),
    (
        "threshold",
        &[
            "model.cell=lstm",
            "model.layers=2",
            "evaluate.threshold=f1",
            "window.indicators=[\"observed\", \"gap\"]",
        ],
    ),
    (
        "three",
        &["data.label.name=three", "train.class_weights=balanced", "model.pooling=attention"],
    ),
    (
        "bidirectional",
        &[
            "data.label.name=three",
            "model.directions=both",
            "model.pooling=mean",
            "model.head_hidden=[4]",
        ],
    ),
    ("elman", &["model.cell=elman", "model.pooling=max", "model.normalise=layer"]),
];

const STUDY: &str = "[study]\nname = \"ward\"\nseed = 3\ntask = \"classify\"\n[data]\nkind = \"csv\"\n\
    path = \"ward.csv\"\nsubject = \"who\"\nvalues = [{ name = \"rate\", unit = \"bpm\" }, \
    { name = \"lactate\", unit = \"mmol/L\" }]\nlabel = { name = \"two\" }\n[split]\n\
    fractions = { tune = 0.25, test = 0.2 }\n[model]\nkind = \"sequence\"\ncell = \"gru\"\nhidden = 5\n\
    [train]\nepochs = 12\nbatch = 16\nrate = 2e-2\n[evaluate]\nreplicates = 0\n";

/// Sixty people of whom the sicker have higher numbers.
fn ward() -> String {
    let mut text = String::from("who,rate,lactate,two,three\n");
    for person in 0..60_u64 {
        let random = Random::new(9, person);
        let state = random.below(0, 3);
        let two = ["well", "ill"][usize::from(state == 2)];
        let three = ["well", "watched", "ill"][usize::try_from(state).unwrap()];
        for step in 0..=random.below(1, 9) {
            let sick = state as f64;
            let rate = 70.0 + 8.0 * sick + 6.0 * random.normal(10 + 2 * step);
            let lactate = 1.2 + 0.8 * sick + 0.5 * random.normal(11 + 2 * step);
            let _ = writeln!(text, "p{person},{rate:.1},{lactate:.2},{two},{three}");
        }
    }
    text
}

/// Trains the models and writes their graphs, where that is asked for.
#[test]
fn graphs_of_classifiers_are_written_on_request() {
    if std::env::var_os("SEQUELA_EXCHANGE").is_none_or(|word| word != "write") {
        return;
    }
    for (name, changes) in EXPORTS {
        let run = tempfile::tempdir().unwrap();
        std::fs::write(run.path().join("ward.csv"), ward()).unwrap();
        let changes: Vec<Override> = changes.iter().map(|c| Override::parse(c).unwrap()).collect();
        let study = Study::parse(STUDY, &run.path().join("ward.toml"), &changes).unwrap();
        let out = run.path().join("run");
        train(&study, &out, &Options::default(), &mut |_| {}).unwrap();
        let model = Model::load(&out.join("model.safetensors"), &Limits::default()).unwrap();
        let graph = export_onnx(&model).unwrap();
        std::fs::write(folder().join(format!("classes_{name}.onnx")), graph).unwrap();
    }
}

#[test]
fn onnx_runtime_tells_the_same_classes_from_an_export() {
    for path in files("classes_", ".onnx") {
        let what = path.display().to_string();
        let model = import_model(&path, None, &Limits::default()).unwrap();
        let dump = dump(&path);
        let (x, wanted, lengths) =
            (numbers(&dump, "x"), numbers(&dump, "probability"), lengths(&dump));
        let Numbers::I64(chosen) = &dump.arrays["class"].numbers else { unreachable!() };
        let (steps, width) = (dump.arrays["x"].shape[1], dump.arrays["x"].shape[2]);
        let sequences: Vec<Sequence> = lengths
            .iter()
            .enumerate()
            .map(|(b, length)| {
                let rows = &x[b * steps * width..][..length * width];
                let name = format!("p{b}");
                Sequence::numeric(&name, SubjectId::new(&name), width, rows).unwrap()
            })
            .collect();
        let told = classify(&model, &sequences, &Options::default()).unwrap();
        let found: Vec<f32> = told.rows.iter().flat_map(|row| row.probabilities.clone()).collect();
        close(&found, &wanted, &what);
        for (row, class) in told.rows.iter().zip(chosen) {
            assert_eq!(row.decision, usize::try_from(*class).unwrap(), "{what}");
        }
        // Both are told of, so that a constant answer would be seen.
        assert!(chosen.iter().any(|class| *class != chosen[0]), "{what}: {chosen:?}");
    }
}

#[test]
fn an_exported_classifier_comes_back_bit_for_bit() {
    for path in files("classes_", ".onnx") {
        let model = import_model(&path, None, &Limits::default()).unwrap();
        assert_eq!(export_onnx(&model).unwrap(), std::fs::read(&path).unwrap());
        let saved = tempfile::NamedTempFile::new().unwrap();
        model.save(saved.path()).unwrap();
        let again = Model::load(saved.path(), &Limits::default()).unwrap();
        assert_eq!(again.to_bytes(), model.to_bytes());
    }
}

#[test]
fn a_classifier_of_a_cell_without_a_node_is_refused() {
    let run = tempfile::tempdir().unwrap();
    std::fs::write(run.path().join("ward.csv"), ward()).unwrap();
    for cell in ["min_gru", "gru_d"] {
        let changes = [&format!("model.cell={cell}"), "train.epochs=1", "model.directions=forward"];
        let changes = changes.map(|c| Override::parse(c).unwrap());
        let study = Study::parse(STUDY, &run.path().join("ward.toml"), &changes).unwrap();
        let out = run.path().join(cell);
        train(&study, &out, &Options::default(), &mut |_| {}).unwrap();
        let model =
            Model::load(&Path::new(&out).join("model.safetensors"), &Limits::default()).unwrap();
        let error = export_onnx(&model).unwrap_err().to_string();
        assert!(error.contains("model.cell: ONNX has no node for this cell"), "{error}");
    }
}
