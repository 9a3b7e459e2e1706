//! One row against rounded weights without products in bf16: for processors whose `vdpbf16ps`
//! takes as long as two fused multiply-adds, so that halving the bytes is all there is to gain.
//!
//! A word holds a pair of weights: its lower half is the first in bf16. The whole word, read as
//! an f32, is the second: its upper half was chosen so that, with whatever stands below, the word
//! is nearest to the weight. Both are off by at most half a unit of bf16, and spreading a word to
//! two vectors costs one shift. x and h stay f32.

use super::dot::Dot;
use super::multiply::Vectors;
use crate::buffer::LANES;
use crate::simd::Simd;
use std::arch::x86_64::__m512;

/// One contraction: `count` values at `a` against words at `b`.
#[derive(Clone, Copy)]
pub(crate) struct Values {
    pub(crate) a: *const f32,
    pub(crate) b: *const u32,
    pub(crate) count: usize,
}

/// Writes the four vectors `bias + a0 b0 + a1 b1` to `out`.
///
/// # Safety
/// All values and the words of all pairs must be readable, four vectors at `bias` and `out`.
#[inline(always)]
pub(crate) unsafe fn multiply(
    s: Dot,
    vectors: Vectors,
    bias: *const f32,
    runs: [Option<Values>; 2],
    out: *mut f32,
) {
    let wide = s.wide();
    let mut sums = [[s.zero(); 4]; 2];
    // SAFETY: as the caller vouches.
    unsafe {
        for v in 0..4 {
            sums[0][v] = wide.load(bias.add(v * LANES));
        }
        for (run, values) in runs.into_iter().enumerate() {
            let Some(values) = values else { continue };
            match (vectors, run) {
                (Vectors::Four, _) => contract::<4, 0>(s, &mut sums, values),
                (Vectors::Three, 0) => contract::<3, 0>(s, &mut sums, values),
                (Vectors::Three, _) => contract::<3, 1>(s, &mut sums, values),
            }
        }
        for v in 0..4 {
            wide.store(out.add(v * LANES), wide.add(sums[0][v], sums[1][v]));
        }
    }
}

/// # Safety
/// As [`multiply`].
#[inline(always)]
unsafe fn contract<const NV: usize, const AT: usize>(
    s: Dot,
    sums: &mut [[__m512; 4]; 2],
    Values { a, b, count }: Values,
) {
    let wide = s.wide();
    // SAFETY: as the caller vouches.
    unsafe {
        for pair in 0..count / 2 {
            let first = wide.splat(*a.add(2 * pair));
            let second = wide.splat(*a.add(2 * pair + 1));
            for v in 0..NV {
                let word = s.load(b.add((pair * NV + v) * LANES));
                sums[0][AT + v] = wide.fma(first, s.lower(word), sums[0][AT + v]);
                sums[1][AT + v] = wide.fma(second, s.whole(word), sums[1][AT + v]);
            }
        }
        if count % 2 == 1 {
            let first = wide.splat(*a.add(count - 1));
            for v in 0..NV {
                let word = s.load(b.add((count / 2 * NV + v) * LANES));
                sums[0][AT + v] = wide.fma(first, s.lower(word), sums[0][AT + v]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_weights_of_a_word_are_nearest() {
        let Some(s) = Dot::detect() else { return };
        let random = sequela_core::Random::new(1, 2);
        for case in 0..1000_u64 {
            let draw = |k: u64| random.normal(2 * case + k) as f32 * 0.1;
            let (mut first, mut second) = ([0.0_f32; 16], [0.0_f32; 16]);
            for lane in 0..12 {
                (first[lane], second[lane]) =
                    (draw(lane as u64 * 9000), draw(lane as u64 * 7000 + 1));
            }
            // Zeros beside numbers, and beside zeros.
            (first[13], second[14]) = (0.3, -0.3);
            let (mut lower, mut whole) = ([0.0_f32; 16], [0.0_f32; 16]);
            // SAFETY: all arrays hold 16 values.
            unsafe {
                let wide = s.wide();
                let word = s.nest(wide.load(first.as_ptr()), wide.load(second.as_ptr()));
                wide.store(lower.as_mut_ptr(), s.lower(word));
                wide.store(whole.as_mut_ptr(), s.whole(word));
            }
            for (got, want) in lower.iter().zip(first).chain(whole.iter().zip(second)) {
                let unit = want.abs() / 256.0 + 1.3e-38;
                assert!((got - want).abs() <= unit, "{got} {want}");
            }
            assert!(lower[15].to_bits() == 0 && whole[15].to_bits() == 0);
            assert!(whole[13].is_normal(), "a denormal would be slow");
        }
    }
}
