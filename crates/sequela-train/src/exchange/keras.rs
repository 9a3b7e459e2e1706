//! Keras's weights, as `scripts/keras_to_safetensors.py` brings them over: names as in Keras, and
//! the layers with what their configuration says.
//!
//! **Source** <https://keras.io/api/layers/recurrent_layers/>: kernel `(F, G*H)`, recurrent kernel
//! `(H, G*H)`, gates i,f,c,o and z,r,h side by side; a GRU with `reset_after` has two biases.

use std::path::Path;

use sequela_core::Location;
use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::Reset;
use sequela_nn::{CellKind, Directions, Pooling, Sequence};
use serde::Deserialize;

use super::found::{Dense, Found, Side};
use super::gates::{self, Order};
use super::schema::Schema;
use super::values;
use crate::Error;
use crate::tensors::TensorFile;

/// The text in the metadata that lists the layers.
pub(super) const KEY: &str = "keras";

/// A layer, as the script lists it; what is not known is left out.
#[derive(Debug, Deserialize)]
struct Layer {
    name: String,
    kind: String,
    /// The class inside a `Bidirectional`.
    #[serde(default)]
    cell: Option<String>,
    #[serde(default)]
    activation: Option<String>,
    #[serde(default)]
    recurrent_activation: Option<String>,
    #[serde(default)]
    return_sequences: Option<bool>,
    #[serde(default)]
    go_backwards: Option<bool>,
    #[serde(default)]
    merge_mode: Option<String>,
}

impl Layer {
    fn is_recurrent(&self) -> bool {
        matches!(self.kind.as_str(), "LSTM" | "GRU" | "SimpleRNN" | "Bidirectional")
    }
}

/// The network of a list of layers.
pub(super) fn read(file: &TensorFile, name: &Path, schema: &Schema) -> Result<Found, Error> {
    let place = Location::file(name);
    let layers: Vec<Layer> = serde_json::from_str(file.text(KEY, name)?).map_err(|error| {
        let what = format!("the list of layers is not what the script writes ({error})");
        Error::foreign(place.clone().field(KEY), what, "convert the file again")
    })?;
    let mut reading = Reading {
        file,
        name,
        found: Found {
            kind: "Keras",
            settings: Sequence { pooling: Pooling::Last, ..Sequence::default() },
            sides: Vec::new(),
            dense: Vec::new(),
            scales: None,
            assumed: Vec::new(),
        },
        shape: None,
        last_dense_is_linear: true,
        every_step: false,
    };
    for layer in layers.iter().filter(|layer| !schema.ignore.contains(&layer.name)) {
        reading.take(layer, schema)?;
    }
    if !reading.last_dense_is_linear {
        let what = "the last dense layer has an activation";
        return Err(Error::foreign(place, what, "forecasts come from a linear layer"));
    }
    // Lists of layers without settings come from files that hold weights alone.
    if layers.iter().any(|layer| layer.return_sequences.is_none() && layer.is_recurrent()) {
        reading.found.assumed.push("activations are Keras's defaults".into());
        if schema.pooling.is_none() {
            reading.found.assumed.push("pooling = \"last\"".into());
        }
    }
    Ok(reading.found)
}

struct Reading<'a> {
    file: &'a TensorFile,
    name: &'a Path,
    found: Found,
    /// Cell, f, reset, hidden size and directions of the first recurrent layer.
    shape: Option<(CellKind, Activation, Reset, usize, Directions)>,
    last_dense_is_linear: bool,
    every_step: bool,
}

impl Reading<'_> {
    fn refuse(&self, layer: &Layer, what: impl Into<String>, hint: &str) -> Error {
        Error::foreign(Location::file(self.name).field(layer.name.as_str()), what, hint)
    }

    fn take(&mut self, layer: &Layer, schema: &Schema) -> Result<(), Error> {
        let on_steps = !self.found.sides.is_empty() && self.every_step;
        match layer.kind.as_str() {
            "InputLayer" | "Masking" | "Dropout" | "SpatialDropout1D" => Ok(()),
            "LSTM" | "GRU" | "SimpleRNN" | "Bidirectional" => self.recurrent(layer, schema),
            "GlobalAveragePooling1D" if on_steps => {
                self.pool(Pooling::Mean);
                Ok(())
            }
            "GlobalMaxPooling1D" if on_steps => {
                self.pool(Pooling::Max);
                Ok(())
            }
            "Dense" => self.dense(layer, schema),
            kind => Err(self.refuse(
                layer,
                format!("a layer of kind {kind} in this place is not read"),
                "there are LSTM, GRU, SimpleRNN, Bidirectional, global pooling and Dense, in this order",
            )),
        }
    }

    fn pool(&mut self, pooling: Pooling) {
        self.found.settings.pooling = pooling;
        self.every_step = false;
    }

    fn recurrent(&mut self, layer: &Layer, schema: &Schema) -> Result<(), Error> {
        if !self.found.dense.is_empty() || !(self.found.sides.is_empty() || self.every_step) {
            let what = "a recurrent layer stands on something else than steps of one";
            return Err(self.refuse(layer, what, "recurrent layers come first, on each other"));
        }
        let both = layer.kind == "Bidirectional";
        let class = if both { layer.cell.as_deref().unwrap_or("") } else { &layer.kind };
        let kind = match class {
            "LSTM" => CellKind::Lstm,
            "GRU" => CellKind::Gru,
            "SimpleRNN" => CellKind::Elman,
            other => {
                let what = format!("the layer inside is of kind {other:?}");
                return Err(self.refuse(layer, what, "there are LSTM, GRU and SimpleRNN"));
            }
        };
        if layer.go_backwards == Some(true) {
            let what = "the layer goes backwards and leaves its output reversed";
            return Err(self.refuse(layer, what, "use Bidirectional, or turn the data around"));
        }
        if both && layer.merge_mode.as_deref().is_some_and(|mode| mode != "concat") {
            return Err(self.refuse(
                layer,
                "the directions are not concatenated",
                "use merge_mode=\"concat\"",
            ));
        }
        let activation = self.activation(layer, kind, schema)?;
        let directions = if both { Directions::Both } else { Directions::Forward };
        for side in if both { &["/forward", "/backward"][..] } else { &[""] } {
            let (side, reset, hidden) = self.side(layer, side, kind)?;
            let this = (kind, activation, reset, hidden, directions);
            if *self.shape.get_or_insert(this) != this {
                let what =
                    "the layer differs from the first in cell, activation, units or directions";
                return Err(self.refuse(layer, what, "one stack has one of each"));
            }
            self.found.sides.push(side);
            let settings = &mut self.found.settings;
            (settings.cell, settings.activation, settings.reset) = (kind, activation, reset);
            (settings.hidden, settings.directions) = (hidden, directions);
        }
        // Where only weights are known: every layer but the last one gives steps.
        let pooling = schema.pooling.unwrap_or(Pooling::Last);
        self.every_step = layer.return_sequences.unwrap_or(true);
        self.found.settings.pooling = match layer.return_sequences {
            Some(true) => Pooling::None,
            Some(false) => Pooling::Last,
            None => pooling,
        };
        Ok(())
    }

    /// f of an Elman cell; refuses other activations than LSTM and GRU have.
    fn activation(
        &self,
        layer: &Layer,
        kind: CellKind,
        schema: &Schema,
    ) -> Result<Activation, Error> {
        let word = layer.activation.as_deref();
        if kind == CellKind::Elman {
            return match word {
                None => Ok(schema.activation.map_or(Activation::Tanh, Activation::from)),
                Some("tanh") => Ok(Activation::Tanh),
                Some("relu") => Ok(Activation::Relu),
                Some("sigmoid") => Ok(Activation::Sigmoid),
                Some("linear") => Ok(Activation::Identity),
                Some(other) => {
                    let what = format!("the activation {other:?} is not one that is read");
                    Err(self.refuse(layer, what, "there are tanh, relu, sigmoid and linear"))
                }
            };
        }
        let usual = word.is_none_or(|word| word == "tanh")
            && layer.recurrent_activation.as_deref().is_none_or(|word| word == "sigmoid");
        if usual {
            return Ok(Activation::Tanh);
        }
        let what = "the activations are not tanh and sigmoid";
        Err(self.refuse(
            layer,
            what,
            "train with activation=\"tanh\", recurrent_activation=\"sigmoid\"",
        ))
    }

    fn side(
        &self,
        layer: &Layer,
        side: &str,
        kind: CellKind,
    ) -> Result<(Side, Reset, usize), Error> {
        let key = |part: &str| format!("{}{side}/{part}", layer.name);
        let kernel = values(self.file, &key("kernel"), self.name)?;
        let recurrent = values(self.file, &key("recurrent_kernel"), self.name)?;
        let gates = Order::keras(kind).gates();
        let (&[inputs, rows], &[hidden, rows_too]) =
            (kernel.shape.as_slice(), recurrent.shape.as_slice())
        else {
            return Err(self.refuse(layer, "a kernel is not a matrix", "convert the file again"));
        };
        if rows != rows_too || rows != gates * hidden || inputs == 0 {
            return Err(self.refuse(
                layer,
                "kernels and gates differ in size",
                "convert the file again",
            ));
        }
        let mut reset = Reset::AfterProduct;
        let biases = if self.file.arrays.contains_key(&key("bias")) {
            let bias = values(self.file, &key("bias"), self.name)?;
            match bias.shape.as_slice() {
                [2, each] if kind == CellKind::Gru && *each == rows => {
                    let (own, other) = bias.values.split_at(rows);
                    (own.to_vec(), other.to_vec())
                }
                [each] if *each == rows => {
                    if kind == CellKind::Gru {
                        reset = Reset::BeforeProduct;
                    }
                    (bias.values, vec![0.0; rows])
                }
                _ => {
                    return Err(self.refuse(
                        layer,
                        "the bias has an odd size",
                        "convert the file again",
                    ));
                }
            }
        } else {
            if kind == CellKind::Gru {
                let what = "a GRU without bias does not say where its reset stands";
                return Err(self.refuse(layer, what, "train it with use_bias=True"));
            }
            (vec![0.0; rows], vec![0.0; rows])
        };
        let order = Order::keras(kind);
        let side = Side {
            inputs,
            weight_ih: gates::from_foreign(&gates::transposed(&kernel.values, rows), order),
            weight_hh: gates::from_foreign(&gates::transposed(&recurrent.values, rows), order),
            bias_ih: gates::from_foreign(&biases.0, order),
            bias_hh: gates::from_foreign(&biases.1, order),
        };
        Ok((side, reset, hidden))
    }

    fn dense(&mut self, layer: &Layer, schema: &Schema) -> Result<(), Error> {
        if self.found.sides.is_empty() {
            let what = "a dense layer stands before the recurrent ones";
            return Err(self.refuse(layer, what, "dense layers come last"));
        }
        if self.last_dense_is_linear && !self.found.dense.is_empty() {
            let what = "the dense layer before it has no ReLU";
            let hint =
                "where the file does not say it, head = [...] in the schema puts ReLU between";
            return Err(self.refuse(layer, what, hint));
        }
        self.last_dense_is_linear = match layer.activation.as_deref() {
            None => schema.head.last().is_none_or(|last| *last == layer.name),
            Some("linear") => true,
            Some("relu") => false,
            Some(other) => {
                let what = format!("the activation {other:?} of a dense layer is not read");
                return Err(self.refuse(
                    layer,
                    what,
                    "there are linear and, before the last layer, relu",
                ));
            }
        };
        let kernel = values(self.file, &format!("{}/kernel", layer.name), self.name)?;
        let &[inputs, outputs] = kernel.shape.as_slice() else {
            return Err(self.refuse(layer, "the kernel is not a matrix", "convert the file again"));
        };
        let bias = format!("{}/bias", layer.name);
        let bias = if self.file.arrays.contains_key(&bias) {
            values(self.file, &bias, self.name)?.values
        } else {
            vec![0.0; outputs]
        };
        if bias.len() != outputs || inputs == 0 {
            return Err(self.refuse(
                layer,
                "kernel and bias differ in size",
                "convert the file again",
            ));
        }
        let weight = gates::transposed(&kernel.values, outputs);
        self.found.dense.push(Dense { inputs, weight, bias });
        Ok(())
    }
}
