#pragma once

// Numbers, counts and shapes as gomai-info writes them.

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/graph/census.h"

namespace gomai {

std::string Grouped(uint64_t number);  // "2,377"
std::string Plural(uint64_t count, std::string_view singular, std::string_view plural);
// "745 Constant", …; what passes `limit` is summed up as "12 more".
std::vector<std::string> CountItems(const std::vector<Count>& counts, size_t limit);
nlohmann::ordered_json CountJson(const std::vector<Count>& counts);
// "3 x height x width": dims as a person writes them; "?" for what has no name, "any rank" for no shape.
std::string Dims(const onnx::TypeProto& type);
nlohmann::ordered_json ShapeJson(const onnx::TypeProto& type);  // null if the rank is unknown

}  // namespace gomai
