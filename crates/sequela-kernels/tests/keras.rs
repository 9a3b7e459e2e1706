//! Outputs and gradients against Keras in f64: both places of a GRU's reset, ragged and dense.
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
use support::{Case, Dump, worst};

/// Keras's gate order in ours: place g of the result is gate `order[g]` of Keras.
fn order(cell: Cell) -> Vec<usize> {
    match cell {
        Cell::Elman(_) => vec![0],
        Cell::Lstm => vec![0, 1, 2, 3],
        // z, r, h to r, z, n
        Cell::Gru(_) => vec![1, 0, 2],
        other => panic!("Keras has no {other:?}"),
    }
}

/// `(rows, G H)` columns of gates to `(G H, rows)` in our order.
fn from_keras(kernel: &[f64], cell: Cell, h: usize) -> Vec<f32> {
    let order = order(cell);
    let (columns, rows) = (order.len() * h, kernel.len() / (order.len() * h));
    let mut out = Vec::with_capacity(kernel.len());
    for &gate in &order {
        for unit in 0..h {
            out.extend((0..rows).map(|k| kernel[k * columns + gate * h + unit] as f32));
        }
    }
    out
}

fn check(context: &mut Context, name: &str, cell: Cell) -> f64 {
    let dump = Dump::load(&format!("keras_{name}.safetensors"));
    let h = dump.number("hidden");
    let get = |name: &str| dump.get(name);
    let has = |name: &str| dump.tensors.contains_key(name);
    let narrow = |values: &[f64]| values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let optional = |name: &str| if has(name) { narrow(get(name)) } else { Vec::new() };
    let direction = Direction::Forward;
    let shape = RecurrentShape { cell, direction, inputs: dump.number("features"), hidden: h };
    let rows = shape.gates() * h;
    let bias = from_keras(&get("bias")[..rows], cell, h);
    let bias_hh = match get("bias").get(rows..) {
        Some(rest) if !rest.is_empty() => from_keras(rest, cell, h),
        _ => vec![0.0; rows],
    };
    let mut packed = vec![0.0; shape.packed_len()];
    shape.pack(
        &Weights {
            weight_ih: &from_keras(get("kernel"), cell, h),
            weight_hh: &from_keras(get("recurrent_kernel"), cell, h),
            bias_ih: &bias,
            bias_hh: &bias_hh,
        },
        &mut packed,
    );
    let steps = dump.number("steps");
    let case = Case {
        shape,
        lengths: dump.lengths(),
        steps,
        x: dump.f32("x"),
        decay: Vec::new(),
        packed,
        h0: optional("h0"),
        c0: optional("c0"),
        gy: narrow(get("gy")),
        ghn: optional("ghn"),
        gcn: optional("gcn"),
    };
    let outcome = case.run(context);
    let mut error = worst(&outcome.y, get("y")).max(worst(&outcome.hn, get("hn")));
    error = error.max(worst(&outcome.dx, get("grad.x")));
    error = error.max(worst(&outcome.dh0, get("grad.h0")));
    if has("c0") {
        error = error.max(worst(&outcome.cn, get("cn"))).max(worst(&outcome.dc0, get("grad.c0")));
    }
    let (mut ih, mut hh) = (vec![0.0; rows * shape.inputs], vec![0.0; rows * h]);
    let (mut bias_ih, mut bias_hh) = (vec![0.0; rows], vec![0.0; rows]);
    let mut weights = WeightsMut {
        weight_ih: &mut ih,
        weight_hh: &mut hh,
        bias_ih: &mut bias_ih,
        bias_hh: &mut bias_hh,
    };
    shape.unpack(&outcome.dw, &mut weights);
    let gradient = |name: &str| from_keras(dump.get(&format!("grad.{name}")), cell, h);
    let wide = |values: Vec<f32>| values.into_iter().map(f64::from).collect::<Vec<f64>>();
    error = error.max(worst(&ih, &wide(gradient("kernel"))));
    error = error.max(worst(&hh, &wide(gradient("recurrent_kernel"))));
    error
}

#[test]
fn every_dump_of_keras_agrees() {
    let mut context = Context::new(2).unwrap();
    let cells = [
        ("lstm", Cell::Lstm),
        ("gru_reset_before", Cell::Gru(Reset::BeforeProduct)),
        ("gru_reset_after", Cell::Gru(Reset::AfterProduct)),
        ("simple_rnn", Cell::Elman(Activation::Tanh)),
    ];
    let mut worst = 0.0_f64;
    for (name, cell) in cells {
        for shape in ["dense", "ragged"] {
            let name = format!("{name}_{shape}");
            let error = check(&mut context, &name, cell);
            assert!(error < 5e-6, "{name}: {error:.1e}");
            worst = worst.max(error);
        }
    }
    println!("largest difference / largest value {worst:.1e}");
}
