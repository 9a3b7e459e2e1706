//! What is in a folder of MEDS, without making sequences of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sequela_core::Limits;
use sequela_formats::meds::{
    STATIC, label_files, read_codes, read_labels, read_shards, read_splits, read_units,
};
use sequela_formats::units;

use crate::Error;

/// What a folder in the layout of MEDS holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MedsSummary {
    /// Number of shards.
    pub shards: usize,
    /// Number of subjects.
    pub subjects: usize,
    /// Number of events.
    pub events: u64,
    /// Events of each subject, the fewest first.
    pub events_of_subjects: Vec<u64>,
    /// Events without a time.
    pub statics: u64,
    /// The first and the last time, in microseconds since 1970; `None` where there is none.
    pub span: Option<(i64, i64)>,
    /// Values that are infinite.
    pub disbelieved: u64,
    /// The codes, in the order of their names.
    pub codes: BTreeMap<String, CodeSummary>,
    /// Subjects of each part of the split that the data come with.
    pub splits: BTreeMap<String, usize>,
    /// The labels that lie in the folder, by task.
    pub labels: BTreeMap<String, LabelSummary>,
    /// What is wrong with files of labels, which then are left out.
    pub label_faults: Vec<String>,
}

/// What is known of the labels of one task.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSummary {
    /// Cases: a subject at a time.
    pub cases: u64,
    /// Subjects with a case.
    pub subjects: usize,
    /// Cases of each label.
    pub counts: BTreeMap<String, u64>,
}

/// What is known of one code.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CodeSummary {
    /// Events.
    pub events: u64,
    /// Subjects with such an event.
    pub subjects: u64,
    /// Events with a numeric value.
    pub values: u64,
    /// Lowest, mean and highest value; NaN where there is none.
    pub range: [f64; 3],
    /// What `metadata/codes.parquet` says of it; of data that were written here its unit.
    pub description: String,
    /// What its column `unit` says, which those of OMOP that were converted here have; else nothing.
    pub own_unit: String,
}

impl CodeSummary {
    /// The unit of its values, where it has any: what `metadata/codes.parquet` says, in its usual spelling, else the last
    /// part of a name such as `LAB//50912//mg/dL`, or the whole description, where that is a unit that is known; else
    /// nothing.
    pub fn unit(&self, name: &str) -> &str {
        if self.values == 0 {
            return "";
        }
        if !self.own_unit.is_empty() {
            return units::standard(&self.own_unit).unwrap_or(&self.own_unit);
        }
        let last = name.rsplit_once("//").and_then(|(_, last)| units::standard(last));
        last.or_else(|| units::standard(&self.description)).unwrap_or("")
    }
}

/// Reads all shards and counts.
///
/// **Cost** as many shards as threads in memory. **Determinism** the same for any number of
/// threads.
///
/// # Errors
/// Those of [`read_shards`].
pub fn meds_summary(folder: &Path, threads: usize, limits: &Limits) -> Result<MedsSummary, Error> {
    let mut summary = MedsSummary::default();
    let splits = read_splits(folder, limits)?.unwrap_or_default();
    read_shards(folder, threads, limits, &mut |_, shard| {
        summary.shards += 1;
        summary.subjects += shard.subjects.len();
        summary.events += shard.times.len() as u64;
        summary.disbelieved += shard.disbelieved;
        let mut counts = vec![(usize::MAX, CodeSummary::of_nothing(), 0.0); shard.names.len()];
        for (at, subject) in shard.subjects.iter().enumerate() {
            let part = splits.get(&subject.id).map_or("no part", String::as_str);
            if !splits.is_empty() {
                *summary.splits.entry(part.to_owned()).or_default() += 1;
            }
            summary.events_of_subjects.push(subject.rows.len() as u64);
            for row in subject.rows.clone() {
                let (last, code, sum) = &mut counts[shard.codes[row] as usize];
                code.subjects += u64::from(*last != at);
                *last = at;
                code.events += 1;
                let value = f64::from(shard.values[row]);
                if !value.is_nan() {
                    code.values += 1;
                    *sum += value;
                    code.range[0] = code.range[0].min(value);
                    code.range[2] = code.range[2].max(value);
                }
                let time = shard.times[row];
                if time == STATIC {
                    summary.statics += 1;
                } else {
                    let (first, last) = summary.span.unwrap_or((time, time));
                    summary.span = Some((first.min(time), last.max(time)));
                }
            }
        }
        for (name, (_, code, sum)) in shard.names.into_iter().zip(counts) {
            let known = summary.codes.entry(name).or_insert_with(CodeSummary::of_nothing);
            known.events += code.events;
            known.subjects += code.subjects;
            known.values += code.values;
            known.range[0] = known.range[0].min(code.range[0]);
            known.range[2] = known.range[2].max(code.range[2]);
            // The sum, until all are there.
            known.range[1] = if known.range[1].is_nan() { sum } else { known.range[1] + sum };
        }
        Ok(())
    })?;
    summary.events_of_subjects.sort_unstable();
    for code in summary.codes.values_mut() {
        code.range[1] /= code.values as f64;
    }
    for (code, text) in read_codes(folder, limits)? {
        if let Some(known) = summary.codes.get_mut(&code) {
            known.description = text;
        }
    }
    for (code, unit) in read_units(folder, limits)? {
        if let Some(known) = summary.codes.get_mut(&code) {
            known.own_unit = unit;
        }
    }
    summary.labels(folder, limits)?;
    Ok(summary)
}

impl MedsSummary {
    fn labels(&mut self, folder: &Path, limits: &Limits) -> Result<(), Error> {
        let mut subjects: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for (task, path) in label_files(folder)? {
            let labels = match read_labels(&path, limits) {
                Ok(labels) => labels,
                // Events can be told of without them.
                Err(error) => {
                    let inside = format!("{}{}", folder.display(), std::path::MAIN_SEPARATOR);
                    self.label_faults.push(error.to_string().replace(&inside, ""));
                    continue;
                }
            };
            let seen = subjects.entry(task.clone()).or_default();
            seen.extend(labels.iter().map(|label| label.subject));
            let known = self.labels.entry(task).or_default();
            known.cases += labels.len() as u64;
            known.subjects = seen.len();
            for label in labels {
                *known.counts.entry(label.value).or_default() += 1;
            }
        }
        Ok(())
    }
}

impl CodeSummary {
    fn of_nothing() -> Self {
        Self { range: [f64::NAN; 3], ..Self::default() }
    }
}
