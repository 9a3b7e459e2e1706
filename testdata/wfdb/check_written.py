"""Holds what sequela wrote against wfdb-python, value for value, and notes the digests of its files.

    SEQUELA_WRITTEN=/tmp/written cargo test -p sequela-formats --test wfdb_written
    pip install wfdb==4.3.1
    python check_written.py /tmp/written > written.csv

The first run of the test fails, for it has nothing to compare with yet.
"""
import hashlib, pathlib, sys

import numpy as np
import wfdb

FORMATS = [(8, 8), (16, 16), (24, 24), (32, 32), (61, 16), (80, 8), (160, 16), (212, 12), (310, 10), (311, 10)]
FRAMES = 301


def sample(kind, bits, signal, at):
    if kind == 8:
        return (at * 37 + signal * 11) % 101
    return (at * at * 2654435 + at * 7919 + signal * 104729) % ((1 << bits) - 1) - (1 << (bits - 1)) + 1


folder = pathlib.Path(sys.argv[1])
print("file,sha256")
for kind, bits in FORMATS:
    name = f"w{kind}"
    each = 3 if kind == 16 else 1
    # 4.3.1 cannot read some formats frame by frame.
    record = wfdb.rdrecord(str(folder / name), physical=False, smooth_frames=each == 1)
    signals = record.d_signal.T if each == 1 else record.e_d_signal
    assert (record.fs, record.sig_len, record.sig_name, record.units) == (250.5, FRAMES, ["lead II", "ABP"], ["mV", "mmHg"])
    assert record.adc_gain == [200.25, 50.0] and record.baseline == [-3, 1] and record.comments == ["written by a test"]
    for signal, count in enumerate([FRAMES, each * FRAMES]):
        wanted = np.array([sample(kind, bits, signal, at) for at in range(count)], dtype=np.int64)
        assert np.array_equal(signals[signal].astype(np.int64), wanted), (kind, signal)
        assert record.init_value[signal] == wanted[0] and (record.checksum[signal] - wanted.sum()) % 65536 == 0
    for end in ["hea", "dat"]:
        print(f"{name}.{end},{hashlib.sha256((folder / f'{name}.{end}').read_bytes()).hexdigest()}")

found = wfdb.rdann(str(folder / "w16"), "atr")
at = range(1, 60)
assert list(found.sample) == [n * n * 331 for n in at]
assert list(found.symbol) == [["N", "V", "+", "~", "A"][n % 5] for n in at]
assert list(found.subtype) == [[0, 0, 1, -1, 0][n % 5] for n in at], found.subtype
assert list(found.chan) == [n // 7 % 2 for n in at]
assert list(found.num) == [n // 11 % 3 for n in at]
assert [text.rstrip("\0") for text in found.aux_note] == [f"(AFIB{n}" if n % 5 == 2 else "" for n in at]
print(f"w16.atr,{hashlib.sha256((folder / 'w16.atr').read_bytes()).hexdigest()}")
