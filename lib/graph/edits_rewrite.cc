// The second half of applying edits: names inside nodes and graphs, entries, and the node lists. See edits.cc.
#include <algorithm>
#include <numeric>

#include "lib/graph/describe.h"
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

// The places of the elements to keep, for Reorder.
template <typename Field, typename Keep>
std::vector<int> KeptPlaces(const Field& field, Keep keep) {
  std::vector<int> places;
  for (int i = 0; i < field.size(); ++i) {
    if (keep(i)) {
      places.push_back(i);
    }
  }
  return places;
}

}  // namespace

void EditApplier::Note(ScopeId scope, LineKind kind, int position, std::string text) {
  applied_.lines.push_back({scope, kind, position, std::move(text)});
}

void EditApplier::NoteNode(NodeId id, std::string detail) { node_notes_[id].push_back(std::move(detail)); }

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
    RewriteInfos(id, *graph);
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
    for (onnx::ValueInfoProto& info : *function->mutable_value_info()) {
      GOMAI_RENAME_FIELD(info, name, id);
    }
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
void EditApplier::RewriteInfos(ScopeId id, onnx::GraphProto& graph) {
  if (edits_.renames.empty()) {
    return;
  }
  std::unordered_set<std::string> taken;
  std::vector<bool> renamed(static_cast<size_t>(graph.value_info_size()));
  for (int i = 0; i < graph.value_info_size(); ++i) {
    const std::string& name = graph.value_info(i).name();
    const ValueId value = before_.FindValue(id, name);
    renamed[static_cast<size_t>(i)] = value != kNone && FinalName(value) != name;
    if (!renamed[static_cast<size_t>(i)]) {
      taken.insert(name);
    }
  }
  for (const auto* list : {&graph.input(), &graph.output()}) {
    for (const onnx::ValueInfoProto& info : *list) {
      taken.insert(RenamedIn(id, info.name()));
    }
  }
  bool dropped = false;
  const std::vector<int> kept = KeptPlaces(graph.value_info(), [&](int i) {
    if (!renamed[static_cast<size_t>(i)]) {
      return true;
    }
    onnx::ValueInfoProto& info = *graph.mutable_value_info(i);
    GOMAI_RENAME_FIELD(info, name, id);
    const bool keep = !taken.contains(info.name());
    dropped = dropped || !keep;
    return keep;
  });
  if (dropped) {
    Reorder(*graph.mutable_value_info(), kept);
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

void EditApplier::EditInitializers(ScopeId id) {
  onnx::GraphProto* graph = graphs_[static_cast<size_t>(id)];
  if (graph == nullptr) {
    return;
  }
  std::unordered_map<std::string_view, ValueId> edited;  // by name after renames
  for (const auto& [value, tensor] : edits_.initializers) {
    if (before_.value(value).scope == id) {
      edited.emplace(FinalName(value), value);
    }
  }
  std::unordered_set<std::string_view> erased;
  for (const ValueId value : edits_.erased_initializers) {
    if (before_.value(value).scope == id) {
      erased.insert(FinalName(value));
      edited.erase(FinalName(value));
      Note(id, kInitializerLine, 0, fmt::format("erased initializer {}", before_.value(value).name));
    }
  }
  if (!edited.empty()) {
    for (onnx::TensorProto& tensor : *graph->mutable_initializer()) {
      const auto entry = edited.find(tensor.name());
      if (entry == edited.end()) {
        continue;
      }
      onnx::TensorProto& copy = *edits_.initializers.at(entry->second);
      copy.set_name(tensor.name());  // renaming is RenameValue's
      if (copy.SerializePartialAsString() != tensor.SerializePartialAsString()) {
        tensor.Swap(&copy);
        Note(id, kInitializerLine, 1, fmt::format("changed initializer {}", tensor.name()));
      }
    }
  }
  if (!erased.empty()) {
    Reorder(*graph->mutable_initializer(),
            KeptPlaces(graph->initializer(), [&](int i) { return !erased.contains(graph->initializer(i).name()); }));
    Reorder(*graph->mutable_sparse_initializer(), KeptPlaces(graph->sparse_initializer(), [&](int i) {
      return !erased.contains(graph->sparse_initializer(i).values().name());
    }));
  }
  for (auto& [scope, tensor] : edits_.added_initializers) {
    if (scope != id) {
      continue;
    }
    Note(id, kInitializerLine, 2, fmt::format("added initializer {}", tensor.name()));
    if (work_.ir_version() > 0 && work_.ir_version() < 4) {
      // Up to IR 3 initializers must be graph inputs as well.
      onnx::ValueInfoProto& input = *graph->add_input();
      input.set_name(tensor.name());
      input.mutable_type()->mutable_tensor_type()->set_elem_type(tensor.data_type());
      onnx::TensorShapeProto& shape = *input.mutable_type()->mutable_tensor_type()->mutable_shape();
      for (const int64_t dim : tensor.dims()) {
        shape.add_dim()->set_dim_value(dim);
      }
    }
    graph->add_initializer()->Swap(&tensor);
  }
}

void EditApplier::EraseInfos(ScopeId id) {
  std::unordered_set<std::string> names;
  for (auto entry = edits_.erased_infos.lower_bound({id, ""}); entry != edits_.erased_infos.end() && entry->first == id;
       ++entry) {
    names.insert(RenamedIn(id, entry->second));
  }
  if (names.empty()) {
    return;
  }
  const auto erase = [&](google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>& infos) {
    const std::vector<int> kept = KeptPlaces(infos, [&](int i) {
      const bool keep = !names.contains(infos.Get(i).name());
      if (!keep) {
        Note(id, kInfoLine, i, fmt::format("erased value_info {}", infos.Get(i).name()));
      }
      return keep;
    });
    if (static_cast<int>(kept.size()) != infos.size()) {
      Reorder(infos, kept);
    }
  };
  if (onnx::GraphProto* graph = graphs_[static_cast<size_t>(id)]; graph != nullptr) {
    erase(*graph->mutable_value_info());
    return;
  }
  erase(*functions_[static_cast<size_t>(id)]->mutable_value_info());
}

void EditApplier::EraseAndInsertNodes(ScopeId id) {
  google::protobuf::RepeatedPtrField<onnx::NodeProto>& list = *node_lists_[static_cast<size_t>(id)];
  const std::vector<NodeId>& nodes = before_.scope(id).nodes;
  std::map<int, std::vector<int>> inserted;  // before which old position; where in the list they were put
  for (auto& insertion : edits_.insertions) {
    if (insertion.scope != id) {
      continue;
    }
    const int position =
        insertion.before == kNone ? static_cast<int>(nodes.size()) : before_.node(insertion.before).position;
    for (std::string& input : *insertion.node.mutable_input()) {
      input = ExplicitName(id, input);
    }
    const std::string& label = !insertion.node.name().empty()     ? insertion.node.name()
                               : insertion.node.output_size() > 0 ? insertion.node.output(0)
                                                                  : insertion.node.op_type();
    Note(id, kNodeLine, position, fmt::format("inserted node {} ({})", label, insertion.node.op_type()));
    inserted[position].push_back(list.size());
    list.Add()->Swap(&insertion.node);
  }
  bool erases = false;
  std::vector<int> order;
  order.reserve(static_cast<size_t>(list.size()));
  for (int position = 0; position <= static_cast<int>(nodes.size()); ++position) {
    if (const auto entry = inserted.find(position); entry != inserted.end()) {
      order.insert(order.end(), entry->second.begin(), entry->second.end());
    }
    if (position == static_cast<int>(nodes.size())) {
      break;
    }
    const NodeId node = nodes[static_cast<size_t>(position)];
    if (!IsErased(node)) {
      order.push_back(position);
    } else {
      erases = true;
      Note(id, kNodeLine, position, fmt::format("erased node {}", before_.Describe(node)));
    }
  }
  if (erases || !inserted.empty()) {
    Reorder(list, order);
  }
}

// Last, since positions in the list are how functions are found until then.
void EditApplier::EraseFunctions() {
  if (edits_.erased_functions.empty()) {
    return;
  }
  std::vector<int> kept;
  int position = 0;
  for (ScopeId id = 0; id < static_cast<ScopeId>(before_.scopes().size()); ++id) {
    const onnx::FunctionProto* function = before_.scope(id).function;
    if (function == nullptr) {
      continue;
    }
    if (edits_.erased_functions.contains(id)) {
      Note(id, kFunctionLine, position, fmt::format("erased {}", before_.ScopeName(id)));
      applied_.erased_functions.insert(FunctionKey(function->domain(), function->name(), function->overload()));
    } else {
      kept.push_back(position);
    }
    ++position;
  }
  Reorder(*work_.mutable_functions(), kept);
}

#undef GOMAI_RENAME_FIELD

absl::Status EditApplier::AddOutputs() {
  for (onnx::ValueInfoProto& info : edits_.added_outputs) {
    onnx::GraphProto& graph = *graphs_[static_cast<size_t>(before_.main_scope())];
    info.set_name(ExplicitName(before_.main_scope(), info.name()));
    for (const onnx::ValueInfoProto& output : graph.output()) {
      if (output.name() == info.name()) {
        return InvalidArgument("'{}' is an output already", info.name());
      }
    }
    if (!new_definitions_.contains({before_.main_scope(), info.name()}) &&
        !std::any_of(edits_.renames.begin(), edits_.renames.end(), [&](const auto& rename) {
          return rename.second == info.name() && before_.value(rename.first).scope == before_.main_scope();
        })) {
      GOMAI_RETURN_IF_ERROR(before_.RequireValue(info.name()).status());
    }
    Note(before_.main_scope(), kOutputLine, graph.output_size(), fmt::format("added output {}", info.name()));
    graph.add_output()->Swap(&info);
  }
  return absl::OkStatus();
}

// Did the value's definition go away with its node or graph?
bool EditApplier::IsGone(ValueId id) const {
  const Index::Value& value = before_.value(id);
  return gone_[static_cast<size_t>(value.scope)] || (value.producer != kNone && IsErased(value.producer)) ||
         (value.origin == Index::Origin::kInitializer && edits_.erased_initializers.contains(id));
}

void EditApplier::AddValueLines() {
  const auto plural = [](int count) { return count == 1 ? "1 use" : fmt::format("{} uses", count); };
  for (const auto& [id, details] : node_notes_) {
    Note(before_.node(id).scope, kNodeLine, before_.node(id).position,
         fmt::format("changed node {}: {}", before_.Describe(id), fmt::join(details, ", ")));
  }
  for (const auto& [id, name] : edits_.renames) {
    const Index::Value& value = before_.value(id);
    if (name != value.name && !IsGone(id)) {
      const auto count = changed_reads_.find(id);
      const int uses = count == changed_reads_.end() || edits_.replacements.contains(id) ? 0 : count->second;
      Note(value.scope, kValueLine, id, fmt::format("renamed {} -> {} ({})", value.name, name, plural(uses)));
    }
  }
  for (const auto& [id, name] : edits_.replacements) {
    if (const auto count = changed_reads_.find(id); count != changed_reads_.end()) {
      Note(before_.value(id).scope, kValueLine, id,
           fmt::format("replaced {} by {} ({})", before_.value(id).name, reads_.at(id).name, plural(count->second)));
    }
  }
}

}  // namespace gomai
