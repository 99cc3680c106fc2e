// Which detections belong together, what is said of those that don't, and that no order of them matters.
#include "lib/compare/detections.h"

#include <algorithm>
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

#include "lib/compare/assignment.h"
#include "lib/compare/detection_match.h"
#include "tests/support/compute.h"

namespace gomai {
namespace {

using Catch::Approx;
using onnx::TensorProto;
using testing::MakeTensor;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

struct One {
  Box box;
  double label = 1;
  double score = 0.9;
  std::vector<double> mask = {1, 1, 0, 0};  // 2x2
};

// Detections as tensors. Without masks by default.
struct Set {
  HostTensor boxes, labels, scores, masks;
  bool with_labels = true, with_scores = true, with_masks = false;

  explicit Set(const std::vector<One>& list, int dtype = TensorProto::FLOAT, int label_dtype = TensorProto::INT64) {
    const auto n = static_cast<int64_t>(list.size());
    std::vector<double> all_boxes, all_labels, all_scores, all_masks;
    for (const One& one : list) {
      all_boxes.insert(all_boxes.end(), one.box.begin(), one.box.end());
      all_labels.push_back(one.label);
      all_scores.push_back(one.score);
      all_masks.insert(all_masks.end(), one.mask.begin(), one.mask.end());
    }
    boxes = MakeTensor(dtype, {n, 4}, all_boxes);
    labels = MakeTensor(label_dtype, {n}, all_labels);
    scores = MakeTensor(dtype, {n}, all_scores);
    masks = MakeTensor(dtype, {n, 1, 2, 2}, all_masks);
  }
  DetectionTensors tensors() const {
    return {.boxes = &boxes,
            .labels = with_labels ? &labels : nullptr,
            .scores = with_scores ? &scores : nullptr,
            .masks = with_masks ? &masks : nullptr};
  }
};

DetectionComparison Compare(const std::vector<One>& candidate, const std::vector<One>& reference,
                            const DetectionOptions& options = {}) {
  return CompareDetections(Set(candidate).tensors(), Set(reference).tensors(), options);
}

DetectionComparison CompareMasks(const std::vector<One>& candidate, const std::vector<One>& reference,
                                 const DetectionOptions& options = {}) {
  Set a(candidate);
  Set b(reference);
  a.with_masks = b.with_masks = true;
  return CompareDetections(a.tensors(), b.tensors(), options);
}

std::vector<std::pair<int64_t, int64_t>> Partners(const DetectionComparison& c) {
  std::vector<std::pair<int64_t, int64_t>> partners;
  for (const DetectionPair& pair : c.pairs) {
    partners.emplace_back(pair.candidate, pair.reference);
  }
  return partners;
}
using PartnerList = std::vector<std::pair<int64_t, int64_t>>;

const std::vector<One> kThree = {{{0, 0, 10, 10}, 1, 0.9}, {{20, 20, 40, 40}, 2, 0.8}, {{21, 21, 41, 41}, 3, 0.7}};

TEST_CASE("the same detections, in any order and dtype") {
  for (const int dtype : {static_cast<int>(TensorProto::FLOAT), static_cast<int>(TensorProto::DOUBLE),
                          static_cast<int>(TensorProto::FLOAT16), static_cast<int>(TensorProto::BFLOAT16)}) {
    for (const int labels : {static_cast<int>(TensorProto::INT64), static_cast<int>(TensorProto::INT32), dtype}) {
      CAPTURE(dtype, labels);
      const Set reference(kThree, dtype, labels);
      const Set candidate({kThree[2], kThree[0], kThree[1]}, dtype, labels);
      const DetectionComparison c = CompareDetections(candidate.tensors(), reference.tensors());
      CHECK(c.equal);
      CHECK(c.Why().empty());
      CHECK(Partners(c) == PartnerList{{1, 0}, {2, 1}, {0, 2}});
      CHECK(c.least_iou == 1);
      CHECK(c.mean_iou == 1);
      CHECK(c.worst_score_difference == 0);
      CHECK(c.candidate_count == 3);
      CHECK(c.reference_count == 3);
      CHECK_FALSE(c.pairs[0].mask_iou);
    }
  }
}

TEST_CASE("one detection dropped, one added") {
  const DetectionComparison dropped = Compare({kThree[0], kThree[2]}, kThree);
  CHECK_FALSE(dropped.equal);
  CHECK(dropped.missing == std::vector<int64_t>{1});
  CHECK(dropped.added.empty());
  CHECK(dropped.Why() == "1 of 3 detections of the reference is missing (1: label 2, score 0.8)");
  const DetectionComparison added = Compare(kThree, {kThree[0], kThree[2]});
  CHECK(added.added == std::vector<int64_t>{1});
  CHECK(added.Why() == "1 of 3 detections of the candidate is added (1: label 2, score 0.8)");
  CHECK(Compare({kThree[0], kThree[2]}, kThree, {.allowed_unmatched = 1}).equal);
  CHECK_FALSE(Compare({kThree[0]}, kThree, {.allowed_unmatched = 1}).equal);
}

TEST_CASE("a detection that has moved keeps its partner down to the least IoU") {
  const std::vector<One> reference = {{{0, 0, 10, 10}}};
  const DetectionComparison c = Compare({{{1, 0, 11, 10}}}, reference);
  CHECK(c.equal);
  CHECK(c.least_iou == Approx(9.0 / 11));
  CHECK(c.mean_iou == Approx(9.0 / 11));
  CHECK_FALSE(Compare({{{1, 0, 11, 10}}}, reference, {.min_iou = 0.9}).equal);
  CHECK(Compare({{{5, 0, 15, 10}}}, reference, {.min_iou = 1.0 / 3}).equal);
  CHECK_FALSE(Compare({{{5, 0, 15, 10}}}, reference).equal);
  CHECK_FALSE(Compare({{{10, 0, 20, 10}}}, reference, {.min_iou = 0}).equal);  // they touch: no overlap
  CHECK_FALSE(Compare(reference, reference, {.min_iou = kNan}).equal);
}

TEST_CASE("another label is told, and both are without a partner") {
  std::vector<One> candidate = kThree;
  candidate[0].label = 7;
  const DetectionComparison c = Compare(candidate, kThree);
  CHECK_FALSE(c.equal);
  CHECK(c.label_mismatches == 1);
  CHECK(c.missing == std::vector<int64_t>{0});
  CHECK(c.added == std::vector<int64_t>{0});
  CHECK(c.relabelled.at(0).iou == 1);
  CHECK(c.Why() ==
        "1 of 3 detections of the reference is missing (0: label 1, score 0.9); 1 of 3 detections of the candidate is "
        "added (0: label 7, score 0.9); 1 of these has another label (reference 0: 1, candidate 0: 7)");
  // Two that swapped labels overlap: each is taken for its label, not for its place.
  candidate = kThree;
  std::swap(candidate[1].label, candidate[2].label);
  CHECK(Partners(Compare(candidate, kThree, {.score_tolerance = 1})) == PartnerList{{0, 0}, {2, 1}, {1, 2}});
  // Without labels only places count.
  Set a(candidate);
  Set b(kThree);
  a.with_labels = b.with_labels = false;
  CHECK(CompareDetections(a.tensors(), b.tensors()).equal);
}

TEST_CASE("scores are held to a tolerance") {
  const std::vector<One> reference = {{{0, 0, 10, 10}, 1, 0.5}, {{20, 0, 30, 10}, 1, 0.5}};
  CHECK(Compare({{{0, 0, 10, 10}, 1, 0.54}, {{20, 0, 30, 10}, 1, 0.46}}, reference).equal);
  const DetectionComparison c = Compare({{{0, 0, 10, 10}, 1, 0.25}, {{20, 0, 30, 10}, 1, 0.5}}, reference);
  CHECK_FALSE(c.equal);
  CHECK(c.score_mismatches == 1);
  CHECK(c.worst_score_difference == 0.25);
  CHECK(c.pairs[0].score_difference == -0.25);
  CHECK(c.Why() == "1 of 2 pairs differs by more than 0.05 in score (worst 0.25: candidate 0, reference 0)");
  const std::vector<One> nan = {{{0, 0, 10, 10}, 1, kNan}};
  CHECK(Compare(nan, nan).equal);
  CHECK(Compare({{{0, 0, 10, 10}, 1, 0.5}}, nan).worst_score_difference == kInf);
  CHECK_FALSE(Compare({{{0, 0, 10, 10}, 1, 0.5}}, nan, {.score_tolerance = 1e9}).equal);
  CHECK_FALSE(Compare(reference, reference, {.score_tolerance = kNan}).equal);
}

TEST_CASE("duplicates pair so that their scores fit") {
  const Box box = {0, 0, 10, 10};
  const std::vector<One> reference = {{box, 1, 0.9}, {box, 1, 0.1}, {box, 1, 0.5}};
  const DetectionComparison c = Compare({{box, 1, 0.12}, {box, 1, 0.52}, {box, 1, 0.88}}, reference);
  CHECK(c.equal);
  CHECK(Partners(c) == PartnerList{{2, 0}, {0, 1}, {1, 2}});
  // One of them is missing: the one whose score no other has.
  CHECK(Compare({{box, 1, 0.5}, {box, 1, 0.9}}, reference).missing == std::vector<int64_t>{1});
  // Rounding of float32 in a box outweighs no score.
  const double near = std::nextafter(10.0f, 11.0f);
  CHECK(Compare({{{0, 0, near, 10}, 1, 0.1}, {box, 1, 0.9}}, {{{0, 0, near, 10}, 1, 0.9}, {box, 1, 0.1}}).equal);
  // Another box does.
  CHECK_FALSE(Compare({{{0, 0, 9, 10}, 1, 0.1}, {box, 1, 0.9}}, {{{0, 0, 9, 10}, 1, 0.9}, {box, 1, 0.1}}).equal);
}

TEST_CASE("duplicates that only their masks tell apart find their likes") {
  const Box box = {0, 0, 10, 10};
  const One first = {box, 1, 0.5, {1, 0, 0, 0}};
  const One second = {box, 1, 0.5, {0, 1, 1, 0}};
  const One third = {box, 1, 0.5, {0, 0, 0, 1}};
  std::vector<One> candidate = {first, second, third};
  std::vector<size_t> order = {0, 1, 2};
  do {
    CHECK(CompareMasks({candidate[order[0]], candidate[order[1]], candidate[order[2]]}, candidate).equal);
  } while (std::next_permutation(order.begin(), order.end()));
  CHECK(CompareMasks({third, second}, candidate).missing == std::vector<int64_t>{0});
  CHECK(CompareMasks({third, first}, candidate).missing == std::vector<int64_t>{1});
  CHECK(CompareMasks({second, first}, candidate).missing == std::vector<int64_t>{2});
}

TEST_CASE("hundreds of padded entries on one side and the other") {
  const One padding = {{0, 0, 0, 0}, 0, 0, {0, 0, 0, 0}};
  std::vector<One> reference(600, padding);
  reference[17] = {{0, 0, 10, 10}, 1, 0.5, {1, 0, 0, 0}};
  std::vector<One> candidate = reference;
  std::swap(candidate[17], candidate[599]);
  CHECK(CompareMasks(candidate, reference).equal);
  candidate.pop_back();
  const DetectionComparison c = CompareMasks(candidate, reference);
  CHECK(c.pairs.size() == 599);
  CHECK(c.missing == std::vector<int64_t>{17});
}

TEST_CASE("no detections at all") {
  const DetectionComparison none = Compare({}, {});
  CHECK(none.equal);
  CHECK(none.least_iou == 1);
  CHECK(none.mean_iou == 1);
  const DetectionComparison lost = Compare({}, kThree);
  CHECK_FALSE(lost.equal);
  CHECK(lost.missing.size() == 3);
  CHECK(lost.Why().find("3 of 3 detections of the reference are missing (") == 0);
  CHECK(Compare(kThree, {}).added.size() == 3);
  Set a({});
  a.with_masks = true;
  a.masks = MakeTensor(TensorProto::FLOAT, {0, 1, 0, 0}, {});
  Set b(kThree);
  b.with_masks = true;
  CHECK(CompareDetections(a.tensors(), b.tensors()).problem.empty());
}

TEST_CASE("masks are compared as foregrounds") {
  const One whole = {{0, 0, 10, 10}, 1, 0.9, {0.9, 0.8, 0.2, 0.1}};
  One half = whole;
  half.mask = {0.51, 0.5, 0, 0};  // what is at the threshold isn't foreground
  One third = whole;
  third.mask = {0.6, 0.4, 0.7, 0};  // one of three in common
  One empty = whole;
  empty.mask = {0, 0, 0, kNan};
  CHECK(CompareMasks({whole}, {whole}).pairs.at(0).mask_iou == 1.0);
  const DetectionComparison c = CompareMasks({half}, {whole});
  CHECK(c.equal);
  CHECK(c.least_mask_iou == 0.5);
  const DetectionComparison d = CompareMasks({third}, {whole});
  CHECK_FALSE(d.equal);
  CHECK(d.mask_mismatches == 1);
  CHECK(d.Why() == "masks of 1 of 1 pair overlap by less than 0.5 (least 0.333: candidate 0, reference 0)");
  CHECK(CompareMasks({third}, {whole}, {.mask_threshold = 0.3}).least_mask_iou == Approx(2.0 / 3));
  CHECK(CompareMasks({empty}, {empty}).pairs.at(0).mask_iou == 1.0);
  CHECK(CompareMasks({empty}, {whole}).pairs.at(0).mask_iou == 0.0);
}

TEST_CASE("masks of other dtypes and ranks") {
  Set a({{{0, 0, 10, 10}}, {{20, 20, 30, 30}}});
  Set b = a;
  a.with_masks = b.with_masks = true;
  a.masks = MakeTensor(TensorProto::BOOL, {2, 2, 2}, {1, 0, 0, 0, 0, 1, 1, 1});
  b.masks = MakeTensor(TensorProto::UINT8, {2, 1, 2, 2}, {255, 0, 0, 0, 0, 1, 200, 0});
  const DetectionComparison c = CompareDetections(a.tensors(), b.tensors());
  CHECK(c.problem.empty());
  CHECK(c.pairs.at(0).mask_iou == 1.0);
  CHECK(c.pairs.at(1).mask_iou == Approx(2.0 / 3));
}

TEST_CASE("boxes that are none") {
  const One nan = {{0, kNan, 10, 10}};
  const DetectionComparison c = Compare({nan, kThree[0]}, {kThree[0], nan});
  CHECK_FALSE(c.equal);
  CHECK(c.missing == std::vector<int64_t>{1});
  CHECK(c.added == std::vector<int64_t>{0});
  CHECK(c.Why().find("a box of the candidate holds a NaN (0); a box of the reference holds a NaN (1)") !=
        std::string::npos);
  for (const Box& box : {Box{5, 5, 5, 5}, Box{5, 5, 5, 9}, Box{9, 9, 5, 5}, Box{0, 0, kInf, 5}, Box{-kInf, 0, kInf, 5},
                         Box{0, 0, 0, 0}}) {
    CAPTURE(box);
    CHECK(BoxIou(box, box) == 1);
    CHECK(BoxIou(box, {0, 0, 100, 6}) == 0);
    CHECK(Compare({{box}}, {{box}}).equal);
    CHECK_FALSE(Compare({{{0, 0, 100, 6}}}, {{box}}, {.min_iou = 0}).equal);
  }
  CHECK(Compare({{{-0.0, 0, 5, 5}}}, {{{0.0, 0, 5, 5}}}).equal);
}

TEST_CASE("detections below the least score") {
  const DetectionOptions options = {.score_tolerance = 0.2, .min_score = 0.5};
  const One low = {{0, 0, 10, 10}, 1, 0.45};
  const One high = {{0, 0, 10, 10}, 1, 0.55};
  CHECK(Compare({low}, {}, options).equal);
  CHECK(Compare({}, {low}, options).equal);
  const DetectionComparison both = Compare({low}, {low}, options);
  CHECK(both.equal);
  CHECK(both.pairs.empty());
  CHECK(both.reference_count == 0);
  const DetectionComparison one = Compare({low}, {high}, options);
  CHECK(one.equal);
  CHECK(one.pairs.size() == 1);
  CHECK(one.candidate_count == 0);
  CHECK(one.reference_count == 1);
  CHECK_FALSE(Compare({}, {high}, options).equal);
  CHECK_FALSE(Compare({{high.box, 1, 0.1}}, {high}, options).equal);  // a partner, but too far off
  // A better place is no reason to leave the partner that counts for one that doesn't.
  const One near = {{0, 0, 10, 9}, 1, 0.55};
  CHECK(Partners(Compare({low, near}, {high}, options)) == PartnerList{{1, 0}});
  CHECK(Compare({low, near}, {high}, options).equal);
  // 0 ignores nothing, logits included.
  CHECK_FALSE(Compare({}, {{low.box, 1, -3}}).equal);
}

TEST_CASE("the most pairs come before the best ones") {
  // The first candidate fits both, the first reference best; the second fits only the first reference.
  const std::vector<One> reference = {{{0, 0, 10, 10}}, {{4, 0, 14, 10}}};
  const DetectionComparison c = Compare({{{1, 0, 11, 10}}, {{-3, 0, 7, 10}}}, reference);
  CHECK(c.equal);
  CHECK(Partners(c) == PartnerList{{1, 0}, {0, 1}});
}

TEST_CASE("what can't be compared") {
  const Set good(kThree);
  const auto problem = [&](const auto& spoil) {
    Set bad(kThree);
    DetectionTensors tensors = bad.tensors();
    spoil(bad, tensors);
    const DetectionComparison c = CompareDetections(tensors, good.tensors());
    CHECK_FALSE(c.equal);
    CHECK(c.Why() == c.problem);
    return c.problem;
  };
  CHECK(problem([](Set&, DetectionTensors& t) { t.boxes = nullptr; }) == "candidate: no boxes");
  CHECK(problem([](Set&, DetectionTensors& t) { t.labels = nullptr; }) == "the candidate has no labels");
  CHECK(problem([](Set& s, DetectionTensors& t) { t.masks = &s.masks; }) == "the reference has no masks");
  CHECK(problem([](Set& s, DetectionTensors&) {
          s.boxes = MakeTensor(TensorProto::FLOAT, {3, 2}, {1, 2, 3, 4, 5, 6});
        }) == "candidate: boxes float32 [3,2], not [N,4]");
  CHECK(problem([](Set& s, DetectionTensors&) {
          s.boxes = MakeTensor(TensorProto::FLOAT, {4}, {1, 2, 3, 4});
        }) == "candidate: boxes float32 [4], not [N,4]");
  CHECK(problem([](Set& s, DetectionTensors&) {
          s.labels = MakeTensor(TensorProto::INT64, {2}, {1, 2});
        }) == "candidate: labels int64 [2], not [3] as there are boxes");
  CHECK(problem([](Set& s, DetectionTensors&) {
          s.scores = MakeTensor(TensorProto::FLOAT, {3, 1}, {1, 2, 3});
        }) == "candidate: scores float32 [3,1], not [3] as there are boxes");
  CHECK(problem([](Set& s, DetectionTensors&) {
          s.labels = HostTensor::Strings({3}, {"a", "b", "c"});
        }) == "candidate: labels string [3] can't be read as numbers");
  CHECK(problem([](Set& s, DetectionTensors& t) {
          s.masks = MakeTensor(TensorProto::FLOAT, {3, 4}, std::vector<double>(12));
          t.masks = &s.masks;
        }) == "candidate: masks float32 [3,4], not [3,1,H,W] as there are boxes");
  Set a(kThree);
  Set b(kThree);
  a.with_masks = b.with_masks = true;
  a.masks = MakeTensor(TensorProto::FLOAT, {3, 1, 1, 4}, std::vector<double>(12));
  CHECK(CompareDetections(a.tensors(), b.tensors()).problem == "masks of 1x4, reference 2x2");
}

TEST_CASE("thousands of detections in any order") {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> unit(0, 1);
  std::vector<One> reference;
  for (int i = 0; i < 2000; ++i) {
    const double x = unit(random) * 900, y = unit(random) * 500, w = 20 + unit(random) * 60, h = 20 + unit(random) * 60;
    reference.push_back({{x, y, x + w, y + h}, std::floor(unit(random) * 5), unit(random)});
  }
  std::vector<int64_t> order(reference.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::shuffle(order.begin(), order.end(), random);
  std::vector<One> candidate;
  for (const int64_t i : order) {
    One one = reference[static_cast<size_t>(i)];
    for (double& side : one.box) {
      side += unit(random) * 0.1 - 0.05;
    }
    candidate.push_back(one);
  }
  const DetectionComparison c = Compare(candidate, reference, {.min_iou = 0.5});
  CHECK(c.equal);
  REQUIRE(c.pairs.size() == 2000);
  for (const DetectionPair& pair : c.pairs) {
    REQUIRE(order[static_cast<size_t>(pair.candidate)] == pair.reference);
  }
}

// What a choice is worth, by the rules of the header.
struct Worth {
  size_t pairs = 0;
  double iou = 0;
  double apart = 0;
};
bool Better(const Worth& a, const Worth& b) {
  if (a.pairs != b.pairs) {
    return a.pairs > b.pairs;
  }
  return std::abs(a.iou - b.iou) > 1e-4 ? a.iou > b.iou : a.apart < b.apart - 1e-4;
}

Worth BruteForce(const std::vector<One>& a, const std::vector<One>& b, double min_iou, size_t at,
                 std::vector<bool>& taken) {
  if (at == a.size()) {
    return {};
  }
  Worth best = BruteForce(a, b, min_iou, at + 1, taken);
  for (size_t j = 0; j < b.size(); ++j) {
    const double iou = BoxIou(a[at].box, b[j].box);
    if (taken[j] || a[at].label != b[j].label || iou < min_iou || iou == 0) {
      continue;
    }
    taken[j] = true;
    Worth with = BruteForce(a, b, min_iou, at + 1, taken);
    taken[j] = false;
    with = {with.pairs + 1, with.iou + iou, with.apart + std::abs(a[at].score - b[j].score)};
    if (Better(with, best)) {
      best = with;
    }
  }
  return best;
}

// Crowded: boxes on a coarse grid, so that duplicates and ties are frequent.
std::vector<One> Crowd(std::mt19937_64& random, size_t most, int grid) {
  const auto pick = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  std::vector<One> list(static_cast<size_t>(pick(0, static_cast<int>(most))));
  for (One& one : list) {
    const double x = pick(0, grid), y = pick(0, grid);
    one = {{x, y, x + pick(3, 6), y + pick(3, 6)}, static_cast<double>(pick(1, 2)), pick(0, 8) / 8.0};
  }
  return list;
}

TEST_CASE("the choice is as good as the best of all choices") {
  std::mt19937_64 random(11);
  for (int round = 0; round < 600; ++round) {
    CAPTURE(round);
    const std::vector<One> a = Crowd(random, 7, 3);
    const std::vector<One> b = Crowd(random, 7, 3);
    const double min_iou = round % 3 == 0 ? 0 : 0.3;
    std::vector<bool> taken(b.size(), false);
    const Worth best = BruteForce(a, b, min_iou, 0, taken);
    const DetectionComparison c = Compare(a, b, {.min_iou = min_iou, .score_tolerance = 1});
    Worth got{c.pairs.size(), 0, 0};
    std::set<int64_t> candidates, references;
    for (const DetectionPair& pair : c.pairs) {
      got.iou += pair.iou;
      got.apart += std::abs(pair.score_difference);
      CHECK(a[static_cast<size_t>(pair.candidate)].label == b[static_cast<size_t>(pair.reference)].label);
      CHECK(pair.iou >= min_iou);
      candidates.insert(pair.candidate);
      references.insert(pair.reference);
    }
    CHECK(candidates.size() == c.pairs.size());
    CHECK(references.size() == c.pairs.size());
    REQUIRE(got.pairs == best.pairs);
    REQUIRE(got.iou == Approx(best.iou).margin(1e-4));
    REQUIRE(got.apart == Approx(best.apart).margin(1e-4));
    CHECK(c.missing.size() + c.pairs.size() == b.size());
    CHECK(c.added.size() + c.pairs.size() == a.size());
  }
}

// What was found, with detections named by their values: equal ones are one.
std::vector<std::array<double, 13>> Content(const DetectionComparison& c, const std::vector<One>& a,
                                            const std::vector<One>& b) {
  std::vector<std::array<double, 13>> content;
  const auto add = [&](const One& x, const One& y, double kind) {
    content.push_back({kind, x.box[0], x.box[1], x.box[2], x.box[3], x.label, x.score, y.box[0], y.box[1], y.box[2],
                       y.box[3], y.label, y.score});
  };
  for (const DetectionPair& pair : c.pairs) {
    add(a[static_cast<size_t>(pair.candidate)], b[static_cast<size_t>(pair.reference)], 0);
  }
  for (const DetectionPair& pair : c.relabelled) {
    add(a[static_cast<size_t>(pair.candidate)], b[static_cast<size_t>(pair.reference)], 1);
  }
  for (const int64_t i : c.missing) {
    add(b[static_cast<size_t>(i)], b[static_cast<size_t>(i)], 2);
  }
  for (const int64_t i : c.added) {
    add(a[static_cast<size_t>(i)], a[static_cast<size_t>(i)], 3);
  }
  std::sort(content.begin(), content.end());
  return content;
}

TEST_CASE("no order on either side changes what is found") {
  std::mt19937_64 random(13);
  for (int round = 0; round < 100; ++round) {
    CAPTURE(round);
    const bool many = round % 10 == 0;  // clusters of more than 256, which are paired greedily
    std::vector<One> a = Crowd(random, many ? 700 : 25, many ? 3 : 6);
    std::vector<One> b = Crowd(random, many ? 700 : 25, many ? 3 : 6);
    const DetectionOptions options = {.min_iou = 0.2, .min_score = round % 2 == 0 ? 0.4 : 0.0};
    const DetectionComparison before = Compare(a, b, options);
    const auto content = Content(before, a, b);
    for (int again = 0; again < 3; ++again) {
      std::shuffle(a.begin(), a.end(), random);
      std::shuffle(b.begin(), b.end(), random);
      const DetectionComparison after = Compare(a, b, options);
      REQUIRE(Content(after, a, b) == content);
      CHECK(after.equal == before.equal);
      CHECK(after.label_mismatches == before.label_mismatches);
      CHECK(after.score_mismatches == before.score_mismatches);
      CHECK(after.least_iou == before.least_iou);
      CHECK(after.mean_iou == Approx(before.mean_iou));
    }
  }
}

TEST_CASE("a group that is too large for the best choice is paired greedily") {
  // Greedy takes the pair of 3 and leaves two alone.
  const std::vector<WeightedPair> pairs = {{0, 0, {3}}, {0, 1, {2}}, {1, 0, {2}}};
  CHECK(AssignPairs(pairs, 2, 2) == std::vector<size_t>{1, 2});
  CHECK(AssignPairs(pairs, 2, 2, 1) == std::vector<size_t>{0});
  // What comes first can't be outweighed by what comes after.
  CHECK(AssignPairs({{0, 0, {1, 0}}, {0, 1, {0, 1000}}, {1, 0, {0, 1000}}}, 2, 2) == std::vector<size_t>{0});
  CHECK(AssignPairs({}, 3, 0).empty());
}

}  // namespace
}  // namespace gomai
