#pragma once

// A constant weight as rewrites move it: floats, or integers behind a DequantizeLinear, and transformed copies of it.
//
//   ConstantWeight weight;
//   std::string reason = FindWeight(rewriter, rewriter.Input(gemm, 1), &weight);           // "": found
//   WeightCopy copy;
//   reason = CopyWeight(rewriter, weight, {.dims = {n, k, 1, 1}, .source = [&](int64_t i) { ... }}, &copy);
//   GOMAI_ASSIGN_OR_RETURN(const std::string name, AddWeight(rewriter, node, "weight", std::move(copy)));
//
// Elements are moved as bytes, so a copy without factors holds the very same ones. A quantised weight stays quantised:
// its integers move, and scales and zero points that run along an axis move with it. The weight itself is never edited,
// since others may read it. Everything that can fail for a reason is in CopyWeight, which edits nothing.
//
// Cost: O(elements) a copy; a large one goes through a file.

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/pass/rewrite.h"

namespace gomai {

struct ConstantWeight {
  ValueId value = kNone;                      // what the operator reads
  const onnx::TensorProto* tensor = nullptr;  // the floats, or the integers
  NodeId dequantize = kNone;
  int dtype = 0;  // of what the operator reads
  std::vector<int64_t> dims;
  int axis = -1;  // along which scales run; -1: one for all, or not quantised
};

// "" or why it is none: not constant, a dtype that networks don't compute in, blocks of scales.
std::string FindWeight(const Rewriter& rewriter, ValueId value, ConstantWeight* weight);

struct WeightMove {
  std::vector<int64_t> dims;               // of the copy
  std::function<int64_t(int64_t)> source;  // by element of the copy: that of the weight; -1: a zero
  // The copy's elements are multiplied by these along factor_axis; one: by it everywhere; none: by nothing. In double,
  // and rounded once. A quantised weight's scales are multiplied instead, and only by positive finite numbers.
  std::vector<double> factors = {};
  int factor_axis = 0;
};

struct WeightCopy {
  std::string as_is;  // the weight needs no copy: its name
  onnx::TensorProto tensor;
  NodeId dequantize = kNone;
  std::optional<onnx::TensorProto> scale;  // absent: as the weight's
  std::optional<onnx::TensorProto> zero;
  int axis = -1;
};

// "" or why it can't be made.
std::string CopyWeight(const Rewriter& rewriter, const ConstantWeight& weight, const WeightMove& move,
                       WeightCopy* copy);

// Adds it for `node`; gives the name of what that reads.
absl::StatusOr<std::string> AddWeight(Rewriter& rewriter, NodeId node, std::string_view what, WeightCopy copy);

// Product of dims.
int64_t Elements(const std::vector<int64_t>& dims);

}  // namespace gomai
