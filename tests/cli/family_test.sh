#!/usr/bin/env bash
# Every line of the table in docs/editing.md: its command is run as it stands there, and what came of it is looked at.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$tmp" || exit 1
PATH=$bin:$PATH
"$bin/gomai-opt" -q "$source_dir/tests/cli/family.onnxtxt" -o model.onnx
"$bin/gomai-make" -q Relu -o head.onnx --opset 13 --ir-version 8 --input x:float32:1x4x4x4

# What the result must say: of gomai-diff from model.onnx to out.onnx, or of the command itself if it makes no out.onnx.
declare -A says=(
  ['set an attribute']='attribute kernel_shape [1, 1] -> [3, 3]'
  ['delete an attribute']='attribute alpha 0.1'
  ['set a constant']='half'
  ['set the shape of an output']='[batch, 4, 4, 4]'
  ['extract a subgraph']='- conv (Conv)'
  ['join models']='+ Relu (Relu)'
  ['split by size']='part'
  ['delete a node']='- scale (Mul)'
  ['insert a node']='+ relu (Relu)'
  ['add an output']='+ output "p"'
  ['drop an output']='- output "features"'
  ['rename, exact']='input'
  ['rename, partial']='fEATures'
  ['rename, prefix']='mapures'
  ['rename, suffix']='feature'
  ['let an input read another value']='add (Add): input 0 "s" -> "p"'
  ['open the batch']='[N, 3, 8, 8]'
  ['fix the batch']='[4, 3, 8, 8]'
  ['set the shapes of inputs and outputs']='[1, 3, 16, 16]'
  ['another layout for an input']='[1, 8, 8, 3]'
  ['RGB for BGR']='Gather'
  ['merge equal constants']='same'
  ['write inferred shapes']='+ "r" float32'
  ['run with made-up inputs, timed']='median'
  ['count operators and weights']='LeakyRelu'
  ['convert to another opset']='13 -> 17'
  ['set the IR version']='ir_version 8 -> 9'
  ['name the nodes that lack a name']='Reshape'
  ['erase doc strings']='doc string'
  ['make a model of one operator']='Gemm'
)
lines=0
while IFS='|' read -r _ tool what command _; do
  what=$(sed 's/^ *//;s/ *$//' <<<"$what")
  command=$(sed 's/^ *`//;s/` *$//' <<<"$command")
  lines=$((lines + 1))
  expected=${says[$what]:-}
  [ -n "$expected" ] || { fail "docs/editing.md: no check of '$what' ($tool)"; continue; }
  rm -rf out.onnx parts outputs
  expect 0 '' bash -c "$command"
  if [ -e out.onnx ]; then
    check "$what: ONNX's structure holds" "$bin/gomai-info" out.onnx
    said=$("$bin/gomai-diff" -v model.onnx out.onnx)
  else
    said=$output
  fi
  grep -qF -- "$expected" <<<"$said" || fail "$what: the result doesn't say \"$expected\": $command"$'\n'"$said"
done < <(grep -E '^\| s[a-z]{2}4onnx' "$source_dir/docs/editing.md")
check "the table has its $lines lines" test "$lines" -ge 30
for tool in sam sne snc ssp snd sna soa sod sor svs sbi sio scc scs ssi sit ssc soc sic sng sde sog; do
  check "the table has $tool" grep -q "^| ${tool}4onnx |" "$source_dir/docs/editing.md"
done
check 'four ways to match' test "$(grep -c '^| sor4onnx' "$source_dir/docs/editing.md")" = 4

finish
