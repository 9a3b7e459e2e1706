//! What a recurrent layer keeps of a walk that is cut into pieces: the states at the cuts.

use crate::plan::Pieces;
use sequela_core::Layout;
use sequela_kernels::recurrent::{Initial, Place, RecurrentShape, Seam, StatePart, Workspace};
use sequela_kernels::{Buffer, CHUNK_ROWS, Matrix, stride};

/// A walk in pieces.
#[derive(Debug)]
pub(crate) struct Walk {
    /// h and c after each piece, `(B, H)` in batch order.
    saved: [Buffer; 2],
    pub(crate) seam: Seam,
    width: usize,
    sequences: usize,
    /// The piece in work, in walking order, and how many there are.
    pub(crate) index: usize,
    pub(crate) count: usize,
    /// Where the layer walks over its pieces by itself.
    pub(crate) own: Option<Own>,
}

/// What a layer needs to walk over its pieces by itself.
#[derive(Debug)]
pub(crate) struct Own {
    /// Most rows of a piece.
    pub(crate) rows: usize,
    pub(crate) bounds: Bounds,
    pub(crate) part: Layout,
    /// Outputs of one piece, walked once more.
    pub(crate) output: Buffer,
}

impl Walk {
    /// Bytes that [`Walk::new`] takes.
    pub(crate) fn bytes_for(shape: RecurrentShape, sequences: usize, pieces: Pieces) -> usize {
        let state = sequences.saturating_mul(stride(shape.hidden));
        let parts = 1 + usize::from(shape.has_cell_state());
        let saved = state.saturating_mul(pieces.count).saturating_mul(parts).saturating_mul(4);
        saved.saturating_add(Seam::bytes_for(shape, sequences))
    }

    pub(crate) fn new(shape: RecurrentShape, sequences: usize, pieces: Pieces) -> Self {
        let values = sequences * stride(shape.hidden) * pieces.count;
        let cell = if shape.has_cell_state() { values } else { 0 };
        Self {
            saved: [Buffer::new(values), Buffer::new(cell)],
            seam: Seam::new(shape, sequences),
            width: shape.hidden,
            sequences: 0,
            index: 0,
            count: 1,
            own: None,
        }
    }

    /// Keeps the states after the piece in work.
    pub(crate) fn save(&mut self, workspace: &Workspace) {
        let [hidden, cell] = &mut self.saved;
        let state = workspace.final_state(StatePart::Hidden);
        self.sequences = state.rows();
        let (from, length) = (self.index * state.data().len(), state.data().len());
        hidden[from..from + length].copy_from_slice(state.data());
        if !cell.is_empty() {
            let state = workspace.final_state(StatePart::Cell);
            cell[from..from + length].copy_from_slice(state.data());
        }
    }

    /// The states that the piece in work starts from; none for the first.
    pub(crate) fn initial(&self) -> Option<Initial<'_>> {
        let before = self.index.checked_sub(1)?;
        Some(Initial {
            hidden: self.saved(before, StatePart::Hidden),
            cell: self.saved(before, StatePart::Cell),
        })
    }

    /// The states after the last piece.
    pub(crate) fn last(&self, part: StatePart) -> Option<Matrix<'_>> {
        self.saved(self.count - 1, part)
    }

    fn saved(&self, piece: usize, part: StatePart) -> Option<Matrix<'_>> {
        let buffer = match part {
            StatePart::Hidden => &self.saved[0],
            StatePart::Cell => &self.saved[1],
        };
        let length = self.sequences * stride(self.width);
        let data = buffer.get(piece * length..(piece + 1) * length)?;
        (!buffer.is_empty()).then(|| Matrix::new(data, self.sequences, self.width))
    }

    pub(crate) fn place(&self) -> Place {
        Place::of(self.index, self.count)
    }

    pub(crate) fn bytes(&self) -> usize {
        let own = self.own.as_ref().map_or(0, |own| own.output.len());
        4 * (self.saved[0].len() + self.saved[1].len() + own) + self.seam.bytes()
    }
}

/// Where a walk is cut: the first step of each piece, and the end.
#[derive(Debug, Default)]
pub(crate) struct Bounds {
    steps: Vec<usize>,
}

impl Bounds {
    pub(crate) fn with_capacity(pieces: usize) -> Self {
        Self { steps: Vec::with_capacity(pieces + 1) }
    }

    /// Cuts a layout into pieces of at most `rows` rows, between chunks in which gradients are
    /// summed.
    pub(crate) fn assign(&mut self, layout: &Layout, rows: usize) {
        self.steps.clear();
        let mut end = layout.steps();
        self.steps.push(end);
        while end > 0 {
            let mut start = layout.chunk_start(end, CHUNK_ROWS);
            loop {
                let further = layout.chunk_start(start, CHUNK_ROWS);
                if further == start || layout.offset(end) - layout.offset(further) > rows {
                    break;
                }
                start = further;
            }
            self.steps.push(start);
            end = start;
        }
        if self.steps.len() == 1 {
            self.steps.push(0);
        }
        self.steps.reverse();
    }

    /// Number of pieces, at least 1.
    pub(crate) fn count(&self) -> usize {
        self.steps.len() - 1
    }

    /// The steps of a piece.
    pub(crate) fn piece(&self, index: usize) -> (usize, usize) {
        (self.steps[index], self.steps[index + 1])
    }
}

/// The least rows that a piece needs room for: a chunk.
pub(crate) fn least_rows(sequences: usize) -> usize {
    CHUNK_ROWS - 1 + sequences.max(1)
}

/// The most pieces of up to `rows` rows that a walk over `total` rows can have.
pub(crate) fn most_pieces(total: usize, rows: usize, sequences: usize) -> usize {
    // To every piece but the first no further chunk could be added.
    let full = (rows + 1).saturating_sub(least_rows(sequences)).max(1);
    total / full + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Random;

    #[test]
    fn pieces_hold_whole_chunks_and_no_more_rows_than_asked() {
        let random = Random::new(3, 1);
        for case in 0..300_u64 {
            let draw =
                |at: u64, below| usize::try_from(random.below(case << 8 | at, below)).unwrap();
            let sequences = draw(0, 70);
            let lengths: Vec<usize> = (0..sequences as u64).map(|b| draw(b + 2, 300)).collect();
            let layout = Layout::new(&lengths);
            let rows = least_rows(sequences) + draw(1, 3000);
            let mut bounds = Bounds::default();
            bounds.assign(&layout, rows);
            assert!(bounds.count() <= most_pieces(layout.rows(), rows, sequences));
            let mut next = 0;
            for index in 0..bounds.count() {
                let (from, to) = bounds.piece(index);
                assert_eq!(from, next);
                next = to;
                assert!(layout.offset(to) - layout.offset(from) <= rows);
            }
            assert_eq!(next, layout.steps());
            // Chunks of the pieces are those of the whole.
            let mut part = Layout::default();
            let mut chunks = Vec::new();
            for index in (0..bounds.count()).rev() {
                let (from, to) = bounds.piece(index);
                part.assign_part(&layout, from, to);
                let offset = layout.offset(from);
                chunks
                    .extend(part.chunks_back(CHUNK_ROWS).map(|c| c.start + offset..c.end + offset));
            }
            assert_eq!(chunks, layout.chunks_back(CHUNK_ROWS).collect::<Vec<_>>());
        }
    }
}
