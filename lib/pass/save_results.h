#pragma once

// Saving what a pipeline made: the model, and beside it what its passes gave besides (PassContext::Emit).

#include <filesystem>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/save.h"
#include "lib/pass/pipeline.h"

namespace gomai {

// The side outputs of all passes, in order. kInvalidArgument for two of one name.
absl::StatusOr<std::vector<const SideOutput*>> SideOutputs(const std::vector<PassReport>& reports);

// NAME.onnx of each, in `folder`: to be saved together with others (SaveAll).
std::vector<SaveItem> SideModels(const std::vector<const SideOutput*>& outputs, const std::filesystem::path& folder);
// NAME.json of each that has a text.
absl::Status WriteSideTexts(const std::vector<const SideOutput*>& outputs, const std::filesystem::path& folder);

// The model to `target` and the side outputs beside it: models together, then texts. Errors: those of SaveAll and
// WriteTextFile; kInvalidArgument if `target` is "-" or one of the side outputs' files.
absl::StatusOr<SaveReport> SaveResults(const Model& model, const std::vector<PassReport>& reports,
                                       const std::filesystem::path& target, const SaveOptions& options);

}  // namespace gomai
