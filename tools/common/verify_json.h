#pragma once

// Comparisons as JSON, for gomai-verify's document.

#include <nlohmann/json.hpp>

#include "lib/compare/equivalence.h"

namespace gomai {

nlohmann::ordered_json ComparisonJson(const TensorComparison& comparison);
nlohmann::ordered_json ThreeRunsJson(const ThreeRuns& three);
nlohmann::ordered_json DetectionsJson(const DetectionComparison& comparison);

}  // namespace gomai
