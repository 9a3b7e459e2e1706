#!/usr/bin/env python3
"""The best time that wfdb-python needs for a record, in milliseconds.

    pip install wfdb==4.3.1
    python scripts/time_wfdb.py RECORD [REPEATS]     # the record's path without .hea

Beside it: cargo run --release -p sequela-formats --example read_waveforms -- RECORD.hea REPEATS
"""
import sys, time

import wfdb

record, repeats = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10
for bits in (64, 32):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        wfdb.rdrecord(record, smooth_frames=False, return_res=bits)
        times.append(time.perf_counter() - start)
    print(f"{record}: {min(times) * 1e3:.3f} ms in f{bits}, the best of {repeats}, wfdb {wfdb.__version__}")
