#!/usr/bin/env python3
"""Runs sequela and other frameworks in turn on the same workloads, and writes a dated record.

    cargo bench -p sequela-nn --bench peers --no-run
    python3 benches/peers.py run PEERS OUT.jsonl [--threads 2] [--workloads w1,w2,w3,w4]
    python3 benches/peers.py report OUT.jsonl > OUT.md
    python3 benches/peers.py bf16 PEERS OUT.jsonl [--threads 2] [--workloads w2,w3] [--case TEXT]
    python3 benches/peers.py report-bf16 OUT.jsonl > OUT.md

PEERS is a folder with bench/bench_torch.py, bench_torch_bf16.py, bench_tf.py, bench_jax.py, bench_ort.py, bench_ov.py and the
environments venv-torch, venv-tf, venv-jax, venv-ort, venv-ov that they run in. For each case sequela runs before,
between and after the others. Nothing else heavy should run beside it. Standard library only.
"""
import datetime, json, os, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
W2 = ["lstm1 B32 T48", "lstm1 B64 T128", "lstm1 B64 T1000", "lstm1 B128 T200", "lstm2 B64", "gru1 B64", "bilstm1 B64"]
GATES = {  # case: the ratio over the best peer that is to be reached
    "seed train": 15, "seed wall": 15,
    "lstm1 B32 T48 I37 H64": 3.2, "lstm1 B64 T128 I64 H256": 1.9, "lstm2 B64 T128 I64 H256": 1.55,
    "bilstm1 B64 T128 I64 H256": 1.65, "lstm1 B64 T1000 I12 H128": 2.5, "lstm1 B128 T200 I128 H512": 1.4,
    "gru1 B64 T128 I64 H256": 1.9, "varlen B64 T1..200 I37 H128 random": 3, "varlen B64 T1..200 I37 H128 bucketed": 2.2,
    "stream I37 H64": 6, "stream I37 H256": 1.5, "batch B64 T128 I64 H256": 1.15, "batch B64 T128 I64 H256 GRU": 1.1,
}


def bench_binary():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = [p for p in target.glob("release/deps/peers-*") if p.suffix != ".d" and os.access(p, os.X_OK)]
    if not found:
        sys.exit("no benchmark binary: cargo bench -p sequela-nn --bench peers --no-run")
    return max(found, key=lambda p: p.stat().st_mtime)


def go(out, *command, only=""):
    """One process; its lines about cases that contain `only`, with the most memory that it and its children held."""
    # The children's peak is a maximum over all of them so far: a process of its own keeps it apart.
    code = ("import resource,subprocess,sys\n"
            "p=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,stderr=subprocess.DEVNULL,text=True,timeout=400)\n"
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)\nprint(p.stdout)")
    done = subprocess.run([sys.executable, "-c", code, *map(str, command)], capture_output=True, text=True,
                          cwd=tempfile.gettempdir())  # some of the scripts leave files where they run
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        print("FAILED:", *command, file=sys.stderr)
        return
    for line in lines[1:]:
        if line.startswith("{"):
            entry = json.loads(line)
            if only in entry.get("case", ""):
                entry["process_peak_mb"] = round(float(lines[0]), 1)
                print(json.dumps(entry), file=out, flush=True)


def run(peers, path, threads, workloads):
    peers, binary = pathlib.Path(peers).resolve(), bench_binary().resolve()
    os.environ.setdefault("BENCH_MAIN", "1")
    py = lambda env, script: (peers / f"venv-{env}/bin/python", peers / "bench" / script)
    with open(path, "a") as out:
        isa = "avx512" if "avx512f" in head()["isa"] else "avx2"
        print(json.dumps(head() | dict(isa=isa)), file=out)
        if (peers / "limits").exists():
            go(out, peers / "limits", threads)
        for w in workloads:
            cases = W2 if w == "w2" else [""]
            for case in cases:
                more = [case] if case else []
                go(out, binary, w, threads, *more)
                go(out, *py("torch", "bench_torch.py"), w, threads, *more)
                go(out, binary, w, threads, *more)
                go(out, *py("tf", "bench_tf.py"), w, threads, *more)
                go(out, *py("jax", "bench_jax.py"), w, threads, *more)
                if w == "w3":
                    go(out, *py("ort", "bench_ort.py"), w, threads)
                    go(out, *py("ov", "bench_ov.py"), w, threads)
                go(out, binary, w, threads, *more)


def head():
    cpu = next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    flags = next(l for l in open("/proc/cpuinfo") if l.startswith("flags")).split()
    isa = [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags]
    return dict(record=str(datetime.date.today()), cpu=cpu, isa=" ".join(isa), cores=os.cpu_count())


def bf16(peers, path, threads, workloads, only):
    """f32 and bf16 of sequela around the peer that has bf16: PyTorch (autocast) for w2, OpenVINO for w3."""
    peers, binary = pathlib.Path(peers).resolve(), bench_binary().resolve()
    half = ["env", "BENCH_PRECISION=bf16", binary]
    with open(path, "a") as out:
        print(json.dumps(head()), file=out, flush=True)
        for w in workloads:
            cases = [case for case in W2[:-1] if only in case] if w == "w2" else [""]

            def own(command):
                for case in cases:
                    go(out, *command, w, threads, *([case] if case else []))

            own([binary]), own(half)
            # Neither takes a case: each runs once, over all of them, between sequela's runs.
            if w == "w2":
                go(out, peers / "venv-torch/bin/python", peers / "bench/bench_torch_bf16.py", threads, only=only)
            else:
                go(out, peers / "venv-ov/bin/python", peers / "bench/bench_ov.py", w, threads, only=only)
            own(half), own([binary])


def report_bf16(path):
    entries = [json.loads(line) for line in open(path)]
    machine = next(e for e in entries if "record" in e)
    peak = max(e["peak_gflops"] for e in entries if e.get("fw") == "sequela")
    medians, units = {}, {}
    for e in entries:
        if "record" in e or e["case"].startswith("bi"):
            continue
        key = (e["case"], "peer" if e["fw"] != "sequela" else "own", "bf16" in e["variant"])
        medians.setdefault(key, []).append(e["median"])
        units[e["case"]] = e["unit"], e["threads"]
    middle = lambda case, who, half: sorted(found)[(len(found) - 1) // 2] if (found := medians.get((case, who, half))) else None
    print(f"Machine: {machine['cpu']}, {machine['cores']} cores, {machine['isa']}; {machine['record']}. Peak of f32 fused "
          f"multiply-adds {peak:.0f} GFLOP/s. Medians; of sequela the lower one of two runs around the other's. The peer is PyTorch "
          "(autocast) for training steps, OpenVINO for streams and batches.\n")
    print("| case | threads | peer f32 | peer bf16 | sequela f32 | sequela bf16 | peer bf16 / sequela bf16 | to reach | sequela f32 / bf16 |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case, (unit, threads) in units.items():
        figures = [middle(case, who, half) for who in ("peer", "own") for half in (False, True)]
        text = [f"{v:.4g} {unit}" if v else "-" for v in figures]
        gate = "-" if "stream" in case else "1.4" if case.startswith("batch") else "1.5"
        ratio = lambda a, b: f"{a / b:.2f}" if a and b else "-"
        print(f"| {case} | {threads} | {' | '.join(text)} | {ratio(figures[1], figures[3])} | {gate} | {ratio(figures[2], figures[3])} |")


def report(path):
    entries = [json.loads(line) for line in open(path)]
    head = next(e for e in entries if "record" in e)
    best, own, article, peaks = {}, {}, {}, {}
    for e in entries:
        if "record" in e or e["workload"] == "w5" or "bf16" in e["variant"]:
            continue  # half precision is another comparison
        case = e["case"]
        if e["workload"] == "w1":
            kind = e["variant"].split()[-1]
            if kind == "import":
                continue
            case = f"seed {kind}"
            name = (case, e["fw"])
            article[name] = min(article.get(name, 1e9), e["median"])
        key = (e["workload"], e["threads"], case)
        if e["fw"] == "sequela":
            # A disturbed process may see less of the peak: the most that any saw is the machine's.
            peaks[e["threads"]] = max(peaks.get(e["threads"], 0), e["peak_gflops"])
            own.setdefault(key, []).append(e)
        elif key not in best or e["median"] < best[key]["median"]:
            best[key] = e
    memory = {}
    for e in entries:
        if "record" not in e and e["workload"] != "w5":
            key = (e["workload"], e["case"] if e["workload"] != "w1" else "seed", e["fw"])
            memory[key] = min(memory.get(key, 1e9), e["process_peak_mb"])
    print(f"Machine: {head['cpu']}, {head['cores']} cores, {head['isa']}; {head['record']}. "
          f"Peak of fused multiply-adds {max(peaks.values()):.0f} GFLOP/s. Medians: of sequela the middle one of three runs around "
          "the others', of the others the best framework and variant; f32 on both sides. `fraction` is the work executed "
          "against the peak of that number of threads.\n")
    print("| case | threads | best peer | its median | sequela | ratio | to reach | fraction | MB sequela / smallest peer |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (w, t, case), runs in own.items():
        e = sorted(runs, key=lambda run: run["median"])[len(runs) // 2]
        peer = best.get((w, t, case))
        ratio = f"{peer['median'] / e['median']:.2f}" if peer else "-"
        name = f"{peer['fw']} {peer['variant']}" if peer else "-"
        theirs = f"{peer['median']:.4g} {peer['unit']}" if peer else "-"
        raw = e["case"] if w != "w1" else "seed"
        others = [mb for (ww, c, fw), mb in memory.items() if ww == w and c == raw and fw != "sequela"]
        small = f"{min(others):.0f}" if others else "-"
        fraction = f"{100 * e['executed_gflops'] / peaks[t]:.0f} %" if "fraction" in e else "-"
        print(f"| {case} | {t} | {name} | {theirs} | {e['median']:.4g} {e['unit']} | {ratio} | {GATES.get(case, '-')} | "
              f"{fraction} | {memory[(w, raw, 'sequela')]:.0f} / {small} |")
    print("\nThe article's program (`seed`): "
          + "; ".join(f"{fw} {case.split()[1]} {seconds:.3g} s" for (case, fw), seconds in sorted(article.items())) + ".")


if __name__ == "__main__":
    if len(sys.argv) > 3 and sys.argv[1] == "run":
        flags = dict(zip(sys.argv[4::2], sys.argv[5::2]))
        run(sys.argv[2], sys.argv[3], int(flags.get("--threads", 2)),
            flags.get("--workloads", "w1,w2,w3,w4").split(","))
    elif len(sys.argv) > 3 and sys.argv[1] == "bf16":
        flags = dict(zip(sys.argv[4::2], sys.argv[5::2]))
        bf16(sys.argv[2], sys.argv[3], int(flags.get("--threads", 2)), flags.get("--workloads", "w2,w3").split(","),
             flags.get("--case", ""))
    elif len(sys.argv) == 3 and sys.argv[1] == "report-bf16":
        report_bf16(sys.argv[2])
    elif len(sys.argv) == 3 and sys.argv[1] == "report":
        report(sys.argv[2])
    else:
        sys.exit(__doc__)
