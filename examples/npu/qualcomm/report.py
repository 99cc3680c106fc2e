#!/usr/bin/env python3
"""Rows of run.sh's table, out of what the tools say with --json.

    report.py header
    report.py whole RUN.json MODEL
    report.py parts VERIFY.json MODEL FORM            each part by itself, on the reference's tensors
    report.py chain VERIFY.json MODEL FORM            all parts one after another, the detections as a set
    report.py compiled RUN.json MODEL FORM [FOLDER]   where the nodes went; contexts' sizes
"""
import json
import pathlib
import sys

WIDTHS = (5, 10, 12, 17, 15, 0)


def row(*cells):
    print("   " + "  ".join(str(cell).ljust(width) for cell, width in zip(cells, WIDTHS)).rstrip())


def placed(evidence):
    own = evidence["nodes"].get(evidence["provider"], 0)
    return own, sum(evidence["nodes"].values())


def percent(own, total):
    return f"{own} of {total}, {100 * own // max(total, 1)} %"


def shown_by(evidence):
    return {"placement": "runtime", "vendor": "runtime and QNN"}.get(
        next((step for step in ("vendor", "placement") if evidence["steps"][step]["known"] == "yes"), ""), "")


def load(file):
    return json.loads(pathlib.Path(file).read_text())


def whole(file, model):
    (evidence,) = load(file)["evidence"]
    row(model, "as it is", "the whole", percent(*placed(evidence)), "runtime", "runs on the CPU without a word, if nobody looks")


def against(tensors):
    three = [t["three_runs"] for t in tensors if "three_runs" in t]
    if three:
        steps = max(float(t["max_steps"]) for t in three)
        return (f"SNR {min(float(t['quantisation']['snr_db']) for t in three):.0f} dB by quantising, "
                f"{min(float(t['hardware']['snr_db']) for t in three):.0f} dB by the NPU ({steps:.0f} steps at most)")
    worst = max(tensors, key=lambda t: float(t["max_abs"]))
    return f"max abs {float(worst['max_abs']):.2g}, SNR {min(float(t['snr_db']) for t in tensors):.0f} dB"


def parts(file, model, form):
    document = load(file)
    for evidence in document["evidence"]:
        tensors = [t for t in document["samples"][0]["tensors"] if t["part"] == evidence["part"]]
        if evidence["failure"]:
            text = evidence["failure"]
        else:
            text = against(tensors) + ("" if all(t["equal"] for t in tensors) else "  <- WRONG, and no one but gomai-verify says so")
        row(model, form, evidence["part"], percent(*placed(evidence)), shown_by(evidence), text)


def chain(file, model, form):
    document = load(file)
    found = document["samples"][0]["detections"]
    own, total = (sum(column) for column in zip(*(placed(e) for e in document["evidence"])))
    row(model, form, "all, chained", percent(own, total), "runtime",
        f"{found['pairs']} of {found['reference']} detections found again, {len(found['added'])} added, "
        f"mean IoU {found['mean_iou']:.3f}, scores within {float(found['worst_score_difference']):.2g}")


def compiled(file, model, form, folder=None):
    for evidence in load(file)["evidence"]:
        sizes = [f.stat().st_size for f in pathlib.Path(folder).glob(evidence["part"] + ".*_ctx.onnx")] if folder else []
        row(model, form, evidence["part"], percent(*placed(evidence)), shown_by(evidence),
            f"context of {max(sizes) / 1e6:.1f} MB" if sizes else evidence["level"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["header"]:
        row("model", "form", "part", "nodes on QNN", "shown by", "against the CPU")
        row(*("-" * (width or 40) for width in WIDTHS))
    elif len(sys.argv) > 3 and sys.argv[1] in ("whole", "parts", "chain", "compiled"):
        globals()[sys.argv[1]](*sys.argv[2:])
    else:
        raise SystemExit(__doc__)
