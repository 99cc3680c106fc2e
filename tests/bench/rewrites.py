#!/usr/bin/env python3
"""What rewrites cost: rewrites.py BIN RUNS [PASS...]. Needs onnx, onnxruntime and numpy (run.sh --rewrites brings them).

For each pass a small model as networks have it: multiply-accumulates and nodes before and after, the time of ONNX Runtime on the
CPU (one thread, its own optimisations off, so that it runs the nodes that are there; the minimum of RUNS in turns), and the largest
difference of an output, absolute. A pass that this build doesn't have is said to be absent.

Adding one is a line in TABLE: (pipeline, model). A model is ONNX's text form; inputs named w... become weights with seeded random
values. Where the input's layout changes, a third element makes the new feed of the old one.
"""
import json
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import onnx
import onnx.parser
import onnxruntime


def text(inputs, outputs, body, opset=17, functions=""):
    imports = f'"" : {opset}' + (', "local" : 1' if functions else "")
    return f"<ir_version: 8, opset_import: [{imports}]> main ({inputs}) => ({outputs}) {{ {body} }} {functions}"


IMAGE = "float[1,3,224,224] x"
MAP = "float[1,64,56,56] x"
GELU = """<domain: "local", opset_import: ["" : 17]>
Silu (v) => (w) { s = Sigmoid(v) w = Mul(v, s) }"""

TABLE = [
    ("clip-to-relu", text(MAP, "float[1,64,56,56] y", "z = Constant <value = float {0.0}> () y = Clip(x, z)")),
    ("convtranspose-to-depthtospace", text(f"{MAP}, float[64,32,2,2] w", "float[1,32,112,112] y",
                                           "y = ConvTranspose <strides = [2,2], kernel_shape = [2,2]> (x, w)")),
    ("decompose-layernorm", text("float[1,196,768] x, float[768] w, float[768] w_bias", "float[1,196,768] y",
                                 "y = LayerNormalization(x, w, w_bias)")),
    ("expand-to-tile", text("float[1,64,1,1] x", "float[1,64,56,56] y",
                            "s = Constant <value = int64[4] {1,64,56,56}> () y = Expand(x, s)")),
    ("explicit-attributes", text(f"{IMAGE}, float[64,3,7,7] w", "float[1,64,112,112] y",
                                 'y = Conv <auto_pad = "SAME_UPPER", strides = [2,2]> (x, w)')),
    ("flatten-gemm-to-conv", text("float[1,512,7,7] x, float[512,25088] w, float[512] w_bias", "float[1,512] y",
                                  "f = Flatten(x) y = Gemm <transB = 1> (f, w, w_bias)")),
    ("fold-batchnorm", text(f"{MAP}, float[64,64,3,3] w, float[64] w_scale, float[64] w_bias, float[64] w_mean, float[64] w_var",
                            "float[1,64,56,56] y", "c = Conv <pads = [1,1,1,1]> (x, w) "
                            "y = BatchNormalization(c, w_scale, w_bias, w_mean, w_var)")),
    ("gemm-to-conv", text("float[1,2048] x, float[1000,2048] w, float[1000] w_bias", "float[1,1000] y",
                          "y = Gemm <transB = 1> (x, w, w_bias)")),
    ("hardsigmoid-mul-to-hardswish", text(MAP, "float[1,64,56,56] y",
                                          "g = HardSigmoid <alpha = 0.16666667> (x) y = Mul(x, g)")),
    ("hardswish-to-hardsigmoid-mul", text(MAP, "float[1,64,56,56] y", "y = HardSwish(x)")),
    ("hardswish-to-hardsigmoid-mul{alpha=0.1667}", text(MAP, "float[1,64,56,56] y", "y = HardSwish(x)")),
    ("inline-functions", text(MAP, "float[1,64,56,56] y", "a = local.Silu(x) y = local.Silu(a)", functions=GELU)),
    ("large-kernel-pool-split", text(MAP, "float[1,64,1,1] y", "y = AveragePool <kernel_shape = [56,56]> (x)")),
    ("matmul-to-gemm", text("float[196,768] x, float[768,768] w, float[768] w_bias", "float[196,768] y",
                            "m = MatMul(x, w) y = Add(m, w_bias)")),
    ("maxpool-1x1", text(MAP, "float[1,64,28,28] y", "y = MaxPool <kernel_shape = [1,1], strides = [2,2]> (x)")),
    ("maxpool-1x1{form=conv}", text(MAP, "float[1,64,28,28] y", "y = MaxPool <kernel_shape = [1,1], strides = [2,2]> (x)")),
    ("pad-into-conv", text(f"{MAP}, float[64,64,3,3] w", "float[1,64,56,56] y",
                           "p = Constant <value = int64[8] {0,0,1,1,0,0,1,1}> () q = Pad(x, p) y = Conv(q, w)")),
    ("reducemean-to-globalaveragepool", text("float[1,512,7,7] x", "float[1,512,1,1] y", "y = ReduceMean <axes = [2,3]> (x)")),
    ("resize-to-supported", text(MAP, "float[1,64,112,112] y", "s = Constant <value = float[4] {1.0,1.0,2.0,2.0}> () "
                                 'y = Resize <mode = "nearest", coordinate_transformation_mode = "asymmetric", '
                                 'nearest_mode = "floor"> (x, "", s)')),
    ("sigmoid-to-hardsigmoid", text(MAP, "float[1,64,56,56] y", "y = Sigmoid(x)")),
    ("slice-negative-steps", text(IMAGE, "float[1,3,224,224] y",
                                  "a = Constant <value = int64[1] {-1}> () b = Constant <value = int64[1] {-1000}> () "
                                  "c = Constant <value = int64[1] {1}> () y = Slice(x, a, b, c, a)")),
    ("split-to-slice", text(MAP, "float[1,32,56,56] y, float[1,32,56,56] z", "y, z = Split <axis = 1> (x)", opset=17)),
    ("transpose-input{x=nhwc}", text(f"{IMAGE}, float[64,3,7,7] w", "float[1,64,109,109] y", "y = Conv <strides = [2,2]> (x, w)"),
     lambda x: numpy.ascontiguousarray(x.transpose(0, 2, 3, 1))),
    ("transpose-input{x=same,channels=reverse}",
     text(f"{IMAGE}, float[64,3,7,7] w", "float[1,64,109,109] y", "y = Conv <strides = [2,2]> (x, w)"),
     lambda x: numpy.ascontiguousarray(x[:, ::-1])),
    ("transpose-input{x=same,channels=reverse,fold=true}",
     text(f"{IMAGE}, float[64,3,7,7] w", "float[1,64,109,109] y", "y = Conv <strides = [2,2]> (x, w)"),
     lambda x: numpy.ascontiguousarray(x[:, ::-1])),
]


def model_of(source):
    """The model, with weights for its inputs w...; and feeds for the others."""
    model = onnx.parser.parse_model(source)
    random = numpy.random.default_rng(1)
    feeds, kept = {}, []
    for value in model.graph.input:
        shape = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        values = random.standard_normal(shape).astype(numpy.float32)
        if value.name.startswith("w"):
            values = numpy.asarray(numpy.abs(values) + 0.5 if value.name == "w_var" else values * 0.05, numpy.float32)
            model.graph.initializer.append(onnx.numpy_helper.from_array(values, value.name))
        else:
            kept.append(value)
            feeds[value.name] = values
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return model, feeds


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def measure(sessions, runs):
    """The minimum of each, in turns: a busy spell of the machine meets both."""
    times = [float("inf")] * len(sessions)
    for _ in range(runs):
        for i, (session, feeds) in enumerate(sessions):
            start = time.perf_counter()
            session.run(None, feeds)
            times[i] = min(times[i], time.perf_counter() - start)
    return times


def summary(program, path):
    answer = json.loads(subprocess.run([program, path, "--json"], check=True, stdout=subprocess.PIPE).stdout)["summary"]
    macs = answer["macs"]
    if macs["unknown_nodes"] or macs["per_row"]:
        return "?", answer["nodes"]
    return f"{macs['fixed'] / 1e6:.2f} M" if macs["fixed"] else "0", answer["nodes"]


def row(bin_dir, folder, runs, pipeline, source, adapt=lambda x: x):
    before, after = folder / "before.onnx", folder / "after.onnx"
    model, feeds = model_of(source)
    onnx.save(model, before)
    after.unlink(missing_ok=True)
    made = subprocess.run([bin_dir / "gomai-opt", "-q", before, "-o", after, "-p", pipeline], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if not after.exists():
        reason = (made.stderr.strip().splitlines() or ["no message"])[0]
        return [pipeline, "", "", "", "", "absent" if "no pass" in reason else reason]
    pairs = [(session_of(before), feeds), (session_of(after), {name: adapt(value) for name, value in feeds.items()})]
    results = [session.run(None, given) for session, given in pairs]
    difference = max(float(numpy.abs(a - b).max()) for a, b in zip(*results))
    times = measure(pairs, runs)
    (macs_before, nodes_before), (macs_after, nodes_after) = (summary(bin_dir / "gomai-info", path) for path in (before, after))
    return [pipeline, macs_before if macs_before == macs_after else f"{macs_before} -> {macs_after}", f"{nodes_before} -> {nodes_after}",
            f"{times[0] * 1e3:.3f} -> {times[1] * 1e3:.3f} ms", f"{times[1] / times[0]:.2f}", f"{difference:.2g}"]


def main():
    bin_dir, runs, wanted = pathlib.Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    print("| pass | MACs | nodes | ONNX Runtime | ratio | largest difference |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for entry in TABLE:
            if not wanted or entry[0].split("{")[0] in wanted:
                print("| " + " | ".join(row(bin_dir, pathlib.Path(name), runs, *entry)) + " |", flush=True)


if __name__ == "__main__":
    main()
