// Applies collected edits to a working copy of the proto.
//
// Names are the difficulty: in ONNX a reader names what it reads, so a rename or a replacement is a change at every
// reader, in every scope where the name means that value. The snapshot's index says what each input meant; each input
// is rewritten by that, and what it must mean afterwards is written down (Expectation) for CheckEdited to compare.
// Nodes are erased and inserted last, by swaps, so their protos keep their addresses and can be recognised.
#include "lib/graph/edits.h"

#include <algorithm>

#include "lib/graph/describe.h"

namespace gomai {
namespace {

template <typename Proto>
bool SameBytes(const Proto& a, const Proto& b) {
  return a.SerializePartialAsString() == b.SerializePartialAsString();
}

}  // namespace

EditApplier::EditApplier(const Index& before, Editor::Edits& edits, onnx::ModelProto& work)
    : before_(before),
      edits_(edits),
      work_(work),
      erased_(before.nodes().size()),
      gone_(before.scopes().size()),
      graphs_(before.scopes().size()),
      functions_(before.scopes().size()),
      node_lists_(applied_.node_lists) {
  node_lists_.resize(before.scopes().size());
}

absl::Status EditApplier::Apply() {
  if (!edits_.HasEdits()) {
    return absl::OkStatus();  // direct changes alone: the working copy is the result
  }
  GOMAI_RETURN_IF_ERROR(BindScopes());
  GOMAI_RETURN_IF_ERROR(CheckEditsReachable());
  CollectNewNames();
  ResolveReplacements();
  for (NodeId id = 0; id < static_cast<NodeId>(before_.nodes().size()); ++id) {
    if (!IsErased(id) && !gone_[static_cast<size_t>(before_.node(id).scope)]) {
      RewriteNode(id);
    }
  }
  for (ScopeId id = 0; id < static_cast<ScopeId>(before_.scopes().size()); ++id) {
    if (!gone_[static_cast<size_t>(id)]) {
      RewriteScope(id);
      EditInitializers(id);
      EraseInfos(id);
      EraseAndInsertNodes(id);
    }
  }
  RewriteTraining();
  EraseFunctions();
  GOMAI_RETURN_IF_ERROR(AddOutputs());
  AddValueLines();
  return absl::OkStatus();
}

// Finds every scope of the snapshot in the working copy, outer ones first; merges the nodes that MutableNode copied on
// the way, since a merge decides whether the bodies in a node are still those that the snapshot knows.
absl::Status EditApplier::BindScopes() {
  for (const NodeId id : edits_.erased_nodes) {
    erased_[static_cast<size_t>(id)] = true;
  }
  int function = 0;
  for (ScopeId id = 0; id < static_cast<ScopeId>(before_.scopes().size()); ++id) {
    const auto at = static_cast<size_t>(id);
    const Index::Scope& scope = before_.scope(id);
    const NodeList* original = nullptr;
    const void* identity = nullptr;
    if (scope.function != nullptr) {
      if (function >= work_.functions_size()) {
        return InvalidArgument("a direct change of the functions can't be committed together with other edits");
      }
      onnx::FunctionProto& proto = *work_.mutable_functions(function++);
      functions_[at] = &proto;
      node_lists_[at] = proto.mutable_node();
      original = &scope.function->node();
      identity = &proto;
      if (edits_.erased_functions.contains(id)) {
        gone_[at] = true;
        for (const NodeId node : scope.nodes) {
          erased_[static_cast<size_t>(node)] = true;
        }
        continue;
      }
    } else if (scope.owner == kNone) {
      // An absent graph stays absent: nothing in it can be edited.
      graphs_[at] = work_.has_graph() || !edits_.added_initializers.empty() || !edits_.added_outputs.empty() ||
                            !edits_.insertions.empty()
                        ? work_.mutable_graph()
                        : nullptr;
      if (graphs_[at] == nullptr) {
        gone_[at] = true;
        continue;
      }
      identity = graphs_[at];
    } else {
      const Index::Node& owner = before_.node(scope.owner);
      const auto outer = static_cast<size_t>(owner.scope);
      if (gone_[outer] || IsErased(scope.owner)) {
        gone_[at] = true;
        for (const NodeId node : scope.nodes) {
          erased_[static_cast<size_t>(node)] = erased_[static_cast<size_t>(node)] || IsErased(scope.owner);
        }
        continue;
      }
      onnx::AttributeProto* attribute = nullptr;
      if (const auto copy = edits_.nodes.find(scope.owner); copy != edits_.nodes.end()) {
        const auto entry = moved_.find({scope.owner, scope.attribute_position});
        attribute = entry == moved_.end() ? nullptr : entry->second;
      } else {
        onnx::NodeProto& node = *node_lists_[outer]->Mutable(owner.position);
        attribute = scope.attribute_position < node.attribute_size() ? node.mutable_attribute(scope.attribute_position)
                                                                     : nullptr;
        if (attribute == nullptr ||
            (scope.attribute_index < 0 ? !attribute->has_g() : scope.attribute_index >= attribute->graphs_size())) {
          return InvalidArgument("{}: a direct change of bodies can't be committed together with other edits",
                                 before_.Describe(scope.owner));
        }
      }
      if (attribute == nullptr) {  // the copy brought another body
        gone_[at] = true;
        continue;
      }
      graphs_[at] =
          scope.attribute_index < 0 ? attribute->mutable_g() : attribute->mutable_graphs(scope.attribute_index);
      identity = graphs_[at];
    }
    if (graphs_[at] != nullptr) {
      node_lists_[at] = graphs_[at]->mutable_node();
      original = &scope.graph->node();
    }
    if (node_lists_[at]->size() != original->size()) {
      return InvalidArgument("{}: a direct change of its nodes can't be committed together with other edits",
                             before_.ScopeName(id));
    }
    applied_.old_scope.emplace(identity, id);
    for (const NodeId node : scope.nodes) {
      if (!IsErased(node)) {
        if (edits_.nodes.contains(node)) {
          GOMAI_RETURN_IF_ERROR(MergeNode(node));
        }
        applied_.old_node.emplace(node_lists_[at]->Mutable(before_.node(node).position), node);
      }
    }
  }
  return absl::OkStatus();
}

// Puts MutableNode's copy in place. Attributes with bodies that the copy left as they were keep the working copy's
// protos, where edits of inner nodes land.
absl::Status EditApplier::MergeNode(NodeId id) {
  const Index::Node& node = before_.node(id);
  onnx::NodeProto& target = *node_lists_[static_cast<size_t>(node.scope)]->Mutable(node.position);
  onnx::NodeProto& copy = *edits_.nodes.at(id);
  const bool changed = !SameBytes(copy, *node.proto);
  if (changed && edits_.direct_notes.size() > 0 && !SameBytes(target, *node.proto)) {
    return InvalidArgument("{}: changed directly and through MutableNode; do one of both", before_.Describe(id));
  }
  if (changed) {
    for (const std::string& detail : DescribeNodeChanges(*node.proto, copy)) {
      NoteNode(id, detail);
    }
  }
  std::map<int, int> kept;  // attribute with bodies in the original -> in the copy
  for (const ScopeId body : node.bodies) {
    const int position = before_.scope(body).attribute_position;
    if (kept.contains(position)) {
      continue;
    }
    const onnx::AttributeProto& original = node.proto->attribute(position);
    for (int i = 0; i < copy.attribute_size(); ++i) {
      if (copy.attribute(i).name() == original.name() && (!changed || SameBytes(copy.attribute(i), original))) {
        kept.emplace(position, i);
        break;
      }
    }
  }
  if (changed) {
    for (const auto& [position, place] : kept) {
      copy.mutable_attribute(place)->Swap(target.mutable_attribute(position));
    }
    target.Swap(&copy);
  }
  for (const auto& [position, place] : kept) {
    moved_[{id, position}] = target.mutable_attribute(changed ? place : position);
  }
  return absl::OkStatus();
}

// Edits inside a body that a copy replaced would be lost.
absl::Status EditApplier::CheckEditsReachable() const {
  const auto check = [this](ScopeId scope, const std::string& what) -> absl::Status {
    for (ScopeId at = scope; at != kNone && gone_[static_cast<size_t>(at)]; at = before_.scope(at).parent) {
      const NodeId owner = before_.scope(at).owner;
      if (owner != kNone && IsErased(owner)) {
        return absl::OkStatus();  // went away with it, as asked
      }
      if (edits_.erased_functions.contains(at)) {
        return absl::OkStatus();
      }
    }
    if (gone_[static_cast<size_t>(scope)]) {
      return InvalidArgument("{} is edited, but MutableNode gave an enclosing node another body; do one of both", what);
    }
    return absl::OkStatus();
  };
  for (const NodeId id : edits_.erased_nodes) {
    GOMAI_RETURN_IF_ERROR(check(before_.node(id).scope, before_.Describe(id)));
  }
  for (const auto& [key, name] : edits_.inputs) {
    GOMAI_RETURN_IF_ERROR(check(before_.node(key.first).scope, before_.Describe(key.first)));
  }
  for (const auto& [id, copy] : edits_.nodes) {
    GOMAI_RETURN_IF_ERROR(check(before_.node(id).scope, before_.Describe(id)));
  }
  for (const auto& insertion : edits_.insertions) {
    GOMAI_RETURN_IF_ERROR(check(insertion.scope, before_.ScopeName(insertion.scope)));
  }
  for (const auto& [id, name] : edits_.renames) {
    GOMAI_RETURN_IF_ERROR(check(before_.value(id).scope, before_.ScopeName(before_.value(id).scope)));
  }
  for (const auto& [scope, tensor] : edits_.added_initializers) {
    GOMAI_RETURN_IF_ERROR(check(scope, before_.ScopeName(scope)));
  }
  for (const auto& [id, tensor] : edits_.initializers) {
    GOMAI_RETURN_IF_ERROR(check(before_.value(id).scope, before_.ScopeName(before_.value(id).scope)));
  }
  return absl::OkStatus();
}

void EditApplier::CollectNewNames() {
  const auto add = [this](ScopeId scope, const std::string& name) {
    if (!name.empty()) {
      new_definitions_.insert({scope, name});
      applied_.new_names.insert(name);
    }
  };
  for (const auto& insertion : edits_.insertions) {
    for (const std::string& output : insertion.node.output()) {
      add(insertion.scope, output);
    }
  }
  for (const auto& [scope, tensor] : edits_.added_initializers) {
    add(scope, tensor.name());
  }
  for (const auto& [id, copy] : edits_.nodes) {
    const Index::Node& node = before_.node(id);
    if (IsErased(id) || gone_[static_cast<size_t>(node.scope)]) {
      continue;
    }
    // MergeNode put the changed copy into place.
    for (const std::string& output : node_lists_[static_cast<size_t>(node.scope)]->Get(node.position).output()) {
      if (std::find(node.proto->output().begin(), node.proto->output().end(), output) == node.proto->output().end()) {
        add(node.scope, output);
      }
    }
  }
  for (const auto& [id, name] : edits_.renames) {
    applied_.new_names.insert(name);
  }
}

// Chains of replacements, each followed once: what was found for the end holds for all on the way.
void EditApplier::ResolveReplacements() {
  for (const auto& [start, unused] : edits_.replacements) {
    std::vector<ValueId> path;
    std::set<ValueId> on_path;
    Read read;
    ValueId at = start;
    while (true) {
      if (const auto known = reads_.find(at); known != reads_.end()) {
        read = known->second;
        break;
      }
      const auto replacement = edits_.replacements.find(at);
      if (replacement == edits_.replacements.end()) {
        read = {std::string(FinalName(at)), before_.value(at).scope};
        break;
      }
      path.push_back(at);
      on_path.insert(at);
      const ScopeId scope = before_.value(at).scope;
      const ValueId next =
          new_definitions_.contains({scope, replacement->second}) ? kNone : before_.Resolve(scope, replacement->second);
      if (next == kNone) {
        read = {replacement->second, kNone};
        break;
      }
      if (on_path.contains(next)) {
        // A ring, e.g. a swap: each replacement is meant as it stands.
        for (const ValueId member : path) {
          const ValueId target = before_.Resolve(before_.value(member).scope, edits_.replacements.at(member));
          reads_[member] = {std::string(FinalName(target)), before_.value(target).scope};
        }
        path.clear();
        break;
      }
      at = next;
    }
    for (const ValueId member : path) {
      reads_[member] = read;
    }
  }
}

std::string_view EditApplier::FinalName(ValueId id) const {
  const auto rename = edits_.renames.find(id);
  return rename == edits_.renames.end() ? before_.value(id).name : std::string_view(rename->second);
}

}  // namespace gomai
