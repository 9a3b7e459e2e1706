//! A network as plain data: nodes, parameters, losses.
//!
//! Nothing here computes. A program is built by [`Builder`](crate::Builder), saved and loaded with
//! serde (and checked again when loaded: nothing from a file is trusted), planned and run by
//! [`Runner`](crate::Runner), and explained by [`Program::table`](crate::Program::table).

use crate::error::{Error, program_error};
use crate::loss::LossTerm;
use crate::operation::{Form, Parts, Streams};
use crate::param::ParamSpec;
use crate::{Op, limits};
use sequela_core::Location;
use sequela_kernels::{Isa, Precision};
use serde::{Deserialize, Serialize};

/// A node's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Value(pub(crate) u32);

/// A parameter: the weights of one layer, which several nodes may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Param(pub(crate) u32);

/// One ragged order of steps; a program with two encoders has two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayoutId(pub(crate) u32);

/// A named input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InputId(pub(crate) u32);

/// A named number that may change from batch to batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScalarId(pub(crate) u32);

impl Value {
    /// The index of the node.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl Param {
    /// The place among [`Program::params`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl LayoutId {
    /// The place among [`Program::layouts`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl InputId {
    /// The place among [`Program::inputs`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ScalarId {
    /// The place among [`Program::scalars`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What the rows of a value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rows {
    /// One row for each sequence, in batch order.
    Sequences,
    /// One row for each step of each sequence, in the packed order of a layout.
    Steps(LayoutId),
}

/// A number that is fixed or comes with the batch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// Always the same.
    Fixed(f32),
    /// Set for each batch (an annealed weight, say); 1 until it is set.
    Input(ScalarId),
}

/// What an input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// `width` numbers for each row.
    Numeric {
        /// Numbers of a row.
        width: usize,
    },
    /// One symbol, or a bag of symbols, for each row.
    Ids {
        /// Every id is below it.
        vocabulary: usize,
    },
}

/// An input of a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Its name, unique in the program.
    pub name: String,
    /// What its rows are.
    pub rows: Rows,
    /// What it holds.
    pub kind: InputKind,
}

/// One operation and where its inputs come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// What it does.
    pub op: Op,
    /// What it reads: nodes before it.
    pub inputs: Vec<Value>,
    /// What its rows are.
    pub rows: Rows,
    /// Values of each row.
    pub width: usize,
}

/// A checked program. See the module page.
///
/// # Example
/// ```
/// use sequela_nn::{Builder, Initial, Linear, ParamKind, ParamSpec, Rows};
/// use sequela_kernels::linear::Bias;
/// let mut builder = Builder::new();
/// let x = builder.input("x", Rows::Sequences, 3)?;
/// let kind = ParamKind::Linear { inputs: 3, outputs: 2, bias: Bias::Trained };
/// let head = builder.param(ParamSpec { name: "head".into(), kind, initial: Initial::Keras });
/// let y = builder.add(Linear { param: head }, &[x])?;
/// builder.output("risk", y);
/// let program = builder.finish()?;
/// assert_eq!(program.output("risk"), Some(y));
/// # Ok::<(), sequela_nn::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ProgramData", into = "ProgramData")]
pub struct Program {
    data: ProgramData,
}

/// The unchecked form of a program: what a file holds and what the builder fills.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProgramData {
    pub(crate) layouts: Vec<String>,
    pub(crate) scalars: Vec<String>,
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) params: Vec<ParamSpec>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) losses: Vec<LossTerm>,
    pub(crate) outputs: Vec<(String, Value)>,
}

impl From<Program> for ProgramData {
    fn from(program: Program) -> Self {
        program.data
    }
}

impl TryFrom<ProgramData> for Program {
    type Error = Error;

    fn try_from(data: ProgramData) -> Result<Self, Error> {
        data.check()?;
        Ok(Self { data })
    }
}

impl Program {
    /// The operations, each after its inputs.
    pub fn nodes(&self) -> &[Node] {
        &self.data.nodes
    }

    /// The inputs.
    pub fn inputs(&self) -> &[InputSpec] {
        &self.data.inputs
    }

    /// The parameters.
    pub fn params(&self) -> &[ParamSpec] {
        &self.data.params
    }

    /// The losses.
    pub fn losses(&self) -> &[LossTerm] {
        &self.data.losses
    }

    /// The outputs by name.
    pub fn outputs(&self) -> &[(String, Value)] {
        &self.data.outputs
    }

    /// The names of the layouts.
    pub fn layouts(&self) -> &[String] {
        &self.data.layouts
    }

    /// The names of the scalars.
    pub fn scalars(&self) -> &[String] {
        &self.data.scalars
    }

    /// The input of this name.
    pub fn input(&self, name: &str) -> Option<InputId> {
        position(self.data.inputs.iter().map(|input| input.name.as_str()), name).map(InputId)
    }

    /// The output of this name.
    pub fn output(&self, name: &str) -> Option<Value> {
        self.data.outputs.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    }

    /// The value of a numeric input: what [`Wanted::Of`](crate::Wanted::Of) takes for saliency.
    pub fn input_value(&self, input: InputId) -> Option<Value> {
        let is_it = |node: &Node| matches!(&node.op, Op::Input(op) if op.input == input);
        self.data
            .nodes
            .iter()
            .position(is_it)
            .and_then(|index| u32::try_from(index).ok())
            .map(Value)
    }

    /// The layout of this name.
    pub fn layout(&self, name: &str) -> Option<LayoutId> {
        position(self.data.layouts.iter().map(String::as_str), name).map(LayoutId)
    }

    /// The scalar of this name.
    pub fn scalar(&self, name: &str) -> Option<ScalarId> {
        position(self.data.scalars.iter().map(String::as_str), name).map(ScalarId)
    }

    /// The parameter of this name.
    pub fn param(&self, name: &str) -> Option<Param> {
        position(self.data.params.iter().map(|param| param.name.as_str()), name).map(Param)
    }

    /// Whether the program can be run one step at a time.
    ///
    /// # Errors
    /// [`Error::NotStreamable`] with the first node that looks ahead and why.
    pub fn streams(&self) -> Result<(), Error> {
        for (index, node) in self.nodes().iter().enumerate() {
            if let Streams::No(what) = node.op.operation().streams(&self.parts()) {
                let operation = node.op.operation().name().to_owned();
                return Err(Error::NotStreamable { node: index, operation, what });
            }
        }
        Ok(())
    }

    /// Whether all recurrent layers can run in this precision on this instruction set.
    ///
    /// # Errors
    /// [`Error::Configuration`] for bf16 where the processor lacks AVX-512 BF16, where another
    /// instruction set was chosen, or for a layer that has no form in bf16.
    pub fn check_precision(&self, precision: Precision, isa: Isa) -> Result<(), Error> {
        let refused = |error| match error {
            sequela_kernels::Error::Precision { reason } => Error::Configuration {
                location: Location::default().field("precision"),
                what: reason.to_owned(),
                hint: "leave precision = \"f32\"",
            },
            other => Error::Kernel(other),
        };
        precision.check(isa).map_err(refused)?;
        let mut shapes = self.params().iter().filter_map(ParamSpec::recurrent);
        shapes.try_for_each(|shape| shape.check_precision(precision, isa).map_err(refused))
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        self.data.parts()
    }

    pub(crate) fn node(&self, value: Value) -> &Node {
        &self.data.nodes[value.index()]
    }
}

impl ProgramData {
    pub(crate) fn parts(&self) -> Parts<'_> {
        Parts {
            nodes: &self.nodes,
            params: &self.params,
            inputs: &self.inputs,
            layouts: self.layouts.len(),
            scalars: self.scalars.len(),
        }
    }

    /// Checks everything that running relies on.
    fn check(&self) -> Result<(), Error> {
        limits::check("nodes", "the number of nodes", self.nodes.len(), limits::NODES)?;
        limits::check("params", "the number of parameters", self.params.len(), limits::NODES)?;
        let mut numbers = 0_usize;
        for spec in &self.params {
            numbers = numbers.saturating_add(spec.check()?);
        }
        limits::check("params", "the number of weights", numbers, limits::WEIGHTS)?;
        unique("layout", self.layouts.iter().map(String::as_str))?;
        unique("scalar", self.scalars.iter().map(String::as_str))?;
        unique("input", self.inputs.iter().map(|input| input.name.as_str()))?;
        unique("output", self.outputs.iter().map(|(name, _)| name.as_str()))?;
        let tensors: Vec<String> = self
            .params
            .iter()
            .flat_map(|spec| spec.tensors().into_iter().map(|t| t.name))
            .collect();
        unique("weight", tensors.iter().map(String::as_str))?;
        for input in &self.inputs {
            self.parts().check_rows(input.rows).map_err(|what| program_error(&input.name, what))?;
            let (what, size, limit) = match input.kind {
                InputKind::Numeric { width } => ("the width of an input", width, limits::WIDTH),
                InputKind::Ids { vocabulary } => ("a vocabulary", vocabulary, limits::VOCABULARY),
            };
            limits::check(&input.name, what, size, limit)?;
            if size == 0 {
                return Err(program_error(&input.name, "the input holds nothing"));
            }
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(late) = node.inputs.iter().find(|value| value.index() >= index) {
                let what = format!("node {index} reads node {}, which is not before it", late.0);
                return Err(program_error("nodes", what));
            }
            let form = self.form_of(index, &node.op, &node.inputs)?;
            if form != (Form { rows: node.rows, width: node.width }) {
                let what =
                    format!("node {index} says {:?} x {}, but is {form:?}", node.rows, node.width);
                return Err(program_error("nodes", what));
            }
        }
        for (name, value) in &self.outputs {
            if value.index() >= self.nodes.len() {
                return Err(program_error(name, "the output is not a node"));
            }
        }
        for (index, term) in self.losses.iter().enumerate() {
            term.check(&self.parts())
                .map_err(|what| program_error(format!("losses[{index}]"), what))?;
        }
        Ok(())
    }

    /// The form of what `op` makes of these inputs; `index` is the node's, for the message.
    pub(crate) fn form_of(&self, index: usize, op: &Op, inputs: &[Value]) -> Result<Form, Error> {
        let shape_error =
            |what: String| Error::Shape { node: index, operation: op.label(&self.params), what };
        let forms: Option<Vec<Form>> = inputs
            .iter()
            .map(|value| {
                let node = self.nodes.get(value.index())?;
                Some(Form { rows: node.rows, width: node.width })
            })
            .collect();
        let forms = forms.ok_or_else(|| shape_error("reads a node that is not there".into()))?;
        if let Some(param) = op.operation().param()
            && param.index() >= self.params.len()
        {
            return Err(shape_error("names a parameter that is not there".into()));
        }
        let form = op.operation().check(&self.parts(), inputs, &forms).map_err(shape_error)?;
        limits::check(&op.label(&self.params), "the width of its rows", form.width, limits::WIDTH)?;
        if form.width == 0 {
            return Err(shape_error("has rows of no values".into()));
        }
        Ok(form)
    }
}

fn position<'a>(mut names: impl Iterator<Item = &'a str>, name: &str) -> Option<u32> {
    names.position(|known| known == name).and_then(|index| u32::try_from(index).ok())
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(program_error(pair[0], format!("two have this name ({what})"))),
        None => Ok(()),
    }
}
