//! Forecasts while series are being measured: a step in, forecasts out, for many subjects.
//!
//! ```text
//! bytes --Dialogue--> subject, time, values --Streams--> forecasts --Dialogue--> bytes
//!                                              |  ^
//!                                        state file (bit for bit)
//! ```
//!
//! [`Streams`] keeps the state of every subject and steps all that is queued together;
//! [`Dialogue`] speaks lines of CSV or JSON with it; [`Stream`] is one subject without a name.

mod answers;
mod carried;
mod dialogue;
mod engine;
mod input;
mod json;
mod single;
mod state;
mod subjects;
mod watch;
mod window;

use sequela_data::envelope::Placing;
use sequela_formats::csv::{Fault, LineFault};
use sequela_kernels::Context;
use sequela_nn::Precision;

use crate::Error;
use crate::feed::Form;
use crate::judge::Net;
use crate::model::Model;

use self::engine::{Engine, Step};
use self::subjects::Subjects;
use self::watch::Watch;

pub use self::dialogue::{Dialogue, DialogueOptions, InputFormat, OnFault};
pub use self::single::Stream;

/// What [`Streams`] may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamOptions {
    /// Threads; at least one is used. They change no bit.
    pub threads: usize,
    /// A subject more than this is refused.
    pub max_subjects: usize,
    /// Subjects stepped at once; more need more memory, and change no bit.
    pub together: usize,
    /// In what products are computed; with bf16, threads and company may change bits.
    pub precision: Precision,
}

impl Default for StreamOptions {
    fn default() -> Self {
        let precision = Precision::F32;
        Self { threads: 1, max_subjects: 100_000, together: 512, precision }
    }
}

/// A model with the states of many subjects, who are measured at their own times.
///
/// Steps are queued by [`Streams::push`] and taken together by [`Streams::run`].
///
/// **Determinism** the forecasts have the bits of [`predict`](crate::predict) on the whole
/// series, however the subjects' steps are interleaved and however many are taken together, on
/// every instruction set and any number of threads. **Memory**
/// [`Streams::bytes_per_subject`] for each subject, at most [`StreamOptions::max_subjects`] of
/// them, beside what is queued. **Cost** one step of the network for a model whose state is
/// carried (`train.truncate`), else the network over the last window.
///
/// # Example
/// ```no_run
/// use sequela_core::Limits;
/// use sequela_train::{Model, StreamOptions, Streams};
/// let model = Model::load("run/model.safetensors".as_ref(), &Limits::default())?;
/// let mut streams = Streams::new(&model, &StreamOptions::default())?;
/// let first = streams.push("bed 1", None, &[71.0])?;
/// let second = streams.push("bed 2", None, &[88.0])?;
/// streams.run()?;
/// assert_eq!(streams.forecasts(first), None, "there is no whole window yet");
/// streams.clear();
/// # Ok::<(), sequela_train::Error>(())
/// ```
#[derive(Debug)]
pub struct Streams<'a> {
    model: &'a Model,
    context: Context,
    subjects: Subjects,
    engine: Engine,
    /// Tells where windows lie, where the model file knows what it has seen.
    watch: Option<Watch>,
    /// For each queued step whether it is answered.
    answered: Vec<bool>,
    /// For each queued step where its window lies, where there is a whole one.
    placings: Vec<Option<Placing>>,
    /// `(N, K)`.
    forecasts: Vec<f32>,
}

impl<'a> Streams<'a> {
    /// No subject yet.
    ///
    /// # Errors
    /// [`Error::Network`] where the network cannot be planned, or looks ahead although its state
    /// is carried; [`Error::Data`] where its inputs depend on steps that are still to come.
    pub fn new(model: &'a Model, options: &StreamOptions) -> Result<Self, Error> {
        let net = Net { precision: options.precision, ..model.net() };
        let context = Context::new(options.threads.max(1))?;
        let carries =
            net.form == Form::EveryStep && model.manifest().study.train.truncate.is_some();
        let together = options.together.clamp(1, options.max_subjects.max(1));
        let engine = Engine::new(&net, &context, carries, together)?;
        let mut widths = engine.widths();
        let watch = Watch::new(&net, &engine, &mut widths);
        Ok(Self {
            model,
            context,
            subjects: Subjects::new(widths, options.max_subjects),
            engine,
            watch,
            answered: Vec::new(),
            placings: Vec::new(),
            forecasts: Vec::new(),
        })
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Number of subjects.
    pub fn subjects(&self) -> usize {
        self.subjects.len()
    }

    /// Bytes that each subject takes, beside its name.
    pub fn bytes_per_subject(&self) -> usize {
        self.subjects.bytes_per_subject()
    }

    /// Queues the next step of a subject: its time in hours, where its steps have times, and one
    /// value for each channel, NaN where nothing was measured. Returns the number of the step in
    /// the queue.
    ///
    /// A time that lies more than the model's longest gap after the one before begins anew.
    ///
    /// # Errors
    /// [`Error::Data`] for another number of values, an infinite one, a time that goes
    /// backwards or is missing beside others, and a subject over the limit; the state is as
    /// before.
    pub fn push(
        &mut self,
        subject: &str,
        time: Option<f64>,
        values: &[f32],
    ) -> Result<usize, Error> {
        self.make_room()?;
        self.queue(subject, time, values).map_err(|fault| {
            Error::data(fault.field.unwrap_or_else(|| "values".into()), fault.what, fault.hint)
        })
    }

    /// Takes the queued steps where they stand for much memory.
    pub(crate) fn make_room(&mut self) -> Result<(), Error> {
        if self.engine.is_full() { self.run() } else { Ok(()) }
    }

    /// As [`Streams::push`], with the fault of a line.
    pub(crate) fn queue(
        &mut self,
        subject: &str,
        time: Option<f64>,
        values: &[f32],
    ) -> Result<usize, LineFault> {
        let net = self.model.net();
        let channels = &self.model.manifest().schema;
        if values.len() != channels.len() {
            return Err(LineFault::of_line(
                format!("a step has {} values, the model takes {}", values.len(), channels.len()),
                "give one value for each channel, in the order of the model's schema",
            ));
        }
        if let Some(at) = values.iter().position(|value| value.is_infinite()) {
            let fault = Fault {
                what: "the value is infinite",
                hint: "leave it out if the value is not known",
            };
            return Err(LineFault::of_field(&channels[at].name, fault));
        }
        let gap = net.encoder.longest_gap_hours;
        let (slot, begins) = self.subjects.slot(subject, time, gap)?;
        let at = self.answered.len();
        self.answered.push(false);
        let step = Step { at, slot, begins, values };
        if let Some(watch) = &self.watch {
            self.placings.push(watch.push(self.subjects.memory(slot), time, &step));
        }
        self.answered[at] = self.engine.queue(&net, &mut self.subjects, &step);
        Ok(at)
    }

    /// Takes all queued steps.
    ///
    /// # Errors
    /// [`Error::Network`] where a worker broke.
    pub fn run(&mut self) -> Result<(), Error> {
        let net = self.model.net();
        self.forecasts.resize(self.answered.len() * net.encoder.horizons.len(), 0.0);
        self.engine.run(&net, &mut self.context, &mut self.subjects, &mut self.forecasts)
    }

    /// The forecasts at each horizon after the queued step `at`, in the target's unit, once
    /// [`Streams::run`] has taken it; `None` where there is no whole window yet, or nothing was
    /// measured in it.
    pub fn forecasts(&self, at: usize) -> Option<&[f32]> {
        let count = self.model.manifest().encoder.horizons.len();
        let row = self.forecasts.get(at * count..(at + 1) * count)?;
        self.answered.get(at)?.then_some(row)
    }

    /// How much is missing of the window that ends with the queued step `at`, and whether it lies inside
    /// what the model has seen in training: what [`predict`](crate::predict) says of that window.
    /// `None` where there is no whole window yet, and for a model file that does not know.
    pub fn placing(&self, at: usize) -> Option<&Placing> {
        self.placings.get(at)?.as_ref()
    }

    /// Puts a subject back to its beginning, after its queued steps.
    ///
    /// # Errors
    /// As [`Streams::run`].
    pub fn forget(&mut self, subject: &str) -> Result<(), Error> {
        self.run()?;
        if let Some(slot) = self.subjects.find(subject) {
            self.subjects.forget(slot);
        }
        Ok(())
    }

    /// Empties the queue, taking steps that were not taken yet.
    ///
    /// # Errors
    /// As [`Streams::run`].
    pub fn clear(&mut self) -> Result<(), Error> {
        self.run()?;
        self.answered.clear();
        self.placings.clear();
        self.forecasts.clear();
        Ok(())
    }
}
