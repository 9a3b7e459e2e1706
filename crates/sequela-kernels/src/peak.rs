//! The machine's arithmetic peak, to put kernel times into proportion.

use crate::Context;
use crate::simd::{Kernel, Simd};
use std::hint::black_box;
use std::time::Instant;

/// GFLOP/s of fused multiply-adds in registers alone, on all threads of `context` at once: the
/// best of several runs of a few milliseconds.
pub fn gflops(context: &mut Context) -> f64 {
    const ROUNDS: usize = 400_000;
    let (threads, isa) = (context.threads(), context.isa);
    let mut best = 0.0_f64;
    for _ in 0..20 {
        let start = Instant::now();
        let ran = context.run_parts(threads, &|_| isa.run(Peak { rounds: black_box(ROUNDS) }));
        let seconds = start.elapsed().as_secs_f64();
        if ran.is_ok() {
            best = best.max((threads * ROUNDS * SUMS * 2 * width(isa)) as f64 / seconds / 1e9);
        }
    }
    best
}

/// Sums in flight: enough to hide the latency of two multiply-add units.
const SUMS: usize = 12;

fn width(isa: crate::Isa) -> usize {
    let mut width = 0;
    isa.run(Width(&mut width));
    width
}

struct Width<'a>(&'a mut usize);

impl Kernel for Width<'_> {
    fn run<S: Simd>(self, _: S) {
        *self.0 = S::WIDTH;
    }
}

struct Peak {
    rounds: usize,
}

impl Kernel for Peak {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Opaque inputs: a loop over constants would be folded away.
        let (x, y) = (s.splat(black_box(0.999)), s.splat(black_box(0.001)));
        let mut sums = [s.splat(black_box(1.0)); SUMS];
        for _ in 0..self.rounds {
            for sum in &mut sums {
                *sum = s.fma(*sum, x, y);
            }
        }
        let mut total = s.splat(0.0);
        for sum in sums {
            total = s.add(total, sum);
        }
        let mut out = [0.0_f32; 16];
        // SAFETY: 16 values have room for one vector.
        unsafe { s.store(out.as_mut_ptr(), total) };
        black_box(out);
    }
}
