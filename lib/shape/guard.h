#pragma once

// What ONNX's own functions must not be given: operands on which they read out of bounds or never end, instead of
// failing. Each rule names what goes wrong, so that it can leave when ONNX is mended.
// Internal to lib/shape; use infer.h.

#include <onnx/defs/shape_inference.h>
#include <onnx/onnx_pb.h>

#include <string>

namespace gomai::shape {

// Why the schema's inference function isn't called for this node; "" if it may be.
std::string UnfitForInference(const onnx::NodeProto& node, onnx::InferenceContext& context);

// The same for the propagation of values, without a reason: what isn't propagated is only unknown.
bool FitForPropagation(const onnx::NodeProto& node, onnx::DataPropagationContext& context);

}  // namespace gomai::shape
