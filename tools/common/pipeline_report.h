#pragma once

// What a pipeline did, for people and for scripts.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/pass/pipeline.h"

namespace gomai {

// A table with one row a pass (with `timing` how long each took), with `changes` every change, and the declared shapes
// that passes brought up to date. "" for an empty pipeline.
std::string PipelineText(const std::vector<PassReport>& reports, bool timing, bool changes);
// "bit-exact", or the strongest effect of the passes that changed something.
Effect WholeEffect(const std::vector<PassReport>& reports);
// Without `timing` the same for the same input, whatever the machine does.
nlohmann::ordered_json PipelineJson(const std::vector<PassReport>& reports, bool timing);

}  // namespace gomai
