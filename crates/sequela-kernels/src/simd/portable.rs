//! Vectors for any machine: arrays of 8 lanes, scalar fused multiply-add.

use super::{INVERSE_BITS, INVERSE_ROOT_BITS, Simd};

/// Plain Rust.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Portable;

const WIDTH: usize = 8;

/// Eight lanes.
#[derive(Clone, Copy)]
#[repr(align(32))]
pub(crate) struct Lanes([f32; WIDTH]);

#[inline(always)]
fn map2(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    Lanes(std::array::from_fn(|i| f(a.0[i], b.0[i])))
}

impl Simd for Portable {
    const WIDTH: usize = WIDTH;
    const TILE_ROWS: usize = 2;
    type V = Lanes;

    #[inline(always)]
    fn splat(self, x: f32) -> Lanes {
        Lanes([x; WIDTH])
    }
    #[inline(always)]
    unsafe fn load(self, p: *const f32) -> Lanes {
        // SAFETY: the caller vouches for 8 readable values.
        Lanes(unsafe { p.cast::<[f32; WIDTH]>().read() })
    }
    #[inline(always)]
    unsafe fn store(self, p: *mut f32, v: Lanes) {
        // SAFETY: the caller vouches for 8 writable values.
        unsafe { p.cast::<[f32; WIDTH]>().write(v.0) }
    }
    #[inline(always)]
    fn prefetch(self, _: *const f32) {}
    #[inline(always)]
    fn fma(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        Lanes(std::array::from_fn(|i| a.0[i].mul_add(b.0[i], c.0[i])))
    }
    #[inline(always)]
    fn fnma(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        Lanes(std::array::from_fn(|i| (-a.0[i]).mul_add(b.0[i], c.0[i])))
    }
    #[inline(always)]
    fn fms(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        Lanes(std::array::from_fn(|i| a.0[i].mul_add(b.0[i], -c.0[i])))
    }
    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        map2(a, b, |x, y| x + y)
    }
    #[inline(always)]
    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        map2(a, b, |x, y| x - y)
    }
    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        map2(a, b, |x, y| x * y)
    }
    #[inline(always)]
    fn div(self, a: Lanes, b: Lanes) -> Lanes {
        map2(a, b, |x, y| x / y)
    }
    #[inline(always)]
    fn sqrt(self, a: Lanes) -> Lanes {
        Lanes(a.0.map(f32::sqrt))
    }
    #[inline(always)]
    fn guess_inverse_root(self, a: Lanes) -> Lanes {
        Lanes(a.0.map(|a| f32::from_bits(INVERSE_ROOT_BITS.wrapping_sub(a.to_bits() >> 1))))
    }
    #[inline(always)]
    fn guess_inverse(self, a: Lanes) -> Lanes {
        Lanes(a.0.map(|a| f32::from_bits(INVERSE_BITS.wrapping_sub(a.to_bits()))))
    }
    #[inline(always)]
    fn min(self, a: Lanes, b: Lanes) -> Lanes {
        map2(a, b, |x, y| if x < y { x } else { y })
    }
    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        map2(a, b, |x, y| if x > y { x } else { y })
    }
    #[inline(always)]
    fn scale2(self, a: Lanes, n: Lanes) -> Lanes {
        // A NaN in `n` gives exponent 0, and `a` is NaN then too.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "n is an integer between -126 and 126, so n + 127 is a biased exponent"
        )]
        let power = |n: f32| f32::from_bits(((n as i32 + 127) as u32) << 23);
        map2(a, n, |x, n| x * power(n))
    }
    #[inline(always)]
    fn keep_above(self, v: Lanes, x: Lanes, limit: Lanes) -> Lanes {
        Lanes(std::array::from_fn(|i| if x.0[i].abs() < limit.0[i] { 0.0 } else { v.0[i] }))
    }
    #[inline(always)]
    fn keep_positive(self, v: Lanes, x: Lanes) -> Lanes {
        map2(v, x, |v, x| if x <= 0.0 { 0.0 } else { v })
    }
    #[inline(always)]
    fn saturate(self, v: Lanes, x: Lanes, limit: Lanes, q: Lanes) -> Lanes {
        Lanes(std::array::from_fn(|i| {
            if x.0[i].abs() > limit.0[i] { q.0[i].copysign(x.0[i]) } else { v.0[i] }
        }))
    }
    #[inline(always)]
    fn all_zero(self, a: Lanes, b: Lanes, c: Lanes) -> bool {
        (0..WIDTH).all(|i| a.0[i].to_bits() | b.0[i].to_bits() | c.0[i].to_bits() == 0)
    }
}
