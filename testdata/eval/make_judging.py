"""Numbers that the tests of sequela-eval must reproduce to 1e-12: calibration, recalibration, decision curves, the scores
of the PhysioNet/CinC Challenges 2012 and 2019, and intervals within strata.

    python -m venv venv && venv/bin/pip install scikit-learn && venv/bin/python testdata/eval/make_judging.py

Calibration lines and Platt's map are found by Newton's method in NumPy and looked at against scikit-learn and SciPy
(which stop earlier); isotonic regression, ranks and decisions are scikit-learn's. The utility of the challenge of 2019
is written from its definition (Reyna et al., Critical Care Medicine 48 (2020) 210: a piecewise linear worth of each hour)
as a table of hours from the onset; it agrees to the last bit but four with `evaluate_sepsis_score.py` of
https://github.com/physionetchallenges/evaluation-2019 where that file is given: make_judging.py PATH-OF-SCORER.
"""

import importlib.util
import sys

import numpy as np
from make_eval import OUT, draws, keep, write
from scipy.optimize import minimize, minimize_scalar
from sklearn import isotonic, metrics
from sklearn.calibration import _sigmoid_calibration
from sklearn.linear_model import LogisticRegression

EPS = 2.0 ** -52


def logit(p):
    p = np.clip(p, EPS, 1 - EPS)
    return np.log(p) - np.log1p(-p)


def newton(x, y, w, offset):
    """Weights of an unpenalised logistic regression on the columns of x."""
    b = np.zeros(x.shape[1])
    for _ in range(200):
        p = 1 / (1 + np.exp(-(x @ b + offset)))
        step = np.linalg.solve((x * (w * p * (1 - p))[:, None]).T @ x, x.T @ (w * (p - y)))
        b = b - step
        if np.abs(step).max() < 1e-15:
            break
    return b


def line(p, y, w):
    """Calibration in the large and slope."""
    z, one = logit(p), np.ones((len(p), 1))
    intercept = newton(one, y, w, z)[0]
    slope = newton(np.stack([z, one[:, 0]], axis=1), y, w, 0 * z)[0]
    seen = w > 0
    theirs = LogisticRegression(penalty=None, tol=1e-10, max_iter=1000).fit(z[seen, None], y[seen], sample_weight=w[seen])
    assert abs(theirs.coef_[0, 0] - slope) < 1e-4, (theirs.coef_, slope)
    return intercept, slope


def ece(p, y, w):
    bins = np.searchsorted(np.arange(1, 10) / 10, p, side="right")
    return sum(abs(np.sum((w * (y - p))[bins == b])) for b in range(10)) / w.sum()


def sensitivity_at(p, y, w, specificity=0.95):
    false_alarms, found, _ = metrics.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    return found[false_alarms <= 1 - specificity + 1e-12].max()


def event_1(decided, y, w):
    return min(metrics.recall_score(y, decided, sample_weight=w),
               metrics.precision_score(y, decided, sample_weight=w, zero_division=0))


def net_benefit(p, y, w, t):
    (_, fp), (_, tp) = metrics.confusion_matrix(y, p >= t, sample_weight=w, labels=[0, 1]) / w.sum()
    return tp - fp * t / (1 - t)


def two_classes():
    r = np.random.RandomState(21)
    n = 400
    y = (r.rand(n) < 0.25).astype(int)
    p = 1 / (1 + np.exp(-(1.6 * (y - 0.6) + 1.2 * r.randn(n) - 0.4)))
    weight = np.where(r.rand(n) < 0.2, 0.0, r.randint(1, 9, n) / 4.0)
    cases = {"smooth": (p, np.ones(n)), "ties": (np.round(p, 1), np.ones(n)), "weights": (np.round(p, 2), weight)}
    keep("label", y)
    thresholds = [0.05, 0.1, 0.25, 0.5, 0.75]
    keep("thresholds", thresholds)
    for case, (p, w) in cases.items():
        keep(f"{case}/probability", p)
        keep(f"{case}/weight", w)
        keep(f"{case}/line", line(p, y, w))
        keep(f"{case}/ece", ece(p, y, w))
        keep(f"{case}/sensitivity_at_95", sensitivity_at(p, y, w))
        keep(f"{case}/event_1", event_1(p >= 0.4, y, w))
        keep(f"{case}/net_benefit", [net_benefit(p, y, w, t) for t in thresholds])
        keep(f"{case}/net_benefit_all", [net_benefit(np.ones(n), y, w, t) for t in thresholds])
    p = cases["smooth"][0]
    best = max(event_1(p >= t, y, np.ones(n)) for t in np.unique(p))
    keep("best_event_1", best)
    precision, recall, _ = metrics.precision_recall_curve(y, p)
    # scikit-learn's curve rises with the score, ends at (0, 1), and has every distinct score.
    keep("precision_recall", np.stack([recall[:-1], precision[:-1]], axis=1)[::-1])


def strata():
    """Intervals where a class is rare: subjects are drawn within classes."""
    r = np.random.RandomState(22)
    subjects = np.repeat(np.arange(90), r.randint(1, 4, 90))
    ill = np.isin(subjects, r.choice(90, 12, replace=False))
    p = np.clip(0.2 + 0.3 * ill + 0.15 * r.randn(len(ill)), 0.01, 0.99)
    keep("rare/subjects", subjects)
    keep("rare/truth", ill)
    keep("rare/probability", p)
    keep("rare/decided", p >= 0.4)
    # The rarer class first; subjects in order of their first row.
    units = [np.flatnonzero(subjects == s) for s in range(90)]
    parts = [[u for u in units if ill[u[0]]], [u for u in units if not ill[u[0]]]]
    words = philox_words(2000, 90)
    samples = {"auroc": [], "event_1": [], "slope": []}
    for row in words:
        rows, at = [], 0
        for part in parts:
            for _ in part:
                rows.append(part[(row[at] * len(part)) >> 64])
                at += 1
        rows = np.concatenate(rows)
        samples["auroc"].append(metrics.roc_auc_score(ill[rows], p[rows]))
        samples["event_1"].append(event_1(p[rows] >= 0.4, ill[rows], np.ones(len(rows))))
        # Few draws of the slope suffice to know that it is the same function.
        if len(samples["slope"]) < 200:
            x = np.stack([logit(p[rows]), np.ones(len(rows))], axis=1)
            samples["slope"].append(newton(x, ill[rows].astype(float), np.ones(len(rows)), 0.0)[0])
    for name, sample in samples.items():
        keep(f"rare/{name}", np.quantile(sample, [0.025, 0.975]))


def philox_words(replicates, each):
    """The 64-bit words that draws() scales."""
    import make_eval
    index = np.arange(replicates * each, dtype=np.uint64)
    blocks = make_eval.philox(0, 0x626F6F74, index // np.uint64(2))
    at = (2 * (index % np.uint64(2))).astype(int)
    rows = np.arange(len(index))
    words = [int(a) | int(b) << 32 for a, b in zip(blocks[rows, at], blocks[rows, at + 1])]
    assert (words[0] * 90) >> 64 == draws(0, 1, 1, 90)[0, 0]
    return [words[k * each:(k + 1) * each] for k in range(replicates)]


def recalibration():
    r = np.random.RandomState(23)
    n = 250
    y = (r.rand(n) < 0.3).astype(int)
    p = np.round(1 / (1 + np.exp(-2.5 * (y - 0.5 + 0.9 * r.randn(n)))), 2)
    new = np.concatenate([[0.0, 1.0, 0.005, 0.333], r.rand(20)])
    keep("again/label", y)
    keep("again/probability", p)
    keep("again/new", new)

    ones, total = y.sum(), n - y.sum()
    target = np.where(y == 1, (ones + 1) / (ones + 2), 1 / (total + 2))
    z = logit(p)
    slope, intercept = newton(np.stack([z, np.ones(n)], axis=1), target, np.ones(n), 0.0)
    a, b = _sigmoid_calibration(z, y)
    assert abs(a + slope) < 1e-3 and abs(b + intercept) < 1e-3, (a, b, slope, intercept)
    keep("again/platt", [slope, intercept])
    keep("again/platt_new", 1 / (1 + np.exp(-(slope * logit(new) + intercept))))

    rising = isotonic.IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(p, y)
    keep("again/isotonic_new", rising.predict(new))

    for k, name in [(2, "again"), (3, "three")]:
        truth = y if k == 2 else r.choice(3, n, p=[0.5, 0.3, 0.2])
        if k == 2:
            q = np.stack([1 - p, p], axis=1)
        else:
            q = np.exp(2 * r.randn(n, k) + 1.5 * (np.arange(k) == truth[:, None]))
            q /= q.sum(axis=1, keepdims=True)
            keep("three/truth", truth)
            keep("three/probability", q)
        logs = np.log(np.maximum(q, EPS))
        inverse = 1.0
        for _ in range(200):
            s = np.exp(inverse * logs - (inverse * logs).max(axis=1, keepdims=True))
            s /= s.sum(axis=1, keepdims=True)
            mean = (s * logs).sum(axis=1)
            inverse -= (mean - logs[np.arange(n), truth]).sum() / ((s * logs ** 2).sum(axis=1) - mean ** 2).sum()
        found = minimize_scalar(
            lambda b: np.sum(np.log(np.exp(b * logs).sum(axis=1)) - b * logs[np.arange(n), truth]), bounds=(0.01, 10), method="bounded")
        assert abs(found.x - inverse) < 1e-4, (found.x, inverse)
        keep(f"{name}/temperature", 1 / inverse)
    theirs = minimize(lambda b: np.sum(np.logaddexp(0, b[0] * z + b[1]) - target * (b[0] * z + b[1])), [1, 0])
    assert np.allclose(theirs.x, [slope, intercept], atol=1e-4)


# ---- the challenge of 2019 ------------------------------------------------------------------------------------------

def worth(since, warned):
    """What an hour is worth, `since` hours from the onset of sepsis."""
    if since > 3:
        return 0.0
    if warned:
        rising, falling = (since + 12) / 6, (3 - since) / 9
        return max(rising, -0.05) if since <= -6 else falling
    return 0.0 if since <= -6 else -2 * (since + 6) / 9


def utility(labels, warned):
    hours = np.arange(len(labels))
    if not labels.any():
        return -0.05 * np.sum(warned)
    onset = np.argmax(labels) + 6
    return sum(worth(h - onset, w) for h, w in zip(hours, warned))


def sepsis():
    r = np.random.RandomState(24)
    scorer = None
    if len(sys.argv) > 1:
        spec = importlib.util.spec_from_file_location("scorer", sys.argv[1])
        scorer = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(scorer)
    given, best, none, lengths, labels, warnings = [], [], [], [], [], []
    for patient in range(60):
        n = r.randint(1, 60)
        label = np.zeros(n, dtype=int)
        if r.rand() < 0.35:
            label[r.randint(0, n):] = 1
        warned = (r.rand(n) < 0.15 + 0.4 * label).astype(int)
        ideal = np.zeros(n, dtype=int)
        if label.any():
            onset = np.argmax(label) + 6
            ideal[max(0, onset - 12):min(onset + 4, n)] = 1
        for out, w in [(given, warned), (best, ideal), (none, 0 * label)]:
            out.append(utility(label, w))
            if scorer is not None:
                theirs = scorer.compute_prediction_utility(label, w)
                assert abs(theirs - out[-1]) < 1e-12, (patient, theirs, out[-1])
        lengths.append(n)
        labels.extend(label)
        warnings.extend(warned)
    given, best, none = map(np.array, (given, best, none))
    keep("sepsis/lengths", lengths)
    keep("sepsis/labels", labels)
    keep("sepsis/warnings", warnings)
    keep("sepsis/utility", (given - none).sum() / (best - none).sum())
    samples = [(given - none)[d].sum() / (best - none)[d].sum() for d in draws(0, 2000, 60, 60)]
    keep("sepsis/interval", np.quantile(samples, [0.025, 0.975]))
    if scorer is not None:
        print("agrees with the published scorer on every patient")


two_classes()
strata()
recalibration()
sepsis()
write("make_judging.py")
