"""Writes input/patients.csv and input/outcomes.csv: 48 patients who do not exist, of whom one in three deteriorates."""

from pathlib import Path

import random

HERE = Path(__file__).parent / "input"


def main():
    chance = random.Random(3)
    rows, outcomes = ["patient,hour,heart_rate,lactate"], ["patient,outcome"]
    for number in range(48):
        worse = number % 3 == 0
        person = chance.gauss(0, 6)
        for hour in range(chance.randint(4, 9)):
            rate = 78 + person + (1.5 * hour if worse else 0) + chance.gauss(0, 5)
            lactate = f"{1.4 + (0.3 if worse else 0) + chance.gauss(0, 0.4):.1f}" if chance.random() < 0.4 else ""
            rows.append(f"p{number:02},{hour},{rate:.0f},{lactate}")
        outcomes.append(f"p{number:02},{'worse' if worse else 'stable'}")
    (HERE / "patients.csv").write_text("\n".join(rows) + "\n")
    (HERE / "outcomes.csv").write_text("\n".join(outcomes) + "\n")


main()
