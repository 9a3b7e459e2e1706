//! Dense layers and what is done to their outputs, and to the series, by constants.

use std::rc::Rc;

use sequela_formats::onnx::{AttributeValue, Node, Tensor, TensorNumbers};
use sequela_nn::Pooling;

use super::super::found::Dense;
use super::meaning::{Axis, Meaning, Signal, What, floats};
use super::shapes::{self, Fault};
use super::trace::Trace;
use super::values::{multiplied, of_sizes, scaled};
use crate::Error;
use crate::encode::narrow;

impl<'a> Trace<'a> {
    /// A sum, difference, product or quotient with a constant.
    pub(super) fn arithmetic(op: &str, a: Meaning, b: Meaning) -> Result<Meaning, Fault> {
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
    pub(super) fn product(
        &mut self,
        value: Meaning,
        weight: &Tensor,
        turned: bool,
    ) -> Result<Meaning, Fault> {
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

    pub(super) fn pool(&mut self, what: &What) -> Result<(), Fault> {
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

    pub(super) fn gemm(
        &mut self,
        node: &'a Node,
        value: Meaning,
        weight: Option<Meaning>,
    ) -> Result<Result<Meaning, Fault>, Error> {
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
}
