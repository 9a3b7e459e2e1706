//! What GRU-D does with missing values before its layer: the last value of a channel fades towards
//! the mean, the state towards 0, each at a rate that is learnt.
//!
//! Columns that are not values, masks or gaps are told to the layer as they are; the gaps steer the
//! decays alone.
//!
//! **Source** Che et al. 2018, Scientific Reports 8:6085, equations 9 to 12 and figure 2.

use super::{Features, configuration};
use crate::builder::Builder;
use crate::error::Error;
use crate::operations::{Activate, Concatenate, Diagonal, Impute, Linear, Slice};
use crate::param::{Initial, ParamKind, ParamSpec};
use crate::program::Value;
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;

/// What a layer of GRU-D is given.
pub(super) struct Faded {
    /// Values, faded where missing, masks, and what else is told.
    pub(super) inputs: Value,
    /// What h is multiplied by between steps.
    pub(super) decay: Value,
}

impl Faded {
    /// Lets the columns of `x` fade, for a layer of so many units.
    pub(super) fn new(
        builder: &mut Builder,
        name: &str,
        x: Value,
        features: Features,
        hidden: usize,
    ) -> Result<Self, Error> {
        let Features::Measured { channels, observed, since, width } = features else {
            let what = "gru_d without masks and gaps";
            return Err(configuration("cell", what, "describe the input as measured channels"));
        };
        let mut slice = |start: usize, end: usize| builder.add(Slice { start, end }, &[x]);
        let values = slice(0, channels)?;
        let mask = slice(observed, observed + channels)?;
        let gaps = slice(since, since + channels)?;
        let mut told = Vec::new();
        let [one, other] = [observed.min(since), observed.max(since)];
        for (start, end) in [(channels, one), (one + channels, other), (other + channels, width)] {
            if start < end {
                told.push(slice(start, end)?);
            }
        }
        let spec = |part: &str, kind| ParamSpec {
            name: format!("{name}.{part}"),
            kind,
            initial: Initial::Decay,
        };
        let param = builder.param(spec("decay_x", ParamKind::Diagonal { width: channels }));
        let decay = builder.add(Diagonal { param }, &[gaps])?;
        let decay = builder.add(Activate { kind: Activation::Decay }, &[decay])?;
        let values = builder.add(Impute {}, &[values, mask, decay])?;
        let bias = Bias::Trained;
        let kind = ParamKind::Linear { inputs: channels, outputs: hidden, bias };
        let param = builder.param(spec("decay_h", kind));
        let decay = builder.add(Linear { param }, &[gaps])?;
        let decay = builder.add(Activate { kind: Activation::Decay }, &[decay])?;
        let all: Vec<Value> = [values, mask].into_iter().chain(told).collect();
        Ok(Self { inputs: builder.add(Concatenate {}, &all)?, decay })
    }
}
