//! Products of a left operand with packed or transposed weights, stored row by row.

use crate::buffer::{LANES, Write};
use crate::context::{Shared, share};
use crate::panel::{Packing, Transposed, VECTORS};
use crate::simd::{Kernel, Simd, flush};
use crate::tile::{Left, Right, RowTile, Sums, over_rows, product};
use crate::{Context, Error};
use std::ops::Range;

/// Which form of the weights a product reads.
#[derive(Clone, Copy)]
pub(crate) enum Panels {
    Packed(Packing),
    Transposed(Transposed),
}

/// `out = [bias +] left * weights` over panels of up to four vectors.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    pub(crate) left: Left,
    pub(crate) weights: *const f32,
    pub(crate) panels: Panels,
    pub(crate) out: *mut f32,
    pub(crate) out_row: usize,
    pub(crate) write: Write,
}

impl Product {
    pub(crate) fn spread(
        self,
        context: &mut Context,
        rows: usize,
        work: usize,
    ) -> Result<(), Error> {
        let parts = context.parts_for(rows * work).min(rows.max(1));
        // SAFETY: each part writes its own rows of `out`; nothing else is written.
        let (isa, job) = (context.isa, unsafe { Shared::new(self) });
        context.run_parts(parts, &|part| {
            let rows = share(rows, part, parts);
            isa.run(ProductRows { job: job.get(), rows });
        })
    }
}

/// One panel of a product, `NV` vectors wide.
struct ProductTile<'a, const NV: usize> {
    job: &'a Product,
    panel: usize,
    part: usize,
}

impl<S: Simd, const NV: usize> RowTile<S> for ProductTile<'_, NV> {
    #[inline(always)]
    unsafe fn tile<const MR: usize>(&self, s: S, row: usize) {
        let job = self.job;
        // SAFETY: the job's constructor checked the extents for all rows and panels; the tile
        // lies inside them, and no other thread writes it.
        unsafe {
            let mut sums: Sums<S, MR, NV> = [[s.splat(0.0); NV]; MR];
            let lane = self.part * S::WIDTH;
            let weights = match job.panels {
                Panels::Packed(packing) => {
                    let panel = job.weights.add(packing.offset(self.panel) + lane);
                    for v in 0..NV {
                        let bias = s.load(panel.add(v * LANES));
                        for r in 0..MR {
                            sums[r][v] = bias;
                        }
                    }
                    panel.add(NV * LANES)
                }
                Panels::Transposed(transposed) => {
                    job.weights.add(transposed.offset(self.panel) + lane)
                }
            };
            let right = Right::dense(weights, NV * LANES, job.left.length);
            product(s, &mut sums, &job.left, row, right);
            for r in 0..MR {
                for v in 0..NV {
                    let column = (self.panel * VECTORS + v) * LANES + lane;
                    let out = job.out.add((row + r) * job.out_row + column);
                    let mut value = sums[r][v];
                    if job.write == Write::Accumulate {
                        value = s.add(s.load(out), value);
                    }
                    s.store(out, flush(s, value));
                }
            }
        }
    }
}

/// The rows of a product that one thread computes.
pub(crate) struct ProductRows<'a> {
    pub(crate) job: &'a Product,
    pub(crate) rows: Range<usize>,
}

impl Kernel for ProductRows<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (job, rows) = (self.job, self.rows);
        let panels = match job.panels {
            Panels::Packed(packing) => packing.panels,
            Panels::Transposed(transposed) => transposed.panels(),
        };
        for panel in 0..panels {
            let vectors = match job.panels {
                Panels::Packed(packing) => packing.row_vectors(panel),
                Panels::Transposed(transposed) => transposed.vectors(panel),
            };
            for part in 0..LANES / S::WIDTH {
                let rows = rows.clone();
                // SAFETY: the rows and the panel lie inside the job.
                unsafe {
                    match vectors {
                        1 => over_rows(s, &ProductTile::<1> { job, panel, part }, rows),
                        2 => over_rows(s, &ProductTile::<2> { job, panel, part }, rows),
                        3 => over_rows(s, &ProductTile::<3> { job, panel, part }, rows),
                        _ => over_rows(s, &ProductTile::<4> { job, panel, part }, rows),
                    }
                }
            }
        }
    }
}
