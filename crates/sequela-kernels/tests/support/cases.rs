//! Random layers of every cell, with ragged batches.

use super::{Case, Outcome};
use sequela_core::Random;
use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::{Cell, Direction, RecurrentShape, Reset};

pub const CELLS: [Cell; 12] = [
    Cell::Elman(Activation::Tanh),
    Cell::Elman(Activation::Relu),
    Cell::Elman(Activation::Identity),
    Cell::Elman(Activation::Sigmoid),
    Cell::Lstm,
    Cell::Gru(Reset::AfterProduct),
    Cell::Gru(Reset::BeforeProduct),
    Cell::GruD(Reset::AfterProduct),
    Cell::GruD(Reset::BeforeProduct),
    Cell::MinGru,
    Cell::MinLstm,
    Cell::Lru,
];

pub fn draw(random: &Random, from: u64, n: usize, scale: f64) -> Vec<f32> {
    (0..n as u64).map(|i| (scale * random.normal(from + i)) as f32).collect()
}

pub fn case(
    cell: Cell,
    direction: Direction,
    lengths: &[usize],
    inputs: usize,
    hidden: usize,
) -> Case {
    let shape = RecurrentShape { cell, direction, inputs, hidden };
    let random = Random::new(5, 6);
    let (b, steps) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0));
    let rows = shape.gates() * hidden;
    let [hidden_rows, columns] = cell.hidden_weights(hidden);
    let mut packed = vec![0.0; shape.packed_len()];
    let scale = 0.5 / (hidden as f64).sqrt();
    shape.pack(
        &sequela_kernels::recurrent::Weights {
            weight_ih: &draw(&random, 0, rows * inputs, 0.4),
            weight_hh: &draw(&random, 1 << 20, hidden_rows * columns, scale),
            bias_ih: &draw(&random, 2 << 20, rows, 0.2),
            bias_hh: &draw(&random, 3 << 20, if cell.mixes() { rows } else { 0 }, 0.2),
        },
        &mut packed,
    );
    let cells = if shape.has_cell_state() { b * hidden } else { 0 };
    Case {
        shape,
        lengths: lengths.to_vec(),
        steps,
        x: draw(&random, 4 << 20, b * steps * inputs, 1.0),
        decay: decays(&random, if cell.fades() { b * steps * hidden } else { 0 }),
        packed,
        h0: draw(&random, 5 << 20, b * hidden, 0.5),
        c0: draw(&random, 6 << 20, cells, 0.5),
        gy: draw(&random, 7 << 20, b * steps * hidden, 1.0),
        ghn: draw(&random, 8 << 20, b * hidden, 1.0),
        gcn: draw(&random, 9 << 20, cells, 1.0),
    }
}

/// Decays between 0 and 1, one in four of them exactly 1.
pub fn decays(random: &Random, n: usize) -> Vec<f32> {
    let rates = draw(random, 10 << 20, n, 2.0);
    let decay = |v: f32| sequela_kernels::activation::exp_scalar(-(v + 1.3).max(0.0));
    rates.into_iter().map(decay).collect()
}

pub fn bits(outcome: &Outcome) -> Vec<u32> {
    let parts = [
        &outcome.y,
        &outcome.hn,
        &outcome.cn,
        &outcome.dx,
        &outcome.ddecay,
        &outcome.dw,
        &outcome.dh0,
        &outcome.dc0,
    ];
    parts.into_iter().flatten().map(|v| v.to_bits()).collect()
}

/// With an empty sequence and one of a single step.
pub const LENGTHS: [usize; 23] =
    [30, 1, 17, 0, 29, 30, 8, 22, 5, 30, 11, 2, 19, 28, 3, 30, 14, 9, 26, 7, 21, 16, 12];
