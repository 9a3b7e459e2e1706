"""Dumps of keras.optimizers in float64 on the gradients of make_optimisers.py, with Keras's epsilon 1e-7.

Hyper-parameters are given as NumPy scalars: Keras rounds Python floats to float32 first. Each rule is also
written out in NumPy and must agree.
"""

import numpy as np
from common import optimiser_case, save

import keras
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras.config.set_floatx("float64")

BETAS = {"beta_1": np.float64(0.9), "beta_2": np.float64(0.999), "epsilon": np.float64(1e-7)}
RMS = {"rho": np.float64(0.9), "epsilon": np.float64(1e-7)}
OPTIMISERS = {
    "sgd": (keras.optimizers.SGD, {"learning_rate": 0.01}),
    "sgd_momentum": (keras.optimizers.SGD, {"learning_rate": 0.01, "momentum": np.float64(0.9)}),
    "sgd_nesterov": (
        keras.optimizers.SGD, {"learning_rate": 0.01, "momentum": np.float64(0.9), "nesterov": True},
    ),
    "rmsprop": (keras.optimizers.RMSprop, {"learning_rate": 0.001, **RMS}),
    "adam": (keras.optimizers.Adam, {"learning_rate": 0.001, **BETAS}),
    "adamw": (
        keras.optimizers.AdamW, {"learning_rate": 0.001, "weight_decay": np.float64(0.01), **BETAS},
    ),
}


def by_hand(name, options, start, gradients):
    """Returns the parameters after each step from the written formulas."""
    p, m, v, out = start.copy(), 0.0, 0.0, []
    lr = options["learning_rate"]
    for t, g in enumerate(gradients, 1):
        if name.startswith("sgd"):
            momentum = options.get("momentum", 0.0)
            m = momentum * m - lr * g
            p = p + (momentum * m - lr * g if name == "sgd_nesterov" else m)
        elif name == "rmsprop":
            v = 0.9 * v + 0.1 * g * g
            p = p - lr * g / np.sqrt(v + 1e-7)
        else:
            p = p * (1 - lr * options.get("weight_decay", 0.0))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            p = p - lr * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        out.append(p)
    return np.stack(out)


start, gradients = optimiser_case()
saved, facts = {"start": start, "gradients": gradients}, {}
for name, (kind, options) in OPTIMISERS.items():
    optimiser = kind(**options)
    variable = keras.Variable(start, dtype="float64")
    optimiser.build([variable])
    # The rate's variable is filled from a Python float too.
    optimiser.learning_rate.assign(np.float64(options["learning_rate"]))
    steps = []
    for gradient in gradients:
        optimiser.apply_gradients([(tf.constant(gradient), variable)])
        steps.append(variable.numpy().copy())
    saved[name] = np.stack(steps)
    facts[name] = " ".join(f"{key}={value}" for key, value in options.items())
    np.testing.assert_allclose(saved[name], by_hand(name, options, start, gradients), rtol=1e-11, atol=1e-14)
save("keras_optimisers", saved, made_with=f"keras {keras.__version__}, tensorflow {tf.__version__}", **facts)
