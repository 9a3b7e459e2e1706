//! Against PyTorch and Keras: stacks, layers, optimisers, clipping, the article's program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    clippy::needless_range_loop,
    clippy::similar_names,
    reason = "a test compares bits and stops at the first thing that is wrong"
)]

mod support;

use sequela_core::Random;
use sequela_kernels::Context;
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::{Cell, Direction, Reset, StatePart};
use sequela_nn::{
    Activate, Architecture, Batch, Builder, Clip, Combine, Concatenate, Convention, Embedding,
    Features, FinalState, Gradients, Head, Initial, InputId, Interface, Keep, Linear, Loss,
    LossTerm, Method, Multiply, Nesterov, Normalise, Optimiser, ParamKind, ParamSpec, Parameters,
    Pool, PoolKind, Pooling, Program, Recurrent, Rows, Runner, Scalar, Sequence, SoftmaxSteps,
    Tensor, Value, Wanted,
};
use support::{Dump, assert_close, capacity, rows_of};

/// A program fed and judged by a dump.
struct Case {
    builder: Builder,
    lengths: Vec<usize>,
    /// Inputs and gradients sent, `(B, T, width)` or `(B, width)`, batch first.
    fills: Vec<(String, Vec<f32>)>,
    outputs: Vec<(Value, String)>,
    wanted: Vec<(Value, String)>,
}

impl Case {
    fn new(lengths: Vec<usize>) -> Self {
        let mut builder = Builder::new();
        builder.layout("steps");
        Self { builder, lengths, fills: Vec::new(), outputs: Vec::new(), wanted: Vec::new() }
    }

    fn steps() -> Rows {
        Rows::Steps(serde_json::from_str("0").unwrap())
    }

    /// An input whose gradient has to be that of the dump.
    fn input(&mut self, rows: Rows, values: Vec<f32>, name: &str, gradient: &str) -> Value {
        let count = if rows == Rows::Sequences {
            self.lengths.len()
        } else {
            self.lengths.len() * self.lengths.iter().max().unwrap()
        };
        let value = self.builder.input(name, rows, values.len() / count).unwrap();
        self.fills.push((name.into(), values));
        self.wanted.push((value, gradient.into()));
        value
    }

    /// An output that has to be that of the dump, and the gradient that is sent to it.
    fn output(&mut self, value: Value, rows: Rows, name: &str, sent: Vec<f32>) {
        let target =
            self.builder.input(&format!("sent.{name}"), rows, self.builder.width(value)).unwrap();
        self.fills.push((format!("sent.{name}"), sent));
        self.builder.output(name, value);
        let scale = Scalar::Fixed(1.0);
        self.builder.loss(LossTerm {
            kind: Loss::Dot,
            prediction: value,
            target,
            weight: None,
            scale,
        });
        self.outputs.push((value, name.into()));
    }

    /// Runs it with weights from `find`; compares what the dump has.
    fn compare(
        self,
        what: &str,
        find: impl Fn(&str) -> Option<Vec<f32>>,
        wanted: impl Fn(&str) -> Option<Vec<f64>>,
    ) {
        let program = self.builder.finish().unwrap();
        let mut parameters = Parameters::new(&program, 0).unwrap();
        let shapes = parameters.tensors();
        parameters
            .load_from(|name| {
                let shape = shapes.iter().find(|tensor| tensor.name == name)?.shape.clone();
                Some(Tensor { name: name.into(), shape, values: find(name)? })
            })
            .unwrap();
        let sequences = self.lengths.len();
        let room = capacity(&vec![self.lengths.clone()], sequences);
        let mut batch = Batch::new(&program, &room).unwrap();
        batch.set_lengths(program.layout("steps").unwrap(), &self.lengths).unwrap();
        for (name, values) in &self.fills {
            let input = program.input(name).unwrap();
            write(&mut batch, &program, input, values, &self.lengths);
        }
        let mut keep = vec![Wanted::Parameters];
        keep.extend(self.wanted.iter().map(|(value, _)| Wanted::Of(*value)));
        let mut runner = Runner::new(&program, &room, &Keep::Gradients(keep)).unwrap();
        let mut gradients = Gradients::new(&parameters);
        let mut context = Context::new(2).unwrap();
        runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
        for (value, name) in &self.outputs {
            let wanted = pack(&program, &batch, *value, &wanted(name).unwrap(), &self.lengths);
            let found = rows_of(runner.value(*value, &batch));
            assert_close(&format!("{what}: {name}"), &found, &wanted, 1e-5);
        }
        for (value, name) in &self.wanted {
            let wanted = pack(&program, &batch, *value, &wanted(name).unwrap(), &self.lengths);
            let found = rows_of(runner.gradient(*value, &batch).unwrap());
            assert_close(&format!("{what}: {name}"), &found, &wanted, 3e-5);
        }
        for tensor in gradients.tensors(&parameters) {
            if let Some(wanted) = wanted(&format!("grad.{}", tensor.name)) {
                assert_close(&format!("{what}: d {}", tensor.name), &tensor.values, &wanted, 3e-5);
            }
        }
    }
}

fn write(batch: &mut Batch, program: &Program, input: InputId, values: &[f32], lengths: &[usize]) {
    let each = values.len() / lengths.len();
    for (b, (values, length)) in values.chunks(each).zip(lengths).enumerate() {
        let count = match program.inputs()[input.index()].rows {
            Rows::Sequences => each,
            Rows::Steps(_) => each / lengths.iter().max().unwrap() * length,
        };
        batch.write(input, b, &values[..count]).unwrap();
    }
}

/// Batch-first padded numbers in the packed order.
fn pack(
    program: &Program,
    batch: &Batch,
    value: Value,
    from: &[f64],
    lengths: &[usize],
) -> Vec<f64> {
    let node = &program.nodes()[value.index()];
    let Rows::Steps(layout) = node.rows else { return from.to_vec() };
    let longest = *lengths.iter().max().unwrap();
    let mut out = vec![0.0; batch.layout(layout).rows() * node.width];
    for (b, &length) in lengths.iter().enumerate() {
        for t in 0..length {
            let row = &from[(b * longest + t) * node.width..][..node.width];
            out[batch.row_of(layout, b, t) * node.width..][..node.width].copy_from_slice(row);
        }
    }
    out
}

const TORCH_CELLS: [(&str, Cell); 4] = [
    ("rnn_tanh", Cell::Elman(Activation::Tanh)),
    ("rnn_relu", Cell::Elman(Activation::Relu)),
    ("lstm", Cell::Lstm),
    ("gru", Cell::Gru(Reset::AfterProduct)),
];

/// The numbers of one layer and direction of a `(L*D, B, H)` tensor.
fn part(values: &[f64], index: usize, size: usize) -> Vec<f64> {
    values[index * size..][..size].to_vec()
}

fn torch_stack(cell_name: &str, cell: Cell, suffix: &str) {
    let name = format!("torch_{cell_name}_{suffix}");
    let dump = Dump::load(&name);
    let lengths = dump.sizes("lengths");
    let sides = if dump.has("weight_ih_l0_reverse") { 2 } else { 1 };
    let layers = if dump.has("weight_ih_l1") { 2 } else { 1 };
    let hidden = dump.get("h0").len() / (lengths.len() * sides * layers);
    let size = lengths.len() * hidden;
    let single = |values: Vec<f64>| values.into_iter().map(|v| v as f32).collect::<Vec<f32>>();

    let mut case = Case::new(lengths);
    let mut x = case.input(Case::steps(), dump.f32("x"), "x", "grad.x");
    for layer in 0..layers {
        let inputs = case.builder.width(x);
        let mut outputs = Vec::new();
        for side in 0..sides {
            let index = layer * sides + side;
            let direction = [Direction::Forward, Direction::Reverse][side];
            let kind = ParamKind::Recurrent { cell, direction, inputs, hidden, layer };
            let spec = ParamSpec { name: "rnn".into(), kind, initial: Initial::PyTorch };
            let param = case.builder.param(spec);
            let mut all = vec![x];
            let states: &[(&str, StatePart)] = if cell == Cell::Lstm {
                &[("h", StatePart::Hidden), ("c", StatePart::Cell)]
            } else {
                &[("h", StatePart::Hidden)]
            };
            for (state, _) in states {
                let start = single(part(dump.get(&format!("{state}0")), index, size));
                let name = format!("{state}0.{index}");
                all.push(case.input(Rows::Sequences, start, &name, &format!("grad.{name}")));
            }
            let h = case.builder.add(Recurrent { param }, &all).unwrap();
            for &(state, part_of) in states {
                let end = case.builder.add(FinalState { part: part_of }, &[h]).unwrap();
                let sent = single(part(dump.get(&format!("g{state}n")), index, size));
                case.output(end, Rows::Sequences, &format!("{state}n.{index}"), sent);
            }
            outputs.push(h);
        }
        x = if sides == 1 {
            outputs[0]
        } else {
            case.builder.add(Concatenate {}, &outputs).unwrap()
        };
    }
    case.output(x, Case::steps(), "y", dump.f32("gy"));
    case.compare(
        &name,
        |weight| Some(dump.f32(weight.strip_prefix("rnn.")?)),
        |wanted| {
            // States of one layer and direction are named `hn.3` here; one bias is trained.
            if let Some((name, index)) = wanted.rsplit_once('.')
                && let Ok(index) = index.parse::<usize>()
            {
                return Some(part(dump.get(name), index, size));
            }
            let plain = wanted.replace("rnn.", "");
            if !plain.contains("bias_hh") {
                return Some(dump.get(&plain).to_vec());
            }
            let mut values = dump.get(&plain).to_vec();
            let trained = if cell_name == "gru" { hidden } else { 0 };
            let shared = values.len() - trained;
            values[..shared].fill(0.0);
            Some(values)
        },
    );
}

#[test]
fn torch_stacks() {
    for (name, cell) in TORCH_CELLS {
        for suffix in [
            "l1_uni_dense",
            "l1_uni_ragged",
            "l1_bi_dense",
            "l1_bi_ragged",
            "l2_uni_dense",
            "l2_uni_ragged",
            "l2_bi_dense",
            "l2_bi_ragged",
            "h33_ragged",
            "h16_dense",
            "one_sequence",
            "one_step",
        ] {
            torch_stack(name, cell, suffix);
        }
    }
}

/// A layer without recurrence; `prefix` leads its tensors.
fn torch_layer(
    file: &str,
    prefix: &str,
    lengths: Option<Vec<usize>>,
    inputs: &[&str],
    make: impl Fn(&mut Builder, &[Value]) -> (Value, Rows),
) {
    let dump = Dump::load(file);
    let of = |name: &str| format!("{prefix}{name}");
    let by_step = lengths.is_some();
    let rows = if by_step { Case::steps() } else { Rows::Sequences };
    let count = || dump.get(&of("gy")).len();
    let lengths = lengths.unwrap_or_else(|| vec![1; count() / dump.get(&of("bias")).len()]);
    let mut case = Case::new(lengths);
    let values: Vec<Value> = inputs
        .iter()
        .map(|name| case.input(rows, dump.f32(&of(name)), name, &format!("grad.{name}")))
        .collect();
    let (y, rows) = make(&mut case.builder, &values);
    case.output(y, rows, "y", dump.f32(&of("gy")));
    case.compare(
        &of(file),
        |weight| Some(dump.f32(&of(weight.strip_prefix("p.")?))),
        |wanted| Some(dump.get(&of(&wanted.replace("p.", ""))).to_vec()),
    );
}

#[test]
fn torch_layers() {
    let param = |b: &mut Builder, kind| {
        b.param(ParamSpec { name: "p".into(), kind, initial: Initial::PyTorch })
    };
    torch_layer("layers_linear", "", None, &["x"], |b, x| {
        let param = param(b, ParamKind::Linear { inputs: 5, outputs: 19, bias: Bias::Trained });
        (b.add(Linear { param }, x).unwrap(), Rows::Sequences)
    });
    for prefix in ["plain.", "hard."] {
        torch_layer("layers_layer_norm", prefix, None, &["x"], |b, x| {
            let param = param(b, ParamKind::Normalise { width: 19 });
            (b.add(Normalise { param, epsilon: 1e-5 }, x).unwrap(), Rows::Sequences)
        });
    }
    let lengths = Dump::load("layers_pooling").sizes("lengths");
    for (prefix, kind) in
        [("last.", PoolKind::Last), ("mean.", PoolKind::Mean), ("max.", PoolKind::Max)]
    {
        torch_layer("layers_pooling", prefix, Some(lengths.clone()), &["x"], |b, x| {
            (b.add(Pool { kind }, x).unwrap(), Rows::Sequences)
        });
    }
    torch_layer("layers_pooling", "softmax_steps.", Some(lengths.clone()), &["scores"], |b, x| {
        (b.add(SoftmaxSteps {}, x).unwrap(), Case::steps())
    });
    torch_layer("layers_pooling", "attention.", Some(lengths), &["x", "scores"], |b, inputs| {
        let weights = b.add(SoftmaxSteps {}, &inputs[1..]).unwrap();
        let weighed = b.add(Multiply {}, &[inputs[0], weights]).unwrap();
        (b.add(Pool { kind: PoolKind::Sum }, &[weighed]).unwrap(), Rows::Sequences)
    });
}

#[test]
fn torch_activations() {
    let dump = Dump::load("layers_activations");
    let count = dump.get("x").len();
    for (name, kind) in [
        ("relu", Activation::Relu),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
        ("softplus", Activation::Softplus),
    ] {
        let mut case = Case::new(vec![1; count]);
        let x = case.input(Rows::Sequences, dump.f32("x"), "x", "derivative");
        let y = case.builder.add(Activate { kind }, &[x]).unwrap();
        case.output(y, Rows::Sequences, "y", vec![1.0; count]);
        let of = |wanted: &str| Some(dump.get(&format!("{name}.{wanted}")).to_vec());
        case.compare(name, |_| None, of);
    }
}

#[test]
fn torch_embeddings() {
    let dump = Dump::load("layers_embedding");
    let ids: Vec<u32> = dump.sizes("ids").iter().map(|&id| id as u32).collect();
    let offsets: Vec<u32> = dump.sizes("offsets").iter().map(|&o| o as u32).collect();
    for (name, combine) in
        [("lookup", Combine::Sum), ("sum", Combine::Sum), ("mean", Combine::Mean)]
    {
        let rows = if name == "lookup" { ids.len() } else { offsets.len() - 1 };
        let mut b = Builder::new();
        let input = b.ids("ids", Rows::Sequences, 13);
        let kind = ParamKind::Table { rows: 13, width: 6 };
        let param = b.param(ParamSpec { name: "table".into(), kind, initial: Initial::PyTorch });
        let y = b.add(Embedding { param, ids: input, combine }, &[]).unwrap();
        let target = b.input("sent", Rows::Sequences, 6).unwrap();
        b.output("y", y);
        let scale = Scalar::Fixed(1.0);
        b.loss(LossTerm { kind: Loss::Dot, prediction: y, target, weight: None, scale });
        let program = b.finish().unwrap();
        let mut parameters = Parameters::new(&program, 0).unwrap();
        let mut tensors = parameters.tensors();
        tensors[0].values = dump.f32(&format!("{name}.table"));
        parameters.load(&tensors).unwrap();
        let room = capacity(&vec![], rows);
        let mut batch = Batch::new(&program, &room).unwrap();
        batch.set_sequences(rows).unwrap();
        if name == "lookup" {
            (0..rows).for_each(|b| batch.write_ids(input, b, &ids[b..=b]).unwrap());
        } else {
            batch.set_bags(input, &offsets, &ids).unwrap();
        }
        let sent = dump.f32(&format!("{name}.gy"));
        let to = program.input("sent").unwrap();
        sent.chunks(6).enumerate().for_each(|(b, row)| batch.write(to, b, row).unwrap());
        let pass =
            support::run_pass(&program, &parameters, &batch, &room, &mut Context::new(1).unwrap());
        assert_close(name, &pass.outputs[0], dump.get(&format!("{name}.y")), 1e-6);
        let wanted = dump.get(&format!("{name}.grad.table"));
        assert_close(name, &pass.gradients[0].values, wanted, 1e-6);
    }
}

/// Parameters of `count` numbers, and gradients for them.
fn vector(count: usize) -> (Parameters, Gradients) {
    let mut b = Builder::new();
    let kind = ParamKind::Table { rows: count, width: 1 };
    b.param(ParamSpec { name: "w".into(), kind, initial: Initial::Zeros });
    let parameters = Parameters::new(&b.finish().unwrap(), 0).unwrap();
    let gradients = Gradients::new(&parameters);
    (parameters, gradients)
}

/// Rows of width 1 lie 16 apart.
fn scatter(values: &[f32], flat: &mut [f32]) {
    flat.iter_mut().step_by(16).zip(values).for_each(|(to, from)| *to = *from);
}

fn optimiser_case(dump: &Dump, name: &str, method: Method, rate: f32) {
    let start = dump.f32("start");
    let (mut parameters, mut gradients) = vector(start.len());
    let mut flat = parameters.flat().to_vec();
    scatter(&start, &mut flat);
    parameters.set_flat(&flat).unwrap();
    let mut optimiser = Optimiser::new(method, &parameters).unwrap();
    let mut context = Context::new(1).unwrap();
    let sent = dump.f32("gradients");
    let steps = sent.chunks(start.len()).zip(dump.get(name).chunks(start.len())).enumerate();
    for (step, (gradient, wanted)) in steps {
        if step == 5 {
            // What a checkpoint holds is all there is.
            let state: Vec<(&str, Vec<f32>)> = optimiser
                .state()
                .into_iter()
                .map(|(name, values)| (name, values.to_vec()))
                .collect();
            let state: Vec<(&str, &[f32])> =
                state.iter().map(|(name, values)| (*name, values.as_slice())).collect();
            let mut other = Optimiser::new(method, &parameters).unwrap();
            other.restore(optimiser.step(), &state).unwrap();
            assert!(other.restore(1, &state[1..]).is_err() || state.len() == 1);
            optimiser = other;
            optimiser.restore(5, &state).unwrap();
        }
        scatter(gradient, gradients.flat_mut());
        optimiser.update(&mut context, &mut parameters, &gradients, rate).unwrap();
        let found = &parameters.tensors()[0].values;
        assert_close(&format!("{name}, step {step}"), found, wanted, 2e-6);
    }
}

#[test]
fn torch_and_keras_optimisers() {
    let sgd = |momentum, nesterov| Method::Sgd { momentum, nesterov, weight_decay: 0.0 };
    let adam = |epsilon, convention| Method::Adam { beta1: 0.9, beta2: 0.999, epsilon, convention };
    let adamw = |epsilon, convention| Method::AdamW {
        beta1: 0.9,
        beta2: 0.999,
        epsilon,
        weight_decay: 0.01,
        convention,
    };
    let rms = |decay, epsilon, momentum, convention| Method::RmsProp {
        decay,
        epsilon,
        momentum,
        convention,
    };
    for (file, convention, epsilon) in [
        ("torch_optimisers", Convention::PyTorch, 1e-8),
        ("keras_optimisers", Convention::Keras, 1e-7),
    ] {
        let dump = Dump::load(file);
        optimiser_case(&dump, "sgd", sgd(0.0, Nesterov::Off), 0.01);
        optimiser_case(&dump, "sgd_momentum", sgd(0.9, Nesterov::Off), 0.01);
        optimiser_case(&dump, "sgd_nesterov", sgd(0.9, Nesterov::On), 0.01);
        optimiser_case(&dump, "adam", adam(epsilon, convention), 0.001);
        optimiser_case(&dump, "adamw", adamw(epsilon, convention), 0.001);
        if convention == Convention::PyTorch {
            optimiser_case(&dump, "rmsprop", rms(0.99, epsilon, 0.0, convention), 0.01);
            optimiser_case(&dump, "rmsprop_momentum", rms(0.99, epsilon, 0.9, convention), 0.01);
        } else {
            optimiser_case(&dump, "rmsprop", rms(0.9, epsilon, 0.0, convention), 0.001);
        }
    }
}

#[test]
fn torch_clipping() {
    let dump = Dump::load("torch_clipping");
    let all = |prefix: &str| -> Vec<f64> {
        ["a", "b", "c"].iter().flat_map(|n| dump.get(&format!("{prefix}.{n}")).to_vec()).collect()
    };
    let start: Vec<f32> = all("gradient").iter().map(|&g| g as f32).collect();
    let mut context = Context::new(1).unwrap();
    for (name, clip) in [
        ("norm_1", Clip::Norm(1.0)),
        ("norm_5", Clip::Norm(5.0)),
        ("norm_100", Clip::Norm(100.0)),
        ("value_1", Clip::Value(1.0)),
        ("value_0p5", Clip::Value(0.5)),
    ] {
        let (parameters, mut gradients) = vector(start.len());
        scatter(&start, gradients.flat_mut());
        let norm = gradients.clip(&mut context, clip);
        assert!((norm / dump.get("norm")[0] - 1.0).abs() < 1e-6);
        assert_close(name, &gradients.tensors(&parameters)[0].values, &all(name), 2e-6);
    }
}

#[test]
fn frozen_parameters_stay() {
    let settings = Sequence { hidden: 4, ..Sequence::default() };
    let heads = vec![Head { name: "y".into(), outputs: 1, loss: Loss::MeanSquared }];
    let interface = Interface { heads, ..Interface::default() };
    let program = Architecture::Sequence(settings).build(&interface).unwrap();
    let mut parameters = Parameters::new(&program, 1).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let rnn = program.param("rnn").unwrap();
    let mut optimiser = Optimiser::new(Method::default(), &parameters).unwrap();
    optimiser.freeze(&parameters, &[rnn]);
    let random = Random::new(1, 1);
    (0..).zip(gradients.flat_mut()).for_each(|(i, g)| *g = random.normal(i) as f32);
    let before = parameters.clone();
    optimiser.update(&mut Context::new(1).unwrap(), &mut parameters, &gradients, 0.1).unwrap();
    let range = parameters.range(rnn);
    assert_eq!(parameters.flat()[range.clone()], before.flat()[range.clone()]);
    assert_ne!(parameters.flat()[range.end..], before.flat()[range.end..]);
}

/// `(in, out)` row by row to `(out, in)`.
fn turned(values: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = values.len() / inputs;
    (0..values.len()).map(|i| values[i % inputs * outputs + i / inputs]).collect()
}

/// Keras's `(in, out)` gradients of the first batch, in f64.
fn check_first_gradient(found: &[Tensor]) {
    let dump = Dump::load("article_first_gradient");
    for tensor in found.iter().filter(|tensor| !tensor.name.contains("bias_hh")) {
        let (name, inputs) = keras_name(&tensor.name);
        let wanted: Vec<f64> = dump.get(&format!("grad.{name}")).to_vec();
        let outputs = wanted.len() / inputs;
        let turned: Vec<f64> =
            (0..wanted.len()).map(|i| wanted[i % inputs * outputs + i / inputs]).collect();
        assert_close(&tensor.name, &tensor.values, &turned, 1e-5);
    }
}

/// The name that Keras has for a weight, and the number of its inputs.
fn keras_name(name: &str) -> (String, usize) {
    let (layer, inputs) = match name {
        name if name.starts_with("heads.next") => ("dense", 50),
        name if name.ends_with("l0") => ("lstm_0", 1),
        _ => ("lstm_1", 50),
    };
    match name {
        name if name.contains("bias") => (format!("{layer}.bias"), 1),
        name if name.contains("_hh_") => (format!("{layer}.recurrent_kernel"), 50),
        _ => (format!("{layer}.kernel"), inputs),
    }
}

#[test]
fn the_article_s_program_has_keras_s_losses() {
    let dump = Dump::load("article");
    let settings =
        Sequence { hidden: 50, layers: 2, pooling: Pooling::Last, ..Sequence::default() };
    let heads = vec![Head { name: "next".into(), outputs: 1, loss: Loss::MeanSquared }];
    let interface =
        Interface { features: Features::Numeric { width: 1 }, heads, ..Interface::default() };
    let program = Architecture::Sequence(settings).build(&interface).unwrap();
    let mut parameters = Parameters::new(&program, 0).unwrap();
    let mut tensors = parameters.tensors();
    for tensor in &mut tensors {
        let (name, inputs) = keras_name(&tensor.name);
        tensor.values = if tensor.name.contains("bias_hh") {
            vec![0.0; tensor.values.len()]
        } else {
            turned(&dump.f32(&format!("initial.{name}")), inputs)
        };
    }
    parameters.load(&tensors).unwrap();
    let room = capacity(&vec![vec![1; 32]], 32);
    let keep = Keep::Gradients(vec![Wanted::Parameters]);
    let mut runner = Runner::new(&program, &room, &keep).unwrap();
    let mut batch = Batch::new(&program, &room).unwrap();
    let mut gradients = Gradients::new(&parameters);
    let mut optimiser = Optimiser::new(Method::default(), &parameters).unwrap();
    let mut context = Context::new(1).unwrap();
    let (series, order) = (dump.f32("series"), dump.sizes("permutations"));
    let input = |name: &str| program.input(name).unwrap();
    let (x, y, w) = (input("x"), input("target.next"), input("weight.next"));
    let layout = program.layout("steps").unwrap();
    for step in 0..200 {
        let epoch = &order[step / 32 * 999..][..999];
        let rows = &epoch[32 * (step % 32)..];
        let rows = &rows[..rows.len().min(32)];
        batch.set_lengths(layout, &vec![1; rows.len()]).unwrap();
        for (b, &row) in rows.iter().enumerate() {
            batch.write(x, b, &series[row..=row]).unwrap();
            batch.write(y, b, &series[row + 1..=row + 1]).unwrap();
            batch.write(w, b, &[1.0]).unwrap();
        }
        let loss = runner.train(&mut context, &parameters, &batch, &mut gradients).unwrap();
        if step == 0 {
            check_first_gradient(&gradients.tensors(&parameters));
        }
        for wanted in ["losses_f64", "losses_f32"] {
            let wanted = dump.get(wanted)[step];
            assert!((loss / wanted - 1.0).abs() < 1e-4, "step {step}: {loss} {wanted}");
        }
        optimiser.update(&mut context, &mut parameters, &gradients, 0.001).unwrap();
    }
    let norms = dump.get("last_norms_f64");
    let found = parameters.tensors();
    // Keras has one bias for each layer. The first layer's input weights are left out: its gates
    // are saturated (the input is about 100), and Adam magnifies what f32 cannot tell from 0.
    for (index, wanted) in [4, 5, 6, 8, 9].into_iter().zip(&norms[3..]) {
        let sum: f64 = found[index].values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
        let norm = sum.sqrt();
        assert!((norm / wanted - 1.0).abs() < 1e-4, "{}: {norm} {wanted}", found[index].name);
    }
}
