"""Dumps of dL/dh_t and dL/dc_t at every step, from cells of PyTorch unrolled by hand in float64.

`h_t.retain_grad()` keeps the whole gradient of a state: what arrives at the output of its step and what comes back from
all steps after it. loss = sum(y * gy) + sum(hn * ghn) (+ sum(cn * gcn)), as in `make_torch.py`.
"""

from zlib import crc32

import numpy as np
from common import check_gradient, save, single

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

CELLS = {
    "rnn_tanh": (torch.nn.RNNCell, {"nonlinearity": "tanh"}),
    "rnn_relu": (torch.nn.RNNCell, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTMCell, {}),
    "gru": (torch.nn.GRUCell, {}),
}
FEATURES, HIDDEN, LENGTHS = 5, 19, [9, 3, 6, 1]
SCALE = 0.4


def walk(cell, parameters, values, b):
    """Returns the lists of h_t and c_t of sequence `b`; the second is empty for cells without one."""
    h, c = values["h0"][b], values["c0"][b] if "c0" in values else None
    hidden, memory = [], []
    for t in range(LENGTHS[b]):
        x = values["x"][b, t]
        if c is None:
            h = torch.func.functional_call(cell, parameters, (x[None], h[None]))[0]
        else:
            # By hand: in torch.nn.LSTMCell h_t does not hang on the c_t that is handed out, whose gradient lacks that way.
            both = torch.func.functional_call(cell, parameters, (x[None], (h[None], c[None])))
            gates = parameters["weight_ih"] @ x + parameters["bias_ih"]
            gates = gates + parameters["weight_hh"] @ h + parameters["bias_hh"]
            i, f, g, o = gates.chunk(4)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            assert torch.allclose(both[0][0], h, rtol=1e-12) and torch.allclose(both[1][0], c, rtol=1e-12)
            memory.append(c)
        hidden.append(h)
    return hidden, memory


def loss_of(cell, values, sent, keep):
    """Returns the loss; `keep` gets the lists of states of every sequence."""
    parameters = {name: values[name] for name, _ in cell.named_parameters()}
    total = torch.zeros(())
    for b in range(len(LENGTHS)):
        hidden, memory = walk(cell, parameters, values, b)
        keep.append((hidden, memory))
        for t, h in enumerate(hidden):
            total = total + (h * sent["gy"][b, t]).sum()
        total = total + (hidden[-1] * sent["ghn"][b]).sum()
        if memory:
            total = total + (memory[-1] * sent["gcn"][b]).sum()
    return total


def make(name):
    kind, options = CELLS[name]
    cell = kind(FEATURES, HIDDEN, **options)
    file = f"torch_state_gradients_{name}"
    random = np.random.RandomState(crc32(file.encode()))
    batch, steps = len(LENGTHS), max(LENGTHS)
    valid = np.arange(steps)[None, :] < np.array(LENGTHS)[:, None]
    states = ("h", "c") if name == "lstm" else ("h",)

    values = {"x": random.standard_normal((batch, steps, FEATURES)) * valid[:, :, None]}
    for state in states:
        values[f"{state}0"] = random.standard_normal((batch, HIDDEN)) * 0.5
    for key, parameter in cell.named_parameters():
        values[key] = random.standard_normal(tuple(parameter.shape)) * SCALE
    values = {key: single(value) for key, value in values.items()}
    seeds = {"gy": random.standard_normal((batch, steps, HIDDEN)) * valid[:, :, None]}
    for state in states:
        seeds[f"g{state}n"] = random.standard_normal((batch, HIDDEN))
    seeds = {key: single(value) for key, value in seeds.items()}
    sent = {key: torch.from_numpy(value) for key, value in seeds.items()}

    tensors = {key: torch.from_numpy(value).requires_grad_() for key, value in values.items()}
    kept = []
    loss = loss_of(cell, tensors, sent, kept)
    for lists in kept:
        for state in lists[0] + lists[1]:
            state.retain_grad()
    loss.backward()

    def number(arrays):
        with torch.no_grad():
            return loss_of(cell, {key: torch.from_numpy(value) for key, value in arrays.items()}, sent, []).item()

    check_gradient(file, number, values, {key: tensor.grad.numpy() for key, tensor in tensors.items()})
    saved = {**values, **seeds, "lengths": np.array(LENGTHS, dtype=np.int64)}
    for at, state in enumerate(states):
        gradient = np.zeros((batch, steps, HIDDEN))
        for b, lists in enumerate(kept):
            for t, value in enumerate(lists[at]):
                gradient[b, t] = value.grad.numpy()
        saved[f"grad.{state}"] = gradient
    save(
        file, saved, cell=name, batch=batch, steps=steps, features=FEATURES, hidden=HIDDEN,
        made_with=f"torch {torch.__version__}",
    )


for name in CELLS:
    make(name)
