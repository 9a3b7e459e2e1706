//! Dropout whose masks depend on who the sequence is, not on where it lies.

use crate::batch::{Batch, Mode};
use crate::error::Error;
use crate::operation::{Backward, Form, Forward, Operation, Parts, Reads, one};
use crate::program::{Rows, Value};
use crate::reference::{ReferenceCall, Table};
use sequela_core::Random;
use sequela_kernels::stride;
use serde::{Deserialize, Serialize};

/// Sets values to 0 at random while training and scales the others up.
///
/// **Determinism** the mask is a function of the batch's seed and step, the node, the identity of
/// the sequence and the time step: neither threads nor the make-up of the batch matter.
///
/// **Source** Srivastava 2014; one mask for a whole sequence: Gal and Ghahramani 2016, arXiv
/// 1512.05287.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropout {
    /// The share that is dropped, in [0, 1); rounded to 1/65536.
    pub rate: f32,
    /// How long a mask lasts.
    pub kind: DropoutKind,
}

/// How long a mask lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DropoutKind {
    /// Every value of every step has its own.
    #[default]
    Element,
    /// Variational: a sequence keeps one mask for all its steps.
    Sequence,
}

/// Values whose fate one block of random words decides.
const PER_BLOCK: usize = 8;

/// The masks of one node in one step.
struct Masks<'a> {
    key: u64,
    threshold: u16,
    scale: f32,
    kind: DropoutKind,
    identities: &'a [u64],
}

impl Masks<'_> {
    /// Hands each lane of the row of step `t` of sequence `b` its factor: 0 or the scale.
    fn each(&self, b: usize, t: usize, width: usize, mut each: impl FnMut(usize, f32)) {
        let random = Random::new(self.key, self.identities[b]);
        // A step is below 2^32, so that the mask of a whole sequence has a counter of its own.
        let step = match self.kind {
            DropoutKind::Element => t as u64,
            DropoutKind::Sequence => u64::from(u32::MAX),
        };
        for block in 0..width.div_ceil(PER_BLOCK) {
            let words = random.block(step << 32 | block as u64);
            for lane in 0..PER_BLOCK.min(width - block * PER_BLOCK) {
                let bits = (words[lane / 2] >> (16 * (lane % 2))) & 0xFFFF;
                let factor = if bits < u32::from(self.threshold) { 0.0 } else { self.scale };
                each(block * PER_BLOCK + lane, factor);
            }
        }
    }
}

impl Dropout {
    /// The masks of this batch; none where nothing is dropped.
    fn masks(self, batch: &Batch, node: usize) -> Option<Masks<'_>> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate in [0, 1) gives 0..=65535"
        )]
        let threshold = ((self.rate * 65_536.0).round() as u32).min(65_535) as u16;
        if batch.mode == Mode::Evaluate || threshold == 0 {
            return None;
        }
        let key = mix(mix(batch.seed).wrapping_add(batch.step)).wrapping_add(node as u64);
        let scale = 65_536.0 / (65_536.0 - f32::from(threshold));
        let kind = self.kind;
        Some(Masks { key: mix(key), threshold, scale, kind, identities: &batch.identities })
    }
}

/// The finaliser of splitmix64: every bit of the key depends on every bit of its parts.
fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

impl Operation for Dropout {
    fn name(&self) -> &'static str {
        match self.kind {
            DropoutKind::Element => "dropout",
            DropoutKind::Sequence => "variational dropout",
        }
    }

    fn check(&self, _parts: &Parts<'_>, _inputs: &[Value], forms: &[Form]) -> Result<Form, String> {
        if !(0.0..1.0).contains(&self.rate) {
            return Err(format!("a rate of {} is not in [0, 1)", self.rate));
        }
        one(forms)
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn forward(&self, call: &mut Forward<'_>) -> Result<(), Error> {
        let x = call.input(0);
        let batch = call.values.batch;
        let Some(masks) = self.masks(batch, call.node) else {
            call.output.data_mut().copy_from_slice(x.data());
            return Ok(());
        };
        call.output.data_mut().fill(0.0);
        each_row(batch, call.rows, |row, b, t| {
            let (x, y) = (x.row(row), call.output.row_mut(row));
            masks.each(b, t, x.len(), |k, factor| y[k] = x[k] * factor);
        });
        Ok(())
    }

    fn backward(&self, call: &mut Backward<'_>) -> Result<(), Error> {
        let (Some(dy), Some(mut opened)) = (call.dy, call.open(0)) else { return Ok(()) };
        if let Some(masks) = self.masks(call.batch, call.node) {
            if opened.write == sequela_kernels::Write::Overwrite {
                opened.data_mut().fill(0.0);
            }
            let stride = stride(dy.width());
            let dx = opened.data_mut();
            each_row(call.batch, call.rows, |row, b, t| {
                let (dx, dy) = (&mut dx[row * stride..], dy.row(row));
                masks.each(b, t, dy.len(), |k, factor| dx[k] += dy[k] * factor);
            });
        } else {
            crate::operation::pass(opened.write, dy.data(), opened.data_mut());
        }
        call.close(opened);
        Ok(())
    }

    fn reference<'t>(&self, call: &mut ReferenceCall<'_, 't>) -> Table<'t> {
        // The mask itself is no mathematics to check: it is taken as it is.
        let masks = self.masks(call.batch, call.node);
        call.input(0).map_places(|b, t, row| {
            let mut factors = vec![1.0; row.len()];
            if let Some(masks) = &masks {
                masks.each(b, t, row.len(), |k, factor| factors[k] = f64::from(factor));
            }
            row.iter().zip(factors).map(|(&x, factor)| x * factor).collect()
        })
    }
}

/// Hands out every packed row with its sequence and step.
fn each_row(batch: &Batch, rows: Rows, mut each: impl FnMut(usize, usize, usize)) {
    let layout = batch.layout_of(rows);
    for t in 0..layout.steps() {
        for k in 0..layout.active(t) {
            each(layout.row(t, k), layout.order()[k] as usize, batch.first_step + t);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(kind: DropoutKind, key: u64) -> Vec<f32> {
        let identities = [11, 12];
        let masks =
            Masks { key, threshold: 16_384, scale: 4.0 / 3.0, kind, identities: &identities };
        let mut factors = vec![0.0; 2 * 50 * 100];
        for b in 0..2 {
            for t in 0..50 {
                masks.each(b, t, 100, |k, factor| factors[(b * 50 + t) * 100 + k] = factor);
            }
        }
        factors
    }

    #[test]
    fn a_quarter_is_dropped_and_the_mean_stays() {
        let factors = masks(DropoutKind::Element, 5);
        let dropped = factors.iter().filter(|&&f| f == 0.0).count() as f64 / factors.len() as f64;
        assert!((dropped - 0.25).abs() < 0.015, "{dropped}");
        let mean = factors.iter().map(|&f| f64::from(f)).sum::<f64>() / factors.len() as f64;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert_ne!(factors, masks(DropoutKind::Element, 6));
        assert_ne!(factors[..100], factors[100..200]);
    }

    #[test]
    fn a_variational_mask_lasts_for_the_sequence() {
        let factors = masks(DropoutKind::Sequence, 5);
        assert_eq!(factors[..100], factors[4900..5000]);
        assert_ne!(factors[..100], factors[5000..5100]);
    }
}
