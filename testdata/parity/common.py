"""What every script of this folder shares: seeded numbers, saving with a second look, and the gradient spot check.

All random numbers come from NumPy's legacy generator, whose stream is frozen, so that a dump can be made again
with other versions of the frameworks.
"""

import json
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

FOLDER = Path(__file__).resolve().parent
LARGEST_FILE = 300_000


def save(name, tensors, **metadata):
    """Writes `name`.safetensors beside this script, reads it back and compares every bit."""
    path = FOLDER / f"{name}.safetensors"
    # np.require keeps a scalar's shape, which ascontiguousarray would turn into (1,).
    arrays = {key: np.require(value, requirements="C") for key, value in tensors.items()}
    for key, value in arrays.items():
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise ValueError(f"{name}: {key} is not finite")
    save_file(arrays, path, metadata={key: str(value) for key, value in metadata.items()})
    sort_metadata(path)
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(f"{path.name} has {size} bytes, more than {LARGEST_FILE}")
    with safe_open(path, "np") as file:
        if sorted(file.keys()) != sorted(arrays):
            raise ValueError(f"{path.name} lost a tensor")
        for key, value in arrays.items():
            again = file.get_tensor(key)
            same = again.shape == value.shape and again.dtype == value.dtype
            if not same or again.tobytes() != value.tobytes():
                raise ValueError(f"{path.name}: {key} changed on its way")
    print(f"{path.name:44} {size:7} bytes")


def single(values):
    """Returns the float64 array rounded to numbers that float32 holds too, so that both start from the same input."""
    return np.asarray(values).astype(np.float32).astype(np.float64)


def sort_metadata(path):
    """Rewrites the header with its metadata in order: the library's own order changes from run to run."""
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    assert len(text) <= end - 8
    path.write_bytes(content[:8] + text.ljust(end - 8) + content[end:])


def check_gradient(name, loss, values, gradients, step=1e-6, tolerance=1e-6):
    """Compares the gradients with a central difference along one random direction through all `values`.

    `loss` maps a dict of arrays to a float; `values` and `gradients` have the same keys.
    """
    random = np.random.RandomState(987)
    direction = {key: random.standard_normal(np.shape(value)) for key, value in values.items()}
    up = loss({key: value + step * direction[key] for key, value in values.items()})
    down = loss({key: value - step * direction[key] for key, value in values.items()})
    measured = float((up - down) / (2 * step))
    claimed = float(sum(np.sum(gradients[key] * direction[key]) for key in values))
    error = abs(measured - claimed) / max(1.0, abs(measured))
    if not error < tolerance:
        raise ValueError(f"{name}: gradient {claimed} but difference {measured}")
    return error


OPTIMISER_SIZE, OPTIMISER_STEPS = 37, 10


def optimiser_case():
    """Returns the start (37) and the gradients (10, 37) that every optimiser dump shares.

    Sizes run from about 1e-8 to 30, so that epsilon matters; one gradient is always zero and one only sometimes.
    """
    random = np.random.RandomState(2024)
    start = random.standard_normal(OPTIMISER_SIZE)
    gradients = random.standard_normal((OPTIMISER_STEPS, OPTIMISER_SIZE))
    gradients *= np.logspace(-8, 1.5, OPTIMISER_SIZE)
    gradients[:, 5] = 0.0
    gradients[::2, 30] = 0.0
    return single(start), single(gradients)
