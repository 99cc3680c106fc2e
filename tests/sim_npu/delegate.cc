#include "tests/sim_npu/delegate.h"

#include <cmath>
#include <map>
#include <set>

#include "tests/sim_npu/graph.h"

namespace gomai::sim {
namespace {

constexpr int kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;

// HardSigmoid with the constants of a hard swish. Real compilers that have this fault look at the bits of alpha, so
// that 0.16666 gets by.
bool IsHalfOfHardSwish(const Node& node) {
  float alpha = 0.2F;
  float beta = 0.5F;
  for (const Attribute& attribute : node.attributes) {
    if (const float* const value = std::get_if<float>(&attribute.value); value != nullptr) {
      (attribute.name == "alpha" ? alpha : beta) = *value;
    }
  }
  return node.op == "HardSigmoid" && std::abs(alpha - 1.0F / 6) < 1e-6F && std::abs(beta - 0.5F) < 1e-6F;
}

class Builder {
 public:
  Builder(const Host& host, const Options& options) : host_(host), options_(options) {}

  PlainModel Build(const OrtGraph* graph, const OrtNode* fused) {
    for (const OrtValueInfo* input : Inputs(host_, fused)) {
      model_.inputs.push_back(ReadValue(host_, input));
      known_.insert(model_.inputs.back().name);
    }
    for (const OrtValueInfo* output : Outputs(host_, fused)) {
      model_.outputs.push_back(ReadValue(host_, output));
      outputs_.insert(model_.outputs.back().name);
    }
    std::set<std::string> domains = {""};
    for (const OrtNode* handle : Nodes(host_, graph)) {
      Node node = ReadNode(host_, handle);
      node.attributes = ReadAttributes(host_, handle);
      domains.insert(node.domain);
      AddConstants(Inputs(host_, handle));
      known_.insert(node.outputs.begin(), node.outputs.end());
      AddNode(std::move(node), Outputs(host_, handle));
    }
    ReadVersions(graph, domains);
    return std::move(model_);
  }

 private:
  // A graph's list of initializers lacks those of the graphs around it; its nodes' inputs know them.
  void AddConstants(const std::vector<const OrtValueInfo*>& inputs) {
    for (const OrtValueInfo* input : inputs) {
      const char* name = "";
      if (input != nullptr) {
        Check(host_, host_.api->GetValueInfoName(input, &name));
      }
      if (*name == '\0' || known_.contains(name)) {
        continue;
      }
      const OrtValue* value = nullptr;
      Check(host_, host_.api->ValueInfo_GetInitializerValue(input, &value));
      if (value != nullptr) {
        model_.initializers.push_back(ReadTensor(host_, value, name));
        known_.insert(name);
      }
    }
  }

  void AddNode(Node node, const std::vector<const OrtValueInfo*>& outputs) {
    if (options_.hardsigmoid_bug) {
      Break(node);
    }
    const int narrow = options_.round == Round::kFp16   ? ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16
                       : options_.round == Round::kBf16 ? ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16
                                                        : 0;
    std::vector<std::string> rounded;
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (narrow != 0 && !node.outputs[i].empty() && ReadValue(host_, outputs[i]).dtype == kFloat) {
        rounded.push_back(node.outputs[i]);
        node.outputs[i] += "__exact";
      }
    }
    model_.nodes.push_back(std::move(node));
    for (const std::string& name : rounded) {
      AddCast(name + "__exact", name + "__narrow", narrow);
      AddCast(name + "__narrow", name, kFloat);
    }
  }

  void AddCast(const std::string& from, const std::string& to, int dtype) {
    model_.nodes.push_back({to + "__cast", "Cast", "", {from}, {to}, {{"to", int64_t{dtype}}}});
  }

  // x * HardSigmoid(x) becomes x * x * HardSigmoid(x) where the HardSigmoid is the group's own affair.
  void Break(Node& node) {
    if (IsHalfOfHardSwish(node) && !outputs_.contains(node.outputs[0])) {
      hard_sigmoid_of_[node.outputs[0]] = node.inputs[0];
    }
    if (node.op != "Mul") {
      return;
    }
    for (const size_t side : {0, 1}) {
      const auto found = hard_sigmoid_of_.find(node.inputs[side]);
      if (found != hard_sigmoid_of_.end() && found->second == node.inputs[1 - side]) {
        const std::string squared = node.outputs[0] + "__squared";
        model_.nodes.push_back({squared, "Mul", "", {found->second, found->second}, {squared}, {}});
        node.inputs[1 - side] = squared;
        return;
      }
    }
  }

  // The library lists all operator sets that it has, not those that the model asks for alone.
  void ReadVersions(const OrtGraph* graph, const std::set<std::string>& domains) {
    Check(host_, host_.api->Graph_GetOnnxIRVersion(graph, &model_.ir_version));
    size_t count = 0;
    Check(host_, host_.api->Graph_GetNumOperatorSets(graph, &count));
    std::vector<const char*> names(count);
    std::vector<int64_t> versions(count);
    Check(host_, host_.api->Graph_GetOperatorSets(graph, names.data(), versions.data(), count));
    for (size_t i = 0; i < count; ++i) {
      if (domains.contains(names[i])) {
        model_.opsets.emplace_back(names[i], versions[i]);
      }
    }
  }

  const Host& host_;
  const Options& options_;
  PlainModel model_;
  std::set<std::string> known_;    // values that are there: inputs, constants, nodes' outputs
  std::set<std::string> outputs_;  // the group's
  std::map<std::string, std::string> hard_sigmoid_of_;
};

}  // namespace

PlainModel BuildDelegate(const Host& host, const Options& options, const OrtGraph* graph, const OrtNode* fused) {
  return Builder(host, options).Build(graph, fused);
}

}  // namespace gomai::sim
