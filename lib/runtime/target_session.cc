// See target_session.h.
#include "lib/runtime/target_session.h"

#include <chrono>

#include "lib/runtime/context_cache.h"
#include "lib/runtime/onnxruntime.h"
#include "lib/runtime/sentinel.h"
#include "lib/runtime/vendor_report.h"
#include "lib/runtime/worker.h"

namespace gomai {
namespace {

class TargetSession : public Session {
 public:
  TargetSession(std::string part, Target target, TargetOpening opening, Evidence* evidence)
      : part_(std::move(part)), target_(std::move(target)), opening_(std::move(opening)), evidence_(evidence) {}

  const std::vector<ValueSpec>& inputs() const override { return session_->inputs(); }
  const std::vector<ValueSpec>& outputs() const override { return session_->outputs(); }
  const Placement& placement() const override { return evidence_->placement; }
  using Session::Run;
  absl::StatusOr<NamedTensors> Run(const NamedTensors& feeds, const std::vector<std::string>& outputs,
                                   const OutputMemory& memory) override;
  absl::Status Open(const std::filesystem::path& model);

 private:
  absl::Status OpenSteps(const std::filesystem::path& model);
  absl::StatusOr<std::unique_ptr<Session>> OpenOnce(const std::filesystem::path& model, const SessionOptions& options);
  void Note(const OpeningSteps& steps);
  absl::Status Refuse(const std::string& what) const;
  absl::Status JudgePlacement(const Placement& placement);
  absl::Status JudgeReport();

  const std::string part_;
  const Target target_;  // this part's own
  const TargetOpening opening_;
  Evidence* const evidence_;
  std::unique_ptr<Backend> backend_;  // if not isolated
  std::unique_ptr<Session> session_;
  OpeningSteps steps_;
  std::filesystem::file_time_type started_;
  bool judged_ = false;
};

std::string NameOf(const SessionOptions& session) {
  return session.ep_library.empty() ? fmt::format("'{}'", session.ep)
                                    : fmt::format("'{}' of '{}'", session.ep, session.ep_library.string());
}

void TargetSession::Note(const OpeningSteps& steps) {
  steps_ = steps;
  if (!steps.devices_found) {
    return;
  }
  evidence_->Set(Evidence::kLibrary, true, fmt::format("{}, {}", NameOf(target_.session), steps.runtime));
  if (!steps.devices.empty()) {
    evidence_->Set(Evidence::kDevice, true, steps.devices.front().Describe());
    evidence_->placement.devices = steps.devices;
    evidence_->placement.provider = steps.devices.front().ep;
  } else {
    evidence_->steps[Evidence::kDevice].detail = "the provider is built into the runtime, which lists no device of it";
  }
}

absl::StatusOr<std::unique_ptr<Session>> TargetSession::OpenOnce(const std::filesystem::path& model,
                                                                 const SessionOptions& options) {
  if (!target_.isolate || opening_.worker.empty()) {
    if (backend_ == nullptr) {
      GOMAI_ASSIGN_OR_RETURN(backend_, LoadOnnxRuntime({.library = target_.ort_library,
                                                        .log_severity = opening_.log_severity,
                                                        .diagnostics = opening_.diagnostics}));
    }
    return OpenInSteps(*backend_, model, options, [this](const OpeningSteps& steps) { Note(steps); });
  }
  WorkerOptions worker;
  worker.command = opening_.worker;
  worker.ort_library = target_.ort_library;
  worker.log_severity = opening_.log_severity;
  worker.limits = target_.limits;
  worker.diagnostics = opening_.diagnostics;
  worker.cancelled = opening_.cancelled;
  OpeningSteps steps;
  absl::StatusOr<std::unique_ptr<Session>> session = OpenIsolated(model, options, worker, &steps);
  Note(steps);
  return session;
}

absl::Status TargetSession::OpenSteps(const std::filesystem::path& model) {
  // File systems keep times in coarser steps than clocks do.
  started_ = std::filesystem::file_time_type::clock::now() - std::chrono::seconds(1);
  MakeReportFolder(target_.session.ep_options);
  SessionOptions options = target_.session;
  options.record_placement = true;
  options.forbid_fallback = !target_.allow_fallback;
  if (!target_.context.empty()) {
    // The runtime's version is part of the key: it is asked without a session.
    GOMAI_ASSIGN_OR_RETURN(const std::unique_ptr<Backend> asked,
                           LoadOnnxRuntime({.library = target_.ort_library, .log_severity = 4, .diagnostics = {}}));
    GOMAI_ASSIGN_OR_RETURN(const ContextEntry entry,
                           FindContext(target_.context, part_, model, asked->version(), options, opening_.diagnostics));
    if (entry.present) {
      opening_.diagnostics.Note(part_, "compiled before: '{}'", entry.file.string());
      GOMAI_ASSIGN_OR_RETURN(session_, OpenOnce(entry.file, options));
      return absl::OkStatus();
    }
    absl::StatusOr<std::unique_ptr<Session>> compiled = OpenOnce(model, WritingContext(options, entry));
    if (!compiled.ok()) {
      DropContext(entry);
      return compiled.status();
    }
    session_ = *std::move(compiled);
    GOMAI_RETURN_IF_ERROR(KeepContext(entry));
    opening_.diagnostics.Note(part_, "the compiled model is kept as '{}'", entry.file.string());
    return absl::OkStatus();
  }
  GOMAI_ASSIGN_OR_RETURN(session_, OpenOnce(model, options));
  return absl::OkStatus();
}

absl::Status TargetSession::Open(const std::filesystem::path& model) {
  absl::Status opened = OpenSteps(model);
  if (opened.ok()) {
    opened = JudgePlacement(session_->placement());
  }
  if (!opened.ok()) {
    if (steps_.devices_found && !steps_.session_made) {
      evidence_->Set(Evidence::kSession, false, std::string(Message(opened)));
    } else if (steps_.runtime.empty() || !steps_.devices_found) {
      evidence_->Set(steps_.runtime.empty() ? Evidence::kLibrary : Evidence::kDevice, false,
                     std::string(Message(opened)));
    }
    evidence_->failure = std::string(Message(opened));
  }
  return opened;
}

absl::Status TargetSession::Refuse(const std::string& what) const {
  if (!target_.allow_fallback) {
    return FailedPrecondition("{}; --allow-fallback runs it so all the same", what);
  }
  opening_.diagnostics.Warn(part_, "{}", what);
  return absl::OkStatus();
}

absl::Status TargetSession::JudgePlacement(const Placement& placement) {
  if (judged_ || !placement.known()) {
    return absl::OkStatus();
  }
  judged_ = true;
  evidence_->placement = placement;
  const std::vector<PlacedNode> elsewhere = placement.Elsewhere();
  const size_t own = placement.On(placement.provider).size();
  if (own > 0 && elsewhere.empty()) {
    evidence_->Set(Evidence::kSession, true, "no node runs elsewhere");
    evidence_->Set(Evidence::kPlacement, true,
                   fmt::format("{}, {}", placement.Summary(),
                               placement.source == Placement::Source::kAssignment ? "by the runtime's assignment"
                                                                                  : "by the profile of a run"));
    return JudgeReport();
  }
  const std::string what =
      own == 0 && elsewhere.empty() ? fmt::format("the runtime left no node for {} to compute", placement.provider)
      : own == 0 ? fmt::format("none of its nodes is on {}, the CPU takes all {}", placement.provider,
                               DescribeNodes(elsewhere))
                 : fmt::format("only {}; elsewhere {}", placement.Summary(), DescribeNodes(elsewhere));
  evidence_->Set(Evidence::kSession, false, what);
  evidence_->Set(Evidence::kPlacement, false, what);
  return Refuse(what);
}

absl::Status TargetSession::JudgeReport() {
  GOMAI_ASSIGN_OR_RETURN(const std::optional<VendorReport> report,
                         FindVendorReport(target_.vendor_report, target_.session.ep_options, started_));
  if (!report) {
    evidence_->steps[Evidence::kVendor].detail = "no report of this session was found";
    return absl::OkStatus();
  }
  const bool all = report->npu_nodes > 0 && report->other_nodes == 0;
  evidence_->Set(Evidence::kVendor, all, report->Summary());
  return all ? absl::OkStatus()
             : Refuse(fmt::format("the vendor's own report contradicts the runtime: {}", report->Summary()));
}

absl::StatusOr<NamedTensors> TargetSession::Run(const NamedTensors& feeds, const std::vector<std::string>& outputs,
                                                const OutputMemory&) {
  const OutputMemory filled = [](const ValueSpec& spec) -> std::optional<HostTensor> {
    absl::StatusOr<HostTensor> tensor = HostTensor::Create(spec.dtype, spec.shape);
    if (!tensor.ok()) {
      return std::nullopt;
    }
    FillSentinel(tensor->mutable_bytes(), spec.dtype);
    return *std::move(tensor);
  };
  absl::StatusOr<NamedTensors> results = session_->Run(feeds, outputs, filled);
  absl::Status status = results.status();
  if (status.ok()) {
    status = JudgePlacement(session_->placement());
  }
  if (!status.ok()) {
    evidence_->failure = std::string(Message(status));  // and stays so, whatever later runs do
    return status;
  }
  ++evidence_->runs;
  return results;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Session>> OpenOnTarget(const std::filesystem::path& model, const std::string& part,
                                                      const Target& target, const TargetOpening& opening,
                                                      Evidence* evidence) {
  evidence->part = part;
  absl::StatusOr<Target> own = target.For(part);
  if (!own.ok()) {
    evidence->failure = std::string(Message(own.status()));
    return own.status();
  }
  auto session = std::make_unique<TargetSession>(part, *std::move(own), opening, evidence);
  GOMAI_RETURN_IF_ERROR(session->Open(model));
  return session;
}

}  // namespace gomai
