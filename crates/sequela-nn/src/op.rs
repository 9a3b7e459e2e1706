//! The closed list of operations.

use crate::operation::Operation;
use crate::operations::{
    Activate, Add, Concatenate, Constant, Diagonal, Dropout, Embedding, FinalState, Impute, Input,
    Linear, Multiply, Normalise, Pool, Recurrent, Reverse, ScaleGradient, Select, Shift, Slice,
    SoftmaxSteps, Spread,
};
use crate::param::ParamSpec;
use serde::{Deserialize, Serialize};

/// What a node does. Each variant is documented at its struct.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Op {
    /// See [`Input`].
    Input(Input),
    /// See [`Constant`].
    Constant(Constant),
    /// See [`Linear`].
    Linear(Linear),
    /// See [`Diagonal`].
    Diagonal(Diagonal),
    /// See [`Embedding`].
    Embedding(Embedding),
    /// See [`Activate`].
    Activate(Activate),
    /// See [`Add`].
    Add(Add),
    /// See [`Multiply`].
    Multiply(Multiply),
    /// See [`Select`].
    Select(Select),
    /// See [`Impute`].
    Impute(Impute),
    /// See [`Normalise`].
    Normalise(Normalise),
    /// See [`Dropout`].
    Dropout(Dropout),
    /// See [`Concatenate`].
    Concatenate(Concatenate),
    /// See [`Slice`].
    Slice(Slice),
    /// See [`ScaleGradient`].
    ScaleGradient(ScaleGradient),
    /// See [`Recurrent`].
    Recurrent(Recurrent),
    /// See [`FinalState`].
    FinalState(FinalState),
    /// See [`SoftmaxSteps`].
    SoftmaxSteps(SoftmaxSteps),
    /// See [`Pool`].
    Pool(Pool),
    /// See [`Spread`].
    Spread(Spread),
    /// See [`Shift`].
    Shift(Shift),
    /// See [`Reverse`].
    Reverse(Reverse),
}

impl Op {
    /// The operation behind the variant.
    pub(crate) fn operation(&self) -> &dyn Operation {
        match self {
            Self::Input(op) => op,
            Self::Constant(op) => op,
            Self::Linear(op) => op,
            Self::Diagonal(op) => op,
            Self::Embedding(op) => op,
            Self::Activate(op) => op,
            Self::Add(op) => op,
            Self::Multiply(op) => op,
            Self::Select(op) => op,
            Self::Impute(op) => op,
            Self::Normalise(op) => op,
            Self::Dropout(op) => op,
            Self::Concatenate(op) => op,
            Self::Slice(op) => op,
            Self::ScaleGradient(op) => op,
            Self::Recurrent(op) => op,
            Self::FinalState(op) => op,
            Self::SoftmaxSteps(op) => op,
            Self::Pool(op) => op,
            Self::Spread(op) => op,
            Self::Shift(op) => op,
            Self::Reverse(op) => op,
        }
    }

    /// The name of the operation and of its parameter, for messages.
    pub(crate) fn label(&self, params: &[ParamSpec]) -> String {
        let name = self.operation().name();
        match self.operation().param().and_then(|param| params.get(param.index())) {
            Some(spec) => format!("{name} {}", spec.name),
            None => name.to_owned(),
        }
    }
}

/// Each operation becomes its variant, so that `builder.add(Linear { param }, &[x])` reads well.
macro_rules! into_op {
    ($($operation:ident),*) => {
        $(impl From<$operation> for Op {
            fn from(op: $operation) -> Self {
                Self::$operation(op)
            }
        })*
    };
}

into_op!(
    Input,
    Constant,
    Linear,
    Diagonal,
    Embedding,
    Activate,
    Add,
    Multiply,
    Select,
    Impute,
    Normalise,
    Dropout,
    Concatenate,
    Slice,
    ScaleGradient,
    Recurrent,
    FinalState,
    SoftmaxSteps,
    Pool,
    Spread,
    Shift,
    Reverse
);
