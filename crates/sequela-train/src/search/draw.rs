//! The settings that are tried.

use sequela_core::{Location, Random};
use toml::Value;

use super::Trial;
use crate::Error;
use crate::study::{Dimension, Override, Range, RangeScale, Search, Study};

/// A study with other settings.
pub(super) struct Candidate {
    /// Its number, from 1.
    pub(super) number: usize,
    /// Searched fields and their values, as TOML.
    pub(super) values: Vec<(String, String)>,
    pub(super) study: Study,
}

impl Candidate {
    /// The trial before its first round.
    pub(super) fn untried(&self) -> Trial {
        let (number, values) = (self.number, self.values.clone());
        Trial { number, values, rounds: 0, history: Vec::new(), best: None }
    }
}

/// The study as it is, and settings drawn at random, each of them once; fewer than wanted where
/// there are no more.
pub(super) fn candidates(study: &Study, search: &Search) -> Result<Vec<Candidate>, Error> {
    let own = Study { search: None, ..study.clone() };
    let values = search.space.keys().map(|field| (field.clone(), written(&own, field)));
    let mut all = vec![Candidate { number: 1, values: values.collect(), study: own.clone() }];
    let text = own.to_toml();
    // Every choice is read once, so that one that no trial draws is refused too.
    for (field, dimension) in &search.space {
        if let Dimension::Choices(values) = dimension {
            for value in values {
                changed(&own, &text, &[(field.clone(), value.to_string())])?;
            }
        }
    }
    let random = Random::new(study.study.seed, SETTINGS);
    let mut next = 0;
    let most =
        (search.trials as u64).saturating_mul(TRIES).saturating_mul(search.space.len() as u64);
    while all.len() < search.trials && next < most {
        let draw = |(field, dimension): (&String, &Dimension)| {
            next += 1;
            (field.clone(), value(dimension, &random, next))
        };
        let values: Vec<(String, String)> = search.space.iter().map(draw).collect();
        if all.iter().all(|known| known.values != values) {
            let study = changed(&own, &text, &values)?;
            all.push(Candidate { number: all.len() + 1, values, study });
        }
    }
    Ok(all)
}

/// A value of a field, as TOML.
fn value(dimension: &Dimension, random: &Random, index: u64) -> String {
    match dimension {
        Dimension::Choices(values) => {
            let at = random.below(index, values.len() as u64);
            usize::try_from(at).ok().and_then(|at| values.get(at)).map(Value::to_string)
        }
        Dimension::Range(range) => Some(between(range, random.uniform(index))),
    }
    .unwrap_or_default()
}

/// The number at a share of a range, with three digits: more would say nothing.
fn between(range: &Range, share: f64) -> String {
    let (from, to) = (range.from.value(), range.to.value());
    let at = |from: f64, to: f64| {
        if range.is_whole() {
            from - 0.5 + share * (to - from + 1.0)
        } else {
            from + share * (to - from)
        }
    };
    let number = match range.scale {
        RangeScale::Linear => at(from, to),
        RangeScale::Log => libm::exp(libm::log(from) + share * (libm::log(to) - libm::log(from))),
    };
    if range.is_whole() {
        return format!("{:.0}", libm::round(number).clamp(from, to));
    }
    let short: f64 = format!("{number:.2e}").parse().unwrap_or(number);
    Value::Float(short.clamp(from, to)).to_string()
}

/// The study with other values, checked as one that a user wrote.
fn changed(own: &Study, text: &str, values: &[(String, String)]) -> Result<Study, Error> {
    let overrides: Vec<Override> = values
        .iter()
        .map(|(field, value)| Override::parse(&format!("{field}={value}")))
        .collect::<Result<_, _>>()?;
    let mut study =
        Study::parse(text, &own.base.join("study.toml"), &overrides).map_err(|error| {
            let Error::Study { what, hint, .. } = error else { return error };
            let values: Vec<String> =
                values.iter().map(|(field, value)| format!("{field} = {value}")).collect();
            Error::Study {
                location: Location::file("study").field("search.space").into(),
                what: format!("{}: {what}", values.join(", ")),
                hint,
            }
        })?;
    study.base.clone_from(&own.base);
    Ok(study)
}

/// The value that a study has at a field, as TOML; empty where it is left out.
fn written(study: &Study, field: &str) -> String {
    let root = Value::try_from(study).ok();
    let path = field.split('.');
    path.fold(root, |value, key| value?.get(key).cloned()).map_or_else(String::new, |value| {
        match value {
            // f32 fields have digits that nobody wrote.
            Value::Float(number) => Value::Float(shortest(number)).to_string(),
            other => other.to_string(),
        }
    })
}

/// The shortest number with the same f32.
#[allow(clippy::cast_possible_truncation, reason = "to the f32 that the field holds")]
fn shortest(number: f64) -> f64 {
    (number as f32).to_string().parse().unwrap_or(number)
}

/// Draws for each trial that is wanted, at most.
const TRIES: u64 = 50;
/// The stream of the random numbers that settings are drawn by.
const SETTINGS: u64 = 0x5345_4152_4348_0000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::Number;

    #[test]
    fn ranges_are_drawn_evenly_in_their_scale_with_both_ends() {
        let whole =
            Range { from: Number::Whole(1), to: Number::Whole(3), scale: RangeScale::Linear };
        let random = Random::new(1, 1);
        let mut counts = [0; 3];
        for index in 0..3000 {
            let value: usize = between(&whole, random.uniform(index)).parse().unwrap();
            counts[value - 1] += 1;
        }
        assert!(counts.iter().all(|&count| (900..1100).contains(&count)), "{counts:?}");
        let rate =
            Range { from: Number::Real(1e-4), to: Number::Real(1e-2), scale: RangeScale::Log };
        let below = (0..1000)
            .filter(|&index| between(&rate, random.uniform(index)).parse::<f64>().unwrap() < 1e-3);
        assert!((450..550).contains(&below.count()));
        assert_eq!(between(&rate, 0.0), "0.0001");
    }
}
