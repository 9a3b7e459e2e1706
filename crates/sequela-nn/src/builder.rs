//! Makes programs.

use crate::error::Error;
use crate::loss::LossTerm;
use crate::operations::Input;
use crate::param::ParamSpec;
use crate::program::{
    InputId, InputKind, InputSpec, LayoutId, Node, Param, Program, ProgramData, Rows, ScalarId,
    Value,
};
use crate::{Op, limits};

/// Puts a program together, checking each operation as it is added.
///
/// # Example
/// ```
/// use sequela_nn::{Builder, FinalState, Initial, ParamKind, ParamSpec, Recurrent, Rows};
/// use sequela_kernels::recurrent::{Cell, Direction, StatePart};
/// let mut builder = Builder::new();
/// let steps = builder.layout("steps");
/// let x = builder.input("x", Rows::Steps(steps), 3)?;
/// let kind = ParamKind::Recurrent {
///     cell: Cell::Lstm, direction: Direction::Forward, inputs: 3, hidden: 8, layer: 0,
/// };
/// let rnn = builder.param(ParamSpec { name: "rnn".into(), kind, initial: Initial::Keras });
/// let h = builder.add(Recurrent { param: rnn }, &[x])?;
/// let last = builder.add(FinalState { part: StatePart::Hidden }, &[h])?;
/// builder.output("summary", last);
/// assert_eq!(builder.finish()?.nodes().len(), 3);
/// # Ok::<(), sequela_nn::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Builder {
    data: ProgramData,
}

impl Builder {
    /// An empty program.
    pub fn new() -> Self {
        Self::default()
    }

    /// A ragged order of steps.
    pub fn layout(&mut self, name: &str) -> LayoutId {
        self.data.layouts.push(name.to_owned());
        LayoutId(narrow(self.data.layouts.len() - 1))
    }

    /// A numeric input and its value.
    ///
    /// # Errors
    /// [`Error::Shape`] where the width is 0 or over its limit.
    pub fn input(&mut self, name: &str, rows: Rows, width: usize) -> Result<Value, Error> {
        let input = self.declare(name, rows, InputKind::Numeric { width });
        self.add(Input { input }, &[])
    }

    /// An input of symbols, for [`Embedding`](crate::Embedding).
    pub fn ids(&mut self, name: &str, rows: Rows, vocabulary: usize) -> InputId {
        self.declare(name, rows, InputKind::Ids { vocabulary })
    }

    /// A number that comes with each batch.
    pub fn scalar(&mut self, name: &str) -> ScalarId {
        self.data.scalars.push(name.to_owned());
        ScalarId(narrow(self.data.scalars.len() - 1))
    }

    /// The weights of a layer; as many operations as like may use them, and their gradients add.
    pub fn param(&mut self, spec: ParamSpec) -> Param {
        self.data.params.push(spec);
        Param(narrow(self.data.params.len() - 1))
    }

    /// Adds an operation; its value.
    ///
    /// # Errors
    /// [`Error::Shape`] where the inputs do not fit; the message names the node.
    pub fn add(&mut self, op: impl Into<Op>, inputs: &[Value]) -> Result<Value, Error> {
        let op = op.into();
        let index = self.data.nodes.len();
        limits::check("nodes", "the number of nodes", index + 1, limits::NODES)?;
        let form = self.data.form_of(index, &op, inputs)?;
        let (rows, width) = (form.rows, form.width);
        self.data.nodes.push(Node { op, inputs: inputs.to_vec(), rows, width });
        Ok(Value(narrow(index)))
    }

    /// Values of a row of `value`.
    ///
    /// # Panics
    /// If the value is another builder's.
    pub fn width(&self, value: Value) -> usize {
        self.data.nodes[value.index()].width
    }

    /// Adds a loss term; the program's loss is the sum of all.
    pub fn loss(&mut self, term: LossTerm) {
        self.data.losses.push(term);
    }

    /// Names a value as an output.
    pub fn output(&mut self, name: &str, value: Value) {
        self.data.outputs.push((name.to_owned(), value));
    }

    /// Writes `steps` steps of a recurrence out as nodes: `step` is given the builder, the step
    /// and the state, and returns the step's output and the next state. The outputs.
    ///
    /// A decoder that feeds on its own output is written this way, over
    /// [`Rows::Sequences`] with a recurrent cell of one step and its state passed by hand.
    ///
    /// # Errors
    /// What `step` returns.
    pub fn unroll<F>(
        &mut self,
        steps: usize,
        mut state: Vec<Value>,
        mut step: F,
    ) -> Result<Vec<Value>, Error>
    where
        F: FnMut(&mut Self, usize, &[Value]) -> Result<(Value, Vec<Value>), Error>,
    {
        let mut outputs = Vec::with_capacity(steps);
        for t in 0..steps {
            let (output, next) = step(self, t, &state)?;
            outputs.push(output);
            state = next;
        }
        Ok(outputs)
    }

    /// The checked program.
    ///
    /// # Errors
    /// [`Error::Program`] where names clash or a loss does not fit, [`Error::Configuration`] and
    /// [`Error::Limit`] for impossible sizes.
    pub fn finish(self) -> Result<Program, Error> {
        Program::try_from(self.data)
    }

    fn declare(&mut self, name: &str, rows: Rows, kind: InputKind) -> InputId {
        self.data.inputs.push(InputSpec { name: name.to_owned(), rows, kind });
        InputId(narrow(self.data.inputs.len() - 1))
    }
}

fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
