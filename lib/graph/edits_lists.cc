// Applying edits, third part: what is added to, erased from and put in order in the lists of a graph, and the lines
// that say so. See edits.cc.
#include <algorithm>

#include "lib/graph/edits.h"

namespace gomai {

void EditApplier::Note(ScopeId scope, LineKind kind, int position, std::string text) {
  applied_.lines.push_back({scope, kind, position, std::move(text)});
}

void EditApplier::NoteNode(NodeId id, std::string detail) { node_notes_[id].push_back(std::move(detail)); }

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
