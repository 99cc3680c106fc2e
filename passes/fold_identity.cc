// fold-identity: Identity nodes go, and their readers read what they read.
//
// Scopes are visited from the outside in and each in topological order, so what an Identity reads is resolved to its
// origin before the Identity itself is looked at: a chain of them is one step, whatever its length. An Identity that
// makes an output of its graph can only go if a node can make that output instead; the node's own name for it goes
// then.
#include <vector>

#include "lib/graph/reach.h"
#include "lib/model/domain.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

class Folder {
 public:
  explicit Folder(PassContext& context)
      : index_(context.index()),
        editor_(context.editor()),
        held_(HeldByName(context.model().proto(), index_)),
        origin_(index_.values().size(), kNone),
        renamed_(index_.values().size()) {}

  absl::Status Run() {
    for (ScopeId scope = 0; scope < static_cast<ScopeId>(index_.scopes().size()); ++scope) {
      GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> order, TopologicalOrder(index_, scope));
      for (const NodeId id : order) {
        const Index::Node& node = index_.node(id);
        if (node.proto->op_type() == "Identity" && IsDefaultDomain(node.proto->domain()) && node.inputs.size() == 1 &&
            node.outputs.size() == 1 && node.inputs[0] != kNone && node.outputs[0] != kNone) {
          Fold(id, Origin(node.inputs[0]), node.outputs[0]);
        }
      }
    }
    return absl::OkStatus();
  }

 private:
  ValueId Origin(ValueId value) const {
    const ValueId origin = origin_[static_cast<size_t>(value)];
    return origin == kNone ? value : origin;
  }

  void Fold(NodeId id, ValueId input, ValueId output) {
    const Index::Value& from = index_.value(input);
    const Index::Value& to = index_.value(output);
    // A second definition of the same name is broken anyway, and an output that is named elsewhere must stay.
    if (to.producer != id || held_[static_cast<size_t>(output)]) {
      return;
    }
    if (!to.is_graph_output) {
      if (!ReadersSee(index_, output, input)) {
        return;
      }
      editor_.ReplaceUses(output, std::string(from.name));
      editor_.EraseValueInfo(to.scope, std::string(to.name));
    } else {
      const bool can_take_name = from.producer != kNone && from.scope == to.scope && !from.is_graph_output &&
                                 !held_[static_cast<size_t>(input)] && !renamed_[static_cast<size_t>(input)] &&
                                 ReadersSee(index_, input, output);
      if (!can_take_name) {
        return;
      }
      // Other readers read the output too.
      renamed_[static_cast<size_t>(input)] = true;
      editor_.RenameValue(input, std::string(to.name));
    }
    origin_[static_cast<size_t>(output)] = input;
    editor_.EraseNode(id);
  }

  const Index& index_;
  Editor& editor_;
  const std::vector<bool> held_;
  std::vector<ValueId> origin_;  // of outputs of folded nodes
  std::vector<bool> renamed_;    // to the name of an output
};

absl::Status Run(PassContext& context) { return Folder(context).Run(); }

}  // namespace

const PassInfo& FoldIdentityPass() {
  static const PassInfo info = {
      .name = "fold-identity",
      .summary = "remove Identity nodes",
      .description =
          "Removes Identity nodes from the main graph, bodies and functions: whatever reads the result of one, in "
          "bodies too, reads its input instead. Outputs of graphs keep their names: a node whose result went through "
          "an Identity to an output makes the output itself, under the output's name, for all its readers.\n\n"
          "An Identity stays where it is needed: from an input, an initializer or another output to an output, and "
          "from a value of an enclosing graph to an output of a body; and where an annotation or training information "
          "names its result. Other operators that may do nothing, such as Dropout, aren't touched.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .examples = {"fold-identity"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
