#pragma once

// Which nodes had better not be computed ahead: what would end this process, fill its memory, or never end.
//
// ONNX Runtime divides integers without looking (a divisor of 0 ends the process), fills whatever memory a size asks
// for, and runs a Loop for as long as it goes on. So a node is computed only if what it divides by is known, the size
// of each of its results is bounded, and no loop is in it. Internal to lib/pass.

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"

namespace gomai {

struct FoldVerdict {
  bool may = true;
  std::string why = {};  // it will never be computed; empty: perhaps when more is known
};

class FoldGuard {
 public:
  // `stored`: constants of the model, by ValueId. `limit`: bytes by which a result may be larger than the operands.
  FoldGuard(const Model& model, const Index& index, const Facts& facts,
            const std::vector<const onnx::TensorProto*>& stored, int64_t limit)
      : model_(model), index_(index), facts_(facts), stored_(stored), limit_(limit) {}

  // A node all operands of which are known; `source` says which of them are so without computing. Looks at what is in
  // the node's bodies, too. O(nodes in it), and it reads divisors.
  FoldVerdict Check(NodeId node, const std::vector<bool>& source) const;

 private:
  FoldVerdict CheckOne(NodeId node, const std::vector<bool>& source) const;
  FoldVerdict CheckDivision(const Index::Node& node, const std::vector<bool>& source) const;
  FoldVerdict CheckSize(const Index::Node& node, const std::vector<bool>& source) const;
  // The most bytes that a value can have; -1: nobody knows.
  int64_t MostBytes(ValueId value) const;
  bool AllSources(const Index::Node& node, const std::vector<bool>& source) const;

  const Model& model_;
  const Index& index_;
  const Facts& facts_;
  const std::vector<const onnx::TensorProto*>& stored_;
  const int64_t limit_;
};

}  // namespace gomai
