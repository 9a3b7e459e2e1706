//! Networks as plain data, and what runs them.
//!
//! A [`Program`] is a list of operations from a closed set, built by a [`Builder`] or from an
//! [`Architecture`]. A [`Runner`] plans it by capacity and runs it forward and backward on the
//! kernels without allocating; [`mod@reference`] runs it slowly in f64 and is the oracle for every
//! output and gradient; a [`Stream`] runs it one step at a time with the same bits (in [`Precision::F32`]; bf16 promises none).
//!
//! ```text
//! Architecture --build--> Program --plan--> Runner <--forward, loss, backward-- Batch
//!                            |                 ^
//!                            +--> Parameters --+--> Gradients --> Optimiser
//! ```
//!
//! Every value is a matrix; its rows are the sequences of a batch or their packed steps
//! ([`sequela_core::Layout`]), so padding is never computed. First file to read: `program.rs`.
#![forbid(unsafe_code)]

mod architectures;
mod batch;
mod budget;
mod builder;
mod carry;
mod cut;
mod error;
mod initialise;
mod keep;
mod limits;
mod loss;
mod op;
mod operation;
mod operations;
mod optimise;
mod param;
mod parameters;
mod pieces;
mod plan;
mod program;
mod reach;
pub mod reference;
mod runner;
mod slots;
mod state;
mod stream;
mod table;
mod transposes;
mod walk;
mod words;

pub use architectures::{
    Architecture, CellKind, Directions, EncoderDecoder, Features, Head, Interface, NormaliseKind,
    Pooling, Retain, Sequence, Stack, TwoEncoder,
};
pub use batch::{Batch, Mode};
pub use builder::Builder;
pub use error::Error;
pub use loss::{Loss, LossTerm};
pub use op::Op;
pub use operations::{
    Activate, Add, Combine, Concatenate, Constant, Diagonal, Dropout, DropoutKind, Embedding,
    FinalState, Impute, Input, Linear, Multiply, Normalise, Pool, PoolKind, Recurrent, Reverse,
    ScaleGradient, Select, Shift, Slice, SoftmaxSteps, Spread,
};
pub use optimise::{Convention, Method, Nesterov, Optimiser};
pub use param::{Initial, ParamKind, ParamSpec, TensorSpec};
pub use parameters::{Clip, Gradients, Parameters, Tensor};
pub use plan::{Capacity, Keep, Wanted};
pub use program::{
    InputId, InputKind, InputSpec, LayoutId, Node, Param, Program, Rows, Scalar, ScalarId, Value,
};
pub use runner::Runner;
pub use sequela_kernels::Precision;
pub use stream::Stream;
