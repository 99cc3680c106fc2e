#pragma once

// Where the parts of a model comparison put what they find, and how they pair two lists. Internal to lib/compare; use
// model_diff.h.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "lib/compare/model_diff.h"

namespace gomai {

// Where a difference is. Made only when there is one: addresses cost more than most comparisons.
struct Spot {
  Difference::Section section = Difference::Section::kModel;
  std::string scope;
  std::string where;
  std::string where_after;
};
using SpotFunction = std::function<Spot()>;

class DiffLog {
 public:
  explicit DiffLog(const DiffOptions& options) : options_(options) {}

  const DiffOptions& options() const { return options_; }
  void Changed(const SpotFunction& spot, std::string what, std::string before, std::string after);
  void Added(const SpotFunction& spot, std::string what, std::string after);
  void Removed(const SpotFunction& spot, std::string what, std::string before);
  // Entries of a list stand in another order; nothing if that doesn't count.
  void Order(const SpotFunction& spot, const std::string& list, size_t moved, size_t of, bool always = false);
  void Storage(const SpotFunction& spot, const std::string& what, std::string before, std::string after);
  Difference& last() { return diff_.differences.back(); }
  ModelDiff& diff() { return diff_; }
  // Sections and scopes together, else in the order of finding.
  ModelDiff Finish();

 private:
  Difference& New(const SpotFunction& spot, Difference::Kind kind);

  const DiffOptions& options_;
  ModelDiff diff_;
};

// Two lists, entry by entry: those of the same key belong together, several of one key in order.
struct ListMatch {
  std::vector<std::pair<int, int>> both;  // by the first list
  std::vector<int> removed;
  std::vector<int> added;
  size_t moved = 0;  // how many of `both` would have to move to be in the other's order
};
ListMatch MatchLists(const std::vector<std::string>& before, const std::vector<std::string>& after);

// How many of these distinct numbers aren't part of the longest ascending run: what moved. O(n log n).
size_t CountMoved(const std::vector<int>& positions);

// Control characters escaped; at most some thousand bytes.
std::string QuotedText(std::string_view text);
// Cut in the same way.
std::string LimitedText(std::string text);

}  // namespace gomai
