#pragma once

// The best one-to-one choice among weighted pairs of two lists. Internal to lib/compare; use detections.h.
//
// Pairs that share no entry, directly or through others, are chosen apart from each other. A group of at most
// kExactAssignment entries on either side gets the greatest sum of weights that there is (the Hungarian method,
// O(n^3)); a larger one takes its pairs greedily, greatest weight first, which can leave an entry alone that the best
// choice would have paired. Which of several equally good choices is taken depends on how entries are numbered, and on
// nothing else.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace gomai {

// Compared by the first number, the next ones where it is equal; summed each by itself. Sums have to fit.
using PairWeight = std::array<int64_t, 4>;

struct WeightedPair {
  int32_t left = 0;
  int32_t right = 0;
  PairWeight weight = {};  // more than {0, 0, 0, 0}
};

inline constexpr size_t kExactAssignment = 256;

// Positions in `pairs` of those that are chosen, ascending. Each (left, right) stands there once at most.
std::vector<size_t> AssignPairs(const std::vector<WeightedPair>& pairs, size_t lefts, size_t rights,
                                size_t exact_limit = kExactAssignment);

}  // namespace gomai
