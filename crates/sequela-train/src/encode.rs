//! From measured series to the numbers that a network sees, and back to units.
//!
//! Everything that training decides about this (scales, carrying, targets) is an [`Encoder`],
//! which the model file keeps, so that training, judging, prediction and streams go through the
//! same lines.

use sequela_core::{Sequence, Steps};
use sequela_data::Cohort;
use sequela_data::envelope::Envelope;
use sequela_data::scaling::Scaler;
use sequela_data::windows::WindowPlan;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::indicate::{Gaps, indicate};
use crate::running::SoFar;
use crate::series::{Example, Examples, NEVER, Series};
use crate::statics;
use crate::study::{Indicator, InputKind, Missing, Study, Summary, TargetKind, Task};

/// How windows become network inputs and outputs become forecasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    /// Scale of each channel, from the training part.
    pub scaler: Scaler,
    /// Position of the channel that is forecast.
    pub target: usize,
    /// Steps of a window.
    pub length: usize,
    /// Steps ahead.
    pub horizons: Vec<usize>,
    /// What the network's output is.
    pub output: TargetKind,
    /// Root mean square, over the training part, of what the output is at each horizon; empty
    /// where it is the value itself.
    pub changes: Vec<f64>,
    /// What the inputs are.
    pub inputs: InputKind,
    /// What stands in for a missing value.
    pub missing: Missing,
    /// What is told beside the values.
    pub indicators: Vec<Indicator>,
    /// What is told of the values so far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub summaries: Vec<Summary>,
    /// How far from 0 scaled values are believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
    /// Positions of the channels that are fed once for each series.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statics: Vec<usize>,
    /// A longer time without a step ends a stretch, in hours.
    pub longest_gap_hours: Option<f64>,
    /// Windows with a larger share of missing values are left out.
    pub most_missing: f64,
    /// What the training part looked like: its series, also up to their steps where each is
    /// answered, or the windows that are forecast from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope: Option<Envelope>,
}

impl Encoder {
    /// The encoder of a study, its numbers taken from the training part.
    pub(crate) fn fit(study: &Study, train: &Cohort, target: usize) -> Result<Self, Error> {
        let window = &study.window;
        let mut encoder = Self {
            scaler: Scaler::fit(train, study.scale.kind)?,
            target,
            length: window.length,
            horizons: window.horizons.clone(),
            output: window.target,
            changes: Vec::new(),
            inputs: window.inputs,
            missing: window.missing,
            indicators: study.indicators(),
            summaries: window.summaries.clone(),
            clip: window.clip,
            statics: statics::positions(study, train)?,
            longest_gap_hours: window.longest_gap_hours,
            most_missing: window.most_missing,
            envelope: Some(match study.study.task {
                Task::Forecast => Envelope::of_windows(train, window.length),
                Task::Label => Envelope::of_steps(train),
                _ => Envelope::of(train),
            }),
        };
        if encoder.output != TargetKind::Value {
            let raw = study.scale.kind == sequela_data::scaling::ScalingMethod::Identity;
            encoder.changes = if raw {
                vec![1.0; window.horizons.len()]
            } else {
                encoder.measure_changes(train)?
            };
        }
        Ok(encoder)
    }

    /// Root mean square of what lies between the anchor of a window and each horizon.
    fn measure_changes(&self, train: &Cohort) -> Result<Vec<f64>, Error> {
        let examples = self.examples(train, 1)?;
        let spread = |&horizon: &usize| {
            let (mut sum, mut count) = (0.0, 0_u64);
            for example in &examples.windows {
                let series = &examples.series[example.series as usize];
                let start = example.start as usize;
                let last = start + self.length - 1;
                if let Some(then) = series.truth(last + horizon) {
                    let now = self.anchor(series, start, last);
                    sum += (f64::from(then) - f64::from(now)).powi(2);
                    count += 1;
                }
            }
            let spread = libm::sqrt(sum / count.max(1) as f64);
            if spread > 0.0 { spread } else { 1.0 }
        };
        Ok(self.horizons.iter().map(spread).collect())
    }

    /// Columns of a network input row.
    pub(crate) fn width(&self) -> usize {
        self.moving() * (1 + self.indicators.len() + self.summaries.len())
    }

    /// The windows that this encoder is asked about.
    pub(crate) fn plan(&self, stride: usize) -> WindowPlan {
        WindowPlan {
            length: self.length,
            horizons: self.horizons.clone(),
            stride,
            targets: vec![self.target],
            longest_gap_hours: self.longest_gap_hours,
        }
    }

    /// A sequence in the form that windows are cut from.
    pub(crate) fn series(&self, sequence: &Sequence) -> Result<Series, Error> {
        let features = self.scaler.channels.len();
        let Steps::Numeric { values, observed, features: found } = &sequence.steps else {
            return Err(Error::data(
                sequence.id.as_str(),
                "the sequence holds symbols, not numbers",
                "forecast numeric sequences",
            ));
        };
        if *found != features {
            return Err(Error::data(
                sequence.id.as_str(),
                format!("the sequence has {found} channels, the model {features}"),
                "give it the channels that the model was trained on",
            ));
        }
        let mut series = self.empty(sequence.len());
        for (row, seen) in values.chunks_exact(features).zip(observed.chunks_exact(features)) {
            self.push(&mut series, row, |channel| seen[channel]);
        }
        Ok(series)
    }

    /// A series without steps.
    pub(crate) fn empty(&self, room: usize) -> Series {
        let features = self.scaler.channels.len();
        Series {
            scaled: Vec::with_capacity(room * features),
            seen: Vec::with_capacity(room * features),
            raw: Vec::with_capacity(room),
            features,
            target: self.target,
            whole: true,
        }
    }

    /// Appends a step.
    pub(crate) fn push(&self, series: &mut Series, row: &[f32], observed: impl Fn(usize) -> bool) {
        let step = u32::try_from(series.raw.len()).unwrap_or(NEVER - 1);
        let before = series.seen.len().checked_sub(series.features);
        for (channel, &value) in row.iter().enumerate() {
            if observed(channel) {
                series.scaled.push(self.scaler.scale(channel, value));
                series.seen.push(step);
            } else {
                series.scaled.push(0.0);
                series.seen.push(before.map_or(NEVER, |before| series.seen[before + channel]));
                series.whole = false;
            }
        }
        series.raw.push(row[self.target]);
    }

    /// The windows of a part whose targets lie inside it.
    pub(crate) fn examples(&self, part: &Cohort, stride: usize) -> Result<Examples, Error> {
        if part.is_empty() {
            return Ok(Examples::default());
        }
        let windows = self.plan(stride).with_targets(part)?;
        let mut examples = self.without_windows(part)?;
        let usable = |example: &Example| {
            let (series, start) =
                (&examples.series[example.series as usize], example.start as usize);
            series.missing_share(start, start + self.length - 1) <= self.most_missing
        };
        let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let list: Vec<Example> = windows
            .list
            .iter()
            .map(|w| Example { series: narrow(w.sequence), start: narrow(w.start) })
            .filter(usable)
            .collect();
        if list.is_empty() {
            return Err(Error::data(
                part.source(),
                "every window has too many missing values",
                "raise window.most_missing, or give data with fewer gaps",
            ));
        }
        examples.windows = list;
        Ok(examples)
    }

    /// The series of a part, without windows.
    pub(crate) fn without_windows(&self, part: &Cohort) -> Result<Examples, Error> {
        let subjects = part.subjects();
        let number = |s: &Sequence| subjects.binary_search(&s.subject).unwrap_or(0);
        Ok(Examples {
            series: part.sequences().iter().map(|s| self.series(s)).collect::<Result<_, _>>()?,
            subject: part.sequences().iter().map(number).collect(),
            subjects: subjects.len(),
            windows: Vec::new(),
        })
    }

    /// Appends the rows of steps `steps` of a series to `out`; what was seen before `start` is
    /// not looked at.
    pub(crate) fn rows(
        &self,
        series: &Series,
        start: usize,
        steps: std::ops::Range<usize>,
        out: &mut Vec<f32>,
    ) {
        let features = series.features;
        let first = out.len();
        let told = self.indicators.is_empty() && self.summaries.is_empty();
        let plain = told && self.clip.is_none() && self.statics.is_empty();
        let moves = |cell: &usize| self.statics.is_empty() || self.moves(cell % features);
        if series.whole && plain {
            out.extend_from_slice(&series.scaled[steps.start * features..steps.end * features]);
        } else {
            let mut so_far = SoFar::new(self, series, start..steps.start);
            for step in steps {
                let cells = step * features..(step + 1) * features;
                for cell in cells.clone().filter(moves) {
                    out.push(self.value(series, start, cell));
                }
                for indicator in &self.indicators {
                    for cell in cells.clone().filter(moves) {
                        let gap = |seen: u32| {
                            let known = seen != NEVER && seen as usize >= start;
                            known.then(|| step as u64 - u64::from(seen))
                        };
                        let before = cell.checked_sub(features).filter(|_| step > start);
                        let gaps = Gaps {
                            now: gap(series.seen[cell]),
                            before: before.and_then(|cell| gap(series.seen[cell])),
                        };
                        out.push(indicate(*indicator, gaps, (step + 1 - start) as u64));
                    }
                }
                so_far.see(self, series, step);
                so_far.push(self, out);
            }
        }
        if self.inputs == InputKind::Relative {
            self.subtract_base(&mut out[first..], self.moving());
        }
    }

    /// Takes from every channel of a window the value that stands for its level.
    fn subtract_base(&self, rows: &mut [f32], features: usize) {
        let width = self.width();
        let steps = rows.len() / width;
        for channel in 0..features {
            let of_channel = || rows.iter().skip(channel).step_by(width);
            let base = match self.output {
                TargetKind::Level => {
                    narrow(of_channel().map(|&v| f64::from(v)).sum::<f64>() / steps as f64)
                }
                TargetKind::Value | TargetKind::Change => {
                    of_channel().next_back().copied().unwrap_or(0.0)
                }
            };
            for value in rows.iter_mut().skip(channel).step_by(width) {
                *value -= base;
            }
        }
    }

    /// The value that stands in a cell.
    fn value(&self, series: &Series, start: usize, cell: usize) -> f32 {
        let seen = series.seen[cell];
        let (step, channel) = (cell / series.features, cell % series.features);
        let known = match self.missing {
            Missing::Carry => seen != NEVER && seen as usize >= start,
            Missing::Centre => seen as usize == step,
        };
        if known {
            self.believed(series.scaled[seen as usize * series.features + channel])
        } else {
            0.0
        }
    }

    /// A scaled value, no further from 0 than is believed.
    pub(crate) fn believed(&self, value: f32) -> f32 {
        match self.clip.map(narrow) {
            Some(most) => value.clamp(-most, most),
            None => value,
        }
    }

    /// The value that outputs are counted from: the last one seen or the mean of the window; the
    /// centre where nothing was seen.
    pub(crate) fn anchor(&self, series: &Series, start: usize, last: usize) -> f32 {
        let anchor = match self.output {
            TargetKind::Level => series.mean(start, last).map(narrow),
            TargetKind::Value | TargetKind::Change => series.last_seen(start, last),
        };
        anchor.unwrap_or_else(|| narrow(self.centre()))
    }

    /// The centre of the target channel.
    pub(crate) fn centre(&self) -> f64 {
        self.scaler.channels.get(self.target).map_or(0.0, |scale| scale.centre)
    }

    /// Appends what the network should say at step `last`, and 1 where that is known, else 0.
    pub(crate) fn targets(
        &self,
        series: &Series,
        start: usize,
        last: usize,
        targets: &mut Vec<f32>,
        weights: &mut Vec<f32>,
    ) {
        let anchor = self.anchor(series, start, last);
        for (k, &horizon) in self.horizons.iter().enumerate() {
            let truth = series.truth(last + horizon);
            weights.push(f32::from(u8::from(truth.is_some())));
            targets.push(match (truth, self.output) {
                (None, _) => 0.0,
                (Some(truth), TargetKind::Value) => self.scaler.scale(self.target, truth),
                (Some(truth), TargetKind::Change | TargetKind::Level) => {
                    narrow((f64::from(truth) - f64::from(anchor)) / self.changes[k])
                }
            });
        }
    }

    /// The forecast, in the target's unit, of output `k`.
    pub(crate) fn decode(&self, k: usize, anchor: f32, output: f32) -> f32 {
        match self.output {
            TargetKind::Value => self.scaler.unscale(self.target, output),
            TargetKind::Change | TargetKind::Level => {
                narrow(f64::from(anchor) + f64::from(output) * self.changes[k])
            }
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "values are kept in f32")]
pub(crate) fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::SubjectId;
    use sequela_data::scaling::ChannelScale;

    fn encoder(missing: Missing, output: TargetKind) -> Encoder {
        let scale =
            ChannelScale { name: "hr".into(), centre: 70.0, spread: 10.0, log: None, observed: 9 };
        Encoder {
            scaler: Scaler { channels: vec![scale] },
            target: 0,
            length: 3,
            horizons: vec![1, 2],
            output,
            changes: vec![2.0, 4.0],
            inputs: InputKind::Values,
            missing,
            indicators: vec![Indicator::Observed, Indicator::Gap],
            summaries: vec![],
            clip: None,
            statics: Vec::new(),
            longest_gap_hours: None,
            most_missing: 1.0,
            envelope: None,
        }
    }

    fn series(encoder: &Encoder) -> Series {
        let nan = f32::NAN;
        let values = [80.0, nan, nan, 60.0, nan, 90.0];
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &values).unwrap();
        encoder.series(&sequence).unwrap()
    }

    #[test]
    fn missing_values_are_carried_inside_the_window_only() {
        let encoder = encoder(Missing::Carry, TargetKind::Value);
        let series = series(&encoder);
        let mut rows = Vec::new();
        encoder.rows(&series, 0, 0..3, &mut rows);
        let two = narrow(libm::log1p(2.0));
        let one = narrow(libm::log1p(1.0));
        assert_eq!(rows, [1.0, 1.0, 0.0, 1.0, 0.0, one, 1.0, 0.0, two]);
        rows.clear();
        encoder.rows(&series, 1, 1..4, &mut rows);
        assert_eq!(rows, [0.0, 0.0, one, 0.0, 0.0, two, -1.0, 1.0, 0.0]);
        assert_eq!(encoder.anchor(&series, 1, 2).to_bits(), 70.0_f32.to_bits());
    }

    #[test]
    fn steps_since_a_channel_was_seen_are_the_hours_of_an_hourly_series() {
        let mut encoder = encoder(Missing::Carry, TargetKind::Value);
        encoder.indicators = vec![Indicator::Since];
        let nan = f32::NAN;
        for values in [[80.0, nan, nan, 60.0, 61.0, nan], [nan, nan, 70.0, nan, nan, 71.0]] {
            let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &values).unwrap();
            let mut rows = Vec::new();
            let series = encoder.series(&sequence).unwrap();
            encoder.rows(&series, 0, 0..6, &mut rows);
            let told: Vec<f32> = rows.iter().skip(1).step_by(2).copied().collect();
            assert_eq!(told, sequela_data::gaps::hours_since_observed(&sequence).unwrap());
        }
        // A window sees nothing before it.
        let values = [80.0, nan, nan, 60.0, nan, 90.0];
        let sequence = Sequence::numeric("a", SubjectId::new("p"), 1, &values).unwrap();
        let (series, mut rows) = (encoder.series(&sequence).unwrap(), Vec::new());
        encoder.rows(&series, 1, 1..6, &mut rows);
        assert_eq!(rows, [0.0, 0.0, 0.0, 1.0, -1.0, 2.0, -1.0, 1.0, 2.0, 2.0]);
        rows.clear();
        encoder.rows(&series, 1, 4..6, &mut rows);
        assert_eq!(rows, [-1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn summaries_say_what_was_so_far_and_nothing_later() {
        let mut encoder = encoder(Missing::Carry, TargetKind::Value);
        encoder.indicators.clear();
        encoder.summaries =
            vec![Summary::Mean, Summary::Lowest, Summary::Highest, Summary::First, Summary::Share];
        encoder.clip = Some(1.5);
        let series = series(&encoder);
        let mut rows = Vec::new();
        encoder.rows(&series, 1, 1..6, &mut rows);
        // Scaled: missing, missing, -1, missing, 2 of which 1.5 is believed.
        let nothing = [0.0; 6];
        let third = narrow(1.0 / 3.0);
        assert_eq!(rows[..6], nothing);
        assert_eq!(rows[12..18], [-1.0, -1.0, -1.0, -1.0, -1.0, third]);
        assert_eq!(rows[24..], [1.5, 0.25, -1.0, 1.5, -1.0, narrow(2.0 / 5.0)]);
        // The same from a later row on.
        let mut last = Vec::new();
        encoder.rows(&series, 1, 5..6, &mut last);
        assert_eq!(last, rows[24..]);
    }

    #[test]
    fn targets_and_forecasts_are_each_others_reverse() {
        for output in [TargetKind::Value, TargetKind::Change, TargetKind::Level] {
            let encoder = encoder(Missing::Centre, output);
            let series = series(&encoder);
            let (mut targets, mut weights) = (Vec::new(), Vec::new());
            encoder.targets(&series, 1, 3, &mut targets, &mut weights);
            assert_eq!(weights, [0.0, 1.0]);
            let anchor = encoder.anchor(&series, 1, 3);
            assert_eq!(encoder.decode(1, anchor, targets[1]).to_bits(), 90.0_f32.to_bits());
        }
    }
}
