#pragma once

// What gomai-run says of its runs: outputs, times, where the parts ran; as text and as JSON.

#include <nlohmann/json.hpp>
#include <string>

#include "lib/split/runner.h"
#include "tools/common/tool.h"

namespace gomai {

std::string RunText(const std::string& runtime, const Runner& runner, const RunReport& report, int warmup);
nlohmann::ordered_json RunDocument(const std::string& runtime, const Runner& runner, const RunReport& report);

}  // namespace gomai
