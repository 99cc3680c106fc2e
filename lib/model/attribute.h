#pragma once

// A node's attributes by name.

#include <onnx/onnx_pb.h>

#include <string_view>

namespace gomai {

// The first of that name, or nullptr.
inline const onnx::AttributeProto* FindAttribute(const onnx::NodeProto& node, std::string_view name) {
  for (const onnx::AttributeProto& attribute : node.attribute()) {
    if (attribute.name() == name) {
      return &attribute;
    }
  }
  return nullptr;
}

}  // namespace gomai
