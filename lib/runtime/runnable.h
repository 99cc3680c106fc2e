#pragma once

// May a model be handed to a runtime? Runtimes put local functions in the place of their calls, recursively and without
// a limit: functions that call themselves or stand in a very long chain overflow their stack, and functions that call
// two each, sixty deep, take for ever. What the verifier finds crashes some of them, too.
//
//   GOMAI_RETURN_IF_ERROR(CheckRunnable("m.onnx"));
//
// Errors: those of Model::Load and VerifyForWriting; kInvalidArgument for functions past the limits, naming them. Cost:
// O(model without weights).

#include <filesystem>

#include "lib/base/status.h"
#include "lib/graph/index.h"

namespace gomai {

absl::Status CheckRunnable(const std::filesystem::path& model);

// The part about functions. They must not call themselves, directly or through others (Verify reports that).
inline constexpr int kLongestCallChain = 200;
inline constexpr int64_t kMostInlinedNodes = 10'000'000;
absl::Status CheckFunctionsInline(const Index& index);

}  // namespace gomai
