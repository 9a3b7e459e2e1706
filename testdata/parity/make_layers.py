"""Dumps of layers without recurrence in float64 (torch): outputs, and gradients for given output gradients."""

import numpy as np
from common import check_gradient, save, single

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
VERSION = f"torch {torch.__version__}"
LENGTHS = np.array([7, 3, 5, 1, 7])
STEPS, WIDTH = 7, 19


def add(saved, name, forward, values, sent):
    """Adds inputs, outputs, `g<output>` and `grad.<input>` of one layer, each key led by `name.` if there is one.

    `forward` maps a dict of tensors to a dict of outputs; `sent` holds the gradient of each output (all of them).
    """
    tensors = {key: torch.from_numpy(value.copy()).requires_grad_() for key, value in values.items()}
    targets = {key: torch.from_numpy(value) for key, value in sent.items()}

    def loss_of(at):
        out = forward(at)
        assert set(out) == set(targets)
        return sum((out[key] * targets[key]).sum() for key in sorted(out)), out

    loss, out = loss_of(tensors)
    loss.backward()
    gradients = {key: tensor.grad.to_dense().numpy() for key, tensor in tensors.items()}

    def number(arrays):
        return loss_of({key: torch.from_numpy(value) for key, value in arrays.items()})[0].item()

    check_gradient(name, number, values, gradients)
    lead = f"{name}." if name else ""
    for key, value in values.items():
        saved[f"{lead}{key}"] = value
        saved[f"{lead}grad.{key}"] = gradients[key]
    for key, value in out.items():
        saved[f"{lead}{key}"] = value.detach().numpy()
        saved[f"{lead}g{key}"] = sent[key]


def make_linear():
    random = np.random.RandomState(41)
    values = {"x": (13, 5), "weight": (WIDTH, 5), "bias": (WIDTH,)}
    values = {key: single(random.standard_normal(shape)) for key, shape in values.items()}
    saved, sent = {}, {"y": single(random.standard_normal((13, WIDTH)))}
    add(saved, "", lambda at: {"y": F.linear(at["x"], at["weight"], at["bias"])}, values, sent)
    save("layers_linear", saved, made_with=VERSION, rule="y = x weight^T + bias, weight (out, in)")


def make_layer_norm():
    """`plain`: ordinary rows. `hard`: rows far from zero, tiny, and nearly constant."""
    random = np.random.RandomState(42)
    saved, rows = {}, 6
    weight, bias = random.standard_normal(WIDTH), random.standard_normal(WIDTH)
    plain = random.standard_normal((rows, WIDTH)) * 2 + 1
    hard = random.standard_normal((rows, WIDTH)) * np.array([1, 1, 0.1, 0.01, 0.02, 100])[:, None]
    hard += np.array([100, -1000, 10, 0, 1, 0])[:, None]
    for name, x in (("plain", plain), ("hard", hard)):
        values = {"x": single(x), "weight": single(weight), "bias": single(bias)}
        sent = {"y": single(random.standard_normal((rows, WIDTH)))}

        def forward(at):
            return {"y": F.layer_norm(at["x"], (WIDTH,), at["weight"], at["bias"], 1e-5)}

        add(saved, name, forward, values, sent)
    save("layers_layer_norm", saved, made_with=VERSION, epsilon=1e-5, variance="divided by the width (biased)")


def make_pooling():
    """Softmax and attention over the valid steps, and their mean, maximum and last; padding holds 0."""
    random = np.random.RandomState(43)
    batch = len(LENGTHS)
    valid = np.arange(STEPS)[None, :] < LENGTHS[:, None]
    mask, lengths = torch.from_numpy(valid), torch.from_numpy(LENGTHS)
    scores = single(random.standard_normal((batch, STEPS)) * 3 * valid)
    x = single(random.standard_normal((batch, STEPS, WIDTH)) * valid[:, :, None])

    def softmax(at):
        return at["scores"].masked_fill(~mask, float("-inf")).softmax(dim=1)

    functions = {
        "attention": lambda at: (softmax(at)[:, :, None] * at["x"]).sum(dim=1),
        "mean": lambda at: (at["x"] * mask[:, :, None]).sum(dim=1) / lengths[:, None],
        "max": lambda at: at["x"].masked_fill(~mask[:, :, None], float("-inf")).amax(dim=1),
        "last": lambda at: at["x"][torch.arange(batch), lengths - 1],
    }
    saved = {"lengths": LENGTHS.astype(np.int64)}
    sent = {"y": single(random.standard_normal((batch, STEPS)) * valid)}
    add(saved, "softmax_steps", lambda at: {"y": softmax(at)}, {"scores": scores}, sent)
    for name, function in functions.items():
        values = {"scores": scores, "x": x} if name == "attention" else {"x": x}
        sent = {"y": single(random.standard_normal((batch, WIDTH)))}
        add(saved, name, lambda at: {"y": function(at)}, values, sent)
    save("layers_pooling", saved, made_with=VERSION)


def make_embedding():
    """Look-up with repeated ids; sums and means of bags, one empty, with a weight for each id in the sum."""
    random = np.random.RandomState(44)
    vocabulary, width = 13, 6
    ids = np.array([4, 0, 12, 4, 4, 7, 1, 1, 9, 3, 12], dtype=np.int64)
    offsets = np.array([0, 3, 3, 4, 9, 11], dtype=np.int64)
    id_tensor, start = torch.from_numpy(ids), torch.from_numpy(offsets[:-1])
    table = single(random.standard_normal((vocabulary, width)))
    weights = single(random.uniform(-1, 2, len(ids)))
    saved = {"ids": ids, "offsets": offsets}
    rows, bags = (len(ids), width), (len(offsets) - 1, width)
    add(saved, "lookup", lambda at: {"y": F.embedding(id_tensor, at["table"])},
        {"table": table}, {"y": single(random.standard_normal(rows))})
    add(saved, "sum", lambda at: {"y": F.embedding_bag(id_tensor, at["table"], start, mode="sum")},
        {"table": table}, {"y": single(random.standard_normal(bags))})
    add(saved, "mean", lambda at: {"y": F.embedding_bag(id_tensor, at["table"], start, mode="mean")},
        {"table": table}, {"y": single(random.standard_normal(bags))})
    add(saved, "weighted_sum", lambda at: {"y": F.embedding_bag(
        id_tensor, at["table"], start, mode="sum", per_sample_weights=at["weights"])},
        {"table": table, "weights": weights}, {"y": single(random.standard_normal(bags))})
    rule = "bag k holds ids[offsets[k]..offsets[k+1]]; an empty bag is 0"
    save("layers_embedding", saved, made_with=VERSION, rule=rule)


def make_activations():
    """Values and derivatives at ordinary, tiny and huge inputs; the derivative of relu at 0 is 0."""
    x = np.concatenate([np.linspace(-12, 12, 97), [0.0, 1e-20, -1e-20, 1e-6, -1e-6, 3e-4, -3e-4]])
    x = single(np.concatenate([x, [20.5, -20.5, 30, -30, 88, -88, 90, -90, 104, -104, 800, -800]]))
    functions = {
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "relu": torch.relu,
        # torch's softplus turns linear above 20; this one is log(1 + exp(x)) everywhere.
        "softplus": lambda at: torch.logaddexp(at, torch.zeros_like(at)),
    }
    saved = {"x": x}
    smooth = np.abs(x) > 1e-5
    for name, function in functions.items():
        tensor = torch.from_numpy(x.copy()).requires_grad_()
        y = function(tensor)
        y.sum().backward()
        saved[f"{name}.y"], saved[f"{name}.derivative"] = y.detach().numpy(), tensor.grad.numpy()
        check_gradient(
            name, lambda at: function(torch.from_numpy(at["x"])).sum().item(),
            {"x": x[smooth]}, {"x": saved[f"{name}.derivative"][smooth]},
        )
    save("layers_activations", saved, made_with=VERSION)


make_linear()
make_layer_norm()
make_pooling()
make_embedding()
make_activations()
