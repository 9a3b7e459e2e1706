//! What does not fit is refused before memory is touched; layers of nothing do nothing wrong.
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
    self, Backward, Capacity, Cell, Direction, Forward, Initial, Keep, RecurrentShape, Reset,
    State, StatePart, Workspace,
};
use sequela_kernels::{Buffer, Context, Matrix, MatrixMut, Write, linear, stride};
use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{pack_rows, unpack_rows};

fn panics(what: &str, f: impl FnOnce()) {
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err(), "{what} was let through");
}

/// Nothing that safe code can hand over may reach memory that is not there.
#[test]
fn what_does_not_fit_is_refused() {
    let mut context = Context::new(1).unwrap();
    let cell = Cell::Gru(Reset::BeforeProduct);
    let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 3, hidden: 4 };
    let small = Capacity { rows: 4, sequences: 2 };
    let mut workspace = Workspace::new(shape, small, Keep::Backward);
    let weights = vec![0.0; shape.packed_len()];
    let (x, mut y) = (Buffer::new(1024), Buffer::new(1024));
    let transposed = vec![0.0; shape.transposed_len()];
    let go = |context: &mut Context,
              workspace: &mut Workspace,
              y: &mut Buffer,
              lengths: &[usize],
              weights: &[f32]| {
        let layout = Layout::new(lengths);
        let x = Matrix::new(&x, layout.rows(), 3);
        let call =
            Forward { layout: &layout, x, initial: Initial::default(), decay: None, weights };
        let out = MatrixMut::new(y, layout.rows(), 4);
        recurrent::forward(context, shape, call, workspace, out).unwrap();
    };
    let back = |context: &mut Context,
                workspace: &mut Workspace,
                lengths: &[usize],
                transposed: &[f32],
                gradient: &mut [f32]| {
        let layout = Layout::new(lengths);
        let x = Matrix::new(&x, layout.rows(), 3);
        let initial = Initial::default();
        let forward = Forward { layout: &layout, x, initial, decay: None, weights: &weights };
        let y = Matrix::new(&x.data()[..0], 0, 4);
        let y = if layout.rows() == 0 { y } else { Matrix::new(x.data(), layout.rows(), 4) };
        let call = Backward { forward, y, dy: None, transposed };
        recurrent::backward(context, shape, call, workspace, None, gradient).unwrap();
    };
    let (context, workspace) = (&mut context, &mut workspace);
    panics("too many rows", || go(context, workspace, &mut y, &[5], &weights));
    panics("too many sequences", || go(context, workspace, &mut y, &[0, 0, 1], &weights));
    panics("short weights", || go(context, workspace, &mut y, &[2], &weights[16..]));
    panics("back before forward", || back(context, workspace, &[2], &transposed, &mut []));
    go(context, workspace, &mut y, &[2, 1], &weights);
    panics("another batch", || back(context, workspace, &[1, 1], &transposed, &mut []));
    panics("short transpose", || back(context, workspace, &[2, 1], &transposed[16..], &mut []));
    panics("short gradient", || back(context, workspace, &[2, 1], &transposed, &mut [0.0; 16]));
    back(context, workspace, &[2, 1], &transposed, &mut []);
    let mut nothing = Workspace::new(shape, small, Keep::Nothing);
    go(context, &mut nothing, &mut y, &[2, 1], &weights);
    panics("nothing kept", || back(context, &mut nothing, &[2, 1], &transposed, &mut []));
    panics("no cell state", || drop(unpack_rows(workspace.final_state(StatePart::Cell))));
}

#[test]
fn lengths_that_overflow_are_refused() {
    let huge = 1_usize << 60;
    panics("rows", || drop(unpack_rows(Matrix::new(&[], huge, 16))));
    panics("a width", || drop(unpack_rows(Matrix::new(&[], 1, usize::MAX))));
    panics("rows to be written", || assert_eq!(MatrixMut::new(&mut [], huge, 16).rows(), 0));
    let bias = linear::Bias::Trained;
    panics("weights", || {
        let shape = linear::LinearShape { inputs: 1 << 58, outputs: 1, bias };
        assert_eq!(shape.packed_len(), 0);
    });
    let cell = Cell::Lstm;
    let wide = RecurrentShape { cell, direction: Direction::Forward, inputs: huge, hidden: huge };
    panics("gates", || assert_eq!(wide.packed_len(), 0));
    let shape = RecurrentShape { inputs: 1, hidden: 16, ..wide };
    for keep in [Keep::Nothing, Keep::Backward] {
        let capacity = Capacity { rows: huge, sequences: huge };
        panics("a workspace", || drop(Workspace::new(shape, capacity, keep)));
    }
    panics("a state", || drop(State::new(shape, huge)));
}

#[test]
fn a_state_is_set_and_read_within_its_bounds() {
    let mut context = Context::new(1).unwrap();
    let shape =
        RecurrentShape { cell: Cell::Lstm, direction: Direction::Forward, inputs: 1, hidden: 17 };
    let mut state = State::new(shape, 2);
    let values: Vec<f32> = (0..34).map(|v| v as f32).collect();
    let packed = pack_rows(&values, 17);
    let matrix = Matrix::new(&packed, 2, 17);
    state.set(matrix, Some(matrix));
    assert_eq!((state.cell(1, 16), state.hidden().row(1)[16]), (33.0, 33.0));
    state.reset(1);
    assert_eq!((state.cell(0, 16), state.cell(1, 16)), (16.0, 0.0));
    state.set(matrix, None);
    assert!((0..2).all(|b| (0..17).all(|u| state.cell(b, u) == 0.0)), "none given is zero");
    panics("unit 17", || assert_eq!(state.cell(0, 17), 0.0));
    panics("sequence 2", || assert_eq!(state.cell(2, 0), 0.0));
    panics("a reset of sequence 2", || state.clone().reset(2));
    let reverse = RecurrentShape { direction: Direction::Reverse, ..shape };
    let (weights, x) = (vec![0.0; shape.packed_len()], Buffer::new(32));
    panics("a stream in reverse", || {
        let mut state = State::new(reverse, 2);
        let x = Matrix::new(&x, 2, 1);
        recurrent::step(&mut context, reverse, x, &weights, &mut state).unwrap();
    });
    let none = RecurrentShape { hidden: 0, ..shape };
    let mut state = State::new(none, 2);
    recurrent::step(&mut context, none, Matrix::new(&x, 2, 1), &[], &mut state).unwrap();
    recurrent::step(
        &mut context,
        shape,
        Matrix::new(&[], 0, 1),
        &weights,
        &mut State::new(shape, 0),
    )
    .unwrap();
}

#[test]
fn linear_layers_without_rows_inputs_or_outputs_do_nothing_wrong() {
    let mut context = Context::new(2).unwrap();
    let context = &mut context;
    for (rows, inputs, outputs) in [(0, 3, 2), (2, 0, 2), (2, 3, 0), (0, 0, 0)] {
        let bias = linear::Bias::Trained;
        let shape = linear::LinearShape { inputs, outputs, bias };
        let (weight, bias) = (vec![2.0; inputs * outputs], vec![5.0; outputs]);
        let mut packed = vec![0.0; shape.packed_len()];
        shape.pack(&weight, &bias, &mut packed);
        let x = Buffer::new(rows * stride(inputs));
        let x = Matrix::new(&x, rows, inputs);
        let mut y = Buffer::new(rows * stride(outputs));
        let out = MatrixMut::new(&mut y, rows, outputs);
        linear::forward(context, shape, x, &packed, out).unwrap();
        let y = Matrix::new(&y, rows, outputs);
        assert!((0..rows).all(|r| y.row(r).iter().all(|v| *v == 5.0)));
        let mut transposed = vec![0.0; shape.transposed_len()];
        linear::transpose(context, shape, &packed, &mut transposed);
        let mut dx = vec![1.0; rows * stride(inputs)];
        let out = MatrixMut::new(&mut dx, rows, inputs);
        linear::input_gradient(context, shape, y, &transposed, out, Write::Accumulate).unwrap();
        let want = 1.0 + 10.0 * outputs as f32;
        let dx = Matrix::new(&dx, rows, inputs);
        assert!((0..rows).all(|r| dx.row(r).iter().all(|v| *v == want)));
        let mut gradient = vec![0.0; shape.packed_len()];
        linear::weight_gradient(context, shape, x, y, &mut gradient).unwrap();
        let (mut weight, mut bias) = (vec![1.0; inputs * outputs], vec![1.0; outputs]);
        shape.unpack(&gradient, &mut weight, &mut bias);
        assert!(weight.iter().all(|v| *v == 0.0) && bias.iter().all(|v| *v == 5.0 * rows as f32));
    }
}
