//! bf16 against f32: how far apart outputs and gradients are, with tiles and without, and where
//! it is refused.
//!
//! f32 itself is compared with PyTorch's dumps in `torch.rs`. Where the processor lacks AVX-512
//! BF16 these tests only see the refusal.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    unreachable_pub,
    missing_docs,
    reason = "a test stops at the first thing that is wrong"
)]

mod support;

use sequela_core::Random;
use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::{
    self, Capacity, Cell, Direction, Keep, RecurrentShape, Reset, State, Weights, Workspace,
};
use sequela_kernels::{Context, Isa, Matrix, Precision};
use std::process::Command;
use support::{Case, Outcome, pack_rows, pack_steps};

const CELLS: [Cell; 3] =
    [Cell::Lstm, Cell::Gru(Reset::AfterProduct), Cell::Elman(Activation::Tanh)];

/// With an empty sequence and one of a single step.
const LENGTHS: [usize; 23] =
    [30, 1, 17, 0, 29, 30, 8, 22, 5, 30, 11, 2, 19, 28, 3, 30, 14, 9, 26, 7, 21, 16, 12];

fn can() -> bool {
    let can = Precision::Bf16.check(Isa::from_environment().unwrap()).is_ok();
    if !can {
        eprintln!("skipped: no AVX-512 BF16 here");
    }
    can
}

fn draw(random: &Random, from: u64, n: usize, scale: f64) -> Vec<f32> {
    (0..n as u64).map(|i| (scale * (2.0 * random.uniform(from + i) - 1.0)) as f32).collect()
}

/// Weights as PyTorch draws them, from ±1/sqrt(H); x, states and gradients from ±1.
fn case(shape: RecurrentShape, lengths: &[usize]) -> Case {
    let random = Random::new(8, 16);
    let (inputs, hidden) = (shape.inputs, shape.hidden);
    let (b, steps) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0));
    let rows = shape.gates() * hidden;
    let mut packed = vec![0.0; shape.packed_len()];
    let scale = 1.0 / (hidden as f64).sqrt();
    let weights = Weights {
        weight_ih: &draw(&random, 0, rows * inputs, scale),
        weight_hh: &draw(&random, 1 << 24, rows * hidden, scale),
        bias_ih: &draw(&random, 2 << 24, rows, scale),
        bias_hh: &draw(&random, 3 << 24, rows, scale),
    };
    shape.pack(&weights, &mut packed);
    let cells = if shape.has_cell_state() { b * hidden } else { 0 };
    Case {
        decay: Vec::new(),
        shape,
        lengths: lengths.to_vec(),
        steps,
        x: draw(&random, 4 << 24, b * steps * inputs, 1.0),
        packed,
        h0: draw(&random, 5 << 24, b * hidden, 1.0),
        c0: draw(&random, 6 << 24, cells, 1.0),
        gy: draw(&random, 7 << 24, b * steps * hidden, 1.0),
        ghn: draw(&random, 8 << 24, b * hidden, 1.0),
        gcn: draw(&random, 9 << 24, cells, 1.0),
    }
}

/// Largest and mean difference.
fn apart(got: &[f32], want: &[f32]) -> (f64, f64) {
    assert_eq!(got.len(), want.len());
    let differences = got.iter().zip(want).map(|(a, b)| f64::from((a - b).abs()));
    assert!(got.iter().all(|v| v.is_finite()));
    let (worst, sum) = differences.fold((0.0_f64, 0.0), |(w, s), d| (w.max(d), s + d));
    (worst, sum / got.len().max(1) as f64)
}

/// Largest and mean size.
fn size(values: &[f32]) -> (f64, f64) {
    let zeros = vec![0.0; values.len()];
    apart(values, &zeros)
}

fn compare(what: &str, got: &Outcome, want: &Outcome) {
    let outputs = [("y", &got.y, &want.y), ("hn", &got.hn, &want.hn), ("cn", &got.cn, &want.cn)];
    for (name, got, want) in outputs {
        let (worst, mean) = apart(got, want);
        eprintln!("{what} {name}: largest error {worst:.1e}, mean {mean:.1e}");
        assert!(worst < 2e-2 && mean < 2e-3, "{what} {name}: {worst} {mean}");
    }
    let gradients = [
        ("dx", &got.dx, &want.dx),
        ("dw", &got.dw, &want.dw),
        ("dh0", &got.dh0, &want.dh0),
        ("dc0", &got.dc0, &want.dc0),
    ];
    for (name, got, want) in gradients {
        let ((worst, mean), (most, middle)) = (apart(got, want), size(want));
        let (worst, mean) = (worst / most.max(1e-9), mean / middle.max(1e-9));
        eprintln!("{what} {name}: error {worst:.1e} of the largest, mean {mean:.1e} of the mean");
        assert!(worst < 3e-2 && mean < 3e-2, "{what} {name}: {worst} {mean}");
    }
}

#[test]
fn outputs_and_gradients_are_near_those_of_f32() {
    if !can() {
        return;
    }
    for (inputs, hidden) in [(1, 1), (3, 5), (37, 64), (20, 70), (64, 33), (33, 128)] {
        for cell in CELLS {
            for direction in [Direction::Forward, Direction::Reverse] {
                let case = case(RecurrentShape { cell, direction, inputs, hidden }, &LENGTHS);
                for threads in [1, 3] {
                    let mut context = Context::new(threads).unwrap().with_worth(1);
                    let want = case.run(&mut context);
                    let got = case.run_in(Precision::Bf16, &mut context, None);
                    let what = format!("{cell:?} {direction:?} {inputs} {hidden} {threads}");
                    compare(&what, &got, &want);
                }
            }
        }
    }
}

#[test]
fn a_long_dense_batch_without_states_is_near_too() {
    if !can() {
        return;
    }
    let mut context = Context::new(2).unwrap();
    for cell in CELLS {
        let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 12, hidden: 96 };
        let mut case = case(shape, &[300; 40]);
        (case.h0, case.c0) = (Vec::new(), Vec::new());
        let want = case.run(&mut context);
        compare(
            &format!("{cell:?} dense"),
            &case.run_in(Precision::Bf16, &mut context, None),
            &want,
        );
        // One processor, one number of threads: the same bits.
        let again = case.run_in(Precision::Bf16, &mut context, None);
        assert!(again == case.run_in(Precision::Bf16, &mut context, None));
    }
}

#[test]
fn steps_are_near_those_of_f32() {
    if !can() {
        return;
    }
    let mut context = Context::new(2).unwrap().with_worth(1);
    for (cell, sequences) in CELLS.into_iter().flat_map(|cell| [1, 2, 40].map(|n| (cell, n))) {
        let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 37, hidden: 70 };
        let case = case(shape, &vec![50; sequences]);
        let mut states = [Precision::F32, Precision::Bf16].map(|precision| {
            let mut state =
                State::new(shape, sequences).with_precision(precision, &context).unwrap();
            state.round(&case.packed, 1);
            state
        });
        for t in 0..50 {
            let rows = (0..sequences).flat_map(|b| &case.x[(b * 50 + t) * 37..][..37]);
            let x = pack_rows(&rows.copied().collect::<Vec<f32>>(), 37);
            for state in &mut states {
                let x = Matrix::new(&x, sequences, 37);
                recurrent::step(&mut context, shape, x, &case.packed, state).unwrap();
            }
            for b in 0..sequences {
                let [want, got] = [0, 1].map(|k| states[k].hidden().row(b).to_vec());
                let (worst, mean) = apart(&got, &want);
                assert!(worst < 2e-2 && mean < 2e-3, "{cell:?} {t}: {worst} {mean}");
            }
        }
    }
}

/// NaN and infinities stay with the sequence that they came in.
#[test]
fn what_is_not_finite_stays_in_its_sequence() {
    if !can() {
        return;
    }
    let mut context = Context::new(1).unwrap();
    for cell in CELLS {
        let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 5, hidden: 20 };
        let mut case = case(shape, &[4; 20]);
        let clean = forward_only(&case, &mut context);
        case.x[4 * 5 * 7] = f32::NAN;
        case.x[4 * 5 * 11 + 3] = f32::INFINITY;
        let found = forward_only(&case, &mut context);
        for b in (0..20).filter(|b| ![7, 11].contains(b)) {
            let range = b * 4 * 20..(b + 1) * 4 * 20;
            assert_eq!(found[range.clone()], clean[range], "{cell:?} sequence {b}");
        }
        assert!(found[7 * 80..8 * 80].iter().all(|v| v.is_nan()));
    }
}

fn forward_only(case: &Case, context: &mut Context) -> Vec<f32> {
    let layout = sequela_core::Layout::new(&case.lengths);
    let (shape, rows) = (case.shape, layout.rows());
    let capacity = Capacity { rows, sequences: layout.sequences() };
    let workspace = Workspace::new(shape, capacity, Keep::Nothing);
    let mut workspace = workspace.with_precision(Precision::Bf16, context).unwrap();
    workspace.round(&case.packed, 1);
    assert_eq!(workspace.precision(), Precision::Bf16);
    let x = pack_steps(&layout, &case.x, shape.inputs);
    let mut y = sequela_kernels::Buffer::new(rows * sequela_kernels::stride(shape.hidden));
    let call = recurrent::Forward {
        layout: &layout,
        x: Matrix::new(&x, rows, shape.inputs),
        initial: recurrent::Initial::default(),
        decay: None,
        weights: &case.packed,
    };
    let out = sequela_kernels::MatrixMut::new(&mut y, rows, shape.hidden);
    recurrent::forward(context, shape, call, &mut workspace, out).unwrap();
    support::unpack_steps(&layout, &y, shape.hidden, case.steps)
}

/// The same tests without tiles: what a processor with AVX-512 BF16 alone would do.
#[test]
fn all_of_this_holds_without_tiles() {
    if !can() || std::env::var_os("SEQUELA_AMX").is_some() {
        return;
    }
    let output =
        Command::new(std::env::current_exe().unwrap()).env("SEQUELA_AMX", "off").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn other_instruction_sets_and_cells_refuse() {
    for isa in Isa::all() {
        let context = Context::with_isa(isa, 1).unwrap();
        let shape = RecurrentShape {
            cell: Cell::Gru(Reset::BeforeProduct),
            direction: Direction::Forward,
            inputs: 3,
            hidden: 4,
        };
        let state = State::new(shape, 1).with_precision(Precision::Bf16, &context);
        let message = state.unwrap_err().to_string();
        assert!(message.ends_with("leave precision = \"f32\""), "{message}");
        if isa.name() != "avx512" {
            assert!(message.contains("needs AVX-512 BF16"), "{message}");
            assert!(Precision::Bf16.check(isa).is_err());
        } else if Precision::Bf16.check(isa).is_ok() {
            assert!(message.contains("reset comes after the product only"), "{message}");
        }
        assert!(State::new(shape, 1).with_precision(Precision::F32, &context).is_ok());
    }
}

#[test]
#[should_panic(expected = "rounded before a pass")]
fn weights_that_were_never_rounded_are_noticed() {
    assert!(can(), "weights have to be rounded before a pass: nothing to test without bf16");
    let mut context = Context::new(1).unwrap();
    let cell = Cell::Lstm;
    let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 3, hidden: 4 };
    let weights = vec![0.0; shape.packed_len()];
    let mut state = State::new(shape, 1).with_precision(Precision::Bf16, &context).unwrap();
    let x = pack_rows(&[0.0; 3], 3);
    let _ = recurrent::step(&mut context, shape, Matrix::new(&x, 1, 3), &weights, &mut state);
}
