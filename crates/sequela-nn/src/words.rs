//! The kernels' words in serde's form, so that a program can be saved.

use sequela_kernels::activation::Activation;
use sequela_kernels::linear::Bias;
use sequela_kernels::recurrent::{Cell, Direction, Reset, StatePart};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Activation", rename_all = "snake_case")]
pub(crate) enum ActivationWord {
    Identity,
    Tanh,
    Relu,
    Sigmoid,
    Softplus,
    Decay,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reset", rename_all = "snake_case")]
pub(crate) enum ResetWord {
    AfterProduct,
    BeforeProduct,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Cell", rename_all = "snake_case")]
pub(crate) enum CellWord {
    Elman(#[serde(with = "ActivationWord")] Activation),
    Lstm,
    Gru(#[serde(with = "ResetWord")] Reset),
    GruD(#[serde(with = "ResetWord")] Reset),
    MinGru,
    MinLstm,
    Lru,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Direction", rename_all = "snake_case")]
pub(crate) enum DirectionWord {
    Forward,
    Reverse,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "StatePart", rename_all = "snake_case")]
pub(crate) enum StatePartWord {
    Hidden,
    Cell,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Bias", rename_all = "snake_case")]
pub(crate) enum BiasWord {
    Trained,
    Absent,
}
