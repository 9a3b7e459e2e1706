//! Operations that move numbers without changing them: on constants and sizes they are carried
//! out, on signals they move axes.

use std::rc::Rc;

use sequela_formats::onnx::{Tensor, TensorNumbers};

use super::meaning::{Axis, Meaning, Signal, Size, What, integers, place};

/// Why an operation is not understood.
pub(super) type Fault = &'static str;

pub(super) fn transpose(value: Meaning, order: Option<&[i64]>) -> Result<Meaning, Fault> {
    let rank = match &value {
        Meaning::Constant(tensor) => tensor.shape.len(),
        Meaning::Signal(signal) => signal.axes.len(),
        _ => return Ok(value),
    };
    let order: Vec<usize> = match order {
        Some(order) => order.iter().map_while(|&axis| place(axis, rank)).collect(),
        None => (0..rank).rev().collect(),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..rank) {
        return Err("its order of axes is not one");
    }
    Ok(match value {
        Meaning::Constant(tensor) => Meaning::constant(permuted(&tensor, &order)),
        Meaning::Signal(signal) => Meaning::Signal(Signal {
            axes: order.iter().map(|&axis| signal.axes[axis]).collect(),
            what: signal.what,
        }),
        other => other,
    })
}

fn permuted(tensor: &Tensor, order: &[usize]) -> Tensor {
    let shape: Vec<usize> = order.iter().map(|&axis| tensor.shape[axis]).collect();
    let count = tensor.numbers.len();
    let mut steps = vec![1; tensor.shape.len()];
    for axis in (1..tensor.shape.len()).rev() {
        steps[axis - 1] = steps[axis] * tensor.shape[axis];
    }
    let from: Vec<usize> = (0..count)
        .map(|at| {
            let mut rest = at;
            let mut from = 0;
            for (axis, &size) in shape.iter().enumerate().rev() {
                from += rest % size * steps[order[axis]];
                rest /= size;
            }
            from
        })
        .collect();
    picked(tensor, shape, &from)
}

fn picked(tensor: &Tensor, shape: Vec<usize>, from: &[usize]) -> Tensor {
    fn pick<T: Copy>(numbers: &[T], from: &[usize]) -> Vec<T> {
        from.iter().filter_map(|&at| numbers.get(at).copied()).collect()
    }
    let numbers = match &tensor.numbers {
        TensorNumbers::F32(numbers) => TensorNumbers::F32(pick(numbers, from)),
        TensorNumbers::F64(numbers) => TensorNumbers::F64(pick(numbers, from)),
        TensorNumbers::I32(numbers) => TensorNumbers::I32(pick(numbers, from)),
        TensorNumbers::I64(numbers) => TensorNumbers::I64(pick(numbers, from)),
        TensorNumbers::Bool(numbers) => TensorNumbers::Bool(pick(numbers, from)),
        other => other.clone(),
    };
    Tensor { name: tensor.name.clone(), shape, numbers }
}

pub(super) fn squeeze(value: Meaning, axes: Option<&[i64]>) -> Result<Meaning, Fault> {
    match value {
        Meaning::Constant(tensor) => {
            let mut tensor = Rc::unwrap_or_clone(tensor);
            let rank = tensor.shape.len();
            let gone: Vec<usize> = match axes {
                Some(axes) => axes.iter().filter_map(|&axis| place(axis, rank)).collect(),
                None => (0..rank).filter(|&axis| tensor.shape[axis] == 1).collect(),
            };
            if gone.iter().any(|&axis| tensor.shape[axis] != 1) {
                return Err("an axis that it leaves out has not size 1");
            }
            let mut axis = 0;
            tensor.shape.retain(|_| {
                axis += 1;
                !gone.contains(&(axis - 1))
            });
            Ok(Meaning::constant(tensor))
        }
        Meaning::Signal(signal) => {
            let rank = signal.axes.len();
            let Some(axes) = axes else { return Err("it does not say which axes it leaves out") };
            let gone: Vec<usize> = axes.iter().filter_map(|&axis| place(axis, rank)).collect();
            if gone.iter().any(|&at| !signal.is_single(signal.axes[at])) {
                return Err("an axis that it leaves out has not size 1");
            }
            let mut axes = Vec::new();
            for (at, &axis) in signal.axes.iter().enumerate() {
                if !gone.contains(&at) {
                    axes.push(axis);
                }
            }
            Ok(Meaning::Signal(Signal { axes, what: signal.what }))
        }
        other => Ok(other),
    }
}

pub(super) fn unsqueeze(value: Meaning, axes: &[i64]) -> Result<Meaning, Fault> {
    let rank = axes.len()
        + match &value {
            Meaning::Constant(tensor) => tensor.shape.len(),
            Meaning::Signal(signal) => signal.axes.len(),
            _ => return Ok(value),
        };
    let mut new: Vec<usize> = axes.iter().filter_map(|&axis| place(axis, rank)).collect();
    new.sort_unstable();
    new.dedup();
    if new.len() != axes.len() {
        return Err("its axes are not ones of the result");
    }
    Ok(match value {
        Meaning::Constant(tensor) => {
            let mut tensor = Rc::unwrap_or_clone(tensor);
            for at in new {
                tensor.shape.insert(at, 1);
            }
            Meaning::constant(tensor)
        }
        Meaning::Signal(mut signal) => {
            for at in new {
                signal.axes.insert(at, Axis::One);
            }
            Meaning::Signal(signal)
        }
        other => other,
    })
}

/// A list of sizes, where a value is one.
pub(super) fn sizes(value: &Meaning) -> Option<Vec<Size>> {
    match value {
        Meaning::Sizes(sizes) => Some(sizes.clone()),
        Meaning::Constant(tensor) => Some(integers(tensor)?.into_iter().map(Size::Known).collect()),
        _ => None,
    }
}

pub(super) fn reshape(value: Meaning, shape: &Meaning) -> Result<Meaning, Fault> {
    let target = sizes(shape).ok_or("its shape is not understood")?;
    match value {
        Meaning::Constant(tensor) => {
            let mut tensor = Rc::unwrap_or_clone(tensor);
            tensor.shape =
                resolved(&tensor, &target).ok_or("its shape does not fit its numbers")?;
            Ok(Meaning::constant(tensor))
        }
        Meaning::Signal(signal) => moved(&signal, &target).map(Meaning::Signal),
        other => Ok(other),
    }
}

fn resolved(tensor: &Tensor, target: &[Size]) -> Option<Vec<usize>> {
    let count = tensor.numbers.len();
    let mut shape = Vec::with_capacity(target.len());
    let mut open = None;
    for (at, size) in target.iter().enumerate() {
        let Size::Known(size) = size else { return None };
        match size {
            0 => shape.push(*tensor.shape.get(at)?),
            -1 if open.is_none() => {
                open = Some(at);
                shape.push(1);
            }
            size => shape.push(usize::try_from(*size).ok()?),
        }
    }
    let product = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))?;
    if let Some(open) = open {
        shape[open] = count.checked_div(product)?;
    }
    let product: usize = shape.iter().try_fold(1_usize, |p, &size| p.checked_mul(size))?;
    (product == count).then_some(shape)
}

/// A signal in another shape: axes of size 1 left out, directions laid beside each other.
fn moved(signal: &Signal, target: &[Size]) -> Result<Signal, Fault> {
    // From least to most that is done; the first that fits is meant.
    let mut tries = vec![signal.clone()];
    let bare: Vec<Axis> =
        signal.axes.iter().copied().filter(|&axis| !signal.is_single(axis)).collect();
    tries.push(Signal { axes: bare, what: signal.what.clone() });
    for from in [tries[0].clone(), tries[1].clone()] {
        if let Some(at) = from.position(Axis::Sides)
            && from.axes.get(at + 1) == Some(&Axis::Width)
        {
            tries.push(from.without(at));
        }
    }
    tries
        .into_iter()
        .find(|to| fits(signal, to, target))
        .ok_or("it does more than lay directions beside each other or leave out axes of size 1")
}

fn fits(from: &Signal, to: &Signal, target: &[Size]) -> bool {
    let mut open = 0;
    let mut is_size = |at: usize, axis: Axis, size: Size| match size {
        // A copied size is that of what came in, before any axis was left out.
        Size::Known(0) => from.axes.get(at) == Some(&axis),
        Size::Known(-1) => {
            open += 1;
            open == 1
        }
        Size::Known(1) => to.is_single(axis),
        Size::Known(_) => axis == Axis::Width,
        Size::Of(of) => of == axis,
        Size::Unknown => false,
    };
    let axes = to.axes.iter().zip(target).enumerate();
    to.axes.len() == target.len()
        && axes.into_iter().all(|(at, (&axis, &size))| is_size(at, axis, size))
}

pub(super) fn concatenate(values: Vec<Meaning>, axis: i64) -> Result<Meaning, Fault> {
    if values.iter().all(|value| matches!(value, Meaning::Zeros)) {
        return Ok(Meaning::Zeros);
    }
    if values.iter().all(|value| matches!(value, Meaning::Constant(_))) {
        return joined(&values, axis).map(Meaning::constant);
    }
    if let Some(lists) = values.iter().map(sizes).collect::<Option<Vec<_>>>() {
        return Ok(Meaning::Sizes(lists.concat()));
    }
    let mut signals = values.into_iter().map(|value| match value {
        Meaning::Signal(signal) => Ok(signal),
        _ => Err("it joins values of different kinds"),
    });
    let mut all = signals.next().ok_or("it joins nothing")??;
    let at = place(axis, all.axes.len()).ok_or("its axis is not one")?;
    let along = all.axes[at];
    for signal in signals {
        let signal = signal?;
        let same = std::mem::discriminant(&signal.what) == std::mem::discriminant(&all.what);
        let beside =
            along == Axis::Sides || (along == Axis::Width && all.position(Axis::Sides).is_none());
        if signal.axes != all.axes || !same || !beside || signal.sides().is_empty() {
            return Err("it joins more than directions, layers or states");
        }
        all = all.with_sides([all.sides(), signal.sides()].concat());
    }
    Ok(Meaning::Signal(all))
}

fn joined(values: &[Meaning], axis: i64) -> Result<Tensor, Fault> {
    let mut tensors = values.iter().filter_map(|value| match value {
        Meaning::Constant(tensor) => Some(tensor.as_ref()),
        _ => None,
    });
    let first = tensors.next().ok_or("it joins nothing")?;
    let at = place(axis, first.shape.len()).ok_or("its axis is not one")?;
    let outer: usize = first.shape[..at].iter().product();
    let mut all = first.clone();
    for tensor in tensors {
        let same = tensor.shape.len() == all.shape.len()
            && (0..all.shape.len()).all(|k| k == at || tensor.shape[k] == all.shape[k]);
        if !same {
            return Err("it joins arrays of different sizes");
        }
        let numbers = match (&all.numbers, &tensor.numbers) {
            (TensorNumbers::F32(a), TensorNumbers::F32(b)) => {
                TensorNumbers::F32(interleaved(a, b, outer))
            }
            (TensorNumbers::I64(a), TensorNumbers::I64(b)) => {
                TensorNumbers::I64(interleaved(a, b, outer))
            }
            _ => return Err("it joins numbers of different kinds"),
        };
        all.shape[at] += tensor.shape[at];
        all.numbers = numbers;
    }
    Ok(all)
}

fn interleaved<T: Copy>(a: &[T], b: &[T], outer: usize) -> Vec<T> {
    let part = |list: &[T], k: usize| {
        let size = list.len() / outer.max(1);
        list[k * size..(k + 1) * size].to_vec()
    };
    (0..outer).flat_map(|k| [part(a, k), part(b, k)].concat()).collect()
}

/// Entries `start..end` along an axis; both may count from the end or lie beyond it.
pub(super) fn slice(value: Meaning, (start, end): (i64, i64), axis: i64) -> Result<Meaning, Fault> {
    match value {
        Meaning::Sizes(sizes) => {
            let (from, to) = range(start, end, sizes.len());
            Ok(Meaning::Sizes(sizes.get(from..to).unwrap_or(&[]).to_vec()))
        }
        Meaning::Constant(tensor) => {
            let at = place(axis, tensor.shape.len()).ok_or("its axis is not one")?;
            let (from, to) = range(start, end, tensor.shape[at]);
            Ok(Meaning::constant(taken(&tensor, at, &(from..to).collect::<Vec<_>>())))
        }
        Meaning::Signal(signal) => {
            let at = place(axis, signal.axes.len()).ok_or("its axis is not one")?;
            if start == 0 && end >= i64::from(i32::MAX) {
                return Ok(Meaning::Signal(signal));
            }
            match signal.axes[at] {
                Axis::Time if start == -1 && end >= i64::from(i32::MAX) => {
                    let mut last = signal.over_steps(What::LastStep).ok_or("it cuts time")?;
                    last.axes[at] = Axis::One;
                    Ok(Meaning::Signal(last))
                }
                Axis::Sides => {
                    let (from, to) = range(start, end, signal.sides().len());
                    let sides = signal.sides().get(from..to).unwrap_or(&[]).to_vec();
                    if sides.is_empty() {
                        return Err("it takes no direction");
                    }
                    Ok(Meaning::Signal(signal.with_sides(sides)))
                }
                _ => Err("it takes more than the last step or some directions"),
            }
        }
        other => Ok(other),
    }
}

fn range(start: i64, end: i64, size: usize) -> (usize, usize) {
    let size_wide = i64::try_from(size).unwrap_or(i64::MAX);
    let bound = |at: i64| {
        let at = if at < 0 { at.saturating_add(size_wide) } else { at };
        usize::try_from(at.clamp(0, size_wide)).unwrap_or(size)
    };
    let from = bound(start);
    (from, bound(end).max(from))
}

fn taken(tensor: &Tensor, axis: usize, entries: &[usize]) -> Tensor {
    let inner: usize = tensor.shape[axis + 1..].iter().product();
    let outer: usize = tensor.shape[..axis].iter().product();
    let size = tensor.shape[axis];
    let mut from = Vec::new();
    for k in 0..outer {
        for &entry in entries {
            from.extend((0..inner).map(|i| (k * size + entry) * inner + i));
        }
    }
    let mut shape = tensor.shape.clone();
    shape[axis] = entries.len();
    picked(tensor, shape, &from)
}

/// One entry (`indices` of rank 0) or several along an axis.
pub(super) fn gather(value: Meaning, indices: &Tensor, axis: i64) -> Result<Meaning, Fault> {
    let list = integers(indices).ok_or("its indices are not whole numbers")?;
    let single = indices.shape.is_empty();
    if indices.shape.len() > 1 || list.is_empty() {
        return Err("its indices are not one number or a list");
    }
    match value {
        Meaning::Sizes(sizes) => {
            let at = |&index: &i64| place(index, sizes.len()).map_or(Size::Unknown, |at| sizes[at]);
            Ok(Meaning::Sizes(list.iter().map(at).collect()))
        }
        Meaning::Constant(tensor) => {
            let at = place(axis, tensor.shape.len()).ok_or("its axis is not one")?;
            let entries: Vec<usize> =
                list.iter().filter_map(|&index| place(index, tensor.shape[at])).collect();
            if entries.len() != list.len() {
                return Err("an index is outside");
            }
            let mut out = taken(&tensor, at, &entries);
            if single {
                out.shape.remove(at);
            }
            Ok(Meaning::constant(out))
        }
        Meaning::Signal(signal) => {
            let at = place(axis, signal.axes.len()).ok_or("its axis is not one")?;
            let mut out = match signal.axes[at] {
                Axis::Time if list == [-1] => {
                    signal.over_steps(What::LastStep).ok_or("it takes some steps")?
                }
                Axis::Sides => {
                    let sides = signal.sides();
                    let entries: Vec<usize> = list
                        .iter()
                        .filter_map(|&index| Some(sides[place(index, sides.len())?]))
                        .collect();
                    if entries.len() != list.len() {
                        return Err("an index is outside");
                    }
                    signal.with_sides(entries)
                }
                Axis::One if list == [0] || list == [-1] => signal,
                _ => return Err("it takes more than the last step or some directions"),
            };
            if single {
                out.axes.remove(at);
            } else if out.axes[at] == Axis::Time {
                out.axes[at] = Axis::One;
            }
            Ok(Meaning::Signal(out))
        }
        other => Ok(other),
    }
}
