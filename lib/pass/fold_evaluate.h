#pragma once

// Computes constants by the reference runtime: one session that holds only what the wanted values need.
//
// Weights go in as feeds over the mapping of the model's file, so neither the session's model nor this process holds a
// copy of them. Optimisation is off and weights aren't prepacked: the values are those that the model itself would
// compute. Internal to lib/pass.

#include <map>
#include <vector>

#include "lib/base/status.h"
#include "lib/pass/fold_plan.h"
#include "lib/runtime/backend.h"

namespace gomai {

struct Evaluation {
  std::map<ValueId, HostTensor> values;
  // Nodes that the runtime doesn't take, or that fail, with what it says.
  std::vector<std::pair<NodeId, std::string>> failures;
};

// The values of `wanted`, all of which `plan` knows. If the session fails, the culprits are found by halving; then
// `values` is empty, and the plan is to be made anew without them.
Evaluation Evaluate(const std::vector<ValueId>& wanted, const FoldPlan& plan, const FoldPlanner& planner,
                    const Facts& facts, const Model& model, const Index& index, Backend& backend);

}  // namespace gomai
