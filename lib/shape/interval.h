#pragma once

// Interval: what is known of one integer, a dimension or an element of a tensor.
//
// Arithmetic is on all 64-bit integers; what would overflow is unknown, never wrapped.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>

namespace gomai {

struct Interval {
  static constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  static constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

  int64_t low = kLowest;
  int64_t high = kHighest;

  static Interval Of(int64_t value) { return {value, value}; }
  bool known() const { return low == high; }
  bool bounded() const { return low != kLowest && high != kHighest; }
  bool operator==(const Interval&) const = default;
};

// The smallest interval that holds both.
inline Interval Hull(const Interval& a, const Interval& b) {
  return {std::min(a.low, b.low), std::max(a.high, b.high)};
}

// a OP b by `apply(int64_t, int64_t, int64_t*)`, which returns true on overflow (as __builtin_add_overflow does); for
// operations that are monotonous in each operand, so that the corners bound the result.
template <typename Apply>
Interval Combine(const Interval& a, const Interval& b, Apply apply) {
  if (!a.bounded() || !b.bounded()) {
    return {};
  }
  std::optional<Interval> hull;
  for (const int64_t x : {a.low, a.high}) {
    for (const int64_t y : {b.low, b.high}) {
      int64_t result = 0;
      if (apply(x, y, &result)) {
        return {};
      }
      hull = hull ? Hull(*hull, Interval::Of(result)) : Interval::Of(result);
    }
  }
  return *hull;
}

}  // namespace gomai
