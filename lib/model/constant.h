#pragma once

// What a Constant node gives, whichever of its attributes it stands in.

#include <onnx/onnx_pb.h>

namespace gomai {

// The tensor of a Constant: its own, or its number, string or list of them written to `made`. nullptr for other nodes,
// for sparse values, and where the caller of a function gives the value.
const onnx::TensorProto* ConstantValue(const onnx::NodeProto& node, onnx::TensorProto* made);

}  // namespace gomai
