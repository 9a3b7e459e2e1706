//! Graphs that other programs wrote: followed from the series to a dense layer on recurrent ones.
//!
//! Every value gets a [`Meaning`]; an operation that has none on what it is given ends the
//! reading with its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use sequela_core::Location;
use sequela_formats::onnx::{AttributeValue, Dimension, Element, Model as File, Node};
use sequela_nn::{Directions, Pooling, Sequence};

use super::super::found::{Dense, Found, Scale, Side};
use super::layers::Layer;
use super::meaning::{Axis, Meaning, Signal, What, integers};
use super::shapes;
use super::values::{constant, flatten, is_zero, reduce, shape_of, zeros};
use crate::Error;

/// The network in a graph.
pub(in super::super) fn read(file: &File, name: &Path) -> Result<Found, Error> {
    let mut trace = Trace::new(file, name);
    if !(7..=MOST_OPSET).contains(&file.opset) {
        let what = format!("the graph uses version {} of the operations", file.opset);
        let hint = format!("export it with an opset from 7 to {MOST_OPSET}");
        return Err(Error::foreign(Location::file(name), what, &hint));
    }
    trace.begin()?;
    let needed = trace.needed();
    for (index, node) in file.graph.nodes.iter().enumerate() {
        if needed[index] {
            trace.node(node)?;
        }
    }
    trace.finish()
}

/// One direction of a layer.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) layer: usize,
    pub(super) reverse: bool,
    pub(super) side: Side,
}

/// How far a graph has been followed.
pub(super) struct Trace<'a> {
    pub(super) file: &'a File,
    pub(super) name: &'a Path,
    pub(super) values: BTreeMap<&'a str, Meaning>,
    pub(super) settings: Option<Layer>,
    pub(super) sides: Vec<Placed>,
    pub(super) pooling: Option<Pooling>,
    pub(super) scales: Option<Vec<Scale>>,
    /// Numbers of constants that were made.
    pub(super) made: usize,
}

impl<'a> Trace<'a> {
    fn new(file: &'a File, name: &'a Path) -> Self {
        Self {
            file,
            name,
            values: BTreeMap::new(),
            settings: None,
            sides: Vec::new(),
            pooling: None,
            scales: None,
            made: 0,
        }
    }

    /// Gives initializers and inputs their meaning.
    pub(super) fn begin(&mut self) -> Result<(), Error> {
        let graph = &self.file.graph;
        for tensor in &graph.initializers {
            self.values.insert(&tensor.name, Meaning::constant(tensor.clone()));
        }
        let series = self.series()?;
        for input in &graph.inputs {
            if self.values.contains_key(input.name.as_str()) {
                continue;
            }
            let meaning = if input.name == series {
                let width = match input.shape.as_deref() {
                    Some([_, _, Dimension::Fixed(width)]) => Some(*width),
                    _ => None,
                };
                let plain = Scale { centre: 0.0, spread: 1.0 };
                let scales = vec![plain; width.unwrap_or(1).min(MOST_WIDTH)];
                let axes = vec![Axis::First, Axis::Second, Axis::Width];
                Meaning::Signal(Signal { axes, what: What::Input(scales) })
            } else {
                Meaning::Fed
            };
            self.values.insert(&input.name, meaning);
        }
        Ok(())
    }

    /// The input that the first recurrent layer goes back to.
    pub(super) fn series(&self) -> Result<&'a str, Error> {
        let graph = &self.file.graph;
        let refuse = |what: &str| {
            Err(Error::foreign(
                Location::file(self.name),
                what,
                "export one network of RNN, LSTM or GRU",
            ))
        };
        let first = graph.nodes.iter().find(|node| is_recurrent(node));
        let Some(mut value) = first.and_then(|node| node.inputs.first()) else {
            return refuse("there is no RNN, LSTM or GRU in the graph");
        };
        // Each node reads what was made before it, so this ends.
        for node in graph.nodes.iter().rev() {
            if node.outputs.contains(value) {
                let Some(before) = node.inputs.first() else {
                    return refuse("the first recurrent layer reads no input");
                };
                value = before;
            }
        }
        let is_it = graph.inputs.iter().find(|input| input.name == *value);
        match is_it {
            Some(input) if input.element != Element::F32 => {
                refuse("the series is not made of numbers (float32)")
            }
            Some(input) => Ok(&input.name),
            None => refuse("the first recurrent layer reads no input"),
        }
    }

    /// The nodes that an output depends on.
    pub(super) fn needed(&self) -> Vec<bool> {
        let graph = &self.file.graph;
        let mut read: BTreeSet<&str> = graph.outputs.iter().map(|o| o.name.as_str()).collect();
        let mut needed = vec![false; graph.nodes.len()];
        for (index, node) in graph.nodes.iter().enumerate().rev() {
            if node.outputs.iter().any(|name| read.contains(name.as_str())) {
                needed[index] = true;
                read.extend(node.inputs.iter().map(String::as_str));
            }
        }
        needed
    }

    pub(super) fn refuse(&self, node: &Node, what: &str) -> Error {
        let name = if node.name.is_empty() {
            node.outputs.first().map_or("", String::as_str)
        } else {
            &node.name
        };
        Error::foreign(
            Location::file(self.name).field(format!("node {name} ({})", node.op)),
            what,
            SUPPORTED,
        )
    }

    pub(super) fn input(&self, node: &'a Node, k: usize) -> Result<Option<Meaning>, Error> {
        match node.inputs.get(k).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(name) => match self.values.get(name) {
                Some(meaning) => Ok(Some(meaning.clone())),
                None => Err(self.refuse(node, "it reads a value that nothing makes")),
            },
        }
    }

    pub(super) fn node(&mut self, node: &'a Node) -> Result<(), Error> {
        if !(node.domain.is_empty() || node.domain == "ai.onnx") {
            let what = format!("the operation is of the domain {}", node.domain);
            return Err(self.refuse(node, &what));
        }
        if is_recurrent(node) {
            return self.recurrent(node);
        }
        if node.op == "Split" {
            return self.split(node);
        }
        let meaning = self.meaning(node)?;
        self.made = self.made.saturating_add(meaning.numbers());
        if self.made > MOST_NUMBERS {
            return Err(
                self.refuse(node, "what is made of the weights until here takes too much memory")
            );
        }
        if let Some(output) = node.outputs.first() {
            self.values.insert(output, meaning);
        }
        Ok(())
    }

    /// The meaning of a node's only value.
    pub(super) fn meaning(&mut self, node: &'a Node) -> Result<Meaning, Error> {
        let first = self.input(node, 0)?;
        let second = self.input(node, 1)?;
        if node.op == "Constant" {
            return constant(node).map(Meaning::constant).map_err(|what| self.refuse(node, what));
        }
        let Some(value) = first else { return Err(self.refuse(node, "it reads nothing")) };
        let ints = |name: &str| match node.attribute(name) {
            Some(AttributeValue::Ints(list)) => Some(list.as_slice()),
            _ => None,
        };
        let int = |name: &str, default: i64| match node.attribute(name) {
            Some(AttributeValue::Int(value)) => *value,
            _ => default,
        };
        let listed = match &second {
            Some(Meaning::Constant(tensor)) => integers(tensor),
            _ => None,
        };
        let axes = listed.as_deref().or_else(|| ints("axes"));
        let result = match node.op.as_str() {
            "Identity" | "Dropout" | "Cast" => Ok(value),
            "Shape" => Ok(shape_of(&value, (int("start", 0), int("end", i64::MAX)))),
            "ConstantOfShape" => zeros(node).map(|()| Meaning::Zeros),
            "Expand" => match &value {
                Meaning::Constant(tensor) if is_zero(tensor) => Ok(Meaning::Zeros),
                Meaning::Zeros => Ok(Meaning::Zeros),
                _ => Err("it repeats something else than zeros"),
            },
            "Transpose" => shapes::transpose(value, ints("perm")),
            "Squeeze" => shapes::squeeze(value, axes),
            "Unsqueeze" => match axes {
                Some(axes) => shapes::unsqueeze(value, axes),
                None => Err("it does not say where"),
            },
            "Reshape" => match &second {
                Some(shape) => shapes::reshape(value, shape),
                None => Err("it does not say its shape"),
            },
            "Flatten" => flatten(value),
            "Gather" => match &second {
                Some(Meaning::Constant(indices)) => shapes::gather(value, indices, int("axis", 0)),
                _ => Err("its indices are not constant"),
            },
            "Slice" => self.slice(node, value)?,
            "Concat" => {
                let values: Result<Vec<Meaning>, Error> = (0..node.inputs.len())
                    .map(|k| {
                        let missing = || self.refuse(node, "it reads nothing");
                        self.input(node, k)?.ok_or_else(missing)
                    })
                    .collect();
                shapes::concatenate(values?, int("axis", 0))
            }
            "ReduceMean" => reduce(value, axes, int("keepdims", 1), What::Mean),
            "ReduceMax" => reduce(value, axes, int("keepdims", 1), What::Max),
            "Relu" => match value {
                Meaning::Signal(Signal { axes, what: What::Dense(dense) }) => {
                    Ok(Meaning::Signal(Signal { axes, what: What::Relu(dense) }))
                }
                _ => Err("it stands on something else than a dense layer"),
            },
            "Add" | "Sub" | "Mul" | "Div" => match second {
                Some(second) => Self::arithmetic(&node.op, value, second),
                None => Err("it reads one value"),
            },
            "MatMul" => match second {
                Some(Meaning::Constant(weight)) => self.product(value, &weight, false),
                _ => Err("its second factor is not constant"),
            },
            "Gemm" => self.gemm(node, value, second)?,
            _ => Err("the operation is not one that is read"),
        };
        result.map_err(|what| self.refuse(node, what))
    }

    pub(super) fn slice(
        &self,
        node: &'a Node,
        value: Meaning,
    ) -> Result<Result<Meaning, shapes::Fault>, Error> {
        let list = |k: usize, name: &str| -> Result<Option<Vec<i64>>, Error> {
            Ok(match self.input(node, k)? {
                Some(Meaning::Constant(tensor)) => integers(&tensor),
                _ => match node.attribute(name) {
                    Some(AttributeValue::Ints(list)) => Some(list.clone()),
                    _ => None,
                },
            })
        };
        let (starts, ends) = (list(1, "starts")?, list(2, "ends")?);
        let (axes, steps) = (list(3, "axes")?, list(4, "steps")?);
        let (Some(starts), Some(ends)) = (starts, ends) else {
            return Ok(Err("its bounds are not constant"));
        };
        let axes = axes.unwrap_or_else(|| (0..).take(starts.len()).collect());
        if steps.is_some_and(|steps| steps.iter().any(|&step| step != 1))
            || axes.len() != starts.len()
            || ends.len() != starts.len()
        {
            return Ok(Err("it does not take neighbours"));
        }
        let mut value = value;
        for ((&start, &end), &axis) in starts.iter().zip(&ends).zip(&axes) {
            match shapes::slice(value, (start, end), axis) {
                Ok(sliced) => value = sliced,
                Err(what) => return Ok(Err(what)),
            }
        }
        Ok(Ok(value))
    }

    pub(super) fn split(&mut self, node: &'a Node) -> Result<(), Error> {
        let value = self.input(node, 0)?;
        let pieces = match value {
            Some(Meaning::Zeros | Meaning::Fed) => {
                for output in &node.outputs {
                    self.values.insert(output, Meaning::Fed);
                }
                return Ok(());
            }
            Some(value @ Meaning::Signal(_)) => value,
            _ => return Err(self.refuse(node, "it splits something else than states")),
        };
        let axis = match node.attribute("axis") {
            Some(AttributeValue::Int(axis)) => *axis,
            _ => 0,
        };
        let sizes = match self.input(node, 1)? {
            Some(Meaning::Constant(tensor)) => integers(&tensor),
            _ => match node.attribute("split") {
                Some(AttributeValue::Ints(list)) => Some(list.clone()),
                _ => None,
            },
        };
        let sizes = sizes.unwrap_or_else(|| vec![1; node.outputs.len()]);
        let mut from = 0_i64;
        for (output, size) in node.outputs.iter().zip(sizes) {
            let to = from.saturating_add(size.max(0));
            let piece = shapes::slice(pieces.clone(), (from, to), axis)
                .map_err(|what| self.refuse(node, what))?;
            self.values.insert(output, piece);
            from = to;
        }
        Ok(())
    }

    /// The network, where an output is a dense layer's.
    pub(super) fn finish(mut self) -> Result<Found, Error> {
        let refuse = |what: &str| Error::foreign(Location::file(self.name), what, SUPPORTED);
        let outputs = self.file.graph.outputs.iter();
        let dense: Vec<&Rc<Vec<Dense>>> = outputs
            .filter_map(|output| match self.values.get(output.name.as_str()) {
                Some(Meaning::Signal(Signal { what: What::Dense(dense), .. })) => Some(dense),
                _ => None,
            })
            .collect();
        let [dense] = dense.as_slice() else {
            return Err(refuse("not exactly one output of the graph is that of a dense layer"));
        };
        let dense = dense.as_ref().clone();
        let Some(layer) = self.settings.take() else {
            return Err(refuse("there is no recurrent layer"));
        };
        self.sides.sort_by_key(|side| (side.layer, side.reverse));
        let layers = 1 + self.sides.iter().map(|side| side.layer).max().unwrap_or(0);
        let both = self.sides.len() == 2 * layers;
        let one_way = self.sides.len() == layers && self.sides.iter().all(|side| !side.reverse);
        if !(one_way || both && self.sides.iter().filter(|side| side.reverse).count() == layers) {
            return Err(refuse("layers are not all forward or all in both directions"));
        }
        Ok(Found {
            kind: "ONNX",
            settings: Sequence {
                cell: layer.cell,
                activation: layer.activation,
                reset: layer.reset,
                hidden: layer.hidden,
                directions: if both { Directions::Both } else { Directions::Forward },
                pooling: self.pooling.unwrap_or(Pooling::Last),
                ..Sequence::default()
            },
            sides: self.sides.into_iter().map(|placed| placed.side).collect(),
            dense,
            scales: self.scales,
            assumed: Vec::new(),
        })
    }
}

fn is_recurrent(node: &Node) -> bool {
    matches!(node.op.as_str(), "RNN" | "LSTM" | "GRU") && node.domain.is_empty()
}

/// What is read, for messages.
const SUPPORTED: &str = "graphs of RNN, LSTM or GRU layers with Gemm or MatMul and Add on them are \
    read (see docs/guide/exchange.md)";
/// The newest operations that are known.
const MOST_OPSET: i64 = 26;
/// Values of a step of the series at most.
const MOST_WIDTH: usize = 1 << 16;
/// Numbers that constants may grow to.
const MOST_NUMBERS: usize = 1 << 28;
