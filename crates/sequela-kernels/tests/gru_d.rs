//! GRU-D's recurrence against its paper's equations in PyTorch and f64: outputs, final states and
//! all gradients, those of the decays too; and what it asks of its callers.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::float_cmp,
    unreachable_pub,
    missing_docs,
    reason = "a test compares bits and stops at the first thing that is wrong"
)]

mod support;

use sequela_kernels::recurrent::{
    Cell, Direction, RecurrentShape, Reset, State, Weights, WeightsMut, step,
};
use sequela_kernels::{Buffer, Context, Matrix, Precision, stride};
use support::cases::case;
use support::{Case, Dump, worst};

const RESETS: [(&str, Reset); 2] =
    [("after", Reset::AfterProduct), ("before", Reset::BeforeProduct)];

fn check(context: &mut Context, name: &str, reset: Reset) -> f64 {
    let dump = Dump::load(&format!("grud_{name}.safetensors"));
    let (inputs, hidden) = (dump.number("features"), dump.number("hidden"));
    let (cell, direction) = (Cell::GruD(reset), Direction::Forward);
    let shape = RecurrentShape { cell, direction, inputs, hidden };
    let mut packed = vec![0.0; shape.packed_len()];
    shape.pack(
        &Weights {
            weight_ih: &dump.f32("weight_ih"),
            weight_hh: &dump.f32("weight_hh"),
            bias_ih: &dump.f32("bias_ih"),
            bias_hh: &dump.f32("bias_hh"),
        },
        &mut packed,
    );
    let case = Case {
        shape,
        lengths: dump.lengths(),
        steps: dump.number("steps"),
        x: dump.f32("x"),
        decay: dump.f32("decay"),
        packed,
        h0: dump.f32("h0"),
        c0: Vec::new(),
        gy: dump.f32("gy"),
        ghn: dump.f32("ghn"),
        gcn: Vec::new(),
    };
    let outcome = case.run(context);
    let rows = 3 * hidden;
    let (mut ih, mut hh) = (vec![0.0; rows * inputs], vec![0.0; rows * hidden]);
    let (mut bias_ih, mut bias_hh) = (vec![0.0; rows], vec![0.0; rows]);
    shape.unpack(
        &outcome.dw,
        &mut WeightsMut {
            weight_ih: &mut ih,
            weight_hh: &mut hh,
            bias_ih: &mut bias_ih,
            bias_hh: &mut bias_hh,
        },
    );
    let mut error = 0.0_f64;
    for (found, wanted) in [
        (&outcome.y, "y"),
        (&outcome.hn, "hn"),
        (&outcome.dx, "grad.x"),
        (&outcome.ddecay, "grad.decay"),
        (&outcome.dh0, "grad.h0"),
        (&ih, "grad.weight_ih"),
        (&hh, "grad.weight_hh"),
        (&bias_ih, "grad.bias_ih"),
    ] {
        error = error.max(worst(found, dump.get(wanted)));
    }
    if reset == Reset::AfterProduct {
        let n = 2 * hidden;
        error = error.max(worst(&bias_hh[n..], &dump.get("grad.bias_hh")[n..]));
    }
    error
}

#[test]
fn every_dump_agrees() {
    let mut context = Context::new(2).unwrap();
    let mut largest = 0.0_f64;
    for (word, reset) in RESETS {
        for batch in ["dense", "ragged", "one_step", "long"] {
            let error = check(&mut context, &format!("{word}_{batch}"), reset);
            assert!(error < 1e-5, "{word} {batch}: {error:.1e}");
            largest = largest.max(error);
        }
    }
    println!("largest difference / largest value {largest:.1e}");
}

/// A decay of 1 leaves a GRU, to the bit; one of 0 a net that forgets at every step.
#[test]
fn what_does_not_fade_is_a_gru_and_what_fades_at_once_has_no_past() {
    let mut context = Context::new(2).unwrap().with_worth(1);
    for (_, reset) in RESETS {
        for direction in [Direction::Forward, Direction::Reverse] {
            let mut fading = case(Cell::GruD(reset), direction, &[9, 0, 1, 5, 9], 7, 20);
            fading.decay.fill(1.0);
            let mut plain = fading.clone();
            plain.shape.cell = Cell::Gru(reset);
            plain.decay.clear();
            let (mut one, other) = (fading.run(&mut context), plain.run(&mut context));
            one.ddecay.clear();
            let close = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-5 * (1.0 + b.abs()))
            };
            assert_eq!((&one.y, &one.hn), (&other.y, &other.hn), "{reset:?} {direction:?}");
            // Going back, what is carried is added in another order.
            assert!(close(&one.dx, &other.dx) && close(&one.dh0, &other.dh0));
            assert!(close(&one.dw, &other.dw), "{reset:?} {direction:?}");

            fading.decay.fill(0.0);
            let first = fading.run(&mut context);
            for value in &mut fading.h0 {
                *value = -*value;
            }
            assert_eq!(fading.run(&mut context).y, first.y, "{reset:?}: the past is told");
            let ended = fading.lengths.iter().map(|&length| length > 0);
            for (b, ran) in ended.enumerate() {
                let dh0 = &first.dh0[b * 20..][..20];
                assert_eq!(dh0.iter().all(|v| *v == 0.0), ran, "{reset:?} {b}");
            }
        }
    }
}

#[test]
fn bf16_is_refused() {
    let shape = RecurrentShape {
        cell: Cell::GruD(Reset::AfterProduct),
        direction: Direction::Forward,
        inputs: 3,
        hidden: 4,
    };
    let context = Context::new(1).unwrap();
    assert!(shape.check_precision(Precision::Bf16, context.isa()).is_err());
}

fn stream() -> (Context, State, Buffer, Vec<f32>) {
    let cell = Cell::GruD(Reset::AfterProduct);
    let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 3, hidden: 4 };
    let packed = vec![0.0; shape.packed_len()];
    (Context::new(1).unwrap(), State::new(shape, 1), Buffer::new(stride(3)), packed)
}

#[test]
#[should_panic(expected = "h has to fade once before each step")]
fn a_step_without_fading_is_refused() {
    let (mut context, mut state, x, packed) = stream();
    let shape = RecurrentShape {
        cell: Cell::GruD(Reset::AfterProduct),
        direction: Direction::Forward,
        inputs: 3,
        hidden: 4,
    };
    let _ = step(&mut context, shape, Matrix::new(&x, 1, 3), &packed, &mut state);
}

#[test]
#[should_panic(expected = "decay")]
fn decays_of_another_width_are_refused() {
    let (context, mut state, x, _) = stream();
    state.fade(&context, Matrix::new(&x, 1, 3));
}
