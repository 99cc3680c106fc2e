// fold-identity: Identity nodes go, and their readers read what they read.
//
// Scopes are visited from the outside in and each in topological order, so what an Identity reads is resolved to its
// origin before the Identity itself is looked at: a chain of them is one step, whatever its length. An Identity that
// makes an output of its graph can only go if a node can make that output instead; the node's own name for it goes
// then.
#include <vector>

#include "lib/graph/bypass.h"
#include "lib/model/domain.h"
#include "lib/pass/pass.h"

namespace gomai {
namespace {

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  Bypass bypass(context.model().proto(), context.editor());
  return VisitNodes(index, [&](NodeId id) {
    const Index::Node& node = index.node(id);
    if (node.proto->op_type() == "Identity" && IsDefaultDomain(node.proto->domain()) && node.inputs.size() == 1 &&
        node.outputs.size() == 1 && node.inputs[0] != kNone && node.outputs[0] != kNone) {
      bypass.Remove(id, {{bypass.Origin(node.inputs[0]), node.outputs[0]}});
    }
    return absl::OkStatus();
  });
}

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
          "names its result. Other operators that do nothing are the job of remove-no-ops.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .examples = {"fold-identity"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
