// Running both sides and comparing; see equivalence.h.
//
// A part's tensor is compared as soon as the part has run, and the reference's is dropped after its last use.
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <limits>

#include "lib/compare/equivalence.h"
#include "lib/compare/slots.h"
#include "lib/runtime/sentinel.h"
#include "lib/split/manifest_names.h"

namespace gomai {
namespace {

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What a candidate's failure to run is to the report: a verdict on it, unless the feeds don't fit it.
bool IsVerdict(const absl::Status& status) { return absl::IsInternal(status) || absl::IsFailedPrecondition(status); }

}  // namespace

void Equivalence::CompareThree(size_t row, const HostTensor& candidate, const HostTensor& expected,
                               SampleReport& report) const {
  const auto on_cpu = cpu_results_.find(rows_[row].tensor);
  if (on_cpu == cpu_results_.end()) {
    return;
  }
  ThreeRuns three;
  three.quantisation = CompareTensors(on_cpu->second, expected, {});
  three.hardware = CompareTensors(candidate, on_cpu->second, {});
  TensorComparison& total = report.tensors[row];
  std::string failure;
  if (!three.hardware.problem.empty()) {
    failure = "the target against the CPU: " + three.hardware.problem;
  } else if (three.hardware.differing > 0) {
    const double step = rows_[row].scale > 0 ? rows_[row].scale : RangeStep(on_cpu->second);
    three.steps = CompareSteps(candidate, on_cpu->second, step);
    const double allowed = options_.steps.value_or(gate_total_ ? std::numeric_limits<double>::infinity() : 1);
    if (three.steps.max_steps > allowed) {
      failure = fmt::format("the target is {:.3g} steps of {:.3g} off the CPU, and {:g} are allowed (--steps)",
                            three.steps.max_steps, step, allowed);
    }
  }
  if (!gate_total_) {
    total.equal = failure.empty();
    total.failure.clear();
  } else if (!failure.empty()) {
    total.equal = false;
  }
  if (!failure.empty() && total.problem.empty()) {
    total.failure = failure;
  }
  report.three[row] = std::move(three);
}

void Equivalence::CompareRow(size_t row, const HostTensor& candidate, const NamedTensors& reference,
                             SampleReport& report) const {
  if (!rows_[row].missing.empty()) {
    return;
  }
  const HostTensor& expected = reference.at(rows_[row].tensor);
  TensorComparison& compared = report.tensors[row];
  compared = CompareTensors(candidate, expected, tolerances_[row]);
  report.shapes[row] = expected.shape();
  report.dtypes[row] = expected.dtype();
  CompareThree(row, candidate, expected, report);
  if (!rows_[row].on_target) {
    return;
  }
  if (const std::string unwritten = candidate.is_string() ? "" : UnwrittenSlots(candidate).Why(); !unwritten.empty()) {
    compared.equal = false;
    compared.failure = unwritten;
    report.notes[row] = unwritten;
  } else if (!compared.equal && compared.problem.empty() && rows_[row].counts && !report.three[row] &&
             expected.shape().size() > 1 && expected.shape()[0] > 1) {
    report.notes[row] = DescribeSlots(CompareSlots(candidate, expected, tolerances_[row]));
  }
}

void Equivalence::CompareOutputs(const PartRun& run, const NamedTensors& reference, SampleReport& report) const {
  for (const auto& [name, tensor] : run.outputs) {
    if (const auto row = row_of_.find({run.part, name}); row != row_of_.end()) {
      CompareRow(row->second, tensor, reference, report);
    }
  }
  report.parts.emplace_back(run.part, run.seconds);
  report.candidate_seconds += run.seconds;
}

// The same inputs once more: the same bits?
absl::Status Equivalence::Rerun(size_t part, const PartRun& run, SampleReport& report) {
  if (!options_.rerun || !run.on_target || samples_ > 1) {
    return absl::OkStatus();
  }
  NamedTensors again;
  if (chain_ != nullptr) {
    GOMAI_ASSIGN_OR_RETURN(PartRun second, chain_->RunPart(part, run.inputs));
    again = std::move(second.outputs);
  } else {
    GOMAI_ASSIGN_OR_RETURN(again, model_->Run(run.inputs, {}));
  }
  for (const auto& [name, tensor] : run.outputs) {
    const auto row = row_of_.find({run.part, name});
    if (row == row_of_.end()) {
      continue;
    }
    Tolerance bits;
    bits.bits = true;
    const TensorComparison same = CompareTensors(again.at(name), tensor, bits);
    if (!same.equal) {
      std::string& note = report.notes[row->second];
      note += fmt::format("{}it differs from run to run: {}", note.empty() ? "" : "; ", same.Why());
      TensorComparison& compared = report.tensors[row->second];
      if (compared.equal) {
        compared.equal = false;
        compared.failure = fmt::format("it differs from run to run: {}", same.Why());
      }
    }
  }
  return absl::OkStatus();
}

void Equivalence::CompareSets(const NamedTensors& candidate, const NamedTensors& reference,
                              SampleReport& report) const {
  if (!options_.detections) {
    return;
  }
  const auto pick = [&](const NamedTensors& from) {
    const auto find = [&](const std::string& name) {
      const auto tensor = from.find(name);
      return name.empty() || tensor == from.end() ? nullptr : &tensor->second;
    };
    const DetectionNames& names = *options_.detections;
    return DetectionTensors{.boxes = find(names.boxes),
                            .labels = find(names.labels),
                            .scores = find(names.scores),
                            .masks = find(names.masks)};
  };
  report.detections = CompareDetections(pick(candidate), pick(reference), options_.detection_options);
}

absl::Status Equivalence::RunModel(const NamedTensors& feeds, const NamedTensors& reference, SampleReport& report) {
  GOMAI_RETURN_IF_ERROR(model_failure_);
  PartRun run;
  run.inputs = feeds;
  run.on_target = options_.candidate.target.has_value();
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<NamedTensors> outputs = model_->Run(feeds, {});
  report.candidate_seconds = Since(start);
  if (!outputs.ok()) {
    return outputs.status();
  }
  run.outputs = *std::move(outputs);
  for (const auto& [name, tensor] : run.outputs) {
    CompareRow(row_of_.at({"", name}), tensor, reference, report);
  }
  CompareSets(run.outputs, reference, report);
  return Rerun(0, run, report);
}

absl::Status Equivalence::RunChain(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report) {
  NamedTensors expected;  // of detections, which are compared when all is done
  for (const auto& [name, tensor] : reference) {
    if (options_.detections && std::find(outputs_.begin(), outputs_.end(), name) != outputs_.end()) {
      expected.emplace(name, tensor);
    }
  }
  const absl::StatusOr<NamedTensors> outputs = chain_->Run(feeds, [&](const PartRun& run) -> absl::Status {
    const size_t part = IndexOf(run.part);
    CompareOutputs(run, reference, report);
    GOMAI_RETURN_IF_ERROR(Rerun(part, run, report));
    std::erase_if(reference, [&](const auto& tensor) {
      const auto last = last_use_.find(tensor.first);
      return last != last_use_.end() && last->second <= part;
    });
    return absl::OkStatus();
  });
  GOMAI_RETURN_IF_ERROR(outputs.status());
  CompareSets(*outputs, expected, report);
  return absl::OkStatus();
}

NamedTensors Equivalence::IsolatedFeeds(size_t part, const NamedTensors& feeds, const NamedTensors& reference) const {
  const Manifest& manifest = chain_->manifest();
  NamedTensors given;
  for (const ManifestTensor& input : manifest.parts[part].inputs) {
    const std::string name = ModelName(manifest, input.name);
    given.emplace(input.name, feeds.contains(name) ? feeds.at(name) : reference.at(name));
  }
  return given;
}

absl::Status Equivalence::RunIsolated(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report) {
  absl::Status failed;  // the first; the other parts go on
  std::vector<std::string> failures;
  for (size_t i = 0; i < chain_->manifest().parts.size(); ++i) {
    const ManifestPart& part = chain_->manifest().parts[i];
    if (!runs_[i]) {
      continue;
    }
    if (options_.progress) {
      options_.progress(fmt::format("running {}", part.name));
    }
    const absl::StatusOr<PartRun> run = chain_->RunPart(i, IsolatedFeeds(i, feeds, reference));
    absl::Status status = run.status();
    if (run.ok()) {
      CompareOutputs(*run, reference, report);
      status = Rerun(i, *run, report);
    }
    if (!status.ok() && !IsVerdict(status)) {
      return status;
    }
    if (!status.ok()) {
      failures.emplace_back(Message(status));
      failed = status;
    }
    std::erase_if(reference, [&](const auto& tensor) {
      const auto last = last_use_.find(tensor.first);
      return last != last_use_.end() && last->second <= i;
    });
  }
  return failures.empty() ? absl::OkStatus() : MakeStatus(failed.code(), fmt::format("{}", fmt::join(failures, "; ")));
}

// Results by the reference's names, kept until they are compared.
absl::Status Equivalence::RunOnCpu(const NamedTensors& feeds, const NamedTensors& own_feeds,
                                   const NamedTensors& reference) {
  cpu_results_.clear();
  if (!on_cpu_) {
    return absl::OkStatus();
  }
  if (options_.progress) {
    options_.progress("running the candidate on the CPU");
  }
  if (cpu_model_ != nullptr) {
    GOMAI_ASSIGN_OR_RETURN(cpu_results_, cpu_model_->Run(own_feeds, {}));
    return absl::OkStatus();
  }
  const auto keep = [this](const PartRun& run) {
    for (const auto& [name, tensor] : run.outputs) {
      if (const auto row = row_of_.find({run.part, name}); row != row_of_.end()) {
        cpu_results_.insert_or_assign(rows_[row->second].tensor, tensor);
      }
    }
    return absl::OkStatus();
  };
  if (!options_.isolated) {
    return cpu_chain_->Run(own_feeds, keep).status();
  }
  for (size_t i = 0; i < runs_.size(); ++i) {
    if (runs_[i] && chain_->on_target(i)) {
      GOMAI_ASSIGN_OR_RETURN(const PartRun run, cpu_chain_->RunPart(i, IsolatedFeeds(i, feeds, reference)));
      GOMAI_RETURN_IF_ERROR(keep(run));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SampleReport> Equivalence::Compare(const NamedTensors& feeds) {
  SampleReport report;
  ++samples_;
  report.three.resize(rows_.size());
  report.notes.resize(rows_.size());
  report.tensors.resize(rows_.size());
  report.shapes.resize(rows_.size());
  report.dtypes.resize(rows_.size());
  for (size_t i = 0; i < rows_.size(); ++i) {
    if (rows_[i].missing.empty()) {
      report.tensors[i].problem = "not reached";
    } else {
      report.tensors[i].problem = rows_[i].missing;
      report.tensors[i].equal = !rows_[i].fault;
    }
  }
  if (options_.progress) {
    options_.progress("running the reference");
  }
  const auto start = std::chrono::steady_clock::now();
  absl::StatusOr<NamedTensors> reference = reference_->Run(feeds, {});
  report.reference_seconds = Since(start);
  if (!reference.ok()) {
    return Annotate(reference.status(), "the reference");
  }
  // The candidate may need fewer inputs than the reference, never more (CheckInputs).
  NamedTensors own_feeds;
  for (const ValueSpec& spec : needed_) {
    if (const auto feed = feeds.find(spec.name); feed != feeds.end()) {
      own_feeds.insert(*feed);
    }
  }
  if (absl::Status on_cpu = RunOnCpu(feeds, own_feeds, *reference); !on_cpu.ok()) {
    return Annotate(on_cpu, "the candidate on the CPU");
  }
  if (options_.progress && chain_ == nullptr) {
    options_.progress("running the candidate");
  }
  const absl::Status ran = chain_ == nullptr   ? RunModel(own_feeds, *reference, report)
                           : options_.isolated ? RunIsolated(feeds, *reference, report)
                                               : RunChain(own_feeds, *reference, report);
  cpu_results_.clear();
  if (!ran.ok()) {
    if (!IsVerdict(ran)) {
      return Annotate(ran, "the candidate");
    }
    report.candidate_failure = std::string(Message(ran));
  }
  return report;
}

}  // namespace gomai
