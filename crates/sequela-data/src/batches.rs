//! Windows to batches: the order of an epoch, and the matrices of one batch.
//!
//! An epoch is a permutation that depends on seed and epoch alone, so a resumed run needs to
//! keep nothing but the numbers of epoch and batch.

use sequela_core::{Layout, Random};
use serde::{Deserialize, Serialize};

use crate::inputs::Prepared;
use crate::windows::Window;
use crate::{Error, streams};

/// In which order an epoch visits its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As they are listed.
    AsListed,
    /// At random, anew in each epoch.
    #[default]
    Shuffled,
    /// At random, but with items of about the same length in one batch: chunks of 64 batches of
    /// the shuffled order are sorted by length, and their batches are shuffled.
    Bucketed,
}

/// The batches of an epoch.
///
/// **Determinism** a function of order, seed, epoch and the lengths. **Cost** no allocation after
/// the first epoch of the largest set.
///
/// # Example
/// ```
/// use sequela_data::batches::{BatchOrder, Order};
/// let mut order = BatchOrder::new(Order::Shuffled, 4, 7)?;
/// order.start_epoch(0, &[1; 10]);
/// let sizes: Vec<usize> = order.batches().map(<[u32]>::len).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// # Ok::<(), sequela_data::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct BatchOrder {
    order: Order,
    batch: usize,
    seed: u64,
    items: Vec<u32>,
    /// The batches in the order they are visited, as numbers of chunks of `items`.
    visits: Vec<u32>,
    /// Length and shuffled rank of the items of a chunk while it is sorted.
    keys: Vec<(usize, u32, u32)>,
}

impl BatchOrder {
    /// An order of batches of `batch` items; the last of an epoch may be smaller.
    ///
    /// # Errors
    /// [`Error::Request`] for a batch of 0 items.
    pub fn new(order: Order, batch: usize, seed: u64) -> Result<Self, Error> {
        if batch == 0 {
            return Err(Error::request("train.batch", "it is 0", "give at least 1"));
        }
        Ok(Self { order, batch, seed, items: vec![], visits: vec![], keys: vec![] })
    }

    /// Arranges the items for an epoch, one for each of `lengths`.
    ///
    /// # Panics
    /// If there are 2^32 items or more; the memory for their windows runs out long before.
    pub fn start_epoch(&mut self, epoch: u64, lengths: &[usize]) {
        assert!(u32::try_from(lengths.len()).is_ok(), "an epoch of 2^32 items");
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        self.items.clear();
        self.items.extend(0..narrow(lengths.len()));
        self.visits.clear();
        self.visits.extend(0..narrow(lengths.len().div_ceil(self.batch)));
        if self.order == Order::AsListed {
            return;
        }
        let random = Random::new(self.seed, streams::EPOCH.wrapping_add(epoch));
        random.shuffle(&mut self.items);
        if self.order == Order::Bucketed {
            for chunk in self.items.chunks_mut(self.batch.saturating_mul(CHUNK)) {
                self.keys.clear();
                let keyed = chunk.iter().zip(0..).map(|(&i, rank)| (lengths[i as usize], rank, i));
                self.keys.extend(keyed);
                self.keys.sort_unstable();
                for (item, key) in chunk.iter_mut().zip(&self.keys) {
                    *item = key.2;
                }
            }
            // Keyed by another seed, or the batches would move as the items did.
            Random::new(!self.seed, streams::EPOCH.wrapping_add(epoch)).shuffle(&mut self.visits);
        }
    }

    /// Number of batches of the epoch.
    pub fn len(&self) -> usize {
        self.visits.len()
    }

    /// Whether the epoch has no batch.
    pub fn is_empty(&self) -> bool {
        self.visits.is_empty()
    }

    /// The items of the `index`-th batch of the epoch; none past the last.
    pub fn batch(&self, index: usize) -> &[u32] {
        let Some(&visit) = self.visits.get(index) else { return &[] };
        let start = visit as usize * self.batch;
        let end = start.saturating_add(self.batch).min(self.items.len());
        self.items.get(start..end).unwrap_or_default()
    }

    /// The batches of the epoch in the order they are visited.
    pub fn batches(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|index| self.batch(index))
    }
}

/// Which steps of a window have targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetSteps {
    /// The last: one row for each window.
    #[default]
    Last,
    /// Every: one row for each step, its targets counted from that step.
    Every,
}

/// The matrices of one batch.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WindowBatch {
    /// Which (window, step) each packed row is.
    pub layout: Layout,
    /// `(rows, width)`: packed, time-major, longest window first.
    pub inputs: Vec<f32>,
    /// `(B, H K)` in batch order for [`TargetSteps::Last`], `(rows, H K)` packed for
    /// [`TargetSteps::Every`]; column `h K + k` is target channel `k` at horizon `h`, scaled.
    pub targets: Vec<f32>,
    /// As `targets`: 1 where the target was observed, else 0.
    pub weights: Vec<f32>,
    lengths: Vec<usize>,
}

/// Cuts batches out of prepared sequences.
#[derive(Debug, Clone, Copy)]
pub struct Gather<'a> {
    /// The sequences.
    pub prepared: &'a Prepared,
    /// The windows, which must have been cut from the same cohort.
    pub windows: &'a [Window],
    /// The horizons of the windows' plan; empty where only inputs are wanted.
    pub horizons: &'a [usize],
    /// Which steps have targets.
    pub steps: TargetSteps,
}

impl Gather<'_> {
    /// Fills `batch` with the windows at these positions, in this order.
    ///
    /// **Missing data** a target that is not observed, or past the end of its sequence, has
    /// weight 0 and value 0. **Cost** linear in the rows; no allocation once the largest batch
    /// was seen.
    ///
    /// # Panics
    /// If a position or a window is not of these windows or sequences.
    ///
    /// # Example
    /// ```
    /// use sequela_core::{Sequence, SubjectId};
    /// use sequela_data::batches::{Gather, TargetSteps, WindowBatch};
    /// use sequela_data::scaling::{Scaler, ScalingMethod};
    /// use sequela_data::{Cohort, heart_rate, inputs::Prepared, windows::WindowPlan};
    /// let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &[1.0, 2.0, 3.0, 4.0])?;
    /// let cohort = Cohort::new(heart_rate::schema(), vec![sequence], "by hand")?;
    /// let plan = WindowPlan::new(2, &[1]);
    /// let windows = plan.with_targets(&cohort)?;
    /// let scaler = Scaler::fit(&cohort, ScalingMethod::Identity)?;
    /// let prepared = Prepared::new(&cohort, &scaler, &[], &[0])?;
    /// let gather = Gather {
    ///     prepared: &prepared,
    ///     windows: &windows.list,
    ///     horizons: &plan.horizons,
    ///     steps: TargetSteps::Last,
    /// };
    /// let mut batch = WindowBatch::default();
    /// gather.fill(&[1, 0], &mut batch);
    /// assert_eq!(batch.inputs, [2.0, 1.0, 3.0, 2.0]); // step 0 of both windows, then step 1
    /// assert_eq!(batch.targets, [4.0, 3.0]);
    /// # Ok::<(), sequela_data::Error>(())
    /// ```
    pub fn fill(&self, items: &[u32], batch: &mut WindowBatch) {
        let window = |item: u32| &self.windows[item as usize];
        batch.lengths.clear();
        batch.lengths.extend(items.iter().map(|&item| window(item).length));
        batch.layout.assign(&batch.lengths);
        batch.inputs.clear();
        batch.targets.clear();
        batch.weights.clear();
        let width = self.prepared.width;
        for step in 0..batch.layout.steps() {
            for &rank in &batch.layout.order()[..batch.layout.active(step)] {
                let window = window(items[rank as usize]);
                let from = (window.start + step) * width;
                let inputs = &self.prepared.sequences[window.sequence].inputs[from..from + width];
                batch.inputs.extend_from_slice(inputs);
                if self.steps == TargetSteps::Every {
                    let at = window.start + step;
                    self.add_targets(window, at, &mut batch.targets, &mut batch.weights);
                }
            }
        }
        if self.steps == TargetSteps::Last {
            for &item in items {
                let window = window(item);
                self.add_targets(window, window.last(), &mut batch.targets, &mut batch.weights);
            }
        }
    }

    fn add_targets(
        &self,
        window: &Window,
        step: usize,
        targets: &mut Vec<f32>,
        weights: &mut Vec<f32>,
    ) {
        let sequence = &self.prepared.sequences[window.sequence];
        let width = self.prepared.target_width;
        for horizon in self.horizons {
            for cell in (step + horizon) * width..(step + horizon + 1) * width {
                let seen = sequence.observed.get(cell).copied().unwrap_or(false);
                targets.push(sequence.targets.get(cell).copied().unwrap_or(0.0));
                weights.push(f32::from(u8::from(seen)));
            }
        }
    }
}

/// Batches that are sorted by length together.
const CHUNK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(order: Order, epoch: u64, lengths: &[usize]) -> Vec<Vec<u32>> {
        let mut batches = BatchOrder::new(order, 5, 3).unwrap();
        batches.start_epoch(epoch, lengths);
        batches.batches().map(<[u32]>::to_vec).collect()
    }

    #[test]
    fn every_epoch_visits_each_item_once() {
        let lengths: Vec<usize> = (0..503).map(|i| i * 7 % 90).collect();
        for order in [Order::AsListed, Order::Shuffled, Order::Bucketed] {
            let mut all = epoch(order, 1, &lengths).concat();
            all.sort_unstable();
            assert_eq!(all, (0..503).collect::<Vec<u32>>());
        }
        assert_eq!(epoch(Order::AsListed, 0, &lengths)[0], [0, 1, 2, 3, 4]);
        assert_ne!(epoch(Order::Shuffled, 0, &lengths), epoch(Order::Shuffled, 1, &lengths));
        assert_eq!(epoch(Order::Shuffled, 1, &lengths), epoch(Order::Shuffled, 1, &lengths));
    }

    #[test]
    fn buckets_hold_items_of_about_one_length() {
        let lengths: Vec<usize> = (0..320).map(|i| i * 37 % 320).collect();
        let spread = |order| -> usize {
            epoch(order, 2, &lengths)
                .iter()
                .map(|batch| {
                    let length = |&item: &u32| lengths[item as usize];
                    batch.iter().map(length).max().unwrap()
                        - batch.iter().map(length).min().unwrap()
                })
                .sum()
        };
        assert!(spread(Order::Bucketed) * 20 < spread(Order::Shuffled));
        let first: Vec<usize> = epoch(Order::Bucketed, 2, &lengths)
            .iter()
            .map(|batch| lengths[batch[0] as usize])
            .collect();
        assert!(!first.is_sorted(), "batches are visited in order of length");
    }

    #[test]
    fn a_batch_of_nothing_is_refused() {
        let error = BatchOrder::new(Order::Shuffled, 0, 1).unwrap_err();
        assert_eq!(error.class().exit_code(), 2);
        assert!(epoch(Order::Bucketed, 0, &[]).is_empty());
    }
}
