#pragma once

// A model as plain data, and as ONNX protobuf bytes written by hand: generated protobuf classes would register the
// same files as those of the process that loads the plugin, which ends it.

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace gomai::sim {

struct Tensor {
  std::string name;
  int dtype = 0;  // TensorProto.DataType
  std::vector<int64_t> shape;
  std::string bytes;  // little-endian, as raw_data has them
};

struct Attribute {
  std::string name;
  std::variant<float, int64_t, std::string, Tensor, std::vector<float>, std::vector<int64_t>, std::vector<std::string>>
      value;
};

struct Node {
  std::string name;
  std::string op;
  std::string domain;
  std::vector<std::string> inputs;  // "" where an optional one is left out
  std::vector<std::string> outputs;
  std::vector<Attribute> attributes;
};

struct Value {
  std::string name;
  int dtype = 0;  // 0: not a tensor, or unknown
  bool has_shape = false;
  std::vector<int64_t> shape;  // -1: open
};

struct PlainModel {
  int64_t ir_version = 0;
  std::vector<std::pair<std::string, int64_t>> opsets;
  std::vector<Value> inputs;
  std::vector<Value> outputs;
  std::vector<Tensor> initializers;
  std::vector<Node> nodes;
};

std::string Serialize(const PlainModel& model);

}  // namespace gomai::sim
