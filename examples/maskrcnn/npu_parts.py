#!/usr/bin/env python3
"""The part of run.sh about parts for an NPU.

    npu_parts.py table BIN FOLDER...       what each NPU part holds; exit 1 if one isn't plain or has a size that isn't fixed
    npu_parts.py feeds FOLDER IMAGE.npy    makes the network's input and the sizes for an image that is as large as the network's
                                           input, as preprocess.json says, and prints the --input flags for them
"""
import json
import pathlib
import subprocess
import sys

import numpy as np

# What NPU compilers take without questions; the last line is what MobileNet needs besides.
PLAIN = {"Conv", "Relu", "Add", "MaxPool", "Resize", "Flatten", "Reshape", "Gemm", "ConvTranspose",
         "Mul", "HardSigmoid", "HardSwish", "GlobalAveragePool"}


def table(bin_dir, *folders):
    rows, sound = [("parts", "part", "nodes", "rows a call", "sizes", "operators")], True
    for folder in map(pathlib.Path, folders):
        for part in json.loads((folder / "manifest.json").read_text())["parts"]:
            if part["device"] != "npu":
                continue
            info = json.loads(subprocess.run([f"{bin_dir}/gomai-info", folder / part["file"], "--json"], check=True, stdout=subprocess.PIPE).stdout)
            dynamic = json.loads(subprocess.run([f"{bin_dir}/gomai-info", folder / part["file"], "--dynamic", "--json"], check=True, stdout=subprocess.PIPE).stdout)
            operators = census(info)
            open_sizes = dynamic["dynamic"]["dynamic"]
            sound = sound and set(operators) <= PLAIN and open_sizes == 0
            rows.append((folder.name, part["name"], str(sum(operators.values())), str(part.get("batching", {}).get("size", "")),
                         f"{open_sizes} open" if open_sizes else "fixed",
                         ", ".join(f"{count} {op}" for op, count in sorted(operators.items(), key=lambda item: -item[1]))))
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    for row in rows:
        print("   " + "  ".join([cell.ljust(width) for cell, width in zip(row, widths)] + [row[5]]))
    sys.exit(0 if sound else 1)


def census(info):
    return info["summary"]["operators"]["main graph"]


def feeds(folder, image):
    folder = pathlib.Path(folder)
    rule, image = json.loads((folder / "preprocess.json").read_text()), np.load(image)
    normalize = next(step for step in rule["steps"] if step["step"] == "normalize")
    mean, std = (np.float32(normalize[key])[:, None, None] for key in ("mean", "std"))
    height, width = image.shape[1:]
    sizes = {f"{what}_{side}": value for what in ("image", "resized", "network") for side, value in (("height", height), ("width", width))}
    values = {rule["output"]["name"]: ((image - mean) / std)[None]}
    for size in rule["sizes"]:
        values[size["name"]] = np.array([sizes.get(m, m) for m in np.atleast_1d(np.array(size["is"], object))], size["dtype"]).reshape(size["shape"])
    (folder / "feeds").mkdir(exist_ok=True)
    for i, (name, value) in enumerate(values.items()):
        np.save(folder / "feeds" / f"{i}.npy", value)
        print(f"--input\n{name}={folder}/feeds/{i}.npy")


if __name__ == "__main__":
    {"table": table, "feeds": feeds}[sys.argv[1]](*sys.argv[2:])
