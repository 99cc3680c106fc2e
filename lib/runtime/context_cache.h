#pragma once

// Compiled models kept in a folder, so that an NPU's compiler, which takes minutes, runs once for each model.
//
// ONNX Runtime writes a compiled model as one whose nodes are EPContext (EP-Context-Design.md). A file's name holds the
// part's name and a key over all that made it: the model's bytes (its skeleton's digest alone wouldn't see another
// training), the runtime's version, the provider's library, its options. One of another key is stale: it is told, with
// what changed, and not used.

#include <filesystem>
#include <string>

#include "lib/base/diagnostics.h"
#include "lib/runtime/backend.h"

namespace gomai {

struct ContextEntry {
  std::filesystem::path file;      // the compiled model
  std::filesystem::path unproven;  // where it is to be written, and moved from by Keep
  std::string description;         // JSON: what made it
  bool present = false;
};

// Where a model's context is, or will be. Warns of stale ones of the same part. `part`: "" for a whole model.
absl::StatusOr<ContextEntry> FindContext(const std::filesystem::path& folder, const std::string& part,
                                         const std::filesystem::path& model, const std::string& runtime_version,
                                         const SessionOptions& options, const Diagnostics& diagnostics);

// Options with which the runtime writes it.
SessionOptions WritingContext(const SessionOptions& options, const ContextEntry& entry);

// After one that couldn't be made: nothing half written stays.
void DropContext(const ContextEntry& entry);

// After the session is made. kFailedPrecondition if nothing was written: the provider keeps no context.
absl::Status KeepContext(const ContextEntry& entry);

}  // namespace gomai
