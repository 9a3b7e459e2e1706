"""Dumps of Keras recurrent layers in float64: outputs, final states and gradients, in Keras's own weight layout.

kernel (F, G*H), recurrent_kernel (H, G*H), bias (G*H), with the gates i,f,c,o (LSTM) and z,r,h (GRU) side by side;
the GRU with reset_after has bias (2, 3H): input side, then recurrent side. Each layer comes twice:
`dense` starts at zero and its loss is sum(y * gy); `ragged` starts at given states, is masked at the right,
and adds sum(hn * ghn) (+ sum(cn * gcn)). A plain NumPy walk from the equations must agree with every output.
"""

from zlib import crc32

import numpy as np
from common import check_gradient, save, single

import keras
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
keras.config.set_floatx("float64")

STEPS, FEATURES, HIDDEN = 7, 5, 19
RAGGED = [7, 3, 5, 1, 7]
SCALE = 0.4
# zero_output_for_mask: padding gives 0 instead of the last valid output again (Bidirectional always does so).
SHARED = {"return_sequences": True, "return_state": True, "zero_output_for_mask": True}
LAYERS = {
    "lstm": lambda: keras.layers.LSTM(HIDDEN, **SHARED),
    "gru_reset_before": lambda: keras.layers.GRU(HIDDEN, reset_after=False, **SHARED),
    "gru_reset_after": lambda: keras.layers.GRU(HIDDEN, reset_after=True, **SHARED),
    "simple_rnn": lambda: keras.layers.SimpleRNN(HIDDEN, **SHARED),
    "bidirectional_lstm": lambda: keras.layers.Bidirectional(keras.layers.LSTM(HIDDEN, **SHARED)),
}


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def one_step(cell, x, state, kernel, recurrent, bias):
    """Returns the state after one step, as the equations say it (rows are sequences)."""
    h = state[0]
    if cell == "simple_rnn":
        return [np.tanh(x @ kernel + h @ recurrent + bias)]
    if cell == "lstm":
        i, f, c, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=1)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(c)
        return [sigmoid(o) * np.tanh(c), c]
    k, u = np.split(kernel, 3, axis=1), np.split(recurrent, 3, axis=1)
    if cell == "gru_reset_after":
        b, rb = np.split(bias[0], 3), np.split(bias[1], 3)
    else:
        b, rb = np.split(bias, 3), [0.0, 0.0, 0.0]
    z = sigmoid(x @ k[0] + b[0] + h @ u[0] + rb[0])
    r = sigmoid(x @ k[1] + b[1] + h @ u[1] + rb[1])
    inner = r * (h @ u[2] + rb[2]) if cell == "gru_reset_after" else (r * h) @ u[2]
    return [z * h + (1 - z) * np.tanh(x @ k[2] + b[2] + inner)]


def walk(cell, x, lengths, state, weights, backward):
    """Returns y and the final states of one direction, sequence by sequence, each over its own length."""
    y = np.zeros((len(lengths), x.shape[1], HIDDEN))
    last = [np.array(part) for part in state]
    for row, length in enumerate(lengths):
        now = [part[row : row + 1] for part in state]
        for step in range(length)[:: -1 if backward else 1]:
            now = one_step(cell, x[row : row + 1, step], now, *weights)
            y[row, step] = now[0][0]
        for part, value in zip(last, now):
            part[row] = value[0]
    return y, last


def weight_names(name):
    sides = ("forward.", "backward.") if name.startswith("bidirectional") else ("",)
    return [side + key for side in sides for key in ("kernel", "recurrent_kernel", "bias")]


def state_names(name):
    parts = ("h", "c") if name.endswith("lstm") else ("h",)
    sides = ("forward.", "backward.") if name.startswith("bidirectional") else ("",)
    return [side + part for side in sides for part in parts]


def make(layer_name, shape):
    name = f"keras_{layer_name}_{shape}"
    lengths = RAGGED if shape == "ragged" else [STEPS] * 5
    random = np.random.RandomState(crc32(name.encode()))
    valid = np.arange(STEPS)[None, :] < np.array(lengths)[:, None]
    weights, states = weight_names(layer_name), state_names(layer_name)
    batch = len(lengths)
    width = HIDDEN * (2 if layer_name.startswith("bidirectional") else 1)

    layer = LAYERS[layer_name]()
    layer.build((batch, STEPS, FEATURES))
    values = {"x": random.standard_normal((batch, STEPS, FEATURES)) * valid[:, :, None]}
    for state in states:
        start = random.standard_normal((batch, HIDDEN)) * 0.5
        values[f"{state}0"] = start if shape == "ragged" else np.zeros_like(start)
    for key, variable in zip(weights, layer.trainable_variables, strict=True):
        assert variable.path.endswith("/" + key.split(".")[-1])
        values[key] = random.standard_normal(tuple(variable.shape)) * SCALE
    values = {key: single(value) for key, value in values.items()}
    seeds = {"gy": random.standard_normal((batch, STEPS, width)) * valid[:, :, None]}
    if shape == "ragged":
        for state in states:
            side, _, part = state.rpartition(".")
            key = f"{side}.g{part}n" if side else f"g{part}n"
            seeds[key] = random.standard_normal((batch, HIDDEN))
    seeds = {key: single(value) for key, value in seeds.items()}

    def loss_of(tensors):
        initial = [tensors[f"{state}0"] for state in states]
        mask = tf.constant(valid) if shape == "ragged" else None
        y, *last = layer(tensors["x"], initial_state=initial, mask=mask)
        total = tf.reduce_sum(y * seeds["gy"])
        for key, part in zip(list(seeds)[1:], last):
            total += tf.reduce_sum(part * seeds[key])
        return total, y, last

    def assign(arrays):
        for key, variable in zip(weights, layer.trainable_variables):
            variable.assign(arrays[key])

    def number(arrays):
        assign(arrays)
        return float(loss_of({key: tf.constant(value) for key, value in arrays.items()})[0])

    assign(values)
    inputs = {key: tf.constant(value) for key, value in values.items() if key not in weights}
    sources = {**inputs, **{key: v.value for key, v in zip(weights, layer.trainable_variables)}}
    with tf.GradientTape() as tape:
        tape.watch(list(inputs.values()))
        loss, y, last = loss_of(inputs)
    gradients = {key: value.numpy() for key, value in tape.gradient(loss, sources).items()}
    check_gradient(name, number, values, gradients)

    cell = layer_name.removeprefix("bidirectional_")
    parts = len(states) // (width // HIDDEN)
    expected_y, expected_last = [], []
    for side in range(width // HIDDEN):
        start = [values[f"{state}0"] for state in states[side * parts : (side + 1) * parts]]
        own = [values[key] for key in weights[side * 3 : side * 3 + 3]]
        side_y, side_last = walk(cell, values["x"], lengths, start, own, backward=side == 1)
        expected_y.append(side_y)
        expected_last += side_last
    np.testing.assert_allclose(y.numpy(), np.concatenate(expected_y, axis=2), rtol=1e-12, atol=1e-13)
    for part, expected in zip(last, expected_last, strict=True):
        np.testing.assert_allclose(part.numpy(), expected, rtol=1e-12, atol=1e-13)
    assert not gradients["x"][~valid].any()

    saved = {**values, **seeds, "lengths": np.array(lengths, dtype=np.int64), "y": y.numpy()}
    for state, value in zip(states, last):
        saved[f"{state}n"] = value.numpy()
    saved["loss"] = np.array([float(loss)])
    saved.update({f"grad.{key}": value for key, value in gradients.items()})
    save(
        name, saved, layer=layer_name, batch=batch, steps=STEPS, features=FEATURES, hidden=HIDDEN,
        made_with=f"keras {keras.__version__}, tensorflow {tf.__version__}",
    )


for layer_name in LAYERS:
    for shape in ("dense", "ragged"):
        make(layer_name, shape)
