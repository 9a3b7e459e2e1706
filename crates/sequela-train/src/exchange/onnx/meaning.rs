//! What a value of a foreign graph is, as far as it is understood.

use std::rc::Rc;

use sequela_formats::onnx::{Tensor, TensorNumbers};

use super::super::found::{Dense, Scale};

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Meaning {
    /// Known numbers.
    Constant(Rc<Tensor>),
    /// Sizes of other values.
    Sizes(Vec<Size>),
    /// Zeros of a shape that is made while running: initial states.
    Zeros,
    /// An input that is not the series: lengths, initial states.
    Fed,
    /// Something made of the series.
    Signal(Signal),
}

/// One size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Known(i64),
    Of(Axis),
    Unknown,
}

/// What an axis runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Steps or sequences of the input: which of both is said by the layer that takes it.
    First,
    /// The other.
    Second,
    Time,
    Batch,
    /// Directions, or layers and directions.
    Sides,
    Width,
    /// Of size 1.
    One,
}

impl Meaning {
    pub(super) fn constant(tensor: Tensor) -> Self {
        Self::Constant(Rc::new(tensor))
    }

    /// Numbers that are kept for it.
    pub(super) fn numbers(&self) -> usize {
        match self {
            Self::Constant(tensor) => tensor.numbers.len(),
            Self::Signal(Signal { what: What::Dense(dense), .. }) => {
                dense.iter().map(|dense| dense.weight.len() + dense.bias.len()).sum()
            }
            _ => 0,
        }
    }
}

/// Something made of the series.
#[derive(Debug, Clone)]
pub(super) struct Signal {
    pub(super) axes: Vec<Axis>,
    pub(super) what: What,
}

/// What a signal is. Sides are told by their number, in the order in which they were met.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// The series, of each column `(value - centre) / spread`.
    Input(Vec<Scale>),
    /// Outputs of sides, at every step.
    Steps(Vec<usize>),
    /// The same at the last step that is fed.
    LastStep(Vec<usize>),
    /// The mean over all steps that are fed.
    Mean(Vec<usize>),
    /// The largest over all steps that are fed.
    Max(Vec<usize>),
    /// Hidden states of sides after their last step.
    Hidden(Vec<usize>),
    /// Cell states of sides after their last step.
    Cell(Vec<usize>),
    /// Output of the last of these dense layers, ReLU between them.
    Dense(Rc<Vec<Dense>>),
    /// The same after ReLU.
    Relu(Rc<Vec<Dense>>),
}

impl What {
    /// Sides that are laid out along one axis or beside each other.
    pub(super) fn sides(&self) -> &[usize] {
        match self {
            Self::Steps(sides)
            | Self::LastStep(sides)
            | Self::Mean(sides)
            | Self::Max(sides)
            | Self::Hidden(sides)
            | Self::Cell(sides) => sides,
            Self::Input(_) | Self::Dense(_) | Self::Relu(_) => &[],
        }
    }
}

impl Signal {
    pub(super) fn position(&self, axis: Axis) -> Option<usize> {
        self.axes.iter().position(|&have| have == axis)
    }

    /// See [`What::sides`].
    pub(super) fn sides(&self) -> &[usize] {
        self.what.sides()
    }

    /// Whether an axis has size 1 and may be left out.
    pub(super) fn is_single(&self, axis: Axis) -> bool {
        axis == Axis::One || (axis == Axis::Sides && self.sides().len() == 1)
    }

    /// The same without an axis.
    pub(super) fn without(mut self, at: usize) -> Self {
        self.axes.remove(at);
        self
    }

    /// The same with other sides.
    pub(super) fn with_sides(&self, sides: Vec<usize>) -> Self {
        let what = match &self.what {
            What::Steps(_) => What::Steps(sides),
            What::LastStep(_) => What::LastStep(sides),
            What::Mean(_) => What::Mean(sides),
            What::Max(_) => What::Max(sides),
            What::Hidden(_) => What::Hidden(sides),
            What::Cell(_) => What::Cell(sides),
            other => other.clone(),
        };
        Self { axes: self.axes.clone(), what }
    }

    /// The same where only one step is looked at, or all in one way.
    pub(super) fn over_steps(&self, make: fn(Vec<usize>) -> What) -> Option<Self> {
        match &self.what {
            What::Steps(sides) => Some(Self { axes: self.axes.clone(), what: make(sides.clone()) }),
            _ => None,
        }
    }
}

/// The place of an axis that may be counted from the end.
pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let rank_wide = i64::try_from(rank).ok()?;
    let at = usize::try_from(if axis < 0 { axis.checked_add(rank_wide)? } else { axis }).ok()?;
    (at < rank).then_some(at)
}

/// A constant's numbers as whole numbers.
pub(super) fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    match &tensor.numbers {
        TensorNumbers::I64(numbers) => Some(numbers.clone()),
        TensorNumbers::I32(numbers) => Some(numbers.iter().map(|&n| i64::from(n)).collect()),
        _ => None,
    }
}

/// A constant's numbers as numbers.
pub(super) fn floats(tensor: &Tensor) -> Option<Vec<f64>> {
    match &tensor.numbers {
        TensorNumbers::F32(numbers) => Some(numbers.iter().map(|&n| f64::from(n)).collect()),
        TensorNumbers::F64(numbers) => Some(numbers.clone()),
        _ => None,
    }
}
