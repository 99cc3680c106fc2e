#pragma once

// What a save may write where: decided before anything is written. Internal to lib/model; use save.h.

#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lib/base/file.h"
#include "lib/base/status.h"
#include "lib/model/files.h"
#include "lib/model/save.h"
#include "lib/model/weights.h"

namespace gomai {

// What the inputs of the command are made of.
struct SaveInputs {
  std::set<FileId> models;
  std::set<FileId> data;  // their real external data

  bool InUse(const FileId& id) const { return models.contains(id) || data.contains(id); }
};
absl::StatusOr<SaveInputs> CollectInputs(const std::vector<SaveItem>& items);

// Can these be written at all, and is no input among them?
absl::Status CheckTargets(const std::vector<SaveItem>& items, const SaveInputs& inputs, const SaveOptions& options);

// reference: the bytes that are referred to must not go with the rename, and external data must be in reach.
absl::Status CheckReferences(const std::vector<SaveItem>& items, const SaveInputs& inputs, bool refers);

struct DataCopy {
  std::shared_ptr<const MappedFile> from;
  std::filesystem::path to;
};
// keep, into another folder: data files that have to go along.
absl::StatusOr<std::vector<DataCopy>> PlanCopies(const std::vector<SaveItem>& items);

// Chooses names for new data files and finds the old ones that they make useless.
class DataNames {
 public:
  // Both must outlive this.
  DataNames(const std::vector<SaveItem>& items, const SaveInputs& inputs);

  struct Choice {
    std::string name;
    bool write = true;  // false: a file that holds just these bytes is there already, so that saving again is stable
  };
  // A name like `base` in `folder`.
  absl::StatusOr<Choice> Choose(const std::filesystem::path& folder, const std::string& base, const DataLayout& layout);

  // Old data files that only replaced models used. To be called before the renames, removed after them.
  std::vector<std::filesystem::path> Useless() const;

 private:
  const std::vector<SaveItem>& items_;
  const SaveInputs& inputs_;
  std::set<std::filesystem::path> taken_;
  std::map<FileId, std::filesystem::path> old_;  // data files of the models that stand at the targets now
  std::map<FileId, std::filesystem::path> useless_;
};

}  // namespace gomai
