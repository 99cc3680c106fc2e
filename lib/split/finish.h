#pragma once

// Parts between being built and being written: rows fixed, pipelines run; and the part that a pipeline took off before
// the cut. Internal to lib/split; use split.h.

#include <optional>
#include <vector>

#include "lib/base/diagnostics.h"
#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/split/batching.h"
#include "lib/split/split.h"

namespace gomai {

// Fixes the rows of batched parts, then runs each part's pipeline; what was fixed, by part. Errors: those of FixRows
// and of the passes; kFailedPrecondition for a pipeline that changes what its part reads or gives.
absl::StatusOr<std::vector<std::optional<ManifestBatching>>> FinishParts(const Split& split, std::vector<Model>* parts,
                                                                         WriteSplitReport* report,
                                                                         const Diagnostics& diagnostics);

// kInvalidArgument for a side output that is called as a part is.
absl::Status CheckSideNames(const Split& split, const std::vector<const SideOutput*>& side_outputs);

// A model that makes what others take for inputs of the model goes in front of them; one that doesn't stays out.
void AddFirstPart(const SideOutput& side, const std::string& digest, Manifest* manifest);

}  // namespace gomai
