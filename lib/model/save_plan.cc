// Planning a save; see save_plan.h. Files are compared by device and inode, so that no symlink or hard link gets an
// input overwritten under another name.
#include "lib/model/save_plan.h"

#include <optional>

#include "lib/model/tensor.h"

namespace gomai {
namespace {

namespace fs = std::filesystem;

bool IsStdout(const fs::path& path) { return path == "-"; }

// The data files that the model at `path` uses, as ids; none if it can't be read.
std::map<FileId, fs::path> DataFilesOf(const fs::path& path) {
  std::map<FileId, fs::path> files;
  const absl::StatusOr<Model> model = Model::Load(path);
  if (model.ok()) {
    const absl::StatusOr<std::vector<std::string>> locations = ExternalLocations(*model);
    for (const std::string& location : locations.ok() ? *locations : std::vector<std::string>()) {
      if (const std::optional<FileId> id = Identify(model->folder() / location)) {
        files.emplace(*id, model->folder() / location);
      }
    }
  }
  return files;
}

}  // namespace

absl::StatusOr<SaveInputs> CollectInputs(const std::vector<SaveItem>& items) {
  SaveInputs inputs;
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

absl::Status CheckTargets(const std::vector<SaveItem>& items, const SaveInputs& inputs, const SaveOptions& options) {
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
          return InvalidArgument(
              "'{}' is an input of this command; give another -o (gomai-opt and gomai-extract replace it with "
              "--in-place)",
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

absl::StatusOr<std::vector<DataCopy>> PlanCopies(const std::vector<SaveItem>& items) {
  std::map<fs::path, DataCopy> copies;
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
      GOMAI_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, OpenExternal(item.model->folder(), location));
      copies.emplace(to, DataCopy{std::move(file), to});
    }
  }
  std::vector<DataCopy> list;
  for (auto& [path, copy] : copies) {
    list.push_back(std::move(copy));
  }
  return list;
}

absl::Status CheckReferences(const std::vector<SaveItem>& items, const SaveInputs& inputs, bool refers) {
  for (const SaveItem& item : items) {
    const std::optional<FileId> id = Identify(item.target);
    if (refers && id && inputs.models.contains(*id)) {
      return InvalidArgument(
          "--weights=reference can't replace '{}', whose bytes the outputs refer to; give another -o, or other "
          "--weights",
          item.target.string());
    }
    GOMAI_ASSIGN_OR_RETURN(const std::vector<std::string> locations, ExternalLocations(*item.model));
    if (!locations.empty() && !SameFolder(item.model->folder(), FolderOf(item.target))) {
      return InvalidArgument(
          "--weights=reference needs '{}' in the folder of the input, whose data file '{}' it refers to; give an -o "
          "there, or use --weights=shared",
          item.target.string(), locations[0]);
    }
  }
  return absl::OkStatus();
}

DataNames::DataNames(const std::vector<SaveItem>& items, const SaveInputs& inputs) : items_(items), inputs_(inputs) {
  for (const SaveItem& item : items) {
    taken_.insert(item.target.lexically_normal());
    if (Identify(item.target)) {
      old_.merge(DataFilesOf(item.target));
    }
  }
}

absl::StatusOr<DataNames::Choice> DataNames::Choose(const fs::path& folder, const std::string& base,
                                                    const DataLayout& layout) {
  for (int n = 0;; ++n) {
    const std::string name = NumberedName(base, n);
    const fs::path path = folder / name;
    if (taken_.contains(path.lexically_normal())) {
      continue;
    }
    bool write = true;
    if (const std::optional<FileId> id = Identify(path)) {
      const bool in_use = inputs_.InUse(*id) || old_.contains(*id);
      // Only a file that nothing uses, of the name itself, is replaced. One of a later name may be what a killed run
      // left.
      if (in_use || n > 0) {
        const absl::StatusOr<bool> same = layout.SameAs(path);
        if (in_use && !same.ok()) {
          return same.status();
        }
        if (!same.ok() || !*same) {
          continue;
        }
        write = false;
      }
    }
    taken_.insert(path.lexically_normal());
    for (const auto& [id, old_path] : old_) {
      if (id != Identify(path) && IsNumberedName(base, old_path.filename().string()) &&
          SameFolder(old_path.parent_path(), folder)) {
        useless_.emplace(id, old_path);
      }
    }
    return Choice{name, write};
  }
}

std::vector<fs::path> DataNames::Useless() const {
  std::set<FileId> replaced;
  for (const SaveItem& item : items_) {
    if (const std::optional<FileId> id = Identify(item.target)) {
      replaced.insert(*id);
    }
  }
  std::map<FileId, fs::path> still_used;
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

}  // namespace gomai
