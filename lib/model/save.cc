// Saving; see save.h. In four steps, so that an error leaves everything as it was: decide (nothing written yet: sizes,
// names and clashes), write all temporary files, rename them (data files first, so that no model ever names a file that
// isn't there), remove what nobody uses any more.
#include "lib/model/save.h"

#include <climits>
#include <functional>
#include <memory>

#include "lib/base/parallel.h"
#include "lib/model/files.h"
#include "lib/model/gather.h"
#include "lib/model/save_plan.h"
#include "lib/model/tensor.h"
#include "lib/model/weights.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

// A model file to be written.
struct Output {
  const SaveItem* item = nullptr;
  Placed placed;
  bool verbatim = false;  // the input's bytes as they are
  wire::GatherList list;
};

struct DataOutput {
  fs::path path;
  const DataLayout* layout = nullptr;
};

absl::Status WriteModel(const Output& output, OutputFile* file) {
  if (output.verbatim) {
    const MappedFile& input = *output.item->model->file();
    return file->CopyFrom(input, 0, input.bytes().size());
  }
  return WriteGathered(output.list, output.placed.sources, file);
}

absl::StatusOr<std::string> Digest(const Output& output) {
  const std::string name = output.item->target.string();
  return output.verbatim ? SkeletonDigest(wire::FileBytes(*output.item->model->file()), name)
                         : SkeletonDigest(GatheredBytes(output.list, output.placed.sources), name);
}

// Folders made on the way; taken away again unless Keep() is called.
class MadeFolders {
 public:
  ~MadeFolders() {
    std::error_code ignored;
    for (auto it = made_.rbegin(); it != made_.rend(); ++it) {
      fs::remove(*it, ignored);
    }
  }
  absl::Status Make(const fs::path& folder) {
    std::vector<fs::path> missing;
    std::error_code error;
    for (fs::path path = folder; !path.empty() && !fs::exists(path, error); path = path.parent_path()) {
      missing.push_back(path);
    }
    for (auto it = missing.rbegin(); it != missing.rend(); ++it) {
      if (!fs::create_directory(*it, error)) {
        return Internal("can't make the folder '{}': {}", it->string(), error.message());
      }
      made_.push_back(*it);
    }
    return absl::OkStatus();
  }
  void Keep() { made_.clear(); }

 private:
  std::vector<fs::path> made_;
};

void SetLocation(const Placed& placed, const std::string& name) {
  for (onnx::TensorProto* tensor : placed.relocated) {
    tensor->mutable_external_data(0)->set_value(name);
  }
}

}  // namespace

absl::StatusOr<Weights> ParseWeights(std::string_view text) {
  if (text == "keep") return Weights::kKeep;
  if (text == "inline") return Weights::kInline;
  if (text == "external") return Weights::kExternal;
  if (text == "shared") return Weights::kShared;
  if (text == "reference") return Weights::kReference;
  return InvalidArgument("--weights={} isn't known; it is one of keep, inline, external, shared, reference", text);
}

absl::StatusOr<SaveReport> SaveAll(const std::vector<SaveItem>& items, const SaveOptions& options) {
  // Decide.
  GOMAI_ASSIGN_OR_RETURN(const SaveInputs inputs, CollectInputs(items));
  GOMAI_RETURN_IF_ERROR(CheckTargets(items, inputs, options));
  const bool external = options.weights == Weights::kExternal;
  const bool shared = options.weights == Weights::kShared;
  std::vector<DataLayout> layouts(external ? items.size() : 1);
  std::vector<Output> outputs;
  bool refers = false;
  for (size_t i = 0; i < items.size(); ++i) {
    const SaveItem& item = items[i];
    Output output;
    output.item = &item;
    if (shared && !SameFolder(FolderOf(item.target), FolderOf(items[0].target))) {
      return InvalidArgument("--weights=shared needs all outputs in one folder; '{}' is in another than '{}'",
                             item.target.string(), items[0].target.string());
    }
    GOMAI_ASSIGN_OR_RETURN(
        output.placed, PlaceWeights(*item.model, options.weights, FolderOf(item.target), &layouts[external ? i : 0]));
    refers = refers || (options.weights == Weights::kReference && output.placed.copy != nullptr);
    outputs.push_back(std::move(output));
  }
  if (options.weights == Weights::kReference) {
    GOMAI_RETURN_IF_ERROR(CheckReferences(items, inputs, refers));
  }
  std::vector<DataOutput> data_outputs;
  std::vector<fs::path> useless;
  if (external || shared) {
    DataNames names(items, inputs);
    for (size_t i = 0; i < layouts.size(); ++i) {
      if (layouts[i].empty()) {
        continue;
      }
      const fs::path& target = items[i].target;
      const std::string base = shared ? options.shared_data_name : target.filename().string() + ".data";
      GOMAI_ASSIGN_OR_RETURN(const DataNames::Choice choice, names.Choose(FolderOf(target), base, layouts[i]));
      for (Output& output : outputs) {
        if (shared || output.item == &items[i]) {
          SetLocation(output.placed, choice.name);
        }
      }
      if (choice.write) {
        data_outputs.push_back({target.parent_path() / choice.name, &layouts[i]});
      }
    }
    useless = names.Useless();
  }
  std::vector<DataCopy> copies;
  if (options.weights == Weights::kKeep) {
    GOMAI_ASSIGN_OR_RETURN(copies, PlanCopies(items));
  }
  GOMAI_RETURN_IF_ERROR(ParallelFor(outputs.size(), [&](size_t i) -> absl::Status {
    Output& output = outputs[i];
    const Model& model = *output.item->model;
    // A file beyond protobuf's limit can be read here, but nowhere else: it isn't copied as it is.
    if (output.placed.copy == nullptr && model.Unchanged() && model.file()->bytes().size() <= INT_MAX) {
      output.verbatim = true;
      return absl::OkStatus();
    }
    absl::StatusOr<wire::GatherList> list =
        Gather(output.placed.copy ? *output.placed.copy : model.proto(), output.placed.sources);
    if (!list.ok()) {
      return Annotate(list.status(), fmt::format("'{}'", output.item->target.string()));
    }
    output.list = *std::move(list);
    return absl::OkStatus();
  }));

  // Write.
  SaveReport report;
  MadeFolders folders;
  std::vector<OutputFile> data_files;
  std::vector<OutputFile> model_files;
  std::vector<std::function<absl::Status()>> work;  // writing data_files, then model_files; then digests
  data_files.reserve(data_outputs.size() + copies.size());
  model_files.reserve(outputs.size());
  for (const DataOutput& data : data_outputs) {
    GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(data.path));
    OutputFile& made = data_files.emplace_back(std::move(file));
    work.emplace_back([&data, &made] { return data.layout->Write(&made); });
  }
  for (const DataCopy& copy : copies) {
    GOMAI_RETURN_IF_ERROR(folders.Make(FolderOf(copy.to)));
    GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(copy.to));
    OutputFile& made = data_files.emplace_back(std::move(file));
    work.emplace_back([&copy, &made] { return made.CopyFrom(*copy.from, 0, copy.from->bytes().size()); });
  }
  for (const Output& output : outputs) {
    GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(output.item->target));
    OutputFile& made = model_files.emplace_back(std::move(file));
    work.emplace_back([&output, &made] { return WriteModel(output, &made); });
  }
  if (options.digests) {
    report.digests.resize(outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      work.emplace_back([&outputs, &report, i]() -> absl::Status {
        GOMAI_ASSIGN_OR_RETURN(report.digests[i], Digest(outputs[i]));
        return absl::OkStatus();
      });
    }
  }
  // Several files at once: copying keeps one core busy per file.
  GOMAI_RETURN_IF_ERROR(ParallelFor(work.size(), [&](size_t i) { return work[i](); }));

  // Rename.
  for (std::vector<OutputFile>* files : {&data_files, &model_files}) {
    for (OutputFile& file : *files) {
      GOMAI_RETURN_IF_ERROR(file.Commit());
    }
  }
  folders.Keep();

  // Remove.
  for (const fs::path& path : useless) {
    std::error_code ignored;  // a leftover does no harm
    fs::remove(path, ignored);
  }
  for (const std::vector<OutputFile>* files : {&model_files, &data_files}) {
    for (const OutputFile& file : *files) {
      report.bytes_written += file.size();
      report.files.push_back(file.target());
    }
  }
  return report;
}

absl::StatusOr<SaveReport> Save(const Model& model, const std::filesystem::path& target, const SaveOptions& options) {
  return SaveAll({{&model, target}}, options);
}

absl::StatusOr<Model> Internalised(const Model& model) {
  GOMAI_ASSIGN_OR_RETURN(Placed placed, PlaceWeights(model, Weights::kInline, {}, nullptr));
  Model result =
      Model::FromProto(placed.copy ? std::move(*placed.copy) : onnx::ModelProto(model.proto()), model.folder());
  result.Adopt(placed.sources);
  return result;
}

absl::StatusOr<std::string> SerializeInline(const Model& model) {
  GOMAI_RETURN_IF_ERROR(ExternalLocations(model).status());
  GOMAI_ASSIGN_OR_RETURN(const Placed placed, PlaceWeights(model, Weights::kInline, {}, nullptr));
  GOMAI_ASSIGN_OR_RETURN(const wire::GatherList list,
                         Gather(placed.copy ? *placed.copy : model.proto(), placed.sources));
  std::string bytes;
  bytes.reserve(list.size);
  for (const wire::Piece& piece : list.pieces) {
    if (piece.is_payload) {
      const size_t size = bytes.size();
      bytes.resize(size + piece.length);
      GOMAI_RETURN_IF_ERROR(placed.sources.Find(piece.source_id)
                                ->Read(piece.offset, {reinterpret_cast<uint8_t*>(bytes.data()) + size, piece.length}));
    } else {
      bytes.append(list.literals, piece.offset, piece.length);
    }
  }
  return bytes;
}

}  // namespace gomai
