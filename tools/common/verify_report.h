#pragma once

// What gomai-verify says about its samples: a table, the first tensor that differs, a line to remember; or JSON.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/compare/equivalence.h"

namespace gomai {

class VerifyReport {
 public:
  explicit VerifyReport(const Equivalence& equivalence) : equivalence_(equivalence) {}
  void ShowMetrics() { metrics_ = true; }  // of each tensor, in the text
  void Add(SampleReport sample) { samples_.push_back(std::move(sample)); }

  // What the samples show of results, into the evidence of what runs on a target.
  void NoteEvidence(Equivalence& equivalence);
  bool equal() const;
  std::string Text(const std::string& runtime) const;
  nlohmann::ordered_json Document(const std::string& runtime) const;

 private:
  enum class Verdict { kBits, kEqual, kWithin, kDiffers, kNotReached, kNotCompared };
  struct First {
    size_t sample = 0;
    size_t row = 0;
  };
  const EquivalenceRow& Row(size_t row) const { return equivalence_.rows()[row]; }
  Verdict Judge(size_t row) const;
  size_t WorstSample(size_t row) const;
  std::string Shape(size_t row) const;  // "float32 [20..34,4]" over all samples
  bool FindFirst(First* first) const;
  std::string FirstText(const First& first) const;
  std::string Summary() const;
  std::string Times() const;
  std::string NotesText() const;
  std::string MetricsText() const;
  std::string ThreeRunsText() const;
  std::string DetectionsText() const;

  const Equivalence& equivalence_;
  std::vector<SampleReport> samples_;
  std::vector<const Evidence*> evidence_;
  bool metrics_ = false;
};

}  // namespace gomai
