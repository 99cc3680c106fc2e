// A model or a chain, and timed runs; see runner.h. The time that dumping takes is not counted: a part's time is its
// session's alone, and it is taken off the whole run's.
#include "lib/split/runner.h"

#include <algorithm>
#include <chrono>

#include "lib/runtime/npy.h"

namespace gomai {

absl::StatusOr<std::unique_ptr<Runner>> Runner::Open(const std::filesystem::path& path, Backend& backend,
                                                     const ChainOptions& options) {
  std::unique_ptr<Runner> runner(new Runner);
  std::error_code error;
  std::filesystem::path file = path;
  if (std::filesystem::is_directory(path, error)) {
    file = path / "manifest.json";
    if (!std::filesystem::exists(file, error)) {
      return NotFound("the folder '{}' has no manifest.json; give a model, a manifest or the folder of a split",
                      path.string());
    }
  }
  if (LooksLikeManifest(file)) {
    GOMAI_ASSIGN_OR_RETURN(runner->chain_, Chain::Open(file, backend, options));
    return runner;
  }
  if (file.extension() == ".json") {
    GOMAI_RETURN_IF_ERROR(ReadManifest(file).status());  // says why it isn't one
  }
  if (!options.replace.empty()) {
    return InvalidArgument("'{}' is a model, not a manifest: it has no part to replace", path.string());
  }
  if (options.progress) {
    options.progress(fmt::format("opening {}", file.filename().string()));
  }
  if (!options.target) {
    GOMAI_ASSIGN_OR_RETURN(runner->session_, backend.Open(file, options.session));
    return runner;
  }
  if (!options.on.empty()) {
    return InvalidArgument("'{}' is a model, not a manifest: it has no parts to choose with --on", path.string());
  }
  runner->on_target_ = true;
  absl::StatusOr<std::unique_ptr<Session>> session =
      OpenOnTarget(file, "", *options.target, options.opening, &runner->evidence_);
  if (session.ok()) {
    runner->session_ = *std::move(session);
  } else if (absl::IsInternal(session.status()) || absl::IsFailedPrecondition(session.status())) {
    runner->failure_ = session.status();
  } else {
    return session.status();
  }
  return runner;
}

std::vector<const Evidence*> Runner::evidence() const {
  if (chain_) {
    return chain_->evidence();
  }
  return on_target_ ? std::vector<const Evidence*>{&evidence_} : std::vector<const Evidence*>();
}

absl::Status Runner::failure() const { return chain_ ? chain_->failure() : failure_; }

absl::Status Runner::OpenEach() { return chain_ ? chain_->OpenEach() : absl::OkStatus(); }

const std::vector<ValueSpec>& Runner::inputs() const {
  static const auto& none = *new std::vector<ValueSpec>;
  return chain_ ? chain_->inputs() : session_ != nullptr ? session_->inputs() : none;
}

std::vector<std::string> Runner::output_names() const {
  if (chain_) {
    return chain_->manifest().outputs;
  }
  std::vector<std::string> names;
  for (const ValueSpec& spec : session_->outputs()) {
    names.push_back(spec.name);
  }
  return names;
}

std::vector<std::string> Runner::parts() const {
  std::vector<std::string> names;
  if (chain_) {
    for (const ManifestPart& part : chain_->manifest().parts) {
      names.push_back(part.name);
    }
  }
  return names;
}

absl::StatusOr<NamedTensors> Runner::Run(const NamedTensors& feeds,
                                         const std::function<absl::Status(const PartRun&)>& after_part) {
  GOMAI_RETURN_IF_ERROR(failure_);
  return chain_ ? chain_->Run(feeds, after_part) : session_->Run(feeds, {});
}

absl::StatusOr<RunReport> RunTimed(Runner& runner, const NamedTensors& feeds, const RunOptions& options) {
  if (options.runs < 1 || options.warmup < 0) {
    return InvalidArgument("{} runs after {} warm-ups make no sense; give at least one run", options.runs,
                           options.warmup);
  }
  if (!options.dump_parts.empty() && runner.parts().empty()) {
    return InvalidArgument("a model has no parts to dump; give the manifest.json of a split");
  }
  RunReport report;
  for (const std::string& part : runner.parts()) {
    report.parts.emplace_back(part, std::vector<double>());
  }
  for (int i = 0; i < options.warmup + options.runs; ++i) {
    if (options.cancelled && options.cancelled()) {
      report.cancelled = true;
      break;
    }
    if (options.progress) {
      options.progress(i < options.warmup ? fmt::format("warm-up {} of {}", i + 1, options.warmup)
                                          : fmt::format("run {} of {}", i - options.warmup + 1, options.runs));
    }
    const bool counted = i >= options.warmup;
    size_t part = 0;
    double dumping = 0;
    const auto start = std::chrono::steady_clock::now();
    const auto since = [](std::chrono::steady_clock::time_point from) {
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
    };
    absl::StatusOr<NamedTensors> outputs = runner.Run(feeds, [&](const PartRun& run) -> absl::Status {
      while (report.parts[part].first != run.part) {
        ++part;  // one that what was fed makes superfluous
      }
      if (counted) {
        report.parts[part].second.push_back(run.seconds);
      }
      if (i == 0 && options.check) {
        GOMAI_RETURN_IF_ERROR(options.check(run));
      }
      if (i == 0 && !options.dump_parts.empty()) {
        const auto before = std::chrono::steady_clock::now();
        GOMAI_RETURN_IF_ERROR(WriteTensors(options.dump_parts / run.part, run.inputs));
        GOMAI_RETURN_IF_ERROR(WriteTensors(options.dump_parts / run.part, run.outputs));
        dumping += since(before);
      }
      return absl::OkStatus();
    });
    if (absl::IsCancelled(outputs.status())) {
      report.cancelled = true;
      break;
    }
    GOMAI_ASSIGN_OR_RETURN(report.outputs, std::move(outputs));
    if (i == 0 && options.check && runner.parts().empty()) {
      PartRun whole;
      whole.outputs = report.outputs;
      whole.on_target = !runner.evidence().empty();
      GOMAI_RETURN_IF_ERROR(options.check(whole));
    }
    if (counted) {
      report.seconds.push_back(since(start) - dumping);
    }
  }
  std::erase_if(report.parts, [](const auto& part) { return part.second.empty(); });
  return report;
}

double Minimum(const std::vector<double>& values) { return *std::min_element(values.begin(), values.end()); }

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace gomai
