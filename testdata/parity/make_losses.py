"""Dumps of losses in float64 (torch): each element's value, four reductions, and their gradients.

Reductions over elements l, row weights w and presence m (0 or 1):
mean = sum(l) / count, present = sum(m l) / sum(m), weighted = sum(w l) / sum(w) and
weighted_present = sum(w m l) / sum(w m).
No element lies on a kink, where a gradient is a convention.
"""

import numpy as np
from common import check_gradient, save, single
from sklearn.metrics import mean_pinball_loss

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
VERSION = f"torch {torch.__version__}"
ROWS, COLUMNS, CLASSES = 11, 3, 4


def reductions(each, weights, present):
    """Yields (name, scalar); weights and present spread over the columns."""
    weights, present = weights.expand_as(each), present.expand_as(each)
    yield "mean", each.mean()
    yield "present", (present * each).sum() / present.sum()
    yield "weighted", (weights * each).sum() / weights.sum()
    yield "weighted_present", (weights * present * each).sum() / (weights * present).sum()


def add(saved, name, each_of, prediction, weights, present):
    """Adds `name`.each, `name`.<reduction> and `name`.<reduction>.grad for a loss given per element."""
    with torch.no_grad():
        saved[f"{name}.each"] = each_of(torch.from_numpy(prediction)).numpy()
    for index, (reduction, _) in enumerate(reductions(torch.ones(1), torch.ones(1), torch.ones(1))):
        def value_of(tensor, index=index):
            return list(reductions(each_of(tensor), weights, present))[index][1]

        tensor = torch.from_numpy(prediction.copy()).requires_grad_()
        value = value_of(tensor)
        value.backward()
        gradient = tensor.grad.numpy()
        check_gradient(
            f"{name}.{reduction}", lambda at: value_of(torch.from_numpy(at["p"])).item(),
            {"p": prediction}, {"p": gradient}, step=1e-5,
        )
        saved[f"{name}.{reduction}"] = np.array([value.item()])
        saved[f"{name}.{reduction}.grad"] = gradient


def agree(saved, key, value):
    """Compares a saved scalar with the framework's own reduction."""
    np.testing.assert_allclose(saved[key][0], float(value), rtol=1e-13)


def row_facts(random):
    """Returns row weights (one of them 0) and the presence of each element, with one row wholly missing."""
    weights = single(random.uniform(0.2, 3.0, ROWS))
    weights[3] = 0.0
    present = (random.uniform(size=(ROWS, COLUMNS)) < 0.7).astype(np.float64)
    present[6] = 0.0
    return weights, present


def make_regression():
    random = np.random.RandomState(31)
    prediction = single(random.standard_normal((ROWS, COLUMNS)))
    target = single(prediction + random.standard_normal((ROWS, COLUMNS)) * np.logspace(-2, 1, COLUMNS))
    weights, present = row_facts(random)
    saved = {"prediction": prediction, "target": target, "weights": weights, "present": present}
    w, m, t = torch.from_numpy(weights)[:, None], torch.from_numpy(present), torch.from_numpy(target)
    p = torch.from_numpy(prediction)

    def pinball(level):
        return lambda at: torch.where(t > at, level * (t - at), (1 - level) * (at - t))

    add(saved, "mse", lambda at: F.mse_loss(at, t, reduction="none"), prediction, w, m)
    add(saved, "mae", lambda at: F.l1_loss(at, t, reduction="none"), prediction, w, m)
    for name, delta in (("huber_1", 1.0), ("huber_0p5", 0.5)):
        add(saved, name, lambda at: F.huber_loss(at, t, reduction="none", delta=delta), prediction, w, m)
        agree(saved, f"{name}.mean", F.huber_loss(p, t, delta=delta))
    for name, level in (("pinball_0p1", 0.1), ("pinball_0p5", 0.5), ("pinball_0p9", 0.9)):
        add(saved, name, pinball(level), prediction, w, m)
        agree(saved, f"{name}.mean", mean_pinball_loss(target, prediction, alpha=level))
        agree(saved, f"{name}.weighted", mean_pinball_loss(target, prediction, alpha=level, sample_weight=weights))
    agree(saved, "mse.mean", F.mse_loss(p, t))
    agree(saved, "mae.mean", F.l1_loss(p, t))
    save("losses_regression", saved, made_with=VERSION, huber="0.5 d^2 up to delta, then delta (|d| - 0.5 delta)")


def make_binary():
    """Columns are labels; some logits are far out, where a naive log of a sigmoid would overflow."""
    random = np.random.RandomState(32)
    logits = single(random.standard_normal((ROWS, COLUMNS)) * 2)
    logits[0], logits[1], logits[2, 0] = [40.0, -40.0, 0.0], [-800.0, 800.0, 90.0], -90.0
    target = (random.uniform(size=(ROWS, COLUMNS)) < 0.4).astype(np.float64)
    target[:2, :2] = [[0, 0], [0, 0]]
    weights, present = row_facts(random)
    pos_weight = np.array([0.5, 1.0, 3.25])
    saved = {
        "logits": logits, "target": target, "weights": weights, "present": present, "pos_weight": pos_weight,
    }
    w, m, t = torch.from_numpy(weights)[:, None], torch.from_numpy(present), torch.from_numpy(target)
    z, pos = torch.from_numpy(logits), torch.from_numpy(pos_weight)
    bce = F.binary_cross_entropy_with_logits
    add(saved, "bce", lambda at: bce(at, t, reduction="none"), logits, w, m)
    add(saved, "bce_pos_weight", lambda at: bce(at, t, reduction="none", pos_weight=pos), logits, w, m)
    agree(saved, "bce.mean", bce(z, t))
    agree(saved, "bce_pos_weight.mean", bce(z, t, pos_weight=pos))
    agree(saved, "bce.present", bce(z, t, weight=m, reduction="sum") / m.sum())
    save("losses_binary", saved, made_with=VERSION, rule="pos_weight multiplies the term of target 1 only")


def make_classes():
    """Rows are sequences or steps; `present` says which have a class, the others hold -100."""
    random = np.random.RandomState(33)
    logits = single(random.standard_normal((ROWS, CLASSES)) * 2)
    logits[0] = [800.0, -800.0, 0.0, 3.0]
    classes = random.randint(0, CLASSES, ROWS)
    classes[0] = 0
    weights, _ = row_facts(random)
    present = np.ones(ROWS)
    present[[2, 7]] = 0.0
    marked = np.where(present > 0, classes, -100).astype(np.int64)
    class_weights = np.array([0.5, 1.0, 2.5, 4.0])
    saved = {
        "logits": logits, "class": marked, "weights": weights, "present": present, "class_weights": class_weights,
    }
    z, y, keep = torch.from_numpy(logits), torch.from_numpy(marked), torch.from_numpy(present)
    row = torch.from_numpy(weights)
    per_class = torch.from_numpy(class_weights)[y.clamp(min=0)]

    def each(at):
        return F.cross_entropy(at, y, reduction="none", ignore_index=-100)

    with torch.no_grad():
        saved["cross_entropy.each"] = each(z).numpy()
    kinds = {"present": keep, "class_weighted": keep * per_class, "row_weighted": keep * row,
             "class_row_weighted": keep * per_class * row}
    for name, factor in kinds.items():
        def value_of(tensor, factor=factor):
            return (factor * each(tensor)).sum() / factor.sum()

        tensor = z.clone().requires_grad_()
        value_of(tensor).backward()
        gradient = tensor.grad.numpy()
        check_gradient(
            name, lambda at: value_of(torch.from_numpy(at["z"])).item(), {"z": logits}, {"z": gradient}, step=1e-5,
        )
        saved[f"cross_entropy.{name}"] = np.array([value_of(z).item()])
        saved[f"cross_entropy.{name}.grad"] = gradient
    agree(saved, "cross_entropy.present", F.cross_entropy(z, y))
    agree(saved, "cross_entropy.class_weighted", F.cross_entropy(z, y, weight=torch.from_numpy(class_weights)))
    save(
        "losses_classes", saved, made_with=VERSION,
        rule="sum(f l) / sum(f) over rows with a class; f = 1, class weight, row weight, or their product",
    )


make_regression()
make_binary()
make_classes()
