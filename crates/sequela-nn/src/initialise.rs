//! First weights: what Keras and PyTorch draw by default, from a counter-based generator.
//!
//! Each tensor's numbers depend on the seed and on its name alone, so that adding a head to a
//! model leaves the first weights of the rest as they were.

use crate::param::{Initial, ParamKind, ParamSpec, TensorSpec};
use sequela_core::Random;
use sequela_kernels::recurrent::{Cell, Reset};

/// The first numbers of every tensor of `spec`, in the order of [`ParamSpec::tensors`].
pub(crate) fn draw(spec: &ParamSpec, seed: u64) -> Vec<Vec<f32>> {
    let tensors = spec.tensors();
    let mut values: Vec<Vec<f32>> =
        tensors.iter().map(|tensor| vec![0.0; tensor.count()]).collect();
    match spec.initial {
        Initial::Zeros => {
            if matches!(spec.kind, ParamKind::Normalise { .. }) {
                values[0].fill(1.0);
            }
        }
        Initial::PyTorch => torch(spec, seed, &tensors, &mut values),
        Initial::Decay => decay(spec, seed, &tensors, &mut values),
        Initial::Keras | Initial::IdentityRecurrent => keras(spec, seed, &tensors, &mut values),
    }
    values
}

fn keras(spec: &ParamSpec, seed: u64, tensors: &[TensorSpec], values: &mut [Vec<f32>]) {
    let random = generator(seed, &tensors[0]);
    match spec.kind {
        ParamKind::Linear { inputs, outputs, .. } => {
            uniform(random, glorot(inputs, outputs), &mut values[0]);
        }
        ParamKind::Recurrent { cell, inputs, hidden, .. } if !cell.mixes() => {
            uniform(random, glorot(inputs, tensors[0].shape[0]), &mut values[0]);
            units_alone(cell, hidden, generator(seed, &tensors[1]), values);
        }
        ParamKind::Recurrent { cell, inputs, hidden, .. } => {
            let rows = tensors[0].shape[0];
            let random_hh = generator(seed, &tensors[1]);
            if spec.initial == Initial::IdentityRecurrent {
                normal(random, 0.001, &mut values[0]);
                values[1].iter_mut().step_by(hidden + 1).for_each(|diagonal| *diagonal = 1.0);
            } else {
                uniform(random, glorot(inputs, rows), &mut values[0]);
                orthogonal(random_hh, rows, hidden, &mut values[1]);
            }
            if cell == Cell::Lstm {
                values[2][hidden..2 * hidden].fill(1.0);
            }
        }
        ParamKind::Table { .. } => uniform(random, 0.05, &mut values[0]),
        ParamKind::Normalise { .. } | ParamKind::Diagonal { .. } => values[0].fill(1.0),
    }
}

/// What GRU-D's decays begin with: `PyPOTS`'s `TemporalDecay`, as its authors' code.
fn decay(spec: &ParamSpec, seed: u64, tensors: &[TensorSpec], values: &mut [Vec<f32>]) {
    let outputs = match spec.kind {
        ParamKind::Linear { outputs, .. } => outputs,
        ParamKind::Diagonal { width } => width,
        _ => return keras(spec, seed, tensors, values),
    };
    let limit = 1.0 / libm::sqrt(outputs as f64);
    for (tensor, values) in tensors.iter().zip(values) {
        uniform(generator(seed, tensor), limit, values);
    }
}

fn torch(spec: &ParamSpec, seed: u64, tensors: &[TensorSpec], values: &mut [Vec<f32>]) {
    match spec.kind {
        ParamKind::Linear { inputs, .. } => {
            let limit = 1.0 / libm::sqrt(inputs as f64);
            for (tensor, values) in tensors.iter().zip(values) {
                uniform(generator(seed, tensor), limit, values);
            }
        }
        ParamKind::Recurrent { cell, hidden, .. } => {
            let limit = 1.0 / libm::sqrt(hidden as f64);
            for (tensor, values) in tensors.iter().zip(values.iter_mut()) {
                uniform(generator(seed, tensor), limit, values);
            }
            if !cell.mixes() {
                units_alone(cell, hidden, generator(seed, &tensors[1]), values);
                return;
            }
            // Two biases are drawn and one is trained: it is their sum.
            let (first, second) = values.split_at_mut(3);
            let after = cell.reset() == Some(Reset::AfterProduct);
            let together = if after { 2 * hidden } else { second[0].len() };
            for (sum, other) in first[2].iter_mut().zip(&mut second[0]).take(together) {
                *sum += std::mem::take(other);
            }
        }
        ParamKind::Table { .. } => normal(generator(seed, &tensors[0]), 1.0, &mut values[0]),
        ParamKind::Normalise { .. } | ParamKind::Diagonal { .. } => values[0].fill(1.0),
    }
}

/// What cells whose units do not meet each other have in place of U and a forget bias: gates that
/// keep about three quarters of the state, as an LSTM's with a forget bias of 1 do, and an LRU's
/// eigenvalues, of sizes between 0.9 and 0.999 (their squares uniform, so that they are uniform on
/// the ring) and phases uniform in [0, pi): Orvieto 2023, lemma 3.2.
fn units_alone(cell: Cell, hidden: usize, random: Random, values: &mut [Vec<f32>]) {
    match (cell, values) {
        (Cell::MinGru, [_, bias]) => bias[..hidden].fill(-1.0),
        (Cell::MinLstm, [_, bias]) => bias[..hidden].fill(1.0),
        (Cell::Lru, [_, diagonal, bias]) => {
            bias.fill(0.0);
            let (nu, tau) = diagonal.split_at_mut(hidden);
            for (unit, (nu, tau)) in (0..).zip(nu.iter_mut().zip(tau)) {
                let square = 0.81 + (0.998_001 - 0.81) * random.uniform(2 * unit);
                *nu = narrow(libm::log(-0.5 * libm::log(square)));
                let phase = std::f64::consts::PI * random.uniform(2 * unit + 1);
                *tau = narrow(libm::tan(0.5 * phase));
            }
        }
        _ => {}
    }
}

/// The generator of one tensor: its stream is the FNV-1a hash of the name.
fn generator(seed: u64, tensor: &TensorSpec) -> Random {
    let hash = tensor.name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Random::new(seed, hash)
}

/// Glorot and Bengio 2010, equation 16.
fn glorot(inputs: usize, outputs: usize) -> f64 {
    libm::sqrt(6.0 / (inputs + outputs) as f64)
}

#[expect(clippy::cast_possible_truncation, reason = "numbers near 1 are rounded to f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

fn uniform(random: Random, limit: f64, values: &mut [f32]) {
    for (index, value) in (0..).zip(values) {
        *value = narrow((2.0 * random.uniform(index) - 1.0) * limit);
    }
}

fn normal(random: Random, deviation: f64, values: &mut [f32]) {
    for (index, value) in (0..).zip(values) {
        *value = narrow(random.normal(index) * deviation);
    }
}

/// A `(rows, columns)` matrix, `rows >= columns`, whose columns are orthonormal: the Q of a
/// normal matrix with R's diagonal positive (Saxe 2013, and `keras.initializers.Orthogonal`).
fn orthogonal(random: Random, rows: usize, columns: usize, values: &mut [f32]) {
    // Column by column, so that products run over contiguous numbers.
    let mut q: Vec<f64> = (0..(rows * columns) as u64).map(|i| random.normal(i)).collect();
    for column in 0..columns {
        let (before, rest) = q.split_at_mut(column * rows);
        let current = &mut rest[..rows];
        // Modified Gram-Schmidt: a normal matrix is so well conditioned that what it loses in
        // orthogonality stays far below an f32.
        for other in before.chunks_exact(rows) {
            let shared = dot(other, current);
            current.iter_mut().zip(other).for_each(|(value, other)| *value -= shared * other);
        }
        let norm = libm::sqrt(dot(current, current));
        for value in current {
            *value /= norm;
        }
    }
    for (row, values) in values.chunks_exact_mut(columns).enumerate() {
        for (column, value) in values.iter_mut().enumerate() {
            *value = narrow(q[column * rows + row]);
        }
    }
}

/// A dot product in eight fixed partial sums.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "ones and zeros are exact")]
mod tests {
    use super::*;
    use sequela_kernels::activation::Activation;
    use sequela_kernels::recurrent::Direction;

    fn lstm(cell: Cell, initial: Initial) -> ParamSpec {
        let direction = Direction::Forward;
        let kind = ParamKind::Recurrent { cell, direction, inputs: 7, hidden: 24, layer: 0 };
        ParamSpec { name: "rnn".into(), kind, initial }
    }

    #[test]
    fn keras_recurrent_weights_are_orthonormal_and_remember() {
        let values = draw(&lstm(Cell::Lstm, Initial::Keras), 5);
        for a in 0..24 {
            for b in 0..24 {
                let product: f64 = (0..96)
                    .map(|row| {
                        f64::from(values[1][row * 24 + a]) * f64::from(values[1][row * 24 + b])
                    })
                    .sum();
                assert!((product - f64::from(u8::from(a == b))).abs() < 1e-6, "{a} {b} {product}");
            }
        }
        let limit = (6.0_f32 / (7.0 + 96.0)).sqrt();
        let largest = values[0].iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert!(largest <= limit && largest > 0.95 * limit, "{largest} {limit}");
        assert!(values[2][24..48].iter().all(|&b| b == 1.0));
        assert_eq!(values[2].iter().filter(|&&b| b != 0.0).count(), 24);
    }

    #[test]
    fn a_square_matrix_stays_orthogonal_too() {
        let size = 150;
        let mut q = vec![0.0; size * size];
        orthogonal(Random::new(1, 1), size, size, &mut q);
        for (a, b) in (0..size).flat_map(|a| (0..=a).map(move |b| (a, b))) {
            let product: f64 =
                (0..size).map(|r| f64::from(q[r * size + a]) * f64::from(q[r * size + b])).sum();
            assert!((product - f64::from(u8::from(a == b))).abs() < 1e-6, "{a} {b} {product}");
        }
    }

    #[test]
    fn torch_weights_fill_their_range() {
        let values = draw(&lstm(Cell::Gru(Reset::AfterProduct), Initial::PyTorch), 5);
        let limit = 1.0 / 24.0_f32.sqrt();
        assert!(values[0].iter().chain(&values[1]).all(|w| w.abs() <= limit));
        let spread =
            values[1].iter().map(|w| f64::from(w * w)).sum::<f64>() / values[1].len() as f64;
        assert!((spread * 24.0 * 3.0 - 1.0).abs() < 0.1, "{spread}");
        assert!(values[3][..48].iter().all(|&b| b == 0.0));
        assert!(values[3][48..].iter().all(|&b| b != 0.0));
    }

    #[test]
    fn eigenvalues_lie_on_their_ring() {
        let values = draw(&lstm(Cell::Lru, Initial::Keras), 5);
        for unit in 0..24 {
            let size = libm::exp(-libm::exp(f64::from(values[1][unit])));
            assert!((0.9..0.9991).contains(&size), "{size}");
            assert!(values[1][24 + unit] >= 0.0);
        }
        let bias = &draw(&lstm(Cell::MinLstm, Initial::Keras), 5)[1];
        assert!(bias[..24].iter().all(|&b| b == 1.0) && bias[24..].iter().all(|&b| b == 0.0));
    }

    #[test]
    fn the_identity_is_one() {
        let values = draw(&lstm(Cell::Elman(Activation::Relu), Initial::IdentityRecurrent), 5);
        assert_eq!(values[1].iter().sum::<f32>(), 24.0);
        assert_eq!(values[1][25], 1.0);
    }

    #[test]
    fn a_tensor_depends_on_its_name_and_the_seed() {
        let one = draw(&lstm(Cell::Lstm, Initial::Keras), 1);
        assert_eq!(one, draw(&lstm(Cell::Lstm, Initial::Keras), 1));
        assert_ne!(one, draw(&lstm(Cell::Lstm, Initial::Keras), 2));
        let mut other = lstm(Cell::Lstm, Initial::Keras);
        other.name = "other".into();
        assert_ne!(one, draw(&other, 1));
    }
}
