"""Times one epoch of PyPOTS's GRU-D on the 8,000 stays of PhysioNet 2012, as hourly grids of 48 steps.

    python benches/grud.py DATA/physionet2012 [THREADS]

Needs pypots (pip install pypots). Compare with `sequela train` as in benches/record/2026-11-24-gru-d.md: the same stays, steps,
channels, hidden units, batch size and optimiser; only steps of training are timed, not the reading of files. Each cell of the
grid holds the last value of its hour, standardised; the class is the death in hospital.
"""

import csv
import io
import os
import sys
import tarfile
import time

THREADS = int(sys.argv[2]) if len(sys.argv) > 2 else 2
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(THREADS)
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import torch
from pypots.classification.grud.data import DatasetForGRUD
from pypots.classification.grud import GRUD
import pypots

torch.set_num_threads(THREADS)
torch.manual_seed(1)
STEPS, HIDDEN, BATCH, EPOCHS = 48, 64, 64, 3
STATICS = {"RecordID", "Age", "Gender", "Height", "ICUType", "Weight"}


def stays(folder):
    """Returns the hourly grids (N,48,37), NaN where missing, and the classes (N)."""
    rows, names, died = {}, {}, {}
    for part in "ab":
        with open(f"{folder}/Outcomes-{part}.txt") as file:
            for line in csv.DictReader(file):
                died[line["RecordID"]] = int(line["In-hospital_death"])
        with tarfile.open(f"{folder}/set-{part}.tar.gz") as archive:
            for member in archive:
                stay = os.path.basename(member.name).removesuffix(".txt")
                if not member.isfile() or stay not in died:
                    continue
                text = io.TextIOWrapper(archive.extractfile(member))
                for line in list(csv.reader(text))[1:]:
                    if len(line) != 3 or not line[1] or line[1] in STATICS - {"Weight"}:
                        continue
                    hour = min(int(line[0].split(":")[0]), STEPS - 1)
                    channel = names.setdefault(line[1], len(names))
                    value = float(line[2])
                    rows.setdefault(stay, {})[hour, channel] = np.nan if value < 0 else value
    order = sorted(died)
    grid = np.full((len(order), STEPS, len(names)), np.nan, dtype=np.float32)
    for at, stay in enumerate(order):
        for (hour, channel), value in rows.get(stay, {}).items():
            grid[at, hour, channel] = value
    spread = np.nanstd(grid, axis=(0, 1))
    grid = (grid - np.nanmean(grid, axis=(0, 1))) / np.where(spread > 0, spread, 1)
    return grid, np.array([died[stay] for stay in order])


x, y = stays(sys.argv[1])
print(f"pypots {pypots.__version__}, torch {torch.__version__}, {THREADS} threads; {x.shape}, "
      f"{np.isnan(x).mean():.3f} missing, {y.mean():.3f} died")
model = GRUD(n_steps=STEPS, n_features=x.shape[2], n_classes=2, rnn_hidden_size=HIDDEN, batch_size=BATCH, epochs=1,
             device="cpu", verbose=False)
loader = torch.utils.data.DataLoader(DatasetForGRUD({"X": x, "y": y}), batch_size=BATCH, shuffle=True)
network = model.model
optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
network.train()
for epoch in range(EPOCHS):
    start, total = time.perf_counter(), 0.0
    for batch in loader:
        inputs = model._assemble_input_for_training(batch)
        optimiser.zero_grad()
        loss = network(inputs, calc_criterion=True)["loss"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        total += loss.item()
    print(f"epoch {epoch + 1}: {time.perf_counter() - start:.2f} s, loss {total / len(loader):.4f}", flush=True)
