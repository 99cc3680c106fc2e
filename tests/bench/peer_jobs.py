#!/usr/bin/env python3
"""One job of one Python peer, in a process of its own: peer_jobs.py PEER JOB JSON.

Each peer does the job as its documentation says. Jobs: resave {model, out}; extract {model, out, inputs, outputs, types: name -> [dtype, shape]}; merge {parts, out};
fold {model, out, shapes: input -> dims}.
"""
import json
import sys


def onnx_resave(model, out):
    import onnx
    onnx.save(onnx.load(model), out)


def onnx_extract(model, out, inputs, outputs, types):
    import onnx.utils
    onnx.utils.extract_model(model, out, inputs, outputs, check_model=False)


def onnx_merge(parts, out):
    import onnx
    import onnx.compose
    merged = onnx.load(parts[0])
    for path in parts[1:]:
        part = onnx.load(path)
        made = {value.name for value in merged.graph.output}
        joined = [(value.name, value.name) for value in part.graph.input if value.name in made]
        merged = onnx.compose.merge_models(merged, part, io_map=joined)
    onnx.save(merged, out)


def ir_resave(model, out):
    import onnx_ir
    onnx_ir.save(onnx_ir.load(model), out)


def ir_extract(model, out, inputs, outputs, types):
    import onnx_ir
    import onnx_ir.passes.common
    loaded = onnx_ir.load(model)
    onnx_ir.passes.common.ShapeInferencePass()(loaded)  # an input of the result needs a type
    graph = onnx_ir.convenience.extract(loaded.graph, inputs, outputs)
    made = onnx_ir.Model(graph, ir_version=loaded.ir_version)
    made.metadata_props.update(loaded.metadata_props)
    onnx_ir.save(made, out)


def graphsurgeon_resave(model, out):
    import onnx
    import onnx_graphsurgeon
    onnx.save(onnx_graphsurgeon.export_onnx(onnx_graphsurgeon.import_onnx(onnx.load(model))), out)


def graphsurgeon_extract(model, out, inputs, outputs, types):
    import onnx
    import onnx_graphsurgeon
    graph = onnx_graphsurgeon.import_onnx(onnx.load(model))
    tensors = graph.tensors()
    graph.inputs = [tensors[name].to_variable(*types[name]) for name in inputs]
    graph.outputs = [tensors[name].to_variable(*types[name]) for name in outputs]
    graph.cleanup()
    onnx.save(onnx_graphsurgeon.export_onnx(graph), out)


def onnxsim_fold(model, out, shapes):
    import onnx
    import onnxsim
    simplified, _ = onnxsim.simplify(model, overwrite_input_shapes=shapes)
    onnx.save(simplified, out)


def onnxslim_fold(model, out, shapes):
    import onnxslim
    onnxslim.slim(model, output_model=out, input_shapes=[f"{name}:{','.join(map(str, dims))}" for name, dims in shapes.items()])


JOBS = {
    ("onnx", "resave"): onnx_resave, ("onnx", "extract"): onnx_extract, ("onnx", "merge"): onnx_merge,
    ("onnx-ir", "resave"): ir_resave, ("onnx-ir", "extract"): ir_extract,
    ("onnx-graphsurgeon", "resave"): graphsurgeon_resave, ("onnx-graphsurgeon", "extract"): graphsurgeon_extract,
    ("onnxsim", "fold"): onnxsim_fold, ("onnxslim", "fold"): onnxslim_fold,
}

if __name__ == "__main__":
    JOBS[sys.argv[1], sys.argv[2]](**json.loads(sys.argv[3]))
