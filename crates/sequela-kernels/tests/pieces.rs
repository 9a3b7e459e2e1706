//! A walk cut into pieces and gone back through with recomputation has the bits of a whole one.
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

use sequela_core::Layout;
use sequela_kernels::recurrent::{
    self, Backward, Capacity, Direction, Forward, Initial, Keep, Piece, Place, Seam, StatePart,
    WeightMatrix, Workspace,
};
use sequela_kernels::{Buffer, Context, Isa, Matrix, MatrixMut, Write, stride};
use support::cases::{CELLS, LENGTHS, bits, case};
use support::{Case, Outcome, pack_rows, pack_steps, unpack_rows, unpack_steps};

/// h and c at a cut, `(B, H)` row by row.
type States = [Vec<f32>; 2];

/// As [`Case::run`], with only the states at `cuts` kept on the way there.
fn run_cut(case: &Case, cuts: &[usize], context: &mut Context) -> Outcome {
    let (shape, h, f) = (case.shape, case.shape.hidden, case.shape.inputs);
    let whole = Layout::new(&case.lengths);
    let sequences = whole.sequences();
    let mut bounds = vec![0];
    bounds.extend(cuts.iter().copied().filter(|&cut| cut < whole.steps()));
    bounds.push(whole.steps());
    let mut pieces: Vec<(usize, usize)> = bounds.windows(2).map(|w| (w[0], w[1])).collect();
    if shape.direction == Direction::Reverse {
        pieces.reverse();
    }
    let most = pieces.iter().map(|&(from, to)| whole.offset(to) - whole.offset(from)).max();
    let capacity = Capacity { rows: most.unwrap(), sequences };
    let mut workspace = Workspace::new(shape, capacity, Keep::Backward);
    let mut seam = Seam::new(shape, sequences);
    let (x, gy) = (pack_steps(&whole, &case.x, f), pack_steps(&whole, &case.gy, h));
    let mut y = Buffer::new(whole.rows() * stride(h));
    let (fades, decay) = (shape.cell.fades(), case.packed_decay(&whole));
    let mut ddecay = Buffer::new(whole.rows() * stride(h));
    let mut dx = Buffer::new(whole.rows() * stride(f));
    let mut dw = vec![0.0; shape.packed_len()];
    let mut transposed = vec![0.0; shape.transposed_len()];
    for matrix in [WeightMatrix::Input, WeightMatrix::Hidden] {
        recurrent::transpose(context, shape, matrix, &case.packed, &mut transposed);
    }
    let has_cell = shape.has_cell_state();
    let mut states: Vec<States> = vec![[case.h0.clone(), case.c0.clone()]];
    let mut part = Layout::default();

    // There, then back from the last piece; the last is not walked twice.
    let count = pieces.len();
    let there = (0..count).map(|k| (k, false));
    for (k, back) in there.chain((0..count).rev().map(|k| (k, true))) {
        let (from, to) = pieces[k];
        part.assign_part(&whole, from, to);
        let rows = part.rows();
        let at = |width: usize| whole.offset(from) * stride(width);
        let packed = states[k].clone().map(|values| pack_rows(&values, h));
        let state = |part: usize| {
            (!states[k][part].is_empty()).then(|| Matrix::new(&packed[part], sequences, h))
        };
        let decay = fades.then(|| Matrix::new(&decay[at(h)..], rows, h));
        let forward = Forward {
            layout: &part,
            x: Matrix::new(&x[at(f)..], rows, f),
            decay,
            initial: Initial { hidden: state(0), cell: state(1) },
            weights: &case.packed,
        };
        if !(back && k + 1 == count) {
            let out = MatrixMut::new(&mut y[at(h)..], rows, h);
            recurrent::forward(context, shape, forward, &mut workspace, out).unwrap();
        }
        if !back {
            let cell = if has_cell {
                unpack_rows(workspace.final_state(StatePart::Cell))
            } else {
                Vec::new()
            };
            states.push([unpack_rows(workspace.final_state(StatePart::Hidden)), cell]);
            continue;
        }
        if k + 1 == count {
            let ends = [(&case.ghn, StatePart::Hidden), (&case.gcn, StatePart::Cell)];
            for (values, part) in ends.into_iter().filter(|(values, _)| !values.is_empty()) {
                let mut gradient = workspace.final_gradient_mut(part);
                for b in 0..sequences {
                    gradient.row_mut(b).copy_from_slice(&values[b * h..][..h]);
                }
            }
        }
        let call = Backward {
            forward,
            y: Matrix::new(&y[at(h)..], rows, h),
            dy: Some(Matrix::new(&gy[at(h)..], rows, h)),
            transposed: &transposed,
        };
        let out = MatrixMut::new(&mut dx[at(f)..], rows, f);
        let place = Place::of(k, count);
        let piece = Piece { workspace: &mut workspace, seam: &mut seam, place };
        let dx = Some((out, Write::Overwrite));
        recurrent::backward_piece(context, shape, call, piece, dx, &mut dw).unwrap();
        if fades {
            let from = workspace.decay_gradient(&part);
            ddecay[at(h)..][..from.data().len()].copy_from_slice(from.data());
        }
    }
    let given = |values: &[f32], part| {
        if values.is_empty() { Vec::new() } else { unpack_rows(workspace.initial_gradient(part)) }
    };
    let [hn, cn] = states.pop().unwrap();
    Outcome {
        y: unpack_steps(&whole, &y, h, case.steps),
        hn,
        cn,
        dx: unpack_steps(&whole, &dx, f, case.steps),
        ddecay: if fades { unpack_steps(&whole, &ddecay, h, case.steps) } else { Vec::new() },
        dw,
        dh0: given(&case.h0, StatePart::Hidden),
        dc0: given(&case.c0, StatePart::Cell),
    }
}

#[test]
fn pieces_have_the_bits_of_the_whole() {
    let mut context = Context::new(2).unwrap().with_worth(1);
    for cell in CELLS {
        for (direction, given) in
            [(Direction::Forward, true), (Direction::Forward, false), (Direction::Reverse, false)]
        {
            let mut case = case(cell, direction, &LENGTHS, 20, 41);
            if !given {
                case.h0.clear();
                case.c0.clear();
            }
            let whole = case.run(&mut context);
            for cuts in [&[][..], &[15], &[1, 2, 29], &[7, 14, 21, 28], &[8, 9, 10, 11, 12]] {
                let cut = run_cut(&case, cuts, &mut context);
                assert!(bits(&cut) == bits(&whole), "{cell:?} {direction:?} {given} {cuts:?}");
            }
        }
    }
}

#[test]
fn pieces_have_the_same_bits_on_every_instruction_set_with_any_threads() {
    for cell in CELLS {
        let case = case(cell, Direction::Forward, &LENGTHS, 37, 48);
        let mut first: Option<Vec<u32>> = None;
        for isa in Isa::all() {
            for threads in [1, 3] {
                let mut context = Context::with_isa(isa, threads).unwrap().with_worth(1);
                let found = bits(&run_cut(&case, &[4, 11, 20], &mut context));
                let first = first.get_or_insert_with(|| found.clone());
                assert!(*first == found, "{cell:?} {} {threads}", isa.name());
            }
        }
    }
}

#[test]
#[should_panic(expected = "the seam is too small")]
fn a_seam_has_to_be_large_enough() {
    let mut context = Context::new(1).unwrap();
    let case = case(CELLS[4], Direction::Forward, &[4], 3, 5);
    let layout = Layout::new(&[4]);
    let capacity = Capacity { rows: 4, sequences: 1 };
    let mut workspace = Workspace::new(case.shape, capacity, Keep::Backward);
    let x = pack_steps(&layout, &case.x, 3);
    let mut y = Buffer::new(4 * stride(5));
    let forward = Forward {
        layout: &layout,
        x: Matrix::new(&x, 4, 3),
        initial: Initial::default(),
        decay: None,
        weights: &case.packed,
    };
    let out = MatrixMut::new(&mut y, 4, 5);
    recurrent::forward(&mut context, case.shape, forward, &mut workspace, out).unwrap();
    let transposed = vec![0.0; case.shape.transposed_len()];
    let call = Backward { forward, y: Matrix::new(&y, 4, 5), dy: None, transposed: &transposed };
    let mut seam = Seam::default();
    let piece = Piece { workspace: &mut workspace, seam: &mut seam, place: Place::Last };
    let _ = recurrent::backward_piece(&mut context, case.shape, call, piece, None, &mut []);
}
