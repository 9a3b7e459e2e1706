//! Intervals that treat a person, not a row, as the unit of chance.
//!
//! With two or more subjects: the **cluster bootstrap**. Whole subjects are drawn with
//! replacement, as many as there are, and the metric is taken over all their rows; the interval
//! is the 2.5th to 97.5th percentile of the replicates. It answers "how would this figure move
//! with other people of the same kind?". With few subjects percentile intervals are too narrow:
//! in simulation the 95 % interval of a mean covers about 83 % with 5 subjects, 89 % with 10 and
//! 93 % with 30, so tables mark intervals from fewer than [`FEW_SUBJECTS`].
//!
//! With one subject: the **moving-block bootstrap** over that subject's rows in the order given
//! (time). It answers a smaller question, "how would this figure move over other stretches of
//! this record?", says nothing about other people, and is a variant of its own
//! ([`Interval::Time`]) so that no one mistakes it for the other. A block is the larger of the
//! cube root of the rows and the horizon. Errors that stay alike for longer than a block make the
//! interval too narrow: on 1000 rows of a first-order autoregression with coefficient 0, 0.5 and
//! 0.9 (blocks of 10) it covers about 94 %, 91 % and 77 %.
//!
//! Where a class is rare ([`RARE_SUBJECTS`]), subjects are drawn within their class
//! ([`classify::score`](crate::classify::score)): a replicate without a case has no AUROC.
//!
//! **Determinism** draws are a function of the seed alone: the same bits on every machine and for
//! any number of threads, and the same draws for every metric and forecaster, so that differences are paired.
//!
//! **Source** Davison and Hinkley, *Bootstrap Methods and their Application*, 1997, sections 3.8
//! and 8.2.3; Künsch, Annals of Statistics 17 (1989) 1217; percentiles as Hyndman and Fan's
//! type 7 (`NumPy`'s default).

use sequela_core::{Random, SubjectId, quantile};

use crate::Error;
use crate::error::place;
use crate::units::Kind;
pub(crate) use crate::units::{Units, group};

/// How intervals are made. The default is 2000 replicates, seed 0, 95 %, one thread.
///
/// # Example
/// ```
/// use sequela_core::SubjectId;
/// use sequela_eval::bootstrap::Bootstrap;
/// let subjects = ["a", "a", "b", "c"].map(SubjectId::new);
/// let x = [1.0, 3.0, 2.0, 6.0];
/// let mean = |weights: &[f64]| {
///     let total: f64 = weights.iter().sum();
///     Some(weights.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() / total)
/// };
/// let estimate = Bootstrap::default().estimate(&subjects, mean)?;
/// assert_eq!(estimate.value, 3.0);
/// let (low, high) = estimate.interval.bounds().expect("three subjects");
/// assert!(low >= 2.0 && high <= 6.0);
/// # Ok::<(), sequela_eval::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples; 0 turns intervals off.
    pub replicates: u32,
    /// Seed of the draws.
    pub seed: u64,
    /// Share of the replicates inside the interval, between 0 and 1.
    pub level: f64,
    /// Threads that share the replicates of a classifier's figures; 0 is 1. Every number of them
    /// gives the same bits.
    pub threads: usize,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { replicates: 2000, seed: 0, level: 0.95, threads: 1 }
    }
}

/// Below this many subjects a percentile interval is visibly too narrow; tables say so.
pub const FEW_SUBJECTS: usize = 10;

/// A class that fewer subjects have is rare: subjects are drawn within classes then, so that every
/// replicate has as many of each as the data (Davison and Hinkley 1997, section 3.2.4).
pub const RARE_SUBJECTS: usize = 20;

/// The interval around a figure, and what it is an interval over.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Interval {
    /// Over people: subjects were drawn.
    Subjects {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// Subjects with a target to score.
        subjects: usize,
    },
    /// Over stretches of one subject's record; says nothing about other people.
    Time {
        /// Lower end.
        low: f64,
        /// Upper end.
        high: f64,
        /// Rows in a block.
        block: usize,
    },
    /// None: turned off, too short a record, or the metric is undefined in too many resamples.
    None,
}

impl Interval {
    /// Lower and upper end, where there is an interval.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        match *self {
            Self::Subjects { low, high, .. } | Self::Time { low, high, .. } => Some((low, high)),
            Self::None => None,
        }
    }

    /// Whether the interval lies wholly below `value` (of a paired difference: better than by
    /// chance).
    pub fn is_below(&self, value: f64) -> bool {
        self.bounds().is_some_and(|(_, high)| high < value)
    }

    /// Whether the interval lies wholly above `value`.
    pub fn is_above(&self, value: f64) -> bool {
        self.bounds().is_some_and(|(low, _)| low > value)
    }
}

/// A figure and its interval, in the units of what was scored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The figure on the data as they are.
    pub value: f64,
    /// Its interval.
    pub interval: Interval,
}

impl Bootstrap {
    /// A metric of rows with its interval by subject.
    ///
    /// `metric` gets a weight for each row (how often it was drawn) and returns `None` where it
    /// is not defined, for example an AUROC with one class. Undefined replicates are left out;
    /// if more than one in twenty is, there is no interval.
    ///
    /// **Cost** replicates x (rows + cost of `metric`).
    ///
    /// # Errors
    /// [`Error::Nothing`] without rows; [`Error::Undefined`] where the metric is not defined on
    /// the data as they are.
    pub fn estimate(
        &self,
        subjects: &[SubjectId],
        mut metric: impl FnMut(&[f64]) -> Option<f64>,
    ) -> Result<Estimate, Error> {
        if subjects.is_empty() {
            return Err(Error::Nothing { location: place("metric") });
        }
        let value = metric(&vec![1.0; subjects.len()]).ok_or(Error::Undefined {
            location: place("metric"),
            metric: "the metric",
            why: "it has no value on the data as they are",
        })?;
        let units = Units::new(&group(subjects), 1);
        let mut weights = vec![0.0; subjects.len()];
        let [interval] = self.intervals(&units, |drawn| {
            weights.fill(0.0);
            for &unit in drawn {
                for &row in units.rows(unit) {
                    weights[row] += 1.0;
                }
            }
            [metric(&weights).unwrap_or(f64::NAN)]
        });
        Ok(Estimate { value, interval })
    }

    /// The interval of each of N statistics; `statistics` gets the indices of the drawn units.
    pub(crate) fn intervals<const N: usize>(
        &self,
        units: &Units,
        mut statistics: impl FnMut(&[usize]) -> [f64; N],
    ) -> [Interval; N] {
        let all = self.intervals_of(units, N, |drawn, values| {
            values.copy_from_slice(&statistics(drawn));
        });
        std::array::from_fn(|at| all.get(at).copied().unwrap_or(Interval::None))
    }

    /// The interval of each of `wanted` statistics, which `statistics` writes for the drawn units.
    pub(crate) fn intervals_of(
        &self,
        units: &Units,
        wanted: usize,
        statistics: impl FnMut(&[usize], &mut [f64]),
    ) -> Vec<Interval> {
        if self.replicates == 0 || units.len() < 2 || wanted == 0 {
            return vec![Interval::None; wanted];
        }
        let mut table = vec![f64::NAN; self.replicates as usize * wanted];
        self.draw(units, 0, (&mut table, wanted), statistics);
        self.percentiles(units, (&table, wanted))
    }

    /// As [`Bootstrap::intervals_of`], the replicates shared over [`Bootstrap::threads`]; each
    /// thread takes a function of its own from `statistics`.
    pub(crate) fn intervals_shared<S: FnMut(&[usize], &mut [f64])>(
        &self,
        units: &Units,
        wanted: usize,
        statistics: impl Fn() -> S + Sync,
    ) -> Vec<Interval> {
        if self.threads <= 1 || self.replicates == 0 || units.len() < 2 || wanted == 0 {
            return self.intervals_of(units, wanted, statistics());
        }
        let share = (self.replicates as usize).div_ceil(self.threads);
        let mut table = vec![f64::NAN; self.replicates as usize * wanted];
        std::thread::scope(|scope| {
            for (at, part) in table.chunks_mut(share * wanted).enumerate() {
                let statistics = &statistics;
                scope.spawn(move || {
                    self.draw(units, (at * share) as u64, (part, wanted), statistics());
                });
            }
        });
        self.percentiles(units, (&table, wanted))
    }

    /// Fills a table of replicates, `(replicates, wanted)`, the first of which is the `first` of
    /// all: what is drawn depends on its number alone.
    fn draw(
        &self,
        units: &Units,
        first: u64,
        (table, wanted): (&mut [f64], usize),
        mut statistics: impl FnMut(&[usize], &mut [f64]),
    ) {
        let random = Random::new(self.seed, STREAM);
        let draws = units.draws();
        let mut drawn = vec![0; draws];
        for (replicate, values) in (first..).zip(table.chunks_exact_mut(wanted)) {
            let mut index = replicate * draws as u64;
            let mut places = drawn.iter_mut();
            for (members, draws) in &units.strata {
                for unit in places.by_ref().take(*draws) {
                    let found = random.below(index, members.len() as u64);
                    *unit = members.start + usize::try_from(found).unwrap_or(0);
                    index += 1;
                }
            }
            statistics(&drawn, values);
        }
    }

    /// The interval of each column of a table of replicates.
    fn percentiles(&self, units: &Units, (table, wanted): (&[f64], usize)) -> Vec<Interval> {
        let interval = |at: usize| {
            let column = table.iter().skip(at).step_by(wanted);
            let mut sample: Vec<f64> = column.copied().filter(|value| value.is_finite()).collect();
            let undefined = self.replicates as usize - sample.len();
            if undefined * 20 > self.replicates as usize || sample.is_empty() {
                return Interval::None;
            }
            sample.sort_unstable_by(f64::total_cmp);
            let tail = (1.0 - self.level) / 2.0;
            let [low, high] =
                [tail, 1.0 - tail].map(|share| quantile(&sample, share).unwrap_or(f64::NAN));
            match units.kind {
                Kind::Subjects => Interval::Subjects { low, high, subjects: units.len() },
                Kind::Blocks(block) => Interval::Time { low, high, block },
            }
        };
        (0..wanted).map(interval).collect()
    }
}

/// Names the draws of this module among all uses of the seed.
const STREAM: u64 = 0x626F_6F74;

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(subjects: usize, rows: usize, trials: u64) -> f64 {
        let mut hits = 0_u32;
        for trial in 0..trials {
            let random = Random::new(trial, 99);
            let ids: Vec<u32> =
                (0..subjects * rows).map(|row| u32::try_from(row / rows).unwrap()).collect();
            let x: Vec<f64> = (0..subjects * rows)
                .map(|row| {
                    let person = random.normal(1_000_000 + (row / rows) as u64);
                    person + 0.5 * random.normal(row as u64)
                })
                .collect();
            let units = Units::new(&ids, 1);
            let bootstrap = Bootstrap { replicates: 400, seed: trial, ..Bootstrap::default() };
            let [interval] = bootstrap.intervals(&units, |drawn| {
                let values = drawn.iter().flat_map(|&unit| units.rows(unit)).map(|&row| x[row]);
                [values.sum::<f64>() / (drawn.len() * rows) as f64]
            });
            let (low, high) = interval.bounds().unwrap();
            hits += u32::from(low <= 0.0 && 0.0 <= high);
        }
        f64::from(hits) / trials as f64
    }

    #[test]
    fn intervals_by_subject_cover_as_the_module_says() {
        let (five, ten, thirty) = (covered(5, 6, 600), covered(10, 6, 600), covered(30, 6, 600));
        println!("coverage with 5, 10, 30 subjects: {five:.3} {ten:.3} {thirty:.3}");
        assert!((0.78..0.88).contains(&five), "{five}");
        assert!((0.86..0.94).contains(&ten), "{ten}");
        assert!((0.90..0.97).contains(&thirty), "{thirty}");
    }

    fn covered_over_time(rows: usize, memory: f64, trials: u64) -> f64 {
        let mut hits = 0_u32;
        for trial in 0..trials {
            let random = Random::new(trial, 98);
            let mut x = vec![0.0; rows];
            for row in 1..rows {
                x[row] = memory * x[row - 1] + random.normal(row as u64);
            }
            let units = Units::new(&vec![0; rows], 1);
            let bootstrap = Bootstrap { replicates: 400, seed: trial, ..Bootstrap::default() };
            let sums: Vec<f64> = (0..units.len())
                .map(|unit| units.rows(unit).iter().map(|&row| x[row]).sum())
                .collect();
            let block = units.rows(0).len();
            let [interval] = bootstrap.intervals(&units, |drawn| {
                [drawn.iter().map(|&unit| sums[unit]).sum::<f64>() / (drawn.len() * block) as f64]
            });
            let (low, high) = interval.bounds().unwrap();
            hits += u32::from(low <= 0.0 && 0.0 <= high);
        }
        f64::from(hits) / trials as f64
    }

    #[test]
    fn intervals_over_time_cover_as_the_module_says() {
        let (none, some, much) = (
            covered_over_time(1000, 0.0, 400),
            covered_over_time(1000, 0.5, 400),
            covered_over_time(1000, 0.9, 400),
        );
        println!("coverage over time with memory 0, 0.5, 0.9: {none:.3} {some:.3} {much:.3}");
        assert!((0.91..0.97).contains(&none), "{none}");
        assert!((0.88..0.95).contains(&some), "{some}");
        assert!((0.72..0.83).contains(&much), "{much}");
    }

    #[test]
    fn rows_of_one_person_do_not_narrow_the_interval() {
        // The same people with every row repeated ten times: the same figure, the same interval.
        let once: Vec<SubjectId> = (0..8).map(|p| SubjectId::new(p.to_string())).collect();
        let often: Vec<SubjectId> = (0..80).map(|p| SubjectId::new((p / 10).to_string())).collect();
        let mean = |weights: &[f64], repeat: usize| {
            let total: f64 = weights.iter().sum();
            let sum: f64 =
                weights.iter().enumerate().map(|(row, w)| w * (row / repeat) as f64).sum();
            Some(sum / total)
        };
        let a = Bootstrap::default().estimate(&once, |w| mean(w, 1)).unwrap();
        let b = Bootstrap::default().estimate(&often, |w| mean(w, 10)).unwrap();
        let (a, b) = (a.interval.bounds().unwrap(), b.interval.bounds().unwrap());
        assert!((a.0 - b.0).abs() < 1e-12 && (a.1 - b.1).abs() < 1e-12, "{a:?} {b:?}");
    }

    #[test]
    fn one_subject_gets_blocks_over_time_or_nothing() {
        let long = Units::new(&[7; 1000], 5);
        assert!(matches!(long.kind, Kind::Blocks(10)));
        assert_eq!((long.len(), long.draws()), (991, 100));
        assert!(matches!(Units::new(&[7; 1000], 30).kind, Kind::Blocks(30)));
        let short = Units::new(&[7; 20], 5);
        let [interval] = Bootstrap::default().intervals(&short, |_| [0.0]);
        assert_eq!(interval, Interval::None);
    }

    #[test]
    fn undefined_replicates_end_the_interval() {
        let units = Units::new(&[0, 1, 2], 1);
        let [interval] = Bootstrap::default()
            .intervals(&units, |drawn| [if drawn[0] == 0 { f64::NAN } else { 1.0 }]);
        assert_eq!(interval, Interval::None);
        let off = Bootstrap { replicates: 0, ..Bootstrap::default() };
        assert_eq!(off.intervals(&units, |_| [1.0]), [Interval::None]);
    }

    #[test]
    fn strata_keep_their_sizes_in_every_draw() {
        // Rows of eight subjects; the second and the last are rare.
        let subjects = [0, 0, 1, 2, 3, 4, 5, 6, 7, 7];
        let rare = |rows: &[usize]| u32::from(rows.iter().any(|&row| row == 2 || row == 9));
        let units = Units::new(&subjects, 1).stratified(rare);
        let [share] = Bootstrap::default().intervals(&units, |drawn| {
            let rare = drawn.iter().filter(|&&unit| rare(units.rows(unit)) == 1).count();
            [rare as f64 / drawn.len() as f64]
        });
        assert_eq!(share.bounds(), Some((0.25, 0.25)));
    }
}
