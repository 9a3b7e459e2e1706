//! The weights of a program and their gradients, packed into one flat buffer each.

use crate::error::Error;
use crate::initialise;
use crate::param::ParamSpec;
use crate::program::{Param, Program};
use crate::reach::Reach;
use sequela_core::Location;
use sequela_kernels::{Buffer, Context, optimiser};
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// A named tensor in its plain form, row by row: what a model file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Name, as PyTorch has it: `rnn.weight_ih_l0`, `head.bias`.
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f32>,
}

/// The weights of a program.
///
/// Inside they lie in the kernels' packed form, which the optimiser updates in place; names and
/// plain matrices exist at the edges only.
///
/// # Example
/// ```
/// use sequela_nn::{Builder, Initial, Linear, ParamKind, ParamSpec, Parameters, Rows};
/// use sequela_kernels::linear::Bias;
/// let mut builder = Builder::new();
/// let x = builder.input("x", Rows::Sequences, 3)?;
/// let kind = ParamKind::Linear { inputs: 3, outputs: 2, bias: Bias::Trained };
/// let head = builder.param(ParamSpec { name: "head".into(), kind, initial: Initial::Keras });
/// let y = builder.add(Linear { param: head }, &[x])?;
/// builder.output("risk", y);
/// let program = builder.finish()?;
/// let mut parameters = Parameters::new(&program, 42)?;
/// let tensors = parameters.tensors();
/// assert_eq!(tensors[0].name, "head.weight");
/// assert_eq!(tensors[0].shape, [2, 3]);
/// parameters.load(&tensors)?;
/// assert_eq!(parameters.count(), 8);
/// # Ok::<(), sequela_nn::Error>(())
/// ```
#[derive(Debug)]
pub struct Parameters {
    specs: Vec<ParamSpec>,
    ranges: Vec<Range<usize>>,
    flat: Buffer,
    version: u64,
}

impl Clone for Parameters {
    fn clone(&self) -> Self {
        Self {
            specs: self.specs.clone(),
            ranges: self.ranges.clone(),
            flat: self.flat.clone(),
            version: next_version(),
        }
    }
}

/// Versions are unique in the process, so that a runner can tell any two states apart.
fn next_version() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

impl Parameters {
    /// First weights of a program, as its parameters say.
    ///
    /// **Determinism** a function of the seed and of the tensors' names.
    ///
    /// # Errors
    /// [`Error::Limit`] where the weights are too many.
    pub fn new(program: &Program, seed: u64) -> Result<Self, Error> {
        let specs = program.params().to_vec();
        let mut ranges = Vec::with_capacity(specs.len());
        let mut length = 0;
        for spec in &specs {
            let end = length + spec.packed_len();
            ranges.push(length..end);
            length = end;
        }
        let mut flat = Buffer::new(length);
        for (spec, range) in specs.iter().zip(&ranges) {
            let tensors = initialise::draw(spec, seed);
            let tensors: Vec<&[f32]> = tensors.iter().map(Vec::as_slice).collect();
            spec.pack(&tensors, &mut flat[range.clone()]);
        }
        Ok(Self { specs, ranges, flat, version: next_version() })
    }

    /// All tensors, in the program's order, in their plain form.
    pub fn tensors(&self) -> Vec<Tensor> {
        self.named(&self.flat)
    }

    /// Takes the weights from tensors of exactly the program's names and shapes, in any order.
    ///
    /// # Errors
    /// [`Error::Weights`] for a tensor that is missing, unknown, twice there, or of another
    /// shape; nothing is changed then.
    pub fn load(&mut self, tensors: &[Tensor]) -> Result<(), Error> {
        let known: Vec<String> =
            self.specs.iter().flat_map(|spec| spec.tensors().into_iter().map(|t| t.name)).collect();
        for tensor in tensors {
            if !known.contains(&tensor.name) {
                return Err(weights_error(&tensor.name, "the program has no such weight".into()));
            }
        }
        self.load_from(|name| tensors.iter().find(|tensor| tensor.name == name).cloned())
    }

    /// Takes the weights from whatever `find` gives for each name.
    ///
    /// # Errors
    /// [`Error::Weights`] for a tensor that is missing or of another shape; nothing is changed
    /// then.
    pub fn load_from(&mut self, find: impl Fn(&str) -> Option<Tensor>) -> Result<(), Error> {
        let mut fresh = self.flat.clone();
        for (spec, range) in self.specs.iter().zip(&self.ranges) {
            let mut found = Vec::new();
            for wanted in spec.tensors() {
                let tensor = find(&wanted.name)
                    .ok_or_else(|| weights_error(&wanted.name, "the weight is missing".into()))?;
                if tensor.shape != wanted.shape || tensor.values.len() != wanted.count() {
                    let what = format!("shape {:?} instead of {:?}", tensor.shape, wanted.shape);
                    return Err(weights_error(&wanted.name, what));
                }
                found.push(tensor.values);
            }
            let found: Vec<&[f32]> = found.iter().map(Vec::as_slice).collect();
            spec.pack(&found, &mut fresh[range.clone()]);
        }
        self.flat = fresh;
        self.version = next_version();
        Ok(())
    }

    /// Numbers that are trained, without padding.
    pub fn count(&self) -> usize {
        self.specs.iter().map(ParamSpec::count).sum()
    }

    /// The packed form of all weights.
    pub fn flat(&self) -> &[f32] {
        &self.flat
    }

    /// Takes back a packed form that [`Parameters::flat`] gave.
    ///
    /// # Errors
    /// [`Error::Weights`] where the length is another program's.
    pub fn set_flat(&mut self, flat: &[f32]) -> Result<(), Error> {
        if flat.len() != self.flat.len() {
            let what = format!("{} packed numbers instead of {}", flat.len(), self.flat.len());
            return Err(weights_error("all", what));
        }
        self.flat_mut().copy_from_slice(flat);
        Ok(())
    }

    /// A number that changes whenever the weights may have changed.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Where a parameter lies in the packed form.
    pub fn range(&self, param: Param) -> Range<usize> {
        self.ranges[param.index()].clone()
    }

    pub(crate) fn flat_mut(&mut self) -> &mut [f32] {
        self.version = next_version();
        &mut self.flat
    }

    pub(crate) fn packed(&self, param: Param) -> &[f32] {
        &self.flat[self.ranges[param.index()].clone()]
    }

    pub(crate) fn spec(&self, param: Param) -> &ParamSpec {
        &self.specs[param.index()]
    }

    pub(crate) fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// Most separate parts that gradients may reach.
    pub(crate) fn parts(&self) -> usize {
        let parts = self
            .specs
            .iter()
            .map(|spec| spec.recurrent().map_or(1, |shape| shape.input_parts().count().max(1)));
        parts.sum()
    }

    fn named(&self, flat: &[f32]) -> Vec<Tensor> {
        let mut tensors = Vec::new();
        for (spec, range) in self.specs.iter().zip(&self.ranges) {
            let values = spec.unpack(&flat[range.clone()]);
            for (tensor, values) in spec.tensors().into_iter().zip(values) {
                tensors.push(Tensor { name: tensor.name, shape: tensor.shape, values });
            }
        }
        tensors
    }
}

fn weights_error(name: &str, what: String) -> Error {
    Error::Weights { location: Location::default().field(name), what }
}

/// How large gradients are cut.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// They are not.
    #[default]
    Off,
    /// All are scaled so that their norm is at most this (Pascanu 2013).
    Norm(f32),
    /// Each is limited to this magnitude.
    Value(f32),
}

/// Gradients of all parameters, in the packed form.
#[derive(Debug, Clone)]
pub struct Gradients {
    ranges: Vec<Range<usize>>,
    flat: Buffer,
    /// Where something was written since the last [`Gradients::clear`].
    reach: Reach,
}

impl Gradients {
    /// Zeros for these parameters.
    pub fn new(parameters: &Parameters) -> Self {
        let flat = Buffer::new(parameters.flat.len());
        let reach = Reach::with_room(parameters.parts());
        Self { ranges: parameters.ranges.clone(), flat, reach }
    }

    /// Becomes zeros.
    pub fn clear(&mut self) {
        for range in self.reach.ranges() {
            self.flat[range.clone()].fill(0.0);
        }
        self.reach.clear();
    }

    /// What may be other than zero.
    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    /// All gradients, packed as [`Parameters::flat`]: one buffer to reduce over machines.
    pub fn flat(&self) -> &[f32] {
        &self.flat
    }

    /// The same, to be changed; padding must stay 0.
    pub fn flat_mut(&mut self) -> &mut [f32] {
        self.reach.insert(0..self.flat.len());
        &mut self.flat
    }

    /// All gradients under the names of their weights, in the plain form.
    pub fn tensors(&self, parameters: &Parameters) -> Vec<Tensor> {
        parameters.named(&self.flat)
    }

    /// The norm of all gradients together.
    pub fn norm(&self, context: &mut Context) -> f64 {
        libm::sqrt(optimiser::sum_of_squares(context, &self.flat))
    }

    /// Whether no gradient is NaN or infinite.
    pub fn all_finite(&self) -> bool {
        optimiser::all_finite(&self.flat)
    }

    /// Cuts the gradients; the norm that they had before.
    ///
    /// Gradients whose norm is not finite are left as they are: the caller stops.
    pub fn clip(&mut self, context: &mut Context, clip: Clip) -> f64 {
        let norm = self.norm(context);
        match clip {
            Clip::Norm(limit) if norm > f64::from(limit) && norm.is_finite() => {
                #[expect(clippy::cast_possible_truncation, reason = "a factor below 1")]
                let factor = (f64::from(limit) / norm) as f32;
                optimiser::scale(&mut self.flat, factor);
            }
            Clip::Value(limit) if norm.is_finite() => {
                optimiser::clamp(&mut self.flat, limit);
            }
            Clip::Off | Clip::Norm(_) | Clip::Value(_) => {}
        }
        norm
    }

    pub(crate) fn packed_mut(&mut self, param: Param) -> &mut [f32] {
        let range = self.ranges[param.index()].clone();
        self.reach.insert(range.clone());
        &mut self.flat[range]
    }

    /// The same for who writes to these parts of it only.
    pub(crate) fn packed_parts_mut(
        &mut self,
        param: Param,
        parts: impl Iterator<Item = Range<usize>>,
    ) -> &mut [f32] {
        let range = self.ranges[param.index()].clone();
        for part in parts {
            self.reach.insert(range.start + part.start..range.start + part.end);
        }
        &mut self.flat[range]
    }
}
