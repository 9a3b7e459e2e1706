"""Writes input/hours.csv: 40 patients who do not exist, hour by hour; every second falls ill six hours after a first 1."""

from pathlib import Path

import random

HERE = Path(__file__).parent / "input"


def main():
    chance = random.Random(5)
    rows = ["patient,hour,heart_rate,lactate,ill"]
    for number in range(40):
        ill = number % 2 == 0
        length = chance.randint(14, 24)
        for hour in range(length):
            coming = ill and hour >= length - 9
            rate = 78 + (12 if coming else 0) + chance.gauss(0, 5)
            lactate = f"{1.4 + chance.gauss(0, 0.4):.1f}" if chance.random() < 0.3 else ""
            label = "" if chance.random() < 0.05 else int(coming)
            rows.append(f"p{number:02},{hour},{rate:.0f},{lactate},{label}")
    (HERE / "hours.csv").write_text("\n".join(rows) + "\n")


main()
