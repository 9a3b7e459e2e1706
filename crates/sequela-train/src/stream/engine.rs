//! How a step becomes forecasts: by carrying the state on, or by running the last window anew.

use sequela_kernels::Context;

use crate::Error;
use crate::judge::Net;

use super::carried::Carried;
use super::subjects::{Subjects, Widths};
use super::window::Windows;

/// A step on its way.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// Its number in the queue.
    pub(super) at: usize,
    /// Its subject's number.
    pub(super) slot: usize,
    /// Whether its subject begins anew.
    pub(super) begins: bool,
    /// One for each channel, NaN where missing.
    pub(super) values: &'a [f32],
}

/// One of the two.
#[derive(Debug)]
pub(super) enum Engine {
    /// The last window is run anew at every step.
    Window(Box<Windows>),
    /// The state is carried: one step is run.
    Carried(Box<Carried>),
}

impl Engine {
    /// The engine of a network that steps at most `together` subjects at once.
    pub(super) fn new(
        net: &Net<'_>,
        context: &Context,
        carries: bool,
        together: usize,
    ) -> Result<Self, Error> {
        Ok(if carries {
            Self::Carried(Box::new(Carried::new(net, context, together)?))
        } else {
            Self::Window(Box::new(Windows::new(net, context, together)?))
        })
    }

    /// What it keeps of each subject.
    pub(super) fn widths(&self) -> Widths {
        match self {
            Self::Window(windows) => windows.widths(),
            Self::Carried(carried) => carried.widths(),
        }
    }

    /// Whether the queue should be emptied before the next step: windows are long.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Window(windows) => windows.is_full(),
            Self::Carried(_) => false,
        }
    }

    /// Queues a step; whether it will be answered by forecasts.
    pub(super) fn queue(
        &mut self,
        net: &Net<'_>,
        subjects: &mut Subjects,
        step: &Step<'_>,
    ) -> bool {
        match self {
            Self::Window(windows) => windows.queue(net, &mut subjects.memory(step.slot), step),
            Self::Carried(carried) => carried.queue(net, &mut subjects.memory(step.slot), step),
        }
    }

    /// Takes all queued steps; forecasts go to the row of `forecasts`, `(N, K)`, of their number.
    pub(super) fn run(
        &mut self,
        net: &Net<'_>,
        context: &mut Context,
        subjects: &mut Subjects,
        forecasts: &mut [f32],
    ) -> Result<(), Error> {
        match self {
            Self::Window(windows) => windows.run(net, context, forecasts),
            Self::Carried(carried) => carried.run(net, context, subjects, forecasts),
        }
    }
}
