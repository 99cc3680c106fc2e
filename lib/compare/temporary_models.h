#pragma once

// Temporary copies of models for a fair comparison: with more outputs, or with weights aligned.

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/model.h"

namespace gomai {

// A folder of its own under the system's temporary folder, removed at the end.
class TemporaryModels {
 public:
  TemporaryModels() = default;
  ~TemporaryModels() { Remove(); }
  TemporaryModels(const TemporaryModels&) = delete;
  TemporaryModels& operator=(const TemporaryModels&) = delete;

  // The model with these values of its main graph as outputs too (types as inferred, shapes left open). Names that it
  // doesn't have, and what is an output already, are left out.
  absl::StatusOr<std::filesystem::path> WithOutputs(const std::filesystem::path& file,
                                                    const std::vector<std::string>& values);

  // The file itself, unless external weights lie at offsets that aren't multiples of 64: kernels may add up in another
  // order on memory aligned otherwise, and then the last bits differ. Then a copy with its weights aligned.
  absl::StatusOr<std::filesystem::path> Aligned(const std::filesystem::path& file);

  // Removes them now. A session that is open keeps what it has mapped, so that an interrupted run leaves nothing
  // behind.
  void Remove();

 private:
  absl::StatusOr<std::filesystem::path> Place();  // a fresh folder for one model
  std::filesystem::path folder_;
  int count_ = 0;
};

}  // namespace gomai
