// See verify_json.h.
#include "tools/common/verify_json.h"

#include <cmath>

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no infinity.
Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value)); }

}  // namespace

Json ComparisonJson(const TensorComparison& c) {
  Json json = {{"equal", c.equal},
               {"why", c.Why()},
               {"count", c.count},
               {"differing", c.differing},
               {"differing_bits", c.differing_bits},
               {"out_of_tolerance", c.out_of_tolerance},
               {"zero_signs", c.zero_signs},
               {"nan", {{"candidate", c.nan_candidate}, {"reference", c.nan_reference}, {"mismatch", c.nan_mismatch}}},
               {"inf", {{"candidate", c.inf_candidate}, {"reference", c.inf_reference}}},
               {"max_abs", Number(c.max_abs)},
               {"mean_abs", Number(c.mean_abs)},
               {"rmse", Number(c.rmse)},
               {"max_rel", Number(c.max_rel)},
               {"cosine", Number(c.cosine)},
               {"snr_db", Number(c.snr_db)},
               {"psnr_db", Number(c.psnr_db)}};
  if (!c.worst_reference.empty()) {
    json["worst"] = {{"index", c.worst_index}, {"candidate", c.worst_candidate}, {"reference", c.worst_reference}};
  }
  return json;
}

Json ThreeRunsJson(const ThreeRuns& three) {
  return {{"quantisation", ComparisonJson(three.quantisation)},
          {"hardware", ComparisonJson(three.hardware)},
          {"step", three.steps.step},
          {"max_steps", Number(three.steps.max_steps)},
          {"mean_steps", Number(three.steps.mean_steps)},
          {"over_one_step", three.steps.over_one}};
}

Json DetectionsJson(const DetectionComparison& c) {
  return {{"equal", c.equal},
          {"why", c.Why()},
          {"reference", c.reference_count},
          {"candidate", c.candidate_count},
          {"pairs", c.pairs.size()},
          {"missing", c.missing},
          {"added", c.added},
          {"least_iou", c.least_iou},
          {"mean_iou", c.mean_iou},
          {"worst_score_difference", Number(c.worst_score_difference)},
          {"least_mask_iou", c.least_mask_iou},
          {"label_mismatches", c.label_mismatches},
          {"score_mismatches", c.score_mismatches},
          {"mask_mismatches", c.mask_mismatches}};
}

}  // namespace gomai
