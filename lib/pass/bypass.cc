// Removing nodes that hand their input on. A node that makes an output of its graph can only go if another can make
// that output instead; that one's own name for it goes then.
#include "lib/pass/bypass.h"

namespace gomai {

Bypass::Bypass(PassContext& context)
    : index_(context.index()),
      editor_(context.editor()),
      held_(HeldByName(context.model().proto(), index_)),
      origin_(index_.values().size(), kNone),
      renamed_(index_.values().size()) {}

absl::Status Bypass::ForEachNode(const std::function<absl::Status(NodeId)>& visit) const {
  for (ScopeId scope = 0; scope < static_cast<ScopeId>(index_.scopes().size()); ++scope) {
    GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> order, TopologicalOrder(index_, scope));
    for (const NodeId id : order) {
      GOMAI_RETURN_IF_ERROR(visit(id));
    }
  }
  return absl::OkStatus();
}

ValueId Bypass::Origin(ValueId value) const {
  const ValueId origin = origin_[static_cast<size_t>(value)];
  return origin == kNone ? value : origin;
}

bool Bypass::Remove(NodeId id) {
  const Index::Node& node = index_.node(id);
  if (node.inputs.empty() || node.outputs.empty() || node.inputs[0] == kNone || node.outputs[0] == kNone) {
    return false;
  }
  const ValueId input = Origin(node.inputs[0]);
  const ValueId output = node.outputs[0];
  const Index::Value& from = index_.value(input);
  const Index::Value& to = index_.value(output);
  // A second definition of the same name is broken anyway, and an output that is named elsewhere must stay.
  if (to.producer != id || IsHeld(output)) {
    return false;
  }
  if (!to.is_graph_output) {
    if (!ReadersSee(index_, output, input)) {
      return false;
    }
    editor_.ReplaceUses(output, std::string(from.name));
    editor_.EraseValueInfo(to.scope, std::string(to.name));
  } else {
    const bool can_take_name = from.producer != kNone && from.scope == to.scope && !from.is_graph_output &&
                               !IsHeld(input) && !renamed_[static_cast<size_t>(input)] &&
                               ReadersSee(index_, input, output);
    if (!can_take_name) {
      return false;
    }
    // Other readers read the output too.
    renamed_[static_cast<size_t>(input)] = true;
    editor_.RenameValue(input, std::string(to.name));
  }
  origin_[static_cast<size_t>(output)] = input;
  editor_.EraseNode(id);
  return true;
}

}  // namespace gomai
