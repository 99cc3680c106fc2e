#!/usr/bin/env bash
# Fillets a real Mask R-CNN and proves it: examples/maskrcnn/run.sh [--full] [--work DIR]
#
# On a bare Debian 12 it sets up what Gomai is built on, builds it, makes the 186 MB model from the stripped export, splits
# it, runs the parts as a chain on the CPU and compares every tensor that crosses from part to part, and every output,
# with the whole model's, bit for bit: the tiny model on three images, one of them without a detection, the
# big one on one image (--full: on three). Files go to DIR, build/examples/maskrcnn unless given.
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
    -h|--help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
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
# prove MODEL LABEL IMAGE-ARGUMENT…: makes the image, runs both, prints a row.
count=0
differ=0
prove() {
  local model=$1 label=$2 verdict; shift 2
  count=$((count + 1))
  local image=$work/image-$count.npy result=$work/verify-$count.json
  "$python" "$here/make_image.py" "$@" -o "$image"
  [ ! -t 1 ] || printf '   %-5s  %-26s  running…\r' "$model" "$label"
  verdict=0
  "$bin/gomai-verify" --json --bits "$work/$model.onnx" "$work/$model-parts/manifest.json" --input "image=$image" \
    >"$result" 2>"$work/verify-$count.log" || verdict=$?
  case $verdict in
    0) ;;
    1) differ=$((differ + 1)) ;;
    *) cat "$work/verify-$count.log" >&2; trouble "gomai-verify failed on $label" ;;
  esac
  "$python" "$here/report.py" row "$model" "$label" "$work/$model-parts/manifest.json" "$result"
}
rm -f "$work"/verify-*.json
prove tiny "edges and texture, 128x192" --kind natural --height 128 --width 192 --seed 1
prove tiny "edges and texture, 160x200" --kind natural --height 160 --width 200 --seed 2
prove tiny "noise, 128x192" --kind noise --scale 4 --height 128 --width 192 --seed 3
prove v2 "edges and texture, 544x960" --kind natural --height 544 --width 960 --seed 1
if [ $full = 1 ]; then
  prove v2 "edges and texture, 480x640" --kind natural --height 480 --width 640 --seed 2
  prove v2 "noise, 544x960" --kind noise --height 544 --width 960 --seed 7
fi
echo
"$python" "$here/report.py" verdict "$work"/verify-*.json
[ "$differ" = 0 ]
