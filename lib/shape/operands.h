#pragma once

// A node's operands as the rules of rules.cc see them: everything that is absent is "unknown". Internal to lib/shape;
// use infer.h.

#include <onnx/onnx_pb.h>

#include <optional>
#include <string_view>

#include "lib/shape/contexts.h"
#include "lib/shape/infer.h"
#include "lib/shape/inference.h"

namespace gomai::shape {

using Shape = onnx::TensorShapeProto;
using MaybeShape = std::optional<Shape>;

class Operands {
 public:
  Operands(Graph& graph, const onnx::NodeProto& node) : graph_(graph), node_(node) {}

  int count() const { return node_.input_size(); }
  bool Has(int input) const { return input < node_.input_size() && !node_.input(input).empty(); }
  const Shape* ShapeOf(int input) const {
    const Known* known = Find(input);
    return known == nullptr ? nullptr : FindShape(known->type);
  }
  std::optional<int64_t> Rank(int input) const {
    const Shape* shape = ShapeOf(input);
    return shape == nullptr ? std::nullopt : std::optional<int64_t>(shape->dim_size());
  }
  // The number of elements of a vector.
  std::optional<int64_t> Length(int input) const {
    const Shape* shape = ShapeOf(input);
    if (shape != nullptr && shape->dim_size() == 1 && shape->dim(0).has_dim_value()) {
      return shape->dim(0).dim_value();
    }
    return std::nullopt;
  }
  // The values of an integer vector as dims, unknown ones open; of a sensible length for a shape.
  const Shape* Values(int input) const {
    Known* known = Find(input);
    const Shape* values = known == nullptr ? nullptr : KnownValues(*known);
    return values != nullptr && values->dim_size() <= kHighestRank ? values : nullptr;
  }
  const onnx::AttributeProto* Attribute(std::string_view name) const { return FindAttribute(node_, name); }
  int64_t Int(std::string_view name, int64_t otherwise) const {
    const onnx::AttributeProto* attribute = Attribute(name);
    return attribute == nullptr ? otherwise : attribute->i();
  }

 private:
  Known* Find(int input) const { return Has(input) ? graph_.Find(node_.input(input)) : nullptr; }
  Graph& graph_;
  const onnx::NodeProto& node_;
};

inline MaybeShape Open(std::optional<int64_t> rank) {
  return rank && *rank >= 0 && *rank <= kHighestRank ? MaybeShape(OpenShape(*rank)) : std::nullopt;
}

// `shape` with dim i taken from dim j of another, if that is known.
inline void TakeDim(Shape& shape, int i, const Shape* other, int j) {
  if (other != nullptr && j < other->dim_size()) {
    *shape.mutable_dim(i) = other->dim(j);
  }
}

}  // namespace gomai::shape
