#pragma once

// Bypass: nodes that hand their input on go, and their readers read what they read.
//
//   Bypass bypass(context);
//   GOMAI_RETURN_IF_ERROR(bypass.ForEachNode([&](NodeId id) {
//     if (DoesNothing(id)) bypass.Remove(id);
//   }));
//
// Nodes must be met from the outer scopes in and in topological order, as ForEachNode does: then what a node reads is
// resolved to its origin before the node itself is looked at, and a chain is one step, whatever its length.

#include <functional>
#include <vector>

#include "lib/graph/reach.h"
#include "lib/pass/pass.h"

namespace gomai {

class Bypass {
 public:
  explicit Bypass(PassContext& context);

  // Every node of the model. kDataLoss for a cycle, and what `visit` returns.
  absl::Status ForEachNode(const std::function<absl::Status(NodeId)>& visit) const;

  // Makes readers of the node's first output read its first input, in bodies too, and erases the node. An output of a
  // graph keeps its name: what makes the input makes the output instead, under that name, for all its readers. False,
  // and nothing is done, where the node is needed: no node can make the output, the first input or output is absent, a
  // reader would find another value of that name, or the output is named elsewhere (an annotation, training
  // information). Other outputs must be unused.
  bool Remove(NodeId node);

  // What a value is once the nodes removed so far are gone.
  ValueId Origin(ValueId value) const;
  // Is it named by something besides nodes and graph outputs (reach.h)?
  bool IsHeld(ValueId value) const { return held_[static_cast<size_t>(value)]; }

 private:
  const Index& index_;
  Editor& editor_;
  const std::vector<bool> held_;
  std::vector<ValueId> origin_;  // of outputs of removed nodes
  std::vector<bool> renamed_;    // to the name of an output
};

}  // namespace gomai
