//! What types cannot say about a search.

use super::Study;
use super::check::Check;
use super::search::{Dimension, RangeScale};
use crate::Error;

/// Trials of one search, at most.
const TRIALS: u64 = 10_000;

/// Sections and fields whose change leaves the tuning loss what it is: the same loss of the same
/// targets of the same people.
const COMPARABLE: [&str; 7] = [
    "model.",
    "train.",
    "window.length",
    "window.inputs",
    "window.missing",
    "window.indicators",
    "window.statics",
];

/// Those among them that would change it.
const OTHER_LOSS: [&str; 2] = ["train.loss", "train.class_weights"];

/// What halving itself decides, and what decides nothing.
const NOT_SEARCHED: [&str; 4] = ["train.epochs", "train.keep", "train.checkpoint", "train.memory"];

impl Check<'_> {
    pub(super) fn search(&self, study: &Study) -> Result<(), Error> {
        let Some(search) = &study.search else { return Ok(()) };
        self.count("search.trials", search.trials as u64, TRIALS)?;
        if search.reduce < 2 {
            return Err(self.refuse(
                "search.reduce",
                "it is below 2",
                "give 2 to halve the trials of each round, 3 to keep a third",
            ));
        }
        if search.epochs.is_some_and(|epochs| epochs == 0 || epochs > study.train.epochs) {
            return Err(self.refuse(
                "search.epochs",
                "it is not between 1 and train.epochs",
                "give the epochs of the first round",
            ));
        }
        if search.space.is_empty() {
            return Err(self.refuse(
                "search.space",
                "there is no field to search",
                "write for example \"train.rate\" = { from = 1e-4, to = 1e-2, scale = \"log\" }",
            ));
        }
        let split = &study.split;
        if split.tune.is_empty() && (split.fractions.tune <= 0.0 || !split.train.is_empty()) {
            return Err(self.refuse(
                "split",
                "there is nobody to tune on, so that trials could not be compared",
                "give split.fractions a tune part of 0.2, or name split.tune",
            ));
        }
        search.space.iter().try_for_each(|(field, dimension)| self.dimension(field, dimension))
    }

    fn dimension(&self, field: &str, dimension: &Dimension) -> Result<(), Error> {
        let place = format!("search.space.{field}");
        let within = |part: &&str| field.starts_with(*part);
        if !COMPARABLE.iter().any(within) || OTHER_LOSS.iter().any(within) {
            return Err(self.refuse(
                &place,
                "another value would change what the tuning loss is of, so that trials could not be compared",
                "search fields of [model] and [train] (not train.loss, train.class_weights), or window.length, inputs, missing, indicators",
            ));
        }
        if NOT_SEARCHED.iter().any(within) {
            return Err(self.refuse(
                &place,
                "the search sets it itself, or no loss depends on it",
                "search other fields of [train] or [model]",
            ));
        }
        match dimension {
            Dimension::Choices(values) if values.is_empty() => {
                Err(self.refuse(&place, "the list is empty", "give two values or more"))
            }
            Dimension::Choices(_) => Ok(()),
            Dimension::Range(range) => {
                let (from, to) = (range.from.value(), range.to.value());
                if !(from < to && to.is_finite() && from.is_finite()) {
                    return Err(self.refuse(&place, "from is not below to", "swap them"));
                }
                if range.scale == RangeScale::Log && from <= 0.0 {
                    return Err(self.refuse(
                        &place,
                        "a range of equal ratios starts above 0",
                        "raise from, or leave scale out",
                    ));
                }
                Ok(())
            }
        }
    }
}
