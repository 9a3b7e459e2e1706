//! RETAIN: attention over visits and over their codes, read backwards in time.

use super::parts::{self, HeadStyle};
use super::stack::{CellKind, Stack};
use super::{Features, Interface};
use crate::builder::Builder;
use crate::error::Error;
use crate::operations::{
    Activate, Dropout, DropoutKind, Linear, Multiply, Pool, PoolKind, Recurrent, SoftmaxSteps,
};
use crate::param::Initial;
use crate::program::{Program, Rows, Value};
use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::Direction;
use serde::{Deserialize, Serialize};

/// The settings of RETAIN.
///
/// `v_t = W_emb x_t`; `g = RNN_alpha(v_T .. v_1)`, `alpha = softmax_t(w_alpha g_t + b)`;
/// `h = RNN_beta(v_T .. v_1)`, `beta_t = tanh(W_beta h_t + b)`;
/// `c = sum_t alpha_t beta_t * v_t`; the heads are linear in c, so that the contribution of
/// every code of every visit can be read off.
///
/// **Source** Choi et al., NIPS 2016, arXiv 1608.05745.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retain {
    /// The cell; the paper takes a GRU.
    pub cell: CellKind,
    /// Width of v.
    pub embedding: usize,
    /// Hidden units of the RNN of alpha.
    pub alpha_hidden: usize,
    /// Hidden units of the RNN of beta.
    pub beta_hidden: usize,
    /// Share of v that is dropped while training.
    pub dropout: f32,
    /// First weights.
    pub initial: Initial,
}

impl Default for Retain {
    fn default() -> Self {
        Self {
            cell: CellKind::Gru,
            embedding: 128,
            alpha_hidden: 128,
            beta_hidden: 128,
            dropout: 0.0,
            initial: Initial::Keras,
        }
    }
}

impl Retain {
    pub(super) fn build(&self, interface: &Interface) -> Result<Program, Error> {
        self.cell.refuse_fading()?;
        let mut builder = Builder::new();
        let b = &mut builder;
        let mut v = parts::steps(b, "", interface.features, self.embedding, self.initial)?;
        if let Features::Numeric { width } | Features::Measured { width, .. } = interface.features {
            let sizes = (width, self.embedding);
            let param = parts::dense(b, "embedding", sizes, Bias::Absent, self.initial);
            v = b.add(Linear { param }, &[v])?;
        }
        if self.dropout > 0.0 {
            let dropout = Dropout { rate: self.dropout, kind: DropoutKind::Element };
            v = b.add(dropout, &[v])?;
        }
        let g = self.reversed(b, "alpha_rnn", self.alpha_hidden, v)?;
        let sizes = (self.alpha_hidden, 1);
        let param = parts::dense(b, "alpha", sizes, Bias::Trained, self.initial);
        let scores = b.add(Linear { param }, &[g])?;
        let alpha = b.add(SoftmaxSteps {}, &[scores])?;

        let h = self.reversed(b, "beta_rnn", self.beta_hidden, v)?;
        let sizes = (self.beta_hidden, self.embedding);
        let param = parts::dense(b, "beta", sizes, Bias::Trained, self.initial);
        let beta = b.add(Linear { param }, &[h])?;
        let beta = b.add(Activate { kind: Activation::Tanh }, &[beta])?;

        let weighed = b.add(Multiply {}, &[v, beta])?;
        let weighed = b.add(Multiply {}, &[weighed, alpha])?;
        let c = b.add(Pool { kind: PoolKind::Sum }, &[weighed])?;
        b.output("alpha", alpha);
        b.output("beta", beta);
        let c = parts::with_statics(b, interface, c, Rows::Sequences)?;
        let style = HeadStyle { hidden: &[], initial: self.initial, rows: Rows::Sequences };
        parts::heads(b, &interface.heads, c, style)?;
        builder.finish()
    }

    /// A recurrent layer from each sequence's own last step back.
    fn reversed(
        &self,
        builder: &mut Builder,
        name: &str,
        hidden: usize,
        v: Value,
    ) -> Result<Value, Error> {
        let stack = Stack { cell: self.cell, hidden, initial: self.initial, ..Stack::default() };
        stack.check()?;
        let param = stack.layer(builder, name, self.embedding, 0, Direction::Reverse);
        builder.add(Recurrent { param }, &[v])
    }
}
