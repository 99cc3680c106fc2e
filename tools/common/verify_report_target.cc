// What gomai-verify says besides where a candidate runs on a target, or gives detections; see verify_report.h.
#include <fmt/ranges.h>

#include <cmath>

#include "tools/common/tool.h"
#include "tools/common/verify_report.h"

namespace gomai {

std::string VerifyReport::NotesText() const {
  std::string text;
  for (size_t i = 0; i < samples_.size(); ++i) {
    for (size_t row = 0; row < samples_[i].notes.size(); ++row) {
      if (!samples_[i].notes[row].empty()) {
        text += fmt::format("'{}'{}{}: {}\n", Row(row).tensor,
                            Row(row).part.empty() ? "" : fmt::format(" of part '{}'", Row(row).part),
                            samples_.size() > 1 ? fmt::format(", sample {}", i + 1) : "", samples_[i].notes[row]);
      }
    }
  }
  return text;
}

std::string VerifyReport::MetricsText() const {
  std::vector<std::vector<std::string>> cells;
  for (size_t row = 0; row < equivalence_.rows().size(); ++row) {
    const TensorComparison& c = samples_[WorstSample(row)].tensors[row];
    if (Judge(row) > Verdict::kDiffers || !c.problem.empty()) {
      continue;
    }
    const auto number = [](double value) { return fmt::format("{:.3g}", value); };
    cells.push_back({Row(row).alias.empty() ? Row(row).tensor : Row(row).alias, number(c.max_abs), number(c.mean_abs),
                     number(c.rmse), number(c.max_rel), fmt::format("{:.7f}", c.cosine),
                     std::isfinite(c.snr_db) ? fmt::format("{:.1f}", c.snr_db) : "equal",
                     std::isfinite(c.psnr_db) ? fmt::format("{:.1f}", c.psnr_db) : "equal",
                     c.count == 0 ? "-"
                                  : fmt::format("{:.2f} %", 100.0 * static_cast<double>(c.count - c.differing) /
                                                                static_cast<double>(c.count)),
                     fmt::format("{}/{}", c.nan_candidate + c.inf_candidate, c.nan_reference + c.inf_reference)});
  }
  return "\n" +
         Table({"tensor", "max abs", "mean abs", "RMSE", "max rel", "cosine", "SNR dB", "PSNR dB", "equal",
                "NaN+Inf c/r"},
               cells, {false, true, true, true, true, true, true, true, true, true}) +
         "\n";
}

std::string VerifyReport::ThreeRunsText() const {
  std::vector<std::vector<std::string>> cells;
  for (size_t row = 0; row < equivalence_.rows().size(); ++row) {
    const ThreeRuns* worst = nullptr;
    for (const SampleReport& sample : samples_) {
      if (sample.three[row] && (worst == nullptr || sample.three[row]->steps.max_steps > worst->steps.max_steps)) {
        worst = &*sample.three[row];
      }
    }
    if (worst == nullptr || (!Row(row).on_target && worst->hardware.differing == 0)) {
      continue;
    }
    const auto error = [](const TensorComparison& c) {
      return c.problem.empty() ? fmt::format("{:.3g}", c.max_abs) : std::string("-");
    };
    const auto snr = [](const TensorComparison& c) {
      return !c.problem.empty()        ? "-"
             : std::isfinite(c.snr_db) ? fmt::format("{:.1f}", c.snr_db)
                                       : std::string("equal");
    };
    cells.push_back({Row(row).part.empty() ? "model" : Row(row).part,
                     Row(row).alias.empty() ? Row(row).tensor : Row(row).alias, error(worst->quantisation),
                     snr(worst->quantisation), error(worst->hardware), snr(worst->hardware),
                     worst->hardware.differing == 0 ? "0" : fmt::format("{:.2f}", worst->steps.max_steps),
                     worst->hardware.differing == 0 ? "0" : fmt::format("{:.3f}", worst->steps.mean_steps),
                     Row(row).scale > 0 ? fmt::format("{:.3g}", Row(row).scale) : "range/255"});
  }
  if (cells.empty()) {
    return "";
  }
  return "\nthree runs: the candidate on the CPU against the reference (what quantising or editing costs), and on the "
         "target\nagainst the candidate on the CPU (what the hardware adds)\n" +
         Table(
             {"part", "tensor", "edit: max abs", "SNR dB", "hardware: max abs", "SNR dB", "max steps", "mean", "step"},
             cells, {false, false, true, true, true, true, true, true, true}) +
         "\n";
}

std::string VerifyReport::DetectionsText() const {
  std::string text;
  for (size_t i = 0; i < samples_.size(); ++i) {
    if (!samples_[i].detections) {
      continue;
    }
    const DetectionComparison& c = *samples_[i].detections;
    text += fmt::format("detections{}: ", samples_.size() > 1 ? fmt::format(" of sample {}", i + 1) : "");
    if (!c.problem.empty()) {
      text += c.problem + "\n";
      continue;
    }
    text += fmt::format(
        "{} of the reference's {} found again, {} added; least IoU {:.3f}, mean {:.3f}, scores within {:.3g}, "
        "least mask IoU {:.3f}{}\n",
        c.pairs.size(), c.reference_count, c.added.size(), c.least_iou, c.mean_iou, c.worst_score_difference,
        c.least_mask_iou, c.equal ? "" : ": " + c.Why());
  }
  return text;
}

void VerifyReport::NoteEvidence(Equivalence& equivalence) {
  for (Evidence* evidence : equivalence.evidence()) {
    evidence_.push_back(evidence);
    size_t compared = 0, good = 0;
    bool reached = true;
    for (size_t row = 0; row < equivalence_.rows().size(); ++row) {
      if (Row(row).part != evidence->part || !Row(row).missing.empty() || !Row(row).counts) {
        continue;
      }
      const Verdict verdict = Judge(row);
      reached = reached && verdict != Verdict::kNotReached;
      ++compared;
      good += verdict <= Verdict::kWithin ? 1 : 0;
    }
    if (compared > 0 && reached) {
      evidence->Set(Evidence::kOutputs, good == compared,
                    fmt::format("{} of {} outputs match the reference's, {} {}", good, compared, samples_.size(),
                                samples_.size() == 1 ? "sample" : "samples"));
    }
  }
}

}  // namespace gomai
