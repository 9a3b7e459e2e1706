//! What stands for `half` on processors that are no x86-64: nothing here can be made, so that
//! nothing here is ever called. [`Precision::check`] says why.

use super::cell::{Finishes, RowsAt, StepBackward, StepForward};
use super::shape::RecurrentShape;
use super::weights::WeightPass;
use super::workspace::{Capacity, Keep};
use crate::buffer::Write;
use crate::half::Bf16;
use crate::{Context, Error, Precision};
use std::ops::Range;

/// See `half`.
#[derive(Debug, Clone)]
pub(super) struct Half {
    nothing: Bf16,
    pub(super) parts: usize,
}

/// See `half`.
#[derive(Clone, Copy)]
pub(super) struct HalfForward(Bf16);

/// See `half_back`.
#[derive(Clone, Copy)]
pub(super) struct HalfBackward(Bf16);

/// See `half_back`.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "no list of rows is ever walked")]
pub(super) struct ChunkRow {
    pub(super) x: usize,
    pub(super) before: HiddenBefore,
    pub(super) gradient: usize,
    pub(super) block: usize,
}

/// See `half_back`.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "no list of rows is ever walked")]
pub(super) enum HiddenBefore {
    Output(usize),
    Initial(usize),
    Zero,
}

impl Half {
    /// # Errors
    /// [`Error::Precision`], always.
    pub(super) fn new(
        shape: RecurrentShape,
        _: Capacity,
        _: Keep,
        context: &Context,
    ) -> Result<Self, Error> {
        shape.check_precision(Precision::Bf16, context.isa)?;
        Ok(Self { nothing: Bf16::on(context.isa)?, parts: 0 })
    }

    pub(super) fn bytes(&self) -> usize {
        match self.nothing {}
    }

    pub(super) fn round(&mut self, _: &[f32], _: u64) {
        match self.nothing {}
    }

    pub(super) fn forward(&mut self) -> HalfForward {
        match self.nothing {}
    }

    pub(super) fn backward(&mut self) -> Option<HalfBackward> {
        match self.nothing {}
    }

    pub(super) fn take_list(&mut self) -> Option<Vec<ChunkRow>> {
        match self.nothing {}
    }

    pub(super) fn put_list(&mut self, _: Vec<ChunkRow>) {
        match self.nothing {}
    }
}

impl HalfForward {
    pub(super) fn of_part(self, _: usize) -> Self {
        match self.0 {}
    }

    pub(super) fn run(&self, _: &StepForward, _: Range<usize>) {
        match self.0 {}
    }
}

impl HalfBackward {
    pub(super) fn of_part(self, _: usize) -> Self {
        match self.0 {}
    }

    pub(super) fn run<C: Finishes>(
        &self,
        _: C,
        _: &StepBackward,
        _: Range<usize>,
        _: Option<RowsAt<*mut f32>>,
    ) {
        match self.0 {}
    }

    pub(super) fn input_gradient(&self, _: RowsAt<*mut f32>, _: Write, _: Range<usize>) {
        match self.0 {}
    }
}

/// # Safety
/// Never called.
pub(super) unsafe fn add_weights(
    _: &mut Context,
    half: &HalfBackward,
    _: &WeightPass,
    _: &[ChunkRow],
    _: usize,
) -> Result<(), Error> {
    match half.0 {}
}
