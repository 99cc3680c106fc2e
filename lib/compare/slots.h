#pragma once

// Two tensors slot by slot along axis 0: which images of a batch, or which rows of a list of boxes, went wrong. And
// which slots a device never wrote.
//
//   const SlotComparison c = CompareSlots(candidate, reference, {.atol = 0.1});
//   if (!c.equal) fmt::print("{}\n", DescribeSlots(c));  // "slots 1..3 of 4 differ (max abs 2.5); slot 0 is equal"
//
// For what wasn't written the output buffer is filled before the run with bits that a computation practically never
// gives, and looked for afterwards:
//
//   FillSentinel(buffer, dtype);
//   …the device writes, or doesn't…
//   const UnwrittenReport u = UnwrittenSlots(HostTensor::Wrap(dtype, shape, buffer, keep));  // u.Why(): "" if all was
//
// A tensor without dims is one slot. Cost: one pass.

#include <cstdint>
#include <span>
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

// Fills the bytes of a tensor of this dtype, from its start. Floats of 16 bits and more: a quiet NaN with bits that
// arithmetic doesn't make; bool: 0xa5, which is no bool; anything else: eight different bytes over and over, so that a
// tensor of one value isn't taken for it.
void FillSentinel(std::span<uint8_t> bytes, int dtype);

struct UnwrittenReport {
  std::string problem;  // why it can't be told: strings, too few bytes
  int64_t slot_count = 0;
  std::vector<int64_t> slots;  // hold nothing but the fill
  int64_t elements = 0;        // that hold it in other slots

  // "slots 1..3 of 4 weren't written, nor were 12 elements of others"; "" if everything was.
  std::string Why(size_t max_runs = 8) const;
};

// Elements that a computation may well give (integers of 16 bits: a run of 4 is sure; 8 bits and less, float8 included:
// one of 16) count only in runs of so many, and a slot of such a dtype only if it holds as many. What is next to a run
// and equals the fill by chance counts as part of it. `result` has to begin where the fill began.
UnwrittenReport UnwrittenSlots(const HostTensor& result);

}  // namespace gomai
