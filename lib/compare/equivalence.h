#pragma once

// Equivalence: does a candidate (a model, or the parts of a split as a chain) compute what a reference model does?
//
// Both run on the same inputs in the same runtime, or the candidate on a target (an NPU), and then on the CPU too. For
// a chain every tensor that crosses from part to part is compared too: the reference is run with those tensors as extra
// outputs, from a temporary copy of its structure (weights are copied in the kernel, never read). Chained, a part reads
// what earlier parts gave, so that the first tensor that differs names the part at fault; isolated, each part reads the
// reference's own tensors, so that each part is judged by itself.
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
#include "lib/compare/detections.h"
#include "lib/compare/steps.h"
#include "lib/compare/temporary_models.h"
#include "lib/compare/tensors.h"
#include "lib/runtime/backend.h"
#include "lib/split/chain.h"

namespace gomai {

// Names of a model's outputs that are detections; "" for those that it doesn't have.
struct DetectionNames {
  std::string boxes, labels, scores, masks;
};

struct EquivalenceOptions {
  SessionOptions reference;
  ChainOptions candidate;  // its sessions, replacements, target; a model's, too
  bool isolated = false;
  std::function<void(const std::string& what)> progress;
  // The candidate on the CPU as a third run between the two: kAuto if something quantised or put in place of a part
  // runs on the target. It tells the error of quantising apart from the hardware's.
  enum class CpuRun { kAuto, kAlways, kNever } cpu_run = CpuRun::kAuto;
  // How far the target's results may be off the CPU's, in steps of the output's scale; unset: as far as the tolerances
  // say that were given of the target against the reference, and one step if none were.
  std::optional<double> steps = std::nullopt;
  bool rerun = true;  // what the target gives for the first sample is asked twice: does it give the same?
  // Compared as a set. Chained, what comes after the first part that may compute something else (on the target, or
  // replaced) is shown and doesn't count then: with other detections on the way, tensors differ in number and order.
  std::optional<DetectionNames> detections = std::nullopt;
  DetectionOptions detection_options = {};
};

// A tensor that is compared, or can't be.
struct EquivalenceRow {
  std::string part;    // that makes it; "" for a candidate that is a model
  std::string tensor;  // the reference's name
  std::string name;    // as the candidate's parts call it (a friendly name, perhaps)
  std::string alias;   // its friendly name, if the manifest has one
  bool model_output = false;
  bool fault = false;      // an output that one side lacks: never equal
  std::string missing;     // why it isn't compared: "the candidate has no such output", …; "" if it is
  bool on_target = false;  // made there
  bool counts = true;      // false: shown, and doesn't decide
  double scale = 0;        // of its quantisation; 0: none is known
};

// A tensor of three runs: the reference, the candidate on the CPU, the candidate on the target.
struct ThreeRuns {
  TensorComparison quantisation;  // the second against the first
  TensorComparison hardware;      // the third against the second
  StepComparison steps;           // the same in steps of the scale, or of 1/255 of its range
};

struct SampleReport {
  std::vector<TensorComparison> tensors;        // as rows(): the candidate against the reference
  std::vector<std::vector<int64_t>> shapes;     // the reference's; empty where not compared
  std::vector<int> dtypes;                      // likewise, 0
  std::vector<std::optional<ThreeRuns>> three;  // where the candidate ran on the CPU, too
  std::vector<std::string> notes;               // what else was seen: "slots 1..3 of 4 differ …", …
  std::optional<DetectionComparison> detections;
  double reference_seconds = 0;
  double candidate_seconds = 0;  // a chain: the sum of its parts
  std::vector<std::pair<std::string, double>> parts;
  std::string candidate_failure;  // what failed to run, and what it said; rows that need it aren't compared
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

  // Of what runs on the target; nullptr for a candidate, or a part of it, that doesn't.
  std::vector<Evidence*> evidence();

  // What results of a target are held to where nothing was said: a share of the reference's range of values.
  void SetTargetTolerance(const Tolerance& tolerance);
  // For all tensors, and for some by either of their names. kNotFound with the nearest for a name that isn't there.
  absl::Status SetTolerances(const Tolerance& all, const std::map<std::string, Tolerance>& by_name);

  // One sample. Errors are the reference's or the feeds' (kInternal if it fails to run, naming the node), and
  // kCancelled; a candidate that fails is part of the report.
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
  absl::Status OpenCpuRun(const std::filesystem::path& file, Backend& backend);
  bool MayDiffer(size_t part) const;  // on the target, or replaced
  absl::Status ChooseWhatCounts();
  absl::Status NoteScales(const std::filesystem::path& model, const std::string& part);
  void CompareRow(size_t row, const HostTensor& candidate, const NamedTensors& reference, SampleReport& report) const;
  void CompareThree(size_t row, const HostTensor& candidate, const HostTensor& expected, SampleReport& report) const;
  absl::Status RunOnCpu(const NamedTensors& feeds, const NamedTensors& own_feeds, const NamedTensors& reference);
  absl::Status RunModel(const NamedTensors& feeds, const NamedTensors& reference, SampleReport& report);
  absl::Status RunChain(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report);
  absl::Status RunIsolated(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report);
  void CompareOutputs(const PartRun& run, const NamedTensors& reference, SampleReport& report) const;
  absl::Status Rerun(size_t part, const PartRun& run, SampleReport& report);
  NamedTensors IsolatedFeeds(size_t part, const NamedTensors& feeds, const NamedTensors& reference) const;
  void CompareSets(const NamedTensors& candidate, const NamedTensors& reference, SampleReport& report) const;

  EquivalenceOptions options_;
  TemporaryModels copies_;
  std::unique_ptr<Session> reference_;
  Evidence model_evidence_;  // before model_, which adds to it
  std::unique_ptr<Session> model_;
  absl::Status model_failure_;  // it couldn't be opened on the target
  std::unique_ptr<Chain> chain_;
  bool on_cpu_ = false;  // a third run
  std::unique_ptr<Session> cpu_model_;
  std::unique_ptr<Chain> cpu_chain_;
  NamedTensors cpu_results_;  // of the sample at work, by the reference's names
  bool gate_total_ = true;    // false: of three runs only the hardware's error decides
  int samples_ = 0;
  std::vector<EquivalenceRow> rows_;
  std::vector<Tolerance> tolerances_;                             // as rows_
  std::map<std::pair<std::string, std::string>, size_t> row_of_;  // (part, name) -> row
  std::vector<std::string> outputs_;                              // the reference's own
  std::vector<ValueSpec> needed_;                                 // what the candidate is fed of the reference's inputs
  std::vector<bool> runs_;                                        // by part
  std::map<std::string, size_t> last_use_;  // boundary tensor -> the last part that makes or, isolated, reads it
};

}  // namespace gomai
