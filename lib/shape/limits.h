#pragma once

// How large the sizes that aren't fixed can become: an upper bound for each open dim, where operators give one.
//
// A Slice [:1000] lets at most 1000 rows through, a TopK at most k, NonMaxSuppression at most so many per class,
// NonZero at most as many as there are elements; what selects, joins or broadcasts passes bounds on. Together with the
// bounds of elements (elements.h) this finds how long a list can get that a model makes, a list of boxes say. Internal
// to lib/shape; use infer.h.

#include <onnx/onnx_pb.h>

namespace gomai::shape {

class Graph;

// Sets Known::limits of the node's outputs, whose types are known by now.
void PropagateLimits(Graph& graph, const onnx::NodeProto& node);

}  // namespace gomai::shape
