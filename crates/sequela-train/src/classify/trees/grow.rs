//! How one tree grows: the leaf that gains most is parted next.

use sequela_core::Random;

use super::bins::{BINS, Bins};
use super::tree::Tree;
use crate::encode::narrow;

/// First and second derivative of the loss of a row, or sums of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Slopes {
    pub(super) first: f64,
    pub(super) second: f64,
}

impl Slopes {
    fn plus(self, other: Self) -> Self {
        Self { first: self.first + other.first, second: self.second + other.second }
    }

    fn less(self, other: Self) -> Self {
        Self { first: self.first - other.first, second: self.second - other.second }
    }

    /// What a leaf gains, and what it says.
    fn gain(self, caution: Caution) -> f64 {
        self.first * self.first / (self.second + caution.ridge)
    }

    fn says(self, caution: Caution) -> f32 {
        narrow(-RATE * self.first / (self.second + caution.ridge))
    }
}

/// How much rows have to say before they are heard: the steps of one person are much alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Caution {
    /// Added to second derivatives.
    ridge: f64,
    /// Rows of a leaf at least.
    least_rows: usize,
}

impl Caution {
    /// Where each row is a person.
    pub(super) const SERIES: Self = Self { ridge: 5.0, least_rows: 20 };

    /// Where many of so many rows are of one person.
    pub(super) fn of_steps(rows: usize) -> Self {
        Self {
            ridge: (rows as f64 / 1200.0).clamp(5.0, 50.0),
            least_rows: (rows / 150).clamp(20, 400),
        }
    }
}

/// Sums over the rows of a bin.
#[derive(Clone, Copy, Default)]
struct Cell {
    slopes: Slopes,
    rows: u32,
}

/// Where a leaf would be parted.
#[derive(Clone, Copy)]
struct Cut {
    gain: f64,
    column: usize,
    /// The last bin of the first child.
    bin: usize,
    missing_first: bool,
    first: Slopes,
}

/// A leaf that may still be parted.
struct Leaf {
    node: usize,
    rows: Vec<u32>,
    total: Slopes,
    histogram: Vec<Cell>,
    cut: Option<Cut>,
}

/// Grows trees on one table.
#[derive(Clone)]
pub(super) struct Grower<'a> {
    pub(super) bins: &'a Bins,
    leaves: usize,
    caution: Caution,
    columns: Vec<u32>,
}

impl<'a> Grower<'a> {
    pub(super) fn new(bins: &'a Bins, leaves: usize, caution: Caution) -> Self {
        Self { bins, leaves: leaves.max(2), caution, columns: Vec::new() }
    }

    /// A tree down the slopes of all rows, on some of the columns and rows; none where nothing can
    /// be parted.
    pub(super) fn grow(&mut self, slopes: &[Slopes], random: Random) -> Option<Tree> {
        self.draw_columns(random);
        let chosen = (0..u32::try_from(slopes.len()).unwrap_or(u32::MAX))
            .filter(|&row| random.below(u64::from(row) + ROWS_FROM, 10) < ROWS_OF_TEN);
        let rows: Vec<u32> = chosen.collect();
        let mut tree = Tree::default();
        let total = rows.iter().fold(Slopes::default(), |sum, &row| sum.plus(slopes[row as usize]));
        let node = tree.leaf(total.says(self.caution));
        let histogram = self.histogram(&rows, slopes);
        let mut open = vec![self.leaf(node, rows, total, histogram)];
        for _ in 1..self.leaves {
            let Some(at) = best(&open) else { break };
            let leaf = open.swap_remove(at);
            let Some(cut) = leaf.cut else { break };
            open.extend(self.part(&mut tree, leaf, cut, slopes));
        }
        (tree.column.len() > 1).then_some(tree)
    }

    /// The columns that this tree may part by, in rising order.
    fn draw_columns(&mut self, random: Random) {
        let width = self.bins.width;
        let wanted = (width * COLUMNS_OF_TEN).div_ceil(10).max(width.min(FEWEST_COLUMNS));
        self.columns.clear();
        self.columns.extend(0..u32::try_from(width).unwrap_or(u32::MAX));
        random.shuffle(&mut self.columns);
        self.columns.truncate(wanted);
        self.columns.sort_unstable();
    }

    fn histogram(&self, rows: &[u32], slopes: &[Slopes]) -> Vec<Cell> {
        let mut cells = vec![Cell::default(); self.columns.len() * ROOM];
        for (&column, cells) in self.columns.iter().zip(cells.chunks_exact_mut(ROOM)) {
            let bin = self.bins.column(column as usize);
            for &row in rows {
                let cell = &mut cells[usize::from(bin[row as usize]) % ROOM];
                cell.slopes = cell.slopes.plus(slopes[row as usize]);
                cell.rows += 1;
            }
        }
        cells
    }

    fn leaf(&self, node: usize, rows: Vec<u32>, total: Slopes, histogram: Vec<Cell>) -> Leaf {
        let cut = if rows.len() < 2 * self.caution.least_rows {
            None
        } else {
            self.cut(&histogram, total, rows.len())
        };
        Leaf { node, rows, total, histogram, cut }
    }

    /// The cut that gains most; none where no cut gains anything.
    fn cut(&self, histogram: &[Cell], total: Slopes, rows: usize) -> Option<Cut> {
        let mut best: Option<Cut> = None;
        let (before, least) = (total.gain(self.caution), self.caution.least_rows);
        for (&column, cells) in self.columns.iter().zip(histogram.chunks_exact(ROOM)) {
            let column = column as usize;
            let missing = cells[0];
            for missing_first in [false, true] {
                // Where nothing is missing both sides are the same.
                if missing_first && missing.rows == 0 {
                    continue;
                }
                let mut first = if missing_first { missing } else { Cell::default() };
                // The last bin ends at no cut; all there are go against those that are missing.
                let last = self.bins.cuts[column].len() + usize::from(missing.rows > 0);
                for (bin, cell) in cells.iter().enumerate().take(last + 1).skip(1) {
                    first.slopes = first.slopes.plus(cell.slopes);
                    first.rows += cell.rows;
                    let count = first.rows as usize;
                    if count < least || rows - count < least {
                        continue;
                    }
                    let second = total.less(first.slopes);
                    let gain = first.slopes.gain(self.caution) + second.gain(self.caution) - before;
                    if gain > best.map_or(LEAST_GAIN, |cut| cut.gain) {
                        let first = first.slopes;
                        best = Some(Cut { gain, column, bin, missing_first, first });
                    }
                }
            }
        }
        best
    }

    fn part(&self, tree: &mut Tree, leaf: Leaf, cut: Cut, slopes: &[Slopes]) -> [Leaf; 2] {
        let bin = self.bins.column(cut.column);
        let goes_first = |row: &u32| match usize::from(bin[*row as usize]) {
            0 => cut.missing_first,
            bin => bin <= cut.bin,
        };
        let (first, second): (Vec<u32>, Vec<u32>) =
            leaf.rows.iter().partition(|row| goes_first(row));
        let totals = [cut.first, leaf.total.less(cut.first)];
        let nodes = totals.map(|total| tree.leaf(total.says(self.caution)));
        let cuts = &self.bins.cuts[cut.column];
        tree.column[leaf.node] = Some(u32::try_from(cut.column).unwrap_or(u32::MAX));
        // Every number goes first where the missing ones are parted from the rest.
        tree.number[leaf.node] = cuts.get(cut.bin - 1).copied().unwrap_or(f32::MAX);
        tree.child[leaf.node] = u32::try_from(nodes[0]).unwrap_or(u32::MAX);
        tree.missing_first[leaf.node] = cut.missing_first;
        // The larger child's sums are what the smaller one leaves of its parent's.
        let smaller = if first.len() <= second.len() { &first } else { &second };
        let small = self.histogram(smaller, slopes);
        let mut large = leaf.histogram;
        for (large, small) in large.iter_mut().zip(&small) {
            large.slopes = large.slopes.less(small.slopes);
            large.rows -= small.rows;
        }
        let (one, other) =
            if first.len() <= second.len() { (small, large) } else { (large, small) };
        [self.leaf(nodes[0], first, totals[0], one), self.leaf(nodes[1], second, totals[1], other)]
    }
}

/// The leaf that gains most; the one that was made first among equals.
fn best(open: &[Leaf]) -> Option<usize> {
    let mut best: Option<(f64, usize, usize)> = None;
    for (at, leaf) in open.iter().enumerate() {
        let Some(cut) = leaf.cut else { continue };
        let better = best.is_none_or(|(gain, node, _)| {
            cut.gain > gain || (cut.gain >= gain && leaf.node < node)
        });
        if better {
            best = Some((cut.gain, leaf.node, at));
        }
    }
    best.map(|(_, _, at)| at)
}

/// Cells of a column: its bins and that of missing numbers.
const ROOM: usize = BINS + 1;
/// How far a tree goes down its slope.
const RATE: f64 = 0.04;
/// What a cut has to gain.
const LEAST_GAIN: f64 = 1e-6;
/// Columns that a tree may part by, and rows that it sees, of ten.
const COLUMNS_OF_TEN: usize = 3;
/// Columns that a tree may part by, at least.
const FEWEST_COLUMNS: usize = 8;
const ROWS_OF_TEN: u64 = 8;
/// Where the draws of rows begin.
const ROWS_FROM: u64 = 1 << 40;
