#pragma once

// Declared shapes that an edit made false, brought up to date.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/model/model.h"
#include "lib/pass/pipeline.h"

namespace gomai {

// Infers the main graph's shapes anew and corrects each declaration (value_info, graph outputs) whose dtype, rank or a
// known dim is now provably another; a false dim gets the inferred value, everything else of the declaration stays.
// Graph outputs that differ are corrected only with `allow_outputs`, else kFailedPrecondition names them. Declarations
// of values that no longer exist aren't touched: they are prune's.
absl::StatusOr<std::vector<ShapeChange>> RefreshDeclaredShapes(Model& model, bool allow_outputs);

}  // namespace gomai
