#pragma once

// The execution provider of one session: it claims nodes, and compiles groups of them.

#include <string>
#include <vector>

#include "tests/sim_npu/host.h"
#include "tests/sim_npu/options.h"
#include "tests/sim_npu/report.h"

namespace gomai::sim {

class Ep : public OrtEp {
 public:
  Ep(const Host& host, std::string name, const OrtSessionOptions* session);

 private:
  void Claim(const OrtGraph* graph, OrtEpGraphSupportInfo* info);
  bool Claims(const OrtNode* node, const NodeLabel& label) const;
  bool IsOwnContext(const OrtNode* node, const NodeLabel& label) const;
  OrtNodeComputeInfo* CompileGroup(const OrtGraph* graph, const OrtNode* fused, OrtNode** context);

  const Host host_;
  const std::string name_;
  const Options options_;
  Owned<OrtEnv> env_;
  PlacementReport report_;
  bool has_groups_ = false;  // claimed some already
  size_t compiled_ = 0;      // groups
};

}  // namespace gomai::sim
