// ONNX's context interfaces over Graph. Indexes out of range fail as in ONNX's own contexts: schema functions rely on
// it, and Graph catches around every call.
#include "lib/shape/contexts.h"

#include <onnx/defs/tensor_proto_util.h>

#include "lib/shape/infer.h"

namespace gomai::shape {
namespace {

class BodyInferencer final : public onnx::GraphInferencer {
 public:
  BodyInferencer(Graph& outer, const onnx::GraphProto& body) : outer_(outer), body_(body) {}

  std::vector<const onnx::TypeProto*> doInferencing(const std::vector<const onnx::TypeProto*>& inputs,
                                                    const std::vector<const onnx::TensorProto*>& /*data*/) override {
    types_ = InferBody(outer_, body_, inputs);
    std::vector<const onnx::TypeProto*> outputs;
    outputs.reserve(types_.size());
    for (const onnx::TypeProto& type : types_) {
      outputs.push_back(&type);
    }
    return outputs;
  }

 private:
  Graph& outer_;
  const onnx::GraphProto& body_;
  std::vector<onnx::TypeProto> types_;
};

[[noreturn]] void OutOfRange(const char* what, size_t index) { fail_shape_inference("it has no ", what, " ", index); }

}  // namespace

NodeContext::NodeContext(Graph& graph, const onnx::NodeProto& node) : graph_(graph), node_(node) {
  inputs_.reserve(static_cast<size_t>(node.input_size()));
  for (const std::string& name : node.input()) {
    inputs_.push_back(name.empty() ? nullptr : graph.Find(name));
  }
  outputs_.resize(static_cast<size_t>(node.output_size()));
}

const Known* NodeContext::Input(size_t index) const {
  if (index >= inputs_.size()) {
    OutOfRange("input", index);
  }
  return inputs_[index];
}

const onnx::AttributeProto* NodeContext::getAttribute(const std::string& name) const {
  return FindAttribute(node_, name);
}

const onnx::TypeProto* NodeContext::getInputType(size_t index) const {
  const Known* known = Input(index);
  return known != nullptr && known->has_type() ? &known->type : nullptr;
}

bool NodeContext::hasInput(size_t index) const {
  return index < inputs_.size() && !node_.input(static_cast<int>(index)).empty();
}

const onnx::TensorProto* NodeContext::getInputData(size_t index) const {
  const Known* known = Input(index);
  return known == nullptr ? nullptr : known->tensor;
}

const onnx::SparseTensorProto* NodeContext::getInputSparseData(size_t index) const {
  const Known* known = Input(index);
  return known == nullptr ? nullptr : known->sparse;
}

const onnx::TensorShapeProto* NodeContext::getSymbolicInput(size_t index) const {
  const Known* known = Input(index);
  return known != nullptr && known->tensor == nullptr && known->sparse == nullptr && known->data ? &*known->data
                                                                                                 : nullptr;
}

onnx::TypeProto* NodeContext::getOutputType(size_t index) {
  if (index >= outputs_.size()) {
    OutOfRange("output", index);
  }
  return &outputs_[index];
}

bool NodeContext::hasOutput(size_t index) {
  return index < outputs_.size() && !node_.output(static_cast<int>(index)).empty();
}

onnx::GraphInferencer* NodeContext::getGraphAttributeInferencer(const std::string& name) {
  auto& body = bodies_[name];
  if (body == nullptr) {
    const onnx::GraphProto* graph = FindBody(node_, name);
    if (graph == nullptr) {
      fail_shape_inference("its attribute ", name, " is not a graph");
    }
    body = std::make_unique<BodyInferencer>(graph_, *graph);
  }
  return body.get();
}

ValueContext::ValueContext(Graph& graph, const onnx::NodeProto& node) : graph_(graph), node_(node) {}

const onnx::AttributeProto* ValueContext::getAttribute(const std::string& name) const {
  return FindAttribute(node_, name);
}

const onnx::TypeProto* ValueContext::getInputType(size_t index) const {
  if (index >= getNumInputs()) {
    OutOfRange("input", index);
  }
  const Known* known = graph_.Find(node_.input(static_cast<int>(index)));
  return known != nullptr && known->has_type() ? &known->type : nullptr;
}

const onnx::TypeProto* ValueContext::getOutputType(size_t index) const {
  if (index >= getNumOutputs()) {
    OutOfRange("output", index);
  }
  // Never unset: schema functions take what comes for a type.
  static const onnx::TypeProto* const kNothing = new onnx::TypeProto;
  const Known* known = graph_.Find(node_.output(static_cast<int>(index)));
  return known == nullptr ? kNothing : &known->type;
}

const onnx::TensorShapeProto* ValueContext::getInputData(size_t index) {
  if (index >= getNumInputs()) {
    OutOfRange("input", index);
  }
  Known* known = graph_.Find(node_.input(static_cast<int>(index)));
  return known == nullptr ? nullptr : KnownValues(*known);
}

void ValueContext::addOutputData(size_t index, onnx::TensorShapeProto&& values) {
  if (index >= getNumOutputs()) {
    OutOfRange("output", index);
  }
  const std::string& name = node_.output(static_cast<int>(index));
  if (name.empty() || values.dim_size() > kLongestVector) {
    return;
  }
  Known& known = graph_.Define(name);
  if (!known.data) {
    known.data = std::move(values);
  }
}

const onnx::TensorShapeProto* KnownValues(Known& known) {
  if (known.data) {
    return &*known.data;
  }
  if (known.tensor != nullptr) {
    const onnx::TensorProto& tensor = *known.tensor;
    if (tensor.dims_size() > 1 || (tensor.dims_size() == 1 && tensor.dims(0) > kLongestVector)) {
      return nullptr;
    }
    onnx::TensorShapeProto values;
    const auto add = [&values](const auto& numbers) {
      for (const auto number : numbers) {
        values.add_dim()->set_dim_value(number);
      }
    };
    // ParseData throws if the payload doesn't fit the dims.
    if (tensor.data_type() == onnx::TensorProto::INT64) {
      add(onnx::ParseData<int64_t>(&tensor));
    } else if (tensor.data_type() == onnx::TensorProto::INT32) {
      add(onnx::ParseData<int32_t>(&tensor));
    } else {
      return nullptr;
    }
    known.data = std::move(values);
    return &*known.data;
  }
  const onnx::TensorShapeProto* shape = FindShape(known.type);
  if (shape == nullptr || shape->dim_size() != 1 || !shape->dim(0).has_dim_value() ||
      shape->dim(0).dim_value() > kLongestVector) {
    return nullptr;
  }
  known.data = OpenShape(shape->dim(0).dim_value());
  return &*known.data;
}

}  // namespace gomai::shape
