//! Optimiser updates, norms and clipping, element by element on packed weights.
//!
//! Moments nearer to 0 than 1e-30 become 0, so that they never decay into denormals. Padding
//! holds weight 0 and gradient 0, and stays so.

use crate::context::{Shared, share};
use crate::simd::{Kernel, Simd, flush};
use crate::{Context, LANES};

/// Where epsilon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EpsilonForm {
    /// Adam: added to the root of the uncorrected second moment; RMSprop: under the root (Keras).
    Keras,
    /// Adam: added to the root of the corrected second moment; RMSprop: after the root (PyTorch).
    PyTorch,
}

/// Whether momentum looks ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Momentum {
    /// Polyak 1964.
    Plain,
    /// Nesterov 1983.
    Nesterov,
}

/// One Adam step (Kingma & Ba 2015), or AdamW (Loshchilov & Hutter 2019) with weight decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate of this step.
    pub rate: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// Where epsilon stands.
    pub form: EpsilonForm,
    /// Decoupled weight decay; 0 for Adam.
    pub weight_decay: f32,
    /// Number of this step, from 1.
    pub step: u64,
}

impl Adam {
    /// Updates weights `w` and moments `m`, `v` with gradient `g`.
    ///
    /// # Panics
    /// If lengths differ or are no multiple of 16.
    ///
    /// # Example
    /// ```
    /// use sequela_kernels::{Context, optimiser::{Adam, EpsilonForm}};
    /// let adam = Adam { rate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-7,
    ///     form: EpsilonForm::Keras, weight_decay: 0.0, step: 1 };
    /// let (mut w, mut m, mut v) = ([1.0; 16], [0.0; 16], [0.0; 16]);
    /// adam.update(&mut Context::new(1)?, &mut w, &mut m, &mut v, &[2.0; 16]);
    /// assert!((w[0] - 0.9).abs() < 1e-5);
    /// # Ok::<(), sequela_kernels::Error>(())
    /// ```
    pub fn update(
        &self,
        context: &mut Context,
        w: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        g: &[f32],
    ) {
        self.prepare().update(context, w, [m, v], g);
    }

    /// The step, for several runs of weights.
    pub fn prepare(&self) -> Prepared {
        let step = self.step as f64;
        let first = 1.0 - libm::pow(f64::from(self.beta1), step);
        let root = libm::sqrt(1.0 - libm::pow(f64::from(self.beta2), step));
        let epsilon = match self.form {
            EpsilonForm::Keras => f64::from(self.epsilon),
            EpsilonForm::PyTorch => f64::from(self.epsilon) * root,
        };
        Prepared(Rule::Adam {
            betas: [self.beta1, self.beta2],
            rate: narrow(f64::from(self.rate) * root / first),
            epsilon: narrow(epsilon),
            keep: (self.weight_decay != 0.0)
                .then(|| narrow(1.0 - f64::from(self.rate) * f64::from(self.weight_decay))),
        })
    }
}

/// One step of stochastic gradient descent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate of this step.
    pub rate: f32,
    /// Momentum; 0 for none.
    pub momentum: f32,
    /// Whether momentum looks ahead.
    pub kind: Momentum,
    /// L2 weight decay, added to the gradient; 0 for none.
    pub weight_decay: f32,
}

impl Sgd {
    /// Updates weights `w` and velocity `m` (needed without momentum too) with gradient `g`.
    ///
    /// # Panics
    /// If lengths differ or are no multiple of 16.
    pub fn update(&self, context: &mut Context, w: &mut [f32], m: &mut [f32], g: &[f32]) {
        self.prepare().update(context, w, [m, &mut []], g);
    }

    /// The step, for several runs of weights.
    pub fn prepare(&self) -> Prepared {
        Prepared(Rule::Sgd(*self))
    }
}

/// One step of RMSprop (Tieleman & Hinton 2012).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Learning rate of this step.
    pub rate: f32,
    /// Decay of the mean square.
    pub decay: f32,
    /// Added to the denominator.
    pub epsilon: f32,
    /// Where epsilon stands.
    pub form: EpsilonForm,
    /// Momentum; 0 for none.
    pub momentum: f32,
}

impl RmsProp {
    /// Updates weights `w`, velocity `m` and mean square `v` with gradient `g`.
    ///
    /// # Panics
    /// If lengths differ or are no multiple of 16.
    pub fn update(
        &self,
        context: &mut Context,
        w: &mut [f32],
        m: &mut [f32],
        v: &mut [f32],
        g: &[f32],
    ) {
        self.prepare().update(context, w, [m, v], g);
    }

    /// The step, for several runs of weights.
    pub fn prepare(&self) -> Prepared {
        Prepared(Rule::RmsProp(*self))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a coefficient, computed in f64, used in f32")]
fn narrow(x: f64) -> f32 {
    x as f32
}

/// One step of an optimiser, with what depends on its number computed once.
#[derive(Debug, Clone, Copy)]
pub struct Prepared(Rule);

impl Prepared {
    /// Updates weights `w` and both moments (the second may be empty for [`Sgd`]) with gradient
    /// `g`.
    ///
    /// # Panics
    /// If lengths differ or are no multiple of 16.
    pub fn update(
        &self,
        context: &mut Context,
        w: &mut [f32],
        moments: [&mut [f32]; 2],
        g: &[f32],
    ) {
        spread(context, self.0, w, moments, g);
    }
}

#[derive(Debug, Clone, Copy)]
enum Rule {
    Adam { betas: [f32; 2], rate: f32, epsilon: f32, keep: Option<f32> },
    Sgd(Sgd),
    RmsProp(RmsProp),
}

/// Cuts the update over threads where the buffers are long.
fn spread(context: &mut Context, rule: Rule, w: &mut [f32], moments: [&mut [f32]; 2], g: &[f32]) {
    let n = w.len();
    let [m, v] = moments;
    assert!(n == g.len() && n.is_multiple_of(LANES), "weights {n}, gradient {}", g.len());
    assert!(m.len() == n, "first moment");
    assert!(v.len() == n || matches!(rule, Rule::Sgd(_)), "second moment");
    // SAFETY: each part uses its own range of the three buffers.
    let job = unsafe { Shared::new((w.as_mut_ptr(), m.as_mut_ptr(), v.as_mut_ptr(), v.len())) };
    let parts = context.parts_for(32 * n);
    let isa = context.isa;
    // A worker's panic cannot happen: the kernel only computes.
    let _ = context.run_parts(parts, &|part| {
        let range = share(n / LANES, part, parts);
        let (start, length) = (range.start * LANES, range.len() * LANES);
        let &(w, m, v, squares) = job.get();
        // SAFETY: parts are disjoint ranges of buffers that this function borrows uniquely.
        let (w, m, v) = unsafe {
            let v = if squares == 0 {
                &mut []
            } else {
                std::slice::from_raw_parts_mut(v.add(start), length)
            };
            let m = std::slice::from_raw_parts_mut(m.add(start), length);
            (std::slice::from_raw_parts_mut(w.add(start), length), m, v)
        };
        isa.run(Update { rule, w, m, v, g: &g[start..start + length] });
    });
}

struct Update<'a> {
    rule: Rule,
    w: &'a mut [f32],
    m: &'a mut [f32],
    v: &'a mut [f32],
    g: &'a [f32],
}

impl Kernel for Update<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for i in (0..self.w.len()).step_by(S::WIDTH) {
            // SAFETY: all slices that the rule uses are as long as `w`, a multiple of WIDTH.
            unsafe {
                let (wp, mp) = (self.w.as_mut_ptr().add(i), self.m.as_mut_ptr().add(i));
                let g = s.load(self.g.as_ptr().add(i));
                match self.rule {
                    Rule::Adam { betas, rate, epsilon, keep } => {
                        let vp = self.v.as_mut_ptr().add(i);
                        let (m, v) = (s.load(mp), s.load(vp));
                        // Weights that nothing has ever reached (padding, unused embeddings, U of
                        // sequences of one step) stay as they are: spare the root and division.
                        if keep.is_none() && s.all_zero(g, m, v) {
                            continue;
                        }
                        let fresh = s.mul(s.splat(1.0 - betas[0]), g);
                        let m = flush(s, s.fma(s.splat(betas[0]), m, fresh));
                        let fresh = s.mul(s.mul(s.splat(1.0 - betas[1]), g), g);
                        let v = flush(s, s.fma(s.splat(betas[1]), v, fresh));
                        s.store(mp, m);
                        s.store(vp, v);
                        let step = over_root(s, m, v, s.splat(epsilon));
                        let mut w = s.load(wp);
                        if let Some(keep) = keep {
                            w = s.mul(w, s.splat(keep));
                        }
                        s.store(wp, s.fnma(s.splat(rate), step, w));
                    }
                    Rule::Sgd(sgd) => {
                        let w = s.load(wp);
                        let g = s.fma(s.splat(sgd.weight_decay), w, g);
                        let momentum = s.splat(sgd.momentum);
                        let m = flush(s, s.fma(momentum, s.load(mp), g));
                        s.store(mp, m);
                        let step = match sgd.kind {
                            Momentum::Plain => m,
                            Momentum::Nesterov => s.fma(momentum, m, g),
                        };
                        s.store(wp, s.fnma(s.splat(sgd.rate), step, w));
                    }
                    Rule::RmsProp(rms) => {
                        let vp = self.v.as_mut_ptr().add(i);
                        let fresh = s.mul(s.mul(s.splat(1.0 - rms.decay), g), g);
                        let v = flush(s, s.fma(s.splat(rms.decay), s.load(vp), fresh));
                        s.store(vp, v);
                        let epsilon = s.splat(rms.epsilon);
                        let root = match rms.form {
                            EpsilonForm::Keras => s.sqrt(s.add(v, epsilon)),
                            EpsilonForm::PyTorch => s.add(s.sqrt(v), epsilon),
                        };
                        let step = s.div(g, root);
                        let m = flush(s, s.fma(s.splat(rms.momentum), s.load(mp), step));
                        s.store(mp, m);
                        s.store(wp, s.fnma(s.splat(rms.rate), m, s.load(wp)));
                    }
                }
            }
        }
    }
}

/// `m / (sqrt(v) + epsilon)` for v >= 0 and epsilon > 0, to 2 ulp.
///
/// By Newton's method from the bits, which leaves the one unit for roots and divisions free.
#[inline(always)]
fn over_root<S: Simd>(s: S, m: S::V, v: S::V, epsilon: S::V) -> S::V {
    let mut y = s.guess_inverse_root(v);
    let half = s.mul(v, s.splat(0.5));
    for _ in 0..3 {
        y = s.mul(y, s.fnma(s.mul(half, y), y, s.splat(1.5)));
    }
    let root = s.mul(v, y);
    let root = s.fma(s.mul(y, s.splat(0.5)), s.fnma(root, root, v), root);
    let below = s.add(root, epsilon);
    let mut r = s.guess_inverse(below);
    for _ in 0..3 {
        r = s.fma(r, s.fnma(below, r, s.splat(1.0)), r);
    }
    let quotient = s.mul(m, r);
    let quotient = s.fma(s.fnma(quotient, below, m), r, quotient);
    // A second moment that overflowed leaves the weight alone, as a division would.
    s.saturate(quotient, v, s.splat(f32::MAX), s.splat(0.0))
}

/// The sum of squares, in f64, by one fixed tree: the same bits on every instruction set.
///
/// **Shapes** any length. **Missing data** NaN or infinity in, NaN or infinity out. **Cost** one
/// read, on the calling thread.
pub fn sum_of_squares(context: &Context, values: &[f32]) -> f64 {
    let mut sum = 0.0;
    context.run(SumOfSquares { values, sum: &mut sum });
    sum
}

struct SumOfSquares<'a> {
    values: &'a [f32],
    sum: &'a mut f64,
}

impl Kernel for SumOfSquares<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let mut lanes = [0.0_f64; LANES];
        for chunk in self.values.chunks(LANES) {
            for (lane, &value) in lanes.iter_mut().zip(chunk) {
                *lane += f64::from(value) * f64::from(value);
            }
        }
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        *self.sum = lanes[0];
    }
}

/// Whether no value is NaN or infinite.
pub fn all_finite(values: &[f32]) -> bool {
    // 0 * x is 0 for finite x and NaN otherwise: sums of 16 lanes vectorise, an early exit not.
    let mut lanes = [0.0_f32; LANES];
    for chunk in values.chunks(LANES) {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane += 0.0 * value;
        }
    }
    lanes.iter().all(|lane| *lane == 0.0)
}

/// Multiplies every value by `factor`.
pub fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

/// Limits every value to `[-limit, limit]`; NaN stays NaN.
///
/// # Panics
/// If `limit` is negative or NaN.
pub fn clamp(values: &mut [f32], limit: f32) {
    for value in values {
        *value = value.clamp(-limit, limit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finiteness_and_norm() {
        let mut values = vec![0.5_f32; 37];
        let context = Context::new(1).unwrap();
        assert!(all_finite(&values));
        assert_eq!(sum_of_squares(&context, &values), 37.0 * 0.25);
        values[36] = f32::INFINITY;
        assert!(!all_finite(&values));
        values[36] = f32::NAN;
        assert!(!all_finite(&values));
    }

    #[test]
    fn quotients_over_roots_are_right_to_the_last_bits() {
        struct Worst<'a>(&'a mut f64);
        impl Kernel for Worst<'_> {
            fn run<S: Simd>(self, s: S) {
                for exponent in -30..30 {
                    for step in 0..200 {
                        let v = (1.0 + step as f32 / 100.0) * 10_f32.powi(exponent);
                        let m = 0.3 * v.sqrt() + 1e-9;
                        let mut out = [0.0_f32; LANES];
                        let q = over_root(s, s.splat(m), s.splat(v), s.splat(1e-7));
                        // SAFETY: 16 values have room for one vector.
                        unsafe { s.store(out.as_mut_ptr(), q) };
                        let want = f64::from(m) / (f64::from(v).sqrt() + f64::from(1e-7_f32));
                        *self.0 = self.0.max((f64::from(out[0]) / want - 1.0).abs());
                    }
                }
            }
        }
        let mut worst = 0.0;
        Context::new(1).unwrap().run(Worst(&mut worst));
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst:e}");
    }

    #[test]
    fn a_gradient_whose_square_overflows_leaves_the_weight_alone() {
        let mut context = Context::new(1).unwrap();
        let (mut w, mut m, mut v) = ([1.0; 16], [0.0; 16], [0.0; 16]);
        let adam = Adam {
            rate: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-7,
            form: EpsilonForm::Keras,
            weight_decay: 0.0,
            step: 1,
        };
        adam.update(&mut context, &mut w, &mut m, &mut v, &[1e25; 16]);
        assert_eq!(w, [1.0; 16]);
    }

    #[test]
    fn moments_never_become_denormal() {
        let mut context = Context::new(1).unwrap();
        let (mut w, mut m, mut v) = ([1.0; 16], [1e-20; 16], [1e-20; 16]);
        for step in 1..3000 {
            let adam = Adam {
                rate: 1e-3,
                beta1: 0.9,
                beta2: 0.99,
                epsilon: 1e-8,
                form: EpsilonForm::PyTorch,
                weight_decay: 0.0,
                step,
            };
            adam.update(&mut context, &mut w, &mut m, &mut v, &[0.0; 16]);
            assert!(m.iter().chain(&v).all(|x| *x == 0.0 || x.abs() >= 1e-30));
        }
        assert_eq!((m, v), ([0.0; 16], [0.0; 16]));
    }
}
