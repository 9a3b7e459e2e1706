//! The natural logarithm, rounded correctly.
//!
//! Computed in pairs of f64 (about 106 bits), from `log x = k log 2 + 2 atanh((m - 1) / (m + 1))`
//! with `x = 2^k m`. Far slower than `libm::log`, which is off by one in the last place now and
//! then; used where the bits of another library have to be met.
//!
//! **Source** Dekker, "A floating-point technique for extending the available precision",
//! Numerische Mathematik 18 (1971) 224.

use std::f64::consts::{LN_2, SQRT_2};

/// The logarithm as glibc 2.28 and later gives it: rounded correctly, but for the numbers in
/// [`ROUNDED_OTHERWISE`]. glibc promises 0.519 units in the last place, not 0.5; that list holds
/// what the article's series meets, not all there is.
pub(super) fn log_of_glibc(x: f64) -> f64 {
    let other = ROUNDED_OTHERWISE.iter().find(|(bits, _)| *bits == x.to_bits());
    other.map_or_else(|| log(x), |(_, bits)| f64::from_bits(*bits))
}

/// The logarithm of a positive normal number; of any other, what `libm::log` says.
fn log(x: f64) -> f64 {
    if !(x.is_normal() && x > 0.0) {
        return libm::log(x);
    }
    let bits = x.to_bits();
    let mut exponent = f64::from(u32::try_from(bits >> 52).unwrap_or(0)) - 1023.0;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > SQRT_2 {
        mantissa /= 2.0;
        exponent += 1.0;
    }
    // The difference is exact; the sum may not be.
    let s = Pair(mantissa - 1.0, 0.0).over(sum(mantissa, 1.0));
    let square = s.times(s);
    // |s| < 0.172, so 22 terms reach beyond 2^-110.
    let mut series = Pair(0.0, 0.0);
    for term in (0..22).rev() {
        let coefficient = Pair(1.0, 0.0).over(Pair(f64::from(2 * term + 1), 0.0));
        series = series.times(square).plus(coefficient);
    }
    let atanh = s.times(series);
    let Pair(high, low) =
        Pair(LN_2, LN_2_REST).times(Pair(exponent, 0.0)).plus(Pair(2.0 * atanh.0, 2.0 * atanh.1));
    high + low
}

/// A number as the sum of two, the second below the last place of the first.
#[derive(Debug, Clone, Copy)]
struct Pair(f64, f64);

impl Pair {
    fn plus(self, other: Self) -> Self {
        let Pair(high, rest) = sum(self.0, other.0);
        let Pair(low, lowest) = sum(self.1, other.1);
        let Pair(high, rest) = fast_sum(high, rest + low);
        fast_sum(high, rest + lowest)
    }

    fn times(self, other: Self) -> Self {
        let high = self.0 * other.0;
        let rest = self.0.mul_add(other.0, -high);
        fast_sum(high, rest + (self.0 * other.1 + self.1 * other.0))
    }

    fn over(self, other: Self) -> Self {
        let first = self.0 / other.0;
        let rest = self.plus(other.times(Pair(-first, 0.0)));
        let second = rest.0 / other.0;
        let rest = rest.plus(other.times(Pair(-second, 0.0)));
        fast_sum(first, second).plus(Pair(rest.0 / other.0, 0.0))
    }
}

/// The exact sum of two numbers.
fn sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    let part = high - a;
    Pair(high, (a - (high - part)) + (b - part))
}

/// The exact sum of two numbers, the first being the larger.
fn fast_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    Pair(high, b - (high - a))
}

/// log 2 less its nearest f64.
const LN_2_REST: f64 = 2.319_046_813_846_299_6e-17;

/// Bits of a number, and of its logarithm in glibc 2.36.
const ROUNDED_OTHERWISE: [(u64, u64); 1] = [(0x3FEE_7C3C_A362_C8D0, 0xBFA8_D3D9_D28B_9270)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_logarithms() {
        // From Python's decimal module with 60 digits, rounded to f64.
        assert_eq!(log(f64::from_bits(0x3FEE_7C3C_A362_C8D0)).to_bits(), 0xBFA8_D3D9_D28B_926F);
        assert_eq!(log(2.0).to_bits(), LN_2.to_bits());
        assert_eq!(log(1e-300).to_bits(), (-690.775_527_898_213_7_f64).to_bits());
    }

    #[test]
    fn stays_within_one_place_of_the_usual_one() {
        for step in 1..20_000_u32 {
            let x = f64::from(step) * 7.3e-5;
            let difference = log(x).to_bits().abs_diff(libm::log(x).to_bits());
            assert!(difference <= 1, "log {x} is off by {difference}");
        }
        assert_eq!(log(1.0).to_bits(), 0.0_f64.to_bits());
        assert!(log(-1.0).is_nan() && log(0.0).is_infinite());
    }
}
