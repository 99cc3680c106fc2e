// sort: nodes in an order in which each comes after what it needs, in every scope.
//
// Orders are looked for in all scopes before any is changed, so that a cycle anywhere leaves the model as it was. The
// order is the stable one of lib/graph/order.cc: of the nodes that are ready the first in file order goes next.
#include "lib/pass/pass.h"

namespace gomai {
namespace {

absl::Status Run(PassContext& context) {
  const Index& index = context.index();
  for (ScopeId id = 0; id < static_cast<ScopeId>(index.scopes().size()); ++id) {
    GOMAI_ASSIGN_OR_RETURN(const std::vector<NodeId> order, TopologicalOrder(index, id));
    if (order != index.scope(id).nodes) {
      context.editor().SortNodes(id);
    }
  }
  return absl::OkStatus();
}

}  // namespace

const PassInfo& SortPass() {
  static const PassInfo info = {
      .name = "sort",
      .summary = "put nodes after what they need, in every scope",
      .description =
          "Puts the nodes of the main graph, of every body and of every function into a topological order: each after "
          "the nodes whose results it reads, or whose results a body in it captures. The sort is stable: of the nodes "
          "that could come next, the first in the file does. What is in order already stays byte for byte as it is.\n\n"
          "A graph with a cycle has no such order; that is an error that names the nodes of the cycle. Graphs in "
          "training information stay as they are.",
      .effect = Effect::kBitExact,
      .scopes = PassScopes::kAllGraphsAndFunctions,
      .keeps_shapes = true,
      .examples = {"sort"},
      .run = Run,
  };
  return info;
}

}  // namespace gomai
