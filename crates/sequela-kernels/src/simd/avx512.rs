//! AVX-512: vectors of 16 lanes, one block each.

use super::{INVERSE_BITS, INVERSE_ROOT_BITS, Kernel, Simd};
#[allow(clippy::wildcard_imports, reason = "dozens of intrinsics, all of one prefix")]
use std::arch::x86_64::*;

/// Proof that the processor has AVX-512 F, VL, DQ and BW, AVX2 and FMA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Avx512(());

impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        found.then_some(Self(()))
    }

    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn inner<K: Kernel>(simd: Avx512, kernel: K) {
            kernel.run(simd);
        }
        // SAFETY: `self` proves that all of these are there.
        unsafe { inner(self, kernel) }
    }
}

impl Simd for Avx512 {
    const WIDTH: usize = 16;
    // 24 accumulators, 4 weight vectors and a broadcast fit the 32 registers.
    const TILE_ROWS: usize = 6;
    type V = __m512;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m512 {
        // SAFETY: `self` proves AVX-512F; the caller vouches for 16 readable values.
        unsafe { _mm512_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m512) {
        // SAFETY: `self` proves AVX-512F; the caller vouches for 16 writable values.
        unsafe { _mm512_storeu_ps(p, v) }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn fnma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn fms(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_fmsub_ps(a, b, c) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_sqrt_ps(a) }
    }
    #[inline(always)]
    fn guess_inverse_root(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let bits = _mm512_set1_epi32(INVERSE_ROOT_BITS.cast_signed());
            let half = _mm512_srli_epi32::<1>(_mm512_castps_si512(a));
            _mm512_castsi512_ps(_mm512_sub_epi32(bits, half))
        }
    }
    #[inline(always)]
    fn guess_inverse(self, a: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let bits = _mm512_set1_epi32(INVERSE_BITS.cast_signed());
            _mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_castps_si512(a)))
        }
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_max_ps(a, b) }
    }
    #[inline(always)]
    fn scale2(self, a: __m512, n: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe { _mm512_scalef_ps(a, n) }
    }
    #[inline(always)]
    fn keep_above(self, v: __m512, x: __m512, limit: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_NLT_UQ>(_mm512_abs_ps(x), limit);
            _mm512_maskz_mov_ps(above, v)
        }
    }
    #[inline(always)]
    fn keep_positive(self, v: __m512, x: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F.
        unsafe {
            let above = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(x, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(above, v)
        }
    }
    #[inline(always)]
    fn saturate(self, v: __m512, x: __m512, limit: __m512, q: __m512) -> __m512 {
        // SAFETY: `self` proves AVX-512F and DQ.
        unsafe {
            let outside = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(_mm512_abs_ps(x), limit);
            let sign = _mm512_and_ps(_mm512_set1_ps(-0.0), x);
            _mm512_mask_or_ps(v, outside, q, sign)
        }
    }
    #[inline(always)]
    fn all_zero(self, a: __m512, b: __m512, c: __m512) -> bool {
        // SAFETY: `self` proves AVX-512F and DQ.
        unsafe {
            let bits = _mm512_castps_si512(_mm512_or_ps(_mm512_or_ps(a, b), c));
            _mm512_test_epi32_mask(bits, bits) == 0
        }
    }
    #[inline(always)]
    fn transpose(self, from: &[f32], from_row: usize, to: &mut [f32], to_row: usize) {
        assert!(from.len() >= 15 * from_row + 16 && to.len() >= 15 * to_row + 16);
        // SAFETY: `self` proves AVX-512F; 16 values from each of 16 rows lie inside both slices.
        unsafe {
            let load = |r: usize| _mm512_loadu_ps(from.as_ptr().add(r * from_row));
            // Four rows at a time: 4 x 4 blocks by unpacking, so that t[4 q + j] holds rows
            // 4q..4q+4 of columns j, 4 + j, 8 + j and 12 + j.
            let mut t = [_mm512_setzero_ps(); 16];
            for q in 0..4 {
                let (a, b) = (load(4 * q), load(4 * q + 1));
                let (c, d) = (load(4 * q + 2), load(4 * q + 3));
                let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
                let (ef, gh) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
                t[4 * q] = pairs_low(ab, cd);
                t[4 * q + 1] = pairs_high(ab, cd);
                t[4 * q + 2] = pairs_low(ef, gh);
                t[4 * q + 3] = pairs_high(ef, gh);
            }
            // Then the 4 x 4 blocks change places.
            let to = to.as_mut_ptr();
            let store = |c: usize, v| _mm512_storeu_ps(to.add(c * to_row), v);
            for j in 0..4 {
                let (a, b, c, d) = (t[j], t[4 + j], t[8 + j], t[12 + j]);
                let low = _mm512_shuffle_f32x4::<0x44>(a, b);
                let high = _mm512_shuffle_f32x4::<0xee>(a, b);
                let low2 = _mm512_shuffle_f32x4::<0x44>(c, d);
                let high2 = _mm512_shuffle_f32x4::<0xee>(c, d);
                store(j, _mm512_shuffle_f32x4::<0x88>(low, low2));
                store(4 + j, _mm512_shuffle_f32x4::<0xdd>(low, low2));
                store(8 + j, _mm512_shuffle_f32x4::<0x88>(high, high2));
                store(12 + j, _mm512_shuffle_f32x4::<0xdd>(high, high2));
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pairs_low(a: __m512, b: __m512) -> __m512 {
    _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn pairs_high(a: __m512, b: __m512) -> __m512 {
    _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)))
}
