// Pairs come from detection_match.h; here is what goes in and what is said of them. Masks are read where they lie, a
// pair at a time: unpacked, those of a hundred detections on a large image would be half a gigabyte.
#include "lib/compare/detections.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "lib/compare/detection_match.h"
#include "lib/model/elements.h"
#include "lib/model/numbers.h"

namespace gomai {
namespace {

constexpr size_t kListed = 4;  // detections named in a sentence

struct Side {
  std::string name;
  DetectionSet set;
  const HostTensor* masks = nullptr;
  int64_t mask_height = 0;
  int64_t mask_width = 0;
  std::vector<int32_t> detections;  // all

  size_t count() const { return set.boxes.size(); }
};

bool HoldsItsBytes(const HostTensor& tensor) {
  return !tensor.is_string() &&
         tensor.bytes().size() >= PackedBytes(tensor.dtype(), static_cast<uint64_t>(tensor.count()));
}

// "" or what is wrong with it.
std::string ReadNumbers(const HostTensor& tensor, const std::string& what, std::vector<double>& numbers) {
  std::optional<std::vector<double>> read;
  if (!tensor.is_string()) {
    read = UnpackNumbers(tensor.dtype(), tensor.bytes(), tensor.count());
  }
  if (!read) {
    return fmt::format("{} {} can't be read as numbers", what, tensor.Describe());
  }
  numbers = *std::move(read);
  return "";
}

std::string ReadList(const HostTensor* tensor, const std::string& what, int64_t count, std::vector<double>& numbers) {
  if (tensor == nullptr) {
    return "";
  }
  if (tensor->shape() != std::vector<int64_t>{count}) {
    return fmt::format("{} {}, not [{}] as there are boxes", what, tensor->Describe(), count);
  }
  return ReadNumbers(*tensor, what, numbers);
}

std::string ReadMasks(const HostTensor& masks, int64_t count, Side& side) {
  const std::vector<int64_t>& shape = masks.shape();
  const bool plane = shape.size() == 4 && shape[1] == 1;
  if ((shape.size() != 3 && !plane) || shape[0] != count) {
    return fmt::format("masks {}, not [{},1,H,W] as there are boxes", masks.Describe(), count);
  }
  bool readable = false;
  elements::Dispatch(masks.dtype(), nullptr, nullptr,
                     [&](const auto&, const auto&, int components) { readable = components == 1; });
  if (!readable || !HoldsItsBytes(masks)) {
    return fmt::format("masks {} can't be read as numbers", masks.Describe());
  }
  side.masks = &masks;
  side.mask_height = shape[shape.size() - 2];
  side.mask_width = shape[shape.size() - 1];
  return "";
}

std::string Read(const DetectionTensors& tensors, double min_score, Side& side) {
  if (tensors.boxes == nullptr) {
    return "no boxes";
  }
  const std::vector<int64_t>& shape = tensors.boxes->shape();
  if (shape.size() != 2 || shape[1] != 4) {
    return fmt::format("boxes {}, not [N,4]", tensors.boxes->Describe());
  }
  const int64_t count = shape[0];
  if (count > std::numeric_limits<int32_t>::max()) {
    return fmt::format("{} boxes are more than can be compared", count);
  }
  std::vector<double> numbers;
  if (std::string problem = ReadNumbers(*tensors.boxes, "boxes", numbers); !problem.empty()) {
    return problem;
  }
  for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
    side.set.boxes.push_back({numbers[4 * i], numbers[4 * i + 1], numbers[4 * i + 2], numbers[4 * i + 3]});
    side.detections.push_back(static_cast<int32_t>(i));
  }
  if (std::string problem = ReadList(tensors.labels, "labels", count, side.set.labels); !problem.empty()) {
    return problem;
  }
  if (std::string problem = ReadList(tensors.scores, "scores", count, side.set.scores); !problem.empty()) {
    return problem;
  }
  side.set.counts.assign(side.count(), true);
  for (size_t i = 0; i < side.set.scores.size() && min_score > 0; ++i) {
    side.set.counts[i] = !(side.set.scores[i] < min_score);
  }
  return tensors.masks == nullptr ? "" : ReadMasks(*tensors.masks, count, side);
}

std::string OneSided(const HostTensor* candidate, const HostTensor* reference, const char* what) {
  if ((candidate == nullptr) == (reference == nullptr)) {
    return "";
  }
  return fmt::format("the {} has no {}", candidate == nullptr ? "candidate" : "reference", what);
}

std::string ReadBoth(const DetectionTensors& candidate, const DetectionTensors& reference, double min_score, Side& a,
                     Side& b) {
  for (const auto& [tensors, side] : {std::pair(&candidate, &a), std::pair(&reference, &b)}) {
    if (const std::string problem = Read(*tensors, min_score, *side); !problem.empty()) {
      return fmt::format("{}: {}", side->name, problem);
    }
  }
  for (const std::string& problem :
       {OneSided(candidate.labels, reference.labels, "labels"), OneSided(candidate.scores, reference.scores, "scores"),
        OneSided(candidate.masks, reference.masks, "masks")}) {
    if (!problem.empty()) {
      return problem;
    }
  }
  if (a.masks != nullptr && a.count() > 0 && b.count() > 0 &&
      (a.mask_height != b.mask_height || a.mask_width != b.mask_width)) {
    return fmt::format("masks of {}x{}, reference {}x{}", a.mask_height, a.mask_width, b.mask_height, b.mask_width);
  }
  return "";
}

// visit(bool is foreground) for each element of one detection's mask.
template <typename Visit>
void VisitMask(const Side& side, int64_t detection, double threshold, const Visit& visit) {
  const int64_t size = side.mask_height * side.mask_width;
  const uint8_t* data = side.masks->bytes().data();
  elements::Dispatch(side.masks->dtype(), data, data, [&](const auto& values, const auto&, int) {
    for (int64_t i = detection * size; i < (detection + 1) * size; ++i) {
      visit(static_cast<double>(values.ValueAt(i)) > threshold);
    }
  });
}

double MaskIou(const Side& a, int64_t candidate, const Side& b, int64_t reference, double threshold) {
  std::vector<uint8_t> foreground;
  foreground.reserve(static_cast<size_t>(a.mask_height * a.mask_width));
  VisitMask(a, candidate, threshold, [&](bool on) { foreground.push_back(on ? 1 : 0); });
  int64_t common = 0;
  int64_t all = 0;
  size_t i = 0;
  VisitMask(b, reference, threshold, [&](bool on) {
    const bool other = foreground[i++] != 0;
    common += on && other ? 1 : 0;
    all += on || other ? 1 : 0;
  });
  return all == 0 ? 1 : static_cast<double>(common) / static_cast<double>(all);
}

// Is there a box twice? Only then do masks matter for who pairs with whom.
bool HasDuplicates(const DetectionSet& set) {
  std::set<std::array<int64_t, 4>> seen;
  return std::any_of(set.boxes.begin(), set.boxes.end(), [&](const Box& box) {
    return !seen.insert({OrderKey(box[0]), OrderKey(box[1]), OrderKey(box[2]), OrderKey(box[3])}).second;
  });
}

void DigestMasks(Side& side, double threshold) {
  for (const int32_t i : side.detections) {
    uint64_t digest = 0;
    VisitMask(side, i, threshold, [&](bool on) { digest = (digest ^ (on ? 0x9du : 0x35u)) * 0x100000001b3u + 1; });
    side.set.masks.push_back(digest);
  }
}

DetectionPair PairOf(const MatchedDetections& match, const Side& a, const Side& b) {
  DetectionPair pair{match.candidate, match.reference, match.iou, 0, std::nullopt};
  if (!a.set.scores.empty()) {
    pair.score_difference = ScoreDifference(a.set.scores[static_cast<size_t>(match.candidate)],
                                            b.set.scores[static_cast<size_t>(match.reference)]);
  }
  return pair;
}

// Those that count and are in none of the pairs.
std::vector<int32_t> Alone(const Side& side, const std::vector<DetectionPair>& pairs, int64_t DetectionPair::*which) {
  std::vector<bool> paired(side.count(), false);
  for (const DetectionPair& pair : pairs) {
    paired[static_cast<size_t>(pair.*which)] = true;
  }
  std::vector<int32_t> alone;
  for (const int32_t i : side.detections) {
    if (side.set.counts[static_cast<size_t>(i)] && !paired[static_cast<size_t>(i)]) {
      alone.push_back(i);
    }
  }
  return alone;
}

// "17: label 3, score 0.52", or as much of it as is known.
std::string Named(const Side& side, int64_t detection) {
  const auto i = static_cast<size_t>(detection);
  std::string text = fmt::format("{}", detection);
  if (!side.set.labels.empty()) {
    text += fmt::format(": label {:g}", side.set.labels[i]);
  }
  if (!side.set.scores.empty()) {
    text += fmt::format("{} score {:.3g}", side.set.labels.empty() ? ":" : ",", side.set.scores[i]);
  }
  return text;
}

template <typename List, typename Text>
std::string Listed(const List& list, const char* separator, const Text& text) {
  std::string all;
  for (size_t i = 0; i < std::min(list.size(), kListed); ++i) {
    all += (i == 0 ? "" : separator) + text(list[i]);
  }
  return list.size() > kListed ? fmt::format("{}{}and {} more", all, separator, list.size() - kListed) : all;
}

std::string Unmatched(const Side& side, const std::vector<int64_t>& list, int64_t of, const char* what) {
  return fmt::format("{} of {} {} of the {} {} {} ({})", list.size(), of, of == 1 ? "detection" : "detections",
                     side.name, list.size() == 1 ? "is" : "are", what,
                     Listed(list, "; ", [&](int64_t i) { return Named(side, i); }));
}

std::string BoxesWithNan(const Side& side, const std::vector<int64_t>& unmatched) {
  std::vector<int64_t> list;
  std::copy_if(unmatched.begin(), unmatched.end(), std::back_inserter(list),
               [&](int64_t i) { return HoldsNan(side.set.boxes[static_cast<size_t>(i)]); });
  return list.empty() ? ""
                      : fmt::format("{} of the {} {} NaN ({})", list.size() == 1 ? "a box" : "boxes", side.name,
                                    list.size() == 1 ? "holds a" : "hold",
                                    Listed(list, ", ", [](int64_t i) { return fmt::format("{}", i); }));
}

// `worst` is the pair for which `badness` is greatest.
template <typename Badness>
std::string WorstPair(const std::vector<DetectionPair>& pairs, const Badness& badness) {
  const auto worst = std::max_element(pairs.begin(), pairs.end(), [&](const DetectionPair& x, const DetectionPair& y) {
    return badness(x) < badness(y);
  });
  return fmt::format("candidate {}, reference {}", worst->candidate, worst->reference);
}

std::string Describe(const DetectionComparison& result, const DetectionOptions& options, const Side& a, const Side& b) {
  std::vector<std::string> reasons;
  if (static_cast<int64_t>(result.missing.size() + result.added.size()) > options.allowed_unmatched) {
    if (!result.missing.empty()) {
      reasons.push_back(Unmatched(b, result.missing, result.reference_count, "missing"));
    }
    if (!result.added.empty()) {
      reasons.push_back(Unmatched(a, result.added, result.candidate_count, "added"));
    }
    if (!result.relabelled.empty()) {
      reasons.push_back(fmt::format(
          "{} of these {} another label ({})", result.relabelled.size(), result.relabelled.size() == 1 ? "has" : "have",
          Listed(result.relabelled, "; ", [&](const DetectionPair& pair) {
            return fmt::format("reference {}: {:g}, candidate {}: {:g}", pair.reference,
                               b.set.labels[static_cast<size_t>(pair.reference)], pair.candidate,
                               a.set.labels[static_cast<size_t>(pair.candidate)]);
          })));
    }
    for (std::string text : {BoxesWithNan(a, result.added), BoxesWithNan(b, result.missing)}) {
      if (!text.empty()) {
        reasons.push_back(std::move(text));
      }
    }
  }
  const size_t pairs = result.pairs.size();
  const char* noun = pairs == 1 ? "pair" : "pairs";
  if (result.score_mismatches > 0) {
    reasons.push_back(fmt::format(
        "{} of {} {} {} by more than {} in score (worst {:.3g}: {})", result.score_mismatches, pairs, noun,
        result.score_mismatches == 1 ? "differs" : "differ", options.score_tolerance, result.worst_score_difference,
        WorstPair(result.pairs, [](const DetectionPair& p) { return std::abs(p.score_difference); })));
  }
  if (result.mask_mismatches > 0) {
    reasons.push_back(
        fmt::format("masks of {} of {} {} overlap by less than {} (least {:.3g}: {})", result.mask_mismatches, pairs,
                    noun, options.min_mask_iou, result.least_mask_iou,
                    WorstPair(result.pairs, [](const DetectionPair& p) { return -p.mask_iou.value_or(1); })));
  }
  return fmt::format("{}", fmt::join(reasons, "; "));
}

}  // namespace

DetectionComparison CompareDetections(const DetectionTensors& candidate, const DetectionTensors& reference,
                                      const DetectionOptions& options) {
  DetectionComparison result;
  Side a;
  a.name = "candidate";
  Side b;
  b.name = "reference";
  result.problem = ReadBoth(candidate, reference, options.min_score, a, b);
  if (!result.problem.empty()) {
    return result;
  }
  result.candidate_count = std::count(a.set.counts.begin(), a.set.counts.end(), true);
  result.reference_count = std::count(b.set.counts.begin(), b.set.counts.end(), true);
  if (a.masks != nullptr && (HasDuplicates(a.set) || HasDuplicates(b.set))) {
    DigestMasks(a, options.mask_threshold);
    DigestMasks(b, options.mask_threshold);
  }
  double sum = 0;
  for (const MatchedDetections& match :
       MatchDetections(a.set, a.detections, b.set, b.detections, options.min_iou, true)) {
    DetectionPair pair = PairOf(match, a, b);
    sum += pair.iou;
    result.least_iou = std::min(result.least_iou, pair.iou);
    const double apart = std::abs(pair.score_difference);
    result.worst_score_difference = std::max(result.worst_score_difference, apart);
    // Written so that a limit that isn't a number lets nothing pass.
    result.score_mismatches += apart <= options.score_tolerance ? 0 : 1;
    if (a.masks != nullptr) {
      pair.mask_iou = MaskIou(a, pair.candidate, b, pair.reference, options.mask_threshold);
      result.least_mask_iou = std::min(result.least_mask_iou, *pair.mask_iou);
      result.mask_mismatches += *pair.mask_iou >= options.min_mask_iou ? 0 : 1;
    }
    result.pairs.push_back(pair);
  }
  result.mean_iou = result.pairs.empty() ? 1 : sum / static_cast<double>(result.pairs.size());
  const std::vector<int32_t> added = Alone(a, result.pairs, &DetectionPair::candidate);
  const std::vector<int32_t> missing = Alone(b, result.pairs, &DetectionPair::reference);
  result.added.assign(added.begin(), added.end());
  result.missing.assign(missing.begin(), missing.end());
  if (!a.set.labels.empty() && !b.set.labels.empty()) {
    for (const MatchedDetections& match : MatchDetections(a.set, added, b.set, missing, options.min_iou, false)) {
      result.relabelled.push_back(PairOf(match, a, b));
    }
  }
  result.label_mismatches = result.relabelled.size();
  result.failure = Describe(result, options, a, b);
  result.equal = result.failure.empty();
  return result;
}

}  // namespace gomai
