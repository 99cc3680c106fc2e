// Saving; see save.h. In four steps, so that an error leaves everything as it was: decide (nothing written yet: sizes,
// names and clashes), write all temporary files, rename them (data files first, so that no model ever names a file that
// isn't there), remove what nobody uses any more.
#include "lib/model/save.h"

#include <algorithm>
#include <climits>
#include <map>
#include <optional>
#include <set>

#include "lib/model/files.h"
#include "lib/model/tensor.h"
#include "lib/model/weights.h"
#include "lib/wire/deflate.h"

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

struct Copy {
  std::shared_ptr<const MappedFile> from;
  fs::path to;
};

bool IsStdout(const fs::path& path) { return path == "-"; }

// What the inputs of the command are made of.
struct Inputs {
  std::set<FileId> models;
  std::set<FileId> data;

  bool InUse(const FileId& id) const { return models.contains(id) || data.contains(id); }
};

absl::StatusOr<Inputs> CollectInputs(const std::vector<SaveItem>& items) {
  Inputs inputs;
  std::set<const Model*> seen;
  for (const SaveItem& item : items) {
    const Model& model = *item.model;
    if (!seen.insert(&model).second) {
      continue;
    }
    for (const auto& [id, file] : model.sources().files()) {
      inputs.models.insert(Identify(*file));
    }
    if (const std::optional<FileId> id = Identify(model.path()); id && !model.path().empty()) {
      inputs.models.insert(*id);
    }
    GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> locations, ExternalLocations(model));
    for (const std::string& location : locations) {
      if (const std::optional<FileId> id = Identify(model.folder() / location)) {
        inputs.data.insert(*id);
      }
    }
  }
  return inputs;
}

absl::Status CheckTargets(const std::vector<SaveItem>& items, const Inputs& inputs, const SaveOptions& options) {
  std::set<fs::path> targets;
  for (const SaveItem& item : items) {
    if (IsStdout(item.target)) {
      if (options.weights != Weights::kKeep && options.weights != Weights::kInline) {
        return InvalidArgument("stdout takes one file, but the weights would lie in another; use --weights=inline");
      }
    } else {
      std::error_code error;
      if (item.target.empty() || !item.target.has_filename()) {
        return InvalidArgument("'{}' is no file name to write to; give one with -o", item.target.string());
      }
      const fs::path folder = FolderOf(item.target);
      if (!fs::is_directory(folder, error)) {
        return NotFound("can't write '{}': there is no folder '{}'; make it first", item.target.string(),
                        folder.string());
      }
      if (fs::is_directory(item.target, error)) {
        return InvalidArgument("can't write '{}': it is a folder; name a file in it", item.target.string());
      }
      if (const std::optional<FileId> id = Identify(item.target)) {
        if (inputs.data.contains(*id)) {
          return InvalidArgument("'{}' holds an input's weights and is never overwritten; give another -o",
                                 item.target.string());
        }
        if (inputs.models.contains(*id) && !options.in_place) {
          return InvalidArgument("'{}' is an input of this command; give another -o, or --in-place to replace it",
                                 item.target.string());
        }
      }
    }
    std::error_code error;
    const fs::path canonical = IsStdout(item.target)
                                   ? item.target
                                   : fs::weakly_canonical(FolderOf(item.target), error) / item.target.filename();
    if (!targets.insert(canonical).second) {
      return InvalidArgument("'{}' is named twice as an output", item.target.string());
    }
  }
  return absl::OkStatus();
}

// keep, into another folder: data files go along.
absl::StatusOr<std::vector<Copy>> PlanCopies(const std::vector<SaveItem>& items) {
  std::map<fs::path, Copy> copies;
  std::set<fs::path> targets;
  for (const SaveItem& item : items) {
    targets.insert(item.target.lexically_normal());
  }
  for (const SaveItem& item : items) {
    const fs::path folder = FolderOf(item.target);
    if (IsStdout(item.target) || SameFolder(item.model->folder(), folder)) {
      continue;
    }
    GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> locations, ExternalLocations(*item.model));
    for (const std::string& location : locations) {
      GOMAI_RETURN_IF_ERROR(CheckExternalLocation(folder, location));
      const fs::path from = item.model->folder() / location;
      const fs::path to = (folder / location).lexically_normal();
      if (targets.contains(to)) {
        return InvalidArgument("'{}' would be both an output and the data file of '{}'; give another -o", to.string(),
                               item.target.string());
      }
      if (!Identify(from)) {
        continue;  // data that isn't needed may be absent
      }
      const auto planned = copies.find(to);
      if (planned != copies.end() || Identify(to)) {
        const fs::path& there = planned != copies.end() ? planned->second.from->path() : to;
        GOMAI_ASSIGN_OR_RETURN(const bool same, EqualFiles(from, there));
        if (!same) {
          return InvalidArgument(
              "'{}' refers to the data file '{}', but another file of that name is in the way; move it, give another "
              "-o, or use --weights=external",
              item.target.string(), to.string());
        }
        continue;
      }
      GOMAI_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::Open(from));
      copies.emplace(to, Copy{std::move(file), to});
    }
  }
  std::vector<Copy> list;
  for (auto& [path, copy] : copies) {
    list.push_back(std::move(copy));
  }
  return list;
}

// The data files that the model at `path` uses, as ids; none if it can't be read.
std::map<FileId, std::string> DataFilesOf(const fs::path& path) {
  std::map<FileId, std::string> files;
  const absl::StatusOr<Model> model = Model::Load(path);
  if (model.ok()) {
    const absl::StatusOr<std::vector<std::string>> locations = ExternalLocations(*model);
    for (const std::string& location : locations.ok() ? *locations : std::vector<std::string>()) {
      if (const std::optional<FileId> id = Identify(model->folder() / location)) {
        files.emplace(*id, location);
      }
    }
  }
  return files;
}

// Chooses names for new data files and finds the old ones that they make useless.
class DataNames {
 public:
  DataNames(const std::vector<SaveItem>& items, const Inputs& inputs) : items_(items), inputs_(inputs) {
    for (const SaveItem& item : items) {
      taken_.insert(item.target.lexically_normal());
    }
  }

  // A name for `layout` beside the targets `replaced`, in `folder`. The bool: must it be written? (A file that holds
  // just these bytes is taken as it is, so that running a command again gives the same names.)
  absl::StatusOr<std::pair<std::string, bool>> Choose(const fs::path& folder, const std::string& base,
                                                      const DataLayout& layout,
                                                      const std::vector<const SaveItem*>& replaced) {
    std::map<FileId, std::string> old;
    if (Identify(folder / base)) {
      for (const SaveItem* item : replaced) {
        if (Identify(item->target)) {
          old.merge(DataFilesOf(item->target));
        }
      }
    }
    for (int n = 0;; ++n) {
      const std::string name = NumberedName(base, n);
      const fs::path path = folder / name;
      if (taken_.contains(path.lexically_normal())) {
        continue;
      }
      bool write = true;
      if (const std::optional<FileId> id = Identify(path)) {
        const bool in_use = inputs_.InUse(*id) || old.contains(*id);
        if (in_use) {
          GOMAI_ASSIGN_OR_RETURN(const bool same, layout.SameAs(path));
          if (!same) {
            continue;
          }
          write = false;
        } else if (n > 0) {
          continue;  // only a file that nothing uses, of the name itself, is replaced
        }
      }
      taken_.insert(path.lexically_normal());
      for (const auto& [id, location] : old) {
        if (location != name && IsNumberedName(base, location) && id != Identify(path)) {
          useless_.emplace(id, folder / location);
        }
      }
      return std::make_pair(name, write);
    }
  }

  // Old data files that only replaced models used. To be called before the renames, removed after them.
  std::vector<fs::path> Useless() const {
    std::set<FileId> replaced;
    for (const SaveItem& item : items_) {
      if (const std::optional<FileId> id = Identify(item.target)) {
        replaced.insert(*id);
      }
    }
    std::map<FileId, std::string> still_used;
    for (const SaveItem& item : items_) {
      const std::optional<FileId> id = Identify(item.model->path());
      if (!useless_.empty() && id && !replaced.contains(*id)) {
        still_used.merge(DataFilesOf(item.model->path()));
      }
    }
    std::vector<fs::path> paths;
    for (const auto& [id, path] : useless_) {
      if (!still_used.contains(id)) {
        paths.push_back(path);
      }
    }
    return paths;
  }

 private:
  const std::vector<SaveItem>& items_;
  const Inputs& inputs_;
  std::set<fs::path> taken_;
  std::map<FileId, fs::path> useless_;
};

absl::Status CheckPieces(const wire::GatherList& list, const Sources& sources) {
  for (const wire::Piece& piece : list.pieces) {
    if (!piece.is_payload) {
      continue;
    }
    const MappedFile* file = sources.Find(piece.source_id);
    if (file == nullptr) {
      return Internal("a tensor refers to a file of another model, which this one doesn't know");
    }
    if (piece.offset > file->bytes().size() || piece.length > file->bytes().size() - piece.offset) {
      return DataLoss("{} bytes at {} lie beyond the end of '{}'", piece.length, piece.offset, file->path().string());
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<wire::GatherList> Gather(const onnx::ModelProto& proto, const Sources& sources) {
  std::string bytes;
  if (!SerializeDeterministic(proto, &bytes)) {
    return ResourceExhausted(
        "the model would pass protobuf's limit of 2 GiB for one file; write the weights beside it with "
        "--weights=external");
  }
  GOMAI_ASSIGN_OR_RETURN(wire::GatherList list, wire::Inflate(bytes, wire::PayloadPlace::kCanonical));
  GOMAI_RETURN_IF_ERROR(CheckPieces(list, sources));
  return list;
}

absl::Status WriteModel(const Output& output, OutputFile* file) {
  if (output.verbatim) {
    const MappedFile& input = *output.item->model->file();
    return file->CopyFrom(input, 0, input.bytes().size());
  }
  for (const wire::Piece& piece : output.list.pieces) {
    GOMAI_RETURN_IF_ERROR(piece.is_payload
                              ? file->CopyFrom(*output.placed.sources.Find(piece.source_id), piece.offset, piece.length)
                              : file->Write(std::string_view(output.list.literals).substr(piece.offset, piece.length)));
  }
  return absl::OkStatus();
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

// reference: the bytes that are referred to must not go with the rename.
absl::Status CheckReferences(const std::vector<SaveItem>& items, const Inputs& inputs, bool refers) {
  for (const SaveItem& item : items) {
    const std::optional<FileId> id = Identify(item.target);
    if (refers && id && inputs.models.contains(*id)) {
      return InvalidArgument(
          "--weights=reference can't replace '{}', whose bytes the outputs refer to; give another -o, or other "
          "--weights",
          item.target.string());
    }
  }
  return absl::OkStatus();
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
  GOMAI_ASSIGN_OR_RETURN(const Inputs inputs, CollectInputs(items));
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
    for (const SaveItem& item : items) {
      GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> locations, ExternalLocations(*item.model));
      if (!locations.empty() && !SameFolder(item.model->folder(), FolderOf(item.target))) {
        return InvalidArgument(
            "--weights=reference needs '{}' in the folder of the input, whose data file '{}' it refers to; give an -o "
            "there, or use --weights=shared",
            item.target.string(), locations[0]);
      }
    }
  }
  DataNames names(items, inputs);
  std::vector<DataOutput> data_outputs;
  for (size_t i = 0; i < layouts.size() && (external || shared); ++i) {
    if (layouts[i].empty()) {
      continue;
    }
    const fs::path folder = FolderOf(items[i].target);
    const std::string base = shared ? options.shared_data_name : items[i].target.filename().string() + ".data";
    std::vector<const SaveItem*> replaced;
    for (size_t k = shared ? 0 : i; k < (shared ? items.size() : i + 1); ++k) {
      replaced.push_back(&items[k]);
    }
    GOMAI_ASSIGN_OR_RETURN(const auto choice, names.Choose(folder, base, layouts[i], replaced));
    for (size_t k = shared ? 0 : i; k < (shared ? items.size() : i + 1); ++k) {
      SetLocation(outputs[k].placed, choice.first);
    }
    if (choice.second) {
      data_outputs.push_back({folder / choice.first, &layouts[i]});
    }
  }
  const std::vector<fs::path> useless = names.Useless();
  std::vector<Copy> copies;
  if (options.weights == Weights::kKeep) {
    GOMAI_ASSIGN_OR_RETURN(copies, PlanCopies(items));
  }
  for (Output& output : outputs) {
    const Model& model = *output.item->model;
    if (output.placed.copy == nullptr && model.Unchanged()) {
      output.verbatim = true;
      continue;
    }
    absl::StatusOr<wire::GatherList> list =
        Gather(output.placed.copy ? *output.placed.copy : model.proto(), output.placed.sources);
    if (!list.ok()) {
      return Annotate(list.status(), fmt::format("'{}'", output.item->target.string()));
    }
    output.list = *std::move(list);
  }

  // Write.
  SaveReport report;
  MadeFolders folders;
  std::vector<OutputFile> data_files;
  std::vector<OutputFile> model_files;
  for (const DataOutput& data : data_outputs) {
    GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(data.path));
    GOMAI_RETURN_IF_ERROR(data.layout->Write(&file));
    data_files.push_back(std::move(file));
  }
  for (const Copy& copy : copies) {
    GOMAI_RETURN_IF_ERROR(folders.Make(FolderOf(copy.to)));
    GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(copy.to));
    GOMAI_RETURN_IF_ERROR(file.CopyFrom(*copy.from, 0, copy.from->bytes().size()));
    data_files.push_back(std::move(file));
  }
  for (const Output& output : outputs) {
    GOMAI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(output.item->target));
    GOMAI_RETURN_IF_ERROR(WriteModel(output, &file));
    model_files.push_back(std::move(file));
  }

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
