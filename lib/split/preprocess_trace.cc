// Backwards from the network's input along the one operand that comes from the image, until the image is reached.
#include <algorithm>
#include <cmath>

#include "lib/model/attribute.h"
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"
#include "lib/split/preprocess_rule.h"

namespace gomai {
namespace {

using Kind = PreprocessStep::Kind;

// A number as it was written: 0.485, not the float nearest to it.
double Written(float value) { return std::isfinite(value) ? std::stod(fmt::format("{}", value)) : value; }

class Tracer {
 public:
  Tracer(const Stripped& stripped, const Index& index) : stripped_(stripped), index_(index) {}

  std::vector<PreprocessStep> Run() {
    ValueId value = index_.FindValue(index_.main_scope(), stripped_.network_input);
    std::vector<PreprocessStep> steps;
    while (value != kNone && index_.value(value).producer != kNone) {
      const NodeId id = index_.value(value).producer;
      if (auto step = Step(id); step) {
        steps.push_back(*std::move(step));
      }
      value = DataInput(id);
    }
    std::reverse(steps.begin(), steps.end());
    return Merged(std::move(steps));
  }

 private:
  // The operand that carries the image: of those that aren't constant the first.
  ValueId DataInput(NodeId id) const {
    for (const ValueId input : index_.node(id).inputs) {
      if (input != kNone && !index_.IsConstant(input)) {
        return input;
      }
    }
    return kNone;
  }

  std::vector<double> Constant(ValueId value) const {
    const Index::Value& constant = index_.value(value);
    const onnx::TensorProto* tensor = constant.initializer;
    onnx::TensorProto made;
    if (tensor == nullptr && constant.producer != kNone) {
      tensor = ConstantValue(*index_.node(constant.producer).proto, &made);
    }
    std::vector<double> values;
    if (tensor == nullptr) {
      return values;
    }
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, stripped_.preprocess);
    if (!bytes.ok()) {
      return values;
    }
    if (tensor->data_type() == onnx::TensorProto::FLOAT) {
      for (const float each : bytes->As<float>()) {
        values.push_back(Written(each));
      }
    } else if (tensor->data_type() == onnx::TensorProto::DOUBLE) {
      values.assign(bytes->As<double>().begin(), bytes->As<double>().end());
    } else if (tensor->data_type() == onnx::TensorProto::INT64) {
      values.assign(bytes->As<int64_t>().begin(), bytes->As<int64_t>().end());
    }
    return values;
  }

  // Constants of an operand of a binary operator; empty if it isn't one, or too many for channels.
  std::vector<double> Operand(NodeId id, size_t input) const {
    const Index::Node& node = index_.node(id);
    if (node.inputs.size() != 2 || node.inputs[input] == kNone || !index_.IsConstant(node.inputs[input])) {
      return {};
    }
    std::vector<double> values = Constant(node.inputs[input]);
    return values.size() <= 4 ? values : std::vector<double>();
  }

  std::optional<PreprocessStep> Step(NodeId id) const {
    const onnx::NodeProto& node = *index_.node(id).proto;
    const std::string& op = node.op_type();
    const auto has = [&](const char* name) { return op == name; };
    if (!IsDefaultDomain(node.domain())) {
      return Unknown(id);
    }
    if (has("Identity") || has("Cast") || has("Unsqueeze") || has("Squeeze") ||
        (has("Concat") && node.input_size() == 1)) {
      return std::nullopt;
    }
    if (has("Sub") || has("Add") || has("Mul") || has("Div")) {
      return Affine(id, op);
    }
    PreprocessStep step;
    if (has("Resize") || has("Upsample")) {
      step.kind = Kind::kResize;
      const onnx::AttributeProto* mode = FindAttribute(node, "mode");
      const onnx::AttributeProto* coordinates = FindAttribute(node, "coordinate_transformation_mode");
      const onnx::AttributeProto* antialias = FindAttribute(node, "antialias");
      step.interpolation = mode == nullptr ? "nearest" : mode->s();
      step.coordinates = coordinates != nullptr ? coordinates->s() : has("Resize") ? "half_pixel" : "asymmetric";
      const onnx::AttributeProto* nearest = FindAttribute(node, "nearest_mode");
      const onnx::AttributeProto* cubic = FindAttribute(node, "cubic_coeff_a");
      if (step.interpolation == "nearest") {
        step.nearest = nearest != nullptr ? nearest->s() : has("Resize") ? "round_prefer_floor" : "floor";
      } else if (step.interpolation == "cubic") {
        step.cubic = cubic != nullptr ? Written(cubic->f()) : -0.75;
      }
      step.antialias = antialias != nullptr && antialias->i() != 0;
      step.tensor = node.output(0);
      return step;
    }
    if (has("Pad")) {
      step.kind = Kind::kPad;
      const onnx::AttributeProto* mode = FindAttribute(node, "mode");
      step.mode = mode == nullptr ? "constant" : mode->s();
      const Index::Node& pad = index_.node(id);
      if (pad.inputs.size() > 2 && pad.inputs[2] != kNone) {
        const std::vector<double> value = Constant(pad.inputs[2]);
        if (value.size() != 1) {
          return Unknown(id);
        }
        step.value = value[0];
      } else if (const onnx::AttributeProto* value = FindAttribute(node, "value"); value != nullptr) {
        step.value = value->f();
      }
      if (const onnx::AttributeProto* pads = FindAttribute(node, "pads"); pads != nullptr) {
        step.order.assign(pads->ints().begin(), pads->ints().end());
      } else if (pad.inputs.size() > 1 && pad.inputs[1] != kNone && index_.IsConstant(pad.inputs[1]) &&
                 (pad.inputs.size() < 4 || pad.inputs[3] == kNone)) {
        for (const double amount : Constant(pad.inputs[1])) {
          step.order.push_back(static_cast<int64_t>(amount));
        }
      }
      return step;
    }
    if (has("Transpose")) {
      const onnx::AttributeProto* perm = FindAttribute(node, "perm");
      if (perm != nullptr) {
        step.kind = Kind::kTranspose;
        step.order.assign(perm->ints().begin(), perm->ints().end());
        return step;
      }
    }
    if (has("Gather")) {
      // One image out of a batch of one; or channels in another order.
      const std::vector<double> indices = Constant(index_.node(id).inputs[1]);
      const std::vector<double> reversed{2, 1, 0};
      if (indices.size() == 1 && indices[0] == 0) {
        return std::nullopt;
      }
      if (indices == reversed) {
        step.kind = Kind::kChannels;
        step.order = {2, 1, 0};
        return step;
      }
    }
    return Unknown(id);
  }

  PreprocessStep Unknown(NodeId id) const {
    PreprocessStep step;
    step.what = index_.Describe(id);
    return step;
  }

  PreprocessStep Affine(NodeId id, const std::string& op) const {
    PreprocessStep step;
    step.kind = Kind::kAffine;
    std::vector<double> values = Operand(id, 1);
    bool constant_first = false;
    if (values.empty()) {
      values = Operand(id, 0);
      constant_first = true;
    }
    if (values.empty() || (constant_first && op == "Div")) {
      return Unknown(id);
    }
    for (const double value : values) {
      const bool subtracts = op == "Sub";
      step.scale.push_back(op == "Mul" ? value : op == "Div" ? 1 / value : subtracts && constant_first ? -1 : 1);
      step.offset.push_back(op == "Add" || (subtracts && constant_first) ? value : subtracts ? -value : 0);
    }
    if (op == "Sub" && !constant_first) {
      step.mean = values;
    } else if (op == "Div") {
      step.std = values;
    }
    return step;
  }

  // Neighbouring affine steps as one.
  static std::vector<PreprocessStep> Merged(std::vector<PreprocessStep> steps) {
    std::vector<PreprocessStep> merged;
    for (PreprocessStep& step : steps) {
      if (merged.empty() || step.kind != Kind::kAffine || merged.back().kind != Kind::kAffine) {
        merged.push_back(std::move(step));
        continue;
      }
      PreprocessStep& last = merged.back();
      const size_t channels = std::max(last.scale.size(), step.scale.size());
      const auto at = [&](const std::vector<double>& values, size_t i) { return values[values.size() == 1 ? 0 : i]; };
      PreprocessStep both;
      both.kind = Kind::kAffine;
      for (size_t i = 0; i < channels; ++i) {
        both.scale.push_back(at(last.scale, i) * at(step.scale, i));
        both.offset.push_back(at(last.offset, i) * at(step.scale, i) + at(step.offset, i));
      }
      if (!last.mean.empty() && last.std.empty() && !step.std.empty() && step.mean.empty()) {
        both.mean = last.mean;
        both.std = step.std;
      }
      last = std::move(both);
    }
    return merged;
  }

  const Stripped& stripped_;
  const Index& index_;
};

}  // namespace

std::vector<PreprocessStep> TracePreprocess(const Stripped& stripped, const Index& index) {
  return Tracer(stripped, index).Run();
}

}  // namespace gomai
