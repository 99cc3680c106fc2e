#pragma once

// A model before and after a pass: does it still compute what it did, as far as the pass's effect promises?

#include "lib/model/model.h"
#include "lib/pass/pass.h"
#include "lib/runtime/backend.h"

namespace gomai::testing {

// Saves both, holds the result to ONNX's checker if that takes the original, and compares what ONNX Runtime computes of
// the feeds, or of random ones. Without a runtime the test case is skipped. False where the runtime can't run the
// original at all, or knows no kernel for an operator that the result has: then no numbers were compared.
bool CheckKept(const Model& before, const Model& after, Effect effect, const NamedTensors* feeds = nullptr);

}  // namespace gomai::testing
