//! What a GRU-D asks of the rest of its study.

use sequela_data::scaling::ScalingMethod;
use sequela_nn::{Architecture, CellKind, Directions};

use super::check::Check;
use super::{Indicator, InputKind, Missing, Study};
use crate::Error;

impl Study {
    /// Whether missing values and states fade, as GRU-D's do.
    pub(crate) fn fades(&self) -> bool {
        matches!(&self.model, Architecture::Sequence(model) if model.cell == CellKind::GruD)
    }

    /// What is told beside the values: what was asked for and, for a GRU-D, what it needs.
    pub(crate) fn indicators(&self) -> Vec<Indicator> {
        let mut told = self.window.indicators.clone();
        if self.fades() {
            for needed in [Indicator::Observed, Indicator::Since] {
                if !told.contains(&needed) {
                    told.push(needed);
                }
            }
        }
        told
    }
}

impl Check<'_> {
    /// Refuses what contradicts a GRU-D: last values fade towards 0, which has to be their mean.
    pub(super) fn fading(&self, study: &Study) -> Result<(), Error> {
        let Architecture::Sequence(model) = &study.model else { return Ok(()) };
        if model.cell != CellKind::GruD {
            return Ok(());
        }
        if study.window.missing == Missing::Centre {
            return Err(self.refuse(
                "window.missing",
                "gru_d starts from the last value seen and learns how fast it fades",
                "write missing = \"carry\", or leave it out",
            ));
        }
        if study.window.inputs == InputKind::Relative {
            return Err(self.refuse(
                "window.inputs",
                "gru_d lets values fade towards their mean, which relative values do not have",
                "write inputs = \"values\", or leave it out",
            ));
        }
        if study.scale.kind == ScalingMethod::Identity {
            return Err(self.refuse(
                "scale.kind",
                "gru_d lets values fade towards 0, which is the mean of scaled values only",
                "write kind = \"standard\" in [scale], or leave it out",
            ));
        }
        if model.directions == Directions::Both {
            return Err(self.refuse(
                "model.directions",
                "the gaps of gru_d are those since the past: it reads forward only",
                "write directions = \"forward\", or cell = \"gru\"",
            ));
        }
        Ok(())
    }
}
