"""Direct autoregression by numpy.linalg.lstsq: the oracle of crates/sequela-train/src/autoregression.rs.

    python make_autoregression.py    # autoregression.json

Two series of numbers that float32 holds exactly; windows of LENGTH steps at every start. For each order the regressors of a
window are 1 and the last `order` values less the mean of both series; the target is the value `horizon` steps later, less the mean.
The order kept is the one with the least squared error over the windows of the third series, each horizon's error divided by
its mean squared target in training.
"""

import json
from pathlib import Path

import numpy as np

LENGTH, HORIZONS, HIGHEST = 8, [1, 3], 6


def simulate(random, steps):
    values = [0.0, 0.0, 0.0]
    for _ in range(steps + 50):
        values.append(0.6 * values[-1] - 0.5 * values[-2] + 0.3 * values[-3] + random.normal())
    return np.round((70 + 4 * np.array(values[-steps:])) * 16) / 16


def rows(series, mean, order, horizon):
    """Regressors and targets of all windows whose furthest target lies inside the series."""
    last = np.arange(LENGTH - 1, len(series) - max(HORIZONS))
    lags = np.stack([series[last - lag] - mean for lag in range(order)], axis=1)
    return np.hstack([np.ones((len(last), 1)), lags]), series[last + horizon] - mean


def main():
    random = np.random.RandomState(5)
    train = [simulate(random, 150), simulate(random, 90)]
    tune = simulate(random, 80)
    mean = np.concatenate(train).mean()
    orders, errors = {}, []
    for order in range(1, HIGHEST + 1):
        coefficients, error = [], 0.0
        for horizon in HORIZONS:
            parts = [rows(series, mean, order, horizon) for series in train]
            x = np.vstack([part[0] for part in parts])
            y = np.concatenate([part[1] for part in parts])
            solution = np.linalg.lstsq(x, y, rcond=None)[0]
            coefficients.append(solution.tolist())
            x, truth = rows(tune, mean, order, horizon)
            error += float(np.sum((truth - x @ solution) ** 2) / np.mean(y**2))
        orders[order] = coefficients
        errors.append(error)
    facts = {
        "made_with": f"numpy {np.__version__}",
        "length": LENGTH,
        "horizons": HORIZONS,
        "highest": HIGHEST,
        "train": [series.tolist() for series in train],
        "tune": tune.tolist(),
        "mean": float(mean),
        "errors": errors,
        "order": int(np.argmin(errors)) + 1,
        "coefficients": orders[int(np.argmin(errors)) + 1],
    }
    Path(__file__).with_name("autoregression.json").write_text(json.dumps(facts, indent=1) + "\n")
    print(facts["order"], errors)


main()
