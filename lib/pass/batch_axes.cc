// Which leading dims of inputs are batch axes: a marker in their place, and where it turns up.
#include <algorithm>
#include <array>
#include <map>

#include "lib/base/text.h"
#include "lib/model/attribute.h"
#include "lib/model/domain.h"
#include "lib/pass/batch.h"
#include "lib/pass/declared_shapes.h"
#include "lib/shape/infer.h"

namespace gomai {
namespace {

using Names = std::initializer_list<std::string_view>;

bool IsOneOf(std::string_view op, Names names) { return std::find(names.begin(), names.end(), op) != names.end(); }

// Operators whose first input has a batch axis of its own, in front.
bool HasBatchAxis(std::string_view op) {
  return IsOneOf(op, {"Conv",
                      "ConvInteger",
                      "QLinearConv",
                      "ConvTranspose",
                      "DeformConv",
                      "MaxPool",
                      "AveragePool",
                      "LpPool",
                      "GlobalMaxPool",
                      "GlobalAveragePool",
                      "GlobalLpPool",
                      "BatchNormalization",
                      "InstanceNormalization",
                      "GroupNormalization",
                      "LRN",
                      "DepthToSpace",
                      "SpaceToDepth",
                      "GridSample",
                      "RoiAlign",
                      "MaxRoiPool",
                      "NonMaxSuppression"});
}

int64_t AxisOf(const onnx::NodeProto& node, int64_t otherwise) {
  const onnx::AttributeProto* axis = FindAttribute(node, "axis");
  return axis == nullptr ? otherwise : axis->i();
}

// Does the node read across the leading dim of its input, so that this can't be a batch? The reason, or "".
std::string_view Mixes(const onnx::NodeProto& node, int input, int rank) {
  const std::string& op = node.op_type();
  if (IsOneOf(op, {"RoiAlign", "MaxRoiPool"})) {
    return input != 0 ? "reads it as a list of regions" : "";
  }
  if (HasBatchAxis(op) && op != "NonMaxSuppression") {
    return input != 0 && op != "GridSample" ? "reads it as weights" : "";
  }
  if (op == "Gemm") {
    const onnx::AttributeProto* transposed = FindAttribute(node, "transA");
    return input == 1 || (input == 0 && transposed != nullptr && transposed->i() != 0) ? "sums along it" : "";
  }
  if (IsOneOf(op, {"MatMul", "MatMulInteger"})) {
    return input == 1 && rank == 2 ? "sums along it" : "";
  }
  if (IsOneOf(op, {"LSTM", "GRU", "RNN"})) {
    const onnx::AttributeProto* layout = FindAttribute(node, "layout");
    if (input == 0 && layout != nullptr && layout->i() == 1) {
      return "";
    }
    return input == 0 ? "reads it as the steps of a sequence" : input <= 3 ? "reads it as weights" : "";
  }
  const auto along = [&](int64_t otherwise) {
    const int64_t axis = AxisOf(node, otherwise);
    return input == 0 && (axis == 0 || axis == -rank);
  };
  if (IsOneOf(op, {"Gather", "GatherElements"})) {
    return along(0) ? "picks items from it" : "";
  }
  if (IsOneOf(op, {"ScatterElements", "Scatter"})) {
    return along(0) ? "writes items into it" : "";
  }
  if (IsOneOf(op, {"ArgMax", "ArgMin"})) {
    return along(0) ? "looks for one item in it" : "";
  }
  if (op == "TopK") {
    return along(-1) ? "sorts along it" : "";
  }
  if (IsOneOf(op, {"Softmax", "LogSoftmax", "Hardmax"})) {
    return along(-1) ? "normalises along it" : "";
  }
  if (op == "Concat") {
    const int64_t axis = AxisOf(node, 1);
    return axis == 0 || axis == -rank ? "puts other items behind it" : "";
  }
  return "";
}

struct Evidence {
  std::string against;  // "the RoiAlign /x reads it as …"
  bool strong = false;  // an operator's own batch axis
  bool leads_output = false;
};

Evidence Weigh(const Index& index, const BatchProbe& probe, int64_t marker) {
  Evidence evidence;
  for (NodeId id = 0; id < static_cast<NodeId>(probe.index.nodes().size()); ++id) {
    const Index::Node& node = probe.index.node(id);
    if (!IsDefaultDomain(node.proto->domain())) {
      continue;
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (LeadingDim(probe.index, probe.inferred, node.inputs[i]) != marker) {
        continue;
      }
      const int rank = FindShape(probe.inferred.types[static_cast<size_t>(node.inputs[i])])->dim_size();
      if (const std::string_view why = Mixes(*node.proto, static_cast<int>(i), rank); !why.empty()) {
        evidence.against = fmt::format("{} {}", index.Describe(id), why);
        return evidence;
      }
      evidence.strong = evidence.strong || (i == 0 && HasBatchAxis(node.proto->op_type()));
    }
  }
  for (const onnx::ValueInfoProto& output : probe.model.proto().graph().output()) {
    const ValueId value = probe.index.FindValue(probe.index.main_scope(), output.name());
    evidence.leads_output = evidence.leads_output || LeadingDim(probe.index, probe.inferred, value) == marker;
  }
  return evidence;
}

// Inputs that may have a batch axis, those with one symbol or one fixed size together.
std::vector<BatchAxis> Candidates(const Model& model) {
  std::vector<BatchAxis> axes;
  for (const onnx::ValueInfoProto& input : model.proto().graph().input()) {
    const onnx::TensorShapeProto* shape = FindShape(input.type());
    if (!input.type().has_tensor_type() || shape == nullptr || shape->dim_size() == 0 ||
        FindDefault(model.proto(), input.name()) != nullptr) {
      continue;
    }
    const std::string& symbol = shape->dim(0).dim_param();
    const int64_t size = FixedSize(shape->dim(0)).value_or(0);
    const auto same = std::find_if(axes.begin(), axes.end(), [&](const BatchAxis& axis) {
      return size != 0 ? axis.size == size : !symbol.empty() && !axis.symbols.empty() && axis.symbols[0] == symbol;
    });
    if (same != axes.end()) {
      same->inputs.push_back(input.name());
      continue;
    }
    BatchAxis& axis = axes.emplace_back();
    axis.inputs.push_back(input.name());
    axis.size = size;
    if (!symbol.empty()) {
      axis.symbols.push_back(symbol);
    }
  }
  return axes;
}

int HighestRank(const Model& model, const BatchAxis& axis) {
  int rank = 0;
  for (const onnx::ValueInfoProto& input : model.proto().graph().input()) {
    if (std::find(axis.inputs.begin(), axis.inputs.end(), input.name()) != axis.inputs.end()) {
      rank = std::max(rank, FindShape(input.type())->dim_size());
    }
  }
  return rank;
}

}  // namespace

std::string BatchAxis::Text() const {
  std::string text;
  for (size_t i = 0; i < inputs.size(); ++i) {
    text += fmt::format("{}'{}'", i == 0 ? "" : ", ", inputs[i]);
  }
  return size != 0         ? fmt::format("{} ({})", text, size)
         : symbols.empty() ? text
                           : fmt::format("{} ({})", text, fmt::join(symbols, ", "));
}

int64_t LeadingDim(const Index&, const Inferred& inferred, ValueId value) {
  const onnx::TensorShapeProto* shape =
      value == kNone ? nullptr : FindShape(inferred.types[static_cast<size_t>(value)]);
  return shape != nullptr && shape->dim_size() > 0 && shape->dim(0).has_dim_value() ? shape->dim(0).dim_value() : 0;
}

int64_t FindMarker(const Model& model, const Inferred& inferred) {
  constexpr std::array<int64_t, 8> kPrimes = {7919, 6997, 5987, 4993, 8999, 9973, 11987, 3989};
  for (const int64_t prime : kPrimes) {
    bool used = false;
    const auto look = [&](int64_t size) { used = used || (size != 0 && size % prime == 0); };
    for (const onnx::TypeProto& type : inferred.types) {
      const onnx::TensorShapeProto* shape = FindShape(type);
      for (int i = 0; shape != nullptr && i < shape->dim_size(); ++i) {
        look(shape->dim(i).dim_value());
      }
    }
    for (const onnx::TensorProto& tensor : model.proto().graph().initializer()) {
      std::for_each(tensor.dims().begin(), tensor.dims().end(), look);
    }
    if (!used) {
      return prime;
    }
  }
  return kPrimes.front();  // eight sizes in one model that are multiples of large primes: a wrong answer only refuses
}

absl::StatusOr<std::vector<BatchAxis>> FindBatchAxes(const Model& model, const Index& index, int64_t size,
                                                     std::vector<std::string>* why_not) {
  GOMAI_ASSIGN_OR_RETURN(const Inferred base, InferAll(model, index));
  const int64_t marker = FindMarker(model, base);
  std::vector<BatchAxis> open;
  std::vector<BatchAxis> fixed;
  // A hostile model may have any number of inputs; each candidate costs an inference.
  constexpr size_t kMostCandidates = 32;
  std::vector<BatchAxis> candidates = Candidates(model);
  candidates.resize(std::min(candidates.size(), kMostCandidates));
  for (BatchAxis& axis : candidates) {
    if (HighestRank(model, axis) < 2) {
      why_not->push_back(fmt::format("{} is a vector", axis.Text()));
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const BatchProbe probe, ProbeBatch(model, axis, marker, {}, 1));
    const Evidence evidence = Weigh(index, probe, marker);
    if (!evidence.against.empty()) {
      why_not->push_back(fmt::format("{}: {}", axis.Text(), evidence.against));
    } else if (evidence.strong || (axis.size == 0 && evidence.leads_output)) {
      (axis.size == 0 ? open : fixed).push_back(std::move(axis));
    } else {
      why_not->push_back(fmt::format("{}: {}", axis.Text(),
                                     axis.size == 0 ? "it leads no output and no input of an operator with a batch axis"
                                                    : "its leading dim is no operator's batch axis"));
    }
  }
  if (open.empty()) {
    for (BatchAxis& axis : fixed) {
      if (axis.size != size) {
        open.push_back(std::move(axis));
      }
    }
    if (open.empty() && !fixed.empty()) {
      return fixed;
    }
  }
  return open;
}

absl::StatusOr<BatchAxis> NamedBatchAxis(const Model& model, const std::vector<std::string>& inputs) {
  BatchAxis axis;
  std::vector<std::string_view> names;
  for (const onnx::ValueInfoProto& input : model.proto().graph().input()) {
    names.push_back(input.name());
  }
  for (const std::string& name : inputs) {
    const auto place = std::find(names.begin(), names.end(), name);
    if (place == names.end()) {
      return NotFound("the model has no input '{}'{} (inputs: {})", name, DidYouMean(name, names),
                      fmt::join(names, ", "));
    }
    const onnx::TypeProto& type = model.proto().graph().input(static_cast<int>(place - names.begin())).type();
    const onnx::TensorShapeProto* shape = FindShape(type);
    if (!type.has_tensor_type() || shape == nullptr || shape->dim_size() == 0) {
      return InvalidArgument("the input '{}' is {}, which has no leading dim to fix", name, DeclaredText(type));
    }
    if (FindDefault(model.proto(), name) != nullptr) {
      return InvalidArgument("the input '{}' has a default value (an initializer), so its size is fixed", name);
    }
    const int64_t size = FixedSize(shape->dim(0)).value_or(0);
    if (size != 0 && axis.size != 0 && axis.size != size) {
      return InvalidArgument(
          "the leading dim of '{}' is {}, that of another input named is {}; fix one batch at a time", name, size,
          axis.size);
    }
    axis.size = std::max(axis.size, size);
    axis.inputs.push_back(name);
    const std::string& symbol = shape->dim(0).dim_param();
    if (!symbol.empty() && std::find(axis.symbols.begin(), axis.symbols.end(), symbol) == axis.symbols.end()) {
      axis.symbols.push_back(symbol);
    }
  }
  return axis;
}

absl::StatusOr<std::optional<BatchAxis>> ChooseBatchAxis(const PassContext& context,
                                                         const std::vector<std::string>& inputs, int64_t size) {
  if (!inputs.empty()) {
    GOMAI_ASSIGN_OR_RETURN(BatchAxis axis, NamedBatchAxis(context.model(), inputs));
    return std::optional(std::move(axis));
  }
  std::vector<std::string> why_not;
  GOMAI_ASSIGN_OR_RETURN(std::vector<BatchAxis> axes, FindBatchAxes(context.model(), context.index(), size, &why_not));
  if (axes.empty()) {
    context.diagnostics().Warn("", "the model has no batch axis, so nothing was changed{}{}",
                               why_not.empty() ? "" : ": ", fmt::join(why_not, "; "));
    return std::optional<BatchAxis>();
  }
  if (axes.size() > 1 && axes.front().size != size) {
    std::vector<std::string> texts;
    for (const BatchAxis& candidate : axes) {
      texts.push_back(candidate.Text());
    }
    return FailedPrecondition(
        "several inputs could have the batch as their leading dim: {}; say which with inputs=A or inputs=A;B",
        fmt::join(texts, "; "));
  }
  return std::optional(std::move(axes.front()));
}

}  // namespace gomai
