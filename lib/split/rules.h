#pragma once

// Steps of ResolvePlan that judge a split whose nodes, inputs and outputs are known already. Internal to lib/split;
// use split.h.

#include <map>
#include <string>

#include "lib/split/split.h"

namespace gomai {

// What parts state of themselves: inputs, forbid_ops, max_nodes. kInvalidArgument naming the inputs or the node that
// break it.
absl::Status CheckRules(const Plan& plan, const Split& split, const Index& index,
                        const std::map<std::string, std::string>& aliases);

// split.types for every boundary value: as given, else as inferred. kInvalidArgument for an unknown dtype, or for a
// given type of what crosses no cut; a warning for an unknown rank.
absl::Status FillTypes(const Index& index, const Shapes& shapes, const ResolveOptions& options,
                       const Diagnostics& diagnostics, Split& split);

}  // namespace gomai
