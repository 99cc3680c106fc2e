#pragma once

// What fold-constants replaces: which nodes can be computed now, which of their results the rest of the model reads,
// and what that costs in bytes.
//
// A value is known if it is a constant (an initializer that no caller can replace, a Constant), if its values follow
// from fixed sizes (Facts::computed), or if a node that gives the same result each time makes it from known values.
// Nodes that make known values go, and what others read of them (the frontier) becomes constants. Internal to lib/pass.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <deque>
#include <set>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"

namespace gomai {

struct FoldPlan {
  std::vector<ValueId> frontier;  // to be replaced by constants, in id order
  std::vector<bool> known;        // by ValueId
  std::vector<bool> source;       // by ValueId: known without computing: constants, and what Facts::computed has
  std::vector<bool> erased;       // by NodeId: goes, itself or with the node around it
  std::vector<ValueId> unused;    // initializers that only erased nodes read
  std::vector<NodeId> dropped;    // Constants that only erased nodes read
  int64_t growth = 0;             // bytes of the frontier less those of what goes, as far as sizes are known
  // Nodes that could be computed but had better not be, and why; in an order of definition.
  std::vector<std::pair<NodeId, std::string>> refused;
};

// Nodes that stay, and values that can't be had.
struct FoldExceptions {
  std::set<NodeId> kept;        // stays where it is; its result may still be computed for others
  std::set<NodeId> unfit;       // can't be computed
  std::set<NodeId> inlined;     // Ifs that a branch replaces; implies kept
  std::set<ScopeId> untouched;  // scopes in which (and inside which) nothing is edited in this round
};

class FoldPlanner {
 public:
  // No node is computed of which one result is larger than its operands by more than `limit` bytes.
  FoldPlanner(const Model& model, const Index& index, const Facts& facts, int64_t limit);
  // Which nodes go and what remains of them, under these exceptions. O(nodes + edges).
  FoldPlan Plan(const FoldExceptions& exceptions) const;
  // A value's size in bytes, 0 if it isn't known.
  int64_t Bytes(ValueId value) const;
  // By ValueId: results of at least `limit` bytes that only repeat what is small (ConstantOfShape, Expand, Tile, and
  // what puts such together): computing them costs next to nothing, storing them what they take. O(nodes + edges).
  std::vector<bool> Fills(int64_t limit) const;
  // Sources that are tensors of the model: an initializer's or a Constant's; nullptr: it is computed.
  const onnx::TensorProto* Stored(ValueId value) const { return stored_[static_cast<size_t>(value)]; }
  bool IsIdentity(NodeId node) const;

 private:
  bool IsFoldable(NodeId node) const;
  const onnx::TensorProto* Form(const onnx::NodeProto& constant);
  bool Encloses(const std::set<ScopeId>& scopes, ScopeId scope) const;

  const Model& model_;
  const Index& index_;
  const Facts& facts_;
  const int64_t limit_;
  std::vector<bool> impure_;
  std::vector<bool> held_;
  std::deque<onnx::TensorProto> forms_;           // of Constants that hold numbers or strings instead of a tensor
  std::vector<const onnx::TensorProto*> stored_;  // by ValueId
  std::vector<NodeId> order_;                     // all nodes outside functions, definitions before uses
};

}  // namespace gomai
