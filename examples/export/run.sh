#!/usr/bin/env bash
# Exports detection models from torchvision: examples/export/run.sh [--work DIR] [MODEL…]
#
# Installs Debian's python3-torch and python3-torchvision if they are absent (some 500 MB) and writes DIR/MODEL.onnx for each
# MODEL: tiny (the default), maskrcnn-v1, maskrcnn-v2, keypoint, fasterrcnn, or all. DIR is build/examples/export unless
# given. tiny takes seconds; each of the others two to three minutes on 2 cores, 5 GB of memory and 170 to 240 MB of disk.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$here/../../build/examples/export
models=()
while [ $# -gt 0 ]; do
  case $1 in
    --work) [ $# -gt 1 ] || { echo "run.sh: --work needs a folder" >&2; exit 2; }; work=$2; shift ;;
    -h|--help) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    all) models+=(tiny maskrcnn-v1 maskrcnn-v2 keypoint fasterrcnn) ;;
    tiny|maskrcnn-v1|maskrcnn-v2|keypoint|fasterrcnn) models+=("$1") ;;
    *) echo "run.sh: unknown argument '$1' (--help shows what there is)" >&2; exit 2 ;;
  esac
  shift
done
[ ${#models[@]} -gt 0 ] || models=(tiny)

python=/usr/bin/python3
if ! $python -c 'import torch, torchvision' 2>/dev/null; then
  install=(apt-get install -y --no-install-recommends python3-torch python3-torchvision)
  if [ "$(id -u)" = 0 ]; then as_root=()
  elif command -v sudo >/dev/null; then as_root=(sudo)
  else echo "run.sh: torch and torchvision are missing. As root, run: ${install[*]}" >&2; exit 2
  fi
  echo "installing python3-torch and python3-torchvision"
  "${as_root[@]}" apt-get update >/dev/null
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive "${install[@]}" >/dev/null
fi
mkdir -p "$work"
work=$(cd "$work" && pwd)
for model in "${models[@]}"; do
  $python "$here/export.py" --model "$model" -o "$work/$model.onnx"
done
