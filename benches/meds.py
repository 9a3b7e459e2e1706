"""Writes big folders of MEDS and times pyarrow on them; needs pyarrow.

    python benches/meds.py write FOLDER CODEC     4 shards of 2,500,000 events, zstd or snappy
    python benches/meds.py time FOLDER THREADS    reads them: the four columns of the schema, as a table

The events: 5,000 subjects a shard of 500 events each, 600 codes of which few are frequent, times to the second over
some days, values for three events of four.
"""

import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ["subject_id", "time", "code", "numeric_value"]


def write(folder, codec):
    import random

    folder.joinpath("data").mkdir(parents=True)
    random.seed(1)
    codes = [f"LAB//{at}//{random.choice(['mg/dL', 'mmol/L', 'UNK'])}" for at in range(600)]
    weights = [1 / (1 + at) for at in range(600)]
    for shard in range(4):
        subjects, times, names, values = [], [], [], []
        for subject in range(5000):
            start = random.randrange(10**9, 2 * 10**9)
            gaps = sorted(random.randrange(0, 10 * 86400) for _ in range(499))
            subjects += [shard * 5000 + subject] * 500
            times += [None] + [(start + gap) * 1_000_000 for gap in gaps]
            names += random.choices(codes, weights, k=500)
            values += [round(random.gauss(80, 20), 1) if random.random() < 0.75 else None for _ in range(500)]
        table = pa.table({
            "subject_id": pa.array(subjects, pa.int64()), "time": pa.array(times, pa.timestamp("us")),
            "code": pa.array(names, pa.string()), "numeric_value": pa.array(values, pa.float32()),
        })
        pq.write_table(table, folder / "data" / f"{shard}.parquet", compression=codec)


def read(folder, threads):
    pa.set_cpu_count(threads)
    pa.set_io_thread_count(threads)
    shards = sorted(folder.joinpath("data").rglob("*.parquet"))
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        rows = sum(pq.read_table(shard, columns=COLUMNS, use_threads=threads > 1).num_rows for shard in shards)
        seconds.append(time.perf_counter() - started)
    seconds.sort()
    print(f"pyarrow {pa.__version__} {folder} {threads} threads: {rows} events, median {seconds[3]:.3f} s, least {seconds[0]:.3f} s")


if sys.argv[1] == "write":
    write(Path(sys.argv[2]), sys.argv[3])
else:
    read(Path(sys.argv[2]), int(sys.argv[3]))
