//! No kernel allocates: counted by the allocator itself.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    unreachable_pub,
    missing_docs,
    reason = "a test stops at the first thing that is wrong"
)]

#[path = "support/counting.rs"]
mod counting;

use counting::allocations;
use sequela_core::Layout;
use sequela_kernels::linear::{self, Bias, LinearShape};
use sequela_kernels::optimiser::{Adam, EpsilonForm, sum_of_squares};
use sequela_kernels::recurrent::{
    self, Backward, Capacity, Cell, Direction, Forward, Initial, Keep, RecurrentShape, Reset,
    State, WeightMatrix, Workspace,
};
use sequela_kernels::{Buffer, Context, Matrix, MatrixMut, Precision, Write, stride};

/// Allocations of one call, after a first one. The test harness's own thread allocates now and
/// then, a kernel that does so each time: the least of several calls is the kernel's.
fn counted(mut f: impl FnMut()) -> usize {
    f();
    let calls = (0..5).map(|_| {
        let before = allocations();
        f();
        allocations() - before
    });
    calls.min().unwrap()
}

#[test]
fn no_kernel_allocates_after_planning() {
    let mut context = Context::new(2).unwrap().with_worth(1);
    let lengths: Vec<usize> = (0..20).map(|b| (b * 7) % 41).collect();
    let layout = Layout::new(&lengths);
    let (rows, sequences, f, h) = (layout.rows(), lengths.len(), 24, 70);
    let cells = [
        Cell::Lstm,
        Cell::Gru(Reset::AfterProduct),
        Cell::Gru(Reset::BeforeProduct),
        Cell::GruD(Reset::AfterProduct),
        Cell::GruD(Reset::BeforeProduct),
        Cell::Elman(sequela_kernels::activation::Activation::Tanh),
    ];
    let precisions = [Precision::F32, Precision::Bf16];
    for (cell, precision) in cells.into_iter().flat_map(|cell| precisions.map(|p| (cell, p))) {
        let shape = RecurrentShape { cell, direction: Direction::Reverse, inputs: f, hidden: h };
        let capacity = Capacity { rows, sequences };
        let workspace = Workspace::new(shape, capacity, Keep::Backward);
        // Not every machine and cell can do bf16.
        let Ok(mut workspace) = workspace.with_precision(precision, &context) else { continue };
        let x = Buffer::new(rows * stride(f));
        let weights = Buffer::new(shape.packed_len());
        let decay = Buffer::new(rows * stride(h));
        let mut y = Buffer::new(rows * stride(h));
        let mut dx = Buffer::new(rows * stride(f));
        let mut transposed = Buffer::new(shape.transposed_len());
        let mut gradient = Buffer::new(shape.packed_len());
        let state = Buffer::new(sequences * stride(h));
        let onward = RecurrentShape { direction: Direction::Forward, ..shape };
        let stream = State::new(onward, sequences);
        let mut stream = stream.with_precision(precision, &context).unwrap();
        let mut version = 0;
        let found = counted(|| {
            let forward = Forward {
                layout: &layout,
                x: Matrix::new(&x, rows, f),
                initial: Initial { hidden: Some(Matrix::new(&state, sequences, h)), cell: None },
                decay: cell.fades().then(|| Matrix::new(&decay, rows, h)),
                weights: &weights,
            };
            version += 1;
            workspace.round(&weights, version);
            stream.round(&weights, version);
            let out = MatrixMut::new(&mut y, rows, h);
            recurrent::forward(&mut context, shape, forward, &mut workspace, out).unwrap();
            for matrix in [WeightMatrix::Input, WeightMatrix::Hidden] {
                recurrent::transpose(&context, shape, matrix, &weights, &mut transposed);
            }
            let call = Backward {
                forward,
                y: Matrix::new(&y, rows, h),
                dy: Some(Matrix::new(&y, rows, h)),
                transposed: &transposed,
            };
            let out = Some((MatrixMut::new(&mut dx, rows, f), Write::Overwrite));
            recurrent::backward(&mut context, shape, call, &mut workspace, out, &mut gradient)
                .unwrap();
            let x = Matrix::new(&x, sequences, f);
            if cell.fades() {
                stream.fade(&context, Matrix::new(&decay, sequences, h));
            }
            recurrent::step(&mut context, onward, x, &weights, &mut stream).unwrap();
        });
        assert_eq!(found, 0, "{cell:?} {precision:?}");
    }
    let shape = LinearShape { inputs: 64, outputs: 130, bias: Bias::Trained };
    let n = shape.packed_len();
    let (mut w, mut m, mut v, g) = (Buffer::new(n), Buffer::new(n), Buffer::new(n), Buffer::new(n));
    let x = Buffer::new(500 * stride(64));
    let mut y = Buffer::new(500 * stride(130));
    let found = counted(|| {
        let out = MatrixMut::new(&mut y, 500, 130);
        linear::forward(&mut context, shape, Matrix::new(&x, 500, 64), &w, out).unwrap();
        let adam = Adam {
            rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
            form: EpsilonForm::Keras,
            weight_decay: 0.0,
            step: 1,
        };
        adam.update(&mut context, &mut w, &mut m, &mut v, &g);
        sum_of_squares(&context, &g);
    });
    assert_eq!(found, 0, "linear and Adam");
}
