// Opening both sides; see equivalence.h. Running them is in equivalence_run.cc.
//
// Tensors of a chain that the reference doesn't have (a pipeline ran before the cut) are listed and not compared: the
// outputs behind them are.
#include "lib/compare/equivalence.h"

#include <algorithm>
#include <set>

#include "lib/base/text.h"
#include "lib/graph/index.h"
#include "lib/model/tensor.h"
#include "lib/split/manifest_names.h"

namespace gomai {
namespace {

constexpr const char* kInput = "input";

// A part's own name for what the model calls `input`, by its producer.
bool IsModelInput(const ManifestTensor& tensor) { return tensor.from == kInput; }

// One that one side lacks.
EquivalenceRow FaultyOutput(const std::string& name, const char* why) {
  EquivalenceRow row;
  row.tensor = row.name = name;
  row.model_output = row.fault = true;
  row.missing = why;
  return row;
}

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
    for (size_t i = 0; i < equivalence->chain_->files().size(); ++i) {
      if (equivalence->chain_->on_target(i)) {
        GOMAI_RETURN_IF_ERROR(
            equivalence->NoteScales(equivalence->chain_->files()[i], equivalence->chain_->manifest().parts[i].name));
      }
    }
  } else {
    if (!options.candidate.replace.empty() || options.isolated) {
      return InvalidArgument("'{}' is a model, not a manifest: it has no parts to {}", candidate.string(),
                             options.isolated ? "run one by one" : "replace");
    }
    GOMAI_RETURN_IF_ERROR(equivalence->OpenReference(reference, backend));
    GOMAI_RETURN_IF_ERROR(equivalence->OpenModel(file, backend));
    if (equivalence->model_ != nullptr) {
      equivalence->needed_ = equivalence->model_->inputs();
      GOMAI_RETURN_IF_ERROR(equivalence->CheckInputs(equivalence->needed_));
    }
    if (options.candidate.target) {
      GOMAI_RETURN_IF_ERROR(equivalence->NoteScales(file, ""));
    }
  }
  GOMAI_RETURN_IF_ERROR(equivalence->OpenCpuRun(file, backend));
  GOMAI_RETURN_IF_ERROR(equivalence->ChooseWhatCounts());
  equivalence->tolerances_.resize(equivalence->rows_.size());
  if (!options.candidate.target) {  // else a worker may have to open one again
    equivalence->copies_.Remove();
  }
  return equivalence;
}

void Equivalence::AddRow(EquivalenceRow row) {
  row_of_.emplace(std::pair(row.part, row.name), rows_.size());
  rows_.push_back(std::move(row));
}

absl::Status Equivalence::OpenChain(const std::filesystem::path& file, Backend& backend) {
  ChainOptions options = options_.candidate;
  options.progress = options_.progress;
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
        row.on_target = chain_->on_target(i);
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
        AddRow(FaultyOutput(name, "the candidate has no such output"));
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
  const ChainOptions& candidate = options_.candidate;
  absl::StatusOr<std::unique_ptr<Session>> session =
      candidate.target ? OpenOnTarget(aligned, "", *candidate.target, candidate.opening, &model_evidence_)
                       : backend.Open(aligned, candidate.session);
  if (!session.ok()) {
    model_failure_ = Annotate(session.status(), fmt::format("the candidate '{}'", file.string()));
    if (!candidate.target || !(absl::IsInternal(model_failure_) || absl::IsFailedPrecondition(model_failure_))) {
      return model_failure_;
    }
    for (const std::string& name : outputs_) {
      EquivalenceRow row;
      row.tensor = row.name = name;
      row.model_output = true;
      row.on_target = true;
      AddRow(std::move(row));
    }
    return absl::OkStatus();
  }
  model_ = *std::move(session);
  std::set<std::string> given;
  for (const ValueSpec& spec : model_->outputs()) {
    given.insert(spec.name);
  }
  for (const std::string& name : outputs_) {
    EquivalenceRow row;
    row.tensor = row.name = name;
    row.model_output = true;
    row.on_target = candidate.target.has_value();
    if (given.erase(name) == 0) {
      row.fault = true;
      row.missing = "the candidate has no such output";
    }
    AddRow(std::move(row));
  }
  for (const ValueSpec& spec : model_->outputs()) {
    if (given.contains(spec.name)) {
      AddRow(FaultyOutput(spec.name, "the reference has no such output"));
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

}  // namespace gomai
