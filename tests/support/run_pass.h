#pragma once

// A pipeline on a model, and the runtime that its numbers are compared by.

#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/pass/pipeline.h"
#include "lib/runtime/backend.h"

namespace gomai::testing {

// The pipeline must parse. Verifies after each pass; shapes of outputs may change, since some test models declare false
// ones and ONNX's inference gives ceil_mode windows before opset 22 that no runtime gives.
absl::StatusOr<std::vector<PassReport>> RunPasses(Model& model, const std::string& pipeline,
                                                  std::vector<Diagnostic>* diagnostics = nullptr);

// The proto, fields in order: equal models give equal bytes.
std::string Bytes(const Model& model);

// ONNX Runtime; skips the test case if there is none.
Backend& RuntimeOrSkip();

}  // namespace gomai::testing
