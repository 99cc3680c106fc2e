#!/usr/bin/env bash
# gomai-split as a user meets it: what it writes, what it refuses, what it says, and what it leaves behind.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
split=$bin/gomai-split

# --- what it writes
expect 0 'wrote 7 parts' "$split" "$tiny" --preset torchvision-maskrcnn -o "$tmp/parts"
for part in preprocess backbone_rpn box_proposal box mask_proposal mask rest; do
  check "the part $part is there" test -s "$tmp/parts/$part.onnx"
done
check 'the manifest says its version' grep -q '"gomai_manifest": 1' "$tmp/parts/manifest.json"
cp -r "$tmp/parts" "$tmp/once"
expect 0 '' "$split" "$tiny" --preset torchvision-maskrcnn -o "$tmp/parts"
check 'the same command writes the same bytes' diff -r "$tmp/once" "$tmp/parts"

# --- --print-plan writes nothing, and its JSON goes back in
expect 0 'backbone_rpn' "$split" "$tiny" --preset torchvision-maskrcnn --print-plan -o "$tmp/none"
check '--print-plan writes nothing' test ! -e "$tmp/none"
"$split" "$tiny" --preset torchvision-maskrcnn --print-plan --json >"$tmp/plan.json"
expect 0 'wrote 7 parts' "$split" "$tiny" --plan "$tmp/plan.json" -o "$tmp/from-plan"
for part in "$tmp"/parts/*.onnx; do
  check 'a printed plan makes the same parts' cmp "$part" "$tmp/from-plan/$(basename "$part")"
done

# --- leftovers of an older split go, nothing else does
touch "$tmp/parts/notes.txt"
expect 0 'wrote 2 parts' "$split" "$tiny" --part first=scope:/transform -o "$tmp/parts"
check 'a leftover part is removed' test ! -e "$tmp/parts/box.onnx"
check 'what the split did not write stays' test -e "$tmp/parts/notes.txt"

# --- split again over an older split: what is refused leaves all of it as it was, what isn't gives what it gives elsewhere
npu=(--preset torchvision-maskrcnn --image-size 128x192)
"$split" -q "$tiny" "${npu[@]}" -o "$tmp/again"
echo mine >"$tmp/again/notes.txt"
cp -r "$tmp/again" "$tmp/again-before"
cat >"$tmp/clash.json" <<'JSON'
{"parts": [{"name": "preprocess", "outputs": ["scope:/backbone"]}], "network": {"input": "scope:/transform->/backbone"}}
JSON
untouched() {
  local code=$1 text=$2
  shift 2
  expect "$code" "$text" "$split" "$tiny" "$@" -o "$tmp/again"
  check "what is refused leaves the older split as it was ($text)" diff -r "$tmp/again-before" "$tmp/again"
}
untouched 2 "doesn't fit the input 'image'" --preset torchvision-maskrcnn --image-size 128
untouched 2 'give --image-size HxW or --network-size HxW' --preset torchvision-maskrcnn --sizes constants
untouched 2 "the pipeline writes 'preprocess.onnx', which is also a part's file" --plan "$tmp/clash.json" --image-size 128x192
untouched 2 'no input of it has an open first axis' "${npu[@]}" --batching backbone_rpn=4
untouched 2 "did you mean 'prune'" "${npu[@]}" --part-pipeline box=prunes
untouched 1 'parts must fit together' "${npu[@]}" \
  --part-pipeline 'box=rename{/roi_heads/box_predictor/cls_score/Gemm_output_0=scores_}'
untouched 2 "the model has no scope '/backbon'" --part a=scope:/backbon
expect 2 "gomai-split: can't open '$tmp/absent.onnx'" "$split" "$tmp/absent.onnx" "${npu[@]}" -o "$tmp/again"
check 'a model that is absent leaves the older split as it was' diff -r "$tmp/again-before" "$tmp/again"
"$split" -q "$tiny" --preset torchvision-maskrcnn --network-size 160x224 -o "$tmp/fresh"
untouched 2 'leads to 1x3x128x192' "${npu[@]}" --network-size 160x224
expect 0 'wrote 7 parts' "$split" "$tiny" --preset torchvision-maskrcnn --network-size 160x224 -o "$tmp/again"
check 'the newer split is there as if there had been none' diff -r -x notes.txt "$tmp/fresh" "$tmp/again"
check 'what no split wrote stays' grep -qx mine "$tmp/again/notes.txt"
echo '{"damaged' >"$tmp/again/manifest.json"
expect 0 'wrote 2 parts' "$split" "$tiny" --part first=scope:/transform -o "$tmp/again"
check 'a damaged manifest is replaced' grep -q '"name": "first"' "$tmp/again/manifest.json"
check 'what no manifest lists stays' test -e "$tmp/again/box.onnx"

# --- the model lies in the folder itself: it is neither written over nor taken for a leftover
mkdir "$tmp/beside" && "$split" -q "$tiny" --preset torchvision-maskrcnn -o "$tmp/beside" && cp "$tiny" "$tmp/beside/box.onnx" && chmod u+w "$tmp/beside/box.onnx"
cp -r "$tmp/beside" "$tmp/beside-before"
expect 2 'is an input of this command' "$split" "$tmp/beside/box.onnx" --preset torchvision-maskrcnn -o "$tmp/beside"
check 'a model is not written over by its own part' diff -r "$tmp/beside-before" "$tmp/beside"
expect 0 'wrote 2 parts' "$split" "$tmp/beside/box.onnx" --part first=scope:/transform -o "$tmp/beside"
check 'a model that bears an older part'"'"'s name stays' cmp "$tiny" "$tmp/beside/box.onnx"
check 'the other parts of the older split go' test ! -e "$tmp/beside/mask.onnx"

# --- by size, and friendly names
expect 0 'wrote' "$split" "$tiny" --by-size 300K -o "$tmp/sized"
check 'by size there are several parts' test -e "$tmp/sized/part_2.onnx"
expect 0 '' "$split" "$tiny" --preset torchvision-maskrcnn --use-aliases -o "$tmp/aliased"
check 'friendly names are in the parts' grep -q 'features_0' "$tmp/aliased/backbone_rpn.onnx"

# --- refusals: exit 2, the message, nothing written
refuses() {
  local text=$1
  shift
  expect 2 "$text" "$split" "$@" -o "$tmp/refused"
  check "nothing is written when it refuses ($text)" test ! -e "$tmp/refused"
}
refuses "did you mean '/backbone/fpn/extra_blocks/MaxPool_output_0'" "$tiny" --part a=/backbone/fpn/extra_blocks/MaxPol_output_0
refuses "the model has no scope '/backbon' (nearest: /backbone" "$tiny" --part a=scope:/backbon
refuses "part 'b' would get no node" "$tiny" --part a=scope:/rpn/head --part b=scope:/backbone
refuses "which the earlier part 'a' already produces" "$tiny" --part a=/rpn/head/cls_logits/Conv_output_0 \
  --part b=/backbone/fpn/layer_blocks.0/layer_blocks.0.0/Conv_output_0
refuses "the part 'a' is named twice" "$tiny" --part a=scope:/transform --part a=scope:/backbone
refuses "asks for 'boxes' twice" "$tiny" --part a=boxes,boxes
refuses "'rest' can't be a part's name" "$tiny" --part rest=scope:/transform
refuses "it is an input of the model" "$tiny" --part a=image
refuses 'give one of --preset' "$tiny"
refuses 'give only one of' "$tiny" --by-size 1M --part a=boxes
refuses "is not a size" "$tiny" --by-size lots
refuses "no preset is called 'torchvision-maskrcn'; did you mean 'torchvision-maskrcnn'" "$tiny" --preset torchvision-maskrcn
cat >"$tmp/forbids.json" <<'JSON'
{"parts": [{"name": "a", "outputs": ["scope:/roi_heads/box_roi_pool"], "forbid_ops": ["NonMaxSuppression"]}]}
JSON
refuses 'and its plan forbids NonMaxSuppression' "$tiny" --plan "$tmp/forbids.json"
cat >"$tmp/inputs.json" <<'JSON'
{"parts": [{"name": "a", "outputs": ["scope:/transform"]},
           {"name": "b", "outputs": ["scope:/roi_heads/box_roi_pool"], "inputs": ["scope:/transform->/backbone"]}]}
JSON
refuses "that its plan doesn't state: " "$tiny" --plan "$tmp/inputs.json"
echo '{"parts": [{"name": "a", "outputs": ["boxes"], "max_nodes": 3}]}' >"$tmp/few.json"
refuses 'more than the 3 that its plan allows' "$tiny" --plan "$tmp/few.json"
echo '{"parts": [{"name": "a", "outptus": ["boxes"]}]}' >"$tmp/typo.json"
refuses "unknown key 'outptus'; did you mean 'outputs'" "$tiny" --plan "$tmp/typo.json"
refuses "gomai-split: can't open '$tmp/absent.onnx'" "$tmp/absent.onnx" --part a=x

# --- an untyped value at a cut
cat >"$tmp/untyped.onnxtxt" <<'TEXT'
<ir_version: 8, opset_import: ["" : 17, "custom" : 1]>
g (float[2,3] x) => (float[2,3] y) {
  a = custom.Mystery (x)
  b = Relu (a)
  y = Relu (b)
}
TEXT
refuses "the type of 'a', made by #0 (Mystery), is unknown" "$tmp/untyped.onnxtxt" --part first=a
expect 0 'wrote 2 parts' "$split" "$tmp/untyped.onnxtxt" --part first=a --type a:float32 --shape a:2x3 -o "$tmp/typed"

# --- hostile files
head -c 100000 "$tiny" >"$tmp/truncated.onnx"
refuses 'truncated.onnx' "$tmp/truncated.onnx" --part a=boxes
head -c 4096 /dev/urandom >"$tmp/noise.onnx"
refuses 'noise.onnx' "$tmp/noise.onnx" --part a=boxes
: >"$tmp/empty.onnx"
refuses 'empty.onnx' "$tmp/empty.onnx" --part a=boxes

# --- external data: a path that escapes the folder is refused, data that no part needs to open may be absent
cat >"$tmp/escapes.onnxtxt" <<'TEXT'
<ir_version: 8, opset_import: ["" : 17]>
g (float[4] x) => (float[4] y)
<float[4] w = ["location": "../secret.bin", "offset": "0", "length": "16"]> {
  a = Add (x, w)
  y = Relu (a)
}
TEXT
refuses '../secret.bin' "$tmp/escapes.onnxtxt" --part first=a
mkdir "$tmp/stripped" && cp "$source_dir/examples/models/maskrcnn_v2_op13.onnx" "$tmp/stripped/model.onnx"
expect 0 'wrote 7 parts' "$split" "$tmp/stripped/model.onnx" --preset torchvision-maskrcnn -o "$tmp/stripped/parts"

# --- weights by reference: kilobytes, and only in the input's own folder
cp "$tiny" "$tmp/stripped/tiny.onnx"
expect 0 'wrote 7 parts' "$split" "$tmp/stripped/tiny.onnx" --preset torchvision-maskrcnn --weights=reference -o "$tmp/stripped"
check 'a part by reference holds no weights' test "$(stat -c %s "$tmp/stripped/box.onnx")" -lt 20000
refuses 'shared' "$tiny" --preset torchvision-maskrcnn --weights=reference
expect 0 'wrote 7 parts' "$split" "$tiny" --preset torchvision-maskrcnn --weights=shared -o "$tmp/shared"
check 'shared weights lie in one file' test "$(find "$tmp/shared" -name '*.data' | wc -l)" = 1

# --- places that can't be written
expect 2 "can't" "$split" "$tiny" --part a=scope:/transform -o /proc/gomai-parts
echo file >"$tmp/file"
expect 2 "can't make the folder" "$split" "$tiny" --part a=scope:/transform -o "$tmp/file/parts"

# --- a full disk: a limit on file size stops the writing half-way; older parts stay whole
expect 0 '' "$split" "$tiny" --preset torchvision-maskrcnn -o "$tmp/full"
cp -r "$tmp/full" "$tmp/full-before"
limited() { (ulimit -f 256; exec "$split" "$tiny" --part all=boxes -o "$tmp/full"); }
expect 2 "can't write" limited
check 'a failed split leaves the older one whole' diff -r "$tmp/full-before" "$tmp/full"

# --- interrupted at many moments: the older split is whole or the new one is, and no temporary file stays
interrupted=0
for delay in 0.005 0.01 0.015 0.02 0.025 0.03 0.04 0.05; do
  rm -rf "$tmp/stop"; cp -r "$tmp/full" "$tmp/stop"
  if ! timeout -s INT "$delay" "$split" -q "$tiny" --part all=boxes -o "$tmp/stop"; then interrupted=$((interrupted + 1)); fi
  leftovers() { find "$tmp/stop" -name '*.gomai-part' | grep -q .; }
  check "no temporary file after an interrupt at $delay s" eval '! leftovers'
done
check 'at least one of them was interrupted' test "$interrupted" -gt 0

# --- interrupted for certain while a temporary file is there: a pipe that nobody reads holds the tool up
mkfifo "$tmp/pipe.onnx"
"$bin/gomai-opt" -q "$tiny" -o "$tmp/pipe.onnx" -p strip-doc-strings --weights=external &
pid=$!
temporary=$tmp/.pipe.onnx.data.gomai-part
for _ in $(seq 100); do [ -e "$temporary" ] && break; sleep 0.1; done
check 'a temporary file while it waits' test -e "$temporary"
kill -TERM "$pid"
wait "$pid" 2>/dev/null
code=$?
check 'it ends by the signal, as its caller expects' test "$code" = 143
check 'no temporary file after a signal' test ! -e "$temporary"

finish
