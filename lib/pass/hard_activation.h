#pragma once

// What rewrites of HardSigmoid and HardSwish share: the constant between them, and how far two curves are apart.
//
// HardSigmoid(x) = max(0, min(1, alpha * x + beta)); HardSwish(x) = x * HardSigmoid(x) with alpha 1/6 and beta 0.5, as
// ONNX defines both (alpha as a float32). https://onnx.ai/onnx/operators/onnx__HardSwish.html

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/pass/rewrite.h"

namespace gomai {

inline constexpr float kSixth = 1.0f / 6;
inline constexpr const char* kSixthText = "0.16666667";  // reads as kSixth

double HardSigmoid(double x, double alpha, double beta);

// Is the number one sixth, but for the rounding of a constant of this type (4 units in its last place)?
bool IsSixth(double number, int dtype = onnx::TensorProto::FLOAT);

struct LargestError {
  double error = 0;
  double at = 0;
};
// Between two curves that meet, or keep their distance, beyond +-`reach`: over a fine grid of [-reach, reach].
LargestError LargestErrorWithin(double reach, const std::function<double(double)>& a,
                                const std::function<double(double)>& b);
// The same over the points given.
LargestError LargestErrorOver(const std::vector<double>& points, const std::function<double(double)>& a,
                              const std::function<double(double)>& b);

// Every value that a DequantizeLinear with one constant scale can give, if one of an 8-bit type makes `value`.
std::optional<std::vector<double>> DequantizedValues(const Rewriter& rewriter, ValueId value);
// The scale of the QuantizeLinear that alone reads `value`, if that is one constant.
std::optional<double> QuantizedBy(const Rewriter& rewriter, ValueId value);

// ": up to 0.0694 (at x = 1.32)", and how many steps of the quantisation behind it that is.
std::string ErrorText(const Rewriter& rewriter, ValueId output, const LargestError& largest);

// May a node of this kind be of the dtype that the value has? "" or why not: "a HardSigmoid takes no bfloat16 before
// opset 22". An unknown dtype is refused where the operator that is there takes types which the new one doesn't.
absl::StatusOr<std::string> WhyNotOf(const Rewriter& rewriter, NodeId id, ValueId value, std::string_view op_type);

}  // namespace gomai
