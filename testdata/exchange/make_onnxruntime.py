"""What ONNX Runtime says of graphs that sequela exported.

    python make_onnxruntime.py        (numpy, onnx, onnxruntime)

For each export_CASE.onnx and classes_CASE.onnx (written by `SEQUELA_EXCHANGE=write cargo test -p sequela-train
exchange`) writes an .io.safetensors: x, lengths, and forecast, or probability and class, of a ragged batch that begins
from zero states. On the way it checks that each sequence alone gives the same, and that a forward model goes on from its
final states as if it had not stopped.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

HERE = Path(__file__).parent
LENGTHS = np.array([9, 3, 12, 1, 12, 6], "i4")


def close(a, b, what):
    error = float(np.max(np.abs(a - b) / np.maximum(1.0, np.abs(b)), initial=0.0))
    assert error <= 1e-5, f"{what}: {error}"
    return error


def save(path, arrays):
    """Writes safetensors without the library."""
    header, offset = {}, 0
    kinds = {"float32": "F32", "int32": "I32", "int64": "I64"}
    for name, array in arrays.items():
        header[name] = {
            "dtype": kinds[str(array.dtype)], "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def main():
    for path in sorted([*HERE.glob("export_*.onnx"), *HERE.glob("classes_*.onnx")]):
        model = onnx.load(path)
        onnx.checker.check_model(model, full_check=True)
        manifest = json.loads(next(p.value for p in model.metadata_props if p.key == "sequela.manifest"))
        scales = manifest["encoder"]["scaler"]["channels"]
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        shapes = {value.name: value.shape for value in session.get_inputs()}
        random = np.random.RandomState(len(path.name))
        batch, steps = len(LENGTHS), int(LENGTHS.max())
        x = random.standard_normal((batch, steps, len(scales)))
        if manifest.get("classes"):
            # Sequences of different levels, so that there is something to tell apart.
            x += np.linspace(-2, 2, batch)[:, None, None]
        x = (x * [s["spread"] for s in scales] + [s["centre"] for s in scales]).astype("f4")
        answers = ["probability", "class"] if manifest.get("classes") else ["forecast"]
        told = manifest["encoder"]["indicators"]
        # Nothing is missing: observed is 1 and the gap ln(1 + 0).
        told = np.concatenate([np.full(x.shape, float(word == "observed"), "f4") for word in told] or [x[..., :0]], 2)

        def run(rows, lengths, states=None, begin=0):
            feed = {"x": x[rows, begin:], "lengths": lengths, "indicators": told[rows, begin:]}
            for name in ("h0", "c0"):
                if name in shapes:
                    count, _, hidden = shapes[name]
                    feed[name] = np.zeros((count, len(lengths), hidden), "f4") if states is None else states[name]
            return dict(zip((o.name for o in session.get_outputs()), session.run(None, {k: v for k, v in feed.items() if k in shapes})))

        whole = run(slice(None), LENGTHS)
        errors = []
        for b, length in enumerate(LENGTHS):
            one = run(slice(b, b + 1), LENGTHS[b : b + 1])
            for answer in answers:
                errors.append(close(one[answer], whole[answer][b : b + 1], f"{path.name}: sequence {b} alone"))
            # Relative inputs and both directions look at the whole of what they are given.
            if "reverse" not in str(model.graph) and manifest["encoder"]["inputs"] == "values":
                half = (length + 1) // 2
                first = run(slice(b, b + 1), np.array([half], "i4"))
                if length > half:
                    states = {"h0": first["hn"], "c0": first.get("cn")}
                    rest = run(slice(b, b + 1), np.array([length - half], "i4"), states, half)
                    close(rest["hn"], whole["hn"][:, b : b + 1], f"{path.name}: sequence {b} in two parts")
        name = path.name.removesuffix(".onnx")
        save(HERE / f"{name}.io.safetensors", {"x": x, "lengths": LENGTHS} | {answer: whole[answer] for answer in answers})
        print(f"{name}: alone and in a batch differ by at most {max(errors):.1e}")


if __name__ == "__main__":
    main()
