//! The series of the article's program, number for number as `NumPy` makes it.
//!
//! ```python
//! np.random.seed(42)
//! series = np.random.normal(100, 10, 1000)
//! series[500:] += 5
//! ```
//!
//! Noise about a mean, with one step in it: no model can forecast it much better than the mean
//! of the half it is in.
//!
//! **Source** Matsumoto and Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998) 3; `NumPy`'s
//! legacy generator (`RandomState`): `init_genrand`, 53-bit doubles, the polar method of
//! Marsaglia with its second value kept.

use super::logarithm::log_of_glibc;
use sequela_core::{Channel, Schema, Sequence, SubjectId};

use crate::{Cohort, Error};

/// The 1000 values.
///
/// **Units** beats per minute, as the article reads them. **Determinism** the bits that `NumPy`
/// gives on Linux with glibc 2.28 or later, on every machine; a test checks all of them.
///
/// # Example
/// ```
/// let series = sequela_data::simulate::article::series();
/// assert_eq!(series.len(), 1000);
/// assert!((series[0] - 104.967_141_530_112_33).abs() < 1e-12);
/// ```
pub fn series() -> Vec<f64> {
    let mut generator = Legacy::new(42);
    (0..1000)
        .map(|index| {
            // Added in two steps, as NumPy does: the roundings differ from one sum.
            let value = 100.0 + 10.0 * generator.gauss();
            if index >= 500 { value + 5.0 } else { value }
        })
        .collect()
}

/// The series as a cohort of one sequence, without times.
///
/// # Errors
/// Never; the type is that of all cohorts.
pub fn cohort() -> Result<Cohort, Error> {
    #[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
    let values: Vec<f32> = series().into_iter().map(|value| value as f32).collect();
    let sequence = Sequence::numeric("article", SubjectId::new("article"), 1, &values)?;
    let channel = Channel { name: "heart_rate".to_owned(), unit: "bpm".to_owned() };
    Cohort::new(Schema::new(vec![channel]), vec![sequence], "the article's series, simulated")
}

/// `NumPy`'s `RandomState`: the Mersenne Twister MT19937 with a cached normal number.
struct Legacy {
    state: [u32; SIZE],
    next: usize,
    cached: Option<f64>,
}

impl Legacy {
    fn new(seed: u32) -> Self {
        let mut state = [0_u32; SIZE];
        state[0] = seed;
        for index in 1..SIZE {
            let before = state[index - 1];
            let count = u32::try_from(index).unwrap_or(0);
            state[index] =
                1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(count);
        }
        Self { state, next: SIZE, cached: None }
    }

    fn word(&mut self) -> u32 {
        if self.next == SIZE {
            for index in 0..SIZE {
                let joined = (self.state[index] & 0x8000_0000)
                    | (self.state[(index + 1) % SIZE] & 0x7FFF_FFFF);
                let twist = if joined & 1 == 1 { 0x9908_B0DF } else { 0 };
                self.state[index] = self.state[(index + 397) % SIZE] ^ (joined >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9D2C_5680;
        word ^= (word << 15) & 0xEFC6_0000;
        word ^ (word >> 18)
    }

    /// Uniform in [0, 1) with 53 random bits from two words.
    fn double(&mut self) -> f64 {
        let high = f64::from(self.word() >> 5);
        let low = f64::from(self.word() >> 6);
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }

    fn gauss(&mut self) -> f64 {
        if let Some(cached) = self.cached.take() {
            return cached;
        }
        loop {
            let x1 = 2.0 * self.double() - 1.0;
            let x2 = 2.0 * self.double() - 1.0;
            let square = x1 * x1 + x2 * x2;
            if square < 1.0 && square != 0.0 {
                let factor = (-2.0 * log_of_glibc(square) / square).sqrt();
                self.cached = Some(factor * x1);
                return factor * x2;
            }
        }
    }
}

/// Words of the generator's state.
const SIZE: usize = 624;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_reference_code() {
        // First outputs of mt19937ar.c after init_genrand(5489), and its 10000th.
        let mut generator = Legacy::new(5489);
        let first: Vec<u32> = (0..3).map(|_| generator.word()).collect();
        assert_eq!(first, [3_499_211_612, 581_869_302, 3_890_346_734]);
        let last = (3..10_000).map(|_| generator.word()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
