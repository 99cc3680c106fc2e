#!/usr/bin/env bash
# gomai-edit as a user meets it: the command line of the MaxPool edit as people have it in their scripts, on the float and
# on the quantised part; and what the one-operation tools get wrong.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
edit=$bin/gomai-edit
cd "$tmp" || exit 1
"$bin/gomai-split" -q "$tiny" --preset torchvision-maskrcnn -o parts || fail 'no parts'
part=parts/backbone_rpn.onnx
pool=/backbone/fpn/extra_blocks/MaxPool
python=${GOMAI_CACHE_DIR:?}/venv/bin/python
input=$("$python" -c 'import json; print(next(p["inputs"][0]["name"] for p in json.load(open("parts/manifest.json"))["parts"] if p["name"] == "backbone_rpn"))')
size=(--random --input-shape "$input:1x3x128x160")

# --- the MaxPool of kernel 1, as scripts for sam4onnx have it; long and short flags, in any order
maxpool_edit() {  # maxpool_edit FILE
  mkdir -p model
  cp "$1" model/maskrcnn_backbone_rpn_quant.onnx
  expect 0 'values change' "$edit" -if model/maskrcnn_backbone_rpn_quant.onnx -of model/edited.onnx -on $pool \
    --attributes kernel_shape int64 [3,3] --attributes pads int64 [1,1,1,1]
  check 'the warning names the pass that keeps the values' grep -qF "maxpool-1x1{node=$pool}" <<<"$output"
  expect 1 'kernel_shape [1, 1] -> [3, 3]' "$bin/gomai-diff" "$1" model/edited.onnx
  check 'two attributes and nothing else' grep -q '^2 differences' <<<"$output"
  expect 0 '' "$edit" --attributes pads int64 [1,1,1,1] -a kernel_shape int64 [3,3] --op_name $pool \
    --output_onnx_file_path model/again.onnx --input_onnx_file_path "$1" -n
  check 'the same in another order and spelling' cmp model/edited.onnx model/again.onnx
  expect 0 '' "$edit" "$1" -o model/own.onnx -q --node $pool --attr kernel_shape=3,3 --attr pads=1,1,1,1
  check 'and by our own flags' cmp model/edited.onnx model/own.onnx
  expect 1 'differ' "$bin/gomai-verify" "$1" model/edited.onnx "${size[@]}"
  expect 0 '' "$bin/gomai-opt" -q "$1" -o model/kept.onnx -p "maxpool-1x1{node=$pool}"
  expect 0 'equal' "$bin/gomai-verify" "$1" model/kept.onnx "${size[@]}"
}
maxpool_edit $part
if "$python" -c 'import onnxruntime.quantization' 2>/dev/null; then
  for type in uint8 int8; do
    expect 0 '' "$python" -W ignore "$source_dir/tests/support/quantise.py" $part quantised_$type.onnx $type 1x3x128x160
    check "quantised to $type" grep -q DequantizeLinear <<<"$("$bin/gomai-info" quantised_$type.onnx)"
    maxpool_edit quantised_$type.onnx
  done
else
  fail 'no quantiser: cmake/bootstrap.sh sets up the Python packages that it needs'
fi

# --- what sam4onnx gets wrong
"$bin/gomai-opt" -q "$source_dir/tests/cli/family.onnxtxt" -o m.onnx
expect 0 'set-attributes{node=leaky,delete=alpha}' "$edit" -if m.onnx -of out.onnx -on leaky -da alpha -v
expect 0 '' "$edit" -if m.onnx -of out.onnx -on leaky -da alpha
expect 1 'attribute alpha' "$bin/gomai-diff" m.onnx out.onnx
expect 0 '' "$edit" -if m.onnx -of out.onnx -os y '[1,4,4,?]'
expect 2 "is a float, not int64" "$edit" -if m.onnx -of none.onnx -on leaky -a alpha int64 1
expect 0 '' "$edit" -if m.onnx -of out.onnx -on leaky -a alpha float32 1
expect 2 "has no attribute 'alhpa'; did you mean 'alpha'" "$edit" -if m.onnx -of none.onnx -on leaky -a alhpa float32 1
expect 2 "must be a float32 number" "$edit" -if m.onnx -of none.onnx -on leaky -a alpha float32 '[0.5,-inf]'
expect 0 '' "$edit" -if m.onnx -of out.onnx -on leaky -a alpha float32 -inf
expect 2 "no node 'leeky'; did you mean 'leaky'" "$edit" -if m.onnx -of none.onnx -on leeky -a alpha float32 1
expect 0 '' "$edit" m.onnx -o shared.onnx --node scale --rewire 1=same --force --allow-shape-change
expect 2 'is read by #4 (Reshape) too' "$edit" shared.onnx -o none.onnx --node scale --const 'same=[1,1,1,1]'
expect 0 '' "$edit" shared.onnx -o out.onnx --node scale --const 'same=[1,1,1,1]' --this-use-only
expect 1 'same_own' "$bin/gomai-diff" shared.onnx out.onnx
expect 2 "'0.5' is no int64" "$edit" m.onnx -o none.onnx --const 'shape=[0.5,4,1,1]'
expect 2 "can't become" "$edit" m.onnx -o none.onnx --const 'shape=[2,4,1,1]'
expect 0 '' "$edit" -if m.onnx -of out.onnx -ic half float32 0.25
expect 2 'NAME DTYPE VALUE' "$edit" -if m.onnx -of none.onnx -on leaky -a alpha float32

# --- a node in the body of an If, by its address
body=$("$bin/gomai-info" "$tiny" --nodes '*then_branch::*' | grep -oE '^ *[^ ]*::then_branch::[^ ]*' | head -n 1 | tr -d ' ')
check 'a node in a body has an address' test -n "$body"
expect 2 'has no attribute' "$edit" "$tiny" -o none.onnx --node "$body" --attr nothing=1

# --- edits in order, and what doesn't fit together
expect 0 'reassociates' "$edit" m.onnx -o out.onnx --delete-node scale --rename image=input --match exact --opset 17 --drop-output features --dry-run -v
expect 0 '' "$edit" m.onnx -o out.onnx --delete-node scale --rename image=input --opset 17 --drop-output features
expect 1 'features' "$bin/gomai-diff" m.onnx out.onnx
check 'two nodes, each with its own attributes' "$edit" m.onnx -o out.onnx --node leaky --attr alpha=0.5 --node pool --attr dilations=1,1
expect 2 'of which node' "$edit" m.onnx -o none.onnx --attr alpha=1
expect 2 'what of the node' "$edit" m.onnx -o none.onnx --node leaky
expect 2 'which edit' "$edit" m.onnx -o none.onnx
expect 2 'must stand behind' "$edit" m.onnx -o none.onnx --keep-input 0 --delete-node scale
expect 2 'which model' "$edit" -o none.onnx --batch 1
expect 2 'where to' "$edit" m.onnx --batch 1
expect 2 'a model needs an output' "$edit" m.onnx -o none.onnx --drop-output features --drop-output y
expect 1 'allow-shape-change' "$edit" m.onnx -o none.onnx --node pool --attr strides=1,1
expect 0 '' "$edit" m.onnx -o out.onnx --node pool --attr strides=1,1 --allow-shape-change
expect 2 'in-place' "$edit" m.onnx -o m.onnx --node leaky --attr alpha=1
expect 0 '"pipeline"' "$edit" m.onnx -o out.onnx --node leaky --attr alpha=0.2 --json
pipeline=$("$python" -c 'import json,sys; print(json.load(sys.stdin)["pipeline"])' <<<"$output")
expect 0 '' "$bin/gomai-opt" -q m.onnx -o same.onnx -p "$pipeline"
check 'the pipeline that --json tells does the same' cmp out.onnx same.onnx
check 'nothing is written by what was refused' test ! -e none.onnx

# --- a model of one operator
expect 2 "no operator 'Clpi' at opset 17; did you mean 'Clip'" "$bin/gomai-make" Clpi -o none.onnx --input x:float32:2
expect 2 'takes 2 inputs' "$bin/gomai-make" Add -o none.onnx --input x:float32:2
expect 2 "can't be string" "$bin/gomai-make" Relu -o none.onnx --input x:string:2
expect 2 'needs the attribute' "$bin/gomai-make" Cast -o none.onnx --input x:float32:2
expect 2 'must begin with NAME:DTYPE' "$bin/gomai-make" Relu -o none.onnx --input x:flaot32:2
expect 0 'results: s int64 1' "$bin/gomai-make" Shape -o shape.onnx --input x:float32:2 --output s
expect 0 'results: y float32 1x4x8x8' "$bin/gomai-make" Conv -o conv.onnx --input x:float32:1x3x8x8 --random w:float32:4x3x3x3 --attr pads=1,1,1,1
expect 0 '' "$bin/gomai-run" -q conv.onnx --random -o outputs
check 'it runs' test -s outputs/y.npy

finish
