"""Dumps of torch.nn.RNN, LSTM and GRU in float64: outputs, final states and all gradients.

loss = sum(y * gy) + sum(hn * ghn) (+ sum(cn * gcn)), so that a gradient arrives at every step and at the final states.
"""

import warnings
from zlib import crc32

import numpy as np
from common import check_gradient, save, single

import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
warnings.filterwarnings("ignore", message="RNN module weights")

CELLS = {
    "rnn_tanh": (torch.nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTM, {}),
    "gru": (torch.nn.GRU, {}),
}
FEATURES = 5
RAGGED = [7, 3, 5, 1, 7]
SCALE = 0.4


def cases():
    """Yields (suffix, layers, bidirectional, hidden, lengths): the full grid, then shapes at the edges."""
    for layers in (1, 2):
        for bidirectional in (False, True):
            for shape, lengths in (("dense", [7] * 5), ("ragged", RAGGED)):
                side = "bi" if bidirectional else "uni"
                hidden = 19 if layers == 1 else 17
                yield f"l{layers}_{side}_{shape}", layers, bidirectional, hidden, lengths
    yield "h33_ragged", 1, False, 33, RAGGED
    yield "h16_dense", 1, False, 16, [7] * 5
    yield "one_sequence", 1, True, 7, [7]
    yield "one_step", 1, True, 7, [1] * 5


def run(network, values, lengths):
    """Returns y (B,T,D*H), the final states, and the loss; `values` are tensors."""
    names = [name for name, _ in network.named_parameters()]
    states = [values[name] for name in ("h0", "c0") if name in values]
    packed = pack_padded_sequence(values["x"], lengths, batch_first=True, enforce_sorted=False)
    state = tuple(states) if len(states) == 2 else states[0]
    parameters = {name: values[name] for name in names}
    out, last = torch.func.functional_call(network, parameters, (packed, state))
    y, _ = pad_packed_sequence(out, batch_first=True, total_length=values["x"].shape[1])
    last = last if isinstance(last, tuple) else (last,)
    return y, last


def make(cell, case):
    suffix, layers, bidirectional, hidden, lengths = case
    name = f"torch_{cell}_{suffix}"
    kind, options = CELLS[cell]
    network = kind(
        FEATURES, hidden, num_layers=layers, bidirectional=bidirectional, batch_first=True, **options
    )
    random = np.random.RandomState(crc32(name.encode()))
    batch, steps, sides = len(lengths), max(lengths), 2 if bidirectional else 1
    valid = np.arange(steps)[None, :] < np.array(lengths)[:, None]

    values = {"x": random.standard_normal((batch, steps, FEATURES)) * valid[:, :, None]}
    states = ("h", "c") if cell == "lstm" else ("h",)
    state_shape = (layers * sides, batch, hidden)
    for state in states:
        values[f"{state}0"] = random.standard_normal(state_shape) * 0.5
    for key, parameter in network.named_parameters():
        values[key] = random.standard_normal(tuple(parameter.shape)) * SCALE
    values = {key: single(value) for key, value in values.items()}
    seeds = {"gy": random.standard_normal((batch, steps, sides * hidden)) * valid[:, :, None]}
    for state in states:
        seeds[f"g{state}n"] = random.standard_normal(state_shape)
    seeds = {key: single(value) for key, value in seeds.items()}
    sent = {key: torch.from_numpy(value) for key, value in seeds.items()}
    # Dense batches go the packed way too; further down they are compared with the plain call.
    lengths_tensor = torch.tensor(lengths)

    def loss_of(tensors):
        y, last = run(network, tensors, lengths_tensor)
        total = (y * sent["gy"]).sum()
        for state, value in zip(states, last):
            total = total + (value * sent[f"g{state}n"]).sum()
        return total, y, last

    tensors = {key: torch.from_numpy(value).requires_grad_() for key, value in values.items()}
    loss, y, last = loss_of(tensors)
    loss.backward()
    gradients = {key: tensor.grad.numpy() for key, tensor in tensors.items()}

    def number(arrays):
        with torch.no_grad():
            return loss_of({key: torch.from_numpy(value) for key, value in arrays.items()})[0].item()

    check_gradient(name, number, values, gradients)
    if min(lengths) == steps:
        parameters = {key: tensors[key] for key, _ in network.named_parameters()}
        state = (tensors["h0"], tensors["c0"]) if cell == "lstm" else tensors["h0"]
        plain, _ = torch.func.functional_call(network, parameters, (tensors["x"], state))
        assert torch.allclose(plain, y, rtol=1e-12, atol=1e-13)
    assert not y.detach().numpy()[~valid].any() and not gradients["x"][~valid].any()

    saved = {**values, **seeds, "lengths": np.array(lengths, dtype=np.int64)}
    saved["y"] = y.detach().numpy()
    for state, value in zip(states, last):
        saved[f"{state}n"] = value.detach().numpy()
    saved["loss"] = np.array([loss.item()])
    saved.update({f"grad.{key}": value for key, value in gradients.items()})
    save(
        name, saved, cell=cell, layers=layers, bidirectional=str(bidirectional).lower(),
        batch=batch, steps=steps, features=FEATURES, hidden=hidden, made_with=f"torch {torch.__version__}",
    )


for cell in CELLS:
    for case in cases():
        make(cell, case)
