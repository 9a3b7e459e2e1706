//! Bytes as a graph, checked on the way.

use std::path::Path;

use sequela_core::Limits;

use super::fields::{count, doubles, inner, integer, integers, single, singles, text, unsupported};
use super::wire::Message;
use super::{
    Attribute, AttributeValue, Dimension, Element, Graph, Model, Node, Tensor, TensorNumbers,
    ValueInfo,
};
use crate::{Error, bounded};

/// The model in a file.
///
/// # Errors
/// What [`bounded::read`] gives, and as [`parse_model`].
pub fn read_model(path: &Path, limits: &Limits) -> Result<Model, Error> {
    parse_model(&bounded::read(path, limits)?, path, limits)
}

/// The model in bytes; `name` stands for the file in messages.
///
/// **Cost** linear in the bytes.
///
/// # Errors
/// [`Error::Malformed`] with the byte where the file is cut short or breaks the format;
/// [`Error::Limit`] where there are too many bytes, operations, names or sizes;
/// [`Error::Unsupported`] for weights in other files, operations of other domains' versions, and
/// kinds of numbers that are not read.
pub fn parse_model(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Model, Error> {
    let mut message = start(bytes, name, limits)?;
    let mut model = Model::default();
    let mut has_graph = false;
    while let Some(field) = message.next()? {
        match field.number {
            1 => model.ir_version = integer(&message, field)?,
            2 => model.producer = text(&message, field)?,
            7 => {
                model.graph = graph(inner(&message, field)?)?;
                has_graph = true;
            }
            8 => {
                let (domain, version) = opset(inner(&message, field)?)?;
                if domain.is_empty() || domain == "ai.onnx" {
                    model.opset = version;
                }
            }
            14 => {
                count(&message, field, model.metadata.len(), NAMES)?;
                model.metadata.push(entry(inner(&message, field)?)?);
            }
            _ => {}
        }
    }
    if !has_graph {
        return Err(message.malformed(
            bytes.len(),
            "there is no graph: the file is cut short, or is no ONNX file",
        ));
    }
    Ok(model)
}

/// The array in bytes that hold nothing else (`.pb` files of test cases).
///
/// # Errors
/// As [`parse_model`].
pub fn parse_tensor(bytes: &[u8], name: &Path, limits: &Limits) -> Result<Tensor, Error> {
    tensor(start(bytes, name, limits)?)
}

fn start<'a>(bytes: &'a [u8], name: &'a Path, limits: &Limits) -> Result<Message<'a>, Error> {
    let message = Message::new(bytes, name);
    if bytes.len() as u64 > limits.file_bytes {
        let what = "the file (in bytes)".into();
        return Err(Error::Limit {
            location: message.place(0).into(),
            what,
            limit: limits.file_bytes,
        });
    }
    Ok(message)
}

fn opset(mut message: Message<'_>) -> Result<(String, i64), Error> {
    let (mut domain, mut version) = (String::new(), 0);
    while let Some(field) = message.next()? {
        match field.number {
            1 => domain = text(&message, field)?,
            2 => version = integer(&message, field)?,
            _ => {}
        }
    }
    Ok((domain, version))
}

fn entry(mut message: Message<'_>) -> Result<(String, String), Error> {
    let (mut key, mut value) = (String::new(), String::new());
    while let Some(field) = message.next()? {
        match field.number {
            1 => key = text(&message, field)?,
            2 => value = text(&message, field)?,
            _ => {}
        }
    }
    Ok((key, value))
}

fn graph(mut message: Message<'_>) -> Result<Graph, Error> {
    let mut graph = Graph::default();
    while let Some(field) = message.next()? {
        match field.number {
            1 => {
                count(&message, field, graph.nodes.len(), NODES)?;
                graph.nodes.push(node(inner(&message, field)?)?);
            }
            2 => graph.name = text(&message, field)?,
            5 => {
                count(&message, field, graph.initializers.len(), NODES)?;
                graph.initializers.push(tensor(inner(&message, field)?)?);
            }
            11 => {
                count(&message, field, graph.inputs.len(), NODES)?;
                graph.inputs.push(value_info(inner(&message, field)?)?);
            }
            12 => {
                count(&message, field, graph.outputs.len(), NODES)?;
                graph.outputs.push(value_info(inner(&message, field)?)?);
            }
            15 => return Err(unsupported(&message, field, "the graph has sparse weights")),
            _ => {}
        }
    }
    Ok(graph)
}

fn node(mut message: Message<'_>) -> Result<Node, Error> {
    let mut node = Node::default();
    while let Some(field) = message.next()? {
        match field.number {
            1 => {
                count(&message, field, node.inputs.len(), NAMES)?;
                node.inputs.push(text(&message, field)?);
            }
            2 => {
                count(&message, field, node.outputs.len(), NAMES)?;
                node.outputs.push(text(&message, field)?);
            }
            3 => node.name = text(&message, field)?,
            4 => node.op = text(&message, field)?,
            5 => {
                count(&message, field, node.attributes.len(), NAMES)?;
                node.attributes.push(attribute(inner(&message, field)?)?);
            }
            7 => node.domain = text(&message, field)?,
            _ => {}
        }
    }
    Ok(node)
}

fn attribute(mut message: Message<'_>) -> Result<Attribute, Error> {
    let mut name = String::new();
    let mut kind = 0;
    let (mut float, mut int, mut string, mut array) = (0.0, 0, String::new(), None);
    let (mut floats, mut ints, mut strings) = (Vec::new(), Vec::new(), Vec::new());
    // Files older than IR version 4 may leave the kind out; the field that is there says it.
    let mut seen = 0;
    while let Some(field) = message.next()? {
        match field.number {
            1 => name = text(&message, field)?,
            2 => (float, seen) = (single(&message, field)?, 1),
            3 => (int, seen) = (integer(&message, field)?, 2),
            4 => (string, seen) = (text(&message, field)?, 3),
            5 => (array, seen) = (Some(tensor(inner(&message, field)?)?), 4),
            7 => {
                singles(&message, field, &mut floats)?;
                seen = 6;
            }
            8 => {
                integers(&message, field, &mut ints)?;
                seen = 7;
            }
            9 => {
                count(&message, field, strings.len(), NAMES)?;
                strings.push(text(&message, field)?);
                seen = 8;
            }
            20 => kind = integer(&message, field)?,
            6 | 10 | 11 | 14 | 15 | 22 => seen = 99,
            _ => {}
        }
    }
    let value = match if kind == 0 { seen } else { kind } {
        1 => AttributeValue::Float(float),
        2 => AttributeValue::Int(int),
        3 => AttributeValue::Text(string),
        4 => array.map_or(AttributeValue::Other, AttributeValue::Tensor),
        6 => AttributeValue::Floats(floats),
        7 => AttributeValue::Ints(ints),
        8 => AttributeValue::Texts(strings),
        _ => AttributeValue::Other,
    };
    Ok(Attribute { name, value })
}

/// The fields of an array before it is known what its numbers are.
#[derive(Default)]
struct Fields<'a> {
    name: String,
    sizes: Vec<i64>,
    kind: i64,
    raw: Option<&'a [u8]>,
    f32s: Vec<f32>,
    f64s: Vec<f64>,
    i32s: Vec<i64>,
    i64s: Vec<i64>,
}

fn tensor(mut message: Message<'_>) -> Result<Tensor, Error> {
    let mut fields = Fields::default();
    let mut first = None;
    while let Some(field) = message.next()? {
        first.get_or_insert(field.at);
        match field.number {
            1 => integers(&message, field, &mut fields.sizes)?,
            2 => fields.kind = integer(&message, field)?,
            4 => singles(&message, field, &mut fields.f32s)?,
            5 => integers(&message, field, &mut fields.i32s)?,
            7 => integers(&message, field, &mut fields.i64s)?,
            8 => fields.name = text(&message, field)?,
            9 => fields.raw = Some(inner(&message, field)?.bytes()),
            10 => doubles(&message, field, &mut fields.f64s)?,
            3 => return Err(unsupported(&message, field, "an array comes in segments")),
            13 => return Err(unsupported(&message, field, "weights lie in another file")),
            14 if integer(&message, field)? != 0 => {
                return Err(unsupported(&message, field, "weights lie in another file"));
            }
            _ => {}
        }
    }
    let at = first.unwrap_or(0);
    let place = || {
        let place = message.place(at);
        if fields.name.is_empty() { place } else { place.field(fields.name.clone()) }
    };
    let refuse = |what: &str| Error::malformed(place(), what, "export the file again");
    if fields.sizes.len() > RANK {
        let what = "the number of sizes of an array".into();
        return Err(Error::Limit { location: place().into(), what, limit: RANK as u64 });
    }
    let shape: Vec<usize> = fields
        .sizes
        .iter()
        .map(|&size| usize::try_from(size).map_err(|_| refuse("a size of an array is negative")))
        .collect::<Result<_, _>>()?;
    let numbers = numbers(&fields).ok_or_else(|| {
        Error::unsupported(
            place(),
            format!("an array holds numbers of kind {} of the standard", fields.kind),
            "export it as float32 (int32 or int64 for sizes)",
        )
    })?;
    let wanted = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    let whole = fields.raw.is_none_or(|raw| raw.len() == numbers.len() * width(fields.kind));
    if wanted != Some(numbers.len()) || !whole {
        return Err(refuse("an array's sizes and its numbers disagree"));
    }
    Ok(Tensor { name: fields.name, shape, numbers })
}

/// Bytes of one number of a kind.
fn width(kind: i64) -> usize {
    match kind {
        7 | 11 => 8,
        9 => 1,
        10 => 2,
        _ => 4,
    }
}

#[allow(clippy::cast_possible_truncation, reason = "int32 fields hold 32 bits")]
fn numbers(fields: &Fields<'_>) -> Option<TensorNumbers> {
    fn words<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> + '_ {
        bytes.as_chunks::<N>().0.iter().copied()
    }
    Some(match (fields.kind, fields.raw) {
        (1, Some(raw)) => TensorNumbers::F32(words(raw).map(f32::from_le_bytes).collect()),
        (1, None) => TensorNumbers::F32(fields.f32s.clone()),
        (6, Some(raw)) => TensorNumbers::I32(words(raw).map(i32::from_le_bytes).collect()),
        (6, None) => TensorNumbers::I32(fields.i32s.iter().map(|&n| n as i32).collect()),
        (7, Some(raw)) => TensorNumbers::I64(words(raw).map(i64::from_le_bytes).collect()),
        (7, None) => TensorNumbers::I64(fields.i64s.clone()),
        (9, Some(raw)) => TensorNumbers::Bool(raw.iter().map(|&byte| byte != 0).collect()),
        (9, None) => TensorNumbers::Bool(fields.i32s.iter().map(|&n| n != 0).collect()),
        (10, Some(raw)) => {
            TensorNumbers::F32(words(raw).map(|w| half(u16::from_le_bytes(w))).collect())
        }
        (11, Some(raw)) => TensorNumbers::F64(words(raw).map(f64::from_le_bytes).collect()),
        (11, None) => TensorNumbers::F64(fields.f64s.clone()),
        _ => return None,
    })
}

/// A number of half precision, exactly.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10 & 0x1F);
    let fraction = u32::from(bits & 0x3FF);
    match exponent {
        // 2^-24 for each unit.
        0 => f32::from_bits(sign | 0x3F80_0000) * (fraction as f32 * f32::from_bits(0x3380_0000)),
        31 => f32::from_bits(sign | 0x7F80_0000 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

fn value_info(mut message: Message<'_>) -> Result<ValueInfo, Error> {
    let mut info = ValueInfo { element: Element::Other(0), ..ValueInfo::default() };
    while let Some(field) = message.next()? {
        match field.number {
            1 => info.name = text(&message, field)?,
            2 => {
                let mut kind = inner(&message, field)?;
                while let Some(field) = kind.next()? {
                    if field.number == 1 {
                        tensor_type(inner(&kind, field)?, &mut info)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(info)
}

fn tensor_type(mut message: Message<'_>, info: &mut ValueInfo) -> Result<(), Error> {
    while let Some(field) = message.next()? {
        match field.number {
            1 => {
                info.element = match integer(&message, field)? {
                    1 => Element::F32,
                    6 => Element::I32,
                    7 => Element::I64,
                    other => Element::Other(i32::try_from(other).unwrap_or(0)),
                };
            }
            2 => {
                let mut sizes = inner(&message, field)?;
                let mut shape = Vec::new();
                while let Some(field) = sizes.next()? {
                    if field.number == 1 {
                        count(&sizes, field, shape.len(), RANK)?;
                        shape.push(dimension(inner(&sizes, field)?)?);
                    }
                }
                info.shape = Some(shape);
            }
            _ => {}
        }
    }
    Ok(())
}

fn dimension(mut message: Message<'_>) -> Result<Dimension, Error> {
    let mut size = Dimension::Unknown;
    while let Some(field) = message.next()? {
        match field.number {
            1 => {
                let value = integer(&message, field)?;
                size = usize::try_from(value).map_or(Dimension::Unknown, Dimension::Fixed);
            }
            2 => size = Dimension::Free(text(&message, field)?),
            _ => {}
        }
    }
    Ok(size)
}

/// Operations, initializers, inputs or outputs of a graph at most.
const NODES: usize = 1 << 16;
/// Names or settings of one operation at most.
const NAMES: usize = 1 << 12;
/// Sizes of an array at most.
const RANK: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_is_read_exactly() {
        for (bits, value) in
            [(0x3C00, 1.0), (0xC000, -2.0), (0x3555, 0.333_251_95), (0x0001, 5.960_464_5e-8)]
        {
            assert_eq!(half(bits).to_bits(), f32::to_bits(value));
        }
        assert!(half(0x7C00).is_infinite() && half(0x7E00).is_nan());
        assert_eq!(half(0x8000).to_bits(), (-0.0_f32).to_bits());
    }

    #[test]
    fn every_part_of_a_model_comes_back_and_no_cut_is_taken() {
        let array = |name: &str, numbers: TensorNumbers| Tensor {
            name: name.into(),
            shape: vec![numbers.len()],
            numbers,
        };
        let node = Node::new("LSTM", &["x", "", "w"], &["y", ""])
            .with("hidden_size", AttributeValue::Int(3))
            .with("clip", AttributeValue::Float(0.5))
            .with("direction", AttributeValue::Text("forward".into()))
            .with("activations", AttributeValue::Texts(vec!["Tanh".into(), "Relu".into()]))
            .with("axes", AttributeValue::Ints(vec![-1, 0]))
            .with("alpha", AttributeValue::Floats(vec![0.25]))
            .with("value", AttributeValue::Tensor(array("", TensorNumbers::Bool(vec![true]))));
        let model = Model {
            ir_version: 8,
            opset: 17,
            producer: "test".into(),
            metadata: vec![("a".into(), "b".into())],
            graph: Graph {
                name: "g".into(),
                nodes: vec![node],
                inputs: vec![ValueInfo {
                    name: "x".into(),
                    element: Element::F32,
                    shape: Some(vec![
                        Dimension::Free("batch".into()),
                        Dimension::Unknown,
                        Dimension::Fixed(2),
                    ]),
                }],
                outputs: vec![ValueInfo { name: "y".into(), ..ValueInfo::default() }],
                initializers: vec![
                    array("w", TensorNumbers::F32(vec![1.0, -2.5])),
                    array("d", TensorNumbers::F64(vec![0.1])),
                    array("i", TensorNumbers::I32(vec![-7])),
                    array("l", TensorNumbers::I64(vec![i64::MIN])),
                ],
            },
        };
        let bytes = model.to_bytes();
        let (name, limits) = (Path::new("m.onnx"), Limits::default());
        assert_eq!(parse_model(&bytes, name, &limits).unwrap(), model);
        for cut in 0..bytes.len() {
            // A cut between two outermost fields leaves a shorter file of the format.
            match parse_model(&bytes[..cut], name, &limits) {
                Ok(short) => assert_eq!(short.graph, model.graph),
                Err(error) => assert!(error.to_string().starts_with("m.onnx at byte "), "{error}"),
            }
        }
        let tight = Limits { file_bytes: 10, ..limits };
        assert!(matches!(parse_model(&bytes, name, &tight), Err(Error::Limit { .. })));
    }

    #[test]
    fn sizes_that_promise_too_much_allocate_nothing() {
        // An array of 2^40 numbers without any; a graph with one more size than is read.
        let mut out = super::super::wire::Writer::default();
        out.integer(1, 1 << 40);
        out.integer(2, 1);
        out.block(9, &[]);
        let (name, limits) = (Path::new("t.pb"), Limits::default());
        let error = parse_tensor(&out.bytes, name, &limits).unwrap_err();
        assert!(error.to_string().contains("sizes and its numbers disagree"), "{error}");
        let mut out = super::super::wire::Writer::default();
        (0..9).for_each(|_| out.integer(1, 1));
        assert!(matches!(parse_tensor(&out.bytes, name, &limits), Err(Error::Limit { .. })));
    }
}
