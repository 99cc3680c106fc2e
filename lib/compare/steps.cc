// A difference of one step between dequantised numbers is one step up to their own rounding, which must not count as
// more than one: so what rounding can have added is allowed for, by dtype and size of the numbers.
#include "lib/compare/steps.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "lib/compare/tensors.h"
#include "lib/graph/index.h"
#include "lib/model/attribute.h"
#include "lib/model/constant.h"
#include "lib/model/domain.h"
#include "lib/model/elements.h"
#include "lib/model/numbers.h"
#include "lib/model/tensor.h"

namespace gomai {
namespace {

constexpr double kMostRounding = 0.5;  // steps

bool HoldsItsBytes(const HostTensor& tensor) {
  return !tensor.is_string() &&
         tensor.bytes().size() >= PackedBytes(tensor.dtype(), static_cast<uint64_t>(tensor.count()));
}

// The most that rounding to the dtype changes a number of size 1.
double Rounding(int dtype) {
  switch (dtype) {
    case onnx::TensorProto::FLOAT:
    case onnx::TensorProto::COMPLEX64:
      return std::ldexp(1, -24);
    case onnx::TensorProto::DOUBLE:
    case onnx::TensorProto::COMPLEX128:
      return std::ldexp(1, -53);
    case onnx::TensorProto::FLOAT16:
      return std::ldexp(1, -11);
    case onnx::TensorProto::BFLOAT16:
      return std::ldexp(1, -8);
    default:
      return 0;
  }
}

template <typename Loader>
void Count(const Loader& candidate, const Loader& reference, double rounding, StepComparison& result) {
  using Value = typename Loader::Value;
  double sum = 0;
  int64_t finite = 0;
  for (int64_t i = 0; i < result.count; ++i) {
    const Value a = candidate.ValueAt(i);
    const Value b = reference.ValueAt(i);
    if (!std::isfinite(a) || !std::isfinite(b)) {
      result.nonfinite += a == b || (std::isnan(a) && std::isnan(b)) ? 0 : 1;
      continue;
    }
    ++finite;
    if (a == b) {
      continue;
    }
    const double steps = static_cast<double>(std::abs(a - b)) / result.step;
    const double slack = static_cast<double>(std::abs(a) + std::abs(b)) * rounding / result.step;
    sum += steps;
    result.max_steps = std::max(result.max_steps, steps);
    result.over_one += steps > 1 + (slack < kMostRounding ? slack : kMostRounding) ? 1 : 0;
  }
  result.mean_steps = finite == 0 ? 0 : sum / static_cast<double>(finite);
  if (result.nonfinite > 0) {
    result.over_one += result.nonfinite;
    result.max_steps = std::numeric_limits<double>::infinity();
  }
}

// Has it a constant distance between neighbours? 8-bit floats and smaller ones, by their numbers in onnx.proto,
// haven't.
bool HasEvenSteps(int dtype) { return !((dtype >= 17 && dtype <= 20) || dtype == 23 || dtype == 24); }

class ScaleFinder {
 public:
  ScaleFinder(const Model& model, bool has_folder) : model_(model), has_folder_(has_folder), index_(model.proto()) {}

  std::map<std::string, double> Find() const {
    std::map<std::string, double> scales;
    for (const onnx::ValueInfoProto& output : model_.proto().graph().output()) {
      const std::optional<double> step = StepOf(index_.FindValue(index_.main_scope(), output.name()));
      if (step) {
        scales.emplace(output.name(), *step);
      }
    }
    return scales;
  }

 private:
  const onnx::NodeProto* Maker(ValueId value) const {
    const NodeId id = value == kNone ? kNone : index_.value(value).producer;
    return id == kNone ? nullptr : index_.node(id).proto;
  }
  ValueId Input(ValueId made, size_t input) const {
    const std::vector<ValueId>& inputs = index_.node(index_.value(made).producer).inputs;
    return input < inputs.size() ? inputs[input] : kNone;
  }

  // Back to the value whose elements these are, in whatever order and shape. Ends in broken graphs too.
  ValueId Origin(ValueId value, bool only_identity) const {
    for (size_t steps = 0; steps < index_.nodes().size(); ++steps) {
      const onnx::NodeProto* node = Maker(value);
      if (node == nullptr || !IsDefaultDomain(node->domain())) {
        break;
      }
      const std::string& op = node->op_type();
      const bool moves =
          op == "Reshape" || op == "Transpose" || op == "Flatten" || op == "Squeeze" || op == "Unsqueeze";
      if (op != "Identity" && (only_identity || !moves)) {
        break;
      }
      value = Input(value, 0);
    }
    return value;
  }

  // The tensor of an initializer or Constant; a Constant's number is put into `made`.
  const onnx::TensorProto* Constant(ValueId value, onnx::TensorProto* made) const {
    value = Origin(value, true);
    if (value == kNone || index_.value(value).initializer != nullptr) {
      return value == kNone ? nullptr : index_.value(value).initializer;
    }
    const onnx::NodeProto* node = Maker(value);
    return node != nullptr && IsDefaultDomain(node->domain()) ? ConstantValue(*node, made) : nullptr;
  }

  // Of the quantised side, as far as the model says: 0 if it doesn't.
  int QuantisedDtype(ValueId made, ValueId quantised) const {
    onnx::TensorProto scratch;
    if (const onnx::TensorProto* zero = Constant(Input(made, 2), &scratch)) {
      return zero->data_type();
    }
    const onnx::AttributeProto* asked = FindAttribute(*Maker(made), "output_dtype");
    if (made == quantised && asked != nullptr && asked->i() != 0) {
      return static_cast<int>(asked->i());
    }
    const onnx::ValueInfoProto* info = quantised == kNone ? nullptr : index_.value(quantised).info;
    return info == nullptr ? 0 : info->type().tensor_type().elem_type();
  }

  std::optional<double> StepOf(ValueId output) const {
    const ValueId value = Origin(output, false);
    const onnx::NodeProto* node = Maker(value);
    if (node == nullptr || (!IsDefaultDomain(node->domain()) && node->domain() != "com.microsoft")) {
      return std::nullopt;
    }
    if (node->op_type() == "QuantizeLinear") {
      return HasEvenSteps(QuantisedDtype(value, value)) ? std::optional<double>(1) : std::nullopt;
    }
    if (node->op_type() != "DequantizeLinear" || !HasEvenSteps(QuantisedDtype(value, Input(value, 0)))) {
      return std::nullopt;
    }
    return LargestOf(Input(value, 1));
  }

  std::optional<double> LargestOf(ValueId scale) const {
    onnx::TensorProto made;
    const onnx::TensorProto* tensor = Constant(scale, &made);
    if (tensor == nullptr || tensor->data_type() == onnx::TensorProto::STRING ||
        (IsExternal(*tensor) && !has_folder_)) {
      return std::nullopt;
    }
    const absl::StatusOr<int64_t> count = ElementCount(*tensor);
    const absl::StatusOr<TensorBytes> bytes = ReadTensor(*tensor, model_);
    if (!count.ok() || !bytes.ok()) {
      return std::nullopt;
    }
    const std::optional<std::vector<double>> numbers = UnpackNumbers(tensor->data_type(), bytes->bytes(), *count);
    double largest = 0;
    for (const double number : numbers.value_or(std::vector<double>())) {
      if (!std::isfinite(number) || number <= 0) {
        return std::nullopt;
      }
      largest = std::max(largest, number);
    }
    return largest > 0 ? std::optional(largest) : std::nullopt;
  }

  const Model& model_;
  bool has_folder_;  // else external data is out of reach, not in the working folder
  Index index_;
};

}  // namespace

StepComparison CompareSteps(const HostTensor& candidate, const HostTensor& reference, double step) {
  StepComparison result;
  result.step = step;
  if (!(step >= 0) || std::isinf(step)) {
    result.problem = fmt::format("a step of {}", step);
  } else if (const std::string other = Incomparable(candidate, reference); !other.empty()) {
    result.problem = other;
  } else if (!reference.is_string() && (!HoldsItsBytes(candidate) || !HoldsItsBytes(reference))) {
    result.problem = fmt::format("{} bytes, reference {} bytes", candidate.bytes().size(), reference.bytes().size());
  }
  if (!result.problem.empty()) {
    return result;
  }
  const bool known = !reference.is_string() &&
                     elements::Dispatch(reference.dtype(), candidate.bytes().data(), reference.bytes().data(),
                                        [&](const auto& a, const auto& b, int components) {
                                          result.count = reference.count() * components;
                                          Count(a, b, Rounding(reference.dtype()), result);
                                        });
  if (!known) {
    result.problem = fmt::format("dtype {} has no steps", DtypeName(reference.dtype()));
  }
  return result;
}

double RangeStep(const HostTensor& reference) {
  if (!HoldsItsBytes(reference)) {
    return 0;
  }
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  const uint8_t* data = reference.bytes().data();
  elements::Dispatch(reference.dtype(), data, data, [&](const auto& values, const auto&, int components) {
    for (int64_t i = 0; i < reference.count() * components; ++i) {
      const auto value = static_cast<double>(values.ValueAt(i));
      if (std::isfinite(value)) {
        low = std::min(low, value);
        high = std::max(high, value);
      }
    }
  });
  // Divided first: the range of float64 may be more than float64 holds.
  return low < high ? high / 255 - low / 255 : 0;
}

std::map<std::string, double> OutputScales(const Model& model) { return ScaleFinder(model, true).Find(); }

std::map<std::string, double> OutputScales(const onnx::GraphProto& graph) {
  onnx::ModelProto proto;
  *proto.mutable_graph() = graph;
  return ScaleFinder(Model::FromProto(std::move(proto)), false).Find();
}

}  // namespace gomai
