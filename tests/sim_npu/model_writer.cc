// Field numbers: onnx.proto.
#include "tests/sim_npu/model_writer.h"

#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

namespace sim_npu {
namespace {

constexpr int kFloat = 1, kFloat16 = 10, kBfloat16 = 16;  // TensorProto.DataType

class Message {
 public:
  void Int(int field, int64_t value) {
    Varint(static_cast<uint64_t>(field) << 3);
    Varint(static_cast<uint64_t>(value));
  }
  void Float(int field, float value) {
    Varint(static_cast<uint64_t>(field) << 3 | 5);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void Bytes(int field, std::string_view value) {
    Varint(static_cast<uint64_t>(field) << 3 | 2);
    Varint(value.size());
    bytes_.append(value);
  }
  void Sub(int field, const Message& message) { Bytes(field, message.bytes_); }
  const std::string& bytes() const { return bytes_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_ += static_cast<char>(value | 0x80);
    }
    bytes_ += static_cast<char>(value);
  }
  std::string bytes_;
};

void Check(const Ort::Status& status) {
  if (!status.IsOK()) {
    throw std::runtime_error(status.GetErrorMessage());
  }
}

Message Tensor(Ort::ConstValue value, const std::string& name) {
  const auto info = value.GetTensorTypeAndShapeInfo();
  Message tensor;
  for (const int64_t dim : info.GetShape()) {
    tensor.Int(1, dim);
  }
  tensor.Int(2, info.GetElementType());
  tensor.Bytes(8, name);
  tensor.Bytes(9, {static_cast<const char*>(value.GetTensorRawData()), value.GetTensorSizeInBytes()});
  return tensor;
}

Message Declaration(Ort::ConstValueInfo value) {
  const auto info = value.TypeInfo().GetTensorTypeAndShapeInfo();
  Message tensor;
  tensor.Int(1, info.GetElementType());
  const std::vector<int64_t> dims = info.GetShape();
  if (!dims.empty()) {  // else a scalar, or nobody knows
    Message shape;
    for (const int64_t dim : dims) {
      Message one;
      if (dim >= 0) {
        one.Int(1, dim);
      }
      shape.Sub(1, one);
    }
    tensor.Sub(2, shape);
  }
  Message type;
  type.Sub(1, tensor);
  Message declaration;
  declaration.Bytes(1, value.GetName());
  declaration.Sub(2, type);
  return declaration;
}

Message Attribute(Ort::ConstOpAttr attribute) {
  Message message;
  message.Bytes(1, attribute.GetName());
  switch (attribute.GetType()) {
    case ORT_OP_ATTR_INT: {
      int64_t value = 0;
      Check(attribute.GetValue(value));
      message.Int(3, value);
      message.Int(20, 2);
      break;
    }
    case ORT_OP_ATTR_FLOAT: {
      float value = 0;
      Check(attribute.GetValue(value));
      message.Float(2, value);
      message.Int(20, 1);
      break;
    }
    case ORT_OP_ATTR_STRING: {
      std::string value;
      Check(attribute.GetValue(value));
      message.Bytes(4, value);
      message.Int(20, 3);
      break;
    }
    case ORT_OP_ATTR_INTS: {
      std::vector<int64_t> values;
      Check(attribute.GetValueArray(values));
      for (const int64_t value : values) {
        message.Int(8, value);
      }
      message.Int(20, 7);
      break;
    }
    case ORT_OP_ATTR_FLOATS: {
      std::vector<float> values;
      Check(attribute.GetValueArray(values));
      for (const float value : values) {
        message.Float(7, value);
      }
      message.Int(20, 6);
      break;
    }
    case ORT_OP_ATTR_STRINGS: {
      std::vector<std::string> values;
      Check(attribute.GetValueArray(values));
      for (const std::string& value : values) {
        message.Bytes(9, value);
      }
      message.Int(20, 8);
      break;
    }
    case ORT_OP_ATTR_TENSOR: {
      Ort::Value value{nullptr};
      Check(attribute.GetTensorAttributeAsOrtValue(value));
      message.Sub(5, Tensor(value.GetConst(), ""));
      message.Int(20, 4);
      break;
    }
    default:
      throw std::runtime_error("the simulated NPU doesn't know this type of attribute");
  }
  return message;
}

Message Node(const std::string& op, const std::vector<std::string>& inputs, const std::string& output) {
  Message node;
  for (const std::string& input : inputs) {
    node.Bytes(1, input);
  }
  node.Bytes(2, output);
  node.Bytes(4, op);
  return node;
}

Message Cast(const std::string& input, const std::string& output, int to) {
  Message node = Node("Cast", {input}, output);
  Message attribute;
  attribute.Bytes(1, "to");
  attribute.Int(3, to);
  attribute.Int(20, 2);
  node.Sub(5, attribute);
  return node;
}

bool IsSixth(Ort::ConstNode node) {
  for (const Ort::ConstOpAttr& attribute : node.GetAttributes()) {
    float alpha = 0;
    if (attribute.GetName() == "alpha" && attribute.GetValue(alpha).IsOK()) {
      return std::abs(alpha - 1.0F / 6) < 1e-6F;
    }
  }
  return false;
}

class Writer {
 public:
  Writer(Ort::ConstGraph graph, const Options& options) : graph_(graph), options_(options) {}

  std::string Write() {
    for (const Ort::ConstValueInfo& value : graph_.GetInitializers()) {
      AddConstant(value);
    }
    for (const Ort::ConstValueInfo& value : graph_.GetInputs()) {
      if (!constants_.contains(value.GetName())) {
        body_.Sub(11, Declaration(value));
      }
    }
    for (const Ort::ConstValueInfo& value : graph_.GetOutputs()) {
      outputs_.insert(value.GetName());
      body_.Sub(12, Declaration(value));
    }
    for (const Ort::ConstNode& node : graph_.GetNodes()) {
      Add(node);
    }
    body_.Bytes(2, "claimed");
    Message model;
    model.Int(1, graph_.GetOnnxIRVersion());
    for (const auto& set : graph_.GetOperatorSets()) {
      Message opset;
      opset.Bytes(1, set.domain);
      opset.Int(2, set.version);
      model.Sub(8, opset);
    }
    model.Sub(7, body_);
    return model.bytes();
  }

 private:
  bool AddConstant(Ort::ConstValueInfo value) {
    Ort::ConstValue constant;
    if (constants_.contains(value.GetName()) || !value.GetInitializer(constant).IsOK() || !constant) {
      return false;
    }
    constants_.insert(value.GetName());
    body_.Sub(5, Tensor(constant, value.GetName()));
    return true;
  }

  // The fault of a real compiler: x * HardSigmoid(x) becomes x * x * HardSigmoid(x), if nobody sees the HardSigmoid.
  bool IsFaulty(Ort::ConstNode node, const std::vector<std::string>& inputs) const {
    if (!options_.hardsigmoid_bug || node.GetOperatorType() != "Mul" || inputs.size() != 2) {
      return false;
    }
    for (size_t i = 0; i < 2; ++i) {
      const auto sigmoid = sigmoids_.find(inputs[i]);
      if (sigmoid != sigmoids_.end() && sigmoid->second == inputs[1 - i] && !outputs_.contains(inputs[i])) {
        return true;
      }
    }
    return false;
  }

  void Add(Ort::ConstNode node) {
    Message message;
    std::vector<std::string> inputs;
    for (const Ort::ConstValueInfo& input : node.GetInputs()) {
      inputs.push_back(input ? input.GetName() : std::string());
      message.Bytes(1, inputs.back());
      if (input && input.IsConstantInitializer()) {
        AddConstant(input);  // of an outer graph
      }
    }
    const int to = options_.round == "fp16" ? kFloat16 : options_.round == "bf16" ? kBfloat16 : 0;
    const bool faulty = IsFaulty(node, inputs);
    std::vector<std::string> changed;
    for (const Ort::ConstValueInfo& output : node.GetOutputs()) {
      const std::string name = output ? output.GetName() : std::string();
      const bool is_float =
          output && output.TypeInfo().GetTensorTypeAndShapeInfo().GetElementType() == kFloat && !name.empty();
      const bool change = is_float && (to != 0 || faulty);
      message.Bytes(2, change ? name + "/exact" : name);
      if (change) {
        changed.push_back(name);
      }
      if (node.GetOperatorType() == "HardSigmoid" && IsSixth(node)) {
        sigmoids_.emplace(name, inputs[0]);
      }
    }
    message.Bytes(3, node.GetName());
    message.Bytes(4, node.GetOperatorType());
    message.Bytes(7, node.GetDomain());
    for (const Ort::ConstOpAttr& attribute : node.GetAttributes()) {
      message.Sub(5, Attribute(attribute));
    }
    body_.Sub(1, message);
    for (const std::string& name : changed) {
      std::string from = name + "/exact";
      if (faulty) {
        body_.Sub(1, Node("Mul", {from, sigmoids_.contains(inputs[0]) ? inputs[1] : inputs[0]},
                          to != 0 ? name + "/faulty" : name));
        from = name + "/faulty";
      }
      if (to != 0) {
        body_.Sub(1, Cast(from, name + "/narrow", to));
        body_.Sub(1, Cast(name + "/narrow", name, kFloat));
      }
    }
  }

  Ort::ConstGraph graph_;
  const Options& options_;
  Message body_;
  std::set<std::string> constants_, outputs_;
  std::map<std::string, std::string> sigmoids_;  // result -> x
};

}  // namespace

std::string WriteModel(Ort::ConstGraph graph, const Options& options) { return Writer(graph, options).Write(); }

}  // namespace sim_npu
