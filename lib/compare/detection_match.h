#pragma once

// Which detections of two sets belong together. Internal to lib/compare; use detections.h, which states the rules.

#include <array>
#include <cstdint>
#include <vector>

namespace gomai {

using Box = std::array<double, 4>;  // x1, y1, x2, y2

// Intersection over union; 1 for boxes of equal values, 0 for those that hold a NaN or have no area.
double BoxIou(const Box& a, const Box& b);
bool HoldsNan(const Box& box);
// Ascends with the number; one for both zeros, and one for all NaNs.
int64_t OrderKey(double number);

// All lists by detection; an empty one: not known of any.
struct DetectionSet {
  std::vector<Box> boxes;
  std::vector<double> labels;
  std::vector<double> scores;
  std::vector<uint64_t> masks;  // digests of foregrounds, to tell duplicates apart
  std::vector<bool> counts;     // reaches the least score
};

struct MatchedDetections {
  int32_t candidate = 0;
  int32_t reference = 0;
  double iou = 0;
};

// 0 for equal ones, NaNs too; infinite for a NaN on one side.
double ScoreDifference(double candidate, double reference);

// Of the detections listed. By reference, ascending.
std::vector<MatchedDetections> MatchDetections(const DetectionSet& candidate, const std::vector<int32_t>& candidates,
                                               const DetectionSet& reference, const std::vector<int32_t>& references,
                                               double min_iou, bool by_label);

}  // namespace gomai
