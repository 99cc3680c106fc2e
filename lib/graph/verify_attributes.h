#pragma once

// The part of Verify that looks at an attribute's type and payload.

#include <onnx/onnx_pb.h>

#include <string>

namespace gomai {

// What is wrong with an attribute's type and payload; "" if nothing. Writers of the proto3 flavour leave out a number
// that is zero and a string that is empty, so an absent scalar is one; lists may be empty. `function`: the local
// function that the attribute's node is in, or nullptr.
std::string AttributeFault(const onnx::AttributeProto& attribute, const onnx::FunctionProto* function,
                           const onnx::ModelProto& model);

}  // namespace gomai
