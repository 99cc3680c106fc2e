#!/usr/bin/env bash
# Fillets a real Mask R-CNN and proves it: examples/maskrcnn/run.sh [--full] [--work DIR]
#
# On a bare Debian 12 it sets up what Gomai is built on, builds it, makes the 186 MB model from the stripped export, splits
# it, runs the parts as a chain on the CPU and compares every tensor that crosses from part to part, and every output,
# with the whole model's, bit for bit: the tiny model on three images, one of them without a detection, the
# big one on one image (--full: on three). Then it makes parts that an NPU takes (preprocessing off, all sizes fixed, plain
# operators only), for image sizes and for network sizes, and proves the same of them; and it says what the cheaper 3x3 form of
# the 1x1 MaxPool would cost. Files go to DIR, build/examples/maskrcnn unless given.
# Exit code: 0 all equal, 1 something differs, 2 trouble. With GOMAI_BIN set to a folder that has the programs, those are
# used, and nothing is set up or built.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$root/build/examples/maskrcnn
full=0
trouble() { printf 'run.sh: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --full) full=1 ;;
    --work) [ $# -gt 1 ] || trouble "--work needs a folder"; work=$2; shift ;;
    -h|--help) sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) trouble "unknown argument '$1' (--help shows what there is)" ;;
  esac
  shift
done
mkdir -p "$work" || trouble "can't write to $work; give another folder with --work"
work=$(cd "$work" && pwd)
bin=${GOMAI_BIN:-$root/build/release/bin}
python=${XDG_CACHE_HOME:-$HOME/.cache}/gomai/venv/bin/python
models=$root/examples/models

step() { printf '\n%s\n' "$*"; }
note() { printf '   %s\n' "$*"; }
# logged LOG COMMAND…: its output goes to LOG, and is shown only if it fails.
logged() {
  local log=$1; shift
  "$@" >"$log" 2>&1 || { tail -n 40 "$log" >&2; trouble "failed: $* (all of its output: $log)"; }
}

# --- 1. set-up: what it fetches or builds is told as it happens, what it found is in the log
set_up() {
  step "1. Set up what Gomai is built on"
  local start=$SECONDS
  "$root/cmake/bootstrap.sh" 2>&1 | tee "$work/bootstrap.log" | { grep --line-buffered -vE '^bootstrap: [A-Za-z0-9_]+ +[0-9.]+ +/' || true; } \
    | sed -u 's/^bootstrap: /   /' || trouble "the set-up failed (above)"
  note "ready after $((SECONDS - start)) s; what is used, and from where: $work/bootstrap.log"
}

# --- 2. build: one line each quarter of the way
build() {
  step "2. Build"
  local start=$SECONDS
  local configure=()
  if command -v ccache >/dev/null; then configure+=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache); fi
  logged "$work/configure.log" cmake -S "$root" --preset release "${configure[@]}"
  NINJA_STATUS='gomai-progress %f %t ' cmake --build "$root/build/release" --target gomai-info gomai-opt gomai-split gomai-run gomai-verify 2>&1 \
    | tee "$work/build.log" \
    | awk '$1 == "gomai-progress" && $3 > 4 && int(4 * $2 / $3) > quarter { quarter = int(4 * $2 / $3)
           if (quarter < 4) { printf "   %d of %d steps\n", $2, $3; fflush() } }' \
    || { tail -n 40 "$work/build.log" >&2; trouble "the build failed (all of its output: $work/build.log)"; }
  note "ready after $((SECONDS - start)) s: $bin"
}

if [ -n "${GOMAI_BIN:-}" ]; then
  step "1., 2. Nothing is set up or built: GOMAI_BIN is set"
else
  set_up
  build
fi

# --- 3. the model
step "3. Make the 186 MB model: fill the stripped export with weights"
start=$(date +%s%N)
elapsed() { echo $((($(date +%s%N) - start) / 1000000)); }
"$bin/gomai-opt" -q "$models/maskrcnn_v2_op13.onnx" -p fill-weights -o "$work/v2.onnx" --weights=inline || trouble "gomai-opt failed"
cp "$models/maskrcnn_tiny_op13.onnx" "$work/tiny.onnx"
note "$(stat -c %s "$work/v2.onnx" | awk '{ printf "%.0f MB", $1 / 1e6 }') in $(elapsed) ms: $work/v2.onnx"

# --- 4. the cut
step "4. Cut it by the preset torchvision-maskrcnn"
"$bin/gomai-split" -q "$work/tiny.onnx" --preset torchvision-maskrcnn -o "$work/tiny-parts" || trouble "gomai-split failed"
start=$(date +%s%N)
"$bin/gomai-split" "$work/v2.onnx" --preset torchvision-maskrcnn -o "$work/v2-parts" >"$work/split.txt" || trouble "gomai-split failed"
split_ms=$(elapsed)
sed '/^$/d; /^wrote/d; s/^/   /' "$work/split.txt"
note "written in $split_ms ms: $work/v2-parts"

# --- 5. the proof
step "5. Run whole and parts on the CPU, compare every tensor that crosses a cut and every output, bit for bit"
"$python" "$here/report.py" header
# prove MODEL LABEL REFERENCE MANIFEST HOW FEEDS…: runs both sides, prints a row.
count=0
differ=0
prove() {
  local model=$1 label=$2 reference=$3 manifest=$4 how=$5 verdict; shift 5
  count=$((count + 1))
  local result=$work/verify-$count.json
  [ ! -t 1 ] || printf '   %-5s  %-26s  running…\r' "$model" "$label"
  verdict=0
  "$bin/gomai-verify" --json $how "$reference" "$manifest" "$@" >"$result" 2>"$work/verify-$count.log" || verdict=$?
  case $verdict in
    0) ;;
    1) differ=$((differ + 1)) ;;
    *) cat "$work/verify-$count.log" >&2; trouble "gomai-verify failed on $label" ;;
  esac
  "$python" "$here/report.py" row "$model" "$label" "$manifest" "$result"
}
# whole MODEL LABEL IMAGE-ARGUMENT…: the parts against the whole model, bit for bit.
whole() {
  local model=$1 label=$2; shift 2
  local image=$work/image-$count.npy
  "$python" "$here/make_image.py" "$@" -o "$image"
  prove "$model" "$label" "$work/$model.onnx" "$work/$model-parts/manifest.json" --bits --input "image=$image"
}
rm -f "$work"/verify-*.json
whole tiny "edges and texture, 128x192" --kind natural --height 128 --width 192 --seed 1
whole tiny "edges and texture, 160x200" --kind natural --height 160 --width 200 --seed 2
whole tiny "noise, 128x192" --kind noise --scale 4 --height 128 --width 192 --seed 3
whole v2 "edges and texture, 544x960" --kind natural --height 544 --width 960 --seed 1
if [ $full = 1 ]; then
  whole v2 "edges and texture, 480x640" --kind natural --height 480 --width 640 --seed 2
  whole v2 "noise, 544x960" --kind noise --height 544 --width 960 --seed 7
fi
echo
"$python" "$here/report.py" verdict bits "$work"/verify-*.json

# --- 6. parts for an NPU
step "6. Make parts that an NPU takes: preprocessing off, all sizes fixed, boxes in fixed numbers, no MaxPool of kernel 1"
# npu MODEL NAME FLAG SIZE: splits MODEL into parts for that size, as NAME.
npu() {
  "$bin/gomai-split" -q "$work/$1.onnx" --preset torchvision-maskrcnn "$3" "$4" -o "$work/$2" || trouble "gomai-split failed"
}
start=$(date +%s%N)
npu v2 v2-image-544x960 --image-size 544x960
npu_ms=$(elapsed)
npu v2 v2-network-544x960 --network-size 544x960
npu tiny tiny-image-128x192 --image-size 128x192
npu tiny tiny-image-160x200 --image-size 160x200
npu tiny tiny-network-160x224 --network-size 160x224
"$python" "$here/npu_parts.py" table "$bin" "$work"/{v2-image-544x960,v2-network-544x960,tiny-image-160x200} || trouble "a part isn't one that an NPU takes"
note "the first written in $npu_ms ms: $work/v2-image-544x960"

# --- 7. the proof of these
step "7. Compare with the model: the parts for an image size with the whole, those for a network size with what follows the preprocessing"
"$python" "$here/report.py" header
rm -f "$work"/verify-*.json
# sized MODEL LABEL PARTS IMAGE-ARGUMENT…: parts for an image size, on an image of that size.
sized() {
  local model=$1 label=$2 parts=$3; shift 3
  "$python" "$here/make_image.py" "$@" -o "$work/image-$count.npy"
  prove "$model" "$label" "$work/$model.onnx" "$work/$parts/manifest.json" "" --input "image=$work/image-$count.npy"
}
# behind MODEL LABEL PARTS IMAGE-ARGUMENT…: parts for a network size, on an image that was made as large as that outside.
behind() {
  local model=$1 label=$2 parts=$3; shift 3
  mkdir -p "$work/$model-network"
  "$bin/gomai-opt" -q "$work/$model.onnx" -o "$work/$model-network/network.onnx" -p 'strip-preprocess{at=scope:/transform->/backbone}' || trouble "gomai-opt failed"
  "$python" "$here/make_image.py" "$@" -o "$work/image-$count.npy"
  local feeds=()
  mapfile -t feeds < <("$python" "$here/npu_parts.py" feeds "$work/$parts" "$work/image-$count.npy")
  [ "${#feeds[@]}" -gt 0 ] || trouble "npu_parts.py made no inputs"
  prove "$model" "$label" "$work/$model-network/network.onnx" "$work/$parts/manifest.json" "" "${feeds[@]}"
}
sized tiny "image of 128x192" tiny-image-128x192 --height 128 --width 192 --seed 1
sized tiny "image of 160x200" tiny-image-160x200 --height 160 --width 200 --seed 2
sized tiny "noise of 128x192" tiny-image-128x192 --kind noise --scale 4 --height 128 --width 192 --seed 3
behind tiny "network input of 160x224" tiny-network-160x224 --height 160 --width 224 --seed 1
sized v2 "image of 544x960" v2-image-544x960 --seed 1
behind v2 "network input of 544x960" v2-network-544x960 --seed 1
echo
"$python" "$here/report.py" verdict values "$work"/verify-*.json

# --- 8. the price of the approximate form
step "8. What maxpool-1x1{form=maxpool3x3} would cost instead, over a folder of images"
mkdir -p "$work/images"
for seed in 1 2 3 4; do
  "$python" "$here/make_image.py" --height 160 --width 200 --seed $seed -o "$work/images/image-$seed.npy"
done
"$python" "$here/price.py" "$work/tiny.onnx" "$work/images" --bin "$bin" 2>"$work/price.log" || { cat "$work/price.log" >&2; trouble "price.py failed"; }
if [ $full = 1 ]; then
  mkdir -p "$work/large-images"
  "$python" "$here/make_image.py" --seed 1 -o "$work/large-images/image-1.npy"
  "$python" "$here/make_image.py" --seed 2 -o "$work/large-images/image-2.npy"
  "$python" "$here/price.py" "$work/v2.onnx" "$work/large-images" --bin "$bin" 2>"$work/price.log" || { cat "$work/price.log" >&2; trouble "price.py failed"; }
fi
[ "$differ" = 0 ]
