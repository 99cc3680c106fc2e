// One rule an operator. A rule that can't prove anything says no.
#include "lib/pass/no_op.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

constexpr uint64_t kSmall = 4096;  // bytes; larger constants aren't looked into

// 1 in a type, little-endian; empty: not a type of arithmetic.
std::vector<uint8_t> One(int dtype) {
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
      return {0, 0, 0x80, 0x3f};
    case onnx::TensorProto::DOUBLE:
      return {0, 0, 0, 0, 0, 0, 0xf0, 0x3f};
    case onnx::TensorProto::FLOAT16:
      return {0, 0x3c};
    case onnx::TensorProto::BFLOAT16:
      return {0x80, 0x3f};
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
      return {1};
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::UINT16:
      return {1, 0};
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::UINT32:
      return {1, 0, 0, 0};
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::UINT64:
      return {1, 0, 0, 0, 0, 0, 0, 0};
    default:
      return {};
  }
}

bool IsFloat(int dtype) {
  return dtype == onnx::TensorProto::FLOAT || dtype == onnx::TensorProto::DOUBLE ||
         dtype == onnx::TensorProto::FLOAT16 || dtype == onnx::TensorProto::BFLOAT16;
}

// What x + ZERO leaves as it is: -0.0 for floats, since -0.0 + 0.0 is 0.0. `minus`: x - ZERO.
std::vector<uint8_t> Zero(int dtype, bool minus) {
  std::vector<uint8_t> zero(One(dtype).size(), 0);
  if (IsFloat(dtype) && !minus) {
    zero.back() = 0x80;
  }
  return zero;
}

bool AllAre(const std::optional<std::vector<int64_t>>& values, int64_t wanted) {
  return values && std::all_of(values->begin(), values->end(), [&](int64_t value) { return value == wanted; });
}

}  // namespace

NoOps::NoOps(const Model& model, const Index& index, const Facts& facts) : model_(model), index_(index), facts_(facts) {
  for (const onnx::OperatorSetIdProto& import : model.proto().opset_import()) {
    opset_ = IsDefaultDomain(import.domain()) ? import.version() : opset_;
  }
}

const onnx::TensorShapeProto* NoOps::ShapeOf(ValueId value) const {
  const auto at = static_cast<size_t>(value);
  return value == kNone || !facts_.proven[at] ? nullptr : FindShape(facts_.types[at]);
}

int NoOps::DtypeOf(ValueId value) const {
  const auto at = static_cast<size_t>(value);
  return value == kNone || !facts_.proven[at] ? 0 : facts_.types[at].tensor_type().elem_type();
}

bool NoOps::SameFixedShape(ValueId a, ValueId b) const {
  const onnx::TensorShapeProto* one = ShapeOf(a);
  const onnx::TensorShapeProto* other = ShapeOf(b);
  if (one == nullptr || other == nullptr || one->dim_size() != other->dim_size()) {
    return false;
  }
  for (int i = 0; i < one->dim_size(); ++i) {
    if (!one->dim(i).has_dim_value() || !other->dim(i).has_dim_value() ||
        one->dim(i).dim_value() != other->dim(i).dim_value()) {
      return false;
    }
  }
  return true;
}

bool NoOps::SameShape(ValueId a, ValueId b) const {
  const onnx::TensorShapeProto* one = ShapeOf(a);
  const onnx::TensorShapeProto* other = ShapeOf(b);
  if (one == nullptr || other == nullptr || one->dim_size() != other->dim_size()) {
    return false;
  }
  int unknown = 0;
  bool empty = false;
  for (int i = 0; i < one->dim_size(); ++i) {
    if (!one->dim(i).has_dim_value() || !other->dim(i).has_dim_value()) {
      ++unknown;
    } else if (one->dim(i).dim_value() != other->dim(i).dim_value()) {
      return false;
    } else {
      empty = empty || one->dim(i).dim_value() == 0;
    }
  }
  return unknown == 0 || (unknown == 1 && !empty);
}

std::optional<std::vector<uint8_t>> NoOps::Constant(ValueId id) const {
  if (id == kNone) {
    return std::nullopt;
  }
  const Index::Value& value = index_.value(id);
  const onnx::TensorProto* tensor = nullptr;
  if (const auto& computed = facts_.computed[static_cast<size_t>(id)]; computed) {
    tensor = &*computed;
  } else if (value.origin == Index::Origin::kInitializer) {
    tensor = value.initializer;
  } else if (value.producer != kNone) {
    const onnx::NodeProto& node = *index_.node(value.producer).proto;
    const onnx::AttributeProto* attribute = FindAttribute(node, "value");
    if (node.op_type() == "Constant" && IsDefaultDomain(node.domain()) && attribute != nullptr && attribute->has_t()) {
      tensor = &attribute->t();
    }
  }
  if (tensor == nullptr || tensor->data_type() == onnx::TensorProto::STRING || TensorByteSize(*tensor) > kSmall) {
    return std::nullopt;
  }
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, model_);
  return bytes.ok() ? std::optional(std::vector<uint8_t>(bytes->bytes().begin(), bytes->bytes().end())) : std::nullopt;
}

std::optional<std::vector<int64_t>> NoOps::Integers(const Index::Node& node, int input) const {
  const ValueId id = static_cast<size_t>(input) < node.inputs.size() ? node.inputs[static_cast<size_t>(input)] : kNone;
  const auto bytes = Constant(id);
  const int dtype = DtypeOf(id);
  if (!bytes || (dtype != onnx::TensorProto::INT64 && dtype != onnx::TensorProto::INT32)) {
    return std::nullopt;
  }
  const size_t size = dtype == onnx::TensorProto::INT64 ? 8 : 4;
  std::vector<int64_t> values;
  for (size_t i = 0; i + size <= bytes->size(); i += size) {
    uint64_t value = 0;
    for (size_t b = 0; b < size; ++b) {
      value |= static_cast<uint64_t>((*bytes)[i + b]) << (8 * b);
    }
    values.push_back(size == 8 ? static_cast<int64_t>(value) : static_cast<int32_t>(static_cast<uint32_t>(value)));
  }
  return values;
}

bool NoOps::AllElements(ValueId value, const std::vector<uint8_t>& element) const {
  const auto bytes = Constant(value);
  if (!bytes || element.empty() || bytes->empty() || bytes->size() % element.size() != 0) {
    return false;
  }
  for (size_t i = 0; i < bytes->size(); i += element.size()) {
    if (!std::equal(element.begin(), element.end(), bytes->begin() + static_cast<std::ptrdiff_t>(i))) {
      return false;
    }
  }
  return true;
}

// Broadcast to an operand, does the data keep its shape?
bool NoOps::KeepsShape(ValueId data, ValueId operand, ValueId result) const {
  if (SameFixedShape(data, result)) {
    return true;
  }
  const onnx::TensorShapeProto* small = ShapeOf(operand);
  const onnx::TensorShapeProto* large = ShapeOf(data);
  return small != nullptr && (small->dim_size() == 0 || (large != nullptr && small->dim_size() <= large->dim_size())) &&
         std::all_of(small->dim().begin(), small->dim().end(),
                     [](const auto& dim) { return dim.has_dim_value() && dim.dim_value() == 1; });
}

// x + 0, 0 + x, x - 0, x * 1, 1 * x, x / 1.
int NoOps::NeutralArithmetic(const Index::Node& node) const {
  const std::string& op = node.proto->op_type();
  if (node.inputs.size() != 2 || FindAttribute(*node.proto, "axis") != nullptr ||
      FindAttribute(*node.proto, "broadcast") != nullptr) {
    return -1;
  }
  const bool commutes = op == "Add" || op == "Mul";
  for (const int data : {0, 1}) {
    const ValueId value = node.inputs[static_cast<size_t>(data)];
    const ValueId operand = node.inputs[static_cast<size_t>(1 - data)];
    const int dtype = DtypeOf(value);
    if ((data == 1 && !commutes) || value == kNone || operand == kNone || dtype == 0 || dtype != DtypeOf(operand)) {
      continue;
    }
    const bool times = op == "Mul" || op == "Div";
    if (AllElements(operand, times ? One(dtype) : Zero(dtype, op == "Sub")) &&
        KeepsShape(value, operand, node.outputs[0])) {
      return data;
    }
  }
  return -1;
}

// All of every axis, in order. The shape alone doesn't tell: a step of -1 keeps it.
bool NoOps::IsWholeSlice(const Index::Node& node) const {
  const onnx::AttributeProto* starts = FindAttribute(*node.proto, "starts");
  const onnx::AttributeProto* ends = FindAttribute(*node.proto, "ends");
  if (node.inputs.size() > 4 && node.inputs[4] != kNone && !AllAre(Integers(node, 4), 1)) {
    return false;
  }
  if (SameFixedShape(node.inputs[0], node.outputs[0])) {
    return true;
  }
  std::optional<std::vector<int64_t>> from = Integers(node, 1);
  std::optional<std::vector<int64_t>> to = Integers(node, 2);
  if (starts != nullptr && ends != nullptr) {
    from.emplace(starts->ints().begin(), starts->ints().end());
    to.emplace(ends->ints().begin(), ends->ints().end());
  }
  constexpr int64_t kEnd = std::numeric_limits<int32_t>::max();
  return AllAre(from, 0) && to && std::all_of(to->begin(), to->end(), [](int64_t end) { return end >= kEnd; });
}

bool NoOps::IsIdlePad(const Index::Node& node) const {
  for (const char* name : {"pads", "paddings"}) {
    if (const onnx::AttributeProto* pads = FindAttribute(*node.proto, name); pads != nullptr) {
      return AllAre(std::vector<int64_t>(pads->ints().begin(), pads->ints().end()), 0);
    }
  }
  return AllAre(Integers(node, 1), 0);
}

bool NoOps::IsIdleTranspose(const Index::Node& node) const {
  const onnx::AttributeProto* perm = FindAttribute(*node.proto, "perm");
  if (perm == nullptr) {
    const onnx::TensorShapeProto* shape = ShapeOf(node.inputs[0]);
    return shape != nullptr && shape->dim_size() <= 1;
  }
  for (int i = 0; i < perm->ints_size(); ++i) {
    if (perm->ints(i) != i) {
      return false;
    }
  }
  return true;
}

int NoOps::GivesInput(NodeId id) const {
  const Index::Node& node = index_.node(id);
  const std::string& op = node.proto->op_type();
  if (node.inputs.empty() || node.inputs[0] == kNone) {
    return op == "Add" || op == "Mul" ? NeutralArithmetic(node) : -1;
  }
  const auto says = [](bool same) { return same ? 0 : -1; };
  if (op == "Cast" || op == "CastLike") {
    const int dtype = DtypeOf(node.inputs[0]);
    return says(dtype != 0 && dtype == DtypeOf(node.outputs[0]));
  }
  if (op == "Concat" || op == "Sum" || op == "Max" || op == "Min") {
    return says(node.inputs.size() == 1);
  }
  if (op == "Split") {
    return says(node.outputs.size() == 1);
  }
  if (op == "Dropout") {
    // Before opset 7 it is in training unless an attribute says otherwise.
    return says(opset_ >= 7 && !IsRandomOp(*node.proto));
  }
  if (op == "Transpose") {
    return says(IsIdleTranspose(node));
  }
  if (op == "Expand") {
    const auto sizes = Integers(node, 1);
    const onnx::TensorShapeProto* shape = ShapeOf(node.inputs[0]);
    return says(SameFixedShape(node.inputs[0], node.outputs[0]) ||
                (AllAre(sizes, 1) && shape != nullptr && sizes->size() <= static_cast<size_t>(shape->dim_size())));
  }
  if (op == "Tile") {
    return says(opset_ >= 6 && (SameFixedShape(node.inputs[0], node.outputs[0]) || AllAre(Integers(node, 1), 1)));
  }
  if (op == "Slice") {
    return says(IsWholeSlice(node));
  }
  if (op == "Pad") {
    return says(IsIdlePad(node));
  }
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div") {
    return NeutralArithmetic(node);
  }
  return -1;
}

bool NoOps::IsView(NodeId id) const {
  const std::string& op = index_.node(id).proto->op_type();
  return op == "Reshape" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze";
}

bool NoOps::IgnoresShape(NodeId id) const {
  const Index::Node& node = index_.node(id);
  if (node.proto->op_type() != "Reshape") {
    return false;
  }
  const onnx::AttributeProto* allowzero = FindAttribute(*node.proto, "allowzero");
  if (allowzero != nullptr && allowzero->i() != 0) {
    return true;
  }
  const auto sizes = Integers(node, 1);
  return sizes && std::none_of(sizes->begin(), sizes->end(), [](int64_t size) { return size == 0; });
}

}  // namespace gomai
