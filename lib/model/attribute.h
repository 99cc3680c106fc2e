#pragma once

// A node's attributes: found by name, and made.

#include <onnx/onnx_pb.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

// Each with its type set. A float is float32, as attributes are.
inline onnx::AttributeProto NewAttribute(std::string name, onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto attribute;
  attribute.set_name(std::move(name));
  attribute.set_type(type);
  return attribute;
}
inline onnx::AttributeProto IntAttribute(std::string name, int64_t value) {
  onnx::AttributeProto attribute = NewAttribute(std::move(name), onnx::AttributeProto::INT);
  attribute.set_i(value);
  return attribute;
}
inline onnx::AttributeProto IntsAttribute(std::string name, const std::vector<int64_t>& values) {
  onnx::AttributeProto attribute = NewAttribute(std::move(name), onnx::AttributeProto::INTS);
  attribute.mutable_ints()->Add(values.begin(), values.end());
  return attribute;
}
inline onnx::AttributeProto FloatAttribute(std::string name, float value) {
  onnx::AttributeProto attribute = NewAttribute(std::move(name), onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
  return attribute;
}
inline onnx::AttributeProto StringAttribute(std::string name, std::string value) {
  onnx::AttributeProto attribute = NewAttribute(std::move(name), onnx::AttributeProto::STRING);
  attribute.set_s(std::move(value));
  return attribute;
}

// In place of the one of that name, else at the end.
inline void SetAttribute(onnx::NodeProto& node, onnx::AttributeProto attribute) {
  for (onnx::AttributeProto& present : *node.mutable_attribute()) {
    if (present.name() == attribute.name()) {
      present.Swap(&attribute);
      return;
    }
  }
  node.add_attribute()->Swap(&attribute);
}

}  // namespace gomai
