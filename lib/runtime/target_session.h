#pragma once

// A model on a target: opened in a process of its own or here, held to the rule that no node may land elsewhere without
// a word, with the evidence of where it ran.
//
//   Evidence evidence;
//   GOMAI_ASSIGN_OR_RETURN(auto session, OpenOnTarget("box.onnx", "box", target, opening, &evidence));
//
// Errors, also told in evidence->failure: those of opening a session; kFailedPrecondition for nodes that landed on
// another provider, for a provider that got none, for a vendor's report that contradicts, each unless the target allows
// fallback (then they are warnings). Memory for results of fixed sizes is filled before a run, so that
// lib/runtime/sentinel.h finds in the results what the provider never wrote.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/runtime/backend.h"
#include "lib/runtime/evidence.h"
#include "lib/runtime/target.h"

namespace gomai {

struct TargetOpening {
  std::vector<std::string> worker;  // the command of a worker process, see worker.h; empty: never isolated
  Diagnostics diagnostics;
  int log_severity = 3;
  std::function<bool()> cancelled;
};

// `evidence` must outlive the session, which adds to it.
absl::StatusOr<std::unique_ptr<Session>> OpenOnTarget(const std::filesystem::path& model, const std::string& part,
                                                      const Target& target, const TargetOpening& opening,
                                                      Evidence* evidence);

}  // namespace gomai
