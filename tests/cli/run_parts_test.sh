#!/usr/bin/env bash
# run_parts.py, which a split writes beside its manifest: in Python, with onnxruntime and numpy alone, it computes what
# the whole model does.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
python=$GOMAI_CACHE_DIR/venv/bin/python
"$python" -c 'import numpy, onnxruntime' 2>/dev/null || { echo "no onnxruntime for Python here: cmake/bootstrap.sh brings it"; exit 77; }
"$python" "$source_dir/examples/maskrcnn/make_image.py" --seed 1 --height 128 --width 192 -o "$tmp/image.npy" >/dev/null
expect 0 '' "$bin/gomai-run" -q "$tiny" --input "image=$tmp/image.npy" -o "$tmp/whole"

same() {  # bit for bit
  "$python" - "$1" "$2" <<'PYTHON'
import pathlib, sys, numpy
files = sorted(pathlib.Path(sys.argv[1]).glob("*.npy"))
assert len(files) == 4, files
for file in files:
    a, b = numpy.load(file), numpy.load(pathlib.Path(sys.argv[2]) / file.name)
    assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), file.name
assert len(numpy.load(files[0])) > 0, "nothing was detected, so nothing was compared"
PYTHON
}

# As an application would: import it, make the sessions (here without optimisations, as the whole was run), call it.
application='
import sys
sys.path.insert(0, sys.argv[1])
import numpy, onnxruntime, run_parts
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
parts = {part["name"]: run_parts.Part(part["name"], options) for part in run_parts.MANIFEST["parts"]}
for name, value in run_parts.run(parts, {"image": numpy.load(sys.argv[2])}).items():
    numpy.save(f"{sys.argv[3]}/{name}.npy", value)
'
for variant in '' --use-aliases '--weights=shared'; do
  rm -rf "$tmp/parts" "$tmp/out"; mkdir "$tmp/out"
  # shellcheck disable=SC2086  # no variant: no argument
  expect 0 '' "$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn -o "$tmp/parts" $variant
  check 'at most 60 lines' test "$(wc -l <"$tmp/parts/run_parts.py")" -le 60
  expect 0 '' "$python" -c "$application" "$tmp/parts" "$tmp/image.npy" "$tmp/out"
  check "parts in Python: the whole's outputs (${variant:-as split})" same "$tmp/whole" "$tmp/out"
done

# Parts that take boxes in fixed numbers: some of them at a time, all, and none, on an image without a detection.
"$python" "$source_dir/examples/maskrcnn/make_image.py" --kind noise --scale 4 --seed 3 --height 128 --width 192 -o "$tmp/none.npy"
for rows in 7 limit; do
  rm -rf "$tmp/parts" "$tmp/out"; mkdir "$tmp/out"
  expect 0 '' "$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn --image-size 128x192 --batching box=$rows --batching mask=$rows -o "$tmp/parts"
  expect 0 '' "$python" -c "$application" "$tmp/parts" "$tmp/image.npy" "$tmp/out"
  check "parts in Python, $rows rows at a time: the whole's outputs" same "$tmp/whole" "$tmp/out"
  expect 0 '' "$python" -c "$application" "$tmp/parts" "$tmp/none.npy" "$tmp/out"
  check "no detection: no box" "$python" -c 'import numpy, sys; boxes = numpy.load(sys.argv[1]); assert boxes.shape == (0, 4), boxes.shape' "$tmp/out/boxes.npy"
done

# From the command line, and a split of many parts, which gets a loop.
expect 0 '' "$bin/gomai-split" -q "$tiny" --by-size 40K -o "$tmp/many"
check 'at most 60 lines, however many parts' test "$(wc -l <"$tmp/many/run_parts.py")" -le 60
mkdir "$tmp/cli"
expect 0 'masks float32' "$python" "$tmp/many/run_parts.py" "image=$tmp/image.npy" "$tmp/cli"
expect 1 'INPUT: each of image' "$python" "$tmp/many/run_parts.py"
expect 1 'a folder that is there' "$python" "$tmp/many/run_parts.py" "image=$tmp/image.npy" "$tmp/nowhere"
check 'outputs are written' test -s "$tmp/cli/masks.npy"
check 'these were many' test "$(grep -c '"file"' "$tmp/many/manifest.json")" -gt 13

finish
