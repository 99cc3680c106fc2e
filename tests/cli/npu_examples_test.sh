#!/usr/bin/env bash
# The target files of examples/npu, under the vendors' names and options, on the simulated NPU in the vendors' place; and the
# oldest and the newest runtime that providers are tried on.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run=$bin/gomai-run
verify=$bin/gomai-verify
python=$GOMAI_CACHE_DIR/venv/bin/python
if [ -z "${GOMAI_SIM_NPU:-}" ]; then echo "built without ONNX Runtime: no simulated NPU to test on"; exit 77; fi
examples=$source_dir/examples/npu
"$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn --image-size 128x192 -o "$tmp/parts" || fail 'the split'
"$python" "$source_dir/examples/maskrcnn/make_image.py" --height 128 --width 192 -o "$tmp/image.npy"
proof=("$verify" "$tiny" "$tmp/parts" --input "image=$tmp/image.npy" --isolated)
stock=$(ls "$GOMAI_CACHE_DIR"/onnxruntime-1.2*/libonnxruntime.so.* | tail -n 1)

cp -r "$examples" "$tmp/npu"  # caches go beside the files
export RYZEN_AI_ONNXRUNTIME=$stock RYZEN_AI_CONFIG=$tmp/vaip_config.json RYZEN_AI_XCLBIN=$tmp/overlay.xclbin
for release in 1.3 1.4; do
  rm -rf "$tmp/npu/amd/vitisai-cache"
  expect 0 "placement confirmed by the vendor's report" "${proof[@]}" --target "$tmp/npu/amd/vitisai-$release.json" --ep-library "$GOMAI_SIM_NPU"
  check "VitisAI $release: all on the provider" test "$(grep -c 'nodes on VitisAIExecutionProvider, npu of' <<<"$output")" = 3
  for part in backbone_rpn box mask; do
    check "VitisAI $release: the report of $part is in its own cache" test -s "$tmp/npu/amd/vitisai-cache/$part/vitisai_ep_report.json"
  done
done
expect 1 "the vendor's own report contradicts" "${proof[@]}" --target "$tmp/npu/amd/vitisai-1.3.json" --ep-library "$GOMAI_SIM_NPU" --ep-option report_lies=cpu
expect 2 "has no execution provider 'VitisAIExecutionProvider'" "$run" "$tmp/parts" --input "image=$tmp/image.npy" --target "$tmp/npu/amd/vitisai-1.3.json"
unset RYZEN_AI_CONFIG
expect 2 'the environment has no variable RYZEN_AI_CONFIG; set it' "$run" "$tmp/parts" --input "image=$tmp/image.npy" --target "$tmp/npu/amd/vitisai-1.3.json"

export GOMAI_OPENVINO_LIBRARY=$GOMAI_SIM_NPU
expect 0 'nodes on OpenVINOExecutionProvider, npu of Gomai' "${proof[@]}" --target "$examples/intel/openvino-npu.json"
expect 0 'nodes on OpenVINOExecutionProvider, cpu of' "${proof[@]}" --target "$examples/intel/openvino-cpu.json"
expect 0 'nodes on QNNExecutionProvider' env GOMAI_QNN="$tmp" "${proof[@]}" --target "$examples/qualcomm/qnn-fp16.json" --ep-library "$GOMAI_SIM_NPU"

# Runtimes: the vendors ship older ones.
for library in "$GOMAI_CACHE_DIR"/onnxruntime-1.*/libonnxruntime.so.*; do
  version=${library##*.so.}
  npu=(--ort-library "$library" --ep SimNpu --ep-library "$GOMAI_SIM_NPU")
  expect 0 "ONNX Runtime $version" "$run" --list-devices "${npu[@]}"
  expect 0 'placement confirmed' "${proof[@]}" "${npu[@]}"
  expect 1 '' "$run" "$tmp/parts" --input "image=$tmp/image.npy" "${npu[@]}" --ep-option refuse=Relu
  expect 0 'only ' "$run" "$tmp/parts" --input "image=$tmp/image.npy" "${npu[@]}" --ep-option refuse=Relu --allow-fallback
  check "$version: what fell back is named" grep -q "Relu '" <<<"$output"
done
check 'runtimes from 1.23 on were tried' test "$(ls -d "$GOMAI_CACHE_DIR"/onnxruntime-1.*/ | wc -l)" -ge 3
finish
