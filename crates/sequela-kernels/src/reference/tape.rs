//! Scalar reverse-mode automatic differentiation in f64.
//!
//! Every arithmetic operation on a [`Var`] is written to a [`Tape`] with its local derivatives;
//! [`Tape::backward`] walks the tape once from the end. It is slow on purpose (one entry for each
//! scalar operation) and knows no matrices, so that it cannot share a mistake with the kernels.
//!
//! **Source** Griewank and Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3.

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The record of a computation.
///
/// # Example
/// ```
/// use sequela_kernels::reference::tape::Tape;
/// let tape = Tape::new();
/// let (x, y) = (tape.var(3.0), tape.var(4.0));
/// let z = x * y;
/// let gradient = tape.backward(&[(z, 1.0)]);
/// assert_eq!((z.value(), gradient.of(x), gradient.of(y)), (12.0, 4.0, 3.0));
/// ```
#[derive(Debug, Default)]
pub struct Tape {
    entries: RefCell<Vec<Entry>>,
}

/// One scalar: its two operands (possibly itself, with a derivative of 0) and its derivatives.
#[derive(Debug, Clone, Copy)]
struct Entry {
    operands: [usize; 2],
    derivatives: [f64; 2],
}

/// A scalar on a tape.
#[derive(Debug, Clone, Copy)]
pub struct Var<'t> {
    tape: &'t Tape,
    index: usize,
    value: f64,
}

/// The derivatives of a weighted sum of variables by everything on the tape.
#[derive(Debug, Clone)]
pub struct Adjoint(Vec<f64>);

impl Adjoint {
    /// The derivative by `var`.
    pub fn of(&self, var: Var<'_>) -> f64 {
        self.0[var.index]
    }
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// A leaf: a parameter, an input or a constant.
    pub fn var(&self, value: f64) -> Var<'_> {
        self.push(value, [None, None])
    }

    /// Leaves of these values.
    pub fn vars(&self, values: &[f64]) -> Vec<Var<'_>> {
        values.iter().map(|&value| self.var(value)).collect()
    }

    /// The derivatives of `sum(seed * var)` by every variable on the tape.
    pub fn backward(&self, seeds: &[(Var<'_>, f64)]) -> Adjoint {
        let entries = self.entries.borrow();
        let mut adjoint = vec![0.0; entries.len()];
        for (var, seed) in seeds {
            adjoint[var.index] += seed;
        }
        for (index, entry) in entries.iter().enumerate().rev() {
            let arrived = adjoint[index];
            if arrived != 0.0 {
                for (operand, derivative) in entry.operands.iter().zip(entry.derivatives) {
                    if *operand != index {
                        adjoint[*operand] += derivative * arrived;
                    }
                }
            }
        }
        Adjoint(adjoint)
    }

    fn push(&self, value: f64, operands: [Option<(usize, f64)>; 2]) -> Var<'_> {
        let mut entries = self.entries.borrow_mut();
        let index = entries.len();
        let [left, right] = operands.map(|operand| operand.unwrap_or((index, 0.0)));
        entries.push(Entry { operands: [left.0, right.0], derivatives: [left.1, right.1] });
        Var { tape: self, index, value }
    }
}

impl Var<'_> {
    /// Its value.
    pub fn value(self) -> f64 {
        self.value
    }

    /// A leaf on the same tape.
    #[must_use]
    pub fn leaf(self, value: f64) -> Self {
        self.tape.var(value)
    }

    fn unary(self, value: f64, derivative: f64) -> Self {
        self.tape.push(value, [Some((self.index, derivative)), None])
    }

    fn binary(self, other: Self, value: f64, derivatives: [f64; 2]) -> Self {
        self.tape
            .push(value, [Some((self.index, derivatives[0])), Some((other.index, derivatives[1]))])
    }

    /// e^x.
    #[must_use]
    pub fn exp(self) -> Self {
        let value = libm::exp(self.value);
        self.unary(value, value)
    }

    /// The natural logarithm.
    #[must_use]
    pub fn ln(self) -> Self {
        self.unary(libm::log(self.value), 1.0 / self.value)
    }

    /// The square root.
    #[must_use]
    pub fn sqrt(self) -> Self {
        let value = libm::sqrt(self.value);
        self.unary(value, 0.5 / value)
    }

    /// The hyperbolic tangent.
    #[must_use]
    pub fn tanh(self) -> Self {
        let value = libm::tanh(self.value);
        self.unary(value, 1.0 - value * value)
    }

    /// The logistic function, 1 / (1 + e^-x).
    #[must_use]
    pub fn sigmoid(self) -> Self {
        let value = 1.0 / (1.0 + libm::exp(-self.value));
        self.unary(value, value * (1.0 - value))
    }

    /// ln(1 + e^x), without overflow.
    #[must_use]
    pub fn softplus(self) -> Self {
        let value = self.value.max(0.0) + libm::log1p(libm::exp(-self.value.abs()));
        self.unary(value, 1.0 / (1.0 + libm::exp(-self.value)))
    }

    /// max(x, 0), with derivative 0 at 0.
    #[must_use]
    pub fn relu(self) -> Self {
        let positive = self.value > 0.0;
        self.unary(if positive { self.value } else { 0.0 }, f64::from(u8::from(positive)))
    }

    /// |x|, with derivative 0 at 0.
    #[must_use]
    pub fn abs(self) -> Self {
        let sign = if self.value == 0.0 { 0.0 } else { self.value.signum() };
        self.unary(self.value.abs(), sign)
    }

    /// The larger of two; the first where they are equal.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if self.value >= other.value { self } else { other }
    }
}

impl<'t> Add for Var<'t> {
    type Output = Var<'t>;

    fn add(self, other: Self) -> Self {
        self.binary(other, self.value + other.value, [1.0, 1.0])
    }
}

impl<'t> Sub for Var<'t> {
    type Output = Var<'t>;

    fn sub(self, other: Self) -> Self {
        self.binary(other, self.value - other.value, [1.0, -1.0])
    }
}

impl<'t> Mul for Var<'t> {
    type Output = Var<'t>;

    fn mul(self, other: Self) -> Self {
        self.binary(other, self.value * other.value, [other.value, self.value])
    }
}

impl<'t> Div for Var<'t> {
    type Output = Var<'t>;

    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        self.binary(other, value, [1.0 / other.value, -value / other.value])
    }
}

impl<'t> Neg for Var<'t> {
    type Output = Var<'t>;

    fn neg(self) -> Self {
        self.unary(-self.value, -1.0)
    }
}

impl<'t> Add<f64> for Var<'t> {
    type Output = Var<'t>;

    fn add(self, other: f64) -> Self {
        self.unary(self.value + other, 1.0)
    }
}

impl<'t> Sub<f64> for Var<'t> {
    type Output = Var<'t>;

    fn sub(self, other: f64) -> Self {
        self.unary(self.value - other, 1.0)
    }
}

impl<'t> Mul<f64> for Var<'t> {
    type Output = Var<'t>;

    fn mul(self, other: f64) -> Self {
        self.unary(self.value * other, other)
    }
}

impl<'t> Div<f64> for Var<'t> {
    type Output = Var<'t>;

    fn div(self, other: f64) -> Self {
        self.unary(self.value / other, 1.0 / other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Function = for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>;

    #[test]
    fn every_operation_agrees_with_central_differences() {
        let functions: [(&str, Function); 15] = [
            ("add", |x, y| x + y),
            ("sub", |x, y| x - y),
            ("mul", |x, y| x * y),
            ("div", |x, y| x / y),
            ("neg", |x, y| -x * y),
            ("exp", |x, y| x.exp() * y),
            ("ln", |x, y| (x * x).ln() + y),
            ("sqrt", |x, y| (x * x + y * y).sqrt()),
            ("tanh", |x, y| (x - y).tanh()),
            ("sigmoid", |x, y| (x * y).sigmoid()),
            ("softplus", |x, y| (x * 3.0 - y).softplus()),
            ("relu", |x, y| x.relu() * (-x).relu() + (x + y).relu() * 2.0),
            ("abs", |x, y| x.abs() + (x - y).abs()),
            ("max", |x, y| x.max(y) * x),
            ("constants", |x, y| (x + 2.0) * 3.0 - (y - 1.0) / 4.0),
        ];
        let step = 1e-6;
        for (name, function) in functions {
            for (a, b) in [(0.7, 1.3), (-0.4, 2.1), (1.9, -0.8), (-1.2, -2.2)] {
                let tape = Tape::new();
                let (x, y) = (tape.var(a), tape.var(b));
                let gradient = tape.backward(&[(function(x, y), 1.0)]);
                let at = |a: f64, b: f64| {
                    let tape = Tape::new();
                    function(tape.var(a), tape.var(b)).value()
                };
                let by_x = (at(a + step, b) - at(a - step, b)) / (2.0 * step);
                let by_y = (at(a, b + step) - at(a, b - step)) / (2.0 * step);
                assert!((gradient.of(x) - by_x).abs() < 1e-7, "{name} by x at {a}, {b}");
                assert!((gradient.of(y) - by_y).abs() < 1e-7, "{name} by y at {a}, {b}");
            }
        }
    }

    #[test]
    fn a_variable_used_many_times_gathers_all_its_gradients() {
        let tape = Tape::new();
        let x = tape.var(2.0);
        let y = x * x * x + x;
        assert!((tape.backward(&[(y, 2.0)]).of(x) - 26.0).abs() < 1e-12);
    }
}
