//! AVX-512 BF16: vectors of 16 pairs, and the product of pairs into f32 sums.

#![allow(clippy::unused_self, reason = "a value is the proof that the instructions are there")]

use crate::simd::{Avx512, Simd};
#[allow(clippy::wildcard_imports, reason = "intrinsics, all of one prefix")]
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 BF16 beside all that [`Avx512`] proves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dot(Avx512);

/// A piece of work in bf16.
pub(crate) trait HalfKernel {
    /// Does the work. `s` proves that the instructions are there.
    fn run(self, s: Dot);
}

impl Dot {
    pub(crate) fn detect() -> Option<Self> {
        Avx512::detect().filter(|_| is_x86_feature_detected!("avx512bf16")).map(Self)
    }

    /// The proof of the f32 instructions.
    #[inline(always)]
    pub(crate) fn wide(self) -> Avx512 {
        self.0
    }

    /// Runs `kernel`, compiled for these instructions.
    #[inline]
    pub(crate) fn run<K: HalfKernel>(self, kernel: K) {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")]
        fn inner<K: HalfKernel>(simd: Dot, kernel: K) {
            kernel.run(simd);
        }
        // SAFETY: `self` proves that all of these are there.
        unsafe { inner(self, kernel) }
    }

    /// `sums + a0 b0 + a1 b1` in every lane.
    #[inline(always)]
    pub(crate) fn dot(self, sums: __m512, a: __m512i, b: __m512i) -> __m512 {
        // SAFETY: `self` proves AVX-512 BF16; the vectors of pairs are 64 bytes of any bits.
        unsafe {
            let a = std::mem::transmute::<__m512i, __m512bh>(a);
            let b = std::mem::transmute::<__m512i, __m512bh>(b);
            _mm512_dpbf16_ps(sums, a, b)
        }
    }

    /// 16 pairs.
    ///
    /// # Safety
    /// 16 pairs must be readable at `p`.
    #[inline(always)]
    pub(crate) unsafe fn load(self, p: *const u32) -> __m512i {
        // SAFETY: as the caller vouches; `self` proves AVX-512F.
        unsafe { _mm512_loadu_si512(p.cast()) }
    }

    /// Writes 16 pairs.
    ///
    /// # Safety
    /// 16 pairs must be writable at `p`.
    #[inline(always)]
    pub(crate) unsafe fn store(self, p: *mut u32, pairs: __m512i) {
        // SAFETY: as the caller vouches; `self` proves AVX-512F.
        unsafe { _mm512_storeu_si512(p.cast(), pairs) }
    }

    /// The pair at `p` in all lanes.
    ///
    /// # Safety
    /// A pair must be readable at `p`.
    #[inline(always)]
    pub(crate) unsafe fn splat(self, p: *const u32) -> __m512i {
        // SAFETY: as the caller vouches; `self` proves AVX-512F.
        unsafe { _mm512_set1_epi32(p.read().cast_signed()) }
    }

    /// 32 values in their order: pairs (0, 1), (2, 3) ... of `low` followed by `high`.
    #[inline(always)]
    pub(crate) fn round(self, low: __m512, high: __m512) -> __m512i {
        // SAFETY: `self` proves AVX-512 BF16; both types are 64 bytes of any bits.
        unsafe { std::mem::transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low)) }
    }

    /// Pairs (`first` lane, `second` lane).
    #[inline(always)]
    pub(crate) fn pair(self, first: __m512, second: __m512) -> __m512i {
        // SAFETY: `self` proves AVX-512BW.
        unsafe {
            let interleave = _mm512_loadu_si512(INTERLEAVE.0.as_ptr().cast());
            _mm512_permutexvar_epi16(interleave, self.round(first, second))
        }
    }

    /// Words whose lower half is `first` in bf16, and which as f32 are nearest to `second`: the
    /// upper half makes up for what stands below it. A 0 beside a number becomes the least normal
    /// number; beside a 0 it stays.
    #[inline(always)]
    pub(crate) fn nest(self, first: __m512, second: __m512) -> __m512i {
        // SAFETY: `self` proves AVX-512F and BF16.
        unsafe {
            let upper = _mm512_set1_epi32(0xffff_0000_u32.cast_signed());
            let low = _mm512_andnot_si512(upper, self.pair(first, self.zero()));
            let magnitude = _mm512_castps_si512(_mm512_abs_ps(second));
            let sign = _mm512_xor_si512(magnitude, _mm512_castps_si512(second));
            let rest = _mm512_max_epi32(_mm512_sub_epi32(magnitude, low), _mm512_setzero_si512());
            let near = _mm512_add_epi32(rest, _mm512_set1_epi32(0x8000));
            let near = _mm512_and_si512(near, upper);
            let normal = _mm512_max_epi32(near, _mm512_set1_epi32(0x0080_0000));
            let beside = _mm512_test_epi32_mask(low, low);
            let near = _mm512_mask_mov_epi32(near, beside, normal);
            _mm512_or_si512(_mm512_or_si512(near, sign), low)
        }
    }

    /// The lower halves of words as f32.
    #[inline(always)]
    pub(crate) fn lower(self, words: __m512i) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<16>(words)) }
    }

    /// Whole words as f32.
    #[inline(always)]
    pub(crate) fn whole(self, words: __m512i) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_castsi512_ps(words) }
    }

    /// The first `count` of 16 values, zeros after them.
    ///
    /// # Safety
    /// `count` values must be readable at `p`.
    #[inline(always)]
    pub(crate) unsafe fn load_some(self, p: *const f32, count: usize) -> __m512 {
        let mask = if count >= 16 { u16::MAX } else { (1_u16 << count) - 1 };
        // SAFETY: as the caller vouches; masked lanes are not read.
        unsafe { _mm512_maskz_loadu_ps(mask, p) }
    }

    /// All lanes 0.
    #[inline(always)]
    pub(crate) fn zero(self) -> __m512 {
        self.0.splat(0.0)
    }
}

#[repr(align(64))]
struct Indices([u16; 32]);

/// Lane i of the first 16 beside lane i of the second 16.
const INTERLEAVE: Indices = {
    let mut indices = [0; 32];
    let mut i = 0;
    while i < 16 {
        indices[2 * i as usize] = i;
        indices[2 * i as usize + 1] = i + 16;
        i += 1;
    }
    Indices(indices)
};
