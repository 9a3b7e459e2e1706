//! The node tests of ONNX as outside oracles of the cells: `onnx_rnn` in the folder of data sets.
//!
//! Peepholes are no cell of sequela; that case is put together from operations.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests may fail loudly"
)]

use std::path::{Path, PathBuf};

use sequela_core::Limits;
use sequela_formats::onnx::{Node, Tensor, parse_tensor, read_model};
use sequela_kernels::Context;
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::{Cell, Direction, StatePart};
use sequela_nn::{
    Activate, Add, Batch, Builder, Capacity, CellKind, FinalState, Initial, Keep, Linear, Multiply,
    ParamKind, ParamSpec, Parameters, Program, Recurrent, Rows, Runner, Tensor as Weight, Value,
};

use super::layers::{Layer, layer};
use super::meaning::{floats, integers};
use crate::encode::narrow;

fn cases() -> Option<Vec<PathBuf>> {
    let root = std::env::var_os("SEQUELA_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let entries = std::fs::read_dir(root.join("onnx_rnn")).ok()?;
    let mut cases: Vec<PathBuf> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    cases.sort();
    (!cases.is_empty()).then_some(cases)
}

struct Case {
    node: Node,
    inputs: Vec<Option<Tensor>>,
    outputs: Vec<(String, Vec<f32>)>,
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    floats(tensor).unwrap().into_iter().map(narrow).collect()
}

fn load(path: &Path) -> Case {
    let limits = Limits::default();
    let model = read_model(&path.join("model.onnx"), &limits).unwrap();
    let node = model.graph.nodes[0].clone();
    let tensor = |kind: &str, at: usize| {
        let path = path.join(format!("test_data_set_0/{kind}_{at}.pb"));
        parse_tensor(&std::fs::read(&path).unwrap(), &path, &limits).unwrap()
    };
    let mut at = 0;
    let inputs = node.inputs.iter().map(|name| {
        (!name.is_empty()).then(|| {
            at += 1;
            tensor("input", at - 1)
        })
    });
    let inputs = inputs.collect();
    let outputs = model.graph.outputs.iter().enumerate();
    let outputs =
        outputs.map(|(at, info)| (info.name.clone(), numbers(&tensor("output", at)))).collect();
    Case { node, inputs, outputs }
}

#[test]
fn node_tests_of_onnx_agree_with_the_cells() {
    let Some(cases) = cases() else {
        eprintln!("skipped: there is no onnx_rnn in $SEQUELA_DATA or ../shared/data");
        return;
    };
    assert!(cases.len() >= 9, "{cases:?}");
    for path in cases {
        let case = load(&path);
        let constant = |k: usize| case.inputs.get(k).and_then(Option::as_ref);
        let weights = (constant(1).unwrap(), constant(2).unwrap(), constant(3));
        let layer = layer(&case.node, weights).unwrap();
        assert_eq!(layer.reverse, [false]);
        let run = match constant(7) {
            Some(peepholes) => with_peepholes(&case, &layer, &numbers(peepholes)),
            None => with_cell(&case, &layer),
        };
        for (name, wanted) in &case.outputs {
            let found = match case.node.outputs.iter().position(|output| output == name) {
                Some(0) => &run.steps,
                Some(1) => &run.hidden,
                _ => &run.cell,
            };
            assert_eq!(found.len(), wanted.len(), "{}: {name}", path.display());
            for (found, wanted) in found.iter().zip(wanted) {
                // The tolerance of the node tests is 1e-3; theirs and ours are far closer.
                let error = (found - wanted).abs() / wanted.abs().max(1.0);
                assert!(error <= 1e-6, "{}: {name}: {found} for {wanted}", path.display());
            }
        }
    }
}

/// Outputs as the node lays them out.
#[derive(Default)]
struct Run {
    steps: Vec<f32>,
    hidden: Vec<f32>,
    cell: Vec<f32>,
}

/// x of sequence `b` at step `t`, whichever comes first in the array.
fn at(x: &Tensor, values: &[f32], layer: &Layer, (b, t): (usize, usize)) -> Vec<f32> {
    let row = if layer.batch_first { b * x.shape[1] + t } else { t * x.shape[1] + b };
    values[row * x.shape[2]..][..x.shape[2]].to_vec()
}

fn sizes(case: &Case, layer: &Layer) -> (usize, usize, Vec<usize>) {
    let x = case.inputs[0].as_ref().unwrap();
    let (batch, steps) =
        if layer.batch_first { (x.shape[0], x.shape[1]) } else { (x.shape[1], x.shape[0]) };
    let lengths = case.inputs.get(4).and_then(Option::as_ref).map_or_else(
        || vec![steps; batch],
        |lengths| integers(lengths).unwrap().iter().map(|&n| usize::try_from(n).unwrap()).collect(),
    );
    (batch, steps, lengths)
}

fn with_cell(case: &Case, layer: &Layer) -> Run {
    let side = &layer.sides[0];
    let cell = match layer.cell {
        CellKind::Elman => Cell::Elman(layer.activation),
        CellKind::Lstm => Cell::Lstm,
        CellKind::Gru => Cell::Gru(layer.reset),
        other => panic!("{other:?} is no node of ONNX"),
    };
    let (inputs, hidden) = (side.inputs, layer.hidden);
    let mut builder = Builder::new();
    let steps = builder.layout("steps");
    let x = builder.input("x", Rows::Steps(steps), inputs).unwrap();
    let h0 = builder.input("h0", Rows::Sequences, hidden).unwrap();
    let mut from = vec![x, h0];
    if cell == Cell::Lstm {
        from.push(builder.input("c0", Rows::Sequences, hidden).unwrap());
    }
    let kind =
        ParamKind::Recurrent { cell, direction: Direction::Forward, inputs, hidden, layer: 0 };
    let param = builder.param(ParamSpec { name: "rnn".into(), kind, initial: Initial::Zeros });
    let y = builder.add(Recurrent { param }, &from).unwrap();
    let last = builder.add(FinalState { part: StatePart::Hidden }, &[y]).unwrap();
    let last_cell = (cell == Cell::Lstm)
        .then(|| builder.add(FinalState { part: StatePart::Cell }, &[y]).unwrap());
    for (name, value) in [("y", Some(y)), ("h", Some(last)), ("c", last_cell)] {
        if let Some(value) = value {
            builder.output(name, value);
        }
    }
    let program = builder.finish().unwrap();
    let rows = side.bias_ih.len();
    let weight = |name: &str, shape: &[usize], values: &[f32]| Weight {
        name: format!("rnn.{name}_l0"),
        shape: shape.to_vec(),
        values: values.to_vec(),
    };
    let tensors = [
        weight("weight_ih", &[rows, inputs], &side.weight_ih),
        weight("weight_hh", &[rows, hidden], &side.weight_hh),
        weight("bias_ih", &[rows], &side.bias_ih),
        weight("bias_hh", &[rows], &side.bias_hh),
    ];
    let (batch_size, longest, lengths) = sizes(case, layer);
    let (mut runner, mut batch, parameters) = ready(&program, &tensors, batch_size, longest);
    batch.set_lengths(steps, &lengths).unwrap();
    let x = case.inputs[0].as_ref().unwrap();
    let values = numbers(x);
    for (b, &length) in lengths.iter().enumerate() {
        let rows: Vec<f32> = (0..length).flat_map(|t| at(x, &values, layer, (b, t))).collect();
        batch.write(program.input("x").unwrap(), b, &rows).unwrap();
        for (name, k) in [("h0", 5), ("c0", 6)] {
            if let Some(input) = program.input(name) {
                batch.write(input, b, &initial(case, k, b, hidden)).unwrap();
            }
        }
    }
    runner.forward(&mut Context::new(1).unwrap(), &parameters, &batch).unwrap();
    let read = |value: Value, b: usize| {
        let mut row = Vec::new();
        runner.read(value, &batch, b, &mut row);
        row
    };
    let mut run = Run::default();
    let of_steps: Vec<Vec<f32>> = (0..batch_size)
        .map(|b| {
            let mut rows = read(y, b);
            rows.resize(longest * hidden, 0.0);
            rows
        })
        .collect();
    if layer.batch_first {
        run.steps = of_steps.concat();
    } else {
        for t in 0..longest {
            for rows in &of_steps {
                run.steps.extend(&rows[t * hidden..][..hidden]);
            }
        }
    }
    for b in 0..batch_size {
        run.hidden.extend(read(last, b));
        if let Some(last) = last_cell {
            run.cell.extend(read(last, b));
        }
    }
    run
}

fn initial(case: &Case, k: usize, b: usize, hidden: usize) -> Vec<f32> {
    // (1, B, H) and (B, 1, H) lie alike.
    let given = case.inputs.get(k).and_then(Option::as_ref);
    given.map_or_else(|| vec![0.0; hidden], |state| numbers(state)[b * hidden..][..hidden].to_vec())
}

fn ready(
    program: &Program,
    tensors: &[Weight],
    batch: usize,
    steps: usize,
) -> (Runner, Batch, Parameters) {
    let mut parameters = Parameters::new(program, 0).unwrap();
    parameters.load(tensors).unwrap();
    let capacity = Capacity::uniform(program, batch, batch * steps);
    let runner = Runner::new(program, &capacity, &Keep::Nothing).unwrap();
    (runner, Batch::new(program, &capacity).unwrap(), parameters)
}

/// An LSTM that looks at its cell (Gers 2002), step after step, from dense layers and products.
fn with_peepholes(case: &Case, layer: &Layer, peepholes: &[f32]) -> Run {
    let (side, hidden) = (&layer.sides[0], layer.hidden);
    let (batch_size, steps, lengths) = sizes(case, layer);
    assert!(lengths.iter().all(|&length| length == steps));
    let mut builder = Builder::new();
    let mut tensors = Vec::new();
    let mut params = Vec::new();
    // Gates i f g o; peepholes come as i o f, and g has none.
    for (gate, peephole) in [Some(0), Some(2), None, Some(1)].into_iter().enumerate() {
        let mut diagonal = vec![0.0; hidden * hidden];
        for unit in 0..hidden {
            diagonal[unit * (hidden + 1)] =
                peephole.map_or(0.0, |p: usize| peepholes[p * hidden + unit]);
        }
        let part =
            |rows: &[f32], width: usize| rows[gate * hidden * width..][..hidden * width].to_vec();
        let bias: Vec<f32> =
            part(&side.bias_ih, 1).iter().zip(part(&side.bias_hh, 1)).map(|(a, b)| a + b).collect();
        let mut add = |name: &str, inputs: usize, values: Vec<f32>, bias: Option<Vec<f32>>| {
            let name = format!("{name}{gate}");
            let has = if bias.is_some() { Bias::Trained } else { Bias::Absent };
            let kind = ParamKind::Linear { inputs, outputs: hidden, bias: has };
            tensors.push(Weight {
                name: format!("{name}.weight"),
                shape: vec![hidden, inputs],
                values,
            });
            if let Some(values) = bias {
                tensors.push(Weight { name: format!("{name}.bias"), shape: vec![hidden], values });
            }
            builder.param(ParamSpec { name, kind, initial: Initial::Zeros })
        };
        params.push([
            add("x", side.inputs, part(&side.weight_ih, side.inputs), Some(bias)),
            add("h", hidden, part(&side.weight_hh, hidden), None),
            add("c", hidden, diagonal, None),
        ]);
    }
    let mut h = builder.input("h0", Rows::Sequences, hidden).unwrap();
    let mut c = builder.input("c0", Rows::Sequences, hidden).unwrap();
    let mut outputs = Vec::new();
    for t in 0..steps {
        let x = builder.input(&format!("x{t}"), Rows::Sequences, side.inputs).unwrap();
        let mut gate = |gate: usize, h: Value, c: Value, kind: Activation| {
            let parts: Vec<Value> = params[gate]
                .iter()
                .zip([x, h, c])
                .map(|(&param, value)| builder.add(Linear { param }, &[value]).unwrap())
                .collect();
            let sum = builder.add(Add {}, &parts).unwrap();
            builder.add(Activate { kind }, &[sum]).unwrap()
        };
        let i = gate(0, h, c, Activation::Sigmoid);
        let f = gate(1, h, c, Activation::Sigmoid);
        let g = gate(2, h, c, Activation::Tanh);
        let mut product = |a: Value, b: Value| builder.add(Multiply {}, &[a, b]).unwrap();
        let parts = [product(f, c), product(i, g)];
        let next = builder.add(Add {}, &parts).unwrap();
        let mut gate = |gate: usize, h: Value, c: Value, kind: Activation| {
            let parts: Vec<Value> = params[gate]
                .iter()
                .zip([x, h, c])
                .map(|(&param, value)| builder.add(Linear { param }, &[value]).unwrap())
                .collect();
            let sum = builder.add(Add {}, &parts).unwrap();
            builder.add(Activate { kind }, &[sum]).unwrap()
        };
        let o = gate(3, h, next, Activation::Sigmoid);
        let squashed = builder.add(Activate { kind: Activation::Tanh }, &[next]).unwrap();
        h = builder.add(Multiply {}, &[o, squashed]).unwrap();
        c = next;
        outputs.push(h);
        builder.output(&format!("h{t}"), h);
    }
    builder.output("c", c);
    let program = builder.finish().unwrap();
    let (mut runner, mut batch, parameters) = ready(&program, &tensors, batch_size, 1);
    batch.set_sequences(batch_size).unwrap();
    let x = case.inputs[0].as_ref().unwrap();
    let values = numbers(x);
    for b in 0..batch_size {
        for t in 0..steps {
            let input = program.input(&format!("x{t}")).unwrap();
            batch.write(input, b, &at(x, &values, layer, (b, t))).unwrap();
        }
        batch.write(program.input("h0").unwrap(), b, &initial(case, 5, b, hidden)).unwrap();
        batch.write(program.input("c0").unwrap(), b, &initial(case, 6, b, hidden)).unwrap();
    }
    runner.forward(&mut Context::new(1).unwrap(), &parameters, &batch).unwrap();
    let read = |value: Value| {
        let mut rows = Vec::new();
        for b in 0..batch_size {
            let mut row = Vec::new();
            runner.read(value, &batch, b, &mut row);
            rows.extend(row);
        }
        rows
    };
    Run { steps: outputs.iter().flat_map(|&y| read(y)).collect(), hidden: read(h), cell: read(c) }
}
