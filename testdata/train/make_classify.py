"""Numbers that the classifier of sequela-train must reproduce: class weights and logistic regression by scikit-learn,
summaries by NumPy, weighted losses by PyTorch in float64.

    python -m venv venv && venv/bin/pip install scikit-learn torch && venv/bin/python testdata/train/make_classify.py

Series are ragged and incomplete; values have few bits, so that float32 holds them. One channel is never observed in
some series. Classes: 0 and 1 for the two-class facts, 0 to 2 for the three-class ones.
"""

import json
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.multiclass import OneVsRestClassifier
from sklearn.utils.class_weight import compute_class_weight

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
STRENGTHS = [0.01, 0.3, 5.0]
CHANNELS = 3


def simulate(random, count):
    series, classes = [], []
    for _ in range(count):
        kind = int(random.choice(3, p=[0.6, 0.25, 0.15]))
        steps = random.randint(2, 10)
        values = random.standard_normal((steps, CHANNELS)) + 0.7 * np.array([kind == 1, kind == 2, kind])
        values = np.round(values * 16) / 16
        values[random.uniform(size=values.shape) < 0.4] = np.nan
        if random.uniform() < 0.2:
            values[:, 2] = np.nan
        series.append(values)
        classes.append(kind)
    return series, np.array(classes)


def summaries(series):
    rows = []
    for values in series:
        row = []
        for channel in values.T:
            seen = channel[~np.isnan(channel)]
            some = [seen.mean(), seen[-1], seen.min(), seen.max()] if len(seen) else [np.nan] * 4
            row += [*some, len(seen) / len(channel)]
        rows.append(row)
    return np.array(rows)


def plain(array):
    return [[None if np.isnan(x) else float(x) for x in row] for row in array]


def losses(random):
    """PyTorch's own weighted losses of given logits, and their gradients."""
    classes = random.choice(3, size=9, p=[0.5, 0.3, 0.2])
    classes[:3] = [0, 1, 2]
    logits = np.round(random.standard_normal((9, 3)) * 64) / 32
    weights = compute_class_weight("balanced", classes=np.arange(3), y=classes)
    z = torch.tensor(logits, requires_grad=True)
    loss = F.cross_entropy(z, torch.tensor(classes), weight=torch.tensor(weights))
    loss.backward()
    odds = np.round(random.standard_normal(9) * 64) / 32
    binary = (classes > 0).astype(float)
    pair = compute_class_weight("balanced", classes=np.arange(2), y=binary.astype(int))
    row = torch.tensor(pair[binary.astype(int)])
    o = torch.tensor(odds, requires_grad=True)
    two = F.binary_cross_entropy_with_logits(o, torch.tensor(binary), weight=row, reduction="sum") / row.sum()
    two.backward()
    return {
        "classes": classes.tolist(), "logits": logits.tolist(), "weights": weights.tolist(),
        "cross_entropy": loss.item(), "cross_entropy_gradient": z.grad.tolist(),
        "binary": binary.astype(int).tolist(), "odds": odds.tolist(), "pair": pair.tolist(),
        "binary_cross_entropy": two.item(), "binary_cross_entropy_gradient": o.grad.tolist(),
    }


def main():
    random = np.random.RandomState(12)
    train, classes = simulate(random, 90)
    tune, tune_classes = simulate(random, 40)
    rows, tune_rows = summaries(train), summaries(tune)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        centre, spread = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)

    def prepared(x):
        return np.where(np.isnan(x), 0.0, (x - centre) / spread)

    x, t = prepared(rows), prepared(tune_rows)

    def regression(strength):
        return LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-13, max_iter=10000)

    facts = {
        "made_with": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, torch {torch.__version__}",
        "strengths": STRENGTHS,
        "train": [plain(s) for s in train], "classes": classes.tolist(),
        "tune": [plain(s) for s in tune], "tune_classes": tune_classes.tolist(),
        "summaries": plain(rows), "centre": centre.tolist(), "spread": spread.tolist(),
        "losses": losses(random),
    }
    for name, y, tune_y in [
        ("two", (classes > 0).astype(int), (tune_classes > 0).astype(int)), ("three", classes, tune_classes),
    ]:
        found = []
        for strength in STRENGTHS:
            model = regression(strength)
            model = model if name == "two" else OneVsRestClassifier(model)
            p = model.fit(x, y).predict_proba(t)
            each = [model] if name == "two" else model.estimators_
            weights = [[*m.coef_[0], m.intercept_[0]] for m in each]
            found.append((log_loss(tune_y, p), strength, weights, p))
        _, strength, weights, p = min(found, key=lambda one: one[0])
        facts[name] = {
            "balanced": compute_class_weight("balanced", classes=np.unique(y), y=y).tolist(),
            "losses": [one[0] for one in found], "strength": strength,
            "weights": weights, "probabilities": p.tolist(),
        }
        print(name, strength, facts[name]["losses"], facts[name]["balanced"])
    Path(__file__).with_name("classify.json").write_text(json.dumps(facts) + "\n")


main()
