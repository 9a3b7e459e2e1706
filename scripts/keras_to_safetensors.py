"""Brings Keras weights (.keras or .weights.h5) over to safetensors, for `sequela import`.

    pip install h5py numpy
    python keras_to_safetensors.py model.keras model.safetensors

A .keras file says which layers there are and how they are set. A .weights.h5 file does not: layers are then taken in the
order of their numbers, recurrent ones first, with Keras's default activations. Neither Keras nor TensorFlow is needed.
"""

import io
import json
import re
import sys
import zipfile

import h5py
import numpy as np

CELLS = {"lstm": "LSTM", "gru": "GRU", "simple_rnn": "SimpleRNN"}
KINDS = CELLS | {"bidirectional": "Bidirectional", "dense": "Dense"}
SETTINGS = ("activation", "recurrent_activation", "return_sequences", "go_backwards")


def snake(name):
    """Returns Keras's name of a group for a class: SimpleRNN -> simple_rnn."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def from_config(config):
    """Returns one entry for each layer, named by its group in the file of weights."""
    layers, used = [], {}
    for layer in config["config"]["layers"]:
        group = snake(layer["class_name"])
        count = used[group] = used.get(group, -1) + 1
        entry = {"name": f"{group}_{count}" if count else group, "kind": layer["class_name"]}
        settings = layer["config"]
        if entry["kind"] == "Bidirectional":
            entry |= {"merge_mode": settings["merge_mode"], "cell": settings["layer"]["class_name"]}
            settings = settings["layer"]["config"]
        layers.append(entry | {key: settings[key] for key in SETTINGS if isinstance(settings.get(key), (str, bool))})
    return layers


def from_groups(groups):
    """Returns the layers that groups of weights tell of."""
    layers = []
    for name in groups:
        kind = KINDS.get(re.sub(r"_\d+$", "", name))
        if kind is None and list(groups[name].get("vars", {})):
            raise SystemExit(f"{name}: weights of a layer that is not read")
        if kind:
            layers.append({"name": name, "kind": kind})
            if kind == "Bidirectional":
                cell = groups[name]["forward_layer/cell/vars"].attrs["name"]
                layers[-1]["cell"] = CELLS[cell.removesuffix("_cell")]
    number = lambda name: int((re.findall(r"_(\d+)$", name) or ["0"])[0])
    return sorted(layers, key=lambda layer: (layer["kind"] == "Dense", number(layer["name"])))


def weights(group, name, out):
    """Adds the arrays of a layer under Keras's names."""
    if "cell" in group or "vars" in group and list(group["vars"]):
        recurrent = "cell" in group
        names = ("kernel", "recurrent_kernel", "bias") if recurrent else ("kernel", "bias")
        arrays = group["cell/vars" if recurrent else "vars"]
        for part, key in zip(names, sorted(arrays, key=int)):
            out[f"{name}/{part}"] = np.ascontiguousarray(arrays[key][()], "<f4")
    for side in ("forward", "backward"):
        if f"{side}_layer" in group:
            weights(group[f"{side}_layer"], f"{name}/{side}", out)


def main(source, target):
    config = None
    if zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            config = json.loads(archive.read("config.json"))
            source = io.BytesIO(archive.read("model.weights.h5"))
    out = {}
    with h5py.File(source) as file:
        groups = file["layers"]
        layers = from_config(config) if config else from_groups(groups)
        for layer in layers:
            if layer["name"] in groups:
                weights(groups[layer["name"]], layer["name"], out)
    header, offset = {"__metadata__": {"keras": json.dumps(layers)}}, 0
    for name, array in out.items():
        end = offset + array.nbytes
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    with open(target, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + b"".join(array.tobytes() for array in out.values()))


if __name__ == "__main__":
    main(*sys.argv[1:3])
