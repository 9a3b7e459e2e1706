//! Windows for forecasting: some steps in, later steps as targets.
//!
//! ```text
//! start            start+length-1          +1            +h
//!   |--------- window ---------|            target of horizon 1 ... h
//! ```
//!
//! A window with its targets lies inside one unbroken stretch of one sequence: it never crosses
//! a gap and never sees past its own end.

use sequela_core::Location;
use serde::{Deserialize, Serialize};

use crate::gaps::{check_hours, stretches};
use crate::scaling::numeric;
use crate::{Cohort, Error};

/// Which windows are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowPlan {
    /// Steps of a window.
    pub length: usize,
    /// Steps from the last step of a window to each of its targets, rising, from 1.
    pub horizons: Vec<usize>,
    /// Steps between the starts of two windows.
    #[serde(default = "one")]
    pub stride: usize,
    /// Channels that are forecast, by position; empty means all.
    #[serde(default)]
    pub targets: Vec<usize>,
    /// A longer time without a step ends a stretch, in hours.
    #[serde(default)]
    pub longest_gap_hours: Option<f64>,
}

/// One window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Position of the sequence in its cohort.
    pub sequence: usize,
    /// First step.
    pub start: usize,
    /// Number of steps.
    pub length: usize,
    /// Whether every target was observed.
    pub complete: bool,
}

impl Window {
    /// The last step that the window sees.
    pub fn last(&self) -> usize {
        self.start + self.length - 1
    }
}

/// The windows of a cohort, and what gave none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Windows {
    /// By sequence, then by start.
    pub list: Vec<Window>,
    /// Positions of sequences without a stretch that is long enough.
    pub too_short: Vec<usize>,
    /// Windows left out because none of their targets was observed.
    pub without_target: usize,
    /// Windows left out because none of their inputs was observed.
    pub without_input: usize,
    /// Windows in the list that lack some, but not all, targets.
    pub incomplete: usize,
}

impl WindowPlan {
    /// Windows of `length` steps at every start, all channels forecast at `horizons`.
    pub fn new(length: usize, horizons: &[usize]) -> Self {
        Self {
            length,
            horizons: horizons.to_vec(),
            stride: 1,
            targets: Vec::new(),
            longest_gap_hours: None,
        }
    }

    /// Steps from the start of a window to its last target, both counted.
    pub fn reach(&self) -> usize {
        self.length.saturating_add(self.horizons.iter().copied().max().unwrap_or(0))
    }

    /// The channels forecast from a cohort of `features` channels.
    pub fn target_channels(&self, features: usize) -> Vec<usize> {
        if self.targets.is_empty() { (0..features).collect() } else { self.targets.clone() }
    }

    /// The windows whose targets lie inside the cohort: for training and judging.
    ///
    /// **Missing data** a window without any observed input or any observed target is left out
    /// and counted; one that lacks some targets is flagged. **Cost** linear in the windows times
    /// their horizons.
    ///
    /// # Errors
    /// [`Error::Request`] for a length, stride or horizon of 0, horizons that do not rise, or a
    /// channel that is not there; [`Error::TooShort`] where no sequence is long enough (one that
    /// is too short beside others is listed in [`Windows::too_short`]); [`Error::Unfit`] where
    /// sequences hold symbols, or every window lacks its targets.
    ///
    /// # Example
    /// ```
    /// use sequela_core::{Sequence, SubjectId};
    /// use sequela_data::{Cohort, heart_rate, windows::WindowPlan};
    /// let values: Vec<f32> = (0..10).map(|step| 60.0 + step as f32).collect();
    /// let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &values)?;
    /// let cohort = Cohort::new(heart_rate::schema(), vec![sequence], "by hand")?;
    /// let windows = WindowPlan::new(4, &[1, 3]).with_targets(&cohort)?;
    /// assert_eq!(windows.list.len(), 4); // the last sees steps 3..7, its targets are 7 and 9
    /// # Ok::<(), sequela_data::Error>(())
    /// ```
    pub fn with_targets(&self, cohort: &Cohort) -> Result<Windows, Error> {
        let windows = self.cut(cohort, self.reach())?;
        if windows.list.is_empty() {
            return Err(Error::unfit(
                Location::file(cohort.source()),
                "no window has an observed input and an observed target",
                "give data with fewer missing values",
            ));
        }
        Ok(windows)
    }

    /// All windows that lie inside the cohort, whether or not their targets do: for prediction.
    /// Their flag [`Window::complete`] is false.
    ///
    /// # Errors
    /// As [`WindowPlan::with_targets`]; targets play no part.
    pub fn without_targets(&self, cohort: &Cohort) -> Result<Windows, Error> {
        self.cut(cohort, self.length)
    }

    fn cut(&self, cohort: &Cohort, needed: usize) -> Result<Windows, Error> {
        self.check(cohort)?;
        let channels = self.target_channels(cohort.schema().len());
        let mut windows = Windows::default();
        let mut longest = (0, 0);
        for (at, sequence) in cohort.sequences().iter().enumerate() {
            let Some((_, observed, features)) = numeric(sequence) else {
                return Err(Error::unfit(
                    cohort.place(sequence),
                    "the sequence holds symbols, not numbers",
                    "forecast numeric sequences only",
                ));
            };
            let ranges = stretches(sequence, self.longest_gap_hours.unwrap_or(f64::INFINITY));
            let length = ranges.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
            if length >= longest.0 {
                longest = (length, at);
            }
            if length < needed {
                windows.too_short.push(at);
            }
            let seen = Seen { observed, features, channels: &channels };
            for range in ranges {
                let mut start = range.start;
                while start.saturating_add(needed) <= range.end {
                    self.add(&mut windows, at, start, &seen, needed);
                    start = start.saturating_add(self.stride);
                }
            }
        }
        if windows.too_short.len() < cohort.len() {
            return Ok(windows);
        }
        let Some(sequence) = cohort.sequences().get(longest.1) else {
            return Err(Error::unfit(
                Location::file(cohort.source()),
                "there is no sequence",
                "give at least one",
            ));
        };
        Err(Error::TooShort {
            location: cohort.place(sequence).into(),
            subject: sequence.subject.clone(),
            length: longest.0,
            needed,
            hint: "give a longer series, a shorter window or nearer horizons".to_owned(),
        })
    }

    /// Adds the window at `start`, unless nothing of it was observed.
    fn add(
        &self,
        windows: &mut Windows,
        sequence: usize,
        start: usize,
        seen: &Seen<'_>,
        needed: usize,
    ) {
        let mut window = Window { sequence, start, length: self.length, complete: false };
        if !seen.any_input(start..start + self.length) {
            windows.without_input += 1;
            return;
        }
        // Windows for prediction have no targets to look at.
        if needed > self.length {
            let wanted = self.horizons.len() * seen.channels.len();
            let found: usize =
                self.horizons.iter().map(|&h| seen.targets_at(window.last() + h)).sum();
            if found == 0 {
                windows.without_target += 1;
                return;
            }
            window.complete = found == wanted;
            windows.incomplete += usize::from(!window.complete);
        }
        windows.list.push(window);
    }

    fn check(&self, cohort: &Cohort) -> Result<(), Error> {
        for (field, value) in [("window.length", self.length), ("window.stride", self.stride)] {
            if value == 0 {
                return Err(Error::request(field, "it is 0", "give at least 1"));
            }
        }
        let rising = self.horizons.windows(2).all(|pair| pair[0] < pair[1]);
        if self.horizons.first().is_none_or(|&first| first == 0) || !rising {
            return Err(Error::request(
                "window.horizons",
                "they are not rising numbers from 1",
                "give for example [1, 5, 30]",
            ));
        }
        let features = cohort.schema().len();
        if self.targets.iter().any(|&channel| channel >= features) {
            return Err(Error::request(
                "window.targets",
                format!("a position is over the last of {features} channels"),
                "count channels from 0",
            ));
        }
        self.longest_gap_hours
            .map_or(Ok(()), |hours| check_hours("window.longest_gap_hours", hours))
    }
}

/// What was observed of one sequence.
struct Seen<'a> {
    observed: &'a [bool],
    features: usize,
    channels: &'a [usize],
}

impl Seen<'_> {
    fn any_input(&self, steps: std::ops::Range<usize>) -> bool {
        self.observed[steps.start * self.features..steps.end * self.features].contains(&true)
    }

    fn targets_at(&self, step: usize) -> usize {
        self.channels.iter().filter(|&&c| self.observed[step * self.features + c]).count()
    }
}

fn one() -> usize {
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heart_rate::schema;
    use sequela_core::{Sequence, SubjectId};

    fn cohort(series: &[&[f32]]) -> Cohort {
        let sequences = series
            .iter()
            .enumerate()
            .map(|(i, values)| {
                let name = format!("s{i}");
                Sequence::numeric(&name, SubjectId::new(&name), 1, values).unwrap()
            })
            .collect();
        Cohort::new(schema(), sequences, "test").unwrap()
    }

    #[test]
    fn short_series_are_skipped_beside_long_ones_and_refused_alone() {
        let plan = WindowPlan::new(3, &[1, 2]);
        let windows = plan.with_targets(&cohort(&[&[1.0; 4], &[1.0; 6]])).unwrap();
        assert_eq!((windows.too_short.as_slice(), windows.list.len()), (&[0][..], 2));
        let error = plan.with_targets(&cohort(&[&[1.0; 2], &[1.0; 4]])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "test, field s1: the longest unbroken stretch of subject s1 has 4 steps, but a \
             window and its horizons need 5; give a longer series, a shorter window or nearer \
             horizons"
        );
        assert_eq!(error.class().exit_code(), 3);
        assert!(plan.with_targets(&cohort(&[])).is_err());
    }

    #[test]
    fn windows_with_missing_targets_are_flagged_or_left_out() {
        let nan = f32::NAN;
        let data = cohort(&[&[1.0, 2.0, 3.0, nan, nan, nan, nan, 8.0, 9.0]]);
        let windows = WindowPlan::new(2, &[1, 2]).with_targets(&data).unwrap();
        let list: Vec<(usize, bool)> = windows.list.iter().map(|w| (w.start, w.complete)).collect();
        assert_eq!(list, [(0, false)]);
        assert_eq!((windows.incomplete, windows.without_target, windows.without_input), (1, 2, 3));
    }

    #[test]
    fn windows_for_prediction_reach_the_end() {
        let windows = WindowPlan::new(3, &[5]).without_targets(&cohort(&[&[1.0; 4]])).unwrap();
        assert_eq!(windows.list.last().map(Window::last), Some(3));
    }

    #[test]
    fn senseless_plans_are_usage_errors() {
        let data = cohort(&[&[1.0; 9]]);
        let base = WindowPlan::new(2, &[1]);
        for plan in [
            WindowPlan { length: 0, ..base.clone() },
            WindowPlan { stride: 0, ..base.clone() },
            WindowPlan { horizons: vec![], ..base.clone() },
            WindowPlan { horizons: vec![0], ..base.clone() },
            WindowPlan { horizons: vec![2, 2], ..base.clone() },
            WindowPlan { targets: vec![1], ..base.clone() },
            WindowPlan { longest_gap_hours: Some(-1.0), ..base },
        ] {
            let error = plan.with_targets(&data).unwrap_err();
            assert_eq!(error.class().exit_code(), 2, "{error}");
        }
        let endless = WindowPlan::new(usize::MAX, &[usize::MAX]);
        assert!(matches!(endless.with_targets(&data), Err(Error::TooShort { .. })));
    }
}
