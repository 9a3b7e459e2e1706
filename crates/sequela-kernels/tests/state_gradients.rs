//! The whole gradients of states at every step, against PyTorch's `retain_grad` and the tape.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "a test stops at the first thing that is wrong"
)]

mod support;

use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::{Cell, Direction, RecurrentShape, Reset, Weights};
use sequela_kernels::reference::tape::{Tape, Var};
use sequela_kernels::reference::{CellWeights, run};
use sequela_kernels::{Context, Precision};
use support::{Case, Dump, StateGradients, worst};

const TOLERANCE: f64 = 5e-6;

/// The case of a dump, for this cell and direction.
fn case(dump: &Dump, cell: Cell, direction: Direction) -> Case {
    let hidden = dump.number("hidden");
    let shape = RecurrentShape { cell, direction, inputs: dump.number("features"), hidden };
    let mut packed = vec![0.0; shape.packed_len()];
    // Where the reset comes before the product one bias is trained: the other is not given.
    let mut bias_hh = dump.f32("bias_hh");
    if cell == Cell::Gru(Reset::BeforeProduct) {
        bias_hh.fill(0.0);
    }
    shape.pack(
        &Weights {
            weight_ih: &dump.f32("weight_ih"),
            weight_hh: &dump.f32("weight_hh"),
            bias_ih: &dump.f32("bias_ih"),
            bias_hh: &bias_hh,
        },
        &mut packed,
    );
    let cell = |name: &str| if cell == Cell::Lstm { dump.f32(name) } else { Vec::new() };
    Case {
        shape,
        lengths: dump.lengths(),
        steps: dump.number("steps"),
        x: dump.f32("x"),
        decay: Vec::new(),
        packed,
        h0: dump.f32("h0"),
        c0: cell("c0"),
        gy: dump.f32("gy"),
        ghn: dump.f32("ghn"),
        gcn: cell("gcn"),
    }
}

const DUMPS: [(&str, Cell); 4] = [
    ("rnn_tanh", Cell::Elman(Activation::Tanh)),
    ("rnn_relu", Cell::Elman(Activation::Relu)),
    ("lstm", Cell::Lstm),
    ("gru", Cell::Gru(Reset::AfterProduct)),
];

fn load(name: &str) -> Dump {
    Dump::load(&format!("torch_state_gradients_{name}.safetensors"))
}

fn kept(case: &Case) -> StateGradients {
    let mut kept = StateGradients::default();
    case.run_in(Precision::F32, &mut Context::new(1).unwrap(), Some(&mut kept));
    kept
}

#[test]
fn pytorch_keeps_the_same_gradients() {
    for (name, cell) in DUMPS {
        let dump = load(name);
        let kept = kept(&case(&dump, cell, Direction::Forward));
        let mut error = worst(&kept.hidden, dump.get("grad.h"));
        if cell == Cell::Lstm {
            error = error.max(worst(&kept.cell, dump.get("grad.c")));
        }
        println!("{name}: largest difference / largest value {error:.1e}");
        assert!(error < TOLERANCE, "{name}: {error:.1e}");
    }
}

#[test]
fn the_tape_keeps_the_same_gradients_in_both_directions() {
    let before = ("gru", Cell::Gru(Reset::BeforeProduct));
    for (name, cell) in DUMPS.into_iter().chain([before]) {
        let dump = load(name);
        for direction in [Direction::Forward, Direction::Reverse] {
            let case = case(&dump, cell, direction);
            let kept = kept(&case);
            let [hidden, memory] = by_tape(&dump, &case);
            let mut error = worst(&kept.hidden, &hidden);
            if cell == Cell::Lstm {
                error = error.max(worst(&kept.cell, &memory));
            }
            assert!(error < TOLERANCE, "{cell:?} {direction:?}: {error:.1e}");
        }
    }
}

/// `dL/dh_t` and `dL/dc_t`, `(B, T, H)`, sequence by sequence, each step a run of its own.
fn by_tape(dump: &Dump, case: &Case) -> [Vec<f64>; 2] {
    let RecurrentShape { cell, direction, inputs, hidden: h } = case.shape;
    let (mut of_hidden, mut of_cell) = (Vec::new(), Vec::new());
    for (b, &length) in case.lengths.iter().enumerate() {
        let tape = Tape::new();
        let vars = |values: &[f32]| -> Vec<Var<'_>> {
            values.iter().map(|&value| tape.var(f64::from(value))).collect()
        };
        let one_bias = cell == Cell::Gru(Reset::BeforeProduct);
        let bias_hh: Vec<f32> =
            dump.f32("bias_hh").iter().map(|&bias| if one_bias { 0.0 } else { bias }).collect();
        let tensors = ["weight_ih", "weight_hh", "bias_ih"].map(|name| vars(&dump.f32(name)));
        let bias_hh = vars(&bias_hh);
        let weights = CellWeights {
            weight_ih: &tensors[0],
            weight_hh: &tensors[1],
            bias_ih: &tensors[2],
            bias_hh: &bias_hh,
        };
        let row = |values: &[f32], width: usize, at: usize| values[at * width..][..width].to_vec();
        let state = |values: &[f32]| {
            if values.is_empty() { Vec::new() } else { vars(&row(values, h, b)) }
        };
        let (mut hidden, mut memory) = (state(&case.h0), state(&case.c0));
        let mut states = vec![(Vec::new(), Vec::new()); case.steps];
        let mut sent: Vec<(Var<'_>, f64)> = Vec::new();
        for n in 0..length {
            let t = if direction == Direction::Forward { n } else { length - 1 - n };
            let x = vars(&row(&case.x, inputs, b * case.steps + t));
            let trace = run(cell, weights, &[x], &[], &hidden, &memory);
            (hidden, memory) = (trace.last_hidden, trace.last_cell);
            let arrives = row(&case.gy, h, b * case.steps + t);
            sent.extend(hidden.iter().copied().zip(arrives.into_iter().map(f64::from)));
            states[t] = (hidden.clone(), memory.clone());
        }
        sent.extend(hidden.iter().copied().zip(row(&case.ghn, h, b).into_iter().map(f64::from)));
        if cell == Cell::Lstm {
            let arrives = row(&case.gcn, h, b);
            sent.extend(memory.iter().copied().zip(arrives.into_iter().map(f64::from)));
        }
        let adjoint = tape.backward(&sent);
        for (hidden, memory) in &states {
            let of = |vars: &[Var<'_>]| -> Vec<f64> {
                if vars.is_empty() {
                    vec![0.0; h]
                } else {
                    vars.iter().map(|var| adjoint.of(*var)).collect()
                }
            };
            of_hidden.extend(of(hidden));
            of_cell.extend(of(memory));
        }
    }
    [of_hidden, of_cell]
}
