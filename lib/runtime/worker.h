#pragma once

// A session in a process of its own: what a vendor's compiler or driver does to its process, ours survives.
//
// The worker is a program that calls WorkerMain, ours itself with a flag. It loads the runtime, finds the devices,
// opens the session and runs it, telling each step over a channel; tensors lie in shared memory. A worker that crashes,
// hangs or takes too much memory ends as an error that says what it was doing and for how long; the next run starts
// another.
//
//   WorkerOptions worker{.command = {"/proc/self/exe", "--runtime-worker"}, …};
//   GOMAI_ASSIGN_OR_RETURN(auto session, OpenIsolated("box.onnx", options, worker, &steps));
//
// Errors besides those of Backend::Open and Session::Run: kInternal for a worker that ended or was ended, kCancelled
// once `cancelled` says so. String tensors can't cross: kInvalidArgument.

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/runtime/backend.h"

namespace gomai {

struct ProcessLimits {
  double open_seconds = 1800;  // of opening a session: compilers of NPUs take minutes
  double run_seconds = 600;    // of a run
  uint64_t memory = 0;         // resident bytes; 0: no limit
};

// How far opening a session came.
struct OpeningSteps {
  std::string runtime;  // "ONNX Runtime 1.26.0 (…)": it is loaded
  std::string version;  // "1.26.0"
  bool devices_found = false;
  std::vector<DeviceInfo> devices;  // chosen; empty for a provider built into the library
  bool session_made = false;
};

struct WorkerOptions {
  std::vector<std::string> command;  // the program and its arguments; the channel is its descriptor 3
  std::filesystem::path ort_library;
  int log_severity = 3;
  ProcessLimits limits;
  Diagnostics diagnostics;          // the runtime's log; what vendors print, as notes
  std::function<bool()> cancelled;  // may be empty
};

// In this process: the same steps, told the same way.
absl::StatusOr<std::unique_ptr<Session>> OpenInSteps(Backend& backend, const std::filesystem::path& model,
                                                     const SessionOptions& options,
                                                     const std::function<void(const OpeningSteps&)>& told);

absl::StatusOr<std::unique_ptr<Session>> OpenIsolated(const std::filesystem::path& model, const SessionOptions& options,
                                                      const WorkerOptions& worker, OpeningSteps* steps);

// What a program does that was started as a worker by the process `parent`; returns its exit code.
int WorkerMain(int64_t parent);

}  // namespace gomai
