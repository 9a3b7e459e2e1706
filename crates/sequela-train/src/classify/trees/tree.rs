//! One tree: where it parts, and what its leaves say.

use serde::{Deserialize, Serialize};

use super::bins::Bins;
use crate::encode::narrow;

/// A regression tree; node 0 is its root.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tree {
    /// The column that a node parts by; none for a leaf.
    pub(super) column: Vec<Option<u32>>,
    /// Numbers up to this go to the first child; of a leaf, what it says.
    pub(super) number: Vec<f32>,
    /// The first child, the second follows it; 0 for a leaf.
    pub(super) child: Vec<u32>,
    /// Whether missing numbers go to the first child.
    pub(super) missing_first: Vec<bool>,
}

impl Tree {
    /// Adds a leaf; its position.
    pub(super) fn leaf(&mut self, says: f32) -> usize {
        self.column.push(None);
        self.number.push(says);
        self.child.push(0);
        self.missing_first.push(false);
        self.column.len() - 1
    }

    /// What the tree says of a row of numbers.
    pub(super) fn value(&self, row: &[f32]) -> f32 {
        let mut node = 0;
        while let Some(column) = self.column[node] {
            let number = row[column as usize];
            let first = if number.is_nan() {
                self.missing_first[node]
            } else {
                number <= self.number[node]
            };
            node = self.child[node] as usize + usize::from(!first);
        }
        self.number[node]
    }

    /// The same of a row of the table that it was grown from.
    pub(super) fn value_of(&self, bins: &Bins, row: usize) -> f32 {
        let mut node = 0;
        while let Some(column) = self.column[node] {
            let column = column as usize;
            let bin = usize::from(bins.column(column)[row]);
            let cut = bins.cuts[column].partition_point(|&cut| cut < self.number[node]);
            let first = if bin == 0 { self.missing_first[node] } else { bin <= cut + 1 };
            node = self.child[node] as usize + usize::from(!first);
        }
        self.number[node]
    }

    /// Makes all that it says so many times smaller.
    pub(super) fn divide(&mut self, times: f64) {
        for (column, number) in self.column.iter().zip(&mut self.number) {
            if column.is_none() {
                *number = narrow(f64::from(*number) / times);
            }
        }
    }

    /// Whether every way through a tree of a file ends, on rows of `width`.
    pub(super) fn is_sound(&self, width: usize) -> bool {
        let nodes = self.column.len();
        let same = [self.number.len(), self.child.len(), self.missing_first.len()];
        let node = |at: usize| match self.column[at] {
            None => true,
            Some(column) => {
                let child = self.child[at] as usize;
                (column as usize) < width && child > at && child + 1 < nodes
            }
        };
        nodes > 0
            && same.iter().all(|&length| length == nodes)
            && self.number.iter().all(|number| number.is_finite())
            && (0..nodes).all(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_of_a_changed_file_are_looked_at() {
        let mut tree = Tree::default();
        tree.leaf(0.0);
        tree.leaf(-1.0);
        tree.leaf(1.0);
        (tree.column[0], tree.number[0], tree.child[0]) = (Some(1), 0.5, 1);
        assert!(tree.is_sound(2) && !tree.is_sound(1));
        let said = [[0.0, 0.5], [0.0, 0.6], [0.0, f32::NAN]].map(|row| tree.value(&row));
        assert_eq!(said.map(f32::to_bits), [-1.0_f32, 1.0, 1.0].map(f32::to_bits));
        for change in [
            |tree: &mut Tree| tree.child[0] = 0,
            |tree: &mut Tree| tree.child[0] = 2,
            |tree: &mut Tree| tree.number[1] = f32::NAN,
            |tree: &mut Tree| tree.missing_first.clear(),
        ] {
            let mut bad = tree.clone();
            change(&mut bad);
            assert!(!bad.is_sound(2), "{bad:?}");
        }
        assert!(!Tree::default().is_sound(2));
    }
}
