//! One step at a time: a bedside stream.

use crate::batch::Batch;
use crate::error::Error;
use crate::parameters::Parameters;
use crate::plan::{Capacity, Keep};
use crate::program::{InputId, LayoutId, Program, Value};
use crate::runner::Runner;
use crate::state::{NodeState, Recurrence};
use sequela_kernels::{Context, Matrix, Precision};

/// A program that is fed one step of each of its sequences per call, and remembers.
///
/// What it says after a step are the bits that a batch of the steps so far would give at the
/// last one. **Cost** no allocation per step.
///
/// # Example
/// ```
/// use sequela_kernels::Context;
/// use sequela_kernels::recurrent::{Cell, Direction};
/// use sequela_nn::{Builder, Initial, ParamKind, ParamSpec, Parameters, Recurrent, Rows, Stream};
/// let mut builder = Builder::new();
/// let steps = builder.layout("steps");
/// let x = builder.input("x", Rows::Steps(steps), 1)?;
/// let kind = ParamKind::Recurrent {
///     cell: Cell::Lstm, direction: Direction::Forward, inputs: 1, hidden: 4, layer: 0,
/// };
/// let rnn = builder.param(ParamSpec { name: "rnn".into(), kind, initial: Initial::Keras });
/// let h = builder.add(Recurrent { param: rnn }, &[x])?;
/// builder.output("h", h);
/// let program = builder.finish()?;
/// let parameters = Parameters::new(&program, 7)?;
/// let mut stream = Stream::new(&program, 1)?;
/// let mut context = Context::new(1)?;
/// let input = program.input("x").unwrap();
/// stream.write(input, 0, &[0.5])?;
/// stream.step(&mut context, &parameters)?;
/// let first = stream.value(h).row(0).to_vec();
/// stream.step(&mut context, &parameters)?; // the same input again, another state
/// assert_ne!(stream.value(h).row(0), first);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Stream {
    runner: Runner,
    batch: Batch,
}

impl Stream {
    /// A stream of `sequences` sequences, all at their beginning.
    ///
    /// # Errors
    /// [`Error::NotStreamable`] where the program looks ahead.
    pub fn new(program: &Program, sequences: usize) -> Result<Self, Error> {
        program.streams()?;
        let capacity = Capacity::uniform(program, sequences, sequences);
        let recurrence = Recurrence::StepByStep;
        let runner = Runner::with_recurrence(program, &capacity, &Keep::Nothing, recurrence)?;
        let mut batch = Batch::new(program, &capacity)?;
        batch.set_sequences(sequences)?;
        for layout in 0..u32::try_from(program.layouts().len()).unwrap_or(0) {
            batch.set_lengths(LayoutId(layout), &vec![1; sequences])?;
        }
        Ok(Self { runner, batch })
    }

    /// The same stream in this precision; see [`Runner::with_precision`].
    ///
    /// # Errors
    /// [`Error::Configuration`] as [`Program::check_precision`].
    pub fn with_precision(self, precision: Precision, context: &Context) -> Result<Self, Error> {
        let Self { runner, batch } = self;
        Ok(Self { runner: runner.with_precision(precision, context)?, batch })
    }

    /// Writes the next step of sequence `b`; what is not written again stays.
    ///
    /// # Errors
    /// [`Error::Batch`] where `b` or the number of values does not fit.
    pub fn write(&mut self, input: InputId, b: usize, values: &[f32]) -> Result<(), Error> {
        self.batch.write(input, b, values)
    }

    /// Writes the next symbol of sequence `b`, one in `ids`.
    ///
    /// # Errors
    /// [`Error::Batch`] where `b`, the number of symbols or the symbol does not fit.
    pub fn write_ids(&mut self, input: InputId, b: usize, ids: &[u32]) -> Result<(), Error> {
        self.batch.write_ids(input, b, ids)
    }

    /// Takes one step with all sequences.
    ///
    /// # Errors
    /// [`Error::Batch`] where an input was never written.
    pub fn step(&mut self, context: &mut Context, parameters: &Parameters) -> Result<(), Error> {
        self.runner.forward(context, parameters, &self.batch)
    }

    /// An output after the last step, one row for each sequence.
    ///
    /// # Panics
    /// If the value is not computed.
    pub fn value(&self, value: Value) -> Matrix<'_> {
        self.runner.value(value, &self.batch)
    }

    /// Puts sequence `b` back to its beginning.
    pub fn reset(&mut self, b: usize) {
        for state in &mut self.runner.states {
            if let NodeState::Stream(state) = state {
                state.reset(b);
            }
        }
    }
}
