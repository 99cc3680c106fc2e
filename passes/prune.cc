// prune: what no output of the model depends on.
//
// Need spreads from the model's outputs backwards, through bodies and into functions that needed nodes call; each value
// and node is visited once, so the cost is linear. A body's outputs are needed as soon as its node is: dropping one
// would change the node's own outputs. What a body captures is needed only if a needed node in it reads it.
#include <algorithm>
#include <unordered_map>

#include "lib/pass/pass.h"

namespace gomai {
namespace {

struct Settings {
  bool nodes = true;
  bool initializers = true;
  bool functions = true;
  bool value_info = true;
};

class Needs {
 public:
  Needs(const onnx::ModelProto& model, const Index& index, const Settings& settings)
      : model_(model),
        index_(index),
        settings_(settings),
        values_(index.values().size()),
        nodes_(index.nodes().size()),
        scopes_(index.scopes().size()) {
    for (const Index::Scope& scope : index.scopes()) {
      if (scope.graph != nullptr) {
        annotations_.emplace_back();
        for (const onnx::TensorAnnotation& annotation : scope.graph->quantization_annotation()) {
          annotations_.back().emplace(annotation.tensor_name(), &annotation);
        }
      } else {
        annotations_.emplace_back();
      }
    }
    NeedScope(index.main_scope());
    NeedForTraining();
    for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
      if (index.scope(id).function != nullptr && !settings.functions) {
        NeedScope(id);
      }
    }
    while (!work_.empty()) {
      const NodeId node = work_.back();
      work_.pop_back();
      Visit(node);
    }
  }

  bool Value(ValueId id) const { return values_[static_cast<size_t>(id)]; }
  bool Node(NodeId id) const { return nodes_[static_cast<size_t>(id)]; }
  bool Scope(ScopeId id) const { return scopes_[static_cast<size_t>(id)]; }

 private:
  void NeedScope(ScopeId id) {
    if (scopes_[static_cast<size_t>(id)]) {
      return;
    }
    scopes_[static_cast<size_t>(id)] = true;
    const Index::Scope& scope = index_.scope(id);
    if (scope.graph != nullptr) {
      for (const onnx::ValueInfoProto& output : scope.graph->output()) {
        NeedValue(index_.Resolve(id, output.name()));
      }
    } else {
      for (const std::string& output : scope.function->output()) {
        NeedValue(index_.Resolve(id, output));
      }
    }
    for (const NodeId node : scope.nodes) {
      // A node without outputs can only be there for what it does.
      if (!settings_.nodes || index_.node(node).proto->output_size() == 0) {
        NeedNode(node);
      }
    }
  }

  void NeedNode(NodeId id) {
    if (!nodes_[static_cast<size_t>(id)]) {
      nodes_[static_cast<size_t>(id)] = true;
      work_.push_back(id);
    }
  }

  void NeedValue(ValueId start) {
    // Annotations may lead from value to value, so with a stack.
    std::vector<ValueId> values = {start};
    while (!values.empty()) {
      const ValueId id = values.back();
      values.pop_back();
      if (id == kNone || values_[static_cast<size_t>(id)]) {
        continue;
      }
      values_[static_cast<size_t>(id)] = true;
      const Index::Value& value = index_.value(id);
      if (value.producer != kNone) {
        NeedNode(value.producer);
      }
      const auto& annotations = annotations_[static_cast<size_t>(value.scope)];
      for (auto [entry, end] = annotations.equal_range(value.name); entry != end; ++entry) {
        for (const onnx::StringStringEntryProto& parameter : entry->second->quant_parameter_tensor_names()) {
          values.push_back(index_.Resolve(value.scope, parameter.value()));
        }
      }
    }
  }

  void Visit(NodeId id) {
    const Index::Node& node = index_.node(id);
    for (const ValueId input : node.inputs) {
      NeedValue(input);
    }
    for (const ScopeId body : node.bodies) {
      NeedScope(body);
    }
    if (const ScopeId function = index_.CalledFunction(*node.proto); function != kNone) {
      NeedScope(function);
    }
  }

  // Training graphs read values of the main graph by name; whatever name occurs there is taken for needed.
  void NeedForTraining() {
    const auto need = [this](const std::string& name) { NeedValue(index_.FindValue(index_.main_scope(), name)); };
    std::vector<const onnx::GraphProto*> graphs;
    for (const onnx::TrainingInfoProto& training : model_.training_info()) {
      graphs.push_back(&training.initialization());
      graphs.push_back(&training.algorithm());
      for (const auto* bindings : {&training.initialization_binding(), &training.update_binding()}) {
        for (const onnx::StringStringEntryProto& binding : *bindings) {
          need(binding.key());
          need(binding.value());
        }
      }
    }
    while (!graphs.empty()) {
      const onnx::GraphProto& graph = *graphs.back();
      graphs.pop_back();
      for (const onnx::ValueInfoProto& output : graph.output()) {
        need(output.name());
      }
      for (const onnx::NodeProto& node : graph.node()) {
        for (const std::string& input : node.input()) {
          need(input);
        }
        if (const ScopeId function = index_.CalledFunction(node); function != kNone) {
          NeedScope(function);
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

  using Annotations = std::unordered_multimap<std::string_view, const onnx::TensorAnnotation*>;
  const onnx::ModelProto& model_;
  const Index& index_;
  const Settings& settings_;
  std::vector<bool> values_;
  std::vector<bool> nodes_;
  std::vector<bool> scopes_;
  std::vector<Annotations> annotations_;  // by ScopeId
  std::vector<NodeId> work_;
};

// Quantization annotations of values that are gone, in every graph. They may hold the last mention of a scale.
template <typename Stays>
void EraseAnnotations(PassContext& context, Stays stays) {
  const Index& index = context.index();
  int64_t stale = 0;
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    if (const onnx::GraphProto* graph = index.scope(id).graph; graph != nullptr) {
      for (const onnx::TensorAnnotation& annotation : graph->quantization_annotation()) {
        stale += stays(id, annotation.tensor_name()) ? 0 : 1;
      }
    }
  }
  if (stale == 0) {
    return;
  }
  onnx::ModelProto& work = context.editor().MutableModel(
      fmt::format("erased {} quantization annotation{} of values that are gone", stale, stale == 1 ? "" : "s"));
  // Each scope's nodes in the working copy, outer scopes first, to reach the bodies in them.
  std::vector<google::protobuf::RepeatedPtrField<onnx::NodeProto>*> nodes;
  int function = 0;
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    const Index::Scope& scope = index.scope(id);
    onnx::GraphProto* graph = nullptr;
    if (scope.function != nullptr) {
      nodes.push_back(work.mutable_functions(function++)->mutable_node());
      continue;
    }
    if (scope.owner == kNone) {
      graph = work.mutable_graph();
    } else {
      const Index::Node& owner = index.node(scope.owner);
      onnx::AttributeProto& attribute = *nodes[static_cast<size_t>(owner.scope)]
                                             ->Mutable(owner.position)
                                             ->mutable_attribute(scope.attribute_position);
      graph = scope.attribute_index < 0 ? attribute.mutable_g() : attribute.mutable_graphs(scope.attribute_index);
    }
    nodes.push_back(graph->mutable_node());
    auto& annotations = *graph->mutable_quantization_annotation();
    annotations.erase(
        std::remove_if(annotations.begin(), annotations.end(),
                       [&](const onnx::TensorAnnotation& annotation) { return !stays(id, annotation.tensor_name()); }),
        annotations.end());
  }
}

absl::Status Run(PassContext& context) {
  const PassOptions& options = context.options();
  const Settings settings = {.nodes = options.Bool("nodes"),
                             .initializers = options.Bool("initializers"),
                             .functions = options.Bool("functions"),
                             .value_info = options.Bool("value-info")};
  const Index& index = context.index();
  Editor& editor = context.editor();
  const Needs needs(context.model().proto(), index, settings);
  const auto scopes = static_cast<ScopeId>(index.scopes().size());
  // Is `name` still defined in this scope afterwards?
  const auto defined = [&](ScopeId id, std::string_view name) {
    const ValueId value_id = index.FindValue(id, name);
    if (value_id == kNone) {
      return false;
    }
    const Index::Value& value = index.value(value_id);
    switch (value.origin) {
      case Index::Origin::kNode:
        return needs.Node(value.producer);
      case Index::Origin::kInitializer:
        return !settings.initializers || needs.Value(value_id);
      default:
        return true;
    }
  };
  for (ScopeId id = 0; id < scopes; ++id) {
    const Index::Scope& scope = index.scope(id);
    if (!needs.Scope(id)) {
      if (scope.function != nullptr && settings.functions) {
        editor.EraseFunction(id);
      }
      continue;  // goes with its function or node
    }
    for (const NodeId node : scope.nodes) {
      if (!needs.Node(node)) {
        editor.EraseNode(node);
      }
    }
    const auto check_info = [&](const auto& infos) {
      for (const onnx::ValueInfoProto& info : infos) {
        if (settings.value_info && !defined(id, info.name())) {
          editor.EraseValueInfo(id, info.name());
        }
      }
    };
    if (scope.function != nullptr) {
      check_info(scope.function->value_info());
      continue;
    }
    check_info(scope.graph->value_info());
    const auto check_initializer = [&](const std::string& name) {
      const ValueId value = index.FindValue(id, name);
      if (value != kNone && index.value(value).origin == Index::Origin::kInitializer && !defined(id, name)) {
        editor.EraseInitializer(value);
      }
    };
    for (const onnx::TensorProto& tensor : scope.graph->initializer()) {
      check_initializer(tensor.name());
    }
    for (const onnx::SparseTensorProto& tensor : scope.graph->sparse_initializer()) {
      check_initializer(tensor.values().name());
    }
  }
  if (settings.value_info) {
    // Scopes that go with their node or function take theirs along; an annotation may name a captured value.
    EraseAnnotations(context, [&](ScopeId id, std::string_view name) {
      const ValueId value = index.Resolve(id, name);
      return !needs.Scope(id) || (value != kNone && defined(index.value(value).scope, name));
    });
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& PrunePass() {
  static const PassInfo info = {
      .name = "prune",
      .summary = "remove what no output depends on",
      .description =
          "Removes nodes, initializers (dense and sparse), value descriptions and functions that nothing needs: those "
          "that no output of the model, or of a body that is needed itself, depends on. Bodies and functions are "
          "pruned "
          "as the main graph is, and an initializer that only a body reads is needed.\n\n"
          "Model inputs stay, and so do initializers that are inputs too, since a caller may give another value; "
          "outputs of bodies; nodes without outputs; what training information refers to. Value descriptions and "
          "quantization annotations of names that nothing defines are removed with the others.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .options =
          {
              {.name = "nodes", .type = OptionType::kBool, .default_value = "true", .help = "remove nodes"},
              {.name = "initializers",
               .type = OptionType::kBool,
               .default_value = "true",
               .help = "remove initializers"},
              {.name = "functions",
               .type = OptionType::kBool,
               .default_value = "true",
               .help = "remove functions that no needed node calls"},
              {.name = "value-info",
               .type = OptionType::kBool,
               .default_value = "true",
               .help = "remove descriptions and annotations of values that are gone"},
          },
      .examples = {"prune", "prune{nodes=false}"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
