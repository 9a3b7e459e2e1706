//! The sections about training and judging.

use sequela_eval::classify::{RecalibrationRule, ThresholdRule};
use sequela_nn::{Clip, Loss, Method, Precision};
use serde::{Deserialize, Serialize};

use super::{ClassWeights, Memory};

/// How the network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Train {
    /// Passes over the training part.
    pub epochs: u64,
    /// Windows in one step.
    pub batch: usize,
    /// Windows drawn for one epoch, at most; without it all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows_per_epoch: Option<usize>,
    /// Step size, before the schedule.
    pub rate: f32,
    /// Steps of a piece of truncated backpropagation: the state is carried from piece to piece,
    /// the gradient is cut there. Without it windows are trained whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truncate: Option<usize>,
    /// The most memory that values, gradients and one batch may take, as in "2GiB". Where training
    /// needs more, what the way back needs is computed a second time instead of kept: the same
    /// weights bit for bit, for up to 1.4 times the time. Without it all is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Epochs without a better tuning loss after which training ends; without it all are run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<u64>,
    /// In what the products of recurrent layers are computed while training; see
    /// [`Precision`]. Weights, losses and all judging stay f32.
    #[serde(with = "PrecisionWord", skip_serializing_if = "is_f32")]
    pub precision: Precision,
    /// Which weights the model file gets.
    pub keep: KeepWeights,
    /// How large gradients are cut.
    pub clip: Clip,
    /// The rule of descent.
    pub optimiser: Method,
    /// How the step size changes.
    pub schedule: Schedule,
    /// What is made small: mean squared error where it is left out, cross-entropy for classes.
    pub loss: Loss,
    /// The share of the loss that is of the class told at every step of a series, each step the same;
    /// the rest is of its end, which alone is judged. What is told early is told to be learnt from: a
    /// state that must always be ready forgets less. For `task = "classify"` and the last state.
    /// **Source** Lipton, Kale, Elkan and Wetzel 2016, arXiv 1511.03677 (target replication).
    #[serde(skip_serializing_if = "is_nothing")]
    pub replicate: f32,
    /// What each class counts for, for `task = "classify"` and `"label"`.
    #[serde(skip_serializing_if = "ClassWeights::is_none")]
    pub class_weights: ClassWeights,
    /// When checkpoints are written.
    pub checkpoint: Checkpoint,
}

impl Default for Train {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch: 64,
            windows_per_epoch: None,
            rate: 1e-3,
            truncate: None,
            memory: None,
            patience: None,
            precision: Precision::F32,
            keep: KeepWeights::default(),
            clip: Clip::default(),
            optimiser: Method::default(),
            schedule: Schedule::default(),
            loss: Loss::MeanSquared,
            replicate: 0.0,
            class_weights: ClassWeights::default(),
            checkpoint: Checkpoint::default(),
        }
    }
}

/// The words of a precision.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Precision", rename_all = "lowercase")]
enum PrecisionWord {
    F32,
    Bf16,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_nothing(share: &f32) -> bool {
    *share <= 0.0
}

/// Which weights the model file gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeepWeights {
    /// Those of the epoch with the best tuning loss; the last where there is no tuning part.
    #[default]
    Best,
    /// The last.
    Last,
}

/// How the step size changes; `warmup` steps lead up to it in a straight line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Schedule {
    /// It stays.
    Constant {
        /// Steps of warm-up.
        #[serde(default)]
        warmup: u64,
    },
    /// It is multiplied by `factor` every `epochs`.
    Step {
        /// Epochs between two changes.
        epochs: u64,
        /// The factor.
        factor: f32,
        /// Steps of warm-up.
        #[serde(default)]
        warmup: u64,
    },
    /// It falls along half a cosine to `floor` times itself at the last step
    /// (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// What is left at the end, as a share.
        #[serde(default)]
        floor: f32,
        /// Steps of warm-up.
        #[serde(default)]
        warmup: u64,
    },
    /// It is multiplied by `factor` after `patience` epochs without a better tuning loss
    /// (training loss where there is no tuning part).
    Plateau {
        /// Epochs of patience.
        patience: u64,
        /// The factor.
        factor: f32,
        /// The least share of the first step size.
        #[serde(default)]
        floor: f32,
        /// Steps of warm-up.
        #[serde(default)]
        warmup: u64,
    },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant { warmup: 0 }
    }
}

/// When checkpoints are written, beside those of an interruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Checkpoint {
    /// After every so many epochs; 0 for never.
    pub epochs: u64,
    /// After every so many steps as well; 0 for never.
    pub steps: u64,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self { epochs: 1, steps: 0 }
    }
}

/// How the model is judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateSection {
    /// Draws of the bootstrap; 0 for no intervals.
    pub replicates: u32,
    /// Steps between two windows that are judged.
    pub stride: usize,
    /// How the threshold between two classes is chosen, on the tuning part; for PhysioNet 2019 by
    /// its utility where it is left out.
    #[serde(skip_serializing_if = "is_usual")]
    pub threshold: ThresholdRule,
    /// How probabilities of classes are made to come true, on the tuning part; not at all where it
    /// is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recalibrate: Option<RecalibrationRule>,
    /// Channels that part people for figures of their own: `male`, or in bands `age:45,65`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subgroups: Vec<String>,
    /// What the model is set beside.
    pub baselines: Baselines,
}

fn is_usual(rule: &ThresholdRule) -> bool {
    *rule == ThresholdRule::default()
}

impl Default for EvaluateSection {
    fn default() -> Self {
        Self {
            replicates: 2000,
            stride: 1,
            threshold: ThresholdRule::default(),
            recalibrate: None,
            subgroups: Vec::new(),
            baselines: Baselines::default(),
        }
    }
}

/// What the model is set beside; persistence and mean, or the frequencies of classes, always are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Baselines {
    /// Steps of a season; 0 finds it, and leaves the seasonal mean out where there is none.
    pub season: usize,
    /// Highest order of the autoregression, at most the window; 0 leaves it out.
    pub autoregression: usize,
    /// A feed-forward net on the same window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_forward: Option<FeedForward>,
    /// For classes: a logistic regression on summaries of each channel. Of these strengths (C in
    /// scikit-learn: the smaller, the closer to 0 its weights) the one with the lowest log loss on
    /// the tuning part is taken; without strengths there is no such baseline.
    #[serde(skip_serializing_if = "are_usual")]
    pub logistic: Vec<f64>,
    /// For classes: gradient-boosted trees on summaries of each channel, of at most so many leaves;
    /// of these numbers the one with the lowest log loss on the tuning part is taken. Without
    /// numbers there is no such baseline.
    #[serde(skip_serializing_if = "are_usual_leaves")]
    pub trees: Vec<usize>,
}

const LEAVES: [usize; 2] = [8, 16];

fn are_usual_leaves(leaves: &[usize]) -> bool {
    leaves == LEAVES
}

const STRENGTHS: [f64; 5] = [1e-3, 1e-2, 1e-1, 1.0, 10.0];

fn are_usual(strengths: &[f64]) -> bool {
    strengths == STRENGTHS
}

impl Default for Baselines {
    fn default() -> Self {
        Self {
            season: 0,
            autoregression: 30,
            feed_forward: Some(FeedForward::default()),
            logistic: STRENGTHS.to_vec(),
            trees: LEAVES.to_vec(),
        }
    }
}

/// The feed-forward baseline, trained by the same loop as the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedForward {
    /// Units of each hidden layer (ReLU).
    pub hidden: Vec<usize>,
    /// Epochs, at most; the model's where it is 0.
    pub epochs: u64,
}

impl Default for FeedForward {
    fn default() -> Self {
        Self { hidden: vec![64], epochs: 0 }
    }
}

/// Several networks that answer together, for classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ensemble {
    /// Networks, alike but for their seeds: their logits are averaged.
    pub members: usize,
    /// Parts that the people who are trained on are dealt into. Each network, and each of as many
    /// forests, is trained on all parts but one, the next one in turn, which says when to stop; blend,
    /// threshold and recalibration are chosen from what is said of each part by those who have
    /// not seen it. There is no other tuning part then. Without it all networks share one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turns: Option<usize>,
    /// Whether the boosted trees of the baselines answer with them. What each side counts for is
    /// the share with the lowest log loss on the tuning part.
    pub trees: bool,
}

impl Default for Ensemble {
    fn default() -> Self {
        Self { members: 1, turns: None, trees: false }
    }
}

impl Ensemble {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub(crate) fn is_one(&self) -> bool {
        *self == Self::default()
    }
}
