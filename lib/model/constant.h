#pragma once

// What a Constant node gives, whichever of its attributes it stands in, and other values for it.

#include <onnx/onnx_pb.h>

namespace gomai {

// The tensor of a Constant: its own, or its number, string or list of them written to `made`. nullptr for other nodes,
// for sparse values, and where the caller of a function gives the value.
const onnx::TensorProto* ConstantValue(const onnx::NodeProto& node, onnx::TensorProto* made);

// Dtype, shape and values of `tensor` in `present`, whose name, doc string and metadata stay; in the field that holds
// the values now, if the dtype is the same.
void ReplaceTensor(const onnx::TensorProto& tensor, onnx::TensorProto* present);

// The same for a Constant: a number, a string or a list of them stays one where it can hold the new value, anything
// else becomes a tensor. `node` is a Constant with one attribute.
void ReplaceConstantValue(const onnx::TensorProto& tensor, onnx::NodeProto* node);

}  // namespace gomai
