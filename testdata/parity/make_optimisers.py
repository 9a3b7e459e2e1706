"""Dumps of torch.optim in float64: parameters after each of ten steps on given gradients; and gradient clipping.

Each rule is also written out in NumPy and must agree.
"""

import numpy as np
from common import optimiser_case, save, single

import torch

torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
VERSION = f"torch {torch.__version__}"

OPTIMISERS = {
    "sgd": (torch.optim.SGD, {"lr": 0.01}),
    "sgd_momentum": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    "sgd_nesterov": (torch.optim.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "rmsprop": (torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.99, "eps": 1e-8}),
    "rmsprop_momentum": (torch.optim.RMSprop, {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "momentum": 0.9}),
    "adam": (torch.optim.Adam, {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8}),
    "adamw": (torch.optim.AdamW, {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01}),
}


def by_hand(name, options, start, gradients):
    """Returns the parameters after each step from the written formulas."""
    p, m, v, buffer, out = start.copy(), 0.0, 0.0, 0.0, []
    lr = options["lr"]
    for t, g in enumerate(gradients, 1):
        if name.startswith("sgd"):
            buffer = options.get("momentum", 0.0) * buffer + g
            move = g + 0.9 * buffer if name == "sgd_nesterov" else buffer
        elif name.startswith("rmsprop"):
            v = 0.99 * v + 0.01 * g * g
            buffer = options.get("momentum", 0.0) * buffer + g / (np.sqrt(v) + 1e-8)
            move = buffer
        else:
            p = p * (1 - lr * options.get("weight_decay", 0.0))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            move = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        p = p - lr * move
        out.append(p)
    return np.stack(out)


def make_optimisers():
    start, gradients = optimiser_case()
    saved, facts = {"start": start, "gradients": gradients}, {}
    for name, (kind, options) in OPTIMISERS.items():
        parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
        optimiser = kind([parameter], **options)
        steps = []
        for gradient in gradients:
            parameter.grad = torch.from_numpy(gradient.copy())
            optimiser.step()
            steps.append(parameter.detach().numpy().copy())
        saved[name] = np.stack(steps)
        facts[name] = " ".join(f"{key}={value}" for key, value in options.items())
        np.testing.assert_allclose(saved[name], by_hand(name, options, start, gradients), rtol=1e-12, atol=1e-14)
    save("torch_optimisers", saved, made_with=VERSION, **facts)


def make_clipping():
    """Three tensors clipped together: by norm above, exactly unclipped below, and by value."""
    random = np.random.RandomState(5)
    shapes = {"a": (7, 3), "b": (11,), "c": (2, 5)}
    arrays = {key: single(random.standard_normal(shape) * 2) for key, shape in shapes.items()}
    saved = {f"gradient.{key}": value for key, value in arrays.items()}
    norm = np.sqrt(sum(np.sum(value * value) for value in arrays.values()))
    cases = {"norm_1": 1.0, "norm_5": 5.0, "norm_100": 100.0, "value_1": 1.0, "value_0p5": 0.5}
    for name, limit in cases.items():
        parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in shapes.values()]
        for parameter, value in zip(parameters, arrays.values()):
            parameter.grad = torch.from_numpy(value.copy())
        if name.startswith("norm"):
            total = torch.nn.utils.clip_grad_norm_(parameters, limit)
            np.testing.assert_allclose(total.item(), norm, rtol=1e-14)
        else:
            torch.nn.utils.clip_grad_value_(parameters, limit)
        for key, parameter in zip(shapes, parameters):
            value = parameter.grad.numpy()
            saved[f"{name}.{key}"] = value
            hand = np.clip(arrays[key], -limit, limit)
            if name.startswith("norm"):
                hand = arrays[key] * min(1.0, limit / (norm + 1e-6))
            np.testing.assert_allclose(value, hand, rtol=1e-14)
    saved["norm"] = np.array([norm])
    save("torch_clipping", saved, made_with=VERSION, norm_rule="g * min(1, limit / (norm + 1e-6))")


make_optimisers()
make_clipping()
