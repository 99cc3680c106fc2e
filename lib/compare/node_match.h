#pragma once

// Which node and value of one model is which of the other, scope by scope. Internal to lib/compare; use model_diff.h.

#include <cstdint>
#include <vector>

#include "lib/compare/tensor_diff.h"
#include "lib/graph/index.h"

namespace gomai {

struct Matching {
  Matching(const Index& before, const Index& after)
      : node_after(before.nodes().size(), kNone),
        node_before(after.nodes().size(), kNone),
        value_after(before.values().size(), kNone),
        value_before(after.values().size(), kNone) {}

  void PairNodes(NodeId before, NodeId after) {
    node_after[static_cast<size_t>(before)] = after;
    node_before[static_cast<size_t>(after)] = before;
  }
  // Nothing if one of them has a partner.
  void PairValues(ValueId before, ValueId after) {
    if (before != kNone && after != kNone && After(before) == kNone && Before(after) == kNone) {
      value_after[static_cast<size_t>(before)] = after;
      value_before[static_cast<size_t>(after)] = before;
    }
  }
  NodeId NodeAfter(NodeId before) const { return node_after[static_cast<size_t>(before)]; }
  NodeId NodeBefore(NodeId after) const { return node_before[static_cast<size_t>(after)]; }
  ValueId After(ValueId before) const { return before == kNone ? kNone : value_after[static_cast<size_t>(before)]; }
  ValueId Before(ValueId after) const { return after == kNone ? kNone : value_before[static_cast<size_t>(after)]; }

  std::vector<NodeId> node_after;   // by NodeId of the first model; kNone: removed
  std::vector<NodeId> node_before;  // by NodeId of the second; kNone: added
  std::vector<ValueId> value_after;
  std::vector<ValueId> value_before;
};

class NodeMatcher {
 public:
  NodeMatcher(const Index& before, const Index& after, TensorDiffer& tensors, const DiffOptions& options);

  // Two scopes that belong together; enclosing scopes must have been matched before. Near-linear in their size.
  absl::Status Match(ScopeId before, ScopeId after);
  const Matching& matching() const { return matching_; }

 private:
  // What is known of one model's nodes whatever their names.
  struct Shapes {
    std::vector<uint64_t> own;   // operator, attributes, bodies
    std::vector<uint64_t> down;  // the readers of its outputs, down to the graph's outputs
  };
  void ComputeOwn(const Index& index, bool is_before, Shapes* shapes);
  void ComputeDown(const Index& index, ScopeId scope, const std::vector<NodeId>& order, Shapes* shapes) const;
  uint64_t AttributeHash(const onnx::AttributeProto& attribute, bool is_before);

  absl::Status MatchByName(ScopeId before, ScopeId after);
  absl::Status MatchByStructure(ScopeId before, ScopeId after);
  void PairInterfaces(ScopeId before, ScopeId after, bool main_by_name);
  absl::Status PairInitializers(ScopeId before, ScopeId after);
  void Sweep(const std::vector<NodeId>& before, const std::vector<NodeId>& after, bool with_down);
  void PairByKey(const std::vector<NodeId>& before, const std::vector<NodeId>& after,
                 const std::function<uint64_t(const Index&, const Shapes&, NodeId)>& key);
  void Propagate(const std::vector<NodeId>& before);
  void Pair(NodeId before, NodeId after);
  absl::Status PairThroughReaders(ScopeId before, ScopeId after);

  const Index& before_;
  const Index& after_;
  TensorDiffer& tensors_;
  const DiffOptions& options_;
  Matching matching_;
  Shapes shapes_before_;
  Shapes shapes_after_;
};

}  // namespace gomai
