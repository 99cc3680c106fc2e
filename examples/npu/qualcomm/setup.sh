#!/usr/bin/env bash
# Fetches Qualcomm's QNN plugin for ONNX Runtime from PyPI into the cache: examples/npu/qualcomm/setup.sh
#
# Its x86-64 build holds the compiler for the Hexagon NPU and an emulator of it. It comes under the Qualcomm AI Stack
# License, which is yours to read and to accept: nothing here fetches it unless GOMAI_ACCEPT_QNN_LICENSE=1 is set. Nothing of
# it is in this repository, and nothing may be passed on by itself. Prints the folder that it is in.
set -euo pipefail
version=2.7.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/gomai
folder=$cache/onnxruntime-qnn-$version

if [ "${GOMAI_ACCEPT_QNN_LICENSE:-}" != 1 ]; then
  cat >&2 <<TEXT
examples/npu/qualcomm: the QNN plugin is under the Qualcomm AI Stack License (development and benchmarking; no passing on by
itself). Read it: https://pypi.org/project/onnxruntime-qnn/$version/, the file Qualcomm_LICENSE.pdf in the wheel. If you
accept it: GOMAI_ACCEPT_QNN_LICENSE=1 examples/npu/qualcomm/run.sh
TEXT
  exit 77
fi
if [ ! -d "$folder" ]; then
  rm -rf "$folder.part"; mkdir -p "$folder.part"
  "$cache/venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder.part" "onnxruntime-qnn==$version" >&2
  "$cache/venv/bin/python" -m zipfile -e "$folder.part"/*.whl "$folder.part" >&2
  rm "$folder.part"/*.whl
  mv "$folder.part" "$folder"
fi
echo "$folder/onnxruntime_qnn"
