//! The operations, one file each.
//!
//! A new one is one file: a struct with its settings, [`Operation`](crate::operation::Operation)
//! for it, a line here, a variant of [`Op`](crate::Op), and its cases in `tests/operations.rs`.

mod activate;
mod add;
mod concatenate;
mod constant;
mod diagonal;
mod dropout;
mod embedding;
mod final_state;
mod impute;
mod input;
mod linear;
mod multiply;
mod normalise;
mod pool;
mod recurrent;
mod reverse;
mod scale_gradient;
mod select;
mod shift;
mod slice;
mod softmax_steps;
mod spread;
mod walking;

pub use activate::Activate;
pub use add::Add;
pub use concatenate::Concatenate;
pub use constant::Constant;
pub use diagonal::Diagonal;
pub use dropout::{Dropout, DropoutKind};
pub use embedding::{Combine, Embedding};
pub use final_state::FinalState;
pub use impute::Impute;
pub use input::Input;
pub use linear::Linear;
pub use multiply::Multiply;
pub use normalise::Normalise;
pub use pool::{Pool, PoolKind};
pub use recurrent::Recurrent;
pub(crate) use recurrent::first_state;
pub use reverse::Reverse;
pub use scale_gradient::ScaleGradient;
pub use select::Select;
pub use shift::Shift;
pub use slice::Slice;
pub use softmax_steps::SoftmaxSteps;
pub use spread::Spread;
