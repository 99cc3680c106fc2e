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
check 'nothing is written by what was refused' test ! -e "$tmp/none.onnx"

finish
