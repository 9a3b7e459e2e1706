//! What intervals draw: whole subjects, or stretches of the record of one.

use std::collections::BTreeMap;
use std::ops::Range;

use sequela_core::SubjectId;

/// What is drawn: subjects, or blocks of consecutive rows of the only subject.
#[derive(Debug)]
pub(crate) struct Units {
    pub(crate) kind: Kind,
    order: Vec<usize>,
    pub(crate) ranges: Vec<Range<usize>>,
    /// Units that are drawn among each other, and how many of them in a replicate.
    pub(crate) strata: Vec<(Range<usize>, usize)>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Subjects,
    Blocks(usize),
}

impl Units {
    /// The units of rows that belong to these subjects (by number); `least` is the shortest
    /// block that one subject's rows may be cut into (the horizon: windows overlap by as much).
    pub(crate) fn new(subject_of_row: &[u32], least: usize) -> Self {
        let mut order: Vec<usize> = (0..subject_of_row.len()).collect();
        order.sort_by_key(|&row| subject_of_row[row]);
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (at, &row) in order.iter().enumerate() {
            match ranges.last_mut() {
                Some(last) if subject_of_row[order[last.start]] == subject_of_row[row] => {
                    last.end = at + 1;
                }
                _ => ranges.push(at..at + 1),
            }
        }
        if ranges.len() != 1 {
            let strata = vec![(0..ranges.len(), ranges.len())];
            return Self { kind: Kind::Subjects, order, ranges, strata };
        }
        let rows = order.len();
        let block = cube_root(rows).max(least).max(1);
        // With fewer than five whole blocks the replicates would be near copies of the record.
        let ranges = if rows / block < 5 {
            Vec::new()
        } else {
            (0..=rows - block).map(|start| start..start + block).collect()
        };
        let strata = vec![(0..ranges.len(), rows.div_ceil(block))];
        Self { kind: Kind::Blocks(block), order, ranges, strata }
    }

    /// The same subjects, each drawn among those of its stratum only, so that every replicate has
    /// as many of each stratum as the data; `stratum` tells that of a subject's rows.
    pub(crate) fn stratified(mut self, stratum: impl Fn(&[usize]) -> u32) -> Self {
        if !matches!(self.kind, Kind::Subjects) {
            return self;
        }
        let of = |range: &Range<usize>| stratum(&self.order[range.clone()]);
        let mut keyed: Vec<(u32, Range<usize>)> =
            self.ranges.iter().map(|range| (of(range), range.clone())).collect();
        keyed.sort_by_key(|(stratum, _)| *stratum);
        let sizes: Vec<usize> = keyed.chunk_by(|a, b| a.0 == b.0).map(<[_]>::len).collect();
        let mut start = 0;
        self.strata.clear();
        for size in sizes {
            self.strata.push((start..start + size, size));
            start += size;
        }
        self.ranges = keyed.into_iter().map(|(_, range)| range).collect();
        self
    }

    /// Units in a replicate.
    pub(crate) fn draws(&self) -> usize {
        self.strata.iter().map(|(_, draws)| draws).sum()
    }

    /// The rows of a unit.
    pub(crate) fn rows(&self, unit: usize) -> &[usize] {
        &self.order[self.ranges[unit].clone()]
    }

    /// Whether they are subjects, each with rows of its own.
    pub(crate) fn are_subjects(&self) -> bool {
        matches!(self.kind, Kind::Subjects)
    }

    /// Number of units.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }
}

/// Numbers for subjects, in order of first appearance.
pub(crate) fn group(subjects: &[SubjectId]) -> Vec<u32> {
    let mut numbers: BTreeMap<&SubjectId, u32> = BTreeMap::new();
    subjects
        .iter()
        .map(|subject| {
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            *numbers.entry(subject).or_insert(next)
        })
        .collect()
}

/// The least integer whose cube is not below `n`.
fn cube_root(n: usize) -> usize {
    (1..=n).find(|root| root.saturating_pow(3) >= n).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cube_roots_are_rounded_up() {
        assert_eq!((cube_root(1000), cube_root(1001), cube_root(0), cube_root(1)), (10, 11, 1, 1));
    }
}
