#!/usr/bin/env bash
# A real NPU's compiler: examples/npu/qualcomm/run.sh and its table, and two of that compiler's silent faults, which
# gomai-verify finds. Needs a licence to be accepted: GOMAI_ACCEPT_QNN_LICENSE=1.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verify=$bin/gomai-verify
python=$GOMAI_CACHE_DIR/venv/bin/python
example=$source_dir/examples/npu/qualcomm
if [ -z "${GOMAI_SIM_NPU:-}" ]; then echo "skipped: built without ONNX Runtime"; exit 77; fi
if [ "${GOMAI_ACCEPT_QNN_LICENSE:-}" != 1 ]; then
  expect 77 'Qualcomm AI Stack License' "$example/run.sh"  # nothing is fetched, and it says why
  [ $failures = 0 ] || finish
  echo "skipped: Qualcomm's compiler is under a licence of its own; with GOMAI_ACCEPT_QNN_LICENSE=1 this runs"; exit 77
fi
GOMAI_QNN=$("$example/setup.sh") || { fail 'the plugin can be fetched'; finish; }
export GOMAI_QNN

expect 0 '' "$example/run.sh" --work "$tmp/qnn"
table=$output
row() { check "the table has: $1" grep -qE "^ +$1" <<<"$table"; }
row 'tiny +as it is +the whole +0 of [0-9]+, 0 %'
row 'tiny +exported +backbone_rpn +([0-9]+) of \1, 100 % .* WRONG'
for part in backbone_rpn box mask; do
  row "tiny +fp16 +$part +([0-9]+) of \\1, 100 % +runtime and QNN +max abs"
  row "tiny +QDQ u8 +$part +([0-9]+) of \\1, 100 %"
  row "tiny +QDQ u16 +$part +([0-9]+) of \\1, 100 %"
  row "tiny +reloaded +$part +1 of 1, 100 %"
  row "v2 +compiled +$part +([0-9]+) of \\1, 100 % .* context of [0-9.]+ MB"
done
row 'tiny +fp16 +all, chained .* 20 of 20 detections found again'
row 'tiny +QDQ u16 +all, chained '
# A compiled model of other options is stale: told, and not used.
expect 0 "is stale and isn't used: its ep_options was" "$bin/gomai-run" "$tmp/qnn/parts" --target "$example/qnn-fp16.json" --on mask \
  --compile-only --context "$tmp/qnn/contexts" --ep-option htp_graph_finalization_optimization_mode=1
check 'the new one is beside it' test "$(ls "$tmp"/qnn/contexts/mask.*_ctx.onnx | wc -l)" = 2

# Of x * HardSigmoid(x) it makes x * HardSwish(x), as if the HardSigmoid were a HardSwish already; and Resize by a scale that is no whole number takes other pixels.
"$python" - "$tmp" <<'PYTHON'
import sys, numpy as np, onnx
from onnx import TensorProto, helper, numpy_helper
folder = sys.argv[1]
def save(name, nodes, shape, initializers=()):
    graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 8, 16, 16])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=7), f"{folder}/{name}.onnx")
# It takes nodes with names, and x before HardSigmoid(x), to meet the fault.
swish = lambda alpha: [helper.make_node("HardSigmoid", ["x"], ["h"], "sigmoid", alpha=alpha, beta=0.5),
                       helper.make_node("Mul", ["x", "h"], ["y"], "product")]
save("swish", swish(1 / 6), [1, 8, 16, 16])
save("swish-otherwise", swish(0.16666), [1, 8, 16, 16])
scales = lambda s: [numpy_helper.from_array(np.array([1, 1, s, s], np.float32), "s")]
resize = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
save("resize", [resize], [1, 8, 27, 27], scales(1.7))
save("resize-whole", [resize], [1, 8, 32, 32], scales(2))
np.save(f"{folder}/x.npy", np.random.default_rng(1).normal(scale=4, size=[1, 8, 16, 16]).astype(np.float32))
PYTHON
compiled() { expect "$1" "$2" "$verify" "$tmp/$3.onnx" "$tmp/$4.onnx" --input "x=$tmp/x.npy" --target "$example/qnn-fp16.json"; }
compiled 1 "first tensor that differs: 'y'" swish swish
check 'although all of it is where it should be' grep -qE 'session made without fallback: ([0-9]+) of \1 nodes on QNN' <<<"$output"
compiled 0 'placement confirmed by the runtime' swish swish-otherwise
"$bin/gomai-opt" -q "$tmp/swish.onnx" -o "$tmp/hardswish.onnx" -p hardsigmoid-mul-to-hardswish
compiled 0 'placement confirmed by the runtime' swish hardswish
compiled 1 "first tensor that differs: 'y'" resize resize
compiled 0 'placement confirmed by the runtime' resize-whole resize-whole
finish
