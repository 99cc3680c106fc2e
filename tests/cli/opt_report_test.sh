#!/usr/bin/env bash
# What gomai-opt says: tables, changes, reports, warnings, shapes brought up to date; and a disk that is full.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
opt=$bin/gomai-opt
cat >"$tmp/model.onnxtxt" <<'TEXT'
<ir_version: 8, opset_import: ["" : 17]>
main (float[2,3] x) => (float[2,3] y) <float[2,3] a> {
  a = Relu (x)
  dead = Tanh (a)
  y = Sigmoid (a)
}
TEXT

# --- text: one row a pass, every change with -v, times only when asked for
expect 0 'prune  bit-exact        1  3 -> 2' "$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune
expect 0 'erased node #1 (Tanh)' "$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune -v
expect 0 'effect: changes-interface' "$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune -p 'rename{x=input}'
expect 0 ' ms' "$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune --timing
same_text() { test "$("$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune -v)" = "$("$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune -v)"; }
check 'the same input gives the same text' same_text
check '-q is silent' test -z "$("$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune -q 2>&1)"
"$opt" "$tmp/model.onnxtxt" -o - -v -p prune >"$tmp/piped.onnx" 2>/dev/null
check 'with -o - nothing but the model goes to stdout' cmp "$tmp/out.onnx" "$tmp/piped.onnx"
expect 2 'both want stdout' "$opt" "$tiny" -o - --json
expect 0 'wrote' "$opt" "$tiny" -o "$tmp/copy.onnx" -p ''
check 'an empty text is an empty pipeline' cmp "$tiny" "$tmp/copy.onnx"

# --- reports
for report in first second; do
  "$opt" "$tmp/model.onnxtxt" -o "$tmp/out.onnx" -p prune,strip-doc-strings --report "$tmp/$report.json" >/dev/null
done
check 'the same input gives the same report' cmp "$tmp/first.json" "$tmp/second.json"
check 'a report says what changed' grep -q '"erased node #1 (Tanh)"' "$tmp/first.json"
check 'a report says which passes ran' grep -q '"pipeline": "prune,strip-doc-strings"' "$tmp/first.json"
check 'a report holds no times unless asked' bash -c "! grep -q seconds '$tmp/first.json'"

# --- a wrong order is a warning, and is kept; broken structure is refused
graph() { printf '<ir_version: 8, opset_import: ["" : 17]>\nmain (float[2] x) => (float[2] y) { %s }\n' "$1"; }
graph 'y = Relu (a) a = Relu (x)' >"$tmp/order.onnxtxt"
expect 0 'warning: #0 (Relu) input 0 "a": ' "$opt" "$tmp/order.onnxtxt" -o "$tmp/out.onnx" -p prune
graph 'y = Relu (a) a = Relu (y)' >"$tmp/cycle.onnxtxt"
expect 2 "the model's structure is broken: #0 (Relu)" "$opt" "$tmp/cycle.onnxtxt" -o "$tmp/refused.onnx" -p prune
graph 'y = Relu (nowhere)' >"$tmp/dangling.onnxtxt"
expect 2 "the model's structure is broken: #0 (Relu) input 0" "$opt" "$tmp/dangling.onnxtxt" -o "$tmp/refused.onnx"

# --- the shape of a model output was false: exit 1, unless it may change
sed 's/(float\[2,3\] y)/(float[5,3] y)/; s/float\[2,3\] a/float[7,3] a/' "$tmp/model.onnxtxt" >"$tmp/false.onnxtxt"
expect 1 "output 'y' would become float32 2x3 (declared: float32 5x3)" "$opt" "$tmp/false.onnxtxt" -o "$tmp/refused.onnx" -p prune
expect 0 'y: float32 5x3 -> float32 2x3' "$opt" "$tmp/false.onnxtxt" -o "$tmp/out.onnx" -p prune --allow-shape-change
expect 0 'a: float32 7x3 -> float32 2x3' "$opt" "$tmp/false.onnxtxt" -o "$tmp/out.onnx" -p prune --allow-shape-change
check 'nothing was written by any refusal' test ! -e "$tmp/refused.onnx"

# --- a full disk (a limit on file size) leaves the model whole, and nothing beside it
cp "$tiny" "$tmp/full.onnx"
limited() { (ulimit -f 256; exec "$opt" "$tmp/full.onnx" --in-place -p 'rename{image=input}'); }
expect 2 "can't write" limited
check 'a full disk leaves the model whole' cmp "$tiny" "$tmp/full.onnx"
check 'and no temporary file' test "$(find "$tmp" -name '*full.onnx*' | wc -l)" = 1
expect 0 'wrote' "$opt" "$tmp/full.onnx" --in-place -p 'rename{image=input}'
check '--in-place alone replaces the input' grep -q input "$tmp/full.onnx"

finish
