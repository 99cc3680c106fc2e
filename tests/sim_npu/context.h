#pragma once

// EPContext nodes: a compiled group as a node that holds it.
// https://onnxruntime.ai/docs/execution-providers/EP-Context-Design.html

#include <string>
#include <vector>

#include "tests/sim_npu/faults.h"
#include "tests/sim_npu/host.h"

namespace gomai::sim {

struct CompiledGroup {
  std::string model;  // the delegate's bytes
  std::vector<NodeLabel> nodes;
  // In the order of the delegate's.
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

inline bool IsContext(const NodeLabel& label) { return label.op == "EPContext" && label.domain == "com.microsoft"; }

// In place of `fused`; ONNX Runtime owns it.
OrtNode* MakeContextNode(const Host& host, const std::string& provider, const OrtNode* fused,
                         const CompiledGroup& group);
CompiledGroup ReadContextNode(const Host& host, const OrtNode* node);

}  // namespace gomai::sim
