//! Weights come in, are used, go out as a graph, and come in again.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests may fail loudly"
)]

mod common;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use common::{Bench, ran, testdata};

const SCHEMA: &str = "length = 6\nhorizons = [1, 2]\nstep = \"min\"\ntarget = \"b\"\nchannels = [\n\
    { name = \"a\", unit = \"bpm\", centre = 70.0, spread = 12.0 },\n\
    { name = \"b\", unit = \"C\", centre = 36.9, spread = 0.5 },\n\
    { name = \"c\", centre = 120.0, spread = 15.0 },\n]\n";

/// Two people, six steps each.
fn series() -> String {
    let mut text = String::from("subject,a,b,c\n");
    for (subject, step) in (0..2).flat_map(|subject| (0..6).map(move |step| (subject, step))) {
        let (s, t) = (f64::from(subject), f64::from(step));
        let row = [70.0 + 3.0 * t - 5.0 * s, 36.5 + 0.1 * t * s, 118.0 - 2.0 * t + 9.0 * s];
        let _ = writeln!(text, "p{subject},{},{},{}", row[0], row[1], row[2]);
    }
    text
}

#[test]
fn weights_of_pytorch_go_through_a_model_file_to_a_graph_and_back() {
    let bench = Bench::empty();
    let weights = testdata().join("../exchange/torch_lstm_l2_bi.safetensors");
    std::fs::copy(weights, bench.path("lstm.safetensors")).unwrap();
    bench.write("ward.csv", series());
    let run = |words: &str| ran(bench.command().args(words.split_whitespace()));

    let refused = run("import lstm.safetensors");
    assert_eq!(refused.code, 3, "{}", refused.err);
    assert!(
        refused.err.contains("hint: write it down: sequela import FILE --draft"),
        "{}",
        refused.err
    );
    let draft = run("import lstm.safetensors --draft");
    assert!(draft.out.contains("# steps ahead, one for each of the 2 outputs"), "{}", draft.out);

    bench.write("schema.toml", SCHEMA);
    let imported = run("import lstm.safetensors --schema schema.toml --out model.safetensors");
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert!(imported.err.contains("was taken as: pooling = \"last\""), "{}", imported.err);
    let shown = run("inspect model model.safetensors");
    assert!(shown.out.contains("weights of   PyTorch, from lstm.safetensors"), "{}", shown.out);
    assert!(run("inspect program model.safetensors").out.contains("recurrent"));
    let forecasts = run("predict model.safetensors ward.csv");
    assert_eq!(forecasts.code, 0, "{}", forecasts.err);

    assert_eq!(run("export model.safetensors --onnx model.onnx").code, 0);
    assert_eq!(run("import model.onnx --out again.safetensors").code, 0);
    assert_eq!(bench.read("again.safetensors"), bench.read("model.safetensors"));
    onnx_runtime_agrees(&bench, &forecasts.out);
}

/// Runs the graph where `$SEQUELA_PYTHON` is a Python that has ONNX Runtime.
fn onnx_runtime_agrees(bench: &Bench, forecasts: &str) {
    let Some(python) = std::env::var_os("SEQUELA_PYTHON") else {
        eprintln!("skipped: set SEQUELA_PYTHON to a Python with numpy and onnxruntime");
        return;
    };
    let script = "import csv, numpy as np, onnxruntime\n\
        rows = list(csv.DictReader(open('ward.csv')))\n\
        x = np.array([[float(r[k]) for k in 'abc'] for r in rows], 'f4').reshape(2, 6, 3)\n\
        session = onnxruntime.InferenceSession('model.onnx')\n\
        states = {i.name: np.zeros((i.shape[0], 2, i.shape[2]), 'f4')\n\
        \x20   for i in session.get_inputs() if i.name in ('h0', 'c0')}\n\
        out = session.run(['forecast'], {'x': x, 'lengths': np.array([6, 6], 'i4'), **states})[0]\n\
        print(*(repr(float(v)) for v in out.ravel()))\n";
    let folder = bench.path("");
    let answer = ran(Command::new(Path::new(&python)).args(["-c", script]).current_dir(folder));
    assert_eq!(answer.code, 0, "{}", answer.err);
    let theirs: Vec<f64> = answer.out.split_whitespace().map(|v| v.parse().unwrap()).collect();
    let last = |line: &str| line.rsplit(',').next().unwrap().parse().unwrap();
    let ours: Vec<f64> = forecasts.lines().skip(1).map(last).collect();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() <= 1e-5 * theirs.abs().max(1.0), "{ours} {theirs}");
    }
}
