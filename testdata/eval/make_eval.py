"""Numbers that the tests of sequela-eval must reproduce to 1e-12: metrics by scikit-learn, bootstrap intervals by NumPy.

    python -m venv venv && venv/bin/pip install scikit-learn && venv/bin/python testdata/eval/make_eval.py

The bootstrap is written here a second time, in NumPy, from its definition: draws by Philox 4x32-10 (Salmon et al. 2011),
whole subjects with replacement, the metric recomputed by scikit-learn's definition on the rows drawn, percentiles by
numpy.quantile. Inputs come from NumPy's legacy generator, whose stream is frozen. Output: one list for each line,
"case/name value value ...", NaN for a target that was not observed.
"""

from pathlib import Path

import numpy as np
import sklearn
from sklearn import metrics
from sklearn.calibration import calibration_curve

OUT = {}


def keep(name, values):
    OUT[name] = [float(v) for v in np.atleast_1d(np.asarray(values, dtype=np.float64)).ravel()]


# ---- the draws ----------------------------------------------------------------------------------------------------

def philox(seed, stream, counters):
    """Philox 4x32-10: words (N, 4) for these counters."""
    low, mask = np.uint64(32), np.uint64(0xFFFFFFFF)
    counters = np.asarray(counters, dtype=np.uint64)
    x = [counters & mask, counters >> low,
         np.full_like(counters, stream & 0xFFFFFFFF), np.full_like(counters, stream >> 32)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p0, p1 = np.uint64(0xD2511F53) * x[0], np.uint64(0xCD9E8D57) * x[2]
        x = [(p1 >> low) ^ x[1] ^ np.uint64(key[0]), p1 & mask, (p0 >> low) ^ x[3] ^ np.uint64(key[1]), p0 & mask]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(x, axis=1)


def draws(seed, replicates, per_replicate, bound):
    """(replicates, per_replicate) integers below bound."""
    index = np.arange(replicates * per_replicate, dtype=np.uint64)
    blocks = philox(seed, 0x626F6F74, index // np.uint64(2))
    at = (2 * (index % np.uint64(2))).astype(int)
    rows = np.arange(len(index))
    words = [(int(a) | int(b) << 32) for a, b in zip(blocks[rows, at], blocks[rows, at + 1])]
    return np.array([(w * bound) >> 64 for w in words]).reshape(replicates, per_replicate)


def units_of(subjects, horizon):
    """Row lists that the bootstrap draws from, and how many it draws."""
    names = list(dict.fromkeys(subjects))
    if len(names) > 1:
        units = [np.flatnonzero(subjects == name) for name in names]
        return units, len(units)
    n = len(subjects)
    root = 1
    while root ** 3 < n:
        root += 1
    block = max(root, horizon)
    return [np.arange(s, s + block) for s in range(n - block + 1)], -(-n // block)


def interval(subjects, horizon, statistic, seed=0, replicates=2000):
    units, count = units_of(subjects, horizon)
    samples = []
    for drawn in draws(seed, replicates, count, len(units)):
        samples.append(statistic(np.concatenate([units[u] for u in drawn])))
    samples = np.array(samples)
    return np.quantile(samples[np.isfinite(samples)], [0.025, 0.975])


# ---- forecasts ------------------------------------------------------------------------------------------------------

def forecast(case, subjects, horizons, truth, weights, model, baseline, scales, seed=0):
    keep(f"{case}/subjects", subjects)
    keep(f"{case}/horizons", horizons)
    keep(f"{case}/truth", truth)
    keep(f"{case}/weights", weights)
    keep(f"{case}/model", model)
    keep(f"{case}/baseline", baseline)
    keep(f"{case}/scales", scales)
    keep(f"{case}/seed", seed)
    for k, horizon in enumerate(horizons):
        seen = np.isfinite(truth[:, k]) & (weights > 0)
        s, w = subjects[seen], weights[seen]
        t, m, b = (a[seen, k].astype(np.float64) for a in (truth, model, baseline))
        scale = np.asarray(scales)[s]

        def mae(rows, x=m):
            return metrics.mean_absolute_error(t[rows], x[rows], sample_weight=w[rows])

        def rmse(rows, x=m):
            return metrics.root_mean_squared_error(t[rows], x[rows], sample_weight=w[rows])

        def bias(rows):
            return np.average(m[rows] - t[rows], weights=w[rows])

        figures = {
            "mae": mae,
            "rmse": rmse,
            "bias": bias,
            "mae_difference": lambda rows: mae(rows) - mae(rows, b),
            "rmse_difference": lambda rows: rmse(rows) - rmse(rows, b),
            "skill": lambda rows: 1 - mae(rows) / mae(rows, b),
            "mase": lambda rows: np.average(np.abs(m[rows] - t[rows]) / scale[rows], weights=w[rows]),
        }
        everything = np.arange(len(t))
        for name, figure in figures.items():
            keep(f"{case}/{name}/{horizon}", [figure(everything), *interval(s, horizon, figure, seed)])


def forecasts():
    r = np.random.RandomState(11)
    subjects = np.repeat(np.arange(7), [9, 1, 14, 5, 20, 3, 8])
    n, horizons = len(subjects), [1, 5, 30]
    truth = (70 + 8 * r.randn(7)[subjects][:, None] + 4 * r.randn(n, 3)).astype(np.float32)
    truth[r.rand(n, 3) < 0.15] = np.nan
    truth[subjects == 1, 2] = np.nan  # a subject without a target at the longest horizon
    filled = np.where(np.isfinite(truth), truth, 0)
    model = (filled + 2 * r.randn(n, 3) + 0.4).astype(np.float32)
    baseline = (filled + 3 * r.randn(n, 3)).astype(np.float32)
    weights = np.where(r.rand(n) < 0.1, 0.0, r.randint(1, 9, n) / 4.0)
    weights[subjects == 1] = 1.0
    scales = 1 + r.randint(0, 8, 7) / 8.0
    forecast("people", subjects, horizons, truth, weights, model, baseline, scales, seed=42)

    n = 120
    subjects, noise = np.zeros(n, dtype=int), np.zeros(n)
    for t in range(1, n):
        noise[t] = 0.7 * noise[t - 1] + r.randn()
    truth = np.stack([80 + noise, 80 + np.roll(noise, -8)], axis=1).astype(np.float32)
    model = np.full((n, 2), 80, np.float32)
    baseline = np.stack([80 + np.roll(noise, 1), 80 + np.roll(noise, 1)], axis=1).astype(np.float32)
    forecast("one", subjects, [1, 8], truth, np.ones(n), model, baseline, [1.25], seed=3)


# ---- classification -------------------------------------------------------------------------------------------------

def binary(case, probability, label, weight):
    keep(f"{case}/probability", probability)
    keep(f"{case}/label", label)
    keep(f"{case}/weight", weight)
    w = weight
    keep(f"{case}/auroc", metrics.roc_auc_score(label, probability, sample_weight=w))
    keep(f"{case}/auprc", metrics.average_precision_score(label, probability, sample_weight=w))
    keep(f"{case}/brier", metrics.brier_score_loss(label, probability, sample_weight=w))
    keep(f"{case}/log_loss", metrics.log_loss(label, probability, sample_weight=w, labels=[0, 1]))


def classification():
    r = np.random.RandomState(12)
    n = 300
    label = r.rand(n) < 0.3
    probability = np.clip(0.3 + 0.3 * (label - 0.3) + 0.2 * r.randn(n), 0, 1)  # some exactly 0 and 1
    binary("smooth", probability, label, np.ones(n))
    binary("ties", np.round(probability, 1), label, np.ones(n))
    weight = np.where(r.rand(n) < 0.2, 0.0, r.randint(1, 9, n) / 4.0)
    binary("weights", np.round(probability, 1), label, weight)
    binary("rare", r.rand(1000), np.arange(1000) % 250 == 7, r.rand(1000))
    binary("pair", np.array([0.25, 0.75]), np.array([True, False]), np.array([2.0, 3.0]))

    subjects = r.randint(0, 25, n)
    keep("smooth/subjects", subjects)
    auroc = interval(subjects, 1, lambda rows: metrics.roc_auc_score(label[rows], probability[rows]), seed=5)
    keep("smooth/auroc_interval", auroc)

    k, n = 4, 200
    truth = r.randint(0, k, n)
    scores = np.exp(r.randn(n, k) + 2 * (np.arange(k) == truth[:, None]))
    probability = scores / scores.sum(axis=1, keepdims=True)
    weight = r.rand(n)
    decided = probability.argmax(axis=1)
    keep("classes/probability", probability)
    keep("classes/truth", truth)
    keep("classes/decided", decided)
    keep("classes/weight", weight)
    keep("classes/log_loss", metrics.log_loss(truth, probability, sample_weight=weight, labels=range(k)))
    keep("classes/accuracy", metrics.accuracy_score(truth, decided, sample_weight=weight))
    keep("classes/confusion", metrics.confusion_matrix(truth, decided, sample_weight=weight))
    keep("classes/sensitivity", metrics.recall_score(truth, decided, average=None, sample_weight=weight))
    keep("classes/precision", metrics.precision_score(truth, decided, average=None, sample_weight=weight))
    keep("classes/f1", metrics.f1_score(truth, decided, average=None, sample_weight=weight))
    keep("classes/specificity", [
        metrics.recall_score(truth != c, decided != c, sample_weight=weight) for c in range(k)])


def classifiers():
    """Whole classifiers: every figure, macro means for several classes, paired differences, thresholds, calibration."""
    r = np.random.RandomState(13)
    n = 240
    subjects = r.randint(0, 60, n)
    keep("whole/subjects", subjects)
    for case, k in [("whole2", 2), ("whole3", 3)]:
        truth = r.choice(k, n, p=[0.7, 0.3] if k == 2 else [0.5, 0.3, 0.2])
        keep(f"{case}/truth", truth)
        said = {}
        for name, skill in [("model", 1.2), ("other", 0.6)]:
            scores = np.exp(r.randn(n, k) + skill * (np.arange(k) == truth[:, None]))
            p = scores / scores.sum(axis=1, keepdims=True)
            decided = (p[:, 1] >= 0.4).astype(int) if k == 2 else p.argmax(axis=1)
            said[name] = p
            keep(f"{case}/{name}", p)
            keep(f"{case}/{name}/decided", decided)
        p, decided = said["model"], np.array(OUT[f"{case}/model/decided"]).astype(int)
        is_class = np.arange(k) == truth[:, None]
        columns = [1] if k == 2 else range(k)

        def auroc(rows, p=p):
            return np.mean([metrics.roc_auc_score(is_class[rows, c], p[rows, c]) for c in columns])

        def auprc(rows, p=p):
            return np.mean([metrics.average_precision_score(is_class[rows, c], p[rows, c]) for c in columns])

        def brier(rows, p=p):
            return np.mean(np.sum((p[rows][:, columns] - is_class[rows][:, columns]) ** 2, axis=1))

        def loss(rows, p=p):
            return metrics.log_loss(truth[rows], p[rows], labels=range(k))

        average = {"pos_label": 1, "average": "binary"} if k == 2 else {"average": "macro"}
        everything = np.arange(n)
        keep(f"{case}/figures", [
            auroc(everything), auprc(everything), brier(everything), loss(everything),
            np.mean(truth) - np.mean(p[:, 1]) if k == 2 else np.nan,
            metrics.accuracy_score(truth, decided), metrics.recall_score(truth, decided, **average),
            np.mean([metrics.recall_score(truth != c, decided != c) for c in columns]),
            metrics.precision_score(truth, decided, **average), metrics.f1_score(truth, decided, **average)])
        for name, figure in [("auroc", auroc), ("auprc", auprc), ("brier", brier), ("log_loss", loss)]:
            keep(f"{case}/{name}", [figure(everything), *interval(subjects, 1, figure)])
            other = said["other"]
            both = lambda rows, figure=figure: figure(rows) - figure(rows, other)  # noqa: E731
            keep(f"{case}/{name}/difference", [both(everything), *interval(subjects, 1, both)])
        def kappa(rows, decided=decided):
            return metrics.cohen_kappa_score(truth[rows], decided[rows], labels=range(k))

        def accuracy(rows, decided=decided):
            return metrics.accuracy_score(truth[rows], decided[rows])

        others = np.array(OUT[f"{case}/other/decided"]).astype(int)
        for name, figure in [("kappa", kappa), ("accuracy", accuracy)]:
            keep(f"{case}/{name}", [figure(everything), *interval(subjects, 1, figure)])
            both = lambda rows, figure=figure: figure(rows) - figure(rows, others)  # noqa: E731
            keep(f"{case}/{name}/difference", [both(everything), *interval(subjects, 1, both)])
        if k == 2:
            thresholds = [0.4, 0.1, 0.2, 0.6]
            keep("whole2/thresholds", thresholds)

            def net_benefit(rows, t):
                y, acted = truth[rows] == 1, p[rows, 1] >= t
                return (np.sum(acted & y) - np.sum(acted & ~y) * t / (1 - t)) / len(rows)

            keep("whole2/net_benefit", [
                [net_benefit(everything, t), *interval(subjects, 1, lambda rows, t=t: net_benefit(rows, t))]
                for t in thresholds])
            # Eight groups by rank, no ties; they stay what they are while subjects are drawn.
            group = np.argsort(np.argsort(p[:, 1])) * 8 // n

            def share(rows, g):
                return np.mean(truth[rows][group[rows] == g] == 1)

            keep("whole2/observed", [
                [share(everything, g), *interval(subjects, 1, lambda rows, g=g: share(rows, g))] for g in range(8)])
            false_alarms, found, _ = metrics.roc_curve(truth, p[:, 1], drop_intermediate=False)
            keep("whole2/youden", np.max(found - false_alarms))
            precision, recall, _ = metrics.precision_recall_curve(truth, p[:, 1])
            with np.errstate(invalid="ignore"):
                keep("whole2/best_f1", np.nanmax(2 * precision * recall / (precision + recall)))
            keep("whole2/roc", np.stack([false_alarms, found], axis=1))
            keep("whole2/calibration", np.stack(calibration_curve(truth, p[:, 1], n_bins=8, strategy="quantile"), axis=1))


def write(script):
    lines = [f"# made by {script} with scikit-learn {sklearn.__version__}, NumPy {np.__version__}"]
    lines += [f"{name} {' '.join(repr(v) for v in values)}" for name, values in OUT.items()]
    (Path(__file__).parent / script.replace("make_", "").replace(".py", ".txt")).write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    forecasts()
    classification()
    classifiers()
    write("make_eval.py")
