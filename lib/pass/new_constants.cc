// Constants of a pass: one for equal tensors of a scope and a purpose, found by their bytes.
#include "lib/pass/new_constants.h"

namespace gomai {

NewConstants::NewConstants(PassContext& context)
    : index_(context.index()),
      editor_(context.editor()),
      old_ir_(context.model().proto().ir_version() > 0 && context.model().proto().ir_version() < 4) {}

bool NewConstants::MustBeNode(ScopeId scope) const {
  while (index_.scope(scope).parent != kNone) {
    scope = index_.scope(scope).parent;
  }
  return old_ir_ || index_.scope(scope).function != nullptr;
}

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
  onnx::NodeProto constant;
  constant.set_op_type("Constant");
  constant.set_name(name);
  constant.add_output(name);
  onnx::AttributeProto& value = *constant.add_attribute();
  value.set_name("value");
  value.set_type(onnx::AttributeProto::TENSOR);
  value.mutable_t()->Swap(&tensor);
  editor_.InsertNode(scope, std::move(constant), node);
  return name;
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
