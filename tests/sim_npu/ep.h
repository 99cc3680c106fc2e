#pragma once

// The provider itself: which nodes it claims, and what it makes of them.

#include <onnxruntime_cxx_api.h>

#include <string>
#include <vector>

#include "tests/sim_npu/options.h"

namespace sim_npu {

class Ep : public OrtEp {
 public:
  Ep(Options options, uint32_t api_version);

 private:
  bool Claims(Ort::ConstNode node) const;
  void GetCapability(Ort::ConstGraph graph, OrtEpGraphSupportInfo* info);
  void Compile(const OrtGraph** graphs, const OrtNode** fused, size_t count, OrtNodeComputeInfo** compiled,
               OrtNode** contexts);
  void WriteReports() const;

  const Options options_;
  const uint32_t api_version_;
  Ort::Env env_{ORT_LOGGING_LEVEL_ERROR, "sim_npu"};
  size_t claimed_ = 0, seen_ = 0;
  std::vector<std::string> claimed_ops_;
};

}  // namespace sim_npu
