#pragma once

// Presets: plans for families of models, as data (lib/split/presets/*.json, built into the library).
//
// A preset is a plan whose outputs and aliases are selectors by scope, so it fits every model with those scopes,
// whatever its trunk, heads and size. If a model's scopes all lie below a common one ("/model/encoder" for
// "/encoder"), the preset is applied below it. An alias "features_{i}" numbers what its selector yields, in order of
// first use.

#include <string>
#include <vector>

#include "lib/base/status.h"
#include "lib/graph/index.h"
#include "lib/split/plan.h"

namespace gomai {

struct Preset {
  std::string name;
  std::string summary;
  Plan plan;
};

// By name, sorted. kInternal if a built-in file doesn't parse (a bug that a test catches).
absl::StatusOr<std::vector<Preset>> AllPresets();

// The preset's plan for this model: scopes prefixed where needed, aliases resolved to tensors. kNotFound for an unknown
// preset (nearest names), or naming the first scope that the model lacks and its nearest ones; `draft`, if given, then
// gets the plan with each missing scope replaced by its nearest one, to edit by hand.
absl::StatusOr<Plan> PlanFromPreset(std::string_view preset, const Index& index, Plan* draft);

// Resolves aliases that are selectors ("features_{i}": "scope:/encoder") to tensors. Aliases that match nothing are
// left out when `optional`.
absl::StatusOr<std::map<std::string, std::string>> ResolveAliases(const std::map<std::string, std::string>& aliases,
                                                                  const Index& index, bool optional);

}  // namespace gomai
