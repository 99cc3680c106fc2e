#pragma once

// A compiled group: what ONNX Runtime calls to run it.

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "tests/sim_npu/context.h"
#include "tests/sim_npu/faults.h"
#include "tests/sim_npu/host.h"
#include "tests/sim_npu/options.h"

namespace gomai::sim {

class Kernel : public OrtNodeComputeInfo {
 public:
  // In place of `fused`. Failure if ONNX Runtime refuses the delegate, or if the options want that.
  Kernel(const Host& host, const Options& options, const OrtEnv* env, const CompiledGroup& group, const OrtNode* fused);

 private:
  void Run(OrtKernelContext* context);
  std::vector<Owned<OrtValue>> Compute(OrtKernelContext* context);
  OutputView View(OrtValue* value) const;
  // With `swap` the outputs become those of the run before, if there was one.
  void KeepForNextRun(std::vector<OutputView>& outputs, bool swap);

  const Host host_;
  const Options options_;
  const bool faulty_;
  Owned<OrtSession> session_;
  std::vector<std::string> inputs_;  // the delegate's
  std::vector<std::string> outputs_;
  std::vector<size_t> input_slots_;  // which of the fused node's inputs each of them is
  std::vector<size_t> output_slots_;
  std::atomic<uint64_t> runs_ = 0;
  std::mutex mutex_;
  std::vector<std::string> last_;  // guarded by mutex_
};

}  // namespace gomai::sim
