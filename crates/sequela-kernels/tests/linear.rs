//! The linear layer against plain f64 loops, for ragged panel and tile sizes.
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

use sequela_core::Random;
use sequela_kernels::linear::{self, Bias, LinearShape};
use sequela_kernels::{Buffer, Context, Isa, Matrix, MatrixMut, Write, stride};

fn draw(seed: u64, n: usize) -> Vec<f32> {
    (0..n as u64).map(|i| Random::new(seed, 1).normal(i) as f32).collect()
}

fn matrix(values: &[f32], width: usize) -> Buffer {
    let rows = values.len() / width;
    let mut buffer = Buffer::new(rows * stride(width));
    let mut matrix = MatrixMut::new(&mut buffer, rows, width);
    for r in 0..rows {
        matrix.row_mut(r).copy_from_slice(&values[r * width..][..width]);
    }
    buffer
}

#[test]
fn outputs_and_gradients_agree_with_plain_loops_on_every_instruction_set() {
    for (rows, k, n) in [(1, 1, 1), (7, 37, 64), (13, 16, 65), (100, 5, 130), (6, 64, 33)] {
        let (x, w, b, dy) = (draw(1, rows * k), draw(2, n * k), draw(3, n), draw(4, rows * n));
        let shape = LinearShape { inputs: k, outputs: n, bias: Bias::Trained };
        let mut packed = vec![0.0; shape.packed_len()];
        shape.pack(&w, &b, &mut packed);
        let (xs, dys) = (matrix(&x, k), matrix(&dy, n));
        let mut all: Vec<Vec<u32>> = Vec::new();
        for isa in Isa::all() {
            let mut context = Context::with_isa(isa, 2).unwrap().with_worth(1);
            let context = &mut context;
            let mut y = Buffer::new(rows * stride(n));
            let x_matrix = Matrix::new(&xs, rows, k);
            let out = MatrixMut::new(&mut y, rows, n);
            linear::forward(context, shape, x_matrix, &packed, out).unwrap();
            let mut transposed = vec![0.0; shape.transposed_len()];
            linear::transpose(context, shape, &packed, &mut transposed);
            let dy_matrix = Matrix::new(&dys, rows, n);
            let mut dx = matrix(&vec![1.0; rows * k], k);
            let out = MatrixMut::new(&mut dx, rows, k);
            linear::input_gradient(context, shape, dy_matrix, &transposed, out, Write::Accumulate)
                .unwrap();
            let mut dw = vec![0.0; shape.packed_len()];
            linear::weight_gradient(context, shape, x_matrix, dy_matrix, &mut dw).unwrap();
            let (mut gw, mut gb) = (vec![0.0; n * k], vec![0.0; n]);
            shape.unpack(&dw, &mut gw, &mut gb);
            let wide = |v: f32| f64::from(v);
            for r in 0..rows {
                for o in 0..n {
                    let want: f64 = wide(b[o])
                        + (0..k).map(|i| wide(x[r * k + i]) * wide(w[o * k + i])).sum::<f64>();
                    assert!((wide(Matrix::new(&y, rows, n).row(r)[o]) - want).abs() < 1e-4);
                }
                for i in 0..k {
                    let want: f64 =
                        1.0 + (0..n).map(|o| wide(dy[r * n + o]) * wide(w[o * k + i])).sum::<f64>();
                    assert!((wide(Matrix::new(&dx, rows, k).row(r)[i]) - want).abs() < 1e-4);
                }
            }
            for o in 0..n {
                let want: f64 = (0..rows).map(|r| wide(dy[r * n + o])).sum();
                assert!((wide(gb[o]) - want).abs() < 1e-4);
                for i in 0..k {
                    let want: f64 =
                        (0..rows).map(|r| wide(dy[r * n + o]) * wide(x[r * k + i])).sum();
                    assert!((wide(gw[o * k + i]) - want).abs() < 1e-4);
                }
            }
            all.push(y.iter().chain(dx.iter()).chain(&dw).map(|v| v.to_bits()).collect());
        }
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn an_absent_bias_gets_no_gradient() {
    let shape = LinearShape { inputs: 3, outputs: 2, bias: Bias::Absent };
    let (x, dy) = (matrix(&draw(1, 12), 3), matrix(&draw(2, 8), 2));
    let mut dw = vec![0.0; shape.packed_len()];
    let mut context = Context::new(1).unwrap();
    let (x, dy) = (Matrix::new(&x, 4, 3), Matrix::new(&dy, 4, 2));
    linear::weight_gradient(&mut context, shape, x, dy, &mut dw).unwrap();
    let (mut weight, mut bias) = ([0.0; 6], [0.0; 2]);
    shape.unpack(&dw, &mut weight, &mut bias);
    assert_eq!(bias, [0.0; 2]);
    assert!(weight.iter().all(|w| *w != 0.0));
}
