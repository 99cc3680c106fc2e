#pragma once

// Are two tensors, or two pieces of two models, the same wherever their weights are stored?

#include <onnx/onnx_pb.h>

#include "lib/base/status.h"
#include "lib/model/model.h"

namespace gomai {

// Equal in every field, values compared as bytes (strings as strings) however they are stored. Values that lie in the
// same place of the same file aren't read, and none is ever in memory whole. Errors: those of ValueDigests.
absl::StatusOr<bool> SameTensor(const onnx::TensorProto& a, const Model& of_a, const onnx::TensorProto& b,
                                const Model& of_b);

// The same for whatever a model holds: both fragments lie alone in a ModelProto (a node, a function, …).
absl::StatusOr<bool> SameFragment(onnx::ModelProto a, const Model& of_a, onnx::ModelProto b, const Model& of_b);

}  // namespace gomai
