#pragma once

// Results that a provider never wrote. Memory for results is filled with a pattern that no computation gives before a
// run; what holds nothing else afterwards was not written. Some NPUs leave batch slots beyond the first that way,
// without a word.
//
// The pattern is a quiet NaN with a payload of our own for floats, bytes of 0xA5 for all else. Of types of a byte or
// less one element proves nothing: there a slot counts from 16 bytes on.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lib/runtime/tensor.h"

namespace gomai {

void FillSentinel(int dtype, std::span<uint8_t> bytes);

// Slots of the first axis (one for a scalar) that hold nothing but the pattern.
std::vector<int64_t> UnwrittenSlots(const HostTensor& tensor);

// "slots 1..3 of 4 were never written", "it was never written"; "" if all were.
std::string DescribeUnwritten(const HostTensor& tensor);

// "0, 2..5, 9", at most some ten runs of it.
std::string DescribeRuns(const std::vector<int64_t>& ascending);

}  // namespace gomai
