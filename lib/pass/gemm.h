#pragma once

// A Gemm, or a MatMul of matrices, with a constant right side: what passes read of it that write it as a Conv.
//
//   LinearLayer layer;
//   std::string reason = ReadLinear(rewriter, id, &layer);
//   LinearCopies copies;
//   reason = CopyLinear(rewriter, layer, {n, k, 1, 1}, &copies);
//   GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> inputs, AddLinear(rewriter, id, std::move(copies)));
//   // {weight} or {weight, bias}: the inputs of a Conv from its second on

#include <optional>
#include <string>
#include <vector>

#include "lib/pass/weight.h"

namespace gomai {

struct LinearLayer {
  ValueId data = kNone;
  bool transposed = false;        // the data is [k,m]
  int64_t k = 0;                  // columns of the data
  int64_t n = 0;                  // columns of the result
  bool rows_are_outputs = false;  // the weight is [n,k], not [k,n]
  double alpha = 1;
  double beta = 1;
  ConstantWeight weight;
  std::optional<ConstantWeight> bias;  // a constant that is to be added
  ValueId open_bias = kNone;           // one that isn't constant: [n]
};

// Is it a Gemm, or a MatMul whose operands are known to be matrices?
bool IsLinear(const Rewriter& rewriter, NodeId id);
// "" or why not.
std::string ReadLinear(const Rewriter& rewriter, NodeId id, LinearLayer* layer);

struct LinearCopies {
  WeightCopy weight;
  std::optional<WeightCopy> bias;
  std::string open_bias;
};
// The weight as [n, ...] with k elements in the given dims behind it, and the bias as [n]; alpha and beta are in them.
std::string CopyLinear(const Rewriter& rewriter, const LinearLayer& layer, const std::vector<int64_t>& dims,
                       LinearCopies* copies);
absl::StatusOr<std::vector<std::string>> AddLinear(Rewriter& rewriter, NodeId node, LinearCopies copies);

}  // namespace gomai
