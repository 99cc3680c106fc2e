#!/usr/bin/env python3
"""What gomai-run adds to the runs of a session: runner.py BIN MODEL SIM_NPU RUNS

A bare loop of ONNX Runtime's Python around one session, gomai-run in one process, gomai-run with the simulated NPU in its own
process and in one apart. In turns, each figure the minimum of all runs; threads and optimisation are the same everywhere.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime

TURNS = 2
WARMUP = 2  # a pool of memory grows in the first runs, and results of one are held while the next is computed


def bare(session, feeds, runs):
    seconds = []
    for _ in range(WARMUP):
        session.run(None, feeds)
    for _ in range(runs):
        start = time.perf_counter()
        session.run(None, feeds)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def gomai(bin_dir, model, inputs, runs, *more):
    command = [f"{bin_dir}/gomai-run", model, *inputs, "--threads", "1", "--warmup", str(WARMUP), "--runs", str(runs), "--json",
               *more]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return min(json.loads(done.stdout)["seconds"])


def main(bin_dir, model, sim_npu, runs):
    runs = int(runs)
    library = next(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so.*"))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    feeds = {each.name: random.random(each.shape, dtype=np.float32) for each in session.get_inputs()}
    npu = ["--ep", "SimNpu", "--ep-library", sim_npu, "--ort-library", str(library), "--optimization", "off"]
    best = {}
    with tempfile.TemporaryDirectory() as folder:
        inputs = []
        for i, (name, value) in enumerate(feeds.items()):
            np.save(f"{folder}/{i}.npy", value)
            inputs += ["--input", f"{name}={folder}/{i}.npy"]
        for _ in range(TURNS):
            for what, seconds in (
                    ("bare loop", bare(session, feeds, runs)),
                    ("gomai-run", gomai(bin_dir, model, inputs, runs, "--ort-library", str(library))),
                    ("simulated NPU, --no-isolation", gomai(bin_dir, model, inputs, runs, *npu, "--no-isolation")),
                    ("simulated NPU, isolated", gomai(bin_dir, model, inputs, runs, *npu))):
                best[what] = min(best.get(what, seconds), seconds)
        outputs = sum(value.nbytes for value in session.run(None, feeds))
    print(f"{pathlib.Path(model).name}, outputs of {outputs / 1e6:.1f} MB, minima of {TURNS * runs} runs")
    print(f"  bare loop of ONNX Runtime's Python  {best['bare loop'] * 1e3:9.1f} ms")
    for what, against in (("gomai-run", "bare loop"), ("simulated NPU, --no-isolation", "bare loop"),
                          ("simulated NPU, isolated", "simulated NPU, --no-isolation")):
        print(f"  {what:<34}  {best[what] * 1e3:9.1f} ms, {100 * (best[what] / best[against] - 1):+.1f} % over {against}")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
