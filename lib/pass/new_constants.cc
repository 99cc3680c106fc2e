// Constants of a pass: one for equal tensors of a scope and a purpose, found by their bytes.
#include "lib/pass/new_constants.h"

namespace gomai {

NewConstants::NewConstants(PassContext& context)
    : index_(context.index()),
      editor_(context.editor()),
      old_ir_(context.model().proto().ir_version() > 0 && context.model().proto().ir_version() < 4) {}

bool NewConstants::MustBeNode(ScopeId scope) const { return old_ir_ || index_.InFunction(scope); }

std::string NewConstants::Add(NodeId node, std::string_view stem, onnx::TensorProto tensor) {
  const ScopeId scope = index_.node(node).scope;
  std::string& name = names_[{scope, std::string(stem), tensor.SerializeAsString()}];
  if (!name.empty()) {
    return name;
  }
  name = editor_.FreshName(stem);
  if (!MustBeNode(scope)) {
    tensor.set_name(name);
    editor_.AddInitializer(scope, std::move(tensor));
    return name;
  }
  editor_.InsertNode(scope, ConstantNode(name, name, std::move(tensor)), node);
  return name;
}

onnx::NodeProto ConstantNode(std::string name, std::string output, onnx::TensorProto tensor) {
  onnx::NodeProto constant;
  constant.set_op_type("Constant");
  if (!name.empty()) {
    constant.set_name(std::move(name));
  }
  constant.add_output(std::move(output));
  tensor.clear_name();
  onnx::AttributeProto& value = *constant.add_attribute();
  value.set_name("value");
  value.set_type(onnx::AttributeProto::TENSOR);
  value.mutable_t()->Swap(&tensor);
  return constant;
}

onnx::TensorProto IntVector(const std::vector<int64_t>& values) {
  onnx::TensorProto tensor;
  tensor.set_data_type(onnx::TensorProto::INT64);
  tensor.add_dims(static_cast<int64_t>(values.size()));
  tensor.mutable_int64_data()->Add(values.begin(), values.end());
  return tensor;
}

onnx::TensorProto RawTensor(int dtype, const std::vector<int64_t>& dims, std::string bytes) {
  onnx::TensorProto tensor;
  tensor.set_data_type(dtype);
  tensor.mutable_dims()->Add(dims.begin(), dims.end());
  tensor.set_raw_data(std::move(bytes));
  return tensor;
}

}  // namespace gomai
