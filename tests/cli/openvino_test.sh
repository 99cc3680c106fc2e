#!/usr/bin/env bash
# A second vendor's plugin: OpenVINO's, on the CPU. Where that isn't Intel's, a proxy of tests/device_proxy tells the plugin
# that it is, or it would list no device.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run=$bin/gomai-run
verify=$bin/gomai-verify
python=$GOMAI_CACHE_DIR/venv/bin/python
plugin=$(ls "$GOMAI_CACHE_DIR"/onnxruntime-openvino-*/libonnxruntime_providers_openvino_plugin.so 2>/dev/null | tail -n 1)
if [ -z "${GOMAI_DEVICE_PROXY:-}" ] || [ -z "$plugin" ]; then
  echo "skipped: there is no ONNX Runtime, or not OpenVINO's plugin (cmake/bootstrap.sh fetches it)"; exit 77
fi
library=$plugin
if ! "$run" --list-devices --ep OpenVINO --ep-library "$plugin" 2>/dev/null | grep -q ' OpenVINO'; then
  export GOMAI_PROXIED_EP=$plugin GOMAI_PROXIED_VENDOR=8086
  library=$GOMAI_DEVICE_PROXY
fi
export GOMAI_OPENVINO_LIBRARY=$library
examples=$source_dir/examples/npu/intel
"$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn --image-size 128x192 -o "$tmp/parts" || fail 'the split'
"$python" "$source_dir/examples/maskrcnn/make_image.py" --height 128 --width 192 -o "$tmp/image.npy"
proof=("$verify" "$tiny" "$tmp/parts" --input "image=$tmp/image.npy" --isolated)

expect 0 'OpenVINO' "$run" --list-devices --target "$examples/openvino-cpu.json"
expect 0 'within the tolerance' "${proof[@]}" --target "$examples/openvino-cpu.json" --precision fp32
check 'all of each part is on it' test "$(grep -cE 'placement confirmed by the runtime: ([0-9]+) of \1 nodes on OpenVINO' <<<"$output")" = 3
check 'it runs on the processor, and is said to' grep -q "the provider's device here is no NPU" <<<"$output"
# An NPU that isn't there: the plugin itself would pass over the option and compute on the processor.
expect 1 'asks for another device than the provider' "$run" "$tmp/parts" --input "image=$tmp/image.npy" --target "$examples/openvino-cpu.json" \
  --ep-option device_type=NPU
expect 2 'choose one with --ep-device' "$run" "$tmp/parts" --input "image=$tmp/image.npy" --target "$examples/openvino-npu.json"
# Options that don't exist are passed over in silence: what shows is the placement, which is as before.
expect 0 'placement confirmed' "$run" "$tmp/parts" --input "image=$tmp/image.npy" --target "$examples/openvino-cpu.json" --ep-option no_such_option=1
finish
