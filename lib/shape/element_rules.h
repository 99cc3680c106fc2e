#pragma once

// What the rules of elements.cc, element_moves.cc and element_arithmetic.cc share. Internal to lib/shape; use infer.h.

#include <onnx/onnx_pb.h>

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "lib/shape/elements.h"
#include "lib/shape/inference.h"

namespace gomai::shape {

using MaybeElements = std::optional<Elements>;

// A node as the rules see it.
class ElementNode {
 public:
  ElementNode(Graph& graph, const onnx::NodeProto& node) : graph_(graph), node_(node) {}
  const onnx::NodeProto& node() const { return node_; }
  int count() const { return node_.input_size(); }
  bool Has(int input) const { return input < node_.input_size() && !node_.input(input).empty(); }
  Known* Find(int input) const { return Has(input) ? graph_.Find(node_.input(input)) : nullptr; }
  // nullptr: nothing is known of that input.
  const Elements* In(int input) const;
  // The values of an input of which everything is known.
  std::optional<std::vector<int64_t>> Ints(int input) const;
  const onnx::TensorShapeProto* ShapeOf(int input) const;
  int DtypeOf(int input) const;
  // What inference found for the first output.
  std::optional<std::vector<int64_t>> OutputShape() const;
  int OutputDtype() const;
  int64_t Int(std::string_view name, int64_t otherwise) const;
  // A list that is an attribute in old opsets and an input in new ones. nullopt: unknown; empty list: not given.
  std::optional<std::vector<int64_t>> List(std::string_view attribute, int input) const;
  bool Gives(std::string_view attribute) const { return FindAttribute(node_, attribute) != nullptr; }
  Graph& graph() const { return graph_; }

 private:
  Graph& graph_;
  const onnx::NodeProto& node_;
};

using ElementRule = MaybeElements (*)(const ElementNode&);
using ElementRules = std::unordered_map<std::string_view, ElementRule>;

// Shapes, slices, gathers, joins.
const ElementRules& MovingRules();
// Arithmetic, comparisons, choices and reductions.
const ElementRules& ArithmeticRules();

// A constant's values; a float that isn't an exact integer is unknown. Throws if the payload doesn't fit the dims.
MaybeElements ParseElements(const onnx::TensorProto& tensor);
int64_t CountOf(const std::vector<int64_t>& shape);
// The position in a tensor of `shape` that an index into a tensor of `result` reads when the former is broadcast.
size_t BroadcastPosition(const std::vector<int64_t>& shape, const std::vector<int64_t>& result, size_t position);
// -1 counts from the end; nullopt: out of range.
std::optional<int64_t> NormalAxis(int64_t axis, int64_t rank);

// Types whose elements are followed: integers, bool, and floats for as long as their values are exact integers.
bool IsFollowed(int dtype);
// What a type can hold exactly, and wide of that anything may be.
Interval ExactRange(int dtype);

}  // namespace gomai::shape
