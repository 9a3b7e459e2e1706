//! RNN, LSTM and GRU nodes as weights of sequela's cells.

use sequela_formats::onnx::{AttributeValue, Node, Tensor};
use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::Reset;
use sequela_nn::CellKind;

use super::super::found::Side;
use super::super::gates::{self, Order};
use super::meaning::floats;
use crate::encode::narrow;

/// What a node's weights are and how it walks.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    pub(super) cell: CellKind,
    pub(super) activation: Activation,
    pub(super) reset: Reset,
    pub(super) hidden: usize,
    /// Directions, in the order of the weights: whether each runs backwards.
    pub(super) reverse: Vec<bool>,
    pub(super) sides: Vec<Side>,
    /// Whether sequences come first, then steps.
    pub(super) batch_first: bool,
}

/// Reads a node's settings and its constants W, R and B.
///
/// The fault of a node that is not one of ours is a sentence.
pub(super) fn layer(
    node: &Node,
    (weight, recurrent, bias): (&Tensor, &Tensor, Option<&Tensor>),
) -> Result<Layer, String> {
    let cell = match node.op.as_str() {
        "RNN" => CellKind::Elman,
        "GRU" => CellKind::Gru,
        _ => CellKind::Lstm,
    };
    let integer = |name: &str, default: i64| match node.attribute(name) {
        Some(AttributeValue::Int(value)) => *value,
        _ => default,
    };
    if node.attribute("clip").is_some() {
        return Err("it clips its cells (attribute clip)".into());
    }
    if integer("input_forget", 0) != 0 {
        return Err("it couples input and forget gate (attribute input_forget)".into());
    }
    let reverse = match node.attribute("direction") {
        None => vec![false],
        Some(AttributeValue::Text(word)) if word == "forward" => vec![false],
        Some(AttributeValue::Text(word)) if word == "reverse" => vec![true],
        Some(AttributeValue::Text(word)) if word == "bidirectional" => vec![false, true],
        _ => return Err("its direction is not forward, reverse or bidirectional".into()),
    };
    let activation = activation(node, cell, reverse.len())?;
    let reset = if integer("linear_before_reset", 0) == 0 {
        Reset::BeforeProduct
    } else {
        Reset::AfterProduct
    };
    let order = Order::onnx(cell);
    let gates = order.gates();
    let (&[directions, rows, inputs], &[other, rows_too, hidden]) =
        (weight.shape.as_slice(), recurrent.shape.as_slice())
    else {
        return Err("its weights W and R are not arrays of three sizes".into());
    };
    let sound = directions == reverse.len()
        && other == directions
        && rows == rows_too
        && rows == gates * hidden
        && inputs > 0
        && hidden > 0
        && integer("hidden_size", i64::try_from(hidden).unwrap_or(0)).cast_unsigned()
            == hidden as u64;
    if !sound || bias.is_some_and(|bias| bias.shape != [directions, 2 * rows]) {
        return Err("its weights W, R and B do not fit its hidden_size and direction".into());
    }
    let numbers = |tensor: &Tensor| -> Result<Vec<f32>, String> {
        let numbers = floats(tensor).ok_or("its weights are not numbers with a fraction")?;
        Ok(numbers.into_iter().map(narrow).collect())
    };
    let (weight, recurrent) = (numbers(weight)?, numbers(recurrent)?);
    let bias = bias.map(numbers).transpose()?.unwrap_or_else(|| vec![0.0; directions * 2 * rows]);
    let sides = (0..directions).map(|side| {
        let part = |list: &[f32], size: usize| {
            gates::from_foreign(&list[side * size..(side + 1) * size], order)
        };
        let (own, other) = bias[side * 2 * rows..(side + 1) * 2 * rows].split_at(rows);
        Side {
            inputs,
            weight_ih: part(&weight, rows * inputs),
            weight_hh: part(&recurrent, rows * hidden),
            bias_ih: gates::from_foreign(own, order),
            bias_hh: gates::from_foreign(other, order),
        }
    });
    Ok(Layer {
        cell,
        activation,
        reset: if cell == CellKind::Gru { reset } else { Reset::AfterProduct },
        hidden,
        sides: sides.collect(),
        reverse,
        batch_first: integer("layout", 0) == 1,
    })
}

/// f of an Elman cell; refuses what LSTM and GRU do not have.
fn activation(node: &Node, cell: CellKind, directions: usize) -> Result<Activation, String> {
    let usual: &[&str] = match cell {
        CellKind::Gru => &["Sigmoid", "Tanh"],
        CellKind::Lstm => &["Sigmoid", "Tanh", "Tanh"],
        // The others are no nodes of ONNX.
        CellKind::Elman | CellKind::GruD | CellKind::MinGru | CellKind::MinLstm | CellKind::Lru => {
            &["Tanh"]
        }
    };
    let given: Vec<&str> = match node.attribute("activations") {
        Some(AttributeValue::Texts(texts)) if !texts.is_empty() => {
            texts.iter().map(String::as_str).collect()
        }
        _ => usual.repeat(directions),
    };
    let one = &given[..given.len().min(usual.len())];
    let alike = given.len() == usual.len() * directions
        && given.chunks(usual.len()).all(|chunk| chunk == one);
    if cell != CellKind::Elman {
        return if alike && one == usual {
            Ok(Activation::Tanh)
        } else {
            Err(format!("its activations are not {}", usual.join(", ")))
        };
    }
    let plain = |name: &str, wanted: f32| match node.attribute(name) {
        Some(AttributeValue::Floats(values)) => {
            values.iter().all(|value| value.to_bits() == wanted.to_bits())
        }
        _ => false,
    };
    match (alike, one) {
        (true, ["Tanh"]) => Ok(Activation::Tanh),
        (true, ["Relu"]) => Ok(Activation::Relu),
        (true, ["Sigmoid"]) => Ok(Activation::Sigmoid),
        (true, ["Affine"]) if plain("activation_alpha", 1.0) && plain("activation_beta", 0.0) => {
            Ok(Activation::Identity)
        }
        _ => {
            Err("its activation is not Tanh, Relu or Sigmoid (the same for all directions)".into())
        }
    }
}
