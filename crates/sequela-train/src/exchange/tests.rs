//! Networks of PyTorch, Keras and ONNX Runtime say the same here: dumps and scripts are in
//! `testdata/exchange`.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

use std::path::{Path, PathBuf};

use sequela_core::{Limits, Sequence, SubjectId};
use sequela_kernels::Context;
use sequela_nn::{Batch, Capacity, Keep, Runner};

use super::schema::Schema;
use super::{draft_schema, export_onnx, import_model};
use crate::encode::{Encoder, narrow};
use crate::judge::Net;
use crate::model::Model;
use crate::series::{Example, Examples};
use crate::tensors::{Numbers, TensorFile};
use crate::{Options, Override, PredictRows, Study, predict, train};

pub(super) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/exchange")
}

pub(super) fn files(start: &str, end: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(start) && name.ends_with(end) && !name.contains(".io.")
        })
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The dump that belongs to a file.
pub(super) fn dump(path: &Path) -> TensorFile {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let case = name.split('.').next().unwrap();
    let case = case.trim_end_matches("_dynamo").trim_end_matches("_h5");
    let path = folder().join(format!("{case}.io.safetensors"));
    TensorFile::parse_foreign(&std::fs::read(&path).unwrap(), &path).unwrap()
}

pub(super) fn lengths(dump: &TensorFile) -> Vec<usize> {
    match &dump.arrays["lengths"].numbers {
        Numbers::I64(list) => list.iter().map(|&n| usize::try_from(n).unwrap()).collect(),
        Numbers::I32(list) => list.iter().map(|&n| usize::try_from(n).unwrap()).collect(),
        _ => unreachable!(),
    }
}

pub(super) fn numbers(dump: &TensorFile, name: &str) -> Vec<f32> {
    dump.f32(name, "dump".as_ref()).unwrap().to_vec()
}

/// What a schema has to say of a case.
fn schema(path: &Path, more: &str) -> tempfile::NamedTempFile {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let graph = path.extension().is_some_and(|end| end == "onnx");
    let mut text = String::from(
        "length = 6\nhorizons = [1, 2]\nchannels = [{ name = \"a\" }, { name = \"b\" }, { name = \"c\" }]\n",
    );
    if !graph && name.contains("_steps") && !name.starts_with("keras_gru_steps.") {
        text.push_str("pooling = \"none\"\n");
    }
    if name.contains("mean_h5") {
        text.push_str("pooling = \"mean\"\n");
    }
    if !graph && name.contains("relu") {
        text.push_str("activation = \"relu\"\n");
    }
    if name.starts_with("helper_scaled") {
        text.push_str("output = \"value\"\n");
    }
    if name == "torch_lstm_hidden.safetensors" {
        text.push_str("head = [\"first\", \"second\"]\n");
    }
    if name == "keras_rnn_relu_h5.safetensors" {
        text.push_str("head = [\"dense\", \"dense_1\"]\n");
    }
    text.push_str(more);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

/// The network's own outputs for ragged sequences, `(rows of b, K)` one after the other.
fn outputs(model: &Model, x: &[f32], lengths: &[usize], features: usize) -> Vec<Vec<f32>> {
    let program = model.program();
    let longest = *lengths.iter().max().unwrap();
    let capacity = Capacity::uniform(program, lengths.len(), lengths.len() * longest);
    let mut runner = Runner::new(program, &capacity, &Keep::Nothing).unwrap();
    let mut batch = Batch::new(program, &capacity).unwrap();
    let input = program.input("x").unwrap();
    batch.set_lengths(program.layout("steps").unwrap(), lengths).unwrap();
    for (b, (&length, rows)) in lengths.iter().zip(x.chunks(longest * features)).enumerate() {
        batch.write(input, b, &rows[..length * features]).unwrap();
    }
    runner.forward(&mut Context::new(1).unwrap(), model.parameters(), &batch).unwrap();
    let output = program.output("forecast").unwrap();
    let read = |b| {
        let mut row = Vec::new();
        runner.read(output, &batch, b, &mut row);
        row
    };
    (0..lengths.len()).map(read).collect()
}

/// The series as the network sees it: only a graph of its own brings scales here.
fn scaled(model: &Model, x: &[f32]) -> Vec<f32> {
    let scaler = &model.manifest().encoder.scaler;
    let channels = (0..scaler.channels.len()).cycle();
    x.iter().zip(channels).map(|(&x, channel)| scaler.scale(channel, x)).collect()
}

/// An output in the unit of the target.
fn decoded(model: &Model, y: f32) -> f32 {
    model.manifest().encoder.decode(0, 0.0, y)
}

#[track_caller]
pub(super) fn close(found: &[f32], wanted: &[f32], what: &str) {
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, wanted) in found.iter().zip(wanted) {
        let error = (found - wanted).abs() / wanted.abs().max(1.0);
        assert!(error <= 1e-5, "{what}: {found} for {wanted}");
    }
}

#[test]
fn networks_of_pytorch_keras_and_onnx_say_the_same() {
    let mut all = files("torch_", ".safetensors");
    all.extend(files("torch_", ".onnx"));
    all.extend(files("helper_", ".onnx"));
    all.extend(files("keras_", ".safetensors"));
    for path in all {
        let schema = schema(&path, "");
        let model = import_model(&path, Some(schema.path()), &Limits::default())
            .unwrap_or_else(|error| panic!("{error}"));
        let dump = dump(&path);
        let (x, y, lengths) = (numbers(&dump, "x"), numbers(&dump, "y"), lengths(&dump));
        let features = *dump.arrays["x"].shape.last().unwrap();
        let each = y.len() / lengths.len();
        let x = scaled(&model, &x);
        let found = outputs(&model, &x, &lengths, features);
        for (found, wanted) in found.iter().zip(y.chunks(each)) {
            let found: Vec<f32> = found.iter().map(|y| decoded(&model, *y)).collect();
            close(&found, &wanted[..found.len()], &path.display().to_string());
        }
        // What came out is a model file like any other.
        let saved = tempfile::NamedTempFile::new().unwrap();
        model.save(saved.path()).unwrap();
        let again = Model::load(saved.path(), &Limits::default()).unwrap();
        assert_eq!(again.manifest(), model.manifest());
        assert!(again.describe().contains("weights of   "));
    }
}

#[test]
fn scales_and_units_of_the_schema_reach_the_forecast() {
    let path = folder().join("torch_lstm.safetensors");
    let dump = dump(&path);
    let (x, y) = (numbers(&dump, "x"), numbers(&dump, "y"));
    let (centre, spread) = ([70.0, 36.9, 120.0], [12.0, 0.5, 15.0]);
    let values: Vec<f32> =
        x[..18].iter().zip((0..3).cycle()).map(|(x, k)| x * spread[k] + centre[k]).collect();
    let sequence = Sequence::numeric("s", SubjectId::new("p"), 3, &values).unwrap();
    for (output, wanted) in [
        ("scaled", y[..2].iter().map(|y| y * spread[1] + centre[1]).collect::<Vec<f32>>()),
        ("value", y[..2].to_vec()),
        ("change", y[..2].iter().map(|y| y + values[16]).collect()),
    ] {
        let text = format!(
            "length = 6\nhorizons = [1, 2]\ntarget = \"b\"\noutput = \"{output}\"\nchannels = [\n\
             {{ name = \"a\", centre = 70.0, spread = 12.0 }},\n\
             {{ name = \"b\", unit = \"C\", centre = 36.9, spread = 0.5 }},\n\
             {{ name = \"c\", centre = 120.0, spread = 15.0 }}]\n"
        );
        let schema = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(schema.path(), text).unwrap();
        let model = import_model(&path, Some(schema.path()), &Limits::default()).unwrap();
        let options = Options::default();
        let forecasts =
            predict(&model, std::slice::from_ref(&sequence), PredictRows::Last, &options).unwrap();
        assert_eq!((forecasts.channel.as_str(), forecasts.unit.as_str()), ("b", "C"));
        close(&forecasts.rows[0].values, &wanted, output);
    }
}

#[test]
fn a_draft_is_a_schema_that_is_taken() {
    for path in [folder().join("torch_gru.onnx"), folder().join("torch_gru.safetensors")] {
        let draft = draft_schema(&path, &Limits::default()).unwrap();
        let schema = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(schema.path(), draft).unwrap();
        import_model(&path, Some(schema.path()), &Limits::default()).unwrap();
        let error = import_model(&path, None, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains("what their 3 inputs and 2 outputs are"), "{error}");
    }
}

/// Models whose graphs are dumped: name and changes of a small study.
const EXPORTS: [(&str, &[&str]); 9] = [
    ("lstm", &["model.cell=lstm", "window.target=value"]),
    ("gru", &["model.cell=gru", "model.layers=2", "window.target=value"]),
    ("gru_before", &["model.cell=gru", "model.reset=before_product"]),
    ("elman", &["model.cell=elman", "model.activation=relu", "model.pooling=max"]),
    (
        "bidirectional",
        &["model.cell=lstm", "model.directions=both", "model.layers=2", "model.pooling=mean"],
    ),
    ("level", &["window.target=level", "window.inputs=relative", "model.normalise=layer"]),
    ("relative", &["window.inputs=relative", "model.pooling=attention", "model.head_hidden=[4]"]),
    (
        "steps",
        &["model.pooling=none", "train.loss={ kind = \"pinball\", quantiles = [0.1, 0.5, 0.9] }"],
    ),
    ("indicators", &["window.indicators=[\"observed\", \"gap\"]", "model.cell=lstm"]),
];

const STUDY: &str = "[study]\nname = \"small\"\nseed = 3\n[data]\nkind = \"simulated\"\nsubjects = 5\n\
    hours = 0.05\n[window]\nlength = 12\nhorizons = [1, 4]\nstride = 5\ntarget = \"change\"\n[split]\n\
    fractions = { tune = 0.2, test = 0.2 }\n[model]\nkind = \"sequence\"\ncell = \"gru\"\nhidden = 5\n\
    [train]\nepochs = 2\nbatch = 16\nrate = 2e-2\n[evaluate]\nreplicates = 0\nstride = 9\n\
    baselines = { autoregression = 0 }\n";

/// Trains the models and writes their graphs, where that is asked for.
#[test]
fn exchange_graphs_are_written_on_request() {
    if std::env::var_os("SEQUELA_EXCHANGE").is_none_or(|word| word != "write") {
        return;
    }
    for (name, changes) in EXPORTS {
        let run = tempfile::tempdir().unwrap();
        let changes: Vec<Override> = changes.iter().map(|c| Override::parse(c).unwrap()).collect();
        let study = Study::parse(STUDY, Path::new("small.toml"), &changes).unwrap();
        train(&study, run.path(), &Options::default(), &mut |_| {}).unwrap();
        let model = Model::load(&run.path().join("model.safetensors"), &Limits::default()).unwrap();
        std::fs::write(folder().join(format!("export_{name}.onnx")), export_onnx(&model).unwrap())
            .unwrap();
    }
}

#[test]
fn onnx_runtime_forecasts_the_same_from_an_export() {
    for path in files("export_", ".onnx") {
        let what = path.display().to_string();
        // Without a schema: only a graph of our own, unchanged, is taken so.
        let model = import_model(&path, None, &Limits::default()).unwrap();
        assert!(model.manifest().imported.is_none(), "{what}");
        let dump = dump(&path);
        let (x, forecast) = (numbers(&dump, "x"), numbers(&dump, "forecast"));
        let (lengths, shape) = (lengths(&dump), &dump.arrays["x"].shape);
        let every_step = dump.arrays["forecast"].shape.len() == 3;
        let (steps, features, horizons) = (shape[1], shape[2], 2);
        for (b, &length) in lengths.iter().enumerate() {
            let encoder = Encoder { length, ..model.manifest().encoder.clone() };
            let rows = &x[b * steps * features..][..length * features];
            let sequence = Sequence::numeric("s", SubjectId::new("p"), features, rows).unwrap();
            let examples = Examples {
                series: vec![encoder.series(&sequence).unwrap()],
                subject: vec![0],
                subjects: 1,
                windows: vec![Example { series: 0, start: 0 }],
            };
            let net = Net { encoder: &encoder, ..model.net() };
            let found = net.forecasts(&mut Context::new(1).unwrap(), &examples).unwrap();
            let row = if every_step { b * steps + length - 1 } else { b };
            close(&found, &forecast[row * horizons..][..horizons], &what);
        }
    }
}

#[test]
fn a_changed_export_is_read_as_a_foreign_graph() {
    let path = folder().join("export_lstm.onnx");
    let own = import_model(&path, None, &Limits::default()).unwrap();
    let mut bytes = export_onnx(&own).unwrap();
    let again = sequela_formats::onnx::parse_model(&bytes, &path, &Limits::default()).unwrap();
    assert_eq!(super::onnx::read_own(&again).unwrap().to_bytes(), own.to_bytes());
    // The first weight of the head, found by its bytes.
    let weight = own.parameters().tensors().pop().unwrap().values[0].to_le_bytes();
    let at = bytes.windows(4).position(|window| window == weight).unwrap();
    bytes[at + 3] ^= 0x80;
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join("changed.onnx");
    std::fs::write(&changed, bytes).unwrap();
    assert!(import_model(&changed, None, &Limits::default()).is_err());
    let schema = folder.path().join("schema.toml");
    let text = "length = 12\nhorizons = [1, 4]\nchannels = [{ name = \"heart_rate\" }]\noutput = \"value\"\n";
    std::fs::write(&schema, text).unwrap();
    let model = import_model(&changed, Some(&schema), &Limits::default()).unwrap();
    let (ours, theirs) = (&own.manifest().encoder, &model.manifest().encoder);
    let scale = |encoder: &Encoder| {
        let scale = &encoder.scaler.channels[0];
        [narrow(scale.centre), narrow(scale.spread)]
    };
    close(&scale(theirs), &scale(ours), "scales are found in the graph");
}

#[test]
fn a_file_cut_anywhere_is_refused_with_its_name() {
    let limits = Limits::default();
    for name in ["torch_gru_plain.onnx", "torch_gru_plain.safetensors", "keras_lstm.safetensors"] {
        let bytes = std::fs::read(folder().join(name)).unwrap();
        for cut in 0..bytes.len() {
            let found = super::find(&bytes[..cut], name.as_ref(), &Schema::bare(), &limits);
            let text = found.map(|_| ()).unwrap_err().to_string();
            assert!(text.starts_with(name) && !text.contains('\n'), "cut at {cut}: {text}");
        }
    }
}

#[test]
fn what_is_not_read_is_named() {
    use sequela_formats::onnx::{AttributeValue, Node, parse_model};
    let path = folder().join("torch_gru.onnx");
    let bytes = std::fs::read(&path).unwrap();
    let whole = parse_model(&bytes, &path, &Limits::default()).unwrap();
    let gru = whole.graph.nodes.iter().position(|node| node.op == "GRU").unwrap();
    let changed = |change: &dyn Fn(&mut sequela_formats::onnx::Model)| {
        let mut file = whole.clone();
        change(&mut file);
        super::onnx::read(&file, &path).map(|_| ()).unwrap_err().to_string()
    };
    for (name, value, words) in [
        ("clip", AttributeValue::Float(3.0), "it clips its cells"),
        (
            "activations",
            AttributeValue::Texts(vec!["Tanh".into()]),
            "its activations are not Sigmoid, Tanh",
        ),
        ("direction", AttributeValue::Text("sideways".into()), "its direction is not"),
    ] {
        let error = changed(&|file| {
            let node = &mut file.graph.nodes[gru];
            node.attributes.retain(|attribute| attribute.name != name);
            *node = node.clone().with(name, value.clone());
        });
        assert!(error.contains("(GRU): ") && error.contains(words), "{error}");
        assert!(error.contains("are read (see docs/guide/exchange.md)"), "{error}");
    }
    let error = changed(&|file| {
        let last = file.graph.nodes.last_mut().unwrap();
        let out = last.outputs[0].clone();
        last.outputs[0] = "logits".into();
        file.graph
            .nodes
            .push(Node { name: "end".into(), ..Node::new("Softmax", &["logits"], &[&out]) });
    });
    assert!(
        error.contains("field node end (Softmax): the operation is not one that is read"),
        "{error}"
    );
    let error = changed(&|file| {
        file.graph.nodes[gru].inputs.resize(5, String::new());
        file.graph.nodes[gru].inputs[4] = file.graph.nodes[gru].inputs[3].clone();
    });
    assert!(error.contains("its sequence_lens are not an input"), "{error}");
    let error = changed(&|file| file.opset = 3);
    assert!(error.contains("version 3 of the operations"), "{error}");
}
