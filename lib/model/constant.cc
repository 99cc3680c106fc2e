// One case an attribute. A type that doesn't fit the attribute's name is a fault, which the verifier reports.
#include "lib/model/constant.h"

#include <cstring>
#include <vector>

#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"

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

void ReplaceTensor(const onnx::TensorProto& tensor, onnx::TensorProto* present) {
  *present->mutable_dims() = tensor.dims();
  if (tensor.data_type() == onnx::TensorProto::STRING) {
    ClearData(*present);
    *present->mutable_string_data() = tensor.string_data();
  } else if (tensor.data_type() == present->data_type()) {
    ReplaceData(*present, tensor.raw_data());
  } else {
    SetRawData(*present, tensor.raw_data());
  }
  present->set_data_type(tensor.data_type());
}

void ReplaceConstantValue(const onnx::TensorProto& tensor, onnx::NodeProto* node) {
  onnx::AttributeProto& a = *node->mutable_attribute(0);
  if (a.has_t()) {
    ReplaceTensor(tensor, a.mutable_t());
    return;
  }
  onnx::TensorProto made;
  if (ConstantValue(*node, &made) != &made || made.data_type() != tensor.data_type() ||
      made.dims_size() != tensor.dims_size()) {
    a = NewAttribute("value", onnx::AttributeProto::TENSOR);
    *a.mutable_t() = tensor;
    return;
  }
  // Plain numbers are float32 or int64, whose raw bytes are the values.
  const auto elements = [&](auto zero) {
    std::vector<decltype(zero)> values(tensor.raw_data().size() / sizeof(zero));
    std::memcpy(values.data(), tensor.raw_data().data(), values.size() * sizeof(zero));
    return values;
  };
  if (a.name() == "value_string") {
    a.set_s(tensor.string_data(0));
  } else if (a.name() == "value_strings") {
    *a.mutable_strings() = tensor.string_data();
  } else if (a.name() == "value_float") {
    a.set_f(elements(0.0F)[0]);
  } else if (a.name() == "value_int") {
    a.set_i(elements(int64_t{0})[0]);
  } else if (a.name() == "value_floats") {
    const std::vector<float> values = elements(0.0F);
    a.mutable_floats()->Assign(values.begin(), values.end());
  } else {
    const std::vector<int64_t> values = elements(int64_t{0});
    a.mutable_ints()->Assign(values.begin(), values.end());
  }
}

}  // namespace gomai
