"""Repeats the article's 200 float64 losses in torch, from the equations and with Adam written out (Keras's form).

Writes nothing. The largest relative difference from article.safetensors was 4e-16 when the dump was made.
"""

import numpy as np
from common import FOLDER
from safetensors.numpy import load_file

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)

dump = load_file(FOLDER / "article.safetensors")
first = load_file(FOLDER / "article_first_gradient.safetensors")
weights = {
    key.removeprefix("initial."): torch.tensor(value.astype(np.float64)).requires_grad_()
    for key, value in dump.items() if key.startswith("initial.")
}
mean = {key: torch.zeros_like(value) for key, value in weights.items()}
square = {key: torch.zeros_like(value) for key, value in weights.items()}
series = torch.tensor(dump["series"])
x, y = series[:-1, None], series[1:]


def lstm(rows, layer):
    """Returns the output of the one step that each sequence has, starting from zero (so f and U play no part)."""
    i, _, c, o = (rows @ weights[f"{layer}.kernel"] + weights[f"{layer}.bias"]).chunk(4, dim=1)
    return torch.sigmoid(o) * torch.tanh(torch.sigmoid(i) * torch.tanh(c))


def update(step, rows):
    """Returns the loss of these rows, then applies one step of Adam."""
    out = lstm(lstm(x[rows], "lstm_0"), "lstm_1") @ weights["dense.kernel"] + weights["dense.bias"]
    loss = ((out[:, 0] - y[rows]) ** 2).mean()
    used = [key for key in weights if not key.endswith("recurrent_kernel")]
    gradients = dict(zip(used, torch.autograd.grad(loss, [weights[key] for key in used])))
    with torch.no_grad():
        for key, weight in weights.items():
            gradient = gradients.get(key, torch.zeros_like(weight))
            if step == 1:
                expected = torch.tensor(first[f"grad.{key}"])
                assert torch.allclose(gradient, expected, rtol=1e-11, atol=1e-13), key
            mean[key] += 0.1 * (gradient - mean[key])
            square[key] += 0.001 * (gradient**2 - square[key])
            rate = 0.001 * (1 - 0.999**step) ** 0.5 / (1 - 0.9**step)
            weight -= rate * mean[key] / (square[key].sqrt() + 1e-7)
    return loss.item()


batches = [rows[at : at + 32] for rows in dump["permutations"] for at in range(0, 999, 32)]
expected = dump["losses_f64"]
losses = [update(step, torch.tensor(rows.astype(np.int64))) for step, rows in enumerate(batches[: len(expected)], 1)]
apart = np.max(np.abs(np.array(losses) / expected - 1))
print(f"{len(losses)} losses, largest relative difference {apart:.1e}")
assert apart < 1e-12
