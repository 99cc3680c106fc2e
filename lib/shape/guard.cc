// Operands that ONNX's functions can't take; see guard.h. Checked with the version of ONNX that cmake/versions.env
// pins.
#include "lib/shape/guard.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string_view>

#include "lib/model/domain.h"
#include "lib/shape/infer.h"
#include "lib/shape/inference.h"

namespace gomai::shape {
namespace {

const onnx::TensorShapeProto* ShapeOf(onnx::InferenceContext& context, size_t input) {
  const onnx::TypeProto* type = input < context.getNumInputs() ? context.getInputType(input) : nullptr;
  return type == nullptr ? nullptr : FindShape(*type);
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

struct Term {
  int letters = 0;
  int ellipses = 0;
};

// nullopt: something else is in it.
std::optional<Term> ParseTerm(std::string_view text) {
  Term term;
  while (!text.empty()) {
    if (text.starts_with("...")) {
      ++term.ellipses;
      text.remove_prefix(3);
    } else if (IsLetter(text[0]) || text[0] == ' ') {
      term.letters += IsLetter(text[0]) ? 1 : 0;
      text.remove_prefix(1);
    } else {
      return std::nullopt;
    }
  }
  return term;
}

// ONNX takes dims of an operand at places counted in the equation's characters: a second ellipsis, or one that stands
// for more dims than the first operand's, leads it out of the shape.
std::string UnfitEinsum(onnx::InferenceContext& context) {
  const onnx::AttributeProto* attribute = context.getAttribute("equation");
  if (attribute == nullptr) {
    return "";
  }
  const std::string_view equation = attribute->s();
  const size_t arrow = equation.find("->");
  std::string_view left = equation.substr(0, arrow);
  std::optional<int> spanned;  // dims behind "..."
  for (size_t i = 0; i < context.getNumInputs(); ++i) {
    const size_t comma = left.find(',');
    const std::optional<Term> term = ParseTerm(left.substr(0, comma));
    if (!term || term->ellipses > 1) {
      return fmt::format("its equation '{}' isn't understood at operand {}", equation, i);
    }
    if (const onnx::TensorShapeProto* shape = ShapeOf(context, i); shape != nullptr) {
      const int dims = shape->dim_size() - term->letters;
      if (dims < 0 || (term->ellipses == 0 && dims != 0) || (term->ellipses == 1 && dims != spanned.value_or(dims))) {
        return fmt::format("operand {} of its equation '{}' doesn't fit its {} dims", i, equation, shape->dim_size());
      }
      if (term->ellipses == 1) {
        spanned = dims;
      }
    }
    const bool last = i + 1 == context.getNumInputs();
    if ((comma == std::string_view::npos) != last) {
      return fmt::format("its equation '{}' doesn't have as many operands as it has inputs", equation);
    }
    left.remove_prefix(last ? left.size() : comma + 1);
  }
  if (arrow != std::string_view::npos) {
    const std::optional<Term> result = ParseTerm(equation.substr(arrow + 2));
    if (!result || result->ellipses > (spanned ? 1 : 0)) {
      return fmt::format("its equation '{}' isn't understood behind '->'", equation);
    }
  }
  return "";
}

int64_t IntAttribute(onnx::InferenceContext& context, const char* name, int64_t otherwise) {
  const onnx::AttributeProto* attribute = context.getAttribute(name);
  return attribute == nullptr ? otherwise : attribute->i();
}

// ONNX looks for an axis beyond the last in the shape.
std::string UnfitLayerNormalization(onnx::InferenceContext& context) {
  const onnx::TensorShapeProto* shape = ShapeOf(context, 0);
  const int64_t axis = IntAttribute(context, "axis", -1);
  if (shape != nullptr && (axis < -shape->dim_size() || axis >= shape->dim_size())) {
    return fmt::format("its axis {} isn't one of its input's {}", axis, shape->dim_size());
  }
  return "";
}

// ONNX looks for dims before the first in the shape.
std::string UnfitGatherND(onnx::InferenceContext& context) {
  const onnx::TensorShapeProto* data = ShapeOf(context, 0);
  const onnx::TensorShapeProto* indices = ShapeOf(context, 1);
  const int64_t batch = IntAttribute(context, "batch_dims", 0);
  if (data == nullptr || indices == nullptr || indices->dim_size() == 0) {
    return "";
  }
  const auto& length = indices->dim(indices->dim_size() - 1);
  if (batch < 0 || batch > data->dim_size() ||
      (length.has_dim_value() && (length.dim_value() < 0 || length.dim_value() > data->dim_size() - batch))) {
    return fmt::format("its batch_dims {} and the last dim of its indices don't fit its data's {} dims", batch,
                       data->dim_size());
  }
  return "";
}

// ONNX before opset 13's makes a dim for each element of the shape operand, however many it is declared to have.
std::string UnfitExpand(onnx::InferenceContext& context) {
  const onnx::TensorShapeProto* shape = ShapeOf(context, 1);
  if (shape != nullptr && shape->dim_size() == 1 && shape->dim(0).dim_value() > kHighestRank) {
    return fmt::format("its shape operand has {} elements; {} dims are the most", shape->dim(0).dim_value(),
                       kHighestRank);
  }
  return "";
}

// Operators whose functions follow the type of input 0 without asking whether there is one.
bool NeedsFirstType(const onnx::NodeProto& node) {
  static constexpr std::string_view kNames[] = {"EyeLike", "RegexFullMatch"};
  static constexpr std::string_view kMlNames[] = {"DictVectorizer", "LabelEncoder", "TreeEnsemble"};
  const auto has = [&node](const auto& names) {
    return std::find(std::begin(names), std::end(names), node.op_type()) != std::end(names);
  };
  return IsDefaultDomain(node.domain()) ? has(kNames) : node.domain() == "ai.onnx.ml" && has(kMlNames);
}

// ONNX counts with an int in steps of an int64_t: a long step is cut to 32 bits and goes on for ever.
bool FitSlice(onnx::DataPropagationContext& context) {
  constexpr int64_t kLongestStep = int64_t{1} << 30;
  if (context.getNumInputs() < 5) {
    return true;
  }
  const onnx::TensorShapeProto* steps = context.getInputData(4);
  if (steps == nullptr) {
    return true;
  }
  for (const auto& step : steps->dim()) {
    if (step.dim_value() > kLongestStep || step.dim_value() < -kLongestStep) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string UnfitForInference(const onnx::NodeProto& node, onnx::InferenceContext& context) {
  if (NeedsFirstType(node) && (context.getNumInputs() == 0 || context.getInputType(0) == nullptr)) {
    return "the type of its first input isn't known";
  }
  if (!IsDefaultDomain(node.domain())) {
    return "";
  }
  return node.op_type() == "Einsum"               ? UnfitEinsum(context)
         : node.op_type() == "LayerNormalization" ? UnfitLayerNormalization(context)
         : node.op_type() == "GatherND"           ? UnfitGatherND(context)
         : node.op_type() == "Expand"             ? UnfitExpand(context)
                                                  : "";
}

bool FitForPropagation(const onnx::NodeProto& node, onnx::DataPropagationContext& context) {
  if (node.op_type() == "Slice" && IsDefaultDomain(node.domain())) {
    return FitSlice(context);
  }
  return true;
}

}  // namespace gomai::shape
