// The Hungarian method needs no more of its numbers than that they can be added and ordered, so the weights' parts need
// not be folded into one number: what comes first can't drown what comes after.
#include "lib/compare/assignment.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace gomai {
namespace {

constexpr size_t kNobody = std::numeric_limits<size_t>::max();

PairWeight Plus(PairWeight a, const PairWeight& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] += b[i];
  }
  return a;
}

PairWeight Minus(PairWeight a, const PairWeight& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    a[i] -= b[i];
  }
  return a;
}

// A table of weights, at least as wide as high; zero where there is no pair.
struct Table {
  size_t rows = 0;
  size_t columns = 0;
  std::vector<PairWeight> weights;
  const PairWeight& At(size_t row, size_t column) const { return weights[row * columns + column]; }
};

// By column its row, kNobody for none: every row gets a column, and the sum of weights is the greatest. Rows come in
// one by one; a row that finds its best column taken moves others along the cheapest path. What is due of a row and of
// a column is together at least the weight of their cell, and just that for a taken one.
std::vector<size_t> BestColumns(const Table& table) {
  const size_t columns = table.columns;
  std::vector<PairWeight> row_due(table.rows, PairWeight{});
  std::vector<PairWeight> column_due(columns + 1, PairWeight{});
  std::vector<size_t> owner(columns + 1, kNobody);  // the last column stands for "not placed yet"
  std::vector<size_t> came_from(columns + 1);
  std::vector<PairWeight> slack(columns + 1);
  std::vector<bool> reached(columns + 1);
  for (size_t row = 0; row < table.rows; ++row) {
    PairWeight unknown;
    unknown.fill(std::numeric_limits<int64_t>::max());
    std::fill(slack.begin(), slack.end(), unknown);
    std::fill(reached.begin(), reached.end(), false);
    size_t at = columns;
    owner[at] = row;
    while (owner[at] != kNobody) {
      reached[at] = true;
      const size_t here = owner[at];
      size_t next = kNobody;
      for (size_t column = 0; column < columns; ++column) {
        if (reached[column]) {
          continue;
        }
        const PairWeight extra = Minus(Plus(row_due[here], column_due[column]), table.At(here, column));
        if (extra < slack[column]) {
          slack[column] = extra;
          came_from[column] = at;
        }
        if (next == kNobody || slack[column] < slack[next]) {
          next = column;
        }
      }
      const PairWeight step = slack[next];  // there is a free column: the table isn't higher than wide
      for (size_t column = 0; column <= columns; ++column) {
        if (reached[column]) {
          row_due[owner[column]] = Minus(row_due[owner[column]], step);
          column_due[column] = Plus(column_due[column], step);
        } else if (column < columns) {
          slack[column] = Minus(slack[column], step);
        }
      }
      at = next;
    }
    while (at != columns) {
      owner[at] = owner[came_from[at]];
      at = came_from[at];
    }
  }
  owner.pop_back();
  return owner;
}

// The entries of one side that these pairs name, ascending.
std::vector<int32_t> Named(const std::vector<WeightedPair>& pairs, const std::vector<size_t>& group,
                           int32_t WeightedPair::*side) {
  std::vector<int32_t> names;
  names.reserve(group.size());
  for (const size_t i : group) {
    names.push_back(pairs[i].*side);
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

size_t PlaceOf(const std::vector<int32_t>& names, int32_t name) {
  return static_cast<size_t>(std::lower_bound(names.begin(), names.end(), name) - names.begin());
}

void Exact(const std::vector<WeightedPair>& pairs, const std::vector<size_t>& group, std::vector<int32_t> rows,
           std::vector<int32_t> columns, std::vector<size_t>& chosen) {
  int32_t WeightedPair::*row = &WeightedPair::left;
  int32_t WeightedPair::*column = &WeightedPair::right;
  if (rows.size() > columns.size()) {
    std::swap(rows, columns);
    std::swap(row, column);
  }
  Table table{rows.size(), columns.size(), std::vector<PairWeight>(rows.size() * columns.size(), PairWeight{})};
  for (const size_t i : group) {
    table.weights[PlaceOf(rows, pairs[i].*row) * columns.size() + PlaceOf(columns, pairs[i].*column)] = pairs[i].weight;
  }
  const std::vector<size_t> row_of = BestColumns(table);
  for (const size_t i : group) {
    if (row_of[PlaceOf(columns, pairs[i].*column)] == PlaceOf(rows, pairs[i].*row)) {
      chosen.push_back(i);
    }
  }
}

void Greedy(const std::vector<WeightedPair>& pairs, std::vector<size_t> group, std::vector<bool>& left_taken,
            std::vector<bool>& right_taken, std::vector<size_t>& chosen) {
  std::sort(group.begin(), group.end(), [&](size_t a, size_t b) {
    return pairs[a].weight != pairs[b].weight
               ? pairs[a].weight > pairs[b].weight
               : std::pair(pairs[a].left, pairs[a].right) < std::pair(pairs[b].left, pairs[b].right);
  });
  for (const size_t i : group) {
    const auto left = static_cast<size_t>(pairs[i].left);
    const auto right = static_cast<size_t>(pairs[i].right);
    if (!left_taken[left] && !right_taken[right]) {
      left_taken[left] = right_taken[right] = true;
      chosen.push_back(i);
    }
  }
}

// Positions in `pairs`, those that hang together in one group.
std::vector<std::vector<size_t>> Groups(const std::vector<WeightedPair>& pairs, size_t lefts, size_t rights) {
  std::vector<size_t> parent(lefts + rights);
  std::iota(parent.begin(), parent.end(), size_t{0});
  const auto root = [&](size_t i) {
    while (parent[i] != i) {
      parent[i] = parent[parent[i]];
      i = parent[i];
    }
    return i;
  };
  for (const WeightedPair& pair : pairs) {
    const size_t a = root(static_cast<size_t>(pair.left));
    const size_t b = root(lefts + static_cast<size_t>(pair.right));
    parent[std::max(a, b)] = std::min(a, b);
  }
  std::vector<std::vector<size_t>> groups;
  std::vector<size_t> group_of(parent.size(), kNobody);
  for (size_t i = 0; i < pairs.size(); ++i) {
    size_t& group = group_of[root(static_cast<size_t>(pairs[i].left))];
    if (group == kNobody) {
      group = groups.size();
      groups.emplace_back();
    }
    groups[group].push_back(i);
  }
  return groups;
}

}  // namespace

std::vector<size_t> AssignPairs(const std::vector<WeightedPair>& pairs, size_t lefts, size_t rights,
                                size_t exact_limit) {
  std::vector<size_t> chosen;
  std::vector<bool> left_taken(lefts, false);
  std::vector<bool> right_taken(rights, false);
  for (std::vector<size_t>& group : Groups(pairs, lefts, rights)) {
    if (group.size() == 1) {
      chosen.push_back(group[0]);
      continue;
    }
    std::vector<int32_t> rows = Named(pairs, group, &WeightedPair::left);
    std::vector<int32_t> columns = Named(pairs, group, &WeightedPair::right);
    if (std::max(rows.size(), columns.size()) <= exact_limit) {
      Exact(pairs, group, std::move(rows), std::move(columns), chosen);
    } else {
      Greedy(pairs, std::move(group), left_taken, right_taken, chosen);
    }
  }
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace gomai
