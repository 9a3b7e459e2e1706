//! Losses: they see the whole batch and are summed in f64 in the order of the rows.
//!
//! The value of a term is `sum(w l) / sum(w)` over its elements, 0 where `sum(w)` is 0. An
//! element of weight 0 is missing: its target is not read.

use crate::error::{Error, batch_error};
use crate::operation::Parts;
use crate::program::{Scalar, Value};
use sequela_kernels::Matrix;
use serde::{Deserialize, Serialize};

/// One term of a program's loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossTerm {
    /// The function.
    pub kind: Loss,
    /// What the network says.
    pub prediction: Value,
    /// What is true.
    pub target: Value,
    /// Weights: one for each row, or one for each element of the target; 0 for missing.
    pub weight: Option<Value>,
    /// The factor of this term in the program's loss.
    pub scale: Scalar,
}

/// A loss function.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Loss {
    /// `(p - y)^2`.
    MeanSquared,
    /// `|p - y|`.
    MeanAbsolute,
    /// `(p - y)^2 / 2` within delta, `delta (|p - y| - delta / 2)` beyond (Huber 1964).
    Huber {
        /// Where it turns from square to straight.
        delta: f32,
    },
    /// `max(q (y - p), (q - 1) (y - p))` for each quantile q (Koenker and Bassett 1978). Column
    /// `k Q + j` of the prediction is quantile j of target column k.
    Pinball {
        /// The quantiles, inside (0, 1).
        quantiles: Vec<f32>,
    },
    /// `-(p+ y ln s + (1 - y) ln(1 - s))`, `s = sigmoid(prediction)`; with weights for each
    /// element it is the loss of several labels of which some are missing.
    BinaryCrossEntropy {
        /// The factor p+ of the positives of each column; empty for 1.
        #[serde(default)]
        positive_weight: Vec<f32>,
    },
    /// `-sum_k y_k c_k ln softmax(prediction)_k`. A target of width 1 is the index of the class,
    /// and the mean then is weighted by its class weight, as in PyTorch.
    CrossEntropy {
        /// The factor c of each class; empty for 1.
        #[serde(default)]
        class_weights: Vec<f32>,
    },
    /// `sum(w prediction target)`, not divided: for saliency of one output, and for tests.
    Dot,
}

/// What a loss term came to.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Evaluated {
    pub(crate) loss: f64,
    pub(crate) weight: f64,
}

/// The matrices of a loss term.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operands<'a> {
    pub(crate) prediction: Matrix<'a>,
    pub(crate) target: Matrix<'a>,
    pub(crate) weight: Option<Matrix<'a>>,
}

impl Operands<'_> {
    /// The weight of target element `(row, k)`.
    fn weight(&self, row: usize, k: usize) -> f64 {
        self.weight.map_or(1.0, |weight| {
            let row = weight.row(row);
            f64::from(row[k.min(row.len() - 1)])
        })
    }
}

impl LossTerm {
    /// Refuses operands that do not fit.
    pub(crate) fn check(&self, parts: &Parts<'_>) -> Result<(), String> {
        let form = |value: Value| parts.form(value).ok_or("names a node that is not there");
        let (prediction, target) = (form(self.prediction)?, form(self.target)?);
        if prediction.rows != target.rows {
            return Err("prediction and target have other rows".into());
        }
        let wanted = match &self.kind {
            Loss::Pinball { quantiles } => {
                if quantiles.is_empty() || !quantiles.iter().all(|q| (0.0..1.0).contains(q)) {
                    return Err("quantiles have to lie between 0 and 1".into());
                }
                target.width.saturating_mul(quantiles.len())
            }
            Loss::CrossEntropy { class_weights } => {
                if prediction.width < 2 {
                    return Err("cross-entropy needs at least 2 classes".into());
                }
                check_weights(class_weights, prediction.width)?;
                if target.width == 1 { prediction.width } else { target.width }
            }
            Loss::BinaryCrossEntropy { positive_weight } => {
                check_weights(positive_weight, prediction.width)?;
                target.width
            }
            Loss::Huber { delta } => {
                if !(delta.is_finite() && *delta > 0.0) {
                    return Err("delta has to be above 0".into());
                }
                target.width
            }
            Loss::MeanSquared | Loss::MeanAbsolute | Loss::Dot => target.width,
        };
        if prediction.width != wanted {
            return Err(format!("the prediction has {} columns, not {wanted}", prediction.width));
        }
        if let Some(weight) = self.weight {
            let weight = form(weight)?;
            let by_element =
                weight.width == target.width && !matches!(self.kind, Loss::CrossEntropy { .. });
            if weight.rows != target.rows || !(weight.width == 1 || by_element) {
                return Err("the weights fit neither rows nor elements".into());
            }
        }
        if let Scalar::Input(scalar) = self.scale
            && scalar.index() >= parts.scalars
        {
            return Err("names a scalar that is not there".into());
        }
        Ok(())
    }
}

fn check_weights(weights: &[f32], width: usize) -> Result<(), String> {
    let sound = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
    if !(weights.is_empty() || weights.len() == width) || !sound {
        return Err(format!("{} weights for {width} columns", weights.len()));
    }
    Ok(())
}

impl Loss {
    /// Writes what one row of the network's output means: probabilities of classes or labels,
    /// or the values themselves.
    ///
    /// **Shapes** `row` and `out` of the same length.
    ///
    /// # Panics
    /// If the lengths differ.
    ///
    /// # Example
    /// ```
    /// let loss = sequela_nn::Loss::BinaryCrossEntropy { positive_weight: vec![] };
    /// let mut out = [9.0];
    /// loss.probabilities(&[0.0], &mut out);
    /// assert_eq!(out, [0.5]);
    /// ```
    #[expect(clippy::cast_possible_truncation, reason = "probabilities are rounded to f32")]
    pub fn probabilities(&self, row: &[f32], out: &mut [f32]) {
        assert_eq!(row.len(), out.len(), "one number out for each in");
        match self {
            Self::BinaryCrossEntropy { .. } => {
                for (out, &x) in out.iter_mut().zip(row) {
                    *out = sigmoid(f64::from(x)) as f32;
                }
            }
            Self::CrossEntropy { .. } => {
                let log_sum = log_sum_exp(row);
                for (out, &x) in out.iter_mut().zip(row) {
                    *out = libm::exp(f64::from(x) - log_sum) as f32;
                }
            }
            _ => out.copy_from_slice(row),
        }
    }

    /// The sum of all weights, after a look at the targets that are there.
    pub(crate) fn weigh(&self, operands: &Operands<'_>) -> Result<f64, Error> {
        let target = operands.target;
        let mut sum = 0.0;
        for row in 0..target.rows() {
            match self {
                Self::CrossEntropy { class_weights } => {
                    let weight = operands.weight(row, 0);
                    if weight == 0.0 {
                        continue;
                    }
                    if target.width() == 1 {
                        let class = class_of(target.row(row)[0], operands.prediction.width())
                            .ok_or_else(|| {
                                batch_error("target", "a class is not one of the classes")
                            })?;
                        sum += weight * factor(class_weights, class);
                    } else {
                        sum += weight;
                    }
                }
                Self::Pinball { quantiles } => {
                    let row: f64 = (0..target.width()).map(|k| operands.weight(row, k)).sum();
                    sum += row * quantiles.len() as f64;
                }
                _ => sum += (0..target.width()).map(|k| operands.weight(row, k)).sum::<f64>(),
            }
        }
        Ok(sum)
    }

    /// The weighted loss of one row; its derivatives times `scale` go to `gradient`, if that is
    /// not empty, and are added to what is there.
    pub(crate) fn row(
        &self,
        operands: &Operands<'_>,
        row: usize,
        scale: f64,
        gradient: &mut [f32],
    ) -> f64 {
        let (prediction, target) = (operands.prediction.row(row), operands.target.row(row));
        if let Self::CrossEntropy { class_weights } = self {
            let weight = operands.weight(row, 0);
            if weight == 0.0 {
                return 0.0;
            }
            return weight
                * cross_entropy(class_weights, prediction, target, weight * scale, gradient);
        }
        let each = prediction.len() / target.len();
        let mut sum = 0.0;
        for (column, &p) in prediction.iter().enumerate() {
            let weight = operands.weight(row, column / each);
            if weight == 0.0 {
                continue;
            }
            let (p, y) = (f64::from(p), f64::from(target[column / each]));
            let (loss, slope) = self.element(p, y, column);
            sum += weight * loss;
            if let Some(gradient) = gradient.get_mut(column) {
                *gradient += narrow(weight * slope * scale);
            }
        }
        sum
    }

    /// Loss and derivative of one element.
    fn element(&self, p: f64, y: f64, column: usize) -> (f64, f64) {
        match self {
            Self::MeanSquared => ((p - y) * (p - y), 2.0 * (p - y)),
            Self::MeanAbsolute => ((p - y).abs(), sign(p - y)),
            Self::Huber { delta } => {
                let (error, delta) = (p - y, f64::from(*delta));
                if error.abs() <= delta {
                    (0.5 * error * error, error)
                } else {
                    (delta * (error.abs() - 0.5 * delta), delta * sign(error))
                }
            }
            Self::Pinball { quantiles } => {
                let q = f64::from(quantiles[column % quantiles.len()]);
                let error = y - p;
                if error >= 0.0 { (q * error, -q) } else { ((q - 1.0) * error, 1.0 - q) }
            }
            Self::BinaryCrossEntropy { positive_weight } => {
                let positive = factor(positive_weight, column);
                // -ln s = softplus(-p), -ln(1 - s) = softplus(p).
                let loss = positive * y * softplus(-p) + (1.0 - y) * softplus(p);
                let s = sigmoid(p);
                (loss, (1.0 - y) * s - positive * y * (1.0 - s))
            }
            Self::CrossEntropy { .. } | Self::Dot => (p * y, y),
        }
    }

    /// Whether the sum is divided by the weights.
    pub(crate) fn is_mean(&self) -> bool {
        !matches!(self, Self::Dot)
    }
}

fn cross_entropy(
    class_weights: &[f32],
    prediction: &[f32],
    target: &[f32],
    scale: f64,
    gradient: &mut [f32],
) -> f64 {
    let log_sum = log_sum_exp(prediction);
    let share = |k: usize| {
        let y = match target {
            [class] => f64::from(u8::from(class_of(*class, prediction.len()) == Some(k))),
            probabilities => f64::from(probabilities[k]),
        };
        y * factor(class_weights, k)
    };
    let mut loss = 0.0;
    let mut total = 0.0;
    for (k, &p) in prediction.iter().enumerate() {
        let share = share(k);
        total += share;
        loss += share * (log_sum - f64::from(p));
    }
    for (k, gradient) in gradient.iter_mut().enumerate() {
        let probability = libm::exp(f64::from(prediction[k]) - log_sum);
        *gradient += narrow((total * probability - share(k)) * scale);
    }
    loss
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let largest = row.iter().fold(f64::NEG_INFINITY, |largest, &x| largest.max(f64::from(x)));
    let sum: f64 = row.iter().map(|&x| libm::exp(f64::from(x) - largest)).sum();
    largest + libm::log(sum)
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-x))
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + libm::log1p(libm::exp(-x.abs()))
}

fn sign(x: f64) -> f64 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else {
        x
    }
}

fn factor(factors: &[f32], k: usize) -> f64 {
    factors.get(k).map_or(1.0, |&factor| f64::from(factor))
}

/// The class that a number names, if it names one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number between 0 and the number of classes"
)]
pub(crate) fn class_of(number: f32, classes: usize) -> Option<usize> {
    let whole = number >= 0.0 && f64::from(number) < classes as f64 && number.fract() == 0.0;
    whole.then_some(number as usize)
}

#[expect(clippy::cast_possible_truncation, reason = "gradients are f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}
