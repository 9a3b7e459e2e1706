//! How networks of classes are trained together: in turn, and with the class told at every step.

use sequela_nn::{Architecture, Directions, Pooling};

use super::check::Check;
use super::{Study, Task};
use crate::Error;

impl Check<'_> {
    /// The class of a series that is told at every step.
    pub(super) fn replicate(&self, study: &Study) -> Result<(), Error> {
        let share = study.train.replicate;
        if !(0.0..1.0).contains(&share) {
            let hint = "write the share of the loss that is of all steps, as replicate = 0.5";
            return Err(self.refuse("train.replicate", "it is not in [0, 1)", hint));
        }
        let bears = match &study.model {
            Architecture::Sequence(model) => {
                model.pooling == Pooling::Last && model.directions == Directions::Forward
            }
            _ => false,
        };
        if share > 0.0 && (study.study.task == Task::Label || !bears) {
            return Err(self.refuse(
                "train.replicate",
                "it is for a class of the whole series, told from the last state of a network that \
                 reads forward",
                "leave it out; a class of each step is told at every step anyway",
            ));
        }
        Ok(())
    }

    /// Networks that are tuned in turn.
    pub(super) fn turns(&self, study: &Study, turns: usize) -> Result<(), Error> {
        if !(2..=MOST_TURNS).contains(&turns) {
            let what = format!("it is not between 2 and {MOST_TURNS}");
            return Err(self.refuse("ensemble.turns", &what, "write turns = 5"));
        }
        let members = study.ensemble.members;
        if !members.is_multiple_of(turns) {
            return Err(self.refuse(
                "ensemble.members",
                &format!("{members} networks cannot be tuned on {turns} parts equally often"),
                &format!("write members = {turns} or a multiple of it"),
            ));
        }
        if study.split.fractions.tune > 0.0 || !study.split.tune.is_empty() {
            return Err(self.refuse(
                "ensemble.turns",
                "networks are tuned in turn on those who are trained on, and there is a tuning part \
                 beside",
                "leave the tuning part out of split, or leave turns out",
            ));
        }
        Ok(())
    }
}

/// Turns of an ensemble at most.
const MOST_TURNS: usize = 20;
