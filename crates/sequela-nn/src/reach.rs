//! Which parts of flat gradients are not zero.

use std::ops::Range;

/// A set of positions: ranges in order that neither meet nor overlap.
///
/// A batch reaches only some weights: sequences of one step never reach U. What was not reached
/// need be neither cleared nor, while its moments are zero, updated.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reach(Vec<Range<usize>>);

impl Reach {
    /// Nothing, with room for this many separate ranges.
    pub(crate) fn with_room(ranges: usize) -> Self {
        Self(Vec::with_capacity(ranges))
    }

    /// The ranges, in order.
    pub(crate) fn ranges(&self) -> &[Range<usize>] {
        &self.0
    }

    /// Forgets all, but keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a range.
    pub(crate) fn insert(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        // All ranges that meet or overlap the new one become one with it.
        let first = self.0.partition_point(|known| known.end < range.start);
        let last = self.0.partition_point(|known| known.start <= range.end);
        match (self.0.get(first), last.checked_sub(1).and_then(|last| self.0.get(last))) {
            (Some(a), Some(b)) if first < last => {
                let joined = a.start.min(range.start)..b.end.max(range.end);
                self.0[first] = joined;
                self.0.drain(first + 1..last);
            }
            _ => self.0.insert(first, range),
        }
    }

    /// Adds all of another set.
    pub(crate) fn extend(&mut self, other: &Self) {
        for range in &other.0 {
            self.insert(range.clone());
        }
    }

    /// What of the set lies inside `range`, in order.
    pub(crate) fn within(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let first = self.0.partition_point(|known| known.end <= range.start);
        self.0[first..]
            .iter()
            .take_while({
                let end = range.end;
                move |known| known.start < end
            })
            .map(move |known| known.start.max(range.start)..known.end.min(range.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Random;

    #[test]
    fn it_is_the_set_of_all_positions_that_were_added() {
        let random = Random::new(5, 1);
        for case in 0..2000 {
            let draw = |n: u64, below: u64| {
                usize::try_from(random.word(case * 100 + n) % below).unwrap_or(0)
            };
            let mut reach = Reach::default();
            let mut naive = [false; 80];
            for n in 0..draw(0, 12) as u64 {
                let (start, length) = (draw(2 * n + 1, 60), draw(2 * n + 2, 12));
                reach.insert(start..start + length);
                naive[start..start + length].fill(true);
            }
            let mut found = [false; 80];
            for range in reach.ranges() {
                found[range.clone()].fill(true);
            }
            assert_eq!(found, naive);
            assert!(reach.ranges().windows(2).all(|pair| pair[0].end < pair[1].start));

            let start = draw(50, 60);
            let inside = start..start + draw(51, 20);
            let cut: Vec<usize> = reach.within(inside.clone()).flatten().collect();
            let want: Vec<usize> = inside.filter(|&at| naive[at]).collect();
            assert_eq!(cut, want);
        }
    }
}
