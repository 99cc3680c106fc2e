#pragma once

// What gomai-diff says: differences by group, old -> new, and a line of counts; or JSON.

#include <nlohmann/json.hpp>
#include <string>

#include "lib/compare/model_diff.h"

namespace gomai {

// With `all`, lists are not cut and equal values that are stored otherwise are named too.
std::string DiffText(const ModelDiff& diff, const DiffOptions& options, bool all);
nlohmann::ordered_json DiffJson(const ModelDiff& diff, const DiffOptions& options);

}  // namespace gomai
