//! Losses and forecasts of a network that is not being changed.

use sequela_kernels::Context;
use sequela_nn::{Batch, Keep, Parameters, Precision, Program, Runner, Value};

use crate::Error;
use crate::encode::Encoder;
use crate::feed::{Carry, Feed, Form, Order, Ports, WindowFeed};
use crate::series::Examples;

/// A network over the windows of one part.
pub(crate) struct Judge<'a> {
    feed: Box<dyn Feed + 'a>,
    runner: Runner,
    batch: Batch,
}

impl<'a> Judge<'a> {
    /// Over the batches of a feed.
    pub(crate) fn new(program: &Program, feed: Box<dyn Feed + 'a>) -> Result<Self, Error> {
        let capacity = feed.capacity(program);
        Ok(Self {
            runner: Runner::new(program, &capacity, &Keep::Nothing)?,
            batch: Batch::new(program, &capacity)?,
            feed,
        })
    }

    /// The mean loss over all known targets.
    pub(crate) fn loss(
        &mut self,
        context: &mut Context,
        parameters: &Parameters,
    ) -> Result<f64, Error> {
        let (mut sum, mut total) = (0.0, 0.0);
        for step in 0..self.feed.steps() {
            let carry = self.feed.fill(step, &mut self.batch)?;
            if self.feed.carries() && carry == Carry::Fresh {
                self.runner.forget_states();
            }
            self.runner.forward(context, parameters, &self.batch)?;
            let loss = self.runner.loss(&self.batch)?;
            if self.feed.carries() {
                self.runner.carry_states()?;
            }
            let weight = self.runner.weights().first().copied().unwrap_or(0.0);
            sum += loss * weight;
            total += weight;
        }
        Ok(sum / f64::max(total, f64::MIN_POSITIVE))
    }
}

/// What a network is, for forecasting.
#[derive(Clone, Copy)]
pub(crate) struct Net<'a> {
    pub(crate) program: &'a Program,
    pub(crate) parameters: &'a Parameters,
    pub(crate) encoder: &'a Encoder,
    pub(crate) form: Form,
    /// Outputs for each horizon, and which of them is the forecast.
    pub(crate) quantiles: (usize, usize),
    pub(crate) precision: Precision,
}

impl Net<'_> {
    /// The output.
    pub(crate) fn output(&self) -> Result<Value, Error> {
        self.program.output("forecast").ok_or_else(|| {
            Error::data("model", "it does not forecast", "ask it for classes, of whole series")
        })
    }

    /// Forecasts for every window, `(N, K)` in the target's unit.
    ///
    /// **Determinism** in f32 the same bits however many windows there are.
    pub(crate) fn forecasts(
        &self,
        context: &mut Context,
        examples: &Examples,
    ) -> Result<Vec<f32>, Error> {
        let ports = Ports::find(self.program, crate::network::HEAD)?;
        let batch = batch(self.encoder.length);
        let mut feed =
            WindowFeed::new(self.encoder, examples, (ports, self.form), batch, Order::Given);
        let capacity = feed.capacity(self.program);
        let runner = Runner::new(self.program, &capacity, &Keep::Nothing)?;
        let mut runner = runner.with_precision(self.precision, context)?;
        let mut batch = Batch::new(self.program, &capacity)?;
        let output = self.output()?;
        let horizons = self.encoder.horizons.len();
        let mut forecasts = Vec::with_capacity(examples.windows.len() * horizons);
        let mut row = Vec::new();
        for step in 0..feed.steps() {
            feed.fill(step, &mut batch)?;
            runner.forward(context, self.parameters, &batch)?;
            for (b, &member) in feed.members(step).iter().enumerate() {
                let example = examples.windows[member as usize];
                let series = &examples.series[example.series as usize];
                let start = example.start as usize;
                runner.read(output, &batch, b, &mut row);
                let last = start + self.encoder.length - 1;
                self.decode(
                    series,
                    (start, last),
                    last_row(&row, horizons, self.quantiles.0),
                    &mut forecasts,
                );
            }
        }
        Ok(forecasts)
    }

    /// Appends the forecasts of one row of outputs.
    pub(crate) fn decode(
        &self,
        series: &crate::series::Series,
        (start, last): (usize, usize),
        outputs: &[f32],
        forecasts: &mut Vec<f32>,
    ) {
        forecasts.resize(forecasts.len() + self.encoder.horizons.len(), 0.0);
        let to = forecasts.len() - self.encoder.horizons.len();
        self.decode_from(self.encoder.anchor(series, start, last), outputs, &mut forecasts[to..]);
    }

    /// Writes the forecasts of one row of outputs that are counted from `anchor`.
    pub(crate) fn decode_from(&self, anchor: f32, outputs: &[f32], forecasts: &mut [f32]) {
        let (count, middle) = self.quantiles;
        for (k, forecast) in forecasts.iter_mut().enumerate() {
            *forecast = self.encoder.decode(k, anchor, outputs[k * count + middle]);
        }
    }
}

fn last_row(rows: &[f32], horizons: usize, quantiles: usize) -> &[f32] {
    &rows[rows.len() - horizons * quantiles..]
}

/// Windows forecast at once, of so many steps each: what is not trained needs no budget, but long
/// windows side by side would take gigabytes.
pub(crate) fn batch(length: usize) -> usize {
    (ROWS / length.max(1)).clamp(1, BATCH)
}

/// Windows forecast at once, at most.
pub(crate) const BATCH: usize = 256;
/// Steps of all windows forecast at once, where a single one does not have more.
const ROWS: usize = 1 << 18;

#[cfg(test)]
mod tests {
    use super::batch;

    #[test]
    fn long_windows_are_judged_a_few_at_a_time() {
        assert_eq!([1, 60, 512, 1024, 75_000, 1 << 20].map(batch), [256, 256, 256, 256, 3, 1]);
    }
}
