# gomai-info: every view, its JSON, and what it does with broken, odd and absent files.
. "$(dirname "$0")/lib.sh"
info=$bin/gomai-info
stripped=$source_dir/examples/models/maskrcnn_v2_op13.onnx

# The views of a sound model.
expect 0 "2,377 nodes, besides 75 in 22 If bodies and 160 in 1 Loop body" "$info" "$stripped"
expect 0 "IR 7, opset ai.onnx 13; written by pytorch 1.13" "$info" "$stripped"
expect 0 "185 MB in maskrcnn_v2_op13.weights" "$info" "$stripped"
expect 0 "3 x height x width" "$info" "$tiny"
expect 0 "/row + ?, of 47 nodes of open shape" "$info" "$tiny"
[ "$("$info" "$tiny" | wc -l)" -le 40 ] || fail "the summary doesn't fit a screen"
[ "$("$info" "$stripped" --scopes | wc -l)" -le 45 ] || fail "the scopes don't fit a screen"
[ "$("$info" "$stripped" --dynamic | wc -l)" -le 45 ] || fail "the causes don't fit a screen"
expect 0 "/roi_heads/box_roi_pool" "$info" "$tiny" --scopes
expect 0 "height, width are open" "$info" "$tiny" --dynamic
expect 0 "/rpn/NonZero (NonZero)" "$info" "$tiny" --dynamic
expect 0 "1 node of 2,577" "$info" "$tiny" --nodes /backbone/fpn/extra_blocks/MaxPool
expect 0 "kernel_shape=[1, 1]" "$info" "$tiny" --nodes '*MaxPool'
expect 0 "2,577 nodes of 2,577" "$info" "$tiny" --nodes
expect 0 "(in its bodies)" "$info" "$tiny" --nodes 'If_*' -v
expect 0 "? x 4" "$info" "$tiny" --tensors /roi_heads/box_roi_pool/Concat_output_0
expect 0 "(standard input)" "$info" - <"$tiny"
expect 2 "did you mean '/backbone/fpn/extra_blocks/MaxPool'" "$info" "$tiny" --nodes /backbone/fpn/extra_blocks/MaxPol
expect 2 "no tensor's name fits 'nope*'" "$info" "$tiny" --tensors 'nope*'

# JSON: one document, and nothing else on stdout.
json() { "$info" "$@" --json 2>/dev/null | python3 -c "import json, sys; d = json.load(sys.stdin); $query"; }
query='assert d["summary"]["nodes"] == 2377 and d["summary"]["body_nodes"] == 235 and d["sound"]'
check "the summary as JSON" json "$stripped"
query='assert d["summary"]["inputs"] == [{"name": "image", "dtype": "float32", "shape": [3, "height", "width"]}]'
check "inputs as JSON" json "$tiny"
query='assert d["summary"]["macs"]["unknown_nodes"] == 47 and d["summary"]["macs"]["per_row"] > 4e6'
check "multiply-accumulates as JSON" json "$tiny"
query='assert len(d["nodes"]) == 2577 and len(d["scopes"]["scopes"]) > 50 and d["dynamic"]["causes"] and d["tensors"]'
check "all views at once" json "$tiny" --nodes --tensors --dynamic --scopes

# What an address shows can be pasted back.
address=$("$info" "$tiny" --nodes 'Loop_*::body::*' | sed -n 3p | cut -d' ' -f1)
expect 0 "1 node of" "$info" "$tiny" --nodes "$address"

# Broken structure: every fault, exit 1; a wrong order and unknown operators are warnings.
cat >"$tmp/broken.onnxtxt" <<'END'
<ir_version: 8, opset_import: ["" : 17]>
g (float[N] x) => (float[N] y, float[N] z) { [p] y = Add(x, nowhere)  [q] a = Neg(b)  [r] b = Neg(a) }
END
expect 1 'p (Add) input 1 "nowhere": is defined nowhere' "$info" "$tmp/broken.onnxtxt"
expect 1 'main graph output 1 "z": is defined nowhere' "$info" "$tmp/broken.onnxtxt"
expect 1 'q (Neg): needs its own output, in a cycle of q (Neg), r (Neg)' "$info" "$tmp/broken.onnxtxt"
expect 1 "3 nodes" "$info" "$tmp/broken.onnxtxt"
expect 1 "--dynamic is left out" "$info" "$tmp/broken.onnxtxt" --dynamic
query='assert not d["sound"] and len(d["diagnostics"]) == 3'
"$info" "$tmp/broken.onnxtxt" --json >"$tmp/broken.json" 2>/dev/null
check "faults as JSON" python3 -c "import json, sys; d = json.load(open('$tmp/broken.json')); $query"
cat >"$tmp/odd.onnxtxt" <<'END'
<ir_version: 8, opset_import: ["" : 17, "vendor" : 1]>
g (float[N] x) => (float[N] y) { [late] y = vendor.Op(a)  [early] a = Neg(x) }
END
expect 0 'late (Op) input 0 "a": is read before early (Neg) makes it' "$info" "$tmp/odd.onnxtxt"
expect 0 "ONNX's schemas don't know vendor.Op" "$info" "$tmp/odd.onnxtxt"

# Trouble.
expect 2 "No such file" "$info" "$tmp/absent.onnx"
head -c 100000 "$tiny" >"$tmp/cut.onnx"
expect 2 "" "$info" "$tmp/cut.onnx"
expect 2 "did you mean '--nodes'" "$info" "$tiny" --nodez

finish
