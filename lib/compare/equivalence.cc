// Running both sides and comparing; see equivalence.h.
//
// A part's tensor is compared as soon as the part has run, and the reference's is dropped after its last use. Tensors
// of a chain that the reference doesn't have (a pipeline ran before the cut) are listed and not compared: the outputs
// behind them are.
#include "lib/compare/equivalence.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/index.h"
#include "lib/model/tensor.h"
#include "lib/split/manifest_names.h"

namespace gomai {
namespace {

constexpr const char* kInput = "input";

double Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// What a candidate's failure to run is to the report: a verdict on it, unless the feeds don't fit it.
bool IsVerdict(const absl::Status& status) { return absl::IsInternal(status) || absl::IsFailedPrecondition(status); }

// A part's own name for what the model calls `input`, by its producer.
bool IsModelInput(const ManifestTensor& tensor) { return tensor.from == kInput; }

}  // namespace

absl::StatusOr<std::unique_ptr<Equivalence>> Equivalence::Open(const std::filesystem::path& reference,
                                                               const std::filesystem::path& candidate, Backend& backend,
                                                               const EquivalenceOptions& options) {
  std::unique_ptr<Equivalence> equivalence(new Equivalence);
  equivalence->options_ = options;
  std::error_code error;
  std::filesystem::path file = candidate;
  if (std::filesystem::is_directory(candidate, error)) {
    file = candidate / "manifest.json";
    if (!std::filesystem::exists(file, error)) {
      return NotFound("the folder '{}' has no manifest.json; give a model, a manifest or the folder of a split",
                      candidate.string());
    }
  }
  if (LooksLikeManifest(file) || file.extension() == ".json") {
    GOMAI_RETURN_IF_ERROR(equivalence->OpenChain(file, backend));
    GOMAI_RETURN_IF_ERROR(equivalence->OpenReference(reference, backend));
    equivalence->needed_ = equivalence->chain_->InputsFor(equivalence->InputNames());
    GOMAI_RETURN_IF_ERROR(equivalence->CheckInputs(equivalence->needed_));
  } else {
    if (!options.replace.empty() || options.isolated) {
      return InvalidArgument("'{}' is a model, not a manifest: it has no parts to {}", candidate.string(),
                             options.isolated ? "run one by one" : "replace");
    }
    GOMAI_RETURN_IF_ERROR(equivalence->OpenReference(reference, backend));
    GOMAI_RETURN_IF_ERROR(equivalence->OpenModel(file, backend));
    equivalence->needed_ = equivalence->model_->inputs();
    GOMAI_RETURN_IF_ERROR(equivalence->CheckInputs(equivalence->needed_));
  }
  equivalence->tolerances_.resize(equivalence->rows_.size());
  equivalence->copies_.Remove();  // all is open
  return equivalence;
}

void Equivalence::AddRow(EquivalenceRow row) {
  row_of_.emplace(std::pair(row.part, row.name), rows_.size());
  rows_.push_back(std::move(row));
}

absl::Status Equivalence::OpenChain(const std::filesystem::path& file, Backend& backend) {
  ChainOptions options;
  options.session = options_.candidate;
  options.progress = options_.progress;
  options.replace = options_.replace;
  // Parts with unaligned weights are opened from an aligned copy; then the chain can't check their digests itself.
  GOMAI_ASSIGN_OR_RETURN(const Manifest manifest, ReadManifest(file));
  for (const ManifestPart& part : manifest.parts) {
    if (options.replace.contains(part.name)) {
      continue;
    }
    const absl::StatusOr<std::filesystem::path> own = ResolveExternal(file.parent_path(), part.file);
    if (!own.ok()) {
      continue;  // the chain says what is wrong with it
    }
    const absl::StatusOr<std::string> digest = SkeletonDigest(*own);
    if (!digest.ok() || *digest != part.digest) {
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const std::filesystem::path aligned, copies_.Aligned(*own));
    if (aligned != *own) {
      options.replace.emplace(part.name, aligned);
    }
  }
  GOMAI_ASSIGN_OR_RETURN(chain_, Chain::Open(file, backend, options));
  return absl::OkStatus();
}

absl::Status Equivalence::OpenReference(const std::filesystem::path& file, Backend& backend) {
  if (options_.progress) {
    options_.progress("opening the reference");
  }
  GOMAI_ASSIGN_OR_RETURN(const Model model, Model::Load(file));
  const Index index(model.proto());
  for (const auto& output : model.proto().graph().output()) {
    outputs_.push_back(output.name());
  }
  const std::set<std::string> own(outputs_.begin(), outputs_.end());
  std::vector<std::string> boundary;
  if (chain_ != nullptr) {
    const Manifest& manifest = chain_->manifest();
    std::vector<std::string> inputs;
    for (const auto& input : model.proto().graph().input()) {
      inputs.push_back(input.name());
    }
    runs_ = chain_->PartsFor(inputs);
    for (size_t i = 0; i < manifest.parts.size(); ++i) {
      for (const ManifestTensor& input : manifest.parts[i].inputs) {
        if (options_.isolated && !IsModelInput(input)) {
          last_use_[ModelName(manifest, input.name)] = i;
        }
      }
      for (const ManifestTensor& output : manifest.parts[i].outputs) {
        EquivalenceRow row;
        row.part = manifest.parts[i].name;
        row.name = output.name;
        row.tensor = ModelName(manifest, output.name);
        row.model_output = output.model_output;
        const auto alias = std::find_if(manifest.aliases.begin(), manifest.aliases.end(),
                                        [&](const auto& entry) { return entry.second == row.tensor; });
        row.alias = alias == manifest.aliases.end() ? "" : alias->first;
        last_use_[row.tensor] = i;
        const ValueId id = index.FindValue(index.main_scope(), row.tensor);
        if (!runs_[i]) {
          row.missing = "not run: the reference begins behind it";
        } else if (output.model_output && !own.contains(row.tensor)) {
          row.missing = "the reference has no such output";
          row.fault = true;
        } else if (id == kNone) {
          row.missing = "the reference has no such tensor";
        } else {
          boundary.push_back(row.tensor);
        }
        AddRow(std::move(row));
      }
    }
    if (options_.isolated) {
      for (const EquivalenceRow& row : rows_) {
        const bool runs = runs_[IndexOf(row.part)];
        if (!row.missing.empty() && runs) {
          return InvalidArgument(
              "'{}', which part '{}' gives, isn't a tensor of the reference; parts can't be run on the "
              "reference's tensors then, so compare them --chained",
              row.tensor, row.part);
        }
      }
    }
    const std::vector<std::string>& given = manifest.outputs;
    for (const std::string& name : outputs_) {
      if (std::find(given.begin(), given.end(), name) == given.end()) {
        AddRow({.part = "",
                .tensor = name,
                .name = name,
                .alias = "",
                .model_output = true,
                .fault = true,
                .missing = "the candidate has no such output"});
      }
    }
  }
  GOMAI_ASSIGN_OR_RETURN(const std::filesystem::path copy, copies_.WithOutputs(file, boundary));
  absl::StatusOr<std::unique_ptr<Session>> session = backend.Open(copy, options_.reference);
  if (!session.ok()) {
    return Annotate(session.status(), fmt::format("the reference '{}'", file.string()));
  }
  reference_ = *std::move(session);
  return absl::OkStatus();
}

absl::Status Equivalence::OpenModel(const std::filesystem::path& file, Backend& backend) {
  if (options_.progress) {
    options_.progress(fmt::format("opening {}", file.filename().string()));
  }
  GOMAI_ASSIGN_OR_RETURN(const std::filesystem::path aligned, copies_.Aligned(file));
  absl::StatusOr<std::unique_ptr<Session>> session = backend.Open(aligned, options_.candidate);
  if (!session.ok()) {
    return Annotate(session.status(), fmt::format("the candidate '{}'", file.string()));
  }
  model_ = *std::move(session);
  std::set<std::string> given;
  for (const ValueSpec& spec : model_->outputs()) {
    given.insert(spec.name);
  }
  for (const std::string& name : outputs_) {
    EquivalenceRow row{
        .part = "", .tensor = name, .name = name, .alias = "", .model_output = true, .fault = false, .missing = ""};
    if (given.erase(name) == 0) {
      row.fault = true;
      row.missing = "the candidate has no such output";
    }
    AddRow(std::move(row));
  }
  for (const ValueSpec& spec : model_->outputs()) {
    if (given.contains(spec.name)) {
      AddRow({.part = "",
              .tensor = spec.name,
              .name = spec.name,
              .alias = "",
              .model_output = true,
              .fault = true,
              .missing = "the reference has no such output"});
    }
  }
  return absl::OkStatus();
}

absl::Status Equivalence::CheckInputs(const std::vector<ValueSpec>& candidate) const {
  for (const ValueSpec& input : candidate) {
    const auto same =
        std::find_if(inputs().begin(), inputs().end(), [&](const ValueSpec& spec) { return spec.name == input.name; });
    if (same == inputs().end()) {
      std::vector<std::string_view> names;
      for (const ValueSpec& spec : inputs()) {
        names.push_back(spec.name);
      }
      return FailedPrecondition("the candidate has an input '{}' that the reference doesn't have{}", input.name,
                                DidYouMean(input.name, names));
    }
    if (same->type != input.type) {
      return FailedPrecondition("the candidate's input '{}' is {}, the reference's {}", input.name, input.type,
                                same->type);
    }
    if (same->has_shape && input.has_shape && same->shape.size() != input.shape.size()) {
      return FailedPrecondition("the candidate's input '{}' is {}, the reference's {}", input.name, DescribeSpec(input),
                                DescribeSpec(*same));
    }
  }
  return absl::OkStatus();
}

std::vector<std::string> Equivalence::parts() const {
  std::vector<std::string> names;
  if (chain_ != nullptr) {
    const std::vector<ManifestPart>& parts = chain_->manifest().parts;
    for (size_t i = 0; i < parts.size(); ++i) {
      if (runs_[i]) {
        names.push_back(parts[i].name);
      }
    }
  }
  return names;
}

size_t Equivalence::IndexOf(std::string_view part) const {
  const std::vector<ManifestPart>& parts = chain_->manifest().parts;
  return static_cast<size_t>(
      std::find_if(parts.begin(), parts.end(), [&](const ManifestPart& each) { return each.name == part; }) -
      parts.begin());
}

std::vector<std::string> Equivalence::InputNames() const {
  std::vector<std::string> names;
  for (const ValueSpec& spec : inputs()) {
    names.push_back(spec.name);
  }
  return names;
}

absl::Status Equivalence::SetTolerances(const Tolerance& all, const std::map<std::string, Tolerance>& by_name) {
  tolerances_.assign(rows_.size(), all);
  for (const auto& [name, tolerance] : by_name) {
    bool found = false;
    std::set<std::string_view> known;
    for (size_t i = 0; i < rows_.size(); ++i) {
      known.insert({rows_[i].tensor, rows_[i].name, rows_[i].alias});
      if (rows_[i].tensor == name || rows_[i].name == name || rows_[i].alias == name) {
        tolerances_[i] = tolerance;
        found = true;
      }
    }
    if (!found) {
      return NotFound("no tensor '{}' is compared{}", name, DidYouMean(name, {known.begin(), known.end()}));
    }
  }
  return absl::OkStatus();
}

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
