"""Small .npy files of every element type, byte order and version that is read.

    python make_npy_samples.py

Writes npy/*.npy and npy/expected.csv (file, shape, values) beside this script.
Made with NumPy 2.4.6.
"""

import io
import pathlib

import numpy

HERE = pathlib.Path(__file__).parent / "npy"
HERE.mkdir(exist_ok=True)
lines = ["file,shape,values"]


def keep(name, array, version=(1, 0)):
    out = io.BytesIO()
    numpy.lib.format.write_array(out, array, version=version, allow_pickle=False)
    (HERE / f"{name}.npy").write_bytes(out.getvalue())
    values = " ".join(repr(float(v)) for v in array.flatten(order="C"))
    lines.append(f"{name}.npy,{' '.join(map(str, array.shape))},{values}")


for code in ["b1", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]:
    for order in "<>":
        kind = numpy.dtype(order + code)
        low = 0 if code[0] in "bu" else -3
        array = (numpy.arange(low, low + 6) * (0.5 if code[0] == "f" else 1)).astype(kind)
        keep(("little_" if order == "<" else "big_") + code, array)
keep("special_f8", numpy.array([numpy.nan, numpy.inf, -numpy.inf, -0.0, 1e308, 5e-324]))
keep("extremes_i2", numpy.array([-32768, 32767], dtype="<i2"))
keep("matrix", numpy.arange(6, dtype="<f4").reshape(2, 3))
keep("fortran", numpy.asfortranarray(numpy.arange(6, dtype="<f4").reshape(2, 3)))
keep("empty", numpy.zeros((0,), dtype="<f8"))
keep("version_2", numpy.arange(3, dtype="<i4"), (2, 0))
keep("version_3", numpy.arange(3, dtype="<i4"), (3, 0))
(HERE / "expected.csv").write_text("\n".join(lines) + "\n")
