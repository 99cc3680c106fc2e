// Running both sides and comparing; see equivalence.h.
//
// A part's tensor is compared as soon as the part has run, and the reference's is dropped after its last use.
#include <algorithm>
#include <chrono>

#include "lib/compare/equivalence.h"
#include "lib/split/manifest_names.h"

namespace gomai {
namespace {

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What a candidate's failure to run is to the report: a verdict on it, unless the feeds don't fit it.
bool IsVerdict(const absl::Status& status) { return absl::IsInternal(status) || absl::IsFailedPrecondition(status); }

}  // namespace

void Equivalence::CompareRow(size_t row, const HostTensor& candidate, const NamedTensors& reference,
                             SampleReport& report) const {
  if (!rows_[row].missing.empty()) {
    return;
  }
  const HostTensor& expected = reference.at(rows_[row].tensor);
  report.tensors[row] = CompareTensors(candidate, expected, tolerances_[row]);
  report.shapes[row] = expected.shape();
  report.dtypes[row] = expected.dtype();
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

absl::Status Equivalence::RunModel(const NamedTensors& feeds, const NamedTensors& reference, SampleReport& report) {
  const auto start = std::chrono::steady_clock::now();
  const absl::StatusOr<NamedTensors> outputs = model_->Run(feeds, {});
  report.candidate_seconds = Since(start);
  if (!outputs.ok()) {
    return outputs.status();
  }
  for (const auto& [name, tensor] : *outputs) {
    CompareRow(row_of_.at({"", name}), tensor, reference, report);
  }
  return absl::OkStatus();
}

absl::Status Equivalence::RunChain(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report) {
  return chain_
      ->Run(feeds,
            [&](const PartRun& run) {
              const size_t part = IndexOf(run.part);
              CompareOutputs(run, reference, report);
              std::erase_if(reference, [&](const auto& tensor) {
                const auto last = last_use_.find(tensor.first);
                return last != last_use_.end() && last->second <= part;
              });
              return absl::OkStatus();
            })
      .status();
}

absl::Status Equivalence::RunIsolated(const NamedTensors& feeds, NamedTensors& reference, SampleReport& report) {
  const Manifest& manifest = chain_->manifest();
  for (size_t i = 0; i < manifest.parts.size(); ++i) {
    const ManifestPart& part = manifest.parts[i];
    if (!runs_[i]) {
      continue;
    }
    if (options_.progress) {
      options_.progress(fmt::format("running {}", part.name));
    }
    NamedTensors given;
    for (const ManifestTensor& input : part.inputs) {
      const std::string name = ModelName(manifest, input.name);
      given.emplace(input.name, feeds.contains(name) ? feeds.at(name) : reference.at(name));
    }
    GOMAI_ASSIGN_OR_RETURN(const PartRun run, chain_->RunPart(i, given));
    CompareOutputs(run, reference, report);
    std::erase_if(reference, [&](const auto& tensor) {
      const auto last = last_use_.find(tensor.first);
      return last != last_use_.end() && last->second <= i;
    });
  }
  return absl::OkStatus();
}

absl::StatusOr<SampleReport> Equivalence::Compare(const NamedTensors& feeds) {
  SampleReport report;
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
  if (options_.progress && model_ != nullptr) {
    options_.progress("running the candidate");
  }
  const absl::Status ran = model_ != nullptr   ? RunModel(own_feeds, *reference, report)
                           : options_.isolated ? RunIsolated(feeds, *reference, report)
                                               : RunChain(own_feeds, *reference, report);
  if (!ran.ok()) {
    if (!IsVerdict(ran)) {
      return Annotate(ran, "the candidate");
    }
    report.candidate_failure = std::string(Message(ran));
  }
  return report;
}

}  // namespace gomai
