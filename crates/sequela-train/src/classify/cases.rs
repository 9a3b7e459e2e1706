//! Series with their classes, in the form that batches are made from.

use std::ops::Range;

use sequela_core::{SubjectId, Target};
use sequela_data::Cohort;

use crate::Error;
use crate::encode::Encoder;
use crate::judge;
use crate::series::Series;

/// The series of one part of the data.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cases {
    pub(super) series: Vec<Series>,
    /// The steps of each series that are looked at.
    pub(super) spans: Vec<Range<usize>>,
    /// The class of each series, where it is known.
    pub(super) class: Vec<Option<u32>>,
    /// Whose it is.
    pub(super) subject: Vec<SubjectId>,
}

impl Cases {
    /// The series of a cohort, whose targets are the classes.
    pub(super) fn of(cohort: &Cohort, encoder: &Encoder) -> Result<Self, Error> {
        let mut cases = Self::default();
        for sequence in cohort.sequences() {
            let steps = sequence.len();
            let first = if encoder.length == 0 { 0 } else { steps.saturating_sub(encoder.length) };
            cases.series.push(encoder.series(sequence)?);
            cases.spans.push(first..steps);
            cases.class.push(match sequence.target {
                Target::Class(class) => Some(class),
                _ => None,
            });
            cases.subject.push(sequence.subject.clone());
        }
        Ok(cases)
    }

    /// Adds those of another part.
    pub(super) fn append(&mut self, other: &Self) {
        self.series.extend(other.series.iter().cloned());
        self.spans.extend(other.spans.iter().cloned());
        self.class.extend(&other.class);
        self.subject.extend(other.subject.iter().cloned());
    }

    /// Number of series.
    pub(super) fn len(&self) -> usize {
        self.series.len()
    }

    /// How many series are judged at once, of at most `batch`: fewer where they are long.
    pub(super) fn at_once(&self, batch: usize) -> usize {
        let longest = self.spans.iter().map(Range::len).max().unwrap_or(0);
        batch.min(judge::batch(longest))
    }

    /// Steps looked at, of all series together.
    pub(super) fn steps(&self) -> usize {
        self.spans.iter().map(Range::len).sum()
    }

    /// How many series are of each class.
    pub(super) fn counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for class in self.class.iter().flatten() {
            if let Some(count) = counts.get_mut(*class as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// Whether each series is of a class.
    pub(super) fn is(&self, class: usize) -> Vec<bool> {
        self.class.iter().map(|found| found.is_some_and(|found| found as usize == class)).collect()
    }
}
