// See verify_report.h. Over several samples a tensor shows its worst one: a failure before a success, then the larger
// difference.
#include "tools/common/verify_report.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "tools/common/target_flags.h"
#include "tools/common/tool.h"
#include "tools/common/verify_json.h"

namespace gomai {
namespace {

using Json = nlohmann::ordered_json;

double Median(std::vector<double> values) {
  if (values.empty()) {
    return 0;
  }
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::string Seconds(double seconds) {
  return seconds < 1 ? fmt::format("{:.1f} ms", seconds * 1e3) : fmt::format("{:.2f} s", seconds);
}

std::string Place(const TensorComparison& c) {
  return fmt::format("[{}]: {}, reference {}", fmt::join(c.worst_index, ","), c.worst_candidate, c.worst_reference);
}

}  // namespace

size_t VerifyReport::WorstSample(size_t row) const {
  size_t worst = 0;
  for (size_t i = 1; i < samples_.size(); ++i) {
    const TensorComparison& a = samples_[worst].tensors[row];
    const TensorComparison& b = samples_[i].tensors[row];
    if (a.equal != b.equal ? a.equal
                           : std::pair(a.max_abs, a.differing_bits) < std::pair(b.max_abs, b.differing_bits)) {
      worst = i;
    }
  }
  return worst;
}

VerifyReport::Verdict VerifyReport::Judge(size_t row) const {
  if (!Row(row).missing.empty()) {
    return Row(row).fault ? Verdict::kDiffers : Verdict::kNotCompared;
  }
  Verdict verdict = Verdict::kBits;
  for (const SampleReport& sample : samples_) {
    const TensorComparison& c = sample.tensors[row];
    const Verdict one = sample.dtypes[row] == 0 ? Verdict::kNotReached
                        : !c.equal              ? Verdict::kDiffers
                        : c.differing > 0       ? Verdict::kWithin
                        : c.differing_bits > 0  ? Verdict::kEqual
                                                : Verdict::kBits;
    if (verdict != Verdict::kDiffers) {
      verdict = std::max(verdict, one);
    }
  }
  return verdict;
}

bool VerifyReport::equal() const {
  for (size_t row = 0; row < equivalence_.rows().size(); ++row) {
    const Verdict verdict = Judge(row);
    if (Row(row).counts && (verdict == Verdict::kDiffers || verdict == Verdict::kNotReached)) {
      return false;
    }
  }
  return !samples_.empty() && std::all_of(samples_.begin(), samples_.end(), [](const SampleReport& sample) {
    return sample.candidate_failure.empty() && (!sample.detections || sample.detections->equal);
  });
}

std::string VerifyReport::Shape(size_t row) const {
  std::vector<std::pair<int64_t, int64_t>> dims;
  int dtype = 0;
  bool first = true;
  for (const SampleReport& sample : samples_) {
    if (sample.dtypes[row] == 0) {
      continue;
    }
    dtype = sample.dtypes[row];
    const std::vector<int64_t>& shape = sample.shapes[row];
    if (!first && shape.size() != dims.size()) {
      return DtypeName(dtype) + " of several ranks";
    }
    dims.resize(shape.size());
    for (size_t i = 0; i < shape.size(); ++i) {
      dims[i] = first ? std::pair(shape[i], shape[i])
                      : std::pair(std::min(dims[i].first, shape[i]), std::max(dims[i].second, shape[i]));
    }
    first = false;
  }
  if (first) {
    return "-";
  }
  std::vector<std::string> texts;
  for (const auto& [least, most] : dims) {
    texts.push_back(least == most ? fmt::to_string(least) : fmt::format("{}..{}", least, most));
  }
  return fmt::format("{} [{}]", DtypeName(dtype), fmt::join(texts, ","));
}

bool VerifyReport::FindFirst(First* first) const {
  for (size_t i = 0; i < samples_.size(); ++i) {
    for (size_t row = 0; row < samples_[i].tensors.size(); ++row) {
      if (!samples_[i].tensors[row].equal && Row(row).counts && (samples_[i].dtypes[row] != 0 || Row(row).fault)) {
        *first = {i, row};
        return true;
      }
    }
  }
  return false;
}

std::string VerifyReport::FirstText(const First& first) const {
  const EquivalenceRow& row = Row(first.row);
  const TensorComparison& c = samples_[first.sample].tensors[first.row];
  std::string text = fmt::format("'{}'", row.tensor);
  if (!row.alias.empty()) {
    text += fmt::format(" ({})", row.alias);
  }
  if (!row.part.empty()) {
    text += fmt::format(" of part '{}'", row.part);
  }
  if (samples_.size() > 1 && !row.fault) {
    text += fmt::format(", sample {}", first.sample + 1);
  }
  text += ": " + c.Why();
  if (!c.worst_reference.empty()) {
    text += fmt::format("; worst at {}", Place(c));
  }
  return text;
}

std::string VerifyReport::Summary() const {
  size_t compared = 0, good = 0, bits = 0, within = 0, skipped = 0;
  for (size_t row = 0; row < equivalence_.rows().size(); ++row) {
    const Verdict verdict = Judge(row);
    if (verdict == Verdict::kNotCompared || !Row(row).counts) {
      ++skipped;
      continue;
    }
    ++compared;
    good += verdict <= Verdict::kWithin ? 1 : 0;
    bits += verdict == Verdict::kBits ? 1 : 0;
    within += verdict == Verdict::kWithin ? 1 : 0;
  }
  std::string text = fmt::format("{} of {} tensors ", good, compared);
  if (bits == good) {
    text += "equal bit for bit";
  } else if (within == 0) {
    text += fmt::format("equal in value, {} of them bit for bit", bits);
  } else {
    text += fmt::format("within the tolerance, {} of them bit for bit", bits);
  }
  if (skipped > 0) {
    text += fmt::format(", {} not compared", skipped);
  }
  return text + fmt::format(", {} {}", samples_.size(), samples_.size() == 1 ? "sample" : "samples");
}

std::string VerifyReport::Times() const {
  std::vector<double> whole, candidate;
  for (const SampleReport& sample : samples_) {
    whole.push_back(sample.reference_seconds);
    if (sample.candidate_failure.empty()) {
      candidate.push_back(sample.candidate_seconds);
    }
  }
  const bool chain = !equivalence_.parts().empty();
  std::string text = fmt::format("{} {}", chain ? "whole" : "reference", Seconds(Median(whole)));
  if (!candidate.empty()) {
    text += fmt::format(", {} {}", chain ? "parts" : "candidate", Seconds(Median(candidate)));
    std::vector<std::string> parts;
    for (size_t i = 0; i < equivalence_.parts().size(); ++i) {
      std::vector<double> seconds;
      for (const SampleReport& sample : samples_) {
        if (i < sample.parts.size()) {
          seconds.push_back(sample.parts[i].second);
        }
      }
      parts.push_back(fmt::format("{} {}", equivalence_.parts()[i], Seconds(Median(seconds))));
    }
    if (!parts.empty()) {
      text += fmt::format(" ({})", fmt::join(parts, ", "));
    }
  }
  return text + (samples_.size() > 1 ? fmt::format("; medians of {} samples", samples_.size()) : "");
}

std::string VerifyReport::Text(const std::string& runtime) const {
  const bool chain = !equivalence_.parts().empty();
  const auto& rows = equivalence_.rows();
  const bool aliases =
      std::any_of(rows.begin(), rows.end(), [](const EquivalenceRow& row) { return !row.alias.empty(); });
  std::vector<std::string> header{"tensor", "shape", "result"};
  std::vector<bool> right{false, false, false, true, false};
  // How much and where is a column only if there is something to show.
  bool differences = false;
  for (size_t row = 0; row < rows.size(); ++row) {
    differences = differences || Judge(row) != Verdict::kBits;
  }
  if (differences) {
    header.insert(header.end(), {"max abs", "where"});
  }
  if (aliases) {
    header.insert(header.begin() + 1, "known as");
    right.insert(right.begin() + 1, false);
  }
  if (chain) {
    header.insert(header.begin(), "part");
    right.insert(right.begin(), false);
  }
  std::vector<std::vector<std::string>> cells;
  for (size_t row = 0; row < rows.size(); ++row) {
    const TensorComparison& c = samples_[WorstSample(row)].tensors[row];
    const Verdict verdict = Judge(row);
    std::vector<std::string> line;
    if (chain) {
      line.push_back(row > 0 && rows[row - 1].part == rows[row].part ? "" : rows[row].part);
    }
    line.push_back(rows[row].tensor);
    if (aliases) {
      line.push_back(rows[row].alias);
    }
    line.push_back(Shape(row));
    const bool numbers = verdict <= Verdict::kDiffers && c.problem.empty();
    switch (verdict) {
      case Verdict::kBits:
        line.push_back("bit for bit");
        break;
      case Verdict::kEqual:
        line.push_back("equal");
        break;
      case Verdict::kWithin:
        line.push_back("within");
        break;
      case Verdict::kDiffers:
        line.push_back(rows[row].counts ? "DIFFERS" : "(differs)");
        break;
      case Verdict::kNotReached:
        line.push_back("not reached");
        break;
      case Verdict::kNotCompared:
        line.push_back("not compared");
        break;
    }
    if (!differences) {
      cells.push_back(std::move(line));
      continue;
    }
    line.push_back(numbers ? fmt::format("{:.3g}", c.max_abs) : "-");
    line.push_back(!c.problem.empty()          ? verdict == Verdict::kNotReached ? "" : c.problem
                   : c.worst_reference.empty() ? ""
                                               : Place(c));
    cells.push_back(std::move(line));
  }
  std::string text = runtime + "\n\n" + Table(header, cells, right) + "\n";
  if (First first; FindFirst(&first)) {
    text += "first tensor that differs: " + FirstText(first) + "\n";
  }
  for (size_t i = 0; i < samples_.size(); ++i) {
    if (!samples_[i].candidate_failure.empty()) {
      text += fmt::format("the candidate failed to run on sample {}: {}\n", i + 1, samples_[i].candidate_failure);
    }
  }
  text += NotesText() + (metrics_ ? MetricsText() : "") + ThreeRunsText() + DetectionsText();
  if (const std::string where = EvidenceText(evidence_); !where.empty()) {
    text += "\n" + where + "\n";
  }
  return text + Times() + "\n" + Summary() + "\n";
}

nlohmann::ordered_json VerifyReport::Document(const std::string& runtime) const {
  Json document = {{"runtime", runtime}, {"equal", equal()}, {"summary", Summary()}};
  First first;
  document["first_difference"] = nullptr;
  if (FindFirst(&first)) {
    document["first_difference"] = {{"sample", first.sample},
                                    {"part", Row(first.row).part},
                                    {"tensor", Row(first.row).tensor},
                                    {"why", samples_[first.sample].tensors[first.row].Why()}};
  }
  Json samples = Json::array();
  for (const SampleReport& sample : samples_) {
    Json tensors = Json::array();
    for (size_t row = 0; row < sample.tensors.size(); ++row) {
      Json tensor = {{"part", Row(row).part},
                     {"tensor", Row(row).tensor},
                     {"alias", Row(row).alias},
                     {"model_output", Row(row).model_output},
                     {"compared", sample.dtypes[row] != 0}};
      if (sample.dtypes[row] != 0) {
        tensor["dtype"] = DtypeName(sample.dtypes[row]);
        tensor["shape"] = sample.shapes[row];
      }
      tensor.update(ComparisonJson(sample.tensors[row]));
      tensor["counts"] = Row(row).counts;
      if (!sample.notes[row].empty()) {
        tensor["note"] = sample.notes[row];
      }
      if (sample.three[row]) {
        tensor["three_runs"] = ThreeRunsJson(*sample.three[row]);
      }
      tensors.push_back(std::move(tensor));
    }
    Json parts = Json::array();
    for (const auto& [part, seconds] : sample.parts) {
      parts.push_back({{"part", part}, {"seconds", seconds}});
    }
    samples.push_back({{"reference_seconds", sample.reference_seconds},
                       {"candidate_seconds", sample.candidate_seconds},
                       {"parts", parts},
                       {"candidate_failure", sample.candidate_failure},
                       {"tensors", tensors}});
    if (sample.detections) {
      samples.back()["detections"] = DetectionsJson(*sample.detections);
    }
  }
  document["samples"] = samples;
  document["evidence"] = EvidenceDocument(evidence_);
  return document;
}

}  // namespace gomai
