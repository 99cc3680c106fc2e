// Backwards from the network's input along the one operand that comes from the image, until the image is reached; then
// forwards, following the axes, since constants and orders are only those of channels if they lie along the channels.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "lib/model/attribute.h"
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/model/tensor.h"
#include "lib/split/preprocess_steps.h"

namespace gomai {
namespace {

using Kind = PreprocessStep::Kind;

// A number as it was written: 0.485, not the float nearest to it.
double Written(float value) { return std::isfinite(value) ? std::stod(fmt::format("{}", value)) : value; }

struct Constant {
  std::vector<int64_t> dims;
  std::vector<double> values;  // empty: none, or of a type that isn't read
};

class Tracer {
 public:
  Tracer(const Stripped& stripped, const Index& index, const Shapes& shapes)
      : stripped_(stripped), index_(index), shapes_(shapes) {}

  std::vector<PreprocessStep> Run() {
    ValueId value = index_.FindValue(index_.main_scope(), stripped_.network_input);
    std::vector<PreprocessStep> steps;
    while (value != kNone && index_.value(value).producer != kNone) {
      const NodeId id = index_.value(value).producer;
      const ValueId data = DataInput(id);
      if (auto step = Step(id, data); step) {
        step->before = data == kNone ? "" : std::string(index_.value(data).name);
        step->after = index_.value(value).name;
        steps.push_back(*std::move(step));
      }
      value = data;
    }
    std::reverse(steps.begin(), steps.end());
    FollowAxes(&steps);
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

  int DtypeOf(ValueId value) const {
    const onnx::TypeProto* type = value == kNone ? nullptr : shapes_.Find(index_.value(value).name);
    return type == nullptr ? 0 : type->tensor_type().elem_type();
  }

  // -1: unknown.
  int RankOf(ValueId value) const {
    const onnx::TypeProto* type = value == kNone ? nullptr : shapes_.Find(index_.value(value).name);
    const onnx::TensorShapeProto* shape = type == nullptr ? nullptr : FindShape(*type);
    return shape == nullptr ? -1 : shape->dim_size();
  }

  Constant Read(NodeId id, size_t input) const {
    const Index::Node& node = index_.node(id);
    if (input >= node.inputs.size() || node.inputs[input] == kNone || !index_.IsConstant(node.inputs[input])) {
      return {};
    }
    const Index::Value& constant = index_.value(node.inputs[input]);
    const onnx::TensorProto* tensor = constant.initializer;
    onnx::TensorProto made;
    if (tensor == nullptr && constant.producer != kNone) {
      tensor = ConstantValue(*index_.node(constant.producer).proto, &made);
    }
    if (tensor == nullptr) {
      return {};
    }
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, stripped_.preprocess);
    if (!bytes.ok()) {
      return {};
    }
    Constant read;
    read.dims.assign(tensor->dims().begin(), tensor->dims().end());
    if (tensor->data_type() == onnx::TensorProto::FLOAT) {
      for (const float each : bytes->As<float>()) {
        read.values.push_back(Written(each));
      }
    } else if (tensor->data_type() == onnx::TensorProto::DOUBLE) {
      read.values.assign(bytes->As<double>().begin(), bytes->As<double>().end());
    } else if (tensor->data_type() == onnx::TensorProto::INT64) {
      read.values.assign(bytes->As<int64_t>().begin(), bytes->As<int64_t>().end());
    }
    return read;
  }

  // Integers by attribute, or from opset 13 on by an input.
  std::vector<int64_t> Ints(NodeId id, const char* attribute, size_t input) const {
    std::vector<int64_t> ints;
    if (const onnx::AttributeProto* found = FindAttribute(*index_.node(id).proto, attribute); found != nullptr) {
      ints.assign(found->ints().begin(), found->ints().end());
    } else {
      for (const double value : Read(id, input).values) {
        ints.push_back(static_cast<int64_t>(value));
      }
    }
    return ints;
  }

  // Unsqueeze and Squeeze of leading dims leave the image as it is.
  bool OnlyLeadingDims(NodeId id, int rank) const {
    std::vector<int64_t> axes = Ints(id, "axes", 1);
    for (int64_t& axis : axes) {
      axis += axis < 0 && rank > 0 ? rank : 0;
    }
    std::sort(axes.begin(), axes.end());
    std::vector<int64_t> leading(axes.size());
    std::iota(leading.begin(), leading.end(), int64_t{0});
    return !axes.empty() && axes == leading;
  }

  std::optional<PreprocessStep> Step(NodeId id, ValueId data) const {
    const onnx::NodeProto& node = *index_.node(id).proto;
    const std::string& op = node.op_type();
    const auto has = [&](const char* name) { return op == name; };
    if (!IsDefaultDomain(node.domain())) {
      return Unknown(id);
    }
    if (has("Identity") || (has("Concat") && node.input_size() == 1)) {
      return std::nullopt;
    }
    if (has("Unsqueeze") || has("Squeeze")) {
      const int rank = RankOf(has("Squeeze") ? data : index_.node(id).outputs[0]);
      return OnlyLeadingDims(id, rank) ? std::nullopt : std::optional(Unknown(id));
    }
    if (has("Cast")) {
      const onnx::AttributeProto* to = FindAttribute(node, "to");
      if (to != nullptr && to->i() == DtypeOf(data)) {
        return std::nullopt;
      }
      PreprocessStep step;
      step.kind = Kind::kCast;
      step.dtype = to == nullptr ? 0 : static_cast<int>(to->i());
      return step;
    }
    if (has("Sub") || has("Add") || has("Mul") || has("Div")) {
      return Affine(id, op, data);
    }
    if (has("Resize") || has("Upsample")) {
      return Resize(id);
    }
    if (has("Pad")) {
      return Pad(id);
    }
    if (has("Clip")) {
      return Clip(id);
    }
    if (has("Transpose")) {
      PreprocessStep step;
      step.order = Ints(id, "perm", 1);
      step.kind = step.order.empty() ? Kind::kUnknown : Kind::kTranspose;
      return step.order.empty() ? Unknown(id) : step;
    }
    return has("Gather") ? Gather(id, data) : Unknown(id);
  }

  PreprocessStep Unknown(NodeId id) const {
    PreprocessStep step;
    step.what = index_.Describe(id);
    return step;
  }

  PreprocessStep Resize(NodeId id) const {
    const onnx::NodeProto& node = *index_.node(id).proto;
    const bool upsample = node.op_type() == "Upsample";
    const auto text = [&](const char* name, const char* otherwise) {
      const onnx::AttributeProto* found = FindAttribute(node, name);
      return found == nullptr ? std::string(otherwise) : found->s();
    };
    const auto flag = [&](const char* name) {
      const onnx::AttributeProto* found = FindAttribute(node, name);
      return found != nullptr && found->i() != 0;
    };
    PreprocessStep step;
    step.kind = Kind::kResize;
    step.interpolation = text("mode", "nearest");
    // Version 10 of Resize knows no coordinates: as Upsample, it has those that are called asymmetric now.
    const bool old = upsample || node.input_size() == 2;
    step.coordinates = text("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
    if (step.interpolation == "nearest") {
      step.nearest = text("nearest_mode", old ? "floor" : "round_prefer_floor");
    } else if (step.interpolation == "cubic") {
      const onnx::AttributeProto* cubic = FindAttribute(node, "cubic_coeff_a");
      step.cubic = cubic != nullptr ? Written(cubic->f()) : -0.75;
    }
    step.antialias = flag("antialias");
    step.exclude_outside = flag("exclude_outside");
    if (step.coordinates == "tf_crop_and_resize" || text("keep_aspect_ratio_policy", "stretch") != "stretch") {
      return Unknown(id);
    }
    const size_t scales = old ? 1 : 2;
    const Index::Node& resize = index_.node(id);
    const bool by_sizes = resize.inputs.size() > 3 && resize.inputs[3] != kNone;
    step.by_scales = !by_sizes;
    if (step.by_scales && FindAttribute(node, "axes") == nullptr) {
      step.factors = Read(id, scales).values;
    }
    return step;
  }

  PreprocessStep Pad(NodeId id) const {
    const onnx::NodeProto& node = *index_.node(id).proto;
    const Index::Node& pad = index_.node(id);
    PreprocessStep step;
    step.kind = Kind::kPad;
    const onnx::AttributeProto* mode = FindAttribute(node, "mode");
    step.mode = mode == nullptr ? "constant" : mode->s();
    if (pad.inputs.size() > 2 && pad.inputs[2] != kNone) {
      const std::vector<double> value = Read(id, 2).values;
      if (value.size() != 1) {
        return Unknown(id);
      }
      step.value = value[0];
    } else if (const onnx::AttributeProto* value = FindAttribute(node, "value"); value != nullptr) {
      step.value = value->f();
    }
    if (pad.inputs.size() < 4 || pad.inputs[3] == kNone) {
      step.order = Ints(id, "pads", 1);
    }
    return step;
  }

  PreprocessStep Clip(NodeId id) const {
    const onnx::NodeProto& node = *index_.node(id).proto;
    const Index::Node& clip = index_.node(id);
    PreprocessStep step;
    step.kind = Kind::kClip;
    for (const auto& [limit, attribute, input] :
         {std::tuple(&step.min, "min", size_t{1}), {&step.max, "max", size_t{2}}}) {
      if (const onnx::AttributeProto* found = FindAttribute(node, attribute); found != nullptr) {
        *limit = Written(found->f());
      } else if (input < clip.inputs.size() && clip.inputs[input] != kNone) {
        const std::vector<double> value = Read(id, input).values;
        if (value.size() != 1) {
          return Unknown(id);
        }
        *limit = value[0];
      }
    }
    return step;
  }

  // One image out of a batch; or channels in another order.
  std::optional<PreprocessStep> Gather(NodeId id, ValueId data) const {
    const onnx::AttributeProto* attribute = FindAttribute(*index_.node(id).proto, "axis");
    const int rank = RankOf(data);
    int axis = attribute == nullptr ? 0 : static_cast<int>(attribute->i());
    if (rank < 0) {
      return Unknown(id);
    }
    axis += axis < 0 ? rank : 0;
    const Constant indices = Read(id, 1);
    if (indices.values.size() == 1 && indices.values[0] == 0 && axis == 0 && rank == 4) {
      return std::nullopt;
    }
    if (indices.dims.size() != 1 || indices.values.empty() || indices.values.size() > 4) {
      return Unknown(id);
    }
    PreprocessStep step;
    step.kind = Kind::kChannels;
    step.axis = axis - rank;
    step.what = index_.Describe(id);
    for (const double index : indices.values) {
      step.order.push_back(static_cast<int64_t>(index));
    }
    return step;
  }

  PreprocessStep Affine(NodeId id, const std::string& op, ValueId data) const {
    const int dtype = DtypeOf(data);
    if (dtype != onnx::TensorProto::FLOAT && dtype != onnx::TensorProto::DOUBLE) {
      return Unknown(id);  // of integers, and of half precision, the arithmetic is another
    }
    const bool constant_first = data != index_.node(id).inputs[0];
    const Constant operand = Read(id, constant_first ? 0 : 1);
    const auto many = std::count_if(operand.dims.begin(), operand.dims.end(), [](int64_t dim) { return dim != 1; });
    if (operand.values.empty() || operand.values.size() > 4 || many > 1 || (constant_first && op == "Div")) {
      return Unknown(id);
    }
    PreprocessStep step;
    step.kind = Kind::kAffine;
    step.what = index_.Describe(id);
    if (many == 1) {
      const auto at = std::find_if(operand.dims.begin(), operand.dims.end(), [](int64_t dim) { return dim != 1; });
      step.axis = -static_cast<int>(operand.dims.end() - at);
    }
    for (const double value : operand.values) {
      const bool subtracts = op == "Sub";
      step.scale.push_back(op == "Mul" ? value : op == "Div" ? 1 / value : subtracts && constant_first ? -1 : 1);
      step.offset.push_back(op == "Add" || (subtracts && constant_first) ? value : subtracts ? -value : 0);
    }
    if (op == "Sub" && !constant_first) {
      step.mean = operand.values;
    } else if (op == "Div") {
      step.std = operand.values;
    }
    return step;
  }

  // Constants and orders that don't lie along the channels are none of channels: a mean per column, a mirror.
  void FollowAxes(std::vector<PreprocessStep>* steps) const {
    const onnx::TypeProto* type = shapes_.Find(stripped_.image);
    const onnx::TensorShapeProto* shape = type == nullptr ? nullptr : FindShape(*type);
    std::vector<int64_t> dims;
    for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) {
      dims.push_back(shape->dim(i).has_dim_value() ? shape->dim(i).dim_value() : -1);
    }
    ImageAxes axes = AxesOf(dims);
    for (PreprocessStep& step : *steps) {
      step.axes = axes;
      if (step.axis != 0 && step.axis != axes.channels) {
        PreprocessStep unknown;
        unknown.what = step.what + fmt::format(", along the axis {}, which isn't that of the channels", step.axis);
        unknown.before = step.before;
        unknown.after = step.after;
        unknown.axes = axes;
        step = std::move(unknown);
      }
      if (step.kind == Kind::kTranspose) {
        const int rank = static_cast<int>(step.order.size());
        for (int* axis : {&axes.channels, &axes.height, &axes.width}) {
          const auto found = std::find(step.order.begin(), step.order.end(), int64_t{rank + *axis});
          *axis = *axis == 0 || found == step.order.end() ? 0 : -static_cast<int>(step.order.end() - found);
        }
      }
    }
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
      both.before = last.before;
      both.after = step.after;
      both.axes = last.axes;
      both.axis = last.axis != 0 ? last.axis : step.axis;
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
  const Shapes& shapes_;
};

}  // namespace

absl::StatusOr<std::vector<PreprocessStep>> TracePreprocess(const Stripped& stripped, const Index& index,
                                                            const Shapes& shapes) {
  return Tracer(stripped, index, shapes).Run();
}

}  // namespace gomai
