#pragma once

// Moving a model to another opset of ONNX's own domain, by ONNX's version converter, without losing what it forgets.
//
// The converter's own representation drops metadata, sparse tensors, attributes' documentation and more, some of its
// adapters change what is computed, and some operators have none. So it is given a copy, in which nodes are tagged and
// weights replaced; what it changed is found by comparing its result with what it makes of the same copy without a
// change of version; and only these changes go into the model. Nodes that it left alone stay as they are, field by
// field; initializers, inputs, outputs and declarations stay too. Bodies are converted with the graph around them.
//
//   GOMAI_RETURN_IF_ERROR(ConvertOpset(model, 17));
//
// Weights aren't read. Cost: O(nodes), some 50 ms for a thousand of them, mostly shape inference.
//
// What is refused (kFailedPrecondition, naming a node): an operator without an adapter; an adapter known to compute
// something else for this node; a result that the new version's schemas don't allow; local functions and training
// information, which the converter drops. kInvalidArgument for a version that ONNX doesn't have, kDataLoss for a model
// that Verify finds broken.

#include <onnx/onnx_pb.h>

#include <cstdint>

#include "lib/base/status.h"
#include "lib/model/model.h"

namespace gomai {

// The opset of ONNX's own domain that the model imports; 0 if it imports none.
int64_t DefaultOpset(const onnx::ModelProto& model);

// The whole proto as it is at that opset; equal to the model's if it is there already.
absl::StatusOr<onnx::ModelProto> AtOpset(const Model& model, int64_t opset);

// In place; declared shapes that became false are brought up to date, outputs' aren't allowed to change.
absl::Status ConvertOpset(Model& model, int64_t opset);

}  // namespace gomai
