"""Writes small Parquet files and the same tables as CSV, for crates/sequela-formats/tests/parquet.rs.

Needs pyarrow (26.0 made the files that are here). Every file of parquet/ has the rows of wide.csv
or long.csv, whatever its encoding, codec, page version or size of row groups.

    python make.py
"""

import csv
import datetime as dt
import decimal
import os
import random

import pyarrow as pa
import pyarrow.parquet as pq

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "parquet")
os.makedirs(OUT, exist_ok=True)
random.seed(7)


def maybe(value, share=0.3):
    return None if random.random() < share else value


ROWS = 180
start = dt.datetime(2024, 5, 1, 8)
wide = {
    "patient": [f"p{at // 60:02d}" for at in range(ROWS)],
    "key": [10**15 + at // 60 for at in range(ROWS)],
    "minute": [at % 60 for at in range(ROWS)],
    "charted": [start + dt.timedelta(seconds=30 * (at % 60), milliseconds=at % 7) for at in range(ROWS)],
    "day": [dt.date(2024, 5, 1) + dt.timedelta(days=at % 60 // 20) for at in range(ROWS)],
    "hr": [maybe(round(random.gauss(80, 12), 1)) for _ in range(ROWS)],
    "temp": [round(random.gauss(37, 0.5), 2) for _ in range(ROWS)],
    "spo2": [maybe(random.randint(80, 100)) for _ in range(ROWS)],
    "small": [maybe(random.randint(0, 255), 0.9) for _ in range(ROWS)],
    "large": [random.randint(2**31, 2**32 - 1) for _ in range(ROWS)],
    "negative": [random.randint(-(2**40), 2**40) for _ in range(ROWS)],
    "dose": [maybe(decimal.Decimal(random.randint(-999, 999)) / 100) for _ in range(ROWS)],
    "ventilated": [maybe(at % 11 > 5) for at in range(ROWS)],
    "empty": [None] * ROWS,
    "ward": [maybe(random.choice(["A", "B", "Überwachung", ""])) for _ in range(ROWS)],
}
types = {
    "patient": pa.string(), "key": pa.int64(), "minute": pa.int32(), "charted": pa.timestamp("ms"),
    "day": pa.date32(), "hr": pa.float32(), "temp": pa.float64(), "spo2": pa.int16(),
    "small": pa.uint8(), "large": pa.uint32(), "negative": pa.int64(), "dose": pa.decimal128(5, 2),
    "ventilated": pa.bool_(), "empty": pa.float64(), "ward": pa.large_string(),
}
table = pa.table({name: pa.array(wide[name], types[name]) for name in wide})


def text(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, (dt.datetime, dt.date)):
        return value.isoformat()
    return str(value)


with open(os.path.join(HERE, "wide.csv"), "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(wide)
    for row in zip(*wide.values()):
        writer.writerow([text(value) for value in row])


def write(name, what=table, **options):
    pq.write_table(what, os.path.join(OUT, name + ".parquet"), **options)


def cast(**changes):
    fields = [pa.field(f.name, changes.get(f.name, f.type)) for f in table.schema]
    return table.cast(pa.schema(fields))


for codec in ["none", "snappy", "gzip", "zstd"]:
    write(codec, compression=codec)
write("zstd_19", compression="zstd", compression_level=19)
write("pages_v2", compression="zstd", data_page_version="2.0")
write("plain", use_dictionary=False, compression="none")
write("plain_v2", use_dictionary=False, compression="snappy", data_page_version="2.0")
write("groups", row_group_size=37)
write("pages", data_page_size=64, write_batch_size=5, dictionary_pagesize_limit=40)
write("checksums", write_page_checksum=True)
write("instants_us", cast(charted=pa.timestamp("us")))
write("instants_ns", cast(charted=pa.timestamp("ns", "Europe/Berlin")))
write("instants_96", use_deprecated_int96_timestamps=True)
write("dictionaries", cast(patient=pa.dictionary(pa.int32(), pa.string())))
write("decimals", store_decimal_as_integer=True)
numbers = ["key", "minute", "spo2", "small", "large", "negative"]
write(
    "differences", use_dictionary=False, compression="none", data_page_size=200, write_batch_size=16,
    column_encoding={n: "DELTA_BINARY_PACKED" for n in numbers}
    | {"patient": "DELTA_BYTE_ARRAY", "ward": "DELTA_LENGTH_BYTE_ARRAY", "ventilated": "RLE"},
)
write(
    "split", use_dictionary=False, compression="zstd",
    column_encoding={n: "BYTE_STREAM_SPLIT" for n in ["hr", "temp", "minute", "key", "empty"]},
)
required = pa.schema([pa.field(f.name, f.type, f.name not in ["patient", "minute", "temp"]) for f in table.schema])
write("required", table.cast(required))
lists = table.append_column("notes", pa.array([["a", "b"], None] * (ROWS // 2)))
lists = lists.append_column("person", pa.array([{"age": 1, "sex": "f"}] * ROWS))
write("lists", lists)

# A long table: a row for each measurement.
names = [("potassium", "mmol/L"), ("glucose", "mg/dL"), ("ph", "")]
long = {"stay": [], "offset": [], "labname": [], "labresult": [], "unit": []}
for at in range(150):
    name, unit = random.choice(names)
    long["stay"].append(141000 + at % 5)
    long["offset"].append(random.randint(-60, 3000))
    long["labname"].append(name)
    long["labresult"].append(maybe(round(random.uniform(1, 150), 2), 0.1))
    long["unit"].append(unit or None)
with open(os.path.join(HERE, "long.csv"), "w", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(long)
    for row in zip(*long.values()):
        writer.writerow([text(value) for value in row])
write("long", pa.table(long), row_group_size=40, compression="zstd")
# A small one, to be cut at every byte and have every bit flipped.
write("small", pa.table({"id": ["a", "a", "b"], "t": [0, 1, 0], "hr": [70.5, None, 80.0]}),
      compression="snappy", write_statistics=False, store_schema=False)
write("small_v2", pa.table({"id": ["a", "a", "b"], "t": [0, 1, 0], "hr": [70.5, None, 80.0]}),
      compression="zstd", write_statistics=False, store_schema=False, data_page_version="2.0",
      use_dictionary=False, column_encoding={"id": "DELTA_BYTE_ARRAY", "t": "DELTA_BINARY_PACKED", "hr": "BYTE_STREAM_SPLIT"})
