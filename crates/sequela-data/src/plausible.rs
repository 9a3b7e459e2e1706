//! Whether values are in the unit that they are said to be in.
//!
//! A channel whose name tells what it measures (glucose, temperature ...) is held against the
//! ranges that its values have in each usual unit, ranges that do not meet. This finds a wrong
//! unit and a mixture of two; it does not judge single values, and converts nothing.
//!
//! **Source** the factors are those of the quantities (1 mmol/L of glucose is 18.02 mg/dL, of
//! creatinine 113.1 mg/L ...); the ranges are wide around what intensive care sees.

use sequela_core::Channel;
use sequela_formats::units::{same, standard};

use crate::Cohort;
use crate::scaling::numeric;

/// What is wrong with the unit of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFinding {
    /// The channel.
    pub channel: String,
    /// What was found, in words, without a value.
    pub what: String,
    /// What to do about it.
    pub hint: &'static str,
}

impl UnitFinding {
    /// The finding in one line.
    pub fn text(&self) -> String {
        format!("{}: {}; {}", self.channel, self.what, self.hint)
    }
}

/// The channels whose values are not in their unit, or in two.
///
/// **Cost** linear in the values of channels whose names are known.
///
/// # Example
/// ```
/// use sequela_core::{Channel, Schema, Sequence, SubjectId};
/// use sequela_data::{Cohort, plausible::check_units};
/// let schema = Schema::new(vec![Channel { name: "Temp".into(), unit: "C".into() }]);
/// let fever = Sequence::numeric("a", SubjectId::new("a"), 1, &[98.6, 99.5, 101.3])?;
/// let findings = check_units(&Cohort::new(schema, vec![fever], "ward")?);
/// assert!(findings[0].text().starts_with("Temp: it is said to be in C, but its values are those of F"));
/// # Ok::<(), sequela_data::Error>(())
/// ```
pub fn check_units(cohort: &Cohort) -> Vec<UnitFinding> {
    let mut findings = Vec::new();
    for (at, channel) in cohort.schema().channels().iter().enumerate() {
        let Some(quantity) = quantity_of(&channel.name) else { continue };
        let mut inside = vec![0_u64; quantity.len()];
        let mut all = 0_u64;
        for sequence in cohort.sequences() {
            let Some((values, observed, features)) = numeric(sequence) else { continue };
            let cells = values.iter().zip(observed).skip(at).step_by(features.max(1));
            for (value, _) in cells.filter(|(_, seen)| **seen) {
                all += 1;
                for (count, range) in inside.iter_mut().zip(quantity) {
                    *count += u64::from((range.low..=range.high).contains(value));
                }
            }
        }
        findings.extend(judge(channel, quantity, &inside, all));
    }
    findings
}

/// What the shares of values inside each range say.
fn judge(channel: &Channel, quantity: &[Range], inside: &[u64], all: u64) -> Option<UnitFinding> {
    let counted = || quantity.iter().zip(inside);
    let share = |count: u64| count as f64 / all.max(1) as f64;
    let said = counted().find(|(range, _)| same(range.unit, &channel.unit));
    // A unit that is none of the quantity's own says nothing that could be checked.
    if said.is_none() && standard(&channel.unit).is_some() {
        return None;
    }
    let (most, count) = counted().max_by_key(|(_, count)| **count)?;
    let finding =
        |what: String, hint| Some(UnitFinding { channel: channel.name.clone(), what, hint });
    if let Some((said, _)) = said.filter(|(said, _)| said.unit != most.unit)
        && share(*count) > MOST
    {
        return finding(
            format!("it is said to be in {}, but its values are those of {}", said.unit, most.unit),
            "correct its unit, or convert the values",
        );
    }
    let (second, count) =
        counted().filter(|(range, _)| range.unit != most.unit).max_by_key(|(_, count)| **count)?;
    if *count >= FEWEST && share(*count) > MIXED {
        return finding(
            format!("its values are those of two units, {} and {}", most.unit, second.unit),
            "find out which rows are in which, and convert one of them",
        );
    }
    None
}

/// Values in one unit.
struct Range {
    unit: &'static str,
    low: f32,
    high: f32,
}

const fn range(unit: &'static str, low: f32, high: f32) -> Range {
    Range { unit, low, high }
}

/// The ranges of what a name tells; `None` for names that tell nothing.
fn quantity_of(name: &str) -> Option<&'static [Range]> {
    let name = name.to_lowercase();
    // What is measured in urine has ranges of its own.
    if name.contains("urin") {
        return None;
    }
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    let found =
        QUANTITIES.iter().find(|(names, _)| names.iter().any(|known| words.contains(known)));
    found.map(|(_, ranges)| *ranges)
}

/// A share of values over which a unit is taken for theirs.
const MOST: f64 = 0.8;
/// A share of values over which a second unit is one of two.
const MIXED: f64 = 0.02;
/// Values of a second unit below which they are slips, not a mixture.
const FEWEST: u64 = 5;

type Quantity = (&'static [&'static str], &'static [Range]);

const QUANTITIES: [Quantity; 10] = [
    (
        &["glucose", "glu", "bloodsugar"],
        &[range("mg/dL", 36.0, 1500.0), range("mmol/L", 0.5, 35.0)],
    ),
    (
        &["temp", "temperature", "tempc", "bodytemp"],
        &[range("C", 25.0, 45.0), range("F", 77.0, 113.0)],
    ),
    (&["creatinine", "crea", "creat"], &[range("mg/dL", 0.1, 18.0), range("umol/L", 20.0, 2000.0)]),
    (&["calcium"], &[range("mg/dL", 4.6, 20.0), range("mmol/L", 0.5, 4.5)]),
    (
        &["hgb", "hb", "haemoglobin", "hemoglobin"],
        &[range("g/dL", 2.0, 24.0), range("g/L", 28.0, 240.0)],
    ),
    (&["albumin", "alb"], &[range("g/dL", 0.5, 7.0), range("g/L", 8.0, 70.0)]),
    (&["height"], &[range("cm", 90.0, 230.0), range("m", 0.9, 2.4), range("in", 36.0, 88.0)]),
    (
        &["sysabp", "nisysabp", "sbp", "sysbp"],
        &[range("mmHg", 41.0, 320.0), range("kPa", 3.0, 40.0)],
    ),
    (&["map", "nimap", "mbp"], &[range("mmHg", 31.0, 300.0), range("kPa", 3.0, 30.0)]),
    (&["paco2", "pco2", "etco2"], &[range("mmHg", 16.0, 200.0), range("kPa", 1.0, 15.5)]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use sequela_core::{Schema, Sequence, SubjectId};

    fn findings(name: &str, unit: &str, values: &[f32]) -> Vec<UnitFinding> {
        let schema = Schema::new(vec![Channel { name: name.into(), unit: unit.into() }]);
        let sequence = Sequence::numeric("a", SubjectId::new("a"), 1, values).unwrap();
        check_units(&Cohort::new(schema, vec![sequence], "t").unwrap())
    }

    #[test]
    fn wrong_and_mixed_units_are_found_and_right_ones_are_not() {
        let sugar = [80.0, 120.0, 300.0, 95.0, 110.0, 140.0];
        let in_mmol = sugar.map(|value| value / 18.02);
        assert!(findings("Glucose", "mg/dL", &sugar).is_empty());
        assert!(findings("glucose_lab", "mmol/l", &in_mmol).is_empty());
        assert!(findings("Glucose", "", &sugar).is_empty());
        assert!(findings("Glucose", "g/L", &sugar).is_empty());
        let wrong = findings("Glucose", "mg/dL", &in_mmol);
        assert!(wrong[0].what.ends_with("values are those of mmol/L"), "{wrong:?}");
        let mixed = findings("Glucose", "", &[&sugar[..], &in_mmol].concat());
        assert!(mixed[0].what.contains("two units"), "{mixed:?}");
        assert!(findings("urinary creatinine", "mg/dL", &[40.0, 120.0]).is_empty());
        assert!(findings("BUN", "mg/dL", &in_mmol).is_empty());
        let fever = findings("Temp", "C", &[98.0, 99.0]);
        assert_eq!(fever.len(), 1);
    }

    #[test]
    fn ranges_of_one_quantity_do_not_meet() {
        for (names, ranges) in QUANTITIES {
            let mut sorted: Vec<&Range> = ranges.iter().collect();
            sorted.sort_by(|a, b| a.low.total_cmp(&b.low));
            let apart = sorted.windows(2).all(|pair| pair[0].high < pair[1].low);
            assert!(apart, "{names:?}");
        }
    }
}
