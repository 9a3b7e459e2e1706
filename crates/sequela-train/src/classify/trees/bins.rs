//! Numbers as ranks among their quantiles.

/// Rows of numbers, each as the bin that it falls into.
pub(super) struct Bins {
    /// Numbers in a row.
    pub(super) width: usize,
    /// Rows.
    pub(super) count: usize,
    /// For each column the largest number of each bin but the last.
    pub(super) cuts: Vec<Vec<f32>>,
    /// Column by column: 0 for a missing number, else 1 and more.
    pub(super) bin: Vec<u8>,
}

impl Bins {
    /// Cuts each column of `rows`, row by row of `width`, at its quantiles.
    pub(super) fn new(rows: &[f32], width: usize) -> Self {
        let count = rows.len() / width.max(1);
        let mut bin = Vec::with_capacity(rows.len());
        let mut cuts = Vec::with_capacity(width);
        for column in 0..width {
            let values = || rows.iter().skip(column).step_by(width).copied();
            let own = quantiles(values().filter(|value| !value.is_nan()).collect());
            bin.extend(values().map(|value| bin_of(&own, value)));
            cuts.push(own);
        }
        Self { width, count, cuts, bin }
    }

    /// The bins of one column.
    pub(super) fn column(&self, column: usize) -> &[u8] {
        &self.bin[column * self.count..][..self.count]
    }
}

/// The bin of a number: 0 where it is missing.
fn bin_of(cuts: &[f32], value: f32) -> u8 {
    if value.is_nan() {
        return 0;
    }
    let below = cuts.partition_point(|&cut| cut < value);
    u8::try_from(below + 1).unwrap_or(u8::MAX)
}

/// Cuts between different numbers, with about as many numbers in each bin.
fn quantiles(mut values: Vec<f32>) -> Vec<f32> {
    values.sort_unstable_by(f32::total_cmp);
    let mut cuts: Vec<f32> = Vec::new();
    for cut in 1..BINS {
        let at = values.len() * cut / BINS;
        let Some(&value) = at.checked_sub(1).and_then(|before| values.get(before)) else {
            continue;
        };
        // What is not below the largest parts nothing.
        let parts = values.last().is_some_and(|last| value < *last);
        if parts && cuts.last().is_none_or(|last| *last < value) {
            cuts.push(value);
        }
    }
    cuts
}

/// Bins of a column at most.
pub(super) const BINS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_are_ordered_and_missing_is_zero() {
        let values: Vec<f32> = (0..1000_u16).map(f32::from).chain([f32::NAN]).collect();
        let bins = Bins::new(&values, 1);
        assert_eq!(bins.cuts[0].len(), BINS - 1);
        assert_eq!((bins.bin[0], bins.bin[999], bins.bin[1000]), (1, 64, 0));
        assert!(bins.bin[..1000].windows(2).all(|pair| pair[0] <= pair[1]));
        let two = Bins::new(&[0.0, 1.0, 1.0, 0.0], 1);
        assert_eq!((two.cuts[0].as_slice(), two.bin.as_slice()), (&[0.0][..], &[1, 2, 2, 1][..]));
        assert!(Bins::new(&[3.0; 9], 1).cuts[0].is_empty());
    }
}
