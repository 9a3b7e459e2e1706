"""The heart-rate program of the article in Keras: a dump of its first 200 losses, and its final loss for ten seeds.

    python make_article.py steps    # article.safetensors, article_first_gradient.safetensors
    python make_article.py seeds    # article_seeds.json, several minutes

Losses are taken from a GradientTape loop, because train_on_batch reports a running mean; each is the mean squared
error of one batch in training mode before its update by keras.optimizers.Adam() (1e-3, 0.9, 0.999, eps 1e-7).
"""

import hashlib
import json
import sys

import numpy as np
from common import FOLDER, check_gradient, save

import keras
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

BATCH, STEPS, EPOCHS, SEEDS = 32, 200, 100, 10
VERSIONS = f"keras {keras.__version__}, tensorflow {tf.__version__}, numpy {np.__version__}"


def series():
    """Returns the article's series: 1000 values, the second half raised by 5."""
    np.random.seed(42)
    values = np.random.normal(100, 10, 1000)
    values[500:] += 5
    return values


def pairs():
    """Returns x (999,1,1) and y (999,), each value and its successor, in float64."""
    values = series()
    return values[:-1].reshape(999, 1, 1), values[1:]


def network():
    """Returns the article's network, built for one feature."""
    model = keras.Sequential([
        keras.Input((1, 1)),
        keras.layers.LSTM(50, return_sequences=True),
        keras.layers.LSTM(50),
        keras.layers.Dense(1),
    ])
    return model


NAMES = [f"{layer}.{part}" for layer in ("lstm_0", "lstm_1") for part in ("kernel", "recurrent_kernel", "bias")]
NAMES += ["dense.kernel", "dense.bias"]


def batches(permutations):
    """Yields the rows of each step: an epoch's permutation cut by 32, its last batch holding 7."""
    for permutation in permutations:
        for start in range(0, len(permutation), BATCH):
            yield permutation[start : start + BATCH]


def train(dtype, weights, permutations):
    """Returns the loss before each update, the first gradient, and the weights after the last update."""
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    model = network()
    assert all(variable.dtype == dtype for variable in model.trainable_variables)
    model.set_weights([value.astype(dtype) for value in weights])
    # Keras turns Python floats into float32 first, so that 1 - 0.999 carries a relative error of 1.3e-5 into the
    # bias correction; NumPy scalars keep their width. float32 runs as Keras does it, float64 without that error.
    betas = {"beta_1": np.float64(0.9), "beta_2": np.float64(0.999)} if dtype == "float64" else {}
    optimiser = keras.optimizers.Adam(**betas)
    x, y = (array.astype(dtype) for array in pairs())
    variables = model.trainable_variables
    optimiser.build(variables)

    def loss_of(rows_x, rows_y):
        return tf.reduce_mean(tf.square(model(rows_x, training=True)[:, 0] - rows_y))

    @tf.function(reduce_retracing=True)
    def update(rows_x, rows_y):
        with tf.GradientTape() as tape:
            loss = loss_of(rows_x, rows_y)
        gradients = tape.gradient(loss, [variable.value for variable in variables])
        optimiser.apply_gradients(zip(gradients, variables))
        return loss, gradients

    losses, first = [], None
    for step, rows in enumerate(batches(permutations)):
        if step == STEPS:
            break
        loss, gradients = update(tf.constant(x[rows]), tf.constant(y[rows]))
        losses.append(loss.numpy())
        if first is None:
            first = dict(zip(NAMES, (gradient.numpy() for gradient in gradients), strict=True))
    last = model.get_weights()

    rows = permutations[0][:BATCH]
    if dtype == "float64":
        def number(arrays):
            model.set_weights([arrays[name] for name in NAMES])
            return float(loss_of(tf.constant(x[rows]), tf.constant(y[rows])))

        start = dict(zip(NAMES, (value.astype(dtype) for value in weights)))
        check_gradient("article", number, start, first)
    return np.array(losses, dtype=dtype), first, last


def make_steps():
    keras.config.set_floatx("float32")
    keras.utils.set_random_seed(0)
    weights = network().get_weights()
    random = np.random.RandomState(7)
    epochs = -(-STEPS // (-(-999 // BATCH)))
    permutations = np.stack([random.permutation(999) for _ in range(epochs)])
    single, _, _ = train("float32", weights, permutations)
    double, first, last = train("float64", weights, permutations)
    values = series()
    apart = float(np.max(np.abs(single - double) / double))
    print(f"losses {single[0]} .. {single[-1]}, float32 against float64: {apart:.2e} relative at most")
    saved = {f"initial.{name}": value for name, value in zip(NAMES, weights, strict=True)}
    saved.update({
        "series": values,
        "permutations": permutations.astype(np.int32),
        "losses_f32": single,
        "losses_f64": double,
        "last_norms_f64": np.array([np.linalg.norm(value) for value in last]),
    })
    facts = {
        "made_with": VERSIONS, "batch": BATCH, "steps": STEPS,
        "optimiser": "adam 0.001 0.9 0.999 epsilon 1e-7 (Keras: added to sqrt(v) before bias correction)",
        "gate_order": "i,f,c,o", "layout": "kernel (F,4H), recurrent_kernel (H,4H), bias (4H)",
        "series_sha256": hashlib.sha256(values.astype("<f8").tobytes()).hexdigest(),
        "series_first": json.dumps(values[:5].tolist()), "series_last": json.dumps(values[-5:].tolist()),
    }
    save("article", saved, **facts)
    gradient = {f"grad.{name}": value for name, value in first.items()}
    save("article_first_gradient", gradient, made_with=VERSIONS, step=0, dtype="float64")


def make_seeds():
    keras.config.set_floatx("float32")
    x, y = (array.astype(np.float32) for array in pairs())
    finals, curves = [], []
    for seed in range(SEEDS):
        keras.utils.set_random_seed(seed)
        model = network()
        model.compile(optimizer="adam", loss="mse")
        history = model.fit(x, y, epochs=EPOCHS, batch_size=BATCH, shuffle=True, verbose=0).history["loss"]
        finals.append(history[-1])
        curves.append(history)
        print(f"seed {seed}: {history[0]:.2f} .. {history[-1]:.4f}", flush=True)
        keras.backend.clear_session()
    curve = np.array(curves)
    facts = {
        "what": "Keras's loss of epoch 100: mean over the epoch's rows, each taken before its batch's update",
        "made_with": VERSIONS,
        "final_loss": finals,
        "min": min(finals),
        "mean": float(np.mean(finals)),
        "max": max(finals),
        "epochs": {
            str(epoch): {
                "min": float(curve[:, epoch - 1].min()),
                "mean": float(curve[:, epoch - 1].mean()),
                "max": float(curve[:, epoch - 1].max()),
            }
            for epoch in (1, 2, 5, 10, 20, 50, 100)
        },
        "variance_of_y": float(np.var(y.astype(np.float64))),
    }
    (FOLDER / "article_seeds.json").write_text(json.dumps(facts, indent=2) + "\n")


if sys.argv[1:] == ["steps"]:
    make_steps()
elif sys.argv[1:] == ["seeds"]:
    make_seeds()
else:
    sys.exit(__doc__)
