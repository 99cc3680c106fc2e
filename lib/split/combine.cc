// Combining models; see combine.h. The first model stays whole, so that fields newer than this code survive; lists of
// the others are moved behind its own.
#include "lib/split/combine.h"

#include <fmt/ranges.h>

#include "lib/graph/editor.h"
#include "lib/model/domain.h"
#include "lib/model/files.h"
#include "lib/model/same.h"
#include "lib/model/save.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

template <typename List>
void MoveAll(List* from, List* to) {
  to->Reserve(to->size() + from->size());
  for (auto& element : *from) {
    to->Add(std::move(element));
  }
}

template <typename Holder>
void MergeMetadata(const Holder& from, const std::string& name, std::string_view where, const Diagnostics& diagnostics,
                   Holder* to) {
  for (const onnx::StringStringEntryProto& entry : from.metadata_props()) {
    const onnx::StringStringEntryProto* present = nullptr;
    for (const onnx::StringStringEntryProto& other : to->metadata_props()) {
      if (other.key() == entry.key()) {
        present = &other;
      }
    }
    if (present == nullptr) {
      *to->add_metadata_props() = entry;
    } else if (present->value() != entry.value()) {
      diagnostics.Warn(name, "its {}metadata '{}' is '{}', and '{}' in an earlier model, which is kept", where,
                       entry.key(), entry.value().substr(0, 60), present->value().substr(0, 60));
    }
  }
}

onnx::ModelProto Fragment(const onnx::NodeProto& node) {
  onnx::ModelProto model;
  *model.mutable_graph()->add_node() = node;
  return model;
}

onnx::ModelProto Fragment(const onnx::FunctionProto& function) {
  onnx::ModelProto model;
  *model.add_functions() = function;
  return model;
}

onnx::ModelProto Fragment(const onnx::SparseTensorProto& tensor) {
  onnx::ModelProto model;
  *model.mutable_graph()->add_sparse_initializer() = tensor;
  return model;
}

}  // namespace

// What the added model has of what is there already.
struct Combiner::Doubles {
  std::unordered_set<ValueId> values;
  std::unordered_set<std::string> names;  // of these values
  std::unordered_set<int> nodes;          // positions in the main graph
};

absl::Status Combiner::Add(Model given, const CombineOptions& options) {
  Model model = std::move(given);
  renamed_.clear();
  GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> data_files, ExternalLocations(model));
  if (!data_files.empty() && !SameFolder(model.folder(), folder_)) {
    GOMAI_ASSIGN_OR_RETURN(model, Internalised(model));
  }
  Doubles doubles;
  {
    Editor editor(model);
    if (added_ > 0 && options.fold_constants) {
      GOMAI_ASSIGN_OR_RETURN(doubles, FindDoubles(model, editor.index()));
    }
    GOMAI_RETURN_IF_ERROR(Rename(editor, options, doubles));
  }
  if (added_ > 0) {
    GOMAI_RETURN_IF_ERROR(CheckOpsets(model.proto(), options));
    GOMAI_RETURN_IF_ERROR(AddFunctions(model, options));
  } else {
    for (int i = 0; i < model.proto().functions_size(); ++i) {
      const onnx::FunctionProto& function = model.proto().functions(i);
      functions_[FunctionKey(function.domain(), function.name(), function.overload())] = i;
    }
  }
  sources_.Adopt(model);
  {
    const Index index(model.proto());
    Remember(index);
  }
  Append(model.mutable_proto(), options, doubles);
  ++added_;
  return absl::OkStatus();
}

absl::Status Combiner::CheckOpsets(const onnx::ModelProto& model, const CombineOptions& options) {
  std::vector<std::string> differences;
  for (const onnx::OperatorSetIdProto& opset : model.opset_import()) {
    const onnx::OperatorSetIdProto* present = nullptr;
    for (const onnx::OperatorSetIdProto& other : proto_.opset_import()) {
      if (NormalDomain(other.domain()) == NormalDomain(opset.domain())) {
        present = &other;
      }
    }
    if (present == nullptr) {
      *proto_.add_opset_import() = opset;
    } else if (present->version() != opset.version()) {
      differences.push_back(
          fmt::format("{} {}, not {}", DomainText(opset.domain()), opset.version(), present->version()));
    }
  }
  if (!differences.empty()) {
    return InvalidArgument(
        "{} imports the opset {}, as the models before it; one model can import one version only, so bring them "
        "to one first (models by --convert-opset N, anything by gomai-opt's pass convert-opset)",
        options.name, fmt::join(differences, ", "));
  }
  proto_.set_ir_version(std::max(proto_.ir_version(), model.ir_version()));
  return absl::OkStatus();
}

absl::Status Combiner::AddFunctions(Model& model, const CombineOptions& options) {
  for (onnx::FunctionProto& function : *model.mutable_proto().mutable_functions()) {
    const std::string key = FunctionKey(function.domain(), function.name(), function.overload());
    const auto [present, is_new] = functions_.emplace(key, proto_.functions_size());
    if (is_new) {
      *proto_.add_functions() = std::move(function);
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const bool same, SameFragment(Fragment(function), model,
                                                         Fragment(proto_.functions(present->second)), sources_));
    if (!same) {
      return InvalidArgument(
          "{} has a function {} of its own that differs from an earlier model's; inline or rename one of them first",
          options.name, function.name());
    }
  }
  return absl::OkStatus();
}

// Constants of equal name and content: an initializer, or a node all of whose inputs are such.
absl::StatusOr<Combiner::Doubles> Combiner::FindDoubles(const Model& model, const Index& index) const {
  Doubles doubles;
  const auto add = [&](ValueId value) {
    doubles.values.insert(value);
    doubles.names.emplace(index.value(value).name);
  };
  const onnx::GraphProto& graph = model.proto().graph();
  const onnx::GraphProto& present = proto_.graph();
  for (const onnx::TensorProto& tensor : graph.initializer()) {
    if (const auto other = initializers_.find(tensor.name()); other != initializers_.end()) {
      GOMAI_ASSIGN_OR_RETURN(const bool same, SameTensor(tensor, model, present.initializer(other->second), sources_));
      if (same) {
        add(index.FindValue(index.main_scope(), tensor.name()));
      }
    }
  }
  for (const onnx::SparseTensorProto& tensor : graph.sparse_initializer()) {
    if (const auto other = sparse_initializers_.find(tensor.values().name()); other != sparse_initializers_.end()) {
      GOMAI_ASSIGN_OR_RETURN(
          const bool same,
          SameFragment(Fragment(tensor), model, Fragment(present.sparse_initializer(other->second)), sources_));
      if (same) {
        add(index.FindValue(index.main_scope(), tensor.values().name()));
      }
    }
  }
  for (const NodeId id : index.scope(index.main_scope()).nodes) {
    const Index::Node& node = index.node(id);
    if (!index.IsConstantNode(id)) {
      continue;
    }
    const auto is_double = [&](ValueId value) { return value == kNone || doubles.values.contains(value); };
    const onnx::NodeProto* other = nullptr;
    for (const std::string& output : node.proto->output()) {
      if (const auto found = constant_nodes_.find(output); !output.empty() && found != constant_nodes_.end()) {
        other = &present.node(found->second);
      }
    }
    if (other == nullptr || !std::all_of(node.inputs.begin(), node.inputs.end(), is_double) ||
        !std::all_of(node.captures.begin(), node.captures.end(), is_double)) {
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const bool same, SameFragment(Fragment(*node.proto), model, Fragment(*other), sources_));
    if (same) {
      doubles.nodes.insert(node.position);
      for (const ValueId output : node.outputs) {
        if (output != kNone) {
          add(output);
        }
      }
    }
  }
  return doubles;
}

absl::Status Combiner::Rename(Editor& editor, const CombineOptions& options, const Doubles& doubles) {
  const Index& index = editor.index();
  std::unordered_set<std::string_view> own;
  for (const Index::Value& value : index.values()) {
    own.insert(value.name);
  }
  std::unordered_set<std::string> made;
  const auto fresh = [&](std::string_view name) {
    const std::string stem = options.prefix + std::string(name);
    std::string candidate = stem;
    for (int i = 1; own.contains(candidate) || made.contains(candidate) || outer_names_.contains(candidate) ||
                    inner_names_.contains(candidate) || options.reserved.contains(candidate);
         ++i) {
      candidate = fmt::format("{}_{}", stem, i);
    }
    made.insert(candidate);
    return candidate;
  };
  for (size_t i = 0; i < index.values().size(); ++i) {
    const auto id = static_cast<ValueId>(i);
    const Index::Value& value = index.value(id);
    const Index::Scope& scope = index.scope(value.scope);
    if (value.origin == Index::Origin::kUndefined || scope.graph == nullptr || doubles.values.contains(id)) {
      continue;
    }
    const std::string name(value.name);
    const bool outer = value.scope == index.main_scope();
    if (const auto feed = options.connects.find(name); outer && feed != options.connects.end()) {
      if (feed->second != name) {
        editor.RenameValue(id, feed->second);
        renamed_[name] = feed->second;
      }
    } else if (outer_names_.contains(name) || options.reserved.contains(name) ||
               (outer && inner_names_.contains(name))) {
      const std::string other = fresh(name);
      editor.RenameValue(id, other);
      if (outer) {
        renamed_[name] = other;
      }
    }
  }
  const absl::StatusOr<ChangeSet> changes = editor.Commit();
  return changes.ok() ? absl::OkStatus() : Annotate(changes.status(), options.name);
}

void Combiner::PrefixNodes(onnx::GraphProto& graph, const CombineOptions& options) const {
  std::vector<onnx::GraphProto*> graphs{&graph};
  while (!graphs.empty()) {
    onnx::GraphProto& current = *graphs.back();
    graphs.pop_back();
    for (onnx::NodeProto& node : *current.mutable_node()) {
      if (node_names_.contains(node.name())) {
        node.set_name(options.prefix + node.name());
      }
      for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
        if (attribute.has_g()) {
          graphs.push_back(attribute.mutable_g());
        }
        for (onnx::GraphProto& body : *attribute.mutable_graphs()) {
          graphs.push_back(&body);
        }
      }
    }
  }
}

void Combiner::Remember(const Index& index) {
  for (const Index::Value& value : index.values()) {
    const Index::Scope& scope = index.scope(value.scope);
    if (scope.graph != nullptr) {
      (value.scope == index.main_scope() ? outer_names_ : inner_names_).emplace(value.name);
    }
  }
}

void Combiner::Append(onnx::ModelProto& model, const CombineOptions& options, const Doubles& doubles) {
  if (options.prefix_nodes) {
    PrefixNodes(*model.mutable_graph(), options);
  }
  onnx::GraphProto added;
  if (added_ == 0) {
    proto_ = std::move(model);
    added.mutable_node()->Swap(graph().mutable_node());
    added.mutable_initializer()->Swap(graph().mutable_initializer());
    added.mutable_sparse_initializer()->Swap(graph().mutable_sparse_initializer());
    added.mutable_quantization_annotation()->Swap(graph().mutable_quantization_annotation());
  } else {
    added.Swap(model.mutable_graph());
    MergeMetadata(model, options.name, "", diagnostics_, &proto_);
    MergeMetadata(added, options.name, "graph's ", diagnostics_, &graph());
    MoveAll(model.mutable_training_info(), proto_.mutable_training_info());
    std::unordered_set<std::string_view> connected;
    for (const auto& [input, feed] : options.connects) {
      connected.insert(feed);
    }
    for (onnx::ValueInfoProto& input : *added.mutable_input()) {
      if (!connected.contains(input.name()) && !doubles.names.contains(input.name())) {
        *graph().add_input() = std::move(input);
      }
    }
    MoveAll(added.mutable_output(), graph().mutable_output());
    for (onnx::ValueInfoProto& info : *added.mutable_value_info()) {
      if (!doubles.names.contains(info.name())) {
        *graph().add_value_info() = std::move(info);
      }
    }
  }
  for (int i = 0; i < added.node_size(); ++i) {
    if (doubles.nodes.contains(i)) {
      continue;
    }
    onnx::NodeProto& node = *added.mutable_node(i);
    node_names_.insert(node.name());
    for (const std::string& output : node.output()) {
      constant_nodes_.emplace(output, graph().node_size());
    }
    *graph().add_node() = std::move(node);
    node_origin_.push_back(added_);
  }
  for (onnx::TensorProto& tensor : *added.mutable_initializer()) {
    if (!doubles.names.contains(tensor.name())) {
      initializers_.emplace(tensor.name(), graph().initializer_size());
      *graph().add_initializer() = std::move(tensor);
      initializer_origin_.push_back(added_);
    }
  }
  for (onnx::SparseTensorProto& tensor : *added.mutable_sparse_initializer()) {
    if (!doubles.names.contains(tensor.values().name())) {
      sparse_initializers_.emplace(tensor.values().name(), graph().sparse_initializer_size());
      *graph().add_sparse_initializer() = std::move(tensor);
    }
  }
  for (onnx::TensorAnnotation& annotation : *added.mutable_quantization_annotation()) {
    if (annotated_.insert(annotation.tensor_name()).second) {
      *graph().add_quantization_annotation() = std::move(annotation);
    }
  }
  node_names_.erase("");
}

std::string Combiner::NameNow(const std::string& name) const {
  const auto renamed = renamed_.find(name);
  return renamed == renamed_.end() ? name : renamed->second;
}

Model Combiner::Finish() && {
  Model model = Model::FromProto(std::move(proto_), folder_);
  model.Adopt(sources_);
  return model;
}

}  // namespace gomai
