"""What wfdb-python reads from annotation files: the numbers that the reader has to give.

    python make_wfdb_oracle.py MITBIH_FOLDER WFDB_FORMATS_FOLDER

MITBIH_FOLDER holds mitbih_ds1.tar.xz and mitbih_paced.tar.xz; WFDB_FORMATS_FOLDER holds the
sample-data of wfdb-python. Writes wfdb_mitbih.csv and wfdb_samples.csv beside this script.
Made with wfdb 4.3.1.
"""

import csv
import pathlib
import sys
import tarfile
import tempfile

import numpy
import wfdb

HERE = pathlib.Path(__file__).parent
BEATS = set("NLRBAaJSVrFejnE/fQ?")
MODULUS = 2**31 - 1
NAMES = {'"': "note"}  # a quote would have to be quoted in the table
COLUMNS = [
    "name", "annotations", "beats", "first_beat", "last_beat", "rr_sum", "rr_in_range",
    "symbols", "fields", "aux_bytes", "frequency", "header_samples", "signals",
]


def digest(numbers):
    """A number that any change of a value or of the order changes."""
    total = 0
    for number in numbers:
        total = (total * 31 + int(number) + 1_000) % MODULUS
    return total


def row(stem, extension, name):
    annotation = wfdb.rdann(str(stem), extension, return_label_elements=["label_store", "symbol"])
    symbols = ["" if not isinstance(s, str) or s == " " else s for s in annotation.symbol]
    beats = [int(t) for t, s in zip(annotation.sample, symbols) if s in BEATS and s]
    try:
        header = wfdb.rdheader(str(stem))
        frequency, samples, signals = header.fs, header.sig_len, header.n_sig
    except FileNotFoundError:
        frequency, samples, signals = annotation.fs, None, None
    seconds = annotation.fs or frequency or 250.0
    rr = numpy.diff(beats) / seconds
    counts = {s: symbols.count(s) for s in sorted(set(symbols)) if s}
    fields = digest(
        n
        for entry in zip(annotation.sample, annotation.label_store, annotation.subtype,
                         annotation.chan, annotation.num)
        for n in entry
    )
    aux = [(a or "").rstrip("\0") for a in annotation.aux_note]
    return {
        "name": name,
        "annotations": len(annotation.sample),
        "beats": len(beats),
        "first_beat": beats[0] if beats else "",
        "last_beat": beats[-1] if beats else "",
        "rr_sum": int(numpy.sum(numpy.diff(beats))),
        "rr_in_range": int(((rr >= 0.2) & (rr <= 3.0)).sum()),
        "symbols": " ".join(f"{NAMES.get(s, s)}:{c}" for s, c in counts.items()),
        "fields": fields,
        "aux_bytes": sum(len(a) for a in aux),
        "frequency": frequency,
        "header_samples": samples if samples else "",
        "signals": signals if signals is not None else "",
    }


def write(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main():
    mitbih, samples = map(pathlib.Path, sys.argv[1:3])
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for archive in ["mitbih_ds1.tar.xz", "mitbih_paced.tar.xz"]:
            with tarfile.open(mitbih / archive) as tar:
                wanted = [m for m in tar.getmembers() if m.name.endswith((".hea", ".atr"))]
                tar.extractall(folder, members=wanted, filter="data")
        for header in sorted(pathlib.Path(folder).glob("**/*.hea")):
            rows.append(row(header.with_suffix(""), "atr", header.stem))
    write(HERE / "wfdb_mitbih.csv", rows)
    names = ["100.atr", "100.qrs", "1003.atr", "03700181.gqrsh", "03700181.gqrsl",
             "03700181.sqrs", "12726.anI", "12726.wabp", "12726.wqrs", "huge.qrs"]
    folder = samples / "sample-data"
    write(HERE / "wfdb_samples.csv",
          [row(folder / n.split(".")[0], n.split(".")[1], n) for n in names])


main()
