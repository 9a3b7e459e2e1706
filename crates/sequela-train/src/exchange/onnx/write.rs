//! A program's operations as nodes of a graph.
//!
//! Values over steps are `(T, B, W)`, padded behind each sequence's length; values over sequences
//! are `(B, W)`. What lies in the padding never reaches a value that is read.

use sequela_core::Location;
use sequela_formats::onnx::{AttributeValue, Graph, Node, Tensor, TensorNumbers};
use sequela_kernels::activation::Activation;
use sequela_kernels::recurrent::{Cell, Direction, Reset, StatePart};
use sequela_nn::{CellKind, Op, ParamKind, ParamSpec, Parameters, PoolKind, Program, Rows, Value};

use super::super::gates::{self, Order};
use crate::Error;

/// A graph in the making.
#[derive(Debug, Default)]
pub(super) struct Sheet {
    pub(super) graph: Graph,
    values: usize,
}

impl Sheet {
    /// Adds an operation; the name of its value.
    pub(super) fn add(&mut self, op: &str, inputs: &[&str]) -> String {
        self.add_node(Node::new(op, inputs, &[]), 1).swap_remove(0)
    }

    /// Adds a node and names its values.
    pub(super) fn add_node(&mut self, mut node: Node, outputs: usize) -> Vec<String> {
        let names: Vec<String> = (0..outputs)
            .map(|k| format!("{}.{}", node.op.to_lowercase(), self.values + k))
            .collect();
        self.values += outputs;
        node.name.clone_from(&names[0]);
        node.outputs.clone_from(&names);
        self.graph.nodes.push(node);
        names
    }

    /// Gives a value the name that it has outside.
    pub(super) fn rename(&mut self, value: &str, name: &str) {
        self.graph
            .nodes
            .push(Node { name: name.into(), ..Node::new("Identity", &[value], &[name]) });
    }

    /// A constant; the same name is kept once.
    pub(super) fn constant(
        &mut self,
        name: &str,
        shape: &[usize],
        numbers: TensorNumbers,
    ) -> String {
        if !self.graph.initializers.iter().any(|tensor| tensor.name == name) {
            let tensor = Tensor { name: name.into(), shape: shape.to_vec(), numbers };
            self.graph.initializers.push(tensor);
        }
        name.to_owned()
    }

    /// A list of whole numbers: axes, sizes, positions.
    pub(super) fn integers(&mut self, values: &[i64]) -> String {
        let words: Vec<String> = values.iter().map(i64::to_string).collect();
        let name = format!("integers[{}]", words.join(","));
        self.constant(&name, &[values.len()], TensorNumbers::I64(values.to_vec()))
    }

    /// One number.
    pub(super) fn number(&mut self, value: f32) -> String {
        self.constant(&format!("number[{value}]"), &[], TensorNumbers::F32(vec![value]))
    }

    pub(super) fn squeeze(&mut self, value: &str, axis: i64) -> String {
        let axis = self.integers(&[axis]);
        self.add("Squeeze", &[value, &axis])
    }

    pub(super) fn unsqueeze(&mut self, value: &str, axis: i64) -> String {
        let axis = self.integers(&[axis]);
        self.add("Unsqueeze", &[value, &axis])
    }

    pub(super) fn transpose(&mut self, value: &str, order: &[i64]) -> String {
        let node = Node::new("Transpose", &[value], &[])
            .with("perm", AttributeValue::Ints(order.to_vec()));
        self.add_node(node, 1).swap_remove(0)
    }

    pub(super) fn concatenate(&mut self, values: &[&str], axis: i64) -> String {
        if let [one] = values {
            return (*one).to_owned();
        }
        let node = Node::new("Concat", values, &[]).with("axis", AttributeValue::Int(axis));
        self.add_node(node, 1).swap_remove(0)
    }

    /// The sum over the first axis, without it.
    pub(super) fn sum_steps(&mut self, value: &str) -> String {
        let axis = self.integers(&[0]);
        let node =
            Node::new("ReduceSum", &[value, &axis], &[]).with("keepdims", AttributeValue::Int(0));
        self.add_node(node, 1).swap_remove(0)
    }
}

/// What the nodes of a ragged batch share.
pub(super) struct Ragged {
    /// `(T, B, 1)`: whether a sequence has this step.
    pub(super) mask: String,
    /// `(T, B, 1)`: whether it is the sequence's last.
    pub(super) last: String,
    /// `(B, 1)`: lengths as numbers.
    pub(super) length: String,
}

impl Ragged {
    /// From `x (T, B, F)` and the input `lengths (B)`.
    pub(super) fn new(sheet: &mut Sheet, x: &str) -> Self {
        let shape = sheet.add("Shape", &[x]);
        let zero = sheet.constant("zero", &[], TensorNumbers::I64(vec![0]));
        let one = sheet.constant("one", &[], TensorNumbers::I64(vec![1]));
        let steps = sheet.add("Gather", &[&shape, &zero]);
        let steps = sheet.add("Range", &[&zero, &steps, &one]);
        let steps = sheet.unsqueeze(&steps, 1);
        let cast =
            |to: i64| Node::new("Cast", &["lengths"], &[]).with("to", AttributeValue::Int(to));
        let lengths = sheet.add_node(cast(7), 1).swap_remove(0);
        let before = sheet.add("Sub", &[&lengths, &one]);
        let mask = sheet.add("Less", &[&steps, &lengths]);
        let mask = sheet.unsqueeze(&mask, 2);
        let last = sheet.add("Equal", &[&steps, &before]);
        let last = sheet.unsqueeze(&last, 2);
        let length = sheet.add_node(cast(1), 1).swap_remove(0);
        let length = sheet.unsqueeze(&length, 1);
        Self { mask, last, length }
    }

    /// `(B, W)`: the last step of each sequence.
    pub(super) fn last(&self, sheet: &mut Sheet, x: &str) -> String {
        let zero = sheet.number(0.0);
        let kept = sheet.add("Where", &[&self.last, x, &zero]);
        sheet.sum_steps(&kept)
    }

    /// `(B, W)`: the sum over each sequence's steps.
    pub(super) fn sum(&self, sheet: &mut Sheet, x: &str) -> String {
        let zero = sheet.number(0.0);
        let kept = sheet.add("Where", &[&self.mask, x, &zero]);
        sheet.sum_steps(&kept)
    }

    /// `(B, W)`: the mean over each sequence's steps.
    pub(super) fn mean(&self, sheet: &mut Sheet, x: &str) -> String {
        let sum = self.sum(sheet, x);
        sheet.add("Div", &[&sum, &self.length])
    }

    fn lowest(&self, sheet: &mut Sheet, x: &str) -> String {
        let lowest = sheet.number(f32::MIN);
        sheet.add("Where", &[&self.mask, x, &lowest])
    }

    /// `(B, W)`: the largest of each sequence's steps.
    fn max(&self, sheet: &mut Sheet, x: &str) -> String {
        let kept = self.lowest(sheet, x);
        let node = Node::new("ReduceMax", &[&kept], &[])
            .with("axes", AttributeValue::Ints(vec![0]))
            .with("keepdims", AttributeValue::Int(0));
        sheet.add_node(node, 1).swap_remove(0)
    }

    fn softmax(&self, sheet: &mut Sheet, x: &str) -> String {
        let kept = self.lowest(sheet, x);
        let node = Node::new("Softmax", &[&kept], &[]).with("axis", AttributeValue::Int(0));
        sheet.add_node(node, 1).swap_remove(0)
    }
}

/// The states of all recurrent nodes, in their order: of each layer the forward one first.
#[derive(Debug, Default)]
pub(super) struct States {
    /// Recurrent nodes that begin from given states.
    pub(super) count: usize,
    /// H.
    pub(super) hidden: usize,
    /// Whether there are cell states too.
    pub(super) has_cell: bool,
    /// Initial states, `(1, B, H)` each.
    pub(super) initial: [Vec<String>; 2],
    /// Final states, `(1, B, H)` each.
    pub(super) finals: [Vec<String>; 2],
}

/// Writes the part of a program that an output depends on.
pub(super) struct Network<'a> {
    pub(super) program: &'a Program,
    pub(super) parameters: &'a Parameters,
    pub(super) ragged: Ragged,
    pub(super) states: States,
    /// Name of each node's value.
    names: Vec<Option<String>>,
    /// Names of the final states of recurrent nodes, by node: h, c.
    finals: Vec<[Option<String>; 2]>,
}

impl<'a> Network<'a> {
    pub(super) fn new(
        (program, parameters): (&'a Program, &'a Parameters),
        ragged: Ragged,
        states: States,
    ) -> Self {
        let nodes = program.nodes().len();
        let finals = vec![[None, None]; nodes];
        Self { program, parameters, ragged, states, names: vec![None; nodes], finals }
    }

    /// Writes all nodes that `output` depends on; `x` is the program's input `x`.
    pub(super) fn write(
        &mut self,
        sheet: &mut Sheet,
        x: &str,
        output: Value,
    ) -> Result<String, Error> {
        let needed = needed(self.program, output);
        for index in (0..self.program.nodes().len()).filter(|&index| needed[index]) {
            let name = self.node(sheet, x, index)?;
            self.names[index] = Some(name);
        }
        Ok(self.name(output).to_owned())
    }

    fn name(&self, value: Value) -> &str {
        self.names[value.index()].as_deref().unwrap_or("")
    }

    fn node(&mut self, sheet: &mut Sheet, x: &str, index: usize) -> Result<String, Error> {
        let node = &self.program.nodes()[index];
        let inputs: Vec<String> = node.inputs.iter().map(|v| self.name(*v).to_owned()).collect();
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let over_steps = node
            .inputs
            .first()
            .is_some_and(|v| matches!(self.program.nodes()[v.index()].rows, Rows::Steps(_)));
        Ok(match &node.op {
            Op::Input(op) if self.program.inputs()[op.input.index()].name == "x" => x.to_owned(),
            Op::Linear(op) => self.linear(sheet, inputs[0], op.param.index()),
            Op::Activate(op) => match op.kind {
                Activation::Identity => inputs[0].to_owned(),
                Activation::Tanh => sheet.add("Tanh", &inputs),
                Activation::Relu => sheet.add("Relu", &inputs),
                Activation::Sigmoid => sheet.add("Sigmoid", &inputs),
                Activation::Softplus => sheet.add("Softplus", &inputs),
                Activation::Decay => {
                    let rate = sheet.add("Relu", &inputs);
                    let rate = sheet.add("Neg", &[&rate]);
                    sheet.add("Exp", &[&rate])
                }
            },
            // Before the layer of a GRU-D.
            Op::Diagonal(_) | Op::Impute(_) => return Err(no_node()),
            Op::Add(_) => {
                let [first, rest @ ..] = inputs.as_slice() else { return Err(self.refuse(index)) };
                rest.iter().fold((*first).to_owned(), |sum, next| sheet.add("Add", &[&sum, next]))
            }
            Op::Multiply(_) => sheet.add("Mul", &inputs),
            Op::Concatenate(_) => sheet.concatenate(&inputs, -1),
            Op::Slice(op) => {
                let integer = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
                let start = sheet.integers(&[integer(op.start)]);
                let end = sheet.integers(&[integer(op.end)]);
                let axis = sheet.integers(&[-1]);
                sheet.add("Slice", &[inputs[0], &start, &end, &axis])
            }
            Op::Normalise(op) => {
                let [weight, bias] = [0, 1].map(|part| self.vector(sheet, op.param.index(), part));
                let node = Node::new("LayerNormalization", &[inputs[0], &weight, &bias], &[])
                    .with("axis", AttributeValue::Int(-1))
                    .with("epsilon", AttributeValue::Float(op.epsilon));
                sheet.add_node(node, 1).swap_remove(0)
            }
            // Neither does anything when nothing is trained.
            Op::Dropout(_) | Op::ScaleGradient(_) => inputs[0].to_owned(),
            Op::Recurrent(op) if over_steps && inputs.len() == 1 => {
                self.recurrent(sheet, inputs[0], op.param.index(), index)?
            }
            Op::FinalState(op) => {
                let part = usize::from(op.part == StatePart::Cell);
                let state = &self.finals[node.inputs[0].index()][part];
                let state = state.clone().ok_or_else(|| self.refuse(index))?;
                sheet.squeeze(&state, 0)
            }
            Op::SoftmaxSteps(_) => self.ragged.softmax(sheet, inputs[0]),
            Op::Pool(op) => match op.kind {
                PoolKind::Last => self.ragged.last(sheet, inputs[0]),
                PoolKind::Mean => self.ragged.mean(sheet, inputs[0]),
                PoolKind::Max => self.ragged.max(sheet, inputs[0]),
                PoolKind::Sum => self.ragged.sum(sheet, inputs[0]),
            },
            _ => return Err(self.refuse(index)),
        })
    }

    fn refuse(&self, index: usize) -> Error {
        let op = serde_json::to_value(&self.program.nodes()[index].op).unwrap_or_default();
        let op = op.get("op").and_then(|op| op.as_str()).unwrap_or("operation").to_owned();
        Error::foreign(
            Location::default().field(format!("node {index}")),
            format!("the operation {op} is not written as ONNX"),
            "models of kind sequence are; use the library for others",
        )
    }

    fn spec(&self, param: usize) -> &'a ParamSpec {
        &self.program.params()[param]
    }

    /// One tensor of a parameter, in its plain form.
    fn tensor(&self, param: usize, part: usize) -> sequela_nn::Tensor {
        let name = self.spec(param).tensors().swap_remove(part).name;
        let mut tensors = self.parameters.tensors();
        tensors.retain(|tensor| tensor.name == name);
        tensors.swap_remove(0)
    }

    fn vector(&self, sheet: &mut Sheet, param: usize, part: usize) -> String {
        let tensor = self.tensor(param, part);
        sheet.constant(&tensor.name, &tensor.shape, TensorNumbers::F32(tensor.values))
    }

    /// `x W^T + b`, for rows of sequences and of steps alike.
    fn linear(&self, sheet: &mut Sheet, x: &str, param: usize) -> String {
        let weight = self.tensor(param, 0);
        let turned = gates::transposed(&weight.values, weight.shape[1]);
        let shape = [weight.shape[1], weight.shape[0]];
        let weight = sheet.constant(&weight.name, &shape, TensorNumbers::F32(turned));
        let y = sheet.add("MatMul", &[x, &weight]);
        if self.spec(param).tensors().len() < 2 {
            return y;
        }
        let bias = self.vector(sheet, param, 1);
        sheet.add("Add", &[&y, &bias])
    }

    fn recurrent(
        &mut self,
        sheet: &mut Sheet,
        x: &str,
        param: usize,
        index: usize,
    ) -> Result<String, Error> {
        let ParamKind::Recurrent { cell, direction, hidden, .. } = self.spec(param).kind else {
            return Err(self.refuse(index));
        };
        let (op, kind) = match cell {
            Cell::Elman(_) => ("RNN", CellKind::Elman),
            Cell::Lstm => ("LSTM", CellKind::Lstm),
            Cell::Gru(_) => ("GRU", CellKind::Gru),
            Cell::GruD(_) | Cell::MinGru | Cell::MinLstm | Cell::Lru => return Err(no_node()),
        };
        let [weight, recurrent, bias] = self.recurrent_weights(sheet, param, Order::onnx(kind));
        let at = self.states.finals[0].len();
        let none = String::new();
        let h = self.states.initial[0].get(at).unwrap_or(&none).clone();
        let c = self.states.initial[1].get(at).unwrap_or(&none).clone();
        let mut inputs = vec![x, &weight, &recurrent, &bias, "lengths", &h];
        if self.states.has_cell {
            inputs.push(&c);
        }
        let word = |direction| match direction {
            Direction::Forward => "forward",
            Direction::Reverse => "reverse",
        };
        let size = i64::try_from(hidden).unwrap_or(i64::MAX);
        let mut node = Node::new(op, &inputs, &[])
            .with("hidden_size", AttributeValue::Int(size))
            .with("direction", AttributeValue::Text(word(direction).into()));
        match cell {
            Cell::Elman(activation) => {
                let texts = AttributeValue::Texts(vec![activation_name(activation).into()]);
                node = node.with("activations", texts);
                if activation == Activation::Identity {
                    node = node
                        .with("activation_alpha", AttributeValue::Floats(vec![1.0]))
                        .with("activation_beta", AttributeValue::Floats(vec![0.0]));
                }
            }
            Cell::Gru(reset) => {
                let after = i64::from(reset == Reset::AfterProduct);
                node = node.with("linear_before_reset", AttributeValue::Int(after));
            }
            Cell::Lstm | Cell::GruD(_) | Cell::MinGru | Cell::MinLstm | Cell::Lru => {}
        }
        let outputs = if self.states.has_cell { 3 } else { 2 };
        let mut names = sheet.add_node(node, outputs);
        if let Some(cell) = names.get(2) {
            self.states.finals[1].push(cell.clone());
            self.finals[index][1] = Some(cell.clone());
        }
        self.states.finals[0].push(names[1].clone());
        self.finals[index][0] = Some(names[1].clone());
        // (T, 1, B, H): one direction a node.
        let y = names.swap_remove(0);
        Ok(sheet.squeeze(&y, 1))
    }

    /// W, R and B of a layer and direction.
    fn recurrent_weights(&self, sheet: &mut Sheet, param: usize, order: Order) -> [String; 3] {
        let [ih, hh, bias_ih, bias_hh] = [0, 1, 2, 3].map(|part| self.tensor(param, part));
        let biases = [&bias_ih, &bias_hh].map(|bias| gates::to_foreign(&bias.values, order));
        let (rows, inputs, hidden) = (ih.shape[0], ih.shape[1], hh.shape[1]);
        let mut add = |name: &str, shape: &[usize], values: Vec<f32>| {
            sheet.constant(name, shape, TensorNumbers::F32(values))
        };
        [
            add(&ih.name, &[1, rows, inputs], gates::to_foreign(&ih.values, order)),
            add(&hh.name, &[1, rows, hidden], gates::to_foreign(&hh.values, order)),
            add(&bias_ih.name.replace("bias_ih", "bias"), &[1, 2 * rows], biases.concat()),
        ]
    }
}

/// For cells that the standard does not have.
fn no_node() -> Error {
    let place = Location::default().field("model.cell");
    let hint = "export an elman, lstm or gru";
    Error::foreign(place, "ONNX has no node for this cell", hint)
}

/// The standard's word for f of an Elman cell.
fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Relu => "Relu",
        Activation::Sigmoid => "Sigmoid",
        Activation::Identity => "Affine",
        Activation::Softplus => "Softplus",
        // No Elman cell has it.
        Activation::Decay => "",
        Activation::Tanh => "Tanh",
    }
}

/// The nodes that a value depends on.
pub(super) fn needed(program: &Program, output: Value) -> Vec<bool> {
    let mut needed = vec![false; program.nodes().len()];
    needed[output.index()] = true;
    for index in (0..needed.len()).rev() {
        if needed[index] {
            program.nodes()[index].inputs.iter().for_each(|v| needed[v.index()] = true);
        }
    }
    needed
}
