//! Kernel times against the machine's own peak of fused multiply-adds, measured beside them.
//!
//! `cargo bench -p sequela-kernels --bench kernels -- [THREADS] [CASE]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a benchmark prints, and stops at the first thing that is wrong"
)]

use sequela_core::Layout;
use sequela_kernels::recurrent::{
    self, Backward, Capacity, Cell, Direction, Forward, Initial, Keep, RecurrentShape, Reset,
    State, WeightMatrix, Workspace,
};
use sequela_kernels::{Buffer, Context, Matrix, MatrixMut, Precision, peak, stride};
use std::time::Instant;

fn best(seconds: f64, mut f: impl FnMut()) -> f64 {
    f();
    let (start, mut best, mut n) = (Instant::now(), f64::MAX, 0);
    while n < 3 || start.elapsed().as_secs_f64() < seconds {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_secs_f64());
        n += 1;
    }
    best
}

fn fill(values: &mut [f32], scale: f32) {
    for (i, v) in values.iter_mut().enumerate() {
        let x = (i as u64).wrapping_mul(6_364_136_223_846_793_005) >> 40;
        *v = (x as f32 / (1 << 24) as f32 - 0.5) * 2.0 * scale;
    }
}

fn case(
    context: &mut Context,
    (peak, precision): (f64, Precision),
    name: &str,
    cell: Cell,
    [b, t, f, h]: [usize; 4],
) {
    let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: f, hidden: h };
    let layout = Layout::new(&vec![t; b]);
    let rows = layout.rows();
    let mut x = Buffer::new(rows * stride(f));
    fill(&mut x, 1.0);
    let mut weights = Buffer::new(shape.packed_len());
    fill(&mut weights, 1.0 / (h as f32).sqrt());
    let capacity = Capacity { rows, sequences: b };
    let workspace = |keep| {
        let workspace = Workspace::new(shape, capacity, keep);
        workspace.with_precision(precision, context).unwrap()
    };
    let (mut workspace, mut nothing) = (workspace(Keep::Backward), workspace(Keep::Nothing));
    let mut version = 0;
    nothing.round(&weights, version);
    workspace.round(&weights, version);
    let mut y = Buffer::new(rows * stride(h));
    let mut transposed = Buffer::new(shape.transposed_len());
    let mut gradient = Buffer::new(shape.packed_len());
    let call = Forward {
        layout: &layout,
        x: Matrix::new(&x, rows, f),
        initial: Initial::default(),
        decay: None,
        weights: &weights,
    };
    let infer = best(0.5, || {
        let out = MatrixMut::new(&mut y, rows, h);
        recurrent::forward(context, shape, call, &mut nothing, out).unwrap();
    });
    let forward = best(0.5, || {
        let out = MatrixMut::new(&mut y, rows, h);
        recurrent::forward(context, shape, call, &mut workspace, out).unwrap();
    });
    let both = best(1.5, || {
        let out = MatrixMut::new(&mut y, rows, h);
        recurrent::forward(context, shape, call, &mut workspace, out).unwrap();
        let mut end = workspace.final_gradient_mut(recurrent::StatePart::Hidden);
        for r in 0..b {
            end.row_mut(r).fill(0.01);
        }
        if precision == Precision::F32 {
            let hidden = WeightMatrix::Hidden;
            recurrent::transpose(context, shape, hidden, &weights, &mut transposed);
        } else {
            version += 1;
            workspace.round(&weights, version);
        }
        let back = Backward {
            forward: call,
            y: Matrix::new(&y, rows, h),
            dy: None,
            transposed: &transposed,
        };
        recurrent::backward(context, shape, back, &mut workspace, None, &mut gradient).unwrap();
    });
    let g = shape.gates() as f64;
    let all = |h_steps: f64, f_steps: f64| {
        2.0 * b as f64 * g * h as f64 * (h_steps * h as f64 + f_steps * f as f64)
    };
    let (t, flops_forward) = (t as f64, all(t as f64 - 1.0, t as f64));
    let flops_both = all(3.0 * (t - 1.0), 2.0 * t);
    let part = |flops: f64, seconds: f64| 100.0 * flops / seconds / 1e9 / peak;
    println!(
        "{name:28} {:4} infer {:9.3} ms {:3.0}%  forward {:9.3} ms {:3.0}%  both {:9.3} ms {:3.0}%",
        precision.name(),
        infer * 1e3,
        part(flops_forward, infer),
        forward * 1e3,
        part(flops_forward, forward),
        both * 1e3,
        part(flops_both, both),
    );
}

/// Largest and mean difference of h, and the difference of the weight gradients as a part of
/// their norm: bf16 from f32, after one pass.
fn errors(context: &mut Context, name: &str, cell: Cell, [b, t, f, h]: [usize; 4]) {
    let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: f, hidden: h };
    let layout = Layout::new(&vec![t; b]);
    let rows = layout.rows();
    let mut x = Buffer::new(rows * stride(f));
    fill(&mut x, 1.0);
    let mut weights = Buffer::new(shape.packed_len());
    fill(&mut weights, 1.0 / (h as f32).sqrt());
    let mut transposed = Buffer::new(shape.transposed_len());
    recurrent::transpose(context, shape, WeightMatrix::Hidden, &weights, &mut transposed);
    let [wide, half] = [Precision::F32, Precision::Bf16].map(|precision| {
        let capacity = Capacity { rows, sequences: b };
        let workspace = Workspace::new(shape, capacity, Keep::Backward);
        let mut workspace = workspace.with_precision(precision, context).unwrap();
        workspace.round(&weights, 0);
        let (mut y, mut gradient) =
            (Buffer::new(rows * stride(h)), Buffer::new(shape.packed_len()));
        let forward = Forward {
            layout: &layout,
            x: Matrix::new(&x, rows, f),
            initial: Initial::default(),
            decay: None,
            weights: &weights,
        };
        let out = MatrixMut::new(&mut y, rows, h);
        recurrent::forward(context, shape, forward, &mut workspace, out).unwrap();
        let mut end = workspace.final_gradient_mut(recurrent::StatePart::Hidden);
        for r in 0..b {
            fill(end.row_mut(r), 1.0);
        }
        let y_matrix = Matrix::new(&y, rows, h);
        let back = Backward { forward, y: y_matrix, dy: None, transposed: &transposed };
        recurrent::backward(context, shape, back, &mut workspace, None, &mut gradient).unwrap();
        (y, gradient)
    });
    let differences = |a: &Buffer, b: &Buffer| -> Vec<f64> {
        a.iter().zip(&**b).map(|(a, b)| f64::from(a - b).abs()).collect()
    };
    let hidden = differences(&wide.0, &half.0);
    let norm = |values: &[f64]| values.iter().map(|v| v * v).sum::<f64>().sqrt();
    let gradient: Vec<f64> = wide.1.iter().map(|&g| f64::from(g)).collect();
    println!(
        "{name:28} bf16 h apart by {:.1e} at most, {:.1e} in the mean; gradient by {:.2} %",
        hidden.iter().copied().fold(0.0, f64::max),
        hidden.iter().sum::<f64>() / (rows * h) as f64,
        100.0 * norm(&differences(&wide.1, &half.1)) / norm(&gradient),
    );
}

fn stream(context: &mut Context, precision: Precision, cell: Cell, h: usize) {
    let shape = RecurrentShape { cell, direction: Direction::Forward, inputs: 37, hidden: h };
    let mut weights = Buffer::new(shape.packed_len());
    fill(&mut weights, 1.0 / (h as f32).sqrt());
    let mut x = Buffer::new(stride(37));
    fill(&mut x, 1.0);
    let mut state = State::new(shape, 1).with_precision(precision, context).unwrap();
    state.round(&weights, 0);
    let seconds = best(0.5, || {
        for _ in 0..500 {
            recurrent::step(context, shape, Matrix::new(&x, 1, 37), &weights, &mut state).unwrap();
        }
    });
    let name = precision.name();
    println!("stream H={h:4} {cell:?} {name} {:8.3} us", seconds / 500.0 * 1e6);
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let threads = arguments.next().and_then(|a| a.parse().ok()).unwrap_or(1);
    let only = arguments.next().unwrap_or_default();
    let mut context = Context::new(threads).unwrap();
    let peak = peak::gflops(&mut context);
    println!("{} {threads} threads, peak {peak:.0} GFLOP/s", context.isa().name());
    let mut precisions = vec![Precision::F32, Precision::Bf16];
    precisions.retain(|precision| precision.check(context.isa()).is_ok());
    let gru = Cell::Gru(Reset::AfterProduct);
    for (name, cell, shape) in [
        ("S1 lstm 32,48,37,64", Cell::Lstm, [32, 48, 37, 64]),
        ("S2 lstm 64,128,64,256", Cell::Lstm, [64, 128, 64, 256]),
        ("S3 lstm 64,1000,12,128", Cell::Lstm, [64, 1000, 12, 128]),
        ("S4 lstm 128,200,128,512", Cell::Lstm, [128, 200, 128, 512]),
        ("G2 gru 64,128,64,256", gru, [64, 128, 64, 256]),
    ] {
        for &precision in precisions.iter().filter(|_| name.contains(&only)) {
            case(&mut context, (peak, precision), name, cell, shape);
            if precision == Precision::Bf16 {
                errors(&mut context, name, cell, shape);
            }
        }
    }
    for (cell, h) in [(Cell::Lstm, 64), (Cell::Lstm, 256), (gru, 64)] {
        for &precision in precisions.iter().filter(|_| "stream".contains(&only)) {
            stream(&mut context, precision, cell, h);
        }
    }
}
