#!/usr/bin/env bash
# gomai-run as a user meets it: outputs and dumps, times, made-up inputs, what it refuses, what it says and leaves behind.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
run=$bin/gomai-run
python=$GOMAI_CACHE_DIR/venv/bin/python
if "$run" "$tiny" --random --input-shape image:3x8x8 2>&1 | grep -q 'built without ONNX Runtime\|library can.t be loaded'; then
  echo "no ONNX Runtime here"; exit 77
fi

"$python" - "$tmp" <<'PYTHON'
import sys, numpy as np
image = np.random.default_rng(1).random((3, 128, 192), dtype=np.float32)
np.save(sys.argv[1] + '/image.npy', image)
np.save(sys.argv[1] + '/fortran.npy', np.asfortranarray(image))
np.save(sys.argv[1] + '/double.npy', image.astype(np.float64))
np.save(sys.argv[1] + '/flat.npy', image[0])
np.savez_compressed(sys.argv[1] + '/all.npz', image=image)
PYTHON
image=$tmp/image.npy

# --- a model: outputs that numpy reads, the same bytes each time and however the input is stored
expect 0 'boxes   float32  [' "$run" "$tiny" --input "image=$image" -o "$tmp/out" --threads 1
check 'numpy reads the outputs' "$python" -c "
import numpy as np
boxes, labels, masks = (np.load('$tmp/out/' + n + '.npy') for n in ('boxes', 'labels', 'masks'))
assert boxes.dtype == np.float32 and labels.dtype == np.int64
assert len(boxes) == len(labels) > 0 and masks.shape == (len(boxes), 1, 128, 192)"
expect 0 '' "$run" "$tiny" --input "$tmp/all.npz" -o "$tmp/npz" --threads 1
expect 0 '' "$run" "$tiny" --input "image=$tmp/fortran.npy" -o "$tmp/fortran" --threads 1
check 'a npz gives the same' diff -r "$tmp/out" "$tmp/npz"
check 'Fortran order gives the same' diff -r "$tmp/out" "$tmp/fortran"
check 'no temporary file is left' test "$(ls -A "$tmp/out" | sort | tr '\n' ' ')" = 'boxes.npy labels.npy masks.npy scores.npy '

# --- made-up inputs
expect 0 '' "$run" "$tiny" --random=7 --input-shape image:3x64x96 -o "$tmp/seven" --threads 1
expect 0 '' "$run" "$tiny" --random=7 --input-shape 'image:[3, 64, 96]' -o "$tmp/seven-again" --threads 1
expect 0 '' "$run" "$tiny" --random --input-shape image:3x64x96 -o "$tmp/zero" --threads 1
check 'a seed gives the same values' diff -r "$tmp/seven" "$tmp/seven-again"
check 'another seed gives others' test ! "$(cmp -s "$tmp/seven/boxes.npy" "$tmp/zero/boxes.npy" && echo same)"

# --- times and JSON
expect 0 '3 runs after 1 warm-up' "$run" "$tiny" --input "image=$image" --runs 3 --warmup 1
expect 0 '' "$run" "$tiny" --input "image=$image" --runs 2 --json --optimization all
check '--json is one document with a time for each run' "$python" -c "
import json, sys
document = json.loads(sys.argv[1])
assert len(document['seconds']) == 2 and document['parts'] == []
assert [o['name'] for o in document['outputs']] == ['boxes', 'labels', 'scores', 'masks']" "$output"

# --- a chain gives the same bytes as the whole, and is dumped part by part
"$bin/gomai-split" "$tiny" --preset torchvision-maskrcnn -o "$tmp/parts" >/dev/null
expect 0 'backbone_rpn' "$run" "$tmp/parts/manifest.json" --input "image=$image" -o "$tmp/chain" --threads 1 --dump-parts "$tmp/dump"
check 'the chain equals the whole' diff -r "$tmp/out" "$tmp/chain"
expect 0 '' "$run" "$tmp/parts" --input "image=$image" -o "$tmp/chain2" --threads 1
check 'a folder stands for its manifest' diff -r "$tmp/out" "$tmp/chain2"
check 'each part is dumped' test "$(ls "$tmp/dump" | wc -l)" = 7
check 'names are escaped' test -s "$tmp/dump/preprocess/%2Ftransform%2FConcat_8_output_0.npy"
check 'what one part gives another reads' cmp "$tmp/dump/preprocess/%2Ftransform%2FConcat_8_output_0.npy" \
  "$tmp/dump/backbone_rpn/%2Ftransform%2FConcat_8_output_0.npy"

# --- what is refused: exit 2, and nothing is written
refused() {
  local text=$1
  shift
  expect 2 "$text" "$run" "$@" -o "$tmp/none"
  check "nothing is written: $text" test ! -e "$tmp/none"
}
refused "input 'image' (float32 [3,height,width]) is missing; give a value for it" "$tiny"
refused "the model has no input 'imge'; did you mean 'image'?" "$tiny" --input "imge=$image"
refused "input 'image' must be float32, and float64 [3,128,192] was given" "$tiny" --input "image=$tmp/double.npy"
refused "input 'image' must have rank 3 (float32 [3,height,width]), and float32 [128,192] was given" "$tiny" --input "image=$tmp/flat.npy"
refused "must be NAME=FILE.npy" "$tiny" --input "$image"
refused "the input 'image' is given twice" "$tiny" --input "image=$image" --input "image=$image"
refused "No such file" "$tiny" --input image=/nonexistent.npy
refused "input 'image' is float32 [3,height,width]; say what size to make up for it (--input-shape NAME:1x3x4)" "$tiny" --random
refused "the shape [1,64,64] doesn't fit" "$tiny" --random --input-shape image:1x64x64
refused "--input-shape says what size to make up; it needs --random" "$tiny" --input-shape image:3x64x64
refused "--random=x is no seed" "$tiny" --random=x
refused "No such file" /nonexistent.onnx --random
refused "has no manifest.json" "$tmp/out" --random
refused "is not a .npy file" "$tiny" --input "image=$(cp "$tiny" "$tmp/model.npy"; echo "$tmp/model.npy")"
refused "has no execution provider 'npu'; it has cpu" "$tiny" --random --input-shape image:3x64x64 --ep npu
refused "'fast' is no level of optimisation; give off, basic, extended or all" "$tiny" --random --optimization fast
refused "a model has no parts to dump" "$tiny" --input "image=$image" --dump-parts "$tmp/none"
refused "0 runs after 0 warm-ups make no sense" "$tiny" --input "image=$image" --runs 0
refused "can't be loaded; tried '/nonexistent.so'" "$tiny" --ort-library /nonexistent.so
refused "Name:'/" "$tiny" --random --input-shape image:3x0x8
expect 2 "tried '/nonexistent.so'" env GOMAI_ORT_LIBRARY=/nonexistent.so "$run" "$tiny" --random
expect 2 "is an input and would be overwritten by the output 'boxes'" \
  "$run" "$tiny" --input "image=$(cp "$image" "$tmp/out/boxes.npy"; echo "$tmp/out/boxes.npy")" -o "$tmp/out"
check 'the input is as it was' cmp "$image" "$tmp/out/boxes.npy"
touch "$tmp/file"
expect 2 "can't make the folder" "$run" "$tiny" --input "image=$image" -o "$tmp/file/under"

# --- parts that aren't what the manifest says
cp "$tmp/parts/mask.onnx" "$tmp/parts/box.onnx"
expect 1 "was changed after the split" "$run" "$tmp/parts" --input "image=$image"
rm "$tmp/parts/box.onnx"
refused "of part 'box' is missing; split the model again, or put it back" "$tmp/parts" --input "image=$image"
printf '{"gomai_manifest": 1' >"$tmp/parts/manifest.json"
refused "is not JSON; it is cut short or damaged" "$tmp/parts" --input "image=$image"
finish
