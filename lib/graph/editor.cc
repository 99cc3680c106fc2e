// The editor's front: collects edits, and commits them.
//
// Commit works on a copy of the proto (weights aren't in it), so that a refusal leaves the model as it was and the
// snapshot's views stay valid while the edits are applied. What changed is read off the copy: edits.h notes a line only
// where a field took another value, and equal bytes mean an empty change set, whatever was called.
#include "lib/graph/editor.h"

#include <algorithm>

#include "lib/graph/edits.h"

namespace gomai {

Editor::Editor(Model& model) : model_(model), index_(model.proto()), edits_(std::make_unique<Edits>()) {}
Editor::~Editor() = default;

namespace {

template <typename List>
bool Has(const List& list, int32_t id) {
  return id >= 0 && static_cast<size_t>(id) < list.size();
}

}  // namespace

void Editor::EraseNode(NodeId node) {
  if (!Has(index_.nodes(), node)) {
    edits_->misuse.push_back(fmt::format("EraseNode: no node {}", node));
    return;
  }
  edits_->erased_nodes.insert(node);
}

void Editor::SetInput(NodeId node, int input, std::string name) {
  if (!Has(index_.nodes(), node) || input < 0) {
    edits_->misuse.push_back(fmt::format("SetInput: no input {} of node {}", input, node));
    return;
  }
  edits_->inputs.insert_or_assign({node, input}, std::move(name));
}

void Editor::InsertNode(ScopeId scope, onnx::NodeProto node, NodeId before) {
  if (!Has(index_.scopes(), scope) ||
      (before != kNone && (!Has(index_.nodes(), before) || index_.node(before).scope != scope))) {
    edits_->misuse.push_back(fmt::format("InsertNode: no place before node {} in scope {}", before, scope));
    return;
  }
  edits_->insertions.push_back({scope, before, std::move(node)});
}

void Editor::SortNodes(ScopeId scope) {
  if (!Has(index_.scopes(), scope)) {
    edits_->misuse.push_back(fmt::format("SortNodes: no scope {}", scope));
    return;
  }
  edits_->sorted_scopes.insert(scope);
}

onnx::NodeProto& Editor::MutableNode(NodeId node) {
  if (!Has(index_.nodes(), node)) {
    edits_->misuse.push_back(fmt::format("MutableNode: no node {}", node));
    return edits_->no_node;
  }
  std::unique_ptr<onnx::NodeProto>& copy = edits_->nodes[node];
  if (copy == nullptr) {
    copy = std::make_unique<onnx::NodeProto>(*index_.node(node).proto);
  }
  return *copy;
}

void Editor::ReplaceUses(ValueId value, std::string name) {
  if (!Has(index_.values(), value) || name.empty()) {
    edits_->misuse.push_back(fmt::format("ReplaceUses: no value {}, or no name to read instead", value));
    return;
  }
  edits_->replacements.insert_or_assign(value, std::move(name));
}

void Editor::RenameValue(ValueId value, std::string name) {
  if (!Has(index_.values(), value) || name.empty()) {
    edits_->misuse.push_back(fmt::format("RenameValue: no value {}, or an empty name", value));
    return;
  }
  edits_->renames.insert_or_assign(value, std::move(name));
}

void Editor::EraseInitializer(ValueId value) {
  if (!Has(index_.values(), value) ||
      (index_.value(value).initializer == nullptr && index_.value(value).sparse_initializer == nullptr)) {
    edits_->misuse.push_back(fmt::format("EraseInitializer: value {} has no initializer", value));
    return;
  }
  edits_->erased_initializers.insert(value);
}

onnx::TensorProto& Editor::MutableInitializer(ValueId value) {
  if (!Has(index_.values(), value) || index_.value(value).initializer == nullptr) {
    edits_->misuse.push_back(fmt::format("MutableInitializer: value {} has no dense initializer", value));
    return edits_->no_tensor;
  }
  std::unique_ptr<onnx::TensorProto>& copy = edits_->initializers[value];
  if (copy == nullptr) {
    copy = std::make_unique<onnx::TensorProto>(*index_.value(value).initializer);
  }
  return *copy;
}

void Editor::AddInitializer(ScopeId scope, onnx::TensorProto tensor) {
  if (!Has(index_.scopes(), scope) || index_.scope(scope).graph == nullptr || tensor.name().empty()) {
    edits_->misuse.push_back(
        fmt::format("AddInitializer: '{}' needs a name and a graph; functions hold no initializers", tensor.name()));
    return;
  }
  edits_->added_initializers.emplace_back(scope, std::move(tensor));
}

void Editor::EraseValueInfo(ScopeId scope, std::string name) {
  if (!Has(index_.scopes(), scope)) {
    edits_->misuse.push_back(fmt::format("EraseValueInfo: no scope {}", scope));
    return;
  }
  edits_->erased_infos.insert({scope, std::move(name)});
}

void Editor::EraseFunction(ScopeId function) {
  if (!Has(index_.scopes(), function) || index_.scope(function).function == nullptr) {
    edits_->misuse.push_back(fmt::format("EraseFunction: scope {} is no function", function));
    return;
  }
  edits_->erased_functions.insert(function);
}

void Editor::AddGraphOutput(onnx::ValueInfoProto info) { edits_->added_outputs.push_back(std::move(info)); }

onnx::ModelProto& Editor::MutableModel(std::string what) {
  if (edits_->direct == nullptr) {
    edits_->direct = std::make_unique<onnx::ModelProto>(model_.proto());
  }
  if (std::find(edits_->direct_notes.begin(), edits_->direct_notes.end(), what) == edits_->direct_notes.end()) {
    edits_->direct_notes.push_back(std::move(what));
  }
  return *edits_->direct;
}

std::string Editor::FreshName(std::string_view stem) {
  std::unordered_set<std::string>& taken = edits_->names;
  if (taken.empty()) {
    taken.insert("");
    for (const Index::Value& value : index_.values()) {
      taken.emplace(value.name);
    }
    for (const Index::Node& node : index_.nodes()) {
      taken.insert(node.proto->name());
      taken.insert(node.proto->input().begin(), node.proto->input().end());
    }
    for (const Index::Scope& scope : index_.scopes()) {
      if (scope.graph != nullptr) {
        for (const auto* list : {&scope.graph->output(), &scope.graph->value_info()}) {
          for (const onnx::ValueInfoProto& info : *list) {
            taken.insert(info.name());
          }
        }
      }
    }
  }
  std::string name(stem);
  for (int& suffix = edits_->next_suffix[name]; !taken.insert(name).second;) {
    name = fmt::format("{}_{}", stem, ++suffix);
  }
  return name;
}

absl::StatusOr<ChangeSet> Editor::Commit() {
  ChangeSet changes;
  const std::unique_ptr<Edits> edits = std::exchange(edits_, std::make_unique<Edits>());
  if (!edits->misuse.empty()) {
    return InvalidArgument("{}", edits->misuse.front());
  }
  if (!edits->HasEdits() && edits->direct == nullptr) {
    return changes;
  }
  const std::string original = model_.proto().SerializePartialAsString();
  const bool direct_changes = edits->direct != nullptr && edits->direct->SerializePartialAsString() != original;
  std::unique_ptr<onnx::ModelProto> work =
      edits->direct != nullptr ? std::move(edits->direct) : std::make_unique<onnx::ModelProto>(model_.proto());
  EditApplier applier(index_, *edits, *work);
  GOMAI_RETURN_IF_ERROR(applier.Apply());
  {
    const Index after(*work);
    GOMAI_RETURN_IF_ERROR(CheckEdited(index_, after, applier.applied()));
    GOMAI_RETURN_IF_ERROR(RepairOrder(index_, after, edits->sorted_scopes, applier.applied()).status());
  }
  if (work->SerializePartialAsString() == original) {
    return changes;
  }
  if (direct_changes) {
    changes.lines = edits->direct_notes;
  }
  std::vector<ChangeLine>& lines = applier.applied().lines;
  std::stable_sort(lines.begin(), lines.end(), [](const ChangeLine& a, const ChangeLine& b) {
    return std::tie(a.scope, a.kind, a.position) < std::tie(b.scope, b.kind, b.position);
  });
  for (ChangeLine& line : lines) {
    changes.lines.push_back(std::move(line.text));
  }
  GOMAI_CHECK(!changes.lines.empty());  // every change has its line
  model_.mutable_proto().Swap(work.get());
  index_ = Index(model_.proto());
  return changes;
}

}  // namespace gomai
