#pragma once

// One claimed group of nodes, compiled: a session of the stock runtime that computes it, and the faults.

#include <onnxruntime_cxx_api.h>

#include <string>
#include <vector>

#include "tests/sim_npu/options.h"

namespace sim_npu {

// Faults that come while compiling; `faulty`: the group holds what they are for.
void FailCompiling(const Options& options, bool faulty);

class Kernel : public OrtNodeComputeInfo {
 public:
  Kernel(const Options& options, const Ort::Env& env, uint32_t api_version, const std::string& model,
         Ort::ConstNode fused, bool faulty);

 private:
  void Compute(OrtKernelContext* context);
  void Fault();
  void Spoil(size_t output, float* values, size_t count);

  const Options options_;
  const bool faulty_;
  Ort::Session session_{nullptr};
  std::vector<std::string> inputs_, outputs_;
  int run_ = -1;
  std::vector<std::vector<char>> before_;  // results of the run before
};

}  // namespace sim_npu
