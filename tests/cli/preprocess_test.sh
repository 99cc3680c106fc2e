# strip-preprocess as a user does it: the two halves chained are the model, and the lines of numpy in
# docs/preprocessing.md agree with preprocess.onnx on what preprocess.json says.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
python=${GOMAI_CACHE_DIR:?}/venv/bin/python
v2=$source_dir/examples/models/maskrcnn_v2_op13.onnx

strip() { "$bin/gomai-opt" "$1" -o "$2/net.onnx" -q -p "strip-preprocess{at=\"scope:/transform->/backbone\",$3}"; }

mkdir "$tmp/open" "$tmp/tiny" "$tmp/large" "$tmp/constants"
check "the small model's preprocessing comes off" strip "$tiny" "$tmp/tiny" image-size=150x201
check "the large model's comes off without its weights" strip "$v2" "$tmp/large" image-size=64x96
check "sizes become constants" strip "$tiny" "$tmp/constants" image-size=150x201,sizes=constants
expect 0 '1 x 3 x 128 x 192' "$bin/gomai-info" "$tmp/tiny/net.onnx"
expect 0 'int64    3' "$bin/gomai-info" "$tmp/tiny/net.onnx"
expect 0 'inputs      /transform/Concat_8_output_0  float32  1 x 3 x 128 x 192
outputs' "$bin/gomai-info" "$tmp/constants/net.onnx"

cat >"$tmp/halves.py" <<'PY'
# Writes an image, and runs preprocess.onnx and net.onnx on it one after the other.
import json, pathlib, subprocess, sys
import numpy as np
bin, folder, height, width = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
image = np.random.default_rng(7).normal(size=(3, height, width)).astype("float32") * 4
np.save(folder / "image.npy", image)
subprocess.check_call([bin + "/gomai-run", "-q", folder / "preprocess.onnx", "--input", f"image={folder}/image.npy", "-o", folder / "sizes"])
rule = json.loads((folder / "preprocess.json").read_text())
inputs = [rule["output"]["name"]] + [size["name"] for size in rule["sizes"]]
feeds = []
for name in inputs:
    feeds += ["--input", f"{name}={folder}/sizes/{name.replace('/', '%2F')}.npy"]
subprocess.check_call([bin + "/gomai-run", "-q", folder / "net.onnx", *feeds, "-o", folder / "halves"])
subprocess.check_call([bin + "/gomai-run", "-q", sys.argv[5], "--input", f"image={folder}/image.npy", "-o", folder / "whole"])
for name in ("boxes", "labels", "scores", "masks"):
    whole, halves = (np.load(folder / which / f"{name}.npy") for which in ("whole", "halves"))
    assert whole.shape == halves.shape and whole.tobytes() == halves.tobytes(), name
PY
check "chained, the halves are the model bit for bit" "$python" "$tmp/halves.py" "$bin" "$tmp/tiny" 150 201 "$tiny"

cat >"$tmp/numpy_agrees.py" <<'PY'
# The code block of the guide against preprocess.onnx, for images of many sizes.
import json, pathlib, re, subprocess, sys
import numpy as np
bin, guide, folder = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
exec(re.search(r"```python\n(.*?)```", pathlib.Path(guide).read_text(), re.S)[1])
rule = json.loads((folder / "preprocess.json").read_text())
assert rule["unknown"] == [], rule["unknown"]
worst = 0
bytes_last = rule["input"]["layout"] == "NHWC"
for height, width in [(64, 64), (100, 150), (201, 133), (97, 311), (405, 61), (480, 640), (544, 960), (37, 41)]:
    random = np.random.default_rng(height)
    image = random.integers(0, 256, (1, height, width, 3), "uint8") if bytes_last else random.normal(size=(3, height, width)).astype("float32")
    np.save(folder / "image.npy", image)
    subprocess.check_call([bin + "/gomai-run", "-q", folder / "preprocess.onnx", "--input", f"{rule['input']['name']}={folder}/image.npy", "-o", folder / "out"])
    wanted = np.load(folder / "out" / (rule["output"]["name"].replace("/", "%2F") + ".npy"))
    given = preprocess(image, rule)
    assert given.shape == wanted.shape and given.dtype == wanted.dtype, (height, width, given.shape, wanted.shape)
    worst = max(worst, float(np.abs(given - wanted).max()))
    resized = {"image_height": height, "image_width": width}
    for size in rule["sizes"]:
        value = np.load(folder / "out" / (size["name"].replace("/", "%2F") + ".npy"))
        for meaning, number in zip(np.atleast_1d(np.array(size["is"], object)), np.atleast_1d(value)):
            assert resized.get(meaning, number) == number, (size, value)
assert worst < 1e-5, worst
print(worst)
PY
check "numpy agrees on the small model" "$python" "$tmp/numpy_agrees.py" "$bin" "$source_dir/docs/preprocessing.md" "$tmp/tiny"
check "numpy agrees on the large model" "$python" "$tmp/numpy_agrees.py" "$bin" "$source_dir/docs/preprocessing.md" "$tmp/large"

# A model of another kind: bytes, channels last and in the other order, a fixed size, a border.
cat >"$tmp/other.py" <<'PY'
import struct, sys
def varint(n):
    n &= 2**64 - 1
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])
def part(field, content):
    if isinstance(content, int):
        return varint(field << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(field << 3 | 2) + varint(len(content)) + content
def attribute(name, value):
    kind, at = {int: (2, 3), str: (3, 4), list: (7, 8)}[type(value)]
    return part(5, part(1, name) + b"".join(part(at, v) for v in (value if isinstance(value, list) else [value])) + part(20, kind))
def node(op, inputs, output, **attributes):
    return part(1, b"".join(part(1, i) for i in inputs) + part(2, output) + part(4, op) + b"".join(attribute(*a) for a in attributes.items()))
def tensor(name, code, kind, values, dims):
    return part(5, b"".join(part(1, d) for d in dims) + part(2, kind) + part(8, name) + part(9, struct.pack(f"<{len(values)}{code}", *values)))
def value(field, name, kind, dims):
    shape = b"".join(part(1, part(2, d) if isinstance(d, str) else part(1, d)) for d in dims)
    return part(field, part(1, name) + part(2, part(1, part(1, kind) + part(2, shape))))
graph = part(2, "g") + node("Cast", ["img"], "f", to=1) + node("Gather", ["f", "order"], "g", axis=3) + node("Sub", ["g", "mean"], "c")
graph += node("Div", ["c", "std"], "n") + node("Transpose", ["n"], "t", perm=[0, 3, 1, 2])
graph += node("Resize", ["t", "", "", "size"], "r", mode="linear") + node("Pad", ["r", "pads"], "net") + node("Relu", ["net"], "y")
graph += tensor("order", "q", 7, [2, 1, 0], [3]) + tensor("mean", "f", 1, [103.5, 116.25, 123.75], [3]) + tensor("std", "f", 1, [57.5, 57, 58.5], [3])
graph += tensor("size", "q", 7, [1, 3, 90, 150], [4]) + tensor("pads", "q", 7, [0] * 6 + [6, 10], [8])
graph += value(11, "img", 2, [1, "h", "w", 3]) + value(12, "y", 1, [1, 3, 96, 160])
open(sys.argv[1], "wb").write(part(1, 8) + part(7, graph) + part(8, part(1, "") + part(2, 17)))
PY
mkdir "$tmp/other"
check "a model of bytes, channels last" "$python" "$tmp/other.py" "$tmp/other/model.onnx"
check "its preprocessing comes off" "$bin/gomai-opt" "$tmp/other/model.onnx" -o "$tmp/other/net.onnx" -q -p 'strip-preprocess{at=net}'
check "numpy agrees on it" "$python" "$tmp/numpy_agrees.py" "$bin" "$source_dir/docs/preprocessing.md" "$tmp/other"
check "the small model's description was run beside it" grep -q '"max_abs_difference": 0.0' "$tmp/tiny/preprocess.json"

expect 2 'no name for a file' "$bin/gomai-opt" "$tiny" -o "$tmp/open/x.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0,name=../x}'
expect 2 'leads to 1x3x128x192' "$bin/gomai-opt" "$tiny" -o "$tmp/open/x.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0,image-size=150x201,network-size=128x128}'
expect 2 "can't be run on an image of 10x4000" "$bin/gomai-opt" "$tiny" -o "$tmp/open/x.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0,image-size=10x4000}'
expect 0 'pads to multiples of 32' "$bin/gomai-opt" "$tiny" -o "$tmp/open/net.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0,network-size=161x223}'
expect 0 'float32  3 x 150 x 201' "$bin/gomai-info" "$tmp/constants/preprocess.onnx"
expect 2 "doesn't fit" "$bin/gomai-run" "$tmp/constants/preprocess.onnx" --random --input-shape image:3x160x224
check "nothing of what was refused is left" test ! -e "$tmp/open/x.onnx" -a ! -e "$tmp/x.onnx" -a ! -e "$tmp/x.json"

expect 0 '' "$bin/gomai-opt" "$tiny" -o "$tmp/open/net.onnx" -q -p 'strip-preprocess{at=/transform/Concat_8_output_0,network-size=160x224}'
expect 0 '1 x 3 x 160 x 224' "$bin/gomai-info" "$tmp/open/net.onnx"
expect 2 "did you mean '/transform/Concat_8_output_0'" "$bin/gomai-opt" "$tiny" -o "$tmp/x.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output}'
expect 2 'nothing lies before it' "$bin/gomai-opt" "$tiny" -o "$tmp/x.onnx" -p 'strip-preprocess{at=image}'
expect 2 'give image-size=HxW' "$bin/gomai-opt" "$tiny" -o "$tmp/x.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0,network-size=128x192,sizes=constants}'
expect 2 "must be HxW" "$bin/gomai-opt" "$tiny" -o "$tmp/x.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0,image-size=axb}'
expect 2 "doesn't fit the input 'image'" "$bin/gomai-opt" "$tiny" -o "$tmp/x.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0,image-size=4x128x192}'
expect 2 'stdout' "$bin/gomai-opt" "$tiny" -o - -p 'strip-preprocess{at=/transform/Concat_8_output_0}'
expect 2 'of its own; choose' "$bin/gomai-opt" "$tiny" -o "$tmp/preprocess.onnx" -p 'strip-preprocess{at=/transform/Concat_8_output_0}'
check "nothing is left of what was refused" test ! -e "$tmp/x.onnx" -a ! -e "$tmp/x.json"

finish
