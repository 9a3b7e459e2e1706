//! AVX2 with FMA: vectors of 8 lanes, half a block each.

use super::{INVERSE_BITS, INVERSE_ROOT_BITS, Kernel, Simd};
#[allow(clippy::wildcard_imports, reason = "dozens of intrinsics, all of one prefix")]
use std::arch::x86_64::*;

/// Proof that the processor has AVX2 and FMA.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        found.then_some(Self(()))
    }

    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) {
        #[target_feature(enable = "avx2,fma")]
        fn inner<K: Kernel>(simd: Avx2, kernel: K) {
            kernel.run(simd);
        }
        // SAFETY: `self` proves that AVX2 and FMA are there.
        unsafe { inner(self, kernel) }
    }
}

impl Simd for Avx2 {
    const WIDTH: usize = 8;
    // 12 accumulators, 3 broadcasts and one weight vector fill the 16 registers.
    const TILE_ROWS: usize = 3;
    type V = __m256;

    #[inline(always)]
    fn splat(self, x: f32) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> __m256 {
        // SAFETY: `self` proves AVX; the caller vouches for 8 readable values.
        unsafe { _mm256_loadu_ps(p) }
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: __m256) {
        // SAFETY: `self` proves AVX; the caller vouches for 8 writable values.
        unsafe { _mm256_storeu_ps(p, v) }
    }
    #[inline(always)]
    fn prefetch(self, p: *const f32) {
        // SAFETY: a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) }
    }
    #[inline(always)]
    fn fma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves FMA.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn fnma(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves FMA.
        unsafe { _mm256_fnmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn fms(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        // SAFETY: `self` proves FMA.
        unsafe { _mm256_fmsub_ps(a, b, c) }
    }
    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    fn div(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    fn sqrt(self, a: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_sqrt_ps(a) }
    }
    #[inline(always)]
    fn guess_inverse_root(self, a: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let bits = _mm256_set1_epi32(INVERSE_ROOT_BITS.cast_signed());
            let half = _mm256_srli_epi32::<1>(_mm256_castps_si256(a));
            _mm256_castsi256_ps(_mm256_sub_epi32(bits, half))
        }
    }
    #[inline(always)]
    fn guess_inverse(self, a: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let bits = _mm256_set1_epi32(INVERSE_BITS.cast_signed());
            _mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_castps_si256(a)))
        }
    }
    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    fn scale2(self, a: __m256, n: __m256) -> __m256 {
        // SAFETY: `self` proves AVX2.
        unsafe {
            let biased = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
            _mm256_mul_ps(a, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased)))
        }
    }
    #[inline(always)]
    fn keep_above(self, v: __m256, x: __m256, limit: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe {
            let magnitude = _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
            _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LT_OQ>(magnitude, limit), v)
        }
    }
    #[inline(always)]
    fn keep_positive(self, v: __m256, x: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe { _mm256_andnot_ps(_mm256_cmp_ps::<_CMP_LE_OQ>(x, _mm256_setzero_ps()), v) }
    }
    #[inline(always)]
    fn saturate(self, v: __m256, x: __m256, limit: __m256, q: __m256) -> __m256 {
        // SAFETY: `self` proves AVX.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            let outside = _mm256_cmp_ps::<_CMP_GT_OQ>(_mm256_andnot_ps(sign, x), limit);
            _mm256_blendv_ps(v, _mm256_or_ps(q, _mm256_and_ps(sign, x)), outside)
        }
    }
    #[inline(always)]
    fn all_zero(self, a: __m256, b: __m256, c: __m256) -> bool {
        // SAFETY: `self` proves AVX.
        unsafe {
            let bits = _mm256_castps_si256(_mm256_or_ps(_mm256_or_ps(a, b), c));
            _mm256_testz_si256(bits, bits) == 1
        }
    }
}
