# gomai-diff: what it says, its exit codes and JSON, what may be ignored, storage, time and memory.
. "$(dirname "$0")/lib.sh"
diff=$bin/gomai-diff
opt=$bin/gomai-opt
stripped=$source_dir/examples/models/maskrcnn_v2_op13.onnx

# Equal: the same file, a copy, another storage.
expect 0 "equal" "$diff" "$tiny" "$tiny"
cp "$tiny" "$tmp/copy.onnx"
expect 0 "equal" "$diff" "$tiny" "$tmp/copy.onnx"
expect 0 "equal" "$diff" - "$tiny" <"$tmp/copy.onnx"
"$opt" "$tiny" -o "$tmp/external.onnx" -p '' --weights external -q || fail "gomai-opt can't write external weights"
expect 0 "equal" "$diff" "$tiny" "$tmp/external.onnx"
[ "$output" = equal ] || fail "storage is said without -v: $output"
expect 0 "tensors stored otherwise" "$diff" "$tiny" "$tmp/external.onnx" -v
expect 0 "raw_data -> external, 'external.onnx.data' at " "$diff" "$tiny" "$tmp/external.onnx" -v
cp "$stripped" "$tmp/stripped.onnx"
expect 0 "equal" "$diff" "$stripped" "$stripped"
expect 2 "'maskrcnn_v2_op13.weights' is not in" "$diff" "$stripped" "$tmp/stripped.onnx"
expect 0 "equal (weights aside)" "$diff" "$stripped" "$tmp/stripped.onnx" --ignore weights

# One byte of one weight.
mkdir "$tmp/changed" && cp "$tmp/external.onnx" "$tmp/external.onnx.data" "$tmp/changed"
printf '\101' | dd of="$tmp/changed/external.onnx.data" bs=1 seek=70003 conv=notrunc 2>/dev/null
expect 1 "1 of " "$diff" "$tiny" "$tmp/changed/external.onnx"
grep -q "^1 difference: 1 in weights; 2,577 nodes matched$" <<<"$output" || fail "the summary of one changed byte: $output"
grep -qE 'values, first at \[[0-9, ]+\]: .* -> .*; sha256 [0-9a-f]{12} -> [0-9a-f]{12}$' <<<"$output" || fail "a changed weight's line: $output"

# What an edit changed.
"$opt" "$tiny" -o "$tmp/renamed.onnx" -p 'rename{/backbone/=/b/,match=prefix,what=both}' -q || fail "gomai-opt can't rename"
expect 1 "--ignore names matches renamed ones too" "$diff" "$tiny" "$tmp/renamed.onnx"
expect 1 "more (-v shows all)" "$diff" "$tiny" "$tmp/renamed.onnx"
lines=$("$diff" "$tiny" "$tmp/renamed.onnx" -v | wc -l)
[ "$lines" -gt 300 ] || fail "-v shows $lines lines, not all"
expect 0 "equal (names aside)" "$diff" "$tiny" "$tmp/renamed.onnx" --ignore names
"$opt" "$tiny" -o "$tmp/exposed.onnx" -p 'expose-outputs{tensors=/backbone/fpn/extra_blocks/MaxPool_output_0}' -q || fail "gomai-opt can't expose"
expect 1 '+ output "/backbone/fpn/extra_blocks/MaxPool_output_0" float32' "$diff" "$tiny" "$tmp/exposed.onnx"
expect 1 '- output "/backbone/fpn/extra_blocks/MaxPool_output_0" float32' "$diff" "$tmp/exposed.onnx" "$tiny"

cat >"$tmp/a.onnxtxt" <<'END'
<ir_version: 8, opset_import: ["" : 17], producer_name: "one", doc_string: "said">
g (float[N] x, bool c) => (float[N] y) {
  [pool] a = LeakyRelu <alpha = 0.5> (x)
  [either] y = If(c) < then_branch = t () => (float[N] o) { [inner] o = Neg(a) }, else_branch = e () => (float[N] p) { p = Abs(a) } >
}
END
sed -e 's/alpha = 0.5/alpha = 0.25/; s/Neg(a)/Exp(a)/; s/one/two/; s/float\[N\] x/float[4] x/' "$tmp/a.onnxtxt" >"$tmp/b.onnxtxt"
cat >"$tmp/expected" <<'END'
model
  ~ producer_name "one" -> "two"
inputs and outputs
  ~ input "x": type float32 [N] -> float32 [4]
nodes, main graph
  ~ pool (LeakyRelu): attribute alpha 0.5 -> 0.25
nodes, either::then_branch
  ~ either::then_branch::inner (Neg): op type Neg -> Exp
4 differences: 1 in the model, 1 in inputs and outputs, 2 in nodes; 4 nodes matched
END
"$diff" "$tmp/a.onnxtxt" "$tmp/b.onnxtxt" >"$tmp/said"
check "the report, word for word" cmp "$tmp/expected" "$tmp/said"
expect 1 "" "$diff" "$tmp/a.onnxtxt" "$tmp/b.onnxtxt" -q
[ -z "$output" ] || fail "-q isn't quiet: $output"

sed -e 's/said/unsaid/' "$tmp/a.onnxtxt" >"$tmp/doc.onnxtxt"
expect 1 'doc string "said" -> "unsaid"' "$diff" "$tmp/a.onnxtxt" "$tmp/doc.onnxtxt"
expect 0 "equal (docs aside)" "$diff" "$tmp/a.onnxtxt" "$tmp/doc.onnxtxt" --ignore docs
expect 0 "equal (names, docs, order aside)" "$diff" "$tmp/a.onnxtxt" "$tmp/doc.onnxtxt" --ignore names,docs --ignore order

# JSON: one document with every difference.
json() { "$diff" "$@" --json 2>/dev/null | python3 -c "import json, sys; d = json.load(sys.stdin); $query"; }
query='assert not d["equal"] and d["exit_code"] == 1 and len(d["differences"]) == 4 and d["counts"]["nodes"] == 2
assert d["differences"][2] == {"section": "nodes", "kind": "changed", "scope": "main graph", "where": "pool (LeakyRelu)", "what": "attribute alpha", "before": "0.5", "after": "0.25"}'
check "differences as JSON" json "$tmp/a.onnxtxt" "$tmp/b.onnxtxt"
query='assert len(d["differences"]) > 300 and d["nodes_matched"] < 2577'
check "JSON isn't cut" json "$tiny" "$tmp/renamed.onnx"
query='assert d["equal"] and d["exit_code"] == 0 and not d["differences"] and d["storage"] and d["ignored"] == ["names"]'
check "equality as JSON" json "$tiny" "$tmp/external.onnx" --ignore names
query='w, = d["differences"]; assert w["digest_before"].startswith("sha256:") and w["digest_before"] != w["digest_after"]'
check "digests as JSON" json "$tiny" "$tmp/changed/external.onnx"
check "the same bytes every time" cmp <("$diff" "$tiny" "$tmp/renamed.onnx" --json) <("$diff" "$tiny" "$tmp/renamed.onnx" --json)

# Trouble.
expect 2 "did you mean 'order'" "$diff" "$tiny" "$tiny" --ignore names,orders
expect 2 "No such file" "$diff" "$tiny" "$tmp/absent.onnx"
expect 2 "both models can't come from stdin" "$diff" - - </dev/null
head -c 100000 "$tiny" >"$tmp/cut.onnx"
expect 2 "not a well-formed ONNX model" "$diff" "$tmp/cut.onnx" "$tiny"
expect 2 "not a well-formed ONNX model" "$diff" "$tmp/cut.onnx" "$tmp/cut.onnx"
expect 2 "did you mean '--ignore'" "$diff" "$tiny" "$tiny" --ignor names

# Broken graphs can be compared too.
cat >"$tmp/broken.onnxtxt" <<'END'
<ir_version: 8, opset_import: ["" : 17]>
g (float[N] x) => (float[N] y, float[N] z) { [p] y = Add(x, nowhere)  [q] a = Neg(b)  [r] b = Neg(a)  [s] a = Abs(x) }
END
expect 0 "equal" "$diff" "$tmp/broken.onnxtxt" "$tmp/broken.onnxtxt"
expect 0 "equal" "$diff" "$tmp/broken.onnxtxt" "$tmp/broken.onnxtxt" --ignore names,order

# 100,000 nodes: each way of matching within seconds, though a sanitizer or a busy machine may slow it down tenfold.
python3 - "$tmp" <<'END'
import sys
folder = sys.argv[1]
def write(path, prefix, changed):
    ops = ("Relu", "Neg", "Sigmoid")
    with open(path, "w") as f:
        f.write('<ir_version: 8, opset_import: ["" : 17]>\ng (float[N] x) => (float[N] y) {\n')
        before = "x"
        for i in range(100000):
            op = "Abs" if i == changed else ops[i % 3]
            f.write(f"[{prefix}n{i}] {prefix}{i} = {op}({before})\n")
            before = f"{prefix}{i}"
        f.write(f"y = Identity({before})\n}}\n")
write(folder + "/long_a.onnxtxt", "a", -1)
write(folder + "/long_b.onnxtxt", "b", 50000)
END
for name in a b; do "$opt" "$tmp/long_$name.onnxtxt" -o "$tmp/long_$name.onnx" -p '' -q || fail "can't make long_$name.onnx"; done
expect 1 "an50000 (Sigmoid): op type Sigmoid -> Abs" timeout 20 "$diff" "$tmp/long_a.onnx" "$tmp/long_b.onnx" --ignore names
expect 1 "1 difference (names aside): 1 in nodes; 100,001 nodes matched" timeout 20 "$diff" "$tmp/long_a.onnx" "$tmp/long_b.onnx" --ignore names
expect 1 "matches renamed ones too" timeout 20 "$diff" "$tmp/long_a.onnx" "$tmp/long_b.onnx"

# Weights are streamed: a model of 400 MB (sparse file) that differs in one byte, in a fraction of that.
python3 - "$tmp" <<'END'
import os, struct, sys
def varint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80]); n >>= 7
    return out + bytes([n])
def field(number, data): return varint(number << 3 | 2) + varint(len(data)) + data
size = 400 << 20
head = b"\x08" + varint(size // 4) + b"\x10\x01" + field(8, b"w")   # dims, float, name
tensor_length = len(head) + 1 + len(varint(size)) + size
def value_info(name): return field(1, name) + field(2, field(1, b"\x08\x01" + field(2, field(1, b"\x08" + varint(size // 4)))))
node = field(1, b"x") + field(1, b"w") + field(2, b"y") + field(4, b"Add")
graph = field(1, node) + field(2, b"g") + field(11, value_info(b"x")) + field(12, value_info(b"y"))
graph_length = len(graph) + 1 + len(varint(tensor_length)) + tensor_length
start = b"\x08\x08" + field(8, b"\x0a\x00\x10\x11") + b"\x3a" + varint(graph_length) + graph + b"\x2a" + varint(tensor_length) + head + b"\x4a" + varint(size)
for name, byte in (("big_a", 0), ("big_b", 1)):
    with open(os.path.join(sys.argv[1], name + ".onnx"), "wb") as f:
        f.write(start)
        f.truncate(len(start) + size)
        f.seek(len(start) + (300 << 20))
        f.write(bytes([byte]))
END
check "big files" test "$(stat -c %s "$tmp/big_a.onnx")" -gt 400000000
memory() {
  python3 -c 'import resource, subprocess, sys
code = subprocess.run(sys.argv[2:], stdout=subprocess.DEVNULL).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
print(f"exit {code}, {peak} MiB")
sys.exit(code != int(sys.argv[1]) or peak >= 64)' "$@"
}
expect 1 "1 of 104857600 values, first at [78643200]: 0 -> 1e-45" "$diff" "$tmp/big_a.onnx" "$tmp/big_b.onnx"
if grep -q __asan "$diff"; then
  echo "memory isn't measured under AddressSanitizer"
else
  expect 0 "exit 1, " memory 1 "$diff" "$tmp/big_a.onnx" "$tmp/big_b.onnx"
  expect 0 "exit 1, " memory 1 "$diff" "$tmp/big_a.onnx" "$tmp/big_b.onnx" --ignore names
fi

finish
