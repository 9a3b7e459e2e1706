//! Optimisers over all parameters of a program at once.

use crate::error::Error;
use crate::parameters::{Gradients, Parameters};
use crate::program::Param;
use crate::reach::Reach;
use sequela_core::Location;
use sequela_kernels::optimiser::{Adam, EpsilonForm, Momentum, Prepared, RmsProp, Sgd};
use sequela_kernels::{Buffer, Context};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// How weights follow gradients. Defaults are Keras's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields)]
pub enum Method {
    /// Stochastic gradient descent.
    #[serde(rename = "sgd")]
    Sgd {
        /// Momentum; 0 for none.
        #[serde(default)]
        momentum: f32,
        /// Whether momentum looks ahead.
        #[serde(default)]
        nesterov: Nesterov,
        /// L2 weight decay, added to the gradient.
        #[serde(default)]
        weight_decay: f32,
    },
    /// RMSprop (Tieleman and Hinton 2012).
    #[serde(rename = "rmsprop")]
    RmsProp {
        /// Decay of the mean square.
        #[serde(default = "rms_decay")]
        decay: f32,
        /// Added to the denominator.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Momentum; 0 for none.
        #[serde(default)]
        momentum: f32,
        /// Whose form of epsilon.
        #[serde(default)]
        convention: Convention,
    },
    /// Adam (Kingma and Ba 2015).
    #[serde(rename = "adam")]
    Adam {
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Added to the denominator.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Whose form of epsilon.
        #[serde(default)]
        convention: Convention,
    },
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW {
        /// Decay of the first moment.
        #[serde(default = "beta1")]
        beta1: f32,
        /// Decay of the second moment.
        #[serde(default = "beta2")]
        beta2: f32,
        /// Added to the denominator.
        #[serde(default = "epsilon")]
        epsilon: f32,
        /// Share of the weights taken off in a step, times the rate.
        #[serde(default = "weight_decay")]
        weight_decay: f32,
        /// Whose form of epsilon.
        #[serde(default)]
        convention: Convention,
    },
}

/// Whether momentum looks ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nesterov {
    /// Polyak's momentum.
    #[default]
    Off,
    /// Nesterov's.
    On,
}

/// Where epsilon stands in a denominator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convention {
    /// Adam: beside the uncorrected root; RMSprop: under the root.
    #[default]
    Keras,
    /// Adam: beside the corrected root; RMSprop: beside the root.
    PyTorch,
}

fn beta1() -> f32 {
    0.9
}

fn beta2() -> f32 {
    0.999
}

fn epsilon() -> f32 {
    1e-7
}

fn rms_decay() -> f32 {
    0.9
}

fn weight_decay() -> f32 {
    0.004
}

impl Default for Method {
    fn default() -> Self {
        Self::Adam {
            beta1: beta1(),
            beta2: beta2(),
            epsilon: epsilon(),
            convention: Convention::default(),
        }
    }
}

impl Convention {
    fn form(self) -> EpsilonForm {
        match self {
            Self::Keras => EpsilonForm::Keras,
            Self::PyTorch => EpsilonForm::PyTorch,
        }
    }
}

impl Method {
    /// Refuses numbers outside their range.
    fn check(&self) -> Result<(), Error> {
        let unit = 0.0..1.0;
        let sound = match *self {
            Self::Sgd { momentum, weight_decay, .. } => {
                unit.contains(&momentum) && (0.0..f32::INFINITY).contains(&weight_decay)
            }
            Self::RmsProp { decay, epsilon, momentum, .. } => {
                unit.contains(&decay) && unit.contains(&momentum) && is_positive(epsilon)
            }
            Self::Adam { beta1, beta2, epsilon, .. } => {
                unit.contains(&beta1) && unit.contains(&beta2) && is_positive(epsilon)
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay, .. } => {
                unit.contains(&beta1)
                    && unit.contains(&beta2)
                    && is_positive(epsilon)
                    && (0.0..f32::INFINITY).contains(&weight_decay)
            }
        };
        if sound {
            return Ok(());
        }
        Err(Error::Configuration {
            location: Location::default().field("optimiser"),
            what: format!("{self:?} has a number outside its range"),
            hint: "decays and momenta lie in [0, 1), epsilon is above 0",
        })
    }

    /// Whether weights change without a gradient.
    fn decays(&self) -> bool {
        match *self {
            Self::Sgd { weight_decay, .. } | Self::AdamW { weight_decay, .. } => {
                weight_decay != 0.0
            }
            Self::RmsProp { .. } | Self::Adam { .. } => false,
        }
    }

    /// The step with this number and learning rate.
    fn prepare(&self, step: u64, rate: f32) -> Prepared {
        match *self {
            Self::Sgd { momentum, nesterov, weight_decay } => {
                let kind = match nesterov {
                    Nesterov::Off => Momentum::Plain,
                    Nesterov::On => Momentum::Nesterov,
                };
                Sgd { rate, momentum, kind, weight_decay }.prepare()
            }
            Self::RmsProp { decay, epsilon, momentum, convention } => {
                let form = convention.form();
                RmsProp { rate, decay, epsilon, form, momentum }.prepare()
            }
            Self::Adam { beta1, beta2, epsilon, convention } => {
                let (form, weight_decay) = (convention.form(), 0.0);
                Adam { rate, beta1, beta2, epsilon, form, weight_decay, step }.prepare()
            }
            Self::AdamW { beta1, beta2, epsilon, weight_decay, convention } => {
                let form = convention.form();
                Adam { rate, beta1, beta2, epsilon, form, weight_decay, step }.prepare()
            }
        }
    }

    /// Names of the state that the method keeps.
    fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Sgd { .. } => &["velocity"],
            Self::RmsProp { .. } => &["velocity", "mean_square"],
            Self::Adam { .. } | Self::AdamW { .. } => &["first_moment", "second_moment"],
        }
    }
}

fn is_positive(x: f32) -> bool {
    x.is_finite() && x > 0.0
}

/// A method with its state.
///
/// # Example
/// ```
/// use sequela_kernels::{Context, linear::Bias};
/// use sequela_nn::{
///     Builder, Gradients, Initial, Linear, Method, Optimiser, ParamKind, ParamSpec, Parameters, Rows,
/// };
/// let mut builder = Builder::new();
/// let x = builder.input("x", Rows::Sequences, 1)?;
/// let kind = ParamKind::Linear { inputs: 1, outputs: 1, bias: Bias::Trained };
/// let head = builder.param(ParamSpec { name: "head".into(), kind, initial: Initial::Zeros });
/// let y = builder.add(Linear { param: head }, &[x])?;
/// builder.output("y", y);
/// let mut parameters = Parameters::new(&builder.finish()?, 1)?;
/// let gradients = Gradients::new(&parameters);
/// let mut optimiser = Optimiser::new(Method::default(), &parameters)?;
/// optimiser.update(&mut Context::new(1)?, &mut parameters, &gradients, 0.001)?;
/// assert_eq!(optimiser.step(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Optimiser {
    method: Method,
    step: u64,
    state: [Buffer; 2],
    /// The parts of the packed weights that are trained.
    trained: Vec<Range<usize>>,
    /// The parts of the packed weights that a gradient ever reached: elsewhere moments are zero,
    /// and an update with a zero gradient changes nothing.
    reached: Reach,
}

impl Optimiser {
    /// The method at its beginning.
    ///
    /// # Errors
    /// [`Error::Configuration`] for numbers outside their range.
    pub fn new(method: Method, parameters: &Parameters) -> Result<Self, Error> {
        method.check()?;
        let length = parameters.flat().len();
        let second = if method.names().len() > 1 { length } else { 0 };
        let state = [Buffer::new(length), Buffer::new(second)];
        let trained = std::iter::once(0..length).collect();
        let mut reached = Reach::with_room(parameters.parts());
        if method.decays() {
            reached.insert(0..length);
        }
        Ok(Self { method, step: 0, state, trained, reached })
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Updates made so far.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Leaves these parameters as they are from now on, and trains all others.
    pub fn freeze(&mut self, parameters: &Parameters, frozen: &[Param]) {
        self.trained.clear();
        for index in 0..parameters.specs().len() {
            let param = Param(u32::try_from(index).unwrap_or(u32::MAX));
            if frozen.contains(&param) {
                continue;
            }
            let range = parameters.range(param);
            match self.trained.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => self.trained.push(range),
            }
        }
    }

    /// Moves the weights by one step with learning rate `rate`.
    ///
    /// # Errors
    /// [`Error::Weights`] where parameters or gradients are another program's.
    pub fn update(
        &mut self,
        context: &mut Context,
        parameters: &mut Parameters,
        gradients: &Gradients,
        rate: f32,
    ) -> Result<(), Error> {
        let length = self.state[0].len();
        if parameters.flat().len() != length || gradients.flat().len() != length {
            return Err(mismatch(length, gradients.flat().len()));
        }
        self.step += 1;
        self.reached.extend(gradients.reach());
        let prepared = self.method.prepare(self.step, rate);
        let weights = parameters.flat_mut();
        let [first, second] = &mut self.state;
        for trained in &self.trained {
            for range in self.reached.within(trained.clone()) {
                let g = &gradients.flat()[range.clone()];
                let m = &mut first[range.clone()];
                let v = if second.is_empty() { &mut [][..] } else { &mut second[range.clone()] };
                prepared.update(context, &mut weights[range], [m, v], g);
            }
        }
        Ok(())
    }

    /// The state by name, packed as the weights are: what a checkpoint holds beside
    /// [`Optimiser::step`].
    pub fn state(&self) -> Vec<(&'static str, &[f32])> {
        self.method
            .names()
            .iter()
            .copied()
            .zip(self.state.iter().map(|buffer| &buffer[..]))
            .collect()
    }

    /// Takes back what [`Optimiser::step`] and [`Optimiser::state`] gave.
    ///
    /// # Errors
    /// [`Error::Weights`] where a name is missing or a length is another program's; nothing is
    /// changed then.
    pub fn restore(&mut self, step: u64, state: &[(&str, &[f32])]) -> Result<(), Error> {
        let mut fresh = self.state.clone();
        for (name, buffer) in self.method.names().iter().zip(&mut fresh) {
            let found =
                state.iter().find(|(known, _)| known == name).ok_or_else(|| Error::Weights {
                    location: Location::default().field(*name),
                    what: "the optimiser's state is missing".into(),
                })?;
            if found.1.len() != buffer.len() {
                return Err(mismatch(buffer.len(), found.1.len()));
            }
            buffer.copy_from_slice(found.1);
        }
        self.state = fresh;
        self.step = step;
        self.reached.insert(0..self.state[0].len());
        Ok(())
    }
}

fn mismatch(wanted: usize, found: usize) -> Error {
    Error::Weights {
        location: Location::default().field("optimiser"),
        what: format!("{found} packed numbers instead of {wanted}"),
    }
}
