#pragma once

// Values of small tensors, element by element: what is known of each integer, truth value or integral float.
//
// ONNX's own data propagation knows a few operators on integer vectors. Here sizes are followed through everything that
// exporters compute with them (division, minima, comparisons, Where, Range, casts to float and back), and each element
// is an interval: one that isn't known may still be bounded, as the number of boxes that a Slice lets through is.
// Nothing is rounded: an element whose value isn't an exact integer is unknown, and so is what would overflow.
// Internal to lib/shape; use infer.h.

#include <onnx/onnx_pb.h>

#include <optional>
#include <vector>

#include "lib/shape/interval.h"

namespace gomai::shape {

class Graph;
struct Known;

// Row-major; as many elements as the shape says.
struct Elements {
  std::vector<int64_t> shape;
  std::vector<Interval> at;
};

// A value's elements: propagated, or those of a constant; nullptr if nothing is known or there are too many. An integer
// tensor of known shape has unknown elements.
const Elements* ElementsOf(Known& known);

// The shape of a tensor if all its dims are known, and it has no more elements than are followed.
std::optional<std::vector<int64_t>> SmallShape(const onnx::TypeProto& type);

// Sets what is known of the elements of the node's outputs, whose types are known by now, and turns an integer or bool
// tensor of which everything is known into a constant.
void PropagateElements(Graph& graph, const onnx::NodeProto& node);

}  // namespace gomai::shape
