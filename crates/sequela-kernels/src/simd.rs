//! One vector type per instruction set. Kernels are written once, generic over [`Simd`].
//!
//! Every function down to the intrinsics is `inline(always)`, so that a kernel is compiled as a
//! whole inside the one function per instruction set that carries `target_feature`. Kernels hold
//! no closures: those would not be inlined into it.
//!
//! All instruction sets give the same bits: the operations here are correctly rounded, and each
//! lane is its own sum, so the width of a vector cannot change a result.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use portable::Portable;

/// A piece of work that is compiled once per instruction set.
pub(crate) trait Kernel {
    /// Does the work. `simd` proves that the instruction set is there.
    fn run<S: Simd>(self, simd: S);
}

/// Vectors of one instruction set. A value of an implementing type proves that the processor has
/// it, which is what makes the arithmetic safe to call.
pub(crate) trait Simd: Copy {
    /// f32 values in one vector; divides 16.
    const WIDTH: usize;
    /// Rows of the register tile, beside four vectors.
    const TILE_ROWS: usize;
    /// The vector.
    type V: Copy;

    /// All lanes `x`.
    fn splat(self, x: f32) -> Self::V;
    /// The `WIDTH` values at `p`.
    ///
    /// # Safety
    /// `p` must be valid for reading `WIDTH` values.
    unsafe fn load(self, p: *const f32) -> Self::V;
    /// Writes `v` to `p`.
    ///
    /// # Safety
    /// `p` must be valid for writing `WIDTH` values.
    unsafe fn store(self, p: *mut f32, v: Self::V);
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c - a * b`, rounded once.
    fn fnma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a * b - c`, rounded once.
    fn fms(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    fn sqrt(self, a: Self::V) -> Self::V;
    /// A first guess of `1 / sqrt(a)`, to 4 %, from the bits of a >= 0.
    fn guess_inverse_root(self, a: Self::V) -> Self::V;
    /// A first guess of `1 / a`, to 13 %, from the bits of a > 0.
    fn guess_inverse(self, a: Self::V) -> Self::V;
    /// `a < b ? a : b`: the second where either is NaN.
    fn min(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a > b ? a : b`: the second where either is NaN.
    fn max(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a * 2^n` for integral `|n| <= 126`.
    fn scale2(self, a: Self::V, n: Self::V) -> Self::V;
    /// `v` where `|x| >= limit` or x is NaN, else 0.
    fn keep_above(self, v: Self::V, x: Self::V, limit: Self::V) -> Self::V;
    /// `v` where `x > 0` or x is NaN, else 0.
    fn keep_positive(self, v: Self::V, x: Self::V) -> Self::V;
    /// `v`, but q with the sign of x where `|x| > limit`; NaN counts as inside.
    fn saturate(self, v: Self::V, x: Self::V, limit: Self::V, q: Self::V) -> Self::V;
    /// Whether all bits of the three are 0.
    fn all_zero(self, a: Self::V, b: Self::V, c: Self::V) -> bool;
    /// Asks for the cache line at `p`; any address will do.
    fn prefetch(self, p: *const f32);
    /// Transposes 16 x 16 values: `to[c * to_row + r] = from[r * from_row + c]`.
    #[inline(always)]
    fn transpose(self, from: &[f32], from_row: usize, to: &mut [f32], to_row: usize) {
        for r in 0..16 {
            for c in 0..16 {
                to[c * to_row + r] = from[r * from_row + c];
            }
        }
    }
}

/// Values below this become 0 when a state, a gate gradient or a moment is stored: sums of such
/// values would end in denormals, which cost a hundred times as much on many processors.
pub(crate) const TINY: f32 = 1e-30;

/// `v`, with 0 for what is nearer to 0 than [`TINY`].
#[inline(always)]
pub(crate) fn flush<S: Simd>(s: S, v: S::V) -> S::V {
    s.keep_above(v, v, s.splat(TINY))
}

/// Bits from which [`Simd::guess_inverse_root`] and [`Simd::guess_inverse`] take half the bits of
/// a, or all of them: the exponent of the result, and a line through its mantissa.
const INVERSE_ROOT_BITS: u32 = 0x5f37_59df;
const INVERSE_BITS: u32 = 0x7ef3_11c7;
