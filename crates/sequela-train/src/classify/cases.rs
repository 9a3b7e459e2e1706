//! Series with their classes, in the form that batches are made from.
//!
//! What is asked and judged are *rows*: a row is a series up to one of its steps. A class of the whole
//! series is one row at its end, a class of each step a row at each; all that comes after (features,
//! figures, tables) goes row by row and knows no difference. A row sees no step after its own.

use std::ops::Range;
use std::sync::Arc;

use sequela_core::{Random, Sequence, SubjectId, Target};
use sequela_data::Cohort;
use sequela_eval::classify::{SepsisUtility, StepTruth, ThresholdRule, log_loss_classes};

use crate::Error;
use crate::encode::Encoder;
use crate::judge;
use crate::series::Series;
use crate::study::{Data, Study, Task};

/// Which rows of series are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Each whole series.
    Series,
    /// Each step whose class is known; with what an alarm gains there.
    KnownSteps(Gains),
    /// Each step.
    EveryStep,
}

/// Whether it is known what an alarm gains in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gains {
    /// It is not.
    Unknown,
    /// By the utility of hourly warnings of sepsis.
    Sepsis,
}

impl Asked {
    /// The rows that a study trains and judges on.
    pub(super) fn known(study: &Study) -> Self {
        if study.study.task != Task::Label {
            return Self::Series;
        }
        let sepsis = matches!(study.data, Data::Physionet2019(_))
            || study.evaluate.threshold == ThresholdRule::SepsisUtility;
        Self::KnownSteps(if sepsis { Gains::Sepsis } else { Gains::Unknown })
    }

    /// The rows that a model of this study answers for.
    pub(super) fn every(study: &Study) -> Self {
        if study.study.task == Task::Label { Self::EveryStep } else { Self::Series }
    }
}

/// The series of one part of the data.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cases {
    pub(super) series: Vec<Arc<Series>>,
    /// The steps of each series that are looked at.
    pub(super) spans: Vec<Range<usize>>,
    /// Whose each series is.
    owner: Vec<SubjectId>,
    /// The rows, series by series, each by the step before which it ends.
    ends: Vec<u32>,
    /// The series of each row.
    of: Vec<u32>,
    /// The first row of each series.
    first: Vec<usize>,
    /// The class of each row, where it is known.
    pub(super) class: Vec<Option<u32>>,
    /// What is known of rows that are steps.
    pub(super) steps: Option<StepTruth>,
}

impl Cases {
    /// The series of a cohort, whose targets are the classes.
    pub(super) fn of(cohort: &Cohort, encoder: &Encoder, asked: Asked) -> Result<Self, Error> {
        let mut cases = Self::default();
        for sequence in cohort.sequences() {
            let steps = sequence.len();
            let first = if encoder.length == 0 { 0 } else { steps.saturating_sub(encoder.length) };
            cases.series.push(Arc::new(encoder.series(sequence)?));
            cases.spans.push(first..steps);
            cases.owner.push(sequence.subject.clone());
            cases.first.push(cases.ends.len());
            if asked == Asked::Series {
                let class = match sequence.target {
                    Target::Class(class) => Some(class),
                    _ => None,
                };
                cases.push(steps, class);
            } else {
                cases.push_steps(sequence, first, asked);
            }
        }
        if asked != Asked::Series {
            cases.steps.get_or_insert_default().days = days_of_a_step(cohort);
        }
        Ok(cases)
    }

    fn push(&mut self, end: usize, class: Option<u32>) {
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        self.ends.push(narrow(end));
        self.of.push(narrow(self.series.len() - 1));
        self.class.push(class);
    }

    fn push_steps(&mut self, sequence: &Sequence, first: usize, asked: Asked) {
        let classes = match &sequence.target {
            Target::PerStep(classes) => classes.as_slice(),
            _ => &[],
        };
        let gains = if asked == Asked::KnownSteps(Gains::Sepsis) {
            let is_case: Vec<bool> = classes.iter().map(|class| *class == Some(1)).collect();
            SepsisUtility::gains(&is_case)
        } else {
            Vec::new()
        };
        for step in first..sequence.len() {
            let class = classes.get(step).copied().flatten();
            if class.is_some() || asked == Asked::EveryStep {
                self.push(step + 1, class);
                if let Some(&gain) = gains.get(step) {
                    self.steps.get_or_insert_default().gains.push(gain);
                }
            }
        }
    }

    /// Adds those of another part.
    pub(super) fn append(&mut self, other: &Self) {
        let (series, rows) = (u32::try_from(self.series.len()).unwrap_or(0), self.ends.len());
        self.series.extend(other.series.iter().cloned());
        self.spans.extend(other.spans.iter().cloned());
        self.owner.extend(other.owner.iter().cloned());
        self.ends.extend(&other.ends);
        self.of.extend(other.of.iter().map(|of| of + series));
        self.first.extend(other.first.iter().map(|first| first + rows));
        self.class.extend(&other.class);
        if let Some(steps) = &other.steps {
            let own = self.steps.get_or_insert_default();
            own.gains.extend(&steps.gains);
            own.days = own.days.or(steps.days);
        }
    }

    /// Some of the series, with their rows.
    pub(super) fn part(&self, series: &[u32]) -> Self {
        let mut part = Self::default();
        for &at in series {
            let at = at as usize;
            part.series.push(Arc::clone(&self.series[at]));
            part.spans.push(self.spans[at].clone());
            part.owner.push(self.owner[at].clone());
            part.first.push(part.ends.len());
            for row in self.rows_of(at) {
                part.push(self.ends[row] as usize, self.class[row]);
                if let Some(gain) = self.steps.as_ref().and_then(|steps| steps.gains.get(row)) {
                    part.steps.get_or_insert_default().gains.push(*gain);
                }
            }
        }
        if let Some(steps) = &self.steps {
            part.steps.get_or_insert_default().days = steps.days;
        }
        part
    }

    /// The log loss of probabilities `(N, K)`; none where a class is not known.
    pub(super) fn log_loss(&self, said: &[f64], classes: usize) -> Option<f64> {
        let truth: Vec<u32> = self.class.iter().copied().collect::<Option<_>>()?;
        log_loss_classes(said, classes, &truth, None).ok()
    }

    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whose a row is.
    pub(super) fn subject(&self, row: usize) -> &SubjectId {
        &self.owner[self.of[row] as usize]
    }

    /// The series of a row, and the last of its steps that the row sees.
    pub(super) fn place(&self, row: usize) -> (usize, usize) {
        (self.of[row] as usize, (self.ends[row] as usize).saturating_sub(1))
    }

    /// The series of a row and the steps that it sees of it.
    pub(super) fn seen(&self, row: usize) -> (&Series, Range<usize>) {
        let of = self.of[row] as usize;
        (&self.series[of], self.spans[of].start..self.ends[row] as usize)
    }

    /// The rows of a series.
    pub(super) fn rows_of(&self, series: usize) -> Range<usize> {
        self.first[series]..self.first.get(series + 1).copied().unwrap_or(self.ends.len())
    }

    /// How many series are judged at once, of at most `batch`: fewer where they are long.
    pub(super) fn at_once(&self, batch: usize) -> usize {
        let longest = self.spans.iter().map(Range::len).max().unwrap_or(0);
        batch.min(judge::batch(longest))
    }

    /// Steps looked at, of all series together.
    pub(super) fn total_steps(&self) -> usize {
        self.spans.iter().map(Range::len).sum()
    }

    /// How many rows are of each class.
    pub(super) fn counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for class in self.class.iter().flatten() {
            if let Some(count) = counts.get_mut(*class as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Whether each row is of a class.
    pub(super) fn is(&self, class: usize) -> Vec<bool> {
        self.class.iter().map(|found| found.is_some_and(|found| found as usize == class)).collect()
    }

    /// All rows; of steps that are more than `most` about so many that stand for all: of a class
    /// with few steps all, of one with many some at random, each of which counts for several.
    pub(super) fn sample(&self, most: usize, seed: u64) -> Sample {
        if self.steps.is_none() || self.len() <= most {
            return Sample { rows: (0..self.len()).collect(), weights: None };
        }
        let classes = self.class.iter().flatten().max().map_or(0, |class| *class as usize + 1);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
        for (row, class) in self.class.iter().enumerate() {
            if let Some(class) = class {
                members[*class as usize].push(row);
            }
        }
        members.retain(|rows| !rows.is_empty());
        members.sort_by_key(Vec::len);
        let (mut left, count) = (most, members.len());
        let mut drawn: Vec<(usize, f64)> = Vec::with_capacity(most);
        for (at, mut rows) in members.into_iter().enumerate() {
            let all = rows.len();
            let taken = all.min(left / (count - at));
            if taken < all {
                Random::new(seed, SAMPLE.wrapping_add(at as u64)).shuffle(&mut rows);
                rows.truncate(taken);
            }
            left -= taken;
            drawn.extend(rows.into_iter().map(|row| (row, all as f64 / taken as f64)));
        }
        drawn.sort_by_key(|(row, _)| *row);
        let (rows, weights) = drawn.into_iter().unzip();
        Sample { rows, weights: Some(weights) }
    }
}

/// Rows that stand for all.
pub(super) struct Sample {
    pub(super) rows: Vec<usize>,
    /// How many rows each stands for; one where there are none.
    pub(super) weights: Option<Vec<f64>>,
}

/// The mean time of a step of series that have times, in days.
fn days_of_a_step(cohort: &Cohort) -> Option<f64> {
    let (mut hours, mut steps) = (0.0, 0.0);
    for sequence in cohort.sequences() {
        if let Some([first, .., last]) = sequence.times.as_deref() {
            hours += last - first;
            steps += (sequence.len() - 1) as f64;
        }
    }
    (hours > 0.0).then(|| hours / steps / 24.0)
}

/// The random stream of samples; the class is added.
const SAMPLE: u64 = 0x736d_706c << 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(class: &[Option<u32>]) -> Cases {
        let mut cases = Cases { steps: Some(StepTruth::default()), ..Cases::default() };
        cases.series.push(Arc::new(Series {
            scaled: Vec::new(),
            seen: Vec::new(),
            raw: Vec::new(),
            features: 1,
            target: 0,
            whole: true,
        }));
        cases.first.push(0);
        for (at, class) in class.iter().enumerate() {
            cases.push(at + 1, *class);
        }
        cases
    }

    #[test]
    fn a_part_has_the_rows_of_its_series_alone() {
        let mut all = rows(&[Some(0), None, Some(1)]);
        all.spans.push(0..3);
        all.owner.push(SubjectId::new("a"));
        for (who, class) in [("b", 1), ("c", 0)] {
            all.first.push(all.len());
            all.series.push(Arc::clone(&all.series[0]));
            all.spans.push(0..2);
            all.owner.push(SubjectId::new(who));
            all.push(1, Some(class));
            all.push(2, Some(1 - class));
        }
        all.steps.get_or_insert_default().gains =
            (0..7_u8).map(|row| [f64::from(row), 0.5]).collect();
        let mut part = all.part(&[2, 0]);
        assert_eq!(part.class, [Some(0), Some(1), Some(0), None, Some(1)]);
        assert_eq!((part.subject(1).as_str(), part.place(1)), ("c", (0, 1)));
        assert_eq!((part.subject(4).as_str(), part.place(4)), ("a", (1, 2)));
        assert_eq!((part.rows_of(0), part.rows_of(1)), (0..2, 2..5));
        let gains = |cases: &Cases| -> Vec<f64> {
            cases.steps.as_ref().unwrap().gains.iter().map(|gain| gain[0]).collect()
        };
        assert_eq!(gains(&part), [5.0, 6.0, 0.0, 1.0, 2.0]);
        // With the rest of them all are there again.
        part.append(&all.part(&[1]));
        assert_eq!((part.len(), part.rows_of(2)), (7, 5..7));
        assert_eq!(part.subject(6).as_str(), "b");
        let known = all.part(&[1, 2]);
        let loss = known.log_loss(&[0.2, 0.8, 0.7, 0.3, 0.6, 0.4, 0.1, 0.9], 2).unwrap();
        let mean: f64 = [0.8_f64, 0.7, 0.6, 0.9].iter().map(|&p| -libm::log(p)).sum::<f64>() / 4.0;
        assert!((loss - mean).abs() < 1e-12);
        assert_eq!(all.log_loss(&[0.5; 14], 2), None);
    }

    #[test]
    fn a_sample_keeps_what_is_rare_and_stands_for_all() {
        let cases =
            rows(&(0..1000_u32).map(|row| Some(u32::from(row % 50 == 0))).collect::<Vec<_>>());
        let sample = cases.sample(120, 7);
        let weights = sample.weights.unwrap();
        assert_eq!(sample.rows.len(), 120);
        assert!(sample.rows.windows(2).all(|pair| pair[0] < pair[1]));
        let rare = sample.rows.iter().filter(|row| **row % 50 == 0).count();
        assert_eq!((rare, weights.iter().sum::<f64>().round()), (20, 1000.0));
        assert_eq!(cases.sample(120, 7).rows, sample.rows);
        assert_ne!(cases.sample(120, 8).rows, sample.rows);
        assert!(cases.sample(1000, 7).weights.is_none());
    }
}
