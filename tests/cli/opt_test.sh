#!/usr/bin/env bash
# gomai-opt as a user meets it: what it writes and reports, what it refuses with which exit code, and that nothing is
# written then; and the weights of the big example model, made up and taken out again.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
opt=$bin/gomai-opt
stripped=$source_dir/examples/models/maskrcnn_v2_op13.onnx
json() { python3 -c "import json, sys; d = json.load(open(sys.argv[1])); assert $2, $2" "$1"; }

# --- what there is
expect 0 'strip-doc-strings' "$opt" --list-passes
check 'every pass in passes/ is listed' bash -c 'cd "$source_dir/passes" && for f in *.cc; do
  n=${f%.cc}; "$0" --list-passes | grep -q "^${n//_/-} " || exit 1; done' "$opt"
expect 0 'OLD=NEW' "$opt" --help-pass rename
expect 0 'Effect: bit-exact' "$opt" --help-pass prune
expect 2 "there is no pass 'prun'; did you mean 'prune'" "$opt" --help-pass prun
"$opt" --list-passes --json >"$tmp/passes.json"
check '--list-passes as JSON' json "$tmp/passes.json" '{"rename", "prune"} <= {p["name"] for p in d["passes"]}'

# --- an empty pipeline copies, and so does one that finds nothing to do
expect 0 '' "$opt" "$tiny" -o "$tmp/copy.onnx"
check 'an empty pipeline copies' cmp "$tiny" "$tmp/copy.onnx"
expect 0 '' "$opt" "$tiny" -o "$tmp/copy.onnx" -p prune -p strip-doc-strings
check 'a pipeline that changes nothing copies' cmp "$tiny" "$tmp/copy.onnx"
"$opt" - -o - <"$tiny" >"$tmp/piped.onnx"
check 'stdin to stdout' cmp "$tiny" "$tmp/piped.onnx"
"$opt" - -o - -p 'rename{image=input}' <"$tiny" >"$tmp/piped.onnx"
expect 0 '' "$opt" "$tiny" -o "$tmp/renamed.onnx" -p 'rename{image=input}'
check 'the same through a pipe' cmp "$tmp/renamed.onnx" "$tmp/piped.onnx"

# --- what passes changed
pipeline='rename{/backbone/=/encoder/,match=prefix,what=both},expose-outputs{tensors=/encoder/*MaxPool_output_0,match=glob}'
expect 0 'expose-outputs' "$opt" "$tiny" -o "$tmp/out.onnx" -p "$pipeline" --verify-each --timing --report "$tmp/report.json"
check 'a report' json "$tmp/report.json" '[p["pass"].split("{")[0] for p in d["passes"]] == ["rename", "expose-outputs"]'
expect 0 'added output /encoder/' "$opt" "$tiny" -o "$tmp/again.onnx" -p "$pipeline" -v
check 'the same command writes the same bytes' cmp "$tmp/out.onnx" "$tmp/again.onnx"
"$opt" "$tiny" -o "$tmp/again.onnx" -p "$pipeline" --json >"$tmp/out.json" 2>"$tmp/err"
check '--json is one document' json "$tmp/out.json" 'd["exit_code"] == 0 and d["output"].endswith("again.onnx")'
check 'with --json nothing is said on stderr' test ! -s "$tmp/err"
expect 0 'renamed' "$opt" "$tiny" --dry-run -v -p 'rename{image=input}' -o "$tmp/dry.onnx"
check '--dry-run writes nothing' test ! -e "$tmp/dry.onnx"
expect 0 '' "$opt" "$tmp/out.onnx" -o "$tmp/back.onnx" -p 'rename{/encoder/=/backbone/,match=prefix,what=both}'

# --- in place
cp "$tiny" "$tmp/mine.onnx"
expect 2 '--in-place' "$opt" "$tmp/mine.onnx" -o "$tmp/mine.onnx" -p 'rename{image=input}'
check 'an input is not overwritten unasked' cmp "$tiny" "$tmp/mine.onnx"
ln -s mine.onnx "$tmp/link.onnx"
expect 2 '--in-place' "$opt" "$tmp/mine.onnx" -o "$tmp/link.onnx" -p 'rename{image=input}'
expect 0 '' "$opt" "$tmp/mine.onnx" -o "$tmp/mine.onnx" --in-place -p 'rename{image=input}'
check 'in place' cmp "$tmp/renamed.onnx" "$tmp/mine.onnx"
expect 0 '' "$opt" "$tmp/mine.onnx" -o "$tmp/copy.onnx" -p 'rename{input=image}'
check 'an output is overwritten, and a rename undone gives the bytes back' cmp "$tiny" "$tmp/copy.onnx"

# --- refusals: exit code, message, nothing written
refuses() {
  local code=$1 text=$2
  shift 2
  expect "$code" "$text" "$opt" "$@" -o "$tmp/refused.onnx"
  check "nothing is written when it refuses ($text)" test ! -e "$tmp/refused.onnx"
}
refuses 2 "there is no pass 'prun'; did you mean 'prune'" "$tiny" -p prun
refuses 2 "did you mean 'initializers'" "$tiny" -p 'prune{initialisers=false}'
refuses 2 "must be true or false, not 'maybe'" "$tiny" -p 'prune{nodes=maybe}'
refuses 2 "needs the option 'tensors'" "$tiny" -p expose-outputs
refuses 2 "expected '}'" "$tiny" -p 'prune{nodes=false'
refuses 2 "did you mean '/backbone/fpn/extra_blocks/MaxPool_output_0'" "$tiny" -p 'expose-outputs{tensors=/backbone/fpn/extra_blocks/MaxPol_output_0}'
refuses 2 "'boxes' is an output already" "$tiny" -p 'expose-outputs{tensors=boxes}'
refuses 2 'choose another' "$tiny" -p 'rename{image=boxes}'
refuses 2 'no value has a name that' "$tiny" -p 'rename{imag=input}'
refuses 2 'No such file' "$tmp/absent.onnx"
head -c 300000 "$tiny" >"$tmp/short.onnx"
refuses 2 'short.onnx' "$tmp/short.onnx" -p prune
refuses 2 "did you mean '--dry-run'" "$tiny" --dry-rum
expect 2 'where to?' "$opt" "$tiny" -p prune
expect 2 'which model?' "$opt" -p prune
expect 2 '' "$opt" "$tiny" -o "$tmp/no/such/folder/out.onnx"
# a later pass that fails leaves nothing of the earlier ones
refuses 2 "'boxes' is an output already" "$tiny" -p 'rename{image=input},expose-outputs{tensors=boxes}'
cat >"$tmp/text.onnxtxt" <<'ONNX'
<ir_version: 8, opset_import: ["" : 17, "vendor" : 1]>
main (bool c, float[2] x) => (float[2] y)
{
  [first] p = vendor.Mystery(x)
  [choice] y = If (c) <
    then_branch = then_graph () => (float[2] t) { inside = Exp(x) t = Neg(inside) },
    else_branch = else_graph () => (float[2] e) { e = Abs(x) }
  >
}
ONNX
refuses 1 "the type of 'p' of first (Mystery) is unknown" "$tmp/text.onnxtxt" -p 'expose-outputs{tensors=p}'
refuses 2 'choice::then_branch::#0 (Exp) output 0' "$tmp/text.onnxtxt" -p 'expose-outputs{tensors=inside}'
expect 0 'erased node first (Mystery)' "$opt" "$tmp/text.onnxtxt" --dry-run -v -p prune

# --- single edits: what is done, and the exit codes of what isn't
expect 0 'replaced inside by x (1 use)' "$opt" "$tmp/text.onnxtxt" --dry-run -v -p 'delete-node{node=choice::then_branch::#0}'
expect 0 'effect would be approximate' "$opt" "$tmp/text.onnxtxt" --dry-run -p 'delete-node{node=choice::then_branch::#0}'
refuses 2 "no node 'firs'; did you mean 'first'" "$tmp/text.onnxtxt" -p 'delete-node{node=firs}'
refuses 2 'shape' "$tmp/text.onnxtxt" -p 'insert-node{op=ReduceSum,on=inside,name=sum,attr.keepdims=0},delete-node{node=sum}'
echo '<ir_version: 8, opset_import: ["" : 17]> main (float[2] x) => (float[2] y) { [i] y = Identity(x) }' >"$tmp/pass.onnxtxt"
refuses 1 'both keep their names' "$tmp/pass.onnxtxt" -p 'delete-node{node=i}'
refuses 2 "no operator 'Rellu'" "$tmp/text.onnxtxt" -p 'insert-node{op=Rellu,on=inside}'
refuses 2 "no attribute 'axes'; did you mean 'axis'" "$tmp/text.onnxtxt" -p 'insert-node{op=Softmax,on=inside,attr.axes=0}'
for model in "$tiny" "$stripped"; do
  name=$(basename "$model")
  for pass in sort dedupe-initializers name-nodes; do
    expect 0 '' "$opt" "$model" -o "$tmp/$pass-$name" -p "$pass"
    check "$pass has nothing to do" cmp "$model" "$tmp/$pass-$name"
  done
  expect 0 '' "$opt" "$model" -o "$tmp/small-$name" --verify-each -p 'lift-constants,dedupe-initializers,fold-identity,sort'
  expect 0 'none' "$opt" "$tmp/small-$name" --dry-run -p 'lift-constants,dedupe-initializers,fold-identity,sort'
done
"$bin/gomai-verify" "$tiny" "$tmp/small-$(basename "$tiny")" --random=1 --input-shape image:3x128x192 --bits >"$tmp/verify.txt" 2>&1
checks=$((checks + 1))
grep -qE "equal bit for bit|built without ONNX Runtime|library can.t be loaded" "$tmp/verify.txt" || fail "the small passes keep every bit: $(cat "$tmp/verify.txt")"

printf '%s\n' -p 'rename{image=input}' -o "$tmp/response.onnx" >"$tmp/args.txt"
expect 0 '' "$opt" "$tiny" "@$tmp/args.txt"
check 'arguments from a file' cmp "$tmp/renamed.onnx" "$tmp/response.onnx"

# --- weights policies
expect 0 '' "$opt" "$tiny" -o "$tmp/ext.onnx" --weights=external
check 'external weights lie in a file of their own' test -s "$tmp/ext.onnx.data"
expect 0 '' "$opt" "$tmp/ext.onnx" -o "$tmp/inline.onnx" --weights=inline -p 'rename{image=input}'
expect 0 '' "$opt" "$tmp/renamed.onnx" -o "$tmp/inline2.onnx" --weights=inline
check 'inline again, and renamed on the way' test "$(stat -c %s "$tmp/inline.onnx")" = "$(stat -c %s "$tmp/inline2.onnx")"
expect 2 'keep, inline, external, shared' "$opt" "$tiny" -o "$tmp/refused.onnx" --weights=lost

# --- the weights of the big model
digest=1312a8cb61f828fa8da811d901574793e6e6a8fec1c8f5b19d1e86ca32b12dfc
expect 0 "filled 81 initializers, 185212672 bytes, sha256 $digest" "$opt" "$stripped" -o "$tmp/v2.onnx" -p fill-weights -v
check 'the filled model has its weights inside' test "$(stat -c %s "$tmp/v2.onnx")" -gt 185212672
expect 0 '' "$opt" "$tmp/v2.onnx" -o "$tmp/stripped.onnx" -p 'strip-weights{location=maskrcnn_v2_op13.weights}'
check 'stripping what was filled gives the stripped model back' cmp "$stripped" "$tmp/stripped.onnx"
expect 0 '' "$opt" "$tmp/stripped.onnx" -o "$tmp/twice.onnx" -p strip-weights
check 'stripping twice changes nothing' cmp "$tmp/stripped.onnx" "$tmp/twice.onnx"
check 'no data file is written for weights that are not there' test ! -e "$tmp/maskrcnn_v2_op13.weights"
expect 0 'sha256' "$opt" "$stripped" -o "$tmp/seven.onnx" -p 'fill-weights{seed=7}' -v
check 'another seed gives other weights' bash -c '! grep -q "$1" <<<"$2"' _ "$digest" "$output"
expect 0 '' "$opt" "$tmp/seven.onnx" -o "$tmp/seven-stripped.onnx" -p 'strip-weights{seed=7,location=maskrcnn_v2_op13.weights}'
check 'and they are taken out with their seed' cmp "$stripped" "$tmp/seven-stripped.onnx"
rm "$tmp/v2.onnx" "$tmp/seven.onnx"
# the small model has weights of its own: they go, and made-up ones come
expect 0 '' "$opt" "$tiny" -o "$tmp/tiny-stripped.onnx" -p strip-weights
expect 0 'sha256' "$opt" "$tmp/tiny-stripped.onnx" -o "$tmp/tiny-filled.onnx" -p fill-weights -v
expect 2 'stripped.weights' "$opt" "$tmp/tiny-stripped.onnx" -o "$tmp/refused.onnx" --weights=inline
check 'weights that are not there are not made inline' test ! -e "$tmp/refused.onnx"

finish
