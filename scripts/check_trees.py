"""Checks the boosted trees of sequela from outside: LightGBM on the same twelve summaries.

    python3 scripts/check_trees.py icu/stays.csv icu/outcomes.csv

takes the tables of examples/physionet2012_to_csv.py, computes for each channel what
crates/sequela-train/src/classify/trees/features.rs computes (mean, first, last, lowest, highest, deviation, slope,
mean of the last third and its difference to the first third, share observed, steps before the first and since
the last value) and judges LightGBM in five folds by patient, stopping early on 15 % of each training part, as
`split.folds = 5, fractions = { tune = 0.15 }` does. The folds are dealt by scikit-learn, so that figures agree with
those of `sequela train` within a few thousandths only. Needs numpy, pandas, lightgbm, scikit-learn.
"""

import sys

import lightgbm
import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split


def summaries(table):
    """Twelve numbers of each channel of one stay, and its number of steps."""
    values = table.to_numpy(dtype=float)
    steps = len(values)
    third = max(steps // 3, 1)
    time = np.arange(steps)
    row = []
    for channel in values.T:
        seen = ~np.isnan(channel)
        if not seen.any():
            row += [np.nan] * 9 + [0.0, np.nan, np.nan]
            continue
        x, t = channel[seen], time[seen]
        slope = np.polyfit(t, x, 1)[0] if len(x) > 1 else np.nan
        early, late = x[t < third], x[t + third >= steps]
        early = early.mean() if len(early) else np.nan
        late = late.mean() if len(late) else np.nan
        row += [x.mean(), x[0], x[-1], x.min(), x.max(), x.std(), slope, late, late - early]
        row += [len(x) / steps, t[0], steps - 1 - t[-1]]
    return row + [steps]


def main():
    stays, outcomes = pd.read_csv(sys.argv[1]), pd.read_csv(sys.argv[2])
    key = stays.columns[0]
    label = dict(zip(outcomes[key], outcomes["in_hospital"] == "died"))
    channels = [name for name in stays.columns if name not in (key, "hour")]
    groups = [(stay, part[channels]) for stay, part in stays.groupby(key) if stay in label]
    x = np.array([summaries(part) for _, part in groups])
    y = np.array([label[stay] for stay, _ in groups])
    said = np.zeros(len(y))
    each = []
    for train, test in StratifiedKFold(5, shuffle=True, random_state=1).split(x, y):
        fit, tune = train_test_split(train, test_size=0.15, stratify=y[train], random_state=1)
        model = lightgbm.LGBMClassifier(
            n_estimators=1500, learning_rate=0.04, num_leaves=8, min_child_samples=20, reg_lambda=5.0,
            colsample_bytree=0.3, subsample=0.8, subsample_freq=1, max_bin=64, n_jobs=1, verbose=-1,
        )
        stop = lightgbm.early_stopping(60, verbose=False)
        model.fit(x[fit], y[fit], eval_set=[(x[tune], y[tune])], callbacks=[stop])
        said[test] = model.predict_proba(x[test])[:, 1]
        each.append(roc_auc_score(y[test], said[test]))
    print(f"LightGBM {lightgbm.__version__}, {len(y)} stays, {y.sum()} died, {x.shape[1]} numbers each")
    print(f"AUROC {roc_auc_score(y, said):.4f} pooled, {np.mean(each):.4f} mean of folds ({np.std(each, ddof=1):.4f})")
    print(f"AUPRC {average_precision_score(y, said):.4f} pooled")


main()
