//! minGRU, minLSTM and the LRU against their papers' equations in PyTorch and f64: outputs, final
//! states and all gradients, dense, ragged, long, in both directions.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_docs,
    reason = "a test stops at the first thing that is wrong"
)]

mod support;

use sequela_kernels::Context;
use sequela_kernels::recurrent::{Cell, Direction, RecurrentShape, Weights, WeightsMut};
use support::{Case, Dump, worst};

fn check(context: &mut Context, name: &str, cell: Cell) -> f64 {
    let dump = Dump::load(&format!("minimal_{name}.safetensors"));
    let optional = |name: &str| {
        if dump.tensors.contains_key(name) { dump.f32(name) } else { Vec::new() }
    };
    let direction = match dump.number("reverse") {
        0 => Direction::Forward,
        _ => Direction::Reverse,
    };
    let (inputs, hidden) = (dump.number("features"), dump.number("hidden"));
    let shape = RecurrentShape { cell, direction, inputs, hidden };
    let mut packed = vec![0.0; shape.packed_len()];
    shape.pack(
        &Weights {
            weight_ih: &dump.f32("weight_ih"),
            weight_hh: &optional("weight_hh"),
            bias_ih: &dump.f32("bias_ih"),
            bias_hh: &[],
        },
        &mut packed,
    );
    let case = Case {
        shape,
        lengths: dump.lengths(),
        steps: dump.number("steps"),
        x: dump.f32("x"),
        decay: Vec::new(),
        packed,
        h0: dump.f32("h0"),
        c0: optional("c0"),
        gy: dump.f32("gy"),
        ghn: dump.f32("ghn"),
        gcn: optional("gcn"),
    };
    let outcome = case.run(context);
    let rows = shape.gates() * hidden;
    let (mut ih, mut hh) = (vec![0.0; rows * inputs], vec![0.0; optional("weight_hh").len()]);
    let mut bias = vec![0.0; rows];
    shape.unpack(
        &outcome.dw,
        &mut WeightsMut {
            weight_ih: &mut ih,
            weight_hh: &mut hh,
            bias_ih: &mut bias,
            bias_hh: &mut [],
        },
    );
    let mut error = 0.0_f64;
    for (found, wanted) in [
        (&outcome.y, "y"),
        (&outcome.hn, "hn"),
        (&outcome.cn, "cn"),
        (&outcome.dx, "grad.x"),
        (&outcome.dh0, "grad.h0"),
        (&outcome.dc0, "grad.c0"),
        (&ih, "grad.weight_ih"),
        (&hh, "grad.weight_hh"),
        (&bias, "grad.bias_ih"),
    ] {
        assert_eq!(found.is_empty(), !dump.tensors.contains_key(wanted), "{name} {wanted}");
        if !found.is_empty() {
            error = error.max(worst(found, dump.get(wanted)));
        }
    }
    error
}

#[test]
fn every_dump_agrees() {
    let mut context = Context::new(2).unwrap();
    let mut largest = 0.0_f64;
    for (name, cell) in [("min_gru", Cell::MinGru), ("min_lstm", Cell::MinLstm), ("lru", Cell::Lru)]
    {
        for case in ["dense", "ragged", "reverse", "long"] {
            let error = check(&mut context, &format!("{name}_{case}"), cell);
            assert!(error < 1e-5, "{name} {case}: {error:.1e}");
            largest = largest.max(error);
        }
    }
    println!("largest difference / largest value {largest:.1e}");
}
