//! Graphs that other programs wrote: followed from the series to a dense layer on recurrent ones.
//!
//! Every value gets a [`Meaning`]; an operation that has none on what it is given ends the
//! reading with its name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;

use sequela_core::Location;
use sequela_formats::onnx::{
    AttributeValue, Dimension, Element, Model as File, Node, Tensor, TensorNumbers,
};
use sequela_nn::{Directions, Pooling, Sequence};

use super::super::found::{Dense, Found, Scale, Side};
use super::layers::{self, Layer};
use super::meaning::{Axis, Meaning, Signal, Size, What, floats, integers};
use super::shapes;
use crate::Error;
use crate::encode::narrow;

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
struct Placed {
    layer: usize,
    reverse: bool,
    side: Side,
}

/// How far a graph has been followed.
pub(super) struct Trace<'a> {
    file: &'a File,
    name: &'a Path,
    values: BTreeMap<&'a str, Meaning>,
    settings: Option<Layer>,
    sides: Vec<Placed>,
    pooling: Option<Pooling>,
    scales: Option<Vec<Scale>>,
    /// Numbers of constants that were made.
    made: usize,
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
    fn begin(&mut self) -> Result<(), Error> {
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
    fn series(&self) -> Result<&'a str, Error> {
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
    fn needed(&self) -> Vec<bool> {
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

    fn refuse(&self, node: &Node, what: &str) -> Error {
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

    fn input(&self, node: &'a Node, k: usize) -> Result<Option<Meaning>, Error> {
        match node.inputs.get(k).map(String::as_str) {
            None | Some("") => Ok(None),
            Some(name) => match self.values.get(name) {
                Some(meaning) => Ok(Some(meaning.clone())),
                None => Err(self.refuse(node, "it reads a value that nothing makes")),
            },
        }
    }

    fn node(&mut self, node: &'a Node) -> Result<(), Error> {
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
    fn meaning(&mut self, node: &'a Node) -> Result<Meaning, Error> {
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

    fn slice(
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

    fn split(&mut self, node: &'a Node) -> Result<(), Error> {
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

    /// A recurrent node: its weights are kept, its values get their meaning.
    fn recurrent(&mut self, node: &'a Node) -> Result<(), Error> {
        let x = self.input(node, 0)?;
        let constant = |k: usize| -> Result<Option<Rc<Tensor>>, Error> {
            match self.input(node, k)? {
                None => Ok(None),
                Some(Meaning::Constant(tensor)) => Ok(Some(tensor)),
                Some(_) => Err(self.refuse(node, "its weights are not constant")),
            }
        };
        let (Some(weight), Some(recurrent)) = (constant(1)?, constant(2)?) else {
            return Err(self.refuse(node, "it has no weights"));
        };
        let bias = constant(3)?;
        if !matches!(self.input(node, 4)?, None | Some(Meaning::Fed)) {
            return Err(self.refuse(node, "its sequence_lens are not an input"));
        }
        for k in [5, 6] {
            let from_zero = match self.input(node, k)? {
                None | Some(Meaning::Zeros | Meaning::Fed) => true,
                Some(Meaning::Constant(tensor)) => is_zero(&tensor),
                Some(_) => false,
            };
            if !from_zero {
                return Err(self.refuse(node, "its initial state is neither zero nor an input"));
            }
        }
        if self.input(node, 7)?.is_some() {
            return Err(self.refuse(node, "it has peepholes (input P)"));
        }
        let layer = layers::layer(node, (&weight, &recurrent, bias.as_deref()))
            .map_err(|what| self.refuse(node, &what))?;
        let depth = self.depth(node, x, &layer)?;
        if let Some(known) = &self.settings {
            let same = known.cell == layer.cell
                && known.activation == layer.activation
                && known.reset == layer.reset
                && known.hidden == layer.hidden;
            if !same {
                let what = "it differs from the layers before it in cell, settings or hidden size";
                return Err(self.refuse(node, what));
            }
        }
        let (start, count) = (self.sides.len(), layer.sides.len());
        let placed = layer.sides.iter().zip(&layer.reverse);
        let placed =
            placed.map(|(side, &reverse)| Placed { layer: depth, reverse, side: side.clone() });
        self.sides.extend(placed);
        let sides: Vec<usize> = (start..start + count).collect();
        let [steps, states] = if layer.batch_first {
            [
                vec![Axis::Batch, Axis::Time, Axis::Sides, Axis::Width],
                vec![Axis::Batch, Axis::Sides, Axis::Width],
            ]
        } else {
            [
                vec![Axis::Time, Axis::Sides, Axis::Batch, Axis::Width],
                vec![Axis::Sides, Axis::Batch, Axis::Width],
            ]
        };
        let whats = [What::Steps(sides.clone()), What::Hidden(sides.clone()), What::Cell(sides)];
        for (output, (what, axes)) in
            node.outputs.iter().zip(whats.into_iter().zip([steps, states.clone(), states]))
        {
            self.values.insert(output, Meaning::Signal(Signal { axes, what }));
        }
        self.settings.get_or_insert(layer);
        Ok(())
    }

    /// The number of the layer that a recurrent node is, by what it stands on.
    fn depth(&mut self, node: &Node, x: Option<Meaning>, layer: &Layer) -> Result<usize, Error> {
        let Some(Meaning::Signal(signal)) = x else {
            return Err(self.refuse(node, "it does not read the series"));
        };
        if signal.axes.len() != 3 || signal.axes[2] != Axis::Width {
            return Err(
                self.refuse(node, "what it reads is not laid out as steps, sequences, values")
            );
        }
        let inputs = layer.sides.first().map_or(0, |side| side.inputs);
        match &signal.what {
            What::Input(scales) => {
                let plain = scales.iter().all(|s| *s == Scale { centre: 0.0, spread: 1.0 });
                let own = match scales.as_slice() {
                    _ if plain => None,
                    [one] => Some(vec![*one; inputs]),
                    all if all.len() == inputs => Some(all.to_vec()),
                    _ => {
                        return Err(
                            self.refuse(node, "its inputs and their scales differ in number")
                        );
                    }
                };
                self.scales = own;
                Ok(0)
            }
            What::Steps(sides) => {
                let order = if layer.batch_first {
                    [Axis::Batch, Axis::Time]
                } else {
                    [Axis::Time, Axis::Batch]
                };
                if signal.axes[..2] != order {
                    return Err(self.refuse(node, "steps and sequences are exchanged before it"));
                }
                let below = sides.first().map_or(0, |&side| self.sides[side].layer);
                if !self.is_whole(sides, below) {
                    return Err(
                        self.refuse(node, "it does not read both directions of one layer in order")
                    );
                }
                Ok(below + 1)
            }
            _ => Err(self.refuse(node, "it stands on something else than steps of a layer")),
        }
    }

    /// Whether these are all directions of a layer, forward first.
    fn is_whole(&self, sides: &[usize], layer: usize) -> bool {
        let of_layer = self.sides.iter().filter(|side| side.layer == layer).count();
        sides.len() == of_layer
            && sides.iter().enumerate().all(|(at, &side)| {
                let placed = &self.sides[side];
                placed.layer == layer && placed.reverse == (at == 1)
            })
    }

    /// A sum, difference, product or quotient with a constant.
    fn arithmetic(op: &str, a: Meaning, b: Meaning) -> Result<Meaning, shapes::Fault> {
        let (signal, constant, swapped) = match (a, b) {
            (Meaning::Signal(signal), Meaning::Constant(constant)) => (signal, constant, false),
            (Meaning::Constant(constant), Meaning::Signal(signal)) => (signal, constant, true),
            (Meaning::Constant(a), Meaning::Constant(b)) => return multiplied(op, &a, &b),
            (a @ Meaning::Sizes(_), b) | (a, b @ Meaning::Sizes(_)) => {
                let (a, b) = (shapes::sizes(&a), shapes::sizes(&b));
                let (a, b) = (a.unwrap_or_default(), b.unwrap_or_default());
                return Ok(Meaning::Sizes(of_sizes(op, &a, &b)));
            }
            _ => return Err("it does not join a value and a constant"),
        };
        let beside = constant.shape.len() <= signal.axes.len()
            && constant.shape.iter().rev().skip(1).all(|&size| size == 1);
        let numbers = floats(&constant).filter(|numbers| beside && !numbers.is_empty());
        let numbers = numbers.ok_or("its constant is not one number or one for each column")?;
        if signal.axes.last() != Some(&Axis::Width) {
            return Err("the columns of its value are not the last axis");
        }
        let ones = vec![1.0; numbers.len()];
        let none = vec![0.0; numbers.len()];
        let negative = |list: &[f64]| list.iter().map(|n| -n).collect::<Vec<f64>>();
        // y = x * factor + offset
        let (factor, offset) = match (op, swapped) {
            ("Add", _) => (ones, numbers),
            ("Sub", false) => (ones, negative(&numbers)),
            ("Sub", true) => (negative(&ones), numbers),
            ("Mul", _) => (numbers, none),
            ("Div", false) => (numbers.iter().map(|n| 1.0 / n).collect(), none),
            _ => return Err("it divides by its value"),
        };
        let what = match signal.what {
            What::Input(scales) => What::Input(scaled(&scales, &factor, &offset)?),
            What::Dense(dense) => {
                let mut dense = Rc::unwrap_or_clone(dense);
                if let Some(last) = dense.last_mut() {
                    if factor.len() != 1 && factor.len() != last.bias.len() {
                        return Err("its constant has another number of columns");
                    }
                    *last = last.after(&factor, &offset);
                }
                What::Dense(Rc::new(dense))
            }
            _ => return Err("it stands on something else than the series or a dense layer"),
        };
        Ok(Meaning::Signal(Signal { axes: signal.axes, what }))
    }

    /// A dense layer without bias: `weight (inputs, outputs)`, or turned.
    fn product(
        &mut self,
        value: Meaning,
        weight: &Tensor,
        turned: bool,
    ) -> Result<Meaning, shapes::Fault> {
        let Meaning::Signal(signal) = value else { return Err("it reads no series") };
        let &[rows, columns] = weight.shape.as_slice() else {
            return Err("its weight is not a matrix");
        };
        let numbers = floats(weight).ok_or("its weight is not made of numbers")?;
        let numbers: Vec<f32> = numbers.into_iter().map(narrow).collect();
        let (inputs, weight) = if turned {
            (columns, numbers)
        } else {
            (rows, super::super::gates::transposed(&numbers, columns))
        };
        let outputs = weight.len() / inputs.max(1);
        if signal.axes.last() != Some(&Axis::Width) || signal.position(Axis::Sides).is_some() {
            return Err("the columns of its value are not the last axis");
        }
        let mut dense = match signal.what {
            What::Relu(dense) => Rc::unwrap_or_clone(dense),
            What::Input(_) | What::Dense(_) => {
                return Err("it stands on something else than recurrent layers or ReLU");
            }
            what => {
                self.pool(&what)?;
                Vec::new()
            }
        };
        dense.push(Dense { inputs, weight, bias: vec![0.0; outputs] });
        Ok(Meaning::Signal(Signal { axes: signal.axes, what: What::Dense(Rc::new(dense)) }))
    }

    fn pool(&mut self, what: &What) -> Result<(), shapes::Fault> {
        let sides = what.sides();
        let top = self.sides.iter().map(|side| side.layer).max().unwrap_or(0);
        if !self.is_whole(sides, top) {
            return Err("it does not read all directions of the last layer in order");
        }
        let forward_only = sides.iter().all(|&side| !self.sides[side].reverse);
        self.pooling = Some(match what {
            What::Steps(_) => Pooling::None,
            What::Hidden(_) => Pooling::Last,
            What::LastStep(_) if forward_only => Pooling::Last,
            What::LastStep(_) => {
                return Err(
                    "it reads the last step of a backward layer, which has seen that step only; \
                     use the final states",
                );
            }
            What::Mean(_) => Pooling::Mean,
            What::Max(_) => Pooling::Max,
            _ => return Err("it reads cell states"),
        });
        Ok(())
    }

    fn gemm(
        &mut self,
        node: &'a Node,
        value: Meaning,
        weight: Option<Meaning>,
    ) -> Result<Result<Meaning, shapes::Fault>, Error> {
        let number = |name: &str| match node.attribute(name) {
            Some(AttributeValue::Float(value)) => f64::from(*value),
            _ => 1.0,
        };
        let flag = |name: &str| matches!(node.attribute(name), Some(AttributeValue::Int(1)));
        let Some(Meaning::Constant(weight)) = weight else {
            return Ok(Err("its second factor is not constant"));
        };
        if flag("transA") {
            return Ok(Err("it turns its first factor"));
        }
        let bias = match self.input(node, 2)? {
            None => None,
            Some(Meaning::Constant(bias)) => Some(bias),
            Some(_) => return Ok(Err("its third value is not constant")),
        };
        let product = match self.product(value, &weight, flag("transB")) {
            Ok(product) => product,
            Err(what) => return Ok(Err(what)),
        };
        let scaled = |number: f64| {
            let numbers = TensorNumbers::F64(vec![number]);
            Meaning::constant(Tensor { name: String::new(), shape: Vec::new(), numbers })
        };
        let product = Self::arithmetic("Mul", product, scaled(number("alpha")));
        Ok(match bias {
            None => product,
            Some(bias) => {
                let bias = Self::arithmetic("Mul", Meaning::Constant(bias), scaled(number("beta")));
                product.and_then(|product| Self::arithmetic("Add", product, bias?))
            }
        })
    }

    /// The network, where an output is a dense layer's.
    fn finish(mut self) -> Result<Found, Error> {
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

/// The value of a `Constant`.
fn constant(node: &Node) -> Result<Tensor, shapes::Fault> {
    let tensor = |shape: Vec<usize>, numbers| Tensor { name: String::new(), shape, numbers };
    let Some(attribute) = node.attributes.first() else { return Err("it holds nothing") };
    Ok(match &attribute.value {
        AttributeValue::Tensor(tensor) => tensor.clone(),
        AttributeValue::Int(value) => tensor(Vec::new(), TensorNumbers::I64(vec![*value])),
        AttributeValue::Float(value) => tensor(Vec::new(), TensorNumbers::F32(vec![*value])),
        AttributeValue::Ints(list) => tensor(vec![list.len()], TensorNumbers::I64(list.clone())),
        AttributeValue::Floats(list) => tensor(vec![list.len()], TensorNumbers::F32(list.clone())),
        _ => return Err("it holds something else than numbers"),
    })
}

fn is_zero(tensor: &Tensor) -> bool {
    floats(tensor).is_some_and(|numbers| numbers.iter().all(|&number| number == 0.0))
}

/// Refuses other constants than zeros.
fn zeros(node: &Node) -> Result<(), shapes::Fault> {
    match node.attribute("value") {
        None => Ok(()),
        Some(AttributeValue::Tensor(tensor)) if is_zero(tensor) => Ok(()),
        Some(_) => Err("it makes something else than zeros"),
    }
}

fn shape_of(value: &Meaning, (start, end): (i64, i64)) -> Meaning {
    let sizes = match value {
        Meaning::Signal(signal) => signal.axes.iter().map(|&axis| Size::Of(axis)).collect(),
        Meaning::Constant(tensor) => {
            let known = |&size: &usize| Size::Known(i64::try_from(size).unwrap_or(i64::MAX));
            tensor.shape.iter().map(known).collect()
        }
        _ => vec![Size::Unknown; 3],
    };
    shapes::slice(Meaning::Sizes(sizes), (start, end), 0).unwrap_or(Meaning::Sizes(Vec::new()))
}

/// Sums and products of sizes; that of directions and width is the width of both.
fn of_sizes(op: &str, a: &[Size], b: &[Size]) -> Vec<Size> {
    let both = [Size::Of(Axis::Sides), Size::Of(Axis::Width)];
    match (op, a, b) {
        ("Mul", &[a], &[b]) if [a, b] == both || [b, a] == both => vec![Size::Of(Axis::Width)],
        _ => vec![Size::Unknown; a.len().max(b.len())],
    }
}

/// A product of constants, one of them a single number.
fn multiplied(op: &str, a: &Tensor, b: &Tensor) -> Result<Meaning, shapes::Fault> {
    let fault = "it joins two constants";
    let (list, factor) = (floats(a).ok_or(fault)?, floats(b).ok_or(fault)?);
    let ([factor], "Mul") = (factor.as_slice(), op) else { return Err(fault) };
    let numbers = TensorNumbers::F64(list.iter().map(|number| number * factor).collect());
    Ok(Meaning::constant(Tensor { name: String::new(), shape: a.shape.clone(), numbers }))
}

/// `(1, B, H)` or `(B, 1, H)` as rows.
fn flatten(value: Meaning) -> Result<Meaning, shapes::Fault> {
    match value {
        Meaning::Signal(signal) if matches!(signal.axes.as_slice(), [Axis::Batch, Axis::Width]) => {
            Ok(Meaning::Signal(signal))
        }
        Meaning::Signal(signal) => {
            let single = signal.axes.iter().position(|&axis| signal.is_single(axis));
            let sides = signal
                .position(Axis::Sides)
                .filter(|&at| signal.axes.get(at + 1) == Some(&Axis::Width));
            let flat = single.or(sides).map(|at| signal.without(at));
            match flat {
                Some(signal) if signal.axes == [Axis::Batch, Axis::Width] => {
                    Ok(Meaning::Signal(signal))
                }
                _ => Err("it does more than lay directions beside each other"),
            }
        }
        _ => Err("it does not read the series"),
    }
}

fn reduce(
    value: Meaning,
    axes: Option<&[i64]>,
    keep: i64,
    make: fn(Vec<usize>) -> What,
) -> Result<Meaning, shapes::Fault> {
    let Meaning::Signal(signal) = value else { return Err("it does not read the series") };
    let at = signal.position(Axis::Time).ok_or("it does not run over steps")?;
    let over = match axes {
        Some([axis]) => super::meaning::place(*axis, signal.axes.len()),
        _ => None,
    };
    if over != Some(at) {
        return Err("it does not run over steps alone");
    }
    let mut signal = signal.over_steps(make).ok_or("it does not run over outputs of a layer")?;
    if keep == 0 {
        signal.axes.remove(at);
    } else {
        signal.axes[at] = Axis::One;
    }
    Ok(Meaning::Signal(signal))
}

/// Scales of the series after `value * factor + offset`.
fn scaled(scales: &[Scale], factor: &[f64], offset: &[f64]) -> Result<Vec<Scale>, shapes::Fault> {
    let columns = scales.len().max(factor.len());
    let fits = |length: usize| length == 1 || length == columns;
    if !fits(scales.len())
        || !fits(factor.len())
        || factor.iter().any(|&f| f == 0.0 || !f.is_finite())
    {
        return Err("its constant has another number of columns, or is 0");
    }
    let of = |list: &[f64], k: usize| list[if list.len() == 1 { 0 } else { k }];
    Ok((0..columns)
        .map(|k| {
            // ((x - c) / s) f + o = (x - (c - o s / f)) / (s / f)
            let Scale { centre, spread } = scales[if scales.len() == 1 { 0 } else { k }];
            let (factor, offset) = (of(factor, k), of(offset, k));
            Scale { centre: centre - offset * spread / factor, spread: spread / factor }
        })
        .collect())
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
