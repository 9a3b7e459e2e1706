//! Products of a left operand with packed or transposed weights, stored row by row.

use crate::buffer::{LANES, Write};
use crate::context::{Shared, share};
use crate::panel::{Packing, Transposed, VECTORS};
use crate::simd::{Kernel, Simd, flush};
use crate::tile::{At, Left, Right, Sums, next_rows, product};
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
        let (isa, job) = (context.isa, Shared::new(self));
        context.run_parts(parts, &|part| {
            let rows = share(rows, part, parts);
            isa.run(ProductRows { job: job.get(), rows });
        })
    }

    #[inline(always)]
    unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(&self, s: S, at: At) {
        // SAFETY: the constructor checked the extents for all rows and panels; `at` names a tile
        // inside them, which no other thread writes.
        unsafe {
            let mut sums: Sums<S, MR, NV> = [[s.splat(0.0); NV]; MR];
            let lane = at.part * S::WIDTH;
            let weights = match self.panels {
                Panels::Packed(packing) => {
                    let panel = self.weights.add(packing.offset(at.panel) + lane);
                    for v in 0..NV {
                        let bias = s.load(panel.add(v * LANES));
                        for r in 0..MR {
                            sums[r][v] = bias;
                        }
                    }
                    panel.add(NV * LANES)
                }
                Panels::Transposed(transposed) => {
                    self.weights.add(transposed.offset(at.panel) + lane)
                }
            };
            product(
                s,
                &mut sums,
                &self.left,
                at.row,
                Right::dense(weights, NV * LANES, self.left.length),
            );
            for r in 0..MR {
                for v in 0..NV {
                    let column = (at.panel * VECTORS + v) * LANES + lane;
                    let out = self.out.add((at.row + r) * self.out_row + column);
                    let mut value = sums[r][v];
                    if self.write == Write::Accumulate {
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
                let mut row = rows.start;
                while row < rows.end {
                    let count = next_rows(rows.end - row, S::TILE_ROWS);
                    let at = At { panel, part, row };
                    // SAFETY: the rows and the panel lie inside the job.
                    unsafe {
                        match vectors {
                            1 => product_rows::<S, 1>(s, job, count, at),
                            2 => product_rows::<S, 2>(s, job, count, at),
                            3 => product_rows::<S, 3>(s, job, count, at),
                            _ => product_rows::<S, 4>(s, job, count, at),
                        }
                    }
                    row += count;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn product_rows<S: Simd, const NV: usize>(s: S, job: &Product, count: usize, at: At) {
    // SAFETY: as the caller vouches.
    unsafe {
        match count {
            1 => job.tile::<S, 1, NV>(s, at),
            2 => job.tile::<S, 2, NV>(s, at),
            3 => job.tile::<S, 3, NV>(s, at),
            4 => job.tile::<S, 4, NV>(s, at),
            5 => job.tile::<S, 5, NV>(s, at),
            _ => job.tile::<S, 6, NV>(s, at),
        }
    }
}
