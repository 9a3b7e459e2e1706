//! What weights do not say: names and units of the inputs, scales, window, horizons. A small TOML
//! file beside them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use sequela_core::{Limits, Location};
use sequela_formats::bounded;
use sequela_kernels::activation::Activation;
use sequela_nn::Pooling;
use serde::Deserialize;

use super::found::{Found, is_every_step};
use crate::Error;
use crate::study::document::Document;
use crate::study::fault::Reader;
use crate::study::nearest;
use crate::study::{Indicator, InputKind, Missing, TargetKind};

/// The content of a schema file; lists stand in the order of the network.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schema {
    /// The file, for messages.
    #[serde(skip)]
    pub(super) file: std::path::PathBuf,
    /// Name of the model; without it that of the file of weights.
    #[serde(default)]
    pub(super) name: Option<String>,
    /// Steps that a forecast is made from.
    pub(super) length: usize,
    /// Steps ahead, one for each output.
    pub(super) horizons: Vec<usize>,
    /// What one step is called.
    #[serde(default = "step")]
    pub(super) step: String,
    /// The inputs.
    pub(super) channels: Vec<ChannelSchema>,
    /// What is forecast; without it the first channel.
    #[serde(default)]
    pub(super) target: Option<String>,
    /// What the network's outputs are.
    #[serde(default)]
    pub(super) output: OutputKind,
    /// For each horizon what a change or level is divided by.
    #[serde(default)]
    pub(super) changes: Vec<f64>,
    /// What the network's inputs are.
    #[serde(default)]
    pub(super) inputs: InputKind,
    /// What stands in for a missing value.
    #[serde(default)]
    pub(super) missing: Missing,
    /// Inputs beside the values, behind all of them.
    #[serde(default)]
    pub(super) indicators: Vec<Indicator>,
    /// What is made of the steps, where the file does not say.
    #[serde(default)]
    pub(super) pooling: Option<Pooling>,
    /// f of an Elman cell, where the file does not say.
    #[serde(default)]
    pub(super) activation: Option<ActivationKind>,
    /// Names of recurrent modules in their order, where there are several.
    #[serde(default)]
    pub(super) recurrent: Vec<String>,
    /// Names of dense layers in their order, where there are several; ReLU between them.
    #[serde(default)]
    pub(super) head: Vec<String>,
    /// Names whose weights are left behind.
    #[serde(default)]
    pub(super) ignore: Vec<String>,
}

/// An input.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ChannelSchema {
    pub(super) name: String,
    #[serde(default)]
    pub(super) unit: String,
    /// The network sees (value - centre) / spread.
    #[serde(default)]
    pub(super) centre: Option<f64>,
    #[serde(default)]
    pub(super) spread: Option<f64>,
}

/// What the network's outputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutputKind {
    /// (value - centre) / spread of the target.
    #[default]
    Scaled,
    /// The value in its unit.
    Value,
    /// (value - last one seen) / change.
    Change,
    /// (value - mean of the window) / change.
    Level,
}

/// f of an Elman cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActivationKind {
    Tanh,
    Relu,
    Sigmoid,
    Identity,
}

impl From<ActivationKind> for Activation {
    fn from(kind: ActivationKind) -> Self {
        match kind {
            ActivationKind::Tanh => Self::Tanh,
            ActivationKind::Relu => Self::Relu,
            ActivationKind::Sigmoid => Self::Sigmoid,
            ActivationKind::Identity => Self::Identity,
        }
    }
}

impl Schema {
    /// The schema in a file.
    pub(super) fn load(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let small = Limits { file_bytes: LARGEST.min(limits.file_bytes), ..*limits };
        let bytes = bounded::read(path, &small)?;
        Self::parse(bounded::text(&bytes, path)?, path)
    }

    /// The schema in a text.
    pub(super) fn parse(text: &str, name: &Path) -> Result<Self, Error> {
        let document = Document::parse(text, name)?;
        let mut schema =
            Self::deserialize(Reader(&document.root)).map_err(|fault| document.explain(fault))?;
        name.clone_into(&mut schema.file);
        let place = |field: &str| document.location(&[field.to_owned()]);
        schema.check().map_err(|(field, what, hint)| Error::Study {
            location: place(field).into(),
            what: what.into(),
            hint,
        })?;
        Ok(schema)
    }

    /// What types cannot say: field, fault and remedy.
    fn check(&self) -> Result<(), (&'static str, &'static str, String)> {
        let fail = |field, what, hint: &str| Err((field, what, hint.to_owned()));
        if !(1..=STEPS).contains(&self.length) {
            return fail("length", "it is not between 1 and 1,000,000", "give for example 60");
        }
        let rising = self.horizons.windows(2).all(|pair| pair[0] < pair[1]);
        let ends = (self.horizons.first(), self.horizons.last());
        if !rising || !matches!(ends, (Some(&first), Some(&last)) if first > 0 && last <= STEPS) {
            let hint = "give for example horizons = [1, 5, 30]";
            return fail("horizons", "they are not rising numbers from 1 to 1,000,000", hint);
        }
        if self.channels.is_empty() {
            let hint = "write channels = [{ name = \"heart_rate\", unit = \"bpm\" }]";
            return fail("channels", "there is none", hint);
        }
        let names: Vec<&str> = self.channels.iter().map(|c| c.name.as_str()).collect();
        if names.iter().collect::<BTreeSet<_>>().len() != names.len() {
            return fail("channels", "two have one name", "name each differently");
        }
        let sound = |c: &ChannelSchema| {
            c.centre.is_none_or(f64::is_finite)
                && c.spread.is_none_or(|spread| spread > 0.0 && spread.is_finite())
        };
        if !self.channels.iter().all(sound) {
            let hint = "give the numbers that the weights were trained with";
            return fail("channels", "a centre is not finite or a spread not positive", hint);
        }
        if let Some(target) = &self.target
            && !names.contains(&target.as_str())
        {
            return Err(("target", "it is not among the channels", nearest::hint(target, &names)));
        }
        let relative = matches!(self.output, OutputKind::Change | OutputKind::Level);
        if !self.changes.is_empty()
            && (!relative
                || self.changes.len() != self.horizons.len()
                || !self.changes.iter().all(|&change| change > 0.0 && change.is_finite()))
        {
            let hint = "give one for each horizon, with output = \"change\" or \"level\"";
            return fail("changes", "they are not positive numbers, one for each horizon", hint);
        }
        if self.inputs == InputKind::Relative && !relative {
            let hint = "write output = \"change\" or output = \"level\"";
            return fail("inputs", "relative inputs tell nothing of the level of the output", hint);
        }
        let whole = self.inputs == InputKind::Relative || self.output == OutputKind::Level;
        if whole && self.pooling.is_some_and(is_every_step) {
            let hint = "write pooling = \"last\"";
            return fail(
                "pooling",
                "what looks at a whole window goes with one forecast for it",
                hint,
            );
        }
        Ok(())
    }

    /// A place in the file.
    pub(super) fn place(&self, field: &str) -> Location {
        Location::file(&self.file).field(field)
    }

    /// Position of the channel that is forecast.
    pub(super) fn target_position(&self) -> usize {
        let target = self.target.as_ref();
        target.and_then(|name| self.channels.iter().position(|c| c.name == *name)).unwrap_or(0)
    }

    /// What a model file calls the output.
    pub(super) fn target_kind(&self) -> TargetKind {
        match self.output {
            OutputKind::Scaled | OutputKind::Value => TargetKind::Value,
            OutputKind::Change => TargetKind::Change,
            OutputKind::Level => TargetKind::Level,
        }
    }

    /// What changes are divided by.
    pub(super) fn changes(&self) -> Vec<f64> {
        if self.changes.is_empty() { vec![1.0; self.horizons.len()] } else { self.changes.clone() }
    }

    /// A schema with nothing but the structure that readers need.
    pub(super) fn bare() -> Self {
        Self {
            file: std::path::PathBuf::new(),
            name: None,
            length: 1,
            horizons: vec![1],
            step: step(),
            channels: Vec::new(),
            target: None,
            output: OutputKind::Scaled,
            changes: Vec::new(),
            inputs: InputKind::Values,
            missing: Missing::Carry,
            indicators: Vec::new(),
            pooling: None,
            activation: None,
            recurrent: Vec::new(),
            head: Vec::new(),
            ignore: Vec::new(),
        }
    }
}

/// A first schema for a network, to be filled in.
pub(super) fn draft(found: &Found) -> String {
    let mut text = format!(
        "# A first schema for a network of {}, written by sequela import --draft: fill it in.\n\
         length = 60          # steps that a forecast is made from\n",
        found.kind
    );
    let horizons: Vec<String> = (1..=found.outputs()).map(|k| k.to_string()).collect();
    let _ = writeln!(
        text,
        "horizons = [{}]      # steps ahead, one for each of the {} outputs\n\
         step = \"step\"        # what one step is called",
        horizons.join(", "),
        found.outputs()
    );
    let _ = writeln!(text, "channels = [         # the {} inputs, in order", found.inputs());
    for channel in 1..=found.inputs() {
        let scale = if found.scales.is_some() { "" } else { ", centre = 0.0, spread = 1.0" };
        let _ = writeln!(text, "  {{ name = \"channel_{channel}\", unit = \"\"{scale} }},");
    }
    text.push_str("]\n");
    if found.scales.is_none() {
        text.push_str("# The network sees (value - centre) / spread.\n");
    }
    text.push_str(
        "target = \"channel_1\" # what is forecast\n\
         output = \"scaled\"    # (value - centre) / spread; or value, change, level\n",
    );
    text
}

fn step() -> String {
    "step".into()
}

/// Steps of a window or horizon at most.
const STEPS: usize = 1_000_000;
/// Bytes of the largest schema that is read.
const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "length = 6\nhorizons = [1, 2]\nchannels = [{ name = \"hr\" }]\n";

    #[test]
    fn faults_are_named_with_their_line() {
        assert!(Schema::parse(GOOD, "s.toml".as_ref()).is_ok());
        for (from, to, words) in [
            ("length = 6", "length = 0", "s.toml:1, field length: it is not between"),
            ("[1, 2]", "[2, 1]", "s.toml:2, field horizons: they are not rising"),
            ("length", "lenght", "did you mean \"length\"?"),
            ("{ name = \"hr\" }", "{ name = \"hr\", spread = -1.0 }", "a spread not positive"),
            ("length = 6", "length = 6\ntarget = \"hx\"", "did you mean \"hr\"?"),
            ("length = 6", "length = 6\nchanges = [1.0]", "one for each horizon"),
            ("length = 6", "length = 6\ninputs = \"relative\"", "output = \"change\""),
        ] {
            let error = Schema::parse(&GOOD.replacen(from, to, 1), "s.toml".as_ref()).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
