"""Dumps of GRU-D in float64, written from the paper's equations with plain operations and differentiated by PyTorch.

Che, Purushotham, Cho, Sontag and Liu 2018, Scientific Reports 8:6085, equations 4 and 10 to 16, with values scaled so that
their mean is 0, and with z as PyTorch has it (z = 1 keeps h). `values` holds the last value seen where there is none.
Reset before the product (the paper) or after it (torch.nn.GRU). loss = sum(y * gy) + sum(hn * ghn).
"""

from zlib import crc32

import numpy as np
from common import check_gradient, save, single

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

CHANNELS = 5
RAGGED = [7, 3, 0, 5, 1, 7]


def fades(values):
    """Returns the inputs [xhat, mask] (B,T,2F) and the decays of h (B,T,H)."""
    mask, delta = values["mask"], values["delta"]
    gamma_x = torch.exp(-torch.relu(delta * values["decay_x.weight"] + values["decay_x.bias"]))
    gamma_h = torch.exp(-torch.relu(delta @ values["decay_h.weight"].T + values["decay_h.bias"]))
    xhat = mask * values["values"] + (1 - mask) * gamma_x * values["values"]
    return torch.cat([xhat, mask], dim=2), gamma_h


def step(reset, values, x, h):
    """Returns the next h (B,H); `h` has faded already."""
    input_r, input_z, input_n = (x @ values["weight_ih"].T + values["bias_ih"]).chunk(3, dim=1)
    u_r, u_z, u_n = values["weight_hh"].chunk(3)
    b_r, b_z, b_n = values["bias_hh"].chunk(3)
    r = torch.sigmoid(input_r + h @ u_r.T + b_r)
    z = torch.sigmoid(input_z + h @ u_z.T + b_z)
    if reset == "before":
        n = torch.tanh(input_n + (r * h) @ u_n.T + b_n)
    else:
        n = torch.tanh(input_n + r * (h @ u_n.T + b_n))
    return (1 - z) * n + z * h


def run(reset, values, lengths):
    """Returns y (B,T,H), the final h, and what the GRU was given."""
    x, decay = fades(values)
    x.retain_grad() if x.requires_grad else None
    decay.retain_grad() if decay.requires_grad else None
    h, outputs = values["h0"], []
    for t in range(x.shape[1]):
        after = step(reset, values, x[:, t], decay[:, t] * h)
        runs = torch.tensor([t < length for length in lengths])[:, None]
        h = torch.where(runs, after, h)
        outputs.append(torch.where(runs, h, torch.zeros_like(h)))
    return torch.stack(outputs, dim=1), h, x, decay


def make(reset, suffix, hidden, lengths):
    name = f"grud_{reset}_{suffix}"
    random = np.random.RandomState(crc32(name.encode()))
    batch, steps, rows = len(lengths), max(lengths), 3 * hidden
    valid = np.arange(steps)[None, :, None] < np.array(lengths)[:, None, None]
    shape = (batch, steps, CHANNELS)
    # Gaps of 0, of some steps, and of years.
    delta = random.choice([0.0, 1.0, 2.0, 7.0, 10_000.0], size=shape, p=[0.2, 0.4, 0.2, 0.15, 0.05])
    values = {
        "values": random.standard_normal(shape) * valid,
        "mask": (random.uniform(size=shape) < 0.4) * valid,
        "delta": delta * valid,
        "h0": random.standard_normal((batch, hidden)) * 0.5,
        "decay_x.weight": random.uniform(-0.45, 0.45, CHANNELS),
        "decay_x.bias": random.uniform(-0.45, 0.45, CHANNELS),
        "decay_h.weight": random.uniform(-0.25, 0.25, (hidden, CHANNELS)),
        "decay_h.bias": random.uniform(-0.25, 0.25, hidden),
        "weight_ih": random.standard_normal((rows, 2 * CHANNELS)) * 0.4,
        "weight_hh": random.standard_normal((rows, hidden)) * 0.3,
        "bias_ih": random.standard_normal(rows) * 0.4,
        "bias_hh": random.standard_normal(rows) * 0.4,
    }
    if reset == "before":
        values["bias_hh"] *= 0.0  # one bias is trained
    values = {key: single(value) for key, value in values.items()}
    given = {key: values.pop(key) for key in ("mask", "delta")}
    fixed = {key: torch.from_numpy(value) for key, value in given.items()}
    seeds = {
        "gy": random.standard_normal((batch, steps, hidden)) * valid,
        "ghn": random.standard_normal((batch, hidden)),
    }
    seeds = {key: single(value) for key, value in seeds.items()}

    def loss_of(tensors):
        y, hn, x, decay = run(reset, {**tensors, **fixed}, lengths)
        loss = (y * torch.from_numpy(seeds["gy"])).sum() + (hn * torch.from_numpy(seeds["ghn"])).sum()
        return loss, y, hn, x, decay

    tensors = {key: torch.from_numpy(value).requires_grad_(True) for key, value in values.items()}
    loss, y, hn, x, decay = loss_of(tensors)
    loss.backward()
    gradients = {key: tensor.grad.numpy() for key, tensor in tensors.items()}
    plain = lambda arrays: float(loss_of({key: torch.from_numpy(value) for key, value in arrays.items()})[0])
    check_gradient(name, plain, values, gradients, step=1e-8, tolerance=1e-4)

    out = {**values, **given, **seeds, "y": y.detach().numpy(), "hn": hn.detach().numpy()}
    out.update({f"grad.{key}": value for key, value in gradients.items()})
    # What the recurrence itself is given, as the kernels are.
    out.update({"x": x.detach().numpy(), "decay": decay.detach().numpy()})
    out.update({"grad.x": x.grad.numpy(), "grad.decay": decay.grad.numpy()})
    out["lengths"] = np.array(lengths, dtype=np.int64)
    out["loss"] = np.array([loss.item()])
    save(name, out, channels=CHANNELS, features=2 * CHANNELS, hidden=hidden, steps=steps, torch=torch.__version__)


for reset in ["after", "before"]:
    make(reset, "dense", 19, [7] * 5)
    make(reset, "ragged", 33, RAGGED)
    make(reset, "one_step", 16, [1, 1, 1])
    make(reset, "long", 6, [120, 87])
