"""Writes workbooks with the rows of wide.csv and long.csv, for crates/sequela-formats/tests/workbook.rs.

Needs openpyxl (3.1 made the files that are here).

    python make_workbook.py
"""

import csv
import datetime as dt
import os

import openpyxl

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "workbooks")
os.makedirs(OUT, exist_ok=True)


def cell(text, column):
    """What somebody who types the text into a sheet would have there."""
    if text == "":
        return None
    if column == "charted":
        return dt.datetime.fromisoformat(text.replace("Z", "")).replace(tzinfo=None)
    if column == "day":
        return dt.date.fromisoformat(text)
    if text in ("true", "false"):
        return text == "true"
    if column in ("patient", "stay", "key"):
        return text
    try:
        return float(text)
    except ValueError:
        return text


def book(name, table, start=(1, 1), notes=False):
    rows = list(csv.reader(open(os.path.join(HERE, table + ".csv"), encoding="utf-8")))
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "measurements"
    for at, row in enumerate(rows):
        for column, text in enumerate(row):
            value = text if at == 0 else cell(text, rows[0][column])
            sheet.cell(row=start[0] + at, column=start[1] + column, value=value)
    if notes:
        sheet.cell(row=start[0] + 3, column=start[1] + len(rows[0]) + 2, value="checked by the ward")
        workbook.create_sheet("notes").append(["nothing of this is read"])
    workbook.save(os.path.join(OUT, name + ".xlsx"))


book("wide", "wide")
book("long", "long")
# The table does not begin at the first row, and something is written beside it.
book("notes", "wide", start=(3, 1), notes=True)

sheet = openpyxl.Workbook()
sheet.active.append(["patient", "minute", "hr"])
sheet.active.append(["p1", 0, 71])
sheet.active.append(["p1", 1, "=1/0"])
sheet.active.append(["p1", 2, "high"])
sheet.save(os.path.join(OUT, "words.xlsx"))
