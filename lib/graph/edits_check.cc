// What Commit refuses, and the order that it repairs: looked up in an index of the edited copy, so that whatever the
// edits were, the answer is about the model that would be written. Faults that were there before are not the edit's.
#include <algorithm>

#include "lib/graph/edits.h"

namespace gomai {
namespace {

constexpr size_t kListed = 8;

std::string Listed(const std::vector<std::string>& items) {
  std::string text;
  for (size_t i = 0; i < std::min(items.size(), kListed); ++i) {
    text += (i == 0 ? "" : ", ") + items[i];
  }
  return items.size() > kListed ? fmt::format("{} and {} more", text, items.size() - kListed) : text;
}

const void* Identity(const Index::Scope& scope) {
  return scope.graph != nullptr ? static_cast<const void*>(scope.graph) : static_cast<const void*>(scope.function);
}

template <typename Visit>
void ForEachOutput(const Index& index, Visit visit) {
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    const Index::Scope& scope = index.scope(id);
    if (scope.graph != nullptr) {
      for (const onnx::ValueInfoProto& output : scope.graph->output()) {
        visit(id, output.name());
      }
    } else {
      for (const std::string& output : scope.function->output()) {
        visit(id, output);
      }
    }
  }
}

absl::Status CheckUses(const Index& before, const Index& after) {
  std::unordered_set<std::string_view> undefined_before;
  const auto collect = [](const Index& index, auto visit) {
    for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
      const Index::Node& node = index.node(id);
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        const std::string& name = node.proto->input(static_cast<int>(i));
        if (node.inputs[i] == kNone && !name.empty()) {
          visit(id, i, name);
        }
      }
    }
  };
  collect(before, [&](NodeId, size_t, const std::string& name) { undefined_before.insert(name); });
  std::vector<std::string> dangling;
  collect(after, [&](NodeId id, size_t input, const std::string& name) {
    if (!undefined_before.contains(name)) {
      dangling.push_back(fmt::format("{} input {} \"{}\"", after.Describe(id), input, name));
    }
  });
  if (!dangling.empty()) {
    return FailedPrecondition("the edit would leave uses of what nothing defines: {}; rewire or erase these too",
                              Listed(dangling));
  }
  std::set<std::string> undefined_outputs;
  ForEachOutput(before, [&](ScopeId id, const std::string& name) {
    if (before.Resolve(id, name) == kNone) {
      undefined_outputs.insert(name);
    }
  });
  ForEachOutput(after, [&](ScopeId id, const std::string& name) {
    if (after.Resolve(id, name) == kNone && !undefined_outputs.contains(name)) {
      dangling.push_back(fmt::format("{} output \"{}\"", after.ScopeName(id), name));
    }
  });
  if (!dangling.empty()) {
    return FailedPrecondition(
        "the edit would leave outputs that nothing defines: {}; keep what makes them, or let "
        "another node make them under that name",
        Listed(dangling));
  }
  return absl::OkStatus();
}

// Every input that the edit didn't mean to change still means what it meant.
absl::Status CheckMeanings(const Index& before, const Index& after, const Applied& applied) {
  std::unordered_map<const onnx::NodeProto*, NodeId> new_ids;
  new_ids.reserve(after.nodes().size());
  for (NodeId id = 0; id < static_cast<NodeId>(after.nodes().size()); ++id) {
    new_ids.emplace(after.node(id).proto, id);
  }
  std::vector<std::string> changed;
  for (const Expectation& expected : applied.expectations) {
    const auto entry = new_ids.find(expected.node);
    if (expected.scope == kNone || entry == new_ids.end()) {
      continue;
    }
    const ValueId value = after.node(entry->second).inputs[static_cast<size_t>(expected.input)];
    if (value == kNone) {
      continue;
    }
    const auto scope = applied.old_scope.find(Identity(after.scope(after.value(value).scope)));
    if (scope == applied.old_scope.end() || scope->second != expected.scope) {
      changed.push_back(fmt::format("{} input {} \"{}\"", before.Describe(expected.old_node), expected.input,
                                    expected.node->input(expected.input)));
    }
  }
  if (!changed.empty()) {
    return InvalidArgument(
        "the edit would give readers another value of the same name, defined in a nearer scope: {}; "
        "choose a name that no scope uses",
        Listed(changed));
  }
  return absl::OkStatus();
}

// Names that the edit brought in are defined once, and by no enclosing scope.
absl::Status CheckNames(const Index& after, const Applied& applied) {
  if (applied.new_names.empty()) {
    return absl::OkStatus();
  }
  std::vector<std::string> clashes;
  const auto clash = [&](ScopeId scope, const std::string& name, const std::string& with) {
    clashes.push_back(fmt::format("\"{}\" in {} ({})", name, after.ScopeName(scope), with));
  };
  for (ScopeId id = 0; id < static_cast<ScopeId>(after.scopes().size()); ++id) {
    const Index::Scope& scope = after.scope(id);
    const auto check = [&](const std::string& name, bool first, const char* what) {
      if (!name.empty() && applied.new_names.contains(name)) {
        if (!first) {
          clash(id, name, fmt::format("again as {}", what));
        } else if (const ValueId outer = scope.parent == kNone ? kNone : after.Resolve(scope.parent, name);
                   outer != kNone) {
          clash(id, name, fmt::format("also in {}", after.ScopeName(after.value(outer).scope)));
        }
      }
    };
    std::unordered_set<std::string_view> seen;
    if (scope.graph != nullptr) {
      for (const onnx::ValueInfoProto& input : scope.graph->input()) {
        check(input.name(), seen.insert(input.name()).second, "input");
      }
      for (const onnx::TensorProto& tensor : scope.graph->initializer()) {
        const ValueId value = after.FindValue(id, tensor.name());
        check(tensor.name(), value == kNone || after.value(value).initializer == &tensor, "initializer");
      }
      for (const onnx::SparseTensorProto& tensor : scope.graph->sparse_initializer()) {
        const ValueId value = after.FindValue(id, tensor.values().name());
        check(tensor.values().name(),
              value == kNone ||
                  (after.value(value).sparse_initializer == &tensor && after.value(value).initializer == nullptr),
              "sparse initializer");
      }
    } else {
      for (const std::string& input : scope.function->input()) {
        check(input, seen.insert(input).second, "input");
      }
    }
    for (const NodeId node : scope.nodes) {
      for (size_t i = 0; i < after.node(node).outputs.size(); ++i) {
        const ValueId value = after.node(node).outputs[i];
        check(
            after.node(node).proto->output(static_cast<int>(i)),
            value == kNone || (after.value(value).producer == node && after.value(value).output == static_cast<int>(i)),
            "output of a node");
      }
    }
  }
  if (!clashes.empty()) {
    return InvalidArgument("the edit gives a name that is in use where it would be seen: {}; choose another",
                           Listed(clashes));
  }
  return absl::OkStatus();
}

// ReplaceUses of a graph output needs another definition under the output's name.
absl::Status CheckReplacedOutputs(const Index& before, const Index& after, const Applied& applied) {
  std::map<ScopeId, ScopeId> new_scopes;
  for (ScopeId id = 0; id < static_cast<ScopeId>(after.scopes().size()); ++id) {
    if (const auto old = applied.old_scope.find(Identity(after.scope(id))); old != applied.old_scope.end()) {
      new_scopes[old->second] = id;
    }
  }
  for (const ValueId id : applied.replaced_outputs) {
    const Index::Value& value = before.value(id);
    const ValueId now_id = after.FindValue(new_scopes.at(value.scope), value.name);
    if (now_id == kNone) {
      continue;  // renamed, or gone and reported
    }
    const Index::Value& now = after.value(now_id);
    const auto producer =
        now.producer == kNone ? applied.old_node.end() : applied.old_node.find(after.node(now.producer).proto);
    const bool same = value.producer == kNone
                          ? now.producer == kNone
                          : producer != applied.old_node.end() && producer->second == value.producer;
    if (same) {
      return FailedPrecondition(
          "{} is an output of {} and keeps its name, so its uses can't be replaced there; let the new value be made "
          "under that name, or replace single inputs",
          value.name, before.ScopeName(value.scope));
    }
  }
  return absl::OkStatus();
}

// No node is left that calls an erased function. (Of two functions with one key the other may be left.)
absl::Status CheckCalls(const Index& after, const Applied& applied) {
  if (applied.erased_functions.empty()) {
    return absl::OkStatus();
  }
  std::vector<std::string> callers;
  for (NodeId id = 0; id < static_cast<NodeId>(after.nodes().size()); ++id) {
    const onnx::NodeProto& node = *after.node(id).proto;
    if (after.CalledFunction(node) == kNone &&
        applied.erased_functions.contains(FunctionKey(node.domain(), node.op_type(), node.overload()))) {
      callers.push_back(after.Describe(id));
    }
  }
  if (!callers.empty()) {
    return FailedPrecondition("the edit would erase functions that are still called, by {}; erase the calls too",
                              Listed(callers));
  }
  return absl::OkStatus();
}

bool IsOrdered(const Index& index, ScopeId scope) {
  for (const NodeId id : index.scope(scope).nodes) {
    const Index::Node& node = index.node(id);
    for (const std::vector<ValueId>* reads : {&node.inputs, &node.captures}) {
      for (const ValueId value : *reads) {
        if (value != kNone && index.value(value).scope == scope && index.value(value).producer >= id) {
          return false;
        }
      }
    }
  }
  return true;
}

}  // namespace

absl::Status CheckEdited(const Index& before, const Index& after, const Applied& applied) {
  GOMAI_RETURN_IF_ERROR(CheckNames(after, applied));
  GOMAI_RETURN_IF_ERROR(CheckUses(before, after));
  GOMAI_RETURN_IF_ERROR(CheckCalls(after, applied));
  GOMAI_RETURN_IF_ERROR(CheckMeanings(before, after, applied));
  return CheckReplacedOutputs(before, after, applied);
}

absl::StatusOr<bool> RepairOrder(const Index& before, const Index& after, const std::set<ScopeId>& wanted,
                                 Applied& applied) {
  bool moved = false;
  for (ScopeId id = 0; id < static_cast<ScopeId>(after.scopes().size()); ++id) {
    const auto old = applied.old_scope.find(Identity(after.scope(id)));
    if (old == applied.old_scope.end() || IsOrdered(after, id) ||
        (!wanted.contains(old->second) && !IsOrdered(before, old->second))) {
      continue;
    }
    const absl::StatusOr<std::vector<NodeId>> order = TopologicalOrder(after, id);
    if (!order.ok()) {
      return FailedPrecondition("the edit would make {}", Message(order.status()));
    }
    std::vector<int> places;
    for (const NodeId node : *order) {
      places.push_back(after.node(node).position);
    }
    Reorder(*applied.node_lists[static_cast<size_t>(old->second)], places);
    applied.lines.push_back({old->second, kOrderLine, 0, fmt::format("sorted the nodes of {}", after.ScopeName(id))});
    moved = true;
  }
  return moved;
}

}  // namespace gomai
