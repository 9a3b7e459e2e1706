"""Holds a folder against the schemas of the package `meds`.

    pip install meds pyarrow
    python scripts/check_meds.py FOLDER

Prints what was checked; ends with an error at the first file that is not valid.
"""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from meds import CodeMetadataSchema, DataSchema, DatasetMetadataSchema, LabelSchema, SubjectSplitSchema

root = Path(sys.argv[1])
where = {}
for shard in sorted((root / "data").rglob("*.parquet")):
    table = pq.read_table(shard)
    DataSchema.validate(table)
    ids = table["subject_id"].to_pylist()
    times = table["time"].cast(pa.int64()).to_pylist()
    last, done = None, set()
    for at, (subject, time) in enumerate(zip(ids, times)):
        if subject != last:
            assert subject not in done, f"{shard}: row {at + 1}: a subject's rows are not together"
            assert where.setdefault(subject, shard) == shard, f"{shard}: a subject is in two shards"
            done.add(subject)
            last, before = subject, None
        assert before is None or (time is not None and time >= before), f"{shard}: row {at + 1}: not sorted"
        before = time if time is not None else before
    print(f"{shard.relative_to(root)}: {table.num_rows} events of {len(done)} subjects, valid")
assert where, "there is no shard"
codes = pq.read_table(root / "metadata/codes.parquet")
CodeMetadataSchema.validate(codes)
SubjectSplitSchema.validate(splits := pq.read_table(root / "metadata/subject_splits.parquet"))
assert set(splits["subject_id"].to_pylist()) >= set(where), "a subject is in no part"
DatasetMetadataSchema.validate(json.loads((root / "metadata/dataset.json").read_text()))
print(f"metadata: {codes.num_rows} codes, {splits.num_rows} subjects in parts, valid")
for labels in sorted((root / "labels").rglob("*.parquet")):
    LabelSchema.validate(table := pq.read_table(labels))
    print(f"{labels.relative_to(root)}: {table.num_rows} labels, valid")
