//! The values of some codes of a folder of MEDS, enough of them for pictures.

use std::path::Path;

use sequela_core::Limits;
use sequela_formats::meds::{STATIC, read_shards};

use crate::Error;

/// Times and values, of large folders every n-th of them.
#[derive(Debug, Clone, PartialEq)]
pub struct MedsValues {
    /// Times of events in microseconds since 1970, sorted.
    pub times: Vec<f64>,
    /// Values of each of the codes that were asked for, sorted.
    pub values: Vec<Vec<f64>>,
}

/// Reads the times of all events and the values of `codes`; of more than 65,536 of a kind every
/// second, fourth and so on, as they come.
///
/// **Units** those of the file. **Determinism** the same for any number of threads. **Cost** as
/// many shards as threads in memory, and half a mebibyte for each code.
///
/// # Errors
/// Those of [`read_shards`].
///
/// # Example
/// ```
/// use sequela_core::Limits;
/// use sequela_data::load::meds_values;
/// let nowhere = meds_values("nowhere".as_ref(), &["HR".to_owned()], 1, &Limits::default());
/// assert!(nowhere.unwrap_err().to_string().contains("there is no such file"));
/// ```
pub fn meds_values(
    folder: &Path,
    codes: &[String],
    threads: usize,
    limits: &Limits,
) -> Result<MedsValues, Error> {
    let mut times = Thinned::default();
    let mut values = vec![Thinned::default(); codes.len()];
    read_shards(folder, threads, limits, &mut |_, shard| {
        // Codes of the shard by their places among those that are wanted.
        let wanted: Vec<Option<usize>> =
            shard.names.iter().map(|name| codes.iter().position(|code| code == name)).collect();
        for ((time, code), value) in shard.times.iter().zip(&shard.codes).zip(&shard.values) {
            if *time != STATIC {
                times.push(*time as f64);
            }
            let slot = wanted.get(*code as usize).copied().flatten();
            if let Some(slot) = slot.and_then(|at| values.get_mut(at))
                && !value.is_nan()
            {
                slot.push(f64::from(*value));
            }
        }
        Ok(())
    })?;
    let values = values.into_iter().map(Thinned::sorted).collect();
    Ok(MedsValues { times: times.sorted(), values })
}

/// Every n-th of what came, n doubling whenever there are too many.
#[derive(Debug, Clone)]
struct Thinned {
    kept: Vec<f64>,
    every: u64,
    seen: u64,
}

impl Default for Thinned {
    fn default() -> Self {
        Self { kept: Vec::new(), every: 1, seen: 0 }
    }
}

impl Thinned {
    fn push(&mut self, value: f64) {
        if self.seen.is_multiple_of(self.every) {
            if self.kept.len() == MOST {
                let mut at = 0;
                self.kept.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                self.every *= 2;
            }
            // What was kept are the multiples of what `every` is now.
            if self.seen.is_multiple_of(self.every) {
                self.kept.push(value);
            }
        }
        self.seen += 1;
    }

    fn sorted(mut self) -> Vec<f64> {
        self.kept.sort_unstable_by(f64::total_cmp);
        self.kept
    }
}

/// Values of a kind at most.
const MOST: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nth_is_kept() {
        let mut thinned = Thinned::default();
        let all = 5 * (1_u32 << 16);
        for value in 0..all {
            thinned.push(f64::from(value));
        }
        assert_eq!(thinned.every, 8);
        let wanted: Vec<f64> = (0..all).step_by(8).map(f64::from).collect();
        assert_eq!(thinned.sorted(), wanted);
    }
}
