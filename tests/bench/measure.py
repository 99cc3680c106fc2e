#!/usr/bin/env python3
"""The measuring part of run.sh: measure.py BIN WORK RUNS CHAIN-RUNS. Prints a table of minima and ratios."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

bin_dir, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
runs, chain_runs = int(sys.argv[3]), int(sys.argv[4])
model = work / "v2.onnx"
PRESET = ["--preset", "torchvision-maskrcnn"]


def run(*command):
    """Seconds, peak resident memory in bytes, and processor seconds of one run of a command."""
    start = time.perf_counter()
    child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        sys.exit(f"bench: {' '.join(map(str, command))} failed")
    return seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime


def empty(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def size(folder):
    return sum(f.stat().st_size for f in folder.iterdir() if f.is_file())


def megabytes(count):
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} KB"


def milliseconds(seconds):
    return f"{seconds * 1e3:.1f} ms" if seconds < 10 else f"{seconds:.1f} s"


def cost(measured):
    """Peak memory, and processor time, which says more than time on a busy machine."""
    return f"peak {megabytes(max(m for _, m, _ in measured))}, processor {milliseconds(min(p for _, _, p in measured))}"


def show(what, value, against="", ratio="", note=""):
    print(f"{what:<34}{value:>12}   {against:<26}{ratio:>6}  {note}".rstrip(), flush=True)


def many_nodes(count=100_000, cuts=3):
    """Split and merge of a chain without weights, against ONNX's Python loading and saving it (without --peers' environment: cp)."""
    text, chain, parts = work / "chain.onnxtxt", work / "chain.onnx", work / "chain-parts"
    nodes = "\n".join(f"  [n{i}] v{i + 1} = Neg(v{i})" for i in range(count))
    text.write_text(f'<ir_version: 8, opset_import: ["" : 17]>\nchain (float[2] v0) => (float[2] v{count})\n{{\n{nodes}\n}}\n')
    run(bin_dir / "gomai-opt", "-q", text, "-o", chain)
    python = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "gomai/peers/bin/python"
    again = work / "chain-again.onnx"
    script = "import onnx, sys; onnx.save(onnx.load(sys.argv[1]), sys.argv[2])"
    name, yardstick = ("onnx load, save", (python, "-c", script, chain, again)) if python.exists() else ("cp", ("cp", chain, again))
    plan = [a for k in range(1, cuts + 1) for a in ("--part", f"part{k}=v{count * k // (cuts + 1)}")]
    jobs = {"yardstick": yardstick,
            f"split {count:,} nodes": (bin_dir / "gomai-split", "-q", chain, *plan, "-o", parts),
            f"merge {count:,} nodes": (bin_dir / "gomai-merge", "-q", parts, "-o", again)}
    times = {job: [] for job in jobs}
    for _ in range(runs):
        for job, command in jobs.items():
            times[job].append(run(*command))
    base = min(times.pop("yardstick"))[0]
    for job, measured in times.items():
        show(job, milliseconds(min(measured)[0]), f"{name}: {milliseconds(base)}", f"{min(measured)[0] / base:.2f}", cost(measured))


def main():
    # Into the page cache; in pieces, since the peak memory that the system reports of a child begins with its parent's.
    with open(model, "rb", buffering=0) as file:
        while file.read(1 << 20):
            pass
    show("", "minimum", "against", "ratio")

    # Split and cp in turns. cp copies the split's own files, which are in the cache: they were just written.
    parts = work / "parts"
    split, copy = [], []
    run(bin_dir / "gomai-split", "-q", model, *PRESET, "-o", empty(parts))
    for _ in range(runs):
        source = work / "cp-source"
        if not source.exists():
            shutil.copytree(parts, source)
        target = empty(work / "cp-target")
        copy.append(run("cp", *sorted(source.iterdir()), target))
        split.append(run(bin_dir / "gomai-split", "-q", model, *PRESET, "-o", empty(parts)))
    seconds, cp_seconds = min(split)[0], min(copy)[0]
    show("split, weights copied", milliseconds(seconds), f"cp {megabytes(size(parts))}: {milliseconds(cp_seconds)}",
         f"{seconds / cp_seconds:.2f}", f"{cost(split)} (cp: {milliseconds(min(p for _, _, p in copy))})")

    # By reference the parts lie beside the model.
    beside = empty(work / "reference")
    (beside / "v2.onnx").hardlink_to(model)
    referring = []
    for _ in range(runs):
        for file in beside.iterdir():
            if file.name != "v2.onnx":
                file.unlink()
        referring.append(run(bin_dir / "gomai-split", "-q", beside / "v2.onnx", *PRESET, "-o", beside, "--weights=reference"))
    written = size(beside) - model.stat().st_size
    show("split --weights=reference", milliseconds(min(referring)[0]), "", "",
         f"writes {megabytes(written)}, {cost(referring)}")

    info = [run(bin_dir / "gomai-info", model) for _ in range(runs)]
    show("gomai-info", milliseconds(min(info)[0]), "", "", cost(info))

    many_nodes()

    # Whole and chain in turns, one counted run after one warm-up each, so that a slow spell meets both.
    whole, chain, shares = [], [], {}
    for _ in range(chain_runs):
        for path, times in ((model, whole), (parts / "manifest.json", chain)):
            report = json.loads(subprocess.run(
                [bin_dir / "gomai-run", path, "--input", f"image={work / 'image.npy'}", "--warmup", "1", "--json"],
                check=True, stdout=subprocess.PIPE).stdout)
            times.append(min(report["seconds"]))
            if path != model and times[-1] == min(times):
                shares = {part["name"]: min(part["seconds"]) for part in report["parts"]}
    show("chain of the parts, 544x960", milliseconds(min(chain)), f"whole: {milliseconds(min(whole))}",
         f"{min(chain) / min(whole):.2f}", ", ".join(f"{k} {100 * v / min(chain):.0f} %" for k, v in shares.items()))


if __name__ == "__main__":
    main()
