// Applying edits, second part: names, at every reader and in every entry. See edits.cc.
#include <algorithm>

#include "lib/graph/edits.h"

namespace gomai {
namespace {

// Sets a field of a proto only if it changes: touching an absent field would make it present, another byte string.
#define GOMAI_RENAME_FIELD(proto, field, scope)                                                  \
  do {                                                                                           \
    if (std::string renamed_ = RenamedIn(scope, (proto).field()); renamed_ != (proto).field()) { \
      (proto).set_##field(std::move(renamed_));                                                  \
    }                                                                                            \
  } while (false)

bool Holds(const google::protobuf::RepeatedPtrField<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

// A name that a pass gave: a new one stands as it is, one of the snapshot follows its value's rename.
std::string EditApplier::ExplicitName(ScopeId scope, const std::string& name) const {
  for (ScopeId at = scope; at != kNone; at = before_.scope(at).parent) {
    if (new_definitions_.contains({at, name})) {
      return name;
    }
    if (const ValueId value = before_.FindValue(at, name); value != kNone) {
      return std::string(FinalName(value));
    }
  }
  return name;
}

EditApplier::Read EditApplier::FinalRead(ValueId value) const {
  const auto read = reads_.find(value);
  return read != reads_.end() ? read->second : Read{std::string(FinalName(value)), before_.value(value).scope};
}

std::string EditApplier::RenamedIn(ScopeId scope, const std::string& name) const {
  const ValueId value = before_.Resolve(scope, name);
  return value == kNone ? name : std::string(FinalName(value));
}

void EditApplier::RewriteNode(NodeId id) {
  const Index::Node& before = before_.node(id);
  onnx::NodeProto& node = *node_lists_[static_cast<size_t>(before.scope)]->Mutable(before.position);
  const bool touched = edits_.nodes.contains(id) || !edits_.direct_notes.empty();
  if (edits_.renames.empty() && edits_.replacements.empty() && edits_.inputs.empty() && !touched) {
    for (int i = 0; i < node.input_size(); ++i) {
      if (const ValueId value = before.inputs[static_cast<size_t>(i)]; value != kNone) {
        applied_.expectations.push_back({&node, id, i, before_.value(value).scope});
      }
    }
    return;
  }
  for (onnx::NodeDeviceConfigurationProto& device : *node.mutable_device_configurations()) {
    for (onnx::ShardingSpecProto& sharding : *device.mutable_sharding_spec()) {
      GOMAI_RENAME_FIELD(sharding, tensor_name, before.scope);
    }
  }
  for (std::string& output : *node.mutable_output()) {
    if (Holds(before.proto->output(), output)) {
      output = RenamedIn(before.scope, output);
    }
  }
  RewriteInputs(id, node);
}

void EditApplier::RewriteInputs(NodeId id, onnx::NodeProto& node) {
  const Index::Node& before = before_.node(id);
  const auto first_set = edits_.inputs.lower_bound({id, 0});
  for (auto set = first_set; set != edits_.inputs.end() && set->first.first == id; ++set) {
    while (node.input_size() <= set->first.second && !set->second.empty()) {
      node.add_input();  // absent ones in between
    }
  }
  for (int i = 0; i < node.input_size(); ++i) {
    std::string& name = *node.mutable_input(i);
    if (const auto set = edits_.inputs.find({id, i}); set != edits_.inputs.end()) {
      std::string given = ExplicitName(before.scope, set->second);
      if (given != name) {
        const ValueId old = before_.Resolve(before.scope, name);
        if (old == kNone || FinalName(old) != given) {
          NoteNode(id, fmt::format("input {} \"{}\" -> \"{}\"", i, name, given));
        } else {
          ++changed_reads_[old];
        }
        name = std::move(given);
      }
      applied_.expectations.push_back({&node, id, i, kNone});
      continue;
    }
    if (name.empty()) {
      continue;
    }
    if (!Holds(before.proto->input(), name)) {  // given by MutableNode or directly
      name = ExplicitName(before.scope, name);
      applied_.expectations.push_back({&node, id, i, kNone});
      continue;
    }
    const ValueId value = before_.Resolve(before.scope, name);
    if (value == kNone) {
      continue;  // it was undefined before
    }
    Read read = FinalRead(value);
    if (read.name != name) {
      ++changed_reads_[value];
      name = std::move(read.name);
    }
    applied_.expectations.push_back({&node, id, i, read.scope});
  }
}

void EditApplier::RewriteScope(ScopeId id) {
  if (edits_.renames.empty() && edits_.replacements.empty()) {
    return;
  }
  if (onnx::GraphProto* graph = graphs_[static_cast<size_t>(id)]; graph != nullptr) {
    for (onnx::ValueInfoProto& input : *graph->mutable_input()) {
      GOMAI_RENAME_FIELD(input, name, id);
    }
    for (onnx::TensorProto& tensor : *graph->mutable_initializer()) {
      GOMAI_RENAME_FIELD(tensor, name, id);
    }
    for (onnx::SparseTensorProto& tensor : *graph->mutable_sparse_initializer()) {
      if (!tensor.values().name().empty()) {
        GOMAI_RENAME_FIELD(*tensor.mutable_values(), name, id);
      }
    }
    for (onnx::TensorAnnotation& annotation : *graph->mutable_quantization_annotation()) {
      GOMAI_RENAME_FIELD(annotation, tensor_name, id);
      for (onnx::StringStringEntryProto& entry : *annotation.mutable_quant_parameter_tensor_names()) {
        GOMAI_RENAME_FIELD(entry, value, id);
      }
    }
    RewriteInfos(id, *graph->mutable_value_info());
    for (onnx::ValueInfoProto& output : *graph->mutable_output()) {
      if (std::string name = OutputEntry(id, output.name()); name != output.name()) {
        output.set_name(std::move(name));
      }
    }
  } else {
    onnx::FunctionProto* function = functions_[static_cast<size_t>(id)];
    for (std::string& input : *function->mutable_input()) {
      input = RenamedIn(id, input);
    }
    RewriteInfos(id, *function->mutable_value_info());
    for (std::string& output : *function->mutable_output()) {
      output = OutputEntry(id, output);
    }
  }
}

// An output of the scope's own keeps its name unless the value is renamed; a body's output that names an outer value is
// a read of it.
std::string EditApplier::OutputEntry(ScopeId id, const std::string& name) {
  const ValueId value = before_.Resolve(id, name);
  if (value == kNone) {
    return name;
  }
  if (before_.value(value).scope == id) {
    if (edits_.replacements.contains(value)) {
      applied_.replaced_outputs.insert(value);
    }
    return std::string(FinalName(value));
  }
  Read read = FinalRead(value);
  changed_reads_[value] += read.name != name ? 1 : 0;
  return read.name;
}

// A value_info follows its value's rename, unless the new name already has an entry here (of the value whose name is
// taken over): two entries for one name would contradict each other sooner or later.
void EditApplier::RewriteInfos(ScopeId id, google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& infos) {
  if (edits_.renames.empty()) {
    return;
  }
  std::unordered_set<std::string> taken;
  std::vector<bool> renamed(static_cast<size_t>(infos.size()));
  for (int i = 0; i < infos.size(); ++i) {
    const std::string& name = infos.Get(i).name();
    const ValueId value = before_.FindValue(id, name);
    renamed[static_cast<size_t>(i)] = value != kNone && FinalName(value) != name;
    if (!renamed[static_cast<size_t>(i)]) {
      taken.insert(name);
    }
  }
  if (const onnx::GraphProto* graph = before_.scope(id).graph; graph != nullptr) {
    for (const auto* list : {&graph->input(), &graph->output()}) {
      for (const onnx::ValueInfoProto& info : *list) {
        taken.insert(RenamedIn(id, info.name()));
      }
    }
  }
  bool dropped = false;
  const std::vector<int> kept = KeptPlaces(infos, [&](int i) {
    if (!renamed[static_cast<size_t>(i)]) {
      return true;
    }
    onnx::ValueInfoProto& info = *infos.Mutable(i);
    GOMAI_RENAME_FIELD(info, name, id);
    const bool keep = !taken.contains(info.name());
    dropped = dropped || !keep;
    return keep;
  });
  if (dropped) {
    Reorder(infos, kept);
  }
}

// Training information names values of the main graph: in its bindings, and in the graphs that compute new weights from
// them.
void EditApplier::RewriteTraining() {
  if (edits_.renames.empty()) {
    return;
  }
  for (onnx::TrainingInfoProto& training : *work_.mutable_training_info()) {
    for (auto* bindings : {training.mutable_initialization_binding(), training.mutable_update_binding()}) {
      for (onnx::StringStringEntryProto& binding : *bindings) {
        GOMAI_RENAME_FIELD(binding, key, before_.main_scope());
      }
    }
    if (!training.has_algorithm()) {
      continue;
    }
    std::unordered_set<std::string> own;
    onnx::GraphProto& graph = *training.mutable_algorithm();
    for (const onnx::ValueInfoProto& input : graph.input()) {
      own.insert(input.name());
    }
    for (const onnx::TensorProto& tensor : graph.initializer()) {
      own.insert(tensor.name());
    }
    for (const onnx::NodeProto& node : graph.node()) {
      own.insert(node.output().begin(), node.output().end());
    }
    for (onnx::NodeProto& node : *graph.mutable_node()) {
      for (std::string& input : *node.mutable_input()) {
        if (!own.contains(input)) {
          input = RenamedIn(before_.main_scope(), input);
        }
      }
    }
  }
}

#undef GOMAI_RENAME_FIELD

}  // namespace gomai
