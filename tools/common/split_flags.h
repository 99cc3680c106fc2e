#pragma once

// The flags that say into which parts a model is cut, and what becomes of the parts.

#include <CLI/CLI.hpp>

#include "lib/split/plan_args.h"

namespace gomai {

void AddPlanFlags(CLI::App& app, PlanArguments* plan);

}  // namespace gomai
