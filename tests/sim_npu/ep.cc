#include "tests/sim_npu/ep.h"

#include <algorithm>
#include <utility>

#include "tests/sim_npu/context.h"
#include "tests/sim_npu/delegate.h"
#include "tests/sim_npu/graph.h"
#include "tests/sim_npu/kernel.h"

namespace gomai::sim {
namespace {

NodeLabel Label(const Host& host, const OrtNode* handle) {
  const char* name = nullptr;
  const char* op = nullptr;
  const char* domain = nullptr;
  Check(host, host.api->Node_GetName(handle, &name));
  Check(host, host.api->Node_GetOperatorType(handle, &op));
  Check(host, host.api->Node_GetDomain(handle, &domain));
  return {name, op, domain};
}

bool IsTaken(const Host& host, const OrtNode* node) {
  const char* provider = nullptr;
  Check(host, host.api->Node_GetEpName(node, &provider));
  return provider != nullptr && *provider != '\0';
}

// ONNX Runtime 1.23 says of no graph that it is a body; mostly its values tell.
bool LooksLikeBody(const Host& host, const OrtGraph* graph) {
  size_t inputs = 0;
  Check(host, host.api->Graph_GetNumInputs(graph, &inputs));
  if (inputs == 0) {
    return true;
  }
  for (const OrtNode* node : Nodes(host, graph)) {
    for (const OrtValueInfo* input : Inputs(host, node)) {
      bool outer = false;
      if (input != nullptr) {
        Check(host, host.api->ValueInfo_IsFromOuterScope(input, &outer));
      }
      if (outer) {
        return true;
      }
    }
  }
  return false;
}

// What tells a graph from other graphs of the model: a name alone is often the same in all of them.
std::string GraphKey(const Host& host, const OrtGraph* graph) {
  const char* name = nullptr;
  Check(host, host.api->Graph_GetName(graph, &name));
  std::string key = name;
  const std::vector<const OrtValueInfo*> outputs =
      All<OrtValueInfo>(host, graph, host.api->Graph_GetNumOutputs, host.api->Graph_GetOutputs);
  for (const OrtValueInfo* output : outputs) {
    Check(host, host.api->GetValueInfoName(output, &name));
    key += '\n' + std::string(name);
  }
  return key;
}

OrtEnv* ProcessEnvironment(const Host& host) {
  OrtEnv* env = nullptr;  // a process has one; this counts a reference
  Check(host, host.api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "sim_npu", &env));
  return env;
}

}  // namespace

Ep::Ep(const Host& host, std::string name, const OrtSessionOptions* session)
    : OrtEp{},
      host_(host),
      name_(std::move(name)),
      options_(ReadOptions(host, session, name_)),
      env_(ProcessEnvironment(host), host.api->ReleaseEnv) {
  ort_version_supported = host.version;
  OrtEp::GetName = [](const OrtEp* self) noexcept { return static_cast<const Ep*>(self)->name_.c_str(); };
  OrtEp::GetCapability = [](OrtEp* self, const OrtGraph* graph, OrtEpGraphSupportInfo* info) noexcept {
    Ep* const ep = static_cast<Ep*>(self);
    return Guard(ep->host_, [&] { ep->Claim(graph, info); });
  };
  OrtEp::Compile = [](OrtEp* self, const OrtGraph** graphs, const OrtNode** fused, size_t count,
                      OrtNodeComputeInfo** infos, OrtNode** contexts) noexcept {
    Ep* const ep = static_cast<Ep*>(self);
    return Guard(ep->host_, [&] {
      const bool wanted = ep->options_.context_enable && contexts != nullptr;
      for (size_t i = 0; i < count; ++i) {
        infos[i] = ep->CompileGroup(graphs[i], fused[i], wanted ? &contexts[i] : nullptr);
      }
    });
  };
  OrtEp::ReleaseNodeComputeInfos = [](OrtEp*, OrtNodeComputeInfo** infos, size_t count) noexcept {
    for (size_t i = 0; i < count; ++i) {
      delete static_cast<Kernel*>(infos[i]);
    }
  };
  if (options_.fault == Fault::kPrint) {
    PrintJunk("session");
  }
}

bool Ep::Claims(const OrtNode* node, const NodeLabel& label) const {
  if (IsContext(label)) {
    return false;
  }
  if ((!options_.claim_all && !options_.claim.contains(label.op)) || options_.refuse.contains(label.op)) {
    return false;
  }
  // Calls of a model's own functions among others, which the delegate wouldn't have.
  if (!label.domain.empty() && label.domain != "ai.onnx" && label.domain != "com.microsoft") {
    return false;
  }
  size_t bodies = 0;
  Check(host_, host_.api->Node_GetNumSubgraphs(node, &bodies));
  if (bodies != 0 || !HasReadableAttributes(host_, node)) {
    return false;
  }
  std::vector<const OrtValueInfo*> values = Inputs(host_, node);
  const std::vector<const OrtValueInfo*> outputs = Outputs(host_, node);
  values.insert(values.end(), outputs.begin(), outputs.end());
  return std::all_of(values.begin(), values.end(), [&](const OrtValueInfo* info) {
    const Value value = info != nullptr ? ReadValue(host_, info) : Value{};
    if (value.name.empty()) {  // left out
      return true;
    }
    if (value.dtype == ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED || value.dtype == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
      return false;
    }
    const bool rank_known = value.has_shape || host_.version < 24;
    const bool open =
        !rank_known || std::any_of(value.shape.begin(), value.shape.end(), [](int64_t d) { return d < 0; });
    return !open || !options_.static_only;
  });
}

bool Ep::IsOwnContext(const OrtNode* node, const NodeLabel& label) const {
  return IsContext(label) && StringAttribute(host_, node, "source") == name_;
}

void Ep::Claim(const OrtGraph* graph, OrtEpGraphSupportInfo* info) {
  std::vector<NodeLabel> claimed;
  std::vector<NodeLabel> left;
  std::vector<const OrtNode*> group;
  // Nodes that follow each other in a topological order: no path leaves such a run and comes back.
  const auto fuse = [&] {
    if (group.empty()) {
      return;
    }
    OrtNodeFusionOptions fusion = {};
    fusion.ort_version_supported = host_.version;
    fusion.drop_constant_initializers = true;  // the delegate has copies
    Check(host_, host_.ep->EpGraphSupportInfo_AddNodesToFuse(info, group.data(), group.size(), &fusion));
    group.clear();
    has_groups_ = true;
  };
  // ONNX Runtime 1.23 numbers fused nodes from 0 in each graph, and trips over two of one name. Bodies come first.
  const bool refused = host_.version < 24 && (has_groups_ || LooksLikeBody(host_, graph));
  for (const OrtNode* node : Nodes(host_, graph)) {
    const NodeLabel label = Label(host_, node);
    if (IsTaken(host_, node)) {
      fuse();
      continue;
    }
    const bool context = IsOwnContext(node, label);
    if (refused || (!context && !Claims(node, label))) {
      fuse();
      left.push_back(label);
      continue;
    }
    if (context) {
      fuse();
      for (const NodeLabel& inner : ReadContextNode(host_, node).nodes) {
        claimed.push_back(inner);
      }
    } else {
      claimed.push_back(label);
    }
    group.push_back(node);
    if (context || options_.single) {
      fuse();
    }
  }
  fuse();
  if (!options_.vitisai_report.empty()) {
    report_.Place(GraphKey(host_, graph), claimed, left);
    report_.Write(options_.vitisai_report, options_.report_lies_cpu);
  }
}

OrtNodeComputeInfo* Ep::CompileGroup(const OrtGraph* graph, const OrtNode* fused, OrtNode** context) {
  const std::vector<const OrtNode*> nodes = Nodes(host_, graph);
  CompiledGroup group;
  if (nodes.size() == 1 && IsContext(Label(host_, nodes[0]))) {
    group = ReadContextNode(host_, nodes[0]);
  } else {
    for (const OrtNode* node : nodes) {
      group.nodes.push_back(Label(host_, node));
    }
    const Node node = ReadNode(host_, fused);
    group.inputs = node.inputs;
    group.outputs = node.outputs;
    group.model = Serialize(BuildDelegate(host_, options_, graph, fused));
  }
  auto kernel = std::make_unique<Kernel>(host_, options_, env_.get(), group, fused);
  if (!options_.qnn_folder.empty()) {
    WriteQnnGraph(options_.qnn_folder, compiled_, options_.report_lies_cpu ? std::vector<NodeLabel>() : group.nodes);
  }
  ++compiled_;
  if (context != nullptr) {
    *context = MakeContextNode(host_, name_, fused, group);
  }
  return kernel.release();
}

}  // namespace gomai::sim
