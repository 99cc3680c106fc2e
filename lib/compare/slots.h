#pragma once

// Two tensors slot by slot along axis 0: which images of a batch, or which rows of a list of boxes, went wrong.
//
//   const SlotComparison c = CompareSlots(candidate, reference, {.atol = 0.1});
//   if (!c.equal) fmt::print("{}\n", DescribeSlots(c));  // "slots 1..3 of 4 differ (max abs 2.5); slot 0 is equal"
//
// A tensor without dims is one slot. Cost: one pass.

#include <cstdint>
#include <string>
#include <vector>

#include "lib/compare/tensors.h"
#include "lib/runtime/tensor.h"

namespace gomai {

struct SlotDifference {
  int64_t slot = 0;
  bool equal = false;     // within the tolerance, which holds for each slot by itself
  double max_abs = 0;     // over pairs of finite elements
  double rmse = 0;        // likewise
  int64_t differing = 0;  // elements that aren't equal in value
  int64_t nonfinite = 0;  // NaNs and infinities of the candidate
};

struct SlotComparison {
  bool equal = false;
  std::string problem;  // why not comparable, as TensorComparison's
  std::vector<SlotDifference> slots;
  std::vector<int64_t> bad;  // those that aren't equal
};

SlotComparison CompareSlots(const HostTensor& candidate, const HostTensor& reference, const Tolerance& tolerance);

// In one sentence; of a list of slots `max_runs` runs ("1..3" is one).
std::string DescribeSlots(const SlotComparison& comparison, size_t max_runs = 8);

}  // namespace gomai
