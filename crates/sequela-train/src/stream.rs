//! Forecasts while a series is being measured: a value in, forecasts out.

use sequela_kernels::Context;
use sequela_nn::{Batch, Capacity, InputId, Keep, LayoutId, Precision, Runner, Value};

use crate::Error;
use crate::feed::Form;
use crate::model::Model;
use crate::series::Series;

/// A model that is fed one step at a time.
///
/// What it says after a step are the bits that [`predict`](crate::predict) gives for that step.
/// A gap in time is for the caller to tell, by [`Stream::reset`].
#[derive(Debug)]
pub struct Stream<'a> {
    model: &'a Model,
    context: Context,
    series: Series,
    /// Steps pushed since the beginning.
    steps: usize,
    engine: Engine,
    forecasts: Vec<f32>,
}

/// How a step becomes forecasts.
#[derive(Debug)]
enum Engine {
    /// The last window is run anew at every step.
    Window {
        runner: Box<Runner>,
        batch: Box<Batch>,
        /// The last steps as they were pushed, `(L, F)`, oldest first.
        recent: Vec<f32>,
        rows: Vec<f32>,
        outputs: Vec<f32>,
        ports: (LayoutId, InputId, Value),
    },
    /// The state is carried: one step is run.
    Carried { stream: Box<sequela_nn::Stream>, row: Vec<f32>, ports: (InputId, Value) },
}

impl<'a> Stream<'a> {
    /// A stream at its beginning.
    ///
    /// # Errors
    /// [`Error::Network`] where the network cannot be planned, or looks ahead although its state
    /// is carried.
    pub fn new(model: &'a Model) -> Result<Self, Error> {
        Self::in_precision(model, Precision::F32)
    }

    /// As [`Stream::new`], in this precision; in bf16 not to the bit what anything else says.
    ///
    /// # Errors
    /// As [`Stream::new`], and where the precision cannot be had.
    pub fn in_precision(model: &'a Model, precision: Precision) -> Result<Self, Error> {
        let context = Context::new(1)?;
        let (net, program) = (model.net(), model.program());
        let encoder = net.encoder;
        let missing =
            || Error::data("program", "it has no input x over steps", "report this as a bug");
        let x = program.input("x").ok_or_else(missing)?;
        let output = net.output()?;
        let carried =
            net.form == Form::EveryStep && model.manifest().study.train.truncate.is_some();
        let engine = if carried {
            let stream = sequela_nn::Stream::new(program, 1)?;
            let stream = Box::new(stream.with_precision(precision, &context)?);
            Engine::Carried { stream, row: Vec::new(), ports: (x, output) }
        } else {
            let capacity = Capacity::uniform(program, 1, encoder.length);
            let layout = program.layout("steps").ok_or_else(missing)?;
            let runner = Runner::new(program, &capacity, &Keep::Nothing)?;
            Engine::Window {
                runner: Box::new(runner.with_precision(precision, &context)?),
                batch: Box::new(Batch::new(program, &capacity)?),
                recent: Vec::new(),
                rows: Vec::new(),
                outputs: Vec::new(),
                ports: (layout, x, output),
            }
        };
        Ok(Self {
            model,
            context,
            series: encoder.empty(encoder.length),
            steps: 0,
            engine,
            forecasts: Vec::new(),
        })
    }

    /// Takes the values of one step (one for each channel, NaN where missing); the forecasts for
    /// each horizon, once a whole window was seen.
    ///
    /// # Errors
    /// [`Error::Data`] for another number of values.
    pub fn push(&mut self, values: &[f32]) -> Result<Option<&[f32]>, Error> {
        let net = self.model.net();
        let encoder = net.encoder;
        let features = encoder.scaler.channels.len();
        if values.len() != features {
            return Err(Error::data(
                "stream",
                format!("a step has {} values, the model takes {features}", values.len()),
                "give one value for each channel, in the order of the model's schema",
            ));
        }
        self.steps += 1;
        self.forecasts.clear();
        match &mut self.engine {
            Engine::Window { runner, batch, recent, rows, outputs, ports } => {
                if recent.len() == encoder.length * features {
                    recent.drain(..features);
                }
                recent.extend_from_slice(values);
                if self.steps < encoder.length {
                    return Ok(None);
                }
                self.series.clear();
                for row in recent.chunks_exact(features) {
                    encoder.push(&mut self.series, row, |channel| row[channel].is_finite());
                }
                let nothing_seen = recent.iter().all(|value| !value.is_finite());
                if nothing_seen {
                    return Ok(None);
                }
                rows.clear();
                encoder.rows(&self.series, 0, 0..encoder.length, rows);
                let (layout, x, output) = *ports;
                batch.set_lengths(layout, &[encoder.length])?;
                batch.write(x, 0, rows)?;
                runner.forward(&mut self.context, net.parameters, batch)?;
                runner.read(output, batch, 0, outputs);
                let width = encoder.horizons.len() * net.quantiles.0;
                let row = &outputs[outputs.len() - width..];
                net.decode(&self.series, (0, encoder.length - 1), row, &mut self.forecasts);
            }
            Engine::Carried { stream, row, ports } => {
                encoder.push(&mut self.series, values, |channel| values[channel].is_finite());
                let last = self.steps - 1;
                row.clear();
                encoder.rows(&self.series, 0, last..last + 1, row);
                stream.write(ports.0, 0, row)?;
                stream.step(&mut self.context, net.parameters)?;
                if self.steps < encoder.length {
                    return Ok(None);
                }
                let outputs = stream.value(ports.1).row(0);
                net.decode(&self.series, (0, last), outputs, &mut self.forecasts);
            }
        }
        Ok(Some(&self.forecasts))
    }

    /// Begins anew: another subject, or a gap in the record.
    pub fn reset(&mut self) {
        self.steps = 0;
        self.series.clear();
        match &mut self.engine {
            Engine::Window { recent, .. } => recent.clear(),
            Engine::Carried { stream, .. } => stream.reset(0),
        }
    }
}
