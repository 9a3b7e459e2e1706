//! Weight gradients of a recurrent layer: sums of outer products, cut by panel and weight row.

use super::backward::Backward;
use super::shape::{Cell, Reset};
use super::workspace::{Workspace, record_width};
use crate::buffer::{LANES, stride};
use crate::outer::{Outer, OuterStep, column_sums};
use crate::panel::Packing;
use crate::simd::{Kernel, Simd};
use std::ops::Range;

/// Weight rows in one item of work.
const ITEM: usize = 12;

/// The pointers that weight gradients are made from.
pub(super) struct WeightPass {
    cell: Cell,
    inputs: usize,
    pub(super) packing: Packing,
    pub(super) x: (*const f32, usize),
    /// h that U met, of the step before or faded: see the lists of runs.
    pub(super) y: (*const f32, usize),
    pub(super) initial: (*const f32, usize),
    reset: (*const f32, usize),
    pub(super) record: (*const f32, usize),
    pub(super) gradient: *mut f32,
}

impl WeightPass {
    /// `record` is the pointer that gates are written through: a second one from the buffer
    /// would make the first invalid.
    pub(super) fn new(
        call: &Backward<'_>,
        workspace: &Workspace,
        record: *mut f32,
        gradient: &mut [f32],
    ) -> Self {
        let shape = workspace.shape;
        let hidden = stride(shape.hidden);
        let row = match shape.cell {
            Cell::Elman(_) => record_width(&shape),
            _ => record_width(&shape) / shape.blocks().max(1),
        };
        Self {
            cell: shape.cell,
            inputs: shape.inputs,
            packing: shape.packing(),
            x: (call.forward.x.data().as_ptr(), stride(shape.inputs)),
            y: if shape.cell.fades() {
                (workspace.faded.as_ptr(), hidden)
            } else {
                (call.y.data().as_ptr(), hidden)
            },
            initial: (workspace.initial_hidden.as_ptr(), hidden),
            reset: (workspace.reset.as_ptr(), hidden),
            record: (record.cast_const(), row),
            gradient: gradient.as_mut_ptr(),
        }
    }

    fn items_of_panel(&self) -> usize {
        self.packing.rows.div_ceil(ITEM)
    }

    pub(super) fn items(&self) -> usize {
        self.packing.panels * self.items_of_panel()
    }

    /// # Safety
    /// The pointers must be valid for all runs, and no other thread may write these weight rows.
    #[inline(always)]
    unsafe fn item<S: Simd>(&self, s: S, lists: [&[OuterStep]; 3], item: usize, lane: usize) {
        let (panel, item) = (item / self.items_of_panel(), item % self.items_of_panel());
        let rows = item * ITEM..((item + 1) * ITEM).min(self.packing.rows);
        let [input, hidden, start] = lists;
        // SAFETY: as the caller vouches.
        unsafe {
            if item == 0 {
                let out = self.gradient.add(self.packing.offset(panel) + lane);
                for step in input {
                    let at = step.gradient + panel * step.block + lane;
                    let dy = (self.record.0.add(at), self.record.1);
                    column_sums(s, dy, step.rows, out, self.packing.bias_vectors(panel));
                }
            }
            let vectors = self.packing.row_vectors(panel);
            let outer = Outer {
                left: self.x,
                gradient: (self.record.0.add(lane), self.record.1),
                steps: input,
                panel,
                out: self.gradient.add(self.packing.row_offset(panel, 0) + lane),
                out_row: vectors * LANES,
            };
            outer.accumulate(s, rows.start.min(self.inputs)..rows.end.min(self.inputs), vectors);
            let rows =
                rows.start.max(self.inputs) - self.inputs..rows.end.max(self.inputs) - self.inputs;
            if rows.is_empty() {
                return;
            }
            let out = outer.out.add(self.inputs * outer.out_row);
            let past = Outer { left: self.y, steps: hidden, out, ..outer };
            let first = Outer { left: self.initial, steps: start, out, ..outer };
            match self.cell {
                Cell::Elman(_) | Cell::Lstm => {
                    past.accumulate(s, rows.clone(), vectors);
                    first.accumulate(s, rows, vectors);
                }
                Cell::Gru(Reset::AfterProduct) | Cell::GruD(Reset::AfterProduct) => {
                    // h meets the last three of (dn_x, dz_r, dz_z, dn_h).
                    for outer in [past, first] {
                        let gradient = (outer.gradient.0.add(LANES), outer.gradient.1);
                        Outer { gradient, ..outer }.vectors::<S, 3>(s, rows.clone());
                    }
                }
                // Without a matrix U there are no further rows.
                Cell::MinGru | Cell::MinLstm | Cell::Lru => {}
                Cell::Gru(Reset::BeforeProduct) | Cell::GruD(Reset::BeforeProduct) => {
                    // n is fed by r h, the gates r and z by h.
                    let reset = Outer { left: self.reset, steps: input, ..past };
                    reset.vectors::<S, 1>(s, rows.clone());
                    for outer in [past, first] {
                        let gradient = (outer.gradient.0.add(LANES), outer.gradient.1);
                        let out = outer.out.add(LANES);
                        Outer { gradient, out, ..outer }.vectors::<S, 2>(s, rows.clone());
                    }
                }
            }
        }
    }
}

/// The items of one thread.
pub(super) struct WeightItems<'a> {
    pub(super) pass: &'a WeightPass,
    /// Runs of rows that meet x, the h of the step before, and the initial h.
    pub(super) lists: [&'a [OuterStep]; 3],
    pub(super) items: Range<usize>,
}

impl Kernel for WeightItems<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for item in self.items {
            for part in 0..LANES / S::WIDTH {
                // SAFETY: `backward` checked all extents; this thread owns the item.
                unsafe { self.pass.item(s, self.lists, item, part * S::WIDTH) }
            }
        }
    }
}
