//! A graph as bytes. The same graph gives the same bytes.

use super::wire::Writer;
use super::{
    Attribute, AttributeValue, Dimension, Element, Graph, Model, Node, Tensor, TensorNumbers,
    ValueInfo,
};

impl Model {
    /// The file as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.integer(1, self.ir_version);
        out.text(2, &self.producer);
        out.message(7, |out| graph(out, &self.graph));
        out.message(8, |out| out.integer(2, self.opset));
        for (key, value) in &self.metadata {
            out.message(14, |out| {
                out.text(1, key);
                out.text(2, value);
            });
        }
        out.bytes
    }
}

impl Element {
    pub(super) fn code(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::I32 => 6,
            Self::I64 => 7,
            Self::Other(code) => code,
        }
    }
}

fn graph(out: &mut Writer, graph: &Graph) {
    graph.nodes.iter().for_each(|n| out.message(1, |out| node(out, n)));
    out.text(2, &graph.name);
    graph.initializers.iter().for_each(|t| out.message(5, |out| tensor(out, t)));
    graph.inputs.iter().for_each(|v| out.message(11, |out| value_info(out, v)));
    graph.outputs.iter().for_each(|v| out.message(12, |out| value_info(out, v)));
}

fn node(out: &mut Writer, node: &Node) {
    // An input that is left out is an empty name, which must stand there.
    node.inputs.iter().for_each(|name| out.block(1, name.as_bytes()));
    node.outputs.iter().for_each(|name| out.block(2, name.as_bytes()));
    out.text(3, &node.name);
    out.text(4, &node.op);
    node.attributes.iter().for_each(|a| out.message(5, |out| attribute(out, a)));
    out.text(7, &node.domain);
}

fn attribute(out: &mut Writer, attribute: &Attribute) {
    out.text(1, &attribute.name);
    let kind = match &attribute.value {
        AttributeValue::Float(value) => {
            out.float(2, *value);
            1
        }
        AttributeValue::Int(value) => {
            out.integer(3, *value);
            2
        }
        AttributeValue::Text(text) => {
            out.block(4, text.as_bytes());
            3
        }
        AttributeValue::Tensor(value) => {
            out.message(5, |out| tensor(out, value));
            4
        }
        AttributeValue::Floats(values) => {
            for &value in values {
                out.float(7, value);
            }
            6
        }
        AttributeValue::Ints(values) => {
            for &value in values {
                out.integer(8, value);
            }
            7
        }
        AttributeValue::Texts(texts) => {
            for text in texts {
                out.block(9, text.as_bytes());
            }
            8
        }
        AttributeValue::Other => 0,
    };
    out.integer(20, kind);
}

fn tensor(out: &mut Writer, tensor: &Tensor) {
    tensor.shape.iter().for_each(|&size| out.integer(1, integer(size)));
    let (kind, bytes): (i64, Vec<u8>) = match &tensor.numbers {
        TensorNumbers::F32(numbers) => (1, numbers.iter().flat_map(|n| n.to_le_bytes()).collect()),
        TensorNumbers::I32(numbers) => (6, numbers.iter().flat_map(|n| n.to_le_bytes()).collect()),
        TensorNumbers::I64(numbers) => (7, numbers.iter().flat_map(|n| n.to_le_bytes()).collect()),
        TensorNumbers::Bool(numbers) => (9, numbers.iter().map(|&n| u8::from(n)).collect()),
        TensorNumbers::F64(numbers) => (11, numbers.iter().flat_map(|n| n.to_le_bytes()).collect()),
    };
    out.integer(2, kind);
    out.text(8, &tensor.name);
    out.block(9, &bytes);
}

fn value_info(out: &mut Writer, info: &ValueInfo) {
    out.text(1, &info.name);
    out.message(2, |out| {
        out.message(1, |out| {
            out.integer(1, i64::from(info.element.code()));
            let Some(shape) = &info.shape else { return };
            out.message(2, |out| {
                for size in shape {
                    out.message(1, |out| match size {
                        Dimension::Fixed(size) => out.integer(1, integer(*size)),
                        Dimension::Free(name) => out.text(2, name),
                        Dimension::Unknown => {}
                    });
                }
            });
        });
    });
}

fn integer(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
