//! The leakage audit: what a split by subject cannot see.
//!
//! A model looks better than it is where the test part is in the training part under another name,
//! where numbers of preparation were taken from people outside training, or where a channel tells
//! what happened later. Each check refuses with [`Error::Leak`]; which of them a study waives is
//! said in its report.

use std::collections::BTreeMap;

use sequela_core::{Location, Sequence, Steps};
use sha2::{Digest, Sha256};

use crate::cohort::Fingerprint;
use crate::scaling::{Scaler, ScalingMethod};
use crate::split::Parts;
use crate::{Cohort, Error};

/// Refuses parts in which a record of one person is, value for value, that of another person in
/// another part.
///
/// Names, subjects and targets do not count; times, values, masks and statics do. Records with
/// fewer than [`FEW`] observed values are not compared: of those, equal ones are no wonder.
/// **Cost** one SHA-256 over the values.
///
/// # Errors
/// [`Error::Leak`] naming both records.
///
/// # Example
/// ```
/// use sequela_data::audit::same_records;
/// use sequela_data::simulate::HeartRateSimulation;
/// use sequela_data::split::{Fractions, by_subject};
/// let cohort = HeartRateSimulation { subjects: 6, hours: 0.05, ..Default::default() }.run()?;
/// let parts = by_subject(&cohort, Fractions { tune: 0.2, test: 0.2 }, 1)?.parts(&cohort);
/// same_records(&parts)?;
/// # Ok::<(), sequela_data::Error>(())
/// ```
pub fn same_records(parts: &Parts) -> Result<(), Error> {
    let mut first: BTreeMap<[u8; 32], (&'static str, &Sequence)> = BTreeMap::new();
    for (name, part) in [("train", &parts.train), ("tune", &parts.tune), ("test", &parts.test)] {
        for sequence in part.sequences() {
            if observed(sequence) < FEW {
                continue;
            }
            let (other, before) = *first.entry(contents(sequence)).or_insert((name, sequence));
            if other != name {
                return Err(Error::Leak {
                    location: part.place(sequence).into(),
                    what: format!(
                        "this record of the {name} part holds the same values as {} of the \
                         {other} part",
                        before.id
                    ),
                    hint: "give both the same subject, or take one out; where they truly are two \
                           people, write audit.records = false"
                        .into(),
                });
            }
        }
    }
    Ok(())
}

/// Refuses a scaler that is not the one which the training part alone gives.
///
/// # Errors
/// [`Error::Leak`] naming the first channel whose numbers differ; what fitting gives.
pub fn fitted_on(train: &Cohort, scaler: &Scaler, method: ScalingMethod) -> Result<(), Error> {
    let own = Scaler::fit(train, method)?;
    let differs = own.channels.iter().zip(&scaler.channels).find(|(own, used)| own != used);
    match differs {
        None if own.channels.len() == scaler.channels.len() => Ok(()),
        found => Err(Error::Leak {
            location: Location::file(train.source())
                .field(found.map_or("channels", |(own, _)| own.name.as_str()))
                .into(),
            what: "its scale is not that of the training part".into(),
            hint: "fit scales on training subjects alone".into(),
        }),
    }
}

/// Refuses another channel that says, at a step, what the channel that is forecast says `horizon`
/// steps later.
///
/// Counted are steps from which the target changes; a channel that holds its later value, to the
/// bit, in [`NEARLY_ALL`] of them is from the future. One that holds it in another unit or with
/// noise is not found. **Cost** values times horizons.
///
/// # Errors
/// [`Error::Leak`] naming the channel.
pub fn from_the_future(train: &Cohort, target: usize, horizons: &[usize]) -> Result<(), Error> {
    for (channel, found) in train.schema().channels().iter().enumerate() {
        if channel == target {
            continue;
        }
        for &horizon in horizons {
            let (mut changes, mut told) = (0_u64, 0_u64);
            for sequence in train.sequences() {
                let (new, same) = foretold(sequence, (channel, target), horizon);
                changes += new;
                told += same;
            }
            if changes >= MANY && told as f64 >= NEARLY_ALL * changes as f64 {
                return Err(Error::Leak {
                    location: Location::file(train.source()).field(found.name.as_str()).into(),
                    what: format!(
                        "it holds what is to be forecast, {horizon} steps before it happens"
                    ),
                    hint: "take it out of the values that the model sees".into(),
                });
            }
        }
    }
    Ok(())
}

/// Steps from which the target differs `horizon` later, and in how many of them the channel has
/// that later value already.
fn foretold(sequence: &Sequence, (channel, target): (usize, usize), horizon: usize) -> (u64, u64) {
    let Steps::Numeric { values, observed, features } = &sequence.steps else { return (0, 0) };
    let at = |step: usize, channel: usize| {
        let cell = step * features + channel;
        observed[cell].then(|| values[cell].to_bits())
    };
    let (mut changes, mut told) = (0, 0);
    for step in 0..sequence.len().saturating_sub(horizon) {
        let (now, later) = (at(step, target), at(step + horizon, target));
        if let (Some(now), Some(later), Some(said)) = (now, later, at(step, channel))
            && now != later
        {
            changes += 1;
            told += u64::from(said == later);
        }
    }
    (changes, told)
}

/// How well one number for each subject tells a class: the area under the ROC curve, 0.5 and
/// more whichever way it points; none where there are too few of either to say.
///
/// NaN, where the number does not exist, is left out.
pub fn separation(values: &[f64], is_case: &[bool]) -> Option<f64> {
    let mut ranked: Vec<(f64, bool)> = values
        .iter()
        .copied()
        .zip(is_case.iter().copied())
        .filter(|(value, _)| !value.is_nan())
        .collect();
    let cases = ranked.iter().filter(|(_, case)| *case).count();
    let others = ranked.len() - cases;
    if cases < ENOUGH || others < ENOUGH {
        return None;
    }
    ranked.sort_by(|one, other| one.0.total_cmp(&other.0));
    // Mann and Whitney: pairs in which the case is higher, ties for half.
    let (mut pairs, mut below) = (0.0, 0.0);
    for tied in ranked.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let in_tie = tied.iter().filter(|(_, case)| *case).count() as f64;
        let rest = tied.len() as f64 - in_tie;
        pairs += in_tie * (below + rest / 2.0);
        below += rest;
    }
    let area = pairs / (cases as f64 * others as f64);
    Some(area.max(1.0 - area))
}

/// From this separation on, a single number is taken for the outcome itself.
pub const TELLING: f64 = 0.999;
/// Share of the target's changes from which on a channel that holds them early is refused.
pub const NEARLY_ALL: f64 = 0.95;
/// Changes of the target from which on it is looked at.
const MANY: u64 = 50;
/// Observed values from which on equal records are taken for the same one.
pub const FEW: usize = 16;
/// Subjects of a class from which on its separation is looked at: among few, one good marker
/// separates all by chance.
const ENOUGH: usize = 25;

fn observed(sequence: &Sequence) -> usize {
    match &sequence.steps {
        Steps::Numeric { observed, .. } => observed.iter().filter(|seen| **seen).count(),
        other => other.len(),
    }
}

fn contents(sequence: &Sequence) -> [u8; 32] {
    let mut digest = Fingerprint(Sha256::new());
    digest.contents(sequence);
    digest.0.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::HeartRateSimulation;
    use crate::split::{Fractions, by_subject};
    use sequela_core::{Channel, Schema, SubjectId};

    fn parts() -> (Cohort, Parts) {
        let cohort = HeartRateSimulation { subjects: 6, hours: 0.05, ..Default::default() };
        let cohort = cohort.run().unwrap();
        let split = by_subject(&cohort, Fractions { tune: 0.2, test: 0.2 }, 1).unwrap();
        let parts = split.parts(&cohort);
        (cohort, parts)
    }

    #[test]
    fn a_record_under_another_name_is_found() {
        let (cohort, mut parts) = parts();
        same_records(&parts).unwrap();
        let mut twin = parts.train.sequences()[0].clone();
        twin.id = "twin".into();
        twin.subject = SubjectId::new("somebody else");
        let source = twin.id.clone();
        parts.test = Cohort::new(cohort.schema().clone(), vec![twin], "the table").unwrap();
        let message = same_records(&parts).unwrap_err().to_string();
        assert!(
            message.contains(&format!("field {source}: this record of the test part holds")),
            "{message}"
        );
        assert!(!message.contains("somebody"), "{message}");
    }

    #[test]
    fn scales_of_everybody_are_found() {
        let (cohort, parts) = parts();
        let method = ScalingMethod::default();
        fitted_on(&parts.train, &Scaler::fit(&parts.train, method).unwrap(), method).unwrap();
        let everybody = Scaler::fit(&cohort, method).unwrap();
        let error = fitted_on(&parts.train, &everybody, method).unwrap_err();
        assert!(error.to_string().contains("is not that of the training part"), "{error}");
        assert_eq!(error.class().exit_code(), 3);
    }

    #[test]
    fn a_channel_of_the_future_is_found() {
        let rate = |step: usize| 60.0 + ((step * 37) % 23) as f32;
        let table = |ahead: usize| -> Cohort {
            let cells: Vec<f32> =
                (0..200).flat_map(|step| [rate(step), rate(step + ahead)]).collect();
            let channel = |name: &str| Channel { name: name.into(), unit: String::new() };
            let schema = Schema::new(vec![channel("rate"), channel("other")]);
            let sequence = Sequence::numeric("a", SubjectId::new("a"), 2, &cells).unwrap();
            Cohort::new(schema, vec![sequence], "ward.csv").unwrap()
        };
        from_the_future(&table(0), 0, &[1, 5]).unwrap();
        from_the_future(&table(4), 0, &[1, 5]).unwrap();
        let error = from_the_future(&table(5), 0, &[1, 5]).unwrap_err().to_string();
        assert!(
            error.contains("ward.csv, field other: it holds what is to be forecast, 5"),
            "{error}"
        );
    }

    #[test]
    fn separation_counts_pairs() {
        let mut values: Vec<f64> = (0..60).map(f64::from).collect();
        let case: Vec<bool> = (0..60).map(|n| n < 30).collect();
        assert_eq!(separation(&values, &case), Some(1.0));
        values[0] = f64::NAN;
        values[1] = 59.5;
        // Of 29 x 30 pairs the 30 of one case are turned round.
        let expected = 1.0 - 30.0 / 870.0;
        assert!((separation(&values, &case).unwrap() - expected).abs() < 1e-12);
        assert_eq!(separation(&[1.0; 60], &case), Some(0.5));
        assert_eq!(separation(&values[..45], &case[..45]), None);
    }
}
