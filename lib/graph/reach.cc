// Places that name values without being inputs of nodes; see reach.h. Training graphs are looked through whole:
// whatever name occurs there may be one of the main graph's.
#include "lib/graph/reach.h"

#include <algorithm>

namespace gomai {
namespace {

class Holders {
 public:
  Holders(const onnx::ModelProto& model, const Index& index) : index_(index), held_(index.values().size()) {
    for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
      const Index::Scope& scope = index.scope(id);
      if (scope.graph != nullptr) {
        for (const onnx::ValueInfoProto& output : scope.graph->output()) {
          if (index.FindValue(id, output.name()) == kNone) {
            Hold(id, output.name());
          }
        }
        for (const onnx::TensorAnnotation& annotation : scope.graph->quantization_annotation()) {
          Hold(id, annotation.tensor_name());
          for (const onnx::StringStringEntryProto& parameter : annotation.quant_parameter_tensor_names()) {
            Hold(id, parameter.value());
          }
        }
      }
      for (const NodeId node : scope.nodes) {
        for (const onnx::NodeDeviceConfigurationProto& device : index.node(node).proto->device_configurations()) {
          for (const onnx::ShardingSpecProto& sharding : device.sharding_spec()) {
            Hold(id, sharding.tensor_name());
          }
        }
      }
    }
    for (const onnx::TrainingInfoProto& training : model.training_info()) {
      HoldTraining(training);
    }
  }

  std::vector<bool> Take() { return std::move(held_); }

 private:
  void Hold(ScopeId scope, const std::string& name) {
    if (const ValueId value = name.empty() ? kNone : index_.Resolve(scope, name); value != kNone) {
      held_[static_cast<size_t>(value)] = true;
    }
  }

  void HoldTraining(const onnx::TrainingInfoProto& training) {
    for (const auto* bindings : {&training.initialization_binding(), &training.update_binding()}) {
      for (const onnx::StringStringEntryProto& binding : *bindings) {
        Hold(index_.main_scope(), binding.key());
        Hold(index_.main_scope(), binding.value());
      }
    }
    std::vector<const onnx::GraphProto*> graphs = {&training.initialization(), &training.algorithm()};
    while (!graphs.empty()) {
      const onnx::GraphProto& graph = *graphs.back();
      graphs.pop_back();
      for (const onnx::ValueInfoProto& output : graph.output()) {
        Hold(index_.main_scope(), output.name());
      }
      for (const onnx::NodeProto& node : graph.node()) {
        for (const std::string& input : node.input()) {
          Hold(index_.main_scope(), input);
        }
        for (const onnx::AttributeProto& attribute : node.attribute()) {
          if (attribute.has_g()) {
            graphs.push_back(&attribute.g());
          }
          for (const onnx::GraphProto& body : attribute.graphs()) {
            graphs.push_back(&body);
          }
        }
      }
    }
  }

  const Index& index_;
  std::vector<bool> held_;
};

}  // namespace

std::vector<bool> HeldByName(const onnx::ModelProto& model, const Index& index) { return Holders(model, index).Take(); }

bool ReadersSee(const Index& index, ValueId value, ValueId other) {
  const std::string_view name = index.value(other).name;
  const std::vector<Index::Use>& uses = index.value(value).uses;
  return std::all_of(uses.begin(), uses.end(),
                     [&](const Index::Use& use) { return index.Resolve(index.node(use.node).scope, name) == other; });
}

}  // namespace gomai
