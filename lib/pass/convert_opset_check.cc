// What ONNX's converter gets wrong without saying so, and whether a result is one that its schemas allow; see
// convert_opset.h.
//
// Some adapters only relabel a node whose meaning changed, others guess a rank that isn't known. Each such case is a
// rule here: it holds for a node, or the conversion is refused. What the schemas say is checked afterwards for every
// node, types included, since adapters leave both attributes and types behind that the new version doesn't have.
#include <onnx/defs/data_type_utils.h>
#include <onnx/defs/schema.h>

#include <algorithm>
#include <optional>
#include <span>
#include <unordered_map>

#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"
#include "lib/pass/convert_opset_internal.h"
#include "lib/shape/infer.h"

namespace gomai::opset {
namespace {

class AdapterRules {
 public:
  AdapterRules(const std::vector<onnx::TypeProto>& types, int64_t from, int64_t to)
      : types_(types), from_(from), to_(to) {}

  // What would go wrong with a node; "" for nothing.
  std::string Fault(const Index::Node& node) const {
    const std::string& op = node.proto->op_type();
    if ((op == "BatchNormalization" || op == "Dropout") && Up(6) && Int(node, "is_test", 0) == 0) {
      return "it is in training mode, which opset 7 dropped";
    }
    if (op == "Scan" && (Up(8) || Down(8))) {
      return "its batch axis, which opset 8 alone has, would be lost";
    }
    if (op == "Dropout" && (Up(9) || Down(9)) && Outputs(node) > 1) {
      return "the dtype of its mask isn't the same before and after opset 10";
    }
    if (Down(10) && HasNegativeAxis(node)) {
      return "an axis below zero means nothing before opset 11";
    }
    if (op == "Resize" && Up(12) && Text(node, "coordinate_transformation_mode") == "tf_half_pixel_for_nn") {
      return "opset 13 dropped the mode tf_half_pixel_for_nn";
    }
    if (op == "Hardmax" && Up(12) && !LastAxis(node, Int(node, "axis", 1))) {
      return "from opset 13 on it works on one axis, not on all from the given one on";
    }
    if ((op == "Softmax" || op == "LogSoftmax") && Down(12) && !LastAxis(node, Int(node, "axis", -1))) {
      return "before opset 13 it works on all axes from the given one on, which isn't known to be the last";
    }
    if (op == "BatchNormalization" && Up(13) && Outputs(node) > 1) {
      return "its statistics are outputs in training mode only from opset 14 on";
    }
    return "";
  }

 private:
  // Does the way lead from opset `version` to the next, or back?
  bool Up(int64_t version) const { return from_ <= version && to_ > version; }
  bool Down(int64_t version) const { return to_ <= version && from_ > version; }

  static int64_t Int(const Index::Node& node, std::string_view name, int64_t missing) {
    const onnx::AttributeProto* attribute = FindAttribute(*node.proto, name);
    return attribute == nullptr ? missing : attribute->i();
  }
  static std::string Text(const Index::Node& node, std::string_view name) {
    const onnx::AttributeProto* attribute = FindAttribute(*node.proto, name);
    return attribute == nullptr ? "" : attribute->s();
  }
  static int64_t Outputs(const Index::Node& node) {
    return std::count_if(node.outputs.begin(), node.outputs.end(), [](ValueId id) { return id != kNone; });
  }

  static bool HasNegativeAxis(const Index::Node& node) {
    const onnx::AttributeProto* axes = FindAttribute(*node.proto, "axes");
    return Int(node, "axis", 0) < 0 ||
           (axes != nullptr && std::any_of(axes->ints().begin(), axes->ints().end(), [](int64_t a) { return a < 0; }));
  }

  // A rank has to be known to say so, also for -1: the adapters count with it.
  bool LastAxis(const Index::Node& node, int64_t axis) const {
    if (node.inputs.empty() || node.inputs[0] == kNone) {
      return false;
    }
    const onnx::TensorShapeProto* shape = FindShape(types_[static_cast<size_t>(node.inputs[0])]);
    return shape != nullptr && shape->dim_size() > 0 && (axis == -1 || axis == shape->dim_size() - 1);
  }

  const std::vector<onnx::TypeProto>& types_;
  const int64_t from_;
  const int64_t to_;
};

// --- Resize

// The floats of a constant of the model, wherever it is stored.
std::optional<std::vector<float>> ConstantFloats(const Model& model, const Index& index, ValueId id) {
  if (id == kNone || !index.IsConstant(id)) {
    return std::nullopt;
  }
  const Index::Value& value = index.value(id);
  const onnx::TensorProto* tensor = value.initializer;
  if (value.producer != kNone && index.node(value.producer).proto->op_type() == "Constant") {
    if (const onnx::AttributeProto* attribute = FindAttribute(*index.node(value.producer).proto, "value")) {
      tensor = &attribute->t();
    }
  }
  if (tensor == nullptr || tensor->data_type() != onnx::TensorProto::FLOAT || TensorByteSize(*tensor) > 1024) {
    return std::nullopt;
  }
  const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, model);
  if (!bytes.ok()) {
    return std::nullopt;
  }
  const std::span<const float> floats = bytes->As<float>();
  return std::vector<float>(floats.begin(), floats.end());
}

void SetText(const std::string& name, const std::string& value, onnx::NodeProto* node) {
  onnx::AttributeProto& attribute = *node->add_attribute();
  attribute.set_name(name);
  attribute.set_type(onnx::AttributeProto::STRING);
  attribute.set_s(value);
}

// --- schemas

using Types = onnx::OpSchema::FormalParameter;

const Types* Formal(const std::vector<Types>& parameters, int position) {
  if (static_cast<size_t>(position) < parameters.size()) {
    return &parameters[static_cast<size_t>(position)];
  }
  return !parameters.empty() && parameters.back().GetOption() == onnx::OpSchema::Variadic ? &parameters.back()
                                                                                          : nullptr;
}

// ONNX's interned name of a type; nullptr if it isn't known.
onnx::DataType KnownType(const onnx::TypeProto& type) {
  const bool no_dtype = type.has_tensor_type() && type.tensor_type().elem_type() == onnx::TensorProto::UNDEFINED;
  if (type.value_case() == onnx::TypeProto::VALUE_NOT_SET || no_dtype) {
    return nullptr;
  }
  try {
    return onnx::Utils::DataTypeUtils::ToType(type);
  } catch (...) {
    return nullptr;
  }
}

class SchemaCheck {
 public:
  SchemaCheck(const Index& index, const std::vector<onnx::TypeProto>& types, int64_t from, int64_t to)
      : index_(index), types_(types), from_(from), to_(to) {}

  // What the schemas of the new opset have against a node; "" for nothing.
  std::string Fault(const Index::Node& node) const {
    const onnx::NodeProto& proto = *node.proto;
    const onnx::OpSchema* now = onnx::OpSchemaRegistry::Schema(proto.op_type(), static_cast<int>(to_), "");
    const onnx::OpSchema* before = onnx::OpSchemaRegistry::Schema(proto.op_type(), static_cast<int>(from_), "");
    if (now == nullptr || now->deprecated()) {
      return fmt::format("there is no operator {} in opset {}", proto.op_type(), to_);
    }
    for (const onnx::AttributeProto& attribute : proto.attribute()) {
      const bool known_before = before == nullptr || before->attributes().contains(attribute.name());
      if (!now->attributes().contains(attribute.name()) && known_before) {
        return fmt::format("opset {} has no attribute '{}' for it", to_, attribute.name());
      }
    }
    for (const auto& [name, attribute] : now->attributes()) {
      if (attribute.required && FindAttribute(proto, name) == nullptr) {
        return fmt::format("opset {} requires the attribute '{}'", to_, name);
      }
    }
    if (proto.input_size() < now->min_input() || proto.input_size() > now->max_input() ||
        proto.output_size() < now->min_output() || proto.output_size() > now->max_output()) {
      return fmt::format("opset {} has it with other numbers of inputs and outputs than {} and {}", to_,
                         proto.input_size(), proto.output_size());
    }
    std::unordered_map<std::string, onnx::DataType> bound;
    std::string fault = CheckTypes(node.inputs, now->inputs(), before == nullptr ? nullptr : &before->inputs(), bound);
    if (fault.empty()) {
      fault = CheckTypes(node.outputs, now->outputs(), before == nullptr ? nullptr : &before->outputs(), bound);
    }
    return fault;
  }

 private:
  std::string CheckTypes(const std::vector<ValueId>& values, const std::vector<Types>& formals,
                         const std::vector<Types>* formals_before,
                         std::unordered_map<std::string, onnx::DataType>& bound) const {
    for (size_t i = 0; i < values.size(); ++i) {
      const Types* formal = Formal(formals, static_cast<int>(i));
      if (values[i] == kNone || formal == nullptr) {
        continue;
      }
      const std::string name(index_.value(values[i]).name);
      const onnx::DataType type = KnownType(types_[static_cast<size_t>(values[i])]);
      if (type == nullptr) {
        const Types* before = formals_before == nullptr ? nullptr : Formal(*formals_before, static_cast<int>(i));
        if (to_ < from_ && before != nullptr &&
            !std::all_of(before->GetTypes().begin(), before->GetTypes().end(),
                         [&](onnx::DataType t) { return formal->GetTypes().contains(t); })) {
          return fmt::format("opset {} has it for fewer types, and that of '{}' isn't known", to_, name);
        }
        continue;
      }
      if (!formal->GetTypes().contains(type)) {
        return fmt::format("opset {} doesn't have it for '{}', which is {}", to_, name, *type);
      }
      if (formal->GetIsHomogeneous()) {
        const auto [other, is_new] = bound.emplace(formal->GetTypeStr(), type);
        if (!is_new && other->second != type) {
          return fmt::format("'{}' would be {} where {} is needed", name, *type, *other->second);
        }
      }
    }
    return "";
  }

  const Index& index_;
  const std::vector<onnx::TypeProto>& types_;
  const int64_t from_;
  const int64_t to_;
};

template <typename Check>
absl::Status CheckAll(const Index& index, const Check& check, int64_t from, int64_t to) {
  for (NodeId id = 0; id < static_cast<NodeId>(index.nodes().size()); ++id) {
    const Index::Node& node = index.node(id);
    if (!IsDefaultDomain(node.proto->domain())) {
      continue;
    }
    if (const std::string fault = check.Fault(node); !fault.empty()) {
      return FailedPrecondition("node {} can't go from opset {} to {} without loss: {}", index.Describe(id), from, to,
                                fault);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAdapters(const Index& index, const std::vector<onnx::TypeProto>& types, int64_t from, int64_t to) {
  return CheckAll(index, AdapterRules(types, from, to), from, to);
}

absl::Status RepairResize(const Model& model, const Index& index, NodeId id, onnx::NodeProto* resize) {
  // Before opset 11 positions are those of asymmetric; the nearest one is the next below when it enlarges.
  const Index::Node& node = index.node(id);
  SetText("coordinate_transformation_mode", "asymmetric", resize);
  const onnx::AttributeProto* mode = FindAttribute(*node.proto, "mode");
  if (mode != nullptr && mode->s() != "nearest") {
    return absl::OkStatus();
  }
  std::optional<std::vector<float>> scales;
  if (const onnx::AttributeProto* attribute = FindAttribute(*node.proto, "scales")) {
    scales.emplace(attribute->floats().begin(), attribute->floats().end());
  } else if (node.inputs.size() > 1) {
    scales = ConstantFloats(model, index, node.inputs[1]);
  }
  if (!scales || !std::all_of(scales->begin(), scales->end(), [](float scale) { return scale >= 1; })) {
    return FailedPrecondition(
        "node {} can't go to opset 11 without loss: which value is nearest was left open before, and with scales that "
        "aren't known to be constants of 1 and more runtimes differ",
        index.Describe(id));
  }
  SetText("nearest_mode", "floor", resize);
  return absl::OkStatus();
}

absl::Status CheckSchemas(const Index& index, const std::vector<onnx::TypeProto>& types, int64_t from, int64_t to) {
  return CheckAll(index, SchemaCheck(index, types, from, to), from, to);
}

}  // namespace gomai::opset
