"""Networks of Keras as .keras and .weights.h5 files brought over by scripts/keras_to_safetensors.py, and what they say.

    python make_keras.py        (keras, tensorflow, h5py, safetensors)

For each case: keras_CASE.safetensors from the .keras file, keras_CASE_h5.safetensors from the .weights.h5 file, and
keras_CASE.io.safetensors with the inputs x (B, T, F), masked behind their lengths, and the outputs y.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
from safetensors.numpy import save_file

HERE = Path(__file__).parent
SCRIPT = HERE.parent.parent / "scripts" / "keras_to_safetensors.py"
FEATURES, STEPS, LENGTHS = 3, 6, [6, 2, 4, 1, 6]
layers = keras.layers

CASES = {
    "lstm": lambda: [layers.LSTM(5), layers.Dense(2)],
    "lstm_l2_bi": lambda: [
        layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
        layers.Dropout(0.2),
        layers.Bidirectional(layers.LSTM(4)),
        layers.Dense(2),
    ],
    "gru": lambda: [layers.GRU(5), layers.Dense(2)],
    "gru_before": lambda: [layers.GRU(5, reset_after=False), layers.Dense(2)],
    "rnn_relu": lambda: [layers.SimpleRNN(5, activation="relu"), layers.Dense(4, activation="relu"), layers.Dense(2)],
    "gru_steps": lambda: [layers.GRU(4, return_sequences=True), layers.Dense(2)],
    "lstm_mean": lambda: [layers.LSTM(4, return_sequences=True), layers.GlobalAveragePooling1D(), layers.Dense(2)],
}


def main():
    random = np.random.RandomState(7)
    for name, make in CASES.items():
        keras.utils.set_random_seed(len(name))
        network = keras.Sequential([keras.Input((None, FEATURES)), layers.Masking(), *make()])
        for weight in network.weights:
            weight.assign(weight + random.standard_normal(weight.shape) * 0.2)
        x = random.standard_normal((len(LENGTHS), STEPS, FEATURES)).astype("f4")
        for row, length in zip(x, LENGTHS):
            row[length:] = 0.0
        y = np.asarray(network(x))
        with tempfile.TemporaryDirectory() as folder:
            whole, plain = f"{folder}/a.keras", f"{folder}/a.weights.h5"
            network.save(whole)
            network.save_weights(plain)
            for source, end in ((whole, ""), (plain, "_h5")):
                target = HERE / f"keras_{name}{end}.safetensors"
                subprocess.run([sys.executable, SCRIPT, source, target], check=True)
        save_file({"x": x, "lengths": np.array(LENGTHS), "y": np.ascontiguousarray(y)}, HERE / f"keras_{name}.io.safetensors")


if __name__ == "__main__":
    main()
