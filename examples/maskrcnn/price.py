#!/usr/bin/env python3
"""What another form of the 1x1 MaxPool costs, in the terms of detection: price.py MODEL IMAGES [--form maxpool3x3] [--bin DIR]

MODEL is a Mask R-CNN of torchvision, IMAGES a folder of .npy files (float32 [3,H,W]). Runs the model as it is and with
maxpool-1x1{form=...}, and says for each image how much the pooled feature map changes, how many proposals moved, how many of
the final boxes have a box of the same label at IoU 0.99 or more in the other run, and how many the other run has that have none
here. The tensors are found by the preset's names.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--form", default="maxpool3x3", help="a form of the pass maxpool-1x1 (default: maxpool3x3)")
    parser.add_argument("--preset", default="torchvision-maskrcnn")
    parser.add_argument("--bin", default=os.environ.get("GOMAI_BIN", str(pathlib.Path(__file__).resolve().parents[2] / "build/release/bin")))
    arguments = parser.parse_args()
    images = sorted(arguments.images.glob("*.npy"))
    if not images:
        sys.exit(f"price.py: no .npy files in {arguments.images}")

    def tool(name, *words):
        done = subprocess.run([f"{arguments.bin}/{name}", *map(str, words)], stdout=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(2)  # it has said why
        return done.stdout

    plan = json.loads(tool("gomai-split", arguments.model, "--preset", arguments.preset, "--print-plan", "--json"))
    pooled = plan["aliases"][max(name for name in plan["aliases"] if name.startswith("features_"))]
    proposals = plan["aliases"]["proposals"]
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        expose = f'expose-outputs{{tensors="{pooled};{proposals}"}}'
        tool("gomai-opt", arguments.model, "-o", folder / "as-is.onnx", "-p", expose, "--weights=inline")
        tool("gomai-opt", arguments.model, "-o", folder / "other.onnx", "-p", f"{expose},maxpool-1x1{{form={arguments.form}}}", "--weights=inline")
        rows = [price(image, [outputs(tool, folder, which, image) for which in ("as-is", "other")], pooled, proposals) for image in images]
    table = [("image", "feature map", "proposals moved", "boxes with IoU >= 0.99", "boxes it adds")]
    table += [(name, f"{100 * change:.1f} %", f"{moved} of {count}", f"{kept} of {boxes}", str(added)) for name, change, moved, count, kept, boxes, added in rows]
    sums = [sum(row[i] for row in rows) for i in range(2, 7)]
    table.append(("all", f"{100 * sum(row[1] for row in rows) / len(rows):.1f} %", f"{sums[0]} of {sums[1]}", f"{sums[2]} of {sums[3]}", str(sums[4])))
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
    for row in table:
        print("   " + "  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]))
    print(f"   feature map: {pooled}; root mean square of the change, in % of that of its values")


def outputs(tool, folder, which, image):
    tool("gomai-run", folder / f"{which}.onnx", "--input", f"image={image}", "-o", folder / which)
    return {file.stem.replace("%2F", "/"): np.load(file) for file in (folder / which).glob("*.npy")}


def price(image, runs, pooled, proposals):
    before, after = runs
    change = float(np.sqrt(np.mean((after[pooled] - before[pooled]) ** 2)) / max(np.sqrt(np.mean(before[pooled] ** 2)), 1e-30))
    moved = int(np.sum(best(before[proposals], after[proposals]) < 0.99))
    kept = int(np.sum(best(before["boxes"], after["boxes"], before["labels"], after["labels"]) >= 0.99))
    added = int(np.sum(best(after["boxes"], before["boxes"], after["labels"], before["labels"]) < 0.99))
    return image.stem, change, moved, len(before[proposals]), kept, len(before["boxes"]), added


def best(boxes, others, labels=None, other_labels=None):
    """For each box the largest IoU with one of `others` (of the same label)."""
    if len(boxes) == 0 or len(others) == 0:
        return np.zeros(len(boxes))
    low, high = np.maximum(boxes[:, None, :2], others[None, :, :2]), np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    area = lambda b: np.prod(b[:, 2:] - b[:, :2], axis=1)
    iou = common / np.maximum(area(boxes)[:, None] + area(others)[None, :] - common, 1e-9)
    if labels is not None:
        iou = np.where(labels[:, None] == other_labels[None, :], iou, 0)
    return iou.max(axis=1)


if __name__ == "__main__":
    main()
