"""Fits the polynomials of `crates/sequela-kernels/src/activation.rs` in f64.

    python3 testdata/activation/fit.py      (NumPy 1.24 or later; a minute at most)

Prints, for 2^f on |f| <= 1/2 and for tanh on |x| <= 9.02, the coefficients from the constant on
(`exp_signed` and `tanh_fraction` list them from the highest power down) and the largest relative
error in exact arithmetic. The fits are minimax in the relative error, found by Lawson's method
(C. L. Lawson 1961): weighted least squares, each point's weight multiplied by its error until all
peaks are level. Last digits depend on the linear algebra library; what the constants are worth in
f32 is measured by the tests of the module.
"""

import numpy as np

ROUNDS = 400


def heavier(weights, errors):
    """Weights for the next round: more where the error is large, never nothing."""
    weights = weights * (errors / errors.max() + 1e-3)
    return weights / weights.sum()


def solve(columns, target, weights):
    """Weighted least squares with columns of equal norm."""
    columns = columns * weights[:, None]
    norms = np.linalg.norm(columns, axis=0)
    found, *_ = np.linalg.lstsq(columns / norms, target * weights, rcond=1e-17)
    return found / norms


def fit_exp2(degree):
    """2^f = 1 + c1 f + ... + cn f^n; the constant is 1, so that exp(0) is exactly 1."""
    f = np.cos(np.linspace(0, np.pi, 4001)) / 2
    f = f[np.abs(f) > 1e-6]
    columns = np.stack([f**k for k in range(1, degree + 1)], axis=1)
    weights, best = np.ones_like(f), (np.inf, None)
    for _ in range(ROUNDS):
        c = solve(columns, np.exp2(f) - 1, np.sqrt(weights) / np.exp2(f))
        errors = np.abs(1 + columns @ c - np.exp2(f)) / np.exp2(f)
        if errors.max() < best[0]:
            best = (errors.max(), c)
        weights = heavier(weights, errors)
    return best[0], [1.0, *best[1]]


def fit_tanh(above, below, limit=9.02):
    """tanh x = x P(x^2) / Q(x^2) with Q(0) = 1, for 0 < x <= limit.

    The fraction is fitted as x P - tanh(x) (Q - 1) = tanh(x), divided by the Q of the round
    before.
    """
    x = (1 - np.cos(np.linspace(0, np.pi, 8001))) / 2 * limit
    x = x[1:]
    tanh, z = np.tanh(x), (x / limit) ** 2
    columns = np.stack(
        [x * z**k for k in range(above + 1)] + [-tanh * z**k for k in range(1, below + 1)], axis=1
    )
    q, weights, best = np.ones_like(x), np.ones_like(x), (np.inf, None)
    for _ in range(ROUNDS):
        c = solve(columns, tanh, np.sqrt(weights) / np.abs(tanh * q))
        p = sum(c[k] * z**k for k in range(above + 1))
        q = 1 + sum(c[above + k] * z**k for k in range(1, below + 1))
        errors = np.abs(x * p / q / tanh - 1)
        if errors.max() < best[0]:
            best = (errors.max(), c)
        weights = heavier(weights, errors)
    error, c = best
    upper = [c[k] / limit ** (2 * k) for k in range(above + 1)]
    lower = [1.0] + [c[above + k] / limit ** (2 * k) for k in range(1, below + 1)]
    return error, upper, lower


def show(name, values):
    print(f"  {name}", " ".join(f"{np.float32(v):.8e}" for v in values))


def main():
    error, c = fit_exp2(6)
    print(f"2^f, degree 6: relative error {error:.1e}")
    show("c", c)
    error, upper, lower = fit_tanh(5, 4)
    print(f"tanh x = x P(x^2) / Q(x^2), degrees 5 and 4: relative error {error:.1e}")
    show("P", upper)
    show("Q", lower)


if __name__ == "__main__":
    main()
