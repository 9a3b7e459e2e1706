"""Writes steps.json: a small made cohort, what each of its steps looks like, and where the steps of
others lie, by NumPy alone (numpy.quantile, plain loops over prefixes).

python3 make_steps.py > steps.json
"""
import json

import numpy as np

RECENT, TAIL, SLACK, RARELY, ENOUGH = 7, 0.001, 0.005, 0.01, 1000
NAMES = ["pulse", "lactate", "temperature"]


def stay(random, steps, pulse=80.0, hours=1.0, lactate=0.25):
    """Rows of three channels, None where missing, and the hours."""
    rows, level = [], pulse + 12 * random.standard_normal()
    for _ in range(steps):
        row = [
            level + 5 * random.standard_normal(),
            1.5 + 0.4 * random.standard_normal() if random.random() < lactate else None,
            36.8 + 0.4 * random.standard_normal() if random.random() < 0.6 else None,
        ]
        rows.append([None if v is None else float(np.float32(round(v, 2))) for v in row])
    times = np.cumsum(np.r_[0.0, np.full(steps - 1, hours)]) if steps else np.array([])
    return {"rows": rows, "times": [float(t) for t in times]}


def look(stay, steps):
    """What a stay looks like after some steps: all from the prefix anew."""
    rows = stay["rows"][:steps]
    cells = np.array([[np.nan if v is None else np.float32(v) for v in row] for row in rows], float)
    seen = ~np.isnan(cells)
    gaps = np.diff(np.array(stay["times"][:steps]))[-RECENT:]
    middle = [np.median(cells[seen[:, c], c][-RECENT:]) if seen[:, c].any() else None for c in range(3)]
    return {
        "missing": float((~seen).mean()),
        "interval": float(np.median(gaps)) if len(gaps) else None,
        "count": [int(n) for n in seen.sum(0)],
        "middle": [None if m is None else float(m) for m in middle],
        "steps": steps,
    }


def ends(values):
    values = [v for v in values if v is not None]
    return [float(q) for q in np.quantile(values, [TAIL, 1 - TAIL])] if values else None


def bands(train):
    lengths = np.array([len(s["rows"]) for s in train])
    enough = max(min(len(train) // 2, ENOUGH), len(train) // 100, 1)
    firsts = [1]
    while (lengths >= 2 * firsts[-1]).sum() >= enough:
        firsts.append(2 * firsts[-1])
    longest = float(np.quantile(lengths, 1 - TAIL))
    told = []
    for first in firsts:
        last = first == firsts[-1]
        looks = []
        for turn, at in enumerate(np.flatnonzero(lengths >= first)):
            top = lengths[at] if last else min(lengths[at], 2 * first - 1)
            looks.append(look(train[at], first + turn % (top - first + 1)))
        channels = []
        for c in range(3):
            with_it = [l for l in looks if l["count"][c] > 0]
            channels.append({
                "middle": ends([l["middle"][c] for l in with_it]),
                "observed": ends([l["count"][c] / l["steps"] for l in with_it]) or [0.0, 0.0],
                "absent": 1 - len(with_it) / len(looks),
            })
        told.append({
            "steps": [first, longest if last else 2 * first - 1],
            "missing": ends([l["missing"] for l in looks]),
            "interval": ends([l["interval"] for l in looks]),
            "channels": channels,
        })
    return told


def beyond(value, ends):
    room = 0.01 * (ends[1] - ends[0]) + 1e-6 * max(abs(ends[0]), abs(ends[1]))
    return "low" if value < ends[0] - room else "high" if value > ends[1] + room else None


def place(l, told):
    """Names of what is outside, in order; "" for the series."""
    band = told[min(int(np.log2(l["steps"])), len(told) - 1)]
    out, nothing = [], not any(l["count"])
    if nothing:
        out.append("")
    if beyond(l["steps"], band["steps"]):
        out.append("")
    if not nothing and l["missing"] > band["missing"][1] + SLACK:
        out.append("")
    if l["interval"] is not None and band["interval"] and beyond(l["interval"], band["interval"]):
        out.append("")
    for c, name in enumerate(NAMES):
        known = band["channels"][c]
        if l["count"][c] == 0:
            if known["absent"] < RARELY and known["middle"] and not nothing:
                out.append(name)
        elif known["middle"] is None:
            out.append(name)
        else:
            if beyond(l["middle"][c], known["middle"]):
                out.append(name)
            if l["count"][c] > 2 and l["count"][c] / l["steps"] > known["observed"][1] + SLACK:
                out.append(name)
    return out


def main():
    random = np.random.default_rng(22)
    train = [stay(random, int(random.integers(3, 40))) for _ in range(150)]
    others = [stay(random, int(random.integers(1, 45))) for _ in range(12)]
    others.append(stay(random, 30, pulse=190.0))  # too fast
    others.append(stay(random, 12, hours=4.0))  # steps too far apart
    others.append(stay(random, 20, lactate=1.0))  # measured too often
    changed = stay(random, 30)  # from hour 15 on in another unit
    for row in changed["rows"][15:]:
        row[2] = None if row[2] is None else float(np.float32(row[2] * 1.8 + 32))
    others.append(changed)
    empty = stay(random, 9)
    empty["rows"] = [[None] * 3] * 5 + empty["rows"][5:]  # nothing at first
    others.append(empty)
    lost = stay(random, 30)
    lost["rows"] = [[None, row[1], row[2]] for row in lost["rows"]]  # no pulse at all
    others.append(lost)
    told = bands(train)
    for one in others:
        looks = [look(one, steps) for steps in range(1, len(one["rows"]) + 1)]
        one["missing"] = [l["missing"] for l in looks]
        one["outside"] = [place(l, told) for l in looks]
    print(json.dumps({"names": NAMES, "train": train, "bands": told, "others": others}))


main()
