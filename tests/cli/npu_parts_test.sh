# Parts for an NPU from one call of gomai-split: what they hold, that they compute what the model does, and what is refused.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
python=${GOMAI_CACHE_DIR:?}/venv/bin/python
split="$bin/gomai-split"
preset=(--preset torchvision-maskrcnn)
v2=$source_dir/examples/models/maskrcnn_v2_op13.onnx

image() { "$python" "$source_dir/examples/maskrcnn/make_image.py" "$@"; }
# proves FOLDER IMAGE FLAG…: the parts against the whole tiny model.
proves() { local folder=$1 image=$2; shift 2; check "$folder computes what the model does on $image ($*)" "$bin/gomai-verify" "$tiny" "$tmp/$folder" --input "image=$tmp/$image.npy" "$@"; }

image --height 128 --width 192 --seed 1 -o "$tmp/edges-128x192.npy"
image --kind noise --scale 4 --height 128 --width 192 --seed 3 -o "$tmp/none-128x192.npy"  # no detection: the mask part gets no row
image --height 150 --width 201 --seed 2 -o "$tmp/edges-150x201.npy"
image --height 300 --width 200 --seed 3 -o "$tmp/edges-300x200.npy"

# --- the parts for several image sizes
for size in 128x192 150x201 300x200; do
  expect 0 'wrote 7 parts' "$split" "$tiny" "${preset[@]}" --image-size $size -o "$tmp/$size"
  proves $size edges-$size --bits
  check "the NPU parts of $size are plain and fixed" "$python" "$source_dir/examples/maskrcnn/npu_parts.py" table "$bin" "$tmp/$size"
done
proves 128x192 none-128x192 --bits
expect 0 '"size": 60' cat "$tmp/128x192/manifest.json"  # the model keeps 60 proposals and 20 detections
expect 0 '"size": 20' cat "$tmp/128x192/manifest.json"
for part in backbone_rpn box mask; do
  expect 0 'have fixed shapes' "$bin/gomai-info" "$tmp/128x192/$part.onnx" --dynamic
  check "no MaxPool of kernel 1 is left in $part" test "$("$bin/gomai-info" "$tmp/128x192/$part.onnx" --nodes '*' | grep -cE '^[^ ]+ +MaxPool ')" = 0
done
expect 0 'NonMaxSuppression' "$bin/gomai-info" "$tmp/128x192/box_proposal.onnx" --dynamic

# --- the same bytes each time, and the plan that is printed gives them too
"$split" "$tiny" "${preset[@]}" --image-size 128x192 -o "$tmp/again" -q
check "a second split gives the same bytes" diff -r "$tmp/128x192" "$tmp/again"
"$split" "$tiny" "${preset[@]}" --image-size 128x192 --print-plan --json >"$tmp/plan.json"
"$split" "$tiny" --plan "$tmp/plan.json" -o "$tmp/planned" -q
for file in {preprocess,backbone_rpn,box_proposal,box,mask_proposal,mask,rest}.onnx manifest.json preprocess.json run_parts.py; do
  check "the printed plan gives the same $file" cmp "$tmp/128x192/$file" "$tmp/planned/$file"
done
for flags in "--network-size 160x224" "--image-size 150x201 --sizes constants --batching box=7" "--image-size 128x192 --network-input network_image --part-pipeline *=prune"; do
  read -ra flags <<<"$flags"
  rm -rf "$tmp/direct" "$tmp/planned"
  "$split" "$tiny" "${preset[@]}" "${flags[@]}" -o "$tmp/direct" -q
  "$split" "$tiny" "${preset[@]}" "${flags[@]}" --print-plan --json >"$tmp/plan.json"
  "$split" "$tiny" --plan "$tmp/plan.json" -o "$tmp/planned" -q
  check "the printed plan gives the same manifest (${flags[*]})" cmp "$tmp/direct/manifest.json" "$tmp/planned/manifest.json"
  check "the printed plan gives the same files (${flags[*]})" diff -r "$tmp/direct" "$tmp/planned"
done

# --- the tensor that enters the network, named in other ways, and another one
for input in /transform/Concat_8_output_0 network_image 'scope:/transform->/backbone/body'; do
  "$split" "$tiny" "${preset[@]}" --image-size 128x192 --network-input "$input" -o "$tmp/named" -q
  check "$input gives the same parts" diff -r "$tmp/128x192" "$tmp/named"
  rm -rf "$tmp/named"
done
expect 0 'wrote 7 parts' "$split" "$tiny" "${preset[@]}" --image-size 128x192 --network-input /backbone/body/body.0/body.0.0/Conv_output_0 -o "$tmp/later"
proves later edges-128x192 --bits

# --- a plan written by hand, with friendly names by scope
cat >"$tmp/hand.json" <<'JSON'
{"parts": [
  {"name": "before", "outputs": ["scope:/transform"]},
  {"name": "trunk", "device": "npu", "outputs": ["scope:/backbone"], "inputs": ["entry"], "forbid_ops": ["If", "Loop"]},
  {"name": "pool", "outputs": ["scope:/roi_heads/box_roi_pool"]},
  {"name": "box", "device": "npu", "outputs": ["scope:/roi_heads/box_predictor"], "pipeline": "strip-doc-strings"}],
 "aliases": {"entry": "scope:/transform->/backbone", "level_{i}": "scope:/backbone"},
 "network": {"input": "entry", "replaces": ["before"], "pipeline": "fold-constants,lift-constants,fold-identity,prune",
             "part_pipeline": "maxpool-1x1", "batching": {"box": 25}}}
JSON
expect 0 'wrote 5 parts' "$split" "$tiny" --plan "$tmp/hand.json" --image-size 128x192 -o "$tmp/hand"
for part in preprocess trunk pool box rest; do check "the plan's part $part is there" test -s "$tmp/hand/$part.onnx"; done
check "the part that the preprocessing replaces is not" test ! -e "$tmp/hand/before.onnx"
expect 0 '"size": 25' cat "$tmp/hand/manifest.json"
expect 0 '"level_4": "/backbone/fpn/extra_blocks/MaxPool_output_0"' cat "$tmp/hand/manifest.json"
check "only the part that the plan names has its rows fixed" test "$(grep -c '"batching"' "$tmp/hand/manifest.json")" = 1
check "no MaxPool of kernel 1 is left in trunk" test "$("$bin/gomai-info" "$tmp/hand/trunk.onnx" --nodes '*' | grep -cE '^[^ ]+ +MaxPool ')" = 0
proves hand edges-128x192 --bits
proves hand none-128x192 --bits
"$split" "$tiny" --plan "$tmp/hand.json" --image-size 128x192 --network-input /transform/Concat_8_output_0 -o "$tmp/hand-named" -q
check "--network-input names what the plan does" diff -r "$tmp/hand" "$tmp/hand-named"
expect 0 'wrote 5 parts' "$split" "$tiny" --plan "$tmp/hand.json" -o "$tmp/hand-open"  # without a size: the network's entry says nothing
check "without a size the part before the network stays" test -s "$tmp/hand-open/before.onnx"
check "without a size no preprocessing comes off" test ! -e "$tmp/hand-open/preprocess.onnx"
check "without a size no rows are fixed" test "$(grep -c '"batching"' "$tmp/hand-open/manifest.json")" = 0
proves hand-open edges-150x201 --bits
sed 's/"replaces": \["before"\]/"replaces": ["befor"]/' "$tmp/hand.json" >"$tmp/typo.json"
expect 2 "network.replaces names the part 'befor', which the plan doesn't have; did you mean 'before'?" "$split" "$tiny" --plan "$tmp/typo.json" -o "$tmp/x"

# --- over an older split: nothing of that stays
"$split" "$tiny" "${preset[@]}" --image-size 128x192 -o "$tmp/over" -q
echo '{"mine": 1}' >"$tmp/over/box.json"
expect 0 'wrote 7 parts' "$split" "$tiny" "${preset[@]}" -o "$tmp/over"
proves over edges-150x201 --bits
check "the older split's description of its preprocessing is gone, a file of the user's isn't" test ! -e "$tmp/over/preprocess.json" -a -e "$tmp/over/box.json"
expect 0 'wrote 7 parts' "$split" "$tiny" "${preset[@]}" --image-size 128x192 -o "$tmp/over"
rm "$tmp/over/box.json"
check "and back" diff -r "$tmp/128x192" "$tmp/over"

# --- rows, one at a time and some at a time
for rows in 1 7 1000; do
  "$split" "$tiny" "${preset[@]}" --image-size 128x192 --batching box=$rows --batching mask=$rows -o "$tmp/rows-$rows" -q
  how=(--bits)
  [ $rows != 1 ] || how=(--rtol 1e-5 --atol 1e-5)
  proves rows-$rows edges-128x192 "${how[@]}"
  proves rows-$rows none-128x192 "${how[@]}"
done
expect 1 "part 'box' takes 7 rows at a time" "$bin/gomai-merge" "$tmp/rows-7" -o "$tmp/merged.onnx"
"$split" "$tiny" "${preset[@]}" --batching box=limit -o "$tmp/only-box" -q  # without a size: nothing else changes
proves only-box edges-150x201 --bits

"$split" "$tiny" "${preset[@]}" --image-size 128x192 --digest=full -o "$tmp/digests" -q
check "all seven files have full digests" test "$(grep -c '"file_digest"' "$tmp/digests/manifest.json")" = 7

# --- constants for sizes; friendly names
"$split" "$tiny" "${preset[@]}" --image-size 128x192 --sizes constants -o "$tmp/constants" -q
proves constants edges-128x192 --bits
"$split" "$tiny" "${preset[@]}" --image-size 128x192 --use-aliases -o "$tmp/aliases" -q
proves aliases edges-128x192 --bits

# --- a network of fixed size: against what follows the preprocessing, which is fed like it
expect 0 '' "$split" "$tiny" "${preset[@]}" --network-size 160x224 -o "$tmp/network" -q
"$bin/gomai-opt" "$tiny" -o "$tmp/network.onnx" -q -p 'strip-preprocess{at=scope:/transform->/backbone}'
image --height 160 --width 224 --seed 1 -o "$tmp/edges-160x224.npy"
mapfile -t feeds < <("$python" "$source_dir/examples/maskrcnn/npu_parts.py" feeds "$tmp/network" "$tmp/edges-160x224.npy")
expect 0 '35 of 35 tensors' "$bin/gomai-verify" "$tmp/network.onnx" "$tmp/network" "${feeds[@]}" --bits
expect 0 '35 of 35 tensors' "$bin/gomai-verify" "$tmp/network.onnx" "$tmp/network" "${feeds[@]}" --bits --isolated
expect 0 'boxes' "$bin/gomai-run" "$tmp/network" "${feeds[@]}"
expect 0 'boxes' "$bin/gomai-run" "$tmp/network" "${feeds[@]/\/transform\/Concat_8_output_0=/network_image=}"
expect 2 "no input 'nonsense'" "$bin/gomai-run" "$tmp/network" "${feeds[@]}" --input "nonsense=$tmp/edges-128x192.npy"

# --- the large model without its weights: nothing of this needs them
expect 0 'wrote 7 parts' "$split" "$v2" "${preset[@]}" --image-size 544x960 -o "$tmp/large" --weights=keep
expect 0 'all 165 values have fixed shapes' "$bin/gomai-info" "$tmp/large/backbone_rpn.onnx" --dynamic
expect 0 '1000 x 256 x 7 x 7' "$bin/gomai-info" "$tmp/large/box.onnx"
expect 0 '100 x 256 x 14 x 14' "$bin/gomai-info" "$tmp/large/mask.onnx"

# --- pipelines of parts
expect 2 "which the plan doesn't have" "$split" "$tiny" "${preset[@]}" --part-pipeline boxx=prune -o "$tmp/x"
expect 2 "did you mean 'prune'" "$split" "$tiny" "${preset[@]}" --part-pipeline box=prunes -o "$tmp/x"
expect 1 "parts must fit together" "$split" "$tiny" "${preset[@]}" --part-pipeline 'box=rename{/roi_heads/box_predictor/cls_score/Gemm_output_0=scores_}' -o "$tmp/x"
expect 0 '' "$split" "$tiny" "${preset[@]}" --part-pipeline 'box_proposal=fold-constants,prune' --pipeline fold-identity -o "$tmp/piped" -q
proves piped edges-150x201 --bits
expect 0 '' "$bin/gomai-merge" "$tmp/piped" -o "$tmp/merged.onnx" -q
check "merged, edited parts still compute it" "$bin/gomai-verify" "$tiny" "$tmp/merged.onnx" --input "image=$tmp/edges-150x201.npy" --bits

# --- what is refused, and leaves nothing
expect 2 'give --image-size HxW or --network-size HxW' "$split" "$tiny" "${preset[@]}" --sizes constants -o "$tmp/x"
expect 2 'which tensor enters the network' "$split" "$tiny" --part first=/transform/Concat_8_output_0 --image-size 128x192 -o "$tmp/x"
expect 2 'must be HxW' "$split" "$tiny" "${preset[@]}" --image-size large -o "$tmp/x"
expect 2 "not '128x192,sizes=constants'" "$split" "$tiny" "${preset[@]}" --image-size 128x192,sizes=constants -o "$tmp/x"
expect 2 '--network-input needs a size' "$split" "$tiny" "${preset[@]}" --network-input /transform/Concat_8_output_0 -o "$tmp/x"
expect 2 "did you mean '/transform/Concat_8_output_0'" "$split" "$tiny" "${preset[@]}" --image-size 128x192 --network-input /transform/Concat_8_output -o "$tmp/x"
expect 2 "stands for 3 tensors; name one" "$split" "$tiny" "${preset[@]}" --image-size 128x192 --network-input scope:/transform -o "$tmp/x"
stripped() { echo "strip-preprocess{at=\"scope:/transform->/backbone\",image-size=128x192,name=$1}"; }
for name in input manifest; do
  expect 2 "the pipeline writes '$name.onnx', which can't be a part's file" "$split" "$tiny" --part first=scope:/backbone --pipeline "$(stripped $name)" -o "$tmp/x"
done
for name in .. deep/stem ''; do
  expect 2 "'$name' is no name for a file" "$split" "$tiny" --part first=scope:/backbone --pipeline "$(stripped "$name")" -o "$tmp/x"
done
expect 2 'is no number of rows' "$split" "$tiny" "${preset[@]}" --batching box=0 -o "$tmp/x"
expect 2 'out of range' "$split" "$tiny" "${preset[@]}" --batching box=9223372036854775807 -o "$tmp/x"
expect 2 'no input of it has an open first axis' "$split" "$tiny" "${preset[@]}" --image-size 128x192 --batching backbone_rpn=4 -o "$tmp/x"
expect 2 'nothing in the model limits' "$split" "$tiny" "${preset[@]}" --batching preprocess=limit -o "$tmp/x"
check "nothing is left of what was refused" test ! -e "$tmp/x"
finish
