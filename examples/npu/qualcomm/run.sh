#!/usr/bin/env bash
# A real NPU's compiler, and its emulator: GOMAI_ACCEPT_QNN_LICENSE=1 examples/npu/qualcomm/run.sh [--emulate-v2] [--work DIR]
#
# Gives the tiny Mask R-CNN to Qualcomm's compiler as it is, then in pieces, as fp16 and quantised, and shows in one table how
# much of each runs on the NPU and how far it is off the CPU; keeps the compiled pieces and takes them up again; compiles the
# pieces of the 186 MB model (--emulate-v2: and runs them, which takes some ten minutes). Files go to DIR,
# build/examples/qualcomm unless given. Exit code: 0 all as it should be, 1 not, 2 trouble, 77 the licence isn't accepted.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
work=$root/build/examples/qualcomm
emulate=0
trouble() { printf 'run.sh: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --emulate-v2) emulate=1 ;;
    --work) [ $# -gt 1 ] || trouble "--work needs a folder"; work=$2; shift ;;
    -h|--help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) trouble "unknown argument '$1' (--help shows what there is)" ;;
  esac
  shift
done
[ "${GOMAI_ACCEPT_QNN_LICENSE:-}" = 1 ] || exec "$here/setup.sh"
mkdir -p "$work" || trouble "can't write to $work; give another folder with --work"
work=$(cd "$work" && pwd)
if [ -z "${GOMAI_BIN:-}" ]; then
  "$root/cmake/bootstrap.sh"
  cmake -S "$root" --preset release >"$work/configure.log"
  cmake --build "$root/build/release" --target gomai-info gomai-opt gomai-split gomai-run gomai-verify >"$work/build.log"
fi
bin=${GOMAI_BIN:-$root/build/release/bin}
python=${XDG_CACHE_HOME:-$HOME/.cache}/gomai/venv/bin/python
tiny=$root/examples/models/maskrcnn_tiny_op13.onnx
GOMAI_QNN=$("$here/setup.sh")
export GOMAI_QNN
report() { "$python" "$here/report.py" "$@"; }
# asked FILE CODES COMMAND…: its JSON into FILE; any other exit code is trouble.
asked() {
  local file=$1 codes=$2 got=0
  shift 2
  "$@" --json >"$file" 2>"$file.log" || got=$?
  [[ $codes = *$got* ]] || { tail -n 20 "$file.log" >&2; trouble "exit $got, not $codes: $*"; }
}

fp16=(--target "$here/qnn-fp16.json")
qdq=(--target "$here/qnn-qdq.json")
image=image=$work/image.npy
"$python" "$root/examples/maskrcnn/make_image.py" --height 128 --width 192 -o "$work/image.npy"

printf '\nMask R-CNN on %s, compiled by QNN for Hexagon v75 and emulated\n\n' "$(basename "$tiny")"
report header
asked "$work/whole.json" 0 "$bin/gomai-run" "$tiny" --input "$image" "${fp16[@]}" --allow-fallback
report whole "$work/whole.json" tiny

# As it was exported, each hard swish is x * HardSigmoid(x), which this compiler gets wrong in silence; as HardSwish it is right.
"$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn --image-size 128x192 -o "$work/exported"
asked "$work/exported.json" 1 "$bin/gomai-verify" "$tiny" "$work/exported" --input "$image" --isolated "${fp16[@]}" --on backbone_rpn
report parts "$work/exported.json" tiny "exported"
"$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn --image-size 128x192 -o "$work/parts" \
  --part-pipeline 'backbone_rpn=convert-opset{opset=14},hardsigmoid-mul-to-hardswish'
asked "$work/fp16.json" 0 "$bin/gomai-verify" "$tiny" "$work/parts" --input "$image" --isolated "${fp16[@]}" \
  --ep-option dump_json_qnn_graph=1 --ep-option "json_qnn_graph_dir=$work/graphs/\${part}"
report parts "$work/fp16.json" tiny fp16
asked "$work/fp16-chain.json" 0 "$bin/gomai-verify" "$tiny" "$work/parts" --input "$image" "${fp16[@]}" \
  --detections boxes,labels,scores,masks --min-mask-iou 0.3 --allowed-unmatched 2
report chain "$work/fp16-chain.json" tiny fp16

# Calibrated on what crosses between the parts for other images.
dumps=()
for seed in 1 2 3 4 5 6; do
  "$python" "$root/examples/maskrcnn/make_image.py" --height 128 --width 192 --seed $seed -o "$work/sample.npy"
  "$bin/gomai-run" -q "$work/parts" --input "image=$work/sample.npy" --dump-parts "$work/samples/$seed"
  dumps+=("$work/samples/$seed")
done
for bits in u8 u16; do
  replace=()
  for part in backbone_rpn box mask; do
    "$python" "$here/../quantise.py" "$work/parts/$part.onnx" "$work/$part-$bits.onnx" $bits "${dumps[@]/%//$part}" 2>"$work/quantise.log" \
      || { cat "$work/quantise.log" >&2; trouble "quantising $part failed"; }
    replace+=(--replace "$part=$work/$part-$bits.onnx")
  done
  # Held to a signal-to-noise ratio: six samples and random weights make a coarse quantisation.
  asked "$work/$bits.json" 0 "$bin/gomai-verify" "$tiny" "$work/parts" --input "$image" --isolated "${qdq[@]}" "${replace[@]}" \
    --snr "$([ $bits = u8 ] && echo 8 || echo 18)"
  report parts "$work/$bits.json" tiny "QDQ $bits"
  # What is left at the end of such a chain is what it is: the exit code says whether it is enough, the row how much.
  asked "$work/$bits-chain.json" "0 1" "$bin/gomai-verify" "$tiny" "$work/parts" --input "$image" "${qdq[@]}" "${replace[@]}" \
    --snr "$([ $bits = u8 ] && echo 8 || echo 18)" --detections boxes,labels,scores
  report chain "$work/$bits-chain.json" tiny "QDQ $bits"
done

# Compiled pieces, kept and taken up again.
rm -rf "$work/contexts" "$work/v2-contexts"
asked "$work/compiled.json" 0 "$bin/gomai-run" "$work/parts" "${fp16[@]}" --compile-only --context "$work/contexts"
report compiled "$work/compiled.json" tiny compiled "$work/contexts"
asked "$work/again.json" 0 "$bin/gomai-verify" "$tiny" "$work/parts" --input "$image" --isolated "${fp16[@]}" --context "$work/contexts"
report parts "$work/again.json" tiny "reloaded"

if [ ! -e "$work/v2.onnx" ]; then
  "$bin/gomai-opt" -q "$root/examples/models/maskrcnn_v2_op13.onnx" -o "$work/v2.onnx" -p fill-weights --weights=inline
fi
"$bin/gomai-split" -q "$work/v2.onnx" --preset torchvision-maskrcnn --image-size 544x960 -o "$work/v2"
asked "$work/v2.json" 0 "$bin/gomai-run" "$work/v2" "${fp16[@]}" --one-by-one --compile-only --context "$work/v2-contexts"
report compiled "$work/v2.json" v2 compiled "$work/v2-contexts"
if [ $emulate = 1 ]; then
  "$python" "$root/examples/maskrcnn/make_image.py" --height 544 --width 960 -o "$work/v2.npy"
  asked "$work/v2-fp16.json" 0 "$bin/gomai-verify" "$work/v2.onnx" "$work/v2" --input "image=$work/v2.npy" --isolated "${fp16[@]}" --no-rerun \
    --time-limit 3600 --context "$work/v2-contexts" --snr 20
  report parts "$work/v2-fp16.json" v2 fp16
fi
printf '\nWhere it says "nodes on QNN", ONNX Runtime said so when the session was made. What was seen here is the emulator; no NPU was.\n'
