//! ONNX: graphs of named operations with their weights, in protocol buffers.
//!
//! ```text
//! model.onnx --read_model--> Model { graph { nodes, inputs, outputs, initializers }, opset, metadata }
//! ```
//!
//! Only the messages that a graph of tensors needs are read and written; what else a file holds
//! (documentation, training information) is passed over. Sub-graphs of `If`, `Loop` and `Scan`
//! are not opened, so that the depth of what is read is fixed. What the operations mean is said
//! elsewhere; nothing of a file is ever run here.
//!
//! **Source** onnx.proto of IR version 10, <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>.
//!
//! # Example
//! ```
//! use sequela_core::Limits;
//! use sequela_formats::onnx::{Graph, Model, Node, parse_model};
//! let node = Node::new("Relu", &["x"], &["y"]);
//! let graph = Graph { name: "one".into(), nodes: vec![node], ..Graph::default() };
//! let model = Model { opset: 17, graph, ..Model::default() };
//! let bytes = model.to_bytes();
//! assert_eq!(parse_model(&bytes, "one.onnx".as_ref(), &Limits::default())?, model);
//! assert!(parse_model(&bytes[..9], "one.onnx".as_ref(), &Limits::default()).is_err());
//! # Ok::<(), sequela_formats::Error>(())
//! ```

mod fields;
mod read;
mod wire;
mod write;

pub use read::{parse_model, parse_tensor, read_model};

/// A model file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Model {
    /// Version of the file format.
    pub ir_version: i64,
    /// Version of the standard operations.
    pub opset: i64,
    /// Which program wrote it.
    pub producer: String,
    /// Texts by name.
    pub metadata: Vec<(String, String)>,
    /// The operations.
    pub graph: Graph,
}

/// Operations, each after those it reads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Graph {
    /// Name.
    pub name: String,
    /// The operations.
    pub nodes: Vec<Node>,
    /// What is fed; older files list initializers here too.
    pub inputs: Vec<ValueInfo>,
    /// What comes out.
    pub outputs: Vec<ValueInfo>,
    /// Weights and other constants.
    pub initializers: Vec<Tensor>,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Name; may be empty.
    pub name: String,
    /// What it does: `LSTM`, `Gemm`.
    pub op: String,
    /// Whose operation it is; empty for the standard's own.
    pub domain: String,
    /// Names of values; empty for one that is left out.
    pub inputs: Vec<String>,
    /// Names of values; empty for one that is left out.
    pub outputs: Vec<String>,
    /// Settings.
    pub attributes: Vec<Attribute>,
}

impl Node {
    /// A standard operation.
    pub fn new(op: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self { op: op.into(), inputs: own(inputs), outputs: own(outputs), ..Self::default() }
    }

    /// The same with a setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: AttributeValue) -> Self {
        self.attributes.push(Attribute { name: name.into(), value });
        self
    }

    /// The setting called `name`.
    pub fn attribute(&self, name: &str) -> Option<&AttributeValue> {
        self.attributes.iter().find(|attribute| attribute.name == name).map(|a| &a.value)
    }
}

/// A setting of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Name.
    pub name: String,
    /// Value.
    pub value: AttributeValue,
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum AttributeValue {
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f32),
    /// A text.
    Text(String),
    /// An array.
    Tensor(Tensor),
    /// Whole numbers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// Texts.
    Texts(Vec<String>),
    /// What is not read: a sub-graph, a sparse array, a type.
    Other,
}

/// A named array, numbers in row order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name; may be empty.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Numbers.
    pub numbers: TensorNumbers,
}

/// The numbers of an array.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TensorNumbers {
    /// `FLOAT`; `FLOAT16` is read as this.
    F32(Vec<f32>),
    /// `DOUBLE`.
    F64(Vec<f64>),
    /// `INT32`.
    I32(Vec<i32>),
    /// `INT64`.
    I64(Vec<i64>),
    /// `BOOL`.
    Bool(Vec<bool>),
}

impl TensorNumbers {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(numbers) => numbers.len(),
            Self::F64(numbers) => numbers.len(),
            Self::I32(numbers) => numbers.len(),
            Self::I64(numbers) => numbers.len(),
            Self::Bool(numbers) => numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Name, kind and sizes of a value that is fed or comes out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ValueInfo {
    /// Name.
    pub name: String,
    /// Kind of its numbers.
    pub element: Element,
    /// Sizes, outermost first, where they are told.
    pub shape: Option<Vec<Dimension>>,
}

/// Kind of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Element {
    /// `FLOAT`.
    #[default]
    F32,
    /// `INT32`.
    I32,
    /// `INT64`.
    I64,
    /// Another, by its number in the standard.
    Other(i32),
}

/// One size of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// Always this.
    Fixed(usize),
    /// Free, by name.
    Free(String),
    /// Nothing is said.
    Unknown,
}
