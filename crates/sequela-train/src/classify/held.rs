//! What a model and its baselines say of people that they were not trained on: what blend, threshold and
//! recalibration are chosen from. They are the people of the tuning part, or, where networks are tuned
//! in turn, all that were trained on, each told of by those that were not trained on it.

use sequela_kernels::Context;
use sequela_nn::Parameters;

use super::cases::Cases;
use super::predict::{members, said_by};
use super::turns::Turns;
use super::{BoostedTrees, Classes, LogisticRegression};
use crate::encode::Encoder;
use crate::model::Model;
use crate::study::Study;
use crate::{Error, Event, Observer};

/// People, and the probabilities `(N, K)` that each classifier says of them.
#[derive(Default)]
pub(super) struct Held {
    pub(super) cases: Cases,
    pub(super) networks: Vec<f32>,
    pub(super) trees: Vec<f64>,
    pub(super) logistic: Vec<f64>,
}

/// Who is trained on and who decides.
pub(super) struct Training<'a> {
    pub(super) study: &'a Study,
    pub(super) encoder: &'a Encoder,
    pub(super) train: &'a Cases,
    pub(super) tune: &'a Cases,
    pub(super) turns: Option<&'a Turns>,
}

impl Training<'_> {
    /// Fits the baselines, puts them into `classes`, and tells what all say of those held out.
    pub(super) fn held(
        &self,
        (classes, model): (&mut Classes, &Model),
        context: &mut Context,
        observer: &mut Observer<'_>,
    ) -> Result<Held, Error> {
        let mut held = self.networks(classes, model, context)?;
        observer(&Event::Baseline { name: "prevalence, logistic regression" });
        self.logistic(classes, &mut held);
        let leaves = &self.study.evaluate.baselines.trees;
        if !leaves.is_empty() {
            observer(&Event::Baseline { name: "boosted trees" });
        }
        self.trees(classes, &mut held);
        Ok(held)
    }

    /// Those held out, and what the networks say of them.
    fn networks(
        &self,
        classes: &Classes,
        model: &Model,
        context: &mut Context,
    ) -> Result<Held, Error> {
        let all = members(model);
        let Some(turns) = self.turns else {
            let networks = said_by((model, &all), classes, self.tune, context)?;
            return Ok(Held { cases: self.tune.clone(), networks, ..Held::default() });
        };
        let mut held = Held::default();
        for turn in 0..turns.count() {
            let cases = self.train.part(turns.held(turn));
            let strangers: Vec<&Parameters> =
                (1..).zip(&all).filter(|(m, _)| turns.of(*m) == turn).map(|(_, p)| *p).collect();
            held.networks.extend(said_by((model, &strangers), classes, &cases, context)?);
            held.cases.append(&cases);
        }
        Ok(held)
    }

    fn trees(&self, classes: &mut Classes, held: &mut Held) {
        let (leaves, seed) = (&self.study.evaluate.baselines.trees, self.study.study.seed);
        let count = classes.count();
        let Some(turns) = self.turns else {
            classes.trees = BoostedTrees::fit((self.train, self.tune), count, leaves, seed);
            held.trees =
                classes.trees.as_ref().map_or_else(Vec::new, |t| t.probabilities(&held.cases));
            return;
        };
        let mut members = Vec::with_capacity(turns.count());
        for turn in 0..turns.count() {
            let (train, tune) = turns.cases(self.train, turn);
            let seed = seed.wrapping_add(turn as u64);
            let Some(trees) = BoostedTrees::fit((&train, &tune), count, leaves, seed) else {
                return;
            };
            held.trees.extend(trees.probabilities(&tune));
            members.push(trees);
        }
        classes.trees = BoostedTrees::together(members);
    }

    fn logistic(&self, classes: &mut Classes, held: &mut Held) {
        let (strengths, seed) = (&self.study.evaluate.baselines.logistic, self.study.study.seed);
        let (encoder, count) = (self.encoder, classes.count());
        let fit = |train: &Cases, tune: &Cases, strengths: &[f64]| {
            LogisticRegression::fit((train, tune), encoder, count, strengths, seed)
        };
        let Some(turns) = self.turns else {
            classes.logistic = fit(self.train, self.tune, strengths);
            let said = classes.logistic.as_ref().map(|l| l.probabilities(&held.cases, encoder));
            held.logistic = said.unwrap_or_default();
            return;
        };
        let parts: Vec<(Cases, Cases)> =
            (0..turns.count()).map(|turn| turns.cases(self.train, turn)).collect();
        let mut best: Option<(f64, f64)> = None;
        for &strength in strengths {
            let mut said = Vec::new();
            for (train, tune) in &parts {
                let Some(one) = fit(train, tune, &[strength]) else { return };
                said.extend(one.probabilities(tune, encoder));
            }
            let loss =
                held.cases.log_loss(&said, count).unwrap_or_else(|| libm::log(strength).abs());
            if best.is_none_or(|(lowest, _)| loss < lowest) {
                best = Some((loss, strength));
                held.logistic = said;
            }
        }
        // The strength that does best on those held out, fitted on everybody.
        let strength: Vec<f64> = best.into_iter().map(|(_, strength)| strength).collect();
        classes.logistic = fit(self.train, &Cases::default(), &strength);
    }
}
