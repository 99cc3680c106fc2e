#pragma once

// Bypass: takes nodes out whose results exist elsewhere, under another name.
//
// An Identity gives its input; a Cast to the type that a tensor has, too; and of two equal nodes one is enough. Whoever
// reads the result then reads what it equals. Results that are outputs of their graph keep their names: what they equal
// is renamed, if a node of that graph makes it and nothing else holds its name.
//
//   Bypass bypass(model.proto(), editor);
//   GOMAI_RETURN_IF_ERROR(VisitNodes(index, [&](NodeId node) {
//     if (gives the same) bypass.Remove(node, {{bypass.Origin(input), output}});
//     return absl::OkStatus();
//   }));
//
// Values are resolved by Origin(), so chains collapse in one walk from the outside in. Edits go to the editor; Commit
// lands them.

#include <onnx/onnx_pb.h>

#include <functional>
#include <utility>
#include <vector>

#include "lib/graph/editor.h"

namespace gomai {

// Every node, from the outer scopes in and each scope in topological order: what a node reads, outside of its scope
// too, comes before it. kDataLoss for a cycle, and what `visit` returns.
absl::Status VisitNodes(const Index& index, const std::function<absl::Status(NodeId)>& visit);

class Bypass {
 public:
  Bypass(const onnx::ModelProto& model, Editor& editor);

  // What readers of `value` will read: itself, or what it equals.
  ValueId Origin(ValueId value) const {
    const ValueId origin = origin_[static_cast<size_t>(value)];
    return origin == kNone ? value : origin;
  }
  // Is the value named by something besides inputs of nodes and its own graph's outputs (lib/graph/reach.h)?
  bool IsHeld(ValueId value) const { return held_[static_cast<size_t>(value)]; }

  // Erases `node`; each pair is a value that exists without it (as Origin gives it) and the result that equals it.
  // False, and nothing is edited, where a result has to stay: it is held, a reader couldn't see the other value, an
  // output can't get its name otherwise, or the node has another result that is read.
  bool Remove(NodeId node, const std::vector<std::pair<ValueId, ValueId>>& equal);

 private:
  enum class Way { kStay, kReplace, kRename };
  Way FindWay(NodeId node, ValueId from, ValueId to) const;

  const Index& index_;
  Editor& editor_;
  const std::vector<bool> held_;
  std::vector<ValueId> origin_;  // of results of removed nodes
  std::vector<bool> renamed_;    // to the name of an output
};

}  // namespace gomai
