#!/usr/bin/env python3
"""What is wrong with a model that a tool made: peer_check.py JSON; prints a JSON list of faults in words.

JSON: {path, model: what it was made from, inputs, outputs: the names asked for, whole: must it hold all that the model holds,
folded: what is left is counted, and ONNX's full checker is asked}.
"""
import json
import pathlib
import sys

import onnx
import onnxruntime


def facts(path):
    """What a model holds that is easily lost."""
    loaded = onnx.load(path, load_external_data=False)
    docs = sum(bool(t.doc_string) for t in loaded.graph.initializer) + sum(bool(n.doc_string) for n in loaded.graph.node)
    return {"metadata entries": len(loaded.metadata_props), "doc strings": docs, "weights": len(loaded.graph.initializer)}


def left(path, model):
    """What a folding tool left, and whether it is sound."""
    nodes = len(onnx.load(path, load_external_data=False).graph.node)
    found = [f"{nodes} nodes left, {(pathlib.Path(path).stat().st_size - pathlib.Path(model).stat().st_size) / 1e6:+.1f} MB"]
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        found.append(f"ONNX's full checker refuses it ({str(error).strip().splitlines()[0][:70]})")
    return found


def wrong(path, model, inputs, outputs, whole, folded=False):
    path = pathlib.Path(path)
    if not path.exists():
        return ["nothing written"]
    faults = []
    loaded = onnx.load(path, load_external_data=False)
    for what, names, asked in (("inputs", [v.name for v in loaded.graph.input], inputs),
                               ("outputs", [v.name for v in loaded.graph.output], outputs)):
        if names != asked:
            faults.append(f"{what} in another order" if sorted(names) == sorted(asked) else f"other {what} than asked")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    except Exception as error:  # whatever the runtime throws
        faults.append(f"no runtime loads it ({str(error).splitlines()[0][-60:]})")
    if folded:
        faults = left(path, model) + faults
    elif whole:
        before, after = facts(model), facts(path)
        faults += [f"{before[k] - after[k]} {k} lost" for k in before if after[k] < before[k]]
    elif facts(path)["metadata entries"] < facts(model)["metadata entries"]:
        faults.append("metadata lost")
    return faults


if __name__ == "__main__":
    print(json.dumps(wrong(**json.loads(sys.argv[1]))))
