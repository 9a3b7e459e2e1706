//! The orders in which programs lay the gates of a cell below each other.
//!
//! | | LSTM | GRU |
//! |---|---|---|
//! | PyTorch and sequela | i f g o | r z n |
//! | Keras | i f c o | z r h |
//! | ONNX | i o f c | z r h |

use sequela_nn::CellKind;

/// For each gate of sequela, which gate of the other program it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order(&'static [usize]);

impl Order {
    pub(super) fn keras(cell: CellKind) -> Self {
        match cell {
            CellKind::Gru => Self(&[1, 0, 2]),
            CellKind::Lstm => Self(&[0, 1, 2, 3]),
            // The others have no counterpart there, and are refused before.
            CellKind::Elman
            | CellKind::GruD
            | CellKind::MinGru
            | CellKind::MinLstm
            | CellKind::Lru => Self(&[0]),
        }
    }

    pub(super) fn onnx(cell: CellKind) -> Self {
        match cell {
            CellKind::Gru => Self(&[1, 0, 2]),
            CellKind::Lstm => Self(&[0, 2, 3, 1]),
            // As above.
            CellKind::Elman
            | CellKind::GruD
            | CellKind::MinGru
            | CellKind::MinLstm
            | CellKind::Lru => Self(&[0]),
        }
    }

    /// Number of gates.
    pub(super) fn gates(self) -> usize {
        self.0.len()
    }
}

/// Another program's rows `(G*H, width)` in sequela's order.
pub(super) fn from_foreign(rows: &[f32], order: Order) -> Vec<f32> {
    let size = rows.len() / order.0.len();
    order.0.iter().flat_map(|&gate| rows[gate * size..(gate + 1) * size].iter().copied()).collect()
}

/// Sequela's rows in another program's order.
pub(super) fn to_foreign(rows: &[f32], order: Order) -> Vec<f32> {
    let size = rows.len() / order.0.len();
    let mut out = vec![0.0; rows.len()];
    for (from, &to) in rows.chunks_exact(size.max(1)).zip(order.0) {
        out[to * size..(to + 1) * size].copy_from_slice(from);
    }
    out
}

/// A matrix of rows of `width`, turned.
pub(super) fn transposed(matrix: &[f32], width: usize) -> Vec<f32> {
    (0..width).flat_map(|column| matrix.iter().skip(column).step_by(width).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_each_others_reverse() {
        let lstm = [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]; // i f g o
        let onnx = to_foreign(&lstm, Order::onnx(CellKind::Lstm));
        assert_eq!(onnx, [0.0, 0.5, 3.0, 3.5, 1.0, 1.5, 2.0, 2.5]); // i o f c
        assert_eq!(from_foreign(&onnx, Order::onnx(CellKind::Lstm)), lstm);
        let gru = [0.0, 1.0, 2.0]; // r z n
        assert_eq!(to_foreign(&gru, Order::keras(CellKind::Gru)), [1.0, 0.0, 2.0]);
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 3), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
