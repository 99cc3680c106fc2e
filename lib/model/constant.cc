// One case an attribute. A type that doesn't fit the attribute's name is a fault, which the verifier reports.
#include "lib/model/constant.h"

#include "lib/model/domain.h"

namespace gomai {

const onnx::TensorProto* ConstantValue(const onnx::NodeProto& node, onnx::TensorProto* made) {
  if (node.op_type() != "Constant" || !IsDefaultDomain(node.domain()) || node.attribute_size() != 1 ||
      !node.attribute(0).ref_attr_name().empty()) {
    return nullptr;
  }
  const onnx::AttributeProto& a = node.attribute(0);
  const auto is = [&](const char* name, onnx::AttributeProto::AttributeType type) {
    return a.name() == name && a.type() == type;
  };
  const auto list = [&](int dtype, int size) {
    made->set_data_type(dtype);
    made->add_dims(size);
  };
  if (a.name() == "value") {
    return a.has_t() ? &a.t() : nullptr;
  }
  made->Clear();
  if (is("value_float", onnx::AttributeProto::FLOAT)) {
    made->set_data_type(onnx::TensorProto::FLOAT);
    made->add_float_data(a.f());
  } else if (is("value_int", onnx::AttributeProto::INT)) {
    made->set_data_type(onnx::TensorProto::INT64);
    made->add_int64_data(a.i());
  } else if (is("value_string", onnx::AttributeProto::STRING)) {
    made->set_data_type(onnx::TensorProto::STRING);
    made->add_string_data(a.s());
  } else if (is("value_floats", onnx::AttributeProto::FLOATS)) {
    list(onnx::TensorProto::FLOAT, a.floats_size());
    *made->mutable_float_data() = a.floats();
  } else if (is("value_ints", onnx::AttributeProto::INTS)) {
    list(onnx::TensorProto::INT64, a.ints_size());
    *made->mutable_int64_data() = a.ints();
  } else if (is("value_strings", onnx::AttributeProto::STRINGS)) {
    list(onnx::TensorProto::STRING, a.strings_size());
    *made->mutable_string_data() = a.strings();
  } else {
    return nullptr;
  }
  return made;
}

}  // namespace gomai
