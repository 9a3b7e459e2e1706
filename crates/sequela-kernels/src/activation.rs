//! Exponential, sigmoid, tanh and kin: own polynomials, the same bits everywhere.
//!
//! The platform's libm differs between machines; these do not. Largest errors over [-20, 20]
//! against f64, measured by this module's tests: exp 1.5 ulp, sigmoid 3 ulp, tanh 5 ulp,
//! softplus 4 ulp.

use crate::simd::{Kernel, Simd};
use crate::{Context, LANES, Write};

/// A function applied to each value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Activation {
    /// x
    Identity,
    /// tanh x
    Tanh,
    /// max(x, 0)
    Relu,
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// ln(1 + exp(x))
    Softplus,
    /// exp(-max(x, 0)): what is left after a time; never 0, and its slope at 0 is 0
    Decay,
}

/// Writes `f(x)` to `y`.
///
/// **Shapes** any, the same for both, a multiple of 16 values (whole rows of a matrix).
///
/// # Panics
/// If the lengths differ or are no multiple of 16.
///
/// # Example
/// ```
/// use sequela_kernels::{Context, activation::{self, Activation}};
/// let mut y = [0.0; 16];
/// activation::apply(&Context::new(1)?, Activation::Relu, &[-1.0; 16], &mut y);
/// assert_eq!(y, [0.0; 16]);
/// # Ok::<(), sequela_kernels::Error>(())
/// ```
pub fn apply(context: &Context, activation: Activation, x: &[f32], y: &mut [f32]) {
    check(x.len(), y.len());
    context.run(Apply { map: Map::Activation(activation), x, y });
}

/// Writes `exp(x)` to `y`, with x limited to [-87, 87]: never 0 and never infinite.
///
/// **Shapes** any, the same for both, a multiple of 16 values. **Missing data** NaN stays NaN.
///
/// # Panics
/// If the lengths differ or are no multiple of 16.
pub fn exp(context: &Context, x: &[f32], y: &mut [f32]) {
    check(x.len(), y.len());
    context.run(Apply { map: Map::Exp, x, y });
}

/// Writes `dy f'(x)` to `dx`, or adds it, given the output `y = f(x)`.
///
/// **Shapes** any, the same for all three, a multiple of 16 values. **Missing data** NaN stays NaN.
///
/// # Panics
/// If the lengths differ or are no multiple of 16.
pub fn gradient(
    context: &Context,
    activation: Activation,
    y: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    write: Write,
) {
    check(y.len(), dx.len());
    check(y.len(), dy.len());
    context.run(Gradient { activation, y, dy, dx, write });
}

/// One value of [`exp`].
pub fn exp_scalar(x: f32) -> f32 {
    single(Map::Exp, x)
}

/// One value of the sigmoid, with the bits of [`apply`].
pub fn sigmoid_scalar(x: f32) -> f32 {
    single(Map::Activation(Activation::Sigmoid), x)
}

/// One value of tanh, with the bits of [`apply`].
pub fn tanh_scalar(x: f32) -> f32 {
    single(Map::Activation(Activation::Tanh), x)
}

fn single(map: Map, x: f32) -> f32 {
    let mut y = [0.0; LANES];
    Apply { map, x: &[x; LANES], y: &mut y }.run(crate::simd::Portable);
    y[0]
}

fn check(a: usize, b: usize) {
    assert!(a == b && a.is_multiple_of(LANES), "{a} and {b} values are not the same whole rows");
}

#[derive(Clone, Copy)]
enum Map {
    Activation(Activation),
    Exp,
}

struct Apply<'a> {
    map: Map,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Apply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let chunks = self.y.chunks_exact_mut(S::WIDTH).zip(self.x.chunks_exact(S::WIDTH));
        for (y, x) in chunks {
            // SAFETY: both chunks hold WIDTH values.
            unsafe {
                let x = s.load(x.as_ptr());
                let value = match self.map {
                    Map::Activation(activation) => of(s, activation, x),
                    Map::Exp => exp_vector(s, x),
                };
                s.store(y.as_mut_ptr(), value);
            }
        }
    }
}

struct Gradient<'a> {
    activation: Activation,
    y: &'a [f32],
    dy: &'a [f32],
    dx: &'a mut [f32],
    write: Write,
}

impl Kernel for Gradient<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let inputs = self.y.chunks_exact(S::WIDTH).zip(self.dy.chunks_exact(S::WIDTH));
        for (dx, (y, dy)) in self.dx.chunks_exact_mut(S::WIDTH).zip(inputs) {
            // SAFETY: the three chunks hold WIDTH values each.
            unsafe {
                let (y, dy) = (s.load(y.as_ptr()), s.load(dy.as_ptr()));
                let mut value = derivative(s, self.activation, y, dy);
                if self.write == Write::Accumulate {
                    value = s.add(s.load(dx.as_ptr()), value);
                }
                s.store(dx.as_mut_ptr(), value);
            }
        }
    }
}

/// `f(x)`.
#[inline(always)]
pub(crate) fn of<S: Simd>(s: S, activation: Activation, x: S::V) -> S::V {
    match activation {
        Activation::Identity => x,
        Activation::Tanh => tanh(s, x),
        Activation::Relu => s.keep_positive(x, x),
        Activation::Sigmoid => {
            let e = exp_signed(s, x, -1.0, 87.0);
            s.div(s.splat(1.0), s.add(s.splat(1.0), e))
        }
        Activation::Softplus => softplus(s, x),
        Activation::Decay => exp_signed(s, s.max(s.splat(0.0), x), -1.0, 87.0),
    }
}

/// `dy f'(x)` from `y = f(x)`.
#[inline(always)]
pub(crate) fn derivative<S: Simd>(s: S, activation: Activation, y: S::V, dy: S::V) -> S::V {
    match activation {
        Activation::Identity => dy,
        Activation::Tanh => s.fnma(s.mul(dy, y), y, dy),
        Activation::Relu => s.keep_positive(dy, y),
        Activation::Sigmoid => s.mul(s.mul(dy, y), s.sub(s.splat(1.0), y)),
        Activation::Decay => {
            let whole = s.sub(s.splat(1.0), y);
            s.keep_positive(s.sub(s.splat(0.0), s.mul(dy, y)), whole)
        }
        Activation::Softplus => s.fnma(dy, exp_vector(s, s.sub(s.splat(0.0), y)), dy),
    }
}

/// exp(sign x) for x limited to [-limit, limit]; NaN stays NaN.
///
/// 2^n 2^f with n integral and |f| <= 1/2; 2^f by a minimax polynomial of degree 6.
#[inline(always)]
fn exp_signed<S: Simd>(s: S, x: S::V, sign: f32, limit: f32) -> S::V {
    // The limit stands first: min and max give their second argument where one is NaN.
    let x = s.max(s.splat(-limit), s.min(s.splat(limit), x));
    // Adding 1.5 * 2^23 rounds to the nearest integer; taking it away again leaves n.
    let rounder = s.splat(12_582_912.0);
    let n = s.sub(s.fma(x, s.splat(sign * LOG2_E_HIGH), rounder), rounder);
    let f = s.fms(x, s.splat(sign * LOG2_E_HIGH), n);
    let f = s.fma(x, s.splat(sign * LOG2_E_LOW), f);
    let mut p = s.splat(1.535_336_2e-4);
    for c in
        [1.339_887_5e-3, 9.618_437e-3, 5.550_332_4e-2, 2.402_264_8e-1, std::f32::consts::LN_2, 1.0]
    {
        p = s.fma(p, f, s.splat(c));
    }
    s.scale2(p, n)
}

/// log2(e) in two parts: no cancellation for large |x|.
const LOG2_E_HIGH: f32 = std::f32::consts::LOG2_E;
#[expect(clippy::cast_possible_truncation, reason = "the rest after the leading f32")]
const LOG2_E_LOW: f32 = (std::f64::consts::LOG2_E - LOG2_E_HIGH as f64) as f32;

/// exp(x).
#[inline(always)]
pub(crate) fn exp_vector<S: Simd>(s: S, x: S::V) -> S::V {
    exp_signed(s, x, 1.0, 87.0)
}

/// tanh(x) as a fraction x P(x^2) / Q(x^2), degrees 5 and 4; own minimax fit on |x| <= 9.02,
/// where tanh rounds to 1 (`testdata/activation/fit.py`).
#[inline(always)]
pub(crate) fn tanh_fraction<S: Simd>(s: S, x: S::V) -> (S::V, S::V) {
    let inside = s.max(s.splat(-9.02), s.min(s.splat(9.02), x));
    let square = s.mul(inside, inside);
    let mut p = s.splat(-1.220_338_8e-11);
    for c in [3.058_491_4e-8, 2.800_741_2e-5, 3.868_325_4e-3, 1.367_991_3e-1, 1.0] {
        p = s.fma(p, square, s.splat(c));
    }
    let mut q = s.splat(1.287_363_4e-6);
    for c in [3.938_627_1e-4, 2.724_583e-2, 4.701_324_5e-1, 1.0] {
        q = s.fma(q, square, s.splat(c));
    }
    // Exactly 1 where tanh rounds to it, so that a saturated gate has no gradient.
    (s.saturate(s.mul(p, inside), x, s.splat(9.01), q), q)
}

/// tanh(x).
#[inline(always)]
pub(crate) fn tanh<S: Simd>(s: S, x: S::V) -> S::V {
    let (above, below) = tanh_fraction(s, x);
    s.div(above, below)
}

/// Denominator of the sigmoid, 1 + exp(-x), limited so that the product of two stays finite.
#[inline(always)]
pub(crate) fn sigmoid_denominator<S: Simd>(s: S, x: S::V) -> S::V {
    s.add(s.splat(1.0), exp_signed(s, x, -1.0, 43.0))
}

/// Two quotients for the price of one division: `(p / a, q / b)`.
///
/// Each is mended by its residual, which makes a saturated gate exactly 1: else the noise in
/// `1 - s` would go on teaching it.
#[inline(always)]
pub(crate) fn divide_pair<S: Simd>(
    s: S,
    (p, a): (S::V, S::V),
    (q, b): (S::V, S::V),
) -> (S::V, S::V) {
    let r = s.div(s.splat(1.0), s.mul(a, b));
    let (ra, rb) = (s.mul(r, b), s.mul(r, a));
    let (x, y) = (s.mul(p, ra), s.mul(q, rb));
    (s.fma(s.fnma(x, a, p), ra, x), s.fma(s.fnma(y, b, q), rb, y))
}

/// ln(1 + exp(x)) = max(x, 0) + ln(1 + e), e = exp(-|x|), by ln(1 + e) = 2 artanh(e / (2 + e)).
#[inline(always)]
fn softplus<S: Simd>(s: S, x: S::V) -> S::V {
    let magnitude = s.max(x, s.sub(s.splat(0.0), x));
    let e = exp_vector(s, s.sub(s.splat(0.0), magnitude));
    let u = s.div(e, s.add(s.splat(2.0), e));
    let square = s.mul(u, u);
    // artanh(u) / u for u <= 1/3: the series to u^14 is exact to f32.
    let mut p = s.splat(1.0 / 15.0);
    for c in [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0, 1.0] {
        p = s.fma(p, square, s.splat(c));
    }
    s.fma(s.add(u, u), p, s.keep_positive(x, x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Isa;

    /// Every 16th-of-an-ulp story told by a grid: dense on [-20, 20], sparse to the extremes.
    fn grid() -> Vec<f32> {
        let mut x: Vec<f32> = (-40_000..40_000).map(|n| n as f32 * 5e-4).collect();
        let extremes = [0.0, 1e-40, 1e-30, 1e-6, 88.0, 1e9, f32::MAX, f32::INFINITY];
        x.extend(extremes.iter().flat_map(|&v| [v, -v]));
        x.resize(x.len().next_multiple_of(LANES), 0.5);
        x
    }

    fn worst_ulp(map: Map, f: impl Fn(f64) -> f64) -> f64 {
        let x = grid();
        let mut y = vec![0.0; x.len()];
        Context::new(1).unwrap().run(Apply { map, x: &x, y: &mut y });
        let mut worst = 0.0_f64;
        for (&x, &y) in x.iter().zip(&y).take(80_000) {
            let want = f(f64::from(x));
            let size = (want as f32).abs();
            let ulp = f64::from(f32::from_bits(size.to_bits() + 1) - size);
            worst = worst.max((f64::from(y) - want).abs() / ulp);
        }
        worst
    }

    #[test]
    fn errors_stay_within_the_figures_of_the_module_page() {
        let sigmoid =
            worst_ulp(Map::Activation(Activation::Sigmoid), |x| 1.0 / (1.0 + libm::exp(-x)));
        let tanh = worst_ulp(Map::Activation(Activation::Tanh), libm::tanh);
        let softplus =
            worst_ulp(Map::Activation(Activation::Softplus), |x| libm::log1p(libm::exp(x)));
        let exp = worst_ulp(Map::Exp, libm::exp);
        let decay = |x: f64| libm::exp(-libm::fmax(x, 0.0));
        assert!(worst_ulp(Map::Activation(Activation::Decay), decay) <= 1.5);
        assert!(exp <= 1.5, "{exp}");
        println!("exp {exp:.2} sigmoid {sigmoid:.2} tanh {tanh:.2} softplus {softplus:.2} ulp");
        assert!(sigmoid <= 3.0 && tanh <= 5.0 && softplus <= 4.0, "{sigmoid} {tanh} {softplus}");
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        let x = grid();
        let kinds = [
            Activation::Tanh,
            Activation::Relu,
            Activation::Sigmoid,
            Activation::Softplus,
            Activation::Decay,
        ];
        for kind in kinds {
            let results: Vec<Vec<u32>> = Isa::all()
                .into_iter()
                .map(|isa| {
                    let context = Context::with_isa(isa, 1).unwrap();
                    let (mut y, mut dx) = (vec![0.0; x.len()], vec![1.0; x.len()]);
                    apply(&context, kind, &x, &mut y);
                    gradient(&context, kind, &y, &x, &mut dx, Write::Accumulate);
                    y.iter().chain(&dx).map(|v| v.to_bits()).collect()
                })
                .collect();
            assert!(results.windows(2).all(|pair| pair[0] == pair[1]), "{kind:?}");
        }
    }

    #[test]
    fn a_saturated_gate_is_exactly_one() {
        struct Pairs(Vec<[f32; 2]>);
        impl Kernel for &mut Pairs {
            fn run<S: Simd>(self, s: S) {
                for n in 0..4000 {
                    let (x, y) = (17.5 + n as f32 * 0.03, n as f32 * 0.02 - 40.0);
                    let a = sigmoid_denominator(s, s.splat(x));
                    let b = sigmoid_denominator(s, s.splat(y));
                    let one = s.splat(1.0);
                    let (p, q) = divide_pair(s, (one, a), (one, b));
                    let mut out = [[0.0; LANES]; 2];
                    // SAFETY: 16 values have room for one vector.
                    unsafe {
                        s.store(out[0].as_mut_ptr(), p);
                        s.store(out[1].as_mut_ptr(), q);
                    }
                    self.0.push([out[0][0], out[1][0]]);
                }
            }
        }
        for isa in Isa::all() {
            let mut pairs = Pairs(Vec::new());
            isa.run(&mut pairs);
            assert!(pairs.0.iter().all(|[saturated, _]| *saturated == 1.0), "{}", isa.name());
            assert!(pairs.0.iter().all(|[_, other]| (0.0..=1.0).contains(other)));
        }
    }

    #[test]
    fn nan_stays_nan_and_infinity_saturates() {
        let decay_scalar = |x| single(Map::Activation(Activation::Decay), x);
        assert!(decay_scalar(f32::NAN).is_nan());
        assert!(decay_scalar(f32::INFINITY) > 0.0);
        assert_eq!(
            [decay_scalar(0.0), decay_scalar(-3.0), decay_scalar(f32::NEG_INFINITY)],
            [1.0; 3]
        );
        for f in [exp_scalar, sigmoid_scalar, tanh_scalar] {
            assert!(f(f32::NAN).is_nan());
            assert!(f(f32::INFINITY).is_finite() && f(f32::NEG_INFINITY).is_finite());
        }
        assert_eq!([tanh_scalar(9.5), tanh_scalar(f32::NEG_INFINITY)], [1.0, -1.0]);
        assert_eq!(sigmoid_scalar(f32::INFINITY), 1.0);
        assert_eq!(tanh_scalar(0.0), 0.0);
    }
}
