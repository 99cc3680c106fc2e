// Detections are put in an order of their values first, so that nothing depends on the order in which they come: equal
// ones are neighbours then, and which of them is taken makes no difference. What can be a pair is found by a sweep over
// x among those of one label.
#include "lib/compare/detection_match.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/compare/assignment.h"

namespace gomai {
namespace {

// In which IoU and differences of scores are weighed: overlaps that differ by float32's rounding count as equal.
constexpr double kSteps = 1 << 20;
constexpr double kLargestDifference = 1024;

double Left(const Box& box) { return std::min(box[0], box[2]); }
double Right(const Box& box) { return std::max(box[0], box[2]); }

// Everything that the choice may depend on; label and left edge first, as the sweep needs them.
using Key = std::array<int64_t, 9>;

Key KeyOf(const DetectionSet& set, int32_t detection, bool by_label) {
  const auto i = static_cast<size_t>(detection);
  const Box& box = set.boxes[i];
  return {by_label ? OrderKey(set.labels[i]) : 0,
          OrderKey(Left(box)),
          OrderKey(box[0]),
          OrderKey(box[1]),
          OrderKey(box[2]),
          OrderKey(box[3]),
          set.scores.empty() ? 0 : OrderKey(set.scores[i]),
          set.masks.empty() ? 0 : std::bit_cast<int64_t>(set.masks[i]),
          set.counts[i] ? 1 : 0};
}

// One side, by Key.
struct Sorted {
  const DetectionSet& set;
  std::vector<std::pair<Key, int32_t>> list;

  Sorted(const DetectionSet& from, const std::vector<int32_t>& detections, bool by_label) : set(from) {
    list.reserve(detections.size());
    for (const int32_t i : detections) {
      if (!HoldsNan(set.boxes[static_cast<size_t>(i)])) {
        list.emplace_back(KeyOf(set, i, by_label), i);
      }
    }
    std::sort(list.begin(), list.end());
  }
  size_t At(size_t place) const { return static_cast<size_t>(list[place].second); }
  const Box& BoxAt(size_t place) const { return set.boxes[At(place)]; }
  // Past the last of those that are like the one at `place` in the key's first `parts`.
  size_t EndOfRun(size_t place, size_t parts) const {
    const auto same = [&](const Key& key) {
      return std::equal(key.begin(), key.begin() + static_cast<ptrdiff_t>(parts), list[place].first.begin());
    };
    size_t end = place + 1;
    while (end < list.size() && same(list[end].first)) {
      ++end;
    }
    return end;
  }
};

// Lists that were padded hold one box very often, and each is a possible partner of each. Equal ones are the first that
// a greedy choice takes, and it would be greedy for that many.
void TakeTwins(Sorted& candidates, Sorted& references, std::vector<MatchedDetections>& matches) {
  std::vector<std::pair<Key, int32_t>> left_a;
  std::vector<std::pair<Key, int32_t>> left_b;
  size_t b = 0;
  for (size_t a = 0; a < candidates.list.size();) {
    const Key& key = candidates.list[a].first;
    const size_t end_a = candidates.EndOfRun(a, key.size());
    while (b < references.list.size() && references.list[b].first < key) {
      left_b.push_back(references.list[b++]);
    }
    const bool twins = b < references.list.size() && references.list[b].first == key;
    const size_t end_b = twins ? references.EndOfRun(b, key.size()) : b;
    if (twins && candidates.set.counts[candidates.At(a)] && std::max(end_a - a, end_b - b) > kExactAssignment) {
      for (; a < end_a && b < end_b; ++a, ++b) {
        matches.push_back({candidates.list[a].second, references.list[b].second, 1});
      }
    }
    left_a.insert(left_a.end(), candidates.list.begin() + static_cast<ptrdiff_t>(a),
                  candidates.list.begin() + static_cast<ptrdiff_t>(end_a));
    a = end_a;
  }
  left_b.insert(left_b.end(), references.list.begin() + static_cast<ptrdiff_t>(b), references.list.end());
  candidates.list = std::move(left_a);
  references.list = std::move(left_b);
}

struct Possible {
  std::vector<WeightedPair> pairs;
  std::vector<double> ious;
};

PairWeight WeightOf(const DetectionSet& a, size_t i, const DetectionSet& b, size_t j, double iou) {
  const double apart =
      a.scores.empty() ? 0 : std::min(std::abs(ScoreDifference(a.scores[i], b.scores[j])), kLargestDifference);
  return {(a.counts[i] ? 1 : 0) + (b.counts[j] ? 1 : 0), std::llround(iou * kSteps), -std::llround(apart * kSteps),
          !a.masks.empty() && a.masks[i] == b.masks[j] ? 1 : 0};
}

// Of one label: those from a0 to a1 and from b0 to b1.
void Sweep(const Sorted& a, size_t a0, size_t a1, const Sorted& b, size_t b0, size_t b1, double min_iou,
           Possible& possible) {
  double widest = 0;
  for (size_t j = b0; j < b1; ++j) {
    widest = std::max(widest, Right(b.BoxAt(j)) - Left(b.BoxAt(j)));
  }
  for (size_t i = a0; i < a1; ++i) {
    const Box& box = a.BoxAt(i);
    const double reach = Left(box) - widest;
    const auto begin = b.list.begin();
    const auto first = std::partition_point(
        begin + static_cast<ptrdiff_t>(b0), begin + static_cast<ptrdiff_t>(b1),
        [&](const auto& entry) { return Left(b.set.boxes[static_cast<size_t>(entry.second)]) < reach; });
    for (auto j = static_cast<size_t>(first - begin); j < b1 && Left(b.BoxAt(j)) <= Right(box); ++j) {
      if (!a.set.counts[a.At(i)] && !b.set.counts[b.At(j)]) {
        continue;
      }
      const double iou = BoxIou(box, b.BoxAt(j));
      if (iou > 0 && iou >= min_iou) {
        possible.pairs.push_back(
            {static_cast<int32_t>(i), static_cast<int32_t>(j), WeightOf(a.set, a.At(i), b.set, b.At(j), iou)});
        possible.ious.push_back(iou);
      }
    }
  }
}

Possible FindPossible(const Sorted& a, const Sorted& b, double min_iou) {
  Possible possible;
  size_t j = 0;
  for (size_t i = 0; i < a.list.size() && j < b.list.size();) {
    const int64_t label_a = a.list[i].first[0];
    const int64_t label_b = b.list[j].first[0];
    const size_t end_a = label_a <= label_b ? a.EndOfRun(i, 1) : i;
    const size_t end_b = label_b <= label_a ? b.EndOfRun(j, 1) : j;
    if (label_a == label_b) {
      Sweep(a, i, end_a, b, j, end_b, min_iou, possible);
    }
    i = end_a;
    j = end_b;
  }
  return possible;
}

}  // namespace

bool HoldsNan(const Box& box) {
  return std::any_of(box.begin(), box.end(), [](double value) { return std::isnan(value); });
}

double BoxIou(const Box& a, const Box& b) {
  if (a == b) {
    return 1;
  }
  const auto area = [](const Box& box) { return std::max(box[2] - box[0], 0.0) * std::max(box[3] - box[1], 0.0); };
  const double common = area({std::max(a[0], b[0]), std::max(a[1], b[1]), std::min(a[2], b[2]), std::min(a[3], b[3])});
  const double all = area(a) + area(b) - common;
  const double iou = common / all;
  // Boxes without an area and infinite ones give no number or one of no meaning.
  return std::isfinite(all) && iou > 0 ? iou : 0;
}

int64_t OrderKey(double number) {
  if (std::isnan(number)) {
    return std::numeric_limits<int64_t>::max();
  }
  const auto bits = std::bit_cast<int64_t>(number);
  return bits < 0 ? std::numeric_limits<int64_t>::min() - bits : bits;
}

double ScoreDifference(double candidate, double reference) {
  if (candidate == reference || (std::isnan(candidate) && std::isnan(reference))) {
    return 0;
  }
  const double difference = candidate - reference;
  return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
}

std::vector<MatchedDetections> MatchDetections(const DetectionSet& candidate, const std::vector<int32_t>& candidates,
                                               const DetectionSet& reference, const std::vector<int32_t>& references,
                                               double min_iou, bool by_label) {
  by_label = by_label && !candidate.labels.empty() && !reference.labels.empty();
  Sorted a(candidate, candidates, by_label);
  Sorted b(reference, references, by_label);
  std::vector<MatchedDetections> matches;
  if (1 >= min_iou) {
    TakeTwins(a, b, matches);
  }
  const Possible possible = FindPossible(a, b, min_iou);
  for (const size_t i : AssignPairs(possible.pairs, a.list.size(), b.list.size())) {
    matches.push_back({a.list[static_cast<size_t>(possible.pairs[i].left)].second,
                       b.list[static_cast<size_t>(possible.pairs[i].right)].second, possible.ious[i]});
  }
  std::sort(matches.begin(), matches.end(),
            [](const MatchedDetections& x, const MatchedDetections& y) { return x.reference < y.reference; });
  return matches;
}

}  // namespace gomai
