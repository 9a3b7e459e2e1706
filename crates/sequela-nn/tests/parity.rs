//! Against PyTorch and Keras: stacks, layers, activations, embeddings.
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

use sequela_kernels::Context;
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::{Cell, Direction, Reset, StatePart};
use sequela_nn::{
    Activate, Batch, Builder, Combine, Concatenate, Embedding, FinalState, Gradients, Initial,
    InputId, Keep, Linear, Loss, LossTerm, Multiply, Normalise, ParamKind, ParamSpec, Parameters,
    Pool, PoolKind, Program, Recurrent, Rows, Runner, Scalar, SoftmaxSteps, Tensor, Value, Wanted,
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
