"""Counts OMOP tables with the csv module alone, as an independent oracle.

    python testdata/omop/count.py Synthea27Nj_5.4.zip > testdata/omop/synthea27nj.csv

For each table its rows and events; for each code its events and the sum of its values; for each unit how many values
have it.
"""

import collections
import csv
import io
import sys
import zipfile

TABLES = {
    "VISIT_OCCURRENCE": ("visit", "visit_start"),
    "CONDITION_OCCURRENCE": ("condition", "condition_start"),
    "PROCEDURE_OCCURRENCE": ("procedure", "procedure"),
    "MEASUREMENT": ("measurement", "measurement"),
    "OBSERVATION": ("observation", "observation"),
    "DRUG_EXPOSURE": ("drug", "drug_exposure_start"),
}

archive = zipfile.ZipFile(sys.argv[1])


def rows(table):
    return list(csv.DictReader(io.TextIOWrapper(archive.open(f"{table}.csv"), "utf-8")))


concepts = {row["concept_id"]: row for row in rows("CONCEPT")}
genders = {"8507": "Gender//M", "8532": "Gender//F"}
people = rows("PERSON")
counts, codes, sums, units = [], collections.Counter(), collections.Counter(), collections.Counter()


def code(concept):
    known = concepts.get(concept)
    return f"{known['vocabulary_id']}//{known['concept_code']}" if known else genders.get(concept, f"OMOP//{concept}")


events = 0
for row in people:
    traits = [row[name] for name in ("gender_concept_id", "race_concept_id", "ethnicity_concept_id")]
    traits = [code(concept) for concept in traits if concept not in ("", "0")]
    codes.update([*traits, "MEDS_BIRTH"])
    events += len(traits) + 1
counts.append(["PERSON", len(people), events])
for table, (concept, start) in TABLES.items():
    table_rows = rows(table)
    events = 0
    for row in table_rows:
        assert row[f"{start}_date"]
        source = row[f"{concept}_source_concept_id"]
        name = code(source if source not in ("", "0") else row[f"{concept}_concept_id"])
        codes[name] += 1
        events += 1
        if table == "VISIT_OCCURRENCE" and row["visit_end_date"]:
            codes[f"VISIT_END//{name}"] += 1
            events += 1
        if row.get("value_as_number"):
            sums[name] += float(row["value_as_number"])
            unit = row["unit_concept_id"]
            units[concepts[unit]["concept_code"] if unit in concepts else row["unit_source_value"]] += 1
    counts.append([table, len(table_rows), events])
deaths = rows("DEATH")
codes["MEDS_DEATH"] += len(deaths)
counts.append(["DEATH", len(deaths), len(deaths)])
out = csv.writer(sys.stdout, lineterminator="\n")
out.writerow(["kind", "name", "count", "more"])
out.writerows(["table", *count] for count in counts)
out.writerows(["unit", name, units[name], ""] for name in sorted(units))
out.writerows(["code", name, codes[name], round(sums[name], 2)] for name in sorted(codes))
