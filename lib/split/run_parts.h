#pragma once

// run_parts.py: a small Python program beside each manifest that runs the parts as a chain, for applications in Python.

#include <string>

#include "lib/split/manifest.h"

namespace gomai {

// Needs onnxruntime and numpy only. Values go by their friendly names. At most 60 lines: a split into very many parts
// gets a loop instead of a line for each.
std::string RunPartsScript(const Manifest& manifest);

}  // namespace gomai
