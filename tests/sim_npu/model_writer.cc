// Field numbers: onnx/onnx.proto. Wire format: https://protobuf.dev/programming-guides/encoding/
#include "tests/sim_npu/model_writer.h"

#include <bit>
#include <string_view>

namespace gomai::sim {
namespace {

class Message {
 public:
  Message& Int(uint32_t field, int64_t value) {
    Varint(uint64_t{field} << 3);
    Varint(static_cast<uint64_t>(value));
    return *this;
  }
  Message& Float(uint32_t field, float value) {
    Varint(uint64_t{field} << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      bytes_ += static_cast<char>(bits >> shift & 0xFF);
    }
    return *this;
  }
  Message& Bytes(uint32_t field, std::string_view value) {
    Varint(uint64_t{field} << 3 | 2);
    Varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& Sub(uint32_t field, const Message& message) { return Bytes(field, message.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_ += static_cast<char>(0x80 | (value & 0x7F));
    }
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

Message ToMessage(const Tensor& tensor) {
  Message message;
  for (const int64_t dim : tensor.shape) {
    message.Int(1, dim);
  }
  return message.Int(2, tensor.dtype).Bytes(8, tensor.name).Bytes(9, tensor.bytes);
}

Message ToMessage(const Value& value) {
  Message shape;
  for (const int64_t dim : value.shape) {
    shape.Sub(1, dim >= 0 ? Message().Int(1, dim) : Message());
  }
  Message tensor;
  tensor.Int(1, value.dtype);
  if (value.has_shape) {
    tensor.Sub(2, shape);
  }
  return Message().Bytes(1, value.name).Sub(2, Message().Sub(1, tensor));
}

// AttributeProto: one field for each kind of value, and the kind itself in `type`.
struct WriteAttribute {
  Message& message;

  void operator()(float value) { message.Float(2, value).Int(20, 1); }
  void operator()(int64_t value) { message.Int(3, value).Int(20, 2); }
  void operator()(const std::string& value) { message.Bytes(4, value).Int(20, 3); }
  void operator()(const Tensor& value) { message.Sub(5, ToMessage(value)).Int(20, 4); }
  void operator()(const std::vector<float>& values) {
    for (const float value : values) {
      message.Float(7, value);
    }
    message.Int(20, 6);
  }
  void operator()(const std::vector<int64_t>& values) {
    for (const int64_t value : values) {
      message.Int(8, value);
    }
    message.Int(20, 7);
  }
  void operator()(const std::vector<std::string>& values) {
    for (const std::string& value : values) {
      message.Bytes(9, value);
    }
    message.Int(20, 8);
  }
};

Message ToMessage(const Node& node) {
  Message message;
  for (const std::string& input : node.inputs) {
    message.Bytes(1, input);
  }
  for (const std::string& output : node.outputs) {
    message.Bytes(2, output);
  }
  message.Bytes(3, node.name).Bytes(4, node.op);
  for (const Attribute& attribute : node.attributes) {
    Message sub;
    sub.Bytes(1, attribute.name);
    std::visit(WriteAttribute{sub}, attribute.value);
    message.Sub(5, sub);
  }
  return message.Bytes(7, node.domain);
}

}  // namespace

std::string Serialize(const PlainModel& model) {
  Message graph;
  for (const Node& node : model.nodes) {
    graph.Sub(1, ToMessage(node));
  }
  graph.Bytes(2, "sim_npu");
  for (const Tensor& tensor : model.initializers) {
    graph.Sub(5, ToMessage(tensor));
  }
  for (const Value& input : model.inputs) {
    graph.Sub(11, ToMessage(input));
  }
  for (const Value& output : model.outputs) {
    graph.Sub(12, ToMessage(output));
  }
  Message message;
  message.Int(1, model.ir_version).Bytes(2, "sim_npu").Sub(7, graph);
  for (const auto& [domain, version] : model.opsets) {
    message.Sub(8, Message().Bytes(1, domain).Int(2, version));
  }
  return message.bytes();
}

}  // namespace gomai::sim
