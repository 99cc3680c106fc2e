// Curves are compared on a grid: they are smooth but for the two kinks of a HardSigmoid, and an error that is told in
// three digits needs no more.
#include "lib/pass/hard_activation.h"

#include <algorithm>
#include <cmath>

#include "lib/graph/parse_attribute.h"
#include "lib/model/dtype.h"

namespace gomai {

double HardSigmoid(double x, double alpha, double beta) { return std::max(0.0, std::min(1.0, alpha * x + beta)); }

bool IsSixth(double number, int dtype) {
  double unit = 0x1p-26;  // of 1/6 in float32, half of it
  switch (dtype) {
    case onnx::TensorProto::FLOAT16:
      unit = 0x1p-13;
      break;
    case onnx::TensorProto::BFLOAT16:
      unit = 0x1p-10;
      break;
    case onnx::TensorProto::DOUBLE:
      unit = 0x1p-55;
      break;
    default:
      break;
  }
  const double sixth = dtype == onnx::TensorProto::DOUBLE ? 1.0 / 6 : static_cast<double>(kSixth);
  return std::abs(number - sixth) <= 4 * unit;
}

LargestError LargestErrorOver(const std::vector<double>& points, const std::function<double(double)>& a,
                              const std::function<double(double)>& b) {
  LargestError largest;
  for (const double x : points) {
    const double error = std::abs(a(x) - b(x));
    if (error > largest.error) {
      largest = {error, x};
    }
  }
  return largest;
}

LargestError LargestErrorWithin(double reach, const std::function<double(double)>& a,
                                const std::function<double(double)>& b) {
  constexpr int kSteps = 20'000;
  std::vector<double> points;
  points.reserve(2 * kSteps + 1);
  for (int i = 0; i <= kSteps; ++i) {  // from 0 outwards, so that of equal errors the positive x is told
    points.push_back(reach * i / kSteps);
    if (i > 0) {
      points.push_back(-reach * i / kSteps);
    }
  }
  return LargestErrorOver(points, a, b);
}

std::optional<std::vector<double>> DequantizedValues(const Rewriter& rewriter, ValueId value) {
  const NodeId id = rewriter.Producer(value, "DequantizeLinear");
  if (id == kNone) {
    return std::nullopt;
  }
  const std::optional<double> scale = rewriter.Number(rewriter.Input(id, 1));
  const ValueId zero = rewriter.Input(id, 2);
  const std::optional<double> offset = zero == kNone ? std::optional<double>(0) : rewriter.Number(zero);
  const onnx::TensorProto* type = rewriter.Constant(zero);
  int dtype = rewriter.Dtype(rewriter.Input(id, 0));
  if (dtype == 0) {
    dtype = type != nullptr ? type->data_type() : 0;
  }
  if (!scale || !offset || (dtype != onnx::TensorProto::INT8 && dtype != onnx::TensorProto::UINT8)) {
    return std::nullopt;
  }
  const int first = dtype == onnx::TensorProto::INT8 ? -128 : 0;
  std::vector<double> values;
  for (int i = first; i < first + 256; ++i) {
    values.push_back((i - *offset) * *scale);
  }
  return values;
}

std::optional<double> QuantizedBy(const Rewriter& rewriter, ValueId value) {
  const Index::Value& v = rewriter.index().value(value);
  if (v.uses.size() != 1 || v.uses[0].input != 0 || !rewriter.Is(v.uses[0].node, "QuantizeLinear")) {
    return std::nullopt;
  }
  return rewriter.Number(rewriter.Input(v.uses[0].node, 1));
}

std::string ErrorText(const Rewriter& rewriter, ValueId output, const LargestError& largest) {
  std::string text = fmt::format("by up to {:.3g} (at x = {:.3g})", largest.error, largest.at);
  if (const std::optional<double> scale = QuantizedBy(rewriter, output); scale && *scale > 0) {
    text += fmt::format(", {:.3g} steps of the quantisation that reads it", largest.error / *scale);
  }
  return text;
}

absl::StatusOr<std::string> WhyNotOf(const Rewriter& rewriter, NodeId id, ValueId value, std::string_view op_type) {
  const onnx::ModelProto& model = rewriter.context().model().proto();
  const ScopeId scope = rewriter.index().node(id).scope;
  const absl::StatusOr<const onnx::OpSchema*> schema = RequireSchema(model, rewriter.index(), scope, "", op_type);
  if (!schema.ok()) {
    return fmt::format("opset {} has no {}; convert-opset goes to another", rewriter.Opset(id), op_type);
  }
  GOMAI_ASSIGN_OR_RETURN(const onnx::OpSchema* present,
                         RequireSchema(model, rewriter.index(), scope, "", rewriter.proto(id).op_type()));
  const int dtype = rewriter.Dtype(value);
  const auto accepts = [&](int type) { return AcceptsDtype(**schema, 0, type); };
  if (dtype != 0) {
    return accepts(dtype) ? ""
                          : fmt::format("a {} takes no {} at opset {}", op_type, DtypeName(dtype), rewriter.Opset(id));
  }
  for (const int type : {onnx::TensorProto::FLOAT16, onnx::TensorProto::FLOAT, onnx::TensorProto::DOUBLE,
                         onnx::TensorProto::BFLOAT16, onnx::TensorProto::INT32}) {
    if (AcceptsDtype(*present, 0, type) && !accepts(type)) {
      return fmt::format("its dtype isn't known, and a {} takes no {} at opset {}", op_type, DtypeName(type),
                         rewriter.Opset(id));
    }
  }
  return "";
}

}  // namespace gomai
