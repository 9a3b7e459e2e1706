"""Writes Parquet files that lie, for crates/sequela-formats/tests/allocations.rs: one for each line that
is printed. Every one is a table with the column v, and none of them may be read.

Needs nothing but Python (zstd frames are written by hand).

    python hostile.py
"""

import gzip
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "hostile")
os.makedirs(OUT, exist_ok=True)


def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7F | 0x80])
        n >>= 7
    return out + bytes([n])


def zigzag(n):
    return varint((n << 1) ^ (n >> 63) if n >= 0 else ((-n) << 1) - 1)


def fields(*pairs):
    """A structure of Thrift's compact protocol: (id, kind, bytes) in rising order."""
    out, last = b"", 0
    for id, kind, body in pairs:
        out += bytes([(id - last) << 4 | kind]) + body
        last = id
    return out + b"\0"


def i32(id, n):
    return (id, 5, zigzag(n))


def i64(id, n):
    return (id, 6, zigzag(n))


def text(id, s):
    return (id, 8, varint(len(s)) + s)


def listed(id, kind, items, count=None):
    count = len(items) if count is None else count
    head = bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind]) + varint(count)
    return (id, 9, head + b"".join(items))


def page(body, cells, kind=0, encoding=0, unpacked=None, packed=None):
    inner = fields(i32(1, cells), i32(2, encoding), i32(3, 3), i32(4, 3)) if kind == 0 else fields(i32(1, cells), i32(2, encoding))
    unpacked = len(body) if unpacked is None else unpacked
    packed = len(body) if packed is None else packed
    return fields(i32(1, kind), i32(2, unpacked), i32(3, packed), (5 if kind == 0 else 7, 12, inner)) + body


ROOT = fields(text(4, b"schema"), i32(5, 1))


def leaf(physical=2):
    return fields(i32(1, physical), i32(3, 0), text(4, b"v"))


def footer(rows, pages, physical=2, codec=0, schema=None, length=None, start=4, group_rows=None):
    length = len(pages) if length is None else length
    meta = fields(
        i32(1, physical), listed(2, 5, [zigzag(0)]), listed(3, 8, [varint(1) + b"v"]), i32(4, codec),
        i64(5, rows), i64(6, length), i64(7, length), i64(9, start),
    )
    chunk = fields(i64(2, start), (3, 12, meta))
    group = fields(listed(1, 12, [chunk]), i64(2, length), i64(3, rows if group_rows is None else group_rows))
    schema = [ROOT, leaf(physical)] if schema is None else schema
    return fields(i32(1, 2), listed(2, 12, schema), i64(3, rows), listed(4, 12, [group]))


def write(name, foot, pages=b"", length=None):
    length = len(foot) if length is None else length
    with open(os.path.join(OUT, name + ".parquet"), "wb") as file:
        file.write(b"PAR1" + pages + foot + struct.pack("<I", length) + b"PAR1")
    print(name)


plain = struct.pack("<3q", 1, 2, 3)
good = page(plain, 3)
write("a_good_one", footer(3, good), good)
# Lists of 2,147,483,647 things.
write("list_of_schema", fields(i32(1, 2), listed(2, 12, [ROOT], 2**31 - 1)))
write("list_of_groups", fields(i32(1, 2), listed(2, 12, [ROOT, leaf()]), i64(3, 3), listed(4, 12, [], 2**31 - 1)))
write("list_of_unknown", fields(listed(1, 12, [], 2**31 - 1)))
# Lengths and places outside the file.
write("footer_past_file", footer(3, good), good, 10**6)
write("footer_4_gib", footer(3, good), good, 2**32 - 1)
write("column_past_file", footer(3, good, length=10**9), good)
write("column_before_file", footer(3, good, start=0), good)
write("column_negative", footer(3, good, length=-5), good)
write("column_cut", footer(3, good, length=len(good) - 9), good)
# Pages that claim 2 GiB.
huge = page(plain, 3, unpacked=2**31 - 1)
write("page_2_gib", footer(3, huge), huge)
for codec, number, body in [
    ("snappy", 1, varint(2**31 - 1) + b"\0\0"),
    ("gzip", 2, gzip.compress(b"\0" * 100, mtime=0)),
    ("zstd", 6, b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", 2**31 - 1) + b"\x01\0\0"),
]:
    huge = page(body, 3, unpacked=2**31 - 1)
    write("page_2_gib_" + codec, footer(3, huge, codec=number), huge)
    little = page(body, 3, unpacked=24)
    write("page_lies_" + codec, footer(3, little, codec=number), little)
window = page(b"\x28\xb5\x2f\xfd\x00\xf8\x01\0\0", 3, unpacked=24)
write("zstd_window", footer(3, window, codec=6), window)
huge = page(plain, 3, packed=2**31 - 1)
write("page_packed_2_gib", footer(3, huge), huge)
# Bombs: what unpacks to far more than there is.
bomb = page(gzip.compress(b"\0" * (32 << 20), mtime=0), 4 << 20, unpacked=32 << 20)
write("bomb_gzip", footer(4 << 20, bomb, codec=2), bomb)
# Dictionaries.
dictionary = page(plain, 3, kind=2)
out_of_range = dictionary + page(b"\x08" + varint(3 << 1) + b"\x03", 3, encoding=8)
write("index_out_of_range", footer(3, out_of_range), out_of_range)
entries = page(plain, 2**31 - 1, kind=2) + page(b"\x08" + varint(3 << 1) + b"\x00", 3, encoding=8)
write("dictionary_of_2_g_entries", footer(3, entries), entries)
no_dictionary = page(b"\x08" + varint(3 << 1) + b"\x00", 3, encoding=8)
write("no_dictionary", footer(3, no_dictionary), no_dictionary)
wide = dictionary + page(b"\xff" + varint(3 << 1) + b"\x00", 3, encoding=8)
write("width_255", footer(3, wide), wide)
# Rows.
runs = dictionary + page(b"\x08" + varint(2**30 << 1) + b"\x00", 2**30, encoding=8)
write("rows_2_30", footer(2**30, runs), runs)
write("rows_2_60", footer(2**60, good), good)
write("rows_negative", footer(-3, good), good)
write("rows_differ", footer(3, good, group_rows=4), good)
few = page(plain[:16], 2)
write("cells_missing", footer(3, few), few)
cut = page(plain[:20], 3)
write("cells_cut", footer(3, cut), cut)
# A schema that is 5,000 deep, and structures within structures.
groups = [fields(text(4, b"g"), i32(5, 1))] * 5000
write("schema_5000_deep", footer(3, good, schema=[ROOT] + groups + [leaf()]), good)
write("structures_deep", fields((1, 12, b"\x1c" * 5000)))
write("schema_of_nothing", footer(3, good, schema=[ROOT]), good)
write("schema_too_long", footer(3, good, schema=[ROOT, leaf(), leaf()]), good)
write("schema_of_many_children", footer(3, good, schema=[fields(text(4, b"s"), i32(5, 2**31 - 1)), leaf()]), good)
write("schema_unknown_type", footer(3, good, physical=9), good)
columns = [fields(i32(1, 2), text(4, b"")) for _ in range(3000)]
write("columns_3000", footer(3, good, schema=[fields(text(4, b"s"), i32(5, 3000))] + columns), good)
# Differences: 2,147,483,647 of them, blocks as large, texts that share 1 MiB with each other.
for name, head in [
    ("differences_2_g", varint(128) + varint(4) + varint(2**31 - 1) + zigzag(0)),
    ("differences_block_2_g", varint(2**31) + varint(1) + varint(3) + zigzag(0) + zigzag(0) + b"\0"),
    ("differences_width_255", varint(128) + varint(4) + varint(3) + zigzag(0) + zigzag(0) + b"\xff\xff\xff\xff"),
]:
    body = page(head, 3, encoding=5)
    write(name, footer(3, body), body)
texts = 4000
same = varint(128) + varint(1)
shared = same + varint(texts) + zigzag(0) + zigzag(0) + b"\x15"
bits = 0
values = [0] + [50_000 if at == 0 else 0 for at in range(texts - 1)]
for at, n in enumerate(values[1:129]):
    bits |= n << (21 * at)
shared += bits.to_bytes(128 * 21 // 8, "little") + (zigzag(0) + b"\0") * (-(-(texts - 1) // 128) - 1)
first = same + varint(texts) + zigzag(50_000) + zigzag(-50_000) + b"\x11"
bits = 0
for at in range(128):
    bits |= (0 if at == 0 else 50_000) << (17 * at)
first += bits.to_bytes(128 * 17 // 8, "little") + (zigzag(0) + b"\0") * (-(-(texts - 1) // 128) - 1)
body = page(gzip.compress(shared + first + b"x" * 50_000, mtime=0), texts, encoding=7, unpacked=len(shared + first) + 50_000)
write("texts_that_share", footer(texts, body, physical=6, codec=2), body)
# What no reader here understands.
write("codec_unknown", footer(3, good, codec=5), good)
strange = page(plain, 3, encoding=77)
write("encoding_unknown", footer(3, strange), strange)
