//! Where the last window of each subject lies, told by the model's envelope as the batch tells it.

use sequela_data::envelope::{Placing, Rolling, RollingMemory};

use crate::judge::Net;

use super::engine::{Engine, Step};
use super::subjects::{Memory, Widths};

/// The envelope of a model, and where the numbers that it needs of a subject are.
#[derive(Debug)]
pub(super) struct Watch {
    rolling: Rolling,
    /// The last steps of a subject, `(L, F)`: first and last place among its floats.
    ring: (usize, usize),
}

impl Watch {
    /// The watch over a model's streams, where its file knows an envelope; makes room for what it
    /// needs. An engine of windows keeps the last steps anyway, in the very places.
    pub(super) fn new(net: &Net<'_>, engine: &Engine, widths: &mut Widths) -> Option<Self> {
        let encoder = net.encoder;
        let rolling = Rolling::new(encoder.envelope.as_ref()?, encoder.length);
        let cells = encoder.length * encoder.scaler.channels.len();
        let first = match engine {
            Engine::Window(_) => 0,
            Engine::Carried(_) => widths.floats,
        };
        widths.floats = widths.floats.max(first + cells);
        widths.past = rolling.times();
        widths.tallies = rolling.counts();
        Some(Self { rolling, ring: (first, first + cells) })
    }

    /// Takes a step before the engine does; where its window lies, once there is a whole one.
    pub(super) fn push(
        &self,
        memory: Memory<'_>,
        time: Option<f64>,
        step: &Step<'_>,
    ) -> Option<Placing> {
        let steps = if step.begins { 0 } else { *memory.steps };
        self.rolling.push(self.of(memory), steps, time, step.values)
    }

    /// Counts anew what is not kept in a state file.
    pub(super) fn recount(&self, memory: Memory<'_>) {
        let steps = *memory.steps;
        self.rolling.recount(self.of(memory), steps);
    }

    fn of<'a>(&self, memory: Memory<'a>) -> RollingMemory<'a> {
        let (first, last) = self.ring;
        let Memory { floats, past, tallies, .. } = memory;
        RollingMemory { values: &mut floats[first..last], times: past, counts: tallies }
    }
}
