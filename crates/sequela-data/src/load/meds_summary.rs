//! What is in a folder of MEDS, without making sequences of it.

use std::collections::BTreeMap;
use std::path::Path;

use sequela_core::Limits;
use sequela_formats::meds::{STATIC, read_codes, read_shards, read_splits};

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
    for code in summary.codes.values_mut() {
        code.range[1] /= code.values as f64;
    }
    for (code, text) in read_codes(folder, limits)? {
        if let Some(known) = summary.codes.get_mut(&code) {
            known.description = text;
        }
    }
    Ok(summary)
}

impl CodeSummary {
    fn of_nothing() -> Self {
        Self { range: [f64::NAN; 3], ..Self::default() }
    }
}
