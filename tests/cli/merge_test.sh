#!/usr/bin/env bash
# gomai-merge as a user meets it: the parts of a split give the model back byte for byte, models are joined, and errors
# leave nothing behind.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
split=$bin/gomai-split
merge=$bin/gomai-merge
opt=$bin/gomai-opt

expect 0 '' "$split" -q "$tiny" --preset torchvision-maskrcnn -o "$tmp/parts"
expect 0 'wrote' "$merge" "$tmp/parts/manifest.json" -o "$tmp/whole.onnx"
check 'merged it is the model byte for byte' cmp "$tiny" "$tmp/whole.onnx"
expect 0 '"nodes"' "$merge" "$tmp/parts" -o "$tmp/whole2.onnx" --json
check 'a folder stands for its manifest' cmp "$tiny" "$tmp/whole2.onnx"
"$merge" "$tmp/parts" -o - >"$tmp/stdout.onnx"
check 'to stdout' cmp "$tiny" "$tmp/stdout.onnx"
expect 0 '' "$split" -q "$tiny" --preset torchvision-maskrcnn -o "$tmp/aliased" --use-aliases --weights=shared
expect 0 '' "$merge" -q "$tmp/aliased" -o "$tmp/whole3.onnx" --weights=inline
check 'friendly names and a shared data file: the same' cmp "$tiny" "$tmp/whole3.onnx"

# --- a part of one's own
expect 0 '' "$opt" -q "$tmp/parts/box.onnx" -o "$tmp/box.onnx" -p strip-doc-strings
expect 0 'wrote' "$merge" "$tmp/parts" -o "$tmp/patched.onnx" --replace "box=$tmp/box.onnx"
cp "$tmp/parts/mask.onnx" "$tmp/mask.onnx"
expect 0 '' "$opt" -q "$tmp/parts/box.onnx" -o "$tmp/parts/mask.onnx"
expect 1 "part 'mask'" "$merge" "$tmp/parts" -o "$tmp/none.onnx"
expect 1 "doesn't fit as part 'mask'" "$merge" "$tmp/parts" -o "$tmp/none.onnx" --replace "mask=$tmp/box.onnx"
expect 2 "no part 'maks' to replace" "$merge" "$tmp/parts" -o "$tmp/none.onnx" --replace maks=x.onnx
expect 2 'must be PART=FILE' "$merge" "$tmp/parts" -o "$tmp/none.onnx" --replace mask
cp "$tmp/mask.onnx" "$tmp/parts/mask.onnx"
expect 2 'is an input' "$merge" "$tmp/parts" -o "$tmp/parts/mask.onnx"
check 'an input is not overwritten' cmp "$tmp/mask.onnx" "$tmp/parts/mask.onnx"
rm "$tmp/parts/mask.onnx"
expect 2 "is missing" "$merge" "$tmp/parts" -o "$tmp/none.onnx"

# --- models
expect 0 'wrote' "$merge" "$tmp/aliased/preprocess.onnx" "$tmp/aliased/backbone_rpn.onnx" --join network_image=network_image -o "$tmp/two.onnx"
expect 2 "no model before" "$merge" "$tiny" "$tmp/aliased/box.onnx" --join nothing=box_features -o "$tmp/none.onnx"
expect 2 'must be OUTPUT=INPUT' "$merge" "$tiny" "$tmp/box.onnx" --join nothing -o "$tmp/none.onnx"
expect 2 'one model alone' "$merge" "$tiny" -o "$tmp/none.onnx"
expect 2 'is merged alone' "$merge" "$tmp/aliased/manifest.json" "$tiny" -o "$tmp/none.onnx"
expect 2 'are for models' "$merge" "$tmp/aliased" --join a=b -o "$tmp/none.onnx"
expect 2 'for the parts of a manifest' "$merge" "$tiny" "$tmp/box.onnx" --replace a=b -o "$tmp/none.onnx"

# --- opsets
cat >"$tmp/old.onnxtxt" <<'TEXT'
<ir_version: 7, opset_import: ["" : 12]>
old (float[2,3,4] x) => (float[2,4] hidden)
{
  wide = Unsqueeze<axes = [0]>(x)
  soft = Softmax<axis = 1>(wide)
  thin = Squeeze<axes = [0]>(soft)
  hidden = ReduceSum<axes = [1], keepdims = 0>(thin)
}
TEXT
cat >"$tmp/new.onnxtxt" <<'TEXT'
<ir_version: 8, opset_import: ["" : 17]>
new (float[2,4] h) => (float[2,4] y)
{
  y = Relu(h)
}
TEXT
cat >"$tmp/random.onnxtxt" <<'TEXT'
<ir_version: 7, opset_import: ["" : 12]>
wild (float[2,4] h) => (float[2,4] z)
{
  [axis_outside] z = Hardmax<axis = 0>(h)
}
TEXT
for name in old new random; do "$opt" -q "$tmp/$name.onnxtxt" -o "$tmp/$name.onnx"; done
expect 2 'imports the opset ai.onnx 17, not 12' "$merge" "$tmp/old.onnx" "$tmp/new.onnx" --join hidden=h -o "$tmp/none.onnx"
expect 0 'wrote' "$merge" "$tmp/old.onnx" "$tmp/new.onnx" --join hidden=h --convert-opset 17 -o "$tmp/joined.onnx"
expect 0 'ai.onnx 17' "$bin/gomai-info" "$tmp/joined.onnx"
expect 0 'wrote' "$merge" "$tmp/old.onnx" "$tmp/old.onnx" --convert-opset 12 -o "$tmp/twice.onnx"
expect 1 "random.onnx': node axis_outside (Hardmax) can't go from opset 12 to 17 without loss" \
  "$merge" "$tmp/new.onnx" "$tmp/random.onnx" --join y=h --convert-opset 17 -o "$tmp/none.onnx"
expect 2 'there is no opset 1000' "$merge" "$tmp/old.onnx" "$tmp/new.onnx" --convert-opset 1000 -o "$tmp/none.onnx"
expect 2 'is for models' "$merge" "$tmp/aliased" --convert-opset 17 -o "$tmp/none.onnx"

check 'nothing is written by what was refused' test ! -e "$tmp/none.onnx"

finish
