// What a comparison does besides where the candidate, or parts of it, run on a target; see equivalence.h.
#include <algorithm>

#include "lib/base/text.h"
#include "lib/compare/equivalence.h"
#include "lib/model/model.h"

namespace gomai {
namespace {

// Does the model compute with quantised numbers?
bool IsQuantised(const onnx::GraphProto& graph) {
  return std::any_of(graph.node().begin(), graph.node().end(), [](const onnx::NodeProto& node) {
    const std::string& op = node.op_type();
    return op == "QuantizeLinear" || op == "DequantizeLinear" || op.starts_with("QLinear") || op.ends_with("Integer");
  });
}

}  // namespace

std::vector<Evidence*> Equivalence::evidence() {
  if (chain_ == nullptr) {
    return options_.candidate.target ? std::vector<Evidence*>{&model_evidence_} : std::vector<Evidence*>();
  }
  std::vector<Evidence*> all;
  for (size_t i = 0; i < chain_->manifest().parts.size(); ++i) {
    if (Evidence* evidence = chain_->evidence_of(i); evidence != nullptr && runs_[i]) {
      all.push_back(evidence);
    }
  }
  return all;
}

bool Equivalence::MayDiffer(size_t part) const {
  return chain_->on_target(part) || options_.candidate.replace.contains(chain_->manifest().parts[part].name);
}

absl::Status Equivalence::NoteScales(const std::filesystem::path& file, const std::string& part) {
  GOMAI_ASSIGN_OR_RETURN(const Model model, Model::Load(file));
  on_cpu_ = on_cpu_ || IsQuantised(model.proto().graph());
  for (const auto& [output, scale] : OutputScales(model)) {
    if (const auto row = row_of_.find({part, output}); row != row_of_.end()) {
      rows_[row->second].scale = scale;
    }
  }
  return absl::OkStatus();
}

absl::Status Equivalence::OpenCpuRun(const std::filesystem::path& file, Backend& backend) {
  const ChainOptions& candidate = options_.candidate;
  bool replaced = false;
  for (size_t i = 0; chain_ != nullptr && i < chain_->files().size(); ++i) {
    replaced = replaced || (chain_->on_target(i) && candidate.replace.contains(chain_->manifest().parts[i].name));
  }
  on_cpu_ = candidate.target.has_value() && options_.cpu_run != EquivalenceOptions::CpuRun::kNever &&
            (on_cpu_ || replaced || options_.cpu_run == EquivalenceOptions::CpuRun::kAlways);
  if (!on_cpu_) {
    return absl::OkStatus();
  }
  if (chain_ == nullptr) {
    GOMAI_ASSIGN_OR_RETURN(const std::filesystem::path aligned, copies_.Aligned(file));
    GOMAI_ASSIGN_OR_RETURN(cpu_model_, backend.Open(aligned, candidate.session));
    return absl::OkStatus();
  }
  ChainOptions options = candidate;
  options.target.reset();
  options.on.clear();
  options.one_by_one = false;
  GOMAI_ASSIGN_OR_RETURN(cpu_chain_, Chain::Open(file, backend, options));
  return absl::OkStatus();
}

absl::Status Equivalence::ChooseWhatCounts() {
  if (!options_.detections) {
    return absl::OkStatus();
  }
  const DetectionNames& names = *options_.detections;
  std::vector<std::string_view> outputs(outputs_.begin(), outputs_.end());
  for (const std::string* name : {&names.boxes, &names.labels, &names.scores, &names.masks}) {
    if (!name->empty() && std::find(outputs.begin(), outputs.end(), *name) == outputs.end()) {
      return NotFound("the reference has no output '{}'{}", *name, DidYouMean(*name, outputs));
    }
  }
  if (options_.isolated) {
    return InvalidArgument(
        "detections are compared at a chain's end; isolated, each part has the reference's tensors, and the detections "
        "would be the reference's own: leave out --isolated or --detections");
  }
  size_t first = 0;  // part that may compute something else; with none known, any may
  const size_t parts = chain_ != nullptr ? runs_.size() : 0;
  while (first < parts && !MayDiffer(first)) {
    ++first;
  }
  const bool any = first == parts;
  for (EquivalenceRow& row : rows_) {
    const bool detection = row.tensor == names.boxes || row.tensor == names.labels || row.tensor == names.scores ||
                           row.tensor == names.masks;
    const bool behind = !row.part.empty() && (any || IndexOf(row.part) > first);
    row.counts = row.fault || (!detection && !behind);
  }
  return absl::OkStatus();
}

void Equivalence::SetTargetTolerance(const Tolerance& tolerance) {
  gate_total_ = !on_cpu_;
  bool behind = false;  // chained, what comes after the target has its error
  for (size_t i = 0; i < rows_.size(); ++i) {
    behind = behind || (rows_[i].on_target && !options_.isolated);
    if (rows_[i].on_target || behind) {
      tolerances_[i] = tolerance;
    }
  }
}

}  // namespace gomai
