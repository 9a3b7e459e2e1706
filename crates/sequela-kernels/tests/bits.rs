//! The same bits for every number of threads, every instruction set, alone or in any batch, in
//! one call or step by step; and what hostile values may not do.
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

use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::{Cell, Direction, Reset, State, step};
use sequela_kernels::{Context, Isa, Matrix, Precision};
use support::cases::{CELLS, LENGTHS, bits, case};
use support::{Case, StateGradients, pack_rows};

#[test]
fn threads_and_instruction_sets_do_not_change_a_bit() {
    for cell in CELLS {
        for direction in [Direction::Forward, Direction::Reverse] {
            for (inputs, hidden) in [(20, 70), (37, 48)] {
                let case = case(cell, direction, &LENGTHS, inputs, hidden);
                let mut first: Option<Vec<u32>> = None;
                for isa in Isa::all() {
                    for threads in [1, 2, 3, 4] {
                        // Every thread gets its part, however small the work.
                        let context = Context::with_isa(isa, threads).unwrap();
                        let mut context = context.with_worth(1);
                        let outcome = case.run(&mut context);
                        let mut kept = StateGradients::default();
                        let mut found =
                            bits(&case.run_in(Precision::F32, &mut context, Some(&mut kept)));
                        assert!(found == bits(&outcome), "{cell:?}: keeping gradients of states");
                        found.extend(kept.hidden.iter().chain(&kept.cell).map(|v| v.to_bits()));
                        let first = first.get_or_insert_with(|| found.clone());
                        assert!(*first == found, "{cell:?} {direction:?} {} {threads}", isa.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_sequence_gives_the_same_alone_as_in_any_batch() {
    let mut context = Context::new(2).unwrap().with_worth(1);
    for cell in CELLS {
        for direction in [Direction::Forward, Direction::Reverse] {
            let all = case(cell, direction, &LENGTHS, 20, 33);
            let together = all.run(&mut context);
            for (b, &length) in LENGTHS.iter().enumerate() {
                let pick = |values: &[f32], n: usize| -> Vec<f32> {
                    values.get(b * n..(b + 1) * n).unwrap_or_default().to_vec()
                };
                let alone = Case {
                    lengths: vec![length],
                    x: pick(&all.x, all.steps * 20),
                    h0: pick(&all.h0, 33),
                    c0: pick(&all.c0, 33),
                    decay: pick(&all.decay, all.steps * 33),
                    gy: pick(&all.gy, all.steps * 33),
                    ghn: pick(&all.ghn, 33),
                    gcn: pick(&all.gcn, 33),
                    ..all.clone()
                }
                .run(&mut context);
                assert_eq!(alone.y, pick(&together.y, all.steps * 33), "{cell:?} y");
                assert_eq!(alone.hn, pick(&together.hn, 33), "{cell:?} hn");
                assert_eq!(alone.dx, pick(&together.dx, all.steps * 20), "{cell:?} dx");
                let ddecay = pick(&together.ddecay, all.steps * 33);
                assert_eq!(alone.ddecay, ddecay, "{cell:?} ddecay");
                assert_eq!(alone.dh0, pick(&together.dh0, 33), "{cell:?} dh0");
            }
        }
    }
}

/// Lets h fade before step `t`, if it does.
fn fade(context: &Context, case: &Case, t: usize, state: &mut State) {
    if !case.shape.cell.fades() {
        return;
    }
    let (sequences, h) = (case.lengths.len(), case.shape.hidden);
    let rows = (0..sequences).flat_map(|b| case.decay[(b * case.steps + t) * h..][..h].to_vec());
    let decay = pack_rows(&rows.collect::<Vec<f32>>(), h);
    state.fade(context, Matrix::new(&decay, sequences, h));
}

#[test]
fn a_stream_gives_the_same_as_the_batch() {
    let mut context = Context::new(1).unwrap();
    for cell in CELLS {
        let case = case(cell, Direction::Forward, &[9, 9, 9], 20, 33);
        let batch = case.run(&mut context);
        let mut state = State::new(case.shape, 3);
        let (h0, c0) = (pack_rows(&case.h0, 33), pack_rows(&case.c0, 33));
        let cell_state = (!case.c0.is_empty()).then(|| Matrix::new(&c0, 3, 33));
        state.set(Matrix::new(&h0, 3, 33), cell_state);
        for t in 0..9 {
            let x: Vec<f32> =
                (0..3).flat_map(|b| case.x[(b * 9 + t) * 20..][..20].to_vec()).collect();
            let x = pack_rows(&x, 20);
            fade(&context, &case, t, &mut state);
            step(&mut context, case.shape, Matrix::new(&x, 3, 20), &case.packed, &mut state)
                .unwrap();
            for b in 0..3 {
                assert_eq!(state.hidden().row(b), &batch.y[(b * 9 + t) * 33..][..33], "{cell:?}");
            }
        }
    }
}

#[test]
fn a_stream_from_zero_gives_the_same_as_a_batch_without_initial_state() {
    let mut context = Context::new(1).unwrap();
    for cell in CELLS {
        let mut case = case(cell, Direction::Forward, &[5], 20, 33);
        case.h0.clear();
        case.c0.clear();
        let batch = case.run(&mut context);
        let mut state = State::new(case.shape, 1);
        for t in 0..5 {
            let x = pack_rows(&case.x[t * 20..][..20], 20);
            fade(&context, &case, t, &mut state);
            step(&mut context, case.shape, Matrix::new(&x, 1, 20), &case.packed, &mut state)
                .unwrap();
            assert_eq!(state.hidden().row(0), &batch.y[t * 33..][..33], "{cell:?}");
        }
    }
}

#[test]
fn nan_in_one_sequence_stays_there() {
    let mut context = Context::new(2).unwrap().with_worth(1);
    for cell in CELLS {
        let clean = case(cell, Direction::Forward, &[6, 6, 6, 6, 6, 6, 6], 20, 33);
        let mut dirty = clean.clone();
        dirty.x[2 * 6 * 20 + 3] = f32::NAN;
        let (clean, dirty) = (clean.run(&mut context), dirty.run(&mut context));
        for b in 0..7 {
            let (one, other) = (&clean.y[b * 198..][..198], &dirty.y[b * 198..][..198]);
            if b != 2 {
                assert_eq!(one, other, "{cell:?} sequence {b}");
            } else if cell != Cell::Elman(Activation::Relu) {
                assert!(other.iter().any(|v| v.is_nan()), "{cell:?} hides a NaN");
            }
        }
    }
}

#[test]
fn huge_inputs_saturate_and_vanishing_gradients_end_in_zero() {
    let mut context = Context::new(1).unwrap();
    for cell in [
        Cell::Lstm,
        Cell::Gru(Reset::AfterProduct),
        Cell::Gru(Reset::BeforeProduct),
        Cell::GruD(Reset::AfterProduct),
    ] {
        let mut case = case(cell, Direction::Forward, &[400], 20, 33);
        case.x.iter_mut().for_each(|x| *x *= 1e30);
        case.gy.clear();
        let outcome = case.run(&mut context);
        assert!(outcome.y.iter().all(|v| v.is_finite() && v.abs() <= 2.0), "{cell:?}");
        let denormal = |v: &f32| *v != 0.0 && v.abs() < f32::MIN_POSITIVE;
        assert!(!outcome.dx.iter().any(denormal), "{cell:?}");
        assert!(outcome.dx.contains(&0.0), "{cell:?}");
    }
}
