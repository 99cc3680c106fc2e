// See bypass.h. Names decide: what may be read under another name is replaced, what must keep its name passes it on.
#include "lib/graph/bypass.h"

#include <algorithm>

#include "lib/graph/reach.h"

namespace gomai {

absl::Status VisitNodes(const Index& index, const std::function<absl::Status(NodeId)>& visit) {
  for (ScopeId scope = 0; scope < static_cast<ScopeId>(index.scopes().size()); ++scope) {
    GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> order, TopologicalOrder(index, scope));
    for (const NodeId id : order) {
      GOMAI_RETURN_IF_ERROR(visit(id));
    }
  }
  return absl::OkStatus();
}

Bypass::Bypass(const onnx::ModelProto& model, Editor& editor)
    : index_(editor.index()),
      editor_(editor),
      held_(HeldByName(model, index_)),
      origin_(index_.values().size(), kNone),
      renamed_(index_.values().size()) {}

Bypass::Way Bypass::FindWay(NodeId node, ValueId from, ValueId to) const {
  const Index::Value& source = index_.value(from);
  const Index::Value& result = index_.value(to);
  // A second definition of the same name is broken anyway, and what is named elsewhere must stay.
  if (result.producer != node || held_[static_cast<size_t>(to)]) {
    return Way::kStay;
  }
  if (!result.is_graph_output) {
    return ReadersSee(index_, to, from) ? Way::kReplace : Way::kStay;
  }
  const bool can_take_name = source.producer != kNone && source.scope == result.scope && !source.is_graph_output &&
                             !held_[static_cast<size_t>(from)] && !renamed_[static_cast<size_t>(from)] &&
                             ReadersSee(index_, from, to);
  return can_take_name ? Way::kRename : Way::kStay;
}

bool Bypass::Remove(NodeId node, const std::vector<std::pair<ValueId, ValueId>>& equal) {
  for (const ValueId output : index_.node(node).outputs) {
    const bool given = std::any_of(equal.begin(), equal.end(), [&](const auto& pair) { return pair.second == output; });
    if (output == kNone || given) {
      continue;
    }
    const Index::Value& value = index_.value(output);
    if (!value.uses.empty() || value.is_graph_output || held_[static_cast<size_t>(output)]) {
      return false;
    }
  }
  std::vector<Way> ways;
  for (size_t i = 0; i < equal.size(); ++i) {
    ways.push_back(FindWay(node, equal[i].first, equal[i].second));
    // One value can't take the names of two outputs.
    const bool twice = std::any_of(equal.begin(), equal.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&](const auto& pair) { return pair.first == equal[i].first; });
    if (ways.back() == Way::kStay || (ways.back() == Way::kRename && twice)) {
      return false;
    }
  }
  for (size_t i = 0; i < equal.size(); ++i) {
    const auto [from, to] = equal[i];
    const Index::Value& result = index_.value(to);
    if (ways[i] == Way::kReplace) {
      editor_.ReplaceUses(to, std::string(index_.value(from).name));
      editor_.EraseValueInfo(result.scope, std::string(result.name));
    } else {
      // Other readers read the output too.
      renamed_[static_cast<size_t>(from)] = true;
      editor_.RenameValue(from, std::string(result.name));
    }
    origin_[static_cast<size_t>(to)] = from;
  }
  editor_.EraseNode(node);
  return true;
}

}  // namespace gomai
