#!/usr/bin/env python3
"""The peers' part of run.sh: peers.py BIN WORK RUNS. The same jobs by Gomai and by Python tools, and what each got wrong.

Time and memory are those of whole processes, as a user starts them; minima of RUNS. Lists of tensors are Gomai's closed ones,
without which no peer's parts load as a chain. What is wrong is found by loading the results and comparing them with the input.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

bin_dir, work, runs = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3])
scripts, jobs = pathlib.Path(sys.executable).parent, pathlib.Path(__file__).with_name("peer_jobs.py")
model, parts, out = work / "v2.onnx", work / "parts", work / "peers"
PRESET = ["--preset", "torchvision-maskrcnn"]
LIMIT = 120  # seconds for one process


def run(commands):
    """Seconds, peak memory and the last line of stderr of the first failure (or "") for commands one after another."""
    start, peak = time.perf_counter(), 0
    for command in commands:
        with open(work / "peers.log", "w+b") as log:
            child = subprocess.Popen([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=log)
            timer = threading.Timer(LIMIT, child.kill)
            timer.start()
            _, status, usage = os.wait4(child.pid, 0)
            timer.cancel()
            peak = max(peak, usage.ru_maxrss * 1024)
            if status != 0:
                log.seek(0)
                if time.perf_counter() - start > LIMIT:
                    return LIMIT, peak, f"stopped after {LIMIT} s"
                lines = log.read().decode(errors="replace").strip().splitlines() or ["no message"]
                return time.perf_counter() - start, peak, f"exit {os.waitstatus_to_exitcode(status)}: {lines[-1][:90]}"
    return time.perf_counter() - start, peak, ""


def peer(name, job, **arguments):
    return [sys.executable, jobs, name, job, json.dumps({k: v if isinstance(v, (list, dict)) else str(v) for k, v in arguments.items()})]


def wrong(path, inputs, outputs, whole=True, folded=False):
    """What a result got wrong, in words. In a process of its own: a child's peak memory begins with its parent's."""
    asked = {"path": str(path), "model": str(model), "inputs": inputs, "outputs": outputs, "whole": whole, "folded": folded}
    return json.loads(subprocess.run([sys.executable, jobs.with_name("peer_check.py"), json.dumps(asked)], check=True,
                                     stdout=subprocess.PIPE).stdout)


def compare(job, contenders):
    """contenders: {tool: (commands, function that finds faults)}; the first is Gomai's. In turns, so that what else the
    machine does meets all of them; peers twice at most, Gomai, which is soon done, as often as asked for."""
    times, peaks, found = ({tool: [] for tool in contenders} for _ in range(3))
    for turn in range(runs):
        for number, (tool, (commands, faults)) in enumerate(contenders.items()):
            if number and turn >= 2:
                continue
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir(parents=True)
            seconds, memory, failure = run(commands)
            times[tool].append(seconds)
            peaks[tool].append(memory)
            if turn == 0:
                found[tool] = [failure] if failure else faults()
    first = min(times[next(iter(contenders))])
    for tool in contenders:
        print(f"{job:<22}{tool:<19}{min(times[tool]):>8.2f} s {min(times[tool]) / first:>7.1f}x {max(peaks[tool]) / 1e6:>7.0f} MB  "
              f"{'; '.join(found[tool]) or 'right'}", flush=True)
        job = ""


def main():
    subprocess.run([bin_dir / "gomai-split", "-q", model, *PRESET, "-o", parts], check=True)
    manifest = json.loads((parts / "manifest.json").read_text())
    ends = {p["name"]: ([t["name"] for t in p["inputs"]], [t["name"] for t in p["outputs"]], out / p["file"]) for p in manifest["parts"]}
    inputs, outputs = [t["name"] for t in manifest["inputs"]], manifest["outputs"]
    result = out / "result.onnx"
    print(f"{'job, on ' + model.name:<22}{'tool':<19}{'minimum':>10} {'':>8} {'peak':>10}")

    whole = lambda: wrong(result, inputs, outputs)
    compare("load and save", {
        "gomai-opt": ([[bin_dir / "gomai-opt", "-q", model, "-o", result, "-p", "rename{boxes=boxes_}"]],
                      lambda: wrong(result, inputs, ["boxes_" if o == "boxes" else o for o in outputs])),
        **{name: ([peer(name, "resave", model=model, out=result)], whole) for name in ("onnx", "onnx-ir", "onnx-graphsurgeon")}})

    size, rest = [3, 544, 960], "fold-constants,lift-constants,fold-identity,remove-no-ops,dedupe-nodes,prune"
    frozen = lambda: wrong(result, inputs, outputs, folded=True)
    compare("freeze and fold", {
        "gomai-opt": ([[bin_dir / "gomai-opt", "-q", model, "-o", result, "-p", f"freeze-shapes{{image={'x'.join(map(str, size))}}},{rest}"]], frozen),
        **{name: ([peer(name, "fold", model=model, out=result, shapes={inputs[0]: size})], frozen) for name in ("onnxsim", "onnxslim")}})

    types = {t["name"]: t for p in manifest["parts"] for t in p["inputs"] + p["outputs"]}
    plain = {name: [t["dtype"], t["shape"] and [d if isinstance(d, int) else f"d{i}" for i, d in enumerate(t["shape"])]] for name, t in types.items()}
    name = max(manifest["parts"], key=lambda p: (parts / p["file"]).stat().st_size)["name"]
    asked_in, asked_out, _ = ends[name]
    one = lambda: wrong(result, asked_in, asked_out, whole=False)


    def described(name):  # as polygraphy wants it; with "auto" it runs the model to find out
        tensor = types[name]
        shape = "auto" if tensor["shape"] is None else "[" + ",".join(str(d) if isinstance(d, int) else f"'d{i}'" for i, d in enumerate(tensor["shape"])) + "]"
        return f"{name}:{shape}:{tensor['dtype']}"

    def polygraphy(taken, made, path):
        return [scripts / "polygraphy", "surgeon", "extract", model, "-o", path, "--silent",
                "--inputs", *map(described, taken), "--outputs", *(f"{t}:{types[t]['dtype']}" for t in made)]

    def sne(taken, made, path):
        return [scripts / "sne4onnx", "-if", model, "-of", path, "-n", "-ion", *taken, "-oon", *made]

    def gomai(taken, made, path):
        return [bin_dir / "gomai-extract", "-q", model, "-o", path, "--inputs", ",".join(taken), "--outputs", ",".join(made)]

    libraries = ("onnx", "onnx-ir", "onnx-graphsurgeon")
    compare(f"extract {name}", {
        "gomai-extract": ([gomai(asked_in, asked_out, result)], one),
        **{tool: ([peer(tool, "extract", model=model, out=result, inputs=asked_in, outputs=asked_out, types=plain)], one) for tool in libraries},
        "polygraphy": ([polygraphy(asked_in, asked_out, result)], one),
        "sne4onnx": ([sne(asked_in, asked_out, result)], one)})

    def each():
        faults = [f"{part}: {', '.join(found)}" for part, (taken, made, path) in ends.items()
                  if (found := wrong(path, taken, made, whole=False))]
        return faults if len(faults) <= 2 else [f"{len(faults)} of {len(ends)} parts wrong, as {faults[0]}"]

    compare(f"split into {len(ends)}", {
        "gomai-split": ([[bin_dir / "gomai-split", "-q", model, *PRESET, "-o", out]], each),
        **{tool: ([peer(tool, "extract", model=model, out=path, inputs=taken, outputs=made, types=plain) for taken, made, path in ends.values()], each)
           for tool in libraries},
        "polygraphy": ([polygraphy(*end) for end in ends.values()], each),
        "sne4onnx": ([sne(*end) for end in ends.values()], each)})

    files = [parts / part["file"] for part in manifest["parts"]]
    compare(f"merge {len(files)} parts", {
        "gomai-merge": ([[bin_dir / "gomai-merge", "-q", parts, "-o", result]], whole),
        "onnx.compose": ([peer("onnx", "merge", parts=[str(f) for f in files], out=result)], whole)})


if __name__ == "__main__":
    main()
