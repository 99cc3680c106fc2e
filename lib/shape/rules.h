#pragma once

// What is inferred beyond ONNX: mostly ranks, from what must hold whatever the values are.
// Internal to lib/shape; use infer.h.
//
//   Reshape, Expand, ConstantOfShape, Tile, Resize, Pad   the length of an operand gives the rank, its known values
//   dims Concat, ScatterElements, GatherElements, …            one operand's rank is every operand's and the result's
//   Squeeze, Unsqueeze, OneHot                            an operand's rank, changed by so many axes
//   Conv, Transpose, MaxPool                              a weight or an attribute has the rank
//   RoiAlign, NonZero, NonMaxSuppression, Gemm, LSTM, …   the operator has a rank of its own
//
// A rule speaks only where ONNX leaves no rank, and says nothing that isn't certain: two operands that broadcast give
// no rank as long as one of them has none.

#include <onnx/onnx_pb.h>

#include <vector>

#include "lib/shape/inference.h"

namespace gomai::shape {

// Completes the output types of one node. May throw, as ONNX's own functions do.
void InferMore(Graph& graph, const onnx::NodeProto& node, std::vector<onnx::TypeProto>& outputs);

}  // namespace gomai::shape
