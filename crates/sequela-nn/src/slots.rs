//! Shares buffers among things that do not live at the same time.

/// Buffers and until when each is taken.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    slots: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    size: usize,
    until: usize,
}

impl Slots {
    /// A buffer of at least `size` for the moments `from..=until`. Calls come in the order of
    /// `from`.
    ///
    /// The smallest free buffer that is large enough is taken; else the largest free one grows;
    /// else there is a new one.
    pub(crate) fn take(&mut self, from: usize, until: usize, size: usize) -> usize {
        let free = || self.slots.iter().enumerate().filter(|(_, slot)| slot.until < from);
        let fits = free().filter(|(_, slot)| slot.size >= size).min_by_key(|(_, slot)| slot.size);
        let found =
            fits.or_else(|| free().max_by_key(|(_, slot)| slot.size)).map(|(index, _)| index);
        if let Some(index) = found {
            let slot = &mut self.slots[index];
            slot.size = slot.size.max(size);
            slot.until = until;
            return index;
        }
        self.slots.push(Slot { size, until });
        self.slots.len() - 1
    }

    /// The sizes of all buffers.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        self.slots.iter().map(|slot| slot.size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::Random;

    #[test]
    fn a_chain_needs_two_buffers() {
        let mut slots = Slots::default();
        let places: Vec<usize> = (0..10).map(|at| slots.take(at, at + 1, 100)).collect();
        assert_eq!(places, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        assert_eq!(slots.sizes(), [100, 100]);
    }

    #[test]
    fn no_two_that_live_together_share() {
        let random = Random::new(3, 0);
        for case in 0..200 {
            let mut slots = Slots::default();
            let mut lives = Vec::new();
            for from in 0..20 {
                let until =
                    from + usize::try_from(random.below(case * 100 + 2 * from as u64, 12)).unwrap();
                let size = 1 + usize::try_from(random.below(case * 100 + 2 * from as u64 + 1, 50))
                    .unwrap();
                lives.push((from, until, size, slots.take(from, until, size)));
            }
            for (i, a) in lives.iter().enumerate() {
                assert!(slots.sizes()[a.3] >= a.2);
                for b in &lives[i + 1..] {
                    assert!(a.3 != b.3 || a.1 < b.0 || b.1 < a.0, "{a:?} {b:?}");
                }
            }
        }
    }
}
