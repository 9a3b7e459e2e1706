//! Quantiles, one way for scales, envelopes and intervals.

/// The quantile of sorted values at a share from 0 to 1, linear between neighbours; none of no
/// values.
///
/// **Missing data** values must not be NaN. **Source** Hyndman and Fan 1996, *Sample quantiles in
/// statistical packages*, type 7, which is `NumPy`'s default.
///
/// # Example
/// ```
/// use sequela_core::quantile;
/// assert_eq!(quantile(&[1.0, 2.0, 4.0, 8.0], 0.5), Some(3.0));
/// assert_eq!(quantile(&[], 0.5), None);
/// ```
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share.clamp(0.0, 1.0) * last as f64;
    let whole = libm::floor(position);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "position lies in 0..=last"
    )]
    let below = (whole as usize).min(last);
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * (position - whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        // numpy.quantile([1, 2, 4, 8], [0.1, 0.5, 0.9, 1])
        let x = [1.0, 2.0, 4.0, 8.0];
        for (share, want) in [(0.1, 1.3), (0.5, 3.0), (0.9, 6.8), (1.0, 8.0)] {
            assert!((quantile(&x, share).unwrap() - want).abs() < 1e-15, "{share}");
        }
        assert_eq!(quantile(&[7.0], 0.3), Some(7.0));
    }
}
