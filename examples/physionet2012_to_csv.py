"""Turns a set of the PhysioNet/CinC Challenge 2012 into two tables: hours of ICU stays, and who died in hospital.

    python3 examples/physionet2012_to_csv.py DATA OUT [LETTER ...]

DATA is the folder with set-a.tar.gz and Outcomes-a.txt, OUT the folder to write in; without letters sets a and b are
read. Writes OUT/stays-LETTER.csv and OUT/outcomes-LETTER.csv, which studies/icu-mortality.toml reads.

A row is an hour of a stay, from admission to the hour of its last measurement (48 at most). A cell is the mean of what
was measured in that hour, empty where nothing was. General descriptors (age, sex, height, type of unit) stand in hour
0. -1 means unknown in these files, and so do a height outside 100 to 230 cm, a weight below 20 kg, and a 0 where no
living patient has one (heart rate, pressures, temperature ...). Standard library only.
"""

import csv
import sys
import tarfile
from pathlib import Path

VARIABLES = (
    "Albumin ALP ALT AST Bilirubin BUN Cholesterol Creatinine DiasABP FiO2 GCS Glucose HCO3 HCT HR K Lactate MAP "
    "MechVent Mg Na NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH Platelets RespRate SaO2 SysABP Temp TroponinI TroponinT "
    "Urine WBC Weight"
).split()
NEVER_ZERO = set("DiasABP HR MAP NIDiasABP NIMAP NISysABP PaCO2 PaO2 pH RespRate SaO2 SysABP Temp".split())
DESCRIPTORS = ["Age", "Gender", "Height", "ICUType"]
UNITS = ["unit_coronary", "unit_cardiac_surgery", "unit_medical", "unit_surgical"]
COLUMNS = ["age", "male", "height", *UNITS, *VARIABLES]


def believed(name, value):
    """Whether a number can be what it says it is."""
    if value == -1 or (name in NEVER_ZERO and value <= 0):
        return False
    if name == "Height":
        return 100 <= value <= 230
    if name == "Weight":
        return value >= 20
    if name == "Temp":
        return value >= 20
    if name == "pH":
        return 6 <= value <= 8
    return True


def read_stay(text):
    """Returns {hour: {column: [values]}} of one record."""
    hours = {0: {}}

    def add(hour, column, value):
        hours.setdefault(hour, {}).setdefault(column, []).append(value)

    for time, name, value in csv.reader(text.splitlines()[1:]):
        if name in ("RecordID", "") or not believed(name, float(value)):
            continue
        hour, value = int(time.split(":")[0]), float(value)
        if name == "ICUType":
            for number, column in enumerate(UNITS, start=1):
                add(0, column, float(value == number))
        elif name in DESCRIPTORS:
            add(0, {"Age": "age", "Gender": "male", "Height": "height"}[name], value)
        elif name in VARIABLES:
            add(hour, name, value)
    return hours


def convert(data, out, letter):
    """Writes the two tables of one set."""
    outcomes = {}
    with open(data / f"Outcomes-{letter}.txt", newline="") as file:
        for row in csv.DictReader(file):
            outcomes[row["RecordID"]] = "died" if row["In-hospital_death"] == "1" else "survived"
    stays = {}
    with tarfile.open(data / f"set-{letter}.tar.gz") as archive:
        for member in archive:
            if member.isfile() and member.name.endswith(".txt"):
                stays[Path(member.name).stem] = read_stay(archive.extractfile(member).read().decode())
    with open(out / f"stays-{letter}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stay", "hour", *COLUMNS])
        for stay in sorted(stays):
            hours = stays[stay]
            for hour in range(min(max(hours), 47) + 1):
                cells = hours.get(hour, {})
                means = [sum(cells[c]) / len(cells[c]) if c in cells else None for c in COLUMNS]
                writer.writerow([stay, hour, *("" if m is None else f"{m:.6g}" for m in means)])
    with open(out / f"outcomes-{letter}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["stay", "in_hospital"])
        writer.writerows((stay, outcomes[stay]) for stay in sorted(stays))
    died = sum(outcomes[stay] == "died" for stay in stays)
    print(f"set {letter}: {len(stays)} stays, {died} died in hospital")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for letter in sys.argv[3:] or ["a", "b"]:
        convert(data, out, letter)


if __name__ == "__main__":
    main()
