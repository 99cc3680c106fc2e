#pragma once

// Results that a provider never wrote. Some NPUs leave the batch slots beyond the first as they were, without a word.
//
// For what wasn't written the output buffer is filled before the run with bits that a computation practically never
// gives, and looked for afterwards:
//
//   FillSentinel(buffer, dtype);
//   …the device writes, or doesn't…
//   const UnwrittenReport u = UnwrittenSlots(HostTensor::Wrap(dtype, shape, buffer, keep));  // u.Why(): "" if all was
//
// Cost: one pass.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/runtime/tensor.h"

namespace gomai {

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

// "slots 0, 2..4", "slot 7", "slots 0, 2, 4, … (500 in all)".
std::string SlotList(const std::vector<int64_t>& slots, size_t max_runs);

// Along axis 0; a tensor without dims is one slot. How many elements a slot has.
int64_t SlotCount(const HostTensor& tensor);
int64_t SlotSize(const HostTensor& tensor);

}  // namespace gomai
