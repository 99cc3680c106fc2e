#pragma once

// Comparing two sets of detections of one image: what a whole model found and what its parts found on a device, say.
//
// The order of detections means nothing (non-maximum suppression sorts by scores that differ in their last bits), so
// they are paired first, one to one: a pair has the same label and an IoU of at least `min_iou`. Of all ways to pair,
// the one with the most pairs is taken; of these the one with the greatest sum of IoU (to a millionth each), then the
// one whose scores are nearest, then the one with most equal masks: so duplicates of one box find their likes. Where
// more than 256 detections of a label overlap in one cluster, pairs are taken greedily by IoU, then score, instead.
// What pairs is independent of the order on either side.
//
//   const DetectionComparison c = CompareDetections({&boxes, &labels, &scores, &masks}, {…}, {.min_iou = 0.9});
//   if (!c.equal) fmt::print("{}\n", c.Why());  // "2 of 82 detections of the reference are missing (…)"
//
// Boxes of equal values have an IoU of 1, even those without an area and infinite ones; otherwise these have 0. A box
// that holds a NaN pairs with nothing, and Why names it. Numbers may be of any dtype that numbers.h reads.
//
// Cost: near-linear for boxes that are spread out, O(n^3) for a cluster of n <= 256, O(n^2 log n) for a larger one; one
// pass over the masks of pairs, and one over all masks where there are duplicates.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/runtime/tensor.h"

namespace gomai {

// What isn't there is null, on both sides alike.
struct DetectionTensors {
  const HostTensor* boxes = nullptr;   // [N,4]: x1, y1, x2, y2
  const HostTensor* labels = nullptr;  // [N]
  const HostTensor* scores = nullptr;  // [N]
  const HostTensor* masks = nullptr;   // [N,1,H,W] or [N,H,W]
};

struct DetectionOptions {
  double min_iou = 0.5;           // of boxes; in any case they have to overlap
  double score_tolerance = 0.05;  // pairs further apart are mismatches
  double min_mask_iou = 0.5;      // pairs whose masks overlap less are mismatches
  double mask_threshold = 0.5;    // what is greater is foreground
  // Above 0: detections below it are ignored, unless one is the partner of a detection that reaches it: that one isn't
  // missing then, though its score has to fit as any other.
  double min_score = 0;
  int64_t allowed_unmatched = 0;  // missing and added ones together
};

struct DetectionPair {
  int64_t candidate = 0;
  int64_t reference = 0;
  double iou = 0;
  double score_difference = 0;     // candidate's less reference's; 0 without scores, infinite for a NaN on one side
  std::optional<double> mask_iou;  // 1 for two empty masks
};

struct DetectionComparison {
  bool equal = false;
  std::string problem;                    // why not comparable: "candidate: boxes float32 [3,5], not [N,4]"
  int64_t candidate_count = 0;            // those that reach min_score
  int64_t reference_count = 0;            // likewise
  std::vector<DetectionPair> pairs;       // by reference, ascending; `reference` and `candidate` count all detections
  std::vector<int64_t> missing;           // of the reference, ascending
  std::vector<int64_t> added;             // of the candidate, ascending
  std::vector<DetectionPair> relabelled;  // of these the pairs that only the label parts
  double least_iou = 1, mean_iou = 1;     // of pairs; 1 if there are none
  double worst_score_difference = 0;      // the size of the largest
  double least_mask_iou = 1;
  size_t label_mismatches = 0;  // relabelled; they are both missing and added
  size_t score_mismatches = 0;
  size_t mask_mismatches = 0;

  // Why it isn't equal, in words: "1 of 82 detections of the reference is missing (17: label 3, score 0.52); …"; "" if
  // it is.
  std::string Why() const { return problem.empty() ? failure : problem; }
  std::string failure;
};

DetectionComparison CompareDetections(const DetectionTensors& candidate, const DetectionTensors& reference,
                                      const DetectionOptions& options = {});

}  // namespace gomai
