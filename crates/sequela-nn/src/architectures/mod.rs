//! Ready-made networks: a configuration in, a [`Program`] out. One file each.
//!
//! Names in what they build: layout `steps` (and `second_steps`), inputs `x` or `ids` (and
//! `second_x`, `second_ids`), `statics`, and for each head NAME the inputs `target.NAME` and
//! `weight.NAME`, the output NAME and the scalar `scale.NAME`, which scales its loss.

mod encoder_decoder;
mod fading;
mod parts;
mod retain;
mod sequence;
mod stack;
mod two_encoder;

pub use encoder_decoder::EncoderDecoder;
pub use retain::Retain;
pub use sequence::{Pooling, Sequence};
pub use stack::{CellKind, Directions, NormaliseKind, Stack};
pub use two_encoder::TwoEncoder;

use crate::error::Error;
use crate::loss::Loss;
use crate::program::Program;
use sequela_core::Location;
use serde::{Deserialize, Serialize};

/// A network and its settings; in a study, `kind = "sequence"` and so on.
///
/// # Example
/// ```
/// use sequela_nn::{Architecture, Features, Head, Interface, Loss, Sequence};
/// let architecture = Architecture::Sequence(Sequence { hidden: 8, ..Sequence::default() });
/// let program = architecture.build(&Interface {
///     features: Features::Numeric { width: 3 },
///     heads: vec![Head { name: "risk".into(), outputs: 1, loss: Loss::MeanSquared }],
///     ..Interface::default()
/// })?;
/// assert!(program.output("risk").is_some());
/// # Ok::<(), sequela_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Architecture {
    /// Encoder, recurrent stack, pooling, heads.
    Sequence(Sequence),
    /// RETAIN.
    Retain(Retain),
    /// A decoder that feeds on its own output.
    EncoderDecoder(EncoderDecoder),
    /// Two inputs of different lengths.
    TwoEncoder(TwoEncoder),
}

impl Architecture {
    /// The program for data of this kind.
    ///
    /// # Errors
    /// [`Error::Configuration`] for settings outside their range or that do not go together,
    /// [`Error::Limit`] for sizes over their limits.
    pub fn build(&self, interface: &Interface) -> Result<Program, Error> {
        interface.check()?;
        match self {
            Self::Sequence(settings) => settings.build(interface),
            Self::Retain(settings) => settings.build(interface),
            Self::EncoderDecoder(settings) => settings.build(interface),
            Self::TwoEncoder(settings) => settings.build(interface),
        }
    }
}

/// What a network is fed, and what is asked of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Interface {
    /// What each step holds.
    pub features: Features,
    /// What each step of the second input holds, for [`TwoEncoder`].
    pub second: Option<Features>,
    /// Values that do not change over a sequence; 0 for none.
    pub statics: usize,
    /// What is predicted.
    pub heads: Vec<Head>,
    /// Steps that a decoder predicts, for [`EncoderDecoder`].
    pub horizon: usize,
}

/// What each step holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Features {
    /// Numbers: values, masks, gaps.
    Numeric {
        /// How many.
        width: usize,
    },
    /// Numbers of which it is known what they are, for [`CellKind::GruD`]: first the values of the
    /// channels, scaled to mean 0 and with the last one where one is missing; beside them, a
    /// column for each channel, whether it was observed (1 or 0) and how long ago it was before.
    Measured {
        /// How many numbers in all.
        width: usize,
        /// Channels.
        channels: usize,
        /// The first column that says what was observed.
        observed: usize,
        /// The first column that says how long ago.
        since: usize,
    },
    /// One symbol.
    Tokens {
        /// Every id is below it.
        vocabulary: usize,
    },
    /// A bag of symbols: the codes of a visit.
    Bags {
        /// Every id is below it.
        vocabulary: usize,
    },
}

impl Default for Features {
    fn default() -> Self {
        Self::Numeric { width: 1 }
    }
}

/// One prediction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Its name.
    pub name: String,
    /// Columns: values, labels or classes; each has as many predictions as there are quantiles.
    pub outputs: usize,
    /// Its loss.
    pub loss: Loss,
}

impl Head {
    /// Columns of the prediction.
    pub fn width(&self) -> usize {
        match &self.loss {
            Loss::Pinball { quantiles } => self.outputs.saturating_mul(quantiles.len()),
            _ => self.outputs,
        }
    }

    /// Columns of the target, and of its weights.
    pub fn target_width(&self) -> usize {
        match self.loss {
            Loss::CrossEntropy { .. } => 1,
            _ => self.outputs,
        }
    }
}

impl Interface {
    fn check(&self) -> Result<(), Error> {
        if self.heads.is_empty() {
            return Err(configuration("heads", "nothing is to be predicted", "add a head"));
        }
        if let Some(head) = self.heads.iter().find(|head| head.width() == 0) {
            let what = format!("head {} has no outputs", head.name);
            return Err(configuration("heads", what, "give it at least one"));
        }
        for features in [Some(self.features), self.second].into_iter().flatten() {
            let size = match features {
                Features::Numeric { width } | Features::Measured { width, .. } => width,
                Features::Tokens { vocabulary } | Features::Bags { vocabulary } => vocabulary,
            };
            if size == 0 {
                return Err(configuration("features", "a step holds nothing", "choose a channel"));
            }
            if let Features::Measured { width, channels, observed, since } = features {
                let inside = |start: usize| start.checked_add(channels).is_some_and(|e| e <= width);
                let apart = observed.abs_diff(since) >= channels;
                let after = observed.min(since) >= channels;
                if channels == 0 || !after || !apart || !inside(observed) || !inside(since) {
                    let what = "values, masks and gaps of channels overlap or are not there";
                    return Err(configuration("features", what, "give each its own columns"));
                }
            }
        }
        Ok(())
    }
}

/// An error about a setting.
fn configuration(field: &str, what: impl Into<String>, hint: &'static str) -> Error {
    Error::Configuration { location: Location::default().field(field), what: what.into(), hint }
}
