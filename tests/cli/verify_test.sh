#!/usr/bin/env bash
# gomai-verify as a user meets it: what it proves, what it finds and names, what it refuses, and the exit code of each.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
verify=$bin/gomai-verify
split=$bin/gomai-split
python=$GOMAI_CACHE_DIR/venv/bin/python

"$split" -q "$tiny" --preset torchvision-maskrcnn -o "$tmp/parts" || fail 'the split'
parts=$tmp/parts/manifest.json
if "$verify" "$tiny" "$parts" --random --input-shape image:3x128x192 2>&1 | grep -q 'built without ONNX Runtime\|library can.t be loaded'; then
  echo "no ONNX Runtime here"; exit 77
fi
"$python" - "$tmp" <<'PYTHON'
import sys, numpy as np
random = np.random.default_rng(5)
np.save(sys.argv[1] + '/a.npy', random.random((3, 128, 192), dtype=np.float32))
np.save(sys.argv[1] + '/b.npy', random.random((3, 150, 170), dtype=np.float32))
np.save(sys.argv[1] + '/abort.npy', np.full((3, 128, 192), -10, np.float32))
np.save(sys.argv[1] + '/double.npy', random.random((3, 128, 192)))
PYTHON
# Noise in which the model finds nothing.
"$python" "$source_dir/examples/maskrcnn/make_image.py" --kind noise --scale 4 --height 128 --width 192 --seed 1 -o "$tmp/none.npy"
a=image=$tmp/a.npy

# --- 0: equal, chained and isolated, several samples, one of them without a detection
expect 0 'tensors equal bit for bit, 3 samples' "$verify" "$tiny" "$parts" --input "$a" --input "image=$tmp/b.npy" --input "image=$tmp/none.npy" --bits
check 'all of them are' grep -qE '^([0-9]+) of \1 tensors equal bit for bit' <<<"$output"
check 'dims that vary over samples show so' grep -qE 'boxes +float32 \[0\.\.[0-9]+,4\]' <<<"$output"
check 'parts are named' grep -q '^backbone_rpn ' <<<"$output"
check 'friendly names are shown' grep -q ' features_0 ' <<<"$output"
check 'times of whole and parts' grep -qE '^whole [0-9.]+ ms, parts [0-9.]+ ms \(preprocess ' <<<"$output"
expect 0 '1 sample' "$verify" "$tiny" "$tmp/parts" --input "$a" --isolated
expect 0 'equal bit for bit' "$verify" "$tiny" "$tiny" --random=3 --samples 2 --input-shape image:3x96x64
"$split" -q "$tiny" --preset torchvision-maskrcnn --use-aliases -o "$tmp/aliased" || fail 'the split with aliases'
expect 0 'equal bit for bit' "$verify" "$tiny" "$tmp/aliased" --input "$a" --bits

# --- JSON: one document, nothing else
checks=$((checks + 1))
"$verify" "$tiny" "$parts" --input "$a" --json 2>/dev/null | "$python" -c '
import json, sys
d = json.load(sys.stdin)
assert d["equal"] and d["exit_code"] == 0 and d["first_difference"] is None
tensors = d["samples"][0]["tensors"]
assert len(tensors) > 30 and all(t["equal"] and t["differing_bits"] == 0 for t in tensors)
assert {t["tensor"] for t in tensors if t["model_output"]} == {"boxes", "labels", "scores", "masks"}
' || fail 'the JSON document'

# --- 1: a part whose weight has one bit flipped, found and named
"$python" - "$tmp" <<'PYTHON'
import sys
data = bytearray(open(sys.argv[1] + '/parts/box.onnx', 'rb').read())
# In the largest run of raw bytes: the middle of the file lies in a weight.
data[len(data) // 2 // 4 * 4 + 2] ^= 0x10
open(sys.argv[1] + '/broken.onnx', 'wb').write(data)
PYTHON
expect 1 "first tensor that differs: '/roi_heads/box_predictor/" "$verify" "$tiny" "$parts" --input "$a" --replace "box=$tmp/broken.onnx"
check 'it names the part' grep -q "of part 'box': " <<<"$output"
check 'it says where and what' grep -qE "; worst at \[[0-9,]+\]: .*, reference " <<<"$output"
expect 1 'DIFFERS' "$verify" "$tiny" "$parts" --input "$a" --replace "box=$tmp/broken.onnx" --isolated
check 'isolated, only that part differs' test "$(grep -c DIFFERS <<<"$output")" -le 2
expect 0 'within the tolerance' "$verify" "$tiny" "$parts" --input "$a" --replace "box=$tmp/broken.onnx" --isolated --atol 1e9
cp "$tmp/parts/box.onnx" "$tmp/kept.onnx"
cp "$tmp/broken.onnx" "$tmp/parts/box.onnx"
# Only a weight differs, which the digest doesn't read: the comparison finds it.
expect 1 "of part 'box'" "$verify" "$tiny" "$parts" --input "$a"
cp "$tmp/kept.onnx" "$tmp/parts/box.onnx"

# --- 1: a part changed in its structure, a replacement that doesn't fit
cp "$tmp/parts/mask.onnx" "$tmp/parts/box.onnx"
expect 1 "part 'box'" "$verify" "$tiny" "$parts" --input "$a"
cp "$tmp/kept.onnx" "$tmp/parts/box.onnx"
expect 1 "doesn't fit as part 'box'" "$verify" "$tiny" "$parts" --input "$a" --replace "box=$tmp/parts/mask.onnx"

# --- 1: outputs that one side lacks
expect 1 'the candidate has no such output' "$verify" "$tiny" "$tmp/parts/preprocess.onnx" --input "$a"

# --- 2: the reference itself fails, naming the node
expect 2 "/roi_heads/Reshape" "$verify" "$tiny" "$parts" --input "image=$tmp/abort.npy"
check 'it says that it is the reference' grep -q 'the reference: ' <<<"$output"

# --- 2: usage
expect 2 "no tensor 'boxs' is compared; did you mean 'boxes'" "$verify" "$tiny" "$parts" --input "$a" --rtol boxs=1e-3
expect 2 'no input is given; use --input image=FILE.npy, or --random' "$verify" "$tiny" "$parts"
expect 2 "--bits leaves no room for a tolerance" "$verify" "$tiny" "$parts" --input "$a" --bits --rtol 1
expect 2 "--rtol x: 'x' is no such number" "$verify" "$tiny" "$parts" --input "$a" --rtol x
expect 2 "--atol -1: '-1' is no such number" "$verify" "$tiny" "$parts" --input "$a" --atol=-1
expect 2 'must be PART=FILE.onnx' "$verify" "$tiny" "$parts" --input "$a" --replace box
expect 2 "has no part 'bx' to replace; did you mean 'box'" "$verify" "$tiny" "$parts" --input "$a" --replace "bx=$tmp/broken.onnx"
expect 2 'float64' "$verify" "$tiny" "$parts" --input "image=$tmp/double.npy"
expect 2 "'imag'" "$verify" "$tiny" "$parts" --input "imag=$tmp/a.npy"
expect 2 'it has no parts to replace' "$verify" "$tiny" "$tiny" --input "$a" --replace "box=$tmp/broken.onnx"
expect 2 'it has no parts to run one by one' "$verify" "$tiny" "$tiny" --input "$a" --isolated
expect 2 '' "$verify" "$tiny" "$parts" --input "$a" --isolated --chained
expect 2 '--input-shape' "$verify" "$tiny" "$parts" --random
expect 2 'they need --random' "$verify" "$tiny" "$parts" --input "$a" --samples 3
expect 2 'absent.onnx' "$verify" "$tmp/absent.onnx" "$parts" --input "$a"
expect 2 'has no manifest.json' "$verify" "$tiny" "$tmp" --input "$a"
rm "$tmp/parts/mask.onnx"
expect 2 "mask" "$verify" "$tiny" "$parts" --input "$a"
finish
