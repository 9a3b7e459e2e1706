//! What small operations make of what they are given.

use sequela_formats::onnx::{AttributeValue, Node, Tensor, TensorNumbers};

use super::super::found::Scale;
use super::meaning::{Axis, Meaning, Size, What, floats, place};
use super::shapes::{self, Fault};

/// The value of a `Constant`.
pub(super) fn constant(node: &Node) -> Result<Tensor, Fault> {
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

pub(super) fn is_zero(tensor: &Tensor) -> bool {
    floats(tensor).is_some_and(|numbers| numbers.iter().all(|&number| number == 0.0))
}

/// Refuses other constants than zeros.
pub(super) fn zeros(node: &Node) -> Result<(), Fault> {
    match node.attribute("value") {
        None => Ok(()),
        Some(AttributeValue::Tensor(tensor)) if is_zero(tensor) => Ok(()),
        Some(_) => Err("it makes something else than zeros"),
    }
}

pub(super) fn shape_of(value: &Meaning, (start, end): (i64, i64)) -> Meaning {
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
pub(super) fn of_sizes(op: &str, a: &[Size], b: &[Size]) -> Vec<Size> {
    let both = [Size::Of(Axis::Sides), Size::Of(Axis::Width)];
    match (op, a, b) {
        ("Mul", &[a], &[b]) if [a, b] == both || [b, a] == both => vec![Size::Of(Axis::Width)],
        _ => vec![Size::Unknown; a.len().max(b.len())],
    }
}

/// A product of constants, one of them a single number.
pub(super) fn multiplied(op: &str, a: &Tensor, b: &Tensor) -> Result<Meaning, Fault> {
    let fault = "it joins two constants";
    let (list, factor) = (floats(a).ok_or(fault)?, floats(b).ok_or(fault)?);
    let ([factor], "Mul") = (factor.as_slice(), op) else { return Err(fault) };
    let numbers = TensorNumbers::F64(list.iter().map(|number| number * factor).collect());
    Ok(Meaning::constant(Tensor { name: String::new(), shape: a.shape.clone(), numbers }))
}

/// `(1, B, H)` or `(B, 1, H)` as rows.
pub(super) fn flatten(value: Meaning) -> Result<Meaning, Fault> {
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

pub(super) fn reduce(
    value: Meaning,
    axes: Option<&[i64]>,
    keep: i64,
    make: fn(Vec<usize>) -> What,
) -> Result<Meaning, Fault> {
    let Meaning::Signal(signal) = value else { return Err("it does not read the series") };
    let at = signal.position(Axis::Time).ok_or("it does not run over steps")?;
    let over = match axes {
        Some([axis]) => place(*axis, signal.axes.len()),
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
pub(super) fn scaled(
    scales: &[Scale],
    factor: &[f64],
    offset: &[f64],
) -> Result<Vec<Scale>, Fault> {
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
