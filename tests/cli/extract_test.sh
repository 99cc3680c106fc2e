#!/usr/bin/env bash
# gomai-extract as a user meets it: on a real model, between scopes, and refusing what doesn't fit.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
extract=$bin/gomai-extract
split=$bin/gomai-split

expect 0 'inputs: 1, outputs: 5' "$extract" "$tiny" -o "$tmp/backbone.onnx" --inputs scope:/transform --outputs scope:/backbone
expect 0 '' "$split" -q "$tiny" --part pre=scope:/transform --part backbone=scope:/backbone -o "$tmp/parts"
check 'what lies between two scopes is what a split puts there' cmp "$tmp/parts/backbone.onnx" "$tmp/backbone.onnx"
expect 0 'wrote' "$extract" "$tiny" -o "$tmp/whole.onnx" --outputs boxes,labels,scores,masks
expect 0 '' "$bin/gomai-verify" "$tiny" "$tmp/whole.onnx" --random --input-shape image:3x96x128 --bits
expect 0 '"nodes"' "$extract" "$tiny" -o "$tmp/json.onnx" --outputs boxes --json
"$extract" - -o - --outputs boxes <"$tiny" >"$tmp/piped.onnx"
check 'from stdin to stdout' cmp "$tmp/json.onnx" "$tmp/piped.onnx"

expect 2 "outputs: no tensor 'boxs'; did you mean 'boxes'" "$extract" "$tiny" -o "$tmp/none.onnx" --outputs boxs
expect 2 'nearest' "$extract" "$tiny" -o "$tmp/none.onnx" --inputs scope:/backbnoe --outputs boxes
expect 2 "besides: 'image'" "$extract" "$tiny" -o "$tmp/none.onnx" --inputs scope:/roi_heads/mask_roi_pool --outputs masks
expect 2 "no output needs the input 'image'" "$extract" "$tiny" -o "$tmp/none.onnx" --inputs image,/transform/Concat_8_output_0 --outputs scope:/backbone
expect 2 'crosses no cut' "$extract" "$tiny" -o "$tmp/none.onnx" --outputs boxes --type nothing:float32
expect 2 'where to' "$extract" "$tiny" --outputs boxes
cp "$tiny" "$tmp/own.onnx"
expect 2 'in-place' "$extract" "$tmp/own.onnx" -o "$tmp/own.onnx" --outputs boxes
check 'the input is whole' cmp "$tiny" "$tmp/own.onnx"
expect 0 'wrote' "$extract" "$tmp/own.onnx" --in-place --outputs boxes
check 'unless --in-place says so' cmp "$tmp/json.onnx" "$tmp/own.onnx"
check 'nothing is written by what was refused' test ! -e "$tmp/none.onnx"

finish
