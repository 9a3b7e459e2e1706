//! The figures of a cohort.

use sequela_core::{Sequence, Steps, Target};
use sequela_data::Cohort;
use sequela_eval::table::number;
use serde_json::{Value, json};

/// What a cohort is, in figures.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) subjects: usize,
    pub(super) sequences: usize,
    pub(super) steps: usize,
    /// Lowest, quartiles and highest of the steps of a sequence.
    pub(super) lengths: [f64; 5],
    pub(super) length_bars: Bars,
    pub(super) with_times: usize,
    /// Hours of all sequences together.
    pub(super) hours: f64,
    /// Hours between steps: lowest, quartiles, highest; NaN where there are no times.
    gaps: [f64; 5],
    /// Sequences of each class, and steps of each class of sequences that have one for each step.
    of_class: Vec<usize>,
    steps_of_class: Vec<usize>,
    /// Sequences with a step of each class.
    with_step: Vec<usize>,
    pub(super) channels: Vec<ChannelFigures>,
}

/// What one channel is.
#[derive(Debug)]
pub(super) struct ChannelFigures {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) observed: usize,
    pub(super) missing: usize,
    /// Subjects with a value.
    pub(super) subjects: usize,
    /// Lowest, quartiles and highest; NaN where nothing was observed.
    pub(super) quantiles: [f64; 5],
    /// The 5th and the 95th hundredth.
    pub(super) most: [f64; 2],
    pub(super) bars: Bars,
}

/// How many values lie in each of equal parts of a range.
#[derive(Debug, Default)]
pub(super) struct Bars {
    pub(super) low: f64,
    pub(super) high: f64,
    pub(super) counts: Vec<usize>,
}

impl Figures {
    pub(super) fn of(cohort: &Cohort) -> Self {
        let sequences = cohort.sequences();
        let lengths: Vec<f64> = sorted(sequences.iter().map(|s| s.len() as f64).collect());
        let timed = || sequences.iter().filter_map(|sequence| sequence.times.as_deref());
        let spans = timed().filter_map(|times| Some(times.last()? - times.first()?));
        let gaps: Vec<f64> =
            timed().flat_map(|t| t.windows(2).map(|pair| pair[1] - pair[0])).collect();
        let mut figures = Self {
            subjects: cohort.subjects().len(),
            sequences: sequences.len(),
            steps: cohort.steps(),
            lengths: quantiles(&lengths),
            length_bars: Bars::of(&lengths),
            with_times: timed().count(),
            hours: spans.sum(),
            gaps: quantiles(&sorted(gaps)),
            of_class: Vec::new(),
            steps_of_class: Vec::new(),
            with_step: Vec::new(),
            channels: Vec::new(),
        };
        for sequence in sequences {
            figures.count_labels(&sequence.target);
        }
        for (at, channel) in cohort.schema().channels().iter().enumerate() {
            figures.channels.push(channel_figures(sequences, at, &channel.name, &channel.unit));
        }
        figures
    }

    fn count_labels(&mut self, target: &Target) {
        match target {
            Target::Class(class) => count(&mut self.of_class, *class),
            Target::PerStep(labels) => {
                let mut seen: Vec<u32> = labels.iter().flatten().copied().collect();
                for class in &seen {
                    count(&mut self.steps_of_class, *class);
                }
                seen.sort_unstable();
                seen.dedup();
                for class in seen {
                    count(&mut self.with_step, class);
                }
            }
            _ => {}
        }
    }

    /// How long the records are and how far apart their steps.
    pub(super) fn times(&self) -> String {
        if self.with_times == 0 {
            return "none: steps are taken as equally spaced".to_owned();
        }
        let [least, _, median, _, most] = self.gaps.map(|hours| 3600.0 * hours);
        format!(
            "{} h in all; steps {} s apart (median; from {} to {} s)",
            number(self.hours, 2),
            number(median, 2),
            number(least, 2),
            number(most, 2)
        )
    }

    /// What is known of the labels, in words; `None` where there are none.
    pub(super) fn labels(&self, names: Option<&(&str, [&str; 2])>) -> Option<String> {
        let list = |counts: &[usize]| {
            let one = |(class, count): (usize, &usize)| format!("{count} {}", word(names, class));
            counts.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
        };
        let name = names.map_or("class", |(name, _)| *name);
        if !self.of_class.is_empty() {
            return Some(format!("{name}: {}", list(&self.of_class)));
        }
        (!self.steps_of_class.is_empty()).then(|| {
            format!(
                "{name} of each step: {} (in sequences: {})",
                list(&self.steps_of_class),
                list(&self.with_step)
            )
        })
    }

    pub(super) fn label_counts(&self, names: Option<&(&str, [&str; 2])>) -> Value {
        let list = |counts: &[usize]| -> Vec<Value> {
            let all = counts.iter().enumerate();
            all.map(|(class, count)| json!({ "class": word(names, class), "count": count }))
                .collect()
        };
        json!({ "name": names.map(|(name, _)| name), "sequences": list(&self.of_class),
            "steps": list(&self.steps_of_class), "sequences_with_step": list(&self.with_step) })
    }
}

fn word(names: Option<&(&str, [&str; 2])>, class: usize) -> String {
    let known = names.and_then(|(_, classes)| classes.get(class));
    known.map_or_else(|| format!("of class {class}"), |word| (*word).to_owned())
}

fn count(counts: &mut Vec<usize>, class: u32) {
    let class = class as usize;
    // Formats that are read here have two classes.
    if class < 1000 {
        counts.resize(counts.len().max(class + 1), 0);
        counts[class] += 1;
    }
}

fn channel_figures(sequences: &[Sequence], at: usize, name: &str, unit: &str) -> ChannelFigures {
    let (mut seen, mut missing) = (Vec::new(), 0);
    let mut subjects: Vec<&str> = Vec::new();
    for sequence in sequences {
        let Steps::Numeric { values, observed, features } = &sequence.steps else { continue };
        let before = seen.len();
        let cells = values.iter().zip(observed).skip(at).step_by((*features).max(1));
        for (value, observed) in cells {
            if *observed {
                seen.push(f64::from(*value));
            } else {
                missing += 1;
            }
        }
        if seen.len() > before {
            subjects.push(sequence.subject.as_str());
        }
    }
    subjects.sort_unstable();
    subjects.dedup();
    let seen = sorted(seen);
    ChannelFigures {
        name: name.to_owned(),
        unit: unit.to_owned(),
        observed: seen.len(),
        missing,
        subjects: subjects.len(),
        quantiles: quantiles(&seen),
        most: [at_share(&seen, 5, 100), at_share(&seen, 95, 100)],
        bars: Bars::of(&seen),
    }
}

impl Bars {
    /// Of sorted values, between their 1st and their 99th hundredth.
    pub(super) fn of(sorted: &[f64]) -> Self {
        let (low, high) = (at_share(sorted, 1, 100), at_share(sorted, 99, 100));
        let mut counts = vec![0; BARS];
        let width = (high - low) / BARS as f64;
        for value in sorted.iter().filter(|value| (low..=high).contains(value)) {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the value lies in the range, and the last bar is closed"
            )]
            let bar = if width > 0.0 { ((value - low) / width) as usize } else { 0 };
            counts[bar.min(BARS - 1)] += 1;
        }
        Self { low, high, counts }
    }
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// Lowest, quartiles and highest of sorted values (nearest rank).
fn quantiles(sorted: &[f64]) -> [f64; 5] {
    [0, 1, 2, 3, 4].map(|quarter| at_share(sorted, quarter, 4))
}

/// The value at a part of a whole of sorted values (nearest rank); NaN where there is none.
pub(super) fn at_share(sorted: &[f64], part: usize, whole: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last * part + whole / 2) / whole).copied().unwrap_or(f64::NAN)
}

/// A count and its share.
pub(super) fn share(part: usize, whole: usize) -> String {
    let percent = if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 };
    format!("{part} ({percent:.1} %)")
}

const BARS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Channel, Schema, SubjectId};

    fn cohort(sequences: Vec<Sequence>) -> Cohort {
        let schema = Schema::new(vec![Channel { name: "hr".into(), unit: "bpm".into() }]);
        Cohort::new(schema, sequences, "test").unwrap()
    }

    fn sequence(id: &str, values: &[f32]) -> Sequence {
        Sequence::numeric(id, SubjectId::new("p"), 1, values).unwrap()
    }

    #[test]
    fn gaps_subjects_and_labels_are_counted() {
        let mut timed =
            sequence("a", &[60.0, f32::NAN, 80.0]).with_times(vec![0.0, 0.5, 1.5]).unwrap();
        timed.target = Target::PerStep(vec![Some(0), None, Some(1)]);
        let figures = Figures::of(&cohort(vec![timed, sequence("b", &[70.0])]));
        assert_eq!((figures.subjects, figures.steps, figures.with_times), (1, 4, 1));
        assert!(figures.times().starts_with("1.50 h in all; steps 3600.00 s apart"));
        let channel = &figures.channels[0];
        assert_eq!((channel.observed, channel.missing, channel.subjects), (3, 1, 1));
        assert_eq!(channel.bars.counts.iter().sum::<usize>(), 3);
        let words = figures.labels(Some(&("sepsis", ["no", "yes"]))).unwrap();
        assert_eq!(words, "sepsis of each step: 1 no, 1 yes (in sequences: 1 no, 1 yes)");
    }

    #[test]
    fn nothing_is_described_without_a_fault() {
        let figures = Figures::of(&cohort(vec![sequence("a", &[])]));
        assert!(figures.channels[0].quantiles[2].is_nan());
        assert!(figures.labels(None).is_none());
    }
}
