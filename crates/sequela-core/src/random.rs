//! Randomness as a pure function of its key: no state to save, no order to keep.

/// Philox 4x32-10 keyed by a seed; each block of four words is a function of its counter alone.
///
/// Dropout, shuffles, initialisation and simulation draw from it by naming what the number is
/// for (stream), so that results depend on neither threads nor batch make-up, and a resumed run
/// needs nothing but the step number.
///
/// **Source** Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
///
/// # Example
/// ```
/// use sequela_core::Random;
/// let random = Random::new(42, 7);
/// assert_eq!(random.uniform(0), Random::new(42, 7).uniform(0));
/// assert!((0.0..1.0).contains(&random.uniform(123)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Random {
    key: [u32; 2],
    stream: [u32; 2],
}

const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

impl Random {
    /// The generator of `stream` under `seed`.
    pub fn new(seed: u64, stream: u64) -> Self {
        Self { key: halves(seed), stream: halves(stream) }
    }

    /// Four independent 32-bit words for this counter.
    pub fn block(&self, counter: u64) -> [u32; 4] {
        let low = halves(counter);
        let mut x = [low[0], low[1], self.stream[0], self.stream[1]];
        let mut key = self.key;
        for _ in 0..10 {
            let [high0, low0] = wide_product(MULTIPLIERS[0], x[0]);
            let [high1, low1] = wide_product(MULTIPLIERS[1], x[2]);
            x = [high1 ^ x[1] ^ key[0], low1, high0 ^ x[3] ^ key[1], low0];
            key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        }
        x
    }

    /// The `index`-th 64-bit word.
    pub fn word(&self, index: u64) -> u64 {
        let block = self.block(index / 2);
        let at = 2 * usize::from(!index.is_multiple_of(2));
        u64::from(block[at]) | u64::from(block[at + 1]) << 32
    }

    /// The `index`-th uniform number in [0, 1), with 53 random bits.
    pub fn uniform(&self, index: u64) -> f64 {
        (self.word(index) >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// The `index`-th uniform integer in `0..bound` (bias below 2^-32 for bounds below 2^32).
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&self, index: u64, bound: u64) -> u64 {
        assert!(bound > 0, "an integer below 0 was asked for");
        let product = u128::from(self.word(index)) * u128::from(bound);
        u64::try_from(product >> 64).unwrap_or(0)
    }

    /// The `index`-th standard normal number (Box and Muller 1958).
    pub fn normal(&self, index: u64) -> f64 {
        // 1 - u lies in (0, 1], so the logarithm is finite.
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.uniform(2 * index)));
        radius * libm::cos(2.0 * std::f64::consts::PI * self.uniform(2 * index + 1))
    }

    /// Shuffles `items` (Fisher and Yates), as a function of the key alone.
    pub fn shuffle<T>(&self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last as u64, last as u64 + 1);
            items.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }
}

fn halves(word: u64) -> [u32; 2] {
    let bytes = word.to_le_bytes();
    [
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
    ]
}

/// High and low half of a 32 x 32 bit product.
fn wide_product(a: u32, b: u32) -> [u32; 2] {
    let [low, high] = halves(u64::from(a) * u64::from(b));
    [high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_the_random123_distribution() {
        // kat_vectors of Random123, philox4x32 10 rounds.
        let zero = Random::new(0, 0);
        assert_eq!(zero.block(0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = Random::new(u64::MAX, u64::MAX);
        assert_eq!(ones.block(u64::MAX), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn moments_of_the_normal() {
        let random = Random::new(1, 2);
        let n = 100_000_u64;
        let draws: Vec<f64> = (0..n).map(|i| random.normal(i)).collect();
        let mean = draws.iter().sum::<f64>() / n as f64;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n as f64;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn a_shuffle_is_a_permutation() {
        let mut items: Vec<u32> = (0..100).collect();
        Random::new(3, 4).shuffle(&mut items);
        let mut sorted = items.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(items, sorted);
    }
}
