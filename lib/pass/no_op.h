#pragma once

// Which nodes give what they are given, and which only write another shape onto it. Internal to lib/pass and passes.

#include <optional>
#include <vector>

#include "lib/graph/index.h"
#include "lib/model/model.h"
#include "lib/shape/infer.h"

namespace gomai {

class NoOps {
 public:
  NoOps(const Model& model, const Index& index, const Facts& facts);

  // The position of the input that the node's first result equals bit for bit; -1: none that is known. The node is of
  // the default domain and has a first result.
  int GivesInput(NodeId node) const;
  // Reshape, Flatten, Squeeze, Unsqueeze: the elements of the first input, in order, under another shape.
  bool IsView(NodeId node) const;
  // Would this view give the same for any input of as many elements? That is a Reshape to a known shape without zeros
  // that copy a dim.
  bool IgnoresShape(NodeId node) const;
  // Of two values with as many elements: do they provably have one shape? One dim may be unknown, as the others tell
  // it.
  bool SameShape(ValueId a, ValueId b) const;

 private:
  const onnx::TensorShapeProto* ShapeOf(ValueId value) const;
  int DtypeOf(ValueId value) const;
  // Are all dims of both known, and the same?
  bool SameFixedShape(ValueId a, ValueId b) const;
  // A small constant's values.
  std::optional<std::vector<uint8_t>> Constant(ValueId value) const;
  std::optional<std::vector<int64_t>> Integers(const Index::Node& node, int input) const;
  bool IsWholeSlice(const Index::Node& node) const;
  bool IsIdlePad(const Index::Node& node) const;
  bool IsIdleTranspose(const Index::Node& node) const;
  int NeutralArithmetic(const Index::Node& node) const;
  bool AllElements(ValueId value, const std::vector<uint8_t>& element) const;
  bool KeepsShape(ValueId data, ValueId operand, ValueId result) const;

  const Model& model_;
  const Index& index_;
  const Facts& facts_;
  int64_t opset_ = 0;
};

}  // namespace gomai
