#pragma once

// What gomai-split shows of a plan and of what it wrote.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/split/manifest.h"
#include "lib/split/survey.h"

namespace gomai {

// Before anything is written: one table of figures, and one of what stands between each part and an NPU.
std::string PlanTable(const std::vector<PartSurvey>& parts);
// Afterwards: what lies where.
std::string PartTable(const std::vector<PartSurvey>& parts, const Manifest& manifest);
nlohmann::ordered_json SurveyJson(const std::vector<PartSurvey>& parts);

}  // namespace gomai
