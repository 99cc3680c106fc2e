// Gemm and MatMul as layers: y = alpha * A' * B' + beta * C. A MatMul is a Gemm with neither flags nor C.
#include "lib/pass/gemm.h"

#include <algorithm>

#include "lib/graph/parse_attribute.h"
#include "lib/model/dtype.h"
#include "lib/model/numbers.h"

namespace gomai {
namespace {

// The bias, as what a Conv may add: one number, or one a column.
std::string ReadBias(const Rewriter& rewriter, NodeId id, LinearLayer* layer) {
  const ValueId value = rewriter.Input(id, 2);
  if (value == kNone || layer->beta == 0) {
    return "";
  }
  ConstantWeight bias;
  if (const std::string reason = FindWeight(rewriter, value, &bias); !reason.empty()) {
    if (rewriter.FixedShape(value) != std::vector<int64_t>{layer->n}) {
      return fmt::format("{}, and isn't known to be one number a column", reason);
    }
    if (layer->beta != 1) {
      return fmt::format("{}, and beta is {}", reason, layer->beta);
    }
    layer->open_bias = value;
    return "";
  }
  const std::vector<int64_t>& dims = bias.dims;
  if (dims.size() > 2 || (dims.size() == 2 && dims[0] != 1) ||
      (!dims.empty() && dims.back() != 1 && dims.back() != layer->n)) {
    return fmt::format("'{}' isn't one number a column", rewriter.Name(value));
  }
  if (bias.dtype != layer->weight.dtype) {
    return fmt::format("'{}' is {}, its weight {}", rewriter.Name(value), DtypeName(bias.dtype),
                       DtypeName(layer->weight.dtype));
  }
  layer->bias = std::move(bias);
  return "";
}

}  // namespace

bool IsLinear(const Rewriter& rewriter, NodeId id) {
  if (rewriter.Is(id, "Gemm")) {
    return true;
  }
  if (!rewriter.Is(id, "MatMul") || rewriter.Rank(rewriter.Input(id, 0)) != 2) {
    return false;
  }
  ConstantWeight weight;
  const ValueId right = rewriter.Input(id, 1);
  return rewriter.Rank(right) == 2 || (FindWeight(rewriter, right, &weight).empty() && weight.dims.size() == 2);
}

std::string ReadLinear(const Rewriter& rewriter, NodeId id, LinearLayer* layer) {
  const bool gemm = rewriter.Is(id, "Gemm");
  if (std::string reason = FindWeight(rewriter, rewriter.Input(id, 1), &layer->weight); !reason.empty()) {
    return "its right side can't become a weight: " + reason;
  }
  const std::vector<int64_t>& dims = layer->weight.dims;
  if (dims.size() != 2) {
    return "its right side isn't a matrix";
  }
  layer->data = rewriter.Input(id, 0);
  layer->transposed = gemm && rewriter.Int(id, "transA", 0) != 0;
  layer->rows_are_outputs = gemm && rewriter.Int(id, "transB", 0) != 0;
  layer->alpha = gemm ? static_cast<double>(rewriter.Float(id, "alpha", 1)) : 1;
  layer->beta = gemm ? static_cast<double>(rewriter.Float(id, "beta", 1)) : 1;
  layer->n = dims[layer->rows_are_outputs ? 0 : 1];
  layer->k = dims[layer->rows_are_outputs ? 1 : 0];
  const auto conv =
      RequireSchema(rewriter.context().model().proto(), rewriter.index(), rewriter.index().node(id).scope, "", "Conv");
  if (!conv.ok() || !AcceptsDtype(**conv, 0, layer->weight.dtype)) {
    return fmt::format("a Conv takes no {} in this opset", DtypeName(layer->weight.dtype));
  }
  return gemm ? ReadBias(rewriter, id, layer) : "";
}

std::string CopyLinear(const Rewriter& rewriter, const LinearLayer& layer, const std::vector<int64_t>& dims,
                       LinearCopies* copies) {
  const int64_t n = layer.n;
  const int64_t k = layer.k;
  std::string reason = CopyWeight(rewriter, layer.weight,
                                  {.dims = dims,
                                   .source = [&](int64_t i) { return layer.rows_are_outputs ? i : i % k * n + i / k; },
                                   .factors = {layer.alpha}},
                                  &copies->weight);
  if (reason.empty() && layer.bias) {
    copies->bias.emplace();
    const bool one = Elements(layer.bias->dims) == 1;
    reason = CopyWeight(rewriter, *layer.bias,
                        {.dims = {n}, .source = [&](int64_t i) { return one ? 0 : i; }, .factors = {layer.beta}},
                        &*copies->bias);
  }
  copies->open_bias = rewriter.Name(layer.open_bias);
  return reason;
}

absl::StatusOr<std::vector<std::string>> AddLinear(Rewriter& rewriter, NodeId node, LinearCopies copies) {
  std::vector<std::string> inputs;
  GOMAI_ASSIGN_OR_RETURN(inputs.emplace_back(), AddWeight(rewriter, node, "weight", std::move(copies.weight)));
  if (copies.bias) {
    GOMAI_ASSIGN_OR_RETURN(inputs.emplace_back(), AddWeight(rewriter, node, "bias", *std::move(copies.bias)));
  } else if (!copies.open_bias.empty()) {
    inputs.push_back(copies.open_bias);
  }
  return inputs;
}

}  // namespace gomai
