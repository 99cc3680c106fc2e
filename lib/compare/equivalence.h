#pragma once

// Equivalence: does a candidate (a model, or the parts of a split as a chain) compute what a reference model does?
//
// Both run on the same inputs in the same runtime. For a chain every tensor that crosses from part to part is compared
// too: the reference is run with those tensors as extra outputs, from a temporary copy of its structure (weights are
// copied in the kernel, never read). Chained, a part reads what earlier parts gave, so that the first tensor that
// differs names the part at fault; isolated, each part reads the reference's own tensors, so that each part is judged
// by itself.
//
//   GOMAI_ASSIGN_OR_RETURN(auto equivalence, Equivalence::Open("m.onnx", "parts/manifest.json", *backend, {}));
//   GOMAI_ASSIGN_OR_RETURN(SampleReport report, equivalence->Compare({{"image", image}}));
//   for (size_t i = 0; i < report.tensors.size(); ++i) { equivalence->rows()[i], report.tensors[i] … }
//
// Cost: one run of each; memory for the tensors compared, each dropped after its last use.

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/status.h"
#include "lib/compare/temporary_models.h"
#include "lib/compare/tensors.h"
#include "lib/runtime/backend.h"
#include "lib/split/chain.h"

namespace gomai {

struct EquivalenceOptions {
  SessionOptions reference;
  ChainOptions candidate;  // its sessions, replacements, target; a model's, too
  bool isolated = false;
  std::function<void(const std::string& what)> progress;
};

// A tensor that is compared, or can't be.
struct EquivalenceRow {
  std::string part;    // that makes it; "" for a candidate that is a model
  std::string tensor;  // the reference's name
  std::string name;    // as the candidate's parts call it (a friendly name, perhaps)
  std::string alias;   // its friendly name, if the manifest has one
  bool model_output = false;
  bool fault = false;   // an output that one side lacks: never equal
  std::string missing;  // why it isn't compared: "the candidate has no such output", …; "" if it is
};

struct SampleReport {
  std::vector<TensorComparison> tensors;     // as rows()
  std::vector<std::vector<int64_t>> shapes;  // the reference's; empty where not compared
  std::vector<int> dtypes;                   // likewise, 0
  double reference_seconds = 0;
  double candidate_seconds = 0;  // a chain: the sum of its parts
  std::vector<std::pair<std::string, double>> parts;
  std::string candidate_failure;  // it failed to run: what it said; rows from there on aren't compared
};

class Equivalence {
 public:
  // Errors of opening and of what doesn't fit (kFailedPrecondition: a part changed since the split, a replacement with
  // other names, dtypes or shapes, an input that the reference doesn't have).
  static absl::StatusOr<std::unique_ptr<Equivalence>> Open(const std::filesystem::path& reference,
                                                           const std::filesystem::path& candidate, Backend& backend,
                                                           const EquivalenceOptions& options);

  const std::vector<ValueSpec>& inputs() const { return reference_->inputs(); }
  // Candidate tensors in the order in which they are made, then outputs that one side lacks.
  const std::vector<EquivalenceRow>& rows() const { return rows_; }
  std::vector<std::string> parts() const;  // those that run; empty for a model

  // For all tensors, and for some by either of their names. kNotFound with the nearest for a name that isn't there.
  absl::Status SetTolerances(const Tolerance& all, const std::map<std::string, Tolerance>& by_name);

  // One sample. Errors are the reference's or the feeds' (kInternal if it fails to run, naming the node); a candidate
  // that fails is part of the report.
  absl::StatusOr<SampleReport> Compare(const NamedTensors& feeds);

 private:
  Equivalence() = default;
  absl::Status OpenReference(const std::filesystem::path& file, Backend& backend);
  absl::Status OpenModel(const std::filesystem::path& file, Backend& backend);
  absl::Status OpenChain(const std::filesystem::path& file, Backend& backend);
  absl::Status CheckInputs(const std::vector<ValueSpec>& candidate) const;
  void AddRow(EquivalenceRow row);
  size_t IndexOf(std::string_view part) const;
  std::vector<std::string> InputNames() const;  // the reference's
  void CompareRow(size_t row, const HostTensor& candidate, const NamedTensors& reference, SampleReport& report) const;
  absl::Status RunModel(const NamedTensors& feeds, const NamedTensors& reference, SampleReport& report);
  absl::Status RunChain(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report);
  absl::Status RunIsolated(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report);
  void CompareOutputs(const PartRun& run, const NamedTensors& reference, SampleReport& report) const;

  EquivalenceOptions options_;
  TemporaryModels copies_;
  std::unique_ptr<Session> reference_;
  std::unique_ptr<Session> model_;
  std::unique_ptr<Chain> chain_;
  std::vector<EquivalenceRow> rows_;
  std::vector<Tolerance> tolerances_;                             // as rows_
  std::map<std::pair<std::string, std::string>, size_t> row_of_;  // (part, name) -> row
  std::vector<std::string> outputs_;                              // the reference's own
  std::vector<ValueSpec> needed_;                                 // what the candidate is fed of the reference's inputs
  std::vector<bool> runs_;                                        // by part
  std::map<std::string, size_t> last_use_;  // boundary tensor -> the last part that makes or, isolated, reads it
};

}  // namespace gomai
