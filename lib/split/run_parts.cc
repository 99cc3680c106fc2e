// run_parts.py, written; see run_parts.h. What is the same for every split stands in the text below; what is this
// split's own are the calls of its parts, one a line, so that whoever takes the program over sees the chain and can put
// work of their own between two parts.
#include "lib/split/run_parts.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <vector>

namespace gomai {
namespace {

constexpr size_t kMostCalls = 11;
constexpr size_t kMostNames = 3;  // of a part's values, in the comment beside its call

constexpr char kHead[] =
    R"(#!/usr/bin/env python3
"""Runs the parts beside this file as a chain: run_parts.py INPUT=FILE.npy... [OUTDIR]

Needs onnxruntime and numpy. Each split writes this file anew: copy it before you change it."""
import json
import pathlib
import sys

import numpy
import onnxruntime

HERE = pathlib.Path(__file__).resolve().parent
MANIFEST = json.loads((HERE / "manifest.json").read_text(encoding="utf-8"))
OUTPUTS = MANIFEST["outputs"]
OWN = OUTPUTS + [tensor["name"] for tensor in MANIFEST["inputs"]]  # the model's own names stay
FRIENDLY = {tensor: name for name, tensor in MANIFEST["aliases"].items() if tensor not in OWN}


class Part:
    """One part as a function: part(values) adds what it computes to the dictionary `values`, under friendly names."""

    def __init__(self, name, options=None, providers=("CPUExecutionProvider",), provider_options=None):
        self.part = next(part for part in MANIFEST["parts"] if part["name"] == name)
        file = str(HERE / self.part["file"])
        self.session = onnxruntime.InferenceSession(file, options, list(providers), provider_options)

    def __call__(self, values):
        feeds = {tensor["name"]: values[FRIENDLY.get(tensor["name"], tensor["name"])] for tensor in self.part["inputs"]}
        names = [tensor["name"] for tensor in self.part["outputs"]]
)";

constexpr char kCall[] = R"(        for name, value in zip(names, self.session.run(names, feeds)):
            values[FRIENDLY.get(name, name)] = value
)";

// Where parts take their rows in fixed numbers.
constexpr char kCallByRows[] = R"(        run = self.by_rows if "batching" in self.part else self.session.run
        for name, value in zip(names, run(names, feeds)):
            values[FRIENDLY.get(name, name)] = value

    def by_rows(self, names, feeds):
        """A list of boxes, say, as many rows at a time as the part takes: the last call padded with zeros, the padding dropped."""
        size, lists = self.part["batching"]["size"], self.part["batching"]["inputs"]
        rows, calls = len(feeds[lists[0]]), []
        if any(len(feeds[name]) != rows for name in lists):
            raise SystemExit(f"part {self.part['name']}: " + ", ".join(f"{name} has {len(feeds[name])} rows" for name in lists))
        for first in range(0, max(rows, 1), size):  # one call on zeros alone, if there is no row, tells the results' shapes
            some = {name: feeds[name][first:first + size] for name in lists}
            padded = {name: numpy.pad(part, [(0, size - len(part))] + [(0, 0)] * (part.ndim - 1)) for name, part in some.items()}
            calls.append(self.session.run(names, {**feeds, **padded}))
        return [numpy.concatenate(results)[:rows] for results in zip(*calls)]
)";

constexpr char kRun[] = R"(

def run(parts, inputs):
    """The model's outputs by name, for its inputs by name; `parts` as below, with an NPU's provider where you like."""
    values = dict(inputs)
)";

constexpr char kTail[] = R"(    return {name: values[name] for name in OUTPUTS}


if __name__ == "__main__":
    given = [argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument]
    folder = pathlib.Path(next((argument for argument in sys.argv[1:] if "=" not in argument), "."))
    wanted = [tensor["name"] for tensor in MANIFEST["inputs"]]
    if sorted(name for name, _ in given) != sorted(wanted) or not folder.is_dir():
        raise SystemExit(__doc__.splitlines()[0] + f"\nINPUT: each of {', '.join(wanted)}; OUTDIR: a folder that is there")
    sessions = {part["name"]: Part(part["name"]) for part in MANIFEST["parts"]}
    for name, value in run(sessions, {name: numpy.load(file) for name, file in given}).items():
        print(name, value.dtype, list(value.shape))
        numpy.save(folder / (name.replace("/", "_") + ".npy"), value)
)";

}  // namespace

std::string RunPartsScript(const Manifest& manifest) {
  std::map<std::string, std::string> friendly;
  for (const auto& [name, tensor] : manifest.aliases) {
    friendly[tensor] = name;
  }
  const auto names = [&](const std::vector<ManifestTensor>& tensors) {
    std::vector<std::string> list;
    for (const ManifestTensor& tensor : tensors) {
      if (list.size() == kMostNames && tensors.size() > kMostNames) {
        list.push_back("...");
        break;
      }
      const auto found = friendly.find(tensor.name);
      const bool own = tensor.model_output || tensor.from == "input";
      std::string name = own || found == friendly.end() ? tensor.name : found->second;
      for (char& c : name) {
        c = static_cast<unsigned char>(c) < ' ' ? '?' : c;  // a line break would end the comment
      }
      list.push_back(std::move(name));
    }
    return fmt::format("{}", fmt::join(list, ", "));
  };
  const bool batched = std::any_of(manifest.parts.begin(), manifest.parts.end(),
                                   [](const ManifestPart& part) { return part.batching.has_value(); });
  std::string script = std::string(kHead) + (batched ? kCallByRows : kCall) + kRun;
  if (manifest.parts.size() > kMostCalls) {
    script += "    for part in parts.values():\n        part(values)\n";
  } else {
    for (const ManifestPart& part : manifest.parts) {
      script +=
          fmt::format("    parts[\"{}\"](values)  # {} -> {}\n", part.name, names(part.inputs), names(part.outputs));
    }
  }
  return script + kTail;
}

}  // namespace gomai
