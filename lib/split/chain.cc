// A chain of parts; see chain.h. Values are known by who makes them and by the name that the readers use, since a
// tensor that is passed through by a part has the same name on both sides of it.
#include "lib/split/chain.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "lib/base/text.h"
#include "lib/model/model.h"
#include "lib/model/tensor.h"
#include "lib/split/batching.h"
#include "lib/split/manifest_names.h"
#include "lib/split/part_file.h"

namespace gomai {
namespace {

constexpr const char* kInput = "input";

std::vector<ManifestTensor> Described(const std::vector<ValueSpec>& specs) {
  std::vector<ManifestTensor> tensors;
  for (const ValueSpec& spec : specs) {
    ManifestTensor& tensor = tensors.emplace_back();
    tensor.name = spec.name;
    tensor.dtype = spec.type;
    if (spec.has_shape) {
      tensor.shape.emplace();
      for (size_t i = 0; i < spec.shape.size(); ++i) {
        Dim& dim = tensor.shape->emplace_back();
        if (spec.shape[i] >= 0) {
          dim.value = spec.shape[i];
        } else if (i < spec.symbols.size()) {
          dim.symbol = spec.symbols[i];
        }
      }
    }
  }
  return tensors;
}

// A batched part's file has `size` rows where the manifest has a list: as the list that it stands for.
absl::Status TakeListsFor(const ManifestPart& part, const std::filesystem::path& file,
                          std::vector<ManifestTensor>* tensors) {
  for (ManifestTensor& tensor : *tensors) {
    const auto named = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), tensor.name) != names.end();
    };
    if ((!named(part.batching->inputs) && !named(part.batching->outputs)) || !tensor.shape || tensor.shape->empty()) {
      continue;
    }
    GOMAI_RETURN_IF_ERROR(
        Annotate(CheckRowType(tensor.name, ParseDtype(tensor.dtype).value_or(0)), fmt::format("part '{}'", part.name)));
    Dim& rows = tensor.shape->front();
    if (rows.value && *rows.value != part.batching->size) {
      return FailedPrecondition("'{}' doesn't fit as part '{}': its '{}' has {} rows, and the manifest calls it on {}",
                                file.string(), part.name, tensor.name, *rows.value, part.batching->size);
    }
    rows = Dim();
  }
  return absl::OkStatus();
}

ValueSpec SpecOf(const ManifestTensor& tensor, const std::string& name) {
  ValueSpec spec;
  spec.name = name;
  spec.type = tensor.dtype;
  spec.dtype = ParseDtype(tensor.dtype).value_or(0);
  spec.has_shape = tensor.shape.has_value();
  for (const Dim& dim : tensor.shape.value_or(std::vector<Dim>())) {
    spec.shape.push_back(dim.value.value_or(-1));
    spec.symbols.push_back(dim.symbol);
  }
  return spec;
}

absl::Status CheckTensorsOnly(const ManifestPart& part) {
  for (const auto* tensors : {&part.inputs, &part.outputs}) {
    for (const ManifestTensor& tensor : *tensors) {
      if (!ParseDtype(tensor.dtype)) {
        return InvalidArgument(
            "'{}', at the edge of part '{}', is a {}; a chain hands on tensors only, so cut the model elsewhere",
            tensor.name, part.name, tensor.dtype);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Chain>> Chain::Open(const std::filesystem::path& manifest_file, Backend& backend,
                                                   const ChainOptions& options) {
  std::unique_ptr<Chain> chain(new Chain);
  GOMAI_ASSIGN_OR_RETURN(chain->manifest_, ReadManifest(manifest_file));
  chain->options_ = options;
  const std::vector<ManifestPart>& parts = chain->manifest_.parts;
  for (const ManifestPart& part : parts) {
    GOMAI_RETURN_IF_ERROR(CheckTensorsOnly(part));
  }
  GOMAI_RETURN_IF_ERROR(CheckReplacements(chain->manifest_, manifest_file, options.replace));
  for (const ManifestPart& part : parts) {
    GOMAI_ASSIGN_OR_RETURN(chain->files_.emplace_back(),
                           FindPartFile(part, manifest_file.parent_path(), options.replace, options.check_digests));
  }
  GOMAI_RETURN_IF_ERROR(chain->ChooseParts());
  for (size_t i = 0; i < parts.size(); ++i) {
    if (!chain->on_target_[i] || !options.one_by_one) {
      GOMAI_RETURN_IF_ERROR(chain->OpenPart(i, backend));
    }
  }
  GOMAI_RETURN_IF_ERROR(chain->Wire());
  return chain;
}

absl::Status Chain::OpenPart(size_t index, Backend& backend) {
  const ManifestPart& part = manifest_.parts[index];
  if (on_target_[index]) {
    const absl::Status opened = OpenOnTargetNow(index);
    if (absl::IsInternal(opened) || absl::IsFailedPrecondition(opened)) {
      return absl::OkStatus();  // a result: the other parts go on
    }
    GOMAI_RETURN_IF_ERROR(opened);
  } else {
    if (options_.progress) {
      options_.progress(fmt::format("opening {}", part.name));
    }
    absl::StatusOr<std::unique_ptr<Session>> session = backend.Open(files_[index], options_.session);
    if (!session.ok()) {
      return Annotate(session.status(), fmt::format("part '{}'", part.name));
    }
    sessions_[index] = *std::move(session);
  }
  return CheckOpened(index);
}

absl::Status Chain::CheckOpened(size_t index) const {
  const ManifestPart& part = manifest_.parts[index];
  const std::filesystem::path& file = files_[index];
  std::vector<ManifestTensor> inputs = Described(sessions_[index]->inputs());
  std::vector<ManifestTensor> outputs = Described(sessions_[index]->outputs());
  if (part.batching) {
    GOMAI_RETURN_IF_ERROR(TakeListsFor(part, file, &inputs));
    GOMAI_RETURN_IF_ERROR(TakeListsFor(part, file, &outputs));
  }
  return CheckInterface(part, file, inputs, outputs);
}

absl::Status Chain::Wire() {
  // The model's own inputs, in its order, typed as their first reader has them.
  std::map<std::string, ValueSpec> read;
  for (size_t i = 0; i < sessions_.size(); ++i) {
    for (const ManifestTensor& input : manifest_.parts[i].inputs) {
      last_reader_[{input.from, input.name}] = i;
      if (input.from != kInput) {
        continue;
      }
      ValueSpec own = SpecOf(input, input.name);
      if (sessions_[i] != nullptr) {
        const std::vector<ValueSpec>& specs = sessions_[i]->inputs();
        const auto spec = std::find_if(specs.begin(), specs.end(),
                                       [&](const ValueSpec& candidate) { return candidate.name == input.name; });
        GOMAI_CHECK(spec != specs.end());  // OpenPart compared them
        own = *spec;
      }
      own.name = ModelName(manifest_, input.name);
      if (const auto& batching = manifest_.parts[i].batching;
          batching && !own.shape.empty() &&
          std::find(batching->inputs.begin(), batching->inputs.end(), input.name) != batching->inputs.end()) {
        own.shape.front() = -1;
      }
      read.emplace(own.name, std::move(own));
    }
  }
  for (const ManifestTensor& input : manifest_.inputs) {
    if (const auto found = read.find(input.name); found != read.end()) {
      inputs_.push_back(found->second);
    } else {
      unread_inputs_.push_back(SpecOf(input, input.name));
    }
  }
  for (const ManifestPart& part : manifest_.parts) {
    for (const ManifestTensor& output : part.outputs) {
      if (last_reader_.contains({part.name, output.name})) {  // a result that no part reads can't be given instead
        const std::string name = ModelName(manifest_, output.name);
        crossing_.emplace(name, SpecOf(output, name));
      }
    }
  }
  for (const ManifestTensor& input : manifest_.inputs) {
    crossing_.erase(input.name);  // a part that passes an input through
  }
  return absl::OkStatus();
}

std::vector<bool> Chain::Needed(const NamedTensors& feeds) const {
  std::vector<bool> needed(manifest_.parts.size());
  std::set<Key> read;  // by a part that runs
  for (size_t i = needed.size(); i-- > 0;) {
    const ManifestPart& part = manifest_.parts[i];
    for (const ManifestTensor& output : part.outputs) {
      const std::string name = ModelName(manifest_, output.name);
      const bool fed = crossing_.contains(name) && feeds.contains(name);
      needed[i] = needed[i] || (!fed && (output.model_output || read.contains({part.name, output.name})));
    }
    if (needed[i]) {
      for (const ManifestTensor& input : part.inputs) {
        read.emplace(input.from, input.name);
      }
    }
  }
  return needed;
}

std::vector<ValueSpec> Chain::Expected(const NamedTensors& feeds, const std::vector<bool>& needed) const {
  std::set<std::string> read;
  for (size_t i = 0; i < needed.size(); ++i) {
    for (const ManifestTensor& input : manifest_.parts[i].inputs) {
      if (needed[i] && input.from == kInput) {
        read.insert(ModelName(manifest_, input.name));
      }
    }
  }
  std::vector<ValueSpec> expected;
  std::copy_if(inputs_.begin(), inputs_.end(), std::back_inserter(expected),
               [&](const ValueSpec& spec) { return read.contains(spec.name) || feeds.contains(spec.name); });
  std::copy_if(unread_inputs_.begin(), unread_inputs_.end(), std::back_inserter(expected),
               [&](const ValueSpec& spec) { return feeds.contains(spec.name); });
  for (const auto& [name, spec] : crossing_) {
    if (feeds.contains(name)) {
      expected.push_back(spec);
    }
  }
  return expected;
}

namespace {

NamedTensors Placeholders(const std::vector<std::string>& names) {
  NamedTensors feeds;
  for (const std::string& name : names) {
    feeds.emplace(name, HostTensor());
  }
  return feeds;
}

}  // namespace

std::vector<bool> Chain::PartsFor(const std::vector<std::string>& names) const { return Needed(Placeholders(names)); }

std::vector<ValueSpec> Chain::InputsFor(const std::vector<std::string>& names) const {
  const NamedTensors feeds = Placeholders(names);
  return Expected(feeds, Needed(feeds));
}

NamedTensors Chain::ByModelNames(const NamedTensors& given) const {
  NamedTensors feeds;
  for (const auto& [name, tensor] : given) {
    const auto alias = manifest_.aliases.find(name);
    const bool friendly = alias != manifest_.aliases.end() && crossing_.contains(alias->second) &&
                          !crossing_.contains(name) && !given.contains(alias->second);
    feeds.emplace(friendly ? alias->second : name, tensor);
  }
  return feeds;
}

absl::StatusOr<NamedTensors> Chain::Run(const NamedTensors& given,
                                        const std::function<absl::Status(const PartRun&)>& after_part) {
  const NamedTensors feeds = ByModelNames(given);
  const std::vector<bool> needed = Needed(feeds);
  GOMAI_RETURN_IF_ERROR(CheckFeeds(Expected(feeds, needed), feeds));
  std::map<Key, HostTensor> values;
  NamedTensors outputs;
  for (size_t i = 0; i < sessions_.size(); ++i) {
    const ManifestPart& part = manifest_.parts[i];
    PartRun run;
    if (needed[i]) {
      if (options_.progress) {
        options_.progress(fmt::format("running {}", part.name));
      }
      NamedTensors part_feeds;
      for (const ManifestTensor& input : part.inputs) {
        part_feeds.emplace(input.name, input.from == kInput ? feeds.at(ModelName(manifest_, input.name))
                                                            : values.at({input.from, input.name}));
      }
      GOMAI_ASSIGN_OR_RETURN(run, RunPart(i, part_feeds));
    }
    for (const ManifestTensor& output : part.outputs) {
      const std::string name = ModelName(manifest_, output.name);
      const auto fed = crossing_.contains(name) ? feeds.find(name) : feeds.end();
      if (fed == feeds.end() && !needed[i]) {
        continue;
      }
      const HostTensor& tensor = fed != feeds.end() ? fed->second : run.outputs.at(output.name);
      if (last_reader_.contains({part.name, output.name})) {
        values.emplace(Key(part.name, output.name), tensor);
      }
      if (output.model_output) {
        outputs.insert_or_assign(name, tensor);
      }
    }
    if (after_part && needed[i]) {
      GOMAI_RETURN_IF_ERROR(after_part(run));
    }
    std::erase_if(values, [&](const auto& value) { return last_reader_.at(value.first) <= i; });
  }
  return outputs;
}

absl::StatusOr<PartRun> Chain::RunPart(size_t part, const NamedTensors& feeds) {
  GOMAI_CHECK(part < sessions_.size());
  GOMAI_RETURN_IF_ERROR(failures_[part]);
  if (sessions_[part] == nullptr) {
    GOMAI_RETURN_IF_ERROR(OpenOnTargetNow(part));
    GOMAI_RETURN_IF_ERROR(CheckOpened(part));
  }
  PartRun run;
  run.part = manifest_.parts[part].name;
  run.inputs = feeds;
  run.on_target = on_target_[part];
  absl::Status ran;
  if (const auto& batching = manifest_.parts[part].batching; batching) {
    absl::StatusOr<BatchedRun> batched = RunRows(*sessions_[part], *batching, feeds);
    ran = batched.status();
    if (batched.ok()) {
      run.outputs = std::move(batched->outputs);
      run.seconds = batched->seconds;
      run.calls = batched->calls;
    }
  } else {
    const auto start = std::chrono::steady_clock::now();
    absl::StatusOr<NamedTensors> outputs = sessions_[part]->Run(feeds, {});
    run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    ran = outputs.status();
    if (outputs.ok()) {
      run.outputs = *std::move(outputs);
    }
  }
  if (options_.one_by_one && on_target_[part]) {
    sessions_[part].reset();
  }
  GOMAI_RETURN_IF_ERROR(Annotate(ran, fmt::format("part '{}'", run.part)));
  return run;
}

}  // namespace gomai
