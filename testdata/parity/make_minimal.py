"""Dumps of minGRU, minLSTM and the LRU in float64, written from the papers' equations and differentiated by PyTorch.

minGRU, minLSTM: Feng et al. 2024, arXiv 2410.01201, sections 3.1 and 3.2. LRU: Orvieto et al. 2023, arXiv 2303.06349,
equations 2 to 4 and section 3.4, with complex numbers and the phase theta = 2 atan(tau); the output is the real part of
the state. loss = sum(y * gy) + sum(hn * ghn) (+ sum(cn * gcn)).
"""

from zlib import crc32

import numpy as np
from common import check_gradient, save, single

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

FEATURES = 5
RAGGED = [7, 3, 5, 1, 7]
GATES = {"min_gru": 2, "min_lstm": 3, "lru": 2}


def step(cell, values, x, h, c):
    """Returns the next h and c (B,H); c is the imaginary part of an LRU's state and unchanged for the others."""
    sums = x @ values["weight_ih"].T + values["bias_ih"]
    gates = sums.chunk(GATES[cell], dim=1)
    if cell == "min_gru":
        z = torch.sigmoid(gates[0])
        return (1 - z) * h + z * gates[1], c
    if cell == "min_lstm":
        f, i = torch.sigmoid(gates[0]), torch.sigmoid(gates[1])
        return f / (f + i) * h + i / (f + i) * gates[2], c
    nu, tau = values["weight_hh"]
    eigenvalue = torch.exp(torch.complex(-torch.exp(nu), 2 * torch.atan(tau)))
    gain = torch.sqrt(1 - eigenvalue.abs() ** 2)
    state = eigenvalue * torch.complex(h, c) + gain * torch.complex(gates[0], gates[1])
    return state.real, state.imag


def run(cell, values, lengths, reverse):
    """Returns y (B,T,H), the final h and the final c."""
    x, h, c = values["x"], values["h0"], values.get("c0", torch.zeros_like(values["h0"]))
    outputs = [None] * x.shape[1]
    order = range(x.shape[1])
    for t in reversed(order) if reverse else order:
        next_h, next_c = step(cell, values, x[:, t], h, c)
        # A sequence that has ended, or has not begun in reverse, keeps its state.
        runs = torch.tensor([t < length for length in lengths])[:, None]
        h, c = torch.where(runs, next_h, h), torch.where(runs, next_c, c)
        outputs[t] = torch.where(runs, h, torch.zeros_like(h))
    return torch.stack(outputs, dim=1), h, c


def make(cell, suffix, hidden, lengths, reverse):
    name = f"minimal_{cell}_{suffix}"
    random = np.random.RandomState(crc32(name.encode()))
    batch, steps, rows = len(lengths), max(lengths), GATES[cell] * hidden
    valid = np.arange(steps)[None, :, None] < np.array(lengths)[:, None, None]
    values = {
        "x": random.standard_normal((batch, steps, FEATURES)) * valid,
        "h0": random.standard_normal((batch, hidden)) * 0.5,
        "weight_ih": random.standard_normal((rows, FEATURES)) * 0.4,
        "bias_ih": random.standard_normal(rows) * 0.4,
    }
    if cell == "lru":
        values["c0"] = random.standard_normal((batch, hidden)) * 0.5
        # Sizes between 0.2 and 0.9999, phases of both signs.
        nu = np.log(-np.log(random.uniform(0.2, 0.9999, hidden)))
        values["weight_hh"] = np.stack([nu, random.standard_normal(hidden)])
    values = {key: single(value) for key, value in values.items()}
    seeds = {
        "gy": random.standard_normal((batch, steps, hidden)) * valid,
        "ghn": random.standard_normal((batch, hidden)),
    }
    if cell == "lru":
        seeds["gcn"] = random.standard_normal((batch, hidden))
    seeds = {key: single(value) for key, value in seeds.items()}

    def loss_of(tensors):
        y, hn, cn = run(cell, tensors, lengths, reverse)
        loss = (y * torch.from_numpy(seeds["gy"])).sum() + (hn * torch.from_numpy(seeds["ghn"])).sum()
        if cell == "lru":
            loss = loss + (cn * torch.from_numpy(seeds["gcn"])).sum()
        return loss, y, hn, cn

    tensors = {key: torch.from_numpy(value).requires_grad_(True) for key, value in values.items()}
    loss, y, hn, cn = loss_of(tensors)
    loss.backward()
    gradients = {key: tensor.grad.numpy() for key, tensor in tensors.items()}
    plain = lambda arrays: float(loss_of({key: torch.from_numpy(value) for key, value in arrays.items()})[0])
    check_gradient(name, plain, values, gradients)

    out = {**values, **seeds, "y": y.detach().numpy(), "hn": hn.detach().numpy()}
    if cell == "lru":
        out["cn"] = cn.detach().numpy()
    out.update({f"grad.{key}": value for key, value in gradients.items()})
    out["lengths"] = np.array(lengths, dtype=np.int64)
    out["loss"] = np.array([loss.item()])
    save(name, out, features=FEATURES, hidden=hidden, steps=steps, reverse=int(reverse), torch=torch.__version__)


for cell in GATES:
    make(cell, "dense", 19, [7] * 5, False)
    make(cell, "ragged", 33, RAGGED, False)
    make(cell, "reverse", 17, RAGGED, True)
    make(cell, "long", 6, [200, 131], False)
