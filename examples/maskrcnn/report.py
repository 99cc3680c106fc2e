#!/usr/bin/env python3
"""The table of run.sh, from what `gomai-verify --json` prints.

    report.py header
    report.py row MODEL IMAGE MANIFEST.json VERIFY.json     whole, parts: their times; in NPU parts: the share of the parts'
    report.py verdict bits|values VERIFY.json…                          time that an NPU may take over
"""
import json
import sys

COLUMNS = [("model", "<5"), ("image", "<26"), ("detections", ">10"), ("tensors", ">7"), ("equal", ">5"),
           ("whole", ">7"), ("parts", ">7"), ("in NPU parts", ">12")]


def line(cells):
    print("   " + "  ".join(format(cell, width) for cell, (_, width) in zip(cells, COLUMNS)).rstrip(), flush=True)


def duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def read(path):
    with open(path) as file:
        report = json.load(file)
    tensors = [t for sample in report["samples"] for t in sample["tensors"] if t["compared"]]
    return report, tensors


def row(model, label, manifest, path):
    report, tensors = read(path)
    sample = report["samples"][0]
    scores = [t for t in tensors if t["tensor"] == "scores" and t["model_output"]]
    with open(manifest) as file:
        npu = {part["name"] for part in json.load(file)["parts"] if part["device"] == "npu"}
    seconds = {part["part"]: part["seconds"] for part in sample["parts"]}
    share = sum(seconds[name] for name in seconds if name in npu) / max(sum(seconds.values()), 1e-9)
    line([model, label, str(scores[0]["shape"][0]) if scores else "?", str(len(tensors)),
          str(sum(t["equal"] for t in tensors)), duration(sample["reference_seconds"]),
          duration(sample["candidate_seconds"]), f"{100 * share:.0f} %"])
    if not report["equal"]:
        print(f"     differs: {report['summary']}")
        print(f"     first:   {json.dumps(report['first_difference'])}", flush=True)


def verdict(how, paths):
    how = "bit for bit" if how == "bits" else "equal in value"
    reports = [read(path) for path in paths]
    tensors = sum(len(t) for _, t in reports)
    equal = sum(t["equal"] for _, ts in reports for t in ts)
    images = sum(report["equal"] for report, _ in reports)
    if images == len(reports) and equal == tensors:
        print(f"Proved: on {images} of {images} images the parts compute what the whole does, {equal} of {tensors} tensors {how}.")
    else:
        print(f"NOT equal: {len(reports) - images} of {len(reports)} images differ, {tensors - equal} of {tensors} tensors.")


def main():
    command, *arguments = sys.argv[1:]
    if command == "header":
        line([name for name, _ in COLUMNS])
        line(["-" * int(width[1:]) for _, width in COLUMNS])
    elif command == "row":
        row(*arguments)
    else:
        verdict(arguments[0], arguments[1:])


if __name__ == "__main__":
    main()
