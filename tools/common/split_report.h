#pragma once

// What gomai-split shows of a plan and of what it wrote.

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/split/manifest.h"
#include "lib/split/split.h"
#include "lib/split/survey.h"

namespace gomai {

// Before anything is written: one table of figures, and one of what stands between each part and an NPU.
std::string PlanTable(const std::vector<PartSurvey>& parts);
// Afterwards: what lies where.
std::string PartTable(const std::vector<PartSurvey>& parts, const Manifest& manifest);
// All of it: what the plan's pipeline did, what those of the parts did, the table, and how rows are batched. `changes`:
// every change.
std::string SplitText(const std::vector<PassReport>& pipeline, const WriteSplitReport& report,
                      const std::vector<PartSurvey>& parts, bool changes);
nlohmann::ordered_json SplitPipelinesJson(const std::vector<PassReport>& pipeline, const WriteSplitReport& report);
nlohmann::ordered_json SurveyJson(const std::vector<PartSurvey>& parts);

}  // namespace gomai
