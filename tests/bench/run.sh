#!/usr/bin/env bash
# Time and memory of the tools, as ratios: tests/bench/run.sh [--runs N] [--chain-runs N] [--peers] [--work DIR]
#                                                        tests/bench/run.sh --rewrites [--runs N] [PASS...]
#                                                        tests/bench/run.sh --runner [--runs N]
#
# Every figure is the minimum of N runs (default 7; whole and chain: 3), measured in turns with what it is compared with, so that
# a busy spell of the machine meets both. The bytes are in the page cache. Nothing is asserted: machines differ. Uses the
# programs in GOMAI_BIN (default: build/release/bin).
#
#   split, weights copied    against cp of the files that the split writes, in the same folder; peak memory
#   split --weights=reference  time, and what is written
#   gomai-info               time and peak memory
#   split, merge of 100,000 nodes without weights   against ONNX's Python loading and saving the same model (needs the environment
#                            that --peers installs; else against cp)
#   chain                    against the whole model, same runtime, same threads
#
# --peers times Python tools on the same jobs besides (tests/bench/peers.txt, installed into an environment of their own), and
# says what each got wrong. Takes some minutes and 2 GB of memory.
#
# --rewrites measures only what each rewrite of operators costs on a small model of its own: multiply-accumulates, nodes, time of ONNX
# Runtime and the largest difference (rewrites.py, in the environment of the peers). With names of passes, these alone.
#
# --runner measures only what gomai-run adds to a bare loop over a session, and a process apart to one's own (runner.py), on the
# backbone of the 186 MB Mask R-CNN for images of 544x960.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${GOMAI_BIN:-$root/build/release/bin}
python=${XDG_CACHE_HOME:-$HOME/.cache}/gomai/venv/bin/python
work=$root/build/bench
runs=7
chain_runs=3
peers=0
rewrites=0
runner=0
passes=()
trouble() { printf 'bench: %s\n' "$*" >&2; exit 2; }
while [ $# -gt 0 ]; do
  case $1 in
    --runs|--chain-runs|--work)
      [ $# -gt 1 ] || trouble "$1 needs a value"
      case $1 in --runs) runs=$2 ;; --chain-runs) chain_runs=$2 ;; --work) work=$2 ;; esac
      shift ;;
    --peers) peers=1 ;;
    --rewrites) rewrites=1 ;;
    --runner) runner=1 ;;
    [a-z]*) passes+=("$1") ;;
    -h|--help) sed -n '2,24s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    *) trouble "unknown argument '$1' (--help shows what there is)" ;;
  esac
  shift
done
[ $rewrites = 1 ] || [ ${#passes[@]} = 0 ] || trouble "names of passes go with --rewrites"
environment=${XDG_CACHE_HOME:-$HOME/.cache}/gomai/peers
make_environment() {
  if ! cmp -s "$root/tests/bench/peers.txt" "$environment/installed.txt"; then
    echo "installing the peers into $environment"
    python3 -m venv "$environment"
    "$environment/bin/pip" install --quiet --disable-pip-version-check -r "$root/tests/bench/peers.txt"
    cp "$root/tests/bench/peers.txt" "$environment/installed.txt"
  fi
}
if [ $runner = 1 ]; then
  [ -x "$bin/gomai-run" ] || trouble "no gomai-run in $bin; run tests/run.sh first, or set GOMAI_BIN"
  npu=$(dirname "$bin")/tests/sim_npu/libgomai_sim_npu.so
  [ -e "$npu" ] || trouble "no simulated NPU in $npu; build the tests"
  mkdir -p "$work"
  [ -e "$work/v2.onnx" ] || "$bin/gomai-opt" -q "$root/examples/models/maskrcnn_v2_op13.onnx" -o "$work/v2.onnx" -p fill-weights --weights=inline
  "$bin/gomai-split" -q "$work/v2.onnx" --preset torchvision-maskrcnn --image-size 544x960 -o "$work/runner"
  exec "$python" "$root/tests/bench/runner.py" "$bin" "$work/runner/backbone_rpn.onnx" "$npu" "$runs"
fi
if [ $rewrites = 1 ]; then
  [ -x "$bin/gomai-opt" ] || trouble "no gomai-opt in $bin; run tests/run.sh first, or set GOMAI_BIN"
  make_environment
  exec "$environment/bin/python" "$root/tests/bench/rewrites.py" "$bin" "$runs" "${passes[@]}"
fi
for program in gomai-opt gomai-split gomai-info gomai-run gomai-extract gomai-merge; do
  [ -x "$bin/$program" ] || trouble "no $program in $bin; run examples/maskrcnn/run.sh or tests/run.sh first, or set GOMAI_BIN"
done
mkdir -p "$work"
model=$work/v2.onnx
[ -e "$model" ] || "$bin/gomai-opt" -q "$root/examples/models/maskrcnn_v2_op13.onnx" -p fill-weights -o "$model" --weights=inline
[ -e "$work/image.npy" ] || "$python" "$root/examples/maskrcnn/make_image.py" --seed 1 -o "$work/image.npy"

"$python" "$root/tests/bench/measure.py" "$bin" "$work" "$runs" "$chain_runs"
if [ $peers = 1 ]; then
  make_environment
  "$environment/bin/python" "$root/tests/bench/peers.py" "$bin" "$work" "$runs"
fi
