#pragma once

// ONNX Runtime as a Backend, loaded with dlopen at run time: each NPU vendor ships a build of its own.
//
// The library is looked for in order: the path given; $GOMAI_ORT_LIBRARY; the one the set-up found at build time; the
// loader's own search for libonnxruntime.so. The highest API version that both sides know is asked for. Without headers
// at build time or a library at run time: kUnavailable, saying how to get it.

#include <filesystem>
#include <memory>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/runtime/backend.h"

namespace gomai {

struct OnnxRuntimeOptions {
  std::filesystem::path library;  // --ort-library
  int log_severity = 3;           // ORT_LOGGING_LEVEL_ERROR
  // Where the runtime's own log goes, as notes and warnings. A process has one such log: that of the first load.
  Diagnostics diagnostics;
};

// For passes: errors come as statuses, and nothing else is said.
inline OnnxRuntimeOptions QuietRuntime() { return {.library = {}, .log_severity = 4, .diagnostics = {}}; }

absl::StatusOr<std::unique_ptr<Backend>> LoadOnnxRuntime(const OnnxRuntimeOptions& options);

}  // namespace gomai
