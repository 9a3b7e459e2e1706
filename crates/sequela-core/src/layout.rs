//! Which (sequence, step) each packed row of a batch is.

use std::ops::Range;

/// The packed, time-major order of a ragged batch: longest sequence first, no padding anywhere.
///
/// Row `offset(t) + k` holds step `t` of the `k`-th longest sequence; `active(t)` sequences are
/// still running at step `t`. Sequences of length 0 are allowed: they own no step row.
///
/// **Cost** O(B log B + T); memory is kept between batches, so that [`Layout::assign`] does not
/// allocate once the largest batch has been seen.
///
/// # Example
/// ```
/// use sequela_core::Layout;
/// let layout = Layout::new(&[2, 3, 1]);
/// assert_eq!(layout.order(), [1, 0, 2]);
/// assert_eq!((layout.active(0), layout.active(1), layout.active(2)), (3, 2, 1));
/// assert_eq!(layout.rows(), 6);
/// assert_eq!(layout.row(1, 0), 3); // step 1 of the longest sequence
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    active: Vec<u32>,
    offsets: Vec<u32>,
    order: Vec<u32>,
    lengths: Vec<u32>,
}

impl Layout {
    /// The layout of a batch of sequences of these lengths, in batch order.
    pub fn new(lengths: &[usize]) -> Self {
        let mut layout = Self::default();
        layout.assign(lengths);
        layout
    }

    /// An empty layout with room for so many sequences and steps.
    pub fn with_capacity(sequences: usize, steps: usize) -> Self {
        Self {
            active: Vec::with_capacity(steps),
            offsets: Vec::with_capacity(steps + 1),
            order: Vec::with_capacity(sequences),
            lengths: Vec::with_capacity(sequences),
        }
    }

    /// Becomes the layout of another batch.
    ///
    /// # Panics
    /// If a length or the number of rows is over 2^32 - 1; readers keep far below it.
    pub fn assign(&mut self, lengths: &[usize]) {
        let total: usize = lengths.iter().sum();
        assert!(u32::try_from(total).is_ok(), "a batch of {total} rows is over 2^32");
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        self.order.clear();
        self.order.extend((0..lengths.len()).map(narrow));
        // Ties keep batch order, so the layout is a function of the lengths alone.
        self.order.sort_unstable_by_key(|&b| (usize::MAX - lengths[b as usize], b));
        self.lengths.clear();
        self.lengths.extend(self.order.iter().map(|&b| narrow(lengths[b as usize])));
        let steps = self.lengths.first().map_or(0, |&longest| longest as usize);
        self.active.clear();
        self.offsets.clear();
        self.offsets.push(0);
        let (mut running, mut offset) = (lengths.len(), 0);
        for step in 0..steps {
            while running > 0 && self.lengths[running - 1] as usize <= step {
                running -= 1;
            }
            offset += running;
            self.active.push(narrow(running));
            self.offsets.push(narrow(offset));
        }
    }

    /// Becomes the layout of the steps `from..to` of another one.
    ///
    /// All sequences stay, in the same order, those that have ended with length 0: row r here is
    /// row `whole.offset(from) + r` there. (Sequences that are of one length here need not be in
    /// batch order, as they are in [`Layout::assign`].) **Cost** O(B + steps), no allocation once
    /// it has been as large.
    ///
    /// # Example
    /// ```
    /// use sequela_core::Layout;
    /// let whole = Layout::new(&[2, 3, 1]);
    /// let mut part = Layout::default();
    /// part.assign_part(&whole, 1, 3);
    /// assert_eq!((part.rows(), part.order(), part.lengths()), (3, whole.order(), &[2, 1, 0][..]));
    /// ```
    pub fn assign_part(&mut self, whole: &Self, from: usize, to: usize) {
        let to = to.min(whole.steps());
        let from = from.min(to);
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let (first, last) = (narrow(from), narrow(to));
        self.order.clone_from(&whole.order);
        self.lengths.clear();
        self.lengths.extend(whole.lengths.iter().map(|&l| l.min(last).saturating_sub(first)));
        self.active.clear();
        self.active.extend_from_slice(&whole.active[from..to]);
        self.offsets.clear();
        let start = narrow(whole.offset(from));
        self.offsets.push(0);
        self.offsets.extend((from + 1..=to).map(|t| narrow(whole.offset(t)) - start));
    }

    /// The first step of the chunk of whole steps that ends before step `end` and has at least
    /// `rows` rows, or all there are.
    pub fn chunk_start(&self, end: usize, rows: usize) -> usize {
        let mut start = end.min(self.steps());
        let last = self.offset(start);
        while start > 0 && last - self.offset(start) < rows {
            start -= 1;
        }
        start
    }

    /// The packed rows of all steps in chunks of whole steps, the last chunk first: the order in
    /// which sums over steps are taken, so that a walk can be cut between any two chunks.
    ///
    /// # Example
    /// ```
    /// let layout = sequela_core::Layout::new(&[2, 3, 1]);
    /// assert_eq!(layout.chunks_back(2).collect::<Vec<_>>(), [3..6, 0..3]);
    /// ```
    pub fn chunks_back(&self, rows: usize) -> impl Iterator<Item = Range<usize>> {
        let mut end = self.steps();
        std::iter::from_fn(move || {
            let start = self.chunk_start(end, rows.max(1));
            let chunk = self.offset(start)..self.offset(end);
            end = start;
            (!chunk.is_empty()).then_some(chunk)
        })
    }

    /// Number of sequences, B.
    pub fn sequences(&self) -> usize {
        self.order.len()
    }

    /// Length of the longest sequence, T.
    pub fn steps(&self) -> usize {
        self.active.len()
    }

    /// Number of packed rows: the sum of all lengths.
    pub fn rows(&self) -> usize {
        self.offsets.last().map_or(0, |&rows| rows as usize)
    }

    /// Sequences still running at step `t` (0 from T on).
    pub fn active(&self, t: usize) -> usize {
        self.active.get(t).map_or(0, |&active| active as usize)
    }

    /// First packed row of step `t`.
    pub fn offset(&self, t: usize) -> usize {
        self.offsets.get(t).map_or_else(|| self.rows(), |&offset| offset as usize)
    }

    /// Packed row of step `t` of the sequence of rank `k` (`k < active(t)`).
    pub fn row(&self, t: usize, k: usize) -> usize {
        self.offset(t) + k
    }

    /// Batch index of each rank, longest first.
    pub fn order(&self) -> &[u32] {
        &self.order
    }

    /// Length of each rank, longest first.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_sequences_own_no_row() {
        let layout = Layout::new(&[0, 2, 0]);
        assert_eq!((layout.rows(), layout.steps(), layout.sequences()), (2, 2, 3));
        assert_eq!(layout.order(), [1, 0, 2]);
        let nothing = Layout::new(&[]);
        assert_eq!((nothing.rows(), nothing.steps()), (0, 0));
    }

    #[test]
    fn a_part_holds_the_rows_of_its_steps() {
        let whole = Layout::new(&[2, 5, 3, 0, 5]);
        let mut part = Layout::default();
        for from in 0..=6 {
            for to in from..=6 {
                part.assign_part(&whole, from, to);
                assert_eq!(part.sequences(), 5);
                assert_eq!(part.rows(), whole.offset(to) - whole.offset(from));
                for t in from..to.min(5) {
                    assert_eq!(part.active(t - from), whole.active(t));
                    assert_eq!(part.offset(t - from), whole.offset(t) - whole.offset(from));
                }
                assert_eq!(part.steps(), to.min(5).saturating_sub(from));
                let rows: u32 = part.lengths().iter().sum();
                assert_eq!(rows as usize, part.rows());
            }
        }
    }

    #[test]
    fn reuse_gives_the_same_layout_as_a_fresh_one() {
        let mut layout = Layout::new(&[5, 1, 4]);
        layout.assign(&[2, 3]);
        assert_eq!(layout, Layout::new(&[2, 3]));
    }
}
