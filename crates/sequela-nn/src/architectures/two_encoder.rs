//! Two inputs of different lengths, read by two stacks: a ligand and its target, vitals and notes.

use super::parts::{self, HeadStyle};
use super::stack::Stack;
use super::{Interface, configuration};
use crate::builder::Builder;
use crate::error::Error;
use crate::operations::Concatenate;
use crate::param::Initial;
use crate::program::{Program, Rows};
use serde::{Deserialize, Serialize};

/// The settings of two encoders: their final states go side by side to the heads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TwoEncoder {
    /// The stack over the first input.
    pub first: Stack,
    /// The stack over the second input.
    pub second: Stack,
    /// Width of the vectors that symbols become.
    pub embedding: usize,
    /// Widths of hidden layers before each output.
    pub head_hidden: Vec<usize>,
    /// First weights of embeddings and heads.
    pub initial: Initial,
}

impl Default for TwoEncoder {
    fn default() -> Self {
        Self {
            first: Stack::default(),
            second: Stack::default(),
            embedding: 32,
            head_hidden: Vec::new(),
            initial: Initial::Keras,
        }
    }
}

impl TwoEncoder {
    pub(super) fn build(&self, interface: &Interface) -> Result<Program, Error> {
        let Some(second) = interface.second else {
            return Err(configuration("second", "there is no second input", "describe it"));
        };
        let mut builder = Builder::new();
        let b = &mut builder;
        let mut ends = Vec::new();
        for (prefix, features, stack) in
            [("", interface.features, &self.first), ("second_", second, &self.second)]
        {
            let x = parts::steps(b, prefix, features, self.embedding, self.initial)?;
            let top = stack.build(b, &format!("{prefix}rnn"), (x, features))?;
            ends.push(top.last(b)?);
        }
        let value = b.add(Concatenate {}, &ends)?;
        let value = parts::with_statics(b, interface, value, Rows::Sequences)?;
        let style =
            HeadStyle { hidden: &self.head_hidden, initial: self.initial, rows: Rows::Sequences };
        parts::heads(b, &interface.heads, value, style)?;
        builder.finish()
    }
}
