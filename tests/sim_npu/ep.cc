// See ep.h.
#include "tests/sim_npu/ep.h"

#include <algorithm>
#include <exception>
#include <filesystem>
#include <fstream>
#include <utility>

#include "tests/sim_npu/kernel.h"
#include "tests/sim_npu/model_writer.h"

namespace sim_npu {
namespace {

constexpr const char* kContextOp = "EPContext";
constexpr const char* kContextDomain = "com.microsoft";

template <typename Work>
OrtStatus* Guarded(Work work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const std::exception& error) {
    return Ort::GetApi().CreateStatus(ORT_EP_FAIL, error.what());
  }
}

bool IsStatic(Ort::ConstValueInfo value) {
  const auto type = value.TypeInfo();
  if (type.GetONNXType() != ONNX_TYPE_TENSOR) {
    return false;
  }
  const std::vector<int64_t> shape = type.GetTensorTypeAndShapeInfo().GetShape();
  return std::all_of(shape.begin(), shape.end(), [](int64_t dim) { return dim >= 0; });
}

std::string StringAttribute(Ort::ConstNode node, const std::string& name) {
  std::string value;
  for (const Ort::ConstOpAttr& attribute : node.GetAttributes()) {
    if (attribute.GetName() == name && !attribute.GetValue(value).IsOK()) {
      value.clear();
    }
  }
  return value;
}

bool IsContext(Ort::ConstNode node) {
  return node.GetOperatorType() == kContextOp && node.GetDomain() == kContextDomain;
}

// A compiled group as ONNX Runtime keeps it.
OrtNode* ContextNode(Ort::ConstNode fused, const std::string& ep, const std::string& model) {
  std::vector<std::string> inputs, outputs;
  for (const Ort::ConstValueInfo& input : fused.GetInputs()) {
    inputs.push_back(input.GetName());
  }
  for (const Ort::ConstValueInfo& output : fused.GetOutputs()) {
    outputs.push_back(output.GetName());
  }
  const int64_t one = 1;
  const std::string name = fused.GetName();
  std::vector<Ort::OpAttr> attributes;
  attributes.emplace_back("ep_cache_context", model.data(), static_cast<int>(model.size()), ORT_OP_ATTR_STRING);
  attributes.emplace_back("embed_mode", &one, 1, ORT_OP_ATTR_INT);
  attributes.emplace_back("main_context", &one, 1, ORT_OP_ATTR_INT);
  attributes.emplace_back("source", ep.data(), static_cast<int>(ep.size()), ORT_OP_ATTR_STRING);
  attributes.emplace_back("partition_name", name.data(), static_cast<int>(name.size()), ORT_OP_ATTR_STRING);
  Ort::Node node(kContextOp, kContextDomain, name, inputs, outputs, attributes);
  return node.release();
}

}  // namespace

Ep::Ep(Options options, uint32_t api_version) : OrtEp{}, options_(std::move(options)), api_version_(api_version) {
  ort_version_supported = api_version;
  GetName = [](const OrtEp* self) noexcept { return static_cast<const Ep*>(self)->options_.ep.c_str(); };
  OrtEp::GetCapability = [](OrtEp* self, const OrtGraph* graph, OrtEpGraphSupportInfo* info) noexcept {
    return Guarded([&] { static_cast<Ep*>(self)->GetCapability(Ort::ConstGraph{graph}, info); });
  };
  OrtEp::Compile = [](OrtEp* self, const OrtGraph** graphs, const OrtNode** fused, size_t count,
                      OrtNodeComputeInfo** compiled, OrtNode** contexts) noexcept {
    return Guarded([&] { static_cast<Ep*>(self)->Compile(graphs, fused, count, compiled, contexts); });
  };
  ReleaseNodeComputeInfos = [](OrtEp*, OrtNodeComputeInfo** compiled, size_t count) noexcept {
    for (size_t i = 0; i < count; ++i) {
      delete static_cast<Kernel*>(compiled[i]);
    }
  };
}

bool Ep::Claims(Ort::ConstNode node) const {
  if (IsContext(node)) {
    return StringAttribute(node, "source") == options_.ep;
  }
  const std::string op = node.GetOperatorType();
  if (!node.GetSubgraphs().empty() || !node.GetEpName().empty() || options_.refuse.contains(op) ||
      (!options_.claim.contains("*") && !options_.claim.contains(op))) {
    return false;
  }
  if (!options_.static_only) {
    return true;
  }
  const auto fixed = [](const std::vector<Ort::ConstValueInfo>& values) {
    return std::all_of(values.begin(), values.end(),
                       [](const Ort::ConstValueInfo& value) { return !value || IsStatic(value); });
  };
  return fixed(node.GetInputs()) && fixed(node.GetOutputs());
}

// Neighbours in the topological order may be one group: nothing outside lies between them.
void Ep::GetCapability(Ort::ConstGraph graph, OrtEpGraphSupportInfo* info) {
  std::vector<const OrtNode*> group;
  const auto flush = [&] {
    if (!group.empty()) {
      OrtNodeFusionOptions fusion{};
      fusion.ort_version_supported = api_version_;
      fusion.drop_constant_initializers = true;
      Ort::ThrowOnError(Ort::GetEpApi().EpGraphSupportInfo_AddNodesToFuse(info, group.data(), group.size(), &fusion));
      group.clear();
    }
  };
  for (const Ort::ConstNode& node : graph.GetNodes()) {
    ++seen_;
    if (!Claims(node)) {
      flush();
      continue;
    }
    ++claimed_;
    claimed_ops_.push_back(node.GetOperatorType());
    group.push_back(node);
    if (options_.single || IsContext(node)) {
      flush();
    }
  }
  flush();
  WriteReports();
}

void Ep::Compile(const OrtGraph** graphs, const OrtNode** fused, size_t count, OrtNodeComputeInfo** compiled,
                 OrtNode** contexts) {
  for (size_t i = 0; i < count; ++i) {
    const Ort::ConstGraph graph{graphs[i]};
    bool faulty = options_.fault_node.empty() && options_.fault_op.empty();
    std::string model;
    for (const Ort::ConstNode& node : graph.GetNodes()) {
      faulty =
          faulty || (!options_.fault_node.empty() && node.GetName().find(options_.fault_node) != std::string::npos);
      faulty = faulty || (!options_.fault_op.empty() && node.GetOperatorType() == options_.fault_op);
      if (IsContext(node)) {
        model = StringAttribute(node, "ep_cache_context");
      }
    }
    FailCompiling(options_, faulty);
    if (model.empty()) {
      model = WriteModel(graph, options_);
    }
    const Ort::ConstNode node{fused[i]};
    compiled[i] = new Kernel(options_, env_, api_version_, model, node, faulty);
    if (options_.write_context && contexts != nullptr) {
      contexts[i] = ContextNode(node, options_.ep, model);
    }
  }
}

// In the form of the vendors' own: what is on the NPU, and what isn't.
void Ep::WriteReports() const {
  const size_t npu = options_.report_lies ? 0 : claimed_;
  if (!options_.report_file.empty()) {
    std::filesystem::create_directories(std::filesystem::path(options_.report_file).parent_path());
    std::ofstream(options_.report_file) << "{\"deviceStat\":[{\"name\":\"all\",\"nodeNum\":" << seen_
                                        << ",\"supportedOpType\":[]},{\"name\":\"CPU\",\"nodeNum\":" << seen_ - npu
                                        << ",\"supportedOpType\":[]},{\"name\":\"NPU\",\"nodeNum\":" << npu
                                        << ",\"supportedOpType\":[]}]}\n";
  }
  if (!options_.graph_folder.empty() && npu > 0) {
    std::filesystem::create_directories(options_.graph_folder);
    std::ofstream file(options_.graph_folder + "/sim_graph_0.json");
    file << "{\"graph\":{\"nodes\":{";
    for (size_t i = 0; i < claimed_ops_.size(); ++i) {
      file << (i == 0 ? "" : ",") << "\"node_" << i << "\":{\"type\":\"" << claimed_ops_[i] << "\"}";
    }
    file << "}}}\n";
  }
}

}  // namespace sim_npu
