//! Outputs and gradients of every cell against PyTorch in f64: one and two layers, one and two
//! directions, dense and ragged, with initial states and gradients at every output.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    unreachable_pub,
    missing_docs,
    reason = "a test compares bits and stops at the first thing that is wrong"
)]

mod support;

use sequela_kernels::Context;
use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::{Cell, Direction, RecurrentShape, Reset, Weights, WeightsMut};
use support::{Case, Dump, Outcome, worst};

const TOLERANCE: f64 = 5e-6;

#[test]
fn every_dump_of_torch_agrees() {
    let mut context = Context::new(2).unwrap();
    let mut worst_of_all = 0.0_f64;
    let mut cases = 0;
    for cell in ["rnn_tanh", "rnn_relu", "lstm", "gru"] {
        for variant in [
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
            let name = format!("torch_{cell}_{variant}.safetensors");
            let error = compare(&mut context, &name, cell);
            assert!(error < TOLERANCE, "{name}: {error:.1e}");
            worst_of_all = worst_of_all.max(error);
            cases += 1;
        }
    }
    println!("{cases} dumps, largest difference / largest value {worst_of_all:.1e}");
}

fn cell_of(name: &str) -> Cell {
    match name {
        "rnn_tanh" => Cell::Elman(Activation::Tanh),
        "rnn_relu" => Cell::Elman(Activation::Relu),
        "lstm" => Cell::Lstm,
        _ => Cell::Gru(Reset::AfterProduct),
    }
}

/// One layer and direction of a stack.
struct Part {
    suffix: String,
    case: Case,
    outcome: Outcome,
}

/// Columns `from..from + width` of rows of `all`.
fn columns(values: &[f32], all: usize, from: usize, width: usize) -> Vec<f32> {
    values.chunks(all).flat_map(|row| row[from..from + width].to_vec()).collect()
}

#[allow(
    clippy::too_many_lines,
    reason = "one walk: down through the layers, back up, then compare"
)]
#[allow(clippy::needless_range_loop, reason = "layers index two lists")]
fn compare(context: &mut Context, name: &str, cell: &str) -> f64 {
    let dump = Dump::load(name);
    let (layers, h) = (dump.number("layers"), dump.number("hidden"));
    let both = ["1", "true", "True"].contains(&dump.about["bidirectional"].as_str());
    let directions = if both { 2 } else { 1 };
    let (lengths, steps) = (dump.lengths(), dump.number("steps"));
    let batch = lengths.len();
    let has_cell = dump.tensors.contains_key("c0");
    let state = |name: &str, at: usize| {
        let all = dump.f32(name);
        all[at * batch * h..(at + 1) * batch * h].to_vec()
    };
    let mut parts: Vec<Vec<Part>> = Vec::new();
    let mut gradients: Vec<Vec<f32>> = Vec::new();
    // Forward needs no gradient: run each layer once for its output, then again from the top
    // with what arrives from above.
    for pass in 0..2 {
        let mut input = dump.f32("x");
        let mut width = dump.number("features");
        let mut next = Vec::new();
        for layer in 0..layers {
            let mut row = Vec::new();
            for direction in 0..directions {
                let suffix = format!("l{layer}{}", ["", "_reverse"][direction]);
                let shape = RecurrentShape {
                    cell: cell_of(cell),
                    direction: [Direction::Forward, Direction::Reverse][direction],
                    inputs: width,
                    hidden: h,
                };
                let get = |kind: &str| dump.f32(&format!("{kind}_{suffix}"));
                let mut packed = vec![0.0; shape.packed_len()];
                shape.pack(
                    &Weights {
                        weight_ih: &get("weight_ih"),
                        weight_hh: &get("weight_hh"),
                        bias_ih: &get("bias_ih"),
                        bias_hh: &get("bias_hh"),
                    },
                    &mut packed,
                );
                let at = layer * directions + direction;
                let gy = if pass == 0 {
                    Vec::new()
                } else {
                    columns(&gradients[layer], directions * h, direction * h, h)
                };
                let case = Case {
                    shape,
                    lengths: lengths.clone(),
                    steps,
                    x: input.clone(),
                    decay: Vec::new(),
                    packed,
                    h0: state("h0", at),
                    c0: if has_cell { state("c0", at) } else { Vec::new() },
                    gy,
                    ghn: state("ghn", at),
                    gcn: if has_cell { state("gcn", at) } else { Vec::new() },
                };
                let outcome = case.run(context);
                row.push(Part { suffix, case, outcome });
            }
            input = (0..batch * steps)
                .flat_map(|r| row.iter().flat_map(move |p| p.outcome.y[r * h..][..h].to_vec()))
                .collect();
            width = directions * h;
            next.push(row);
        }
        parts = next;
        if pass == 0 {
            gradients = vec![Vec::new(); layers];
            gradients[layers - 1] = dump.f32("gy");
            for layer in (1..layers).rev() {
                let mut below = vec![0.0; batch * steps * directions * h];
                for (direction, part) in parts[layer].iter().enumerate() {
                    let mut case = part.case.clone();
                    case.gy = columns(&gradients[layer], directions * h, direction * h, h);
                    for (sum, dx) in below.iter_mut().zip(case.run(context).dx) {
                        *sum += dx;
                    }
                }
                gradients[layer - 1] = below;
            }
        }
    }
    let mut error = 0.0_f64;
    let top: Vec<f32> = (0..batch * steps)
        .flat_map(|r| {
            parts[layers - 1].iter().flat_map(move |p| p.outcome.y[r * h..][..h].to_vec())
        })
        .collect();
    error = error.max(worst(&top, dump.get("y")));
    let mut dx = vec![0.0; dump.get("x").len()];
    for part in &parts[0] {
        for (sum, value) in dx.iter_mut().zip(&part.outcome.dx) {
            *sum += value;
        }
    }
    error = error.max(worst(&dx, dump.get("grad.x")));
    for (at, part) in parts.iter().flatten().enumerate() {
        let slice = |name: &str| &dump.get(name)[at * batch * h..(at + 1) * batch * h];
        error = error.max(worst(&part.outcome.hn, slice("hn")));
        error = error.max(worst(&part.outcome.dh0, slice("grad.h0")));
        if has_cell {
            error = error.max(worst(&part.outcome.cn, slice("cn")));
            error = error.max(worst(&part.outcome.dc0, slice("grad.c0")));
        }
        error = error.max(weight_error(&dump, part));
    }
    error
}

fn weight_error(dump: &Dump, part: &Part) -> f64 {
    let shape = part.case.shape;
    let rows = shape.gates() * shape.hidden;
    let (mut ih, mut hh) = (vec![0.0; rows * shape.inputs], vec![0.0; rows * shape.hidden]);
    let (mut bias_ih, mut bias_hh) = (vec![0.0; rows], vec![0.0; rows]);
    shape.unpack(
        &part.outcome.dw,
        &mut WeightsMut {
            weight_ih: &mut ih,
            weight_hh: &mut hh,
            bias_ih: &mut bias_ih,
            bias_hh: &mut bias_hh,
        },
    );
    let want = |kind: &str| dump.get(&format!("grad.{kind}_{}", part.suffix));
    let mut error = worst(&ih, want("weight_ih")).max(worst(&hh, want("weight_hh")));
    error = error.max(worst(&bias_ih, want("bias_ih")));
    if matches!(shape.cell, Cell::Gru(_)) {
        let n = 2 * shape.hidden;
        error = error.max(worst(&bias_hh[n..], &want("bias_hh")[n..]));
    }
    error
}
